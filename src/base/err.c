/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

_Noreturn void weir_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, cond);
    abort();
}

const char *weir_err_name(enum weir_err err)
{
    switch (err) {
    case WEIR_OK:
        return "ok";
    case WEIR_PENDING:
        return "pending";
    case WEIR_ERR_NOMEM:
        return "out of memory";
    case WEIR_ERR_LIMIT:
        return "limit";
    case WEIR_ERR_INVALID:
        return "invalid";
    case WEIR_ERR_NOT_FOUND:
        return "not found";
    case WEIR_ERR_UNAVAILABLE:
        return "unavailable";
    case WEIR_ERR_IO:
        return "i/o";
    }
    return "unknown";
}
