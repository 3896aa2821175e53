/* Modules, functions and facts about them. A function owns an arena; a version
 * of it is never changed once it is built, except that the sweep unlinks what
 * nothing needs. Facts are computed when wanted and thrown away. */
#include "ir.h"

#include <stdlib.h>
#include <string.h>

np_mod *np_mod_new(np_cx *cx, const char *name)
{
    np_mod *m = np_arena_alloc(&cx->perm, sizeof *m);
    m->cx = cx;
    m->name = np_str_new(cx, name);
    return m;
}
void np_mod_free(np_mod *m)
{
    if (!m) return;
    for (int i = 0; i < m->nfns; i++) np_fn_free(m->fn[i]);
    for (int i = 0; i < m->nweights; i++) np_fn_free(m->weight[i]->by);
    m->nfns = m->nweights = 0;
}

static int find_fn(const np_mod *m, const char *name)
{
    for (int i = 0; i < m->nfns; i++)
        if (strcmp(m->fn[i]->name, name) == 0) return i;
    return -1;
}
np_fn *np_mod_fn(const np_mod *m, const char *name)
{
    int i = find_fn(m, name);
    return i < 0 ? NULL : m->fn[i];
}

void np_mod_put(np_mod *m, np_fn *f)
{
    int i = find_fn(m, f->name);
    if (i >= 0) {
        if (m->fn[i] != f) np_fn_free(m->fn[i]);
        m->fn[i] = f;
        return;
    }
    m->fn = np_arena_more(&m->cx->perm, m->fn, m->nfns, sizeof *m->fn);
    m->fn[m->nfns++] = f;
}
void np_mod_drop(np_mod *m, const char *name)
{
    int i = find_fn(m, name);
    if (i < 0) return;
    np_fn_free(m->fn[i]);
    memmove(m->fn + i, m->fn + i + 1, (size_t)(--m->nfns - i) * sizeof *m->fn);
}

np_fn *np_fn_new(np_mod *m, const char *name, np_stage stage)
{
    np_fn *f = calloc(1, sizeof *f);
    if (!f) {
        fprintf(stderr, "neap: out of memory\n");
        exit(1);
    }
    f->cx = m->cx;
    f->mod = m;
    f->name = np_str_new(m->cx, name);
    f->stage = stage;
    return f;
}
void np_fn_free(np_fn *f)
{
    if (!f) return;
    if (f->cx->last == f) f->cx->last = NULL;
    np_arena_free(&f->mem);
    free(f);
}

/* ---- facts. A block is walked backwards, so that what a value needs is marked
 * before the walk reaches it; captured values stand before the body's owner. */
static void need_args(const np_node *n, bool *live)
{
    for (int i = 0; i < n->nargs; i++) live[n->arg[i]->id] = true;
}
static void live_block(const np_block *b, bool *live)
{
    for (const np_node *n = b->last; n; n = n->prev) {
        if (n->op == NP_YIELD || np_has_effect(n)) live[n->id] = true;
        if (!live[n->id]) continue;
        need_args(n, live);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) live_block(n->body[i], live);
    }
}
bool *np_find_live(const np_fn *f, np_arena *mem)
{
    bool *live = np_arena_array(mem, f->nnodes + 1, sizeof *live);
    live_block(&f->top, live);
    return live;
}
static void walk(const np_block *b, void (*fn)(void *env, const np_node *n), void *env)
{
    for (const np_node *n = b->first; n; n = n->next) {
        fn(env, n);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) walk(n->body[i], fn, env);
    }
}
void np_fn_walk(const np_fn *f, void (*fn)(void *env, const np_node *n), void *env)
{
    walk(&f->top, fn, env);
}

static void count_uses(void *env, const np_node *n)
{
    int *uses = env;
    for (int i = 0; i < n->nargs; i++) uses[n->arg[i]->id]++;
}
int *np_find_uses(const np_fn *f, np_arena *mem)
{
    int *uses = np_arena_array(mem, f->nnodes + 1, sizeof *uses);
    np_fn_walk(f, count_uses, uses);
    return uses;
}
typedef struct result {
    const np_node *of;
    int i, uses;
} result;
static void count_result(void *env, const np_node *n)
{
    result *r = env;
    for (int k = 0; k < n->nargs; k++) {
        const np_node *x = n->arg[k], *of = x->op == NP_PICK ? x->arg[0] : x;
        r->uses += n->op != NP_PICK && of == r->of && (x->op == NP_PICK ? (int)x->attr[0]->k : 0) == r->i;
    }
}
int np_find_result_uses(const np_fn *f, const np_node *of, int i)
{
    result r = {of, i, 0};
    np_fn_walk(f, count_result, &r);
    return r.uses;
}

static void renumber(np_block *b, uint32_t *id)
{
    for (int i = 0; i < b->nparams; i++) b->param[i]->id = (*id)++;
    for (np_node *n = b->first; n; n = n->next) {
        n->id = (*id)++;
        for (int i = 0; i < 2; i++)
            if (n->body[i]) renumber(n->body[i], id);
    }
}
/* A `bad` operand stands in no block: *bad is set to it. */
static void order_args(np_block *b, np_node **bad)
{
    for (np_node *n = b->first; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++)
            if (n->arg[i]->op == NP_BAD) *bad = n->arg[i];
        if (np_op_info(n->op)->comm && np_node_turned(n->arg[0], n->arg[1])) {
            np_node *a = n->arg[0];
            n->arg[0] = n->arg[1];
            n->arg[1] = a;
        }
        for (int i = 0; i < 2; i++)
            if (n->body[i]) order_args(n->body[i], bad);
    }
}
void np_fn_number(np_fn *f)
{
    np_node *bad = NULL;
    f->nnodes = 0;
    renumber(&f->top, &f->nnodes);
    order_args(&f->top, &bad);
    if (bad) bad->id = f->nnodes++;
}
static void unlink_dead(np_block *b, const bool *live)
{
    for (np_node *n = b->first; n; n = n->next) {
        if (live[n->id]) {
            for (int i = 0; i < 2; i++)
                if (n->body[i]) unlink_dead(n->body[i], live);
            continue;
        }
        *(n->prev ? &n->prev->next : &b->first) = n->next;
        *(n->next ? &n->next->prev : &b->last) = n->prev;
    }
}
void np_fn_sweep(np_fn *f)
{
    np_arena tmp = {0};
    unlink_dead(&f->top, np_find_live(f, &tmp));
    np_arena_free(&tmp);
    np_fn_number(f);
}
