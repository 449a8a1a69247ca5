/* SPDX-License-Identifier: Apache-2.0 */
/* bench_core.c - decisions in process: one hot key, and keys at random. One thread, three meters
 * over 60 s, each decision a charge that fits. Prints JSON.
 *
 *   bench_core [KEYS [DECISIONS]]     default: 1000000 keys, 20000000 decisions a run */
#include <inttypes.h>

#include "base/clock.h"
#include "bench_common.h"
#include "store/embedded/embedded.h"

enum {
    RUNS = 7,
    CLOCK_EVERY = 64, /* decisions to one reading of the clock, as in one turn of a loop */
};

struct bench {
    struct weir_embedded *table;
    struct weir_plan plan;
    struct weir_rand dice;
};

static void charge(struct bench *b, const struct weir_subject *subject, uint64_t now_us)
{
    const struct weir_amounts amounts = weir_amounts(1, 30, 16);
    struct weir_decision d;
    enum weir_err err = weir_embedded_take(b->table, &subject, 1, &amounts, now_us, &d);
    WEIR_ASSERT(err == WEIR_OK && d.allowed);
}

/* Nanoseconds per decision over `keys` keys. */
static double run(struct bench *b, uint64_t keys, uint64_t decisions)
{
    struct weir_subject subject = bench_subject(0, &b->plan);
    uint64_t start_ns = weir_clock_ns();
    uint64_t now_us = 0;
    for (uint64_t i = 0; i < decisions; i++) {
        if (i % CLOCK_EVERY == 0) {
            now_us = weir_clock_us();
        }
        if (keys > 1) {
            subject = bench_subject(weir_rand_below(&b->dice, keys), &b->plan);
        }
        charge(b, &subject, now_us);
    }
    return (double)(weir_clock_ns() - start_ns) / (double)decisions;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(struct bench *b, const char *name, uint64_t keys, uint64_t decisions)
{
    double ns[RUNS];
    for (uint64_t key = 0; key < keys; key++) {
        const struct weir_subject subject = bench_subject(key, &b->plan);
        charge(b, &subject, weir_clock_us()); /* every key is there */
    }
    run(b, keys, decisions); /* warm */
    for (int i = 0; i < RUNS; i++) {
        ns[i] = run(b, keys, decisions);
    }
    qsort(ns, RUNS, sizeof(ns[0]), by_value);
    double median = ns[RUNS / 2];
    printf("\"%s\": {\"keys\": %" PRIu64 ", \"decisions\": %" PRIu64 ", \"runs\": %d, "
           "\"ns\": %.2f, \"best_ns\": %.2f, \"per_s\": %.0f}",
           name, keys, decisions, RUNS, median, ns[0], 1e9 / median);
}

int main(int argc, char **argv)
{
    uint64_t keys = 1000000;
    uint64_t decisions = 20000000;
    struct bench b = {0};
    if ((argc > 1 && weir_str_u64(weir_str_z(argv[1]), 1 << 28, &keys) != WEIR_OK) ||
        (argc > 2 && weir_str_u64(weir_str_z(argv[2]), UINT32_MAX, &decisions) != WEIR_OK) ||
        argc > 3 || keys == 0 || decisions == 0) {
        fprintf(stderr, "usage: bench_core [KEYS [DECISIONS]]\n");
        return 2;
    }
    weir_rand_init(&b.dice, 1);
    if (bench_plan(&b.plan) != WEIR_OK ||
        weir_embedded_new(&(struct weir_embedded_opts){.max_subjects = keys}, &b.table) !=
            WEIR_OK) {
        fprintf(stderr, "bench_core: no memory\n");
        return 1;
    }
    printf("{");
    report(&b, "hot", 1, decisions);
    printf(", ");
    report(&b, "random", keys, decisions / 4);
    printf("}\n");
    weir_embedded_free(b.table);
    return 0;
}
