/* SPDX-License-Identifier: Apache-2.0 */
/* config_reference.c - copies a page from stdin to stdout, with what it says of each field made
 * anew from the table of fields (src/config/fields.c). "config_reference markdown" is for
 * docs/configuration.md: a table between "<!-- fields SECTION:begin -->" and "<!-- fields
 * SECTION:end -->". "config_reference man" is for docs/man/weir.yaml.5: entries between
 * `.\" fields SECTION:begin` and `.\" fields SECTION:end`. The section of the top level is "top".
 * Exit code 1, and a line on stderr: a field without a description, or of a section that the page
 * does not have. */
#include "base/mem.h"
#include "config/parse.h"

struct form {
    const char *name;
    struct weir_str mark;       /* what a mark begins with */
    struct weir_str begin, end; /* how it ends */
    const char *head;
    void (*print)(const struct weir_option *o, const struct weir_config *defaults);
};

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

static void print_bounds(const struct weir_option *o)
{
    print_number(o, o->min);
    printf(" to ");
    print_number(o, o->max);
}

/* ---- Markdown ---- */

static void print_cell(const char *text)
{
    printf("%s%s|", text, text[0] == '\0' ? "" : " ");
}

static void print_row(const struct weir_option *o, const struct weir_config *defaults)
{
    printf("| `%s` | %s | ", o->name, o->type);
    if (weir_option_is_number(o)) {
        print_bounds(o);
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
    printf("%s |\n", o->meaning);
}

/* ---- man ---- */

static void print_character(char c)
{
    switch (c) {
    case '-':
        printf("\\-");
        break;
    case '\'':
        printf("\\(aq");
        break;
    case '\\':
        printf("\\e");
        break;
    default:
        putchar(c);
    }
}

/* What stands in backticks in bold, if `bold`; of a link its words. */
static void print_text(const char *text, bool bold)
{
    bool code = false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '`') {
            code = !code;
            printf("%s", !bold ? "" : code ? "\\fB" : "\\fP");
        } else if (strncmp(p, "](", 2) == 0) {
            p += strcspn(p, ")");
        } else if (code || *p != '[') {
            print_character(*p);
        }
    }
}

static void print_entry(const struct weir_option *o, const struct weir_config *defaults)
{
    printf(".TP\n\\fB%s\\fP (", o->name);
    print_text(o->type, false);
    if (weir_option_is_number(o)) {
        printf(", ");
        print_bounds(o);
    } else if (o->range[0] != '\0') {
        printf(", ");
        print_text(o->range, false);
    }
    if (o->fallback == NULL) {
        printf("; default: ");
        print_number(o, weir_option_value(o, defaults));
    } else if (o->fallback[0] != '\0') {
        printf("; default: ");
        print_text(o->fallback, false);
    }
    printf(")\n");
    print_text(o->meaning, true);
    printf("\n");
}

/* ---- a page ---- */

static bool is_mark(const struct form *form, struct weir_str line, struct weir_str end,
                    struct weir_str *ret_section)
{
    if (line.len < form->mark.len + end.len || !weir_str_starts(line, form->mark) ||
        memcmp(line.p + line.len - end.len, end.p, end.len) != 0) {
        return false;
    }
    *ret_section = weir_str(line.p + form->mark.len, line.len - form->mark.len - end.len);
    return true;
}

/* Prints the fields of a section, and counts them. */
static size_t print_section(const struct form *form, struct weir_str section,
                            const struct weir_config *defaults)
{
    size_t count, printed = 0;
    const struct weir_option *options = weir_options(&count);
    printf("%s", form->head);
    for (const struct weir_option *o = options; o < options + count; o++) {
        const char *name = o->section[0] == '\0' ? "top" : o->section;
        if (weir_str_eq(weir_str_z(name), section)) {
            form->print(o, defaults);
            printed++;
        }
    }
    return printed;
}

/* Copies the page; returns how many fields it has. */
static size_t copy_page(const struct form *form, const struct weir_config *defaults)
{
    char *buf = NULL;
    size_t room = 0, fields = 0;
    bool inside = false;
    for (ssize_t len = getline(&buf, &room, stdin); len > 0; len = getline(&buf, &room, stdin)) {
        struct weir_str line = weir_str(buf, (size_t)len), section;
        inside = inside && !is_mark(form, line, form->end, &section);
        if (inside) {
            continue;
        }
        fwrite(buf, 1, line.len, stdout);
        inside = is_mark(form, line, form->begin, &section);
        if (inside) {
            fields += print_section(form, section, defaults);
        }
    }
    free(buf);
    return fields;
}

static const struct form *form_by_name(const char *name)
{
    static const struct form forms[] = {
        {"markdown", WEIR_STR_INIT("<!-- fields "), WEIR_STR_INIT(":begin -->\n"),
         WEIR_STR_INIT(":end -->\n"),
         "| field | type | range | default | meaning |\n|---|---|---|---|---|\n", print_row},
        {"man", WEIR_STR_INIT(".\\\" fields "), WEIR_STR_INIT(":begin\n"), WEIR_STR_INIT(":end\n"),
         "", print_entry},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(forms[i].name, name) == 0) {
            return &forms[i];
        }
    }
    return NULL;
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

int main(int argc, char **argv)
{
    const struct form *form = argc == 2 ? form_by_name(argv[1]) : NULL;
    size_t count;
    const struct weir_option *options = weir_options(&count);
    struct weir_config *defaults;
    struct weir_config_error error;
    if (form == NULL) {
        fprintf(stderr, "usage: config_reference markdown|man <PAGE\n");
        return EXIT_FAILURE;
    }
    if (!all_described(options, count) ||
        weir_config_parse(WEIR_STR(""), NULL, &defaults, &error) != WEIR_OK) {
        return EXIT_FAILURE;
    }
    size_t fields = copy_page(form, defaults);
    weir_config_free(defaults);
    if (fields != count) {
        fprintf(stderr, "config_reference: %zu fields, and the page has %zu\n", count, fields);
        return EXIT_FAILURE;
    }
    return ferror(stdin) != 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
