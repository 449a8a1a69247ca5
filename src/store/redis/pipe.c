/* SPDX-License-Identifier: Apache-2.0 */
#include "store/redis/pipe.h"

#include "base/mem.h"

enum {
    KEEP_BYTES = 64 * 1024, /* of an empty pipe */
    SLOTS_FIRST = 64,
};

void redis_pipe_init(struct redis_pipe *p, size_t bytes_max)
{
    *p = (struct redis_pipe){0};
    weir_buf_init(&p->out, bytes_max);
}

void redis_pipe_deinit(struct redis_pipe *p)
{
    weir_buf_deinit(&p->out);
    weir_free(p->slot);
    p->slot = NULL;
}

struct redis_sent *redis_pipe_at(const struct redis_pipe *p, uint32_t i)
{
    return &p->slot[(p->first + i) & (p->slots - 1)];
}

static bool grow(struct redis_pipe *p)
{
    uint32_t slots = p->slots == 0 ? SLOTS_FIRST : p->slots * 2;
    struct redis_sent *slot = weir_zalloc_array(slots, sizeof(*slot));
    if (slot == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < p->in_flight; i++) {
        slot[i] = *redis_pipe_at(p, i);
    }
    weir_free(p->slot);
    p->slot = slot;
    p->slots = slots;
    p->first = 0;
    return true;
}

bool redis_pipe_end(struct redis_pipe *p, const struct redis_sent *sent)
{
    if (p->out.failed || (p->in_flight == p->slots && !grow(p))) {
        p->out.failed = false;
        p->out.len = p->ended;
        return false;
    }
    struct redis_sent *s = redis_pipe_at(p, p->in_flight);
    *s = *sent;
    s->bytes = (uint32_t)(p->out.len - p->ended);
    p->ended = p->out.len;
    p->in_flight++;
    return true;
}

bool redis_pipe_is_written(const struct redis_pipe *p)
{
    return p->answered + redis_pipe_at(p, 0)->bytes <= p->written;
}

struct redis_sent redis_pipe_pop(struct redis_pipe *p)
{
    struct redis_sent s = *redis_pipe_at(p, 0);
    p->first++;
    p->in_flight--;
    p->answered += s.bytes;
    return s;
}

struct weir_str redis_pipe_bytes(const struct redis_pipe *p, const struct redis_sent *s)
{
    return weir_str(p->out.data + p->answered - s->bytes, s->bytes);
}

void redis_pipe_reset(struct redis_pipe *p)
{
    weir_buf_reset(&p->out);
    p->answered = p->written = p->ended = 0;
}

void redis_pipe_trim(struct redis_pipe *p)
{
    if (p->in_flight == 0 && p->written == p->out.len) {
        if (p->out.room > KEEP_BYTES) {
            weir_buf_deinit(&p->out);
        }
        redis_pipe_reset(p);
    } else if (p->answered > KEEP_BYTES && p->answered > p->out.len / 2) {
        weir_buf_consume(&p->out, p->answered);
        p->written -= p->answered;
        p->ended -= p->answered;
        p->answered = 0;
    }
}
