// SPDX-License-Identifier: Apache-2.0
// Light or dark: as the system asks, until somebody chooses. Not a module: it runs before the first paint.
"use strict";
{
    const root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)");
    const chosen = localStorage.getItem("weir-theme");
    if (chosen === "dark" || chosen === "light") {
        root.dataset.theme = chosen;
    }
    const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

    addEventListener("DOMContentLoaded", () => {
        const button = document.getElementById("theme");
        const show = () => button.setAttribute("aria-pressed", String(isDark()));
        button.addEventListener("click", () => {
            root.dataset.theme = isDark() ? "light" : "dark";
            localStorage.setItem("weir-theme", root.dataset.theme);
            show();
        });
        system.addEventListener("change", show);
        show();
    });
}
