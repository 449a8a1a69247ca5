/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

int main(void)
{
    return WEIR_EXIT_OK;
}
