/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/mem.h"
#include "base/utf8.h"

enum { ROOM_FIRST = 64, ROOM_KEEP = 16384, NUMBER_TEXT_MAX = 400 };

void weir_json_init(struct weir_json *j)
{
    *j = (struct weir_json){0};
}

void weir_json_deinit(struct weir_json *j)
{
    weir_free(j->node);
    weir_json_init(j);
}

/* What is being read. */
struct scan {
    struct weir_json *j;
    const char *p, *end;
    enum weir_err err;
    uint32_t open[WEIR_JSON_DEPTH_MAX]; /* lists and objects that are not closed yet */
    unsigned depth;
};

static bool fail(struct scan *s, enum weir_err err)
{
    s->err = err;
    return false;
}

/* The byte here; NUL at the end, which nothing begins with. */
static char peek(const struct scan *s)
{
    return s->p < s->end ? *s->p : '\0';
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t')) {
        s->p++;
    }
}

static bool node_add(struct scan *s, enum weir_json_kind kind, const char *from, const char *to)
{
    struct weir_json *j = s->j;
    if (WEIR_UNLIKELY(j->nodes == j->room)) {
        uint32_t room = j->room == 0 ? ROOM_FIRST : j->room * 2;
        if (room > WEIR_JSON_NODES_MAX) {
            return fail(s, WEIR_ERR_LIMIT);
        }
        struct weir_json_node *node = weir_realloc(j->node, room * sizeof(*node));
        if (node == NULL) {
            return fail(s, WEIR_ERR_NOMEM);
        }
        j->node = node;
        j->room = room;
    }
    j->node[j->nodes] = (struct weir_json_node){
        .at = (uint32_t)(from - j->text.p),
        .len = (uint32_t)(to - from),
        .past = j->nodes + 1,
        .kind = (uint8_t)kind,
    };
    j->nodes++;
    return true;
}

/* ---- strings ---- */

#define BYTES(b) (UINT64_C(0x0101010101010101) * (b))

static uint64_t zero_bytes(uint64_t word)
{
    return (word - BYTES(1)) & ~word & BYTES(0x80);
}

/* The first quote, backslash or control character from p on, or `end`: eight bytes at once. Marks
 * above the lowest may be false, the lowest is true. */
static const char *find_special(const char *p, const char *end)
{
    for (; (size_t)(end - p) >= sizeof(uint64_t); p += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        uint64_t marks = zero_bytes(word ^ BYTES('"')) | zero_bytes(word ^ BYTES('\\')) |
                         ((word - BYTES(0x20)) & ~word & BYTES(0x80));
        if (marks != 0) {
            return p + __builtin_ctzll(marks) / 8;
        }
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) {
        p++;
    }
    return p;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The four digits of \uXXXX at p, or -1. */
static int32_t hex_unit(const char *p, const char *end)
{
    int32_t unit = 0;
    if (end - p < 4) {
        return -1;
    }
    for (unsigned i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

/* The length of the escape at p, behind its backslash; 0: it is none. */
static size_t escape_bytes(const char *p, const char *end)
{
    if (p == end) {
        return 0;
    }
    if (*p == 'u') {
        return hex_unit(p + 1, end) < 0 ? 0 : 5;
    }
    return *p != '\0' && strchr("\"\\/bfnrt", *p) != NULL ? 1 : 0;
}

/* At an opening quote. */
static bool scan_string(struct scan *s)
{
    const char *from = s->p + 1;
    const char *p = from;
    bool escaped = false;
    for (;;) {
        p = find_special(p, s->end);
        if (p == s->end || (unsigned char)*p < 0x20) {
            return fail(s, WEIR_ERR_INVALID);
        }
        if (*p == '"') {
            break;
        }
        size_t bytes = escape_bytes(p + 1, s->end);
        if (bytes == 0) {
            return fail(s, WEIR_ERR_INVALID);
        }
        p += 1 + bytes;
        escaped = true;
    }
    s->p = p + 1;
    if (!node_add(s, WEIR_JSON_STRING, from, p)) {
        return false;
    }
    s->j->node[s->j->nodes - 1].escaped = escaped;
    return true;
}

/* ---- numbers and words ---- */

static bool skip_digits(struct scan *s)
{
    const char *from = s->p;
    while (peek(s) >= '0' && peek(s) <= '9') {
        s->p++;
    }
    return s->p > from;
}

static bool scan_number(struct scan *s)
{
    const char *from = s->p;
    s->p += peek(s) == '-';
    const char *digits = s->p;
    bool good = skip_digits(s) && (*digits != '0' || s->p == digits + 1);
    if (good && peek(s) == '.') {
        s->p++;
        good = skip_digits(s);
    }
    if (good && (peek(s) == 'e' || peek(s) == 'E')) {
        s->p++;
        s->p += peek(s) == '+' || peek(s) == '-';
        good = skip_digits(s);
    }
    return good ? node_add(s, WEIR_JSON_NUMBER, from, s->p) : fail(s, WEIR_ERR_INVALID);
}

static bool scan_word(struct scan *s, struct weir_str word, enum weir_json_kind kind)
{
    if (!weir_str_starts(weir_str(s->p, (size_t)(s->end - s->p)), word)) {
        return fail(s, WEIR_ERR_INVALID);
    }
    s->p += word.len;
    return node_add(s, kind, s->p - word.len, s->p);
}

/* ---- lists and objects ---- */

static bool open_node(struct scan *s, enum weir_json_kind kind)
{
    if (s->depth == WEIR_JSON_DEPTH_MAX) {
        return fail(s, WEIR_ERR_LIMIT);
    }
    s->open[s->depth++] = s->j->nodes;
    s->p++;
    return node_add(s, kind, s->p - 1, s->p);
}

static void close_node(struct scan *s)
{
    struct weir_json_node *n = &s->j->node[s->open[--s->depth]];
    s->p++;
    n->len = (uint32_t)(s->p - s->j->text.p) - n->at;
    n->past = s->j->nodes;
}

/* The name of a member and its colon. */
static bool scan_name(struct scan *s)
{
    skip_space(s);
    if (peek(s) != '"') {
        return fail(s, WEIR_ERR_INVALID);
    }
    if (!scan_string(s)) {
        return false;
    }
    skip_space(s);
    if (peek(s) != ':') {
        return fail(s, WEIR_ERR_INVALID);
    }
    s->p++;
    return true;
}

static bool in_object(const struct scan *s)
{
    return s->j->node[s->open[s->depth - 1]].kind == WEIR_JSON_OBJECT;
}

/* A value, or only its opening bracket (and the first name). *ret_whole: nothing of it is to come.
 */
static bool scan_value(struct scan *s, bool *ret_whole)
{
    *ret_whole = true;
    skip_space(s);
    switch (peek(s)) {
    case '{':
        if (!open_node(s, WEIR_JSON_OBJECT)) {
            return false;
        }
        skip_space(s);
        *ret_whole = peek(s) == '}';
        return *ret_whole ? (close_node(s), true) : scan_name(s);
    case '[':
        if (!open_node(s, WEIR_JSON_ARRAY)) {
            return false;
        }
        skip_space(s);
        *ret_whole = peek(s) == ']';
        return *ret_whole ? (close_node(s), true) : true;
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, WEIR_STR("true"), WEIR_JSON_TRUE);
    case 'f':
        return scan_word(s, WEIR_STR("false"), WEIR_JSON_FALSE);
    case 'n':
        return scan_word(s, WEIR_STR("null"), WEIR_JSON_NULL);
    default:
        return scan_number(s);
    }
}

/* Behind a value: closes what ends here, up to a comma. False: an error, or the end of all (then
 * err is WEIR_OK). */
static bool scan_to_next(struct scan *s)
{
    while (s->depth > 0) {
        skip_space(s);
        bool object = in_object(s);
        if (peek(s) == ',') {
            s->p++;
            return !object || scan_name(s);
        }
        if (peek(s) != (object ? '}' : ']')) {
            return fail(s, WEIR_ERR_INVALID);
        }
        close_node(s);
    }
    return false;
}

enum weir_err weir_json_parse(struct weir_json *j, struct weir_str text)
{
    struct scan s;
    s.j = j;
    s.p = text.p;
    s.end = text.p + text.len;
    s.err = WEIR_OK;
    s.depth = 0;
    if (j->room > ROOM_KEEP) {
        weir_json_deinit(j);
    }
    j->text = text;
    j->nodes = 0;
    if (text.len > UINT32_MAX / 2) {
        return WEIR_ERR_LIMIT;
    }
    if (text.len == 0 || !weir_utf8_valid(text)) {
        return WEIR_ERR_INVALID;
    }
    bool whole;
    while (scan_value(&s, &whole) && (!whole || scan_to_next(&s))) {
    }
    skip_space(&s);
    if (s.err == WEIR_OK && s.p < s.end) {
        s.err = WEIR_ERR_INVALID;
    }
    if (s.err != WEIR_OK) {
        j->nodes = 0;
    }
    return s.err;
}

/* ---- values ---- */

static void append_point(struct weir_buf *b, uint32_t c)
{
    char bytes[4];
    size_t n = 0;
    if (c < 0x80) {
        bytes[n++] = (char)c;
    } else if (c < 0x800) {
        bytes[n++] = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        bytes[n++] = (char)(0xe0 | c >> 12);
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        bytes[n++] = (char)(0xf0 | c >> 18);
        bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80) {
        bytes[n++] = (char)(0x80 | (c & 0x3f));
    }
    weir_buf_append(b, bytes, n);
}

/* The code point of the \u escape whose digits begin at *p, which is moved behind it. */
static uint32_t read_unicode(const char **p, const char *end)
{
    uint32_t unit = (uint32_t)hex_unit(*p, end);
    *p += 4;
    if (unit < 0xd800 || unit > 0xdfff) {
        return unit;
    }
    if (unit < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        uint32_t low = (uint32_t)hex_unit(*p + 2, end);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *p += 6;
            return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

static void decode(struct weir_str raw, struct weir_buf *space)
{
    static const char names[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    const char *end = raw.p + raw.len;
    for (const char *p = raw.p; p < end;) {
        const char *backslash = memchr(p, '\\', (size_t)(end - p));
        if (backslash == NULL) {
            weir_buf_append(space, p, (size_t)(end - p));
            return;
        }
        weir_buf_append(space, p, (size_t)(backslash - p));
        p = backslash + 2;
        if (p[-1] == 'u') {
            append_point(space, read_unicode(&p, end));
        } else {
            const char *name = strchr(names, p[-1]);
            weir_buf_char(space, name == NULL ? p[-1] : meanings[name - names]);
        }
    }
}

struct weir_str weir_json_string(const struct weir_json *j, const struct weir_json_node *n,
                                 struct weir_buf *space)
{
    WEIR_ASSERT(n->kind == WEIR_JSON_STRING);
    struct weir_str raw = weir_json_raw(j, n);
    if (!n->escaped) {
        return raw;
    }
    size_t from = space->len;
    /* decoded it is never longer; now the bytes do not move any more */
    if (!weir_buf_reserve(space, raw.len)) {
        return weir_str(raw.p, 0);
    }
    decode(raw, space);
    return weir_str(space->data + from, space->len - from);
}

bool weir_json_escaped_is(const struct weir_json *j, const struct weir_json_node *n,
                          struct weir_str text)
{
    struct weir_buf space;
    if (text.len >= n->len || text.len < n->len / 6) {
        return false; /* an escape has two bytes for one, or up to six */
    }
    weir_buf_init(&space, (size_t)n->len + 1);
    bool is = weir_str_eq(weir_json_string(j, n, &space), text) && !space.failed;
    weir_buf_deinit(&space);
    return is;
}

/* A number with a fraction or an exponent. */
static double double_of(struct weir_str raw)
{
    char text[NUMBER_TEXT_MAX];
    if (raw.len >= sizeof(text)) {
        return -1.0;
    }
    memcpy(text, raw.p, raw.len);
    text[raw.len] = '\0';
    return strtod(text, NULL);
}

enum weir_err weir_json_u64(const struct weir_json *j, const struct weir_json_node *n, uint64_t max,
                            uint64_t *ret_value)
{
    if (n->kind != WEIR_JSON_NUMBER) {
        return WEIR_ERR_INVALID;
    }
    struct weir_str raw = weir_json_raw(j, n);
    enum weir_err err = weir_str_u64(raw, max, ret_value);
    if (WEIR_LIKELY(err != WEIR_ERR_INVALID)) {
        return err;
    }
    double value = double_of(raw);
    if (value > (double)max) {
        return WEIR_ERR_LIMIT;
    }
    if (!(value >= 0) || value != (double)(uint64_t)value) {
        return WEIR_ERR_INVALID;
    }
    *ret_value = (uint64_t)value;
    return WEIR_OK;
}

const struct weir_json_node *weir_json_member(const struct weir_json *j,
                                              const struct weir_json_node *in, const char *name)
{
    if (in == NULL || in->kind != WEIR_JSON_OBJECT) {
        return NULL;
    }
    for (const struct weir_json_node *n = weir_json_first(j, in); n != NULL;
         n = weir_json_next(j, in, n + 1)) {
        if (weir_json_string_is(j, n, weir_str_z(name))) {
            return n + 1;
        }
    }
    return NULL;
}
