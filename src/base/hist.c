/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hist.h"

#define LOAD(x)     atomic_load_explicit(&(x), memory_order_relaxed)
#define STORE(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)

static unsigned bucket_of(uint64_t value)
{
    if (value < WEIR_HIST_SUB) {
        return (unsigned)value;
    }
    unsigned power = 63U - (unsigned)__builtin_clzll(value); /* >= 5 */
    unsigned sub = (unsigned)(value >> (power - 5)) & (WEIR_HIST_SUB - 1);
    unsigned index = (power - 4) * WEIR_HIST_SUB + sub;
    return index < WEIR_HIST_BUCKETS ? index : WEIR_HIST_BUCKETS - 1;
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_end(unsigned index)
{
    if (index < WEIR_HIST_SUB) {
        return index;
    }
    unsigned power = index / WEIR_HIST_SUB + 4;
    uint64_t sub = index % WEIR_HIST_SUB;
    return ((WEIR_HIST_SUB + sub + 1) << (power - 5)) - 1;
}

void weir_hist_add(struct weir_hist *h, uint64_t value_ns)
{
    unsigned i = bucket_of(value_ns);
    STORE(h->bucket[i], LOAD(h->bucket[i]) + 1);
    STORE(h->count, LOAD(h->count) + 1);
    STORE(h->sum_ns, LOAD(h->sum_ns) + value_ns);
    if (value_ns > LOAD(h->max_ns)) {
        STORE(h->max_ns, value_ns);
    }
}

uint64_t weir_hist_quantile_ns(const struct weir_hist *h, double q)
{
    uint64_t total = LOAD(h->count);
    uint64_t max = LOAD(h->max_ns);
    if (total == 0) {
        return 0;
    }
    double rank = q * (double)total;
    uint64_t seen = 0;
    for (unsigned i = 0; i < WEIR_HIST_BUCKETS; i++) {
        seen += LOAD(h->bucket[i]);
        if (seen > 0 && (double)seen >= rank) {
            uint64_t end = bucket_end(i);
            return end < max ? end : max;
        }
    }
    return max;
}

void weir_hist_merge(struct weir_hist *into, const struct weir_hist *from)
{
    uint64_t count = 0, max_ns = LOAD(from->max_ns);
    for (unsigned i = 0; i < WEIR_HIST_BUCKETS; i++) {
        uint64_t n = LOAD(from->bucket[i]);
        STORE(into->bucket[i], LOAD(into->bucket[i]) + n);
        count += n;
    }
    STORE(into->count, LOAD(into->count) + count); /* as the buckets have it */
    STORE(into->sum_ns, LOAD(into->sum_ns) + LOAD(from->sum_ns));
    if (max_ns > LOAD(into->max_ns)) {
        STORE(into->max_ns, max_ns);
    }
}

double weir_hist_mean_ns(const struct weir_hist *h)
{
    uint64_t total = LOAD(h->count);
    return total == 0 ? 0.0 : (double)LOAD(h->sum_ns) / (double)total;
}

uint64_t weir_hist_count_upto(const struct weir_hist *h, uint64_t bound_ns)
{
    uint64_t seen = 0;
    /* the last bucket has no end */
    for (unsigned i = 0; i < WEIR_HIST_BUCKETS - 1 && bucket_end(i) <= bound_ns; i++) {
        seen += LOAD(h->bucket[i]);
    }
    return seen;
}
