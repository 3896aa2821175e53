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
static const np_ix *pair(np_lower *l, const np_ix *hi, const np_ix *lo, const np_dim *d)
{
    return keep(l, (np_ix){.kind = NP_IX_PAIR, .hi = hi, .lo = lo, .d = d, .deps = hi->deps | lo->deps});
}
const np_ix *np_loops_ix(np_lower *l, int var)
{
    const np_var *v = &l->var[var];
    if (v->hi >= 0) return pair(l, np_loops_ix(l, v->hi), np_loops_ix(l, v->lo), v->p);
    return keep(l, (np_ix){.kind = NP_IX_VAR, .var = var, .deps = (uint64_t)1 << var});
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
static int depth(const np_block *b)
{
    int n = 0;
    while ((b = b->outer)) n++;
    return n;
}
static np_block *innermost(np_block *floor, int n, np_node *const *arg)
{
    int best = depth(floor);
    for (int i = 0; i < n; i++) {
        int d = depth(arg[i]->in);
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
    return np_loops_op(l, NP_CONST, 0, NULL, &(np_extra){.type = np_type_scalar(l->cx, d), .num = np_round_to(d, v)});
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
    case NP_IX_PAIR: return np_loops_op2(l, NP_ADD, np_loops_op2(l, NP_MUL, np_loops_at(l, x->hi), np_loops_dim(l, x->d)), np_loops_at(l, x->lo));
    case NP_IX_ADD: return np_loops_op2(l, NP_ADD, np_loops_at(l, x->lo), np_loops_dim(l, x->d));
    default: return x->node;
    }
}

/* ---- taking a merged index apart */
static void take_apart(np_lower *l, const np_ix *x, const np_dim *n, const np_ix **hi, const np_ix **lo)
{
    if (x->kind == NP_IX_PAIR && x->d == n) {
        *hi = x->hi, *lo = x->lo;
        return;
    }
    if (np_dim_is(n, 1)) {
        *hi = x, *lo = np_loops_ix_node(l, np_loops_int(l, 0), 0);
        return;
    }
    np_node *i = np_loops_at(l, x), *by = np_loops_dim(l, n);
    *hi = np_loops_ix_node(l, np_loops_op2(l, NP_IDIV, i, by), x->deps);
    *lo = np_loops_ix_node(l, np_loops_op2(l, NP_MOD, i, by), x->deps);
}

bool np_loops_step(np_lower *l, const np_node *x, const np_ix *const *at, const np_node **child, const np_ix **to)
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
            now[n++] = i == k ? pair(l, at[k], at[k + 1], x->attr[1]) : at[i];
        }
        break;
    case NP_MERGE:
        for (int i = 0, n = 0; i < rank; i++) {
            if (i == k) take_apart(l, at[k], x->arg[0]->type->dim[k + 1], &now[n], &now[n + 1]), n += 2;
            else now[n++] = at[i];
        }
        break;
    case NP_SLICE:
        for (int i = 0; i < rank; i++) now[i] = i == k ? np_loops_ix_add(l, at[i], x->attr[1]) : at[i];
        break;
    case NP_AT:
        for (int i = 0, n = 0; n <= rank; n++) now[n] = n == k ? np_loops_ix_node(l, np_loops_dim(l, x->attr[1]), 0) : at[i++];
        break;
    default: return false;
    }
    *child = x->arg[0];
    memcpy(to, now, (size_t)(*child)->type->rank * sizeof *to);
    return true;
}
