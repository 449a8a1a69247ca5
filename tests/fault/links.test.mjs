// SPDX-License-Identifier: Apache-2.0
// The links between nodes and the cluster are slow, stall, are reset or half open: of all machines, or
// of one while the others work (guarantees 1 and 5).
import assert from "node:assert/strict";
import { sleep } from "../integration/support/wait.mjs";
import { scenario, statuses } from "./support/scenario.mjs";
import { ALL } from "./support/world.mjs";

const OUTAGE_MS = 3300;

/** Sets the links of these machines for a while. */
function during(ms, machines, mode, delayMs) {
    return async (world) => {
        world.setLinks(machines, mode, delayMs);
        await sleep(ms);
        world.setLinks(machines, "pass");
    };
}

for (const [name, fault] of [
    ["slower than the time-out", during(OUTAGE_MS, ALL, "slow", 1500)],
    ["stalled", during(OUTAGE_MS, ALL, "stall")],
    ["reset", during(OUTAGE_MS, ALL, "reset")],
    ["half open", during(OUTAGE_MS, ALL, "halfOpen")],
]) {
    scenario(`every link ${name}`, { linked: true }, fault, {
        closed: {
            "no window is over": async (result) => {
                await result.holds();
                result.refusedAlone(ALL);
                result.serviceIsNormal();
            },
        },
        local: {
            "at most C and the shares of all": async (result) => {
                await result.holds(() => ALL.length);
                result.wentOnAlone(ALL);
                result.serviceIsNormal();
            },
        },
    });
}

scenario(
    "every link slow, and quicker than the time-out",
    { linked: true },
    during(2000, ALL, "slow", 100),
    {
        closed: {
            "is no fault: nobody is refused, no window is over": async (result) => {
                await result.holds();
                assert.deepEqual(statuses(result.answers), [200, 429]);
                assert.deepEqual(result.alone, [0, 0, 0, 0]);
                result.serviceIsNormal();
            },
        },
    },
);

scenario(
    "one machine cut off while the others work",
    { linked: true },
    during(OUTAGE_MS, [0], "halfOpen"),
    {
        closed: {
            "no window is over": async (result) => {
                await result.holds();
                result.refusedAlone([0]);
                result.othersWork(0);
                result.serviceIsNormal();
            },
        },
        local: {
            "at most C and its share": async (result) => {
                await result.holds(() => 1);
                result.wentOnAlone([0]);
                result.othersWork(0);
                result.serviceIsNormal();
            },
        },
    },
);
