/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - text and JSON. There may be a million subjects: they are written one by one. */
#include "verify/report.h"

#include <inttypes.h>

/* What a row says. */
struct row {
    struct weir_str subject;
    enum weir_meter meter;
    uint32_t window_s;
    uint64_t capacity;
    struct weir_audit_worst worst;
    uint32_t too_long;
    bool over;
};

typedef void row_fn(const struct row *row, bool judged, FILE *out, uint64_t rows);

static uint64_t write_rows(const struct weir_verify_report *r, row_fn *write, FILE *out,
                           uint64_t *ret_rows)
{
    uint64_t rows = 0, over = 0;
    for (uint32_t s = 0; s < r->audit->subjects.count; s++) {
        for (unsigned k = 0; k < r->plan->windows; k++) {
            const struct weir_window_spec *w = &r->plan->window[k];
            struct weir_audit_found found;
            weir_audit_worst(r->audit, s, w->window_us, &found);
            for (unsigned m = 0; m < w->meters; m++) {
                const struct row row = {
                    .subject = weir_audit_subject(r->audit, s),
                    .meter = w->meter[m],
                    .window_s = w->window_s,
                    .capacity = w->capacity[m],
                    .worst = found.worst[w->meter[m]],
                    .too_long = found.too_long,
                    .over = r->judged && found.worst[w->meter[m]].sum > w->capacity[m],
                };
                write(&row, r->judged, out, rows++);
                over += row.over;
            }
        }
    }
    *ret_rows = rows;
    return over;
}

static uint64_t span_us(const struct weir_audit *a)
{
    return a->charges == 0 ? 0 : a->last_us - a->first_us;
}

static void text_row(const struct row *row, bool judged, FILE *out, uint64_t rows)
{
    (void)rows;
    char rate[64] = "";
    if (judged) {
        snprintf(rate, sizeof(rate), "%" PRIu64 "/%" PRIu32 "s", row->capacity, row->window_s);
    } else {
        snprintf(rate, sizeof(rate), "%" PRIu32 "s", row->window_s);
    }
    fprintf(out, "%-24.*s %-13s %16s %14" PRIu64 " %18" PRIu64 " %9" PRIu32, (int)row->subject.len,
            row->subject.p, weir_meter_name(row->meter), rate, row->worst.sum, row->worst.start_us,
            row->worst.charges);
    if (row->over) {
        fprintf(out, "  OVER by %" PRIu64, row->worst.sum - row->capacity);
    } else if (judged) {
        fprintf(out, "  within");
    }
    if (row->too_long > 0) {
        fprintf(out, "  (%" PRIu32 " too long to count)", row->too_long);
    }
    fputc('\n', out);
}

uint64_t weir_verify_text(const struct weir_verify_report *r, FILE *out)
{
    const struct weir_audit *a = r->audit;
    uint64_t rows;
    fprintf(out,
            "%" PRIu32 " charges of %" PRIu32 " subjects in %.3f s\n"
            "A charge counts in a window only when it was sent and answered within it.\n\n"
            "%-24s %-13s %16s %14s %18s %9s\n",
            a->charges, a->subjects.count, (double)span_us(a) / 1e6, "subject", "meter",
            r->judged ? "limit" : "window", "worst window", "from (us)", "charges");
    uint64_t over = write_rows(r, text_row, out, &rows);
    if (r->judged) {
        fprintf(out, "\n%" PRIu64 " of %" PRIu64 " limits were passed\n", over, rows);
    }
    return over;
}

static void json_row(const struct row *row, bool judged, FILE *out, uint64_t rows)
{
    struct weir_buf name;
    weir_buf_init(&name, (size_t)WEIR_RECORD_SUBJECT_MAX * 6 + 2); /* each byte escaped */
    weir_buf_json(&name, row->subject);
    fprintf(out, "%s\n    {\"subject\": %.*s, \"meter\": \"%s\", \"window_s\": %" PRIu32,
            rows == 0 ? "" : ",", (int)name.len, name.data, weir_meter_name(row->meter),
            row->window_s);
    if (judged) {
        fprintf(out, ", \"capacity\": %" PRIu64 ", \"over\": %s", row->capacity,
                row->over ? "true" : "false");
    }
    fprintf(out,
            ", \"worst\": {\"sum\": %" PRIu64 ", \"start_us\": %" PRIu64 ", \"charges\": %" PRIu32
            "}, \"too_long\": %" PRIu32 "}",
            row->worst.sum, row->worst.start_us, row->worst.charges, row->too_long);
    weir_buf_deinit(&name);
}

uint64_t weir_verify_json(const struct weir_verify_report *r, FILE *out)
{
    const struct weir_audit *a = r->audit;
    uint64_t rows;
    fprintf(out,
            "{\n  \"charges\": %" PRIu32 ",\n  \"subjects\": %" PRIu32 ",\n  \"span_us\": %" PRIu64
            ",\n  \"windows\": [",
            a->charges, a->subjects.count, span_us(a));
    uint64_t over = write_rows(r, json_row, out, &rows);
    fprintf(out, "%s]", rows == 0 ? "" : "\n  ");
    if (r->judged) {
        fprintf(out, ",\n  \"over\": %" PRIu64, over);
    }
    fputs("\n}\n", out);
    return over;
}
