/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.h - how many tokens models make of a text whose encoding weir does not know: what it
 * counts instead, times a ratio per model, which the usage that upstreams report corrects.
 * docs/design/tokens.md has where the first ratios come from. No I/O, no clock. */
#ifndef WEIR_TOKENS_CALIBRATION_H
#define WEIR_TOKENS_CALIBRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
    WEIR_RATIO_ONE = 1 << 20,   /* ratios are in parts of it */
    WEIR_RATIO_MOST = 4,        /* none is above it, or below one in so many */
    WEIR_RATIO_TOKENS_MIN = 64, /* counted in a request from which something is learnt */
    WEIR_CALIBRATION_MODELS = 256,
};

/* ---- the ratio of one model: a value of its owner ---- */

struct weir_ratio {
    uint32_t ratio;  /* tokens reported for those counted */
    uint32_t weight; /* counted tokens that it goes by, the older ones for less */
};

/* Before anything was reported: by the name's family, rather too high than too low. */
struct weir_ratio weir_ratio_first(struct weir_str model);
/* An upstream reported so many input tokens for a request of which so many were counted. False:
 * that tells nothing (too few, or not within WEIR_RATIO_MOST), and nothing changed. */
bool weir_ratio_learn(struct weir_ratio *r, uint64_t counted, uint64_t reported);
/* What to expect of a request of which so many tokens are counted; rounded up. */
uint64_t weir_ratio_expect(const struct weir_ratio *r, uint64_t counted);

/* ---- those of a process ---- */

/* WEIR_CALIBRATION_MODELS of them at most: models that an upstream answered for. Where one has no
 * place, the one goes that was reported for longest ago, of the eight that it may stand in.
 * Thread-safe: striped locks, held for one look or one report. */
struct weir_calibration;

WEIR_MUSTCHECK enum weir_err weir_calibration_new(struct weir_calibration **ret_calibration);
/* NULL is allowed. */
void weir_calibration_free(struct weir_calibration *c);
/* As of weir_ratio. Makes no place. */
uint64_t weir_calibration_expect(struct weir_calibration *c, struct weir_str model,
                                 uint64_t counted);
/* As of weir_ratio. Makes a place where something is learnt. */
bool weir_calibration_learn(struct weir_calibration *c, struct weir_str model, uint64_t counted,
                            uint64_t reported);
/* Places taken. */
uint64_t weir_calibration_count(const struct weir_calibration *c);

#endif
