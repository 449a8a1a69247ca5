/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/upstream.h"

#include "base/hash.h"
#include "base/mem.h"

const char *weir_upstream_failure_name(enum weir_upstream_failure failure)
{
    static const char *const names[WEIR_UPSTREAM_FAILURES] = {"connect", "broken", "silent"};
    return names[failure];
}

/* ---- sets ---- */

static void let_go(struct weir_upstream_state *state)
{
    if (state != NULL && --state->users == 0) {
        weir_free(state);
    }
}

static bool add_states(struct weir_upstream_set *set)
{
    for (size_t i = 0; i < set->upstreams; i++) {
        struct weir_upstream *u = &set->upstream[i];
        u->config = &set->config[i];
        u->state = weir_zalloc(sizeof(*u->state));
        if (u->state == NULL) {
            return false;
        }
        u->state->users = 1;
    }
    return true;
}

struct weir_upstream_set *weir_upstream_set_new(const struct weir_config *config, uint64_t seed)
{
    struct weir_upstream_set *set = weir_zalloc(sizeof(*set));
    if (set == NULL) {
        return NULL;
    }
    set->users = 1;
    set->upstreams = config->upstreams;
    set->upstream = weir_zalloc_array(config->upstreams + 1, sizeof(*set->upstream));
    set->config = weir_upstream_configs_copy(config->upstream, config->upstreams);
    weir_rand_init(&set->rand, seed);
    if (set->upstream == NULL || set->config == NULL || !add_states(set)) {
        weir_upstream_set_let_go(set);
        return NULL;
    }
    return set;
}

struct weir_upstream_set *weir_upstream_set_keep(struct weir_upstream_set *set)
{
    set->users++;
    return set;
}

void weir_upstream_set_let_go(struct weir_upstream_set *set)
{
    if (set == NULL || --set->users > 0) {
        return;
    }
    for (size_t i = 0; set->upstream != NULL && i < set->upstreams; i++) {
        let_go(set->upstream[i].state);
    }
    weir_free(set->upstream);
    weir_upstream_configs_free(set->config, set->upstreams);
    weir_free(set);
}

static void follow(struct weir_upstream *u, const struct weir_upstream *before)
{
    let_go(u->state);
    u->state = before->state;
    u->state->users++;
    if (strcmp(u->config->base_url, before->config->base_url) != 0 ||
        strcmp(u->config->api_key, before->config->api_key) != 0) {
        weir_upstream_answered(u); /* what failed was another */
        memset(u->state->wait, 0, sizeof(u->state->wait));
    }
}

void weir_upstream_set_follow(struct weir_upstream_set *set, const struct weir_upstream_set *before)
{
    for (size_t i = 0; i < set->upstreams; i++) {
        for (size_t k = 0; k < before->upstreams; k++) {
            if (strcmp(set->config[i].name, before->config[k].name) == 0) {
                follow(&set->upstream[i], &before->upstream[k]);
            }
        }
    }
}

uint64_t weir_upstream_mocks(const struct weir_upstream_set *set)
{
    uint64_t mocks = 0;
    for (size_t i = 0; i < set->upstreams; i++) {
        mocks |= (uint64_t)set->upstream[i].config->mock << i;
    }
    return mocks;
}

/* ---- cooling ---- */

static uint64_t hash_of(struct weir_str model)
{
    uint64_t hash[2];
    weir_hash128(model.p, model.len, hash);
    return hash[0];
}

static struct weir_upstream_wait *wait_of(struct weir_upstream *u, uint64_t model_hash)
{
    return &u->state->wait[model_hash & (WEIR_UPSTREAM_WAITS - 1)];
}

/* Until when this model waits; 0: it does not. */
static uint64_t waits_until_ms(struct weir_upstream *u, uint64_t model_hash)
{
    const struct weir_upstream_wait *w = wait_of(u, model_hash);
    return w->model_hash == model_hash ? w->until_ms : 0;
}

void weir_upstream_answered(struct weir_upstream *u)
{
    u->state->failures = 0;
    u->state->cool_until_ms = 0;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void cool(struct weir_upstream *u, uint64_t for_ms, uint64_t now_ms)
{
    if (now_ms + for_ms > u->state->cool_until_ms) {
        u->state->cool_until_ms = now_ms + for_ms;
    }
}

void weir_upstream_failed(struct weir_upstream *u, uint64_t retry_ms, uint64_t now_ms)
{
    uint32_t doubled = u->state->failures < 16 ? u->state->failures : 16;
    uint64_t for_ms =
        at_most((uint64_t)WEIR_UPSTREAM_COOL_MS << doubled, WEIR_UPSTREAM_COOL_MAX_MS);
    u->state->failures++;
    cool(u, retry_ms > 0 ? at_most(retry_ms, WEIR_UPSTREAM_RETRY_MAX_MS) : for_ms, now_ms);
}

void weir_upstream_limited(struct weir_upstream *u, struct weir_str model, uint64_t retry_ms,
                           uint64_t now_ms)
{
    if (retry_ms == 0) {
        cool(u, WEIR_UPSTREAM_COOL_MS, now_ms);
        return;
    }
    uint64_t hash = hash_of(model);
    *wait_of(u, hash) =
        (struct weir_upstream_wait){hash, now_ms + at_most(retry_ms, WEIR_UPSTREAM_RETRY_MAX_MS)};
}

/* ---- choosing ---- */

struct choice {
    uint64_t fresh; /* those that are not cooling */
    uint64_t fresh_weight;
    unsigned cooling; /* of the others the one that ends first */
    bool any_cooling, any;
    uint64_t cool_until_ms, wait_until_ms;
};

static void look_at(struct choice *c, struct weir_upstream *u, unsigned i, uint64_t model_hash,
                    uint64_t now_ms)
{
    uint64_t wait_until_ms = waits_until_ms(u, model_hash);
    c->any = true;
    if (wait_until_ms > now_ms) {
        c->wait_until_ms = at_most(c->wait_until_ms, wait_until_ms);
    } else if (u->state->cool_until_ms <= now_ms) {
        c->fresh |= UINT64_C(1) << i;
        c->fresh_weight += u->config->weight;
    } else if (!c->any_cooling || u->state->cool_until_ms < c->cool_until_ms) {
        c->any_cooling = true;
        c->cooling = i;
        c->cool_until_ms = u->state->cool_until_ms;
    }
}

static struct choice look(struct weir_upstream_set *set, struct weir_str model, uint64_t without,
                          uint64_t now_ms)
{
    struct choice c = {.wait_until_ms = UINT64_MAX};
    uint64_t hash = hash_of(model);
    for (unsigned i = 0; i < set->upstreams; i++) {
        struct weir_upstream *u = &set->upstream[i];
        if ((without >> i & 1) == 0 && weir_upstream_serves(u->config, model)) {
            look_at(&c, u, i, hash, now_ms);
        }
    }
    return c;
}

static unsigned draw(struct weir_upstream_set *set, const struct choice *c)
{
    unsigned last = (unsigned)__builtin_ctzll(c->fresh);
    if ((c->fresh & (c->fresh - 1)) == 0) {
        return last; /* the only one */
    }
    uint64_t at = weir_rand_below(&set->rand, c->fresh_weight);
    for (uint64_t left = c->fresh; left != 0; left &= left - 1) {
        last = (unsigned)__builtin_ctzll(left);
        if (at < set->upstream[last].config->weight) {
            break;
        }
        at -= set->upstream[last].config->weight;
    }
    return last;
}

enum weir_err weir_upstream_choose(struct weir_upstream_set *set, struct weir_str model,
                                   uint64_t without, uint64_t now_ms, unsigned *ret_upstream,
                                   uint64_t *ret_wait_ms)
{
    struct choice c = look(set, model, without, now_ms);
    if (c.fresh != 0) {
        *ret_upstream = draw(set, &c);
    } else if (c.any_cooling) {
        *ret_upstream = c.cooling;
    } else if (c.any) {
        *ret_wait_ms = c.wait_until_ms - now_ms;
        return WEIR_ERR_UNAVAILABLE;
    } else {
        return WEIR_ERR_NOT_FOUND;
    }
    return WEIR_OK;
}

enum weir_err weir_upstream_instead(struct weir_upstream_set *set, struct weir_str model,
                                    uint64_t without, uint64_t now_ms, unsigned *ret_upstream)
{
    struct choice c = look(set, model, without, now_ms);
    if (c.fresh == 0) {
        return WEIR_ERR_NOT_FOUND;
    }
    *ret_upstream = draw(set, &c);
    return WEIR_OK;
}
