/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - the admin API, as its parts share it. Private to admin.
 *   admin.c      its life
 *   route.c      from a request to its handler
 *   access.c     who may ask
 *   answer.c     what every answer has
 *   ask.c        requests that wait for the store
 *   overview.c   GET overview: the node, its counters, who is busy
 *   events.c     GET events: the overview, once a second
 *   subject.c    GET subjects: usage, history; POST reset
 *   check.c      POST check: would this pass now
 *   directory.c  GET keys, teams, orgs, plans
 *   thing.c      one of these, as answers tell it
 *   reload.c     POST reload
 *   adopt.c      another configuration is in force
 *   edit*.c      POST, PATCH and DELETE of these: changes of the registry (edit.h)
 *   entry.c      what an entry of the registry is made of
 *   ui.c         the dashboard's files, of ui_files.c */
#ifndef WEIR_ADMIN_INTERNAL_H
#define WEIR_ADMIN_INTERNAL_H

#include "admin/admin.h"
#include "service/top.h"

enum {
    ADMIN_NAME_MAX = WEIR_SUBJECT_NAME_MAX,
    ADMIN_STREAMS_MAX = 16,
    ADMIN_ROWS = 20, /* of the busiest, and of the most denied */
};

/* What a slot of an exchange points at: the first member of what waits for it. */
struct admin_pending {
    void (*gone)(struct admin_pending *self);
};

/* A request that is answered later. */
struct admin_ask {
    struct admin_pending pending;
    struct weir_admin *admin;
    struct weir_http_exchange *x; /* NULL: the client went away */
    struct admin_ask *next;       /* of all */
    struct admin_ask *waits;      /* the next one that waits for the overview, or for a reload */
    struct weir_config *config;   /* that its subjects are of; kept */
    struct weir_anonymous anonymous;
    struct weir_call call;
    struct weir_reset reset;
    struct admin_edit *edit; /* what it changes in the registry; NULL: nothing. Goes with it */
};

/* One of the busiest, and what its limits are asked. */
struct admin_row {
    struct weir_anonymous anonymous;
    struct weir_call call;
    bool known; /* it has limits still */
};

/* The overview, while its limits are asked: once, however many wait for it. */
struct admin_gathering {
    struct weir_top_subject subject[ADMIN_ROWS];
    struct admin_row row[ADMIN_ROWS];
    size_t rows;
    unsigned asked;             /* answers that are not there yet; not 0: it is under way */
    struct weir_config *config; /* that the rows' subjects are of, kept; NULL: none is under way */
};

struct admin_stream {
    struct admin_pending pending;
    struct weir_admin *admin;
    struct weir_http_exchange *x; /* NULL: free */
};

struct admin_events {
    struct admin_stream stream[ADMIN_STREAMS_MAX];
    unsigned streams;
    uv_timer_t timer; /* runs while there is a stream */
};

struct weir_admin {
    struct weir_config *_config; /* admin_config; kept */
    const struct weir_service_group *group;
    struct weir_loop *loop;
    struct weir_store *store; /* NULL: closed */
    struct weir_http_server *http;
    struct weir_buf head, body; /* of the answer that is being made */
    struct weir_json json;      /* the body that is being read */
    struct weir_buf text;       /* and what of it had escapes; small texts */
    struct weir_hist decision;  /* of all workers, while it is read */
    struct admin_ask *asks;     /* that wait for the store */
    struct admin_ask *waiting;  /* for the overview */
    struct admin_ask *reloading;
    void (*reload)(void *ctx);
    void *reload_ctx;
    struct weir_registry *registry; /* NULL: there is none, or the node stops */
    struct weir_config *base;       /* what the file says, kept; NULL without a registry */
    size_t unusable;                /* entries of the registry, over that */
    uint64_t told;                  /* how often the registry has said something */
    struct admin_ask *adopting;     /* that wait until what they changed is in force */
    struct admin_gathering gathering;
    struct weir_buf overview; /* the last one */
    struct admin_events events;
    uint64_t started_us;
};

/* The configuration that holds now: ask each time. */
static inline const struct weir_config *admin_config(const struct weir_admin *a)
{
    return a->_config;
}

/* What keys, teams, orgs and plans have in common: their kind, and their name in the registry. */
enum admin_kind { ADMIN_KEY, ADMIN_TEAM, ADMIN_ORG, ADMIN_PLAN, ADMIN_KINDS };

/* One request on its way to its handler. */
struct admin_request {
    struct weir_admin *admin;
    struct weir_http_exchange *x;
    const struct weir_http_request *http;
    struct weir_str name; /* of the path, decoded; empty: it has none */
    enum admin_kind kind; /* that the path is about, if it is one of these */
};

typedef void admin_handler_fn(struct admin_request *r);

admin_handler_fn admin_overview;                          /* overview.c */
admin_handler_fn admin_events;                            /* events.c */
admin_handler_fn admin_usage, admin_history, admin_reset; /* subject.c */
admin_handler_fn admin_check;                             /* check.c */
admin_handler_fn admin_reload;                            /* reload.c */
admin_handler_fn admin_list, admin_show, admin_plans;     /* directory.c */
/* edit_request.c */
admin_handler_fn admin_create_key, admin_rotate_key, admin_change, admin_delete, admin_grant;

/* ---- thing.c ---- */

/* "key:alice" of a kind and an id. False: too long, or nothing. */
bool admin_thing_name(enum admin_kind kind, struct weir_str id, char *room, size_t size,
                      struct weir_str *ret_name);
/* "key", "team" and so on. */
const char *admin_kind_word(enum admin_kind kind);
bool admin_thing_exists(const struct weir_config *config, enum admin_kind kind, struct weir_str id);
/* Its members, without the braces. It exists. */
void admin_thing_members(struct weir_admin *a, enum admin_kind kind, struct weir_str id);
/* 404 */
void admin_unknown_thing(struct weir_admin *a, struct weir_http_exchange *x, enum admin_kind kind);

/* ---- entry.c ---- */

/* Appends the object `before` (p NULL: an empty one) with the members of the object `patch` in
 * place of its own of the same name; what is null there goes. WEIR_ERR_INVALID: one of them is no
 * object. */
WEIR_MUSTCHECK enum weir_err admin_entry_merge(struct weir_str before, struct weir_str patch,
                                               struct weir_buf *to);
/* Whether all members of the object are among `fields`, which ends with NULL. */
bool admin_entry_has_only(const struct weir_json *j, const char *const *fields);
/* Whether the object has two members of one name. */
bool admin_entry_has_twice(const struct weir_json *j);
/* Appends the list of `before` (as above), its member `grants`, without those that have ended, and
 * with `grant` behind it, which is an object. */
WEIR_MUSTCHECK enum weir_err admin_entry_grant(struct weir_str before, struct weir_str grants,
                                               uint64_t now_ms, struct weir_buf *to);

/* ---- edit.c ---- */

void admin_edit_free(struct admin_edit *e);
/* The configuration that knows what the registry had said `told` times is in force; or `why` not.
 */
void admin_edits_adopted(struct weir_admin *a, uint64_t told, const char *why);
/* The node stops: what waits is answered. */
void admin_edits_end(struct weir_admin *a);

/* route.c */
void admin_on_request(void *ctx, struct weir_http_exchange *x,
                      const struct weir_http_request *http);
/* "%41" is "A". False: no room, or a percent sign that two hexadecimal digits do not follow. */
bool admin_decode(struct weir_str text, char *to, size_t room, struct weir_str *ret_text);

/* ui.c: false: it is no file of the dashboard, and not answered. */
bool admin_ui(struct admin_request *r);

/* access.c: false: it was refused. */
bool admin_allows(struct admin_request *r);

/* ask.c */
/* NULL: it was refused, since there is no memory. */
struct admin_ask *admin_ask_new(struct admin_request *r);
/* It has its answer: frees it and gives the exchange, NULL where nobody waits any more. */
struct weir_http_exchange *admin_ask_end(struct admin_ask *k);
/* The same when its call is answered: a->body is sent, or why the store has decided nothing. */
void admin_ask_decided(struct admin_ask *k);
void admin_asks_free(struct weir_admin *a);
/* k->call is about these already; `done` gives its answer and ends it. */
void admin_ask_store(struct admin_ask *k, struct weir_amounts amounts, bool probe,
                     void (*done)(struct weir_call *call));
/* The subject of this name that has a plan, in `room` if it is one of a key that is not configured;
 * NULL: there is none. */
const struct weir_subject *admin_subject(const struct weir_config *config, struct weir_str name,
                                         struct weir_anonymous *room);

/* overview.c: asks for what the next overview says; admin_events_send follows, now or later. */
void admin_overview_gather(struct weir_admin *a);

/* events.c */
void admin_events_init(struct weir_admin *a);
/* The overview is there. */
void admin_events_send(struct weir_admin *a);
void admin_events_close(struct weir_admin *a);

/* reload.c: the file was read again; why: it was refused. */
void admin_reloaded(struct weir_admin *a, const char *why);

/* answer.c: 200 with a->body as JSON. Where there was no memory for it: 503. */
void admin_answer(struct weir_admin *a, struct weir_http_exchange *x);
void admin_error_body(struct weir_buf *b, struct weir_str message, struct weir_str code);
/* `null` for no plan, and for limits of a subject's own without one. */
void admin_plan_name(struct weir_buf *b, const struct weir_plan *plan);
/* `[...]`: what of each limit is used. */
void admin_limits(struct weir_buf *b, const struct weir_call *call);
/* 503: the store is out of reach, or has no place for the subject. */
void admin_refuse_store(struct weir_admin *a, struct weir_http_exchange *x,
                        enum weir_outcome outcome);
/* headers: empty or complete lines. */
void admin_refuse(struct weir_admin *a, struct weir_http_exchange *x, int status, const char *code,
                  const char *headers, const char *fmt, ...) WEIR_PRINTF(6, 7);

#endif
