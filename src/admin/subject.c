/* SPDX-License-Identifier: Apache-2.0 */
/* subject.c - one subject: what of its limits is used, what it did in the last hour, and an
 * operator's reset of it. */
#include <inttypes.h>

#include "admin/internal.h"
#include "base/clock.h"
#include "base/log.h"

/* NULL: it was refused. */
static const struct weir_subject *find(struct admin_request *r, struct weir_anonymous *room)
{
    const struct weir_subject *found = admin_subject(admin_config(r->admin), r->name, room);
    if (found == NULL) {
        admin_refuse(r->admin, r->x, 404, "unknown_subject", "",
                     "There is no subject of this name that has limits.");
    }
    return found;
}

/* The subject of a request that is answered later. NULL: it was refused. */
static struct admin_ask *ask(struct admin_request *r)
{
    struct weir_anonymous room;
    if (find(r, &room) == NULL) {
        return NULL;
    }
    struct admin_ask *k = admin_ask_new(r);
    if (k != NULL) {
        k->call.subject[0] = admin_subject(admin_config(r->admin), r->name, &k->anonymous);
        k->call.subjects = 1;
    }
    return k;
}

/* ---- what is used ---- */

static void looked(struct weir_call *call)
{
    struct admin_ask *k = call->ctx;
    struct weir_buf *b = &k->admin->body;
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "{\"subject\":");
    weir_buf_json(b, call->subject[0]->name);
    WEIR_BUF_LIT(b, ",\"plan\":");
    admin_plan_name(b, call->subject[0]->plan);
    WEIR_BUF_LIT(b, ",\"limits\":");
    admin_limits(b, call);
    weir_buf_char(b, '}');
    admin_ask_decided(k);
}

void admin_usage(struct admin_request *r)
{
    struct admin_ask *k = ask(r);
    if (k != NULL) {
        admin_ask_store(k, weir_amounts(0, 0, 0), false, looked);
    }
}

/* ---- a reset ---- */

static void reset_done(struct weir_reset *reset)
{
    struct admin_ask *k = reset->ctx;
    struct weir_admin *a = k->admin;
    bool emptied = reset->emptied;
    struct weir_str name = reset->subject->name;
    if (emptied) {
        weir_log(WEIR_LOG_INFO, "admin API: %.*s was reset", (int)name.len, name.p);
    }
    weir_buf_reset(&a->body);
    WEIR_BUF_LIT(&a->body, "{\"subject\":");
    weir_buf_json(&a->body, name);
    WEIR_BUF_LIT(&a->body, ",\"reset\":true}");
    struct weir_http_exchange *x = admin_ask_end(k);
    if (x != NULL && emptied) {
        admin_answer(a, x);
    } else if (x != NULL) {
        admin_refuse_store(a, x, WEIR_OUTCOME_UNAVAILABLE);
    }
}

void admin_reset(struct admin_request *r)
{
    struct admin_ask *k = ask(r);
    if (k == NULL) {
        return;
    }
    k->reset = (struct weir_reset){.subject = k->call.subject[0], .done = reset_done, .ctx = k};
    if (weir_store_reset(r->admin->store, &k->reset) == WEIR_OK) {
        reset_done(&k->reset);
    }
}

/* ---- its last hour ---- */

static void minute(struct weir_buf *b, const struct weir_top_minute *m)
{
    weir_buf_printf(b,
                    "{\"minute\":%u,\"allowed\":%" PRIu64 ",\"denied\":%" PRIu64
                    ",\"input_tokens\":%" PRIu64 ",\"output_tokens\":%" PRIu64 "}",
                    m->minute, m->allowed, m->denied, m->used[WEIR_METER_INPUT_TOKENS],
                    m->used[WEIR_METER_OUTPUT_TOKENS]);
}

void admin_history(struct admin_request *r)
{
    struct weir_buf *b = &r->admin->body;
    struct weir_anonymous room;
    struct weir_top_minute of[WEIR_TOP_MINUTES];
    if (find(r, &room) == NULL) {
        return;
    }
    size_t minutes =
        weir_top_history(r->admin->group, r->name, (uint32_t)(weir_clock_wall_s() / 60), of);
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "{\"subject\":");
    weir_buf_json(b, r->name);
    WEIR_BUF_LIT(b, ",\"minutes\":[");
    for (size_t i = 0; i < minutes; i++) {
        weir_buf_str(b, i > 0 ? WEIR_STR(",") : WEIR_STR(""));
        minute(b, &of[i]);
    }
    WEIR_BUF_LIT(b, "]}");
    admin_answer(r->admin, r->x);
}
