// SPDX-License-Identifier: Apache-2.0
// Listening sockets that a service manager hands over.
import assert from "node:assert/strict";
import { request } from "node:http";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { Program, temporaryFolder } from "./support/process.mjs";
import { freePort } from "./support/redis.mjs";
import { Node, SECRETS, WEIR, configuration, writeConfiguration } from "./support/weir.mjs";

/** Opens what its first argument says and hands that to the program that the others are. SIGHUP: the
 * program's end, and another one in its place. Node would accept from a listener itself. */
const MANAGER = `
    use IO::Socket::INET;
    use IO::Socket::UNIX;
    use POSIX ();
    my ($open, @program) = @ARGV;
    my $pid;
    $^F = 255; # what is opened from here on stays open in the program

    sub listener {
        my $socket = IO::Socket::INET->new(
            Listen => 128, LocalAddr => "127.0.0.1", LocalPort => shift, ReusePort => 1);
        return $socket // die "no listener: $@";
    }
    sub start {
        return if $pid = fork;
        POSIX::dup2(fileno($sockets[$_]), 3 + $_) for 0 .. $#sockets;
        $ENV{LISTEN_PID} = $$;
        $ENV{LISTEN_FDS} //= @sockets;
        exec qw(setpriv --pdeathsig KILL), @program or die "$!";
    }
    sub stop {
        kill TERM => $pid;
        waitpid $pid, 0;
        return $? == 0;
    }
    our @sockets = eval $open;
    die $@ if $@;
    $SIG{HUP} = sub { stop() or exit 1; start() };
    $SIG{TERM} = sub { exit(stop() ? 0 : 1) };
    start();
    waitpid($pid, 0) > 0 and exit $? >> 8 while 1;
`;
const ONE = "listener(0)";
const TWO = "my $one = listener(0); ($one, listener($one->sockport))";

/** The manager of a node that is handed this. */
function handOver(t, open, config, env = {}) {
    const folder = temporaryFolder();
    t.after(() => folder.remove());
    const path = writeConfiguration(folder.path, config);
    const node = [WEIR, "serve", "--config", path];
    const manager = new Program("perl", ["-e", MANAGER, open, ...node], env);
    t.after(() => manager.end("SIGKILL"));
    return manager;
}

const LISTENS = /listening on 127\.0\.0\.1:(\d+), a socket of the service manager/;

/** A request on a connection of its own: its status. */
function chat(port) {
    return new Promise((resolve, reject) => {
        const asked = request({
            ...{ port, host: "127.0.0.1", path: "/v1/chat/completions", method: "POST" },
            agent: false,
            signal: AbortSignal.timeout(20000),
            headers: { authorization: `Bearer ${SECRETS.a}`, "content-type": "application/json" },
        });
        asked.on("error", reject);
        asked.on("response", (answer) => {
            answer.resume().on("error", reject);
            answer.on("end", () => resolve(answer.statusCode));
        });
        asked.end(
            JSON.stringify({
                model: "weir-mock",
                messages: [{ role: "user", content: "Hello" }],
                max_tokens: 1,
            }),
        );
    });
}

describe("a service manager's sockets", () => {
    for (const [open, sockets, workers] of [
        [ONE, 1, 1],
        [ONE, 1, 3],
        [TWO, 2, 2],
        [TWO, 2, 3],
    ]) {
        it(`are served instead of "listen": ${sockets} by ${workers} workers`, async (t) => {
            const taken = createServer().listen(0, "127.0.0.1");
            t.after(() => taken.close());
            await new Promise((done) => taken.once("listening", done));
            const listen = `127.0.0.1:${taken.address().port}`;
            const manager = handOver(t, open, configuration({ listen, workers }));
            const [, port] = await manager.says(LISTENS);
            const statuses = await Promise.all(Array.from({ length: 30 }, () => chat(port)));
            assert.deepEqual(new Set(statuses), new Set([200]));
            assert.deepEqual(await manager.end(), { code: 0, signal: null }, manager.output);
            const said = [...manager.output.matchAll(/listening on (.*),/g)].map(([, on]) => on);
            assert.deepEqual(said, Array(sockets).fill(`127.0.0.1:${port}`));
        });
    }

    it("stay open while a node takes another's place: no request fails", async (t) => {
        const manager = handOver(t, ONE, configuration({ workers: 2 }));
        const [, port] = await manager.says(LISTENS);
        let restarting = true;
        const clients = Array.from({ length: 4 }, async () => {
            const statuses = [];
            for (let more = 5; more > 0; more -= restarting ? 0 : 1) {
                statuses.push(await chat(port));
            }
            return statuses;
        });
        for (const times of [2, 3]) {
            manager.signal("SIGHUP");
            await Promise.race([
                manager.says(new RegExp(`(listening on [^]*){${times}}`)),
                Promise.all(clients), // which shows what failed
            ]);
        }
        restarting = false;
        const statuses = (await Promise.all(clients)).flat();
        assert.ok(statuses.length >= 20);
        assert.deepEqual(new Set(statuses), new Set([200]));
        assert.deepEqual(await manager.end(), { code: 0, signal: null }, manager.output);
    });

    it("are refused where they are more than the workers", async (t) => {
        const manager = handOver(t, TWO, configuration({ workers: 1 }));
        await manager.says(/hands over 2 sockets, workers is 1$/m);
        assert.deepEqual(await manager.exited, { code: 1, signal: null });
    });

    for (const [what, open] of [
        ["a socket that does not listen", 'IO::Socket::INET->new(LocalAddr => "127.0.0.1")'],
        ["a datagram socket", 'IO::Socket::INET->new(LocalAddr => "127.0.0.1", Proto => "udp")'],
        ["a Unix socket", 'IO::Socket::UNIX->new(Local => "$ENV{FOLDER}/socket", Listen => 1)'],
        ["a file", 'open(my $file, "<", "/dev/null"); $file'],
    ]) {
        it(`are refused where one is ${what}`, async (t) => {
            const folder = temporaryFolder();
            t.after(() => folder.remove());
            const both = `(${ONE}, do { ${open} })`;
            const env = { FOLDER: folder.path };
            const manager = handOver(t, both, configuration({ workers: 2 }), env);
            await manager.says(/descriptor 4 of the service manager is no listening TCP/);
            assert.deepEqual(await manager.exited, { code: 1, signal: null });
        });
    }

    it("are as many as LISTEN_FDS says", async (t) => {
        for (const [fds, said] of [
            ["", /LISTEN_FDS: expected how many/],
            ["some", /LISTEN_FDS: expected how many/],
            ["-1", /LISTEN_FDS: expected how many/],
            ["2", /descriptor 4 of the service manager/], // nothing is there
            ["18446744073709551615", /hands over 18446744073709551615 sockets/],
        ]) {
            const manager = handOver(t, ONE, configuration({ workers: 2 }), { LISTEN_FDS: fds });
            await manager.says(said);
            assert.deepEqual(await manager.exited, { code: 1, signal: null });
        }
        const none = handOver(t, ONE, configuration(), { LISTEN_FDS: "0" });
        await none.says(/listening on 127\.0\.0\.1:\d+\n/);
        assert.deepEqual(await none.end(), { code: 0, signal: null });
    });

    it("are not taken when they are for another process", async () => {
        for (const LISTEN_PID of ["1", "", "mine"]) {
            const node = await Node.start(configuration(), { env: { LISTEN_PID, LISTEN_FDS: "1" } });
            assert.doesNotMatch(node.log, /service manager/);
            await node.stop();
        }
    });

    it("are taken as systemd hands them over", async (t) => {
        const folder = temporaryFolder();
        t.after(() => folder.remove());
        const port = await freePort();
        const path = writeConfiguration(folder.path, configuration());
        const systemd = new Program("systemd-socket-activate", [
            ...[`--listen=127.0.0.1:${port}`, "--fdname=weir"],
            ...[WEIR, "serve", "--config", path],
        ]);
        t.after(() => systemd.end("SIGKILL"));
        await systemd.says(/Listening on/);
        assert.equal(await chat(port), 200); // its connection is what the node is started for
        await systemd.says(LISTENS);
        assert.deepEqual(await systemd.end(), { code: 0, signal: null }, systemd.output);
    });
});
