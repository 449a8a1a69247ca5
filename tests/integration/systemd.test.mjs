// SPDX-License-Identifier: Apache-2.0
// What a service manager hears of a node, and the unit in deploy/systemd.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Program, temporaryFolder } from "./support/process.mjs";
import { WEIR, configuration, writeConfiguration } from "./support/weir.mjs";

/** Prints each datagram that comes to the socket: Node has no such sockets. */
const LISTENER = `
    use IO::Socket::UNIX;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die "$!";
    $| = 1;
    print "open\\n";
    my $text;
    print "$text\\n" while defined $socket->recv($text, 4096);
`;

/** A node that is told of the service manager's socket; `env` besides. Without `args` the
 * configuration is the file at `config`. */
async function startNotifying(t, env = {}, args = undefined) {
    const folder = temporaryFolder();
    t.after(() => folder.remove());
    const path = join(folder.path, "notify");
    const manager = new Program("perl", ["-e", LISTENER, path]);
    t.after(() => manager.end("SIGKILL"));
    await manager.says(/open\n/);
    const config = writeConfiguration(folder.path, configuration());
    const node = new Program(WEIR, ["serve", ...(args ?? ["--config", config])], {
        NOTIFY_SOCKET: path,
        ...env,
    });
    t.after(() => node.end("SIGKILL"));
    return { manager, node, config };
}

describe("a service manager", () => {
    it("hears that a node is ready, alive and stopping", async (t) => {
        const { manager, node } = await startNotifying(t, { WATCHDOG_USEC: "100000" });
        await manager.says(/^open\nREADY=1\n(WATCHDOG=1\n){3}/);
        assert.match(node.output, /listening on/); // before it said that it is ready
        assert.deepEqual(await node.end(), { code: 0, signal: null });
        await manager.says(/^open\nREADY=1\n(WATCHDOG=1\n)+STOPPING=1\n/);
    });

    it("hears when a reload begins and when it is over, whatever became of it", async (t) => {
        const { manager, node, config } = await startNotifying(t);
        await manager.says(/READY=1\n/);
        for (const [text, said] of [
            [JSON.stringify(configuration({ teams: [] })), /in force/],
            ["listen: nowhere", /nothing was changed/],
        ]) {
            manager.output = "";
            writeFileSync(config, text);
            const before = process.hrtime.bigint(); // CLOCK_MONOTONIC, as systemd's
            node.signal("SIGHUP");
            const [, us] = await manager.says(/^RELOADING=1\nMONOTONIC_USEC=(\d+)\nREADY=1\n$/);
            assert.ok(BigInt(us) >= before / 1000n && BigInt(us) <= process.hrtime.bigint() / 1000n);
            await node.says(said);
        }
    });

    it("hears of a reload that has nothing to read", async (t) => {
        const { manager, node } = await startNotifying(t, {}, ["--listen", "127.0.0.1:0"]);
        await manager.says(/READY=1\n/);
        node.signal("SIGHUP");
        await manager.says(/^open\nREADY=1\nRELOADING=1\nMONOTONIC_USEC=\d+\nREADY=1\n$/);
    });

    it("hears no watchdog that is for another process, or that it does not ask for", async (t) => {
        const other = { WATCHDOG_USEC: "20", WATCHDOG_PID: "1" };
        for (const env of [{}, { WATCHDOG_USEC: "" }, { WATCHDOG_USEC: "soon" }, other]) {
            const { manager, node } = await startNotifying(t, env);
            await manager.says(/READY=1\n/);
            const [, url] = await node.says(/listening on (127\.0\.0\.1:\d+)/);
            for (let i = 0; i < 10; i++) {
                await (await fetch(`http://${url}/healthz`)).text(); // its loops come round
            }
            await node.end();
            await manager.says(/STOPPING=1\n/);
            assert.equal(manager.output, "open\nREADY=1\nSTOPPING=1\n");
        }
    });

    it("may be gone, or nowhere", async (t) => {
        const folder = temporaryFolder();
        t.after(() => folder.remove());
        const config = writeConfiguration(folder.path, configuration());
        for (const path of ["/nowhere/at/all", "relative", "", `/${"x".repeat(200)}`]) {
            const node = new Program(WEIR, ["serve", "--config", config], {
                NOTIFY_SOCKET: path,
            });
            await node.says(/listening on/);
            assert.deepEqual(await node.end(), { code: 0, signal: null });
        }
    });
});

describe("the unit", () => {
    it("is what systemd takes, with its socket, and exposes little", (t) => {
        const folder = temporaryFolder();
        t.after(() => folder.remove());
        const unit = join(folder.path, "weir.service");
        const socket = join(folder.path, "weir.socket");
        copyFileSync("deploy/systemd/weir.socket", socket);
        const text = readFileSync("deploy/systemd/weir.service", "utf8");
        writeFileSync(unit, text.replaceAll("/usr/bin/weir", "/bin/true"));
        const verified = spawnSync("systemd-analyze", ["verify", "--man=no", unit, socket], {
            encoding: "utf8",
        });
        assert.equal(verified.stdout + verified.stderr, "");
        const judged = spawnSync(
            "systemd-analyze",
            ["security", "--offline=true", "--threshold=20", unit],
            { encoding: "utf8" },
        );
        assert.equal(judged.status, 0, judged.stdout);
    });

    it("runs as the user that is made for it, and reads again the file that it started with", () => {
        const unit = readFileSync("deploy/systemd/weir.service", "utf8");
        const [, user] = unit.match(/^User=(\S+)$/m);
        const [, group] = unit.match(/^Group=(\S+)$/m);
        const made = readFileSync("deploy/systemd/weir.sysusers", "utf8");
        assert.match(made, new RegExp(`^u ${user} - "[^"]+" /nonexistent$`, "m"));
        assert.equal(group, user); // which "u" makes, too
        const [, start] = unit.match(/^ExecStart=\S+ serve --config (\S+)$/m);
        const reload = [...unit.matchAll(/^ExecReload=(.*)$/gm)].map(([, command]) => command);
        assert.deepEqual(reload, [`/usr/bin/weir check-config ${start}`, "/bin/sh -c 'kill -HUP $MAINPID'"]);
    });

    it("has a socket where the configuration of the package listens", () => {
        const socket = readFileSync("deploy/systemd/weir.socket", "utf8");
        const config = readFileSync("deploy/debian/weir.yaml", "utf8");
        const [, where] = config.match(/^listen: (\S+)$/m);
        assert.deepEqual(socket.match(/^ListenStream=.*$/gm), [`ListenStream=${where}`]);
    });

    it("gives requests under way more time than a node takes for them", () => {
        const unit = readFileSync("deploy/systemd/weir.service", "utf8");
        const fields = readFileSync("docs/configuration.md", "utf8");
        const stop = Number(unit.match(/^TimeoutStopSec=(\d+)$/m)[1]);
        // | field | type | range | default | meaning |
        const [row] = fields.match(/^\| `drain_timeout_ms` .*$/m);
        const drainMs = Number(row.split("|")[4]);
        assert.ok(drainMs > 0, row);
        assert.ok(stop * 1000 > drainMs, `TimeoutStopSec ${stop}, drain_timeout_ms ${drainMs}`);
    });
});
