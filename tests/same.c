/* Two functions, the same seeded inputs and states, the interpreter in exact
 * mode, and the largest distance between what comes out. */
#include "same.h"

#include <string.h>

void np_same_weights(np_mod *m)
{
    for (int i = 0; i < m->nweights; i++) {
        np_weight *w = m->weight[i];
        int64_t dim[NP_RANK];
        if (w->data || w->from) continue;
        for (int k = 0; k < w->type->rank; k++)
            if (!np_dim_int(w->type->dim[k], &dim[k])) dim[k] = 0;
        np_tensor t = np_tensor_new(w->type->dtype, w->type->rank, dim);
        np_tensor_random(&t, 1000 + (uint64_t)i);
        w->data = np_arena_copy(&m->cx->perm, t.data, (size_t)np_tensor_count(&t) * sizeof *t.data);
        w->stored = NP_F64;
        np_tensor_free(&t);
    }
}

void np_same_env(np_cx *cx, np_env *e)
{
    const np_dim **sym;
    int64_t v;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++) {
        if (np_env_get(e, sym[i], &v)) continue;
        v = sym[i]->role == NP_ROLE_TIME ? 3 : sym[i]->role == NP_ROLE_PAST ? 0 : 2;
        np_env_set(e, sym[i], v < sym[i]->lo ? sym[i]->lo : v > sym[i]->hi ? sym[i]->hi : v);
    }
}

/* The size of axis k as a caller sees it: a growing state has the past there, not its capacity. */
static const np_dim *seen_dim(const np_fn *f, int i, int k)
{
    const np_dim **sym;
    int state = i - f->ninputs, n = np_dim_syms(f->cx, &sym);
    bool grows = state >= 0 && state < f->nstates && f->grow && f->grow[state] == k;
    for (int j = 0; j < n && grows; j++)
        if (sym[j]->role == NP_ROLE_PAST) return sym[j];
    return f->top.param[i]->type->dim[k];
}
bool np_same_inputs(const np_fn *f, const np_env *e, uint64_t seed, np_tensor *in)
{
    int n = f->ninputs + f->nstates;
    memset(in, 0, (size_t)n * sizeof *in);
    for (int i = 0; i < n; i++) {
        const np_type *t = f->top.param[i]->type;
        int64_t dim[NP_RANK];
        for (int k = 0; k < t->rank; k++)
            if (!np_dim_eval(seen_dim(f, i, k), e, &dim[k]) || dim[k] < 0) return false;
        in[i] = np_tensor_new(t->dtype, t->rank, dim);
        np_tensor_random(&in[i], seed * 100 + (uint64_t)i);
    }
    return true;
}

static const char *result_name(const np_fn *f, int i)
{
    np_str s = i < f->nouts ? f->out_name[i] : f->top.param[f->ninputs + i - f->nouts]->name;
    return s ? s : "";
}
/* The two functions may come from two contexts: sizes go over by name. */
static np_env env_of(np_cx *cx, const np_env *e)
{
    np_env r = {0};
    for (int i = 0; i < e->n; i++) np_env_set(&r, np_dim_sym(cx, e->sym[i]->name), e->value[i]);
    return r;
}
static bool run(const np_fn *f, const np_tensor *in, const np_env *e, np_tensor *out, np_text *why)
{
    np_env mine = env_of(f->cx, e);
    if (np_eval(f, in, out, &mine, (np_eval_opts){.exact = true}) == NP_OK) return true;
    np_text_add(why, "@%s cannot be evaluated: %s", f->name, f->cx->ndiags ? f->cx->diag[f->cx->ndiags - 1].text : "");
    return false;
}
bool np_same_answers(const np_fn *f, const np_fn *g, const np_env *e, uint64_t seed, double tol, np_text *why)
{
    int nin = f->ninputs + f->nstates, n = f->nouts + f->nstates;
    np_arena mem = {0};
    np_tensor *in = np_arena_array(&mem, (size_t)nin + 1, sizeof *in), *a = np_arena_array(&mem, (size_t)n + 1, sizeof *a);
    np_tensor *b = np_arena_array(&mem, (size_t)n + 1, sizeof *b);
    bool good = f->ninputs == g->ninputs && f->nstates == g->nstates && f->nouts == g->nouts;
    if (!good) np_text_add(why, "@%s has other inputs, states or outputs than before", f->name);
    if (good && !np_same_inputs(f, e, seed, in)) {
        np_text_add(why, "@%s: a size of an input has no value", f->name);
        good = false;
    }
    good = good && run(f, in, e, a, why) && run(g, in, e, b, why);
    for (int i = 0; i < n && good; i++) {
        double far = np_tensor_distance(&b[i], &a[i]);
        if (far <= tol) continue;
        np_text_add(why, "@%s: %s %s differs by %g", f->name, i < f->nouts ? "output" : "state", result_name(f, i), far);
        for (int k = 0; k < e->n; k++) np_text_add(why, " %s=%lld", e->sym[k]->name, (long long)e->value[k]);
        good = false;
    }
    for (int i = 0; i < nin; i++) np_tensor_free(&in[i]);
    for (int i = 0; i < n; i++) np_tensor_free(&a[i]), np_tensor_free(&b[i]);
    np_arena_free(&mem);
    return good;
}
