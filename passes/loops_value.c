/* The code for one element. np_loops_value follows the index through whatever
 * is not in memory: elementwise ops are computed, ops that move values become
 * index arithmetic, pad, concat, window and gather become selects and clamps
 * (so that every load is inside its buffer whatever is selected), and what lies
 * in memory is loaded, once for each index. */
#include "loops.h"

#include <string.h>

typedef struct np_loaded {
    np_node *load;
    struct np_loaded *next;
} loaded;
typedef struct np_known { /* an element that was computed, at which index */
    int item;
    np_node *value;
    const np_ix *at[NP_RANK];
} known;

void np_loops_begin_item(np_lower *l)
{
    l->item = l->b->at;
    l->loaded = NULL;
    l->items++;
    l->nvars = 0;
}
static np_node *load_once(np_lower *l, np_node *buf, int n, np_node *const *at)
{
    for (loaded *p = l->loaded; p; p = p->next)
        if (p->load->arg[0] == buf && np_block_encloses(p->load->in, l->b->at) && (n == 0 || memcmp(p->load->arg + 1, at, (size_t)n * sizeof *at) == 0)) return p->load;
    np_block *here = l->b->at, *to = l->item;
    for (int i = 0; i < n; i++)
        if (np_block_depth(at[i]->in) > np_block_depth(to)) to = at[i]->in;
    l->b->at = to;
    loaded *p = np_arena_alloc(&l->mem, sizeof *p);
    *p = (loaded){np_build_load(l->b, buf, n, at), l->loaded};
    l->loaded = p;
    l->b->at = here;
    return p->load;
}
np_node *np_loops_read(np_lower *l, const np_spot *s, const np_ix *const *at)
{
    const np_ix *where[NP_RANK];
    np_node *i[NP_RANK];
    int n = np_loops_spot_at(l, s, at, where);
    for (int k = 0; k < n; k++) i[k] = np_loops_at(l, where[k]);
    return load_once(l, s->buf, n, i);
}
/* A buffer that stands at top: made once, shared by all groups. */
static np_node *at_top(np_lower *l, const np_node *x)
{
    np_block *here = l->b->at;
    l->b->at = &l->b->fn->top;
    np_node *n = x->op == NP_WEIGHT ? np_build_weight(l->b, x->sym) : np_build_list(l->b, x->type, x->data);
    if (!n->name) n->name = x->name;
    l->b->at = here;
    return n;
}

/* ---- ops whose operand's index is not always inside */
static np_node *clamp(np_lower *l, np_node *i, const np_dim *n)
{
    np_node *last = np_loops_op2(l, NP_SUB, np_loops_dim(l, n), np_loops_int(l, 1));
    return np_loops_op2(l, NP_MAX, np_loops_op2(l, NP_MIN, i, last), np_loops_int(l, 0));
}
static np_node *choose(np_lower *l, np_node *c, np_node *x, np_node *y)
{
    return np_loops_op(l, NP_SELECT, 3, (np_node *[]){c, x, y}, NULL);
}
/* x with axis k at the clamped index i. */
static np_node *clamped(np_lower *l, const np_node *x, const np_ix *const *at, int k, np_node *i)
{
    const np_ix *to[NP_RANK];
    memcpy(to, at, (size_t)x->type->rank * sizeof *to);
    to[k] = np_loops_ix_node(l, clamp(l, i, x->type->dim[k]), 0);
    return np_loops_value(l, x, to);
}
static np_node *pad(np_lower *l, const np_node *x, const np_ix *const *at)
{
    int k = (int)x->attr[0]->k;
    const np_node *in = x->arg[0];
    np_node *i = np_loops_op2(l, NP_SUB, np_loops_at(l, at[k]), np_loops_dim(l, x->attr[1]));
    np_node *c = np_loops_op2(l, NP_AND, np_loops_op2(l, NP_LE, np_loops_int(l, 0), i), np_loops_op2(l, NP_LT, i, np_loops_dim(l, in->type->dim[k])));
    return choose(l, c, clamped(l, in, at, k, i), np_loops_num(l, x->type->dtype, x->num));
}
static np_node *concat(np_lower *l, const np_node *x, const np_ix *const *at)
{
    int k = (int)x->attr[0]->k;
    np_node *i = np_loops_at(l, at[k]), *r = NULL;
    const np_dim *end = x->type->dim[k];
    for (int p = x->nargs - 1; p >= 0; p--) { /* last one innermost */
        const np_dim *start = np_dim_sub(l->cx, end, x->arg[p]->type->dim[k]);
        np_node *v = clamped(l, x->arg[p], at, k, np_loops_op2(l, NP_SUB, i, np_loops_dim(l, start)));
        r = r ? choose(l, np_loops_op2(l, NP_LT, i, np_loops_dim(l, end)), v, r) : v;
        end = start;
    }
    return r;
}
static np_node *append(np_lower *l, const np_node *x, const np_ix *const *at)
{
    int k = (int)x->attr[0]->k;
    np_node *i = np_loops_at(l, at[k]), *n = np_loops_dim(l, x->attr[1]);
    np_node *v = clamped(l, x->arg[0], at, k, np_loops_op2(l, NP_SUB, i, n));
    return x->nargs == 1 ? v : choose(l, np_loops_op2(l, NP_LT, i, n), clamped(l, x->arg[1], at, k, i), v);
}
static np_node *window(np_lower *l, const np_node *x, const np_ix *const *at)
{
    int k = (int)x->attr[0]->k;
    int64_t back = x->attr[1]->k - 1;
    np_node *t = np_loops_op2(l, NP_ADD, np_loops_at(l, at[k]), np_loops_at(l, at[x->type->rank - 1]));
    np_node *i = np_loops_op2(l, NP_SUB, t, np_loops_int(l, back));
    np_node *before = x->nargs > 1 ? clamped(l, x->arg[1], at, k, t) : np_loops_num(l, x->type->dtype, 0);
    return choose(l, np_loops_op2(l, NP_LT, i, np_loops_int(l, 0)), before, clamped(l, x->arg[0], at, k, i));
}
static np_node *gather(np_lower *l, const np_node *x, const np_ix *const *at)
{
    const np_node *table = x->arg[0], *index = x->arg[1];
    int batch = (int)x->attr[0]->k, n = index->type->rank;
    const np_ix *to[NP_RANK];
    np_node *i = np_loops_cast(l, np_loops_value(l, index, at), NP_I64);
    for (int k = 0; k < batch; k++) to[k] = at[k];
    to[batch] = np_loops_ix_node(l, clamp(l, i, table->type->dim[batch]), 0);
    for (int k = batch + 1; k < table->type->rank; k++) to[k] = at[n + k - batch - 1];
    return np_loops_value(l, table, to);
}

static np_node *elementwise(np_lower *l, const np_node *x, const np_ix *const *at)
{
    np_node *arg[3];
    size_t bytes = (size_t)x->type->rank * sizeof *at;
    known *k = l->known[x->id];
    if (k && k->item == l->items && np_block_encloses(k->value->in, l->b->at) && (bytes == 0 || memcmp(k->at, at, bytes) == 0)) return k->value;
    for (int i = 0; i < x->nargs; i++) arg[i] = np_loops_value(l, x->arg[i], at);
    l->b->loc = x->loc;
    np_node *r = np_loops_op(l, x->op, x->nargs, arg, &(np_extra){.sym = x->sym});
    if (!r->name) r->name = x->name;
    if (!k) k = l->known[x->id] = np_arena_alloc(&l->mem, sizeof *k);
    k->item = l->items;
    k->value = r;
    if (bytes) memcpy(k->at, at, bytes);
    return r;
}
/* A parameter of a body: the slice of what is fed at the running step. */
static np_node *fed(np_lower *l, const np_node *x, const np_ix *const *at)
{
    const np_node *scan = x->in->owner;
    const np_ix *to[NP_RANK];
    int i = 0;
    while (scan->body[0]->param[i] != x) i++;
    to[0] = np_loops_ix_node(l, l->time[scan->id], 0);
    if (x->type->rank) memcpy(to + 1, at, (size_t)x->type->rank * sizeof *to); /* a scalar has no indices */
    return np_loops_value(l, scan->arg[i], to);
}

np_node *np_loops_value(np_lower *l, const np_node *x, const np_ix *const *at)
{
    const np_ix *to[NP_RANK];
    const np_node *child;
    const np_spot *s;
    for (int i = 0; i < l->ndone; i++)
        if (l->done[i].x == x) return l->done[i].value;
    while (!(s = np_loops_find(l, x)) && np_loops_step(l, x, at, &child, to)) x = child, at = to;
    if (x == l->sure) { /* what it takes where it is not zero */
        const np_node *other = x->arg[2];
        while (other->op == NP_EXPAND || other->op == NP_PERMUTE) other = other->arg[0];
        return np_loops_value(l, x->arg[other->op == NP_CONST && !other->data && other->num == 0 ? 1 : 2], at);
    }
    if (s) return np_loops_read(l, s, at);
    if (np_op_info(x->op)->cls == NP_ELEM) return elementwise(l, x, at);
    switch (x->op) {
    case NP_CONST:
        if (!x->data) return np_loops_num(l, x->type->dtype, x->num);
        return np_loops_read(l, &(np_spot){.buf = at_top(l, x)}, at);
    case NP_WEIGHT: return np_loops_read(l, &(np_spot){.buf = at_top(l, x)}, at);
    case NP_IOTA: return np_loops_cast(l, np_loops_at(l, at[0]), NP_I32);
    case NP_SIZE: return np_loops_op(l, NP_SIZE, 0, NULL, &(np_extra){.attr = {x->attr[0]}});
    case NP_PARAM: return fed(l, x, at);
    case NP_PAD: return pad(l, x, at);
    case NP_CONCAT: return concat(l, x, at);
    case NP_APPEND: return append(l, x, at);
    case NP_WINDOW: return window(l, x, at);
    case NP_GATHER: return gather(l, x, at);
    case NP_CONTRACT:
    case NP_REDUCE: return np_loops_sum(l, x, at);
    default: np_bug(l->cx, "%s has no place in memory when it is used", np_op_info(x->op)->text);
    }
}
