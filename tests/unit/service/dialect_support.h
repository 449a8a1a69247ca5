/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of any dialect, and answers in pieces of each length. Included by one test program at a
 * time. */
#ifndef WEIR_TESTS_DIALECT_SUPPORT_H
#define WEIR_TESTS_DIALECT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "service/answer_reader.h"

/* What the readers work in. */
static const struct weir_counting counting; /* estimates */
static struct weir_json json;
static struct weir_buf space;

static inline struct weir_dialect_request taken(const struct weir_dialect *d, const char *body)
{
    struct weir_dialect_request r;
    struct weir_dialect_refusal why;
    if (weir_dialect_read(d, &json, &space, counting, weir_str_z(body), &r, &why) != WEIR_OK) {
        fail_msg("refused: %s: %s", body, why.text);
    }
    return r;
}

static inline void refused(const struct weir_dialect *d, const char *body, const char *param)
{
    struct weir_dialect_request r;
    struct weir_dialect_refusal why;
    if (weir_dialect_read(d, &json, &space, counting, weir_str_z(body), &r, &why) !=
        WEIR_ERR_INVALID) {
        fail_msg("taken: %s", body);
    }
    assert_string_equal(why.param, param);
    assert_memory_equal(why.text, param, strlen(param)); /* the sentence begins with the field */
}

static inline void append(void *ctx, struct weir_str bytes)
{
    assert_true(bytes.len > 0);
    weir_buf_str(ctx, bytes);
}

/* Reads an answer in pieces of one length; what went on must be `passed`. */
static inline struct weir_progress read_pieces(const struct weir_dialect *d,
                                               enum weir_answer_form form, bool hide_usage,
                                               struct weir_str answer, size_t piece,
                                               struct weir_str passed)
{
    struct weir_answer_reader a;
    struct weir_buf got;
    weir_buf_init(&got, 1 << 24);
    weir_answer_reader_init(&a, d, form, WEIR_STR("m"), hide_usage);
    for (size_t at = 0, len; at < answer.len; at += len) {
        len = piece < answer.len - at ? piece : answer.len - at;
        weir_answer_reader_feed(&a, weir_str(answer.p + at, len), &json, &space, append, &got);
        assert_true(hide_usage || got.len == at + len); /* nothing stays behind */
    }
    weir_answer_reader_end(&a, &json, &space, append, &got);
    if (!weir_str_eq(weir_buf_view(&got), passed)) {
        fail_msg("pieces of %zu: %.*s", piece, (int)got.len, got.data);
    }
    weir_buf_deinit(&got);
    weir_answer_reader_deinit(&a);
    return a.progress;
}

/* The same in pieces of any length. */
static inline struct weir_progress read_answer(const struct weir_dialect *d,
                                               enum weir_answer_form form, bool hide_usage,
                                               const char *answer, const char *passed)
{
    struct weir_str text = weir_str_z(answer);
    struct weir_progress whole =
        read_pieces(d, form, hide_usage, text, text.len, weir_str_z(passed));
    for (size_t piece = 1; piece < text.len; piece++) {
        struct weir_progress p = read_pieces(d, form, hide_usage, text, piece, weir_str_z(passed));
        assert_memory_equal(&p.used, &whole.used, sizeof(p.used));
        assert_int_equal(p.produced_tokens, whole.produced_tokens);
        assert_int_equal(p.produced_bytes, whole.produced_bytes);
        assert_int_equal(p.failed, whole.failed);
        assert_int_equal(p.ended, whole.ended);
    }
    return whole;
}

/* A stream that goes on as it is. */
static inline struct weir_progress read_stream(const struct weir_dialect *d, const char *stream)
{
    return read_answer(d, WEIR_ANSWER_EVENTS, false, stream, stream);
}

static inline struct weir_progress read_whole(const struct weir_dialect *d, const char *answer)
{
    return read_answer(d, WEIR_ANSWER_JSON, false, answer, answer);
}

static inline void expect_used(const struct weir_progress *p, uint64_t input, uint64_t cached,
                               uint64_t written, uint64_t output)
{
    assert_true(p->used.input_known && p->used.output_known);
    assert_int_equal(p->used.input_tokens, input);
    assert_int_equal(p->used.cached_tokens, cached);
    assert_int_equal(p->used.cache_write_tokens, written);
    assert_int_equal(p->used.output_tokens, output);
}

static inline int support_begin(void **state)
{
    (void)state;
    weir_buf_init(&space, 1 << 20);
    return 0;
}

static inline int support_end(void **state)
{
    (void)state;
    weir_json_deinit(&json);
    weir_buf_deinit(&space);
    return 0;
}

#endif
