/* SPDX-License-Identifier: Apache-2.0 */
/* registry_owner.h - who has a registry on a loop, and asks it for changes. Include after cmocka.h.
 */
#ifndef WEIR_TESTS_SUPPORT_REGISTRY_OWNER_H
#define WEIR_TESTS_SUPPORT_REGISTRY_OWNER_H

#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "registry/registry.h"

enum { REGISTRY_WAIT_US = 30000000 };

struct registry_owner {
    struct weir_loop loop;
    uv_timer_t wake; /* so that waiting ends */
    struct weir_config *config;
    struct weir_registry *registry;
    struct weir_entries *told; /* the last ones */
    unsigned tells;
    bool up;
};

static inline void registry_owner_entries(void *ctx, struct weir_entries *entries)
{
    struct registry_owner *o = ctx;
    weir_entries_let_go(o->told);
    o->told = weir_entries_keep(entries);
    o->tells++;
}

static inline void registry_owner_reach(void *ctx, bool up)
{
    ((struct registry_owner *)ctx)->up = up;
}

static inline void registry_owner_wake(uv_timer_t *timer)
{
    (void)timer;
}

static inline void registry_owner_config(struct registry_owner *o, const char *yaml)
{
    struct weir_config_error error;
    *o = (struct registry_owner){.up = true};
    if (weir_config_parse(weir_str_z(yaml), NULL, &o->config, &error) != WEIR_OK) {
        fail_msg("%u:%u %s", error.line, error.column, error.text);
    }
}

static inline void registry_owner_begin(struct registry_owner *o)
{
    const struct weir_registry_owner owner = {
        .ctx = o, .on_entries = registry_owner_entries, .on_reach = registry_owner_reach};
    signal(SIGPIPE, SIG_IGN); /* as weir does: servers go */
    assert_int_equal(weir_loop_init(&o->loop), WEIR_OK);
    uv_timer_init(&o->loop.uv, &o->wake);
    uv_timer_start(&o->wake, registry_owner_wake, 5, 5);
    assert_int_equal(weir_registry_open(o->config, &o->loop, o->told, &owner, &o->registry),
                     WEIR_OK);
}

/* With an empty list to begin with. */
static inline void registry_owner_open_empty(struct registry_owner *o, const char *yaml)
{
    registry_owner_config(o, yaml);
    o->told = weir_entries_new();
    assert_non_null(o->told);
    registry_owner_begin(o);
}

/* With what weir_registry_first reads. */
static inline void registry_owner_open(struct registry_owner *o, const char *yaml)
{
    char why[512];
    registry_owner_config(o, yaml);
    if (weir_registry_first(o->config, &o->told, why, sizeof(why)) != WEIR_OK) {
        fail_msg("%s", why);
    }
    registry_owner_begin(o);
}
static inline void registry_owner_close(struct registry_owner *o)
{
    weir_registry_close(o->registry);
    uv_close((uv_handle_t *)&o->wake, NULL);
    weir_loop_deinit(&o->loop);
    weir_entries_let_go(o->told);
    weir_config_free(o->config);
}

#define REGISTRY_UNTIL(o, condition)                                                               \
    do {                                                                                           \
        uint64_t until_us = weir_clock_us() + REGISTRY_WAIT_US;                                    \
        while (!(condition)) {                                                                     \
            if (weir_clock_us() > until_us) {                                                      \
                fail_msg("never: %s", #condition);                                                 \
            }                                                                                      \
            uv_run(&(o)->loop.uv, UV_RUN_ONCE);                                                    \
        }                                                                                          \
    } while (0)

/* ---- changes ---- */

struct registry_wish {
    struct weir_registry_change change;
    struct registry_owner *owner;
    const char *name, *text; /* NULL: deleted */
    unsigned makes;
    bool over;
};

static inline bool registry_wish_make(struct weir_registry_change *change)
{
    struct registry_wish *w = change->ctx;
    w->makes++;
    change->entry.name = weir_str_z(w->name);
    change->entry.text = w->text == NULL ? weir_str(NULL, 0) : weir_str_z(w->text);
    return true;
}

static inline void registry_wish_done(struct weir_registry_change *change)
{
    ((struct registry_wish *)change->ctx)->over = true;
}

static inline void registry_ask(struct registry_owner *o, struct registry_wish *w, const char *name,
                                const char *text)
{
    *w = (struct registry_wish){.owner = o, .name = name, .text = text};
    w->change = (struct weir_registry_change){
        .make = registry_wish_make, .done = registry_wish_done, .ctx = w};
    weir_registry_change(o->registry, &w->change);
}

static inline void registry_await(struct registry_owner *o, struct registry_wish *w)
{
    REGISTRY_UNTIL(o, w->over);
}

static inline void registry_put(struct registry_owner *o, const char *name, const char *text)
{
    struct registry_wish w;
    registry_ask(o, &w, name, text);
    registry_await(o, &w);
    if (w.change.result != WEIR_REGISTRY_DONE) {
        fail_msg("%s", w.change.why);
    }
}

/* As soon as Redis is in reach. */
static inline void registry_put_soon(struct registry_owner *o, const char *name, const char *text)
{
    struct registry_wish w = {.change.result = WEIR_REGISTRY_UNAVAILABLE};
    uint64_t until_us = weir_clock_us() + REGISTRY_WAIT_US;
    while (w.change.result != WEIR_REGISTRY_DONE) {
        if (weir_clock_us() > until_us) {
            fail_msg("never: %s", w.change.why);
        }
        uv_run(&o->loop.uv, UV_RUN_ONCE);
        registry_ask(o, &w, name, text);
        registry_await(o, &w);
    }
}

/* Why that is refused; it lives until the next one. */
static inline const char *registry_refusal(struct registry_owner *o, const char *name,
                                           const char *text)
{
    static char why[256];
    struct registry_wish w;
    registry_ask(o, &w, name, text);
    registry_await(o, &w);
    assert_int_equal(w.change.result, WEIR_REGISTRY_UNAVAILABLE);
    snprintf(why, sizeof(why), "%s", w.change.why);
    return why;
}

static inline bool registry_has(const struct registry_owner *o, const char *name, const char *text)
{
    const struct weir_entry *e = weir_entries_find(o->told, weir_str_z(name));
    return text == NULL ? e == NULL : e != NULL && weir_str_eq(e->text, weir_str_z(text));
}

#endif
