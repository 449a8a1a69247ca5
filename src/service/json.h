/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - request bodies as cJSON trees in an arena of the thread, gone with the next one. */
#ifndef WEIR_SERVICE_JSON_H
#define WEIR_SERVICE_JSON_H

#include <cJSON.h>

#include "base/str.h"

/* Once per process, before threads start. */
void weir_json_init(void);
/* The tree of a whole JSON text in UTF-8, or NULL; no string in it holds a NUL. Valid until the
 * next call on this thread; nothing is to be freed. At most 64 MiB of nodes and texts. */
const cJSON *weir_json_parse(struct weir_str text);
/* Finds fields of an object by their names: ret_item[i] is that of name[i], or NULL. Returns the
 * name of one that is there twice, or NULL: another reader may take the other one (RFC 8259,
 * section 4), so such an object must be refused. */
WEIR_MUSTCHECK const char *weir_json_fields(const cJSON *object, const char *const *name,
                                            size_t count, const cJSON **ret_item);
/* Gives the thread's memory back, when it ends. */
void weir_json_thread_end(void);

#endif
