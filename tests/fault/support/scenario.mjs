// SPDX-License-Identifier: Apache-2.0
// A scenario: four nodes on one Redis under steady load, a fault, its end, and the verdict of
// `weir verify` on what the clients saw admitted.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, temporaryFolder } from "../../integration/support/process.mjs";
import { Redis, storeReady } from "../../integration/support/redis.mjs";
import { sleep } from "../../integration/support/wait.mjs";
import { Node, WEIR, oneKey } from "../../integration/support/weir.mjs";
import { Load, nowUs } from "./load.mjs";
import { Link } from "./proxy.mjs";

export const NODES = 4;
export const WINDOW_S = 2;
/** Requests, and output tokens after settling, in a window: what the load asks for exceeds both. */
export const CAPACITY = { requests: 80, output: 880 };
const RESERVE = 20;
/** The longest that a client waits for an answer: the store's time-out and a busy machine. */
const WAIT_S = 2;
/** How soon after a fault has ended service is normal again. */
const NORMAL_WITHIN_S = 3;

/** The limits as configuration and verify take them: C and the shares of `cutOff` nodes. */
function limitsWith(cutOff) {
    const most = (capacity) => capacity + cutOff * Math.floor(capacity / NODES);
    return {
        requests: `${most(CAPACITY.requests)}/${WINDOW_S}s`,
        output_tokens: `${most(CAPACITY.output)}/${WINDOW_S}s`,
    };
}

function settleSome(load, charge) {
    return load.settleTo(charge, 2 + (load.charges.length % 19));
}

/** What a fault may touch. */
class World {
    static async start({ policy, linked, redis: redisOptions, settle = settleSome }) {
        const world = new World();
        world.folder = temporaryFolder();
        world.redis = await Redis.start(redisOptions);
        const links = Array.from({ length: NODES }, () => Link.to(world.redis.socket));
        world.links = await Promise.all(linked ? links : []);
        const config = {
            nodes: NODES,
            on_store_failure: policy,
            // longer than a busy machine keeps a node waiting, shorter than every outage
            store_timeout_ms: 500,
            http: { drain_timeout_ms: 1000 },
        };
        world.configs = Array.from({ length: NODES }, (_, i) =>
            oneKey(limitsWith(0), { ...config, store: world.links[i]?.url ?? world.redis.url }),
        );
        world.nodes = await Promise.all(world.configs.map((each) => Node.start(each)));
        await Promise.all(world.nodes.map((node) => storeReady(node)));
        world.load = new Load({
            ...{ nodes: world.nodes, clients: 2, pauseMs: 12, reserve: RESERVE, settle },
        });
        return world;
    }

    /** As a machine that loses its power. */
    async killNode(i) {
        await this.nodes[i].program.end("SIGKILL");
        this.nodes[i].folder.remove();
    }

    async startNode(i) {
        this.nodes[i] = await Node.start(this.configs[i]);
    }

    async stop() {
        await this.load.stop();
        await Promise.all(this.nodes.map((node) => node.stop()));
        this.links.forEach((link) => link.close());
        await this.redis.stop();
        this.folder.remove();
    }

    /** Decisions without the store that each node made. */
    async alone() {
        const pages = this.nodes.map((node) => node.ask("GET", "/metrics"));
        return (await Promise.all(pages)).map(({ text }) =>
            [...text.matchAll(/^weir_store_failure_decisions_total\{[^}]*\} (\d+)$/gm)].reduce(
                (sum, [, count]) => sum + Number(count),
                0,
            ),
        );
    }
}

export class Result {
    constructor(world, times, alone) {
        Object.assign(this, times, { alone, world });
        this.answers = world.load.answers;
        this.path = join(world.folder.path, "record.jsonl");
        writeFileSync(this.path, world.load.record());
    }

    /** The verdict: {code, output, report}. */
    async verify(cutOff) {
        const limits = Object.entries(limitsWith(cutOff)).map((pair) => pair.join(": "));
        const args = ["verify", "--json", "--limits", limits.join(", "), this.path];
        const { code, output } = await run(WEIR, args);
        assert.ok(code === 0 || code === 1, output);
        const report = JSON.parse(output);
        const worst = report.windows.map(({ worst: { sum } }) => sum);
        return { code, output, requests: worst[0], tokens: worst[1] };
    }

    /** No window holds more than C and the shares of so many nodes that were cut off. */
    async holds(cutOff) {
        const { code, output, requests, tokens } = await this.verify(cutOff);
        assert.equal(code, 0, output);
        // what is far below its limit was not put to the test
        assert.ok(requests >= 0.8 * CAPACITY.requests || tokens >= 0.8 * CAPACITY.output, output);
    }

    /** Answers that were asked for between two moments, of a node or of all. */
    between(fromUs, toUs, node) {
        return this.answers.filter(
            (x) => x.sentUs >= fromUs && x.sentUs < toUs && (node ?? x.node) === x.node,
        );
    }

    /** Statuses of these answers, each once. */
    static statuses(answers) {
        return [...new Set(answers.map(({ status }) => status))].sort();
    }

    /** What was asked of cut-off nodes once they knew that they were. */
    meanwhile(node) {
        return this.between(this.beginUs + 1e6, this.endUs, node);
    }

    /** `closed`: each of these nodes refused all. */
    refusedAlone(nodes) {
        for (const node of nodes) {
            assert.deepEqual(Result.statuses(this.meanwhile(node)), [503]);
        }
    }

    /** `local`: each of these nodes decided, and let pass what its share allows; the outage was
     * longer than 1 s and W, so that each share became free in its time. */
    wentOnAlone(nodes) {
        for (const node of nodes) {
            assert.deepEqual(Result.statuses(this.meanwhile(node)), [200, 429]);
            assert.ok(this.alone[node] > 0, `${this.alone}`);
        }
    }

    /** From 3 s after the end of the fault on every node decides as ever, and all together admit
     * what a window allows. Nobody was ever left waiting, but for the node that was stopped. */
    serviceIsNormal({ stopped } = {}) {
        const longest = this.world.load.longestUs.filter((_, node) => node !== stopped);
        assert.ok(Math.max(...longest) <= WAIT_S * 1e6, `somebody waited: ${longest} us`);
        assert.ok(this.readyUs <= this.endUs + NORMAL_WITHIN_S * 1e6, "nodes were not ready");
        const late = this.between(this.endUs + NORMAL_WITHIN_S * 1e6, Infinity);
        assert.deepEqual(
            Result.statuses(late).filter((status) => status !== 200 && status !== 429),
            [],
        );
        assert.equal(new Set(late.map(({ node }) => node)).size, NODES);
        const admitted = late.filter(({ status }) => status === 200).length;
        assert.ok(admitted >= 0.7 * CAPACITY.requests, `${admitted} admitted afterwards`);
    }
}

/** Runs it: 1.2 s of service, the fault until `fault` has ended it, and 3 s, W and some more. */
export async function scenario(options, fault) {
    const world = await World.start(options);
    try {
        world.load.start();
        await sleep(1200);
        const beginUs = nowUs();
        await fault(world);
        const endUs = nowUs();
        await Promise.all(world.nodes.map((node) => storeReady(node)));
        const readyUs = nowUs();
        await sleep(NORMAL_WITHIN_S * 1000 + WINDOW_S * 1100 + 300 - (readyUs - endUs) / 1000);
        await world.load.stop();
        return new Result(world, { beginUs, endUs, readyUs }, await world.alone());
    } catch (error) {
        await world.stop();
        throw error;
    }
}

/** A test of a scenario whose result `check` looks at. */
export async function inScenario(options, fault, check) {
    const result = await scenario(options, fault);
    try {
        await check(result);
    } finally {
        await result.world.stop();
    }
}
