/* SPDX-License-Identifier: Apache-2.0 */
/* pack_states.c - lays out the automaton of all tokens: their common beginnings are its states, and
 * a state's successors lie at its base plus a byte, wherever there is room for all of them. */
#include "base/mem.h"
#include "tokens/pack_internal.h"

enum {
    FREE = -1, /* of `from` */
    BYTES = 256,
    TRIES = 256, /* in a region that has little room left, before the search begins behind it */
};

/* The tokens of a state, in their order: all that begin with the first `depth` bytes of the first.
 */
struct range {
    uint32_t first, past;
    uint32_t depth;
    uint32_t state;
    uint32_t rank; /* the lowest of theirs */
};

/* Ranges that are to be laid out, a heap: the lowest rank first, so that the states of frequent
 * tokens lie together. */
struct heap {
    struct range *range;
    size_t n;
};

static void push(struct heap *h, struct range r)
{
    size_t i = h->n++;
    for (; i > 0 && h->range[(i - 1) / 2].rank > r.rank; i = (i - 1) / 2) {
        h->range[i] = h->range[(i - 1) / 2];
    }
    h->range[i] = r;
}

static struct range pop(struct heap *h)
{
    struct range top = h->range[0], last = h->range[--h->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        child += child + 1 < h->n && h->range[child + 1].rank < h->range[child].rank ? 1 : 0;
        if (h->range[child].rank >= last.rank) {
            break;
        }
        h->range[i] = h->range[child];
    }
    h->range[i] = last;
    return top;
}

struct layout {
    struct packing *p;
    size_t room;      /* states that there is memory for */
    uint32_t search;  /* where room for several is looked for */
    uint32_t lowest;  /* no place below is free */
    uint32_t highest; /* the highest base */
};

static bool is_free(const struct layout *l, size_t place)
{
    return place >= l->room || l->p->state[place].from == (uint32_t)FREE;
}

static bool grow(struct layout *l, size_t room)
{
    struct packing *p = l->p;
    if (room <= l->room) {
        return true;
    }
    room += room / 2;
    struct weir_state *state = weir_realloc(p->state, room * sizeof(*state));
    p->state = state != NULL ? state : p->state;
    uint32_t *token = weir_realloc(p->state_token, room * sizeof(*token));
    p->state_token = token != NULL ? token : p->state_token;
    if (state == NULL || token == NULL) {
        return false;
    }
    for (; l->room < room; l->room++) {
        p->state[l->room] = (struct weir_state){0, (uint32_t)FREE};
        p->state_token[l->room] = WEIR_TOKEN_NONE;
    }
    return true;
}

static bool fits_at(const struct layout *l, uint32_t base, const unsigned char *byte, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!is_free(l, (size_t)base + byte[i])) {
            return false;
        }
    }
    return true;
}

/* A base from which all these bytes lead to free places. */
static uint32_t find_base(struct layout *l, const unsigned char *byte, unsigned n)
{
    while (!is_free(l, l->lowest)) {
        l->lowest++;
    }
    uint32_t at = n == 1 ? l->lowest : l->search > l->lowest ? l->search : l->lowest;
    for (unsigned tries = 0;; at++) {
        if (!is_free(l, at)) {
            continue;
        }
        if (fits_at(l, at - byte[0], byte, n)) {
            return at - byte[0];
        }
        if (++tries == TRIES) {
            l->search = at;
        }
    }
}

static unsigned char byte_at(const struct packing *p, uint32_t i, uint32_t depth)
{
    return (unsigned char)p->source->token[p->order[i]].p[depth];
}

/* The bytes that follow the range's common beginning, and where the tokens of each one start. */
static unsigned next_bytes(const struct packing *p, const struct range *r,
                           unsigned char byte[static BYTES], uint32_t first[static BYTES + 1])
{
    unsigned n = 0;
    uint32_t i = r->first;
    if (p->source->token[p->order[i]].len == r->depth) {
        i++; /* the state's own token stands before those that go on */
    }
    for (; i < r->past; i++) {
        unsigned char b = byte_at(p, i, r->depth);
        if (n == 0 || byte[n - 1] != b) {
            byte[n] = b;
            first[n++] = i;
        }
    }
    first[n] = r->past;
    return n;
}

static uint32_t lowest_rank(const struct packing *p, uint32_t first, uint32_t past)
{
    uint32_t lowest = p->order[first];
    for (uint32_t i = first + 1; i < past; i++) {
        lowest = p->order[i] < lowest ? p->order[i] : lowest;
    }
    return lowest;
}

static bool lay_out(struct layout *l, struct heap *h)
{
    struct packing *p = l->p;
    push(h, (struct range){0, (uint32_t)p->source->tokens, 0, 0, 0});
    while (h->n > 0) {
        struct range r = pop(h);
        unsigned char byte[BYTES];
        uint32_t first[BYTES + 1];
        unsigned n = next_bytes(p, &r, byte, first);
        uint32_t base = n == 0 ? 0 : find_base(l, byte, n);
        if (!grow(l, (size_t)base + BYTES)) {
            return false;
        }
        l->highest = base > l->highest ? base : l->highest;
        p->state[r.state].base = base;
        if (r.depth > 0 && p->source->token[p->order[r.first]].len == r.depth) {
            p->state[r.state].base |= WEIR_STATE_TOKEN;
            p->state_token[r.state] = p->order[r.first];
        }
        for (unsigned i = 0; i < n; i++) {
            p->state[base + byte[i]].from = r.state;
            push(h, (struct range){first[i], first[i + 1], r.depth + 1, base + byte[i],
                                   lowest_rank(p, first[i], first[i + 1])});
        }
    }
    return true;
}

enum weir_err weir_pack_states(struct packing *p)
{
    struct layout l = {.p = p, .lowest = BYTES, .search = BYTES}; /* each base is above 0 */
    struct heap h = {.range = weir_zalloc_array(p->source->tokens + 1, sizeof(*h.range))};
    bool good = h.range != NULL && grow(&l, BYTES);
    if (good) {
        p->state[0].from = 0; /* taken; its base is above 0, so that no byte leads from it to it */
        good = lay_out(&l, &h);
        p->states = l.highest + BYTES;
    }
    weir_free(h.range);
    return good ? WEIR_OK : WEIR_ERR_NOMEM;
}
