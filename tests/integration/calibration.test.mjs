// SPDX-License-Identifier: Apache-2.0
// Models whose encoding weir does not know: what is reserved for their input comes to what their
// upstream reports of it.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { get_encoding } from "tiktoken";
import { Upstream, event, usage } from "./support/upstream.mjs";
import { Node, SECRETS, WEIR, configuration } from "./support/weir.mjs";

const PLENTY = 100_000_000;
const ROUNDS = 20;
const tiktoken = get_encoding("o200k_base");
const DATA = existsSync(join(dirname(WEIR), "weir.tokens")); // else texts are estimated

/** What a request's texts come to by o200k_base and the documented overhead of a chat. */
function countOf({ messages }) {
    return messages.reduce((sum, { content }) => sum + 3 + tiktoken.encode_ordinary(content).length, 3);
}

function text(words, seed) {
    const some = ["river", "a", "weir", "holds", "Strömung", "水流", "return x;", "\n", "1024", "flows"];
    let state = seed + 1;
    return Array.from({ length: words }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return some[(state >>> 16) % some.length];
    }).join(" ");
}

function messagesOf(round) {
    return [
        { role: "user", content: text(60 + 97 * (round % 7), round) },
        { role: "assistant", content: text(40, round + 1000) },
        { role: "user", content: text(30 + 400 * (round % 3), round + 2000) },
    ];
}

describe("the input of a model whose encoding is not known", () => {
    /** A node in front of an upstream that reports `report(body)` input tokens. */
    async function gateway(t, report) {
        const u = await Upstream.start((request, response, body) => {
            const asked = JSON.parse(body);
            const tokens = report(asked);
            if (request.url.endsWith("/messages")) {
                const start = { type: "message_start", message: { usage: { input_tokens: tokens } } };
                response.writeHead(200, { "content-type": "text/event-stream" });
                response.write(event(start));
                response.write(event({ type: "message_delta", delta: {}, usage: { output_tokens: 1 } }));
                response.end(event({ type: "message_stop" }));
                return;
            }
            response.setHeader("content-type", "application/json");
            response.end(JSON.stringify({ object: "chat.completion", usage: usage(tokens, 1) }));
        });
        t.after(() => u.stop());
        const node = await Node.start(
            configuration({
                upstreams: [{ name: "u", base_url: u.url }],
                plans: { p: { limits: { input_tokens: `${PLENTY}/h` } } },
                keys: [{ id: "a", secret: SECRETS.a, plan: "p" }],
            }),
        );
        t.after(() => node.stop());
        return node;
    }

    const remaining = async (node) => (await node.limits("a"))["input_tokens/3600"].remaining;

    /** What was reserved for a request, and what it was settled to. */
    async function ask(node, model, messages, path = "/v1/chat/completions") {
        const before = await remaining(node);
        const anthropic = path === "/v1/messages";
        const { status, headers, text } = await node.ask("POST", path, {
            key: SECRETS.a,
            json: { model, messages, max_tokens: 10, stream: anthropic },
        });
        assert.equal(status, 200, text);
        const left = headers.get(
            anthropic
                ? "anthropic-ratelimit-input-tokens-remaining"
                : "x-ratelimit-remaining-input-tokens",
        );
        return { reserved: before - Number(left), used: before - (await remaining(node)) };
    }

    async function metrics(node) {
        const { text } = await node.ask("GET", "/metrics");
        const of = (name) => Number(text.split("\n").find((line) => line.startsWith(name)).split(" ")[1]);
        return {
            learnt: of('weir_input_reports_total{result="learnt"}'),
            ignored: of('weir_input_reports_total{result="ignored"}'),
            models: of("weir_calibrated_models"),
        };
    }

    function near(reserved, reported) {
        const off = Math.abs(reserved / reported - 1);
        assert.ok(off <= (DATA ? 0.05 : 0.2), `reserved ${reserved}, reported ${reported}`);
    }

    for (const ratio of [1.3, 0.8, 2]) {
        it(`comes to ${ratio} times what is counted`, async (t) => {
            const report = (asked) => Math.round(ratio * countOf(asked));
            const node = await gateway(t, report);
            for (let i = 0; i < ROUNDS; i++) {
                const { used } = await ask(node, "house-model", messagesOf(i));
                assert.equal(used, report({ messages: messagesOf(i) }));
            }
            for (let i = ROUNDS; i < ROUNDS + 5; i++) {
                const { reserved, used } = await ask(node, "house-model", messagesOf(i));
                near(reserved, used);
            }
            assert.deepEqual(await metrics(node), { learnt: ROUNDS + 5, ignored: 0, models: 1 });
        });
    }

    it("begins rather too high for Claude, and learns from streams", async (t) => {
        const report = (asked) => Math.round(1.2 * countOf(asked));
        const node = await gateway(t, report);
        const first = await ask(node, "claude-sonnet-4-5", messagesOf(2), "/v1/messages");
        if (DATA) {
            assert.equal(first.reserved, Math.ceil(1.35 * countOf({ messages: messagesOf(2) })));
        }
        for (let i = 0; i < ROUNDS; i++) {
            await ask(node, "claude-sonnet-4-5", messagesOf(i), "/v1/messages");
        }
        const { reserved, used } = await ask(node, "claude-sonnet-4-5", messagesOf(5), "/v1/messages");
        assert.equal(used, report({ messages: messagesOf(5) }));
        near(reserved, used);
    });

    it("is not moved by reports that tell nothing of it", async (t) => {
        let report = 0;
        const node = await gateway(t, () => report);
        const long = [{ role: "user", content: text(500, 1) }];
        const count = countOf({ messages: long });
        const { reserved } = await ask(node, "house-model", long);
        const image = { type: "image_url", image_url: { url: "https://example.com/a.png" } };
        const seen = [{ role: "user", content: [{ type: "text", text: text(50, 1) }, image] }];
        const cases = [
            [long, 0],
            [long, 5_000_000],
            [long, 10 * count],
            [long, Math.floor(count / 10)],
            [[{ role: "user", content: "Hello" }], 20], // too short
            [seen, 400], // not even looked at: what an image costs is another question
        ];
        for (const [messages, tokens] of cases) {
            report = tokens;
            await ask(node, "house-model", messages);
        }
        report = count;
        assert.equal((await ask(node, "house-model", long)).reserved, reserved);
        const { ignored, models } = await metrics(node);
        assert.deepEqual({ ignored, models }, { ignored: 5, models: 1 });
    });

    it("is not that of one whose encoding is known", async (t) => {
        if (!DATA) {
            t.skip("no token data");
            return;
        }
        const node = await gateway(t, (asked) => 2 * countOf(asked));
        const first = await ask(node, "gpt-4o", messagesOf(1));
        for (let i = 0; i < ROUNDS; i++) {
            await ask(node, "gpt-4o", messagesOf(1));
        }
        assert.equal((await ask(node, "gpt-4o", messagesOf(1))).reserved, first.reserved);
        assert.deepEqual(await metrics(node), { learnt: 0, ignored: 0, models: 0 });
    });
});
