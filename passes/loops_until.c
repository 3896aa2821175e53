/* Triangular sums. A term that is select(j < i + d, x, 0), where j is summed and i
 * is an index of the result, adds something only below the bound i + d: what lies
 * beyond it is not read (whatever it is, a NaN included, it is masked), and half of
 * a square costs half. A mask counts as well if it was applied when the operand
 * was stored.
 *
 * A bound is an index (or none) and a size: j < ix + d. Masks say lt or le, either
 * way round: select(i + d <= j, 0, x) is the same. The bound must lie inside the
 * axis for every i, which follows from the size of the iota that i runs through. */
#include "loops.h"

#include <string.h>

typedef struct line { /* ix + d; ix NULL: a size alone. ix < n */
    const np_ix *ix;
    const np_dim *d, *n;
} line;

/* An integer as a line in one index. */
static bool line_of(np_lower *l, const np_node *x, const np_ix *const *at, line *out)
{
    const np_ix *to[NP_RANK];
    const np_node *child;
    while (np_loops_step(l, x, at, &child, to)) x = child, at = to;
    if (x->op == NP_IOTA) {
        const np_ix *i = at[0];
        *out = (line){i, np_dim_const(l->cx, 0), x->attr[0]};
        if (i->kind == NP_IX_ADD)
            out->ix = i->lo, out->d = i->d, out->n = np_dim_sub(l->cx, x->attr[0], i->d);
        return true;
    }
    if (x->op == NP_SIZE || (x->op == NP_CONST && !x->data)) {
        *out = (line){.d = x->op == NP_SIZE ? x->attr[0] : np_dim_const(l->cx, (int64_t)x->num)};
        return true;
    }
    line a, b;
    bool minus = x->op == NP_SUB;
    if ((!minus && x->op != NP_ADD) || !line_of(l, x->arg[0], at, &a) || !line_of(l, x->arg[1], at, &b))
        return false;
    if (b.ix && (a.ix || minus)) return false;
    *out = a.ix ? a : b;
    out->d = minus ? np_dim_sub(l->cx, a.d, b.d) : np_dim_add(l->cx, a.d, b.d);
    return true;
}
static bool is_zero(const np_node *x)
{
    while (x->op == NP_EXPAND || x->op == NP_PERMUTE) x = x->arg[0];
    return x->op == NP_CONST && !x->data && x->num == 0;
}
/* The bound that a mask puts on the index j; yes: where the mask holds. */
static bool bound_of(np_lower *l, const np_node *mask, const np_ix *const *at, const np_ix *j, bool yes,
                     np_until *out)
{
    const np_ix *to[NP_RANK];
    const np_node *child;
    while (np_loops_step(l, mask, at, &child, to)) mask = child, at = to;
    line a, b;
    if ((mask->op != NP_LT && mask->op != NP_LE) || np_dtype_class(mask->arg[0]->type->dtype) != 'I')
        return false;
    bool or_equal = (mask->op == NP_LE) == yes; /* not (b < a) is a <= b */
    if (!line_of(l, mask->arg[yes ? 0 : 1], at, &a) || !line_of(l, mask->arg[yes ? 1 : 0], at, &b))
        return false;
    if (!a.ix || a.ix->kind != NP_IX_VAR || a.ix->deps != j->deps || !b.ix || (b.ix->deps & j->deps))
        return false;
    const np_dim *d = np_dim_sub(l->cx, b.d, a.d), *one = np_dim_const(l->cx, 1);
    if (or_equal) d = np_dim_add(l->cx, d, one);
    const np_dim *most = np_dim_add(l->cx, np_dim_sub(l->cx, b.n, one), d);
    if (!np_dim_le(l->cx, np_dim_const(l->cx, 0), d) || !np_dim_le(l->cx, most, l->var[j->var].n))
        return false;
    *out = (np_until){b.ix, d, NULL};
    return true;
}
static bool find(np_lower *l, const np_node *x, const np_ix *const *at, const np_ix *j, int depth,
                 np_until *out)
{
    const np_ix *to[NP_RANK];
    const np_node *child;
    bool stored = false;
    for (;; x = child, at = to) {
        const np_spot *s = np_loops_find(l, x);
        stored |= s != NULL;
        if (!np_loops_step(l, x, at, &child, to)) break;
        if (s && x->op != NP_GROUP && x->op != NP_PICK) return false;
    }
    if (depth > 8) return false;
    if (x->op == NP_SELECT) {
        bool yes = is_zero(x->arg[2]);
        if ((!yes && !is_zero(x->arg[1])) || !bound_of(l, x->arg[0], at, j, yes, out)) return false;
        out->mask = stored ? NULL : x;
        return true;
    }
    if (x->op != NP_MUL) return false;
    for (int i = 0; i < 2; i++)
        if (find(l, x->arg[i], at, j, depth + 1, out)) {
            if (stored) out->mask = NULL;
            return true;
        }
    return false;
}
bool np_loops_until(np_lower *l, const np_sum *s, np_until *out)
{
    const np_ix *j = s->n == 1 ? np_loops_ix(l, s->var[0]) : NULL;
    if (!j || j->kind != NP_IX_VAR || np_loops_sum_op(s->x) != NP_ADD) return false;
    bool was = l->planning, found = false;
    l->planning = true; /* no code for indices that are only looked at */
    for (int o = 0; o < s->x->nargs && !found; o++) found = find(l, s->x->arg[o], o ? s->b : s->a, j, 0, out);
    l->planning = was;
    return found && !(out->ix->kind == NP_IX_NODE && !out->ix->node);
}
np_node *np_loops_until_at(np_lower *l, const np_until *u)
{
    return np_loops_op2(l, NP_ADD, np_loops_at(l, u->ix), np_loops_dim(l, u->d));
}
/* How much further u reaches than v, if that is a number. */
bool np_loops_until_more(np_lower *l, const np_until *u, const np_until *v, int64_t *out)
{
    if (u->ix->kind == NP_IX_NODE && v->ix->kind == NP_IX_NODE && u->ix->node->op == NP_CONST &&
        v->ix->node->op == NP_CONST && u->d == v->d) {
        *out = (int64_t)u->ix->node->num - (int64_t)v->ix->node->num;
        return true;
    }
    bool same = u->ix == v->ix ||
                (u->ix->kind == NP_IX_VAR && v->ix->kind == NP_IX_VAR && u->ix->var == v->ix->var) ||
                (u->ix->kind == NP_IX_NODE && v->ix->kind == NP_IX_NODE && u->ix->node == v->ix->node);
    return same && np_dim_int(np_dim_sub(l->cx, u->d, v->d), out);
}

/* ---- a loop that ends at a value: the branch says where, c_kernel.c makes it the end of the loop */
np_node *np_loops_open_until(np_lower *l, np_node *loop, np_node *end)
{
    np_node *i = loop->body[0]->param[0], *c = np_build_2(l->b, NP_LT, i, end);
    np_node *n = np_build_open(l->b, NP_COND, 1, &c, NULL);
    return n;
}
void np_loops_close_until(np_lower *l, np_node *cond)
{
    np_build_else(l->b, cond, 0, NULL);
    np_build_close(l->b, cond, 0, NULL);
}
