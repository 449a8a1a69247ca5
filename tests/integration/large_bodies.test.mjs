// SPDX-License-Identifier: Apache-2.0
// Bodies of the largest size that are made to be slow to read: what is read of them again for each of
// their parts would take minutes.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

const BYTES = (4 << 20) - 1000;
const SECONDS = 20; // of a slow machine with a sanitizer; the square of it is far more

/** A text of about `BYTES` of `one(i)`, separated by commas. */
function many(one) {
    const parts = [];
    for (let bytes = 0, i = 0; bytes < BYTES; i++) {
        parts.push(one(i));
        bytes += parts[i].length + 1;
    }
    parts.pop();
    return parts.join(",");
}

const message = (content) => `"messages":[{"role":"user","content":${content}}]`;
const tools = (text) => `${message('"Hi"')},"tools":[${text}]`;
const escaped = (length) => "\\u0061".repeat(length);
/** What of a list comes to a third of a body. */
const third = (list) => list.slice(0, list.lastIndexOf(",", BYTES / 3));
const described = (parameters) =>
    `{"type":"function","function":{"name":"f","parameters":{${parameters}}}}`;

const BODIES = {
    "one part with many images": message(
        `[{"type":"image_url","detail":"low",${many(() => '"image_url":"data:,"')}}]`,
    ),
    "many parts with an image": message(
        `[${many(() => '{"type":"image_url","image_url":{"url":"data:,","detail":"low"}}')}]`,
    ),
    "an image with many members": message(
        `[{"type":"image_url","image_url":{${many(() => '"url":"data:,"')}}}]`,
    ),
    "a part with many types": message(`[{${many(() => '"type":"image"')}}]`),
    "many tools": tools(many(() => described('"properties":{"a":{"type":"string"}}'))),
    "a tool with many parameters, all required": tools(
        described(
            `"required":[${third(many((i) => `"${i}"`))}],` +
                `"properties":{${third(many((i) => `"${i}":{}`))}}`,
        ),
    ),
    "a tool with many parameters, and a long name required": tools(
        described(
            `"required":["${escaped(300_000)}"],` +
                `"properties":{${third(many((i) => `"${i}":{}`))}}`,
        ),
    ),
    "a message with many members": `"messages":[{"role":"user",${many(() => '"content":"a"')}}]`,
    "many members with long names": `${message('"Hi"')},${many((i) => `"${escaped(2000)}${i}":0`)}`,
};

describe("bodies of four megabytes", () => {
    let node;
    before(async () => {
        node = await Node.start(
            configuration({
                plans: { p: { limits: { requests: "1000/min" } } },
                keys: [{ id: "a", secret: SECRETS.a, plan: "p" }],
            }),
        );
    });
    after(() => node.stop());

    for (const [what, fields] of Object.entries(BODIES)) {
        it(`with ${what} are answered soon`, async () => {
            const body = `{"model":"gpt-4o",${fields}}`; // whose tools are counted exactly
            assert.ok(body.length < 4 << 20, `${body.length}`);
            const started = performance.now();
            const { status, text } = await node.ask("POST", "/v1/chat/completions", {
                key: SECRETS.a,
                headers: { "content-type": "application/json" },
                body,
            });
            const seconds = (performance.now() - started) / 1000;
            assert.equal(status, 200, text.slice(0, 300));
            assert.ok(seconds < SECONDS, `${seconds} s`);
        });
    }
});
