/* A model over a sequence that comes in pieces: states begin as @init says, go
 * from call to call, and results along time are put together again. */
#include "driver.h"

#include <stdlib.h>
#include <string.h>

typedef struct run {
    np_pieces *p;
    np_cx *cx;
    const np_fn *f, *shape; /* the entry; one with the same ports, over T */
    const np_dim *T, *N;
    np_tensor *in, *out; /* of f: inputs, states; outputs, states */
    int64_t from, len, total;
} run;

/* The axis of t whose size is T; -1: none. */
int np_pieces_axis(const np_type *t, const np_dim *T)
{
    for (int i = 0; T && i < t->rank; i++)
        if (t->dim[i] == T) return i;
    return -1;
}

static const np_fn *over_time(const np_job *j)
{
    const np_fn *f = np_job_plain(j, "prefill");
    return f ? f : np_job_plain(j, "whole");
}

int64_t np_pieces_time(const np_job *j, const np_tensor *in)
{
    const np_fn *f = over_time(j);
    for (int i = 0; i < f->ninputs; i++) {
        const np_type *t = f->top.param[i]->type;
        int axis = np_pieces_axis(t, np_job_symbol(j->cx, NP_ROLE_TIME));
        if (axis >= 0) return in[i].dim[in[i].rank - t->rank + axis]; /* rows may stand before */
    }
    return -1;
}

/* ---- rows [from, from + n) along an axis */
static void copy_rows(np_tensor *all, np_tensor *part, int axis, int64_t from, bool back)
{
    int64_t outer = 1, inner = 1, n = part->dim[axis];
    for (int i = 0; i < axis; i++) outer *= all->dim[i];
    for (int i = axis + 1; i < all->rank; i++) inner *= all->dim[i];
    for (int64_t o = 0; o < outer; o++) {
        double *a = all->data + (o * all->dim[axis] + from) * inner, *b = part->data + o * n * inner;
        memcpy(back ? a : b, back ? b : a, (size_t)(n * inner) * sizeof *a);
    }
}

static np_tensor resized(const np_tensor *t, int axis, int64_t n)
{
    int64_t dim[NP_RANK];
    memcpy(dim, t->dim, sizeof dim);
    dim[axis] = n;
    return np_tensor_new(t->dtype, t->rank, dim);
}

np_tensor np_pieces_rows(const np_tensor *t, int axis, int64_t from, int64_t n)
{
    if (axis < 0) return np_tensor_copy(t);
    np_tensor all = *t, out = resized(t, axis, n);
    copy_rows(&all, &out, axis, from, false);
    return out;
}

/* Result i of a piece joins those before; t is consumed. */
static void keep(run *r, int i, np_tensor *t)
{
    np_tensor *out = &r->p->out[i];
    int axis = np_pieces_axis(r->shape->out_type[i], r->T);
    if (axis < 0 || r->p->n == 1) {
        np_tensor_free(out);
        *out = *t;
        return;
    }
    if (!out->data) *out = resized(t, axis, r->total);
    copy_rows(out, t, axis, r->from, true);
    np_tensor_free(t);
}

/* ---- calls */
static const np_fn *form_of(const np_pieces *p, const np_fn *f)
{
    for (int i = 0; p->form && i < p->job->nplain; i++)
        if (p->job->plain[i] == f) return p->job->form[i];
    return f;
}

static np_status call(run *r, const np_fn *f, const np_tensor *in, np_tensor *out)
{
    np_pieces *p = r->p;
    np_env e = {0};
    double ms = 0;
    if (r->T) np_env_set(&e, r->T, r->len);
    if (r->N) np_env_set(&e, r->N, r->from);
    if (!p->lib) return np_eval(form_of(p, f), in, out, &e, (np_eval_opts){.exact = p->exact});
    np_status st = np_lib_run(p->lib, np_mod_fn(p->job->model->mod, f->name), in, out, &e, &ms);
    p->ms += ms;
    return st;
}

/* The states before anything came. */
static np_status start(run *r)
{
    const np_fn *f = np_job_plain(r->p->job, "init");
    np_tensor *in = np_arena_array(&r->cx->perm, (size_t)f->ninputs + 1, sizeof *in);
    for (int i = 0; i < f->ninputs; i++)
        for (int k = 0; k < r->f->ninputs; k++)
            if (r->f->top.param[k]->name == f->top.param[i]->name) in[i] = r->p->in[k];
    return call(r, f, in, r->in + r->f->ninputs);
}

static np_status piece(run *r)
{
    const np_fn *f = r->f;
    bool whole = r->p->n == 1; /* of inputs that may be large: no copy */
    for (int i = 0; i < f->ninputs; i++) {
        const np_tensor *in = &r->p->in[i];
        int axis = np_pieces_axis(r->shape->top.param[i]->type, r->T);
        r->in[i] = whole ? *in : np_pieces_rows(in, axis, r->from, r->len);
    }
    np_status st = call(r, f, r->in, r->out);
    for (int i = 0; i < f->ninputs && !whole; i++) np_tensor_free(&r->in[i]);
    for (int i = 0; i < f->nouts && st == NP_OK; i++) keep(r, i, &r->out[i]);
    for (int i = 0; i < f->nstates && st == NP_OK; i++) {
        np_tensor_free(&r->in[f->ninputs + i]);
        r->in[f->ninputs + i] = r->out[f->nouts + i];
    }
    return st;
}

/* The states to a file and back, by their names. */
static np_status through_file(run *r)
{
    const np_fn *f = r->f;
    np_str *name = np_arena_array(&r->cx->perm, (size_t)f->nstates + 1, sizeof *name);
    np_tensor *state = r->in + f->ninputs;
    for (int i = 0; i < f->nstates; i++) {
        name[i] = f->top.param[f->ninputs + i]->name;
        if (r->p->exact && !r->p->lib && np_dtype_class(state[i].dtype) == 'F') state[i].dtype = NP_F64;
    }
    const np_tensors *file = np_tensors_write(r->cx, r->p->keep, f->nstates, name, state) == NP_OK
                                 ? np_tensors_read(r->cx, r->p->keep)
                                 : NULL;
    for (int i = 0; file && i < f->nstates; i++) {
        const np_stored *s = np_tensors_find(file, name[i]);
        np_tensor_free(&state[i]);
        state[i] = np_tensors_load(s, s->dtype);
        state[i].dtype = f->top.param[f->ninputs + i]->type->dtype;
    }
    return file ? NP_OK : NP_FAIL;
}

np_status np_pieces_run(np_pieces *p)
{
    np_cx *cx = p->job->cx;
    run r = {.p = p, .cx = cx, .f = np_job_plain(p->job, p->entry), .shape = over_time(p->job), .len = 1};
    r.T = np_job_symbol(cx, NP_ROLE_TIME);
    r.N = np_job_symbol(cx, NP_ROLE_PAST);
    r.in = np_arena_array(&cx->perm, (size_t)(r.f->ninputs + r.f->nstates) + 1, sizeof *r.in);
    r.out = np_arena_array(&cx->perm, (size_t)(r.f->nouts + r.f->nstates) + 1, sizeof *r.out);
    p->out = np_arena_array(&cx->perm, (size_t)r.f->nouts + 1, sizeof *p->out);
    p->ms = 0;
    for (int i = 0; i < p->n; i++) r.total += p->len[i];
    np_status st = r.f->nstates ? start(&r) : NP_OK;
    for (int i = 0; i < p->n && st == NP_OK; i++, r.from += r.len) {
        r.len = p->len[i];
        st = i && p->keep ? through_file(&r) : NP_OK;
        if (st == NP_OK) st = piece(&r);
    }
    for (int i = 0; i < r.f->nstates; i++) np_tensor_free(&r.in[r.f->ninputs + i]);
    for (int i = 0; i < r.f->nouts && st; i++) np_tensor_free(&p->out[i]);
    return st;
}
