/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - what an image costs OpenAI's models (platform.openai.com/docs/guides/images-vision,
 * "Calculating costs"), and how large one in a data: URL is. Pure. */
#ifndef WEIR_TOKENS_IMAGE_H
#define WEIR_TOKENS_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* By tiles of 512 pixels, `base` and `tile` tokens for each; or by patches of 32 pixels, at most
 * 1536 of them, each `patch_percent` / 100 tokens (0: by tiles). */
struct weir_image_rule {
    uint32_t base, tile, patch_percent;
};

/* Of a model that is not known: that of gpt-4o. */
struct weir_image_rule weir_image_rule_of(struct weir_str model);

/* Tokens of an image of this size in pixels; low: at low detail, where it is the base alone. An
 * image without a width or height counts as 1024 x 1024. */
uint64_t weir_image_tokens(struct weir_image_rule rule, uint32_t width, uint32_t height, bool low);

/* The size of a PNG, JPEG, GIF or WebP in a data: URL with base64. False: it is none, or does not
 * say. Looks at some hundred bytes at most, wherever they are. */
bool weir_image_size(struct weir_str url, uint32_t *ret_width, uint32_t *ret_height);

#endif
