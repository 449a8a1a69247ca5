// SPDX-License-Identifier: Apache-2.0
// The admin API. The token, if there is one, is kept by this tab alone and goes out in a header, never
// in a URL; for that the events are read with fetch, since an EventSource cannot send one.

const API = new URL("../admin/v1/", document.baseURI);
const TOKEN = "weir-token";
/** Something comes each second: so long without it is a connection that is dead. */
const SILENCE_MS = 5000;

/** The token is missing, or another one. */
export class Unauthorized extends Error {}

/** The node said no, in its own words and with its own code. */
export class Refused extends Error {
    constructor({ message, code }) {
        super(message);
        this.code = code;
    }
}

export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;
export const setToken = (token) => sessionStorage.setItem(TOKEN, token);
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

function headers() {
    return hasToken() ? { authorization: `Bearer ${sessionStorage.getItem(TOKEN)}` } : {};
}

/** What an error's answer says, or else its status. */
async function failure(answer) {
    if (answer.status === 401) {
        return new Unauthorized();
    }
    const body = await answer.json().catch(() => null);
    return new Refused(body?.error ?? { message: `The answer was ${answer.status}` });
}

/** The answer's JSON. Throws what failure() makes, or what fetch throws. */
export async function ask(method, path, body) {
    const answer = await fetch(new URL(path, API), {
        method,
        headers: {
            ...headers(),
            ...(method === "GET" ? {} : { "content-type": "application/json" }), // also without a body
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(10_000),
    });
    if (!answer.ok) {
        throw await failure(answer);
    }
    return answer.json();
}

export const subjectPath = (name) => `subjects/${encodeURIComponent(name)}`;

/** The data of a stream's events, each of which has one line of it. alive(): something came. */
async function* eventData(body, alive) {
    let rest = "";
    for await (const text of pieces(body.pipeThrough(new TextDecoderStream()))) {
        alive();
        const lines = (rest + text).split(/\r?\n/);
        rest = lines.pop();
        for (const line of lines) {
            if (line.startsWith("data:")) {
                yield line.slice(5);
            }
        }
    }
}

async function* pieces(stream) {
    const reader = stream.getReader();
    try {
        for (;;) {
            const { done, value } = await reader.read();
            if (done) {
                return;
            }
            yield value;
        }
    } finally {
        reader.cancel().catch(() => {}); // whoever stops to listen closes the connection
    }
}

/** Overviews as they come. Throws when the connection fails, ends or is silent. */
export async function* overviews() {
    const silence = new AbortController();
    let timer;
    const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(new Error("The node is silent")), SILENCE_MS);
    };
    try {
        alive();
        const answer = await fetch(new URL("events", API), {
            headers: headers(),
            signal: silence.signal,
        });
        if (!answer.ok) {
            throw await failure(answer);
        }
        for await (const data of eventData(answer.body, alive)) {
            yield JSON.parse(data);
        }
        throw new Error("The node closed the connection");
    } finally {
        clearTimeout(timer);
        silence.abort();
    }
}
