/* SPDX-License-Identifier: Apache-2.0 */
/* mock_fate.h - which requests to the mock model server fail, and how: drawn by the seed and the
 * request's number, so that a run repeats. Pure; any thread. */
#ifndef WEIR_GATEWAY_MOCK_FATE_H
#define WEIR_GATEWAY_MOCK_FATE_H

#include <stdbool.h>
#include <stdint.h>

enum { WEIR_MOCK_FAILS_MAX = 16, WEIR_MOCK_ALL = 1000000 /* of shares */ };

struct weir_mock_faults {
    struct weir_mock_fail {
        int status;
        uint32_t share; /* of all requests, in millionths */
    } fail[WEIR_MOCK_FAILS_MAX];
    uint32_t fails;
    uint32_t abort_share; /* of the streams that do not fail, in millionths */
};

struct weir_mock_fate {
    int status;     /* of the failure; 0: none */
    bool aborts;    /* a stream ends in its middle */
    uint64_t where; /* where: weir_mock_abort_at */
};

/* Whether it is one that the mock can be told to fail with. */
bool weir_mock_status_known(int status);
/* `number`: how many requests came before. */
struct weir_mock_fate weir_mock_fate(const struct weir_mock_faults *faults, uint64_t seed,
                                     uint64_t number);
/* After how many tokens of the answer it ends: at least one is missing, where there is one. */
uint32_t weir_mock_abort_at(const struct weir_mock_fate *fate, uint32_t output_tokens);

#endif
