/* SPDX-License-Identifier: Apache-2.0 */
/* dialect_answer.c - what answers have in common, read leniently. */
#include "limit/meter.h"
#include "service/dialect_read.h"

const struct weir_json_node *
weir_member_of(const struct weir_json *j, const struct weir_json_node *object, struct weir_str name)
{
    const struct weir_json_node *found = NULL;
    if (object == NULL || object->kind != WEIR_JSON_OBJECT) {
        return NULL;
    }
    for (const struct weir_json_node *n = weir_json_first(j, object); n != NULL;
         n = weir_json_next(j, object, n + 1)) {
        if (weir_json_string_is(j, n, name)) {
            found = n + 1;
        }
    }
    return found;
}

bool weir_member_is(const struct weir_json *j, const struct weir_json_node *object,
                    struct weir_str name, struct weir_str text)
{
    const struct weir_json_node *value = weir_member_of(j, object, name);
    return value != NULL && value->kind == WEIR_JSON_STRING && weir_json_string_is(j, value, text);
}

/* ---- usage ---- */

/* Whether there is such an amount: what is too large to charge is none. */
static bool amount(const struct weir_json *j, const struct weir_json_node *object,
                   struct weir_str name, uint64_t *ret_amount)
{
    const struct weir_json_node *value = weir_member_of(j, object, name);
    return value != NULL && weir_json_u64(j, value, WEIR_AMOUNT_MAX / 4, ret_amount) == WEIR_OK;
}

/* OpenAI's: the whole input, and in its details what of it was cached. DeepSeek tells that beside.
 */
static void read_openai(struct weir_used *used, const struct weir_json *j,
                        const struct weir_json_node *usage, const struct weir_json_node *details)
{
    if (!amount(j, details, WEIR_STR("cached_tokens"), &used->cached_tokens) &&
        !amount(j, usage, WEIR_STR("prompt_cache_hit_tokens"), &used->cached_tokens)) {
        used->cached_tokens = 0;
    }
    if (!amount(j, details, WEIR_STR("cache_write_tokens"), &used->cache_write_tokens)) {
        used->cache_write_tokens = 0;
    }
}

/* Anthropic's: three parts of the input beside each other, each told again or not. */
static void read_anthropic(struct weir_used *used, const struct weir_json *j,
                           const struct weir_json_node *usage, uint64_t input)
{
    uint64_t *cached = &used->cached_tokens, *written = &used->cache_write_tokens;
    bool told = amount(j, usage, WEIR_STR("cache_read_input_tokens"), cached);
    *cached = told || used->input_known ? *cached : 0;
    told = amount(j, usage, WEIR_STR("cache_creation_input_tokens"), written);
    *written = told || used->input_known ? *written : 0;
    used->input_tokens = input + *cached + *written;
}

static void read_input(struct weir_used *used, const struct weir_json *j,
                       const struct weir_json_node *usage)
{
    uint64_t input;
    if (amount(j, usage, WEIR_STR("prompt_tokens"), &input)) {
        used->input_tokens = input;
        read_openai(used, j, usage, weir_member_of(j, usage, WEIR_STR("prompt_tokens_details")));
    } else if (amount(j, usage, WEIR_STR("input_tokens"), &input)) {
        const struct weir_json_node *details =
            weir_member_of(j, usage, WEIR_STR("input_tokens_details"));
        if (details != NULL) {
            used->input_tokens = input;
            read_openai(used, j, usage, details);
        } else {
            read_anthropic(used, j, usage, input);
        }
    } else {
        return;
    }
    used->input_known = true;
}

void weir_progress_read(struct weir_progress *p, const struct weir_json *j,
                        const struct weir_json_node *usage)
{
    uint64_t output = 0;
    read_input(&p->used, j, usage);
    bool told = amount(j, usage, WEIR_STR("completion_tokens"), &output) ||
                amount(j, usage, WEIR_STR("output_tokens"), &output) ||
                weir_member_of(j, usage, WEIR_STR("prompt_tokens")) != NULL; /* embeddings: 0 */
    if (told) {
        p->used.output_tokens = output;
        p->used.output_known = true;
        p->reported_at = p->produced_tokens;
    }
}

/* ---- events ---- */

void weir_produced(const struct weir_dialect_event *e, const struct weir_json_node *value,
                   struct weir_progress *p)
{
    if (value == NULL || value->kind != WEIR_JSON_STRING) {
        return;
    }
    weir_buf_reset(e->space);
    struct weir_str text = weir_json_string(e->j, value, e->space);
    p->produced_tokens += weir_count_text(e->counter, text);
    p->produced_bytes += text.len;
}

/* A member with one of its commas. */
static struct weir_verdict without(const struct weir_json *j, const struct weir_json_node *value)
{
    const struct weir_json_node *name = value - 1, *root = weir_json_root(j);
    const char *text = j->text.p;
    size_t from = name->at - 1, to = value->at + value->len; /* with the name's quote */
    if (value->kind == WEIR_JSON_STRING) {
        to++;
    }
    if (name > root + 1) { /* there is a comma before it */
        while (text[--from] != ',') {
        }
    } else {
        while (text[to] != ',' && text[to] != '}') {
            to++;
        }
        to += text[to] == ',';
    }
    return (struct weir_verdict){.at = (uint32_t)from, .length = (uint32_t)(to - from)};
}

/* NULL: there is none. */
static const struct weir_json_node *choices_of(const struct weir_json *j)
{
    const struct weir_json_node *choices =
        weir_member_of(j, weir_json_root(j), WEIR_STR("choices"));
    return choices != NULL && choices->kind == WEIR_JSON_ARRAY ? choices : NULL;
}

void weir_choices_produced(const struct weir_dialect_event *e, weir_choice_fn *on_choice,
                           struct weir_progress *p)
{
    const struct weir_json_node *choices = choices_of(e->j);
    if (choices == NULL) {
        return;
    }
    for (const struct weir_json_node *choice = weir_json_first(e->j, choices); choice != NULL;
         choice = weir_json_next(e->j, choices, choice)) {
        on_choice(e, choice, p);
    }
}

/* OpenAI's clients throw what has an `error` that is not null. */
static bool tells_error(const struct weir_json *j)
{
    const struct weir_json_node *error = weir_member_of(j, weir_json_root(j), WEIR_STR("error"));
    return error != NULL && error->kind > WEIR_JSON_FALSE;
}

struct weir_verdict weir_openai_event(const struct weir_dialect_event *e, struct weir_progress *p)
{
    const struct weir_json_node *usage =
        weir_member_of(e->j, weir_json_root(e->j), WEIR_STR("usage"));
    p->failed |= tells_error(e->j);
    if (usage == NULL) {
        return (struct weir_verdict){0};
    }
    weir_progress_read(p, e->j, usage);
    if (!e->hide_usage) {
        return (struct weir_verdict){0};
    }
    const struct weir_json_node *choices = choices_of(e->j);
    if (usage->kind == WEIR_JSON_OBJECT && choices != NULL &&
        weir_json_first(e->j, choices) == NULL) {
        return (struct weir_verdict){.drop = true}; /* it is there for the usage alone */
    }
    return without(e->j, usage);
}
