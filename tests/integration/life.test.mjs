// SPDX-License-Identifier: Apache-2.0
// A node's start and end, and what it says meanwhile.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { run } from "./support/process.mjs";
import { Redis, storeReady } from "./support/redis.mjs";
import { Upstream, model } from "./support/upstream.mjs";
import { eventually, sleep } from "./support/wait.mjs";
import { Node, SECRETS, WEIR, configuration, refusesToStart } from "./support/weir.mjs";

/** A stream of about two seconds, after its first bytes came: {rest: Promise<string>}. */
async function openStream(node) {
    const answer = await fetch(`${node.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${SECRETS.a}`, "content-type": "application/json" },
        body: JSON.stringify({
            model: "weir-mock",
            messages: [{ role: "user", content: "Hello" }],
            stream: true,
        }),
    });
    assert.equal(answer.status, 200);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const first = await reader.read();
    const rest = (async () => {
        let text = first.value;
        for (;;) {
            const { done, value } = await reader.read();
            if (done) {
                return text;
            }
            text += value;
        }
    })();
    return { rest };
}

const SLOW = {
    seed: 1,
    output_tokens: { mean: 40, max: 40 },
    first_token_ms: 50,
    tokens_per_s: 20,
};

describe("the end of a node", () => {
    it("waits for the answers under way, and takes no new connection", async () => {
        const node = await Node.start(configuration({ mock: SLOW }));
        const idle = connect(node.port, "127.0.0.1");
        await once(idle, "connect");
        const idleClosed = once(idle, "close");
        const { rest } = await openStream(node);
        const ended = node.stop();
        await eventually(
            () =>
                fetch(`${node.url}/healthz`).then(
                    () => false,
                    () => true,
                ),
            "no new connections",
        );
        await idleClosed;
        assert.match(await rest, /data: \[DONE\]\n\n$/);
        await ended;
    });

    it("answers what was on its way on a new connection", async () => {
        const node = await Node.start();
        const fresh = connect(node.port, "127.0.0.1").setEncoding("utf8");
        await once(fresh, "connect");
        assert.equal((await node.ask("GET", "/healthz")).status, 200); // both are taken by now
        const ended = node.stop();
        await node.program.says(/stopping/);
        fresh.write("GET /healthz HTTP/1.1\r\nHost: weir\r\n\r\n");
        const answer = (await fresh.toArray()).join("");
        assert.match(answer, /^HTTP\/1\.1 200 .*connection: close\r\n/s);
        await ended;
    });

    it("does not wait for ever", async () => {
        const endless = { ...SLOW, tokens_per_s: 1 }; // 40 s
        const node = await Node.start(
            configuration({ mock: endless, http: { drain_timeout_ms: 200 } }),
        );
        const { rest } = await openStream(node);
        const cut = assert.rejects(rest);
        const started = Date.now();
        await node.stop();
        assert.ok(Date.now() - started < 10000);
        await cut;
    });

    it("settles what it cut, in a store that others share", async () => {
        const redis = await Redis.start();
        const u = await Upstream.start(model({ words: 1000, delayMs: 50 }));
        const config = configuration({ store: redis.url, nodes: 2, store_timeout_ms: 2000 });
        const other = await Node.start(config);
        await storeReady(other);
        for (const changes of [{ mock: SLOW }, { upstreams: [{ name: "u", base_url: u.url }] }]) {
            await redis.empty();
            const node = await Node.start({
                ...config,
                ...changes,
                http: { drain_timeout_ms: 100 },
            });
            await storeReady(node);
            const { rest } = await openStream(node);
            const cut = assert.rejects(rest);
            await node.stop();
            await cut;
            let used;
            await eventually(async () => {
                used = (await other.limits("a"))["output_tokens/60"].used;
                return used > 0 && used < 100;
            }, "the settlement").catch((error) => {
                throw new Error(`${error.message}: ${used} used`);
            });
        }
        await other.stop();
        await u.stop();
        await redis.stop();
    });

    it("leaves nothing of what waited for the store", async () => {
        const redis = await Redis.start();
        const u = await Upstream.start(model({ words: 1000, delayMs: 10 }));
        const upstreams = [{ name: "u", base_url: u.url }];
        for (const changes of [{}, { upstreams }, { upstreams, workers: 2 }]) {
            const node = await Node.start(
                configuration({
                    store: redis.url,
                    mode: "exact", // each request waits
                    plans: { p: { limits: { output_tokens: "1M/min" }, reserve: { fixed: 1 } } },
                    keys: [{ id: "a", secret: SECRETS.a, plan: "p" }],
                    store_timeout_ms: 30000,
                    http: { drain_timeout_ms: 100 },
                    ...changes,
                }),
            );
            await storeReady(node);
            const { rest } = await openStream(node); // outgrows its reservation, and waits for more
            redis.program.signal("SIGSTOP");
            const look = { key: "id:a", input_tokens: 1, output_tokens: 1 };
            const asked = [
                node.chat(SECRETS.a),
                node.acquire(look),
                node.ask("GET", "/v1/usage", { key: SECRETS.a }),
            ];
            const ended = Promise.allSettled([...asked, rest]);
            await sleep(100); // they have arrived
            await node.stop(); // a sanitizer that saw a leak makes it fail
            await ended;
            redis.program.signal("SIGCONT");
        }
        await u.stop();
        await redis.stop();
    });

    it("keeps what an abandoned stream used, and gives back the rest", async () => {
        const node = await Node.start(configuration({ mock: SLOW }));
        const abort = new AbortController();
        await fetch(`${node.url}/v1/chat/completions`, {
            method: "POST",
            signal: abort.signal,
            headers: { authorization: `Bearer ${SECRETS.a}`, "content-type": "application/json" },
            body: JSON.stringify({
                model: "weir-mock",
                messages: [{ role: "user", content: "Hello" }],
                stream: true,
                max_tokens: 1000,
            }),
        });
        assert.equal((await node.limits("a"))["output_tokens/60"].used, 1000);
        abort.abort();
        await eventually(
            async () => (await node.limits("a"))["output_tokens/60"].used <= 40,
            "the reservation of the abandoned stream to be settled",
        );
        await node.stop();
    });
});

describe("a node that cannot start", () => {
    it("names the port that is taken", async () => {
        const node = await Node.start();
        for (const workers of [1, 2]) {
            const config = configuration({ listen: `127.0.0.1:${node.port}`, workers });
            const { code, output } = await refusesToStart(config);
            assert.equal(code, 1, output);
            assert.match(output, new RegExp(`127\\.0\\.0\\.1:${node.port}`));
            assert.match(output, /in use|taken/);
        }
        await node.stop();
    });

    it("names the mistake in its configuration", async () => {
        const { code, output } = await refusesToStart("workers: 1\nstore: memcached\n");
        assert.notEqual(code, 0);
        assert.match(output, /weir\.yaml:2:8: /);
        assert.match(output, /embedded/);
    });

    it("refuses a Redis that may evict its windows", async () => {
        const redis = await Redis.start({ policy: "allkeys-lru" });
        const { code, output } = await refusesToStart(configuration({ store: redis.url }));
        assert.equal(code, 1, output);
        assert.match(output, /noeviction/);
        assert.match(output, /allkeys-lru/);
        await redis.stop();
    });

    it("refuses a Redis that does not let it in, without telling the password", async () => {
        const redis = await Redis.start({
            tcp: true,
            args: ["--requirepass", "the-right-password"],
        });
        const store = (user) => redis.tcpUrl.replace("redis://", `redis://${user}`);
        for (const wrong of ["", ":the-wrong-password@", "nobody:the-wrong-password@"]) {
            const { code, output } = await refusesToStart(configuration({ store: store(wrong) }));
            assert.equal(code, 1, output);
            assert.doesNotMatch(output, /the-wrong-password/);
        }
        const right = `${store(":the-right-password@")}/3`;
        const node = await Node.start(configuration({ store: right }));
        await storeReady(node);
        assert.equal((await node.chat(SECRETS.a)).status, 200);
        const login = ["--no-auth-warning", "-a", "the-right-password", "-n", "3"];
        assert.match(await redis.command(...login, "DBSIZE"), /^[1-9]\d*$/);
        assert.doesNotMatch(node.log, /the-right-password/);
        await node.stop();
        await redis.stop();
    });
});

describe("the command line", () => {
    it("overrides the file by flags", async () => {
        const node = await Node.start(configuration({ store: "redis://127.0.0.1:1" }), {
            args: ["--store", "embedded", "--workers", "2"],
        });
        assert.equal((await node.ask("GET", "/readyz")).status, 200);
        await node.stop();
    });

    it("says what is wrong on stderr and how it ends", async () => {
        for (const [args, said] of [
            [["nonsense"], /"nonsense"/],
            [["serve", "--nonsense"], /option --nonsense;/],
            [["serve", "--config"], /--config expects a value/],
            [["serve", "-xy"], /option -xy;/],
            [["serve", "x"], /unexpected "x";/],
            [["serve", "--workers=0"], /: --workers: expected a whole number from 1 to 256/],
            [["serve", "--config", "examples/demo.yaml", "--nodes", "0"], /serve: --nodes: /],
            [["serve", "--on-store-failure=fail"], /: --on-store-failure: expected local/],
            [["check-config"], /expected the path/],
        ]) {
            const { code, output } = await run(WEIR, args);
            assert.equal(code, 2, args.join(" "));
            assert.match(output, said);
        }
    });

    it("does not tell a password that stands in a flag", async () => {
        const { code, output } = await run(WEIR, ["serve", "--store=redis://:told-to-nobody@h:x"]);
        assert.equal(code, 2);
        assert.match(output, /--store: expected/);
        assert.doesNotMatch(output, /told-to-nobody/);
    });

    it("fails for a file that is not there", async () => {
        const { code, output } = await run(WEIR, ["serve", "--config", "/nonexistent/weir.yaml"]);
        assert.notEqual(code, 0);
        assert.match(output, /\/nonexistent\/weir\.yaml/);
    });
});
