/* SPDX-License-Identifier: Apache-2.0 */
/* edit.c - the way of a change of keys, teams, orgs or plans: what a request asks for becomes an
 * entry of the registry, which is laid over the file to see whether it fits, is written, and is
 * answered when it is in force here. When others have changed the registry meanwhile, all of that
 * is done again. */
#include "admin/edit.h"

#include "base/log.h"
#include "base/mem.h"

enum { TRIES_MAX = 32 };

struct weir_str admin_edit_id(const struct admin_edit *e)
{
    return weir_name_behind_scope(e->name);
}

void admin_edit_free(struct admin_edit *e)
{
    if (e == NULL) {
        return;
    }
    weir_buf_deinit(&e->patch);
    weir_buf_deinit(&e->text);
    weir_wipe(e->secret, sizeof(e->secret));
    weir_free(e);
}

/* ---- answers ---- */

/* It is over, and was not done. NULL: nobody waits. */
static struct weir_http_exchange *give_up(struct admin_edit *e)
{
    return admin_ask_end(e->ask); /* and with it the edit */
}

void admin_edit_refuse(struct admin_edit *e, int status, const char *code, const char *why)
{
    struct weir_admin *a = e->ask->admin;
    struct weir_http_exchange *x = give_up(e);
    if (x != NULL) {
        admin_refuse(a, x, status, code, "", "%s", why);
    }
}

void admin_edit_refuse_unknown(struct admin_edit *e)
{
    struct weir_admin *a = e->ask->admin;
    enum admin_kind kind = e->kind;
    struct weir_http_exchange *x = give_up(e);
    if (x != NULL) {
        admin_unknown_thing(a, x, kind);
    }
}

static void answer(struct admin_edit *e)
{
    struct weir_admin *a = e->ask->admin;
    struct weir_buf *b = &a->body;
    bool deletes = e->deed == DELETE;
    bool there = admin_thing_exists(admin_config(a), e->kind, admin_edit_id(e));
    weir_buf_reset(b);
    if (deletes) {
        WEIR_BUF_LIT(b, "{\"deleted\":true}");
    } else if (there) {
        weir_buf_char(b, '{');
        admin_thing_members(a, e->kind, admin_edit_id(e));
        if (e->secret[0] != '\0') {
            weir_buf_printf(b, ",\"secret\":\"%s\"", e->secret);
        }
        weir_buf_char(b, '}');
    }
    bool gone = !deletes && !there; /* others were quicker */
    struct weir_http_exchange *x = admin_ask_end(e->ask);
    if (x != NULL && !gone) {
        admin_answer(a, x);
    } else if (x != NULL) {
        admin_refuse(a, x, 409, "conflict", "", "Others have changed it meanwhile.");
    }
    if (b->data != NULL) {
        weir_wipe(b->data, b->room); /* it may have had a secret */
    }
}

/* ---- the way of an edit ---- */

static bool make(struct weir_registry_change *change)
{
    struct admin_edit *e = change->ctx;
    if (++e->tries > TRIES_MAX) {
        admin_edit_refuse(e, 409, "conflict",
                          "Others have changed the registry again and again: try again.");
        return false;
    }
    return admin_edit_make(e);
}

static void log_done(const struct admin_edit *e)
{
    static const char *const deeds[] = {[CREATE] = "created",
                                        [CHANGE] = "changed",
                                        [ROTATE] = "given another secret",
                                        [DELETE] = "deleted",
                                        [GRANT] = "granted extra budget"};
    weir_log(WEIR_LOG_INFO, "admin API: %.*s was %s", (int)e->name.len, e->name.p, deeds[e->deed]);
}

static void changed(struct weir_registry_change *change)
{
    struct admin_edit *e = change->ctx;
    struct weir_admin *a = e->ask->admin;
    if (change->result == WEIR_REGISTRY_UNAVAILABLE) {
        char why[sizeof(change->why)]; /* the change goes before its answer is made */
        memcpy(why, change->why, sizeof(why));
        admin_edit_refuse(e, 503, "registry_unavailable", why);
    } else {
        log_done(e);
        e->told = a->told;
        e->ask->waits = a->adopting;
        a->adopting = e->ask;
    }
}

void admin_edit_submit(struct admin_edit *e)
{
    e->change.make = make;
    e->change.done = changed;
    e->change.ctx = e;
    weir_registry_change(e->ask->admin->registry, &e->change);
}

void admin_edits_adopted(struct weir_admin *a, uint64_t told, const char *why)
{
    struct admin_ask *k = a->adopting;
    a->adopting = NULL;
    while (k != NULL) {
        struct admin_ask *next = k->waits;
        if (k->edit->told > told) { /* its own is still to come */
            k->waits = a->adopting;
            a->adopting = k;
        } else if (why == NULL) {
            answer(k->edit);
        } else {
            char text[512];
            snprintf(text, sizeof(text), "It is stored, and not in force on this node: %s", why);
            admin_edit_refuse(k->edit, 500, "not_in_force", text);
        }
        k = next;
    }
}

void admin_edits_end(struct weir_admin *a)
{
    a->adopting = NULL;
    for (struct admin_ask *k = a->asks, *next; k != NULL; k = next) {
        next = k->next;
        if (k->edit != NULL) {
            admin_edit_refuse(
                k->edit, 503, "registry_unavailable",
                "The node stops. It is not known whether it was done: look before you try "
                "again.");
        }
    }
}
