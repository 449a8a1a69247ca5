/* SPDX-License-Identifier: Apache-2.0 */
/* ui.c - the dashboard's files. They hold nothing of the node, so everyone may have them: also from
 * a link on another site, and without the token, for which the page asks. */
#include "admin/internal.h"
#include "admin/ui_files.h"

/* The page loads its own files and asks this API, and nothing else; nobody may frame it. */
static const char headers[] =
    "cache-control: no-cache\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
    "content-security-policy: default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n";

static void answer_file(struct admin_request *r, const struct weir_ui_file *file)
{
    struct weir_str held = weir_http_header(r->http, WEIR_STR("if-none-match"));
    bool current = held.p != NULL && weir_str_eq(held, weir_str_z(file->etag));
    struct weir_buf *head = &r->admin->head;
    weir_buf_reset(head);
    weir_buf_printf(head, "%setag: %s\r\n", headers, file->etag);
    if (head->failed) {
        weir_http_reply(r->x, 503, WEIR_STR("retry-after: 1\r\n"), WEIR_STR(""), WEIR_STR(""));
    } else if (current) {
        weir_http_reply(r->x, 304, weir_buf_view(head), WEIR_STR(""), WEIR_STR(""));
    } else {
        weir_http_reply(r->x, 200, weir_buf_view(head), weir_str_z(file->type),
                        weir_str((const char *)file->bytes, file->len));
    }
}

bool admin_ui(struct admin_request *r)
{
    static const struct weir_str root = WEIR_STR_INIT("/ui/");
    struct weir_str path = r->http->path;
    if (r->http->method != WEIR_HTTP_GET && r->http->method != WEIR_HTTP_HEAD) {
        return false;
    }
    if (weir_str_eq(path, WEIR_STR("/")) || weir_str_eq(path, WEIR_STR("/ui"))) {
        weir_http_reply(r->x, 302, WEIR_STR("location: /ui/\r\n"), WEIR_STR(""), WEIR_STR(""));
        return true;
    }
    if (!weir_str_starts(path, root)) {
        return false;
    }
    const struct weir_ui_file *file =
        weir_ui_file_find(weir_str(path.p + root.len, path.len - root.len));
    if (file == NULL) {
        return false;
    }
    answer_file(r, file);
    return true;
}
