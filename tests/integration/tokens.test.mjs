// SPDX-License-Identifier: Apache-2.0
// Counts of weir tokens against those of tiktoken's WASM build, to the token.
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Text, randomTexts } from "./support/texts.mjs";
import { Program, run, temporaryFolder } from "./support/process.mjs";
import { Node, SECRETS, WEIR, configuration, refusesToStart } from "./support/weir.mjs";

const require = createRequire(import.meta.url);
const { get_encoding } = require("tiktoken");
const RANKS = "scripts/tokens/node_modules/gpt-tokenizer/data";
const ENCODINGS = ["o200k_base", "cl100k_base"];

let folder;
before(() => {
    folder = temporaryFolder();
});
after(() => folder.remove());

function file(text, name = "text") {
    const path = join(folder.path, name);
    writeFileSync(path, text);
    return path;
}

/** The counts of these texts, in one run of the program. */
async function counts(encoding, texts) {
    const path = file(texts.map((text) => JSON.stringify(text)).join("\n"), "lines");
    const { code, output } = await run(WEIR, ["tokens", "--encoding", encoding, "--lines", path]);
    assert.equal(code, 0, output.slice(-500));
    return output.trimEnd().split("\n").map(Number);
}

function same(texts, got, want) {
    assert.equal(got.length, texts.length);
    const wrong = texts.findIndex((_, i) => got[i] !== want[i]);
    if (wrong >= 0) {
        assert.fail(
            `${JSON.stringify(texts[wrong]).slice(0, 400)}: ${got[wrong]}, not ${want[wrong]}`,
        );
    }
}

for (const encoding of ENCODINGS) {
    describe(encoding, () => {
        let tiktoken;
        before(() => {
            tiktoken = get_encoding(encoding);
        });
        after(() => tiktoken.free());
        const expected = (texts) => texts.map((text) => tiktoken.encode_ordinary(text).length);

        it("counts the samples of TestPlans.txt as they say", async () => {
            const plans = readFileSync(`${RANKS}/TestPlans.txt`, "utf8").matchAll(
                /EncodingName: (\S+)\nSample: ([^]*?)\nEncoded: \[([^\]]*)\]/g,
            );
            const own = [...plans].filter(([, name]) => name === encoding);
            assert.ok(own.length > 50);
            const texts = own.map(([, , text]) => text);
            const want = own.map(([, , , ids]) => (ids === "" ? 0 : ids.split(",").length));
            same(texts, await counts(encoding, texts), want);
        });

        it("counts each token of the vocabulary as one, and between others as tiktoken", async () => {
            const texts = [];
            for (const line of readFileSync(`${RANKS}/${encoding}.tiktoken`, "latin1").split("\n")) {
                const bytes = Buffer.from(line.split(" ")[0], "base64");
                const text = bytes.toString("utf8");
                if (text !== "" && Buffer.from(text).equals(bytes)) {
                    texts.push(text, `x${text}${text}`);
                }
            }
            assert.ok(texts.length > 150000);
            same(texts, await counts(encoding, texts), expected(texts));
        });

        it("counts 10 000 random and hostile texts as tiktoken", async () => {
            const texts = randomTexts(20261128, 10000);
            same(texts, await counts(encoding, texts), expected(texts));
        });

        it("takes every code point for what tiktoken takes it for", async () => {
            const texts = [];
            for (let point = 0; point < 0x110000; point++) {
                const assigned = point < 0x32400 || (point >= 0xe0000 && point < 0xe0200);
                if ((point < 0xd800 || point > 0xdfff) && (assigned || point % 97 === 0)) {
                    const c = String.fromCodePoint(point);
                    // an other takes the newline, a number two of the digits, a letter none of both
                    texts.push(`${c}\n \n ${c}123a${c}'S!${c}b`);
                }
            }
            same(texts, await counts(encoding, texts), expected(texts));
        });

        it("counts long runs as tiktoken, and a megabyte of them at all", async () => {
            const parts = ["a", "A", " ", "\n", "\t ", "😀", "a1", "水", "é", "0", "=", "aA", "\u0301"];
            const texts = parts.flatMap((part) => [part.repeat(3000), `${part.repeat(3001)}x`]);
            same(texts, await counts(encoding, texts), expected(texts));
            const long = parts.map((part) => part.repeat(1000000 / part.length));
            assert.equal((await counts(encoding, long)).length, parts.length);
        });

        it("counts the text of a special token as text", async () => {
            const texts = ["<|endoftext|>", "a<|fim_prefix|>b", "<|endofprompt|>"];
            same(texts, await counts(encoding, texts), expected(texts));
            assert.ok((await counts(encoding, texts))[0] > 1);
        });
    });
}

describe("weir tokens", () => {
    const tokens = (...args) => run(WEIR, ["tokens", ...args]);

    it("prints a number, and the names of several files", async () => {
        const hello = file("Hello, world", "hello");
        const empty = file("", "empty");
        assert.deepEqual(await tokens(hello), { code: 0, output: "3\n" });
        const { output } = await tokens(hello, empty);
        assert.equal(output, `3 ${hello}\n0 ${empty}\n`);
    });

    it("knows the encodings of models", async () => {
        const text = "ഇത് ഒരു വാക്യം"; // of which the encodings make different numbers
        const [[o200k], [cl100k]] = await Promise.all(ENCODINGS.map((e) => counts(e, [text])));
        const path = file(text);
        assert.notEqual(o200k, cl100k);
        for (const [model, want] of [
            ["gpt-4o-mini-2024-07-18", o200k],
            ["ft:gpt-4.1:org::id", o200k],
            ["gpt-5", o200k],
            ["o1-preview", o200k],
            ["o3", o200k],
            ["o4-mini", o200k],
            ["gpt-4", cl100k],
            ["gpt-4-turbo", cl100k],
            ["gpt-3.5-turbo", cl100k],
            ["text-embedding-3-small", cl100k],
        ]) {
            assert.equal((await tokens("--model", model, path)).output, `${want}\n`, model);
        }
    });

    it("says when it estimates", async () => {
        const { code, output } = await tokens("--model", "claude-x", file("four letters"));
        assert.equal(code, 0);
        assert.match(output, /claude-x.*estimated\n/);
        assert.match(output, /^3$/m);
    });

    it("refuses what it cannot count", async () => {
        for (const [args, code, expected] of [
            [[], 2, /FILE/],
            [["--encoding", "o200k_base", "--model", "gpt-4o", "-"], 2, /not both/],
            [["--encoding", "p50k_base", file("a")], 2, /p50k_base.*o200k_base cl100k_base/],
            [["--colour", file("a")], 2, /unknown option/],
            [["--data"], 2, /--data expects a value/],
            [[join(folder.path, "nowhere")], 1, /nowhere: No such file/],
            [[folder.path], 1, /Is a directory/],
            [[file(Buffer.from([0x61, 0xff]), "bad")], 1, /bad: it is not UTF-8/],
            [["--lines", file('"a"\n{}\n', "half")], 1, /half:2: expected a JSON string/],
            [["--data", join(folder.path, "none"), file("a")], 1, /none: No such file/],
            [["--data", file("a", "short"), file("a")], 1, /short: not a file of token data/],
            [["--pack", join(folder.path, "out"), "ranks"], 2, /o200k_base=FILE/],
            [["--pack", join(folder.path, "out"), `o200k_base=${file("YQ== 1\n", "r")}`], 1, /r:1:/],
            [["--pack", join(folder.path, "out"), `o200k_base=${file("YQ== 0\n", "s")}`], 1, /byte/],
        ]) {
            const done = await tokens(...args);
            assert.equal(done.code, code, `${args}: ${done.output}`);
            assert.match(done.output, expected);
        }
    });

    it("takes no damaged data", async () => {
        const whole = readFileSync(WEIR.replace(/weir$/, "weir.tokens"));
        const text = new Text(7);
        for (let i = 0; i < 20; i++) {
            const damaged = Buffer.from(whole);
            damaged[text.below(i < 10 ? 500 : damaged.length)] ^= 1 + text.below(255);
            const path = file(i === 19 ? whole.subarray(0, -8) : damaged, "damaged");
            const { code, output } = await tokens("--data", path, file("a"));
            assert.equal(code, 1, output);
            assert.match(output, /not a file of token data/);
        }
    });
});

describe("weir serve", () => {
    const TOOLS = [
        {
            name: "get_weather",
            description: "The weather at a place, as it is now.",
            parameters: {
                type: "object",
                required: ["place", "days"],
                properties: {
                    place: { type: "string", description: "A city, as Århus or 京都" },
                    unit: { type: "string", enum: ["celsius", 'with "quotes"', "é"] },
                    days: { type: "integer", description: "How many", enum: [1, 2, 7] },
                    precise: { type: "boolean" },
                    nothing: { type: "null" },
                    tags: { type: "array", items: { type: "string" } },
                    list: { type: "array" },
                    whatever: { anyOf: [{ type: "string" }, { type: "number" }] },
                    where: {
                        type: "object",
                        description: "told",
                        required: ["lat"],
                        properties: {
                            lat: { type: "number", description: "not told" },
                            deep: { type: "object", properties: { lon: { type: "number" } } },
                        },
                    },
                },
            },
        },
        { name: "stop" },
        { name: "go", description: "Goes.", parameters: { type: "object", properties: {} } },
    ];
    const CHATS = [
        { messages: [{ role: "user", content: "Hello" }] },
        {
            messages: [
                { role: "system", content: "You are a helpful assistant." },
                { role: "user", name: "bob_1", content: "C'est l'été, don't you think?\n\n  日本" },
                { role: "assistant", content: "" },
            ],
        },
        { messages: [{ role: "user", content: "Hello" }], functions: TOOLS },
        { messages: [{ role: "user", content: "Hello" }], functions: TOOLS.slice(1) },
    ];

    it("counts a chat as gpt-tokenizer does, tools by both their names", async () => {
        const node = await Node.start(configuration({ models: { "gpt-4o": {}, "gpt-4-turbo": {} } }));
        try {
            for (const model of ["gpt-4o", "gpt-4-turbo"]) {
                const { countChatCompletionTokens } = require(
                    `${process.cwd()}/scripts/tokens/node_modules/gpt-tokenizer/cjs/model/${model}`,
                );
                for (const chat of CHATS) {
                    const want = countChatCompletionTokens(chat);
                    const answer = await node.chat(SECRETS.a, { model, max_tokens: 1, ...chat });
                    assert.equal(answer.status, 200, answer.text);
                    assert.equal(answer.body.usage.prompt_tokens, want, JSON.stringify(chat));
                    if (chat.functions !== undefined) {
                        const { functions, ...rest } = chat;
                        const tools = functions.map((f) => ({ type: "function", function: f }));
                        const again = await node.chat(SECRETS.a, {
                            model,
                            max_tokens: 1,
                            ...rest,
                            tools,
                        });
                        assert.equal(again.body.usage.prompt_tokens, want);
                    }
                }
            }
        } finally {
            await node.stop();
        }
    });

    it("counts a conversation that grows as tiktoken, whatever it remembers of it", async () => {
        const plans = { roomy: { limits: { input_tokens: "1000M/min" } } };
        const keys = [{ id: "a", secret: SECRETS.a, plan: "roomy" }];
        const node = await Node.start(configuration({ plans, keys }));
        const random = new Text(7);
        const messages = [];
        const sum = { "gpt-4o": 3, "gpt-4": 3 };
        const tiktoken = { "gpt-4o": get_encoding("o200k_base"), "gpt-4": get_encoding("cl100k_base") };
        const count = (model, { content }) => 4 + tiktoken[model].encode_ordinary(content).length;
        const some = (bytes) => {
            let text = "";
            while (text.length < bytes) {
                text += random.text();
            }
            return text;
        };
        try {
            for (let turn = 0; turn < 60; turn++) {
                const grows = turn % 3 === 2; // the last one goes on
                const last = grows ? messages.pop() : undefined;
                const role = turn % 2 === 0 ? "user" : "assistant";
                const text = some(random.pick([100, 1000, 3000, 9000]));
                const next = grows ? { ...last, content: last.content + text } : { role, content: text };
                messages.push(next);
                for (const model of Object.keys(sum)) {
                    sum[model] += count(model, next) - (grows ? count(model, last) : 0);
                    const answer = await node.chat(SECRETS.a, { model, max_tokens: 1, messages });
                    assert.equal(answer.status, 200, answer.text);
                    assert.equal(answer.body.usage.prompt_tokens, sum[model], `turn ${turn}`);
                }
            }
        } finally {
            await node.stop();
            Object.values(tiktoken).forEach((each) => each.free());
        }
    });

    it("refuses data that is named and not there, and says when it estimates", async () => {
        const named = await refusesToStart(configuration({ token_data: "/nowhere/weir.tokens" }));
        assert.equal(named.code, 1);
        assert.match(named.output, /token_data: \/nowhere\/weir.tokens: No such file/);
        const alone = join(folder.path, "weir"); // nothing lies beside it
        copyFileSync(WEIR, alone);
        const { output } = await run(alone, ["tokens", file("four letters")]);
        assert.match(output, /there is no weir.tokens beside the program: estimated\n3\n/);
        const config = file(JSON.stringify(configuration()), "config");
        const node = new Program(alone, ["serve", "--config", config]);
        await node.says(/tokens are estimated: there is no weir.tokens beside the program/);
        await node.says(/listening/);
        await node.end();
    });
});
