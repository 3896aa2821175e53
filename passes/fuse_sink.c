/* What stands around a scan goes into its body, so that it is computed for one
 * step while that is in cache, and not by passes of its own over all steps.
 * Takes whole-tensor ops before groups are formed; keeps the meaning.
 *
 *   x = f(a, b),  scan x ..         ->  scan a b ..  { .. f(a_t, b_t) .. }        before
 *   y = scan ..,  z = g(y, c)       ->  z = scan .. c  { .. g(y_t, c_t) .. }      after
 *
 * Before: elementwise code whose element at step t is read by step t alone, and
 * by nobody else. It must not be the epilogue of a sum (that is stored, whoever
 * computes it), and if it is dear its rows must be small (loops_early.c) or as
 * large as those of the scan's results, or tiles of the state would compute it
 * again and again.
 * After: elementwise code on outputs at their own step, if fewer tensors leave
 * the scan then; what waits for a sum of its own is that sum's epilogue. */
#include "fuse.h"
#include "fuse_peel.h"

#include <string.h>

enum { OUTS = 64 };
typedef struct plan { /* of one scan */
    const np_node *scan;
    int nouts, nexits;
    const np_node *exit[OUTS]; /* what leaves it instead of outputs that nobody else wants */
    bool dropped[OUTS];        /* those outputs */
    signed char *axis;         /* by id: the axis of time, where a value is cut */
    bool *inside;              /* by id: computed in the body now */
    np_node *now;
    int index[OUTS]; /* of the outputs that stay */
} plan;
typedef struct sink {
    const np_fn *f;
    np_arena mem;
    const np_fuse *u; /* costs */
    const bool *live;
    int *uses, *left; /* by id: all operands that mention it; those not yet found to be inside */
    plan **of;        /* by id of a scan */
    plan **gone;      /* by id: outputs and what follows them, now inside of that scan */
    bool any;
} sink;

static const np_block *block_of(const plan *p)
{
    return p->scan->in;
}
static bool is_dim_of(const np_node *x, int axis, const np_dim *n)
{
    return axis < x->type->rank && x->type->dim[axis] == n;
}
/* ---- after */
static int output_of(const plan *p, const np_node *x)
{
    if ((x->op == NP_PICK ? x->arg[0] : x) != p->scan || !np_fuse_is_output(x)) return -1;
    return x->op == NP_PICK ? (int)x->attr[0]->k : 0;
}
/* By id: what comes from the scan, in whatever way; all else can be had before it. */
static bool *dependents(sink *s, const plan *p)
{
    bool *from = np_arena_array(&s->mem, s->f->nnodes + 1, sizeof *from);
    from[p->scan->id] = true;
    for (const np_node *n = p->scan->next; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++) from[n->id] |= from[n->arg[i]->id];
        from[n->id] |= n->body[0] != NULL; /* bodies are not looked into */
    }
    return from;
}
static bool follows(sink *s, plan *p, const bool *from, const np_node *n)
{
    bool any = false, wider = n->op == NP_EXPAND && !np_dim_is(n->attr[0], 0);
    if ((!np_is_elem(n) && !wider) || s->gone[n->id]) return false;
    for (int i = 0; i < n->nargs; i++) {
        const np_node *x = n->arg[i];
        if (output_of(p, x) >= 0 || (p->inside[x->id] && from[x->id]))
            any = true;
        else if (from[x->id] || np_is_sum(x) || np_fuse_ends_sum(s->uses, x))
            return false;
    }
    return any && is_dim_of(n, 0, p->scan->attr[1]);
}
static int count_inside(sink *s, const plan *p, const np_node *x)
{
    int n = 0;
    for (const np_node *m = p->scan->next; m; m = m->next)
        for (int i = 0; i < m->nargs && s->live[m->id]; i++) n += m->arg[i] == x && p->inside[m->id];
    return n;
}
/* Has x no more elements than one of the outputs that nobody else wants? */
static bool is_no_larger(const sink *s, const plan *p, const np_node *x)
{
    np_cx *cx = s->f->cx;
    for (int i = 0; i < p->nouts; i++)
        if (p->dropped[i] &&
            np_dim_le(cx, np_type_count(cx, x->type), np_type_count(cx, np_result_type(p->scan, i))))
            return true;
    return false;
}
static void find_after(sink *s, plan *p)
{
    const bool *from = dependents(s, p);
    int dropped = 0;
    for (const np_node *n = p->scan->next; n; n = n->next)
        if (s->live[n->id] && follows(s, p, from, n)) p->inside[n->id] = true;
    for (const np_node *n = block_of(p)->last; n != p->scan;
         n = n->prev) /* nothing leaves that is only wider */
        if (p->inside[n->id] && n->op == NP_EXPAND && count_inside(s, p, n) != s->uses[n->id])
            p->inside[n->id] = false;
    for (const np_node *n = p->scan; n; n = n->next) {
        int i = output_of(p, n);
        if (i >= 0 && s->live[n->id] && count_inside(s, p, n) == s->uses[n->id])
            p->dropped[i] = true, dropped++;
        if (!p->inside[n->id] || count_inside(s, p, n) == s->uses[n->id]) continue;
        if (p->nexits < OUTS) p->exit[p->nexits] = n;
        p->nexits++;
    }
    bool fewer = p->nexits > 0 && p->nexits <= dropped && p->nouts + p->nexits <= OUTS;
    for (int i = 0; fewer && i < p->nexits; i++) fewer = is_no_larger(s, p, p->exit[i]);
    if (fewer) return;
    for (const np_node *n = p->scan->next; n; n = n->next) p->inside[n->id] = false;
    memset(p->dropped, 0, sizeof p->dropped);
    p->nexits = 0;
}

/* ---- before */
/* Does a step run over one tile of the state after the other? A map has none, nor has a body with scans of its own. */
static bool has_tiles(const np_node *scan)
{
    for (const np_node *n = scan->body[0]->first; n; n = n->next)
        if (n->body[0]) return false;
    return scan->nargs > scan->attr[0]->k;
}
/* At each step of a scan of any length: it is not worth a pass over all of them. The steps of a short one lie in cache,
 * side by side. */
static bool has_few_elements(const plan *p, const np_node *x)
{
    int64_t n, all = 1;
    if (np_dim_int(p->scan->attr[1], &n) && n > 1) return false;
    for (int k = 0; k < x->type->rank; k++) {
        if (x->type->dim[k] == p->scan->attr[1]) continue;
        if (!np_dim_int(x->type->dim[k], &n) || n > NP_EARLY_MOST || (all *= n) > NP_EARLY_MOST) return false;
    }
    return true;
}
/* May x be computed step by step, without being computed more often than now? It is cheap, or so small that it is
 * computed before the tiles of a block of steps run, or has all the elements that results have. */
static bool is_worth_it(const sink *s, const plan *p, const np_node *x)
{
    np_cx *cx = s->f->cx;
    if (s->u->cost[x->id] <= NP_FUSE_DEAR || !has_tiles(p->scan) || has_few_elements(p, x)) return true;
    for (int i = 0; i < p->nouts; i++)
        if (!np_dim_le(cx, np_type_count(cx, np_result_type(p->scan, i)), np_type_count(cx, x->type)))
            return false;
    return p->nouts > 0;
}
/* Is there something to compute in x, and not only values that move? */
static bool computes(const sink *s, const plan *p, const np_node *x)
{
    while (!np_is_elem(x)) {
        if (x->in != block_of(p) || s->uses[x->id] != 1 || x->nargs != 1 || np_is_sum(x) || x->body[0])
            return false;
        x = x->arg[0];
    }
    return x->in == block_of(p) && s->uses[x->id] == 1 && s->u->cost[x->id] > 0 && is_worth_it(s, p, x) &&
           !np_fuse_ends_sum(s->uses, x);
}
static bool can_go_in(const sink *s, const plan *p, const np_node *x)
{
    int axis = p->axis[x->id];
    if (axis < 0 || x->in != block_of(p) || np_is_leaf(x) || x->body[0] || s->left[x->id]) return false;
    if (s->gone[x->id]) return false; /* into a scan before this one */
    for (int i = 0; i < x->nargs; i++)
        if (np_peel_operand(x, i, axis) == NP_PEEL_FAIL) return false;
    if (!np_is_elem(x)) return x->nargs == 1 && !np_is_sum(x) && computes(s, p, x->arg[0]);
    if (np_fuse_ends_sum(s->uses, x)) return false;
    return is_worth_it(s, p, x);
}
static void want(sink *s, plan *p, const np_node *x, int axis)
{
    if (np_peel_uniform(x)) return;
    s->left[x->id]--;
    if (p->axis[x->id] == NP_PEEL_FAIL)
        p->axis[x->id] = (signed char)axis;
    else if (p->axis[x->id] != axis)
        s->left[x->id] = INT32_MAX / 2; /* read in two ways: stays outside */
}
static void want_operands(sink *s, plan *p, const np_node *n, int axis)
{
    for (int i = 0; i < n->nargs; i++) want(s, p, n->arg[i], np_peel_operand(n, i, axis));
}
static bool find_before(sink *s, plan *p)
{
    bool any = p->nexits > 0;
    int seq = (int)p->scan->attr[0]->k;
    memcpy(s->left, s->uses, (s->f->nnodes + 1) * sizeof *s->left);
    for (int i = 0; i < seq; i++) want(s, p, p->scan->arg[i], 0);
    for (const np_node *n = p->scan->next; n; n = n->next)
        for (int i = 0; i < n->nargs && p->inside[n->id]; i++)
            if (!p->inside[n->arg[i]->id] && output_of(p, n->arg[i]) < 0) want(s, p, n->arg[i], 0);
    for (const np_node *n = block_of(p)->last; n; n = n->prev) {
        if (p->axis[n->id] == NP_PEEL_FAIL || !can_go_in(s, p, n)) continue;
        p->inside[n->id] = any = true;
        want_operands(s, p, n, p->axis[n->id]);
    }
    return any;
}
static void look_at(void *env, const np_node *scan)
{
    sink *s = env;
    if (scan->op != NP_SCAN || !s->live[scan->id]) return;
    plan *p = np_arena_alloc(&s->mem, sizeof *p);
    *p = (plan){.scan = scan, .nouts = np_result_count(scan) - (scan->nargs - (int)scan->attr[0]->k)};
    if (p->nouts > OUTS) return;
    p->axis = np_arena_array(&s->mem, s->f->nnodes + 1, sizeof *p->axis);
    memset(p->axis, NP_PEEL_FAIL, s->f->nnodes + 1);
    p->inside = np_arena_array(&s->mem, s->f->nnodes + 1, sizeof *p->inside);
    find_after(s, p);
    if (!find_before(s, p)) return;
    s->of[scan->id] = p;
    s->any = true;
    for (const np_node *n = scan->next; n; n = n->next) {
        int i = output_of(p, n);
        if (i >= 0 || p->inside[n->id]) s->gone[n->id] = p;
    }
}

/* ---- the new scan */
static np_node *rebuild(np_rw *rw, sink *s, plan *p, np_node *const *arg)
{
    np_build *b = rw->b;
    const np_node *old = p->scan;
    const np_block *body = old->body[0];
    int seq = (int)old->attr[0]->k, nstates = old->nargs - seq, kept = 0, n = 0;
    np_node **now = np_arena_array(&s->mem, (size_t)old->nargs + 1, sizeof *now), *yield[2 * OUTS];
    np_peel peel = {.rw = rw, .inside = p->inside};
    peel.done = np_arena_array(&s->mem, s->f->nnodes + 1, sizeof *peel.done);
    for (int i = 0; i < seq; i++)
        if (!p->inside[old->arg[i]->id]) now[kept++] = arg[i];
    for (int i = seq; i < old->nargs; i++) now[kept + i - seq] = arg[i];
    np_extra x = {.attr = {np_dim_const(b->cx, kept), old->attr[1], old->attr[2]}};
    b->loc = old->loc;
    p->now = np_build_open(b, NP_SCAN, kept + nstates, now, &x);
    p->now->name = old->name;
    peel.scan = p->now;
    for (int i = 0; i < nstates; i++)
        np_rewrite_set(rw, body->param[seq + i], p->now->body[0]->param[kept + i]);
    for (int i = 0; i < seq; i++) {
        np_node *row_now = np_peel_step(&peel, old->arg[i], 0);
        if (!row_now->name) row_now->name = body->param[i]->name;
        np_rewrite_set(rw, body->param[i], row_now);
    }
    np_rewrite_block(rw, body);
    for (const np_node *e = old; e; e = e->next)
        if (output_of(p, e) >= 0) peel.done[e->id] = np_rewrite_get(rw, body->last->arg[output_of(p, e)]);
    for (int i = 0; i < p->nouts; i++) {
        p->index[i] = n;
        if (!p->dropped[i]) yield[n++] = np_rewrite_get(rw, body->last->arg[i]);
    }
    for (int i = 0; i < p->nexits; i++) yield[n++] = np_peel_step(&peel, p->exit[i], 0);
    for (int i = 0; i < nstates; i++) yield[n++] = np_rewrite_get(rw, body->last->arg[p->nouts + i]);
    return p->now = np_build_close(b, p->now, n, yield);
}
/* What was result i of the old scan. */
static np_node *result_now(np_rw *rw, const plan *p, int i, const np_type *type)
{
    int stay = 0;
    for (int k = 0; k < p->nouts; k++) stay += !p->dropped[k];
    if (i >= p->nouts) return np_build_result(rw->b, p->now, stay + p->nexits + i - p->nouts);
    if (!p->dropped[i]) return np_build_result(rw->b, p->now, p->index[i]);
    return np_build_num(rw->b, type, 0); /* nobody reads it any more */
}
static np_node *move(np_rw *rw, const np_node *old, np_node *const *arg)
{
    sink *s = rw->env;
    plan *p = old->op == NP_SCAN ? s->of[old->id] : old->op == NP_PICK ? s->of[old->arg[0]->id] : NULL;
    if (p && old->op == NP_SCAN) {
        np_node *now = rebuild(rw, s, p, arg);
        return old->type->tuple ? now : result_now(rw, p, 0, old->type);
    }
    if (p) return result_now(rw, p, (int)old->attr[0]->k, old->type);
    p = s->gone[old->id];
    if (!p) return NULL;
    int stay = 0;
    for (int i = 0; i < p->nouts; i++) stay += !p->dropped[i];
    for (int i = 0; i < p->nexits; i++)
        if (p->exit[i] == old) return np_build_result(rw->b, p->now, stay + i);
    return np_build_num(rw->b, old->type, 0);
}

np_fn *np_fuse_sink(const np_fuse *u)
{
    const np_fn *f = u->f;
    sink s = {.f = f, .u = u};
    s.live = np_find_live(f, &s.mem);
    s.uses = np_find_uses(f, &s.mem);
    s.left = np_arena_array(&s.mem, f->nnodes + 1, sizeof *s.left);
    s.of = np_arena_array(&s.mem, f->nnodes + 1, sizeof *s.of);
    s.gone = np_arena_array(&s.mem, f->nnodes + 1, sizeof *s.gone);
    np_fn_walk(f, look_at, &s);
    np_fn *now = s.any ? np_rewrite(f, move, &s) : NULL;
    np_arena_free(&s.mem);
    return now;
}
