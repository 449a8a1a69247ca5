/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/events.h"

#include "base/err.h"
#include "base/mem.h"

enum { ROOM_FIRST = 1024 };

void weir_sim_events_deinit(struct weir_sim_events *q)
{
    weir_free(q->_event);
    *q = (struct weir_sim_events){0};
}

static bool before(const struct weir_sim_event *a, const struct weir_sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->_order < b->_order;
}

bool weir_sim_events_add(struct weir_sim_events *q, const struct weir_sim_event *event)
{
    if (q->_count == q->_room) {
        uint64_t room = q->_room == 0 ? ROOM_FIRST : q->_room + q->_room / 2;
        struct weir_sim_event *bigger = weir_realloc(q->_event, room * sizeof(*bigger));
        if (bigger == NULL) {
            return false;
        }
        q->_event = bigger;
        q->_room = room;
    }
    struct weir_sim_event fresh = *event;
    fresh._order = q->_order++;
    uint64_t i = q->_count++;
    for (uint64_t up; i > 0 && before(&fresh, &q->_event[up = (i - 1) / 2]); i = up) {
        q->_event[i] = q->_event[up];
    }
    q->_event[i] = fresh;
    return true;
}

uint64_t weir_sim_events_next_us(const struct weir_sim_events *q)
{
    return q->_count == 0 ? UINT64_MAX : q->_event[0].at_us;
}

struct weir_sim_event weir_sim_events_take(struct weir_sim_events *q)
{
    WEIR_ASSERT(q->_count > 0);
    struct weir_sim_event first = q->_event[0], last = q->_event[--q->_count];
    uint64_t i = 0;
    for (uint64_t child; (child = 2 * i + 1) < q->_count; i = child) {
        if (child + 1 < q->_count && before(&q->_event[child + 1], &q->_event[child])) {
            child++;
        }
        if (!before(&q->_event[child], &last)) {
            break;
        }
        q->_event[i] = q->_event[child];
    }
    q->_event[i] = last; /* of none left: its own old place */
    return first;
}
