/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - text and JSON. A run may have had ten million keys: they are written one by one. */
#include "loadgen/report.h"

#include <inttypes.h>

enum { KEY_TEXT_MAX = 6 * WEIR_LOAD_KEY_BYTES_MAX + 32 }; /* as JSON, at worst */

bool weir_load_meter_shown(const struct weir_load_tally *t, enum weir_load_meter meter)
{
    return meter <= WEIR_LOAD_REQUESTS || t->denied_by[meter] > 0;
}

void weir_load_key_shown(const struct weir_load_options *o, uint32_t key, struct weir_buf *out)
{
    enum { HEAD = 8, TAIL = 4 };
    size_t at = out->len;
    weir_load_key(o, key, out);
    size_t len = out->len - at;
    if (len > WEIR_LOAD_KEY_SHOWN_MAX) {
        memmove(out->data + at + HEAD + 3, out->data + at + len - TAIL, TAIL);
        memcpy(out->data + at + HEAD, "...", 3);
        out->len = at + HEAD + 3 + TAIL;
    }
}

void weir_load_failure_text(const struct weir_load_tally *t, enum weir_load_error error,
                            struct weir_buf *out)
{
    static const char *const kinds[WEIR_LOAD_ERRORS] = {
        [WEIR_LOAD_ERR_STATUS] = "neither 200 nor 429", [WEIR_LOAD_ERR_CONNECT] = "no connection",
        [WEIR_LOAD_ERR_BROKEN] = "broken off",          [WEIR_LOAD_ERR_TIMEOUT] = "no answer",
        [WEIR_LOAD_ERR_PROTOCOL] = "not HTTP",
    };
    const struct weir_load_failure *f = &t->failure[error];
    struct weir_str url = t->options->target[f->target].url;
    weir_buf_printf(out, "%s, first from %.*s: ", kinds[error], (int)url.len, url.p);
    if (f->reason != NULL) {
        weir_buf_str(out, weir_str_z(f->reason));
    } else if (error == WEIR_LOAD_ERR_STATUS) {
        weir_buf_printf(out, "status %d", f->detail);
    } else {
        weir_buf_str(out, weir_str_z(uv_strerror(f->detail)));
    }
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void text_failures(const struct weir_load_tally *t, FILE *out)
{
    struct weir_buf line;
    weir_buf_init(&line, WEIR_LOAD_FAILURE_BYTES_MAX);
    for (unsigned e = 0; e < WEIR_LOAD_ERRORS; e++) {
        if (t->failure[e].count > 0) {
            weir_buf_reset(&line);
            weir_load_failure_text(t, e, &line);
            fprintf(out, "  %12" PRIu64 "  %.*s\n", t->failure[e].count, (int)line.len, line.data);
        }
    }
    if (t->unfinished > 0) {
        fprintf(out, "  %12" PRIu64 "  due, but given up %d s after the end\n", t->unfinished,
                WEIR_LOAD_TIMEOUT_S);
    }
    weir_buf_deinit(&line);
}

static void text_keys(const struct weir_load_tally *t, FILE *out)
{
    uint32_t shown[WEIR_LOAD_REPORT_KEYS];
    size_t count = weir_load_tally_top(t, shown, WEIR_LOAD_REPORT_KEYS);
    struct weir_buf key;
    weir_buf_init(&key, KEY_TEXT_MAX);
    fprintf(out, "\n%-24s %12s %12s %12s %12s\n", "key", "requests", "allowed", "denied", "errors");
    for (size_t i = 0; i < count; i++) {
        const struct weir_load_count *c = &t->key[shown[i]];
        weir_buf_reset(&key);
        weir_load_key_shown(t->options, shown[i], &key);
        fprintf(out, "%-24.*s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n",
                (int)key.len, key.data, weir_load_count_sum(c), c->allowed, c->denied, c->errors);
    }
    if (count < t->options->keys) {
        fprintf(out, "and %zu more keys, none with more requests\n", t->options->keys - count);
    }
    weir_buf_deinit(&key);
}

void weir_load_report_text(const struct weir_load_tally *t, FILE *out)
{
    const struct weir_load_count *all = &t->all;
    uint64_t requests = weir_load_count_sum(all);
    fprintf(out, "requests  %12" PRIu64 "  in %.2f s%s, %.1f/s\n", requests,
            weir_load_tally_seconds(t), t->interrupted ? " (interrupted)" : "",
            weir_load_tally_rate(t));
    fprintf(out, "allowed   %12" PRIu64 "  %6.2f %%\n", all->allowed,
            percent(all->allowed, requests));
    fprintf(out, "denied    %12" PRIu64 "  %6.2f %%\n", all->denied,
            percent(all->denied, requests));
    for (unsigned m = 0; m < WEIR_LOAD_METERS; m++) {
        if (weir_load_meter_shown(t, m)) {
            fprintf(out, "  %12" PRIu64 "  by %s\n", t->denied_by[m], weir_load_meter_name(m));
        }
    }
    fprintf(out, "errors    %12" PRIu64 "  %6.2f %%\n", all->errors,
            percent(all->errors, requests));
    text_failures(t, out);
    if (t->options->trace != NULL) {
        fprintf(out,
                "trace     %12" PRIu64 "  of %" PRIu64 " input tokens allowed, %.2f %%\n"
                "          %12" PRIu64 "  of %" PRIu64 " output tokens allowed, %.2f %%\n",
                t->admitted.input, t->offered.input, percent(t->admitted.input, t->offered.input),
                t->admitted.output, t->offered.output,
                percent(t->admitted.output, t->offered.output));
    }
    fprintf(out, "latency   mean %.3f  p50 %.3f  p95 %.3f  p99 %.3f  max %.3f ms\n",
            weir_hist_mean_ns(&t->latency) / 1e6, ms(weir_hist_quantile_ns(&t->latency, 0.5)),
            ms(weir_hist_quantile_ns(&t->latency, 0.95)),
            ms(weir_hist_quantile_ns(&t->latency, 0.99)), ms(t->latency.max_ns));
    text_keys(t, out);
}

static void json_keys(const struct weir_load_tally *t, FILE *out)
{
    struct weir_buf line, key;
    weir_buf_init(&line, KEY_TEXT_MAX);
    weir_buf_init(&key, KEY_TEXT_MAX);
    fputs("\"keys\": [", out);
    for (uint32_t k = 0; k < t->options->keys; k++) {
        const struct weir_load_count *c = &t->key[k];
        weir_buf_reset(&key);
        weir_load_key(t->options, k, &key);
        weir_buf_reset(&line);
        weir_buf_json(&line, weir_buf_view(&key));
        fprintf(out,
                "%s\n    {\"key\": %.*s, \"requests\": %" PRIu64 ", \"allowed\": %" PRIu64
                ", \"denied\": %" PRIu64 "}",
                k == 0 ? "" : ",", (int)line.len, line.data, weir_load_count_sum(c), c->allowed,
                c->denied);
    }
    fputs("\n  ]\n", out);
    weir_buf_deinit(&line);
    weir_buf_deinit(&key);
}

void weir_load_report_json(const struct weir_load_tally *t, FILE *out)
{
    const struct weir_load_count *all = &t->all;
    uint64_t requests = weir_load_count_sum(all);
    fprintf(out,
            "{\n  \"requests\": %" PRIu64 ",\n  \"allowed\": %" PRIu64 ",\n  \"denied\": %" PRIu64
            ",\n  \"errors\": %" PRIu64 ",\n",
            requests, all->allowed, all->denied, all->errors);
    fprintf(out, "  \"unfinished\": %" PRIu64 ",\n  \"interrupted\": %s,\n", t->unfinished,
            t->interrupted ? "true" : "false");
    fprintf(out, "  \"duration_s\": %.6f,\n  \"rps\": %.3f,\n", weir_load_tally_seconds(t),
            weir_load_tally_rate(t));
    fprintf(out,
            "  \"latency_ms\": {\"mean\": %.6f, \"p50\": %.6f, \"p95\": %.6f, \"p99\": %.6f, "
            "\"max\": %.6f},\n",
            weir_hist_mean_ns(&t->latency) / 1e6, ms(weir_hist_quantile_ns(&t->latency, 0.5)),
            ms(weir_hist_quantile_ns(&t->latency, 0.95)),
            ms(weir_hist_quantile_ns(&t->latency, 0.99)), ms(t->latency.max_ns));
    fputs("  \"denied_by\": {", out);
    for (unsigned m = 0; m < WEIR_LOAD_METERS; m++) {
        if (weir_load_meter_shown(t, m)) {
            fprintf(out, "%s\"%s\": %" PRIu64, m == 0 ? "" : ", ", weir_load_meter_name(m),
                    t->denied_by[m]);
        }
    }
    fputs("},\n  ", out);
    if (t->options->trace != NULL) {
        fprintf(out,
                "\"trace\": {\"speed\": %g, \"offered\": {\"input_tokens\": %" PRIu64
                ", \"output_tokens\": %" PRIu64 "}, \"allowed\": {\"input_tokens\": %" PRIu64
                ", \"output_tokens\": %" PRIu64 "}},\n  ",
                t->options->speed, t->offered.input, t->offered.output, t->admitted.input,
                t->admitted.output);
    }
    json_keys(t, out);
    fputs("}\n", out);
}
