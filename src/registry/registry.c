/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "registry/internal.h"

enum { LOG_BURST = 3, FIRST_POLLS = 8 };

/* ---- what is told ---- */

void registry_tell(struct weir_registry *r, struct weir_entries *entries)
{
    struct weir_entries *before = r->entries;
    r->entries = entries;
    weir_entries_let_go(before);
    r->copy_due = r->lives_in_redis;
    r->owner.on_entries(r->owner.ctx, entries);
}

static void reach(struct weir_registry *r, bool up)
{
    bool news = r->up != up;
    r->up = up;
    if (news && r->owner.on_reach != NULL) {
        r->owner.on_reach(r->owner.ctx, up);
    }
}

void registry_up(struct weir_registry *r)
{
    reach(r, true);
}

void registry_down(struct weir_registry *r, const char *why)
{
    uint32_t held;
    if (r->up && weir_log_gate_pass(&r->gate, LOG_BURST, weir_clock_us(), &held)) {
        weir_log(WEIR_LOG_WARN, "registry: %s; what was read last stays in force", why);
    }
    reach(r, false);
}

void registry_first_over(struct weir_registry *r)
{
    void (*on_first)(struct weir_registry * r) = r->on_first;
    r->on_first = NULL;
    if (on_first != NULL) {
        on_first(r);
    }
}

void registry_first_waits(struct weir_registry *r)
{
    r->first_polls = FIRST_POLLS + r->config->redis.connect_timeout_ms / REGISTRY_POLL_MS;
}

/* ---- changes ---- */

static void take_turn(struct weir_registry *r)
{
    r->turn = r->first;
    r->first = r->turn->next;
    if (r->first == NULL) {
        r->last = &r->first;
    }
}

/* What ends one may bring the next, which waits for this loop. */
void registry_go_on(struct weir_registry *r)
{
    if (r->goes_on) {
        return;
    }
    r->goes_on = true;
    while ((r->turn != NULL || r->first != NULL) && !r->redis.asks) {
        if (r->turn == NULL) {
            take_turn(r);
        }
        if (r->lives_in_redis) {
            registry_redis_change(r);
        } else {
            registry_file_change(r);
        }
    }
    r->goes_on = false;
}

bool registry_make(struct weir_registry *r)
{
    bool made = r->turn->make(r->turn);
    r->turn = made ? r->turn : NULL;
    return made;
}

void registry_done(struct weir_registry *r, enum weir_registry_result result, const char *why)
{
    struct weir_registry_change *change = r->turn;
    r->turn = NULL;
    change->result = result;
    snprintf(change->why, sizeof(change->why), "%s", why);
    change->done(change);
}

void weir_registry_change(struct weir_registry *r, struct weir_registry_change *change)
{
    change->next = NULL;
    *r->last = change;
    r->last = &change->next;
    registry_go_on(r);
}

/* ---- this node's copy ---- */

/* Nodes may share it by mistake. */
static bool write_copy(const struct weir_registry *r, char *ret_why, size_t room)
{
    int fd = weir_registry_file_lock(r->config->registry, ret_why, room);
    bool written = fd >= 0 && weir_registry_file_write(r->config->registry, r->entries, ret_why,
                                                       room) == WEIR_OK;
    if (fd >= 0) {
        weir_registry_file_unlock(fd);
    }
    return written;
}

static void copy(struct weir_registry *r)
{
    char why[512];
    uint32_t held;
    r->copy_after = REGISTRY_COPY_EVERY;
    r->copy_due = !write_copy(r, why, sizeof(why));
    if (r->copy_due && weir_log_gate_pass(&r->gate, LOG_BURST, weir_clock_us(), &held)) {
        weir_log(WEIR_LOG_WARN, "registry: %s; this node has no copy of the present state", why);
    }
}

static void on_poll(uv_timer_t *timer)
{
    struct weir_registry *r = timer->data;
    if (r->on_first != NULL && r->first_polls-- == 0) {
        registry_first_over(r);
        return;
    }
    r->copy_after -= r->copy_after > 0;
    if (r->copy_due && r->copy_after == 0) {
        copy(r);
    }
    if (r->lives_in_redis) {
        registry_redis_poll(r);
    } else {
        registry_file_poll(r);
    }
}

/* ---- its life ---- */

static void on_closed(uv_handle_t *timer)
{
    weir_free(timer->data);
}

enum weir_err weir_registry_open(const struct weir_config *config, struct weir_loop *loop,
                                 struct weir_entries *first,
                                 const struct weir_registry_owner *owner,
                                 struct weir_registry **ret_registry)
{
    struct weir_registry *r = weir_zalloc(sizeof(*r));
    if (r == NULL) {
        return WEIR_ERR_NOMEM;
    }
    r->config = config;
    r->owner = *owner;
    r->entries = weir_entries_keep(first);
    r->last = &r->first;
    r->lives_in_redis = config->store == WEIR_STORE_REDIS;
    r->up = true;
    uv_timer_init(&loop->uv, &r->poll);
    r->poll.data = r;
    uv_timer_start(&r->poll, on_poll, REGISTRY_POLL_MS, REGISTRY_POLL_MS);
    if (!r->lives_in_redis) {
        *ret_registry = r;
        return WEIR_OK; /* the first poll looks whether the file is another one by now */
    }
    enum weir_err err = registry_redis_open(r, loop);
    if (err != WEIR_OK) {
        weir_registry_close(r);
        return err;
    }
    *ret_registry = r;
    return WEIR_OK;
}

void weir_registry_close(struct weir_registry *r)
{
    if (r == NULL) {
        return;
    }
    if (r->copy_due) {
        copy(r);
    }
    r->closed = true;
    registry_redis_close(r);
    weir_entries_let_go(r->entries);
    uv_close((uv_handle_t *)&r->poll, on_closed);
}

struct weir_entries *weir_registry_entries(const struct weir_registry *r)
{
    return r->entries;
}

/* ---- before a node serves ---- */

struct first {
    struct weir_registry *registry; /* NULL: over */
    struct weir_entries *entries;
    bool read;
};

static struct first *first_of(struct weir_registry *r)
{
    return r->owner.ctx;
}

static void on_first_entries(void *ctx, struct weir_entries *entries)
{
    struct first *f = ctx;
    weir_entries_let_go(f->entries);
    f->entries = weir_entries_keep(entries);
}

static void on_first_over(struct weir_registry *r)
{
    struct first *f = first_of(r);
    f->read = r->redis.known;
    weir_registry_close(r);
    f->registry = NULL;
}

/* What Redis says, in place of *entries; *ret_read: whether it has said it. */
static enum weir_err ask_redis(const struct weir_config *config, struct weir_entries **entries,
                               bool *ret_read)
{
    struct weir_loop loop;
    struct first f = {.entries = *entries};
    const struct weir_registry_owner owner = {.ctx = &f, .on_entries = on_first_entries};
    if (weir_loop_init(&loop) != WEIR_OK) {
        return WEIR_ERR_IO;
    }
    enum weir_err err = weir_registry_open(config, &loop, f.entries, &owner, &f.registry);
    if (err == WEIR_OK) {
        f.registry->on_first = on_first_over;
        registry_first_waits(f.registry);
        weir_loop_run(&loop);
    }
    weir_loop_deinit(&loop);
    *entries = f.entries;
    *ret_read = f.read;
    return err;
}

/* The file is a copy then: where it cannot be used Redis has to be there. */
static enum weir_err first_of_redis(const struct weir_config *config,
                                    struct weir_entries **ret_entries, char *ret_why, size_t room)
{
    bool read = false;
    struct weir_entries *entries;
    enum weir_err copy = weir_registry_file_read(config->registry, &entries, ret_why, room);
    if (copy != WEIR_OK && (entries = weir_entries_new()) == NULL) {
        return WEIR_ERR_NOMEM;
    }
    enum weir_err err = ask_redis(config, &entries, &read);
    if (err != WEIR_OK) {
        snprintf(ret_why, room, "%s", weir_err_name(err));
    } else if (!read && copy != WEIR_OK) {
        err = copy; /* ret_why says why */
    }
    if (err != WEIR_OK) {
        weir_entries_let_go(entries);
        return err;
    }
    if (copy != WEIR_OK) {
        weir_log(WEIR_LOG_WARN, "registry: %s; it is written anew", ret_why);
    } else if (!read) {
        weir_log(WEIR_LOG_WARN,
                 "registry: Redis is out of reach; starting with the %zu entries of %s",
                 entries->count, config->registry);
    }
    *ret_entries = entries;
    return WEIR_OK;
}

enum weir_err weir_registry_first(const struct weir_config *config,
                                  struct weir_entries **ret_entries, char *ret_why, size_t room)
{
    return config->store == WEIR_STORE_REDIS
               ? first_of_redis(config, ret_entries, ret_why, room)
               : weir_registry_file_read(config->registry, ret_entries, ret_why, room);
}
