/* SPDX-License-Identifier: Apache-2.0 */
/* models.c - which encoding a model counts with (openai/tiktoken, tiktoken/model.py). */
#include "tokens/tokens.h"

/* The first prefix that fits decides: the longer ones of a family stand first. */
static const struct {
    const char *prefix, *encoding;
} models[] = {
    {"gpt-4o", "o200k_base"},
    {"gpt-4.1", "o200k_base"},
    {"gpt-4.5", "o200k_base"},
    {"gpt-5", "o200k_base"},
    {"chatgpt-", "o200k_base"},
    {"codex-", "o200k_base"},
    {"o1", "o200k_base"},
    {"o3", "o200k_base"},
    {"o4", "o200k_base"},
    {"gpt-4", "cl100k_base"},
    {"gpt-3.5", "cl100k_base"},
    {"gpt-35", "cl100k_base"}, /* as Azure writes it */
    {"text-embedding-3-", "cl100k_base"},
    {"text-embedding-ada-002", "cl100k_base"},
};

static const struct weir_vocabulary *used;

/* What a fine-tuned model is called after its base: "ft:gpt-4o:org::id". */
static const struct weir_str tuned = {"ft:", 3};

/* A name ends, or goes on with a sign: "o1-mini" is of the family "o1", "o11" is not. */
static bool of_family(struct weir_str model, struct weir_str prefix)
{
    if (!weir_str_starts(model, prefix)) {
        return false;
    }
    char last = prefix.p[prefix.len - 1];
    char next = model.len > prefix.len ? model.p[prefix.len] : '-';
    bool digit = next >= '0' && next <= '9';
    return !(digit && last >= '0' && last <= '9');
}

struct weir_str weir_encoding_of_model(struct weir_str model)
{
    if (weir_str_starts(model, tuned)) {
        model = weir_str(model.p + tuned.len, model.len - tuned.len);
    }
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        if (of_family(model, weir_str_z(models[i].prefix))) {
            return weir_str_z(models[i].encoding);
        }
    }
    return weir_str("", 0);
}

const struct weir_encoding *weir_vocabulary_encoding(const struct weir_vocabulary *v,
                                                     struct weir_str name)
{
    for (size_t i = 0; v != NULL && i < v->encodings; i++) {
        if (weir_str_eq(name, weir_str_z(v->encoding[i].name))) {
            return &v->encoding[i];
        }
    }
    return NULL;
}

const struct weir_encoding *weir_vocabulary_for_model(const struct weir_vocabulary *v,
                                                      struct weir_str model)
{
    return weir_vocabulary_encoding(v, weir_encoding_of_model(model));
}

void weir_tokens_use(const struct weir_vocabulary *v)
{
    used = v;
}

const struct weir_encoding *weir_tokens_encoding(struct weir_str model)
{
    return weir_vocabulary_for_model(used, model);
}

const struct weir_encoding *weir_tokens_base(void)
{
    return weir_vocabulary_encoding(used, WEIR_STR("o200k_base"));
}
