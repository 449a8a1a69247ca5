// SPDX-License-Identifier: Apache-2.0
// deploy/nginx/auth_request.conf in a real nginx.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { answers, onPorts } from "./support/deploy.mjs";
import { Program, temporaryFolder } from "./support/process.mjs";
import { freePort } from "./support/redis.mjs";
import { Upstream, fixed } from "./support/upstream.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

describe("nginx that asks weir for each request", () => {
    let node, api, folder, nginx, url;
    before(async () => {
        node = await Node.start(configuration({ listen: `127.0.0.1:${await freePort()}` })); // it comes back
        api = await Upstream.start(fixed(200, {}, '{"of":"the API"}'));
        folder = temporaryFolder();
        const port = await freePort();
        url = `http://127.0.0.1:${port}`;
        const ports = { 8000: node.port, 9000: api.port, 8080: port };
        const example = onPorts("deploy/nginx/auth_request.conf", ports);
        writeFileSync(join(folder.path, "example.conf"), example);
        const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        const paths = kinds.map((kind) => `${kind}_temp_path ${folder.path}/${kind};`);
        kinds.forEach((kind) => mkdirSync(join(folder.path, kind)));
        writeFileSync(
            join(folder.path, "nginx.conf"),
            `daemon off; master_process off; pid ${folder.path}/pid; error_log stderr error;
             events {}
             http { access_log off; ${paths.join(" ")} include ${folder.path}/example.conf; }`,
        );
        nginx = new Program("nginx", ["-p", folder.path, "-c", join(folder.path, "nginx.conf")]);
        await answers(nginx, url, 401);
    });
    after(async () => {
        await nginx.end();
        await api.stop();
        folder.remove();
    });

    async function ask(authorization, body) {
        const headers = authorization === undefined ? {} : { authorization };
        const answer = await fetch(`${url}/some/path`, { method: "POST", headers, body });
        return { status: answer.status, headers: answer.headers, text: await answer.text() };
    }

    it("passes what is allowed on as it is, and denies what weir denies", async () => {
        for (let i = 0; i < 2; i++) {
            const allowed = await ask(`Bearer ${SECRETS.tiny}`, "what the client sends");
            assert.deepEqual([allowed.status, allowed.text], [200, '{"of":"the API"}']);
        }
        const last = api.requests.at(-1);
        assert.deepEqual(
            [last.method, last.url, last.body],
            ["POST", "/some/path", "what the client sends"],
        );
        const denied = await ask(`Bearer ${SECRETS.tiny}`);
        assert.equal(denied.status, 429);
        assert.equal(denied.headers.get("x-weir-limited-by"), "requests");
        assert.ok(Number(denied.headers.get("retry-after")) > 0);
        assert.ok(Number(denied.headers.get("retry-after-ms")) > 0);
        assert.equal(JSON.parse(denied.text).error.code, "rate_limit_exceeded");
        assert.equal(api.requests.length, 2);
    });

    it("refuses who has no key, one that is not known, or more than a key", async () => {
        const asked = api.requests.length;
        const injected = `Bearer ${SECRETS.a}","input_tokens":0,"output_tokens":0,"requests":0,"x":"`;
        for (const authorization of [
            undefined,
            "Bearer",
            "Bearer sk-of-nobody",
            "Bearer id:a",
            `Basic ${SECRETS.a}`,
            injected,
        ]) {
            const refused = await ask(authorization);
            assert.equal(refused.status, 401, authorization);
            assert.equal(JSON.parse(refused.text).error.code, "invalid_api_key");
        }
        assert.equal(api.requests.length, asked);
    });

    it("tells a client nothing of a service token that is wrong, but that it cannot ask", async () => {
        const port = node.port;
        await node.stop();
        const changes = { listen: `127.0.0.1:${port}`, service_token: "the-service-token" };
        node = await Node.start(configuration(changes));
        const refused = await ask(`Bearer ${SECRETS.a}`);
        assert.equal(refused.status, 503);
        assert.match(refused.text, /out of reach/);
    });

    it("says that weir is out of reach", async () => {
        await node.stop();
        const refused = await ask(`Bearer ${SECRETS.a}`);
        assert.equal(refused.status, 503);
        assert.match(refused.text, /out of reach/);
    });
});
