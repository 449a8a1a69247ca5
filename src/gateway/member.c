/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/member.h"

#define OTHER_NAME UINT32_MAX

void weir_member_init(struct weir_member *m, struct weir_member_path path)
{
    *m = (struct weir_member){._path = path};
    weir_buf_init(&m->_value, WEIR_MEMBER_MAX);
    weir_member_reset(m);
}

void weir_member_deinit(struct weir_member *m)
{
    weir_buf_deinit(&m->_value);
}

void weir_member_reset(struct weir_member *m)
{
    struct weir_buf value = m->_value;
    weir_buf_reset(&value);
    *m = (struct weir_member){._path = m->_path, ._value = value, ._level = 1};
}

/* The name that is looked for in the object of the present level. */
static struct weir_str wanted(const struct weir_member *m)
{
    return m->_level == 1 && m->_path.in.len > 0 ? m->_path.in : m->_path.name;
}

/* The next byte of a name. */
static void match(struct weir_member *m, char c)
{
    struct weir_str name = wanted(m);
    if (m->_matched < name.len && name.p[m->_matched] == c) {
        m->_matched++;
    } else {
        m->_matched = OTHER_NAME;
    }
}

/* A byte in a string. */
static void string_byte(struct weir_member *m, char c)
{
    if (m->_escape) {
        m->_escape = false;
    } else if (c == '"') {
        m->_string = false;
        return;
    } else {
        m->_escape = c == '\\';
    }
    if (m->_naming) {
        match(m, c);
    }
}

/* Behind the name: its value begins. */
static void value_begins(struct weir_member *m)
{
    bool found = m->_matched == wanted(m).len && m->_matched > 0;
    m->_naming = false;
    if (found && m->_level == 1 && m->_path.in.len > 0) {
        m->_entering = true;
    } else if (found) { /* of two the last */
        weir_buf_reset(&m->_value);
        m->_whole = false;
        m->_taking = true;
    }
}

/* What is between the values of the object whose names count. */
static void level_byte(struct weir_member *m, char c)
{
    if (c == ':' && m->_naming) {
        value_begins(m);
    } else if (c == ',' || c == '}') {
        m->_whole |= m->_taking;
        m->_taking = m->_entering = false;
        m->_naming = c == ',';
        m->_matched = 0;
    }
}

static void open_brace(struct weir_member *m, char c)
{
    if (c == '{' && (m->_depth == 0 || (m->_entering && m->_depth == 1))) {
        m->_level = m->_depth + 1;
        m->_naming = true;
        m->_matched = 0;
    }
    m->_depth += m->_depth < UINT32_MAX;
}

static void close_brace(struct weir_member *m)
{
    m->_depth -= m->_depth > 0;
    if (m->_depth == 1) {
        m->_level = 1;
    }
}

static void byte(struct weir_member *m, char c)
{
    if (m->_string) {
        string_byte(m, c);
        return;
    }
    if (m->_depth == m->_level) {
        level_byte(m, c);
    }
    if (c == '"') {
        m->_string = m->_depth > 0;
    } else if (c == '{' || c == '[') {
        open_brace(m, c);
    } else if (c == '}' || c == ']') {
        close_brace(m);
    }
}

/* The next byte that says something: of a string its end and an escape, of a value in which no name
 * counts what opens and closes. Brackets are braces less 32. */
static const char *skip(const struct weir_member *m, const char *p, const char *end)
{
    if (m->_string) {
        while (p < end && *p != '"' && *p != '\\') {
            p++;
        }
    } else if (m->_depth > m->_level) {
        while (p < end && *p != '"' && (*p | 32) != '{' && (*p | 32) != '}') {
            p++;
        }
    }
    return p;
}

void weir_member_feed(struct weir_member *m, struct weir_str bytes)
{
    const char *p = bytes.p, *end = p + bytes.len;
    const char *value = p; /* what is taken of these bytes begins here */
    for (; p < end; p++) {
        if (!m->_escape && !(m->_string && m->_naming)) {
            p = skip(m, p, end);
            if (p == end) {
                break;
            }
        }
        bool taking = m->_taking;
        byte(m, *p);
        if (!taking && m->_taking) {
            value = p + 1;
        } else if (taking && !m->_taking) {
            weir_buf_append(&m->_value, value, (size_t)(p - value));
        }
    }
    if (m->_taking) {
        weir_buf_append(&m->_value, value, (size_t)(end - value));
    }
}

struct weir_str weir_member_value(const struct weir_member *m)
{
    return m->_whole && !m->_value.failed ? weir_buf_view(&m->_value) : weir_str("", 0);
}
