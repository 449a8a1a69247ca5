/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - for load balancers: /healthz is about the process, /readyz about its store. */
#include "service/service.h"

void weir_healthz(struct weir_request *r)
{
    weir_answer(r->service, r->x, r->started_ns, 200, WEIR_STR(""), WEIR_STR("text/plain"),
                WEIR_STR("ok\n"));
}

void weir_readyz(struct weir_request *r)
{
    bool ready = weir_store_ready(r->service->store);
    weir_answer(r->service, r->x, r->started_ns, ready ? 200 : 503, WEIR_STR(""),
                WEIR_STR("text/plain"),
                ready ? WEIR_STR("ready\n") : WEIR_STR("the store is out of reach\n"));
}
