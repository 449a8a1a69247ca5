/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a reservation: what goes out comes back, and nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <xxhash.h>

#include "config/scope.h"
#include "service/reservation.h"
#include "support/guard.h"

static const uint64_t MOST = WEIR_AMOUNT_MAX / 2;

static struct weir_reservation reservation(uint64_t word, uint64_t amount)
{
    return (struct weir_reservation){.nonce = word,
                                     .epoch = word,
                                     .at_us = word,
                                     .shared_at_us = word,
                                     .primary = (uint32_t)word,
                                     .shared_primary = (uint32_t)word,
                                     .reserved = weir_amounts(amount, amount, amount)};
}

static void write_names(struct weir_buf *b, const struct weir_reservation *r,
                        const struct weir_str *name, unsigned names)
{
    struct weir_subject subject[WEIR_SUBJECTS_MAX];
    const struct weir_subject *pointer[WEIR_SUBJECTS_MAX];
    for (unsigned i = 0; i < names; i++) {
        subject[i] = (struct weir_subject){.name = name[i]};
        pointer[i] = &subject[i];
    }
    weir_buf_init(b, WEIR_RESERVATION_TEXT_MAX);
    weir_reservation_write(b, r, pointer, names);
    assert_false(b->failed);
}

static void write_text(struct weir_buf *b, const struct weir_reservation *r, struct weir_str name)
{
    write_names(b, r, &name, 1);
}

static enum weir_err read_text(struct weir_str text)
{
    char space[WEIR_RESERVATION_TEXT_MAX];
    struct weir_reserved r;
    return weir_reservation_read(text, space, &r);
}

static void round_trip(const struct weir_reservation *r, const struct weir_str *name,
                       unsigned names)
{
    struct weir_buf b;
    char space[WEIR_RESERVATION_TEXT_MAX];
    struct weir_reserved got;
    write_names(&b, r, name, names);
    assert_int_equal(weir_reservation_read(weir_buf_view(&b), space, &got), WEIR_OK);
    assert_memory_equal(&got.reservation, r, sizeof(*r));
    assert_int_equal(got.subjects, names);
    for (unsigned i = 0; i < names; i++) {
        assert_true(weir_str_eq(got.subject[i], name[i]));
    }
    weir_buf_deinit(&b);
}

/* Names of every length: all three ends that base64 has. */
static void test_round_trip(void **state)
{
    (void)state;
    char name[WEIR_SUBJECT_NAME_MAX];
    for (size_t i = 0; i < sizeof(name); i++) {
        name[i] = (char)(255 - i);
    }
    memcpy(name, "key:", 4);
    const struct weir_reservation least = reservation(0, 0);
    const struct weir_reservation most = reservation(UINT64_MAX, MOST);
    struct weir_reservation mixed = {.nonce = 2, .epoch = 3, .at_us = 5, .shared_at_us = 7};
    mixed.primary = 11;
    mixed.shared_primary = 13;
    mixed.reserved = weir_amounts(1, 900, MOST - 1);
    for (size_t len = 4; len <= sizeof(name); len++) {
        const struct weir_str one = weir_str(name, len);
        round_trip(&least, &one, 1);
        round_trip(&most, &one, 1);
        round_trip(&mixed, &one, 1);
    }
}

/* Any of the scopes, in their order; the longest text is as long as its bound says. */
static void test_several_subjects(void **state)
{
    (void)state;
    static const char *const prefix[WEIR_SCOPES] = {"key:", "team:", "org:", "model:"};
    char text[WEIR_SCOPES][WEIR_SUBJECT_NAME_MAX];
    const struct weir_reservation r = reservation(UINT64_MAX, MOST);
    for (unsigned set = 1; set < 1 << WEIR_SCOPES; set++) {
        for (size_t len = 6; len <= WEIR_SUBJECT_NAME_MAX; len += WEIR_SUBJECT_NAME_MAX - 6) {
            struct weir_str name[WEIR_SCOPES];
            unsigned names = 0;
            for (unsigned i = 0; i < WEIR_SCOPES; i++) {
                memset(text[i], 'a' + (char)i, sizeof(text[i]));
                memcpy(text[i], prefix[i], strlen(prefix[i]));
                if (set >> i & 1) {
                    name[names++] = weir_str(text[i], len);
                }
            }
            round_trip(&r, name, names);
            if (names == WEIR_SCOPES && len == WEIR_SUBJECT_NAME_MAX) {
                struct weir_buf b;
                write_names(&b, &r, name, names);
                assert_int_equal(b.len, WEIR_RESERVATION_TEXT_MAX);
                weir_buf_deinit(&b);
            }
        }
    }
}

static void refused_names(const struct weir_str *name, unsigned names)
{
    struct weir_buf b;
    const struct weir_reservation r = reservation(2, 2);
    write_names(&b, &r, name, names);
    assert_int_equal(read_text(weir_buf_view(&b)), WEIR_ERR_INVALID);
    weir_buf_deinit(&b);
}

/* The store may not be asked about a subject twice: of each scope there is one at most. */
static void test_scopes_ascend(void **state)
{
    (void)state;
    static const struct weir_str wrong[][WEIR_SUBJECTS_MAX] = {
        {{"key:a", 5}, {"key:a", 5}},   {{"key:a", 5}, {"key:anon-b", 10}},
        {{"team:a", 6}, {"key:a", 5}},  {{"org:a", 5}, {"team:a", 6}},
        {{"model:a", 7}, {"org:a", 5}}, {{"model:a", 7}, {"model:b", 7}},
        {{"key:a", 5}, {"user:a", 6}},  {{"key:a", 5}, {"", 0}},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        refused_names(wrong[i], 2);
    }
    static const struct weir_str alone[] = {{"", 0}, {"key", 3}, {"a", 1}, {"Key:a", 5}};
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        refused_names(&alone[i], 1);
    }
}

/* The text of these bytes as names behind zeros, with the right check sum: what the
 * writer would not write. */
static enum weir_err read_crafted(uint8_t version, const char *names, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    enum { FIXED = 65 };
    uint8_t bytes[1024] = {version};
    memcpy(bytes + FIXED, names, len);
    uint32_t check = (uint32_t)XXH3_64bits(bytes, FIXED + len);
    memcpy(bytes + FIXED + len, &check, sizeof(check));
    char text[2048] = "rsv_";
    size_t at = 4, total = FIXED + len + sizeof(check);
    for (size_t bit = 0; bit < total * 8; bit += 6) {
        unsigned two =
            (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1]; /* zeros behind the end */
        text[at++] = digits[two >> (10 - bit % 8) & 63];
    }
    return read_text(weir_str(text, at));
}

static void test_crafted_names(void **state)
{
    (void)state;
#define CRAFTED(version, names) read_crafted(version, names, sizeof(names) - 1)
    assert_int_equal(CRAFTED(4, "\5key:a"), WEIR_OK);
    assert_int_equal(CRAFTED(4, "\5key:a\6team:b\5org:c\7model:d"), WEIR_OK);
    assert_int_equal(CRAFTED(3, "\5key:a"), WEIR_ERR_INVALID);
    assert_int_equal(CRAFTED(5, "\5key:a"), WEIR_ERR_INVALID);
    assert_int_equal(CRAFTED(4, ""), WEIR_ERR_INVALID);
    assert_int_equal(CRAFTED(4, "\6key:a"), WEIR_ERR_INVALID); /* into the check sum */
    assert_int_equal(CRAFTED(4, "\377key:a"), WEIR_ERR_INVALID);
    assert_int_equal(CRAFTED(4, "\5key:a\4"), WEIR_ERR_INVALID);
    assert_int_equal(CRAFTED(4, "\5key:a\0"), WEIR_ERR_INVALID);
    assert_int_equal(CRAFTED(4, "\5key:a\6team:b\5org:c\7model:d\7model:e"), WEIR_ERR_INVALID);
    char longest[2 + WEIR_SUBJECT_NAME_MAX] = "xkey:";
    for (unsigned len = WEIR_SUBJECT_NAME_MAX; len <= WEIR_SUBJECT_NAME_MAX + 1; len++) {
        longest[0] = (char)len;
        assert_int_equal(read_crafted(4, longest, 1 + len),
                         len == WEIR_SUBJECT_NAME_MAX ? WEIR_OK : WEIR_ERR_INVALID);
    }
#undef CRAFTED
}

/* Whoever could write one may also ask for more; but no number leaves its bounds. */
static void test_amounts_are_bounded(void **state)
{
    (void)state;
    for (unsigned m = 0; m < WEIR_METER_TOTAL_TOKENS; m++) {
        struct weir_buf b;
        struct weir_reservation r = reservation(2, 0);
        r.reserved.of[m] = MOST + 1;
        write_text(&b, &r, WEIR_STR("key:a"));
        assert_int_equal(read_text(weir_buf_view(&b)), WEIR_ERR_INVALID);
        weir_buf_deinit(&b);
    }
}

static void test_every_flipped_bit_is_seen(void **state)
{
    (void)state;
    const struct weir_reservation r = reservation(UINT64_C(0x0123456789abcdef), 77);
    for (size_t len = 5; len < 8; len++) {
        struct weir_buf b;
        write_text(&b, &r, weir_str("key:abcd", len));
        for (size_t bit = 0; bit < b.len * 8; bit++) {
            char was = b.data[bit / 8];
            b.data[bit / 8] = (char)(was ^ (1 << bit % 8));
            assert_int_equal(read_text(weir_buf_view(&b)), WEIR_ERR_INVALID);
            b.data[bit / 8] = was;
        }
        assert_int_equal(read_text(weir_buf_view(&b)), WEIR_OK);
        weir_buf_deinit(&b);
    }
}

/* Every other spelling of the last character, which may hold bits that no byte has. */
static void test_a_text_has_one_spelling(void **state)
{
    (void)state;
    const struct weir_reservation r = reservation(9, 9);
    for (size_t len = 5; len < 8; len++) {
        struct weir_buf b;
        unsigned taken = 0;
        write_text(&b, &r, weir_str("key:abcd", len));
        for (unsigned c = 0; c < 256; c++) {
            b.data[b.len - 1] = (char)c;
            taken += read_text(weir_buf_view(&b)) == WEIR_OK;
        }
        assert_int_equal(taken, 1);
        weir_buf_deinit(&b);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    struct weir_buf b;
    const struct weir_reservation r = reservation(5, 5);
    char name[WEIR_SUBJECT_NAME_MAX] = "key:";
    write_text(&b, &r, weir_str(name, sizeof(name)));
    for (size_t len = 0; len < b.len; len++) {
        assert_int_equal(read_text(weir_str(b.data, len)), WEIR_ERR_INVALID);
    }
    char longer[4 * WEIR_RESERVATION_TEXT_MAX];
    memset(longer, 'A', sizeof(longer));
    memcpy(longer, b.data, b.len);
    for (size_t len = b.len + 1; len <= sizeof(longer); len++) {
        assert_int_equal(read_text(weir_str(longer, len)), WEIR_ERR_INVALID);
    }
    weir_buf_deinit(&b);
}

static void test_other_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "r", "rsv_", "rsv_=", "rsv_AAAA", "RSV_AAAA", "id:a"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(read_text(weir_str_z(texts[i])), WEIR_ERR_INVALID);
    }
    static const char wrong[] = "+/= \n\t.\"\x80\xff";
    struct weir_buf b;
    const struct weir_reservation r = reservation(5, 5);
    write_text(&b, &r, WEIR_STR("key:a"));
    for (size_t i = 0; i < sizeof(wrong); i++) { /* its NUL too */
        for (size_t at = 4; at < b.len; at++) {
            char was = b.data[at];
            b.data[at] = wrong[i];
            assert_int_equal(read_text(weir_buf_view(&b)), WEIR_ERR_INVALID);
            b.data[at] = was;
        }
    }
    weir_buf_deinit(&b);
}

static void test_reads_no_byte_too_many(void **state)
{
    (void)state;
    struct guard g;
    struct weir_buf b;
    const struct weir_reservation r = reservation(5, 5);
    write_text(&b, &r, WEIR_STR("key:a"));
    guard_init(&g, WEIR_RESERVATION_TEXT_MAX);
    for (size_t len = 0; len <= b.len; len++) {
        enum weir_err expected = len == b.len ? WEIR_OK : WEIR_ERR_INVALID;
        assert_int_equal(read_text(guard_put(&g, weir_str(b.data, len))), expected);
    }
    guard_deinit(&g);
    weir_buf_deinit(&b);
}

/* Results are untouched on failure. */
static void test_failure_leaves_results(void **state)
{
    (void)state;
    char space[WEIR_RESERVATION_TEXT_MAX];
    struct weir_reserved r = {.reservation = reservation(7, 7), .subjects = 1};
    const struct weir_reserved before = r;
    struct weir_buf b;
    const struct weir_reservation too_large = reservation(7, MOST + 1);
    write_text(&b, &too_large, WEIR_STR("key:a"));
    assert_int_equal(weir_reservation_read(weir_buf_view(&b), space, &r), WEIR_ERR_INVALID);
    weir_buf_deinit(&b);
    assert_memory_equal(&r, &before, sizeof(r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_several_subjects),
        cmocka_unit_test(test_scopes_ascend),
        cmocka_unit_test(test_crafted_names),
        cmocka_unit_test(test_amounts_are_bounded),
        cmocka_unit_test(test_every_flipped_bit_is_seen),
        cmocka_unit_test(test_a_text_has_one_spelling),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_other_texts),
        cmocka_unit_test(test_reads_no_byte_too_many),
        cmocka_unit_test(test_failure_leaves_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
