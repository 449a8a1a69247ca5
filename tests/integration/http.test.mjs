// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 as clients and balancers use it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "node:net";
import { exchange } from "./support/raw.mjs";
import { eventually } from "./support/wait.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

const BODY = JSON.stringify({
    model: "weir-mock",
    messages: [{ role: "user", content: "Hello" }],
    max_tokens: 3,
});
const HEAD =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\n" +
    `Authorization: Bearer ${SECRETS.a}\r\n`;
const WHOLE = `${HEAD}Content-Length: ${BODY.length}\r\n\r\n${BODY}`;
const CLOSE = "GET /healthz HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n";

for (const workers of [1, 2]) {
    describe(`HTTP, ${workers} worker${workers > 1 ? "s" : ""}`, () => {
        let node;
        before(async () => {
            node = await Node.start(configuration({ workers }));
        });
        after(() => node.stop());

        it("is alive and ready", async () => {
            assert.equal((await node.ask("GET", "/healthz")).status, 200);
            assert.equal((await node.ask("GET", "/readyz")).status, 200);
        });

        it("answers pipelined requests in their order", async () => {
            const look = (n) =>
                JSON.stringify({ key: "id:b", input_tokens: n, output_tokens: 0, requests: 0 });
            const asks = Array.from({ length: 16 }, (_, n) => look(n + 1)).map(
                (body) =>
                    "POST /weir/v1/acquire HTTP/1.1\r\nHost: weir\r\n" +
                    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
            );
            const { answers, closed } = await exchange(node.port, asks.join("") + CLOSE);
            assert.ok(closed);
            assert.equal(answers.length, 17);
            const used = answers
                .slice(0, 16)
                .map(({ body }) => JSON.parse(body).limits)
                .map((limits) => limits.find(({ meter }) => meter === "input_tokens").used);
            const sums = Array.from({ length: 16 }, (_, n) => ((n + 1) * (n + 2)) / 2);
            assert.deepEqual(used, sums);
        });

        it("takes a request byte by byte, and in chunks of any size", async () => {
            const chunk = (size) =>
                BODY.match(new RegExp(`.{1,${size}}`, "g"))
                    .map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
                    .join("") + "0\r\n\r\n";
            for (const size of [1, 7, BODY.length]) {
                const text = `${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk(size)}${CLOSE}`;
                const { answers } = await exchange(node.port, text);
                assert.deepEqual(
                    answers.map(({ status }) => status),
                    [200, 200],
                );
            }
        });

        it("says 100 Continue to who asks for it", async () => {
            const head = `${HEAD}Expect: 100-continue\r\nContent-Length: ${BODY.length}\r\n\r\n`;
            const waiting = await exchange(node.port, head, { timeoutMs: 1000 });
            assert.deepEqual(
                waiting.answers.map(({ status }) => status),
                [100],
            );
            const { answers } = await exchange(node.port, head + BODY + CLOSE);
            assert.ok(answers.every(({ status }) => status === 100 || status === 200));
            assert.ok(answers.filter(({ status }) => status === 200).length === 2);
        });

        it("answers HEAD as GET, without the body", async () => {
            const head = CLOSE.replace("GET", "HEAD");
            const { text, closed } = await exchange(node.port, head);
            assert.ok(closed);
            assert.match(text, /^HTTP\/1\.1 200 /);
            assert.match(text, /\r\n\r\n$/);
            const get = await exchange(node.port, CLOSE);
            const length = /content-length: (\d+)/i;
            assert.equal(text.match(length)[1], get.text.match(length)[1]);
        });

        it("streams to HTTP/1.0 until it closes", async () => {
            const body = BODY.replace("{", '{"stream":true,');
            const text =
                HEAD.replace("HTTP/1.1", "HTTP/1.0") +
                `Content-Length: ${body.length}\r\n\r\n${body}`;
            const { text: answer, closed } = await exchange(node.port, text);
            assert.ok(closed);
            assert.doesNotMatch(answer, /transfer-encoding/i);
            assert.match(answer, /data: \[DONE\]\n\n$/);
        });

        it("keeps a connection for the next request", async () => {
            const { answers, closed } = await exchange(node.port, WHOLE + WHOLE, {
                timeoutMs: 1000,
            });
            assert.ok(!closed);
            assert.deepEqual(
                answers.map(({ status }) => status),
                [200, 200],
            );
        });
    });
}

describe("HTTP, answers that come late", () => {
    let node;
    before(async () => {
        const mock = { seed: 1, first_token_ms: 1200, output_tokens: { mean: 3, max: 3 } };
        const http = { body_timeout_ms: 1500, idle_timeout_ms: 1000 };
        node = await Node.start(configuration({ mock, http }));
    });
    after(() => node.stop());

    const statuses = ({ answers }) => answers.map(({ status }) => status);

    it("says 100 Continue when it is due, and counts the time of the body from then", async () => {
        const head = `${HEAD}Expect: 100-continue\r\nContent-Length: ${BODY.length}\r\n\r\n`;
        const socket = connect(node.port, "127.0.0.1");
        let text = "";
        socket.setEncoding("latin1").on("data", (part) => (text += part));
        socket.write(WHOLE + head);
        await eventually(() => text.includes("100 Continue"), "the invitation");
        assert.match(text, /^HTTP\/1\.1 200 [^]*HTTP\/1\.1 100 Continue\r\n\r\n$/);
        setTimeout(() => socket.write(BODY), 400); // 1600 ms after its head
        await eventually(() => text.match(/HTTP\/1\.1 (?!100)/g).length === 2, "the answer");
        assert.doesNotMatch(text, / 408 /);
        socket.destroy();
    });

    it("answers what a client asked that says no more", async () => {
        const answer = await exchange(node.port, WHOLE + CLOSE.replace("close", "x"), { end: true });
        assert.deepEqual(statuses(answer), [200, 200]);
        assert.ok(answer.closed);
    });

    it("keeps 256 requests of each of eight connections in their order", async () => {
        const look = CLOSE.replace("close", "keep-alive");
        const text = (WHOLE + look).repeat(127) + WHOLE + CLOSE;
        const all = await Promise.all(Array.from({ length: 8 }, () => exchange(node.port, text)));
        for (const answer of all) {
            assert.equal(answer.answers.length, 256);
            assert.ok(answer.closed);
            const chats = answer.answers.filter(({ status }) => status === 200 || status === 429);
            assert.equal(chats.length, 256);
            assert.ok(answer.answers.every(({ body }, n) => (n % 2 === 0) === body.startsWith("{")));
        }
    });

    it("cuts off a client that reads no answer", async () => {
        const open = async () => {
            const { text } = await node.ask("GET", "/metrics");
            return Number(text.match(/^weir_connections (\d+)/m)[1]);
        };
        const mine = await open();
        const socket = connect({ port: node.port, host: "127.0.0.1" }).pause();
        socket.on("error", () => {}); // it is cut
        const look = CLOSE.replace("healthz", "metrics").replace("close", "keep-alive");
        socket.write(look.repeat(5000));
        await eventually(() => {
            socket.write("\r\n"); // fails once nobody is there
            return socket.destroyed;
        }, "the cut");
        await eventually(async () => (await open()) <= mine, "its end");
        assert.equal((await node.ask("GET", "/healthz")).status, 200);
        socket.destroy();
    });
});
