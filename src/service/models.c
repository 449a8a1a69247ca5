/* SPDX-License-Identifier: Apache-2.0 */
/* models.c - GET /v1/models: the models that the configuration names, in the form of the API that
 * is asked. */
#include "service/dialect.h"
#include "service/service.h"

/* The next one that is no glob, from m on; NULL: there is none. */
static const struct weir_model *listed(const struct weir_config *config, const struct weir_model *m)
{
    const struct weir_model *end = config->model + config->models;
    while (m < end && m->glob) {
        m++;
    }
    return m < end ? m : NULL;
}

static void list_openai(struct weir_buf *b, const struct weir_config *config)
{
    WEIR_BUF_LIT(b, "{\"object\":\"list\",\"data\":[");
    const struct weir_model *first = listed(config, config->model);
    for (const struct weir_model *m = first; m != NULL; m = listed(config, m + 1)) {
        weir_buf_str(b, m == first ? WEIR_STR("{\"id\":") : WEIR_STR(",{\"id\":"));
        weir_buf_json(b, m->text);
        WEIR_BUF_LIT(b, ",\"object\":\"model\",\"created\":0,\"owned_by\":\"weir\"}");
    }
    WEIR_BUF_LIT(b, "]}");
}

static void id_or_null(struct weir_buf *b, const struct weir_model *m)
{
    if (m == NULL) {
        WEIR_BUF_LIT(b, "null");
    } else {
        weir_buf_json(b, m->text);
    }
}

/* One page of all. */
static void list_anthropic(struct weir_buf *b, const struct weir_config *config)
{
    WEIR_BUF_LIT(b, "{\"data\":[");
    const struct weir_model *first = listed(config, config->model), *last = NULL;
    for (const struct weir_model *m = first; m != NULL; last = m, m = listed(config, m + 1)) {
        weir_buf_str(b, m == first ? WEIR_STR("{\"type\":\"model\",\"id\":")
                                   : WEIR_STR(",{\"type\":\"model\",\"id\":"));
        weir_buf_json(b, m->text);
        WEIR_BUF_LIT(b, ",\"display_name\":");
        weir_buf_json(b, m->text);
        WEIR_BUF_LIT(b, ",\"created_at\":\"1970-01-01T00:00:00Z\"}");
    }
    WEIR_BUF_LIT(b, "],\"has_more\":false,\"first_id\":");
    id_or_null(b, first);
    WEIR_BUF_LIT(b, ",\"last_id\":");
    id_or_null(b, last);
    WEIR_BUF_LIT(b, "}");
}

void weir_models(struct weir_request *r)
{
    struct weir_service *s = r->service;
    struct weir_caller caller;
    char id[WEIR_REQUEST_ID_BYTES];
    if (!weir_authenticate(r, &caller)) {
        return;
    }
    weir_request_id(s, id);
    struct weir_buf *head = weir_head(s, id);
    weir_buf_reset(&s->body);
    if (weir_http_header(r->http, WEIR_STR("anthropic-version")).p != NULL) {
        weir_api_anthropic.headers(head, id, 0, NULL, 0);
        list_anthropic(&s->body, s->config);
    } else {
        list_openai(&s->body, s->config);
    }
    weir_answer(s, r->x, r->started_ns, 200, weir_buf_view(head), WEIR_STR("application/json"),
                weir_buf_view(&s->body));
}
