/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lease/lease.h"

enum {
    ONE = WEIR_DEMAND_ONE,
    AVERAGE_LIVES = 4,  /* what is longer ago counts less and less */
    USED_MAX = 1 << 28, /* of one life, so that products fit 64 bits */
    MORE = 3,
    MORE_OF = 2, /* so that a lease seldom ends before its life does */
};

unsigned weir_meters_limited(const struct weir_plan *plan)
{
    unsigned meters = 0;
    for (unsigned k = 0; k < plan->windows; k++) {
        meters |= plan->window[k].mask;
    }
    if (meters >> WEIR_METER_TOTAL_TOKENS & 1) {
        meters |= 1U << WEIR_METER_INPUT_TOKENS | 1U << WEIR_METER_OUTPUT_TOKENS;
    }
    return meters;
}

bool weir_lease_use(struct weir_lease *lease, unsigned meters, uint64_t now_us,
                    const struct weir_amounts *a)
{
    if (now_us >= lease->until_us) {
        return false;
    }
    bool covers = true;
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        covers &= a->of[m] <= lease->left.of[m] || !(meters >> m & 1);
    }
    for (unsigned m = 0; covers && m < WEIR_METER_TOTAL_TOKENS; m++) {
        lease->left.of[m] -= meters >> m & 1 ? a->of[m] : 0;
    }
    lease->left.of[WEIR_METER_TOTAL_TOKENS] =
        lease->left.of[WEIR_METER_INPUT_TOKENS] + lease->left.of[WEIR_METER_OUTPUT_TOKENS];
    return covers;
}

void weir_demand_add(struct weir_demand *d, const struct weir_amounts *a)
{
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        d->used.of[m] += a->of[m];
    }
}

/* Takes what was used since it was noted last into the average. */
static void note(struct weir_demand *d, uint64_t now_us, uint64_t life_us)
{
    const uint64_t span_us = AVERAGE_LIVES * life_us;
    uint64_t passed_us = now_us > d->noted_us ? now_us - d->noted_us : 0;
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        uint64_t used = (d->used.of[m] < USED_MAX ? d->used.of[m] : USED_MAX) * ONE;
        uint64_t *average = &d->per_life[m];
        if (passed_us >= span_us) {
            *average = used / (passed_us / life_us);
        } else {
            *average += used / AVERAGE_LIVES - *average * passed_us / span_us;
        }
        *average = *average < (uint64_t)USED_MAX * ONE ? *average : (uint64_t)USED_MAX * ONE;
    }
    d->used = (struct weir_amounts){0};
    d->noted_us = now_us;
}

struct weir_amounts weir_demand_want(struct weir_demand *d, unsigned meters, uint64_t now_us,
                                     uint64_t life_us)
{
    struct weir_amounts want = {0};
    note(d, now_us, life_us);
    if (d->per_life[WEIR_METER_REQUESTS] < ONE) {
        return want;
    }
    for (unsigned m = 0; m < WEIR_METER_TOTAL_TOKENS; m++) {
        if (meters >> m & 1) {
            want.of[m] = d->per_life[m] * MORE / (MORE_OF * ONE);
        }
    }
    return want;
}
