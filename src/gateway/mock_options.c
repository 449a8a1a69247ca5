/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/mock_options.h"

#include <math.h>

#include "base/utf8.h"
#include "gateway/mock_request.h"

bool weir_mock_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    uint64_t value;
    if (weir_str_u64(weir_str_z(text), max, &value) != WEIR_OK || value < min) {
        return false;
    }
    *ret_number = value;
    return true;
}

bool weir_mock_output_tokens(struct weir_mock_config *model, const char *text)
{
    enum { MAX_USUAL = 512 };
    const char *colon = strchr(text, ':');
    size_t mean_len = colon == NULL ? strlen(text) : (size_t)(colon - text);
    uint64_t mean, max;
    if (weir_str_u64(weir_str(text, mean_len), WEIR_MOCK_OUTPUT_MAX, &mean) != WEIR_OK ||
        mean == 0) {
        return false;
    }
    if (colon == NULL) {
        max = mean * 2 > MAX_USUAL ? mean * 2 : MAX_USUAL;
    } else if (!weir_mock_number(colon + 1, mean, WEIR_MOCK_OUTPUT_MAX, &max)) {
        return false;
    }
    model->output_mean = (uint32_t)mean;
    model->output_max = (uint32_t)max;
    return true;
}

static bool share(struct weir_str text, uint32_t *ret_share)
{
    char digits[24];
    double percent;
    if (text.len < 2 || text.len > sizeof(digits) || text.p[text.len - 1] != '%') {
        return false;
    }
    memcpy(digits, text.p, text.len - 1);
    digits[text.len - 1] = '\0';
    if (!weir_decimal(digits, &percent) || percent > 100) {
        return false;
    }
    *ret_share = (uint32_t)lround(percent * (WEIR_MOCK_ALL / 100));
    return true;
}

bool weir_mock_share(const char *text, uint32_t *ret_share)
{
    return share(weir_str_z(text), ret_share);
}

bool weir_mock_fail_add(struct weir_mock_faults *faults, const char *text)
{
    const char *colon = strchr(text, ':');
    struct weir_mock_fail fail;
    uint64_t status;
    if (colon == NULL || faults->fails == WEIR_MOCK_FAILS_MAX ||
        weir_str_u64(weir_str(text, (size_t)(colon - text)), 999, &status) != WEIR_OK ||
        !weir_mock_status_known((int)status) || !share(weir_str_z(colon + 1), &fail.share)) {
        return false;
    }
    uint64_t sum = fail.share;
    for (uint32_t i = 0; i < faults->fails; i++) {
        sum += faults->fail[i].share;
    }
    if (sum > WEIR_MOCK_ALL) {
        return false;
    }
    fail.status = (int)status;
    faults->fail[faults->fails++] = fail;
    return true;
}

bool weir_mock_names(const char *text, struct weir_str *ret_names)
{
    size_t len = 0;
    for (const char *c = text;; c++) {
        if (*c != ',' && *c != '\0') {
            len++;
            continue;
        }
        if (len == 0 || len > WEIR_MOCK_NAME_MAX) {
            return false;
        }
        len = 0;
        if (*c == '\0') {
            break;
        }
    }
    if (!weir_utf8_valid(weir_str_z(text))) {
        return false;
    }
    *ret_names = weir_str_z(text);
    return true;
}
