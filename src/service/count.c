/* SPDX-License-Identifier: Apache-2.0 */
#include "service/count.h"

struct weir_counter weir_counter_of(struct weir_str model, struct weir_counting counting)
{
    const struct weir_encoding *own = weir_tokens_encoding(model);
    return (struct weir_counter){
        .encoding = own != NULL ? own : counting.base,
        .exact = own != NULL,
        .memory = counting.memory,
        .image = weir_image_rule_of(model),
    };
}

uint64_t weir_count_text(const struct weir_counter *c, struct weir_str text)
{
    return weir_token_memory_count(c->memory, c->encoding, text);
}

uint64_t weir_count_image(const struct weir_counter *c, struct weir_str url, bool low_detail)
{
    uint32_t width = 0, height = 0;
    (void)weir_image_size(url, &width, &height);
    return weir_image_tokens(c->image, width, height, low_detail);
}
