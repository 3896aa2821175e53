/* Shared by the files of the C backend, and by no one else. */
#ifndef NP_BACKENDS_C_H
#define NP_BACKENDS_C_H

#include "backends.h"

typedef struct np_cfile np_cfile;

/* ---- c_text.c: pieces of C. */
/* How tightly an expression holds together, in the order of C's grammar. */
typedef enum {
    NP_C_PRIMARY,
    NP_C_UNARY,
    NP_C_MUL,
    NP_C_ADD,
    NP_C_LESS,
    NP_C_EQUAL,
    NP_C_BITS,
    NP_C_CHOICE
} np_clevel;
char *np_ctext(np_arena *mem, const char *fmt, ...) NP_PRINTF(2, 3);
const char *np_ctype(np_dtype d);  /* as it lies in memory: f16 is uint16_t */
const char *np_cvalue(np_dtype d); /* as it is computed with: f16 is float */
/* A number of that type as C has it; text lives in mem. */
const char *np_cnumber(np_arena *mem, np_dtype d, double v);
/* A name made of letters of `hint` that C allows; NULL hint or none left: `other`. */
const char *np_cname(np_arena *mem, const char *hint, const char *other);
const char *np_cstring(np_arena *mem, const char *s); /* a string literal */
bool np_creserved(const char *name);                  /* C or its library means something by it */
/* The i-th other name for what wants to be called `want` (its first `letters` letters): some i gives one that is free. */
const char *np_cother(np_arena *mem, const char *want, int letters, const char *between, int i);
const char *np_cshape(np_arena *mem, np_cx *cx, const np_type *t); /* "[T,64]"; "" for a scalar */

int np_cfloat(char *s, float v);         /* a literal in the fewest digits, at most 24 letters; how many */
uint16_t np_chalf(np_dtype d, double v); /* the bits of an f16 or bf16 */

/* ---- c_range.c: what an integer can be, by id; the whole double range: anything. */
typedef struct np_crange {
    double lo, hi;
} np_crange;
np_crange *np_crange_find(const np_fn *f, np_arena *mem);
bool np_crange_fits(np_crange r, np_dtype d);

/* ---- c_help.c: inline functions that a file needs, written only if it does. */
/* The name to call for f(x) of that element type: a helper, or a function of libm. */
const char *np_chelp_call(np_cfile *c, const char *f, np_dtype d);
/* Those that the texts call; the list ends with NULL. */
void np_chelp_put(const char *const *calls, np_text *out);

/* ---- c_data.c: arrays of numbers in the file. */
/* The name of the array that holds weight or constant list n. */
const char *np_cdata_find(np_cfile *c, const np_node *n);
void np_cdata_put(np_cfile *c, np_text *out);
void np_cdata_setup(np_cfile *c, np_text *out); /* the function that unpacks; nothing if nothing is packed */
bool np_cdata_packed(const np_cfile *c);
int64_t np_cdata_bytes(const np_cfile *c);
uint64_t np_cdata_hash(const np_cfile *c); /* of the weights that are used, whatever their layout */

/* ---- c_expr.c, c_stmt.c, c_loop.c, c_kernel.c: a group becomes a function. */
typedef struct np_cexpr {
    const char *text; /* NULL: not written yet */
    np_clevel level;
    bool small;      /* C computes it in int */
    bool plain;      /* names and numbers that do not change: may stand anywhere, any number of times */
    const char *raw; /* of a half: before it was rounded; NULL: not rounded here */
} np_cexpr;
typedef struct np_cparam { /* a buffer that comes from outside */
    const np_node *buf;
    const char *name;
    bool read, written;
} np_cparam;
typedef struct np_ckernel {
    np_cfile *file;
    np_arena *mem;
    const np_fn *f;
    np_text *out;
    int depth;
    bool neutral; /* names that say nothing, so that equal functions are equal texts */
    bool uses_T, uses_N;
    np_cexpr *e;         /* by id */
    const char **var;    /* by id: what the value or buffer is called */
    const char ***parts; /* by id: what the results of a loop or cond are called */
    const int *uses;
    const np_node **user;
    const np_crange *range;
    int nparams;
    np_cparam *param;
    const char **scope; /* names in use, innermost last */
    int nscope;
    const np_node **waiting; /* written into no statement yet */
    int nwaiting;
    int next; /* of neutral names */
} np_ckernel;
np_cexpr np_cexpr_make(np_ckernel *k, const np_node *n); /* from its operands */
np_cexpr np_cexpr_get(np_ckernel *k, const np_node *n);  /* where it is used */
np_cexpr np_cexpr_dim(np_ckernel *k, const np_dim *d);
const char *np_cexpr_in(np_ckernel *k, np_cexpr e, np_clevel most); /* in parentheses if it must be */
const char *np_cexpr_place(np_ckernel *k, const np_node *buf, int n, np_node *const *index); /* buf[..] */
bool np_cexpr_spelled(np_op op, np_dtype d);

/* c_stmt.c */
enum { NP_CWIDTH = 110 }; /* most letters of a statement, without what it is indented by */
void np_cstmt_line(np_ckernel *k, const char *fmt, ...) NP_PRINTF(2, 3);
bool np_cstmt_taken(const np_ckernel *k, const char *name); /* somebody is called so, or C keeps it for itself */
/* A name that is free, and taken from now on: like the hint, or like `other` where that is NULL or has no letters. */
const char *np_cstmt_name(np_ckernel *k, const char *hint, const char *other);
bool np_cstmt_is_local(const np_node *buf); /* an array inside of the function */
np_cexpr np_cstmt_take(np_ckernel *k, const np_node *n); /* for an operand of the statement that is being written */
void np_cstmt_done(np_ckernel *k, const np_node *n);     /* n waits no more */
bool np_cstmt_stores_into(const np_node *statement, const np_node *buf);
void np_cstmt_settle(np_ckernel *k, const np_node *statement); /* writes down what it would change */
void np_cstmt_value(np_ckernel *k, const np_node *n);
void np_cstmt_store(np_ckernel *k, const np_node *n);
void np_cstmt_prefetch(np_ckernel *k, const np_node *n);
void np_cstmt_array(np_ckernel *k, const np_node *n); /* a local one */

/* c_loop.c */
bool np_cloop_never(const np_node *loop); /* no index is in it */
void np_cloop_block(np_ckernel *k, const np_block *b);

/* c_kernel.c */
/* Writes a call of the function for group g, which is made if there is none. */
typedef struct np_ccall {
    const char *name; /* NULL: the group does nothing */
    int nargs;
    const np_node **arg; /* buffers, in the order of the parameters */
    bool T, N;           /* then these */
} np_ccall;
np_ccall np_ckernel_call(np_cfile *c, const np_fn *f, const np_node *g);

/* ---- c_entry.c: entries and the model's table. */
void np_centry_put(np_cfile *c, const np_fn *f);
void np_centry_table(np_cfile *c);
const np_type *np_centry_type(const np_fn *f, int state); /* as it lies in the block of states */
int64_t np_centry_state(const np_fn *f, int state);       /* its offset there; of nstates: the block's size */
const np_type *np_centry_layout(const np_fn *f, const np_node *buf); /* any buffer's type in memory */

/* ---- cc.c */
bool np_cc_folder(np_cx *cx,
                  char dir[4096]); /* a new temporary one; false and an error if it cannot be made */

/* ---- lib.c */
np_lib *np_lib_load(np_cx *cx, const np_program *p); /* compiles the C text, and loads it */

/* One C file while it is written. */
struct np_cfile {
    np_cx *cx;
    const np_program *p;
    np_arena mem;
    const char *prefix; /* of functions */
    np_text kernels, entries;
    struct np_cmade *made; /* kernels so far */
    int nmade;
    struct np_carray *array;
    int narrays;
    const char **name; /* of functions and arrays */
    int nnames;
    const np_dim *T, *N; /* the symbols of time and past */
    bool failed;
    /* facts of the function being written */
    const np_fn *f;
    int *uses;
    const np_node **user;
    np_crange *range;
};
const char *np_cfile_name(np_cfile *c, const char *want); /* unused so far, and used from now on */

#endif
