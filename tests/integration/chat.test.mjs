// SPDX-License-Identifier: Apache-2.0
// Chat completions as the official client sees them.
import assert from "node:assert/strict";
import { before, it } from "node:test";
import OpenAI from "openai";
import { onEachStore } from "./support/stores.mjs";
import { eventually } from "./support/wait.mjs";
import { SECRETS, byName, configuration, oneKey } from "./support/weir.mjs";

const MESSAGES = [{ role: "user", content: "Which river is the longest in Europe?" }];
/** A duration as Go writes it, as OpenAI's reset headers do. */
const DURATION = /^(?:\d+(?:\.\d+)?ms|(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?s|0s)$/;

function client(node, apiKey, options = {}) {
    return new OpenAI({ apiKey, baseURL: `${node.url}/v1`, maxRetries: 0, ...options });
}

async function usage(node, key) {
    const { status, body } = await node.ask("GET", "/v1/usage", { key });
    assert.equal(status, 200);
    return byName(body.limits);
}

onEachStore("chat completions", (start) => {
    let node;
    before(async () => {
        node = await start();
    });

    it("answers a plain request with true usage", async () => {
        const answer = await client(node, SECRETS.a).chat.completions.create({
            model: "weir-mock",
            messages: MESSAGES,
            max_tokens: 40,
        });
        assert.equal(answer.object, "chat.completion");
        assert.equal(answer.model, "weir-mock");
        assert.match(answer.id, /^chatcmpl-/);
        assert.ok(Math.abs(answer.created - Date.now() / 1000) < 60);
        assert.equal(answer.choices.length, 1);
        assert.equal(answer.choices[0].index, 0);
        assert.equal(answer.choices[0].message.role, "assistant");
        assert.ok(answer.choices[0].message.content.length > 0);
        assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
        const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
        assert.ok(prompt_tokens > 0);
        assert.ok(completion_tokens > 0 && completion_tokens <= 40);
        assert.equal(total_tokens, prompt_tokens + completion_tokens);
    });

    it("stops at the maximum and says so", async () => {
        const ask = { model: "weir-mock", messages: MESSAGES };
        for (const maximum of [{ max_tokens: 1 }, { max_completion_tokens: 1 }]) {
            const answer = await client(node, SECRETS.a).chat.completions.create({
                ...ask,
                ...maximum,
            });
            assert.equal(answer.usage.completion_tokens, 1);
            assert.equal(answer.choices[0].finish_reason, "length");
        }
    });

    it("has the mock make the length that is asked for", async () => {
        const make = (mock_output_tokens, max_tokens) =>
            client(node, SECRETS.a).chat.completions.create({
                ...{ model: "weir-mock", messages: MESSAGES, max_tokens },
                metadata: { mock_output_tokens },
            });
        const answer = await make("77", 200);
        assert.equal(answer.usage.completion_tokens, 77);
        assert.equal(answer.choices[0].finish_reason, "stop");
        const cut = await make("77", 7);
        assert.equal(cut.usage.completion_tokens, 7);
        assert.equal(cut.choices[0].finish_reason, "length");
        assert.ok((await make("many", 64)).usage.completion_tokens > 0);
    });

    it("gives the same answer to the same request", async () => {
        const ask = { model: "weir-mock", messages: MESSAGES, max_tokens: 30 };
        const [one, two] = await Promise.all([
            client(node, SECRETS.a).chat.completions.create(ask),
            client(node, SECRETS.a).chat.completions.create(ask),
        ]);
        assert.deepEqual(one.choices, two.choices);
        assert.deepEqual(one.usage, two.usage);
    });

    it("streams the same text that a plain answer has", async () => {
        const ask = { model: "weir-mock", messages: MESSAGES, max_tokens: 30 };
        const plain = await client(node, SECRETS.a).chat.completions.create(ask);
        const stream = await client(node, SECRETS.a).chat.completions.create({
            ...ask,
            stream: true,
        });
        let text = "";
        const finishes = [];
        const ids = new Set();
        for await (const chunk of stream) {
            assert.equal(chunk.object, "chat.completion.chunk");
            assert.equal(chunk.choices.length, 1, "no usage chunk that nobody asked for");
            ids.add(chunk.id);
            text += chunk.choices[0].delta.content ?? "";
            if (chunk.choices[0].finish_reason !== null) {
                finishes.push(chunk.choices[0].finish_reason);
            }
        }
        assert.equal(ids.size, 1);
        assert.equal(text, plain.choices[0].message.content);
        assert.deepEqual(finishes, [plain.choices[0].finish_reason]);
    });

    it("ends a stream with its usage, when asked, and [DONE]", async () => {
        const json = {
            model: "weir-mock",
            messages: MESSAGES,
            max_tokens: 30,
            stream: true,
            stream_options: { include_usage: true },
        };
        const answer = await node.ask("POST", "/v1/chat/completions", { key: SECRETS.a, json });
        assert.equal(answer.status, 200);
        assert.match(answer.headers.get("content-type"), /^text\/event-stream/);
        const events = answer.text.split("\n\n").filter((event) => event !== "");
        assert.equal(events.at(-1), "data: [DONE]");
        const chunks = events.slice(0, -1).map((event) => JSON.parse(event.replace(/^data: /, "")));
        assert.equal(chunks[0].choices[0].delta.role, "assistant");
        const { choices, usage: counted } = chunks.at(-1);
        assert.deepEqual(choices, []);
        assert.ok(counted.completion_tokens > 0 && counted.completion_tokens <= 30);
        assert.equal(counted.total_tokens, counted.prompt_tokens + counted.completion_tokens);
        for (const chunk of chunks.slice(0, -1)) {
            assert.equal(chunk.usage, null);
        }
    });

    it("lists the models", async () => {
        const models = [];
        for await (const model of client(node, SECRETS.a).models.list()) {
            models.push(model);
        }
        assert.deepEqual(
            models.map((model) => [model.id, model.object]),
            [["weir-mock", "model"]],
        );
        const { request_id } = await client(node, SECRETS.a).models.list().withResponse();
        assert.match(request_id, /^req_[0-9a-f]{32}$/);
    });

    it("lists the models in the form of Anthropic's API", async () => {
        const headers = { "x-api-key": SECRETS.a, "anthropic-version": "2023-06-01" };
        const answer = await node.ask("GET", "/v1/models", { headers });
        const { data, has_more, first_id, last_id } = answer.body;
        const models = data.map(({ type, id, display_name }) => [type, id, display_name]);
        assert.deepEqual(models, [["model", "weir-mock", "weir-mock"]]);
        assert.deepEqual([has_more, first_id, last_id], [false, "weir-mock", "weir-mock"]);
        assert.match(answer.headers.get("request-id"), /^req_[0-9a-f]{32}$/);
    });

    it("refuses an unknown key without a word of it", async () => {
        const wrong = "sk-test-unknown-key-0123456789";
        const error = await client(node, wrong)
            .chat.completions.create({ model: "weir-mock", messages: MESSAGES })
            .catch((caught) => caught);
        assert.ok(error instanceof OpenAI.AuthenticationError, `${error}`);
        assert.equal(error.code, "invalid_api_key");
        assert.equal(error.type, "invalid_request_error");
        assert.match(error.message, /Incorrect API key provided/);
        assert.ok(error.requestID);
        assert.ok(!error.message.includes(wrong));
    });

    it("charges what was used, once the answer is complete", async () => {
        const before = await usage(node, SECRETS.b);
        const answer = await client(node, SECRETS.b).chat.completions.create({
            model: "weir-mock",
            messages: MESSAGES,
            max_tokens: 64,
        });
        await eventually(async () => {
            const now = await usage(node, SECRETS.b);
            const rise = (name) => now[name].used - before[name].used;
            return (
                rise("requests/60") === 1 &&
                rise("input_tokens/60") === answer.usage.prompt_tokens &&
                rise("output_tokens/60") === answer.usage.completion_tokens &&
                rise("output_tokens/86400") === answer.usage.completion_tokens
            );
        }, "the charge to settle to the usage of the answer");
    });

    it("puts the limits into the headers of every answer", async () => {
        const { status, headers } = await node.chat(SECRETS.a, { max_tokens: 10 });
        assert.equal(status, 200);
        assert.ok(headers.get("x-request-id"));
        assert.equal(headers.get("x-ratelimit-limit-requests"), "1000");
        assert.equal(headers.get("x-ratelimit-limit-input-tokens"), "100000");
        assert.equal(headers.get("x-ratelimit-limit-output-tokens"), "50000");
        for (const what of ["requests", "tokens", "input-tokens", "output-tokens"]) {
            const limit = Number(headers.get(`x-ratelimit-limit-${what}`));
            const remaining = Number(headers.get(`x-ratelimit-remaining-${what}`));
            assert.ok(Number.isInteger(limit) && limit > 0, `limit of ${what}`);
            assert.ok(Number.isInteger(remaining) && remaining < limit, `remaining of ${what}`);
            assert.match(headers.get(`x-ratelimit-reset-${what}`), DURATION);
        }
        assert.equal(headers.get("retry-after"), null);
    });
});

onEachStore("denials of chat completions", (start) => {
    let node;
    before(async () => {
        node = await start();
    });

    async function denied(ask, key = SECRETS.tiny) {
        const error = await client(node, key)
            .chat.completions.create({ model: "weir-mock", messages: MESSAGES, ...ask })
            .catch((caught) => caught);
        assert.ok(error instanceof OpenAI.RateLimitError, `${error}`);
        assert.equal(error.code, "rate_limit_exceeded");
        return error;
    }

    it("tells at once what can never pass, and that a retry is no use", async () => {
        const error = await denied({ max_tokens: 501 });
        assert.equal(error.type, "tokens");
        assert.match(error.message, /Request too large for weir-mock/);
        assert.match(error.message, /Limit 500, Requested 501/);
        assert.equal(error.headers.get("x-should-retry"), "false");
        const now = await usage(node, SECRETS.tiny);
        assert.deepEqual(
            Object.values(now).map((limit) => limit.used),
            [0, 0, 0],
        );
    });

    it("denies by OpenAI's words and headers", async () => {
        const openai = client(node, SECRETS.tiny);
        const ask = { model: "weir-mock", messages: MESSAGES, max_tokens: 10 };
        await openai.chat.completions.create(ask);
        await openai.chat.completions.create(ask);
        const { type, message, headers } = await denied({ max_tokens: 10 });
        assert.equal(type, "requests");
        assert.match(message, /Rate limit reached for weir-mock/);
        assert.match(message, /on requests per min \(RPM\): Limit 2, Used 2, Requested 1\./);
        assert.match(message, /Please try again in (?:\d+ms|[\d.]+s|\d+m[\d.]*s)\./);
        assert.equal(headers.get("x-ratelimit-limit-requests"), "2");
        assert.equal(headers.get("x-ratelimit-remaining-requests"), "0");
        assert.match(headers.get("x-ratelimit-reset-requests"), DURATION);
        const waitMs = Number(headers.get("retry-after-ms"));
        assert.ok(waitMs > 50000 && waitMs <= 60705, `retry-after-ms is ${waitMs}`);
        assert.equal(headers.get("retry-after"), String(Math.ceil(waitMs / 1000)));
        assert.match(headers.get("x-should-retry"), /^(?:true|false)$/);
        assert.match(headers.get("content-type"), /^application\/json/);
    });

    it("names input tokens before output tokens before requests", async () => {
        const long = "word ".repeat(3000);
        const messages = [{ role: "user", content: long }];
        assert.match((await denied({ messages, max_tokens: 501 })).message, /input tokens/i);
        assert.match((await denied({ max_tokens: 501 })).message, /output tokens/i);
        assert.equal((await denied({ max_tokens: 1 })).type, "requests");
    });
});

onEachStore("the client's retry", (start) => {
    it("passes after exactly the time that the denial named", async () => {
        const node = await start(oneKey({ requests: "2/2s" }));
        const statuses = [];
        const openai = client(node, "sk-test-secret-k", {
            maxRetries: 1,
            fetch: async (...request) => {
                const answer = await fetch(...request);
                statuses.push([answer.status, answer.headers.get("retry-after-ms")]);
                return answer;
            },
        });
        const ask = { model: "weir-mock", messages: MESSAGES };
        const started = Date.now();
        for (let i = 0; i < 3; i++) {
            await openai.chat.completions.create(ask);
        }
        const tookMs = Date.now() - started;
        assert.deepEqual(
            statuses.map(([status]) => status),
            [200, 200, 429, 200],
        );
        assert.ok(Number(statuses[2][1]) <= 2024, `retry-after-ms is ${statuses[2][1]}`);
        assert.ok(tookMs >= 1900 && tookMs < 10000, `took ${tookMs} ms`);
    });
});

onEachStore("unknown keys", (start) => {
    it("get the plan that the configuration names for them", async () => {
        const node = await start(configuration({ unknown_keys: "tiny" }));
        const statuses = [];
        for (let i = 0; i < 3; i++) {
            statuses.push((await node.chat("sk-somebody")).status);
        }
        assert.deepEqual(statuses, [200, 200, 429]);
        assert.equal((await node.chat("sk-somebody-else")).status, 200);
    });
});
