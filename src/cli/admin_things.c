/* SPDX-License-Identifier: Apache-2.0 */
/* admin_things.c - the commands keys, teams, orgs and plans: what a node's configuration has, and
 * changes of it in the registry. */
#include "cli/admin_things.h"

#include <errno.h>

#include "cli/cli.h"
#include "config/config.h"

#define CHANGE_HELP                                                                                \
    "What is changed is laid over the configuration, which has to name a registry; it is in\n"     \
    "force when this ends with 0.\n\n"
#define LIMITS_HELP                                                                                \
    "  --limits LIMITS    its limits, as \"requests: 100/min, output_tokens: [10k/min, "           \
    "1M/day]\"\n"
#define CLEAR_HELP "  --clear FIELD      takes a field out; may be given several times\n"
#define LIST_HELP                                                                                  \
    "  --json             the API's answer; of a list, a line for each page\n"                     \
    "  --help             this text\n"

enum { PATH_MAX_BYTES = 1024, BODY_MAX = 64 << 10 };

static const struct weir_thing keys = {
    .command = {.name = "weir keys",
                .help = "usage: weir keys [OPTION...] list\n"
                        "       weir keys [OPTION...] show|enable|disable|rotate|delete KEY_ID\n"
                        "       weir keys [OPTION...] create|set KEY_ID\n\n"
                        "Shows and changes the keys of a node. create and rotate make a secret, "
                        "the last line of what\nthey print, shown this once.\n" CHANGE_HELP
                        "  --plan NAME        its plan\n"
                        "  --team ID          its team\n"
                        "  --org ID           its org\n" LIMITS_HELP CLEAR_HELP
                            WEIR_ADMIN_WHERE_HELP LIST_HELP,
                .more = {"plan", "team", "org", "limits"},
                .many = "clear",
                .operand = "list, or show, create, set, enable, disable, rotate or delete and the "
                           "id of a key",
                .operands_min = 1,
                .operands_max = 2},
    .list = "keys",
    .key = true,
    .has_org = true,
};

static const struct weir_thing teams = {
    .command = {.name = "weir teams",
                .help = "usage: weir teams [OPTION...] list\n"
                        "       weir teams [OPTION...] show|set|enable|disable|delete ID\n\n"
                        "Shows and changes the teams of a node; set makes one that is not "
                        "there.\n" CHANGE_HELP "  --plan NAME        its plan\n"
                        "  --org ID           its org\n" LIMITS_HELP CLEAR_HELP
                            WEIR_ADMIN_WHERE_HELP LIST_HELP,
                .more = {"plan", "org", "limits"},
                .many = "clear",
                .operand = "list, or show, set, enable, disable or delete and the id of a team",
                .operands_min = 1,
                .operands_max = 2},
    .list = "teams",
    .has_org = true,
};

static const struct weir_thing orgs = {
    .command = {.name = "weir orgs",
                .help =
                    "usage: weir orgs [OPTION...] list\n"
                    "       weir orgs [OPTION...] show|set|enable|disable|delete ID\n\n"
                    "Shows and changes the orgs of a node; set makes one that is not "
                    "there.\n" CHANGE_HELP "  --plan NAME        its plan\n" LIMITS_HELP CLEAR_HELP
                        WEIR_ADMIN_WHERE_HELP LIST_HELP,
                .more = {"plan", "limits"},
                .many = "clear",
                .operand = "list, or show, set, enable, disable or delete and the id of an org",
                .operands_min = 1,
                .operands_max = 2},
    .list = "orgs",
};

static const struct weir_thing plans = {
    .command = {.name = "weir plans",
                .help = "usage: weir plans [OPTION...] list\n"
                        "       weir plans [OPTION...] show|set|delete PLAN\n\n"
                        "Shows and changes the plans of a node; set makes one that is not "
                        "there.\n" CHANGE_HELP LIMITS_HELP
                        "  --shadow BOOL      true or false: whether its limits deny "
                        "nothing\n" CLEAR_HELP
                        "  --json-body FILE   all that is to be changed as JSON, instead; - is "
                        "standard input\n" WEIR_ADMIN_WHERE_HELP
                        "  --json             the API's answer\n"
                        "  --help             this text\n",
                .more = {"limits", "shadow", "json-body"},
                .many = "clear",
                .operand = "list, or show, set or delete and the name of a plan",
                .operands_min = 1,
                .operands_max = 2},
    .list = "plans",
    .plan = true,
};

enum body { NO_BODY, EMPTY, ENABLE, DISABLE, FIELDS };

static const struct verb {
    const char *name, *method, *behind; /* of the path */
    enum body body;
    bool keys_only, never_plans, collection;
} verbs[] = {
    {.name = "list", .collection = true},
    {.name = "show", .method = "GET", .behind = ""},
    {.name = "create", .method = "POST", .body = FIELDS, .keys_only = true, .collection = true},
    {.name = "set", .method = "PATCH", .behind = "", .body = FIELDS},
    {.name = "enable", .method = "PATCH", .behind = "", .body = ENABLE, .never_plans = true},
    {.name = "disable", .method = "PATCH", .behind = "", .body = DISABLE, .never_plans = true},
    {.name = "rotate", .method = "POST", .behind = "/rotate", .body = EMPTY, .keys_only = true},
    {.name = "delete", .method = "DELETE", .behind = ""},
};

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

/* NULL: said what was expected. */
static const struct verb *verb_of(const struct weir_admin_client *c, const struct weir_thing *t)
{
    for (int i = 0; i < VERBS; i++) {
        const struct verb *v = &verbs[i];
        bool fits = c->operands == (v->method == NULL ? 1 : 2);
        if (strcmp(c->operand[0], v->name) == 0 && fits && (!v->keys_only || t->key) &&
            (!v->never_plans || !t->plan)) {
            return v;
        }
    }
    fprintf(stderr, "%s: expected %s; see %s --help\n", c->of->name, c->of->operand, c->of->name);
    return NULL;
}

/* ---- what is sent ---- */

static unsigned options_given(const struct weir_admin_client *c)
{
    unsigned given = c->manys;
    for (int i = 0; i < WEIR_ADMIN_MORE_MAX; i++) {
        given += c->more[i] != NULL;
    }
    return given;
}

static void put_name(struct weir_buf *b, const char *name)
{
    weir_buf_str(b, b->len > 1 ? WEIR_STR(",") : WEIR_STR(""));
    weir_buf_json(b, weir_str_z(name));
    weir_buf_char(b, ':');
}

/* False: said what is wrong. */
static bool put_option(const struct weir_admin_client *c, const char *name, const char *value,
                       struct weir_buf *b)
{
    struct weir_config_error error;
    put_name(b, name);
    if (strcmp(name, "limits") == 0) {
        enum weir_err err = weir_limits_to_json(weir_str_z(value), b, &error);
        if (err != WEIR_OK) {
            fprintf(stderr, "%s: --limits: %s\n", c->of->name,
                    err == WEIR_ERR_NOMEM ? "out of memory" : error.text);
        }
        return err == WEIR_OK;
    }
    if (strcmp(name, "shadow") != 0) {
        weir_buf_json(b, weir_str_z(value));
        return true;
    }
    weir_buf_str(b, weir_str_z(value));
    bool good = strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
    if (!good) {
        fprintf(stderr, "%s: --shadow: expected true or false\n", c->of->name);
    }
    return good;
}

/* False: said what is wrong. */
static bool put_fields(const struct weir_admin_client *c, bool create, struct weir_buf *b)
{
    weir_buf_char(b, '{');
    if (create) {
        put_name(b, "id");
        weir_buf_json(b, weir_str_z(c->operand[1]));
    }
    for (int i = 0; i < WEIR_ADMIN_MORE_MAX; i++) {
        if (c->more[i] != NULL && !put_option(c, c->of->more[i], c->more[i], b)) {
            return false;
        }
    }
    for (unsigned i = 0; i < c->manys; i++) {
        put_name(b, c->many[i]);
        WEIR_BUF_LIT(b, "null");
    }
    weir_buf_char(b, '}');
    return true;
}

/* The value of --json-body; NULL: there is none. */
static const char *body_file(const struct weir_admin_client *c)
{
    for (int i = 0; i < WEIR_ADMIN_MORE_MAX; i++) {
        if (c->more[i] != NULL && strcmp(c->of->more[i], "json-body") == 0) {
            return c->more[i];
        }
    }
    return NULL;
}

/* False: said what is wrong. */
static bool read_body(const struct weir_admin_client *c, const char *path, struct weir_buf *b)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char piece[4096];
    for (size_t len; f != NULL && !b->failed && (len = fread(piece, 1, sizeof(piece), f)) > 0;) {
        weir_buf_append(b, piece, len);
    }
    bool read = f != NULL && ferror(f) == 0;
    if (!read) {
        fprintf(stderr, "%s: --json-body: %s cannot be read: %s\n", c->of->name, path,
                strerror(errno));
    }
    if (f != NULL && f != stdin) {
        fclose(f);
    }
    return read;
}

/* Appends what the verb sends. False: said what is wrong. */
static bool put_body(const struct weir_admin_client *c, const struct verb *v, struct weir_buf *b)
{
    const char *file = body_file(c);
    unsigned given = options_given(c);
    bool good = true;
    if (v->body != FIELDS ? given > 0 : file != NULL && given > 1) {
        fprintf(stderr, "%s: %s takes no %s; see %s --help\n", c->of->name, c->operand[0],
                file != NULL ? "other option beside --json-body" : "such options", c->of->name);
        return false;
    }
    if (v->body == FIELDS) {
        good = file != NULL ? read_body(c, file, b) : put_fields(c, v->collection, b);
    } else if (v->body != NO_BODY) {
        weir_buf_str(b, v->body == ENABLE    ? WEIR_STR("{\"disabled\":false}")
                        : v->body == DISABLE ? WEIR_STR("{\"disabled\":true}")
                                             : WEIR_STR("{}"));
    }
    weir_buf_char(b, '\0');
    if (good && b->failed) {
        fprintf(stderr, "%s: expected less to send\n", c->of->name);
    }
    return good && !b->failed;
}

/* ---- a question ---- */

/* False: said why there is no answer. */
static bool ask(struct weir_admin_client *c, const struct weir_thing *t, const struct verb *v,
                const char *body)
{
    struct weir_buf path;
    bool asked = false;
    weir_buf_init(&path, PATH_MAX_BYTES);
    weir_buf_printf(&path, "/%s", t->list);
    if (!v->collection) {
        weir_buf_char(&path, '/');
        weir_admin_encode(&path, weir_str_z(c->operand[1]));
        weir_buf_str(&path, weir_str_z(v->behind));
    }
    weir_buf_char(&path, '\0');
    if (path.failed || c->operand[1][0] == '\0') {
        fprintf(stderr, "%s: expected a name that is not empty, and shorter\n", c->of->name);
    } else {
        asked = weir_admin_send(c, v->method, path.data, v->body == NO_BODY ? NULL : body);
    }
    weir_buf_deinit(&path);
    return asked;
}

static void print_answer(const struct weir_admin_client *c, const struct weir_thing *t)
{
    const struct weir_json_node *root = weir_json_root(&c->json);
    const struct weir_json_node *secret = weir_json_member(&c->json, root, "secret");
    if (c->as_json) {
        weir_admin_print(c);
    } else if (weir_json_member(&c->json, root, "deleted") != NULL) {
        printf("%s: deleted\n", c->operand[1]);
    } else {
        weir_things_print(c, t);
        if (secret != NULL) {
            struct weir_str text = weir_json_raw(&c->json, secret);
            printf("its secret, which is shown this once:\n%.*s\n", (int)text.len, text.p);
        }
    }
}

static int run_verb(struct weir_admin_client *c, const struct weir_thing *t, const struct verb *v)
{
    struct weir_buf body;
    int code = WEIR_EXIT_USAGE;
    weir_buf_init(&body, BODY_MAX);
    if (put_body(c, v, &body)) {
        bool done = v->method == NULL ? weir_things_list(c, t) : ask(c, t, v, body.data);
        code = done ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
        if (done && v->method != NULL) {
            print_answer(c, t);
        }
    }
    weir_buf_deinit(&body);
    return code;
}

static int run(const struct weir_thing *t, int argc, char **argv)
{
    struct weir_admin_client c;
    int code;
    if (weir_admin_begin(&c, &t->command, argc, argv, &code)) {
        const struct verb *v = verb_of(&c, t);
        code = v == NULL ? WEIR_EXIT_USAGE : run_verb(&c, t, v);
    }
    weir_admin_end(&c);
    return code;
}

int weir_cmd_keys(int argc, char **argv)
{
    return run(&keys, argc, argv);
}

int weir_cmd_teams(int argc, char **argv)
{
    return run(&teams, argc, argv);
}

int weir_cmd_orgs(int argc, char **argv)
{
    return run(&orgs, argc, argv);
}

int weir_cmd_plans(int argc, char **argv)
{
    return run(&plans, argc, argv);
}
