/* SPDX-License-Identifier: Apache-2.0 */
/* headers.c - what answers say of limits, and a denial in OpenAI's words. */
#include "service/service.h"

enum { RETRY_WORTH_WAITING_US = 60000000 };

void weir_request_id(struct weir_service *s, char ret_id[static WEIR_REQUEST_ID_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    memcpy(ret_id, "req_", 4);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t bits = weir_rand_u64(&s->ids);
        for (unsigned k = 0; k < 16; k++, bits >>= 4) {
            ret_id[4 + 16 * i + k] = hex[bits & 15];
        }
    }
}

static const struct weir_str request_id_field = WEIR_STR_INIT("x-request-id: ");

struct weir_buf *weir_head(struct weir_service *s, const char *id)
{
    char made[WEIR_REQUEST_ID_BYTES];
    if (id == NULL) {
        weir_request_id(s, made);
        id = made;
    }
    weir_buf_reset(&s->head);
    weir_buf_str(&s->head, request_id_field);
    weir_buf_append(&s->head, id, WEIR_REQUEST_ID_BYTES);
    WEIR_BUF_LIT(&s->head, "\r\n");
    return &s->head;
}

const char *weir_head_id(struct weir_str headers)
{
    bool begun = weir_str_starts(headers, request_id_field) &&
                 headers.len >= request_id_field.len + WEIR_REQUEST_ID_BYTES;
    return begun ? headers.p + request_id_field.len : NULL;
}

/* Milliseconds as seconds without needless zeros: 1500 is "1.5s". */
static void seconds(struct weir_buf *b, uint64_t ms)
{
    weir_buf_u64(b, ms / 1000);
    unsigned rest = (unsigned)(ms % 1000);
    if (rest > 0) {
        char digits[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                          (char)('0' + rest % 10)};
        size_t len = 4;
        while (digits[len - 1] == '0') {
            len--;
        }
        weir_buf_append(b, digits, len);
    }
    weir_buf_char(b, 's');
}

void weir_duration(struct weir_buf *b, uint64_t us)
{
    uint64_t ms = weir_retry_ms(us);
    if (ms > 0 && ms < 1000) {
        weir_buf_u64(b, ms);
        WEIR_BUF_LIT(b, "ms");
        return;
    }
    if (ms >= 3600000) {
        weir_buf_u64(b, ms / 3600000);
        weir_buf_char(b, 'h');
    }
    if (ms >= 60000) {
        weir_buf_u64(b, ms / 60000 % 60);
        weir_buf_char(b, 'm');
        ms %= 60000;
    }
    seconds(b, ms);
}

/* The more restrictive one of two; either may be NULL. */
static const struct weir_limit_state *tighter(const struct weir_limit_state *a,
                                              const struct weir_limit_state *b)
{
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    return weir_limit_remaining(b) < weir_limit_remaining(a) ? b : a;
}

/* Of all limits of a meter over all subjects the one with the least left; NULL without any. Those
 * in shadow are not told: a client would slow down for them. */
static const struct weir_limit_state *tightest(const struct weir_decision *d, unsigned meter)
{
    const struct weir_limit_state *found = NULL;
    for (unsigned i = 0; i < d->states; i++) {
        if (d->state[i].meter == meter && !d->state[i].shadow) {
            found = tighter(found, &d->state[i]);
        }
    }
    return found;
}

static void name(struct weir_buf *b, const struct weir_rate_name *n, struct weir_str meter)
{
    weir_buf_str(b, n->before);
    weir_buf_str(b, meter);
    weir_buf_str(b, n->behind);
}

void weir_headers_rate(struct weir_buf *b, const struct weir_decision *d,
                       const struct weir_rate_form *f, uint64_t wall_s)
{
    const struct weir_limit_state *input = tightest(d, WEIR_METER_INPUT_TOKENS);
    const struct weir_limit_state *output = tightest(d, WEIR_METER_OUTPUT_TOKENS);
    const struct weir_limit_state *total = tightest(d, WEIR_METER_TOTAL_TOKENS);
    const struct {
        struct weir_str meter;
        const struct weir_limit_state *state;
    } rows[] = {
        {WEIR_STR_INIT("requests"), tightest(d, WEIR_METER_REQUESTS)},
        {WEIR_STR_INIT("tokens"), total != NULL ? total : tighter(input, output)},
        {WEIR_STR_INIT("input-tokens"), input},
        {WEIR_STR_INIT("output-tokens"), output},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct weir_limit_state *s = rows[i].state;
        if (s == NULL) {
            continue;
        }
        name(b, &f->limit, rows[i].meter);
        weir_buf_u64(b, s->capacity);
        WEIR_BUF_LIT(b, "\r\n");
        name(b, &f->remaining, rows[i].meter);
        weir_buf_u64(b, weir_limit_remaining(s));
        WEIR_BUF_LIT(b, "\r\n");
        name(b, &f->reset, rows[i].meter);
        f->moment(b, s->reset_us, wall_s);
        WEIR_BUF_LIT(b, "\r\n");
    }
}

void weir_headers_retry(struct weir_buf *b, const struct weir_call *call)
{
    const struct weir_decision *d = &call->decision;
    WEIR_BUF_LIT(b, "x-weir-limited-by: ");
    weir_buf_str(b, weir_str_z(weir_meter_name(d->denied_meter)));
    WEIR_BUF_LIT(b, "\r\nx-weir-limited-subject: ");
    weir_buf_str(b, call->subject[d->denied_subject]->name);
    WEIR_BUF_LIT(b, "\r\n");
    if (d->retry_after_us == WEIR_RETRY_NEVER) {
        WEIR_BUF_LIT(b, "x-should-retry: false\r\n");
        return;
    }
    uint64_t ms = weir_retry_ms(d->retry_after_us);
    uint64_t s = (ms + 999) / 1000;
    WEIR_BUF_LIT(b, "retry-after-ms: ");
    weir_buf_u64(b, ms);
    WEIR_BUF_LIT(b, "\r\nretry-after: ");
    weir_buf_u64(b, s > 0 ? s : 1);
    if (d->retry_after_us > RETRY_WORTH_WAITING_US) {
        WEIR_BUF_LIT(b, "\r\nx-should-retry: false\r\n");
    } else {
        WEIR_BUF_LIT(b, "\r\nx-should-retry: true\r\n");
    }
}

void weir_limit_words(struct weir_buf *b, enum weir_meter meter, uint32_t window_s)
{
    static const char *const names[WEIR_METERS] = {"requests", "input tokens", "output tokens",
                                                   "tokens"};
    static const struct {
        uint32_t window_s;
        const char *words, *letter;
    } lengths[] = {{1, "sec", "S"}, {60, "min", "M"}, {3600, "hour", "H"}, {86400, "day", "D"}};
    weir_buf_str(b, weir_str_z(names[meter]));
    WEIR_BUF_LIT(b, " per ");
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        if (lengths[i].window_s == window_s) {
            weir_buf_str(b, weir_str_z(lengths[i].words));
            weir_buf_str(b, meter == WEIR_METER_REQUESTS ? WEIR_STR(" (RP") : WEIR_STR(" (TP"));
            weir_buf_str(b, weir_str_z(lengths[i].letter));
            weir_buf_char(b, ')');
            return;
        }
    }
    weir_buf_u64(b, window_s);
    weir_buf_char(b, 's');
}

static const struct weir_limit_state *denied_state(const struct weir_decision *d)
{
    for (unsigned i = 0; i < d->states; i++) {
        if (d->state[i].subject == d->denied_subject && d->state[i].meter == d->denied_meter &&
            d->state[i].window_s == d->denied_window_s) {
            return &d->state[i];
        }
    }
    WEIR_ASSERT(false && "a denial names one of its limits");
    return NULL;
}

/* Clients read "Limit N, Used N, Requested N" and "try again in T" out of them. */
static void write_denial(struct weir_buf *b, const struct weir_call *call, struct weir_str model)
{
    const struct weir_decision *d = &call->decision;
    const struct weir_limit_state *s = denied_state(d);
    bool never = d->retry_after_us == WEIR_RETRY_NEVER;
    weir_buf_str(b,
                 never ? WEIR_STR("Request too large for ") : WEIR_STR("Rate limit reached for "));
    weir_buf_str(b, model);
    WEIR_BUF_LIT(b, " in organization ");
    weir_buf_str(b, call->subject[d->denied_subject]->name);
    WEIR_BUF_LIT(b, " on ");
    weir_limit_words(b, s->meter, s->window_s);
    WEIR_BUF_LIT(b, ": Limit ");
    weir_buf_u64(b, s->capacity);
    if (!never) {
        WEIR_BUF_LIT(b, ", Used ");
        weir_buf_u64(b, s->used);
    }
    WEIR_BUF_LIT(b, ", Requested ");
    weir_buf_u64(b, call->amounts.of[s->meter]);
    if (never) {
        WEIR_BUF_LIT(b, ". The input or output tokens must be reduced in order to run "
                        "successfully.");
    } else {
        WEIR_BUF_LIT(b, ". Please try again in ");
        weir_duration(b, d->retry_after_us);
        weir_buf_char(b, '.');
    }
}

struct weir_str weir_denial_words(struct weir_buf *space, const struct weir_call *call,
                                  struct weir_str model, char text[static WEIR_DENIAL_MAX])
{
    weir_buf_reset(space);
    write_denial(space, call, model);
    return weir_str(text, weir_str_copy(weir_buf_view(space), text, WEIR_DENIAL_MAX));
}

void weir_denial_json(struct weir_buf *b, const struct weir_call *call)
{
    const struct weir_decision *d = &call->decision;
    WEIR_BUF_LIT(b, "\"denied_by\":{\"subject\":");
    weir_buf_json(b, call->subject[d->denied_subject]->name);
    WEIR_BUF_LIT(b, ",\"meter\":\"");
    weir_buf_str(b, weir_str_z(weir_meter_name(d->denied_meter)));
    WEIR_BUF_LIT(b, "\",\"window_s\":");
    weir_buf_u64(b, d->denied_window_s);
    WEIR_BUF_LIT(b, "},\"retry_after_ms\":");
    if (d->retry_after_us == WEIR_RETRY_NEVER) {
        WEIR_BUF_LIT(b, "null");
    } else {
        weir_buf_u64(b, weir_retry_ms(d->retry_after_us));
    }
}

void weir_limits_json(struct weir_buf *b, const struct weir_call *call)
{
    weir_buf_char(b, '[');
    for (unsigned i = 0; i < call->decision.states; i++) {
        const struct weir_limit_state *s = &call->decision.state[i];
        if (i > 0) {
            weir_buf_char(b, ',');
        }
        WEIR_BUF_LIT(b, "{\"subject\":");
        weir_buf_json(b, call->subject[s->subject]->name);
        WEIR_BUF_LIT(b, ",\"meter\":\"");
        weir_buf_str(b, weir_str_z(weir_meter_name(s->meter)));
        WEIR_BUF_LIT(b, "\",\"window_s\":");
        weir_buf_u64(b, s->window_s);
        WEIR_BUF_LIT(b, ",\"capacity\":");
        weir_buf_u64(b, s->capacity);
        WEIR_BUF_LIT(b, ",\"used\":");
        weir_buf_u64(b, s->used);
        WEIR_BUF_LIT(b, ",\"remaining\":");
        weir_buf_u64(b, weir_limit_remaining(s));
        WEIR_BUF_LIT(b, ",\"reset_ms\":");
        weir_buf_u64(b, weir_retry_ms(s->reset_us));
        if (s->shadow) {
            WEIR_BUF_LIT(b, ",\"shadow\":true");
        }
        weir_buf_char(b, '}');
    }
    weir_buf_char(b, ']');
}
