// SPDX-License-Identifier: Apache-2.0
// Programs that a test starts: each is stopped by its pid, and none outlives the test run.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const running = new Set();
process.on("exit", () => {
    for (const child of running) {
        child.kill("SIGKILL");
    }
});
// What the test runner sends to a file that took too long; without this there is no "exit".
process.once("SIGTERM", () => process.exit(143));

/** Debian keeps servers in /usr/sbin, which is not on every user's PATH. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

export class Program {
    /** @param {string} path @param {string[]} args */
    constructor(path, args, moreEnv = {}) {
        this.output = "";
        this.child = spawn(path, args, {
            stdio: ["ignore", "pipe", "pipe"],
            env: { ...env, ...moreEnv },
        });
        running.add(this.child);
        this.exited = new Promise((resolve) => {
            this.child.once("error", (error) => {
                this.output += error.message;
                resolve({ code: null, signal: null });
            });
            this.child.once("close", (code, signal) => resolve({ code, signal }));
        }).finally(() => running.delete(this.child));
        for (const stream of [this.child.stdout, this.child.stderr]) {
            stream.setEncoding("utf8").on("data", (text) => {
                this.output += text;
                this.child.emit("output");
            });
        }
    }

    get ended() {
        return this.child.exitCode !== null || this.child.signalCode !== null;
    }

    signal(name) {
        this.child.kill(name);
    }

    /** The match of `pattern` in what the program wrote; an error when it ends or is silent. */
    async says(pattern, timeoutMs = 20000) {
        const late = AbortSignal.timeout(timeoutMs);
        for (;;) {
            const match = this.output.match(pattern);
            if (match) {
                return match;
            }
            if (this.ended) {
                await this.exited;
                throw new Error(`ended before it said ${pattern}:\n${this.output}`);
            }
            await Promise.race([once(this.child, "output", { signal: late }), this.exited]).catch(
                () => {
                    throw new Error(`did not say ${pattern} in time:\n${this.output}`);
                },
            );
        }
    }

    /** Sends the signal and waits for the end; killed when it does not come. */
    async end(name = "SIGTERM", timeoutMs = 15000) {
        this.signal(name);
        const timer = setTimeout(() => this.signal("SIGKILL"), timeoutMs);
        const how = await this.exited;
        clearTimeout(timer);
        return how;
    }
}

/** A program that ends by itself: {code, output}. */
export async function run(path, args, moreEnv) {
    const program = new Program(path, args, moreEnv);
    const timer = setTimeout(() => program.signal("SIGKILL"), 60000);
    const { code } = await program.exited;
    clearTimeout(timer);
    return { code, output: program.output };
}

/** A folder of its own; with what removes it. */
export function temporaryFolder() {
    const path = mkdtempSync(join(tmpdir(), "weir-test-"));
    return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
