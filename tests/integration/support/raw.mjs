// SPDX-License-Identifier: Apache-2.0
// Bytes to a node and back, for what no HTTP client would send.
import { connect } from "node:net";

/** Sends the text (latin1) and reads until the node closes or `timeoutMs` passed without a byte.
 * Returns {text, closed, answers: [{status, headers, body}]}. */
export function exchange(port, text, { timeoutMs = 3000, end = false } = {}) {
    return new Promise((resolve, reject) => {
        const socket = connect(port, "127.0.0.1");
        const chunks = [];
        const done = (closed) => {
            socket.destroy();
            const received = Buffer.concat(chunks).toString("latin1");
            resolve({ text: received, closed, answers: parseAnswers(received) });
        };
        socket.setTimeout(timeoutMs, () => done(false));
        socket.on("data", (bytes) => chunks.push(bytes));
        socket.on("end", () => done(true));
        socket.on("error", (error) =>
            error.code === "ECONNRESET" || error.code === "EPIPE" ? done(true) : reject(error),
        );
        socket.write(text, "latin1");
        if (end) {
            socket.end();
        }
    });
}

/** Answers that follow each other. A body's length comes from Content-Length; a chunked body is
 * taken as it stands up to its last chunk; interim (1xx) answers have none. */
export function parseAnswers(text) {
    const answers = [];
    let rest = text;
    while (rest.startsWith("HTTP/1.1 ")) {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) {
            break;
        }
        const [first, ...lines] = rest.slice(0, end).split("\r\n");
        const status = Number(first.split(" ")[1]);
        const headers = Object.fromEntries(
            lines.map((line) => {
                const colon = line.indexOf(":");
                return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
            }),
        );
        rest = rest.slice(end + 4);
        let length = Number(headers["content-length"] ?? 0);
        if (headers["transfer-encoding"] === "chunked") {
            length = rest.indexOf("0\r\n\r\n") + 5;
        }
        answers.push({ status, headers, body: rest.slice(0, length) });
        rest = rest.slice(length);
    }
    return answers;
}
