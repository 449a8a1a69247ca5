/* SPDX-License-Identifier: Apache-2.0 */
#include "config/entries.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"

/* ---- one entry ---- */

/* NULL: no memory. */
static struct weir_entry *entry_new(struct weir_str name, struct weir_str text)
{
    struct weir_entry *e = weir_zalloc(sizeof(*e) + name.len + text.len);
    if (e == NULL) {
        return NULL;
    }
    char *bytes = (char *)(e + 1);
    memcpy(bytes, name.p, name.len);
    memcpy(bytes + name.len, text.p, text.len);
    atomic_init(&e->_keepers, 1);
    e->name = weir_str(bytes, name.len);
    e->text = weir_str(bytes + name.len, text.len);
    return e;
}

static struct weir_entry *entry_keep(struct weir_entry *e)
{
    atomic_fetch_add_explicit(&e->_keepers, 1, memory_order_relaxed);
    return e;
}

/* Texts have digests of secrets. */
static void entry_let_go(struct weir_entry *e)
{
    if (atomic_fetch_sub_explicit(&e->_keepers, 1, memory_order_acq_rel) == 1) {
        weir_wipe(e + 1, e->name.len + e->text.len);
        weir_free(e);
    }
}

static int name_order(struct weir_str a, struct weir_str b)
{
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool weir_entry_name_valid(struct weir_str name)
{
    static const struct {
        struct weir_str scope;
        size_t max;
    } kinds[] = {{WEIR_STR_INIT("plan:"), 63},
                 {WEIR_STR_INIT("org:"), 100},
                 {WEIR_STR_INIT("team:"), 100},
                 {WEIR_STR_INIT("key:"), 100}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t scope = kinds[i].scope.len;
        if (weir_str_starts(name, kinds[i].scope)) {
            return name.len > scope && name.len - scope <= kinds[i].max;
        }
    }
    return false;
}

/* ---- lists ---- */

/* Room for `room` entries. NULL: no memory. */
static struct weir_entries *list_new(size_t room)
{
    struct weir_entries *list = weir_zalloc(sizeof(*list) + room * sizeof(list->entry[0]));
    if (list != NULL) {
        atomic_init(&list->_keepers, 1);
    }
    return list;
}

struct weir_entries *weir_entries_new(void)
{
    return list_new(0);
}

struct weir_entries *weir_entries_keep(struct weir_entries *entries)
{
    atomic_fetch_add_explicit(&entries->_keepers, 1, memory_order_relaxed);
    return entries;
}

void weir_entries_let_go(struct weir_entries *entries)
{
    if (entries == NULL ||
        atomic_fetch_sub_explicit(&entries->_keepers, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < entries->count; i++) {
        entry_let_go(entries->entry[i]);
    }
    weir_free(entries);
}

/* The first one from `from` on whose name is not before this one. */
static size_t place(const struct weir_entries *entries, size_t from, struct weir_str name)
{
    size_t to = entries->count;
    while (from < to) {
        size_t at = from + (to - from) / 2;
        if (name_order(name, entries->entry[at]->name) > 0) {
            from = at + 1;
        } else {
            to = at;
        }
    }
    return from;
}

static bool is_at(const struct weir_entries *entries, size_t at, struct weir_str name)
{
    return at < entries->count && weir_str_eq(entries->entry[at]->name, name);
}

const struct weir_entry *weir_entries_find(const struct weir_entries *entries, struct weir_str name)
{
    size_t at = place(entries, 0, name);
    return is_at(entries, at, name) ? entries->entry[at] : NULL;
}

bool weir_entries_alike(const struct weir_entries *a, const struct weir_entries *b)
{
    bool alike = a->count == b->count;
    for (size_t i = 0; alike && i < a->count; i++) {
        const struct weir_entry *x = a->entry[i], *y = b->entry[i];
        alike = x == y || (weir_str_eq(x->name, y->name) && weir_str_eq(x->text, y->text));
    }
    return alike;
}

/* ---- changes ---- */

static int change_order(const void *a, const void *b)
{
    const struct weir_entry_change *const *x = a, *const *y = b;
    int order = name_order((*x)->name, (*y)->name);
    return order != 0 ? order : (*x > *y) - (*x < *y); /* of one name in the order of the changes */
}

/* Appends what the change makes of its entry. False: no memory. */
static bool append(struct weir_entries *list, const struct weir_entry_change *change)
{
    if (change->text.p == NULL) {
        return true;
    }
    struct weir_entry *e = entry_new(change->name, change->text);
    if (e == NULL) {
        return false;
    }
    list->entry[list->count++] = e;
    return true;
}

/* Entries up to `to` go into the list; `take`: they are no longer those of `before`. */
static void move(const struct weir_entries *before, size_t *from, size_t to, bool take,
                 struct weir_entries *list)
{
    for (; *from < to; (*from)++) {
        struct weir_entry *e = before->entry[*from];
        list->entry[list->count++] = take ? e : entry_keep(e);
    }
}

/* Both are in the order of their names. False: no memory, and something is missing. */
static bool merge(const struct weir_entries *before, bool take,
                  const struct weir_entry_change **sorted, size_t changes,
                  struct weir_entries *list)
{
    bool made = true;
    size_t i = 0;
    for (size_t k = 0; k < changes; k++) {
        struct weir_str name = sorted[k]->name;
        if (k + 1 < changes && weir_str_eq(name, sorted[k + 1]->name)) {
            continue; /* the later one counts */
        }
        move(before, &i, place(before, i, name), take, list);
        if (is_at(before, i, name)) {
            if (take) {
                entry_let_go(before->entry[i]);
            }
            i++;
        }
        made = append(list, sorted[k]) && made;
    }
    move(before, &i, before->count, take, list);
    return made;
}

/* The changes in order, and room for a list with them. */
static enum weir_err prepare(const struct weir_entries *before,
                             const struct weir_entry_change *change, size_t changes,
                             const struct weir_entry_change ***ret_sorted,
                             struct weir_entries **ret_list)
{
    for (size_t i = 0; i < changes; i++) {
        if (change[i].name.len > WEIR_ENTRY_NAME_MAX || change[i].text.len > WEIR_ENTRY_TEXT_MAX) {
            return WEIR_ERR_LIMIT;
        }
    }
    const struct weir_entry_change **sorted = weir_zalloc_array(changes + 1, sizeof(*sorted));
    struct weir_entries *list = sorted == NULL ? NULL : list_new(before->count + changes);
    if (list == NULL) {
        weir_free(sorted);
        return WEIR_ERR_NOMEM;
    }
    for (size_t i = 0; i < changes; i++) {
        sorted[i] = &change[i];
    }
    qsort(sorted, changes, sizeof(*sorted), change_order);
    *ret_sorted = sorted;
    *ret_list = list;
    return WEIR_OK;
}

/* The list, if nothing is missing and it is none too long. */
static enum weir_err finish(struct weir_entries *list, bool made, struct weir_entries **ret_entries)
{
    if (made && list->count <= WEIR_ENTRIES_MAX) {
        *ret_entries = list;
        return WEIR_OK;
    }
    weir_entries_let_go(list);
    return made ? WEIR_ERR_LIMIT : WEIR_ERR_NOMEM;
}

enum weir_err weir_entries_with(const struct weir_entries *before,
                                const struct weir_entry_change *change, size_t changes,
                                struct weir_entries **ret_entries)
{
    const struct weir_entry_change **sorted;
    struct weir_entries *list;
    WEIR_TRY(prepare(before, change, changes, &sorted, &list));
    bool made = merge(before, false, sorted, changes, list);
    weir_free(sorted);
    return finish(list, made, ret_entries);
}

enum weir_err weir_entries_add(struct weir_entries **entries,
                               const struct weir_entry_change *change, size_t changes)
{
    const struct weir_entry_change **sorted;
    struct weir_entries *before = *entries, *list;
    bool alone = atomic_load_explicit(&before->_keepers, memory_order_acquire) == 1;
    *entries = NULL;
    enum weir_err err = prepare(before, change, changes, &sorted, &list);
    if (err == WEIR_OK) {
        bool made = merge(before, alone, sorted, changes, list);
        if (alone) {
            before->count = 0; /* they have moved */
        }
        weir_free(sorted);
        err = finish(list, made, entries);
    }
    weir_entries_let_go(before);
    return err;
}

/* ---- a document ---- */

static const struct weir_str head = WEIR_STR_INIT("{\"weir_registry\":1,\"entries\":{");

void weir_entries_write(const struct weir_entries *entries, struct weir_buf *b)
{
    weir_buf_str(b, head);
    for (size_t i = 0; i < entries->count; i++) {
        weir_buf_str(b, i > 0 ? WEIR_STR(",\n") : WEIR_STR("\n"));
        weir_buf_json(b, entries->entry[i]->name);
        weir_buf_char(b, ':');
        weir_buf_str(b, entries->entry[i]->text);
    }
    WEIR_BUF_LIT(b, "\n}}\n");
}

/* Reads a document from its head on, an entry at a time: all of it at once would take a node for
 * each value. */
struct reader {
    struct weir_str text; /* what is left */
    struct weir_json json;
    struct weir_buf space; /* for a name with escapes */
};

static void skip_space(struct reader *r)
{
    while (r->text.len > 0 && strchr(" \t\r\n", r->text.p[0]) != NULL && r->text.p[0] != '\0') {
        r->text = weir_str(r->text.p + 1, r->text.len - 1);
    }
}

static bool take(struct reader *r, struct weir_str what)
{
    skip_space(r);
    if (!weir_str_starts(r->text, what)) {
        return false;
    }
    r->text = weir_str(r->text.p + what.len, r->text.len - what.len);
    return true;
}

/* The bytes of a string or of an object that stand here, which are taken; whether they are right is
 * still to be seen. p NULL: they do not end. */
static struct weir_str take_value(struct reader *r)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < r->text.len; i++) {
        char c = r->text.p[i];
        if (in_string && c == '\\') {
            i++;
            continue;
        }
        if (c == '"') {
            in_string = !in_string;
        } else if (!in_string) {
            depth += c == '{';
            depth -= c == '}' && depth > 0;
        }
        if (!in_string && depth == 0) {
            struct weir_str value = weir_str(r->text.p, i + 1);
            r->text = weir_str(r->text.p + i + 1, r->text.len - i - 1);
            return value;
        }
    }
    return weir_str(NULL, 0);
}

static enum weir_err value_of(struct reader *r, enum weir_json_kind kind, struct weir_str *ret_raw)
{
    skip_space(r);
    *ret_raw = take_value(r);
    if (ret_raw->p == NULL) {
        return WEIR_ERR_INVALID;
    }
    WEIR_TRY(weir_json_parse(&r->json, *ret_raw));
    return weir_json_root(&r->json)->kind == kind ? WEIR_OK : WEIR_ERR_INVALID;
}

/* One entry, whose name may be in `space`. */
static enum weir_err read_entry(struct reader *r, struct weir_entry **ret_entry)
{
    struct weir_str raw;
    WEIR_TRY(value_of(r, WEIR_JSON_STRING, &raw));
    weir_buf_reset(&r->space);
    struct weir_str name = weir_json_string(&r->json, weir_json_root(&r->json), &r->space);
    if (r->space.failed) {
        return WEIR_ERR_NOMEM;
    }
    if (!weir_entry_name_valid(name) || !take(r, WEIR_STR(":"))) {
        return WEIR_ERR_INVALID;
    }
    WEIR_TRY(value_of(r, WEIR_JSON_OBJECT, &raw));
    if (raw.len > WEIR_ENTRY_TEXT_MAX) {
        return WEIR_ERR_INVALID;
    }
    *ret_entry = entry_new(name, raw);
    return *ret_entry == NULL ? WEIR_ERR_NOMEM : WEIR_OK;
}

static int entry_order(const void *a, const void *b)
{
    const struct weir_entry *const *x = a, *const *y = b;
    return name_order((*x)->name, (*y)->name);
}

/* In the order of their names. WEIR_ERR_INVALID: one is there twice. */
static enum weir_err sort(struct weir_entries *list)
{
    qsort(list->entry, list->count, sizeof(list->entry[0]), entry_order);
    for (size_t i = 1; i < list->count; i++) {
        if (weir_str_eq(list->entry[i - 1]->name, list->entry[i]->name)) {
            return WEIR_ERR_INVALID;
        }
    }
    return WEIR_OK;
}

/* Room for one more. */
static enum weir_err grow(struct weir_entries **list, size_t *room)
{
    if ((*list)->count < *room) {
        return WEIR_OK;
    }
    size_t wanted = *room * 2;
    struct weir_entries *more =
        weir_realloc(*list, sizeof(**list) + wanted * sizeof((*list)->entry[0]));
    if (more == NULL) {
        return WEIR_ERR_NOMEM;
    }
    *list = more;
    *room = wanted;
    return WEIR_OK;
}

static enum weir_err read_list(struct reader *r, struct weir_entries **list, size_t room)
{
    if (!take(r, head)) {
        return WEIR_ERR_INVALID;
    }
    while (!take(r, WEIR_STR("}}"))) {
        if ((*list)->count > 0 && !take(r, WEIR_STR(","))) {
            return WEIR_ERR_INVALID;
        }
        if ((*list)->count == WEIR_ENTRIES_MAX) {
            return WEIR_ERR_INVALID;
        }
        WEIR_TRY(grow(list, &room));
        WEIR_TRY(read_entry(r, &(*list)->entry[(*list)->count]));
        (*list)->count++;
    }
    skip_space(r);
    return r->text.len > 0 ? WEIR_ERR_INVALID : sort(*list);
}

static enum weir_err read_document(struct reader *r, struct weir_entries **ret_entries)
{
    enum { ROOM = 64 };
    struct weir_entries *list = list_new(ROOM);
    if (list == NULL) {
        return WEIR_ERR_NOMEM;
    }
    enum weir_err err = read_list(r, &list, ROOM);
    if (err != WEIR_OK) {
        weir_entries_let_go(list);
        return err;
    }
    *ret_entries = list;
    return WEIR_OK;
}

enum weir_err weir_entries_read(struct weir_str text, struct weir_entries **ret_entries,
                                char *ret_why, size_t room)
{
    struct reader r = {.text = text};
    weir_json_init(&r.json);
    weir_buf_init(&r.space, text.len + 1);
    enum weir_err err = read_document(&r, ret_entries);
    weir_buf_deinit(&r.space);
    weir_json_deinit(&r.json);
    if (err != WEIR_OK) {
        snprintf(
            ret_why, room, "%s",
            err == WEIR_ERR_NOMEM
                ? "out of memory"
                : "expected a registry as weir writes it, {\"weir_registry\":1,\"entries\":{}}");
    }
    return err;
}
