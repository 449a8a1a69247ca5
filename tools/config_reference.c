/* SPDX-License-Identifier: Apache-2.0 */
/* config_reference.c - copies docs/configuration.md from stdin to stdout, with the tables of the
 * sections made anew from the fields (src/config/fields.c). The table of a section stands between
 * the lines "<!-- fields SECTION:begin -->" and "<!-- fields SECTION:end -->"; "top" is the top
 * level. Exit code 1, and a line on stderr: a field without a description or of a section that has
 * no such lines, or a file that cannot be copied. */
#include "base/mem.h"
#include "config/parse.h"

static bool in_section(const struct weir_option *o, struct weir_str section)
{
    const char *name = o->section[0] == '\0' ? "top" : o->section;
    return weir_str_eq(weir_str_z(name), section);
}

/* A number in the form that the file takes: 86400 of a duration as 1day. */
static void print_number(const struct weir_option *o, uint64_t value)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"day", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
    size_t i = 0;
    if (!o->duration) {
        printf("%llu", (unsigned long long)value);
        return;
    }
    while (value % units[i].seconds != 0) {
        i++;
    }
    printf("%llu%s", (unsigned long long)(value / units[i].seconds), units[i].name);
}

static void print_cell(const char *text)
{
    printf("%s%s|", text, text[0] == '\0' ? "" : " ");
}

static void print_row(const struct weir_option *o, const struct weir_config *defaults)
{
    printf("| `%s` | ", o->name);
    print_cell(o->type);
    printf(" ");
    if (weir_option_is_number(o)) {
        print_number(o, o->min);
        printf(" to ");
        print_number(o, o->max);
        printf(" | ");
    } else {
        print_cell(o->range);
        printf(" ");
    }
    if (o->fallback == NULL) {
        print_number(o, weir_option_value(o, defaults));
        printf(" | ");
    } else {
        print_cell(o->fallback);
        printf(" ");
    }
    print_cell(o->meaning);
    printf("\n");
}

/* Prints the rows of the section, and counts them. */
static size_t print_table(struct weir_str section, const struct weir_config *defaults)
{
    size_t count, printed = 0;
    const struct weir_option *options = weir_options(&count);
    printf("| field | type | range | default | meaning |\n|---|---|---|---|---|\n");
    for (const struct weir_option *o = options; o < options + count; o++) {
        if (in_section(o, section)) {
            print_row(o, defaults);
            printed++;
        }
    }
    return printed;
}

/* Whether the line is "<!-- fields SECTION:<end> -->". */
static bool is_mark(struct weir_str line, struct weir_str end, struct weir_str *ret_section)
{
    const struct weir_str begin = WEIR_STR("<!-- fields ");
    if (line.len < begin.len + end.len || !weir_str_starts(line, begin) ||
        memcmp(line.p + line.len - end.len, end.p, end.len) != 0) {
        return false;
    }
    *ret_section = weir_str(line.p + begin.len, line.len - begin.len - end.len);
    return true;
}

/* Copies the page; returns how many rows its tables have. */
static size_t copy_page(const struct weir_config *defaults)
{
    char *buf = NULL;
    size_t room = 0, rows = 0;
    bool in_table = false;
    for (ssize_t len = getline(&buf, &room, stdin); len > 0; len = getline(&buf, &room, stdin)) {
        struct weir_str line = weir_str(buf, (size_t)len), section;
        in_table = in_table && !is_mark(line, WEIR_STR(":end -->\n"), &section);
        if (in_table) {
            continue;
        }
        fwrite(buf, 1, line.len, stdout);
        in_table = is_mark(line, WEIR_STR(":begin -->\n"), &section);
        if (in_table) {
            rows += print_table(section, defaults);
        }
    }
    free(buf);
    return rows;
}

static bool all_described(const struct weir_option *options, size_t count)
{
    for (const struct weir_option *o = options; o < options + count; o++) {
        if (o->type == NULL || o->meaning == NULL || o->meaning[0] == '\0' ||
            (!weir_option_is_number(o) && (o->range == NULL || o->fallback == NULL))) {
            fprintf(stderr, "config_reference: %s%s%s has no description\n", o->section,
                    o->section[0] == '\0' ? "" : ".", o->name);
            return false;
        }
    }
    return true;
}

int main(void)
{
    size_t count;
    const struct weir_option *options = weir_options(&count);
    struct weir_config *defaults;
    struct weir_config_error error;
    if (!all_described(options, count) ||
        weir_config_parse(WEIR_STR(""), NULL, &defaults, &error) != WEIR_OK) {
        return EXIT_FAILURE;
    }
    size_t rows = copy_page(defaults);
    weir_config_free(defaults);
    if (rows != count) {
        fprintf(stderr, "config_reference: %zu fields, and the page has tables for %zu\n", count,
                rows);
        return EXIT_FAILURE;
    }
    return ferror(stdin) != 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
