/* SPDX-License-Identifier: Apache-2.0 */
/* plot.h - the plots of the HTML report, each one inline SVG element. */
#ifndef WEIR_LOADGEN_PLOT_H
#define WEIR_LOADGEN_PLOT_H

#include <stdio.h>

#include "loadgen/tally.h"

/* How many answers took how long; the x axis doubles at even distances. */
void weir_load_plot_latency(const struct weir_load_tally *t, FILE *out);
/* Allowed, denied and failed per second, one above the other. */
void weir_load_plot_time(const struct weir_load_tally *t, FILE *out);
/* A bar for each of the keys with the most requests. */
void weir_load_plot_keys(const struct weir_load_tally *t, FILE *out);

#endif
