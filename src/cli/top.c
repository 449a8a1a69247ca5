/* SPDX-License-Identifier: Apache-2.0 */
/* top.c - a node live in a terminal, from the events of its admin API. */
#include <curl/curl.h>
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/admin_client.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include "gateway/sse.h"
#include "view/screen.h"

static const struct weir_admin_command command = {
    .name = "weir top",
    .help =
        "usage: weir top [OPTION...]\n\n"
        "Shows a node live, from its admin API: rates, the busiest keys with the fullest limit "
        "of each,\nwho is denied and by which limit. Where there is no terminal, as with "
        "--once.\n\n" WEIR_ADMIN_WHERE_HELP
        "  --once             print one frame, of two looks a second apart\n"
        "  --json             the API's answer: the overview, once\n"
        "  --help             this text\n\n"
        "Keys: b, n, a, d, t and u sort, q quits. With NO_COLOR in the environment there are no "
        "colours.\n",
    .flag = "once",
    .operand = "no argument",
};

enum {
    EVENT_MAX = 1 << 20,
    FRAME_MAX = 1 << 20,
    URL_MAX = 2048,
    LOOKS = 6, /* rates are means from the first of them to the last */
    SILENCE_S = 5,
    CONNECT_S = 5,
    RETRY_US = 1000000,
    TICK_MS = 1000,
};

struct top {
    struct weir_admin_client client;
    bool live, colour;
    enum weir_view_sort sort;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char why[CURL_ERROR_SIZE]; /* the connection is lost; empty: it is not */
    uint64_t retry_us;         /* when it is tried again; 0: it is under way */
    bool refused;              /* to try again is of no use */
    struct weir_sse sse;
    struct weir_json json;
    struct weir_buf space, frame;
    struct weir_view_overview look[LOOKS]; /* a ring */
    uint64_t looks;                        /* that there were */
    bool changed;                          /* something is to be drawn */
};

/* ---- the stream ---- */

static const struct weir_view_overview *look_at(const struct top *top, uint64_t i)
{
    return &top->look[i % LOOKS];
}

static void on_event(struct top *top, struct weir_str data)
{
    struct weir_view_overview *next = &top->look[top->looks % LOOKS];
    if (data.len == 0) {
        return; /* a comment */
    }
    if (weir_view_overview_read(data, &top->json, &top->space, next) != WEIR_OK) {
        snprintf(top->why, sizeof(top->why), "what it says is no overview");
        return;
    }
    top->why[0] = '\0';
    top->looks++;
    top->changed = true;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct top *top = ctx;
    struct weir_str bytes = weir_str(p, size * n);
    struct weir_sse_event event;
    for (;;) {
        enum weir_sse_step step = weir_sse_next(&top->sse, &bytes, &event);
        if (step == WEIR_SSE_MORE) {
            return size * n;
        }
        if (step == WEIR_SSE_EVENT) {
            on_event(top, event.data);
        }
    }
}

/* As for other questions, but without an end. False: there is no memory, or the URL is none. */
static bool set_up(struct top *top, struct weir_buf *url)
{
    struct weir_str base = weir_str_z(top->client.url);
    while (base.len > 0 && base.p[base.len - 1] == '/') {
        base.len--;
    }
    weir_buf_str(url, base);
    weir_buf_str(url, WEIR_STR("/admin/v1/events"));
    weir_buf_char(url, '\0');
    top->multi = curl_multi_init();
    top->easy = curl_easy_init();
    if (top->client.token.len > 0) {
        top->headers = curl_slist_append(NULL, top->client.token.data);
    }
    bool token_is_there = top->client.token.len == 0 || top->headers != NULL;
    CURL *e = top->easy;
    if (top->multi == NULL || e == NULL || url->failed || !token_is_there) {
        return false;
    }
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, top->headers);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, top);
    return curl_easy_setopt(e, CURLOPT_URL, url->data) == CURLE_OK &&
           curl_multi_add_handle(top->multi, e) == CURLM_OK;
}

static void say_why(struct top *top, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(top->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_HTTP_RETURNED_ERROR && status == 401) {
        top->refused = true;
        snprintf(top->why, sizeof(top->why), "%s",
                 top->headers == NULL
                     ? "the node wants the admin token: see WEIR_ADMIN_TOKEN and --token-file"
                     : "the node wants another admin token");
    } else if (code == CURLE_HTTP_RETURNED_ERROR && status == 503) {
        snprintf(top->why, sizeof(top->why), "the node serves no more streams");
    } else if (code == CURLE_HTTP_RETURNED_ERROR) {
        snprintf(top->why, sizeof(top->why), "the node answers with status %ld", status);
    } else if (code == CURLE_COULDNT_CONNECT) {
        snprintf(top->why, sizeof(top->why), "nothing listens at %s", top->client.url);
    } else {
        snprintf(top->why, sizeof(top->why), "%s",
                 code == CURLE_OK ? "the node closed the connection" : curl_easy_strerror(code));
    }
}

/* Takes what came, and the end of the connection. */
static void take(struct top *top)
{
    int running, left;
    if (top->retry_us != 0 && weir_clock_us() >= top->retry_us) {
        top->retry_us = 0;
        curl_multi_add_handle(top->multi, top->easy);
    }
    curl_multi_perform(top->multi, &running);
    for (CURLMsg *m; (m = curl_multi_info_read(top->multi, &left)) != NULL;) {
        say_why(top, m->data.result);
        curl_multi_remove_handle(top->multi, top->easy);
        weir_sse_deinit(&top->sse);
        weir_sse_init(&top->sse, EVENT_MAX);
        top->retry_us = weir_clock_us() + RETRY_US;
        top->changed = true;
    }
}

/* ---- frames ---- */

static bool draw(struct top *top)
{
    char note[CURL_ERROR_SIZE + 32];
    uint64_t first = top->looks > LOOKS ? top->looks - LOOKS : 0;
    struct weir_view_screen screen = {
        .now = look_at(top, top->looks - 1),
        .before = top->looks > 1 ? look_at(top, first) : NULL,
        .sort = top->sort,
        .colour = top->colour,
        .live = top->live,
        .note = top->why[0] == '\0' ? NULL : note,
    };
    snprintf(note, sizeof(note), "NOT LIVE: %s", top->why);
    weir_terminal_size(&screen.columns, &screen.rows);
    screen.rows = top->live ? screen.rows : 0;
    weir_buf_reset(&top->frame);
    weir_view_draw(&top->frame, &screen);
    top->changed = false;
    return !top->frame.failed && weir_terminal_write(weir_buf_view(&top->frame));
}

/* False: q, or no more keys will come. */
static bool take_keys(struct top *top)
{
    char keys[64];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (keys[i] == 'q') {
            return false;
        }
        top->changed = weir_view_sort_of(keys[i], &top->sort) || top->changed;
    }
    return true;
}

/* Until somebody ends it. */
static void follow(struct top *top, struct weir_terminal *t)
{
    bool goes_on = true;
    while (goes_on && !top->refused) {
        struct curl_waitfd wait[] = {{.fd = STDIN_FILENO, .events = CURL_WAIT_POLLIN},
                                     {.fd = t->signals, .events = CURL_WAIT_POLLIN}};
        take(top);
        if (top->changed && !draw(top)) {
            return;
        }
        curl_multi_poll(top->multi, wait, 2, TICK_MS, NULL);
        if (wait[1].revents != 0) {
            goes_on = weir_terminal_signal(t);
            top->changed = true;
        }
        if (goes_on && wait[0].revents != 0) {
            goes_on = take_keys(top);
        }
    }
}

/* So many overviews; false: the connection failed first. */
static bool wait_for(struct top *top, uint64_t looks)
{
    for (;;) {
        take(top);
        if (top->looks >= looks || top->why[0] != '\0') {
            return top->looks >= looks;
        }
        curl_multi_poll(top->multi, NULL, 0, TICK_MS, NULL);
    }
}

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "weir top: %s%s\n", what, why);
    return WEIR_EXIT_FAILED;
}

static int run_once(struct top *top)
{
    if (!wait_for(top, 2)) {
        return fail("", top->why);
    }
    return draw(top) ? WEIR_EXIT_OK : fail("the frame cannot be written: ", strerror(errno));
}

static int run_live(struct top *top)
{
    struct weir_terminal t;
    if (!wait_for(top, 1)) {
        return fail("", top->why);
    }
    if (!weir_terminal_open(&t)) {
        return fail("the terminal cannot be used: ", strerror(errno));
    }
    follow(top, &t);
    weir_terminal_close(&t);
    return top->refused ? fail("", top->why) : WEIR_EXIT_OK;
}

static int run(struct top *top)
{
    struct weir_buf url;
    weir_buf_init(&url, URL_MAX);
    weir_buf_init(&top->space, EVENT_MAX);
    weir_buf_init(&top->frame, FRAME_MAX);
    weir_json_init(&top->json);
    weir_sse_init(&top->sse, EVENT_MAX);
    top->live = !top->client.flag && weir_terminal_is_there();
    const char *no_color = getenv("NO_COLOR");
    top->colour = top->live && (no_color == NULL || no_color[0] == '\0');
    int code = !set_up(top, &url) ? fail("", "cannot ask: out of memory, or the URL is too long")
               : top->live        ? run_live(top)
                                  : run_once(top);
    if (top->retry_us == 0) {
        curl_multi_remove_handle(top->multi, top->easy);
    }
    curl_easy_cleanup(top->easy);
    curl_multi_cleanup(top->multi);
    curl_slist_free_all(top->headers);
    weir_sse_deinit(&top->sse);
    weir_json_deinit(&top->json);
    weir_buf_deinit(&top->frame);
    weir_buf_deinit(&top->space);
    weir_buf_deinit(&url);
    return code;
}

int weir_cmd_top(int argc, char **argv)
{
    struct top *top = weir_zalloc(sizeof(*top));
    if (top == NULL) {
        return fail("", "out of memory");
    }
    int code;
    if (weir_admin_begin(&top->client, &command, argc, argv, &code)) {
        code = WEIR_EXIT_FAILED;
        if (!top->client.as_json) {
            code = run(top);
        } else if (weir_admin_ask(&top->client, "/overview", NULL)) {
            weir_admin_print(&top->client);
            code = WEIR_EXIT_OK;
        }
    }
    weir_admin_end(&top->client);
    weir_free(top);
    return code;
}
