/* SPDX-License-Identifier: Apache-2.0 */
#include "service/count.h"

struct weir_counter weir_counter_of(struct weir_str model)
{
    return (struct weir_counter){.encoding = weir_tokens_encoding(model)};
}

uint64_t weir_count_text(const struct weir_counter *c, struct weir_str text)
{
    return weir_tokens_count(c->encoding, text);
}
