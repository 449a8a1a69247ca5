// SPDX-License-Identifier: Apache-2.0
// Waiting for what must come soon.
import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

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
