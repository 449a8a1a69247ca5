// SPDX-License-Identifier: Apache-2.0
// Settlements are lost, and repeated on any node (guarantee 1): what is given back is given back
// once, and what nobody settles stands.
import assert from "node:assert/strict";
import { sleep } from "../integration/support/wait.mjs";
import { scenario } from "./support/scenario.mjs";
import { ALL, MACHINES } from "./support/world.mjs";

const answered = new Set();

/** One of three is lost, one comes three times, on other nodes too, one once. */
async function loseAndRepeat(load, charge) {
    const turn = load.charges.length % 3;
    const output = 2 + (load.charges.length % 19);
    for (let i = 0; i < [0, 3, 1][turn]; i++) {
        answered.add(await load.settleTo(charge, output, (charge.node + i) % MACHINES));
    }
}

scenario("settlements lost and repeated", { settle: loseAndRepeat }, () => sleep(2000), {
    closed: {
        "no window is over": async (result) => {
            await result.holds();
            assert.deepEqual([...answered], [200]);
            result.serviceIsNormal();
        },
    },
});

async function insist(load, charge) {
    const output = 2 + (load.charges.length % 19);
    for (let i = 0; i < 3; i++) {
        if ((await load.settleTo(charge, output)) === 200) {
            return;
        }
        await sleep(50);
    }
}

async function resetOneByOne(world) {
    for (let i = 0; i < 8; i++) {
        world.setLinks([i % MACHINES], "reset");
        await sleep(100);
        world.setLinks([i % MACHINES], "pass");
        await sleep(200);
    }
}

scenario("settlements that a link loses", { linked: true, settle: insist }, resetOneByOne, {
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
