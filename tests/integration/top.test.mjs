// SPDX-License-Identifier: Apache-2.0
// weir top against a scripted admin API: one frame for scripts, and live in a terminal of script(1).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { run, temporaryFolder } from "./support/process.mjs";
import { ScriptedAdmin, overviewAt, quietOverview } from "./support/scripted_admin.mjs";
import { eventually } from "./support/wait.mjs";
import { WEIR } from "./support/weir.mjs";

const TOKEN = "sk-top-token";

let admin;
let terminal; // script(1); weir ends with its terminal
afterEach(() => {
    terminal?.kill("SIGKILL");
    return admin?.stop();
});

const top = (args = [], env = {}) => run(WEIR, ["top", "--admin", admin.url, ...args], env);

describe("weir top --once", () => {
    it("prints one frame, of two looks", async () => {
        admin = await ScriptedAdmin.start();
        admin.push(overviewAt(10), overviewAt(11));
        const { code, output } = await top(["--once"]);
        assert.equal(code, 0, output);
        assert.match(output, /^weir 0\.5\.0 {3}up 2 h 0 min .* store redis lease at 10\.0\.4\.17:6379\n/);
        assert.match(output, /^allowed\/s \d+ {3}denied\/s \d+ /m);
        assert.match(output, /^key:search-prod +scale +\d+ +0 +\S+ {2}\w+\/\w+ +\[[#.]{10}\] +\d+% /m);
        assert.match(output, /^key:batch-nightly +requests\/min +\d+$/m);
        assert.doesNotMatch(output, /\x1b/);
    });

    it("is what happens without a terminal, and takes the node from the environment", async () => {
        admin = await ScriptedAdmin.start();
        admin.push(quietOverview(), quietOverview());
        const { code, output } = await run(WEIR, ["top"], { WEIR_ADMIN: `${admin.url}/` });
        assert.equal(code, 0, output);
        assert.match(output, /no traffic yet/);
    });

    it("sends the token of the environment or of a file, and tells none from another one", async () => {
        admin = await ScriptedAdmin.start({ token: TOKEN });
        admin.push(overviewAt(0), overviewAt(1));
        const folder = temporaryFolder();
        const file = join(folder.path, "token");
        writeFileSync(file, `${TOKEN}\n`);
        assert.equal((await top([], { WEIR_ADMIN_TOKEN: TOKEN })).code, 0);
        assert.equal((await top(["--token-file", file], { WEIR_ADMIN_TOKEN: "other" })).code, 0);
        folder.remove();
        const none = await top();
        assert.equal(none.code, 1);
        assert.match(none.output, /^weir top: the node wants the admin token: see WEIR_ADMIN_TOKEN/);
        const other = await top([], { WEIR_ADMIN_TOKEN: "sk-other" });
        assert.equal(other.code, 1);
        assert.equal(other.output, "weir top: the node wants another admin token\n");
    });

    it("prints the overview itself with --json", async () => {
        admin = await ScriptedAdmin.start();
        admin.reply("GET overview", () => [200, overviewAt(3)]);
        const { code, output } = await top(["--json"]);
        assert.equal(code, 0, output);
        assert.deepEqual(JSON.parse(output), overviewAt(3));
    });

    it("says why there is no frame", async () => {
        admin = await ScriptedAdmin.start();
        admin.push({ hello: 1 });
        assert.match((await top()).output, /what it says is no overview/);
        await admin.vanish();
        const gone = await top();
        assert.equal(gone.code, 1);
        assert.equal(gone.output, `weir top: nothing listens at ${admin.url}\n`);
        assert.equal((await top(["key:a"])).code, 2);
        assert.equal((await top(["--twice"])).code, 2);
    });
});

/** weir top in a terminal, whose size stty sets first. */
class Live {
    constructor(env = {}) {
        const command = `stty rows 30 cols 130; tty; echo pid $$; exec ${WEIR} top --admin ${admin.url}`;
        this.output = "";
        this.child = spawn("script", ["-qec", command, "/dev/null"], {
            env: { ...process.env, TERM: "xterm", NO_COLOR: "", ...env },
        });
        terminal = this.child;
        this.exited = once(this.child, "exit");
        this.child.stdout.setEncoding("utf8").on("data", (text) => {
            this.output += text;
            this.child.emit("output");
        });
    }

    /** Where the match of `pattern` behind `from` ends. */
    async shows(pattern, from = 0) {
        const late = AbortSignal.timeout(20_000);
        for (;;) {
            const match = this.output.slice(from).match(pattern);
            if (match) {
                return from + match.index + match[0].length;
            }
            await once(this.child, "output", { signal: late });
        }
    }

    /** What it types; then how it ended, with the terminal given back. */
    async endsBy(keys) {
        this.child.stdin.write(keys);
        const [code] = await this.exited;
        assert.equal(code, 0, this.output);
        assert.match(this.output, /\x1b\[\?25h\x1b\[\?1049l[^\x1b]*$/);
    }
}

describe("weir top in a terminal", () => {
    const begin = async (env) => {
        admin = await ScriptedAdmin.start();
        admin.push(overviewAt(0), overviewAt(1));
        const live = new Live(env);
        await live.shows(/\x1b\[\?1049h\x1b\[\?25l/);
        await live.shows(/q quit/);
        return live;
    };

    it("draws what comes, sorts, and quits", async () => {
        const live = await begin();
        assert.match(live.output, /\x1b\[33;1m/);
        let at = live.output.length;
        admin.push(overviewAt(3600));
        at = await live.shows(/up 3 h 0 min/, at);
        live.child.stdin.write("d");
        at = await live.shows(/d denied\*/, at);
        await live.endsBy("q");
    });

    it("gives the terminal back when a signal ends it", async () => {
        const live = await begin();
        await live.endsBy("\x03"); // Ctrl-C
    });

    it("gives it back while it is stopped, and goes on where it was", async () => {
        const live = await begin();
        const [, pid] = live.output.match(/^pid (\d+)\r$/m);
        const stopped = (one) => /^State:\tT/m.test(readFileSync(`/proc/${one}/status`, "utf8"));
        const at = live.output.length;
        live.child.stdin.write("\x1a"); // Ctrl-Z; script stops itself when its child does
        await eventually(() => stopped(pid) && stopped(live.child.pid), "both to be stopped");
        live.child.kill("SIGCONT"); // which lets its child go on too
        await live.shows(/\x1b\[\?1049l[^]*\x1b\[\?1049h[^]*q quit/, at);
        await live.endsBy("q");
    });

    it("follows the size of the window", async () => {
        const live = await begin();
        const [path] = live.output.match(/\/dev\/pts\/\d+/);
        const at = live.output.length;
        await run("stty", ["-F", path, "cols", "40", "rows", "8"]);
        // stty sets one after the other: a frame may come in between
        const fits = () => {
            const frame = live.output.slice(at).match(/.*\x1b\[H([^]*?)\x1b\[J/s)?.[1] ?? "";
            const lines = frame.replace(/\x1b\[[0-9;?]*\w/g, "").split("\r\n");
            return frame !== "" && lines.length <= 8 && lines.every((line) => line.length <= 40);
        };
        await eventually(fits, "a frame of 8 lines of 40 characters");
        await live.endsBy("q");
    });

    it("has no colours with NO_COLOR", async () => {
        const live = await begin({ NO_COLOR: "1" });
        await live.endsBy("q");
        assert.doesNotMatch(live.output, /\x1b\[[0-9;]*m/);
    });

    it("says that the connection is lost, and finds it again", async () => {
        const live = await begin();
        let at = live.output.length;
        await admin.vanish();
        at = await live.shows(/NOT LIVE: /, at);
        await admin.comeBack();
        at = await live.shows(/\x1b\[H(?:(?!NOT LIVE)[^])*q quit/, at);
        await live.endsBy("q");
    });
});
