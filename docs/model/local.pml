/* SPDX-License-Identifier: Apache-2.0
 * The store out of reach, `local`, and the way back. One store that loses nothing; calls run at
 * once or not at all (leases.pml has them late).
 *
 * A node that has been cut off goes on with its share, less what it was granted. When it is back it
 * reports at once, then waits, and only then takes; while it waits it takes what fits its share as
 * well as the store.
 *
 * Without ALL one node is cut off or the other, or both, at any time: an interval that touches an
 * outage holds at most C and the shares of the nodes that were cut off. With ALL the store is out of
 * reach for all of them, and is back for all of them: then what is taken after that fits beside all
 * that was used meanwhile. In both: what a node uses by its share fits beside what it was granted.
 *
 * Taken out one at a time: NO_DEDUCT, MEMORY_W, FORGET_ON_RETURN; with ALL: NO_REPORT, NO_WAIT,
 * REPORT_IF_FITS, REPORT_LATE, SHARE_WHILE_BACK. */
#include "common.inc"
#define N 2
#define SHARE (C / N)
#ifdef MEMORY_W
#define MEMORY W
#else
#define MEMORY KEEP
#endif

mtype = { NORMAL, LOCAL, BACK };

typedef Node {
    mtype mode = NORMAL;
    bool away;          /* the store is out of its reach */
    byte record[KEEP];  /* granted, not given back; and used by its share */
    byte unsaid[KEEP];  /* used by its share and not reported */
    byte rest;
    byte moment;
    bool fits;          /* ALL: `rest` was taken when the store was back (the checks only) */
    byte used[KEEP];    /* what it really used; only the checks look at it */
    byte touched;       /* ticks since it was cut off, up to W (the checks only) */
};

byte log[KEEP];
Node node[N];
hidden byte i, m, s;

/* m = used by all in the last W; s = what the shares add to the limit */
#define total()                                                                                    \
    m = 0;                                                                                         \
    s = 0;                                                                                         \
    for (i : 0 .. N - 1) {                                                                         \
        sum(node[i].used, W);                                                                      \
        m = m + n;                                                                                 \
        s = s + (node[i].touched < W -> SHARE : 0)                                                 \
    }

inline tidy(a) {
    if
    :: node[a].rest == 0 ->
        node[a].moment = 0;
        node[a].fits = false
    :: else -> skip
    fi
}

inline use(a) {
    d_step {
        node[a].rest > 0 && node[a].moment <= LIFE ->
        node[a].rest--;
        node[a].used[0]++;
        total();
        assert(m <= C + s); /* never over, but for exception (b) */
        assert(m <= C || !node[a].fits);
        tidy(a);
        printf("node %d uses one of its lease\n", a)
    }
}

inline lapse(a, lost) {
    d_step {
        node[a].rest > 0 && (lost == 1 || !node[a].away) ->
        if
        :: lost == 0 && node[a].moment < KEEP ->
            log[node[a].moment] = log[node[a].moment] - node[a].rest
        :: else -> skip
        fi;
        if
        :: node[a].moment < MEMORY ->
            node[a].record[node[a].moment] = node[a].record[node[a].moment] - node[a].rest
        :: else -> skip
        fi;
        printf("node %d gives back %d (lost: %d)\n", a, node[a].rest, lost);
        node[a].rest = 0;
        tidy(a)
    }
}

#ifdef NO_DEDUCT
#define DEDUCT node[a].unsaid
#else
#define DEDUCT node[a].record
#endif
#ifdef SHARE_WHILE_BACK
#define BY_SHARE(a) (node[a].mode != NORMAL)
#else
#define BY_SHARE(a) (node[a].mode == LOCAL)
#endif
inline use_share(a) {
    d_step {
        BY_SHARE(a) ->
        sum(DEDUCT, MEMORY);
        if
        :: n + 1 <= SHARE ->
            node[a].record[0]++;
            node[a].unsaid[0]++;
            node[a].used[0]++;
            total();
            assert(m <= C + s);
            sum(node[a].used, W);
            assert(n <= SHARE);
            printf("node %d uses one of its share\n", a)
        :: else -> skip
        fi
    }
}

/* While a node waits: what fits its share and the store. */
inline take_share(a) {
    d_step {
        node[a].mode == BACK && !node[a].away ->
        sum(DEDUCT, MEMORY);
        m = n;
        sum(log, KEEP);
        if
        :: m + 1 <= SHARE && n + 1 <= C ->
            log[0]++;
            node[a].record[0]++;
            node[a].used[0]++;
            total();
            assert(m <= C + s);
            sum(node[a].used, W);
            assert(n <= SHARE);
            printf("node %d, waiting, takes and uses one of its share\n", a)
        :: else -> skip
        fi
    }
}

/* What it used goes to the moments when it was used, whether it fits or not. */
inline report(a) {
#ifdef NO_REPORT
    clear(node[a].unsaid)
#else
#ifdef REPORT_IF_FITS
    sum(log, KEEP);
    m = n;
    sum(node[a].unsaid, KEEP);
    if
    :: n + m > C -> clear(node[a].unsaid)
    :: else -> skip
    fi;
#endif
    add(log, node[a].unsaid);
    clear(node[a].unsaid)
#endif
}

inline take(a, amount) {
    d_step {
        node[a].mode == NORMAL && !node[a].away && node[a].rest == 0 ->
        report(a);
        sum(log, KEEP);
        if
        :: n + amount <= C ->
            log[0] = log[0] + amount;
            node[a].rest = amount;
            node[a].record[0] = node[a].record[0] + amount;
#ifdef ALL
            node[a].fits = true;
#endif
            printf("the store grants %d to node %d\n", amount, a)
        :: else -> skip
        fi
    }
}

/* Granted, and the answer is lost. */
inline take_lost(a) {
    d_step {
        node[a].mode == NORMAL && !node[a].away ->
        sum(log, KEEP);
        log[0] = log[0] + (n < C -> 1 : 0)
    }
}

#define cut(a)                                                                                     \
    node[a].away = true;                                                                           \
    node[a].fits = false;                                                                          \
    node[a].touched = 0

inline cut_off(a) {
    d_step {
        !node[a].away -> cut(a);
        printf("node %d is cut off\n", a)
    }
}

inline reach(a) {
    d_step {
        node[a].away -> node[a].away = false;
        printf("node %d can reach the store again\n", a)
    }
}

/* An outage of the store that all of them notice. */
inline store_away() {
    d_step {
        !node[0].away && !node[1].away ->
        for (i : 0 .. N - 1) {
            cut(i);
            node[i].mode = LOCAL
        }
        printf("the store is out of reach\n")
    }
}

inline store_back() {
    d_step {
        node[0].away && node[1].away ->
        node[0].away = false;
        node[1].away = false;
        printf("the store can be reached again\n")
    }
}

inline go_local(a) {
    d_step {
        node[a].away && node[a].mode != LOCAL ->
        node[a].mode = LOCAL;
        printf("node %d goes on with its share\n", a)
    }
}

inline come_back(a) {
    d_step {
        !node[a].away && node[a].mode == LOCAL ->
#ifdef FORGET_ON_RETURN
        for (i : 0 .. MEMORY - 1) {
            node[a].record[i] = node[a].record[i] - node[a].unsaid[i]
        }
#endif
#ifndef REPORT_LATE
        report(a);
#endif
#ifdef NO_WAIT
        node[a].mode = NORMAL;
#else
        node[a].mode = BACK;
#endif
        printf("node %d is back\n", a)
    }
}

/* Who can reach the store notices it before the shortest wait is over. */
#define NOTICED(a) (node[a].away || node[a].mode != LOCAL)

inline tick() {
    d_step {
        NOTICED(0) && NOTICED(1) ->
        forget(log);
        for (i : 0 .. N - 1) {
            shift(node[i].used, W);
            shift(node[i].record, MEMORY);
            shift(node[i].unsaid, KEEP);
            if
            :: node[i].rest > 0 -> older(node[i].moment, KEEP)
            :: else -> skip
            fi;
            older(node[i].touched, W);
            if
            :: node[i].away -> node[i].touched = 0
            :: node[i].mode == BACK && !node[i].away -> node[i].mode = NORMAL /* waited one tick */
            :: else -> skip
            fi
        }
        printf("a tick\n")
    }
}

#define NODE(a)                                                                                    \
    :: use(a) :: lapse(a, 0) :: lapse(a, 1) :: take(a, 1) :: take(a, 2) :: take_lost(a)            \
    :: use_share(a) :: take_share(a) :: come_back(a)

active proctype weir() {
    node[0].touched = W;
    node[1].touched = W;
end:
    do
    NODE(0)
    NODE(1)
#ifdef ALL
    :: store_away()
    :: store_back()
#else
    :: cut_off(0)
    :: cut_off(1)
    :: reach(0)
    :: reach(1)
    :: go_local(0)
    :: go_local(1)
#endif
    :: tick()
    od
}
