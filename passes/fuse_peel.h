/* Shared by the files of `fuse` that move work into the bodies of scans. */
#ifndef NP_FUSE_PEEL_H
#define NP_FUSE_PEEL_H

#include "passes.h"

enum { NP_PEEL_NONE = -1, NP_PEEL_FAIL = -2 }; /* instead of an axis: the same at every step; not step by step */

/* ---- fuse_peel.c: one step of a value that was made for all of them. */
/* The axis along which operand i of n is cut where n is cut along `axis`. */
int np_peel_operand(const np_node *n, int i, int axis);
/* n at one step, from the rows of its operands (whole ones where np_peel_operand said NP_PEEL_NONE). */
np_node *np_peel_op(np_build *b, const np_node *n, int axis, np_node *const *arg);

#endif
