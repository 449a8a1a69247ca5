// SPDX-License-Identifier: Apache-2.0
// A node before upstreams of the test's own, and what it has charged.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { Upstream } from "./upstream.mjs";
import { eventually } from "./wait.mjs";
import { Node, SECRETS, configuration } from "./weir.mjs";

export const ASK = { model: "m", messages: [{ role: "user", content: "Hello" }], max_tokens: 100 };

export async function upstream(t, answer) {
    const u = await Upstream.start(answer);
    t.after(() => u.stop());
    return u;
}

/** A node in front of these: {name: Upstream or fields}. */
export async function gateway(t, upstreams, changes = {}) {
    const list = Object.entries(upstreams).map(([name, u]) => ({
        name,
        ...(u instanceof Upstream ? { base_url: u.url } : u),
    }));
    const node = await Node.start(configuration({ upstreams: list, ...changes }));
    t.after(() => node.stop());
    return node;
}

export function client(node, key = SECRETS.a) {
    return new OpenAI({ apiKey: key, baseURL: `${node.url}/v1`, maxRetries: 0 });
}

export async function used(node, id = "a") {
    const limits = await node.limits(id);
    return {
        requests: limits["requests/60"].used,
        input: limits["input_tokens/60"].used,
        output: limits["output_tokens/60"].used,
    };
}

/** Waits for what is settled when its client does not. */
export async function comesTo(node, expected) {
    let last;
    try {
        await eventually(async () => {
            last = await used(node);
            return JSON.stringify(last) === JSON.stringify(expected);
        }, "the settlement");
    } catch {
        assert.deepEqual(last, expected);
    }
}
