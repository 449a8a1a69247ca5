// SPDX-License-Identifier: Apache-2.0
// The dashboard in a browser, against a scripted admin API. WEIR_SCREENSHOTS=1 makes the pictures of
// docs/dashboard.md.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { ADMIN, Admin } from "./support/admin.mjs";
import { startBrowser } from "./support/browser.mjs";
import { temporaryFolder } from "./support/process.mjs";
import { ScriptedAdmin, historyAt, limit, overviewAt, quietOverview } from "./support/scripted_admin.mjs";
import { Node, SECRETS, configuration } from "./support/weir.mjs";

const KEY = "key:batch-nightly";
const KEY_PATH = `subjects/${encodeURIComponent(KEY)}`;

let browser;
let context;
let admin;
let page;
let problems = []; // what no test may leave: errors in the console, requests to elsewhere
before(async () => {
    browser = await startBrowser();
    context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC" });
    context.setDefaultTimeout(15000);
});
after(() => browser.close());

afterEach(async () => {
    await page?.close();
    page = undefined;
    await admin?.stop();
    admin = undefined;
    assert.deepEqual(problems, []);
});

/** A new page at `hash` of the dashboard. It has no past: each scripted API is an origin of its own. */
async function open(hash = "", { colorScheme = "light", viewport = { width: 1280, height: 900 } } = {}) {
    problems = [];
    page = await context.newPage();
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    page.on("pageerror", (error) => problems.push(error.stack));
    page.on("console", (message) => {
        // The browser itself reports an answer of 4xx, and a connection that failed.
        if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
            problems.push(message.text());
        }
    });
    page.on("request", (request) => {
        if (!request.url().startsWith(`${admin.url}/`)) {
            problems.push(`asked ${request.url()}`);
        }
    });
    await page.goto(`${admin.url}/ui/${hash}`);
    return page;
}

const until = (text) => page.getByText(text, { exact: true }).first().waitFor();
const text = (selector) => page.locator(selector).innerText();
/** Cells of the row that names a subject. */
const row = (subject) => page.locator("#busy tbody tr", { has: page.getByText(subject, { exact: true }) });
const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.innerText);

/** A key as the API tells it, and the plans beside its own. */
function scriptEntry(id, plan, fields = {}) {
    const plans = [plan, "scale", "team"].map((name) => ({ name, limits: [] }));
    const key = { id, plan, team: "search", org: "acme", source: "file", ...fields };
    admin.reply("GET plans", () => [200, { plans }]);
    admin.reply(`GET keys/${encodeURIComponent(id)}`, () => [200, key]);
    return key;
}

/** The key's page as the API tells it. */
function scriptKey(overview = overviewAt(300)) {
    const { subject, plan, limits } = overview.subjects.find((one) => one.subject === KEY);
    const minutes = historyAt(Date.now());
    admin.reply(`GET ${KEY_PATH}`, () => [200, { subject, plan, limits }]);
    admin.reply(`GET ${KEY_PATH}/history`, () => [200, { subject, minutes }]);
    scriptEntry("batch-nightly", plan);
    return minutes;
}

describe("the overview", () => {
    beforeEach(async () => {
        admin = await ScriptedAdmin.start();
    });

    it("shows rates from the differences of counters, as they come", async () => {
        const at = (second, allowed) => {
            const overview = quietOverview();
            const [subject] = overviewAt(0).subjects;
            overview.time_ms += second * 1000;
            overview.totals = { ...overview.totals, allowed, input_tokens: allowed * 50 };
            overview.totals.denied.requests = second * 3;
            overview.subjects = [{ ...subject, allowed, denied: second * 3 }];
            return overview;
        };
        admin.push(at(0, 100), at(1, 120));
        await open();
        await until("Live");
        const tile = (i) => text(`#tiles > div:nth-child(${i})`);
        assert.match(await tile(1), /Allowed\/s\s+20\s+of 23 requests\/s/);
        assert.match(await tile(2), /Denied\/s\s+3\.0\s+13 % of them/);
        assert.match(await tile(3), /Input tokens\/s\s+1,000\s+50 per allowed request/);
        assert.match(await row("key:search-prod").innerText(), /20\s+3\.0/);
        const legend = () => page.locator("#charts .legend").first().innerText();
        assert.match(await legend(), /allowed\s+20\s+denied\s+3\.0/);

        admin.push(at(2, 180));
        await page.waitForFunction(() => document.querySelector("#charts b").textContent === "60");
        assert.match(await tile(1), /40/); // the mean of both seconds

        admin.push(at(3, 5)); // the node was started again: no rate, and none below 0
        await page.waitForFunction(() => document.querySelector("#charts b").textContent === "\u2013");
        assert.match(await tile(1), /Allowed\/s\s+\u2013/);
    });

    it("has a bar for each limit, with its figures beside it", async () => {
        const overview = overviewAt(5);
        overview.subjects = overview.subjects.slice(0, 1);
        overview.subjects[0].limits = [limit("requests", 60, 200, 50), limit("input_tokens", 86400, 1e6, 950_000)];
        admin.push(overview);
        await open();
        const bars = row("key:search-prod").locator(".limit");
        await bars.first().waitFor();
        assert.deepEqual(
            (await bars.allInnerTexts()).map((one) => one.replace(/\s+/g, " ")),
            ["requests / min 50 / 200", "input tokens / day 950K / 1M"],
        );
        const widths = await bars.locator("i").evaluateAll((all) => all.map((i) => i.style.width));
        assert.deepEqual(widths, ["25%", "95%"]);
        const near = await bars.evaluateAll((all) => all.map((one) => one.classList.contains("near")));
        assert.deepEqual(near, [false, true]);
    });

    it("says who is denied and why, and how the store is", async () => {
        const overview = overviewAt(9);
        overview.node.store = { ...overview.node.store, up: false, ready: false, shards: { up: 2, away: 1 } };
        overview.node.registry = { up: false, entries: 17, unusable: 2 };
        overview.denials = [{ subject: KEY, meter: "input_tokens", window_s: 3600, count: 1234 }];
        admin.push(overview);
        await open();
        await page.locator("#denials tbody tr").waitFor();
        assert.match(await text("#denials tbody"), /key:batch-nightly\s+input tokens \/ h\s+1,234/);
        assert.match(await text("#health"), /redis, lease\s+At\s+10\.0\.4\.17:6379\s+State\s+out of reach: 1 of 3 shards/);
        assert.match(await text("#health"), /Registry\s+out of reach, 17 in force, 2 unusable/);
        assert.equal(await text("#alarm"), "Store out of reach");
    });

    it("sorts by a column and says so", async () => {
        admin.push(overviewAt(0), overviewAt(1));
        await open();
        await page.getByRole("button", { name: "Denied/s" }).click();
        const head = page.getByRole("columnheader", { name: "Denied/s" });
        assert.equal(await head.getAttribute("aria-sort"), "descending");
        assert.match(await text("#busy tbody tr:first-child"), /key:batch-nightly/);
        await page.getByRole("button", { name: "Subject" }).click();
        assert.match(await text("#busy tbody tr:first-child"), /key:assistant/);
        assert.equal(await page.locator("[aria-sort]").count(), 1);
    });

    it("keeps each row where it is looked at, with its element", async () => {
        const overview = overviewAt(5);
        admin.push(overview);
        await open();
        const link = row("key:notebook").locator("a");
        await link.focus();
        admin.push({ ...overview, time_ms: overview.time_ms + 6000, subjects: overview.subjects.toReversed() });
        await page.waitForFunction(() => document.querySelector("#charts b").textContent === "\u2013");
        assert.equal(await focused(), "key:notebook");
        assert.match(await text("#busy tbody tr:last-child"), /key:notebook/);
    });

    it("says how to send a first request while there is none", async () => {
        admin.push(quietOverview());
        await open();
        await until("No traffic yet");
        assert.match(await text("#empty pre"), /curl http/);
        await until("Nobody was denied.");
        admin.push(overviewAt(1));
        await page.getByText("No traffic yet").waitFor({ state: "hidden" });
    });

    it("shows names as text, whatever they hold", async () => {
        const evil = 'key:<img src=x onerror="document.title=1"><b>';
        const overview = overviewAt(3);
        overview.subjects[0] = { ...overview.subjects[0], subject: evil, plan: "<i>plan" };
        overview.denials[0].subject = evil;
        overview.node.version = "<script>1</script>";
        admin.push(overview);
        const path = `subjects/${encodeURIComponent(evil)}`;
        const [{ plan, limits }] = overview.subjects;
        admin.reply(`GET ${path}`, () => [200, { subject: evil, plan, limits }]);
        admin.reply(`GET ${path}/history`, () => [200, { subject: evil, minutes: [] }]);
        scriptEntry(evil.slice("key:".length), plan);
        await open();
        await row(evil).getByText("<i>plan").waitFor();
        assert.match(await text("#node"), /^<script>1<\/script>/);
        await row(evil).locator("a").click();
        await until("plan <i>plan");
        await page.locator("#plan option").first().waitFor({ state: "attached" });
        assert.deepEqual(await page.locator("#plan option").allTextContents(), ["<i>plan", "scale", "team"]);
        assert.equal(await text("#subject-title"), evil);
        assert.equal(await page.title(), `${evil} \u2013 weir`);
        assert.equal(await page.locator("main img, main script, main h1 b").count(), 0);
    });
});

describe("a key's page", () => {
    beforeEach(async () => {
        admin = await ScriptedAdmin.start();
        admin.push(overviewAt(300));
    });

    it("shows its limits and its last hour, and the hour as a table", async () => {
        const minutes = scriptKey();
        await open();
        await row(KEY).locator("a").click();
        await until("plan starter");
        assert.equal(await page.evaluate(() => location.hash), `#/subject/${encodeURIComponent(KEY)}`);
        assert.equal(await focused(), "subject-title");
        assert.equal(await page.locator("#limits tbody tr").count(), 3);
        assert.match(await text("#limits tbody tr:first-child"), /requests \/ min\s.*3,000.*42\.0 s/s);
        const bars = await page.locator("#history svg .main").last().getAttribute("d");
        assert.equal(bars.match(/Z/g).length, 60);
        await page.getByText("As a table").click();
        const newest = minutes.at(-1).allowed.toLocaleString("en");
        assert.match(await text("#minutes tbody tr:first-child"), new RegExp(`\\d\\d:\\d\\d\\s+${newest}\\s`));
        await page.goBack();
        await page.getByRole("heading", { name: "Busiest" }).waitFor();
    });

    it("resets its limits when that is confirmed, and not before", async () => {
        scriptKey();
        admin.reply(`POST ${KEY_PATH}/reset`, () => [200, { subject: KEY, reset: true }]);
        await open(`#/subject/${encodeURIComponent(KEY)}`);
        await page.getByRole("button", { name: "Reset limits" }).click();
        const dialog = page.getByRole("dialog");
        assert.match(await dialog.innerText(), /What key:batch-nightly used so far counts no more/);
        await page.keyboard.press("Escape");
        await dialog.waitFor({ state: "hidden" });
        await page.getByRole("button", { name: "Reset limits" }).click();
        await page.getByRole("button", { name: "Cancel" }).click();
        await dialog.waitFor({ state: "hidden" });
        assert.ok(!admin.asked.includes(`POST ${KEY_PATH}/reset`));
        await page.getByRole("button", { name: "Reset limits" }).click();
        await page.getByRole("button", { name: "Reset", exact: true }).click();
        await until("Reset: all its windows are empty.");
        assert.equal(admin.asked.filter((call) => call === `POST ${KEY_PATH}/reset`).length, 1);
    });

    it("answers what-if", async () => {
        scriptKey();
        const denied_by = { subject: "team:search", meter: "output_tokens", window_s: 60 };
        const answers = [
            { allowed: true, limits: [] },
            { allowed: false, denied_by, retry_after_ms: 12_300, limits: [] },
            { allowed: false, denied_by, retry_after_ms: null, limits: [] },
        ];
        admin.reply("POST check", () => [200, answers.shift()]);
        await open(`#/subject/${encodeURIComponent(KEY)}`);
        await page.getByLabel("Model").fill("gpt-4o");
        await page.getByLabel("Output tokens").fill("77");
        await page.getByRole("button", { name: "Check" }).click();
        await until("It would pass now.");
        const [, question] = admin.asked.find(([call]) => call === "POST check");
        assert.deepEqual(question, {
            key: "id:batch-nightly",
            model: "gpt-4o",
            requests: 1,
            input_tokens: 1000,
            output_tokens: 77,
        });
        await page.getByRole("button", { name: "Check" }).click();
        await until(
            "It would be denied by output tokens / min of team:search. It would pass in 12.3 s.",
        );
        await page.getByRole("button", { name: "Check" }).click();
        await until("It can never pass: it is larger than output tokens / min of team:search.");
        const error = { message: "There is no such key", code: "unknown_key" };
        admin.reply("POST check", () => [404, { error }]);
        await page.getByRole("button", { name: "Check" }).click();
        await until("There is no such key");
    });

    it("says that a subject is unknown, and opens another one by its name", async () => {
        scriptKey();
        await open("#/subject/key%3Anobody");
        await until("There is no such key, team, org or model here.");
        assert.ok(await page.locator("#subject-body").isHidden());
        await page.getByRole("link", { name: "Overview" }).click();
        await page.getByLabel("Key, team or org").fill("batch-nightly");
        await page.keyboard.press("Enter");
        await until("plan starter");
    });
});

describe("what is changed of a key", () => {
    const CHANGE = "PATCH keys/batch-nightly";
    const changes = () => admin.asked.filter(([call]) => call === CHANGE).map(([, body]) => body);
    let key;
    beforeEach(async () => {
        admin = await ScriptedAdmin.start();
        admin.push(overviewAt(300));
        scriptKey();
        key = scriptEntry("batch-nightly", "starter");
        admin.reply(CHANGE, (fields) => [200, Object.assign(key, fields, { source: "override" })]);
        await open(`#/subject/${encodeURIComponent(KEY)}`);
        await page.locator("#key").waitFor();
    });

    it("is its plan, by the keyboard", async () => {
        assert.match(await text("#key-facts"), /Plan\s+starter\s+Team\s+search\s+Org\s+acme\s+State\s+enabled/);
        await page.getByLabel("Plan", { exact: true }).focus();
        await page.keyboard.press("s"); // the next one that begins so
        await page.keyboard.press("Tab");
        await page.keyboard.press("Enter");
        const dialog = page.getByRole("dialog", { name: "Change plan?" });
        assert.match(await dialog.innerText(), /The plan of key:batch-nightly, from starter to scale\./);
        assert.equal(await focused(), "Cancel");
        assert.deepEqual(changes(), []);
        await page.keyboard.press("Tab");
        await page.keyboard.press("Enter");
        await until("Its plan is scale now.");
        assert.deepEqual(changes(), [{ plan: "scale" }]);
        await page.locator("#key-facts").getByText("configuration, changed in the registry").waitFor();
        assert.match(await text("#key-facts"), /Plan\s+scale/);
        assert.equal(await focused(), "Change plan\u2026");
        await page.keyboard.press("Enter");
        await until("Its plan is scale already.");
    });

    it("is whether it is taken", async () => {
        for (const [word, from, to] of [["Disable", "enabled", "disabled"], ["Enable", "disabled", "enabled"]]) {
            await page.getByRole("button", { name: `${word} key\u2026` }).click();
            assert.match(await page.getByRole("dialog").innerText(), new RegExp(`from ${from} to ${to}\\.`));
            await page.getByRole("button", { name: `${word} key`, exact: true }).click();
            await until(`It is ${to} now.`);
            await page.locator("#key-facts").getByText(to).waitFor();
        }
        assert.deepEqual(changes(), [{ disabled: true }, { disabled: false }]);
    });

    it("is extra budget, for one limit or for each of a meter", async () => {
        const limits = [
            limit("requests", 60, 3000, 2),
            limit("output_tokens", 60, 1000, 2),
            limit("output_tokens", 86400, 5000, 2),
        ];
        const call = `POST ${KEY_PATH}/grant`;
        for (const one of [`GET ${KEY_PATH}`, call]) {
            admin.reply(one, () => [200, { subject: KEY, plan: "starter", limits }]);
        }
        await page.reload();
        const grant = async (budget, told) => {
            await page.getByLabel("Extra budget, once, for").selectOption(budget);
            await page.getByLabel("Amount").fill("500");
            await page.getByRole("button", { name: "Grant\u2026" }).click();
            assert.ok((await page.getByRole("dialog").innerText()).includes(told));
            await page.getByRole("button", { name: "Grant", exact: true }).click();
            await until("Granted: 500 output tokens more.");
        };
        const day = "output tokens / day from 5,000 to 5,500";
        await grant("output tokens / day", `key:batch-nightly: ${day},`);
        await grant("output tokens, each limit", `key:batch-nightly: output tokens / min from 1,000 to 1,500, ${day},`);
        assert.deepEqual(
            admin.asked.filter(([one]) => one === call).map(([, body]) => body),
            [{ output_tokens: 500, window_s: 86400 }, { output_tokens: 500 }],
        );
    });

    it("can be taken back, and what is granted is told until it ends", async () => {
        const grant = (amount, in_ms) => ({ meter: "requests", window_s: 60, amount, until_ms: Date.now() + in_ms });
        assert.ok(await page.locator("#take-back").isHidden());
        assert.match(await text("#key-facts"), /Granted\s+nothing/);
        Object.assign(key, { plan: "scale", source: "override", grants: [grant(5, -1), grant(7, 3_600_000)] });
        await page.reload();
        await page.getByText(/^7 requests \/ min until /).waitFor();
        admin.reply("DELETE keys/batch-nightly", () => {
            Object.assign(key, { plan: "starter", source: "file", grants: undefined });
            return [200, { deleted: true }];
        });
        await page.getByRole("button", { name: "Take changes back\u2026" }).click();
        assert.match(await page.getByRole("dialog").innerText(), /all holds again that the configuration says/);
        await page.getByRole("button", { name: "Take back", exact: true }).click();
        await until("The configuration holds again.");
        await page.locator("#take-back").waitFor({ state: "hidden" });
        assert.match(await text("#key-facts"), /Plan\s+starter[^]*Granted\s+nothing/);
    });

    it("is that it is deleted, if only the registry has it", async () => {
        key.source = "registry";
        await page.reload();
        admin.reply("DELETE keys/batch-nightly", () => {
            for (const path of ["keys/batch-nightly", KEY_PATH]) {
                const code = path === KEY_PATH ? "unknown_subject" : "unknown_key";
                admin.reply(`GET ${path}`, () => [404, { error: { message: "Gone.", code } }]);
            }
            return [200, { deleted: true }];
        });
        await page.getByRole("button", { name: "Delete key\u2026" }).click();
        await page.getByRole("button", { name: "Delete", exact: true }).click();
        await until("There is no such key, team, org or model here.");
        assert.ok(await page.locator("#key").isHidden());
    });

    it("is told in the node's words when it is refused", async () => {
        const error = { message: "The registry is out of reach.", code: "registry_unavailable" };
        admin.reply(CHANGE, () => [503, { error }]);
        await page.getByRole("button", { name: "Disable key\u2026" }).click();
        await page.getByRole("button", { name: "Disable key", exact: true }).click();
        await until(error.message);
    });

    it("is nothing without a registry", async () => {
        const { node } = overviewAt(301);
        admin.push(overviewAt(301, { node: { ...node, registry: null } }));
        await page.getByText(/^The configuration of this node names no registry/).waitFor();
        assert.ok(await page.getByRole("button", { name: "Disable key\u2026" }).isDisabled());
        assert.ok(await page.getByLabel("Plan", { exact: true }).isDisabled());
    });

    it("can be the plan of a key that has none", async () => {
        admin.replies.delete(`GET ${KEY_PATH}`);
        admin.replies.delete(`GET ${KEY_PATH}/history`);
        key.plan = null;
        await page.reload();
        await until("No limits.");
        await until("no plan");
        assert.equal(await page.getByLabel("Plan", { exact: true }).inputValue(), "");
        assert.equal(await text("#subject-said"), "");
    });
});

describe("the connection", () => {
    it("is said to be lost, its data greyed with their age, and found again", async () => {
        admin = await ScriptedAdmin.start();
        admin.push(overviewAt(2));
        await open();
        await until("Live");
        assert.ok(!(await page.locator("main.stale").isVisible()));
        await admin.vanish();
        await until("Connection lost");
        await page.locator("main.stale").waitFor();
        await page.getByText(/^data is \d+ s old, next try in \d+ s$/).waitFor();
        assert.ok(await row("key:notebook").isVisible());
        await admin.comeBack();
        admin.push(overviewAt(4));
        await page.getByRole("button", { name: "Try now" }).click();
        await until("Live");
        assert.ok(!(await page.locator("main.stale").isVisible()));
        assert.equal(await text("#link-age"), "");
    });

    it("is lost too when a node that is connected says nothing", async () => {
        admin = await ScriptedAdmin.start();
        admin.silent = true;
        admin.push(overviewAt(2));
        await open();
        await page.clock.install();
        await page.reload();
        await until("Live");
        await page.clock.fastForward(4900);
        await until("Live");
        await page.clock.fastForward(200);
        await until("Connection lost");
    });

    it("is refused in the node's own words", async () => {
        admin = await ScriptedAdmin.start();
        const error = { message: "At most 16 streams are served at once.", code: "too_many_streams" };
        admin.reply("GET events", () => [503, { error }]);
        await open();
        await until(error.message);
        admin.replies.delete("GET events");
        admin.push(overviewAt(2));
        await page.getByRole("button", { name: "Try now" }).click();
        await until("Live");
    });

    it("asks for the token, keeps it in the tab, and forgets it", async () => {
        admin = await ScriptedAdmin.start({ token: "right" });
        admin.push(overviewAt(2));
        scriptKey(overviewAt(2));
        admin.reply("GET overview", () => [200, overviewAt(2)]);
        await open();
        assert.ok(await page.getByRole("heading", { name: "Sign in" }).isVisible());
        await page.getByLabel("Token", { exact: true }).fill("wrong");
        await page.keyboard.press("Enter");
        await until("This token was refused.");
        await page.getByLabel("Token", { exact: true }).fill("right");
        await page.keyboard.press("Enter");
        await until("Live");
        await page.reload();
        await until("Live");
        const kept = await page.evaluate(() => [{ ...sessionStorage }, { ...localStorage }, document.cookie]);
        assert.deepEqual(kept, [{ "weir-token": "right" }, {}, ""]);
        await row(KEY).locator("a").click();
        await until("plan starter");
        await page.getByRole("button", { name: "Sign out" }).click();
        await page.getByRole("heading", { name: "Sign in" }).waitFor();
        assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    });
});

describe("everybody", () => {
    beforeEach(async () => {
        admin = await ScriptedAdmin.start();
        admin.push(...Array.from({ length: 40 }, (_, i) => overviewAt(i)));
        scriptKey();
    });

    it("can use it by the keyboard alone", async () => {
        await open();
        await until("Live");
        await page.keyboard.press("Tab");
        assert.equal(await focused(), "Skip to content");
        const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
        assert.equal(outline, "solid");
        await page.keyboard.press("Enter");
        assert.equal(await focused(), "main");
        const met = [];
        while (met.at(-1) !== "key:search-prod") {
            await page.keyboard.press("Tab");
            met.push(await focused());
            assert.ok(met.length < 20, met.join());
        }
        assert.deepEqual(met.slice(0, 3), ["open-name", "Open", "Subject"]);
        await page.keyboard.press("Tab");
        await page.keyboard.press("Tab");
        assert.equal(await focused(), KEY);
        await page.keyboard.press("Enter");
        await until("plan starter");
        await page.keyboard.press("Tab");
        assert.equal(await focused(), "reset");
        await page.keyboard.press("Enter");
        await page.getByRole("dialog").waitFor();
        assert.equal(await focused(), "Cancel");
        await page.keyboard.press("Enter");
        await page.getByRole("dialog").waitFor({ state: "hidden" });
        assert.equal(await focused(), "reset");
    });

    it("reads it at 360 and at 1600 pixels without scrolling aside", async () => {
        await open();
        await until("Live");
        for (const hash of ["#/", `#/subject/${encodeURIComponent(KEY)}`]) {
            await page.evaluate((to) => (location.hash = to), hash);
            await page.locator(hash === "#/" ? "#overview" : "#key").waitFor();
            for (const width of [360, 700, 1600]) {
                await page.setViewportSize({ width, height: 800 });
                const scrolled = await page.evaluate(() => document.documentElement.scrollWidth);
                assert.equal(scrolled, width, hash);
            }
        }
    });

    it("sees no jump when figures change", async () => {
        await open();
        await until("Live");
        const places = () =>
            page.evaluate(() =>
                ["#tiles", "#charts", "#busy", "#busy tbody tr:last-child", "#health"].map((one) => {
                    const { x, y, width, height } = document.querySelector(one).getBoundingClientRect();
                    return [one, x, y, width, height];
                }),
            );
        const first = await places();
        admin.push(overviewAt(700));
        await page.waitForFunction(() => document.querySelector("#node").textContent.includes("2 h 11 min"));
        assert.deepEqual(await places(), first);
    });

    it("has it dark as the system asks, or as chosen", async () => {
        await open("", { colorScheme: "dark" });
        const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const dark = await back();
        const button = page.getByRole("button", { name: "Dark" });
        assert.equal(await button.getAttribute("aria-pressed"), "true");
        await button.click();
        const light = await back();
        assert.notEqual(light, dark);
        await page.reload();
        assert.equal(await back(), light);
        await button.click();
        assert.equal(await back(), dark);
    });

    it("reads its texts: each has the contrast that WCAG AA asks for", async () => {
        for (const colorScheme of ["light", "dark"]) {
            await page?.close();
            await open("", { colorScheme });
            await until("Live");
            assert.deepEqual(await page.evaluate(weakTexts), []);
            await row(KEY).locator("a").click();
            await page.locator("#key").waitFor();
            assert.deepEqual(await page.evaluate(weakTexts), []);
        }
    });
});

describe("a node", () => {
    let node;
    let url;
    before(async () => {
        node = await Node.start(configuration({ admin: { ...ADMIN, token: "sk-admin-token" } }));
        url = new Admin(node).url;
    });
    after(() => node.stop());

    it("has the page's files, without a token", async () => {
        const types = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" };
        for (const name of readdirSync("src/admin/ui")) {
            const answer = await fetch(`${url}/ui/${name}`);
            assert.equal(answer.status, 200, name);
            assert.equal(await answer.text(), readFileSync(`src/admin/ui/${name}`, "utf8"));
            assert.equal(answer.headers.get("content-type").split(";")[0], types[name.split(".").pop()]);
            assert.match(answer.headers.get("content-security-policy"), /^default-src 'self';/);
            assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
            const etag = answer.headers.get("etag");
            const again = await fetch(`${url}/ui/${name}`, { headers: { "if-none-match": etag } });
            assert.equal(again.status, 304, name);
            assert.equal(again.headers.get("etag"), etag);
        }
        for (const path of ["/", "/ui", "/ui/"]) {
            const answer = await fetch(url + path, { headers: { "sec-fetch-site": "cross-site" } });
            assert.equal(answer.url, `${url}/ui/`);
            assert.match(await answer.text(), /^<!doctype html>/);
        }
    });

    it("has nothing else there", async () => {
        for (const path of ["/ui/nothing.js", "/ui//app.js", "/ui/..%2fui_files.c", "/uix"]) {
            assert.equal((await fetch(url + path)).status, 401, path);
        }
        const answer = await fetch(`${url}/ui/`, { method: "POST" });
        assert.equal(answer.status, 401);
    });

    it("shows its traffic, and a key that is denied, checked and reset", async () => {
        admin = { url, stop: () => {} }; // the page's own origin
        await open();
        await page.getByLabel("Token", { exact: true }).fill("sk-admin-token");
        await page.keyboard.press("Enter");
        await until("No traffic yet");
        for (let i = 0; i < 3; i++) {
            await node.acquire({ key: "id:tiny", input_tokens: 10, output_tokens: 10 });
        }
        await page.locator("#denials").getByText("key:tiny").waitFor();
        assert.match(await row("key:tiny").innerText(), /requests \/ min\s+2 \/ 2/);
        await row("key:tiny").locator("a").click();
        await page.locator("#history").waitFor();
        const check = page.getByRole("button", { name: "Check" });
        await page.getByLabel("Input tokens").fill("10");
        await page.getByLabel("Output tokens").fill("10");
        await check.click();
        await page.getByText(/^It would be denied by requests \/ min of key:tiny\./).waitFor();
        await page.getByRole("button", { name: "Reset limits" }).click();
        await page.getByRole("button", { name: "Reset", exact: true }).click();
        await until("Reset: all its windows are empty.");
        await check.click();
        await until("It would pass now.");
        await page.getByText(/^The configuration of this node names no registry/).waitFor();
        await page.getByRole("link", { name: "Overview" }).click();
        assert.match(await text("#health"), /Registry\s+none/);
    });
});

describe("a node with a registry", () => {
    let folder;
    let node;
    let api;
    before(async () => {
        folder = temporaryFolder();
        const registry = join(folder.path, "registry.json");
        node = await Node.start(configuration({ admin: ADMIN, registry }));
        api = new Admin(node);
    });
    after(async () => {
        await node.stop();
        folder.remove();
    });
    beforeEach(async () => {
        admin = { url: api.url, stop: () => {} }; // the page's own origin
        await open("#/subject/key%3Atiny");
        await page.locator("#key").waitFor();
    });

    it("has a key on another plan from its page", async () => {
        await page.getByLabel("Plan", { exact: true }).selectOption("roomy");
        await page.getByRole("button", { name: "Change plan\u2026" }).click();
        await page.getByRole("button", { name: "Change plan", exact: true }).click();
        await until("Its plan is roomy now.");
        await until("plan roomy");
        const { plan, source } = (await api.get("/keys/tiny")).body;
        assert.deepEqual({ plan, source }, { plan: "roomy", source: "override" });
        assert.equal((await node.limits("tiny"))["requests/60"].capacity, 1000);
    });

    it("refuses a key that was disabled on its page, and takes it again", async () => {
        for (const [word, told, status] of [["Disable", "disabled", 403], ["Enable", "enabled", 200]]) {
            await page.getByRole("button", { name: `${word} key\u2026` }).click();
            await page.getByRole("button", { name: `${word} key`, exact: true }).click();
            await until(`It is ${told} now.`);
            await page.locator("#key-facts").getByText(told).waitFor();
            assert.equal((await node.chat(SECRETS.tiny)).status, status);
        }
    });

    it("lets a key use what was granted on its page", async () => {
        const before = (await node.limits("tiny"))["requests/60"].capacity;
        await page.getByLabel("Extra budget, once, for").selectOption("requests / min");
        await page.getByLabel("Amount").fill("7");
        await page.getByRole("button", { name: "Grant\u2026" }).click();
        await page.getByRole("button", { name: "Grant", exact: true }).click();
        await until("Granted: 7 requests more.");
        assert.equal((await node.limits("tiny"))["requests/60"].capacity, before + 7);
        await page.getByText(/^7 requests \/ min until /).waitFor();
        await page.getByRole("button", { name: "Take changes back\u2026" }).click();
        await page.getByRole("button", { name: "Take back", exact: true }).click();
        await until("The configuration holds again.");
        assert.equal((await node.limits("tiny"))["requests/60"].capacity, 2);
        await page.getByRole("link", { name: "Overview" }).click();
        await page.locator("#health").getByText("0 in force", { exact: true }).waitFor();
    });
});

/** In the page: texts whose contrast with what is behind them is below 4.5. */
function weakTexts() {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (colour) => {
        const [r, g, b] = rgb(colour).map((v) => {
            const c = v / 255;
            return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return rgb(colour)[3] === 255 ? colour : behind(element.parentElement);
    };
    const ownText = (element) =>
        [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
    return [...document.querySelectorAll("body *")]
        .filter((element) => element.checkVisibility() && ownText(element))
        .filter((element) => {
            const [a, b] = [getComputedStyle(element).color, behind(element)].map(luminance);
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
        })
        .map((element) => element.outerHTML);
}

describe("the pictures of docs/dashboard.md", { skip: process.env.WEIR_SCREENSHOTS !== "1" }, () => {
    const pictures = [
        ["dashboard-light", "light", "", { width: 1240, height: 670 }],
        ["dashboard-dark", "dark", "", { width: 1240, height: 670 }],
        ["dashboard-key", "light", `#/subject/${encodeURIComponent(KEY)}`, { width: 1280, height: 950 }],
    ];
    for (const [name, colorScheme, hash, viewport] of pictures) {
        it(name, async () => {
            admin = await ScriptedAdmin.start();
            admin.push(...Array.from({ length: 330 }, (_, i) => overviewAt(i)));
            scriptKey();
            await open(hash, { colorScheme, viewport });
            await until(hash === "" ? "Live" : "plan starter");
            await page.locator(hash === "" ? "#overview" : "#key").waitFor();
            await page.screenshot({ path: `docs/images/${name}.png` });
        });
    }
});
