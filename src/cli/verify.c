/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - reads records of admitted charges and says where a window held more than a limit. */
#include <errno.h>
#include <limits.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/start.h"
#include "config/config.h"
#include "verify/report.h"

static const char help[] =
    "usage: weir verify (--limits LIMITS | --window LENGTH) [--json] FILE...\n\n"
    "Finds the worst window of every subject in records of admitted charges.\n\n"
    "  --limits LIMITS  as a plan has them: \"requests: 100/min, output_tokens: [10k/min, "
    "1M/day]\"\n"
    "  --window LENGTH  say what windows of this length held at most, as 60s or 1h\n"
    "  --json           the report as JSON\n"
    "  --help           this text\n\n"
    "A FILE has one JSON object on a line, - is the standard input:\n"
    "  {\"subject\":\"key:k\",\"sent_us\":1,\"received_us\":2,\"requests\":1,\"input_tokens\":30,\n"
    "   \"output_tokens\":16}\n"
    "Exit codes: 0 nothing is over, 1 a limit was passed, 2 a wrong argument, 3 what cannot be "
    "read.\n";

enum { EXIT_UNREADABLE = 3 };

struct arguments {
    const char *limits, *window; /* one of them */
    bool json;
    char **file;
    int files;
};

#define AT(field) .at = offsetof(struct arguments, field)
static const struct weir_flag table[] = {
    {"limits", weir_flag_text, AT(limits)},
    {"window", weir_flag_text, AT(window)},
    {"json", weir_flag_set, AT(json), .bare = true},
};

static const struct weir_flags flags = {.flag = table,
                                        .count = sizeof(table) / sizeof(table[0]),
                                        .command = "weir verify",
                                        .operand = "at least one FILE",
                                        .operands_min = 1,
                                        .operands_max = INT_MAX};

static enum weir_flags_end read_arguments(int argc, char **argv, struct arguments *ret)
{
    enum weir_flags_end end = weir_start_flags(&flags, argc, argv, ret, &ret->files);
    ret->file = argv + 1;
    if (end == WEIR_FLAGS_READ && (ret->limits == NULL) == (ret->window == NULL)) {
        fprintf(stderr, "weir verify: expected either --limits or --window; see weir verify "
                        "--help\n");
        return WEIR_FLAGS_WRONG;
    }
    return end;
}

/* The windows to look at. False: said what is wrong. */
static bool make_plan(const struct arguments *arguments, struct weir_plan *ret_plan)
{
    struct weir_config_error error;
    char every_meter[160];
    const char *flag = "--limits", *limits = arguments->limits;
    if (limits == NULL) {
        const char *w = arguments->window;
        flag = "--window";
        limits = every_meter;
        snprintf(every_meter, sizeof(every_meter),
                 "requests: 0/%.16s, input_tokens: 0/%.16s, output_tokens: 0/%.16s, "
                 "total_tokens: 0/%.16s",
                 w, w, w, w);
    }
    if (weir_limits_parse(weir_str_z(limits), ret_plan, &error) != WEIR_OK) {
        fprintf(stderr, "weir verify: %s: %s\n", flag,
                arguments->limits == NULL ? "expected a length from 1s to 30day, as 60s or 1h"
                                          : error.text);
        return false;
    }
    return true;
}

/* ---- reading ---- */

struct reading {
    struct weir_audit *audit;
    struct weir_record_reader reader;
    char line[WEIR_RECORD_LINE_MAX + 2]; /* its end and NUL */
};

static bool unreadable(const char *name, uint64_t line, const char *why)
{
    fprintf(stderr, "%s:%llu: %s\n", name, (unsigned long long)line, why);
    return false;
}

static const char *why_not_added(enum weir_err err)
{
    return err == WEIR_ERR_LIMIT
               ? "expected at most 2^27 charges, and sums of all amounts below 2^64"
               : "out of memory";
}

static bool read_line(struct reading *r, const char *name, uint64_t number)
{
    struct weir_str line = weir_str_trim(weir_str(r->line, strcspn(r->line, "\r\n")));
    struct weir_record record;
    const char *why = "out of memory";
    if (line.len == 0) {
        return true;
    }
    if (weir_record_read(&r->reader, line, &record, &why) != WEIR_OK) {
        return unreadable(name, number, why);
    }
    enum weir_err err = weir_audit_add(r->audit, &record);
    return err == WEIR_OK || unreadable(name, number, why_not_added(err));
}

static bool read_file(struct reading *r, FILE *f, const char *name)
{
    uint64_t number = 0;
    while (fgets(r->line, sizeof(r->line), f) != NULL) {
        number++;
        size_t len = strlen(r->line);
        if (r->line[len == 0 ? 0 : len - 1] != '\n' && !feof(f)) {
            return unreadable(name, number, "expected a line of at most 65536 bytes without NUL");
        }
        if (!read_line(r, name, number)) {
            return false;
        }
    }
    return !ferror(f) || unreadable(name, number + 1, strerror(errno));
}

/* All files into the audit. False: said why not. */
static bool read_files(const struct arguments *arguments, struct weir_audit *audit)
{
    struct reading *r = weir_zalloc(sizeof(*r));
    if (r == NULL) {
        fprintf(stderr, "weir verify: out of memory\n");
        return false;
    }
    r->audit = audit;
    weir_record_reader_init(&r->reader);
    bool good = true;
    for (int i = 0; i < arguments->files && good; i++) {
        const char *name = arguments->file[i];
        bool standard = strcmp(name, "-") == 0;
        FILE *f = standard ? stdin : fopen(name, "re");
        if (f == NULL) {
            fprintf(stderr, "%s: %s\n", name, strerror(errno));
            good = false;
        } else {
            good = read_file(r, f, name);
        }
        if (f != NULL && !standard) {
            fclose(f);
        }
    }
    weir_record_reader_deinit(&r->reader);
    weir_free(r);
    return good;
}

static int verify(const struct arguments *arguments, const struct weir_plan *plan)
{
    struct weir_audit audit;
    weir_audit_init(&audit);
    int code = EXIT_UNREADABLE;
    if (read_files(arguments, &audit)) {
        if (weir_audit_arrange(&audit) != WEIR_OK) {
            fprintf(stderr, "weir verify: out of memory\n");
        } else {
            const struct weir_verify_report report = {&audit, plan, arguments->limits != NULL};
            uint64_t over = arguments->json ? weir_verify_json(&report, stdout)
                                            : weir_verify_text(&report, stdout);
            code = over > 0 ? WEIR_EXIT_FAILED : WEIR_EXIT_OK;
        }
        if (fflush(stdout) != 0 || ferror(stdout)) {
            fprintf(stderr, "weir verify: cannot write the report: %s\n", strerror(errno));
            code = EXIT_UNREADABLE;
        }
    }
    weir_audit_deinit(&audit);
    return code;
}

int weir_cmd_verify(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct weir_plan plan;
    enum weir_flags_end end = read_arguments(argc, argv, &arguments);
    if (end != WEIR_FLAGS_READ) {
        return weir_start_help(end, help);
    }
    return make_plan(&arguments, &plan) ? verify(&arguments, &plan) : WEIR_EXIT_USAGE;
}
