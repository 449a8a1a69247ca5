// SPDX-License-Identifier: Apache-2.0
// `weir mock` as the official clients see it: OpenAI's, Anthropic's and Vercel's.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import { get_encoding } from "tiktoken";
import { Mock } from "./support/mock.mjs";
import { run } from "./support/process.mjs";
import { eventually, sleep } from "./support/wait.mjs";
import { WEIR } from "./support/weir.mjs";

const MESSAGES = [{ role: "user", content: "Which river is the longest in Europe?" }];
const TOOL = { name: "look", description: "Looks.", parameters: { type: "object" } };

const openai = (mock, options = {}) =>
    new OpenAI({ apiKey: "sk-any", baseURL: `${mock.url}/v1`, maxRetries: 0, ...options });
const anthropic = (mock, options = {}) =>
    new Anthropic({ apiKey: "sk-any", baseURL: mock.url, maxRetries: 0, ...options });

async function all(stream) {
    const events = [];
    for await (const event of stream) {
        events.push(event);
    }
    return events;
}

const words = (text) => text.split(" ").length;

describe("weir mock, OpenAI's chats", () => {
    let mock;
    before(async () => {
        mock = await Mock.start("--cached", "50%");
    });
    after(() => mock.stop());

    it("answers with usage that the text bears out, and the same twice", async () => {
        const ask = { model: "gpt-4o", messages: MESSAGES, max_tokens: 30 };
        const answer = await openai(mock).chat.completions.create(ask);
        const { usage, choices } = answer;
        assert.equal(answer.model, "gpt-4o");
        assert.equal(words(choices[0].message.content), usage.completion_tokens);
        assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
        const cached = Math.floor(usage.prompt_tokens / 2);
        assert.equal(usage.prompt_tokens_details.cached_tokens, cached);
        assert.deepEqual((await openai(mock).chat.completions.create(ask)).choices, choices);
    });

    it("streams the same text; usage comes only when it was asked for", async () => {
        const ask = { model: "gpt-4o", messages: MESSAGES, max_tokens: 30 };
        const plain = await openai(mock).chat.completions.create(ask);
        for (const include_usage of [false, true]) {
            const events = await all(
                await openai(mock).chat.completions.create({
                    ...ask,
                    stream: true,
                    stream_options: { include_usage },
                }),
            );
            const text = events.map((e) => e.choices[0]?.delta.content ?? "").join("");
            assert.equal(text, plain.choices[0].message.content);
            const reasons = events.map((e) => e.choices[0]?.finish_reason).filter(Boolean);
            assert.deepEqual(reasons, [plain.choices[0].finish_reason]);
            const usages = events.filter((e) => e.usage);
            assert.equal(usages.length, include_usage ? 1 : 0);
            if (include_usage) {
                assert.deepEqual(usages[0].usage, plain.usage);
                assert.deepEqual(usages[0].choices, []);
                assert.equal(events.at(-1), usages[0]);
            }
        }
    });

    it("makes the length it is asked for, up to the maximum", async () => {
        const make = (wanted, max_tokens) =>
            openai(mock).chat.completions.create({
                model: "gpt-4o",
                messages: MESSAGES,
                max_tokens,
                metadata: { mock_output_tokens: `${wanted}` },
            });
        const long = await make(700, 1000);
        assert.equal(long.usage.completion_tokens, 700);
        assert.equal(long.choices[0].finish_reason, "stop");
        const cut = await make(700, 10);
        assert.equal(cut.usage.completion_tokens, 10);
        assert.equal(cut.choices[0].finish_reason, "length");
        const header = await openai(mock).chat.completions.create(
            { model: "gpt-4o", messages: MESSAGES },
            { headers: { "x-mock-output-tokens": "3" } },
        );
        assert.equal(header.usage.completion_tokens, 3);
    });

    it("counts the input of a model whose encoding is known as tiktoken does", async () => {
        const o200k = get_encoding("o200k_base");
        const content = "Wie heißt der längste Fluß? 世界上最长的河流 🌊 <|endoftext|>";
        const { usage } = await openai(mock).chat.completions.create({
            ...{ model: "gpt-4o", messages: [{ role: "user", content }], max_tokens: 1 },
        });
        const text = o200k.encode_ordinary(content).length;
        o200k.free();
        // 3 for the message, 1 for its role, 3 for the reply (OpenAI's cookbook)
        assert.equal(usage.prompt_tokens, 3 + 1 + text + 3);
    });

    it("calls a tool when it must", async () => {
        const ask = {
            model: "gpt-4o",
            messages: MESSAGES,
            tools: [{ type: "function", function: TOOL }],
            tool_choice: "required",
        };
        const answer = await openai(mock).chat.completions.create(ask);
        const [call] = answer.choices[0].message.tool_calls;
        assert.equal(answer.choices[0].finish_reason, "tool_calls");
        assert.equal(call.function.name, "look");
        assert.equal(words(JSON.parse(call.function.arguments).words), answer.usage.completion_tokens);
        const final = await openai(mock).chat.completions.stream(ask).finalChatCompletion();
        const [streamed] = final.choices[0].message.tool_calls;
        assert.equal(streamed.function.arguments, call.function.arguments);
    });

    it("serves completions and embeddings", async () => {
        const ask = { model: "old", prompt: "Once upon a time", max_tokens: 9 };
        const plain = await openai(mock).completions.create(ask);
        const text = (await all(await openai(mock).completions.create({ ...ask, stream: true })))
            .map((e) => e.choices[0].text)
            .join("");
        assert.equal(text, plain.choices[0].text);
        assert.equal(words(text), plain.usage.completion_tokens);
        const input = ["one", "two"];
        // without a format the client asks for base64, and decodes it
        const coded = await openai(mock).embeddings.create({ model: "e", input, dimensions: 5 });
        const plainly = await openai(mock).embeddings.create({
            ...{ model: "e", input, dimensions: 5, encoding_format: "float" },
        });
        assert.equal(coded.data.length, 2);
        for (const [i, { embedding }] of coded.data.entries()) {
            assert.equal(embedding.length, 5);
            for (const [k, number] of embedding.entries()) {
                assert.ok(Math.abs(number - plainly.data[i].embedding[k]) < 1e-6);
            }
        }
        assert.equal(coded.usage.prompt_tokens, coded.usage.total_tokens);
    });

    it("serves responses, whole and as events", async () => {
        const ask = { model: "gpt-4o", input: "Which river?", max_output_tokens: 30 };
        const plain = await openai(mock).responses.create(ask);
        assert.equal(words(plain.output_text), plain.usage.output_tokens);
        const final = await openai(mock).responses.stream(ask).finalResponse();
        assert.equal(final.output_text, plain.output_text);
        assert.deepEqual(final.usage, plain.usage);
        const cut = await openai(mock).responses.create({ ...ask, max_output_tokens: 1 });
        assert.equal(cut.status, "incomplete");
        assert.equal(cut.incomplete_details.reason, "max_output_tokens");
        const calls = { ...ask, tools: [{ type: "function", ...TOOL }], tool_choice: "required" };
        const called = await openai(mock).responses.stream(calls).finalResponse();
        assert.equal(called.output[0].type, "function_call");
        assert.deepEqual(called.output[0].name, "look");
        assert.ok(JSON.parse(called.output[0].arguments).words);
    });

    it("lists models", async () => {
        const models = await all(await openai(mock).models.list());
        assert.deepEqual(models.map((m) => m.id), ["weir-mock"]);
        assert.equal((await openai(mock).models.retrieve("any")).id, "any");
        assert.equal((await anthropic(mock).models.list()).data[0].id, "weir-mock");
    });

    it("refuses what no model could answer, naming the field", async () => {
        const wrong = openai(mock).chat.completions.create({ model: "m", messages: [] });
        await assert.rejects(wrong, (e) => {
            assert.ok(e instanceof OpenAI.BadRequestError);
            assert.equal(e.param, "messages");
            return true;
        });
        const answer = await fetch(`${mock.url}/v1/nothing`, { method: "POST", body: "{}" });
        assert.equal(answer.status, 404);
        assert.equal((await fetch(`${mock.url}/v1/responses`)).status, 405);
    });

    it("serves Vercel's ai", async () => {
        const provider = createOpenAI({ apiKey: "sk-any", baseURL: `${mock.url}/v1` });
        for (const model of [provider.chat("gpt-4o"), provider("gpt-4o")]) {
            const { text, usage } = await generateText({ model, prompt: "Which river?" });
            assert.equal(words(text), usage.outputTokens);
            const stream = streamText({ model, prompt: "Which river?" });
            assert.equal((await all(stream.textStream)).join(""), text);
            assert.equal((await stream.usage).outputTokens, usage.outputTokens);
        }
    });
});

describe("weir mock, Anthropic's messages", () => {
    let mock;
    before(async () => {
        mock = await Mock.start();
    });
    after(() => mock.stop());
    const ask = { model: "claude", max_tokens: 30, messages: MESSAGES };

    it("answers, and streams the same", async () => {
        const plain = await anthropic(mock).messages.create(ask);
        assert.equal(words(plain.content[0].text), plain.usage.output_tokens);
        const stream = anthropic(mock).messages.stream(ask);
        const final = await stream.finalMessage();
        assert.deepEqual(final.content, plain.content);
        assert.equal(final.stop_reason, plain.stop_reason);
        assert.deepEqual(final.usage, plain.usage);
        const { data, request_id } = await anthropic(mock).messages.create(ask).withResponse();
        assert.match(request_id, /^req_/);
        assert.match(data.id, /^msg_/);
        const cut = await anthropic(mock).messages.create({ ...ask, max_tokens: 1 });
        assert.equal(cut.stop_reason, "max_tokens");
        assert.equal(cut.usage.output_tokens, 1);
    });

    it("calls a tool when it must, and counts", async () => {
        const tools = [{ name: "look", input_schema: { type: "object" } }];
        const call = { ...ask, tools, tool_choice: { type: "tool", name: "look" } };
        const plain = await anthropic(mock).messages.create(call);
        assert.equal(plain.stop_reason, "tool_use");
        const final = await anthropic(mock).messages.stream(call).finalMessage();
        assert.deepEqual(final.content[0].input, plain.content[0].input);
        const { max_tokens, ...count } = ask;
        const counted = await anthropic(mock).messages.countTokens(count);
        const { usage } = await anthropic(mock).messages.create(ask);
        assert.equal(counted.input_tokens, usage.input_tokens);
    });

    it("has errors in its form", async () => {
        const failing = (status) =>
            anthropic(mock).messages.create(ask, { headers: { "x-mock-fail": `${status}` } });
        await assert.rejects(failing(429), Anthropic.RateLimitError);
        await assert.rejects(failing(401), Anthropic.AuthenticationError);
        await assert.rejects(failing(529), (e) => {
            assert.equal(e.status, 529);
            assert.equal(e.error.error.type, "overloaded_error");
            return true;
        });
        await assert.rejects(
            anthropic(mock).messages.create({ model: "claude", messages: MESSAGES }),
            Anthropic.BadRequestError,
        );
    });
});

describe("weir mock, what it does wrong on purpose", () => {
    it("fails the share that it was told, with statuses that clients know", async () => {
        const mock = await Mock.start("--fail", "429:40%", "--fail", "500:20%");
        let [good, limited, broken] = [0, 0, 0];
        for (let i = 0; i < 200; i++) {
            try {
                await openai(mock).chat.completions.create({ model: "m", messages: MESSAGES });
                good++;
            } catch (error) {
                limited += error instanceof OpenAI.RateLimitError;
                broken += error instanceof OpenAI.InternalServerError;
                if (error.status === 429) {
                    assert.equal(error.headers.get("retry-after"), "1");
                    assert.equal(error.headers.get("retry-after-ms"), "1000");
                }
            }
        }
        assert.equal(good + limited + broken, 200);
        assert.ok(limited > 50 && limited < 110, `${limited} of 200 with 429`);
        assert.ok(broken > 15 && broken < 70, `${broken} of 200 with 500`);
        const { total } = await mock.usage();
        assert.equal(total.failed.requests, limited + broken);
        assert.equal(total.completed.requests, good);
        assert.equal(total.failed.output_tokens, 0);
        await mock.stop();
    });

    it("is asked again after retry-after-ms", async () => {
        const mock = await Mock.start("--fail", "429:50%", "--retry-after-ms", "5");
        const patient = openai(mock, { maxRetries: 20 });
        const started = performance.now();
        for (let i = 0; i < 20; i++) {
            await patient.chat.completions.create({ model: "m", messages: MESSAGES });
        }
        assert.ok(performance.now() - started < 5000, "it waits 5 ms, not half a second");
        await mock.stop();
    });

    it("ends streams in their middle, and knows what had left", async () => {
        const mock = await Mock.start("--abort", "100%");
        let received = 0;
        for (let i = 0; i < 20; i++) {
            const messages = [{ role: "user", content: `${i}` }];
            const stream = await openai(mock).chat.completions.create({
                ...{ model: "m", messages, stream: true },
            });
            await assert.rejects(async () => {
                for await (const event of stream) {
                    received += (event.choices[0].delta.content ?? "") !== "";
                    assert.equal(event.choices[0].finish_reason, null);
                }
            }, { name: /Error/, message: /terminated|aborted|premature|closed/i });
        }
        const { models } = await mock.usage();
        assert.equal(models.m.aborted.requests, 20);
        assert.equal(models.m.output_tokens, received);
        const at = { headers: { "x-mock-abort": "2", "x-mock-trace": "two" } };
        const stream = await openai(mock).chat.completions.create(
            {
                ...{ model: "m", messages: MESSAGES, stream: true },
                metadata: { mock_output_tokens: "9" },
            },
            at,
        );
        await assert.rejects(all(stream));
        assert.equal((await mock.trace("two")).output_tokens, 2);
        await mock.stop();
    });

    it("gives a slow reader all that it counts as left", async () => {
        const mock = await Mock.start();
        const body = JSON.stringify({ model: "slow", messages: MESSAGES, stream: true });
        const socket = connect(mock.port, "127.0.0.1"); // HTTP clients drop what they have not handed out
        socket.write(
            `POST /v1/chat/completions HTTP/1.1\r\nhost: m\r\ncontent-length: ${body.length}\r\n` +
                `x-mock-output-tokens: 60000\r\nx-mock-abort: 59999\r\n\r\n${body}`,
        );
        let text = "";
        for await (const piece of socket) {
            text += piece;
            await sleep(10); // the socket is full all the time
        }
        assert.equal(text.match(/"content":"[^"]/g).length, 59999);
        assert.equal((await mock.usage()).models.slow.aborted.output_tokens, 59999);
        await mock.stop();
    });

    it("knows of streams that the client gave up", async () => {
        const mock = await Mock.start("--tokens-per-s", "100");
        const stream = await openai(mock).chat.completions.create({
            model: "m",
            messages: MESSAGES,
            stream: true,
            metadata: { mock_output_tokens: "1000", mock_trace: "given-up" },
        });
        let received = 0;
        for await (const event of stream) {
            received += (event.choices[0].delta.content ?? "") !== "";
            if (received === 5) {
                break;
            }
        }
        const trace = await eventually(
            async () => {
                const given = await mock.trace("given-up").catch(() => null);
                return given?.cancelled.requests === 1 && given;
            },
            "the mock to notice",
        );
        assert.ok(trace.output_tokens >= 5 && trace.output_tokens < 900, trace.output_tokens);
        assert.ok(trace.input_tokens > 0);
        await mock.stop();
    });

    it("knows of requests that the client gave up before their first token", async () => {
        const mock = await Mock.start("--first-token-ms", "600000");
        const ask = { model: "m", messages: MESSAGES, max_tokens: 9 };
        for (const stream of [false, true]) {
            const gone = new AbortController();
            const create = (client) => client.create({ ...ask, stream }, { signal: gone.signal });
            const clients = [openai(mock).chat.completions, anthropic(mock).messages];
            const asked = Promise.allSettled(clients.map(create)); // a stream begins before its tokens
            await eventually(async () => {
                const all = await (await fetch(`${mock.url}/mock/usage`)).json();
                return all.open === 2;
            }, "the requests to begin");
            gone.abort();
            await asked;
            const { total } = await mock.usage();
            assert.equal(total.cancelled.requests, stream ? 4 : 2);
            assert.equal(total.output_tokens, 0);
        }
        await mock.stop();
    });

    it("keeps its pace", async () => {
        const mock = await Mock.start("--first-token-ms", "200", "--tokens-per-s", "100");
        const started = performance.now();
        const stream = await openai(mock).chat.completions.create({
            model: "m",
            messages: MESSAGES,
            stream: true,
            metadata: { mock_output_tokens: "21" },
        });
        const times = [];
        for await (const event of stream) {
            if (event.choices[0].delta.content) {
                times.push(performance.now() - started);
            }
        }
        assert.equal(times.length, 21);
        assert.ok(times[0] >= 195, `the first token after ${times[0]} ms`);
        assert.ok(times[20] >= 390, `the last one after ${times[20]} ms`);
        await mock.stop();
    });
});

describe("weir mock, the program", () => {
    it("demands the key that it was given", async () => {
        const mock = await Mock.start("--api-key", "sk-upstream");
        const ask = { model: "m", messages: MESSAGES, max_tokens: 3 };
        const wrong = openai(mock).chat.completions.create(ask);
        await assert.rejects(wrong, OpenAI.AuthenticationError);
        await assert.rejects(anthropic(mock).messages.create(ask), Anthropic.AuthenticationError);
        const apiKey = "sk-upstream";
        await openai(mock, { apiKey }).chat.completions.create(ask);
        await anthropic(mock, { apiKey }).messages.create(ask);
        assert.equal((await mock.usage()).total.requests, 2);
        await mock.stop();
    });

    it("ends by SIGTERM after the requests under way", async () => {
        const mock = await Mock.start("--first-token-ms", "300");
        const ask = { model: "m", messages: MESSAGES, stream: true };
        const stream = await openai(mock).chat.completions.create(ask); // which begins before its tokens
        const ended = mock.program.end("SIGTERM");
        assert.equal((await all(stream)).at(-1).choices[0].finish_reason, "stop");
        assert.deepEqual(await ended, { code: 0, signal: null });
    });

    it("says what is wrong with its options, and that its port is taken", async () => {
        const mock = await Mock.start();
        for (const [args, code, said] of [
            [["--listen", `127.0.0.1:${mock.port}`], 1, /address already in use/],
            [["--listen", "nowhere"], 2, /--listen: expected ADDRESS:PORT/],
            [["--workers", "0"], 2, /--workers/],
            [["--fail", "429:5"], 2, /--fail: expected STATUS:PERCENT%.*got "429:5"/],
            [["--fail", "429:60%", "--fail", "500:60%"], 2, /together at most 100%/],
            [["--abort", "200%"], 2, /--abort: expected a share/],
            [["--output-tokens", "9:3"], 2, /--output-tokens: expected MEAN/],
            [["--seed"], 2, /--seed expects a value/],
            [["--slow"], 2, /unknown option --slow/],
            [["now"], 2, /unexpected "now"/],
        ]) {
            const ended = await run(WEIR, ["mock", ...args]);
            assert.equal(ended.code, code, ended.output);
            assert.match(ended.output, said);
        }
        const help = await run(WEIR, ["mock", "--help"]);
        assert.equal(help.code, 0);
        assert.match(help.output, /--fail STATUS:PERCENT%/);
        await mock.stop();
    });

    it("serves from several workers, and counts in one place", async () => {
        const mock = await Mock.start("--workers", "2");
        await Promise.all(
            Array.from({ length: 40 }, (_, i) =>
                fetch(`${mock.url}/v1/completions`, {
                    method: "POST",
                    headers: { connection: "close" },
                    body: JSON.stringify({ model: `m${i % 2}`, prompt: "x", max_tokens: 1 }),
                }).then((r) => r.text()),
            ),
        );
        const { total, models } = await mock.usage();
        assert.equal(total.requests, 40);
        assert.equal(total.output_tokens, 40);
        assert.equal(models.m0.requests, 20);
        await mock.stop();
    });
});
