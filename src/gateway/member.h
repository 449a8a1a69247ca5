/* SPDX-License-Identifier: Apache-2.0 */
/* member.h - finds one member of the outermost object of a JSON text while its bytes go by, so that
 * what stands in it is known and the text is not kept. No check of the rest: of a text that is no
 * JSON it may find anything or nothing. Pure; one owner. */
#ifndef WEIR_GATEWAY_MEMBER_H
#define WEIR_GATEWAY_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { WEIR_MEMBER_MAX = 16 * 1024 }; /* bytes of a value that is kept */

struct weir_member {
    struct weir_str _name; /* borrowed */
    struct weir_buf _value;
    uint32_t _depth;       /* of open lists and objects */
    uint32_t _matched;     /* bytes of the name that is being read; UINT32_MAX: it is another one */
    bool _string, _escape; /* in a string; behind its backslash */
    bool _naming;          /* the string, or the next one, is a name of the outermost object */
    bool _taking;          /* in the value */
    bool _whole;           /* its end has come */
};

/* Allocates nothing. name: needs no escapes; borrowed as long as m is used. */
void weir_member_init(struct weir_member *m, struct weir_str name);
void weir_member_deinit(struct weir_member *m);

void weir_member_feed(struct weir_member *m, struct weir_str bytes);
/* The value of the last one of that name: empty when there is none, when it is too large, and when
 * its end has not come. Valid until m is used again. */
struct weir_str weir_member_value(const struct weir_member *m);

#endif
