/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/names.h"

#include "base/hash.h"
#include "base/mem.h"

enum { ROOM_FIRST = 64, NAMES_MAX = 1 << 30 };

void weir_names_init(struct weir_names *n, size_t bytes_max)
{
    *n = (struct weir_names){0};
    weir_buf_init(&n->_text, bytes_max);
}

void weir_names_deinit(struct weir_names *n)
{
    weir_free(n->_at);
    weir_free(n->_slot);
    weir_buf_deinit(&n->_text);
}

struct weir_str weir_names_text(const struct weir_names *n, uint32_t number)
{
    WEIR_ASSERT(number < n->count);
    return weir_str(n->_text.data + n->_at[number], n->_at[number + 1] - n->_at[number]);
}

/* The slot that has the text, or the free one where it belongs. */
static uint32_t *slot_of(const struct weir_names *n, struct weir_str text)
{
    uint64_t hash[2];
    weir_hash128(text.p, text.len, hash);
    for (uint64_t i = hash[0];; i++) {
        uint32_t *slot = &n->_slot[i & (n->_slots - 1)];
        if (*slot == 0 || weir_str_eq(weir_names_text(n, *slot - 1), text)) {
            return slot;
        }
    }
}

/* Twice the room, and slots for twice as many names as that. */
static enum weir_err grow(struct weir_names *n)
{
    uint32_t room = n->_room == 0 ? ROOM_FIRST : n->_room * 2;
    if (room > NAMES_MAX) {
        return WEIR_ERR_LIMIT;
    }
    uint64_t *at = weir_realloc(n->_at, ((size_t)room + 1) * sizeof(*at));
    if (at == NULL) {
        return WEIR_ERR_NOMEM;
    }
    at[n->count] = n->_text.len;
    n->_at = at;
    uint32_t *slot = weir_zalloc_array((size_t)room * 2, sizeof(*slot));
    if (slot == NULL) {
        return WEIR_ERR_NOMEM;
    }
    weir_free(n->_slot);
    n->_slot = slot;
    n->_slots = room * 2;
    n->_room = room;
    for (uint32_t i = 0; i < n->count; i++) {
        *slot_of(n, weir_names_text(n, i)) = i + 1;
    }
    return WEIR_OK;
}

enum weir_err weir_names_number(struct weir_names *n, struct weir_str text, uint32_t *ret_number)
{
    uint32_t *slot = n->_slots > 0 ? slot_of(n, text) : NULL;
    if (slot != NULL && *slot != 0) {
        *ret_number = *slot - 1;
        return WEIR_OK;
    }
    if (n->count == n->_room) {
        WEIR_TRY(grow(n));
        slot = slot_of(n, text);
    }
    weir_buf_str(&n->_text, text);
    if (n->_text.failed) {
        return n->_text.max - n->_text.len < text.len ? WEIR_ERR_LIMIT : WEIR_ERR_NOMEM;
    }
    *ret_number = n->count++;
    n->_at[n->count] = n->_text.len;
    *slot = n->count;
    return WEIR_OK;
}
