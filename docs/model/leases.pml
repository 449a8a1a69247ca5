/* SPDX-License-Identifier: Apache-2.0
 * Grants, use, lapse, returns; calls that are delayed, lost before or after they ran, and sent
 * again. One store that does not fail, N nodes, one window. Each line of the loop at the end is
 * something that can happen at any time; only the rules' guards hold it back.
 *
 * QUIET: checks that no budget is lost for good. Taken out one at a time: NO_RETENTION, USE_AFTER_LIFE, LIFE_FROM_ANSWER, BLIND_RETURN,
 * RETURN_STILL_USED, RETURN_ELSEWHERE. */
#include "common.inc"
#ifndef N
#define N 2
#endif

mtype = { FREE, CALL, ANSWER };

/* A call and then its answer, in flight. */
typedef Call {
    mtype stage = FREE;
    byte ask;
    byte back[KEEP]; /* returns by the age of the moment that granted them */
    byte sent;       /* age of the sending */
    byte granted;
    byte moment; /* age of the grant */
};
typedef Node {
    byte rest; /* of the one grant that it holds */
    byte sent;
    byte moment;
    byte back[KEEP];
    Call now; /* the one call in flight */
    Call old; /* one that it gave up: it may still run, and its answer may still come */
};

byte log[KEEP];  /* the store */
byte used[KEEP]; /* what was really used: only the checks look at it */
Node node[N];
bool quiet; /* nobody asks any more */
byte calm;  /* ticks since then */

inline reset(c) {
    c.stage = FREE;
    c.ask = 0;
    clear(c.back);
    c.sent = 0;
    c.granted = 0;
    c.moment = 0
}

inline give_back(i, amount, age) {
    if
    :: age < KEEP -> node[i].back[age] = node[i].back[age] + amount
    :: else -> skip
    fi
}

#ifdef USE_AFTER_LIFE
#define ALIVE(i) true
#else
#define ALIVE(i) (node[i].sent <= LIFE)
#endif
inline use(i) {
    d_step {
        node[i].rest > 0 && ALIVE(i) ->
        node[i].rest--;
        used[0]++;
        sum(used, W);
        assert(n <= C); /* never over */
        printf("node %d uses one\n", i)
    }
}

inline drop_rest(i) {
    if
    :: node[i].rest > 0 -> give_back(i, node[i].rest, node[i].moment)
    :: else -> skip
    fi;
    node[i].rest = 0;
    node[i].sent = 0;
    node[i].moment = 0
}

inline lapse(i) {
    d_step {
        node[i].rest > 0 ->
        printf("node %d will give back %d\n", i, node[i].rest);
#ifdef RETURN_STILL_USED
        give_back(i, node[i].rest, node[i].moment)
#else
        drop_rest(i)
#endif
    }
}

/* A call takes all returns with it. ask = 0: it only gives back. */
inline send(i, what) {
    d_step {
        node[i].now.stage == FREE && !(quiet && what > 0) ->
        sum(node[i].back, KEEP);
        if
        :: what + n > 0 ->
            node[i].now.stage = CALL;
            node[i].now.ask = what;
            add(node[i].now.back, node[i].back);
            clear(node[i].back);
            printf("node %d gives back %d and asks for %d\n", i, n, what)
        :: else -> skip
        fi
    }
}

/* The store runs a call: returns first, then what fits, and `ahead` of need if that fits too. */
inline execute(c, ahead) {
    d_step {
        c.stage == CALL && (ahead == 0 || c.ask > 0) ->
#ifdef RETURN_ELSEWHERE
        sum(c.back, KEEP);
        log[0] = (log[0] > n -> log[0] - n : 0);
#else
        lower(log, c.back);
#endif
        sum(log, KEEP);
        if
        :: c.ask > 0 && n + c.ask + ahead <= C -> c.granted = c.ask + ahead
        :: else -> c.granted = 0
        fi;
        log[0] = log[0] + c.granted;
        printf("the call runs: %d granted\n", c.granted);
        if
        :: c.granted > 0 ->
            c.stage = ANSWER;
            c.ask = 0;
            c.moment = 0;
#ifndef BLIND_RETURN
            clear(c.back)
#endif
        :: else ->
#ifdef BLIND_RETURN
            c.stage = ANSWER /* its answer is awaited, or the returns would not be in doubt */
#else
            reset(c) /* a denial gives nothing to wait for */
#endif
        fi
    }
}

inline answer(i) {
    d_step {
        node[i].now.stage == ANSWER ->
        if
        :: node[i].now.granted > 0 ->
            drop_rest(i);
            node[i].rest = node[i].now.granted;
            node[i].moment = node[i].now.moment;
#ifndef LIFE_FROM_ANSWER
            node[i].sent = node[i].now.sent
#endif
        :: else -> skip
        fi;
        reset(node[i].now);
        printf("node %d has the answer\n", i)
    }
}

/* No answer in time. What takes will be asked for again, by a call of its own; what gives back is
 * not sent again. */
inline give_up(i) {
    d_step {
        node[i].now.stage != FREE && node[i].old.stage == FREE ->
#ifdef BLIND_RETURN
        add(node[i].back, node[i].now.back);
#endif
        node[i].old.stage = node[i].now.stage;
        node[i].old.ask = node[i].now.ask;
        add(node[i].old.back, node[i].now.back);
        node[i].old.granted = node[i].now.granted;
        node[i].old.moment = node[i].now.moment;
        reset(node[i].now);
        printf("node %d has no answer in time\n", i)
    }
}

inline late_answer(i) {
    d_step {
        node[i].old.stage == ANSWER ->
        if
        :: node[i].old.granted > 0 -> give_back(i, node[i].old.granted, node[i].old.moment)
        :: else -> skip
        fi;
        reset(node[i].old);
        printf("a late answer: node %d will give the grant back\n", i)
    }
}

inline lost(c) {
    d_step {
        c.stage != FREE -> reset(c);
        printf("a call or its answer is lost\n")
    }
}

/* `sent` is kept only where it is needed later: less states. */
inline call_tick(c) {
    shift(c.back, KEEP);
    if
    :: c.stage != FREE -> older(c.sent, LIFE + 1)
    :: else -> skip
    fi;
    if
    :: c.stage == ANSWER -> older(c.moment, KEEP)
    :: else -> skip
    fi
}

/* Once nobody asks, a call in flight runs or is lost within a tick. */
#define SETTLED(i) (node[i].now.stage != CALL && node[i].old.stage != CALL)

hidden byte x;
inline tick() {
    d_step {
        !quiet || (calm <= KEEP && SETTLED(0) && SETTLED(1)) ->
        shift(used, W);
        forget(log);
        for (x : 0 .. N - 1) {
            shift(node[x].back, KEEP);
            if
            :: node[x].rest > 0 ->
                older(node[x].sent, LIFE + 1);
                older(node[x].moment, KEEP);
            :: else -> skip
            fi;
            call_tick(node[x].now);
            call_tick(node[x].old);
            node[x].old.sent = 0
        }
        if
        :: quiet ->
            calm++;
            if
            :: calm == KEEP + 1 -> /* nothing is lost for good */
                sum(log, KEEP);
                assert(n == 0);
                for (x : 0 .. N - 1) {
                    assert(node[x].rest == 0 || node[x].sent > LIFE);
                    sum(node[x].back, KEEP);
                    assert(n == 0)
                }
            :: else -> skip
            fi
        :: else -> skip
        fi;
        printf("a tick\n")
    }
}

#define NODE(i)                                                                                    \
    :: use(i) :: lapse(i) :: send(i, 0) :: send(i, 1)                                              \
    :: execute(node[i].now, 0) :: execute(node[i].now, 1) :: execute(node[i].old, 0)                           \
    :: answer(i) :: give_up(i) :: late_answer(i) :: lost(node[i].old)

inline quiet_now() {
    d_step {
        !quiet -> quiet = true;
        printf("nobody asks any more\n")
    }
}

active proctype weir() {
end:
    do
    NODE(0)
    NODE(1)
#ifdef QUIET
    :: quiet_now()
#endif
    :: tick()
    od
}
