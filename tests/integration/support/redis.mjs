// SPDX-License-Identifier: Apache-2.0
// A redis-server of the test's own, on a socket in a folder of its own: nobody else can take it, so
// that it can be killed and started again in the same place.
import { join } from "node:path";
import { Program, run, temporaryFolder } from "./process.mjs";
import { eventually } from "./wait.mjs";

export class Redis {
    static async start({ policy = "noeviction", args = [] } = {}) {
        const redis = new Redis(temporaryFolder(), policy, args);
        await redis.restart();
        return redis;
    }

    constructor(folder, policy, args) {
        this.folder = folder;
        this.socket = join(folder.path, "redis.sock");
        this.url = `redis+unix://${this.socket}`;
        this.args = [
            ...["--port", "0", "--unixsocket", this.socket, "--dir", folder.path],
            ...["--save", "", "--appendonly", "no", "--maxmemory-policy", policy],
            ...args,
        ];
    }

    /** Starts it (again), empty. */
    async restart() {
        this.program = new Program("redis-server", this.args);
        await this.program.says(/ready to accept connections/i);
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
