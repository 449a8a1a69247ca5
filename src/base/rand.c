/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"

__extension__ typedef unsigned __int128 weir_u128;

uint64_t weir_mix64(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void weir_rand_init(struct weir_rand *r, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        r->_s[i] = weir_mix64(seed + i * UINT64_C(0x9e3779b97f4a7c15));
    }
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t weir_rand_u64(struct weir_rand *r)
{
    uint64_t result = rotl(r->_s[1] * 5, 7) * 9;
    uint64_t t = r->_s[1] << 17;
    r->_s[2] ^= r->_s[0];
    r->_s[3] ^= r->_s[1];
    r->_s[1] ^= r->_s[2];
    r->_s[0] ^= r->_s[3];
    r->_s[2] ^= t;
    r->_s[3] = rotl(r->_s[3], 45);
    return result;
}

uint64_t weir_rand_below(struct weir_rand *r, uint64_t n)
{
    return (uint64_t)(((weir_u128)weir_rand_u64(r) * n) >> 64);
}

double weir_rand_unit(struct weir_rand *r)
{
    return (double)(weir_rand_u64(r) >> 11) * 0x1p-53;
}
