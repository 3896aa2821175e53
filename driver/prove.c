/* The theorems of neap check: what must hold of any model that goes step by
 * step, whatever it computes, in every form that its scans may have.
 *
 * A form is a chunk (1: one step after the other; the length: all at once; 0:
 * what is chosen automatically) and what runs it: the interpreter in f64, or
 * compiled code. What it must give is what @main says, interpreted in f64
 * without any pass. In f64 two forms differ by the order of their sums alone
 * (1e-10); compiled code may differ by ten times what rounding to the declared
 * types costs the interpreter itself. What may not change at all is compared
 * bit by bit.
 *
 * A theorem is a row of the table: a function that gives the error it found.
 * Models with many weights get a smaller sample of lengths, cuts and forms. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = NP_CHECK_STEPS, FUTURE = 27, AT = 21, MANY = 1 << 15, LENGTHS = 8 };
static const double EXACT = 1e-10,
                    FLOOR = 3e-6, /* f32: functions like exp are not rounded as the libm's are */
    NOT_HERE = -1;                /* the theorem says nothing about this model */

typedef struct trial { /* inputs, what must come of them, and how far compiled code may be from that */
    np_tensor *in, *want;
    double limit;
} trial;

typedef struct proof {
    np_subject *s;
    bool streams, large;
    int64_t time; /* steps of the inputs; -1: none has time */
    trial whole, hard, poisoned;
    np_tensor *prefix[STEPS + 1]; /* what must come of the first n steps; NULL: not computed yet */
    /* the form at hand */
    bool compiled, sketch; /* sketch: only that it gives what is described */
    np_tensor *got;        /* the whole in this form */
    char where[40];        /* the worst was found there */
} proof;

/* ---- running */
static np_tensor *as_described(proof *p, const np_tensor *in)
{
    return np_check_whole(p->s, (np_pieces){.in = in, .exact = true});
}

static np_pieces of_form(const proof *p, const np_tensor *in)
{
    return (np_pieces){.in = in, .lib = p->compiled ? p->s->lib : NULL, .exact = true, .form = true};
}

static np_tensor *in_form(proof *p, const np_tensor *in)
{
    return np_check_whole(p->s, of_form(p, in));
}

static np_tensor *in_pieces(proof *p, const char *entry, int n, const int64_t *len, const char *keep)
{
    np_pieces q = of_form(p, p->s->in);
    q.entry = entry;
    q.n = n;
    q.len = len;
    q.keep = keep;
    return np_check_run(p->s, q);
}

static np_tensor *copy_inputs(const np_subject *s)
{
    np_tensor *in = np_arena_array(&s->cx->perm, (size_t)s->f->ninputs + 1, sizeof *in);
    for (int i = 0; i < s->f->ninputs; i++) in[i] = np_tensor_copy(&s->in[i]);
    return in;
}

static void free_results(const proof *p, np_tensor *out)
{
    if (out) np_check_free(out, p->s->f->nouts);
}

/* ---- comparing */
static double wider(double a, double b)
{
    return a <= b || isnan(b) ? b : a;
}

/* The distance where the wanted numbers are finite: where they are not, anything may stand. */
static double where_finite(const proof *p, const np_tensor *got, const np_tensor *want)
{
    double most = 0;
    for (int i = 0; i < p->s->f->nouts; i++) {
        np_tensor a = np_tensor_copy(&got[i]), b = np_tensor_copy(&want[i]);
        for (int64_t k = 0; k < np_tensor_count(&b); k++)
            if (!isfinite(b.data[k])) a.data[k] = b.data[k] = 0;
        most = wider(most, np_tensor_distance(&a, &b));
        np_tensor_free(&a);
        np_tensor_free(&b);
    }
    return most;
}

/* The axis of output i that is time, or the batch; -1: it has none. */
static int axis_of_output(const proof *p, int i, bool batch)
{
    const np_fn *f = p->s->f;
    return batch ? np_draw_batch(f->top.last->arg[i])
                 : np_pieces_axis(f->out_type[i], np_job_symbol(p->s->cx, NP_ROLE_TIME));
}

/* The first n rows of each output along time or the batch; an output without it is left out. */
static double rows_differ(const proof *p, const np_tensor *a, const np_tensor *b, bool batch, int64_t n,
                          bool bits)
{
    double most = 0, bad = 0;
    for (int i = 0; i < p->s->f->nouts; i++) {
        int axis = axis_of_output(p, i, batch);
        int64_t inner = 1, outer = 1;
        double size = 1e-30, far = 0;
        if (axis < 0) continue;
        for (int k = 0; k < a[i].rank; k++)
            *(k < axis ? &outer : k > axis ? &inner : &(int64_t){0}) *= a[i].dim[k];
        for (int64_t o = 0; o < outer; o++)
            for (int64_t k = 0; k < n * inner; k++) {
                double x = a[i].data[o * a[i].dim[axis] * inner + k],
                       y = b[i].data[o * b[i].dim[axis] * inner + k];
                if (x == y || (isnan(x) && isnan(y))) continue;
                bad++;
                far = wider(far, fabs(x - y));
                size = fmax(size, fabs(y));
            }
        most = wider(most, far / size);
    }
    return bits ? bad : most;
}

/* ---- the theorems: each gives the error that it found, or NOT_HERE */
static const np_tensor *first_steps(proof *p, int64_t n, np_tensor *in)
{
    np_subject *s = p->s;
    const np_dim *T = np_job_symbol(s->cx, NP_ROLE_TIME);
    for (int i = 0; i < s->f->ninputs; i++)
        in[i] = np_pieces_rows(&s->in[i], np_pieces_axis(s->f->top.param[i]->type, T), 0, n);
    if (!p->prefix[n]) p->prefix[n] = as_described(p, in);
    return p->prefix[n];
}

/* Lengths around the chunk. */
static int lengths(const proof *p, int64_t len[LENGTHS])
{
    const np_dim *T = np_job_symbol(p->s->cx, NP_ROLE_TIME);
    int64_t c = p->s->job.chunk > 1 ? p->s->job.chunk : 5, all[] = {0, 1, c - 1, c, c + 1, 2 * c + 1};
    int n = 0;
    for (size_t i = 0; i < NP_LEN(all); i++)
        if (all[i] >= T->lo && all[i] < STEPS && (n == 0 || all[i] > len[n - 1]) && (!p->large || i < 2))
            len[n++] = all[i];
    return n;
}

static double is_described(proof *p)
{
    np_subject *s = p->s;
    int64_t len[LENGTHS];
    np_tensor *in = np_arena_array(&s->cx->perm, (size_t)s->f->ninputs + 1, sizeof *in);
    int n = p->time == STEPS ? lengths(p, len) : 0;
    double most = p->got ? np_check_worst(s, p->got, p->whole.want) : (double)INFINITY;
    if (p->time >= 0) snprintf(p->where, sizeof p->where, "T = %d", (int)p->time);
    for (int i = 0; i < n; i++) {
        const np_tensor *want = first_steps(p, len[i], in);
        np_tensor *got = want ? in_form(p, in) : NULL;
        double error = got ? np_check_worst(s, got, want) : (double)INFINITY;
        if (!(error <= most)) most = error, snprintf(p->where, sizeof p->where, "T = %d", (int)len[i]);
        free_results(p, got);
        np_check_free(in, s->f->ninputs);
    }
    return most;
}

static double one_cut(proof *p, double most, const char *entry, int n, const int64_t *len)
{
    np_tensor *got = in_pieces(p, entry, n, len, NULL);
    double error = got ? np_check_worst(p->s, got, p->whole.want) : (double)INFINITY;
    free_results(p, got);
    if (error <= most) return most;
    snprintf(p->where, sizeof p->where, n == STEPS ? "step by step" : "the first piece is %d", (int)len[0]);
    return error;
}

static double cut_anywhere(proof *p)
{
    static const int64_t cuts[][4] = {{2, 20, 17}, {1, 37},       {3, 16, 1, 20}, {2, 1, 36},
                                      {2, 36, 1},  {3, 7, 26, 4}, {2, 33, 4}};
    static const int64_t empty[][4] = {{2, 0, 37}, {3, 16, 0, 21}, {2, 37, 0}};
    int64_t ones[STEPS];
    double most = 0;
    if (!p->streams || p->time < 0) return NOT_HERE;
    for (size_t i = 0; i < NP_LEN(cuts) && (!p->large || i < 2); i++)
        most = one_cut(p, most, "prefill", (int)cuts[i][0], &cuts[i][1]);
    for (size_t i = 0; i < NP_LEN(empty) && np_job_symbol(p->s->cx, NP_ROLE_TIME)->lo == 0; i++)
        most = one_cut(p, most, "prefill", (int)empty[i][0], &empty[i][1]);
    for (int i = 0; i < STEPS; i++) ones[i] = 1;
    return one_cut(p, most, "step", STEPS, ones);
}

static double saved(proof *p)
{
    static const int64_t len[] = {20, 17};
    const char *tmp = getenv("TMPDIR");
    char path[4096];
    if (!p->streams || p->time < 0 || np_job_plain(&p->s->job, "prefill")->nstates == 0) return NOT_HERE;
    snprintf(path, sizeof path, "%s/neap-state-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    int file = mkstemp(path);
    if (file < 0) return INFINITY;
    close(file);
    np_tensor *stay = in_pieces(p, "prefill", 2, len, NULL),
              *kept = stay ? in_pieces(p, "prefill", 2, len, path) : NULL;
    double error = INFINITY;
    if (kept) {
        error = 0;
        for (int i = 0; i < p->s->f->nouts; i++)
            if (memcmp(stay[i].data, kept[i].data,
                       (size_t)np_tensor_count(&stay[i]) * sizeof *stay[i].data) != 0)
                error++;
    }
    unlink(path);
    free_results(p, stay);
    free_results(p, kept);
    return error;
}

/* Large numbers, though compiled code in f32 must not overflow where a state grows with them. */
static double size_of_change(const proof *p)
{
    return p->compiled ? 16 : 1000;
}

static double does_not_reach(proof *p, bool batch)
{
    np_tensor *in = copy_inputs(p->s);
    int seen = batch ? np_draw_rows(p->s, in, size_of_change(p))
                     : np_draw_future(p->s, in, FUTURE, size_of_change(p));
    np_tensor *b = seen && p->got ? in_form(p, in) : NULL;
    double error = b ? rows_differ(p, p->got, b, batch, batch ? 1 : FUTURE, true) : (double)INFINITY;
    free_results(p, b);
    np_check_free(in, p->s->f->ninputs);
    return seen ? error : NOT_HERE;
}

static double future(proof *p)
{
    return p->streams && p->time >= 0 ? does_not_reach(p, false) : NOT_HERE;
}

static double other_rows(proof *p)
{
    return does_not_reach(p, true);
}

/* What stands behind the end of a sequence, as padding does, changes nothing of it. */
static double padding(proof *p)
{
    if (!p->streams || p->time < 0) return NOT_HERE;
    double most = 0;
    for (int n = 1; n < STEPS; n++) {
        double error = p->prefix[n] && p->got ? rows_differ(p, p->got, p->prefix[n], false, n, false) : 0;
        if (!(error <= most)) most = error, snprintf(p->where, sizeof p->where, "behind %d steps", n);
    }
    return most;
}

static double of_trial(proof *p, const trial *t)
{
    if (!t->want) return NOT_HERE;
    np_tensor *got = in_form(p, t->in);
    double error = got ? where_finite(p, got, t->want) : (double)INFINITY;
    free_results(p, got);
    return error;
}

static double hard_gates(proof *p)
{
    return of_trial(p, &p->hard);
}

static double poison(proof *p)
{
    return of_trial(p, &p->poisoned);
}

static const struct theorem {
    const char *what;
    double (*error)(proof *p);
    size_t limit; /* of compiled code: which trial's; 0: not one bit may differ */
} theorems[] = {
    {"gives what is described", is_described, offsetof(proof, whole)},
    {"cut anywhere, the state goes on", cut_anywhere, offsetof(proof, whole)},
    {"the state saved and loaded", saved, 0},
    {"large changes of the future leave the past", future, 0},
    {"what stands behind the end is inert", padding, offsetof(proof, whole)},
    {"a sequence of a batch leaves the others", other_rows, 0},
    {"decays that forget everything stay exact", hard_gates, offsetof(proof, hard)},
    {"NaN and infinity reach what depends on them", poison, offsetof(proof, poisoned)},
};

static void prove_form(proof *p, const char *name)
{
    char what[160];
    p->got = in_form(p, p->s->in);
    for (size_t i = 0; i < NP_LEN(theorems); i++) {
        const struct theorem *t = &theorems[i];
        if (i > 0 && p->sketch) continue;
        p->where[0] = 0;
        double error = t->error(p), limit = 0;
        if (t->limit) limit = p->compiled ? ((const trial *)((const char *)p + t->limit))->limit : EXACT;
        if (error < 0) continue;
        bool good = error <= limit;
        snprintf(what, sizeof what, "%s%s%s%s%s", name, t->what, good || !*p->where ? "" : " (",
                 good ? "" : p->where, good || !*p->where ? "" : ")");
        np_check_line(p->s->c, good, what, error);
    }
    free_results(p, p->got);
}

/* ---- forms */
static void prove_chunk(proof *p, const char *name, int chunk, int abreast, bool compiled, bool quick)
{
    char prefix[64];
    np_subject *s = p->s;
    s->job.chunk = chunk;
    s->job.abreast = abreast;
    snprintf(prefix, sizeof prefix, "%s%s", name, *name ? ": " : "");
    p->compiled = false;
    p->sketch = p->large && !compiled;
    if (np_job_form(&s->job)) return;
    prove_form(p, prefix);
    if (!compiled || np_check_compile(s, quick)) return;
    p->compiled = true;
    snprintf(prefix, sizeof prefix, "%s%scompiled: ", name, *name ? ", " : "");
    prove_form(p, prefix);
    np_lib_free(s->lib);
    s->lib = NULL;
}

static void prove_forms(proof *p)
{
    static const struct {
        int chunk, abreast;
        bool compiled;
    } forms[] = {{1, 1, true}, {3, 1, false}, {16, 1, true}, {STEPS, 1, false}, {5, 3, false}};
    int asked = p->s->c->o->chunk > 0 ? (int)p->s->c->o->chunk : 0, abreast = (int)p->s->c->o->abreast;
    char name[32], side[16] = "";
    if (!np_job_scans(&p->s->job)) {
        prove_chunk(p, "", 0, 0, true, false);
        return;
    }
    for (size_t i = 0; i < NP_LEN(forms); i++) {
        if (asked > 0 && forms[i].chunk != 1) continue;
        const char *text = forms[i].chunk == 1    ? "step by step"
                           : forms[i].abreast > 1 ? "chunk %dx%d"
                                                  : "chunk %d";
        snprintf(name, sizeof name, text, forms[i].chunk, forms[i].abreast);
        prove_chunk(p, name, forms[i].chunk, forms[i].abreast, forms[i].compiled, true);
    }
    if (abreast) snprintf(side, sizeof side, "x%d", abreast);
    snprintf(name, sizeof name, asked > 0 ? "chunk %d%s" : "automatic", asked, side);
    prove_chunk(p, name, asked, abreast, true, false);
}

/* ---- */
static void make_trial(proof *p, trial *t, np_tensor *in, int seen)
{
    t->in = in;
    if (!seen) return;
    t->want = as_described(p, in);
    np_tensor *rounded = np_check_whole(p->s, (np_pieces){.in = in});
    t->limit = FLOOR + (rounded && t->want ? 10 * where_finite(p, rounded, t->want) : 0);
    free_results(p, rounded);
}

static void free_trial(proof *p, trial *t)
{
    if (t->in) np_check_free(t->in, p->s->f->ninputs);
    free_results(p, t->want);
}

void np_prove(np_subject *s)
{
    proof p = {.s = s, .streams = np_job_plain(&s->job, "prefill") != NULL};
    np_tensor *in;
    p.large = np_draw_numbers(s->job.model->mod) > MANY;
    p.time = np_pieces_time(&s->job, s->in);
    make_trial(&p, &p.whole, copy_inputs(s), 1);
    in = copy_inputs(s);
    make_trial(&p, &p.hard, in, np_draw_hard(s, in));
    in = copy_inputs(s);
    make_trial(&p, &p.poisoned, in, np_draw_poison(s, in, AT));
    if (!p.streams) printf("      no step: %s\n", np_job_why_whole(&s->job));
    if (p.whole.want) prove_forms(&p);
    free_trial(&p, &p.whole);
    free_trial(&p, &p.hard);
    free_trial(&p, &p.poisoned);
    for (int n = 0; n <= STEPS; n++) free_results(&p, p.prefix[n]);
}
