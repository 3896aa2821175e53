/* What values an integer can have, from constants, sizes, counters of loops and
 * what is computed from them. The C backend writes plain operators where they
 * provably stay inside the type, and helpers that wrap elsewhere. Bounds are
 * doubles: beyond 2^53 they are taken to be unknown. */
#include "c.h"

#include <math.h>

typedef struct finder {
    np_crange *r;
} finder;

static np_crange anything(np_dtype d)
{
    switch (d) {
    case NP_BOOL: return (np_crange){0, 1};
    case NP_I8: return (np_crange){-128, 127};
    case NP_U8: return (np_crange){0, 255};
    case NP_I32: return (np_crange){-0x1p31, 0x1p31 - 1};
    default: return (np_crange){-INFINITY, INFINITY};
    }
}
bool np_crange_fits(np_crange r, np_dtype d)
{
    np_crange all = anything(d);
    return r.lo >= all.lo && r.hi <= all.hi && fabs(r.lo) <= 0x1p53 && fabs(r.hi) <= 0x1p53;
}
static np_crange hull4(double a, double b, double c, double d)
{
    return (np_crange){fmin(fmin(a, b), fmin(c, d)), fmax(fmax(a, b), fmax(c, d))};
}
static np_crange of_dim(const np_dim *d)
{
    int64_t lo, hi;
    np_dim_range(d, &lo, &hi);
    return (np_crange){(double)lo, (double)hi};
}
static np_crange compute(const finder *f, const np_node *n)
{
    np_crange a = n->nargs > 0 ? f->r[n->arg[0]->id] : (np_crange){0, 0},
              b = n->nargs > 1 ? f->r[n->arg[1]->id] : a;
    switch (n->op) {
    case NP_CONST: return (np_crange){n->num, n->num};
    case NP_SIZE: return of_dim(n->attr[0]);
    case NP_CAST:
        if (np_dtype_class(n->arg[0]->type->dtype) == 'F' || n->type->dtype == NP_BOOL)
            return anything(n->type->dtype);
        return a;
    case NP_NEG: return (np_crange){-a.hi, -a.lo};
    case NP_ABS: return a.lo >= 0 ? a : (np_crange){0, fmax(-a.lo, a.hi)};
    case NP_ADD: return (np_crange){a.lo + b.lo, a.hi + b.hi};
    case NP_SUB: return (np_crange){a.lo - b.hi, a.hi - b.lo};
    case NP_MUL:
        if (!isfinite(a.lo + a.hi + b.lo + b.hi)) return anything(NP_I64);
        return hull4(a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi);
    case NP_MIN: return (np_crange){fmin(a.lo, b.lo), fmin(a.hi, b.hi)};
    case NP_MAX: return (np_crange){fmax(a.lo, b.lo), fmax(a.hi, b.hi)};
    case NP_MOD:
        return b.lo >= 1 && b.hi < INFINITY ? (np_crange){0, a.lo >= 0 ? fmin(a.hi, b.hi - 1) : b.hi - 1}
                                            : anything(n->type->dtype);
    case NP_IDIV:
        return a.lo >= 0 && b.lo >= 1 ? (np_crange){floor(a.lo / b.hi), floor(a.hi / b.lo)}
                                      : anything(n->type->dtype);
    case NP_SELECT: {
        np_crange c = f->r[n->arg[2]->id];
        return (np_crange){fmin(b.lo, c.lo), fmax(b.hi, c.hi)};
    }
    default: return anything(n->type->dtype);
    }
}
/* What leaves the type wraps: then it can be anything. A NaN bound is no bound. */
static np_crange of_node(const finder *f, const np_node *n)
{
    if (n->type->tuple || n->type->rank != 0 || np_dtype_class(n->type->dtype) == 'F')
        return anything(NP_I64);
    np_crange r = compute(f, n);
    return np_crange_fits(r, n->type->dtype) ? r : anything(n->type->dtype);
}
static void walk(finder *f, const np_block *b)
{
    for (int i = 0; i < b->nparams; i++) f->r[b->param[i]->id] = of_node(f, b->param[i]);
    const np_node *owner = b->owner;
    if (owner && owner->op == NP_LOOP) {
        np_crange n = of_dim(owner->attr[0]), from = of_dim(owner->attr[1]);
        np_crange i = {from.lo, fmax(from.lo, n.hi - 1)};
        if (np_crange_fits(i, NP_I64)) f->r[b->param[0]->id] = i;
    }
    for (const np_node *n = b->first; n; n = n->next) {
        f->r[n->id] = of_node(f, n);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) walk(f, n->body[i]);
    }
}
np_crange *np_crange_find(const np_fn *fn, np_arena *mem)
{
    finder f = {np_arena_array(mem, fn->nnodes + 1, sizeof *f.r)};
    walk(&f, &fn->top);
    return f.r;
}
