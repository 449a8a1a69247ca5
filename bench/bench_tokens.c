/* SPDX-License-Identifier: Apache-2.0 */
/* bench_tokens.c - how fast the tokens of a text are counted, on one thread. Prints JSON: for each
 * FILE its bytes, its tokens and the MB/s of the median run; and of a conversation, of 100 messages
 * of 2000 bytes of it, the microseconds in which all are counted once one more has come, with and
 * without a memory of the others (tokens/memory.h), and those of one message.
 *
 *   bench_tokens DATA ENCODING MS FILE...     each file is counted for MS ms, in runs of at least 2
 * ms */
#include <errno.h>
#include <inttypes.h>

#include "base/buf.h"
#include "tokens/memory.h"

enum {
    RUNS_MAX = 10000,
    RUN_NS = 2000000,
    FILE_BYTES_MAX = 64 << 20,
    MESSAGES = 100,
    MESSAGE_BYTES = 2000,
    TURNS = 30,
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* CPU time of this process: what else the machine does is not counted. */
static uint64_t cpu_ns(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* MB/s of one run. */
static double run(const struct weir_encoding *e, struct weir_str text, uint64_t *ret_tokens)
{
    uint64_t start_ns = cpu_ns(), bytes = 0, ns;
    do {
        *ret_tokens = weir_tokens_count(e, text);
        bytes += text.len;
        ns = cpu_ns() - start_ns;
    } while (ns < RUN_NS);
    return (double)bytes * 1e3 / (double)ns;
}

static double median(const struct weir_encoding *e, struct weir_str text, uint64_t ms,
                     uint64_t *ret_tokens)
{
    static double speed[RUNS_MAX];
    int runs = 0;
    run(e, text, ret_tokens); /* warm */
    uint64_t start_ns = cpu_ns();
    do {
        speed[runs++] = run(e, text, ret_tokens);
    } while (runs < RUNS_MAX && cpu_ns() - start_ns < ms * 1000000);
    qsort(speed, (size_t)runs, sizeof(speed[0]), by_value);
    return speed[runs / 2];
}

/* The i-th message of a conversation: of the text, and each another one. */
static struct weir_str message(struct weir_str text, uint64_t i)
{
    uint64_t at = i * 1009 * 7 % (text.len - MESSAGE_BYTES);
    return weir_str(text.p + at, MESSAGE_BYTES);
}

/* Microseconds of a turn: messages `first` to `last` are counted, where all but the last have been
 * before. */
static double turn(struct weir_token_memory *m, const struct weir_encoding *e, struct weir_str text,
                   uint64_t messages)
{
    uint64_t ns = 0, tokens = 0;
    for (uint64_t t = 0; t < TURNS; t++) {
        for (uint64_t i = t; i + 1 < t + messages; i++) {
            tokens += weir_token_memory_count(m, e, message(text, i));
        }
        uint64_t start_ns = cpu_ns();
        for (uint64_t i = t; i < t + messages; i++) {
            tokens += weir_token_memory_count(m, e, message(text, i));
        }
        ns += cpu_ns() - start_ns;
    }
    return tokens == 0 ? 0 : (double)ns / TURNS / 1e3;
}

static bool print_conversation(const struct weir_encoding *e, struct weir_str text)
{
    struct weir_token_memory *m;
    if (weir_token_memory_new(&m) != WEIR_OK) {
        return false;
    }
    double counted = turn(NULL, e, text, MESSAGES), remembered = turn(m, e, text, MESSAGES);
    printf(", \"conversation_us\": {\"counted\": %.1f, \"remembered\": %.1f, \"one\": %.1f}",
           counted, remembered, turn(NULL, e, text, 1));
    weir_token_memory_free(m);
    return true;
}

static bool read_file(const char *path, struct weir_buf *ret_text)
{
    weir_buf_init(ret_text, FILE_BYTES_MAX);
    FILE *file = fopen(path, "re");
    while (file != NULL && weir_buf_reserve(ret_text, 65536)) {
        size_t n = fread(ret_text->data + ret_text->len, 1, 65536, file);
        ret_text->len += n;
        if (n == 0) {
            break;
        }
    }
    bool good = file != NULL && ferror(file) == 0 && !ret_text->failed;
    if (file != NULL) {
        fclose(file);
    }
    return good;
}

int main(int argc, char **argv)
{
    struct weir_vocabulary *v;
    uint64_t ms;
    if (argc < 5 || weir_str_u64(weir_str_z(argv[3]), 600000, &ms) != WEIR_OK) {
        fprintf(stderr, "usage: bench_tokens DATA ENCODING MS FILE...\n");
        return 2;
    }
    if (weir_vocabulary_open(argv[1], &v) != WEIR_OK) {
        fprintf(stderr, "bench_tokens: cannot open %s\n", argv[1]);
        return 1;
    }
    const struct weir_encoding *e = weir_vocabulary_encoding(v, weir_str_z(argv[2]));
    if (e == NULL) {
        fprintf(stderr, "bench_tokens: there is no encoding %s\n", argv[2]);
        return 1;
    }
    printf("{");
    for (int i = 4; i < argc; i++) {
        struct weir_buf text;
        if (!read_file(argv[i], &text)) {
            fprintf(stderr, "bench_tokens: cannot read %s: %s\n", argv[i], strerror(errno));
            return 1;
        }
        uint64_t tokens;
        double speed = median(e, weir_buf_view(&text), ms, &tokens);
        printf("%s\"%s\": {\"bytes\": %zu, \"tokens\": %" PRIu64 ", \"mb_per_s\": %.1f",
               i == 4 ? "" : ", ", argv[i], text.len, tokens, speed);
        if (text.len > 2 * MESSAGE_BYTES && !print_conversation(e, weir_buf_view(&text))) {
            fprintf(stderr, "bench_tokens: out of memory\n");
            return 1;
        }
        printf("}");
        weir_buf_deinit(&text);
    }
    printf("}\n");
    weir_vocabulary_free(v);
    return 0;
}
