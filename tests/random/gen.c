/* The generator: parameters, statements, results. It knows of each value where
 * its elements lie, so that nothing overflows and no answer hangs on the last
 * bit; apart from that any row of ops.def may follow any other. Nodes are made
 * plain, as they are asked for. */
#include "gen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ELEMENTS = 1000, MOST_LARGE = 6000, ENOUGH = 400 };

const np_dim *rn_int(rn_gen *g, int64_t k)
{
    return np_dim_const(g->cx, k);
}
const np_dim *rn_dim(rn_gen *g)
{
    const np_dim *d = g->dim[rn_pick(g->d, g->ndims)];
    return g->in_time && d == g->T ? rn_int(g, 3) : d;
}
/* Could it be given in pieces? T once at most, and all positions once. */
static bool one_position(rn_gen *g, const np_type *t)
{
    int now = g->in_time, all = 0;
    for (int i = 0; i < t->rank; i++) {
        now += t->dim[i] == g->T;
        all += np_dim_has(t->dim[i], g->N);
    }
    return now <= 1 && all <= 1;
}
bool rn_fits(rn_gen *g, const np_type *t)
{
    np_env e = {0};
    double count = 1;
    int64_t k;
    np_env_set(&e, g->T, 9), np_env_set(&e, g->N, 5), np_env_set(&e, g->B, 2);
    for (int i = 0; i < t->rank; i++) count *= np_dim_eval(t->dim[i], &e, &k) ? (double)k : 1e9;
    if (g->o->main_form && !one_position(g, t)) return false;
    return t->rank <= 5 && count <= (g->o->large ? MOST_LARGE : MOST_ELEMENTS);
}
rn_val rn_push(rn_gen *g, np_node *n, double lo, double hi)
{
    if (n->op == NP_BAD) {
        np_diag_print(g->cx, NP_ERROR, stderr);
        fprintf(stderr, "the generator asked for what is not valid\n");
        abort();
    }
    if (g->nvals == (int)NP_LEN(g->v)) abort();
    g->left--;
    return g->v[g->nvals++] = (rn_val){n, lo, hi, false};
}

/* ---- values that are there */
static rn_val take(rn_gen *g, int i)
{
    g->v[i].used = true;
    return g->v[i];
}
static bool has_time(rn_gen *g, const np_type *t)
{
    for (int i = 0; i < t->rank; i++)
        if (np_dim_has(t->dim[i], g->T)) return true;
    return false;
}
/* The k-th of those that fit; newer ones come more often. */
static bool choose(rn_gen *g, bool (*fits)(rn_gen *, const rn_val *, const void *), const void *env,
                   rn_val *out)
{
    int list[512], n = 0;
    for (int i = 0; i < g->nvals; i++)
        if (fits(g, &g->v[i], env) && !(g->in_time && has_time(g, g->v[i].n->type))) list[n++] = i;
    if (!n) return false;
    int a = rn_pick(g->d, n), b = rn_pick(g->d, n);
    *out = take(g, list[n - 1 - (a < b ? a : b)]);
    return true;
}
typedef struct wanted {
    const char *classes;
    int rank;
} wanted;
static bool fits_class(rn_gen *g, const rn_val *x, const void *env)
{
    const wanted *w = env;
    (void)g;
    return strchr(w->classes, np_dtype_class(x->n->type->dtype)) && x->n->type->rank >= w->rank;
}
static bool fits_type(rn_gen *g, const rn_val *x, const void *env)
{
    (void)g;
    return x->n->type == env;
}
static bool fits_shape(rn_gen *g, const rn_val *x, const void *env)
{
    const np_type *t = env;
    return x->n->type != t && np_type_with(g->cx, x->n->type, t->dtype) == t;
}
np_dtype rn_dtype(rn_gen *g)
{
    static const np_dtype often[] = {NP_F32,  NP_F32, NP_F32, NP_F32,  NP_F32, NP_F32, NP_I32, NP_I32,
                                     NP_BOOL, NP_F64, NP_F16, NP_BF16, NP_I64, NP_I8,  NP_U8};
    return often[rn_pick(g->d, NP_LEN(often))];
}
static const np_type *random_type(rn_gen *g, np_dtype d, int least)
{
    const np_dim *dim[NP_RANK];
    int rank = least + rn_pick(g->d, 4 - least);
    for (int i = 0; i < rank; i++) dim[i] = rn_dim(g);
    const np_type *t = np_type_tensor(g->cx, d, rank, dim);
    for (int i = rn_pick(g->d, rank); !rn_fits(g, t); i++) t = np_type_set(g->cx, t, i % rank, rn_int(g, 2));
    return t;
}
rn_val rn_any(rn_gen *g, const char *classes, int rank)
{
    rn_val x;
    wanted w = {classes, rank};
    if (choose(g, fits_class, &w, &x)) return x;
    np_dtype d = strchr(classes, 'F') ? NP_F32 : strchr(classes, 'I') ? NP_I32 : NP_BOOL;
    return rn_of_type(g, random_type(g, d, rank));
}

/* ---- values that are made */
static bool constant(const np_type *t, int64_t *count)
{
    int64_t k;
    *count = 1;
    for (int i = 0; i < t->rank; i++) {
        if (!np_dim_int(t->dim[i], &k)) return false;
        *count *= k;
    }
    return true;
}
static double number(rn_gen *g, np_dtype d)
{
    static const double some[] = {0, 1, -1, 0.5, 2, -0.25, 0.1, 3, -1.7};
    char c = np_dtype_class(d);
    if (c == 'B') return rn_pick(g->d, 2);
    if (c == 'I') return rn_pick(g->d, 6);
    return np_round_const(d, rn_chance(g->d, 50) ? some[rn_pick(g->d, NP_LEN(some))]
                                                 : rn_pick(g->d, 4001) / 1000.0 - 2);
}
static rn_val splat(rn_gen *g, const np_type *t)
{
    double v = number(g, t->dtype);
    return rn_push(g, np_build_num(g->b, t, v), v, v);
}
static rn_val list(rn_gen *g, const np_type *t, int64_t count)
{
    double v[64], lo = INFINITY, hi = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        v[i] = number(g, t->dtype);
        lo = fmin(lo, v[i]), hi = fmax(hi, v[i]);
    }
    return rn_push(g, np_build_list(g->b, t, v), lo, hi);
}
np_str rn_order(rn_gen *g, int n, int *order)
{
    char from[NP_RANK + 1] = {0}, to[NP_RANK + 1] = {0};
    for (int i = 0; i < n && i < NP_RANK; i++) order[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int k = rn_pick(g->d, i + 1), was = order[i];
        order[i] = order[k], order[k] = was;
    }
    for (int i = 0; i < n && i < NP_RANK; i++) from[i] = (char)('a' + i), to[i] = (char)('a' + order[i]);
    return np_str_fmt(g->cx, "%s->%s", from, to);
}
/* A stored weight, or one that is made from a stored one by permute. */
static rn_val weight(rn_gen *g, const np_type *t)
{
    np_str name = np_str_fmt(g->cx, "%sw%d", g->o->prefix, g->nweights++), spec = NULL;
    const np_dim *dim[NP_RANK];
    int order[NP_RANK], n = t->rank;
    for (int i = 0; i < n; i++) dim[i] = t->dim[i];
    if (n > 1 && rn_chance(g->d, 30)) {
        spec = rn_order(g, n, order);
        for (int i = 0; i < n; i++) dim[order[i]] = t->dim[i];
    }
    np_weight *w = np_mod_declare(g->m, (np_loc){0}, name, np_type_tensor(g->cx, t->dtype, n, dim));
    if (spec) w = np_mod_derive(g->m, w, spec, 0);
    return rn_push(g, np_build_weight(g->b, w->name), -1, 1);
}
static rn_val counted(rn_gen *g, const np_type *t)
{
    np_node *n = t->rank == 1 ? np_build_iota(g->b, t->dim[0]) : np_build_size(g->b, rn_dim(g));
    rn_val x = rn_push(g, n, 0, 64);
    if (t->dtype == NP_I32) return x;
    x = rn_push(g, np_build_cast(g->b, x.n, t->dtype), 0, t->dtype == NP_BOOL ? 1 : 64);
    return np_dtype_class(t->dtype) == 'F' ? rn_within(g, x, -4, 4) : x;
}
static rn_val expanded(rn_gen *g, const np_type *t)
{
    int k = rn_pick(g->d, t->rank);
    rn_val x = rn_of_type(g, np_type_without(g->cx, t, k));
    return rn_push(g, np_build_expand(g->b, x.n, k, t->dim[k]), x.lo, x.hi);
}
static rn_val compared(rn_gen *g, const np_type *t)
{
    rn_val x[2];
    x[0] = rn_of_type(g, np_type_with(g->cx, t, rn_chance(g->d, 70) ? NP_F32 : NP_I32));
    x[1] = splat(g, x[0].n->type);
    rn_elementwise(g, rn_chance(g->d, 50) ? NP_LT : NP_LE, 2, x);
    return g->v[g->nvals - 1];
}
static rn_val cast(rn_gen *g, rn_val x, np_dtype d)
{
    char from = np_dtype_class(x.n->type->dtype), to = np_dtype_class(d);
    if (from == 'F' && to == 'I') { /* what is beyond the integer has no value in C */
        if (d == NP_U8) x = rn_within(g, x, 0, 255);
        x = rn_within(g, x, -100, 127);
    }
    if (to == 'I' && d != NP_I64 && d != NP_I32 && from == 'I' &&
        (x.lo < (d == NP_I8 ? -128 : 0) || x.hi > (d == NP_I8 ? 127 : 255)))
        return rn_push(g, np_build_cast(g->b, x.n, d), d == NP_I8 ? -128 : 0, d == NP_I8 ? 127 : 255);
    if (d == NP_F16 || d == NP_BF16) x = rn_within(g, x, -100, 100);
    if (to == 'B') return rn_push(g, np_build_cast(g->b, x.n, d), 0, 1);
    return rn_push(g, np_build_cast(g->b, x.n, d), to == 'I' ? trunc(x.lo) : x.lo,
                   to == 'I' ? trunc(x.hi) : x.hi);
}
rn_val rn_of_type(rn_gen *g, const np_type *t)
{
    rn_val x;
    int64_t count;
    if (!rn_chance(g->d, 15) && choose(g, fits_type, t, &x)) return x;
    if (!rn_chance(g->d, 30) && choose(g, fits_shape, t, &x)) return cast(g, x, t->dtype);
    if (constant(t, &count) && count > 0 && rn_chance(g->d, 50)) {
        if (np_dtype_class(t->dtype) == 'F' && t->dtype != NP_F64 && rn_chance(g->d, 70)) return weight(g, t);
        if (count <= 64) return list(g, t, count);
    }
    if (t->rank > 0 && rn_chance(g->d, 60)) return expanded(g, t);
    if (t->rank < 2 && rn_chance(g->d, 30)) return counted(g, t);
    if (t->dtype == NP_BOOL && rn_chance(g->d, 70)) return compared(g, t);
    return splat(g, t);
}

rn_val rn_within(rn_gen *g, rn_val x, double lo, double hi)
{
    if (x.lo >= lo && x.hi <= hi) return x;
    np_dtype d = x.n->type->dtype;
    if (np_dtype_class(d) == 'B') return x;
    if (np_dtype_class(d) == 'I') { /* the remainder has the sign of 8 */
        if (hi < 7) return rn_push(g, np_build_2(g->b, NP_AND, x.n, np_build_num(g->b, x.n->type, 1)), 0, 1);
        return rn_push(g, np_build_2(g->b, NP_MOD, x.n, np_build_num(g->b, x.n->type, 8)), 0, 7);
    }
    np_node *n = np_build_1(g->b, lo <= -1 ? NP_TANH : NP_SIGMOID, x.n);
    if (lo <= -1) return rn_push(g, n, -1, 1);
    if (lo <= 0) return rn_push(g, n, 0, 1);
    return rn_push(g, np_build_2(g->b, NP_ADD, n, np_build_num(g->b, x.n->type, 0.5)), 0.5, 1.5);
}
rn_val rn_state(rn_gen *g, rn_val x)
{
    return np_dtype_class(x.n->type->dtype) == 'F' ? rn_within(g, x, -4, 4) : rn_within(g, x, 0, 7);
}
int rn_axis(rn_gen *g, rn_val x)
{
    int k = rn_pick(g->d, x.n->type->rank);
    for (int tries = 0; tries < 3 && rn_timed(g, x.n->type->dim[k]); tries++)
        k = rn_pick(g->d, x.n->type->rank);
    return k;
}
bool rn_timed(rn_gen *g, const np_dim *d)
{
    return g->o->main_form && (np_dim_has(d, g->T) || np_dim_has(d, g->N)) && rn_chance(g->d, 95);
}
rn_val rn_recent(rn_gen *g, int from)
{
    int n = g->nvals - from;
    if (n <= 0) return take(g, rn_pick(g->d, g->nvals));
    for (int tries = 0; tries < 4; tries++) {
        int i = g->nvals - 1 - rn_pick(g->d, n);
        if (!g->v[i].used || tries == 3) return take(g, i);
    }
    return take(g, g->nvals - 1);
}

/* ---- statements */
void rn_statement(rn_gen *g)
{
    /* an op that finds no operands is passed over; rows are equally likely, and bodies a little more */
    for (int tries = 0; tries < 8; tries++) {
        if (rn_chance(g->d, 15) && rn_idiom(g)) return;
        np_op op = rn_chance(g->d, 12) ? NP_SCAN : (np_op)rn_pick(g->d, NP_NOPS);
        np_opclass cls = np_op_info(op)->cls;
        if (cls == NP_LOOPS || op == NP_BAD) continue;
        if (rn_make(g, op)) return;
    }
}
void rn_statements(rn_gen *g, int n)
{
    for (int i = 0; i < n && g->left > 0 && g->nvals < ENOUGH && !rn_done(g->d); i++) rn_statement(g);
}

/* ---- the function */
static void sizes(rn_gen *g)
{
    static const int some[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 33},
                     large[] = {16, 32, 33, 40, 64, 65, 100, 130};
    np_cx *cx = g->cx;
    g->T = np_dim_sym(cx, "T"), g->N = np_dim_sym(cx, "N"), g->B = np_dim_sym(cx, "B");
    np_dim_declare(cx, g->T, 1, 20, NP_ROLE_TIME);
    np_dim_declare(cx, g->N, 0, 16, NP_ROLE_PAST);
    np_dim_declare(cx, g->B, 1, 4, NP_ROLE_NONE);
    g->dim[g->ndims++] = g->T;
    g->dim[g->ndims++] = g->T;
    for (int i = 2 + rn_pick(g->d, 3); i > 0; i--)
        g->dim[g->ndims++] = rn_int(g, some[rn_pick(g->d, NP_LEN(some))]);
    if (g->o->large) g->dim[g->ndims++] = rn_int(g, large[rn_pick(g->d, NP_LEN(large))]);
    if (rn_chance(g->d, 25)) g->dim[g->ndims++] = g->B;
    if (g->o->main_form) return;
    if (rn_chance(g->d, 15)) g->dim[g->ndims++] = np_dim_add(cx, g->T, rn_int(g, 1));
    if (rn_chance(g->d, 10)) g->dim[g->ndims++] = np_dim_mul(cx, g->T, rn_int(g, 2));
}
static void param(rn_gen *g, np_port port, const char *name, const np_type *t)
{
    char c = np_dtype_class(t->dtype);
    np_node *p = np_build_param(g->b, port, name, t);
    rn_push(g, p, c == 'F' ? -1 : 0, c == 'I' ? 7 : 1);
}
static np_fn *begin(rn_gen *g, const char *name)
{
    bool main = g->o->main_form && strcmp(name, "main") == 0; /* streaming knows it by its name */
    np_fn *f = np_fn_new(g->m, np_str_fmt(g->cx, "%s%s", main ? "" : g->o->prefix, name), NP_STAGE_TENSOR);
    g->b = np_build_new(f);
    g->b->plain = true;
    g->nvals = 0;
    return f;
}
/* What goes out: what nothing else uses, first of all. */
static int outputs(rn_gen *g, int from, int most, np_node **out)
{
    int n = 0;
    for (int i = g->nvals - 1; i >= from && n < most; i--)
        if (!g->v[i].used) out[n++] = take(g, i).n;
    if (n == 0 || rn_chance(g->d, 10)) out[n++] = take(g, rn_pick(g->d, g->nvals)).n;
    return n;
}
static void callee(rn_gen *g)
{
    static const char *const names[] = {"y", "z", "u", "v"};
    np_fn *f = begin(g, np_str_fmt(g->cx, "f%d", g->ncallees));
    np_node *out[4];
    for (int i = 1 + rn_pick(g->d, 2); i > 0; i--) param(g, NP_IN, "x", random_type(g, rn_dtype(g), 0));
    int from = g->nvals;
    rn_statements(g, 4);
    int n = outputs(g, from, 3, out);
    np_build_ret(g->b, n, names, n, out);
    np_mod_put(g->m, f);
    g->callee[g->ncallees++] = f;
}

/* A state is a matrix of numbers that keeps its shape, or grows by T rows each call. */
typedef struct grown {
    int n, axis[4];
    np_node *was[4];
} grown;
static void states(rn_gen *g, grown *s)
{
    for (int i = g->o->main_form ? 0 : rn_pick(g->d, 4); i > 0 && s->n < 4; i--) {
        bool grows = rn_chance(g->d, 50);
        const np_type *t = random_type(g, rn_chance(g->d, 80) ? NP_F32 : rn_dtype(g), grows);
        for (int k = 0; k < t->rank; k++) /* a state does not depend on what is new */
            if (np_dim_has(t->dim[k], g->T) || np_dim_has(t->dim[k], g->N))
                t = np_type_set(g->cx, t, k, rn_int(g, 3));
        s->axis[s->n] = grows ? rn_pick(g->d, t->rank) : -1;
        if (grows) t = np_type_set(g->cx, t, s->axis[s->n], g->N);
        param(g, NP_STATE, np_str_fmt(g->cx, "s%d", s->n), t);
        s->was[s->n++] = g->v[g->nvals - 1].n;
    }
}
static np_node *grow(rn_gen *g, np_node *was, int axis)
{
    rn_val x = rn_of_type(g, np_type_set(g->cx, was->type, axis, g->T));
    char c = np_dtype_class(was->type->dtype);
    np_extra e = {.attr = {rn_int(g, axis), g->N}};
    np_node *n = np_build_op(g->b, NP_APPEND, 2, (np_node *[]){x.n, was}, &e);
    rn_val y = rn_push(g, n, fmin(x.lo, c == 'F' ? -1 : 0), fmax(x.hi, c == 'I' ? 7 : 1));
    return y.n;
}

np_fn *rn_generate(np_mod *m, rn_draw *d, const rn_gen_opts *o)
{
    rn_gen *g = calloc(1, sizeof *g);
    grown s = {0};
    np_node *out[12], *next[4];
    const char *names[12];
    *g = (rn_gen){.d = d, .cx = m->cx, .m = m, .o = o, .left = 1 << 20};
    sizes(g);
    for (int i = rn_chance(d, 25) ? 1 + rn_pick(d, 2) : 0; i > 0; i--) callee(g);
    np_fn *f = begin(g, "main");
    for (int i = 2 + rn_pick(d, 4); i > 0; i--) {
        const np_type *t = random_type(g, rn_chance(d, 60) ? NP_F32 : rn_dtype(g), 0);
        if (o->main_form && i == 1) { /* one input at least has time */
            const np_dim *dim[3] = {g->T, rn_int(g, 1 + rn_pick(d, 6)), g->B};
            t = np_type_tensor(g->cx, NP_F32, g->dim[g->ndims - 1] == g->B ? 3 : 2, dim);
        }
        param(g, NP_IN, "x", t);
    }
    states(g, &s);
    int from = g->nvals, half = o->statements / 2;
    g->left = 4 * o->statements;
    rn_statements(g, half);
    for (int i = 0; i < s.n; i++)
        if (s.axis[i] >= 0) next[i] = grow(g, s.was[i], s.axis[i]);
    rn_statements(g, o->statements - half);
    int n = outputs(g, from, 4, out);
    for (int i = 0; i < s.n; i++) {
        if (s.axis[i] < 0) next[i] = rn_state(g, rn_of_type(g, s.was[i]->type)).n;
        out[n + i] = next[i];
    }
    for (int i = 0; i < n; i++) names[i] = np_str_fmt(g->cx, "y%d", i);
    np_build_ret(g->b, n, names, n + s.n, out);
    np_mod_put(m, f);
    free(g);
    return f;
}
