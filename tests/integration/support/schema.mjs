// SPDX-License-Identifier: Apache-2.0
// A value against a schema of docs/openapi.json: the keywords that are used there, and no others.

const KNOWN = new Set([
    ...["$ref", "type", "enum", "oneOf", "description", "default"],
    ...["required", "properties", "additionalProperties", "items", "minItems"],
    ...["minimum", "maximum", "minLength", "maxLength", "pattern"],
]);

/** What `{"$ref": "#/a/b"}` stands for in `document`, and everything else as it is. */
export function resolve(document, node) {
    if (node?.$ref === undefined) {
        return node;
    }
    const found = node.$ref
        .slice(2)
        .split("/")
        .reduce((at, name) => at?.[name], document);
    if (found === undefined) {
        throw new Error(`${node.$ref} is not there`);
    }
    return resolve(document, found);
}

function isA(type, value) {
    switch (type) {
        case "null":
            return value === null;
        case "array":
            return Array.isArray(value);
        case "object":
            return value !== null && typeof value === "object" && !Array.isArray(value);
        case "integer":
            return Number.isInteger(value);
        default:
            return typeof value === type;
    }
}

/** All that is wrong with a value, each with its place. */
export function problems(document, node, value, at = "body") {
    const schema = resolve(document, node);
    const found = Object.keys(schema)
        .filter((keyword) => !KNOWN.has(keyword))
        .map((keyword) => `${at}: the checker knows no ${keyword}`);
    const check = (right, what) => right || found.push(`${at}: ${what}: ${JSON.stringify(value)}`);
    if (schema.oneOf !== undefined) {
        const each = schema.oneOf.map((one) => problems(document, one, value, at));
        const fit = each.filter((wrong) => wrong.length === 0).length;
        check(fit === 1, `fits ${fit} of oneOf (${each.flat().join("; ")})`);
    }
    if (schema.type !== undefined && ![schema.type].flat().some((type) => isA(type, value))) {
        check(false, `no ${schema.type}`);
        return found;
    }
    check(schema.enum === undefined || schema.enum.includes(value), "not in enum");
    if (typeof value === "number") {
        check(value >= (schema.minimum ?? -Infinity), "below minimum");
        check(value <= (schema.maximum ?? Infinity), "above maximum");
    } else if (typeof value === "string") {
        check(value.length >= (schema.minLength ?? 0), "below minLength");
        check(value.length <= (schema.maxLength ?? Infinity), "above maxLength");
        check(new RegExp(schema.pattern ?? "").test(value), "not of pattern");
    } else if (Array.isArray(value)) {
        check(value.length >= (schema.minItems ?? 0), "below minItems");
        value.forEach((item, i) =>
            found.push(...problems(document, schema.items ?? {}, item, `${at}[${i}]`)),
        );
    } else if (value !== null && typeof value === "object") {
        for (const name of schema.required ?? []) {
            check(Object.hasOwn(value, name), `without ${name}`);
        }
        for (const [name, member] of Object.entries(value)) {
            const known = schema.properties?.[name];
            check(known !== undefined || schema.additionalProperties !== false, `has a ${name}`);
            found.push(...problems(document, known ?? {}, member, `${at}.${name}`));
        }
    }
    return found;
}
