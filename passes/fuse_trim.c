/* What scans make for nobody: outputs that nothing reads, states that serve nothing
 * but themselves, and what is fed to both. Takes a function; gives it without
 * them. Keeps every other result.
 *
 * A result of a scan is wanted if a pick of it is. An output wants what its body
 * yields; a state wants its start and what is yielded as the next one, and is
 * wanted, too, where its parameter is; a parameter that is fed wants the operand.
 * So a state that only its own next value reads is wanted by nobody. */
#include "fuse.h"

#include <string.h>

typedef struct trim {
    const np_fn *f;
    np_arena mem;
    bool *live;    /* by id */
    bool **result; /* by id of a scan: which results are wanted */
    const np_node **list;
    int n;
    int **index; /* by id of a scan that was rewritten: where its results are now, -1: gone */
    bool any;
} trim;

static int nouts(const np_node *scan)
{
    return np_result_count(scan) - (scan->nargs - (int)scan->attr[0]->k);
}

/* ---- what is wanted */
static void want(trim *t, const np_node *x)
{
    if (t->live[x->id]) return;
    t->live[x->id] = true;
    t->list[t->n++] = x;
}
static void want_result(trim *t, const np_node *scan, int i)
{
    if (!t->result[scan->id])
        t->result[scan->id] = np_arena_array(&t->mem, (size_t)np_result_count(scan) + 1, sizeof **t->result);
    if (t->result[scan->id][i]) return;
    t->result[scan->id][i] = true;
    want(t, scan);
    want(t, scan->body[0]->last->arg[i]);
    if (i >= nouts(scan)) want(t, scan->arg[(int)scan->attr[0]->k + i - nouts(scan)]);
}
static void want_param(trim *t, const np_node *x)
{
    const np_node *scan = x->in->owner;
    int i = 0, seq = scan ? (int)scan->attr[0]->k : 0;
    if (!scan) return;
    while (scan->body[0]->param[i] != x) i++;
    if (i < seq)
        want(t, scan->arg[i]);
    else
        want_result(t, scan, nouts(scan) + i - seq);
}
static void want_operands(trim *t, const np_node *n)
{
    if (n->op == NP_PARAM)
        want_param(t, n);
    else if (n->op == NP_PICK && n->arg[0]->op == NP_SCAN)
        want_result(t, n->arg[0], (int)n->attr[0]->k);
    else if (n->op == NP_SCAN)
        for (int i = 0; i < np_result_count(n) && !n->type->tuple; i++) want_result(t, n, i);
    else
        for (int i = 0; i < n->nargs; i++) want(t, n->arg[i]);
    for (int i = 0; i < 2 && n->op != NP_SCAN; i++)
        if (n->body[i]) want(t, n->body[i]->last);
}

/* ---- without the rest */
static bool keeps_all(const trim *t, const np_node *scan)
{
    const bool *r = t->result[scan->id];
    for (int i = 0; i < np_result_count(scan); i++)
        if (!r || !r[i]) return false;
    for (int i = 0; i < (int)scan->attr[0]->k; i++)
        if (!t->live[scan->body[0]->param[i]->id]) return false;
    return true;
}
static void look(void *env, const np_node *n)
{
    trim *t = env;
    t->any |= n->op == NP_SCAN && t->live[n->id] && !keeps_all(t, n);
}
static np_node *rebuild(np_rw *rw, trim *t, const np_node *old, np_node *const *arg)
{
    np_build *b = rw->b;
    const np_block *body = old->body[0];
    const bool *wanted = t->result[old->id];
    int seq = (int)old->attr[0]->k, outs = nouts(old), nargs = 0, kept = 0, n = 0;
    np_node **now = np_arena_array(&t->mem, (size_t)old->nargs + 1, sizeof *now),
            **yield = np_arena_array(&t->mem, (size_t)np_result_count(old) + 1, sizeof *yield);
    bool *stays = np_arena_array(&t->mem, (size_t)old->nargs + 1, sizeof *stays);
    for (int i = 0; i < old->nargs; i++) {
        stays[i] = i < seq ? t->live[body->param[i]->id] : wanted[outs + i - seq];
        if (stays[i]) now[nargs++] = arg[i];
        kept += stays[i] && i < seq;
    }
    b->loc = old->loc;
    np_node *scan = np_build_open(
        b, NP_SCAN, nargs, now, &(np_extra){.attr = {np_dim_const(b->cx, kept), old->attr[1], old->attr[2]}});
    scan->name = old->name;
    for (int i = 0, k = 0; i < old->nargs; i++) {
        const np_node *p = body->param[i];
        np_node *to = stays[i] ? scan->body[0]->param[k++] : np_build_num(b, p->type, 0); /* read by nobody */
        if (stays[i] && p->name) to->name = p->name;
        if (stays[i]) to->axes = p->axes;
        np_rewrite_set(rw, p, to);
    }
    np_rewrite_block(rw, body);
    int *index = t->index[old->id] = np_arena_array(&t->mem, (size_t)np_result_count(old) + 1, sizeof *index);
    for (int i = 0; i < np_result_count(old); i++) {
        index[i] = wanted[i] ? n : -1;
        if (wanted[i]) yield[n++] = np_rewrite_get(rw, body->last->arg[i]);
    }
    return np_build_close(b, scan, n, yield);
}
static np_node *without(np_rw *rw, const np_node *old, np_node *const *arg)
{
    trim *t = rw->env;
    if (old->op == NP_PICK && t->index[old->arg[0]->id]) {
        int i = t->index[old->arg[0]->id][old->attr[0]->k];
        return i < 0 ? np_build_num(rw->b, old->type, 0) : np_build_result(rw->b, arg[0], i);
    }
    if (old->op != NP_SCAN || keeps_all(t, old)) return NULL;
    if (!t->live[old->id]) return np_rewrite_copy(rw, old, arg);
    return rebuild(rw, t, old, arg);
}

np_fn *np_fuse_trim(const np_fn *f)
{
    trim t = {.f = f};
    t.live = np_arena_array(&t.mem, f->nnodes + 1, sizeof *t.live);
    t.result = np_arena_array(&t.mem, f->nnodes + 1, sizeof *t.result);
    t.index = np_arena_array(&t.mem, f->nnodes + 1, sizeof *t.index);
    t.list = np_arena_array(&t.mem, f->nnodes + 1, sizeof *t.list);
    want(&t, f->top.last);
    while (t.n) want_operands(&t, t.list[--t.n]);
    np_fn_walk(f, look, &t);
    np_fn *now = t.any ? np_rewrite(f, without, &t) : NULL;
    np_arena_free(&t.mem);
    return now;
}
