/* Rows that are read far apart are asked for one block of time ahead.
 *
 * Where time runs in blocks, each tile reads a narrow stripe of every row of the
 * block: some lines of memory, then a jump to the next row, which no prefetcher of
 * a machine follows. What the first tile of a block needs would have to be waited
 * for. So each step asks for the row that the same tile reads `by` steps later:
 *
 *   x[t, h, j], j < n   ->   prefetch x[min(t + by, T - 1), h, j], j = 0, 16, 32 .. < n
 *
 * Short rows (scalars of each head) lie so close together that time runs through
 * memory in order, and are left alone, as are rows that fill much of a page. */
#include "loops.h"

#include <string.h>

enum { LINE = 64, SHORT = 4 * LINE, MOST_LINES = 64, MOST = 16 }; /* bytes; lines of a row; rows of a step */
typedef struct part {                                             /* of an axis: base, base + 1, .. */
    np_node *base;
    int64_t n;
} part;
typedef struct row {
    np_node *buf;
    int time; /* its axis */
    part at[NP_RANK];
} row;
typedef struct ahead {
    np_lower *l;
    np_node *step; /* index of time */
    row row[MOST];
    int n;
} ahead;

static const np_node *loop_of(const np_node *x) /* whose index it is; NULL: it is none */
{
    const np_node *o = x->op == NP_PARAM ? x->in->owner : NULL;
    return o && o->op == NP_LOOP && o->body[0]->param[0] == x ? o : NULL;
}
static bool is_known(const ahead *a, const np_node *x) /* before the step ends */
{
    return np_block_encloses(x->in, a->l->b->at);
}
/* All that an index of the step's own loops runs through. */
static bool part_of(const ahead *a, np_node *x, part *p)
{
    int64_t from, n, step;
    if (is_known(a, x)) {
        *p = (part){x, 1};
        return true;
    }
    if (x->op == NP_ADD) {
        part q;
        if (!part_of(a, x->arg[0], p) || !part_of(a, x->arg[1], &q)) return false;
        if (q.n > 1 && p->n > 1) { /* lanes of a block, and the blocks */
            const np_node *block = loop_of(x->arg[0]);
            return block && np_dim_int(block->attr[2], &step) && step == q.n && q.base->op == NP_CONST &&
                   q.base->num == 0;
        }
        *p = (part){np_loops_op2(a->l, NP_ADD, p->base, q.base), p->n > q.n ? p->n : q.n};
        return true;
    }
    const np_node *loop = loop_of(x);
    if (!loop || !np_dim_int(loop->attr[0], &n) || !np_dim_int(loop->attr[1], &from) || n <= from)
        return false;
    *p = (part){np_loops_int(a->l, from), n - from};
    return true;
}
static bool lies_outside(const ahead *a, const np_node *buf)
{
    return buf->in == &a->l->b->fn->top;
}
static int64_t bytes_behind(const np_type *t, int axis)
{
    int64_t n, bytes = np_dtype_size(t->dtype);
    for (int k = axis + 1; k < t->rank && bytes <= SHORT; k++)
        bytes = np_dim_int(t->dim[k], &n) ? bytes * n : SHORT + 1;
    return bytes;
}
static int64_t per_line(const np_type *t)
{
    return LINE / np_dtype_size(t->dtype);
}
static int64_t lines_of(const row *r)
{
    int64_t n = 1;
    const np_type *t = r->buf->type;
    for (int k = 0; k < t->rank && n <= MOST_LINES; k++)
        if (k != r->time) n *= k < t->rank - 1 ? r->at[k].n : (r->at[k].n - 1) / per_line(t) + 1;
    return n;
}
static bool is_same(const row *a, const row *b)
{
    if (a->buf != b->buf || a->time != b->time) return false;
    for (int k = 0; k < a->buf->type->rank; k++)
        if (k != a->time && (a->at[k].base != b->at[k].base || a->at[k].n != b->at[k].n)) return false;
    return true;
}
static void look_at(ahead *a, const np_node *load)
{
    row r = {.buf = load->arg[0], .time = -1};
    for (int k = 0; k < r.buf->type->rank; k++) {
        if (load->arg[1 + k] == a->step)
            r.time = k;
        else if (!part_of(a, load->arg[1 + k], &r.at[k]))
            return;
    }
    if (r.time < 0 || bytes_behind(r.buf->type, r.time) <= SHORT || lines_of(&r) > MOST_LINES) return;
    for (int i = 0; i < a->n; i++)
        if (is_same(&a->row[i], &r)) return;
    if (a->n < MOST) a->row[a->n++] = r;
}
static void look_into(ahead *a, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        if (n->op == NP_LOAD && lies_outside(a, n->arg[0])) look_at(a, n);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) look_into(a, n->body[i]);
    }
}
static void ask_for(np_lower *l, const row *r, np_node *then)
{
    np_node *at[NP_RANK], *loop[NP_RANK];
    const np_type *t = r->buf->type;
    int nloops = 0;
    np_loops_begin_item(l);
    for (int k = 0; k < t->rank; k++) {
        at[k] = k == r->time ? then : r->at[k].base;
        int64_t step = k == t->rank - 1 ? per_line(t) : 1;
        if (k == r->time || r->at[k].n <= step) continue;
        int v = np_loops_var(l, np_dim_const(l->cx, r->at[k].n));
        l->var[v].step = np_dim_const(l->cx, step);
        loop[nloops++] = np_loops_open(l, v);
        at[k] = np_loops_op2(l, NP_ADD, at[k], l->var[v].at);
    }
    np_build_prefetch(l->b, r->buf, t->rank, at);
    while (nloops > 0) np_loops_close(l, loop[--nloops]);
}
void np_loops_ahead(np_lower *l, const np_node *scan, np_node *step, int64_t by)
{
    ahead a = {.l = l, .step = step};
    look_into(&a, l->b->at);
    if (a.n == 0) return;
    bool back = np_dim_is(scan->attr[2], 1);
    np_node *then = np_loops_op2(l, back ? NP_SUB : NP_ADD, step, np_loops_int(l, by));
    then = back ? np_loops_op2(l, NP_MAX, then, np_loops_int(l, 0))
                : np_loops_op2(l, NP_MIN, then,
                               np_loops_dim(l, np_dim_sub(l->cx, scan->attr[1], np_dim_const(l->cx, 1))));
    for (int i = 0; i < a.n; i++) ask_for(l, &a.row[i], then);
}
