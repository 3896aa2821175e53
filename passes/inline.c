/* inline: a call becomes the body of the function that it names, copied through
 * the builder, so that constants flow into it and equal values are shared with
 * the caller. After it an entry is one function.
 *
 * A function can call only what stands complete before it, so calls end; a
 * module that was put together otherwise is found by its depth. */
#include "passes.h"

enum { DEPTH = 64 };

typedef struct frame {
    np_node ***result; /* by id of an old call: the values that it returns */
    int depth;
} frame;

static np_node *inline_rule(np_rw *rw, const np_node *old, np_node *const *arg);

static frame *frame_new(np_build *b, const np_fn *f, int depth)
{
    frame *e = np_arena_alloc(&b->fn->mem, sizeof *e);
    e->result = np_arena_array(&b->fn->mem, f->nnodes + 1, sizeof *e->result);
    e->depth = depth;
    return e;
}
static np_node *inline_call(np_rw *rw, const np_node *old, np_node *const *arg)
{
    frame *e = rw->env;
    np_build *b = rw->b;
    const np_fn *f = np_mod_fn(rw->old->mod, old->sym);
    if (!f || e->depth >= DEPTH) {
        np_error(b->cx, old->loc, "@%s %s", old->sym, f ? "calls itself" : "is not in the module");
        return np_build_op(b, NP_BAD, 0, NULL, NULL);
    }
    np_rw *sub = np_rewrite_new(b, f, inline_rule, frame_new(b, f, e->depth + 1));
    for (int i = 0; i < f->top.nparams; i++) np_rewrite_set(sub, f->top.param[i], arg[i]);
    np_rewrite_block(sub, &f->top);
    const np_node *ret = f->top.last;
    np_node **r = np_arena_array(&b->fn->mem, (size_t)ret->nargs + 1, sizeof *r);
    for (int i = 0; i < ret->nargs; i++) r[i] = np_rewrite_get(sub, ret->arg[i]);
    e->result[old->id] = r;
    return ret->nargs ? r[0] : np_build_op(b, NP_BAD, 0, NULL, NULL);
}
static np_node *inline_rule(np_rw *rw, const np_node *old, np_node *const *arg)
{
    frame *e = rw->env;
    if (old->op == NP_CALL) return inline_call(rw, old, arg);
    if (old->op == NP_PICK && old->arg[0]->op == NP_CALL && e->result[old->arg[0]->id])
        return e->result[old->arg[0]->id][old->attr[0]->k];
    return NULL;
}

np_fn *np_inline_run(const np_fn *f, const np_knobs *k)
{
    (void)k;
    frame e = {.result = np_arena_array(&f->cx->tmp, f->nnodes + 1, sizeof *e.result)};
    return np_rewrite(f, inline_rule, &e);
}
