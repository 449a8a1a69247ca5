/* SPDX-License-Identifier: Apache-2.0 */
/* dialect_other.c - what weir does not know below /v1/: passed through as it is, charged as a
 * request, and for a POST with the tokens that its answer reports in OpenAI's or Anthropic's form.
 */
#include "service/dialect_read.h"

enum field { MODEL, STREAM, FIELDS };

static const struct weir_str names[FIELDS] = {
    [MODEL] = WEIR_STR_INIT("model"),
    [STREAM] = WEIR_STR_INIT("stream"),
};

/* The body may be anything; where it is an object with a model, that is whose limits hold. */
static bool read_other(struct weir_reading *g)
{
    const struct weir_json_node *item[FIELDS] = {NULL};
    g->r.no_output = true;
    if (!weir_find_fields(g, names, FIELDS, item) ||
        (weir_given(item[MODEL]) && !weir_read_model(g, item[MODEL]))) {
        return false;
    }
    g->r.stream = item[STREAM] != NULL && item[STREAM]->kind == WEIR_JSON_TRUE;
    g->r.include_usage = g->r.stream;
    return true;
}

static struct weir_verdict on_event(const struct weir_dialect_event *e, struct weir_progress *p)
{
    const struct weir_json_node *root = weir_json_root(e->j);
    const struct weir_json_node *response = weir_member_of(e->j, root, WEIR_STR("response"));
    const struct weir_json_node *message = weir_member_of(e->j, root, WEIR_STR("message"));
    weir_progress_read(p, e->j, weir_member_of(e->j, root, WEIR_STR("usage")));
    weir_progress_read(p, e->j, weir_member_of(e->j, response, WEIR_STR("usage")));
    weir_progress_read(p, e->j, weir_member_of(e->j, message, WEIR_STR("usage")));
    return (struct weir_verdict){0};
}

const struct weir_dialect weir_dialect_other = {
    .name = "other",
    .api = &weir_api_openai,
    .any_method = true,
    .read = read_other,
    .usage.name = WEIR_STR_INIT("usage"),
    .on_event = on_event,
};

const struct weir_dialect weir_dialect_other_anthropic = {
    .name = "other",
    .api = &weir_api_anthropic,
    .any_method = true,
    .read = read_other,
    .usage.name = WEIR_STR_INIT("usage"),
    .on_event = on_event,
};
