// SPDX-License-Identifier: Apache-2.0
// A single Redis dies, stops, or comes back without what it held (guarantees 1 and 5).
import assert from "node:assert/strict";
import { sleep } from "../integration/support/wait.mjs";
import { scenario } from "./support/scenario.mjs";
import { ALL, PLANS } from "./support/world.mjs";

/** Each write is on disk before it is answered. */
const KEEPS_ALL = { redis: { args: ["--appendonly", "yes", "--appendfsync", "always"] } };
/** Longer than W and r: no window has both what was admitted before and what is admitted after. */
const LONG_MS = 3300;

function killFor(ms) {
    return async ({ redis }) => {
        await redis.kill();
        await sleep(ms);
        await redis.restart();
    };
}

async function stop({ redis }) {
    redis.program.signal("SIGSTOP");
    await sleep(LONG_MS);
    redis.program.signal("SIGCONT");
}

/** `long`: the outage is longer than W. */
function verdicts({ long }) {
    return {
        closed: {
            "no window is over": async (result) => {
                await result.holds();
                result.refusedAlone(long ? ALL : []);
            },
            "service is normal in 3 s": (result) => result.serviceIsNormal(),
        },
        local: {
            "at most C and the shares of all": async (result) => {
                await result.holds(() => ALL.length);
                result.wentOnAlone(long ? ALL : []);
            },
            "service is normal in 3 s": (result) => result.serviceIsNormal(),
        },
    };
}

scenario("Redis: kill -9, back with all it had", KEEPS_ALL, killFor(1500), verdicts({}));
scenario("Redis: SIGSTOP and SIGCONT", { redis: {} }, stop, verdicts({ long: true }));
// What Redis had acknowledged is lost; the nodes it was acknowledged to live, and say so.
scenario("Redis: kill -9, back empty at once", { redis: {} }, killFor(0), verdicts({}));

scenario("the verdict", { redis: {} }, stop, {
    open: {
        "is that windows are over, with what stops limiting": async (result) => {
            const verdicts = await result.verify(() => ALL.length);
            const { code, worst } = verdicts.find(({ plan }) => plan === "even");
            assert.equal(code, 1);
            assert.ok(Math.min(...worst.requests) > 2 * PLANS.even.requests);
            result.serviceIsNormal();
        },
    },
});
