/* SPDX-License-Identifier: Apache-2.0 */
#include "base/flags.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

bool weir_flag_refuse(const struct weir_flag_value *v, const char *expected)
{
    snprintf(v->error, WEIR_FLAG_ERROR_BYTES, "%s: expected %s, got \"%.80s\"", v->flag->name,
             expected, v->value);
    return false;
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

bool weir_flags_next(const struct weir_flags *flags, int argc, char **argv, int *at, void *into,
                     char error[static WEIR_FLAG_ERROR_BYTES])
{
    const char *arg = argv[(*at)++];
    const char *equals = strchr(arg, '=');
    const struct weir_flag *flag =
        find_flag(flags, equals == NULL ? weir_str_z(arg) : weir_str(arg, (size_t)(equals - arg)));
    if (flag == NULL || (flag->bare && equals != NULL)) {
        snprintf(error, WEIR_FLAG_ERROR_BYTES, "there is no option \"%.80s\"; %s --help lists them",
                 arg, flags->command);
        return false;
    }
    const char *value = equals == NULL ? NULL : equals + 1;
    if (!flag->bare && value == NULL) {
        if (*at >= argc) {
            snprintf(error, WEIR_FLAG_ERROR_BYTES, "%s: expected a value behind it", flag->name);
            return false;
        }
        value = argv[(*at)++];
    }
    const struct weir_flag_value v = {flag, value, into, error};
    return flag->read(&v);
}
