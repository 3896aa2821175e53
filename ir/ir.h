/* The language: one node type at every level. One section a file, in the
 * order in which the files build on one another. Everyday names:
 * cx context, b builder, f function, n node, t type, d dim, p pass. */
#ifndef NP_IR_H
#define NP_IR_H

#include "base.h"

enum { NP_RANK = 8 }; /* most axes a tensor may have */

/* ---- dim.c: symbolic integers, interned: equality is pointer equality.
 * Canonical sums of products over atoms (a symbol, ceil, min, max). Every
 * symbol has a range; a range bounds every dim by interval arithmetic. */
typedef enum { NP_ROLE_NONE, NP_ROLE_TIME, NP_ROLE_PAST } np_role;
typedef enum {
    NP_DIM_CONST, /* k */
    NP_DIM_SYM,   /* name */
    NP_DIM_CEIL,  /* ceil(arg[0] / k), k >= 2 */
    NP_DIM_MIN,   /* min(arg[0], arg[1]) */
    NP_DIM_MAX,
    NP_DIM_MUL,   /* k * arg[0] * arg[1] * ..: args are atoms, in an order by structure */
    NP_DIM_ADD    /* k + arg[0] + ..: args are atoms or products, in an order by structure */
} np_dimkind;
typedef struct np_dim np_dim;
struct np_dim {
    np_dimkind kind;
    uint32_t id; /* order of making */
    int size;    /* parts of the form, itself included: bounded, so that dims may be walked freely */
    int64_t k;
    np_str name; /* symbols */
    int nargs;
    const np_dim **arg;
    np_role role;   /* symbols: time is fed in pieces, past counts what came before */
    int64_t lo, hi; /* symbols: declared range, inclusive */
};
const np_dim *np_dim_const(np_cx *cx, int64_t k);
/* The symbol called name; range 0..INT32_MAX until np_dim_declare. */
const np_dim *np_dim_sym(np_cx *cx, const char *name);
void np_dim_declare(np_cx *cx, const np_dim *sym, int64_t lo, int64_t hi, np_role role);
const np_dim *np_dim_add(np_cx *cx, const np_dim *a, const np_dim *b);
const np_dim *np_dim_sub(np_cx *cx, const np_dim *a, const np_dim *b);
const np_dim *np_dim_mul(np_cx *cx, const np_dim *a, const np_dim *b);
const np_dim *np_dim_ceil(np_cx *cx, const np_dim *a, int64_t k);  /* k >= 1 */
const np_dim *np_dim_floor(np_cx *cx, const np_dim *a, int64_t k); /* a ceil in canonical form */
const np_dim *np_dim_min(np_cx *cx, const np_dim *a, const np_dim *b);
const np_dim *np_dim_max(np_cx *cx, const np_dim *a, const np_dim *b);
/* True and *out set if d is a constant. */
bool np_dim_int(const np_dim *d, int64_t *out);
bool np_dim_is(const np_dim *d, int64_t k); /* the constant k */
/* Proven bounds; saturates at +-INT64_MAX/4. */
void np_dim_range(const np_dim *d, int64_t *lo, int64_t *hi);
bool np_dim_le(np_cx *cx, const np_dim *a, const np_dim *b); /* provably a <= b */
/* d / by if that is exact in canonical form (every term divisible), else NULL. */
const np_dim *np_dim_quot(np_cx *cx, const np_dim *d, const np_dim *by);
const np_dim *np_dim_subst(np_cx *cx, const np_dim *d, const np_dim *sym, const np_dim *by);
bool np_dim_has(const np_dim *d, const np_dim *sym); /* does the symbol occur */
/* Values of symbols, for evaluation: pairs, in any order. */
typedef struct np_env {
    int n;
    const np_dim *sym[16];
    int64_t value[16];
} np_env;
void np_env_set(np_env *e, const np_dim *sym, int64_t value);
bool np_env_get(const np_env *e, const np_dim *sym, int64_t *out);
/* Value of d; symbols without a value in e: false. */
bool np_dim_eval(const np_dim *d, const np_env *e, int64_t *out);
void np_dim_text(np_text *out, const np_dim *d); /* as parsed: "2*T+1" */
np_str np_dim_str(np_cx *cx, const np_dim *d);
/* Every symbol that was ever made, in order of making (for headers of files). */
int np_dim_syms(np_cx *cx, const np_dim ***out);

/* ---- type.c: element type and dims, interned. A scalar has rank 0. Several
 * results are a tuple (width parts); an effect has the empty tuple. */
typedef enum {
#define NP_DTYPE(id, text, size, cls) NP_##id,
#include "dtypes.def"
#undef NP_DTYPE
    NP_NDTYPES
} np_dtype;
typedef struct np_type np_type;
struct np_type {
    bool tuple;
    np_dtype dtype;
    int rank;
    const np_dim *dim[NP_RANK];
    int width;
    const np_type **part;
};
const char *np_dtype_text(np_dtype d);
bool np_dtype_find(const char *text, np_dtype *out);
int np_dtype_size(np_dtype d);
char np_dtype_class(np_dtype d); /* 'B', 'I' or 'F' */
const np_type *np_type_tensor(np_cx *cx, np_dtype d, int rank, const np_dim *const *dim);
const np_type *np_type_scalar(np_cx *cx, np_dtype d);
const np_type *np_type_tuple(np_cx *cx, int width, const np_type *const *part);
const np_type *np_type_void(np_cx *cx); /* the empty tuple */
const np_type *np_type_with(np_cx *cx, const np_type *t, np_dtype d); /* other element type */
const np_type *np_type_without(np_cx *cx, const np_type *t, int axis);
const np_type *np_type_insert(np_cx *cx, const np_type *t, int axis, const np_dim *d);
const np_type *np_type_set(np_cx *cx, const np_type *t, int axis, const np_dim *d);
const np_dim *np_type_count(np_cx *cx, const np_type *t); /* product of the dims */
/* No size is negative for certain, and the constant ones multiply to at most 2^48. */
bool np_type_sane(const np_type *t);
void np_type_text(np_text *out, const np_type *t); /* "f32[T,64]", "(f32, i32[4])" */
np_str np_type_str(np_cx *cx, const np_type *t);

/* ---- node.c: facts about ops (from ops.def). */
typedef enum {
#define NP_OP(id, text, args, attrs, cls, traits, rule, doc) NP_##id,
#include "ops.def"
#undef NP_OP
    NP_NOPS
} np_op;
typedef enum { NP_LEAF, NP_ELEM, NP_TENSOR, NP_LOOPS, NP_CTRL } np_opclass;
enum { NP_ANY = -1, NP_MAXATTRS = 4 };
typedef struct np_opinfo {
    const char *text, *doc;
    int nargs;
    np_opclass cls;
    bool comm, fx;
    int nbodies;
    bool has_sym, has_num;
    int nattrs; /* dims only */
    const char *attr[NP_MAXATTRS];
    bool optional[NP_MAXATTRS];
    int64_t dflt[NP_MAXATTRS];
} np_opinfo;
const np_opinfo *np_op_info(np_op op);
bool np_op_find(const char *text, np_op *out);

typedef struct np_node np_node;
typedef struct np_block np_block;
typedef struct np_fn np_fn;
typedef struct np_mod np_mod;
struct np_node {
    np_op op;
    int nargs;
    uint32_t id;         /* dense in its function, bodies included: side tables are plain arrays */
    const np_type *type; /* never NULL */
    np_node **arg;
    const np_dim *attr[NP_MAXATTRS]; /* meanings in the op's row */
    np_str sym;          /* `$` of the row: contract spec, callee, weight name */
    double num;          /* `#` of the row */
    const double *data;  /* const: dense list (count of the type), or NULL */
    np_block *body[2];
    np_block *in;        /* the block where it stands */
    np_loc loc;
    np_str name;         /* a hint, kept so that printed IR and generated code stay readable */
    np_str axes;         /* names of the axes, "T,H,K", a hint as well; may be NULL */
    np_node *prev, *next;/* order = execution order = print order */
};
struct np_block {
    np_node *first, *last; /* the last one is a yield or a ret */
    int nparams;
    np_node **param;
    np_block *outer; /* NULL at top. A body may use any value of an enclosing block that stands before it */
    np_node *owner;  /* the node whose body this is; NULL at top */
};
typedef enum { NP_STAGE_TENSOR, NP_STAGE_LOOP, NP_STAGE_PLACED } np_stage;
struct np_fn {
    np_cx *cx;
    np_mod *mod;
    np_str name;
    np_stage stage;
    np_block top;     /* parameters: inputs, then states, then (from LOOP on) outputs */
    int ninputs, nstates, nouts;
    np_str *out_name; /* nouts; the state parameters name their results themselves */
    const np_type **out_type;
    int *grow;        /* nstates, from LOOP on: the axis along which a state buffer of fixed capacity
                         grows: N rows of it are valid before, N + T after; -1: none. NULL before */
    uint32_t nnodes;  /* ids are below this */
    np_arena mem;
    int64_t work;     /* PLACED: bytes of work memory */
    np_loc loc;
};
bool np_is_leaf(const np_node *n);
/* Must the operands of a commutative op change places? Constants stand last,
 * else the older one first. */
bool np_node_turned(const np_node *a, const np_node *b);
bool np_is_elem(const np_node *n);
/* About how many plain instructions one element of an elementwise op takes: 3 a division or a root, 10 a function of
 * the math library; 0: it is not elementwise, or no work at all (cast). */
int np_op_cost(np_op op);
bool np_is_sum(const np_node *n); /* a reduction, or a contraction that sums at all: an outer product is as elementwise as mul */
/* Is b the block `outer`, or inside of it? */
bool np_block_encloses(const np_block *outer, const np_block *b);
int np_block_depth(const np_block *b); /* 0 at top */
bool np_has_effect(const np_node *n); /* writes memory or ends the function, or a body does */
/* Type of result i: the type itself where it is not a tuple and i = 0. */
const np_type *np_result_type(const np_node *n, int i);
int np_result_count(const np_node *n);

/* ---- fn.c: modules and functions; building, copying, sweeping.
 *
 * The builder is the only maker of nodes: it types them (rule.c), folds them
 * (fold.c) and shares equal ones (a node without effect that stands in the
 * same or an enclosing block). */
typedef struct np_weight {
    np_str name;
    const np_type *type; /* constant dims */
    np_fn *by;           /* how it is made at build time (weight.c); NULL: stored */
    np_str how;          /* the text of `by`: what says the same is the same */
    np_dtype stored;     /* element type of data */
    const void *data;    /* row-major; NULL until loaded */
    np_loc loc;          /* who asked for it */
} np_weight;
struct np_mod {
    np_cx *cx;
    np_str name;
    int nfns, nweights;
    np_fn **fn;
    np_weight **weight;
};
np_mod *np_mod_new(np_cx *cx, const char *name);
void np_mod_free(np_mod *m); /* and its functions */
np_fn *np_mod_fn(const np_mod *m, const char *name); /* NULL if there is none */
void np_mod_put(np_mod *m, np_fn *f); /* adds, or replaces (and frees) the one of that name */
void np_mod_drop(np_mod *m, const char *name); /* frees the function of that name, if there is one */
np_fn *np_fn_new(np_mod *m, const char *name, np_stage stage);
void np_fn_free(np_fn *f);
/* Numbers the nodes densely in the order of printing, and puts the operands of
 * commutative ops into that order: text that is read back says the same. */
void np_fn_number(np_fn *f);
/* Unlinks what neither ret nor an effect needs, and numbers the rest. */
void np_fn_sweep(np_fn *f);

typedef struct np_build {
    np_cx *cx;
    np_fn *fn;
    np_block *at;  /* nodes are added at its end */
    np_loc loc;    /* given to new nodes */
    np_str name;   /* hint for the next node made; cleared when used */
    void *share;   /* private to build.c */
    bool plain;    /* nodes as they are asked for, neither folded nor shared: what tests compare folding with */
} np_build;
np_build *np_build_new(np_fn *f); /* lives in f->mem; positioned at f->top */

/* Parameters: inputs first, then states, then outs. */
typedef enum { NP_IN, NP_STATE, NP_OUT } np_port;
np_node *np_build_param(np_build *b, np_port kind, const char *name, const np_type *t);

/* The general maker. `t` only for ops whose row has rule `given` (const,
 * alloc), else NULL. attr: nattrs of the row, NULL for a default; sym, num,
 * data: as the row says. Errors of the user give a `bad` node. */
typedef struct np_extra {
    const np_dim *attr[NP_MAXATTRS];
    np_str sym;
    double num;
    const double *data; /* copied */
    const np_type *type;
} np_extra;
np_node *np_build_op(np_build *b, np_op op, int nargs, np_node *const *arg, const np_extra *given);
/* Shorthands for the everyday ones. */
np_node *np_build_num(np_build *b, const np_type *t, double v);
np_node *np_build_list(np_build *b, const np_type *t, const double *v);
np_node *np_build_weight(np_build *b, const char *name); /* declared in the module */
np_node *np_build_iota(np_build *b, const np_dim *n);
np_node *np_build_size(np_build *b, const np_dim *n);
np_node *np_build_1(np_build *b, np_op op, np_node *x); /* elementwise */
np_node *np_build_2(np_build *b, np_op op, np_node *x, np_node *y);
np_node *np_build_3(np_build *b, np_op op, np_node *x, np_node *y, np_node *z);
np_node *np_build_cast(np_build *b, np_node *x, np_dtype d);
np_node *np_build_contract(np_build *b, np_node *x, np_node *y, const char *spec);
np_node *np_build_reduce(np_build *b, np_node *x, const char *kind, int axis);
np_node *np_build_expand(np_build *b, np_node *x, int axis, const np_dim *n);
np_node *np_build_permute(np_build *b, np_node *x, const char *spec);
np_node *np_build_split(np_build *b, np_node *x, int axis, const np_dim *inner);
np_node *np_build_merge(np_build *b, np_node *x, int axis);
np_node *np_build_slice(np_build *b, np_node *x, int axis, const np_dim *from, const np_dim *n);
np_node *np_build_at(np_build *b, np_node *x, int axis, const np_dim *i);
np_node *np_build_pick(np_build *b, np_node *x, int i);
/* Result i of n whether or not n is a tuple. */
np_node *np_build_result(np_build *b, np_node *n, int i);
/* LOOP stage. Indices are i64 scalars. */
np_node *np_build_int(np_build *b, int64_t v);               /* i64 scalar constant */
np_node *np_build_alloc(np_build *b, const char *name, const np_type *t);
void np_build_prefetch(np_build *b, np_node *buf, int n, np_node *const *index); /* a hint */
np_node *np_build_load(np_build *b, np_node *buf, int n, np_node *const *index);
void np_build_store(np_build *b, np_node *buf, np_node *v, int n, np_node *const *index);

/* Ops with bodies. open makes the node (not yet in its block), enters its
 * first body and makes the parameters that the operands imply: for scan one
 * per operand (cut along axis 0 for the first `seq`), for loop i and the
 * carried values, none for cond and group. else enters the second body.
 * close ends the current body with a yield, and the node after the last:
 * types it, puts it into the outer block and returns it. */
np_node *np_build_open(np_build *b, np_op op, int nargs, np_node *const *arg, const np_extra *given);
void np_build_else(np_build *b, np_node *n, int nyields, np_node *const *yield);
np_node *np_build_close(np_build *b, np_node *n, int nyields, np_node *const *yield);
/* While the body of a scan is open: one more sequence operand (visible outside
 * the scan); returns the parameter that is its slice. Asking for the same
 * operand again returns the same parameter. */
np_node *np_build_feed(np_build *b, np_node *scan, np_node *x);
/* Ends the function. Records output names and types; nouts + nstates values. */
void np_build_ret(np_build *b, int nouts, const char *const *names, int nvalues, np_node *const *value);

/* Copying. np_rewrite builds a new function (same module, name, ports) by
 * copying node after node; `rule` may return a replacement made with b, or
 * NULL for "copy as it is" (bodies are copied through the rule, too). For a
 * node that it replaces, the rule does what is needed with old->body itself
 * (np_rewrite_body). Nodes that nothing needs are not copied, and the result
 * is swept. */
typedef struct np_rw np_rw;
typedef np_node *(*np_rule)(np_rw *rw, const np_node *old, np_node *const *arg);
struct np_rw {
    np_build *b;
    void *env;
    np_rule rule;
    const np_fn *old;
    np_node **map;   /* old id -> new node */
    const bool *live; /* old id -> needed */
};
np_fn *np_rewrite(const np_fn *f, np_rule rule, void *env);
/* For a function with other ports than the old one: the caller makes the
 * parameters, maps the old ones with np_rewrite_set, copies old->top with
 * np_rewrite_block, ends with np_build_ret and np_fn_sweep. */
np_rw *np_rewrite_new(np_build *b, const np_fn *old, np_rule rule, void *env);
/* The new value of an old one that stands before the current place. */
np_node *np_rewrite_get(np_rw *rw, const np_node *old);
/* One node: through the rule, or past it. Its operands were copied before. */
np_node *np_rewrite_node(np_rw *rw, const np_node *old);
np_node *np_rewrite_copy(np_rw *rw, const np_node *old, np_node *const *arg);
/* Copies the statements of an old block (not its yield) at the builder's
 * place, after params were mapped with np_rewrite_set. */
void np_rewrite_block(np_rw *rw, const np_block *old);
void np_rewrite_set(np_rw *rw, const np_node *old, np_node *now);
np_fn *np_fn_copy(const np_fn *f);  /* = np_rewrite without a rule */
np_fn *np_fn_subst(const np_fn *f, const char *name, const np_dim *sym, const np_dim *by); /* dims everywhere */

/* Facts, computed when wanted into memory of the given arena. */
bool *np_find_live(const np_fn *f, np_arena *mem);        /* by id: reaches ret or an effect */
int *np_find_uses(const np_fn *f, np_arena *mem);         /* by id: how many operands mention it (yield, ret included) */
int np_find_result_uses(const np_fn *f, const np_node *of, int i); /* how many mention result i, whichever pick gives it */
/* Calls fn for every node, bodies included, in order. */
void np_fn_walk(const np_fn *f, void (*fn)(void *env, const np_node *n), void *env);

/* ---- weight.c: the weights of a module, stored or made at build time. */
np_weight *np_mod_weight(const np_mod *m, const char *name); /* NULL if there is none */
/* Declares it, or returns the one declared before (NULL and an error if the types differ). */
np_weight *np_mod_declare(np_mod *m, np_loc loc, const char *name, const np_type *t);
/* A weight that the build makes: the one result of `by`, a function without parameters, over constants and
 * weights of the module, without a size that is not a number. `by` belongs to the module from then on.
 * Its names are dropped; a weight that is made in the same way already is the answer. */
np_weight *np_mod_made(np_mod *m, np_fn *by);
np_weight *np_mod_make(np_mod *m, const char *name, np_fn *by); /* the same by a given, new name */
/* Made by permute. lanes > 0: then in panels; the last axis, of N, is cut into [N/lanes], which stands first, and [lanes]. */
np_weight *np_mod_derive(np_mod *m, const np_weight *from, const char *spec, int lanes);
/* The first stored weight that it is made from; itself if it is stored or made from constants. */
const np_weight *np_weight_origin(const np_mod *m, const np_weight *w);
double np_element(const void *data, np_dtype d, int64_t i); /* number i of stored ones; data is aligned */

/* ---- rule.c: the type rules that ops.def names. The type of the node that
 * would be made, or NULL after np_error at b->loc. n: the node with its closed
 * bodies for ops that have some, else NULL. */
const np_type *np_rule_type(np_build *b, np_op op, int nargs, np_node *const *arg, const np_extra *x, const np_node *n);

/* ---- bounds.c: what is known of integer values for all sizes. */
int np_bounds_compare(np_cx *cx, np_op op, const np_node *a, const np_node *b); /* lt, le, eq, ne: 1, 0, or -1 unknown */

/* ---- fold.c: local rewrites that the builder applies. np_fold_node returns a
 * replacement for the node that would be made (NULL: make it). Every rule
 * shrinks or orders, never grows. */
np_node *np_fold_node(np_build *b, np_op op, int nargs, np_node *const *arg, const np_extra *x, const np_type *t);
/* One elementwise op on plain numbers as the type d has them (the meaning of
 * ops in constants and in the interpreter, f64 arithmetic). */
double np_fold_number(np_op op, np_dtype d, const double *v);
/* What a sum (ADD), MAX or MIN of nothing is: 0, and for integers the smallest
 * or largest one, for floats an infinity. */
double np_fold_neutral(np_op op, np_dtype d);

/* ---- parse.c, print.c: text and modules, exact inverses up to renumbering. */
np_mod *np_parse(np_cx *cx, const char *file, const char *text, size_t n); /* NULL and errors in cx */
np_mod *np_parse_plain(np_cx *cx, const char *file, const char *text, size_t n); /* neither folds nor shares */
typedef struct np_print_opts {
    bool loc; /* `!14` after statements */
} np_print_opts;
void np_print_mod(np_text *out, const np_mod *m, np_print_opts o);
void np_print_fn(np_text *out, const np_fn *f, np_print_opts o);
void np_print_node(np_text *out, const np_node *n); /* one line, for messages */

/* ---- check.c: is f what its stage promises? On failure: false and the reason
 * in `why` (which node, what). */
bool np_check(const np_fn *f, np_stage stage, np_text *why);
/* The same, with the place of the node that is at fault. */
bool np_check_at(const np_fn *f, np_stage stage, np_text *why, np_loc *where);

/* ---- eval.c: the reference interpreter; the oracle of all tests. Values are
 * doubles whatever the type; integers and bools are exact in them. */
typedef struct np_tensor {
    np_dtype dtype;
    int rank;
    int64_t dim[NP_RANK];
    double *data; /* row-major; heap */
} np_tensor;
np_tensor np_tensor_new(np_dtype d, int rank, const int64_t *dim); /* zeroed */
void np_tensor_free(np_tensor *t);
np_tensor np_tensor_copy(const np_tensor *t);
int64_t np_tensor_count(const np_tensor *t);
double np_half_to_double(np_dtype d, uint16_t h); /* f16 or bf16 */
double np_round_to(np_dtype d, double v); /* as an element of that type holds it */
/* As a constant of that type is kept: a float with all digits, which are rounded
 * where it is used (exact evaluation has them all), unless that gives 0 or an
 * infinity; others as elements. */
double np_round_const(np_dtype d, double v);
/* max |a-b| / max(|b|, tiny); equal infinities and NaN-for-NaN count as 0;
 * a different shape or one-sided NaN/inf as infinity. */
double np_tensor_distance(const np_tensor *a, const np_tensor *b);

typedef struct np_eval_opts {
    bool exact; /* true: every float in f64; false: rounded to the declared type after every operation, f32 sums in f32 */
    uint64_t noise; /* not 0: a seed. Every float that an operation may have rounded is moved by up to one
                       unit in the last place: how far answers lie apart then is what rounding may do */
} np_eval_opts;
/* Runs f at any stage. in: ninputs then nstates values; out: nouts then
 * nstates, made here (free each). Symbols are bound from the shapes of the
 * inputs, then from e (which may be NULL); a time or past symbol still unbound
 * is 1 or 0. Weights must be loaded. Fails with errors in cx (a shape that
 * disagrees); an index out of a buffer at LOOP stage is np_bug. */
np_status np_eval(const np_fn *f, const np_tensor *in, np_tensor *out, const np_env *e, np_eval_opts o);
/* The numbers of a weight, stored or made; those that are made: computed in f64, rounded once unless `exact`. */
np_tensor np_eval_weight(const np_mod *m, const np_weight *w, bool exact);
/* Binds symbols of f's parameter types from shapes: NP_FAIL with an error
 * that names the parameter. */
np_status np_eval_bind(const np_fn *f, const np_tensor *in, np_env *e);
/* Fills a tensor: "random" numbers in [-1,1) from a counter, ints in 0..7. */
void np_tensor_random(np_tensor *t, uint64_t seed);


#endif
