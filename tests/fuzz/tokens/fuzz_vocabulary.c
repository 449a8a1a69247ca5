/* SPDX-License-Identifier: Apache-2.0 */
/* A small file of token data with some of its bytes changed and its check sum put right: refused,
 * or counted with without leaving the file. The input is a list of changes, a place (4 bytes) and
 * its new four bytes each, up to a place of all ones; the rest is the text to count. Seeds:
 * fuzz_vocabulary/. */
#include "support/vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weir_buf whole;
static char *copy; /* of just its size, so that a sanitizer sees a byte too many */

static void make(void)
{
    static struct list list;
    struct weir_vocabulary v;
    struct weir_rand dice;
    weir_rand_init(&dice, 1);
    list_init(&list);
    list_grow(&list, &dice, WEIR_STR("abc"), 300);
    list_open(&list, WEIR_SPLIT_O200K, &whole, &v);
    copy = malloc(whole.len);
    WEIR_ASSERT(copy != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_vocabulary v;
    uint32_t change[2];
    if (copy == NULL) {
        make();
    }
    memcpy(copy, whole.data, whole.len);
    while (size >= sizeof(change)) {
        memcpy(change, data, sizeof(change));
        data += sizeof(change);
        size -= sizeof(change);
        if (change[0] == UINT32_MAX) {
            break;
        }
        memcpy(copy + change[0] % (whole.len - 4), &change[1], sizeof(change[1]));
    }
    struct weir_str bytes = weir_str(copy, whole.len);
    struct weir_vocabulary_head head;
    memcpy(&head, copy, sizeof(head));
    head.check = weir_vocabulary_check(bytes);
    memcpy(copy, &head, sizeof(head));
    if (weir_vocabulary_view(bytes, &v) == WEIR_OK && v.encodings > 0) {
        struct weir_str text = weir_str((const char *)data, size);
        uint64_t tokens = weir_tokens_count(&v.encoding[0], text);
        WEIR_ASSERT(tokens <= size && (tokens > 0) == (size > 0));
    }
    return 0;
}
