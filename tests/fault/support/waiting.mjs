// SPDX-License-Identifier: Apache-2.0
// What the product does not hold yet. These run with everything else and are reported as to do; a
// line is taken out when its reason is gone.

const BARRIER = "nodes do not charge again yet what the store has lost (lease rules 8 to 12)";

/** "scenario: verdict" and why it waits. */
const WAITING = {
    "a primary: kill -9, and all of its writes with it: closed: no window is over": BARRIER,
    "all of Redis: kill -9, back empty within W: closed: no window is over": BARRIER,
    "Redis: kill -9, back empty at once: closed: no window is over": BARRIER,
};

/** Options of the test of this name. */
export function unlessWaiting(name) {
    return name in WAITING ? { todo: WAITING[name] } : {};
}
