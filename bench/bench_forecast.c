/* SPDX-License-Identifier: Apache-2.0 */
/* bench_forecast.c - estimators of an output's quantile on a trace, request by request: what share
 * of outputs fits its reservation, how much is reserved for a token that is used, how much is
 * beyond; and what an observation and a question cost. Prints JSON.
 *
 *   bench_forecast TRACE [KEYS]     default: 20 tenants by Zipf's law, five draws of them */
#include <inttypes.h>
#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/trace.h"
#include "base/zipf.h"
#include "bench_common.h"
#include "limit/history.h"

enum {
    SEEDS = 5,
    PERMILLE = 950,
    DEFAULT_TOKENS = 256,
    STRETCH = 500, /* rows of which the worst share is looked for: does it follow a drift? */
    TIMED = 5000000,
};

/* A stochastic approximation (Robbins and Monro) of the logarithm of one quantile: a step up when
 * an output is above it, a smaller one down when it is not. 12 bytes; other quantiles need others.
 */
struct steps {
    double log_tokens;
    uint32_t count;
};

static void steps_add(struct steps *s, uint64_t tokens, double least_step)
{
    const double q = PERMILLE / 1000.0;
    double log_tokens = log((double)(tokens > 0 ? tokens : 1));
    s->log_tokens = s->count == 0 ? log(DEFAULT_TOKENS) : s->log_tokens;
    double step = 1.0 / ++s->count;
    step = step > least_step ? step : least_step;
    s->log_tokens += log_tokens > s->log_tokens ? step * q : -step * (1 - q);
}

/* One estimator on one draw of tenants. */
struct estimator {
    double least_step; /* 0: the histogram */
    struct weir_forecast *histogram;
    struct steps *steps; /* KEYS + 1 of either: the last one is the model's */
};

static uint64_t ask_one(const struct estimator *e, uint64_t i)
{
    if (e->least_step > 0) {
        return e->steps[i].count < WEIR_FORECAST_ENOUGH
                   ? 0
                   : (uint64_t)ceil(exp(e->steps[i].log_tokens));
    }
    return e->histogram[i].count < WEIR_FORECAST_ENOUGH
               ? 0
               : weir_forecast_quantile(&e->histogram[i], PERMILLE);
}

static uint64_t ask(const struct estimator *e, uint64_t key, uint64_t keys)
{
    uint64_t own = ask_one(e, key), model = own > 0 ? own : ask_one(e, keys);
    return model > 0 ? model : DEFAULT_TOKENS;
}

static void observe(const struct estimator *e, uint64_t i, uint64_t tokens)
{
    if (e->least_step > 0) {
        steps_add(&e->steps[i], tokens, e->least_step);
    } else {
        weir_forecast_add(&e->histogram[i], tokens);
    }
}

struct figures {
    uint64_t fits, used, reserved, beyond, rows;
    double worst_stretch;
};

/* `scale`: outputs of the second half are so many times as long, a drift of our own. */
static void follow(struct estimator *e, const struct weir_trace *t, uint64_t keys, uint64_t seed,
                   double scale, struct figures *f)
{
    struct weir_rand r;
    struct weir_zipf z;
    uint64_t stretch_fits = 0;
    weir_rand_init(&r, seed);
    weir_zipf_init(&z, keys, 1);
    memset(e->histogram, 0, (keys + 1) * sizeof(e->histogram[0]));
    memset(e->steps, 0, (keys + 1) * sizeof(e->steps[0]));
    for (size_t i = 0; i < t->rows; i++) {
        uint64_t key = weir_zipf_draw(&z, &r), reserved = ask(e, key, keys);
        uint64_t tokens = t->row[i].output_tokens;
        tokens = i > t->rows / 2 ? (uint64_t)((double)tokens * scale) : tokens;
        bool fits = tokens <= reserved;
        f->fits += fits;
        f->used += tokens;
        f->reserved += reserved;
        f->beyond += fits ? 0 : tokens - reserved;
        f->rows++;
        stretch_fits += fits;
        if ((i + 1) % STRETCH == 0) {
            double share = (double)stretch_fits / STRETCH;
            f->worst_stretch =
                i + 1 > STRETCH && share < f->worst_stretch ? share : f->worst_stretch;
            stretch_fits = 0;
        }
        observe(e, key, tokens);
        observe(e, keys, tokens);
    }
}

static void timed(const struct estimator *e, double *ret_add_ns, double *ret_ask_ns)
{
    struct weir_rand r;
    uint64_t sum = 0;
    weir_rand_init(&r, 1);
    uint64_t began_ns = weir_clock_ns();
    for (unsigned i = 0; i < TIMED; i++) {
        observe(e, 0, weir_rand_u64(&r) >> 54);
    }
    uint64_t added_ns = weir_clock_ns();
    for (unsigned i = 0; i < TIMED; i++) {
        sum += ask_one(e, 0);
        __asm__ volatile("" : "+r"(sum) : : "memory");
    }
    *ret_ask_ns = (double)(weir_clock_ns() - added_ns) / TIMED;
    *ret_add_ns = (double)(added_ns - began_ns) / TIMED;
}

/* The table that all of them stand in, as a request asks it: the hash of the model's name included.
 */
static void table(void)
{
    struct weir_history *h;
    struct weir_subject subject = {.id = {1, 2}};
    uint64_t sum = 0;
    if (weir_history_new(65536, &h) != WEIR_OK) {
        fprintf(stderr, "bench_forecast: no memory\n");
        exit(1);
    }
    uint64_t began_ns = weir_clock_ns();
    for (unsigned i = 0; i < TIMED; i++) {
        const struct weir_history_of of = weir_history_of(&subject, WEIR_STR("gpt-4o-mini"));
        weir_history_add(h, &of, i & 1023, 0);
    }
    uint64_t added_ns = weir_clock_ns();
    for (unsigned i = 0; i < TIMED; i++) {
        const struct weir_history_of of = weir_history_of(&subject, WEIR_STR("gpt-4o-mini"));
        sum += weir_history_quantile(h, &of, PERMILLE, DEFAULT_TOKENS);
        __asm__ volatile("" : "+r"(sum) : : "memory");
    }
    printf("\"table\": {\"add_ns\": %.1f, \"ask_ns\": %.1f}", (double)(added_ns - began_ns) / TIMED,
           (double)(weir_clock_ns() - added_ns) / TIMED);
    weir_history_free(h);
}

static void report(const char *name, struct estimator *e, const struct weir_trace *t, uint64_t keys)
{
    static const double scales[] = {1, 4, 0.25};
    double add_ns, ask_ns;
    printf("\"%s\": {\"bytes\": %zu", name,
           e->least_step > 0 ? sizeof(double) + sizeof(uint32_t) : sizeof(struct weir_forecast));
    for (size_t k = 0; k < sizeof(scales) / sizeof(scales[0]); k++) {
        struct figures f = {.worst_stretch = 1};
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            follow(e, t, keys, seed, scales[k], &f);
        }
        printf(", \"x%g\": {\"fits\": %.4f, \"worst_of_500\": %.3f, \"reserved\": %.3f, "
               "\"beyond\": %.4f}",
               scales[k], (double)f.fits / (double)f.rows, f.worst_stretch,
               (double)f.reserved / (double)f.used, (double)f.beyond / (double)f.used);
    }
    timed(e, &add_ns, &ask_ns);
    printf(", \"add_ns\": %.1f, \"ask_ns\": %.1f}", add_ns, ask_ns);
}

int main(int argc, char **argv)
{
    struct weir_trace t;
    struct weir_trace_error why;
    uint64_t keys = 20;
    if (argc < 2 || argc > 3 ||
        (argc == 3 && weir_str_u64(weir_str_z(argv[2]), 1000000, &keys) != WEIR_OK) || keys == 0) {
        fprintf(stderr, "usage: bench_forecast TRACE [KEYS]\n");
        return 2;
    }
    if (weir_trace_load(argv[1], &t, &why) != WEIR_OK) {
        fprintf(stderr, "bench_forecast: line %zu: %s\n", why.line, why.text);
        return 1;
    }
    struct estimator e = {.histogram = weir_zalloc_array(keys + 1, sizeof(e.histogram[0])),
                          .steps = weir_zalloc_array(keys + 1, sizeof(e.steps[0]))};
    if (e.histogram == NULL || e.steps == NULL) {
        fprintf(stderr, "bench_forecast: no memory\n");
        return 1;
    }
    static const struct {
        const char *name;
        double least_step;
    } estimators[] = {
        {"histogram", 0}, {"steps_0.02", 0.02}, {"steps_0.05", 0.05}, {"steps_0.2", 0.2}};
    printf("{");
    for (size_t i = 0; i < sizeof(estimators) / sizeof(estimators[0]); i++) {
        e.least_step = estimators[i].least_step;
        report(estimators[i].name, &e, &t, keys);
        printf(",\n ");
    }
    table();
    printf("}\n");
    weir_free(e.histogram);
    weir_free(e.steps);
    weir_trace_deinit(&t);
    return 0;
}
