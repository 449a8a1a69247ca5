// SPDX-License-Identifier: Apache-2.0
// What the official clients make of weir's errors and of those of a model server: each in its own class; and
// what limits, denials and their headers look like to them.
// Complaints about other gateways (owner/repository#issue) are named where a test covers them.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { APICallError, generateText } from "ai";
import OpenAI from "openai";
import { Mock } from "./support/mock.mjs";
import { MOCK, all, gateway, refused, upstream } from "./support/sdk.mjs";
import { onEachStore } from "./support/stores.mjs";
import { eventually } from "./support/wait.mjs";

const PROMPT = "Which river is the longest in Europe?";
const MESSAGES = [{ role: "user", content: PROMPT }];
const CHAT = { model: "gpt-4o", messages: MESSAGES, max_tokens: 60 };
const RESPONSE = { model: "gpt-4o", input: PROMPT, max_output_tokens: 60 };
const MESSAGE = { model: "claude-sonnet", messages: MESSAGES, max_tokens: 60 };

/** What a model server fails with, and what each client makes of it. */
const FAILURES = [
    [400, OpenAI.BadRequestError, Anthropic.BadRequestError],
    [402, OpenAI.APIError, Anthropic.APIError],
    [403, OpenAI.PermissionDeniedError, Anthropic.PermissionDeniedError],
    [404, OpenAI.NotFoundError, Anthropic.NotFoundError],
    [409, OpenAI.ConflictError, Anthropic.ConflictError],
    [413, OpenAI.APIError, Anthropic.APIError],
    [422, OpenAI.UnprocessableEntityError, Anthropic.UnprocessableEntityError],
    [429, OpenAI.RateLimitError, Anthropic.RateLimitError],
    [500, OpenAI.InternalServerError, Anthropic.InternalServerError],
    [503, OpenAI.InternalServerError, Anthropic.InternalServerError],
    [529, OpenAI.InternalServerError, Anthropic.InternalServerError],
];

const failing = (status) => ({ headers: { "x-mock-fail": `${status}` } });

/** An answer of so many tokens. */
const output = (count) => ({ headers: { "x-mock-output-tokens": `${count}` } });

onEachStore("official clients' errors", (start) => {
    let mock, slow, stranger, node, account;
    before(async () => {
        mock = await Mock.start(...MOCK, "--cached", "50%");
        slow = await Mock.start(...MOCK, "--first-token-ms", "600000");
        stranger = await Mock.start("--api-key", "sk-not-ours");
        const dead = { ...upstream("dead", slow), base_url: "http://127.0.0.1:1", models: ["dead-*"] };
        const upstreams = [
            upstream("mock", mock, { models: ["gpt-4o", "claude-sonnet", "fails-*"] }),
            upstream("slow", slow, { models: ["slow-*"] }),
            upstream("stranger", stranger, { models: ["stranger-*"] }),
            dead,
        ];
        ({ node, account } = await gateway(start, upstreams, {
            roomy: {},
            cached: { cached_input_weight: 0.5 },
            small: { limits: { output_tokens: "100/min" } },
            forecast: { limits: { output_tokens: "50/min" }, reserve: "forecast" },
            narrow: { limits: { input_tokens: "50/min" } },
            few: { limits: { requests: "3/min" } },
        }));
    });
    after(() => Promise.all([mock, slow, stranger].map((each) => each.stop())));

    for (const [status, OpenAIs, Anthropics] of FAILURES) {
        it(`a model server's ${status} is ${OpenAIs.name}, and costs no tokens`, async () => {
            const key = account();
            const of = (kind) => ({ model: `fails-${kind}-${status}` }); // told to wait, it waits alone
            const chats = key.openai().chat.completions;
            const inChat = await refused(chats.create({ ...CHAT, ...of("chat") }, failing(status)), OpenAIs);
            const inStream = await refused(
                chats.create({ ...CHAT, ...of("stream"), stream: true }, failing(status)),
                OpenAIs,
            );
            const inMessage = await refused(
                key.anthropic().messages.create({ ...MESSAGE, ...of("message") }, failing(status)),
                Anthropics,
            );
            const inText = await refused(
                generateText({
                    model: key.vercelOpenAI().chat(`fails-text-${status}`),
                    prompt: PROMPT,
                    maxRetries: 0,
                    ...failing(status),
                }),
                APICallError,
            );
            assert.equal(inText.statusCode, status);
            assert.equal(inText.isRetryable, [409, 429].includes(status) || status >= 500);
            for (const error of [inChat, inStream, inMessage]) {
                assert.equal(error.status, status);
                assert.match(error.requestID, /^req_[0-9a-f]{32}$/);
                const told = error.headers.get("x-weir-limited-by");
                assert.equal(told, status === 429 ? "upstream" : null);
            }
            assert.deepEqual(key.statuses, [status, status, status, status]);
            key.toldNothing(4);
            await key.settled();
        });
    }

    it("an unknown key is AuthenticationError", async () => {
        const key = account();
        const wrong = { apiKey: "sk-nobody-knows-this-one", maxRetries: 2 };
        const inChat = await refused(
            key.openai(wrong).chat.completions.create(CHAT),
            OpenAI.AuthenticationError,
        );
        assert.equal(inChat.code, "invalid_api_key");
        const inMessage = await refused(
            key.anthropic(wrong).messages.create(MESSAGE),
            Anthropic.AuthenticationError,
        );
        assert.equal(inMessage.error.error.type, "authentication_error");
        const model = key.vercelAnthropic(wrong)("claude-sonnet");
        const inText = await refused(generateText({ model, prompt: PROMPT }), APICallError);
        assert.equal(inText.statusCode, 401);
        for (const { message } of [inChat, inMessage, inText]) {
            assert.ok(!message.includes(wrong.apiKey));
        }
        assert.deepEqual(key.statuses, [401, 401, 401]);
        await key.settled();
    });

    it("a model that nobody serves is NotFoundError, and costs nothing", async () => {
        const key = account();
        const inChat = await refused(
            key.openai().chat.completions.create({ ...CHAT, model: "nobody-has-it" }),
            OpenAI.NotFoundError,
        );
        assert.equal(inChat.code, "model_not_found");
        const inMessage = await refused(
            key.anthropic().messages.create({ ...MESSAGE, model: "nobody-has-it" }),
            Anthropic.NotFoundError,
        );
        assert.equal(inMessage.error.error.type, "not_found_error");
        await key.settled();
    });

    it("a request that is wrong is BadRequestError, and costs nothing", async () => {
        const key = account();
        const inChat = await refused(
            key.openai().chat.completions.create({ ...CHAT, max_tokens: -1 }),
            OpenAI.BadRequestError,
        );
        assert.equal(inChat.param, "max_tokens");
        const inMessage = await refused(
            key.anthropic().messages.create({ ...MESSAGE, max_tokens: "many" }),
            Anthropic.BadRequestError,
        );
        assert.equal(inMessage.error.error.type, "invalid_request_error");
        await key.settled();
    });

    it("a model server that is not there, or refuses weir's key, is InternalServerError", async () => {
        for (const [model, code] of [
            ["dead-1", "upstream_unreachable"],
            ["stranger-1", "upstream_authentication"],
        ]) {
            const key = account();
            const inChat = await refused(
                key.openai().chat.completions.create({ ...CHAT, model }),
                OpenAI.InternalServerError,
            );
            assert.deepEqual([inChat.status, inChat.code], [502, code]);
            const inMessage = await refused(
                key.anthropic().messages.create({ ...MESSAGE, model }),
                Anthropic.InternalServerError,
            );
            assert.equal(inMessage.status, 502);
            assert.equal(inMessage.error.error.type, "api_error");
            key.toldNothing(2);
            await key.settled();
        }
    });

    it("a stream that breaks off is APIError, and costs what came", async () => {
        const broken = (key) => ({
            headers: { ...output(40).headers, "x-mock-abort": "7", "x-mock-trace": key.id },
        });
        for (const create of [
            (key) => key.openai().chat.completions.create({ ...CHAT, stream: true }, broken(key)),
            (key) => key.openai().responses.create({ ...RESPONSE, stream: true }, broken(key)),
        ]) {
            const key = account();
            const error = await refused(all(await create(key)), OpenAI.APIError);
            assert.equal(error.code, "upstream_broken");
            const { aborted } = await mock.trace(key.id);
            assert.equal(aborted.output_tokens, 7);
            key.told(aborted);
            await key.settled();
        }
        const key = account();
        const stream = await key.anthropic().messages.create({ ...MESSAGE, stream: true }, broken(key));
        const error = await refused(all(stream), Anthropic.APIError);
        assert.equal(error.error.error.type, "api_error");
        await eventually(async () => {
            const used = await key.used();
            return used.output > 0 && used.output <= 14; // an estimate: the model's encoding is not known
        }, "the settlement");
    });

    // a reset is no way to free tokens: nobody knows what of a plain answer was made
    it("a client that goes has an error of its own, and is charged what was reserved", async () => {
        const leave = async (key, ask, Class) => {
            const gone = new AbortController();
            const asked = refused(ask({ signal: gone.signal }), Class);
            await eventually(async () => (await key.used()).requests === 1, "the reservation");
            gone.abort();
            await asked;
            const before = await key.used();
            assert.equal(before.output, 60);
            key.told({ input_tokens: before.input, output_tokens: 60 });
        };
        const keys = [account(), account()];
        await leave(
            keys[0],
            (options) => keys[0].openai().chat.completions.create({ ...CHAT, model: "slow-1" }, options),
            OpenAI.APIUserAbortError,
        );
        await leave(
            keys[1],
            (options) => keys[1].anthropic().messages.create({ ...MESSAGE, model: "slow-1" }, options),
            Anthropic.APIUserAbortError,
        );
        await eventually(async () => {
            const { open } = await (await fetch(`${slow.url}/mock/usage`)).json();
            return open === 0;
        }, "the model server's requests to be cancelled");
        await Promise.all(keys.map((key) => key.settled()));
    });

    it("a client that waits no longer, or finds no weir, has APIConnectionError", async () => {
        const key = account();
        const slowly = { timeout: 100, maxRetries: 0 };
        await refused(
            key.openai(slowly).chat.completions.create({ ...CHAT, model: "slow-2" }),
            OpenAI.APIConnectionTimeoutError,
        );
        await refused(
            key.anthropic(slowly).messages.create({ ...MESSAGE, model: "slow-2" }),
            Anthropic.APIConnectionTimeoutError,
        );
        const nowhere = { baseURL: "http://127.0.0.1:1/v1" };
        await refused(key.openai(nowhere).chat.completions.create(CHAT), OpenAI.APIConnectionError);
        await refused(key.anthropic(nowhere).messages.create(MESSAGE), Anthropic.APIConnectionError);
        assert.deepEqual(key.statuses, []);
    });

    // BerriAI/litellm#18730, #27001, #39309, envoyproxy/ratelimit#1060: requests at a time got past the limit; what
    // was denied was charged all the same, or was charged to another limit
    it("requests at a time are within the limit, and denials cost nothing", async () => {
        const key = account("small");
        const chats = key.openai().chat.completions;
        const asked = await Promise.allSettled(
            Array.from({ length: 20 }, () => chats.create({ ...CHAT, max_tokens: 20 }, output(20))),
        );
        const good = asked.filter(({ status }) => status === "fulfilled");
        assert.equal(good.length, 5);
        for (const { value } of good) {
            key.told(value.usage);
        }
        for (const { reason } of asked.filter(({ status }) => status === "rejected")) {
            assert.ok(reason instanceof OpenAI.RateLimitError, `${reason}`);
            assert.equal(reason.type, "tokens");
            assert.match(reason.message, /on output tokens per min \(TPM\): Limit 100, /);
            assert.equal(reason.headers.get("x-weir-limited-by"), "output_tokens");
        }
        const denied = await refused(
            key.anthropic().messages.create({ ...MESSAGE, max_tokens: 20 }),
            Anthropic.RateLimitError,
        );
        assert.equal(denied.error.error.type, "rate_limit_error");
        assert.equal(denied.headers.get("x-weir-limited-by"), "output_tokens");
        await key.settled();
    });

    // BerriAI/litellm#17664: a huge prompt was free
    it("a prompt that is too long is RateLimitError on input tokens", async () => {
        const key = account("narrow");
        const messages = [{ role: "user", content: "word ".repeat(100) }];
        const inChat = await refused(
            key.openai().chat.completions.create({ ...CHAT, messages, max_tokens: 1 }),
            OpenAI.RateLimitError,
        );
        assert.match(inChat.message, /Request too large for gpt-4o .* on input tokens/);
        const inMessage = await refused(
            key.anthropic().messages.create({ ...MESSAGE, messages, max_tokens: 1 }),
            Anthropic.RateLimitError,
        );
        for (const { headers } of [inChat, inMessage]) {
            assert.equal(headers.get("x-weir-limited-by"), "input_tokens");
        }
        await key.settled();
    });

    // BerriAI/litellm#34223, #37001: a small maximum hid a large one
    it("of two maxima the larger one counts", async () => {
        const key = account("small");
        const ask = { ...CHAT, max_tokens: 1, max_completion_tokens: 10000 };
        await refused(key.openai().chat.completions.create(ask), OpenAI.RateLimitError);
        await key.settled();
    });

    // BerriAI/litellm#29193, #28805: a small limit denied the first request for ever;
    // tensorzero/tensorzero#3648: each request had to name a maximum
    it("a request without a maximum passes a small limit", async () => {
        const key = account("forecast");
        const { model, messages } = CHAT;
        const { usage } = await key.openai().chat.completions.create({ model, messages }, output(20));
        key.told(usage);
        await key.settled();
    });

    // BerriAI/litellm#18728, etalab-ia/OpenGateLLM#998: cached tokens were charged in full
    it("cached input counts by its weight, in both APIs' usage", async () => {
        const key = account("cached");
        const chat = (await key.openai().chat.completions.create(CHAT)).usage;
        const { cached_tokens } = chat.prompt_tokens_details;
        assert.ok(cached_tokens > 0);
        key.told(chat);
        key.input -= Math.floor(cached_tokens / 2);
        await key.settled();
        const message = (await key.anthropic().messages.create(MESSAGE)).usage;
        assert.ok(message.cache_read_input_tokens > 0);
        key.told(message);
        key.input -= Math.floor(message.cache_read_input_tokens / 2);
        await key.settled();
    });

    // BerriAI/litellm#27748, #32711, #5957: rate limit headers were missing on streams, or had other names;
    // envoyproxy/ai-gateway#1754: what remains never became less
    it("the headers of each API count down, on streams too", async () => {
        const key = account("few");
        const remaining = async (asked, name) => {
            const { data, response } = await asked.withResponse();
            if (data[Symbol.asyncIterator] !== undefined) {
                await all(data);
            }
            return response.headers.get(name);
        };
        const chats = key.openai().chat.completions;
        const messages = key.anthropic().messages;
        const [openai, anthropic] = ["x-ratelimit-remaining-", "anthropic-ratelimit-requests-"];
        assert.equal(await remaining(chats.create(CHAT), `${openai}requests`), "2");
        assert.equal(await remaining(chats.create({ ...CHAT, stream: true }), `${openai}requests`), "1");
        const stream = messages.create({ ...MESSAGE, stream: true });
        assert.equal(await remaining(stream, `${anthropic}remaining`), "0");
        const denied = await refused(messages.create(MESSAGE), Anthropic.RateLimitError);
        assert.equal(denied.headers.get(`${anthropic}limit`), "3");
        assert.ok(Date.parse(denied.headers.get(`${anthropic}reset`)) > Date.now() - 1000);
        assert.equal((await key.used()).requests, 3);
    });

    // maximhq/bifrost#2873: what was passed through had no limits
    it("what weir does not know is charged a request, and limited", async () => {
        const key = account("few");
        const ask = { model: "gpt-4o", input: PROMPT };
        const moderate = (Class) => refused(key.openai().moderations.create(ask), Class);
        for (let i = 0; i < 3; i++) {
            await moderate(OpenAI.NotFoundError); // the mock has none
            key.toldNothing();
        }
        const denied = await moderate(OpenAI.RateLimitError);
        assert.equal(denied.headers.get("x-weir-limited-by"), "requests");
        await key.settled();
    });
});
