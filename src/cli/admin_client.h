/* SPDX-License-Identifier: Apache-2.0 */
/* admin_client.h - what the commands share that ask a node's admin API (docs/admin.md): their
 * options, one question and its answer, and how limits are shown. */
#ifndef WEIR_CLI_ADMIN_CLIENT_H
#define WEIR_CLI_ADMIN_CLIENT_H

#include "base/buf.h"
#include "base/json.h"

enum { WEIR_ADMIN_MORE_MAX = 4, WEIR_ADMIN_MANY_MAX = 16 };

/* Two lines of every help text. */
#define WEIR_ADMIN_WHERE_HELP                                                                      \
    "  --admin URL        the node's admin API (WEIR_ADMIN, or http://127.0.0.1:9090)\n"           \
    "  --token-file FILE  its token (WEIR_ADMIN_TOKEN)\n"

struct weir_admin_command {
    const char *name; /* as "weir usage" */
    const char *help;
    const char *more[WEIR_ADMIN_MORE_MAX]; /* options with a value that are this command's own */
    const char *flag;                      /* one without a value; NULL: none */
    const char *many;                      /* one with a value that may come again; NULL: none */
    const char *operand;                   /* what it expects, as "the name of a subject" */
    int operands_min, operands_max;
};

/* A command that asks. Strings are the arguments'. */
struct weir_admin_client {
    const struct weir_admin_command *of;
    const char *url;
    const char *token_file; /* NULL: the environment has the token, or there is none */
    bool as_json, flag;
    const char *more[WEIR_ADMIN_MORE_MAX]; /* their values; NULL: not given */
    const char *many[WEIR_ADMIN_MANY_MAX];
    unsigned manys;
    char **operand;
    int operands;
    struct weir_buf token; /* the whole header; empty: none */
    struct weir_buf answer;
    struct weir_json json; /* of the answer */
};

/* False: the command is over, with *ret_code: --help, or said what is wrong. Before
 * weir_admin_end. */
bool weir_admin_begin(struct weir_admin_client *c, const struct weir_admin_command *of, int argc,
                      char **argv, int *ret_code);
void weir_admin_end(struct weir_admin_client *c);

/* Appends what stands for the text in a URL. */
void weir_admin_encode(struct weir_buf *b, struct weir_str text);
/* A question below /admin/v1, as "/plans"; body NULL: a GET, else a POST. False: said why there is
 * no answer with an object. */
bool weir_admin_ask(struct weir_admin_client *c, const char *path, const char *body);
/* The same with a method of its own. */
bool weir_admin_send(struct weir_admin_client *c, const char *method, const char *path,
                     const char *body);
/* The answer as it came, a line. */
void weir_admin_print(const struct weir_admin_client *c);

/* What the member of this name is, as text: of a string what is between the quotes, with its
 * escapes, which no terminal obeys; "-" for null and what is missing. */
struct weir_str weir_admin_text(const struct weir_json *j, const struct weir_json_node *in,
                                const char *name);
/* 0 for what is no number. */
uint64_t weir_admin_number(const struct weir_json *j, const struct weir_json_node *in,
                           const char *name);

/* "1min", "7s". */
void weir_admin_window(struct weir_buf *b, uint64_t window_s);
/* "1.5s", "2h3m0s". */
void weir_admin_span(struct weir_buf *b, uint64_t ms);
/* The list `limits` of the answer as a table; `capacity`: what a limit is called there. */
void weir_admin_print_limits(const struct weir_admin_client *c, const char *capacity);

#endif
