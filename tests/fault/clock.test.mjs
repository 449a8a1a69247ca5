// SPDX-License-Identifier: Apache-2.0
// The clock of Redis's machine is stepped by a minute (guarantee 1).
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sleep } from "../integration/support/wait.mjs";
import { SteppedClock } from "./support/clock.mjs";
import { Result, inScenario } from "./support/scenario.mjs";

const MINUTE_S = 60;

describe("the clock of Redis's machine", () => {
    for (const [name, seconds] of [
        ["a minute forward", MINUTE_S],
        ["a minute back", -MINUTE_S],
    ]) {
        it(`stepped ${name}: no window is over, nobody is refused`, async () => {
            const clock = new SteppedClock();
            const fault = async ({ redis }) => {
                const read = async () => Number((await redis.command("TIME")).split("\n")[0]);
                const before = await read();
                clock.step(seconds);
                const step = (await read()) - before;
                assert.ok(Math.abs(step - seconds) <= 5, `stepped by ${step} s`);
                await sleep(1000);
            };
            try {
                await inScenario(
                    { policy: "closed", redis: { env: clock.env } },
                    fault,
                    async (result) => {
                        await result.holds(0);
                        assert.deepEqual(Result.statuses(result.answers), [200, 429]);
                        result.serviceIsNormal();
                    },
                );
            } finally {
                clock.remove();
            }
        });
    }
});
