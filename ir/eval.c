/* The reference interpreter: runs a function at any stage, obviously rather than
 * quickly, and is the oracle of all tests. Values live in one table by node id;
 * a body that runs again overwrites them. Buffers of the LOOP stage start as
 * NaN, so that reading what was never written shows. */
#include "eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- binding symbols to the shapes of what comes in */
/* d = value with at most one unknown symbol, of coefficient 1: solved. */
static bool solve(const np_dim *d, int64_t value, np_env *e)
{
    int64_t v;
    if (np_dim_eval(d, e, &v)) return v == value;
    if (d->kind == NP_DIM_SYM) {
        np_env_set(e, d, value);
        return true;
    }
    if (d->kind != NP_DIM_ADD) return false;
    const np_dim *unknown = NULL;
    int64_t known = d->k;
    for (int i = 0; i < d->nargs; i++) {
        if (np_dim_eval(d->arg[i], e, &v)) known += v;
        else if (!unknown && d->arg[i]->kind == NP_DIM_SYM) unknown = d->arg[i];
        else return false;
    }
    np_env_set(e, unknown, value - known);
    return value >= known;
}
/* Dim k of parameter i as the caller sees it: a growing state has N there, not its capacity. */
static const np_dim *caller_dim(const np_fn *f, int i, int k)
{
    int state = i - f->ninputs;
    if (state >= 0 && state < f->nstates && f->grow && f->grow[state] == k) {
        const np_dim **sym;
        for (int j = 0, n = np_dim_syms(f->cx, &sym); j < n; j++)
            if (sym[j]->role == NP_ROLE_PAST) return sym[j];
    }
    return f->top.param[i]->type->dim[k];
}
np_status np_eval_bind(const np_fn *f, const np_tensor *in, np_env *e)
{
    int n = f->ninputs + f->nstates;
    for (int pass = 0; pass < 2; pass++) /* plain symbols first, then sums */
        for (int i = 0; i < n; i++) {
            const np_node *p = f->top.param[i];
            bool good = p->type->rank == in[i].rank;
            for (int k = 0; k < p->type->rank && good; k++) {
                const np_dim *d = caller_dim(f, i, k);
                if (pass == 1 || d->kind == NP_DIM_SYM || d->kind == NP_DIM_CONST) good = solve(d, in[i].dim[k], e);
            }
            if (good) continue;
            np_text t = {0};
            for (int k = 0; k < in[i].rank; k++) np_text_add(&t, "%s%lld", k ? "," : "", (long long)in[i].dim[k]);
            np_error(f->cx, p->loc, "%s is %s, and [%s] was given", p->name ? p->name : "an input", np_type_str(f->cx, p->type), t.s ? t.s : "");
            np_text_free(&t);
            return NP_FAIL;
        }
    return NP_OK;
}
/* What no shape binds: time is one step, nothing came before. */
static void bind_rest(np_cx *cx, np_env *e)
{
    const np_dim **sym;
    int64_t v;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++)
        if (!np_env_get(e, sym[i], &v) && sym[i]->role != NP_ROLE_NONE) np_env_set(e, sym[i], sym[i]->role == NP_ROLE_TIME);
}

/* ---- the table of values */
static void drop(np_value *v)
{
    if (!v->borrowed && v->t.data != &v->scalar) free(v->t.data);
    *v = (np_value){0};
}
static void shape_of(np_eval_run *r, const np_type *t, int64_t *dim)
{
    for (int i = 0; i < t->rank; i++) dim[i] = np_eval_dim(r, t->dim[i]);
}
static np_tensor *make(np_eval_run *r, const np_node *n)
{
    np_value *v = &r->val[n->id];
    if (n->type->rank == 0) {
        v->t = (np_tensor){.dtype = n->type->dtype, .data = &v->scalar};
        return &v->t;
    }
    int64_t dim[NP_RANK];
    shape_of(r, n->type, dim);
    drop(v);
    v->t = np_tensor_new(n->type->dtype, n->type->rank, dim);
    return &v->t;
}
static void own(np_value *v, np_tensor t)
{
    drop(v);
    v->t = t;
}
static void lend(np_value *v, const np_tensor *t)
{
    drop(v);
    v->t = *t;
    v->borrowed = true;
}
/* Result k of a node with bodies. */
static void give(np_eval_run *r, const np_node *n, int k, np_tensor t)
{
    if (!n->type->tuple) {
        own(&r->val[n->id], t);
        return;
    }
    if (!r->parts[n->id]) r->parts[n->id] = calloc((size_t)n->type->width + 1, sizeof **r->parts);
    np_tensor_free(&r->parts[n->id][k]);
    r->parts[n->id][k] = t;
}

static void run_block(np_eval_run *r, const np_block *b);
static const np_tensor *value(np_eval_run *r, const np_node *n)
{
    return &r->val[n->id].t;
}

/* ---- bodies */
static np_tensor stacked(np_eval_run *r, const np_type *t)
{
    int64_t dim[NP_RANK];
    shape_of(r, t, dim);
    return np_tensor_new(t->dtype, t->rank, dim);
}
static void run_scan(np_eval_run *r, const np_node *n)
{
    const np_block *body = n->body[0];
    int seq = (int)n->attr[0]->k, nstates = n->nargs - seq, nouts = body->last->nargs - nstates;
    int64_t steps = np_eval_dim(r, n->attr[1]);
    bool back = np_dim_is(n->attr[2], 1);
    np_tensor *out = calloc((size_t)nouts + 1, sizeof *out), *state = calloc((size_t)nstates + 1, sizeof *state);
    for (int i = 0; i < nouts; i++) out[i] = stacked(r, np_result_type(n, i));
    for (int i = 0; i < nstates; i++) state[i] = np_tensor_copy(value(r, n->arg[seq + i]));
    for (int64_t s = 0; s < steps; s++) {
        int64_t t = back ? steps - 1 - s : s;
        for (int i = 0; i < seq; i++) {
            np_tensor slice = *value(r, n->arg[i]);
            slice.rank--;
            memmove(slice.dim, slice.dim + 1, (size_t)slice.rank * sizeof *slice.dim);
            slice.data += t * np_tensor_count(&slice);
            lend(&r->val[body->param[i]->id], &slice);
        }
        for (int i = 0; i < nstates; i++) lend(&r->val[body->param[seq + i]->id], &state[i]);
        run_block(r, body);
        for (int i = 0; i < nouts; i++) {
            const np_tensor *y = value(r, body->last->arg[i]);
            int64_t count = np_tensor_count(y);
            memcpy(out[i].data + t * count, y->data, (size_t)count * sizeof *y->data);
        }
        np_tensor *next = calloc((size_t)nstates + 1, sizeof *next);
        for (int i = 0; i < nstates; i++) next[i] = np_tensor_copy(value(r, body->last->arg[nouts + i]));
        for (int i = 0; i < nstates; i++) np_tensor_free(&state[i]);
        free(state);
        state = next;
    }
    for (int i = 0; i < nouts; i++) give(r, n, i, out[i]);
    for (int i = 0; i < nstates; i++) give(r, n, nouts + i, state[i]);
    free(out), free(state);
}
static void give_yields(np_eval_run *r, const np_node *n, const np_block *b)
{
    for (int i = 0; i < b->last->nargs; i++) give(r, n, i, np_tensor_copy(value(r, b->last->arg[i])));
}
static void run_loop(np_eval_run *r, const np_node *n)
{
    const np_block *body = n->body[0];
    int64_t end = np_eval_dim(r, n->attr[0]), from = np_eval_dim(r, n->attr[1]), step = np_eval_dim(r, n->attr[2]);
    if (step <= 0) np_bug(r->cx, "a loop with step %lld", (long long)step);
    np_value *counter = &r->val[body->param[0]->id];
    for (int i = 0; i < n->nargs; i++) own(&r->val[body->param[1 + i]->id], np_tensor_copy(value(r, n->arg[i])));
    for (int64_t i = from; i < end; i += step) {
        counter->scalar = (double)i;
        counter->t = (np_tensor){.dtype = NP_I64, .data = &counter->scalar};
        run_block(r, body);
        np_tensor next[64];
        if (n->nargs > (int)NP_LEN(next)) np_bug(r->cx, "a loop that carries %d values", n->nargs);
        for (int k = 0; k < n->nargs; k++) next[k] = np_tensor_copy(value(r, body->last->arg[k]));
        for (int k = 0; k < n->nargs; k++) own(&r->val[body->param[1 + k]->id], next[k]);
    }
    for (int k = 0; k < n->nargs; k++) give(r, n, k, np_tensor_copy(value(r, body->param[1 + k])));
}

/* ---- memory */
/* A clamped index is 0 where an axis has no elements: there is nothing to load,
 * and what is loaded is not selected. */
static bool nothing_there(np_eval_run *r, const np_node *load)
{
    const np_tensor *b = value(r, load->arg[0]);
    for (int i = 0; i < b->rank; i++)
        if (b->dim[i] == 0 && value(r, load->arg[1 + i])->data[0] == 0) return true;
    return false;
}
static double *cell(np_eval_run *r, const np_node *n, int first)
{
    const np_tensor *b = value(r, n->arg[0]);
    int64_t at = 0;
    for (int i = 0; i < b->rank; i++) {
        int64_t k = (int64_t)value(r, n->arg[first + i])->data[0];
        if (k < 0 || k >= b->dim[i]) {
            np_text t = {0};
            np_print_node(&t, n);
            np_bug(r->cx, "index %lld of axis %d, which has %lld: %s", (long long)k, i, (long long)b->dim[i], t.s);
        }
        at = at * b->dim[i] + k;
    }
    return b->data + at;
}
static void run_alloc(np_eval_run *r, const np_node *n)
{
    np_tensor *t = make(r, n);
    for (int64_t i = 0, count = np_tensor_count(t); i < count; i++) t->data[i] = NAN;
}
static void run_weight(np_eval_run *r, const np_node *n)
{
    if (r->val[n->id].t.data) return; /* the same every time */
    np_tensor t = np_eval_weight(r->f->mod, np_mod_weight(r->f->mod, n->sym), r->exact);
    if (t.rank > 0) {
        own(&r->val[n->id], t);
        return;
    }
    make(r, n)->data[0] = t.data[0];
    np_tensor_free(&t);
}

static void run_call(np_eval_run *r, const np_node *n)
{
    const np_fn *f = np_mod_fn(r->f->mod, n->sym);
    if (!f || f == r->f) np_bug(r->cx, "call @%s, which does not stand before", n->sym);
    np_tensor *in = calloc((size_t)n->nargs + 1, sizeof *in);
    np_tensor *out = calloc((size_t)(f->nouts + f->nstates) + 1, sizeof *out);
    for (int i = 0; i < n->nargs; i++) in[i] = *value(r, n->arg[i]);
    if (np_eval(f, in, out, &r->env, (np_eval_opts){.exact = r->exact, .noise = r->noise}) != NP_OK)
        np_bug(r->cx, "call @%s: sizes that do not fit", n->sym);
    for (int i = 0; i < f->nouts + f->nstates; i++) give(r, n, i, out[i]);
    free(in), free(out);
}
static void run_node(np_eval_run *r, const np_node *n)
{
    const np_tensor *arg[64];
    switch (n->op) {
    case NP_YIELD:
    case NP_RET: return;
    case NP_SCAN: run_scan(r, n); return;
    case NP_LOOP: run_loop(r, n); return;
    case NP_GROUP:
        run_block(r, n->body[0]);
        give_yields(r, n, n->body[0]);
        return;
    case NP_COND: {
        const np_block *b = n->body[value(r, n->arg[0])->data[0] == 0];
        run_block(r, b);
        give_yields(r, n, b);
        return;
    }
    case NP_PICK: lend(&r->val[n->id], &r->parts[n->arg[0]->id][n->attr[0]->k]); return;
    case NP_ALLOC: run_alloc(r, n); return;
    case NP_WEIGHT: run_weight(r, n); return;
    case NP_LOAD: {
        double v = nothing_there(r, n) ? NAN : *cell(r, n, 1);
        make(r, n)->data[0] = v;
        return;
    }
    case NP_STORE: *cell(r, n, 2) = np_eval_round(r, n->arg[0]->type->dtype, value(r, n->arg[1])->data[0]); return;
    case NP_PREFETCH:
        if (!nothing_there(r, n)) cell(r, n, 1); /* it must be inside */
        return;
    case NP_CALL: run_call(r, n); return;
    default: break;
    }
    const np_tensor **list = n->nargs <= (int)NP_LEN(arg) ? arg : calloc((size_t)n->nargs, sizeof *list);
    for (int i = 0; i < n->nargs; i++) list[i] = value(r, n->arg[i]);
    np_tensor *out = make(r, n);
    np_eval_tensor(r, n, list, out);
    if (list != arg) free(list);
}
static void run_block(np_eval_run *r, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) run_node(r, n);
}

/* ---- the function as a whole */
/* A buffer of the parameter's size with the valid part of `from` in it (or out of it, into `from`). */
static void fit(const np_tensor *small, np_tensor *big, int axis, bool in)
{
    int64_t outer = 1, inner = 1, n = small->dim[axis];
    for (int i = 0; i < axis; i++) outer *= small->dim[i];
    for (int i = axis + 1; i < small->rank; i++) inner *= small->dim[i];
    for (int64_t o = 0; o < outer; o++) {
        double *s = small->data + o * n * inner, *b = big->data + o * big->dim[axis] * inner;
        memcpy(in ? b : s, in ? s : b, (size_t)(n * inner) * sizeof *s);
    }
}
static void set_params(np_eval_run *r, const np_tensor *in)
{
    const np_fn *f = r->f;
    for (int i = 0; i < f->top.nparams; i++) {
        const np_node *p = f->top.param[i];
        int state = i - f->ninputs;
        np_value *v = &r->val[p->id];
        if (state < 0 || (state < f->nstates && f->stage == NP_STAGE_TENSOR)) {
            lend(v, &in[i]);
            continue;
        }
        np_tensor t = stacked(r, p->type);
        for (int64_t k = 0, n = np_tensor_count(&t); k < n; k++) t.data[k] = NAN;
        if (state < f->nstates && f->grow && f->grow[state] >= 0) fit(&in[i], &t, f->grow[state], true);
        else if (state < f->nstates) memcpy(t.data, in[i].data, (size_t)np_tensor_count(&t) * sizeof *t.data);
        own(v, t);
    }
}
/* A function that says nothing of time is a step, whatever value time has elsewhere. */
typedef struct mention {
    const np_dim *sym;
    bool any;
} mention;
static void see_type(mention *m, const np_type *t)
{
    for (int k = 0; k < t->rank; k++) m->any |= np_dim_has(t->dim[k], m->sym);
}
static void see_node(void *env, const np_node *n)
{
    mention *m = env;
    see_type(m, n->type);
    for (int i = 0; i < NP_MAXATTRS; i++) m->any |= n->attr[i] && np_dim_has(n->attr[i], m->sym);
}
static int64_t new_positions(const np_eval_run *r)
{
    const np_dim **sym;
    int64_t T = 1;
    for (int j = 0, n = np_dim_syms(r->cx, &sym); j < n; j++) {
        mention m = {.sym = sym[j]};
        if (sym[j]->role != NP_ROLE_TIME) continue;
        for (int i = 0; i < r->f->top.nparams; i++) see_type(&m, r->f->top.param[i]->type);
        np_fn_walk(r->f, see_node, &m);
        if (m.any) np_env_get(&r->env, sym[j], &T);
    }
    return T;
}
static void get_results(np_eval_run *r, const np_tensor *in, np_tensor *out)
{
    const np_fn *f = r->f;
    if (f->stage == NP_STAGE_TENSOR) {
        for (int i = 0; i < f->nouts + f->nstates; i++) out[i] = np_tensor_copy(value(r, f->top.last->arg[i]));
        return;
    }
    for (int i = 0; i < f->nouts; i++) out[i] = np_tensor_copy(value(r, f->top.param[f->ninputs + f->nstates + i]));
    for (int i = 0; i < f->nstates; i++) {
        const np_tensor *buf = value(r, f->top.param[f->ninputs + i]);
        np_tensor *o = &out[f->nouts + i];
        if (!f->grow || f->grow[i] < 0) {
            *o = np_tensor_copy(buf);
            continue;
        }
        np_tensor shape = in[f->ninputs + i];
        shape.dim[f->grow[i]] += new_positions(r);
        *o = np_tensor_new(buf->dtype, buf->rank, shape.dim);
        np_tensor whole = *buf;
        fit(o, &whole, f->grow[i], false);
    }
}

static void free_parts(void *env, const np_node *n)
{
    np_eval_run *r = env;
    for (int i = 0; r->parts[n->id] && i < n->type->width; i++) np_tensor_free(&r->parts[n->id][i]);
    free(r->parts[n->id]);
}

np_status np_eval(const np_fn *f, const np_tensor *in, np_tensor *out, const np_env *e, np_eval_opts o)
{
    np_eval_run r = {.cx = f->cx, .f = f, .exact = o.exact, .noise = o.noise};
    if (e) r.env = *e;
    if (np_eval_bind(f, in, &r.env)) return NP_FAIL;
    bind_rest(f->cx, &r.env);
    r.val = calloc(f->nnodes + 1, sizeof *r.val);
    r.parts = calloc(f->nnodes + 1, sizeof *r.parts);
    set_params(&r, in);
    run_block(&r, &f->top);
    get_results(&r, in, out);
    for (uint32_t i = 0; i < f->nnodes; i++) drop(&r.val[i]);
    np_fn_walk(f, free_parts, &r);
    free(r.val), free(r.parts);
    return NP_OK;
}

static np_tensor stored_weight(const np_mod *m, const np_weight *w)
{
    int64_t dim[NP_RANK] = {0};
    if (!w->data) np_bug(m->cx, "weight %s is not loaded", w->name);
    for (int k = 0; k < w->type->rank; k++) np_dim_int(w->type->dim[k], &dim[k]);
    np_tensor t = np_tensor_new(w->type->dtype, w->type->rank, dim);
    for (int64_t i = 0, n = np_tensor_count(&t); i < n; i++) t.data[i] = np_element(w->data, w->stored, i);
    return t;
}
np_tensor np_eval_weight(const np_mod *m, const np_weight *w, bool exact)
{
    if (!w->by) return stored_weight(m, w);
    np_tensor t = {0};
    np_eval(w->by, NULL, &t, NULL, (np_eval_opts){.exact = true});
    for (int64_t i = 0, n = np_tensor_count(&t); !exact && i < n; i++) t.data[i] = np_round_to(w->type->dtype, t.data[i]);
    return t;
}
