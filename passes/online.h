/* Shared by the files of `online`, and by no one else: a part of a function in
 * which values over queries and keys are made and summed over the keys again. */
#ifndef NP_ONLINE_H
#define NP_ONLINE_H

#include "passes.h"

/* Axes of such a part have numbers: those of the weights (the operand of a
 * contraction that has queries and keys). What only an operand of a contraction
 * has is ALONE. */
enum { NP_ONLINE_PARTS = 160, NP_ONLINE_ROOTS = 8, NP_ONLINE_ALONE = -1 };

typedef enum {
    NP_PART_LEAF,  /* comes from outside: a piece of it for each block */
    NP_PART_NODE,  /* elementwise, expand, permute: computed for each block */
    NP_PART_SCORE, /* a contraction of two leaves, computed for each block */
    NP_PART_EXP    /* exp(arg[0] - m), m the same for all keys */
} np_partkind;
typedef struct np_part {
    np_partkind kind;
    const np_node *n;
    int id[NP_RANK]; /* by axis of n */
    int arg[3];      /* other parts; of an EXP: what it is the exponential of */
    bool scored;     /* computed from a contraction of this part of the function */
    bool bulk;       /* linear in an EXP */
} np_part;

/* What is taken out of a sum because it is the same for all keys. */
typedef struct np_factor {
    np_op op; /* mul or div */
    const np_node *n;
    int id[NP_RANK]; /* by axis of n; no keys */
} np_factor;
typedef struct np_root { /* a value that is summed over the keys */
    const np_node *n;    /* contract, or reduce sum or max */
    int part;            /* what is summed */
    int side;            /* contract: which operand that is */
    int other;           /* contract: the other operand, a leaf */
    int nfactors;
    np_factor factor[4];
    np_node *raw; /* the new value, before factors */
} np_root;

typedef struct np_region {
    np_cx *cx;
    const np_fn *f;
    int rank;                   /* axes */
    const np_dim *dim[NP_RANK]; /* their sizes */
    int keys, queries;          /* axes; queries -1: none is cut into blocks */
    bool batch[NP_RANK];        /* the same index in all operands: done one after the other */
    int nparts, nroots;
    np_part part[NP_ONLINE_PARTS];
    np_root root[NP_ONLINE_ROOTS];
    int exp;            /* the EXP, or -1 */
    const np_node *top; /* what is taken from its argument, without the axis of keys */
    int top_id[NP_RANK];
    const np_node *why; /* not a region: because of this node.. */
    const char *reason; /* ..that does this; NULL: nothing that one would expect here */
    int nq, nk;         /* positions of a block of queries, of keys; 0 keys: no blocks */
    int spare;          /* not 0: without blocks if blocks have more than spare/4 times the queries */
    np_node *most;      /* built: the largest score */
    int most_id[NP_RANK];
    bool built;
} np_region;

/* ---- online_find.c: what stands around a contraction that sums over keys.
 * False: nothing of the kind, or `reason` says what prevents it. */
bool np_online_find(np_region *r, const np_fn *f, const np_node *contract, const int *uses);
int np_online_axis(const np_part *p, int id); /* the axis of p with that number, or -1 */

/* ---- online_mask.c: when is a block without use, when open? */
typedef struct np_mask {
    int n;
    int part[8]; /* conditions of selects that can switch a key off */
    bool off[8]; /* the value that does */
} np_mask;
void np_online_masks(const np_region *r, np_mask *m);
/* For one block: is a condition of `m` certainly off, or are all certainly on?
 * tile(env, part) is the value of a part for the block, first(id) and last(id)
 * the indices where it begins and ends along an axis. Bool scalars; NULL: no. */
typedef struct np_place {
    np_build *b;
    const np_region *r;
    np_node *first[NP_RANK], *last[NP_RANK]; /* i32 scalars by axis */
    np_node *(*tile)(struct np_place *at, int part);
    void *env;
} np_place;
np_node *np_online_dead(np_place *at, const np_mask *m);
np_node *np_online_open(np_place *at, const np_mask *m);

/* ---- online_tile.c: values as blocks have them. */
typedef struct np_maker { /* the code of a region being written */
    const np_region *r;
    np_build *b;
    np_mask mask;
    const np_dim *size[NP_RANK];     /* of a block, by axis */
    const np_dim *nqueries, *nkeys;  /* whole blocks */
    np_node *whole[NP_ONLINE_PARTS]; /* leaves cut for blocks of keys, if they have keys */
    np_node *rest[NP_ONLINE_PARTS];  /* leaves behind the last block of keys */
    np_node *leaf[NP_ONLINE_PARTS];  /* what the open body has of them */
    np_node *tile[NP_ONLINE_PARTS];  /* computed in the open body */
    np_place place;
    int nstates, state[NP_ONLINE_ROOTS]; /* by root; state 0 is m if there is an EXP */
} np_maker;
int np_online_ids(const np_region *r, const np_root *root,
                  int *id);                      /* the axes of a root's result; how many */
/* The axes that a value of n axes has in a block, in the order that blocks have; how many. */
int np_online_inner(const np_maker *m, int n, const int *id, int *to);
/* The type of a block of n, whose axes are id. */
const np_type *np_online_type(const np_maker *m, const np_node *n, int rank, const int *id);
/* The leaf x in pieces: what stands around blocks counts through the first axes. whole: blocks of keys, else the rest. */
np_node *np_online_cut(np_maker *m, int part, bool whole, np_node *x);
np_node *np_online_value(np_maker *m, int part);            /* a part in the open body */
np_node *np_online_keep(np_maker *m, int part, np_node *x); /* it is x there */
/* The contraction n of two parts there, which are vx and vy; id: the axes of its result. */
np_node *np_online_contract(np_maker *m, const np_node *n, int x, int y, np_node *vx, np_node *vy,
                            const int *id);
/* x (axes id) with the axes `to` and the type t: put in order, repeated along what it lacks. */
np_node *np_online_spread(np_build *b, np_node *x, const int *id, const np_type *t, const int *to);
/* x as the maps around blocks stack it, with the axes id in their old order. */
np_node *np_online_arrange(np_maker *m, np_node *x, int rank, const int *id);

/* ---- online_block.c: the new code. Sets root[].raw. leaf(env, n): the new value of an old node. */
void np_online_build(np_region *r, np_build *b, np_node *(*leaf)(void *env, const np_node *n), void *env);

#endif
