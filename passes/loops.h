/* Shared by the files of `loops`, and by no one else: how an element of a
 * tensor is named while loops are being written, and where values lie. */
#ifndef NP_LOOPS_H
#define NP_LOOPS_H

#include "passes.h"

/* ---- loops_index.c: an index is an expression over the variables of the nest
 * that is being written. Merged axes stay pairs as long as possible, so that
 * taking them apart again costs no division. */
typedef enum { NP_IX_VAR, NP_IX_PAIR, NP_IX_ADD, NP_IX_NODE } np_ixkind;
typedef struct np_ix np_ix;
struct np_ix {
    np_ixkind kind;
    int var;              /* VAR */
    const np_ix *hi, *lo; /* PAIR: hi * d + lo; ADD: lo + d */
    const np_dim *d;
    np_node *node;        /* NODE: an i64 of the new function; NULL while planning */
    uint64_t deps;        /* variables that it depends on */
};
enum { NP_MAXVARS = 64, NP_MAXLOOPS = 48 }; /* of a nest; of one variable or sum */
typedef struct np_var { /* one loop of the nest, or two where the axis was taken apart */
    const np_dim *n, *from, *step; /* from, from + step, .. below n; NULL: 0 and 1 */
    np_node *at;        /* its value in the code being written; NULL while planning */
    int hi, lo;         /* >= 0: this one is hi * p + lo */
    const np_dim *p;
    const np_dim *apart; /* found while planning: its index is divided by this */
} np_var;

/* A sum that a group computes inside: a contraction or a reduction. */
typedef struct np_sum {
    const np_node *x;
    const np_ix *a[NP_RANK], *b[NP_RANK]; /* indices of its operands */
    int var[NP_RANK * 2], n;              /* what is summed, the innermost last */
    char letter[NP_RANK * 2];             /* contractions: how the spec calls it */
} np_sum;
typedef struct np_done { /* a sum whose element at the current index is known */
    const np_node *x;
    np_node *value;
} np_done;

/* Where a result lies. Index j of the buffer is fixed[j], or else the index of the value's axis axis[j]; an
 * axis that is not mentioned has one index at a time (loops_time.c). Where axes of the value are one axis of the
 * buffer, over[j] * d is added to that index; indices from end[j] on are not there: what would lie there is not stored. */
typedef struct np_over np_over;
struct np_over {
    np_node *fixed;
    int axis;
    const np_dim *d;
    const np_over *over;
};
typedef struct np_rows { /* those of a value that are written now, along an axis of it */
    int axis;
    const np_dim *from, *end; /* from .. end - 1; or, */
    np_node *block;           /* not NULL: block * end + 0 .. end - 1 */
} np_rows;
typedef struct np_spot {
    np_node *buf; /* NULL: it is computed where it is used */
    bool mapped;  /* false: axis k of the value is axis k of the buffer */
    bool tile;    /* it holds one block of lanes, which begins at 0 there */
    np_node *fixed[NP_RANK];
    int axis[NP_RANK];
    const np_over *over[NP_RANK];
    const np_dim *end[NP_RANK];
    np_rows *rows; /* not NULL: of axis `cut` it holds only these, beginning at 0 */
    int cut;
} np_spot;

typedef struct np_lower {
    np_cx *cx;
    const np_fn *old;
    np_build *b;
    const np_knobs *k;
    np_arena mem;
    np_spot *slot;      /* by id of the old node: result 0 */
    np_spot **more;     /* by id: all results, for nodes with several */
    np_node **time;     /* by id of a scan: its step, while its body is written */
    np_var var[NP_MAXVARS];
    int nvars;
    np_block *group;    /* body of the group being written: constants stand there */
    np_block *item;     /* where the running item starts: nothing that it loads is written further in */
    struct np_loaded *loaded; /* what the running item has loaded already */
    struct np_known **known;  /* by id: what the running item has computed already */
    int items;                /* counts items: older entries of `known` do not count */
    bool planning;            /* indices are looked at, no code is written */
    const np_node *sure;      /* a select whose mask is known to hold */
    const np_done *done;      /* sums that the running tile has computed */
    int ndone;
} np_lower;

/* ---- loops_spot.c */
/* The indices of the buffer for an element of the value; how many. */
int np_loops_spot_at(np_lower *l, const np_spot *s, const np_ix *const *at, const np_ix **out);
np_spot np_loops_row(np_lower *l, const np_spot *s, np_node *i); /* index i of the first axis of what lies at s */
bool np_loops_same_spot(const np_spot *a, const np_spot *b);
/* Where the operand of n, which only moves values, must lie so that n lies at s. False: there is no such place. */
bool np_loops_spot_before(np_lower *l, const np_spot *s, const np_node *n, np_spot *out);
bool np_loops_spot_ends(const np_spot *s); /* may an element of the value not be there? */
uint64_t np_loops_spot_deps(np_lower *l, const np_spot *s, const np_ix *const *at); /* .. which variables decide that */
np_spot np_loops_spot_within(const np_spot *s); /* s for elements that are there */
/* What follows runs only for elements that are there. NULL: all are. */
np_node *np_loops_open_within(np_lower *l, const np_spot *s, const np_ix *const *at);
void np_loops_close_within(np_lower *l, np_node *cond);

np_spot *np_loops_slot(np_lower *l, const np_node *n, int i);
const np_spot *np_loops_find(np_lower *l, const np_node *n); /* through picks; NULL: not in memory */

int np_loops_var(np_lower *l, const np_dim *n);
const np_ix *np_loops_ix(np_lower *l, int var);
/* Makes two loops of what is taken apart (found while planning); true if there was anything. */
bool np_loops_split(np_lower *l, int var);
/* The loops that a variable is made of, outermost first; how many. */
int np_loops_leaves(const np_lower *l, int var, int *out);
const np_ix *np_loops_ix_node(np_lower *l, np_node *n, uint64_t deps);
const np_ix *np_loops_ix_pair(np_lower *l, const np_ix *hi, const np_ix *lo, const np_dim *d);
const np_ix *np_loops_ix_add(np_lower *l, const np_ix *x, const np_dim *d);
np_node *np_loops_at(np_lower *l, const np_ix *x);
/* The child of an op that only moves values, and the index there. */
bool np_loops_step(np_lower *l, const np_node *x, const np_ix *const *at, const np_node **child, const np_ix **to);
/* How the elements of x lie in memory when the variable counts: the worst of all that is loaded. */
typedef enum { NP_STRIDE_NONE, NP_STRIDE_UNIT, NP_STRIDE_FAR } np_stride;
np_stride np_loops_stride(np_lower *l, const np_node *x, const np_ix *const *at, int var);

/* An operation on scalars, put as far out as its operands allow. */
np_node *np_loops_op(np_lower *l, np_op op, int n, np_node *const *arg, const np_extra *x);
np_node *np_loops_op2(np_lower *l, np_op op, np_node *x, np_node *y);
np_node *np_loops_num(np_lower *l, np_dtype d, double v);
np_node *np_loops_int(np_lower *l, int64_t v);
np_node *np_loops_dim(np_lower *l, const np_dim *d);
np_node *np_loops_cast(np_lower *l, np_node *x, np_dtype d);

/* ---- loops_value.c: the code for one element of a tensor. */
np_node *np_loops_value(np_lower *l, const np_node *x, const np_ix *const *at);
np_node *np_loops_read(np_lower *l, const np_spot *s, const np_ix *const *at); /* an element that lies there */
void np_loops_begin_item(np_lower *l);

/* ---- loops_sum.c */
np_op np_loops_sum_op(const np_node *x);
np_node *np_loops_sum_start(np_lower *l, const np_node *x);
void np_loops_sum_vars(np_lower *l, const np_node *x, np_sum *s);
void np_loops_sum_at(np_lower *l, np_sum *s, const np_ix *const *at);
void np_loops_sum_plan(np_lower *l, np_sum *s, const np_ix *const *at); /* loops that need no divisions */
np_node *np_loops_sum_term(np_lower *l, const np_sum *s);
np_node *np_loops_sum_carry(np_lower *l, const np_sum *s, np_node *start); /* loops over what is summed */
np_node *np_loops_sum(np_lower *l, const np_node *x, const np_ix *const *at); /* one element, on its own */
/* Opens a loop over a variable; close ends it without results. */
np_node *np_loops_open(np_lower *l, int var);
void np_loops_close(np_lower *l, np_node *loop);

/* ---- loops_until.c: terms that are zero where the index that is summed is not below a bound. */
typedef struct np_until {
    const np_ix *ix; /* the bound is ix + d */
    const np_dim *d;
    const np_node *mask; /* the select that holds below it; NULL: it was stored */
} np_until;
bool np_loops_until(np_lower *l, const np_sum *s, np_until *out);
np_node *np_loops_until_at(np_lower *l, const np_until *u);
bool np_loops_until_more(np_lower *l, const np_until *u, const np_until *v, int64_t *out); /* u - v */
/* What follows runs only while the index of the loop, which was just opened, is below `end`. */
np_node *np_loops_open_until(np_lower *l, np_node *loop, np_node *end);
void np_loops_close_until(np_lower *l, np_node *cond);

/* ---- loops_rows.c: groups beside one another, in blocks of rows. False: there are no blocks. */
bool np_loops_rows(np_lower *l, const np_node *set);
bool np_loops_cuts(const np_rows *r, int axis); /* are only some indices of the axis wanted? */
int np_loops_axis(np_lower *l, const np_rows *r, int axis, const np_dim *n); /* a variable for those, or for all n */
const np_ix *np_loops_axis_ix(np_lower *l, const np_rows *r, int axis, int var);
const np_ix *np_loops_in_block(np_lower *l, const np_rows *r, const np_ix *x); /* the index in memory for one block */

/* ---- loops_item.c: a whole tensor into memory, or some rows of it (NULL: all). */
void np_loops_item(np_lower *l, const np_node *root, const np_spot *to);
void np_loops_item_rows(np_lower *l, const np_node *root, const np_spot *to, const np_rows *rows);
void np_loops_past(np_lower *l, const np_node *root, const np_spot *to); /* what an append does not add */
void np_loops_put(np_lower *l, const np_spot *to, np_node *v, const np_ix *const *at);

/* ---- loops_tile.c: a tensor in whose elements sums are computed. False: there are none. */
bool np_loops_tile(np_lower *l, const np_node *root, const np_spot *to, const np_rows *rows);
/* The sum of `lanes` (a power of two) accumulators; acc is spoilt. */
np_node *np_loops_fold(np_lower *l, np_op op, np_node *acc, int lanes);

/* ---- loops_turn.c: the contraction x with its weights so that the last axis of the result runs along them; lanes:
 * those that may be, in panels of so many lanes; 0: none. */
const np_node *np_loops_turn(np_lower *l, const np_node *x, int lanes);
bool np_loops_panels(const np_node *x, int o); /* may operand o be in panels? */

/* ---- loops_pack.c: operand o of the contraction x, copied so that the last axis of the result runs along it. */
typedef struct np_packed {
    np_spot *slot, was; /* where it lies meanwhile, and what stands there afterwards */
} np_packed;
int np_loops_lane_axis(const np_node *x, int o); /* of operand o, where the last axis of the result runs; or -1 */
bool np_loops_packable(const np_node *x, int o);
np_packed np_loops_pack(np_lower *l, const np_node *x, int o);

/* ---- loops_time.c: a scan whose steps keep what they can in small arrays. False: it is none of that kind. */
bool np_loops_time(np_lower *l, const np_node *scan);

/* ---- loops_ahead.c: rows that the block being written reads at the index `step` of time, asked for `by` steps
 * ahead. */
void np_loops_ahead(np_lower *l, const np_node *scan, np_node *step, int64_t by);

/* ---- loops_scan.c */
void np_loops_scan(np_lower *l, const np_node *scan);
void np_loops_cond(np_lower *l, const np_node *cond);

/* ---- loops.c: the statements of a block; results of what stands in it get memory. */
void np_loops_block(np_lower *l, const np_block *b);
/* What is yielded by block b as y, if a statement of b makes it, is stored there. */
void np_loops_aim(np_lower *l, const np_block *b, const np_node *y, const np_spot *to);
np_spot np_loops_alloc(np_lower *l, const np_type *t, np_str name);

#endif
