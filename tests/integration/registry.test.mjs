// SPDX-License-Identifier: Apache-2.0
// The registry: keys, teams, orgs and plans that are made and changed through the admin API while
// nodes run. They are in force at once, are kept, and every node that shares them follows.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { Admin, ADMIN } from "./support/admin.mjs";
import { temporaryFolder } from "./support/process.mjs";
import { Redis, RedisCluster, storeReady } from "./support/redis.mjs";
import { PATIENT } from "./support/stores.mjs";
import { eventually } from "./support/wait.mjs";
import { Node, configuration, refusesToStart, writeConfiguration } from "./support/weir.mjs";

const PLANS = {
    five: { limits: { requests: "5/min" }, default_output_tokens: 10 },
    wide: { limits: { requests: "1000/min" }, default_output_tokens: 10 },
};

const CONFIG = {
    workers: 2,
    admin: ADMIN,
    plans: PLANS,
    orgs: [{ id: "filed-org", plan: "wide" }],
    keys: [{ id: "filed", secret: "sk-filed", plan: "wide" }],
    // keys are refused before it is asked
    upstreams: [{ name: "nowhere", base_url: "http://127.0.0.1:9/v1" }],
};

/** What Redis has of it (src/registry/registry.lua). */
const PARTS = ["entries", "state", "changed"].map((part) => `weir:{registry}:${part}`);

const nodes = [];

/** A node whose registry is this file; ask and get are those of its admin API. */
async function start(registry, changes = {}) {
    const node = await Node.start(configuration({ ...CONFIG, mock: undefined, registry, ...changes }));
    nodes.push(node);
    node.admin = new Admin(node);
    return node;
}

async function stopAll() {
    await Promise.all(nodes.splice(0).map((node) => node.stop()));
}

async function stop(node) {
    nodes.splice(nodes.indexOf(node), 1);
    await node.stop();
}

/** The body of an answer that must be 200. */
async function does(node, method, path, json) {
    const answer = await node.admin.ask(method, path, { json });
    assert.equal(answer.status, 200, `${method} ${path}: ${answer.text}`);
    return answer.body;
}

async function refuses(node, [status, code, words], method, path, json) {
    const answer = await node.admin.ask(method, path, { json });
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    assert.equal(answer.body.error.code, code);
    assert.match(answer.body.error.message, words ?? /./);
}

const create = async (node, id, more) => (await does(node, "POST", "/keys", { id, ...more })).secret;
const change = (node, path, json) => does(node, "PATCH", path, json);
const remove = (node, path) => does(node, "DELETE", path);

/** What a request with this key is answered. */
async function status(node, key, requests = 0) {
    const none = { input_tokens: 0, output_tokens: 0 };
    return (await node.acquire({ key, requests, ...none })).status;
}

async function capacity(node, id) {
    return (await node.limits(id))["requests/60"]?.capacity;
}

async function metric(node, name) {
    const { text } = await node.ask("GET", "/metrics");
    return Number(text.split("\n").find((line) => line.startsWith(`${name} `)).split(" ").at(-1));
}

const inOverview = async (node) => (await node.admin.get("/overview")).body.node.registry;
const used = (node) => metric(node, 'weir_registry_entries{state="used"}');

async function ids(node) {
    const { body } = await node.admin.get("/keys?limit=1000");
    return body.keys.map(({ id }) => id).join(" ");
}

/** Until its admin API, a thread of its own, has these keys. */
const comesToHave = (node, all) => eventually(async () => (await ids(node)) === all, `keys ${all}`);

/** Of a registry's file with these keys. */
function document(keys) {
    const entries = keys.map(([id, text]) => `${JSON.stringify(`key:${id}`)}:${JSON.stringify(text)}`);
    return `{"weir_registry":1,"entries":{\n${entries.join(",\n")}\n}}\n`;
}

/** A node's copy; nothing where there is none yet. */
const copied = (path) => (existsSync(path) ? readFileSync(path, "utf8") : "");

/** Runs the cases with a folder for registries. */
function withFolder(title, cases) {
    describe(title, () => {
        let folder;
        before(() => {
            folder = temporaryFolder();
        });
        afterEach(stopAll);
        after(() => folder.remove());
        cases((name = "registry") => join(folder.path, name));
    });
}

describe("a registry in a file", () => {
    let node;
    let folder;
    let path;
    before(async () => {
        folder = temporaryFolder();
        path = join(folder.path, "registry");
        node = await start(path);
    });
    after(async () => {
        await stopAll();
        folder.remove();
    });

    it("makes a key whose secret is told once and kept nowhere", async () => {
        const made = await does(node, "POST", "/keys", { id: "alice", plan: "five", org: "filed-org" });
        const { secret, ...rest } = made;
        const alice = { id: "alice", plan: "five", team: null, org: "filed-org", source: "registry" };
        assert.deepEqual(rest, alice);
        assert.match(secret, /^sk-weir-[0-9A-Za-z]{44}$/);
        assert.equal(await status(node, secret), 200);
        assert.equal(await status(node, `${secret.slice(0, -1)}.`), 404);
        const one = await node.admin.get("/keys/alice");
        assert.deepEqual(one.body, { ...alice, subjects: ["key:alice", "org:filed-org"] });
        const all = await node.admin.get("/keys");
        assert.deepEqual(all.body.keys[1], alice);
        const kept = readFileSync(path, "utf8");
        assert.match(kept, /"secret_salted":"[0-9A-Za-z]{12}:[0-9a-f]{32}:[0-9a-f]{64}"/);
        for (const text of [kept, one.text, all.text, node.log]) {
            assert.ok(!text.includes(secret.slice(20)), text);
        }
        assert.equal(statSync(path).mode & 0o777, 0o600);
        assert.deepEqual(readdirSync(folder.path), ["registry"]); // and nothing beside it
        await refuses(node, [409, "exists"], "POST", "/keys", { id: "alice", plan: "wide" });
        await refuses(node, [409, "exists"], "POST", "/keys", { id: "filed", plan: "wide" });
    });

    it("gives a key another secret", async () => {
        const first = await create(node, "turned", { plan: "wide" });
        const { secret } = await does(node, "POST", "/keys/turned/rotate", {});
        assert.notEqual(secret, first);
        assert.deepEqual([await status(node, first), await status(node, secret)], [404, 200]);
        assert.equal(await status(node, "sk-filed"), 200);
        const filed = await does(node, "POST", "/keys/filed/rotate", {});
        assert.deepEqual([await status(node, "sk-filed"), await status(node, filed.secret)], [404, 200]);
        await remove(node, "/keys/filed");
        assert.deepEqual([await status(node, "sk-filed"), await status(node, filed.secret)], [200, 404]);
        await refuses(node, [404, "unknown_key"], "POST", "/keys/nobody/rotate", {});
    });

    it("changes the fields that are given, and null takes one out", async () => {
        await create(node, "bob", { plan: "five" });
        await change(node, "/orgs/acme", { plan: "wide" });
        await change(node, "/teams/search", { plan: "wide", org: "acme" });
        const bob = { id: "bob", plan: "five", team: null, org: null, source: "registry" };
        const steps = [
            [{ team: "search" }, { team: "search", org: "acme" }],
            [{ plan: "wide" }, { plan: "wide" }],
            [{ plan: null }, { plan: null }],
            [{ team: null, org: "acme" }, { team: null }],
            [{ plan: "five", org: null }, { plan: "five", org: null }],
            [{}, {}],
        ];
        for (const [fields, changes] of steps) {
            Object.assign(bob, changes);
            assert.deepEqual(await change(node, "/keys/bob", fields), bob);
        }
        assert.deepEqual((await node.admin.get("/keys/bob")).body.subjects, ["key:bob"]);
        assert.deepEqual((await node.admin.get("/teams")).body, {
            teams: [{ id: "search", plan: "wide", org: "acme", source: "registry" }],
            more: false,
        });
        await refuses(node, [404, "unknown_key"], "PATCH", "/keys/nobody", { plan: "five" });
    });

    it("refuses keys that are disabled, or whose team or org is", async () => {
        await change(node, "/orgs/o", { plan: "wide" });
        await change(node, "/teams/t", { org: "o" });
        const secret = await create(node, "off", { plan: "wide", team: "t" });
        const json = { model: "m", max_tokens: 5, messages: [{ role: "user", content: "Hello" }] };
        for (const thing of ["/keys/off", "/teams/t", "/orgs/o"]) {
            assert.equal((await change(node, thing, { disabled: true })).disabled, true);
            assert.equal(await status(node, secret), 403);
            assert.equal(await status(node, "id:off"), 403);
            const chat = await node.chat(secret);
            assert.equal(chat.status, 403);
            assert.equal(chat.body.error.code, "key_disabled");
            const headers = { "x-api-key": secret };
            const messages = await node.ask("POST", "/v1/messages", { json, headers });
            assert.equal(messages.status, 403);
            assert.equal(messages.body.type, "error");
            assert.equal(messages.body.error.details.error_code, "key_disabled");
            await refuses(node, [409, "key_disabled"], "POST", "/check", { key: "id:off" });
            assert.equal((await change(node, thing, { disabled: false })).disabled, undefined);
            assert.equal(await status(node, secret), 200);
        }
    });

    it("makes, changes and deletes plans, and not those that others need", async () => {
        const plan = { limits: { requests: "7/min", output_tokens: ["10k/min", "1M/day"] } };
        const { limits, source } = await change(node, "/plans/pro", plan);
        assert.deepEqual(limits.map((l) => [l.meter, l.window_s, l.limit]), [
            ["requests", 60, 7],
            ["output_tokens", 60, 10000],
            ["output_tokens", 86400, 1000000],
        ]);
        assert.equal(source, "registry");
        await create(node, "carol", { plan: "pro" });
        assert.equal(await capacity(node, "carol"), 7);
        await change(node, "/plans/pro", { limits: { requests: "9/min" } });
        assert.equal(await capacity(node, "carol"), 9);
        await refuses(node, [400, "invalid_entry", /^key:carol could not be used then: plan: /], "DELETE", "/plans/pro");
        await remove(node, "/keys/carol");
        assert.equal(await status(node, "id:carol"), 404);
        assert.deepEqual(await remove(node, "/plans/pro"), { deleted: true });
        await refuses(node, [404, "unknown_plan"], "GET", "/plans/pro");
        await refuses(node, [404, "unknown_plan"], "DELETE", "/plans/pro");
        await refuses(node, [404, "unknown_team"], "DELETE", "/teams/none");
        await refuses(node, [404, "unknown_org"], "DELETE", "/orgs/none");
    });

    it("lays an override over what the file says, until it is deleted", async () => {
        const filed = { id: "filed", plan: "wide", team: null, org: null };
        const over = await change(node, "/keys/filed", { plan: "five" });
        assert.deepEqual(over, { ...filed, plan: "five", source: "override" });
        assert.equal(await capacity(node, "filed"), 5);
        assert.equal(await status(node, "sk-filed"), 200);
        await remove(node, "/keys/filed");
        await refuses(node, [409, "in_file"], "DELETE", "/keys/filed");
        await change(node, "/keys/filed", { disabled: true });
        const back = await change(node, "/keys/filed", { disabled: null }); // nothing is left of it
        assert.deepEqual(back, { ...filed, source: "file" });
        assert.equal(await capacity(node, "filed"), 1000);
        await change(node, "/plans/wide", { limits: { requests: "50/min" } });
        assert.equal(await capacity(node, "filed"), 50);
        await remove(node, "/plans/wide");
        assert.equal(await capacity(node, "filed"), 1000);
    });

    it("gives a key limits of its own beside those of its plan", async () => {
        await create(node, "own", { plan: "five" });
        const limits = { requests: ["8/min", "20/h"], input_tokens: "1k/min" };
        assert.deepEqual((await change(node, "/keys/own", { limits })).limits, limits);
        const now = await node.limits("own");
        const all = Object.entries(now).map(([name, limit]) => [name, limit.capacity]).sort();
        assert.deepEqual(all, [["input_tokens/60", 1000], ["requests/3600", 20], ["requests/60", 8]]);
        await change(node, "/keys/own", { limits: null });
        const escaped = await node.admin.ask("PATCH", "/keys/own", {
            body: '{"limi\\u0074s":{"requests":"6/min"}}',
            headers: { "content-type": "application/json" },
        });
        assert.deepEqual(escaped.body.limits, { requests: "6/min" });
        assert.equal(await capacity(node, "own"), 6);
        await change(node, "/keys/own", { limits: null });
        assert.deepEqual(Object.keys(await node.limits("own")), ["requests/60"]);
        assert.equal(await capacity(node, "own"), 5);
    });

    it("keeps what is used when a plan changes", async () => {
        await create(node, "user", { plan: "five" });
        assert.equal(await status(node, "id:user", 3), 200);
        await change(node, "/keys/user", { plan: "wide" });
        await change(node, "/plans/wide", { limits: { requests: "4/min" } });
        const { capacity: most, used: so } = (await node.limits("user"))["requests/60"];
        assert.deepEqual([most, so], [4, 3]);
        assert.deepEqual([await status(node, "id:user"), await status(node, "id:user", 2)], [200, 429]);
        await remove(node, "/plans/wide");
    });

    it("grants more for a while", async () => {
        await change(node, "/plans/short", { limits: { requests: ["2/s", "100/min"] } });
        await create(node, "gifted", { plan: "short" });
        const now = async () => (await node.limits("gifted"))["requests/1"].capacity;
        const path = "/subjects/key%3Agifted/grant";
        const { grants } = await does(node, "POST", path, { requests: 40, window_s: 1 });
        assert.deepEqual(grants.map(({ until_ms: _, ...rest }) => rest), [
            { meter: "requests", window_s: 1, amount: 40 },
        ]);
        if (Date.now() < grants[0].until_ms - 500) { // else the machine is too busy to see it
            assert.equal(await status(node, "id:gifted", 30), 200);
        }
        await eventually(async () => (await now()) === 2, "the grant to end");
        assert.ok(Date.now() >= grants[0].until_ms);
        await does(node, "POST", path, { requests: 5 }); // in all its windows
        assert.equal(await capacity(node, "gifted"), 105);
        for (const body of [{}, { requests: 0 }, { requests: 1, window_s: 7 }, { input_tokens: 5 }]) {
            await refuses(node, [400, "invalid_field"], "POST", path, body);
        }
        await refuses(node, [404, "unknown_key"], "POST", "/subjects/key%3Anobody/grant", { requests: 1 });
        await refuses(node, [404, "unknown_subject"], "POST", "/subjects/model%3Am/grant", { requests: 1 });
        await change(node, "/teams/planless", { org: "filed-org" });
        await refuses(node, [400, "invalid_field"], "POST", "/subjects/team%3Aplanless/grant", {
            requests: 1,
        });
    });

    it("refuses fields that are no use, foreign, or there twice", async () => {
        const kept = readFileSync(path, "utf8");
        const field = [400, "invalid_field"];
        const entry = [400, "invalid_entry"];
        const salted = `${"a".repeat(12)}:${"0".repeat(32)}:${"0".repeat(64)}`;
        const wrong = [
            [field, "POST", "/keys", { id: "x", plan: "five", secret: "sk-x" }],
            [field, "POST", "/keys", { id: "x", plan: "five", secret_salted: salted }],
            [field, "PATCH", "/keys/filed", { secret_salted: salted }],
            [field, "PATCH", "/keys/filed", { grants: [] }],
            [field, "PATCH", "/keys/filed", { id: "other" }],
            [field, "PATCH", "/teams/x", { team: "t" }],
            [field, "PATCH", "/orgs/x", { org: "o" }],
            [field, "PATCH", "/plans/x", { plan: "five" }],
            [field, "POST", "/keys/filed/rotate", { secret: "sk-x" }],
            [field, "POST", "/keys", {}],
            [field, "POST", "/keys", { id: 5, plan: "five" }],
            [field, "POST", "/keys", { id: "x".repeat(101), plan: "five" }],
            [field, "PATCH", `/teams/${"x".repeat(101)}`, { plan: "five" }],
            [field, "PATCH", `/orgs/${"x".repeat(101)}`, { plan: "five" }],
            [field, "PATCH", `/plans/${"x".repeat(64)}`, {}],
            [[404, "unknown_key"], "PATCH", `/keys/${"x".repeat(101)}`, { plan: "five" }],
            [entry, "POST", "/keys", { id: "x y", plan: "five" }],
            [entry, "POST", "/keys", { id: "x", plan: "none" }],
            [entry, "POST", "/keys", { id: "x", team: "none" }],
            [entry, "PATCH", "/keys/filed", { disabled: "perhaps" }],
            [entry, "PATCH", "/keys/filed", { limits: { requests: "many" } }],
            [entry, "PATCH", "/teams/x", { org: "none" }],
            [entry, "PATCH", "/plans/reject", { limits: { requests: "5/min" } }],
            [entry, "PATCH", "/plans/x", { limits: { cows: "5/min" } }],
            [entry, "PATCH", "/keys/filed", { limits: { requests: Array(999).fill("5/min") } }],
            [entry, "POST", "/keys", { id: "x", plan: "five", team: "t".repeat(8192) }],
            [[400, "invalid_body"], "PATCH", "/keys/filed", []],
        ];
        for (const [how, ...request] of wrong) {
            await refuses(node, how, ...request);
        }
        const twice = [
            ["POST", "/keys", '{"id":"x","id":"y","plan":"five"}'],
            ["POST", "/keys", '{"id":"x","plan":"five","plan":"wide"}'],
            ["PATCH", "/keys/filed", '{"plan":"five","pl\\u0061n":"wide"}'],
            ["POST", "/subjects/key%3Afiled/grant", '{"requests":1,"requests":2}'],
        ];
        for (const [method, at, body] of twice) {
            const headers = { "content-type": "application/json" };
            const answer = await node.admin.ask(method, at, { body, headers });
            assert.equal(answer.status, 400, `${body}: ${answer.text}`);
            assert.equal(answer.body.error.code, "invalid_body");
        }
        assert.equal(readFileSync(path, "utf8"), kept);
    });

    it("offers each URL its methods, and no web form any", async () => {
        const offered = {
            "/keys": "GET, HEAD, POST",
            "/keys/filed": "GET, HEAD, PATCH, DELETE",
            "/keys/filed/rotate": "POST",
            "/teams": "GET, HEAD",
            "/orgs/filed-org": "GET, HEAD, PATCH, DELETE",
            "/plans": "GET, HEAD",
            "/plans/five": "GET, HEAD, PATCH, DELETE",
            "/subjects/key%3Afiled/grant": "POST",
        };
        for (const [url, methods] of Object.entries(offered)) {
            const answer = await node.admin.ask("PUT", url, { json: {} });
            assert.equal(answer.status, 405, url);
            assert.equal(answer.headers.get("allow"), methods);
        }
        for (const [method, url] of [["POST", "/keys"], ["PATCH", "/keys/filed"]]) {
            const headers = { "content-type": "text/plain" };
            const answer = await node.admin.ask(method, url, { headers, body: '{"plan":"five"}' });
            assert.equal(answer.status, 415, answer.text);
            assert.equal(answer.body.error.code, "unsupported_media_type");
        }
    });
});

withFolder("a registry in a file", (file) => {
    it("is there again after a restart", async () => {
        const first = await start(file());
        await change(first, "/plans/pro", { limits: { requests: "7/min" } });
        await change(first, "/teams/t", { plan: "pro" });
        const secret = await create(first, "kept", { team: "t" });
        await change(first, "/keys/filed", { disabled: true });
        const all = (await first.admin.get("/keys")).body;
        await stop(first);
        const second = await start(file());
        assert.deepEqual((await second.admin.get("/keys")).body, all);
        assert.deepEqual([await status(second, secret), await status(second, "sk-filed")], [200, 403]);
        assert.equal(await used(second), 4);
    });

    it("is followed by another process that shares it", async () => {
        const both = await Promise.all([start(file("shared")), start(file("shared"))]);
        const secret = await create(both[0], "one", { plan: "five" });
        await create(both[1], "two", { plan: "five" });
        await eventually(async () => (await status(both[1], secret)) === 200, "the key");
        await change(both[1], "/keys/one", { plan: "wide" });
        await eventually(async () => (await capacity(both[0], "one")) === 1000, "the change");
        await comesToHave(both[0], "filed one two");
        await remove(both[0], "/keys/one");
        await eventually(async () => (await status(both[1], secret)) === 404, "the key to go");
    });

    it("of another form refuses the start and is left alone", async () => {
        for (const text of ["", "{", "[]", '{"weir_registry":2,"entries":{}}', document([["", {}]])]) {
            writeFileSync(file("broken"), text);
            const config = configuration({ ...CONFIG, mock: undefined, registry: file("broken") });
            const { code, output } = await refusesToStart(config);
            assert.equal(code, 1);
            assert.match(output, /^weir serve: registry: .*broken: expected a registry as weir writes it/m);
            assert.equal(readFileSync(file("broken"), "utf8"), text);
        }
    });

    it("that breaks while nodes run is left alone, and what was read stays in force", async () => {
        const node = await start(file("breaks"));
        const secret = await create(node, "k", { plan: "five" });
        writeFileSync(file("breaks"), "{");
        await refuses(node, [503, "registry_unavailable"], "PATCH", "/keys/k", { plan: "wide" });
        assert.equal(readFileSync(file("breaks"), "utf8"), "{");
        assert.equal(await metric(node, "weir_registry_up"), 0);
        assert.deepEqual(await inOverview(node), { up: false, entries: 1, unusable: 0 });
        assert.equal(await status(node, secret), 200);
        writeFileSync(file("breaks"), document([]));
        await change(node, "/plans/p", {});
        assert.equal(await status(node, secret), 404);
        assert.equal(await metric(node, "weir_registry_up"), 1);
        assert.deepEqual(await inOverview(node), { up: true, entries: 1, unusable: 0 });
    });

    it("says of what goes that it is the registry's for as long as it is in force", async () => {
        const many = Array.from({ length: 10000 }, (_, i) => [`t${i}`, { plan: "five" }]);
        writeFileSync(file("many"), document(many).replaceAll('"key:', '"team:'));
        const node = await start(file("many"));
        for (const id of ["t1", "t2", "t3"]) {
            const deleted = remove(node, `/teams/${id}`);
            let seen;
            while ((seen = await node.admin.get(`/teams/${id}`)).status === 200) {
                assert.equal(seen.body.source, "registry");
            }
            await deleted;
        }
    });

    it("grants nothing to what cannot be used, and says so", async () => {
        writeFileSync(file("unusable"), document([["k", { plan: "none" }]]));
        const node = await start(file("unusable"));
        await refuses(node, [409, "conflict", /not in force on this node/], "POST", "/subjects/key%3Ak/grant", {
            requests: 1,
        });
    });

    it("refuses a file that takes away what its entries need", async () => {
        const node = await start(file("needs"));
        const secret = await create(node, "needy", { plan: "five" });
        const reload = async (plans) => {
            const from = node.log.length;
            writeConfiguration(node.folder.path, { ...node.configuration, plans });
            node.program.signal("SIGHUP");
            return eventually(() => node.log.slice(from).match(/reload: (.*)\n/)?.[1], "the reload");
        };
        const refused = /^key:needy of the registry .* plan: .*; nothing was changed$/;
        assert.match(await reload({ wide: { limits: { requests: "9/min" } } }), refused);
        assert.deepEqual([await capacity(node, "filed"), await status(node, secret)], [1000, 200]);
        assert.match(await reload({ ...PLANS, wide: { limits: { requests: "9/min" } } }), /^in force/);
        assert.deepEqual([await capacity(node, "filed"), await status(node, secret)], [9, 200]);
    });

    it("is asked for changes only where the configuration names one", async () => {
        const node = await start(undefined);
        for (const [method, path] of [["POST", "/keys"], ["PATCH", "/plans/p"], ["DELETE", "/teams/t"]]) {
            const json = method === "POST" ? { id: "x", plan: "five" } : method === "PATCH" ? {} : undefined;
            await refuses(node, [409, "registry_off"], method, path, json);
        }
        const { text } = await node.ask("GET", "/metrics");
        assert.doesNotMatch(text, /weir_registry/);
        assert.equal(await inOverview(node), null);
    });
});

describe("a registry in Redis", () => {
    let redis;
    let folder;
    let copies = 0;
    before(async () => {
        redis = await Redis.start();
        folder = temporaryFolder();
    });
    afterEach(async () => {
        await stopAll();
        await redis.empty();
    });
    after(async () => {
        await redis.stop();
        folder.remove();
    });
    const copy = () => join(folder.path, `copy${copies++}`);
    const inRedis = async () => Number(await redis.command("HLEN", PARTS[0]));
    /** The body of what is done, if it is by now. */
    const tries = async (node, path, json) => {
        const answer = await node.admin.ask("POST", path, { json });
        assert.ok(answer.status === 200 || answer.status === 503, answer.text);
        return answer.status === 200 && answer.body;
    };
    /** Each with a copy of its own. */
    const starts = (count) =>
        Promise.all(
            Array.from({ length: count }, async () => {
                const node = await start(copy(), { store: redis.url, workers: 1, ...PATIENT });
                await storeReady(node);
                return node;
            }),
        );

    it("is followed by all nodes within a second", async () => {
        const [one, two] = await starts(2);
        const secret = await create(one, "k", { plan: "five" });
        const took = [];
        const comes = async (check) => {
            const from = performance.now();
            await eventually(check, "the change");
            took.push(performance.now() - from);
        };
        await comes(async () => (await status(two, secret)) === 200);
        await change(two, "/keys/k", { plan: "wide" });
        await comes(async () => (await capacity(one, "k")) === 1000);
        await remove(two, "/keys/k");
        await comes(async () => (await status(one, secret)) === 404);
        assert.ok(Math.min(...took) < 1000, `${took}`); // not of each: the machine may be busy
    });

    it("takes changes by several nodes at once, and loses none", async () => {
        const both = await starts(2);
        await create(both[0], "k", { plan: "five" });
        await comesToHave(both[1], "filed k");
        const fields = [
            { plan: "wide" },
            { org: "filed-org" },
            { disabled: true },
            { limits: { requests: "8/min" } },
        ];
        await Promise.all([
            ...fields.map((json, i) => change(both[i >> 1], "/keys/k", json)),
            ...Array.from({ length: 20 }, (_, i) => create(both[i % 2], `k${i}`, { plan: "five" })),
            ...Array.from({ length: 20 }, (_, i) => change(both[i % 2], `/plans/p${i}`, PLANS.five)),
        ]);
        const k = {
            ...{ id: "k", plan: "wide", team: null, org: "filed-org", disabled: true },
            ...{ source: "registry", limits: { requests: "8/min" } },
        };
        for (const node of both) {
            await eventually(async () => (await used(node)) === 41, "all entries");
            const { subjects: _, ...told } = (await node.admin.get("/keys/k")).body;
            assert.deepEqual(told, k);
            assert.equal((await ids(node)).split(" ").length, 22);
        }
    });

    it("goes on by what was read while Redis is away, and writes it back when that is empty", async () => {
        const [one, two] = await starts(2);
        await change(one, "/plans/pro", { limits: { requests: "7/min" } });
        const secret = await create(one, "k", { plan: "pro" });
        await eventually(async () => (await status(two, secret)) === 200, "the key");
        await eventually(() => copied(one.configuration.registry).includes('"key:k"'), "the copy");
        await redis.kill();
        for (const node of [one, two]) {
            await eventually(async () => (await metric(node, "weir_registry_up")) === 0, "the loss");
            assert.equal((await node.admin.get("/keys/k")).body.plan, "pro");
            assert.notEqual(await status(node, secret), 404);
            await refuses(node, [503, "registry_unavailable"], "POST", "/keys", { id: "x", plan: "pro" });
            await refuses(node, [503, "registry_unavailable"], "DELETE", "/keys/k");
        }
        const late = await start(one.configuration.registry, { store: redis.url, ...PATIENT });
        assert.match(late.log, /Redis is out of reach; starting with the 2 entries of /);
        assert.equal((await late.admin.get("/keys/k")).body.plan, "pro");
        assert.equal(await used(late), 2);
        await redis.restart();
        await redis.accept();
        const all = [one, two, late];
        for (const node of all) {
            await eventually(async () => (await metric(node, "weir_registry_up")) === 1, "Redis");
        }
        await eventually(async () => (await inRedis()) === 2, "the entries");
        const made = await eventually(() => tries(two, "/keys", { id: "x", plan: "pro" }), "a change");
        for (const node of all) {
            await eventually(async () => (await status(node, made.secret)) === 200, "the new key");
            await comesToHave(node, "filed k x");
            await eventually(async () => (await used(node)) === 3, "the count");
        }
    });

    it("is written back where only its entries are lost", async () => {
        const [one, two] = await starts(2);
        await create(one, "k", { plan: "five" });
        await comesToHave(two, "filed k");
        await redis.command("DEL", ...PARTS);
        await eventually(async () => (await inRedis()) === 1, "the entries");
        const made = await eventually(() => tries(one, "/keys", { id: "x", plan: "five" }), "a change");
        await eventually(async () => (await status(two, made.secret)) === 200, "the new key");
        await comesToHave(two, "filed k x");
    });

    it("takes nothing as deleted where parts of it are lost, until a node may write it back", async () => {
        const [one, two] = await starts(2);
        const secret = await create(one, "k", { plan: "five" });
        await comesToHave(two, "filed k");
        const lost = [503, "registry_unavailable", /^Redis refuses it: ERR parts of the registry are lost; /];
        await redis.command("DEL", PARTS[0], PARTS[2]);
        await refuses(one, lost, "POST", "/keys", { id: "x", plan: "five" });
        const late = await start(copy(), { store: redis.url, ...PATIENT });
        const up = () => metric(late, "weir_registry_up");
        await eventually(async () => (await up()) === 0, "the loss");
        assert.match(late.log, /registry: Redis refuses to be asked for it: ERR parts of the registry/);
        assert.equal(await status(one, secret), 200);
        await redis.command("DEL", PARTS[1]);
        await eventually(async () => (await status(late, secret)) === 200, "the key");
        await eventually(async () => (await up()) === 1, "Redis");
        const made = await eventually(() => tries(two, "/keys", { id: "x", plan: "five" }), "a change");
        await eventually(async () => (await status(late, made.secret)) === 200, "the new key");
    });

    it("is read page by page by a node that comes later", async () => {
        const kept = (i) => `${`${i}`.padStart(12, "0")}:${"0".repeat(32)}:${"0".repeat(64)}`;
        const many = Array.from({ length: 2500 }, (_, i) => [
            `k${i}`,
            { plan: "five", secret_salted: kept(i) },
        ]);
        const path = copy();
        writeFileSync(path, document(many));
        const first = await start(path, { store: redis.url, ...PATIENT });
        await eventually(async () => (await inRedis()) === 2500, "the entries");
        await eventually(() => tries(first, "/keys/k7/rotate", {}), "a change");
        const later = await start(copy(), { store: redis.url, ...PATIENT });
        assert.equal(await used(later), 2500);
        assert.equal((await later.admin.get("/keys/k2499")).body.plan, "five");
        await remove(first, "/keys/k7");
        await eventually(async () => (await used(later)) === 2499, "the key to go");
    });

    it("leaves out what is no entry, and needs no copy where Redis is there", async () => {
        const [one] = await starts(1);
        await create(one, "k", { plan: "five" });
        await redis.command("HSET", PARTS[0], "key:k", "not json");
        const path = copy();
        for (const text of ["not json", undefined]) { // a damaged copy, and then its own
            if (text !== undefined) {
                writeFileSync(path, text);
            }
            const node = await start(path, { store: redis.url, ...PATIENT });
            await eventually(async () => !readFileSync(path, "utf8").includes("not json"), "a copy");
            await refuses(node, [404, "unknown_key"], "GET", "/keys/k");
            await stop(node);
        }
    });

    it("is left alone where Redis has something else in its place", async () => {
        const [one] = await starts(1);
        await create(one, "k", { plan: "five" });
        for (const part of PARTS) { // which is never away: that would be a registry without entries
            await redis.command("COPY", part, "kept");
            await redis.command("SET", part, "something");
            await refuses(one, [503, "registry_unavailable"], "POST", "/keys", { id: "x", plan: "five" });
            assert.equal(await redis.command("GET", part), "something");
            await comesToHave(one, "filed k");
            const late = await start(copy(), { store: redis.url, ...PATIENT });
            assert.match(late.log, /registry: .*; starting with the 0 entries of /);
            await redis.command("RENAME", "kept", part);
        }
        await eventually(() => tries(one, "/keys", { id: "x", plan: "five" }), "a change");
    });
});

describe("a registry in a Redis Cluster", () => {
    let cluster;
    let folder;
    before(async () => {
        cluster = await RedisCluster.start();
        folder = temporaryFolder();
    });
    after(async () => {
        await stopAll();
        await cluster.stop();
        folder.remove();
    });

    it("is followed by all nodes", async () => {
        const store = { store: cluster.url, ...PATIENT };
        const both = await Promise.all(["a", "b"].map((copy) => start(join(folder.path, copy), store)));
        await Promise.all(both.map((node) => storeReady(node)));
        const secret = await create(both[0], "k", { plan: "five" });
        await eventually(async () => (await status(both[1], secret)) === 200, "the key");
        await change(both[1], "/keys/k", { plan: "wide" });
        await eventually(async () => (await capacity(both[0], "k")) === 1000, "the change");
    });

    it("goes on while another shard is away, and is not waited for when the cluster is down", async () => {
        const owner = await cluster.ownerOf("registry");
        const others = cluster.nodes.filter((node) => node !== owner);
        const store = {
            ...{ store: `redis+cluster://127.0.0.1:${owner.port}` },
            ...{ store_timeout_ms: 500, store_connect_timeout_ms: 500 },
        };
        const node = await start(join(folder.path, "c"), store);
        await storeReady(node);
        try {
            others[0].program.signal("SIGSTOP");
            await storeReady(node, false);
            await change(node, "/keys/k", { plan: "five" });
            assert.equal(await capacity(node, "k"), 5);
            others[1].program.signal("SIGSTOP");
            const fails = async () => (await owner.command("CLUSTER", "INFO")).includes("cluster_state:fail");
            await eventually(fails, "the rest to notice that it is a minority");
            const late = await start(join(folder.path, "d"), store);
            assert.match(late.log, /registry: .*; starting with the 0 entries of /);
        } finally {
            others.forEach((other) => other.program.signal("SIGCONT"));
        }
    });
});
