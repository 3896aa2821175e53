/* fuse, second half: the new function. Every kept node becomes a group; what is
 * not kept is copied into each group that uses it. Bodies of scans and conds
 * are treated like the function itself, so that groups nest. */
#include "fuse.h"

#include <string.h>

typedef struct maker {
    np_fuse *u;
    np_rw *rw;
    const np_node **local; /* copied into the open group: forgotten when it closes */
    int nlocals;
} maker;

static np_node *value(maker *m, const np_node *x);

/* "layers[3].mix" and "u": layers.3.mix.u */
static np_str group_name(np_cx *cx, const np_node *n)
{
    char text[256];
    size_t k = 0;
    for (const char *s = n->loc.scope; s && *s && k < sizeof text - 1; s++) {
        if (*s == ']') continue;
        text[k++] = *s == '[' ? '.' : *s;
    }
    text[k] = 0;
    return np_str_fmt(cx, "%s%s%s", text, k ? "." : "", n->name ? n->name : np_op_info(n->op)->text);
}

static void forget(maker *m, int from)
{
    while (m->nlocals > from) np_rewrite_set(m->rw, m->local[--m->nlocals], NULL);
}
static np_node **body(maker *m, const np_block *old, np_block *now);
static np_node **operands(maker *m, const np_node *old)
{
    np_node **arg = np_arena_array(&m->u->mem, (size_t)old->nargs + 1, sizeof *arg);
    for (int i = 0; i < old->nargs; i++) arg[i] = value(m, old->arg[i]);
    return arg;
}
static np_node *copy(maker *m, const np_node *old)
{
    np_build *b = m->rw->b;
    np_node **arg = operands(m, old);
    if (!old->body[0]) return np_rewrite_copy(m->rw, old, arg);
    np_extra x = {.sym = old->sym, .num = old->num};
    memcpy(x.attr, old->attr, sizeof x.attr);
    b->loc = old->loc;
    np_node *n = np_build_open(b, old->op, old->nargs, arg, &x);
    n->name = old->name;
    int from = m->nlocals;
    np_node **yield = body(m, old->body[0], n->body[0]);
    if (old->body[1]) {
        np_build_else(b, n, old->body[0]->last->nargs, yield);
        forget(m, from);
        yield = body(m, old->body[1], n->body[1]);
    }
    n = np_build_close(b, n, old->body[0]->last->nargs, yield);
    forget(m, from);
    return n;
}
/* The new value of x: known, or copied into the group that is open. */
static np_node *value(maker *m, const np_node *x)
{
    if (m->rw->map[x->id]) return m->rw->map[x->id];
    np_node *n = copy(m, x);
    if (!n->axes && n->type == x->type) n->axes = x->axes;
    np_rewrite_set(m->rw, x, n);
    m->local[m->nlocals++] = x;
    return n;
}

/* y, which is an output, moved as n moves it. */
static np_node *moved(maker *m, const np_node *n, np_node *y)
{
    if (np_fuse_is_output(n)) return y;
    np_node *x = moved(m, n->arg[0], y), *now = np_rewrite_copy(m->rw, n, &x);
    if (!now->name) now->name = n->name;
    return now;
}
/* Result of root that n is, if it is stored as something else; -1: it is none. */
static int stored_otherwise(const maker *m, const np_node *root, const np_node *n)
{
    if (!m->u->as[n->id] || (n->op == NP_PICK ? n->arg[0] : n) != root) return -1;
    return n->op == NP_PICK ? (int)n->attr[0]->k : 0;
}
/* Outputs of a scan that are stored as they are wanted; what stands for them outside is the result. */
static void in_order(maker *m, const np_node *root, np_node **yield)
{
    for (const np_node *n = root; n; n = n->next) {
        int i = stored_otherwise(m, root, n);
        if (i >= 0) yield[i] = moved(m, m->u->as[n->id], yield[i]);
    }
}
static void results_in_order(maker *m, const np_node *root, np_node *now)
{
    for (const np_node *n = root; n; n = n->next) {
        int i = stored_otherwise(m, root, n);
        if (i >= 0) np_rewrite_set(m->rw, m->u->as[n->id], np_build_result(m->rw->b, now, i));
    }
}
static np_node *group(maker *m, const np_node *root, int rows)
{
    np_build *b = m->rw->b;
    int from = m->nlocals;
    b->loc = root->loc;
    np_extra x = {.sym = group_name(m->u->cx, root), .attr = {np_dim_const(m->u->cx, rows)}};
    np_node *g = np_build_open(b, NP_GROUP, 0, NULL, &x);
    g->name = root->name;
    int n = np_result_count(root);
    np_node *made = value(m, root), **yield = np_arena_array(&m->u->mem, (size_t)n + 1, sizeof *yield);
    for (int i = 0; i < n; i++) yield[i] = np_build_result(b, made, i);
    in_order(m, root, yield);
    forget(m, from);
    b->loc = root->loc;
    return np_build_close(b, g, n, yield);
}
/* The group of one root alone. */
static void statement(maker *m, const np_node *n)
{
    np_node *now = group(m, n, -1);
    if (!now->axes && now->type == n->type) now->axes = n->axes;
    np_rewrite_set(m->rw, n, now);
    results_in_order(m, n, now);
}
/* A group of groups, one for each member; it yields what is wanted outside. */
static void set_statement(maker *m, const np_fuse_set *s)
{
    np_build *b = m->rw->b;
    np_node *yield[NP_FUSE_MEMBERS];
    int from = m->nlocals, n = 0;
    b->loc = s->name->loc;
    np_node *g = np_build_open(b, NP_GROUP, 0, NULL, &(np_extra){.sym = group_name(m->u->cx, s->name)});
    g->name = s->name->name;
    for (int i = 0; i < s->n; i++) {
        const np_node *x = s->member[i];
        np_node *now = group(m, x, m->u->rows[x->id]);
        if (now->type == x->type) now->axes = x->axes;
        np_rewrite_set(m->rw, x, now);
        m->local[m->nlocals++] = x;
        if (s->leaves[i]) yield[n++] = now;
    }
    forget(m, from);
    b->loc = s->name->loc;
    np_node *now = np_build_close(b, g, n, yield);
    for (int i = 0, k = 0; i < s->n; i++) {
        const np_node *x = s->member[i];
        if (!s->leaves[i]) continue;
        np_node *y = np_build_result(b, now, k++);
        if (!y->name) y->name = x->name;
        if (y->type == x->type) y->axes = x->axes;
        np_rewrite_set(m->rw, x, y);
    }
}
/* The set of n, after those that it needs. */
static void ensure_set(maker *m, const np_node *n)
{
    np_fuse_set *s = m->u->set[n->id];
    if (s->begun) return;
    s->begun = true;
    for (int i = 0; i < s->npreds; i++) ensure_set(m, s->pred[i]);
    if (s->n == 1)
        statement(m, n);
    else
        set_statement(m, s);
}
static void statements(maker *m, const np_block *old)
{
    for (const np_node *n = old->first; n; n = n->next) {
        if (!m->rw->live[n->id] || !m->u->kept[n->id]) continue;
        if (m->u->set[n->id])
            ensure_set(m, n);
        else
            statement(m, n);
    }
}
/* Fills an open body; gives what it yields. */
static np_node **body(maker *m, const np_block *old, np_block *now)
{
    for (int i = 0; i < old->nparams; i++) {
        np_rewrite_set(m->rw, old->param[i], now->param[i]);
        if (old->param[i]->name) now->param[i]->name = old->param[i]->name;
        now->param[i]->axes = old->param[i]->axes;
    }
    statements(m, old);
    return operands(m, old->last);
}
static void results(maker *m)
{
    const np_fn *f = m->u->f;
    const np_node *ret = f->top.last;
    np_node **v = np_arena_array(&m->u->mem, (size_t)ret->nargs + 1, sizeof *v);
    for (int i = 0; i < ret->nargs; i++) {
        const np_node *x = ret->arg[i];
        bool stays = i >= f->nouts && x == f->top.param[f->ninputs + i - f->nouts];
        if (stays || !np_is_leaf(x))
            v[i] = value(m, x);
        else
            v[i] = group(m, x, -1);
    }
    m->rw->b->loc = ret->loc;
    np_build_ret(m->rw->b, f->nouts, f->out_name, ret->nargs, v);
}

np_fn *np_fuse_build(np_fuse *u)
{
    const np_fn *f = u->f;
    np_fn *now = np_fn_new(f->mod, f->name, f->stage);
    np_build *b = np_build_new(now);
    maker m = {.u = u, .rw = np_rewrite_new(b, f, NULL, NULL)};
    m.local = np_arena_array(&u->mem, 2 * (size_t)f->nnodes + 64, sizeof *m.local);
    now->loc = f->loc;
    for (int i = 0; i < f->top.nparams; i++) {
        const np_node *p = f->top.param[i];
        b->loc = p->loc;
        np_node *n = np_build_param(b, i < f->ninputs ? NP_IN : NP_STATE, p->name, p->type);
        n->axes = p->axes;
        np_rewrite_set(m.rw, p, n);
    }
    statements(&m, &f->top);
    results(&m);
    np_fn_sweep(now);
    return now;
}
