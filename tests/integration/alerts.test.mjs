// SPDX-License-Identifier: Apache-2.0
// deploy/: the alert rules, played by promtool, and the dashboard, each of its queries asked of a real
// Prometheus that scrapes a node.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Program, run, temporaryFolder } from "./support/process.mjs";
import { freePort } from "./support/redis.mjs";
import { eventually } from "./support/wait.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

const RULES = "deploy/prometheus/alerts.yaml";
const DASHBOARD = "deploy/grafana/weir.json";

/** All queries of all panels: [title, query]. */
function queries() {
    const { panels } = JSON.parse(readFileSync(DASHBOARD, "utf8"));
    return panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr]));
}

/** A Prometheus of the test's own that scrapes the node and evaluates the rules. */
class Prometheus {
    static async start(node) {
        const prometheus = new Prometheus(temporaryFolder(), await freePort());
        const config = {
            global: { scrape_interval: "250ms", evaluation_interval: "1s" },
            rule_files: [join(process.cwd(), RULES)],
            scrape_configs: [
                { job_name: "weir", static_configs: [{ targets: [`127.0.0.1:${node.port}`] }] },
            ],
        };
        const path = join(prometheus.folder.path, "prometheus.yml");
        writeFileSync(path, JSON.stringify(config)); // JSON is YAML
        prometheus.program = new Program("prometheus", [
            `--config.file=${path}`,
            `--storage.tsdb.path=${join(prometheus.folder.path, "data")}`,
            `--web.listen-address=127.0.0.1:${prometheus.port}`,
        ]);
        await prometheus.program.says(/Server is ready to receive web requests/);
        return prometheus;
    }

    constructor(folder, port) {
        this.folder = folder;
        this.port = port;
    }

    async stop() {
        await this.program.end();
        this.folder.remove();
    }

    async ask(query) {
        const url = `http://127.0.0.1:${this.port}/api/v1/query?query=${encodeURIComponent(query)}`;
        const { status, error, data } = await (await fetch(url)).json();
        assert.equal(status, "success", `${query}: ${error}`);
        return data.result;
    }

    /** Until it has scraped the node n times. */
    async hasScraped(n) {
        const scrapes = "count_over_time(weir_build_info[1m])";
        await eventually(
            async () => Number((await this.ask(scrapes))[0]?.value[1]) >= n,
            `${n} scrapes`,
        );
    }
}

async function promtool(...args) {
    const { code, output } = await run("promtool", args);
    assert.equal(code, 0, output);
}

describe("deploy/", () => {
    it("has rules that promtool finds nothing wrong with", () => promtool("check", "rules", RULES));

    it("has alerts that fire when they should, and no others", () =>
        promtool("test", "rules", "tests/integration/alerts.yaml"));

    it("plays every alert", () => {
        const played = readFileSync("tests/integration/alerts.yaml", "utf8");
        for (const [, name] of readFileSync(RULES, "utf8").matchAll(/- alert: (\w+)/g)) {
            assert.match(played, new RegExp(`alertname="${name}"`), `${name} is not played`);
        }
    });

    it("names only metrics that there are", () => {
        const page = readFileSync("docs/metrics.md", "utf8");
        const texts = [RULES, DASHBOARD].map((path) => readFileSync(path, "utf8")).join();
        for (const [name] of texts.matchAll(/\bweir_\w+/g)) {
            const family = name.replace(/_(bucket|sum|count)$/, "");
            assert.ok(page.includes(`\`${family}\``), `${name} is not in docs/metrics.md`);
        }
    });

    it("has panels of their own ids and places", () => {
        const { panels } = JSON.parse(readFileSync(DASHBOARD, "utf8"));
        assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
        const places = panels.map(({ gridPos: { x, y } }) => `${x} ${y}`);
        assert.equal(new Set(places).size, panels.length);
    });

    it("has a dashboard whose queries a Prometheus answers", async () => {
        const upstreams = [{ name: "built-in", base_url: "mock:" }]; // so that all metrics are there
        const node = await Node.start(configuration({ upstreams, metrics_top: 10 }));
        const prometheus = await Prometheus.start(node);
        try {
            await prometheus.hasScraped(2);
            assert.equal((await node.chat(SECRETS.a, { max_tokens: 5 })).status, 200);
            for (let i = 0; i < 3; i++) {
                await node.chat(SECRETS.tiny, { max_tokens: 1 });
            }
            await prometheus.hasScraped(8);
            // only upstreams that are called answer or fail, and no limit is one in shadow
            const silent = ["Answers", "Failures", "What shadow limits would deny"];
            for (const [title, expr] of queries()) {
                const result = await prometheus.ask(
                    expr
                        .replaceAll("$__rate_interval", "1m")
                        .replaceAll(/\$(job|instance)/g, ".*"),
                );
                assert.ok(result.length > 0 || silent.includes(title), `${title}: nothing`);
            }
            assert.deepEqual(await prometheus.ask('ALERTS{alertstate="firing"}'), []);
        } finally {
            await prometheus.stop();
            await node.stop();
        }
    });
});
