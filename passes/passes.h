/* Strategy: what is computed in which order and where it lies. A pass takes a
 * function and returns a new one; passes.def is the pipeline. Sees ir/ only. */
#ifndef NP_PASSES_H
#define NP_PASSES_H

#include "../ir/ir.h"

/* Numbers that passes may read. Filled by the driver from the target's row,
 * the plan and the options, so that passes need not see backends. */
typedef struct np_knobs {
    int lanes;    /* width of accumulator blocks in elements (f32): 32 generic, 64 with 512-bit registers */
    int rows;     /* rows of a contraction that share a load of the other operand */
    int chunk;    /* steps of a scan that are one block: 0 automatic, 1 step by step */
    int abreast;  /* chunks that are computed side by side: 0 automatic, 1 one after the other */
    int block;    /* keys and queries in a block of attention; 0 automatic */
    int spare;    /* with `block`: without blocks where these have more than spare/4 times the queries */
} np_knobs;

/* Elements of a value at one step, up to which scans compute it before their tiles run (loops_early.c). */
enum { NP_EARLY_MOST = 1024 };

typedef struct np_pass {
    const char *name;
    np_stage in, out;
    np_fn *(*run)(const np_fn *f, const np_knobs *k); /* never fails */
    const char *what;
} np_pass;
extern const np_pass np_passes[]; /* ends with name NULL */
#define NP_PASS(name, in, out, what) np_fn *np_##name##_run(const np_fn *f, const np_knobs *k);
#include "passes.def"
#undef NP_PASS

typedef struct np_pipeline_opts {
    const char *print_before, *print_after; /* a pass, "all", or NULL; printed to stderr */
    bool time;  /* a line per pass to stderr */
    bool eval;  /* interpret before and after each pass on seeded inputs; the first that changes the answer is
                   named by np_error */
    const char *only; /* run this pass alone (text tests) */
    void (*see)(void *env, const np_pass *p, const np_fn *f); /* NULL, or shown every function after every pass */
    void *env;
    np_knobs knobs;
} np_pipeline_opts;
/* Runs the whole pipeline over one entry. f stays the caller's. */
np_fn *np_pipeline_run(const np_fn *f, const np_pipeline_opts *o);
np_fn *np_pipeline_pass(const np_fn *f, const np_pass *p, const np_pipeline_opts *o); /* one: run, sweep, check, trace */
const np_pass *np_pass_find(const char *name);

/* ---- reassoc.c: @main with a state of constant size for every sum over earlier positions that has one. */
np_fn *np_reassoc_causal(const np_fn *main);
/* ---- reassoc_matrix.c: f with the matrices that scans apply to their states taken apart; NULL: it has none. */
np_fn *np_reassoc_matrices(const np_fn *f);

/* ---- layout.c: @main with every history (append) in the order of axes in which it is read. */
np_fn *np_layout_run(const np_fn *main);

/* ---- stream.c: from the one description (function `main`, over T new and N
 * past positions, N = 0 as written) to the entries that run. Adds to the
 * module:
 *   @init     inputs without T                 -> the states before anything came
 *   @prefill  inputs, states, over [T] and N   -> outputs, new states
 *   @step     prefill with T = 1
 * and returns NP_OK; a model that cannot stream gets a note and only
 *   @whole    = main with N = 0
 * which every model has. */
np_status np_stream_derive(np_mod *m);

/* ---- fuse_traffic.c: what a function moves through memory after fuse, a row for each group, in order. */
typedef struct np_traffic_read {
    const np_node *x; /* a weight, a list of constants, a parameter, or what another group made */
    const np_dim *bytes;
} np_traffic_read;
typedef struct np_traffic_row {
    const np_node *group; /* NULL: a result is copied to where it belongs */
    np_str name;
    int depth;           /* 0: a pass over memory; more: inside the body of a scan, in cache */
    const np_dim *times; /* how often it runs */
    int nreads;
    np_traffic_read *reads;
    const np_dim *read, *write; /* bytes, each time */
} np_traffic_row;
typedef struct np_traffic {
    int n;
    np_traffic_row *row;
    const np_dim *read, *write; /* of all passes */
    const np_dim *least;        /* inputs, weights, outputs and states once */
} np_traffic;
np_traffic np_fuse_traffic(const np_fn *f, np_arena *mem);

/* ---- loops.c */
/* Is x, in the group that makes it, an append to the state parameter p, or the
 * last state of a scan that starts from p, which nobody else wants? */
bool np_loops_continues(const np_node *x, const np_node *p, const int *uses);

/* ---- memory of a placed function, for explain and metrics */
void np_place_report(const np_fn *f, np_text *out);

#endif
