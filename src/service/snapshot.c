/* SPDX-License-Identifier: Apache-2.0 */
#include "service/snapshot.h"

#include "base/mem.h"
#include "gateway/fetch.h"
#include "service/service.h"

struct weir_snapshot *weir_snapshot_new(struct weir_config *config)
{
    struct weir_snapshot *snapshot = weir_zalloc(sizeof(*snapshot));
    if (snapshot == NULL) {
        return NULL;
    }
    snapshot->auth_slots = 4;
    while (snapshot->auth_slots < config->keys * 2) {
        snapshot->auth_slots *= 2;
    }
    snapshot->auth = weir_zalloc_array(snapshot->auth_slots, sizeof(snapshot->auth[0]));
    if (snapshot->auth == NULL) {
        weir_free(snapshot);
        return NULL;
    }
    snapshot->config = weir_config_keep(config);
    snapshot->users = 1;
    return snapshot;
}

struct weir_snapshot *weir_snapshot_keep(struct weir_service *s)
{
    s->snapshot->users++;
    return s->snapshot;
}

void weir_snapshot_let_go(struct weir_snapshot *snapshot)
{
    if (snapshot != NULL && --snapshot->users == 0) {
        weir_config_free(snapshot->config);
        weir_free(snapshot->auth);
        weir_free(snapshot);
    }
}

void weir_service_adopt(struct weir_service *s, struct weir_snapshot *next,
                        struct weir_upstream_set *upstreams)
{
    struct weir_snapshot *before = s->snapshot;
    if (upstreams != NULL) {
        pthread_mutex_lock(&s->group->mutex); /* metrics look at them */
        weir_upstreams_adopt(s->upstreams, upstreams);
        pthread_mutex_unlock(&s->group->mutex);
    }
    s->snapshot = next;
    s->config = next->config;
    weir_snapshot_let_go(before);
}

/* NULL: it is there no more. */
static const struct weir_subject *present(const struct weir_config *config,
                                          const struct weir_subject *subject,
                                          const struct weir_anonymous *a)
{
    if (subject == &a->subject) {
        return config->unknown_plan == NULL ? NULL : subject;
    }
    return weir_config_subject(config, subject->name);
}

void weir_snapshot_renew(struct weir_service *s, struct weir_snapshot **snapshot,
                         struct weir_call *call, struct weir_anonymous *a)
{
    if (WEIR_LIKELY(*snapshot == s->snapshot)) {
        return;
    }
    const struct weir_subject *now[WEIR_SUBJECTS_MAX];
    for (unsigned i = 0; i < call->subjects; i++) {
        now[i] = present(s->config, call->subject[i], a);
        if (now[i] == NULL) {
            return;
        }
    }
    a->subject.plan = s->config->unknown_plan;
    memcpy(call->subject, now, call->subjects * sizeof(now[0]));
    weir_snapshot_let_go(*snapshot);
    *snapshot = weir_snapshot_keep(s);
}
