/* SPDX-License-Identifier: Apache-2.0 */
/* http_limits.h - what a listener of weir serve and of weir mock bears from its clients. Pure. */
#ifndef WEIR_GATEWAY_HTTP_LIMITS_H
#define WEIR_GATEWAY_HTTP_LIMITS_H

#include "config/config.h"
#include "net/http_server.h"

/* By the configuration, and for the rest as it is always. */
struct weir_http_limits weir_http_limits_of(const struct weir_config *config);

#endif
