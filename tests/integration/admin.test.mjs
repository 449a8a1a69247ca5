// SPDX-License-Identifier: Apache-2.0
// The admin API: who may ask, what it tells, and that it changes nothing but what it is asked to.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Admin, ADMIN } from "./support/admin.mjs";
import { run } from "./support/process.mjs";
import { exchange } from "./support/raw.mjs";
import { onEachStore } from "./support/stores.mjs";
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
        const a = { id: "a", plan: "starter", team: "search", org: "acme" };
        const b = { id: "b", plan: null, team: "search", org: "acme" };
        const c = { id: "c", plan: "starter", team: null, org: null };
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
        assert.equal(wrong.headers.get("allow"), "GET, HEAD");
    });
});

onEachStore("the overview", (start) => {
    it("has the node and the sums of its counters", async () => {
        const node = await start(configuration({ admin: ADMIN, workers: 2 }));
        const admin = new Admin(node);
        const before = (await admin.get("/overview")).body;
        for (let i = 0; i < 3; i++) {
            await node.chat(SECRETS.tiny);
        }
        const { headers, body } = await admin.get("/overview");
        assert.equal(headers.get("cache-control"), "no-store");
        const { version, workers, store } = body.node;
        assert.equal(`weir ${version}\n`, (await run(WEIR, ["version"])).output);
        assert.deepEqual([workers, store.up, store.ready, store.nodes], [2, true, true, 1]);
        if (store.kind === "redis") {
            assert.equal(store.mode, "lease");
            assert.ok(store.url_host.endsWith("redis.sock"), store.url_host);
        } else {
            assert.deepEqual([store.kind, store.mode, store.url_host], ["embedded", null, null]);
        }
        assert.equal(body.totals.allowed - before.totals.allowed, 2);
        assert.equal(body.totals.denied.requests, 1);
        assert.equal(body.totals.responses["4xx"], 1);
        assert.ok(body.decision_us.p99 >= body.decision_us.p50 && body.decision_us.p50 > 0);
        assert.ok(Math.abs(body.time_ms - Date.now()) < 60000);
    });
});
