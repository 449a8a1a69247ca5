// SPDX-License-Identifier: Apache-2.0
// A limit's use: a bar, and beside it the same as text.
import { make, setText } from "./dom.js";
import { count, exact, isNear, limitName, use } from "./format.js";

export const limitKey = ({ meter, window_s }) => `${meter}/${window_s}`;

/** A bar and what fills it. Screen readers pass it over: the figures stand beside it. */
export function track() {
    const filled = make("i");
    return {
        element: make("span", { class: "track", "aria-hidden": "true" }, filled),
        fill: (limit) => {
            filled.style.width = `${(use(limit) * 100).toFixed(1)}%`;
        },
    };
}

/** A limit in a line: name, bar, "used / limit". */
export function limitItem(limit) {
    const bar = track();
    const left = make("span", { class: "left" });
    const what = make("span", { class: "what" }, limitName(limit));
    const element = make("li", { class: "limit" }, what, bar.element, left);
    return {
        element,
        fill: (now) => {
            bar.fill(now);
            setText(left, `${count(now.used)} / ${count(now.limit)}`);
            element.title = `${limitName(now)}: ${exact(now.used)} of ${exact(now.limit)} used, ${exact(now.remaining)} left`;
            element.classList.toggle("near", isNear(now));
        },
    };
}
