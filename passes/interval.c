/* Interval analysis of expressions: bounds that hold for every input. Operations
 * that only move values have the bounds of what they move; sums and what is
 * read from memory have none; exp, sigmoid and their kind have those of their
 * ranges, narrowed by the bounds of their operand. The bounds are those of exact
 * arithmetic: rounding moves a value by less than whoever asks should care for. */
#include "interval.h"

#include <math.h>

enum { DEPTH = 64 };
static const np_interval any = {-INFINITY, INFINITY};

static np_interval of(const np_node *n, int depth);
static np_interval both(np_interval x, np_interval y)
{
    return (np_interval){fmin(x.lo, y.lo), fmax(x.hi, y.hi)};
}
/* 0 times an infinity is 0 here: the infinity is only a bound. */
static double times(double x, double y)
{
    return x == 0 || y == 0 ? 0 : x * y;
}
static np_interval product(np_interval x, np_interval y)
{
    double a = times(x.lo, y.lo), b = times(x.lo, y.hi), c = times(x.hi, y.lo), d = times(x.hi, y.hi);
    return (np_interval){fmin(fmin(a, b), fmin(c, d)), fmax(fmax(a, b), fmax(c, d))};
}
static np_interval reciprocal(np_interval x)
{
    if (x.lo <= 0 && x.hi >= 0) return any;
    return (np_interval){1 / x.hi, 1 / x.lo};
}
static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}
static np_interval rising(np_interval x, double (*f)(double))
{
    return (np_interval){f(x.lo), f(x.hi)};
}
static np_interval size(np_interval x)
{
    double lo = x.lo <= 0 && x.hi >= 0 ? 0 : fmin(fabs(x.lo), fabs(x.hi));
    return (np_interval){lo, fmax(fabs(x.lo), fabs(x.hi))};
}
static np_interval power(np_interval x, const np_node *by)
{
    if (by->op != NP_CONST || by->data) return x.lo >= 0 ? (np_interval){0, INFINITY} : any;
    double p = by->num;
    if (fmod(p, 2) == 0) x = size(x);
    if (x.lo < 0) return any;
    double a = pow(x.lo, p), b = pow(x.hi, p);
    return (np_interval){fmin(a, b), fmax(a, b)};
}
static np_interval numbers(const np_node *n)
{
    np_interval r = {n->num, n->num};
    int64_t count = 1, k;
    for (int i = 0; n->data && i < n->type->rank; i++) count *= np_dim_int(n->type->dim[i], &k) ? k : 0;
    for (int64_t i = 0; n->data && i < count; i++) {
        np_interval x = {n->data[i], n->data[i]};
        r = i ? both(r, x) : x;
    }
    return r;
}
static np_interval bounds(const np_node *n, int depth)
{
    if (depth > DEPTH || n->type->tuple || np_dtype_class(n->type->dtype) != 'F') return any;
    np_interval x = any, y = any;
    bool elem = np_is_elem(n), select = n->op == NP_SELECT;
    if (n->nargs > select && (elem || n->nargs == 1)) x = of(n->arg[select], depth + 1);
    if (n->nargs > 1 + select && elem) y = of(n->arg[1 + select], depth + 1);
    switch (n->op) {
    case NP_CONST: return numbers(n);
    case NP_EXPAND:
    case NP_PERMUTE:
    case NP_SPLIT:
    case NP_MERGE:
    case NP_SLICE:
    case NP_AT:
    case NP_CAST: return x;
    case NP_GATHER: return of(n->arg[0], depth + 1);
    case NP_PAD: return both(x, (np_interval){n->num, n->num});
    case NP_NEG: return (np_interval){-x.hi, -x.lo};
    case NP_ABS: return size(x);
    case NP_EXP: return rising(x, exp);
    case NP_LOG: return x.lo >= 0 ? rising(x, log) : any;
    case NP_SIGMOID: return rising(x, sigmoid);
    case NP_SOFTPLUS: return rising(x, softplus);
    case NP_TANH: return rising(x, tanh);
    case NP_ERF: return rising(x, erf);
    case NP_SIN:
    case NP_COS: return (np_interval){-1, 1};
    case NP_SQRT: return x.lo >= 0 ? rising(x, sqrt) : (np_interval){0, INFINITY};
    case NP_RECIP: return reciprocal(x);
    case NP_ADD: return (np_interval){x.lo + y.lo, x.hi + y.hi};
    case NP_SUB: return (np_interval){x.lo - y.hi, x.hi - y.lo};
    case NP_MUL: return n->arg[0] == n->arg[1] ? product(size(x), size(x)) : product(x, y);
    case NP_DIV: return product(x, reciprocal(y));
    case NP_POW: return power(x, n->arg[1]);
    case NP_MIN: return (np_interval){fmin(x.lo, y.lo), fmin(x.hi, y.hi)};
    case NP_MAX: return (np_interval){fmax(x.lo, y.lo), fmax(x.hi, y.hi)};
    case NP_SELECT: return both(x, y);
    default: return any;
    }
}
static np_interval of(const np_node *n, int depth)
{
    np_interval r = bounds(n, depth);
    if (isnan(r.lo)) r.lo = -INFINITY; /* inf - inf, inf / inf */
    if (isnan(r.hi)) r.hi = INFINITY;
    return r;
}
np_interval np_interval_of(const np_node *n)
{
    return of(n, 0);
}
