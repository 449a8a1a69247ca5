/* SPDX-License-Identifier: Apache-2.0 */
#include "loadgen/plot.h"

#include <inttypes.h>
#include <math.h>

#include "loadgen/html.h"
#include "loadgen/report.h"

/* Pixels. */
enum {
    WIDTH = 860,
    HEIGHT = 260,
    LEFT = 70,
    RIGHT = 840,
    TOP = 20,
    BOTTOM = 225,
    KEY_TOP = 10,
    KEY_ROW = 24,
    KEY_BAR = 14,
    KEY_LEFT = 190,
    KEY_RIGHT = 560,
};

/* Four bins for each doubling, from 1 us; the histogram's buckets fit into them without a rest. */
enum {
    BINS_PER_DOUBLING = 4,
    FIRST_DOUBLING = 10,
    BINS = (40 - FIRST_DOUBLING) * BINS_PER_DOUBLING
};

static const double headroom = 1.05; /* above the largest value */

static void svg_open(FILE *out, int height, const char *name)
{
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", WIDTH, height,
            name);
}

static void svg_text(FILE *out, double x, double y, const char *anchor, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, text);
}

/* 1, 2 or 5 times a power of ten, so that about `ticks` of them make `max`. */
static double nice_step(double max, int ticks)
{
    double raw = max / ticks;
    double power = pow(10, floor(log10(raw)));
    double lead = raw / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

static double y_of(double value, double max)
{
    return BOTTOM - value / max * (BOTTOM - TOP);
}

/* Lines across the plot with their values; `max` > 0. */
static void y_axis(FILE *out, double max, const char *unit)
{
    char label[32];
    double step = nice_step(max, 4);
    for (int i = 0; i * step <= max * 1.0001; i++) {
        double y = y_of(i * step, max);
        fprintf(out, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>\n", LEFT, y, RIGHT);
        snprintf(label, sizeof(label), "%.12g", i * step);
        svg_text(out, LEFT - 8, y + 4, "end", label);
    }
    svg_text(out, LEFT, 12, "start", unit);
}

/* ---- latency ---- */

static uint64_t bin_end_ns(int bin)
{
    uint64_t quarter = 5 + (uint64_t)bin % BINS_PER_DOUBLING;
    return (quarter << (FIRST_DOUBLING - 2 + bin / BINS_PER_DOUBLING)) - 1;
}

/* Where a latency lies, counted in bins from 1 us. */
static double bin_position(double ns)
{
    int doubling;
    double mantissa = frexp(ns, &doubling); /* 0.5 to 1 */
    return (doubling - 1 - FIRST_DOUBLING + 2 * mantissa - 1) * BINS_PER_DOUBLING;
}

struct latency_plot {
    FILE *out;
    uint64_t count[BINS];
    int first, last;
    double most;
};

static double latency_x(const struct latency_plot *p, double ns)
{
    double share = (bin_position(ns) - p->first) / (p->last - p->first + 1);
    return LEFT + fmin(fmax(share, 0), 1) * (RIGHT - LEFT);
}

static void duration_label(char *label, size_t size, double ns)
{
    if (ns < 1e6) {
        snprintf(label, size, "%.4g µs", ns / 1e3);
    } else if (ns < 1e9) {
        snprintf(label, size, "%.4g ms", ns / 1e6);
    } else {
        snprintf(label, size, "%.4g s", ns / 1e9);
    }
}

static void latency_count(struct latency_plot *p, const struct weir_hist *h)
{
    uint64_t before = 0;
    p->first = BINS;
    for (int i = 0; i < BINS; i++) {
        uint64_t upto = weir_hist_count_upto(h, bin_end_ns(i));
        p->count[i] = upto - before;
        before = upto;
        if (p->count[i] > 0) {
            p->first = p->first < i ? p->first : i;
            p->last = i;
            p->most = fmax(p->most, headroom * (double)p->count[i]);
        }
    }
}

static void latency_bars(const struct latency_plot *p)
{
    double width = (double)(RIGHT - LEFT) / (p->last - p->first + 1);
    for (int i = p->first; i <= p->last; i++) {
        if (p->count[i] > 0) {
            char label[32];
            double y = y_of((double)p->count[i], p->most);
            duration_label(label, sizeof(label), (double)(bin_end_ns(i) + 1));
            fprintf(p->out,
                    "<rect class=\"latency\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
                    "<title>%" PRIu64 " up to %s</title></rect>\n",
                    LEFT + (i - p->first) * width, y, fmax(width - 1, 0.5), BOTTOM - y, p->count[i],
                    label);
        }
    }
}

static void latency_axis(const struct latency_plot *p)
{
    static const double leads[] = {1, 2, 5};
    /* beyond four powers of ten there is room for these alone */
    int step = p->last - p->first > 13 * BINS_PER_DOUBLING ? 3 : 1;
    for (int i = 0; i < 30; i += step) {
        double ns = leads[i % 3] * pow(10, 3 + i / 3);
        double position = bin_position(ns);
        if (position >= p->first && position <= p->last + 1) {
            char label[32];
            double x = latency_x(p, ns);
            duration_label(label, sizeof(label), ns);
            fprintf(p->out, "<path class=\"tick\" d=\"M%.1f %dv5\"/>\n", x, BOTTOM);
            svg_text(p->out, x, BOTTOM + 19, "middle", label);
        }
    }
}

static void latency_quantiles(const struct latency_plot *p, const struct weir_hist *h)
{
    static const struct {
        const char *name;
        double q;
    } lines[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
    for (unsigned i = 0; i < 3; i++) {
        double ns = (double)weir_hist_quantile_ns(h, lines[i].q);
        double x = latency_x(p, ns), y = TOP + 12 + 16.0 * i;
        bool right = x > RIGHT - 110; /* no room for the words behind the line */
        char duration[32], label[64];
        duration_label(duration, sizeof(duration), ns);
        snprintf(label, sizeof(label), "%s %s", lines[i].name, duration);
        fprintf(p->out, "<path class=\"mark\" d=\"M%.1f %dV%d\"/>\n", x, TOP, BOTTOM);
        svg_text(p->out, right ? x - 5 : x + 5, y, right ? "end" : "start", label);
    }
}

void weir_load_plot_latency(const struct weir_load_tally *t, FILE *out)
{
    struct latency_plot p = {.out = out};
    latency_count(&p, &t->latency);
    if (p.most == 0) {
        fputs("<p>No request was answered.</p>\n", out);
        return;
    }
    svg_open(out, HEIGHT, "Latency distribution");
    y_axis(out, p.most, "answers");
    latency_bars(&p);
    latency_axis(&p);
    latency_quantiles(&p, &t->latency);
    fputs("</svg>\n", out);
}

/* ---- over time ---- */

/* The outline of a sum over the slots, down to the axis: a larger sum is drawn first. */
static void time_area(const struct weir_load_tally *t, FILE *out, const char *series, double max)
{
    size_t slots = weir_load_tally_slots(t);
    bool denied = strcmp(series, "allowed") != 0, errors = strcmp(series, "errors") == 0;
    fprintf(out, "<path class=\"%s\" d=\"M%d %d", series, LEFT, BOTTOM);
    for (size_t i = 0; i < slots; i++) {
        const struct weir_load_count *c = &t->slot[i];
        uint64_t sum = c->allowed + (denied ? c->denied : 0) + (errors ? c->errors : 0);
        fprintf(out, "V%.1fH%.1f", y_of((double)sum * 1e9 / (double)t->slot_ns, max),
                LEFT + (double)(i + 1) / (double)slots * (RIGHT - LEFT));
    }
    fprintf(out, "V%dz\"/>\n", BOTTOM);
}

void weir_load_plot_time(const struct weir_load_tally *t, FILE *out)
{
    size_t slots = weir_load_tally_slots(t);
    double max = 0;
    for (size_t i = 0; i < slots; i++) {
        max = fmax(max, (double)weir_load_count_sum(&t->slot[i]) * 1e9 / (double)t->slot_ns);
    }
    if (max == 0) {
        fputs("<p>No request ended.</p>\n", out);
        return;
    }
    max *= headroom;
    svg_open(out, HEIGHT, "Allowed and denied over time");
    y_axis(out, max, "requests/s");
    time_area(t, out, "errors", max);
    time_area(t, out, "denied", max);
    time_area(t, out, "allowed", max);
    double shown_s = (double)slots * (double)t->slot_ns / 1e9;
    double step = nice_step(shown_s, 10);
    for (int i = 0; i * step <= shown_s * 1.0001; i++) {
        char label[32];
        snprintf(label, sizeof(label), "%.6g s", i * step);
        svg_text(out, LEFT + i * step / shown_s * (RIGHT - LEFT), BOTTOM + 19, "middle", label);
    }
    fputs("</svg>\n", out);
}

/* ---- by key ---- */

static double key_part(FILE *out, const char *series, double x, double y, uint64_t part,
                       double per_request)
{
    double width = (double)part * per_request;
    if (part > 0) {
        fprintf(out,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\">"
                "<title>%" PRIu64 " %s</title></rect>\n",
                series, x, y, width, KEY_BAR, part, series);
    }
    return x + width;
}

static void key_row(const struct weir_load_tally *t, FILE *out, uint32_t key, double y,
                    double per_request)
{
    const struct weir_load_count *c = &t->key[key];
    struct weir_buf name;
    weir_buf_init(&name, WEIR_LOAD_KEY_BYTES_MAX + 32);
    weir_load_key_shown(t->options, key, &name);
    fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", KEY_LEFT - 8, y + KEY_BAR - 3);
    weir_load_html_text(out, weir_buf_view(&name));
    fputs("</text>\n", out);
    double x = key_part(out, "allowed", KEY_LEFT, y, c->allowed, per_request);
    x = key_part(out, "denied", x, y, c->denied, per_request);
    x = key_part(out, "errors", x, y, c->errors, per_request);
    fprintf(out,
            "<text x=\"%.1f\" y=\"%.1f\">%" PRIu64 " requests, %" PRIu64 " allowed, %" PRIu64
            " denied</text>\n",
            x + 8, y + KEY_BAR - 3, weir_load_count_sum(c), c->allowed, c->denied);
    weir_buf_deinit(&name);
}

void weir_load_plot_keys(const struct weir_load_tally *t, FILE *out)
{
    uint32_t shown[WEIR_LOAD_REPORT_KEYS];
    size_t count = weir_load_tally_top(t, shown, WEIR_LOAD_REPORT_KEYS);
    uint64_t most = 1;
    for (size_t i = 0; i < count; i++) {
        uint64_t requests = weir_load_count_sum(&t->key[shown[i]]);
        most = requests > most ? requests : most;
    }
    double per_request = (double)(KEY_RIGHT - KEY_LEFT) / (double)most;
    svg_open(out, KEY_TOP + KEY_ROW * (int)count, "Requests by key");
    for (size_t i = 0; i < count; i++) {
        key_row(t, out, shown[i], KEY_TOP + KEY_ROW * (double)i, per_request);
    }
    fputs("</svg>\n", out);
    if (count < t->options->keys) {
        fprintf(out, "<p>and %zu more keys, none with more requests</p>\n",
                t->options->keys - count);
    }
}
