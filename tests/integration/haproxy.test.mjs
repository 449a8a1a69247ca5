// SPDX-License-Identifier: Apache-2.0
// deploy/haproxy/weir.cfg in a real HAProxy.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { answers, onPorts } from "./support/deploy.mjs";
import { Program, temporaryFolder } from "./support/process.mjs";
import { freePort, Redis, storeReady } from "./support/redis.mjs";
import { configuration, Node, SECRETS } from "./support/weir.mjs";

const NODES = 4;

/** Nodes of these configurations behind HAProxy. */
class Entry {
    static async start(configs) {
        const entry = new Entry();
        entry.nodes = await Promise.all(configs.map((config) => Node.start(config)));
        await Promise.all(entry.nodes.map((node) => storeReady(node)));
        entry.folder = temporaryFolder();
        const port = await freePort();
        entry.url = `http://127.0.0.1:${port}`;
        const ports = Object.fromEntries(entry.nodes.map((node, i) => [8000 + i, node.port]));
        ports[8080] = port;
        const path = join(entry.folder.path, "weir.cfg");
        writeFileSync(path, onPorts("deploy/haproxy/weir.cfg", ports));
        entry.haproxy = new Program("haproxy", ["-db", "-f", path]);
        await answers(entry.haproxy, `${entry.url}/readyz`, 200);
        return entry;
    }

    /** A chat's status. */
    async chat(key = SECRETS.a) {
        const answer = await fetch(`${this.url}/v1/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
            body: JSON.stringify({
                model: "weir-mock",
                messages: [{ role: "user", content: "Hello" }],
                max_tokens: 1,
            }),
        });
        await answer.arrayBuffer();
        return answer.status;
    }

    /** Four clients that chat while this is under way, and ten times more: all statuses. */
    async chatDuring(what) {
        let running = true;
        const clients = Array.from({ length: 4 }, async () => {
            const statuses = [];
            for (let more = 10; more > 0; more -= running ? 0 : 1) {
                statuses.push(await this.chat());
            }
            return statuses;
        });
        const done = what().finally(() => {
            running = false;
        });
        const [, ...statuses] = await Promise.all([done, ...clients]);
        return statuses.flat();
    }

    async stop() {
        await this.haproxy.end("SIGKILL");
        this.folder.remove();
        await Promise.all(this.nodes.map((node) => node.stop()));
    }
}

const usedOf = async (node) => (await node.limits("a"))["requests/60"].used;
const onlyAdmitted = (statuses) => assert.deepEqual(new Set(statuses), new Set([200]));

describe("HAProxy before four nodes", () => {
    let entry;
    before(async () => {
        entry = await Entry.start(Array(NODES).fill(configuration()));
    });
    after(() => entry.stop());

    it("spreads requests over all of them", async () => {
        onlyAdmitted(await Promise.all(Array.from({ length: 40 }, () => entry.chat())));
        const used = await Promise.all(entry.nodes.map(usedOf));
        assert.equal(
            used.reduce((sum, n) => sum + n, 0),
            40,
        );
        assert.ok(Math.min(...used) > 0, `${used}`);
    });

    it("loses no request when a node stops", async () => {
        const statuses = await entry.chatDuring(() => entry.nodes.shift().stop());
        assert.ok(statuses.length >= 40);
        onlyAdmitted(statuses);
    });
});

describe("HAProxy before nodes with a Redis", () => {
    const SMALL = 40; // of key b: a multiple of NODES
    let shared, other, entry; // the last node has the other one: it can be cut off
    before(async () => {
        [shared, other] = await Promise.all([Redis.start(), Redis.start()]);
        const plan = (requests) => ({ limits: { requests }, default_output_tokens: 1 });
        const of = ({ url }) =>
            configuration({
                ...{ store: url, nodes: NODES, on_store_failure: "local" },
                plans: { roomy: plan("10M/min"), tiny: plan(`${SMALL}/min`) },
                keys: [
                    { id: "a", secret: SECRETS.a, plan: "roomy" },
                    { id: "b", secret: SECRETS.b, plan: "tiny" },
                ],
            });
        entry = await Entry.start([shared, shared, shared, other].map(of));
    });
    after(async () => {
        await entry.stop();
        await Promise.all([shared.stop(), other.stop()]);
    });

    it("sends nothing to one that does not reach it while others do", async () => {
        await other.kill();
        await entry.haproxy.says(/Server ready\/node4 is DOWN/);
        onlyAdmitted(await Promise.all(Array.from({ length: 40 }, () => entry.chat())));
        assert.equal(await usedOf(entry.nodes[3]), 0);
    });

    it("sends to all of them when none reaches it, and each decides by its share", async () => {
        const statuses = await entry.chatDuring(async () => {
            await shared.kill();
            await entry.haproxy.says(/backend 'ready' has no server available/);
            const asked = [];
            while (asked.length < 2 * SMALL) {
                asked.push(await entry.chat(SECRETS.b));
            }
            assert.deepEqual(new Set(asked), new Set([200, 429]));
            const admitted = asked.filter((status) => status === 200).length;
            assert.ok(admitted > SMALL / NODES && admitted <= SMALL, `${admitted}`);
            entry.haproxy.output = "";
            await Promise.all([shared.restart(), other.restart()]);
            await entry.haproxy.says(/(Server ready\/node\d is UP[^]*){4}/);
        });
        onlyAdmitted(statuses);
    });
});
