// SPDX-License-Identifier: Apache-2.0
// The official clients in front of weir, and weir in front of `weir mock`: each test has a key of its own,
// and what its client was told as usage is what the windows of that key must hold.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import OpenAI from "openai";
import { eventually } from "./wait.mjs";
import { configuration } from "./weir.mjs";

const KEYS = 24; // of each plan
const UPSTREAM_KEY = "sk-upstream-of-weir";

/** What a mock is started with that clients reach only through weir. */
export const MOCK = ["--api-key", UPSTREAM_KEY];

export function upstream(name, mock, fields = {}) {
    return { name, base_url: `${mock.url}/v1`, api_key: UPSTREAM_KEY, ...fields };
}

/** Input and output of a usage in any of the forms that clients get; of embeddings no output. */
function tokens(usage) {
    const cached = (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);
    return {
        input: (usage.prompt_tokens ?? usage.inputTokens ?? usage.input_tokens) + cached,
        output: usage.completion_tokens ?? usage.outputTokens ?? usage.output_tokens ?? 0,
    };
}

/** A key, its clients, and the sum of what they were told. */
class Account {
    constructor(node, id) {
        this.node = node;
        this.id = id;
        this.secret = secret(id);
        this.answers = []; // {status, headers} of each answer of weir, those that clients retry too
        this.requests = 0;
        this.input = 0;
        this.output = 0;
    }

    /** fetch, but every answer is remembered; `asked` may change the headers of a request. */
    fetch(asked = () => {}) {
        return async (url, init) => {
            const headers = new Headers(init.headers);
            asked(headers);
            const answer = await fetch(url, { ...init, headers });
            this.answers.push({ status: answer.status, headers: answer.headers });
            return answer;
        };
    }

    get statuses() {
        return this.answers.map(({ status }) => status);
    }

    #options(options) {
        return { apiKey: this.secret, maxRetries: 0, fetch: this.fetch(), ...options };
    }

    openai(options) {
        return new OpenAI({ baseURL: `${this.node.url}/v1`, ...this.#options(options) });
    }

    anthropic(options) {
        return new Anthropic({ baseURL: this.node.url, ...this.#options(options) });
    }

    /** Vercel's provider of OpenAI's models. */
    vercelOpenAI(options) {
        return createOpenAI({ baseURL: `${this.node.url}/v1`, ...this.#options(options) });
    }

    vercelAnthropic(options) {
        return createAnthropic({ baseURL: `${this.node.url}/v1`, ...this.#options(options) });
    }

    /** One request of which a client was told this usage, which it gives back. */
    told(usage) {
        const { input, output } = tokens(usage);
        assert.ok(Number.isInteger(input) && Number.isInteger(output), JSON.stringify(usage));
        this.requests++;
        this.input += input;
        this.output += output;
        return usage;
    }

    /** So many requests without tokens. */
    toldNothing(requests = 1) {
        this.requests += requests;
    }

    async used() {
        const limits = await this.node.limits(this.id);
        const of = (meter) => {
            const limit = limits[`${meter}/60`];
            assert.equal(limit.remaining, Math.max(0, limit.capacity - limit.used));
            return limit.used;
        };
        return {
            requests: of("requests"),
            input: of("input_tokens"),
            output: of("output_tokens"),
        };
    }

    /** The windows come to what the clients were told, to the token. */
    async settled() {
        const { requests, input, output } = this;
        const expected = { requests, input, output };
        let last;
        await eventually(async () => {
            last = await this.used();
            return JSON.stringify(last) === JSON.stringify(expected);
        }, "the settlement").catch(() => assert.deepEqual(last, expected));
    }
}

const secret = (id) => `sk-test-secret-${id}`;

/** A node whose plans each have keys enough for its tests; `account(plan)` is the next one of them.
 * plans: {name: fields}; limits that a plan does not name are roomy, and of a minute. */
export async function gateway(start, upstreams, plans, changes = {}) {
    const roomy = { requests: "1000/min", input_tokens: "1M/min", output_tokens: "1M/min" };
    const entries = Object.entries(plans);
    const ids = (plan) => Array.from({ length: KEYS }, (_, i) => `${plan}-${i}`);
    const node = await start(
        configuration({
            mode: "exact", // what a lease took ahead would be in the way
            plans: Object.fromEntries(
                entries.map(([plan, { limits, ...fields }]) => [
                    plan,
                    { limits: { ...roomy, ...limits }, default_output_tokens: 64, ...fields },
                ]),
            ),
            keys: entries.flatMap(([plan]) =>
                ids(plan).map((id) => ({ id, secret: secret(id), plan })),
            ),
            upstreams,
            models: { "gpt-4o": {}, "claude-sonnet": {} },
            ...changes,
        }),
    );
    const free = Object.fromEntries(entries.map(([plan]) => [plan, ids(plan)]));
    const account = (plan = entries[0][0]) => {
        const id = free[plan].shift();
        assert.ok(id, `no key of ${plan} is left`);
        return new Account(node, id);
    };
    return { node, account };
}

export async function all(stream) {
    const events = [];
    for await (const event of stream) {
        events.push(event);
    }
    return events;
}

/** The first `count` events in which `wanted` finds something. Then the client gives up, by `abort`, and
 * nothing is waited for: the body of an aborted request may be told neither an end nor an error. */
export async function giveUp(stream, count, wanted, abort) {
    const iterator = stream[Symbol.asyncIterator]();
    for (let found = 0; found < count; ) {
        const { done, value } = await iterator.next();
        assert.ok(!done, `the stream ended after ${found} of ${count}`);
        found += wanted(value) ? 1 : 0;
    }
    abort();
}

/** What a promise was refused with, which must be of this class. */
export async function refused(promise, Class) {
    const error = await promise.then(
        (answer) => assert.fail(`answered: ${JSON.stringify(answer)}`),
        (caught) => caught,
    );
    assert.ok(error instanceof Class, `${error.constructor.name} is no ${Class.name}: ${error}`);
    return error;
}
