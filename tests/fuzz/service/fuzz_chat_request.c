/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of chat completions: a refusal names a field and is UTF-8, what is taken is in bounds.
 * Seeds: fuzz_chat_request/. */
#include <stdlib.h>

#include "base/utf8.h"
#include "service/chat_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weir_json json;
static struct weir_buf space;

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_chat_request r;
    struct weir_chat_refusal why;
    weir_buf_init(&space, 1 << 20);
    if (weir_chat_request_read(&json, &space, weir_str((const char *)data, size), &r, &why) ==
        WEIR_OK) {
        check(r.model.len >= 1 && r.model.len <= WEIR_MODEL_MAX && weir_utf8_valid(r.model));
        check(r.output_max <= INT32_MAX);
        /* never more than the bytes, an image's constant aside; never nothing */
        check(r.input_tokens >= 6 && r.input_tokens <= 6 + 800 * size);
    } else {
        check(strlen(why.text) > 0 && weir_utf8_valid(weir_str_z(why.text)));
        check(strncmp(why.text, why.param, strlen(why.param)) == 0);
    }
    weir_buf_deinit(&space);
    weir_json_deinit(&json);
    return 0;
}
