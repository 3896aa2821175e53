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
/* The next way through the sums of products, counted like a number whose last digit is the last choice made. */
static bool next_choice(int *choice, int made)
{
    while (made > 0 && *choice >> (made - 1) & 1) made--;
    if (made == 0) return false;
    *choice = (*choice & ((1 << (made - 1)) - 1)) | 1 << (made - 1);
    return true;
}
typedef struct sum { /* one sum over positions: its products are list[from .. to) */
    const np_node *old;
    int from, to;
    np_str why; /* it has none */
    np_loc where;
} sum;
typedef struct rule_env {
    const np_dim *T, *N;
    np_node **done; /* by old id: sums that were made together with one before them */
} rule_env;

/* Adds the products of a sum. False: it stays as it is. */
static bool collect(np_rw *rw, const np_node *old, np_node *const *arg, np_product **list, sum *s)
{
    const rule_env *e = rw->env;
    np_build *b = rw->b;
    np_node n = *old;
    int choice = 0;
    n.arg = (np_node **)arg;
    s->old = old;
    for (bool more = true; more; s->to++) {
        np_product *p = np_arena_alloc(&b->fn->mem, sizeof *p);
        *p = (np_product){
            .b = b, .T = e->T, .N = e->N, .all = np_dim_add(b->cx, e->N, e->T), .choice = choice};
        bool good = s->to < NP_PRODUCTS || np_product_refuse(p, old->loc, "it is a sum of too many products");
        good = good && np_product_of(p, &n) && p->causal; /* unmasked: every position serves every other */
        good = good && np_product_decays(p) && np_product_ready(p, &n);
        s->why = p->why, s->where = p->where;
        if (!good) return false;
        list[s->to] = p;
        more = next_choice(&choice, p->nchoices);
    }
    return true;
}
static bool may_sum(const np_node *n)
{
    return n->op == NP_CONTRACT || n->op == NP_REDUCE;
}
/* Another sum of something that `old` sums, of which all is known: the normaliser of scores. */
static bool is_mate(const np_rw *rw, const np_node *n, const np_node *old)
{
    bool shares = false;
    if (!may_sum(n) || !rw->live[n->id]) return false;
    for (int i = 0; i < n->nargs; i++) {
        if (!rw->map[n->arg[i]->id]) return false;
        for (int k = 0; k < old->nargs; k++) shares |= n->arg[i] == old->arg[k];
    }
    return shares;
}
static int find_mates(np_rw *rw, np_product **list, sum *sums)
{
    int n = 1;
    for (const np_node *m = sums[0].old->next; m && n < NP_PRODUCTS; m = m->next) {
        np_node *arg[2];
        if (!is_mate(rw, m, sums[0].old)) continue;
        for (int i = 0; i < m->nargs; i++) arg[i] = np_rewrite_get(rw, m->arg[i]);
        sums[n] = (sum){.from = sums[n - 1].to, .to = sums[n - 1].to};
        if (collect(rw, m, arg, list, &sums[n])) n++; /* else it gets its note in its turn */
    }
    return n;
}
static np_node *added(np_rw *rw, np_product *const *list, const sum *s)
{
    np_node *r = NULL;
    for (int i = s->from; i < s->to; i++) {
        np_node *v = np_product_result(list[i]);
        r = r ? np_build_2(rw->b, NP_ADD, r, v) : v;
        np_note(rw->b->cx, s->old->loc, "%s", list[i]->said);
    }
    return r;
}
static np_node *causal_rule(np_rw *rw, const np_node *old, np_node *const *arg)
{
    rule_env *e = rw->env;
    np_product *list[NP_PRODUCTS];
    sum sums[NP_PRODUCTS] = {{0}};
    if (!may_sum(old) || rw->b->at != &rw->b->fn->top) return NULL;
    if (e->done[old->id]) return e->done[old->id];
    if (!collect(rw, old, arg, list, &sums[0])) {
        if (sums[0].why)
            np_note(rw->b->cx, old->loc, "a sum over earlier positions keeps them all: %s (line %d)",
                    sums[0].why, sums[0].where.line);
        return NULL;
    }
    int n = find_mates(rw, list, sums);
    np_product_scan(sums[n - 1].to, list);
    for (int i = 0; i < n; i++) e->done[sums[i].old->id] = added(rw, list, &sums[i]);
    return e->done[old->id];
}
np_fn *np_reassoc_causal(const np_fn *main)
{
    rule_env e = {0};
    np_arena mem = {0};
    find_symbols(main->cx, &e.T, &e.N);
    if (!e.T || !e.N) return np_fn_copy(main);
    e.done = np_arena_array(&mem, main->nnodes + 1, sizeof(np_node *));
    np_fn *r = np_rewrite(main, causal_rule, &e);
    np_arena_free(&mem);
    return r;
}
