// SPDX-License-Identifier: Apache-2.0
// The load tester against real servers: its figures against what the node itself counted, and how
// it behaves when the server stalls, breaks off or is not there.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Mock } from "./support/mock.mjs";
import { Program, run, temporaryFolder } from "./support/process.mjs";
import { eventually, sleep } from "./support/wait.mjs";
import { Node, WEIR, configuration } from "./support/weir.mjs";

let folder;
before(() => {
    folder = temporaryFolder();
});
after(() => folder.remove());

let reports = 0;

/** Runs weir load: {code, output, report}; report is the JSON, undefined when there was none. */
async function load(target, flags) {
    const path = join(folder.path, `report-${reports++}.json`);
    const args = Object.entries({ clients: 4, rate: 100, duration: 1, keys: "k", ...flags })
        .filter(([, value]) => value !== undefined)
        .map(([flag, value]) => `--${flag}=${value}`);
    const { code, output } = await run(WEIR, [
        ...["load", `--target=${target}`, `--json=${path}`],
        ...args,
    ]);
    const text = readFileSync(path, "utf8");
    return { code, output, report: text === "" ? undefined : JSON.parse(text) };
}

/** An HTTP server that answers by `answer`: {url, connections, close}. */
async function fakeServer(answer) {
    const server = createServer((request, response) => {
        request.resume().on("end", () => answer(response));
    });
    const fake = { connections: 0 };
    server.on("connection", () => fake.connections++);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    fake.url = `http://127.0.0.1:${server.address().port}`;
    fake.close = () => {
        server.closeAllConnections();
        server.close();
    };
    return fake;
}

function addsUp(report) {
    assert.equal(report.requests, report.allowed + report.denied + report.errors);
    const sum = (field) => report.keys.reduce((total, key) => total + key[field], 0);
    assert.equal(sum("requests"), report.requests - report.unfinished);
    assert.equal(sum("allowed"), report.allowed);
    assert.equal(sum("denied"), report.denied);
    const meters = Object.values(report.denied_by).reduce((total, n) => total + n, 0);
    assert.equal(meters, report.denied);
    const { p50, p95, p99, max } = report.latency_ms;
    assert.ok(p50 <= p95 && p95 <= p99 && p99 <= max, JSON.stringify(report.latency_ms));
}

describe("weir load and a node", () => {
    let node;
    before(async () => {
        const wide = { requests: "1M/min", input_tokens: "100M/min", output_tokens: "100M/min" };
        const plans = {
            wide: wide,
            input: { ...wide, input_tokens: "200/min" },
            output: { ...wide, output_tokens: "200/min" },
            requests: { ...wide, requests: "7/min" },
            total: { total_tokens: "300/min" },
        };
        node = await Node.start(
            configuration({
                plans: Object.fromEntries(
                    Object.entries(plans).map(([name, limits]) => [
                        name,
                        { limits, default_output_tokens: 20 },
                    ]),
                ),
                keys: Object.keys(plans).map((id) => ({ id, secret: `sk-load-${id}`, plan: id })),
            }),
        );
    });
    after(() => node.stop());

    it("counts what the node counted, by meter and by key", async () => {
        const names = ["wide", "input", "output", "requests"];
        const { code, output, report } = await load(node.url, {
            rate: 200,
            keys: names.map((id) => `sk-load-${id}`).join(","),
            "prompt-tokens": "50-60",
            "max-tokens": "50-60",
        });
        assert.equal(code, 0, output);
        addsUp(report);
        assert.equal(report.requests, 200);
        assert.equal(report.errors, 0);
        const key = Object.fromEntries(
            report.keys.map((row) => [row.key.replace("sk-load-", ""), row]),
        );
        assert.equal(key.wide.denied, 0);
        assert.equal(key.requests.allowed, 7);
        assert.deepEqual(report.denied_by, {
            input_tokens: key.input.denied,
            output_tokens: key.output.denied,
            requests: key.requests.denied,
        });
        assert.ok(key.input.denied > 0 && key.output.denied > 0, JSON.stringify(report));
        for (const id of names) {
            const limits = await node.limits(id);
            assert.equal(limits["requests/60"].used, key[id].allowed, id);
        }
        const lines = output.split("\n").map((line) => line.trim().split(/\s+/).join(" "));
        assert.ok(lines.includes(`${key.input.denied} by input_tokens`), output);
        const { requests, denied } = key.requests;
        assert.ok(lines.includes(`sk-load-requests ${requests} 7 ${denied} 0`), output);
    });

    it("knows a limit of the sum of tokens too", async () => {
        const { code, output, report } = await load(node.url, { keys: "sk-load-total" });
        assert.equal(code, 0, output);
        addsUp(report);
        assert.equal(report.denied_by.total_tokens, report.denied);
        assert.ok(report.denied > 0);
    });

    it("makes prompts of about as many tokens as were asked for", async () => {
        const before = (await node.limits("wide"))["input_tokens/60"].used;
        const { report } = await load(node.url, {
            keys: "sk-load-wide",
            "prompt-tokens": "1000-1000",
        });
        const used = (await node.limits("wide"))["input_tokens/60"].used - before;
        const each = used / report.allowed;
        assert.ok(each > 800 && each < 1250, `${each} tokens each`);
    });

    it("repeats a run by its seed", async () => {
        const by = async (seed) => {
            const { report } = await load(node.url, {
                keys: "sk-load-wide,none",
                rate: 300,
                duration: 0.3,
                seed,
            });
            assert.equal(report.errors, report.keys[1].requests, "401 is an error");
            return report.keys[0].requests;
        };
        assert.equal(await by(5), await by(5));
    });

    it("writes a page that needs nothing else, for its owner only", async () => {
        const html = join(folder.path, "report.html");
        writeFileSync(html, "x".repeat(200000));
        const { code, output } = await load(node.url, { keys: "sk-load-wide,<i>&", html });
        assert.equal(code, 0, output);
        const page = readFileSync(html, "utf8");
        assert.match(page, /^<!doctype html>/);
        assert.match(page, /<\/html>\n$/, "what stood there before is gone");
        assert.equal(page.match(/<svg/g).length, 3);
        assert.equal(page.match(/<svg/g).length, page.match(/<\/svg>/g).length);
        assert.doesNotMatch(page, /<i>&|<script|(?:src|href)=|url\(|NaN|nan|inf\b/);
        assert.match(page, /&lt;i&gt;&amp;/);
        assert.match(page, /default-src 'none'/);
        const fresh = join(folder.path, "fresh.html");
        await load(node.url, { keys: "sk-load-wide", duration: 0.1, html: fresh });
        assert.equal(statSync(fresh).mode & 0o777, 0o600);
    });

    it("draws a progress bar on a terminal", async () => {
        const command = `${WEIR} load --target ${node.url} --keys sk-load-wide --duration 0.5`;
        const { code, output } = await run("script", ["-qec", command, "/dev/null"]);
        assert.equal(code, 0, output);
        assert.match(output, /\r\x1b\[K\[#+\.*\] 0\.\d\/0\.5 s {2}\d+ allowed {2}0 denied\r/);
        assert.match(output, /\r\x1b\[Krequests +50 /, "it is gone before the report");
    });

    it("prints the report when it is interrupted", async () => {
        for (const signal of ["SIGINT", "SIGTERM"]) {
            const used = async () => (await node.limits("wide"))["requests/60"].used;
            const before = await used();
            const program = new Program(WEIR, [
                ...["load", "--target", node.url, "--keys", "sk-load-wide", "--duration", "60"],
            ]);
            await eventually(async () => (await used()) > before + 10, "the first requests");
            const started = Date.now();
            const how = await program.end(signal);
            assert.ok(Date.now() - started < 10000, "at once");
            assert.deepEqual(how, { code: 0, signal: null }, program.output);
            assert.match(program.output, /^requests +\d+ {2}in \d\.\d+ s \(interrupted\)/);
            assert.match(program.output, /latency +mean/);
        }
    });
});

describe("weir load and a server in trouble", () => {
    const ok = (response) => response.end("{}");

    it("lets a stall show in the latency of all that was due meanwhile", async () => {
        let stalledUntil = 0;
        let answers = 0;
        const fake = await fakeServer(async (response) => {
            if (++answers === 50) {
                stalledUntil = Date.now() + 1000;
            }
            await sleep(Math.max(0, stalledUntil - Date.now()));
            ok(response);
        });
        const { code, output, report } = await load(fake.url, {
            clients: 2,
            rate: 200,
            duration: 2,
        });
        fake.close();
        assert.equal(code, 0, output);
        addsUp(report);
        assert.equal(report.requests, 400, "nothing is left out");
        assert.ok(report.latency_ms.max > 900, output);
        // 200 of 400 became due in the stalled second, though only two were on their way in it
        assert.ok(report.latency_ms.mean > 150, output);
        assert.ok(report.latency_ms.p95 > 700, output);
        assert.equal(fake.connections, 2);
    });

    it("gives up what a server without end holds up, and counts it", async () => {
        const silent = createTcpServer(() => {});
        silent.listen(0, "127.0.0.1");
        await once(silent, "listening");
        const sockets = new Set();
        silent.on("connection", (socket) => sockets.add(socket.on("error", () => {})));
        const { code, output, report } = await load(`http://127.0.0.1:${silent.address().port}`, {
            clients: 2,
            rate: 20,
            duration: 0.5,
        });
        sockets.forEach((socket) => socket.destroy());
        silent.close();
        assert.equal(code, 1, output);
        addsUp(report);
        assert.equal(report.requests, 10);
        assert.equal(report.errors, 10);
        assert.match(output, / 2 {2}no answer, .*: nothing came for 10 s\n/);
        assert.equal(report.unfinished, 8);
        assert.match(output, / 8 {2}due, but given up 10 s after the end\n/);
    });

    it("says which target is not there", async () => {
        const { code, output, report } = await load("http://127.0.0.1:1", {});
        assert.equal(code, 1);
        assert.equal(
            output,
            "weir load: cannot connect to http://127.0.0.1:1: connection refused\n",
        );
        assert.equal(report, undefined);
    });

    it("goes on when connections break, and says why they did", async () => {
        let answers = 0;
        const fake = await fakeServer((response) => {
            if (++answers % 10 === 0) {
                response.socket.destroy();
            } else {
                ok(response);
            }
        });
        const { code, output, report } = await load(fake.url, {});
        fake.close();
        assert.equal(code, 0, output);
        addsUp(report);
        assert.equal(report.requests, 100);
        assert.equal(report.errors, 10);
        assert.match(output, /broken off, first from http:\/\/127\.0\.0\.1:\d+: /);
    });

    it("reads every kind of body and opens a new connection where it must", async () => {
        let answers = 0;
        const fake = await fakeServer((response) => {
            const kind = answers++ % 4;
            if (kind === 0) {
                response.writeHead(200, { connection: "close" }).end("until the end");
            } else if (kind === 1) {
                response.write("one chunk");
                setTimeout(() => response.end("another"), 5);
            } else if (kind === 2) {
                response.writeProcessing();
                response.end("after an interim answer");
            } else {
                response.writeHead(429, { "content-length": 0 }).end();
            }
        });
        // all are due nearly at once: the next request follows each answer without a pause
        const { code, output, report } = await load(fake.url, {
            clients: 1,
            rate: 1000,
            duration: 0.1,
        });
        fake.close();
        assert.equal(code, 0, output);
        addsUp(report);
        assert.equal(report.allowed, 75, output);
        assert.deepEqual(report.denied_by, {
            input_tokens: 0,
            output_tokens: 0,
            requests: 0,
            unnamed: 25,
        });
        assert.equal(fake.connections, 26);
    });

    it("takes the targets at random", async () => {
        const counts = [0, 0];
        const fakes = await Promise.all(
            counts.map((_, i) =>
                fakeServer((response) => {
                    counts[i]++;
                    ok(response);
                }),
            ),
        );
        const { code, output } = await load(fakes.map((fake) => fake.url).join(","), { rate: 200 });
        fakes.forEach((fake) => fake.close());
        assert.equal(code, 0, output);
        assert.equal(counts[0] + counts[1], 200);
        assert.ok(counts[0] > 60 && counts[1] > 60, `${counts}`);
    });

    it("says that a report cannot be written, before the run", async () => {
        const { code, output } = await run(WEIR, [
            ...["load", "--target", "http://127.0.0.1:1", "--keys", "k"],
            ...["--json", "/nowhere/report.json"],
        ]);
        assert.equal(code, 1);
        assert.match(output, /^weir load: cannot write \/nowhere\/report\.json: /);
    });

    it("counts by all keys and shows twenty", async () => {
        const fake = await fakeServer(ok);
        const { code, output, report } = await load(fake.url, {
            keys: undefined,
            "key-count": 100000,
            "key-prefix": "sk-many-",
        });
        fake.close();
        assert.equal(code, 0, output);
        addsUp(report);
        assert.equal(report.keys.length, 100000);
        assert.equal(output.match(/^sk-many-/gm).length, 20);
        assert.match(output, /and 99980 more keys/);
    });
});

describe("weir load --trace", () => {
    const HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens";
    const write = (name, lines) => {
        const path = join(folder.path, name);
        writeFileSync(path, [HEAD, ...lines].join("\r\n"));
        return path;
    };
    /** 60 rows in 3 s, of 100 to 159 tokens in and 1 to 60 out. */
    const rows = Array.from({ length: 60 }, (_, i) => {
        const seconds = (15 + i * 0.05).toFixed(7).padStart(10, "0");
        return `2023-11-16 18:15:${seconds},${100 + i},${1 + i}`;
    });
    const sum = (column) => rows.reduce((total, row) => total + Number(row.split(",")[column]), 0);
    const flags = { rate: undefined, duration: undefined, keys: "a,b,c" };

    it("sends the trace's tokens at the trace's times", async () => {
        const mock = await Mock.start();
        const record = join(folder.path, "trace.jsonl");
        const trace = write("good.csv", rows);
        const { code, report } = await load(mock.url, { ...flags, trace, speed: 2, record });
        assert.equal(code, 0);
        assert.equal(report.allowed, 60);
        assert.ok(report.duration_s > 1.4 && report.duration_s < 2.7, `${report.duration_s} s`);
        assert.equal(report.trace.offered.output_tokens, sum(2));
        assert.deepEqual(report.trace.offered, report.trace.allowed);
        const { total } = await mock.usage();
        assert.equal(total.output_tokens, sum(2));
        assert.ok(Math.abs(total.input_tokens - sum(1)) < 90, `${total.input_tokens} input tokens`);
        const lines = readFileSync(record, "utf8").trim().split("\n").map(JSON.parse);
        assert.equal(lines.reduce((all, line) => all + line.output_tokens, 0), sum(2));
        // the times between requests, halved
        const sent = lines.map((line) => line.sent_us).sort((a, b) => a - b);
        const late = sent.map((at, i) => at - sent[0] - i * 25000);
        assert.ok(late.filter((us) => Math.abs(us) < 100000).length > 30, `${late}`);
        await mock.stop();
    });

    it("cuts what a key's maximum cuts; exact asks for what comes", async () => {
        const mock = await Mock.start();
        const trace = write("cut.csv", rows);
        await load(mock.url, { ...flags, trace, speed: 20, "max-tokens": 10 });
        const cut = rows.reduce((all, row) => all + Math.min(10, Number(row.split(",")[2])), 0);
        assert.equal((await mock.usage()).total.output_tokens, cut);
        await load(mock.url, { ...flags, trace, speed: 20, "max-tokens": "exact" });
        assert.equal((await mock.usage()).total.output_tokens, cut + sum(2));
        await mock.stop();
    });

    it("replays a part, and against a node's own mock", async () => {
        const node = await Node.start(
            configuration({
                keys: ["a", "b", "c"].map((id) => ({ id, secret: id, plan: "roomy" })),
            }),
        );
        const trace = write("part.csv", rows);
        const { code, report } = await load(node.url, {
            ...{ ...flags, trace, duration: 0.5, speed: 2, "max-tokens": "100-200" },
        });
        assert.equal(code, 0);
        assert.equal(report.requests, 21); // at 0, 25, ... 500 ms
        const keys = await Promise.all(
            ["a", "b", "c"].map((key) => node.ask("GET", "/v1/usage", { key })),
        );
        const used = keys
            .flatMap(({ body }) => body.limits)
            .filter((limit) => limit.meter === "output_tokens" && limit.window_s === 60)
            .reduce((all, limit) => all + limit.used, 0);
        assert.equal(used, report.trace.allowed.output_tokens);
        await node.stop();
    });

    it("sends nothing when a line is wrong, and names it", async () => {
        for (const [lines, said] of [
            [[...rows.slice(0, 7), "2023-11-16 18:20:00,1,many"], /:9: GeneratedTokens: expected a/],
            [[...rows.slice(0, 3), "2023-11-16 18:00:00,1,1"], /:5: TIMESTAMP: expected a time that/],
            [[...rows.slice(0, 3), "2023-11-31 18:00:00,1,1"], /:5: TIMESTAMP: expected a time as/],
            [[rows[0], "1,2"], /:3: expected 3 fields, as the header has, got 2/],
            [[], /:1: expected at least one row/],
        ]) {
            const trace = write("wrong.csv", lines);
            const { code, output } = await run(WEIR, [
                ...["load", "--target=http://127.0.0.1:9", "--keys=k", `--trace=${trace}`],
            ]);
            assert.equal(code, 1);
            assert.match(output, said);
        }
        const { code, output } = await run(WEIR, [
            ...["load", "--target=http://127.0.0.1:9", "--keys=k", "--trace=t", "--rate=5"],
        ]);
        assert.equal(code, 2);
        assert.match(output, /--trace: expected no --rate/);
    });
});
