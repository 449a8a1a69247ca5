// SPDX-License-Identifier: Apache-2.0
// GET /metrics: a text that Prometheus takes, that counts what happened and tells no secret.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { temporaryFolder } from "./support/process.mjs";
import { onEachStore } from "./support/stores.mjs";
import { SECRETS, configuration } from "./support/weir.mjs";

onEachStore("metrics", (start) => {
    let folder;
    let node;
    let text;
    before(async () => {
        const upstreams = [{ name: "built-in", base_url: "mock:" }]; // so that all metrics are there
        folder = temporaryFolder();
        const registry = join(folder.path, "registry.json");
        node = await start(configuration({ upstreams, metrics_top: 10, registry }));
        for (let i = 0; i < 4; i++) {
            await node.chat(SECRETS.tiny, { max_tokens: 1 });
        }
        await node.chat(SECRETS.a, { max_tokens: 1, stream: true });
        await node.chat("sk-unknown-key-of-somebody");
        await node.ask("GET", "/a-path-from-outside");
        await node.ask("POST", "/v1/chat/completions", { key: SECRETS.a, body: "{" });
        const answer = await node.ask("GET", "/metrics");
        assert.equal(answer.status, 200);
        assert.match(answer.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
        text = answer.text;
    });
    after(() => folder.remove());

    /** The sum of the samples of this name whose labels contain all of these. */
    function sum(name, ...labels) {
        return text
            .split("\n")
            .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
            .filter((line) => labels.every((label) => line.includes(label)))
            .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
    }

    it("are a text that promtool finds nothing wrong with", () => {
        const { status, stderr, stdout, error } = spawnSync("promtool", ["check", "metrics"], {
            input: text,
            encoding: "utf8",
        });
        assert.equal(error, undefined);
        assert.equal(status, 0, stdout + stderr);
    });

    it("count requests by outcome and limiting meter", () => {
        assert.equal(sum("weir_decisions_total", 'outcome="allowed"'), 3);
        assert.equal(sum("weir_decisions_total", 'outcome="denied"'), 2);
        assert.equal(sum("weir_decisions_total", 'outcome="denied"', 'meter="requests"'), 2);
    });

    it("count charges that leave little of a limit, and not those that leave enough", () => {
        assert.equal(sum("weir_near_limit_total", 'meter="requests"', 'scope="key"'), 1);
        assert.equal(sum("weir_near_limit_total"), 1);
    });

    it("say how far settlements are from reservations, on either side", () => {
        const name = "weir_settle_error_tokens";
        assert.equal(sum(`${name}_count`, 'meter="output_tokens"'), 3);
        assert.equal(sum(`${name}_bucket`, 'than_reserved="more"', 'le="+Inf"'), 0);
        assert.equal(sum(`${name}_bucket`, 'meter="input_tokens"', 'le="0"'), 3);
    });

    it("bound what may be admitted beyond a limit: nothing, with the store in reach", () => {
        assert.equal(sum("weir_over_admission_ratio"), 0);
    });

    it("have the rest of each scope and meter beside the subjects that they name", () => {
        assert.equal(text.match(/^weir_subject_used\{.*subject="\(rest\)"/gm).length, 12);
    });

    it("measure decisions and requests", () => {
        const histograms = text.match(/^# TYPE (\w+) histogram$/gm) ?? [];
        assert.ok(histograms.length >= 2, text);
        for (const line of histograms) {
            const name = line.split(" ")[2];
            assert.match(name, /_(seconds|ratio|tokens)$/);
            assert.equal(sum(`${name}_bucket`, 'le="+Inf"'), sum(`${name}_count`), name);
        }
        assert.ok(sum("weir_decision_duration_seconds_count") >= 5);
        assert.ok(sum("weir_request_duration_seconds_count") >= 8);
    });

    it("are those of docs/metrics.md, with their types and labels", () => {
        const page = readFileSync("docs/metrics.md", "utf8");
        const rows = [...page.matchAll(/^\| `(weir_\w+)` \| (\w+) \| (.*?) ?\| /gm)];
        const documented = rows.map(([, name, type, labels]) => [
            name,
            type,
            [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort(),
        ]);
        const scraped = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => {
            const sample = new RegExp(`^${name}(?:_bucket)?(?:\\{(.*)\\})? `, "m").exec(text);
            const labels = [...(sample[1] ?? "").matchAll(/(\w+)="/g)];
            return [name, type, labels.map(([, label]) => label).sort()];
        });
        assert.deepEqual(documented.sort(), scraped.sort());
        for (const [, outcome] of text.matchAll(/(?:outcome|result|policy|status|reason|fate|than_reserved|state)="(\w+)"/g)) {
            assert.ok(page.includes(`\`${outcome}\``), `${outcome} is not explained`);
        }
    });

    it("tell no secret, no key and no path from outside", () => {
        for (const told of [...Object.values(SECRETS), "sk-", "somebody", "a-path-from"]) {
            assert.ok(!text.includes(told), `${told} in the metrics`);
        }
        assert.doesNotMatch(text, /^(?!weir_subject_used\{).*tiny/m);
    });
});
