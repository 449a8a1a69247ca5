/* SPDX-License-Identifier: Apache-2.0 */
/* reservation.h - the text that acquire hands out and settle takes back: everything about the
 * charge, so that any node can settle it and none keeps a table. It goes to trusted callers only
 * and is not signed; a check sum tells a damaged one from a real one. Pure. */
#ifndef WEIR_SERVICE_RESERVATION_H
#define WEIR_SERVICE_RESERVATION_H

#include "base/buf.h"
#include "store/store.h"

enum { WEIR_RESERVATION_TEXT_MAX = 784 };

/* What such a text says. */
struct weir_reserved {
    struct weir_reservation reservation;
    unsigned subjects;                          /* at least 1 */
    struct weir_str subject[WEIR_SUBJECTS_MAX]; /* their names, of ascending scopes: none twice */
};

/* Appends the text: "rsv_" and base64url. The subjects: as those of a call, at least one. */
void weir_reservation_write(struct weir_buf *b, const struct weir_reservation *r,
                            const struct weir_subject *const *subject, unsigned subjects);
/* The names point into `space`. WEIR_ERR_INVALID: not such a text. */
WEIR_MUSTCHECK enum weir_err weir_reservation_read(struct weir_str text,
                                                   char space[static WEIR_RESERVATION_TEXT_MAX],
                                                   struct weir_reserved *ret_reserved);

#endif
