/* loops: TENSOR to LOOP. Takes a function in which fuse has put everything into
 * groups; gives one in which every group is loops over scalars, loads and
 * stores. Keeps the groups and their order.
 *
 * Results of groups get buffers at top: the parameter of the output or of the
 * state where they are one, else an alloc. A state that grows along time has
 * the capacity of its longest form, and new rows are written behind the old. */
#include "loops.h"

#include <string.h>

/* ---- where results lie */
np_spot *np_loops_slot(np_lower *l, const np_node *n, int i)
{
    if (!n->type->tuple) return &l->slot[n->id];
    if (!l->more[n->id]) l->more[n->id] = np_arena_array(&l->mem, (size_t)n->type->width + 1, sizeof(np_spot));
    return &l->more[n->id][i];
}
const np_spot *np_loops_find(np_lower *l, const np_node *n)
{
    if (n->type->tuple) return NULL;
    const np_spot *s = &l->slot[n->id]; /* a pick has one of its own where a tile keeps a part of it */
    if (!s->buf && n->op == NP_PICK) s = np_loops_slot(l, n->arg[0], (int)n->attr[0]->k);
    return s->buf ? s : NULL;
}
np_spot np_loops_alloc(np_lower *l, const np_type *t, np_str name)
{
    np_block *here = l->b->at;
    l->b->at = &l->b->fn->top;
    np_spot s = {.buf = np_build_alloc(l->b, name, t)};
    l->b->at = here;
    return s;
}

/* ---- blocks */
static bool makes(const np_node *n)
{
    return n->op == NP_GROUP || n->op == NP_SCAN || n->op == NP_COND;
}
static void give_memory(np_lower *l, const np_node *n)
{
    for (int i = 0; i < np_result_count(n); i++) {
        np_spot *s = np_loops_slot(l, n, i);
        if (!s->buf) *s = np_loops_alloc(l, np_result_type(n, i), n->name);
    }
}
/* Is what lies at s read by nobody but the yield y? Where not all of it is there, nobody else may. */
static bool may_lie(np_lower *l, const np_spot *s, const np_node *made, int i)
{
    return !np_loops_spot_ends(s) || np_find_result_uses(l->old, made, i) == 1;
}
void np_loops_aim(np_lower *l, const np_block *b, const np_node *y, const np_spot *to)
{
    const np_node *n = y->op == NP_PICK ? y->arg[0] : y;
    int i = y->op == NP_PICK ? (int)y->attr[0]->k : 0;
    if (!makes(n) || n->in != b || !may_lie(l, to, n, i)) return;
    np_spot *s = np_loops_slot(l, n, i);
    if (!s->buf) *s = *to;
}
/* Result i of a group: what makes it in its body, or makes what is only moved on the way, stores it there. */
static void aim_at_result(np_lower *l, const np_node *g, int i)
{
    const np_node *result = g->body[0]->last->arg[i], *y = result;
    np_spot to = *np_loops_slot(l, g, i);
    while (np_loops_spot_before(l, &to, y, &to)) y = y->arg[0];
    np_loops_aim(l, g->body[0], y, &to);
    const np_spot *s = np_loops_find(l, y);
    if (y != result && s && np_loops_same_spot(s, &to)) l->slot[result->id] = *np_loops_slot(l, g, i);
}
static void group_body(np_lower *l, const np_node *g)
{
    const np_block *b = g->body[0];
    for (int i = 0; i < b->last->nargs; i++) aim_at_result(l, g, i);
    if (!np_loops_rows(l, g)) np_loops_block(l, b);
    for (int i = 0; i < b->last->nargs; i++) {
        const np_spot *from = np_loops_find(l, b->last->arg[i]), *to = np_loops_slot(l, g, i);
        if (!from || from->buf != to->buf) np_loops_item(l, b->last->arg[i], to);
    }
}
void np_loops_block(np_lower *l, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        if (!makes(n)) continue;
        give_memory(l, n);
        l->b->loc = n->loc;
        if (n->op == NP_SCAN) np_loops_scan(l, n);
        else if (n->op == NP_COND) np_loops_cond(l, n);
        else group_body(l, n);
    }
}
static void top_group(np_lower *l, const np_node *g)
{
    give_memory(l, g);
    l->b->loc = g->loc;
    np_node *n = np_build_open(l->b, NP_GROUP, 0, NULL, &(np_extra){.sym = g->sym});
    n->name = g->name;
    l->group = n->body[0];
    group_body(l, g);
    np_build_close(l->b, n, 0, NULL);
}

/* ---- the function's own buffers */
/* The axis along which state i grows from call to call, or -1. */
static int grows(const np_fn *f, int i)
{
    const np_type *was = f->top.param[f->ninputs + i]->type, *now = f->top.last->arg[f->nouts + i]->type;
    for (int k = 0; k < was->rank && k < now->rank; k++)
        if (was->dim[k] != now->dim[k]) return k;
    return -1;
}
/* Rows for `past` positions and those of the longest call, in every entry alike: @step and @prefill share the state. */
static const np_dim *capacity(np_cx *cx, const np_dim *past)
{
    const np_dim **sym;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++)
        if (sym[i]->role == NP_ROLE_TIME) return np_dim_add(cx, past, sym[i]);
    return np_dim_add(cx, past, np_dim_const(cx, 1));
}
static void make_params(np_lower *l)
{
    const np_fn *f = l->old;
    np_fn *now = l->b->fn;
    now->grow = np_arena_array(&now->mem, (size_t)f->nstates + 1, sizeof *now->grow);
    for (int i = 0; i < f->ninputs + f->nstates; i++) {
        const np_node *p = f->top.param[i];
        const np_type *t = p->type;
        int state = i - f->ninputs;
        if (state >= 0 && (now->grow[state] = grows(f, state)) >= 0) {
            int k = now->grow[state];
            int64_t lo, hi;
            np_dim_range(capacity(l->cx, t->dim[k]), &lo, &hi);
            t = np_type_set(l->cx, t, k, np_dim_const(l->cx, hi));
        }
        l->b->loc = p->loc;
        np_node *n = np_build_param(l->b, state < 0 ? NP_IN : NP_STATE, p->name, t);
        n->axes = p->axes;
        l->slot[p->id] = (np_spot){.buf = n};
    }
    for (int i = 0; i < f->nouts; i++) np_build_param(l->b, NP_OUT, f->out_name[i], f->out_type[i]);
}
static np_spot *result_of(np_lower *l, const np_node *y)
{
    const np_node *n = y->op == NP_PICK ? y->arg[0] : y;
    return n->op == NP_GROUP ? np_loops_slot(l, n, y->op == NP_PICK ? (int)y->attr[0]->k : 0) : NULL;
}
bool np_loops_continues(const np_node *x, const np_node *p, const int *uses)
{
    for (int depth = 0; depth < 8; depth++) {
        const np_node *n = x->op == NP_PICK ? x->arg[0] : x;
        if (n->op != NP_GROUP) break;
        x = n->body[0]->last->arg[x->op == NP_PICK ? x->attr[0]->k : 0];
    }
    const np_node *scan = x->op == NP_PICK ? x->arg[0] : x;
    if (scan->op != NP_SCAN) return x->op == NP_APPEND && x->nargs == 2 && x->arg[1] == p;
    int nstates = scan->nargs - (int)scan->attr[0]->k, result = x->op == NP_PICK ? (int)x->attr[0]->k : 0;
    int i = result - (np_result_count(scan) - nstates); /* which of the states */
    return i >= 0 && scan->arg[scan->nargs - nstates + i] == p && uses[p->id] == 1;
}
static void aim_results(np_lower *l)
{
    const np_fn *f = l->old;
    int *uses = np_find_uses(f, &l->mem);
    for (int i = 0; i < f->nouts + f->nstates; i++) {
        np_spot *s = result_of(l, f->top.last->arg[i]);
        if (!s || s->buf) continue;
        int state = f->ninputs + i - f->nouts;
        if (i < f->nouts) s->buf = l->b->fn->top.param[f->ninputs + f->nstates + i];
        else if (np_loops_continues(f->top.last->arg[i], f->top.param[state], uses)) s->buf = l->b->fn->top.param[state];
    }
}
/* Results that are not where they belong yet. */
static void copy_results(np_lower *l)
{
    const np_fn *f = l->old;
    for (int i = 0; i < f->nouts + f->nstates; i++) {
        const np_node *y = f->top.last->arg[i];
        int param = i < f->nouts ? f->ninputs + f->nstates + i : f->ninputs + i - f->nouts;
        np_spot to = {.buf = l->b->fn->top.param[param]};
        const np_spot *from = np_loops_find(l, y);
        if (from && from->buf == to.buf) continue;
        np_node *g = np_build_open(l->b, NP_GROUP, 0, NULL, &(np_extra){.sym = np_str_fmt(l->cx, "keep.%s", to.buf->name ? to.buf->name : "result")});
        l->group = g->body[0];
        np_loops_item(l, y, &to);
        np_build_close(l->b, g, 0, NULL);
    }
}

np_fn *np_loops_run(const np_fn *f, const np_knobs *k)
{
    np_fn *now = np_fn_new(f->mod, f->name, NP_STAGE_LOOP);
    np_lower l = {.cx = f->cx, .old = f, .b = np_build_new(now), .k = k};
    now->loc = f->loc;
    l.slot = np_arena_array(&l.mem, f->nnodes + 1, sizeof *l.slot);
    l.more = np_arena_array(&l.mem, f->nnodes + 1, sizeof *l.more);
    l.known = np_arena_array(&l.mem, f->nnodes + 1, sizeof *l.known);
    l.time = np_arena_array(&l.mem, f->nnodes + 1, sizeof *l.time);
    make_params(&l);
    aim_results(&l);
    for (const np_node *n = f->top.first; n; n = n->next)
        if (n->op == NP_GROUP) top_group(&l, n);
    copy_results(&l);
    np_build_ret(l.b, 0, NULL, 0, NULL);
    np_arena_free(&l.mem);
    np_fn_sweep(now);
    return now;
}
