/* Generated code, loaded and run here: its text is compiled to a shared object
 * in a temporary folder, which is gone as soon as it is loaded. Values come and
 * go as doubles, as in the interpreter, and lie in between as the code wants
 * them: states in one block, growing ones with their capacity. */
#include "c.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef void entry(int64_t T, int64_t N, void *const *in, char *state, void *const *out, char *work);
struct np_lib {
    np_cx *cx;
    void *handle;
};

/* The loaded file, which is gone again; NULL and an error. */
static void *load_text(np_cx *cx, const np_text *text, const char *flags)
{
    char dir[4096];
    void *handle = NULL;
    if (!np_cc_folder(cx, dir)) return NULL;
    np_str path = np_str_fmt(cx, "%s/model.so", dir);
    if (np_cc_build(cx, NP_CC_SO, text->s, text->n, flags, path) == NP_OK) {
        handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!handle) np_error(cx, (np_loc){0}, "compiled code cannot be loaded: %s", dlerror());
    }
    unlink(path), rmdir(dir);
    return handle;
}
np_lib *np_lib_load(np_cx *cx, const np_program *p)
{
    np_program bare = *p;
    np_text text = {0};
    bare.runtime = bare.data = NULL;
    bare.main = false;
    bool good = np_backend_find("c")->emit(cx, &bare, &text) == NP_OK;
    void *handle = good ? load_text(cx, &text, p->target->cflags) : NULL, *setup;
    np_text_free(&text);
    if (!handle) return NULL;
    np_lib *l = np_arena_alloc(&cx->perm, sizeof *l);
    *l = (np_lib){cx, handle};
    void (*unpack)(char *heap) = NULL;
    setup = dlsym(handle, "np_setup");
    memcpy(&unpack, &setup, sizeof unpack);
    if (unpack) unpack(NULL);
    return l;
}
void np_lib_free(np_lib *l)
{
    if (!l) return;
    dlclose(l->handle);
}

/* ---- doubles to memory and back */
static void put(void *to, np_dtype d, int64_t i, double v)
{
    switch (d) {
    case NP_F32: ((float *)to)[i] = (float)v; break;
    case NP_F64: ((double *)to)[i] = v; break;
    case NP_I32: ((int32_t *)to)[i] = (int32_t)np_round_to(d, v); break;
    case NP_I64: ((int64_t *)to)[i] = (int64_t)np_round_to(d, v); break;
    case NP_I8: ((int8_t *)to)[i] = (int8_t)np_round_to(d, v); break;
    case NP_F16:
    case NP_BF16: ((uint16_t *)to)[i] = np_chalf(d, v); break;
    default: ((uint8_t *)to)[i] = (uint8_t)np_round_to(d, v); break;
    }
}
static double get(const void *from, np_dtype d, int64_t i)
{
    switch (d) {
    case NP_F32: return (double)((const float *)from)[i];
    case NP_F64: return ((const double *)from)[i];
    case NP_I32: return ((const int32_t *)from)[i];
    case NP_I64: return (double)((const int64_t *)from)[i];
    case NP_I8: return ((const int8_t *)from)[i];
    case NP_F16:
    case NP_BF16: return np_half_to_double(d, ((const uint16_t *)from)[i]);
    default: return ((const uint8_t *)from)[i];
    }
}
/* All of t to or from memory in which axis `grow` (-1: none) has room for `cap`. */
static void move(np_tensor *t, char *mem, int grow, int64_t cap, bool in)
{
    int64_t outer = 1, inner = 1, rows = 1;
    for (int k = 0; k < t->rank; k++) *(k < grow ? &outer : k == grow ? &rows : &inner) *= t->dim[k];
    if (grow < 0) cap = 1;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < rows * inner; i++) {
            int64_t here = o * rows * inner + i, there = o * cap * inner + i;
            if (in)
                put(mem, t->dtype, there, t->data[here]);
            else
                t->data[here] = get(mem, t->dtype, there);
        }
}
/* Zeroed memory that costs nothing until it is used, as work memory may be made for much larger sizes. */
typedef struct region {
    void *p;
    size_t n;
} region;
static bool no_memory(np_cx *cx, int64_t bytes)
{
    np_error(cx, (np_loc){0}, "no memory of %lld bytes: %s", (long long)bytes, strerror(errno));
    return false;
}
static bool take(np_cx *cx, region *r, int64_t bytes)
{
    r->n = bytes > 0 ? (size_t)bytes : 1;
    r->p = mmap(NULL, r->n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->p != MAP_FAILED) return true;
    r->p = NULL;
    return no_memory(cx, bytes);
}

/* ---- one run */
typedef struct call {
    np_cx *cx;
    const np_fn *f;
    np_env env;
    int64_t T, N;
    void **in, **out;
    region state, work;
} call;

static bool find_sizes(call *c)
{
    const np_dim **sym;
    c->T = 1, c->N = 0;
    for (int i = 0, n = np_dim_syms(c->cx, &sym); i < n; i++) {
        int64_t v;
        if (sym[i]->role == NP_ROLE_NONE) continue;
        if (!np_env_get(&c->env, sym[i], &v)) np_env_set(&c->env, sym[i], v = sym[i]->role == NP_ROLE_TIME);
        *(sym[i]->role == NP_ROLE_TIME ? &c->T : &c->N) = v;
        if (v < sym[i]->lo || v > sym[i]->hi) {
            np_error(c->cx, c->f->loc, "%s is %lld; code was made for %lld to %lld", sym[i]->name,
                     (long long)v, (long long)sym[i]->lo, (long long)sym[i]->hi);
            return false;
        }
    }
    return true;
}
static bool new_tensor(call *c, const np_type *t, np_tensor *out, int grow)
{
    int64_t dim[NP_RANK];
    for (int k = 0; k < t->rank; k++) {
        if (k == grow)
            dim[k] = c->N + c->T;
        else if (!np_dim_eval(t->dim[k], &c->env, &dim[k])) {
            np_error(c->cx, c->f->loc, "the size %s has no value", np_dim_str(c->cx, t->dim[k]));
            return false;
        }
    }
    *out = np_tensor_new(t->dtype, t->rank, dim);
    return true;
}
/* Of exactly its size, so that a tool that watches the heap sees a step beyond it. */
static bool tensor_memory(call *c, void **p, const np_tensor *t, np_dtype d)
{
    int64_t n = np_tensor_count(t) * np_dtype_size(d);
    *p = calloc((size_t)(n ? n : 1), 1);
    return *p || no_memory(c->cx, n);
}
static int grows(const np_fn *f, int state)
{
    return f->grow ? f->grow[state] : -1;
}
static bool put_inputs(call *c, np_tensor *in)
{
    const np_fn *f = c->f;
    for (int i = 0; i < f->ninputs; i++) {
        np_dtype d = f->top.param[i]->type->dtype;
        if (!tensor_memory(c, &c->in[i], &in[i], d)) return false;
        in[i].dtype = d;
        move(&in[i], c->in[i], -1, 1, true);
    }
    if (!take(c->cx, &c->state, np_centry_state(f, f->nstates)) || !take(c->cx, &c->work, f->work))
        return false;
    for (int i = 0; i < f->nstates; i++) {
        np_tensor *t = &in[f->ninputs + i];
        const np_type *type = np_centry_type(f, i);
        int g = grows(f, i);
        if (g >= 0 && c->N + c->T > type->dim[g]->k) {
            np_error(c->cx, f->loc, "%lld positions; code was made for %lld", (long long)(c->N + c->T),
                     (long long)type->dim[g]->k);
            return false;
        }
        t->dtype = type->dtype;
        move(t, (char *)c->state.p + np_centry_state(f, i), g, g < 0 ? 1 : type->dim[g]->k, true);
    }
    return true;
}
static bool make_outputs(call *c, np_tensor *out)
{
    const np_fn *f = c->f;
    for (int i = 0; i < f->nouts + f->nstates; i++) {
        int state = i - f->nouts;
        const np_type *t = state < 0 ? f->top.param[f->ninputs + f->nstates + i]->type
                                     : f->top.param[f->ninputs + state]->type;
        if (!new_tensor(c, t, &out[i], state < 0 ? -1 : grows(f, state))) return false;
        if (state >= 0) continue;
        if (!tensor_memory(c, &c->out[i], &out[i], t->dtype)) return false;
        /* NaN: what is never written shows; and no page is made while the code is timed. */
        memset(c->out[i], 0xff, (size_t)(np_tensor_count(&out[i]) * np_dtype_size(t->dtype)));
    }
    return true;
}
static void get_outputs(call *c, np_tensor *out)
{
    const np_fn *f = c->f;
    for (int i = 0; i < f->nouts; i++) move(&out[i], c->out[i], -1, 1, false);
    for (int i = 0; i < f->nstates; i++) {
        int g = grows(f, i);
        move(&out[f->nouts + i], (char *)c->state.p + np_centry_state(f, i), g,
             g < 0 ? 1 : np_centry_type(f, i)->dim[g]->k, false);
    }
}
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}
static void run(const call *c, entry *code, double *ms)
{
    double start = now();
    code(c->T, c->N, c->in, c->state.p, c->out, c->work.p);
    if (ms) *ms = now() - start;
}
static void release(region *r)
{
    if (r->p) munmap(r->p, r->n);
}
np_status np_lib_run(np_lib *l, const np_fn *placed, const np_tensor *in, np_tensor *out, const np_env *e,
                     double *ms)
{
    call c = {.cx = l->cx, .f = placed};
    entry *code = NULL;
    np_arena mem = {0};
    void *sym = dlsym(l->handle, np_ctext(&mem, "np_entry_%s", np_cname(&mem, placed->name, "main")));
    memcpy(&code, &sym, sizeof code);
    if (!code) np_bug(l->cx, "loaded code has no @%s", placed->name);
    int nin = placed->ninputs + placed->nstates, nout = placed->nouts + placed->nstates;
    np_tensor *given = np_arena_array(&mem, (size_t)nin + 1, sizeof *given);
    if (nin) memcpy(given, in, (size_t)nin * sizeof *in);
    memset(out, 0, (size_t)nout * sizeof *out);
    c.in = np_arena_array(&mem, (size_t)nin + 1, sizeof *c.in);
    c.out = np_arena_array(&mem, (size_t)nout + 1, sizeof *c.out);
    if (e) c.env = *e;
    bool good = np_eval_bind(placed, in, &c.env) == NP_OK && find_sizes(&c) && put_inputs(&c, given) &&
                make_outputs(&c, out);
    if (good) run(&c, code, ms);
    if (good) get_outputs(&c, out);
    for (int i = 0; i < nout && !good; i++) np_tensor_free(&out[i]);
    for (int i = 0; i < placed->ninputs; i++) free(c.in[i]);
    for (int i = 0; i < placed->nouts; i++) free(c.out[i]);
    release(&c.state), release(&c.work);
    np_arena_free(&mem);
    return good ? NP_OK : NP_FAIL;
}
