/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - the admin API, as its parts share it. Private to admin.
 *   admin.c      its life
 *   route.c      from a request to its handler
 *   access.c     who may ask
 *   answer.c     what every answer has
 *   overview.c   GET overview: the node, its counters
 *   directory.c  GET keys, plans */
#ifndef WEIR_ADMIN_INTERNAL_H
#define WEIR_ADMIN_INTERNAL_H

#include "admin/admin.h"

enum { ADMIN_NAME_MAX = WEIR_SUBJECT_NAME_MAX };

struct weir_admin {
    struct weir_config *_config; /* admin_config; kept */
    const struct weir_service_group *group;
    struct weir_loop *loop;
    struct weir_store *store; /* NULL: closed */
    struct weir_http_server *http;
    struct weir_buf head, body; /* of the answer that is being made */
    struct weir_hist decision;  /* of all workers, while it is read */
    uint64_t started_us;
};

/* The configuration that holds now: ask each time. */
static inline const struct weir_config *admin_config(const struct weir_admin *a)
{
    return a->_config;
}

/* One request on its way to its handler. */
struct admin_request {
    struct weir_admin *admin;
    struct weir_http_exchange *x;
    const struct weir_http_request *http;
    struct weir_str name; /* of the path, decoded; empty: it has none */
};

typedef void admin_handler_fn(struct admin_request *r);

admin_handler_fn admin_overview;                     /* overview.c */
admin_handler_fn admin_keys, admin_key, admin_plans; /* directory.c */
admin_handler_fn admin_unknown_key;                  /* 404 */

/* route.c */
void admin_on_request(void *ctx, struct weir_http_exchange *x,
                      const struct weir_http_request *http);
/* "%41" is "A". False: no room, or a percent sign that two hexadecimal digits do not follow. */
bool admin_decode(struct weir_str text, char *to, size_t room, struct weir_str *ret_text);

/* access.c: false: it was refused. */
bool admin_allows(struct admin_request *r);

/* answer.c: 200 with a->body as JSON. Where there was no memory for it: 503. */
void admin_answer(struct weir_admin *a, struct weir_http_exchange *x);
void admin_error_body(struct weir_buf *b, struct weir_str message, struct weir_str code);
/* headers: empty or complete lines. */
void admin_refuse(struct weir_admin *a, struct weir_http_exchange *x, int status, const char *code,
                  const char *headers, const char *fmt, ...) WEIR_PRINTF(6, 7);

#endif
