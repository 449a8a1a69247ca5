/* SPDX-License-Identifier: Apache-2.0 */
/* tally.h - what a run counts, answer by answer. Pure: the time is an argument, and adding an
 * answer allocates nothing. A request is counted once it has its answer or is given up. */
#ifndef WEIR_LOADGEN_TALLY_H
#define WEIR_LOADGEN_TALLY_H

#include "base/hist.h"
#include "loadgen/client.h"

enum {
    WEIR_LOAD_SLOTS = 600,      /* of the planned time */
    WEIR_LOAD_LATE_SLOTS = 101, /* of the time in which what is under way may still end */
};

struct weir_load_count {
    uint64_t allowed, denied, errors;
};

static inline uint64_t weir_load_count_sum(const struct weir_load_count *c)
{
    return c->allowed + c->denied + c->errors;
}

/* The first failure of a kind stands for all of it. */
struct weir_load_failure {
    uint64_t count;
    uint32_t target;
    int detail;
    const char *reason;
};

/* Tokens as the trace has them. */
struct weir_load_tokens {
    uint64_t input, output;
};

struct weir_load_tally {
    const struct weir_load_options *options;
    struct weir_hist latency; /* of allowed and denied requests, since they were due */
    struct weir_load_count all;
    struct weir_load_count *key; /* options->keys of them */
    uint64_t denied_by[WEIR_LOAD_METERS];
    struct weir_load_failure failure[WEIR_LOAD_ERRORS];
    struct weir_load_tokens offered, admitted; /* with a trace: of all that ended, of the allowed */
    uint64_t unfinished; /* errors too: due, but given up 10 s after the end; of no key */
    uint64_t start_ns;
    uint64_t last_ns; /* the latest answer */
    uint64_t end_ns;  /* 0: still running */
    uint64_t slot_ns;
    struct weir_load_count slot[WEIR_LOAD_SLOTS + WEIR_LOAD_LATE_SLOTS];
    bool interrupted;
};

/* `o` must live longer. Deinit also after an error. */
WEIR_MUSTCHECK enum weir_err weir_load_tally_init(struct weir_load_tally *t,
                                                  const struct weir_load_options *o);
void weir_load_tally_deinit(struct weir_load_tally *t);
void weir_load_tally_start(struct weir_load_tally *t, uint64_t now_ns);
void weir_load_tally_add(struct weir_load_tally *t, const struct weir_load_answer *answer,
                         uint64_t now_ns);
/* The end: `unfinished` requests were due and got no answer. */
void weir_load_tally_end(struct weir_load_tally *t, uint64_t now_ns, uint64_t unfinished);

double weir_load_tally_seconds(const struct weir_load_tally *t);
/* Requests per second. */
double weir_load_tally_rate(const struct weir_load_tally *t);
/* How many slots were begun. */
size_t weir_load_tally_slots(const struct weir_load_tally *t);
/* Chooses up to `max` keys to show: all in their order if they are so few, else those with the most
 * requests, the first of equals first. Returns how many. */
size_t weir_load_tally_top(const struct weir_load_tally *t, uint32_t *ret_keys, size_t max);

#endif
