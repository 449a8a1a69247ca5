/* SPDX-License-Identifier: Apache-2.0 */
/* count.h - how many tokens a text is for a model: the one place where the service asks. Pure, but
 * for the vocabulary that the process uses (weir_tokens_use). */
#ifndef WEIR_SERVICE_COUNT_H
#define WEIR_SERVICE_COUNT_H

#include <stdbool.h>

#include "tokens/image.h"
#include "tokens/memory.h"
#include "tokens/tokens.h"

/* What a counter may use of its worker and process. Zeroed: models whose encoding is not known are
 * estimated, and nothing is remembered. */
struct weir_counting {
    const struct weir_encoding *base; /* for those models */
    struct weir_token_memory *memory; /* of texts that may come again */
};

/* How one model counts. A value, to be copied; nothing of it is owned. */
struct weir_counter {
    const struct weir_encoding *encoding; /* NULL: counts are estimates */
    bool exact;                           /* it is the model's own */
    struct weir_token_memory *memory;     /* NULL: none */
    struct weir_image_rule image;
};

struct weir_counter weir_counter_of(struct weir_str model, struct weir_counting counting);

/* Tokens of UTF-8 text; 0 only for an empty one. */
uint64_t weir_count_text(const struct weir_counter *c, struct weir_str text);
/* Tokens of an image: by its size where the URL has its data, else by a usual one. */
uint64_t weir_count_image(const struct weir_counter *c, struct weir_str url, bool low_detail);

#endif
