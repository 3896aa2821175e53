/* Shared by the files of fast scans (loops_time.c, loops_class.c, loops_row.c, loops_keep.c, loops_nest.c), and by
 * no one else. */
#ifndef NP_LOOPS_TIME_H
#define NP_LOOPS_TIME_H

#include "loops.h"

enum { NP_MAXCLASSES = 60, NP_MAXROOTS = 96, NP_MAXLETTERS = 16, NP_MAXEARLY = 16 };
/* An axis that values of a body share: whatever touches what comes from the states has the same index there. */
typedef struct np_class {
    const np_dim *n;
    int place; /* in the largest state; behind all of its axes where it has none */
    bool summed;
    bool outside;    /* a loop around time */
    const np_ix *ix; /* its index in the code being written */
} np_class;
/* What a step computes for good: a sum, the next value of a state, an output, or a value that is kept because a
 * nest with more loops reads it. */
typedef enum { NP_ROOT_TEMP, NP_ROOT_SUM, NP_ROOT_STATE, NP_ROOT_OUT } np_rootkind;
typedef struct np_root {
    np_rootkind kind;
    const np_node *x;
    int which;         /* state or output */
    int pass;          /* -1: once, before time */
    int axis[NP_RANK]; /* class of each axis of x, -1: it has one index */
    uint64_t set;      /* loops of its nest, by class */
    uint64_t sum;      /* those over which it adds up */
    int alone;         /* 1 + the class of which it writes the running step's row alone; 0: none */
    bool lane_sum;     /* lanes are parts of it: chosen when its nest is written */
    np_spot acc;       /* its accumulators, then the sum */
    np_spot was;       /* where x lies outside the scan */
    np_node *value;    /* in the nest being written */
} np_root;
typedef struct np_row { /* of a state that gets one row at each step */
    int class;          /* of its rows; -1: it is none of these */
    bool alone;         /* the other rows stay as they are */
} np_row;
typedef struct np_early { /* computed for a block of steps before its tiles run */
    const np_node *x;
    np_spot all, was; /* where all of its steps lie; where x lies outside of the tile */
} np_early;
typedef struct np_steps {
    np_lower *l;
    const np_node *scan;
    const np_block *body;
    int seq, nstates, nouts;
    bool once;           /* one step: no loop over time, and states stay where they are */
    int64_t steps;       /* of a block of time; 0: all of it */
    np_node *first;      /* the running block's first step */
    int64_t rows;        /* most steps between two computations of what is early */
    np_early early[NP_MAXEARLY];
    int nearly;
    unsigned char *mark; /* by id */
    bool *timed;         /* by id: differs from step to step */
    bool *yields;        /* by id: the body yields it */
    bool *spread;        /* by id: read in more than one way, so that no part of it can stand for it */
    int *part;           /* by id: of what meets somewhere in the body (np_steps_part) */
    int now;             /* the part being written */
    int *level;          /* by id: how many sums stand one after the other before it */
    int *link;           /* classes while they are found: by id and axis or letter */
    int nclasses, slot[NP_MAXCLASSES];
    np_class class[NP_MAXCLASSES];
    int lane; /* class whose elements are side by side, or -1 */
    int64_t width;
    int nroots, npasses;
    np_root root[NP_MAXROOTS];
    int *store;           /* by state: the pass in which it is stored */
    np_row *row;          /* by state */
    np_spot *state, *out; /* where states and outputs lie in the code being written */
} np_steps;

/* ---- loops_class.c */
const np_node *np_steps_through(np_lower *l,
                                const np_node *x); /* groups that are not stored, to what they yield */
const np_node *np_steps_operand(const np_steps *s, const np_node *x, int i);
bool np_steps_inside(const np_steps *s, const np_node *x);
const np_node *np_steps_state(const np_steps *s, int i);   /* the parameter */
const np_node *np_steps_yielded(const np_steps *s, int i); /* outputs, then next states */
int np_steps_part(const np_steps *s,
                  const np_node *x);          /* states of different parts know nothing of each other */
bool np_steps_mine(const np_steps *s, int i); /* state i belongs to the part that is written */
bool np_steps_classes(np_steps *s);           /* finds them; false: the body is none of that kind */
bool np_steps_hot(const np_steps *s, const np_node *x); /* comes from a state */
int np_steps_class(const np_steps *s, const np_node *x, int axis);
int np_steps_letter(const np_steps *s, const np_node *x,
                    int i); /* class of a letter (contraction) or the axis (reduction) */
int np_steps_letters(const np_node *x, char *letter); /* the letters of a sum; how many */
/* ---- loops_row.c: states of which one row is written at each step. */
void np_steps_rows(np_steps *s);
/* The class that root r runs along only to the running step and `beyond` further; -1: none. */
int np_steps_row_end(const np_steps *s, const np_root *r, int *beyond);
/* ---- loops_time.c */
uint64_t np_steps_outside(const np_steps *s); /* the set of classes that run around time, except for lanes */
np_node *np_steps_time(const np_steps *s, np_node *r); /* the index of time at step r of the block */
np_node *np_steps_open_until(const np_steps *s, np_node *loop); /* in a loop over a block: while there are steps */
/* ---- loops_early.c: values that are computed for a block of steps before its tiles run. */
bool np_steps_is_early(np_steps *s, const np_node *x, const int *axis);
int64_t np_steps_early_size(const np_node *x); /* elements of a step; 0: too many */
int64_t np_steps_early_bytes(const np_steps *s); /* of a step */
void np_steps_early_compute(np_steps *s);
void np_steps_early_open(np_steps *s, np_node *r); /* the tile's code at step r of the block begins, */
void np_steps_early_close(np_steps *s);            /* and ends */
/* ---- loops_keep.c: more roots, for values that are kept for the nests that use them. */
void np_steps_keep(np_steps *s);
/* ---- loops_nest.c: the nests of one pass (-1: what is computed before time). */
void np_steps_pass(np_steps *s, int pass);
/* The tile's part of x from where it is computed, or to `to`, as loops. */
void np_steps_copy(np_steps *s, const np_node *x, const int *axis, const np_spot *from, const np_spot *to);
np_spot np_steps_local(np_steps *s, const np_node *x, const int *axis, np_str name);

#endif
