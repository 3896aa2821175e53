/* Whole-tensor operations in the interpreter: each is its definition, an index
 * of the result at a time. Most only move values: they are written as "which
 * source index does this result index come from". */
#include "eval.h"

#include <math.h>
#include <string.h>

double np_eval_round(const np_eval_run *r, np_dtype d, double v)
{
    return r->exact && np_dtype_class(d) == 'F' ? v : np_round_to(d, v);
}
/* One unit in the last place, relative, and that of the smallest numbers. */
static void units(np_dtype d, double *unit, double *least)
{
    *unit = d == NP_F16 ? 0x1p-10 : d == NP_BF16 ? 0x1p-7 : d == NP_F32 ? 0x1p-23 : 0x1p-52;
    *least = d == NP_F16 ? 0x1p-24 : d == NP_BF16 ? 0x1p-133 : d == NP_F32 ? 0x1p-149 : 0;
}
/* What rounding to d may have made of v; v itself without noise. */
static double shake(np_eval_run *r, np_dtype d, double v)
{
    /* whole numbers come from sums and products that are exact in any order */
    if (!r->noise || np_dtype_class(d) != 'F' || !isfinite(v) || v == trunc(v)) return v;
    uint64_t u = ++r->noise * 0x9e3779b97f4a7c15u;
    u = (u ^ (u >> 30)) * 0xbf58476d1ce4e5b9u;
    u = (u ^ (u >> 27)) * 0x94d049bb133111ebu;
    double unit, least;
    units(r->exact ? NP_F64 : d, &unit, &least);
    return v + ((double)(u >> 40) / 0x1p23 - 1) * fmax(fabs(v) * unit, least);
}
int64_t np_eval_dim(const np_eval_run *r, const np_dim *d)
{
    int64_t v;
    if (!np_dim_eval(d, &r->env, &v)) np_bug(r->cx, "the size %s has no value", np_dim_str(r->cx, d));
    return v;
}

static void elementwise(np_eval_run *r, const np_node *n, const np_tensor *const *arg, np_tensor *out)
{
    np_dtype d = n->op == NP_CAST ? n->type->dtype : arg[0]->dtype;
    bool number = np_dtype_class(n->type->dtype) == 'F';
    double v[3];
    if (n->op == NP_CAST && r->exact && number) d = NP_F64; /* to a narrower float: exact keeps all bits */
    for (int64_t i = 0, count = np_tensor_count(out); i < count; i++) {
        for (int k = 0; k < n->nargs; k++) v[k] = arg[k]->data[i];
        double x = np_fold_number(n->op, d, v);
        out->data[i] = number && !r->exact ? np_round_to(n->type->dtype, x) : x;
        if (number && n->op != NP_SELECT) out->data[i] = shake(r, n->type->dtype, out->data[i]);
    }
}

/* An axis seen as [outer, axis, inner]. */
typedef struct split3 {
    int64_t outer, n, inner;
} split3;
static split3 around(const np_tensor *t, int axis)
{
    split3 s = {1, t->dim[axis], 1};
    for (int i = 0; i < axis; i++) s.outer *= t->dim[i];
    for (int i = axis + 1; i < t->rank; i++) s.inner *= t->dim[i];
    return s;
}
/* out[.., k, ..] = value of `from` at index src of its axis,. */
static void along(const np_tensor *x, np_tensor *out, int axis, int64_t shift)
{
    split3 s = around(x, axis), o = around(out, axis);
    for (int64_t a = 0; a < s.outer; a++)
        for (int64_t k = 0; k < s.n; k++) {
            int64_t to = k + shift;
            if (to < 0 || to >= o.n) continue;
            memcpy(out->data + (a * o.n + to) * o.inner, x->data + (a * s.n + k) * s.inner, (size_t)s.inner * sizeof(double));
        }
}

static void reduce(np_eval_run *r, const np_node *n, const np_tensor *x, np_tensor *out)
{
    split3 s = around(x, (int)n->attr[0]->k);
    bool sum = n->sym[0] == 's';
    np_op op = sum ? NP_ADD : strcmp(n->sym, "max") == 0 ? NP_MAX : NP_MIN;
    for (int64_t a = 0; a < s.outer; a++)
        for (int64_t b = 0; b < s.inner; b++) {
            double v = np_fold_neutral(op, x->dtype);
            for (int64_t k = 0; k < s.n; k++) {
                double w[2] = {v, x->data[(a * s.n + k) * s.inner + b]};
                v = np_fold_number(op, x->dtype, w);
                if (!r->exact) v = np_round_to(x->dtype == NP_F16 || x->dtype == NP_BF16 ? NP_F32 : x->dtype, v);
                if (sum) v = shake(r, x->dtype, v);
            }
            out->data[a * s.inner + b] = np_eval_round(r, x->dtype, v);
        }
}
static void permute(const np_node *n, const np_tensor *x, np_tensor *out)
{
    int64_t step[NP_RANK], at[NP_RANK] = {0}, from = 0;
    const char *in = n->sym, *to = strstr(n->sym, "->") + 2;
    for (int i = 0; i < out->rank; i++) {
        int axis = (int)(strchr(in, to[i]) - in);
        step[i] = 1;
        for (int k = axis + 1; k < x->rank; k++) step[i] *= x->dim[k];
    }
    for (int64_t i = 0, count = np_tensor_count(out); i < count; i++) {
        out->data[i] = x->data[from];
        for (int k = out->rank - 1; k >= 0; k--) {
            from += step[k];
            if (++at[k] < out->dim[k]) break;
            from -= step[k] * at[k];
            at[k] = 0;
        }
    }
}
static void expand(const np_tensor *x, np_tensor *out, int axis)
{
    split3 o = around(out, axis);
    for (int64_t a = 0; a < o.outer; a++)
        for (int64_t k = 0; k < o.n; k++) memcpy(out->data + (a * o.n + k) * o.inner, x->data + a * o.inner, (size_t)o.inner * sizeof(double));
}
static void window(const np_node *n, const np_tensor *const *arg, np_tensor *out)
{
    const np_tensor *x = arg[0], *past = n->nargs > 1 ? arg[1] : NULL;
    int axis = (int)n->attr[0]->k;
    split3 s = around(x, axis);
    int64_t W = out->dim[out->rank - 1];
    for (int64_t a = 0; a < s.outer; a++)
        for (int64_t t = 0; t < s.n; t++)
            for (int64_t b = 0; b < s.inner; b++)
                for (int64_t w = 0; w < W; w++) {
                    int64_t k = t - (W - 1) + w; /* W-1 steps back at w = 0 */
                    double v = k >= 0 ? x->data[(a * s.n + k) * s.inner + b] : past ? past->data[(a * (W - 1) + k + W - 1) * s.inner + b] : 0;
                    out->data[((a * s.n + t) * s.inner + b) * W + w] = v;
                }
}
static void gather(const np_node *n, const np_tensor *table, const np_tensor *index, np_tensor *out)
{
    int batch = (int)n->attr[0]->k;
    int64_t shared = 1, rows, inner = 1, picks = 1;
    for (int i = 0; i < batch; i++) shared *= table->dim[i];
    for (int i = batch + 1; i < table->rank; i++) inner *= table->dim[i];
    for (int i = batch; i < index->rank; i++) picks *= index->dim[i];
    rows = table->dim[batch];
    for (int64_t a = 0; a < shared && rows > 0; a++)
        for (int64_t p = 0; p < picks; p++) {
            double want = index->data[a * picks + p];
            int64_t k = want < 0 ? 0 : want > (double)(rows - 1) ? rows - 1 : (int64_t)want;
            memcpy(out->data + (a * picks + p) * inner, table->data + (a * rows + k) * inner, (size_t)inner * sizeof(double));
        }
}
/* Noise goes into the operands: the terms of a sum are rounded, not only the sum. */
static np_tensor shaken(np_eval_run *r, const np_tensor *x)
{
    np_tensor t = np_tensor_copy(x);
    for (int64_t i = 0, n = np_tensor_count(&t); i < n; i++) t.data[i] = shake(r, t.dtype, t.data[i]);
    return t;
}
static void contract(np_eval_run *r, const np_node *n, const np_tensor *const *arg, np_tensor *out)
{
    bool single = !r->exact && np_dtype_class(out->dtype) == 'F' && out->dtype != NP_F64;
    np_tensor x = r->noise ? shaken(r, arg[0]) : *arg[0];
    np_eval_contract(!single, n->sym, &x, arg[1], out);
    for (int64_t i = 0, count = np_tensor_count(out); i < count; i++)
        out->data[i] = shake(r, out->dtype, np_eval_round(r, out->dtype, out->data[i]));
    if (r->noise) np_tensor_free(&x);
}
static void fill(np_tensor *out, double v)
{
    for (int64_t i = 0, count = np_tensor_count(out); i < count; i++) out->data[i] = v;
}

void np_eval_tensor(np_eval_run *r, const np_node *n, const np_tensor *const *arg, np_tensor *out)
{
    int axis = n->attr[0] && n->op != NP_IOTA && n->op != NP_SIZE ? (int)n->attr[0]->k : 0;
    int64_t at = 0;
    size_t bytes = (size_t)np_tensor_count(out) * sizeof *out->data;
    if (np_op_info(n->op)->cls == NP_ELEM) {
        elementwise(r, n, arg, out);
        return;
    }
    switch (n->op) {
    case NP_CONST:
        for (int64_t i = 0, count = np_tensor_count(out); i < count; i++) out->data[i] = np_eval_round(r, out->dtype, n->data ? n->data[i] : n->num);
        return;
    case NP_IOTA:
        for (int64_t i = 0; i < out->dim[0]; i++) out->data[i] = (double)i;
        return;
    case NP_SIZE: out->data[0] = (double)np_eval_dim(r, n->attr[0]); return;
    case NP_CONTRACT: contract(r, n, arg, out); return;
    case NP_REDUCE: reduce(r, n, arg[0], out); return;
    case NP_EXPAND: expand(arg[0], out, axis); return;
    case NP_PERMUTE: permute(n, arg[0], out); return;
    case NP_SPLIT:
    case NP_MERGE: memcpy(out->data, arg[0]->data, bytes); return;
    case NP_SLICE: along(arg[0], out, axis, -np_eval_dim(r, n->attr[1])); return;
    case NP_AT: {
        np_tensor one = *out; /* the result with the axis kept, of size 1 */
        one.rank++;
        for (int i = out->rank; i > axis; i--) one.dim[i] = one.dim[i - 1];
        one.dim[axis] = 1;
        along(arg[0], &one, axis, -np_eval_dim(r, n->attr[1]));
        return;
    }
    case NP_PAD:
        fill(out, n->num);
        along(arg[0], out, axis, np_eval_dim(r, n->attr[1]));
        return;
    case NP_CONCAT:
        for (int i = 0; i < n->nargs; i++) {
            along(arg[i], out, axis, at);
            at += arg[i]->dim[axis];
        }
        return;
    case NP_APPEND: {
        int64_t past = out->dim[axis] - arg[0]->dim[axis];
        if (n->nargs == 1 && past != 0) np_bug(r->cx, "append has no past, and %lld positions came before", (long long)past);
        if (n->nargs > 1) along(arg[1], out, axis, 0);
        along(arg[0], out, axis, past);
        return;
    }
    case NP_WINDOW: window(n, arg, out); return;
    case NP_GATHER: gather(n, arg[0], arg[1], out); return;
    default: np_bug(r->cx, "the interpreter does not know %s", np_op_info(n->op)->text);
    }
}
