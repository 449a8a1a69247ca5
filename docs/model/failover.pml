/* SPDX-License-Identifier: Apache-2.0
 * A replica becomes primary with a prefix of what was acknowledged, and the former primary still
 * answers. The prefix is chosen when it ends: at a fork the replica has all that was written so
 * far, and whatever the former primary acknowledges afterwards is lost. The nodes go over one by
 * one; how late each is, nobody says, but who has not gone over when the barrier ends is cut off.
 * Node 1 starts in the middle. Each primary has an identity of its own (its number).
 *
 * What a node was granted and has not given back is recorded in rows: `mid` (answered before the
 * beat in flight was sent) and `since` (after that). What was answered before the last beat that
 * the replica has was sent needs no record; `kept` has it where a check wants it.
 *
 * A call is sent and runs in one step here, so a lease is used for LIFE ticks from its grant: longer
 * than the rule says. Returns run at once or are lost; leases.pml has them late.
 *
 * FORKS: how many failovers. CUT: nodes die, start again, are cut off. BUDGET: checks how much is
 * charged again. QUIET: checks
 * that no budget is lost for good. SHARES: until the barrier is over nodes go on with their share.
 * Taken out one at a time: NO_BARRIER, NO_BEAT_NONE (without beats, nothing is
 * charged again), NO_BEAT_ALL (all of it is; with BUDGET), BEAT_AT_ANSWER, BEAT_EARLY, MEMORY_W,
 * STALE_ANSWERS, KEEP_RETURNS, KEEP_REST (with CUT), GO_BACK, CHARGE_NOW (with QUIET), NO_REPORT (with SHARES), ID_OF_PROCESS (with FORKS=2: the
 * second failover goes back to the process that was primary first). */
#include "common.inc"
#ifndef N
#define N 2
#endif
#ifndef FORKS
#define FORKS 1
#endif
#define BARRIER 1
#define NOBODY 9
#ifdef MEMORY_W
#define MEMORY W
#else
#define MEMORY KEEP
#endif
#ifdef ID_OF_PROCESS
#define ID(s) (s == 2 -> 0 : s)
#else
#define ID(s) s
#endif
#define TAKES(s) (store[s].accepted == ID(s))

#if defined(BUDGET) || defined(SHARES)
#define ROW_KEPT
#endif
#define SHARE (C / N)

mtype = { KEPT_ROW, MID, SINCE };

typedef Store {
    byte log[KEEP];
    byte accepted; /* the identity in the data */
    bool met;      /* the barrier has begun */
    bool over;     /* and is over */
};
typedef Node {
    byte at; /* the primary that it has gone over to */
    byte mid[KEEP];
    byte since[KEEP];
    bool beat; /* one is in flight */
    byte rest; /* of the grant that it holds */
    byte moment;
    mtype row = SINCE; /* where that grant is recorded */
    byte granted;      /* the answer in flight */
    byte granted_at;   /* age of the grant */
#ifdef ROW_KEPT
    byte kept[KEEP];
#endif
#ifdef SHARES
    bool alone;         /* it goes on with its share */
    byte unsaid[KEEP];  /* used by its share and not reported */
    bool fresh;         /* `rest` is of the last primary (the checks only) */
    byte touched;       /* ticks since it went on with its share, up to W (the checks only) */
#endif
#ifdef BEAT_AT_ANSWER
    bool beat_ran;
#endif
#ifdef KEEP_RETURNS
    byte back[KEEP];
#endif
#ifdef CUT /* for the checks only */
    bool cut;
    bool lost;            /* the grant of `rest` is not in the replica */
    bool granted_lost;    /* nor that of the answer in flight */
    byte used_lost[KEEP]; /* used of lost grants that it has not charged again */
#endif
};

Store store[FORKS + 1];
Node node[N];
byte newest;
byte used[KEEP]; /* what was really used; only the checks look at it */
#ifdef CUT
byte gone[KEEP]; /* the part of it that exception (c) allows */
#endif
#ifdef BUDGET
byte again; /* charged again by rights */
#endif
#ifdef QUIET
bool quiet; /* nobody asks any more, nothing fails any more */
byte calm;  /* ticks since then */
#define BUSY !quiet
#else
#define BUSY true
#endif
hidden byte i, x, m, more;

#ifdef CUT
#define allow()                                                                                    \
    sum(gone, W);                                                                                  \
    m = m - n;                                                                                     \
    for (x : 0 .. N - 1) {                                                                         \
        if                                                                                         \
        :: node[x].cut ->                                                                          \
            sum(node[x].used_lost, W);                                                             \
            m = m - n                                                                              \
        :: else -> skip                                                                            \
        fi                                                                                         \
    }
#define IS_CUT(a) node[a].cut
#define count_lost(a) node[a].used_lost[0] = node[a].used_lost[0] + (node[a].lost -> 1 : 0)
#define set_lost(a, v) node[a].lost = v
#define set_granted_lost(a, v) node[a].granted_lost = v
#define forgive(a)                                                                                 \
    if                                                                                             \
    :: node[a].cut -> add(gone, node[a].used_lost)                                                 \
    :: else -> skip                                                                                \
    fi;                                                                                            \
    clear(node[a].used_lost);                                                                      \
    node[a].cut = false
#else
#define allow() skip
#define IS_CUT(a) false
#define count_lost(a) skip
#define set_lost(a, v) skip
#define set_granted_lost(a, v) skip
#define forgive(a) skip
#endif
#ifdef SHARES
/* What the last primary grants fits beside all; before that, exception (b). */
#define allow_share(a)                                                                             \
    more = 0;                                                                                      \
    for (x : 0 .. N - 1) {                                                                         \
        more = more + (node[x].touched < W && !node[a].fresh -> SHARE : 0)                         \
    }
#define set_fresh(a, v) node[a].fresh = v
#else
#define allow_share(a) more = 0
#define set_fresh(a, v) skip
#endif
#ifdef ROW_KEPT
#define kept_add(a, row_from) add(node[a].kept, row_from)
#define kept_less(a) node[a].kept[node[a].moment] = node[a].kept[node[a].moment] - node[a].rest
#else
#define kept_add(a, row_from) skip
#define kept_less(a) skip
#endif

/* A barrier does not end before all nodes have gone over that are neither dead nor cut off. A node
 * that starts afterwards at a former primary is cut off from the start. */
#define THERE(a, s) (IS_CUT(a) || node[a].at >= s)
#define IN_TIME(s) (!store[s].met || store[s].over || (THERE(0, s) && THERE(1, s)))
#define PASSED(a, s, later) (later <= newest && s < later && store[later].over)
#if FORKS > 1
#define ALL_IN_TIME (IN_TIME(1) && IN_TIME(2))
#define MISSED(a, s) (PASSED(a, s, 1) || PASSED(a, s, 2))
#else
#define ALL_IN_TIME IN_TIME(1)
#define MISSED(a, s) PASSED(a, s, 1)
#endif

/* Nothing that is recorded after the last failover matters. */
#ifdef SHARES
#define RECORDS(a) true
#else
#define RECORDS(a) (node[a].at < FORKS)
#endif

inline tidy(a) {
    if
    :: node[a].rest == 0 ->
        node[a].moment = 0;
        node[a].row = SINCE;
        set_lost(a, false);
        set_fresh(a, false)
    :: else -> skip
    fi
}

inline use(a) {
    d_step {
        node[a].rest > 0 && node[a].moment <= LIFE ->
        node[a].rest--;
        used[0]++;
        count_lost(a);
        sum(used, W);
        m = n;
        allow();
        allow_share(a);
        assert(m <= C + more); /* never over */
        tidy(a);
        printf("node %d uses one\n", a)
    }
}

/* What is not used counts no longer as granted. */
inline drop_rest(a) {
    if
    :: node[a].rest == 0 || !RECORDS(a) || node[a].moment >= MEMORY -> skip
    :: else ->
        if
        :: node[a].row == KEPT_ROW -> kept_less(a)
        :: node[a].row == MID ->
            node[a].mid[node[a].moment] = node[a].mid[node[a].moment] - node[a].rest
        :: node[a].row == SINCE ->
            node[a].since[node[a].moment] = node[a].since[node[a].moment] - node[a].rest
        fi
    fi;
    node[a].rest = 0;
    tidy(a)
}

#ifdef SHARES
#define IS_LOCAL(a) node[a].alone
inline go_local(a) {
    d_step {
        node[a].at < newest && !node[a].alone ->
        node[a].alone = true;
        printf("node %d goes on with its share\n", a)
    }
}

/* m = what it was granted and what it used by its share */
#define recorded(a)                                                                                \
    m = 0;                                                                                         \
    for (x : 0 .. MEMORY - 1) {                                                                    \
        m = m + node[a].kept[x] + node[a].mid[x] + node[a].since[x] + node[a].unsaid[x]            \
    }
#define count_share(a)                                                                             \
    used[0]++;                                                                                     \
    sum(used, W);                                                                                  \
    m = n;                                                                                         \
    allow_share(a);                                                                                \
    assert(m <= C + more)

inline use_share(a) {
    d_step {
        node[a].alone && node[a].at < newest && node[a].rest == 0 ->
        recorded(a);
        if
        :: m + 1 <= SHARE ->
            node[a].unsaid[0]++;
            node[a].touched = 0;
            count_share(a);
            printf("node %d uses one of its share\n", a)
        :: else -> skip
        fi
    }
}

/* It has gone over and waits for the barrier: what fits its share and the store. */
inline take_share(a) {
    d_step {
        node[a].alone && node[a].at == newest && node[a].rest == 0 ->
        recorded(a);
        sum(store[node[a].at].log, KEEP);
        if
        :: m + 1 <= SHARE && n + 1 <= C ->
            store[node[a].at].log[0]++;
            node[a].since[0]++;
            count_share(a);
            printf("node %d, waiting, takes and uses one of its share\n", a)
        :: else -> skip
        fi
    }
}
#else
#define IS_LOCAL(a) false
#endif

#define LOG(a) store[node[a].at].log[node[a].moment]

inline lapse(a, lost_too) {
    d_step {
        node[a].rest > 0 ->
        if
        :: node[a].moment < KEEP ->
#ifdef KEEP_RETURNS
            node[a].back[node[a].moment] = node[a].back[node[a].moment] + node[a].rest
#else
            if
            :: lost_too == 0 -> LOG(a) = (LOG(a) > node[a].rest -> LOG(a) - node[a].rest : 0)
            :: else -> skip
            fi
#endif
        :: else -> skip
        fi;
        printf("node %d gives back %d (lost: %d)\n", a, node[a].rest, lost_too);
        drop_rest(a)
    }
}

#ifdef KEEP_RETURNS
inline give_back(a) {
    d_step {
        node[a].at != NOBODY ->
        lower(store[node[a].at].log, node[a].back);
        clear(node[a].back);
        printf("the return of node %d runs in primary %d\n", a, node[a].at)
    }
}
#endif

inline take(a, amount) {
    d_step {
        node[a].at != NOBODY && node[a].granted == 0 && TAKES(node[a].at) && BUSY && !IS_LOCAL(a) ->
        sum(store[node[a].at].log, KEEP);
        if
        :: n + amount <= C ->
            node[a].granted = amount;
            set_granted_lost(a, node[a].at < newest);
            store[node[a].at].log[0] = store[node[a].at].log[0] + amount;
            printf("primary %d grants %d to node %d\n", node[a].at, amount, a)
        :: else -> skip
        fi
    }
}

inline drop_answer(a) {
    node[a].granted = 0;
    node[a].granted_at = 0;
    set_granted_lost(a, false)
}

inline answer(a) {
    d_step {
        node[a].granted > 0 && node[a].rest == 0 ->
        node[a].rest = node[a].granted;
        node[a].moment = node[a].granted_at;
        set_lost(a, node[a].granted_lost);
        set_fresh(a, node[a].at == FORKS);
        if
        :: RECORDS(a) && node[a].moment < MEMORY ->
            node[a].since[node[a].moment] = node[a].since[node[a].moment] + node[a].rest
        :: else -> skip
        fi;
        drop_answer(a);
        printf("node %d has the answer\n", a)
    }
}

inline lose_answer(a) {
    d_step {
        node[a].granted > 0 ->
        drop_answer(a);
        printf("node %d has no answer\n", a)
    }
}

#define move_row(a, from, to) node[a].row = (node[a].rest > 0 && node[a].row == from -> to : node[a].row)

inline since_to_mid(a) {
    add(node[a].mid, node[a].since);
    clear(node[a].since);
    move_row(a, SINCE, MID)
}

inline mid_to_since(a) {
    add(node[a].since, node[a].mid);
    clear(node[a].mid);
    move_row(a, MID, SINCE);
    node[a].beat = false
}

inline mid_to_kept(a) {
    kept_add(a, node[a].mid);
    clear(node[a].mid);
    move_row(a, MID, KEPT_ROW);
    node[a].beat = false
}

/* One that could not be found by anybody is not sent: less states. */
inline send_beat(a) {
    d_step {
        node[a].at == newest && newest < FORKS && !node[a].beat ->
        node[a].beat = true;
        since_to_mid(a);
        printf("node %d sends a beat to primary %d\n", a, node[a].at)
    }
}

#ifdef BEAT_AT_ANSWER
#define BEAT_RUNS(a) (node[a].beat && !node[a].beat_ran && node[a].at == newest)
#define BEAT_KNOWN(a) node[a].beat_ran
#else
#define BEAT_RUNS(a) (node[a].beat && node[a].at == newest)
#define BEAT_KNOWN(a) false
#endif
inline run_beat(a) {
    d_step {
        BEAT_RUNS(a) ->
#ifdef BEAT_AT_ANSWER
        node[a].beat_ran = true;
#else
        mid_to_kept(a);
#endif
        printf("the beat of node %d runs\n", a)
    }
}

#ifdef BEAT_AT_ANSWER
inline answer_beat(a) {
    d_step {
        node[a].beat_ran ->
        since_to_mid(a);
        mid_to_kept(a);
        node[a].beat_ran = false;
        printf("node %d has the answer to its beat\n", a)
    }
}
#endif

/* A beat that is lost, or runs where the replica no longer hears it, is not found. */
inline lose_beat(a) {
    d_step {
        node[a].beat && !BEAT_KNOWN(a) ->
        mid_to_since(a);
        printf("the beat of node %d is lost\n", a)
    }
}

#ifdef BEAT_EARLY
inline early_beat(a) {
    d_step {
        node[a].at != NOBODY && node[a].at < newest ->
        since_to_mid(a);
        mid_to_kept(a);
        printf("node %d writes a beat to primary %d first\n", a, newest)
    }
}
#endif

inline meet(s) {
    if
    :: !store[s].met && !TAKES(s) ->
        store[s].met = true;
#ifdef NO_BARRIER
        store[s].accepted = ID(s)
#endif
    :: else -> skip
    fi
}

/* Somebody notices a primary and has not charged anything yet. */
inline notice(s) {
    d_step {
        s <= newest && !store[s].met && !TAKES(s) ->
        meet(s);
        printf("primary %d is met\n", s)
    }
}

#ifdef GO_BACK
#define MAY_GO(a, s) (s <= newest && s != node[a].at)
#else
#define MAY_GO(a, s) (s <= newest && s > node[a].at)
#endif

/* A node goes over: it charges again what it was granted since its last beat found there, at the
 * moments of the grants (late = 0) or at this one (late = 1). What it has not used is not charged
 * again and not used any more. Before that it neither takes, nor gives back, nor beats there. */
inline go_over(a, s, late) {
    d_step {
        node[a].at != NOBODY && MAY_GO(a, s) ->
        if
        :: ID(s) == ID(node[a].at) -> skip /* as far as it can see, nothing has happened */
        :: else ->
            meet(s);
#ifndef KEEP_REST
            drop_rest(a);
#endif
            set_lost(a, false);
#ifndef STALE_ANSWERS
            drop_answer(a);
#endif
            mid_to_since(a);
#ifdef SHARES
#ifndef NO_REPORT
            add(node[a].since, node[a].unsaid);
#endif
            clear(node[a].unsaid);
            node[a].touched = 0;
            node[a].alone = true;
#endif
            sum(node[a].since, KEEP);
            m = n;
#ifdef BUDGET
            again = again + n;
#endif
#ifdef NO_BEAT_ALL
            add(node[a].since, node[a].kept);
            clear(node[a].kept);
#endif
            if
            :: late == 1 ->
                clear(node[a].since);
                node[a].since[0] = m
            :: else -> skip
            fi;
#ifndef NO_BEAT_NONE
            add(store[s].log, node[a].since);
#endif
            forgive(a)
        fi;
        node[a].at = s;
        if
        :: !RECORDS(a) ->
            clear(node[a].since);
            node[a].row = SINCE
        :: else -> skip
        fi;
#ifdef BUDGET
        sum(store[s].log, KEEP);
        assert(n <= C + again); /* no more is charged again than is needed */
#endif
        printf("node %d goes over to primary %d (late: %d)\n", a, s, late)
    }
}

inline start(a, s) {
    d_step {
        node[a].at == NOBODY && s <= newest && !MISSED(a, s) && BUSY ->
        node[a].at = s;
        meet(s);
        printf("node %d starts at primary %d\n", a, s)
    }
}

inline fork() {
    d_step {
        newest < FORKS && BUSY ->
        add(store[newest + 1].log, store[newest].log);
        store[newest + 1].accepted = store[newest].accepted;
        newest++;
        printf("what primary %d acknowledges from now on, primary %d will not have\n", newest - 1, newest)
    }
}

#ifdef CUT
inline die(a) {
    d_step {
        node[a].at != NOBODY && BUSY ->
        node[a].cut = true;
        forgive(a);
        node[a].at = NOBODY;
        clear(node[a].mid);
        clear(node[a].since);
        node[a].beat = false;
        node[a].rest = 0;
        tidy(a);
        drop_answer(a);
        printf("node %d dies\n", a)
    }
}

inline cut_off(a) {
    d_step {
        node[a].at < newest && !node[a].cut && BUSY ->
        node[a].cut = true;
        printf("node %d is cut off\n", a)
    }
}
#endif

#ifdef QUIET
/* Every node beats, so somebody meets a new primary within a tick. */
#define GOES_ON (!quiet || (calm < KEEP && (TAKES(newest) || store[newest].met)))
#else
#define GOES_ON true
#endif
inline tick() {
    d_step {
        ALL_IN_TIME && GOES_ON ->
        shift(used, W);
#ifdef CUT
        shift(gone, W);
#endif
        for (x : 0 .. newest) {
            forget(store[x].log);
            if
            :: store[x].met && !store[x].over ->
                store[x].accepted = ID(x);
                store[x].over = true /* BARRIER is one tick */
            :: else -> skip
            fi
        }
        for (i : 0 .. N - 1) {
            shift(node[i].mid, MEMORY);
            shift(node[i].since, MEMORY);
#ifdef ROW_KEPT
            shift(node[i].kept, MEMORY);
#endif
#ifdef SHARES
            shift(node[i].unsaid, MEMORY);
            older(node[i].touched, W);
            if
            :: node[i].at < newest && node[i].alone -> node[i].touched = 0
            :: node[i].at == newest && TAKES(newest) -> node[i].alone = false
            :: else -> skip
            fi;
#endif
#ifdef KEEP_RETURNS
            shift(node[i].back, KEEP);
#endif
#ifdef CUT
            shift(node[i].used_lost, W);
#endif
            if
            :: node[i].rest > 0 -> older(node[i].moment, KEEP)
            :: else -> skip
            fi;
            if
            :: node[i].granted > 0 -> older(node[i].granted_at, KEEP)
            :: else -> skip
            fi
        }
#ifdef QUIET
        calm = calm + quiet;
        if
        :: calm == KEEP -> /* all of C can be had again */
            sum(store[newest].log, KEEP);
            assert(n == 0 && TAKES(newest))
        :: else -> skip
        fi;
#endif
        printf("a tick\n")
    }
}

#ifdef QUIET
inline quiet_now() {
    d_step {
        !quiet -> quiet = true;
        printf("nobody asks any more\n")
    }
}
#endif

/* With QUIET, what is charged again is charged at the moments of the grants. */
#if defined(QUIET) && !defined(CHARGE_NOW)
#define GO(a, s) :: go_over(a, s, 0)
#elif defined(SHARES)
#define GO(a, s) :: go_over(a, s, 0) :: use_share(a) :: take_share(a) :: go_local(a)
#else
#define GO(a, s) :: go_over(a, s, 0) :: go_over(a, s, 1)
#endif
#define NODE(a)                                                                                    \
    :: use(a) :: lapse(a, 0) :: lapse(a, 1) :: take(a, 1) :: take(a, 2) :: answer(a)               \
    :: lose_answer(a) :: send_beat(a) :: run_beat(a) :: lose_beat(a)                               \
    GO(a, 1)

active proctype weir() {
    node[1].at = NOBODY;
#ifdef SHARES
    node[0].touched = W;
    node[1].touched = W;
#endif
end:
    do
    NODE(0)
    NODE(1)
    :: start(1, 0)
    :: start(1, 1)
    :: notice(1)
    :: fork()
#if FORKS > 1
    GO(0, 2)
    GO(1, 2)
    :: start(1, 2)
    :: notice(2)
#endif
#ifdef QUIET
    :: quiet_now()
#endif
#ifdef CUT
    :: die(0)
    :: die(1)
    :: cut_off(0)
    :: cut_off(1)
    :: start(0, 0)
    :: start(0, 1)
#endif
#ifdef BEAT_AT_ANSWER
    :: answer_beat(0)
    :: answer_beat(1)
#endif
#ifdef BEAT_EARLY
    :: early_beat(0)
    :: early_beat(1)
#endif
#ifdef KEEP_RETURNS
    :: give_back(0)
    :: give_back(1)
#endif
#ifdef GO_BACK
    :: go_over(0, 0, 0)
#endif
    :: tick()
    od
}
