// SPDX-License-Identifier: Apache-2.0
// Four nodes on one Redis: together they admit what the limit allows, no more and no less, and they
// outlive their Redis. The guarantees are those of docs/design/README.md.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { Redis, storeReady } from "./support/redis.mjs";
import { PATIENT } from "./support/stores.mjs";
import { eventually, sleep } from "./support/wait.mjs";
import { Node, oneKey } from "./support/weir.mjs";

const NODES = 4;
/** A node listens before it has met its Redis: until then its share decides. */
async function startNodes(redis, limits, changes = {}, ready = true) {
    const config = oneKey(limits, { store: redis.url, nodes: NODES, ...changes });
    const nodes = await Promise.all(Array.from({ length: NODES }, () => Node.start(config)));
    await Promise.all(nodes.map((node) => storeReady(node, ready)));
    return nodes;
}

function take(node, amounts = {}) {
    return node.acquire({ key: "id:k", input_tokens: 0, output_tokens: 0, ...amounts });
}

/** Clients that ask nodes in turn until `untilMs`, each pausing `pauseMs` between its asks. Gives every
 * answer as {sent, received, status, node}, times in ms. */
async function load(nodes, { clients, untilMs, pauseMs }) {
    const answers = [];
    const client = async (first) => {
        for (let turn = first; performance.now() < untilMs; turn++) {
            const node = turn % nodes.length;
            const sent = performance.now();
            const { status } = await take(nodes[node]);
            answers.push({ sent, received: performance.now(), status, node });
            await sleep(pauseMs);
        }
    };
    await Promise.all(Array.from({ length: clients }, (_, first) => client(first)));
    return answers;
}

/** What a metric says on all nodes together; name: with its labels, if it has any. */
async function metricSums(nodes, name) {
    const texts = await Promise.all(nodes.map((node) => node.ask("GET", "/metrics")));
    const of = ({ text }) => text.split("\n").find((line) => line.startsWith(`${name} `));
    return texts.reduce((sum, answer) => {
        const value = of(answer).split(" ").at(-1);
        return sum + (value === "+Inf" ? Infinity : Number(value));
    }, 0);
}

/** The most that were surely admitted within one interval of windowMs: sent after its start and
 * answered before its end. */
function mostWithin(answers, windowMs) {
    const admitted = answers.filter(({ status }) => status === 200);
    return Math.max(
        0,
        ...admitted.map(
            ({ sent }) =>
                admitted.filter((x) => x.sent >= sent && x.received <= sent + windowMs).length,
        ),
    );
}

describe("four nodes", () => {
    let redis;
    let nodes;
    before(async () => {
        redis = await Redis.start();
    });
    after(() => redis.stop());
    beforeEach(() => redis.empty());
    afterEach(() => Promise.all(nodes.map((node) => node.stop())));

    it("never admit more than the limit in any window, and admit all of it (1, 2)", async () => {
        const capacity = 60;
        const windowMs = 2000;
        nodes = await startNodes(redis, { requests: `${capacity}/2s` }, PATIENT);
        const startMs = performance.now();
        const answers = await load(nodes, { clients: 8, untilMs: startMs + 8000, pauseMs: 5 });
        assert.ok(answers.every(({ status }) => status === 200 || status === 429));
        const most = mostWithin(answers, windowMs);
        assert.ok(most <= capacity, `${most} of ${capacity} in one window`);
        // Every window frees its entries after W + r: four began in the time, the last with 1.9 s
        // to spare on a busy machine.
        const admitted = answers.filter(({ status }) => status === 200).length;
        assert.ok(admitted >= 4 * capacity - 2, `${admitted} of ${4 * capacity}`);
        for (let node = 0; node < NODES; node++) {
            assert.ok(answers.some((x) => x.node === node && x.status === 200));
        }
        assert.ok((await metricSums(nodes, "weir_lease_remembered_denials_total")) > 100);
    });

    it("answer from leases, and give back what they did not use", async () => {
        nodes = await startNodes(redis, { requests: "1M/min" }, PATIENT);
        const untilMs = performance.now() + 1500;
        const answers = await load(nodes, { clients: 8, untilMs, pauseMs: 0 });
        assert.ok(answers.every(({ status }) => status === 200));
        const leased = await metricSums(nodes, "weir_lease_decisions_total");
        assert.ok(leased > answers.length / 2, `${leased} of ${answers.length}`);
        // A life of 234 ms and as much again: then only what was admitted is used.
        await eventually(async () => {
            const limits = await nodes[0].limits("k");
            return limits["requests/60"].used === answers.length;
        }, "what was not used to come back");
        assert.ok((await metricSums(nodes, "weir_lease_returns_total")) >= 1);
        const fate = (name) =>
            metricSums(nodes, `weir_lease_amount_total{fate="${name}",meter="requests"}`);
        assert.equal(await fate("used"), leased);
        assert.equal(await fate("taken"), leased + (await fate("returned")));
        assert.equal(await fate("dropped"), 0);
    });

    it("charge all meters or none (3)", async () => {
        nodes = await startNodes(
            redis,
            { requests: "1000/min", output_tokens: "100/min" },
            PATIENT,
        );
        const asks = Array.from({ length: 40 }, (_, i) =>
            take(nodes[i % NODES], { output_tokens: 30 }),
        );
        const statuses = (await Promise.all(asks)).map(({ status }) => status);
        assert.equal(statuses.filter((status) => status === 200).length, 3);
        const limits = await nodes[0].limits("k");
        assert.equal(limits["requests/60"].used, 3);
        assert.equal(limits["output_tokens/60"].used, 90);
    });

    it("settle what another node reserved, once", async () => {
        nodes = await startNodes(redis, { output_tokens: "100/min" }, PATIENT);
        const { body } = await take(nodes[0], { output_tokens: 80 });
        const real = { reservation: body.reservation, input_tokens: 0, output_tokens: 10 };
        for (const node of [nodes[1], nodes[0], nodes[2], nodes[1]]) {
            assert.equal((await node.settle(real)).status, 200);
        }
        const limits = await nodes[3].limits("k");
        assert.equal(limits["output_tokens/60"].used, 10);
    });

    it("go on when Redis forgets the script", async () => {
        nodes = await startNodes(redis, { requests: "100/min" }, PATIENT);
        assert.equal((await take(nodes[0])).status, 200);
        await redis.command("SCRIPT", "FLUSH");
        assert.equal((await take(nodes[0])).status, 200);
        assert.equal((await nodes[1].limits("k"))["requests/60"].used, 2);
    });
});

describe("Redis out of reach (5)", () => {
    let redis;
    let nodes;
    beforeEach(async () => {
        redis = await Redis.start();
    });
    afterEach(async () => {
        await Promise.all(nodes.map((node) => node.stop()));
        await redis.stop();
    });

    /** How many of `tries` requests the node admits. */
    async function admits(node, tries) {
        let admitted = 0;
        for (let i = 0; i < tries; i++) {
            const { status, text } = await take(node);
            assert.ok(status === 200 || status === 429, `${status} ${text}`);
            admitted += status === 200 ? 1 : 0;
        }
        return admitted;
    }

    it("local: each node goes on with its fair share, less what it was granted", async () => {
        const changes = { ...PATIENT, on_store_failure: "local" }; // a killed one is no silence
        nodes = await startNodes(redis, { requests: "100/min" }, changes);
        assert.equal(await admits(nodes[0], 10), 10);
        await redis.kill();
        await Promise.all(nodes.map((node) => storeReady(node, false)));
        assert.equal(await metricSums(nodes, "weir_over_admission_ratio"), 1);
        assert.equal(await admits(nodes[0], 40), 15);
        assert.equal(await admits(nodes[1], 40), 25);
        const { body } = await take(nodes[1]);
        assert.equal(body.denied_by.meter, "requests");
        assert.ok(body.retry_after_ms > 0);
    });

    it("local: killed under load, nobody is left without an answer or over the bound", async () => {
        const capacity = 80;
        nodes = await startNodes(redis, { requests: `${capacity}/2s` });
        const startMs = performance.now();
        const load1 = load(nodes, { clients: 8, untilMs: startMs + 4500, pauseMs: 5 });
        await sleep(1000);
        await redis.kill();
        const answers = await load1;
        assert.deepEqual(
            answers.filter(({ status }) => status !== 200 && status !== 429),
            [],
        );
        const most = mostWithin(answers, 2000);
        assert.ok(most <= 2 * capacity, `${most} in one window`);
        const late = answers.filter(({ sent }) => sent > startMs + 3400);
        assert.ok(
            late.some(({ status }) => status === 200),
            "the nodes stopped",
        );
    });

    it("closed: nodes say 503 and take nothing", async () => {
        nodes = await startNodes(redis, { requests: "100/min" }, { on_store_failure: "closed" });
        await redis.kill();
        await Promise.all(nodes.map((node) => storeReady(node, false)));
        assert.equal(await metricSums(nodes, "weir_over_admission_ratio"), 0);
        const native = await take(nodes[0]);
        assert.equal(native.status, 503);
        assert.ok(native.body.error.message.length > 0);
        const chat = await nodes[0].chat("sk-test-secret-k");
        assert.equal(chat.status, 503);
        assert.ok(chat.body.error.message.length > 0);
    });

    it("open: nodes stop limiting", async () => {
        nodes = await startNodes(redis, { requests: "1/min" }, { on_store_failure: "open" });
        await redis.kill();
        await Promise.all(nodes.map((node) => storeReady(node, false)));
        assert.equal(await metricSums(nodes, "weir_over_admission_ratio"), Infinity);
        for (let i = 0; i < 3; i++) {
            assert.equal((await take(nodes[0])).status, 200);
            assert.equal((await nodes[1].chat("sk-test-secret-k")).status, 200);
        }
    });

    it("a silent Redis is out of reach as well, and its return is noticed", async () => {
        const changes = { store_timeout_ms: 1500, on_store_failure: "closed" };
        nodes = await startNodes(redis, { requests: "100/min" }, changes);
        assert.equal((await take(nodes[0])).status, 200);
        redis.program.signal("SIGSTOP");
        const sent = performance.now();
        assert.equal((await take(nodes[0])).status, 503);
        assert.ok(performance.now() - sent < 5000, "it does not wait for what is silent");
        redis.program.signal("SIGCONT");
        await storeReady(nodes[0]);
        assert.equal((await take(nodes[0])).status, 200);
    });

    it("nodes come back by themselves and share again", async () => {
        nodes = await startNodes(redis, { requests: "40/min" });
        await redis.kill();
        await Promise.all(nodes.map((node) => storeReady(node, false)));
        assert.equal((await take(nodes[0])).status, 200);
        await redis.restart();
        await Promise.all(nodes.map((node) => storeReady(node)));
        await eventually(async () => (await take(nodes[1])).status === 200, "an admitted request");
        const mine = (await nodes[1].limits("k"))["requests/60"].used;
        assert.ok(mine >= 1);
        assert.equal((await nodes[2].limits("k"))["requests/60"].used, mine);
    });

    it("a node starts without its Redis and finds it later", async () => {
        await redis.kill();
        nodes = await startNodes(redis, { requests: "40/min" }, {}, false);
        assert.equal((await nodes[0].ask("GET", "/healthz")).status, 200);
        await redis.restart();
        await storeReady(nodes[0]);
    });
});
