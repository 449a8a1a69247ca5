/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - the only place that allocates, so that a test can make the n-th allocation fail.
 * Thread-safe, but for weir_mem_fail_after, which belongs to single-threaded tests. */
#ifndef WEIR_BASE_MEM_H
#define WEIR_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* NULL when there is no memory. Zeroed. Free with weir_free. */
void *weir_zalloc(size_t size) __attribute__((malloc));
/* count * size bytes, zeroed; NULL on overflow or no memory. */
void *weir_zalloc_array(size_t count, size_t size) __attribute__((malloc));
/* Zeroed, at an address that is a multiple of `align` (a power of two; size a multiple of it). */
void *weir_zalloc_aligned(size_t align, size_t size) __attribute__((malloc));
/* As realloc(3): on NULL the old block is untouched. New bytes are not set. */
void *weir_realloc(void *block, size_t size);
/* NULL is allowed. */
void weir_free(void *block);
/* Overwrites a secret in a way the compiler keeps. */
void weir_wipe(void *block, size_t size);

/* Tests: after `n` more successful allocations every further one fails; UINT64_MAX: never. */
void weir_mem_fail_after(uint64_t n);

#endif
