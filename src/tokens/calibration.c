/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens/calibration.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tokens/vocabulary.h"

enum {
    FIRST_WEIGHT = 256, /* counted tokens that a first ratio stands for */
    WEIGHT_MAX = 1024,  /* of one request: a long one is not the truth about all */
    KEPT = 16,          /* a report leaves 15 of 16 parts of what was known before */
    STEP_MAX = 2,       /* and moves it by no more than to twice or half as much at once */
    PERCENT = 100,
};

/* ---- one ratio ---- */

/* The first that stands in a name, in lower case. */
static const struct {
    const char *part;
    uint32_t percent;
} families[] = {
    {"claude", 135},
    {"mistral", 150},
    {"mixtral", 150},
    {"llama-2", 150},
};

enum { OTHERS_PERCENT = 125 };

static bool holds(struct weir_str name, struct weir_str part)
{
    for (size_t at = 0; at + part.len <= name.len; at++) {
        if (weir_bytes_eq_nocase(name.p + at, part.p, part.len)) {
            return true;
        }
    }
    return false;
}

static uint32_t first_percent(struct weir_str model)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (holds(model, weir_str_z(families[i].part))) {
            return families[i].percent;
        }
    }
    /* OpenAI's, for which there is no token data: the estimate is made for them */
    return weir_encoding_of_model(model).len > 0 ? PERCENT : OTHERS_PERCENT;
}

struct weir_ratio weir_ratio_first(struct weir_str model)
{
    uint64_t ratio = (uint64_t)WEIR_RATIO_ONE * first_percent(model) / PERCENT;
    return (struct weir_ratio){.ratio = (uint32_t)ratio, .weight = FIRST_WEIGHT};
}

static uint64_t within(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

bool weir_ratio_learn(struct weir_ratio *r, uint64_t counted, uint64_t reported)
{
    if (counted < WEIR_RATIO_TOKENS_MIN || counted > UINT32_MAX ||
        reported > counted * WEIR_RATIO_MOST || reported < (counted - 1) / WEIR_RATIO_MOST + 1) {
        return false;
    }
    uint64_t seen = within(reported * WEIR_RATIO_ONE / counted, r->ratio / STEP_MAX,
                           (uint64_t)r->ratio * STEP_MAX);
    uint64_t before = r->weight - r->weight / KEPT;
    uint64_t now = counted < WEIGHT_MAX ? counted : WEIGHT_MAX, all = before + now;
    r->ratio = (uint32_t)((r->ratio * before + seen * now + all / 2) / all);
    r->weight = (uint32_t)all;
    return true;
}

uint64_t weir_ratio_expect(const struct weir_ratio *r, uint64_t counted)
{
    uint64_t whole = counted / WEIR_RATIO_ONE, rest = counted % WEIR_RATIO_ONE;
    return whole * r->ratio + (rest * r->ratio + WEIR_RATIO_ONE - 1) / WEIR_RATIO_ONE;
}

/* ---- all of them ---- */

enum { WAYS = 8, SETS = WEIR_CALIBRATION_MODELS / WAYS };

struct place {
    uint64_t hash[2]; /* of the model's name */
    struct weir_ratio ratio;
    uint64_t used; /* by the set's reports; 0: free */
};

struct set {
    pthread_mutex_t lock;
    uint64_t reports;
    struct place place[WAYS];
};

struct weir_calibration {
    struct set set[SETS];
    _Atomic uint64_t count;
};

enum weir_err weir_calibration_new(struct weir_calibration **ret_calibration)
{
    struct weir_calibration *c = weir_zalloc(sizeof(*c));
    if (c == NULL) {
        return WEIR_ERR_NOMEM;
    }
    for (unsigned i = 0; i < SETS; i++) {
        pthread_mutex_init(&c->set[i].lock, NULL); /* of the default kind it cannot fail */
    }
    *ret_calibration = c;
    return WEIR_OK;
}

void weir_calibration_free(struct weir_calibration *c)
{
    for (unsigned i = 0; c != NULL && i < SETS; i++) {
        pthread_mutex_destroy(&c->set[i].lock);
    }
    weir_free(c);
}

/* The set of this hash, locked. */
static struct set *enter(struct weir_calibration *c, const uint64_t hash[static 2])
{
    struct set *set = &c->set[hash[0] % SETS];
    pthread_mutex_lock(&set->lock);
    return set;
}

static struct place *find(struct set *set, const uint64_t hash[static 2])
{
    for (unsigned i = 0; i < WAYS; i++) {
        struct place *p = &set->place[i];
        if (p->used > 0 && p->hash[0] == hash[0] && p->hash[1] == hash[1]) {
            return p;
        }
    }
    return NULL;
}

/* A free place, else that of whoever was reported for longest ago. */
static struct place *oldest(struct set *set)
{
    struct place *p = &set->place[0];
    for (unsigned i = 1; i < WAYS; i++) {
        p = set->place[i].used < p->used ? &set->place[i] : p;
    }
    return p;
}

uint64_t weir_calibration_expect(struct weir_calibration *c, struct weir_str model,
                                 uint64_t counted)
{
    uint64_t hash[2];
    weir_hash128(model.p, model.len, hash);
    struct set *set = enter(c, hash);
    const struct place *p = find(set, hash);
    struct weir_ratio ratio = p != NULL ? p->ratio : weir_ratio_first(model);
    pthread_mutex_unlock(&set->lock);
    return weir_ratio_expect(&ratio, counted);
}

bool weir_calibration_learn(struct weir_calibration *c, struct weir_str model, uint64_t counted,
                            uint64_t reported)
{
    uint64_t hash[2];
    weir_hash128(model.p, model.len, hash);
    struct set *set = enter(c, hash);
    struct place *p = find(set, hash);
    struct weir_ratio ratio = p != NULL ? p->ratio : weir_ratio_first(model);
    bool learnt = weir_ratio_learn(&ratio, counted, reported);
    if (learnt) {
        p = p != NULL ? p : oldest(set);
        if (p->used == 0) {
            atomic_fetch_add_explicit(&c->count, 1, memory_order_relaxed);
        }
        *p = (struct place){{hash[0], hash[1]}, ratio, ++set->reports};
    }
    pthread_mutex_unlock(&set->lock);
    return learnt;
}

uint64_t weir_calibration_count(const struct weir_calibration *c)
{
    return atomic_load_explicit(&c->count, memory_order_relaxed);
}
