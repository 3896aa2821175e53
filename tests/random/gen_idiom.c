/* What models are made of, as they write it: norms, softmax, layers, attention
 * with masks, rotations, convolutions. Ops that are chosen one by one seldom meet
 * in these forms, and passes look for them. */
#include "gen.h"

#include <math.h>

static np_node *splat(rn_gen *g, const np_type *t, double v)
{
    return np_build_num(g->b, t, v);
}
static np_node *op2(rn_gen *g, np_op op, np_node *x, np_node *y)
{
    return np_build_2(g->b, op, x, y);
}
/* x reduced along an axis, as large as before. */
static np_node *spread(rn_gen *g, np_node *x, const char *kind, int axis)
{
    return np_build_expand(g->b, np_build_reduce(g->b, x, kind, axis), axis, x->type->dim[axis]);
}
static bool float_with(rn_gen *g, int rank, rn_val *x)
{
    for (int tries = 0; tries < 4; tries++) {
        *x = rn_any(g, "F", rank);
        if (np_dtype_class(x->n->type->dtype) == 'F' && x->n->type->rank >= rank) return true;
    }
    return false;
}
static bool never_empty(const np_dim *d)
{
    int64_t lo, hi;
    np_dim_range(d, &lo, &hi);
    return lo >= 1;
}

static np_node *softmax_of(rn_gen *g, np_node *x, int axis)
{
    np_node *e = np_build_1(g->b, NP_EXP, op2(g, NP_SUB, x, spread(g, x, "max", axis)));
    return op2(g, NP_DIV, e, spread(g, e, "sum", axis));
}
static bool softmax(rn_gen *g)
{
    rn_val x;
    if (!float_with(g, 1, &x)) return false;
    int axis = x.n->type->rank - 1;
    if (!never_empty(x.n->type->dim[axis]) || rn_timed(g, x.n->type->dim[axis])) return false;
    rn_push(g, softmax_of(g, x.n, axis), 0, 1);
    return true;
}
static bool norm(rn_gen *g)
{
    rn_val x;
    if (!float_with(g, 1, &x)) return false;
    int axis = x.n->type->rank - 1;
    const np_type *t = x.n->type, *u = np_type_without(g->cx, t, axis);
    if (rn_timed(g, t->dim[axis])) return false;
    np_node *s = np_build_reduce(g->b, op2(g, NP_MUL, x.n, x.n), "sum", axis);
    np_node *mean = op2(g, NP_ADD, op2(g, NP_MUL, s, splat(g, u, 0.25)), splat(g, u, 0.1));
    np_node *scale = np_build_expand(g->b, np_build_1(g->b, NP_RSQRT, mean), axis, t->dim[axis]);
    np_node *y = op2(g, NP_MUL, x.n, scale);
    if (rn_chance(g->d, 50)) { /* with a weight along the axis */
        rn_val w = rn_of_type(g, np_type_tensor(g->cx, t->dtype, 1, &t->dim[axis]));
        np_node *all = w.n;
        for (int k = axis - 1; k >= 0; k--) all = np_build_expand(g->b, all, 0, t->dim[k]);
        y = op2(g, NP_MUL, y, all);
        rn_push(g, y, -8 * fmax(fabs(w.lo), fabs(w.hi)), 8 * fmax(fabs(w.lo), fabs(w.hi)));
        return true;
    }
    rn_push(g, y, -2, 2); /* x / sqrt(sum / 4) */
    return true;
}
/* A dense layer over the last axis: weight, bias, activation, gate, residual, each or not. */
static bool layer(rn_gen *g)
{
    static const np_op act[] = {NP_TANH, NP_SIGMOID, NP_ERF, NP_SIN};
    rn_val x;
    if (!float_with(g, 1, &x)) return false;
    x = rn_within(g, x, -8, 8);
    const np_type *t = x.n->type;
    int axis = t->rank - 1;
    const np_dim *dim[2] = {t->dim[axis], rn_chance(g->d, 40) ? t->dim[axis] : rn_dim(g)};
    const np_type *wt = np_type_tensor(g->cx, t->dtype, 2, dim), *yt = np_type_set(g->cx, t, axis, dim[1]);
    if (rn_timed(g, t->dim[axis]) || t->rank > 4 || !rn_fits(g, wt) || !rn_fits(g, yt)) return false;
    rn_val w = rn_within(g, rn_of_type(g, wt), -8, 8);
    np_str left = np_str_len(g->cx, "abcd", (size_t)axis);
    np_node *y = np_build_contract(g->b, x.n, w.n, np_str_fmt(g->cx, "%sk,kn->%sn", left, left));
    if (rn_chance(g->d, 50)) {
        rn_val b = rn_of_type(g, np_type_tensor(g->cx, t->dtype, 1, &dim[1]));
        np_node *all = b.n;
        for (int k = axis - 1; k >= 0; k--) all = np_build_expand(g->b, all, 0, t->dim[k]);
        y = op2(g, NP_ADD, y, all);
    }
    y = np_build_1(g->b, act[rn_pick(g->d, NP_LEN(act))], y);
    double most = 1;
    for (int i = 0; i < 2; i++) {
        if (!rn_chance(g->d, 35)) continue;
        rn_val z = rn_within(g, rn_of_type(g, yt), -8, 8);
        y = op2(g, i ? NP_ADD : NP_MUL, y, z.n);
        most = i ? most + 8 : most * 8;
    }
    rn_push(g, y, -most, most);
    return true;
}
/* Scores of positions against all positions, a mask, softmax or none, and a sum of values. */
static np_node *positions(rn_gen *g, bool all, const np_type *t)
{
    const np_dim *J = np_dim_add(g->cx, g->N, g->T);
    if (all) return np_build_expand(g->b, np_build_iota(g->b, J), 0, t->dim[0]);
    np_node *past = np_build_expand(g->b, np_build_size(g->b, g->N), 0, g->T);
    return np_build_expand(g->b, op2(g, NP_ADD, np_build_iota(g->b, g->T), past), 1, J);
}
static np_node *mask(rn_gen *g, const np_type *t)
{
    np_node *j = positions(g, true, t), *i = positions(g, false, t);
    np_node *m = rn_chance(g->d, 90) ? op2(g, NP_LE, j, i) : op2(g, NP_LT, i, j);
    if (rn_chance(g->d, 40)) {
        np_node *far = splat(g, i->type, 1 + rn_pick(g->d, 4));
        m = op2(g, NP_AND, m, op2(g, NP_LT, op2(g, NP_SUB, i, j), far));
    }
    return m;
}
static bool history(rn_gen *g, const np_dim *width, rn_val *out)
{
    const np_dim *J = np_dim_add(g->cx, g->N, g->T), *dim[2] = {J, width};
    const np_type *t = np_type_tensor(g->cx, NP_F32, 2, dim);
    rn_val fit[16];
    int n = 0;
    for (int i = 0; i < g->nvals && n < 16; i++)
        if (g->v[i].n->type == t) fit[n++] = g->v[i];
    if (n && rn_chance(g->d, 70)) {
        *out = fit[rn_pick(g->d, n)];
        return true;
    }
    if (!g->o->main_form || g->depth > 0) return false;
    dim[0] = g->T;
    rn_val x = rn_of_type(g, np_type_tensor(g->cx, NP_F32, 2, dim));
    np_extra e = {.attr = {rn_int(g, 0), g->N}};
    *out = rn_push(g, np_build_op(g->b, NP_APPEND, 1, &x.n, &e), x.lo, x.hi);
    return true;
}
/* What is linear in the scores: a decay with the distance, a constant beside them. */
static np_node *products(rn_gen *g, np_node *s)
{
    np_node *far = op2(g, NP_SUB, positions(g, false, s->type), positions(g, true, s->type));
    far = np_build_cast(g->b, far, NP_F32);
    if (rn_chance(g->d, 40)) s = op2(g, NP_ADD, s, splat(g, s->type, 0.5));
    if (rn_chance(g->d, 40)) s = op2(g, NP_MUL, s, op2(g, NP_POW, splat(g, far->type, 0.75), far));
    if (rn_chance(g->d, 40))
        s = op2(g, NP_MUL, s, np_build_1(g->b, NP_EXP, op2(g, NP_MUL, far, splat(g, far->type, -0.25))));
    return s;
}
static bool attention(rn_gen *g)
{
    if (g->in_time) return false;
    rn_val k, v;
    const np_dim *width = rn_int(g, 1 + rn_pick(g->d, 5)), *dim[2] = {g->T, width};
    for (int i = 0; i < g->nvals && rn_chance(g->d, 80); i++) { /* what has grown already */
        const np_type *t = g->v[i].n->type;
        if (!t->tuple && t->rank == 2 && t->dim[0] == np_dim_add(g->cx, g->N, g->T))
            width = dim[1] = t->dim[1];
    }
    if (!history(g, width, &k) || !history(g, rn_chance(g->d, 70) ? width : rn_int(g, 2), &v)) return false;
    rn_val q = rn_within(g, rn_of_type(g, np_type_tensor(g->cx, NP_F32, 2, dim)), -8, 8);
    k = rn_within(g, k, -8, 8);
    np_node *s = np_build_contract(g->b, q.n, k.n, "td,jd->tj");
    bool soft = rn_chance(g->d, 70);
    np_node *m = rn_chance(g->d, 90) ? mask(g, s->type) : NULL;
    if (m) s = np_build_3(g->b, NP_SELECT, m, s, splat(g, s->type, soft ? -1e4 : 0));
    bool linear = !soft && rn_chance(g->d, 60);
    s = soft ? softmax_of(g, s, 1) : linear ? products(g, s) : np_build_1(g->b, NP_TANH, s);
    if (!soft && m) s = np_build_3(g->b, NP_SELECT, m, s, splat(g, s->type, 0));
    double most = fmax(fabs(v.lo), fabs(v.hi)) * (soft ? 1 : linear ? 1e4 : 32);
    rn_push(g, np_build_contract(g->b, s, v.n, "tj,jd->td"), -most, most);
    return true;
}
/* Halves of the last axis turned by an angle that depends on the first one. */
static bool rotate(rn_gen *g)
{
    rn_val x;
    int64_t n;
    if (!float_with(g, 2, &x)) return false;
    const np_type *t = x.n->type;
    int axis = t->rank - 1;
    if (!np_dim_int(t->dim[axis], &n) || n < 2 || n % 2 != 0) return false;
    const np_dim *half = rn_int(g, n / 2), *zero = rn_int(g, 0);
    np_node *a = np_build_slice(g->b, x.n, axis, zero, half),
            *b = np_build_slice(g->b, x.n, axis, half, half);
    np_node *at = np_build_cast(g->b, np_build_iota(g->b, t->dim[0]), t->dtype);
    for (int k = 1; k < t->rank; k++) at = np_build_expand(g->b, at, k, a->type->dim[k]);
    np_node *c = np_build_1(g->b, NP_COS, at), *s = np_build_1(g->b, NP_SIN, at);
    np_node *part[2] = {op2(g, NP_SUB, op2(g, NP_MUL, a, c), op2(g, NP_MUL, b, s)),
                        op2(g, NP_ADD, op2(g, NP_MUL, a, s), op2(g, NP_MUL, b, c))};
    double most = 2 * fmax(fabs(x.lo), fabs(x.hi));
    rn_push(g, np_build_op(g->b, NP_CONCAT, 2, part, &(np_extra){.attr = {rn_int(g, axis)}}), -most, most);
    return true;
}
/* A short causal convolution, a filter for each channel. */
static bool convolve(rn_gen *g)
{
    rn_val x;
    if (!float_with(g, 2, &x)) return false;
    x = rn_within(g, x, -8, 8);
    const np_type *t = x.n->type;
    if (t->rank > 4) return false;
    int w = 1 + rn_pick(g->d, 4);
    const np_dim *dim[2] = {t->dim[t->rank - 1], rn_int(g, w)};
    const np_type *ft = np_type_tensor(g->cx, t->dtype, 2, dim);
    if (!rn_fits(g, ft) || !rn_fits(g, np_type_insert(g->cx, t, t->rank, dim[1]))) return false;
    rn_val f = rn_within(g, rn_of_type(g, ft), -8, 8);
    np_node *win = np_build_op(g->b, NP_WINDOW, 1, &x.n, &(np_extra){.attr = {rn_int(g, 0), dim[1]}});
    np_str left = np_str_len(g->cx, "abde", (size_t)t->rank - 1);
    np_node *y = np_build_contract(g->b, win, f.n, np_str_fmt(g->cx, "%scw,cw->%sc", left, left));
    rn_push(g, np_build_1(g->b, NP_SOFTPLUS, y), 0, 64 * w + 1);
    return true;
}

bool rn_idiom(rn_gen *g)
{
    static bool (*const make[])(rn_gen *) = {layer, norm,      softmax, attention,
                                             layer, attention, rotate,  convolve};
    return g->left > 0 && make[rn_pick(g->d, NP_LEN(make))](g);
}
