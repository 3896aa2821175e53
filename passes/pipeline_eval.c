/* Did a pass change the answer? Both functions are interpreted in exact mode on
 * the same seeded inputs and states, for a few small sizes inside the declared
 * ranges. Weights that are not loaded are given seeded numbers meanwhile. */
#include "pipeline.h"

#include <stdlib.h>

static const double LIMIT = 1e-9;
enum { CASES = 4 };
static const int64_t sizes[CASES][3] = {{3, 2, 2}, {1, 0, 1}, {1, 4, 2}, {5, 0, 1}}; /* new, past, other */

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}
static void env_of_case(np_cx *cx, int which, np_env *e)
{
    const np_dim **sym;
    int n = np_dim_syms(cx, &sym);
    for (int i = 0; i < n && e->n < (int)NP_LEN(e->sym); i++) {
        int64_t v = sizes[which][sym[i]->role == NP_ROLE_TIME ? 0 : sym[i]->role == NP_ROLE_PAST ? 1 : 2];
        np_env_set(e, sym[i], clamp(v, sym[i]->lo, sym[i]->hi));
    }
}
/* A growing state is given with what is valid in it, whatever its capacity. */
static const np_dim *given_dim(const np_fn *f, int i, int k)
{
    const np_dim **sym;
    int state = i - f->ninputs;
    if (f->grow && state >= 0 && f->grow[state] == k)
        for (int j = 0, n = np_dim_syms(f->cx, &sym); j < n; j++)
            if (sym[j]->role == NP_ROLE_PAST) return sym[j];
    return f->top.param[i]->type->dim[k];
}
static bool make_inputs(const np_fn *f, int n, const np_env *e, np_tensor *in)
{
    for (int i = 0; i < n; i++) {
        const np_type *t = f->top.param[i]->type;
        int64_t dim[NP_RANK];
        for (int k = 0; k < t->rank; k++)
            if (!np_dim_eval(given_dim(f, i, k), e, &dim[k])) return false;
        in[i] = np_tensor_new(t->dtype, t->rank, dim);
        np_tensor_random(&in[i], 1 + (uint64_t)i);
    }
    return true;
}

/* Numbers for what is not loaded, taken back afterwards. */
static void lend_weights(np_mod *m, float **lent)
{
    for (int i = 0; i < m->nweights; i++) {
        np_weight *w = m->weight[i];
        if (w->data || w->by) continue;
        int64_t dim[NP_RANK];
        for (int k = 0; k < w->type->rank; k++) np_dim_int(w->type->dim[k], &dim[k]);
        np_tensor t = np_tensor_new(NP_F32, w->type->rank, dim);
        np_tensor_random(&t, 1000 + (uint64_t)i);
        int64_t n = np_tensor_count(&t);
        lent[i] = calloc((size_t)n + 1, sizeof *lent[i]);
        if (!lent[i]) exit(1);
        for (int64_t k = 0; k < n; k++) lent[i][k] = (float)t.data[k];
        np_tensor_free(&t);
        w->data = lent[i];
        w->stored = NP_F32;
    }
}
static void return_weights(np_mod *m, float **lent, int n)
{
    for (int i = 0; i < n; i++) {
        if (!lent[i]) continue;
        m->weight[i]->data = NULL;
        m->weight[i]->stored = m->weight[i]->type->dtype;
        free(lent[i]);
    }
}

typedef struct sides {
    const np_fn *f, *g;
    const char *pass;
    np_tensor *in, *a, *b;
    int nin, nout;
} sides;

static bool same_results(const sides *s, const np_env *e)
{
    const np_fn *f = s->f;
    for (int i = 0; i < s->nout; i++) {
        double far = np_tensor_distance(&s->b[i], &s->a[i]);
        if (far <= LIMIT) continue;
        np_text where = {0};
        for (int k = 0; k < e->n; k++) np_text_add(&where, "%s%s=%lld", k ? " " : "", e->sym[k]->name, (long long)e->value[k]);
        bool out = i < f->nouts;
        np_str name = out ? f->out_name[i] : f->top.param[f->ninputs + i - f->nouts]->name;
        np_error(f->cx, f->loc, "%s changes the answer of @%s: %s %s differs by %g (%s)", s->pass, f->name,
                 out ? "output" : "state", name, far, where.s ? where.s : "");
        np_text_free(&where);
        return false;
    }
    return true;
}
static bool one_case(sides *s, int which)
{
    np_env e = {0};
    np_eval_opts exact = {.exact = true};
    env_of_case(s->f->cx, which, &e);
    bool good = true, ran = false;
    if (make_inputs(s->f, s->nin, &e, s->in) && np_eval(s->f, s->in, s->a, &e, exact) == NP_OK) {
        ran = np_eval(s->g, s->in, s->b, &e, exact) == NP_OK;
        good = ran && same_results(s, &e);
        for (int i = 0; i < s->nout; i++) np_tensor_free(&s->a[i]);
        for (int i = 0; ran && i < s->nout; i++) np_tensor_free(&s->b[i]);
    }
    for (int i = 0; i < s->nin; i++) np_tensor_free(&s->in[i]);
    return good;
}

bool np_pipeline_compare(const np_fn *f, const np_fn *g, const char *pass)
{
    np_arena mem = {0};
    sides s = {.f = f, .g = g, .pass = pass, .nin = f->ninputs + f->nstates, .nout = f->nouts + f->nstates};
    s.in = np_arena_array(&mem, (size_t)s.nin + 1, sizeof *s.in);
    s.a = np_arena_array(&mem, (size_t)s.nout + 1, sizeof *s.a);
    s.b = np_arena_array(&mem, (size_t)s.nout + 1, sizeof *s.b);
    int nweights = f->mod->nweights;
    float **lent = np_arena_array(&mem, (size_t)nweights + 1, sizeof *lent);
    lend_weights(f->mod, lent);
    bool good = true;
    for (int i = 0; i < CASES && good; i++) good = one_case(&s, i);
    return_weights(f->mod, lent, nweights);
    np_arena_free(&mem);
    return good;
}
