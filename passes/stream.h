/* Shared by stream.c, stream_check.c and causal.c: what is known of a value
 * when the whole is described over T new positions (axes of size T) and all
 * positions so far (axes of size N + T). */
#ifndef NP_STREAM_H
#define NP_STREAM_H

#include "passes.h"

/* What holds for those elements of a value whose index along the axis of all
 * positions is later than the position t that they serve: the index along the
 * axis of time, or the step of the scan over time around it. For a value
 * without the axis of all positions it holds for every element. */
typedef enum {
    NP_FACT_SAME, /* equals the value `of`: nothing else is known */
    NP_FACT_NUM,  /* the number lo */
    NP_FACT_LINE  /* an integer: j * its position + t * the position t + something in lo..hi */
} np_factkind;
typedef struct np_fact {
    np_factkind kind;
    const np_node *of;
    double j, t, lo, hi;
} np_fact;

/* causal.c */
np_fact np_causal_same(const np_node *n);
np_fact np_causal_num(double v);
bool np_causal_is(const np_fact *f, double v); /* the number v for certain */
bool np_causal_equal(const np_fact *a, const np_fact *b);
/* An elementwise op, given the facts of its operands. */
np_fact np_causal_elem(const np_node *n, const np_fact *arg);
/* Is an integer at most t for certain? It has no axis of all positions. */
bool np_causal_past(const np_fact *f);

/* stream_check.c */
typedef struct np_streamed {
    const np_fn *f;
    const np_dim *T, *N, *all; /* the symbols; N + T. T NULL: no axis is time */
    bool *plain;               /* by id: depends on no position, so that @init can compute it */
    bool ok;                   /* else a note says why */
} np_streamed;
/* Can f be computed piece by piece? Side tables live in mem. */
np_streamed np_stream_check(const np_fn *f, np_arena *mem);
/* Axis of n with that size; -1: none. */
int np_stream_axis(const np_type *t, const np_dim *size);

#endif
