/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - the result of every function that can fail, and the assert that stays in all builds. */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

enum weir_err {
    WEIR_OK = 0,
    WEIR_PENDING = 1, /* not an error: the answer comes through a callback */
    WEIR_ERR_NOMEM = -1,
    WEIR_ERR_LIMIT = -2,   /* a configured or documented maximum would be passed */
    WEIR_ERR_INVALID = -3, /* what came in has not the form that was asked for */
    WEIR_ERR_NOT_FOUND = -4,
    WEIR_ERR_UNAVAILABLE = -5, /* a dependency is out of reach */
    WEIR_ERR_IO = -6,          /* errno says why */
};

#define WEIR_MUSTCHECK         __attribute__((warn_unused_result))
#define WEIR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define WEIR_LIKELY(x)         __builtin_expect(!!(x), 1)
#define WEIR_UNLIKELY(x)       __builtin_expect(!!(x), 0)

/* Programmer errors only, never for input. On in every build; no side effects inside. */
#define WEIR_ASSERT(cond)                                                                          \
    do {                                                                                           \
        if (WEIR_UNLIKELY(!(cond))) {                                                              \
            weir_assert_failed(#cond, __FILE__, __LINE__);                                         \
        }                                                                                          \
    } while (0)

/* Returns from the calling function when expr is an error (negative). */
#define WEIR_TRY(expr)                                                                             \
    do {                                                                                           \
        enum weir_err weir_try_err = (expr);                                                       \
        if (weir_try_err < 0) {                                                                    \
            return weir_try_err;                                                                   \
        }                                                                                          \
    } while (0)

_Noreturn void weir_assert_failed(const char *cond, const char *file, int line);

/* A constant, lower-case name: "limit", "invalid". */
const char *weir_err_name(enum weir_err err);

#endif
