/* SPDX-License-Identifier: Apache-2.0 */
/* mock_options.h - the values of the options of `weir mock`, from their texts. Pure. Each is false,
 * and sets nothing, when the text is no such value. */
#ifndef WEIR_GATEWAY_MOCK_OPTIONS_H
#define WEIR_GATEWAY_MOCK_OPTIONS_H

#include "gateway/mock_server.h"

enum { WEIR_MOCK_OUTPUT_MAX = 1000000 };

/* "MEAN" or "MEAN:MAX"; without MAX it is 512, or twice the mean where that is more. */
bool weir_mock_output_tokens(struct weir_mock_config *model, const char *text);
/* "5%" or "0.01%", from 0 to 100, in millionths. */
bool weir_mock_share(const char *text, uint32_t *ret_share);
/* "429:5%"; one more, at most WEIR_MOCK_FAILS_MAX and together at most all. */
bool weir_mock_fail_add(struct weir_mock_faults *faults, const char *text);
/* A whole number from min to max. */
bool weir_mock_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number);
/* Names of 1 to WEIR_MOCK_NAME_MAX bytes with commas between. */
bool weir_mock_names(const char *text, struct weir_str *ret_names);

#endif
