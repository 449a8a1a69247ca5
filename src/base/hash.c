/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <pthread.h>
#include <sys/random.h>
#include <xxhash.h>

#include "base/err.h"

static unsigned char secret[XXH3_SECRET_SIZE_MIN];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void draw_secret(void)
{
    weir_random_bytes(secret, sizeof(secret));
}

void weir_random_bytes(void *out, size_t len)
{
    unsigned char *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        WEIR_ASSERT(got > 0);
        at += got;
        len -= (size_t)got;
    }
}

void weir_hash128(const void *p, size_t len, uint64_t ret_hash[static 2])
{
    pthread_once(&once, draw_secret);
    XXH128_hash_t h = XXH3_128bits_withSecret(p, len, secret, sizeof(secret));
    ret_hash[0] = h.low64;
    ret_hash[1] = h.high64;
}
