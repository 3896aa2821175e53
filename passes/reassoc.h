/* Shared by reassoc*.c: a sum taken apart into a product of factors, each of which
 * knows what its axes are. Axes are letters, one for each index of the whole
 * expression, as in an einsum of many operands. */
#ifndef NP_REASSOC_H
#define NP_REASSOC_H

#include "passes.h"

enum { NP_FACTORS = 24, NP_TERMS = 24, NP_COEFS = 3, NP_LETTERS = 26, NP_CHOICES = 6, NP_PRODUCTS = 8 };

typedef struct np_factor {
    np_node *n;
    char at[NP_RANK + 1]; /* the letter of each axis */
    bool under;           /* divides */
} np_factor;

/* One summand num * coef.. * n of an exponent; n NULL: the number alone. */
typedef struct np_term {
    np_factor x;
    double num;
    int ncoefs;
    np_factor coef[NP_COEFS]; /* depend on no position */
    int of;                   /* which power it belongs to */
} np_term;
typedef struct np_power { /* exp of a sum of terms, or a base to that */
    np_factor base;       /* n NULL: exp */
    np_factor whole;      /* as it was written; n NULL: of both positions, so it cannot stay */
} np_power;

/* sum over j and the other summed letters of: scale * factors * powers, where the
 * masks are true. t is the position that the sum serves, j the one that is summed. */
typedef struct np_product {
    np_build *b;
    const np_dim *T, *N, *all;
    np_dtype dtype;
    char t, j;
    const np_dim *dim[NP_LETTERS];
    int nletters;
    char out[NP_RANK + 1];     /* letters of the result */
    char sum[NP_LETTERS + 1];  /* summed ones, but for j */
    char order[NP_LETTERS + 1];/* in which axes stand in what is made */
    double scale;
    bool local;                 /* what is looked at has j alone and is over T already */
    int nfactors, ngates, nterms, npowers, ncontracts;
    np_factor factor[NP_FACTORS];
    np_factor gate[NP_FACTORS]; /* bools of one position: where false, the product is 0 */
    np_term term[NP_TERMS];
    np_power power[NP_TERMS];
    int ndecays;
    np_factor decay[NP_FACTORS]; /* of one step: from the position before to t */
    bool causal, strict;        /* masked: j <= t, j < t */
    bool late;                  /* the decay of t itself is not among them */
    int64_t group;              /* masked: j / group < t / group; 0: it is not */
    int nchoices, choice;       /* of sums of products: bit i says which side of the i-th sum this product takes */
    struct np_parts *parts;     /* of its scan */
    np_str said;                /* what became of it */
    const char *why;           /* set: it has no such form */
    np_loc where;
} np_product;

/* reassoc_product.c: n, a contraction or sum that sums the axis `all`, becomes a product. False: p->why, or
 * NULL where nothing serves a position. */
bool np_product_of(np_product *p, const np_node *n);
bool np_product_refuse(np_product *p, np_loc loc, const char *why);
int np_product_sides(const np_product *p, const char *at); /* 1: has t, 2: has j */

/* reassoc_mask.c: a predicate of positions: what it says goes into p. */
bool np_product_mask(np_product *p, np_node *n, const char *at, bool neg);

/* reassoc_decay.c: powers become decays of one step and factors of one position. */
bool np_product_decays(np_product *p);

/* reassoc_make.c: nodes from factors. */
/* Past what only moves axes (expand, permute): the letters of what is found go into `now`. */
np_node *np_factor_strip(np_node *n, const char *at, char *now);
np_factor np_factor_of(np_node *n, const char *at);
np_node *np_factor_as(const np_product *p, const np_factor *f, const char *at); /* with these axes; missing ones are expanded */
/* Letters of both, in p->order. */
void np_factor_union(const np_product *p, const char *a, const char *b, char *out);
np_factor np_factor_sum(const np_product *p, np_factor f, const char *kept); /* over letters that are not kept */
/* Product of factors, summed over letters that are not kept. n NULL: of none. */
np_factor np_factor_times(const np_product *p, np_factor a, np_factor b, const char *kept);
np_factor np_factor_product(const np_product *p, int n, const np_factor *f, const char *kept);
/* The position t; a value over all positions as one over the new ones, NULL if it is not made position by position. */
np_node *np_factor_position(const np_product *p); /* i32[T] */
np_node *np_factor_local(const np_product *p, np_node *n);

/* reassoc_order.c: letters of contractions, each operand of which has letters of its own for what is summed. */
const np_node *np_product_behind(const np_node *n, double *scale); /* the contraction behind number factors, or NULL */
/* Letters for the axes of operand i of a contraction; own: by letter of its spec. False: there are too many. */
bool np_product_operand(np_product *p, const np_node *n, int i, char *own, char *at);
void np_product_order(np_product *p); /* sums before the last axis, along which lanes run */

/* reassoc_maps.c: f with two added maps of one value as one, or NULL. */
np_fn *np_reassoc_maps(const np_fn *f);

/* reassoc_scan.c: what the scan of a causal product is made of, then one scan for several, then the sum itself. */
bool np_product_ready(np_product *p, const np_node *n);
void np_product_scan(int n, np_product *const *list);
np_node *np_product_result(const np_product *p);

#endif
