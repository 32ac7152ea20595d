/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The clocks and payments of challenges (SPEC.md section 10.6): one claim, discrete time, every move of every party at every time.
 * check.sh explores all of it, and shows that each rule is needed: without it (the NO_* switches) spin finds a violation.
 *
 * Time starts with the claim. A claim is right or wrong. Its nodes have depths 1 (the job) to DEPTH (contents); a node is opened under the revealed lowest
 * node of a line (the job under the claim only), in its place if the line is the opener's and goes on, else beside it in a new line. A wrong claim has one chain
 * of positions on which contents show the fault, and anything off it; every line may go along it.
 *
 *   honest proposer    reveals every opened node within DELAY
 *   honest challenger  of a wrong claim; there at the latest DELAY before the window's end; from then on makes its next move in one line of its own within
 *                      DELAY: opens the next node, expires, proves
 *   attackers          open ATTACKS nodes wherever and whenever they like, in their lines and beside the honest one's, reveal others' contents, expire and prove;
 *                      the proposer of a wrong claim is one of them: it reveals when it likes, or never
 *
 * Asserted: a right claim never falls; a wrong claim never becomes final; every claim is decided by window + 2 budgets (+ 1, times being whole, + DELAY);
 * the contract pays out exactly what it took; nobody honest loses; three quarters of a fallen bond burn; who delays a right claim pays its proposer.
 * The one loss that an honest challenger can have: the attackers convict themselves in another line than its own. Then it loses at most the gas of
 * its own openings, and they the bond. That they have to spend the bond for it is what the model shows; it can't show that they never would.
 *
 * An honest party that can't do what it must shows as an invalid end state: time does not go on before it did.
 * Not in the model: declarations, gas prices that move, several claims of a lane.
 */

#ifndef DEPTH
#define DEPTH 3
#endif
#ifndef ATTACKS
#define ATTACKS 2
#endif
#define DELAY 1
/* A challenger needs DELAY for every opening and for the proof. */
#ifndef BUDGET
#define BUDGET ((DEPTH + 1) * DELAY)
#endif
/* Openings before it are over at the window's end. */
#ifndef GRACE
#define GRACE (BUDGET + DELAY)
#endif
/* Long enough for early nodes, which are not counted. */
#ifdef LONG
#define WINDOW (2 * BUDGET + 1)
#endif
/* So there are two moments for openings without a deposit. */
#ifndef WINDOW
#define WINDOW (GRACE + 1)
#endif
#define BOUND (WINDOW + 2 * BUDGET + 1 + DELAY)

/* Money. The prepayment is more than a reveal takes; the proposer of a right claim gets a reveal's cost and a tenth. */
#define OPEN_GAS 4
#define REVEAL_GAS 10
#define REVEAL_PAY 11
#define PREPAY 20
#define PROOF_GAS 10
#define PROOF_PAY 11
#define PRICE 10          /* twice what the job's input paid: prepaid, the proposer gets it with the reveal */
#define COMPUTE 4         /* what making the trace costs the proposer */
#define PATH_COST (DEPTH * REVEAL_PAY + PRICE)
#define BOND (4 * (PATH_COST + 2))
#define DEPOSIT (BOND / 10)

#define SLOTS (1 + ATTACKS + DEPTH) /* 0 is the claim itself */
#define NEVER 255

typedef Node {
    byte depth;
    byte parent;
    byte opened;
    byte revealed;     /* NEVER while pending; then when, or from when on its children's time counts if that is later */
    byte proposer;     /* used seconds of the proposer's budget; with this node's once revealed */
    byte challengers;  /* of the challengers' */
    bit faulty;        /* of the chain that leads to the fault */
    bit mine;          /* opened by the honest challenger */
    bit low;           /* the lowest of its line */
    bit on;            /* took its parent's place */
    bit late;          /* its line carries a deposit */
    bit deposit;       /* that was paid with it */
    bit counted;       /* in the claim's state: the window may be too short for it */
    bit helped         /* revealed by somebody else than the proposer */
};

Node nodes[SLOTS];
byte count = 1;        /* slots in use */
byte attacks;          /* nodes that attackers opened */
byte pending;          /* counted nodes that are not revealed */
byte now;
byte alive = WINDOW;   /* until when the claim can't be final */
bit wrong;
bit arrived;           /* the honest challenger */
byte since;            /* since when it has a move to make */
byte place;            /* the node of its chain where it stands */
bit decided;
bit fallen;
byte culprit;
bit sender;            /* of the move that felled: 1 the honest challenger */

/* Of moves; 0 between them. */
byte i, d;
bit ok, on;

/* Accounts of the settlement: what each has more than at the start. */
#define CHALLENGER 0
#define PROPOSER 1
#define ATTACKERS 2
#define CONTRACT 3
#define BURNED 4
#define GAS 5
hidden short account[6];
hidden short share;
hidden short loss;
hidden byte who;

#define max(a, b) ((a) > (b) -> (a) : (b))

/* From when on the challengers' time counts under what was revealed at t. */
#ifdef NO_A6
#define FROM(t) (t)
#else
#define FROM(t) max(t, WINDOW)
#endif
#ifdef NO_INHERITANCE_PROPOSER
#define BEFORE_PROPOSER(p) 0
#else
#define BEFORE_PROPOSER(p) nodes[p].proposer
#endif
#ifdef NO_INHERITANCE_CHALLENGERS
#define BEFORE_CHALLENGERS(p) 0
#else
#define BEFORE_CHALLENGERS(p) nodes[p].challengers
#endif
/* The challengers' seconds of a node opened now under p. */
#define COUNTED(p) (BEFORE_CHALLENGERS(p) + (now > nodes[p].revealed -> now - nodes[p].revealed : 0))
/* The proposer's seconds of pending node n, now. */
#define USED(n) (nodes[n].proposer + now - nodes[n].opened)
#define OVERDUE(n) (nodes[n].revealed == NEVER && USED(n) > BUDGET)

/* What is left to both sides of node n, opened now, ends in the window. */
#ifdef NO_MARGIN
#define EARLY(n) (now + BUDGET - nodes[n].proposer <= WINDOW)
#else
#define EARLY(n) (now + 2 * BUDGET - nodes[n].proposer - nodes[n].challengers <= WINDOW)
#endif

#ifdef NO_PENDING
#define FINAL (now > alive)
#else
#ifdef NO_ALIVE
#define FINAL (pending == 0 && now > WINDOW)
#else
#define FINAL (pending == 0 && now > alive)
#endif
#endif

inline open(p, depth_, faulty_, mine_, on_) {
    nodes[count].low = 1;
    nodes[count].on = on_;
    nodes[count].depth = depth_;
    nodes[count].parent = p;
    nodes[count].opened = now;
    nodes[count].revealed = NEVER;
    nodes[count].proposer = BEFORE_PROPOSER(p);
    nodes[count].challengers = COUNTED(p);
    nodes[count].faulty = faulty_;
    nodes[count].mine = mine_;
#ifndef NO_A7
    nodes[count].deposit = (now + GRACE > WINDOW && !(on_ && nodes[p].late));
    nodes[count].late = (nodes[count].deposit || (on_ && nodes[p].late));
#endif
    if
    :: on_ -> nodes[p].low = 0
    :: else
    fi;
    nodes[count].counted = !EARLY(count);
    pending = pending + nodes[count].counted;
    count++
}

inline reveal(n, helped_) {
    alive = (nodes[n].counted -> max(alive, now + BUDGET - nodes[n].challengers) : alive);
    nodes[n].proposer = USED(n);
    nodes[n].revealed = FROM(now);
    nodes[n].helped = helped_;
    pending = pending - nodes[n].counted;
    nodes[n].counted = 0;
    if
    :: n == place -> since = now
    :: else
    fi;
    /* What nothing depends on any more is forgotten. */
    nodes[n].opened = 0;
    if
    :: nodes[n].depth == DEPTH -> nodes[n].proposer = 0; nodes[n].challengers = 0; nodes[n].revealed = 0
    :: else
    fi
}

inline pay(from, to, amount) {
    account[from] = account[from] - (amount);
    account[to] = account[to] + (amount)
}

#define OPENER(n) (nodes[n].mine -> CHALLENGER : ATTACKERS)
#define SPENT(n) (nodes[n].revealed == NEVER -> 0 : REVEAL_PAY + (nodes[n].depth == 1 -> PRICE : 0))

/* Everything that was paid, from the openings on, and what the decision pays. */
inline settle() {
    i = 0;
    do
    :: i < 6 -> account[i] = 0; i++
    :: else -> break
    od;
    pay(PROPOSER, CONTRACT, BOND);
    i = 1;
    do
    :: i < count ->
        who = OPENER(i);
        pay(who, GAS, OPEN_GAS);
        share = PREPAY + (nodes[i].depth == 1 -> PRICE : 0);
        pay(who, CONTRACT, share);
        /* What its reveal took is the opener's too, if the claim was wrong. */
        pay(CONTRACT, who, share - SPENT(i));
#ifdef NO_JUSTICE
        pay(CONTRACT, PROPOSER, SPENT(i));
#else
        who = (fallen -> who : PROPOSER);
        pay(CONTRACT, who, SPENT(i));
#endif
        if
        :: nodes[i].revealed != NEVER ->
            who = (nodes[i].helped -> ATTACKERS : PROPOSER);
            pay(who, GAS, REVEAL_GAS);
            if
            :: nodes[i].depth == 1 -> pay(PROPOSER, GAS, COMPUTE)
            :: else
            fi
        :: else
        fi;
        who = OPENER(i);
        if
        :: nodes[i].deposit ->
            pay(who, CONTRACT, DEPOSIT);
            who = (fallen -> who : PROPOSER);
            pay(CONTRACT, who, DEPOSIT)
        :: else
        fi;
        i++
    :: else -> break
    od;
    if
    :: fallen ->
        /* A quarter is the reward. */
        who = (sender -> CHALLENGER : ATTACKERS);
        pay(who, GAS, PROOF_GAS);
        pay(CONTRACT, who, PROOF_PAY);
        who = OPENER(culprit);
        pay(CONTRACT, who, BOND / 4 - PROOF_PAY);
        pay(CONTRACT, BURNED, BOND - BOND / 4)
    :: else -> pay(CONTRACT, PROPOSER, BOND)
    fi
}

inline judge() {
    assert(account[CONTRACT] == 0); /* the contract paid out exactly what it took */
    assert(account[CHALLENGER] + account[PROPOSER] + account[ATTACKERS] + account[BURNED] + account[GAS] == 0);
    assert(fallen == wrong);
    if
    :: !wrong ->
        assert(account[PROPOSER] >= 0);
        assert(account[CHALLENGER] == 0);
        assert(account[ATTACKERS] <= 0);
        /* Who delays a right claim pays. */
        assert(now <= WINDOW + 1 + DELAY || account[PROPOSER] >= DEPOSIT)
    :: else ->
        assert(4 * account[BURNED] >= 3 * BOND);
        /* What the honest challenger opened in another line than the culprit's. */
        loss = 0;
        i = 1;
        do
        :: i < count ->
            if
            :: !nodes[culprit].mine && nodes[i].mine -> loss = loss + OPEN_GAS
            :: else
            fi;
            i++
        :: else -> break
        od;
        assert(account[CHALLENGER] >= - loss);
        /* It loses by others' doing only, never by its own proof. */
        assert(!sender || account[CHALLENGER] >= 0);
        /* And it costs those the bond, less what their line gets back. */
        assert(account[PROPOSER] + account[ATTACKERS] <= loss - BOND / 2)
    fi
}

/* The end. All ends are made one state. */
inline decide() {
    settle();
    judge();
    decided = 1;
    wrong = 0; arrived = 0; fallen = 0; culprit = 0; sender = 0;
    now = 0; alive = 0; since = 0; place = 0; pending = 0; attacks = 0; ok = 0;
    i = 0;
    do
    :: i < count ->
        nodes[i].depth = 0; nodes[i].parent = 0; nodes[i].opened = 0; nodes[i].revealed = 0; nodes[i].proposer = 0;
        nodes[i].challengers = 0; nodes[i].faulty = 0; nodes[i].mine = 0; nodes[i].late = 0; nodes[i].helped = 0;
        nodes[i].low = 0; nodes[i].on = 0; nodes[i].deposit = 0; nodes[i].counted = 0;
        i++
    :: else -> break
    od;
    i = 0;
    count = 0
}

inline fell(n, sender_) {
    assert(wrong); /* a right claim never falls */
    fallen = 1;
    culprit = n;
    sender = sender_;
    decide()
}

/* Whether the honest parties did all that is due before time goes on. */
inline due() {
    ok = 1;
    i = 1;
    do
    :: i < count ->
        if
        :: !wrong && nodes[i].revealed == NEVER && now >= nodes[i].opened + DELAY -> ok = 0
        :: else
        fi;
        i++
    :: else -> break
    od;
    if
    :: FINAL && now >= alive + 1 + DELAY -> ok = 0
    :: wrong && !arrived && now + DELAY >= WINDOW -> ok = 0
    :: wrong && arrived && nodes[place].revealed != NEVER && now >= since + DELAY -> ok = 0
    :: place > 0 && OVERDUE(place) && now >= nodes[place].opened + BUDGET - nodes[place].proposer + 1 + DELAY && wrong && arrived && now >= since + DELAY -> ok = 0
    :: else
    fi;
    i = 0
}

init {
    d_step {
        nodes[0].faulty = 1;
        nodes[0].revealed = FROM(0)
    }
#ifdef WRONG
    wrong = WRONG;
#else
    if
    :: wrong = 0
    :: wrong = 1
    fi;
#endif
    do
    :: atomic { !decided -> /* time goes on */
        d_step { due() }
        if
        :: ok ->
            ok = 0;
            now++;
            assert(now <= BOUND) /* decided in time */
        :: else
        fi }

    :: atomic { !decided && wrong && !arrived && now + DELAY <= WINDOW ->
        arrived = 1;
        since = now }

    /* The honest challenger's next move. */
    :: atomic { !decided && arrived && nodes[place].revealed != NEVER ->
        d_step {
        if
        :: nodes[place].depth < DEPTH ->
            assert(COUNTED(place) <= BUDGET); /* always in time */
            open(place, nodes[place].depth + 1, 1, 1, place > 0);
            place = count - 1
        :: else -> fell(place, 1)
        fi } }
    :: atomic { !decided && arrived && place > 0 && OVERDUE(place) -> d_step { fell(place, 1) } }

    /* Attackers open. */
    :: atomic { !decided && !FINAL && attacks < ATTACKS ->
        do
        :: i + 1 < count -> i++
        :: break
        od;
        d = nodes[i].depth + 1;
        do
        :: i > 0 && d < DEPTH -> d++
        :: break
        od;
        if
        :: wrong && nodes[i].faulty -> ok = 1
        :: true
        fi;
        /* Nobody goes on with another's line. */
        if
        :: i > 0 && !nodes[i].mine -> on = 1
        :: true
        fi;
        skip;
        d_step {
        if
        :: (i == 0 || nodes[i].low) && nodes[i].revealed != NEVER && COUNTED(i) <= BUDGET && d <= DEPTH ->
            open(i, d, ok, 0, on);
            attacks++
        :: else
        fi;
        i = 0; d = 0; ok = 0; on = 0 } }

    /* The proposer, of either kind, or somebody else reveals: what is bound by hashes anyone can. */
    :: atomic { !decided && pending > 0 ->
        i = 1;
        do
        :: i + 1 < count -> i++
        :: break
        od;
        if
        :: nodes[i].depth > 1 && !wrong -> ok = 1 /* a liar is one of the attackers anyway */
        :: true
        fi;
        skip;
        d_step {
        if
        :: nodes[i].revealed == NEVER && USED(i) <= BUDGET -> reveal(i, ok)
        :: else
        fi;
        i = 0; ok = 0 } }

    /* Anyone expires or proves. */
    :: atomic { !decided && count > 1 ->
        i = 1;
        do
        :: i + 1 < count -> i++
        :: break
        od;
        skip;
        d_step {
        if
        :: OVERDUE(i) || (nodes[i].faulty && nodes[i].depth == DEPTH && nodes[i].revealed != NEVER) -> fell(i, 0)
        :: else
        fi;
        i = 0 } }

    :: atomic { !decided && FINAL ->
        assert(!wrong); /* a wrong claim never becomes final */
        d_step { decide() } }

    :: decided -> break
    od
}
