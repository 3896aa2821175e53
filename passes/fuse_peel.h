/* Shared by the files of `fuse` that move work into the bodies of scans. */
#ifndef NP_FUSE_PEEL_H
#define NP_FUSE_PEEL_H

#include "passes.h"

enum {
    NP_PEEL_NONE = -1,
    NP_PEEL_FAIL = -2
}; /* instead of an axis: the same at every step; not step by step */

/* The axis along which operand i of n is cut where n is cut along `axis`. */
int np_peel_operand(const np_node *n, int i, int axis);
/* One number everywhere: it has no axes to speak of. */
bool np_peel_uniform(const np_node *x);

/* A scan whose body is being filled from values that were made for all steps. */
typedef struct np_peel {
    np_rw *rw;
    np_node *scan;      /* open */
    const bool *inside; /* by id: computed in the body; all others are fed, or used as they are */
    np_node **done;     /* by id: at the running step */
} np_peel;
/* x, cut along `axis`, at the running step. */
np_node *np_peel_step(np_peel *p, const np_node *x, int axis);

#endif
