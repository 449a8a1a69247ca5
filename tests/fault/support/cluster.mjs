// SPDX-License-Identifier: Apache-2.0
// A Redis Cluster of the test's own: three primaries and a replica of each. Its nodes know each other
// from the start, by configuration files written here, so that there is no hand-shake to wait for.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../integration/support/redis.mjs";
import { Program, run, temporaryFolder } from "../../integration/support/process.mjs";
import { eventually } from "../../integration/support/wait.mjs";

export const PRIMARIES = 3;
const SLOTS = 16384;
const PER_PRIMARY = Math.floor(SLOTS / PRIMARIES);
/** Silence after which a node counts as failed: a replica takes over a second or so later. */
const NODE_TIMEOUT_MS = 500;

/** The slot of a key without braces, or of what stands in them: CRC-16/XMODEM. */
export function slotOf(text) {
    let crc = 0;
    for (const byte of Buffer.from(text)) {
        crc ^= byte << 8;
        for (let bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
        }
    }
    return crc % SLOTS;
}

/** Which primary serves the subject when the cluster starts. */
export function primaryOf(subject) {
    return Math.min(Math.floor(slotOf(subject) / PER_PRIMARY), PRIMARIES - 1);
}

export class Cluster {
    /** @param {{nameless?: boolean, env?: object}} options nameless: its nodes name only ports, and
     * clients go on with the address that they know */
    static async start({ nameless = false, env = {} } = {}) {
        const cluster = new Cluster(nameless, env);
        const servers = Array.from({ length: 2 * PRIMARIES }, (_, i) => cluster.#server(i));
        cluster.servers = await Promise.all(servers);
        await cluster.restart();
        return cluster;
    }

    constructor(nameless, env) {
        this.folder = temporaryFolder();
        this.env = env;
        this.options = Object.entries({
            ...{ bind: "127.0.0.1", save: "", appendonly: "no", "cluster-enabled": "yes" },
            ...{ "cluster-node-timeout": NODE_TIMEOUT_MS, "repl-diskless-sync-delay": 0 },
            // shards that are well go on; a replica takes over whatever it has missed
            ...{ "cluster-require-full-coverage": "no", "cluster-replica-validity-factor": 0 },
            ...(nameless ? { "cluster-preferred-endpoint-type": "unknown-endpoint" } : {}),
        }).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    }

    async #server(i) {
        const [port, bus] = [await freePort(), await freePort()];
        return { id: `${i}`.repeat(40), port, bus, file: `nodes-${i}.conf` };
    }

    /** What the node `of` knows: primaries 0 to 2, and replica i + 3 of primary i. */
    #writeConfiguration(of) {
        const lines = this.servers.map(({ id, port, bus }, i) => {
            const myself = i === of ? "myself," : "";
            const at = `${id} 127.0.0.1:${port}@${bus} ${myself}`;
            const first = i * PER_PRIMARY;
            const last = i + 1 < PRIMARIES ? first + PER_PRIMARY - 1 : SLOTS - 1;
            return i < PRIMARIES
                ? `${at}master - 0 0 ${i + 1} connected ${first}-${last}`
                : `${at}slave ${this.servers[i - PRIMARIES].id} 0 0 ${i - 2} connected`;
        });
        lines.push(`vars currentEpoch ${PRIMARIES} lastVoteEpoch 0`, "");
        writeFileSync(join(this.folder.path, this.servers[of].file), lines.join("\n"));
    }

    /** Starts all of them (again), empty, each with the part it had at first. */
    async restart() {
        this.servers.forEach((_, i) => this.#writeConfiguration(i));
        await Promise.all(this.servers.map((_, i) => this.startServer(i)));
        await Promise.all(
            this.servers.map((_, i) =>
                i < PRIMARIES
                    ? this.says(i, ["cluster", "info"], "cluster_state:ok")
                    : this.says(i, ["info", "replication"], "master_link_status:up"),
            ),
        );
    }

    async startServer(i) {
        const { port, bus, file } = this.servers[i];
        const args = ["--port", `${port}`, "--cluster-port", `${bus}`, "--cluster-config-file", file];
        args.push("--dir", this.folder.path, "--dbfilename", `${i}.rdb`, ...this.options);
        this.servers[i].program = new Program("redis-server", args, this.env);
        await this.servers[i].program.says(/ready to accept connections/i);
    }

    /** As a machine that loses its power. */
    async kill(...which) {
        await Promise.all(which.map((i) => this.servers[i].program.end("SIGKILL")));
    }

    signal(i, name) {
        this.servers[i].program.signal(name);
    }

    async command(i, ...words) {
        const { output } = await run("redis-cli", ["-p", `${this.servers[i].port}`, ...words]);
        return output.trim();
    }

    async says(i, words, text) {
        const check = async () => (await this.command(i, ...words)).includes(text);
        await eventually(check, `server ${i} to say ${text}`);
    }

    /** Until the replica of primary i has taken over, and the others know. */
    async failover(i) {
        await this.says(i + PRIMARIES, ["info", "replication"], "role:master");
        const other = (i + 1) % PRIMARIES;
        const { id } = this.servers[i + PRIMARIES];
        const check = async () => {
            const lines = (await this.command(other, "cluster", "nodes")).split("\n");
            return lines.some((line) => line.startsWith(id) && line.includes("master"));
        };
        await eventually(check, "the others to know the new primary");
    }

    /** From now on the replica of primary i hears nothing from it; what is written is lost with it. */
    async stopReplication(i) {
        // it cannot log in where there is no password
        await this.command(i + PRIMARIES, "config", "set", "masterauth", "wrong");
        await this.command(i + PRIMARIES, "client", "kill", "type", "master");
    }

    url(host = "127.0.0.1") {
        return `redis+cluster://${this.servers.map(({ port }) => `${host}:${port}`).join(",")}`;
    }

    async stop() {
        this.servers.forEach((_, i) => this.signal(i, "SIGCONT"));
        await this.kill(...this.servers.keys());
        this.folder.remove();
    }
}
