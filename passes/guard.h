/* How the scores of a chunk are kept from overflow. */
#ifndef NP_GUARD_H
#define NP_GUARD_H

#include "interval.h"
#include "label.h"

typedef struct np_guard {
    np_interval decay; /* of one step */
    bool factored;     /* products of the decays of a chunk may be divided by one another */
} np_guard;
np_guard np_guard_of(np_lab decay, int64_t steps);
np_str np_guard_text(np_cx *cx, np_guard g);

#endif
