/* SPDX-License-Identifier: Apache-2.0 */
/* plans.c - the `plans` section. */
#include "base/buf.h"
#include "base/mem.h"
#include "config/parse.h"

enum {
    DEFAULT_OUTPUT_TOKENS = 256,
    DEFAULT_QUANTILE_PERMILLE = 950,
    QUANTILE_PERMILLE_MIN = 500,
    QUANTILE_PERMILLE_MAX = 999,
    WHOLE_PERMILLE = 1000,
};

const struct weir_plan *weir_plan_by_name(const struct weir_config *config, struct weir_str name)
{
    const struct weir_index *index = &config->_index->plan;
    uint32_t at = weir_index_first(index, name), number;
    while ((number = weir_index_next(index, &at)) != 0) {
        if (weir_str_eq(weir_str_z(config->plan[number - 1].name), name)) {
            return &config->plan[number - 1];
        }
    }
    return NULL;
}

enum weir_err weir_parse_plan(struct parse *p, const struct node *n,
                              const struct weir_plan **ret_plan)
{
    struct weir_str name;
    WEIR_TRY(weir_parse_scalar(p, n, "the name of a plan", &name));
    const struct weir_plan *plan = weir_plan_by_name(p->config, name);
    if (plan == NULL) {
        return weir_parse_fail(p, n, "plan: expected the name of a plan");
    }
    *ret_plan = plan;
    return WEIR_OK;
}

/* Takes the word off a rate's end: "100/min shadow". */
static bool take_shadow(struct weir_str *text)
{
    static const struct weir_str word = WEIR_STR_INIT(" shadow");
    if (text->len < word.len ||
        !weir_str_eq(weir_str(text->p + text->len - word.len, word.len), word)) {
        return false;
    }
    text->len -= word.len;
    return true;
}

static enum weir_err add_rate(struct parse *p, const struct node *n, void *ctx)
{
    struct plan_draft *d = ctx;
    struct weir_str text;
    struct weir_limit limit;
    WEIR_TRY(weir_parse_scalar(p, n, "a rate such as 100/min", &text));
    bool shadow = take_shadow(&text);
    switch (weir_rate_parse(text, d->meter, &limit)) {
    case WEIR_OK:
        break;
    case WEIR_ERR_LIMIT:
        return weir_parse_fail(p, n, "%s: a rate is at most 2^50 over 1s to 30day", n->name);
    default:
        return weir_parse_fail(p, n,
                               "%s: expected a rate such as 100/min, 20k/h, 1M/day or 5/7s, or "
                               "100/min shadow",
                               n->name);
    }
    for (size_t i = 0; i < d->limits; i++) {
        if (d->limit[i].meter == limit.meter && d->limit[i].window_s == limit.window_s) {
            return weir_parse_fail(p, n, "%s: expected one rate for each length of time", n->name);
        }
    }
    if (d->limits == WEIR_PLAN_LIMITS_MAX) {
        return weir_parse_fail(p, n, "limits: a plan has at most %d", WEIR_PLAN_LIMITS_MAX);
    }
    d->in_shadow[d->limits] = shadow;
    d->limit[d->limits++] = limit;
    return WEIR_OK;
}

enum weir_err weir_limit_field(struct parse *p, struct weir_str key, const struct node *value,
                               void *ctx)
{
    struct plan_draft *d = ctx;
    if (weir_meter_parse(key, &d->meter) != WEIR_OK) {
        return weir_parse_unknown(
            p, value, "limits; expected requests, input_tokens, output_tokens or total_tokens");
    }
    if (value->at->kind == WEIR_YAML_LIST) {
        return weir_parse_list(p, value, add_rate, d);
    }
    return add_rate(p, value, d);
}

static enum weir_err on_overrun(struct parse *p, const struct node *n, bool *ret_cut)
{
    struct weir_str text;
    WEIR_TRY(weir_parse_scalar(p, n, "finish or cut", &text));
    *ret_cut = weir_str_eq(text, WEIR_STR("cut"));
    if (!*ret_cut && !weir_str_eq(text, WEIR_STR("finish"))) {
        return weir_parse_fail(p, n, "%s: expected finish or cut", n->name);
    }
    return WEIR_OK;
}

static enum weir_err fixed_field(struct parse *p, struct weir_str key, const struct node *value,
                                 void *ctx)
{
    struct plan_draft *d = ctx;
    if (!weir_str_eq(key, WEIR_STR("fixed"))) {
        return weir_parse_unknown(p, value, "reserve; expected fixed");
    }
    d->reserve = WEIR_RESERVE_FIXED;
    return weir_parse_number(p, value, 1, INT32_MAX, &d->reserve_fixed);
}

/* max, forecast or {fixed: N}. */
static enum weir_err reserve(struct parse *p, const struct node *n, struct plan_draft *d)
{
    static const char expected[] = "max, forecast or {fixed: 300}";
    struct weir_str text;
    if (n->at->kind == WEIR_YAML_MAPPING && n->at->len > 0) {
        return weir_parse_mapping(p, n, fixed_field, d);
    }
    WEIR_TRY(weir_parse_scalar(p, n, expected, &text));
    if (!weir_str_eq(text, WEIR_STR("max")) && !weir_str_eq(text, WEIR_STR("forecast"))) {
        return weir_parse_fail(p, n, "%s: expected %s", n->name, expected);
    }
    d->reserve = weir_str_eq(text, WEIR_STR("max")) ? WEIR_RESERVE_MAX : WEIR_RESERVE_FORECAST;
    return WEIR_OK;
}

/* Thousandths of a number with at most three places. */
static enum weir_err permille(struct parse *p, const struct node *n, uint64_t min, uint64_t max,
                              uint32_t *ret_permille)
{
    struct weir_str text;
    uint64_t value;
    WEIR_TRY(weir_parse_scalar(p, n, "a number such as 0.5", &text));
    if (!weir_parse_permille(text, &value) || value < min || value > max) {
        return weir_parse_fail(p, n, "%s: expected a number from %g to %g, of at most three places",
                               n->name, (double)min / WHOLE_PERMILLE, (double)max / WHOLE_PERMILLE);
    }
    *ret_permille = (uint32_t)value;
    return WEIR_OK;
}

enum weir_err weir_plan_field(struct parse *p, struct weir_str key, const struct node *value,
                              void *ctx)
{
    struct plan_draft *d = ctx;
    if (weir_str_eq(key, WEIR_STR("limits"))) {
        d->limits = 0; /* those of before go together */
        return weir_parse_mapping(p, value, weir_limit_field, d);
    }
    if (weir_str_eq(key, WEIR_STR("shadow"))) {
        return weir_parse_bool(p, value, &d->shadow);
    }
    if (weir_str_eq(key, WEIR_STR("default_output_tokens"))) {
        return weir_parse_number(p, value, 0, INT32_MAX, &d->default_output_tokens);
    }
    if (weir_str_eq(key, WEIR_STR("on_overrun"))) {
        return on_overrun(p, value, &d->cut_on_overrun);
    }
    if (weir_str_eq(key, WEIR_STR("reserve"))) {
        return reserve(p, value, d);
    }
    if (weir_str_eq(key, WEIR_STR("forecast_quantile"))) {
        return permille(p, value, QUANTILE_PERMILLE_MIN, QUANTILE_PERMILLE_MAX,
                        &d->forecast_permille);
    }
    if (weir_str_eq(key, WEIR_STR("cached_input_weight"))) {
        return permille(p, value, 0, WHOLE_PERMILLE, &d->cached_permille);
    }
    if (weir_str_eq(key, WEIR_STR("charge_failed"))) {
        return weir_parse_bool(p, value, &d->charge_failed);
    }
    return weir_parse_unknown(
        p, value,
        "a plan; expected limits, shadow, default_output_tokens, reserve, "
        "forecast_quantile, on_overrun, cached_input_weight or charge_failed");
}

static enum weir_err compile(struct parse *p, const struct node *n, const struct plan_draft *d,
                             struct weir_plan *ret_plan)
{
    if (weir_plan_compile(d->limit, d->limits, ret_plan) != WEIR_OK) {
        return weir_parse_fail(p, n, "limits: a plan has at most %d lengths of time",
                               WEIR_PLAN_WINDOWS_MAX);
    }
    for (size_t i = 0; i < d->limits; i++) {
        if (d->shadow || d->in_shadow[i]) {
            weir_plan_shadow(ret_plan, &d->limit[i]);
        }
    }
    return WEIR_OK;
}

struct plan_draft weir_plan_draft(void)
{
    return (struct plan_draft){.default_output_tokens = DEFAULT_OUTPUT_TOKENS,
                               .forecast_permille = DEFAULT_QUANTILE_PERMILLE,
                               .cached_permille = WHOLE_PERMILLE,
                               .charge_failed = true};
}

struct plan_draft weir_plan_draft_of(const struct weir_plan *plan)
{
    struct plan_draft d = {.shadow = plan->shadow,
                           .default_output_tokens = plan->default_output_tokens,
                           .cut_on_overrun = plan->cut_on_overrun,
                           .reserve = plan->reserve,
                           .forecast_permille = plan->forecast_permille,
                           .reserve_fixed = plan->reserve_fixed,
                           .cached_permille = plan->cached_permille,
                           .charge_failed = plan->charge_failed};
    for (unsigned k = 0; k < plan->windows; k++) {
        const struct weir_window_spec *w = &plan->window[k];
        for (unsigned i = 0; i < w->meters; i++) {
            d.in_shadow[d.limits] = !plan->shadow && (w->shadow >> i & 1) != 0;
            d.limit[d.limits++] = (struct weir_limit){w->meter[i], w->window_s, w->stated[i]};
        }
    }
    return d;
}

enum weir_err weir_plan_of_draft(struct parse *p, const struct node *n, const struct plan_draft *d,
                                 struct weir_str name, struct weir_plan *ret_plan)
{
    WEIR_TRY(compile(p, n, d, ret_plan));
    ret_plan->shadow = d->shadow;
    ret_plan->default_output_tokens = d->default_output_tokens;
    ret_plan->cut_on_overrun = d->cut_on_overrun;
    ret_plan->reserve = d->reserve;
    ret_plan->forecast_permille = d->forecast_permille;
    ret_plan->reserve_fixed = d->reserve_fixed;
    ret_plan->cached_permille = d->cached_permille;
    ret_plan->charge_failed = d->charge_failed;
    memcpy(ret_plan->name, name.p, name.len);
    ret_plan->name[name.len] = '\0';
    return WEIR_OK;
}

static enum weir_err plan_entry(struct parse *p, struct weir_str key, const struct node *value,
                                void *ctx)
{
    struct weir_config *config = p->config;
    struct plan_draft d = weir_plan_draft();
    (void)ctx;
    if (!weir_parse_name_valid(key) || weir_str_eq(key, WEIR_STR("reject"))) {
        const struct node name = {.at = value->key};
        return weir_parse_fail(p, &name,
                               "plans: expected a name of 1 to 63 characters other than reject");
    }
    const struct node entry = {.at = value->at, .key = value->key, .name = "a plan"};
    WEIR_TRY(weir_parse_mapping(p, &entry, weir_plan_field, &d));
    WEIR_TRY(weir_plan_of_draft(p, value, &d, key, &config->plan[config->plans]));
    weir_index_add(&config->_index->plan, key, (uint32_t)++config->plans);
    return WEIR_OK;
}

enum weir_err weir_parse_plans(struct parse *p, const struct node *n)
{
    size_t count = n->at->kind == WEIR_YAML_MAPPING ? n->at->len / 2 : 0;
    if (count > WEIR_CONFIG_PLANS_MAX) {
        return weir_parse_fail(p, n, "plans: at most %d", WEIR_CONFIG_PLANS_MAX);
    }
    p->config->_plans = weir_plan_set_new(count);
    if (p->config->_plans == NULL) {
        return WEIR_ERR_NOMEM;
    }
    p->config->plan = p->config->_plans->plan;
    WEIR_TRY(weir_index_init(&p->config->_index->plan, count));
    return weir_parse_mapping(p, n, plan_entry, NULL);
}

/* The tools that take limits alone ask whether they hold. */
static enum weir_err all_enforced(struct parse *p, const struct plan_draft *d)
{
    for (size_t i = 0; i < d->limits; i++) {
        if (d->in_shadow[i]) {
            return weir_parse_fail(p, NULL, "expected rates without the word shadow");
        }
    }
    return WEIR_OK;
}

/* A rate, or a list of rates. */
static void write_rates(const struct weir_yaml_node *n, struct weir_buf *json)
{
    if (n->kind == WEIR_YAML_SCALAR) {
        weir_buf_json(json, weir_str(n->text, n->len));
        return;
    }
    weir_buf_char(json, '[');
    const struct weir_yaml_node *rate = n + 1;
    for (uint32_t i = 0; i < n->len; i++, rate += rate->span) {
        weir_buf_str(json, i > 0 ? WEIR_STR(",") : WEIR_STR(""));
        weir_buf_json(json, weir_str(rate->text, rate->len));
    }
    weir_buf_char(json, ']');
}

/* Limits that were read. */
static void write_limits(const struct weir_yaml_node *n, struct weir_buf *json)
{
    const struct weir_yaml_node *meter = n + 1;
    weir_buf_char(json, '{');
    for (uint32_t i = 0; i < n->len; i += 2) {
        const struct weir_yaml_node *rates = meter + meter->span;
        weir_buf_str(json, i > 0 ? WEIR_STR(",") : WEIR_STR(""));
        weir_buf_json(json, weir_str(meter->text, meter->len));
        weir_buf_char(json, ':');
        write_rates(rates, json);
        meter = rates + rates->span;
    }
    weir_buf_char(json, '}');
}

/* The mapping in braces that is the text's one value. json NULL: none may be in shadow. */
static enum weir_err limits_alone(struct parse *p, struct weir_str text, struct weir_plan *ret_plan,
                                  struct weir_buf *json)
{
    struct plan_draft d = {0};
    struct weir_yaml yaml;
    enum weir_err err = weir_yaml_build(p, text, &yaml);
    if (err == WEIR_OK) {
        const struct node root = {.at = &yaml.node[0], .name = "limits"};
        err = weir_parse_mapping(p, &root, weir_limit_field, &d);
        if (err == WEIR_OK && d.limits == 0) {
            err = weir_parse_fail(p, NULL, "expected at least one limit, as requests: 100/min");
        }
        err = err == WEIR_OK && json == NULL ? all_enforced(p, &d) : err;
        err = err == WEIR_OK ? compile(p, NULL, &d, ret_plan) : err;
        if (err == WEIR_OK && json != NULL) {
            write_limits(&yaml.node[0], json);
        }
    }
    weir_yaml_deinit(&yaml);
    return err;
}

static enum weir_err limits_in_braces(struct weir_str text, struct weir_plan *ret_plan,
                                      struct weir_buf *json, struct weir_config_error *ret_error)
{
    struct parse p = {.error = ret_error};
    struct weir_buf b;
    *ret_error = (struct weir_config_error){0};
    weir_buf_init(&b, WEIR_YAML_SCALAR_MAX);
    weir_buf_char(&b, '{');
    weir_buf_str(&b, text);
    weir_buf_char(&b, '}');
    enum weir_err err =
        b.failed ? weir_parse_fail(&p, NULL, "expected at most %d bytes", WEIR_YAML_SCALAR_MAX - 2)
                 : limits_alone(&p, weir_buf_view(&b), ret_plan, json);
    ret_error->line = ret_error->column = 0; /* the brace is ours */
    weir_buf_deinit(&b);
    return err;
}

enum weir_err weir_limits_parse(struct weir_str text, struct weir_plan *ret_plan,
                                struct weir_config_error *ret_error)
{
    return limits_in_braces(text, ret_plan, NULL, ret_error);
}

enum weir_err weir_limits_to_json(struct weir_str text, struct weir_buf *json,
                                  struct weir_config_error *ret_error)
{
    struct weir_plan plan;
    return limits_in_braces(text, &plan, json, ret_error);
}
