/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/member.h"

#define OTHER_NAME UINT32_MAX

void weir_member_init(struct weir_member *m, struct weir_str name)
{
    *m = (struct weir_member){._name = name};
    weir_buf_init(&m->_value, WEIR_MEMBER_MAX);
}

void weir_member_deinit(struct weir_member *m)
{
    weir_buf_deinit(&m->_value);
}

/* The next byte of a name. */
static void match(struct weir_member *m, char c)
{
    if (m->_matched < m->_name.len && m->_name.p[m->_matched] == c) {
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

/* What is between the values of the outermost object. */
static void outer_byte(struct weir_member *m, char c)
{
    if (c == ':' && m->_naming) {
        m->_naming = false;
        m->_taking = m->_matched == m->_name.len;
        if (m->_taking) { /* of two the last */
            weir_buf_reset(&m->_value);
            m->_whole = false;
        }
    } else if (c == ',' || c == '}') {
        m->_whole |= m->_taking;
        m->_taking = false;
        m->_naming = c == ',';
        m->_matched = 0;
    }
}

static void byte(struct weir_member *m, char c)
{
    if (m->_string) {
        string_byte(m, c);
        return;
    }
    if (m->_depth == 1) {
        outer_byte(m, c);
    }
    if (c == '"') {
        m->_string = true;
    } else if (c == '{' || c == '[') {
        m->_naming = m->_depth == 0 && c == '{';
        m->_depth += m->_depth < UINT32_MAX;
    } else if (c == '}' || c == ']') {
        m->_depth -= m->_depth > 0;
    }
}

void weir_member_feed(struct weir_member *m, struct weir_str bytes)
{
    for (const char *p = bytes.p, *end = p + bytes.len; p < end; p++) {
        bool taking = m->_taking;
        byte(m, *p);
        if (taking && m->_taking) {
            weir_buf_char(&m->_value, *p);
        }
    }
}

struct weir_str weir_member_value(const struct weir_member *m)
{
    return m->_whole && !m->_value.failed ? weir_buf_view(&m->_value) : weir_str("", 0);
}
