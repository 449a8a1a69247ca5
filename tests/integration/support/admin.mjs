// SPDX-License-Identifier: Apache-2.0
// A node's admin API, on the port that the kernel chose for it.
import { Node } from "./weir.mjs";

export const ADMIN = { listen: "127.0.0.1:0" };

export class Admin {
    /** @param {Node} node whose configuration has ADMIN */
    constructor(node) {
        this.port = Number(node.log.match(/admin API on 127\.0\.0\.1:(\d+)/)[1]);
        this.url = `http://127.0.0.1:${this.port}`;
    }

    /** As Node's ask, below /admin/v1. */
    ask(method, path, options) {
        return Node.prototype.ask.call(this, method, `/admin/v1${path}`, options);
    }

    get(path, options) {
        return this.ask("GET", path, options);
    }
}
