/* SPDX-License-Identifier: Apache-2.0 */
/* dialect_embeddings.c - OpenAI's embeddings: input alone. */
#include "service/dialect_read.h"

enum field { MODEL, INPUT, FIELDS };

static const struct weir_str names[FIELDS] = {
    [MODEL] = WEIR_STR_INIT("model"),
    [INPUT] = WEIR_STR_INIT("input"),
};

static bool read_embeddings(struct weir_reading *g)
{
    const struct weir_json_node *item[FIELDS] = {NULL};
    uint32_t texts = 0;
    g->r.no_output = true;
    return weir_find_fields(g, names, FIELDS, item) && weir_read_model(g, item[MODEL]) &&
           weir_read_prompts(g, item[INPUT], "input", &texts);
}

const struct weir_dialect weir_dialect_embeddings = {
    .name = "embeddings",
    .path = WEIR_STR_INIT("/v1/embeddings"),
    .api = &weir_api_openai,
    .read = read_embeddings,
    .usage.name = WEIR_STR_INIT("usage"),
};
