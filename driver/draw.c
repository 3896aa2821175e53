/* Inputs for the theorems of neap check, drawn by rule: seeded, the same in
 * every run.
 *
 * An input lies between the least and the most that a self-test gives it, so
 * that gates stay gates. Without a self-test: what exp is taken of directly is
 * the logarithm of a decay and lies in [-1, 0]; other numbers lie in
 * [-1/2, 1/2], so that a state which may grow stays small for a few steps. The
 * same holds for weights, except that those of a matrix are smaller the longer
 * its rows are. */
#include "check.h"

#include <math.h>
#include <string.h>

/* ---- which inputs are logarithms */

/* The parameter of which n is a slice, a copy or another order; NULL: it was computed with. */
static const np_node *origin(const np_node *n)
{
    for (;;) {
        switch (n->op) {
        case NP_EXPAND:
        case NP_PERMUTE:
        case NP_SPLIT:
        case NP_MERGE:
        case NP_SLICE:
        case NP_AT: n = n->arg[0]; continue;
        case NP_PARAM: break;
        default: return NULL;
        }
        const np_node *scan = n->in->owner;
        int i = 0;
        if (!scan) return n;
        while (n->in->param[i] != n) i++;
        if (scan->op != NP_SCAN || i >= scan->attr[0]->k) return NULL;
        n = scan->arg[i];
    }
}

static void see_exp(void *env, const np_node *n)
{
    np_subject *s = env;
    const np_node *p = n->op == NP_EXP ? origin(n->arg[0]) : NULL;
    for (int i = 0; i < s->f->ninputs; i++)
        if (s->f->top.param[i] == p) s->log[i] = true;
}

/* ---- numbers */
static void range_of(const np_tensor *t, double *lo, double *hi)
{
    for (int64_t i = 0; i < np_tensor_count(t); i++) {
        *lo = fmin(*lo, t->data[i]);
        *hi = fmax(*hi, t->data[i]);
    }
}

static void spread(np_tensor *t, uint64_t seed, double lo, double hi)
{
    np_tensor_random(t, seed);
    if (np_dtype_class(t->dtype) != 'F') return;
    for (int64_t i = 0; i < np_tensor_count(t); i++)
        t->data[i] = np_round_to(t->dtype, lo + (hi - lo) * (t->data[i] + 1) / 2);
}

static const np_tensor *tested(const np_subject *s, const char *input)
{
    for (int k = 0; s->test && k < s->test->nin; k++)
        if (strcmp(s->test->in_name[k], input) == 0) return &s->test->in[k];
    return NULL;
}

np_status np_draw_inputs(np_subject *s)
{
    np_env e = {0};
    const np_dim *T = np_job_symbol(s->cx, NP_ROLE_TIME);
    if (T) np_env_set(&e, T, NP_CHECK_STEPS);
    s->in = np_arena_array(&s->cx->perm, (size_t)s->f->ninputs + 1, sizeof *s->in);
    s->log = np_arena_array(&s->cx->perm, (size_t)s->f->ninputs + 1, sizeof *s->log);
    np_fn_walk(s->f, see_exp, s);
    for (int i = 0; i < s->f->ninputs; i++) {
        const np_node *p = s->f->top.param[i];
        const np_tensor *like = tested(s, p->name);
        double lo = INFINITY, hi = -(double)INFINITY;
        int64_t dim[NP_RANK];
        for (int k = 0; k < p->type->rank; k++) {
            if (np_dim_eval(p->type->dim[k], &e, &dim[k])) continue;
            np_error(s->cx, p->loc, "the size %s of input %s has no value",
                     np_dim_str(s->cx, p->type->dim[k]), p->name);
            return NP_FAIL;
        }
        if (like) range_of(like, &lo, &hi);
        bool good = isfinite(lo) && isfinite(hi);
        if (good) s->log[i] = hi <= 0 && lo < hi;
        if (!good) lo = s->log[i] ? -1 : -0.5, hi = s->log[i] ? 0 : 0.5;
        s->in[i] = np_tensor_new(p->type->dtype, p->type->rank, dim);
        spread(&s->in[i], 1 + (uint64_t)i, lo, hi);
    }
    return NP_OK;
}

int64_t np_draw_numbers(const np_mod *m)
{
    int64_t all = 0;
    for (int i = 0; i < m->nweights; i++) {
        int64_t n = 1, d = 1;
        for (int k = 0; k < m->weight[i]->type->rank; k++)
            n *= np_dim_int(m->weight[i]->type->dim[k], &d) ? d : 1;
        all += n;
    }
    return all;
}

static void weight_range(const np_subject *s, const np_weight *w, double *lo, double *hi)
{
    const np_weight *like = s->test ? np_mod_weight(s->test->model->mod, w->name) : NULL;
    int64_t n = 1, last = 1;
    for (int k = 0; k < w->type->rank && np_dim_int(w->type->dim[k], &last); k++) n *= last;
    for (int64_t i = 0; like && like->stored == NP_F64 && like->type->rank == w->type->rank && i < n; i++) {
        *lo = fmin(*lo, ((const double *)like->data)[i]);
        *hi = fmax(*hi, ((const double *)like->data)[i]);
    }
    if (isfinite(*lo) && *lo < *hi) return;
    *hi = w->type->rank > 1 ? 1 / sqrt((double)last) : 1;
    *lo = -*hi;
}

void np_draw_weights(np_subject *s)
{
    np_mod *m = s->job.model->mod;
    for (int i = 0; i < m->nweights; i++) {
        np_weight *w = m->weight[i];
        int64_t dim[NP_RANK];
        double lo = INFINITY, hi = -(double)INFINITY;
        if (w->data || w->by) continue;
        for (int k = 0; k < w->type->rank; k++) np_dim_int(w->type->dim[k], &dim[k]);
        weight_range(s, w, &lo, &hi);
        np_tensor t = np_tensor_new(NP_F64, w->type->rank, dim);
        spread(&t, 1000 + (uint64_t)i, lo, hi);
        for (int64_t k = 0; k < np_tensor_count(&t); k++) t.data[k] = np_round_to(w->type->dtype, t.data[k]);
        w->stored = NP_F64;
        w->data = np_arena_copy(&m->cx->perm, t.data, (size_t)np_tensor_count(&t) * sizeof *t.data);
        np_tensor_free(&t);
    }
}

/* ---- changes */
int np_draw_batch(const np_node *n)
{
    int axis = 0;
    for (const char *p = n->axes; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL, axis++)
        if (*p == 'B' && (p[1] == ',' || p[1] == 0)) return axis < n->type->rank ? axis : -1;
    return -1;
}

static int time_axis(const np_subject *s, int i)
{
    return np_pieces_axis(s->f->top.param[i]->type, np_job_symbol(s->cx, NP_ROLE_TIME));
}

/* The index of element i of t along an axis. */
static int64_t along(const np_tensor *t, int axis, int64_t i)
{
    for (int k = t->rank - 1; k > axis; k--) i /= t->dim[k];
    return i % t->dim[axis];
}

static double other(const np_tensor *t, bool log, double size, double v)
{
    if (t->dtype == NP_BOOL) return v == 0;
    if (np_dtype_class(t->dtype) != 'F') return v + 1;
    v = np_round_to(t->dtype, size * (0.75 - v / 2));
    return log ? -fabs(v) : v;
}

static int change(const np_subject *s, np_tensor *in, bool batch, int64_t from, double size)
{
    int seen = 0;
    for (int i = 0; i < s->f->ninputs; i++) {
        np_tensor *t = &in[i];
        int axis = batch ? np_draw_batch(s->f->top.param[i]) : time_axis(s, i);
        if (axis < 0 || t->dim[axis] <= from) continue;
        seen++;
        for (int64_t k = 0; k < np_tensor_count(t); k++)
            if (along(t, axis, k) >= from) t->data[k] = other(t, s->log[i], size, t->data[k]);
    }
    return seen;
}

int np_draw_future(const np_subject *s, np_tensor *in, int64_t from, double size)
{
    return change(s, in, false, from, size);
}

int np_draw_rows(const np_subject *s, np_tensor *in, double size)
{
    return change(s, in, true, 1, size);
}

/* Half of the logarithms down to -20, some 0, some -inf; all of the first channel -inf where blocks of 16 begin
 * and end. */
int np_draw_hard(const np_subject *s, np_tensor *in)
{
    int seen = 0;
    for (int i = 0; i < s->f->ninputs; i++) {
        np_tensor *t = &in[i], u = {0};
        int axis = time_axis(s, i);
        if (!s->log[i] || axis < 0) continue;
        seen++;
        u = np_tensor_new(NP_F64, t->rank, t->dim);
        np_tensor_random(&u, 77);
        for (int64_t k = 0; k < np_tensor_count(t); k++) {
            double r = (u.data[k] + 1) / 2;
            int64_t step = along(t, axis, k);
            bool edge = step % 16 == 0 || step % 16 == 15;
            bool first = t->rank == 1 || along(t, t->rank - 1 == axis ? axis - 1 : t->rank - 1, k) == 0;
            t->data[k] = (edge && first) || r < 0.05 ? -(double)INFINITY
                         : r < 0.15                  ? 0
                         : r < 0.65                  ? -40 * (r - 0.15)
                                                     : t->data[k] / 16;
        }
        np_tensor_free(&u);
    }
    return seen;
}

int np_draw_poison(const np_subject *s, np_tensor *in, int64_t at)
{
    static const double poison[] = {NAN, INFINITY, -(double)INFINITY};
    int seen = 0;
    for (int i = 0; i < s->f->ninputs; i++) {
        np_tensor *t = &in[i];
        int axis = time_axis(s, i), batch = np_draw_batch(s->f->top.param[i]);
        if (axis < 0 || t->dim[axis] <= at || np_dtype_class(t->dtype) != 'F') continue;
        seen++;
        for (int64_t k = 0; k < np_tensor_count(t); k++)
            if (along(t, axis, k) == at && (batch < 0 || along(t, batch, k) == t->dim[batch] - 1))
                t->data[k] = poison[(k + i) % 3];
    }
    return seen;
}
