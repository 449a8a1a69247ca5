// SPDX-License-Identifier: Apache-2.0
// The same behaviour on each store: the cases of `cases` run on a node with the embedded store, on one
// with a Redis of its own and, where subjects are in several slots, on one with a Redis Cluster.
import { after, before, describe } from "node:test";
import { Redis, RedisCluster, storeReady } from "./redis.mjs";
import { Node, configuration } from "./weir.mjs";

/** Where Redis is well: a busy test machine must not look like an outage. */
export const PATIENT = { store_timeout_ms: 5000, store_connect_timeout_ms: 5000 };

/** @param {(start: (config?: object, options?: object) => Promise<Node>) => void} cases gets what
 * starts a node on the store; the nodes are stopped after the cases. */
export function onEachStore(name, cases) {
    describe(`${name}, embedded store`, () => {
        const nodes = [];
        after(() => Promise.all(nodes.map((node) => node.stop())));
        cases(async (config = configuration(), options = {}) => {
            const node = await Node.start({ ...config, store: "embedded" }, options);
            nodes.push(node);
            return node;
        });
    });
    onRedisStore(name, cases);
}

/** The same, on a Redis only. */
export function onRedisStore(name, cases) {
    onRedis(`${name}, redis store`, () => Redis.start(), cases, (redis) => redis.stop());
}

/** One for all the tests of a file, made when the first of them asks. */
let cluster;
after(async () => (await cluster)?.stop());

/** The same, and on a Redis Cluster. */
export function onEveryStore(name, cases) {
    onEachStore(name, cases);
    onRedis(`${name}, redis cluster`, () => (cluster ??= RedisCluster.start()), cases);
}

function onRedis(title, open, cases, close = () => {}) {
    describe(title, () => {
        const nodes = [];
        let redis;
        before(async () => {
            redis = await open();
        });
        after(async () => {
            await Promise.all(nodes.map((node) => node.stop()));
            await close(redis);
        });
        cases(async (config = configuration(), options = {}) => {
            await redis.empty();
            const node = await Node.start({ ...PATIENT, ...config, store: redis.url }, options);
            nodes.push(node);
            await storeReady(node);
            return node;
        });
    });
}
