/* Shared by the files of the interpreter, and by no one else. */
#ifndef NP_EVAL_H
#define NP_EVAL_H

#include "ir.h"

/* One value: a scalar inside, a tensor on the heap, or another's buffer. */
typedef struct np_value {
    np_tensor t;
    double scalar;
    bool borrowed; /* t.data belongs to someone else */
} np_value;
typedef struct np_eval_run {
    np_cx *cx;
    const np_fn *f;
    np_env env;
    bool exact;
    uint64_t noise; /* counts on from the seed; 0: none */
    np_value *val; /* by id */
    np_tensor **parts; /* by id: results of nodes with several */
} np_eval_run;

/* ---- eval_ops.c: whole-tensor operations: fills `out`, which has its shape. */
void np_eval_tensor(np_eval_run *r, const np_node *n, const np_tensor *const *arg, np_tensor *out);
double np_eval_round(const np_eval_run *r, np_dtype d, double v);
int64_t np_eval_dim(const np_eval_run *r, const np_dim *d);
/* ---- eval_contract.c */
void np_eval_contract(bool exact, const char *spec, const np_tensor *a, const np_tensor *b, np_tensor *out);

#endif
