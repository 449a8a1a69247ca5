/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an upstream's answer: whatever it is, what goes to the client is whole lines of
 * printable text, without any field that must not pass. */
#include "gateway/upstream_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct weir_str line)
{
    const char *colon = memchr(line.p, ':', line.len);
    WEIR_ASSERT(colon != NULL && colon > line.p);
    struct weir_str name = weir_str(line.p, (size_t)(colon - line.p));
    WEIR_ASSERT(weir_answer_field_passes(name, WEIR_STR("")) ||
                weir_str_eq_nocase(name, WEIR_STR("x-weir-upstream-request-id")));
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.p[i];
        WEIR_ASSERT((c >= ' ' || c == '\t') && c != 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_str text = weir_str((const char *)data, size);
    struct weir_answer_head head;
    struct weir_buf fields;
    weir_buf_init(&fields, 2 * WEIR_ANSWER_HEAD_MAX);
    if (weir_answer_head_read(text, 1795900000, &fields, &head) == WEIR_OK) {
        WEIR_ASSERT(head.status >= 200 && head.status <= 599);
        for (struct weir_str rest = weir_buf_view(&fields); rest.len > 0;) {
            const char *end = memmem(rest.p, rest.len, "\r\n", 2);
            WEIR_ASSERT(end != NULL);
            size_t len = (size_t)(end - rest.p);
            check_line(weir_str(rest.p, len));
            rest = weir_str(rest.p + len + 2, rest.len - len - 2);
        }
    }
    weir_buf_deinit(&fields);
    if (weir_path_passes(text)) {
        WEIR_ASSERT(memmem(text.p, text.len, "/../", 4) == NULL);
    }
    return 0;
}
