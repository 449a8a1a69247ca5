/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of requests to the mock model server, the first byte chooses the API: a refusal says why,
 * what is taken is in bounds. Seeds: fuzz_mock_request/. */
#include <stdlib.h>

#include "gateway/mock_request.h"

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
    struct weir_mock_request r;
    struct weir_mock_refusal why;
    if (size == 0) {
        return 0;
    }
    enum weir_mock_api api = data[0] % WEIR_MOCK_APIS;
    struct weir_str body = weir_str((const char *)data + 1, size - 1);
    weir_buf_init(&space, 1 << 20);
    if (weir_mock_request_read(api, &json, &space, body, &r, &why) == WEIR_OK) {
        check(r.model.len >= 1 && r.model.len <= WEIR_MOCK_NAME_MAX);
        check(r.tool.len <= WEIR_MOCK_NAME_MAX && r.trace.len <= WEIR_MOCK_NAME_MAX);
        check(r.output_max <= INT32_MAX);
        check(r.output_asked <= 1000000 || r.output_asked == WEIR_MOCK_NOT_ASKED);
        check(r.input_tokens <= 6 + 800 * size); /* an image's constant for a few bytes */
        check(r.inputs >= 1);
        check(api != WEIR_MOCK_EMBEDDING ||
              (r.inputs <= WEIR_MOCK_INPUTS_MAX && r.dimensions >= 1 &&
               r.dimensions <= WEIR_MOCK_DIMENSIONS_MAX));
    } else {
        check(strlen(why.text) > 0 && strlen(why.param) < sizeof(why.param));
    }
    weir_buf_deinit(&space);
    weir_json_deinit(&json);
    return 0;
}
