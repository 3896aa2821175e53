/* The part of reassoc that works before streaming, TENSOR to TENSOR; the rest, over each
 * entry, is reassoc_order.c.
 *
 * Over @main, before it is streamed, so that every entry has the state that follows: a
 * sum over earlier positions whose terms are products of a factor of t, a factor of j
 * and decays between them (attention without softmax, in its quadratic form) becomes a
 * scan with a state of constant size. What stays as it is gets a note that says why. */
#include "reassoc.h"

#include <string.h>

enum { MOST = 8 }; /* products of one sum */

static void find_symbols(np_cx *cx, const np_dim **T, const np_dim **N)
{
    const np_dim **sym;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++) {
        if (sym[i]->role == NP_ROLE_TIME) *T = sym[i];
        if (sym[i]->role == NP_ROLE_PAST) *N = sym[i];
    }
}
/* The next way through the sums of products, counted like a number whose last digit is the last choice made. */
static bool next_choice(int *choice, int made)
{
    while (made > 0 && *choice >> (made - 1) & 1) made--;
    if (made == 0) return false;
    *choice = (*choice & ((1 << (made - 1)) - 1)) | 1 << (made - 1);
    return true;
}
typedef struct found { /* what became of the products of one sum */
    np_node *sum;
    int n;
    np_str said[MOST], why;
    np_loc where;
} found;

static bool one_product(np_build *b, const np_node *n, const np_dim *T, const np_dim *N, int *choice,
                        bool *more, found *r)
{
    np_product *p = np_arena_alloc(&b->fn->mem, sizeof *p);
    *p = (np_product){.b = b, .T = T, .N = N, .all = np_dim_add(b->cx, N, T), .choice = *choice};
    bool good =
        np_product_of(p, n) && p->causal && np_product_decays(p); /* unmasked: each serves every other */
    np_node *v = good ? np_product_scan(p, n) : NULL;
    r->why = p->why, r->where = p->where;
    if (!v) return false;
    r->sum = r->sum ? np_build_2(b, NP_ADD, r->sum, v) : v;
    r->said[r->n++] = p->said;
    *more = next_choice(choice, p->nchoices);
    return true;
}
static np_node *causal_rule(np_rw *rw, const np_node *old, np_node *const *arg)
{
    np_build *b = rw->b;
    const np_dim *T = NULL, *N = NULL;
    found r = {0};
    int choice = 0;
    bool good = true, more = true;
    if ((old->op != NP_CONTRACT && old->op != NP_REDUCE) || b->at != &b->fn->top) return NULL;
    find_symbols(b->cx, &T, &N);
    if (!T || !N) return NULL;
    np_node n = *old;
    n.arg = (np_node **)arg;
    while (good && more && r.n < MOST) good = one_product(b, &n, T, N, &choice, &more, &r);
    if (good && more) good = false, r.why = "it is a sum of too many products", r.where = old->loc;
    for (int i = 0; good && i < r.n; i++) np_note(b->cx, old->loc, "%s", r.said[i]);
    if (!good && r.why)
        np_note(b->cx, old->loc, "a sum over earlier positions keeps them all: %s (line %d)", r.why,
                r.where.line);
    return good ? r.sum : NULL;
}
np_fn *np_reassoc_causal(const np_fn *main)
{
    return np_rewrite(main, causal_rule, NULL);
}
