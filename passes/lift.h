/* The values of a scan's body over all steps at once. */
#ifndef NP_LIFT_H
#define NP_LIFT_H

#include "passes.h"

typedef struct np_lift {
    np_rw *rw;
    const np_node *scan; /* of the old function */
    const np_dim *n;     /* steps */
    np_node **whole;     /* by old id: the value of all steps (axis 0), or of every step alike */
    bool *timed;         /* by old id: does it have the axis of steps */
    bool *known;         /* by old id: was it set from outside */
    const np_node *no;   /* the first node that could not be lifted */
} np_lift;
/* The new value of x, a node of the body or one visible from it. NULL: it cannot be lifted. */
np_node *np_lift_get(np_lift *l, const np_node *x);
void np_lift_set(np_lift *l, const np_node *x,
                 np_node *whole); /* what is known already: has the axis of steps */

#endif
