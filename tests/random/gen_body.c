/* Ops with bodies, and calls. The values of a body are forgotten where it ends;
 * inside, those of the enclosing blocks may be used. */
#include "gen.h"

#include <math.h>

enum { DEEP = 2 };

/* The results of n, of which result i lies between lo[i] and hi[i]. */
static void results(rn_gen *g, np_node *n, const double *lo, const double *hi)
{
    for (int i = 0; i < np_result_count(n); i++) rn_push(g, np_build_result(g->b, n, i), lo[i], hi[i]);
}
static int shuffled(rn_gen *g, np_node **x, double *lo, double *hi, int n)
{
    for (int i = n - 1; i > 0; i--) {
        int k = rn_pick(g->d, i + 1);
        np_node *was = x[i];
        double l = lo[i], h = hi[i];
        x[i] = x[k], lo[i] = lo[k], hi[i] = hi[k];
        x[k] = was, lo[k] = l, hi[k] = h;
    }
    return n;
}

/* A sequence over n steps: one that is there, or a new one. */
static rn_val sequence(rn_gen *g, const np_dim *n)
{
    for (int tries = 0; tries < 6; tries++) {
        rn_val x = rn_any(g, "BIF", 1);
        if (x.n->type->dim[0] == n) return x;
    }
    const np_dim *dim[2] = {n, rn_dim(g)};
    const np_type *t = np_type_tensor(g->cx, rn_dtype(g), 1 + rn_pick(g->d, 2), dim);
    return rn_of_type(g, rn_fits(g, t) ? t : np_type_tensor(g->cx, t->dtype, 1, dim));
}
/* A state that depends on no position. */
static rn_val start(rn_gen *g)
{
    const np_dim *dim[2] = {rn_int(g, 1 + rn_pick(g->d, 4)), rn_int(g, 1 + rn_pick(g->d, 4))};
    const np_type *t = np_type_tensor(g->cx, NP_F32, rn_pick(g->d, 3), dim);
    return rn_push(g, np_build_num(g->b, t, rn_pick(g->d, 3) * 0.5), 0, 1);
}
bool rn_scan(rn_gen *g)
{
    np_node *arg[8], *yield[8];
    const np_type *state[4];
    double lo[8], hi[8];
    int seq = rn_pick(g->d, 4), nstates = rn_pick(g->d, 4), nouts = 0;
    if (g->depth == DEEP || g->left < 8 || (g->o->main_form && g->depth > 0 && rn_chance(g->d, 90)))
        return false;
    const np_dim *n = !g->in_time && rn_chance(g->d, 60) ? g->T : rn_dim(g);
    for (int i = 0; i < seq; i++) {
        rn_val x = sequence(g, n);
        arg[i] = x.n, lo[i] = x.lo, hi[i] = x.hi;
    }
    shuffled(g, arg, lo, hi, seq);
    for (int i = 0; i < nstates; i++) {
        rn_val x = rn_timed(g, n) ? start(g) : rn_any(g, rn_chance(g->d, 80) ? "F" : "BIF", 0);
        char c = np_dtype_class(x.n->type->dtype);
        arg[seq + i] = rn_state(g, x).n;
        state[i] = x.n->type;
        lo[seq + i] = c == 'F' ? -4 : 0, hi[seq + i] = c == 'F' ? 4 : c == 'I' ? 7 : 1;
    }
    np_extra e = {.attr = {rn_int(g, seq), n, rn_int(g, !rn_timed(g, n) && rn_chance(g->d, 25))}};
    np_node *s = np_build_open(g->b, NP_SCAN, seq + nstates, arg, &e);
    int outside = g->nvals;
    bool was = g->in_time;
    g->in_time |= g->o->main_form && n == g->T;
    g->depth++;
    for (int i = 0; i < seq + nstates; i++) rn_push(g, s->body[0]->param[i], lo[i], hi[i]);
    int params = g->nvals;
    rn_statements(g, 1 + rn_pick(g->d, 6));
    for (int i = nstates ? rn_pick(g->d, 3) : 1 + rn_pick(g->d, 2); i > 0; i--) {
        rn_val y = rn_recent(g, params);
        if (!rn_fits(g, np_type_insert(g->cx, y.n->type, 0, n))) continue;
        lo[nouts] = y.lo, hi[nouts] = y.hi;
        yield[nouts++] = y.n;
    }
    if (nouts + nstates == 0) { /* something must come out */
        rn_val y = rn_of_type(g, np_type_scalar(g->cx, NP_F32));
        lo[0] = y.lo, hi[0] = y.hi;
        yield[nouts++] = y.n;
    }
    for (int i = 0; i < nstates; i++) {
        char c = np_dtype_class(state[i]->dtype);
        yield[nouts + i] = rn_state(g, rn_of_type(g, state[i])).n;
        lo[nouts + i] = c == 'F' ? -4 : 0, hi[nouts + i] = c == 'F' ? 4 : c == 'I' ? 7 : 1;
    }
    g->nvals = outside;
    g->depth--;
    g->in_time = was;
    s = np_build_close(g->b, s, nouts + nstates, yield);
    results(g, s, lo, hi);
    return true;
}

bool rn_cond(rn_gen *g)
{
    np_node *yield[3];
    const np_type *type[3];
    double lo[3], hi[3];
    int n = 1 + rn_pick(g->d, 3);
    if (g->depth == DEEP || g->left < 8) return false;
    rn_val c = rn_of_type(g, np_type_scalar(g->cx, NP_BOOL));
    np_node *s = np_build_open(g->b, NP_COND, 1, &c.n, NULL);
    int outside = g->nvals;
    g->depth++;
    rn_statements(g, 1 + rn_pick(g->d, 4));
    for (int i = 0; i < n; i++) {
        rn_val y = rn_recent(g, outside);
        yield[i] = y.n, type[i] = y.n->type, lo[i] = y.lo, hi[i] = y.hi;
    }
    np_build_else(g->b, s, n, yield);
    g->nvals = outside;
    rn_statements(g, rn_pick(g->d, 4));
    for (int i = 0; i < n; i++) {
        rn_val y = rn_of_type(g, type[i]);
        yield[i] = y.n, lo[i] = fmin(lo[i], y.lo), hi[i] = fmax(hi[i], y.hi);
    }
    g->nvals = outside;
    g->depth--;
    s = np_build_close(g->b, s, n, yield);
    results(g, s, lo, hi);
    return true;
}

bool rn_call(rn_gen *g)
{
    np_node *arg[4];
    if (!g->ncallees) return false;
    np_fn *f = g->callee[rn_pick(g->d, g->ncallees)];
    for (int i = 0; i < f->ninputs; i++) arg[i] = rn_state(g, rn_of_type(g, f->top.param[i]->type)).n;
    np_node *n = np_build_op(g->b, NP_CALL, f->ninputs, arg, &(np_extra){.sym = f->name});
    for (int i = 0; i < np_result_count(n); i++) { /* what a function gives may lie anywhere: bring it back */
        np_node *y = np_build_result(g->b, n, i);
        char c = np_dtype_class(y->type->dtype);
        rn_val x = {y, c == 'B' ? 0 : -1e6, c == 'B' ? 1 : 1e6, false};
        x = rn_state(g, x);
        if (x.n == y) rn_push(g, y, x.lo, x.hi);
    }
    return true;
}
/* Groups are made by `fuse`, and there may be none before it. */
bool rn_group(rn_gen *g)
{
    (void)g;
    return false;
}
