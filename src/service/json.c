/* SPDX-License-Identifier: Apache-2.0 */
#include "service/json.h"

#include "base/mem.h"
#include "base/utf8.h"

enum { CHUNK_BYTES = 64 * 1024, ARENA_BYTES_MAX = 64 << 20, ALIGN = 16 };

struct chunk {
    struct chunk *next;
    size_t size;
    _Alignas(ALIGN) char data[];
};

/* The first chunk stays, the others go with the next request. */
static _Thread_local struct {
    struct chunk *first, *now;
    size_t used;  /* of now */
    size_t bytes; /* of all */
} arena;

static struct chunk *chunk_add(size_t size)
{
    size = size < CHUNK_BYTES ? CHUNK_BYTES : size;
    if (size > ARENA_BYTES_MAX - arena.bytes) {
        return NULL;
    }
    struct chunk *c = weir_zalloc(sizeof(*c) + size);
    if (c == NULL) {
        return NULL;
    }
    c->size = size;
    if (arena.now == NULL) {
        arena.first = c;
    } else {
        arena.now->next = c;
    }
    arena.now = c;
    arena.used = 0;
    arena.bytes += size;
    return c;
}

static void *arena_take(size_t size)
{
    if (size > ARENA_BYTES_MAX) {
        return NULL;
    }
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if ((arena.now == NULL || arena.now->size - arena.used < size) && chunk_add(size) == NULL) {
        return NULL;
    }
    void *p = arena.now->data + arena.used;
    arena.used += size;
    return p;
}

static void arena_give(void *p)
{
    (void)p; /* all goes at once */
}

static void free_from(struct chunk *c)
{
    while (c != NULL) {
        struct chunk *next = c->next;
        weir_free(c);
        c = next;
    }
}

static void arena_reset(void)
{
    if (arena.first != NULL) {
        free_from(arena.first->next);
        arena.first->next = NULL;
        arena.bytes = arena.first->size;
    }
    arena.now = arena.first;
    arena.used = 0;
}

void weir_json_init(void)
{
    cJSON_Hooks hooks = {.malloc_fn = arena_take, .free_fn = arena_give};
    cJSON_InitHooks(&hooks);
}

void weir_json_thread_end(void)
{
    free_from(arena.first);
    arena.first = arena.now = NULL;
    arena.used = arena.bytes = 0;
}

/* A NUL, escaped as it may be, would end a text of cJSON's early: what stands behind it would be
 * read by the model and counted by nobody. */
static bool escapes_nul(struct weir_str text)
{
    const char *end = text.p + text.len;
    for (const char *p = text.p; (p = memchr(p, '\\', (size_t)(end - p))) != NULL; p += 2) {
        if (end - p < 2) {
            return false;
        }
        if (end - p >= 6 && memcmp(p, "\\u0000", 6) == 0) {
            return true;
        }
    }
    return false;
}

static bool strings_hold_controls(struct weir_str text)
{
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '"') {
            inside = !inside;
        } else if (inside && text.p[i] == '\\') {
            i++;
        } else if (inside && (unsigned char)text.p[i] < 0x20) {
            return true;
        }
    }
    return false;
}

/* Control characters are blanks to cJSON, and it takes them in strings; JSON has four of them, and
 * those between tokens only. */
static bool controls_are_blanks(struct weir_str text)
{
    unsigned any = 0, other = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        unsigned control = c < 0x20;
        any |= control;
        other |= control & (unsigned)(c != '\t') & (unsigned)(c != '\n') & (unsigned)(c != '\r');
    }
    return other == 0 && (any == 0 || !strings_hold_controls(text));
}

const cJSON *weir_json_parse(struct weir_str text)
{
    arena_reset();
    if (text.len == 0 || !controls_are_blanks(text) || escapes_nul(text) ||
        !weir_utf8_valid(text)) {
        return NULL;
    }
    const char *end = NULL;
    const cJSON *root = cJSON_ParseWithLengthOpts(text.p, text.len, &end, 0);
    if (root == NULL) {
        return NULL;
    }
    for (; end < text.p + text.len; end++) {
        if (*end != ' ' && *end != '\t' && *end != '\r' && *end != '\n') {
            return NULL; /* something stands behind the value */
        }
    }
    return root;
}

const char *weir_json_fields(const cJSON *object, const char *const *name, size_t count,
                             const cJSON **ret_item)
{
    memset(ret_item, 0, count * sizeof(ret_item[0]));
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        for (size_t i = 0; i < count; i++) {
            if (strcmp(item->string, name[i]) != 0) {
                continue;
            }
            if (ret_item[i] != NULL) {
                return name[i];
            }
            ret_item[i] = item;
        }
    }
    return NULL;
}
