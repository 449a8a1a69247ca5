// SPDX-License-Identifier: Apache-2.0
// The official clients, OpenAI's, Anthropic's and Vercel's, against `weir serve` in front of `weir mock`, on
// each store: what they are answered, and that each is charged what it was told, to the token.
// Complaints about other gateways (owner/repository#issue) are named where a test covers them.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { embed, generateText, jsonSchema, streamText, tool } from "ai";
import { Mock } from "./support/mock.mjs";
import { MOCK, all, gateway, giveUp, upstream } from "./support/sdk.mjs";
import { onEachStore } from "./support/stores.mjs";
import { eventually } from "./support/wait.mjs";

const MESSAGES = [{ role: "user", content: "Which river is the longest in Europe?" }];
const CHAT = { model: "gpt-4o", messages: MESSAGES, max_tokens: 60 };
const RESPONSE = { model: "gpt-4o", input: "Which river?", max_output_tokens: 60 };
const MESSAGE = { model: "claude-sonnet", messages: MESSAGES, max_tokens: 60 };
const PARAMETERS = { type: "object", properties: { words: { type: "string" } } };
const FUNCTION = { name: "look", description: "Looks for rivers.", parameters: PARAMETERS };

/** A model whose answers take long: who asked for one can leave in its middle. */
const SLOW = ["gpt-4o-mini", "claude-haiku"];
const LENGTH = 400; // of such an answer; it reserves as much

const words = (text) => text.split(" ").length;

onEachStore("official clients", (start) => {
    let mock, slow, account;
    before(async () => {
        mock = await Mock.start(...MOCK);
        slow = await Mock.start(...MOCK, "--tokens-per-s", "40");
        const models = ["gpt-4o", "gpt-3.5-turbo-instruct", "claude-sonnet", "text-embedding-3-small"];
        ({ account } = await gateway(
            start,
            [upstream("mock", mock, { models }), upstream("slow", slow, { models: SLOW })],
            { roomy: {} },
        ));
    });
    after(() => Promise.all([mock.stop(), slow.stop()]));

    it("openai: a chat costs the usage that it tells", async () => {
        const key = account();
        const { usage, choices } = await key.openai().chat.completions.create(CHAT);
        assert.equal(words(choices[0].message.content), key.told(usage).completion_tokens);
        await key.settled();
    });

    // openai/openai-node#1505: the usage of a stream was lost
    it("openai: a stream costs the same, and tells it only who asked", async () => {
        const key = account();
        const openai = key.openai();
        const plain = await openai.chat.completions.create(CHAT);
        key.told(plain.usage);
        for (const stream_options of [undefined, { include_usage: false }, { include_usage: true }]) {
            const ask = { ...CHAT, stream: true, stream_options };
            const events = await all(await openai.chat.completions.create(ask));
            const text = events.map((event) => event.choices[0]?.delta.content ?? "").join("");
            assert.equal(text, plain.choices[0].message.content);
            const usages = events.filter((event) => event.choices.length === 0 || event.usage);
            if (stream_options?.include_usage) {
                assert.deepEqual(usages, [events.at(-1)]);
                assert.deepEqual(usages[0].choices, []);
                assert.deepEqual(usages[0].usage, plain.usage);
            } else {
                assert.deepEqual(usages, []);
                assert.ok(events.every((event) => !("usage" in event)));
            }
            key.told(plain.usage);
            await key.settled();
        }
    });

    it("openai: completions, whole and streamed", async () => {
        const key = account();
        const openai = key.openai();
        const ask = { model: "gpt-3.5-turbo-instruct", prompt: "Once upon a time", max_tokens: 20 };
        const plain = await openai.completions.create(ask);
        assert.equal(words(plain.choices[0].text), key.told(plain.usage).completion_tokens);
        const streamed = { ...ask, stream: true };
        const events = await all(
            await openai.completions.create({ ...streamed, stream_options: { include_usage: true } }),
        );
        const text = events.map((event) => event.choices[0]?.text ?? "").join("");
        assert.equal(text, plain.choices[0].text);
        assert.deepEqual(key.told(events.at(-1).usage), plain.usage);
        const untold = await all(await openai.completions.create(streamed));
        assert.ok(untold.every((event) => event.choices.length === 1 && !event.usage));
        key.told(plain.usage);
        await key.settled();
    });

    // BerriAI/litellm#18671, #17706: /v1/responses was hardly charged
    it("openai: responses, whole and streamed, cost what they tell", async () => {
        const key = account();
        const openai = key.openai();
        const plain = await openai.responses.create(RESPONSE);
        assert.equal(words(plain.output_text), key.told(plain.usage).output_tokens);
        await key.settled();
        const final = await openai.responses.stream(RESPONSE).finalResponse();
        assert.equal(final.output_text, plain.output_text);
        assert.deepEqual(key.told(final.usage), plain.usage);
        const cut = await openai.responses.create({ ...RESPONSE, max_output_tokens: 1 });
        assert.equal(cut.incomplete_details.reason, "max_output_tokens");
        key.told(cut.usage);
        await key.settled();
    });

    it("openai: embeddings, and models for nothing", async () => {
        const key = account();
        const openai = key.openai();
        const ask = { model: "text-embedding-3-small", input: ["one", "two words"], dimensions: 5 };
        const { data, usage } = await openai.embeddings.create(ask);
        assert.deepEqual(data.map(({ embedding }) => embedding.length), [5, 5]);
        key.told(usage);
        await key.settled();
        const models = await all(await openai.models.list());
        assert.deepEqual(models.map(({ id }) => id).sort(), ["claude-sonnet", "gpt-4o"]);
        const { data: listed } = await key.anthropic().models.list();
        assert.deepEqual(listed.map(({ id }) => id).sort(), ["claude-sonnet", "gpt-4o"]);
        await key.settled();
    });

    it("openai: tools are input, and their calls are output", async () => {
        const key = account();
        const openai = key.openai();
        const without = key.told((await openai.chat.completions.create(CHAT)).usage);
        const tools = [{ type: "function", function: FUNCTION }];
        const offered = await openai.chat.completions.create({ ...CHAT, tools });
        assert.ok(key.told(offered.usage).prompt_tokens > without.prompt_tokens);
        assert.equal(offered.choices[0].message.tool_calls, undefined);
        const ask = { ...CHAT, tools, tool_choice: "required" };
        const called = await openai.chat.completions.create(ask);
        const [call] = called.choices[0].message.tool_calls;
        assert.equal(call.function.name, "look");
        assert.equal(words(JSON.parse(call.function.arguments).words), key.told(called.usage).completion_tokens);
        const final = await openai.chat.completions.stream(ask).finalChatCompletion();
        assert.equal(
            final.choices[0].message.tool_calls[0].function.arguments,
            call.function.arguments,
        );
        key.told(called.usage);
        const response = await openai.responses.create({
            ...RESPONSE,
            tools: [{ type: "function", ...FUNCTION }],
            tool_choice: "required",
        });
        assert.equal(response.output[0].type, "function_call");
        key.told(response.usage);
        await key.settled();
    });

    it("anthropic: messages, whole and streamed, cost what they tell", async () => {
        const key = account();
        const anthropic = key.anthropic();
        const plain = await anthropic.messages.create(MESSAGE);
        assert.equal(words(plain.content[0].text), key.told(plain.usage).output_tokens);
        await key.settled();
        const final = await anthropic.messages.stream(MESSAGE).finalMessage();
        assert.deepEqual(final.content, plain.content);
        assert.deepEqual(key.told(final.usage), plain.usage);
        await all(await anthropic.messages.create({ ...MESSAGE, stream: true }));
        key.told(plain.usage);
        const { request_id } = await anthropic.messages.create(MESSAGE).withResponse();
        assert.match(request_id, /^req_[0-9a-f]{32}$/, "weir's own, to be found in its log");
        key.told(plain.usage);
        await key.settled();
    });

    it("anthropic: a count of tokens is a request without tokens", async () => {
        const key = account();
        const { max_tokens, ...count } = MESSAGE;
        const { input_tokens } = await key.anthropic().messages.countTokens(count);
        key.toldNothing();
        await key.settled();
        const { usage } = await key.anthropic().messages.create(MESSAGE);
        assert.equal(key.told(usage).input_tokens, input_tokens);
        await key.settled();
    });

    it("anthropic: tools are input, and their calls are output", async () => {
        const key = account();
        const anthropic = key.anthropic();
        const without = key.told((await anthropic.messages.create(MESSAGE)).usage);
        const tools = [{ name: "look", description: "Looks.", input_schema: PARAMETERS }];
        const offered = await anthropic.messages.create({ ...MESSAGE, tools });
        assert.ok(key.told(offered.usage).input_tokens > without.input_tokens);
        const ask = { ...MESSAGE, tools, tool_choice: { type: "tool", name: "look" } };
        const called = await anthropic.messages.create(ask);
        assert.equal(called.stop_reason, "tool_use");
        assert.equal(words(called.content[0].input.words), key.told(called.usage).output_tokens);
        const final = await anthropic.messages.stream(ask).finalMessage();
        assert.deepEqual(final.content[0].input, called.content[0].input);
        key.told(final.usage);
        await key.settled();
    });

    for (const [of, models] of [
        ["OpenAI's chats", (key) => key.vercelOpenAI().chat("gpt-4o")],
        ["OpenAI's responses", (key) => key.vercelOpenAI()("gpt-4o")],
        ["Anthropic's messages", (key) => key.vercelAnthropic()("claude-sonnet")],
    ]) {
        it(`ai: ${of}, whole and streamed, cost what they tell`, async () => {
            const key = account();
            const ask = { model: models(key), prompt: "Which river?", maxOutputTokens: 60 };
            const { text, usage } = await generateText({ ...ask, maxRetries: 0 });
            assert.equal(words(text), key.told(usage).outputTokens);
            const stream = streamText({ ...ask, maxRetries: 0 });
            assert.equal((await all(stream.textStream)).join(""), text);
            assert.equal(key.told(await stream.usage).outputTokens, usage.outputTokens);
            await key.settled();
        });

        it(`ai: ${of}: a call of a tool, and the answer that follows it, are two requests`, async () => {
            const key = account();
            const seen = [];
            const look = tool({
                description: "Looks for rivers.",
                inputSchema: jsonSchema(PARAMETERS),
                execute: async (input) => `${seen.push(input.words)} river`,
            });
            const ask = { model: models(key), tools: { look }, maxOutputTokens: 60, maxRetries: 0 };
            const prompt = { role: "user", content: "Which river?" };
            const first = await generateText({ ...ask, messages: [prompt], toolChoice: "required" });
            assert.deepEqual(first.toolCalls.map(({ toolName }) => toolName), ["look"]);
            assert.equal(words(seen[0]), key.told(first.usage).outputTokens);
            const messages = [prompt, ...first.response.messages];
            const second = await generateText({ ...ask, messages });
            assert.ok(key.told(second.usage).inputTokens > first.usage.inputTokens);
            assert.ok(second.text.length > 0);
            await key.settled();
        });
    }

    it("ai: embeddings", async () => {
        const key = account();
        const model = key.vercelOpenAI().embedding("text-embedding-3-small");
        const { usage } = await embed({ model, value: "a river", maxRetries: 0 });
        key.told({ inputTokens: usage.tokens });
        await key.settled();
    });

    /** After a stream that its client left: the mock's ledger says what was made, and the charge is neither
     * less than what the client has nor more than that. Of a model whose encoding nobody knows output is
     * estimated until its usage is told: `by` is how far that may be off. */
    async function costsWhatWasMade(key, received, by = 1) {
        let last;
        const made = await eventually(async () => {
            last = await slow.trace(key.id).catch(() => null);
            return last?.cancelled.requests === 1 && last;
        }, "the model server's request to be cancelled").catch((error) =>
            assert.fail(`${error.message}: ${JSON.stringify(last)}`),
        );
        assert.ok(made.output_tokens >= received && made.output_tokens < LENGTH, JSON.stringify(made));
        let now;
        await eventually(async () => {
            now = await key.used();
            return now.output >= received / by && now.output <= made.output_tokens * by;
        }, "the settlement").catch((error) =>
            assert.fail(`${error.message}: ${JSON.stringify(now)} of ${JSON.stringify(made)}`),
        );
        assert.deepEqual([now.requests, now.input], [1, made.input_tokens]);
    }

    const traced = (key) => ({
        headers: { "x-mock-trace": key.id, "x-mock-output-tokens": `${LENGTH}` },
    });

    // BerriAI/litellm#14457, #17364, #36008, openai/openai-node#1505: the usage of an aborted stream was lost;
    // QuantumNous/new-api#5235: an abort gave everything back; #5287, #4168: it was billed in full
    it("openai: a chat that is given up costs what was made of it", async () => {
        const key = account();
        const ask = { ...CHAT, model: "gpt-4o-mini", max_tokens: LENGTH, stream: true };
        const stream = await key.openai().chat.completions.create(ask, traced(key));
        await giveUp(stream, 5, (event) => event.choices[0]?.delta.content, () =>
            stream.controller.abort(),
        );
        await costsWhatWasMade(key, 5);
    });

    it("openai: and so does a response", async () => {
        const key = account();
        const ask = { ...RESPONSE, model: "gpt-4o-mini", max_output_tokens: LENGTH, stream: true };
        const stream = await key.openai().responses.create(ask, traced(key));
        await giveUp(stream, 5, (event) => event.type === "response.output_text.delta", () =>
            stream.controller.abort(),
        );
        await costsWhatWasMade(key, 5);
    });

    it("anthropic: and so does a message", async () => {
        const key = account();
        const ask = { ...MESSAGE, model: "claude-haiku", max_tokens: LENGTH, stream: true };
        const stream = await key.anthropic().messages.create(ask, traced(key));
        await giveUp(stream, 5, (event) => event.type === "content_block_delta", () =>
            stream.controller.abort(),
        );
        await costsWhatWasMade(key, 5, 2);
    });

    it("ai: and so does a text", async () => {
        const key = account();
        const gone = new AbortController();
        const { textStream } = streamText({
            model: key.vercelOpenAI().chat("gpt-4o-mini"),
            prompt: "Which river?",
            maxOutputTokens: LENGTH,
            maxRetries: 0,
            abortSignal: gone.signal,
            ...traced(key),
        });
        await giveUp(textStream, 5, (text) => text, () => gone.abort());
        await costsWhatWasMade(key, 5);
    });
});
