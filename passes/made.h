/* made.c, made_cost.c: what the build can compute. */
#ifndef NP_MADE_H
#define NP_MADE_H

#include "../ir/ir.h"

/* ---- made_cost.c */
typedef void (*np_made_visit)(void *env, const np_node *n);
void np_made_needs(const np_node *n, np_made_visit see,
                   void *env);          /* operands, and what bodies use from outside */
bool np_made_can_be(const np_node *n);  /* if all that it needs can: no size of a call is in it */
bool np_made_moves(const np_node *n);   /* only moves numbers */
double np_made_count(const np_type *t); /* numbers */
double np_made_work(const np_node *n);  /* operations, bodies included */

/* ---- made.c */
#define NP_MADE_MOST 1e11 /* operations: what takes longer is not for the build */
bool np_made_factor(
    const np_mod *m,
    const np_node *n); /* does it depend on weights alone, so that the build can multiply it? */
/* May a and b, whose product would take that many multiplications, be multiplied when the model is built? */
bool np_made_product(const np_mod *m, const np_node *a, const np_node *b, double work);

#endif
