/* Predicates of positions. An integer that is a*t + b*j + c for certain is a line;
 * a comparison of two lines with the difference t - j says which positions are seen:
 * all up to t, all before t, or all of earlier groups of positions. A predicate of one position is a gate: a factor that
 * is true or false. Both hold at once, so `and` is taken apart, and `or` under `not`.
 *
 * Anything else (same group, sliding windows) hides earlier positions from later
 * ones again, which no state of constant size can forget: refused. */
#include "reassoc.h"

typedef struct line {
    double t, j, c;
    int64_t by; /* .. divided by that and rounded down, or 0 */
} line;

/* at: letters of n's axes */
static bool find(const np_product *p, np_node *n, const char *whose, line *l)
{
    char at[NP_RANK + 1];
    line a, b;
    n = np_factor_strip(n, whose, at);
    switch (n->op) {
    case NP_CONST: *l = (line){.c = n->num}; return !n->data;
    case NP_IOTA: *l = (line){.t = at[0] == p->t, .j = at[0] == p->j}; return l->t + l->j == 1;
    case NP_SIZE: /* as written nothing came before */ *l = (line){0}; return n->attr[0] == p->N;
    case NP_CAST:
        return np_dtype_class(n->arg[0]->type->dtype) == 'I' && n->type->dtype != NP_BOOL &&
               np_dtype_size(n->type->dtype) >= 4 && find(p, n->arg[0], at, l);
    case NP_NEG:
        if (!find(p, n->arg[0], at, &a) || a.by) return false;
        *l = (line){.t = -a.t, .j = -a.j, .c = -a.c};
        return true;
    case NP_ADD:
    case NP_SUB: {
        double s = n->op == NP_ADD ? 1 : -1;
        if (!find(p, n->arg[0], at, &a) || !find(p, n->arg[1], at, &b) || a.by || b.by) return false;
        *l = (line){.t = a.t + s * b.t, .j = a.j + s * b.j, .c = a.c + s * b.c};
        return true;
    }
    case NP_IDIV:
        if (n->arg[1]->op != NP_CONST || n->arg[1]->data || n->arg[1]->num < 1) return false;
        if (!find(p, n->arg[0], at, &a) || a.by) return false;
        *l = a;
        l->by = (int64_t)n->arg[1]->num;
        return true;
    default: return false;
    }
}
/* x < y or x <= y, of lines */
static bool compared(np_product *p, const np_node *n, const char *at, bool neg)
{
    line x, y;
    bool strict = (n->op == NP_LT) != neg; /* not x < y is y <= x */
    if (!find(p, n->arg[neg], at, &x) || !find(p, n->arg[!neg], at, &y)) return false;
    if (x.by || y.by) { /* of groups: j / g < t / g, of positions themselves */
        bool earlier =
            strict && x.by == y.by && x.j == 1 && x.t == 0 && x.c == 0 && y.t == 1 && y.j == 0 && y.c == 0;
        if (!earlier || (p->group && p->group != x.by)) return false;
        p->group = x.by;
        p->causal = p->strict = true;
        return true;
    }
    double behind = y.c - x.c - strict; /* j <= t + behind, of integers */
    if (y.t - x.t != 1 || y.j - x.j != -1 || (behind != 0 && behind != -1)) return false;
    p->causal = true;
    p->strict |= behind == -1;
    return true;
}
static bool gate(np_product *p, np_node *n, const char *at, bool neg)
{
    if (p->ngates == NP_FACTORS) return np_product_refuse(p, n->loc, "it has too many masks");
    if (neg) n = np_build_1(p->b, NP_NOT, n);
    p->gate[p->ngates++] = np_factor_of(n, at);
    return true;
}
bool np_product_mask(np_product *p, np_node *n, const char *whose, bool neg)
{
    char at[NP_RANK + 1];
    n = np_factor_strip(n, whose, at);
    switch (n->op) {
    case NP_NOT: return np_product_mask(p, n->arg[0], at, !neg);
    case NP_AND:
    case NP_OR:
        if ((n->op == NP_OR) != neg) break;
        return np_product_mask(p, n->arg[0], at, neg) && np_product_mask(p, n->arg[1], at, neg);
    case NP_LT:
    case NP_LE:
        if (compared(p, n, at, neg)) return true;
        break;
    default: break;
    }
    if (np_product_sides(p, at) != 3) return gate(p, n, at, neg);
    return np_product_refuse(p, n->loc,
                             "its mask is more than j <= t, which no state of constant size serves");
}
