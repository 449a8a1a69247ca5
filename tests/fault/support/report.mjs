// SPDX-License-Identifier: Apache-2.0
// A reporter for Node's test runner: a line for each verdict, as soon as it is there, and its worst
// windows; of what failed, why.

function wordOf({ type, data }) {
    if (data.todo !== undefined) {
        return "todo";
    }
    return type === "test:pass" ? "ok" : "FAIL";
}

/** Why it failed; of what is to do, why it is. */
function* why({ todo, details: { error } }) {
    const text = todo ?? error.cause?.stack ?? error.cause?.message ?? `${error}`;
    const lines = text.split("\n").filter((line) => !line.includes("node:internal") && line.trim());
    yield* lines.map((line) => `      ${line}\n`);
}

export default async function* report(source) {
    const path = [];
    for await (const event of source) {
        const { type, data } = event;
        if (type === "test:start") {
            path[data.nesting] = data.name;
        } else if (type === "test:pass" || type === "test:fail") {
            const isSuite = data.details.type === "suite";
            const failedAlone =
                type === "test:fail" && data.details.error.failureType !== "subtestsFailed";
            if (!isSuite || failedAlone) {
                const name = [...path.slice(0, data.nesting), data.name].join(": ");
                yield `${wordOf(event).padEnd(4)}  ${name}\n`;
            }
            if (failedAlone) {
                yield* why(data);
            }
        } else if (type === "test:diagnostic" && data.nesting > 0 && data.message) {
            yield `      ${data.message}\n`;
        }
    }
}
