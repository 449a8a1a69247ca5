/* SPDX-License-Identifier: Apache-2.0 */
/* configs.h - for tests: a configuration that must be taken, one that must be refused. */
#ifndef WEIR_TESTS_SUPPORT_CONFIGS_H
#define WEIR_TESTS_SUPPORT_CONFIGS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config/config.h"

#define PLAN "plans: {p: {limits: {requests: 1/s}}}\n" /* one line */

/* The configuration of a text, which may hold any byte; to be freed. */
static inline struct weir_config *taken_bytes(struct weir_str yaml)
{
    struct weir_config *config = NULL;
    struct weir_config_error error;
    enum weir_err err = weir_config_parse(yaml, NULL, &config, &error);
    if (err != WEIR_OK) {
        fail_msg("refused: %.*s\n%u:%u: %s", (int)yaml.len, yaml.p, error.line, error.column,
                 error.text);
    }
    return config;
}

static inline struct weir_config *taken(const char *yaml)
{
    return taken_bytes(weir_str_z(yaml));
}

static inline void refused_bytes(struct weir_str yaml, unsigned line, unsigned column,
                                 const char *text)
{
    struct weir_config *config = NULL;
    struct weir_config_error error;
    enum weir_err err = weir_config_parse(yaml, NULL, &config, &error);
    if (err != WEIR_ERR_INVALID || error.line != line || error.column != column ||
        strstr(error.text, text) == NULL) {
        fail_msg("%.*s\nis answered %s, %u:%u: %s\nexpected %u:%u: %s", (int)yaml.len, yaml.p,
                 weir_err_name(err), error.line, error.column, error.text, line, column, text);
    }
    assert_null(config);
    assert_false(error.in_flag);
}

/* Refused at this place for a reason in which `text` stands. */
static inline void refused(const char *yaml, unsigned line, unsigned column, const char *text)
{
    refused_bytes(weir_str_z(yaml), line, column, text);
}

#endif
