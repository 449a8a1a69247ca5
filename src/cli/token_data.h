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
/* Opens the data for all counting of the process. Without any beside the program tokens are
 * estimated, which is logged, and *ret_vocabulary stays. False: said why what `path` names cannot
 * be used. command: as "weir serve". */
WEIR_MUSTCHECK bool weir_token_data_use(const char *command, const char *path,
                                        struct weir_vocabulary **ret_vocabulary);
/* The end of that, when nothing counts any more. NULL is allowed. */
void weir_token_data_end(struct weir_vocabulary *vocabulary);

#endif
