/* What is known of the values of a float expression, whatever its inputs are. */
#ifndef NP_INTERVAL_H
#define NP_INTERVAL_H

#include "passes.h"

typedef struct np_interval {
    double lo, hi; /* every element is NaN or lies between them, both included */
} np_interval;
np_interval np_interval_of(const np_node *n);

#endif
