// SPDX-License-Identifier: Apache-2.0
// What goes through the gateway to a real upstream and back, and what it is charged.
// Complaints about other gateways (owner/repository#issue) are named where a test covers them.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import OpenAI from "openai";
import { ASK, client, gateway, upstream, used } from "./support/proxy.mjs";
import { exchange } from "./support/raw.mjs";
import { event, fixed, model, usage } from "./support/upstream.mjs";
import { eventually, sleep } from "./support/wait.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

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
