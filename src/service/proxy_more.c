/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_more.c - the output of a stream, metered while it comes: when it outgrows what was reserved
 * the request takes more, a piece at a time, so that the limits see it and not only the settlement.
 * What does not fit is carried as debt, or ends the stream: as the plan says whose limit it was.
 *
 * A piece is taken when all before it are used up, so that only the last one and the first
 * reservation are ever settled. */
#include "base/clock.h"
#include "service/proxy.h"

enum { PIECE_MIN_TOKENS = 64, PIECES_PER_RESERVATION = 4 };

static uint64_t reserved_output(const struct weir_proxied *p)
{
    return p->call.reservation.reserved.of[WEIR_METER_OUTPUT_TOKENS];
}

static void settle_piece(struct weir_proxied *p, const struct weir_reservation *piece,
                         uint64_t output_tokens)
{
    weir_proxied_renew(p);
    struct weir_settle settle = {
        .subjects = p->call.subjects,
        .reservation = *piece,
        .used = weir_amounts(0, 0, output_tokens),
        .now_us = p->now_ns / 1000,
    };
    memcpy(settle.subject, p->call.subject, sizeof(settle.subject));
    /* as of the request itself */
    enum weir_err err = weir_store_settle(p->service->store, &settle);
    (void)err;
    weir_count_settled(p->service, &settle);
}

uint64_t weir_proxied_settle_more(struct weir_proxied *p, uint64_t output_tokens)
{
    if (p->more_taken == 0) {
        return output_tokens;
    }
    uint64_t earlier = p->more_taken - p->more_last, before = reserved_output(p) + earlier;
    uint64_t of_last = output_tokens <= before                 ? 0
                       : output_tokens - before < p->more_last ? output_tokens - before
                                                               : p->more_last;
    settle_piece(p, &p->more_reservation, of_last);
    p->more_taken = p->more_last = 0;
    return output_tokens - of_last > earlier ? output_tokens - of_last - earlier : 0;
}

static void decided(struct weir_call *call)
{
    struct weir_proxied *p = call->ctx;
    p->now_ns = weir_clock_ns();
    p->more_waiting = false;
    bool taken = call->outcome == WEIR_OUTCOME_DECIDED && call->decision.allowed;
    if (taken) {
        weir_count_more(p->service, call);
    }
    if (p->ended) { /* the stream was settled without it */
        if (taken) {
            settle_piece(p, &call->reservation, 0);
        }
        weir_proxied_end(p);
        return;
    }
    if (taken) {
        p->more_last = call->amounts.of[WEIR_METER_OUTPUT_TOKENS];
        p->more_taken += p->more_last;
        p->more_reservation = call->reservation; /* the next piece uses the call again */
    } else if (call->outcome == WEIR_OUTCOME_DECIDED) {
        p->cut_due = call->subject[call->decision.denied_subject]->plan->cut_on_overrun;
    }
}

void weir_proxied_meter(struct weir_proxied *p)
{
    uint64_t output = weir_progress_output(&p->reader.progress);
    if (output <= p->more_from || p->more_waiting || p->cut_due) {
        return;
    }
    uint64_t piece = reserved_output(p) / PIECES_PER_RESERVATION;
    piece = piece > PIECE_MIN_TOKENS ? piece : PIECE_MIN_TOKENS;
    piece += output - p->more_from; /* what came in one go */
    p->more_from += piece;
    weir_proxied_renew(p);
    p->more = (struct weir_call){
        .subjects = p->call.subjects,
        .amounts = weir_amounts(0, 0, piece),
        .now_us = weir_clock_us(),
        .done = decided,
        .ctx = p,
    };
    memcpy(p->more.subject, p->call.subject, sizeof(p->more.subject));
    p->more_waiting = true;
    if (weir_store_take(p->service->store, &p->more) != WEIR_PENDING) {
        decided(&p->more);
    }
}

void weir_proxied_cut_off(struct weir_proxied *p)
{
    const struct weir_failure f = {
        .status = 429,
        .message = WEIR_STR("The output has used up a rate limit, which ends this stream."),
        .type = "tokens",
        .code = "rate_limit_exceeded",
        .request_id = p->id,
    };
    weir_access_outcome(p->access, WEIR_ACCESS_CUT);
    weir_proxied_end_stream(p, &f);
}
