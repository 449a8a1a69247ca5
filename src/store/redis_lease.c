/* SPDX-License-Identifier: Apache-2.0 */
/* redis_lease.c - mode: lease. Requests are answered from budget that was taken ahead; those that
 * it does not cover wait for one call of their holding, which is sent at the end of the loop's
 * turn. */
#include "store/redis_lease.h"
#include "base/mem.h"
#include "store/shared.h"

enum { FLIGHTS_MAX = 256 };

_Static_assert((int)WEIR_HOLDING_BACK_MAX <= (int)WEIR_CALL_RETURNS_MAX,
               "one call takes all along");

static struct redis_store *self_of_turn(struct weir_turn_end *turn)
{
    return (struct redis_store *)((char *)turn - offsetof(struct redis_store, turn));
}

/* ---- holdings ---- */

/* The rest of a lease goes back, in this node's own record too. */
static void lapse(struct redis_store *self, struct weir_holding *h)
{
    struct weir_lease lease = h->lease;
    if (weir_lease_is_empty(&lease)) {
        return;
    }
    weir_holding_lapse(h);
    redis_count(&self->base.stats.lease_returns, 1);
    redis_lease_count(self, WEIR_LEASED_RETURNED, h->meters, &lease.left);
    redis_forget(self, h->named, h->subjects, &lease.left, lease.at_us);
}

/* Other plans are in force for its subjects: the next call asks by them. While one is under way its
 * answer is still read by the old ones. */
static void renew_if_outdated(struct redis_store *self, struct weir_holding *h,
                              const struct weir_subject *const *subject)
{
    if (!h->in_flight && WEIR_UNLIKELY(weir_holding_is_outdated(h, subject))) {
        lapse(self, h);
        weir_holding_renew(h, subject);
    }
}

/* NULL: no place, or no memory. */
static struct weir_holding *holding_of(struct redis_store *self,
                                       const struct weir_subject *const *subject, unsigned subjects,
                                       uint64_t now_us)
{
    struct weir_holding *h = weir_holdings_get(&self->holdings, subject, subjects, now_us);
    char key[WEIR_REDIS_KEY_MAX];
    if (h != NULL && !h->has_slot) {
        h->slot = weir_redis_shards_slot(self->shards, weir_redis_key(subject[0], key));
        h->has_slot = true;
    }
    if (h != NULL) {
        renew_if_outdated(self, h, subject);
    }
    return h;
}

/* ---- those who wait ---- */

bool redis_lease_finish(struct redis_store *self, struct weir_call *first)
{
    bool alive = true, *outer = self->alive;
    self->alive = &alive;
    for (struct weir_call *call = first, *next; call != NULL && alive; call = next) {
        next = call->next;
        call->done(call);
    }
    if (alive) {
        self->alive = outer;
    } else if (outer != NULL) {
        *outer = false;
    }
    return alive;
}

static void append_turn(struct redis_store *self, struct weir_holding *h)
{
    h->in_turn = true;
    h->_turn_next = NULL;
    *self->turn_last = h;
    self->turn_last = &h->_turn_next;
}

void redis_lease_call_this_turn(struct redis_store *self, struct weir_holding *h)
{
    if (!h->in_turn && !h->in_flight) {
        append_turn(self, h);
    }
    weir_loop_at_turn_end(self->loop, &self->turn);
}

static void look_again(struct redis_store *self, struct weir_holding *h, uint64_t now_us,
                       uint64_t at_us)
{
    weir_holdings_due(&self->holdings, h, now_us, at_us);
    if (!uv_is_active((uv_handle_t *)&self->timer->uv)) {
        uv_timer_start(&self->timer->uv, self->timer->uv.timer_cb, WEIR_HOLDINGS_TICK_US / 1000,
                       WEIR_HOLDINGS_TICK_US / 1000);
    }
}

void redis_lease_watch(struct redis_store *self, struct weir_holding *h, uint64_t now_us)
{
    if (!weir_lease_is_empty(&h->lease)) {
        look_again(self, h, now_us, h->lease.until_us);
    }
    if (weir_holding_has_news(h)) {
        look_again(self, h, now_us, now_us + h->life_us);
    }
}

bool redis_lease_decide_all_without_store(struct redis_store *self, struct weir_call *first)
{
    for (struct weir_call *call = first; call != NULL; call = call->next) {
        redis_decide_without_store(self, call);
    }
    return redis_lease_finish(self, first);
}

/* ---- the call ---- */

void redis_lease_count(struct redis_store *self, enum weir_leased_fate fate, unsigned meters,
                       const struct weir_amounts *a)
{
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        if (meters >> m & 1) {
            redis_count(&self->base.stats.leased[fate][m], a->of[m]);
        }
    }
}

void redis_lease_drop_if_left(struct redis_store *self, struct weir_holding *h)
{
    if (h->primary != NULL && (weir_primary_state(h->primary) == WEIR_PRIMARY_LEFT ||
                               atomic_load(&h->primary->begun_us) != h->begun_us)) {
        redis_lease_count(self, WEIR_LEASED_DROPPED, h->meters, &h->lease.left);
        weir_holding_drop(h);
    }
}

/* False: nothing was sent. */
static bool send_call(struct redis_store *self, struct weir_redis_conn *conn,
                      struct weir_holding *h, uint64_t now_us)
{
    struct weir_buf *out = weir_redis_conn_begin(conn);
    const struct weir_amounts *ask[WEIR_CALL_ASKS_MAX];
    struct weir_redis_lease lease = {.ask = ask, .back = h->back};
    if (out == NULL) {
        return false;
    }
    for (const struct weir_call *c = h->waiting; c != NULL && lease.asks < WEIR_CALL_ASKS_MAX;
         c = c->next) {
        ask[lease.asks++] = &c->amounts;
    }
    if (lease.asks > 0) {
        lapse(self, h); /* a worker holds one grant */
        lease.want = weir_demand_want(&h->demand, h->meters, now_us, h->life_us);
    }
    lease.returns = h->backs;
    const struct weir_redis_charge charge = {
        .subject = h->named,
        .subjects = h->subjects,
        .clock = weir_clock_rule_bounds(redis_lease_clock(self, h), now_us),
        .amounts = h->debt,
        .lease = &lease,
    };
    weir_redis_charge_command(out, self->sha, &charge);
    if (!weir_redis_conn_end(conn, LEASE, h, now_us)) {
        return false;
    }
    weir_holding_sent(h, lease.asks);
    return true;
}

/* On the way back each goes by itself. */
static bool take_both_all(struct redis_store *self, struct weir_call *first)
{
    struct weir_call *decided = NULL, **end = &decided;
    for (struct weir_call *call = first, *next; call != NULL; call = next) {
        next = call->next;
        if (redis_take_both(self, call) == WEIR_OK) {
            *end = call;
            end = &call->next;
        }
    }
    *end = NULL;
    return redis_lease_finish(self, decided);
}

/* False: the store was closed. */
static bool call_or_decide(struct redis_store *self, struct weir_holding *h)
{
    enum redis_way way;
    struct weir_redis_conn *conn = redis_conn_of(self, h->named, h->subjects, &way);
    if (conn != NULL && weir_redis_conn_in_flight(conn) >= FLIGHTS_MAX) {
        append_turn(self, h);
        return true;
    }
    redis_lease_drop_if_left(self, h);
    if (h->waiting != NULL) { /* the first of them came before the plans of the last did */
        renew_if_outdated(self, h, h->waiting->subject);
    }
    bool alone = way == REDIS_WAY_BOTH && h->waiting != NULL;
    uint64_t now_us = weir_clock_us();
    if (!alone && send_call(self, conn, h, now_us)) {
        return true;
    }
    struct weir_call *first = weir_holding_unwait(h, UINT32_MAX);
    redis_lease_watch(self, h, now_us); /* what goes back waits */
    return alone ? take_both_all(self, first) : redis_lease_decide_all_without_store(self, first);
}

/* Those of a shard that has enough under way wait for its answers, and hold up no other. */
static void run_turn(struct weir_turn_end *turn)
{
    struct redis_store *self = self_of_turn(turn);
    struct weir_holding *all = self->turn_first, *h;
    self->turn_first = NULL;
    self->turn_last = &self->turn_first;
    while ((h = all) != NULL) {
        all = h->_turn_next;
        h->in_turn = false;
        if (!call_or_decide(self, h)) {
            return;
        }
    }
}

static void on_timer(uv_timer_t *uv)
{
    struct redis_store *self = ((struct lease_timer *)uv)->store;
    uint64_t now_us = weir_clock_us();
    for (struct weir_holding *h; (h = weir_holdings_next_due(&self->holdings, now_us)) != NULL;) {
        redis_lease_drop_if_left(self, h);
        if (now_us >= h->lease.until_us) {
            lapse(self, h);
        }
        if (weir_holding_must_tell(h)) {
            redis_lease_call_this_turn(self, h);
        } else {
            redis_lease_watch(self, h, now_us);
        }
    }
    if (self->holdings.dues == 0) {
        uv_timer_stop(uv);
    }
}

/* ---- taking ---- */

enum weir_err redis_lease_take(struct redis_store *self, struct weir_call *call)
{
    struct weir_holding *h = holding_of(self, call->subject, call->subjects, call->now_us);
    if (h == NULL) {
        return redis_take_alone(self, call);
    }
    redis_lease_drop_if_left(self, h);
    uint64_t store_us = weir_clock_rule_store_us(redis_lease_clock(self, h), call->now_us);
    if (weir_holding_ask(h, call->now_us, store_us, &call->amounts, &call->decision) !=
        WEIR_HELD_ASK_STORE) {
        redis_lease_decide_held(self, h, call);
        return WEIR_OK;
    }
    enum redis_way way;
    struct weir_redis_conn *conn = redis_conn_of(self, call->subject, call->subjects, &way);
    if (way == REDIS_WAY_BOTH) {
        return redis_take_both(self, call);
    }
    if (way == REDIS_WAY_NONE || !weir_redis_conn_is_up(conn)) {
        redis_decide_without_store(self, call);
        return WEIR_OK;
    }
    weir_holding_wait(h, call);
    redis_lease_call_this_turn(self, h);
    return WEIR_PENDING;
}

void redis_leases_go_on(struct redis_store *self)
{
    if (self->turn_first != NULL) {
        weir_loop_at_turn_end(self->loop, &self->turn);
    }
}

/* ---- settling ---- */

/* What goes back counts at one primary, and is dropped with it: that of the lease, or the one that
 * there is now. False: there is none that has all of this process's record. What is taken out of
 * the record now is not charged again there, and must not go back there as well. */
static bool has_primary(struct redis_store *self, struct weir_holding *h)
{
    redis_lease_drop_if_left(self, h);
    const struct weir_primary *p =
        h->primary != NULL ? NULL : redis_over_primary(self, h->named[0]);
    uint64_t begun_us = p == NULL ? 0 : atomic_load(&p->begun_us); /* before its state */
    if (p != NULL && weir_primary_has_record(p)) {
        redis_lease_hold_of(h, p, begun_us);
    }
    return h->primary != NULL;
}

bool redis_lease_settle(struct redis_store *self, struct weir_settle *settle)
{
    const struct weir_reservation *r = &settle->reservation;
    struct weir_amounts less, more;
    if (self->config->mode != WEIR_MODE_LEASE || r->epoch != redis_granted_epoch(self) ||
        settle->done != NULL) {
        return false;
    }
    struct weir_holding *h = holding_of(self, settle->subject, settle->subjects, settle->now_us);
    weir_amounts_settle(&r->reserved, &settle->used, &less, &more);
    if (h == NULL || !has_primary(self, h) || !weir_holding_give_back(h, r->at_us, &less)) {
        return false;
    }
    weir_holding_owe(h, &more);
    redis_settle_copy(self, settle);
    settle->result = WEIR_SETTLE_DONE;
    redis_count_debt(self, settle);
    if (!weir_amounts_none(&more) || weir_holding_is_full(h)) {
        redis_lease_call_this_turn(self, h);
    } else {
        redis_lease_watch(self, h, settle->now_us);
    }
    return true;
}

/* ---- the beginning and the end ---- */

enum weir_err redis_leases_open(struct redis_store *self, struct weir_loop *loop)
{
    self->loop = loop;
    self->turn.run = run_turn;
    self->turn_last = &self->turn_first;
    self->timer = weir_zalloc(sizeof(*self->timer));
    if (self->timer == NULL) {
        return WEIR_ERR_NOMEM;
    }
    self->timer->store = self;
    uv_timer_init(&loop->uv, &self->timer->uv);
    self->timer->uv.timer_cb = on_timer;
    return weir_holdings_init(&self->holdings, self->config->max_subjects);
}

static void on_timer_closed(uv_handle_t *handle)
{
    weir_free(handle);
}

static void give_all_back(struct redis_store *self)
{
    uint64_t now_us = weir_clock_us();
    for (uint32_t i = 0; i < self->holdings.buckets; i++) {
        for (struct weir_holding *h = self->holdings.bucket[i]; h != NULL; h = h->_next) {
            (void)weir_holding_unwait(h, UINT32_MAX); /* dropped: nobody is called */
            lapse(self, h);
            if (weir_holding_has_news(h)) {
                /* as far as its connection takes it: else it counts until its window is over */
                enum redis_way way;
                (void)send_call(self, redis_conn_of(self, h->named, h->subjects, &way), h, now_us);
            }
        }
    }
}

void redis_leases_close(struct redis_store *self)
{
    if (self->alive != NULL) {
        *self->alive = false;
    }
    if (self->timer == NULL) {
        return;
    }
    if (self->shards != NULL) {
        give_all_back(self);
    }
    weir_loop_turn_end_cancel(self->loop, &self->turn);
    uv_close((uv_handle_t *)&self->timer->uv, on_timer_closed);
    self->timer = NULL;
    weir_holdings_deinit(&self->holdings);
}
