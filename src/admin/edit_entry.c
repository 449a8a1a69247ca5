/* SPDX-License-Identifier: Apache-2.0 */
/* edit_entry.c - the entry that a change makes of what there is, and whether it fits the rest. */
#include <inttypes.h>

#include "admin/edit.h"
#include "base/clock.h"

static bool is_in_file(const struct admin_edit *e)
{
    return admin_thing_exists(e->ask->admin->base, e->kind, admin_edit_id(e));
}

const char admin_entry_too_long[] = "An entry has at most 8192 bytes.";
_Static_assert(WEIR_ENTRY_TEXT_MAX == 8192, "as the words say");

/* e->text is the entry that `was` becomes. False: refused. */
static bool compose(struct admin_edit *e, const struct weir_entry *was)
{
    struct weir_str before = was == NULL ? weir_str(NULL, 0) : was->text;
    weir_buf_reset(&e->text);
    switch (admin_entry_merge(before, weir_buf_view(&e->patch), &e->text)) {
    case WEIR_OK:
        break;
    case WEIR_ERR_INVALID:
        admin_edit_refuse(e, 400, "invalid_body", "The body must be a JSON object.");
        return false;
    default:
        admin_edit_refuse(e, 400, "invalid_entry", admin_entry_too_long);
        return false;
    }
    e->change.entry.text = weir_buf_view(&e->text);
    if (weir_str_eq(e->change.entry.text, WEIR_STR("{}")) && is_in_file(e)) {
        e->change.entry.text = weir_str(NULL, 0); /* it says nothing: the file's holds */
    }
    return true;
}

static bool compose_delete(struct admin_edit *e, const struct weir_entry *was)
{
    e->change.entry.text = weir_str(NULL, 0);
    if (was != NULL) {
        return true;
    }
    if (is_in_file(e)) {
        admin_edit_refuse(
            e, 409, "in_file",
            "Only the configuration file has it. What it says can be changed or disabled here, "
            "and be deleted there.");
    } else {
        admin_edit_refuse_unknown(e);
    }
    return false;
}

/* What is granted, for each of the subject's limits that it is about. False: there is none. */
static bool grants_of(const struct admin_edit *e, const struct weir_plan *plan, uint64_t now_ms,
                      struct weir_buf *to)
{
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            uint64_t amount = e->grant.of[w->meter[i]];
            if (amount > 0 && (e->window_s == 0 || e->window_s == w->window_s)) {
                weir_buf_printf(to,
                                "%s{\"meter\":\"%s\",\"window_s\":%u,\"amount\":%" PRIu64
                                ",\"until_ms\":%" PRIu64 "}",
                                to->len > 0 ? "," : "", weir_meter_name(w->meter[i]), w->window_s,
                                amount, now_ms + UINT64_C(1000) * w->window_s);
            }
        }
    }
    return to->len > 0;
}

static bool compose_grant(struct admin_edit *e, const struct weir_entry *was)
{
    struct weir_admin *a = e->ask->admin;
    uint64_t now_ms = weir_clock_wall_us() / 1000;
    const struct weir_subject *subject = weir_config_subject(admin_config(a), e->name);
    weir_buf_reset(&a->text);
    if (!admin_thing_exists(admin_config(a), e->kind, admin_edit_id(e))) {
        admin_edit_refuse(e, 409, "conflict",
                          "It is not in force on this node: try again, or see "
                          "in the log why it cannot be used.");
        return false;
    }
    if (subject == NULL || !grants_of(e, subject->plan, now_ms, &a->text)) {
        admin_edit_refuse(e, 400, "invalid_field",
                          "It has no limit of that meter and length of time of its own.");
        return false;
    }
    weir_buf_reset(&e->patch);
    WEIR_BUF_LIT(&e->patch, "{\"grants\":");
    enum weir_err err = admin_entry_grant(was == NULL ? weir_str(NULL, 0) : was->text,
                                          weir_buf_view(&a->text), now_ms, &e->patch);
    weir_buf_char(&e->patch, '}');
    if (err != WEIR_OK) {
        admin_edit_refuse(e, 400, "invalid_entry", admin_entry_too_long);
        return false;
    }
    return compose(e, was);
}

/* e->change.entry is what is asked for. False: refused. */
static bool make_entry(struct admin_edit *e)
{
    struct weir_admin *a = e->ask->admin;
    const struct weir_entry *was = weir_entries_find(weir_registry_entries(a->registry), e->name);
    bool exists = was != NULL || is_in_file(e);
    e->change.entry.name = e->name;
    if (e->deed == CREATE && exists) {
        admin_edit_refuse(e, 409, "exists", "There is a key of this id already.");
        return false;
    }
    if (!exists && e->deed != CREATE && (e->kind == ADMIN_KEY || e->deed == GRANT)) {
        admin_edit_refuse_unknown(e);
        return false;
    }
    switch (e->deed) {
    case DELETE:
        return compose_delete(e, was);
    case GRANT:
        return compose_grant(e, was);
    default:
        return compose(e, was);
    }
}

/* ---- whether it fits ---- */

/* All entries with this one, laid over the file: it must be usable, and leave the others so. False:
 * refused. */
static bool fits(struct admin_edit *e)
{
    struct weir_admin *a = e->ask->admin;
    struct weir_entries *with;
    struct weir_config *laid;
    struct weir_overlay_report report = {.of = e->name};
    char why[512];
    enum weir_err err =
        weir_entries_with(weir_registry_entries(a->registry), &e->change.entry, 1, &with);
    if (err == WEIR_OK) {
        err = weir_config_overlay(a->base, with, weir_clock_wall_us() / 1000, &laid, &report);
        weir_entries_let_go(with);
    }
    if (err != WEIR_OK) {
        admin_edit_refuse(e, err == WEIR_ERR_LIMIT ? 400 : 503,
                          err == WEIR_ERR_LIMIT ? "invalid_entry" : "registry_unavailable",
                          report.why[0] != '\0' ? report.why
                                                : "Out of memory, or more than there may be.");
        return false;
    }
    weir_config_free(laid);
    if (report.of_unusable || report.unusable > a->unusable) {
        snprintf(why, sizeof(why), report.of_unusable ? "%s: %s" : "%s could not be used then: %s",
                 report.name, report.why);
        admin_edit_refuse(e, 400, "invalid_entry", why);
        return false;
    }
    return true;
}

bool admin_edit_make(struct admin_edit *e)
{
    return make_entry(e) && fits(e);
}
