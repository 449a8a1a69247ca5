/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers of every dialect; the first byte says which. A refusal names a field and is
 * UTF-8, what is taken is in bounds, and an edited request asks for its usage and is else the same.
 * An answer says the same however it is cut. Seeds: fuzz_dialect/. */
#include <stdlib.h>

#include "base/utf8.h"
#include "limit/meter.h"
#include "service/answer_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct weir_counting counting; /* estimates */
static struct weir_json json;
static struct weir_buf space;

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

static const struct weir_dialect *const dialects[8] = {
    &weir_dialect_chat,     &weir_dialect_completions,     &weir_dialect_responses,
    &weir_dialect_messages, &weir_dialect_count,           &weir_dialect_embeddings,
    &weir_dialect_other,    &weir_dialect_other_anthropic,
};

/* ---- requests ---- */

static void check_edit(const struct weir_dialect *d, struct weir_str body,
                       const struct weir_dialect_request *r)
{
    struct weir_dialect_request edited;
    struct weir_dialect_refusal why;
    struct weir_buf b;
    uint64_t input_tokens = r->input_tokens, output_max = r->output_max, hash = r->prompt_hash;
    weir_buf_init(&b, body.len + 64);
    check(r->stream && !r->include_usage && r->edit.at + r->edit.cut <= body.len);
    weir_edit_apply(&r->edit, body, &b);
    enum weir_err err =
        weir_dialect_read(d, &json, &space, counting, weir_buf_view(&b), &edited, &why);
    check(err == WEIR_OK && edited.include_usage && edited.edit.put.len == 0);
    check(edited.input_tokens == input_tokens && edited.output_max == output_max &&
          edited.prompt_hash == hash);
    weir_buf_deinit(&b);
}

static void read_request(const struct weir_dialect *d, struct weir_str body)
{
    struct weir_dialect_request r;
    struct weir_dialect_refusal why;
    if (weir_dialect_read(d, &json, &space, counting, body, &r, &why) == WEIR_OK) {
        check((r.model.len >= 1 || d->any_method) && r.model.len <= WEIR_MODEL_MAX &&
              weir_utf8_valid(r.model));
        check(r.choices >= 1 && weir_output_reserved(&r, WEIR_AMOUNT_MAX) <= WEIR_AMOUNT_MAX / 2);
        /* never more than the bytes, an image's constant aside */
        check(r.input_tokens <= 6 + 50000 * body.len); /* an image of gpt-4o-mini */
        check(r.text_tokens <= r.input_tokens);
        if (r.edit.put.len > 0) {
            check_edit(d, body, &r);
        }
    } else {
        check(strlen(why.text) > 0 && weir_utf8_valid(weir_str_z(why.text)));
        check(strncmp(why.text, why.param, strlen(why.param)) == 0);
    }
}

/* ---- answers ---- */

static void pass(void *ctx, struct weir_str bytes)
{
    check(bytes.len > 0);
    weir_buf_str(ctx, bytes);
}

static struct weir_progress read_cut(const struct weir_dialect *d, enum weir_answer_form form,
                                     bool hide_usage, struct weir_str answer, size_t piece,
                                     struct weir_buf *passed)
{
    struct weir_answer_reader a;
    weir_answer_reader_init(&a, d, form, WEIR_STR("m"), hide_usage);
    weir_buf_reset(passed);
    while (answer.len > 0) {
        size_t len = piece < answer.len ? piece : answer.len;
        weir_answer_reader_feed(&a, weir_str(answer.p, len), &json, &space, pass, passed);
        answer = weir_str(answer.p + len, answer.len - len);
    }
    weir_answer_reader_end(&a, &json, &space, pass, passed);
    weir_answer_reader_deinit(&a);
    check(!passed->failed);
    return a.progress;
}

static bool same(const struct weir_progress *a, const struct weir_progress *b)
{
    return memcmp(&a->used, &b->used, sizeof(a->used)) == 0 &&
           a->produced_tokens == b->produced_tokens && a->produced_bytes == b->produced_bytes &&
           a->reported_at == b->reported_at && a->failed == b->failed && a->ended == b->ended;
}

static void read_answer(const struct weir_dialect *d, enum weir_answer_form form, bool hide_usage,
                        struct weir_str answer, size_t piece)
{
    struct weir_buf whole_passed, passed;
    weir_buf_init(&whole_passed, answer.len);
    weir_buf_init(&passed, answer.len);
    struct weir_progress whole = read_cut(d, form, hide_usage, answer, answer.len, &whole_passed);
    struct weir_progress pieces = read_cut(d, form, hide_usage, answer, piece, &passed);
    check(same(&whole, &pieces));
    check(weir_str_eq(weir_buf_view(&whole_passed), weir_buf_view(&passed)));
    check(hide_usage || weir_str_eq(weir_buf_view(&passed), answer));
    check(whole.reported_at <= whole.produced_tokens);
    weir_buf_deinit(&whole_passed);
    weir_buf_deinit(&passed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > WEIR_EVENT_MAX / 2) {
        return 0;
    }
    const struct weir_dialect *d = dialects[data[0] % 8];
    struct weir_str text = weir_str((const char *)data + 2, size - 2);
    weir_buf_init(&space, 1 << 20);
    if ((data[0] & 8) == 0) {
        read_request(d, text);
    } else {
        read_answer(d, (data[0] & 16) != 0 ? WEIR_ANSWER_JSON : WEIR_ANSWER_EVENTS,
                    (data[0] & 32) != 0, text, 1 + data[1] % 32);
    }
    weir_buf_deinit(&space);
    weir_json_deinit(&json);
    return 0;
}
