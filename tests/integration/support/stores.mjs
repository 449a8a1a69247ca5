// SPDX-License-Identifier: Apache-2.0
// The same behaviour on each store: the cases of `cases` run on a node with the embedded store and on
// one with a Redis of its own.
import { after, before, describe } from "node:test";
import { Redis, storeReady } from "./redis.mjs";
import { Node, configuration } from "./weir.mjs";

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
    describe(`${name}, redis store`, () => {
        const nodes = [];
        let redis;
        before(async () => {
            redis = await Redis.start();
        });
        after(async () => {
            await Promise.all(nodes.map((node) => node.stop()));
            await redis.stop();
        });
        cases(async (config = configuration(), options = {}) => {
            await redis.command("FLUSHALL");
            const node = await Node.start({ ...config, store: redis.url }, options);
            nodes.push(node);
            await storeReady(node);
            return node;
        });
    });
}
