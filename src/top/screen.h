/* SPDX-License-Identifier: Apache-2.0 */
/* screen.h - a frame of `weir top` as text. Pure: no terminal, no clock. Whatever names hold, the
 * frame has no control character of theirs: all but printable ASCII becomes '?'. */
#ifndef WEIR_TOP_SCREEN_H
#define WEIR_TOP_SCREEN_H

#include "base/buf.h"
#include "top/overview.h"

enum weir_top_sort {
    WEIR_TOP_BY_NODE, /* as the node lists them: busiest first */
    WEIR_TOP_BY_NAME,
    WEIR_TOP_BY_ALLOWED,
    WEIR_TOP_BY_DENIED,
    WEIR_TOP_BY_TOKENS,
    WEIR_TOP_BY_USE,
    WEIR_TOP_SORTS,
};

struct weir_top_screen {
    const struct weir_top_overview *now;
    const struct weir_top_overview *before; /* rates are differences to it; NULL: none are known */
    enum weir_top_sort sort;
    unsigned columns, rows; /* no line is longer, and not more are drawn; 0 rows: all */
    bool colour;
    bool live;        /* drawn over the frame before, from the first line on; keys are named */
    const char *note; /* what is wrong with the connection; NULL: nothing */
};

/* The order that a key asks for. False: that key asks for none. */
bool weir_top_sort_of(char key, enum weir_top_sort *ret_sort);
void weir_top_draw(struct weir_buf *b, const struct weir_top_screen *screen);

#endif
