// SPDX-License-Identifier: Apache-2.0
// Streams of real upstreams, and clients that leave: what passes, and what is charged as it comes.
// Complaints about other gateways (owner/repository#issue) are named where a test covers them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import OpenAI from "openai";
import { ASK, client, comesTo, gateway, upstream, used } from "./support/proxy.mjs";
import { onEachStore } from "./support/stores.mjs";
import { chunk, event, fixed, model, usage } from "./support/upstream.mjs";
import { eventually, sleep } from "./support/wait.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

describe("a stream from an upstream", () => {
    it("is that of the upstream, and settled by a usage that the client did not ask for", async (t) => {
        const u = await upstream(t, model({ input: 7, words: 5 }));
        const node = await gateway(t, { u });
        const stream = await client(node).chat.completions.create({ ...ASK, stream: true });
        let text = "";
        for await (const part of stream) {
            assert.equal(part.choices.length, 1, "the chunk of the usage is taken out");
            text += part.choices[0].delta.content ?? "";
        }
        assert.equal(text, "word".repeat(5));
        assert.equal(JSON.parse(u.requests[0].body).stream_options.include_usage, true);
        assert.deepEqual(await used(node), { requests: 1, input: 7, output: 5 });
    });

    it("keeps the usage that the client asked for", async (t) => {
        const u = await upstream(t, model({ input: 7, words: 5 }));
        const node = await gateway(t, { u });
        const stream = await client(node).chat.completions.create({
            ...ASK,
            stream: true,
            stream_options: { include_usage: true },
        });
        let last;
        for await (const part of stream) {
            last = part;
        }
        assert.deepEqual(last.usage, usage(7, 5));
        assert.deepEqual(await used(node), { requests: 1, input: 7, output: 5 });
    });

    // BerriAI/litellm#27748: these headers were missing on streams
    it("has weir's rate limit headers", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, { u });
        const { headers } = await node.chat(SECRETS.a, { ...ASK, stream: true });
        assert.equal(headers.get("x-ratelimit-remaining-output-tokens"), String(50000 - 100));
        assert.match(headers.get("content-type"), /^text\/event-stream/);
    });

    it("leaves event by event, not as a whole", async (t) => {
        let go;
        const u = await upstream(t, async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(event(chunk({ content: "first" })));
            await new Promise((done) => (go = done));
            response.end(event(chunk({ content: "second" })) + "data: [DONE]\n\n");
        });
        const node = await gateway(t, { u });
        const stream = await client(node).chat.completions.create({ ...ASK, stream: true });
        const texts = [];
        for await (const part of stream) {
            texts.push(part.choices[0].delta.content);
            go();
        }
        assert.deepEqual(texts, ["first", "second"]);
    });

    // BerriAI/litellm#14457, #17364: the usage of an aborted stream was lost;
    // QuantumNous/new-api#5235: an abort gave everything back
    it("that its client gives up is cancelled there, and costs what was produced", async (t) => {
        const u = await upstream(t, model({ words: 1000, delayMs: 10 }));
        const node = await gateway(t, { u });
        const stream = await client(node).chat.completions.create({ ...ASK, stream: true });
        let received = 0;
        for await (const part of stream) {
            received += part.choices[0].delta.content ? 1 : 0;
            if (received === 5) {
                break; // aborts the request
            }
        }
        await eventually(() => u.aborted === 1, "the upstream's request to be cancelled");
        const { output } = await eventually(async () => {
            const now = await used(node);
            return now.output < 100 && now;
        }, "the settlement");
        assert.ok(output >= 5 && output <= u.produced + 1, `${output} of ${u.produced}`);
    });

    it("that breaks off between events ends with an error, and costs what was produced", async (t) => {
        const u = await upstream(t, async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            for (let i = 0; i < 3; i++) {
                response.write(event(chunk({ content: "word" })));
            }
            await sleep(20);
            response.destroy();
        });
        const node = await gateway(t, { u });
        const stream = await client(node).chat.completions.create({ ...ASK, stream: true });
        let received = 0;
        const error = await (async () => {
            for await (const part of stream) {
                received += part.choices.length;
            }
        })().catch((e) => e);
        assert.equal(received, 3);
        assert.ok(error instanceof OpenAI.APIError, String(error));
        assert.equal(error.code, "upstream_broken");
        const now = await used(node);
        assert.equal(now.requests, 1);
        assert.ok(now.output >= 3 && now.output <= 6, `${now.output}`);
    });

    it("that breaks off within an event is no whole answer", async (t) => {
        const u = await upstream(t, async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(event(chunk({ content: "word" })));
            response.write('data: {"id":');
            await sleep(20);
            response.destroy();
        });
        const node = await gateway(t, { u });
        const ask = { ...ASK, stream: true, stream_options: { include_usage: true } };
        const answer = await fetch(`${node.url}/v1/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${SECRETS.a}`, "content-type": "application/json" },
            body: JSON.stringify(ask),
        });
        await assert.rejects(answer.text());
    });

    it("waits for a client that reads nothing", async (t) => {
        let sent = 0;
        let blocked = false;
        const u = await upstream(t, async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            const part = event(chunk({ content: "x".repeat(16000) }));
            const gone = once(response, "close");
            for (let i = 0; i < 2000 && !response.destroyed; i++) {
                sent += part.length;
                if (!response.write(part)) {
                    blocked = true;
                    await Promise.race([once(response, "drain"), gone]);
                }
            }
            response.end("data: [DONE]\n\n");
        });
        const node = await gateway(t, { u });
        const body = JSON.stringify({ ...ASK, stream: true });
        const socket = connect(node.port, "127.0.0.1");
        socket.on("error", () => {});
        socket.pause();
        socket.write(
            `POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer ${SECRETS.a}\r\n` +
                `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
        let last = -1;
        await eventually(async () => {
            const stands = blocked && sent === last;
            last = sent;
            await sleep(200);
            return stands;
        }, "the upstream to wait");
        assert.ok(sent < 16 << 20, `${sent} bytes left the upstream`);
        let read = 0;
        let text = "";
        for await (const part of socket) {
            read += part.length;
            text = (text + part).slice(-100);
            if (text.includes("[DONE]")) {
                break;
            }
        }
        assert.ok(read > 2000 * 16000, `${read} bytes came`);
    });
});

onEachStore("a stream that outgrows what was reserved", (start) => {
    const WORDS = 400;
    const ask = { model: "m", messages: ASK.messages, stream: true }; // names no maximum

    let tests = 0; // each with a key of its own: nodes share a Redis

    async function begun(t, plan, delayMs = 2) {
        const u = await upstream(t, model({ input: 9, words: WORDS, delayMs }));
        tests++;
        const node = await start(
            configuration({
                upstreams: [{ name: "u", base_url: u.url }],
                plans: { p: { default_output_tokens: 20, ...plan } },
                keys: [{ id: `a${tests}`, secret: SECRETS.a, plan: "p" }],
            }),
        );
        return { u, node };
    }

    /** How many words came, and what ended them. */
    async function read(node) {
        let words = 0;
        let error;
        try {
            for await (const part of await client(node).chat.completions.create(ask)) {
                words += part.choices[0].delta.content ? 1 : 0;
            }
        } catch (e) {
            error = e;
        }
        return { words, error };
    }

    const output = async (node) => (await node.limits(`a${tests}`))["output_tokens/60"].used;

    // what streams is seen by the limits while it streams: envoyproxy/ai-gateway#680
    it("takes more while it streams, and gives back the rest", async (t) => {
        const { node } = await begun(t, { limits: { output_tokens: "10k/min" } }, 5);
        const reading = read(node);
        await eventually(async () => {
            const now = await output(node);
            return now > 100 && now < WORDS;
        }, "more to be taken");
        const { words, error } = await reading;
        assert.equal(error, undefined);
        assert.equal(words, WORDS);
        await eventually(async () => (await output(node)) === WORDS, "the settlement");
        const { text } = await node.ask("GET", "/metrics"); // the first reservation, the last piece
        const settled = /^weir_settle_error_tokens_count\{meter="output_tokens".*\} (\d+)$/gm;
        const counts = [...text.matchAll(settled)].map(([, count]) => Number(count));
        assert.equal(counts[0] + counts[1], 2);
    });

    it("goes on in debt when nothing is left", async (t) => {
        const { node } = await begun(t, { limits: { output_tokens: "100/min" } });
        const { words, error } = await read(node);
        assert.equal(error, undefined);
        assert.equal(words, WORDS);
        await eventually(async () => (await output(node)) === WORDS, "the settlement");
    });

    it("is cut off when nothing is left, where the plan says so", async (t) => {
        const limits = { output_tokens: "100/min" };
        const { u, node } = await begun(t, { limits, on_overrun: "cut" }, 10);
        const { words, error } = await read(node);
        assert.ok(error instanceof OpenAI.APIError, String(error));
        assert.equal(error.code, "rate_limit_exceeded");
        assert.ok(words >= 80 && words < WORDS, `${words} words`);
        await eventually(() => u.aborted === 1, "the upstream's request to be cancelled");
        await eventually(async () => (await output(node)) === words, "the settlement");
    });

    // the piece after it was denied: what was taken of the last one is given back all the same
    it("that reports less than was counted gives back the last piece", async (t) => {
        const { u, node } = await begun(t, { limits: { output_tokens: "100/min" } });
        const words = (many) => event(chunk({ content: "word" })).repeat(many);
        let go;
        u.answer = async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(words(21));
            await new Promise((done) => (go = done));
            response.write(words(70));
            await sleep(100); // denied by now
            response.write(event({ ...chunk({}), choices: [], usage: usage(9, 30) }));
            response.end("data: [DONE]\n\n");
        };
        const reading = read(node);
        await eventually(async () => (await output(node)) === 85, "a piece to be taken");
        go();
        const { words: came, error } = await reading;
        assert.equal(error, undefined);
        assert.equal(came, 91);
        let last;
        await eventually(async () => {
            last = await output(node);
            return last === 30;
        }, "the settlement").catch(() => assert.equal(last, 30));
    });

    it("that ends or is given up meanwhile is settled all the same", async (t) => {
        const { u, node } = await begun(t, { limits: { output_tokens: "1M/min" } });
        const ends = Array.from({ length: 10 }, async (_, i) => {
            let left = 15 + i * 20;
            const stream = await client(node).chat.completions.create(ask);
            for await (const part of stream) {
                left -= part.choices[0].delta.content ? 1 : 0;
                if (left === 0) {
                    break;
                }
            }
        });
        await Promise.all(ends);
        const least = Array.from({ length: 10 }, (_, i) => 15 + i * 20).reduce((a, b) => a + b);
        await eventually(() => u.aborted === 10, "the streams to be cancelled");
        let now;
        await eventually(async () => {
            now = await output(node);
            return now >= least && now <= u.produced;
        }, "the settlements").catch(() => assert.fail(`${now} for ${least}, ${u.produced} made`));
    });
});

describe("a client that leaves before it has its answer", () => {
    it("cancels the request; what was reserved for a plain answer stands", async (t) => {
        const u = await upstream(t, () => {});
        const node = await gateway(t, { u });
        const body = JSON.stringify(ASK);
        const socket = connect(node.port, "127.0.0.1");
        socket.write(
            `POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer ${SECRETS.a}\r\n` +
                `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
        await eventually(() => u.requests.length === 1, "the request");
        socket.resetAndDestroy();
        await eventually(() => u.aborted === 1, "the upstream's request to be cancelled");
        assert.equal((await used(node)).output, 100);
    });

    // who has most of an answer and leaves before its usage would have it for nothing
    it("pays what was reserved, also with a part of a plain answer", async (t) => {
        const u = await upstream(t, (request, response) => {
            response.writeHead(200, { "content-type": "application/json" });
            response.write('{"choices":[{"message":{"content":"all of it"}}],');
        });
        const node = await gateway(t, { u });
        const abort = new AbortController();
        const answer = await fetch(`${node.url}/v1/chat/completions`, {
            method: "POST",
            headers: {
                authorization: `Bearer ${SECRETS.a}`,
                "content-type": "application/json",
            },
            body: JSON.stringify(ASK),
            signal: abort.signal,
        });
        const { value } = await answer.body.getReader().read();
        assert.match(new TextDecoder().decode(value), /all of it/);
        abort.abort();
        await eventually(() => u.aborted === 1, "the upstream's request to be cancelled");
        assert.equal((await used(node)).output, 100);
    });

    // such a client only shuts its side
    it("costs no output where a stream was to come", async (t) => {
        const u = await upstream(t, () => {});
        const node = await gateway(t, { u });
        const abort = new AbortController();
        const asked = client(node).chat.completions.create(
            { ...ASK, stream: true },
            { signal: abort.signal },
        );
        await eventually(() => u.requests.length === 1, "the request");
        abort.abort();
        await assert.rejects(asked);
        const { input } = await used(node);
        await comesTo(node, { requests: 1, input, output: 0 });
    });
});

describe("a stop of weir", () => {
    it("lets streams under way end, and idle connections not wait", async (t) => {
        const u = await upstream(t, model({ words: 50, delayMs: 10 }));
        const upstreams = [{ name: "u", base_url: u.url }];
        const node = await Node.start(configuration({ upstreams }));
        let stopping;
        let words = 0;
        for await (const part of await client(node).chat.completions.create({
            ...ASK,
            stream: true,
        })) {
            words += part.choices[0].delta.content ? 1 : 0;
            stopping ??= node.stop();
        }
        assert.equal(words, 50);
        await stopping;
    });

    it("cuts streams that take too long", async (t) => {
        const u = await upstream(t, model({ words: 100, delayMs: 100 }));
        const upstreams = [{ name: "u", base_url: u.url }];
        const node = await Node.start(configuration({ upstreams, http: { drain_timeout_ms: 200 } }));
        const stream = await client(node).chat.completions.create({ ...ASK, stream: true });
        let stopping;
        await assert.rejects(async () => {
            for await (const part of stream) {
                stopping ??= node.stop();
            }
        });
        await stopping;
        await eventually(() => u.aborted === 1, "the upstream's request to be cancelled");
    });
});

describe("a long mixed run", () => {
    // every reservation is settled, and to what the upstream says that it produced
    it("is settled to the token", async (t) => {
        const u = await upstream(t);
        let n = 0;
        const produced = { whole: 0, aborted: 0 };
        u.answer = async (request, response, body) => {
            const { model: name, stream } = JSON.parse(body);
            if (name === "fails") {
                return fixed(500)(request, response);
            }
            const told = { produced: 0 };
            const delayMs = name === "aborted" ? 2 : 0;
            const words = 1 + (n++ % 40);
            await model({ input: 9, words, delayMs })(request, response, body, told);
            produced[name] += told.produced;
        };
        const limits = { requests: "1M/min", input_tokens: "1G/min", output_tokens: "1G/min" };
        const node = await gateway(
            t,
            { u },
            {
                plans: { p: { limits } },
                keys: ["a", "b"].map((id) => ({ id, secret: SECRETS[id], plan: "p" })),
            },
        );
        const clients = { a: client(node), b: client(node, SECRETS.b) };
        const create = (key, ask) => clients[key].chat.completions.create({ ...ASK, ...ask });
        let received = 0;
        const one = async (i) => {
            if (i % 20 === 0) {
                await assert.rejects(create("a", { model: "fails" }));
            } else if (i % 10 === 1) {
                for await (const part of await create("b", { model: "aborted", stream: true })) {
                    received += part.choices[0].delta.content ? 1 : 0;
                    if (received % 7 === 3) {
                        break;
                    }
                }
            } else if (i % 2 === 0) {
                for await (const part of await create("a", { model: "whole", stream: true })) {
                    assert.equal(part.choices.length, 1);
                }
            } else {
                await create("a", { model: "whole" });
            }
        };
        const total = 600;
        for (let i = 0; i < total; i += 20) {
            await Promise.all(Array.from({ length: 20 }, (_, k) => one(i + k)));
        }
        assert.deepEqual(await used(node, "a"), {
            requests: total * 0.9,
            input: 9 * total * 0.85,
            output: produced.whole,
        });
        let now;
        await eventually(async () => {
            now = await used(node, "b");
            return now.output <= produced.aborted;
        }, "the streams that were given up");
        assert.equal(now.requests, total * 0.1);
        assert.ok(now.output >= received, `${received} received, ${now.output} charged`);
    });
});
