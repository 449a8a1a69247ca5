/* SPDX-License-Identifier: Apache-2.0 */
/* bench_top.c - what a decision pays for knowing who is busy: one hot key; a hot key with its team,
 * org and model; and keys at random, nearly each of which takes a place over. Prints JSON.
 *
 *   bench_top [DECISIONS]     default: 20000000 a run */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench_common.h"
#include "service/top.h"

enum { RUNS = 7, KEYS = 1000000, MINUTE = 29400000 };

/* Nanoseconds per decision. */
static double run(struct weir_top *t, uint64_t keys, unsigned subjects, uint64_t decisions)
{
    struct weir_subject own, shared[WEIR_SUBJECTS_MAX];
    struct weir_call call = {.subject = {&own},
                             .subjects = (uint8_t)subjects,
                             .amounts = weir_amounts(1, 30, 16),
                             .decision = {.allowed = true}};
    struct weir_rand dice;
    weir_rand_init(&dice, 1);
    own = bench_subject(0, NULL);
    for (unsigned i = 1; i < subjects; i++) {
        shared[i] = bench_subject(KEYS + i, NULL);
        call.subject[i] = &shared[i];
    }
    uint64_t start_ns = weir_clock_ns();
    for (uint64_t i = 0; i < decisions; i++) {
        if (keys > 1) {
            own = bench_subject(weir_rand_below(&dice, keys), NULL);
        }
        weir_top_decided(t, &call, MINUTE);
    }
    return (double)(weir_clock_ns() - start_ns) / (double)decisions;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(struct weir_top *t, const char *name, uint64_t keys, unsigned subjects,
                   uint64_t decisions)
{
    double ns[RUNS];
    for (int i = 0; i < RUNS; i++) {
        ns[i] = run(t, keys, subjects, decisions);
    }
    qsort(ns, RUNS, sizeof(ns[0]), by_value);
    printf("\"%s\": {\"keys\": %" PRIu64 ", \"subjects\": %u, \"ns\": %.1f, \"best_ns\": %.1f}",
           name, keys, subjects, ns[RUNS / 2], ns[0]);
}

int main(int argc, char **argv)
{
    uint64_t decisions = 20000000;
    struct weir_top *t;
    if ((argc > 1 && weir_str_u64(weir_str_z(argv[1]), UINT32_MAX, &decisions) != WEIR_OK) ||
        argc > 2 || decisions == 0) {
        fprintf(stderr, "usage: bench_top [DECISIONS]\n");
        return 2;
    }
    if (weir_top_new(&t) != WEIR_OK) {
        fprintf(stderr, "bench_top: no memory\n");
        return 1;
    }
    printf("{");
    report(t, "hot", 1, 1, decisions);
    printf(", ");
    report(t, "hot_of_four", 1, 4, decisions);
    printf(", ");
    report(t, "random", KEYS, 1, decisions / 4);
    printf("}\n");
    weir_top_free(t);
    return 0;
}
