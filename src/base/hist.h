/* SPDX-License-Identifier: Apache-2.0 */
/* hist.h - a latency histogram: 32 linear buckets per power of two of nanoseconds, so that any
 * quantile is within 3.2 %. Fixed memory. One writer; other threads may read (relaxed atomics), and
 * see each count whole but not all of one moment. */
#ifndef WEIR_BASE_HIST_H
#define WEIR_BASE_HIST_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    WEIR_HIST_SUB = 32,
    WEIR_HIST_POWERS = 36,
    WEIR_HIST_BUCKETS = WEIR_HIST_SUB * WEIR_HIST_POWERS
};

struct weir_hist {
    _Atomic uint64_t count;
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t max_ns;
    _Atomic uint64_t bucket[WEIR_HIST_BUCKETS];
};

/* Zeroed memory is an empty histogram. Values above 2^40 ns (18 min) count in the last bucket. */
void weir_hist_add(struct weir_hist *h, uint64_t value_ns);
/* The value below which `q` (0..1) of all values lie, as the upper end of its bucket, never above
 * the largest value seen; 0 for an empty histogram. */
uint64_t weir_hist_quantile_ns(const struct weir_hist *h, double q);
/* Adds what `from` has, which others may be writing, to `into`, which nobody else uses. */
void weir_hist_merge(struct weir_hist *into, const struct weir_hist *from);
double weir_hist_mean_ns(const struct weir_hist *h);
/* How many values are surely at most bound_ns: whole buckets only. For Prometheus `le`. */
uint64_t weir_hist_count_upto(const struct weir_hist *h, uint64_t bound_ns);

#endif
