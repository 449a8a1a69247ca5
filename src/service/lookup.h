/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.h - one decision on behalf of a request that waits for nothing else: acquire and usage.
 * Private to service. */
#ifndef WEIR_SERVICE_LOOKUP_H
#define WEIR_SERVICE_LOOKUP_H

#include "service/service.h"

/* Answers when the decision is there; x is alive. */
typedef void weir_decided_fn(struct weir_service *s, struct weir_http_exchange *x,
                             uint64_t started_ns, const struct weir_call *call);

/* NULL: no memory. */
struct weir_acquire *weir_acquire_new(struct weir_request *r, weir_decided_fn *decided);
/* Asks the store; the answer is given now or later. model: as of weir_call_subjects. */
void weir_acquire_start(struct weir_acquire *a, const struct weir_caller *caller,
                        const struct weir_subject *model, struct weir_amounts amounts);

#endif
