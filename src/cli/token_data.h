/* SPDX-License-Identifier: Apache-2.0 */
/* token_data.h - the file of token data that the commands use. */
#ifndef WEIR_CLI_TOKEN_DATA_H
#define WEIR_CLI_TOKEN_DATA_H

#include "tokens/vocabulary.h"

enum { WEIR_TOKEN_DATA_ERROR_BYTES = 4608 };

/* The file at `path`; path NULL or empty: weir.tokens beside the program, else in ../share/weir. On
 * failure ret_why says why; WEIR_ERR_NOT_FOUND: there is none. */
WEIR_MUSTCHECK enum weir_err weir_token_data_open(const char *path,
                                                  struct weir_vocabulary **ret_vocabulary,
                                                  char ret_why[static WEIR_TOKEN_DATA_ERROR_BYTES]);

#endif
