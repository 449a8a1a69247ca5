// SPDX-License-Identifier: Apache-2.0
// deploy/haproxy/weir.cfg in a real HAProxy.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { answers, onPorts } from "./support/deploy.mjs";
import { Program, temporaryFolder } from "./support/process.mjs";
import { freePort } from "./support/redis.mjs";
import { Node, SECRETS } from "./support/weir.mjs";

describe("HAProxy before four nodes", () => {
    const nodes = [];
    let folder, haproxy, url;
    before(async () => {
        nodes.push(...(await Promise.all([0, 1, 2, 3].map(() => Node.start()))));
        folder = temporaryFolder();
        const port = await freePort();
        url = `http://127.0.0.1:${port}`;
        const ports = Object.fromEntries(nodes.map((node, i) => [8000 + i, node.port]));
        ports[8080] = port;
        const path = join(folder.path, "weir.cfg");
        writeFileSync(path, onPorts("deploy/haproxy/weir.cfg", ports));
        haproxy = new Program("haproxy", ["-db", "-f", path]);
        await answers(haproxy, `${url}/readyz`, 200);
    });
    after(async () => {
        await haproxy.end("SIGKILL");
        folder.remove();
        await Promise.all(nodes.map((node) => node.stop()));
    });

    async function chat() {
        const answer = await fetch(`${url}/v1/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${SECRETS.a}`, "content-type": "application/json" },
            body: JSON.stringify({
                model: "weir-mock",
                messages: [{ role: "user", content: "Hello" }],
                max_tokens: 1,
            }),
        });
        await answer.arrayBuffer();
        return answer.status;
    }

    const usedOf = async (node) => (await node.limits("a"))["requests/60"].used;

    it("spreads requests over all of them", async () => {
        const statuses = await Promise.all(Array.from({ length: 40 }, chat));
        assert.deepEqual(new Set(statuses), new Set([200]));
        const used = await Promise.all(nodes.map(usedOf));
        assert.equal(
            used.reduce((sum, n) => sum + n, 0),
            40,
        );
        assert.ok(Math.min(...used) > 0, `${used}`);
    });

    it("loses no request when a node stops", async () => {
        let stopping = true;
        const clients = Array.from({ length: 4 }, async () => {
            const statuses = [];
            for (let more = 10; more > 0; more -= stopping ? 0 : 1) {
                statuses.push(await chat());
            }
            return statuses;
        });
        await nodes.shift().stop();
        stopping = false;
        const statuses = (await Promise.all(clients)).flat();
        assert.ok(statuses.length >= 40);
        assert.deepEqual(new Set(statuses), new Set([200]));
    });
});
