/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/guide.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/redis/answer.h"
#include "store/redis/command.h"

enum {
    HOSTS_MAX = WEIR_REDIS_HOSTS_MAX + WEIR_REDIS_SHARDS_MAX,
    TRIES_MAX = 20, /* hosts for one question */
    TEXT_BYTES = 512,
};

enum what { ASK_SHARDS, ASK_SLOTS, ASK_PRIMARY };

struct weir_redis_guide {
    struct weir_loop *loop;
    const struct weir_config *config;
    const struct weir_redis_tls *tls;
    struct weir_redis_guide_owner owner;
    struct weir_redis_conn *conn; /* NULL: no question is under way */
    struct weir_redis_target target;
    unsigned hosts, next, tries;
    enum weir_redis_why why; /* the worst of this question */
    char text[TEXT_BYTES];
    struct weir_redis_host host[HOSTS_MAX];
    struct weir_redis_map map;
};

void weir_redis_say_where(const struct weir_redis_target *t, const char *text, char *ret_text,
                          size_t room)
{
    if (t->unix_path[0] != '\0') {
        snprintf(ret_text, room, "at %s %s", t->unix_path, text);
    } else {
        snprintf(ret_text, room, strchr(t->host, ':') != NULL ? "at [%s]:%u %s" : "at %s:%u %s",
                 t->host, (unsigned)t->port, text);
    }
}

static void hang_up(struct weir_redis_guide *g)
{
    if (g->conn != NULL) {
        weir_redis_conn_close(g->conn);
        g->conn = NULL;
    }
}

static void try_next(struct weir_redis_guide *g);

/* This one was of no use. One that must not be used says more than one that is not there. */
static void failed(struct weir_redis_guide *g, enum weir_redis_why why, const char *text)
{
    if (g->tries == 1 || why == WEIR_REDIS_REFUSED) {
        g->why = why;
        weir_redis_say_where(&g->target, text, g->text, sizeof(g->text));
    }
    hang_up(g);
    if (g->tries < g->hosts && g->tries < TRIES_MAX) {
        try_next(g);
    } else {
        g->owner.on_failed(g->owner.ctx, g->why, g->text);
    }
}

/* ---- the connection ---- */

static bool ask(struct weir_redis_guide *g, enum what what)
{
    const struct weir_str service = weir_str_z(g->config->redis_seeds.service);
    const struct weir_str words[][3] = {
        [ASK_SHARDS] = {WEIR_STR("CLUSTER"), WEIR_STR("SHARDS")},
        [ASK_SLOTS] = {WEIR_STR("CLUSTER"), WEIR_STR("SLOTS")},
        [ASK_PRIMARY] = {WEIR_STR("SENTINEL"), WEIR_STR("get-master-addr-by-name"), service},
    };
    struct weir_buf *out = weir_redis_conn_begin(g->conn);
    if (out == NULL) {
        return false;
    }
    weir_redis_command(out, words[what], what == ASK_PRIMARY ? 3 : 2);
    return weir_redis_conn_end(g->conn, (uint8_t)what, NULL, weir_clock_us());
}

static void on_up(void *ctx)
{
    struct weir_redis_guide *g = ctx;
    bool cluster = g->config->redis_seeds.kind == WEIR_REDIS_CLUSTER;
    if (!ask(g, cluster ? ASK_SHARDS : ASK_PRIMARY)) {
        failed(g, WEIR_REDIS_OUT_OF_REACH, "cannot be asked: out of memory");
    }
}

static void on_down(void *ctx, enum weir_redis_why why, const char *text)
{
    failed(ctx, why, text);
}

static bool read_map(struct weir_redis_guide *g, enum what what, const redisReply *reply)
{
    const struct weir_redis_host *asked = &g->host[g->next];
    switch (what) {
    case ASK_SHARDS:
        return weir_redis_map_read_shards(reply, asked, g->tls != NULL, &g->map);
    case ASK_SLOTS:
        return weir_redis_map_read_slots(reply, asked, &g->map);
    case ASK_PRIMARY:
        return weir_redis_map_read_primary(reply, asked, &g->map);
    }
    return false;
}

static void say_useless(struct weir_redis_guide *g, enum what what, const redisReply *reply)
{
    char text[TEXT_BYTES / 2];
    if (reply->type == REDIS_REPLY_ERROR) {
        struct weir_str words = weir_redis_error_words(reply);
        snprintf(text, sizeof(text), "refuses %s: %.*s",
                 what == ASK_PRIMARY ? "SENTINEL get-master-addr-by-name" : "CLUSTER SLOTS",
                 (int)words.len, words.p);
        failed(g, WEIR_REDIS_REFUSED, text);
    } else if (what == ASK_PRIMARY) {
        snprintf(text, sizeof(text), "knows no service %s", g->config->redis_seeds.service);
        failed(g, WEIR_REDIS_REFUSED, text);
    } else { /* a cluster that is being made, or a node that was thrown out of one */
        failed(g, WEIR_REDIS_OUT_OF_REACH, "has no map of its cluster that can be used");
    }
}

/* Redis before 7 does not know CLUSTER SHARDS. */
static const char *on_reply(void *ctx, uint8_t what, void *ptr, const redisReply *reply,
                            uint64_t sent_us)
{
    struct weir_redis_guide *g = ctx;
    (void)ptr;
    (void)sent_us;
    if (what == ASK_SHARDS && reply->type == REDIS_REPLY_ERROR) {
        if (!ask(g, ASK_SLOTS)) {
            failed(g, WEIR_REDIS_OUT_OF_REACH, "cannot be asked: out of memory");
        }
    } else if (!read_map(g, (enum what)what, reply)) {
        say_useless(g, (enum what)what, reply);
    } else {
        hang_up(g);
        g->owner.on_map(g->owner.ctx, &g->map);
    }
    return NULL;
}

static void on_lost(void *ctx, uint8_t what, void *ptr)
{
    (void)ctx; /* on_down follows */
    (void)what;
    (void)ptr;
}

static void try_next(struct weir_redis_guide *g)
{
    const struct weir_redis_owner owner = {
        .ctx = g, .on_reply = on_reply, .on_lost = on_lost, .on_up = on_up, .on_down = on_down};
    g->tries++;
    g->next = (g->next + 1) % g->hosts;
    const struct weir_redis_host *host = &g->host[g->next];
    memcpy(g->target.host, host->name, sizeof(g->target.host));
    g->target.port = host->port;
    if (weir_redis_conn_open(g->loop, &g->target, g->tls, &owner, &g->conn) != WEIR_OK) {
        g->conn = NULL;
        failed(g, WEIR_REDIS_OUT_OF_REACH, "cannot be asked: out of memory");
    }
}

/* ---- the owner's side ---- */

bool weir_redis_guide_asks(const struct weir_redis_guide *g)
{
    return g->conn != NULL;
}

void weir_redis_guide_ask(struct weir_redis_guide *g, const struct weir_redis_host *known,
                          unsigned count)
{
    WEIR_ASSERT(g->conn == NULL && count <= WEIR_REDIS_SHARDS_MAX);
    g->hosts = (unsigned)g->config->redis_seeds.hosts;
    for (unsigned i = 0; i < count; i++) {
        g->host[g->hosts++] = known[i];
    }
    g->tries = 0;
    try_next(g);
}

enum weir_err weir_redis_guide_new(struct weir_loop *loop, const struct weir_config *config,
                                   const struct weir_redis_tls *tls,
                                   const struct weir_redis_guide_owner *owner,
                                   struct weir_redis_guide **ret_guide)
{
    const struct weir_redis_seeds *seeds = &config->redis_seeds;
    struct weir_redis_guide *g = weir_zalloc(sizeof(*g));
    if (g == NULL) {
        return WEIR_ERR_NOMEM;
    }
    g->loop = loop;
    g->config = config;
    g->tls = tls;
    g->owner = *owner;
    g->target = config->redis;
    g->target.db = 0;
    g->target.part = seeds->kind == WEIR_REDIS_CLUSTER ? WEIR_REDIS_NODE : WEIR_REDIS_SENTINEL;
    memcpy(g->host, seeds->host, seeds->hosts * sizeof(seeds->host[0]));
    g->next = (unsigned)seeds->hosts - 1; /* the first one first */
    *ret_guide = g;
    return WEIR_OK;
}

void weir_redis_guide_free(struct weir_redis_guide *g)
{
    if (g != NULL) {
        hang_up(g);
        weir_wipe(&g->target, sizeof(g->target));
        weir_free(g);
    }
}
