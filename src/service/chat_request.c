/* SPDX-License-Identifier: Apache-2.0 */
#include "service/chat_request.h"

#include <xxhash.h>

#include "service/json.h"
#include "tokens/tokens.h"

static enum weir_err refuse(struct weir_chat_refusal *ret, const char *param, const char *expected)
{
    snprintf(ret->param, sizeof(ret->param), "%s", param);
    snprintf(ret->text, sizeof(ret->text), "%s: expected %s.", param, expected);
    return WEIR_ERR_INVALID;
}

/* A field of one message. */
static enum weir_err refuse_message(struct weir_chat_refusal *ret, unsigned i, const char *field,
                                    const char *expected)
{
    char param[sizeof(ret->param)];
    snprintf(param, sizeof(param), "messages[%u].%s", i, field);
    return refuse(ret, param, expected);
}

/* ---- what the model reads ---- */

static void count_text(struct weir_chat_request *r, const char *text)
{
    struct weir_str s = weir_str_z(text);
    r->input_tokens += weir_tokens_estimate(s);
    r->prompt_hash = XXH3_64bits_withSeed(s.p, s.len, r->prompt_hash);
}

/* All names and texts, and a token for any other value. As deep as the parser allows. */
static void count_value(struct weir_chat_request *r, const cJSON *value)
{
    if (cJSON_IsString(value)) {
        count_text(r, value->valuestring);
        return;
    }
    if (!cJSON_IsArray(value) && !cJSON_IsObject(value)) {
        r->input_tokens += cJSON_IsNull(value) ? 0 : 1;
        r->prompt_hash = XXH3_64bits_withSeed(&value->valuedouble, sizeof(value->valuedouble),
                                              r->prompt_hash + (uint64_t)value->type);
        return;
    }
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        if (item->string != NULL) {
            count_text(r, item->string);
        }
        count_value(r, item);
    }
}

/* False: not what a part looks like. A name that is there twice counts twice. */
static bool count_part(struct weir_chat_request *r, const cJSON *part)
{
    if (!cJSON_IsObject(part)) {
        return false;
    }
    for (const cJSON *item = part->child; item != NULL; item = item->next) {
        if (strcmp(item->string, "text") == 0) {
            if (!cJSON_IsString(item)) {
                return false;
            }
            count_text(r, item->valuestring);
        } else if (strcmp(item->string, "image_url") == 0) {
            uint64_t before = r->input_tokens;
            count_value(r, item); /* its bytes are not text */
            r->input_tokens = before + WEIR_TOKENS_PER_IMAGE;
        } else if (strcmp(item->string, "type") != 0 || !cJSON_IsString(item)) {
            count_value(r, item);
        }
    }
    return true;
}

/* A text, or a list of parts; null beside tool calls. */
static bool count_content(struct weir_chat_request *r, const cJSON *content)
{
    if (cJSON_IsString(content)) {
        count_text(r, content->valuestring);
        return true;
    }
    if (!cJSON_IsArray(content)) {
        return cJSON_IsNull(content);
    }
    for (const cJSON *part = content->child; part != NULL; part = part->next) {
        if (!count_part(r, part)) {
            return false;
        }
    }
    return true;
}

static enum weir_err read_message(const cJSON *message, unsigned i, struct weir_chat_request *r,
                                  struct weir_chat_refusal *ret)
{
    const char *role = NULL;
    r->input_tokens += WEIR_TOKENS_PER_MESSAGE;
    const cJSON *item = cJSON_IsObject(message) ? message->child : NULL;
    for (; item != NULL; item = item->next) {
        if (strcmp(item->string, "role") == 0) {
            if (role != NULL) {
                return refuse_message(ret, i, "role", "it once");
            }
            role = cJSON_GetStringValue(item);
            if (role == NULL) {
                break;
            }
        } else if (strcmp(item->string, "content") != 0) {
            count_value(r, item); /* name, tool_calls, what else there may come to be */
        } else if (!count_content(r, item)) {
            return refuse_message(ret, i, "content", "a text or a list of parts");
        }
    }
    return role == NULL ? refuse_message(ret, i, "role", "a message with a role") : WEIR_OK;
}

/* ---- the fields ---- */

enum field {
    MODEL,
    MESSAGES,
    MAX_TOKENS,
    MAX_COMPLETION_TOKENS,
    STREAM,
    STREAM_OPTIONS,
    N,
    READ_BY_MODEL, /* from here on: what is told beside the messages */
    TOOLS = READ_BY_MODEL,
    FUNCTIONS,
    RESPONSE_FORMAT,
    FIELDS,
};

static const char *const names[FIELDS] = {
    [MODEL] = "model",
    [MESSAGES] = "messages",
    [MAX_TOKENS] = "max_tokens",
    [MAX_COMPLETION_TOKENS] = "max_completion_tokens",
    [STREAM] = "stream",
    [STREAM_OPTIONS] = "stream_options",
    [N] = "n",
    [TOOLS] = "tools",
    [FUNCTIONS] = "functions",
    [RESPONSE_FORMAT] = "response_format",
};

/* Absent and null mean the same (the official clients send both). */
static bool given(const cJSON *item)
{
    return item != NULL && !cJSON_IsNull(item);
}

static enum weir_err read_model(const cJSON *item, struct weir_chat_request *r,
                                struct weir_chat_refusal *ret)
{
    const char *name = cJSON_GetStringValue(item);
    size_t len = name == NULL ? 0 : strlen(name);
    if (len == 0 || len > WEIR_MODEL_MAX) {
        return refuse(ret, "model", "a name of 1 to 128 bytes");
    }
    r->model = weir_str(name, len);
    r->prompt_hash = XXH3_64bits(name, len);
    return WEIR_OK;
}

static enum weir_err read_messages(const cJSON *messages, struct weir_chat_request *r,
                                   struct weir_chat_refusal *ret)
{
    if (!cJSON_IsArray(messages) || messages->child == NULL) {
        return refuse(ret, "messages", "a list of at least one message");
    }
    r->input_tokens = WEIR_TOKENS_PER_REPLY;
    unsigned i = 0;
    for (const cJSON *m = messages->child; m != NULL; m = m->next, i++) {
        WEIR_TRY(read_message(m, i, r, ret));
    }
    return WEIR_OK;
}

static enum weir_err read_maximum(const cJSON *item, const char *name, struct weir_chat_request *r,
                                  struct weir_chat_refusal *ret)
{
    if (!given(item)) {
        return WEIR_OK;
    }
    double v = item->valuedouble;
    if (!cJSON_IsNumber(item) || !(v >= 1 && v <= INT32_MAX) || v != (double)(uint64_t)v) {
        return refuse(ret, name, "a whole number from 1 to 2147483647");
    }
    if ((uint64_t)v > r->output_max) {
        r->output_max = (uint64_t)v;
    }
    return WEIR_OK;
}

static enum weir_err read_bool(const cJSON *item, const char *name, bool *ret_value,
                               struct weir_chat_refusal *ret)
{
    if (given(item) && !cJSON_IsBool(item)) {
        return refuse(ret, name, "true or false");
    }
    *ret_value = cJSON_IsTrue(item);
    return WEIR_OK;
}

static enum weir_err read_stream(const cJSON *stream, const cJSON *options,
                                 struct weir_chat_request *r, struct weir_chat_refusal *ret)
{
    static const char *const include_usage = "include_usage";
    const cJSON *item = NULL;
    WEIR_TRY(read_bool(stream, "stream", &r->stream, ret));
    if (!given(options)) {
        return WEIR_OK;
    }
    if (!cJSON_IsObject(options)) {
        return refuse(ret, "stream_options", "an object");
    }
    if (weir_json_fields(options, &include_usage, 1, &item) != NULL) {
        return refuse(ret, "stream_options.include_usage", "it once");
    }
    return read_bool(item, "stream_options.include_usage", &r->include_usage, ret);
}

static enum weir_err read_fields(const cJSON *const *item, struct weir_chat_request *r,
                                 struct weir_chat_refusal *ret)
{
    WEIR_TRY(read_model(item[MODEL], r, ret));
    WEIR_TRY(read_messages(item[MESSAGES], r, ret));
    WEIR_TRY(read_maximum(item[MAX_TOKENS], names[MAX_TOKENS], r, ret));
    WEIR_TRY(read_maximum(item[MAX_COMPLETION_TOKENS], names[MAX_COMPLETION_TOKENS], r, ret));
    WEIR_TRY(read_stream(item[STREAM], item[STREAM_OPTIONS], r, ret));
    if (given(item[N]) && !(cJSON_IsNumber(item[N]) && item[N]->valuedouble == 1)) {
        return refuse(ret, "n", "1, the only number of choices supported");
    }
    for (unsigned i = READ_BY_MODEL; i < FIELDS; i++) {
        if (given(item[i])) {
            count_value(r, item[i]);
        }
    }
    return WEIR_OK;
}

enum weir_err weir_chat_request_read(struct weir_str body, struct weir_chat_request *ret_request,
                                     struct weir_chat_refusal *ret_refusal)
{
    const cJSON *item[FIELDS];
    struct weir_chat_request r = {0};
    const cJSON *root = weir_json_parse(body);
    if (!cJSON_IsObject(root)) {
        *ret_refusal = (struct weir_chat_refusal){
            .text = "We could not parse the JSON body of your request: expected an object in "
                    "UTF-8, without NUL."};
        return WEIR_ERR_INVALID;
    }
    const char *twice = weir_json_fields(root, names, FIELDS, item);
    if (twice != NULL) {
        return refuse(ret_refusal, twice, "it once");
    }
    WEIR_TRY(read_fields(item, &r, ret_refusal));
    *ret_request = r;
    return WEIR_OK;
}
