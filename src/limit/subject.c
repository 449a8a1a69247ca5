/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/subject.h"

#include "base/hash.h"

void weir_subject_id(struct weir_str name, uint64_t ret_id[static 2])
{
    weir_hash128(name.p, name.len, ret_id);
}
