/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/mock_ledger.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/mem.h"
#include "gateway/mock_request.h"

struct totals {
    struct {
        uint64_t requests, input_tokens, output_tokens;
    } end[WEIR_MOCK_ENDS];
};

struct entry {
    struct weir_mock_name name;
    struct totals totals;
};

/* Entries in the order in which they came, found by their hash. */
struct table {
    struct entry *entry; /* grows up to max */
    uint32_t *slot;      /* 1 + entry, 0: free; twice as many as max */
    uint32_t entries, room, max;
    uint64_t lost; /* requests whose name found no place */
};

struct weir_mock_ledger {
    pthread_mutex_t lock;
    struct totals totals;
    struct table models, traces;
    uint64_t open;
};

/* ---- tables ---- */

static bool table_init(struct table *t, uint32_t max)
{
    t->max = max;
    t->slot = weir_zalloc_array((size_t)max * 2, sizeof(*t->slot));
    return t->slot != NULL;
}

static void table_deinit(struct table *t)
{
    weir_free(t->entry);
    weir_free(t->slot);
}

/* The slot of that name, or the free one where it would stand. max is a power of two. */
static uint32_t *slot_of(const struct table *t, struct weir_str name)
{
    uint64_t hash[2];
    weir_hash128(name.p, name.len, hash);
    uint32_t mask = t->max * 2 - 1;
    for (uint32_t i = (uint32_t)hash[0] & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &t->slot[i];
        if (*slot == 0 || weir_str_eq(weir_mock_name_view(&t->entry[*slot - 1].name), name)) {
            return slot;
        }
    }
}

/* NULL: no place or no memory. */
static struct totals *totals_of(struct table *t, struct weir_str name)
{
    uint32_t *slot = slot_of(t, name);
    if (*slot != 0) {
        return &t->entry[*slot - 1].totals;
    }
    if (t->entries == t->room && t->room < t->max) {
        uint32_t room = t->room == 0 ? 16 : t->room * 2;
        struct entry *grown = weir_realloc(t->entry, room * sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        t->entry = grown;
        t->room = room;
    }
    if (t->entries == t->room) {
        return NULL;
    }
    struct entry *e = &t->entry[t->entries];
    *e = (struct entry){0};
    if (!weir_mock_name_set(&e->name, name)) {
        return NULL;
    }
    *slot = ++t->entries;
    return &e->totals;
}

/* ---- counting ---- */

enum weir_err weir_mock_ledger_new(struct weir_mock_ledger **ret_ledger)
{
    struct weir_mock_ledger *l = weir_zalloc(sizeof(*l));
    if (l == NULL) {
        return WEIR_ERR_NOMEM;
    }
    pthread_mutex_init(&l->lock, NULL);
    if (!table_init(&l->models, WEIR_MOCK_MODELS_MAX) ||
        !table_init(&l->traces, WEIR_MOCK_TRACES_MAX)) {
        weir_mock_ledger_free(l);
        return WEIR_ERR_NOMEM;
    }
    *ret_ledger = l;
    return WEIR_OK;
}

void weir_mock_ledger_free(struct weir_mock_ledger *l)
{
    if (l == NULL) {
        return;
    }
    table_deinit(&l->models);
    table_deinit(&l->traces);
    pthread_mutex_destroy(&l->lock);
    weir_free(l);
}

void weir_mock_ledger_begin(struct weir_mock_ledger *l)
{
    pthread_mutex_lock(&l->lock);
    l->open++;
    pthread_mutex_unlock(&l->lock);
}

static void add(struct totals *t, enum weir_mock_end how, uint64_t input, uint64_t output)
{
    t->end[how].requests++;
    t->end[how].input_tokens += input;
    t->end[how].output_tokens += output;
}

static void add_named(struct table *table, struct weir_str name, enum weir_mock_end how,
                      uint64_t input, uint64_t output)
{
    struct totals *t = totals_of(table, name);
    if (t != NULL) {
        add(t, how, input, output);
    } else {
        table->lost++;
    }
}

void weir_mock_ledger_end(struct weir_mock_ledger *l, enum weir_mock_end how, struct weir_str model,
                          struct weir_str trace, uint64_t input_tokens, uint64_t output_tokens)
{
    pthread_mutex_lock(&l->lock);
    WEIR_ASSERT(l->open > 0);
    l->open--;
    add(&l->totals, how, input_tokens, output_tokens);
    add_named(&l->models, model, how, input_tokens, output_tokens);
    if (trace.len > 0) {
        add_named(&l->traces, trace, how, input_tokens, output_tokens);
    }
    pthread_mutex_unlock(&l->lock);
}

/* ---- telling ---- */

static void amounts_json(struct weir_buf *b, uint64_t requests, uint64_t input, uint64_t output)
{
    WEIR_BUF_LIT(b, "\"requests\":");
    weir_buf_u64(b, requests);
    WEIR_BUF_LIT(b, ",\"input_tokens\":");
    weir_buf_u64(b, input);
    WEIR_BUF_LIT(b, ",\"output_tokens\":");
    weir_buf_u64(b, output);
}

static void totals_json(struct weir_buf *b, const struct totals *t)
{
    static const char *const names[WEIR_MOCK_ENDS] = {"completed", "aborted", "cancelled",
                                                      "failed"};
    uint64_t requests = 0, input = 0, output = 0;
    for (int i = 0; i < WEIR_MOCK_ENDS; i++) {
        requests += t->end[i].requests;
        input += t->end[i].input_tokens;
        output += t->end[i].output_tokens;
    }
    WEIR_BUF_LIT(b, "{");
    amounts_json(b, requests, input, output);
    for (int i = 0; i < WEIR_MOCK_ENDS; i++) {
        weir_buf_printf(b, ",\"%s\":{", names[i]);
        amounts_json(b, t->end[i].requests, t->end[i].input_tokens, t->end[i].output_tokens);
        WEIR_BUF_LIT(b, "}");
    }
    WEIR_BUF_LIT(b, "}");
}

static void all_json(const struct weir_mock_ledger *l, struct weir_buf *b)
{
    WEIR_BUF_LIT(b, "{\"open\":");
    weir_buf_u64(b, l->open);
    WEIR_BUF_LIT(b, ",\"total\":");
    totals_json(b, &l->totals);
    WEIR_BUF_LIT(b, ",\"models\":{");
    for (uint32_t i = 0; i < l->models.entries; i++) {
        if (i > 0) {
            WEIR_BUF_LIT(b, ",");
        }
        weir_buf_json(b, weir_mock_name_view(&l->models.entry[i].name));
        WEIR_BUF_LIT(b, ":");
        totals_json(b, &l->models.entry[i].totals);
    }
    WEIR_BUF_LIT(b, "},\"models_lost\":");
    weir_buf_u64(b, l->models.lost);
    WEIR_BUF_LIT(b, ",\"traces_lost\":");
    weir_buf_u64(b, l->traces.lost);
    WEIR_BUF_LIT(b, "}");
}

bool weir_mock_ledger_json(struct weir_mock_ledger *l, struct weir_str trace, struct weir_buf *b)
{
    bool known = true;
    pthread_mutex_lock(&l->lock);
    if (trace.p == NULL) {
        all_json(l, b);
    } else {
        uint32_t slot = *slot_of(&l->traces, trace);
        known = slot != 0;
        if (known) {
            totals_json(b, &l->traces.entry[slot - 1].totals);
        }
    }
    pthread_mutex_unlock(&l->lock);
    return known;
}
