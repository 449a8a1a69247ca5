/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - plays a trace by each rule of `reserve` and reports it. */
#include <errno.h>

#include "cli/cli.h"
#include "sim/replay_args.h"
#include "sim/replay_report.h"

static int replay(struct weir_replay_args *args, const struct weir_trace *trace)
{
    struct weir_replay_options *o = &args->options;
    struct weir_replay_result result[WEIR_REPLAY_RULES];
    const struct weir_replay_report r = {.options = o, .result = result};
    bool largest = o->output_max == 0;
    o->trace = trace;
    for (size_t i = 0; largest && i < trace->rows; i++) {
        uint64_t output = trace->row[i].output_tokens;
        o->output_max = output > o->output_max ? output : o->output_max;
    }
    if (weir_replay_run(o, result) != WEIR_OK) {
        fprintf(stderr, "weir replay: out of memory\n");
        return WEIR_EXIT_FAILED;
    }
    if (args->json) {
        weir_replay_json(&r, stdout);
    } else {
        weir_replay_text(&r, stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "weir replay: cannot write the report: %s\n", strerror(errno));
        return WEIR_EXIT_FAILED;
    }
    return WEIR_EXIT_OK;
}

int weir_cmd_replay(int argc, char **argv)
{
    struct weir_replay_args args;
    struct weir_trace trace;
    struct weir_trace_error why;
    char error[WEIR_REPLAY_ERROR_BYTES];
    if (!weir_replay_args_parse(argc, argv, &args, error)) {
        fprintf(stderr, "weir replay: %s\n", error);
        return WEIR_EXIT_USAGE;
    }
    if (args.help) {
        fputs(weir_replay_help(), stdout);
        return WEIR_EXIT_OK;
    }
    if (weir_trace_load(args.path, &trace, &why) != WEIR_OK) {
        if (why.line > 0) {
            fprintf(stderr, "weir replay: %s:%zu: %s\n", args.path, why.line, why.text);
        } else {
            fprintf(stderr, "weir replay: %s: %s\n", args.path, why.text);
        }
        return WEIR_EXIT_FAILED;
    }
    int code = replay(&args, &trace);
    weir_trace_deinit(&trace);
    return code;
}
