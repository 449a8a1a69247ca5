// SPDX-License-Identifier: Apache-2.0
// A mock model server of the test's own, on a port that the kernel chose.
import assert from "node:assert/strict";
import { Program } from "./process.mjs";
import { eventually } from "./wait.mjs";
import { WEIR } from "./weir.mjs";

export class Mock {
    static async start(...args) {
        const program = new Program(WEIR, [
            ...["mock", "--listen", "127.0.0.1:0", "--workers", "1", "--output-tokens", "20:64"],
            ...args,
        ]);
        const [, port] = await program.says(/weir: listening on 127\.0\.0\.1:(\d+)/);
        return new Mock(program, Number(port));
    }

    constructor(program, port) {
        this.program = program;
        this.port = port;
        this.url = `http://127.0.0.1:${port}`;
    }

    /** What it produced, once no request is under way. */
    async usage() {
        return eventually(async () => {
            const all = await (await fetch(`${this.url}/mock/usage`)).json();
            return all.open === 0 && all;
        }, "the mock's requests to end");
    }

    /** Of the requests that called themselves so. */
    async trace(name) {
        await this.usage();
        const answer = await fetch(`${this.url}/mock/usage?trace=${name}`);
        assert.equal(answer.status, 200);
        return answer.json();
    }

    async stop() {
        await this.program.end();
    }
}
