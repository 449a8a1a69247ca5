// SPDX-License-Identifier: Apache-2.0
// SIGHUP: the configuration is read again, checked as a whole and in force at once for all workers,
// or refused with its reason. What is used stays used; requests under way keep what they began with.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Admin } from "./support/admin.mjs";
import { run } from "./support/process.mjs";
import { Redis, storeReady } from "./support/redis.mjs";
import { PATIENT, onEachStore } from "./support/stores.mjs";
import { eventually } from "./support/wait.mjs";
import { Node, WEIR, configuration, writeConfiguration } from "./support/weir.mjs";

const limits = (requests, more = {}) => ({ limits: { requests, ...more }, default_output_tokens: 10 });

const CONFIG = {
    workers: 2,
    plans: { p: limits("5/min"), q: limits("100/min") },
    keys: [
        { id: "k", secret: "sk-k", plan: "p" },
        { id: "gone", secret: "sk-gone", plan: "q" },
    ],
};

/** Writes the file, sends SIGHUP and returns what the node says of it. */
async function reload(node, config) {
    const from = node.log.length;
    writeConfiguration(node.folder.path, config);
    node.program.signal("SIGHUP");
    return eventually(() => node.log.slice(from).match(/reload: (.*)\n/)?.[1], "the reload");
}

async function apply(node, config) {
    assert.match(await reload(node, config), /^in force: /);
}

/** A configuration that started this node, with changes: where it listens and its store stay. */
function changed(config, changes) {
    return { ...config, ...changes };
}

async function metric(node, name) {
    const { text } = await node.ask("GET", "/metrics");
    return Number(text.match(new RegExp(`^${name.replace(/[{}]/g, "\\$&")} (.*)$`, "m"))[1]);
}

async function take(node, id, count) {
    const statuses = [];
    for (let i = 0; i < count; i++) {
        const { status } = await node.acquire({ key: `id:${id}`, input_tokens: 0, output_tokens: 0 });
        statuses.push(status);
    }
    return statuses;
}

onEachStore("reload", (start) => {
    let node;
    /** The node of all these tests, by a configuration with these changes. */
    const by = async (changes) => {
        node ??= await start(configuration(CONFIG));
        await apply(node, { ...node.configuration, ...changes });
    };
    const usedBy = async (id, limit) => (await node.limits(id))[limit].used;

    it("changes limits, and what is used stays used", async () => {
        await by({});
        assert.deepEqual(await take(node, "k", 6), [200, 200, 200, 200, 200, 429]);
        await by({ plans: { ...CONFIG.plans, p: limits("8/min") } });
        assert.deepEqual(await take(node, "k", 4), [200, 200, 200, 429]);
        const all = async () => (await usedBy("k", "requests/60")) === 8;
        await eventually(all, "leases to go back");
        await by({ plans: { ...CONFIG.plans, p: limits("3/min", { input_tokens: "9/min" }) } });
        const now = await node.limits("k");
        assert.equal(now["requests/60"].capacity, 3);
        assert.equal(now["requests/60"].used, 8);
        assert.equal(now["input_tokens/60"].remaining, 9);
        assert.deepEqual(await take(node, "k", 1), [429]);
        await by({}); // and back
        assert.equal(await usedBy("k", "requests/60"), 8);
    });

    it("knows new keys, and no longer those that went", async () => {
        await by({});
        assert.equal((await node.chat("sk-gone")).status, 200);
        assert.equal((await node.chat("sk-new")).status, 401);
        await by({
            keys: [CONFIG.keys[0], { id: "new", secret: "sk-new", plan: "q", team: "t" }],
            teams: [{ id: "t", plan: "p" }],
            models: { "weir-mock": {}, m: {} },
        });
        for (let i = 0; i < 4; i++) { // each worker
            assert.equal((await node.chat("sk-gone")).status, 401);
            assert.equal((await node.chat("sk-new")).status, 200);
        }
        assert.deepEqual(await take(node, "new", 2), [200, 429]); // its team's
        const models = await node.ask("GET", "/v1/models", { key: "sk-new" });
        assert.deepEqual(models.body.data.map((m) => m.id).sort(), ["m", "weir-mock"]);
        await by({ unknown_keys: "q" });
        assert.equal((await node.chat("sk-new")).status, 200);
        await by({});
        assert.equal((await node.chat("sk-new")).status, 401);
    });

    it("moves a key to another org, whose windows it uses from then on", async () => {
        const inOrg = (org) => ({
            orgs: [{ id: "one", plan: "p" }, { id: "two", plan: "p" }],
            keys: [{ id: "moved", secret: "sk-moved", plan: "q", org }],
        });
        await by(inOrg("one"));
        assert.deepEqual(await take(node, "moved", 6), [200, 200, 200, 200, 200, 429]);
        await by(inOrg("two"));
        assert.deepEqual(await take(node, "moved", 6), [200, 200, 200, 200, 200, 429]);
        await by(inOrg("one"));
        assert.deepEqual(await take(node, "moved", 1), [429]);
    });

    it("settles what was taken before by the limits that there are then", async () => {
        const before = limits("100/min", { output_tokens: "1000/min" });
        const after = limits("50/min", { output_tokens: ["2000/min", "5k/h"] });
        const slow = {
            keys: [{ id: "slow", secret: "sk-slow", plan: "p" }],
            mock: { seed: 1, output_tokens: { mean: 20, max: 64 }, tokens_per_s: 100 },
        };
        await by({ ...slow, plans: { ...CONFIG.plans, p: before } });
        const taken = await node.acquire({ key: "id:slow", input_tokens: 0, output_tokens: 300 });
        const stream = node.chat("sk-slow", { stream: true, max_tokens: 40 });
        const begun = async () => (await usedBy("slow", "requests/60")) >= 2;
        await eventually(begun, "the stream's charge");
        await by({ ...slow, plans: { ...CONFIG.plans, p: after } });
        const { text } = await stream;
        assert.match(text, /data: \[DONE\]\n\n$/);
        const settled = await node.settle({
            reservation: taken.body.reservation,
            input_tokens: 0,
            output_tokens: 7,
        });
        assert.equal(settled.status, 200, settled.text);
        const used = 7 + text.match(/"delta":\{"content"/g).length;
        const both = async () => (await usedBy("slow", "output_tokens/60")) === used;
        await eventually(both, "both settlements");
        const now = await node.limits("slow");
        assert.equal(now["output_tokens/60"].capacity, 2000);
        assert.equal(now["requests/60"].capacity, 50);
    });

    it("fails no request while it happens again and again", async () => {
        const load = (requests) => ({
            plans: { p: limits("5/min"), q: limits(requests) },
            keys: [{ id: "load", secret: "sk-load", plan: "q" }],
        });
        await by(load("1M/min"));
        let running = true;
        let asked = 0;
        const client = async () => {
            for (; running; asked++) {
                const { status, text } = await node.chat("sk-load", { max_tokens: 5 });
                assert.equal(status, 200, text);
            }
        };
        const clients = Array.from({ length: 8 }, client);
        for (let i = 1; i <= 20; i++) {
            await by(load(`${100 + i}k/min`));
        }
        running = false;
        await Promise.all(clients);
        assert.ok(asked > 20);
        const all = async () => (await usedBy("load", "requests/60")) === asked;
        await eventually(all, "leases to go back");
        assert.equal((await node.limits("load"))["requests/60"].capacity, 120000);
    });
});

describe("a reload that is refused", () => {
    let node;
    before(async () => {
        node = await Node.start(configuration(CONFIG));
    });
    after(() => node.stop());

    const refusals = {
        "no YAML": ["plans: [", /^\S*weir\.yaml:\d+:\d+: /],
        "a plan that is not there": [
            changed(configuration(CONFIG), { plans: { q: limits("1/min") } }),
            /weir\.yaml:\d+:\d+: plan: expected the name of a plan; nothing was changed/,
        ],
        "another listener": [
            configuration({ ...CONFIG, listen: "127.0.0.1:1" }),
            /^listen has changed, which needs a restart; nothing was changed$/,
        ],
        "another number of workers": [
            configuration({ ...CONFIG, workers: 3 }),
            /^workers has changed, which needs a restart; /,
        ],
        "other bounds of HTTP": [
            configuration({ ...CONFIG, http: { max_body_bytes: 5000 } }),
            /^http\.max_body_bytes has changed, which needs a restart; /,
        ],
        "another store": [
            configuration({ ...CONFIG, store: "redis://127.0.0.1:1" }),
            /^store has changed, which needs a restart; /,
        ],
        "the first upstream": [
            configuration({ ...CONFIG, upstreams: [{ name: "u", base_url: "http://127.0.0.1:1/v1" }] }),
            /^the presence of upstreams has changed, which needs a restart; /,
        ],
    };
    let refused = 0;
    for (const [what, [config, reason]] of Object.entries(refusals)) {
        it(`changes nothing: ${what}`, async () => {
            assert.match(await reload(node, config), reason);
            refused++;
            assert.equal((await node.limits("k"))["requests/60"].capacity, 5);
            assert.equal(await metric(node, 'weir_config_loads_total{result="refused"}'), refused);
            assert.equal(await metric(node, "weir_config_last_load_successful"), 0);
        });
    }

    it("is forgotten with the next one that is right", async () => {
        const plans = { ...CONFIG.plans, p: limits("6/min") };
        await apply(node, configuration({ ...CONFIG, plans }));
        assert.equal((await node.limits("k"))["requests/60"].capacity, 6);
        assert.equal(await metric(node, "weir_config_last_load_successful"), 1);
    });
});

describe("a reload that is asked for", () => {
    const admin = { listen: "127.0.0.1:0" };
    let node;
    before(async () => {
        node = await Node.start(configuration({ ...CONFIG, admin }));
    });
    after(() => node.stop());

    const reloadBy = (config) => {
        writeConfiguration(node.folder.path, config);
        return run(WEIR, ["reload", "--admin", new Admin(node).url]);
    };

    it("is in force when that is answered, with what is told of shadow limits", async () => {
        const plans = { p: limits("7/min"), q: limits("9/min shadow") };
        const { code, output } = await reloadBy(configuration({ ...CONFIG, admin, plans }));
        assert.deepEqual([code, output], [0, "in force: 2 plans, 2 keys\n"]);
        assert.equal((await node.limits("k"))["requests/60"].capacity, 7);
        const told = await new Admin(node).get("/plans");
        const limit = { meter: "requests", window_s: 60, limit: 9, shadow: true };
        assert.deepEqual(told.body.plans[1], { name: "q", limits: [limit], source: "file" });
        assert.equal((await take(node, "gone", 11)).at(-1), 200);
        const subject = (await new Admin(node).get("/subjects/key%3Agone")).body;
        assert.deepEqual([subject.limits[0].used, subject.limits[0].shadow], [11, true]);
        const { totals } = (await new Admin(node).get("/overview")).body;
        assert.equal(totals.shadow_denied, 2);
    });

    it("says why it is refused", async () => {
        const before = (await new Admin(node).get("/plans")).text;
        const { code, output } = await reloadBy("plans: 7\n");
        assert.equal(code, 1);
        assert.match(output, /weir\.yaml:1:8: plans: expected a mapping; nothing was changed\n$/);
        assert.equal((await new Admin(node).get("/plans")).text, before);
        const answer = await new Admin(node).ask("POST", "/reload", { json: {} });
        assert.equal(answer.status, 409);
        assert.equal(answer.body.error.code, "configuration_refused");
    });

    it("answers all who ask at once", async () => {
        await reloadBy(configuration({ ...CONFIG, admin }));
        const asked = Array.from({ length: 10 }, () =>
            new Admin(node).ask("POST", "/reload", { json: {} }),
        );
        for (const answer of await Promise.all(asked)) {
            assert.deepEqual(answer.body, { applied: true, plans: 2, keys: 2 }, answer.text);
        }
        assert.equal((await node.limits("k"))["requests/60"].capacity, 5);
    });
});

describe("two nodes of one Redis", () => {
    for (const mode of ["lease", "exact"]) {
        it(`count on while they change one after the other, mode ${mode}`, async () => {
            const redis = await Redis.start();
            const plans = { ...CONFIG.plans, p: limits("200/min") };
            const config = configuration({ ...CONFIG, ...PATIENT, plans, mode, store: redis.url });
            const nodes = await Promise.all([Node.start(config), Node.start(config)]);
            await Promise.all(nodes.map((node) => storeReady(node)));
            let allowed = 0;
            const all = async (count) => {
                const statuses = await Promise.all(nodes.map((node) => take(node, "k", count)));
                allowed += statuses.flat().filter((status) => status === 200).length;
            };
            await all(40);
            const lower = changed(config, { plans: { ...CONFIG.plans, p: limits("120/min") } });
            await Promise.all([all(20), apply(nodes[0], lower)]);
            await apply(nodes[1], lower);
            await all(40);
            assert.equal(allowed, 120);
            await Promise.all(nodes.map((node) => node.stop()));
            await redis.stop();
        });
    }
});
