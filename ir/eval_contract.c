/* Contraction in the interpreter. Small ones are nested loops over letters, as
 * the definition says; above a size the letters are sorted into batch, rows,
 * columns and sum, the operands are copied into that order, and OpenBLAS does
 * the products. */
#include "eval.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 3 * NP_RANK, BY_BLAS = 32 * 1024 };
typedef struct letter {
    char c;
    int64_t n, sa, sb, so; /* size; strides, 0 where the letter is absent */
    bool a, b, o;
} letter;
typedef struct plan {
    letter l[MOST];
    int n, nout; /* letters of the result first */
} plan;

static int64_t stride(const np_tensor *t, int axis)
{
    int64_t s = 1;
    for (int i = t->rank - 1; i > axis; i--) s *= t->dim[i];
    return s;
}
static letter *get(plan *p, char c)
{
    int i = 0;
    while (i < p->n && p->l[i].c != c) i++;
    if (i == p->n) p->l[p->n++] = (letter){.c = c};
    return &p->l[i];
}
static plan plan_of(const char *spec, const np_tensor *a, const np_tensor *b, const np_tensor *o)
{
    plan p = {0};
    const char *comma = strchr(spec, ','), *out = strstr(spec, "->") + 2;
    for (int i = 0; out[i]; i++) {
        letter *l = get(&p, out[i]);
        l->n = o->dim[i], l->so = stride(o, i), l->o = true;
    }
    p.nout = p.n;
    for (int i = 0; spec + i < comma; i++) {
        letter *l = get(&p, spec[i]);
        l->n = a->dim[i], l->sa = stride(a, i), l->a = true;
    }
    for (int i = 0; comma + 1 + i < out - 2; i++) {
        letter *l = get(&p, comma[1 + i]);
        l->n = b->dim[i], l->sb = stride(b, i), l->b = true;
    }
    return p;
}

/* Sum over the letters from `i` on. */
static double sum_f64(const plan *p, int i, const double *a, const double *b)
{
    if (i == p->n) return *a * *b;
    double s = 0;
    for (int64_t k = 0; k < p->l[i].n; k++) s += sum_f64(p, i + 1, a + k * p->l[i].sa, b + k * p->l[i].sb);
    return s;
}
static float sum_f32(const plan *p, int i, const double *a, const double *b)
{
    if (i == p->n) return (float)*a * (float)*b;
    float s = 0;
    for (int64_t k = 0; k < p->l[i].n; k++) s += sum_f32(p, i + 1, a + k * p->l[i].sa, b + k * p->l[i].sb);
    return s;
}
static void plain(const plan *p, bool exact, int i, const double *a, const double *b, double *o)
{
    if (i == p->nout) {
        *o = exact ? sum_f64(p, i, a, b) : (double)sum_f32(p, i, a, b);
        return;
    }
    const letter *l = &p->l[i];
    for (int64_t k = 0; k < l->n; k++) plain(p, exact, i + 1, a + k * l->sa, b + k * l->sb, o + k * l->so);
}

/* ---- by OpenBLAS */
typedef struct order { /* letters of one operand in the order batch, outer, inner */
    int n;
    int64_t size[MOST], from[MOST];
} order;
static void add(order *r, const plan *p, bool a, bool b, bool o, int operand, int64_t *count)
{
    for (int i = 0; i < p->n; i++) {
        const letter *l = &p->l[i];
        if (l->a != a || l->b != b || l->o != o) continue;
        r->size[r->n] = l->n;
        r->from[r->n++] = operand == 0 ? l->sa : operand == 1 ? l->sb : l->so;
        *count *= l->n;
    }
}
/* Walks the order; copies between the packed run of values and the strided tensor. */
static void move(const order *r, int i, double **packed, double *strided, bool in)
{
    if (i == r->n) {
        if (in) *(*packed)++ = *strided;
        else *strided = *(*packed)++;
        return;
    }
    for (int64_t k = 0; k < r->size[i]; k++) move(r, i + 1, packed, strided + k * r->from[i], in);
}
static float *narrow(const double *v, int64_t n)
{
    float *f = malloc((size_t)(n + 1) * sizeof *f);
    for (int64_t i = 0; i < n; i++) f[i] = (float)v[i];
    return f;
}
static void products(bool exact, int64_t batch, int64_t m, int64_t n, int64_t k, const double *a, const double *b, double *c)
{
    if (exact) {
        for (int64_t i = 0; i < batch; i++)
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a + i * m * k, (int)(k ? k : 1), b + i * k * n,
                        (int)(n ? n : 1), 0, c + i * m * n, (int)(n ? n : 1));
        return;
    }
    float *x = narrow(a, batch * m * k), *y = narrow(b, batch * k * n), *z = calloc((size_t)(m * n) + 1, sizeof *z);
    for (int64_t i = 0; i < batch; i++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, x + i * m * k, (int)(k ? k : 1), y + i * k * n,
                    (int)(n ? n : 1), 0, z, (int)(n ? n : 1));
        for (int64_t j = 0; j < m * n; j++) c[i * m * n + j] = (double)z[j];
    }
    free(x), free(y), free(z);
}
static void by_blas(const plan *p, bool exact, const np_tensor *a, const np_tensor *b, np_tensor *o)
{
    int64_t batch = 1, m = 1, n = 1, k = 1, skip = 1;
    order oa = {0}, ob = {0}, oo = {0};
    add(&oa, p, true, true, true, 0, &batch), add(&oa, p, true, false, true, 0, &m), add(&oa, p, true, true, false, 0, &k);
    add(&ob, p, true, true, true, 1, &skip), add(&ob, p, true, true, false, 1, &skip), add(&ob, p, false, true, true, 1, &n);
    add(&oo, p, true, true, true, 2, &skip), add(&oo, p, true, false, true, 2, &skip), add(&oo, p, false, true, true, 2, &skip);
    double *x = malloc((size_t)(batch * m * k + 1) * sizeof *x), *y = malloc((size_t)(batch * k * n + 1) * sizeof *y);
    double *z = calloc((size_t)(batch * m * n) + 1, sizeof *z), *at;
    if (!x || !y || !z) exit(1);
    move(&oa, 0, (at = x, &at), a->data, true);
    move(&ob, 0, (at = y, &at), b->data, true);
    products(exact, batch, m, n, k, x, y, z);
    move(&oo, 0, (at = z, &at), o->data, false);
    free(x), free(y), free(z);
}

void np_eval_contract(bool exact, const char *spec, const np_tensor *a, const np_tensor *b, np_tensor *out)
{
    plan p = plan_of(spec, a, b, out);
    double work = 1;
    bool regular = true; /* every letter is batch, row, column or sum */
    for (int i = 0; i < p.n; i++) {
        work *= (double)p.l[i].n;
        regular &= p.l[i].a + p.l[i].b + p.l[i].o >= 2;
    }
    if (work == 0) memset(out->data, 0, (size_t)np_tensor_count(out) * sizeof *out->data);
    else if (work >= (double)BY_BLAS && regular) by_blas(&p, exact, a, b, out);
    else plain(&p, exact, 0, a->data, b->data, out->data);
}
