/* Streaming of random functions. What np_stream_derive accepts must give the same
 * however it is cut: the proof that no position depends on later ones is put to
 * the test, not only the code that is derived. */
#include "check.h"
#include "tests/same.h"

#include <math.h>
#include <string.h>

static bool pieces(subject *s)
{
    static const int64_t cut[][3] = {{1, 1, 1}, {2, 1, 3}, {5, 4, 1}};
    enum { LAST = RN_CASES - 1 };
    double tol = 0;
    bool good = true;
    np_text why = {0};
    for (int i = 0; i < s->want.nout; i++) tol = fmax(tol, s->want.exact[LAST][i]);
    for (size_t i = 0; i < NP_LEN(cut) && good; i++)
        good = np_same_pieces(s->m, s->want.in[LAST], 3, cut[i], tol, &why);
    if (!good) rn_report_fail(s->r, "pieces give another answer", "%s", why.s);
    np_text_free(&why);
    return good;
}
/* An entry as a program of its own. */
static void put_derived(subject *s, const np_fn *f)
{
    np_text t = {0};
    np_fn *list[] = {(np_fn *)f};
    np_mod alone = *s->m;
    alone.nfns = 1, alone.fn = list;
    np_text_add(&t, "# knobs: lanes=%d rows=%d\n", s->knobs.lanes, s->knobs.rows);
    np_print_mod(&t, &alone, (np_print_opts){0});
    if (t.n < RN_LONG) memcpy(s->derived, t.s, t.n + 1);
    np_text_free(&t);
}
static const char *const entries[] = {"whole", "init", "prefill", "step"};
static bool is_entry(np_str name)
{
    for (size_t i = 0; i < NP_LEN(entries); i++)
        if (strcmp(entries[i], name) == 0) return true;
    return false;
}
bool rn_subject_stream(subject *s)
{
    rn_report_phase(s->r, "stream");
    if (np_stream_derive(s->m) != NP_OK) return rn_report_fail(s->r, "is refused", "@main has no @whole");
    s->r->streams = np_mod_fn(s->m, "prefill") != NULL;
    if (s->r->streams && !pieces(s)) return false;
    np_mod_drop(s->m, "main");
    while (s->m->nfns && !is_entry(s->m->fn[0]->name)) np_mod_drop(s->m, s->m->fn[0]->name); /* was called */
    if (s->derived) put_derived(s, np_mod_fn(s->m, s->r->streams ? "prefill" : "whole"));
    for (size_t i = 0; i < NP_LEN(entries); i++) {
        const np_fn *f = np_mod_fn(s->m, entries[i]);
        if (!f) continue;
        if (!rn_subject_answers(s, f, false) || !rn_subject_passes(s, f->name)) return false;
    }
    return true;
}
