/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of tools, and data: URLs of images: any bytes as both. Seeds: fuzz_chat_parts/. */
#include "support/vocabulary.h"
#include "tokens/image.h"
#include "tokens/tools.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct list list;
static struct weir_buf file;
static struct weir_vocabulary vocabulary;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_str text = weir_str((const char *)data, size);
    struct weir_json j;
    uint32_t width, height;
    if (list.tokens == 0) {
        list_init(&list);
        list_open(&list, WEIR_SPLIT_O200K, &file, &vocabulary);
    }
    if (weir_image_size(text, &width, &height)) {
        struct weir_image_rule rule = weir_image_rule_of(WEIR_STR("gpt-4o"));
        uint64_t tokens = weir_image_tokens(rule, width, height, false);
        WEIR_ASSERT(width > 0 && height > 0 && tokens >= 255 && tokens <= 85 + 8 * 170);
    }
    weir_json_init(&j);
    if (weir_json_parse(&j, text) == WEIR_OK) {
        uint64_t tokens;
        if (weir_tools_tokens(&vocabulary.encoding[0], NULL, &j, weir_json_root(&j), &tokens)) {
            WEIR_ASSERT(tokens > WEIR_TOKENS_PER_FUNCTIONS);
        }
    }
    weir_json_deinit(&j);
    return 0;
}
