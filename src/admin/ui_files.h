/* SPDX-License-Identifier: Apache-2.0 */
/* ui_files.h - the dashboard's files (src/admin/ui), which the program carries in itself. Pure. */
#ifndef WEIR_ADMIN_UI_FILES_H
#define WEIR_ADMIN_UI_FILES_H

#include "base/str.h"

/* All of it lasts as long as the program. */
struct weir_ui_file {
    const char *path; /* below /ui/, as "style.css" */
    const char *type; /* for Content-Type */
    const uint8_t *bytes;
    size_t len;
    const char *etag; /* of the bytes, with its quotes */
};

/* The file at a path below /ui/; the empty path is index.html. NULL: there is none. */
const struct weir_ui_file *weir_ui_file_find(struct weir_str path);

#endif
