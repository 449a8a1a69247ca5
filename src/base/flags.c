/* SPDX-License-Identifier: Apache-2.0 */
#include "base/flags.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

bool weir_flag_refuse(const struct weir_flag_value *v, const char *expected)
{
    snprintf(v->error, WEIR_FLAG_ERROR_BYTES, "--%s: expected %s, got \"%.80s\"", v->flag->name,
             expected, v->value);
    return false;
}

static void *place(const struct weir_flag_value *v)
{
    return (char *)v->into + v->flag->at;
}

bool weir_flag_text(const struct weir_flag_value *v)
{
    const char **to = place(v);
    *to = v->value;
    return true;
}

bool weir_flag_set(const struct weir_flag_value *v)
{
    bool *to = place(v);
    *to = true;
    return true;
}

static const struct weir_flag *find_flag(const struct weir_flags *flags, struct weir_str name)
{
    for (size_t i = 0; i < flags->count; i++) {
        if (weir_str_eq(name, weir_str_z(flags->flag[i].name))) {
            return &flags->flag[i];
        }
    }
    return NULL;
}

/* argv[*at] begins with a dash; *at moves behind it and its value. */
static bool read_flag(const struct weir_flags *flags, int argc, char **argv, int *at, void *into,
                      char *error)
{
    const char *arg = argv[(*at)++], *equals = strchr(arg, '=');
    bool is_long = strncmp(arg, "--", 2) == 0;
    const char *name = arg + 2, *value = equals == NULL ? NULL : equals + 1;
    size_t len = equals == NULL ? strlen(arg) : (size_t)(equals - arg);
    const struct weir_flag *flag =
        is_long && len > 2 ? find_flag(flags, weir_str(name, len - 2)) : NULL;
    if (flag == NULL) {
        snprintf(error, WEIR_FLAG_ERROR_BYTES, "unknown option %.80s; see %s --help", arg,
                 flags->command);
        return false;
    }
    if (flag->bare && value != NULL) {
        snprintf(error, WEIR_FLAG_ERROR_BYTES, "--%s expects no value", flag->name);
        return false;
    }
    if (!flag->bare && value == NULL) {
        if (*at >= argc) {
            snprintf(error, WEIR_FLAG_ERROR_BYTES, "--%s expects a value", flag->name);
            return false;
        }
        value = argv[(*at)++];
    }
    const struct weir_flag_value v = {flag, value, into, error};
    return flag->read(&v);
}

static enum weir_flags_end check_operands(const struct weir_flags *flags, char **argv, int operands,
                                          char *error)
{
    if (flags->operand == NULL && operands > 0) {
        snprintf(error, WEIR_FLAG_ERROR_BYTES, "unexpected \"%.80s\"; see %s --help", argv[1],
                 flags->command);
        return WEIR_FLAGS_WRONG;
    }
    if (flags->operand != NULL &&
        (operands < flags->operands_min || operands > flags->operands_max)) {
        snprintf(error, WEIR_FLAG_ERROR_BYTES, "expected %s; see %s --help", flags->operand,
                 flags->command);
        return WEIR_FLAGS_WRONG;
    }
    return WEIR_FLAGS_READ;
}

enum weir_flags_end weir_flags_read(const struct weir_flags *flags, int argc, char **argv,
                                    void *into, int *ret_operands,
                                    char error[static WEIR_FLAG_ERROR_BYTES])
{
    int operands = 0;
    bool flags_end = false;
    error[0] = '\0';
    for (int at = 1; at < argc;) {
        char *arg = argv[at];
        if (flags_end || arg[0] != '-' || arg[1] == '\0') {
            argv[++operands] = arg; /* never behind `at` */
            at++;
        } else if (strcmp(arg, "--") == 0) {
            flags_end = true;
            at++;
        } else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            return WEIR_FLAGS_HELP;
        } else if (!read_flag(flags, argc, argv, &at, into, error)) {
            return WEIR_FLAGS_WRONG;
        }
    }
    *ret_operands = operands;
    return check_operands(flags, argv, operands, error);
}
