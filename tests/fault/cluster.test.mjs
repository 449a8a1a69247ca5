// SPDX-License-Identifier: Apache-2.0
// Servers of a Redis Cluster die, stop, come back empty, or hand over a slot (guarantees 1 and 5).
import assert from "node:assert/strict";
import { sleep } from "../integration/support/wait.mjs";
import { PRIMARIES, slotOf } from "./support/cluster.mjs";
import { scenario, statuses } from "./support/scenario.mjs";
import { ALL } from "./support/world.mjs";

/** Longer than W and r with what Redis needs to be a cluster again. */
const LONG_MS = 1500;
/** Windows that are longer than Redis needs for that. */
const LONG_WINDOW_S = 5;

/** What holds when all nodes were cut off from the first primary, and from no other. */
const FIRST_IS_LOST = {
    closed: {
        "no window is over": async (result) => {
            await result.holds();
            assert.deepEqual(statuses(result.ofPrimaries(1, 2)), [200, 429]);
            result.serviceIsNormal();
        },
    },
    local: {
        "at most C and the shares of all": async (result) => {
            await result.holds(({ primary }) => (primary === 0 ? ALL.length : 0));
            assert.deepEqual(statuses(result.answers), [200, 429]);
            result.serviceIsNormal();
        },
    },
};

const ALL_ARE_LOST = {
    closed: {
        "no window is over": async (result) => {
            await result.holds();
            assert.deepEqual(statuses(result.answers), [200, 429, 503]);
        },
        "service is normal in 3 s": (result) => result.serviceIsNormal(),
    },
    local: {
        "at most C and the shares of all": async (result) => {
            await result.holds(() => ALL.length);
            assert.deepEqual(statuses(result.answers), [200, 429]);
        },
        "service is normal in 3 s": (result) => result.serviceIsNormal(),
    },
};

scenario(
    "a primary: kill -9",
    {},
    async ({ cluster }) => {
        await cluster.kill(0);
        await cluster.failover(0);
    },
    FIRST_IS_LOST,
);

// What it had acknowledged is lost, and the nodes it was acknowledged to live.
scenario(
    "a primary: kill -9, and all of its writes with it",
    { windowS: LONG_WINDOW_S, prepare: ({ cluster }) => cluster.stopReplication(0) },
    async ({ cluster }) => {
        await cluster.kill(0);
        await cluster.failover(0);
    },
    FIRST_IS_LOST,
);

scenario(
    "a primary: SIGSTOP until its replica has taken over, and SIGCONT",
    {},
    async ({ cluster }) => {
        cluster.signal(0, "SIGSTOP");
        await cluster.failover(0);
        await sleep(500);
        cluster.signal(0, "SIGCONT");
    },
    FIRST_IS_LOST,
);

/** The new node asks the former primary first who serves what. */
scenario(
    "a node that starts when a former primary answers again",
    {},
    async (world) => {
        const { cluster } = world;
        cluster.signal(0, "SIGSTOP");
        await world.killMachine(0);
        await cluster.failover(0);
        cluster.signal(0, "SIGCONT");
        await world.startMachine(0);
    },
    {
        closed: {
            "no window is over": async (result) => {
                await result.holds();
                result.serviceIsNormal();
            },
        },
        local: {
            "at most C and the shares of all": async (result) => {
                await result.holds(({ primary }) => (primary === 0 ? ALL.length : 1));
                result.serviceIsNormal();
            },
        },
    },
);

async function killAll(world, ms) {
    const { cluster } = world;
    await cluster.kill(...cluster.servers.keys());
    await sleep(ms);
    world.isBack();
    await cluster.restart();
}

scenario(
    "all of Redis: kill -9, back empty after W",
    {},
    (world) => killAll(world, LONG_MS),
    ALL_ARE_LOST,
);

scenario(
    "all of Redis: kill -9, back empty within W",
    { windowS: LONG_WINDOW_S },
    (world) => killAll(world, 0),
    ALL_ARE_LOST,
);

/** Moves the slots of the first primary's keys to the second one. */
async function moveSlots({ cluster, groups }) {
    const keys = groups.flatMap(({ keys }) => keys).filter(({ primary }) => primary === 0);
    const [from, to] = cluster.servers;
    const masters = Array.from({ length: PRIMARIES }, (_, i) => i);
    for (const { id } of keys) {
        const slot = `${slotOf(`key:${id}`)}`;
        await cluster.command(1, "cluster", "setslot", slot, "importing", from.id);
        await cluster.command(0, "cluster", "setslot", slot, "migrating", to.id);
        await sleep(100);
        const held = (await cluster.command(0, "cluster", "getkeysinslot", slot, "10000")).split("\n");
        const where = ["migrate", "127.0.0.1", `${to.port}`, "", "0", "5000", "keys"];
        for (; held.length > 0; await sleep(1)) {
            const moved = await cluster.command(0, ...where, ...held.splice(0, 50));
            assert.match(moved, /^(OK|NOKEY)$/);
        }
        for (const i of [1, 0, ...masters.slice(2)]) {
            assert.equal(await cluster.command(i, "cluster", "setslot", slot, "node", to.id), "OK");
        }
    }
}

const NOTHING_IS_LOST = {
    "no window is over, nobody is refused": async (result) => {
        await result.holds();
        assert.deepEqual(statuses(result.answers), [200, 429]);
        assert.deepEqual(result.alone, [0, 0, 0, 0]);
        result.serviceIsNormal();
    },
};

scenario("slots that move under load", {}, moveSlots, {
    closed: NOTHING_IS_LOST,
    local: NOTHING_IS_LOST,
});
