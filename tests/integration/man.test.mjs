// SPDX-License-Identifier: Apache-2.0
// The man pages and the completions against what weir --help and docs/configuration.md say.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, describe, it } from "node:test";
import { run, temporaryFolder } from "./support/process.mjs";
import { WEIR } from "./support/weir.mjs";

const BASH = "deploy/completion/weir.bash";
const zsh = readFileSync("deploy/completion/_weir", "utf8");
const manual = (name) => readFileSync(`docs/man/${name}`, "utf8");
const sorted = (names) => [...new Set(names)].sort();
const found = (text, pattern) => sorted([...text.matchAll(pattern)].map(([, name]) => name));

/** A page's text without its fonts and escapes. */
const text = (roff) =>
    roff
        .replace(/\\f[BIRP]|\\&/g, "")
        .replace(/\\\((ga|aq|ha|ti|bu)/g, (_, name) => ({ ga: "`", aq: "'", ha: "^", ti: "~" })[name])
        .replace(/\\-/g, "-")
        .replace(/\\e/g, "\\");

/** What bash offers for the last of these words. */
async function completed(...words) {
    const script = `source ${BASH}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir
        printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, output } = await run("bash", ["-c", script, "bash", ...words]);
    assert.equal(code, 0, output);
    return output.split("\n").filter((line) => line !== "");
}

const help = new Map(); // of each command that has one
let commands;
before(async () => {
    const { output } = await run(WEIR, ["--help"]);
    commands = found(output, /^ {2}([a-z-]+) {2,}/gm);
    for (const name of commands.filter((name) => !["help", "version"].includes(name))) {
        const { code, output } = await run(WEIR, [name, "--help"]);
        assert.equal(code, 0, name);
        // The first column of a line that begins with an option. Each command has --help.
        const lines = [...output.matchAll(/^ {2}(--.*?)(?: {2}| this text|$)/gm)];
        const options = lines.flatMap(([, line]) => line.match(/--[a-z][a-z-]*/g));
        help.set(name, sorted([...options, "--help"]));
    }
    assert.ok(help.size >= 8);
});

describe("the man pages", () => {
    it("are one for each command, one of all and one of the configuration", () => {
        const pages = [...help.keys()].map((name) => `weir-${name}.1`);
        assert.deepEqual(readdirSync("docs/man").sort(), [...pages, "weir.1", "weir.yaml.5"].sort());
        const overview = text(manual("weir.1"));
        const section = overview.match(/^\.SH COMMANDS\n(.*?)^\.SH/ms)[1];
        assert.deepEqual(found(section, /^\.TP\n\.B (\S+)$/gm), commands);
        assert.deepEqual(found(section, /^See weir-(\S+)\(1\)/gm), sorted(help.keys()));
        assert.deepEqual(found(overview, /^weir-([a-z-]+)\(1\),$/gm), sorted(help.keys()));
    });

    it("are what groff takes without a warning", async () => {
        const pages = readdirSync("docs/man").map((name) => join("docs/man", name));
        for (const page of pages) {
            const { code, output } = await run("groff", ["-man", "-ww", "-Tutf8", "-z", page]);
            assert.deepEqual({ code, output }, { code: 0, output: "" }, page);
        }
    });

    it("have the options of their command, and no other", () => {
        for (const [name, options] of help) {
            const page = text(manual(`weir-${name}.1`));
            const heads = found(page, /^\.TP\n(--.*)$/gm).join(" ");
            assert.deepEqual(sorted(heads.match(/--[a-z][a-z-]*/g)), options, name);
            const everywhere = page.match(/--[a-z][a-z-]*/g);
            const strange = everywhere.filter((option) => !options.includes(option));
            const others = { verify: ["--record"], "check-config": ["--config"] }[name] ?? [];
            assert.deepEqual(sorted(strange), others, name);
        }
    });

    it("say of each field what docs/configuration.md says", () => {
        const said = (cell) =>
            cell
                .replace(/\[([^\]]+)\]\(\S+?\)/g, "$1")
                .replace(/`/g, "")
                .replace(/\s+/g, " ")
                .trim();
        const documented = [];
        let section;
        let fields = false;
        for (const line of readFileSync("docs/configuration.md", "utf8").split("\n")) {
            section = line.match(/^###? (.*)/)?.[1].toLowerCase() ?? section;
            fields = line.startsWith("|") && (fields || line.startsWith("| field |"));
            if (fields && line.startsWith("| `")) {
                const [name, type, range, fallback, meaning] = line.slice(1).split("|").map(said);
                const value = fallback === "required" ? fallback : fallback && `default: ${fallback}`;
                const form = [type, range].filter((part) => part !== "").join(", ");
                const head = `${name} (${[form, value].filter((part) => part !== "").join("; ")})`;
                documented.push(`${section}: ${head}: ${meaning}`);
            }
        }
        assert.ok(documented.length >= 60);

        const page = text(manual("weir.yaml.5"));
        const inPage = page.split(/^\.S[HS] /m).flatMap((part) => {
            const name = part.match(/^"?([^"\n]*)/)[1].toLowerCase();
            const entries = [...part.matchAll(/^\.TP\n(\w+ \(.*\))\n(.*)$/gm)];
            return entries.map(([, head, meaning]) => `${name}: ${head}: ${said(meaning)}`);
        });
        assert.deepEqual(inPage, documented);
    });
});

describe("the completion for bash", () => {
    it("completes commands", async () => {
        assert.deepEqual(await completed("weir", "ser"), ["serve"]);
        const offered = await completed("weir", "");
        assert.deepEqual(sorted(offered), sorted([...commands, "--help", "--version"]));
    });

    it("completes the options of each command, and no other", async () => {
        assert.deepEqual(await completed("weir", "serve", "--on"), ["--on-store-failure"]);
        for (const [name, options] of help) {
            assert.deepEqual(sorted(await completed("weir", name, "--")), options, name);
        }
    });

    it("completes values, behind a blank or an equals sign", async () => {
        const policies = ["local", "closed", "open"];
        assert.deepEqual(await completed("weir", "serve", "--on-store-failure", ""), policies);
        assert.deepEqual(await completed("weir", "serve", "--on-store-failure", "="), policies);
        assert.deepEqual(await completed("weir", "sim", "--mode", "=", "l"), ["lease"]);
        assert.deepEqual(await completed("weir", "serve", "--nodes", ""), []);
        assert.ok((await completed("weir", "sim", "--json", "--")).includes("--nodes"));
    });

    it("completes files, where an option or a command takes one", async () => {
        for (const words of [["serve", "--config"], ["load", "--json"], ["load", "--trace", "="]]) {
            assert.deepEqual(await completed("weir", ...words, "READ"), [
                "README.md",
                "README.zh-CN.md",
            ]);
        }
        assert.deepEqual(await completed("weir", "check-config", "LICEN"), ["LICENSE"]);
        assert.deepEqual(await completed("weir", "verify", "--json", "LICEN"), ["LICENSE"]);
        assert.deepEqual(await completed("weir", "serve", "LICEN"), []);
    });
});

describe("the completion for zsh", () => {
    it("has each command", () => {
        const list = zsh.match(/commands=\((.*?)^ {4}\)/ms)[1];
        assert.deepEqual(found(list, /^ *'([a-z-]+):/gm), commands);
    });

    it("has the options of each command, and no other", () => {
        const cases = [...zsh.matchAll(/^ {8}([a-z-]+)\)\n(.*?)^ {12};;$/gms)];
        assert.deepEqual(sorted(cases.map(([, name]) => name)), sorted(help.keys()));
        for (const [, name, body] of cases) {
            assert.deepEqual(found(body, /^ *'\*?(--[a-z-]+)=?\[/gm), help.get(name), name);
        }
    });

    it("has the values that bash has", async () => {
        for (const [, name, body] of zsh.matchAll(/^ {8}([a-z-]+)\)\n(.*?)^ {12};;$/gms)) {
            for (const [, option, action] of body.matchAll(/'\*?(--[a-z-]+)=\[.*\]:[\w-]*:(.*)'/g)) {
                const offered = await completed("weir", name, option, "");
                const words = action.match(/^\((.*)\)$/)?.[1].replaceAll("\\", "").split(" ");
                if (action === "_files") {
                    assert.ok(offered.includes("README.md"), `${name} ${option}`);
                } else {
                    assert.deepEqual(offered, words ?? [], `${name} ${option}`);
                }
            }
        }
    });
});

describe("cmake --install", () => {
    it("installs the program, the pages and the completions", async () => {
        const folder = temporaryFolder();
        try {
            const build = join(dirname(WEIR), "..");
            const args = ["--install", build, "--prefix", folder.path];
            const { code, output } = await run("cmake", args);
            assert.equal(code, 0, output);
            for (const path of [
                ...readdirSync("docs/man").map((name) => `share/man/man${name.at(-1)}/${name}`),
                "share/bash-completion/completions/weir",
                "share/zsh/site-functions/_weir",
                ...(existsSync(join(dirname(WEIR), "weir.tokens")) ? ["share/weir/weir.tokens"] : []),
            ]) {
                assert.ok(existsSync(join(folder.path, path)), path);
            }
            const version = await run(join(folder.path, "bin/weir"), ["version"]);
            assert.equal(version.code, 0, version.output);
        } finally {
            folder.remove();
        }
    });
});
