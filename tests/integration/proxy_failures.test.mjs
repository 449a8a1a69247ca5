// SPDX-License-Identifier: Apache-2.0
// Upstreams that fail, are slow, or are not who they should be.
// Complaints about other gateways (owner/repository#issue) are named where a test covers them.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import OpenAI from "openai";
import { temporaryFolder } from "./support/process.mjs";
import { ASK, client, gateway, upstream, used } from "./support/proxy.mjs";
import { freePort } from "./support/redis.mjs";
import { Upstream, fixed, model } from "./support/upstream.mjs";
import { eventually, sleep } from "./support/wait.mjs";
import { SECRETS } from "./support/weir.mjs";

describe("an upstream that fails", () => {
    it("is passed over for another when it cannot be reached", async (t) => {
        const u = await upstream(t);
        const dead = { base_url: `http://127.0.0.1:${await freePort()}`, weight: 1000 };
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
        const dead = { base_url: `http://127.0.0.1:${await freePort()}` };
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
        const dead = { base_url: `http://127.0.0.1:${await freePort()}`, models: ["dead"] };
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
