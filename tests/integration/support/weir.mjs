// SPDX-License-Identifier: Apache-2.0
// weir itself, from WEIR_BIN: a node on a port that the kernel chose.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Program, run, temporaryFolder } from "./process.mjs";

export const WEIR = process.env.WEIR_BIN ?? "build/release/src/weir";

/** Secrets of the keys of `configuration`; no log, metric or error may hold one. */
export const SECRETS = {
    a: "sk-test-secret-a",
    b: "sk-test-secret-b",
    tiny: "sk-test-secret-tiny",
};

/** Keys a and b on a roomy plan, tiny on one that two requests exhaust. */
export function configuration(changes = {}) {
    return {
        listen: "127.0.0.1:0",
        workers: 1,
        plans: {
            roomy: {
                limits: {
                    requests: "1000/min",
                    input_tokens: "100k/min",
                    output_tokens: ["50k/min", "1M/day"],
                },
                default_output_tokens: 256,
            },
            tiny: {
                limits: { requests: "2/min", input_tokens: "1000/min", output_tokens: "500/min" },
                default_output_tokens: 20,
            },
        },
        keys: [
            { id: "a", secret: SECRETS.a, plan: "roomy" },
            { id: "b", secret: SECRETS.b, plan: "roomy" },
            { id: "tiny", secret: SECRETS.tiny, plan: "tiny" },
        ],
        mock: { seed: 1, output_tokens: { mean: 20, max: 64 } },
        ...changes,
    };
}

/** One key "k" whose plan has these limits. */
export function oneKey(limits, changes = {}) {
    return configuration({
        plans: { only: { limits, default_output_tokens: 10 } },
        keys: [{ id: "k", secret: "sk-test-secret-k", plan: "only" }],
        ...changes,
    });
}

/** A YAML file is what weir reads, and JSON is YAML. */
export function writeConfiguration(folder, config) {
    const path = join(folder, "weir.yaml");
    writeFileSync(path, typeof config === "string" ? config : JSON.stringify(config, null, 2));
    return path;
}

export class Node {
    static async start(config = configuration(), { args = [], env = {} } = {}) {
        const folder = temporaryFolder();
        const path = writeConfiguration(folder.path, config);
        const program = new Program(WEIR, ["serve", "--config", path, ...args], env);
        try {
            const [, port] = await program.says(/weir: listening on 127\.0\.0\.1:(\d+)/);
            return new Node(program, folder, Number(port), config);
        } catch (error) {
            program.signal("SIGKILL");
            folder.remove();
            throw error;
        }
    }

    constructor(program, folder, port, config) {
        this.program = program;
        this.configuration = config;
        this.folder = folder;
        this.port = port;
        this.url = `http://127.0.0.1:${port}`;
    }

    get log() {
        return this.program.output;
    }

    /** Every node must end well: a crash, a leak or a race that a sanitizer saw is a failure. */
    async stop() {
        const how = await this.program.end();
        this.folder.remove();
        assert.deepEqual(how, { code: 0, signal: null }, this.log);
    }

    /** An answer as {status, headers, text, body}; body is the parsed JSON or undefined. */
    async ask(method, path, { key, json, body, headers = {} } = {}) {
        const answer = await fetch(this.url + path, {
            method,
            headers: {
                ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
                ...(json === undefined ? {} : { "content-type": "application/json" }),
                ...headers,
            },
            body: json === undefined ? body : JSON.stringify(json),
        });
        const text = await answer.text();
        let parsed;
        try {
            parsed = JSON.parse(text);
        } catch {
            parsed = undefined;
        }
        return { status: answer.status, headers: answer.headers, text, body: parsed };
    }

    acquire(json, options = {}) {
        return this.ask("POST", "/weir/v1/acquire", { json, ...options });
    }

    settle(json, options = {}) {
        return this.ask("POST", "/weir/v1/settle", { json, ...options });
    }

    chat(key, changes = {}) {
        const json = {
            model: "weir-mock",
            messages: [{ role: "user", content: "Hello" }],
            ...changes,
        };
        return this.ask("POST", "/v1/chat/completions", { key, json });
    }

    /** A key's limits as {"meter/window_s": limit}, by a look that charges nothing. */
    async limits(id) {
        const look = await this.acquire({
            key: `id:${id}`,
            input_tokens: 0,
            output_tokens: 0,
            requests: 0,
        });
        assert.equal(look.status, 200, look.text);
        return byName(look.body.limits);
    }
}

export function byName(limits) {
    return Object.fromEntries(limits.map((limit) => [`${limit.meter}/${limit.window_s}`, limit]));
}

/** A node that must refuse to start: {code, output}. */
export async function refusesToStart(config, args = []) {
    const folder = temporaryFolder();
    try {
        const path = writeConfiguration(folder.path, config);
        return await run(WEIR, ["serve", "--config", path, ...args]);
    } finally {
        folder.remove();
    }
}
