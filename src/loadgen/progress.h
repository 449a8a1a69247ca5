/* SPDX-License-Identifier: Apache-2.0 */
/* progress.h - one line on a terminal that is drawn over and over, and gone at the end. */
#ifndef WEIR_LOADGEN_PROGRESS_H
#define WEIR_LOADGEN_PROGRESS_H

#include "loadgen/tally.h"

void weir_load_progress_draw(const struct weir_load_tally *t, uint64_t now_ns);
void weir_load_progress_erase(void);

#endif
