/* SPDX-License-Identifier: Apache-2.0 */
/* upstreams.c - the upstreams of a worker, from its start to its end. */
#include "base/hash.h"
#include "base/mem.h"
#include "gateway/fetch_internal.h"

struct weir_upstream_set *weir_upstreams_set(struct weir_upstreams *u)
{
    return u->set;
}

static void maybe_gone(struct weir_upstreams *u)
{
    if (u->open == 0 && u->released) {
        weir_upstream_set_let_go(u->set);
        weir_buf_deinit(&u->fields);
        weir_free(u);
        curl_global_cleanup();
    }
}

static void on_sweep_closed(uv_handle_t *handle)
{
    struct weir_upstreams *u = handle->data;
    u->open--;
    maybe_gone(u);
}

/* ---- pools ---- */

static void on_pool_turn(void *ctx)
{
    struct weir_fetch_pool *pool = ctx;
    weir_fetch_on_turn(pool->upstreams);
}

static void on_pool_closed(void *ctx)
{
    struct weir_fetch_pool *pool = ctx;
    struct weir_upstreams *u = pool->upstreams;
    weir_free(pool);
    u->open--;
    maybe_gone(u);
}

/* NULL: no memory. */
static struct weir_fetch_pool *pool_new(struct weir_upstreams *u)
{
    struct weir_fetch_pool *pool = weir_zalloc(sizeof(*pool));
    const struct weir_curl_handler handler = {
        .done = weir_fetch_on_done, .turn = on_pool_turn, .closed = on_pool_closed, .ctx = pool};
    if (pool == NULL ||
        weir_curl_loop_init(&pool->curl, u->loop, &u->sockets, &handler) != WEIR_OK) {
        weir_free(pool);
        return NULL;
    }
    pool->upstreams = u;
    pool->used_ms = weir_fetch_now_ms(u);
    u->pool[u->pools++] = pool;
    u->open++;
    return pool;
}

struct weir_fetch_pool *weir_fetch_pool(struct weir_upstreams *u)
{
    struct weir_fetch_pool *least = u->pool[0];
    for (unsigned i = 0; i < u->pools; i++) {
        if (u->pool[i]->transfers < FETCH_POOL_TRANSFERS) {
            return u->pool[i];
        }
        least = u->pool[i]->transfers < least->transfers ? u->pool[i] : least;
    }
    struct weir_fetch_pool *pool = u->pools < FETCH_POOLS_MAX ? pool_new(u) : NULL;
    return pool != NULL ? pool : least;
}

void weir_fetch_pools_sweep(struct weir_upstreams *u)
{
    struct weir_fetch_pool *last = u->pool[u->pools - 1];
    uint64_t now_ms = weir_fetch_now_ms(u);
    if (last->transfers > 0) {
        last->used_ms = now_ms;
    } else if (u->pools > 1 && now_ms - last->used_ms >= FETCH_POOL_IDLE_MS) {
        u->pools--;
        weir_curl_loop_close(&last->curl);
    }
}

/* ---- life ---- */

enum weir_err weir_upstreams_new(const struct weir_config *config, struct weir_loop *loop,
                                 struct weir_upstreams **ret_upstreams)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return WEIR_ERR_NOMEM;
    }
    struct weir_upstreams *u = weir_zalloc(sizeof(*u));
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    if (u != NULL) {
        u->loop = loop;
        u->set = weir_upstream_set_new(config, seed);
    }
    if (u == NULL || u->set == NULL || pool_new(u) == NULL) {
        weir_upstream_set_let_go(u == NULL ? NULL : u->set);
        weir_free(u);
        curl_global_cleanup();
        return WEIR_ERR_NOMEM;
    }
    u->open++;
    weir_buf_init(&u->fields, 2 * WEIR_ANSWER_HEAD_MAX);
    uv_timer_init(&loop->uv, &u->sweep);
    u->sweep.data = u;
    *ret_upstreams = u;
    return WEIR_OK;
}

/* What they were set up for may go. */
static void drop_spares(struct weir_upstreams *u)
{
    while (u->spare != NULL) {
        struct weir_fetch *f = u->spare;
        u->spare = f->next;
        weir_fetch_deinit(f);
    }
    u->spares = 0;
}

void weir_upstreams_adopt(struct weir_upstreams *u, struct weir_upstream_set *next)
{
    struct weir_upstream_set *before = u->set;
    weir_upstream_set_follow(next, before);
    drop_spares(u);
    u->set = next;
    weir_upstream_set_let_go(before);
}

void weir_upstreams_close(struct weir_upstreams *u)
{
    if (u == NULL || u->closing) {
        return;
    }
    u->closing = true;
    while (u->active != NULL) {
        weir_fetch_free(u->active);
    }
    weir_fetch_on_turn(u);
    drop_spares(u);
    uv_close((uv_handle_t *)&u->sweep, on_sweep_closed);
    while (u->pools > 0) {
        weir_curl_loop_close(&u->pool[--u->pools]->curl);
    }
    weir_curl_sockets_deinit(&u->sockets);
}

void weir_upstreams_free(struct weir_upstreams *u)
{
    if (u == NULL) {
        return;
    }
    weir_upstreams_close(u);
    u->released = true;
    maybe_gone(u);
}
