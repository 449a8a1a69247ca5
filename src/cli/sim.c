/* SPDX-License-Identifier: Apache-2.0 */
/* sim.c - plays a cluster in virtual time and reports it. */
#include <errno.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "sim/args.h"
#include "sim/report.h"

static uint64_t memory_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static int report(const struct weir_sim_report *r, bool json)
{
    if (json) {
        weir_sim_json(r, stdout);
    } else {
        weir_sim_text(r, stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "weir sim: cannot write the report: %s\n", strerror(errno));
        return WEIR_EXIT_FAILED;
    }
    if (r->result->unexplained > 0) {
        fprintf(stderr, "weir sim: %llu denials are not explained by their windows\n",
                (unsigned long long)r->result->unexplained);
        return WEIR_EXIT_FAILED;
    }
    return r->result->over > 0 ? WEIR_EXIT_FAILED : WEIR_EXIT_OK;
}

static int sim(const struct weir_sim_args *args)
{
    int code = WEIR_EXIT_FAILED;
    struct weir_sim_result *result = weir_zalloc(sizeof(*result));
    uint64_t began_ns = weir_clock_ns();
    if (result == NULL || weir_sim_run(&args->options, result) != WEIR_OK) {
        fprintf(stderr, "weir sim: out of memory\n");
    } else {
        const struct weir_sim_report r = {
            .options = &args->options,
            .result = result,
            .took_s = (double)(weir_clock_ns() - began_ns) / 1e9,
            .memory_bytes = memory_bytes(),
        };
        code = report(&r, args->json);
    }
    weir_free(result);
    return code;
}

int weir_cmd_sim(int argc, char **argv)
{
    struct weir_sim_args args;
    char error[WEIR_SIM_ERROR_BYTES];
    if (!weir_sim_args_parse(argc, argv, &args, error)) {
        fprintf(stderr, "weir sim: %s\n", error);
        return WEIR_EXIT_USAGE;
    }
    if (args.help) {
        fputs(weir_sim_help(), stdout);
        return WEIR_EXIT_OK;
    }
    return sim(&args);
}
