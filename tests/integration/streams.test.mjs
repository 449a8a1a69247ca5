// SPDX-License-Identifier: Apache-2.0
// Streams that are long, read slowly or given up: what was made is charged, and memory is bounded.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, it } from "node:test";
import OpenAI from "openai";
import { eventually, sleep } from "./support/wait.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

const ASK = { model: "weir-mock", messages: [{ role: "user", content: "Hello" }] };
const LONG = 400000;
const ROOMY = {
    plans: { roomy: { limits: { output_tokens: "1G/min", requests: "1M/min" } } },
    keys: [{ id: "a", secret: SECRETS.a, plan: "roomy" }],
};
/** Answers of LONG tokens, all but a few: a length is drawn around the mean. */
const FAST = { seed: 1, output_tokens: { mean: 1000000, max: LONG } };
const SLOW = {
    seed: 1,
    output_tokens: { mean: 1000000, max: 200 },
    first_token_ms: 20,
    tokens_per_s: 50,
};

/** Freed memory that a sanitizer keeps for a while is not held by weir. */
const env = { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ""}:quarantine_size_mb=8` };

async function started(t, config) {
    const node = await Node.start(config, { env });
    t.after(() => node.stop());
    return node;
}

async function outputUsed(node) {
    return (await node.limits("a"))["output_tokens/60"].used;
}

/** A connection that sent a chat request and reads nothing of the answer. */
function unread(node, ask) {
    const body = JSON.stringify({ ...ASK, ...ask });
    const socket = connect(node.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer ${SECRETS.a}\r\n` +
            `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    return socket;
}

function residentMiB(node) {
    const status = readFileSync(`/proc/${node.program.child.pid}/status`, "utf8");
    return Number(status.match(/^VmRSS:\s+(\d+) kB/m)[1]) / 1024;
}

describe("a long stream", () => {
    it("is complete, whatever buffer its whole would need", async (t) => {
        const node = await started(t, configuration({ ...ROOMY, mock: FAST }));
        const { text } = await node.chat(SECRETS.a, {
            model: "m".repeat(100), // in every event
            max_tokens: LONG,
            stream: true,
            stream_options: { include_usage: true },
        });
        assert.ok(text.length > 64 << 20, `${text.length} bytes`);
        assert.ok(text.endsWith("data: [DONE]\n\n"));
        const usage = JSON.parse(text.split("\n\n").at(-3).slice("data: ".length)).usage;
        assert.equal(text.match(/"delta":\{"content"/g).length, usage.completion_tokens);
    });
});

describe("streams that nobody reads", () => {
    it("take little memory, and cost what left", async (t) => {
        const node = await started(t, configuration({ ...ROOMY, mock: FAST }));
        const before = residentMiB(node);
        const sockets = Array.from({ length: 16 }, (_, i) =>
            unread(node, { model: `m${i}`, stream: true, max_tokens: LONG }),
        );
        await eventually(async () => (await outputUsed(node)) === 16 * LONG, "16 streams");
        await sleep(1000);
        const grew = residentMiB(node) - before;
        assert.ok(grew < 64, `${grew} MiB more`);
        for (const socket of sockets) {
            socket.resetAndDestroy();
        }
        await eventually(
            async () => (await outputUsed(node)) < 4 * LONG,
            "the reservations of the streams to be settled",
        );
        assert.ok((await outputUsed(node)) > 0);
    });
});

describe("a request that is given up", () => {
    it("costs the tokens that the official client was sent", async (t) => {
        const node = await started(t, configuration({ mock: SLOW }));
        const openai = new OpenAI({ apiKey: SECRETS.a, baseURL: `${node.url}/v1`, maxRetries: 0 });
        const stream = await openai.chat.completions.create({
            ...ASK,
            stream: true,
            max_tokens: 1000,
        });
        let received = 0;
        for await (const chunk of stream) {
            received += chunk.choices[0].delta.content ? 1 : 0;
            if (received === 5) {
                assert.equal(await outputUsed(node), 1000);
                break; // aborts the request
            }
        }
        const used = await eventually(async () => {
            const now = await outputUsed(node);
            return now < 1000 && now;
        }, "the reservation to be settled");
        assert.ok(used >= 5 && used < 200, `${used} tokens`);
    });

    it("costs what its model had made, where no stream shows it", async (t) => {
        const node = await started(t, configuration({ mock: SLOW }));
        const socket = unread(node, { max_tokens: 1000 });
        await eventually(async () => (await outputUsed(node)) === 1000, "the reservation");
        await sleep(400);
        socket.resetAndDestroy();
        const used = await eventually(async () => {
            const now = await outputUsed(node);
            return now < 1000 && now;
        }, "the reservation to be settled");
        assert.ok(used >= 10 && used < 200, `${used} tokens`);
    });
});
