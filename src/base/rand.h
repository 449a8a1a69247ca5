/* SPDX-License-Identifier: Apache-2.0 */
/* rand.h - xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64: for the mock model, the
 * load generator, jitter and tests. Not for secrets: those come from getrandom(2). */
#ifndef WEIR_BASE_RAND_H
#define WEIR_BASE_RAND_H

#include <stdint.h>

struct weir_rand {
    uint64_t _s[4];
};

void weir_rand_init(struct weir_rand *r, uint64_t seed);
uint64_t weir_rand_u64(struct weir_rand *r);
/* Uniform in [0, n); n > 0. */
uint64_t weir_rand_below(struct weir_rand *r, uint64_t n);
/* Uniform in [0, 1). */
double weir_rand_unit(struct weir_rand *r);
/* One step of splitmix64: a good mix of 64 bits. */
uint64_t weir_mix64(uint64_t x);

#endif
