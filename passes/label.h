/* Labelled tensors: a node and a letter for each of its axes, so that the
 * algebra of a pass is written once, whatever axes the operands have. */
#ifndef NP_LABEL_H
#define NP_LABEL_H

#include "passes.h"

enum { NP_LETTERS = 128 };
typedef struct np_lab {
    np_node *n;             /* NULL: the number 0 or 1 everywhere */
    bool zero;              /* n is NULL: which of them */
    char axes[NP_RANK + 1]; /* of n, in its order */
} np_lab;
typedef struct np_label {
    np_build *b;
    np_dtype dtype;                /* of the numbers */
    const np_dim *dim[NP_LETTERS]; /* size of each letter */
} np_label;

extern const np_lab np_label_one, np_label_none;
bool np_label_is_one(np_lab x);
np_lab np_label_of(np_node *n, const char *axes);
np_lab np_label_num(np_label *l, double v);
np_lab np_label_op(np_label *l, np_op op, int n,
                   const np_lab *x); /* elementwise over the union of the axes */
np_lab np_label_op_as(np_label *l, np_op op, int n, const np_lab *x,
                      const char *axes); /* .. over these, in this order */
np_lab np_label_mul(np_label *l, np_lab x, np_lab y);
np_lab np_label_add(np_label *l, np_lab x, np_lab y);
np_lab np_label_neg(np_label *l, np_lab x);
np_lab np_label_select(np_label *l, np_lab c, np_lab x, np_lab y);
/* The sum of x * y over all letters that `out` lacks; axes in the order of `out`, those that neither has are made. */
np_lab np_label_dot(np_label *l, np_lab x, np_lab y, const char *out);
/* x with exactly these axes in this order; none of its own may be missing. */
np_node *np_label_to(np_label *l, np_lab x, const char *axes);
np_lab np_label_rename(np_lab x, char from, char to);
bool np_label_has(np_lab x, const char *letters);    /* any of them */
bool np_label_within(np_lab x, const char *letters); /* no others */
/* Letters of a that are in b, or are not; out has room for NP_LETTERS. */
void np_label_join(char *out, const char *a, const char *b, const char *c); /* one after the other */
void np_label_keep(char *out, const char *a, const char *b, bool in);

/* Letters of the operand from those of the result `at`: of an expand of axis k, of the permute n. */
void np_label_without(char *out, const char *at, int k);
void np_label_before_permute(char *out, const np_node *n, const char *at);

#endif
