/* Tests of generated code: a module goes through all passes, becomes code, is
 * compiled and run, and every function must give what the interpreter gives for
 * it in the declared types.
 *
 *   # test: conform        by every backend that can load; no expected text
 *   # test: emit c         by C, whose text is expected; it must compile without a
 *                          warning with every compiler that is there
 *   # eval: T=8 N=0        a case (several lines: several cases; none: the defaults)
 *   # edges                inputs are the values at the edges of their types, in all combinations
 *   # ulp: 2               how far off an element may be, in units in the last place, and the
 *                          smallest normal number; 0: not at all
 *
 * $NP_CODE_FLAGS replaces the C compiler's flags: for sanitizers.
 *
 * Without `ulp` the tolerance is what rounding explains: the interpreter runs again with
 * noise wherever it rounds, and a few times the largest distance is granted. */
#include "backends/backends.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what functions are given */
static const double ints[] = {0, 1, -1, 2, 3, -7, 7, 31, 32, 63, 64, 100},
                    large[] = {-128, 127, 255, -0x1p31, 0x1p31 - 1, -0x1p30, 0x1p31 - 7};
static const double floats[] = {
    0,    -0.0,    1,     -1,     0.5,  -2.5,     3,         7.7,  1.1,    0.3,     1e-40,        -1e-40,
    1e-3, 88,      89,    -87,    -104, 1e4,      -1e4,      1e10, -1e10,  3.4e38,  -3.4e38,      200.7,
    -129, 40000.5, 65520, -65504, 6e-8, INFINITY, -INFINITY, NAN,  0x1p31, -0x1p31, 0x1p32 + 512, 5e9};
static int edges_of(np_dtype d, double *v)
{
    int n = 0;
    if (d == NP_BOOL) return v[0] = 0, v[1] = 1, 2;
    for (size_t i = 0; np_dtype_class(d) == 'F' && i < NP_LEN(floats); i++)
        v[n++] = np_round_to(d, floats[i]);
    for (size_t i = 0; np_dtype_class(d) == 'I' && i < NP_LEN(ints) + NP_LEN(large); i++) {
        double x = i < NP_LEN(ints) ? ints[i] : large[i - NP_LEN(ints)];
        if (np_round_to(d, x) == x) v[n++] = x;
    }
    return n;
}
/* Element i of the inputs taken together is the i-th combination of edges. */
static void fill_edges(np_tensor *in, int n)
{
    double v[64];
    int64_t step = 1;
    for (int k = 0; k < n; k++) {
        int count = edges_of(in[k].dtype, v);
        for (int64_t i = 0, all = np_tensor_count(&in[k]); i < all; i++) in[k].data[i] = v[i / step % count];
        step *= count;
    }
}

/* ---- how far off is too far */
typedef struct limits {
    double ulp;  /* of an element; < 0: by noise */
    double most; /* of a tensor, by noise */
} limits;
static bool close_enough(const np_tensor *got, const np_tensor *want, const limits *l, int64_t *at)
{
    static const int bits[NP_NDTYPES] = {[NP_F16] = 10, [NP_BF16] = 7, [NP_F32] = 23, [NP_F64] = 52};
    double least = want->dtype == NP_F16 ? 0x1p-14 : want->dtype == NP_F64 ? 0x1p-1022 : 0x1p-126;
    *at = 0;
    if (l->ulp < 0) return np_tensor_distance(got, want) <= l->most;
    if (np_tensor_count(got) != np_tensor_count(want)) return false;
    for (int64_t n = np_tensor_count(want); *at < n; ++*at) {
        double a = got->data[*at], b = want->data[*at];
        int e;
        if (a == b || (isnan(a) && isnan(b))) continue;
        if (l->ulp == 0 || np_dtype_class(want->dtype) != 'F' || !isfinite(a) || !isfinite(b)) return false;
        frexp(b, &e);
        if (fabs(a - b) > l->ulp * ldexp(1, e - 1 - bits[want->dtype]) + (l->ulp > 0 ? least : 0))
            return false;
    }
    return true;
}
static void free_all(np_tensor *t, int n)
{
    for (int i = 0; i < n; i++) np_tensor_free(&t[i]);
}
/* What noise does to the outputs of f. */
static bool measure(const np_fn *f, const np_tensor *in, const np_tensor *want, const np_env *e, double *most)
{
    enum { RUNS = 3, FACTOR = 16 };
    np_tensor out[64];
    int n = f->nouts + f->nstates;
    for (int i = 0; i < n; i++) most[i] = 0;
    for (int k = 0; k <= RUNS; k++) {
        if (np_eval(f, in, out, e,
                    (np_eval_opts){.exact = k == RUNS, .noise = k < RUNS ? 1 + 1000u * (unsigned)k : 0}) !=
            NP_OK)
            return false;
        for (int i = 0; i < n; i++) most[i] = fmax(most[i], (double)FACTOR * np_tensor_distance(&out[i], &want[i]));
        free_all(out, n);
    }
    for (int i = 0; i < n; i++) most[i] = np_dtype_class(want[i].dtype) == 'F' ? most[i] + 1e-7 : most[i];
    return true;
}

/* ---- one case */
typedef struct subject {
    const test *t;
    const np_mod *plain; /* as written */
    const np_mod *m;     /* placed */
    const char *backend;
    np_lib *lib;
    double ulp;
    bool edges;
} subject;

static int complain(const subject *s, const np_fn *f, int i, const np_tensor *got, const np_tensor *want,
                    int64_t at, const np_env *e, const limits *l)
{
    np_str name = i < f->nouts ? f->out_name[i] : f->top.param[f->ninputs + i - f->nouts]->name;
    np_text sizes = {0};
    for (int k = 0; k < e->n; k++) np_text_add(&sizes, " %s=%lld", e->sym[k]->name, (long long)e->value[k]);
    int r =
        run_fail(s->t, "by %s @%s: %s is off by %.3g of %.3g%s; element %lld is %.9g, not %.9g", s->backend,
                 f->name, name ? name : "?", np_tensor_distance(got, want), l->ulp < 0 ? l->most : l->ulp,
                 sizes.s ? sizes.s : "", (long long)at, got->data[at], want->data[at]);
    np_text_free(&sizes);
    return r;
}
static int run_function(const subject *s, const np_fn *f, const np_env *e)
{
    const np_fn *placed = np_mod_fn(s->m, f->name);
    np_tensor in[64], want[64], got[64];
    double most[64] = {0};
    int nin = f->ninputs + f->nstates, nout = f->nouts + f->nstates, r = PASSED;
    if (!np_same_inputs(f, e, 1, in)) return run_fail(s->t, "@%s: a size of an input has no value", f->name);
    if (s->edges) fill_edges(in, nin);
    if (np_eval(f, in, want, e, (np_eval_opts){0}) != NP_OK)
        r = run_fail(s->t, "@%s cannot be evaluated", f->name);
    else {
        if (s->ulp < 0 && !measure(f, in, want, e, most))
            r = run_fail(s->t, "@%s cannot be evaluated with noise", f->name);
        if (np_lib_run(s->lib, placed, in, got, e, NULL) != NP_OK) {
            np_diag_print(f->cx, NP_ERROR, stdout);
            r = run_fail(s->t, "@%s does not run", f->name);
        } else {
            for (int i = 0; i < nout && r == PASSED; i++) {
                limits l = {s->ulp, most[i]};
                int64_t at;
                if (!close_enough(&got[i], &want[i], &l, &at))
                    r = complain(s, f, i, &got[i], &want[i], at, e, &l);
            }
            free_all(got, nout);
        }
        free_all(want, nout);
    }
    free_all(in, nin);
    return r;
}
static int run_case(const subject *s, const char *line)
{
    np_cx *cx = s->m->cx;
    np_env e = {0};
    const np_dim **sym;
    double v;
    int r = PASSED;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++)
        if (line && run_setting(line, sym[i]->name, &v)) np_env_set(&e, sym[i], (int64_t)v);
    np_same_env(cx, &e);
    for (int i = 0; i < s->plain->nfns && r == PASSED; i++) r = run_function(s, s->plain->fn[i], &e);
    return r;
}
static int run_cases(const subject *s)
{
    const test *t = s->t;
    const char *end = t->text + t->split, *p = run_header(t->text, end, "eval:");
    int r = run_case(s, p);
    while (r == PASSED && p && (p = strchr(p, '\n')) && (p = run_header(p + 1, end, "eval:")))
        r = run_case(s, p);
    return r;
}

/* ---- modules */
static np_mod *placed_copy(const test *t, const np_mod *plain)
{
    np_mod *m = np_mod_new(plain->cx, plain->name);
    np_pipeline_opts o = {.knobs = t->knobs};
    for (int i = 0; i < plain->nfns; i++) {
        const np_fn *f = plain->fn[i];
        np_fn *now = f->stage == NP_STAGE_TENSOR ? np_pipeline_run(f, &o)
                     : f->stage == NP_STAGE_LOOP ? np_pipeline_pass(f, np_pass_find("place"), &o)
                                                 : np_fn_copy(f);
        np_mod_put(m, now);
    }
    m->weight = plain->weight; /* lent, with those that passes made */
    m->nweights = plain->nweights;
    return m;
}
static int load_and_compare(subject *s, const np_backend *b, const np_program *p)
{
    s->backend = b->name;
    s->lib = b->load(s->m->cx, p);
    if (!s->lib) {
        np_diag_print(s->m->cx, NP_ERROR, stdout);
        return run_fail(s->t, "%s cannot load it", b->name);
    }
    int r = run_cases(s);
    np_lib_free(s->lib);
    return r;
}
/* Every compiler that is there takes the text without a warning. */
static int compile_everywhere(const test *t, np_cx *cx, const np_text *text)
{
    static const char *const compilers[] = {"gcc", "clang", "clang-14", "clang-19"};
    int r = PASSED;
    for (size_t i = 0; i < NP_LEN(compilers) && r == PASSED; i++) {
        char out[] = "/tmp/neap-emit-XXXXXX";
        int fd = mkstemp(out), before = cx->nerrors;
        if (fd >= 0) close(fd);
        setenv("CC", compilers[i], 1);
        bool missing = !np_cc_find(cx);
        if (!missing && np_cc_build(cx, NP_CC_OBJ, text->s, text->n, "-Wall -Wextra -pedantic -Werror -O1",
                                    out) != NP_OK) {
            np_diag_print(cx, NP_ERROR, stdout);
            r = run_fail(t, "%s does not like it", compilers[i]);
        }
        if (missing) cx->nerrors = before;
        unlink(out);
    }
    unsetenv("CC");
    return r;
}
static int run_module(const test *t, np_mod *plain)
{
    np_cx *cx = plain->cx;
    const char *end = t->text + t->split, *ulp = run_header(t->text, end, "ulp:"),
               *name = strrchr(t->path, '/');
    subject s = {.t = t,
                 .plain = plain,
                 .ulp = ulp ? strtod(ulp, NULL) : -1,
                 .edges = run_header(t->text, end, "edges") != NULL};
    np_mod *m = placed_copy(t, plain);
    np_target target = *np_target_find(cx, "generic");
    if (getenv("NP_CODE_FLAGS")) target.cflags = getenv("NP_CODE_FLAGS");
    s.m = m;
    np_program p = {
        .mod = m, .target = &target, .name = "t", .title = name ? name + 1 : t->path, .source = t->text};
    np_text text = {0};
    int r = PASSED;
    bool emit = strcmp(t->kind, "emit") == 0;
    for (int i = 0; np_backends[i] && r == PASSED; i++) {
        const np_backend *b = np_backends[i];
        if (b->load && (!emit || strcmp(b->name, t->pass) == 0)) r = load_and_compare(&s, b, &p);
    }
    if (emit && r == PASSED && np_backend_find(t->pass)->emit(cx, &p, &text) != NP_OK)
        r = run_fail(t, "cannot be written");
    if (emit && r == PASSED) r = compile_everywhere(t, cx, &text);
    if (emit && r == PASSED) r = run_expect(t, text.s);
    np_text_free(&text);
    m->weight = NULL, m->nweights = 0;
    np_mod_free(m);
    return r;
}
int run_code(const test *t)
{
    np_cx *cx = np_cx_new();
    int r = FAILED;
    if (strcmp(t->kind, "emit") == 0 && !np_backend_find(t->pass))
        r = run_fail(t, "there is no backend %s", t->pass);
    else {
        np_mod *m = run_parse(t, cx, false);
        r = m ? run_module(t, m) : run_fail(t, "cannot be read");
        np_mod_free(m);
    }
    np_cx_free(cx);
    return r;
}
