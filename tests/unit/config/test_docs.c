/* SPDX-License-Identifier: Apache-2.0 */
/* docs/configuration.md against the table of fields and the parser; every example must be right. */
#include "base/buf.h"
#include "config/parse.h"
#include "support/configs.h"

static void read_page(const char *name, struct weir_buf *b)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", WEIR_SOURCE_DIR, name);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    weir_buf_init(b, 1 << 20);
    assert_true(weir_buf_reserve(b, 1 << 20));
    b->len = fread(b->data, 1, b->room, f);
    assert_true(b->len > 0 && b->len < b->room);
    fclose(f);
}

static struct weir_str take_line(struct weir_str *rest)
{
    const char *end = memchr(rest->p, '\n', rest->len);
    struct weir_str line = weir_str(rest->p, end == NULL ? rest->len : (size_t)(end - rest->p));
    size_t used = line.len + (end != NULL);
    *rest = weir_str(rest->p + used, rest->len - used);
    return line;
}

/* ---- the tables ---- */

enum { CELLS = 4 };

/* The cells of a row, without the backticks around one: field, type, range, default. False: no row.
 */
static bool take_cells(struct weir_str line, struct weir_str cell[static CELLS])
{
    if (!weir_str_starts(line, WEIR_STR("| `"))) {
        return false;
    }
    line = weir_str(line.p + 1, line.len - 1);
    for (unsigned i = 0; i < CELLS; i++) {
        const char *bar = memchr(line.p, '|', line.len);
        if (bar == NULL) {
            return false;
        }
        size_t len = (size_t)(bar - line.p);
        cell[i] = weir_str_trim(weir_str(line.p, len));
        if (cell[i].len >= 2 && cell[i].p[0] == '`' && cell[i].p[cell[i].len - 1] == '`') {
            cell[i] = weir_str(cell[i].p + 1, cell[i].len - 2);
        }
        line = weir_str(line.p + len + 1, line.len - len - 1);
    }
    return true;
}

/* A section of the file, and what stands around a field of it. */
struct section {
    const char *heading, *name, *open, *close;
};

/* The one that a heading describes; NULL: none. */
static const struct section *section_of(struct weir_str heading)
{
    static const struct section known[] = {
        {"## Top level", "", "", ""},
        {"## Plans", "plans", "plans: {p: {", "}}"},
        {"## Teams and orgs", "teams", "teams: [{", "}]"},
        {"## Keys", "keys", "keys: [{", "}]"},
        {"## Models", "models", "models: {m: {", "}}"},
        {"## Upstreams", "upstreams", "upstreams: [{", "}]"},
        {"### TLS", "store_tls", "store_tls: {", "}"},
        {"## admin", "admin", "admin: {", "}"},
        {"## http", "http", "http: {", "}"},
        {"## mock", "mock", "mock: {", "}"},
        {"### mock.output_tokens", "mock.output_tokens", "mock: {output_tokens: {", "}}"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (weir_str_eq(heading, weir_str_z(known[i].heading))) {
            return &known[i];
        }
    }
    return NULL;
}

static bool is_value(const struct weir_option *o, struct weir_str text, uint64_t value)
{
    uint64_t number;
    bool read =
        o->duration ? weir_parse_duration_s(text, &number) : weir_parse_amount(text, &number);
    return read && number == value;
}

static void check_row(const struct weir_option *o, const struct weir_str cell[static CELLS],
                      const struct weir_config *defaults)
{
    const char *to = memmem(cell[2].p, cell[2].len, " to ", 4);
    assert_non_null(to);
    struct weir_str min = weir_str(cell[2].p, (size_t)(to - cell[2].p));
    struct weir_str max = weir_str(to + 4, cell[2].len - min.len - 4);
    bool per_core =
        strcmp(o->name, "workers") == 0 && weir_str_eq(cell[3], WEIR_STR("one per core"));
    if (!is_value(o, min, o->min) || !is_value(o, max, o->max) ||
        (!per_core && !is_value(o, cell[3], weir_option_value(o, defaults)))) {
        fail_msg("%s %s: %llu to %llu, default %llu, and the page says %.*s, %.*s", o->section,
                 o->name, (unsigned long long)o->min, (unsigned long long)o->max,
                 (unsigned long long)weir_option_value(o, defaults), (int)cell[2].len, cell[2].p,
                 (int)cell[3].len, cell[3].p);
    }
}

/* A field that is no number: the parser must know it. */
static void check_known(const struct section *section, struct weir_str field)
{
    char yaml[256];
    struct weir_config *c = NULL;
    struct weir_config_error error;
    snprintf(yaml, sizeof(yaml), "%s%.*s: [[]]%s\n", section->open, (int)field.len, field.p,
             section->close);
    assert_int_equal(weir_config_parse(weir_str_z(yaml), NULL, &c, &error), WEIR_ERR_INVALID);
    if (strstr(error.text, "unknown field") != NULL) {
        fail_msg("the page has %.*s: %s", (int)field.len, field.p, error.text);
    }
}

static void test_page_and_table(void **state)
{
    (void)state;
    struct weir_buf page;
    read_page("docs/configuration.md", &page);
    struct weir_config *defaults = taken("");
    size_t count, seen = 0;
    const struct weir_option *options = weir_options(&count);
    const struct section *section = NULL;
    for (struct weir_str rest = weir_buf_view(&page); rest.len > 0;) {
        struct weir_str line = take_line(&rest), cell[CELLS];
        if (line.len > 0 && line.p[0] == '#') {
            section = section_of(line);
        }
        if (section == NULL || !take_cells(line, cell)) {
            continue;
        }
        const struct weir_option *o = options;
        while (o < options + count && (strcmp(o->section, section->name) != 0 ||
                                       !weir_str_eq(weir_str_z(o->name), cell[0]))) {
            o++;
        }
        seen += o < options + count;
        if (o < options + count && weir_option_is_number(o)) {
            check_row(o, cell, defaults);
        } else {
            check_known(section, cell[0]);
        }
    }
    assert_int_equal(seen,
                     count); /* no field of the table is missing from the page, or there twice */
    weir_config_free(defaults);
    weir_buf_deinit(&page);
}

/* ---- the examples ---- */

static unsigned check_blocks(const char *name)
{
    struct weir_buf page;
    unsigned blocks = 0;
    read_page(name, &page);
    for (struct weir_str rest = weir_buf_view(&page); rest.len > 0;) {
        if (!weir_str_eq(take_line(&rest), WEIR_STR("```yaml"))) {
            continue;
        }
        const char *from = rest.p;
        const char *end = memmem(rest.p, rest.len, "\n```", 4);
        assert_non_null(end);
        weir_config_free(taken_bytes(weir_str(from, (size_t)(end - from) + 1)));
        rest = weir_str(end + 4, rest.len - (size_t)(end + 4 - from));
        blocks++;
    }
    weir_buf_deinit(&page);
    return blocks;
}

static void test_examples(void **state)
{
    (void)state;
    assert_int_equal(setenv("WEIR_SERVICE_TOKEN", "sk-service", 1), 0);
    assert_int_equal(setenv("OPENAI_API_KEY", "sk-upstream", 1), 0);
    assert_true(check_blocks("docs/configuration.md") >= 5);
    assert_true(check_blocks("README.md") >= 1);
    static const char *const files[] = {"examples/demo.yaml", "examples/teams.yaml"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct weir_buf file;
        read_page(files[i], &file);
        struct weir_config *c = taken_bytes(weir_buf_view(&file));
        assert_true(c->keys >= 3);
        weir_config_free(c);
        weir_buf_deinit(&file);
    }
}

/* The last block of the page has every number. */
static void test_complete_example(void **state)
{
    (void)state;
    struct weir_buf page;
    read_page("docs/configuration.md", &page);
    struct weir_str all = weir_buf_view(&page);
    const char *from = memmem(all.p, all.len, "## All of it", 12);
    assert_non_null(from);
    all = weir_str(from, all.len - (size_t)(from - all.p));
    size_t count;
    const struct weir_option *options = weir_options(&count);
    for (const struct weir_option *o = options; o < options + count; o++) {
        char field[64];
        int len = snprintf(field, sizeof(field), "%s: ", o->name);
        if (weir_option_is_number(o) && memmem(all.p, all.len, field, (size_t)len) == NULL) {
            fail_msg("the complete example has no %s", o->name);
        }
    }
    weir_buf_deinit(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_and_table),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_complete_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
