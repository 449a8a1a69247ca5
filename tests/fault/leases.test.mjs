// SPDX-License-Identifier: Apache-2.0
// A node is stopped while it holds as much as a node ever holds, and goes on when that is no longer
// its own (guarantee 1). Elsewhere a lease is less than what verify can tell: at most what a node
// uses in 1/170 of a window.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { run } from "../integration/support/process.mjs";
import { eventually, sleep } from "../integration/support/wait.mjs";
import { WEIR } from "../integration/support/weir.mjs";
import { ALL, MODE, PLANS, World, limitsOf } from "./support/world.mjs";

/** The worst window of the quick key: {code, sum}. */
async function verify(world, charges) {
    const path = join(world.folder.path, "record.jsonl");
    writeFileSync(path, charges.map((charge) => JSON.stringify(charge)).join("\n"));
    const { requests } = limitsOf("quick", world.windowS, 0);
    const args = ["verify", "--json", "--limits", `requests: ${requests}`, path];
    const { code, output } = await run(WEIR, args);
    return { code, sum: JSON.parse(output).windows[0].worst.sum };
}

/** An empty window and a quick node: what fits is most, and so is what it takes ahead. It stops in
 * the midst of that; the others use up the rest, and go on when it is free again. */
async function stopInTheBurst(world) {
    const [group] = world.groups;
    const key = `weir:{key:${group.quick.id}}`;
    group.askEvenly(0, { rate: 8000, clients: 4 });
    await eventually(async () => (await world.redis.command("EXISTS", key)) === "1", "a charge");
    world.signalMachine(0, "SIGSTOP");
    ALL.slice(1).forEach((machine) => group.askEvenly(machine, { rate: 1000 }));
    await sleep(1200);
    world.signalMachine(0, "SIGCONT");
    await sleep(3500);
}

describe("a node: SIGSTOP while it holds a lease", () => {
    it("closed: no window is over", { skip: MODE !== "lease" }, async (t) => {
        const world = await World.start({ policies: ["closed"], redis: {} });
        try {
            await stopInTheBurst(world);
            const charges = await world.groups[0].end();
            const { code, sum } = await verify(world, charges);
            const leases = await world.groups[0].count("weir_lease_decisions_total");
            t.diagnostic(`requests ${sum} of ${PLANS.quick.requests}, ${leases} from leases`);
            assert.equal(code, 0);
            assert.ok(sum >= 0.99 * PLANS.quick.requests);
            assert.ok(leases[0] >= 100);
        } finally {
            await world.stop();
        }
    });
});
