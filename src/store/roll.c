/* SPDX-License-Identifier: Apache-2.0 */
#include "store/roll.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "limit/plan_set.h"

enum { PLACES_MIN = 64 };

/* Chained by hash through their places, so that growing moves no entry. */
struct place {
    struct weir_subject subject; /* its texts are in a block of its own */
    char *text;                  /* NULL: the place is free */
    uint32_t next;               /* in its bucket, or of the free ones; 0: the last */
};

struct weir_roll {
    pthread_mutex_t mutex;
    bool (*is_held)(void *ctx, const struct weir_subject *subject);
    void *ctx;
    uint64_t max;
    struct place *place; /* [0] is never used */
    uint32_t *bucket;    /* `places` of them, a power of two */
    uint32_t places, used, hand;
    uint32_t free; /* the first free one below `used` */
};

enum weir_err weir_roll_new(uint64_t max,
                            bool (*is_held)(void *ctx, const struct weir_subject *subject),
                            void *ctx, struct weir_roll **ret_roll)
{
    struct weir_roll *r = weir_zalloc(sizeof(*r));
    if (r == NULL) {
        return WEIR_ERR_NOMEM;
    }
    r->place = weir_zalloc_array(PLACES_MIN, sizeof(r->place[0]));
    r->bucket = weir_zalloc_array(PLACES_MIN, sizeof(r->bucket[0]));
    r->places = PLACES_MIN;
    r->used = 1;
    r->max = max;
    r->is_held = is_held;
    r->ctx = ctx;
    pthread_mutex_init(&r->mutex, NULL);
    if (r->place == NULL || r->bucket == NULL) {
        weir_roll_free(r);
        return WEIR_ERR_NOMEM;
    }
    *ret_roll = r;
    return WEIR_OK;
}

void weir_roll_free(struct weir_roll *r)
{
    if (r == NULL) {
        return;
    }
    for (uint32_t i = 1; r->place != NULL && i < r->used; i++) {
        weir_plan_let_go(r->place[i].subject.plan);
        weir_free(r->place[i].text);
    }
    weir_free(r->place);
    weir_free(r->bucket);
    pthread_mutex_destroy(&r->mutex);
    weir_free(r);
}

static uint32_t *bucket_of(const struct weir_roll *r, const uint64_t id[static 2])
{
    return &r->bucket[id[0] & (r->places - 1)];
}

/* NULL: it is not there. */
static struct place *find(const struct weir_roll *r, const uint64_t id[static 2])
{
    for (uint32_t i = *bucket_of(r, id); i != 0; i = r->place[i].next) {
        if (r->place[i].subject.id[0] == id[0] && r->place[i].subject.id[1] == id[1]) {
            return &r->place[i];
        }
    }
    return NULL;
}

static void link_in(struct weir_roll *r, uint32_t i)
{
    uint32_t *bucket = bucket_of(r, r->place[i].subject.id);
    r->place[i].next = *bucket;
    *bucket = i;
}

/* False: no memory. */
static bool grow(struct weir_roll *r)
{
    uint32_t places = 2 * r->places;
    if (places < r->places) {
        return false;
    }
    uint32_t *bucket = weir_zalloc_array(places, sizeof(bucket[0]));
    struct place *place = bucket == NULL ? NULL : weir_realloc(r->place, places * sizeof(place[0]));
    if (place == NULL) {
        weir_free(bucket);
        return false;
    }
    weir_free(r->bucket);
    r->bucket = bucket;
    r->place = place;
    r->places = places;
    r->free = 0;
    for (uint32_t i = 1; i < r->used; i++) {
        if (place[i].text != NULL) {
            link_in(r, i);
        } else {
            place[i].next = r->free;
            r->free = i;
        }
    }
    return true;
}

static void remove_at(struct weir_roll *r, uint32_t i)
{
    uint32_t *at = bucket_of(r, r->place[i].subject.id);
    while (*at != i) {
        at = &r->place[*at].next;
    }
    *at = r->place[i].next;
    weir_plan_let_go(r->place[i].subject.plan);
    weir_free(r->place[i].text);
    r->place[i] = (struct place){.next = r->free};
    r->free = i;
}

/* Forgets one of which there is no record any more. */
static void make_room(struct weir_roll *r)
{
    for (uint32_t n = 1; n < r->used; n++) {
        r->hand = r->hand + 1 < r->used ? r->hand + 1 : 1;
        if (r->place[r->hand].text != NULL && !r->is_held(r->ctx, &r->place[r->hand].subject)) {
            remove_at(r, r->hand);
            return;
        }
    }
}

/* 0: there is none. */
static uint32_t place_for_new(struct weir_roll *r)
{
    if (r->free == 0 && r->used > r->max) {
        make_room(r);
    }
    if (r->free != 0) {
        uint32_t i = r->free;
        r->free = r->place[i].next;
        return i;
    }
    if (r->used > r->max || (r->used == r->places && !grow(r))) {
        return 0;
    }
    r->place[r->used] = (struct place){0};
    return r->used++;
}

static bool add(struct weir_roll *r, const struct weir_subject *subject)
{
    char *text = weir_zalloc(subject->name.len + subject->root.len + 1);
    uint32_t i = text == NULL ? 0 : place_for_new(r);
    if (i == 0) {
        weir_free(text);
        return false;
    }
    struct place *p = &r->place[i];
    p->text = text;
    p->subject = *subject;
    p->subject.plan = weir_plan_keep(subject->plan);
    p->subject.name.p = text;
    p->subject.root.p = text + subject->name.len;
    memcpy(text, subject->name.p, subject->name.len);
    if (subject->root.len > 0) {
        memcpy(text + subject->name.len, subject->root.p, subject->root.len);
    }
    link_in(r, i);
    return true;
}

/* The subject as it is now. False: it was taken out, for it has another root. */
static bool renew(struct weir_roll *r, struct place *p, const struct weir_subject *subject)
{
    if (!weir_str_eq(p->subject.root, subject->root)) {
        remove_at(r, (uint32_t)(p - r->place));
        return false;
    }
    if (p->subject.plan != subject->plan) {
        weir_plan_let_go(p->subject.plan);
        p->subject.plan = weir_plan_keep(subject->plan);
    }
    return true;
}

bool weir_roll_add(struct weir_roll *r, const struct weir_subject *subject)
{
    pthread_mutex_lock(&r->mutex);
    struct place *p = find(r, subject->id);
    bool there = p != NULL && renew(r, p, subject);
    there = there || add(r, subject);
    pthread_mutex_unlock(&r->mutex);
    return there;
}

bool weir_roll_next(struct weir_roll *r, uint32_t *at, struct weir_roll_entry *ret_entry)
{
    bool found = false;
    pthread_mutex_lock(&r->mutex);
    for (*at = *at == 0 ? 1 : *at; *at < r->used && !found; ++*at) {
        const struct place *p = &r->place[*at];
        if (p->text != NULL) {
            found = true;
            ret_entry->subject = p->subject;
            (void)weir_plan_keep(p->subject.plan);
            memcpy(ret_entry->text, p->text, p->subject.name.len + p->subject.root.len);
            ret_entry->subject.name.p = ret_entry->text;
            ret_entry->subject.root.p = ret_entry->text + p->subject.name.len;
        }
    }
    pthread_mutex_unlock(&r->mutex);
    return found;
}
