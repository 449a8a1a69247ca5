// SPDX-License-Identifier: Apache-2.0
// What a node refuses: each wrong request gets its status, says what is wrong and charges nothing.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { exchange } from "./support/raw.mjs";
import { sleep } from "./support/wait.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

const CHAT = "/v1/chat/completions";
const ALIVE = "GET /healthz HTTP/1.1\r\nHost: weir\r\n\r\n";
const GOOD = { model: "weir-mock", messages: [{ role: "user", content: "Hello" }] };
const AUTHORIZED = `Host: weir\r\nAuthorization: Bearer ${SECRETS.a}\r\n`;
const POST = `POST ${CHAT} HTTP/1.1\r\n${AUTHORIZED}Content-Type: application/json\r\n`;
const BODY = JSON.stringify(GOOD);
const LENGTH = `Content-Length: ${BODY.length}\r\n`;

let node;
before(async () => {
    node = await Node.start(
        configuration({
            http: {
                max_head_bytes: 4096,
                max_target_bytes: 1024,
                max_body_bytes: 65536,
                head_timeout_ms: 400,
                body_timeout_ms: 400,
            },
        }),
    );
});

after(async () => {
    // None of all this charged anything, and the node is well.
    const limits = await node.limits("a");
    for (const [name, { used }] of Object.entries(limits)) {
        assert.equal(used, 0, `${name} was charged`);
    }
    for (const secret of Object.values(SECRETS)) {
        assert.ok(!node.log.includes(secret), "a secret in the log");
    }
    await node.stop();
});

function isOpenAIError(body, text) {
    assert.ok(body?.error, text);
    assert.deepEqual(Object.keys(body.error).sort(), ["code", "message", "param", "type"]);
    assert.ok(body.error.message.length > 0);
    assert.equal(body.error.type, "invalid_request_error");
}

describe("a body that is no chat request", () => {
    const deep = "[".repeat(30000) + "]".repeat(30000);
    const cases = [
        ["nothing", "", null],
        ["no JSON", "{", null],
        ["a control character in a text", BODY.replace("Hello", "Hel\nlo"), null],
        ["a control character between fields", `${BODY.slice(0, -1)}\v}`, null],
        ["two max_tokens", `${BODY.slice(0, -1)},"max_tokens":1,"max_tokens":99}`, "max_tokens"],
        ["two models", `{"model":"a",${BODY.slice(1)}`, "model"],
        ["more than one JSON value", `${BODY}{}`, null],
        ["an array", "[]", null],
        ["a number", "7", null],
        ["a NUL byte in the JSON", `{"model":"weir-mock\0"}`, null],
        ["an array without end", deep, null],
        ["no model", { model: undefined }, "model"],
        ["a model that is a number", { model: 7 }, "model"],
        ["an empty model", { model: "" }, "model"],
        ["a very long model", { model: "m".repeat(10000) }, "model"],
        ["no messages", { messages: undefined }, "messages"],
        ["messages that are a text", { messages: "Hello" }, "messages"],
        ["no message in messages", { messages: [] }, "messages"],
        ["a message that is a number", { messages: [7] }, /^messages/],
        ["a negative max_tokens", { max_tokens: -1 }, "max_tokens"],
        ["a max_tokens of 0", { max_tokens: 0 }, "max_tokens"],
        ["a broken max_tokens", { max_tokens: 1.5 }, "max_tokens"],
        ["a text for max_tokens", { max_tokens: "5" }, "max_tokens"],
        ["a max_tokens beyond all bounds", { max_tokens: 1e300 }, "max_tokens"],
        ["a max_tokens of 2^63", { max_tokens: 2 ** 63 }, "max_tokens"],
        [
            "a negative max_completion_tokens",
            { max_completion_tokens: -5 },
            "max_completion_tokens",
        ],
        [
            "an array for max_completion_tokens",
            { max_completion_tokens: [] },
            "max_completion_tokens",
        ],
        ["a text for stream", { stream: "yes" }, "stream"],
        ["a text for stream_options", { stream: true, stream_options: "x" }, /^stream_options/],
    ];
    for (const [what, change, param] of cases) {
        it(`refuses ${what}`, async () => {
            const body =
                typeof change === "string" ? change : JSON.stringify({ ...GOOD, ...change });
            const answer = await node.ask("POST", CHAT, {
                key: SECRETS.a,
                body,
                headers: { "content-type": "application/json" },
            });
            assert.equal(answer.status, 400, answer.text);
            isOpenAIError(answer.body, answer.text);
            if (param instanceof RegExp) {
                assert.match(answer.body.error.param, param);
            } else {
                assert.equal(answer.body.error.param, param);
            }
            if (param !== null) {
                assert.match(answer.body.error.message, /model|messages|max_|stream/);
            }
        });
    }

    it("refuses invalid UTF-8", async () => {
        const body = Buffer.from(BODY.replace("Hello", "\xff\xfe"), "latin1");
        const headers = { "content-type": "application/json" };
        const answer = await node.ask("POST", CHAT, { key: SECRETS.a, body, headers });
        assert.equal(answer.status, 400, answer.text);
    });
});

describe("a body that is no native request", () => {
    const acquire = { key: "id:a", input_tokens: 1, output_tokens: 1 };
    for (const [what, change, field] of [
        ["no key", { key: undefined }, "key"],
        ["a key that is a number", { key: 7 }, "key"],
        ["no input_tokens", { input_tokens: undefined }, "input_tokens"],
        ["negative input_tokens", { input_tokens: -1 }, "input_tokens"],
        ["broken input_tokens", { input_tokens: 0.5 }, "input_tokens"],
        ["output_tokens above 2^50", { output_tokens: 2 ** 50 + 1 }, "output_tokens"],
        ["a text for output_tokens", { output_tokens: "1" }, "output_tokens"],
        ["negative requests", { requests: -1 }, "requests"],
        ["a model that is a number", { model: 7 }, "model"],
    ]) {
        it(`acquire refuses ${what}`, async () => {
            const { status, body, text } = await node.acquire({ ...acquire, ...change });
            assert.equal(status, 400, text);
            assert.equal(body.error.param, field);
        });
    }

    for (const [what, more, param] of [
        ["the same field twice", ',"output_tokens":9', "output_tokens"],
        ["a field it does not know", ',"output_token":9', "output_token"],
    ]) {
        it(`acquire refuses ${what}`, async () => {
            const body = `${JSON.stringify(acquire).slice(0, -1)}${more}}`;
            const headers = { "content-type": "application/json" };
            const answer = await node.ask("POST", "/weir/v1/acquire", { body, headers });
            assert.equal(answer.status, 400, answer.text);
            assert.equal(answer.body.error.param, param);
        });
    }

    it("repeats no long name of a field", async () => {
        const { status, body, text } = await node.acquire({ ...acquire, ["ü".repeat(9999)]: 1 });
        assert.equal(status, 400);
        assert.equal(body.error.param, null);
        assert.ok(text.length < 300, `${text.length} bytes`);
    });

    for (const [what, change, field] of [
        ["no reservation", { reservation: undefined }, "reservation"],
        ["a reservation that is a number", { reservation: 7 }, "reservation"],
        ["negative output_tokens", { output_tokens: -1 }, "output_tokens"],
        ["input_tokens above 2^50", { input_tokens: 1e16 }, "input_tokens"],
    ]) {
        it(`settle refuses ${what}`, async () => {
            const first = await node.acquire({ key: "id:b", input_tokens: 1, output_tokens: 1 });
            const { status, body, text } = await node.settle({
                reservation: first.body.reservation,
                input_tokens: 1,
                output_tokens: 1,
                ...change,
            });
            assert.equal(status, 400, text);
            assert.equal(body.error.param, field);
        });
    }
});

describe("a request for somebody or something that is not there", () => {
    for (const [what, headers] of [
        ["without a key", {}],
        ["with an unknown key", { authorization: "Bearer sk-wrong" }],
        ["with an empty key", { authorization: "Bearer " }],
        ["with another scheme", { authorization: `Basic ${SECRETS.a}` }],
        ["with a key of 3000 bytes", { authorization: `Bearer ${"x".repeat(3000)}` }],
        ["with a key's beginning", { authorization: `Bearer ${SECRETS.a.slice(0, -1)}` }],
    ]) {
        it(`gets 401 ${what}`, async () => {
            const answer = await node.ask("POST", CHAT, { json: GOOD, headers });
            assert.equal(answer.status, 401, answer.text);
            assert.equal(answer.headers.get("www-authenticate"), "Bearer");
            isOpenAIError(answer.body, answer.text);
        });
    }

    it("gets 404 for an unknown path", async () => {
        for (const path of ["/", "/v1", "/v1/chat", `${CHAT}/`, "/weir/v1", "/V1/MODELS"]) {
            const answer = await node.ask("GET", path, { key: SECRETS.a });
            assert.equal(answer.status, 404, path);
            isOpenAIError(answer.body, answer.text);
        }
    });

    it("gets 405 with Allow for the wrong method", async () => {
        for (const [method, path, allow] of [
            ["GET", CHAT, /POST/],
            ["DELETE", CHAT, /POST/],
            ["PUT", "/v1/models", /GET/],
            ["POST", "/v1/usage", /GET/],
            ["POST", "/healthz", /GET/],
            ["GET", "/weir/v1/acquire", /POST/],
            ["PATCH", "/weir/v1/settle", /POST/],
        ]) {
            const answer = await node.ask(method, path, { key: SECRETS.a });
            assert.equal(answer.status, 405, `${method} ${path}`);
            assert.match(answer.headers.get("allow"), allow);
            assert.match(answer.headers.get("x-request-id"), /^req_/);
            isOpenAIError(answer.body, answer.text);
        }
    });

    it("gets 415 for a body that does not say it is JSON", async () => {
        for (const type of [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonx",
        ]) {
            const headers = { "content-type": type };
            const answer = await node.ask("POST", CHAT, { key: SECRETS.a, body: BODY, headers });
            assert.equal(answer.status, 415, type);
        }
        const headers = { "content-type": "Application/JSON; charset=utf-8" };
        const answer = await node.ask("POST", CHAT, { key: SECRETS.b, body: BODY, headers });
        assert.equal(answer.status, 200, answer.text);
    });
});

/** The node answers `text` with this status alone and closes: what follows is not served. */
async function refusedAndClosed(text, ...statuses) {
    const { answers, closed } = await exchange(node.port, text);
    assert.ok(closed, "the connection stays open");
    assert.equal(answers.length, 1, JSON.stringify(answers));
    assert.ok(statuses.includes(answers[0].status), `${answers[0].status} ${answers[0].body}`);
    assert.equal(answers[0].headers.connection, "close");
    return answers[0];
}

// Its client reads error.type, error.details and the header request-id.
describe("a client of Anthropic's API", () => {
    const version = { "anthropic-version": "2023-06-01" };

    async function refused(status, type, method, path, options) {
        const answer = await node.ask(method, path, options);
        assert.equal(answer.status, status, answer.text);
        assert.equal(answer.body.type, "error");
        assert.equal(answer.body.error.type, type);
        assert.equal(typeof answer.body.error.message, "string");
        assert.match(answer.body.request_id, /^req_[0-9a-f]{32}$/);
        assert.equal(answer.headers.get("request-id"), answer.body.request_id);
        assert.equal(answer.headers.get("x-request-id"), answer.body.request_id);
        return answer.body.error.details?.error_code;
    }

    it("is refused in its words", async () => {
        const key = { headers: { ...version, "x-api-key": "sk-nobody" } };
        const code = await refused(401, "authentication_error", "GET", "/v1/models", key);
        assert.equal(code, "invalid_api_key");
        await refused(401, "authentication_error", "GET", "/v1/usage", { headers: version });
        await refused(404, "not_found_error", "GET", "/v1/nothing", { headers: version });
    });

    it("is known by its path alone", async () => {
        await refused(404, "not_found_error", "POST", "/v1/messages", { json: GOOD });
        const answer = await node.ask("GET", CHAT, { headers: version });
        assert.equal(answer.body.error.code, "method_not_allowed", "OpenAI's by its path");
    });
});

describe("sizes and times", () => {
    it("411 without a length", async () => {
        await refusedAndClosed(`${POST}\r\n`, 411);
    });

    it("413 for a body above the bound, announced or not", async () => {
        await refusedAndClosed(`${POST}Content-Length: 65537\r\n\r\n`, 413);
        await refusedAndClosed(`${POST}Content-Length: 18446744073709551615\r\n\r\n`, 400, 413);
        const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
        await refusedAndClosed(`${POST}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}`, 413);
    });

    it("413 reaches a client that reads only when it has sent its body", async () => {
        const body = "x".repeat(16 << 20);
        const headers = { "content-type": "application/json" };
        for (let round = 0; round < 4; round++) {
            const { status } = await node.ask("POST", CHAT, { key: SECRETS.a, body, headers });
            assert.equal(status, 413);
        }
    });

    it("414 for a target above the bound, and 200 at it", async () => {
        const target = (size) => `/healthz?${"q".repeat(size - "/healthz?".length)}`;
        await refusedAndClosed(`GET ${target(1025)} HTTP/1.1\r\nHost: weir\r\n\r\n`, 414);
        const { status } = await node.ask("GET", target(1024));
        assert.equal(status, 200);
    });

    it("431 for a head above the bound, or too many headers", async () => {
        const start = "GET /healthz HTTP/1.1\r\nHost: weir\r\n";
        await refusedAndClosed(`${start}X: ${"x".repeat(5000)}\r\n\r\n`, 431);
        await refusedAndClosed(`${start}${"X: y\r\n".repeat(101)}\r\n`, 431);
        await refusedAndClosed(`${start}${"x".repeat(5000)}`, 431);
    });

    it("408 for a slow head and for a slow body", async () => {
        await refusedAndClosed("GET /healthz HTTP/1.1\r\nHost: weir\r\n", 408);
        await refusedAndClosed(`${POST}${LENGTH}\r\n{`, 408);
        await refusedAndClosed(`${POST}Transfer-Encoding: chunked\r\n\r\n5\r\n{`, 408);
    });

    it("in Anthropic's form, where that is the request's", async () => {
        const messages = POST.replace(CHAT, "/v1/messages");
        const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
        for (const [text, status, type] of [
            [`${messages}\r\n`, 411, "invalid_request_error"],
            [`${messages}Content-Length: 65537\r\n\r\n`, 413, "request_too_large"],
            [
                `${messages}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}`,
                413,
                "request_too_large",
            ],
            [`${messages}${LENGTH}\r\n{`, 408, "timeout_error"],
            [`${messages}Transfer-Encoding: chunked\r\n\r\n5\r\n{`, 408, "timeout_error"],
            [
                `${POST.replace(CHAT, "/v1/x?y")}Anthropic-Version: 1\r\nExpect: z\r\n${LENGTH}\r\n`,
                417,
                "invalid_request_error",
            ],
        ]) {
            const exchanged = exchange(node.port, text);
            await sleep(50);
            await node.ask("GET", `/${"x".repeat(900)}`); // read where that one was
            const { answers } = await exchanged;
            assert.equal(answers.length, 1, text.slice(0, 200));
            assert.equal(answers[0].status, status);
            const body = JSON.parse(answers[0].body);
            assert.equal(body.type, "error");
            assert.equal(body.error.type, type);
            assert.ok(body.error.message.length > 10);
        }
    });

    it("501 for a transfer coding it does not know", async () => {
        await refusedAndClosed(`${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501);
    });

    it("505 for another version", async () => {
        await refusedAndClosed("OPTIONS /healthz RTSP/1.0\r\nHost: weir\r\n\r\n", 505);
        await refusedAndClosed("GET /healthz HTTP/3.0\r\nHost: weir\r\n\r\n", 400, 505);
    });
});

describe("a request that two readers could read in two ways", () => {
    const chunked = "Transfer-Encoding: chunked\r\n";
    const chunks = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;
    const get = "GET /healthz HTTP/1.1\r\nHost: weir\r\n";
    const cases = {
        "two lengths that differ": `${POST}${LENGTH}Content-Length: 3\r\n\r\n${BODY}`,
        "the same length twice": `${POST}${LENGTH}${LENGTH}\r\n${BODY}`,
        "a list of lengths": `${POST}Content-Length: 3, 3\r\n\r\n${BODY}`,
        "a length with a sign": `${POST}Content-Length: +${BODY.length}\r\n\r\n${BODY}`,
        "a length in hexadecimal": `${POST}Content-Length: 0x3\r\n\r\n${BODY}`,
        "an empty length": `${POST}Content-Length: \r\n\r\n${BODY}`,
        "a length and a coding": `${POST}${LENGTH}${chunked}\r\n${chunks}`,
        "a coding and a length": `${POST}${chunked}${LENGTH}\r\n${chunks}`,
        "chunked twice": `${POST}${chunked}${chunked}\r\n${chunks}`,
        "chunked not last": `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${chunks}`,
        "a coding that only looks chunked": `${POST}Transfer-Encoding: xchunked\r\n\r\n${chunks}`,
        "a coding after a vertical tab": `${POST}Transfer-Encoding:\x0bchunked\r\n\r\n${chunks}`,
        "a space before the colon": `${POST}Transfer-Encoding : chunked\r\n\r\n${chunks}`,
        "a folded header": `${get}X: one\r\n two\r\n\r\n`,
        "a header without a name": `${get}: x\r\n\r\n`,
        "a header without a colon": `${get}nothing\r\n\r\n`,
        "a bare LF after a header": `${get}X: y\n\r\n`,
        "a bare LF after the request line": "GET /healthz HTTP/1.1\nHost: weir\r\n\r\n",
        "a bare LF at the end of the head": `${get}X: y\r\n\n`,
        "a bare CR in a header": `${get}X: y\rZ: w\r\n\r\n`,
        "a NUL in a header": `${get}X: \0\r\n\r\n`,
        "a NUL in the target": "GET /healthz\0 HTTP/1.1\r\nHost: weir\r\n\r\n",
        "a chunk size that overflows": `${POST}${chunked}\r\n10000000000000003\r\n${BODY}`,
        "a chunk size with a sign": `${POST}${chunked}\r\n-3\r\nabc\r\n0\r\n\r\n`,
        "a chunk without its CRLF": `${POST}${chunked}\r\n1\r\nabc\r\n0\r\n\r\n`,
        "a bare LF after a chunk size": `${POST}${chunked}\r\n3\nabc\r\n0\r\n\r\n`,
        "a folded trailer": `${POST}${chunked}\r\n0\r\nX:\r\n y\r\n\r\n`,
        "two spaces after the method": "GET  /healthz HTTP/1.1\r\nHost: weir\r\n\r\n",
        "no Host": "GET /healthz HTTP/1.1\r\n\r\n",
        "two Hosts": `${get}Host: other\r\n\r\n`,
        "no HTTP": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    };
    for (const [what, text] of Object.entries(cases)) {
        it(`is refused and closed: ${what}`, async () => {
            await refusedAndClosed(text + ALIVE, 400, 501);
        });
    }
});

describe("a client that goes away", () => {
    it("leaves nothing behind, wherever it stops", async () => {
        const whole = `${POST}${LENGTH}\r\n${BODY.slice(0, -1)}`;
        for (let length = 1; length < whole.length; length += 17) {
            await exchange(node.port, whole.slice(0, length), { end: true, timeoutMs: 1000 });
        }
        assert.equal((await node.ask("GET", "/healthz")).status, 200);
    });
});
