/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - POST /v1/chat/completions with a prompt of plain English words. */
#include "loadgen/request.h"

#include "base/mem.h"

enum {
    TEXT_EXTRA_BYTES = 65536, /* so that slices of the longest prompt differ too */
    FRAME_BYTES = 4096,       /* a request without its prompt is shorter than this */
    TAIL_BYTES = 256,
    CHAT_TOKENS = 7, /* that one message costs beside its text, and a word that is cut */
};

/* One token each in OpenAI's encodings, with the space before it, and three letters on average: so
 * an exact count and an estimate by bytes come to the same. */
static const char *const words[] = {
    "the",  "of",    "and",   "to",   "in",   "is",   "it",  "for", "on",  "with",
    "as",   "at",    "by",    "from", "that", "have", "not", "are", "was", "river",
    "time", "year",  "water", "good", "new",  "work", "all", "one", "out", "so",
    "up",   "who",   "if",    "more", "when", "can",  "you", "day", "way", "old",
    "see",  "under", "light", "an",   "or",   "we",   "be",  "no",  "my",
};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

size_t weir_load_text_bytes(uint64_t tokens)
{
    return (size_t)(tokens * 4);
}

static void fill_text(struct weir_load_request *r)
{
    size_t at = 0;
    while (at < r->_text_len) {
        const char *word = words[weir_rand_below(&r->_rand, WORDS)];
        size_t len = strlen(word);
        size_t room = r->_text_len - at;
        memcpy(r->_text + at, word, len < room ? len : room);
        at += len;
        if (at < r->_text_len) {
            r->_text[at++] = ' ';
        }
    }
}

enum weir_err weir_load_request_init(struct weir_load_request *r, const struct weir_load_options *o)
{
    *r = (struct weir_load_request){._o = o};
    weir_rand_init(&r->_rand, o->seed);
    size_t longest = weir_load_text_bytes(o->prompt_tokens.high);
    weir_buf_init(&r->_head, FRAME_BYTES);
    weir_buf_init(&r->_tail, TAIL_BYTES);
    weir_buf_init(&r->_out, longest + FRAME_BYTES);
    r->_text_len = longest + TEXT_EXTRA_BYTES;
    r->_text = weir_zalloc(r->_text_len);
    if (r->_text == NULL || !weir_buf_reserve(&r->_tail, TAIL_BYTES) ||
        !weir_buf_reserve(&r->_out, longest + FRAME_BYTES)) {
        return WEIR_ERR_NOMEM;
    }
    fill_text(r);
    WEIR_BUF_LIT(&r->_head, "{\"model\":");
    weir_buf_json(&r->_head, o->model);
    WEIR_BUF_LIT(&r->_head, ",\"messages\":[{\"role\":\"user\",\"content\":\"");
    return r->_head.failed ? WEIR_ERR_NOMEM : WEIR_OK;
}

void weir_load_request_deinit(struct weir_load_request *r)
{
    weir_free(r->_text);
    r->_text = NULL;
    weir_buf_deinit(&r->_head);
    weir_buf_deinit(&r->_tail);
    weir_buf_deinit(&r->_out);
}

static uint64_t pick(struct weir_load_request *r, struct weir_load_range range)
{
    uint64_t choices = range.high - range.low + 1;
    return choices == 1 ? range.low : range.low + weir_rand_below(&r->_rand, choices);
}

/* The maximum of an application is written into it: its requests all ask for the same. */
static uint64_t maximum_of_key(const struct weir_load_options *o, uint32_t key)
{
    struct weir_load_range range = o->max_tokens;
    return range.low + weir_mix64(weir_mix64(o->seed) ^ key) % (range.high - range.low + 1);
}

static uint64_t maximum(struct weir_load_request *r, uint32_t key, const struct weir_trace_row *row)
{
    if (row == NULL) {
        return pick(r, r->_o->max_tokens);
    }
    if (r->_o->asking == WEIR_LOAD_ASK_EXACT) {
        return row->output_tokens > 0 ? row->output_tokens : 1; /* 0 is no maximum */
    }
    return maximum_of_key(r->_o, key);
}

/* What follows the prompt. A record needs the usage of streams, too. */
static void make_tail(struct weir_load_request *r, uint32_t key, const struct weir_trace_row *row)
{
    const struct weir_load_options *o = r->_o;
    struct weir_buf *b = &r->_tail;
    weir_buf_reset(b);
    WEIR_BUF_LIT(b, "\"}]");
    if (o->asking != WEIR_LOAD_ASK_NONE) {
        WEIR_BUF_LIT(b, ",\"max_tokens\":");
        weir_buf_u64(b, maximum(r, key, row));
    }
    if (row != NULL) { /* read by mock models */
        WEIR_BUF_LIT(b, ",\"metadata\":{\"mock_output_tokens\":\"");
        weir_buf_u64(b, row->output_tokens);
        WEIR_BUF_LIT(b, "\"}");
    }
    if (o->stream) {
        WEIR_BUF_LIT(b, ",\"stream\":true");
    }
    if (o->stream && o->record != NULL) {
        WEIR_BUF_LIT(b, ",\"stream_options\":{\"include_usage\":true}");
    }
    WEIR_BUF_LIT(b, "}");
}

static uint64_t text_tokens(struct weir_load_request *r, const struct weir_trace_row *row)
{
    if (row == NULL) {
        return pick(r, r->_o->prompt_tokens);
    }
    return row->input_tokens > CHAT_TOKENS ? row->input_tokens - CHAT_TOKENS : 1;
}

struct weir_str weir_load_request_make(struct weir_load_request *r, uint32_t target, uint32_t key,
                                       const struct weir_trace_row *row)
{
    const struct weir_load_options *o = r->_o;
    struct weir_buf *out = &r->_out;
    size_t text_len = weir_load_text_bytes(text_tokens(r, row));
    const char *text = r->_text + weir_rand_below(&r->_rand, r->_text_len - text_len + 1);
    make_tail(r, key, row);

    weir_buf_reset(out);
    WEIR_BUF_LIT(out, "POST /v1/chat/completions HTTP/1.1\r\nHost: ");
    weir_buf_str(out, o->target[target].authority);
    WEIR_BUF_LIT(out, "\r\nAuthorization: Bearer ");
    weir_load_key(o, key, out);
    WEIR_BUF_LIT(out, "\r\nContent-Type: application/json\r\nContent-Length: ");
    weir_buf_u64(out, r->_head.len + text_len + r->_tail.len);
    WEIR_BUF_LIT(out, "\r\n\r\n");
    weir_buf_str(out, weir_buf_view(&r->_head));
    weir_buf_append(out, text, text_len);
    weir_buf_str(out, weir_buf_view(&r->_tail));
    WEIR_ASSERT(!out->failed && !r->_tail.failed); /* their full sizes were reserved at the start */
    return weir_buf_view(out);
}
