/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdbool.h>

#include "base/err.h"

static uint64_t allocations_left = UINT64_MAX;

static bool injected_failure(void)
{
    if (WEIR_LIKELY(allocations_left == UINT64_MAX)) {
        return false;
    }
    if (allocations_left == 0) {
        return true;
    }
    allocations_left--;
    return false;
}

void *weir_zalloc(size_t size)
{
    return injected_failure() ? NULL : calloc(1, size);
}

void *weir_zalloc_array(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : weir_zalloc(bytes);
}

void *weir_zalloc_aligned(size_t align, size_t size)
{
    void *block = injected_failure() ? NULL : aligned_alloc(align, size);
    if (block != NULL) {
        memset(block, 0, size);
    }
    return block;
}

void *weir_realloc(void *block, size_t size)
{
    return injected_failure() ? NULL : realloc(block, size);
}

void weir_free(void *block)
{
    free(block);
}

void weir_wipe(void *block, size_t size)
{
    explicit_bzero(block, size);
}

void weir_mem_fail_after(uint64_t n)
{
    allocations_left = n;
}
