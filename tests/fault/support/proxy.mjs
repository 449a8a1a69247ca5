// SPDX-License-Identifier: Apache-2.0
// A link to a Redis on which things go wrong.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Modes of a link.
 * pass: bytes go through; slow: each `delayMs` later, in order; stall: nothing moves until the mode
 * changes, then all of it; reset: connections end with RST, also new ones; halfOpen: bytes are lost
 * and nobody is told; the connections of that time stay so for ever, new ones follow the mode. */
export class Link {
    /** @param {number} port of the server on 127.0.0.1, and of the link on `host` */
    static async to(port, host) {
        const link = new Link(port);
        link.server.listen(port, host);
        await once(link.server, "listening");
        return link;
    }

    constructor(port) {
        this.mode = "pass";
        this.delayMs = 0;
        this.connections = new Set();
        this.server = createServer((near) => this.#accept(near, connect(port, "127.0.0.1")));
    }

    set(mode, delayMs = 0) {
        this.mode = mode;
        this.delayMs = delayMs;
        for (const connection of this.connections) {
            connection.change();
        }
    }

    close() {
        this.server.close();
        for (const connection of this.connections) {
            connection.end();
        }
    }

    #accept(near, far) {
        const connection = new Connection(this, near, far);
        this.connections.add(connection);
        near.once("close", () => this.connections.delete(connection));
        connection.change();
    }
}

/** What moves in one direction: in order, nothing before its time, nothing while it stalls. */
class Direction {
    constructor(connection, from, to) {
        this.connection = connection;
        this.queue = [];
        from.setNoDelay(true);
        from.on("data", (bytes) => this.#push(() => to.write(bytes)));
        from.on("end", () => this.#push(() => to.end()));
        from.on("error", () => this.#push(() => to.destroy()));
    }

    #push(act) {
        this.queue.push({ act, atMs: performance.now() + this.connection.link.delayMs });
        this.drain();
    }

    drain() {
        clearTimeout(this.timer);
        if (this.connection.lost) {
            this.queue = [];
        }
        while (this.queue.length > 0 && this.connection.link.mode !== "stall") {
            const waitMs = this.queue[0].atMs - performance.now();
            if (waitMs > 0) {
                this.timer = setTimeout(() => this.drain(), waitMs);
                return;
            }
            this.queue.shift().act();
        }
    }
}

class Connection {
    constructor(link, near, far) {
        Object.assign(this, { link, near, far, lost: false });
        this.directions = [new Direction(this, near, far), new Direction(this, far, near)];
        near.once("close", () => this.lost && far.destroy());
    }

    change() {
        const { mode } = this.link;
        if (mode === "reset") {
            this.lost = true;
            this.near.resetAndDestroy();
            this.far.destroy();
        } else if (mode === "halfOpen") {
            this.lost = true;
        }
        this.directions.forEach((direction) => direction.drain());
    }

    end() {
        this.lost = true;
        this.near.destroy();
        this.far.destroy();
    }
}
