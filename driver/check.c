/* neap check: is a model what it says it is, and does everything that neap
 * derives from it compute the same?
 *
 * Self-tests compare with what the description expects (plain Lua loops or
 * numbers). Theorems hold of any model that streams, on inputs of its shape:
 * cut into pieces, the sequence gives what the whole gives; the future changes
 * no bit of the past; a sequence of a batch changes no bit of another. Compiled
 * code is compared with the interpreter in f64, to ten times what rounding to
 * the declared types costs the interpreter itself. */
#include "driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 13, CUT = 5 };     /* steps of the inputs; where the future begins */
static const double EXACT = 1e-10; /* between two orders of sums in f64 */

typedef struct check {
    const np_options *o;
    int good, bad;
} check;

typedef struct subject { /* one instance of the model, with inputs */
    check *c;
    np_cx *cx;
    np_job job;
    np_case *test;  /* the self-test that it is taken from, or NULL */
    const np_fn *f; /* @whole */
    np_tensor *in;
    np_lib *lib;
    double limit; /* of compiled code */
} subject;

static bool line(check *c, bool good, const char *what, double error)
{
    printf("%-4s  %-56s %8.1e\n", good ? "ok" : "FAIL", what, error);
    *(good ? &c->good : &c->bad) += 1;
    return good;
}

/* ---- results */
static void free_all(np_tensor *t, int n)
{
    for (int i = 0; i < n; i++) np_tensor_free(&t[i]);
}

static double worst(const subject *s, const np_tensor *a, const np_tensor *b)
{
    double most = 0;
    for (int i = 0; i < s->f->nouts; i++) {
        double d = np_tensor_distance(&a[i], &b[i]);
        if (!(d <= most)) most = d;
    }
    return most;
}

/* All results of the inputs `in` cut into pieces; NULL and an error if it cannot. */
static np_tensor *results(subject *s, const np_tensor *in, const char *entry, int n, const int64_t *len,
                          bool exact, bool compiled)
{
    np_pieces p = {.job = &s->job,
                   .lib = compiled ? s->lib : NULL,
                   .exact = exact,
                   .in = in,
                   .entry = entry,
                   .n = n,
                   .len = len};
    return np_pieces_run(&p) ? NULL : p.out;
}

static np_tensor *whole(subject *s, const np_tensor *in, bool exact, bool compiled)
{
    int64_t len = np_pieces_time(&s->job, s->in);
    return results(s, in, "whole", 1, &len, exact, compiled);
}

/* ---- compiled code */
static np_status compile(subject *s)
{
    np_program p;
    if (np_job_lower(&s->job) || np_job_program(&s->job, false, &p)) return NP_FAIL;
    s->lib = np_backend_find("c")->load(s->cx, &p);
    return s->lib ? NP_OK : NP_FAIL;
}

static bool close_to(subject *s, const char *what, np_tensor *got, const np_tensor *want, double limit)
{
    double error = got ? worst(s, got, want) : (double)INFINITY;
    if (got) free_all(got, s->f->nouts);
    return line(s->c, error <= limit, what, error);
}

static void find_limit(subject *s, const np_tensor *want)
{
    np_tensor *rounded = whole(s, s->in, false, false);
    s->limit = 1e-5 + (rounded ? 10 * worst(s, rounded, want) : 0);
    if (rounded) free_all(rounded, s->f->nouts);
}

/* ---- theorems */
static void change(np_tensor *t, int axis, int64_t from)
{
    int64_t inner = 1, n = np_tensor_count(t);
    bool whole_numbers = np_dtype_class(t->dtype) != 'F';
    for (int i = axis + 1; i < t->rank; i++) inner *= t->dim[i];
    for (int64_t i = 0; i < n; i++) {
        if (i / inner % t->dim[axis] < from) continue;
        t->data[i] = t->dtype == NP_BOOL ? t->data[i] == 0
                     : whole_numbers     ? t->data[i] + 1
                                         : 0.75 - t->data[i] / 2;
    }
}

/* Are all elements before `from` along the axis the same bits? How many are not. */
static int64_t differing(const np_tensor *a, const np_tensor *b, int axis, int64_t from)
{
    int64_t inner = 1, n = np_tensor_count(a), bad = 0;
    for (int i = axis + 1; i < a->rank; i++) inner *= a->dim[i];
    for (int64_t i = 0; i < n; i++)
        if (i / inner % a->dim[axis] < from) bad += memcmp(&a->data[i], &b->data[i], sizeof *a->data) != 0;
    return bad;
}

/* Where "B" stands among the names of the axes; -1: nowhere. */
static int batch_axis(const np_node *n)
{
    int axis = 0;
    for (const char *p = n->axes; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL, axis++)
        if (*p == 'B' && (p[1] == ',' || p[1] == 0)) return axis < n->type->rank ? axis : -1;
    return -1;
}

/* The part of the inputs from `from` on is changed, along time or along the batch: what of the results
 * stands before must stay, bit for bit. */
static void nothing_leaks(subject *s, const char *what, bool batch, int64_t from, bool compiled)
{
    const np_fn *f = s->f;
    const np_dim *T = np_job_symbol(s->cx, NP_ROLE_TIME);
    np_tensor *in = np_arena_array(&s->cx->perm, (size_t)f->ninputs + 1, sizeof *in);
    int64_t bad = 0, seen = 0;
    for (int i = 0; i < f->ninputs; i++) {
        const np_node *p = f->top.param[i];
        int axis = batch ? batch_axis(p) : np_pieces_axis(p->type, T);
        in[i] = np_tensor_copy(&s->in[i]);
        if (axis >= 0 && in[i].dim[axis] > from) change(&in[i], axis, from), seen++;
    }
    np_tensor *a = seen ? whole(s, s->in, true, compiled) : NULL,
              *b = a ? whole(s, in, true, compiled) : NULL;
    for (int i = 0; a && b && i < f->nouts; i++) {
        int axis = batch ? batch_axis(f->top.last->arg[i]) : np_pieces_axis(f->out_type[i], T);
        if (axis >= 0) bad += differing(&a[i], &b[i], axis, from);
    }
    if (seen) line(s->c, a && b && bad == 0, what, (double)bad);
    if (a) free_all(a, f->nouts);
    if (b) free_all(b, f->nouts);
    free_all(in, f->ninputs);
}

static void in_pieces(subject *s, const np_tensor *want, bool compiled)
{
    static const int64_t cuts[][3] = {
        {1, LENGTH}, {2, 1, LENGTH - 1}, {2, CUT, LENGTH - CUT}, {2, LENGTH - 1, 1}};
    double limit = compiled ? s->limit : EXACT;
    int64_t ones[LENGTH];
    char what[80];
    for (size_t i = 0; i < NP_LEN(cuts); i++) {
        if (cuts[i][0] == 1)
            snprintf(what, sizeof what, "%sprefill = whole", compiled ? "compiled: " : "");
        else
            snprintf(what, sizeof what, "%sprefill of %d, then of %d = whole", compiled ? "compiled: " : "",
                     (int)cuts[i][1], (int)cuts[i][2]);
        close_to(s, what, results(s, s->in, "prefill", (int)cuts[i][0], &cuts[i][1], true, compiled), want,
                 limit);
    }
    for (int i = 0; i < LENGTH; i++) ones[i] = 1;
    close_to(s, compiled ? "compiled: step by step = whole" : "step by step = whole",
             results(s, s->in, "step", LENGTH, ones, true, compiled), want, limit);
}

static void theorems(subject *s)
{
    np_tensor *want = whole(s, s->in, true, false);
    bool streams = np_job_plain(&s->job, "prefill") != NULL;
    if (!want) return;
    find_limit(s, want);
    if (!streams) printf("      no step: %s\n", np_job_why_whole(&s->job));
    if (streams) in_pieces(s, want, false);
    if (streams) nothing_leaks(s, "the future changes no bit of the past", false, CUT, false);
    nothing_leaks(s, "a sequence changes no bit of another in the batch", true, 1, false);
    if (compile(s) == NP_OK) {
        close_to(s, "compiled: whole", whole(s, s->in, true, true), want, s->limit);
        if (streams) in_pieces(s, want, true);
        if (streams) nothing_leaks(s, "compiled: the future changes no bit of the past", false, CUT, true);
        nothing_leaks(s, "compiled: a sequence changes no bit of another", true, 1, true);
    }
    free_all(want, s->f->nouts);
}

/* ---- instances */
static void seed_weights(np_mod *m)
{
    for (int i = 0; i < m->nweights; i++) {
        np_weight *w = m->weight[i];
        int64_t dim[NP_RANK];
        if (w->data || w->from) continue;
        for (int k = 0; k < w->type->rank; k++) np_dim_int(w->type->dim[k], &dim[k]);
        np_tensor t = np_tensor_new(NP_F64, w->type->rank, dim);
        np_tensor_random(&t, 1000 + (uint64_t)i);
        w->stored = NP_F64;
        w->data = np_arena_copy(&m->cx->perm, t.data, (size_t)np_tensor_count(&t) * sizeof *t.data);
        np_tensor_free(&t);
    }
}

/* Numbers between the least and the most that the self-test gives this input, so that gates stay gates. */
static void fit(np_tensor *t, const np_tensor *like)
{
    int64_t n = np_tensor_count(like);
    double lo = INFINITY, hi = -(double)INFINITY;
    for (int64_t i = 0; i < n; i++) {
        lo = fmin(lo, like->data[i]);
        hi = fmax(hi, like->data[i]);
    }
    if (np_dtype_class(t->dtype) != 'F' || !isfinite(lo) || !isfinite(hi)) return;
    for (int64_t i = 0; i < np_tensor_count(t); i++)
        t->data[i] = np_round_to(t->dtype, lo + (hi - lo) * (t->data[i] + 1) / 2);
}

static np_status make_inputs(subject *s)
{
    np_env e = {0};
    const np_dim *T = np_job_symbol(s->cx, NP_ROLE_TIME);
    if (T) np_env_set(&e, T, LENGTH);
    s->in = np_arena_array(&s->cx->perm, (size_t)s->f->ninputs + 1, sizeof *s->in);
    for (int i = 0; i < s->f->ninputs; i++) {
        const np_node *p = s->f->top.param[i];
        int64_t dim[NP_RANK];
        for (int k = 0; k < p->type->rank; k++) {
            if (np_dim_eval(p->type->dim[k], &e, &dim[k])) continue;
            np_error(s->cx, p->loc, "the size %s of input %s has no value",
                     np_dim_str(s->cx, p->type->dim[k]), p->name);
            return NP_FAIL;
        }
        s->in[i] = np_tensor_new(p->type->dtype, p->type->rank, dim);
        np_tensor_random(&s->in[i], 1 + (uint64_t)i);
        for (int k = 0; s->test && k < s->test->nin; k++)
            if (s->test->in_name[k] == p->name) fit(&s->in[i], &s->test->in[k]);
    }
    return NP_OK;
}

/* The model with its weights; without weights a self-test's instance, if there is one; else seeded weights. */
static np_status make_model(subject *s, np_str test)
{
    np_load_opts l = np_job_opts(&s->job);
    l.block = LENGTH;
    if (l.context == 0 && !s->job.checkpoint) l.context = 4 * LENGTH;
    if (s->job.checkpoint || !test) {
        s->job.model = np_load(s->cx, &l);
        if (s->job.model && s->job.model->context == 0 &&
            l.context == 0) { /* no limit: one that serves here */
            np_mod_free(s->job.model->mod);
            l.context = 4 * LENGTH;
            s->job.model = np_load(s->cx, &l);
        }
    } else {
        s->test = np_load_test(s->cx, &l, test);
        s->job.model = s->test ? s->test->model : NULL;
    }
    if (!s->job.model) return NP_FAIL;
    if (s->job.checkpoint) return np_job_weights(&s->job);
    seed_weights(s->job.model->mod);
    return NP_OK;
}

static void free_case(np_case *t)
{
    if (!t) return;
    free_all(t->in, t->nin);
    free_all(t->out, t->nout);
}

static void finish(subject *s)
{
    np_diag_print(s->cx, NP_WARNING, stderr);
    if (s->cx->nerrors && s->c->bad == 0) s->c->bad = 1;
    np_lib_free(s->lib);
    for (int i = 0; s->f && s->in && i < s->f->ninputs; i++) np_tensor_free(&s->in[i]);
    free_case(s->test);
    np_job_free(&s->job);
    np_cx_free(s->cx);
}

static subject begin(check *c)
{
    subject s = {.c = c, .cx = np_cx_new()};
    s.job = (np_job){.cx = s.cx, .o = c->o};
    return s;
}

static void check_theorems(check *c, const char *test)
{
    subject s = begin(c);
    if (np_job_find(&s.job) == NP_OK && make_model(&s, test) == NP_OK &&
        np_job_derive(&s.job, NP_INIT | NP_PREFILL | NP_STEP | NP_WHOLE) == NP_OK) {
        s.f = np_job_plain(&s.job, "whole");
        if (make_inputs(&s) == NP_OK) theorems(&s);
    }
    finish(&s);
}

/* ---- self-tests */
static double against_expected(const subject *s, const np_tensor *out)
{
    double most = 0;
    for (int k = 0; k < s->test->nout; k++)
        for (int i = 0; i < s->f->nouts; i++) {
            if (s->f->out_name[i] != s->test->out_name[k]) continue;
            double d = np_tensor_distance(&out[i], &s->test->out[k]);
            if (!(d <= most)) most = d;
        }
    return most;
}

static void self_test(subject *s, const char *name)
{
    np_load_opts l = np_job_opts(&s->job);
    char what[120];
    l.checkpoint = NULL;
    s->test = np_load_test(s->cx, &l, name);
    if (!s->test) return;
    s->job.model = s->test->model;
    if (np_job_derive(&s->job, NP_WHOLE)) return;
    s->f = np_job_plain(&s->job, "whole");
    s->in = np_arena_array(&s->cx->perm, (size_t)s->f->ninputs + 1, sizeof *s->in);
    for (int i = 0; i < s->f->ninputs; i++) s->in[i] = np_tensor_copy(&s->test->in[i]);
    np_tensor *out = whole(s, s->in, true, false);
    double error = out ? against_expected(s, out) : (double)INFINITY;
    snprintf(what, sizeof what, "test %s", name);
    line(s->c, error <= s->test->tol, what, error);
    if (out && compile(s) == NP_OK) {
        find_limit(s, out);
        snprintf(what, sizeof what, "compiled: test %s", name);
        close_to(s, what, whole(s, s->in, true, true), out, s->limit);
    }
    if (out) free_all(out, s->f->nouts);
}

int np_check_main(np_cx *cx, const np_options *o)
{
    check c = {.o = o};
    np_job j = {.cx = cx, .o = o};
    np_str *test = NULL;
    int n = np_job_find(&j) == NP_OK ? np_load_tests(cx, j.path, &test) : -1;
    if (n < 0) return NP_EXIT_INPUT;
    for (int i = 0; i < n; i++) {
        subject s = begin(&c);
        if (np_job_find(&s.job) == NP_OK) self_test(&s, test[i]);
        finish(&s);
    }
    check_theorems(&c, n ? test[0] : NULL);
    printf("%d passed, %d failed\n", c.good, c.bad);
    return c.bad || !c.good ? NP_EXIT_INPUT : NP_EXIT_DONE;
}
