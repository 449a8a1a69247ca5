// SPDX-License-Identifier: Apache-2.0
// Real upstreams behind the gateway: what passes, what is charged, and what happens when they fail.
// Complaints about other gateways (owner/repository#issue) are named where a test covers them.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import OpenAI from "openai";
import { temporaryFolder } from "./support/process.mjs";
import { exchange } from "./support/raw.mjs";
import { Upstream, chunk, event, fixed, model, usage } from "./support/upstream.mjs";
import { onEachStore } from "./support/stores.mjs";
import { eventually, sleep } from "./support/wait.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

const ASK = { model: "m", messages: [{ role: "user", content: "Hello" }], max_tokens: 100 };

async function upstream(t, answer) {
    const u = await Upstream.start(answer);
    t.after(() => u.stop());
    return u;
}

/** A node in front of these: {name: Upstream or fields}. */
async function gateway(t, upstreams, changes = {}) {
    const list = Object.entries(upstreams).map(([name, u]) => ({
        name,
        ...(u instanceof Upstream ? { base_url: u.url } : u),
    }));
    const node = await Node.start(configuration({ upstreams: list, ...changes }));
    t.after(() => node.stop());
    return node;
}

function client(node, key = SECRETS.a) {
    return new OpenAI({ apiKey: key, baseURL: `${node.url}/v1`, maxRetries: 0 });
}

async function used(node, id = "a") {
    const limits = await node.limits(id);
    return {
        requests: limits["requests/60"].used,
        input: limits["input_tokens/60"].used,
        output: limits["output_tokens/60"].used,
    };
}

/** Waits for what is settled when its client does not. */
async function comesTo(node, expected) {
    let last;
    try {
        await eventually(async () => {
            last = await used(node);
            return JSON.stringify(last) === JSON.stringify(expected);
        }, "the settlement");
    } catch {
        assert.deepEqual(last, expected);
    }
}

async function unusedPort() {
    const server = createServer();
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address();
    await new Promise((done) => server.close(done));
    return port;
}

describe("a request to an upstream", () => {
    it("is answered by it, and settled to the usage that it reports", async (t) => {
        const u = await upstream(t, model({ input: 7, words: 5 }));
        const node = await gateway(t, { u });
        const answer = await client(node).chat.completions.create(ASK);
        assert.equal(answer.choices[0].message.content, "word word word word word");
        assert.deepEqual(answer.usage, usage(7, 5));
        assert.deepEqual(await used(node), { requests: 1, input: 7, output: 5 });
    });

    it("brings weir's credentials, never the client's", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, { u: { base_url: u.url, api_key: "sk-upstream" } });
        await node.ask("POST", "/v1/chat/completions", {
            key: SECRETS.a,
            json: ASK,
            headers: {
                cookie: "session=mine",
                "api-key": SECRETS.a,
                "x-goog-api-key": SECRETS.a,
                "openai-organization": "org-mine",
                "x-mine": "1",
            },
        });
        const { headers } = u.requests[0];
        assert.equal(headers.authorization, "Bearer sk-upstream");
        assert.equal(headers["x-mine"], "1");
        assert.equal(headers.host, `127.0.0.1:${u.port}`);
        for (const gone of ["cookie", "api-key", "x-goog-api-key", "openai-organization"]) {
            assert.equal(headers[gone], undefined, gone);
        }
        assert.ok(!JSON.stringify(headers).includes(SECRETS.a));
    });

    it("shows the key as x-api-key where the client did", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, { u: { base_url: u.url, api_key: "sk-upstream" } });
        await node.ask("POST", "/v1/chat/completions", {
            json: ASK,
            headers: { "x-api-key": SECRETS.a },
        });
        const { headers } = u.requests[0];
        assert.equal(headers["x-api-key"], "sk-upstream");
        assert.equal(headers.authorization, undefined);
    });

    // a client that shows two keys must not decide how weir shows its own
    it("counts for the bearer token where there is an x-api-key too, and shows its key as one", async (t) => {
        const u = await upstream(t, (request, response, ...rest) => {
            const known = request.headers.authorization === "Bearer sk-upstream";
            return known ? model()(request, response, ...rest) : fixed(401)(request, response);
        });
        const node = await gateway(t, { u: { base_url: u.url, api_key: "sk-upstream" } });
        for (const other of [SECRETS.b, "sk-of-nobody", "sk-upstream"]) {
            const answer = await node.ask("POST", "/v1/chat/completions", {
                key: SECRETS.a,
                json: ASK,
                headers: { "x-api-key": other },
            });
            assert.equal(answer.status, 200, answer.text);
            const { headers } = u.requests.at(-1);
            assert.equal(headers["x-api-key"], undefined);
            assert.ok(!JSON.stringify(headers).includes(SECRETS.a));
        }
        assert.equal((await used(node, "a")).requests, 3);
        assert.equal((await used(node, "b")).requests, 0);
        const wrong = await node.ask("POST", "/v1/chat/completions", {
            key: "sk-of-nobody",
            json: ASK,
            headers: { "x-api-key": SECRETS.a },
        });
        assert.equal(wrong.status, 401);
        assert.equal(u.requests.length, 3);
        const { text } = await node.ask("GET", "/metrics");
        assert.doesNotMatch(text, /^weir_upstream_failures_total\{.*\} [1-9]/m, "it does not cool");
    });

    it("needs a key of weir's own", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, { u });
        const none = await node.ask("POST", "/v1/chat/completions", { json: ASK });
        assert.equal(none.status, 401);
        const wrong = await client(node, "sk-wrong")
            .chat.completions.create(ASK)
            .catch((error) => error);
        assert.ok(wrong instanceof OpenAI.AuthenticationError);
        assert.equal(wrong.code, "invalid_api_key");
        assert.equal(u.requests.length, 0);
    });

    it("passes neither hop-by-hop fields nor what is about weir's account", async (t) => {
        const u = await upstream(
            t,
            fixed(
                200,
                {
                    connection: "X-Hop, keep-alive",
                    "x-hop": "1",
                    "set-cookie": "a=b",
                    "x-ratelimit-remaining-requests": "4999",
                    "openai-organization": "org-ours",
                    "x-request-id": "req_upstream",
                    "x-kept": "1",
                },
                JSON.stringify({ usage: usage(1, 1) }),
            ),
        );
        const node = await gateway(t, { u });
        const { headers } = await node.chat(SECRETS.a);
        assert.equal(headers.get("x-kept"), "1");
        assert.equal(headers.get("x-weir-upstream-request-id"), "req_upstream");
        assert.match(headers.get("x-request-id"), /^req_[0-9a-f]{32}$/);
        assert.equal(headers.get("x-ratelimit-remaining-requests"), "999");
        for (const gone of ["x-hop", "set-cookie", "openai-organization"]) {
            assert.equal(headers.get(gone), null, gone);
        }
    });

    it("follows no redirect", async (t) => {
        const elsewhere = await upstream(t);
        const u = await upstream(t, fixed(302, { location: `${elsewhere.url}/chat/completions` }));
        const node = await gateway(t, { u });
        const answer = await fetch(`${node.url}/v1/chat/completions`, {
            method: "POST",
            redirect: "manual",
            headers: { authorization: `Bearer ${SECRETS.a}`, "content-type": "application/json" },
            body: JSON.stringify(ASK),
        });
        assert.equal(answer.status, 302);
        assert.equal(await answer.text(), "{}");
        assert.equal(elsewhere.requests.length, 0);
    });

    it("reuses connections", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, { u });
        for (let i = 0; i < 20; i++) {
            assert.equal((await node.chat(SECRETS.a)).status, 200);
        }
        assert.equal(u.connections, 1);
        await Promise.all(Array.from({ length: 50 }, () => node.chat(SECRETS.a)));
        assert.ok(u.connections <= 50, `${u.connections} connections`);
    });

    it("goes on beside many that are under way, and their connections are reused", async (t) => {
        const many = 300; // more than one pool of connections takes
        const waiting = [];
        const answer = model({ input: 7, words: 5 });
        const u = await upstream(t, (...call) => {
            waiting.push(() => answer(...call));
            if (waiting.length === many) {
                waiting.splice(0).forEach((go) => go());
            }
        });
        const node = await gateway(t, { u }, { workers: 1 });
        for (let round = 1; round <= 2; round++) {
            const ask = () => node.chat(SECRETS.a, { max_tokens: 10 });
            const answers = Array.from({ length: many }, ask);
            for (const { status } of await Promise.all(answers)) {
                assert.equal(status, 200);
            }
            assert.equal(u.connections, many);
        }
        assert.deepEqual(await used(node), {
            requests: 2 * many,
            input: 2 * many * 7,
            output: 2 * many * 5,
        });
    });

    it("finds a connection that ended while it was idle", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, { u });
        assert.equal((await node.chat(SECRETS.a)).status, 200);
        u.server.closeAllConnections();
        await sleep(50);
        assert.equal((await node.chat(SECRETS.a)).status, 200);
        assert.equal(u.connections, 2);
    });

    it("is passed through whole, however large it is", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, { u });
        const content = "x".repeat(3 << 20);
        const json = { ...ASK, messages: [{ role: "user", content }] };
        const plan = { roomy: { limits: { requests: "100/min" } } };
        const large = await gateway(
            t,
            { u },
            { plans: plan, keys: [{ id: "a", secret: SECRETS.a, plan: "roomy" }] },
        );
        const answer = await large.ask("POST", "/v1/chat/completions", { key: SECRETS.a, json });
        assert.equal(answer.status, 200);
        assert.deepEqual(JSON.parse(u.requests[0].body), json);
        assert.equal((await node.chat(SECRETS.a)).status, 200);
    });
});

describe("requests of one connection", () => {
    // each is kept until it was sent: 256 of them would be a gigabyte
    it("wait unread when those under way are large, and all are answered", async (t) => {
        let go;
        const held = new Promise((done) => (go = done));
        const u = await upstream(t, async (request, response, body) => {
            const { user } = JSON.parse(body);
            await held;
            const answer = JSON.stringify({ user, usage: usage(1, 1) });
            fixed(200, { "content-length": answer.length }, answer)(request, response);
        });
        const node = await gateway(
            t,
            { u },
            {
                http: { max_body_bytes: 1 << 20 },
                plans: { roomy: { limits: { requests: "100/min" } } },
                keys: [{ id: "a", secret: SECRETS.a, plan: "roomy" }],
            },
        );
        const content = "x".repeat(700_000);
        const one = (user) => {
            const json = { ...ASK, user, messages: [{ role: "user", content }] };
            const body = JSON.stringify(json);
            const chunked = user % 2 === 1;
            return (
                `POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer ${SECRETS.a}\r\n` +
                "Content-Type: application/json\r\n" +
                (chunked
                    ? `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
                    : `Content-Length: ${body.length}\r\n\r\n${body}`)
            );
        };
        const last = "GET /healthz HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n";
        const all = Array.from({ length: 8 }, (_, user) => one(user)).join("") + last;
        const exchanged = exchange(node.port, all, { timeoutMs: 30000 });
        await eventually(() => u.requests.length >= 2, "as many as fit");
        await sleep(300); // for more than fit
        assert.equal(u.requests.length, 2);
        go();
        const { answers, closed } = await exchanged;
        assert.ok(closed);
        assert.deepEqual(
            answers.slice(0, -1).map(({ body }) => JSON.parse(body).user),
            Array.from({ length: 8 }, (_, user) => user),
        );
        assert.equal(answers.at(-1).body, "ok\n");
    });
});

describe("what is reserved for an upstream's answer", () => {
    it("follows what its answers were like, where the plan says so", async (t) => {
        const u = await upstream(t, model({ input: 7, words: 30 }));
        const limits = { output_tokens: "100k/min" };
        const node = await gateway(
            t,
            { u },
            {
                plans: { p: { limits, reserve: "forecast" } },
                keys: [{ id: "a", secret: SECRETS.a, plan: "p" }],
            },
        );
        const remaining = async () => {
            const { headers } = await node.chat(SECRETS.a, { max_tokens: 1000 });
            return Number(headers.get("x-ratelimit-remaining-output-tokens"));
        };
        assert.equal(await remaining(), 100000 - 256, "the default, at first");
        for (let i = 1; i < 100; i++) { // a young history is not believed
            await remaining();
        }
        const reserved = 100000 - 100 * 30 - (await remaining());
        assert.ok(reserved >= 30 && reserved < 60, `${reserved} reserved`);
    });

    it("is for each of the answers that a request asks for, and learnt of each", async (t) => {
        const u = await upstream(t, (request, response, body) => {
            const output = (JSON.parse(body).n ?? 1) * 30;
            fixed(200, {}, JSON.stringify({ usage: usage(7, output) }))(request, response);
        });
        const limits = { output_tokens: "1M/min" };
        const node = await gateway(
            t,
            { u },
            {
                plans: {
                    forecast: { limits, reserve: "forecast", default_output_tokens: 50 },
                    fixed: { limits, reserve: { fixed: 40 } },
                },
                keys: [
                    { id: "a", secret: SECRETS.a, plan: "forecast" },
                    { id: "b", secret: SECRETS.b, plan: "fixed" },
                ],
            },
        );
        const reserved = async (id, changes) => {
            const before = (await node.limits(id))["output_tokens/60"].remaining;
            const { headers } = await node.chat(SECRETS[id], changes);
            return before - Number(headers.get("x-ratelimit-remaining-output-tokens"));
        };
        assert.equal(await reserved("b", { n: 4 }), 160);
        assert.equal(await reserved("b", { n: 4, max_tokens: 39 }), 156, "the request's maximum");
        assert.equal(await reserved("b", { n: 128, max_tokens: 1 }), 128);
        assert.equal(await reserved("a", { n: 4 }), 200, "the default, at first");
        for (let i = 0; i < 100; i++) { // a young history is not believed
            await reserved("a", { n: 4 });
        }
        const ofOne = await reserved("a", { max_tokens: 1000 });
        assert.ok(ofOne >= 30 && ofOne < 45, `${ofOne} reserved for one answer`);
        assert.equal(await reserved("a", { n: 3, max_tokens: 1000 }), 3 * ofOne);
    });
});

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
            for (let i = 0; i < 4000 && !response.destroyed; i++) {
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
        assert.ok(sent < 32 << 20, `${sent} bytes left the upstream`);
        let read = 0;
        let text = "";
        socket.on("data", (part) => {
            read += part.length;
            text = (text + part).slice(-100);
        });
        socket.resume();
        await eventually(() => text.includes("[DONE]"), "the rest of the stream", 30000);
        assert.ok(read > 4000 * 16000);
        socket.destroy();
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

describe("the URL of a request", () => {
    const paths = [
        "/v1/files?limit=2",
        "/v1/files",
        "/v1/files/A%2Fb?q=%41&r",
        "/v1/files?limit=2",
        "/v1/files?limit=3",
        "/v1/Files",
    ];
    const headers = { authorization: `Bearer ${SECRETS.a}` };
    for (const proxied of [false, true]) {
        const title = proxied ? ", through a proxy too" : "";
        it(`is the one that was asked for, whatever was asked for before${title}`, async (t) => {
            const asked = [];
            const u = await upstream(t, (request, response) => {
                asked.push(request.url);
                fixed(200)(request, response);
            });
            const node = await gateway(t, {
                u: proxied
                    ? { base_url: "http://upstream.invalid/v1", proxy: `http://127.0.0.1:${u.port}` }
                    : u,
            });
            for (const path of paths) {
                assert.equal((await fetch(`${node.url}${path}`, { headers })).status, 200);
            }
            const base = proxied ? "http://upstream.invalid" : "";
            assert.deepEqual(asked, paths.map((path) => base + path));
        });
    }
});

describe("a proxy before an upstream", () => {
    it("is the one of the configuration, never the environment's", async (t) => {
        const u = await upstream(t);
        const asked = [];
        const proxy = await upstream(t, (request, response) => {
            asked.push(request.url);
            return model()(request, response, proxy.requests.at(-1).body, proxy);
        });
        const env = { http_proxy: "http://127.0.0.1:1", no_proxy: "*", NO_PROXY: "*" };
        const fields = { name: "u", base_url: "http://upstream.invalid/v1" };
        const through = { ...fields, proxy: `http://127.0.0.1:${proxy.port}` };
        const direct = { name: "u", base_url: u.url };
        for (const one of [through, direct]) {
            const node = await Node.start(configuration({ upstreams: [one] }), { env });
            t.after(() => node.stop());
            assert.equal((await node.chat(SECRETS.a)).status, 200);
        }
        assert.deepEqual(asked, ["http://upstream.invalid/v1/chat/completions"]);
        assert.equal(u.requests.length, 1);
    });
});

describe("an upstream that fails", () => {
    it("is passed over for another when it cannot be reached", async (t) => {
        const u = await upstream(t);
        const dead = { base_url: `http://127.0.0.1:${await unusedPort()}`, weight: 1000 };
        const node = await gateway(t, { dead, u });
        for (let i = 0; i < 5; i++) {
            assert.equal((await node.chat(SECRETS.a)).status, 200);
        }
        assert.equal(u.requests.length, 5);
    });

    for (const status of [500, 503, 529, 429]) {
        it(`is passed over for another when it answers ${status}, and cools down`, async (t) => {
            const bad = await upstream(t, fixed(status, { "retry-after": "60" }));
            const good = await upstream(t, model({ input: 7, words: 5 }));
            const node = await gateway(t, { bad: { base_url: bad.url, weight: 1000 }, good });
            for (let i = 0; i < 20; i++) {
                assert.equal((await node.chat(SECRETS.a)).status, 200);
            }
            assert.equal(bad.requests.length, 1);
            assert.equal(good.requests.length, 20);
            assert.deepEqual(await used(node), { requests: 20, input: 140, output: 100 });
        });
    }

    it("is passed over when it ends the connection without an answer", async (t) => {
        const bad = await upstream(t, (request, response) => response.destroy());
        const good = await upstream(t);
        const node = await gateway(t, { bad: { base_url: bad.url, weight: 1000 }, good });
        assert.equal((await node.chat(SECRETS.a)).status, 200);
        assert.equal(good.requests.length, 1);
    });

    // tensorzero/tensorzero#3678: the gateway's 429 and the provider's looked alike
    it("tells its own 429 from weir's", async (t) => {
        const body = { error: { message: "slow down", type: "requests", code: "rate" } };
        const u = await upstream(
            t,
            fixed(429, { "retry-after-ms": "2500", "retry-after": "3" }, JSON.stringify(body)),
        );
        const node = await gateway(t, { u });
        const first = await node.chat(SECRETS.a);
        assert.equal(first.status, 429);
        assert.equal(first.headers.get("x-weir-limited-by"), "upstream");
        assert.equal(first.headers.get("retry-after-ms"), "2500");
        assert.deepEqual(first.body, body);
        assert.deepEqual(await used(node), { requests: 1, input: 0, output: 0 });
        // until then it is not asked again, and nothing is charged
        const second = await node.chat(SECRETS.a);
        assert.equal(second.status, 429);
        assert.equal(second.headers.get("x-weir-limited-by"), "upstream");
        const wait = Number(second.headers.get("retry-after-ms"));
        assert.ok(wait > 0 && wait <= 2500, `${wait} ms`);
        assert.equal(u.requests.length, 1);
        assert.deepEqual(await used(node), { requests: 1, input: 0, output: 0 });
        // the limits of a model are its own
        u.answer = model();
        assert.equal((await node.chat(SECRETS.a, { model: "other" })).status, 200);
        await sleep(wait);
        assert.equal((await node.chat(SECRETS.a)).status, 200);
        // and weir's own names the limit
        const tiny = { model: "other", max_tokens: 20 };
        await node.chat(SECRETS.tiny, tiny);
        await node.chat(SECRETS.tiny, tiny);
        const ours = await node.chat(SECRETS.tiny, tiny);
        assert.equal(ours.status, 429);
        assert.equal(ours.headers.get("x-weir-limited-by"), "requests");
    });

    it("gives its error to the client when there is no other, and costs no tokens", async (t) => {
        const body = { error: { message: "boom", type: "server_error", param: null, code: null } };
        const u = await upstream(t, fixed(500, {}, JSON.stringify(body)));
        const node = await gateway(t, { u });
        const error = await client(node)
            .chat.completions.create(ASK)
            .catch((e) => e);
        assert.ok(error instanceof OpenAI.InternalServerError);
        assert.match(error.message, /boom/);
        assert.deepEqual(await used(node), { requests: 1, input: 0, output: 0 });
    });

    it("gives a client's mistake to the client", async (t) => {
        const body = { error: { message: "no such thing", type: "invalid_request_error" } };
        const u = await upstream(t, fixed(422, {}, JSON.stringify(body)));
        const node = await gateway(t, { u });
        const answer = await node.chat(SECRETS.a);
        assert.equal(answer.status, 422);
        assert.deepEqual(answer.body, body);
        assert.deepEqual(await used(node), { requests: 1, input: 0, output: 0 });
    });

    it("that is out of reach is a 502 that costs no tokens", async (t) => {
        const dead = { base_url: `http://127.0.0.1:${await unusedPort()}` };
        const node = await gateway(t, { dead });
        const answer = await node.chat(SECRETS.a);
        assert.equal(answer.status, 502);
        assert.equal(answer.body.error.code, "upstream_unreachable");
        assert.deepEqual(await used(node), { requests: 1, input: 0, output: 0 });
    });

    it("that is silent is a 504", async (t) => {
        const u = await upstream(t, () => {});
        const node = await gateway(t, { u: { base_url: u.url, timeout_ms: 300 } });
        const answer = await node.chat(SECRETS.a);
        assert.equal(answer.status, 504);
        assert.equal(answer.body.error.code, "upstream_timeout");
        await eventually(() => u.aborted === 1, "the upstream's request to be cancelled");
        assert.equal((await used(node)).output, 0);
    });

    it("that falls silent in two answers of one connection ends both, once", async (t) => {
        const u = await upstream(t, (request, response) => {
            response.writeHead(200, { "content-type": "application/json" });
            response.write("{");
        });
        const node = await gateway(t, { u: { base_url: u.url, timeout_ms: 300 } });
        const body = JSON.stringify(ASK);
        const socket = connect(node.port, "127.0.0.1");
        const request =
            `POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer ${SECRETS.a}\r\n` +
            `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
        socket.on("error", () => {});
        socket.resume();
        socket.write(request + request);
        await new Promise((resolve) => socket.on("close", resolve));
        await eventually(() => u.aborted === 2, "both to be cancelled");
        assert.equal((await used(node)).requests, 2);
        assert.equal((await used(node)).output, 200);
    });

    it("that is slow, but not silent, is waited for", async (t) => {
        const u = await upstream(t, model({ words: 20, delayMs: 100 }));
        const node = await gateway(t, { u: { base_url: u.url, timeout_ms: 1500 } });
        const { text } = await node.chat(SECRETS.a, { ...ASK, stream: true });
        assert.ok(text.endsWith("data: [DONE]\n\n"));
    });

    it("that does not take weir's key keeps that to itself", async (t) => {
        const told = { error: { message: "Incorrect API key provided: sk-upst****eam" } };
        const u = await upstream(t, fixed(401, {}, JSON.stringify(told)));
        const node = await gateway(t, { u: { base_url: u.url, api_key: "sk-upstream" } });
        const answer = await node.chat(SECRETS.a);
        assert.equal(answer.status, 502);
        assert.equal(answer.body.error.code, "upstream_authentication");
        assert.ok(!answer.text.includes("sk-upst"));
        assert.match(node.log, /upstream u refuses weir's api_key/);
        assert.ok(!node.log.includes("sk-upst"));
    });

    it("that ends a plain answer early is a 502", async (t) => {
        const u = await upstream(t, (request, response) => {
            response.writeHead(200, { "content-type": "application/json", "content-length": 100 });
            response.write('{"id":', () => response.destroy());
        });
        const node = await gateway(t, { u });
        const answer = await node.chat(SECRETS.a);
        assert.equal(answer.status, 502);
        assert.equal(answer.body.error.code, "upstream_broken");
        assert.equal((await used(node)).output, 0);
    });

    // who has most of an answer would have it for nothing
    it("that breaks off a plain answer of which its client has a part costs what was reserved", async (t) => {
        const u = await upstream(t, (request, response) => {
            response.writeHead(200, { "content-type": "application/json" }); // of no known length
            response.write('{"id":"c","text":"most of it', () => {
                setTimeout(() => response.destroy(), 100);
            });
        });
        const node = await gateway(t, { u });
        const answer = await fetch(`${node.url}/v1/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${SECRETS.a}`, "content-type": "application/json" },
            body: JSON.stringify(ASK),
        });
        assert.equal(answer.status, 200);
        await assert.rejects(answer.text());
        const now = await used(node);
        assert.equal(now.requests, 1);
        assert.equal(now.output, 100);
    });
});

/** A certificate for 127.0.0.1 that is its own authority. */
function certificate(t) {
    const folder = temporaryFolder();
    t.after(() => folder.remove());
    const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(folder.path, name));
    const made = spawnSync("openssl", [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
        ...["-nodes", "-subj", "/CN=upstream", "-addext", "subjectAltName=IP:127.0.0.1"],
        ...["-days", "2", "-keyout", key, "-out", cert],
    ]);
    assert.equal(made.status, 0, String(made.stderr));
    return { ca: cert, key: readFileSync(key), cert: readFileSync(cert) };
}

describe("TLS to an upstream", () => {
    for (const version of ["2.0", "1.1"]) {
        it(`speaks HTTP/${version}, streams and aborts included`, async (t) => {
            const { ca, ...tls } = certificate(t);
            const u = await Upstream.start(model({ input: 7, words: 5, delayMs: 2 }), {
                tls,
                http2: version === "2.0",
            });
            t.after(() => u.stop());
            const node = await gateway(t, { u: { base_url: u.url, ca } });
            const openai = client(node);
            const asked = Array.from({ length: 20 }, async () => {
                const stream = await openai.chat.completions.create({ ...ASK, stream: true });
                let text = "";
                for await (const part of stream) {
                    text += part.choices[0].delta.content;
                }
                assert.equal(text, "word".repeat(5));
            });
            await Promise.all(asked);
            assert.equal(u.requests[0].version, version);
            assert.deepEqual(await used(node), { requests: 20, input: 140, output: 100 });
            if (version === "2.0") {
                assert.equal(u.connections, 1);
            }
            u.answer = model({ input: 7, words: 1000, delayMs: 5 });
            const stream = await openai.chat.completions.create({ ...ASK, stream: true });
            for await (const part of stream) {
                break;
            }
            await eventually(() => u.aborted === 1, "the upstream's request to be cancelled");
            await eventually(async () => (await used(node)).output < 200, "the settlement");
        });
    }

    it("is refused by a certificate that nobody vouches for", async (t) => {
        const { ca, ...tls } = certificate(t);
        const u = await Upstream.start(model(), { tls });
        t.after(() => u.stop());
        const node = await gateway(t, { u: { base_url: u.url, api_key: "sk-upstream" } });
        const answer = await node.chat(SECRETS.a);
        assert.equal(answer.status, 502);
        assert.equal(answer.body.error.code, "upstream_unreachable");
        assert.equal(u.requests.length, 0);
    });

    it("is refused by a certificate for another host", async (t) => {
        const { ca, ...tls } = certificate(t);
        const u = await Upstream.start(model(), { tls });
        t.after(() => u.stop());
        const node = await gateway(t, { u: { base_url: `https://localhost:${u.port}`, ca } });
        assert.equal((await node.chat(SECRETS.a)).status, 502);
        assert.equal(u.requests.length, 0);
    });
});

describe("metrics of upstreams", () => {
    it("count answers, failures and time by upstream", async (t) => {
        const good = await upstream(t);
        const bad = await upstream(t, fixed(500));
        const dead = { base_url: `http://127.0.0.1:${await unusedPort()}`, models: ["dead"] };
        const node = await gateway(t, { good, bad: { base_url: bad.url, weight: 1000 }, dead });
        await node.chat(SECRETS.a);
        await node.chat(SECRETS.a, { model: "dead" });
        const { text } = await node.ask("GET", "/metrics");
        const value = (name) => Number(text.match(new RegExp(`^${name} (.*)$`, "m"))[1]);
        const responses = (of, status) =>
            value(`weir_upstream_responses_total{upstream="${of}",status="${status}"}`);
        assert.equal(responses("bad", "5xx"), 1);
        assert.ok(responses("good", "2xx") >= 1);
        assert.equal(value('weir_upstream_first_byte_seconds_count{upstream="bad"}'), 1);
        assert.ok(value('weir_upstream_failures_total{upstream="dead",reason="connect"}') <= 1);
        assert.equal(value('weir_upstream_failures_total{upstream="good",reason="broken"}'), 0);
    });
});

describe("upstreams and models", () => {
    it("share requests by weight and model", async (t) => {
        const a = await upstream(t);
        const b = await upstream(t);
        const c = await upstream(t);
        const node = await gateway(t, {
            a: { base_url: a.url, models: ["m"], weight: 3 },
            b: { base_url: b.url, models: ["m"] },
            c: { base_url: c.url, models: ["other-*"] },
        });
        for (let i = 0; i < 100; i++) {
            await node.chat(SECRETS.a, { model: "m" });
        }
        await node.chat(SECRETS.a, { model: "other-1" });
        assert.equal(a.requests.length + b.requests.length, 100);
        assert.ok(a.requests.length > 50 && b.requests.length > 5);
        assert.equal(c.requests.length, 1);
        const unknown = await node.chat(SECRETS.a, { model: "nobody's" });
        assert.equal(unknown.status, 404);
        assert.equal(unknown.body.error.code, "model_not_found");
        assert.equal((await used(node)).requests, 101);
    });

    it("the mock is one of them", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, {
            u: { base_url: u.url, models: ["real"] },
            built_in: { base_url: "mock:", models: ["weir-mock"] },
        });
        const mock = await node.chat(SECRETS.a, { model: "weir-mock" });
        assert.equal(mock.body.system_fingerprint, "fp_weir_mock");
        assert.equal((await node.chat(SECRETS.a, { model: "real" })).status, 200);
        assert.equal(u.requests.length, 1);
    });
});

/** Events of an Anthropic stream, as text. */
function messageEvents(input, texts, output) {
    const named = (json) => `event: ${json.type}\ndata: ${JSON.stringify(json)}\n\n`;
    const message = { id: "msg", type: "message", role: "assistant", model: "m", content: [] };
    return [
        named({
            type: "message_start",
            message: { ...message, usage: { input_tokens: input, output_tokens: 1 } },
        }),
        ...texts.map((text) =>
            named({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
        ),
        named({ type: "message_delta", delta: {}, usage: { output_tokens: output } }),
        named({ type: "message_stop" }),
    ].join("");
}

describe("other dialects", () => {
    const ask = (node, path, json, headers = {}) =>
        node.ask("POST", path, { key: SECRETS.a, json: { model: "m", ...json }, headers });

    it("/v1/completions", async (t) => {
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ usage: usage(3, 9) })));
        const node = await gateway(t, { u });
        const answer = await ask(node, "/v1/completions", { prompt: "Once", max_tokens: 20 });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(await used(node), { requests: 1, input: 3, output: 9 });
    });

    it("/v1/embeddings", async (t) => {
        const body = { data: [], usage: { prompt_tokens: 5, total_tokens: 5 } };
        const u = await upstream(t, fixed(200, {}, JSON.stringify(body)));
        const node = await gateway(t, { u });
        const answer = await ask(node, "/v1/embeddings", { input: ["one", "two"] });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(await used(node), { requests: 1, input: 5, output: 0 });
    });

    // BerriAI/litellm#18671, #17706: /v1/responses was hardly charged
    it("/v1/responses", async (t) => {
        const told = { input_tokens: 12, output_tokens: 34, total_tokens: 46 };
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ id: "r", usage: told })));
        const node = await gateway(t, { u });
        const answer = await ask(node, "/v1/responses", { input: "Hi", max_output_tokens: 50 });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(await used(node), { requests: 1, input: 12, output: 34 });
        u.answer = (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            const done = { type: "response.completed", response: { id: "r", usage: told } };
            response.end(`event: response.completed\ndata: ${JSON.stringify(done)}\n\n`);
        };
        await ask(node, "/v1/responses", { input: "Hi", max_output_tokens: 50, stream: true });
        assert.deepEqual(await used(node), { requests: 2, input: 24, output: 68 });
    });

    // its usage is told when nobody is charged for it: not at the start, and to whoever asks later
    it("/v1/responses in the background costs what was reserved", async (t) => {
        const queued = { id: "r", status: "queued", usage: null };
        const u = await upstream(t, fixed(200, {}, JSON.stringify(queued)));
        const node = await gateway(t, { u });
        const body = { input: "Hi", max_output_tokens: 50, background: true };
        await ask(node, "/v1/responses", body);
        assert.equal((await used(node)).output, 50);
        u.answer = (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(event({ type: "response.created", response: queued }));
            response.write(event({ type: "response.output_text.delta", delta: "word" }));
        };
        const abort = new AbortController();
        const stream = await fetch(`${node.url}/v1/responses`, {
            method: "POST",
            signal: abort.signal,
            headers: { authorization: `Bearer ${SECRETS.a}`, "content-type": "application/json" },
            body: JSON.stringify({ model: "m", ...body, stream: true }),
        });
        await stream.body.getReader().read();
        abort.abort();
        await eventually(() => u.aborted === 1, "the upstream's request to be cancelled");
        assert.equal((await used(node)).output, 100);
        const told = { input_tokens: 12, output_tokens: 34 };
        u.answer = (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.end(event({ type: "response.completed", response: { id: "r", usage: told } }));
        };
        await ask(node, "/v1/responses", { ...body, stream: true });
        assert.equal((await used(node)).output, 134, "one that was followed to its end");
    });

    it("/v1/messages, with Anthropic's key, headers and errors", async (t) => {
        const told = { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 7 };
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ usage: told })));
        const node = await gateway(t, { u: { base_url: u.url, api_key: "sk-ant" } });
        const json = { model: "m", max_tokens: 50, messages: [{ role: "user", content: "Hi" }] };
        const headers = { "x-api-key": SECRETS.a, "anthropic-version": "2023-06-01" };
        const answer = await node.ask("POST", "/v1/messages", { json, headers });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(u.requests[0].headers["x-api-key"], "sk-ant");
        assert.equal(u.requests[0].headers["anthropic-version"], "2023-06-01");
        assert.equal(answer.headers.get("anthropic-ratelimit-output-tokens-limit"), "50000");
        assert.deepEqual(await used(node), { requests: 1, input: 15, output: 7 });
        const wrong = await node.ask("POST", "/v1/messages", {
            json,
            headers: { ...headers, "x-api-key": "sk-wrong" },
        });
        assert.equal(wrong.status, 401);
        assert.equal(wrong.body.error.type, "authentication_error");
        const tiny = { ...headers, "x-api-key": SECRETS.tiny };
        const large = { json: { ...json, max_tokens: 5000 }, headers: tiny };
        const denied = await node.ask("POST", "/v1/messages", large);
        assert.equal(denied.status, 429);
        assert.equal(denied.body.error.type, "rate_limit_error");
        assert.equal(denied.headers.get("x-weir-limited-by"), "output_tokens");
    });

    it("/v1/messages as a stream, whole and given up", async (t) => {
        const whole = messageEvents(11, ["word", "word"], 42);
        const u = await upstream(t, (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.end(whole);
        });
        const node = await gateway(t, { u });
        const json = { max_tokens: 90, stream: true, messages: [{ role: "user", content: "Hi" }] };
        const answer = await ask(node, "/v1/messages", json, { "anthropic-version": "2023-06-01" });
        assert.equal(answer.text, whole, "not a byte is changed");
        assert.deepEqual(await used(node), { requests: 1, input: 11, output: 42 });
        u.answer = async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(messageEvents(11, ["word", "word"], 0).split("event: message_delta")[0]);
            await sleep(30);
            response.destroy();
        };
        const broken = await ask(node, "/v1/messages", json);
        assert.match(broken.text, /event: error\ndata: \{"type":"error"/);
        const { output } = await used(node);
        assert.ok(output >= 44 && output <= 46, `${output}`);
    });

    it("/v1/messages/count_tokens costs a request and no tokens", async (t) => {
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ input_tokens: 2095 })));
        const node = await gateway(t, { u });
        const json = { messages: [{ role: "user", content: "Hi" }] };
        const answer = await ask(node, "/v1/messages/count_tokens", json);
        assert.deepEqual(answer.body, { input_tokens: 2095 });
        assert.deepEqual(await used(node), { requests: 1, input: 0, output: 0 });
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

describe("what weir does not know", () => {
    // maximhq/bifrost#2873: routes that were passed through had no limits
    it("is passed through and charged one request", async (t) => {
        const u = await upstream(t, fixed(200, {}, '{"object":"list","data":[]}'));
        const node = await gateway(t, { u });
        const answer = await node.ask("GET", "/v1/files?purpose=batch&limit=2", {
            key: SECRETS.a,
        });
        assert.equal(answer.status, 200);
        assert.deepEqual(answer.body, { object: "list", data: [] });
        assert.equal(u.requests[0].url, "/v1/files?purpose=batch&limit=2");
        const gone = await node.ask("DELETE", "/v1/files/file-1", { key: SECRETS.a });
        assert.equal(gone.status, 200);
        assert.equal(u.requests[1].method, "DELETE");
        assert.deepEqual(await used(node), { requests: 2, input: 0, output: 0 });
    });

    it("costs the tokens that its answer reports", async (t) => {
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ usage: usage(11, 4) })));
        const node = await gateway(t, { u });
        const answer = await node.ask("POST", "/v1/something", { key: SECRETS.a, json: { a: 1 } });
        assert.equal(answer.status, 200);
        assert.deepEqual(await used(node), { requests: 1, input: 11, output: 4 });
    });

    it("costs one request where no model runs, whatever its answer reports", async (t) => {
        const told = { input_tokens: 11, output_tokens: 4 };
        const u = await upstream(t, fixed(200, {}, JSON.stringify({ id: "r", usage: told })));
        const node = await gateway(t, { u });
        const look = () => node.ask("GET", "/v1/responses/r", { key: SECRETS.a });
        assert.deepEqual((await look()).body.usage, told);
        assert.equal((await look()).status, 200);
        u.answer = (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            const done = { type: "response.completed", response: { id: "r", usage: told } };
            response.end(event(done));
        };
        assert.match((await look()).text, /response.completed/);
        await node.ask("DELETE", "/v1/responses/r", { key: SECRETS.a });
        assert.deepEqual(await used(node), { requests: 4, input: 0, output: 0 });
    });

    it("has no body where the status allows none", async (t) => {
        const u = await upstream(t, (request, response) => response.writeHead(204).end());
        const node = await gateway(t, { u });
        const answer = await node.ask("DELETE", "/v1/files/f", { key: SECRETS.a });
        assert.equal(answer.status, 204);
        assert.equal((await node.ask("HEAD", "/v1/files", { key: SECRETS.a })).status, 204);
        assert.equal(u.requests[1].method, "HEAD");
    });

    it("never leaves what the upstream's URL stands for", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, { u });
        for (const path of ["/v1/../admin", "/v1/%2e%2e/admin", "/v1/a/../../admin"]) {
            const socket = connect(node.port, "127.0.0.1");
            socket.write(
                `GET ${path} HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer ${SECRETS.a}\r\n` +
                    "Connection: close\r\n\r\n",
            );
            let text = "";
            for await (const part of socket) {
                text += part;
            }
            assert.match(text, /^HTTP\/1\.1 404 /, path);
        }
        assert.equal(u.requests.length, 0);
    });

    it("is not asked to TRACE, which would tell weir's key", async (t) => {
        const u = await upstream(t);
        const node = await gateway(t, { u });
        const socket = connect(node.port, "127.0.0.1");
        socket.write(
            `TRACE /v1/files HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer ${SECRETS.a}\r\n` +
                "Connection: close\r\n\r\n",
        );
        let text = "";
        for await (const part of socket) {
            text += part;
        }
        assert.match(text, /^HTTP\/1\.1 405 /);
        assert.equal(u.requests.length, 0);
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
