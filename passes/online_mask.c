/* online, second part: what a predicate over positions says about a whole block.
 *
 * Integers have a first and a last value in a block, computed from those of
 * their operands: positions from where the block begins and ends, other leaves
 * (the document of a position) from their own elements, read once. Comparisons
 * of such intervals say that a condition holds nowhere in a block, or
 * everywhere; what intervals cannot say is asked of the elements themselves. All
 * of this is code over scalars, decided when the function is built where sizes
 * suffice. A select can switch keys off if, with its condition known, everything
 * that is summed is nothing: passes/causal.c follows constants there. */
#include "stream.h"
#include "online.h"

#include <math.h>

/* ---- which conditions matter */
/* With condition `c` having the value v: is nothing added to any sum? */
static bool switches_off(const np_region *r, int c, double v)
{
    np_fact fact[NP_ONLINE_PARTS];
    for (int i = 0; i < r->nparts; i++) {
        const np_part *p = &r->part[i];
        np_fact arg[3];
        fact[i] = np_causal_same(p->n);
        if (i == c)
            fact[i] = np_causal_num(v);
        else if (p->kind == NP_PART_EXP && np_causal_is(&fact[p->arg[0]], -INFINITY))
            fact[i] = np_causal_num(0);
        else if (p->kind == NP_PART_NODE && p->n->op == NP_CONST)
            fact[i] = np_causal_num(p->n->num);
        else if (p->kind == NP_PART_NODE && np_is_elem(p->n)) {
            for (int k = 0; k < p->n->nargs; k++) arg[k] = fact[p->arg[k]];
            fact[i] = np_causal_elem(p->n, arg);
        } else if (p->kind == NP_PART_NODE)
            fact[i] = fact[p->arg[0]];
    }
    for (int i = 0; i < r->nroots; i++) {
        bool largest = r->root[i].n->op == NP_REDUCE && r->root[i].n->sym[0] == 'm';
        if (!np_causal_is(&fact[r->root[i].part], largest ? -INFINITY : 0)) return false;
    }
    return true;
}
void np_online_masks(const np_region *r, np_mask *m)
{
    m->n = 0;
    for (int i = 0; i < r->nparts && m->n < (int)NP_LEN(m->part); i++) {
        const np_part *p = &r->part[i];
        if (p->kind != NP_PART_NODE || p->n->op != NP_SELECT) continue;
        int c = p->arg[0];
        bool again = false;
        for (int k = 0; k < m->n; k++) again |= m->part[k] == c;
        for (int v = 0; v < 2 && !again; v++)
            if (switches_off(r, c, v)) {
                m->part[m->n] = c;
                m->off[m->n++] = v;
                again = true;
            }
    }
}

/* ---- scalars; NULL: unknown */
static np_node *op2(np_place *at, np_op op, np_node *x, np_node *y)
{
    return x && y ? np_build_2(at->b, op, x, y) : NULL;
}
static np_node *number(np_place *at, const np_type *like, double v)
{
    return np_build_num(at->b, np_type_scalar(at->b->cx, like->dtype), v);
}
/* Both, or the one that is known. */
static np_node *either(np_place *at, np_node *x, np_node *y)
{
    return x && y ? np_build_2(at->b, NP_OR, x, y) : x ? x : y;
}
static np_node *both(np_place *at, np_node *x, np_node *y)
{
    return op2(at, NP_AND, x, y);
}

/* ---- integers */
typedef struct span {
    np_node *lo, *hi; /* of the part's type */
} span;
static span of_elements(np_place *at, np_node *x)
{
    span s = {x, x};
    while (s.lo->type->rank) s.lo = np_build_reduce(at->b, s.lo, "min", s.lo->type->rank - 1);
    while (s.hi->type->rank) s.hi = np_build_reduce(at->b, s.hi, "max", s.hi->type->rank - 1);
    return s;
}
static span of_int(np_place *at, int part);
static span of_positions(np_place *at, const np_part *p)
{
    return (span){at->first[p->id[0]], at->last[p->id[0]]};
}
/* lo and hi of an op that falls or grows in both operands: the extremes are at corners. */
static span corners(np_place *at, np_op op, span x, span y)
{
    np_node *c[4] = {op2(at, op, x.lo, y.lo), op2(at, op, x.lo, y.hi), op2(at, op, x.hi, y.lo),
                     op2(at, op, x.hi, y.hi)};
    span s = {c[0], c[0]};
    for (int i = 1; i < 4; i++) s.lo = op2(at, NP_MIN, s.lo, c[i]), s.hi = op2(at, NP_MAX, s.hi, c[i]);
    return s;
}
static bool by_positive(const np_region *r, int part)
{
    const np_node *n = r->part[part].n;
    return n->op == NP_CONST && !n->data && n->num >= 1;
}
/* Of one period: as the numbers themselves; else anything below the divisor. */
static span remainder_of(np_place *at, span x, span k)
{
    np_node *inside = op2(at, NP_EQ, op2(at, NP_IDIV, x.lo, k.lo), op2(at, NP_IDIV, x.hi, k.lo));
    np_node *zero = number(at, x.lo->type, 0), *most = op2(at, NP_SUB, k.lo, number(at, x.lo->type, 1));
    return (span){np_build_3(at->b, NP_SELECT, inside, op2(at, NP_MOD, x.lo, k.lo), zero),
                  np_build_3(at->b, NP_SELECT, inside, op2(at, NP_MOD, x.hi, k.lo), most)};
}
static span of_node(np_place *at, const np_part *p, int part)
{
    const np_node *n = p->n;
    span x = {0}, y = {0};
    if (n->op == NP_CONST) return (span){number(at, n->type, n->num), number(at, n->type, n->num)};
    if (n->op == NP_EXPAND || n->op == NP_PERMUTE) return of_int(at, p->arg[0]);
    bool ints = true;
    for (int i = 0; i < n->nargs; i++) ints &= np_dtype_class(n->arg[i]->type->dtype) == 'I';
    if (!ints) return of_elements(at, at->tile(at, part));
    x = of_int(at, p->arg[0]);
    if (n->nargs > 1) y = of_int(at, p->arg[1]);
    switch (n->op) {
    case NP_CAST:
        return (span){np_build_cast(at->b, x.lo, n->type->dtype), np_build_cast(at->b, x.hi, n->type->dtype)};
    case NP_NEG: return (span){np_build_1(at->b, NP_NEG, x.hi), np_build_1(at->b, NP_NEG, x.lo)};
    case NP_ADD:
    case NP_MIN:
    case NP_MAX: return (span){op2(at, n->op, x.lo, y.lo), op2(at, n->op, x.hi, y.hi)};
    case NP_SUB: return (span){op2(at, NP_SUB, x.lo, y.hi), op2(at, NP_SUB, x.hi, y.lo)};
    case NP_MUL: return corners(at, NP_MUL, x, y);
    case NP_IDIV:
        if (by_positive(at->r, p->arg[1]))
            return (span){op2(at, NP_IDIV, x.lo, y.lo), op2(at, NP_IDIV, x.hi, y.lo)};
        break;
    case NP_MOD:
        if (by_positive(at->r, p->arg[1])) return remainder_of(at, x, y);
        break;
    default: break;
    }
    return of_elements(at, at->tile(at, part));
}
static span of_int(np_place *at, int part)
{
    const np_part *p = &at->r->part[part];
    if (p->kind == NP_PART_LEAF && p->n->op == NP_IOTA) return of_positions(at, p);
    if (p->kind == NP_PART_NODE) return of_node(at, p, part);
    return of_elements(at, at->tile(at, part));
}

/* ---- conditions */
typedef struct sure {
    np_node *yes, *no; /* everywhere, nowhere */
} sure;
static sure of_bool(np_place *at, int part);
static sure of_bool_elements(np_place *at, int part)
{
    np_node *x = np_build_cast(at->b, at->tile(at, part), NP_I32);
    span s = of_elements(at, x);
    np_node *zero = number(at, x->type, 0);
    return (sure){op2(at, NP_LT, zero, s.lo), op2(at, NP_LE, s.hi, zero)};
}
static sure of_compare(np_place *at, np_op op, span x, span y)
{
    switch (op) {
    case NP_LT: return (sure){op2(at, NP_LT, x.hi, y.lo), op2(at, NP_LE, y.hi, x.lo)};
    case NP_LE: return (sure){op2(at, NP_LE, x.hi, y.lo), op2(at, NP_LT, y.hi, x.lo)};
    default: {
        np_node *one = both(at, op2(at, NP_EQ, x.lo, x.hi), op2(at, NP_EQ, y.lo, y.hi));
        sure s = {both(at, one, op2(at, NP_EQ, x.lo, y.lo)),
                  either(at, op2(at, NP_LT, x.hi, y.lo), op2(at, NP_LT, y.hi, x.lo))};
        return op == NP_EQ ? s : (sure){s.no, s.yes};
    }
    }
}
static sure of_bool(np_place *at, int part)
{
    const np_part *p = &at->r->part[part];
    const np_node *n = p->n;
    sure x, y;
    if (p->kind != NP_PART_NODE) return of_bool_elements(at, part);
    switch (n->op) {
    case NP_EXPAND:
    case NP_PERMUTE: return of_bool(at, p->arg[0]);
    case NP_NOT: x = of_bool(at, p->arg[0]); return (sure){x.no, x.yes};
    case NP_AND:
    case NP_OR:
        x = of_bool(at, p->arg[0]), y = of_bool(at, p->arg[1]);
        if (n->op == NP_AND) return (sure){both(at, x.yes, y.yes), either(at, x.no, y.no)};
        return (sure){either(at, x.yes, y.yes), both(at, x.no, y.no)};
    case NP_LT:
    case NP_LE:
    case NP_EQ:
    case NP_NE:
        if (np_dtype_class(n->arg[0]->type->dtype) != 'I') break;
        return of_compare(at, n->op, of_int(at, p->arg[0]), of_int(at, p->arg[1]));
    default: break;
    }
    return of_bool_elements(at, part);
}
np_node *np_online_dead(np_place *at, const np_mask *m)
{
    np_node *dead = NULL;
    for (int i = 0; i < m->n; i++) {
        sure s = of_bool(at, m->part[i]);
        dead = either(at, dead, m->off[i] ? s.yes : s.no);
    }
    return dead;
}
np_node *np_online_open(np_place *at, const np_mask *m)
{
    np_node *open = NULL;
    for (int i = 0; i < m->n; i++) {
        sure s = of_bool(at, m->part[i]);
        np_node *on = m->off[i] ? s.no : s.yes;
        open = i ? both(at, open, on) : on;
    }
    return open;
}
