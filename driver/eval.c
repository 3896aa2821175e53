/* neap eval: a model on named tensors. Inputs are bound by name, and their
 * shapes bind the sizes of the model; results are written by name or described. */
#include "driver.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct eval {
    np_cx *cx;
    const np_options *o;
    np_job job;
    np_tensors *file;
    const np_fn *f; /* the whole: its ports are those of the model */
    np_tensor *in;
    np_lib *lib; /* NULL: the interpreter */
    bool exact;
} eval;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- inputs */

/* Does the file itself say which of its tensors are inputs, and is this none? */
static bool is_input(const np_tensors *f, np_str name)
{
    const char *list = np_tensors_meta(f, "inputs");
    size_t n = strlen(name);
    if (!list) return true;
    for (const char *p = list; (p = strstr(p, name)) != NULL; p++)
        if ((p == list || p[-1] == ' ') && (p[n] == 0 || p[n] == ' ')) return true;
    return false;
}

static np_status load_model(eval *e)
{
    const char *params = np_tensors_meta(e->file, "params");
    np_shape *shape = np_arena_array(&e->cx->perm, (size_t)e->file->n + 1, sizeof *shape);
    int n = 0;
    for (int i = 0; i < e->file->n; i++) {
        const np_stored *t = &e->file->t[i];
        if (!is_input(e->file, t->name)) continue;
        shape[n] = (np_shape){.name = t->name, .dtype = t->dtype, .rank = t->rank};
        memcpy(shape[n++].dim, t->dim, sizeof t->dim);
    }
    if (params && np_settings_json(e->cx, &e->job.set, params, strlen(params), "params")) return NP_FAIL;
    if (np_job_load(&e->job, n, shape)) return NP_FAIL;
    return np_job_weights(&e->job);
}

static np_tensor input(const eval *e, const np_node *p)
{
    const np_stored *s = np_tensors_find(e->file, p->name);
    np_dtype d = p->type->dtype;
    np_tensor t = np_tensors_load(s, e->exact && np_dtype_class(d) == 'F' ? NP_F64 : d);
    t.dtype = d;
    return t;
}

/* ---- results */
static void describe(const np_tensor *t, np_str name)
{
    int64_t n = np_tensor_count(t), bad = 0;
    double lo = INFINITY, hi = -INFINITY, sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = t->data[i];
        if (!isfinite(v)) {
            bad++;
            continue;
        }
        lo = v < lo ? v : lo;
        hi = v > hi ? v : hi;
        sum += v;
        squares += v * v;
    }
    printf("%s %s[", name, np_dtype_text(t->dtype));
    for (int i = 0; i < t->rank; i++) printf(i ? ",%" PRId64 : "%" PRId64, t->dim[i]);
    if (n == 0) {
        printf("]  empty\n");
        return;
    }
    double good = n > bad ? (double)(n - bad) : 1;
    printf("]  least %.6g  most %.6g  mean %.6g  root mean square %.6g", lo, hi, sum / good,
           sqrt(squares / good));
    if (bad) printf("  not finite %" PRId64, bad);
    printf("\n");
}

/* Results of the interpreter have the digits of f64, whatever the model declares. */
static np_status give(const eval *e, np_tensor *out)
{
    const np_fn *f = e->f;
    for (int i = 0; i < f->nouts; i++)
        if (e->exact && np_dtype_class(out[i].dtype) == 'F') out[i].dtype = NP_F64;
    if (e->o->out) return np_tensors_write(e->cx, e->o->out, f->nouts, f->out_name, out);
    for (int i = 0; i < f->nouts; i++) describe(&out[i], f->out_name[i]);
    return NP_OK;
}

/* ---- running */

/* Row r of an input that has rows; of another one all of it. */
static np_tensor row_of(const np_tensor *t, int rank, int64_t r)
{
    np_tensor out = *t;
    if (t->rank == rank) return np_tensor_copy(t);
    out.rank = rank;
    memmove(out.dim, out.dim + 1, (size_t)rank * sizeof *out.dim);
    out.data = t->data + r * np_tensor_count(&out);
    return np_tensor_copy(&out);
}

/* Puts the results of row r behind those before it. */
static void stack(np_tensor *out, const np_tensor *row, int64_t r, int64_t rows)
{
    int64_t dim[NP_RANK] = {rows}, n = np_tensor_count(row);
    memcpy(dim + 1, row->dim, (size_t)row->rank * sizeof *dim);
    if (r == 0) *out = np_tensor_new(row->dtype, row->rank + 1, dim);
    memcpy(out->data + r * n, row->data, (size_t)n * sizeof *row->data);
}

static np_status run_rows(eval *e, np_pieces *p, np_tensor *out, double *ms)
{
    const np_fn *f = e->f;
    int64_t rows = e->job.model->rows;
    for (int i = 0; rows && i < f->nouts; i++)
        if (f->out_type[i]->rank == NP_RANK) {
            np_error(e->cx, f->loc, "output %s has %d axes, so there is none left for the rows of a batch",
                     f->out_name[i], NP_RANK);
            return NP_FAIL;
        }
    np_tensor *in = np_arena_array(&e->cx->perm, (size_t)f->ninputs + 1, sizeof *in);
    np_status st = NP_OK;
    *ms = 0;
    for (int64_t r = 0; r < (rows ? rows : 1) && st == NP_OK; r++) {
        for (int i = 0; i < f->ninputs && rows; i++)
            in[i] = row_of(&e->in[i], f->top.param[i]->type->rank, r);
        p->in = rows ? in : e->in;
        double start = now_ms();
        st = np_pieces_run(p);
        *ms += e->lib ? p->ms : now_ms() - start;
        for (int i = 0; i < f->ninputs && rows; i++) np_tensor_free(&in[i]);
        for (int i = 0; i < f->nouts && st == NP_OK; i++) {
            if (!rows) {
                out[i] = p->out[i];
                continue;
            }
            stack(&out[i], &p->out[i], r, rows);
            np_tensor_free(&p->out[i]);
        }
    }
    return st;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static np_status run_all(eval *e, np_pieces *p)
{
    int64_t n = e->o->repeat ? e->o->repeat : 1;
    double *ms = np_arena_array(&e->cx->perm, (size_t)n, sizeof *ms);
    np_tensor *out = np_arena_array(&e->cx->perm, (size_t)e->f->nouts + 1, sizeof *out);
    np_status st = NP_OK;
    for (int64_t i = 0; i < n; i++) {
        if (run_rows(e, p, out, &ms[i])) return NP_FAIL;
        if (i == n - 1) st = give(e, out);
        for (int k = 0; k < e->f->nouts; k++) np_tensor_free(&out[k]);
    }
    qsort(ms, (size_t)n, sizeof *ms, by_value);
    if (e->o->repeat) {
        printf("median %.3f ms, min %.3f ms of %" PRId64 " runs", (ms[(n - 1) / 2] + ms[n / 2]) / 2, ms[0],
               n);
        if (e->lib)
            printf(", %" PRId64 " bytes of work memory", np_mod_fn(e->job.model->mod, p->entry)->work);
        printf("\n");
    }
    return st;
}

/* In one piece or two, through the entry that takes them; what has no steps is no piece. */
static np_status cut(eval *e, np_pieces *p, int64_t len[2])
{
    int64_t all = np_pieces_time(&e->job, e->in), split = e->o->split; /* the same in every row */
    len[0] = all >= 0 ? all : 1;
    *p = (np_pieces){.job = &e->job,
                     .lib = e->lib,
                     .exact = e->exact,
                     .form = e->job.form[0] != NULL,
                     .in = e->in,
                     .entry = "whole",
                     .n = 1,
                     .len = len};
    if (split == NP_UNSAID) return NP_OK;
    if (split > (all > 0 ? all : 0)) {
        np_error(e->cx, (np_loc){.file = np_str_new(e->cx, e->o->in)},
                 "--split %" PRId64 ": the inputs have %" PRId64 " step%s", split, all > 0 ? all : 0,
                 all == 1 ? "" : "s");
        return NP_FAIL;
    }
    if (all == 0) return NP_OK;
    p->entry = "prefill";
    p->n = 1 + (split > 0 && split < all);
    len[0] = split ? split : all;
    len[1] = all - split;
    return NP_OK;
}

static np_status prepare(eval *e)
{
    np_program p;
    bool interp = e->o->via && strcmp(e->o->via, "interp") == 0, split = e->o->split != NP_UNSAID;
    if (np_job_derive(&e->job, NP_WHOLE | (split ? NP_INIT | NP_PREFILL : 0))) return NP_FAIL;
    e->f = np_job_plain(&e->job, "whole");
    if (split && !np_job_plain(&e->job, "prefill")) {
        np_error(e->cx, (np_loc){.file = e->job.path}, "the model has no step: %s",
                 np_job_why_whole(&e->job));
        return NP_FAIL;
    }
    e->exact = interp && !e->o->rounded;
    if (interp) return e->o->chunk == NP_UNSAID ? NP_OK : np_job_form(&e->job);
    if (np_job_lower(&e->job) || np_job_program(&e->job, false, &p)) return NP_FAIL;
    e->lib = np_backend_find("c")->load(e->cx, &p);
    return e->lib ? NP_OK : NP_FAIL;
}

static np_status run(eval *e)
{
    np_pieces p;
    int64_t len[2];
    if (np_job_find(&e->job)) return NP_FAIL;
    e->file = np_tensors_read(e->cx, e->o->in);
    if (!e->file || load_model(e) || prepare(e)) return NP_FAIL;
    e->in = np_arena_array(&e->cx->perm, (size_t)e->f->ninputs + 1, sizeof *e->in);
    for (int i = 0; i < e->f->ninputs; i++) e->in[i] = input(e, e->f->top.param[i]);
    np_status st = cut(e, &p, len) || run_all(e, &p) ? NP_FAIL : NP_OK;
    for (int i = 0; i < e->f->ninputs; i++) np_tensor_free(&e->in[i]);
    return st;
}

int np_eval_main(np_cx *cx, const np_options *o)
{
    eval e = {.cx = cx, .o = o, .job = {.cx = cx, .o = o}};
    if (!o->in) return np_options_wrong("eval", "--in FILE is missing: the inputs, by name");
    if (o->rounded && (!o->via || strcmp(o->via, "interp") != 0))
        return np_options_wrong(
            "eval", "--rounded is about --via interp; compiled code computes in the declared types");
    np_status st = run(&e);
    np_lib_free(e.lib);
    np_job_free(&e.job);
    return st ? NP_EXIT_INPUT : NP_EXIT_DONE;
}
