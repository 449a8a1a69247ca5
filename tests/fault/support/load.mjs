// SPDX-License-Identifier: Apache-2.0
// Steady load on the decision API of several nodes, and a record of every admitted charge.
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { Program } from "../../integration/support/process.mjs";
import { sleep } from "../../integration/support/wait.mjs";
import { WEIR } from "../../integration/support/weir.mjs";

/** Microseconds of the clock that all records of a scenario go by. */
export function nowUs() {
    return Number(process.hrtime.bigint() / 1000n);
}

/** Clients of which each asks one node, for one key after the other: it waits for the answer, settles
 * and pauses. */
export class Load {
    /** @param {{nodes: {port: number}[], clients: number, pauseMs: number, keys: string[],
     * reserve: (key: string) => number, settle: (load: Load, charge: object) => Promise<void>}}
     * options nodes, keys: may be replaced while it runs; clients: for each node; reserve: output
     * tokens of a request, which are settled unless they are 0 */
    constructor(options) {
        Object.assign(this, options);
        /** Every answer, or the error instead of a status:
         * {node, key, sentUs, receivedUs, status}. */
        this.answers = [];
        this.charges = [];
        this.work = [];
        this.agents = [];
    }

    start() {
        this.running = true;
        /** The longest that anybody waited for a node, in microseconds. */
        this.longestUs = this.nodes.map(() => 0);
        this.agents = this.nodes.map(() => new Agent({ keepAlive: true }));
        this.work = this.nodes.flatMap((_, node) =>
            Array.from({ length: this.clients }, () => this.#client(node)),
        );
    }

    async stop() {
        this.running = false;
        await Promise.all(this.work);
        this.agents.forEach((agent) => agent.destroy());
    }

    async #client(node) {
        for (let turn = node; this.running; turn++) {
            const key = this.keys[turn % this.keys.length];
            const output = this.reserve(key);
            const asked = { key: `id:${key}`, input_tokens: 1, output_tokens: output };
            const answer = { key, ...(await this.post(node, "acquire", asked)) };
            this.answers.push(answer);
            if (answer.status === 200) {
                const charge = { ...answer, output };
                this.charges.push(charge);
                if (output > 0) {
                    await this.settle(this, charge);
                }
            }
            await sleep(this.pauseMs);
        }
    }

    /** Settles to `output`, at most the reserved; on another node when `node` says so. Whether that
     * took effect is not always known, so the record has what was surely used from now on. */
    async settleTo(charge, output, node = charge.node) {
        charge.output = Math.min(charge.output, output);
        const { reservation } = charge.body;
        const answer = await this.post(node, "settle", {
            ...{ reservation, input_tokens: 1, output_tokens: output },
        });
        return answer.status;
    }

    /** An answer; its status is an error's code when there was none. A node that is silent for
     * long is given up. */
    post(node, what, json) {
        const body = JSON.stringify(json);
        const sentUs = nowUs();
        return new Promise((resolve) => {
            const done = (status, parsed) => {
                const receivedUs = nowUs() + 1; // rounded up
                this.longestUs[node] = Math.max(this.longestUs[node], receivedUs - sentUs);
                resolve({ node, sentUs, receivedUs, status, body: parsed });
            };
            const ask = request({
                host: "127.0.0.1",
                port: this.nodes[node].port,
                path: `/weir/v1/${what}`,
                method: "POST",
                agent: this.agents[node],
                timeout: 8000,
                headers: { "content-type": "application/json", "content-length": body.length },
            });
            ask.on("timeout", () => ask.destroy(new Error("silent")));
            ask.on("error", (error) => done(error.code ?? error.message));
            ask.on("response", (response) => {
                let text = "";
                response.setEncoding("utf8").on("data", (piece) => (text += piece));
                response.on("end", () => done(response.statusCode, JSON.parse(text)));
                response.on("error", (error) => done(error.code));
            });
            ask.end(body);
        });
    }

    /** The charges as `weir verify` reads them. */
    record() {
        return this.charges.map(({ key, sentUs, receivedUs, output }) => ({
            ...{ subject: `key:${key}`, sent_us: sentUs, received_us: receivedUs },
            ...{ requests: 1, input_tokens: 1, output_tokens: output },
        }));
    }
}

/** `weir load` on one node: chat requests of one key at an even rate, whatever the answers are. */
export class EvenLoad {
    /** @param {{port: number, key: string, secret: string, rate: number, clients?: number,
     * path: string}} options path: where its record goes */
    constructor({ port, key, secret, rate, clients = 8, path }) {
        this.path = path;
        this.program = new Program(WEIR, [
            ...["load", "--target", `http://127.0.0.1:${port}`, "--keys", secret],
            ...["--key-ids", key, "--clients", `${clients}`, "--rate", `${rate}`, "--duration", "60"],
            ...["--prompt-tokens", "1", "--max-tokens", "1", "--record", path],
        ]);
    }

    /** Its record. */
    async stop() {
        await this.program.end();
        const lines = readFileSync(this.path, "utf8").split("\n");
        return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
    }
}
