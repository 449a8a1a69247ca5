/* SPDX-License-Identifier: Apache-2.0 */
/* What charge.lua answers (guarantee 4 for Redis), and everything else that a server may say
 * instead (guarantees 5 and 6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/rand.h"
#include "limit/window.h"
#include "store/redis/answer.h"
#include "support/resp.h"

enum { SUBJECTS = 2 };

static const uint64_t NOW_US = UINT64_C(1700000000000000);

struct fixture {
    struct weir_plan plan;
    struct weir_subject subject[SUBJECTS];
    const struct weir_subject *named[SUBJECTS];
    struct weir_decision d;
    uint64_t clock_us;
    redisReply *granted; /* whose mask and values are looked at */
};

static void begin(struct fixture *f)
{
    static const struct weir_limit limits[] = {
        {WEIR_METER_REQUESTS, 1, 5},
        {WEIR_METER_REQUESTS, 60, 100},
        {WEIR_METER_INPUT_TOKENS, 60, 1000},
    };
    f->granted = NULL;
    assert_int_equal(weir_plan_compile(limits, 3, &f->plan), WEIR_OK);
    for (unsigned i = 0; i < SUBJECTS; i++) {
        f->subject[i] = (struct weir_subject){.name = WEIR_STR("key:a"), .plan = &f->plan};
        f->named[i] = &f->subject[i];
    }
}

static bool decide(struct fixture *f, struct weir_str bytes, unsigned subjects,
                   const struct weir_amounts *a)
{
    redisReply *r = resp_read(bytes.p, bytes.len);
    assert_non_null(r);
    bool understood = weir_redis_answer_decision(r, f->named, subjects, a, &f->d, &f->clock_us);
    freeReplyObject(r);
    return understood;
}

/* ---- charged ---- */

static const struct weir_amounts ONE = {{1, 10, 0, 10}};

/* {1, t, clock, sum, step, sum, sum, step} */
enum { NUMBERS = 8 };

static void charged(uint64_t number[static NUMBERS])
{
    const uint64_t of[NUMBERS] = {1, NOW_US, NOW_US + 3, 2, NOW_US / 7813, 7, 70, NOW_US / 468750};
    memcpy(number, of, sizeof(of));
}

static bool decide_charged(struct fixture *f, const char *const *text, unsigned elements)
{
    struct weir_buf b;
    weir_buf_init(&b, 4096);
    weir_buf_printf(&b, "*%u\r\n", elements);
    for (unsigned i = 0; i < elements; i++) {
        weir_buf_str(&b, weir_str_z(text[i]));
    }
    bool understood = decide(f, weir_buf_view(&b), 1, &ONE);
    weir_buf_deinit(&b);
    return understood;
}

static void test_charged(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t number[NUMBERS];
    char text[NUMBERS + 1][32] = {"", "", "", "", "", "", "", "", ":1\r\n"};
    const char *element[NUMBERS + 1];
    begin(&f);
    charged(number);
    for (unsigned i = 0; i <= NUMBERS; i++) {
        if (i < NUMBERS) {
            snprintf(text[i], sizeof(text[i]), ":%llu\r\n", (unsigned long long)number[i]);
        }
        element[i] = text[i];
    }
    assert_true(decide_charged(&f, element, NUMBERS));
    assert_true(f.d.allowed);
    assert_int_equal(f.d.at_us, NOW_US);
    assert_int_equal(f.clock_us, NOW_US + 3);
    assert_int_equal(f.d.states, 3);
    assert_int_equal(f.d.state[0].used, 2);
    assert_int_equal(f.d.state[0].capacity, 5);
    assert_int_equal(f.d.state[0].reset_us, (NOW_US / 7813 + 1) * 7813 + 1000000 - NOW_US);
    assert_int_equal(f.d.state[2].meter, WEIR_METER_INPUT_TOKENS);
    assert_int_equal(f.d.state[2].used, 70);
    assert_int_equal(f.d.state[2].reset_us, (NOW_US / 468750 + 1) * 468750 + 60000000 - NOW_US);

    /* one element too few, one too many, and each by something else */
    for (unsigned n = 0; n <= NUMBERS + 1; n++) {
        assert_int_equal(decide_charged(&f, element, n), n == NUMBERS);
    }
    static const char *const others[] = {
        "$1\r\n1\r\n",
        "$0\r\n\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        "*1\r\n:1\r\n",
        "+1\r\n",
        "-ERR 1\r\n",
        ":-1\r\n",
        ":4503599627370497\r\n",
        ":9223372036854775807\r\n",
    };
    for (unsigned i = 0; i < NUMBERS; i++) {
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
            element[i] = others[k];
            assert_false(decide_charged(&f, element, NUMBERS));
        }
        element[i] = text[i];
    }
    static const char *const codes[] = {":0\r\n", ":2\r\n", ":3\r\n"};
    for (unsigned i = 0; i < 3; i++) {
        element[0] = codes[i];
        assert_false(decide_charged(&f, element, NUMBERS));
    }
}

static void test_no_decision(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "+OK\r\n", ":1\r\n",        "$-1\r\n",
        "*-1\r\n", "*0\r\n",        "-ERR no\r\n",
        "-\r\n",   "$3\r\nabc\r\n", "*1\r\n*3\r\n:1\r\n:1\r\n:1\r\n",
    };
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(decide(&f, weir_str_z(texts[i]), 1, &ONE));
    }
}

/* ---- not charged: the answer brings the values ---- */

struct packed {
    uint8_t bytes[WEIR_VALUE_MAX + WEIR_VALUE_SLACK];
    struct weir_value v;
};

static void charge(struct packed *p, const struct weir_plan *plan, uint64_t now_us,
                   const struct weir_amounts *a)
{
    p->v.data = p->bytes;
    p->v.room = sizeof(p->bytes);
    assert_int_equal(weir_value_prepare(&p->v, plan, now_us), 0);
    assert_int_equal(weir_value_add(&p->v, plan, now_us, a), 0);
}

static void write_values(struct weir_buf *b, unsigned code, const struct weir_str *value,
                         unsigned values)
{
    weir_buf_init(b, 1 << 20);
    weir_buf_printf(b, "*%u\r\n:%u\r\n:%llu\r\n:%llu\r\n", 3 + values, code,
                    (unsigned long long)NOW_US, (unsigned long long)NOW_US);
    for (unsigned i = 0; i < values; i++) {
        weir_buf_printf(b, "$%zu\r\n", value[i].len);
        weir_buf_str(b, value[i]);
        WEIR_BUF_LIT(b, "\r\n");
    }
}

static bool decide_values(struct fixture *f, const struct weir_str *value, unsigned values,
                          unsigned subjects, const struct weir_amounts *a)
{
    struct weir_buf b;
    write_values(&b, 0, value, values);
    bool understood = decide(f, weir_buf_view(&b), subjects, a);
    weir_buf_deinit(&b);
    return understood;
}

static struct weir_str view(const struct packed *p)
{
    return weir_str((const char *)p->bytes, p->v.len);
}

static void fill(struct packed *p, const struct weir_plan *plan, uint64_t until_us)
{
    const struct weir_amounts a = {{1, 9, 0, 9}};
    *p = (struct packed){0};
    for (unsigned i = 20; i > 0; i--) {
        charge(p, plan, until_us - i * UINT64_C(2500000), &a);
    }
    const struct weir_amounts much = {{5, 0, 0, 0}};
    charge(p, plan, until_us, &much);
}

static void test_denied(void **state)
{
    (void)state;
    struct fixture f;
    struct packed p;
    begin(&f);
    fill(&p, &f.plan, NOW_US - 400000);
    const struct weir_str values[] = {view(&p), weir_str("", 0)};
    assert_true(decide_values(&f, values, 1, 1, &ONE));
    assert_false(f.d.allowed);
    assert_int_equal(f.d.denied_meter, WEIR_METER_REQUESTS);
    assert_int_equal(f.d.denied_window_s, 1);
    assert_int_equal(f.d.retry_after_us, ((NOW_US - 400000) / 7813 + 1) * 7813 + 1000000 - NOW_US);
    assert_int_equal(f.d.states, 3);
    assert_int_equal(f.d.state[0].used, 5);

    /* what would have fitted was not denied by the script */
    const struct weir_amounts fits = {{0, 1, 0, 1}};
    assert_false(decide_values(&f, values, 1, 1, &fits));
    /* a look at the same */
    const struct weir_amounts look = {{0}};
    assert_true(decide_values(&f, values, 1, 1, &look));
    assert_true(f.d.allowed);
    /* a subject without usage; one that can never pass */
    assert_false(decide_values(&f, &values[1], 1, 1, &ONE));
    const struct weir_amounts huge = {{6, 0, 0, 0}};
    assert_true(decide_values(&f, &values[1], 1, 1, &huge));
    assert_true(f.d.retry_after_us == WEIR_RETRY_NEVER);
    /* two subjects, and one value too few, one too many */
    assert_true(decide_values(&f, values, 2, 2, &ONE));
    assert_int_equal(f.d.states, 6);
    assert_false(decide_values(&f, values, 1, 2, &ONE));
    assert_false(decide_values(&f, values, 2, 1, &ONE));
    assert_false(decide_values(&f, values, 0, 1, &ONE));
}

static bool look_values(struct fixture *f, const struct weir_str *value, unsigned values,
                        unsigned code, const struct weir_amounts *a)
{
    struct weir_buf b;
    write_values(&b, code, value, values);
    redisReply *r = resp_read(b.data, b.len);
    bool understood = weir_redis_answer_look(r, f->named, values, a, &f->d, &f->clock_us);
    freeReplyObject(r);
    weir_buf_deinit(&b);
    return understood;
}

/* A look of one slot, for a request that another has denied: the values say both. */
static void test_look_for_a_charge(void **state)
{
    (void)state;
    struct fixture f;
    struct packed p;
    const struct weir_amounts fits = {{0, 1, 0, 1}};
    begin(&f);
    fill(&p, &f.plan, NOW_US - 400000);
    const struct weir_str values[] = {weir_str("", 0), view(&p)};
    assert_true(look_values(&f, values, 2, 0, &ONE));
    assert_false(f.d.allowed);
    assert_int_equal(f.d.denied_subject, 1);
    assert_int_equal(f.d.retry_after_us, ((NOW_US - 400000) / 7813 + 1) * 7813 + 1000000 - NOW_US);
    assert_int_equal(f.d.states, 6);
    assert_int_equal(f.d.state[3].used, 5);
    assert_true(look_values(&f, values, 2, 0, &fits));
    assert_true(f.d.allowed);
    assert_int_equal(f.d.state[3].used, 5);
    assert_false(look_values(&f, values, 2, 1, &fits));
    assert_false(look_values(&f, values, 2, 2, &fits));
}

/* All subjects go by the latest step that one of them has seen. */
static void test_look_at_a_later_value(void **state)
{
    (void)state;
    struct fixture f;
    struct packed later, earlier;
    const struct weir_amounts look = {{0}};
    begin(&f);
    fill(&earlier, &f.plan, NOW_US - 59000000);
    fill(&later, &f.plan, NOW_US + 30000000);
    const struct weir_str values[] = {view(&earlier), view(&later)};
    assert_true(decide_values(&f, values, 2, 2, &look));
    /* the later of the starts of its two blocks' steps */
    assert_int_equal(f.d.at_us, (NOW_US + 30000000) / 7813 * 7813);
    assert_int_equal(f.d.state[1].used, 0); /* the earlier value is idle by then */
    assert_int_equal(f.d.state[4].used, 25);
}

static void test_values_cut_short(void **state)
{
    (void)state;
    struct fixture f;
    struct packed p;
    begin(&f);
    fill(&p, &f.plan, NOW_US);
    uint32_t first = 12 + 2 + 1; /* an idle block of the shorter window */
    for (uint32_t len = 1; len < p.v.len; len++) {
        const struct weir_str cut = weir_str((const char *)p.bytes, len);
        bool whole_block = weir_value_valid(p.bytes, len);
        assert_true(!whole_block || len >= first);
        if (!whole_block) {
            assert_false(decide_values(&f, &cut, 1, 1, &ONE));
        }
    }
    static char zeros[WEIR_VALUE_MAX + 1];
    const struct weir_str long_one = weir_str(zeros, sizeof(zeros));
    assert_false(decide_values(&f, &long_one, 1, 1, &ONE));
}

/* Any bytes: refused, or a decision about a value that is one. The sanitizers watch. */
static void test_values_spoilt(void **state)
{
    (void)state;
    struct fixture f;
    struct packed p;
    struct weir_rand random;
    unsigned understood = 0;
    begin(&f);
    weir_rand_init(&random, 1);
    for (unsigned n = 0; n < 30000; n++) {
        fill(&p, &f.plan, NOW_US);
        for (uint64_t k = 1 + weir_rand_below(&random, 3); k > 0; k--) {
            uint64_t at = weir_rand_below(&random, 2) == 0 ? weir_rand_below(&random, p.v.len)
                                                           : weir_rand_below(&random, 15);
            p.bytes[at] = (uint8_t)weir_rand_u64(&random);
        }
        bool valid = weir_value_valid(p.bytes, p.v.len);
        const struct weir_str value = view(&p);
        bool accepted = decide_values(&f, &value, 1, 1, &ONE);
        assert_true(valid || !accepted);
        understood += accepted;
    }
    assert_true(understood > 0);
}

/* Guarantee 6: what is longer than any value is refused before it is copied. */
static void test_value_too_long(void **state)
{
    (void)state;
    static char bytes[8 * WEIR_VALUE_MAX];
    struct fixture f;
    begin(&f);
    for (size_t len = WEIR_VALUE_MAX; len <= sizeof(bytes); len = 2 * len - WEIR_VALUE_MAX / 2) {
        const struct weir_str value = weir_str(bytes, len);
        assert_false(decide_values(&f, &value, 1, 1, &ONE));
    }
}

/* ---- a list of requests ---- */

static bool grant(struct fixture *f, const char *text, unsigned asks, struct weir_redis_granted *g)
{
    freeReplyObject(f->granted); /* of the one before; NULL is allowed */
    f->granted = resp_read(text, strlen(text));
    assert_non_null(f->granted);
    return weir_redis_answer_granted(f->granted, f->named, 1, asks, g);
}

static bool grant_of(struct fixture *f, const char *const *element, unsigned elements,
                     struct weir_redis_granted *g)
{
    struct weir_buf b;
    weir_buf_init(&b, 1 << 16);
    weir_buf_printf(&b, "*%u\r\n", elements);
    for (unsigned i = 0; i < elements; i++) {
        weir_buf_str(&b, weir_str_z(element[i]));
    }
    weir_buf_char(&b, '\0');
    bool understood = grant(f, b.data, 3, g);
    weir_buf_deinit(&b);
    return understood;
}

/* {1, t, clock, mask, three amounts, sum, step, sum, sum, step} */
enum { GRANTED = 12 };

static void test_granted(void **state)
{
    (void)state;
    static const char *const good[GRANTED + 1] = {":1\r\n",
                                                  ":1700000000000000\r\n",
                                                  ":1700000000000003\r\n",
                                                  "$3\r\n111\r\n",
                                                  ":7\r\n",
                                                  ":8\r\n",
                                                  ":9\r\n",
                                                  ":2\r\n",
                                                  ":5\r\n",
                                                  ":7\r\n",
                                                  ":70\r\n",
                                                  ":6\r\n",
                                                  ":1\r\n"};
    static const char *const others[] = {
        "$1\r\n1\r\n",
        "$3\r\n110\r\n",
        "$3\r\n11x\r\n",
        "$2\r\n11\r\n",
        "$4\r\n1111\r\n",
        "$-1\r\n",
        "*0\r\n",
        "+111\r\n",
        "-ERR 1\r\n",
        ":-1\r\n",
        ":4503599627370497\r\n",
    };
    struct fixture f;
    struct weir_redis_granted g;
    const char *element[GRANTED + 1];
    begin(&f);
    memcpy(element, good, sizeof(good));
    assert_true(grant_of(&f, element, GRANTED, &g));
    assert_true(g.all);
    assert_memory_equal(g.mask, "111", 3);
    assert_int_equal(g.at_us, NOW_US);
    assert_int_equal(g.clock_us, NOW_US + 3);
    const struct weir_amounts ahead = weir_amounts(7, 8, 9);
    assert_memory_equal(&g.ahead, &ahead, sizeof(ahead));
    assert_int_equal(g.states.at_us, NOW_US);
    assert_int_equal(g.states.states, 3);
    assert_int_equal(g.states.state[2].used, 70);
    for (unsigned n = 0; n <= GRANTED + 1; n++) {
        assert_int_equal(grant_of(&f, element, n, &g), n == GRANTED);
    }
    for (unsigned i = 0; i < GRANTED; i++) {
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
            element[i] = others[k];
            assert_false(grant_of(&f, element, GRANTED, &g));
        }
        element[i] = good[i];
    }
    static const char *const codes[] = {":0\r\n", ":2\r\n"};
    for (unsigned i = 0; i < 2; i++) {
        element[0] = codes[i];
        assert_false(grant_of(&f, element, GRANTED, &g));
    }
    element[0] = good[0];
    element[5] = ":562949953421313\r\n"; /* 2^49 + 1 */
    assert_false(grant_of(&f, element, GRANTED, &g));
    freeReplyObject(f.granted);
}

/* Not every request: the mask says which, the values why, and nothing was taken ahead. */
static void test_granted_in_part(void **state)
{
    (void)state;
    struct fixture f;
    struct weir_redis_granted g;
    begin(&f);
    const char *element[] = {":0\r\n", ":1\r\n", ":2\r\n",     "$3\r\n101\r\n", ":0\r\n",
                             ":0\r\n", ":0\r\n", "$0\r\n\r\n", "$0\r\n\r\n"};
    assert_true(grant_of(&f, element, 8, &g));
    assert_false(g.all);
    assert_memory_equal(g.mask, "101", 3);
    assert_true(weir_amounts_none(&g.ahead));
    assert_int_equal(g.value[0]->len, 0);
    element[3] = "$3\r\n111\r\n"; /* then it is not only a part */
    assert_false(grant_of(&f, element, 8, &g));
    element[3] = "$3\r\n1x0\r\n";
    assert_false(grant_of(&f, element, 8, &g));
    element[3] = "$3\r\n000\r\n";
    assert_true(grant_of(&f, element, 8, &g));
    assert_false(grant_of(&f, element, 9, &g));
    element[0] = ":2\r\n";
    assert_false(grant_of(&f, element, 8, &g));
    element[0] = ":0\r\n";
    for (unsigned i = 4; i < 7; i++) {
        element[i] = ":1\r\n";
        assert_false(grant_of(&f, element, 8, &g));
        element[i] = ":0\r\n";
    }
    assert_false(grant_of(&f, element, 7, &g));
    static const char *const values[] = {"$1\r\nx\r\n", ":0\r\n", "$-1\r\n", "*0\r\n"};
    for (unsigned i = 0; i < 4; i++) {
        element[7] = values[i];
        assert_false(grant_of(&f, element, 8, &g));
    }
    freeReplyObject(f.granted);
}

/* A call without a request is told the time. */
static void test_granted_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct weir_redis_granted g;
    begin(&f);
    assert_true(grant(&f, "*3\r\n:1\r\n:5\r\n:6\r\n", 0, &g));
    assert_int_equal(g.clock_us, 6);
    assert_true(weir_amounts_none(&g.ahead));
    static const char *const others[] = {
        "*3\r\n:0\r\n:5\r\n:6\r\n",           "*2\r\n:1\r\n:5\r\n", "*1\r\n:1\r\n", "*0\r\n",
        "*4\r\n:1\r\n:5\r\n:6\r\n$0\r\n\r\n", "-OOM no\r\n",        ":1\r\n",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(grant(&f, others[i], 0, &g));
    }
    assert_false(grant(&f, "*3\r\n:1\r\n:5\r\n:6\r\n", 1, &g));
    freeReplyObject(f.granted);
}

/* ---- the rest ---- */

static enum weir_redis_settled settled(const char *text)
{
    redisReply *r = resp_read(text, strlen(text));
    assert_non_null(r);
    enum weir_redis_settled result = weir_redis_answer_settled(r);
    freeReplyObject(r);
    return result;
}

static void test_settled(void **state)
{
    (void)state;
    assert_int_equal(settled("*1\r\n:1\r\n"), WEIR_REDIS_SETTLED);
    assert_int_equal(settled("*1\r\n:2\r\n"), WEIR_REDIS_SETTLED_BEFORE);
    static const char *const others[] = {
        "*1\r\n:0\r\n", "*1\r\n:3\r\n",      "*1\r\n:-1\r\n", "*0\r\n",  "*2\r\n:1\r\n:1\r\n",
        "-ERR no\r\n",  "*1\r\n$1\r\n1\r\n", ":1\r\n",        "+OK\r\n", "*-1\r\n",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(settled(others[i]), WEIR_REDIS_NOT_SETTLED);
    }
}

static bool is(bool (*what)(const redisReply *reply), const char *text)
{
    redisReply *r = resp_read(text, strlen(text));
    assert_non_null(r);
    bool result = what(r);
    freeReplyObject(r);
    return result;
}

static bool breaks(const char *text)
{
    return is(weir_redis_answer_breaks, text);
}

static bool refuses_writes(const char *text)
{
    return is(weir_redis_answer_refuses_writes, text);
}

static void test_breaks(void **state)
{
    (void)state;
    assert_true(breaks("-READONLY You can't write against a read only replica.\r\n"));
    assert_true(breaks("-NOAUTH Authentication required.\r\n"));
    assert_true(breaks("-LOADING Redis is loading the dataset in memory\r\n"));
    assert_true(breaks("-BUSY Redis is busy running a script.\r\n"));
    assert_true(breaks("-MOVED 1 127.0.0.1:1\r\n"));
    assert_true(breaks("-ERR Error running script (call to f_0123): @user_script:86: "
                       "@user_script: 86: -READONLY You can't write against a read only replica. "
                       "\r\n"));
    assert_false(breaks("-ERR Error running script: READONLY\r\n"));
    assert_false(breaks("-OOM command not allowed when used memory > 'maxmemory'.\r\n"));
    assert_false(breaks("-\r\n"));
    assert_false(breaks("+READONLY\r\n"));
    assert_false(breaks("*0\r\n"));
}

/* As Redis 7 and as Redis 6 say it. */
static void test_refuses_writes(void **state)
{
    (void)state;
    assert_true(refuses_writes("-OOM command not allowed when used memory > 'maxmemory'.\r\n"));
    assert_true(refuses_writes("-ERR Error running script (call to f_0123): @user_script:112: "
                               "@user_script: 112: -OOM command not allowed when used memory > "
                               "'maxmemory'.\r\n"));
    assert_true(refuses_writes("-MISCONF Redis is configured to save RDB snapshots\r\n"));
    assert_true(refuses_writes("-NOREPLICAS Not enough good replicas to write.\r\n"));
    assert_false(refuses_writes("-ERR weir: no packed windows\r\n"));
    assert_false(refuses_writes("-READONLY You can't write against a read only replica.\r\n"));
    assert_false(refuses_writes("+OOM\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_charged),
        cmocka_unit_test(test_no_decision),
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_look_for_a_charge),
        cmocka_unit_test(test_look_at_a_later_value),
        cmocka_unit_test(test_values_cut_short),
        cmocka_unit_test(test_values_spoilt),
        cmocka_unit_test(test_granted),
        cmocka_unit_test(test_granted_in_part),
        cmocka_unit_test(test_granted_nothing),
        cmocka_unit_test(test_settled),
        cmocka_unit_test(test_breaks),
        cmocka_unit_test(test_refuses_writes),
        cmocka_unit_test(test_value_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
