/* SPDX-License-Identifier: Apache-2.0 */
/* models.c - GET /v1/models: what the configuration lists. */
#include "service/service.h"

void weir_models(struct weir_request *r)
{
    const struct weir_config *config = r->service->config;
    const struct weir_key *key;
    uint8_t sha256[32];
    if (!weir_authenticate(r, &key, sha256)) {
        return;
    }
    struct weir_buf *b = &r->service->body;
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < config->models; i++) {
        WEIR_BUF_LIT(b, "{\"id\":");
        weir_buf_json(b, weir_str_z(config->model[i]));
        WEIR_BUF_LIT(b, ",\"object\":\"model\",\"created\":0,\"owned_by\":\"weir\"}");
        if (i + 1 < config->models) {
            weir_buf_char(b, ',');
        }
    }
    WEIR_BUF_LIT(b, "]}");
    weir_answer(r->service, r->x, r->started_ns, 200, weir_buf_view(weir_head(r->service, NULL)),
                WEIR_STR("application/json"), weir_buf_view(b));
}
