// SPDX-License-Identifier: Apache-2.0
// The other commands: check-config, sim, replay, and load against a node.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { run, temporaryFolder } from "./support/process.mjs";
import { Node, WEIR, configuration, writeConfiguration } from "./support/weir.mjs";

let folder;
before(() => {
    folder = temporaryFolder();
});
after(() => folder.remove());

describe("weir check-config", () => {
    const check = (config) => run(WEIR, ["check-config", writeConfiguration(folder.path, config)]);

    it("finds nothing wrong with what is right", async () => {
        assert.equal((await check(configuration())).code, 0);
        assert.equal((await check("")).code, 0);
        assert.equal((await check("# workers: 1\n")).code, 0);
    });

    it("names line, column and what was expected", async () => {
        for (const [text, place, expected] of [
            ["listen: 127.0.0.1:8000\nworker: 2\n", "2:", /worker/],
            ["workers: many\n", "1:10", /many|number/],
            ["plans:\n  low:\n    limits: {requests: 100/fortnight}\n", "3:24", /N\/min|min/],
            ["keys:\n  - {id: a, secret: s, plan: nowhere}\n", "2:30", /nowhere|plan/],
            ["listen: [\n", "2:1: ", /YAML/],
            ["workers: 1\n---\nnodes: 0\n", "2:1: ", /one YAML document/],
            ["workers: 1\0\nnonsense: 1\n", "1:1: ", /NUL/],
        ]) {
            const { code, output } = await check(text);
            assert.notEqual(code, 0, text);
            assert.match(output, new RegExp(`weir\\.yaml:${place}`), text);
            assert.match(output, expected, text);
        }
    });

    it("does not tell a secret", async () => {
        const { code, output } = await check(
            "keys:\n  - {id: a, secret: sk-told-to-nobody, plan: x}\n",
        );
        assert.notEqual(code, 0);
        assert.doesNotMatch(output, /sk-told/);
    });
});

describe("weir sim", () => {
    const world = ["sim", "--nodes=20", "--keys=1k", "--rate=2k", "--duration=5", "--window=2s"];

    it("says the same of the same world, and that nothing is over", async () => {
        const first = await run(WEIR, [...world, "--json"]);
        assert.equal(first.code, 0, first.output);
        const report = JSON.parse(first.output);
        assert.equal(report.keys_over, 0);
        assert.equal(report.requests, report.allowed + report.denied);
        assert.ok(report.limits[0].worst <= report.limits[0].capacity);
        const second = JSON.parse((await run(WEIR, [...world, "--json"])).output);
        for (const field of ["allowed", "lease_hits", "store_calls", "lease_returns"]) {
            assert.equal(second[field], report[field], field);
        }
        const text = await run(WEIR, world);
        assert.match(text.output, new RegExp(`allowed +${report.allowed} `));
    });

    it("refuses what it does not know", async () => {
        const { code, output } = await run(WEIR, [...world, "--nodes=0"]);
        assert.equal(code, 2);
        assert.match(output, /--nodes: expected nodes from 1 to 1M, got "0"/);
    });
});

describe("weir replay", () => {
    const names = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";
    const replay = (text, ...args) => {
        const path = join(folder.path, "trace.csv");
        writeFileSync(path, text);
        return run(WEIR, ["replay", path, ...args]);
    };

    it("plays a trace by each rule", async () => {
        const rows = Array.from({ length: 300 }, (_, i) => {
            const [minute, second] = [Math.floor(i / 60), i % 60].map((n) => `${n}`.padStart(2, 0));
            return `2023-11-16 18:${minute}:${second}.5000000,${100 + i},${1 + ((i * 37) % 400)}\r\n`;
        });
        const limits = ["--limits", "output_tokens: 2k/min", "--keys=3", "--seeds=2"];
        const { code, output } = await replay(names + rows.join(""), ...limits, "--json");
        assert.equal(code, 0, output);
        const { requests, max_output, rules } = JSON.parse(output);
        assert.deepEqual([requests, max_output], [300, 400]);
        for (const rule of ["max", "forecast", "fixed", "oracle"]) {
            assert.equal(rules[rule].admitted + rules[rule].denied, 600, rule);
        }
        assert.ok(rules.max.output_tokens < rules.forecast.output_tokens);
        assert.deepEqual([rules.max.debt_tokens, rules.oracle.windows_in_debt], [0, 0]);
        assert.ok(rules.oracle.worst <= 1 && rules.fixed.debt_tokens > 0);
        const text = await replay(names + rows.join(""), ...limits);
        assert.match(text.output, new RegExp(`forecast +${rules.forecast.admitted} `));
    });

    it("says where a trace is wrong", async () => {
        const { code, output } = await replay(`${names}2023-11-16 18:15:46,374,x\r\n`);
        assert.equal(code, 1);
        assert.match(output, /trace\.csv:2: GeneratedTokens: expected a whole number/);
        const missing = await run(WEIR, ["replay", join(folder.path, "nowhere.csv")]);
        assert.equal(missing.code, 1);
        assert.match(missing.output, /nowhere\.csv: cannot read it: No such file/);
        assert.equal((await run(WEIR, ["replay"])).code, 2);
    });
});

describe("weir load", () => {
    let node;
    before(async () => {
        const plans = (requests) => ({ limits: { requests }, default_output_tokens: 20 });
        node = await Node.start(
            configuration({
                plans: { wide: plans("100k/min"), narrow: plans("5/min") },
                keys: [
                    { id: "wide", secret: "sk-load-wide", plan: "wide" },
                    { id: "narrow", secret: "sk-load-narrow", plan: "narrow" },
                ],
            }),
        );
    });
    after(() => node.stop());

    const load = (...args) => run(WEIR, ["load", "--target", node.url, ...args]);

    it("reports what the node counted", async () => {
        const json = join(folder.path, "load.json");
        const html = join(folder.path, "load.html");
        const { code, output } = await load(
            ...["--clients", "4", "--rate", "50", "--duration", "2", "--seed", "7"],
            ...["--keys", "sk-load-wide,sk-load-narrow", "--prompt-tokens", "5-20"],
            ...["--max-tokens", "5-20", "--json", json, "--html", html],
        );
        assert.equal(code, 0, output);
        const report = JSON.parse(readFileSync(json, "utf8"));
        assert.equal(report.errors, 0);
        assert.equal(report.requests, report.allowed + report.denied);
        assert.ok(Math.abs(report.requests - 100) <= 5, `${report.requests} requests`);
        assert.deepEqual(report.denied_by, {
            input_tokens: 0,
            output_tokens: 0,
            requests: report.denied,
        });
        assert.deepEqual(Object.keys(report.latency_ms), ["mean", "p50", "p95", "p99", "max"]);
        const narrow = report.keys.find(({ key }) => key.includes("narrow"));
        assert.equal(narrow.allowed, 5);
        assert.equal(narrow.requests, narrow.allowed + narrow.denied);
        const wide = report.keys.find(({ key }) => key.includes("wide"));
        assert.equal(wide.allowed, (await node.limits("wide"))["requests/60"].used);
        assert.doesNotMatch(output, /\r/, "a progress bar in a pipe");
        const page = readFileSync(html, "utf8");
        assert.match(page, /<svg/);
        assert.doesNotMatch(page, /(?:src|href)="https?:/);
    });

    it("reads streams to their end, as fast as it goes", async () => {
        const json = join(folder.path, "stream.json");
        const { code, output } = await load(
            ...["--clients", "4", "--rate", "0", "--duration", "1", "--stream"],
            ...["--keys", "sk-load-wide", "--json", json],
        );
        assert.equal(code, 0, output);
        const report = JSON.parse(readFileSync(json, "utf8"));
        assert.equal(report.errors, 0);
        assert.ok(report.allowed > 100, `${report.allowed} allowed`);
    });

    it("counts a target that is not there as errors, and says so by its end", async () => {
        const { code, output } = await run(WEIR, [
            ...["load", "--target", "http://127.0.0.1:1", "--clients", "1", "--rate", "20"],
            ...["--duration", "1", "--keys", "sk-load-wide"],
        ]);
        assert.notEqual(code, 0, output);
        assert.match(output, /error|refused|connect/i);
    });

    it("says which flag is wrong", async () => {
        for (const [flag, value] of [
            ["--rate", "fast"],
            ["--clients", "0"],
            ["--prompt-tokens", "9-5"],
        ]) {
            const { code, output } = await load("--keys", "x", "--duration", "1", flag, value);
            assert.equal(code, 2, output);
            assert.match(output, new RegExp(flag));
        }
    });
});
