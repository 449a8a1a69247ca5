/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/ui_files.h"

#include "ui_table.h" /* made of src/admin/ui by weir_embed_ui: table[], of struct weir_ui_file */

const struct weir_ui_file *weir_ui_file_find(struct weir_str path)
{
    if (path.len == 0) {
        path = WEIR_STR("index.html");
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (weir_str_eq(path, weir_str_z(table[i].path))) {
            return &table[i];
        }
    }
    return NULL;
}
