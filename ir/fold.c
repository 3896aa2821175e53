/* Local rewrites that the builder applies before it makes a node. A rule sees
 * the op with its operands and type and answers with a node that means the same
 * and is smaller, or NULL. Every rule shrinks or orders, never grows, so there
 * is no clean-up pass. x*0 and x-x stay for floats: x may be infinite or NaN. */
#include "ir.h"

#include <math.h>
#include <string.h>

typedef struct req {
    np_build *b;
    np_op op;
    np_node *const *arg;
    int n;
    const np_extra *x;
    const np_type *t;
} req;

/* ---- questions */
static bool is_splat(const np_node *n)
{
    return n->op == NP_CONST && !n->data;
}
static bool is_num(const np_node *n, double v)
{
    return is_splat(n) && n->num == v && !(v == 0 && signbit(n->num));
}
static bool is_integer(const np_node *n)
{
    return np_dtype_class(n->type->dtype) == 'I';
}
static bool is_float(const np_node *n)
{
    return np_dtype_class(n->type->dtype) == 'F';
}
static int axis(const np_dim *d)
{
    return (int)d->k;
}
static bool all_splat(const req *r)
{
    for (int i = 0; i < r->n; i++)
        if (!is_splat(r->arg[i])) return false;
    return true;
}

/* ---- constants */
static int64_t list_count(const np_type *t)
{
    int64_t n = 1, k;
    for (int i = 0; i < t->rank; i++)
        n = np_dim_int(t->dim[i], &k) && k <= 4096 && n <= 4096 ? n * k : 1 << 20;
    return n;
}
static double apply(const req *r, const double *v)
{
    np_dtype d = r->op == NP_CAST || r->op == NP_SELECT ? r->t->dtype : r->arg[0]->type->dtype;
    if (r->op == NP_CAST && np_dtype_class(d) == 'F') d = NP_F64; /* rounded where it is used */
    return np_round_const(r->t->dtype, np_fold_number(r->op, d, v));
}
/* Does the result jump where an operand moves a little? Then a constant that its
 * type will round must not be used with all its digits. */
static bool jumps(np_op op)
{
    return op == NP_CAST || op == NP_FLOOR || op == NP_IDIV || op == NP_MOD || op == NP_LT || op == NP_LE ||
           op == NP_EQ || op == NP_NE;
}
static bool held(const np_node *n)
{
    for (int64_t i = 0, count = n->data ? list_count(n->type) : 1; i < count; i++) {
        double v = n->data ? n->data[i] : n->num;
        if (v == v && np_round_to(n->type->dtype, v) != v) return false;
    }
    return true;
}
static np_node *fold_const(const req *r)
{
    double v[3];
    int64_t n = list_count(r->t);
    bool list = false;
    for (int i = 0; i < r->n; i++) {
        if (r->arg[i]->op != NP_CONST) return NULL;
        list |= r->arg[i]->data != NULL;
    }
    if (list && n > 4096) return NULL; /* big tables stay expressions */
    for (int i = 0; i < r->n && jumps(r->op); i++)
        if (!held(r->arg[i])) return NULL;
    if (!list) {
        for (int i = 0; i < r->n; i++) v[i] = r->arg[i]->num;
        return np_build_num(r->b, r->t, apply(r, v));
    }
    double out[4096];
    for (int64_t k = 0; k < n; k++) {
        for (int i = 0; i < r->n; i++) v[i] = r->arg[i]->data ? r->arg[i]->data[k] : r->arg[i]->num;
        out[k] = apply(r, v);
    }
    return np_build_list(r->b, r->t, out);
}

/* ---- elementwise identities */
/* max(min(x, 0), 2) is 2 whatever x is: how an index is kept inside an axis of size 1. */
static np_node *fold_clamp(const req *r)
{
    const np_node *a = r->arg[0], *inner = a->nargs == 2 ? a->arg[1] : NULL;
    np_node *b = r->arg[1];
    bool low = r->op == NP_MAX;
    if (!is_integer(a) || !is_splat(b) || a->op != (low ? NP_MIN : NP_MAX) || !is_splat(inner)) return NULL;
    return (low ? inner->num <= b->num : inner->num >= b->num) ? b : NULL;
}
static np_node *fold_arith(const req *r)
{
    np_node *a = r->arg[0], *b = r->n > 1 ? r->arg[1] : NULL;
    switch (r->op) {
    case NP_ADD:
        /* x + 0 is x but for x = -0, which no sum of this language tells from 0 */
        if (is_num(b, 0)) return a;
        if (is_integer(a) && is_splat(b) && a->op == NP_ADD && is_splat(a->arg[1])) /* (x + 1) + 2 */
            return np_build_2(r->b, NP_ADD, a->arg[0], np_build_2(r->b, NP_ADD, a->arg[1], b));
        return NULL;
    case NP_SUB:
        if (is_num(b, 0)) return a;
        if (is_integer(a) && is_splat(b)) return np_build_2(r->b, NP_ADD, a, np_build_1(r->b, NP_NEG, b));
        return a == b && is_integer(a) ? np_build_num(r->b, r->t, 0) : NULL;
    case NP_MUL:
        if (is_num(b, 1)) return a;
        if (is_num(b, 0) && is_integer(a)) return b;
        if (is_integer(a) && is_splat(b) && a->op == NP_MUL && is_splat(a->arg[1]))
            return np_build_2(r->b, NP_MUL, a->arg[0], np_build_2(r->b, NP_MUL, a->arg[1], b));
        return NULL;
    case NP_DIV: return is_num(b, 1) ? a : NULL;
    case NP_IDIV: return is_num(b, 1) && is_integer(a) ? a : NULL;
    case NP_MOD: return is_num(b, 1) && is_integer(a) ? np_build_num(r->b, r->t, 0) : NULL;
    case NP_POW:
        return is_num(b, 1)      ? a
               : is_num(b, 2)    ? np_build_2(r->b, NP_MUL, a, a)
               : is_num(b, 0.5)  ? np_build_1(r->b, NP_SQRT, a)
               : is_num(b, -0.5) ? np_build_1(r->b, NP_RSQRT, a)
               : is_num(b, -1)   ? np_build_1(r->b, NP_RECIP, a)
                                 : NULL;
    case NP_MIN:
    case NP_MAX: return a == b ? a : fold_clamp(r);
    case NP_LE:
    case NP_EQ: return a == b && !is_float(a) ? np_build_num(r->b, r->t, 1) : NULL; /* a NaN is not itself */
    case NP_LT:
    case NP_NE: return a == b && !is_float(a) ? np_build_num(r->b, r->t, 0) : NULL;
    case NP_XOR: return is_num(b, 0) ? a : a == b ? np_build_num(r->b, r->t, 0) : NULL;
    case NP_SHL:
    case NP_SHR: return is_num(b, 0) ? a : NULL;
    case NP_NEG: return a->op == NP_NEG ? a->arg[0] : NULL;
    case NP_NOT: return a->op == NP_NOT ? a->arg[0] : NULL;
    case NP_AND: return a == b ? a : is_num(b, 1) && a->type->dtype == NP_BOOL ? a : is_num(b, 0) ? b : NULL;
    case NP_OR: return a == b ? a : is_num(b, 0) ? a : is_num(b, 1) && a->type->dtype == NP_BOOL ? b : NULL;
    case NP_CAST: return a->type == r->t ? a : NULL;
    case NP_SELECT:
        return r->arg[1] == r->arg[2] ? r->arg[1] : is_splat(a) ? r->arg[a->num != 0 ? 1 : 2] : NULL;
    default: return NULL;
    }
}
static np_node *fold_compare(const req *r)
{
    if (r->op != NP_LT && r->op != NP_LE && r->op != NP_EQ && r->op != NP_NE) return NULL;
    int known = np_bounds_compare(r->b->cx, r->op, r->arg[0], r->arg[1]);
    return known < 0 ? NULL : np_build_num(r->b, r->t, known);
}

/* ---- orders of axes */
static np_node *fold_permute(const req *r)
{
    np_node *a = r->arg[0];
    const char *s = r->x->sym;
    size_t n = strcspn(s, "-");
    if (strncmp(s, s + n + 2, n) == 0) return a;
    if (a->op != NP_PERMUTE) return NULL;
    /* the outer letters, sent through the inner order: "ab->ba" after "xyz->..": one permute of the source */
    const char *in = a->sym, *out = in + n + 2;
    char spec[64];
    int k = 0;
    for (size_t i = 0; i < n; i++) spec[k++] = in[i];
    spec[k++] = '-', spec[k++] = '>';
    for (size_t i = 0; i < n; i++)
        spec[k++] = out[memchr(s, s[n + 2 + i], n) ? strchr(s, s[n + 2 + i]) - s : 0];
    spec[k] = 0;
    return np_build_permute(r->b, a->arg[0], spec);
}
/* contract of a permuted operand reads the operand itself with its letters in their old places */
static np_node *fold_contract(const req *r)
{
    char side[2][16], spec[64];
    np_node *arg[2] = {r->arg[0], r->arg[1]};
    const char *comma = strchr(r->x->sym, ','), *arrow = strstr(r->x->sym, "->");
    snprintf(side[0], sizeof side[0], "%.*s", (int)(comma - r->x->sym), r->x->sym);
    snprintf(side[1], sizeof side[1], "%.*s", (int)(arrow - comma) - 1, comma + 1);
    bool changed = false;
    for (int i = 0; i < 2; i++) {
        if (arg[i]->op != NP_PERMUTE) continue;
        const char *in = arg[i]->sym, *out = strstr(in, "->") + 2;
        char was[16];
        size_t n = strlen(out);
        memcpy(was, side[i], n + 1);
        for (size_t k = 0; k < n; k++) side[i][k] = was[strchr(out, in[k]) - out];
        arg[i] = arg[i]->arg[0];
        changed = true;
    }
    if (!changed) return NULL;
    snprintf(spec, sizeof spec, "%s,%s%s", side[0], side[1], arrow);
    return np_build_contract(r->b, arg[0], arg[1], spec);
}

/* ---- shapes */
static np_node *fold_shape(const req *r)
{
    np_node *a = r->arg[0];
    np_cx *cx = r->b->cx;
    const np_dim *const *at = r->x->attr;
    int k = at[0] ? axis(at[0]) : 0;
    switch (r->op) {
    case NP_SPLIT: /* undoes a merge of the same pair */
        return a->op == NP_MERGE && a->attr[0] == at[0] && a->arg[0]->type == r->t ? a->arg[0] : NULL;
    case NP_MERGE: return a->op == NP_SPLIT && a->attr[0] == at[0] ? a->arg[0] : NULL;
    case NP_SLICE:
        if (np_dim_is(at[1], 0) && at[2] == a->type->dim[k]) return a;
        if (a->op == NP_SLICE && a->attr[0] == at[0])
            return np_build_slice(r->b, a->arg[0], k, np_dim_add(cx, a->attr[1], at[1]), at[2]);
        if (a->op == NP_EXPAND && a->attr[0] == at[0]) return np_build_expand(r->b, a->arg[0], k, at[2]);
        return NULL;
    case NP_AT:
        if (a->op == NP_EXPAND && a->attr[0] == at[0]) return a->arg[0];
        if (a->op == NP_IOTA) return np_build_size(r->b, at[1]);
        if (a->op == NP_SLICE && a->attr[0] == at[0])
            return np_build_at(r->b, a->arg[0], k, np_dim_add(cx, a->attr[1], at[1]));
        return NULL;
    case NP_PAD: return np_dim_is(at[1], 0) && np_dim_is(at[2], 0) ? a : NULL;
    case NP_CONCAT: return r->n == 1 ? a : NULL;
    case NP_WINDOW: return np_dim_is(at[1], 1) ? np_build_expand(r->b, a, a->type->rank, at[1]) : NULL;
    case NP_APPEND: return np_dim_is(at[1], 0) ? a : NULL;
    case NP_REDUCE:
        return np_dim_is(a->type->dim[k], 1) ? np_build_at(r->b, a, k, np_dim_const(cx, 0)) : NULL;
    default: return NULL;
    }
}
/* What moves values about without making new ones, of the same value everywhere. */
static np_node *fold_splat(const req *r)
{
    switch (r->op) {
    case NP_PAD:
        if (r->arg[0]->num != r->x->num) return NULL;
        break;
    case NP_REDUCE:
        if (strcmp(r->x->sym, "sum") == 0) return NULL;
        int64_t lo, hi;
        np_dim_range(r->arg[0]->type->dim[axis(r->x->attr[0])], &lo, &hi);
        if (lo < 1) return NULL; /* of nothing it is an infinity */
        break;
    case NP_EXPAND:
    case NP_PERMUTE:
    case NP_SPLIT:
    case NP_MERGE:
    case NP_SLICE:
    case NP_AT: break;
    default: return NULL;
    }
    return np_build_num(r->b, r->t, r->arg[0]->num);
}

np_node *np_fold_node(np_build *b, np_op op, int nargs, np_node *const *arg, const np_extra *x,
                      const np_type *t)
{
    req r = {b, op, arg, nargs, x, t};
    np_node *n = NULL;
    int64_t k;
    if (op == NP_PICK) return arg[0]->type->tuple ? NULL : arg[0];
    if (op == NP_IOTA) return np_dim_is(x->attr[0], 1) ? np_build_num(b, t, 0) : NULL;
    if (op == NP_SIZE) return np_dim_int(x->attr[0], &k) ? np_build_num(b, t, (double)k) : NULL;
    if (np_op_info(op)->cls == NP_ELEM) return (n = fold_const(&r)) || (n = fold_arith(&r)) ? n : fold_compare(&r);
    if (op == NP_CONTRACT) return fold_contract(&r);
    if (np_op_info(op)->cls != NP_TENSOR || nargs == 0) return NULL;
    if (nargs == 1 && all_splat(&r) && (n = fold_splat(&r))) return n;
    return op == NP_PERMUTE ? fold_permute(&r) : fold_shape(&r);
}
