/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that claim to be records: what is read, written and read again is the same; and an audit of
 * them finds no more than all of it. Seeds: fuzz_record/. */
#include <stdlib.h>

#include "verify/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good) {
        abort();
    }
}

static void write_and_read(const struct weir_record *r)
{
    struct weir_record_reader reader;
    struct weir_record again;
    struct weir_buf b;
    const char *expected;
    weir_record_reader_init(&reader);
    weir_buf_init(&b, WEIR_RECORD_LINE_MAX);
    weir_record_write(&b, r);
    must(weir_record_read(&reader, weir_buf_view(&b), &again, &expected) == WEIR_OK);
    must(weir_str_eq(again.subject, r->subject) && again.sent_us == r->sent_us &&
         again.received_us == r->received_us &&
         memcmp(&again.amounts, &r->amounts, sizeof(r->amounts)) == 0);
    weir_buf_deinit(&b);
    weir_record_reader_deinit(&reader);
}

static void ask(const struct weir_audit *a, uint64_t window_us)
{
    uint64_t too_long = 0;
    for (uint32_t s = 0; s < a->subjects.count; s++) {
        struct weir_audit_found found;
        weir_audit_worst(a, s, window_us, &found);
        too_long += found.too_long;
        for (unsigned m = 0; m < WEIR_METERS; m++) {
            must(found.worst[m].sum <= a->_total[m] && found.worst[m].charges <= a->charges);
        }
    }
    must(too_long <= a->charges);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_record_reader reader;
    struct weir_audit a;
    const char *at = (const char *)data, *end = at + size;
    weir_record_reader_init(&reader);
    weir_audit_init(&a);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *past = newline == NULL ? end : newline;
        struct weir_record r;
        const char *expected = NULL;
        if (weir_record_read(&reader, weir_str(at, (size_t)(past - at)), &r, &expected) ==
            WEIR_OK) {
            write_and_read(&r);
            must(weir_audit_add(&a, &r) == WEIR_OK);
        } else {
            must(expected != NULL);
        }
        at = past + 1;
    }
    must(weir_audit_arrange(&a) == WEIR_OK);
    ask(&a, 1);
    ask(&a, 60000000);
    ask(&a, UINT64_C(1) << 53);
    weir_audit_deinit(&a);
    weir_record_reader_deinit(&reader);
    return 0;
}
