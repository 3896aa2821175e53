/* The part of reassoc that works before streaming, TENSOR to TENSOR; the rest, over each
 * entry, is reassoc_order.c.
 *
 * Over @main, before it is streamed, so that every entry has the state that follows: a
 * sum over earlier positions whose terms are products of a factor of t, a factor of j
 * and decays between them (attention without softmax, in its quadratic form) becomes a
 * scan with a state of constant size. What stays as it is gets a note that says why. */
#include "reassoc.h"

#include <string.h>

static void find_symbols(np_cx *cx, const np_dim **T, const np_dim **N)
{
    const np_dim **sym;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++) {
        if (sym[i]->role == NP_ROLE_TIME) *T = sym[i];
        if (sym[i]->role == NP_ROLE_PAST) *N = sym[i];
    }
}
static np_node *causal_rule(np_rw *rw, const np_node *old, np_node *const *arg)
{
    np_product *p = np_arena_alloc(&rw->b->fn->mem, sizeof *p);
    np_build *b = rw->b;
    if ((old->op != NP_CONTRACT && old->op != NP_REDUCE) || b->at != &b->fn->top) return NULL;
    p->b = b;
    find_symbols(b->cx, &p->T, &p->N);
    if (!p->T || !p->N) return NULL;
    p->all = np_dim_add(b->cx, p->N, p->T);
    np_node n = *old;
    n.arg = (np_node **)arg;
    np_node *r = NULL;
    if (np_product_of(p, &n)) {
        if (!p->causal) return NULL; /* every position serves every other */
        if (np_product_decays(p)) r = np_product_scan(p, &n);
    }
    if (!r && p->why)
        np_note(b->cx, old->loc, "a sum over earlier positions keeps them all: %s (line %d)", p->why,
                p->where.line);
    return r;
}
np_fn *np_reassoc_causal(const np_fn *main)
{
    return np_rewrite(main, causal_rule, NULL);
}
