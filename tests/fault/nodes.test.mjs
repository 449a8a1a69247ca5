// SPDX-License-Identifier: Apache-2.0
// A node dies, stops for a while, or all are started anew one by one (guarantees 1 and 5).
import assert from "node:assert/strict";
import { sleep } from "../integration/support/wait.mjs";
import { scenario, statuses } from "./support/scenario.mjs";
import { ALL } from "./support/world.mjs";

async function killOne(world) {
    await world.killMachine(0);
    await sleep(1500);
    await world.startMachine(0);
}

function stopFor(ms) {
    return async (world) => {
        world.signalMachine(0, "SIGSTOP");
        await sleep(ms);
        world.signalMachine(0, "SIGCONT");
    };
}

async function rollingRestart(world) {
    for (const i of ALL) {
        await world.stopMachine(i);
        await world.startMachine(i);
        await sleep(200);
    }
}

scenario("a node: kill -9", {}, killOne, {
    closed: {
        "no window is over": async (result) => {
            await result.holds();
            result.othersWork(0);
            const refused = result.between(result.beginUs, result.endUs, 0);
            assert.ok(statuses(refused).includes("ECONNREFUSED"));
            result.serviceIsNormal();
        },
    },
    local: {
        // until it has found Redis, the new one is cut off
        "at most C and its share": async (result) => {
            await result.holds(() => 1);
            result.othersWork(0);
            result.serviceIsNormal();
        },
    },
});

for (const [name, ms] of [
    // many lives of a lease, and within the window: whatever it does with dead leases is seen
    ["for less than a window", 900],
    ["for longer than a window", 2500],
]) {
    scenario(`a node: SIGSTOP and SIGCONT, ${name}`, {}, stopFor(ms), {
        closed: {
            "no window is over": async (result) => {
                await result.holds();
                result.othersWork(0);
                const asked = result.between(result.beginUs + 2e5, result.endUs - 2e5, 0);
                assert.ok(asked.length <= 2, "it did not stop");
                result.serviceIsNormal({ stopped: 0 });
            },
        },
        local: {
            "at most C and its share": async (result) => {
                await result.holds(() => 1);
                result.othersWork(0);
                result.serviceIsNormal({ stopped: 0 });
            },
        },
    });
}

scenario("a rolling restart of all nodes", {}, rollingRestart, {
    closed: {
        "no window is over": async (result) => {
            await result.holds();
            result.serviceIsNormal();
        },
    },
    local: {
        "at most C and the shares of all": async (result) => {
            await result.holds(() => ALL.length);
            result.serviceIsNormal();
        },
    },
});
