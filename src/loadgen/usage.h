/* SPDX-License-Identifier: Apache-2.0 */
/* usage.h - the `usage` of an answer, read from its body as the pieces come: a completion's JSON,
 * or a stream of events of which one has it. Pure; one owner. */
#ifndef WEIR_LOADGEN_USAGE_H
#define WEIR_LOADGEN_USAGE_H

#include "base/json.h"

enum {
    WEIR_LOAD_BODY_MAX = 4 << 20, /* of a completion, or of one event; a larger one has no usage */
    WEIR_LOAD_BODY_KEEP = 16384,  /* bytes kept for the next answer */
};

struct weir_load_usage {
    bool found;
    uint64_t input_tokens, output_tokens;
    struct weir_buf _text; /* the completion, or an event's line that is not whole yet */
    bool _begun, _events;
};

void weir_load_usage_init(struct weir_load_usage *u);
void weir_load_usage_deinit(struct weir_load_usage *u);
/* Another answer begins. */
void weir_load_usage_begin(struct weir_load_usage *u);
/* More of its body; `json` is what reads it, used by many. */
void weir_load_usage_add(struct weir_load_usage *u, struct weir_json *json, struct weir_str piece);
/* The body is whole: `found` and the amounts hold now. */
void weir_load_usage_end(struct weir_load_usage *u, struct weir_json *json);

#endif
