/* SPDX-License-Identifier: Apache-2.0 */
/* admin_reload.c - a node reads its configuration again. */
#include <inttypes.h>

#include "cli/admin_client.h"
#include "cli/cli.h"

static const struct weir_admin_command reload = {
    .name = "weir reload",
    .help = "usage: weir reload [OPTION...]\n\n"
            "Lets a node read its configuration again, as at SIGHUP: it is in force when this "
            "ends with 0.\nA wrong one changes nothing; then it says why and ends with "
            "1.\n\n" WEIR_ADMIN_WHERE_HELP "  --json             the API's answer\n"
            "  --help             this text\n",
    .operand = "no argument",
};

int weir_cmd_reload(int argc, char **argv)
{
    struct weir_admin_client c;
    int code;
    if (weir_admin_begin(&c, &reload, argc, argv, &code)) {
        bool applied = weir_admin_ask(&c, "/reload", "{}");
        const struct weir_json_node *root = applied ? weir_json_root(&c.json) : NULL;
        code = applied ? WEIR_EXIT_OK : WEIR_EXIT_FAILED;
        if (applied && c.as_json) {
            weir_admin_print(&c);
        } else if (applied) {
            printf("in force: %" PRIu64 " plans, %" PRIu64 " keys\n",
                   weir_admin_number(&c.json, root, "plans"),
                   weir_admin_number(&c.json, root, "keys"));
        }
    }
    weir_admin_end(&c);
    return code;
}
