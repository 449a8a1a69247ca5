/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/mock_fate.h"

#include <stddef.h>

#include "base/rand.h"

bool weir_mock_status_known(int status)
{
    static const int known[] = {400, 401, 402, 403, 404, 408, 409, 413,
                                422, 429, 500, 502, 503, 504, 529};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i] == status) {
            return true;
        }
    }
    return false;
}

struct weir_mock_fate weir_mock_fate(const struct weir_mock_faults *faults, uint64_t seed,
                                     uint64_t number)
{
    struct weir_rand r;
    weir_rand_init(&r, weir_mix64(seed + 1) ^ number);
    struct weir_mock_fate fate = {0};
    uint64_t drawn = weir_rand_below(&r, WEIR_MOCK_ALL), below = 0;
    for (uint32_t i = 0; i < faults->fails; i++) {
        below += faults->fail[i].share;
        if (drawn < below) {
            fate.status = faults->fail[i].status;
            return fate;
        }
    }
    fate.aborts = weir_rand_below(&r, WEIR_MOCK_ALL) < faults->abort_share;
    fate.where = weir_rand_u64(&r);
    return fate;
}

uint32_t weir_mock_abort_at(const struct weir_mock_fate *fate, uint32_t output_tokens)
{
    return output_tokens == 0 ? 0 : (uint32_t)(fate->where % output_tokens);
}
