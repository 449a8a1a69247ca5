// SPDX-License-Identifier: Apache-2.0
// SIGHUP with other upstreams: the next request goes by these, whatever is under way stays with those
// that it began with, and nothing fails.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gateway, upstream } from "./support/proxy.mjs";
import { freePort } from "./support/redis.mjs";
import { model } from "./support/upstream.mjs";
import { eventually } from "./support/wait.mjs";
import { writeConfiguration } from "./support/weir.mjs";

const CONFIG = {
    workers: 2,
    plans: { p: { limits: { requests: "1M/min" }, default_output_tokens: 10 } },
    keys: [{ id: "k", secret: "sk-k", plan: "p" }],
};

const entries = (upstreams) => Object.entries(upstreams).map(([name, fields]) => ({ name, ...fields }));

/** Writes the file with these upstreams, sends SIGHUP and waits until it is in force. */
async function change(node, upstreams) {
    const from = node.log.length;
    writeConfiguration(node.folder.path, { ...node.configuration, upstreams: entries(upstreams) });
    node.program.signal("SIGHUP");
    const said = await eventually(() => node.log.slice(from).match(/reload: (.*)\n/)?.[1], "the reload");
    assert.match(said, /^in force: /);
}

const start = (t, upstreams, changes) => gateway(t, upstreams, { ...CONFIG, ...changes });

async function chat(node, body) {
    const { status, text } = await node.chat("sk-k", body);
    assert.equal(status, 200, text);
}

const keysOf = (u) => u.requests.map(({ headers }) => headers.authorization);

async function answered(node, name) {
    const { text } = await node.ask("GET", "/metrics");
    const row = `weir_upstream_responses_total{upstream="${name}",status="2xx"} `;
    return text.split("\n").find((line) => line.startsWith(row))?.slice(row.length);
}

describe("a reload with other upstreams", () => {
    it("asks with the new key at the new place, and counts on", async (t) => {
        const [one, two] = [await upstream(t), await upstream(t)];
        const node = await start(t, { u: { base_url: one.url, api_key: "sk-old" } });
        await chat(node);
        await change(node, { u: { base_url: one.url, api_key: "sk-new" } });
        await chat(node);
        await change(node, { u: { base_url: two.url, api_key: "sk-two" } });
        await chat(node);
        assert.deepEqual(keysOf(one), ["Bearer sk-old", "Bearer sk-new"]);
        assert.deepEqual(keysOf(two), ["Bearer sk-two"]);
        assert.equal(await answered(node, "u"), "3");
    });

    it("sends each model where it is served now, and no other", async (t) => {
        const [one, two] = [await upstream(t), await upstream(t)];
        const node = await start(t, { one: { base_url: one.url } });
        await change(node, {
            two: { base_url: two.url, models: ["llama"] },
            one: { base_url: one.url, models: ["gpt-*"] },
        });
        await chat(node, { model: "llama" });
        await chat(node, { model: "gpt-4o" });
        assert.deepEqual([one.requests.length, two.requests.length], [1, 1]);
        await change(node, { two: { base_url: two.url, models: ["llama"] } });
        assert.equal((await node.chat("sk-k", { model: "gpt-4o" })).status, 404);
        assert.equal(await answered(node, "one"), undefined);
        assert.equal(await answered(node, "two"), "1");
    });

    it("lets a stream end where it began", async (t) => {
        const [one, two] = [await upstream(t), await upstream(t)];
        let goOn;
        const gate = new Promise((resolve) => (goOn = resolve));
        one.answer = async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write('data: {"choices":[{"index":0,"delta":{"content":"be"}}]}\n\n');
            await gate;
            response.end('data: {"choices":[{"index":0,"delta":{"content":"gun"}}]}\n\ndata: [DONE]\n\n');
        };
        const node = await start(t, { u: { base_url: one.url, api_key: "sk-old" } });
        const streaming = node.chat("sk-k", { stream: true });
        await eventually(() => one.requests.length === 1, "the stream to begin");
        await change(node, { v: { base_url: two.url } });
        await chat(node);
        assert.equal(two.requests.length, 1);
        goOn();
        const { status, text } = await streaming;
        assert.equal(status, 200);
        assert.match(text, /"gun".*\[DONE\]/s);
    });

    it("lets a request that is under way fail over as it could when it began", async (t) => {
        const [one, two, other] = [await upstream(t), await upstream(t), await upstream(t)];
        let goOn;
        const gate = new Promise((resolve) => (goOn = resolve));
        const asked = [];
        const answer = model();
        for (const u of [one, two]) {
            u.answer = async (request, ...rest) => {
                asked.push(request.headers.authorization);
                if (asked.length === 1) {
                    await gate;
                    request.socket.destroy();
                } else {
                    await answer(request, ...rest);
                }
            };
        }
        const keyed = (u, api_key) => ({ base_url: u.url, api_key });
        const node = await start(t, { one: keyed(one, "sk-one"), two: keyed(two, "sk-two") });
        const asking = chat(node);
        await eventually(() => asked.length === 1, "the request to come");
        await change(node, { other: keyed(other, "sk-other") });
        goOn();
        await asking;
        assert.deepEqual(asked.toSorted(), ["Bearer sk-one", "Bearer sk-two"]);
        assert.equal(other.requests.length, 0);
    });

    it("asks one at once that cooled in its old place", async (t) => {
        const [one, other] = [await upstream(t), await upstream(t)];
        const port = await freePort();
        const place = { base_url: `http://127.0.0.1:${port}/v1`, models: ["m"] };
        const node = await start(t, { u: place, other: { base_url: other.url, models: ["m"] } }, { workers: 1 });
        const ask = () => chat(node, { model: "m" });
        const failed = async () => (await node.ask("GET", "/metrics")).text.match(/="u",reason="connect"} (\d+)/)[1];
        while ((await failed()) === "0") {
            await ask(); // of two that are alike one is drawn
        }
        await change(node, { u: { ...place, base_url: one.url, weight: 1000 }, other: { base_url: other.url, models: ["m"] } });
        await ask();
        assert.ok(one.requests.length > 0);
    });

    it("fails no request of many", async (t) => {
        const [one, two] = [await upstream(t, model({ words: 2 })), await upstream(t, model({ words: 2 }))];
        const sets = [one, two, one].map((u, i) => ({ [i < 2 ? "u" : "w"]: { base_url: u.url, api_key: `sk-${i}` } }));
        const node = await start(t, sets[0]);
        let running = true;
        let asked = 0;
        const client = async () => {
            for (; running; asked++) {
                await chat(node, { max_tokens: 5, stream: asked % 2 === 0 });
            }
        };
        const clients = Array.from({ length: 8 }, client);
        for (let i = 1; i <= 15; i++) {
            await change(node, sets[i % 3]);
        }
        running = false;
        await Promise.all(clients);
        assert.ok(asked > 20);
        assert.equal(one.requests.length + two.requests.length, asked);
    });
});
