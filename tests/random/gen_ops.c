/* One maker for each type rule of ops.def: it finds operands that the rule
 * accepts. A new row with a known rule is generated without a change here; a
 * new rule does not compile until it has a maker. */
#include "gen.h"

#include <math.h>
#include <string.h>

typedef struct req {
    rn_gen *g;
    np_op op;
} req;

static bool push(rn_gen *g, np_node *n, double lo, double hi)
{
    rn_push(g, n, lo, hi);
    return true;
}
static char cls(rn_val x)
{
    return np_dtype_class(x.n->type->dtype);
}
static const np_dim *int_of(const req *r, int64_t k)
{
    return np_dim_const(r->g->cx, k);
}

/* ---- where results lie */
static void full(np_dtype d, double *lo, double *hi)
{
    *lo = d == NP_I8 ? -128 : d == NP_U8 || d == NP_BOOL ? 0 : -0x1p31;
    *hi = d == NP_I8 ? 127 : d == NP_U8 ? 255 : d == NP_BOOL ? 1 : 0x1p31 - 1;
}
/* Pushes n, whose elements lie between lo and hi before they wrap; floats that grow are brought back. */
static bool settle(rn_gen *g, np_node *n, double lo, double hi)
{
    np_dtype d = n->type->dtype;
    char c = np_dtype_class(d);
    double least, most, limit = d == NP_F16 ? 60 : d == NP_BF16 ? 100 : 1000;
    if (c == 'F') {
        if (lo >= -limit && hi <= limit) return push(g, n, lo, hi);
        return push(g, np_build_1(g->b, NP_TANH, n), -1, 1);
    }
    full(d, &least, &most);
    if (d == NP_I64 || (lo >= least && hi <= most)) return push(g, n, lo, hi);
    return push(g, n, least, most);
}
static void corners(np_op op, np_dtype d, int n, const rn_val *x, double *lo, double *hi)
{
    *lo = INFINITY, *hi = -INFINITY;
    for (int i = 0; i < 1 << n; i++) {
        double v[3] = {0};
        for (int k = 0; k < n; k++) v[k] = i >> k & 1 ? x[k].hi : x[k].lo;
        double y = np_fold_number(op, np_dtype_class(d) == 'I' ? NP_I64 : d, v);
        *lo = fmin(*lo, y), *hi = fmax(*hi, y);
    }
}
static void bounds(np_op op, np_dtype d, int n, const rn_val *x, double *lo, double *hi)
{
    corners(op, d, n, x, lo, hi);
    bool integer = np_dtype_class(d) == 'I';
    double most = fmax(fmax(fabs(x[0].lo), fabs(x[0].hi)), n > 1 ? fmax(fabs(x[1].lo), fabs(x[1].hi)) : 0);
    switch (op) {
    case NP_SIN:
    case NP_COS: *lo = -1, *hi = 1; return;
    case NP_ABS: *lo = 0; return;
    case NP_MOD: *lo = fmin(0, x[1].lo), *hi = fmax(0, x[1].hi); return;
    case NP_IDIV:
        if (integer) *lo = -most, *hi = most; /* the divisor may be small, or 0 */
        return;
    case NP_AND:
    case NP_OR:
    case NP_XOR: /* no bit above the highest */
        *hi = ldexp(1, (int)log2(most + 1) + 1);
        *lo = x[0].lo < 0 || x[1].lo < 0 ? -*hi : 0;
        return;
    case NP_SHL:
    case NP_SHR: *lo = fmin(*lo, 0), *hi = fmax(*hi, 0); return; /* beyond the width: 0 */
    case NP_SELECT: *lo = fmin(x[1].lo, x[2].lo), *hi = fmax(x[1].hi, x[2].hi); return;
    default: return;
    }
}

/* ---- elementwise */
/* Operands for which the op is defined and does not blow up what was rounded before. */
static void prepare(rn_gen *g, np_op op, rn_val *x)
{
    bool f = cls(x[0]) == 'F';
    switch (op) {
    case NP_EXP: x[0] = rn_within(g, x[0], -8, 4); return;
    case NP_LOG:
    case NP_SQRT:
    case NP_RSQRT:
    case NP_RECIP: x[0] = rn_within(g, x[0], 0.2, 1000); return;
    case NP_LOG1P: x[0] = rn_within(g, x[0], 0, 1000); return;
    case NP_SIN:
    case NP_COS: x[0] = rn_within(g, x[0], -40, 40); return;
    case NP_DIV: x[1] = rn_within(g, x[1], 0.2, 1000); return;
    case NP_POW:
        x[0] = rn_within(g, x[0], 0.2, 8);
        x[1] = rn_within(g, x[1], -3, 3);
        return;
    case NP_MOD:
    case NP_IDIV:
        if (f) x[1] = rn_within(g, x[1], 0.2, 1000);
        return;
    case NP_SHL: x[0] = rn_within(g, x[0], -0x1p20, 0x1p20); /* fall through */
    case NP_SHR: x[1] = rn_within(g, x[1], -1, 9); return;
    case NP_ADD:
    case NP_SUB:
    case NP_MUL:
        for (int i = 0; i < 2 && !f; i++) x[i] = rn_within(g, x[i], -0x1p22, 0x1p22);
        return;
    default: return;
    }
}
bool rn_elementwise(rn_gen *g, np_op op, int n, rn_val *x)
{
    np_node *arg[3];
    double lo, hi;
    np_dtype d = x[n > 2].n->type->dtype;
    prepare(g, op, x);
    for (int i = 0; i < n; i++) arg[i] = x[i].n;
    bounds(op, d, n, x, &lo, &hi);
    return settle(g, np_build_op(g->b, op, n, arg, NULL), lo, hi);
}
static bool alike(const req *r, const char *classes)
{
    rn_val x[2];
    int n = np_op_info(r->op)->nargs;
    x[0] = rn_any(r->g, classes, 0);
    if (n > 1) x[1] = rn_of_type(r->g, x[0].n->type);
    if (n > 1 && rn_chance(r->g->d, 50)) {
        rn_val was = x[0];
        x[0] = x[1], x[1] = was;
    }
    return rn_elementwise(r->g, r->op, n, x);
}
static bool make_same(const req *r)
{
    return alike(r, r->op == NP_NOT ? "BI" : "IF");
}
static bool make_fsame(const req *r)
{
    return alike(r, "F");
}
static bool make_num2(const req *r)
{
    return alike(r, rn_chance(r->g->d, 70) ? "F" : "IF");
}
static bool make_float2(const req *r)
{
    return alike(r, "F");
}
static bool make_compare(const req *r)
{
    return alike(r, "BIF");
}
static bool make_bits2(const req *r)
{
    return alike(r, r->op == NP_SHL || r->op == NP_SHR ? "I" : "BI");
}
static bool make_cast(const req *r)
{
    rn_val x = rn_any(r->g, "BIF", 0);
    np_dtype d = rn_dtype(r->g);
    int n = r->g->nvals;
    if (d != x.n->type->dtype) rn_of_type(r->g, np_type_with(r->g->cx, x.n->type, d));
    return r->g->nvals > n;
}
static bool make_select(const req *r)
{
    rn_val x[3];
    x[1] = rn_any(r->g, "BIF", 0);
    x[2] = rn_of_type(r->g, x[1].n->type);
    x[0] = rn_of_type(r->g, np_type_with(r->g->cx, x[1].n->type, NP_BOOL));
    return rn_elementwise(r->g, r->op, 3, x);
}

/* ---- leaves */
static bool make_bad(const req *r)
{
    (void)r;
    return false;
}
static bool make_param(const req *r)
{
    (void)r;
    return false; /* made with the function */
}
static bool make_none(const req *r)
{
    (void)r;
    return false; /* ends a body */
}
static bool fresh(const req *r, np_dtype d)
{
    const np_dim *dim[2] = {rn_dim(r->g), rn_dim(r->g)};
    const np_type *t = np_type_tensor(r->g->cx, d, rn_pick(r->g->d, 3), dim);
    int n = r->g->nvals;
    if (rn_fits(r->g, t)) rn_of_type(r->g, t);
    return r->g->nvals > n;
}
static bool make_given(const req *r)
{
    return fresh(r, rn_dtype(r->g));
}
static bool make_weight(const req *r)
{
    return fresh(r, NP_F32);
}
static bool make_iota(const req *r)
{
    return push(r->g, np_build_iota(r->g->b, rn_dim(r->g)), 0, 64);
}
static bool make_size(const req *r)
{
    return push(r->g, np_build_size(r->g->b, rn_dim(r->g)), 0, 64);
}

/* ---- sums */
static double most(rn_val x)
{
    return fmax(fabs(x.lo), fabs(x.hi));
}
static double count(const np_type *t)
{
    int64_t lo, hi;
    double n = 1;
    for (int i = 0; i < t->rank; i++) {
        np_dim_range(t->dim[i], &lo, &hi);
        n *= (double)hi;
    }
    return n;
}
/* Letters for y: those of x where the sizes agree, now and then. */
static void letters(rn_gen *g, rn_val x, rn_val y, char *a, char *b)
{
    char next = 'a';
    bool taken[NP_RANK] = {0};
    for (int i = 0; i < x.n->type->rank; i++) *a++ = next++;
    *a = 0;
    a -= x.n->type->rank;
    for (int i = 0; i < y.n->type->rank; i++) {
        b[i] = 0;
        for (int k = 0; k < x.n->type->rank && !b[i]; k++) {
            if (taken[k] || x.n->type->dim[k] != y.n->type->dim[i] || rn_chance(g->d, 20)) continue;
            taken[k] = true;
            b[i] = a[k];
        }
        if (!b[i]) b[i] = next++;
    }
    b[y.n->type->rank] = 0;
}
/* Which letters the result keeps: `keep` of a hundred, in any order. */
static void result_letters(rn_gen *g, const char *a, const char *b, int shared, int own, char *o)
{
    int n = 0;
    for (const char *s = a; *s; s++)
        if (rn_chance(g->d, strchr(b, *s) ? shared : own)) o[n++] = *s;
    for (const char *s = b; *s; s++)
        if (!strchr(a, *s) && rn_chance(g->d, own)) o[n++] = *s;
    for (int i = n - 1; i > 0 && rn_chance(g->d, 40); i--) {
        int k = rn_pick(g->d, i + 1);
        char was = o[i];
        o[i] = o[k], o[k] = was;
    }
    o[n] = 0;
}
static bool make_contract(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, rn_chance(g->d, 85) ? "F" : "IF", 1), y;
    if (rn_chance(g->d, 40)) { /* a matrix that fits the last axis */
        const np_type *t = x.n->type;
        const np_dim *dim[2] = {t->dim[t->rank - 1], rn_dim(g)};
        const np_type *u = np_type_tensor(g->cx, t->dtype, 2, dim);
        if (!rn_fits(g, u)) return false;
        y = rn_of_type(g, u);
    } else {
        y = rn_any(g, cls(x) == 'F' ? "F" : "I", 0);
        if (y.n->type->dtype != x.n->type->dtype)
            y = rn_of_type(g, np_type_with(g->cx, y.n->type, x.n->type->dtype));
    }
    char a[32], b[32], o[32];
    letters(g, x, y, a, b);
    if (rn_chance(g->d, 30)) {
        rn_val was = x;
        char s[32];
        x = y, y = was;
        memcpy(s, a, sizeof s), memcpy(a, b, sizeof a), memcpy(b, s, sizeof b);
    }
    for (int tries = 0;; tries++) { /* fewer letters until it fits */
        const np_dim *dim[NP_RANK];
        if (tries == 4) return false;
        result_letters(g, a, b, 30, 90 - 30 * tries, o);
        int n = (int)strlen(o);
        if (n > 5) continue;
        for (int i = 0; i < n; i++) {
            const char *in = strchr(a, o[i]);
            dim[i] = in ? x.n->type->dim[in - a] : y.n->type->dim[strchr(b, o[i]) - b];
        }
        if (rn_fits(g, np_type_tensor(g->cx, x.n->type->dtype, n, dim))) break;
    }
    for (int i = 0; i < 2; i++) { /* sums over time */
        const np_type *t = i ? y.n->type : x.n->type;
        for (int k = 0; k < t->rank; k++)
            if (!strchr(o, i ? b[k] : a[k]) && rn_timed(g, t->dim[k])) return false;
    }
    double terms = 1; /* at most this many are summed */
    const np_type *t = x.n->type, *u = y.n->type;
    for (int i = 0; i < t->rank; i++)
        if (!strchr(o, a[i])) terms *= count(np_type_tensor(g->cx, t->dtype, 1, &t->dim[i]));
    for (int i = 0; i < u->rank; i++)
        if (!strchr(o, b[i]) && !strchr(a, b[i]))
            terms *= count(np_type_tensor(g->cx, u->dtype, 1, &u->dim[i]));
    if (terms > 5000) return false;
    if (cls(x) == 'I') x = rn_within(g, x, -0x1p14, 0x1p14), y = rn_within(g, y, -0x1p14, 0x1p14);
    double size = terms * most(x) * most(y);
    np_str spec = np_str_fmt(g->cx, "%s,%s->%s", a, b, o);
    return settle(g, np_build_contract(g->b, x.n, y.n, spec), -size, size);
}
static bool make_reduce(const req *r)
{
    static const char *const kinds[] = {"sum", "max", "min"};
    rn_gen *g = r->g;
    rn_val x = rn_any(g, rn_chance(g->d, 75) ? "F" : "IF", 1);
    int axis = rn_axis(g, x);
    if (rn_timed(g, x.n->type->dim[axis])) return false;
    const char *kind = kinds[rn_pick(g->d, 3)];
    int64_t lo, hi;
    np_dim_range(x.n->type->dim[axis], &lo, &hi);
    if (cls(x) == 'I') {
        x = rn_within(g, x, -0x1p20, 0x1p20);
        if (lo < 1) kind = "sum"; /* of no integers there is no smallest */
    }
    np_node *n = np_build_reduce(g->b, x.n, kind, axis);
    if (*kind == 's') return settle(g, n, fmin(0, x.lo * (double)hi), fmax(0, x.hi * (double)hi));
    if (lo >= 1) return push(g, n, x.lo, x.hi);
    return push(g, np_build_1(g->b, NP_TANH, n), -1, 1); /* of nothing: an infinity */
}

/* ---- shapes */
static bool made(rn_gen *g, np_node *n, rn_val x)
{
    return push(g, n, x.lo, x.hi);
}
static bool make_expand(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, "BIF", 0);
    int axis = rn_pick(g->d, x.n->type->rank + 1);
    const np_dim *n = rn_dim(g);
    return rn_fits(g, np_type_insert(g->cx, x.n->type, axis, n)) &&
           made(g, np_build_expand(g->b, x.n, axis, n), x);
}
static bool make_permute(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, "BIF", 1);
    int order[NP_RANK];
    np_str spec = rn_order(g, x.n->type->rank, order);
    return made(g, np_build_permute(g->b, x.n, spec), x);
}
static bool make_split(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, "BIF", 1);
    int axis = rn_axis(g, x);
    if (rn_timed(g, x.n->type->dim[axis])) return false;
    const np_dim *by = rn_chance(g->d, 50) ? rn_int(g, 1 + rn_pick(g->d, 4)) : rn_dim(g);
    int64_t lo, hi;
    np_dim_range(by, &lo, &hi);
    if (lo < 1 || x.n->type->rank >= 5 || !np_dim_quot(g->cx, x.n->type->dim[axis], by)) return false;
    return made(g, np_build_split(g->b, x.n, axis, by), x);
}
static bool make_merge(const req *r)
{
    rn_val x = rn_any(r->g, "BIF", 2);
    int axis = rn_pick(r->g->d, x.n->type->rank - 1);
    if (rn_timed(r->g, x.n->type->dim[axis]) || rn_timed(r->g, x.n->type->dim[axis + 1])) return false;
    return made(r->g, np_build_merge(r->g->b, x.n, axis), x);
}
/* A start and a length inside of an axis. */
static bool part(rn_gen *g, const np_dim *of, const np_dim **from, const np_dim **n)
{
    int64_t lo, hi;
    np_dim_range(of, &lo, &hi);
    if (lo < 1) return false;
    int64_t a = rn_pick(g->d, (int)lo), k = 1 + rn_pick(g->d, (int)(lo - a));
    *from = rn_int(g, a), *n = rn_int(g, k);
    if (lo == hi || rn_chance(g->d, 40)) return true;
    const np_dim *rest = np_dim_sub(g->cx, of, *n); /* the end of a long axis, or all but its start */
    if (rn_chance(g->d, 50))
        *from = rest;
    else
        *n = np_dim_sub(g->cx, of, *from);
    return true;
}
static bool make_slice(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, "BIF", 1);
    const np_dim *from, *n;
    int axis = rn_axis(g, x);
    if (rn_timed(g, x.n->type->dim[axis])) return false;
    return part(g, x.n->type->dim[axis], &from, &n) && made(g, np_build_slice(g->b, x.n, axis, from, n), x);
}
static bool make_at(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, "BIF", 1);
    const np_dim *from, *n;
    int axis = rn_axis(g, x);
    if (rn_timed(g, x.n->type->dim[axis])) return false;
    return part(g, x.n->type->dim[axis], &from, &n) && made(g, np_build_at(g->b, x.n, axis, from), x);
}
static bool make_pad(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, "BIF", 1);
    int axis = rn_axis(g, x);
    if (rn_timed(g, x.n->type->dim[axis])) return false;
    const np_dim *before = rn_int(g, rn_pick(g->d, 3)),
                 *after = rn_chance(g->d, 20) ? g->T : rn_int(g, rn_pick(g->d, 3));
    double v = cls(x) == 'F' ? rn_pick(g->d, 5) * 0.5 - 1 : rn_pick(g->d, 2);
    np_extra e = {.num = v, .attr = {int_of(r, axis), before, after}};
    const np_dim *all = np_dim_add(g->cx, x.n->type->dim[axis], np_dim_add(g->cx, before, after));
    if (!rn_fits(g, np_type_set(g->cx, x.n->type, axis, all))) return false;
    return push(g, np_build_op(g->b, NP_PAD, 1, &x.n, &e), fmin(v, x.lo), fmax(v, x.hi));
}
static bool make_concat(const req *r)
{
    rn_gen *g = r->g;
    rn_val x[3];
    np_node *arg[3];
    x[0] = rn_any(g, "BIF", 1);
    int axis = rn_axis(g, x[0]), n = 1 + rn_pick(g->d, 3);
    if (rn_timed(g, x[0].n->type->dim[axis])) return false;
    const np_dim *all = x[0].n->type->dim[axis];
    double lo = x[0].lo, hi = x[0].hi;
    for (int i = 0; i < n; i++) {
        if (i)
            x[i] = rn_of_type(g, np_type_set(g->cx, x[0].n->type, axis,
                                             rn_chance(g->d, 50) ? x[0].n->type->dim[axis] : rn_dim(g)));
        if (i) all = np_dim_add(g->cx, all, x[i].n->type->dim[axis]);
        arg[i] = x[i].n;
        lo = fmin(lo, x[i].lo), hi = fmax(hi, x[i].hi);
    }
    if (!rn_fits(g, np_type_set(g->cx, x[0].n->type, axis, all))) return false;
    return push(g, np_build_op(g->b, NP_CONCAT, n, arg, &(np_extra){.attr = {int_of(r, axis)}}), lo, hi);
}
static bool make_window(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, "BIF", 1), past;
    int axis = rn_pick(g->d, x.n->type->rank), w = 1 + rn_pick(g->d, 4);
    bool two = rn_chance(g->d, 50);
    if (!rn_fits(g, np_type_insert(g->cx, x.n->type, x.n->type->rank, rn_int(g, w)))) return false;
    if (two) past = rn_of_type(g, np_type_set(g->cx, x.n->type, axis, rn_int(g, w - 1)));
    np_node *n = np_build_op(g->b, NP_WINDOW, two ? 2 : 1, (np_node *[]){x.n, two ? past.n : NULL},
                             &(np_extra){.attr = {int_of(r, axis), int_of(r, w)}});
    return push(g, n, fmin(two ? past.lo : 0, x.lo), fmax(two ? past.hi : 0, x.hi));
}
/* In @main nothing came before; what grows stands at top. */
static bool append_history(const req *r, rn_val x, int axis)
{
    rn_gen *g = r->g;
    if (g->depth > 0 || x.n->type->dim[axis] != g->T) return false;
    return made(g, np_build_op(g->b, NP_APPEND, 1, &x.n, &(np_extra){.attr = {int_of(r, axis), g->N}}), x);
}
static bool make_append(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, "BIF", 1), past;
    int axis = rn_pick(g->d, x.n->type->rank);
    if (g->o->main_form) return append_history(r, x, axis);
    bool two = rn_chance(g->d, 70);
    const np_dim *n = two ? (rn_chance(g->d, 50) ? g->N : rn_dim(g)) : rn_int(g, 0);
    if (!rn_fits(g, np_type_set(g->cx, x.n->type, axis, np_dim_add(g->cx, n, x.n->type->dim[axis]))))
        return false;
    if (two) past = rn_of_type(g, np_type_set(g->cx, x.n->type, axis, n));
    np_node *y = np_build_op(g->b, NP_APPEND, two ? 2 : 1, (np_node *[]){x.n, two ? past.n : NULL},
                             &(np_extra){.attr = {int_of(r, axis), n}});
    return push(g, y, two ? fmin(past.lo, x.lo) : x.lo, two ? fmax(past.hi, x.hi) : x.hi);
}
static bool make_gather(const req *r)
{
    rn_gen *g = r->g;
    rn_val x = rn_any(g, "BIF", 1), i;
    const np_type *t = x.n->type;
    int64_t lo, hi;
    int batch = rn_chance(g->d, 40) ? rn_pick(g->d, t->rank) : 0, rank = batch;
    const np_dim *dim[NP_RANK];
    for (int k = 0; k < batch; k++) dim[k] = t->dim[k];
    np_dim_range(t->dim[batch], &lo, &hi);
    if (lo < 1 || rn_timed(g, t->dim[batch])) return false; /* nothing to choose from */
    if (batch == 0 && rn_chance(g->d, 50)) {
        i = rn_any(g, "I", 0);
    } else {
        for (int k = rn_pick(g->d, 3); k > 0; k--) dim[rank++] = rn_dim(g);
        const np_type *u = np_type_tensor(g->cx, rn_chance(g->d, 80) ? NP_I32 : NP_I64, rank, dim);
        if (!rn_fits(g, u)) return false;
        i = rn_of_type(g, u);
    }
    const np_dim *out[2 * NP_RANK];
    int n = 0;
    for (int k = 0; k < i.n->type->rank; k++) out[n++] = i.n->type->dim[k];
    for (int k = batch + 1; k < t->rank; k++) out[n++] = t->dim[k];
    if (n > 5 || !rn_fits(g, np_type_tensor(g->cx, t->dtype, n, out))) return false;
    return made(
        g, np_build_op(g->b, NP_GATHER, 2, (np_node *[]){x.n, i.n}, &(np_extra){.attr = {int_of(r, batch)}}),
        x);
}

/* ---- bodies, and what belongs to them */
static bool make_scan(const req *r)
{
    return rn_scan(r->g);
}
static bool make_cond(const req *r)
{
    return rn_cond(r->g);
}
static bool make_call(const req *r)
{
    return rn_call(r->g);
}
static bool make_group(const req *r)
{
    return rn_group(r->g);
}
static bool make_pick(const req *r)
{
    (void)r;
    return false; /* made with what has several results */
}
static bool make_loop(const req *r)
{
    (void)r;
    return false; /* as load and store: made by passes only */
}
#define make_load make_loop
#define make_store make_loop
#define make_prefetch make_loop

bool rn_make(rn_gen *g, np_op op)
{
    static bool (*const maker[])(const req *) = {
#define NP_OP(id, text, args, attrs, cls, traits, rule, doc) make_##rule,
#include "ir/ops.def"
#undef NP_OP
    };
    req r = {g, op};
    return maker[op](&r);
}
