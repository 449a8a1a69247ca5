/* SPDX-License-Identifier: Apache-2.0 */
#include "service/count.h"

struct weir_counter weir_counter_of(struct weir_str model)
{
    (void)model;
    return (struct weir_counter){.estimates = true};
}

uint64_t weir_count_text(const struct weir_counter *c, struct weir_str text)
{
    WEIR_ASSERT(c->estimates);
    return weir_tokens_estimate(text);
}
