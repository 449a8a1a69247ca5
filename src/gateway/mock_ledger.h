/* SPDX-License-Identifier: Apache-2.0 */
/* mock_ledger.h - what the mock model server produced, by model and by the name a request gave
 * itself: what an audit of a gateway's settlements is held against. Bounded; a lock, so any thread.
 */
#ifndef WEIR_GATEWAY_MOCK_LEDGER_H
#define WEIR_GATEWAY_MOCK_LEDGER_H

#include "base/buf.h"

enum { WEIR_MOCK_MODELS_MAX = 1024, WEIR_MOCK_TRACES_MAX = 65536 };

enum weir_mock_end {
    WEIR_MOCK_COMPLETED,
    WEIR_MOCK_ABORTED,   /* by the mock: in the middle of a stream */
    WEIR_MOCK_CANCELLED, /* by the client: it went away */
    WEIR_MOCK_FAILED,    /* by the mock: a status; nothing was produced */
    WEIR_MOCK_ENDS,
};

struct weir_mock_ledger;

WEIR_MUSTCHECK enum weir_err weir_mock_ledger_new(struct weir_mock_ledger **ret_ledger);
/* NULL is allowed. */
void weir_mock_ledger_free(struct weir_mock_ledger *l);
/* A request began; it ends with one call of weir_mock_ledger_end. */
void weir_mock_ledger_begin(struct weir_mock_ledger *l);
/* Names of at most WEIR_MOCK_NAME_MAX bytes. `trace` may be empty. A model or a trace for which
 * there is no place is counted in the total, and that it was is said. */
void weir_mock_ledger_end(struct weir_mock_ledger *l, enum weir_mock_end how, struct weir_str model,
                          struct weir_str trace, uint64_t input_tokens, uint64_t output_tokens);
/* Appends all of it, or of one trace (p NULL: all). False: that trace is not known. */
bool weir_mock_ledger_json(struct weir_mock_ledger *l, struct weir_str trace, struct weir_buf *b);

#endif
