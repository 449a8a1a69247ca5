// SPDX-License-Identifier: Apache-2.0
// The link between nodes and Redis is slow, stalls, is reset or half open: for all nodes, or for
// one while the others work (guarantees 1 and 5).
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sleep } from "../integration/support/wait.mjs";
import { NODES, Result, inScenario } from "./support/scenario.mjs";

/** Sets the links of these nodes for a while. */
function during(ms, nodes, mode, delayMs) {
    return async ({ links }) => {
        nodes.forEach((i) => links[i].set(mode, delayMs));
        await sleep(ms);
        nodes.forEach((i) => links[i].set("pass"));
    };
}

const ALL = [0, 1, 2, 3];
const OUTAGE_MS = 3300;

for (const [name, fault] of [
    ["slower than the time-out", during(OUTAGE_MS, ALL, "slow", 1500)],
    ["stalled", during(OUTAGE_MS, ALL, "stall")],
    ["reset", during(OUTAGE_MS, ALL, "reset")],
    ["half open", during(OUTAGE_MS, ALL, "halfOpen")],
]) {
    describe(`every link ${name}`, () => {
        it("closed: no window is over", () =>
            inScenario({ policy: "closed", linked: true }, fault, async (result) => {
                await result.holds(0);
                result.refusedAlone(ALL);
                result.serviceIsNormal();
            }));

        it("local: at most C and the shares of all", () =>
            inScenario({ policy: "local", linked: true }, fault, async (result) => {
                await result.holds(NODES);
                result.wentOnAlone(ALL);
                result.serviceIsNormal();
            }));
    });
}

describe("every link slow, and quicker than the time-out", () => {
    it("is no fault: nobody is refused, no window is over", () =>
        inScenario(
            { policy: "closed", linked: true },
            during(2000, ALL, "slow", 100),
            async (result) => {
                await result.holds(0);
                assert.deepEqual(Result.statuses(result.answers), [200, 429]);
                assert.deepEqual(result.alone, [0, 0, 0, 0]);
                result.serviceIsNormal();
            },
        ));
});

describe("one node cut off while the others work", () => {
    const fault = during(OUTAGE_MS, [0], "halfOpen");

    /** The others notice nothing. */
    function othersWork(result) {
        const others = result.answers.filter(({ node }) => node !== 0);
        assert.deepEqual(Result.statuses(others), [200, 429]);
        assert.deepEqual(result.alone.slice(1), [0, 0, 0]);
    }

    it("closed: no window is over", () =>
        inScenario({ policy: "closed", linked: true }, fault, async (result) => {
            await result.holds(0);
            result.refusedAlone([0]);
            othersWork(result);
            result.serviceIsNormal();
        }));

    it("local: at most C and its share", () =>
        inScenario({ policy: "local", linked: true }, fault, async (result) => {
            await result.holds(1);
            result.wentOnAlone([0]);
            othersWork(result);
            result.serviceIsNormal();
        }));
});
