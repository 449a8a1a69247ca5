// SPDX-License-Identifier: Apache-2.0
// A redis-server of the test's own, on a socket in a folder of its own: nobody else can take it, so
// that it can be killed and started again in the same place.
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { Program, run, temporaryFolder } from "./process.mjs";
import { eventually } from "./wait.mjs";

/** Which primary nodes have accepted (src/store/redis/over.lua); of the tag of slot 0. */
const ACCEPTED = "weir:{3560}:primary";

/** Listening there, or undefined where the port is taken. */
async function listener(port, host) {
    const server = createServer().listen(port, host);
    return once(server, "listening").then(
        () => server,
        () => undefined,
    );
}

/** A free port below those that the kernel gives to clients, and nobody else's while this process
 * runs: it stays free until a server comes (back), or is refused where none does. Whoever holds the
 * port on another address has it, in whichever process. */
export async function freePort() {
    for (;;) {
        const port = 10000 + Math.floor(Math.random() * 20000);
        const mine = await listener(port, "127.0.0.9");
        const free = mine && (await listener(port, "127.0.0.1"));
        free?.close();
        if (free) {
            await once(free, "close");
            mine.unref();
            return port;
        }
        mine?.close();
    }
}

export class Redis {
    /** tcp: it listens on a port, too, and tcpUrl names it. */
    static async start({ policy = "noeviction", tcp = false, args = [], env = {} } = {}) {
        const redis = new Redis(temporaryFolder(), policy, tcp ? await freePort() : 0, args, env);
        await redis.restart();
        await redis.accept();
        return redis;
    }

    constructor(folder, policy, port, args, env) {
        this.folder = folder;
        this.port = port;
        this.env = env;
        this.tcpUrl = `redis://127.0.0.1:${port}`;
        this.socket = join(folder.path, "redis.sock");
        this.url = `redis+unix://${this.socket}`;
        this.args = [
            ...["--port", `${port}`, "--bind", "127.0.0.1", "--unixsocket", this.socket],
            ...["--dir", folder.path],
            ...["--save", "", "--appendonly", "no", "--maxmemory-policy", policy],
            ...args,
        ];
    }

    /** Starts it (again), with what its arguments made it keep. */
    async restart() {
        this.program = new Program("redis-server", this.args, this.env);
        await this.program.says(/ready to accept connections/i);
    }

    /** As if nodes had been there for long: they take from a Redis that is new to all of them only
     * after two seconds (docs/design/store.md). */
    async accept() {
        const info = await this.command("INFO");
        const run = /^run_id:(\w+)/m.exec(info);
        const replication = /^master_replid:(\w+)/m.exec(info);
        if (run !== null) { // it may want a password
            await this.command("SET", ACCEPTED, `${run[1]}:${replication[1]}`);
        }
    }

    /** All windows, and nothing else: who has accepted it need not wait again. */
    async empty() {
        const accepted = await this.command("KEYS", "weir:{*}:primary");
        if (accepted === "") {
            await this.command("FLUSHALL");
            return;
        }
        const script =
            "local a = redis.call('GET', KEYS[1]); redis.call('FLUSHALL'); redis.call('SET', KEYS[1], a)";
        await this.command("EVAL", script, "1", accepted);
    }

    /** As a machine that loses its power: nothing is said to anybody. */
    async kill() {
        await this.program.end("SIGKILL");
    }

    async stop() {
        this.program.signal("SIGCONT");
        await this.program.end();
        this.folder.remove();
    }

    async command(...words) {
        const { output } = await run("redis-cli", ["-s", this.socket, ...words]);
        return output.trim();
    }
}

const PRIMARIES = 3;
const SLOTS = 16384;

/** A Redis Cluster of three primaries, whose shares of the slots are about equal. */
export class RedisCluster {
    static async start() {
        const cluster = new RedisCluster();
        const busPorts = await Promise.all(Array.from({ length: PRIMARIES }, freePort));
        cluster.nodes = await Promise.all(
            busPorts.map((port) =>
                Redis.start({
                    tcp: true,
                    args: [
                        ...["--cluster-enabled", "yes", "--cluster-port", `${port}`],
                        ...["--cluster-node-timeout", "500"],
                        ...["--cluster-require-full-coverage", "no"],
                    ],
                }),
            ),
        );
        const [first] = cluster.nodes;
        for (const [i, node] of cluster.nodes.entries()) {
            const [from, to] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / PRIMARIES));
            await node.command("CLUSTER", "SET-CONFIG-EPOCH", `${i + 1}`);
            await node.command("CLUSTER", "ADDSLOTSRANGE", `${from}`, `${to - 1}`);
            if (i > 0) {
                const meet = ["MEET", "127.0.0.1", `${first.port}`, `${busPorts[0]}`];
                await node.command("CLUSTER", ...meet);
            }
        }
        for (const node of cluster.nodes) {
            await eventually(async () => {
                const info = await node.command("CLUSTER", "INFO");
                return info.includes("cluster_state:ok") && info.includes("cluster_size:3");
            }, "the cluster's nodes to know each other");
        }
        cluster.url = `redis+cluster://127.0.0.1:${first.port}`;
        return cluster;
    }

    /** The primary that serves this subject's windows, where it is its own root. */
    async ownerOf(subject) {
        const slot = await this.nodes[0].command("CLUSTER", "KEYSLOT", `weir:{${subject}}`);
        return this.nodes[Math.floor(((Number(slot) + 1) * PRIMARIES - 1) / SLOTS)];
    }

    async empty() {
        await Promise.all(this.nodes.map((node) => node.empty()));
    }

    async stop() {
        await Promise.all(this.nodes.map((node) => node.stop()));
    }
}

/** Until the node says that its store is (or is not) in reach. */
export async function storeReady(node, ready = true) {
    await eventually(
        async () => {
            const { status } = await node.ask("GET", "/readyz");
            return status === (ready ? 200 : 503);
        },
        `/readyz to say ${ready ? 200 : 503}`,
    );
}
