/* neap check: is a model what it says it is, and does everything that neap
 * derives from it compute the same?
 *
 * Self-tests compare with what the description expects (plain Lua loops or
 * numbers). Theorems (prove.c) hold of any model; they need an instance with
 * inputs, whose sizes come from the first self-test (two sequences where there
 * is a batch), from the checkpoint, or are picked here: small and all different,
 * and where a model wants them to fit, more alike. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4000000 }; /* weights that are made up */

bool np_check_line(np_tally *c, bool good, const char *what, double error)
{
    printf("%-4s  %-66s %8.1e\n", good ? "ok" : "FAIL", what, error);
    *(good ? &c->good : &c->bad) += 1;
    return good;
}

/* ---- results */
void np_check_free(np_tensor *t, int n)
{
    for (int i = 0; i < n; i++) np_tensor_free(&t[i]);
}

double np_check_worst(const np_subject *s, const np_tensor *a, const np_tensor *b)
{
    double most = 0;
    for (int i = 0; i < s->f->nouts; i++) {
        double d = np_tensor_distance(&a[i], &b[i]);
        if (!(d <= most)) most = d;
    }
    return most;
}

np_tensor *np_check_run(np_subject *s, np_pieces p)
{
    p.job = &s->job;
    return np_pieces_run(&p) ? NULL : p.out;
}

np_tensor *np_check_whole(np_subject *s, np_pieces p)
{
    int64_t len = np_pieces_time(&s->job, p.in);
    p.entry = "whole";
    p.n = 1;
    p.len = &len;
    if (len < 0) len = 1;
    return np_check_run(s, p);
}

np_status np_check_compile(np_subject *s, bool quick)
{
    np_program p;
    if (np_job_lower(&s->job)) return NP_FAIL;
    np_target target = *s->job.target; /* the last -O counts */
    if (quick) target.cflags = np_str_fmt(s->cx, "%s -O1", target.cflags);
    s->job.target = np_arena_copy(&s->cx->perm, &target, sizeof target);
    if (np_job_program(&s->job, false, &p)) return NP_FAIL;
    s->lib = np_backend_find("c")->load(s->cx, &p);
    return s->lib ? NP_OK : NP_FAIL;
}

/* ---- instances */
static np_subject begin(np_tally *c)
{
    np_subject s = {.c = c, .cx = np_cx_new()};
    s.job = (np_job){.cx = s.cx, .o = c->o};
    return s;
}

static void drop(np_subject *s)
{
    np_lib_free(s->lib);
    for (int i = 0; s->f && s->in && i < s->f->ninputs; i++) np_tensor_free(&s->in[i]);
    if (s->test) {
        np_check_free(s->test->in, s->test->nin);
        np_check_free(s->test->out, s->test->nout);
        if (s->test->model != s->job.model) np_mod_free(s->test->model->mod);
    }
    np_job_free(&s->job);
    if (s->test_cx) np_cx_free(s->test_cx);
    np_cx_free(s->cx);
}

static void finish(np_subject *s)
{
    np_diag_print(s->cx, NP_WARNING, stderr);
    if (s->cx->nerrors && s->c->bad == 0) s->c->bad = 1;
    drop(s);
}

/* The shapes of the self-test's inputs, over the steps of a theorem; a batch has two sequences. */
static np_shape *shapes(np_subject *s)
{
    const np_fn *f = np_mod_fn(s->test->model->mod, "main");
    const np_dim *T = np_job_symbol(s->test_cx, NP_ROLE_TIME);
    np_shape *h = np_arena_array(&s->cx->perm, (size_t)f->ninputs + 1, sizeof *h);
    for (int i = 0; i < f->ninputs; i++) {
        const np_node *p = f->top.param[i];
        int time = np_pieces_axis(p->type, T), batch = np_draw_batch(p);
        h[i] = (np_shape){.name = np_str_new(s->cx, p->name), .dtype = p->type->dtype, .rank = p->type->rank};
        memcpy(h[i].dim, s->test->in[i].dim, sizeof h[i].dim);
        if (time >= 0) h[i].dim[time] = NP_CHECK_STEPS;
        if (batch >= 0) h[i].dim[batch] = 2;
    }
    return h;
}

/* The self-test's settings; its sizes are in the shapes of the inputs. */
static void settings(np_subject *s)
{
    const np_settings *c = &s->test->model->config;
    for (int i = 0; i < c->n; i++) {
        np_setting v = c->s[i];
        v.key = np_str_new(s->cx, v.key);
        v.str = v.str ? np_str_new(s->cx, v.str) : NULL;
        v.from = np_str_new(s->cx, "the self-test");
        np_settings_add(s->cx, &s->job.set, &v);
    }
}

static np_status load(np_subject *s, const char *test, const int64_t *pick, bool empty)
{
    np_load_opts l = {0};
    if (np_job_find(&s->job)) return NP_FAIL;
    bool like = test && !s->job.checkpoint;
    if (like) {
        s->test_cx = np_cx_new();
        l = (np_load_opts){.path = s->job.path, .set = &s->job.set};
        s->test = np_load_test(s->test_cx, &l, test);
        if (!s->test) return NP_FAIL;
        settings(s);
    }
    l = np_job_opts(&s->job);
    l.block = NP_CHECK_STEPS;
    l.empty = empty;
    l.pick = pick;
    if (like) {
        l.shapes_known = true;
        l.nshapes = s->test->nin;
        l.shape = shapes(s);
    }
    if (l.context == 0 && !s->job.checkpoint) l.context = 4 * NP_CHECK_STEPS;
    s->job.model = np_load(s->cx, &l);
    if (s->job.model && s->job.model->context == 0 && l.context == 0) { /* no limit: one that serves here */
        np_mod_free(s->job.model->mod);
        l.context = 4 * NP_CHECK_STEPS;
        s->job.model = np_load(s->cx, &l);
    }
    return s->job.model ? NP_OK : NP_FAIL;
}

/* Sizes that fit, and sequences that may be empty, unless the model speaks of a last position. */
static np_status find_instance(np_subject *s, np_tally *c, const char *test)
{
    static const int64_t pick[][8] = {{2, 3, 5, 4, 7, 6, 0}, {2, 4, 8, 16, 4, 8, 0}, {4, 0}, {2, 0}};
    int last = 2 * (int)NP_LEN(pick);
    for (int i = 0; i <= last; i++) { /* the last is the first again, for its messages */
        *s = begin(c);
        if (load(s, test, pick[i % (int)NP_LEN(pick)], i < (int)NP_LEN(pick)) == NP_OK) return NP_OK;
        if (i < last) drop(s);
    }
    return NP_FAIL;
}

/* Weights of a model at its full size would be drawn and interpreted for hours. */
static np_status draw_weights(np_subject *s)
{
    int64_t n = np_draw_numbers(s->job.model->mod);
    if (s->job.checkpoint) return np_job_weights(&s->job);
    if (n > MOST) {
        np_error(s->cx, (np_loc){.file = s->job.path},
                 "%.0f million weights are too many to make up: give the description a self-test of small "
                 "sizes, or --set such sizes, or --weights PATH",
                 (double)n / 1e6);
        return NP_FAIL;
    }
    np_draw_weights(s);
    return NP_OK;
}

static void check_theorems(np_tally *c, const char *test)
{
    np_subject s;
    np_status st = find_instance(&s, c, test);
    if (st == NP_OK) st = draw_weights(&s);
    if (st == NP_OK) st = np_job_derive(&s.job, NP_INIT | NP_PREFILL | NP_STEP | NP_WHOLE);
    if (st == NP_OK) {
        s.f = np_job_plain(&s.job, "whole");
        if (np_draw_inputs(&s) == NP_OK) np_prove(&s);
    }
    finish(&s);
}

/* ---- self-tests */
static double against_expected(const np_subject *s, const np_tensor *out)
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

static void self_test(np_subject *s, const char *name)
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
    np_tensor *out = np_check_whole(s, (np_pieces){.in = s->in, .exact = true});
    double error = out ? against_expected(s, out) : (double)INFINITY;
    snprintf(what, sizeof what, "test %s", name);
    np_check_line(s->c, error <= s->test->tol, what, error);
    if (out && np_check_compile(s, false) == NP_OK) {
        np_tensor *rounded = np_check_whole(s, (np_pieces){.in = s->in}),
                  *got = np_check_whole(s, (np_pieces){.in = s->in, .lib = s->lib});
        double limit = 1e-5 + (rounded ? 10 * np_check_worst(s, rounded, out) : 0);
        error = got ? np_check_worst(s, got, out) : (double)INFINITY;
        snprintf(what, sizeof what, "compiled: test %s", name);
        np_check_line(s->c, error <= limit, what, error);
        if (rounded) np_check_free(rounded, s->f->nouts);
        if (got) np_check_free(got, s->f->nouts);
    }
    if (out) np_check_free(out, s->f->nouts);
}

int np_check_main(np_cx *cx, const np_options *o)
{
    np_tally c = {.o = o};
    np_job j = {.cx = cx, .o = o};
    np_str *test = NULL;
    int n = np_job_find(&j) == NP_OK ? np_load_tests(cx, j.path, &test) : -1;
    if (n < 0) return NP_EXIT_INPUT;
    for (int i = 0; i < n; i++) {
        np_subject s = begin(&c);
        if (np_job_find(&s.job) == NP_OK) self_test(&s, test[i]);
        finish(&s);
    }
    check_theorems(&c, n ? test[0] : NULL);
    printf("%d passed, %d failed\n", c.good, c.bad);
    return c.bad || !c.good ? NP_EXIT_INPUT : NP_EXIT_DONE;
}
