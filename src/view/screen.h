/* SPDX-License-Identifier: Apache-2.0 */
/* screen.h - a frame of `weir top` as text. Pure: no terminal, no clock. Whatever names hold, the
 * frame has no control character of theirs: all but printable ASCII becomes '?'. */
#ifndef WEIR_VIEW_SCREEN_H
#define WEIR_VIEW_SCREEN_H

#include "base/buf.h"
#include "view/overview.h"

enum weir_view_sort {
    WEIR_VIEW_BY_NODE, /* as the node lists them: busiest first */
    WEIR_VIEW_BY_NAME,
    WEIR_VIEW_BY_ALLOWED,
    WEIR_VIEW_BY_DENIED,
    WEIR_VIEW_BY_TOKENS,
    WEIR_VIEW_BY_USE,
    WEIR_VIEW_SORTS,
};

struct weir_view_screen {
    const struct weir_view_overview *now;
    const struct weir_view_overview *before; /* rates are differences to it; NULL: none are known */
    enum weir_view_sort sort;
    unsigned columns, rows; /* no line is longer, and not more are drawn; 0 rows: all */
    bool colour;
    bool live;        /* drawn over the frame before, from the first line on; keys are named */
    const char *note; /* what is wrong with the connection; NULL: nothing */
};

/* The order that a key asks for. False: that key asks for none. */
bool weir_view_sort_of(char key, enum weir_view_sort *ret_sort);
void weir_view_draw(struct weir_buf *b, const struct weir_view_screen *screen);

#endif
