/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - POST /v1/chat/completions with a prompt of plain English words. */
#include "loadgen/request.h"

#include "base/mem.h"

enum {
    TEXT_EXTRA_BYTES = 65536, /* so that slices of the longest prompt differ too */
    FRAME_BYTES = 4096,       /* a request without its prompt is shorter than this */
};

static const char *const words[] = {
    "the",     "of",    "and",   "water",  "people", "about",   "before",  "number", "in",
    "is",      "that",  "house", "market", "city",   "explain", "letter",  "paper",  "small",
    "great",   "to",    "for",   "with",   "they",   "from",    "because", "time",   "year",
    "through", "where", "much",  "good",   "new",    "work",    "school",  "system", "question",
    "river",   "under", "order", "light",  "on",     "at",      "by",      "this",   "have",
};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

size_t weir_load_text_bytes(uint64_t tokens)
{
    return (size_t)((tokens * 42 + 9) / 10);
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
    weir_buf_init(&r->_out, longest + FRAME_BYTES);
    r->_text_len = longest + TEXT_EXTRA_BYTES;
    r->_text = weir_zalloc(r->_text_len);
    if (r->_text == NULL || !weir_buf_reserve(&r->_out, longest + FRAME_BYTES)) {
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
    weir_buf_deinit(&r->_out);
}

static uint64_t pick(struct weir_load_request *r, struct weir_load_range range)
{
    uint64_t choices = range.high - range.low + 1;
    return choices == 1 ? range.low : range.low + weir_rand_below(&r->_rand, choices);
}

static size_t digits(uint64_t n)
{
    size_t count = 1;
    for (; n >= 10; n /= 10) {
        count++;
    }
    return count;
}

/* What follows max_tokens. A record needs the usage of streams, too. */
static struct weir_str end_of(const struct weir_load_options *o)
{
    if (!o->stream) {
        return WEIR_STR("}");
    }
    return o->record == NULL
               ? WEIR_STR(",\"stream\":true}")
               : WEIR_STR(",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
}

struct weir_str weir_load_request_make(struct weir_load_request *r, uint32_t target, uint32_t key)
{
    const struct weir_load_options *o = r->_o;
    struct weir_buf *out = &r->_out;
    size_t text_len = weir_load_text_bytes(pick(r, o->prompt_tokens));
    const char *text = r->_text + weir_rand_below(&r->_rand, r->_text_len - text_len + 1);
    uint64_t max_tokens = pick(r, o->max_tokens);
    const struct weir_str after_text = WEIR_STR("\"}],\"max_tokens\":");
    const struct weir_str end = end_of(o);

    weir_buf_reset(out);
    WEIR_BUF_LIT(out, "POST /v1/chat/completions HTTP/1.1\r\nHost: ");
    weir_buf_str(out, o->target[target].authority);
    WEIR_BUF_LIT(out, "\r\nAuthorization: Bearer ");
    weir_load_key(o, key, out);
    WEIR_BUF_LIT(out, "\r\nContent-Type: application/json\r\nContent-Length: ");
    weir_buf_u64(out, r->_head.len + text_len + after_text.len + digits(max_tokens) + end.len);
    WEIR_BUF_LIT(out, "\r\n\r\n");
    weir_buf_str(out, weir_buf_view(&r->_head));
    weir_buf_append(out, text, text_len);
    weir_buf_str(out, after_text);
    weir_buf_u64(out, max_tokens);
    weir_buf_str(out, end);
    WEIR_ASSERT(!out->failed); /* its full size was reserved at the start */
    return weir_buf_view(out);
}
