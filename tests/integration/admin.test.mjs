// SPDX-License-Identifier: Apache-2.0
// The admin API: who may ask, what it tells, and that it changes nothing but what it is asked to.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { Admin, ADMIN } from "./support/admin.mjs";
import { run } from "./support/process.mjs";
import { exchange } from "./support/raw.mjs";
import { Redis, storeReady } from "./support/redis.mjs";
import { PATIENT, onEveryStore } from "./support/stores.mjs";
import { eventually } from "./support/wait.mjs";
import { Node, SECRETS, WEIR, configuration, refusesToStart } from "./support/weir.mjs";

const GROUPS = {
    plans: {
        starter: { limits: { requests: "100/min", output_tokens: ["10k/min", "1M/day"] } },
        wide: { limits: { total_tokens: "1M/h" } },
    },
    orgs: [{ id: "acme", plan: "wide" }],
    teams: [{ id: "search", org: "acme" }],
    keys: [
        { id: "a", secret: SECRETS.a, plan: "starter", team: "search" },
        { id: "b", secret: SECRETS.b, team: "search" },
        { id: "c", secret: SECRETS.tiny, plan: "starter" },
    ],
};

async function started(t, changes = {}, options = {}) {
    const node = await Node.start(configuration({ admin: ADMIN, ...changes }), options);
    t.after(() => node.stop());
    return { node, admin: new Admin(node) };
}

function refused(answer, status, code) {
    assert.equal(answer.status, status, answer.text);
    assert.deepEqual(Object.keys(answer.body.error), ["message", "code"]);
    assert.equal(answer.body.error.code, code);
}

describe("the admin listener", () => {
    it("is there only when it is configured, and not on the public port", async (t) => {
        const node = await Node.start();
        t.after(() => node.stop());
        assert.doesNotMatch(node.log, /admin/);
        assert.equal((await node.ask("GET", "/admin/v1/overview")).status, 404);
    });

    it("says where it is, and then that the node listens", async (t) => {
        const { node } = await started(t, { admin: undefined }, {
            args: ["--admin-listen", "127.0.0.1:0"],
        });
        assert.match(node.log, /weir: admin API on 127\.0\.0\.1:\d+\nweir: listening on/);
    });

    it("refuses to start on a taken port, and beyond loopback without a token", async (t) => {
        const { admin } = await started(t);
        const taken = `127.0.0.1:${admin.port}`;
        const { code, output } = await refusesToStart(configuration({ admin: { listen: taken } }));
        assert.equal(code, 1);
        assert.match(output, new RegExp(`^weir serve: cannot listen on ${taken}: address already in use$`, "m"));
        const wide = await refusesToStart("admin:\n  listen: 0.0.0.0:0\n");
        assert.equal(wide.code, 1);
        assert.match(wide.output, /weir\.yaml:2:11: listen: beyond loopback .* token$/m);
        const flag = await run(WEIR, ["serve", "--admin-listen", "0.0.0.0:0"]);
        assert.equal(flag.code, 2);
    });
});

describe("who may ask the admin API", () => {
    it("without a token: whoever asks as localhost, and no other name", async (t) => {
        const { admin } = await started(t);
        const hosts = {
            200: ["localhost", `LOCALHOST:${admin.port}`, "127.0.0.1", "127.1.2.3:1", "[::1]:9"],
            403: ["weir.example", "localhost.weir.example", "127.0.0.1.weir.example", "", "[::1", "1"],
        };
        for (const [status, names] of Object.entries(hosts)) {
            for (const host of names) {
                const text = `GET /admin/v1/plans HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
                const { answers } = await exchange(admin.port, text);
                assert.equal(answers[0].status, Number(status), host);
            }
        }
    });

    it("with a token: whoever has it, under any name", async (t) => {
        const token = "at-test-admin-token";
        const { node, admin } = await started(t, {
            admin: { ...ADMIN, token: { env: "WEIR_ADMIN_TOKEN" } },
        }, { env: { WEIR_ADMIN_TOKEN: token } });
        refused(await admin.get("/plans"), 401, "invalid_admin_token");
        refused(await admin.get("/plans", { key: `${token}x` }), 401, "invalid_admin_token");
        refused(await admin.get("/nothing"), 401, "invalid_admin_token");
        assert.equal((await admin.get("/plans", { key: token })).status, 200);
        const { answers } = await exchange(
            admin.port,
            `GET /admin/v1/plans HTTP/1.1\r\nHost: weir.example\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
        );
        assert.equal(answers[0].status, 200);
        assert.ok(!node.log.includes(token));
    });

    it("no page of another site", async (t) => {
        const { admin } = await started(t);
        for (const site of ["cross-site", "same-site"]) {
            const headers = { "sec-fetch-site": site };
            refused(await admin.get("/plans", { headers }), 403, "foreign_page");
        }
        for (const site of ["same-origin", "none"]) {
            const headers = { "sec-fetch-site": site };
            assert.equal((await admin.get("/plans", { headers })).status, 200);
        }
        for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
            const headers = { "content-type": type };
            const answer = await admin.ask("POST", "/plans", { headers, body: "{}" });
            refused(answer, 415, "unsupported_media_type");
        }
    });
});

describe("what the admin API has of the configuration", () => {
    it("is keys, page by page, and plans", async (t) => {
        const { admin } = await started(t, GROUPS);
        const source = "file";
        const a = { id: "a", plan: "starter", team: "search", org: "acme", source };
        const b = { id: "b", plan: null, team: "search", org: "acme", source };
        const c = { id: "c", plan: "starter", team: null, org: null, source };
        const pages = {
            "/keys": { keys: [a, b, c], more: false },
            "/keys?limit=2": { keys: [a, b], more: true },
            "/keys?after=a&limit=1": { keys: [b], more: true },
            "/keys?limit=1&after=%62": { keys: [c], more: false },
            "/keys?after=c": { keys: [], more: false },
            "/keys/a": { ...a, subjects: ["key:a", "org:acme"] },
            "/keys/b": { ...b, subjects: ["org:acme"] },
        };
        for (const [path, body] of Object.entries(pages)) {
            const answer = await admin.get(path);
            assert.equal(answer.status, 200, answer.text);
            assert.deepEqual(answer.body, body, path);
        }
        assert.deepEqual((await admin.get("/plans")).body.plans[0], {
            name: "starter",
            limits: [
                { meter: "requests", window_s: 60, limit: 100 },
                { meter: "output_tokens", window_s: 60, limit: 10000 },
                { meter: "output_tokens", window_s: 86400, limit: 1000000 },
            ],
            source,
        });
    });

    it("is refused where there is none of it", async (t) => {
        const { admin } = await started(t, GROUPS);
        refused(await admin.get("/keys/nobody"), 404, "unknown_key");
        refused(await admin.get("/keys?after=nobody"), 404, "unknown_key");
        for (const query of ["limit=0", "limit=1001", "limit=", "x=1", "after=a&after=b", "after=%6"]) {
            refused(await admin.get(`/keys?${query}`), 400, "invalid_query");
        }
        for (const path of ["/keys/", "/keys/a/b", "/keys/%zz", `/keys/${"a".repeat(129)}`, ""]) {
            refused(await admin.get(path), 404, "unknown_url");
        }
        const wrong = await admin.ask("DELETE", "/keys");
        refused(wrong, 405, "method_not_allowed");
        assert.equal(wrong.headers.get("allow"), "GET, HEAD, POST");
    });
});

onEveryStore("the admin API", (start) => {
    const starter = (id) => ({ id, secret: `sk-test-secret-of-${id}`, plan: "starter" });
    let node;
    let admin;
    const acquire = (id, requests = 1) =>
        node.acquire({ key: `id:${id}`, requests, input_tokens: 5, output_tokens: 20 });
    const check = (json) => admin.ask("POST", "/check", { json });
    before(async () => {
        node = await start(
            configuration({
                ...GROUPS,
                keys: [...GROUPS.keys, ...["d", "e", "f", "g"].map(starter)],
                models: { "gpt-4*": { plan: "starter" } },
                unknown_keys: "starter",
                mode: "exact",
                workers: 2,
                admin: ADMIN,
            }),
        );
        admin = new Admin(node);
    });

    it("has the node and the sums of its counters", async () => {
        const before = (await admin.get("/overview")).body;
        await acquire("d");
        await acquire("d", 2);
        await acquire("d", 101);
        const { headers, body } = await admin.get("/overview");
        assert.equal(headers.get("cache-control"), "no-store");
        const { version, workers, store } = body.node;
        assert.equal(`weir ${version}\n`, (await run(WEIR, ["version"])).output);
        assert.deepEqual([workers, store.up, store.ready, store.nodes], [2, true, true, 1]);
        if (store.kind === "redis") {
            assert.ok(store.shards.up > 0);
            assert.equal(store.shards.away, 0);
            assert.equal(store.mode, "exact");
            assert.match(store.url_host, /redis\.sock$|^127\.0\.0\.1:\d+(,127\.0\.0\.1:\d+)*$/);
        } else {
            assert.deepEqual([store.kind, store.mode, store.url_host], ["embedded", null, null]);
            assert.deepEqual(store.shards, { up: 0, away: 0 });
        }
        const sums = ({ totals }) => [
            ...[totals.allowed, totals.denied.requests, totals.responses["4xx"]],
            ...[totals.input_tokens, totals.output_tokens],
        ];
        const grown = sums(body).map((sum, i) => sum - sums(before)[i]);
        assert.deepEqual(grown, [2, 1, 1, 10, 40]);
        assert.ok(body.decision_us.p99 >= body.decision_us.p50 && body.decision_us.p50 > 0);
        assert.ok(Math.abs(body.time_ms - Date.now()) < 60000);
    });

    it("has who is busy, what of their limits is used, and who is denied", async () => {
        for (const [id, requests] of [...Array(3).fill(["a", 1]), ["b", 1], ["c", 101], ["c", 101]]) {
            await acquire(id, requests);
        }
        const { body } = await admin.get("/overview");
        const by = Object.fromEntries(body.subjects.map((s) => [s.subject, s]));
        const { limits, ...org } = by["org:acme"];
        assert.deepEqual(org, {
            ...{ subject: "org:acme", plan: "wide", allowed: 4, denied: 0 },
            ...{ input_tokens: 20, output_tokens: 80 },
        });
        assert.equal(limits.length, 1);
        const { reset_ms, ...limit } = limits[0];
        assert.deepEqual(limit, {
            ...{ meter: "total_tokens", window_s: 3600, limit: 1000000 },
            ...{ used: 100, remaining: 999900 },
        });
        assert.ok(reset_ms > 0);
        assert.equal("key:b" in by, false);
        assert.deepEqual([by["key:c"].allowed, by["key:c"].denied], [0, 2]);
        assert.deepEqual(
            body.denials.find(({ subject }) => subject === "key:c"),
            { subject: "key:c", meter: "requests", window_s: 60, count: 2 },
        );
    });

    it("has what of a subject's limits is used, and its last hour", async () => {
        await acquire("e", 3);
        await acquire("e", 200);
        for (const path of ["/subjects/key%3Ae", "/subjects/key:e"]) {
            const { status, body } = await admin.get(path);
            assert.equal(status, 200);
            assert.deepEqual([body.subject, body.plan], ["key:e", "starter"]);
            assert.deepEqual(
                body.limits.map((limit) => [limit.meter, limit.window_s, limit.limit, limit.used]),
                [
                    ["requests", 60, 100, 3],
                    ["output_tokens", 60, 10000, 20],
                    ["output_tokens", 86400, 1000000, 20],
                ],
            );
        }
        const { body } = await admin.get("/subjects/key%3Ae/history");
        assert.equal(body.subject, "key:e");
        const sum = (name) => body.minutes.reduce((all, minute) => all + minute[name], 0);
        const sums = ["allowed", "denied", "input_tokens", "output_tokens"].map(sum);
        assert.deepEqual(sums, [1, 1, 5, 20]);
        assert.ok(Math.abs(body.minutes[0].minute - Date.now() / 60000) < 3);
        assert.deepEqual((await admin.get("/subjects/model%3Agpt-4*/history")).body.minutes, []);
        for (const name of ["key:b", "key:nobody", "team:search", "nothing", "a".repeat(128)]) {
            refused(await admin.get(`/subjects/${encodeURIComponent(name)}`), 404, "unknown_subject");
        }
        refused(await admin.get("/subjects/key%3Anobody/history"), 404, "unknown_subject");
    });

    it("resets a subject, and what was reserved before is settled without harm", async () => {
        const { body } = await acquire("f", 100);
        assert.equal((await acquire("f")).status, 429);
        refused(await admin.ask("POST", "/subjects/key%3Af/reset"), 415, "unsupported_media_type");
        refused(await admin.get("/subjects/key%3Af/reset"), 405, "method_not_allowed");
        const reset = await admin.ask("POST", "/subjects/key%3Af/reset", { json: {} });
        assert.equal(reset.status, 200, reset.text);
        assert.deepEqual(reset.body, { subject: "key:f", reset: true });
        assert.match(node.log, /info admin API: key:f was reset$/m);
        assert.equal((await node.limits("f"))["requests/60"].used, 0);
        const settled = await node.settle({
            reservation: body.reservation,
            input_tokens: 1,
            output_tokens: 1,
        });
        assert.equal(settled.status, 200, settled.text);
        const { used, remaining } = (await node.limits("f"))["output_tokens/60"];
        assert.deepEqual([used, remaining], [0, 10000]);
        assert.equal((await acquire("f", 100)).status, 200);
    });

    it("knows a key that is not configured", async () => {
        await node.chat("sk-somebody");
        const { subjects } = (await admin.get("/overview")).body;
        const { subject } = subjects.find(({ subject }) => subject.startsWith("key:anon-"));
        assert.match(subject, /^key:anon-[0-9a-f]{32}$/);
        const { body } = await admin.get(`/subjects/${encodeURIComponent(subject)}`);
        assert.deepEqual([body.plan, body.limits[0].used], ["starter", 1]);
    });

    it("checks a request as it would be answered, and charges nothing", async () => {
        const ask = { key: "id:g", model: "gpt-4o", input_tokens: 7, output_tokens: 3000 };
        const plain = (limits) => limits.map(({ reset_ms, ...limit }) => [limit, reset_ms > 0]);
        const answers = [];
        for (let i = 0; i < 5; i++) {
            const [would, again] = [await check(ask), await check(ask)];
            const { status, body } = await node.acquire(ask);
            answers.push(status);
            assert.equal(would.status, 200, would.text);
            assert.equal(would.body.allowed, status === 200);
            assert.deepEqual(plain(would.body.limits), plain(body.limits));
            assert.deepEqual(plain(again.body.limits), plain(body.limits));
            assert.deepEqual(would.body.denied_by, body.denied_by);
            const waits = [would, { body }].map((answer) => answer.body.retry_after_ms ?? 0);
            assert.ok(Math.abs(waits[0] - waits[1]) < 5000, `${waits}`);
            assert.equal("reservation" in would.body, false);
        }
        assert.deepEqual(answers, [200, 200, 200, 429, 429]);
        const never = await check({ key: "id:g", requests: 101 });
        assert.equal(never.body.retry_after_ms, null);
        assert.equal((await check({ key: "id:b", output_tokens: 20000 })).body.allowed, true);
    });

    it("refuses to check what is no question", async () => {
        const wrong = [
            [{}, 400, "invalid_field"],
            [{ key: "a" }, 400, "invalid_field"],
            [{ key: 7 }, 400, "invalid_field"],
            [{ key: "id:nobody" }, 404, "unknown_key"],
            [{ key: "id:a", requests: -1 }, 400, "invalid_field"],
            [{ key: "id:a", output_tokens: 1e18 }, 400, "invalid_field"],
            [{ key: "id:a", model: "" }, 400, "invalid_field"],
            [{ key: "id:a", tokens: 1 }, 400, "invalid_field"],
            [[], 400, "invalid_body"],
        ];
        const twice = '{"key": "id:a", "requests": 1, "requests": 2}';
        const headers = { "content-type": "application/json" };
        refused(await admin.ask("POST", "/check", { headers, body: twice }), 400, "invalid_field");
        for (const [json, status, code] of wrong) {
            refused(await check(json), status, code);
        }
    });
});

describe("the events of the admin API", () => {
    const open = async (admin) => {
        const stop = new AbortController();
        const answer = await fetch(`${admin.url}/admin/v1/events`, { signal: stop.signal });
        return { answer, stop: () => stop.abort() };
    };

    it("are the overview, once a second", async (t) => {
        const { admin } = await started(t);
        const { answer, stop } = await open(admin);
        assert.equal(answer.headers.get("content-type"), "text/event-stream");
        let text = "";
        for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
            text += chunk;
            if (text.split("\n\n").length > 2) {
                break;
            }
        }
        stop();
        const [first, second] = text.split("\n\n").map((event) => {
            const [, data] = event.match(/^event: overview\ndata: (.*)$/) ?? [null, "null"];
            return JSON.parse(data);
        });
        assert.deepEqual(Object.keys(first), Object.keys((await admin.get("/overview")).body));
        assert.ok(second.time_ms - first.time_ms >= 500);
    });

    it("go to 16 at once, and to the next when one has left", async (t) => {
        const { admin } = await started(t);
        const streams = [];
        for (let i = 0; i < 16; i++) {
            streams.push(await open(admin));
        }
        assert.ok(streams.every(({ answer }) => answer.status === 200));
        refused(await admin.get("/events"), 503, "too_many_streams");
        streams[3].stop();
        await eventually(async () => {
            const next = await open(admin);
            next.stop();
            return next.answer.status === 200;
        }, "a free stream");
        streams.forEach(({ stop }) => stop());
    });

    it("end with the node", async () => {
        const node = await Node.start(configuration({ admin: ADMIN }));
        const { answer } = await open(new Admin(node));
        const rest = answer.text();
        const begun = Date.now();
        await node.stop();
        assert.ok(Date.now() - begun < 5000);
        assert.match(await rest, /event: overview/);
    });
});

describe("a store that does not answer", () => {
    const silent = async (t, changes) => {
        const redis = await Redis.start();
        t.after(() => redis.stop());
        const node = await Node.start(
            configuration({ ...PATIENT, ...changes, admin: ADMIN, store: redis.url }),
        );
        await storeReady(node);
        await node.chat(SECRETS.a);
        redis.program.signal("SIGSTOP");
        t.after(() => redis.program.signal("SIGCONT"));
        return { node, admin: new Admin(node), redis };
    };

    it("is waited for by all who ask, and holds up no other answer", async (t) => {
        const { node, admin, redis } = await silent(t, { mode: "exact" });
        const paths = ["/overview", "/overview", "/subjects/key%3Aa"];
        const waiting = Promise.all(paths.map((path) => admin.get(path)));
        assert.equal((await admin.get("/plans")).status, 200);
        redis.program.signal("SIGCONT");
        const [one, two, usage] = await waiting;
        assert.deepEqual([one.status, two.status], [200, 200]);
        assert.deepEqual(one.body.subjects[0].limits.length, usage.body.limits.length);
        await node.stop();
    });

    it("leaves nothing of what waited for it", async (t) => {
        const { node, admin } = await silent(t, { http: { drain_timeout_ms: 100 } });
        const check = { json: { key: "id:a" } };
        const cut = Promise.allSettled([
            admin.get("/overview"),
            admin.get("/overview"),
            admin.get("/subjects/key%3Aa"),
            admin.ask("POST", "/check", check),
            admin.ask("POST", "/subjects/key%3Aa/reset", { json: {} }),
        ]);
        assert.equal((await admin.get("/plans")).status, 200); // the others are there, too
        await node.stop();
        assert.ok((await cut).every(({ status }) => status === "rejected"));
    });

    it("is told of, and decides by on_store_failure", async (t) => {
        const redis = await Redis.start();
        const failing = { store: redis.url, on_store_failure: "closed" };
        const node = await Node.start(configuration({ admin: ADMIN, ...failing }));
        t.after(() => node.stop());
        const admin = new Admin(node);
        await storeReady(node);
        await redis.stop();
        await storeReady(node, false);
        const reset = () => admin.ask("POST", "/subjects/key%3Aa/reset", { json: {} });
        await eventually(async () => (await reset()).status === 503, "the store to be gone");
        refused(await reset(), 503, "store_unavailable");
        refused(await admin.get("/subjects/key%3Aa"), 503, "store_unavailable");
        refused(
            await admin.ask("POST", "/check", { json: { key: "id:a" } }),
            503,
            "store_unavailable",
        );
        const { store } = (await admin.get("/overview")).body.node;
        assert.deepEqual([store.up, store.ready], [false, false]);
    });
});
