// SPDX-License-Identifier: Apache-2.0
// The first page: the node's rates, its busiest subjects, who is denied and why, its health.
import { Chart } from "./chart.js";
import { Facts, Rows, byId, make, setText } from "./dom.js";
import { count, duration, exact, limitName, micros, rate, use } from "./format.js";
import { limitItem, limitKey } from "./limits.js";
import { SPAN_MS } from "./rates.js";

export const subjectHref = (name) => `#/subject/${encodeURIComponent(name)}`;

const charts = [
    {
        title: "Requests/s",
        format: rate,
        series: [
            { name: "allowed", label: "allowed", style: "main" },
            { name: "denied", label: "denied", style: "warned" },
            { name: "unavailable", label: "no store", style: "gone" },
        ],
    },
    {
        title: "Tokens/s",
        format: rate,
        series: [
            { name: "output", label: "output", style: "main" },
            { name: "input", label: "input", style: "other" },
        ],
    },
    {
        title: "Time of a decision",
        format: micros,
        series: [
            { name: "p99", label: "p99", style: "main" },
            { name: "p50", label: "p50", style: "other" },
        ],
    },
];

/** A figure with its name above and a remark below. */
function tile(name) {
    const value = make("dd");
    const more = make("dd", { class: "small" });
    const element = make("div", {}, make("dt", {}, name), value, more);
    byId("tiles").append(element);
    return (text, remark, warned = false) => {
        setText(value, text);
        setText(more, remark);
        element.classList.toggle("warned", warned);
    };
}

function subjectLink(name) {
    return make("a", { href: subjectHref(name) }, name);
}

const fullest = (subject) => Math.max(0, ...subject.limits.map(use));

/** What each sortable column sorts by, of a row of the table. */
const columns = {
    subject: (row) => row.subject,
    allowed_rate: (row) => row.rates?.allowed ?? 0,
    denied_rate: (row) => row.rates?.denied ?? 0,
    token_rate: (row) => row.rates?.tokens ?? 0,
    use: fullest,
};

function compare(a, b) {
    return a < b ? -1 : a > b ? 1 : 0;
}

function rateCell(label) {
    return make("td", { class: "rate", "data-label": label });
}

function busyRow({ subject }) {
    const plan = make("span", { class: "plan" });
    const [allowed, denied, tokens] = ["Allowed/s", "Denied/s", "Tokens/s"].map(rateCell);
    const list = make("ul", { class: "limits", "aria-label": `Limits of ${subject}` });
    const limits = new Rows(list, limitKey, limitItem);
    const element = make(
        "tr",
        {},
        make("td", {}, subjectLink(subject), plan),
        ...[allowed, denied, tokens],
        make("td", {}, list),
    );
    return {
        element,
        fill: (row) => {
            setText(plan, row.plan ?? "no plan");
            setText(allowed, rate(row.rates?.allowed ?? null));
            setText(denied, rate(row.rates?.denied ?? null));
            denied.classList.toggle("some", row.rates?.denied > 0);
            setText(tokens, rate(row.rates?.tokens ?? null));
            limits.update(row.limits);
        },
    };
}

function denialRow(denial) {
    const number = make("td", { class: "number" });
    return {
        element: make(
            "tr",
            {},
            make("td", {}, subjectLink(denial.subject)),
            make("td", {}, limitName(denial)),
            number,
        ),
        fill: (now) => setText(number, count(now.count)),
    };
}

/** The store in words: what it is, and whether something is wrong with it. */
function storeState({ up, ready, shards: { up: reached, away } }) {
    if (!up) {
        const part = reached > 0 && away > 0;
        const of = part ? `: ${exact(away)} of ${exact(reached + away)} shards` : "";
        return [`out of reach${of}`, true];
    }
    return ready ? ["up", false] : ["up, not ready", true];
}

/** The registry in words, and whether something is wrong with it; null: there is none. */
function registryState(registry) {
    if (registry === null) {
        return ["none", false];
    }
    const { up, entries, unusable } = registry;
    const left = unusable > 0 ? [`${exact(unusable)} unusable`] : [];
    const parts = [...(up ? [] : ["out of reach"]), `${exact(entries)} in force`, ...left];
    return [parts.join(", "), !up || unusable > 0];
}

export class Overview {
    #sort = null; // {column, down}; null: as the node lists them, busiest first
    #rows = [];

    constructor() {
        this.tiles = {
            allowed: tile("Allowed/s"),
            denied: tile("Denied/s"),
            input: tile("Input tokens/s"),
            output: tile("Output tokens/s"),
            failed: tile("Answers 5xx/s"),
            decision: tile("Decision, p99"),
        };
        this.charts = charts.map((one) => new Chart({ ...one, from: "5 min ago", to: "now" }));
        byId("charts").append(...this.charts.map(({ element }) => element));
        const busy = byId("busy");
        this.busy = new Rows(busy.tBodies[0], ({ subject }) => subject, busyRow);
        this.denials = new Rows(
            byId("denials").tBodies[0],
            (denial) => `${limitKey(denial)}/${denial.subject}`,
            denialRow,
        );
        this.health = new Facts(byId("health"));
        this.totals = new Facts(byId("totals"));
        for (const head of busy.querySelectorAll("th[data-sort]")) {
            head.querySelector("button").addEventListener("click", () => this.#sortBy(head));
        }
    }

    show(overview, rates) {
        this.#showTiles(overview, rates.now);
        for (const chart of this.charts) {
            chart.show(rates.samples, overview.time_ms - SPAN_MS, overview.time_ms);
        }
        this.#rows = overview.subjects.map((subject) => ({
            ...subject,
            rates: rates.of(subject.subject),
        }));
        this.busy.update(this.#sorted());
        this.denials.update(overview.denials);
        this.#showHealth(overview.node);
        this.#showTotals(overview.totals);
        const { totals } = overview;
        const denied = Object.values(totals.denied).reduce((a, b) => a + b, 0);
        byId("empty").hidden = totals.allowed + denied + totals.unavailable > 0;
        byId("busy").hidden = overview.subjects.length === 0;
        byId("busy-none").hidden = overview.subjects.length > 0;
        byId("denials").hidden = overview.denials.length === 0;
        byId("denials-none").hidden = overview.denials.length > 0;
    }

    #showTiles({ decision_us: { p50, p99 } }, now) {
        const of = (name) => rate(now?.[name] ?? null);
        const asked = now === null ? 0 : now.allowed + now.denied + now.unavailable;
        const share = asked > 0 ? `${rate((now.denied * 100) / asked)} % of them` : "";
        const each = (name) =>
            now?.allowed > 0 ? `${count(now[name] / now.allowed)} per allowed request` : "";
        this.tiles.allowed(of("allowed"), now === null ? "" : `of ${rate(asked)} requests/s`);
        this.tiles.denied(of("denied"), share, now?.denied > 0);
        this.tiles.input(of("input"), each("input"));
        this.tiles.output(of("output"), each("output"));
        this.tiles.failed(of("failed"), `2xx ${of("ok")}, 4xx ${of("refused")}`, now?.failed > 0);
        this.tiles.decision(micros(p99), `p50 ${micros(p50)}`);
    }

    #showHealth({ version, uptime_s, workers, store, registry }) {
        const kind = store.mode === null ? store.kind : `${store.kind}, ${store.mode}`;
        this.health.set("Store", kind);
        this.health.set("At", store.url_host ?? "in this process");
        this.health.set("State", ...storeState(store));
        this.health.set("Registry", ...registryState(registry));
        this.health.set("Nodes", exact(store.nodes));
        this.health.set("Workers", exact(workers));
        this.health.set("Up for", duration(uptime_s * 1000));
        this.health.set("Version", version);
    }

    #showTotals({ denied, responses, ...totals }) {
        this.totals.set("Allowed", exact(totals.allowed));
        for (const [meter, n] of Object.entries(denied)) {
            this.totals.set(`Denied by ${meter.replaceAll("_", " ")}`, exact(n));
        }
        this.totals.set("Store unavailable", exact(totals.unavailable), totals.unavailable > 0);
        this.totals.set("Would be denied (shadow)", exact(totals.shadow_denied ?? 0));
        this.totals.set("Input tokens", exact(totals.input_tokens));
        this.totals.set("Output tokens", exact(totals.output_tokens));
        for (const [status, n] of Object.entries(responses)) {
            this.totals.set(`Answers ${status}`, exact(n));
        }
    }

    #sortBy(head) {
        const column = head.dataset.sort;
        const same = this.#sort?.column === column;
        this.#sort = { column, down: same ? !this.#sort.down : column !== "subject" };
        for (const other of head.parentElement.querySelectorAll("[aria-sort]")) {
            other.removeAttribute("aria-sort");
        }
        head.setAttribute("aria-sort", this.#sort.down ? "descending" : "ascending");
        this.busy.update(this.#sorted(), true);
    }

    #sorted() {
        if (this.#sort === null) {
            return this.#rows;
        }
        const { column, down } = this.#sort;
        const value = columns[column];
        return this.#rows.toSorted((a, b) => compare(value(a), value(b)) * (down ? -1 : 1));
    }
}
