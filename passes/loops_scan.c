/* Bodies that run again or not at all: scan and cond.
 *
 * A scan is a loop over time. Its stacked results have one row a step, so the
 * body's outputs are stored there directly. The state lies in one buffer; what
 * the body yields as the next state is written in place where an element of it
 * needs only the same element of the old one and nobody wants the old one any
 * more; else it is computed beside it and copied at the end of the step. */
#include "loops.h"

#include <string.h>

static void copy(np_lower *l, const np_node *like, const np_spot *from, const np_spot *to)
{
    const np_ix *at[NP_RANK];
    np_node *loop[NP_RANK];
    int rank = like->type->rank;
    np_loops_begin_item(l);
    for (int k = 0; k < rank; k++) {
        int v = np_loops_var(l, like->type->dim[k]);
        loop[k] = np_loops_open(l, v);
        at[k] = np_loops_ix(l, v);
    }
    np_loops_put(l, to, np_loops_read(l, from, at), at);
    for (int k = rank - 1; k >= 0; k--) np_loops_close(l, loop[k]);
}

/* A yield of a body into its place: results of groups in it were stored there already. */
static void yield_to(np_lower *l, const np_node *y, const np_spot *to)
{
    const np_spot *s = np_loops_find(l, y);
    if (!(s && np_loops_same_spot(s, to))) np_loops_item(l, y, to);
}
/* ---- may the next state overwrite the old one? */
static bool mentions(const np_node *n, const np_node *x)
{
    for (int i = 0; i < n->nargs; i++)
        if (n->arg[i] == x) return true;
    for (int i = 0; i < 2; i++)
        for (const np_node *m = n->body[i] ? n->body[i]->first : NULL; m; m = m->next)
            if (mentions(m, x)) return true;
    return false;
}
static bool in_place(np_lower *l, const np_block *body, const np_node *y, const np_node *state);
/* The next state comes from a cond: each side must leave it alone or overwrite it. */
static bool either_in_place(np_lower *l, const np_node *y, const np_node *state)
{
    int i = y->op == NP_PICK ? (int)y->attr[0]->k : 0;
    const np_node *cond = y->op == NP_PICK ? y->arg[0] : y;
    if (cond->op != NP_COND || np_loops_slot(l, cond, i)->buf) return false;
    for (int side = 0; side < 2; side++) {
        const np_block *b = cond->body[side];
        const np_node *z = b->last->arg[i];
        if (z != state && !in_place(l, b, z, state)) return false;
    }
    return true;
}
static bool in_place(np_lower *l, const np_block *body, const np_node *y, const np_node *state)
{
    int k = y->op == NP_PICK ? (int)y->attr[0]->k : 0; /* which result */
    if (y->op == NP_PICK) y = y->arg[0];
    if (y->op != NP_GROUP || y->in != body) return false;
    for (const np_node *n = y->next; n; n = n->next)
        if (mentions(n, state)) return false;
    const np_block *b = y->body[0];
    if (!np_loops_slot(l, y, k)->buf && either_in_place(l, b->last->arg[k], state)) return true;
    if (b->last->nargs != 1 || !np_is_elem(b->last->arg[0]) || np_loops_slot(l, y, 0)->buf) return false;
    bool *from =
        np_arena_array(&l->mem, l->old->nnodes + 1, sizeof *from); /* by id: made from the old state */
    from[state->id] = true;
    for (const np_node *n = b->first; n->op != NP_YIELD; n = n->next) {
        for (int i = 0; i < n->nargs; i++) from[n->id] |= from[n->arg[i]->id];
        if ((from[n->id] || n->body[0]) && !np_is_elem(n)) return false;
    }
    return true;
}

void np_loops_scan(np_lower *l, const np_node *scan)
{
    if (np_loops_time(l, scan)) return;
    const np_block *body = scan->body[0];
    int seq = (int)scan->attr[0]->k, nstates = scan->nargs - seq, nouts = body->last->nargs - nstates;
    np_spot *next = np_arena_array(&l->mem, (size_t)nstates + 1, sizeof *next);
    for (int i = 0; i < nstates; i++) { /* the buffer of the result is the state */
        np_spot *state = np_loops_slot(l, scan, nouts + i);
        const np_spot *init = np_loops_find(l, scan->arg[seq + i]);
        if (!init || init->buf != state->buf) np_loops_item(l, scan->arg[seq + i], state);
        *np_loops_slot(l, body->param[seq + i], 0) = *state;
        const np_node *y = body->last->arg[nouts + i];
        if (in_place(l, body, y, body->param[seq + i]))
            *(y->op == NP_PICK ? np_loops_slot(l, y->arg[0], (int)y->attr[0]->k) : np_loops_slot(l, y, 0)) =
                *state;
    }
    np_loops_begin_item(l);
    int v = np_loops_var(l, scan->attr[1]);
    np_node *loop = np_loops_open(l, v), *t = l->var[v].at;
    if (np_dim_is(scan->attr[2], 1)) {
        np_node *last = np_loops_dim(l, np_dim_sub(l->cx, scan->attr[1], np_dim_const(l->cx, 1)));
        t = np_loops_op2(l, NP_SUB, last, t);
    }
    l->time[scan->id] = t;
    np_spot *out = np_arena_array(&l->mem, (size_t)nouts + 1, sizeof *out);
    for (int i = 0; i < nouts; i++) {
        out[i] = np_loops_row(l, np_loops_slot(l, scan, i), t);
        np_loops_aim(l, body, body->last->arg[i], &out[i]);
    }
    np_loops_block(l, body);
    for (int i = 0; i < nouts; i++) yield_to(l, body->last->arg[i], &out[i]);
    for (int i = 0; i < nstates; i++) { /* all are known before the first is overwritten */
        const np_node *y = body->last->arg[nouts + i];
        const np_spot *s = np_loops_find(l, y);
        next[i] = *np_loops_slot(l, scan, nouts + i);
        if (y == body->param[seq + i] || (s && s->buf == next[i].buf)) continue;
        if (s && y->op != NP_PARAM) {
            next[i] = *s;
            continue;
        }
        next[i] = np_loops_alloc(l, y->type, y->name);
        np_loops_item(l, y, &next[i]);
    }
    for (int i = 0; i < nstates; i++) {
        const np_spot *to = np_loops_slot(l, scan, nouts + i);
        if (next[i].buf != to->buf) copy(l, body->last->arg[nouts + i], &next[i], to);
    }
    np_loops_close(l, loop);
}

void np_loops_cond(np_lower *l, const np_node *cond)
{
    np_loops_begin_item(l);
    np_node *c = np_loops_value(l, cond->arg[0], NULL);
    np_node *n = np_build_open(l->b, NP_COND, 1, &c, NULL);
    for (int side = 0; side < 2; side++) {
        const np_block *body = cond->body[side];
        if (side) np_build_else(l->b, n, 0, NULL);
        for (int i = 0; i < body->last->nargs; i++)
            np_loops_aim(l, body, body->last->arg[i], np_loops_slot(l, cond, i));
        np_loops_block(l, body);
        for (int i = 0; i < body->last->nargs; i++)
            yield_to(l, body->last->arg[i], np_loops_slot(l, cond, i));
    }
    np_build_close(l->b, n, 0, NULL);
}
