/* Two functions, the same seeded inputs and states, the interpreter in exact
 * mode, and the largest distance between what comes out. */
#include "same.h"

#include <string.h>

void np_same_weights(np_mod *m)
{
    for (int i = 0; i < m->nweights; i++) {
        np_weight *w = m->weight[i];
        int64_t dim[NP_RANK];
        if (w->data || w->by) continue;
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

/* ---- streaming */
int np_same_time_axis(np_cx *cx, const np_type *t)
{
    const np_dim **sym;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++)
        for (int k = 0; k < t->rank && sym[i]->role == NP_ROLE_TIME; k++)
            if (t->dim[k] == sym[i]) return k;
    return -1;
}
/* Copies n positions of an axis between tensors that differ only there. */
static void copy_positions(const np_tensor *from, int64_t a, np_tensor *to, int64_t b, int axis, int64_t n)
{
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < axis; i++) outer *= from->dim[i];
    for (int i = axis + 1; i < from->rank; i++) inner *= from->dim[i];
    for (int64_t o = 0; o < outer; o++)
        memcpy(to->data + (o * to->dim[axis] + b) * inner, from->data + (o * from->dim[axis] + a) * inner,
               (size_t)(n * inner) * sizeof(double));
}
np_tensor np_same_positions(const np_tensor *x, int axis, int64_t from, int64_t n)
{
    int64_t dim[NP_RANK];
    if (axis < 0) return np_tensor_copy(x);
    memcpy(dim, x->dim, sizeof dim);
    dim[axis] = n;
    np_tensor y = np_tensor_new(x->dtype, x->rank, dim);
    copy_positions(x, from, &y, 0, axis, n);
    return y;
}

enum { PORTS = 256 };
typedef struct stream {
    np_mod *m;
    const np_fn *main, *prefill;
    const np_tensor *in;
    np_tensor state[PORTS], got[PORTS];
    np_text *why;
} stream;
static void free_all(np_tensor *t, int n)
{
    for (int i = 0; i < n; i++) np_tensor_free(&t[i]);
}
static bool start(stream *s)
{
    np_tensor in[PORTS];
    np_env e = {0};
    int n = 0;
    if (np_eval_bind(s->main, s->in, &e) != NP_OK) return false; /* a batch */
    for (int i = 0; i < s->main->ninputs; i++)
        if (np_same_time_axis(s->m->cx, s->main->top.param[i]->type) < 0) in[n++] = s->in[i];
    return run(np_mod_fn(s->m, "init"), in, &e, s->state, s->why);
}
/* Positions from..from+n: the states are replaced, the outputs put into their places. */
static bool give_piece(stream *s, int64_t from, int64_t n)
{
    np_cx *cx = s->m->cx;
    const np_fn *f = np_mod_fn(s->m, n == 1 ? "step" : "prefill");
    np_tensor in[PORTS], out[PORTS];
    np_env e = {0};
    const np_dim **sym;
    int nin = f->ninputs, nstates = f->nstates;
    for (int i = 0, count = np_dim_syms(cx, &sym); i < count; i++)
        if (sym[i]->role != NP_ROLE_NONE) np_env_set(&e, sym[i], sym[i]->role == NP_ROLE_TIME ? n : from);
    for (int i = 0; i < nin; i++)
        in[i] = np_same_positions(&s->in[i], np_same_time_axis(cx, s->main->top.param[i]->type), from, n);
    memcpy(in + nin, s->state, (size_t)nstates * sizeof *in);
    bool good = run(f, in, &e, out, s->why);
    free_all(in, nin + nstates);
    memset(s->state, 0, sizeof s->state);
    if (!good) return false;
    memcpy(s->state, out + f->nouts, (size_t)nstates * sizeof *out);
    for (int i = 0; i < f->nouts; i++) {
        int axis = np_same_time_axis(cx, s->main->out_type[i]);
        if (axis >= 0) {
            copy_positions(&out[i], 0, &s->got[i], from, axis, n);
            np_tensor_free(&out[i]);
        } else { /* after the last position of the call */
            np_tensor_free(&s->got[i]);
            s->got[i] = out[i];
        }
    }
    return true;
}
/* A state that grows has one row for each position so far. */
static bool grown(const stream *s, int64_t positions)
{
    const np_fn *f = s->prefill;
    for (int i = 0; i < f->nstates; i++) {
        const np_node *p = f->top.param[f->ninputs + i];
        for (int k = 0; k < p->type->rank; k++)
            if (p->type->dim[k]->role == NP_ROLE_PAST && s->state[i].dim[k] != positions) {
                np_text_add(s->why, "state %s has %d rows after %d positions", p->name, (int)s->state[i].dim[k],
                            (int)positions);
                return false;
            }
    }
    return true;
}
static int64_t length(const stream *s)
{
    for (int i = 0; i < s->main->ninputs; i++) {
        int axis = np_same_time_axis(s->m->cx, s->main->top.param[i]->type);
        if (axis >= 0) return s->in[i].dim[axis];
    }
    return 0;
}
bool np_same_pieces(np_mod *m, const np_tensor *in, int n, const int64_t *piece, double tol, np_text *why)
{
    stream s = {.m = m, .main = np_mod_fn(m, "main"), .prefill = np_mod_fn(m, "prefill"), .in = in, .why = why};
    np_tensor whole[PORTS];
    np_env none = {0};
    int nouts = s.main->nouts;
    int64_t len = length(&s);
    if (!run(np_mod_fn(m, "whole"), in, &none, whole, why)) return false;
    for (int i = 0; i < nouts; i++) s.got[i] = np_tensor_copy(&whole[i]);
    bool good = start(&s);
    int64_t at = 0;
    for (int i = 0; at < len && good; i++) {
        int64_t k = piece[i < n ? i : n - 1];
        if (k > len - at) k = len - at;
        good = give_piece(&s, at, k) && grown(&s, at + k);
        at += k;
    }
    for (int i = 0; i < nouts && good; i++) {
        double far = np_tensor_distance(&s.got[i], &whole[i]);
        if (far <= tol) continue;
        np_text_add(why, "output %s differs by %g when it is given", s.main->out_name[i], far);
        for (int k = 0; k < n; k++) np_text_add(why, " %d", (int)piece[k]);
        np_text_add(why, " positions at a time");
        good = false;
    }
    free_all(whole, nouts);
    free_all(s.got, nouts);
    free_all(s.state, s.prefill->nstates);
    return good;
}
