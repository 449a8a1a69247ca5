/* SPDX-License-Identifier: Apache-2.0 */
/* shared.h - what the workers' handles on the store share. Private to store. */
#ifndef WEIR_STORE_SHARED_H
#define WEIR_STORE_SHARED_H

#include "store/embedded/embedded.h"
#include "store/open.h"
#include "store/redis/marks.h"
#include "store/redis/primaries.h"
#include "store/roll.h"
#include "store/settled.h"

struct weir_store_shared {
    struct weir_embedded *table; /* the store itself, or what this node was granted by Redis */
    struct weir_settled *settled;
    /* Where reservations belong: odd, to this process's table; one less, to Redis, granted to this
     * process. No other process has the same. */
    uint64_t epoch;
    /* with Redis: */
    struct weir_primaries *primaries;
    struct weir_roll *roll;  /* whose record the table has */
    struct weir_marks marks; /* what the store has not been told */
    _Atomic uint64_t nodes;  /* alive, as one of the handles has counted them last */
};

#endif
