/* SPDX-License-Identifier: Apache-2.0 */
#include "view/screen.h"

#include <inttypes.h>

enum {
    NAME_COLUMNS = 28,
    PLAN_COLUMNS = 14,
    RATE_COLUMNS = 11,
    LIMIT_COLUMNS = 22,
    BAR_CELLS = 10,
    DENIALS_KEPT = 4, /* lines that the subjects leave to those who are denied */
};

static const struct {
    char key;
    const char *word;
} sorts[WEIR_VIEW_SORTS] = {
    [WEIR_VIEW_BY_NODE] = {'b', "b busiest"},    [WEIR_VIEW_BY_NAME] = {'n', "n name"},
    [WEIR_VIEW_BY_ALLOWED] = {'a', "a allowed"}, [WEIR_VIEW_BY_DENIED] = {'d', "d denied"},
    [WEIR_VIEW_BY_TOKENS] = {'t', "t tokens"},   [WEIR_VIEW_BY_USE] = {'u', "u use"},
};

bool weir_view_sort_of(char key, enum weir_view_sort *ret_sort)
{
    for (int i = 0; i < WEIR_VIEW_SORTS; i++) {
        if (sorts[i].key == key) {
            *ret_sort = (enum weir_view_sort)i;
            return true;
        }
    }
    return false;
}

/* ---- lines ---- */

/* Where it is drawn, and how much room is left. */
struct frame {
    const struct weir_view_screen *screen;
    struct weir_buf *b;
    unsigned column, row;
};

static void put(struct frame *f, const char *text)
{
    for (const char *c = text; *c != '\0' && f->column < f->screen->columns; c++, f->column++) {
        weir_buf_char(f->b, *c >= ' ' && *c <= '~' ? *c : '?');
    }
}

/* At least `width` columns of it; a longer one is cut, so that a blank follows. */
static void put_left(struct frame *f, const char *text, int width)
{
    char cell[128];
    snprintf(cell, sizeof(cell), "%-*.*s", width, width - 1, text);
    put(f, cell);
}

static void put_right(struct frame *f, const char *text, int width)
{
    char cell[128];
    snprintf(cell, sizeof(cell), "%*s", width, text);
    put(f, cell);
}

static void put_pair(struct frame *f, const char *name, const char *value)
{
    put(f, f->column > 0 ? "   " : "");
    put(f, name);
    put(f, " ");
    put(f, value);
}

/* Select Graphic Rendition: no columns. */
static void style(struct frame *f, const char *code)
{
    if (f->screen->colour) {
        weir_buf_printf(f->b, "\033[%sm", code);
    }
}

/* Without a row left nothing that is put is drawn. */
static void begin_line(struct frame *f)
{
    if (f->screen->rows > 0 && f->row == f->screen->rows) {
        f->column = f->screen->columns;
        return;
    }
    if (f->row > 0) {
        weir_buf_str(f->b, f->screen->live ? WEIR_STR("\033[K\n") : WEIR_STR("\n"));
    }
    f->row++;
    f->column = 0;
}

static void heading(struct frame *f)
{
    begin_line(f);
    style(f, "1");
}

/* ---- figures ---- */

static void count_text(double n, char ret[static 16])
{
    static const struct {
        double size;
        char unit;
    } units[] = {{1e12, 'T'}, {1e9, 'G'}, {1e6, 'M'}, {1e3, 'k'}};
    for (size_t i = 0; n >= 9999.5 && i < sizeof(units) / sizeof(units[0]); i++) {
        double value = n / units[i].size;
        if (value >= 0.9995) {
            snprintf(ret, 16, "%.*f%c",
                     value < 9.995   ? 2
                     : value < 99.95 ? 1
                                     : 0,
                     value, units[i].unit);
            return;
        }
    }
    snprintf(ret, 16, "%.0f", n);
}

/* Per second, from a counter's earlier value; "-": it is not known. */
static void rate_text(uint64_t now, uint64_t before, uint64_t ms, char ret[static 16])
{
    if (ms == 0 || now < before) {
        snprintf(ret, 16, "-");
        return;
    }
    double rate = (double)(now - before) * 1000 / (double)ms;
    if (rate > 0 && rate < 9.95) {
        snprintf(ret, 16, "%.1f", rate);
    } else {
        count_text(rate, ret);
    }
}

static void micros_text(double us, char ret[static 16])
{
    snprintf(ret, 16, us < 1000 ? "%.1f us" : "%.1f ms", us < 1000 ? us : us / 1000);
}

static void uptime_text(uint64_t s, char ret[static 32])
{
    if (s < 3600) {
        snprintf(ret, 32, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(ret, 32, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    } else {
        snprintf(ret, 32, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
    }
}

/* "input_tokens/min", "requests/30s" */
static void limit_text(const struct weir_view_limit *l, char ret[static 96])
{
    static const struct {
        uint64_t size;
        const char *unit;
    } units[] = {{86400, "day"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    while (l->window_s % units[i].size != 0) {
        i++;
    }
    uint64_t n = l->window_s / units[i].size;
    if (n == 1) {
        snprintf(ret, 96, "%s/%s", l->meter, units[i].unit);
    } else {
        snprintf(ret, 96, "%s/%" PRIu64 "%s", l->meter, n, units[i].unit);
    }
}

/* 0 to 1. */
static double use_of(const struct weir_view_limit *l)
{
    return l->window_s == 0 ? 0 : l->used >= l->limit ? 1 : (double)l->used / (double)l->limit;
}

/* ---- rates ---- */

/* Between the two overviews; 0: there are no two, or the clock went back. */
static uint64_t span_ms(const struct weir_view_screen *s)
{
    return s->before != NULL && s->now->time_ms > s->before->time_ms
               ? s->now->time_ms - s->before->time_ms
               : 0;
}

/* NULL: it was not there. */
static const struct weir_view_subject *was(const struct weir_view_screen *s, const char *name)
{
    for (size_t i = 0; s->before != NULL && i < s->before->subjects; i++) {
        if (strcmp(s->before->subject[i].name, name) == 0) {
            return &s->before->subject[i];
        }
    }
    return NULL;
}

/* ---- order ---- */

/* A counter's growth, for the order; what is not known is 0. */
static double growth(uint64_t now, uint64_t before)
{
    return now > before ? (double)(now - before) : 0;
}

/* Larger comes first. */
static double weight(const struct weir_view_screen *s, const struct weir_view_subject *one)
{
    const struct weir_view_subject *old = was(s, one->name);
    old = old == NULL ? one : old;
    switch (s->sort) {
    case WEIR_VIEW_BY_ALLOWED:
        return growth(one->allowed, old->allowed);
    case WEIR_VIEW_BY_DENIED:
        return growth(one->denied, old->denied);
    case WEIR_VIEW_BY_TOKENS:
        return growth(one->tokens, old->tokens);
    case WEIR_VIEW_BY_USE:
        return use_of(&one->fullest);
    default:
        return 0;
    }
}

static bool comes_before(const struct weir_view_screen *s, const struct weir_view_subject *a,
                         const struct weir_view_subject *b)
{
    return s->sort == WEIR_VIEW_BY_NAME ? strcmp(a->name, b->name) < 0
                                        : weight(s, a) > weight(s, b);
}

/* Equal ones stay as the node lists them. */
static void sort(const struct weir_view_screen *s,
                 const struct weir_view_subject *order[static WEIR_VIEW_SUBJECTS])
{
    for (size_t i = 0; i < s->now->subjects; i++) {
        const struct weir_view_subject *one = &s->now->subject[i];
        size_t at = i;
        for (; at > 0 && comes_before(s, one, order[at - 1]); at--) {
            order[at] = order[at - 1];
        }
        order[at] = one;
    }
}

/* ---- parts ---- */

static void draw_node(struct frame *f)
{
    const struct weir_view_overview *o = f->screen->now;
    char text[64];
    heading(f);
    put(f, "weir ");
    put(f, o->version);
    style(f, "0");
    uptime_text(o->uptime_s, text);
    put_pair(f, "up", text);
    snprintf(text, sizeof(text), "%" PRIu64, o->workers);
    put_pair(f, "workers", text);
    snprintf(text, sizeof(text), "%" PRIu64, o->nodes);
    put_pair(f, "nodes", text);
    put_pair(f, "store", o->store);
    if (o->mode[0] != '\0') {
        put(f, " ");
        put(f, o->mode);
    }
    if (o->host[0] != '\0') {
        put(f, " at ");
        put(f, o->host);
    }
    if (!o->up || !o->ready) {
        style(f, "33;1");
        put(f, o->up ? " NOT READY" : " OUT OF REACH");
        style(f, "0");
    }
    if (f->screen->note != NULL) {
        style(f, "33;1");
        put(f, "   ");
        put(f, f->screen->note);
        style(f, "0");
    }
}

static void draw_totals(struct frame *f)
{
    static const struct weir_view_overview none;
    const struct weir_view_screen *s = f->screen;
    const struct weir_view_overview *o = s->now, *old = s->before == NULL ? &none : s->before;
    const struct {
        const char *name;
        uint64_t now, before;
    } rates[] = {
        {"allowed/s", o->allowed, old->allowed},
        {"denied/s", o->denied, old->denied},
        {"no store/s", o->unavailable, old->unavailable},
        {"tokens/s in", o->input_tokens, old->input_tokens},
        {"out", o->output_tokens, old->output_tokens},
    };
    char text[16];
    begin_line(f);
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        rate_text(rates[i].now, rates[i].before, span_ms(s), text);
        put_pair(f, rates[i].name, text);
    }
    micros_text(o->p50_us, text);
    put_pair(f, "decision p50", text);
    micros_text(o->p99_us, text);
    put_pair(f, "p99", text);
}

static void draw_fullest(struct frame *f, const struct weir_view_limit *l)
{
    if (l->window_s == 0) {
        put(f, "-");
        return;
    }
    double use = use_of(l);
    char text[96], bar[BAR_CELLS + 3] = "[";
    for (int i = 0; i < BAR_CELLS; i++) {
        bar[i + 1] = use * BAR_CELLS >= i + 0.5 ? '#' : '.';
    }
    bar[BAR_CELLS + 1] = ']';
    bar[BAR_CELLS + 2] = '\0';
    limit_text(l, text);
    put_left(f, text, LIMIT_COLUMNS);
    style(f, use > 0.9 ? "33;1" : "34");
    put(f, bar);
    style(f, "0");
    char used[16], limit[16];
    count_text((double)l->used, used);
    count_text((double)l->limit, limit);
    snprintf(text, sizeof(text), " %3.0f%% %s of %s", use * 100, used, limit);
    put(f, text);
}

static void draw_subject(struct frame *f, const struct weir_view_subject *one)
{
    const struct weir_view_subject *old = was(f->screen, one->name);
    uint64_t ms = old == NULL ? 0 : span_ms(f->screen);
    const struct weir_view_subject *from = old == NULL ? one : old;
    char text[16];
    begin_line(f);
    put_left(f, one->name, NAME_COLUMNS);
    put_left(f, one->plan[0] == '\0' ? "-" : one->plan, PLAN_COLUMNS);
    rate_text(one->allowed, from->allowed, ms, text);
    put_right(f, text, RATE_COLUMNS);
    rate_text(one->denied, from->denied, ms, text);
    style(f, ms > 0 && one->denied > from->denied ? "33;1" : "0");
    put_right(f, text, RATE_COLUMNS);
    style(f, "0");
    rate_text(one->tokens, from->tokens, ms, text);
    put_right(f, text, RATE_COLUMNS);
    put(f, "  ");
    draw_fullest(f, &one->fullest);
}

/* Lines that stay below the subjects: a blank one, a heading and some of the denials, and the
 * keys'. */
static unsigned lines_below(const struct weir_view_screen *s)
{
    size_t denials = s->now->denials < DENIALS_KEPT ? s->now->denials : DENIALS_KEPT;
    return (denials > 0 ? 2 + (unsigned)denials : 0) + (s->live ? 2 : 0);
}

static void draw_subjects(struct frame *f)
{
    const struct weir_view_subject *order[WEIR_VIEW_SUBJECTS];
    const struct weir_view_screen *s = f->screen;
    begin_line(f);
    heading(f);
    put_left(f, "SUBJECT", NAME_COLUMNS);
    put_left(f, "PLAN", PLAN_COLUMNS);
    put_right(f, "ALLOWED/S", RATE_COLUMNS);
    put_right(f, "DENIED/S", RATE_COLUMNS);
    put_right(f, "TOKENS/S", RATE_COLUMNS);
    put(f, "  FULLEST LIMIT");
    style(f, "0");
    sort(s, order);
    if (s->now->subjects == 0) {
        begin_line(f);
        put(f, "no traffic yet");
    }
    for (size_t i = 0; i < s->now->subjects; i++) {
        if (s->rows == 0 || f->row + lines_below(s) < s->rows) {
            draw_subject(f, order[i]);
        }
    }
}

static void draw_denials(struct frame *f)
{
    const struct weir_view_screen *s = f->screen;
    unsigned below = s->live ? 2 : 0;
    if (s->now->denials == 0 || (s->rows > 0 && f->row + 3 + below > s->rows)) {
        return;
    }
    begin_line(f);
    heading(f);
    put_left(f, "DENIED", NAME_COLUMNS);
    put_left(f, "BY", LIMIT_COLUMNS);
    put(f, "  TIMES");
    style(f, "0");
    for (size_t i = 0; i < s->now->denials; i++) {
        const struct weir_view_denial *d = &s->now->denial[i];
        char text[96], times[16];
        if (s->rows > 0 && f->row + below >= s->rows) {
            return;
        }
        begin_line(f);
        limit_text(&d->limit, text);
        count_text((double)d->count, times);
        put_left(f, d->subject, NAME_COLUMNS);
        put_left(f, text, LIMIT_COLUMNS);
        put_right(f, times, 7);
    }
}

static void draw_keys(struct frame *f)
{
    begin_line(f);
    begin_line(f);
    put(f, "sort: ");
    for (int i = 0; i < WEIR_VIEW_SORTS; i++) {
        style(f, f->screen->sort == (enum weir_view_sort)i ? "1;4" : "0");
        put(f, sorts[i].word);
        put(f, f->screen->sort == (enum weir_view_sort)i ? "*" : "");
        style(f, "0");
        put(f, "  ");
    }
    put(f, " q quit");
}

void weir_view_draw(struct weir_buf *b, const struct weir_view_screen *screen)
{
    struct frame f = {.screen = screen, .b = b};
    weir_buf_str(b, screen->live ? WEIR_STR("\033[H") : WEIR_STR(""));
    draw_node(&f);
    draw_totals(&f);
    draw_subjects(&f);
    draw_denials(&f);
    if (screen->live && (screen->rows == 0 || f.row + 2 <= screen->rows)) {
        draw_keys(&f);
    }
    weir_buf_str(b, screen->live ? WEIR_STR("\033[K\033[J") : WEIR_STR("\n"));
}
