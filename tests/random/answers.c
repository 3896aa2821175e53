/* What a function gives, and what may be asked of another way to compute it.
 * The tolerance is measured: the interpreter runs again with noise of one unit
 * in the last place wherever a float may be rounded; how far the answers then
 * lie apart, times a factor for what a handful of runs does not reach, is what
 * rounding can explain. A bug explains more. */
#include "random.h"
#include "tests/same.h"

#include <math.h>
#include <stdlib.h>

enum { RUNS = 3 };
static const double FACTOR = 16, LEAST = 1e-9;
static const int64_t sizes[RN_CASES][3] = {{1, 0, 1}, {4, 3, 2}, {19, 5, 3}}; /* T, N, B */

static void free_list(np_tensor *t, int n)
{
    for (int i = 0; i < n; i++) np_tensor_free(&t[i]);
}
static void widen(double *tol, const np_tensor *a, const np_tensor *b, int n)
{
    for (int i = 0; i < n; i++) tol[i] = fmax(tol[i], np_tensor_distance(&b[i], &a[i]));
}
/* A few units in the last place: what may be rounded otherwise where nothing was rounded. */
static double unit_of(np_dtype d)
{
    return 4 * (d == NP_F16    ? 0x1p-10
                : d == NP_BF16 ? 0x1p-7
                : d == NP_F32  ? 0x1p-23
                : d == NP_F64  ? 0x1p-50
                               : 0);
}
/* Runs f with noise; how far each output moves. */
static bool measure(const np_fn *f, const rn_answers *a, int c, bool exact, double *tol)
{
    np_tensor *out = calloc((size_t)a->nout + 1, sizeof *out);
    bool good = true;
    for (int i = 0; i < RUNS && good; i++) {
        np_eval_opts o = {.exact = exact, .noise = i ? 1000u * (unsigned)i : exact};
        if (!exact && i == 0) o.noise = 0; /* rounding itself, without noise */
        good = np_eval(f, a->in[c], out, &a->env[c], o) == NP_OK;
        if (!good) break;
        widen(tol, a->out[c], out, a->nout);
        free_list(out, a->nout);
    }
    for (int i = 0; i < a->nout; i++) {
        bool whole = np_dtype_class(a->out[c][i].dtype) != 'F';
        tol[i] = whole && tol[i] == 0 ? 0 : FACTOR * tol[i] + (exact ? LEAST : unit_of(a->out[c][i].dtype));
    }
    free(out);
    return good;
}
bool rn_answers_make(rn_answers *a, const np_fn *f, bool from_start, np_text *why)
{
    *a = (rn_answers){.nin = f->ninputs + f->nstates, .nout = f->nouts + f->nstates};
    for (int c = 0; c < RN_CASES; c++) {
        np_env *e = &a->env[c];
        static const char *const name[] = {"T", "N", "B"};
        for (int i = 0; i < 3; i++) {
            const np_dim *s = np_dim_sym(f->cx, name[i]);
            int64_t v = from_start && i == 1 ? 0 : sizes[c][i];
            np_env_set(e, s, v < s->lo ? s->lo : v > s->hi ? s->hi : v);
        }
        np_same_env(f->cx, e);
        a->in[c] = calloc((size_t)a->nin + 1, sizeof **a->in);
        a->out[c] = calloc((size_t)a->nout + 1, sizeof **a->out);
        a->exact[c] = calloc((size_t)a->nout + 1, sizeof **a->exact);
        a->rounded[c] = calloc((size_t)a->nout + 1, sizeof **a->rounded);
        bool good = np_same_inputs(f, e, 1 + (uint64_t)c, a->in[c]) &&
                    np_eval(f, a->in[c], a->out[c], e, (np_eval_opts){.exact = true}) == NP_OK &&
                    measure(f, a, c, true, a->exact[c]) && measure(f, a, c, false, a->rounded[c]);
        if (good) continue;
        np_text_add(why, "@%s cannot be evaluated: %s", f->name,
                    f->cx->ndiags ? f->cx->diag[f->cx->ndiags - 1].text : "");
        return false;
    }
    return true;
}
void rn_answers_free(rn_answers *a)
{
    for (int c = 0; c < RN_CASES && a->in[c]; c++) {
        free_list(a->in[c], a->nin), free_list(a->out[c], a->nout);
        free(a->in[c]), free(a->out[c]), free(a->exact[c]), free(a->rounded[c]);
    }
    *a = (rn_answers){0};
}
static void describe(np_text *why, const np_tensor *want, const np_tensor *got)
{
    int64_t n = np_tensor_count(want), at = 0;
    double most = -1;
    if (np_tensor_count(got) != n) {
        np_text_add(why, ": another size");
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        double far = fabs(want->data[i] - got->data[i]);
        if (want->data[i] == got->data[i] || (isnan(want->data[i]) && isnan(got->data[i]))) continue;
        if (!(far <= most)) most = far, at = i;
    }
    np_text_add(why, ": element %lld of %lld is %.17g, not %.17g", (long long)at, (long long)n, got->data[at],
                want->data[at]);
}
bool rn_answers_same(const rn_answers *a, const np_fn *f, int c, int i, const np_tensor *got,
                     const double *tol, np_text *why)
{
    double far = np_tensor_distance(got, &a->out[c][i]);
    if (far <= tol[i]) return true;
    const char *name = i < f->nouts ? f->out_name[i] : f->top.param[f->ninputs + i - f->nouts]->name;
    np_text_add(why, "%s %s differs by %.3g, of which rounding explains %.3g (T=%lld N=%lld B=%lld)",
                i < f->nouts ? "output" : "state", name ? name : "?", far, tol[i], (long long)sizes[c][0],
                (long long)sizes[c][1], (long long)sizes[c][2]);
    describe(why, &a->out[c][i], got);
    return false;
}
bool rn_answers_agree(const rn_answers *a, const np_fn *f, np_text *why)
{
    np_tensor *out = calloc((size_t)a->nout + 1, sizeof *out);
    bool good = a->nin == f->ninputs + f->nstates && a->nout == f->nouts + f->nstates;
    if (!good) np_text_add(why, "other inputs, states or outputs than before");
    for (int c = 0; c < RN_CASES && good; c++) {
        np_env e = {0}; /* f may be of another context: sizes go over by name */
        for (int i = 0; i < a->env[c].n; i++)
            np_env_set(&e, np_dim_sym(f->cx, a->env[c].sym[i]->name), a->env[c].value[i]);
        good = np_eval(f, a->in[c], out, &e, (np_eval_opts){.exact = true}) == NP_OK;
        if (!good) {
            np_text_add(why, "cannot be evaluated: %s",
                        f->cx->ndiags ? f->cx->diag[f->cx->ndiags - 1].text : "");
            break;
        }
        for (int i = 0; i < a->nout && good; i++)
            good = rn_answers_same(a, f, c, i, &out[i], a->exact[c], why);
        free_list(out, a->nout);
    }
    free(out);
    return good;
}
