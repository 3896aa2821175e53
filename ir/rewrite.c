/* Copying: a pass builds a new function by going through the old one in order,
 * through the builder, so that what it makes is typed, folded and shared. What
 * nothing needs is not copied; what a rule orphans is swept afterwards. */
#include "ir.h"

#include <string.h>

struct copier { /* np_rw first: rules see only that */
    np_rw rw;
    const np_dim *sym, *by; /* substitution, or NULL */
};
typedef struct copier copier;

static const np_dim *dim_now(const copier *c, const np_dim *d)
{
    return c->sym && d ? np_dim_subst(c->rw.b->cx, d, c->sym, c->by) : d;
}
static const np_type *type_now(const copier *c, const np_type *t)
{
    if (!c->sym || t->tuple) return t;
    for (int i = 0; i < t->rank; i++) t = np_type_set(c->rw.b->cx, t, i, dim_now(c, t->dim[i]));
    return t;
}

np_node *np_rewrite_get(np_rw *rw, const np_node *old)
{
    np_node *n = rw->map[old->id];
    if (!n) np_bug(rw->b->cx, "a rewrite asks for %s before it was copied", np_op_info(old->op)->text);
    return n;
}
void np_rewrite_set(np_rw *rw, const np_node *old, np_node *now)
{
    rw->map[old->id] = now;
}

static np_node **mapped(np_rw *rw, const np_node *old)
{
    np_node **arg = np_arena_array(&rw->b->fn->mem, (size_t)old->nargs + 1, sizeof *arg);
    for (int i = 0; i < old->nargs; i++) arg[i] = np_rewrite_get(rw, old->arg[i]);
    return arg;
}
static void copy_body(np_rw *rw, const np_block *old, np_block *now)
{
    for (int i = 0; i < old->nparams; i++) {
        np_rewrite_set(rw, old->param[i], now->param[i]);
        if (old->param[i]->name) now->param[i]->name = old->param[i]->name;
        now->param[i]->axes = old->param[i]->axes;
    }
    np_rewrite_block(rw, old);
}
np_node *np_rewrite_copy(np_rw *rw, const np_node *old, np_node *const *arg)
{
    copier *c = (copier *)rw;
    np_build *b = rw->b;
    np_extra x = {.sym = old->sym, .num = old->num, .data = old->data};
    for (int i = 0; i < NP_MAXATTRS; i++) x.attr[i] = dim_now(c, old->attr[i]);
    b->loc = old->loc;
    b->name = old->name;
    if (!old->body[0]) {
        x.type = type_now(c, old->type);
        return np_build_op(b, old->op, old->nargs, arg, &x);
    }
    np_node *n = np_build_open(b, old->op, old->nargs, arg, &x);
    n->name = old->name;
    copy_body(rw, old->body[0], n->body[0]);
    const np_node *y = old->body[0]->last;
    b->loc = y->loc;
    if (old->body[1]) {
        np_build_else(b, n, y->nargs, mapped(rw, y));
        copy_body(rw, old->body[1], n->body[1]);
        y = old->body[1]->last;
        b->loc = y->loc;
    }
    return np_build_close(b, n, y->nargs, mapped(rw, y));
}

np_node *np_rewrite_node(np_rw *rw, const np_node *old)
{
    np_build *b = rw->b;
    np_node **arg = mapped(rw, old), *now = NULL;
    b->loc = old->loc;
    b->name = NULL; /* a rule may make several nodes: the name is for the one that it answers */
    if (rw->rule) now = rw->rule(rw, old, arg);
    if (!now) now = np_rewrite_copy(rw, old, arg);
    if (!now->name && now->op != NP_BAD) now->name = old->name;
    if (!now->axes && now->type == old->type) now->axes = old->axes;
    np_rewrite_set(rw, old, now);
    b->name = NULL;
    return now;
}

void np_rewrite_block(np_rw *rw, const np_block *old)
{
    for (const np_node *n = old->first; n; n = n->next)
        if (rw->live[n->id] && n->op != NP_YIELD && n->op != NP_RET) np_rewrite_node(rw, n);
}

static void prepare(copier *c, np_build *b, const np_fn *f, np_arena *mem)
{
    c->rw.b = b;
    c->rw.old = f;
    c->rw.map = np_arena_array(mem, f->nnodes + 1, sizeof *c->rw.map);
    c->rw.live = np_find_live(f, mem);
}
np_rw *np_rewrite_new(np_build *b, const np_fn *old, np_rule rule, void *env)
{
    copier *c = np_arena_alloc(&b->fn->mem, sizeof *c);
    c->rw = (np_rw){.env = env, .rule = rule};
    prepare(c, b, old, &b->fn->mem);
    return &c->rw;
}

static np_fn *run(const np_fn *f, const char *name, copier *c)
{
    np_fn *out = np_fn_new(f->mod, name, f->stage);
    np_build *b = np_build_new(out);
    np_arena tmp = {0};
    out->loc = f->loc;
    out->work = f->work;
    prepare(c, b, f, &tmp);
    for (int i = 0; i < f->top.nparams; i++) {
        const np_node *p = f->top.param[i];
        np_port kind = i < f->ninputs ? NP_IN : i < f->ninputs + f->nstates ? NP_STATE : NP_OUT;
        b->loc = p->loc;
        np_node *now = np_build_param(b, kind, p->name, type_now(c, p->type));
        now->axes = p->axes;
        np_rewrite_set(&c->rw, p, now);
    }
    if (f->grow) out->grow = np_arena_copy(&out->mem, f->grow, (size_t)f->nstates * sizeof *f->grow);
    np_rewrite_block(&c->rw, &f->top);
    const np_node *ret = f->top.last;
    if (ret && ret->op == NP_RET) {
        b->loc = ret->loc;
        np_build_ret(b, f->nouts, f->out_name, ret->nargs, mapped(&c->rw, ret));
    }
    np_arena_free(&tmp);
    np_fn_sweep(out);
    return out;
}

np_fn *np_rewrite(const np_fn *f, np_rule rule, void *env)
{
    copier c = {.rw = {.env = env, .rule = rule}};
    return run(f, f->name, &c);
}
np_fn *np_fn_copy(const np_fn *f)
{
    return np_rewrite(f, NULL, NULL);
}
np_fn *np_fn_subst(const np_fn *f, const char *name, const np_dim *sym, const np_dim *by)
{
    copier c = {.sym = sym, .by = by};
    return run(f, name, &c);
}
