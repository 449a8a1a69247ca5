/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/audit.h"

#include "base/mem.h"

enum { ROOM_FIRST = 1024, SUBJECT_BYTES_MAX = 1 << 30 };

struct weir_audit_charge {
    uint64_t sent_us, received_us;
    uint64_t requests, input_tokens, output_tokens;
    uint32_t subject; /* its number in `subjects` */
};

void weir_audit_init(struct weir_audit *a)
{
    *a = (struct weir_audit){.first_us = UINT64_MAX};
    weir_names_init(&a->subjects, SUBJECT_BYTES_MAX);
}

void weir_audit_deinit(struct weir_audit *a)
{
    weir_names_deinit(&a->subjects);
    weir_free(a->_charge);
    weir_free(a->_by_sent);
    weir_free(a->_by_received);
    weir_free(a->_begin);
    weir_free(a->_by_name);
}

/* ---- adding ---- */

static enum weir_err make_room(struct weir_audit *a)
{
    if (a->charges < a->_room) {
        return WEIR_OK;
    }
    uint32_t room = a->_room == 0 ? ROOM_FIRST : a->_room + a->_room / 2;
    room = room > WEIR_AUDIT_CHARGES_MAX ? WEIR_AUDIT_CHARGES_MAX : room;
    if (a->charges == room) {
        return WEIR_ERR_LIMIT;
    }
    struct weir_audit_charge *charge = weir_realloc(a->_charge, room * sizeof(*charge));
    if (charge == NULL) {
        return WEIR_ERR_NOMEM;
    }
    a->_charge = charge;
    a->_room = room;
    return WEIR_OK;
}

enum weir_err weir_audit_add(struct weir_audit *a, const struct weir_record *r)
{
    uint64_t total[WEIR_METERS];
    uint32_t subject;
    WEIR_TRY(make_room(a));
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        /* so that no sum of some of them can pass it either */
        if (__builtin_add_overflow(a->_total[m], r->amounts.of[m], &total[m])) {
            return WEIR_ERR_LIMIT;
        }
    }
    WEIR_TRY(weir_names_number(&a->subjects, r->subject, &subject));
    memcpy(a->_total, total, sizeof(total));
    a->_charge[a->charges++] = (struct weir_audit_charge){
        .sent_us = r->sent_us,
        .received_us = r->received_us,
        .requests = r->amounts.of[WEIR_METER_REQUESTS],
        .input_tokens = r->amounts.of[WEIR_METER_INPUT_TOKENS],
        .output_tokens = r->amounts.of[WEIR_METER_OUTPUT_TOKENS],
        .subject = subject,
    };
    a->first_us = r->sent_us < a->first_us ? r->sent_us : a->first_us;
    a->last_us = r->received_us > a->last_us ? r->received_us : a->last_us;
    return WEIR_OK;
}

/* ---- arranging ---- */

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_sent(const void *x, const void *y, void *ctx)
{
    const struct weir_audit_charge *charge = ctx;
    const struct weir_audit_charge *a = &charge[*(const uint32_t *)x];
    const struct weir_audit_charge *b = &charge[*(const uint32_t *)y];
    return a->subject != b->subject ? compare(a->subject, b->subject)
                                    : compare(a->sent_us, b->sent_us);
}

static int compare_received(const void *x, const void *y, void *ctx)
{
    const struct weir_audit_charge *charge = ctx;
    const struct weir_audit_charge *a = &charge[*(const uint32_t *)x];
    const struct weir_audit_charge *b = &charge[*(const uint32_t *)y];
    return a->subject != b->subject ? compare(a->subject, b->subject)
                                    : compare(a->received_us, b->received_us);
}

static int compare_name(const void *x, const void *y, void *ctx)
{
    const struct weir_names *names = ctx;
    struct weir_str a = weir_names_text(names, *(const uint32_t *)x);
    struct weir_str b = weir_names_text(names, *(const uint32_t *)y);
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : compare(a.len, b.len);
}

/* 0 to count - 1, sorted; NULL without memory. */
static uint32_t *sorted(uint32_t count, int (*order)(const void *, const void *, void *), void *ctx)
{
    uint32_t *index = weir_zalloc_array((size_t)count + 1, sizeof(*index));
    for (uint32_t i = 0; index != NULL && i < count; i++) {
        index[i] = i;
    }
    if (index != NULL) {
        qsort_r(index, count, sizeof(*index), order, ctx);
    }
    return index;
}

enum weir_err weir_audit_arrange(struct weir_audit *a)
{
    a->_by_sent = sorted(a->charges, compare_sent, a->_charge);
    a->_by_received = sorted(a->charges, compare_received, a->_charge);
    a->_by_name = sorted(a->subjects.count, compare_name, &a->subjects);
    a->_begin = weir_zalloc_array((size_t)a->subjects.count + 1, sizeof(*a->_begin));
    if (a->_by_sent == NULL || a->_by_received == NULL || a->_by_name == NULL ||
        a->_begin == NULL) {
        return WEIR_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < a->charges; i++) {
        a->_begin[a->_charge[i].subject + 1]++;
    }
    for (uint32_t s = 0; s < a->subjects.count; s++) {
        a->_begin[s + 1] += a->_begin[s];
    }
    return WEIR_OK;
}

/* ---- asking ---- */

struct weir_str weir_audit_subject(const struct weir_audit *a, uint32_t subject)
{
    return weir_names_text(&a->subjects, a->_by_name[subject]);
}

/* What lies surely in the window that is looked at. */
struct inside {
    uint64_t sum[WEIR_METERS];
    uint32_t charges;
};

static void enter(struct inside *in, const struct weir_audit_charge *c)
{
    struct weir_amounts amounts = weir_amounts(c->requests, c->input_tokens, c->output_tokens);
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        in->sum[m] += amounts.of[m];
    }
    in->charges++;
}

static void leave(struct inside *in, const struct weir_audit_charge *c)
{
    struct weir_amounts amounts = weir_amounts(c->requests, c->input_tokens, c->output_tokens);
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        in->sum[m] -= amounts.of[m];
    }
    in->charges--;
}

static void keep_worst(struct weir_audit_found *found, const struct inside *in, uint64_t start_us)
{
    for (unsigned m = 0; m < WEIR_METERS; m++) {
        if (in->sum[m] > found->worst[m].sum) {
            found->worst[m] = (struct weir_audit_worst){start_us, in->sum[m], in->charges};
        }
    }
}

/* A window that holds the most can begin with a charge's sending: moved there it loses none. So the
 * windows are taken in that order. Those that end before a window's end enter, those that were
 * sent before its start leave; these have entered before, since the ones that take W or longer are
 * passed over. */
void weir_audit_worst(const struct weir_audit *a, uint32_t subject, uint64_t window_us,
                      struct weir_audit_found *ret_found)
{
    uint32_t number = a->_by_name[subject], end = a->_begin[number + 1];
    uint32_t entering = a->_begin[number];
    struct weir_audit_found found = {0};
    struct inside in = {0};
    for (uint32_t i = a->_begin[number]; i < end; i++) {
        const struct weir_audit_charge *first = &a->_charge[a->_by_sent[i]];
        if (first->received_us - first->sent_us >= window_us) {
            found.too_long++;
            continue;
        }
        for (; entering < end; entering++) {
            const struct weir_audit_charge *next = &a->_charge[a->_by_received[entering]];
            if (next->received_us >= first->sent_us + window_us) {
                break;
            }
            if (next->received_us - next->sent_us < window_us) {
                enter(&in, next);
            }
        }
        keep_worst(&found, &in, first->sent_us);
        leave(&in, first);
    }
    *ret_found = found;
}
