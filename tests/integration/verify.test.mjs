// SPDX-License-Identifier: Apache-2.0
// weir verify by hand-made records, and by those that weir load writes.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { run, temporaryFolder } from "./support/process.mjs";
import { Node, SECRETS, WEIR, configuration } from "./support/weir.mjs";

let folder;
before(() => {
    folder = temporaryFolder();
});
after(() => folder.remove());

let files = 0;

function write(lines) {
    const path = join(folder.path, `record-${files++}.jsonl`);
    writeFileSync(path, lines.join("\n"));
    return path;
}

function charge(changes = {}) {
    return JSON.stringify({
        subject: "key:k",
        sent_us: 1000000,
        received_us: 1000500,
        requests: 1,
        input_tokens: 30,
        output_tokens: 16,
        ...changes,
    });
}

const verify = (...args) => run(WEIR, ["verify", ...args]);

describe("weir verify", () => {
    const at = (ms, changes) => charge({ sent_us: ms * 1000, received_us: ms * 1000, ...changes });

    it("finds the worst window of each subject and limit", async () => {
        const path = write([
            ...[at(0), at(1500), at(1900), at(2499), at(2500)],
            ...[at(3000, { subject: "key:other", output_tokens: 11 }), ""],
        ]);
        const { code, output } = await verify(
            ...["--limits", "requests: 3/s, total_tokens: [100/s, 1k/day]", "--json", path],
        );
        const report = JSON.parse(output);
        assert.equal(code, 1);
        assert.equal(report.charges, 6);
        assert.equal(report.over, 1);
        const row = (subject, meter, window_s) =>
            report.windows.find(
                (x) => x.subject === subject && x.meter === meter && x.window_s === window_s,
            );
        assert.deepEqual(row("key:k", "requests", 1), {
            ...{ subject: "key:k", meter: "requests", window_s: 1, capacity: 3, over: false },
            ...{ worst: { sum: 3, start_us: 1500000, charges: 3 }, too_long: 0 },
        });
        assert.equal(row("key:k", "total_tokens", 1).worst.sum, 138);
        assert.equal(row("key:k", "total_tokens", 1).over, true);
        assert.equal(row("key:k", "total_tokens", 86400).worst.sum, 230);
        assert.equal(row("key:other", "total_tokens", 1).worst.sum, 41);

        const text = await verify("--limits", "total_tokens: 137/s", path);
        assert.equal(text.code, 1);
        assert.match(text.output, /key:k +total_tokens +137\/1s +138 +1500000 +3 +OVER by 1\n/);
        assert.match(text.output, /\n1 of 2 limits were passed\n$/);
        assert.equal((await verify("--limits", "total_tokens: 138/s", path)).code, 0);
    });

    it("counts no charge that may have lain outside, and says so", async () => {
        const path = write([charge(), charge({ received_us: 2000000 })]);
        const { code, output } = await verify("--limits", "requests: 1/s", path);
        assert.equal(code, 0);
        assert.match(output, /sent and answered within it/);
        assert.match(output, /\(1 too long to count\)/);
        assert.equal((await verify("--limits", "requests: 1/2s", path)).code, 1);
    });

    it("without limits says what windows held, and judges nothing", async () => {
        const path = write([charge(), charge(), ""]);
        const { code, output } = await verify("--window", "1min", path, path);
        assert.equal(code, 0);
        assert.match(output, /key:k +input_tokens +60s +120 /);
        assert.doesNotMatch(output, /OVER|within\n|passed/);
        const json = JSON.parse((await verify("--window", "1min", "--json", path)).output);
        assert.equal(json.over, undefined);
        assert.equal(json.windows.length, 4);
    });

    it("names the place of what it cannot read, and reports nothing", async () => {
        for (const [line, expected] of [
            [charge().slice(0, -1), /one JSON object/],
            [charge({ requests: -1 }), /requests/],
            [charge({ received_us: 1 }), /received_us/],
            [charge().replace("output_tokens", "output"), /output_tokens/],
            [`{"x":"${"x".repeat(70000)}"}`, /65536 bytes/],
            [`${charge()}\0`, /NUL|JSON/],
        ]) {
            const path = write([charge(), "", line, charge()]);
            const { code, output } = await verify("--limits", "requests: 9/s", path);
            assert.equal(code, 3, output);
            assert.ok(output.startsWith(`${path}:3: `), output);
            assert.match(output, expected);
            assert.equal(output.trim().split("\n").length, 1, output);
        }
        const missing = await verify("--limits", "requests: 9/s", "/nowhere/record");
        assert.equal(missing.code, 3);
        assert.match(missing.output, /^\/nowhere\/record: /);
        assert.equal((await verify("--limits", "requests: 9/s", folder.path)).code, 3);
    });

    it("says which argument is wrong", async () => {
        const path = write([charge()]);
        for (const [args, expected] of [
            [["--limits", "requests: 1/fortnight", path], /--limits: requests: expected a rate/],
            [["--limits", "cost: 1/s", path], /unknown field/],
            [["--window", "0s", path], /--window: expected a length/],
            [["--window", "60s", "--limits", "requests: 1/s", path], /either/],
            [[path], /either/],
            [["--window", "60s"], /FILE/],
            [["--windows", "60s", path], /option/],
            [["--limits"], /--limits expects a value/],
        ]) {
            const { code, output } = await verify(...args);
            assert.equal(code, 2, output);
            assert.match(output, expected);
        }
        assert.equal((await verify("--help")).code, 0);
    });
});

describe("weir load --record", () => {
    let node;
    before(async () => {
        node = await Node.start(configuration());
    });
    after(() => node.stop());

    const load = (target, path, ...more) =>
        run(WEIR, [
            ...["load", "--target", target, "--record", path, "--clients", "4"],
            ...["--rate", "40", "--duration", "1", ...more],
        ]);

    const sum = (charges, meter) => charges.reduce((total, x) => total + x[meter], 0);

    for (const [how, key, more] of [
        ["answers", "a", []],
        ["streams", "b", ["--stream"]],
    ]) {
        it(`has what the node charged for ${how}, and no secret`, async () => {
            const path = write(["what stood there before".repeat(10000)]);
            const { code, output } = await load(
                ...[node.url, path, "--keys", `${SECRETS[key]},${SECRETS.tiny}`],
                ...["--key-ids", `${key},tiny`, ...more],
            );
            assert.equal(code, 0, output);
            const text = readFileSync(path, "utf8");
            assert.doesNotMatch(text, /sk-/);
            const charges = text.trim().split("\n").map(JSON.parse);
            const mine = charges.filter(({ subject }) => subject === `key:${key}`);
            const { "requests/60": requests, ...tokens } = await node.limits(key);
            assert.ok(mine.length > 5);
            assert.equal(mine.length, requests.used);
            assert.equal(sum(mine, "input_tokens"), tokens["input_tokens/60"].used);
            assert.equal(sum(mine, "output_tokens"), tokens["output_tokens/60"].used);
            assert.ok(mine.every((x) => x.sent_us < x.received_us));
            const judged = await verify("--limits", `requests: ${mine.length}/min`, path);
            assert.equal(judged.code, 0, judged.output);
            const over = await verify("--limits", `requests: ${mine.length - 1}/min`, path);
            assert.equal(over.code, 1, over.output);
        });
    }

    it("makes a file that others may not read, and numbers the keys", async () => {
        const path = join(folder.path, "new.jsonl");
        const { code, output } = await load(node.url, path, "--keys", `none,${SECRETS.a}`);
        assert.equal(code, 0, output);
        assert.equal(statSync(path).mode & 0o777, 0o600);
        const charges = readFileSync(path, "utf8").trim().split("\n").map(JSON.parse);
        assert.deepEqual([...new Set(charges.map(({ subject }) => subject))], ["key:2"]);
    });

    it("says what is missing in it", async () => {
        const server = createServer((_, response) => response.end("{}"));
        server.listen(0, "127.0.0.1");
        await once(server, "listening");
        const url = `http://127.0.0.1:${server.address().port}`;
        const path = join(folder.path, "empty.jsonl");
        const { code, output } = await load(url, path, "--keys", "k");
        server.closeAllConnections();
        server.close();
        assert.equal(code, 1);
        assert.match(output, /40 answers without usage are not in/);
        assert.match(output, /^allowed +40 /m);

        const full = await load(node.url, "/dev/full", "--keys", SECRETS.a);
        assert.equal(full.code, 1);
        assert.match(full.output, /cannot write \/dev\/full: No space left/);
    });
});
