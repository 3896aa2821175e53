/* Bounds of integer values as dims: iota over N+T lies in 0..N+T-1, size N is N.
 * With them comparisons of positions are decided when a function is built: in a
 * step, where T is 1, no position lies in the future and causal masks disappear.
 *
 * A bound is only given where the value cannot wrap around in its type for any
 * size inside the declared ranges. */
#include "ir.h"

enum { DEPTH = 16 };
typedef struct span {
    const np_dim *lo, *hi;
} span;

static bool fits(np_dtype d, const span *s)
{
    int64_t lo, hi, k,
        most = d == NP_I64 ? INT64_MAX / 8 : ((int64_t)1 << (8 * np_dtype_size(d) - (d != NP_U8))) - 1;
    np_dim_range(s->lo, &lo, &k);
    np_dim_range(s->hi, &k, &hi);
    return lo >= (d == NP_U8 ? 0 : -most - 1) && hi <= most;
}
static bool find(np_cx *cx, const np_node *n, span *s, int depth);
/* The operand that the parameter of a scan's body is a slice of, or NULL. */
static const np_node *fed(const np_node *param)
{
    const np_node *scan = param->in ? param->in->owner : NULL;
    int64_t seq;
    if (!scan || scan->op != NP_SCAN || !np_dim_int(scan->attr[0], &seq)) return NULL;
    for (int i = 0; i < seq; i++)
        if (scan->body[0]->param[i] == param) return scan->arg[i];
    return NULL;
}
static bool both(np_cx *cx, const np_node *n, span *a, span *b, int depth)
{
    return find(cx, n->arg[0], a, depth + 1) && find(cx, n->arg[1], b, depth + 1);
}
static bool find(np_cx *cx, const np_node *n, span *s, int depth)
{
    span a, b;
    const np_node *in;
    int64_t k, lo, hi;
    if (np_dtype_class(n->type->dtype) != 'I' || depth > DEPTH) return false;
    switch (n->op) {
    case NP_CONST:
        if (n->data) return false;
        s->lo = s->hi = np_dim_const(cx, (int64_t)n->num);
        break;
    case NP_SIZE: s->lo = s->hi = n->attr[0]; break;
    case NP_IOTA:
        s->lo = np_dim_const(cx, 0);
        s->hi = np_dim_sub(cx, n->attr[0], np_dim_const(cx, 1));
        break;
    case NP_PARAM: /* a slice of what is fed to a scan */
        if (!(in = fed(n)) || !find(cx, in, s, depth + 1)) return false;
        break;
    case NP_EXPAND:
    case NP_PERMUTE:
    case NP_SPLIT:
    case NP_MERGE:
    case NP_SLICE:
    case NP_AT:
        if (!find(cx, n->arg[0], s, depth + 1)) return false;
        break;
    case NP_CAST:
        if (np_dtype_class(n->arg[0]->type->dtype) != 'I' || !find(cx, n->arg[0], s, depth + 1)) return false;
        break;
    case NP_ADD:
        if (!both(cx, n, &a, &b, depth)) return false;
        s->lo = np_dim_add(cx, a.lo, b.lo), s->hi = np_dim_add(cx, a.hi, b.hi);
        break;
    case NP_SUB:
        if (!both(cx, n, &a, &b, depth)) return false;
        s->lo = np_dim_sub(cx, a.lo, b.hi), s->hi = np_dim_sub(cx, a.hi, b.lo);
        break;
    case NP_MIN:
        if (!both(cx, n, &a, &b, depth)) return false;
        s->lo = np_dim_min(cx, a.lo, b.lo), s->hi = np_dim_min(cx, a.hi, b.hi);
        break;
    case NP_MAX:
        if (!both(cx, n, &a, &b, depth)) return false;
        s->lo = np_dim_max(cx, a.lo, b.lo), s->hi = np_dim_max(cx, a.hi, b.hi);
        break;
    case NP_MOD: /* by a positive constant */
        if (!both(cx, n, &a, &b, depth) || !np_dim_int(b.lo, &k) || b.lo != b.hi || k < 1) return false;
        s->lo = np_dim_const(cx, 0), s->hi = np_dim_const(cx, k - 1);
        break;
    case NP_IDIV:
        if (!both(cx, n, &a, &b, depth) || !np_dim_int(b.lo, &k) || b.lo != b.hi || k < 1) return false;
        np_dim_range(a.lo, &lo, &hi);
        if (lo < 0) return false;
        s->lo = np_dim_floor(cx, a.lo, k), s->hi = np_dim_floor(cx, a.hi, k);
        break;
    default: return false;
    }
    return fits(n->type->dtype, s);
}
/* -1: not decided. */
static int less(np_cx *cx, const span *a, const span *b, int64_t by) /* a + by <= b */
{
    if (np_dim_le(cx, np_dim_add(cx, a->hi, np_dim_const(cx, by)), b->lo)) return 1;
    return np_dim_le(cx, np_dim_add(cx, b->hi, np_dim_const(cx, 1 - by)), a->lo) ? 0 : -1;
}
int np_bounds_compare(np_cx *cx, np_op op, const np_node *a, const np_node *b)
{
    span s, t;
    if (!find(cx, a, &s, 0) || !find(cx, b, &t, 0)) return -1;
    if (op == NP_LE) return less(cx, &s, &t, 0);
    if (op == NP_LT) return less(cx, &s, &t, 1);
    if (less(cx, &s, &t, 1) == 1 || less(cx, &t, &s, 1) == 1) return op == NP_NE;
    if (s.lo == s.hi && t.lo == t.hi && s.lo == t.lo) return op == NP_EQ;
    return -1;
}
