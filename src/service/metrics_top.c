/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_top.c - the busiest subjects in /metrics, and the rest of each scope in one row: so many
 * series and no more, and each sum is whole. */
#include <stdlib.h>

#include "base/mem.h"
#include "service/service.h"
#include "service/top.h"

/* A subject and what it used of one meter. */
struct used {
    uint64_t amount;
    const struct weir_top_subject *subject;
};

/* As the text format has it: a model's name in the configuration may be any text. */
static void label(struct weir_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            WEIR_BUF_LIT(b, "\\n");
            continue;
        }
        if (*text == '"' || *text == '\\') {
            weir_buf_char(b, '\\');
        }
        weir_buf_char(b, *text);
    }
}

static void row(struct weir_buf *b, enum weir_scope scope, const char *subject,
                enum weir_meter meter, uint64_t amount)
{
    weir_buf_printf(b, "weir_subject_used{scope=\"%s\",subject=\"", weir_scope_name(scope));
    label(b, subject);
    weir_buf_printf(b, "\",meter=\"%s\"} %llu\n", weir_meter_name(meter),
                    (unsigned long long)amount);
}

static int by_amount(const void *a, const void *b)
{
    const struct used *x = a, *y = b;
    return x->amount != y->amount ? (x->amount < y->amount) - (x->amount > y->amount)
                                  : strcmp(x->subject->name, y->subject->name);
}

/* Those of this scope that used any of the meter, the most first. */
static size_t order(const struct weir_top_subject *subject, size_t subjects, enum weir_scope scope,
                    enum weir_meter meter, struct used *ret_used)
{
    size_t n = 0;
    for (size_t i = 0; i < subjects; i++) {
        if (subject[i].scope == scope && subject[i].last.used[meter] > 0) {
            ret_used[n++] = (struct used){subject[i].last.used[meter], &subject[i]};
        }
    }
    qsort(ret_used, n, sizeof(*ret_used), by_amount);
    return n;
}

/* used: room for all subjects. */
static void scope_rows(struct weir_buf *b, const struct weir_service_group *g, uint32_t minute,
                       uint32_t most, enum weir_scope scope, const struct weir_top_subject *subject,
                       size_t subjects, struct used *used)
{
    struct weir_top_minute total;
    weir_top_total(g, minute, scope, &total);
    for (unsigned m = 0; m < WEIR_TOP_METERS; m++) {
        uint64_t shown = 0;
        size_t n = order(subject, subjects, scope, m, used);
        for (size_t i = 0; i < n && i < most; i++) {
            row(b, scope, used[i].subject->name, m, used[i].amount);
            shown += used[i].amount;
        }
        /* read a moment apart, while settlements go on */
        row(b, scope, "(rest)", m, total.used[m] > shown ? total.used[m] - shown : 0);
    }
}

void weir_metrics_top(struct weir_buf *b, const struct weir_service_group *g, uint32_t minute,
                      uint32_t most)
{
    struct weir_top_subject *subject;
    size_t subjects;
    if (most == 0 || weir_top_all(g, minute, &subject, &subjects) != WEIR_OK) {
        return;
    }
    struct used *used = weir_zalloc_array(subjects + 1, sizeof(*used));
    if (used != NULL) {
        WEIR_BUF_LIT(b, "# HELP weir_subject_used What the busiest subjects of each scope used in "
                        "the last whole minute, and the rest of them together.\n"
                        "# TYPE weir_subject_used gauge\n");
        for (unsigned scope = 0; scope < WEIR_SCOPES; scope++) {
            scope_rows(b, g, minute, most, scope, subject, subjects, used);
        }
    }
    weir_free(used);
    weir_free(subject);
}
