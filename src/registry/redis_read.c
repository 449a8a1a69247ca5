/* SPDX-License-Identifier: Apache-2.0 */
/* redis_read.c - what has changed in Redis since a version, page by page, in the order of the
 * changes: what changes meanwhile comes last. Goes on where it was when a connection broke. */
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "registry/internal.h"

enum { PAGE = 1000, LOG_BURST = 3 };

static void ask(struct weir_registry *r)
{
    const struct weir_str words[] = {WEIR_STR("read"), weir_str_z(r->redis.page), WEIR_STR("1000")};
    _Static_assert(PAGE == 1000, "as the words say");
    if (!registry_redis_call(r, ASK_PAGE, words, 3)) {
        registry_read_pause(r);
    }
}

void registry_read_begin(struct weir_registry *r, bool from_the_start)
{
    struct registry_redis *d = &r->redis;
    weir_entries_let_go(d->pages);
    d->whole = from_the_start;
    d->pages = from_the_start ? weir_entries_new() : weir_entries_keep(r->entries);
    snprintf(d->page, sizeof(d->page), "%s", from_the_start ? "0" : d->version);
    if (d->pages != NULL) {
        ask(r);
    }
}

void registry_read_go_on(struct weir_registry *r)
{
    ask(r);
}

void registry_read_pause(struct weir_registry *r)
{
    r->redis.known = false;
    if (r->redis.pages == NULL) {
        registry_first_over(r);
    }
}

void registry_read_drop(struct weir_registry *r)
{
    weir_entries_let_go(r->redis.pages);
    r->redis.pages = NULL;
    registry_read_pause(r);
}

static void say_left_out(struct weir_registry *r)
{
    uint32_t held;
    if (weir_log_gate_pass(&r->gate, LOG_BURST, weir_clock_us(), &held)) {
        weir_log(WEIR_LOG_WARN, "registry: Redis has entries of another form, which are left out");
    }
}

/* What Redis has under a name as an entry's text: deleted, where it is nothing, or of no use. */
static struct weir_str text_of(struct weir_registry *r, const redisReply *text)
{
    struct weir_json j;
    struct weir_str of = weir_str(text->str, text->len);
    weir_json_init(&j);
    bool object = of.len > 0 && of.len <= WEIR_ENTRY_TEXT_MAX &&
                  weir_json_parse(&j, of) == WEIR_OK &&
                  weir_json_root(&j)->kind == WEIR_JSON_OBJECT;
    weir_json_deinit(&j);
    if (!object && of.len > 0) {
        say_left_out(r);
    }
    return object ? of : weir_str(NULL, 0);
}

/* The changes of a page; the names and texts are the reply's. How many. */
static size_t changes_of(struct weir_registry *r, const redisReply *reply,
                         struct weir_entry_change *change)
{
    size_t n = 0;
    for (size_t i = 2; i + 2 < reply->elements; i += 3) {
        const redisReply *name = reply->element[i], *text = reply->element[i + 1];
        struct weir_str of = weir_str(name->str, name->len);
        if (name->type != REDIS_REPLY_STRING || text->type != REDIS_REPLY_STRING ||
            !weir_entry_name_valid(of)) {
            say_left_out(r);
            continue;
        }
        change[n++] = (struct weir_entry_change){of, text_of(r, text)};
    }
    return n;
}

static bool is_page(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 || reply->elements % 3 != 2 ||
        reply->elements > 2 + 3 * PAGE) {
        return false;
    }
    const redisReply *last = reply->element[reply->elements - 1];
    return reply->element[0]->type == REDIS_REPLY_STRING &&
           reply->element[1]->type == REDIS_REPLY_STRING && last->type == REDIS_REPLY_STRING &&
           strlen(reply->element[0]->str) < REGISTRY_VERSION_MAX &&
           strlen(reply->element[1]->str) < REGISTRY_VERSION_MAX &&
           strlen(last->str) < REGISTRY_VERSION_MAX;
}

static bool number(const char *text, uint64_t *ret_number)
{
    return weir_str_u64(weir_str_z(text), UINT64_MAX, ret_number) == WEIR_OK;
}

/* Names that were deleted long ago are not told any more: who has not asked since, or has read what
 * was deleted meanwhile, reads all. So does who knows a version that is still to come: others wrote
 * back a registry that had been lost. */
static bool must_read_all(struct weir_registry *r, const redisReply *reply)
{
    struct registry_redis *d = &r->redis;
    const char *now = reply->element[1]->str;
    uint64_t version, floor, since;
    if (strcmp(d->page, "0") == 0) {
        snprintf(d->floor, sizeof(d->floor), "%s", now);
    }
    if (d->whole) {
        return strcmp(d->floor, now) != 0;
    }
    return number(d->page, &since) &&
           ((number(now, &floor) && since < floor) ||
            (number(reply->element[0]->str, &version) && since > version));
}

/* False: no memory, or more than there may be. */
static bool add_page(struct weir_registry *r, const redisReply *reply)
{
    struct weir_entry_change *change = weir_zalloc_array(PAGE, sizeof(*change));
    if (change == NULL) {
        return false;
    }
    size_t n = changes_of(r, reply, change);
    enum weir_err err = weir_entries_add(&r->redis.pages, change, n);
    weir_free(change);
    return err == WEIR_OK;
}

/* All is read. A Redis that has nothing has lost it, if there was something. */
static void finish(struct weir_registry *r, const char *version)
{
    struct registry_redis *d = &r->redis;
    struct weir_entries *pages = d->pages;
    snprintf(d->version, sizeof(d->version), "%s", version);
    d->pages = NULL;
    r->copy_due = r->copy_due || !d->known; /* the file may be another one, or damaged */
    d->known = true;
    registry_up(r);
    if (version[0] == '\0' || weir_entries_alike(pages, r->entries)) {
        weir_entries_let_go(pages);
    } else {
        registry_tell(r, pages);
    }
    registry_first_over(r);
}

void registry_read_page(struct weir_registry *r, const redisReply *reply)
{
    struct registry_redis *d = &r->redis;
    if (d->pages == NULL) {
        return; /* it was dropped */
    }
    registry_first_waits(r);
    if (!is_page(reply) || !add_page(r, reply)) {
        registry_down(r, "what Redis has cannot be read");
        registry_read_drop(r);
    } else if (must_read_all(r, reply)) {
        registry_read_begin(r, true);
    } else if (reply->elements == 2 + 3 * PAGE) {
        snprintf(d->page, sizeof(d->page), "%s", reply->element[reply->elements - 1]->str);
        ask(r);
    } else {
        finish(r, reply->element[0]->str);
    }
}
