// SPDX-License-Identifier: Apache-2.0
// The examples under deploy/, run as they are: only the ports differ.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { eventually } from "./wait.mjs";

/** The file's text, with other ports for those that it names: {8000: 12345, ...}. */
export function onPorts(path, ports) {
    return readFileSync(path, "utf8").replace(/(127\.0\.0\.1:)(\d+)\b/g, (_, host, known) => {
        assert.ok(known in ports, `${path}: ${known}`);
        return host + ports[known];
    });
}

/** Waits until the program, a server, answers with this status. */
export async function answers(program, url, status) {
    await eventually(async () => {
        assert.ok(!program.ended, program.output);
        return fetch(url).then(
            (answer) => answer.status === status,
            () => false,
        );
    }, `${status} from ${url}`);
}
