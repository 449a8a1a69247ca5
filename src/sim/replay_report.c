/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/replay_report.h"

#include <inttypes.h>

static const char *const names[WEIR_REPLAY_RULES] = {"max", "forecast", "fixed", "oracle"};

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

void weir_replay_text(const struct weir_replay_report *r, FILE *out)
{
    const struct weir_replay_options *o = r->options;
    const struct weir_replay_result *oracle = &r->result[WEIR_REPLAY_ORACLE];
    fprintf(out,
            "%zu requests, %" PRIu64 " tenants (Zipf %.2f), %" PRIu32 " runs from seed %" PRIu64
            "\n",
            o->trace->rows, o->keys, o->zipf, o->seeds, o->seed);
    fprintf(out,
            "clients ask for %" PRIu64 " tokens, forecast is the %.3f quantile, fixed is %" PRIu64
            "\n\n",
            o->output_max, o->plan.forecast_permille / 1e3, o->plan.reserve_fixed);
    fprintf(out, "%-9s %9s %9s %12s %8s %12s %8s %8s %8s %9s %7s\n", "reserve", "admitted",
            "denied", "output", "oracle's", "all tokens", "oracle's", "reserved", "longer",
            "in debt", "worst");
    for (unsigned rule = 0; rule < WEIR_REPLAY_RULES; rule++) {
        const struct weir_replay_result *a = &r->result[rule];
        fprintf(out,
                "%-9s %9" PRIu64 " %9" PRIu64 " %12" PRIu64 " %6.2f %% %12" PRIu64
                " %6.2f %% %6.2f x %6.2f %% %7.3f %% %7.3f\n",
                names[rule], a->admitted, a->denied, a->output_tokens,
                100 * share(a->output_tokens, oracle->output_tokens),
                a->input_tokens + a->output_tokens,
                100 * share(a->input_tokens + a->output_tokens,
                            oracle->input_tokens + oracle->output_tokens),
                share(a->reserved_tokens, a->output_tokens), 100 * share(a->beyond, a->admitted),
                100 * share(a->windows_in_debt, a->windows), a->worst);
    }
    fputs("\nreserved: output reserved for each token used; longer: answers beyond their\n"
          "reservation; in debt: windows that end at a charge with more in them than a limit "
          "allows;\n"
          "worst: the fullest window, in parts of its limit.\n",
          out);
}

static void json_rule(const struct weir_replay_result *a, FILE *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"admitted", a->admitted},
        {"denied", a->denied},
        {"input_tokens", a->input_tokens},
        {"output_tokens", a->output_tokens},
        {"reserved_tokens", a->reserved_tokens},
        {"beyond", a->beyond},
        {"debt_tokens", a->beyond_tokens},
        {"windows", a->windows},
        {"windows_in_debt", a->windows_in_debt},
    };
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        fprintf(out, "\"%s\": %" PRIu64 ", ", counts[i].name, counts[i].value);
    }
    fprintf(out, "\"worst\": %.6f", a->worst);
}

void weir_replay_json(const struct weir_replay_report *r, FILE *out)
{
    const struct weir_replay_options *o = r->options;
    fprintf(out,
            "{\n  \"requests\": %zu,\n  \"keys\": %" PRIu64
            ",\n  \"zipf\": %.6f,\n  \"seed\": %" PRIu64 ",\n  \"seeds\": %" PRIu32 ",\n",
            o->trace->rows, o->keys, o->zipf, o->seed, o->seeds);
    fprintf(out,
            "  \"max_output\": %" PRIu64 ",\n  \"fixed\": %" PRIu64 ",\n  \"quantile\": %.3f,\n"
            "  \"default_output\": %" PRIu64 ",\n  \"first_token_ms\": %" PRIu64
            ",\n  \"tokens_per_s\": %" PRIu64 ",\n  \"rules\": {",
            o->output_max, o->plan.reserve_fixed, o->plan.forecast_permille / 1e3,
            o->plan.default_output_tokens, o->first_token_us / 1000, o->tokens_per_s);
    for (unsigned rule = 0; rule < WEIR_REPLAY_RULES; rule++) {
        fprintf(out, "%s\n    \"%s\": {", rule == 0 ? "" : ",", names[rule]);
        json_rule(&r->result[rule], out);
        fputs("}", out);
    }
    fputs("\n  }\n}\n", out);
}
