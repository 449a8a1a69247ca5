/* SPDX-License-Identifier: Apache-2.0 */
/* mock_page.h - what the mock model server says without running its model: errors, embeddings,
 * counts, the list of models. Pure: no I/O, no clock; a failed append shows in the buffer. */
#ifndef WEIR_GATEWAY_MOCK_PAGE_H
#define WEIR_GATEWAY_MOCK_PAGE_H

#include "base/buf.h"
#include "gateway/mock_request.h"

/* An error in OpenAI's form or, with `anthropic`, in Anthropic's; the type follows from the status.
 * `param` may be NULL or empty; `id`: the request's. */
void weir_mock_error(struct weir_buf *b, bool anthropic, int status, struct weir_str message,
                     const char *param, struct weir_str id);
/* r->inputs vectors of r->dimensions numbers, whose length is 1; they follow from the request and
 * the seed. */
void weir_mock_embeddings(struct weir_buf *b, const struct weir_mock_request *r, uint64_t seed);
void weir_mock_count(struct weir_buf *b, uint64_t input_tokens);
/* `names`: with commas between. */
void weir_mock_models(struct weir_buf *b, bool anthropic, struct weir_str names);
/* One of them. */
void weir_mock_model(struct weir_buf *b, bool anthropic, struct weir_str name);

#endif
