/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that claim to be a reservation: what is taken, written again, is the same text. The bytes
 * as they come, and as the content of a text whose check sum is right. Seeds: fuzz_reservation/. */
#include <stdlib.h>

#include "service/reservation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_and_write(struct weir_str text)
{
    char space[WEIR_RESERVATION_TEXT_MAX];
    struct weir_reservation r;
    struct weir_str name;
    if (weir_reservation_read(text, space, &r, &name) != WEIR_OK) {
        return;
    }
    struct weir_buf b;
    weir_buf_init(&b, WEIR_RESERVATION_TEXT_MAX);
    weir_reservation_write(&b, &r, name);
    if (b.failed || !weir_str_eq(weir_buf_view(&b), text)) {
        abort();
    }
    weir_buf_deinit(&b);
}

/* The bytes as nonce, epoch, time and amounts, then the name. */
static void write_and_read(const uint8_t *data, size_t size)
{
    struct weir_reservation r = {0};
    uint64_t words[6];
    if (size < sizeof(words) || size - sizeof(words) > WEIR_SUBJECT_NAME_MAX) {
        return;
    }
    memcpy(words, data, sizeof(words));
    r.nonce = words[0];
    r.epoch = words[1];
    r.at_us = words[2];
    for (unsigned m = 0; m < WEIR_METER_TOTAL_TOKENS; m++) {
        r.reserved.of[m] = words[3 + m];
    }
    struct weir_buf b;
    weir_buf_init(&b, WEIR_RESERVATION_TEXT_MAX);
    weir_reservation_write(&b, &r,
                           weir_str((const char *)data + sizeof(words), size - sizeof(words)));
    if (b.failed) {
        abort();
    }
    read_and_write(weir_buf_view(&b));
    weir_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_and_write(weir_str((const char *)data, size));
    write_and_read(data, size);
    return 0;
}
