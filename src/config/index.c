/* SPDX-License-Identifier: Apache-2.0 */
#include "config/index.h"

#include "base/hash.h"
#include "base/mem.h"

enum weir_err weir_index_init(struct weir_index *x, size_t count)
{
    uint32_t slots = 4;
    while (slots < count * 2) {
        slots *= 2;
    }
    x->number = weir_zalloc_array(slots, sizeof(x->number[0]));
    if (x->number == NULL) {
        return WEIR_ERR_NOMEM;
    }
    x->slots = slots;
    return WEIR_OK;
}

void weir_index_deinit(struct weir_index *x)
{
    weir_free(x->number);
    *x = (struct weir_index){0};
}

uint32_t weir_index_first(const struct weir_index *x, struct weir_str text)
{
    uint64_t hash[2];
    if (x->slots == 0) {
        return 0;
    }
    weir_hash128(text.p, text.len, hash);
    return (uint32_t)hash[0] & (x->slots - 1);
}

uint32_t weir_index_next(const struct weir_index *x, uint32_t *at)
{
    if (x->slots == 0) {
        return 0;
    }
    uint32_t number = x->number[*at];
    *at = (*at + 1) & (x->slots - 1);
    return number;
}

void weir_index_add(struct weir_index *x, struct weir_str text, uint32_t number)
{
    uint32_t at = weir_index_first(x, text);
    while (x->number[at] != 0) {
        at = (at + 1) & (x->slots - 1);
    }
    x->number[at] = number;
}
