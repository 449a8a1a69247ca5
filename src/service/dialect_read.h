/* SPDX-License-Identifier: Apache-2.0 */
/* dialect_read.h - what the dialects have in common. Private to them. Each function that returns
 * bool returns false when the request was refused. */
#ifndef WEIR_SERVICE_DIALECT_READ_H
#define WEIR_SERVICE_DIALECT_READ_H

#include "service/dialect.h"

/* One request's body being read. */
struct weir_reading {
    struct weir_json *j;
    struct weir_buf *space; /* for texts with escapes, one at a time */
    struct weir_counting counting;
    struct weir_dialect_request r;
    struct weir_dialect_refusal *refusal;
    struct weir_counter counter;
    const struct weir_json_node *model; /* its name; NULL: none */
    bool no_memory;                     /* a text was not counted */
};

bool weir_refuse_field(struct weir_reading *g, const char *param, const char *expected);
/* A field of one element of a list, as messages[1].role. */
bool weir_refuse_element(struct weir_reading *g, const char *list, unsigned i, const char *field,
                         const char *expected);

/* Absent and null mean the same (the official clients send both). */
static inline bool weir_given(const struct weir_json_node *item)
{
    return item != NULL && item->kind != WEIR_JSON_NULL;
}

/* The fields of the outermost object by their names. Refused: one is there twice, of which another
 * reader may take the other one (RFC 8259, section 4). */
bool weir_find_fields(struct weir_reading *g, const struct weir_str *names, unsigned fields,
                      const struct weir_json_node **item);

/* The model comes before all that is counted: it says how. */
bool weir_read_model(struct weir_reading *g, const struct weir_json_node *item);
/* The larger one of several holds. */
bool weir_read_maximum(struct weir_reading *g, const struct weir_json_node *item, const char *name);
/* A number of choices, into *choices if it is larger. */
bool weir_read_choices(struct weir_reading *g, const struct weir_json_node *item, const char *name,
                       uint32_t *choices);
/* One text or a list of texts, each of them also as a list of tokens; how many. */
bool weir_read_prompts(struct weir_reading *g, const struct weir_json_node *item, const char *name,
                       uint32_t *ret_prompts);
bool weir_read_bool(struct weir_reading *g, const struct weir_json_node *item, const char *name,
                    bool *ret_value);
/* OpenAI's stream and stream_options.include_usage, and the edit that asks for the usage. */
bool weir_read_stream(struct weir_reading *g, const struct weir_json_node *stream,
                      const struct weir_json_node *options);

/* ---- what the model reads ---- */

/* A text that people or models wrote. */
void weir_read_text(struct weir_reading *g, const struct weir_json_node *string);
/* All names and texts, and a token for any other value. */
void weir_read_value(struct weir_reading *g, const struct weir_json_node *value);
/* Functions of a chat request: as the model is told of them, where its encoding is known. */
void weir_read_tools(struct weir_reading *g, const struct weir_json_node *tools);
/* The content of a message: a text or a list of parts; null beside tool calls. False: anything
 * else, and nothing is refused yet. */
bool weir_read_content(struct weir_reading *g, const struct weir_json_node *content);
/* A list of at least one message. */
bool weir_read_messages(struct weir_reading *g, const struct weir_json_node *messages);

/* ---- answers ---- */

/* A member of an object, the last of its name; NULL: there is none, or it is no object. */
const struct weir_json_node *weir_member_of(const struct weir_json *j,
                                            const struct weir_json_node *object,
                                            struct weir_str name);
bool weir_member_is(const struct weir_json *j, const struct weir_json_node *object,
                    struct weir_str name, struct weir_str text);

/* A text that the model has produced; nothing when it is no string. */
void weir_produced(const struct weir_dialect_event *e, const struct weir_json_node *value,
                   struct weir_progress *p);
/* What a choice of an event has produced. */
typedef void weir_choice_fn(const struct weir_dialect_event *e, const struct weir_json_node *choice,
                            struct weir_progress *p);
/* Of an OpenAI stream's event, in chat and completions alike: each of its choices. */
void weir_choices_produced(const struct weir_dialect_event *e, weir_choice_fn *on_choice,
                           struct weir_progress *p);
/* Its usage and error, and what of it goes on. */
struct weir_verdict weir_openai_event(const struct weir_dialect_event *e, struct weir_progress *p);

#endif
