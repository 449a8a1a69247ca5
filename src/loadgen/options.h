/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - what `weir load` was asked to do. All text is borrowed from argv. */
#ifndef WEIR_LOADGEN_OPTIONS_H
#define WEIR_LOADGEN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/flags.h"
#include "base/str.h"
#include "loadgen/target.h"

enum {
    WEIR_LOAD_TARGETS_MAX = 16,
    WEIR_LOAD_CLIENTS_MAX = 65536,
    WEIR_LOAD_KEYS_MAX = 10000000,
    WEIR_LOAD_KEY_BYTES_MAX = 512,
    WEIR_LOAD_KEY_ID_MAX = 100,
    WEIR_LOAD_ZIPF_MAX = 10,
    WEIR_LOAD_RATE_MAX = 10000000,
    WEIR_LOAD_DURATION_MAX_S = 86400,
    WEIR_LOAD_SPEED_MAX = 1000000,
    WEIR_LOAD_PROMPT_TOKENS_MAX = 1000000,
    WEIR_LOAD_MAX_TOKENS_MAX = 10000000,
};

/* Both ends are included. */
struct weir_load_range {
    uint64_t low, high;
};

/* What a request says of its maximum. */
enum weir_load_asking {
    WEIR_LOAD_ASK_RANGE, /* one of the range; with a trace, always the same for a key */
    WEIR_LOAD_ASK_NONE,  /* nothing */
    WEIR_LOAD_ASK_EXACT, /* what the trace says that the answer has: as if it could be known */
};

struct weir_load_options {
    struct weir_load_target target[WEIR_LOAD_TARGETS_MAX];
    uint32_t targets;
    uint32_t clients;
    double rate; /* requests per second; 0: as fast as it goes */
    double duration_s;
    bool duration_given;
    const char *trace;         /* a file; NULL: none, and the rate says when requests are due */
    double speed;              /* of the trace */
    struct weir_str *key_list; /* NULL: key_prefix and a number from 1 to keys */
    uint32_t keys;
    double zipf; /* how much more popular the first keys are; 0: all alike */
    struct weir_str key_prefix;
    struct weir_str *key_ids; /* what the record calls them; NULL: by number */
    uint32_t ids;
    struct weir_load_range prompt_tokens;
    struct weir_load_range max_tokens;
    enum weir_load_asking asking;
    uint64_t seed;
    struct weir_str model;
    const char *json; /* NULL: not asked for */
    const char *html;
    const char *record;
    bool stream;
    bool help;
};

enum { WEIR_LOAD_ERROR_BYTES = WEIR_FLAG_ERROR_BYTES };

/* False: `error` says which option is wrong and what it expects. Deinit in either case. */
WEIR_MUSTCHECK bool weir_load_options_parse(int argc, char **argv, struct weir_load_options *o,
                                            char error[static WEIR_LOAD_ERROR_BYTES]);
void weir_load_options_deinit(struct weir_load_options *o);
const char *weir_load_options_help(void);
/* Appends what a record calls a key, never the key itself: "key:" and its id, or its number from 1.
 */
void weir_load_subject(const struct weir_load_options *o, uint32_t key, struct weir_buf *out);
/* Appends the name of a key, 0 to keys - 1. */
void weir_load_key(const struct weir_load_options *o, uint32_t key, struct weir_buf *out);

#endif
