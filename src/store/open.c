/* SPDX-License-Identifier: Apache-2.0 */
#include "store/open.h"

#include "base/hash.h"
#include "base/mem.h"
#include "limit/window.h"
#include "store/embedded_store.h"
#include "store/redis_store.h"
#include "store/shared.h"

static enum weir_err reserve(void *table, const struct weir_subject *subject)
{
    return weir_embedded_reserve(table, subject);
}

static bool is_held(void *table, const struct weir_subject *subject)
{
    uint8_t bytes[WEIR_VALUE_MAX];
    return weir_embedded_copy(table, subject, bytes, sizeof(bytes)) > 0;
}

static enum weir_err redis_shared_new(const struct weir_config *config, struct weir_store_shared *s)
{
    /* with twice as many places somebody without a record is found soon */
    WEIR_TRY(weir_roll_new(2 * config->max_subjects, is_held, s->table, &s->roll));
    return weir_primaries_new(config->redis_seeds.kind != WEIR_REDIS_CLUSTER, &s->primaries);
}

enum weir_err weir_store_shared_new(const struct weir_config *config,
                                    struct weir_store_shared **ret_shared)
{
    struct weir_store_shared *s = weir_zalloc(sizeof(*s));
    if (s == NULL) {
        return WEIR_ERR_NOMEM;
    }
    weir_marks_init(&s->marks);
    const struct weir_embedded_opts opts = {.max_subjects = config->max_subjects};
    enum weir_err err = weir_embedded_new(&opts, &s->table);
    if (err == WEIR_OK) {
        err = weir_config_each_subject(config, reserve, s->table);
    }
    if (err == WEIR_OK) {
        err = weir_settled_new(config->reservations_max,
                               (uint64_t)config->reservation_ttl_s * 1000000, &s->settled);
    }
    if (err == WEIR_OK && config->store == WEIR_STORE_REDIS) {
        err = redis_shared_new(config, s);
    }
    if (err != WEIR_OK) {
        weir_store_shared_free(s);
        return err;
    }
    weir_random_bytes(&s->epoch, sizeof(s->epoch));
    s->epoch |= 1;
    *ret_shared = s;
    return WEIR_OK;
}

static enum weir_err reserve_if_room(void *table, const struct weir_subject *subject)
{
    enum weir_err err = weir_embedded_reserve(table, subject);
    return err == WEIR_ERR_LIMIT ? WEIR_OK : err; /* it gets one as others become idle */
}

enum weir_err weir_store_shared_prepare(struct weir_store_shared *shared,
                                        const struct weir_config *next)
{
    return weir_config_each_subject(next, reserve_if_room, shared->table);
}

struct following {
    struct weir_embedded *table;
    const struct weir_config *now;
};

static enum weir_err release_if_gone(void *ctx, const struct weir_subject *subject)
{
    const struct following *f = ctx;
    if (weir_config_subject(f->now, subject->name) == NULL) {
        weir_embedded_release(f->table, subject);
    }
    return WEIR_OK;
}

void weir_store_shared_follow(struct weir_store_shared *shared, const struct weir_config *before,
                              const struct weir_config *now)
{
    struct following f = {shared->table, now};
    enum weir_err err = weir_config_each_subject(before, release_if_gone, &f);
    WEIR_ASSERT(err == WEIR_OK);
}

void weir_store_shared_free(struct weir_store_shared *shared)
{
    if (shared == NULL) {
        return;
    }
    weir_embedded_free(shared->table);
    weir_settled_free(shared->settled);
    weir_primaries_free(shared->primaries);
    weir_roll_free(shared->roll);
    weir_marks_deinit(&shared->marks);
    weir_free(shared);
}

enum weir_err weir_store_open(const struct weir_config *config, struct weir_loop *loop,
                              struct weir_store_shared *shared, struct weir_store **ret_store)
{
    if (config->store == WEIR_STORE_REDIS) {
        return weir_redis_store_open(config, loop, shared, ret_store);
    }
    return weir_embedded_store_open(shared->table, shared->settled, shared->epoch, ret_store);
}

enum weir_err weir_store_check(const struct weir_config *config, char *ret_text, size_t text_size)
{
    return config->store == WEIR_STORE_REDIS ? weir_redis_store_check(config, ret_text, text_size)
                                             : WEIR_OK;
}
