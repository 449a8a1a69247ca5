/* SPDX-License-Identifier: Apache-2.0 */
#include "store/embedded/embedded.h"

#include "base/mem.h"
#include "store/embedded/table.h"

enum { STRIPE_BITS = 8, STRIPES = 1 << STRIPE_BITS };

struct weir_embedded {
    struct stripe stripe[STRIPES];
    uint64_t max_subjects;
    _Atomic uint64_t subjects; /* also those that are being made */
};

enum charge_mode {
    CHARGE_IF_FITS,
    CHARGE_ALWAYS,
    CHARGE_PROBE, /* if it fits, says what would be charged */
};

/* One charge under way: all its stripes are locked. */
struct charge {
    struct weir_embedded *table;
    const struct weir_subject *const *subject;
    unsigned subjects;
    struct stripe *stripe[WEIR_SUBJECTS_MAX];
    struct entry *entry[WEIR_SUBJECTS_MAX]; /* NULL: not held yet */
    uint64_t now_us;
};

enum weir_err weir_embedded_new(const struct weir_embedded_opts *opts,
                                struct weir_embedded **ret_table)
{
    if (opts->max_subjects == 0 || opts->max_subjects > UINT64_C(1) << 31) {
        return WEIR_ERR_INVALID;
    }
    struct weir_embedded *table = weir_zalloc_aligned(64, sizeof(*table));
    if (table == NULL) {
        return WEIR_ERR_NOMEM;
    }
    table->max_subjects = opts->max_subjects;
    for (unsigned i = 0; i < STRIPES; i++) {
        atomic_flag_clear(&table->stripe[i].lock);
    }
    *ret_table = table;
    return WEIR_OK;
}

void weir_embedded_free(struct weir_embedded *table)
{
    for (unsigned i = 0; table != NULL && i < STRIPES; i++) {
        stripe_deinit(&table->stripe[i]);
    }
    weir_free(table);
}

static struct stripe *stripe_of(struct weir_embedded *table, const struct weir_subject *subject)
{
    return &table->stripe[subject->id[1] >> (64 - STRIPE_BITS)];
}

/* In ascending order of stripes, each once, so that two charges cannot wait for each other. */
static void lock_all(struct charge *c)
{
    struct stripe *order[WEIR_SUBJECTS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < c->subjects; i++) {
        unsigned at = n++;
        for (; at > 0 && order[at - 1] > c->stripe[i]; at--) {
            order[at] = order[at - 1];
        }
        order[at] = c->stripe[i];
    }
    for (unsigned i = 0; i < n; i++) {
        if (i == 0 || order[i] != order[i - 1]) {
            stripe_lock(order[i]);
        }
    }
}

static void unlock_all(struct charge *c)
{
    for (unsigned i = 0; i < c->subjects; i++) {
        bool before = false;
        for (unsigned k = 0; k < i; k++) {
            before = before || c->stripe[k] == c->stripe[i];
        }
        if (!before) {
            stripe_unlock(c->stripe[i]);
        }
    }
}

static void begin(struct charge *c, struct weir_embedded *table,
                  const struct weir_subject *const *subject, unsigned subjects, uint64_t now_us)
{
    WEIR_ASSERT(subjects > 0 && subjects <= WEIR_SUBJECTS_MAX);
    c->table = table;
    c->subject = subject;
    c->subjects = subjects;
    c->now_us = now_us;
    for (unsigned i = 0; i < subjects; i++) {
        c->stripe[i] = stripe_of(table, subject[i]);
    }
}

/* Runs `edit` on the subject's value and lets it have the room it asks for. */
static enum weir_err edit_value(struct charge *c, unsigned i,
                                uint32_t (*edit)(struct weir_value *v, const struct weir_plan *plan,
                                                 uint64_t now_us, const struct weir_amounts *a),
                                const struct weir_amounts *a)
{
    for (;;) {
        struct weir_value v = entry_value(c->entry[i]);
        uint32_t need = edit(&v, c->subject[i]->plan, c->now_us, a);
        stripe_set_len(c->stripe[i], c->entry[i], v.len);
        if (WEIR_LIKELY(need == 0)) {
            return WEIR_OK;
        }
        if (!stripe_grow(c->stripe[i], c->entry[i], need)) {
            return WEIR_ERR_NOMEM;
        }
    }
}

static uint32_t edit_prepare(struct weir_value *v, const struct weir_plan *plan, uint64_t now_us,
                             const struct weir_amounts *a)
{
    (void)a;
    return weir_value_prepare(v, plan, now_us);
}

/* Finds what is held, brings it to the present and settles on the time of the charge. */
static enum weir_err locate(struct charge *c)
{
    for (unsigned i = 0; i < c->subjects; i++) {
        c->entry[i] = stripe_find(c->stripe[i], c->subject[i]->id);
        if (c->entry[i] != NULL) {
            struct weir_value v = entry_value(c->entry[i]);
            c->now_us = weir_value_now_us(&v, c->subject[i]->plan, c->now_us);
        }
    }
    for (unsigned i = 0; i < c->subjects; i++) {
        if (c->entry[i] != NULL) {
            WEIR_TRY(edit_value(c, i, edit_prepare, NULL));
        }
    }
    return WEIR_OK;
}

static struct weir_value value_of(const struct charge *c, unsigned i)
{
    return c->entry[i] == NULL ? (struct weir_value){0} : entry_value(c->entry[i]);
}

static void judge(const struct charge *c, const struct weir_amounts *a, struct weir_decision *d)
{
    for (unsigned i = 0; i < c->subjects; i++) {
        struct weir_verdict verdict;
        struct weir_value v = value_of(c, i);
        if (!weir_value_fits(&v, c->subject[i]->plan, c->now_us, a, &verdict)) {
            weir_decision_deny(d, i, &verdict);
        }
    }
}

/* `more`: as if it were charged, too; NULL: nothing. */
static void states(const struct charge *c, const struct weir_amounts *more, struct weir_decision *d)
{
    for (unsigned i = 0; i < c->subjects; i++) {
        struct weir_value v = value_of(c, i);
        if (more == NULL) {
            weir_value_states(&v, c->subject[i]->plan, c->now_us, i, d);
        } else {
            weir_value_states_with(&v, c->subject[i]->plan, c->now_us, more, i, d);
        }
    }
}

static bool places_take(struct weir_embedded *table, unsigned n)
{
    uint64_t held = atomic_load_explicit(&table->subjects, memory_order_relaxed);
    while (held + n <= table->max_subjects) {
        if (atomic_compare_exchange_weak(&table->subjects, &held, held + n)) {
            return true;
        }
    }
    return false;
}

static void places_give(struct weir_embedded *table, unsigned n)
{
    atomic_fetch_sub(&table->subjects, n);
}

/* How many subjects are not held yet. */
static unsigned count_missing(const struct charge *c)
{
    unsigned missing = 0;
    for (unsigned i = 0; i < c->subjects; i++) {
        missing += c->entry[i] == NULL;
    }
    return missing;
}

/* Whether they would get their places. WEIR_ERR_LIMIT: the bound is reached. */
static enum weir_err find_places(const struct charge *c)
{
    unsigned missing = count_missing(c);
    uint64_t held = atomic_load_explicit(&c->table->subjects, memory_order_relaxed);
    return missing > 0 && held + missing > c->table->max_subjects ? WEIR_ERR_LIMIT : WEIR_OK;
}

/* The subjects that are not held yet get their places, all or none: one that was made alone would
 * be idle, and the next to make room for itself. WEIR_ERR_LIMIT: the bound is reached. */
static enum weir_err create_missing(struct charge *c)
{
    unsigned missing = count_missing(c);
    if (missing > 0 && !places_take(c->table, missing)) {
        return WEIR_ERR_LIMIT;
    }
    for (unsigned i = 0; i < c->subjects; i++) {
        if (c->entry[i] != NULL) {
            continue;
        }
        c->entry[i] = stripe_insert(c->stripe[i], c->subject[i]->id, false, c->now_us);
        if (c->entry[i] == NULL) {
            places_give(c->table, missing);
            return WEIR_ERR_NOMEM;
        }
        missing--;
        /* the insert may have moved the entries of its stripe */
        for (unsigned k = 0; k < c->subjects; k++) {
            if (k != i && c->stripe[k] == c->stripe[i] && c->entry[k] != NULL) {
                c->entry[k] = stripe_find(c->stripe[k], c->subject[k]->id);
            }
        }
    }
    return WEIR_OK;
}

/* Adds to all subjects or to none. */
static enum weir_err add_all(struct charge *c, const struct weir_amounts *a)
{
    enum weir_err err = create_missing(c);
    unsigned done = 0;
    while (err == WEIR_OK && done < c->subjects) {
        err = edit_value(c, done, weir_value_add, a);
        done += err == WEIR_OK;
    }
    for (unsigned i = 0; err != WEIR_OK && i < done; i++) {
        struct weir_value v = entry_value(c->entry[i]);
        weir_value_lower(&v, c->subject[i]->plan, c->now_us, a);
    }
    return err;
}

/* The common charge: one subject that is held already, and nothing but sums changes. */
static bool charge_in_step(struct charge *c, const struct weir_amounts *a, struct weir_decision *d)
{
    struct entry *e = stripe_find(c->stripe[0], c->subject[0]->id);
    if (e == NULL) {
        return false;
    }
    struct weir_value v = entry_value(e);
    return weir_value_take_in_step(&v, c->subject[0]->plan, c->now_us, a, 0, d);
}

static enum weir_err charge_once(struct charge *c, const struct weir_amounts *a,
                                 enum charge_mode mode, struct weir_decision *d)
{
    lock_all(c);
    enum weir_err err = locate(c);
    weir_decision_begin(d, c->now_us);
    if (err == WEIR_OK && mode != CHARGE_ALWAYS) {
        judge(c, a, d);
    }
    if (err == WEIR_OK && d->allowed && !weir_amounts_none(a)) {
        err = mode == CHARGE_PROBE ? find_places(c) : add_all(c, a);
    }
    if (err == WEIR_OK && mode != CHARGE_ALWAYS) {
        states(c, mode == CHARGE_PROBE && d->allowed ? a : NULL, d);
    }
    unlock_all(c);
    return err;
}

/* Frees the place of one subject that is idle, in whichever stripe. No lock is held. */
static bool evict_idle(struct weir_embedded *table, uint64_t now_us)
{
    for (unsigned i = 0; i < STRIPES; i++) {
        stripe_lock(&table->stripe[i]);
        bool evicted = stripe_evict_idle(&table->stripe[i], now_us);
        stripe_unlock(&table->stripe[i]);
        if (evicted) {
            places_give(table, 1);
            return true;
        }
    }
    return false;
}

static enum weir_err charge(struct charge *c, const struct weir_amounts *a, enum charge_mode mode,
                            struct weir_decision *d)
{
    enum weir_err err;
    while ((err = charge_once(c, a, mode, d)) == WEIR_ERR_LIMIT) {
        if (!evict_idle(c->table, c->now_us)) {
            break;
        }
    }
    return err;
}

enum weir_err weir_embedded_take(struct weir_embedded *table,
                                 const struct weir_subject *const *subject, unsigned subjects,
                                 const struct weir_amounts *a, uint64_t now_us,
                                 struct weir_decision *d)
{
    struct charge c;
    begin(&c, table, subject, subjects, now_us);
    if (WEIR_LIKELY(subjects == 1)) {
        weir_decision_begin(d, now_us);
        stripe_lock(c.stripe[0]);
        bool done = charge_in_step(&c, a, d);
        stripe_unlock(c.stripe[0]);
        if (done) {
            return WEIR_OK;
        }
    }
    return charge(&c, a, CHARGE_IF_FITS, d);
}

enum weir_err weir_embedded_probe(struct weir_embedded *table,
                                  const struct weir_subject *const *subject, unsigned subjects,
                                  const struct weir_amounts *a, uint64_t now_us,
                                  struct weir_decision *d)
{
    struct charge c;
    begin(&c, table, subject, subjects, now_us);
    return charge(&c, a, CHARGE_PROBE, d);
}

enum weir_err weir_embedded_record(struct weir_embedded *table,
                                   const struct weir_subject *const *subject, unsigned subjects,
                                   const struct weir_amounts *a, uint64_t now_us)
{
    struct charge c;
    struct weir_decision ignored;
    begin(&c, table, subject, subjects, now_us);
    return charge(&c, a, CHARGE_ALWAYS, &ignored);
}

static void lower_all(struct charge *c, uint64_t at_us, const struct weir_amounts *less)
{
    for (unsigned i = 0; i < c->subjects; i++) {
        if (c->entry[i] != NULL) {
            struct weir_value v = entry_value(c->entry[i]);
            weir_value_lower(&v, c->subject[i]->plan, at_us, less);
        }
    }
}

enum weir_err weir_embedded_settle(struct weir_embedded *table,
                                   const struct weir_subject *const *subject, unsigned subjects,
                                   uint64_t at_us, const struct weir_amounts *reserved,
                                   const struct weir_amounts *used, uint64_t now_us,
                                   uint64_t *ret_debt)
{
    struct weir_amounts less, more;
    weir_amounts_settle(reserved, used, &less, &more);
    struct charge c;
    struct weir_decision ignored;
    begin(&c, table, subject, subjects, now_us);
    if (!weir_amounts_none(&more)) {
        WEIR_TRY(charge(&c, &more, CHARGE_ALWAYS, &ignored));
    }
    lock_all(&c);
    enum weir_err err = locate(&c);
    if (err == WEIR_OK) {
        lower_all(&c, at_us, &less);
    }
    unlock_all(&c);
    *ret_debt = more.of[WEIR_METER_INPUT_TOKENS] + more.of[WEIR_METER_OUTPUT_TOKENS];
    return err;
}

enum weir_err weir_embedded_reserve(struct weir_embedded *table, const struct weir_subject *subject)
{
    if (!places_take(table, 1)) {
        return WEIR_ERR_LIMIT;
    }
    struct stripe *s = stripe_of(table, subject);
    stripe_lock(s);
    bool made =
        stripe_find(s, subject->id) == NULL && stripe_insert(s, subject->id, true, 0) != NULL;
    bool there = stripe_find(s, subject->id) != NULL;
    stripe_unlock(s);
    if (!made) {
        places_give(table, 1);
    }
    return there ? WEIR_OK : WEIR_ERR_NOMEM;
}

void weir_embedded_release(struct weir_embedded *table, const struct weir_subject *subject)
{
    struct stripe *s = stripe_of(table, subject);
    stripe_lock(s);
    struct entry *e = stripe_find(s, subject->id);
    if (e != NULL) {
        stripe_release(s, e);
    }
    stripe_unlock(s);
}

size_t weir_embedded_copy(struct weir_embedded *table, const struct weir_subject *subject,
                          uint8_t *to, size_t room)
{
    WEIR_ASSERT(room >= WEIR_VALUE_MAX);
    size_t len = 0;
    struct stripe *s = stripe_of(table, subject);
    stripe_lock(s);
    struct entry *e = stripe_find(s, subject->id);
    if (e != NULL) {
        struct weir_value v = entry_value(e);
        memcpy(to, v.data, v.len);
        len = v.len;
    }
    stripe_unlock(s);
    return len;
}

void weir_embedded_reset(struct weir_embedded *table, const struct weir_subject *subject)
{
    struct stripe *s = stripe_of(table, subject);
    stripe_lock(s);
    struct entry *e = stripe_find(s, subject->id);
    if (e != NULL) {
        stripe_set_len(s, e, 0);
    }
    stripe_unlock(s);
}

uint64_t weir_embedded_subjects(const struct weir_embedded *table)
{
    return atomic_load_explicit(&table->subjects, memory_order_relaxed);
}

uint64_t weir_embedded_bytes(struct weir_embedded *table)
{
    uint64_t bytes = sizeof(*table);
    for (unsigned i = 0; i < STRIPES; i++) {
        stripe_lock(&table->stripe[i]);
        bytes += table->stripe[i].bytes;
        stripe_unlock(&table->stripe[i]);
    }
    return bytes;
}
