/* SPDX-License-Identifier: Apache-2.0 */
/* member.h - finds one member of a JSON text's outermost object, or of an object in it, while its
 * bytes go by, so that what stands there is known and the text is not kept. What comes before the
 * text's first brace is passed over. No check of the rest: of a text that is no JSON it may find
 * anything or nothing. Pure; one owner. */
#ifndef WEIR_GATEWAY_MEMBER_H
#define WEIR_GATEWAY_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { WEIR_MEMBER_MAX = 16 * 1024 }; /* bytes of a value that is kept */

/* Names need no escapes. in: of the object in the outermost one; empty: in the outermost one. */
struct weir_member_path {
    struct weir_str in, name;
};

struct weir_member {
    struct weir_member_path _path; /* borrowed */
    struct weir_buf _value;
    uint32_t _depth;       /* of open lists and objects */
    uint32_t _level;       /* of the object whose names count now: 1, or 2 inside of `in` */
    uint32_t _matched;     /* bytes of the name that is being read; UINT32_MAX: another one */
    bool _string, _escape; /* in a string; behind its backslash */
    bool _naming;          /* the string, or the next one, is a name that counts */
    bool _entering;        /* in the value of `in` */
    bool _taking;          /* in the value */
    bool _whole;           /* its end has come */
};

/* Allocates nothing. path: its names are borrowed as long as m is used; no name: finds nothing. */
void weir_member_init(struct weir_member *m, struct weir_member_path path);
void weir_member_deinit(struct weir_member *m);
/* For another text. */
void weir_member_reset(struct weir_member *m);

void weir_member_feed(struct weir_member *m, struct weir_str bytes);
/* The value of the last one of that name: empty when there is none, when it is too large, and when
 * its end has not come. Valid until m is used again. */
struct weir_str weir_member_value(const struct weir_member *m);

#endif
