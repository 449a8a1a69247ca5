/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/token_data.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/log.h"
#include "tokens/tokens.h"

/* From the folder of the program: in a build tree, and where it is installed. */
static const char *const places[] = {"weir.tokens", "../share/weir/weir.tokens"};

enum { PLACES = sizeof(places) / sizeof(places[0]) };

static enum weir_err open_at(const char *path, struct weir_vocabulary **ret_vocabulary,
                             char ret_why[static WEIR_TOKEN_DATA_ERROR_BYTES])
{
    enum weir_err err = weir_vocabulary_open(path, ret_vocabulary);
    const char *why = err == WEIR_ERR_INVALID
                          ? "not a file of token data, or of another version of weir"
                      : err == WEIR_ERR_NOMEM ? "out of memory"
                                              : strerror(errno);
    if (err != WEIR_OK) {
        snprintf(ret_why, WEIR_TOKEN_DATA_ERROR_BYTES, "%s: %s", path, why);
    }
    return err;
}

/* False: the kernel does not tell. */
static bool program_folder(char ret_folder[static PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", ret_folder, PATH_MAX - 1);
    if (len <= 0) {
        return false;
    }
    ret_folder[len] = '\0';
    char *slash = strrchr(ret_folder, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

enum weir_err weir_token_data_open(const char *path, struct weir_vocabulary **ret_vocabulary,
                                   char ret_why[static WEIR_TOKEN_DATA_ERROR_BYTES])
{
    char folder[PATH_MAX], at[PATH_MAX + 32];
    if (path != NULL && path[0] != '\0') {
        return open_at(path, ret_vocabulary, ret_why);
    }
    enum weir_err err = WEIR_ERR_NOT_FOUND;
    bool told = program_folder(folder);
    for (int i = 0; told && err == WEIR_ERR_NOT_FOUND && i < PLACES; i++) {
        snprintf(at, sizeof(at), "%s/%s", folder, places[i]);
        err = open_at(at, ret_vocabulary, ret_why);
    }
    if (err == WEIR_ERR_NOT_FOUND) {
        snprintf(ret_why, WEIR_TOKEN_DATA_ERROR_BYTES, "there is no %s beside the program",
                 places[0]);
    }
    return err;
}

bool weir_token_data_use(const char *command, const char *path,
                         struct weir_vocabulary **ret_vocabulary)
{
    char why[WEIR_TOKEN_DATA_ERROR_BYTES];
    if (weir_token_data_open(path, ret_vocabulary, why) == WEIR_OK) {
        weir_tokens_use(*ret_vocabulary);
        return true;
    }
    if (path != NULL && path[0] != '\0') {
        fprintf(stderr, "%s: token_data: %s\n", command, why);
        return false;
    }
    weir_log(WEIR_LOG_WARN, "tokens are estimated: %s", why);
    return true;
}

void weir_token_data_end(struct weir_vocabulary *vocabulary)
{
    weir_tokens_use(NULL);
    weir_vocabulary_free(vocabulary);
}
