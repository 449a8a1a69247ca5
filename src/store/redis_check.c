/* SPDX-License-Identifier: Apache-2.0 */
/* redis_check.c - a look at the Redis that the configuration names, before serving. */
#include "base/log.h"
#include "store/redis/shards.h"
#include "store/redis_store.h"

enum { CHECK_TRIES = 3 };

struct check {
    struct weir_loop loop;
    struct weir_redis_shards *shards; /* NULL: over */
    unsigned tries;
    bool refused;
    char text[512];
};

static void check_end(struct check *check)
{
    weir_redis_shards_close(check->shards);
    check->shards = NULL;
}

static void on_check_up(void *ctx)
{
    check_end(ctx);
}

static void on_check_down(void *ctx, enum weir_redis_why why, const char *text)
{
    struct check *check = ctx;
    check->refused = why == WEIR_REDIS_REFUSED;
    snprintf(check->text, sizeof(check->text), "%s", text);
    if (check->refused || ++check->tries == CHECK_TRIES) {
        check_end(check);
    }
}

enum weir_err weir_redis_store_check(const struct weir_config *config, char *ret_text,
                                     size_t text_size)
{
    struct check check = {0};
    char text[WEIR_REDIS_TLS_TEXT];
    const struct weir_redis_owner owner = {
        .ctx = &check, .on_up = on_check_up, .on_down = on_check_down};
    if (weir_loop_init(&check.loop) != WEIR_OK) {
        snprintf(ret_text, text_size, "store: the kernel gives no event loop");
        return WEIR_ERR_IO;
    }
    enum weir_err err =
        weir_redis_shards_open(&check.loop, config, &owner, NULL, &check.shards, text);
    if (err == WEIR_OK) {
        weir_loop_run(&check.loop);
    }
    weir_loop_deinit(&check.loop);
    if (err == WEIR_ERR_INVALID) {
        snprintf(ret_text, text_size, "store: %s", text);
    } else if (err == WEIR_OK && check.refused) {
        snprintf(ret_text, text_size, "store: Redis %s", check.text);
        return WEIR_ERR_INVALID;
    } else if (check.tries == CHECK_TRIES) {
        weir_log(WEIR_LOG_WARN, "store: Redis %s", check.text);
    }
    return err;
}
