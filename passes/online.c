/* online: TENSOR to TENSOR. Takes sums over keys that are weighted by something
 * of their scores, softmax or not; gives maps over heads and blocks of queries
 * around scans over blocks of keys. Keeps every result, up to rounding, and the
 * order of additions depends on sizes only.
 *
 * With m the largest s_j, sum_j exp(s_j - m) v_j is computed with the largest
 * so far: exp(s - m') = exp(s - m) exp(m - m') corrects what was summed before.
 * Whatever is the same for all keys goes out of the sum; at the end the factor
 * exp(m - top) makes the sum what it is with the top that the model subtracts
 * (a sink may have raised it; where no key counts, m - m is NaN as it was).
 *
 * Scores are never stored, and a block in which a predicate over positions
 * holds nowhere is not computed: causal masks, windows, prefixes, documents and
 * tables of blocks are one rule (online_mask.c). A key that is masked has weight
 * 0; in a skipped block its value is not read at all, so a NaN there, which
 * 0 * NaN would have let through, no longer reaches the result. */
#include "online.h"

#include <string.h>

enum {
    KEYS = 64,    /* of a block */
    QUERIES = 64, /* of a block: lanes run through them */
    FEW = 128,    /* so many keys are summed at once as ever */
    ROWS = 32,    /* fewer queries, as a step has, are too little to share a block of keys */
    SHORT = 32    /* queries of a block where a call has no more than QUERIES */
};
typedef struct pass {
    const np_fn *f;
    const np_knobs *k;
    np_arena mem;
    np_build *b;
    np_rw *rw;
    int nregions;
    np_region **region;
    np_region **of; /* by id of a root */
    bool *inside;   /* by id: computed in blocks, so not copied unless somebody asks */
} pass;

/* ---- is it worth it? */
static int64_t most(const np_dim *d)
{
    int64_t lo, hi;
    np_dim_range(d, &lo, &hi);
    return hi;
}
static bool is_constant(const np_dim *d)
{
    int64_t k;
    return np_dim_int(d, &k);
}
static bool has_room(const np_region *r)
{
    for (int i = 0; i < r->nparts; i++)
        if (r->part[i].kind == NP_PART_LEAF && r->part[i].n->type->rank + 2 > NP_RANK) return false;
    return true;
}
/* Are blocks of queries worth their rows that nobody reads? Where the size decides, the code asks (r->spare). */
static bool well_filled(np_region *r, const np_dim *queries, const np_knobs *k)
{
    if (k->block || most(queries) > r->nq) {
        r->spare = k->spare;
        return true;
    }
    int spare = k->lanes > SHORT ? 10 : 5; /* measured */
    int64_t n;
    r->nq = SHORT;
    if (np_dim_int(queries, &n)) return 4 * r->nq * ((n + r->nq - 1) / r->nq) <= spare * n;
    r->spare = spare;
    return 4 * r->nq <= spare * most(queries);
}
/* Sizes of blocks. False: too little for blocks. */
static bool choose(np_region *r, const np_knobs *k)
{
    r->nk = k->block ? k->block : KEYS;
    r->nq = k->block ? k->block : QUERIES;
    if (most(r->dim[r->keys]) <= (k->block ? k->block : FEW) || !has_room(r)) return false;
    int queries = -1;
    for (int id = 0; id < r->rank; id++) { /* the longest axis is cut; those that vary are long */
        if (id == r->keys || r->batch[id]) continue;
        bool longer = queries < 0 || (is_constant(r->dim[id]) == is_constant(r->dim[queries])
                                          ? most(r->dim[id]) > most(r->dim[queries])
                                          : !is_constant(r->dim[id]));
        if (longer) queries = id;
    }
    if (queries < 0 || (is_constant(r->dim[queries]) && most(r->dim[queries]) < ROWS))
        return false; /* a step */
    if (!well_filled(r, r->dim[queries], k)) return false;
    r->queries = queries; /* all other rows are done one after the other */
    for (int id = 0; id < r->rank; id++)
        r->batch[id] |= id != r->keys && id != queries && !np_dim_is(r->dim[id], 1);
    return true;
}

/* ---- notes */
static void say(const np_region *r, const np_node *n)
{
    np_mask m;
    np_text skip = {0};
    np_online_masks(r, &m);
    for (int i = 0; i < m.n; i++) {
        const np_node *c = r->part[m.part[i]].n;
        while (c->op == NP_EXPAND || c->op == NP_PERMUTE) c = c->arg[0];
        np_text_add(&skip, "%s%s of line %d", i ? ", " : "", np_op_info(c->op)->text, c->loc.line);
    }
    const char *all = np_dim_str(r->cx, r->dim[r->keys]);
    np_text rows = {0};
    if (r->queries >= 0) np_text_add(&rows, "%d queries", r->nq);
    np_note(r->cx, n->loc, "sum over %s keys in @%s: blocks of %d keys%s%s, %s%s", all, r->f->name, r->nk,
            rows.s ? " by " : "", rows.s ? rows.s : "",
            m.n ? "skipped where masked and without the mask where open: " : "none skipped: no mask",
            skip.s ? skip.s : "");
    np_text_free(&skip);
    np_text_free(&rows);
}
static void say_why_not(const np_region *r, const np_node *n)
{
    np_note(r->cx, n->loc, "sum over %s keys in @%s: all at once, since %s of line %d %s",
            np_dim_str(r->cx, r->dim[r->keys]), r->f->name,
            r->why->name ? r->why->name : np_op_info(r->why->op)->text, r->why->loc.line, r->reason);
}

/* ---- finding */
static void find_regions(pass *p)
{
    const np_fn *f = p->f;
    p->inside = np_arena_array(&p->mem, f->nnodes + 1, sizeof *p->inside);
    const int *uses = np_find_uses(f, &p->mem);
    np_region r;
    p->region = np_arena_array(&p->mem, f->nnodes + 1, sizeof *p->region);
    p->of = np_arena_array(&p->mem, f->nnodes + 1, sizeof *p->of);
    for (const np_node *n = f->top.first; n; n = n->next) {
        if (n->op != NP_CONTRACT || p->of[n->id]) continue;
        if (!np_online_find(&r, f, n, uses)) {
            if (r.reason && choose(&r, p->k)) say_why_not(&r, n);
            continue;
        }
        if (!choose(&r, p->k)) continue;
        np_region *own = p->region[p->nregions++] = np_arena_copy(&p->mem, &r, sizeof r);
        for (int i = 0; i < r.nroots; i++) p->of[r.root[i].n->id] = own;
        for (int i = 0; i < r.nparts; i++) p->inside[r.part[i].n->id] |= r.part[i].scored;
        say(own, n);
    }
}

/* ---- the new function: what a region needs is copied before it, wherever it stood */
static np_node *need(pass *p, const np_node *n);
static void need_body(pass *p, const np_node *n)
{
    for (int i = 0; i < n->nargs; i++)
        if (n->arg[i]->in == &p->f->top) need(p, n->arg[i]);
    for (int i = 0; i < 2; i++)
        for (const np_node *m = n->body[i] ? n->body[i]->first : NULL; m; m = m->next) need_body(p, m);
}
static np_node *need_leaf(void *env, const np_node *n)
{
    return need(env, n);
}
/* What was taken out of the sum comes back. */
static np_node *finish(pass *p, np_region *r, np_root *root)
{
    np_build *b = p->b;
    np_node *x = root->raw;
    int id[NP_RANK];
    np_online_ids(r, root, id);
    b->loc = root->n->loc;
    if (r->part[root->part].bulk) {
        np_node *top = need(p, r->top);
        b->loc = root->n->loc;
        top = np_online_spread(b, top, r->top_id, r->most->type, r->most_id);
        np_node *by = np_build_1(b, NP_EXP, np_build_2(b, NP_SUB, r->most, top));
        by = np_build_cast(b, by, x->type->dtype);
        x = np_build_2(b, NP_MUL, x, np_online_spread(b, by, r->most_id, x->type, id));
    }
    for (int i = 0; i < root->nfactors; i++) {
        np_node *y = need(p, root->factor[i].n);
        b->loc = root->n->loc;
        x = np_build_2(b, root->factor[i].op, x, np_online_spread(b, y, root->factor[i].id, x->type, id));
    }
    return x;
}
static np_node *need(pass *p, const np_node *n)
{
    np_node *now = p->rw->map[n->id];
    np_region *r = p->of[n->id];
    if (now) return now;
    if (!r) {
        need_body(p, n);
        return np_rewrite_node(p->rw, n);
    }
    if (!r->built) {
        p->b->loc = n->loc;
        np_online_build(r, p->b, need_leaf, p);
    }
    for (int i = 0; i < r->nroots; i++)
        if (r->root[i].n == n) now = finish(p, r, &r->root[i]);
    if (!now->name) now->name = n->name;
    np_rewrite_set(p->rw, n, now);
    return now;
}

np_fn *np_online_run(const np_fn *f, const np_knobs *k)
{
    pass p = {.f = f, .k = k};
    find_regions(&p);
    if (p.nregions == 0) {
        np_arena_free(&p.mem);
        return np_fn_copy(f);
    }
    np_fn *now = np_fn_new(f->mod, f->name, f->stage);
    p.b = np_build_new(now);
    p.rw = np_rewrite_new(p.b, f, NULL, NULL);
    now->loc = f->loc;
    for (int i = 0; i < f->top.nparams; i++) {
        const np_node *x = f->top.param[i];
        p.b->loc = x->loc;
        np_node *y = np_build_param(p.b, i < f->ninputs ? NP_IN : NP_STATE, x->name, x->type);
        y->axes = x->axes;
        np_rewrite_set(p.rw, x, y);
    }
    const np_node *ret = f->top.last;
    np_node **v = np_arena_array(&p.mem, (size_t)ret->nargs + 1, sizeof *v);
    for (const np_node *n = f->top.first; n != ret; n = n->next)
        if (p.rw->live[n->id] && !p.inside[n->id]) need(&p, n);
    for (int i = 0; i < ret->nargs; i++) v[i] = need(&p, ret->arg[i]);
    p.b->loc = ret->loc;
    np_build_ret(p.b, f->nouts, f->out_name, ret->nargs, v);
    np_fn_sweep(now);
    np_arena_free(&p.mem);
    return now;
}
