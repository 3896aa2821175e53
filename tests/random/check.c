/* One program through everything that needs no compiler: its text reads back,
 * folding keeps its answers, and so does every pass; each stage prints as a
 * text that reads back as itself and gives the same answers. */
#include "check.h"
#include "tests/same.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void rn_report_phase(rn_report *r, const char *phase)
{
    snprintf(r->phase, sizeof r->phase, "%s", phase);
}
bool rn_report_fail(rn_report *r, const char *kind, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    snprintf(r->kind, sizeof r->kind, "%s", kind);
    vsnprintf(r->why, sizeof r->why, fmt, ap);
    va_end(ap);
    return false;
}
np_knobs rn_knobs(const char *text)
{
    np_knobs k = {.lanes = 32, .rows = 4, .chunk = 1};
    if (strncmp(text, RN_MAIN_FORM, strlen(RN_MAIN_FORM)) == 0) text += strlen(RN_MAIN_FORM);
    sscanf(text, "# knobs: lanes=%d rows=%d", &k.lanes, &k.rows);
    return k;
}
static const char *last_error(const np_cx *cx)
{
    for (int i = cx->ndiags - 1; i >= 0; i--)
        if (cx->diag[i].level == NP_ERROR) return cx->diag[i].text;
    return "no message";
}
static const char *line_that_differs(const char *a, const char *b)
{
    while (*a && *a == *b) {
        const char *x = strchr(a, '\n'), *y = strchr(b, '\n');
        if (!x || !y || x - a != y - b || memcmp(a, b, (size_t)(x - a)) != 0) break;
        a = x + 1, b = y + 1;
    }
    return b;
}

/* ---- texts */
/* The law, and the answers of what was read back. */
static bool round_trip(subject *s, const np_mod *m, bool plain, const np_fn *compare)
{
    np_cx *cx = np_cx_new();
    np_text a = {0}, b = {0}, why = {0};
    np_print_mod(&a, m, (np_print_opts){0});
    np_mod *again = (plain ? np_parse_plain : np_parse)(cx, "again", a.s, a.n);
    bool good = again != NULL;
    if (!good) rn_report_fail(s->r, "does not read back", "%s\n%s", last_error(cx), a.s);
    if (good) np_print_mod(&b, again, (np_print_opts){0});
    if (good && strcmp(a.s, b.s) != 0) {
        const char *p = line_that_differs(a.s, b.s);
        good = rn_report_fail(s->r, "reads back differently", "%.*s", (int)strcspn(p, "\n"), p);
    }
    if (good && compare) {
        np_same_weights(again);
        good = rn_answers_agree(&s->want, np_mod_fn(again, compare->name), &why);
        if (!good) rn_report_fail(s->r, "what is read back gives another answer", "%s", why.s);
    }
    np_text_free(&a), np_text_free(&b), np_text_free(&why);
    np_mod_free(again);
    np_cx_free(cx);
    return good;
}
static bool check_all(subject *s, const np_mod *m, np_stage stage)
{
    np_text why = {0};
    bool good = true;
    for (int i = 0; i < m->nfns && good; i++) {
        good = np_check(m->fn[i], stage, &why);
        if (!good) rn_report_fail(s->r, "not what the stage promises", "@%s: %s", m->fn[i]->name, why.s);
    }
    np_text_free(&why);
    return good;
}

/* A state keeps its type, or has T more rows along the one axis that was N. */
static bool states_are_states(subject *s, const np_fn *f)
{
    const np_dim *N = np_dim_sym(s->cx, "N"), *all = np_dim_add(s->cx, N, np_dim_sym(s->cx, "T"));
    for (int i = 0; i < f->nstates; i++) {
        const np_type *was = f->top.param[f->ninputs + i]->type, *now = f->top.last->arg[f->nouts + i]->type;
        int grown = 0;
        for (int k = 0; k < was->rank; k++)
            if (was->dim[k] == N) was = np_type_set(s->cx, was, k, all), grown++;
        if (now != f->top.param[f->ninputs + i]->type && (now != was || grown != 1))
            return rn_report_fail(s->r, "has a state that is none", "%s", f->top.param[f->ninputs + i]->name);
    }
    return true;
}

/* ---- answers */
static bool agrees(subject *s, const np_fn *f)
{
    np_text why = {0};
    bool good = rn_answers_agree(&s->want, f, &why);
    if (!good) rn_report_fail(s->r, "another answer", "%s", why.s);
    np_text_free(&why);
    return good;
}
bool rn_subject_answers(subject *s, const np_fn *f, bool from_start)
{
    np_text why = {0};
    rn_answers_free(&s->want);
    bool good = rn_answers_make(&s->want, f, from_start, &why);
    if (!good) rn_report_fail(s->r, "cannot be evaluated", "%s", why.s);
    for (int c = 0; c < RN_CASES && good; c++)
        for (int i = 0; i < s->want.nout; i++) {
            s->r->outputs++;
            s->r->loose += !(s->want.rounded[c][i] < 0.05) && s->want.out[c][i].dtype != NP_BF16;
        }
    np_text_free(&why);
    return good;
}
static bool folding(subject *s, bool from_start)
{
    rn_report_phase(s->r, "fold");
    if (!check_all(s, s->m, NP_STAGE_TENSOR)) return false;
    for (int i = 0; i < s->plain->nfns; i++)
        if (!rn_subject_answers(s, s->plain->fn[i], from_start) || !agrees(s, s->m->fn[i])) return false;
    return true;
}
bool rn_subject_passes(subject *s, np_str name)
{
    np_pipeline_opts o = {.knobs = s->knobs};
    for (const np_pass *p = np_passes; p->name; p++) {
        rn_report_phase(s->r, p->name);
        np_fn *now = np_pipeline_pass(np_mod_fn(s->m, name), p, &o);
        np_mod_put(s->m, now);
        if (!agrees(s, now)) return false;
        rn_report_phase(s->r, np_str_fmt(s->cx, "%s, text", p->name));
        if (!round_trip(s, s->m, false, p->out == NP_STAGE_PLACED ? now : NULL)) return false;
        if (s->until && strcmp(s->until, p->name) == 0) break;
    }
    return true;
}
static bool run(subject *s, const char *text, size_t n)
{
    bool main_form = strncmp(text, RN_MAIN_FORM, strlen(RN_MAIN_FORM)) == 0;
    rn_report_phase(s->r, "read");
    s->plain = np_parse_plain(s->cx, "plain", text, n);
    if (!s->plain) return rn_report_fail(s->r, "is not valid", "%s", last_error(s->cx));
    s->m = np_parse(s->cx, "folded", text, n);
    if (!s->m) return rn_report_fail(s->r, "is not valid when folded", "%s", last_error(s->cx));
    if (!check_all(s, s->plain, NP_STAGE_TENSOR) || !states_are_states(s, s->plain->fn[s->plain->nfns - 1]))
        return false;
    if (!round_trip(s, s->plain, true, NULL)) return false;
    np_same_weights(s->plain), np_same_weights(s->m);
    if (!folding(s, main_form)) return false;
    rn_report_phase(s->r, "fold, text");
    if (!round_trip(s, s->m, false, s->m->fn[s->m->nfns - 1])) return false;
    return main_form ? rn_subject_stream(s) : rn_subject_passes(s, s->m->fn[s->m->nfns - 1]->name);
}
bool rn_check(rn_report *r, const char *text, size_t n, const char *until, char *derived)
{
    subject s = {.r = r, .cx = np_cx_new(), .knobs = rn_knobs(text), .until = until, .derived = derived};
    bool good = run(&s, text, n);
    rn_answers_free(&s.want);
    np_mod_free(s.plain), np_mod_free(s.m);
    np_cx_free(s.cx);
    return good;
}
