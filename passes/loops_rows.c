/* A group of groups that go through the same rows (fuse_merge.c) is written in
 * blocks of rows: all of its values for one block, then the next block. So the rows
 * that they share are read while they are in cache, what one makes for another needs
 * memory for a block only, and weights are read once for a block:
 *
 *     for every block of ROWS rows { s = ..; n = ..; q = n Wq; k = n Wk }
 *     the same for the rows that are left
 *
 * Where there are no more rows than that, the values follow one another as they are. */
#include "loops.h"

enum { ROWS = 64, LEAST_ROWS = 16, BYTES = 512 * 1024 };

/* ---- the index of a row */
static const np_ix *row_ix(np_lower *l, const np_rows *r, int var)
{
    const np_ix *i = np_loops_ix(l, var);
    return r->block ? np_loops_ix_pair(l, np_loops_ix_node(l, r->block, 0), i, r->end) : i;
}
bool np_loops_cuts(const np_rows *r, int axis)
{
    return r && r->axis == axis;
}
const np_ix *np_loops_axis_ix(np_lower *l, const np_rows *r, int axis, int var)
{
    return np_loops_cuts(r, axis) ? row_ix(l, r, var) : np_loops_ix(l, var);
}
int np_loops_axis(np_lower *l, const np_rows *r, int axis, const np_dim *n)
{
    int v = np_loops_var(l, np_loops_cuts(r, axis) ? r->end : n);
    if (np_loops_cuts(r, axis)) l->var[v].from = r->from;
    return v;
}
const np_ix *np_loops_in_block(np_lower *l, const np_rows *r, const np_ix *x)
{
    if (r->from) return np_loops_ix_add(l, x, np_dim_sub(l->cx, np_dim_const(l->cx, 0), r->from));
    if (x->kind == NP_IX_ADD) return np_loops_ix_add(l, np_loops_in_block(l, r, x->lo), x->d);
    return x->kind == NP_IX_PAIR && x->hi->node == r->block ? x->lo : x;
}

/* ---- groups of groups */
static const np_node *value_of(const np_node *g)
{
    return g->body[0]->last->arg[0];
}
static int axis_of(const np_node *g)
{
    return (int)g->attr[0]->k;
}
/* How many rows the value of g has; NULL: it has none to speak of. */
static const np_dim *rows_of(const np_node *g)
{
    if (g->op != NP_GROUP || g->type->tuple || axis_of(g) < 0 || axis_of(g) >= g->type->rank) return NULL;
    const np_node *x = value_of(g);
    return x->op == NP_APPEND ? x->arg[0]->type->dim[axis_of(g)] : x->type->dim[axis_of(g)];
}
static const np_dim *rows_of_all(const np_node *set)
{
    const np_dim *rows = NULL;
    int n = 0;
    for (const np_node *g = set->body[0]->first; g->op != NP_YIELD; g = g->next, n++) {
        const np_dim *d = rows_of(g);
        if (!d || (rows && d != rows)) return NULL;
        rows = d;
    }
    return n > 1 ? rows : NULL;
}
/* As many as caches hold of all values together. */
static int64_t block_rows(np_lower *l, const np_node *set)
{
    int64_t bytes = 0, rows = ROWS, n;
    for (const np_node *g = set->body[0]->first; g->op != NP_YIELD; g = g->next) {
        const np_type *one = np_type_without(l->cx, g->type, axis_of(g));
        if (!np_dim_int(np_type_count(l->cx, one), &n)) return LEAST_ROWS;
        bytes += n * np_dtype_size(g->type->dtype);
    }
    while (rows > LEAST_ROWS && rows * bytes > BYTES) rows /= 2;
    return rows;
}
/* Values that stay inside get memory for one block. */
static void give_blocks(np_lower *l, const np_node *set, const np_dim *n)
{
    for (const np_node *g = set->body[0]->first; g->op != NP_YIELD; g = g->next) {
        np_spot *s = np_loops_slot(l, g, 0);
        if (s->buf) continue;
        s->buf = np_build_alloc(l->b, g->name, np_type_set(l->cx, g->type, axis_of(g), n));
        s->cut = axis_of(g);
        s->rows = np_arena_alloc(&l->mem, sizeof *s->rows);
    }
}
static void write_block(np_lower *l, const np_node *set, np_rows rows)
{
    for (const np_node *g = set->body[0]->first; g->op != NP_YIELD; g = g->next) {
        np_rows r = rows;
        np_spot *s = np_loops_slot(l, g, 0);
        r.axis = axis_of(g);
        if (s->rows) *s->rows = r;
    }
    for (const np_node *g = set->body[0]->first; g->op != NP_YIELD; g = g->next) {
        np_rows r = rows;
        r.axis = axis_of(g);
        np_loops_item_rows(l, value_of(g), np_loops_slot(l, g, 0), &r);
    }
}
bool np_loops_rows(np_lower *l, const np_node *set)
{
    const np_dim *rows = rows_of_all(set);
    int64_t n, lo, most;
    if (!rows || (np_dim_range(rows, &lo, &most), most) <= (n = block_rows(l, set))) return false;
    const np_dim *each = np_dim_const(l->cx, n), *blocks = np_dim_floor(l->cx, rows, n),
                 *whole = np_dim_mul(l->cx, blocks, each);
    give_blocks(l, set, each);
    for (const np_node *g = set->body[0]->first; g->op != NP_YIELD; g = g->next)
        np_loops_past(l, value_of(g), np_loops_slot(l, g, 0));
    np_loops_begin_item(l);
    int v = np_loops_var(l, blocks);
    np_node *loop = np_loops_open(l, v);
    write_block(l, set, (np_rows){.end = each, .block = l->var[v].at});
    np_loops_close(l, loop);
    if (whole != rows) write_block(l, set, (np_rows){.from = whole, .end = rows});
    return true;
}
