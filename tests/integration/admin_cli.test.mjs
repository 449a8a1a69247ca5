// SPDX-License-Identifier: Apache-2.0
// The commands that ask a node's admin API: what they print, how they end, what they say when they
// cannot.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ADMIN, Admin } from "./support/admin.mjs";
import { run, temporaryFolder } from "./support/process.mjs";
import { freePort } from "./support/redis.mjs";
import { onEachStore } from "./support/stores.mjs";
import { Node, SECRETS, WEIR, configuration } from "./support/weir.mjs";

const TOKEN = "at-test-admin-token";
const NONE = { WEIR_ADMIN: "", WEIR_ADMIN_TOKEN: "" };

/** Ends so, and prints so. */
async function ends(code, pattern, args, env = {}) {
    const ended = await run(WEIR, args, { ...NONE, ...env });
    assert.equal(ended.code, code, `${args.join(" ")}: ${ended.output}`);
    assert.match(ended.output, pattern);
    assert.ok(!ended.output.includes(TOKEN));
    return ended.output;
}

onEachStore("the commands of the admin API", (start) => {
    let node;
    let env;
    before(async () => {
        node = await start(
            configuration({
                admin: ADMIN,
                mode: "exact",
                orgs: [{ id: "acme", plan: "tiny" }],
                keys: [
                    { id: "a", secret: SECRETS.a, plan: "roomy" },
                    { id: "b", secret: SECRETS.b, org: "acme" },
                ],
                models: { "gpt-4*": { plan: "tiny" } },
            }),
        );
        env = { WEIR_ADMIN: new Admin(node).url };
        await node.acquire({ key: "id:a", requests: 3, input_tokens: 100, output_tokens: 50 });
    });

    it("usage", async () => {
        const output = await ends(0, /^key:a, plan roomy\n/, ["usage", "key:a"], env);
        assert.match(output, /^requests +1min +3 +1000 +997 +\d+m?[\d.]*s$/m);
        assert.match(output, /^output_tokens +1day +50 +1000000 +999950 +24h/m);
        const json = await run(WEIR, ["usage", "--json", "key:a"], env);
        const { limits } = JSON.parse(json.output);
        assert.deepEqual([limits[0].meter, limits[0].used], ["requests", 3]);
        await ends(0, /^model:gpt-4\*, plan tiny\n(.*\n){4}$/, ["usage", "model:gpt-4*"], env);
        await ends(1, /^weir usage: There is no subject of this name/, ["usage", "key:x"], env);
    });

    it("check", async () => {
        const would = ["check", "a", "--input", "2k", "--output", "10"];
        await ends(0, /^allowed; with it:\n(.*\n)*input_tokens +1min +2100 /, would, env);
        const never = ["check", "--requests", "3", "b"];
        await ends(1, /^denied by requests of org:acme in 1min: .* never to pass\n/, never, env);
        const later = ["check", "a", "--output", "49951"];
        await ends(1, /^denied by output_tokens of key:a in 1min: would pass in /, later, env);
        const model = ["check", "a", "--model", "gpt-4o", "--requests", "3"];
        await ends(1, /^denied by requests of model:gpt-4\* /, model, env);
        const { output } = await run(WEIR, ["check", "--json", "a"], env);
        assert.equal(JSON.parse(output).allowed, true);
        assert.equal((await node.limits("a"))["requests/60"].used, 3);
        await ends(3, /^weir check: There is no key of this id/, ["check", "x"], env);
    });

    it("reset", async () => {
        await node.acquire({ key: "id:b", requests: 2, input_tokens: 1, output_tokens: 1 });
        await ends(1, /^denied/, ["check", "b"], env);
        await ends(0, /^org:acme: nothing of its limits is used\n$/, ["reset", "org:acme"], env);
        await ends(0, /^allowed/, ["check", "b"], env);
        await ends(1, /no subject of this name/, ["reset", "key:b"], env);
    });

    it("keys and plans", async () => {
        await ends(0, /^id .*\na +roomy +- +- +- +file\nb +- +- +acme +- +file\n$/, ["keys", "list"], env);
        await ends(0, /\nb .* acme +- +file\ncounted against: org:acme\n$/, ["keys", "show", "b"], env);
        const { output } = await run(WEIR, ["keys", "--json", "show", "a"], env);
        assert.deepEqual(JSON.parse(output).subjects, ["key:a"]);
        await ends(1, /no key of this id/, ["keys", "show", "x"], env);
        await ends(0, /^tiny\n {2}requests +2 {2}per 1min$/m, ["plans", "list"], env);
        await ends(0, /^tiny\n(.*\n){3}$/, ["plans", "show", "tiny"], env);
        await ends(1, /no plan of this name/, ["plans", "show", "x"], env);
    });
});

describe("a list of many keys", () => {
    it("is all of them", async (t) => {
        const ids = Array.from({ length: 2500 }, (_, i) => `k${i}`);
        const keys = ids.map((id) => ({ id, secret: `sk-test-${id}`, plan: "tiny" }));
        const node = await Node.start(configuration({ admin: ADMIN, keys }));
        t.after(() => node.stop());
        const env = { WEIR_ADMIN: `${new Admin(node).url}/` };
        const output = await ends(0, /^id /, ["keys", "list"], env);
        assert.deepEqual(output.match(/^k\d+/gm), ids);
        const pages = await run(WEIR, ["keys", "list", "--json"], env);
        assert.equal(pages.output.trim().split("\n").length, 3);
    });
});

describe("a command that cannot ask", () => {
    let folder;
    before(() => {
        folder = temporaryFolder();
    });
    after(() => folder.remove());

    it("says what was wrong with its arguments", async () => {
        for (const [pattern, ...args] of [
            [/^weir usage: expected the name of one subject/, "usage"],
            [/^weir usage: expected the name of one subject/, "usage", "a", "b"],
            [/^weir check: --input: expected a whole number, got "x"/, "check", "a", "--input", "x"],
            [/^weir usage: unknown option --model/, "usage", "a", "--model", "x"],
            [/^weir keys: expected list, or show/, "keys", "show"],
            [/^weir plans: expected list, or show/, "plans", "all"],
            [/^weir usage: --admin expects a value/, "usage", "a", "--admin"],
        ]) {
            await ends(2, pattern, args);
        }
        await ends(2, /admin token: expected 1 to 256 printable/, ["usage", "a"], {
            WEIR_ADMIN_TOKEN: "two\nlines",
        });
        await ends(2, /--token-file: .* cannot be read/, ["usage", "a", "--token-file", folder.path]);
    });

    it("says that nothing listens, whatever proxy the environment has", async () => {
        const admin = `http://127.0.0.1:${await freePort()}`;
        await ends(1, new RegExp(`nothing listens at ${admin}`), ["usage", "a", "--admin", admin], {
            http_proxy: "http://127.0.0.1:1",
        });
        await ends(3, /nothing listens at/, ["check", "a", "--admin", admin]);
        await ends(1, /cannot ask file:/, ["usage", "a", "--admin", "file:///etc"]);
    });

    it("says whose token is missing or wrong, from the environment or a file", async (t) => {
        const node = await Node.start(configuration({ admin: { ...ADMIN, token: TOKEN } }));
        t.after(() => node.stop());
        const ask = ["plans", "list", "--admin", new Admin(node).url];
        const file = join(folder.path, "token");
        writeFileSync(file, `${TOKEN}\n`);
        await ends(1, /wants the admin token, and was given none/, ask);
        await ends(1, /wants the admin token, and this is another/, ask, { WEIR_ADMIN_TOKEN: "x" });
        await ends(0, /^roomy$/m, ask, { WEIR_ADMIN_TOKEN: TOKEN });
        await ends(0, /^roomy$/m, [...ask, "--token-file", file], { WEIR_ADMIN_TOKEN: "x" });
    });

    it("says that what answers is no admin API", async (t) => {
        const bodies = ["", "[]", "<html>", '{"error":7}', '{"limits":{}}'];
        const server = createServer((request, response) => {
            response.statusCode = Number(request.url.match(/key%3A(\d+)/)[1]);
            response.end(bodies[Number(request.url.match(/x(\d)/)[1])]);
        });
        await new Promise((done) => server.listen(0, "127.0.0.1", done));
        t.after(() => server.close());
        const env = { WEIR_ADMIN: `http://127.0.0.1:${server.address().port}` };
        for (let i = 0; i < 3; i++) {
            await ends(1, /is no admin API of weir/, ["usage", `key:200x${i}`], env);
        }
        await ends(1, /answers 500|^weir usage: -/, ["usage", "key:500x3"], env);
        await ends(0, /^-, plan -\n/, ["usage", "key:200x4"], env);
    });
});
