/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/subject.h"

#include "base/hash.h"

void weir_subject_id(struct weir_str name, uint64_t ret_id[static 2])
{
    weir_hash128(name.p, name.len, ret_id);
}

struct weir_str weir_name_behind_scope(struct weir_str name)
{
    const char *colon = memchr(name.p, ':', name.len);
    return weir_str(colon + 1, name.len - (size_t)(colon + 1 - name.p));
}
