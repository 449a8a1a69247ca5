/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin_client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/start.h"
#include "config/config.h"

enum {
    ANSWER_MAX = 64 << 20,
    URL_MAX = 2048,
    CONNECT_MS = 5000,
    ANSWER_MS = 30000,
    UNAUTHORIZED = 401,
};

static const struct weir_str bearer = WEIR_STR_INIT("authorization: Bearer ");

/* ---- arguments ---- */

static bool add_many(const struct weir_flag_value *v)
{
    struct weir_admin_client *c = v->into;
    if (c->manys == WEIR_ADMIN_MANY_MAX) {
        snprintf(v->error, WEIR_FLAG_ERROR_BYTES, "--%s: expected at most %d", v->flag->name,
                 WEIR_ADMIN_MANY_MAX);
        return false;
    }
    c->many[c->manys++] = v->value;
    return true;
}

#define AT(field) .at = offsetof(struct weir_admin_client, field)
static enum weir_flags_end read_arguments(struct weir_admin_client *c, int argc, char **argv)
{
    enum { COMMON = 3 };
    struct weir_flag table[COMMON + WEIR_ADMIN_MORE_MAX + 2] = {
        {"admin", weir_flag_text, AT(url)},
        {"token-file", weir_flag_text, AT(token_file)},
        {"json", weir_flag_set, AT(as_json), .bare = true},
    };
    const struct weir_admin_command *of = c->of;
    size_t count = COMMON;
    for (size_t i = 0; i < WEIR_ADMIN_MORE_MAX && of->more[i] != NULL; i++) {
        table[count++] =
            (struct weir_flag){of->more[i], weir_flag_text, AT(more) + i * sizeof(c->more[0])};
    }
    if (of->flag != NULL) {
        table[count++] = (struct weir_flag){of->flag, weir_flag_set, AT(flag), .bare = true};
    }
    if (of->many != NULL) {
        table[count++] = (struct weir_flag){of->many, .read = add_many};
    }
    const struct weir_flags flags = {.flag = table,
                                     .count = count,
                                     .command = of->name,
                                     .operand = of->operand,
                                     .operands_min = of->operands_min,
                                     .operands_max = of->operands_max};
    c->operand = argv + 1;
    return weir_start_flags(&flags, argc, argv, c, &c->operands);
}

/* The token of the file, without a newline at its end. False: said what is wrong. */
static bool read_token_file(struct weir_admin_client *c, const char *path)
{
    char token[WEIR_SECRET_MAX + 2];
    FILE *f = fopen(path, "re");
    size_t len = f == NULL ? 0 : fread(token, 1, sizeof(token), f);
    if (f == NULL || ferror(f) != 0) {
        fprintf(stderr, "%s: --token-file: %s cannot be read: %s\n", c->of->name, path,
                strerror(errno));
    } else {
        weir_buf_append(&c->token, token, len > 0 && token[len - 1] == '\n' ? len - 1 : len);
    }
    weir_wipe(token, sizeof(token));
    bool read = f != NULL && ferror(f) == 0;
    if (f != NULL) {
        fclose(f);
    }
    return read;
}

/* False: said what is wrong. */
static bool read_token(struct weir_admin_client *c)
{
    const char *file = c->token_file, *env = getenv("WEIR_ADMIN_TOKEN");
    if (file == NULL && (env == NULL || env[0] == '\0')) {
        return true;
    }
    weir_buf_str(&c->token, bearer);
    if (file == NULL) {
        weir_buf_str(&c->token, weir_str_z(env));
    } else if (!read_token_file(c, file)) {
        return false;
    }
    bool good = !c->token.failed && c->token.len > bearer.len &&
                c->token.len - bearer.len <= WEIR_SECRET_MAX;
    for (size_t i = bearer.len; good && i < c->token.len; i++) {
        good = isgraph((unsigned char)c->token.data[i]) != 0;
    }
    weir_buf_char(&c->token, '\0'); /* as curl wants it */
    if (!good) {
        fprintf(stderr, "%s: the admin token: expected 1 to %d printable characters\n", c->of->name,
                WEIR_SECRET_MAX);
    }
    return good;
}

bool weir_admin_begin(struct weir_admin_client *c, const struct weir_admin_command *of, int argc,
                      char **argv, int *ret_code)
{
    const char *env = getenv("WEIR_ADMIN");
    *c = (struct weir_admin_client){
        .of = of, .url = env != NULL && env[0] != '\0' ? env : "http://127.0.0.1:9090"};
    weir_buf_init(&c->token, bearer.len + WEIR_SECRET_MAX + 2);
    weir_buf_init(&c->answer, ANSWER_MAX);
    weir_json_init(&c->json);
    *ret_code = WEIR_EXIT_USAGE;
    enum weir_flags_end end = read_arguments(c, argc, argv);
    if (end != WEIR_FLAGS_READ) {
        *ret_code = weir_start_help(end, of->help);
        return false;
    }
    return read_token(c);
}

void weir_admin_end(struct weir_admin_client *c)
{
    if (c->token.data != NULL) {
        weir_wipe(c->token.data, c->token.len);
    }
    if (c->answer.data != NULL) {
        weir_wipe(c->answer.data, c->answer.len); /* it may have a key's secret */
    }
    weir_buf_deinit(&c->token);
    weir_buf_deinit(&c->answer);
    weir_json_deinit(&c->json);
}

/* ---- a question ---- */

void weir_admin_encode(struct weir_buf *b, struct weir_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.p[i];
        if (isalnum(byte) || byte == '-' || byte == '.' || byte == '_' || byte == '~') {
            weir_buf_char(b, (char)byte);
        } else {
            weir_buf_printf(b, "%%%02X", byte);
        }
    }
}

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
    struct weir_buf *b = ctx;
    weir_buf_append(b, p, size * n);
    return b->failed ? 0 : size * n;
}

/* Directly: a proxy of the environment's is for the world outside. */
static void set_options(CURL *curl, struct weir_admin_client *c, const char *method,
                        const char *url, const struct curl_slist *lines, const char *body)
{
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &c->answer);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
}

/* Appends in place of *lines, which stays where there is no memory. */
static bool add_line(struct curl_slist **lines, const char *line)
{
    struct curl_slist *more = curl_slist_append(*lines, line);
    if (more != NULL) {
        *lines = more;
    }
    return more != NULL;
}

static CURLcode perform(struct weir_admin_client *c, const char *method, const char *url,
                        const char *body, long *ret_status)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *lines = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    weir_buf_reset(&c->answer);
    if (curl != NULL && add_line(&lines, "content-type: application/json") &&
        (c->token.len == 0 || add_line(&lines, c->token.data))) {
        set_options(curl, c, method, url, lines, body);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    }
    curl_slist_free_all(lines);
    curl_easy_cleanup(curl);
    return code;
}

static bool say_refused(struct weir_admin_client *c, long status)
{
    const struct weir_json *j = &c->json;
    const struct weir_json_node *error =
        j->nodes == 0 ? NULL : weir_json_member(j, weir_json_root(j), "error");
    if (status == UNAUTHORIZED) {
        fprintf(stderr,
                "%s: %s wants the admin token, and %s: see WEIR_ADMIN_TOKEN and "
                "--token-file\n",
                c->of->name, c->url, c->token.len == 0 ? "was given none" : "this is another one");
    } else if (error == NULL) {
        fprintf(stderr, "%s: %s answers %ld, and is no admin API of weir\n", c->of->name, c->url,
                status);
    } else {
        struct weir_str message = weir_admin_text(j, error, "message");
        fprintf(stderr, "%s: %.*s\n", c->of->name, (int)message.len, message.p);
    }
    return false;
}

static void say_silent(const struct weir_admin_client *c, CURLcode code)
{
    if (code == CURLE_COULDNT_CONNECT) {
        fprintf(stderr,
                "%s: nothing listens at %s: a node offers its admin API only where its "
                "configuration says so\n",
                c->of->name, c->url);
    } else {
        fprintf(stderr, "%s: cannot ask %s: %s\n", c->of->name, c->url, curl_easy_strerror(code));
    }
}

bool weir_admin_send(struct weir_admin_client *c, const char *method, const char *path,
                     const char *body)
{
    char url[URL_MAX];
    long status = 0;
    size_t len = strlen(c->url);
    while (len > 0 && c->url[len - 1] == '/') {
        len--;
    }
    int need = snprintf(url, sizeof(url), "%.*s/admin/v1%s", (int)len, c->url, path);
    CURLcode code = need < 0 || (size_t)need >= sizeof(url)
                        ? CURLE_URL_MALFORMAT
                        : perform(c, method, url, body, &status);
    if (code != CURLE_OK) {
        say_silent(c, code);
        return false;
    }
    bool object = weir_json_parse(&c->json, weir_buf_view(&c->answer)) == WEIR_OK &&
                  weir_json_root(&c->json)->kind == WEIR_JSON_OBJECT;
    return (status == 200 && object) || say_refused(c, status);
}

bool weir_admin_ask(struct weir_admin_client *c, const char *path, const char *body)
{
    return weir_admin_send(c, body == NULL ? "GET" : "POST", path, body);
}

void weir_admin_print(const struct weir_admin_client *c)
{
    fwrite(c->answer.data, 1, c->answer.len, stdout);
    putchar('\n');
}

/* ---- answers ---- */

struct weir_str weir_admin_text(const struct weir_json *j, const struct weir_json_node *in,
                                const char *name)
{
    const struct weir_json_node *n = weir_json_member(j, in, name);
    return n == NULL || n->kind == WEIR_JSON_NULL ? WEIR_STR("-") : weir_json_raw(j, n);
}

uint64_t weir_admin_number(const struct weir_json *j, const struct weir_json_node *in,
                           const char *name)
{
    uint64_t value;
    const struct weir_json_node *n = weir_json_member(j, in, name);
    return n != NULL && weir_json_u64(j, n, UINT64_C(1) << 53, &value) == WEIR_OK ? value : 0;
}

void weir_admin_window(struct weir_buf *b, uint64_t window_s)
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    unsigned i = 0;
    while (window_s % units[i].seconds != 0) {
        i++;
    }
    weir_buf_printf(b, "%" PRIu64 "%s", window_s / units[i].seconds, units[i].name);
}

void weir_admin_span(struct weir_buf *b, uint64_t ms)
{
    if (ms < 60000) {
        weir_buf_printf(b, "%" PRIu64 ".%" PRIu64 "s", ms / 1000, ms % 1000 / 100);
    } else if (ms < 3600000) {
        weir_buf_printf(b, "%" PRIu64 "m%" PRIu64 "s", ms / 60000, ms / 1000 % 60);
    } else {
        weir_buf_printf(b, "%" PRIu64 "h%" PRIu64 "m", ms / 3600000, ms / 60000 % 60);
    }
}

static void print_limit(const struct weir_json *j, const struct weir_json_node *limit,
                        const char *capacity)
{
    struct weir_buf window, reset;
    struct weir_str meter = weir_admin_text(j, limit, "meter");
    struct weir_str subject = weir_admin_text(j, limit, "subject");
    weir_buf_init(&window, 32);
    weir_buf_init(&reset, 32);
    weir_admin_window(&window, weir_admin_number(j, limit, "window_s"));
    if (weir_admin_number(j, limit, "used") > 0) {
        weir_admin_span(&reset, weir_admin_number(j, limit, "reset_ms"));
    }
    printf("%-13.*s  %-6.*s  %14" PRIu64 "  %14" PRIu64 "  %14" PRIu64 "  %9.*s", (int)meter.len,
           meter.p, (int)window.len, window.data, weir_admin_number(j, limit, "used"),
           weir_admin_number(j, limit, capacity), weir_admin_number(j, limit, "remaining"),
           (int)reset.len, reset.data);
    if (weir_json_member(j, limit, "subject") != NULL) {
        printf("  %.*s", (int)subject.len, subject.p);
    }
    putchar('\n');
    weir_buf_deinit(&window);
    weir_buf_deinit(&reset);
}

void weir_admin_print_limits(const struct weir_admin_client *c, const char *capacity)
{
    const struct weir_json *j = &c->json;
    const struct weir_json_node *limits = weir_json_member(j, weir_json_root(j), "limits");
    printf("%-13s  %-6s  %14s  %14s  %14s  %9s\n", "meter", "window", "used", "limit", "remaining",
           "resets in");
    if (limits == NULL || limits->kind != WEIR_JSON_ARRAY) {
        return;
    }
    for (const struct weir_json_node *n = weir_json_first(j, limits); n != NULL;
         n = weir_json_next(j, limits, n)) {
        print_limit(j, n, capacity);
    }
}
