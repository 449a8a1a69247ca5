/* SPDX-License-Identifier: Apache-2.0 */
/* upstreams.c - the `upstreams` section: the model servers behind the gateway, and which of them
 * serve a model. */
#include "base/mem.h"
#include "config/parse.h"

enum { WEIGHT_MAX = 1000, CONNECT_MS_MAX = 60000, TIMEOUT_MS_MAX = 3600000 };

bool weir_upstream_serves(const struct weir_upstream_config *u, struct weir_str model)
{
    for (size_t i = 0; i < u->globs; i++) {
        if (weir_glob_matches(weir_str_z(u->glob[i]), model)) {
            return true;
        }
    }
    return u->globs == 0;
}

/* ---- texts ---- */

/* The label of a metric: characters that need no escaping anywhere. */
static enum weir_err take_name(struct parse *p, const struct node *n, char *to)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    struct weir_str text;
    WEIR_TRY(weir_parse_scalar(p, n, "a text", &text));
    bool valid = text.len > 0 && text.len <= WEIR_NAME_MAX;
    for (size_t i = 0; valid && i < text.len; i++) {
        valid = memchr(allowed, text.p[i], sizeof(allowed) - 1) != NULL;
    }
    if (!valid) {
        return weir_parse_fail(p, n, "name: expected 1 to %d characters of A-Z a-z 0-9 . _ -",
                               WEIR_NAME_MAX);
    }
    memcpy(to, text.p, text.len);
    to[text.len] = '\0';
    return WEIR_OK;
}

/* Whether it is SCHEME://HOST[:PORT][/PATH] with one of these schemes: no login, no query, nothing
 * that would have to be escaped. *ret_path: where the path begins, or the end. */
static bool url_valid(struct weir_str url, const char *const *schemes, size_t *ret_path)
{
    size_t from = 0;
    for (; *schemes != NULL && from == 0; schemes++) {
        from = weir_str_starts(url, weir_str_z(*schemes)) ? strlen(*schemes) : 0;
    }
    if (from == 0) {
        return false;
    }
    for (size_t i = from; i < url.len; i++) {
        char c = url.p[i];
        if (c <= ' ' || c > '~' || memchr("@?#\\\"<>^`{|}", c, 12) != NULL) {
            return false;
        }
    }
    const char *slash = memchr(url.p + from, '/', url.len - from);
    *ret_path = slash == NULL ? url.len : (size_t)(slash - url.p);
    return *ret_path > from;
}

/* Kept as what stands for "/v1": without a slash at its end. */
static enum weir_err take_base_url(struct parse *p, const struct node *n,
                                   struct weir_upstream_config *u)
{
    static const char *const schemes[] = {"http://", "https://", NULL};
    static const char v1[] = "/v1";
    struct weir_str url;
    size_t path = 0;
    WEIR_TRY(weir_parse_scalar(p, n, "a URL", &url));
    u->mock = weir_str_eq(url, WEIR_STR("mock:"));
    if (u->mock) {
        memcpy(u->base_url, url.p, url.len);
        return WEIR_OK;
    }
    if (!url_valid(url, schemes, &path) || url.len + sizeof(v1) > sizeof(u->base_url)) {
        return weir_parse_fail(p, n,
                               "base_url: expected mock: or http[s]://HOST[:PORT][/PATH] of at "
                               "most %d characters",
                               WEIR_URL_MAX);
    }
    while (url.len > path && url.p[url.len - 1] == '/') {
        url.len--;
    }
    memcpy(u->base_url, url.p, url.len);
    memcpy(u->base_url + url.len, v1, url.len == path ? sizeof(v1) : 0);
    return WEIR_OK;
}

static enum weir_err take_proxy(struct parse *p, const struct node *n,
                                struct weir_upstream_config *u)
{
    static const char *const schemes[] = {"http://", "https://", "socks5h://", "socks5://", NULL};
    struct weir_str url;
    size_t path;
    WEIR_TRY(weir_parse_scalar(p, n, "a URL", &url));
    if (!url_valid(url, schemes, &path) || path != url.len || url.len > WEIR_URL_MAX) {
        return weir_parse_fail(
            p, n, "proxy: expected http://, https://, socks5:// or socks5h:// and HOST[:PORT]");
    }
    memcpy(u->proxy, url.p, url.len);
    return WEIR_OK;
}

static enum weir_err take_api_key(struct parse *p, const struct node *n,
                                  struct weir_upstream_config *u)
{
    char buf[WEIR_SECRET_MAX + 2];
    struct weir_str key;
    enum weir_err err = weir_parse_secret(p, n, buf, &key);
    if (err == WEIR_OK) {
        memcpy(u->api_key, key.p, key.len);
    }
    weir_wipe(buf, sizeof(buf));
    return err;
}

/* ---- the section ---- */

static enum weir_err glob_item(struct parse *p, const struct node *n, void *ctx)
{
    struct weir_upstream_config *u = ctx;
    struct weir_str text;
    WEIR_TRY(weir_parse_scalar(p, n, "names or globs of models", &text));
    if (!weir_parse_name_valid(text)) {
        return weir_parse_fail(p, n, "models: expected names or globs of 1 to %d characters",
                               WEIR_NAME_MAX);
    }
    memcpy(u->glob[u->globs++], text.p, text.len);
    return WEIR_OK;
}

static enum weir_err take_models(struct parse *p, const struct node *n,
                                 struct weir_upstream_config *u)
{
    size_t count = n->at->kind == WEIR_YAML_LIST ? n->at->len : 0;
    if (n->at->kind == WEIR_YAML_LIST && (count == 0 || count > WEIR_CONFIG_GLOBS_MAX)) {
        return weir_parse_fail(p, n, "models: expected 1 to %d names or globs",
                               WEIR_CONFIG_GLOBS_MAX);
    }
    u->glob = weir_zalloc_array(count + 1, sizeof(*u->glob));
    return u->glob == NULL ? WEIR_ERR_NOMEM : weir_parse_list(p, n, glob_item, u);
}

static enum weir_err take_number(struct parse *p, const struct node *n, uint64_t min, uint64_t max,
                                 uint32_t *ret)
{
    uint64_t number;
    WEIR_TRY(weir_parse_number(p, n, min, max, &number));
    *ret = (uint32_t)number;
    return WEIR_OK;
}

static enum weir_err upstream_field(struct parse *p, struct weir_str key, const struct node *value,
                                    void *ctx)
{
    struct weir_upstream_config *u = ctx;
    if (weir_str_eq(key, WEIR_STR("name"))) {
        return take_name(p, value, u->name);
    }
    if (weir_str_eq(key, WEIR_STR("base_url"))) {
        return take_base_url(p, value, u);
    }
    if (weir_str_eq(key, WEIR_STR("api_key"))) {
        return take_api_key(p, value, u);
    }
    if (weir_str_eq(key, WEIR_STR("models"))) {
        return take_models(p, value, u);
    }
    if (weir_str_eq(key, WEIR_STR("weight"))) {
        return take_number(p, value, 1, WEIGHT_MAX, &u->weight);
    }
    if (weir_str_eq(key, WEIR_STR("connect_timeout_ms"))) {
        return take_number(p, value, 1, CONNECT_MS_MAX, &u->connect_timeout_ms);
    }
    if (weir_str_eq(key, WEIR_STR("timeout_ms"))) {
        return take_number(p, value, 1, TIMEOUT_MS_MAX, &u->timeout_ms);
    }
    if (weir_str_eq(key, WEIR_STR("proxy"))) {
        return take_proxy(p, value, u);
    }
    if (weir_str_eq(key, WEIR_STR("ca"))) {
        return weir_parse_copy(p, value, u->ca, sizeof(u->ca));
    }
    return weir_parse_unknown(p, value,
                              "an upstream; expected name, base_url, api_key, models, weight, "
                              "connect_timeout_ms, timeout_ms, proxy or ca");
}

static enum weir_err upstream_item(struct parse *p, const struct node *n, void *ctx)
{
    struct weir_config *config = p->config;
    /* counted at once, so that what it holds is freed */
    struct weir_upstream_config *u = &config->upstream[config->upstreams++];
    (void)ctx;
    u->weight = 1;
    u->connect_timeout_ms = 5000;
    u->timeout_ms = 600000;
    WEIR_TRY(weir_parse_mapping(p, n, upstream_field, u));
    if (u->name[0] == '\0' || u->base_url[0] == '\0') {
        return weir_parse_fail(p, n, "upstreams: expected name and base_url");
    }
    for (const struct weir_upstream_config *other = config->upstream; other < u; other++) {
        if (strcmp(other->name, u->name) == 0) {
            return weir_parse_fail(p, n, "upstreams: the name \"%s\" is there twice", u->name);
        }
    }
    return WEIR_OK;
}

enum weir_err weir_parse_upstreams(struct parse *p, const struct node *n)
{
    size_t count = n->at->kind == WEIR_YAML_LIST ? n->at->len : 0;
    if (count > WEIR_CONFIG_UPSTREAMS_MAX) {
        return weir_parse_fail(p, n, "upstreams: at most %d", WEIR_CONFIG_UPSTREAMS_MAX);
    }
    p->config->upstream = weir_zalloc_array(count + 1, sizeof(*p->config->upstream));
    return p->config->upstream == NULL ? WEIR_ERR_NOMEM
                                       : weir_parse_list(p, n, upstream_item, NULL);
}

void weir_upstream_configs_free(struct weir_upstream_config *u, size_t count)
{
    for (size_t i = 0; u != NULL && i < count; i++) {
        weir_free(u[i].glob);
        weir_wipe(u[i].api_key, sizeof(u[i].api_key));
    }
    weir_free(u);
}

struct weir_upstream_config *weir_upstream_configs_copy(const struct weir_upstream_config *u,
                                                        size_t count)
{
    struct weir_upstream_config *copy = weir_zalloc_array(count + 1, sizeof(*copy));
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = u[i];
        copy[i].glob = weir_zalloc_array(u[i].globs + 1, sizeof(u[i].glob[0]));
        if (copy[i].glob == NULL) {
            weir_upstream_configs_free(copy, i + 1);
            return NULL;
        }
        if (u[i].globs > 0) {
            memcpy(copy[i].glob, u[i].glob, u[i].globs * sizeof(u[i].glob[0]));
        }
    }
    return copy;
}

static bool alike(const struct weir_upstream_config *a, const struct weir_upstream_config *b)
{
    return strcmp(a->name, b->name) == 0 && a->mock == b->mock &&
           strcmp(a->base_url, b->base_url) == 0 && strcmp(a->api_key, b->api_key) == 0 &&
           a->globs == b->globs &&
           (a->globs == 0 || memcmp(a->glob, b->glob, a->globs * sizeof(a->glob[0])) == 0) &&
           a->weight == b->weight && a->connect_timeout_ms == b->connect_timeout_ms &&
           a->timeout_ms == b->timeout_ms && strcmp(a->proxy, b->proxy) == 0 &&
           strcmp(a->ca, b->ca) == 0;
}

bool weir_upstream_configs_alike(const struct weir_config *a, const struct weir_config *b)
{
    bool all = a->upstreams == b->upstreams;
    for (size_t i = 0; all && i < a->upstreams; i++) {
        all = alike(&a->upstream[i], &b->upstream[i]);
    }
    return all;
}
