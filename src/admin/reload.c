/* SPDX-License-Identifier: Apache-2.0 */
/* reload.c - POST /admin/v1/reload: reads the configuration again. The main thread does that, as at
 * SIGHUP; all who asked meanwhile hear what became of it. */
#include <inttypes.h>

#include "admin/internal.h"

void weir_admin_on_reload(struct weir_admin *a, void (*reload)(void *ctx), void *ctx)
{
    a->reload = reload;
    a->reload_ctx = ctx;
}

static void answer(struct weir_admin *a, struct weir_http_exchange *x, const char *why)
{
    const struct weir_config *config = admin_config(a);
    if (why != NULL) {
        admin_refuse(a, x, 409, "configuration_refused", "", "%s; nothing was changed", why);
        return;
    }
    weir_buf_reset(&a->body);
    weir_buf_printf(&a->body, "{\"applied\":true,\"plans\":%zu,\"keys\":%zu}", config->plans,
                    config->keys);
    admin_answer(a, x);
}

void admin_reloaded(struct weir_admin *a, const char *why)
{
    struct admin_ask *first = a->reloading;
    a->reloading = NULL;
    while (first != NULL) {
        struct admin_ask *k = first;
        first = k->waits;
        struct weir_http_exchange *x = admin_ask_end(k);
        if (x != NULL) {
            answer(a, x, why);
        }
    }
}

void admin_reload(struct admin_request *r)
{
    struct weir_admin *a = r->admin;
    struct admin_ask *k = admin_ask_new(r);
    if (k != NULL) {
        k->waits = a->reloading;
        a->reloading = k;
        a->reload(a->reload_ctx);
    }
}
