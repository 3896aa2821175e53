/* Inside the Lua binding: what lua.c, bind*.c, config.c and load*.c share.
 *
 * np_lua is one reading of one description. Everything that can raise a Lua
 * error runs inside the single protected call of np_lua_run; so nothing in
 * here owns heap memory (arenas and Lua values only). */
#ifndef NP_BIND_H
#define NP_BIND_H

#include "frontend.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum {
    NP_LUA_FILES = 32,     /* files of one description */
    NP_LUA_SCANS = 8,      /* scans open at once */
    NP_LUA_OPERANDS = 4,   /* of one elementwise op */
    NP_LUA_ERRORS = 20,    /* mistakes reported before giving up */
    NP_LUA_OP_COST = 1000, /* instructions that a call into the binding counts as */
    NP_LUA_HOOK = 1000     /* instructions between two looks at the budget */
};

/* An axis, as Lua holds it (the userdata itself; pinned in the registry by its
 * name, so equal names are the same value). */
typedef struct np_axis {
    np_str name;
    const np_dim *dim;  /* NULL: the size is not known yet */
    bool reported;      /* its missing size was, once */
    bool time;          /* fed in pieces: its dim is the symbol T */
    struct np_axis *of; /* the axis that this one is the other of */
    np_loc loc;         /* where the size comes from */
    np_str by;          /* what gave it: "input q", "axis" */
} np_axis;

/* A tensor. Axis i of the node is axis[i]. node NULL: poison, made where a
 * mistake was reported; whatever is made from it is poison and says nothing.
 * `order` holds the same axes as the language orders them (by first
 * appearance): it counts where a result leaves without `as`. The node's own
 * order is ours to choose, so that large operands are not permuted. */
typedef struct np_val {
    np_node *node;
    int rank;
    np_axis *axis[NP_RANK];
    np_axis *order[NP_RANK];
    int birth;       /* how many scans were open; 0 for leaves, wherever written */
    uint32_t serial; /* of the innermost of them */
} np_val;

typedef struct np_frame { /* an open scan */
    np_axis *axis;
    np_node *scan;
    np_block *outer; /* where the scan will stand */
    uint32_t serial;
} np_frame;

typedef struct np_lua {
    np_cx *cx;
    const np_load_opts *o;
    np_model *model;
    lua_State *L;
    size_t memory; /* bytes that Lua holds */
    int64_t budget;
    int mistakes;   /* of this reading; cx->nerrors does not count a text that it has already */
    bool restart;   /* read again: time_axis was found */
    bool naming;    /* locals of functions that return name their nodes */
    np_loc refused; /* where memory ran out */
    np_str dir;
    int nfiles;
    np_str file[NP_LUA_FILES]; /* 0: the standard library */
    /* the function in the making */
    np_fn *fn;
    np_build *b;
    np_str time_axis; /* the axis that is time */
    np_axis *time;
    int64_t time_len; /* of the inputs given; -1 unknown */
    int picked;       /* of o->pick */
    int nframes;
    np_frame frame[NP_LUA_SCANS];
    uint32_t serial;
    np_str scope, prefix; /* "layers[3].mix", "layers.3.mix." */
    /* the config */
    np_settings keys; /* config key <- key of a checkpoint's config, as strings */
    np_settings test; /* config of the self-test that is being built */
    bool testing;
    np_str test_name;
    struct np_case *out; /* what the self-test gives */
    int ngiven;          /* inputs that the self-test gives */
    np_str *given;
    np_str *declared, *asked; /* config keys */
    int ndeclared, nasked, cap_asked;
} np_lua;

/* ---- lua.c */
/* Runs fn in a fresh sandboxed state. NP_FAIL and errors in cx, or s->restart. */
np_status np_lua_run(np_lua *s, lua_CFunction fn);
np_lua *np_lua_of(lua_State *L);
np_loc np_lua_loc(np_lua *s); /* innermost line of a user's file */
/* Compiles a file's text and leaves the function on the stack. */
void np_lua_compile(np_lua *s, np_str file, const char *text, size_t n);
void np_lua_error(np_lua *s, np_loc loc, const char *fmt, ...) NP_PRINTF(3, 4); /* np_error, counted */
/* Raises a Lua error: the description cannot be read further. */
int np_lua_fail(np_lua *s, const char *fmt, ...) NP_PRINTF(2, 3);

/* ---- bind.c */
void np_bind_open(np_lua *s);               /* metatables and all functions, into the globals */
np_lua *np_bind_call(lua_State *L);         /* at the start of every function of the language.. */
np_lua *np_bind_enter(lua_State *L);        /* ..and of those that make nodes: only while build runs */
np_axis *np_bind_axis(np_lua *s, int i);    /* argument i, or a Lua error */
np_axis *np_bind_is_axis(np_lua *s, int i); /* NULL if it is none */
np_val *np_bind_is_val(np_lua *s, int i);
bool np_bind_is_type(np_lua *s, int i, np_dtype *out); /* int, f32, .. */
const np_dim *np_bind_is_dim(np_lua *s, int i);        /* a symbolic integer */
const np_dim *np_bind_dim(np_lua *s, int i);           /* a number or a symbolic integer */
void np_bind_push_dim(np_lua *s, const np_dim *d);     /* a number where it is one */
void np_bind_push_axis(np_lua *s, np_axis *a);
int np_bind_push(np_lua *s, np_val v);                               /* returns 1 */
int np_bind_poison(np_lua *s, const char *fmt, ...) NP_PRINTF(2, 3); /* reports, pushes poison, returns 1 */
/* Argument i as the innermost open scan sees it; a number becomes a constant. */
np_val np_bind_see(np_lua *s, int i);
np_val np_bind_value(np_lua *s, np_node *n, int rank, np_axis *const *axis); /* made here */
np_val np_bind_leaf(np_lua *s, np_node *n, int rank, np_axis *const *axis);
void np_bind_drop(np_axis **list, int rank, const np_axis *a); /* takes a out of a list of rank axes */
int np_bind_place(const np_val *v, const np_axis *a);          /* -1: not there */
/* v in the order `axis`, expanded along what it lacks. Every axis of v must be in it. */
np_node *np_bind_align(np_lua *s, const np_val *v, int rank, np_axis *const *axis);
/* A list of axes at index i: the axes; or fails. Twice the same is an error. */
int np_bind_axes(np_lua *s, int i, np_axis *out[NP_RANK]);
bool np_bind_sized(np_lua *s, int rank, np_axis *const *axis, const char *what); /* false: reported */
const np_type *np_bind_type(np_lua *s, np_dtype d, int rank, np_axis *const *axis);
np_str np_bind_axes_text(np_lua *s, int rank, np_axis *const *axis); /* B,T,H */
np_str np_bind_text(np_lua *s, int i, const np_val *v); /* "k (B,T,H,K)" for messages; i: argument, or 0 */

/* ---- bind_axis.c: axes and the shapes of tensors */
/* Gives an axis its size; two sizes are an error (false). */
bool np_axis_size(np_lua *s, np_axis *a, const np_dim *d, np_str by);
const np_dim *np_axis_dim(np_lua *s, np_axis *a); /* NULL: not known */
/* The axis is looked along in order: it is time unless its size is a number. */
void np_axis_look(np_lua *s, np_axis *a);
const np_dim *np_axis_past(np_lua *s); /* the symbol N */
extern const luaL_Reg np_axis_functions[], np_axis_methods[], np_axis_values[];

/* ---- bind_operand.c: operands of elementwise ops */
typedef struct np_operand {
    enum { LITERAL, TENSOR } kind;
    np_val v;
    double num;
    np_dtype type; /* literals: bool, i32 or f32 as written */
} np_operand;
#define NP_TO_NUMBER ": write f32(x) or where(x, 1, 0)"
char np_operand_takes(np_op op);
np_node *np_operand_convert(np_lua *s, np_node *n, np_dtype d); /* NULL: not without being told to */
void np_operand_take(np_lua *s, int i, np_operand *o);          /* argument i */
/* Reports that operand o (argument i) is not what the op wants. */
int np_operand_refuse(np_lua *s, const char *name, int i, const np_operand *o, const char *wants,
                      const char *hint);
/* The type in which operands first.. are computed; false: reported, poison pushed. */
bool np_operand_common(np_lua *s, np_op op, const char *name, int first, int n, const np_operand *o,
                       np_dtype *out);
/* The union of the operands' axes: as the language orders it, and as the node
 * will have it, where the operand with the most axes keeps its order. */
bool np_operand_union(np_lua *s, const char *name, int n, const np_operand *o, np_val *out);
int np_operand_add(np_axis **list, int n, np_axis *const *more, int count); /* those that are new */
int np_operand_push(np_lua *s, np_node *x, int rank, np_axis *const *axis, np_axis *const *order);

/* ---- bind_ops.c, bind_sum.c */
void np_ops_register(np_lua *s);
int np_ops_elementwise(np_lua *s, np_op op, const char *name, int n); /* of arguments 1..n */
extern const luaL_Reg np_sum_functions[];

/* ---- bind_leaf.c: inputs, weights, constants, positions */
extern const luaL_Reg np_leaf_functions[];

/* ---- bind_scan.c: time */
extern const luaL_Reg np_scan_functions[];

/* ---- config.c */
void np_config_open(
    np_lua *s,
    int model); /* reads config and keys of the model table at index `model`; pushes the config object */
bool np_config_size(np_lua *s, np_str axis, int64_t *out); /* size.NAME */
void np_config_close(np_lua *s); /* unknown --set keys are errors; fills model->config */
bool np_config_push(np_lua *s, const char *key); /* the effective value; false and nil */

extern const char np_embed_frontend_neap_lua[];
extern const unsigned long np_embed_frontend_neap_lua_len;

#endif
