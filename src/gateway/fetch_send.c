/* SPDX-License-Identifier: Apache-2.0 */
/* fetch_send.c - a fetch on its way out. Its easy handle is used again, and so is its parsed URL:
 * setting them up costs more than what one request changes in them. */
#include <strings.h>

#include "base/clock.h"
#include "gateway/fetch_internal.h"

enum { EXPECT_BYTES = 1024 * 1024 }; /* of a body from which on curl asks whether it may come */

static bool set_up(struct weir_fetch *f)
{
    CURL *e = weir_curl_easy(&f->upstreams->sockets);
    if (e == NULL) {
        return false;
    }
    f->easy = e;
    f->set_for = NULL;
    weir_buf_reset(&f->url_text);
    curl_easy_setopt(e, CURLOPT_PRIVATE, f);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* waits for no thread that resolves a name */
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, weir_fetch_on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, weir_fetch_on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    return true;
}

static void add_line(struct weir_fetch *f, const char *text)
{
    union { /* curl only reads what its list says is char * */
        const char *text;
        char *line;
    } given = {text};
    struct curl_slist *line = &f->line[f->lines];
    line->data = given.line;
    line->next = NULL;
    if (f->lines > 0) {
        f->line[f->lines - 1].next = line;
    }
    f->lines++;
}

static void set_credential(struct weir_fetch *f, const struct weir_upstream_config *config)
{
    struct weir_str name = f->credential == WEIR_CREDENTIAL_BEARER
                               ? WEIR_STR("Authorization: Bearer ")
                               : WEIR_STR("x-api-key: ");
    _Static_assert(sizeof(f->credential_line) >= sizeof("Authorization: Bearer ") + WEIR_SECRET_MAX,
                   "it has room for both");
    memcpy(f->credential_line, name.p, name.len);
    memcpy(f->credential_line + name.len, config->api_key, strlen(config->api_key) + 1);
}

/* The client's fields, and those that curl must not make up. */
static void set_lines(struct weir_fetch *f, const struct weir_upstream_config *config)
{
    bool typed = false;
    f->lines = 0;
    for (size_t at = 0; at < f->fields.len; at += strlen(f->fields.data + at) + 1) {
        const char *text = f->fields.data + at;
        typed = typed || strncasecmp(text, "content-type:", 13) == 0;
        add_line(f, text);
    }
    if (f->body.len >= EXPECT_BYTES) {
        add_line(f, "Expect:");
    }
    if (!typed) {
        add_line(f, "Content-Type:");
    }
    if (config->api_key[0] != '\0') {
        set_credential(f, config);
        add_line(f, f->credential_line);
    }
    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->line);
}

static void set_method(struct weir_fetch *f)
{
    bool post = strcmp(f->method, "POST") == 0, head = strcmp(f->method, "HEAD") == 0;
    if (head) {
        curl_easy_setopt(f->easy, CURLOPT_NOBODY, 1L);
        curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, NULL);
        return;
    }
    curl_easy_setopt(f->easy, CURLOPT_NOBODY, 0L);
    if (post || f->body.len > 0) {
        curl_easy_setopt(f->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, f->body.len > 0 ? f->body.data : "");
        curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body.len);
    } else {
        curl_easy_setopt(f->easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, post ? NULL : f->method);
}

static bool is_target(const struct weir_fetch *f, struct weir_str base)
{
    struct weir_str url = weir_buf_view(&f->url_text);
    return url.len == base.len + f->target.len && memcmp(url.p, base.p, base.len) == 0 &&
           memcmp(url.p + base.len, f->target.data, f->target.len) == 0;
}

/* Clients ask for few URLs: curl's reading of the last one serves the next. False: no memory. */
static bool set_target(struct weir_fetch *f, const struct weir_upstream_config *config)
{
    struct weir_str base = weir_str_z(config->base_url);
    if (is_target(f, base)) {
        return true;
    }
    weir_buf_reset(&f->url_text);
    weir_buf_str(&f->url_text, base);
    weir_buf_str(&f->url_text, weir_buf_view(&f->target)); /* with its NUL */
    if (f->url == NULL) {
        f->url = curl_url();
    }
    if (f->url == NULL || f->url_text.failed ||
        curl_url_set(f->url, CURLUPART_URL, f->url_text.data, CURLU_PATH_AS_IS) != CURLUE_OK ||
        curl_easy_setopt(f->easy, CURLOPT_CURLU, f->url) != CURLE_OK) {
        weir_buf_reset(&f->url_text);
        return false;
    }
    return true;
}

static bool set_upstream(struct weir_fetch *f, const struct weir_upstream_config *config)
{
    if (f->set_for == config) {
        return true;
    }
    f->set_for = NULL;
    /* the texts are never NULL, which would let the environment decide */
    if (curl_easy_setopt(f->easy, CURLOPT_PROXY, config->proxy) != CURLE_OK ||
        curl_easy_setopt(f->easy, CURLOPT_NOPROXY, "") != CURLE_OK ||
        (config->ca[0] != '\0' &&
         curl_easy_setopt(f->easy, CURLOPT_CAINFO, config->ca) != CURLE_OK)) {
        return false;
    }
    /* the first connection tells whether all that come meanwhile can share it */
    curl_easy_setopt(f->easy, CURLOPT_PIPEWAIT,
                     strncmp(config->base_url, "https", 5) == 0 ? 1L : 0L);
    curl_easy_setopt(f->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
    f->set_for = config;
    return true;
}

/* False: no memory. */
bool weir_fetch_attempt(struct weir_fetch *f)
{
    const struct weir_upstream_config *config = weir_fetch_of(f)->config;
    if (f->easy != NULL && f->set_for != NULL && f->set_for->ca[0] != '\0' &&
        f->set_for != config) {
        curl_easy_cleanup(f->easy); /* there is no going back to the system's authorities */
        f->easy = NULL;
    }
    f->tried |= UINT64_C(1) << f->upstream;
    f->again = f->refused = f->told = f->paused = false;
    weir_buf_reset(&f->head);
    if ((f->easy == NULL && !set_up(f)) || !set_upstream(f, config) || !set_target(f, config)) {
        return false;
    }
    set_lines(f, config);
    set_method(f);
    f->sent_ns = weir_clock_ns();
    f->progress_ms = weir_fetch_now_ms(f->upstreams);
    f->pool = weir_fetch_pool(f->upstreams);
    f->running = curl_multi_add_handle(f->pool->curl.multi, f->easy) == CURLM_OK;
    f->pool->transfers += f->running;
    return f->running;
}
