/* Facts about later positions: what the elements of a value are where their
 * position along the axis of all positions comes after the position t that they
 * serve. Masks are predicates of positions, so they are known there for certain,
 * and what they mask is the constant that they put in its place; from there the
 * constant is followed through the arithmetic (exp(-inf - m) is 0, 0 * x is 0)
 * to the sum that must not see it.
 *
 * Positions are lines j * position + t * t + lo..hi; with position = t + s and
 * s >= 1 a comparison is decided where the difference keeps its sign.
 *
 * Two things are taken for granted: a value that is not known to be infinite is
 * finite, and integers that count positions do not overflow. */
#include "stream.h"

#include <math.h>

np_fact np_causal_same(const np_node *n)
{
    return (np_fact){.kind = NP_FACT_SAME, .of = n};
}
np_fact np_causal_num(double v)
{
    return (np_fact){.kind = NP_FACT_NUM, .lo = v, .hi = v};
}
bool np_causal_is(const np_fact *f, double v)
{
    return f->kind == NP_FACT_NUM && f->lo == v;
}
bool np_causal_equal(const np_fact *a, const np_fact *b)
{
    if (a->kind != b->kind) return false;
    if (a->kind == NP_FACT_SAME) return a->of == b->of;
    bool exact =
        a->lo == a->hi && b->lo == b->hi; /* of a line with room in it two values need not be equal */
    return exact && a->j == b->j && a->t == b->t && a->lo == b->lo;
}

/* ---- lines */
static np_fact line(double j, double t, double lo, double hi)
{
    if (j == 0 && t == 0 && lo == hi) return np_causal_num(lo);
    return (np_fact){.kind = NP_FACT_LINE, .j = j, .t = t, .lo = lo, .hi = hi};
}
/* Numbers are lines, too. */
static bool is_line(const np_node *n, const np_fact *f)
{
    return np_dtype_class(n->type->dtype) == 'I' && f->kind != NP_FACT_SAME;
}
static np_fact scaled(const np_fact *f, double k)
{
    return line(k * f->j, k * f->t, k < 0 ? k * f->hi : k * f->lo, k < 0 ? k * f->lo : k * f->hi);
}
static np_fact sum(const np_fact *a, const np_fact *b)
{
    return line(a->j + b->j, a->t + b->t, a->lo + b->lo, a->hi + b->hi);
}
static void bounds(const np_fact *f, double *lo, double *hi)
{
    const double near = 1e-6; /* quotients are kept as fractions */
    double slope = f->j + f->t; /* of t >= 0; s >= 1 has the slope j */
    if (fabs(slope) < near * 1e-3) slope = 0;
    *lo = slope < 0 || f->j < 0 ? -INFINITY : f->j + f->lo;
    *hi = slope > 0 || f->j > 0 ? INFINITY : f->j + f->hi;
    *lo = ceil(*lo - near), *hi = floor(*hi + near);
}
static bool floor_of(const np_fact *f, const np_fact *by, np_op op, np_fact *out)
{
    double k = by->lo;
    if (by->kind != NP_FACT_NUM || k < 1) return false;
    *out = op == NP_MOD ? line(0, 0, 0, k - 1) : line(f->j / k, f->t / k, f->lo / k - (k - 1) / k, f->hi / k);
    return true;
}
/* Operations on integers of which both are lines. */
static bool on_lines(np_op op, const np_fact *a, const np_fact *b, np_fact *out)
{
    np_fact minus = scaled(b, -1), far = sum(a, &minus);
    double lo, hi;
    bounds(&far, &lo, &hi); /* of a - b */
    switch (op) {
    case NP_ADD: *out = sum(a, b); return true;
    case NP_SUB: *out = far; return true;
    case NP_MUL:
        if (a->kind != NP_FACT_NUM && b->kind != NP_FACT_NUM) return false;
        *out = a->kind == NP_FACT_NUM ? scaled(b, a->lo) : scaled(a, b->lo);
        return true;
    case NP_IDIV:
    case NP_MOD: return floor_of(a, b, op, out);
    case NP_MIN:
    case NP_MAX:
        if (lo < 0 && hi > 0) return false;
        *out = (lo >= 0) == (op == NP_MAX) ? *a : *b;
        return true;
    case NP_LT:
    case NP_LE: {
        double least = op == NP_LT ? 0 : 1; /* false from there on */
        if (lo < least && hi >= least) return false;
        *out = np_causal_num(hi < least);
        return true;
    }
    case NP_EQ:
    case NP_NE:
        if ((lo > 0 || hi < 0)) {
            *out = np_causal_num(op == NP_NE);
            return true;
        }
        return false;
    default: return false;
    }
}

/* ---- one operand is a number that settles it */
static bool settled(np_op op, const np_fact *f, const np_fact *x, bool first, np_fact *out)
{
    double v = f->lo;
    if (f->kind != NP_FACT_NUM) return false;
    switch (op) {
    case NP_ADD:
    case NP_SUB:
        if (v == 0 && (op == NP_ADD || !first))
            *out = *x;
        else if (isinf(v))
            *out = np_causal_num(op == NP_SUB && !first ? -v : v);
        else
            return false;
        return true;
    case NP_MUL:
        if (v != 0 && v != 1) return false;
        *out = v == 0 ? np_causal_num(0) : *x;
        return true;
    case NP_DIV:
        if (first && v == 0)
            *out = np_causal_num(0);
        else if (!first && v == 1)
            *out = *x;
        else if (!first && isinf(v))
            *out = np_causal_num(0);
        else
            return false;
        return true;
    case NP_MIN:
    case NP_MAX:
        if (!isinf(v)) return false;
        *out = (v > 0) == (op == NP_MIN) ? *x : *f;
        return true;
    case NP_AND:
    case NP_OR: /* of bools: an integer is not settled by 1 */
        if (v != 0 && v != 1) return false;
        *out = (v == 0) == (op == NP_AND) ? *f : *x;
        return true;
    default: return false;
    }
}
np_fact np_causal_elem(const np_node *n, const np_fact *arg)
{
    np_op op = n->op;
    np_fact out;
    double v[3];
    int known = 0;
    bool integers = op == NP_AND || op == NP_OR ? n->type->dtype != NP_BOOL : false;
    while (known < n->nargs && arg[known].kind == NP_FACT_NUM) {
        v[known] = arg[known].lo;
        known++;
    }
    if (known == n->nargs) {
        np_dtype d = op == NP_CAST || op == NP_SELECT ? n->type->dtype : n->arg[0]->type->dtype;
        double r = np_round_const(n->type->dtype, np_fold_number(op, d, v));
        return isnan(r) ? np_causal_same(n) : np_causal_num(r);
    }
    if (op == NP_SELECT) {
        if (arg[0].kind == NP_FACT_NUM) return arg[arg[0].lo != 0 ? 1 : 2];
        return np_causal_equal(&arg[1], &arg[2]) ? arg[1] : np_causal_same(n);
    }
    if (op == NP_CAST) {
        np_dtype to = n->type->dtype;
        return is_line(n->arg[0], &arg[0]) && (to == NP_I32 || to == NP_I64) ? arg[0] : np_causal_same(n);
    }
    if (op == NP_NEG && is_line(n->arg[0], &arg[0])) return scaled(&arg[0], -1);
    if (n->nargs != 2) return np_causal_same(n);
    if (is_line(n->arg[0], &arg[0]) && is_line(n->arg[1], &arg[1]) && on_lines(op, &arg[0], &arg[1], &out))
        return out;
    if (!integers &&
        (settled(op, &arg[0], &arg[1], true, &out) || settled(op, &arg[1], &arg[0], false, &out)))
        return out;
    if (op == NP_SUB && arg[0].kind == NP_FACT_SAME && np_causal_equal(&arg[0], &arg[1]))
        return np_causal_num(0);
    return np_causal_same(n);
}

bool np_causal_past(const np_fact *f)
{
    if (f->kind == NP_FACT_SAME || f->j != 0) return false;
    np_fact rest = line(0, f->t - 1, f->lo, f->hi);
    double lo, hi;
    bounds(&rest, &lo, &hi);
    return hi <= 0;
}
