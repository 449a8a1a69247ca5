/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace.h"

#include <errno.h>

#include "base/buf.h"
#include "base/mem.h"

enum { ROWS_AT_FIRST = 1024 };

struct reading {
    struct weir_trace trace;
    size_t room; /* rows that there is memory for */
    size_t line; /* from 1: the one that is read */
    struct weir_trace_columns columns;
    struct weir_trace_error *error;
};

static enum weir_err refuse(struct reading *g, const char *why)
{
    g->error->line = g->line;
    snprintf(g->error->text, sizeof(g->error->text), "%s", why);
    return WEIR_ERR_INVALID;
}

static enum weir_err no_memory(struct weir_trace_error *error)
{
    *error = (struct weir_trace_error){.text = "out of memory"};
    return WEIR_ERR_NOMEM;
}

/* ---- lines ---- */

static struct weir_str take_line(struct weir_str *rest)
{
    const char *end = memchr(rest->p, '\n', rest->len);
    struct weir_str line = weir_str(rest->p, end == NULL ? rest->len : (size_t)(end - rest->p));
    size_t used = line.len + (end != NULL);
    *rest = weir_str(rest->p + used, rest->len - used);
    if (line.len > 0 && line.p[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

static enum weir_err make_room(struct reading *g)
{
    if (g->trace.rows < g->room) {
        return WEIR_OK;
    }
    if (g->trace.rows == WEIR_TRACE_ROWS_MAX) {
        return refuse(g, "expected at most 67108864 rows");
    }
    size_t room = g->room == 0 ? ROWS_AT_FIRST : g->room * 2;
    struct weir_trace_row *row = weir_realloc(g->trace.row, room * sizeof(*row));
    if (row == NULL) {
        return no_memory(g->error);
    }
    g->trace.row = row;
    g->room = room;
    return WEIR_OK;
}

static enum weir_err read_row(struct reading *g, struct weir_str line)
{
    struct weir_trace_row row;
    char why[WEIR_TRACE_ERROR_BYTES];
    if (!weir_trace_read(&g->columns, line, WEIR_TRACE_TOKENS_MAX, &row, why)) {
        return refuse(g, why);
    }
    WEIR_TRY(make_room(g));
    g->trace.row[g->trace.rows++] = row;
    return WEIR_OK;
}

static enum weir_err read_lines(struct reading *g, struct weir_str rest)
{
    char why[WEIR_TRACE_ERROR_BYTES];
    for (g->line = 1; rest.len > 0; g->line++) {
        struct weir_str line = take_line(&rest);
        if (g->line == 1 && !weir_trace_names(line, &g->columns, why)) {
            return refuse(g, why);
        }
        if (g->line > 1 && line.len > 0) {
            WEIR_TRY(read_row(g, line));
        }
    }
    g->line = 0;
    return g->trace.rows == 0 ? refuse(g, "expected a line of names and at least one row")
                              : WEIR_OK;
}

/* ---- the whole ---- */

static int three_way(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Of one moment in an order that the file's does not change. */
static int by_time(const void *a, const void *b)
{
    const struct weir_trace_row *x = a, *y = b;
    int order = three_way(x->at_ns, y->at_ns);
    order = order != 0 ? order : three_way(x->input_tokens, y->input_tokens);
    return order != 0 ? order : three_way(x->output_tokens, y->output_tokens);
}

static void bring_in_order(struct weir_trace *trace)
{
    size_t i = 1;
    while (i < trace->rows && trace->row[i - 1].at_ns <= trace->row[i].at_ns) {
        i++;
    }
    if (i < trace->rows) {
        qsort(trace->row, trace->rows, sizeof(trace->row[0]), by_time);
    }
    uint64_t first_ns = trace->row[0].at_ns;
    for (i = 0; i < trace->rows; i++) {
        trace->row[i].at_ns -= first_ns;
    }
}

enum weir_err weir_trace_parse(struct weir_str text, struct weir_trace *ret_trace,
                               struct weir_trace_error *ret_error)
{
    struct reading g = {.error = ret_error};
    *ret_error = (struct weir_trace_error){0};
    enum weir_err err = read_lines(&g, text);
    if (err != WEIR_OK) {
        weir_free(g.trace.row);
        return err;
    }
    bring_in_order(&g.trace);
    *ret_trace = g.trace;
    return WEIR_OK;
}

static enum weir_err cannot_read(struct weir_trace_error *error)
{
    *error = (struct weir_trace_error){0};
    snprintf(error->text, sizeof(error->text), "cannot read it: %s", strerror(errno));
    return WEIR_ERR_IO;
}

enum weir_err weir_trace_load(const char *path, struct weir_trace *ret_trace,
                              struct weir_trace_error *ret_error)
{
    enum { PIECE_BYTES = 1 << 16 };
    struct weir_buf text;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return cannot_read(ret_error);
    }
    weir_buf_init(&text, WEIR_TRACE_BYTES_MAX);
    while (weir_buf_reserve(&text, PIECE_BYTES)) {
        size_t got = fread(text.data + text.len, 1, PIECE_BYTES, file);
        text.len += got;
        if (got == 0) {
            break;
        }
    }
    enum weir_err err = ferror(file) != 0 ? cannot_read(ret_error)
                        : text.failed     ? no_memory(ret_error)
                                          : WEIR_OK;
    fclose(file);
    err = err == WEIR_OK ? weir_trace_parse(weir_buf_view(&text), ret_trace, ret_error) : err;
    weir_buf_deinit(&text);
    return err;
}

void weir_trace_deinit(struct weir_trace *trace)
{
    weir_free(trace->row);
    *trace = (struct weir_trace){0};
}
