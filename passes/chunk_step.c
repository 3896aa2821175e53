/* The part of a scan that stays step by step while another part of it is blocked:
 * a scan of its own over the states that need one another, with those values of
 * the body that depend on them and on no later state.
 *
 * It gives out what the rest of the body asks for. What other states ask for is
 * looked into: elementwise steps and broadcasts on the way, which the next states
 * of this scan do not need, are left to be computed for all steps at once, so that
 * a gate exp(m' - m) stays as small as the maximum that it is made from. */
#include "chunk.h"

#include <string.h>

typedef struct part {
    np_lift *l;
    const np_depend *d;
    uint32_t mask, done;
    np_node *scan; /* the new one */
    bool *placed;  /* by old id: copied into it */
    bool *needed;  /* by old id: the next states of the mask are made from it */
    bool *asked;   /* by old id: looked into for another state */
    bool *given;   /* by old id: leaves the scan */
    bool ok;
} part;

static bool belongs(const part *p, const np_node *n)
{
    uint32_t any = p->d->any[n->id];
    return (any & p->mask) && !(any & ~(p->done | p->mask));
}
static np_node *place(part *p, const np_node *n);
/* What bodies inside of n use of the old body. */
static void place_captured(part *p, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++)
            if (n->arg[i]->in == p->l->scan->body[0]) place(p, n->arg[i]);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) place_captured(p, n->body[i]);
    }
}
static np_node *outside(part *p, const np_node *n)
{
    np_build *b = p->l->rw->b;
    np_block *here = b->at;
    b->at = p->scan->in;
    np_node *whole = np_lift_get(p->l, n);
    b->at = here;
    if (!whole) p->ok = false;
    return whole;
}
static np_node *place(part *p, const np_node *n)
{
    np_rw *rw = p->l->rw;
    const np_block *body = p->l->scan->body[0];
    if (n->in != body || p->placed[n->id]) return np_rewrite_get(rw, n);
    np_node *now = NULL;
    if (n->op == NP_PARAM || ((p->d->any[n->id] & p->done) && !(p->d->any[n->id] & p->mask))) {
        now = outside(p, n);
        if (now && p->l->timed[n->id]) now = np_build_feed(rw->b, p->scan, now);
    } else {
        np_node **arg = np_arena_array(&rw->b->fn->mem, (size_t)n->nargs + 1, sizeof *arg);
        for (int i = 0; i < n->nargs && p->ok; i++) arg[i] = place(p, n->arg[i]);
        for (int i = 0; i < 2 && p->ok; i++)
            if (n->body[i]) place_captured(p, n->body[i]);
        if (p->ok) now = np_rewrite_copy(rw, n, arg);
    }
    if (!p->ok) return NULL;
    p->placed[n->id] = true;
    np_rewrite_set(rw, n, now);
    return now;
}
static void need(part *p, const np_node *n);
static void need_captured(part *p, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++) need(p, n->arg[i]);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) need_captured(p, n->body[i]);
    }
}
static void need(part *p, const np_node *n)
{
    if (n->in != p->l->scan->body[0] || p->needed[n->id]) return;
    p->needed[n->id] = true;
    for (int i = 0; i < n->nargs; i++) need(p, n->arg[i]);
    for (int i = 0; i < 2; i++)
        if (n->body[i]) need_captured(p, n->body[i]);
}
static bool is_here(const part *p, const np_node *n)
{
    return n->in == p->l->scan->body[0] && belongs(p, n);
}
/* Another state asks for n. */
static void hand_out(part *p, const np_node *n)
{
    if (!is_here(p, n) || p->asked[n->id]) return;
    p->asked[n->id] = true;
    if (p->needed[n->id] || !np_affine_peels(n)) {
        p->given[n->id] = true;
        return;
    }
    for (int i = 0; i < n->nargs; i++) hand_out(p, n->arg[i]);
}
static void find_given(part *p, int nouts)
{
    const np_block *body = p->l->scan->body[0];
    int nstates = body->last->nargs - nouts;
    for (int i = 0; i < nstates; i++)
        if (p->mask >> i & 1) need(p, body->last->arg[nouts + i]);
    for (const np_node *m = body->first; m; m = m->next) {
        if (m->op == NP_YIELD)
            for (int i = 0; i < nouts; i++) p->given[m->arg[i]->id] |= is_here(p, m->arg[i]);
        else if (p->l->rw->live[m->id] && !belongs(p, m))
            for (int i = 0; i < m->nargs; i++) hand_out(p, m->arg[i]);
    }
}

bool np_chunk_steps(np_lift *l, const np_depend *d, uint32_t mask, uint32_t done, np_node **final)
{
    np_rw *rw = l->rw;
    np_build *b = rw->b;
    const np_node *old = l->scan;
    const np_block *body = old->body[0];
    int seq = (int)old->attr[0]->k, n = old->nargs - seq, nouts = body->last->nargs - n, states = 0, k = 0;
    np_node **start = np_arena_array(&b->fn->mem, (size_t)n + 1, sizeof *start);
    part p = {.l = l, .d = d, .mask = mask, .done = done, .ok = true};
    bool **marks[] = {&p.placed, &p.needed, &p.asked, &p.given};
    for (size_t i = 0; i < NP_LEN(marks); i++)
        *marks[i] = np_arena_array(&b->fn->mem, rw->old->nnodes + 1, sizeof **marks[i]);
    find_given(&p, nouts);
    for (int i = 0; i < n; i++)
        if (mask >> i & 1) start[states++] = np_rewrite_get(rw, old->arg[seq + i]);
    p.scan = np_build_open(b, NP_SCAN, states, start,
                           &(np_extra){.attr = {np_dim_const(b->cx, 0), old->attr[1], old->attr[2]}});
    p.scan->name = old->name;
    for (int i = 0; i < n; i++) {
        if (!(mask >> i & 1)) continue;
        np_node *now = p.scan->body[0]->param[k++];
        if (body->param[seq + i]->name) now->name = body->param[seq + i]->name;
        np_rewrite_set(rw, body->param[seq + i], now);
        p.placed[body->param[seq + i]->id] = true;
    }
    size_t count = 0;
    for (const np_node *m = body->first; m; m = m->next) count++;
    np_node **yield = np_arena_array(&b->fn->mem, count + (size_t)n + 1, sizeof *yield);
    const np_node **given = np_arena_array(&b->fn->mem, count + (size_t)n + 1, sizeof *given);
    int ngiven = 0;
    for (int i = seq; i < body->nparams; i++)
        if (p.given[body->param[i]->id]) given[ngiven++] = body->param[i];
    for (const np_node *m = body->first; m; m = m->next)
        if (p.given[m->id]) given[ngiven++] = m;
    for (int i = 0; i < ngiven && p.ok; i++) yield[i] = place(&p, given[i]);
    k = ngiven;
    for (int i = 0; i < n && p.ok; i++)
        if (mask >> i & 1) yield[k++] = place(&p, body->last->arg[nouts + i]);
    if (!p.ok) {
        b->at = p.scan->in; /* left unfinished: nothing refers to it */
        return false;
    }
    np_node *now = np_build_close(b, p.scan, k, yield);
    for (int i = 0; i < ngiven; i++) np_lift_set(l, given[i], np_build_result(b, now, i));
    k = ngiven;
    for (int i = 0; i < n; i++)
        if (mask >> i & 1) final[i] = np_build_result(b, now, k++);
    return true;
}
