/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h - XXH3 under a random secret of this process, so that nobody outside can choose
 * collisions. Values mean nothing in another process. Thread-safe. */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A 128-bit hash of len bytes under the process's secret, drawn at the first call. */
void weir_hash128(const void *p, size_t len, uint64_t ret_hash[static 2]);
/* Fills `out` from getrandom(2); aborts when the kernel has none to give. */
void weir_random_bytes(void *out, size_t len);

#endif
