/* SPDX-License-Identifier: Apache-2.0 */
/* banned.h - forced into every file of ours: calls that are unsafe, or that belong to one place.
 * A use does not compile. */
#ifndef WEIR_BASE_BANNED_H
#define WEIR_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef sprintf /* a macro with clang and _FORTIFY_SOURCE */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok
#pragma GCC poison atoi atol atoll sscanf localtime gmtime ctime asctime
/* names that headers of our parts use for other things */
#define rand()      banned_use_weir_rand
#define srand(seed) banned_use_weir_rand

#endif
