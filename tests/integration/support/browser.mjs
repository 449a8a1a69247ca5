// SPDX-License-Identifier: Apache-2.0
// A browser to look at pages with.
import { chromium } from "playwright-core";

/** Debian's Chromium, which looks for nothing beyond what a page asks for. */
export function startBrowser() {
    return chromium.launch({
        executablePath: process.env.WEIR_CHROMIUM ?? "/usr/bin/chromium",
        args: [
            "--no-sandbox", // the sandbox refuses root, as which containers run tests
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    });
}
