// SPDX-License-Identifier: Apache-2.0
// The commands that change keys, teams, orgs and plans of a node that runs.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ADMIN, Admin } from "./support/admin.mjs";
import { run, temporaryFolder } from "./support/process.mjs";
import { Node, WEIR, configuration } from "./support/weir.mjs";

describe("the commands of the registry", () => {
    let node, folder, env;
    before(async () => {
        folder = temporaryFolder();
        const registry = join(folder.path, "registry.json");
        node = await Node.start(configuration({ admin: ADMIN, registry }));
        env = { WEIR_ADMIN: new Admin(node).url, WEIR_ADMIN_TOKEN: "" };
    });
    after(async () => {
        await node?.stop();
        folder.remove();
    });

    /** Ends so, and prints so. */
    async function ends(code, pattern, ...args) {
        const ended = await run(WEIR, args, env);
        assert.equal(ended.code, code, `${args.join(" ")}: ${ended.output}`);
        assert.match(ended.output, pattern);
        return ended.output;
    }

    const acquire = async (secret) => {
        const json = { key: secret, requests: 1, input_tokens: 1, output_tokens: 1 };
        return (await node.acquire(json)).status;
    };

    it("plans", async () => {
        const limits = "requests: 3/min, output_tokens: [10k/min, 1M/day shadow]";
        const made = await ends(0, /^pro, registry\n/, "plans", "set", "pro", "--limits", limits);
        assert.match(made, /^ {2}output_tokens +1000000 {2}per 1day in shadow$/m);
        await ends(0, /"shadow":true/, "plans", "set", "pro", "--shadow", "true", "--json");
        const file = join(folder.path, "plan.json");
        writeFileSync(file, '{"limits": {"requests": "9/min"}, "shadow": null}');
        await ends(0, /^pro, .*\n {2}requests +9 {2}per 1min\n$/, "plans", "set", "pro", "--json-body", file);
        await ends(0, /^tiny, override\n/, "plans", "set", "tiny", "--limits", "requests: 5/min");
        await ends(0, /^tiny: deleted\n$/, "plans", "delete", "tiny");
        await ends(0, /^tiny\n {2}requests +2 /, "plans", "show", "tiny");
        await ends(1, /^weir plans: /, "plans", "delete", "tiny");
    });

    it("orgs and teams", async () => {
        await ends(0, /\nacme +roomy +- +registry\n$/, "orgs", "set", "acme", "--plan", "roomy");
        await ends(0, /\nsearch +- +acme +- +registry\n$/, "teams", "set", "search", "--org", "acme");
        await ends(0, /^id .*\nsearch +- +acme +disabled +registry\n$/, "teams", "disable", "search");
        await ends(0, /^id .*\nsearch +- +acme +- +registry\n$/, "teams", "enable", "search");
        await ends(0, /^id .*\nacme /, "orgs", "list");
        await ends(1, /^weir orgs: team:search could not be used then: org: /, "orgs", "delete", "acme");
    });

    it("keys", async () => {
        const made = await ends(0, /shown this once:\n/, "keys", "create", "x:y@z", "--plan", "roomy");
        const secret = made.trimEnd().split("\n").at(-1);
        assert.match(secret, /^sk-weir-\w{44}$/);
        assert.equal(await acquire(secret), 200);
        await ends(1, /^weir keys: .*already/, "keys", "create", "x:y@z", "--plan", "roomy");

        const own = ["keys", "set", "x:y@z", "--team", "search", "--limits", "requests: 7/min"];
        const set = await ends(0, /^x:y@z +roomy +search +acme +- +registry$/m, ...own);
        assert.match(set, /^limits: \{"requests":"7\/min"\}$/m);
        await ends(0, /^counted against: key:x:y@z org:acme$/m, "keys", "show", "x:y@z");

        const cleared = ["keys", "set", "x:y@z", "--clear", "limits", "--clear", "team"];
        assert.doesNotMatch(await ends(0, /^x:y@z +roomy +- +- +- +registry$/m, ...cleared), /limits/);

        await ends(0, / disabled /, "keys", "disable", "x:y@z");
        assert.equal(await acquire(secret), 403);
        await ends(0, /^x:y@z .* - +registry$/m, "keys", "enable", "x:y@z");
        const rotated = JSON.parse(await ends(0, /^\{/, "keys", "rotate", "x:y@z", "--json"));
        assert.notEqual(await acquire(secret), 200);
        assert.equal(await acquire(rotated.secret), 200);
        assert.ok(!(await ends(0, /^x:y@z /m, "keys", "list")).includes("sk-weir-"));

        await ends(0, /^key:x:y@z: granted\n$/, "grant", "key:x:y@z", "requests: 2", "--window", "1min");
        await ends(0, /^grants: \[.*"amount":2/m, "keys", "show", "x:y@z");
        await ends(0, /^x:y@z: deleted\n$/, "keys", "delete", "x:y@z");
        await ends(1, /^weir keys: .*no key/, "keys", "show", "x:y@z");
        assert.ok(!node.log.includes(secret) && !node.log.includes(rotated.secret));
    });

    it("wrong arguments, of which nothing is sent", async () => {
        for (const [pattern, ...args] of [
            [/^weir plans: --limits: cost: unknown/, "plans", "set", "p", "--limits", "cost: 1/s"],
            [/^weir plans: --shadow: expected true/, "plans", "set", "p", "--shadow", "yes"],
            [/^weir plans: expected list, or show/, "plans", "rotate", "p"],
            [/^weir teams: expected list, or show/, "teams", "create", "t"],
            [/^weir keys: delete takes no such/, "keys", "delete", "a", "--plan", "roomy"],
            [/^weir plans: .* beside --json-body/, "plans", "set", "p", "--json-body", "x", "--clear", "limits"],
            [/^weir plans: --json-body: .* cannot/, "plans", "set", "p", "--json-body", "/nowhere/x"],
            [/^weir grant: expected amounts/, "grant", "key:a", "output_tokens 10k"],
            [/^weir grant: --window: expected/, "grant", "key:a", "requests: 1", "--window", "x"],
        ]) {
            await ends(2, pattern, ...args);
        }
    });
});
