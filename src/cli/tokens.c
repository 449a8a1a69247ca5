/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.c - counts the tokens of files, and makes the file of token data that all counting uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/start.h"
#include "cli/token_data.h"
#include "tokens/pack.h"
#include "tokens/tokens.h"

static const char help[] =
    "usage: weir tokens [--encoding NAME | --model NAME] [--lines] FILE...\n"
    "       weir tokens --pack OUT NAME=FILE...\n\n"
    "Prints how many tokens each FILE has, a text in UTF-8; - is the standard input.\n\n"
    "  --encoding NAME  o200k_base (the default) or cl100k_base\n"
    "  --model NAME     count as this model does; a model whose encoding is not known: an "
    "estimate\n"
    "  --data PATH      the token data (default: weir.tokens beside the program)\n"
    "  --lines          each line of a FILE is a JSON string: a count for each\n"
    "  --pack OUT       write token data to OUT, from lists of ranks as tiktoken has them\n"
    "  --help           this text\n\n"
    "Exit codes: 0 counted, 1 something could not be read or written, 2 a wrong argument.\n";

enum { FILE_BYTES_MAX = 1 << 30, READ_BYTES = 1 << 16 };

struct arguments {
    const char *encoding, *model; /* not both */
    const char *data, *pack;
    bool lines;
    char **file;
    int files;
};

static bool refuse(const char *text)
{
    fprintf(stderr, "weir tokens: %s; see weir tokens --help\n", text);
    return false;
}

#define AT(field) .at = offsetof(struct arguments, field)
static const struct weir_flag table[] = {
    {"encoding", weir_flag_text, AT(encoding)}, {"model", weir_flag_text, AT(model)},
    {"data", weir_flag_text, AT(data)},         {"lines", weir_flag_set, AT(lines), .bare = true},
    {"pack", weir_flag_text, AT(pack)},
};

static const struct weir_flags flags = {.flag = table,
                                        .count = sizeof(table) / sizeof(table[0]),
                                        .command = "weir tokens",
                                        .operand = "at least one FILE",
                                        .operands_min = 1,
                                        .operands_max = INT_MAX};

static enum weir_flags_end read_arguments(int argc, char **argv, struct arguments *ret)
{
    enum weir_flags_end end = weir_start_flags(&flags, argc, argv, ret, &ret->files);
    ret->file = argv + 1;
    if (end == WEIR_FLAGS_READ && ret->encoding != NULL && ret->model != NULL) {
        refuse("expected --encoding or --model, not both");
        return WEIR_FLAGS_WRONG;
    }
    return end;
}

/* ---- reading ---- */

static bool read_all(int fd, struct weir_buf *ret_text)
{
    for (;;) {
        if (!weir_buf_reserve(ret_text, READ_BYTES)) {
            errno = ret_text->len + READ_BYTES > ret_text->max ? EFBIG : ENOMEM;
            return false;
        }
        ssize_t n = read(fd, ret_text->data + ret_text->len, ret_text->room - ret_text->len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n == 0) {
            return true;
        }
        ret_text->len += n > 0 ? (size_t)n : 0;
    }
}

static bool cannot(const char *what, const char *path, const char *why)
{
    fprintf(stderr, "weir tokens: cannot %s %s: %s\n", what, path, why);
    return false;
}

/* False: said why. The text is to be freed in both cases. */
static bool read_file(const char *path, struct weir_buf *ret_text)
{
    weir_buf_init(ret_text, FILE_BYTES_MAX);
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return cannot("read", path, strerror(errno));
    }
    bool good = read_all(fd, ret_text) || cannot("read", path, strerror(errno));
    if (fd != STDIN_FILENO) {
        close(fd);
    }
    return good;
}

/* ---- counting ---- */

static bool count_lines(const struct weir_encoding *e, const char *path, struct weir_str text)
{
    bool good = true;
    struct weir_json j;
    struct weir_buf space;
    uint64_t line = 0;
    weir_json_init(&j);
    weir_buf_init(&space, FILE_BYTES_MAX);
    for (size_t at = 0; good && at < text.len;) {
        const char *newline = memchr(text.p + at, '\n', text.len - at);
        size_t past = newline == NULL ? text.len : (size_t)(newline - text.p);
        struct weir_str s = weir_str(text.p + at, past - at);
        at = past + 1;
        line++;
        if (weir_json_parse(&j, s) != WEIR_OK || weir_json_root(&j)->kind != WEIR_JSON_STRING) {
            fprintf(stderr, "weir tokens: %s:%llu: expected a JSON string\n", path,
                    (unsigned long long)line);
            good = false;
            break;
        }
        weir_buf_reset(&space);
        s = weir_json_string(&j, weir_json_root(&j), &space);
        good = !space.failed || cannot("read", path, "out of memory");
        printf("%llu\n", (unsigned long long)weir_tokens_count(e, s));
    }
    weir_buf_deinit(&space);
    weir_json_deinit(&j);
    return good;
}

static bool count_text(const struct weir_encoding *e, const char *path, struct weir_str text,
                       bool with_path)
{
    if (!weir_utf8_valid(text)) {
        return cannot("count", path, "it is not UTF-8");
    }
    unsigned long long tokens = weir_tokens_count(e, text);
    printf(with_path ? "%llu %s\n" : "%llu\n", tokens, path);
    return true;
}

static bool count_file(const struct arguments *a, const struct weir_encoding *e, const char *path)
{
    struct weir_buf text;
    bool good = read_file(path, &text) &&
                (a->lines ? count_lines(e, path, weir_buf_view(&text))
                          : count_text(e, path, weir_buf_view(&text), a->files > 1));
    weir_buf_deinit(&text);
    return good;
}

/* The encoding that was asked for; NULL: to be estimated. False: said why there is none. */
static bool choose(const struct arguments *a, const struct weir_vocabulary *v,
                   const struct weir_encoding **ret_encoding)
{
    const char *name = a->encoding == NULL ? "o200k_base" : a->encoding;
    if (a->model != NULL) {
        *ret_encoding = weir_vocabulary_for_model(v, weir_str_z(a->model));
        if (*ret_encoding == NULL) {
            fprintf(stderr, "weir tokens: the encoding of model %s is not known: estimated\n",
                    a->model);
        }
        return true;
    }
    *ret_encoding = weir_vocabulary_encoding(v, weir_str_z(name));
    if (*ret_encoding == NULL) {
        fprintf(stderr, "weir tokens: the token data has no encoding %s; it has", name);
        for (size_t i = 0; i < v->encodings; i++) {
            fprintf(stderr, " %s", v->encoding[i].name);
        }
        fprintf(stderr, "\n");
    }
    return *ret_encoding != NULL;
}

static int count(const struct arguments *a)
{
    struct weir_vocabulary *v = NULL;
    const struct weir_encoding *e = NULL;
    char why[WEIR_TOKEN_DATA_ERROR_BYTES];
    bool must = a->encoding != NULL || a->data != NULL; /* an estimate is not what was asked for */
    enum weir_err err = weir_token_data_open(a->data, &v, why);
    if (err != WEIR_OK) {
        bool none = err == WEIR_ERR_NOT_FOUND && !must;
        fprintf(stderr, "weir tokens: %s%s\n", why, none ? ": estimated" : "");
        if (!none) {
            return WEIR_EXIT_FAILED;
        }
    }
    bool good = v == NULL || choose(a, v, &e);
    int code = good ? WEIR_EXIT_OK : WEIR_EXIT_USAGE;
    for (int i = 0; good && i < a->files; i++) {
        code = count_file(a, e, a->file[i]) ? code : WEIR_EXIT_FAILED;
    }
    weir_vocabulary_free(v);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        cannot("write", "the counts", strerror(errno));
        code = WEIR_EXIT_FAILED;
    }
    return code;
}

/* ---- packing ---- */

/* Whole or not at all: it is mapped by programs that run. */
static bool write_whole(const char *path, struct weir_str bytes)
{
    char other[4096];
    int n = snprintf(other, sizeof(other), "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof(other)) {
        return cannot("write", path, "its path is too long");
    }
    FILE *file = fopen(other, "we");
    if (file == NULL) {
        return cannot("write", other, strerror(errno));
    }
    bool good = fwrite(bytes.p, 1, bytes.len, file) == bytes.len;
    good = fclose(file) == 0 && good && rename(other, path) == 0;
    if (!good) {
        cannot("write", path, strerror(errno));
        unlink(other);
    }
    return good;
}

static bool read_ranks(const char *path, struct weir_ranks *ret_ranks)
{
    struct weir_buf text;
    size_t line = 0;
    if (!read_file(path, &text)) {
        weir_buf_deinit(&text);
        return false;
    }
    enum weir_err err = weir_ranks_read(weir_buf_view(&text), ret_ranks, &line);
    if (err == WEIR_ERR_INVALID) {
        fprintf(stderr, "weir tokens: %s:%zu: expected a token in base64, a blank and its rank\n",
                path, line);
    } else if (err != WEIR_OK) {
        cannot("read", path, weir_err_name(err));
    }
    weir_buf_deinit(&text);
    return err == WEIR_OK;
}

/* Of "NAME=FILE": the name, and *ret_path. False: said what is wrong. */
static bool parse_source(char *argument, struct weir_pack_source *ret, const char **ret_path)
{
    const char *equals = strchr(argument, '=');
    size_t len = equals == NULL ? 0 : (size_t)(equals - argument);
    *ret = (struct weir_pack_source){.name = weir_str(argument, len)};
    if (weir_str_eq(ret->name, WEIR_STR("o200k_base"))) {
        ret->rule = WEIR_SPLIT_O200K;
    } else if (weir_str_eq(ret->name, WEIR_STR("cl100k_base"))) {
        ret->rule = WEIR_SPLIT_CL100K;
    } else {
        return refuse("expected o200k_base=FILE or cl100k_base=FILE after --pack OUT");
    }
    *ret_path = equals + 1;
    return true;
}

static bool pack_to(const char *path, const struct weir_pack_source *source, size_t sources)
{
    struct weir_buf file;
    weir_buf_init(&file, WEIR_VOCABULARY_BYTES_MAX);
    enum weir_err err = weir_pack(source, sources, &file);
    const char *why =
        err == WEIR_ERR_INVALID
            ? "a list lacks a byte, has a token twice or one that merging does not make"
            : weir_err_name(err);
    bool good =
        err == WEIR_OK ? write_whole(path, weir_buf_view(&file)) : cannot("pack", path, why);
    weir_buf_deinit(&file);
    return good;
}

static int pack(const struct arguments *a)
{
    struct weir_ranks ranks[WEIR_ENCODINGS_MAX] = {0};
    struct weir_pack_source source[WEIR_ENCODINGS_MAX];
    const char *path[WEIR_ENCODINGS_MAX];
    if (a->files > WEIR_ENCODINGS_MAX) {
        refuse("too many encodings");
        return WEIR_EXIT_USAGE;
    }
    for (int i = 0; i < a->files; i++) {
        if (!parse_source(a->file[i], &source[i], &path[i])) {
            return WEIR_EXIT_USAGE;
        }
    }
    bool good = true;
    for (int i = 0; good && i < a->files; i++) {
        good = read_ranks(path[i], &ranks[i]);
        source[i].token = ranks[i].token;
        source[i].tokens = ranks[i].tokens;
    }
    good = good && pack_to(a->pack, source, (size_t)a->files);
    for (int i = 0; i < WEIR_ENCODINGS_MAX; i++) {
        weir_ranks_deinit(&ranks[i]);
    }
    return good ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
}

int weir_cmd_tokens(int argc, char **argv)
{
    struct arguments arguments = {0};
    enum weir_flags_end end = read_arguments(argc, argv, &arguments);
    if (end != WEIR_FLAGS_READ) {
        return weir_start_help(end, help);
    }
    return arguments.pack != NULL ? pack(&arguments) : count(&arguments);
}
