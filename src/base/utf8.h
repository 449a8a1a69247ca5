/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - whether bytes are UTF-8 (RFC 3629). */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include <stdbool.h>

#include "base/str.h"

/* No overlong forms, no surrogates, nothing above U+10FFFF. */
bool weir_utf8_valid(struct weir_str s);

#endif
