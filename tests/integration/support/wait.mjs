// SPDX-License-Identifier: Apache-2.0
// Waiting for what must come soon.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

/** A request that is denied now passes when its denial says so, and not before; as far as a busy machine
 * lets that be seen. Returns the time that was told. */
export async function passesWhenTold(ask) {
    const sent = performance.now();
    const denied = await ask();
    const received = performance.now();
    const told = denied.body.retry_after_ms;
    assert.equal(denied.status, 429, denied.text);
    await sleep(told - 150);
    const early = await ask();
    if (performance.now() < sent + told) {
        assert.equal(early.status, 429, early.text);
    }
    if (early.status === 200) {
        return told; // too late to see the moment
    }
    await sleep(Math.max(0, received + told + 1 - performance.now()));
    const due = await ask();
    assert.equal(due.status, 200, due.text);
    return told;
}

/** Until `check` gives something true, which is returned. */
export async function eventually(check, what, timeoutMs = 10000) {
    const end = Date.now() + timeoutMs;
    for (;;) {
        const found = await check();
        if (found) {
            return found;
        }
        if (Date.now() > end) {
            throw new Error(`waited in vain for ${what}`);
        }
        await sleep(20);
    }
}
