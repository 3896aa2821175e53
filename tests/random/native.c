/* Many programs in one file of C, compiled once, against the interpreter. The
 * tolerance is what rounding may do to each output, measured. Sizes that code
 * cannot be given at run time become numbers first. */
#include "native.h"
#include "tests/same.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct unit { /* one program of the batch */
    rn_answers want;
    np_fn *placed;
} unit;

/* Declarations first, then functions; the programs' names differ. */
static void joined(const char *const *text, int n, np_text *out)
{
    np_text fns = {0};
    for (int i = 0; i < n; i++)
        for (const char *p = text[i], *end; *p; p = end) {
            end = p + strcspn(p, "\n") + 1;
            if (strncmp(p, "fn ", 3) == 0) {
                np_text_add(&fns, "%s", p);
                break;
            }
            bool dim = strncmp(p, "dim ", 4) == 0;
            np_text line = {0};
            np_text_put(&line, p, (size_t)(end - p));
            if (*p != '#' && !(dim && out->s && strstr(out->s, line.s))) np_text_add(out, "%s", line.s);
            np_text_free(&line);
        }
    np_text_add(out, "%s", fns.s ? fns.s : "");
    np_text_free(&fns);
}
/* The name of the last function of a text: its entry. */
static np_str entry_name(np_cx *cx, const char *text)
{
    const char *at = NULL;
    for (const char *p = strstr(text, "fn @"); p; p = strstr(p + 1, "\nfn @")) at = strchr(p, '@') + 1;
    return at ? np_str_len(cx, at, strcspn(at, "(")) : NULL;
}
static np_fn *numbered(const np_fn *f, np_str name)
{
    return np_fn_subst(f, name, np_dim_sym(f->cx, "B"), np_dim_const(f->cx, 2));
}
static bool prepare(np_mod *m, const char *text, unit *u, rn_report *r)
{
    np_str name = entry_name(m->cx, text);
    np_text why = {0};
    np_pipeline_opts o = {.knobs = rn_knobs(text)};
    np_fn *f = name ? np_mod_fn(m, name) : NULL;
    if (!f) return rn_report_fail(r, "has no entry", "%s", name ? name : "no function");
    np_fn *flat = np_inline_run(f, &o.knobs), *whole = numbered(flat, name);
    bool good = rn_answers_make(&u->want, whole, false, &why);
    if (!good) rn_report_fail(r, "cannot be evaluated", "%s", why.s);
    if (good) u->placed = np_pipeline_run(whole, &o);
    np_fn_free(flat), np_fn_free(whole);
    np_text_free(&why);
    return good;
}
static bool run_one(np_lib *l, unit *u, rn_report *r)
{
    const rn_answers *a = &u->want;
    np_tensor *out = calloc((size_t)a->nout + 1, sizeof *out);
    np_text why = {0};
    bool good = true;
    for (int c = 0; c < RN_CASES && good; c++) {
        good = np_lib_run(l, u->placed, a->in[c], out, &a->env[c], NULL) == NP_OK;
        if (!good) {
            const np_cx *cx = u->placed->cx;
            rn_report_fail(r, "does not run", "%s", cx->ndiags ? cx->diag[cx->ndiags - 1].text : "");
            break;
        }
        for (int i = 0; i < a->nout; i++) {
            if (good && !rn_answers_same(a, u->placed, c, i, &out[i], a->rounded[c], &why))
                good = rn_report_fail(r, "another answer", "%s", why.s);
            np_tensor_free(&out[i]);
        }
    }
    np_text_free(&why);
    free(out);
    return good;
}
/* The module's functions become the placed ones; what they called goes. */
static void only_placed(np_mod *m, unit *u, int n)
{
    while (m->nfns) np_mod_drop(m, m->fn[0]->name);
    for (int i = 0; i < n; i++)
        if (u[i].placed) np_mod_put(m, u[i].placed);
}
void rn_native(rn_report *r, const char *const *text, int n, int *at)
{
    np_cx *cx = np_cx_new();
    np_text all = {0};
    unit *u = calloc((size_t)n + 1, sizeof *u);
    np_lib *l = NULL;
    joined(text, n, &all);
    np_mod *m = np_parse(cx, "joined", all.s, all.n);
    *at = -1;
    for (int i = 0; i < n; i++) rn_report_phase(&r[i], RN_NATIVE);
    if (m) np_same_weights(m);
    for (int i = 0; i < n && m; i++) {
        *at = i;
        prepare(m, text[i], &u[i], &r[i]);
    }
    *at = -1;
    if (m) {
        only_placed(m, u, n);
        np_target target = *np_target_find(cx, "generic");
        target.cflags = "-O1";
        l = np_backend_find("c")->load(
            cx, &(np_program){.mod = m, .target = &target, .name = "random", .title = "random programs"});
    }
    for (int i = 0; i < n; i++) {
        *at = i;
        if (!l)
            rn_report_fail(&r[i], RN_NOT_COMPILED, "%s", cx->ndiags ? cx->diag[cx->ndiags - 1].text : "");
        else if (u[i].placed)
            run_one(l, &u[i], &r[i]);
    }
    *at = n;
    np_lib_free(l);
    for (int i = 0; i < n; i++) rn_answers_free(&u[i].want);
    free(u);
    np_text_free(&all);
    np_mod_free(m);
    np_cx_free(cx);
}
