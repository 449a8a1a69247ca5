/* SPDX-License-Identifier: Apache-2.0 */
/* zipf.h - ranks by Zipf's law: the k-th most popular of n comes up in proportion to k^-s. Takes no
 * memory, whatever n is (rejection-inversion, Hoermann and Derflinger 1996). */
#ifndef WEIR_BASE_ZIPF_H
#define WEIR_BASE_ZIPF_H

#include "base/rand.h"

struct weir_zipf {
    uint64_t _n;
    double _s, _high, _low, _sure;
};

/* n from 1 to 2^50; s from 0, where all are equally popular, to 10. */
void weir_zipf_init(struct weir_zipf *z, uint64_t n, double s);
/* From 0, the most popular, to n - 1. */
uint64_t weir_zipf_draw(const struct weir_zipf *z, struct weir_rand *r);

#endif
