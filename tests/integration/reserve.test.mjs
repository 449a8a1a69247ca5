// SPDX-License-Identifier: Apache-2.0
// What is reserved for an output, by the rule of the plan, and what it comes to once it is settled.
import assert from "node:assert/strict";
import { it } from "node:test";
import { onEachStore } from "./support/stores.mjs";
import { eventually } from "./support/wait.mjs";
import { configuration } from "./support/weir.mjs";

const CAPACITY = 100_000;
const GROWN = 64; // answers from which a history is believed in all it says

const secret = (id) => `sk-test-secret-${id}`;

/** Keys of these ids on a plan with this rule; the mock answers with 1 to 64 tokens. Each id belongs to
 * one node only: a former one would tell the emptied Redis what it had been granted. */
function rule(reserve, ids, { capacity = CAPACITY, ...more } = {}) {
    return configuration({
        mode: "exact", // what a lease took ahead would be in the way
        plans: {
            p: {
                limits: { output_tokens: `${capacity}/h` },
                default_output_tokens: 300,
                reserve,
                ...more,
            },
        },
        keys: ids.map((id) => ({ id, secret: secret(id), plan: "p" })),
        mock: { seed: 1, output_tokens: { mean: 20, max: 64 } },
    });
}

onEachStore("reserve", (start) => {
    /** One answered request: what it reserved and what it used. */
    async function ask(node, id, changes = {}) {
        const before = (await node.limits(id))["output_tokens/3600"].remaining;
        const { status, headers, body, text } = await node.chat(secret(id), {
            max_tokens: 4096,
            ...changes,
        });
        assert.equal(status, 200, text);
        const used = changes.stream
            ? JSON.parse(/^data: (\{.*"usage":\{.*)$/m.exec(text)[1]).usage.completion_tokens
            : body.usage.completion_tokens;
        await eventually(
            async () => before - (await node.limits(id))["output_tokens/3600"].remaining === used,
            "the reservation to be settled to what was used",
        );
        return { reserved: before - headers.get("x-ratelimit-remaining-output-tokens"), used };
    }

    /** So many different prompts; the outputs. */
    async function teach(node, id, count, changes = {}) {
        const outputs = [];
        for (let i = 0; i < count; i++) {
            const messages = [{ role: "user", content: `${id} ${i}` }];
            outputs.push((await ask(node, id, { messages, ...changes })).used);
        }
        return outputs;
    }

    async function metric(node, line) {
        const { text } = await node.ask("GET", "/metrics");
        const found = text.split("\n").find((each) => each.startsWith(`${line} `));
        assert.ok(found, `${line} is not there`);
        return Number(found.split(" ")[1]);
    }

    it("max is the request's maximum, whatever was used before", async () => {
        const node = await start(rule("max", ["max"]));
        await teach(node, "max", GROWN + 1);
        assert.equal((await ask(node, "max")).reserved, 4096);
        assert.equal((await ask(node, "max", { max_tokens: undefined })).reserved, 300);
        assert.equal(await metric(node, "weir_forecast_histories"), 0);
    });

    it("fixed is a number, but not more than the request's maximum", async () => {
        const node = await start(rule({ fixed: 40 }, ["fixed"]));
        assert.equal((await ask(node, "fixed")).reserved, 40);
        assert.equal((await ask(node, "fixed", { max_tokens: 39 })).reserved, 39);
        assert.equal(await metric(node, 'weir_output_used_ratio_count{reserve="fixed"}'), 2);
    });

    it("forecast is the default, then the model's history, then the key's own", async () => {
        const node = await start(rule("forecast", ["a", "b"]));
        assert.equal((await ask(node, "a")).reserved, 300);
        const stream = { stream: true, stream_options: { include_usage: true } };
        const all = await teach(node, "a", GROWN - 1, stream);
        assert.ok(Math.max(...all) > 15);
        const learnt = (await ask(node, "b")).reserved;
        assert.ok(learnt >= 16 && learnt <= 80, `${learnt}`);
        assert.equal((await ask(node, "b", { max_tokens: 7 })).reserved, 7);
        assert.equal((await ask(node, "b", { model: "another" })).reserved, 300);
        await teach(node, "b", GROWN, { max_tokens: 1 }); // after two longer ones
        assert.equal((await ask(node, "b")).reserved, 15); // short ones share a bucket
        assert.ok((await ask(node, "a")).reserved > 15);
        assert.equal(await metric(node, "weir_forecast_histories"), 5);
        const count = await metric(node, 'weir_output_used_ratio_count{reserve="forecast"}');
        const bucket = 'weir_output_used_ratio_bucket{reserve="forecast",le="';
        assert.ok((await metric(node, `${bucket}0.25"}`)) >= GROWN);
        assert.equal(await metric(node, `${bucket}+Inf"}`), count);
    });

    it("forecast does not deny for ever what a small limit could admit", async () => {
        const small = { capacity: 100 };
        const forever = await start(rule("max", ["never"], small));
        assert.equal((await forever.chat(secret("never"), { max_tokens: 4096 })).status, 429);
        const node = await start(rule("forecast", ["small"], small));
        assert.equal((await ask(node, "small")).reserved, 100);
    });

    it("an output beyond its reservation is debt", async () => {
        const node = await start(rule({ fixed: 1 }, ["debt"]));
        const used = (await teach(node, "debt", 5)).reduce((sum, tokens) => sum + tokens, 0);
        assert.equal(await metric(node, "weir_debt_tokens_total"), used - 5);
        assert.equal(await metric(node, 'weir_output_used_ratio_sum{reserve="fixed"}'), used);
    });

    it("an answer that its client gave up teaches nothing", async () => {
        const config = rule("forecast", ["gone"]);
        config.mock.tokens_per_s = 10;
        const node = await start(config);
        const { body } = await fetch(`${node.url}/v1/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${secret("gone")}`, "content-type": "application/json" },
            body: JSON.stringify({
                model: "m",
                messages: [{ role: "user", content: "x" }],
                stream: true,
            }),
        });
        await body.cancel();
        await eventually(
            async () => (await node.limits("gone"))["output_tokens/3600"].used < 64,
            "the reservation to be settled",
        );
        assert.equal(await metric(node, 'weir_output_used_ratio_count{reserve="forecast"}'), 0);
        assert.equal(await metric(node, "weir_forecast_histories"), 0);
    });
});
