/* Do two functions give the same results? Shared by the text tests and by the
 * random programs. */
#ifndef NP_TESTS_SAME_H
#define NP_TESTS_SAME_H

#include "ir/ir.h"

/* Gives every stored weight that is not loaded seeded numbers, by its place in
 * the module; they live as long as the context. */
void np_same_weights(np_mod *m);
/* Sizes for a test: what `e` lacks is 3 for time, 0 for past, 2 for others,
 * inside the declared range. */
void np_same_env(np_cx *cx, np_env *e);
/* Seeded inputs and states of f, ninputs + nstates of them. False: a size has no value. */
bool np_same_inputs(const np_fn *f, const np_env *e, uint64_t seed, np_tensor *in);
/* Runs both on the same seeded inputs; the functions may be of two modules and
 * of two stages. False, and the reason in `why`: an output further off than
 * tol (np_tensor_distance), or an evaluation that fails. */
bool np_same_answers(const np_fn *f, const np_fn *g, const np_env *e, uint64_t seed, double tol, np_text *why);

/* Streaming: the outputs of @whole on the inputs of @main, against those of the
 * pieces that come out of @init, @prefill and @step. piece: how many positions
 * are given in each call (the last number again and again, until all are). */
bool np_same_pieces(np_mod *m, const np_tensor *in, int n, const int64_t *piece, double tol, np_text *why);
/* Axis of t that is time; -1: none. */
int np_same_time_axis(np_cx *cx, const np_type *t);
/* The positions from .. from + n of an axis (a copy of x if it is -1). */
np_tensor np_same_positions(const np_tensor *x, int axis, int64_t from, int64_t n);

#endif
