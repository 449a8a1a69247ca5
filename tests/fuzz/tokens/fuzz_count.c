/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes, counted as the encodings do, by plain merging of the same pieces, remembered and cut
 * in two. The first byte chooses the encoding. Seeds: fuzz_count/. */
#include "support/vocabulary.h"
#include "tokens/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES = 2 };

static struct list list;
static struct weir_buf file[RULES];
static struct weir_vocabulary vocabulary[RULES];
static struct weir_token_memory *memory;

static void make(void)
{
    struct weir_rand dice;
    weir_rand_init(&dice, 2);
    list_init(&list);
    list_grow(&list, &dice, WEIR_STR("abcABC \n!1'\xcc\x81"), 500);
    for (int i = 0; i < RULES; i++) {
        list_open(&list, (enum weir_split_rule)i, &file[i], &vocabulary[i]);
    }
    WEIR_ASSERT(weir_token_memory_new(&memory) == WEIR_OK);
}

/* At first and again; and in two at every place where it may be cut. */
static void check_remembered(const struct weir_encoding *e, struct weir_str text, uint64_t tokens)
{
    WEIR_ASSERT(weir_token_memory_count(memory, e, text) == tokens);
    WEIR_ASSERT(weir_token_memory_count(memory, e, text) == tokens);
    const unsigned char *begin = (const unsigned char *)text.p, *end = begin + text.len;
    for (const unsigned char *cut = begin + 1; cut < end; cut++) {
        cut = weir_split_cut(begin, cut, end);
        struct weir_str front = weir_str(text.p, (size_t)(cut - begin));
        struct weir_str rest = weir_str((const char *)cut, (size_t)(end - cut));
        WEIR_ASSERT(weir_tokens_count(e, front) + weir_tokens_count(e, rest) == tokens);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (list.tokens == 0) {
        make();
    }
    if (size == 0 || size > 512) {
        return 0;
    }
    unsigned rule = data[0] % RULES;
    const unsigned char *p = data + 1, *end = data + size;
    uint64_t plain = 0;
    while (p < end) {
        const unsigned char *past =
            rule == WEIR_SPLIT_O200K ? weir_split_o200k(p, end) : weir_split_cl100k(p, end);
        WEIR_ASSERT(past > p && past <= end);
        plain += list_count(&list, weir_str((const char *)p, (size_t)(past - p)));
        p = past;
    }
    const struct weir_encoding *e = &vocabulary[rule].encoding[0];
    struct weir_str text = weir_str((const char *)data + 1, size - 1);
    WEIR_ASSERT(weir_tokens_count(e, text) == plain);
    check_remembered(e, text, plain);
    return 0;
}
