/* What a fused function moves through memory. Every group at top is one pass: it
 * reads what its body uses from outside, as far as the body needs it, and writes
 * what it yields. Takes a function after fuse; gives bytes as sizes (np_dim), so
 * that they say how they grow with T.
 *
 * How much of a value is needed flows from the yields up: an elementwise op needs
 * as many elements of an operand as are wanted of it, a slice or a lookup only
 * those that it gives, a sum all of them. What several uses need is added up, and
 * is never more than all there is. Groups inside the body of a scan work on what
 * the step before left in cache; they are rows of their own that count for the
 * total of nothing. The least that any code would move is every input, weight
 * and state as far as it is needed, every output and every next state, once. */
#include "fuse.h"

#include <string.h>

typedef struct find {
    np_cx *cx;
    const np_fn *f;
    np_arena *mem;
    const np_dim **need; /* by id, of the group that is looked at: elements; NULL: none */
    const np_node **leaf;
    int nleaves;
    const np_dim **least; /* by id: what the whole function needs of a parameter */
    np_traffic *out;
} find;

static const np_dim *count(find *s, const np_type *t)
{
    return np_type_count(s->cx, t);
}
static const np_dim *bytes(find *s, const np_dim *n, np_dtype d)
{
    return np_dim_mul(s->cx, n, np_dim_const(s->cx, np_dtype_size(d)));
}
static const np_dim *least(find *s, const np_dim *a, const np_dim *b)
{
    return np_dim_le(s->cx, a, b) ? a : np_dim_le(s->cx, b, a) ? b : np_dim_min(s->cx, a, b);
}
static void add_to(find *s, const np_dim **sum, const np_dim *d)
{
    *sum = np_dim_add(s->cx, *sum, d);
}

/* ---- what a body needs */
static bool in_memory(const np_node *x)
{
    return x->op != NP_IOTA && x->op != NP_SIZE && (x->op != NP_CONST || x->data);
}
static void want(find *s, const np_block *group, const np_node *x, const np_dim *n)
{
    if (x->type->tuple) return; /* its parts are wanted */
    const np_dim **have = &s->need[x->id], *all = count(s, x->type);
    const np_node *from = x->op == NP_PICK ? x->arg[0] : x;
    bool outside = !np_block_encloses(group, from->in) || (np_is_leaf(x) && x->op != NP_PARAM);
    if (!*have && outside && in_memory(x)) s->leaf[s->nleaves++] = x;
    *have = least(s, all, *have ? np_dim_add(s->cx, *have, n) : n);
}
static void block_needs(find *s, const np_block *group, const np_block *b);
static void operands_need(find *s, const np_block *group, const np_node *n)
{
    const np_dim *d = s->need[n->id];
    for (int i = 0; i < n->nargs; i++) {
        const np_node *x = n->arg[i];
        const np_dim *all = x->type->tuple ? NULL : count(s, x->type);
        switch (n->op) {
        case NP_CONTRACT:
        case NP_SCAN:
        case NP_COND:
        case NP_YIELD: want(s, group, x, all); break;
        case NP_REDUCE: want(s, group, x, np_dim_mul(s->cx, d, x->type->dim[n->attr[0]->k])); break;
        case NP_GATHER: want(s, group, x, i == 0 ? d : all); break;
        case NP_PICK: break;
        default: want(s, group, x, d);
        }
    }
}
static bool is_needed(find *s, const np_node *n)
{
    return s->need[n->id] || n->op == NP_SCAN || n->op == NP_COND || n->op == NP_GROUP || n->op == NP_YIELD;
}
static void block_needs(find *s, const np_block *group, const np_block *b)
{
    for (const np_node *n = b->last; n; n = n->prev) {
        if (!is_needed(s, n)) continue;
        for (int i = 0; i < 2; i++)
            if (n->body[i]) block_needs(s, group, n->body[i]);
        operands_need(s, group, n);
    }
}

/* ---- rows */
static np_traffic_row *new_row(find *s, const np_node *g, int depth, const np_dim *times)
{
    np_traffic *o = s->out;
    o->row = np_arena_more(s->mem, o->row, o->n, sizeof *o->row);
    const np_dim *zero = np_dim_const(s->cx, 0);
    o->row[o->n] = (np_traffic_row){.group = g, .name = g ? g->sym : NULL, .depth = depth, .times = times, .read = zero, .write = zero};
    return &o->row[o->n++];
}
/* x through the groups that yield it, to the op that makes it and which of its results it is. */
static const np_node *made_by(const np_node *x, int *result)
{
    for (;;) {
        const np_node *n = x->op == NP_PICK ? x->arg[0] : x;
        *result = x->op == NP_PICK ? (int)x->attr[0]->k : 0;
        if (n->op != NP_GROUP) return n;
        x = n->body[0]->last->arg[*result];
    }
}
/* The append that makes x by adding rows to a state, which stays where it is. */
static const np_node *grown(const np_node *x)
{
    int result;
    const np_node *n = made_by(x, &result);
    return n->op == NP_APPEND && n->nargs > 1 && n->arg[1]->op == NP_PARAM ? n : NULL;
}
static const np_dim *stored(find *s, const np_node *y)
{
    return count(s, grown(y) ? grown(y)->arg[0]->type : y->type);
}
static void count_leaf(find *s, np_traffic_row *r, const np_node *x)
{
    const np_dim *n = s->need[x->id];
    const np_node *p = grown(x) ? grown(x)->arg[1] : x;
    if (p->op == NP_PARAM && !p->in->outer && r->depth == 0) {
        const np_dim **l = &s->least[p->id];
        *l = least(s, count(s, p->type), *l ? np_dim_add(s->cx, *l, n) : n);
    }
    r->reads[r->nreads++] = (np_traffic_read){x, bytes(s, n, x->type->dtype)};
    add_to(s, &r->read, bytes(s, n, x->type->dtype));
}
/* A weight that several groups of one pass name is read once. */
static void same_weights(find *s)
{
    for (int i = 0; i < s->nleaves; i++)
        for (int k = 0; k < i && s->leaf[i]->op == NP_WEIGHT; k++) {
            const np_dim **a = &s->need[s->leaf[k]->id], **b = &s->need[s->leaf[i]->id];
            if (s->leaf[k]->op != NP_WEIGHT || strcmp(s->leaf[i]->sym, s->leaf[k]->sym) != 0) continue;
            if (np_dim_le(s->cx, *a, *b)) *a = *b;
            *b = np_dim_const(s->cx, 0);
            break;
        }
}
static void rows_in(find *s, const np_block *b, int depth, const np_dim *times);
static void row_of(find *s, const np_node *g, int depth, const np_dim *times)
{
    const np_node *yield = g->body[0]->last;
    np_traffic_row *r = new_row(s, g, depth, times);
    memset(s->need, 0, (s->f->nnodes + 1) * sizeof *s->need);
    s->nleaves = 0;
    block_needs(s, g->body[0], g->body[0]);
    same_weights(s);
    for (int i = 0; i < yield->nargs; i++) /* what grows is not read for that */
        if (grown(yield->arg[i])) s->need[grown(yield->arg[i])->arg[1]->id] = np_dim_const(s->cx, 0);
    r->reads = np_arena_array(s->mem, (size_t)s->nleaves + 1, sizeof *r->reads);
    for (int i = 0; i < s->nleaves; i++)
        if (!np_dim_is(s->need[s->leaf[i]->id], 0)) count_leaf(s, r, s->leaf[i]);
    for (int i = 0; i < yield->nargs; i++)
        add_to(s, &r->write, bytes(s, stored(s, yield->arg[i]), yield->arg[i]->type->dtype));
    if (depth == 0) {
        add_to(s, &s->out->read, r->read);
        add_to(s, &s->out->write, r->write);
    }
    rows_in(s, g->body[0], depth + 1, times);
}
static void rows_in(find *s, const np_block *b, int depth, const np_dim *times)
{
    for (const np_node *n = b->first; n; n = n->next) {
        const np_dim *again = n->op == NP_SCAN ? np_dim_mul(s->cx, times, n->attr[1]) : times;
        if (n->op == NP_GROUP)
            row_of(s, n, depth, times);
        else
            for (int i = 0; i < 2; i++)
                if (n->body[i]) rows_in(s, n->body[i], depth, again);
    }
}

/* Results that no group stores where they belong: a value that is returned twice, a next state that is made beside
 * the old one. */
static void copies(find *s)
{
    const np_fn *f = s->f;
    const np_node *ret = f->top.last;
    int *uses = np_find_uses(f, s->mem);
    for (int i = 0; i < ret->nargs; i++) {
        const np_node *y = ret->arg[i], *p = i < f->nouts ? NULL : f->top.param[f->ninputs + i - f->nouts];
        bool there = y == p || !p || np_loops_continues(y, p, uses);
        for (int k = 0; k < i; k++) there &= ret->arg[k] != y;
        if (there && y->op != NP_PARAM) continue;
        if (y == p) continue;
        np_traffic_row *r = new_row(s, NULL, 0, np_dim_const(s->cx, 1));
        r->name = np_str_fmt(s->cx, "keep.%s", p ? p->name : f->out_name[i]);
        r->read = r->write = bytes(s, count(s, y->type), y->type->dtype);
        r->reads = np_arena_array(s->mem, 1, sizeof *r->reads);
        r->reads[r->nreads++] = (np_traffic_read){y, r->read};
        add_to(s, &s->out->read, r->read);
        add_to(s, &s->out->write, r->write);
    }
}

/* ---- the least */
/* Every weight once, as far as all groups together need it. */
static void weights_once(find *s)
{
    const np_traffic *o = s->out;
    for (int i = 0; i < o->n; i++)
        for (int k = 0; k < o->row[i].nreads && o->row[i].depth == 0; k++) {
            const np_node *w = o->row[i].reads[k].x;
            if (w->op != NP_WEIGHT) continue;
            const np_dim *sum = np_dim_const(s->cx, 0), *all = bytes(s, count(s, w->type), w->type->dtype);
            bool first = true;
            for (int j = 0; j < o->n; j++)
                for (int h = 0; h < o->row[j].nreads && o->row[j].depth == 0; h++) {
                    const np_traffic_read *r = &o->row[j].reads[h];
                    if (r->x->op != NP_WEIGHT || strcmp(r->x->sym, w->sym) != 0) continue;
                    if (j < i) first = false;
                    sum = least(s, all, np_dim_add(s->cx, sum, r->bytes));
                }
            if (first) add_to(s, &s->out->least, sum);
        }
}
static void ports_once(find *s)
{
    const np_fn *f = s->f;
    for (int i = 0; i < f->top.nparams; i++) {
        const np_node *p = f->top.param[i];
        if (s->least[p->id]) add_to(s, &s->out->least, bytes(s, s->least[p->id], p->type->dtype));
    }
    for (int i = 0; i < f->top.last->nargs; i++) {
        const np_node *y = f->top.last->arg[i];
        if (y->op != NP_PARAM) add_to(s, &s->out->least, bytes(s, stored(s, y), y->type->dtype));
    }
}

np_traffic np_fuse_traffic(const np_fn *f, np_arena *mem)
{
    const np_dim *zero = np_dim_const(f->cx, 0);
    np_traffic t = {.read = zero, .write = zero, .least = zero};
    find s = {.cx = f->cx, .f = f, .mem = mem, .out = &t};
    s.need = np_arena_array(mem, f->nnodes + 1, sizeof *s.need);
    s.leaf = np_arena_array(mem, f->nnodes + 1, sizeof *s.leaf);
    s.least = np_arena_array(mem, f->nnodes + 1, sizeof *s.least);
    rows_in(&s, &f->top, 0, np_dim_const(f->cx, 1));
    copies(&s);
    weights_once(&s);
    ports_once(&s);
    return t;
}
