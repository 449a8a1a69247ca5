// SPDX-License-Identifier: Apache-2.0
// docs/http-api.md and docs/quick-start.md against a node: each example is run, each status and route
// provoked. Links between pages, tables that are made, and what the Chinese README shares with the English.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { run, temporaryFolder } from "./support/process.mjs";
import { exchange } from "./support/raw.mjs";
import { sleep } from "./support/wait.mjs";
import { Node, SECRETS, WEIR, configuration } from "./support/weir.mjs";

const page = readFileSync("docs/http-api.md", "utf8");

/** The same structure with its names and types alone; lists by their items' shapes. */
function shape(value) {
    if (Array.isArray(value)) {
        return value.map(shape);
    }
    if (value !== null && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, shape(v)]));
    }
    return value === null ? "null" : typeof value;
}

/** What two answers must have in common, whatever the time and the ids. */
function comparable(body) {
    return body
        .trim()
        .split("\n\n")
        .map((event) => {
            const text = event.replace(/^data: /, "");
            try {
                return shape(JSON.parse(text));
            } catch {
                return text;
            }
        });
}

/** curl joins the chunks of a body but leaves the header. */
function parse(text) {
    const [head, ...rest] = text.replaceAll("\r\n", "\n").split("\n\n");
    const [status, ...lines] = head.split("\n");
    return { status, headers: lines.map((line) => line.split(":")[0]), body: rest.join("\n\n") };
}

describe("README.zh-CN.md", () => {
    const pages = ["README.md", "README.zh-CN.md"].map((path) => readFileSync(path, "utf8"));
    const [english, chinese] = pages;
    it("has the blocks of README.md, to the letter", () => {
        const [blocks, same] = pages.map((text) => text.match(/^```.*?^```$/gms));
        assert.ok(blocks.length >= 6);
        assert.deepEqual(same, blocks);
    });

    it("names the same files, fields and routes, but for the tables of benches", () => {
        const begin = english.indexOf("## What it costs");
        const told = english.slice(0, begin) + english.slice(english.indexOf("## More"));
        for (const [, code, link] of told.matchAll(/`([^`\n]+)`|\]\(([^)]+)\)/g)) {
            const name = code ?? link;
            assert.ok(name === "README.zh-CN.md" || chinese.includes(name), `${name} is missing`);
        }
    });
});

/** All pages of the tree, but for those of packages. */
function pages(folder = ".") {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) {
            const passed = entry.name.startsWith(".") || ["node_modules", "build"].includes(entry.name);
            return passed ? [] : pages(path);
        }
        return path.endsWith(".md") ? [path] : [];
    });
}

/** A page without its blocks of code. */
const prose = (path) => readFileSync(path, "utf8").replace(/^```.*?^```$/gms, "");

/** The anchors that GitHub gives a page's headings. */
function anchors(path) {
    const seen = new Map();
    return [...prose(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
        const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
        const name = words.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replaceAll(" ", "-");
        const times = seen.get(name) ?? 0;
        seen.set(name, times + 1);
        return times === 0 ? name : `${name}-${times}`;
    });
}

describe("the pages", () => {
    it("link to files and headings that there are", () => {
        const wrong = [];
        let links = 0;
        // bench/results/ has pieces of README.md, whose links count from there.
        for (const path of pages().filter((path) => !path.startsWith("bench/results/"))) {
            for (const [, target] of prose(path).matchAll(/\]\(([^()\s]+)\)/g)) {
                const [file, anchor] = target.split("#");
                if (/^[a-z]+:/.test(target)) {
                    continue;
                }
                const to = file === "" ? path : join(dirname(path), file);
                links++;
                if (!existsSync(to)) {
                    wrong.push(`${path}: ${target}: no such file`);
                } else if (anchor !== undefined && !anchors(to).includes(anchor)) {
                    wrong.push(`${path}: ${target}: no such heading`);
                }
            }
        }
        assert.deepEqual(wrong, []);
        assert.ok(links >= 150, `${links} links`);
    });

    it("are all found from docs/README.md", () => {
        const reached = new Set(["docs/README.md"]);
        for (const path of reached) {
            if (!path.startsWith("docs/")) {
                continue;
            }
            for (const [, file] of prose(path).matchAll(/\]\(([^()\s#]+\.md)/g)) {
                reached.add(join(dirname(path), file));
            }
        }
        const lost = pages("docs").filter((path) => !reached.has(path));
        assert.deepEqual(lost, []);
    });

    it("say what to do at each alert", () => {
        const rules = readFileSync("deploy/prometheus/alerts.yaml", "utf8");
        const names = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
        const page = readFileSync("docs/operations.md", "utf8");
        const runbook = page.slice(page.indexOf("## Runbook"));
        assert.deepEqual([...runbook.matchAll(/^### (.*)$/gm)].map(([, name]) => name), names);
    });
});

describe("scripts/config-reference", () => {
    for (const [form, path] of [
        ["markdown", "docs/configuration.md"],
        ["man", "docs/man/weir.yaml.5"],
    ]) {
        it(`would change nothing of ${path}`, async () => {
            const program = join(dirname(WEIR), "../tools/config_reference");
            const { code, output } = await run("sh", ["-c", `"$0" ${form} <${path}`, program]);
            assert.equal(code, 0, output);
            assert.equal(output, readFileSync(path, "utf8"), "run scripts/config-reference");
        });
    }
});

/** Runs each command of a page that its answer follows, against a node of this configuration. */
function runExamples(text, config) {
    let node;
    let reservation;
    before(async () => {
        node = await Node.start(config.replace(/^listen: .*$/m, "listen: 127.0.0.1:0"));
    });
    after(() => node.stop());

    for (const [, command, answer] of text.matchAll(/```sh\n([^`]*)```\n\n```http\n(.*?)```/gs)) {
        it(command.match(/curl.*/)[0], async () => {
            const asked = command
                .replaceAll("http://127.0.0.1:8000", node.url)
                .replace(/rsv_[\w-]+/, reservation);
            const { code, output } = await run("sh", ["-c", asked]);
            assert.equal(code, 0, output);
            const [documented, real] = [parse(answer), parse(output)];
            assert.equal(real.status, documented.status);
            for (const name of documented.headers) {
                assert.ok(real.headers.includes(name), `no ${name} in ${output}`);
            }
            assert.deepEqual(comparable(real.body), comparable(documented.body));
            reservation = output.match(/rsv_[\w-]+/)?.[0] ?? reservation;
        });
    }
}

describe("the examples of the HTTP reference", () => {
    it("are all followed by their answer", () => {
        const examples = page.match(/```sh\n[^`]*```\n\n```http\n/g);
        assert.ok(examples.length >= 10);
        assert.equal(examples.length, page.match(/```sh\n/g).length);
    });

    runExamples(page, readFileSync("examples/demo.yaml", "utf8"));
});

describe("the quick start", () => {
    const text = readFileSync("docs/quick-start.md", "utf8");
    const config = text.match(/```yaml\n(.*?)```/s)[1];

    it("checks its configuration", async () => {
        const folder = temporaryFolder();
        try {
            writeFileSync(join(folder.path, "weir.yaml"), config);
            const check = `cd ${folder.path} && "$0" check-config weir.yaml`;
            const { code, output } = await run("sh", ["-c", check, resolve(WEIR)]);
            assert.equal(code, 0, output);
            assert.ok(text.includes(`\`${output.trim()}\``), output);
        } finally {
            folder.remove();
        }
    });

    runExamples(text, config);
});

describe("the tables of the HTTP reference", () => {
    let node;
    let guarded;
    before(async () => {
        node = await Node.start(
            configuration({ reservation_ttl: "1s", http: { head_timeout_ms: 400 } }),
        );
        guarded = await Node.start(
            configuration({ service_token: "the-service-token", keys: [DISABLED] }),
        );
    });
    after(async () => {
        await node.stop();
        await guarded.stop();
    });

    const DISABLED = { id: "off", secret: "sk-off", plan: "roomy", disabled: true };
    const LOOK = { key: "id:a", input_tokens: 0, output_tokens: 0 };
    const chat = (change) => () => node.chat(SECRETS.a, change);
    const raw = (text) => async () => {
        const { answers } = await exchange(node.port, text);
        return { ...answers[0], body: JSON.parse(answers[0].body) };
    };
    const HOST = "HTTP/1.1\r\nHost: weir\r\n";
    const provoked = {
        "400 ": chat({ max_tokens: 0 }),
        "400 invalid_reservation": () =>
            node.settle({ reservation: "rsv_", input_tokens: 0, output_tokens: 0 }),
        "401 ": () => node.ask("GET", "/v1/models"),
        "401 invalid_api_key": () => node.ask("GET", "/v1/models", { key: "sk-wrong" }),
        "401 invalid_service_token": () => guarded.acquire(LOOK),
        "403 key_disabled": () => guarded.ask("GET", "/v1/models", { key: DISABLED.secret }),
        "404 unknown_key": () => node.acquire({ ...LOOK, key: "id:nobody" }),
        "404 unknown_url": () => node.ask("GET", "/v2"),
        "405 method_not_allowed": () => node.ask("PUT", "/v1/models", { body: "" }),
        "408 ": raw(`GET / ${HOST}`),
        "410 reservation_expired": async () => {
            const { body } = await node.acquire({ ...LOOK, output_tokens: 5 });
            await sleep(1200);
            return node.settle({
                reservation: body.reservation,
                input_tokens: 0,
                output_tokens: 1,
            });
        },
        "411 ": raw(`POST / ${HOST}\r\n`),
        "413 ": raw(`POST / ${HOST}Content-Length: 99999999\r\n\r\n`),
        "414 ": raw(`GET /${"x".repeat(9000)} ${HOST}\r\n`),
        "415 unsupported_media_type": () =>
            node.ask("POST", "/v1/chat/completions", { key: SECRETS.a, body: "{}" }),
        "417 ": raw(`POST / ${HOST}Content-Length: 1\r\nExpect: more\r\n\r\n`),
        "429 rate_limit_exceeded": chat({ max_tokens: 60000 }),
        "431 ": raw(`GET / ${HOST}X: ${"x".repeat(40000)}\r\n\r\n`),
        "501 ": raw(`POST / ${HOST}Transfer-Encoding: gzip\r\n\r\n`),
        "505 ": raw("GET / HTTP/2.0\r\nHost: weir\r\n\r\n"),
    };
    /** What needs another machine, a store that is gone, or upstreams (proxy_failures.test.mjs). */
    const elsewhere = [
        "403 service_token_required",
        "404 model_not_found",
        "409 reservation_elsewhere",
        "503 store_unavailable",
        "503 subjects_full",
        "504 upstream_timeout",
    ];

    it("name every status, and no other", () => {
        const rows = [...page.matchAll(/^\| (\d{3}) \| (?:`(\w+)`)? ?\|/gm)];
        assert.deepEqual(
            rows.map(([, status, code]) => `${status} ${code ?? ""}`).sort(),
            [...Object.keys(provoked), ...elsewhere].sort(),
        );
    });

    for (const [what, ask] of Object.entries(provoked)) {
        it(`gives ${what}`, async () => {
            const { status, body } = await ask();
            assert.equal(`${status} ${body.error.code ?? ""}`, what);
        });
    }

    it("name every route", async () => {
        const source = readFileSync("src/service/service.c", "utf8");
        const routes = [...source.matchAll(/WEIR_STR_INIT\("(\/[^"]+)"\), WEIR_HTTP_(\w+)/g)];
        const rows = [...page.matchAll(/^\| `(GET|POST) (\/[^`]+)` \|/gm)];
        assert.deepEqual(
            rows.map(([, method, path]) => `${method} ${path}`).sort(),
            routes.map(([, path, method]) => `${method} ${path}`).sort(),
        );
        for (const [, , path] of rows) {
            const { status } = await node.ask("DELETE", path);
            assert.equal(status, 405, path);
        }
    });
});
