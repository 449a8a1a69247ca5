// SPDX-License-Identifier: Apache-2.0
// What an operator sees and changes of a key: its plan, whether it is taken, and extra budget.
import { subjectPath } from "./api.js";
import { confirmed } from "./confirm.js";
import { Facts, Rows, byId, make, setText } from "./dom.js";
import { exact, limitName, meterName } from "./format.js";
import { limitKey } from "./limits.js";

const SOURCES = {
    file: "configuration",
    registry: "registry",
    override: "configuration, changed in the registry",
};

const DELETE = "Delete key\u2026";
const TAKE_BACK = "Take changes back\u2026";

/** The grants that have not ended, in words. */
function granted(grants, now_ms) {
    const words = grants
        .filter(({ until_ms }) => until_ms > now_ms)
        .map(({ until_ms, amount, ...of }) => {
            const until = new Date(until_ms).toLocaleString();
            return `${exact(amount)} ${limitName(of)} until ${until}`;
        });
    return words.length > 0 ? words.join("; ") : "nothing";
}

/** Options of a <select> that follow a list of [value, text]. */
function options(select) {
    const create = ([value, text]) => ({ element: make("option", { value }, text), fill() {} });
    select.replaceChildren();
    return new Rows(select, ([value]) => value, create);
}

/** What a grant can be for: each limit, and all limits of a meter that has several. */
function budgets(limits) {
    const meters = limits.map(({ meter }) => meter);
    const several = new Set(meters.filter((meter, i) => meters.indexOf(meter) < i));
    return [
        ...limits.map((limit) => [limitKey(limit), limitName(limit)]),
        ...[...several].map((meter) => [meter, `${meterName(meter)}, each limit`]),
    ];
}

export class Key {
    #id;
    #key = null; // as the node told it last
    #limits = [];
    #plans;
    #budgets;
    #facts = new Facts(byId("key-facts"));

    /** ask(method, path, body, show, say): as Subject asks; changed(): what others show of it may be old. */
    constructor(ask, changed) {
        this.ask = ask;
        this.changed = changed;
        const on = (id, type, act) =>
            byId(id).addEventListener(type, (event) => {
                event.preventDefault();
                act();
            });
        on("plan-form", "submit", () => this.#changePlan());
        on("able", "click", () => this.#changeDisabled());
        on("grant", "submit", () => this.#grant());
        on("take-back", "click", () => this.#takeBack());
    }

    get known() {
        return this.#key !== null;
    }

    open(id) {
        this.#id = id;
        this.#limits = [];
        this.#plans = options(byId("plan"));
        this.#budgets = options(byId("budget"));
        this.#say("");
        this.#forget();
    }

    load() {
        this.ask("GET", "plans", undefined, ({ plans }) => {
            const names = plans.map(({ name }) => [name, name]);
            this.#plans.update(names, true);
            this.#loadKey();
        });
    }

    showLimits(limits) {
        this.#limits = limits;
        this.#budgets.update(budgets(limits), true);
    }

    get #path() {
        return `keys/${encodeURIComponent(this.#id)}`;
    }

    #loadKey() {
        const gone = (why, code) => {
            if (code === "unknown_key") {
                this.#forget();
            }
        };
        this.ask("GET", this.#path, undefined, (key) => this.#show(key), gone);
    }

    /** there: the configuration names one. */
    showRegistry(there) {
        byId("key-changes").disabled = !there;
        byId("key-off").hidden = there;
    }

    #forget() {
        this.#key = null;
        byId("key").hidden = true;
    }

    #show(key) {
        const none = (text) => text ?? "none";
        const before = this.#key;
        if (key.plan !== before?.plan) {
            byId("plan").value = key.plan ?? ""; // what somebody chose meanwhile stays otherwise
        }
        this.#key = key;
        this.#facts.set("Plan", none(key.plan));
        this.#facts.set("Team", none(key.team));
        this.#facts.set("Org", none(key.org));
        this.#facts.set("State", key.disabled ? "disabled" : "enabled", Boolean(key.disabled));
        this.#facts.set("From", SOURCES[key.source]);
        this.#facts.set("Granted", granted(key.grants ?? [], Date.now()));
        setText(byId("able"), key.disabled ? "Enable key\u2026" : "Disable key\u2026");
        setText(byId("take-back"), key.source === "registry" ? DELETE : TAKE_BACK);
        byId("take-back").hidden = key.source === "file";
        byId("key").hidden = false;
        if (before === null) {
            this.changed();
        }
    }

    #say(text, style = "") {
        setText(byId("key-said"), text);
        byId("key-said").className = `result ${style}`;
    }

    /** Asks the operator, then the node; `done` is said when it is in force. */
    async #change(question, method, path, body, done) {
        if (!(await confirmed(question))) {
            return;
        }
        this.#say("Asking\u2026");
        this.ask(
            method,
            path,
            body,
            () => {
                this.#say(done, "yes");
                this.#look();
            },
            (why) => {
                this.#say(why, "no");
                this.#look(); // a change without an answer may have been made
            },
        );
    }

    #look() {
        this.#loadKey();
        this.changed();
    }

    /** What only the registry has is gone then; of what it changes, the configuration's holds again. */
    #takeBack() {
        const deletes = this.#key.source === "registry";
        const question = deletes
            ? {
                  title: "Delete key?",
                  text: `key:${this.#id} is refused from then on, on every node.`,
                  yes: "Delete",
              }
            : {
                  title: "Take changes back?",
                  text: `Of key:${this.#id} all holds again that the configuration says. What was granted to it ends.`,
                  yes: "Take back",
              };
        const done = deletes ? "It is deleted." : "The configuration holds again.";
        this.#change(question, "DELETE", this.#path, undefined, done);
    }

    #changePlan() {
        const [from, to] = [this.#key.plan ?? "none", byId("plan").value];
        if (from === to) {
            this.#say(`Its plan is ${to} already.`);
            return;
        }
        const question = {
            title: "Change plan?",
            text: `The plan of key:${this.#id}, from ${from} to ${to}. What it used so far counts on.`,
            yes: "Change plan",
        };
        this.#change(question, "PATCH", this.#path, { plan: to }, `Its plan is ${to} now.`);
    }

    #changeDisabled() {
        const disabled = !this.#key.disabled;
        const [yes, from, to] = disabled
            ? ["Disable key", "enabled", "disabled"]
            : ["Enable key", "disabled", "enabled"];
        const then = disabled ? "refused from then on" : "taken again";
        const question = {
            title: `${yes}?`,
            text: `key:${this.#id}, from ${from} to ${to}. Its requests are ${then}, on every node.`,
            yes,
        };
        this.#change(question, "PATCH", this.#path, { disabled }, `It is ${to} now.`);
    }

    #grant() {
        const amount = byId("grant-amount").valueAsNumber;
        const [meter, window] = byId("budget").value.split("/");
        const granted = this.#limits.filter(
            (one) => one.meter === meter && [undefined, String(one.window_s)].includes(window),
        );
        const more = (one) =>
            `${limitName(one)} from ${exact(one.limit)} to ${exact(one.limit + amount)}`;
        const question = {
            title: "Grant extra budget?",
            text: `Once, for key:${this.#id}: ${granted.map(more).join(", ")}, until the time of the limit has passed.`,
            yes: "Grant",
        };
        const body = {
            [meter]: amount,
            ...(window === undefined ? {} : { window_s: Number(window) }),
        };
        const done = `Granted: ${exact(amount)} ${meterName(meter)} more.`;
        this.#change(question, "POST", `${subjectPath(`key:${this.#id}`)}/grant`, body, done);
    }
}
