// SPDX-License-Identifier: Apache-2.0
// A scenario: load, a fault, its end, and the verdict of `weir verify` on what the clients saw
// admitted. Nodes of every policy go through it together.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { run, temporaryFolder } from "../../integration/support/process.mjs";
import { storeReady } from "../../integration/support/redis.mjs";
import { sleep } from "../../integration/support/wait.mjs";
import { WEIR } from "../../integration/support/weir.mjs";
import { nowUs } from "./load.mjs";
import { unlessWaiting } from "./waiting.mjs";
import { MACHINES, PLANS, World, limitsOf } from "./world.mjs";

/** The longest that a client waits for an answer: the store's time-out and a busy machine. */
const WAIT_S = 2;
/** How soon after a fault has ended service is normal again. */
const NORMAL_WITHIN_S = 3;

/** Statuses of these answers, each once. */
export function statuses(answers) {
    return [...new Set(answers.map(({ status }) => status))].sort();
}

/** What became of the nodes of one policy. */
class Result {
    constructor(world, group, times, charges, alone) {
        Object.assign(this, times, { charges, alone, windowS: world.windowS });
        this.worst = [];
        Object.assign(this, { keys: group.keys, policy: group.policy });
        this.answers = group.load.answers;
        this.longestUs = group.load.longestUs;
    }

    /** The worst windows of these keys: {code, output, worst: {meter: [sum of each key]}}. */
    async #verify(folder, plan, keys, cutOff) {
        const subjects = new Set(keys.map(({ id }) => `key:${id}`));
        const lines = this.charges.filter(({ subject }) => subjects.has(subject));
        const path = join(folder.path, "record.jsonl");
        writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
        const limits = Object.entries(limitsOf(plan, this.windowS, cutOff));
        const text = limits.map((pair) => pair.join(": ")).join(", ");
        const { code, output } = await run(WEIR, ["verify", "--json", "--limits", text, path]);
        assert.ok(code === 0 || code === 1, output);
        const { windows } = JSON.parse(output);
        const worst = (meter) =>
            windows.filter((row) => row.meter === meter).map((row) => row.worst.sum);
        return {
            ...{ code, output, subjects: subjects.size },
            worst: Object.fromEntries(limits.map(([meter]) => [meter, worst(meter)])),
        };
    }

    /** Verdicts on all keys, those with one plan and as many nodes cut off together. */
    async verify(cutOff) {
        const folder = temporaryFolder();
        try {
            const verdicts = [];
            for (const plan of Object.keys(PLANS)) {
                const keys = this.keys.filter((key) => key.plan === plan);
                for (const n of new Set(keys.map(cutOff))) {
                    const same = keys.filter((key) => cutOff(key) === n);
                    verdicts.push({ plan, ...(await this.#verify(folder, plan, same, n)) });
                }
            }
            return verdicts;
        } finally {
            folder.remove();
        }
    }

    /** No window of a key holds more than C and the shares of cutOff(key) nodes. */
    async holds(cutOff = () => 0) {
        for (const { plan, code, output, subjects, worst } of await this.verify(cutOff)) {
            assert.equal(code, 0, `limits were passed: ${output}`);
            // what is far below its limit was not put to the test
            const tested = Object.entries(worst).map(
                ([meter, sums]) => sums.filter((sum) => sum >= 0.8 * PLANS[plan][meter]).length,
            );
            assert.ok(Math.max(...tested) === subjects, `limits were not reached: ${output}`);
            const most = ([meter, sums]) =>
                `${meter} ${Math.max(...sums)} of ${PLANS[plan][meter]}`;
            this.worst.push(...Object.entries(worst).map(most));
        }
    }

    /** Answers that were asked for between two moments, of a node or of all. */
    between(fromUs, toUs, node) {
        return this.answers.filter(
            (x) => x.sentUs >= fromUs && x.sentUs < toUs && (node ?? x.node) === x.node,
        );
    }

    /** Answers for the keys of these primaries. */
    ofPrimaries(...primaries) {
        const ids = this.keys.filter(({ primary }) => primaries.includes(primary));
        return this.answers.filter((x) => ids.some(({ id }) => id === x.key));
    }

    /** What was asked of cut-off nodes once they knew that they were. */
    meanwhile(node) {
        return this.between(this.beginUs + 1e6, this.backUs, node);
    }

    /** `closed`: each of these nodes refused all. */
    refusedAlone(nodes) {
        for (const node of nodes) {
            assert.deepEqual(statuses(this.meanwhile(node)), [503]);
        }
    }

    /** `local`: each of these nodes decided, and let pass what its share allows; the outage was
     * longer than 1 s and W, so that each share became free in its time. */
    wentOnAlone(nodes) {
        for (const node of nodes) {
            assert.deepEqual(statuses(this.meanwhile(node)), [200, 429]);
            assert.ok(this.alone[node] > 0, `${this.alone}`);
        }
    }

    /** The other nodes noticed nothing. */
    othersWork(than) {
        const others = this.answers.filter(({ node }) => node !== than);
        assert.deepEqual(statuses(others), [200, 429]);
        assert.ok(this.alone.every((count, node) => count === 0 || node === than));
    }

    /** From 3 s after the end of the fault on every node decides as ever, and all together admit
     * what a window allows. Nobody was ever left waiting, but for the node that was stopped. */
    serviceIsNormal({ stopped } = {}) {
        const longest = this.longestUs.filter((_, node) => node !== stopped);
        assert.ok(Math.max(...longest) <= WAIT_S * 1e6, `somebody waited: ${longest} us`);
        const readyS = (this.readyUs - this.endUs) / 1e6;
        assert.ok(readyS <= NORMAL_WITHIN_S, `nodes were ready after ${readyS} s`);
        const normalUs = this.endUs + NORMAL_WITHIN_S * 1e6;
        const late = this.between(normalUs, Infinity);
        assert.deepEqual(
            statuses(late).filter((status) => status !== 200 && status !== 429),
            [],
        );
        assert.equal(new Set(late.map(({ node }) => node)).size, MACHINES);
        for (const { id, plan } of this.keys) {
            const admitted = this.charges.filter(
                ({ subject, sent_us: sent }) => subject === `key:${id}` && sent >= normalUs,
            );
            const enough = 0.7 * PLANS[plan].requests;
            assert.ok(admitted.length >= enough, `${id}: ${admitted.length} admitted afterwards`);
        }
    }
}

/** 1.5 s of service, the fault until `fault` has ended it, and 3 s, W and some more. The results by
 * policy. */
async function play({ prepare, ...options }, fault) {
    const world = await World.start(options);
    try {
        await prepare?.(world);
        const { groups, windowS } = world;
        groups.forEach((group) => group.begin());
        await sleep(1500);
        const beginUs = nowUs();
        groups.forEach((group) => group.surge());
        await fault(world);
        const endUs = nowUs();
        await Promise.all(world.everyNode().map((node) => storeReady(node)));
        const readyUs = nowUs();
        await sleep(NORMAL_WITHIN_S * 1000 + windowS * 1100 + 300 - (readyUs - endUs) / 1000);
        const results = groups.map(async (group) => {
            const charges = await group.end();
            const alone = await group.alone();
            const times = { beginUs, backUs: world.backUs ?? endUs, endUs, readyUs };
            return new Result(world, group, times, charges, alone);
        });
        return new Map((await Promise.all(results)).map((result) => [result.policy, result]));
    } finally {
        await world.stop();
    }
}

/** Tests of a fault. `options`: those of World.start, and `prepare`, which comes before the load.
 * `verdicts`: by policy, what is tested of its nodes: {policy: {"what holds": (result) => ...}}. */
export function scenario(name, options, fault, verdicts) {
    describe(name, () => {
        let results;
        before(async () => {
            results = await play({ ...options, policies: Object.keys(verdicts) }, fault);
        });
        after(() => (results = undefined));
        for (const [policy, tests] of Object.entries(verdicts)) {
            for (const [holds, test] of Object.entries(tests)) {
                const full = `${policy}: ${holds}`;
                it(full, unlessWaiting(`${name}: ${full}`), async (t) => {
                    const result = results.get(policy);
                    try {
                        await test(result);
                    } finally {
                        t.diagnostic(result.worst.join(", "));
                    }
                });
            }
        }
    });
}
