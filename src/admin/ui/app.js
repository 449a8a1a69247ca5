// SPDX-License-Identifier: Apache-2.0
// Which page is shown, and the stream of overviews that all of them follow.
import { Refused, Unauthorized, ask, forgetToken, hasToken, overviews, setToken } from "./api.js";
import { byId, setText } from "./dom.js";
import { duration, exact } from "./format.js";
import { Overview, subjectHref } from "./overview.js";
import { Rates } from "./rates.js";
import { Subject } from "./subject.js";

const RETRY_MS = [1000, 2000, 4000, 8000];

const rates = new Rates();
const overviewPage = new Overview();
const subjectPage = new Subject(signOut);

/** "loading" until the first overview, "sign-in" while a token is asked for, then "ready". */
let phase = "loading";
let receivedAt; // of the latest overview, by performance.now()
let retryAt = null; // while the link is down; by performance.now()
let retryNow = () => {};

/* ---- pages ---- */

/** The subject that the address names; null: the overview. */
function routedSubject() {
    const [, name] = location.hash.match(/^#\/subject\/(.+)$/) ?? [];
    try {
        return name === undefined ? null : decodeURIComponent(name);
    } catch {
        return null; // not an encoding
    }
}

function showPage() {
    const subject = phase === "ready" ? routedSubject() : null;
    const page = phase !== "ready" ? phase : subject === null ? "overview" : "subject";
    for (const section of document.querySelectorAll("main > section")) {
        section.hidden = section.id !== page;
    }
    document.title = subject === null ? "weir" : `${subject} \u2013 weir`;
    byId("sign-out").hidden = !hasToken() || phase === "sign-in";
    if (subject === null) {
        subjectPage.close();
    } else {
        subjectPage.open(subject);
    }
}

function setPhase(next) {
    if (phase !== next) {
        phase = next;
        showPage();
    }
}

addEventListener("hashchange", () => {
    if (location.hash === "" || location.hash.startsWith("#/")) {
        showPage();
        scrollTo(0, 0);
        document.querySelector("main > section:not([hidden]) h1")?.focus();
    }
});

byId("open").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = byId("open-name").value.trim();
    location.hash = subjectHref(name.includes(":") ? name : `key:${name}`);
    byId("open-name").value = "";
});

/* ---- the link ---- */

function showLink(state, text) {
    byId("link").dataset.state = state;
    setText(byId("link-text"), text);
    byId("retry").hidden = state !== "lost";
    byId("main").classList.toggle("stale", state === "lost" && phase === "ready");
}

/** What changes each second is not announced. */
function showAge() {
    const seconds = (ms) => `${Math.max(0, Math.round(ms / 1000))} s`;
    const parts = [];
    if (retryAt !== null && receivedAt !== undefined) {
        parts.push(`data is ${seconds(performance.now() - receivedAt)} old`);
    }
    if (retryAt !== null) {
        parts.push(`next try in ${seconds(retryAt - performance.now())}`);
    }
    setText(byId("link-age"), parts.join(", "));
}

function showNode({ node }) {
    const workers = node.workers === 1 ? "1 worker" : `${exact(node.workers)} workers`;
    const up = duration(node.uptime_s * 1000);
    setText(byId("node"), `${node.version}, ${workers}, up ${up}`);
    setText(byId("alarm"), node.store.up ? "" : "Store out of reach");
}

function received(overview) {
    receivedAt = performance.now();
    retryAt = null;
    rates.add(overview);
    overviewPage.show(overview, rates);
    subjectPage.showNode(overview.node);
    showNode(overview);
    setPhase("ready");
    showLink("live", "Live");
    showAge();
}

function pause(ms) {
    return new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        retryNow = () => {
            clearTimeout(timer);
            resolve();
        };
    });
}

async function follow() {
    for (let tries = 0; ; tries++) {
        let why = "Connection lost";
        try {
            for await (const overview of overviews()) {
                tries = 0;
                received(overview);
            }
        } catch (error) {
            if (error instanceof Unauthorized) {
                signIn();
                return;
            }
            console.info(`weir: ${error.message}`);
            why = error instanceof Refused ? error.message : why;
        }
        const ms = RETRY_MS[Math.min(tries, RETRY_MS.length - 1)];
        retryAt = performance.now() + ms;
        showLink("lost", why);
        showAge();
        await pause(ms);
    }
}

byId("retry").addEventListener("click", () => retryNow());
addEventListener("online", () => retryNow());
setInterval(showAge, 1000);

/* ---- the token ---- */

function signIn() {
    setText(byId("sign-in-error"), hasToken() ? "This token was refused." : "");
    forgetToken();
    retryAt = null;
    showAge();
    setPhase("sign-in");
    showLink("loading", "Signed out");
    byId("token").focus();
}

byId("sign-in-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    setToken(byId("token").value);
    byId("token").value = "";
    try {
        await ask("GET", "overview");
    } catch (error) {
        if (error instanceof Unauthorized) {
            signIn();
        } else {
            forgetToken();
            setText(byId("sign-in-error"), `No answer. ${error.message}`);
        }
        return;
    }
    setText(byId("sign-in-error"), "");
    setPhase("loading");
    follow();
});

function signOut() {
    forgetToken();
    location.reload(); // which ends the stream and drops what it brought
}

byId("sign-out").addEventListener("click", signOut);

showPage();
follow();
