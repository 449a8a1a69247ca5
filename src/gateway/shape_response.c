/* SPDX-License-Identifier: Apache-2.0 */
/* shape_response.c - OpenAI's responses. Each event says its type twice, and its number. */
#include "gateway/shape.h"

enum {
    EVENTS_BEFORE_TEXT = 4, /* created, in_progress, output_item.added, content_part.added */
    EVENTS_BEFORE_CALL = 3, /* the same without a part */
};

static bool calls(const struct weir_shape *s)
{
    return s->tool_json.len > 0;
}

/* ---- the objects ---- */

static void usage(const struct weir_shape *s, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "{\"input_tokens\":");
    weir_buf_u64(b, s->input_tokens);
    WEIR_BUF_LIT(b, ",\"input_tokens_details\":{\"cached_tokens\":");
    weir_buf_u64(b, s->cached_tokens);
    WEIR_BUF_LIT(b, "},\"output_tokens\":");
    weir_buf_u64(b, s->answer->output_tokens);
    WEIR_BUF_LIT(b, ",\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":");
    weir_buf_u64(b, s->input_tokens + s->answer->output_tokens);
    WEIR_BUF_LIT(b, "}");
}

static void item_id(const struct weir_shape *s, struct weir_buf *b)
{
    weir_buf_str(b, calls(s) ? WEIR_STR("\"fc_") : WEIR_STR("\"msg_"));
    weir_buf_str(b, s->id);
    WEIR_BUF_LIT(b, "\"");
}

/* The one part of a message, with that many of its tokens. */
static void part(const struct weir_shape *s, struct weir_buf *b, uint32_t until)
{
    WEIR_BUF_LIT(b, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"");
    weir_shape_words(s, b, 0, until);
    WEIR_BUF_LIT(b, "\"}");
}

/* The one item of the output: whole, or as it begins. */
static void item(const struct weir_shape *s, struct weir_buf *b, bool done)
{
    WEIR_BUF_LIT(b, "{\"id\":");
    item_id(s, b);
    WEIR_BUF_LIT(b, ",\"status\":\"");
    weir_buf_str(b, !done            ? WEIR_STR("in_progress")
                    : s->answer->cut ? WEIR_STR("incomplete")
                                     : WEIR_STR("completed"));
    if (calls(s)) {
        WEIR_BUF_LIT(b, "\",\"type\":\"function_call\",\"call_id\":\"call_");
        weir_buf_str(b, s->id);
        WEIR_BUF_LIT(b, "\",\"name\":");
        weir_buf_str(b, s->tool_json);
        WEIR_BUF_LIT(b, ",\"arguments\":\"");
        if (done) {
            weir_shape_arguments(s, b);
        }
        WEIR_BUF_LIT(b, "\"}");
        return;
    }
    WEIR_BUF_LIT(b, "\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
    if (done) {
        part(s, b, s->answer->output_tokens);
    }
    WEIR_BUF_LIT(b, "]}");
}

static void response(const struct weir_shape *s, struct weir_buf *b, bool done)
{
    WEIR_BUF_LIT(b, "{\"id\":\"resp_");
    weir_buf_str(b, s->id);
    WEIR_BUF_LIT(b, "\",\"object\":\"response\",\"created_at\":");
    weir_buf_u64(b, s->created_s);
    WEIR_BUF_LIT(b, ",\"status\":\"");
    if (done && s->answer->cut) {
        WEIR_BUF_LIT(b, "incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}");
    } else {
        weir_buf_str(b, done ? WEIR_STR("completed") : WEIR_STR("in_progress"));
        WEIR_BUF_LIT(b, "\",\"incomplete_details\":null");
    }
    WEIR_BUF_LIT(b, ",\"error\":null,\"instructions\":null,\"max_output_tokens\":null,\"model\":");
    weir_buf_str(b, s->model_json);
    WEIR_BUF_LIT(b, ",\"output\":[");
    if (done) {
        item(s, b, true);
    }
    WEIR_BUF_LIT(b, "],\"parallel_tool_calls\":true,\"previous_response_id\":null,"
                    "\"reasoning\":{\"effort\":null,\"summary\":null},\"store\":false,"
                    "\"temperature\":1,\"text\":{\"format\":{\"type\":\"text\"}},"
                    "\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1,"
                    "\"truncation\":\"disabled\",\"user\":null,\"metadata\":{},\"usage\":");
    if (done) {
        usage(s, b);
    } else {
        WEIR_BUF_LIT(b, "null");
    }
    WEIR_BUF_LIT(b, "}");
}

static void whole(const struct weir_shape *s, struct weir_buf *b)
{
    response(s, b, true);
}

/* ---- the events ---- */

/* The event up to what it has of its own. */
static void event(struct weir_buf *b, struct weir_str type, uint64_t number)
{
    WEIR_BUF_LIT(b, "event: ");
    weir_buf_str(b, type);
    WEIR_BUF_LIT(b, "\ndata: {\"type\":\"");
    weir_buf_str(b, type);
    WEIR_BUF_LIT(b, "\",\"sequence_number\":");
    weir_buf_u64(b, number);
}

static void event_of_response(const struct weir_shape *s, struct weir_buf *b, struct weir_str type,
                              uint64_t number, bool done)
{
    event(b, type, number);
    WEIR_BUF_LIT(b, ",\"response\":");
    response(s, b, done);
    WEIR_BUF_LIT(b, "}\n\n");
}

static void event_of_item(const struct weir_shape *s, struct weir_buf *b, struct weir_str type,
                          uint64_t number, bool done)
{
    event(b, type, number);
    WEIR_BUF_LIT(b, ",\"output_index\":0,\"item\":");
    item(s, b, done);
    WEIR_BUF_LIT(b, "}\n\n");
}

/* An event inside the item, up to what it has of its own. */
static void event_inside(const struct weir_shape *s, struct weir_buf *b, struct weir_str type,
                         uint64_t number)
{
    event(b, type, number);
    WEIR_BUF_LIT(b, ",\"item_id\":");
    item_id(s, b);
    WEIR_BUF_LIT(b, ",\"output_index\":0");
    if (!calls(s)) {
        WEIR_BUF_LIT(b, ",\"content_index\":0");
    }
}

static void event_of_part(const struct weir_shape *s, struct weir_buf *b, struct weir_str type,
                          uint64_t number, uint32_t until)
{
    event_inside(s, b, type, number);
    WEIR_BUF_LIT(b, ",\"part\":");
    part(s, b, until);
    WEIR_BUF_LIT(b, "}\n\n");
}

static void begin(const struct weir_shape *s, struct weir_buf *b)
{
    event_of_response(s, b, WEIR_STR("response.created"), 0, false);
    event_of_response(s, b, WEIR_STR("response.in_progress"), 1, false);
    event_of_item(s, b, WEIR_STR("response.output_item.added"), 2, false);
    if (!calls(s)) {
        event_of_part(s, b, WEIR_STR("response.content_part.added"), 3, 0);
    }
}

static void delta(const struct weir_shape *s, struct weir_buf *b, uint64_t number,
                  struct weir_str text)
{
    event_inside(s, b,
                 calls(s) ? WEIR_STR("response.function_call_arguments.delta")
                          : WEIR_STR("response.output_text.delta"),
                 number);
    WEIR_BUF_LIT(b, ",\"delta\":\"");
    weir_buf_str(b, text);
    weir_buf_str(b, calls(s) ? WEIR_STR("\"}\n\n") : WEIR_STR("\",\"logprobs\":[]}\n\n"));
}

static void tokens(const struct weir_shape *s, struct weir_buf *b, uint32_t from, uint32_t until)
{
    uint64_t first = EVENTS_BEFORE_TEXT;
    if (calls(s)) {
        first = EVENTS_BEFORE_CALL + 1;
        if (from == 0 && until > 0) {
            delta(s, b, EVENTS_BEFORE_CALL, WEIR_STR(WEIR_SHAPE_ARGUMENTS_BEGIN));
        }
    }
    for (uint32_t i = from; i < until; i++) {
        delta(s, b, first + i, weir_mock_word(s->answer, i));
    }
}

/* The end of the arguments; returns the next event's number. */
static uint64_t end_of_call(const struct weir_shape *s, struct weir_buf *b)
{
    uint64_t number = EVENTS_BEFORE_CALL;
    uint32_t all = s->answer->output_tokens;
    if (all == 0) {
        delta(s, b, number++, WEIR_STR(WEIR_SHAPE_ARGUMENTS_BEGIN WEIR_SHAPE_ARGUMENTS_END));
    } else {
        number += 1 + (uint64_t)all;
        delta(s, b, number++, WEIR_STR(WEIR_SHAPE_ARGUMENTS_END));
    }
    event_inside(s, b, WEIR_STR("response.function_call_arguments.done"), number++);
    WEIR_BUF_LIT(b, ",\"name\":");
    weir_buf_str(b, s->tool_json);
    WEIR_BUF_LIT(b, ",\"arguments\":\"");
    weir_shape_arguments(s, b);
    WEIR_BUF_LIT(b, "\"}\n\n");
    return number;
}

static uint64_t end_of_text(const struct weir_shape *s, struct weir_buf *b)
{
    uint32_t all = s->answer->output_tokens;
    uint64_t number = EVENTS_BEFORE_TEXT + (uint64_t)all;
    event_inside(s, b, WEIR_STR("response.output_text.done"), number++);
    WEIR_BUF_LIT(b, ",\"text\":\"");
    weir_shape_words(s, b, 0, all);
    WEIR_BUF_LIT(b, "\",\"logprobs\":[]}\n\n");
    event_of_part(s, b, WEIR_STR("response.content_part.done"), number++, all);
    return number;
}

static void end(const struct weir_shape *s, struct weir_buf *b)
{
    uint64_t number = calls(s) ? end_of_call(s, b) : end_of_text(s, b);
    event_of_item(s, b, WEIR_STR("response.output_item.done"), number++, true);
    event_of_response(
        s, b, s->answer->cut ? WEIR_STR("response.incomplete") : WEIR_STR("response.completed"),
        number, true);
}

const struct weir_shape_ops weir_shape_response = {whole, begin, tokens, end};
