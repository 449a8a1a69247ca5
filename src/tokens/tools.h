/* SPDX-License-Identifier: Apache-2.0 */
/* tools.h - what the functions that a chat request offers cost OpenAI's models: they are told as
 * declarations of TypeScript, which is not documented but found by measuring (npm: gpt-tokenizer,
 * openai-chat-tokens). Pure. */
#ifndef WEIR_TOKENS_TOOLS_H
#define WEIR_TOKENS_TOOLS_H

#include "base/json.h"
#include "tokens/memory.h"

enum { WEIR_TOKENS_PER_FUNCTIONS = 9 }; /* once for all of them, beside the text */

/* Tokens of a list of tools ({"type": "function", "function": ...}) or of functions. False: it is
 * no such list, it would make more than some megabytes, or there is no space. memory: of texts that
 * were counted before, may be NULL. */
bool weir_tools_tokens(const struct weir_encoding *e, struct weir_token_memory *memory,
                       const struct weir_json *j, const struct weir_json_node *list,
                       uint64_t *ret_tokens);

#endif
