// SPDX-License-Identifier: Apache-2.0
// The page of one key, team or org: its limits, its last hour, a reset, and what-if. A key has key.js too.
import { Unauthorized, ask, subjectPath } from "./api.js";
import { Chart } from "./chart.js";
import { confirmed, withdraw } from "./confirm.js";
import { Rows, byId, make, setText } from "./dom.js";
import { count, duration, exact, isNear, limitName } from "./format.js";
import { Key } from "./key.js";
import { limitKey, track } from "./limits.js";

const MINUTE_MS = 60_000;
const LIMITS_EVERY_MS = 2000;
const HISTORY_EVERY_MS = 15_000;
const KEY_EVERY_MS = 15_000;
const KEY = "key:";

function limitRow(limit) {
    const bar = track();
    const [used, of, left, empty] = ["Used", "Of", "Left", "Empty in"].map((label) =>
        make("td", { class: "number", "data-label": label }),
    );
    left.classList.add("left");
    const name = make("th", { scope: "row" }, limitName(limit));
    const element = make("tr", {}, name, make("td", {}, bar.element), used, of, left, empty);
    return {
        element,
        fill: (now) => {
            bar.fill(now);
            setText(used, exact(now.used));
            setText(of, exact(now.limit));
            setText(left, exact(now.remaining));
            setText(empty, now.used > 0 ? duration(now.reset_ms) : "");
            element.classList.toggle("near", isNear(now));
        },
    };
}

function minuteRow(minute) {
    const cells = [0, 1, 2, 3].map(() => make("td", { class: "number" }));
    const time = new Date(minute.minute * MINUTE_MS);
    const text = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    return {
        element: make("tr", {}, make("td", {}, text), ...cells),
        fill: (now) => {
            const values = [now.allowed, now.denied, now.input_tokens, now.output_tokens];
            values.forEach((value, i) => setText(cells[i], exact(value)));
        },
    };
}

const charts = [
    {
        title: "Requests",
        series: [
            { name: "allowed", label: "allowed", style: "main" },
            { name: "denied", label: "denied", style: "warned" },
        ],
    },
    {
        title: "Tokens",
        series: [
            { name: "output_tokens", label: "output", style: "main" },
            { name: "input_tokens", label: "input", style: "other" },
        ],
    },
];

const countOrNone = (n) => (n === null ? "\u2013" : count(n));

/** What an answer of check says. */
function verdict({ allowed, denied_by: by, retry_after_ms: after }) {
    if (allowed) {
        return "It would pass now.";
    }
    const because = `${limitName(by)} of ${by.subject}`;
    return after === null
        ? `It can never pass: it is larger than ${because}.`
        : `It would be denied by ${because}. It would pass in ${duration(after)}.`;
}

export class Subject {
    #name = null; // what is shown; null: nothing
    #timers = [];
    #limitRows;
    #minuteRows;
    #key = new Key(
        (...question) => this.#ask(...question),
        () => this.#loadLimits(),
    );

    /** onUnauthorized(): the token is no longer taken. */
    constructor(onUnauthorized) {
        this.onUnauthorized = onUnauthorized;
        this.charts = charts.map(
            (one) =>
                new Chart({
                    ...one,
                    format: countOrNone,
                    from: "1 h ago",
                    to: "this minute",
                    bar_ms: MINUTE_MS,
                }),
        );
        byId("history").append(...this.charts.map(({ element }) => element));
        byId("reset").addEventListener("click", () => this.#reset());
        byId("check").addEventListener("submit", (event) => {
            event.preventDefault();
            this.#check();
        });
    }

    open(name) {
        this.close();
        this.#name = name;
        setText(byId("subject-title"), name);
        for (const id of ["subject-plan", "subject-said", "check-result"]) {
            setText(byId(id), "");
        }
        const id = name.startsWith(KEY) ? name.slice(KEY.length) : "";
        byId("check-key").value = id;
        this.#key.open(id);
        this.#setKnown(true);
        byId("limits").tBodies[0].replaceChildren();
        byId("minutes").tBodies[0].replaceChildren();
        this.#limitRows = new Rows(byId("limits").tBodies[0], limitKey, limitRow);
        this.#minuteRows = new Rows(byId("minutes").tBodies[0], ({ minute }) => minute, minuteRow);
        this.#showMinutes([]);
        this.#every(LIMITS_EVERY_MS, () => this.#loadLimits());
        this.#every(HISTORY_EVERY_MS, () => this.#loadHistory());
        if (id !== "") {
            this.#every(KEY_EVERY_MS, () => this.#key.load());
        }
    }

    /** What the node says of itself, before anything is opened and then each second. */
    showNode({ registry }) {
        this.#key.showRegistry(registry !== null);
    }

    close() {
        this.#name = null;
        this.#timers.forEach(clearInterval);
        this.#timers = [];
        withdraw();
    }

    #every(ms, load) {
        load();
        this.#timers.push(setInterval(load, ms));
    }

    /** Asks about what is shown; the answer is dropped when another page is open by then. A connection
     * that is lost is told by the header, so a failed look says nothing unless say(why, code) is given. */
    async #ask(method, path, body, show, say = () => {}) {
        const name = this.#name;
        let answer;
        try {
            answer = await ask(method, path, body);
        } catch (error) {
            if (error instanceof Unauthorized) {
                this.onUnauthorized();
            } else if (name === this.#name) {
                say(error.message, error.code);
            }
            return;
        }
        if (name === this.#name) {
            show(answer);
        }
    }

    #setKnown(known) {
        if (known === byId("subject-body").hidden) {
            const unknown = "There is no such key, team, org or model here.";
            setText(byId("subject-said"), known ? "" : unknown);
        }
        byId("subject-body").hidden = !known;
        byId("reset").hidden = !known;
    }

    #loadLimits() {
        const none = (why, code) => {
            if (code === "unknown_subject") {
                this.#showLimits({ plan: null, limits: [] }, this.#key.known);
            }
        };
        const show = (answer) => this.#showLimits(answer, true);
        this.#ask("GET", subjectPath(this.#name), undefined, show, none);
    }

    /** known: there is such a subject; a key can be without limits of its own. */
    #showLimits({ plan, limits }, known) {
        this.#setKnown(known);
        setText(byId("subject-plan"), plan === null ? "no plan" : `plan ${plan}`);
        this.#limitRows.update(limits);
        byId("limits").hidden = limits.length === 0;
        byId("limits-none").hidden = limits.length > 0;
        this.#key.showLimits(limits);
    }

    #loadHistory() {
        const path = `${subjectPath(this.#name)}/history`;
        this.#ask("GET", path, undefined, ({ minutes }) => this.#showMinutes(minutes));
    }

    #showMinutes(minutes) {
        const end = (Math.floor(Date.now() / MINUTE_MS) + 1) * MINUTE_MS;
        const points = minutes.map((one) => ({ ...one, time: one.minute * MINUTE_MS }));
        for (const chart of this.charts) {
            chart.show(points, end - 60 * MINUTE_MS, end);
        }
        this.#minuteRows.update(minutes.toReversed(), true);
        byId("history").hidden = minutes.length === 0;
        byId("history-details").hidden = minutes.length === 0;
        byId("history-none").hidden = minutes.length > 0;
    }

    async #reset() {
        const say = (text) => setText(byId("subject-said"), text);
        const question = {
            title: "Reset limits?",
            text: `What ${this.#name} used so far counts no more, on any node. Requests under way and leases go on.`,
            yes: "Reset",
        };
        if (!(await confirmed(question))) {
            return;
        }
        this.#ask(
            "POST",
            `${subjectPath(this.#name)}/reset`,
            undefined,
            () => {
                say("Reset: all its windows are empty.");
                this.#loadLimits();
            },
            (why) => say(`Not reset. ${why}`),
        );
    }

    #check() {
        const result = byId("check-result");
        const say = (text, style) => {
            setText(result, text);
            result.className = `result ${style}`;
        };
        const number = (id) => byId(id).valueAsNumber;
        const model = byId("check-model").value;
        const question = {
            key: `id:${byId("check-key").value}`,
            ...(model === "" ? {} : { model }),
            requests: number("check-requests"),
            input_tokens: number("check-input"),
            output_tokens: number("check-output"),
        };
        say("Asking\u2026", "");
        this.#ask(
            "POST",
            "check",
            question,
            (answer) => say(verdict(answer), answer.allowed ? "yes" : "no"),
            (why) => say(why, "no"),
        );
    }
}
