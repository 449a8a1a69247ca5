// SPDX-License-Identifier: Apache-2.0
// docs/openapi.json against a node: it has the routes of the service, and each answer that is
// provoked here has a status, headers and a body that it describes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { problems, resolve } from "./support/schema.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

const document = JSON.parse(readFileSync("docs/openapi.json", "utf8"));
const TOKEN = "the-service-token";

/** A header's text as the value that its schema is about. */
function headerValue(schema, text) {
    return schema.type === "integer" && /^\d+$/.test(text) ? Number(text) : text;
}

/** Everything about an answer that its operation does not describe. */
function undescribed(operation, { status, headers, text, body }) {
    const response = resolve(document, operation.responses[status]);
    if (response === undefined) {
        return [`status ${status} is not described`];
    }
    const found = [];
    for (const [name, header] of Object.entries(response.headers ?? {})) {
        const { required, schema } = resolve(document, header);
        if (headers.has(name)) {
            const value = headerValue(resolve(document, schema), headers.get(name));
            found.push(...problems(document, schema, value, name));
        } else if (required) {
            found.push(`no ${name}`);
        }
    }
    for (const name of headers.keys()) {
        const told = name in (response.headers ?? {});
        if (!told && /^(x-|openai-|request-|retry-|allow$|www-)/.test(name)) {
            found.push(`${name} is not described`);
        }
    }
    const type = headers.get("content-type")?.split(";")[0];
    const content = response.content[type];
    if (content === undefined) {
        return [...found, `content-type ${type} is not described`];
    }
    const value = type === "application/json" ? body : text;
    return [...found, ...problems(document, content.schema, value)];
}

describe("the OpenAPI description", () => {
    it("has the routes of the service and no others", () => {
        const source = readFileSync("src/service/service.c", "utf8");
        const routes = [...source.matchAll(/WEIR_STR_INIT\("(\/[^"]+)"\), WEIR_HTTP_(\w+)/g)];
        assert.ok(routes.length >= 8);
        assert.deepEqual(
            Object.entries(document.paths)
                .flatMap(([path, item]) => Object.keys(item).map((m) => `${m} ${path}`))
                .sort(),
            routes.map(([, path, method]) => `${method.toLowerCase()} ${path}`).sort(),
        );
    });

    it("refers to nothing that is not there", () => {
        (function walk(node) {
            if (node !== null && typeof node === "object") {
                resolve(document, node);
                Object.values(node).forEach(walk);
            }
        })(document);
    });
});

describe("answers are as the OpenAPI description says:", () => {
    let node;
    let reservation;
    before(async () => {
        node = await Node.start(
            configuration({
                service_token: TOKEN,
                keys: [...configuration().keys, OFF],
                models: { "weir-mock": {} },
                http: { max_body_bytes: 4096 },
            }),
        );
        const { body } = await node.acquire(ACQUIRE, { key: TOKEN });
        reservation = body.reservation;
    });
    after(() => node.stop());

    const OFF = { id: "off", secret: "sk-test-secret-off", plan: "roomy", disabled: true };
    const CHAT = { model: "weir-mock", messages: [{ role: "user", content: "Hello" }] };
    const ACQUIRE = { key: "id:a", model: "weir-mock", input_tokens: 10, output_tokens: 10 };
    const NOTHING = { key: "id:a", input_tokens: 0, output_tokens: 0, requests: 0 };
    const settle = () => ({ reservation, input_tokens: 1, output_tokens: 1 });
    const KEY = { key: SECRETS.a };
    const good = {
        "/v1/chat/completions": { key: SECRETS.a, json: CHAT },
        "/v1/models": KEY,
        "/v1/usage": KEY,
        "/weir/v1/acquire": { key: TOKEN, json: ACQUIRE },
        "/weir/v1/settle": { key: TOKEN, json: settle },
        "/healthz": {},
        "/readyz": {},
        "/metrics": {},
    };
    /** What is wrong of each route beside what is wrong of all: [status, path, changes]. */
    const more = [
        [200, "/v1/chat/completions", { json: { ...CHAT, stream: true } }],
        [400, "/v1/chat/completions", { json: { ...CHAT, max_tokens: 0 } }],
        [403, "/v1/chat/completions", { key: OFF.secret }],
        [429, "/v1/chat/completions", { json: { ...CHAT, max_tokens: 60000 } }],
        [429, "/v1/chat/completions", { key: SECRETS.tiny, json: { ...CHAT, max_tokens: 300 } }],
        [200, "/v1/models", { headers: { "anthropic-version": "2023-06-01" } }],
        [401, "/v1/models", { key: "sk-wrong", headers: { "anthropic-version": "2023-06-01" } }],
        [403, "/v1/models", { key: OFF.secret }],
        [403, "/v1/models", { key: OFF.secret, headers: { "anthropic-version": "2023-06-01" } }],
        [403, "/v1/usage", { key: OFF.secret }],
        [403, "/weir/v1/acquire", { json: { ...ACQUIRE, key: "id:off" } }],
        [200, "/weir/v1/acquire", { json: NOTHING }],
        [400, "/weir/v1/acquire", { json: { ...ACQUIRE, tokens: 1 } }],
        [404, "/weir/v1/acquire", { json: { ...ACQUIRE, key: "id:nobody" } }],
        [429, "/weir/v1/acquire", { json: { ...ACQUIRE, input_tokens: 900000 } }],
        [429, "/weir/v1/acquire", { json: { ...ACQUIRE, key: "id:tiny", output_tokens: 300 } }],
        [400, "/weir/v1/settle", { json: { ...settle(), reservation: "rsv_" } }],
    ];

    async function provoke(status, path, options, method) {
        const [[offered, operation]] = Object.entries(document.paths[path]);
        const { json } = options;
        const sent = { ...options, json: typeof json === "function" ? json() : json };
        const answer = await node.ask(method ?? offered.toUpperCase(), path, sent);
        assert.equal(answer.status, status, answer.text);
        assert.deepEqual(undescribed(operation, answer), []);
        if (sent.json !== undefined && status === 200) {
            const { schema } = operation.requestBody.content["application/json"];
            assert.deepEqual(problems(document, schema, sent.json, "request"), []);
        }
    }

    for (const [path, item] of Object.entries(document.paths)) {
        const [method] = Object.keys(item);
        it(`${path}, as it should be asked and as not`, async () => {
            await provoke(200, path, good[path]);
            await provoke(405, path, { ...good[path], json: undefined }, "DELETE");
            if (item[method].security.length > 0) {
                await provoke(401, path, { ...good[path], key: undefined });
                await provoke(401, path, { ...good[path], key: "sk-wrong" });
            }
            if (method === "post") {
                const raw = { ...good[path], json: undefined };
                const headers = { "content-type": "application/json" };
                await provoke(400, path, { ...raw, body: '{"model":', headers });
                await provoke(413, path, { ...raw, body: "x".repeat(5000), headers });
                await provoke(415, path, { ...raw, body: "{}" });
            }
        });
    }

    it("denials, and the other forms of answers", async () => {
        // two that fit, so that what comes then is denied for a while, not for ever
        await node.chat(SECRETS.tiny, { max_tokens: 300 });
        await node.acquire({ ...ACQUIRE, key: "id:tiny" }, { key: TOKEN });
        for (const [status, path, changes] of more) {
            await provoke(status, path, { ...good[path], ...changes });
        }
    });
});
