// SPDX-License-Identifier: Apache-2.0
// A node dies, stops for a while, or all are started anew one by one (guarantees 1 and 5).
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sleep } from "../integration/support/wait.mjs";
import { NODES, Result, inScenario } from "./support/scenario.mjs";

async function killOne(world) {
    await world.killNode(0);
    await sleep(1500);
    await world.startNode(0);
}

async function stopOne({ nodes }) {
    nodes[0].program.signal("SIGSTOP");
    await sleep(2500);
    nodes[0].program.signal("SIGCONT");
}

async function rollingRestart(world) {
    for (let i = 0; i < NODES; i++) {
        await world.nodes[i].stop();
        await world.startNode(i);
        await sleep(200);
    }
}

/** Whatever happens to one, the others answer as ever. */
function othersWork(result) {
    const others = result.answers.filter(({ node }) => node !== 0);
    assert.deepEqual(Result.statuses(others), [200, 429]);
}

describe("a node: kill -9", () => {
    it("closed: no window is over", () =>
        inScenario({ policy: "closed" }, killOne, async (result) => {
            await result.holds(0);
            othersWork(result);
            const refused = result.between(result.beginUs, result.endUs, 0);
            assert.ok(Result.statuses(refused).includes("ECONNREFUSED"));
            result.serviceIsNormal();
        }));

    // until it has found Redis, the new one is cut off
    it("local: at most C and its share", () =>
        inScenario({ policy: "local" }, killOne, async (result) => {
            await result.holds(1);
            othersWork(result);
            result.serviceIsNormal();
        }));
});

describe("a node: SIGSTOP and SIGCONT", () => {
    it("closed: no window is over", () =>
        inScenario({ policy: "closed" }, stopOne, async (result) => {
            await result.holds(0);
            othersWork(result);
            const asked = result.between(result.beginUs + 2e5, result.endUs - 2e5, 0);
            assert.ok(asked.length <= 2, "it did not stop");
            result.serviceIsNormal({ stopped: 0 });
        }));

    it("local: at most C and its share", () =>
        inScenario({ policy: "local" }, stopOne, async (result) => {
            await result.holds(1);
            othersWork(result);
            result.serviceIsNormal({ stopped: 0 });
        }));
});

describe("a rolling restart of all nodes", () => {
    it("closed: no window is over", () =>
        inScenario({ policy: "closed" }, rollingRestart, async (result) => {
            await result.holds(0);
            result.serviceIsNormal();
        }));

    it("local: at most C and the shares of all", () =>
        inScenario({ policy: "local" }, rollingRestart, async (result) => {
            await result.holds(NODES);
            result.serviceIsNormal();
        }));
});
