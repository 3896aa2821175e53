/* Spelling: placed functions become source text or code. Decides nothing. */
#ifndef NP_BACKENDS_H
#define NP_BACKENDS_H

#include "../ir/ir.h"

typedef struct np_target {
    const char *name; /* row of targets.def */
    int lanes;        /* f32 accumulator block */
    int rows;
    int l1, l2, l3; /* KiB; 0 unknown */
    int threads;
    const char *cflags; /* for the C compiler */
} np_target;
/* NULL if there is no such row. "native" is probed (hwloc, cpuid). */
const np_target *np_target_find(np_cx *cx, const char *name);

/* What is compiled: a module whose entries are PLACED, in emission order. */
typedef struct np_program {
    np_mod *mod;
    const np_target *target;
    np_str name;         /* prefix of public symbols */
    np_str title;        /* model, weights, options: the header comment */
    bool main;           /* with the runtime's main program, else a library or kernels only */
    const char *runtime; /* text of the embedded runtime (C99), NULL: kernels and entry table only */
    const char *data;    /* more C text put before the runtime: tokenizer tables, model constants */
    const char *source;  /* text of the model file, for the Lua line before each function */
} np_program;

typedef struct np_lib np_lib; /* loaded code */
typedef struct np_backend {
    const char *name;
    bool (*has)(const np_target *, np_op, const np_type *);
    np_status (*emit)(np_cx *, const np_program *, np_text *out);
    /* compile and load, to run here; NULL where that cannot be */
    np_lib *(*load)(np_cx *, const np_program *);
} np_backend;
extern const np_backend *const np_backends[]; /* NULL at the end */
const np_backend *np_backend_find(const char *name);

/* Runs an entry of loaded code on tensors, as np_eval does. ms: if not NULL,
 * the time of the call alone. */
np_status np_lib_run(np_lib *l, const np_fn *placed, const np_tensor *in, np_tensor *out, const np_env *e,
                     double *ms);
void np_lib_free(np_lib *l);

/* ---- cc.c: the C compiler of the machine: $CC, cc, gcc or clang. */
np_str np_cc_find(np_cx *cx); /* where it lies; NULL and an error if there is none */
typedef enum { NP_CC_BIN, NP_CC_OBJ, NP_CC_ASM, NP_CC_SO, NP_CC_LIB } np_cckind;
/* Compiles text[n] to the file `out`, which appears whole or not at all. flags:
 * separated by spaces, those of the target's row and more. What the compiler
 * says if it fails is in the error. */
np_status np_cc_build(np_cx *cx, np_cckind kind, const char *text, size_t n, const char *flags,
                      const char *out);

#endif
