// SPDX-License-Identifier: Apache-2.0
// Limits in shadow: what they would have denied is allowed, charged and counted to the request.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, it } from "node:test";
import { problems } from "./support/schema.mjs";
import { onEachStore, onRedisStore } from "./support/stores.mjs";
import { byName, configuration } from "./support/weir.mjs";

const OPENAPI = JSON.parse(readFileSync("docs/openapi.json", "utf8"));
const BURST = 12; // requests at once, so that one call to Redis decides several

const plan = (limits, more = {}) => ({ limits, default_output_tokens: 10, ...more });
const key = (id, more) => ({ id, secret: `sk-${id}`, ...more });

const SHADOWS = configuration({
    plans: {
        requests: plan({ requests: "5/min shadow" }),
        beside: plan({ requests: ["4/min shadow", "1000/h"], output_tokens: "1000/min" }),
        all: plan({ requests: "2/min", total_tokens: ["0/min", "50/h"] }, { shadow: true }),
        roomy: plan({ requests: "1000/min" }),
    },
    teams: [{ id: "tried", plan: "requests" }],
    keys: [
        key("many", { plan: "requests" }),
        key("beside", { plan: "beside" }),
        key("all", { plan: "all" }),
        key("chat", { plan: "all" }),
        key("one", { plan: "roomy", team: "tried" }),
        key("two", { plan: "roomy", team: "tried" }),
    ],
});

function acquire(node, id, output_tokens = 0, more = {}) {
    return node.acquire({ key: `id:${id}`, input_tokens: 0, output_tokens, ...more });
}

/** So many at once; the answers of those that were allowed. */
async function burst(node, id, output_tokens) {
    const answers = await Promise.all(
        Array.from({ length: BURST }, () => acquire(node, id, output_tokens)),
    );
    for (const { status, text } of answers) {
        assert.ok(status === 200 || status === 429, text);
    }
    return answers.filter(({ status }) => status === 200).map(({ body }) => body);
}

/** The samples of a metric that are not 0, as {"scope/meter": count}. */
async function counts(node, name) {
    const { text } = await node.ask("GET", "/metrics");
    const samples = text.matchAll(
        new RegExp(`^${name}\\{(?:outcome="denied",)?meter="(\\w+)",scope="(\\w+)"\\} (\\d+)$`, "gm"),
    );
    const rows = [...samples].map(([, meter, scope, n]) => [`${scope}/${meter}`, Number(n)]);
    return Object.fromEntries(rows.filter(([, n]) => n > 0));
}

/** What `act` adds to weir_shadow_denied_total. */
async function shadows(node, act) {
    const was = await counts(node, "weir_shadow_denied_total");
    await act();
    const is = await counts(node, "weir_shadow_denied_total");
    const rows = Object.entries(is).map(([name, n]) => [name, n - (was[name] ?? 0)]);
    return Object.fromEntries(rows.filter(([, n]) => n > 0));
}

function cases(start) {
    let node;
    before(async () => {
        node = await start(SHADOWS);
    });

    it("allow, charge and count exactly what they would have denied", async () => {
        const limits = [];
        const counted = await shadows(node, async () => {
            for (let i = 0; i < 3; i++) {
                limits.push(...(await burst(node, "many")).flatMap((answer) => answer.limits));
            }
        });
        assert.deepEqual(counted, { "key/requests": 3 * BURST - 5 });
        const told = limits.map(({ capacity, used, remaining, shadow }) => {
            return { used, capacity, remaining, shadow };
        });
        const expected = Array.from({ length: 3 * BURST }, (_, i) => {
            return { used: i + 1, capacity: 5, remaining: Math.max(0, 4 - i), shadow: true };
        });
        assert.deepEqual(told.sort((a, b) => a.used - b.used), expected);
    });

    it("leave those beside them to deny, which counts for no shadow", async () => {
        const counted = await shadows(node, async () => {
            assert.equal((await burst(node, "beside", 100)).length, 10);
            const { status, body } = await acquire(node, "beside", 100);
            assert.equal(status, 429);
            assert.equal(body.denied_by.meter, "output_tokens");
            assert.ok(body.retry_after_ms > 0);
        });
        assert.deepEqual(counted, { "key/requests": 6 });
        const limits = await node.limits("beside");
        assert.equal(limits["requests/60"].shadow, true);
        assert.ok(!("shadow" in limits["requests/3600"]));
        assert.ok(!("shadow" in limits["output_tokens/60"]));
    });

    it("are told in no header, and what holds beside them is", async () => {
        const { status, headers } = await node.chat("sk-beside", { max_tokens: 1000 });
        assert.equal(status, 429);
        assert.equal(headers.get("x-ratelimit-limit-requests"), "1000");
        assert.equal(headers.get("x-ratelimit-limit-tokens"), "1000");
        const free = await node.chat("sk-chat", { max_tokens: 5 });
        assert.equal(free.status, 200);
        const told = [...free.headers.keys()].filter((name) => name.includes("ratelimit"));
        assert.deepEqual(told, []);
    });

    it("are told by usage", async () => {
        const { body } = await node.ask("GET", "/v1/usage", { key: "sk-chat" });
        const limits = byName(body.limits);
        assert.deepEqual(Object.keys(limits), [
            "requests/60",
            "total_tokens/60",
            "total_tokens/3600",
        ]);
        for (const limit of body.limits) {
            assert.equal(limit.shadow, true);
            assert.deepEqual(problems(OPENAPI, OPENAPI.components.schemas.Limit, limit), []);
        }
        assert.equal(limits["requests/60"].capacity, 2);
        assert.equal(limits["requests/60"].used, 1);
    });

    it("may be all that a plan has; what is larger than one is no reason to deny either", async () => {
        const counted = await shadows(node, async () => {
            for (let i = 0; i < 4; i++) {
                assert.equal((await acquire(node, "all", 20)).status, 200);
            }
            assert.equal((await acquire(node, "all", 2 ** 40, { requests: 0 })).status, 200);
            assert.equal((await acquire(node, "all", 0, { requests: 0 })).status, 200);
        });
        // a meter of which nothing is asked counts nothing; two limits of one count once
        assert.deepEqual(counted, { "key/requests": 2, "key/total_tokens": 5 });
    });

    it("count for the scope that has them", async () => {
        const counted = await shadows(node, async () => {
            assert.equal((await burst(node, "one")).length, BURST);
            assert.equal((await burst(node, "two")).length, BURST);
        });
        assert.deepEqual(counted, { "team/requests": 2 * BURST - 5 });
    });

    it("are near no limit, and deny nothing", async () => {
        assert.deepEqual(await counts(node, "weir_near_limit_total"), { "key/output_tokens": 1 });
        assert.deepEqual(await counts(node, "weir_decisions_total"), { "key/output_tokens": 4 });
    });
}

onEachStore("limits in shadow", cases);
onRedisStore("limits in shadow, mode exact", (start) => {
    cases((config) => start({ ...config, mode: "exact" }));
});
