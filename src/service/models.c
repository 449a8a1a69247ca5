/* SPDX-License-Identifier: Apache-2.0 */
/* models.c - GET /v1/models: the models that the configuration names. */
#include "service/service.h"

void weir_models(struct weir_request *r)
{
    const struct weir_config *config = r->service->config;
    struct weir_caller caller;
    if (!weir_authenticate(r, &caller)) {
        return;
    }
    struct weir_buf *b = &r->service->body;
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "{\"object\":\"list\",\"data\":[");
    bool first = true;
    for (const struct weir_model *m = config->model; m < config->model + config->models; m++) {
        if (m->glob) {
            continue;
        }
        weir_buf_str(b, first ? WEIR_STR("{\"id\":") : WEIR_STR(",{\"id\":"));
        weir_buf_json(b, m->text);
        WEIR_BUF_LIT(b, ",\"object\":\"model\",\"created\":0,\"owned_by\":\"weir\"}");
        first = false;
    }
    WEIR_BUF_LIT(b, "]}");
    weir_answer(r->service, r->x, r->started_ns, 200, weir_buf_view(weir_head(r->service, NULL)),
                WEIR_STR("application/json"), weir_buf_view(b));
}
