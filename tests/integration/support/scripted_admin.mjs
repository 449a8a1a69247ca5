// SPDX-License-Identifier: Apache-2.0
// A scripted admin API, and the dashboard's files from src/admin/ui.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import { freePort } from "./redis.mjs";

const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };

/** What the admin listener sends with every file. */
const HEADERS = { "content-security-policy": "default-src 'self'", "x-content-type-options": "nosniff" };

export const START_MS = Date.UTC(2026, 0, 5, 12, 0, 0);

export const limit = (meter, window_s, capacity, used) => ({
    meter,
    window_s,
    limit: capacity,
    used,
    remaining: capacity - used,
    reset_ms: window_s * 700,
});

const wave = (i, period, from, to) => from + ((to - from) * (1 + Math.sin((i * 2 * Math.PI) / period))) / 2;

/** Subjects by how busy they are, with the share of their requests that is denied. */
const SUBJECTS = [
    ["key:search-prod", "scale", 0.34, 0],
    ["team:search", "team", 0.3, 0],
    ["key:batch-nightly", "starter", 0.14, 0.31],
    ["key:assistant", "scale", 0.12, 0.01],
    ["org:acme", "org", 0.06, 0],
    ["key:eval-7", "starter", 0.03, 0.62],
    ["key:notebook", "starter", 0.01, 0],
];

const CAPACITIES = { scale: 60_000, team: 90_000, starter: 3000, org: 240_000 };

/** Counters after second i of a node whose load is a sum of waves: the same each time. */
export function overviewAt(i, changes = {}) {
    const sum = (f) => Array.from({ length: i + 1 }, (_, k) => f(k)).reduce((a, b) => a + b, 0);
    const allowed = Math.round(sum((k) => 620 + wave(k, 97, 0, 260) + wave(k, 13, 0, 70)));
    const denied = Math.round(sum((k) => wave(k, 61, 4, 96) + wave(k, 11, 0, 18)));
    const subjects = SUBJECTS.map(([subject, plan, share, refused]) => {
        const decided = Math.round(allowed * share);
        const capacity = CAPACITIES[plan];
        const used = Math.min(capacity, Math.round(capacity * wave(i, 150, share, share + 0.5 + refused)));
        return {
            subject,
            plan,
            allowed: Math.round(decided * (1 - refused)),
            denied: Math.round(decided * refused),
            input_tokens: decided * 410,
            output_tokens: decided * 180,
            limits: [
                limit("requests", 60, capacity, used),
                limit("input_tokens", 60, capacity * 500, Math.round(used * 500 * 0.83)),
                limit("output_tokens", 86400, capacity * 9000, Math.round(capacity * 9000 * share)),
            ],
        };
    });
    return {
        time_ms: START_MS + i * 1000,
        node: {
            version: "0.5.0",
            uptime_s: 7200 + i,
            workers: 4,
            store: {
                ...{ kind: "redis", mode: "lease", url_host: "10.0.4.17:6379", up: true, ready: true },
                ...{ shards: { up: 1, away: 0 }, nodes: 4 },
            },
            registry: { up: true, entries: 17, unusable: 0 },
        },
        totals: {
            allowed,
            denied: {
                requests: Math.round(denied * 0.7),
                input_tokens: Math.round(denied * 0.2),
                output_tokens: Math.round(denied * 0.1),
                total_tokens: 0,
            },
            unavailable: 0,
            shadow_denied: 12,
            input_tokens: allowed * 410,
            output_tokens: allowed * 180,
            responses: { "2xx": allowed, "4xx": denied, "5xx": Math.round(sum((k) => (k % 29 === 0 ? 1 : 0))) },
        },
        decision_us: { p50: 1.2 + wave(i, 40, 0, 0.3), p99: 8 + wave(i, 70, 0, 5) },
        subjects,
        denials: [
            { subject: "key:batch-nightly", meter: "requests", window_s: 60, count: Math.round(denied * 0.66) },
            { subject: "key:eval-7", meter: "input_tokens", window_s: 60, count: Math.round(denied * 0.22) },
            { subject: "key:eval-7", meter: "output_tokens", window_s: 86400, count: Math.round(denied * 0.09) },
            { subject: "key:assistant", meter: "requests", window_s: 60, count: Math.round(denied * 0.03) },
        ],
        ...changes,
    };
}

/** A node that has decided nothing. */
export function quietOverview() {
    const zeros = (names) => Object.fromEntries(names.map((name) => [name, 0]));
    return overviewAt(0, {
        totals: {
            ...zeros(["allowed", "unavailable", "shadow_denied", "input_tokens", "output_tokens"]),
            denied: zeros(["requests", "input_tokens", "output_tokens", "total_tokens"]),
            responses: zeros(["2xx", "4xx", "5xx"]),
        },
        subjects: [],
        denials: [],
    });
}

/** The last hour of a subject, as busy as the hour's waves. */
export function historyAt(now_ms) {
    const last = Math.floor(now_ms / 60_000);
    return Array.from({ length: 60 }, (_, i) => {
        const allowed = Math.round(wave(i, 23, 400, 2400));
        return {
            minute: last - 59 + i,
            allowed,
            denied: Math.round(Math.max(0, wave(i, 31, -300, 700))),
            input_tokens: allowed * 410,
            output_tokens: allowed * 180,
        };
    });
}

export class ScriptedAdmin {
    /** token: what it asks for; undefined: none. */
    static async start({ token } = {}) {
        const admin = new ScriptedAdmin(token);
        admin.port = await freePort();
        admin.url = `http://127.0.0.1:${admin.port}`;
        await admin.comeBack();
        return admin;
    }

    constructor(token) {
        this.token = token;
        this.streams = new Set();
        this.silent = false; // else streams get a comment each second, which a page takes for a sign of life
        this.last = []; // what a new stream is told first
        this.asked = []; // "METHOD path" of each call of the API, with the body's JSON if it has one
        this.replies = new Map(); // "METHOD path" to (body) => [status, json]
        this.timer = setInterval(() => this.#comment(), 1000);
        this.server = createServer((request, response) => this.#answer(request, response));
    }

    reply(call, make) {
        this.replies.set(call, make);
    }

    /** Sends overviews to everyone who listens, and to whoever comes later. */
    push(...overviews) {
        this.last = overviews;
        for (const stream of this.streams) {
            stream.write(overviews.map(event).join(""));
        }
    }

    #comment() {
        for (const stream of this.silent ? [] : this.streams) {
            stream.write(":\n\n");
        }
    }

    /** As a node that goes away: nobody listens, every connection breaks. comeBack() ends that. */
    async vanish() {
        this.server.close();
        this.server.closeAllConnections();
        await once(this.server, "close");
    }

    async comeBack() {
        this.server.listen(this.port, "127.0.0.1");
        await once(this.server, "listening");
    }

    #answer(request, response) {
        const path = request.url;
        if (path.startsWith("/ui/")) {
            return this.#file(path.slice(4) || "index.html", response);
        }
        if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
            return send(response, 401, { error: { message: "A token is asked for", code: "unauthorized" } });
        }
        if (path === "/admin/v1/events" && !this.replies.has("GET events")) {
            return this.#stream(response);
        }
        let text = "";
        request.setEncoding("utf8").on("data", (piece) => (text += piece));
        request.on("end", () => this.#reply(`${request.method} ${path.slice("/admin/v1/".length)}`, text, response));
    }

    #reply(call, text, response) {
        const body = text === "" ? undefined : JSON.parse(text);
        this.asked.push(body === undefined ? call : [call, body]);
        const make = this.replies.get(call);
        const [status, json] = make
            ? make(body)
            : [404, { error: { message: "There is no such subject", code: "unknown_subject" } }];
        send(response, status, json);
    }

    #file(name, response) {
        try {
            const bytes = readFileSync(new URL(`../../../src/admin/ui/${name}`, import.meta.url));
            response.writeHead(200, { ...HEADERS, "content-type": TYPES[extname(name)] }).end(bytes);
        } catch {
            response.writeHead(404).end();
        }
    }

    #stream(response) {
        response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
        response.write(this.last.map(event).join(""));
        this.streams.add(response);
        response.on("close", () => this.streams.delete(response));
    }

    async stop() {
        clearInterval(this.timer);
        if (this.server.listening) {
            await this.vanish();
        }
    }
}

function event(overview) {
    return `event: overview\ndata: ${JSON.stringify(overview)}\n\n`;
}

function send(response, status, json) {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
}
