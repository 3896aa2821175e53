/* The C backend: one file of portable C99. Its order is that in which a reader
 * wants it: what it is, helpers, numbers, kernels, entries, the model's table,
 * the runtime. It is written out of order, since only what is used appears.
 *
 * The same program gives the same bytes: nothing depends on time, on paths or
 * on the order of pointers. */
#include "c.h"

#include <string.h>

extern const char np_embed_runtime_np_rt_h[];
extern const unsigned long np_embed_runtime_np_rt_h_len;

const char *np_cfile_name(np_cfile *c, const char *want)
{
    const char *s = want;
    for (int i = 2;; i++) {
        bool taken = np_creserved(s);
        for (int k = 0; k < c->nnames; k++) taken |= strcmp(c->name[k], s) == 0;
        if (!taken) break;
        s = np_cother(&c->mem, want, (int)strlen(want), "_", i);
    }
    c->name = np_arena_more(&c->mem, c->name, c->nnames, sizeof *c->name);
    return c->name[c->nnames++] = s;
}

/* ---- what is compiled */
static void find_symbols(np_cfile *c)
{
    const np_dim **sym;
    for (int i = 0, n = np_dim_syms(c->cx, &sym); i < n; i++) {
        if (sym[i]->role == NP_ROLE_TIME && !c->T) c->T = sym[i];
        if (sym[i]->role == NP_ROLE_PAST && !c->N) c->N = sym[i];
    }
}
/* Sizes that an entry cannot be given. */
static const np_dim *free_symbol(const np_cfile *c, const np_dim *d)
{
    const np_dim *found = NULL;
    if (d->kind == NP_DIM_SYM) return d == c->T || d == c->N ? NULL : d;
    for (int i = 0; i < d->nargs && !found; i++) found = free_symbol(c, d->arg[i]);
    return found;
}
typedef struct checker {
    np_cfile *c;
    const np_dim *bad;
    np_loc loc;
} checker;
static void check_node(void *env, const np_node *n)
{
    checker *k = env;
    for (int i = 0; i < NP_MAXATTRS && !k->bad; i++)
        if (n->attr[i] && (k->bad = free_symbol(k->c, n->attr[i]))) k->loc = n->loc;
    for (int i = 0; i < n->type->rank && !n->type->tuple && !k->bad; i++)
        if ((k->bad = free_symbol(k->c, n->type->dim[i]))) k->loc = n->loc;
}
static void find_user(void *env, const np_node *n)
{
    const np_node **user = env;
    for (int i = 0; i < n->nargs; i++) user[n->arg[i]->id] = n;
}
static void put_function(np_cfile *c, const np_fn *f)
{
    checker k = {.c = c};
    np_fn_walk(f, check_node, &k);
    for (int i = 0; i < f->top.nparams; i++) check_node(&k, f->top.param[i]);
    if (k.bad) {
        np_error(c->cx, k.loc, "the size %s must be a number before @%s can be compiled: --set it",
                 k.bad->name, f->name);
        c->failed = true;
        return;
    }
    np_arena mem = {0};
    c->f = f;
    c->uses = np_find_uses(f, &mem);
    c->user = np_arena_array(&mem, f->nnodes + 1, sizeof *c->user);
    np_fn_walk(f, find_user, c->user);
    c->range = np_crange_find(f, &mem);
    np_centry_put(c, f);
    np_arena_free(&mem);
}

/* ---- the file */
static void put_comment(np_text *out, const np_program *p)
{
    np_text_add(out, "/* ");
    for (const char *s = p->title ? p->title : p->mod->name ? p->mod->name : "a model"; *s; s++) {
        if (*s == '\n')
            np_text_add(out, "\n * ");
        else
            np_text_put(out, s, 1);
        if ((s[0] == '*' && s[1] == '/') || (s[0] == '/' && s[1] == '*')) np_text_add(out, " ");
    }
    np_text_add(out,
                "\n * Made by neap " NP_VERSION
                " for target %s. T is how many positions are new in a call, N how many came before. */\n",
                p->target->name);
}
/* The runtime's files include each other by name; here they are one file. */
static void put_runtime(np_text *out, const char *s)
{
    while (*s) {
        size_t n = strcspn(s, "\n");
        n += s[n] == '\n';
        if (strncmp(s, "#include \"", 10) != 0) np_text_put(out, s, n);
        s += n;
    }
}
static np_status emit(np_cx *cx, const np_program *p, np_text *out)
{
    np_cfile c = {.cx = cx, .p = p};
    c.prefix = np_cname(&c.mem, p->name, "model");
    if (strcmp(c.prefix, "np") == 0 || strcmp(c.prefix, "rt") == 0)
        c.prefix = np_ctext(&c.mem, "model_%s", c.prefix);
    find_symbols(&c);
    for (int i = 0; i < p->mod->nfns; i++)
        if (p->mod->fn[i]->stage == NP_STAGE_PLACED) put_function(&c, p->mod->fn[i]);
    np_text setup = {0}, body = {0};
    np_cdata_setup(&c, &setup);
    if (p->runtime) np_centry_table(&c);
    np_chelp_put((const char *[]){c.kernels.s ? c.kernels.s : "", setup.s ? setup.s : "", NULL}, &body);
    if (c.narrays) np_text_add(&body, "\n/* ---- numbers */\n");
    np_cdata_put(&c, &body);
    if (c.kernels.n)
        np_text_add(
            &body,
            "\n/* ---- kernels: a function for each group of operations that are computed together */\n");
    if (c.kernels.n) np_text_put(&body, c.kernels.s, c.kernels.n);
    if (setup.n) np_text_put(&body, setup.s, setup.n);
    np_text_add(&body, "\n/* ---- entries */");
    if (c.entries.n) np_text_put(&body, c.entries.s, c.entries.n);

    put_comment(out, p);
    if (p->runtime) np_text_add(out, "#define _XOPEN_SOURCE 700\n");
    np_text_add(out, "#include <math.h>\n#include <stdbool.h>\n#include <stddef.h>\n#include "
                     "<stdint.h>\n#include <string.h>\n"
                     "#if defined __GNUC__ && !defined __clang__ /* jammed loops would keep sums in memory; gcc 12 takes "
                     "vectors from wrong places\n   once it has put a kernel into its only caller; lanes stay a loop, so that "
                     "they become vectors */\n"
                     "#pragma GCC optimize(\"no-loop-unroll-and-jam\", \"no-inline-functions-called-once\")\n"
                     "#define np_lanes _Pragma(\"GCC unroll 1\")\n"
                     "#else\n#define np_lanes\n#endif\n");
    if (c.kernels.s && strstr(c.kernels.s, "np_prefetch("))
        np_text_add(out, "#if defined __GNUC__\n"
                         "#define np_prefetch(p) __builtin_prefetch(p)\n"
                         "#else\n#define np_prefetch(p) ((void)0)\n#endif\n");
    if (p->runtime) {
        np_text_add(out, "\n");
        np_text_put(out, np_embed_runtime_np_rt_h, np_embed_runtime_np_rt_h_len);
    }
    np_text_put(out, body.s, body.n);
    if (p->runtime) {
        if (p->data) np_text_add(out, "\n%s", p->data);
        np_text_add(out, "\n");
        put_runtime(out, p->runtime);
    }
    np_text_free(&setup), np_text_free(&body), np_text_free(&c.kernels), np_text_free(&c.entries);
    np_arena_free(&c.mem);
    return c.failed ? NP_FAIL : NP_OK;
}
static bool has(const np_target *t, np_op op, const np_type *type)
{
    (void)t;
    return np_cexpr_spelled(op, type->dtype);
}

const np_backend np_backend_c = {"c", has, emit, np_lib_load};
