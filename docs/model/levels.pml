/* SPDX-License-Identifier: Apache-2.0
 * Two levels: an edge node's lease is cut from the lease of its region, which the home store
 * granted. Another node takes from the home store directly. Calls run at once (leases.pml has them
 * late); returns go up at once or are lost.
 *
 * Taken out: CHILD_OUTLIVES (the edge counts the life of its lease from its own call). */
#include "common.inc"
#define REGION 0
#define OTHER 1
#define EDGE 2

typedef Node {
    byte rest;
    byte moment; /* age of the home store's grant */
    byte own;    /* age of its own call */
};

byte log[KEEP];
byte used[KEEP]; /* what was really used; only the checks look at it */
Node node[3];
hidden byte x;

inline tidy(a) {
    if
    :: node[a].rest == 0 ->
        node[a].moment = 0;
        node[a].own = 0
    :: else -> skip
    fi
}

#ifdef CHILD_OUTLIVES
#define LIVES(a) (node[a].own <= LIFE)
#else
#define LIVES(a) (node[a].moment <= LIFE)
#endif
inline use(a) {
    d_step {
        node[a].rest > 0 && LIVES(a) ->
        node[a].rest--;
        tidy(a);
        used[0]++;
        sum(used, W);
        assert(n <= C); /* never over */
        printf("node %d uses one\n", a)
    }
}

inline take(a, amount) {
    d_step {
        node[a].rest == 0 ->
        sum(log, KEEP);
        if
        :: n + amount <= C ->
            log[0] = log[0] + amount;
            node[a].rest = amount;
            printf("home grants %d to node %d\n", amount, a)
        :: else -> skip
        fi
    }
}

inline cut_lease(amount) {
    d_step {
        node[EDGE].rest == 0 && node[REGION].rest >= amount && LIVES(REGION) ->
        node[EDGE].rest = amount;
        node[EDGE].moment = node[REGION].moment;
        node[REGION].rest = node[REGION].rest - amount;
        tidy(REGION);
        printf("the region grants %d to the edge\n", amount)
    }
}

inline lapse(a, lost) {
    d_step {
        node[a].rest > 0 ->
        if
        :: lost == 0 && node[a].moment < KEEP ->
            log[node[a].moment] = log[node[a].moment] - node[a].rest
        :: else -> skip
        fi;
        printf("node %d gives back %d (lost: %d)\n", a, node[a].rest, lost);
        node[a].rest = 0;
        tidy(a)
    }
}

inline tick() {
    d_step {
        forget(log);
        shift(used, W);
        for (x : 0 .. 2) {
            if
            :: node[x].rest > 0 ->
                older(node[x].moment, KEEP);
                older(node[x].own, LIFE + 1)
            :: else -> skip
            fi
        }
        printf("a tick\n")
    }
}

active proctype weir() {
end:
    do
    :: use(REGION) :: use(OTHER) :: use(EDGE)
    :: take(REGION, 1) :: take(REGION, 2) :: take(OTHER, 1) :: take(OTHER, 2)
    :: cut_lease(1) :: cut_lease(2)
    :: lapse(REGION, 0) :: lapse(REGION, 1) :: lapse(OTHER, 0) :: lapse(OTHER, 1)
    :: lapse(EDGE, 0) :: lapse(EDGE, 1)
    :: tick()
    od
}
