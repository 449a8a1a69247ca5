/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h - bytes that end where a page ends which nobody may touch: a reader that goes one byte
 * too far dies of it, in every build. Included once per test program. */
#ifndef WEIR_TESTS_GUARD_H
#define WEIR_TESTS_GUARD_H

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

struct guard {
    char *pages;
    size_t bytes; /* of which the last page is the guard */
    size_t page;
};

/* Room for `room` bytes. */
static inline void guard_init(struct guard *g, size_t room)
{
    g->page = (size_t)sysconf(_SC_PAGESIZE);
    g->bytes = (room / g->page + 2) * g->page;
    g->pages = mmap(NULL, g->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WEIR_ASSERT(g->pages != MAP_FAILED);
    int err = mprotect(g->pages + g->bytes - g->page, g->page, PROT_NONE);
    WEIR_ASSERT(err == 0);
}

/* The text, moved against the guard. */
static inline struct weir_str guard_put(struct guard *g, struct weir_str text)
{
    WEIR_ASSERT(text.len <= g->bytes - g->page);
    char *at = g->pages + g->bytes - g->page - text.len;
    if (text.len > 0) {
        memcpy(at, text.p, text.len);
    }
    return weir_str(at, text.len);
}

static inline void guard_deinit(struct guard *g)
{
    munmap(g->pages, g->bytes);
}

#endif
