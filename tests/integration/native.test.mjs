// SPDX-License-Identifier: Apache-2.0
// The native API: acquire before, settle after, for gateways that are not weir.
import assert from "node:assert/strict";
import { before, describe, after, it } from "node:test";
import { onEachStore } from "./support/stores.mjs";
import { passesWhenTold } from "./support/wait.mjs";
import { Node, SECRETS, byName, configuration, oneKey } from "./support/weir.mjs";

const LIMIT_FIELDS = ["capacity", "meter", "remaining", "reset_ms", "subject", "used", "window_s"];
const K = "id:k";

function fields(object) {
    return Object.keys(object).sort();
}

function looksLikeLimits(limits) {
    assert.ok(limits.length > 0);
    for (const limit of limits) {
        assert.deepEqual(fields(limit), LIMIT_FIELDS);
        assert.equal(limit.remaining, Math.max(0, limit.capacity - limit.used));
        assert.ok(Number.isInteger(limit.reset_ms) && limit.reset_ms >= 0);
        assert.ok(limit.reset_ms <= limit.window_s * 1000 * (1 + 1 / 64));
        assert.equal(limit.reset_ms === 0, limit.used === 0);
    }
}

onEachStore("acquire", (start) => {
    let node;
    before(async () => {
        node = await start();
    });

    it("allows, and names the limits in the issue's form", async () => {
        const { status, body } = await node.acquire({
            key: SECRETS.a,
            model: "any-model",
            input_tokens: 900,
            output_tokens: 200,
        });
        assert.equal(status, 200);
        assert.deepEqual(fields(body), ["allowed", "limits", "reservation"]);
        assert.equal(body.allowed, true);
        assert.ok(typeof body.reservation === "string" && body.reservation.length > 0);
        looksLikeLimits(body.limits);
        const limits = byName(body.limits);
        assert.deepEqual(Object.keys(limits).sort(), [
            "input_tokens/60",
            "output_tokens/60",
            "output_tokens/86400",
            "requests/60",
        ]);
        assert.equal(limits["requests/60"].used, 1);
        assert.equal(limits["input_tokens/60"].used, 900);
        assert.equal(limits["output_tokens/60"].remaining, 49800);
        assert.equal(limits["output_tokens/86400"].used, 200);
    });

    it("takes a key by its id, from the same budget", async () => {
        const byId = { key: "id:a", input_tokens: 100, output_tokens: 0, requests: 5 };
        const { body } = await node.acquire(byId);
        const limits = byName(body.limits);
        assert.equal(limits["input_tokens/60"].used, 1000);
        assert.equal(limits["requests/60"].used, 6);
    });

    it("looks without a charge when all amounts are 0", async () => {
        const look = { key: "id:a", input_tokens: 0, output_tokens: 0, requests: 0 };
        const one = await node.acquire(look);
        const two = await node.acquire(look);
        assert.equal(one.status, 200);
        assert.equal(one.body.allowed, true);
        const used = ({ body }) => body.limits.map((limit) => limit.used);
        assert.deepEqual(used(two), used(one));
    });

    it("tells a caller its own limits the same way, for nothing", async () => {
        const { status, body } = await node.ask("GET", "/v1/usage", { key: SECRETS.a });
        assert.equal(status, 200);
        assert.deepEqual(fields(body), ["limits", "object"]);
        assert.equal(body.object, "usage");
        looksLikeLimits(body.limits);
        const seen = byName(body.limits);
        const expected = await node.limits("a");
        for (const [name, { used }] of Object.entries(expected)) {
            assert.equal(seen[name].used, used);
        }
        assert.equal((await node.ask("GET", "/v1/usage")).status, 401);
    });

    it("denies with who, which limit and when, and takes nothing", async () => {
        const amounts = { key: "id:tiny", input_tokens: 400, output_tokens: 100 };
        assert.equal((await node.acquire(amounts)).status, 200);
        assert.equal((await node.acquire(amounts)).status, 200);
        const used = await node.limits("tiny");
        const { status, body } = await node.acquire({
            ...amounts,
            input_tokens: 1,
            output_tokens: 1,
        });
        assert.equal(status, 429);
        assert.deepEqual(fields(body), ["allowed", "denied_by", "limits", "retry_after_ms"]);
        assert.equal(body.allowed, false);
        assert.deepEqual(body.denied_by, { subject: "key:tiny", meter: "requests", window_s: 60 });
        assert.ok(body.retry_after_ms > 50000 && body.retry_after_ms <= 60705);
        looksLikeLimits(body.limits);
        const after = byName(body.limits);
        for (const [name, limit] of Object.entries(used)) {
            assert.equal(after[name].used, limit.used, `${name} after a denial`);
        }
    });

    it("names the first that fails: input tokens, output tokens, requests", async () => {
        const meters = [];
        for (const [input_tokens, output_tokens] of [
            [201, 301],
            [200, 301],
            [200, 300],
        ]) {
            const { body } = await node.acquire({ key: "id:tiny", input_tokens, output_tokens });
            meters.push(body.denied_by.meter);
        }
        assert.deepEqual(meters, ["input_tokens", "output_tokens", "requests"]);
    });

    it("says never with null", async () => {
        const { status, body } = await node.acquire({
            key: "id:tiny",
            input_tokens: 1001,
            output_tokens: 0,
        });
        assert.equal(status, 429);
        assert.equal(body.retry_after_ms, null);
        assert.equal(body.denied_by.meter, "input_tokens");
    });

    it("names the moment from which the same request passes, and not before", async () => {
        const short = await start(oneKey({ requests: "100/min", input_tokens: "10/2s" }));
        const ask = { key: K, input_tokens: 6, output_tokens: 0 };
        assert.equal((await short.acquire(ask)).status, 200);
        await passesWhenTold(async () => {
            const answer = await short.acquire(ask);
            assert.ok(answer.status === 200 || answer.body.denied_by.meter === "input_tokens");
            return answer;
        });
    });
});

onEachStore("settle", (start) => {
    let node;
    before(async () => {
        node = await start(
            oneKey({ requests: "1000/min", input_tokens: "1000/min", output_tokens: "100/min" }),
        );
    });

    async function reserve(input_tokens, output_tokens) {
        const { status, body } = await node.acquire({ key: K, input_tokens, output_tokens });
        assert.equal(status, 200);
        return body.reservation;
    }

    async function used() {
        const limits = await node.limits("k");
        return [limits["input_tokens/60"].used, limits["output_tokens/60"].used];
    }

    it("gives back what was too much, once", async () => {
        const reservation = await reserve(100, 80);
        assert.deepEqual(await used(), [100, 80]);
        const real = { reservation, input_tokens: 90, output_tokens: 30 };
        for (let i = 0; i < 3; i++) {
            assert.equal((await node.settle(real)).status, 200);
            assert.deepEqual(await used(), [90, 30]);
        }
    });

    it("keeps to the first amounts that it was told", async () => {
        const reservation = await reserve(10, 20);
        assert.equal(
            (await node.settle({ reservation, input_tokens: 5, output_tokens: 5 })).status,
            200,
        );
        await node.settle({ reservation, input_tokens: 0, output_tokens: 0 });
        await node.settle({ reservation, input_tokens: 500, output_tokens: 500 });
        assert.deepEqual(await used(), [95, 35]);
    });

    it("charges an excess as debt, which the next request meets", async () => {
        const reservation = await reserve(5, 5);
        const { status } = await node.settle({ reservation, input_tokens: 5, output_tokens: 115 });
        assert.equal(status, 200);
        assert.deepEqual(await used(), [100, 150]);
        const limits = await node.limits("k");
        assert.equal(limits["output_tokens/60"].remaining, 0);
        const next = await node.acquire({ key: K, input_tokens: 1, output_tokens: 1 });
        assert.equal(next.status, 429);
        assert.equal(next.body.denied_by.meter, "output_tokens");
    });

    it("refuses what is no reservation", async () => {
        const before = await used();
        const reservation = await node
            .acquire({ key: K, input_tokens: 1, output_tokens: 0 })
            .then(({ body }) => body.reservation);
        const forged = reservation.replace(/[0-9a-zA-Z]/, (c) => (c === "1" ? "2" : "1"));
        for (const wrong of ["", "x", "a".repeat(5000), forged, "id:k"]) {
            const { status } = await node.settle({
                reservation: wrong,
                input_tokens: 0,
                output_tokens: 0,
            });
            assert.ok(status === 400 || status === 404, `${status} for ${wrong.slice(0, 40)}`);
        }
        assert.deepEqual(await used(), [before[0] + 1, before[1]]);
    });
});

describe("who may call the native API", () => {
    const token = "test-service-token-0123456789";
    const look = { key: "id:a", input_tokens: 0, output_tokens: 0, requests: 0 };
    let node;
    before(async () => {
        node = await Node.start(configuration({ service_token: { env: "TEST_SERVICE_TOKEN" } }), {
            env: { TEST_SERVICE_TOKEN: token },
        });
    });
    after(() => node.stop());

    it("is who holds the service token, when there is one", async () => {
        for (const key of [undefined, "wrong", `${token}x`, SECRETS.a]) {
            assert.equal((await node.acquire(look, { key })).status, 401);
            assert.equal((await node.settle({ reservation: "x" }, { key })).status, 401);
        }
        assert.equal((await node.acquire(look, { key: token })).status, 200);
    });

    it("is not taken for an API key", async () => {
        assert.equal((await node.chat(token)).status, 401);
    });

    it("is anybody on this machine, when there is no token", async () => {
        const open = await Node.start();
        assert.equal((await open.acquire(look)).status, 200);
        await open.stop();
    });

    it("an unknown key is an error, not a state", async () => {
        for (const key of ["id:nobody", "sk-nobody", "id:", ""]) {
            const { status, body } = await node.acquire({ ...look, key }, { key: token });
            assert.ok([400, 401, 404].includes(status), `${status} for "${key}"`);
            assert.ok(body.error.message.length > 0);
        }
    });
});
