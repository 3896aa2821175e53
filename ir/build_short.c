/* Shorthands over np_build_op for the everyday nodes: each fills in the operands
 * and attributes of one row of ops.def and decides nothing. */
#include "ir.h"

#include <string.h>

np_node *np_build_num(np_build *b, const np_type *t, double v)
{
    return np_build_op(b, NP_CONST, 0, NULL, &(np_extra){.type = t, .num = v});
}
np_node *np_build_list(np_build *b, const np_type *t, const double *v)
{
    return np_build_op(b, NP_CONST, 0, NULL, &(np_extra){.type = t, .data = v});
}
np_node *np_build_weight(np_build *b, const char *name)
{
    return np_build_op(b, NP_WEIGHT, 0, NULL, &(np_extra){.sym = np_str_new(b->cx, name)});
}
np_node *np_build_iota(np_build *b, const np_dim *n)
{
    return np_build_op(b, NP_IOTA, 0, NULL, &(np_extra){.attr = {n}});
}
np_node *np_build_size(np_build *b, const np_dim *n)
{
    return np_build_op(b, NP_SIZE, 0, NULL, &(np_extra){.attr = {n}});
}
np_node *np_build_1(np_build *b, np_op op, np_node *x)
{
    return np_build_op(b, op, 1, &x, NULL);
}
np_node *np_build_2(np_build *b, np_op op, np_node *x, np_node *y)
{
    return np_build_op(b, op, 2, (np_node *[]){x, y}, NULL);
}
np_node *np_build_3(np_build *b, np_op op, np_node *x, np_node *y, np_node *z)
{
    return np_build_op(b, op, 3, (np_node *[]){x, y, z}, NULL);
}
np_node *np_build_cast(np_build *b, np_node *x, np_dtype d)
{
    return np_build_op(b, NP_CAST, 1, &x, &(np_extra){.sym = np_str_new(b->cx, np_dtype_text(d))});
}
np_node *np_build_contract(np_build *b, np_node *x, np_node *y, const char *spec)
{
    return np_build_op(b, NP_CONTRACT, 2, (np_node *[]){x, y}, &(np_extra){.sym = np_str_new(b->cx, spec)});
}
np_node *np_build_reduce(np_build *b, np_node *x, const char *kind, int axis)
{
    return np_build_op(b, NP_REDUCE, 1, &x,
                       &(np_extra){.sym = np_str_new(b->cx, kind), .attr = {np_dim_const(b->cx, axis)}});
}
static np_node *with_axis(np_build *b, np_op op, np_node *x, int axis, const np_dim *p, const np_dim *q)
{
    return np_build_op(b, op, 1, &x, &(np_extra){.attr = {np_dim_const(b->cx, axis), p, q}});
}
np_node *np_build_expand(np_build *b, np_node *x, int axis, const np_dim *n)
{
    return with_axis(b, NP_EXPAND, x, axis, n, NULL);
}
np_node *np_build_permute(np_build *b, np_node *x, const char *spec)
{
    return np_build_op(b, NP_PERMUTE, 1, &x, &(np_extra){.sym = np_str_new(b->cx, spec)});
}
np_node *np_build_split(np_build *b, np_node *x, int axis, const np_dim *inner)
{
    return with_axis(b, NP_SPLIT, x, axis, inner, NULL);
}
np_node *np_build_merge(np_build *b, np_node *x, int axis)
{
    return with_axis(b, NP_MERGE, x, axis, NULL, NULL);
}
np_node *np_build_slice(np_build *b, np_node *x, int axis, const np_dim *from, const np_dim *n)
{
    return with_axis(b, NP_SLICE, x, axis, from, n);
}
np_node *np_build_at(np_build *b, np_node *x, int axis, const np_dim *i)
{
    return with_axis(b, NP_AT, x, axis, i, NULL);
}
np_node *np_build_pick(np_build *b, np_node *x, int i)
{
    return np_build_op(b, NP_PICK, 1, &x, &(np_extra){.attr = {np_dim_const(b->cx, i)}});
}
np_node *np_build_result(np_build *b, np_node *n, int i)
{
    return n->op == NP_BAD || n->type->tuple ? np_build_pick(b, n, i) : n;
}
np_node *np_build_int(np_build *b, int64_t v)
{
    return np_build_num(b, np_type_scalar(b->cx, NP_I64), (double)v);
}
np_node *np_build_alloc(np_build *b, const char *name, const np_type *t)
{
    if (name) b->name = np_str_new(b->cx, name);
    return np_build_op(b, NP_ALLOC, 0, NULL, &(np_extra){.type = t});
}
np_node *np_build_load(np_build *b, np_node *buf, int n, np_node *const *index)
{
    np_node *arg[NP_RANK + 1] = {buf};
    if (n) memcpy(arg + 1, index, (size_t)n * sizeof *arg);
    return np_build_op(b, NP_LOAD, n + 1, arg, NULL);
}
void np_build_prefetch(np_build *b, np_node *buf, int n, np_node *const *index)
{
    np_node *arg[NP_RANK + 1] = {buf};
    if (n) memcpy(arg + 1, index, (size_t)n * sizeof *arg);
    np_build_op(b, NP_PREFETCH, n + 1, arg, NULL);
}
void np_build_store(np_build *b, np_node *buf, np_node *v, int n, np_node *const *index)
{
    np_node *arg[NP_RANK + 2] = {buf, v};
    if (n) memcpy(arg + 2, index, (size_t)n * sizeof *arg);
    np_build_op(b, NP_STORE, n + 2, arg, NULL);
}
