/* SPDX-License-Identifier: Apache-2.0 */
#include "store/open.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/embedded_store.h"
#include "store/shared.h"

enum weir_err weir_store_shared_new(const struct weir_config *config,
                                    struct weir_store_shared **ret_shared)
{
    struct weir_store_shared *s = weir_zalloc(sizeof(*s));
    if (s == NULL) {
        return WEIR_ERR_NOMEM;
    }
    const struct weir_embedded_opts opts = {.max_subjects = config->max_subjects};
    enum weir_err err = weir_embedded_new(&opts, &s->table);
    for (size_t i = 0; err == WEIR_OK && i < config->keys; i++) {
        err = weir_embedded_reserve(s->table, &config->key[i].subject);
    }
    if (err == WEIR_OK) {
        err = weir_settled_new(config->reservations_max,
                               (uint64_t)config->reservation_ttl_s * 1000000, &s->settled);
    }
    if (err != WEIR_OK) {
        weir_store_shared_free(s);
        return err;
    }
    weir_random_bytes(&s->epoch, sizeof(s->epoch));
    s->epoch |= 1; /* 0 is the store in Redis */
    *ret_shared = s;
    return WEIR_OK;
}

void weir_store_shared_free(struct weir_store_shared *shared)
{
    if (shared == NULL) {
        return;
    }
    weir_embedded_free(shared->table);
    weir_settled_free(shared->settled);
    weir_free(shared);
}

enum weir_err weir_store_open(const struct weir_config *config, struct weir_loop *loop,
                              struct weir_store_shared *shared, struct weir_store **ret_store)
{
    (void)loop;
    (void)config;
    return weir_embedded_store_open(shared->table, shared->settled, shared->epoch, ret_store);
}

enum weir_err weir_store_check(const struct weir_config *config, char *ret_text, size_t text_size)
{
    (void)config;
    (void)ret_text;
    (void)text_size;
    return WEIR_OK;
}
