/* Shared by the files of the generator, and by no one else. */
#ifndef NP_TESTS_GEN_H
#define NP_TESTS_GEN_H

#include "random.h"

typedef struct rn_val { /* a value that may be used, and where its elements lie */
    np_node *n;
    double lo, hi;
    bool used;
} rn_val;
typedef struct rn_gen {
    rn_draw *d;
    np_cx *cx;
    np_mod *m;
    np_build *b;
    const rn_gen_opts *o;
    rn_val v[512];          /* those of enclosing blocks, then those of this one */
    bool in_time;           /* in the body of a scan over T of a description: there is one position */
    int nvals, depth, left; /* left: statements that may still be made, bodies included */
    const np_dim *T, *N, *B, *dim[10]; /* dim: sizes of this program, T first */
    int ndims;
    np_fn *callee[4];
    int ncallees, nweights, nlists;
} rn_gen;

/* Sizes stay small: every value is evaluated many times. */
bool rn_fits(rn_gen *g, const np_type *t);
rn_val rn_push(rn_gen *g, np_node *n, double lo, double hi);
/* A value of one of the classes ("BIF") and of at least that rank, made if there is none. */
rn_val rn_any(rn_gen *g, const char *classes, int rank);
/* A value of exactly that type. */
rn_val rn_of_type(rn_gen *g, const np_type *t);
/* x, or something made of it whose elements lie between lo and hi (which hold 0 to 1 for
 * integers, and -1 to 1 or 0.5 to 1.5 for floats). */
rn_val rn_within(rn_gen *g, rn_val x, double lo, double hi);
const np_dim *rn_dim(rn_gen *g);
const np_dim *rn_int(rn_gen *g, int64_t k);
int rn_axis(rn_gen *g, rn_val x); /* one of its axes */
/* Is that better left alone, because what cuts or joins time cannot be given in pieces? Most often. */
bool rn_timed(rn_gen *g, const np_dim *d);
/* A random order of n axes, as a spec of permute: result axis i is axis order[i] of the operand. */
np_str rn_order(rn_gen *g, int n, int *order);
np_dtype rn_dtype(rn_gen *g);
void rn_statement(rn_gen *g);
/* Statements, at most n; those of a body may use what stands before them. */
void rn_statements(rn_gen *g, int n);
/* The newest value, or another one, of this block if it has one. */
rn_val rn_recent(rn_gen *g, int from);
/* A value that stays where a state must stay: floats in -4..4, integers in 0..7. */
rn_val rn_state(rn_gen *g, rn_val x);

/* ---- gen_ops.c: one maker a type rule of ops.def; false: nothing fits */
bool rn_make(rn_gen *g, np_op op);
/* Elementwise, with operands of one type that are fit for it. */
bool rn_elementwise(rn_gen *g, np_op op, int n, rn_val *x);
/* ---- gen_idiom.c: several ops that often stand together */
bool rn_idiom(rn_gen *g);
/* ---- gen_body.c */
bool rn_scan(rn_gen *g);
bool rn_cond(rn_gen *g);
bool rn_call(rn_gen *g);
bool rn_group(rn_gen *g);

#endif
