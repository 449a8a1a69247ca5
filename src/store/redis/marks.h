/* SPDX-License-Identifier: Apache-2.0 */
/* marks.h - for which hash slots this process has used its share and has not told the store yet
 * (docs/model/README.md, rules 13 and 14). One for all workers. Thread-safe; pure. */
#ifndef WEIR_STORE_REDIS_MARKS_H
#define WEIR_STORE_REDIS_MARKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/redis/slots.h"

enum { WEIR_MARK_WORDS = WEIR_REDIS_SLOTS / 64 };

/* What is to be told: use of these slots, from a moment of the store on. Zeroed: nothing. */
struct weir_marked {
    uint64_t bit[WEIR_MARK_WORDS];
    uint64_t since_us;
    unsigned count;
};

static inline bool weir_marked_has(const struct weir_marked *m, unsigned slot)
{
    return m->bit[slot / 64] >> slot % 64 & 1;
}

struct weir_marks {
    pthread_mutex_t mutex;
    _Atomic unsigned count; /* of marked slots: 0 most of the time */
    struct weir_marked _marked;
};

void weir_marks_init(struct weir_marks *m);
void weir_marks_deinit(struct weir_marks *m);

/* Some of the share was used at store_us. */
void weir_marks_set(struct weir_marks *m, unsigned slot, uint64_t store_us);
/* Of the key's slot. */
bool weir_marks_has(struct weir_marks *m, struct weir_str key);
/* Takes those out that `serves` names: the caller tells the store. Returns how many. */
unsigned weir_marks_take(struct weir_marks *m, bool (*serves)(void *ctx, unsigned slot), void *ctx,
                         struct weir_marked *ret_marked);
/* It was not told. */
void weir_marks_put_back(struct weir_marks *m, const struct weir_marked *marked);

#endif
