/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/conn.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"
#include "store/redis/command.h"
#include "store/redis/greet.h"
#include "store/redis/link.h"
#include "store/redis/over.h"

enum {
    OUT_BYTES_MAX = 128 << 20,
    ANSWER_BYTES_MAX = 16 << 20,
    KEEP_BYTES = 64 * 1024,
    SLOTS_FIRST = 64,
    ASKING_BYTES = sizeof("*1\r\n$6\r\nASKING\r\n"),
    TICKS = 5, /* looks at silence in one time-out */
};

/* A command that waits for its answer. Its bytes stay in `out` until then. */
struct slot {
    void *ptr;
    uint64_t sent_us;
    uint32_t bytes;
    uint8_t what;
    uint8_t hops; /* how many servers have sent it on to another */
    bool asking;  /* ASKING was said before it */
    bool resent;
};

struct weir_redis_conn {
    struct weir_loop *loop;
    const struct weir_redis_target *target;
    const struct weir_redis_tls *tls; /* NULL: in clear */
    struct weir_redis_owner owner;
    enum weir_redis_state state;
    struct redis_link *link; /* NULL: waiting */
    redisReader *reader;     /* NULL: waiting */
    uv_timer_t timer;
    struct weir_turn_end flush;
    struct weir_buf out;             /* answered up to `answered`, written up to `written` */
    size_t answered, written, ended; /* ended: the last whole command's end */
    struct slot *slot;               /* a ring; `slots` is a power of two */
    uint32_t slots, first, in_flight;
    size_t unread;        /* bytes since the last whole answer */
    uint64_t heard_us;    /* the last sign of life */
    uint32_t back_off_ms; /* before the next try */
    uint32_t address;     /* which of the name's addresses to try */
    bool ticking, suspect, loading, closed;
    struct weir_rand jitter;
    struct weir_redis_identity identity;
    const struct slot *asked; /* what on_reply is about, during that call */
};

static void down(struct weir_redis_conn *c, enum weir_redis_why why, const char *text);

/* ---- one try ---- */

static void reader_free(struct weir_redis_conn *c)
{
    if (c->reader != NULL) {
        redisReaderFree(c->reader);
        c->reader = NULL;
    }
}

static void link_give_up(struct weir_redis_conn *c)
{
    struct redis_link *l = c->link;
    c->link = NULL;
    redis_link_close(l);
}

static void on_open(void *ctx)
{
    struct weir_redis_conn *c = ctx;
    c->state = WEIR_REDIS_GREETING;
    enum redis_greeting last = redis_greeting_last(c->target);
    for (unsigned what = REDIS_AUTH; what <= last; what++) {
        if (redis_greeting_command(&c->out, c->target, (enum redis_greeting)what) &&
            !weir_redis_conn_end(c, (uint8_t)what, NULL, weir_clock_us())) {
            down(c, WEIR_REDIS_OUT_OF_REACH, "cannot be greeted: out of memory");
            return;
        }
    }
}

/* ---- reading ---- */

static struct slot *slot_at(struct weir_redis_conn *c, uint32_t i)
{
    return &c->slot[(c->first + i) & (c->slots - 1)];
}

static struct slot slot_pop(struct weir_redis_conn *c)
{
    struct slot s = *slot_at(c, 0);
    c->first++;
    c->in_flight--;
    c->answered += s.bytes;
    return s;
}

/* Lets go of the bytes that were answered. */
static void out_trim(struct weir_redis_conn *c)
{
    if (c->in_flight == 0 && c->written == c->out.len) {
        if (c->out.room > KEEP_BYTES) {
            weir_buf_deinit(&c->out);
        }
        weir_buf_reset(&c->out);
        c->answered = c->written = c->ended = 0;
    } else if (c->answered > KEEP_BYTES && c->answered > c->out.len / 2) {
        weir_buf_consume(&c->out, c->answered);
        c->written -= c->answered;
        c->ended -= c->answered;
        c->answered = 0;
    }
}

/* Appends the bytes of a command that was sent before; what else is known of it comes from `s`. */
static bool send_as(struct weir_redis_conn *c, struct weir_str bytes, const struct slot *s,
                    uint64_t now_us)
{
    static const struct weir_str asking = {"ASKING", 6};
    if (s->asking) {
        weir_redis_command(&c->out, &asking, 1);
        if (!weir_redis_conn_end(c, REDIS_ASKING, NULL, now_us)) {
            return false;
        }
    }
    weir_buf_str(&c->out, bytes);
    if (!weir_redis_conn_end(c, s->what, s->ptr, now_us)) {
        return false;
    }
    struct slot *sent = slot_at(c, c->in_flight - 1);
    sent->sent_us = s->sent_us;
    sent->hops = s->hops;
    sent->asking = s->asking;
    return true;
}

/* Its bytes, while the answer is handled. */
static struct weir_str bytes_of(const struct weir_redis_conn *c, const struct slot *s)
{
    return weir_str(c->out.data + c->answered - s->bytes, s->bytes);
}

/* The scripts are gone (a restart, SCRIPT FLUSH), and so the command was not executed: all are sent
 * again. The bytes name the moment at which they were first sent, and that stays their time.
 * False: there is no memory. */
static bool send_again(struct weir_redis_conn *c, const struct slot *s, uint64_t now_us)
{
    if (!c->loading) {
        for (unsigned what = REDIS_OVER_SCRIPT; what <= REDIS_SCRIPT; what++) {
            redis_greeting_command(&c->out, c->target, (enum redis_greeting)what);
            if (!weir_redis_conn_end(c, (uint8_t)what, NULL, now_us)) {
                return false;
            }
        }
        c->loading = true;
    }
    /* room first: the bytes that are copied may move; without room weir_redis_conn_end says so */
    if (!weir_buf_reserve(&c->out, s->bytes + ASKING_BYTES) ||
        !send_as(c, bytes_of(c, s), s, now_us)) {
        c->out.failed = false;
        return false;
    }
    struct slot *again = slot_at(c, c->in_flight - 1);
    again->sent_us = s->sent_us;
    again->resent = true;
    return true;
}

static void on_greeted(struct weir_redis_conn *c, const struct slot *s, const redisReply *reply)
{
    char text[REDIS_WHY_BYTES];
    enum weir_redis_why why;
    if (!redis_greeting_check(c->target, (enum redis_greeting)s->what, reply, &why, text)) {
        down(c, why, text);
        return;
    }
    if (s->what == REDIS_SCRIPT) {
        c->loading = false;
    } else if (s->what == REDIS_INFO && redis_keeps_windows(c->target)) {
        bool read = weir_redis_identity_read(reply, &c->identity);
        WEIR_ASSERT(read); /* the check has */
    }
    if (c->state == WEIR_REDIS_GREETING && s->what == redis_greeting_last(c->target)) {
        c->state = WEIR_REDIS_UP;
        uv_timer_stop(&c->timer);
        c->owner.on_up(c->owner.ctx);
    }
}

static void on_reply(struct weir_redis_conn *c, const redisReply *reply, uint64_t now_us)
{
    /* an answer to what was not even written would leave `answered` past `written` */
    if (c->in_flight == 0 || c->answered + slot_at(c, 0)->bytes > c->written) {
        down(c, WEIR_REDIS_OUT_OF_REACH, "said something unasked");
        return;
    }
    struct slot s = slot_pop(c);
    bool no_script =
        reply->type == REDIS_REPLY_ERROR &&
        weir_str_starts(weir_str(reply->str, (size_t)reply->len), WEIR_STR("NOSCRIPT"));
    if (s.what == REDIS_ASKING) {
        return; /* the answer to what follows it counts */
    }
    if (s.what >= REDIS_AUTH) {
        on_greeted(c, &s, reply);
        return;
    }
    c->back_off_ms = 0; /* not before: one that greets and then fails is no better */
    if (!no_script || s.resent || !send_again(c, &s, now_us)) {
        c->asked = &s;
        const char *useless = c->owner.on_reply(c->owner.ctx, s.what, s.ptr, reply, s.sent_us);
        c->asked = NULL;
        if (useless != NULL) {
            down(c, WEIR_REDIS_OUT_OF_REACH, useless);
        }
    }
}

static void on_bytes(void *ctx, const char *bytes, size_t len)
{
    struct weir_redis_conn *c = ctx;
    struct redis_link *l = c->link;
    void *reply = NULL;
    uint64_t now_us = weir_clock_us();
    c->heard_us = now_us;
    c->suspect = false;
    if (redisReaderFeed(c->reader, bytes, len) != REDIS_OK) {
        down(c, WEIR_REDIS_OUT_OF_REACH, "cannot be read: out of memory");
        return;
    }
    c->unread += len;
    while (c->link == l && redisReaderGetReply(c->reader, &reply) == REDIS_OK && reply != NULL) {
        c->unread = c->reader->len - c->reader->pos;
        on_reply(c, reply, now_us);
        freeReplyObject(reply);
        reply = NULL;
    }
    if (c->link != l) {
        return;
    }
    if (c->reader->err != 0 || c->unread > ANSWER_BYTES_MAX) {
        down(c, WEIR_REDIS_OUT_OF_REACH, "does not speak RESP");
        return;
    }
    out_trim(c);
}

static void on_broken(void *ctx, enum weir_redis_why why, const char *text)
{
    down(ctx, why, text);
}

/* ---- writing ---- */

static void on_writable(void *ctx)
{
    struct weir_redis_conn *c = ctx;
    weir_loop_at_turn_end(c->loop, &c->flush);
}

static void run_flush(struct weir_turn_end *w)
{
    struct weir_redis_conn *c =
        (struct weir_redis_conn *)((char *)w - offsetof(struct weir_redis_conn, flush));
    if (c->link == NULL || c->state < WEIR_REDIS_GREETING) {
        return;
    }
    while (c->written < c->out.len && !redis_link_busy(c->link)) {
        size_t taken;
        const char *why =
            redis_link_write(c->link, c->out.data + c->written, c->out.len - c->written, &taken);
        if (why != NULL) {
            down(c, WEIR_REDIS_OUT_OF_REACH, why);
            return;
        }
        c->written += taken;
    }
}

/* ---- connecting ---- */

static void on_timer(uv_timer_t *timer);

static void try_connect(struct weir_redis_conn *c)
{
    const struct redis_link_owner owner = {
        .ctx = c,
        .on_open = on_open,
        .on_bytes = on_bytes,
        .on_writable = on_writable,
        .on_broken = on_broken,
    };
    c->state = WEIR_REDIS_CONNECTING;
    c->reader = redisReaderCreate();
    if (c->reader == NULL) {
        down(c, WEIR_REDIS_OUT_OF_REACH, "cannot be reached: out of memory");
        return;
    }
    uv_timer_start(&c->timer, on_timer, c->target->connect_timeout_ms, 0);
    const char *why = redis_link_open(c->loop, c->target, c->tls, c->address, &owner, &c->link);
    if (why != NULL) {
        down(c, WEIR_REDIS_OUT_OF_REACH, why);
    }
}

/* ---- silence, and the next try ---- */

static void drop_all(struct weir_redis_conn *c)
{
    while (c->in_flight > 0) {
        struct slot s = slot_pop(c);
        if (s.what < REDIS_AUTH && !c->closed) {
            c->owner.on_lost(c->owner.ctx, s.what, s.ptr);
        }
    }
    weir_buf_reset(&c->out);
    c->answered = c->written = c->ended = 0;
}

static void down(struct weir_redis_conn *c, enum weir_redis_why why, const char *text)
{
    if (c->closed || c->state == WEIR_REDIS_WAITING) {
        return;
    }
    c->address += c->state != WEIR_REDIS_UP; /* next time another, where the name has several */
    c->state = WEIR_REDIS_WAITING;
    c->ticking = c->suspect = c->loading = false;
    c->unread = 0;
    link_give_up(c);
    reader_free(c);
    drop_all(c);
    if (c->closed) { /* by one of those that were lost */
        return;
    }
    /* twice as long each time; spread, so that not all nodes come back in one moment */
    c->back_off_ms = c->back_off_ms == 0                               ? WEIR_REDIS_BACK_OFF_MIN_MS
                     : 2 * c->back_off_ms < WEIR_REDIS_BACK_OFF_MAX_MS ? 2 * c->back_off_ms
                                                                       : WEIR_REDIS_BACK_OFF_MAX_MS;
    uint64_t pause_ms = c->back_off_ms / 2 + weir_rand_u64(&c->jitter) % c->back_off_ms;
    uv_timer_start(&c->timer, on_timer, pause_ms, 0);
    c->owner.on_down(c->owner.ctx, why, text);
}

static uint64_t tick_ms(const struct weir_redis_conn *c)
{
    return c->target->timeout_ms / TICKS + 1;
}

/* A worker that was busy itself finds the answers with its next look at the socket: silence counts
 * when it is still there one tick later. */
static void tick(struct weir_redis_conn *c)
{
    if (c->in_flight == 0) {
        uv_timer_stop(&c->timer);
        c->ticking = false;
        return;
    }
    if (weir_clock_us() - c->heard_us < (uint64_t)c->target->timeout_ms * 1000) {
        return;
    }
    if (c->suspect) {
        down(c, WEIR_REDIS_OUT_OF_REACH, "is silent");
        return;
    }
    c->suspect = true;
}

static void on_timer(uv_timer_t *timer)
{
    struct weir_redis_conn *c = timer->data;
    switch (c->state) {
    case WEIR_REDIS_WAITING:
        try_connect(c);
        break;
    case WEIR_REDIS_CONNECTING:
        down(c, WEIR_REDIS_OUT_OF_REACH,
             redis_link_is_connected(c->link) ? "does not answer with TLS"
                                              : "cannot be connected to: nobody answers");
        break;
    case WEIR_REDIS_GREETING:
        down(c, WEIR_REDIS_OUT_OF_REACH, "is silent");
        break;
    case WEIR_REDIS_UP:
        tick(c);
        break;
    }
}

/* ---- the owner's side ---- */

bool weir_redis_conn_is_up(const struct weir_redis_conn *c)
{
    return c->state == WEIR_REDIS_UP;
}

const struct weir_redis_identity *weir_redis_conn_identity(const struct weir_redis_conn *c)
{
    WEIR_ASSERT(c->state == WEIR_REDIS_UP && redis_keeps_windows(c->target));
    return &c->identity;
}

struct weir_buf *weir_redis_conn_begin(struct weir_redis_conn *c)
{
    return c != NULL && c->state == WEIR_REDIS_UP && c->in_flight < WEIR_REDIS_IN_FLIGHT_MAX
               ? &c->out
               : NULL;
}

static bool slots_grow(struct weir_redis_conn *c)
{
    uint32_t slots = c->slots == 0 ? SLOTS_FIRST : c->slots * 2;
    struct slot *slot = weir_zalloc_array(slots, sizeof(*slot));
    if (slot == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < c->in_flight; i++) {
        slot[i] = *slot_at(c, i);
    }
    weir_free(c->slot);
    c->slot = slot;
    c->slots = slots;
    c->first = 0;
    return true;
}

bool weir_redis_conn_end(struct weir_redis_conn *c, uint8_t what, void *ptr, uint64_t now_us)
{
    if (c->out.failed || (c->in_flight == c->slots && !slots_grow(c))) {
        c->out.failed = false;
        c->out.len = c->ended;
        return false;
    }
    if (c->in_flight == 0) {
        c->heard_us = now_us; /* silence begins with the first question */
    }
    struct slot *s = slot_at(c, c->in_flight);
    *s = (struct slot){.ptr = ptr, .sent_us = now_us, .what = what};
    s->bytes = (uint32_t)(c->out.len - c->ended);
    c->ended = c->out.len;
    c->in_flight++;
    if (c->state == WEIR_REDIS_UP && !c->ticking) {
        c->ticking = true;
        uv_timer_start(&c->timer, on_timer, tick_ms(c), tick_ms(c));
    }
    weir_loop_at_turn_end(c->loop, &c->flush);
    return true;
}

uint32_t weir_redis_conn_in_flight(const struct weir_redis_conn *c)
{
    return c->in_flight;
}

void weir_redis_conn_break(struct weir_redis_conn *c, const char *why)
{
    down(c, WEIR_REDIS_OUT_OF_REACH, why);
}

bool weir_redis_conn_is_idle(const struct weir_redis_conn *c)
{
    return c->in_flight == 0;
}

struct weir_redis_asked weir_redis_conn_asked(const struct weir_redis_conn *c)
{
    return (struct weir_redis_asked){
        .bytes = bytes_of(c, c->asked),
        .ptr = c->asked->ptr,
        .sent_us = c->asked->sent_us,
        .what = c->asked->what,
        .hops = c->asked->hops,
        .asking = c->asked->asking,
    };
}

bool weir_redis_conn_send(struct weir_redis_conn *c, const struct weir_redis_asked *asked,
                          uint64_t now_us)
{
    const struct slot as = {
        .ptr = asked->ptr,
        .sent_us = asked->sent_us,
        .what = asked->what,
        .hops = asked->hops,
        .asking = asked->asking,
    };
    return weir_redis_conn_begin(c) != NULL && send_as(c, asked->bytes, &as, now_us);
}

enum weir_err weir_redis_conn_open(struct weir_loop *loop, const struct weir_redis_target *target,
                                   const struct weir_redis_tls *tls,
                                   const struct weir_redis_owner *owner,
                                   struct weir_redis_conn **ret_conn)
{
    struct weir_redis_conn *c = weir_zalloc(sizeof(*c));
    if (c == NULL) {
        return WEIR_ERR_NOMEM;
    }
    uint64_t seed;
    weir_random_bytes(&seed, sizeof(seed));
    weir_rand_init(&c->jitter, seed);
    weir_buf_init(&c->out, OUT_BYTES_MAX);
    c->loop = loop;
    c->target = target;
    c->tls = tls;
    c->owner = *owner;
    c->flush.run = run_flush;
    c->timer.data = c;
    uv_timer_init(&loop->uv, &c->timer);
    uv_timer_start(&c->timer, on_timer, 0, 0); /* waiting, for no time */
    *ret_conn = c;
    return WEIR_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct weir_redis_conn *c = handle->data;
    reader_free(c);
    weir_buf_deinit(&c->out);
    weir_free(c->slot);
    weir_free(c);
}

void weir_redis_conn_close(struct weir_redis_conn *c)
{
    c->closed = true;
    run_flush(&c->flush); /* what waits, as the last settlements */
    weir_loop_turn_end_cancel(c->loop, &c->flush);
    link_give_up(c);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
