/* SPDX-License-Identifier: Apache-2.0 */
#include "service/dialect.h"

#include <xxhash.h>

#include "limit/meter.h"
#include "service/dialect_read.h"

enum { SPACE_KEEP_BYTES = 64 * 1024 };

static const struct weir_dialect *const dialects[] = {
    &weir_dialect_chat,       &weir_dialect_messages,    &weir_dialect_responses,
    &weir_dialect_embeddings, &weir_dialect_completions, &weir_dialect_count,
};

static unsigned hex_of(char c)
{
    return c >= '0' && c <= '9'                 ? (unsigned)(c - '0')
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10)
                                                : 16;
}

/* Whether an upstream may take it for this path, whatever its spelling: escapes, case, slashes that
 * are there twice or at the end. Another dialect would be a way around the limits. */
static bool path_is(struct weir_str path, struct weir_str known)
{
    size_t at = 0;
    char last = '\0';
    for (size_t i = 0; i < path.len;) {
        char c = path.p[i];
        size_t len = 1;
        if (c == '%' && path.len - i >= 3 && hex_of(path.p[i + 1]) < 16 &&
            hex_of(path.p[i + 2]) < 16) {
            c = (char)(hex_of(path.p[i + 1]) * 16 + hex_of(path.p[i + 2]));
            len = 3;
        }
        i += len;
        bool extra = c == '/' && (last == '/' || at == known.len);
        last = c;
        if (extra) {
            continue;
        }
        c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        if (at == known.len || c != known.p[at++]) {
            return false;
        }
    }
    return at == known.len;
}

const struct weir_dialect *weir_dialect_of(struct weir_str path, bool anthropic)
{
    for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        if (path_is(path, dialects[i]->path)) {
            return dialects[i];
        }
    }
    return anthropic ? &weir_dialect_other_anthropic : &weir_dialect_other;
}

/* What is no object: only where anything passes it is taken, as one that says nothing. */
static enum weir_err refuse_body(const struct weir_dialect *d, enum weir_err err,
                                 struct weir_dialect_request *ret_request,
                                 struct weir_dialect_refusal *ret_refusal)
{
    if (d->any_method) {
        *ret_request = (struct weir_dialect_request){.choices = 1, .no_output = true};
        return WEIR_OK;
    }
    *ret_refusal = (struct weir_dialect_refusal){0};
    snprintf(ret_refusal->text, sizeof(ret_refusal->text),
             "We could not parse the JSON body of your request: expected %s.",
             err == WEIR_ERR_LIMIT ? "fewer values, or fewer of them within each other"
                                   : "an object in UTF-8");
    return WEIR_ERR_INVALID;
}

/* What is too large to charge, no limit allows. */
static uint64_t for_each(uint64_t output, uint32_t choices)
{
    const uint64_t most = WEIR_AMOUNT_MAX / 2;
    return __builtin_mul_overflow(output, choices, &output) || output > most ? most : output;
}

uint64_t weir_output_reserved(const struct weir_dialect_request *r, uint64_t plan_default)
{
    if (r->no_output) {
        return 0;
    }
    return r->output_max > 0 ? r->output_max : for_each(plan_default, r->choices);
}

enum weir_err weir_dialect_read(const struct weir_dialect *d, struct weir_json *j,
                                struct weir_buf *space, struct weir_counting counting,
                                struct weir_str body, struct weir_dialect_request *ret_request,
                                struct weir_dialect_refusal *ret_refusal)
{
    struct weir_reading g = {
        .j = j, .space = space, .counting = counting, .refusal = ret_refusal, .r.choices = 1};
    weir_buf_recycle(space, SPACE_KEEP_BYTES);
    enum weir_err err = weir_json_parse(j, body);
    if (err == WEIR_ERR_NOMEM) {
        return err;
    }
    if (err != WEIR_OK || weir_json_root(j)->kind != WEIR_JSON_OBJECT) {
        return refuse_body(d, err, ret_request, ret_refusal);
    }
    if (!d->read(&g)) {
        return WEIR_ERR_INVALID;
    }
    if (g.model != NULL) { /* the last text that is asked for: it stays */
        weir_buf_reset(space);
        g.r.model = weir_json_string(j, g.model, space);
        g.no_memory |= space->failed;
        g.r.prompt_hash ^= XXH3_64bits(g.r.model.p, g.r.model.len);
    }
    if (g.no_memory) {
        return WEIR_ERR_NOMEM;
    }
    g.r.exact = g.counter.exact;
    g.r.output_max = for_each(g.r.output_max, g.r.choices);
    *ret_request = g.r;
    return WEIR_OK;
}

void weir_edit_apply(const struct weir_edit *e, struct weir_str body, struct weir_buf *b)
{
    weir_buf_append(b, body.p, e->at);
    weir_buf_str(b, e->put);
    weir_buf_append(b, body.p + e->at + e->cut, body.len - e->at - e->cut);
}
