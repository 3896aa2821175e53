/* The pipeline: the rows of passes.def, one after the other. After each pass
 * the result is copied (a value that a pass put into an enclosing block is then
 * shared by all that stand behind it, as if the text were read back) and checked
 * against the stage that its row promises; what does not hold is our bug and
 * names the pass and the last good function.
 *
 * With opts.eval each pass is also interpreted before and after (pipeline_eval.c):
 * the first one that changes an answer is reported with np_error, so that the
 * caller sees it in cx->nerrors and can print everything else first; the
 * pipeline goes on without comparing further. */
#include "passes.h"
#include "pipeline.h"

#include <string.h>
#include <time.h>

const np_pass np_passes[] = {
#define NP_PASS(name, in, out, what) {#name, NP_STAGE_##in, NP_STAGE_##out, np_##name##_run, what},
#include "passes.def"
#undef NP_PASS
    {0},
};

const np_pass *np_pass_find(const char *name)
{
    for (const np_pass *p = np_passes; p->name; p++)
        if (strcmp(p->name, name) == 0) return p;
    return NULL;
}

static void show(const np_fn *f, const np_pass *p, const char *when, const char *wanted)
{
    if (!wanted || (strcmp(wanted, "all") != 0 && strcmp(wanted, p->name) != 0)) return;
    np_text t = {0};
    np_print_fn(&t, f, (np_print_opts){0});
    fprintf(stderr, "# %s %s\n%s", when, p->name, t.s ? t.s : "");
    np_text_free(&t);
}
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}
static void check(np_cx *cx, const np_fn *f, np_stage stage)
{
    np_text why = {0};
    bool good = f->stage == stage && np_check(f, stage, &why);
    if (!good && !cx->nerrors) np_bug(cx, "@%s after %s: %s", f->name, cx->pass, why.s ? why.s : "another stage than promised");
    np_text_free(&why);
    if (good) cx->last = f;
}
/* One pass; compare: whether to interpret both sides, cleared at the first difference. */
static np_fn *apply(const np_fn *f, const np_pass *p, const np_pipeline_opts *o, bool *compare)
{
    np_cx *cx = f->cx;
    cx->pass = np_str_new(cx, p->name);
    cx->last = f;
    if (f->stage != p->in) np_bug(cx, "%s wants @%s at another stage", p->name, f->name);
    show(f, p, "before", o->print_before);
    double start = now();
    np_fn *made = p->run(f, &o->knobs), *r = np_fn_copy(made);
    np_fn_free(made);
    double took = now() - start;
    check(cx, r, p->out);
    show(r, p, "after", o->print_after);
    if (o->see) o->see(o->env, p, r);
    if (o->time) fprintf(stderr, "%-8s %-8s %6u nodes %8.3f ms\n", p->name, f->name, r->nnodes, took);
    if (*compare && !cx->nerrors) *compare = np_pipeline_compare(f, r, p->name);
    np_arena_free(&cx->tmp);
    cx->pass = NULL;
    return r;
}

np_fn *np_pipeline_pass(const np_fn *f, const np_pass *p, const np_pipeline_opts *o)
{
    bool compare = o->eval;
    return apply(f, p, o, &compare);
}
np_fn *np_pipeline_run(const np_fn *f, const np_pipeline_opts *o)
{
    bool compare = o->eval;
    np_fn *r = NULL;
    for (const np_pass *p = np_passes; p->name; p++) {
        if (o->only && strcmp(o->only, p->name) != 0) continue;
        np_fn *next = apply(r ? r : f, p, o, &compare);
        np_fn_free(r);
        f->cx->last = r = next;
    }
    return r ? r : np_fn_copy(f);
}
