// SPDX-License-Identifier: Apache-2.0
// A small model server for tests of the gateway: it answers what a test tells it, counts what it was
// asked, and knows what it produced.
import { once } from "node:events";
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import { createServer as createTlsServer } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

/** Usage as OpenAI's chat completions tell it. */
export function usage(input, output) {
    return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}

export function chunk(delta, more = {}) {
    const choices = [{ index: 0, delta, finish_reason: null }];
    return { id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices, ...more };
}

export function event(json) {
    return `data: ${JSON.stringify(json)}\n\n`;
}

/** Answers as OpenAI does: `words` tokens, in a stream when that is asked for. A word is four bytes,
 * which weir's estimate takes for one token too. */
export function model({ input = 7, words = 5, delayMs = 0 } = {}) {
    return async (request, response, body, upstream) => {
        const asked = JSON.parse(body);
        const many = Math.min(words, asked.max_tokens ?? words);
        if (!asked.stream) {
            await sleep(delayMs);
            upstream.produced += many;
            const message = { role: "assistant", content: Array(many).fill("word").join(" ") };
            response.setHeader("content-type", "application/json");
            response.end(
                JSON.stringify({
                    id: "c",
                    object: "chat.completion",
                    created: 1,
                    model: asked.model,
                    choices: [{ index: 0, message, finish_reason: "stop" }],
                    usage: usage(input, many),
                }),
            );
            return;
        }
        response.writeHead(200, { "content-type": "text/event-stream" });
        const seen = asked.stream_options?.include_usage ? { usage: null } : {};
        response.write(event(chunk({ role: "assistant", content: "" }, seen)));
        for (let i = 0; i < many && !response.gone; i++) {
            await sleep(delayMs);
            upstream.produced++;
            response.write(event(chunk({ content: "word" }, seen)));
        }
        if (asked.stream_options?.include_usage) {
            response.write(event({ ...chunk({}), choices: [], usage: usage(input, many) }));
        }
        response.end("data: [DONE]\n\n");
    };
}

/** An answer that is told whole. */
export function fixed(status, headers = {}, body = "{}") {
    return (request, response) => {
        response.writeHead(status, { "content-type": "application/json", ...headers });
        response.end(body);
    };
}

export class Upstream {
    /** answer: (request, response, body, upstream) => ...; may be changed later. */
    static async start(answer = model(), { port = 0, tls, http2 = false } = {}) {
        const upstream = new Upstream(answer, tls, http2);
        upstream.server.listen(port, "127.0.0.1");
        await once(upstream.server, "listening");
        upstream.port = upstream.server.address().port;
        return upstream;
    }

    constructor(answer, tls, http2) {
        const serve = (request, response) => this.#serve(request, response);
        this.scheme = tls ? "https" : "http";
        this.answer = answer;
        this.requests = [];
        this.produced = 0;
        this.connections = 0;
        this.aborted = 0;
        const create = http2 ? createSecureServer : createTlsServer;
        this.server = tls ? create(tls, serve) : createServer(serve);
        this.server.on(tls ? "secureConnection" : "connection", () => this.connections++);
        this.sockets = new Set();
        this.server.on("connection", (socket) => {
            this.sockets.add(socket);
            socket.on("close", () => this.sockets.delete(socket));
        });
        this.server.keepAliveTimeout = 60000;
    }

    get url() {
        return `${this.scheme}://127.0.0.1:${this.port}/v1`;
    }

    async #serve(request, response) {
        const parts = [];
        response.on("close", () => {
            response.gone = true;
            this.aborted += response.writableEnded ? 0 : 1;
        });
        for await (const part of request) {
            parts.push(part);
        }
        const body = Buffer.concat(parts).toString();
        this.requests.push({
            method: request.method,
            url: request.url,
            version: request.httpVersion,
            headers: request.headers,
            body,
        });
        await this.answer(request, response, body, this);
    }

    async stop() {
        this.server.closeAllConnections?.();
        this.server.close();
        for (const socket of this.sockets) {
            socket.destroy();
        }
        await once(this.server, "close").catch(() => {});
    }
}
