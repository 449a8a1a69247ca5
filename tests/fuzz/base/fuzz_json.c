/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader against cJSON: what both take means the same to both. cJSON is laxer (bytes that
 * are no UTF-8, control characters, 01) and, where a NUL or half a surrogate pair stands, stricter.
 * Seeds: fuzz_json/. */
#include <cJSON.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weir_json j;
static struct weir_buf space;

static void same(const struct weir_json_node *n, const cJSON *c);

static void same_members(const struct weir_json_node *n, const cJSON *c)
{
    bool object = n->kind == WEIR_JSON_OBJECT;
    const cJSON *child = c->child;
    for (const struct weir_json_node *at = weir_json_first(&j, n), *value; at != NULL;
         at = weir_json_next(&j, n, value), child = child->next) {
        value = object ? at + 1 : at;
        WEIR_ASSERT(child != NULL);
        if (object) {
            struct weir_str name = weir_json_string(&j, at, &space);
            WEIR_ASSERT(weir_str_eq(name, weir_str_z(child->string)));
        }
        same(value, child);
    }
    WEIR_ASSERT(child == NULL);
}

static void same(const struct weir_json_node *n, const cJSON *c)
{
    uint64_t whole;
    switch ((enum weir_json_kind)n->kind) {
    case WEIR_JSON_NULL:
        WEIR_ASSERT(cJSON_IsNull(c));
        break;
    case WEIR_JSON_FALSE:
        WEIR_ASSERT(cJSON_IsFalse(c));
        break;
    case WEIR_JSON_TRUE:
        WEIR_ASSERT(cJSON_IsTrue(c));
        break;
    case WEIR_JSON_NUMBER:
        WEIR_ASSERT(cJSON_IsNumber(c));
        if (weir_json_u64(&j, n, UINT64_C(1) << 53, &whole) == WEIR_OK) {
            WEIR_ASSERT((double)whole == c->valuedouble);
        }
        break;
    case WEIR_JSON_STRING:
        WEIR_ASSERT(cJSON_IsString(c));
        WEIR_ASSERT(weir_str_eq(weir_json_string(&j, n, &space), weir_str_z(c->valuestring)));
        break;
    case WEIR_JSON_ARRAY:
        WEIR_ASSERT(cJSON_IsArray(c));
        same_members(n, c);
        break;
    case WEIR_JSON_OBJECT:
        WEIR_ASSERT(cJSON_IsObject(c));
        same_members(n, c);
        break;
    }
}

/* cJSON reads no number of more than 63 bytes. */
static bool has_long_number(void)
{
    bool has = false;
    for (uint32_t i = 0; i < j.nodes; i++) {
        has = has || (j.node[i].kind == WEIR_JSON_NUMBER && j.node[i].len > 63);
    }
    return has;
}

/* Each node lies within the text and within the one that holds it. */
static void check_nodes(size_t size)
{
    for (uint32_t i = 0; i < j.nodes; i++) {
        WEIR_ASSERT(j.node[i].at <= size && j.node[i].len <= size - j.node[i].at);
        WEIR_ASSERT(j.node[i].past > i && j.node[i].past <= j.nodes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* a copy of exactly this size: a byte behind it is not ours to read */
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text = realloc(text, size > 0 ? size : 1);
    weir_buf_recycle(&space, 0);
    weir_buf_init(&space, size * 2 + 64);
    if (weir_json_parse(&j, weir_str(text, size)) == WEIR_OK) {
        check_nodes(size);
        const char *end = NULL;
        cJSON *c = cJSON_ParseWithLengthOpts(text, size, &end, 0);
        bool odd = memmem(text, size, "\\u0000", 6) != NULL ||
                   memmem(text, size, "\\ud", 3) != NULL || memmem(text, size, "\\uD", 3) != NULL ||
                   has_long_number();
        WEIR_ASSERT(c != NULL || odd);
        if (c != NULL && !odd) {
            same(weir_json_root(&j), c);
        }
        cJSON_Delete(c);
    }
    free(text);
    return 0;
}
