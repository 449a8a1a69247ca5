/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/answer.h"

#include <stdio.h>

#include "limit/window.h"
#include "store/redis/clock_rule.h"

enum { CODE, TIME, CLOCK, REST };                      /* the elements of a decision */
enum { MASK = REST, AHEAD, GRANTED_REST = AHEAD + 3 }; /* and of one with requests and a lease */
enum { WORDS_MAX = 120 };
enum { NOT_CHARGED = 0, CHARGED = 1, SETTLED = 1, SETTLED_BEFORE = 2 };

/* A sum, a step or a time: all end at 2^52. */
static bool is_number(const redisReply *r)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer >= 0 &&
           (uint64_t)r->integer <= WEIR_SUM_MAX;
}

_Static_assert(WEIR_SUM_MAX <= WEIR_CLOCK_US_MAX, "a number can be learnt as a clock's reading");

static bool has_head(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements >= REST &&
           is_number(reply->element[CODE]) && is_number(reply->element[TIME]) &&
           is_number(reply->element[CLOCK]);
}

/* The states of one window after a charge, from its sums and the step of its newest amount. */
static void add_states(const struct weir_window_spec *w, redisReply *const *number, uint64_t now_us,
                       unsigned subject, struct weir_decision *d)
{
    uint64_t step = (uint64_t)number[w->meters]->integer;
    uint64_t empty_us = (step + 1) * w->step_us + w->keep_us;
    uint64_t empty_in_us = empty_us > now_us ? empty_us - now_us : 0;
    for (unsigned i = 0; i < w->meters; i++) {
        weir_decision_add(d, subject, w, i, (uint64_t)number[i]->integer, empty_in_us);
    }
}

/* Sums and steps, from element `at` on. */
static bool read_charged(const redisReply *reply, size_t at,
                         const struct weir_subject *const *subject, unsigned subjects,
                         struct weir_decision *d)
{
    for (unsigned i = 0; i < subjects; i++) {
        const struct weir_plan *plan = subject[i]->plan;
        for (unsigned k = 0; k < plan->windows; k++) {
            size_t numbers = plan->window[k].meters + 1U;
            if (reply->elements - at < numbers) {
                return false;
            }
            for (size_t n = 0; n < numbers; n++) {
                if (!is_number(reply->element[at + n])) {
                    return false;
                }
            }
            add_states(&plan->window[k], &reply->element[at], d->at_us, i, d);
            at += numbers;
        }
    }
    return at == reply->elements;
}

/* A subject's value, copied: the functions that read it want slack behind it, and edit it. */
struct copied_value {
    struct weir_value v;
    uint8_t bytes[WEIR_VALUE_MAX + WEIR_VALUE_SLACK];
};

static bool copy_value(const redisReply *value, struct copied_value *ret_copy)
{
    if (value->type != REDIS_REPLY_STRING || (size_t)value->len > WEIR_VALUE_MAX) {
        return false;
    }
    size_t len = (size_t)value->len;
    memcpy(ret_copy->bytes, value->str, len);
    memset(ret_copy->bytes + len, 0, WEIR_VALUE_SLACK);
    ret_copy->v = (struct weir_value){
        .data = ret_copy->bytes, .len = (uint32_t)len, .room = sizeof(ret_copy->bytes)};
    return weir_value_valid(ret_copy->bytes, len);
}

bool weir_redis_answer_is_value(const redisReply *reply)
{
    struct copied_value copy;
    return copy_value(reply, &copy);
}

/* Brings a subject's value to the present and asks it what the script has asked. */
static bool ask_value(struct weir_value *v, const struct weir_plan *plan, unsigned subject,
                      const struct weir_amounts *a, struct weir_decision *d)
{
    struct weir_verdict verdict;
    if (weir_value_prepare(v, plan, d->at_us) != 0) {
        return false;
    }
    if (!weir_value_fits(v, plan, d->at_us, a, &verdict)) {
        weir_decision_deny(d, subject, &verdict);
    }
    weir_value_states(v, plan, d->at_us, subject, d);
    return true;
}

static bool read_not_charged(const redisReply *reply, const struct weir_subject *const *subject,
                             unsigned subjects, const struct weir_amounts *a,
                             struct weir_decision *d)
{
    struct copied_value copy;
    if (reply->elements != REST + subjects) {
        return false;
    }
    /* all go by the latest step that one of them has seen; a look was not told it */
    for (unsigned i = 0; i < subjects; i++) {
        if (!copy_value(reply->element[REST + i], &copy)) {
            return false;
        }
        d->at_us = weir_value_now_us(&copy.v, subject[i]->plan, d->at_us);
    }
    for (unsigned i = 0; i < subjects; i++) {
        if ((subjects > 1 && !copy_value(reply->element[REST + i], &copy)) ||
            !ask_value(&copy.v, subject[i]->plan, i, a, d)) {
            return false;
        }
    }
    return true;
}

bool weir_redis_answer_decision(const redisReply *reply, const struct weir_subject *const *subject,
                                unsigned subjects, const struct weir_amounts *a,
                                struct weir_decision *d, uint64_t *ret_clock_us)
{
    if (!has_head(reply)) {
        return false;
    }
    *ret_clock_us = (uint64_t)reply->element[CLOCK]->integer;
    weir_decision_begin(d, (uint64_t)reply->element[TIME]->integer);
    switch (reply->element[CODE]->integer) {
    case CHARGED:
        return read_charged(reply, REST, subject, subjects, d);
    case NOT_CHARGED:
        return read_not_charged(reply, subject, subjects, a, d) &&
               d->allowed == weir_amounts_none(a); /* a look is allowed, and only that */
    default:
        return false;
    }
}

bool weir_redis_answer_look(const redisReply *reply, const struct weir_subject *const *subject,
                            unsigned subjects, const struct weir_amounts *a,
                            struct weir_decision *d, uint64_t *ret_clock_us)
{
    if (!has_head(reply) || reply->element[CODE]->integer != NOT_CHARGED) {
        return false;
    }
    *ret_clock_us = (uint64_t)reply->element[CLOCK]->integer;
    weir_decision_begin(d, (uint64_t)reply->element[TIME]->integer);
    return read_not_charged(reply, subject, subjects, a, d);
}

bool weir_redis_answer_probe(const redisReply *reply, const struct weir_subject *const *subject,
                             unsigned subjects, const struct weir_amounts *a,
                             struct weir_decision *d, uint64_t *ret_clock_us)
{
    struct copied_value copy;
    if (!weir_redis_answer_look(reply, subject, subjects, a, d, ret_clock_us)) {
        return false;
    }
    if (!d->allowed || weir_amounts_none(a)) {
        return true;
    }
    d->states = 0;
    for (unsigned i = 0; i < subjects; i++) {
        const struct weir_plan *plan = subject[i]->plan;
        if (!copy_value(reply->element[REST + i], &copy) ||
            weir_value_prepare(&copy.v, plan, d->at_us) != 0) {
            return false;
        }
        weir_value_states_with(&copy.v, plan, d->at_us, a, i, d);
    }
    return true;
}

/* Which of so many requests were granted: every one if `all`, and only then. */
static bool is_mask(const redisReply *r, unsigned asks, bool all)
{
    bool good = r->type == REDIS_REPLY_STRING && (size_t)r->len == asks, each = true;
    for (unsigned i = 0; good && i < asks; i++) {
        good = r->str[i] == '0' || r->str[i] == '1';
        each = each && r->str[i] == '1';
    }
    return good && each == all;
}

/* The values of all subjects, from GRANTED_REST on. */
static bool are_values(const redisReply *reply, unsigned subjects)
{
    bool good = reply->elements == GRANTED_REST + subjects;
    for (unsigned i = 0; good && i < subjects; i++) {
        good = weir_redis_answer_is_value(reply->element[GRANTED_REST + i]);
    }
    return good;
}

/* The three amounts that were taken ahead, which only happens beside nothing that was denied. */
static bool read_ahead(redisReply *const *number, bool all, struct weir_amounts *ret_ahead)
{
    uint64_t of[3] = {0};
    for (unsigned i = 0; i < 3; i++) {
        if (!is_number(number[i]) || (uint64_t)number[i]->integer > WEIR_AMOUNT_MAX / 2) {
            return false;
        }
        of[i] = (uint64_t)number[i]->integer;
    }
    *ret_ahead = weir_amounts(of[0], of[1], of[2]);
    return all || weir_amounts_none(ret_ahead);
}

bool weir_redis_answer_granted(const redisReply *reply, const struct weir_subject *const *subject,
                               unsigned subjects, unsigned asks,
                               struct weir_redis_granted *ret_granted)
{
    struct weir_redis_granted *g = ret_granted;
    if (!has_head(reply)) {
        return false;
    }
    int64_t code = reply->element[CODE]->integer;
    *g = (struct weir_redis_granted){.all = code == CHARGED,
                                     .at_us = (uint64_t)reply->element[TIME]->integer,
                                     .clock_us = (uint64_t)reply->element[CLOCK]->integer};
    if (asks == 0) {
        return g->all && reply->elements == REST;
    }
    if (code > CHARGED || reply->elements < GRANTED_REST ||
        !is_mask(reply->element[MASK], asks, g->all) ||
        !read_ahead(&reply->element[AHEAD], g->all, &g->ahead)) {
        return false;
    }
    g->mask = reply->element[MASK]->str;
    g->value = (const redisReply *const *)reply->element + GRANTED_REST;
    weir_decision_begin(&g->states, g->at_us);
    return g->all ? read_charged(reply, GRANTED_REST, subject, subjects, &g->states)
                  : are_values(reply, subjects);
}

enum weir_redis_settled weir_redis_answer_settled(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 ||
        !is_number(reply->element[CODE])) {
        return WEIR_REDIS_NOT_SETTLED;
    }
    switch (reply->element[CODE]->integer) {
    case SETTLED:
        return WEIR_REDIS_SETTLED;
    case SETTLED_BEFORE:
        return WEIR_REDIS_SETTLED_BEFORE;
    default:
        return WEIR_REDIS_NOT_SETTLED;
    }
}

/* Redis before 7 puts what a command within a script got behind words of its own. */
static bool error_is(struct weir_str error, struct weir_str word)
{
    char within[32];
    int len = snprintf(within, sizeof(within), "-%.*s ", (int)word.len, word.p);
    return weir_str_starts(error, word) || memmem(error.p, error.len, within, (size_t)len) != NULL;
}

static bool error_is_one_of(const redisReply *reply, const char *const *words, size_t count)
{
    if (reply->type != REDIS_REPLY_ERROR) {
        return false;
    }
    struct weir_str error = weir_str(reply->str, (size_t)reply->len);
    bool is = false;
    for (size_t i = 0; i < count; i++) {
        is = is || error_is(error, weir_str_z(words[i]));
    }
    return is;
}

bool weir_redis_answer_breaks(const redisReply *reply)
{
    static const char *const words[] = {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN",
                                        "MOVED",    "NOAUTH",  "BUSY"};
    return error_is_one_of(reply, words, sizeof(words) / sizeof(words[0]));
}

bool weir_redis_answer_refuses_writes(const redisReply *reply)
{
    static const char *const words[] = {"OOM", "MISCONF", "NOREPLICAS"};
    return error_is_one_of(reply, words, sizeof(words) / sizeof(words[0]));
}

bool weir_redis_answer_is_wrong_type(const redisReply *reply)
{
    static const char *const words[] = {"WRONGTYPE"};
    return error_is_one_of(reply, words, 1);
}

struct weir_str weir_redis_error_words(const redisReply *reply)
{
    size_t len = 0;
    while (len < (size_t)reply->len && len < WORDS_MAX && reply->str[len] >= ' ' &&
           reply->str[len] <= '~') {
        len++;
    }
    return weir_str(reply->str, len);
}
