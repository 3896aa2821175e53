/* Indices. An element of a tensor is named by one index an axis. Ops that only
 * move values (expand, permute, split, merge, slice, at) turn the index of
 * their result into one of their operand; nothing is computed for them. A
 * merged axis is a pair (hi, lo): split undoes it without a division, and a
 * variable that some merge takes apart is two loops.
 *
 * Scalars are put into the outermost block in which their operands stand, so
 * what does not change in a loop is outside of it. That is possible because a
 * loop joins its block only when it is closed: whatever is appended to an
 * enclosing block meanwhile stands before it. */
#include "loops.h"

#include <string.h>

int np_loops_var(np_lower *l, const np_dim *n)
{
    if (l->nvars == NP_MAXVARS) np_bug(l->cx, "a nest of more than %d loops", NP_MAXVARS);
    l->var[l->nvars] = (np_var){.n = n, .hi = -1, .lo = -1};
    return l->nvars++;
}
static const np_ix *keep(np_lower *l, np_ix x)
{
    return np_arena_copy(&l->mem, &x, sizeof x);
}
const np_ix *np_loops_ix_pair(np_lower *l, const np_ix *hi, const np_ix *lo, const np_dim *d)
{
    return keep(l, (np_ix){.kind = NP_IX_PAIR, .hi = hi, .lo = lo, .d = d, .deps = hi->deps | lo->deps});
}
const np_ix *np_loops_ix(np_lower *l, int var)
{
    const np_var *v = &l->var[var];
    if (v->hi >= 0) return np_loops_ix_pair(l, np_loops_ix(l, v->hi), np_loops_ix(l, v->lo), v->p);
    return keep(l, (np_ix){.kind = NP_IX_VAR, .var = var, .deps = (uint64_t)1 << var});
}
bool np_loops_split(np_lower *l, int var)
{
    np_var *v = &l->var[var];
    if (v->hi >= 0) {
        bool high = np_loops_split(l, v->hi);
        return np_loops_split(l, l->var[var].lo) || high;
    }
    if (!v->apart || l->nvars + 2 > NP_MAXVARS) return false;
    v->p = v->apart;
    v->apart = NULL;
    v->hi = np_loops_var(l, np_dim_quot(l->cx, v->n, v->p));
    v->lo = np_loops_var(l, v->p);
    return true;
}
int np_loops_leaves(const np_lower *l, int var, int *out)
{
    const np_var *v = &l->var[var];
    if (v->hi < 0) {
        *out = var;
        return 1;
    }
    int n = np_loops_leaves(l, v->hi, out);
    return n + np_loops_leaves(l, v->lo, out + n);
}
const np_ix *np_loops_ix_node(np_lower *l, np_node *n, uint64_t deps)
{
    return keep(l, (np_ix){.kind = NP_IX_NODE, .node = n, .deps = deps});
}
const np_ix *np_loops_ix_add(np_lower *l, const np_ix *x, const np_dim *d)
{
    if (np_dim_is(d, 0)) return x;
    if (x->kind == NP_IX_ADD) return np_loops_ix_add(l, x->lo, np_dim_add(l->cx, x->d, d));
    return keep(l, (np_ix){.kind = NP_IX_ADD, .lo = x, .d = d, .deps = x->deps});
}

/* ---- scalars */
static np_block *innermost(np_block *floor, int n, np_node *const *arg)
{
    int best = np_block_depth(floor);
    for (int i = 0; i < n; i++) {
        int d = np_block_depth(arg[i]->in);
        if (d > best) best = d, floor = arg[i]->in;
    }
    return floor;
}
np_node *np_loops_op(np_lower *l, np_op op, int n, np_node *const *arg, const np_extra *x)
{
    np_block *here = l->b->at;
    l->b->at = innermost(l->group, n, arg);
    np_node *r = np_build_op(l->b, op, n, arg, x);
    l->b->at = here;
    return r;
}
np_node *np_loops_op2(np_lower *l, np_op op, np_node *x, np_node *y)
{
    return np_loops_op(l, op, 2, (np_node *[]){x, y}, NULL);
}
np_node *np_loops_num(np_lower *l, np_dtype d, double v)
{
    return np_loops_op(l, NP_CONST, 0, NULL, &(np_extra){.type = np_type_scalar(l->cx, d), .num = v});
}
np_node *np_loops_int(np_lower *l, int64_t v)
{
    return np_loops_num(l, NP_I64, (double)v);
}
np_node *np_loops_cast(np_lower *l, np_node *x, np_dtype d)
{
    return np_loops_op(l, NP_CAST, 1, &x, &(np_extra){.sym = np_str_new(l->cx, np_dtype_text(d))});
}
np_node *np_loops_dim(np_lower *l, const np_dim *d)
{
    int64_t k;
    if (np_dim_int(d, &k)) return np_loops_int(l, k);
    return np_loops_cast(l, np_loops_op(l, NP_SIZE, 0, NULL, &(np_extra){.attr = {d}}), NP_I64);
}
np_node *np_loops_at(np_lower *l, const np_ix *x)
{
    switch (x->kind) {
    case NP_IX_VAR: return l->var[x->var].at;
    case NP_IX_PAIR:
        return np_loops_op2(l, NP_ADD, np_loops_op2(l, NP_MUL, np_loops_at(l, x->hi), np_loops_dim(l, x->d)),
                            np_loops_at(l, x->lo));
    case NP_IX_ADD: return np_loops_op2(l, NP_ADD, np_loops_at(l, x->lo), np_loops_dim(l, x->d));
    default: return x->node;
    }
}

/* ---- taking a merged index apart */
static void take_apart(np_lower *l, const np_ix *x, const np_dim *n, const np_ix **hi, const np_ix **lo)
{
    if (np_dim_is(n, 1)) { /* first: a tile is a pair over 1 whose lower part goes further */
        *hi = x, *lo = np_loops_ix_node(l, np_loops_int(l, 0), 0);
        return;
    }
    if (x->kind == NP_IX_PAIR && x->d == n) {
        *hi = x->hi, *lo = x->lo;
        return;
    }
    if (l->planning) {
        int64_t all, part;
        np_var *v = x->kind == NP_IX_VAR ? &l->var[x->var] : NULL;
        if (v && !v->from && np_dim_int(v->n, &all) && np_dim_int(n, &part) && part > 1 && part < all &&
            all % part == 0)
            v->apart = n;
        *hi = *lo = np_loops_ix_node(l, NULL, x->deps);
        return;
    }
    np_node *i = np_loops_at(l, x), *by = np_loops_dim(l, n);
    *hi = np_loops_ix_node(l, np_loops_op2(l, NP_IDIV, i, by), x->deps);
    *lo = np_loops_ix_node(l, np_loops_op2(l, NP_MOD, i, by), x->deps);
}

bool np_loops_step(np_lower *l, const np_node *x, const np_ix *const *at, const np_node **child,
                   const np_ix **to)
{
    int k = x->attr[0] && x->nargs && x->op != NP_PICK ? (int)x->attr[0]->k : 0, rank = x->type->rank;
    const np_ix *now[NP_RANK + 1];
    switch (x->op) {
    case NP_EXPAND:
        for (int i = 0, n = 0; i < rank; i++)
            if (i != k) now[n++] = at[i];
        break;
    case NP_PERMUTE: {
        const char *in = x->sym, *out = strstr(x->sym, "->") + 2;
        for (int i = 0; i < rank; i++) now[strchr(in, out[i]) - in] = at[i];
        break;
    }
    case NP_SPLIT:
        for (int i = 0, n = 0; i < rank; i++) {
            if (i == k + 1) continue;
            now[n++] = i == k ? np_loops_ix_pair(l, at[k], at[k + 1], x->attr[1]) : at[i];
        }
        break;
    case NP_MERGE:
        for (int i = 0, n = 0; i < rank; i++) {
            if (i == k)
                take_apart(l, at[k], x->arg[0]->type->dim[k + 1], &now[n], &now[n + 1]), n += 2;
            else
                now[n++] = at[i];
        }
        break;
    case NP_SLICE:
        for (int i = 0; i < rank; i++) now[i] = i == k ? np_loops_ix_add(l, at[i], x->attr[1]) : at[i];
        break;
    case NP_AT:
        for (int i = 0, n = 0; n <= rank; n++)
            now[n] = n == k ? np_loops_ix_node(l, np_loops_dim(l, x->attr[1]), 0) : at[i++];
        break;
    case NP_PICK:
    case NP_GROUP: { /* one that is not stored is computed where it is used */
        const np_node *g = x->op == NP_PICK ? x->arg[0] : x;
        if (g->op != NP_GROUP) return false;
        *child = g->body[0]->last->arg[x->op == NP_PICK ? x->attr[0]->k : 0];
        memmove(to, at, (size_t)rank * sizeof *to);
        return true;
    }
    default: return false;
    }
    *child = x->arg[0];
    memcpy(to, now, (size_t)(*child)->type->rank * sizeof *to);
    return true;
}

/* ---- how an element moves through memory when a variable counts */
static bool counts(const np_ix *x, uint64_t bit) /* it grows by one with the variable */
{
    if (x->kind == NP_IX_ADD) return counts(x->lo, bit);
    if (x->kind == NP_IX_PAIR) return !(x->hi->deps & bit) && counts(x->lo, bit);
    return x->kind == NP_IX_VAR && x->deps == bit;
}
static np_stride of_leaf(int rank, const np_ix *const *at, uint64_t bit)
{
    np_stride r = NP_STRIDE_NONE;
    for (int k = 0; k < rank; k++) {
        bool moves = at[k]->deps & bit;
        if (r == NP_STRIDE_UNIT || (moves && (r == NP_STRIDE_FAR || !counts(at[k], bit)))) r = NP_STRIDE_FAR;
        else if (moves) r = NP_STRIDE_UNIT;
    }
    return r;
}
static np_stride worst(np_stride a, np_stride b)
{
    return a > b ? a : b;
}
static np_stride stride(np_lower *l, const np_node *x, const np_ix *const *at, uint64_t bit, int depth);
/* x with the index of axis k unknown, as far as it depends on the variable. */
static np_stride stride_without(np_lower *l, const np_node *x, const np_ix *const *at, int k,
                                const np_ix *with, uint64_t bit, int depth)
{
    const np_ix *to[NP_RANK];
    memcpy(to, at, (size_t)x->type->rank * sizeof *to);
    to[k] = with;
    return stride(l, x, to, bit, depth);
}
static np_stride stride(np_lower *l, const np_node *x, const np_ix *const *at, uint64_t bit, int depth)
{
    const np_ix *to[NP_RANK];
    const np_node *child;
    const np_spot *s;
    np_stride r = NP_STRIDE_NONE;
    if (depth > 64) return NP_STRIDE_FAR;
    while (!(s = np_loops_find(l, x)) && np_loops_step(l, x, at, &child, to)) x = child, at = to;
    int k = x->attr[0] ? (int)x->attr[0]->k : 0;
    if (s) {
        int n = np_loops_spot_at(l, s, at, to);
        return of_leaf(n, to, bit);
    }
    if (x->op == NP_WEIGHT || (x->op == NP_CONST && x->data)) return of_leaf(x->type->rank, at, bit);
    switch (x->op) {
    case NP_PARAM: { /* a slice of what is fed to a scan */
        const np_node *scan = x->in->owner;
        int i = 0;
        while (scan->body[0]->param[i] != x) i++;
        to[0] = np_loops_ix_node(l, NULL, 0);
        memmove(to + 1, at, (size_t)x->type->rank * sizeof *to);
        return stride(l, scan->arg[i], to, bit, depth + 1);
    }
    case NP_GATHER:
        for (int i = 0; i < x->arg[1]->type->rank; i++)
            if (at[i]->deps & bit) return NP_STRIDE_FAR;
        for (int i = x->arg[1]->type->rank; i < x->type->rank; i++)
            if (at[i]->deps & bit)
                r = i == x->type->rank - 1 && counts(at[i], bit) ? NP_STRIDE_UNIT : NP_STRIDE_FAR;
        return r;
    case NP_WINDOW:
        if (at[x->type->rank - 1]->deps & bit) return NP_STRIDE_FAR;
        /* fallthrough */
    case NP_PAD:
    case NP_CONCAT:
    case NP_APPEND:
        if (at[k]->deps & bit) return NP_STRIDE_FAR;
        for (int i = 0; i < x->nargs; i++)
            r = worst(r, stride_without(l, x->arg[i], at, k, np_loops_ix_node(l, NULL, 0), bit, depth + 1));
        return r;
    default: break;
    }
    if (np_op_info(x->op)->cls != NP_ELEM) return x->nargs ? NP_STRIDE_FAR : NP_STRIDE_NONE;
    for (int i = 0; i < x->nargs; i++) r = worst(r, stride(l, x->arg[i], at, bit, depth + 1));
    return r;
}
np_stride np_loops_stride(np_lower *l, const np_node *x, const np_ix *const *at, int var)
{
    bool was = l->planning;
    l->planning = true;
    np_stride r = stride(l, x, at, (uint64_t)1 << var, 0);
    l->planning = was;
    return r;
}
