/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that claim to be a reservation: what is taken, written again, is the same text. The bytes
 * as they come, and as the content of a text whose check sum is right. Seeds: fuzz_reservation/. */
#include <stdlib.h>

#include "service/reservation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_text(struct weir_buf *b, const struct weir_reserved *r)
{
    struct weir_subject subject[WEIR_SUBJECTS_MAX];
    const struct weir_subject *pointer[WEIR_SUBJECTS_MAX];
    for (unsigned i = 0; i < r->subjects; i++) {
        subject[i] = (struct weir_subject){.name = r->subject[i]};
        pointer[i] = &subject[i];
    }
    weir_buf_init(b, WEIR_RESERVATION_TEXT_MAX);
    weir_reservation_write(b, &r->reservation, pointer, r->subjects);
    if (b->failed) {
        abort();
    }
}

static void read_and_write(struct weir_str text)
{
    char space[WEIR_RESERVATION_TEXT_MAX];
    struct weir_reserved r;
    if (weir_reservation_read(text, space, &r) != WEIR_OK) {
        return;
    }
    for (unsigned i = 1; i < r.subjects; i++) {
        if (weir_str_eq(r.subject[i], r.subject[i - 1])) {
            abort();
        }
    }
    struct weir_buf b;
    write_text(&b, &r);
    if (!weir_str_eq(weir_buf_view(&b), text)) {
        abort();
    }
    weir_buf_deinit(&b);
}

/* The bytes as nonce, epoch, two times, two primaries and amounts, then lines: the names. */
static void write_and_read(const uint8_t *data, size_t size)
{
    struct weir_reserved r = {0};
    uint64_t words[8];
    if (size < sizeof(words)) {
        return;
    }
    memcpy(words, data, sizeof(words));
    r.reservation.nonce = words[0];
    r.reservation.epoch = words[1];
    r.reservation.at_us = words[2];
    r.reservation.shared_at_us = words[3];
    r.reservation.primary = (uint32_t)words[4];
    r.reservation.shared_primary = (uint32_t)(words[4] >> 32);
    for (unsigned m = 0; m < WEIR_METER_TOTAL_TOKENS; m++) {
        r.reservation.reserved.of[m] = words[5 + m];
    }
    struct weir_str rest = weir_str((const char *)data + sizeof(words), size - sizeof(words));
    do {
        const char *end = rest.len == 0 ? NULL : memchr(rest.p, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.p);
        if (len > WEIR_SUBJECT_NAME_MAX) {
            return;
        }
        r.subject[r.subjects++] = weir_str(rest.p, len);
        len += end != NULL;
        rest = weir_str(rest.p + len, rest.len - len);
    } while (rest.len > 0 && r.subjects < WEIR_SUBJECTS_MAX);
    struct weir_buf b;
    write_text(&b, &r);
    read_and_write(weir_buf_view(&b));
    weir_buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_and_write(weir_str((const char *)data, size));
    write_and_read(data, size);
    return 0;
}
