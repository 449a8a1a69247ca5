// SPDX-License-Identifier: Apache-2.0
// The page's elements. Text goes in as text alone: nothing here reads markup.

export const byId = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
}

/** A new element; children are elements, or strings that become text. */
export const make = (name, attributes = {}, ...children) =>
    fill(document.createElement(name), attributes, children);

export const makeSvg = (name, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, name), attributes, children);

/** Touches the page only when the text is another one. */
export function setText(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

/** A definition list whose terms stand once and whose values change. */
export class Facts {
    #values = new Map();

    constructor(list) {
        this.list = list;
    }

    /** `bad`: something is wrong with it, which `text` says. */
    set(term, text, bad = false) {
        let value = this.#values.get(term);
        if (value === undefined) {
            value = make("dd");
            this.list.append(make("div", {}, make("dt", {}, term), value));
            this.#values.set(term, value);
        }
        setText(value, text);
        value.classList.toggle("bad", bad);
    }
}

/** Children of `parent` that follow a list of items: each item keeps its element from one update to the
 * next, so nothing that a reader looks at, selects or focuses is replaced. */
export class Rows {
    #rows = new Map();
    #movedAt = -Infinity;

    /** keyOf(item): tells items apart; create(item): {element, fill(item)}. */
    constructor(parent, keyOf, create) {
        this.parent = parent;
        this.keyOf = keyOf;
        this.create = create;
    }

    /** Their order changes every five seconds at most and never under a pointer or a focus, unless `now`. */
    update(items, now = false) {
        const keys = new Set(items.map(this.keyOf));
        for (const [key, { element }] of this.#rows) {
            if (!keys.has(key)) {
                element.remove();
                this.#rows.delete(key);
            }
        }
        for (const item of items) {
            const key = this.keyOf(item);
            if (!this.#rows.has(key)) {
                const row = this.create(item);
                this.parent.append(row.element);
                this.#rows.set(key, row);
            }
            this.#rows.get(key).fill(item);
        }
        const due = performance.now() - this.#movedAt > 5000;
        if (now || (due && !this.parent.matches(":hover, :focus-within"))) {
            this.#order(items);
        }
    }

    #order(items) {
        this.#movedAt = performance.now();
        items.forEach((item, i) => {
            const { element } = this.#rows.get(this.keyOf(item));
            if (this.parent.children[i] !== element) {
                this.parent.insertBefore(element, this.parent.children[i]);
            }
        });
    }
}
