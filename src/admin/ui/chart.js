// SPDX-License-Identifier: Apache-2.0
// Small charts over time: lines, or bars that stand on each other. Their legend has the latest values as
// text, and under a pointer those of that moment.
import { make, makeSvg, setText } from "./dom.js";

const WIDTH = 1000;
const HEIGHT = 100;

/** The least of 1, 2, 5, 10, 20, ... that is not below `n`: an axis that seldom changes. */
function niceCeiling(n) {
    const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
    return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= n);
}

const round = (n) => Math.round(n * 10) / 10;

/** The path of a line; a point without a value breaks it. */
function linePath(points) {
    let pen = "M";
    let path = "";
    for (const [x, y] of points) {
        path += y === undefined ? "" : `${pen}${round(x)} ${round(y)}`;
        pen = y === undefined ? "M" : "L";
    }
    return path;
}

/** Rectangles of a width around each x, from y to base. */
const barsPath = (bars, width) =>
    bars
        .filter(({ y, base }) => base > y)
        .map(({ x, y, base }) => {
            const left = round(x - width / 2);
            return `M${left} ${round(base)}V${round(y)}H${round(left + width)}V${round(base)}Z`;
        })
        .join("");

export class Chart {
    #series;
    #points = [];
    #span = { start: 0, end: 1 };
    #pointer = null; // where it is, as a share of the width

    /** series: [{name, label, style}], with `name` that of the points' values and `style` a class of the
     * style sheet. bar_ms: how long a bar's time is; without it there are lines. */
    constructor({ title, series, format, from, to, bar_ms = 0 }) {
        Object.assign(this, { format, from, to, bar_ms });
        this.#series = series.map((one) => ({ ...one, ...this.#drawn(one) }));
        this.cursor = makeSvg("path", { class: "cursor", "vector-effect": "non-scaling-stroke" });
        this.ticks = [0, 0.5, 1].map((share) => {
            const text = make("span", { class: "y" });
            text.style.top = `${(1 - share) * 100}%`;
            return { share, text };
        });
        this.left = make("span", { class: "x from" }, from);
        this.right = make("span", { class: "x to" }, to);
        this.wait = make("span", { class: "wait" }, "Collecting\u2026");
        this.plot = this.#frame();
        const legend = make("ul", { class: "legend" }, ...this.#series.map(({ item }) => item));
        this.element = make(
            "figure",
            { class: "chart" },
            make("figcaption", {}, make("h3", {}, title), legend),
            this.plot,
        );
        this.plot.addEventListener("pointermove", (event) => {
            const box = this.plot.getBoundingClientRect();
            this.#point((event.clientX - box.left) / box.width);
        });
        this.plot.addEventListener("pointerleave", () => this.#point(null));
    }

    #drawn({ label, style }) {
        const value = make("b");
        const key = makeSvg("svg", { viewBox: "0 0 16 8", "aria-hidden": "true" });
        key.append(makeSvg("path", { class: `line ${style}`, d: "M0 4H16" }));
        return {
            value,
            item: make("li", {}, key, label, value),
            path: makeSvg("path", {
                class: `${this.bar_ms ? "bars" : "line"} ${style}`,
                "vector-effect": "non-scaling-stroke",
            }),
        };
    }

    #frame() {
        const grid = [0.5, HEIGHT / 2, HEIGHT - 0.5].map((y) => `M0 ${y}H${WIDTH}`).join("");
        const svg = makeSvg(
            "svg",
            {
                viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
                preserveAspectRatio: "none",
                "aria-hidden": "true",
            },
            makeSvg("path", { class: "grid", d: grid, "vector-effect": "non-scaling-stroke" }),
            ...this.#series.map(({ path }) => path),
            this.cursor,
        );
        const texts = this.ticks.map(({ text }) => text);
        return make("div", { class: "plot" }, svg, ...texts, this.left, this.right, this.wait);
    }

    /** points: [{time, NAME: value, ...}], oldest first, in ms; drawn from `start` to `end`. */
    show(points, start, end) {
        this.#points = points;
        this.#span = { start, end };
        const known = points.filter((point) => this.#series.some(({ name }) => name in point));
        this.wait.hidden = known.length > 0;
        const values = known.map((point) => this.#series.map(({ name }) => point[name] ?? 0));
        const height = (all) => (this.bar_ms ? all.reduce((a, b) => a + b, 0) : Math.max(...all));
        const top = niceCeiling(Math.max(0, ...values.map(height)));
        for (const { share, text } of this.ticks) {
            setText(text, this.format(share * top));
        }
        const y = (value) => HEIGHT - 1 - (value / top) * (HEIGHT - 2);
        if (this.bar_ms) {
            this.#drawBars(y);
        } else {
            this.#drawLines(y);
        }
        this.#tell();
    }

    #x(time) {
        return ((time - this.#span.start) / (this.#span.end - this.#span.start)) * WIDTH;
    }

    #drawLines(y) {
        for (const { name, path } of this.#series) {
            const at = (p) => [this.#x(p.time), name in p ? y(p[name]) : undefined];
            path.setAttribute("d", linePath(this.#points.map(at)));
        }
    }

    #drawBars(y) {
        const width = 0.75 * (this.#x(this.bar_ms) - this.#x(0));
        const bases = this.#points.map(() => 0);
        for (const { name, path } of this.#series) {
            const bars = this.#points.map((point, i) => {
                const base = bases[i];
                bases[i] += point[name];
                const x = this.#x(point.time + this.bar_ms / 2);
                return { x, y: y(bases[i]), base: y(base) };
            });
            path.setAttribute("d", barsPath(bars, width));
        }
    }

    #point(share) {
        this.#pointer = share;
        this.#tell();
    }

    /** The point under the pointer, else the latest. */
    #told() {
        if (this.#pointer === null) {
            return this.#points.at(-1);
        }
        const { start, end } = this.#span;
        const time = start + this.#pointer * (end - start) - this.bar_ms / 2;
        const away = (point) => Math.abs(point.time - time);
        return this.#points.reduce((best, p) => (!best || away(p) < away(best) ? p : best), undefined);
    }

    #tell() {
        const told = this.#told();
        for (const { name, value } of this.#series) {
            setText(value, this.format(told?.[name] ?? null));
        }
        const pointed = this.#pointer !== null && told !== undefined;
        const x = pointed ? round(this.#x(told.time + this.bar_ms / 2)) : 0;
        this.cursor.setAttribute("d", pointed ? `M${x} 0V${HEIGHT}` : "");
        const time = pointed && new Date(told.time).toLocaleTimeString();
        setText(this.right, pointed ? time : this.to);
    }
}
