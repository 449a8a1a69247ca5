// SPDX-License-Identifier: Apache-2.0
// Rates per second from counters: differences between one overview and the next. Pure.

/** How far back the charts look. */
export const SPAN_MS = 300_000;
/** Figures of "now" are means of so long. */
const NOW_MS = 10_000;

const sum = (numbers) => Object.values(numbers).reduce((a, b) => a + b, 0);

/** The counters of an overview whose rates are shown. */
const counters = ({ totals }) => ({
    allowed: totals.allowed,
    denied: sum(totals.denied),
    unavailable: totals.unavailable,
    input: totals.input_tokens,
    output: totals.output_tokens,
    ok: totals.responses["2xx"],
    refused: totals.responses["4xx"],
    failed: totals.responses["5xx"],
});

const subjectCounters = (subject) => ({
    allowed: subject.allowed,
    denied: subject.denied,
    tokens: subject.input_tokens + subject.output_tokens,
});

/** null where a counter went back: the node, or the tracking of the subject, began anew. */
function perSecond(from, to, ms) {
    const names = Object.keys(to);
    if (ms <= 0 || names.some((name) => to[name] < from[name])) {
        return null;
    }
    return Object.fromEntries(names.map((name) => [name, ((to[name] - from[name]) * 1000) / ms]));
}

/** Counts with their times, of the last NOW_MS. */
class Recent {
    #counts = [];

    add(time, counts) {
        const last = this.#counts.at(-1);
        if (last && perSecond(last.counts, counts, time - last.time) === null) {
            this.#counts = [];
        }
        this.#counts.push({ time, counts });
        while (this.#counts.length > 2 && this.#counts[0].time < time - NOW_MS) {
            this.#counts.shift();
        }
    }

    /** Each counter's mean rate; null while there is one count alone. */
    get rates() {
        const [first, last] = [this.#counts[0], this.#counts.at(-1)];
        return perSecond(first.counts, last.counts, last.time - first.time);
    }
}

export class Rates {
    /** Rates by time, oldest first: {time, allowed, ..., p50, p99}; no rates where they are not known. */
    samples = [];
    #last = null;
    #all = new Recent();
    #subjects = new Map();

    add(overview) {
        const time = overview.time_ms;
        const counts = counters(overview);
        if (this.#last !== null) {
            this.#sample(time, counts, overview.decision_us);
        }
        this.#last = { time, counts };
        this.#all.add(time, counts);

        const subjects = new Map();
        for (const subject of overview.subjects) {
            const recent = this.#subjects.get(subject.subject) ?? new Recent();
            recent.add(time, subjectCounters(subject));
            subjects.set(subject.subject, recent);
        }
        this.#subjects = subjects;
    }

    #sample(time, counts, { p50, p99 }) {
        const ms = time - this.#last.time;
        if (ms < 0) {
            this.samples = []; // the node's clock was set back
        }
        // Over a gap of the connection there is no line: nobody saw what was in between.
        const rates = ms > 5000 ? null : perSecond(this.#last.counts, counts, ms);
        this.samples.push(rates === null ? { time } : { time, ...rates, p50, p99 });
        while (this.samples[0].time < time - SPAN_MS) {
            this.samples.shift();
        }
    }

    /** Now, of the whole node; null while not known. */
    get now() {
        return this.#all.rates;
    }

    /** Now, of one of the last overview's subjects. */
    of(subject) {
        return this.#subjects.get(subject).rates;
    }
}
