/* SPDX-License-Identifier: Apache-2.0 */
/* shared.h - what the workers' handles on the store share. Private to store. */
#ifndef WEIR_STORE_SHARED_H
#define WEIR_STORE_SHARED_H

#include "store/embedded/embedded.h"
#include "store/open.h"
#include "store/settled.h"

struct weir_store_shared {
    struct weir_embedded *table; /* the store itself, or what this node was granted by Redis */
    struct weir_settled *settled;
    uint64_t epoch; /* of the table; never 0 */
};

#endif
