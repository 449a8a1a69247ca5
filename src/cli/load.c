/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - the load tester: options, one run, the report in up to three forms. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/start.h"
#include "loadgen/html.h"
#include "loadgen/report.h"
#include "loadgen/run.h"

struct report {
    const char *path; /* NULL: not asked for */
    FILE *file;
    void (*write)(const struct weir_load_tally *t, FILE *out);
};

static bool cannot_write(const char *path)
{
    fprintf(stderr, "weir load: cannot write %s: %s\n", path, strerror(errno));
    return false;
}

/* Others may not read it: reports hold API keys. NULL: said why. */
static FILE *open_private(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) {
        cannot_write(path);
    }
    return file;
}

/* EINVAL: a pipe or a terminal. */
static bool truncate_file(FILE *file)
{
    return ftruncate(fileno(file), 0) == 0 || errno == EINVAL;
}

/* Before the run, so that a long one does not end without a place for its report; what stood there
 * is overwritten after the run. False: said why. */
static bool report_open(struct report *r)
{
    if (r->path == NULL || r->file != NULL) {
        return true;
    }
    r->file = open_private(r->path);
    return r->file != NULL;
}

static bool report_write(struct report *r, const struct weir_load_tally *t)
{
    if (r->file == NULL) {
        return true;
    }
    bool good = r->file == stdout || truncate_file(r->file);
    r->write(t, r->file);
    good = fflush(r->file) == 0 && ferror(r->file) == 0 && good;
    return good || cannot_write(r->path);
}

static bool run(const struct weir_load_options *o, struct weir_load_trace *trace,
                struct weir_load_tally *t, struct weir_load_record *record)
{
    char error[WEIR_LOAD_RUN_ERROR_BYTES];
    if (!weir_load_run(o, trace, t, record, isatty(STDERR_FILENO) == 1, error)) {
        fprintf(stderr, "weir load: %s\n", error);
        return false;
    }
    return true;
}

static bool run_and_record(const struct weir_load_options *o, struct weir_load_trace *trace,
                           struct weir_load_tally *t, bool *ret_ran)
{
    enum { BUFFER_BYTES = 1 << 20 };
    struct weir_load_record record;
    FILE *file = open_private(o->record);
    if (file == NULL) {
        return false;
    }
    setvbuf(file, NULL, _IOFBF, BUFFER_BYTES);
    bool good = truncate_file(file) || cannot_write(o->record);
    weir_load_record_init(&record, o, file);
    *ret_ran = good && run(o, trace, t, &record);
    if (fflush(file) != 0 || ferror(file) != 0) {
        good = cannot_write(o->record);
    }
    if (record.without_usage > 0) {
        fprintf(stderr, "weir load: %llu answers without usage are not in %s\n",
                (unsigned long long)record.without_usage, o->record);
        good = false;
    }
    weir_load_record_deinit(&record);
    fclose(file);
    return good;
}

static int run_and_report(const struct weir_load_options *o, struct weir_load_trace *trace,
                          struct weir_load_tally *t)
{
    enum { REPORTS = 3 };
    struct report report[REPORTS] = {
        {"the report", stdout, weir_load_report_text},
        {o->json, NULL, weir_load_report_json},
        {o->html, NULL, weir_load_html},
    };
    bool good = true;
    for (int i = 0; i < REPORTS; i++) {
        good = good && report_open(&report[i]);
    }
    bool ran = false;
    if (good && o->record != NULL) {
        good = run_and_record(o, trace, t, &ran);
    } else if (good) {
        ran = run(o, trace, t, NULL);
    }
    for (int i = 0; ran && i < REPORTS; i++) {
        good = report_write(&report[i], t) && good;
    }
    good = good && ran && t->all.allowed + t->all.denied > 0;
    for (int i = 1; i < REPORTS; i++) {
        if (report[i].file != NULL) {
            fclose(report[i].file);
        }
    }
    return good ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
}

/* What the trace says of the run. False: said what is wrong. */
static bool open_trace(struct weir_load_options *o, struct weir_load_trace *trace)
{
    char error[WEIR_LOAD_TRACE_ERROR_BYTES];
    double within_s = o->duration_s * o->speed;
    bool all = !o->duration_given || within_s > 1e10; /* longer than any trace */
    uint64_t within_ns = all ? UINT64_MAX : (uint64_t)(within_s * 1e9);
    if (!weir_load_trace_open(trace, o->trace, within_ns, error)) {
        fprintf(stderr, "weir load: %s\n", error);
        return false;
    }
    double span_s = (double)trace->span_ns / 1e9 / o->speed;
    if (span_s > WEIR_LOAD_DURATION_MAX_S) {
        fprintf(stderr,
                "weir load: --speed: expected at least %.3g for a trace of %.0f s, or --duration\n",
                span_s * o->speed / WEIR_LOAD_DURATION_MAX_S, span_s * o->speed);
        return false;
    }
    if (!o->duration_given) {
        o->duration_s = span_s > 0.1 ? span_s : 0.1;
    }
    o->rate = (double)trace->rows / o->duration_s;
    o->prompt_tokens = (struct weir_load_range){1, trace->input_max > 0 ? trace->input_max : 1};
    return true;
}

static int load(struct weir_load_options *o)
{
    weir_start_sockets();
    int code = WEIR_EXIT_FAILED;
    struct weir_load_trace trace = {0};
    if (o->trace != NULL && !open_trace(o, &trace)) {
        weir_load_trace_close(&trace);
        return WEIR_EXIT_FAILED;
    }
    struct weir_load_tally *t = weir_zalloc(sizeof(*t));
    if (t == NULL || weir_load_tally_init(t, o) != WEIR_OK) {
        fprintf(stderr, "weir load: out of memory\n");
    } else {
        code = run_and_report(o, o->trace != NULL ? &trace : NULL, t);
    }
    weir_load_trace_close(&trace);
    if (t != NULL) {
        weir_load_tally_deinit(t);
    }
    weir_free(t);
    return code;
}

int weir_cmd_load(int argc, char **argv)
{
    struct weir_load_options options;
    char error[WEIR_LOAD_ERROR_BYTES];
    int code = WEIR_EXIT_OK;
    if (!weir_load_options_parse(argc, argv, &options, error)) {
        fprintf(stderr, "weir load: %s\n", error);
        code = WEIR_EXIT_USAGE;
    } else if (options.help) {
        fputs(weir_load_options_help(), stdout);
    } else {
        code = load(&options);
    }
    weir_load_options_deinit(&options);
    return code;
}
