// SPDX-License-Identifier: Apache-2.0
// What of a request to an upstream counts, by its plan: cached input, requests that failed.
import assert from "node:assert/strict";
import { after, it } from "node:test";
import { onEachStore } from "./support/stores.mjs";
import { Upstream, chunk, event, fixed, model } from "./support/upstream.mjs";
import { eventually } from "./support/wait.mjs";
import { configuration } from "./support/weir.mjs";

const secret = (id) => `sk-test-secret-${id}`;

/** 1000 tokens of input, 800 of them cached, 5 of output; whole or as a stream. */
function cached(request, response, body) {
    const details = { prompt_tokens_details: { cached_tokens: 800 } };
    const usage = { prompt_tokens: 1000, completion_tokens: 5, total_tokens: 1005, ...details };
    if (JSON.parse(body).stream) {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(event(chunk({ content: "word" })));
        response.write(event({ ...chunk({}), choices: [], usage }));
        response.end("data: [DONE]\n\n");
        return;
    }
    response.setHeader("content-type", "application/json");
    const choices = [{ index: 0, message: { role: "assistant", content: "w" }, finish_reason: "stop" }];
    response.end(JSON.stringify({ id: "c", object: "chat.completion", model: "m", choices, usage }));
}

/** The same as Anthropic tells it: what was cached stands beside the input. */
function cachedMessage(request, response) {
    const usage = { input_tokens: 150, cache_read_input_tokens: 800, cache_creation_input_tokens: 50 };
    response.setHeader("content-type", "application/json");
    response.end(
        JSON.stringify({
            id: "m",
            type: "message",
            role: "assistant",
            model: "m",
            content: [{ type: "text", text: "w" }],
            stop_reason: "end_turn",
            usage: { ...usage, output_tokens: 5 },
        }),
    );
}

onEachStore("what counts", (start) => {
    const open = [];
    after(() => Promise.all(open.map((each) => each.stop())));

    /** A node with a key of this id on a plan with these fields, in front of this answer. */
    async function gateway(id, answer, fields = {}, requests = "100/min") {
        const u = await Upstream.start(answer);
        open.push(u);
        const limits = { requests, input_tokens: "100k/min", output_tokens: "100k/min" };
        return start(
            configuration({
                mode: "exact", // what a lease took ahead would be in the way
                plans: { p: { limits, default_output_tokens: 50, ...fields } },
                keys: [{ id, secret: secret(id), plan: "p" }],
                upstreams: [{ name: "u", base_url: u.url }],
            }),
        );
    }

    async function comesTo(node, id, requests, input, output) {
        let last;
        await eventually(async () => {
            const limits = await node.limits(id);
            const of = (meter) => limits[`${meter}/60`].used;
            last = [of("requests"), of("input_tokens"), of("output_tokens")];
            return last.join() === [requests, input, output].join();
        }, `${[requests, input, output]}`).catch(() =>
            assert.deepEqual(last, [requests, input, output]),
        );
    }

    it("cached input counts by its weight, whole answers and streams alike", async () => {
        const node = await gateway("w1", cached, { cached_input_weight: 0.125 });
        assert.equal((await node.chat(secret("w1"))).status, 200);
        await comesTo(node, "w1", 1, 300, 5);
        assert.equal((await node.chat(secret("w1"), { stream: true })).status, 200);
        await comesTo(node, "w1", 2, 600, 10);
    });

    it("cached input counts whole by default, and not at all with a weight of 0", async () => {
        const whole = await gateway("w2", cached);
        assert.equal((await whole.chat(secret("w2"))).status, 200);
        await comesTo(whole, "w2", 1, 1000, 5);
        const none = await gateway("w3", cached, { cached_input_weight: 0 });
        assert.equal((await none.chat(secret("w3"))).status, 200);
        await comesTo(none, "w3", 1, 200, 5);
    });

    it("what Anthropic's API read from a cache has the weight, what it wrote counts whole", async () => {
        const node = await gateway("w4", cachedMessage, { cached_input_weight: 0.5 });
        const { status, text } = await node.ask("POST", "/v1/messages", {
            json: { model: "m", max_tokens: 50, messages: [{ role: "user", content: "Hello" }] },
            headers: { "x-api-key": secret("w4"), "anthropic-version": "2023-06-01" },
        });
        assert.equal(status, 200, text);
        await comesTo(node, "w4", 1, 600, 5);
    });

    it("a failed request counts by default, without tokens", async () => {
        const node = await gateway("f1", fixed(400));
        assert.equal((await node.chat(secret("f1"))).status, 400);
        await comesTo(node, "f1", 1, 0, 0);
    });

    it("a failed request does not count where its plan says so; a good one does", async () => {
        let status = 400;
        const good = model({ input: 7, words: 5 });
        const answer = (...all) => (status === 200 ? good(...all) : fixed(status)(...all));
        const node = await gateway("f2", answer, { charge_failed: false }, "1/min");
        for (let i = 0; i < 3; i++) {
            assert.equal((await node.chat(secret("f2"))).status, 400);
            await comesTo(node, "f2", 0, 0, 0);
        }
        status = 200;
        assert.equal((await node.chat(secret("f2"))).status, 200);
        await comesTo(node, "f2", 1, 7, 5);
        assert.equal((await node.chat(secret("f2"))).status, 429);
    });

    it("nor does one that no upstream answered, but for input that may have been read", async () => {
        const broken = (request, response) => response.destroy();
        const node = await gateway("f3", broken, { charge_failed: false });
        assert.equal((await node.chat(secret("f3"))).status, 502);
        let last;
        await eventually(async () => {
            last = await node.limits("f3");
            return last["requests/60"].used === 0 && last["output_tokens/60"].used === 0;
        }, "the settlement");
        assert.ok(last["input_tokens/60"].used > 0);
    });
});
