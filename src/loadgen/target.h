/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - where a run sends its requests. */
#ifndef WEIR_LOADGEN_TARGET_H
#define WEIR_LOADGEN_TARGET_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/str.h"

struct weir_load_target {
    struct weir_str url;
    struct weir_str authority; /* HOST:PORT, for the Host field */
    struct sockaddr_storage addr;
};

/* Of http://HOST:PORT, whose views it keeps. Asks the system for the address of a name: blocks as
 * long as that does. False: it is no such URL, or its host has no address. */
WEIR_MUSTCHECK bool weir_load_target_read(struct weir_str url, struct weir_load_target *ret_target);

#endif
