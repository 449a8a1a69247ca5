// SPDX-License-Identifier: Apache-2.0
// Figures as text. Pure.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** To the last digit: 1,234,567. */
export const exact = (n) => whole.format(n);

/** Short: 9,999, then 12.3K, 4.5M. */
export const count = (n) => (Math.abs(n) < 10000 ? whole : short).format(n);

/** Of something per second: one decimal while it is small. null: not known yet. */
export function rate(n) {
    if (n === null) {
        return "\u2013";
    }
    return n !== 0 && n < 9.95 ? tenth.format(n) : count(n);
}

/** A time in microseconds. */
export function micros(us) {
    if (us === null) {
        return "\u2013";
    }
    return us < 1000 ? `${rate(us)} \u00b5s` : `${rate(us / 1000)} ms`;
}

const units = [
    ["day", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
];

/** A window's length: "min", "30 s", "7 day". */
function length(seconds) {
    const [unit, size] = units.find(([, size]) => seconds % size === 0);
    return seconds === size ? unit : `${seconds / size} ${unit}`;
}

export const meterName = (meter) => meter.replaceAll("_", " ");

/** A limit's name: "input tokens / min". */
export const limitName = ({ meter, window_s }) => `${meterName(meter)} / ${length(window_s)}`;

/** How long, by its two largest units: "2 h 5 min". */
export function duration(ms) {
    if (ms < 1000) {
        return `${Math.ceil(ms)} ms`;
    }
    if (ms < 60000) {
        return `${tenth.format(ms / 1000)} s`;
    }
    const seconds = Math.floor(ms / 1000);
    const first = units.findIndex(([, size]) => seconds >= size);
    const [[unit, size], [nextUnit, nextSize]] = units.slice(first, first + 2);
    return `${Math.floor(seconds / size)} ${unit} ${Math.floor((seconds % size) / nextSize)} ${nextUnit}`;
}

/** The share of a limit that is used, as 0 to 1. */
export const use = ({ used, limit }) => (limit > 0 ? Math.min(1, used / limit) : 1);

/** From here on a limit is nearly used up, as for weir_near_limit_total. */
export const isNear = (limit) => use(limit) > 0.9;
