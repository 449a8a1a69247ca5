/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/shards.h"

#include "base/mem.h"
#include "base/rand.h"

enum {
    HAND_KEYS = 2,      /* looked at whenever one is added */
    SPARE_US = 5000000, /* a key stays so much longer than anything of it stands */
};

enum weir_err weir_sim_shards_init(struct weir_sim_shards *s,
                                   const struct weir_sim_options *options)
{
    *s = (struct weir_sim_shards){
        .options = options,
        ._key_bytes =
            sizeof(struct weir_sim_key) + 2 * options->plan.windows * sizeof(struct weir_sim_span),
    };
    s->calls = weir_zalloc_array(options->shards, sizeof(s->calls[0]));
    return s->calls == NULL ? WEIR_ERR_NOMEM : WEIR_OK;
}

static struct weir_sim_key *key_at(const struct weir_sim_shards *s, uint32_t slot)
{
    return (struct weir_sim_key *)(void *)(s->_key + slot * s->_key_bytes);
}

static struct weir_sim_span *ideal_span(const struct weir_sim_shards *s, struct weir_sim_key *key)
{
    return key->_span + s->options->plan.windows;
}

static void forget(struct weir_sim_key *key)
{
    weir_free(key->value.data);
    weir_sim_ledger_deinit(&key->admitted);
    weir_sim_ledger_deinit(&key->ideal);
}

void weir_sim_shards_deinit(struct weir_sim_shards *s)
{
    for (uint32_t slot = 0; slot < s->index.slots && slot < s->_room; slot++) {
        forget(key_at(s, slot)); /* those that were let go are zero */
    }
    weir_sim_index_deinit(&s->index);
    weir_free(s->_key);
    weir_free(s->calls);
    *s = (struct weir_sim_shards){0};
}

/* ---- keys ---- */

struct weir_sim_key *weir_sim_shards_find(struct weir_sim_shards *s, uint32_t key)
{
    uint32_t slot = weir_sim_index_find(&s->index, key);
    return slot == WEIR_SIM_NO_SLOT ? NULL : key_at(s, slot);
}

/* Its figures go into those of all. */
static void fold(struct weir_sim_shards *s, const struct weir_sim_key *key)
{
    const struct weir_plan *plan = &s->options->plan;
    unsigned limit = 0;
    s->keys++;
    s->saturated += key->saturated;
    s->over += key->over;
    for (unsigned k = 0; k < plan->windows; k++) {
        for (unsigned i = 0; i < plan->window[k].meters; i++, limit++) {
            unsigned m = plan->window[k].meter[i];
            s->limit[limit].took += key->saturated ? key->took[m] : 0;
            s->limit[limit].could += key->saturated ? key->could[m] : 0;
        }
    }
}

/* Lets keys go of which nothing stands, so that a long run needs no more memory than a window. */
static void sweep(struct weir_sim_shards *s, uint64_t now_us)
{
    const struct weir_sim_options *o = s->options;
    uint64_t rest_us = o->plan.longest_us + o->hold_us.high + 2 * o->rtt_us.high + SPARE_US;
    for (uint32_t i = 0; i < HAND_KEYS && s->index.slots > 0; i++) {
        uint32_t slot = s->_hand++ % s->index.slots;
        struct weir_sim_key *key = key_at(s, slot);
        if (key->used_us > 0 && now_us > key->used_us + rest_us) {
            fold(s, key);
            forget(key);
            memset(key, 0, s->_key_bytes);
            weir_sim_index_remove(&s->index, slot);
        }
    }
}

static bool make_room(struct weir_sim_shards *s)
{
    uint32_t room = weir_sim_index_room(&s->index);
    if (room <= s->_room) {
        return true;
    }
    unsigned char *key = weir_realloc(s->_key, room * s->_key_bytes);
    if (key == NULL) {
        return false;
    }
    s->_key = key;
    s->_room = room;
    return true;
}

struct weir_sim_key *weir_sim_shards_get(struct weir_sim_shards *s, uint32_t key, uint64_t now_us)
{
    struct weir_sim_key *found = weir_sim_shards_find(s, key);
    if (found == NULL) {
        sweep(s, now_us);
        uint32_t slot = weir_sim_index_add(&s->index, key);
        if (slot == WEIR_SIM_NO_SLOT || !make_room(s)) {
            return NULL;
        }
        found = key_at(s, slot);
        memset(found, 0, s->_key_bytes);
    }
    found->used_us = now_us;
    return found;
}

void weir_sim_shards_called(struct weir_sim_shards *s, uint32_t key)
{
    s->calls[weir_mix64(key) % s->options->shards]++;
}

/* ---- the ledgers ---- */

static uint32_t since_begin(uint64_t now_us)
{
    WEIR_ASSERT(now_us <= UINT32_MAX);
    return (uint32_t)now_us;
}

/* Looks at the window that ends with the newest admission. */
static void audit(struct weir_sim_shards *s, struct weir_sim_key *key)
{
    const struct weir_plan *plan = &s->options->plan;
    unsigned limit = 0;
    for (unsigned k = 0; k < plan->windows; k++) {
        for (unsigned i = 0; i < plan->window[k].meters; i++, limit++) {
            uint64_t stands = weir_sim_span_of(&key->_span[k], plan->window[k].meter[i]);
            struct weir_sim_limit_result *r = &s->limit[limit];
            r->worst = stands > r->worst ? stands : r->worst;
            key->over |= stands > plan->window[k].capacity[i];
        }
    }
}

static void sum(uint64_t *into, const struct weir_amounts *a)
{
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        into[m] += a->of[m];
    }
}

bool weir_sim_admit(struct weir_sim_shards *s, struct weir_sim_key *key, uint64_t now_us,
                    const struct weir_amounts *a, const struct weir_amounts *stays,
                    uint32_t *ret_number)
{
    const struct weir_plan *plan = &s->options->plan;
    uint32_t at_us = since_begin(now_us);
    weir_sim_ledger_expire(&key->admitted, key->_span, plan, at_us);
    if (!weir_sim_ledger_add(&key->admitted, key->_span, plan, at_us, a, ret_number)) {
        return false;
    }
    audit(s, key);
    sum(key->took, stays);
    return true;
}

bool weir_sim_admit_ideal(struct weir_sim_shards *s, struct weir_sim_key *key, uint64_t now_us,
                          const struct weir_amounts *a, const struct weir_amounts *stays,
                          bool *ret_allowed, uint32_t *ret_number)
{
    const struct weir_plan *plan = &s->options->plan;
    struct weir_sim_span *span = ideal_span(s, key);
    uint32_t at_us = since_begin(now_us);
    weir_sim_ledger_expire(&key->ideal, span, plan, at_us);
    *ret_allowed = weir_sim_ledger_fits(span, plan, a);
    if (!*ret_allowed) {
        key->saturated = true;
        return true;
    }
    sum(key->could, stays);
    return weir_sim_ledger_add(&key->ideal, span, plan, at_us, a, ret_number);
}

void weir_sim_lower(struct weir_sim_shards *s, struct weir_sim_key *key, bool ideal,
                    uint32_t number, uint32_t output_less)
{
    struct weir_sim_ledger *ledger = ideal ? &key->ideal : &key->admitted;
    struct weir_sim_span *span = ideal ? ideal_span(s, key) : key->_span;
    weir_sim_ledger_lower(ledger, span, &s->options->plan, number, output_less);
}

void weir_sim_shards_end(struct weir_sim_shards *s, uint64_t now_us)
{
    const struct weir_plan *plan = &s->options->plan;
    for (uint32_t slot = 0; slot < s->index.slots; slot++) {
        struct weir_sim_key *key = key_at(s, slot);
        if (key->used_us == 0) {
            continue;
        }
        struct weir_decision d;
        weir_decision_begin(&d, now_us);
        weir_value_states(&key->value, plan, now_us, 0, &d);
        for (unsigned i = 0; i < d.states; i++) {
            s->held[d.state[i].meter] += d.state[i].used;
        }
        fold(s, key);
        for (unsigned k = 0; k < plan->windows; k++) {
            for (unsigned i = 0; i < plan->window[k].meters; i++) {
                unsigned m = plan->window[k].meter[i];
                s->stands[m] += weir_sim_span_of(&key->_span[k], m);
            }
        }
    }
}
