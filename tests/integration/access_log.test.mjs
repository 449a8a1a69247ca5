// SPDX-License-Identifier: Apache-2.0
// The access log: a line for each request, whatever became of it; none lost or torn when the file
// is rotated; and nothing in it that is secret.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { temporaryFolder } from "./support/process.mjs";
import { upstream } from "./support/proxy.mjs";
import { exchange } from "./support/raw.mjs";
import { freePort } from "./support/redis.mjs";
import { chunk, event, fixed, model } from "./support/upstream.mjs";
import { eventually } from "./support/wait.mjs";
import {
    Node,
    SECRETS,
    WEIR,
    configuration,
    refusesToStart,
    writeConfiguration,
} from "./support/weir.mjs";

const FIELDS = [
    "time",
    "request_id",
    "trace_id",
    "parent_id",
    "method",
    "path",
    "key",
    "team",
    "org",
    "model",
    "stream",
    "status",
    "outcome",
    "denied_by",
    "tokens",
    "upstream",
    "decision_us",
    "upstream_first_byte_ms",
    "duration_ms",
];
const PROMPT = "what-nobody-may-read";
const SERVICE_TOKEN = "sk-test-service-token";
const UNKNOWN = "sk-test-secret-of-nobody";
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";

/** A node whose access log is a file of its folder; `lines()` are those that are there. */
async function logging(t, changes = {}) {
    const folder = temporaryFolder();
    t.after(() => folder.remove());
    const path = join(folder.path, "access.log");
    const node = await Node.start(configuration({ access_log: path, ...changes }));
    t.after(() => node.stop());
    return { node, path, lines: () => parse(readFileSync(path, "utf8")) };
}

/** The lines of a text whose last one may be on its way. */
function parse(text) {
    return text
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line));
}

/** The line behind the `n` that are there; there is no other. */
async function lineAfter(lines, n) {
    await eventually(() => lines().length > n, "the line");
    const all = lines();
    assert.equal(all.length, n + 1, JSON.stringify(all));
    return all[n];
}

/** The line of what is asked, which must have these fields. */
async function logs(lines, ask, expected) {
    const had = lines().length;
    const answer = await ask();
    const line = await lineAfter(lines, had);
    const told = Object.fromEntries(Object.keys(expected).map((name) => [name, line[name]]));
    assert.deepEqual(told, expected);
    assert.deepEqual(Object.keys(line), FIELDS);
    if (answer?.headers?.get) {
        assert.equal(line.request_id, answer.headers.get("x-request-id"));
        assert.equal(line.status, answer.status);
    }
    return line;
}

const tokens = (reserved, settled) => ({ reserved, settled });
const pair = (input, output) => ({ input, output });
const chat = (node, key, changes = {}, headers = {}) =>
    node.ask("POST", "/v1/chat/completions", {
        key,
        headers,
        json: {
            model: "weir-mock",
            messages: [{ role: "user", content: PROMPT }],
            max_tokens: 30,
            ...changes,
        },
    });

describe("a line of the access log", () => {
    let node;
    let path;
    let lines;
    const cleanup = [];
    before(async () => {
        const changes = {
            orgs: [{ id: "acme", plan: "roomy" }],
            teams: [{ id: "search", org: "acme", plan: "roomy" }],
            keys: [
                { id: "a", secret: SECRETS.a, plan: "roomy", team: "search" },
                { id: "tiny", secret: SECRETS.tiny, plan: "tiny" },
            ],
        };
        ({ node, path, lines } = await logging({ after: (f) => cleanup.unshift(f) }, changes));
    });
    after(async () => {
        for (const f of cleanup) {
            await f();
        }
    });

    it("tells of a chat completion who, what and how long", async () => {
        const traceparent = `00-${TRACE}-${PARENT}-01`;
        const ask = () => chat(node, SECRETS.a, { max_tokens: 5 }, { traceparent });
        const line = await logs(lines, ask, {
            trace_id: TRACE,
            parent_id: PARENT,
            method: "POST",
            path: "/v1/chat/completions",
            key: "a",
            team: "search",
            org: "acme",
            model: "weir-mock",
            stream: false,
            status: 200,
            outcome: "allowed",
            denied_by: null,
            upstream: null,
            upstream_first_byte_ms: null,
        });
        assert.deepEqual(line.tokens.reserved.output, 5);
        assert.deepEqual(line.tokens.settled, pair(line.tokens.reserved.input, 5));
        assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        assert.ok(Math.abs(Date.parse(line.time) - Date.now()) < 60000);
        assert.ok(line.decision_us >= 0 && line.duration_ms >= line.decision_us / 1000);
    });

    it("tells no trace that is none", async () => {
        for (const traceparent of [`00-${TRACE.toUpperCase()}-${PARENT}-01`, `00-${TRACE}`, "x"]) {
            const ask = () => chat(node, SECRETS.a, {}, { traceparent });
            await logs(lines, ask, { trace_id: null, parent_id: null, outcome: "allowed" });
        }
    });

    it("is written when a stream is over, with what it used", async () => {
        const ask = () => chat(node, SECRETS.a, { stream: true, max_tokens: 6 });
        const line = await logs(lines, ask, { stream: true, status: 200, outcome: "allowed" });
        assert.equal(line.tokens.settled.output, 6);
    });

    it("tells which limit denied", async () => {
        await logs(lines, () => chat(node, SECRETS.tiny, { max_tokens: 501 }), {
            key: "tiny",
            team: null,
            org: null,
            status: 429,
            outcome: "denied",
            denied_by: { subject: "key:tiny", meter: "output_tokens", window_s: 60 },
            tokens: tokens(null, null),
        });
    });

    it("tells of what is refused, as much as is known", async () => {
        const known = { outcome: "refused", decision_us: null, tokens: tokens(null, null) };
        const nobody = { ...known, key: null, model: null };
        const path = "/v1/chat/completions";
        const json = { "content-type": "application/json" };
        await logs(lines, () => chat(node, UNKNOWN), { ...nobody, status: 401, path });
        await logs(lines, () => chat(node), { ...nobody, status: 401 });
        const broken = { key: SECRETS.a, body: "{", headers: json };
        await logs(lines, () => node.ask("POST", path, broken), {
            ...known,
            status: 400,
            key: "a",
            model: null,
        });
        const two = () => chat(node, SECRETS.a, { n: 2 });
        await logs(lines, two, { ...known, status: 400, model: "weir-mock" });
        const put = () => node.ask("PUT", path, { body: "" });
        await logs(lines, put, { ...nobody, status: 405, method: "PUT" });
        const text = () => node.ask("POST", path, { body: "x" });
        await logs(lines, text, { ...nobody, status: 415 });
        await logs(lines, () => node.ask("GET", `/nowhere?key=${UNKNOWN}`), {
            ...nobody,
            status: 404,
            path: "/nowhere", // and not the query
        });
        await logs(lines, () => node.ask("GET", `/${"x".repeat(1000)}`), {
            path: `/${"x".repeat(255)}`,
        });
    });

    it("tells of what is refused as HTTP", async () => {
        const head = "POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\n";
        const large = `${head}Content-Length: 99999999\r\n\r\n`;
        const refused = { outcome: "refused", request_id: null, duration_ms: null };
        await logs(lines, () => exchange(node.port, large), {
            ...refused,
            status: 413,
            path: "/v1/chat/completions",
        });
        await logs(lines, () => exchange(node.port, "nonsense\r\n\r\n"), {
            ...refused,
            status: 501,
            path: null,
        });
    });

    it("tells of the decision API for whom it was asked", async () => {
        let reservation;
        const json = { key: SECRETS.a, model: "some-model", input_tokens: 10, output_tokens: 20 };
        const acquire = async () => {
            const answer = await node.acquire(json);
            ({ reservation } = answer.body);
            return answer;
        };
        const who = { key: "a", team: "search", org: "acme" };
        await logs(lines, acquire, {
            ...who,
            path: "/weir/v1/acquire",
            model: "some-model",
            outcome: "allowed",
            tokens: tokens(pair(10, 20), null),
        });
        const settle = () => node.settle({ reservation, input_tokens: 9, output_tokens: 5 });
        await logs(lines, settle, {
            ...who,
            path: "/weir/v1/settle",
            outcome: "settled",
            tokens: tokens(pair(10, 20), pair(9, 5)),
        });
        await logs(lines, settle, {
            outcome: "settled", // before: nothing changed
            tokens: tokens(pair(10, 20), null),
        });
        const strange = { reservation: "rsv_x", input_tokens: 0, output_tokens: 0 };
        await logs(lines, () => node.settle(strange), {
            key: null,
            status: 400,
            outcome: "refused",
        });
        await logs(lines, () => node.acquire({ ...json, key: "id:tiny", output_tokens: 501 }), {
            key: "tiny",
            status: 429,
            outcome: "denied",
            denied_by: { subject: "key:tiny", meter: "output_tokens", window_s: 60 },
        });
        await logs(lines, () => node.ask("GET", "/v1/usage", { key: SECRETS.a }), {
            ...who,
            path: "/v1/usage",
            outcome: "allowed",
            tokens: tokens(null, null),
        });
        await logs(lines, () => node.ask("GET", "/v1/models", { key: SECRETS.a }), {
            ...who,
            path: "/v1/models",
            outcome: "allowed",
            decision_us: null,
        });
    });

    it("is not there for what machines ask all the time", async () => {
        const had = lines().length;
        for (const path of ["/healthz", "/readyz", "/metrics"]) {
            assert.equal((await node.ask("GET", path)).status, 200);
        }
        await chat(node, SECRETS.a);
        assert.equal((await lineAfter(lines, had)).path, "/v1/chat/completions");
    });

    it("holds no secret and no prompt", () => {
        const text = readFileSync(path, "utf8");
        assert.ok(text.split("\n").length > 20);
        assert.doesNotMatch(text, new RegExp(`sk-|${PROMPT}|bearer|rsv_`, "i"));
        assert.equal(statSync(path).mode & 0o777 & ~process.umask(), 0o640 & ~process.umask());
    });
});

describe("the access log of a gateway", () => {
    /** A node before one upstream "u". */
    async function gateway(t, answer, changes = {}) {
        const u = await upstream(t, answer);
        const upstreams = [{ name: "u", base_url: u.url }];
        return { u, ...(await logging(t, { upstreams, ...changes })) };
    }

    it("names the upstream, and settles by its usage", async (t) => {
        const { node, lines } = await gateway(t, model({ input: 7, words: 5 }));
        for (const stream of [false, true]) {
            const line = await logs(lines, () => chat(node, SECRETS.a, { model: "m", stream }), {
                key: "a",
                model: "m",
                stream,
                status: 200,
                outcome: "allowed",
                upstream: "u",
            });
            assert.equal(line.tokens.reserved.output, 30);
            assert.deepEqual(line.tokens.settled, pair(7, 5));
            assert.ok(line.upstream_first_byte_ms > 0);
            assert.ok(line.duration_ms >= line.upstream_first_byte_ms);
        }
    });

    it("passes an upstream's error on, and names the one that answered", async (t) => {
        const good = await upstream(t, fixed(400, {}, '{"error":{"message":"no"}}'));
        const nowhere = `http://127.0.0.1:${await freePort()}`;
        const upstreams = [
            { name: "dead", base_url: nowhere, weight: 1000 },
            { name: "good", base_url: good.url },
        ];
        const { node, lines } = await logging(t, { upstreams });
        const ask = () => chat(node, SECRETS.a);
        const line = await logs(lines, ask, { status: 400, outcome: "allowed", upstream: "good" });
        assert.deepEqual(line.tokens.settled, pair(0, 0));
    });

    it("tells of upstreams that fail, before their answer and in it", async (t) => {
        const { u, node, lines } = await gateway(t, (request, response) => response.destroy());
        const failed = { outcome: "upstream_failed", upstream: "u" };
        const ask = (changes) => () => chat(node, SECRETS.a, { model: "m", ...changes });
        await logs(lines, ask(), { ...failed, status: 502, upstream_first_byte_ms: null });
        u.answer = (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(event(chunk({ content: "word" })), () => response.destroy());
        };
        await logs(lines, ask({ stream: true }), { ...failed, status: 200, stream: true });
        u.answer = fixed(429, { "retry-after": "60" });
        await logs(lines, ask(), { status: 429, outcome: "allowed", upstream: "u" });
        await logs(lines, ask(), {
            status: 429, // of weir, which was told to wait
            outcome: "upstream_failed",
            upstream: null,
            decision_us: null,
        });
    });

    it("tells of what weir refuses itself", async (t) => {
        const { node, lines } = await gateway(t, model());
        const refused = { outcome: "refused", upstream: null };
        await logs(lines, () => chat(node, UNKNOWN), { ...refused, status: 401, key: null });
        const none = () => chat(node, SECRETS.a, { max_tokens: 0 });
        await logs(lines, none, { ...refused, status: 400 });
        await logs(lines, () => chat(node, SECRETS.tiny, { max_tokens: 501 }), {
            status: 429,
            outcome: "denied",
            upstream: null,
            denied_by: { subject: "key:tiny", meter: "output_tokens", window_s: 60 },
        });
    });

    it("names an upstream that is the mock", async (t) => {
        const upstreams = [{ name: "own", base_url: "mock:" }];
        const { node, lines } = await logging(t, { upstreams });
        const expected = { upstream: "own", outcome: "allowed", key: "a", model: "weir-mock" };
        await logs(lines, () => chat(node, SECRETS.a, { stream: true }), expected);
    });

    it("names a key that is not configured by a hash", async (t) => {
        const { node, lines } = await logging(t, { unknown_keys: "roomy" });
        const ask = () => chat(node, UNKNOWN);
        const line = await logs(lines, ask, { outcome: "allowed", team: null });
        assert.match(line.key, /^anon-[0-9a-f]{32}$/);
    });

    it("tells of a client that left its stream, with what was settled", async (t) => {
        let left;
        const { node, lines } = await gateway(t, async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            response.write(event(chunk({ content: "word" })).repeat(3));
            left = once(response, "close");
        });
        const leave = async () => {
            const body = JSON.stringify({
                model: "m",
                stream: true,
                max_tokens: 30,
                messages: [{ role: "user", content: PROMPT }],
            });
            const socket = connect(node.port, "127.0.0.1");
            socket.write(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\n" +
                    `Content-Type: application/json\r\nAuthorization: Bearer ${SECRETS.a}\r\n` +
                    `Content-Length: ${body.length}\r\n\r\n${body}`,
            );
            let text = "";
            while (text.split("word").length < 4) {
                text += (await once(socket, "data"))[0];
            }
            socket.destroy();
            await left;
        };
        const expected = { status: 200, outcome: "client_gone", upstream: "u" };
        const line = await logs(lines, leave, expected);
        assert.equal(line.tokens.settled.output, 3);
    });

    it("tells of a stream that was cut, because its output fitted no more", async (t) => {
        const only = { limits: { output_tokens: "40/min" }, on_overrun: "cut" };
        const u = await upstream(t, model({ words: 400, delayMs: 1 }));
        const upstreams = [{ name: "u", base_url: u.url }];
        const keys = [{ id: "a", secret: SECRETS.a, plan: "only" }];
        u.answer = async (request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" });
            for (let i = 0; i < 400 && !response.destroyed; i++) {
                response.write(event(chunk({ content: "word" })));
                await new Promise(setImmediate);
            }
            response.end();
        };
        const { node, lines } = await logging(t, { upstreams, plans: { only }, keys });
        const ask = () => chat(node, SECRETS.a, { model: "m", stream: true });
        const line = await logs(lines, ask, { status: 200, outcome: "cut" });
        assert.deepEqual(line.tokens.reserved.output, 30);
        assert.ok(line.tokens.settled.output > 30);
    });
});

describe("the file of the access log", () => {
    it("is opened again at SIGUSR1, and no line is lost or torn", async (t) => {
        const { node, path, lines } = await logging(t, { workers: 2 });
        const ROTATIONS = 5;
        const CLIENTS = 4;
        let asked = 0;
        let done = false;
        const client = async () => {
            while (!done) {
                assert.equal((await node.ask("GET", `/v1/nothing/${asked++}`)).status, 404);
            }
        };
        const clients = Array.from({ length: CLIENTS }, client);
        for (let i = 0; i < ROTATIONS; i++) {
            const had = asked;
            await eventually(() => asked > had + 20, "some requests");
            renameSync(path, `${path}.${i}`);
            node.program.signal("SIGUSR1");
            await eventually(() => {
                const said = node.log.match(/access log: .* was opened again/g) ?? [];
                return said.length === i + 1;
            }, "the file to be opened again");
        }
        done = true;
        await Promise.all(clients);
        const all = () => {
            const old = Array.from({ length: ROTATIONS }, (_, i) => `${path}.${i}`);
            return [...old.flatMap((name) => parse(readFileSync(name, "utf8"))), ...lines()];
        };
        await eventually(() => all().length >= asked, "all lines");
        assert.match(readFileSync(path, "utf8"), /\n$/);
        const paths = all().map((line) => line.path);
        assert.equal(new Set(paths).size, asked);
        assert.equal(paths.length, asked);
    });

    it("that cannot be opened again is gone on with", async (t) => {
        const { node, path, lines } = await logging(t);
        renameSync(path, `${path}.old`);
        mkdirSync(path);
        node.program.signal("SIGUSR1");
        await node.program.says(/error access log: cannot open .* the old file is kept: Is a dir/);
        await node.ask("GET", "/nothing");
        const old = () => readFileSync(`${path}.old`, "utf8");
        await eventually(() => old().includes('"/nothing"'), "the line");
        assert.throws(lines);
    });

    it("that cannot be opened at all is refused at the start", async () => {
        const config = configuration({ access_log: "/nowhere/a.log" });
        const { code, output } = await refusesToStart(config);
        assert.equal(code, 1);
        assert.equal(
            output,
            "weir serve: access_log: cannot open /nowhere/a.log: No such file or directory\n",
        );
    });

    it("is off, stderr, stdout or a path", async () => {
        for (const where of ["on", "true", "access.log", ""]) {
            const { code, output } = await refusesToStart(configuration({ access_log: where }));
            assert.equal(code, 1);
            assert.match(output, /access_log: expected off, stderr, stdout or the path of a file/);
        }
        const { code, output } = await refusesToStart(configuration(), ["--access-log", "on"]);
        assert.equal(code, 2);
        assert.match(output, /--access-log: expected off, stderr, stdout or the path of a file/);
    });

    for (const where of ["stderr", "stdout"]) {
        it(`may be ${where}`, async (t) => {
            const node = await Node.start(configuration(), { args: ["--access-log", where] });
            t.after(() => node.stop());
            await node.ask("GET", "/nothing");
            await node.program.says(/^\{"time":.*"path":"\/nothing".*\}$/m);
            node.program.signal("SIGUSR1"); // nothing to open
            await node.ask("GET", "/more");
            await node.program.says(/"path":"\/more"/);
        });
    }

    it("is not there by default, and SIGUSR1 ends nothing", async (t) => {
        const node = await Node.start();
        t.after(() => node.stop());
        node.program.signal("SIGUSR1");
        assert.equal((await chat(node, SECRETS.a)).status, 200);
        assert.doesNotMatch(node.log, /"path"/);
    });
});

describe("a pipe that nobody reads", () => {
    it("holds no request up, gets whole lines later, and the rest is counted", async (t) => {
        const folder = temporaryFolder();
        t.after(() => folder.remove());
        const path = writeConfiguration(folder.path, configuration({ access_log: "stdout" }));
        const child = spawn(WEIR, ["serve", "--config", path], {
            stdio: ["ignore", "pipe", "pipe"],
        });
        t.after(() => child.kill("SIGKILL"));
        let said = "";
        child.stderr.on("data", (text) => (said += text));
        const listening = () => said.match(/listening on 127\.0\.0\.1:(\d+)/)?.[1];
        const port = await eventually(listening, "the node to listen");
        const long = `/${"x".repeat(250)}`;
        const dropped = async () => {
            const { text } = await exchange(port, "GET /metrics HTTP/1.0\r\n\r\n");
            return Number(text.match(/^weir_access_log_dropped_total (\d+)$/m)[1]);
        };
        // more than the pipe holds, and what the node keeps
        const PIPELINED = 100;
        let asked = 0;
        for (let i = 0; i < 10; i++) {
            const request = `GET ${long} HTTP/1.1\r\nHost: weir\r\n\r\n`;
            const last = `GET ${long} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n`;
            const { answers } = await exchange(port, request.repeat(PIPELINED - 1) + last);
            assert.equal(answers.length, PIPELINED);
            asked += PIPELINED;
        }
        const lost = await dropped();
        assert.ok(lost > 0 && lost < asked, `${lost} of ${asked}`);
        let text = "";
        child.stdout.on("data", (bytes) => (text += bytes));
        await eventually(() => text.split("\n").length - 1 === asked - lost, "the lines");
        assert.ok(parse(text).every((line) => line.path === long.slice(0, 256)));
        child.kill("SIGTERM");
        await once(child, "close");
    });
});
