/* chunk_abreast: a scan over chunks as three, so that most of its work has no
 * order (two levels):
 *
 *   1. a map over all chunks: what needs no state. Sums of what is written, scores,
 *      decays of a whole chunk.
 *   2. a scan over them: the states at the start of each chunk, and what they are
 *      made from.
 *   3. a map again: what needs the states, and no later state needs.
 *
 * It takes scans whose state enters late (chunk_block.c writes them so) and knows
 * nothing of what they compute. What a later part wants of an earlier one is given
 * out for all chunks; what costs nothing (moves, numbers of positions) is made
 * again where it is wanted. The scan that is split runs over the chunks of one
 * segment, so what is given out has a constant size. */
#include "chunk.h"

#include <string.h>

enum { FIRST, MIDDLE, LAST, PARTS };
typedef struct part { /* one of the three */
    np_node *scan;    /* NULL: nothing is in it */
    np_node **now;    /* by old id: its value in the body */
    np_node **result; /* by old id: the values of all indices, for those that are given out */
    bool *given;      /* by old id */
} part;
typedef struct split {
    np_rw *rw;
    const np_node *scan;
    np_depend dep;
    bool *needed; /* by old id: a next state is made from it */
    part part[PARTS];
    int seq, nstates, nouts;
} split;
typedef struct splitter {
    np_arena mem;
    np_node *const *scan;
    int n;
    struct halves { /* a scan that was split, and its results */
        const np_node *scan;
        np_node **result;
        struct halves *next;
    } *list;
} splitter;

static bool inside(const split *s, const np_node *n)
{
    return n->in == s->scan->body[0];
}
static int part_of(const split *s, const np_node *n)
{
    if (n->op == NP_PICK && inside(s, n->arg[0])) n = n->arg[0];
    return !s->dep.any[n->id] ? FIRST : s->needed[n->id] ? MIDDLE : LAST;
}
/* Is it made again where it is wanted, rather than kept for all chunks? */
static bool is_cheap(const np_node *n)
{
    if (n->body[0] || n->type->tuple) return false;
    if (np_is_leaf(n) || n->op == NP_EXPAND || n->op == NP_PERMUTE) return true;
    return np_is_elem(n) && np_dtype_class(n->type->dtype) != 'F';
}
typedef void (*visitor)(split *s, const np_node *n, int where);
/* What n is made from, of the values of the body. */
static void each_operand(split *s, const np_node *n, int where, visitor f)
{
    for (int i = 0; i < n->nargs; i++)
        if (inside(s, n->arg[i])) f(s, n->arg[i], where);
    for (int i = 0; i < 2; i++)
        for (const np_node *m = n->body[i] ? n->body[i]->first : NULL; m; m = m->next)
            each_operand(s, m, where, f);
}
static void need(split *s, const np_node *n, int where)
{
    if (s->needed[n->id]) return;
    s->needed[n->id] = true;
    each_operand(s, n, where, need);
}
/* A part wants n. */
static void want(split *s, const np_node *n, int where)
{
    int from = part_of(s, n);
    if (from == where || (n->op == NP_PARAM && from == FIRST)) return; /* an index is fed to any */
    if (from == FIRST && is_cheap(n))
        each_operand(s, n, where, want);
    else
        s->part[from].given[n->id] = true;
}
static void find_given(split *s)
{
    const np_block *body = s->scan->body[0];
    for (int i = 0; i < s->nstates; i++) {
        const np_node *next = body->last->arg[s->nouts + i];
        if (inside(s, next)) need(s, next, MIDDLE);
    }
    for (const np_node *n = body->first; n; n = n->next)
        if (n->op != NP_YIELD && s->rw->live[n->id] && part_of(s, n) != FIRST)
            each_operand(s, n, part_of(s, n), want);
    for (int i = 0; i < s->nouts + s->nstates; i++) {
        const np_node *y = body->last->arg[i];
        if (!inside(s, y)) continue;
        if (i < s->nouts)
            s->part[part_of(s, y)].given[y->id] = true;
        else
            want(s, y, MIDDLE);
    }
}

/* ---- writing */
static np_node *place(split *s, const np_node *n, int where);
static void place_captured(split *s, const np_block *b, int where)
{
    for (const np_node *n = b->first; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++)
            if (inside(s, n->arg[i])) np_rewrite_set(s->rw, n->arg[i], place(s, n->arg[i], where));
        for (int i = 0; i < 2; i++)
            if (n->body[i]) place_captured(s, n->body[i], where);
    }
}
/* The value of n in the body of a part. */
static np_node *place(split *s, const np_node *n, int where)
{
    np_rw *rw = s->rw;
    part *p = &s->part[where];
    if (!inside(s, n)) return np_rewrite_get(rw, n);
    if (p->now[n->id]) return p->now[n->id];
    int from = part_of(s, n);
    np_node *now = NULL;
    if (n->op == NP_PARAM && from == FIRST) {
        for (int i = 0; i < s->seq; i++)
            if (s->scan->body[0]->param[i] == n)
                now = np_build_feed(rw->b, p->scan, np_rewrite_get(rw, s->scan->arg[i]));
    } else if (from < where && s->part[from].result[n->id]) {
        now = np_build_feed(rw->b, p->scan, s->part[from].result[n->id]);
    } else {
        np_node **arg = np_arena_array(&rw->b->fn->mem, (size_t)n->nargs + 1, sizeof *arg);
        for (int i = 0; i < n->nargs; i++) arg[i] = place(s, n->arg[i], where);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) place_captured(s, n->body[i], where);
        rw->b->loc = n->loc;
        now = np_rewrite_copy(rw, n, arg);
        if (!now->name) now->name = n->name;
    }
    return p->now[n->id] = now;
}
/* Writes a part; the last states in `last`. */
static void write_part(split *s, int where, np_node **last)
{
    np_rw *rw = s->rw;
    np_build *b = rw->b;
    const np_block *body = s->scan->body[0];
    part *p = &s->part[where];
    int n = where == MIDDLE ? s->nstates : 0, k = 0;
    size_t count = (size_t)(body->nparams + n) + 1;
    for (const np_node *m = body->first; m; m = m->next) count++;
    np_node **state = np_arena_array(&b->fn->mem, (size_t)n + 1, sizeof *state);
    np_node **yield = np_arena_array(&b->fn->mem, count, sizeof *yield);
    const np_node **given = np_arena_array(&b->fn->mem, count, sizeof *given);
    for (int i = 0; i < body->nparams; i++)
        if (p->given[body->param[i]->id]) given[k++] = body->param[i];
    for (const np_node *m = body->first; m; m = m->next)
        if (p->given[m->id]) given[k++] = m;
    if (k + n == 0) return;
    for (int i = 0; i < n; i++) state[i] = np_rewrite_get(rw, s->scan->arg[s->seq + i]);
    p->scan =
        np_build_open(b, NP_SCAN, n, state,
                      &(np_extra){.attr = {np_dim_const(b->cx, 0), s->scan->attr[1], s->scan->attr[2]}});
    for (int i = 0; i < n; i++) {
        np_node *now = p->scan->body[0]->param[i];
        now->name = body->param[s->seq + i]->name;
        p->now[body->param[s->seq + i]->id] = now;
    }
    for (int i = 0; i < k; i++) yield[i] = place(s, given[i], where);
    for (int i = 0; i < n; i++) yield[k + i] = place(s, body->last->arg[s->nouts + i], where);
    np_node *now = np_build_close(b, p->scan, k + n, yield);
    for (int i = 0; i < k; i++) p->result[given[i]->id] = np_build_result(b, now, i);
    for (int i = 0; i < n; i++) last[i] = np_build_result(b, now, k + i);
}
static np_node **in_parts(splitter *c, np_rw *rw, const np_node *scan)
{
    const np_block *body = scan->body[0];
    split s = {.rw = rw, .scan = scan, .seq = (int)scan->attr[0]->k};
    s.nstates = scan->nargs - s.seq;
    s.nouts = body->last->nargs - s.nstates;
    np_affine_depend(rw->old, scan, -1, &s.dep, &c->mem);
    s.needed = np_arena_array(&c->mem, rw->old->nnodes + 1, sizeof *s.needed);
    for (int p = 0; p < PARTS; p++) {
        s.part[p].now = np_arena_array(&c->mem, rw->old->nnodes + 1, sizeof *s.part[p].now);
        s.part[p].result = np_arena_array(&c->mem, rw->old->nnodes + 1, sizeof *s.part[p].result);
        s.part[p].given = np_arena_array(&c->mem, rw->old->nnodes + 1, sizeof *s.part[p].given);
    }
    np_node **result = np_arena_array(&c->mem, (size_t)(s.nouts + s.nstates), sizeof *result);
    find_given(&s);
    for (int p = 0; p < PARTS; p++) write_part(&s, p, result + s.nouts);
    for (int i = 0; i < s.nouts; i++) {
        const np_node *y = body->last->arg[i];
        result[i] = inside(&s, y) ? s.part[part_of(&s, y)].result[y->id]
                                  : np_build_expand(rw->b, np_rewrite_get(rw, y), 0, scan->attr[1]);
    }
    return result;
}
static np_node *rule(np_rw *rw, const np_node *n, np_node *const *arg)
{
    splitter *c = rw->env;
    (void)arg;
    if (n->op == NP_PICK)
        for (struct halves *h = c->list; h; h = h->next)
            if (h->scan == n->arg[0]) return h->result[(int)n->attr[0]->k];
    for (int i = 0; i < c->n; i++) {
        if (c->scan[i] != n) continue;
        struct halves *h = np_arena_alloc(&c->mem, sizeof *h);
        *h = (struct halves){n, in_parts(c, rw, n), c->list};
        return (c->list = h)->result[0];
    }
    return NULL;
}
np_fn *np_chunk_abreast(const np_fn *f, np_node *const *scan, int n)
{
    splitter c = {.scan = scan, .n = n};
    np_fn *now = np_rewrite(f, rule, &c);
    np_arena_free(&c.mem);
    return now;
}
