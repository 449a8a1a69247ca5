// SPDX-License-Identifier: Apache-2.0
// The official clients ask again by themselves, when weir tells them to: once, and then they are answered.
// BerriAI/litellm#21553, #27823, #4695, anthropics/anthropic-sdk-typescript#357: `retry-after` was missing or
// wrong, and clients retried blindly. BerriAI/litellm#18953: who met a limit was locked out for minutes.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { APICallError, generateText, streamText } from "ai";
import OpenAI from "openai";
import { Mock } from "./support/mock.mjs";
import { MOCK, all, gateway, refused, upstream } from "./support/sdk.mjs";
import { onEachStore, onRedisStore } from "./support/stores.mjs";

const PROMPT = "Which river is the longest in Europe?";
const MESSAGES = [{ role: "user", content: PROMPT }];
const OUTPUT = 60; // of each answer, and what it reserves
const UPSTREAM_WAIT_MS = 300;
const WINDOW_MS = 2000;

/** One of these limits lets one request pass in two seconds, but not two; the minute counts. */
const PLANS = {
    requests: { limits: { requests: ["1/2s", "1000/min"] } },
    input_tokens: { limits: { input_tokens: ["25/2s", "1M/min"] } },
    output_tokens: { limits: { output_tokens: [`${OUTPUT + 10}/2s`, "1M/min"] } },
    hourly: { limits: { requests: ["1/h", "1000/min"], output_tokens: "500/min" } },
    roomy: {},
    lenient: { charge_failed: false },
};

/** The requests of each client; each gives the usage that its client was told. `options`: of the client. */
const CLIENTS = {
    "openai, a chat": async (key, options, model = "gpt-4o") => {
        const ask = { model, messages: MESSAGES, max_tokens: OUTPUT };
        return (await key.openai(options).chat.completions.create(ask)).usage;
    },
    "openai, a chat's stream": async (key, options, model = "gpt-4o") => {
        const ask = { model, messages: MESSAGES, max_tokens: OUTPUT, stream: true };
        const told = { stream_options: { include_usage: true } };
        const stream = await key.openai(options).chat.completions.create({ ...ask, ...told });
        return (await all(stream)).at(-1).usage;
    },
    "openai, a response": async (key, options, model = "gpt-4o") => {
        const ask = { model, input: PROMPT, max_output_tokens: OUTPUT };
        return (await key.openai(options).responses.create(ask)).usage;
    },
    "anthropic, a message": async (key, options, model = "claude-sonnet") => {
        const ask = { model, messages: MESSAGES, max_tokens: OUTPUT };
        return (await key.anthropic(options).messages.create(ask)).usage;
    },
    "anthropic, a message's stream": async (key, options, model = "claude-sonnet") => {
        const ask = { model, messages: MESSAGES, max_tokens: OUTPUT };
        return (await key.anthropic(options).messages.stream(ask).finalMessage()).usage;
    },
    "ai, a chat": async (key, options, name = "gpt-4o") => {
        const model = key.vercelOpenAI(options).chat(name);
        return (await generateText({ model, prompt: PROMPT, maxOutputTokens: OUTPUT })).usage;
    },
    "ai, a response's stream": async (key, options, name = "gpt-4o") => {
        const model = key.vercelOpenAI(options)(name);
        const stream = streamText({ model, prompt: PROMPT, maxOutputTokens: OUTPUT });
        await stream.consumeStream();
        return stream.usage;
    },
    "ai, a message": async (key, options, name = "claude-sonnet") => {
        const model = key.vercelAnthropic(options)(name);
        return (await generateText({ model, prompt: PROMPT, maxOutputTokens: OUTPUT })).usage;
    },
};

/** For all clients at a time; a failure tells which. */
function forEachClient(run) {
    return Promise.all(
        Object.entries(CLIENTS).map(([name, ask]) =>
            run(ask, name).catch((error) => {
                error.message = `${name}: ${error.message}`;
                throw error;
            }),
        ),
    );
}

function retries(start, mode) {
    let mock, account;
    before(async () => {
        const wait = ["--retry-after-ms", `${UPSTREAM_WAIT_MS}`];
        mock = await Mock.start(...MOCK, ...wait);
        ({ account } = await gateway(start, [upstream("mock", mock)], PLANS, { mode }));
    });
    after(() => mock.stop());

    for (const meter of ["requests", "input_tokens", "output_tokens"]) {
        it(`${meter}: one retry after retry-after-ms, which is answered`, async () => {
            await forEachClient(async (ask) => {
                const key = account(meter);
                const long = (headers) => headers.set("x-mock-output-tokens", `${OUTPUT}`);
                const options = { maxRetries: 2, fetch: key.fetch(long) };
                // a machine may be so slow that the window is over before the second request
                for (let i = 0; i < 20 && !key.statuses.includes(429); i++) {
                    key.told(await ask(key, options));
                }
                const answered = Array(key.requests - 1).fill(200);
                assert.deepEqual(key.statuses, [...answered, 429, 200]);
                const { headers } = key.answers.at(-2);
                const waitMs = Number(headers.get("retry-after-ms"));
                assert.ok(waitMs > 0 && waitMs <= WINDOW_MS * (1 + 1 / 64) + 1, `${waitMs} ms`);
                assert.equal(headers.get("retry-after"), `${Math.ceil(waitMs / 1000)}`);
                assert.equal(headers.get("x-should-retry"), "true");
                assert.equal(headers.get("x-weir-limited-by"), meter);
                await key.settled();
            });
        });
    }

    it("a wait of an hour is not begun, nor what can never pass asked again", async () => {
        const key = account("hourly");
        const ask = { model: "gpt-4o", messages: MESSAGES };
        const message = { ...ask, model: "claude-sonnet" };
        const [openai, anthropic] = [key.openai({ maxRetries: 2 }), key.anthropic({ maxRetries: 2 })];
        const [chats, messages] = [openai.chat.completions, anthropic.messages];
        const both = async (max_tokens) => [
            await refused(chats.create({ ...ask, max_tokens }), OpenAI.RateLimitError),
            await refused(messages.create({ ...message, max_tokens }), Anthropic.RateLimitError),
        ];
        for (const { headers } of await both(501)) {
            assert.equal(headers.get("x-should-retry"), "false");
            assert.equal(headers.get("retry-after"), null);
        }
        key.told((await chats.create({ ...ask, max_tokens: OUTPUT })).usage);
        for (const { headers } of await both(OUTPUT)) {
            assert.equal(headers.get("x-should-retry"), "false");
            assert.ok(Number(headers.get("retry-after")) > 3000);
        }
        assert.deepEqual(key.statuses, [429, 429, 200, 429, 429]);
        await key.settled();
    });

    // tensorzero/tensorzero#3678: a model server's 429 looked like the gateway's
    it("a model server's own limit: one retry when that is over, which is answered", async () => {
        await forEachClient(async (ask, name) => {
            const key = account("roomy");
            const options = { maxRetries: 2, fetch: key.fetch(failsAtFirst(429)) };
            key.told(await ask(key, options, `limited-${name.replaceAll(/\W+/g, "-")}`));
            assert.deepEqual(key.statuses, [429, 200]);
            const { headers } = key.answers[0];
            assert.equal(headers.get("x-weir-limited-by"), "upstream");
            assert.equal(headers.get("retry-after-ms"), `${UPSTREAM_WAIT_MS}`);
            key.toldNothing(); // the one that failed
            await key.settled();
        });
    });

    // BerriAI/litellm#21312: requests that failed should not count
    it("a failure is asked again, and counts or not as the plan says", async () => {
        for (const [plan, counted] of [["roomy", 1], ["lenient", 0]]) {
            const key = account(plan);
            const fetch = () => key.fetch(failsAtFirst(500));
            const openai = key.openai({ maxRetries: 1, fetch: fetch() });
            const ask = { model: "gpt-4o", messages: MESSAGES, max_tokens: OUTPUT };
            key.told((await openai.chat.completions.create(ask)).usage);
            const anthropic = key.anthropic({ maxRetries: 1, fetch: fetch() });
            key.told((await anthropic.messages.create({ ...ask, model: "claude-sonnet" })).usage);
            assert.deepEqual(key.statuses, [500, 200, 500, 200]);
            key.toldNothing(2 * counted);
            await key.settled();
        }
    });

    it("no client asks again where it is told not to", async () => {
        const key = account("roomy");
        const fetch = key.fetch((headers) => headers.set("x-mock-fail", "400"));
        const options = { maxRetries: 2, fetch };
        await refused(CLIENTS["openai, a chat"](key, options), OpenAI.BadRequestError);
        await refused(CLIENTS["anthropic, a message"](key, options), Anthropic.BadRequestError);
        await refused(CLIENTS["ai, a chat"](key, options), APICallError);
        assert.deepEqual(key.statuses, [400, 400, 400]);
        key.toldNothing(3);
        await key.settled();
    });
}

/** The first request fails so at the model server, those after it do not. */
function failsAtFirst(status) {
    let asked = 0;
    return (headers) => {
        if (asked++ === 0) {
            headers.set("x-mock-fail", `${status}`);
        }
    };
}

// a denial's time comes from the store's windows, or from what a node took of them ahead
onEachStore("official clients' retries", (start) => retries(start, "exact"));
onRedisStore("official clients' retries, decisions by leases", (start) => retries(start, "lease"));
