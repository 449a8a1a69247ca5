// SPDX-License-Identifier: Apache-2.0
// What the product does not hold yet. These run with everything else and are reported as to do; a
// line is taken out when its reason is gone.

/** "scenario: verdict" and why it waits. */
const WAITING = {};

/** Options of the test of this name. */
export function unlessWaiting(name) {
    return name in WAITING ? { todo: WAITING[name] } : {};
}
