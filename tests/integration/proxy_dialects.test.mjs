// SPDX-License-Identifier: Apache-2.0
// The APIs that pass through the gateway beside chats.
// Complaints about other gateways (owner/repository#issue) are named where a test covers them.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gateway, upstream, used } from "./support/proxy.mjs";
import { event, fixed, usage } from "./support/upstream.mjs";
import { eventually, sleep } from "./support/wait.mjs";
import { SECRETS } from "./support/weir.mjs";

/** Events of an Anthropic stream, as text. */
function messageEvents(input, texts, output) {
    const named = (json) => `event: ${json.type}\ndata: ${JSON.stringify(json)}\n\n`;
    const message = { id: "msg", type: "message", role: "assistant", model: "m", content: [] };
    return [
        named({
            type: "message_start",
            message: { ...message, usage: { input_tokens: input, output_tokens: 1 } },
        }),
        ...texts.map((text) =>
            named({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
        ),
        named({ type: "message_delta", delta: {}, usage: { output_tokens: output } }),
        named({ type: "message_stop" }),
    ].join("");
}

describe("other dialects", () => {
    const ask = (node, path, json, headers = {}) =>
        node.ask("POST", path, { key: SECRETS.a, json: { model: "m", ...json }, headers });

    it("/v1/completions", async (t) => {
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ usage: usage(3, 9) })));
        const node = await gateway(t, { u });
        const answer = await ask(node, "/v1/completions", { prompt: "Once", max_tokens: 20 });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(await used(node), { requests: 1, input: 3, output: 9 });
    });

    it("/v1/embeddings", async (t) => {
        const body = { data: [], usage: { prompt_tokens: 5, total_tokens: 5 } };
        const u = await upstream(t, fixed(200, {}, JSON.stringify(body)));
        const node = await gateway(t, { u });
        const answer = await ask(node, "/v1/embeddings", { input: ["one", "two"] });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(await used(node), { requests: 1, input: 5, output: 0 });
    });

    // BerriAI/litellm#18671, #17706: /v1/responses was hardly charged
    it("/v1/responses", async (t) => {
        const told = { input_tokens: 12, output_tokens: 34, total_tokens: 46 };
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ id: "r", usage: told })));
        const node = await gateway(t, { u });
        const answer = await ask(node, "/v1/responses", { input: "Hi", max_output_tokens: 50 });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(await used(node), { requests: 1, input: 12, output: 34 });
        u.answer = (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            const done = { type: "response.completed", response: { id: "r", usage: told } };
            response.end(`event: response.completed\ndata: ${JSON.stringify(done)}\n\n`);
        };
        await ask(node, "/v1/responses", { input: "Hi", max_output_tokens: 50, stream: true });
        assert.deepEqual(await used(node), { requests: 2, input: 24, output: 68 });
    });

    // its usage is told when nobody is charged for it: not at the start, and to whoever asks later
    it("/v1/responses in the background costs what was reserved", async (t) => {
        const queued = { id: "r", status: "queued", usage: null };
        const u = await upstream(t, fixed(200, {}, JSON.stringify(queued)));
        const node = await gateway(t, { u });
        const body = { input: "Hi", max_output_tokens: 50, background: true };
        await ask(node, "/v1/responses", body);
        assert.equal((await used(node)).output, 50);
        u.answer = (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(event({ type: "response.created", response: queued }));
            response.write(event({ type: "response.output_text.delta", delta: "word" }));
        };
        const abort = new AbortController();
        const stream = await fetch(`${node.url}/v1/responses`, {
            method: "POST",
            signal: abort.signal,
            headers: { authorization: `Bearer ${SECRETS.a}`, "content-type": "application/json" },
            body: JSON.stringify({ model: "m", ...body, stream: true }),
        });
        await stream.body.getReader().read();
        abort.abort();
        await eventually(() => u.aborted === 1, "the upstream's request to be cancelled");
        assert.equal((await used(node)).output, 100);
        const told = { input_tokens: 12, output_tokens: 34 };
        u.answer = (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.end(event({ type: "response.completed", response: { id: "r", usage: told } }));
        };
        await ask(node, "/v1/responses", { ...body, stream: true });
        assert.equal((await used(node)).output, 134, "one that was followed to its end");
    });

    it("/v1/messages, with Anthropic's key, headers and errors", async (t) => {
        const told = { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 7 };
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ usage: told })));
        const node = await gateway(t, { u: { base_url: u.url, api_key: "sk-ant" } });
        const json = { model: "m", max_tokens: 50, messages: [{ role: "user", content: "Hi" }] };
        const headers = { "x-api-key": SECRETS.a, "anthropic-version": "2023-06-01" };
        const answer = await node.ask("POST", "/v1/messages", { json, headers });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(u.requests[0].headers["x-api-key"], "sk-ant");
        assert.equal(u.requests[0].headers["anthropic-version"], "2023-06-01");
        assert.equal(answer.headers.get("anthropic-ratelimit-output-tokens-limit"), "50000");
        assert.deepEqual(await used(node), { requests: 1, input: 15, output: 7 });
        const wrong = await node.ask("POST", "/v1/messages", {
            json,
            headers: { ...headers, "x-api-key": "sk-wrong" },
        });
        assert.equal(wrong.status, 401);
        assert.equal(wrong.body.error.type, "authentication_error");
        const tiny = { ...headers, "x-api-key": SECRETS.tiny };
        const large = { json: { ...json, max_tokens: 5000 }, headers: tiny };
        const denied = await node.ask("POST", "/v1/messages", large);
        assert.equal(denied.status, 429);
        assert.equal(denied.body.error.type, "rate_limit_error");
        assert.equal(denied.headers.get("x-weir-limited-by"), "output_tokens");
    });

    it("/v1/messages as a stream, whole and given up", async (t) => {
        const whole = messageEvents(11, ["word", "word"], 42);
        const u = await upstream(t, (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.end(whole);
        });
        const node = await gateway(t, { u });
        const json = { max_tokens: 90, stream: true, messages: [{ role: "user", content: "Hi" }] };
        const answer = await ask(node, "/v1/messages", json, { "anthropic-version": "2023-06-01" });
        assert.equal(answer.text, whole, "not a byte is changed");
        assert.deepEqual(await used(node), { requests: 1, input: 11, output: 42 });
        u.answer = async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(messageEvents(11, ["word", "word"], 0).split("event: message_delta")[0]);
            await sleep(30);
            response.destroy();
        };
        const broken = await ask(node, "/v1/messages", json);
        assert.match(broken.text, /event: error\ndata: \{"type":"error"/);
        const { output } = await used(node);
        assert.ok(output >= 44 && output <= 46, `${output}`);
    });

    it("/v1/messages/count_tokens costs a request and no tokens", async (t) => {
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ input_tokens: 2095 })));
        const node = await gateway(t, { u });
        const json = { messages: [{ role: "user", content: "Hi" }] };
        const answer = await ask(node, "/v1/messages/count_tokens", json);
        assert.deepEqual(answer.body, { input_tokens: 2095 });
        assert.deepEqual(await used(node), { requests: 1, input: 0, output: 0 });
    });
});
