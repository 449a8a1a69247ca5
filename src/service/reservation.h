/* SPDX-License-Identifier: Apache-2.0 */
/* reservation.h - the text that acquire hands out and settle takes back: everything about the
 * charge, so that any node can settle it and none keeps a table. It goes to trusted callers only
 * and is not signed; a check sum tells a damaged one from a real one. Pure. */
#ifndef WEIR_SERVICE_RESERVATION_H
#define WEIR_SERVICE_RESERVATION_H

#include "base/buf.h"
#include "store/store.h"

enum { WEIR_RESERVATION_TEXT_MAX = 320 };

/* Appends the text: "rsv_" and base64url. name: of the subject, at most WEIR_SUBJECT_NAME_MAX. */
void weir_reservation_write(struct weir_buf *b, const struct weir_reservation *r,
                            struct weir_str name);
/* *ret_name points into `space`. WEIR_ERR_INVALID: not such a text. */
WEIR_MUSTCHECK enum weir_err weir_reservation_read(struct weir_str text,
                                                   char space[static WEIR_RESERVATION_TEXT_MAX],
                                                   struct weir_reservation *ret_reservation,
                                                   struct weir_str *ret_name);

#endif
