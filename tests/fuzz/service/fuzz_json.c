/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a body into the parser. What it takes is a tree of valid UTF-8 texts that, printed and
 * read again, is the same. Seeds: fuzz_json/. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "service/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    if (text != NULL && !weir_utf8_valid(weir_str_z(text))) {
        abort();
    }
}

static void check_tree(const cJSON *item, unsigned depth)
{
    if (depth > CJSON_NESTING_LIMIT) {
        abort();
    }
    for (; item != NULL; item = item->next) {
        check_text(item->string);
        check_text(cJSON_GetStringValue(item));
        check_tree(item->child, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_json_init();
    const cJSON *root = weir_json_parse(weir_str((const char *)data, size));
    if (root != NULL) {
        check_tree(root, 0);
        char *printed = cJSON_PrintUnformatted(root); /* in the arena */
        if (printed == NULL) {
            abort();
        }
        struct weir_str text = weir_str_z(printed);
        char *copy = weir_strndup(text.p, text.len);
        const cJSON *again = weir_json_parse(weir_str(copy, text.len));
        if (again == NULL || strcmp(cJSON_PrintUnformatted(again), copy) != 0) {
            abort();
        }
        weir_free(copy);
    }
    weir_json_thread_end(); /* so that a stale pointer is seen */
    return 0;
}
