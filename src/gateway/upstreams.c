/* SPDX-License-Identifier: Apache-2.0 */
/* upstreams.c - the upstreams of a worker, from its start to its end. */
#include "base/hash.h"
#include "base/mem.h"
#include "gateway/fetch_internal.h"

struct weir_upstream_set *weir_upstreams_set(struct weir_upstreams *u)
{
    return &u->set;
}

static void maybe_gone(struct weir_upstreams *u)
{
    if (u->open == 0 && u->released) {
        weir_upstream_set_deinit(&u->set);
        weir_buf_deinit(&u->fields);
        weir_free(u);
        curl_global_cleanup();
    }
}

static void on_curl_closed(void *ctx)
{
    struct weir_upstreams *u = ctx;
    u->open--;
    maybe_gone(u);
}

static void on_sweep_closed(uv_handle_t *handle)
{
    on_curl_closed(handle->data);
}

enum weir_err weir_upstreams_new(const struct weir_config *config, struct weir_loop *loop,
                                 struct weir_upstreams **ret_upstreams)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return WEIR_ERR_NOMEM;
    }
    struct weir_upstreams *u = weir_zalloc(sizeof(*u));
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    if (u == NULL || weir_upstream_set_init(&u->set, config, seed) != WEIR_OK) {
        weir_free(u);
        curl_global_cleanup();
        return WEIR_ERR_NOMEM;
    }
    const struct weir_curl_handler handler = {
        .done = weir_fetch_on_done, .turn = weir_fetch_on_turn, .closed = on_curl_closed, .ctx = u};
    if (weir_curl_loop_init(&u->curl, loop, &handler) != WEIR_OK) {
        weir_upstream_set_deinit(&u->set);
        weir_free(u);
        curl_global_cleanup();
        return WEIR_ERR_NOMEM;
    }
    u->loop = loop;
    u->open = 2;
    weir_buf_init(&u->fields, 2 * WEIR_ANSWER_HEAD_MAX);
    uv_timer_init(&loop->uv, &u->sweep);
    u->sweep.data = u;
    *ret_upstreams = u;
    return WEIR_OK;
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
    while (u->spare != NULL) {
        struct weir_fetch *f = u->spare;
        u->spare = f->next;
        weir_fetch_deinit(f);
    }
    uv_close((uv_handle_t *)&u->sweep, on_sweep_closed);
    weir_curl_loop_close(&u->curl);
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
