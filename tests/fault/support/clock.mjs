// SPDX-License-Identifier: Apache-2.0
// A clock that a test steps, for a redis-server; stepped_clock.c says how.
import { writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { temporaryFolder } from "../../integration/support/process.mjs";
import { WEIR } from "../../integration/support/weir.mjs";

export class SteppedClock {
    constructor() {
        this.folder = temporaryFolder();
        this.path = join(this.folder.path, "clock");
        writeFileSync(this.path, Buffer.alloc(8));
        this.env = {
            LD_PRELOAD: resolve(dirname(WEIR), "../tests/stepped_clock.so"),
            WEIR_TEST_CLOCK: this.path,
        };
    }

    /** From now on the clock is so many seconds off. */
    step(seconds) {
        const bytes = Buffer.alloc(8);
        bytes.writeBigInt64LE(BigInt(seconds) * 1000000n);
        // in place: the file is mapped
        writeFileSync(this.path, bytes, { flag: "r+" });
    }

    remove() {
        this.folder.remove();
    }
}
