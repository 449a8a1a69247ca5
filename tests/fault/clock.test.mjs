// SPDX-License-Identifier: Apache-2.0
// The clock of Redis's machine is stepped by a minute (guarantee 1).
import assert from "node:assert/strict";
import { after } from "node:test";
import { sleep } from "../integration/support/wait.mjs";
import { SteppedClock } from "./support/clock.mjs";
import { scenario, statuses } from "./support/scenario.mjs";

const MINUTE_S = 60;

for (const [name, seconds] of [
    ["a minute forward", MINUTE_S],
    ["a minute back", -MINUTE_S],
]) {
    const clock = new SteppedClock();
    after(() => clock.remove());

    const step = async ({ redis }) => {
        const read = async () => Number((await redis.command("TIME")).split("\n")[0]);
        const before = await read();
        clock.step(seconds);
        const stepped = (await read()) - before;
        assert.ok(Math.abs(stepped - seconds) <= 5, `stepped by ${stepped} s`);
        await sleep(1000);
    };

    scenario(`Redis's clock, ${name}`, { redis: { env: clock.env } }, step, {
        closed: {
            "no window is over, nobody is refused": async (result) => {
                await result.holds();
                assert.deepEqual(statuses(result.answers), [200, 429]);
                result.serviceIsNormal();
            },
        },
    });
}
