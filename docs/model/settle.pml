/* SPDX-License-Identifier: Apache-2.0
 * Reservations that are settled lower, higher, twice, and by another node than their own. One store
 * that does not fail; takes run at once, settlements are in flight, late or lost.
 *
 * Each reservation was taken from a grant at its moment and is used within LIFE of it. Its node
 * settles it; the client may settle one of them as well with another node (a retry behind a balancer), which
 * then claims it in the store. A settlement below makes its use count less from the beginning.
 *
 * Taken out one at a time: OWNER_NO_CLAIM, CLAIM_SHORT, NO_CLAIM, DEBT_IF_FITS, NO_RETENTION. */
#include "common.inc"
#define RES 3
#ifdef CLAIM_SHORT
#define CLAIM_LASTS W
#else
#define CLAIM_LASTS KEEP
#endif

mtype = { FREE, TAKEN, USED };

typedef Reservation {
    mtype state = FREE;
    byte moment;    /* age of the grant */
    byte used;      /* age of the use */
    bool counted;   /* its use counts (the checks only) */
    bool done;      /* its node has settled it, and knows that */
    bool own;       /* in flight: the settlement of its node */
    bool other;     /* in flight: that of another node */
    byte claim;     /* 0: no claim in the store, else its age + 1 */
};

byte log[KEEP];
byte used[KEEP]; /* what was really used; only the checks look at it */
byte debt[KEEP]; /* what was charged as debt */
Reservation r[RES];
hidden byte i, m;

inline take(a) {
    d_step {
        r[a].state == FREE ->
        sum(log, KEEP);
        if
        :: n < C ->
            log[0]++;
            r[a].state = TAKEN;
            /* what is granted fits beside what was used and what is owed */
            sum(used, W);
            m = n;
            sum(debt, W);
            assert(m + n + 1 <= C);
            printf("reservation %d is taken\n", a)
        :: else -> skip
        fi
    }
}

inline use(a) {
    d_step {
        r[a].state == TAKEN && r[a].moment <= LIFE ->
        r[a].state = USED;
        r[a].counted = true;
        used[0]++;
        sum(used, W);
        assert(n <= C); /* never over, but for debt: exception (d) */
        printf("reservation %d is used\n", a)
    }
}

inline uncount(a) {
    if
    :: r[a].counted && r[a].used < W -> used[r[a].used]--
    :: else -> skip
    fi;
    r[a].counted = false
}

inline lower_entry(a) {
    if
    :: r[a].moment < KEEP -> log[r[a].moment] = (log[r[a].moment] > 0 -> log[r[a].moment] - 1 : 0)
    :: else -> skip
    fi
}

inline settle(a) {
    d_step {
        r[a].state == USED && !r[a].done ->
        r[a].done = true;
        r[a].own = true;
        uncount(a);
        printf("its node settles reservation %d\n", a)
    }
}

inline settle_elsewhere(a) {
    d_step {
        r[a].state == USED && !r[a].other ->
        r[a].other = true;
        uncount(a);
        printf("another node settles reservation %d\n", a)
    }
}

inline claim_and_lower(a) {
    if
    :: r[a].claim == 0 ->
        r[a].claim = 1;
        lower_entry(a)
    :: else -> skip
    fi
}

inline run_own(a) {
    d_step {
        r[a].own ->
        r[a].own = false;
#ifdef OWNER_NO_CLAIM
        lower_entry(a);
#else
        claim_and_lower(a);
#endif
        printf("the settlement of %d by its node runs\n", a)
    }
}

inline run_other(a) {
    d_step {
        r[a].other ->
#ifdef NO_CLAIM
        r[a].other = false;
        lower_entry(a);
#else
        claim_and_lower(a);
#endif
        printf("the settlement of %d by another node runs\n", a)
    }
}

/* Answered, or lost. A claim may be sent again: it can run until here. */
inline end_own(a) {
    d_step { r[a].own -> r[a].own = false }
}
inline end_other(a) {
    d_step { r[a].other -> r[a].other = false }
}

inline settle_higher(a) {
    d_step {
        r[a].state == USED && !r[a].done ->
        r[a].done = true;
        sum(log, KEEP);
#ifdef DEBT_IF_FITS
        log[0] = log[0] + (n < C -> 1 : 0);
#else
        log[0]++;
#endif
        debt[0]++;
        printf("reservation %d used one more than it reserved\n", a)
    }
}

/* Nothing of it is left, neither here nor in the store. */
#define PAST(a) (r[a].moment == KEEP && !r[a].own && !r[a].other && r[a].claim == 0)

inline tick() {
    d_step {
        forget(log);
        shift(used, W);
        shift(debt, W);
        for (i : 0 .. RES - 1) {
            if
            :: r[i].state != FREE -> older(r[i].moment, KEEP)
            :: else -> skip
            fi;
            if
            :: r[i].state == USED -> older(r[i].used, W)
            :: else -> skip
            fi;
            if
            :: r[i].claim > 0 -> r[i].claim = (r[i].claim < CLAIM_LASTS -> r[i].claim + 1 : 0)
            :: else -> skip
            fi;
            if
            :: (r[i].state != FREE && PAST(i)) || (r[i].state == TAKEN && r[i].moment > LIFE) ->
                r[i].state = FREE;
                r[i].moment = 0;
                r[i].used = 0;
                r[i].counted = false;
                r[i].done = false
            :: else -> skip
            fi
        }
        printf("a tick\n")
    }
}

#define RESERVATION(a)                                                                             \
    :: take(a) :: use(a) :: settle(a) :: settle_higher(a) :: run_own(a) :: end_own(a)

active proctype weir() {
end:
    do
    RESERVATION(0)
    RESERVATION(1)
    RESERVATION(2)
    :: settle_elsewhere(0) :: run_other(0) :: end_other(0)
    :: tick()
    od
}
