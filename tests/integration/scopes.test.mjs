// SPDX-License-Identifier: Apache-2.0
// Several subjects of one request: its key, its team, its org and its model decide together. The
// guarantees 3 (a denial costs nothing) and 4 (retry_after) over all of them.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Redis, RedisCluster, storeReady } from "./support/redis.mjs";
import { PATIENT, onEveryStore } from "./support/stores.mjs";
import { eventually, passesWhenTold, sleep } from "./support/wait.mjs";
import { Node, configuration, refusesToStart } from "./support/weir.mjs";

const plan = (limits, more = {}) => ({ limits, default_output_tokens: 10, ...more });
const key = (id, more) => ({ id, secret: `sk-${id}`, ...more });

/** Two teams of one org, a key of the org alone, one of another org, one without either; models by
 * name and by glob, which all share. */
const SCOPES = configuration({
    plans: {
        key: plan({ requests: "100/min", output_tokens: "400/min" }),
        team: plan({ input_tokens: "1000/min", output_tokens: "600/min" }),
        org: plan({ requests: "1000/min", output_tokens: "1000/min" }),
        gpt: plan({ requests: "4/min" }),
        rest: plan({ requests: "6/min" }),
    },
    orgs: [
        { id: "acme", plan: "org" },
        { id: "other", plan: "org" },
    ],
    teams: [
        { id: "search", plan: "team", org: "acme" },
        { id: "ads", plan: "team", org: "acme" },
    ],
    keys: [
        key("s1", { plan: "key", team: "search" }),
        key("s2", { plan: "key", team: "search" }),
        key("s3", { team: "search" }),
        key("ad", { plan: "key", team: "ads" }),
        key("boss", { plan: "key", org: "acme" }),
        key("else", { plan: "key", org: "other" }),
        key("lone", { plan: "key" }),
    ],
    models: {
        "gpt-4o": { plan: "gpt" },
        "gpt-4*": { plan: "gpt" },
        "gpt-4-free": {},
        "weir-mock": {},
        "*": { plan: "rest" },
    },
});

/** Limits as {"subject meter": used}. */
function used(limits) {
    return Object.fromEntries(limits.map((l) => [`${l.subject} ${l.meter}`, l.used]));
}

/** What a look says of the key's subjects, and of the model's. */
async function look(node, id, model) {
    const { status, body } = await node.acquire({
        key: `id:${id}`,
        ...(model === undefined ? {} : { model }),
        input_tokens: 0,
        output_tokens: 0,
        requests: 0,
    });
    assert.equal(status, 200);
    return used(body.limits);
}

function acquire(node, id, output_tokens, more = {}) {
    return node.acquire({ key: `id:${id}`, input_tokens: 0, output_tokens, ...more });
}

onEveryStore("the subjects of a request", (start) => {
    let node;
    before(async () => {
        node = await start(SCOPES);
    });

    it("are its key, its team, its org and its model, in this order", async () => {
        const subjects = async (id, model) => {
            const names = Object.keys(await look(node, id, model)).map((name) => name.split(" ")[0]);
            return [...new Set(names)];
        };
        assert.deepEqual(await subjects("s1", "gpt-4o"), [
            "key:s1",
            "team:search",
            "org:acme",
            "model:gpt-4o",
        ]);
        assert.deepEqual(await subjects("s3"), ["team:search", "org:acme"]);
        assert.deepEqual(await subjects("boss"), ["key:boss", "org:acme"]);
        assert.deepEqual(await subjects("lone"), ["key:lone"]);
        assert.deepEqual(await subjects("lone", "gpt-3"), ["key:lone", "model:*"]);
    });

    it("have the limit of a team between its keys", async () => {
        assert.equal((await acquire(node, "s1", 300)).status, 200);
        assert.equal((await acquire(node, "s2", 250)).status, 200);
        const { status, body, headers } = await acquire(node, "s2", 51);
        assert.equal(status, 429);
        assert.deepEqual(body.denied_by, {
            subject: "team:search",
            meter: "output_tokens",
            window_s: 60,
        });
        assert.equal(headers.get("x-weir-limited-by"), "output_tokens");
        assert.equal(headers.get("x-weir-limited-subject"), "team:search");
        assert.equal((await acquire(node, "ad", 51)).status, 200, "another team is not concerned");
    });

    it("are all charged, or none", async () => {
        await sleep(110); // a denial is remembered for 100 ms, with what others had used by then
        const seen = await look(node, "s2");
        assert.deepEqual(seen, {
            "key:s2 requests": 1,
            "key:s2 output_tokens": 250,
            "team:search input_tokens": 0,
            "team:search output_tokens": 550,
            "org:acme requests": 3,
            "org:acme output_tokens": 601,
        });
        for (const [output_tokens, subject] of [
            [51, "team:search"],
            [151, "key:s2"], // the first that does not fit
            [400, "key:s2"],
        ]) {
            const { status, body } = await acquire(node, "s2", output_tokens);
            assert.equal(status, 429);
            assert.equal(body.denied_by.subject, subject);
            assert.deepEqual(used(body.limits), seen);
            assert.deepEqual(await look(node, "s2"), seen);
        }
    });

    it("include the org, when the key and the team have room", async () => {
        assert.equal((await acquire(node, "ad", 340)).status, 200);
        const ad = await look(node, "ad");
        const { status, body } = await acquire(node, "boss", 60);
        assert.equal(status, 429);
        assert.equal(body.denied_by.subject, "org:acme");
        assert.deepEqual(await look(node, "ad"), ad);
        assert.equal((await acquire(node, "else", 60)).status, 200);
    });

    it("name first what can never pass", async () => {
        const { body } = await acquire(node, "s3", 601);
        assert.equal(body.denied_by.subject, "team:search");
        assert.equal(body.retry_after_ms, null);
        const { body: key } = await acquire(node, "s1", 401);
        assert.equal(key.denied_by.subject, "key:s1");
    });

    it("are all told by /v1/usage, for nothing, without the models", async () => {
        const { status, body } = await node.ask("GET", "/v1/usage", { key: "sk-s1" });
        assert.equal(status, 200);
        assert.deepEqual(used(body.limits), await look(node, "s1"));
        assert.equal(body.limits.length, 6);
    });
});

onEveryStore("limits of models", (start) => {
    let node;
    before(async () => {
        node = await start(SCOPES);
    });

    const requests = (id, model, n) => acquire(node, id, 0, { model, requests: n });

    it("are shared by all keys and orgs", async () => {
        assert.equal((await requests("s1", "gpt-4o", 2)).status, 200);
        assert.equal((await requests("else", "gpt-4o", 2)).status, 200);
        const seen = await look(node, "lone", "gpt-4o");
        const { status, body, headers } = await requests("lone", "gpt-4o", 1);
        assert.equal(status, 429);
        assert.deepEqual(body.denied_by, {
            subject: "model:gpt-4o",
            meter: "requests",
            window_s: 60,
        });
        assert.equal(headers.get("x-weir-limited-subject"), "model:gpt-4o");
        assert.deepEqual(await look(node, "lone", "gpt-4o"), seen);
        assert.equal((await requests("lone", undefined, 1)).status, 200);
    });

    it("are those of one entry: its name, else the longest glob", async () => {
        for (const model of ["gpt-4", "gpt-4-turbo", "gpt-4.1", "gpt-4o-mini"]) {
            assert.equal((await requests("s1", model, 1)).status, 200, model);
        }
        const { body } = await requests("s1", "gpt-4.5", 1);
        assert.equal(body.denied_by.subject, "model:gpt-4*");
        assert.equal((await requests("s1", "gpt-3", 6)).status, 200);
        const rest = await requests("s1", "claude", 1);
        assert.equal(rest.body.denied_by.subject, "model:*");
    });

    it("do not hold for an entry without a plan", async () => {
        assert.equal((await requests("s1", "gpt-4-free", 20)).status, 200);
        assert.equal((await requests("s1", "weir-mock", 20)).status, 200);
    });

    it("make no state for names from outside", async () => {
        const metric = async () => {
            const { text } = await node.ask("GET", "/metrics");
            return /^weir_subjects (\d+)$/m.exec(text)[1];
        };
        const count = await metric();
        for (let i = 0; i < 20; i++) {
            assert.equal((await requests("s1", `x-${i}`, 0)).status, 200);
            await requests("lone", `gpt-4-${i}`, 1);
        }
        assert.equal(await metric(), count);
    });

    it("refuse what is no model's name", async () => {
        for (const model of ["", "x".repeat(129), 5, null, ["gpt-4o"]]) {
            const { status, body } = await requests("s1", model, 1);
            assert.equal(status, 400, `${model}`);
            assert.equal(body.error.param, "model");
        }
        assert.equal((await requests("s1", "weir-mock", 1)).status, 200);
    });

    it("are found for a name that is spelt with escapes, as the key is", async () => {
        const body = String.raw`{"key":"\u0069d:s1","model":"gp\u0074-4o","input_tokens":0,
            "output_tokens":0,"requests":0}`;
        for (const text of [body, body.replace(/("key":[^,]*,)("model":[^,]*,)/, "$2$1")]) {
            const answer = await node.ask("POST", "/weir/v1/acquire", {
                body: text,
                headers: { "content-type": "application/json" },
            });
            assert.equal(answer.status, 200, answer.text);
            assert.ok("key:s1 requests" in used(answer.body.limits));
            assert.ok("model:gpt-4o requests" in used(answer.body.limits));
        }
    });

    it("list the names that are no globs", async () => {
        const { body } = await node.ask("GET", "/v1/models", { key: "sk-lone" });
        assert.deepEqual(
            body.data.map((model) => model.id),
            ["gpt-4o", "gpt-4-free", "weir-mock"],
        );
    });
});

onEveryStore("settling with several subjects", (start) => {
    let node;
    before(async () => {
        node = await start(SCOPES);
    });

    it("gives back to all of them, once", async () => {
        const { body } = await acquire(node, "s1", 300, { input_tokens: 500, model: "gpt-4o" });
        const settled = {
            "key:s1 requests": 1,
            "key:s1 output_tokens": 20,
            "team:search input_tokens": 90,
            "team:search output_tokens": 20,
            "org:acme requests": 1,
            "org:acme output_tokens": 20,
            "model:gpt-4o requests": 1,
        };
        const real = { reservation: body.reservation, input_tokens: 90, output_tokens: 20 };
        for (const repeated of [false, true]) {
            const answer = await node.settle(real);
            assert.deepEqual(answer.body, { settled: true, repeated });
            assert.deepEqual(await look(node, "s1", "gpt-4o"), settled);
        }
    });

    it("charges an excess to all of them", async () => {
        const { body } = await acquire(node, "s3", 10);
        const real = { reservation: body.reservation, input_tokens: 5, output_tokens: 110 };
        assert.equal((await node.settle(real)).status, 200);
        const seen = await look(node, "s1");
        assert.equal(seen["key:s1 output_tokens"], 20, "a key that had no part in it");
        assert.equal(seen["team:search output_tokens"], 130);
        assert.equal(seen["org:acme output_tokens"], 130);
        assert.equal(seen["team:search input_tokens"], 95);
    });

    it("settles a chat completion for all of them", async () => {
        const before = await look(node, "s2", "gpt-4-turbo");
        const { status, body } = await node.chat("sk-s2", { model: "gpt-4-turbo", max_tokens: 30 });
        assert.equal(status, 200);
        const { prompt_tokens, completion_tokens } = body.usage;
        const rises = {
            "key:s2 requests": 1,
            "key:s2 output_tokens": completion_tokens,
            "team:search input_tokens": prompt_tokens,
            "team:search output_tokens": completion_tokens,
            "org:acme requests": 1,
            "org:acme output_tokens": completion_tokens,
            "model:gpt-4* requests": 1,
        };
        await eventually(async () => {
            const now = await look(node, "s2", "gpt-4-turbo");
            return Object.entries(rises).every(([name, rise]) => now[name] - before[name] === rise);
        }, "every subject to be settled");
    });
});

onEveryStore("chat completions of several subjects", (start) => {
    let node;
    before(async () => {
        node = await start(SCOPES);
    });

    it("show the tightest limit of all of them", async () => {
        const { status, headers } = await node.chat("sk-s1", { model: "gpt-4o", max_tokens: 100 });
        assert.equal(status, 200);
        assert.equal(headers.get("x-ratelimit-limit-requests"), "4");
        assert.equal(headers.get("x-ratelimit-remaining-requests"), "3");
        assert.equal(headers.get("x-ratelimit-limit-output-tokens"), "400");
        assert.equal(headers.get("x-ratelimit-remaining-output-tokens"), "300");
        assert.equal(headers.get("x-ratelimit-limit-input-tokens"), "1000");
        await acquire(node, "s3", 350); // of the team: less is left to it than to the key
        const team = await node.chat("sk-s1", { model: "gpt-4-free", max_tokens: 50 });
        assert.equal(team.headers.get("x-ratelimit-limit-output-tokens"), "600");
        assert.equal(team.headers.get("x-ratelimit-limit-requests"), "100");
    });

    it("are denied in the name of the subject that denies", async () => {
        const denied = async (ask) => {
            const { status, body, headers } = await node.chat("sk-s2", ask);
            assert.equal(status, 429);
            return { message: body.error.message, by: headers.get("x-weir-limited-subject") };
        };
        const never = await denied({ max_tokens: 401 });
        assert.equal(never.by, "key:s2");
        assert.match(never.message, /^Request too large for weir-mock in organization key:s2 on /);
        const team = await denied({ max_tokens: 390 });
        assert.equal(team.by, "team:search");
        assert.match(team.message, /in organization team:search on output tokens per min \(TPM\): /);
        assert.match(team.message, /Limit 600, Used \d+, Requested 390\. Please try again in /);
        await acquire(node, "lone", 0, { model: "gpt-4o", requests: 3 });
        const model = await denied({ model: "gpt-4o", max_tokens: 1 });
        assert.equal(model.by, "model:gpt-4o");
        assert.match(
            model.message,
            /^Rate limit reached for gpt-4o in organization model:gpt-4o on requests per min/,
        );
    });
});

onEveryStore("a chat completion that names no maximum", (start) => {
    it("reserves the default of the first plan: key, team, org", async () => {
        const config = structuredClone(SCOPES);
        for (const [i, name] of ["key", "team", "org", "rest"].entries()) {
            config.plans[name].default_output_tokens = 11 + i;
        }
        config.teams.push({ id: "link", org: "acme" });
        config.keys.push(key("linked", { team: "link" }));
        const node = await start(config);
        for (const [id, tightest, capacity, reserved] of [
            ["s1", "key:s1", 400, 11],
            ["s3", "team:search", 600, 12],
            ["linked", "org:acme", 1000, 13],
        ]) {
            const before = await look(node, id);
            const { headers } = await node.chat(`sk-${id}`, { model: "m" });
            assert.equal(
                Number(headers.get("x-ratelimit-remaining-output-tokens")),
                capacity - before[`${tightest} output_tokens`] - reserved,
            );
        }
    });
});

onEveryStore("retry_after over several subjects", (start) => {
    it("is when the last of them has room, and not before", async () => {
        const node = await start(
            configuration({
                plans: {
                    fast: plan({ output_tokens: "10/1s" }),
                    slow: plan({ output_tokens: "16/3s" }),
                },
                teams: [{ id: "t", plan: "slow" }],
                keys: [key("k", { plan: "fast", team: "t" }), key("l", { team: "t" })],
            }),
        );
        const sent = performance.now();
        assert.equal((await acquire(node, "l", 8)).status, 200);
        await sleep(1000);
        assert.equal((await acquire(node, "k", 7)).status, 200);
        const ask = () => acquire(node, "k", 5); // the key: 1 s from now; the team: 2 s
        const wait = await passesWhenTold(ask);
        const passed = performance.now() - sent;
        assert.ok(passed >= 3000 && wait <= 2050, `after ${passed} ms, told ${wait}`);
    });
});

onEveryStore("keys that are not configured", (start) => {
    it("have the limits of the model, too, and settle both", async () => {
        const node = await start({ ...SCOPES, unknown_keys: "key" });
        const ask = { key: "sk-nobody", model: "gpt-4o", input_tokens: 0, output_tokens: 50 };
        const { status, body } = await node.acquire(ask);
        assert.equal(status, 200);
        const [own] = Object.keys(used(body.limits));
        assert.match(own, /^key:anon-[0-9a-f]{32} requests$/);
        await node.settle({ reservation: body.reservation, input_tokens: 0, output_tokens: 7 });
        const seen = await node.acquire({ ...ask, output_tokens: 0, requests: 3 });
        const values = Object.values(used(seen.body.limits));
        assert.deepEqual(values, [4, 7, 4]);
        assert.equal((await acquire(node, "lone", 0, { model: "gpt-4o" })).status, 429);
    });
});

onEveryStore("metrics of several subjects", (start) => {
    it("count denials by the scope of the subject that denied", async () => {
        const node = await start(SCOPES);
        assert.equal((await acquire(node, "s1", 401)).status, 429);
        assert.equal((await acquire(node, "s3", 601)).status, 429);
        assert.equal((await acquire(node, "s3", 0, { input_tokens: 1001 })).status, 429);
        assert.equal((await acquire(node, "boss", 0, { requests: 1001 })).status, 429);
        for (let i = 0; i < 5; i++) {
            await acquire(node, "boss", 0, { model: "gpt-4o" });
        }
        const { text } = await node.ask("GET", "/metrics");
        const counts = [...text.matchAll(/^weir_decisions_total\{(.*)\} ([1-9]\d*)$/gm)];
        assert.deepEqual(
            counts.map(([, labels, n]) => `${labels.replaceAll('"', "")} ${n}`),
            [
                "outcome=allowed,meter=,scope= 4",
                "outcome=denied,meter=requests,scope=key 1",
                "outcome=denied,meter=output_tokens,scope=key 1",
                "outcome=denied,meter=input_tokens,scope=team 1",
                "outcome=denied,meter=output_tokens,scope=team 1",
                "outcome=denied,meter=requests,scope=model 1",
            ],
        );
        for (const told of ["acme", "search", "gpt", "s1"]) {
            assert.ok(!text.includes(told), `${told} in the metrics`);
        }
    });
});

describe("several subjects on several nodes", () => {
    let redis;
    const nodes = [];
    before(async () => {
        redis = await Redis.start();
        const config = { ...SCOPES, ...PATIENT, store: redis.url, nodes: 2 };
        for (let i = 0; i < 2; i++) {
            nodes.push(await Node.start(config));
            await storeReady(nodes[i]);
        }
    });
    after(async () => {
        await Promise.all(nodes.map((node) => node.stop()));
        await redis.stop();
    });

    it("are the same ones, and any node settles all of them", async () => {
        const { body } = await acquire(nodes[0], "s1", 300, { model: "gpt-4o" });
        assert.equal((await acquire(nodes[1], "s3", 301)).body.denied_by.subject, "team:search");
        const real = { reservation: body.reservation, input_tokens: 0, output_tokens: 60 };
        assert.equal((await nodes[1].settle(real)).status, 200);
        const seen = await look(nodes[0], "s1", "gpt-4o");
        for (const subject of ["key:s1", "team:search", "org:acme"]) {
            assert.equal(seen[`${subject} output_tokens`], 60, subject);
        }
        assert.equal(seen["model:gpt-4o requests"], 1);
    });

    it("have their share of each limit while the store is out of reach", async () => {
        await redis.kill();
        const [, node] = nodes;
        await storeReady(node, false);
        const { status, body } = await acquire(node, "s2", 200);
        assert.equal(status, 200);
        const denied = await acquire(node, "s3", 101); // the team has 600 / 2
        assert.equal(denied.status, 429);
        assert.equal(denied.body.denied_by.subject, "team:search");
        const real = { reservation: body.reservation, input_tokens: 0, output_tokens: 199 };
        assert.equal((await node.settle(real)).status, 200);
        assert.equal((await acquire(node, "s3", 101)).status, 200);
        await redis.restart();
    });
});

describe("several subjects on a cluster that loses a shard", () => {
    let cluster;
    const nodes = [];
    before(async () => {
        cluster = await RedisCluster.start();
        const config = { ...SCOPES, ...PATIENT, store: cluster.url, nodes: 2 };
        for (const on_store_failure of ["local", "closed"]) {
            nodes.push(await Node.start({ ...config, on_store_failure }));
        }
        await Promise.all(nodes.map((node) => storeReady(node)));
    });
    after(async () => {
        await Promise.all(nodes.map((node) => node.stop()));
        await cluster.stop();
    });

    it("settle on another node, each slot once", async () => {
        const { body } = await acquire(nodes[0], "lone", 300, { model: "gpt-4o" });
        const real = { reservation: body.reservation, input_tokens: 0, output_tokens: 60 };
        for (const [node, repeated] of [
            [nodes[1], false],
            [nodes[0], true],
        ]) {
            assert.deepEqual((await node.settle(real)).body, { settled: true, repeated });
        }
        const seen = await look(nodes[0], "lone", "gpt-4o");
        assert.equal(seen["key:lone output_tokens"], 60);
        assert.equal(seen["model:gpt-4o requests"], 1);
    });

    it("go by on_store_failure where the model's shard is away; the key alone does not", async () => {
        const [local, closed] = nodes;
        const away = await cluster.ownerOf("model:gpt-4o");
        const others = ["boss", "else"];
        const roots = ["org:acme", "org:other"];
        const owners = await Promise.all(roots.map((root) => cluster.ownerOf(root)));
        const id = others.find((_, i) => owners[i] !== away);
        const before = await look(local, id);
        await away.kill();
        await Promise.all(nodes.map((node) => storeReady(node, false)));
        for (const [state, shards] of [["away", 1], ["up", 2]]) {
            const row = `weir_store_shards{state="${state}"} ${shards}`;
            const told = async () => (await closed.ask("GET", "/metrics")).text.split("\n").includes(row);
            await eventually(told, `that ${shards} are ${state}`);
        }
        assert.equal((await acquire(closed, id, 10, { model: "gpt-4o" })).status, 503);
        assert.deepEqual(await look(closed, id), before, "nothing remains charged");
        // half of 4, less the one that was granted before
        const asks = [];
        for (let i = 0; i < 3; i++) {
            asks.push(await acquire(local, id, 10, { model: "gpt-4o" }));
        }
        assert.deepEqual(
            asks.map(({ status }) => status),
            [200, 429, 429],
        );
        assert.equal(asks[1].body.denied_by.subject, "model:gpt-4o");
        await eventually(
            async () => (await look(closed, id))[`key:${id} requests`] === 1,
            "the key's shard to be told what was used of the share",
        );
        assert.equal((await acquire(closed, id, 10)).status, 200);
    });
});

describe("configured subjects", () => {
    it("have their places reserved, and must have room", async () => {
        // 6 keys, 2 teams, 2 orgs and 3 models have a plan
        const { code, output } = await refusesToStart({ ...SCOPES, max_subjects: 12 });
        assert.equal(code, 1);
        assert.match(output, /max_subjects: expected at least the number of .*, 13/);
        const node = await Node.start({ ...SCOPES, max_subjects: 13, unknown_keys: "key" });
        const { text } = await node.ask("GET", "/metrics");
        assert.match(text, /^weir_subjects 13$/m);
        const stranger = { key: "sk-stranger", input_tokens: 0, output_tokens: 1 };
        assert.equal((await node.acquire(stranger)).status, 503);
        assert.equal((await acquire(node, "s1", 1, { model: "gpt-4o" })).status, 200);
        await node.stop();
    });

    it("are named rightly, or the mistake is", async () => {
        const keys = [key("k", { plan: "key", team: "serch" })];
        const { code, output } = await refusesToStart({ ...SCOPES, keys });
        assert.equal(code, 1);
        assert.match(output, /weir\.yaml:\d+:\d+: team: expected the id of a team/);
    });
});
