// SPDX-License-Identifier: Apache-2.0
// What a fault may touch: four machines under load, each with a node of every policy, and the Redis
// or the cluster that all of them share.
import { join } from "node:path";
import { temporaryFolder } from "../../integration/support/process.mjs";
import { Redis, storeReady } from "../../integration/support/redis.mjs";
import { Node, configuration } from "../../integration/support/weir.mjs";
import { Cluster, PRIMARIES, primaryOf } from "./cluster.mjs";
import { EvenLoad, Load, nowUs } from "./load.mjs";
import { Link } from "./proxy.mjs";

export const MACHINES = 4;
export const ALL = [0, 1, 2, 3];
/** lease or exact: how nodes decide. */
export const MODE = process.env.WEIR_FAULT_MODE ?? "lease";

/** In a window; what the load asks for exceeds all of it. Of `even`, tokens are settled to less than
 * they reserve; `quick` is used so fast that nodes hold leases. */
export const PLANS = {
    even: { requests: 80, output_tokens: 880 },
    quick: { requests: 2000 },
};
const RESERVE = 20;
/** Of the quick key: `weir load` asks each node for so many a second, less than the plan allows. When
 * the fault begins the other clients ask for it too, so that together they ask for more. */
const QUICK_RATE = 190;

/** The limits of a plan as configuration and verify take them: C and the shares of `cutOff` nodes. */
export function limitsOf(plan, windowS, cutOff) {
    const most = (capacity) => capacity + cutOff * Math.floor(capacity / MACHINES);
    const limits = Object.entries(PLANS[plan]);
    return Object.fromEntries(
        limits.map(([meter, capacity]) => [meter, `${most(capacity)}/${windowS}s`]),
    );
}

/** A name that is this primary's. */
function nameOn(primary, prefix) {
    for (let i = 0; ; i++) {
        if (primaryOf(`key:${prefix}${i}`) === primary) {
            return `${prefix}${i}`;
        }
    }
}

/** The keys that nodes of one policy are asked for: an even one on each primary, and the quick one
 * on the first: {id, plan, primary}. */
function keysOf(policy) {
    const even = Array.from({ length: PRIMARIES }, (_, primary) => ({
        ...{ id: nameOn(primary, `${policy}-`), plan: "even", primary },
    }));
    return [...even, { id: nameOn(0, `${policy}-quick-`), plan: "quick", primary: 0 }];
}

function settleSome(load, charge) {
    return load.settleTo(charge, 2 + (load.charges.length % 19));
}

/** The nodes of one policy, one on each machine, and what is asked of them. */
class Group {
    constructor(world, policy, settle) {
        Object.assign(this, { world, policy, keys: keysOf(policy), even: [] });
        this.quick = this.keys.at(-1);
        const keys = this.keys.filter(({ plan }) => plan === "even").map(({ id }) => id);
        const reserve = (key) => (key === this.quick.id ? 0 : RESERVE);
        this.nodes = [];
        this.load = new Load({
            ...{ nodes: this.nodes, clients: 2, pauseMs: 12, keys, reserve, settle },
        });
    }

    #config(machine) {
        const { windowS } = this.world;
        const plan = (name) => ({
            limits: limitsOf(name, windowS, 0),
            default_output_tokens: 1,
        });
        return configuration({
            listen: `127.0.0.1:${this.nodes[machine]?.port ?? 0}`,
            store: this.world.storeUrl(machine),
            ...{ mode: MODE, nodes: MACHINES, on_store_failure: this.policy },
            // longer than a busy machine keeps a node waiting, shorter than every outage
            store_timeout_ms: 500,
            http: { drain_timeout_ms: 1000 },
            plans: Object.fromEntries(Object.keys(PLANS).map((name) => [name, plan(name)])),
            keys: this.keys.map(({ id, plan }) => ({ id, secret: `sk-test-${id}`, plan })),
        });
    }

    /** Starts it (again, and then on the same port). */
    async start(machine) {
        this.nodes[machine] = await Node.start(this.#config(machine));
    }

    begin() {
        this.load.start();
        ALL.forEach((machine) => this.askEvenly(machine, { rate: QUICK_RATE }));
    }

    /** Requests of the quick key. */
    askEvenly(machine, options) {
        const { id } = this.quick;
        const path = join(this.world.folder.path, `${this.policy}-${this.even.length}.jsonl`);
        const { port } = this.nodes[machine];
        const client = { port, key: id, secret: `sk-test-${id}`, path };
        this.even.push(new EvenLoad({ ...client, ...options }));
    }

    /** From now on more is asked for than the quick key's plan allows. */
    surge() {
        const even = this.load.keys;
        this.load.keys = even.flatMap((key) => [key, this.quick.id]);
    }

    /** Every charge that was admitted. */
    async end() {
        const records = await Promise.all(this.even.map((even) => even.stop()));
        this.even = [];
        await this.load.stop();
        return [...this.load.record(), ...records.flat()];
    }

    /** Decisions without the store that each node made. */
    alone() {
        return this.count("weir_store_failure_decisions_total");
    }

    /** What each node's metric says, all of its labels together. */
    async count(metric) {
        const pages = this.nodes.map((node) => node.ask("GET", "/metrics"));
        const row = new RegExp(`^${metric}(?:\\{[^}]*\\})? (\\d+)$`, "gm");
        return (await Promise.all(pages)).map(({ text }) =>
            [...text.matchAll(row)].reduce((sum, [, count]) => sum + Number(count), 0),
        );
    }
}

export class World {
    /** @param {{policies: string[], windowS?: number, cluster?: object, redis?: object,
     * linked?: boolean, settle?: (load: Load, charge: object) => Promise<void>}} options cluster or
     * redis: options of the one that is started; linked: machines reach it by links of their own */
    static async start(options) {
        const world = new World(options);
        try {
            await world.#startStore(options);
            await Promise.all(ALL.map((machine) => world.startMachine(machine)));
            await Promise.all(world.everyNode().map((node) => storeReady(node)));
        } catch (error) {
            await world.stop();
            throw error;
        }
        return world;
    }

    constructor({ policies, windowS = 2, settle = settleSome }) {
        this.windowS = windowS;
        this.folder = temporaryFolder();
        this.links = ALL.map(() => []);
        this.groups = policies.map((policy) => new Group(this, policy, settle));
    }

    async #startStore({ cluster, redis, linked }) {
        this.linked = linked;
        if (redis) {
            this.redis = await Redis.start({ tcp: true, ...redis });
        } else {
            this.cluster = await Cluster.start({ nameless: linked, ...cluster });
        }
        if (linked) {
            const ports = this.cluster.servers.map(({ port }) => port);
            const links = ALL.map((i) => ports.map((port) => Link.to(port, `127.0.0.${10 + i}`)));
            this.links = await Promise.all(links.map((each) => Promise.all(each)));
        }
    }

    storeUrl(machine) {
        return this.cluster
            ? this.cluster.url(this.linked ? `127.0.0.${10 + machine}` : undefined)
            : this.redis.url;
    }

    /** What was away comes back from now on; a fault says so that ends later than that. */
    isBack() {
        this.backUs = nowUs();
    }

    everyNode() {
        return this.groups.flatMap(({ nodes }) => nodes);
    }

    setLinks(machines, mode, delayMs) {
        machines.flatMap((i) => this.links[i]).forEach((link) => link.set(mode, delayMs));
    }

    async startMachine(i) {
        await Promise.all(this.groups.map((group) => group.start(i)));
    }

    async stopMachine(i) {
        await Promise.all(this.groups.map(({ nodes }) => nodes[i].stop()));
    }

    /** As when it loses its power. */
    async killMachine(i) {
        const nodes = this.groups.map((group) => group.nodes[i]);
        await Promise.all(nodes.map((node) => node.program.end("SIGKILL")));
        nodes.forEach((node) => node.folder.remove());
    }

    signalMachine(i, name) {
        this.groups.forEach(({ nodes }) => nodes[i].program.signal(name));
    }

    async stop() {
        try {
            await Promise.all(this.groups.map((group) => group.end()));
            await Promise.all(this.everyNode().map((node) => node.stop()));
        } finally {
            this.links.flat().forEach((link) => link.close());
            await (this.cluster ?? this.redis)?.stop();
            this.folder.remove();
        }
    }
}
