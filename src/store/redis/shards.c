/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/shards.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/redis/answer.h"
#include "store/redis/guide.h"
#include "store/redis/parked.h"

enum {
    REFRESH_MAX_MS = 400, /* between two questions while something is wrong */
    TICK_MS = 5,          /* how often what is parked is looked at */
    TRY_AGAIN_US = 5000,
    UNSERVED_US = 1000000, /* CLUSTERDOWN counts for so long */
    ASKED_US = 5000000,    /* a shard without slots stays for so long after an ASK */
    TEXT_BYTES = 512,
};

struct weir_redis_shard {
    struct weir_redis_shards *all;
    struct weir_redis_conn *conn;
    struct weir_redis_target target;
    struct weir_clock_rule clock;
    unsigned number;   /* its place in `shard` */
    unsigned slots;    /* that it serves */
    uint64_t asked_us; /* the last time that another sent a command on to it; 0: never */
    void *data;        /* the owner's */
};

struct weir_redis_shards {
    struct weir_loop *loop;
    const struct weir_config *config;
    struct weir_redis_owner owner;
    void (*on_shard)(void *ctx, struct weir_redis_shard *shard, bool up);
    struct weir_redis_shard *answering; /* within on_reply and on_lost */
    struct weir_redis_tls *tls;         /* NULL: in clear */
    struct weir_redis_guide *guide;     /* NULL: the URL names the only server */
    struct weir_clock_rule clock;       /* for a key that nobody serves */
    uv_timer_t refresh, tick;
    unsigned closing; /* timers that libuv still has */
    bool closed, told_up;
    bool stale; /* the map is known to be wrong */
    uint32_t refresh_ms;
    uint64_t asked_us, unserved_us;
    unsigned unserved; /* slots of which nobody is known */
    struct weir_redis_park park;
    struct weir_redis_shard *shard[WEIR_REDIS_SHARDS_MAX]; /* NULL: a free place */
    uint16_t slot[WEIR_REDIS_SLOTS];                       /* number of a shard */
};

static bool is_cluster(const struct weir_redis_shards *s)
{
    return s->config->redis_seeds.kind == WEIR_REDIS_CLUSTER;
}

/* ---- telling the owner ---- */

bool weir_redis_shards_are_up(const struct weir_redis_shards *s)
{
    if (s->unserved > 0 ||
        (s->unserved_us != 0 && weir_clock_us() < s->unserved_us + UNSERVED_US)) {
        return false;
    }
    for (unsigned i = 0; i < WEIR_REDIS_SHARDS_MAX; i++) {
        const struct weir_redis_shard *shard = s->shard[i];
        if (shard != NULL && shard->slots > 0 && !weir_redis_conn_is_up(shard->conn)) {
            return false;
        }
    }
    return true;
}

static void tell_up(struct weir_redis_shards *s)
{
    if (!s->told_up && weir_redis_shards_are_up(s)) {
        s->told_up = true;
        s->owner.on_up(s->owner.ctx);
    }
}

static void tell_down(struct weir_redis_shards *s, enum weir_redis_why why, const char *text)
{
    s->told_up = false;
    s->owner.on_down(s->owner.ctx, why, text);
}

static void tell_shard(struct weir_redis_shard *shard, bool up)
{
    if (shard->all->on_shard != NULL) {
        shard->all->on_shard(shard->all->owner.ctx, shard, up);
    }
}

/* ---- shards ---- */

static void want_map(struct weir_redis_shards *s);
static const struct weir_redis_owner shard_owner;

static struct weir_redis_shard *shard_at(const struct weir_redis_shards *s,
                                         const struct weir_redis_host *host)
{
    for (unsigned i = 0; i < WEIR_REDIS_SHARDS_MAX; i++) {
        struct weir_redis_shard *shard = s->shard[i];
        if (shard != NULL && shard->target.port == host->port &&
            strcmp(shard->target.host, host->name) == 0) {
            return shard;
        }
    }
    return NULL;
}

static struct weir_redis_shard *shard_of_slot(const struct weir_redis_shards *s, unsigned slot)
{
    return s->slot[slot] == WEIR_REDIS_NO_SHARD ? NULL : s->shard[s->slot[slot]];
}

/* `clock`: of the one that served its keys before. NULL: no place or no memory. */
static struct weir_redis_shard *shard_open(struct weir_redis_shards *s,
                                           const struct weir_redis_target *target,
                                           const struct weir_clock_rule *clock)
{
    unsigned number = 0;
    while (number < WEIR_REDIS_SHARDS_MAX && s->shard[number] != NULL) {
        number++;
    }
    struct weir_redis_shard *shard =
        number == WEIR_REDIS_SHARDS_MAX ? NULL : weir_zalloc(sizeof(*shard));
    if (shard == NULL) {
        return NULL;
    }
    struct weir_redis_owner owner = shard_owner;
    owner.ctx = shard;
    shard->all = s;
    shard->number = number;
    shard->target = *target;
    shard->clock = *clock;
    if (weir_redis_conn_open(s->loop, &shard->target, s->tls, &owner, &shard->conn) != WEIR_OK) {
        weir_free(shard);
        return NULL;
    }
    s->shard[number] = shard;
    return shard;
}

static struct weir_redis_shard *shard_named(struct weir_redis_shards *s,
                                            const struct weir_redis_host *host,
                                            const struct weir_clock_rule *clock)
{
    struct weir_redis_shard *shard = shard_at(s, host);
    if (shard != NULL) {
        return shard;
    }
    struct weir_redis_target target = s->config->redis;
    target.part = is_cluster(s) ? WEIR_REDIS_SHARD : WEIR_REDIS_PRIMARY;
    memcpy(target.host, host->name, sizeof(target.host));
    target.port = host->port;
    shard = shard_open(s, &target, clock);
    weir_wipe(&target, sizeof(target));
    return shard;
}

/* The connection lives on for a moment, and looks at nothing of the shard any more. */
static void shard_close(struct weir_redis_shard *shard)
{
    struct weir_redis_shards *s = shard->all;
    s->shard[shard->number] = NULL;
    tell_shard(shard, false);
    weir_redis_conn_close(shard->conn);
    weir_wipe(&shard->target, sizeof(shard->target));
    weir_free(shard);
}

static void set_slot(struct weir_redis_shards *s, unsigned slot, struct weir_redis_shard *shard)
{
    struct weir_redis_shard *was = shard_of_slot(s, slot);
    if (was != NULL) {
        was->slots--;
    } else {
        s->unserved--;
    }
    s->slot[slot] = shard == NULL ? WEIR_REDIS_NO_SHARD : (uint16_t)shard->number;
    if (shard != NULL) {
        shard->slots++;
    } else {
        s->unserved++;
    }
}

/* Shards that serve nothing any more, unless somebody waits for their answer. One that stays goes
 * with a later map, or when its connection breaks. */
static void sweep(struct weir_redis_shards *s, uint64_t now_us)
{
    for (unsigned i = 0; i < WEIR_REDIS_SHARDS_MAX; i++) {
        struct weir_redis_shard *shard = s->shard[i];
        if (shard != NULL && shard->slots == 0 && now_us >= shard->asked_us + ASKED_US &&
            weir_redis_conn_is_idle(shard->conn)) {
            shard_close(shard);
        }
    }
}

/* ---- the map ---- */

/* Whoever is new at a slot goes by the clock of whom it follows, so that a failover moves no
 * window. */
static void take_map(struct weir_redis_shards *s, const struct weir_redis_map *map)
{
    struct weir_redis_shard *named[WEIR_REDIS_SHARDS_MAX] = {NULL};
    bool tried[WEIR_REDIS_SHARDS_MAX] = {false};
    for (unsigned i = 0; i < WEIR_REDIS_SLOTS; i++) {
        uint16_t n = map->slot[i];
        if (n != WEIR_REDIS_NO_SHARD && !tried[n]) {
            const struct weir_redis_shard *before = shard_of_slot(s, i);
            tried[n] = true;
            named[n] = shard_named(s, &map->shard[n], before != NULL ? &before->clock : &s->clock);
        }
        set_slot(s, i, n == WEIR_REDIS_NO_SHARD ? NULL : named[n]);
    }
}

static void on_map(void *ctx, const struct weir_redis_map *map)
{
    struct weir_redis_shards *s = ctx;
    take_map(s, map);
    sweep(s, weir_clock_us());
    if (s->unserved > 0) {
        char text[TEXT_BYTES];
        snprintf(text, sizeof(text), "Cluster has %u slots that nobody serves", s->unserved);
        tell_down(s, WEIR_REDIS_OUT_OF_REACH, text);
    } else {
        tell_up(s);
    }
    if (!s->closed) {
        want_map(s); /* again, until all is well */
    }
}

static void on_map_failed(void *ctx, enum weir_redis_why why, const char *text)
{
    struct weir_redis_shards *s = ctx;
    s->stale = true;
    if (!weir_redis_shards_are_up(s)) { /* else there is no need of it yet */
        tell_down(s, why, text);
    }
    if (!s->closed) {
        want_map(s);
    }
}

static bool map_is_good(const struct weir_redis_shards *s)
{
    return !s->stale && weir_redis_shards_are_up(s);
}

static void ask(struct weir_redis_shards *s)
{
    struct weir_redis_host known[WEIR_REDIS_SHARDS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; is_cluster(s) && i < WEIR_REDIS_SHARDS_MAX; i++) {
        if (s->shard[i] != NULL) {
            memcpy(known[count].name, s->shard[i]->target.host, sizeof(known[count].name));
            known[count++].port = s->shard[i]->target.port;
        }
    }
    s->stale = false;
    s->asked_us = weir_clock_us();
    s->refresh_ms = 2 * s->refresh_ms < REFRESH_MAX_MS ? 2 * s->refresh_ms : REFRESH_MAX_MS;
    weir_redis_guide_ask(s->guide, known, count);
}

static void on_refresh(uv_timer_t *timer)
{
    struct weir_redis_shards *s = timer->data;
    if (map_is_good(s)) {
        s->refresh_ms = WEIR_REDIS_REFRESH_MS;
        tell_up(s);
    } else if (!weir_redis_guide_asks(s->guide)) {
        ask(s);
    }
}

/* At once, or WEIR_REDIS_REFRESH_MS after the last time, or later the longer it is of no use: once
 * for all that is redirected meanwhile. */
static void want_map(struct weir_redis_shards *s)
{
    if (s->guide == NULL || uv_is_active((uv_handle_t *)&s->refresh) ||
        weir_redis_guide_asks(s->guide)) {
        return;
    }
    uint64_t due_us = s->asked_us + (uint64_t)s->refresh_ms * 1000, now_us = weir_clock_us();
    uv_timer_start(&s->refresh, on_refresh, due_us > now_us ? (due_us - now_us + 999) / 1000 : 0,
                   0);
}

/* ---- what was redirected ---- */

static void lose(struct weir_redis_shards *s, const struct weir_redis_asked *asked)
{
    s->owner.on_lost(s->owner.ctx, asked->what, asked->ptr);
}

static bool is_due(void *ctx, const struct weir_redis_parked *p)
{
    const struct weir_redis_shards *s = ctx;
    uint64_t now_us = weir_clock_us();
    const struct weir_redis_shard *to = s->shard[p->shard];
    return now_us >= p->until_us ||
           (now_us >= p->due_us && to != NULL && weir_redis_conn_is_up(to->conn));
}

static void send_due(struct weir_redis_shards *s)
{
    struct weir_redis_parked *p;
    while (!s->closed && (p = weir_redis_park_take(&s->park, is_due, s)) != NULL) {
        uint64_t now_us = weir_clock_us();
        struct weir_redis_shard *to = s->shard[p->shard];
        if (now_us >= p->until_us || to == NULL ||
            !weir_redis_conn_send(to->conn, &p->asked, now_us)) {
            lose(s, &p->asked);
        }
        weir_free(p);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct weir_redis_shards *s = timer->data;
    send_due(s);
    if (!s->closed && s->park.count == 0) {
        uv_timer_stop(timer);
    }
}

/* Until its time is over: nobody waits longer for a call than for a silent server. */
static bool park(struct weir_redis_shards *s, struct weir_redis_shard *to,
                 const struct weir_redis_asked *asked, uint64_t pause_us)
{
    uint64_t due_us = weir_clock_us() + pause_us;
    uint64_t until_us = asked->sent_us + (uint64_t)s->config->redis.timeout_ms * 1000;
    if (due_us > until_us || !weir_redis_park_add(&s->park, to->number, asked, due_us, until_us)) {
        return false;
    }
    if (!uv_is_active((uv_handle_t *)&s->tick)) {
        uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    }
    return true;
}

/* False: it goes nowhere. */
static bool send_on(struct weir_redis_shards *s, struct weir_redis_shard *to,
                    struct weir_redis_asked *asked)
{
    to->asked_us = weir_clock_us();
    if (asked->hops++ >= WEIR_REDIS_HOPS_MAX) {
        return false;
    }
    return weir_redis_conn_is_up(to->conn) ? weir_redis_conn_send(to->conn, asked, to->asked_us)
                                           : park(s, to, asked, 0);
}

static void on_unserved(struct weir_redis_shard *from, const redisReply *reply)
{
    struct weir_redis_shards *s = from->all;
    struct weir_str words = weir_redis_error_words(reply);
    char answers[TEXT_BYTES / 2], text[TEXT_BYTES];
    bool news = s->told_up;
    s->unserved_us = weir_clock_us();
    if (news) {
        snprintf(answers, sizeof(answers), "answers %.*s", (int)words.len, words.p);
        weir_redis_say_where(&from->target, answers, text, sizeof(text));
        tell_down(s, WEIR_REDIS_OUT_OF_REACH, text);
    }
}

/* True: the answer was none, and is dealt with. */
static bool redirected(struct weir_redis_shard *from, const redisReply *reply)
{
    struct weir_redis_shards *s = from->all;
    struct weir_redis_host asked_host, to_host;
    uint16_t slot;
    memcpy(asked_host.name, from->target.host, sizeof(asked_host.name));
    asked_host.port = from->target.port;
    enum weir_redis_redirect is = weir_redis_redirect_read(reply, &asked_host, &slot, &to_host);
    if (is == WEIR_REDIS_NOT_REDIRECTED) {
        return false;
    }
    struct weir_redis_asked asked = weir_redis_conn_asked(from->conn);
    struct weir_redis_shard *to = from;
    bool sent = false;
    if (is == WEIR_REDIS_TRY_AGAIN) {
        sent = asked.what < WEIR_REDIS_STAYS && park(s, from, &asked, TRY_AGAIN_US);
    } else if (is == WEIR_REDIS_MOVED || is == WEIR_REDIS_ASK) {
        to = shard_named(s, &to_host, &from->clock);
        asked.asking = is == WEIR_REDIS_ASK;
        if (to != NULL && is == WEIR_REDIS_MOVED) {
            set_slot(s, slot, to);
        }
        sent = asked.what < WEIR_REDIS_STAYS && to != NULL && to != from && send_on(s, to, &asked);
    }
    if (is != WEIR_REDIS_ASK && is != WEIR_REDIS_TRY_AGAIN) {
        s->stale = true;
        want_map(s);
    }
    if (!sent) {
        lose(s, &asked);
    }
    if (is == WEIR_REDIS_UNSERVED && !s->closed) {
        on_unserved(from, reply);
    }
    return true;
}

/* ---- the owner of a shard's connection ---- */

static const char *on_reply(void *ctx, uint8_t what, void *ptr, const redisReply *reply,
                            uint64_t sent_us)
{
    struct weir_redis_shard *shard = ctx;
    struct weir_redis_shards *s = shard->all;
    if (reply->type == REDIS_REPLY_ERROR && is_cluster(s) && redirected(shard, reply)) {
        return NULL;
    }
    s->answering = shard;
    return s->owner.on_reply(s->owner.ctx, what, ptr, reply, sent_us);
}

static void on_lost(void *ctx, uint8_t what, void *ptr)
{
    struct weir_redis_shards *s = ((struct weir_redis_shard *)ctx)->all;
    s->owner.on_lost(s->owner.ctx, what, ptr);
}

static void on_up(void *ctx)
{
    struct weir_redis_shard *shard = ctx;
    struct weir_redis_shards *s = shard->all;
    tell_shard(shard, true);
    send_due(s);
    if (!s->closed) {
        tell_up(s);
    }
}

static bool is_for(void *ctx, const struct weir_redis_parked *p)
{
    return p->shard == *(const unsigned *)ctx;
}

static void on_down(void *ctx, enum weir_redis_why why, const char *text)
{
    struct weir_redis_shard *shard = ctx;
    struct weir_redis_shards *s = shard->all;
    char where[TEXT_BYTES];
    struct weir_redis_parked *p;
    unsigned number = shard->number;
    bool serves = shard->slots > 0;
    weir_redis_say_where(&shard->target, text, where, sizeof(where));
    if (serves) {
        tell_shard(shard, false);
        want_map(s);
    } else {
        shard_close(shard);
    }
    while (!s->closed && (p = weir_redis_park_take(&s->park, is_for, &number)) != NULL) {
        lose(s, &p->asked);
        weir_free(p);
    }
    if (!s->closed && serves) {
        tell_down(s, why, where);
    }
}

static const struct weir_redis_owner shard_owner = {
    .on_reply = on_reply, .on_lost = on_lost, .on_up = on_up, .on_down = on_down};

/* ---- the owner's side ---- */

uint16_t weir_redis_shards_slot(const struct weir_redis_shards *s, struct weir_str key)
{
    return is_cluster(s) ? weir_redis_slot(key) : 0;
}

struct weir_redis_shard *weir_redis_shards_at(const struct weir_redis_shards *s,
                                              struct weir_str key)
{
    return shard_of_slot(s, weir_redis_shards_slot(s, key));
}

bool weir_redis_shards_map_is_fresh(const struct weir_redis_shards *s)
{
    return !is_cluster(s) || (!s->stale && !weir_redis_guide_asks(s->guide));
}

struct weir_redis_shard *weir_redis_shards_next(const struct weir_redis_shards *s, unsigned *at)
{
    while (*at < WEIR_REDIS_SHARDS_MAX) {
        struct weir_redis_shard *shard = s->shard[(*at)++];
        if (shard != NULL) {
            return shard;
        }
    }
    return NULL;
}

struct weir_redis_shard *weir_redis_shards_answering(const struct weir_redis_shards *s)
{
    return s->answering;
}

struct weir_redis_conn *weir_redis_shard_conn(const struct weir_redis_shard *shard)
{
    return shard->conn;
}

struct weir_clock_rule *weir_redis_shard_clock(struct weir_redis_shard *shard)
{
    return &shard->clock;
}

void **weir_redis_shard_data(struct weir_redis_shard *shard)
{
    return &shard->data;
}

unsigned weir_redis_shard_number(const struct weir_redis_shard *shard)
{
    return shard->number;
}

bool weir_redis_shard_serves(const struct weir_redis_shard *shard, unsigned slot)
{
    return shard_of_slot(shard->all, slot) == shard;
}

unsigned weir_redis_shard_slots(const struct weir_redis_shard *shard)
{
    return shard->slots;
}

unsigned weir_redis_shard_slot(const struct weir_redis_shard *shard)
{
    unsigned slot = 0;
    while (slot < WEIR_REDIS_SLOTS && shard_of_slot(shard->all, slot) != shard) {
        slot++;
    }
    return slot;
}

struct weir_clock_rule *weir_redis_shards_clock(struct weir_redis_shards *s, uint16_t slot)
{
    struct weir_redis_shard *shard = shard_of_slot(s, slot);
    return shard == NULL ? &s->clock : &shard->clock;
}

bool weir_redis_shards_apart(const struct weir_redis_shards *s, struct weir_str a,
                             struct weir_str b)
{
    return weir_redis_shards_slot(s, a) != weir_redis_shards_slot(s, b);
}

static void timer_init(struct weir_redis_shards *s, uv_timer_t *timer)
{
    uv_timer_init(&s->loop->uv, timer);
    timer->data = s;
    s->closing++;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct weir_redis_shards *s = handle->data;
    if (--s->closing == 0) {
        weir_free(s);
    }
}

void weir_redis_shards_close(struct weir_redis_shards *s)
{
    s->closed = true;
    weir_redis_guide_free(s->guide);
    for (unsigned i = 0; i < WEIR_REDIS_SHARDS_MAX; i++) {
        if (s->shard[i] != NULL) {
            shard_close(s->shard[i]);
        }
    }
    weir_redis_park_deinit(&s->park);
    weir_redis_tls_free(s->tls);
    uv_close((uv_handle_t *)&s->refresh, on_timer_closed);
    uv_close((uv_handle_t *)&s->tick, on_timer_closed);
}

/* The only server, or somebody to ask for them. */
static enum weir_err open_first(struct weir_redis_shards *s)
{
    const struct weir_redis_guide_owner owner = {
        .ctx = s, .on_map = on_map, .on_failed = on_map_failed};
    if (s->config->redis_seeds.kind != WEIR_REDIS_SINGLE) {
        s->stale = true;
        WEIR_TRY(weir_redis_guide_new(s->loop, s->config, s->tls, &owner, &s->guide));
        want_map(s);
        return WEIR_OK;
    }
    struct weir_redis_shard *only = shard_open(s, &s->config->redis, &s->clock);
    for (unsigned i = 0; only != NULL && i < WEIR_REDIS_SLOTS; i++) {
        set_slot(s, i, only);
    }
    return only == NULL ? WEIR_ERR_NOMEM : WEIR_OK;
}

enum weir_err weir_redis_shards_open(
    struct weir_loop *loop, const struct weir_config *config, const struct weir_redis_owner *owner,
    void (*on_shard)(void *ctx, struct weir_redis_shard *shard, bool up),
    struct weir_redis_shards **ret_shards, char ret_text[static WEIR_REDIS_TLS_TEXT])
{
    struct weir_redis_shards *s = weir_zalloc(sizeof(*s));
    if (s == NULL) {
        return WEIR_ERR_NOMEM;
    }
    enum weir_err err = WEIR_OK;
    if (config->store_tls.on) {
        err = weir_redis_tls_new(&config->store_tls, &s->tls, ret_text);
    }
    if (err != WEIR_OK) {
        weir_free(s);
        return err;
    }
    s->loop = loop;
    s->config = config;
    s->owner = *owner;
    s->on_shard = on_shard;
    s->refresh_ms = WEIR_REDIS_REFRESH_MS;
    s->unserved = WEIR_REDIS_SLOTS;
    memset(s->slot, 0xff, sizeof(s->slot));
    weir_redis_park_init(&s->park);
    weir_clock_rule_init(&s->clock, weir_clock_us(), weir_clock_wall_us());
    timer_init(s, &s->refresh);
    timer_init(s, &s->tick);
    err = open_first(s);
    if (err != WEIR_OK) {
        weir_redis_shards_close(s);
        return err;
    }
    *ret_shards = s;
    return WEIR_OK;
}
