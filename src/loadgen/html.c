/* SPDX-License-Identifier: Apache-2.0 */
#include "loadgen/html.h"

#include <inttypes.h>

#include "loadgen/plot.h"
#include "loadgen/report.h"

/* The policy lets the page load nothing, whatever stands in it. */
static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>weir load</title>\n<style>\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:#1d2733;background:#fff;max-width:900px;"
    "margin:2em auto;padding:0 1em}\n"
    "h1{font-size:1.5em;margin-bottom:0}h2{font-size:1.1em;margin:2em 0 .5em}\n"
    "p{color:#4d5a68;margin:.3em 0}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(125px,1fr));gap:.7em}\n"
    "dl div{border:1px solid #d8dee5;border-radius:6px;padding:.4em .8em}\n"
    "dt{color:#4d5a68;font-size:.85em}dd{margin:0;font-size:1.2em;font-weight:600}\n"
    "dd small{font-weight:400;color:#4d5a68}\n"
    "svg{width:100%;height:auto}svg text{font-size:12px;fill:#4d5a68;paint-order:stroke;"
    "stroke:#fff;stroke-width:3px}\n"
    ".grid{stroke:#e3e8ed}.tick{stroke:#4d5a68}.mark{stroke:#1d2733;stroke-dasharray:4 3}\n"
    ".latency{fill:#4a78b5}.allowed{fill:#1f8a70}.denied{fill:#e8a33d}.errors{fill:#b3362f}\n"
    "i{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}\n"
    "i.allowed{background:#1f8a70}i.denied{background:#e8a33d}i.errors{background:#b3362f}\n"
    "</style>\n</head>\n<body>\n<h1>weir load</h1>\n";

void weir_load_html_text(FILE *out, struct weir_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.p[i]) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(text.p[i], out);
        }
    }
}

static void settings(const struct weir_load_tally *t, FILE *out)
{
    const struct weir_load_options *o = t->options;
    fputs("<p>", out);
    for (uint32_t i = 0; i < o->targets; i++) {
        weir_load_html_text(out, o->target[i].url);
        fputs(i + 1 < o->targets ? ", " : "<br>\n", out);
    }
    fprintf(out, "%" PRIu32 " clients, %" PRIu32 " keys, ", o->clients, o->keys);
    if (o->rate > 0) {
        fprintf(out, "%.12g requests/s", o->rate);
    } else {
        fputs("as fast as it goes", out);
    }
    fprintf(out,
            " for %.12g s%s, prompts of %" PRIu64 "-%" PRIu64 " tokens, max_tokens %" PRIu64
            "-%" PRIu64 "%s, seed %" PRIu64 "</p>\n",
            o->duration_s, t->interrupted ? " (interrupted)" : "", o->prompt_tokens.low,
            o->prompt_tokens.high, o->max_tokens.low, o->max_tokens.high,
            o->stream ? ", streams" : "", o->seed);
}

static void part(FILE *out, const char *name, uint64_t count, uint64_t requests)
{
    double share = requests == 0 ? 0 : 100.0 * (double)count / (double)requests;
    fprintf(out, "<div><dt>%s</dt><dd>%" PRIu64 " <small>%.2f %%</small></dd></div>\n", name, count,
            share);
}

static void latency(FILE *out, const char *name, double ns)
{
    fprintf(out, "<div><dt>latency, %s</dt><dd>%.3f <small>ms</small></dd></div>\n", name,
            ns / 1e6);
}

static void figures(const struct weir_load_tally *t, FILE *out)
{
    uint64_t requests = weir_load_count_sum(&t->all);
    fprintf(out, "<dl>\n<div><dt>requests</dt><dd>%" PRIu64 "</dd></div>\n", requests);
    fprintf(out,
            "<div><dt>throughput</dt><dd>%.1f <small>/s</small></dd></div>\n"
            "<div><dt>duration</dt><dd>%.2f <small>s</small></dd></div>\n",
            weir_load_tally_rate(t), weir_load_tally_seconds(t));
    part(out, "allowed", t->all.allowed, requests);
    part(out, "denied", t->all.denied, requests);
    part(out, "errors", t->all.errors, requests);
    for (unsigned m = 0; m < WEIR_LOAD_METERS; m++) {
        if (weir_load_meter_shown(t, m)) {
            fprintf(out, "<div><dt>denied by %s</dt><dd>%" PRIu64 "</dd></div>\n",
                    weir_load_meter_name(m), t->denied_by[m]);
        }
    }
    latency(out, "mean", weir_hist_mean_ns(&t->latency));
    latency(out, "p50", (double)weir_hist_quantile_ns(&t->latency, 0.5));
    latency(out, "p95", (double)weir_hist_quantile_ns(&t->latency, 0.95));
    latency(out, "p99", (double)weir_hist_quantile_ns(&t->latency, 0.99));
    latency(out, "max", (double)t->latency.max_ns);
    fputs("</dl>\n", out);
}

static void failures(const struct weir_load_tally *t, FILE *out)
{
    if (t->all.errors == 0) {
        return;
    }
    struct weir_buf text;
    weir_buf_init(&text, WEIR_LOAD_FAILURE_BYTES_MAX);
    fputs("<h2>Errors</h2>\n", out);
    for (unsigned e = 0; e < WEIR_LOAD_ERRORS; e++) {
        if (t->failure[e].count > 0) {
            weir_buf_reset(&text);
            weir_load_failure_text(t, e, &text);
            fprintf(out, "<p>%" PRIu64 ": ", t->failure[e].count);
            weir_load_html_text(out, weir_buf_view(&text));
            fputs("</p>\n", out);
        }
    }
    if (t->unfinished > 0) {
        fprintf(out, "<p>%" PRIu64 ": due, but given up %d s after the end</p>\n", t->unfinished,
                WEIR_LOAD_TIMEOUT_S);
    }
    weir_buf_deinit(&text);
}

void weir_load_html(const struct weir_load_tally *t, FILE *out)
{
    fputs(head, out);
    settings(t, out);
    figures(t, out);
    failures(t, out);
    fputs("<h2>Latency distribution</h2>\n"
          "<p>From the moment a request was due to the end of its answer.</p>\n",
          out);
    weir_load_plot_latency(t, out);
    fputs("<h2>Over time</h2>\n<p><i class=\"allowed\"></i>allowed<i class=\"denied\"></i>denied"
          "<i class=\"errors\"></i>errors</p>\n",
          out);
    weir_load_plot_time(t, out);
    fputs("<h2>By key</h2>\n", out);
    weir_load_plot_keys(t, out);
    fputs("</body>\n</html>\n", out);
}
