/* made.c: what the build can compute. */
#ifndef NP_MADE_H
#define NP_MADE_H

#include "../ir/ir.h"

/* May a and b, whose product would take that many multiplications, be multiplied when the model is built? */
bool np_made_product(const np_mod *m, const np_node *a, const np_node *b, double work);

#endif
