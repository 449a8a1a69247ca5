/* SPDX-License-Identifier: Apache-2.0 */
#include "base/zipf.h"

#include <math.h>

/* Below it the series is exact enough and the quotient is not. */
static const double SMALL = 1e-8;

/* The integral of x^-s, up to a constant. */
static double area(double s, double x)
{
    double log_x = log(x), t = (1 - s) * log_x;
    return (fabs(t) > SMALL ? expm1(t) / t : 1 + t / 2) * log_x;
}

/* Where the integral has this value. */
static double area_inverse(double s, double y)
{
    double t = (1 - s) * y;
    t = t > -1 ? t : -1; /* a product that was rounded */
    return exp((fabs(t) > SMALL ? log1p(t) / t : 1 - t / 2) * y);
}

static double density(double s, double x)
{
    return exp(-s * log(x));
}

void weir_zipf_init(struct weir_zipf *z, uint64_t n, double s)
{
    *z = (struct weir_zipf){
        ._n = n,
        ._s = s,
        ._high = area(s, 1.5) - 1,
        ._low = area(s, (double)n + 0.5),
        ._sure = 2 - area_inverse(s, area(s, 2.5) - density(s, 2)),
    };
}

uint64_t weir_zipf_draw(const struct weir_zipf *z, struct weir_rand *r)
{
    if (z->_s == 0) {
        return weir_rand_below(r, z->_n);
    }
    for (;;) {
        double y = z->_low + weir_rand_unit(r) * (z->_high - z->_low);
        double x = area_inverse(z->_s, y);
        double k = floor(x + 0.5);
        k = k < 1 ? 1 : k > (double)z->_n ? (double)z->_n : k;
        if (k - x <= z->_sure || y >= area(z->_s, k + 0.5) - density(z->_s, k)) {
            return (uint64_t)k - 1;
        }
    }
}
