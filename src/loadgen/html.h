/* SPDX-License-Identifier: Apache-2.0 */
/* html.h - the report as one page that needs nothing else: no script, no font, no network. */
#ifndef WEIR_LOADGEN_HTML_H
#define WEIR_LOADGEN_HTML_H

#include <stdio.h>

#include "loadgen/tally.h"

void weir_load_html(const struct weir_load_tally *t, FILE *out);
/* Writes text so that no character of it is markup, in an element or in a quoted attribute. */
void weir_load_html_text(FILE *out, struct weir_str text);

#endif
