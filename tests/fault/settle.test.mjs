// SPDX-License-Identifier: Apache-2.0
// Settlements are lost, and repeated on any node (guarantee 1): what is given back is given back
// once, and what nobody settles stands.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sleep } from "../integration/support/wait.mjs";
import { NODES, inScenario } from "./support/scenario.mjs";

describe("settlements lost and repeated", () => {
    it("no window is over", () => {
        const statuses = new Set();
        /** One of three is lost, one comes three times, on other nodes too, one once. */
        const settle = async (load, charge) => {
            const turn = load.charges.length % 3;
            const output = 2 + (load.charges.length % 19);
            for (let i = 0; i < [0, 3, 1][turn]; i++) {
                statuses.add(await load.settleTo(charge, output, (charge.node + i) % NODES));
            }
        };
        return inScenario(
            { policy: "closed", settle },
            () => sleep(2000),
            async (result) => {
                await result.holds(0);
                assert.deepEqual([...statuses], [200]);
                result.serviceIsNormal();
            },
        );
    });

    it("no window is over when the link loses them", () =>
        inScenario(
            {
                ...{ policy: "closed", linked: true },
                settle: async (load, charge) => {
                    const output = 2 + (load.charges.length % 19);
                    for (let i = 0; i < 3; i++) {
                        if ((await load.settleTo(charge, output)) === 200) {
                            return;
                        }
                        await sleep(50);
                    }
                },
            },
            async ({ links }) => {
                for (let i = 0; i < 8; i++) {
                    const link = links[i % NODES];
                    link.set("reset");
                    await sleep(100);
                    link.set("pass");
                    await sleep(200);
                }
            },
            async (result) => {
                await result.holds(0);
                result.serviceIsNormal();
            },
        ));
});
