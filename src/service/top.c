/* SPDX-License-Identifier: Apache-2.0 */
#include "service/top.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "limit/sketch.h"
#include "service/service.h"

_Static_assert((int)WEIR_TOP_SUBJECTS <= (int)WEIR_SKETCH_PLACES_MAX, "a place for each");

/* Behind the places of subjects: one for all subjects of each scope. */
enum { TOTALS = WEIR_TOP_SUBJECTS, COUNTED = TOTALS + WEIR_SCOPES };

/* Of an earlier owner of the place, or of an earlier hour: nothing. */
struct minute {
    uint32_t minute, owner;
    uint32_t allowed, denied;
    uint64_t used[WEIR_TOP_METERS];
};

struct counted {
    uint32_t owner; /* grows when the place gets another one */
    enum weir_scope scope;
    struct since {
        uint64_t allowed, denied[WEIR_METERS];
        uint64_t used[WEIR_TOP_METERS];
    } since; /* it has the place */
    char name[WEIR_SUBJECT_NAME_MAX + 1];
};

struct denied {
    uint64_t count;
    enum weir_meter meter;
    uint32_t window_s;
    char name[WEIR_SUBJECT_NAME_MAX + 1];
};

struct weir_top {
    pthread_mutex_t lock;
    uint32_t minute; /* of the last decision or settlement */
    struct weir_sketch subjects, denials;
    struct counted counted[COUNTED];
    struct denied denied[WEIR_TOP_DENIALS];
    struct minute minutes[COUNTED][WEIR_TOP_MINUTES]; /* minute m is at m % 60 */
};

enum weir_err weir_top_new(struct weir_top **ret_top)
{
    struct weir_top *t = weir_zalloc(sizeof(*t));
    if (t == NULL) {
        return WEIR_ERR_NOMEM;
    }
    pthread_mutex_init(&t->lock, NULL); /* of the default kind it cannot fail */
    weir_sketch_init(&t->subjects, WEIR_TOP_SUBJECTS);
    weir_sketch_init(&t->denials, WEIR_TOP_DENIALS);
    *ret_top = t;
    return WEIR_OK;
}

void weir_top_free(struct weir_top *t)
{
    if (t != NULL) {
        pthread_mutex_destroy(&t->lock);
        weir_free(t);
    }
}

/* ---- counting ---- */

/* Locked, and in this minute. */
static void enter(struct weir_top *t, uint32_t minute)
{
    pthread_mutex_lock(&t->lock);
    if (WEIR_UNLIKELY(minute > t->minute)) {
        weir_sketch_decay(&t->subjects, minute - t->minute);
        weir_sketch_decay(&t->denials, minute - t->minute);
    }
    t->minute = minute;
}

static void leave(struct weir_top *t)
{
    pthread_mutex_unlock(&t->lock);
}

static void copy_name(char to[static WEIR_SUBJECT_NAME_MAX + 1], struct weir_str name)
{
    to[weir_str_copy(name, to, WEIR_SUBJECT_NAME_MAX)] = '\0';
}

static bool is_minute(const struct weir_top *t, unsigned i, const struct minute *m, uint32_t minute)
{
    return m->minute == minute && m->owner == t->counted[i].owner;
}

/* The present minute of a place. */
static struct minute *present(struct weir_top *t, unsigned i)
{
    struct minute *m = &t->minutes[i][t->minute % WEIR_TOP_MINUTES];
    if (!is_minute(t, i, m, t->minute)) {
        *m = (struct minute){.minute = t->minute, .owner = t->counted[i].owner};
    }
    return m;
}

static void count(struct weir_top *t, unsigned i, const struct weir_call *call)
{
    const struct weir_decision *d = &call->decision;
    struct counted *c = &t->counted[i];
    struct minute *m = present(t, i);
    if (!d->allowed) {
        c->since.denied[d->denied_meter]++;
        m->denied++;
        return;
    }
    c->since.allowed++;
    m->allowed++;
    for (unsigned k = 0; k < WEIR_TOP_METERS; k++) {
        c->since.used[k] += call->amounts.of[k];
        m->used[k] += call->amounts.of[k];
    }
}

static void count_subject(struct weir_top *t, const struct weir_subject *subject,
                          const struct weir_call *call)
{
    bool taken_over;
    unsigned i = weir_sketch_add(&t->subjects, subject->id, &taken_over);
    struct counted *c = &t->counted[i];
    if (taken_over) {
        c->owner++;
        c->scope = weir_scope_of(subject->name);
        c->since = (struct since){0};
        copy_name(c->name, subject->name);
    }
    count(t, i, call);
    count(t, TOTALS + c->scope, call);
}

static void count_denial(struct weir_top *t, const struct weir_call *call)
{
    const struct weir_decision *d = &call->decision;
    const struct weir_subject *subject = call->subject[d->denied_subject];
    uint64_t limit = weir_mix64((uint64_t)d->denied_window_s * WEIR_METERS + d->denied_meter);
    const uint64_t id[2] = {subject->id[0] ^ limit, subject->id[1]};
    bool taken_over;
    struct denied *p = &t->denied[weir_sketch_add(&t->denials, id, &taken_over)];
    if (taken_over) {
        *p = (struct denied){.meter = d->denied_meter, .window_s = d->denied_window_s};
        copy_name(p->name, subject->name);
    }
    p->count++;
}

void weir_top_decided(struct weir_top *t, const struct weir_call *call, uint32_t minute)
{
    if (call->outcome != WEIR_OUTCOME_DECIDED || weir_amounts_none(&call->amounts)) {
        return;
    }
    enter(t, minute);
    for (unsigned i = 0; i < call->subjects; i++) {
        count_subject(t, call->subject[i], call);
    }
    if (!call->decision.allowed) {
        count_denial(t, call);
    }
    leave(t);
}

/* Takes from the newest minutes that have something of a meter. A place that went to another
 * subject and came back may have less than is given back. */
static void give_back(struct weir_top *t, unsigned i, unsigned meter, uint64_t less)
{
    uint64_t *used = &t->counted[i].since.used[meter];
    less = less < *used ? less : *used;
    *used -= less;
    for (uint32_t back = 0; less > 0 && back < WEIR_TOP_MINUTES; back++) {
        uint32_t minute = t->minute - back;
        struct minute *m = &t->minutes[i][minute % WEIR_TOP_MINUTES];
        if (is_minute(t, i, m, minute)) {
            uint64_t part = less < m->used[meter] ? less : m->used[meter];
            m->used[meter] -= part;
            less -= part;
        }
    }
}

static void correct(struct weir_top *t, unsigned i, const struct weir_amounts *less,
                    const struct weir_amounts *more)
{
    struct minute *m = present(t, i);
    for (unsigned k = 0; k < WEIR_TOP_METERS; k++) {
        t->counted[i].since.used[k] += more->of[k];
        m->used[k] += more->of[k];
        give_back(t, i, k, less->of[k]);
    }
}

void weir_top_settled(struct weir_top *t, const struct weir_subject *const *subject,
                      unsigned subjects, const struct weir_amounts *reserved,
                      const struct weir_amounts *used, uint32_t minute)
{
    struct weir_amounts less, more;
    weir_amounts_settle(reserved, used, &less, &more);
    enter(t, minute);
    for (unsigned s = 0; s < subjects; s++) {
        unsigned i = weir_sketch_find(&t->subjects, subject[s]->id);
        if (i != WEIR_SKETCH_NONE) {
            correct(t, i, &less, &more);
        }
        correct(t, TOTALS + weir_scope_of(subject[s]->name), &less, &more);
    }
    leave(t);
}

/* ---- reading ---- */

static void add_minute(struct weir_top_minute *sum, const struct weir_top *t, unsigned i,
                       uint32_t minute)
{
    const struct minute *m = &t->minutes[i][minute % WEIR_TOP_MINUTES];
    sum->minute = minute;
    if (is_minute(t, i, m, minute)) {
        sum->allowed += m->allowed;
        sum->denied += m->denied;
        for (unsigned k = 0; k < WEIR_TOP_METERS; k++) {
            sum->used[k] += m->used[k];
        }
    }
}

/* What a sketch that was last told of another minute says in this one. */
struct view {
    const struct weir_sketch *sketch;
    uint32_t halvings;
    uint64_t least; /* an id without a place has this much at most */
};

static struct view view_of(const struct weir_top *t, const struct weir_sketch *s, uint32_t minute)
{
    uint32_t halvings = minute > t->minute ? minute - t->minute : 0;
    return (struct view){s, halvings, weir_sketch_decayed_count(weir_sketch_least(s), halvings)};
}

/* Its bounds, but for what is unknown of workers where it has no place: each has its `least` of
 * that, so it is taken off here and added for all workers later (modulo 2^64 on the way). */
static void bounds(const struct view *v, unsigned i, uint64_t *ret_recent, uint64_t *ret_error)
{
    uint64_t count = weir_sketch_decayed_count(weir_sketch_count(v->sketch, i), v->halvings);
    *ret_recent = weir_sketch_decayed_sure(v->sketch->place[i].sure, v->halvings);
    *ret_error = count - *ret_recent - v->least;
}

static int by_id(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b; /* an id comes first in both kinds */
    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

_Static_assert(offsetof(struct weir_top_subject, id) == 0, "by_id");
_Static_assert(offsetof(struct weir_top_denial, id) == 0, "by_id");

/* Appends the subjects of one worker; what `least` is there. */
static uint64_t read_subjects(struct weir_top *t, uint32_t minute, struct weir_top_subject *row,
                              size_t *n)
{
    pthread_mutex_lock(&t->lock);
    const struct view v = view_of(t, &t->subjects, minute);
    for (unsigned i = 0; i < WEIR_TOP_SUBJECTS; i++) {
        if (weir_sketch_count(&t->subjects, i) == 0) {
            continue;
        }
        const struct counted *c = &t->counted[i];
        struct weir_top_subject *r = &row[(*n)++];
        *r = (struct weir_top_subject){.scope = c->scope, .allowed = c->since.allowed};
        memcpy(r->id, t->subjects.place[i].id, sizeof(r->id));
        memcpy(r->name, c->name, sizeof(r->name));
        memcpy(r->denied, c->since.denied, sizeof(r->denied));
        memcpy(r->used, c->since.used, sizeof(r->used));
        bounds(&v, i, &r->recent, &r->error);
        add_minute(&r->last, t, i, minute - 1);
    }
    pthread_mutex_unlock(&t->lock);
    return v.least;
}

static void add_subject(struct weir_top_subject *sum, const struct weir_top_subject *r)
{
    sum->recent += r->recent;
    sum->error += r->error;
    sum->allowed += r->allowed;
    sum->last.allowed += r->last.allowed;
    sum->last.denied += r->last.denied;
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        sum->denied[m] += r->denied[m];
    }
    for (unsigned k = 0; k < WEIR_TOP_METERS; k++) {
        sum->used[k] += r->used[k];
        sum->last.used[k] += r->last.used[k];
    }
}

enum weir_err weir_top_all(const struct weir_service_group *g, uint32_t minute,
                           struct weir_top_subject **ret_subject, size_t *ret_n)
{
    size_t rows = 0, n = 0;
    uint64_t least = 0;
    struct weir_top_subject *row =
        weir_zalloc_array((size_t)g->services * WEIR_TOP_SUBJECTS, sizeof(*row));
    if (row == NULL) {
        return WEIR_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->services; i++) {
        least += read_subjects(g->service[i]->top, minute, row, &rows);
    }
    qsort(row, rows, sizeof(*row), by_id);
    for (size_t i = 0; i < rows; i++) {
        if (n > 0 && by_id(&row[n - 1], &row[i]) == 0) {
            add_subject(&row[n - 1], &row[i]);
        } else {
            row[n++] = row[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        row[i].error += least;
    }
    *ret_subject = row;
    *ret_n = n;
    return WEIR_OK;
}

static int by_recent(const void *a, const void *b)
{
    const struct weir_top_subject *x = a, *y = b;
    return x->recent != y->recent ? (x->recent < y->recent) - (x->recent > y->recent)
                                  : strcmp(x->name, y->name);
}

enum weir_err weir_top_merge(const struct weir_service_group *g, uint32_t minute, unsigned scopes,
                             size_t rooms, struct weir_top_subject *ret_subject, size_t *ret_n)
{
    struct weir_top_subject *row;
    size_t rows, n = 0;
    enum weir_err err = weir_top_all(g, minute, &row, &rows);
    if (err != WEIR_OK) {
        return err;
    }
    qsort(row, rows, sizeof(*row), by_recent);
    for (size_t i = 0; i < rows && n < rooms && row[i].recent > 0; i++) {
        if (scopes >> row[i].scope & 1) {
            ret_subject[n++] = row[i];
        }
    }
    weir_free(row);
    *ret_n = n;
    return WEIR_OK;
}

static uint64_t read_denials(struct weir_top *t, uint32_t minute, struct weir_top_denial *row,
                             size_t *n)
{
    pthread_mutex_lock(&t->lock);
    const struct view v = view_of(t, &t->denials, minute);
    for (unsigned i = 0; i < WEIR_TOP_DENIALS; i++) {
        if (weir_sketch_count(&t->denials, i) == 0) {
            continue;
        }
        const struct denied *d = &t->denied[i];
        struct weir_top_denial *r = &row[(*n)++];
        *r =
            (struct weir_top_denial){.meter = d->meter, .window_s = d->window_s, .count = d->count};
        memcpy(r->id, t->denials.place[i].id, sizeof(r->id));
        memcpy(r->name, d->name, sizeof(r->name));
        bounds(&v, i, &r->recent, &r->error);
    }
    pthread_mutex_unlock(&t->lock);
    return v.least;
}

/* Those of several workers become one: how many are left. */
static size_t sum_denials(struct weir_top_denial *row, size_t rows, uint64_t least)
{
    size_t n = 0;
    qsort(row, rows, sizeof(*row), by_id);
    for (size_t i = 0; i < rows; i++) {
        if (n > 0 && by_id(&row[n - 1], &row[i]) == 0) {
            row[n - 1].recent += row[i].recent;
            row[n - 1].error += row[i].error;
            row[n - 1].count += row[i].count;
        } else {
            row[n] = row[i];
            row[n++].error += least;
        }
    }
    return n;
}

static int denials_by_recent(const void *a, const void *b)
{
    const struct weir_top_denial *x = a, *y = b;
    return x->recent != y->recent          ? (x->recent < y->recent) - (x->recent > y->recent)
           : strcmp(x->name, y->name) != 0 ? strcmp(x->name, y->name)
                                           : by_id(a, b);
}

enum weir_err weir_top_denials(const struct weir_service_group *g, uint32_t minute, size_t rooms,
                               struct weir_top_denial *ret_denial, size_t *ret_n)
{
    size_t rows = 0, n = 0;
    uint64_t least = 0;
    struct weir_top_denial *row =
        weir_zalloc_array((size_t)g->services * WEIR_TOP_DENIALS, sizeof(*row));
    if (row == NULL) {
        return WEIR_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < g->services; i++) {
        least += read_denials(g->service[i]->top, minute, row, &rows);
    }
    rows = sum_denials(row, rows, least);
    qsort(row, rows, sizeof(*row), denials_by_recent);
    for (; n < rows && n < rooms && row[n].recent > 0; n++) {
        ret_denial[n] = row[n];
    }
    weir_free(row);
    *ret_n = n;
    return WEIR_OK;
}

static bool anything(const struct weir_top_minute *m)
{
    uint64_t any = m->allowed | m->denied;
    for (unsigned k = 0; k < WEIR_TOP_METERS; k++) {
        any |= m->used[k];
    }
    return any != 0;
}

size_t weir_top_history(const struct weir_service_group *g, struct weir_str name, uint32_t minute,
                        struct weir_top_minute ret_minute[static WEIR_TOP_MINUTES])
{
    uint64_t id[2];
    size_t n = 0;
    struct weir_top_minute sum[WEIR_TOP_MINUTES] = {0};
    weir_subject_id(name, id);
    for (uint32_t s = 0; s < g->services; s++) {
        struct weir_top *t = g->service[s]->top;
        pthread_mutex_lock(&t->lock);
        unsigned place = weir_sketch_find(&t->subjects, id);
        for (uint32_t i = 0; place != WEIR_SKETCH_NONE && i < WEIR_TOP_MINUTES; i++) {
            add_minute(&sum[i], t, place, minute - (WEIR_TOP_MINUTES - 1) + i);
        }
        pthread_mutex_unlock(&t->lock);
    }
    for (unsigned i = 0; i < WEIR_TOP_MINUTES; i++) {
        if (anything(&sum[i])) {
            ret_minute[n++] = sum[i];
        }
    }
    return n;
}

void weir_top_total(const struct weir_service_group *g, uint32_t minute, enum weir_scope scope,
                    struct weir_top_minute *ret_total)
{
    *ret_total = (struct weir_top_minute){0};
    for (uint32_t i = 0; i < g->services; i++) {
        struct weir_top *t = g->service[i]->top;
        pthread_mutex_lock(&t->lock);
        add_minute(ret_total, t, TOTALS + scope, minute - 1);
        pthread_mutex_unlock(&t->lock);
    }
}
