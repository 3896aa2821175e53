/* Random programs: a generator of valid functions, the checks that each goes
 * through, and a reducer. A program is passed on as text (.np), plain: as it was
 * asked for, neither folded nor shared. The test program and the fuzzer share
 * all of it. */
#ifndef NP_TESTS_RANDOM_H
#define NP_TESTS_RANDOM_H

#include "backends/backends.h"
#include "passes/passes.h"

/* ---- draw.c: where choices come from: a seed, or bytes of a fuzzer. Without
 * bytes left every choice is the first one. */
typedef struct rn_draw {
    uint64_t seed;
    const uint8_t *bytes;
    size_t n, at;
} rn_draw;
int rn_pick(rn_draw *d, int n); /* 0 .. n-1 */
bool rn_chance(rn_draw *d, int of_hundred);
bool rn_done(const rn_draw *d); /* the bytes are used up */

/* ---- gen.c, gen_ops.c, gen_body.c */
typedef struct rn_gen_opts {
    int statements;     /* about so many in @main */
    const char *prefix; /* of the names of function and weights */
    bool main_form; /* @main over a whole sequence, as models are written, instead of an entry with states */
    bool large;     /* some sizes beyond the lanes of a machine, fewer ops */
} rn_gen_opts;
/* Adds the functions to m, the entry last. */
np_fn *rn_generate(np_mod *m, rn_draw *d, const rn_gen_opts *o);

/* ---- answers.c: what a function gives for a few sizes, and how far off that
 * may be: the interpreter is run again with noise where rounding happens. */
enum { RN_CASES = 3 };
typedef struct rn_answers {
    int nin, nout;
    np_env env[RN_CASES];
    np_tensor *in[RN_CASES], *out[RN_CASES];
    double *exact
        [RN_CASES]; /* by output: tolerance of another exact evaluation, which may sum in another order */
    double *rounded[RN_CASES]; /* tolerance of an evaluation in the declared types */
} rn_answers;
/* False: f cannot be evaluated, `why` says why. from_start: only where nothing came before (N = 0). */
bool rn_answers_make(rn_answers *a, const np_fn *f, bool from_start, np_text *why);
void rn_answers_free(rn_answers *a);
/* Is that what another function gives, evaluated exactly? */
bool rn_answers_agree(const rn_answers *a, const np_fn *f, np_text *why);
/* One output of one case, however it was computed. */
bool rn_answers_same(const rn_answers *a, const np_fn *f, int which, int i, const np_tensor *got,
                     const double *tol, np_text *why);

/* ---- check.c: everything but native code. Progress and the reason of a
 * failure go to `r`, which may be memory shared with a parent process. */
typedef struct rn_report {
    char phase[64]; /* what is being done: tells crashes apart */
    char kind[64];  /* what is wrong, in few words; empty: nothing */
    char why[1024];
    bool streams;
    int outputs, loose; /* loose: so sensitive to rounding that a comparison says little */
} rn_report;
void rn_report_phase(rn_report *r, const char *phase);
bool rn_report_fail(rn_report *r, const char *kind, const char *fmt, ...) NP_PRINTF(3, 4); /* false */
#define RN_MAIN_FORM "# form: main\n" /* the first line of a text with @main as models are written */
/* "# knobs: lanes=8 rows=2" in the first line; without it the defaults. */
np_knobs rn_knobs(const char *text);
/* until: the last pass that is run; NULL: all of them. derived: RN_LONG bytes, or NULL: if text is in main
 * form, the text of an entry that was derived from it, a program of its own. */
enum { RN_LONG = 1 << 17 };
bool rn_check(rn_report *r, const char *text, size_t n, const char *until, char *derived);

#endif
