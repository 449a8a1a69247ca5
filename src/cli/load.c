/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - the load tester: options, one run, the report in up to three forms. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "loadgen/report.h"
#include "loadgen/run.h"

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Before the run, so that a long one does not end without a place for its report. The report holds
 * API keys: others may not read it. NULL: said why; `path` NULL: not asked for. */
static bool open_report(const char *path, FILE **ret)
{
    *ret = NULL;
    if (path == NULL) {
        return true;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    *ret = fd < 0 ? NULL : fdopen(fd, "w");
    if (*ret == NULL) {
        fprintf(stderr, "weir load: cannot write %s: %s\n", path, strerror(errno));
        return false;
    }
    return true;
}

static bool write_report(const struct weir_load_tally *t, const char *path, FILE *file,
                         void (*write)(const struct weir_load_tally *t, FILE *out))
{
    if (file == NULL) {
        return true;
    }
    write(t, file);
    bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        fprintf(stderr, "weir load: cannot write %s: %s\n", path, strerror(errno));
        return false;
    }
    return true;
}

static int load(const struct weir_load_options *o, struct weir_load_tally *t)
{
    char error[WEIR_LOAD_RUN_ERROR_BYTES];
    FILE *json;
    if (!open_report(o->json, &json)) {
        return WEIR_EXIT_FAILED;
    }
    if (!weir_load_run(o, t, isatty(STDERR_FILENO) == 1, error)) {
        fprintf(stderr, "weir load: %s\n", error);
        if (json != NULL) {
            fclose(json);
        }
        return WEIR_EXIT_FAILED;
    }
    bool written = write_report(t, "the report", stdout, weir_load_report_text);
    written = write_report(t, o->json, json, weir_load_report_json) && written;
    return written && t->all.allowed + t->all.denied > 0 ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
}

int weir_cmd_load(int argc, char **argv)
{
    struct weir_load_options options;
    char error[WEIR_LOAD_ERROR_BYTES];
    int code = WEIR_EXIT_USAGE;
    struct weir_load_tally *tally = NULL;
    if (!weir_load_options_parse(argc, argv, &options, error)) {
        fprintf(stderr, "weir load: %s\n", error);
    } else if (options.help) {
        fputs(weir_load_options_help(), stdout);
        code = WEIR_EXIT_OK;
    } else {
        signal(SIGPIPE, SIG_IGN);
        raise_file_limit();
        tally = weir_zalloc(sizeof(*tally));
        if (tally == NULL || weir_load_tally_init(tally, &options) != WEIR_OK) {
            fprintf(stderr, "weir load: out of memory\n");
            code = WEIR_EXIT_FAILED;
        } else {
            code = load(&options, tally);
        }
    }
    if (tally != NULL) {
        weir_load_tally_deinit(tally);
    }
    weir_free(tally);
    weir_load_options_deinit(&options);
    return code;
}
