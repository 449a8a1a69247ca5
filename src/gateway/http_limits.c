/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http_limits.h"

struct weir_http_limits weir_http_limits_of(const struct weir_config *config)
{
    return (struct weir_http_limits){
        .head_bytes_max = config->head_bytes_max,
        .target_bytes_max = config->target_bytes_max,
        .body_bytes_max = config->body_bytes_max,
        .answer_bytes_max = 1 << 20,
        .pipeline_max = 256,
        .connections_max = config->connections_max,
        .head_timeout_ms = config->head_timeout_ms,
        .body_timeout_ms = config->body_timeout_ms,
        .idle_timeout_ms = config->idle_timeout_ms,
    };
}
