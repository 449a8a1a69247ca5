/* SPDX-License-Identifier: Apache-2.0 */
/* overview.h - what `weir top` shows of an overview of the admin API. Pure; bounded, whatever the
 * node says: what has no room is left out, and long names are cut. */
#ifndef WEIR_VIEW_OVERVIEW_H
#define WEIR_VIEW_OVERVIEW_H

#include "base/json.h"

enum {
    WEIR_VIEW_SUBJECTS = 20,
    WEIR_VIEW_DENIALS = 20,
    WEIR_VIEW_NAME_BYTES = 64, /* with its NUL */
};

struct weir_view_limit {
    char meter[WEIR_VIEW_NAME_BYTES];
    uint64_t window_s, limit, used;
};

struct weir_view_subject {
    char name[WEIR_VIEW_NAME_BYTES], plan[WEIR_VIEW_NAME_BYTES];
    uint64_t allowed, denied, tokens; /* since it is tracked */
    struct weir_view_limit fullest;   /* of its limits; window_s 0: it has none */
};

struct weir_view_denial {
    char subject[WEIR_VIEW_NAME_BYTES];
    struct weir_view_limit limit; /* its name alone */
    uint64_t count;
};

struct weir_view_overview {
    uint64_t time_ms, uptime_s, workers, nodes;
    char version[WEIR_VIEW_NAME_BYTES];
    char store[WEIR_VIEW_NAME_BYTES], mode[WEIR_VIEW_NAME_BYTES], host[WEIR_VIEW_NAME_BYTES];
    bool up, ready;
    uint64_t allowed, denied, unavailable, input_tokens, output_tokens; /* since the start */
    double p50_us, p99_us;
    struct weir_view_subject subject[WEIR_VIEW_SUBJECTS];
    struct weir_view_denial denial[WEIR_VIEW_DENIALS];
    size_t subjects, denials;
};

/* Reads an overview's JSON; what is not there is 0 or empty. json and space are worked with.
 * WEIR_ERR_INVALID: it is no overview; WEIR_ERR_NOMEM, WEIR_ERR_LIMIT as weir_json_parse. */
WEIR_MUSTCHECK enum weir_err weir_view_overview_read(struct weir_str text, struct weir_json *json,
                                                     struct weir_buf *space,
                                                     struct weir_view_overview *ret_overview);

#endif
