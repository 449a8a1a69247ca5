/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "config/config.h"

int weir_cmd_check_config(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "weir check-config: expected the path of one configuration file\n");
        return WEIR_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        printf(
            "usage: weir check-config FILE\n\n"
            "Reads FILE as weir serve --config does, secrets from the environment and from files\n"
            "too, and says where it is wrong. Nothing is started and no store is asked.\n");
        return WEIR_EXIT_OK;
    }
    struct weir_config *config;
    struct weir_config_error error;
    if (weir_config_load(argv[1], NULL, &config, &error) != WEIR_OK) {
        char why[1024];
        weir_config_error_say(&error, argv[1], why, sizeof(why));
        fprintf(stderr, "%s\n", why);
        return WEIR_EXIT_FAILED;
    }
    printf("%s: ok (%zu plans, %zu keys)\n", argv[1], config->plans, config->keys);
    weir_config_free(config);
    return WEIR_EXIT_OK;
}
