/* SPDX-License-Identifier: Apache-2.0 */
#include "loadgen/tally.h"

#include "base/mem.h"

enum { SLOT_NS_MIN = 100000000 };

enum weir_err weir_load_tally_init(struct weir_load_tally *t, const struct weir_load_options *o)
{
    memset(t, 0, sizeof(*t));
    t->options = o;
    uint64_t planned_ns = (uint64_t)(o->duration_s * 1e9);
    uint64_t slot_ns = (planned_ns + WEIR_LOAD_SLOTS - 1) / WEIR_LOAD_SLOTS;
    t->slot_ns = slot_ns > SLOT_NS_MIN ? slot_ns : SLOT_NS_MIN;
    t->key = weir_zalloc_array(o->keys, sizeof(*t->key));
    return t->key == NULL ? WEIR_ERR_NOMEM : WEIR_OK;
}

void weir_load_tally_deinit(struct weir_load_tally *t)
{
    weir_free(t->key);
    t->key = NULL;
}

void weir_load_tally_start(struct weir_load_tally *t, uint64_t now_ns)
{
    t->start_ns = now_ns;
}

static void count(struct weir_load_count *c, enum weir_load_outcome outcome)
{
    c->allowed += outcome == WEIR_LOAD_ALLOWED;
    c->denied += outcome == WEIR_LOAD_DENIED;
    c->errors += outcome == WEIR_LOAD_ERROR;
}

static size_t slot_of(const struct weir_load_tally *t, uint64_t now_ns)
{
    enum { LAST = WEIR_LOAD_SLOTS + WEIR_LOAD_LATE_SLOTS - 1 };
    uint64_t slot = (now_ns - t->start_ns) / t->slot_ns;
    return slot < LAST ? (size_t)slot : LAST;
}

void weir_load_tally_add(struct weir_load_tally *t, const struct weir_load_answer *answer,
                         uint64_t now_ns)
{
    t->last_ns = now_ns;
    count(&t->all, answer->outcome);
    count(&t->key[answer->key], answer->outcome);
    count(&t->slot[slot_of(t, now_ns)], answer->outcome);
    t->offered.input += answer->row.input_tokens;
    t->offered.output += answer->row.output_tokens;
    if (answer->outcome == WEIR_LOAD_ALLOWED) {
        t->admitted.input += answer->row.input_tokens;
        t->admitted.output += answer->row.output_tokens;
    }
    if (answer->outcome == WEIR_LOAD_ERROR) {
        struct weir_load_failure *f = &t->failure[answer->error];
        if (f->count++ == 0) {
            f->target = answer->target;
            f->detail = answer->detail;
            f->reason = answer->reason;
        }
        return;
    }
    if (answer->outcome == WEIR_LOAD_DENIED) {
        t->denied_by[answer->meter]++;
    }
    weir_hist_add(&t->latency, now_ns - answer->due_ns);
}

void weir_load_tally_end(struct weir_load_tally *t, uint64_t now_ns, uint64_t unfinished)
{
    t->end_ns = now_ns;
    t->unfinished = unfinished;
    t->all.errors += unfinished;
}

double weir_load_tally_seconds(const struct weir_load_tally *t)
{
    return (double)(t->end_ns - t->start_ns) / 1e9;
}

double weir_load_tally_rate(const struct weir_load_tally *t)
{
    double seconds = weir_load_tally_seconds(t);
    return seconds > 0 ? (double)weir_load_count_sum(&t->all) / seconds : 0;
}

size_t weir_load_tally_slots(const struct weir_load_tally *t)
{
    return t->end_ns == t->start_ns ? 1 : slot_of(t, t->end_ns - 1) + 1;
}

size_t weir_load_tally_top(const struct weir_load_tally *t, uint32_t *ret_keys, size_t max)
{
    uint32_t keys = t->options->keys;
    size_t found = 0;
    for (uint32_t k = 0; k < keys; k++) {
        if (keys <= max) {
            ret_keys[found++] = k;
            continue;
        }
        uint64_t requests = weir_load_count_sum(&t->key[k]);
        size_t at = found;
        while (at > 0 && weir_load_count_sum(&t->key[ret_keys[at - 1]]) < requests) {
            at--;
        }
        if (at == max) {
            continue;
        }
        found += found < max;
        memmove(&ret_keys[at + 1], &ret_keys[at], (found - at - 1) * sizeof(*ret_keys));
        ret_keys[at] = k;
    }
    return found;
}
