/* SPDX-License-Identifier: Apache-2.0 */
/* The file of token data: what is packed opens, what is damaged or forged does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/vocabulary.h"

static struct list list;
static struct weir_buf file;
static struct weir_vocabulary vocabulary;

static void open_small(void)
{
    list_init(&list);
    list_add(&list, "ab", 2);
    list_add(&list, "abab", 4);
    list_add(&list, "abababab", 8);
    list_add(&list, "abababababab", 12);
    list_open(&list, WEIR_SPLIT_O200K, &file, &vocabulary);
}

static enum weir_err view(void)
{
    struct weir_vocabulary_head *head = (struct weir_vocabulary_head *)(void *)file.data;
    head->check = weir_vocabulary_check(weir_buf_view(&file));
    return weir_vocabulary_view(weir_buf_view(&file), &vocabulary);
}

static void test_opens(void **state)
{
    (void)state;
    open_small();
    assert_int_equal(vocabulary.encodings, 1);
    const struct weir_encoding *e = weir_vocabulary_encoding(&vocabulary, WEIR_STR("small"));
    assert_non_null(e);
    assert_int_equal(e->tokens, 260);
    assert_null(weir_vocabulary_encoding(&vocabulary, WEIR_STR("smal")));
    assert_int_equal(e->halves[259].left, 258);
    assert_int_equal(e->halves[259].right, 257);
    assert_int_equal(e->shorter[259], 258);
    weir_buf_deinit(&file);
}

/* Any changed byte is found by the check sum, and a file that is cut off or longer too. */
static void test_damage(void **state)
{
    (void)state;
    open_small();
    struct weir_vocabulary untouched = vocabulary;
    for (size_t i = 0; i < file.len; i++) {
        file.data[i] ^= 0x20;
        assert_int_equal(weir_vocabulary_view(weir_buf_view(&file), &vocabulary), WEIR_ERR_INVALID);
        file.data[i] ^= 0x20;
    }
    for (size_t len = 0; len < file.len; len += len < 1000 ? 1 : 100) {
        assert_int_equal(weir_vocabulary_view(weir_str(file.data, len), &vocabulary),
                         WEIR_ERR_INVALID);
    }
    assert_memory_equal(&vocabulary, &untouched, sizeof(vocabulary));
    weir_buf_char(&file, '\0');
    assert_int_equal(weir_vocabulary_view(weir_buf_view(&file), &vocabulary), WEIR_ERR_INVALID);
    weir_buf_deinit(&file);
}

/* Where a part's items are. */
static void *part(enum weir_vocabulary_part which)
{
    const struct weir_vocabulary_head *head = (const void *)file.data;
    return file.data + head->entry[0].part[which].at;
}

/* With a right check sum, each of these would lead a reader out of its array, or round for ever. */
static void test_forgeries(void **state)
{
    (void)state;
    for (int forgery = 0; forgery < 16; forgery++) {
        open_small();
        struct weir_vocabulary_head *head = (void *)file.data;
        struct weir_vocabulary_entry *entry = &head->entry[0];
        struct weir_state *states = part(WEIR_PART_STATE);
        struct weir_halves *halves = part(WEIR_PART_HALVES);
        uint32_t *shorter = part(WEIR_PART_SHORTER), *start = part(WEIR_PART_START);
        const struct weir_encoding *e = &vocabulary.encoding[0];
        switch (forgery) {
        case 0:
            head->encodings = WEIR_ENCODINGS_MAX + 1;
            break;
        case 1:
            entry->part[WEIR_PART_STATE].at = file.len + 8;
            break;
        case 2:
            entry->part[WEIR_PART_BYTES].at += 1;
            break;
        case 3:
            entry->part[WEIR_PART_WORD].count = UINT64_MAX / 8;
            break;
        case 4:
            entry->tokens--;
            break;
        case 5:
            memset(entry->name, 'x', sizeof(entry->name));
            break;
        case 6:
            entry->rule = WEIR_SPLIT_RULES;
            break;
        case 7:
            halves[257].left = 257;
            break;
        case 8:
            halves[257] = (struct weir_halves){258, 258};
            break;
        case 9:
            shorter[257] = 257;
            break;
        case 10:
            shorter[257] = 260;
            break;
        case 11:
            start[3] = start[5];
            break;
        case 12:
            states[0].base = e->states - 255;
            break;
        case 13:
            states[(states[0].base & ~WEIR_STATE_TOKEN) + 'x'].from = 1;
            break;
        case 14:
            memset(part(WEIR_PART_PAIR), 1, e->pairs * sizeof(uint64_t));
            break;
        default:
            ((uint64_t *)part(WEIR_PART_LONGER))[0] = 261;
            break;
        }
        assert_int_equal(view(), WEIR_ERR_INVALID);
        weir_buf_deinit(&file);
    }
}

/* What is no list of bytes and of what they are merged to. */
static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *token;
        enum weir_err err;
    } cases[] = {
        {"ab", WEIR_OK},
        {"a", WEIR_ERR_INVALID}, /* twice */
        {"", WEIR_ERR_INVALID},
        {"abc", WEIR_ERR_INVALID}, /* neither ab nor bc is one */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        list_init(&list);
        list_add(&list, cases[i].token, strlen(cases[i].token));
        const struct weir_pack_source source = {
            .name = WEIR_STR("small"), .token = list.token, .tokens = list.tokens};
        weir_buf_init(&file, WEIR_VOCABULARY_BYTES_MAX);
        assert_int_equal(weir_pack(&source, 1, &file), cases[i].err);
        weir_buf_deinit(&file);
        const struct weir_pack_source lacks = {
            .name = WEIR_STR("small"), .token = list.token + 1, .tokens = list.tokens - 1};
        weir_buf_init(&file, WEIR_VOCABULARY_BYTES_MAX);
        assert_int_equal(weir_pack(&lacks, 1, &file), WEIR_ERR_INVALID);
        weir_buf_deinit(&file);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    list_init(&list);
    list_add(&list, "ab", 2);
    const struct weir_pack_source source = {
        .name = WEIR_STR("small"), .token = list.token, .tokens = list.tokens};
    enum weir_err err = WEIR_ERR_NOMEM;
    unsigned allocations = 0;
    for (; err == WEIR_ERR_NOMEM; allocations++) {
        weir_buf_init(&file, WEIR_VOCABULARY_BYTES_MAX);
        weir_mem_fail_after(allocations);
        err = weir_pack(&source, 1, &file);
        weir_mem_fail_after(UINT64_MAX);
        weir_buf_deinit(&file);
    }
    assert_int_equal(err, WEIR_OK);
    assert_true(allocations > 10);
}

static void test_ranks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t bad_line; /* 0: it is read */
    } cases[] = {
        {"", 0},          {"YQ== 0\n", 0},         {"YWI= 0\nYWJj 1", 0},
        {"YQ== 1\n", 1},  {"YQ== 0\nYg== 0\n", 2}, {"YQ== 0\n\n", 2},
        {"YQ=a 0\n", 1},  {"Y=== 0\n", 1},         {"YQ= 0\n", 1},
        {" 0\n", 1},      {"YQ==\n", 1},           {"YQ== 0 \n", 1},
        {"Y Q== 0\n", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_ranks ranks;
        size_t line = 0;
        enum weir_err err = weir_ranks_read(weir_str_z(cases[i].text), &ranks, &line);
        assert_int_equal(err, cases[i].bad_line == 0 ? WEIR_OK : WEIR_ERR_INVALID);
        assert_int_equal(line, cases[i].bad_line);
        if (err == WEIR_OK) {
            if (ranks.tokens == 2) {
                assert_true(weir_str_eq(ranks.token[0], WEIR_STR("ab")));
                assert_true(weir_str_eq(ranks.token[1], WEIR_STR("abc")));
            }
            weir_ranks_deinit(&ranks);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens),     cmocka_unit_test(test_damage),
        cmocka_unit_test(test_forgeries), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
