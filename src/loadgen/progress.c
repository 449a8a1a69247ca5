/* SPDX-License-Identifier: Apache-2.0 */
#include "loadgen/progress.h"

#include <inttypes.h>

enum { BAR = 30 };

void weir_load_progress_draw(const struct weir_load_tally *t, uint64_t now_ns)
{
    static const char full[] = "##############################";
    static const char empty[] = "..............................";
    _Static_assert(sizeof(full) == BAR + 1 && sizeof(empty) == BAR + 1, "as long as the bar");
    double passed_s = (double)(now_ns - t->start_ns) / 1e9;
    double planned_s = t->options->duration_s;
    int done = passed_s < planned_s ? (int)(passed_s / planned_s * BAR) : BAR;
    fprintf(stderr, "\r\033[K[%.*s%.*s] %.1f/%.6g s  %" PRIu64 " allowed  %" PRIu64 " denied", done,
            full, BAR - done, empty, passed_s, planned_s, t->all.allowed, t->all.denied);
    if (t->all.errors > 0) {
        fprintf(stderr, "  %" PRIu64 " errors", t->all.errors);
    }
}

void weir_load_progress_erase(void)
{
    fputs("\r\033[K", stderr);
}
