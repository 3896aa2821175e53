/* A scan's body as linear forms of its states: what the body of any mixer says,
 * in one shape. With S_i the states before a step, b_f the values written, r_e the reads:
 *
 *   r_e  = sum over K of  sum_i read[e].a[i] S_i  +  sum_f same(e, f) b_f
 *   b_f  = write[f].b + sum_e write[f].c[e] r_e
 *   S_i' = sum_j mix[i][j] S_j + sum_f write[f].post[i] w_f b_f
 *
 * All coefficients are labelled tensors over all steps (letter t) and axes of
 * the state ('a', 'b', .. by position).
 *
 * A body may mix its states along one of their axes, the levels (affine_axis.c):
 * then mix[i][j] is a matrix over that axis, post and the reads' how are vectors. */
#ifndef NP_AFFINE_H
#define NP_AFFINE_H

#include "label.h"
#include "lift.h"

enum { NP_STATES = 6, NP_WRITES = 10, NP_READS = 10 };
typedef struct np_write {
    const np_node *y;     /* what is added to the state */
    char at[NP_RANK + 1]; /* letters of its axes */
    np_lab by;            /* .. times this */
    char level;           /* the one among them along which factors are in `post` already; 0: none */
    bool
        own; /* b has a value for each level (NP_LEVEL_OWN); post says which level gets which (NP_LEVEL_OF) */
    np_lab w, b, c[NP_READS];
    np_lab post[NP_STATES]; /* how it enters each state */
    np_lab post_value;      /* BOTH: .. times this, which has no key */
    bool reads;             /* some c is not zero */
} np_write;
typedef struct np_read {
    const np_node *at;      /* whose value it is; of what stands for a whole state: that */
    char axes[NP_RANK + 1]; /* letters of its axes */
    np_lab a[NP_STATES];
    np_lab apart, how[NP_STATES]; /* a[i] as a product: of what has the key, and of numbers for each level */
    np_lab same[NP_WRITES];       /* how it sees what the same step has written */
    np_lab by;                    /* what it multiplies the value by that it sums */
    np_lab value;                 /* BOTH: and what the sum is multiplied by */
    const np_node *of;            /* that value */
    int end;                      /* which state's next one that is, or -1: then r_e = by S_end' */
} np_read;
typedef enum {
    NP_DECAY_NONE,
    NP_DECAY_SCALAR, /* the same for a whole head */
    NP_DECAY_KEY,    /* for each channel that reads sum over */
    NP_DECAY_VALUE,  /* for each channel that they keep */
    NP_DECAY_BOTH,   /* a product of the two: np_affine_apart */
    NP_DECAY_MIX,    /* states are mixed, or levels of them, by numbers that are the same for a whole head */
    NP_DECAY_EACH    /* more than that: `each` says what. There are no scores */
} np_decay;
typedef struct np_affine {
    np_lift *lift;
    np_label l;
    int nstates, nwrites, nreads;
    const np_node *state[NP_STATES], *next[NP_STATES];
    np_write write[NP_WRITES];
    np_read read[NP_READS];
    np_lab mix[NP_STATES][NP_STATES];
    np_lab mix_value;        /* BOTH: mix is along the key, and this along the value */
    char axes[NP_RANK + 1];  /* of the states; each is one of four kinds: */
    char key[NP_RANK + 1];   /* summed by reads */
    char value[NP_RANK + 1]; /* kept by reads */
    char held[NP_RANK + 1];  /* kept by reads, and decays differ along it */
    char batch[NP_RANK + 1]; /* in everything: one recurrence for each index */
    char level;              /* the axis along which they are mixed, or 0 */
    np_lab eye;              /* of it: a matrix */
    np_decay decay;
    const char *each;
    bool picks;     /* the body chooses by a condition, or forgets a state */
    bool chosen;    /* factors of 0 may say that something is not taken: where(c, a, b) is a mix by 1 and 0 */
    bool among;     /* .. and that among states */
    bool dense;     /* levels are contracted with a matrix */
    const char *no; /* why not, and where */
    const np_node *where;
    struct np_form **form; /* private, by old id */
    char fresh;            /* next unused letter */
} np_affine;

/* How values of the body depend on states, for every old id: bit i, state i of the scan. */
typedef struct np_depend {
    uint32_t *any;  /* in any way */
    uint32_t *form; /* is state-like: the state itself, scaled, moved or added to */
    int8_t *
        level; /* NULL, or of what is state-like: the axis along which states may be mixed; -1: it has none */
    bool mixes; /* something moves along it */
} np_depend;
/* axis: of the states, along which they may be mixed; -1: none. */
void np_affine_depend(const np_fn *f, const np_node *scan, int axis, np_depend *d, np_arena *mem);

/* Is a factor looked into for what it is made from, with fewer axes? */
bool np_affine_peels(const np_node *n);
enum { NP_LEVELS = 22 }; /* most indices of an axis that is mixed */
enum {                   /* letters of levels, beside that of the state's axis: */
       NP_LEVEL_OWN =
           'W', /* of a value that has one for each level: of what is read, and what is written from it */
       NP_LEVEL_OF = 'X',   /* .. where it meets a score: that of the value, against that of the read */
       NP_LEVEL_FROM = 'Y', /* of what a coefficient is multiplied with */
       NP_LEVEL_OVER = 'Z'  /* inside of a product */
};
/* Reads the part of the body that belongs to the states in `mask`. */
bool np_affine_read(np_affine *a, const np_node *scan, uint32_t mask, const np_depend *d, const bool *live);
/* Are decays that differ from element to element (EACH) a product of one along the key and one along the value? Then they become
 * BOTH, and reads and writes are seen accordingly; else a stays as it is. */
bool np_affine_apart(np_affine *a);

#endif
