// SPDX-License-Identifier: Apache-2.0
// A long mixed run through weir to the mock model server, which fails and breaks off at random while
// clients give up: what weir settled is what the mock says that it produced.
import assert from "node:assert/strict";
import { it } from "node:test";
import { Mock } from "./support/mock.mjs";
import { onEachStore } from "./support/stores.mjs";
import { eventually } from "./support/wait.mjs";
import { SECRETS, configuration } from "./support/weir.mjs";

const MESSAGES = [{ role: "user", content: "Tell me of the river." }];
const SHAPES = [
    ["/v1/chat/completions", { messages: MESSAGES }, "max_tokens"],
    ["/v1/completions", { prompt: "The river" }, "max_tokens"],
    ["/v1/responses", { input: "The river" }, "max_output_tokens"],
    ["/v1/messages", { messages: MESSAGES }, "max_tokens"],
];
const TOTAL = 600;
const LONG = 600; // two seconds of tokens: who gives up comes in time on a busy machine

onEachStore("an audit of what upstreams produced", (start) => {
    it("agrees with them to the token", async (t) => {
        // shares of failures and of streams that end early
        const mock = await Mock.start(
            ...["--seed", "7", "--tokens-per-s", "300", "--api-key", "sk-mock"],
            ...["--fail", "500:3%", "--fail", "503:2%", "--abort", "5%"],
        );
        t.after(() => mock.stop());
        const limits = { requests: "1M/min", input_tokens: "1G/min", output_tokens: "1G/min" };
        const node = await start(
            configuration({
                upstreams: [{ name: "mock", base_url: mock.url, api_key: "sk-mock" }],
                plans: { p: { limits } },
                keys: ["a", "b"].map((id) => ({ id, secret: SECRETS[id], plan: "p" })),
            }),
        );
        /** One request; with `until` its client goes when it has seen so many bytes, of as many tokens as
         * the mock likes or of `tokens`. */
        async function one(id, i, until = Infinity, tokens = 0) {
            const [path, json, max] = SHAPES[i % SHAPES.length];
            const stream = until < Infinity || i % 3 > 0;
            const going = new AbortController();
            const answer = await fetch(node.url + path, {
                method: "POST",
                signal: going.signal,
                headers: {
                    authorization: `Bearer ${SECRETS[id]}`,
                    "content-type": "application/json",
                    "x-mock-trace": id,
                    ...(tokens > 0 ? { "x-mock-output-tokens": `${tokens}` } : {}),
                },
                body: JSON.stringify({
                    ...{ model: "gpt-4o", ...json, user: `${i}`, stream },
                    [max]: tokens > 0 ? tokens : 60,
                }),
            });
            const reader = answer.body.getReader();
            for (let seen = 0; ; ) {
                const { done, value } = await reader.read().catch(() => ({ done: true })); // the mock went
                seen += value?.length ?? 0;
                if (seen >= until) {
                    going.abort(); // and waits for nothing: the body may be told neither an end nor an error
                }
                if (done || seen >= until) {
                    return;
                }
            }
        }
        for (let i = 0; i < TOTAL; i += 20) {
            await Promise.all(
                Array.from({ length: 20 }, (_, k) =>
                    k % 10 === 9
                        ? one("b", i + k, 400 + 30 * k, k === 9 ? LONG : 0)
                        : one("a", i + k),
                ),
            );
        }
        const whole = await mock.trace("a");
        const given = await mock.trace("b");
        assert.ok(whole.completed.requests > TOTAL / 2, JSON.stringify(whole));
        assert.ok(whole.aborted.requests > 0 && whole.failed.requests > 0, JSON.stringify(whole));
        assert.ok(given.cancelled.requests > TOTAL / 40, JSON.stringify(given));
        const of = async (id, meter) => (await node.limits(id))[`${meter}/60`].used;
        await eventually(
            async () => (await of("a", "output_tokens")) === whole.output_tokens,
            `${JSON.stringify(whole)} to be settled`,
        ).catch(async (error) => {
            assert.equal(await of("a", "output_tokens"), whole.output_tokens, error.message);
        });
        assert.equal(await of("a", "requests"), TOTAL * 0.9);
        // of what was given up some had left the mock, and had not come to weir
        const least = given.completed.output_tokens + given.aborted.output_tokens;
        await eventually(async () => {
            const now = await of("b", "output_tokens");
            return now >= least && now <= given.output_tokens;
        }, `${JSON.stringify(given)} to be settled`);
        assert.equal(await of("b", "requests"), TOTAL * 0.1);
    });
});
