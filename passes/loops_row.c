/* States whose rows are written one after the other: short scans that make a table
 * or solve a triangular system. The state begins as 0, and step t says
 *
 *   next = select(row = t, new, old)    old: the state, or products with it
 *
 * so before step t the rows from t on are 0, and after it those behind t. A sum of
 * products with the old state runs to row t, one of products with the next state
 * one row further; the update itself touches rows to t, or row t alone where old
 * is the state itself. */
#include "loops_time.h"

#include <string.h>

/* x without what only moves its values; class[k]: of each axis of what is left. */
static const np_node *core(const np_steps *s, const np_node *x, int *class)
{
    for (;;) {
        x = np_steps_through(s->l, x);
        int to[NP_RANK] = {0}, rank = x->type->rank;
        if (x->op == NP_EXPAND) {
            for (int i = 0, n = 0; i < rank; i++)
                if (i != x->attr[0]->k) to[n++] = class[i];
        } else if (x->op == NP_PERMUTE) {
            const char *out = strstr(x->sym, "->") + 2;
            for (int i = 0; i < rank; i++) to[strchr(x->sym, out[i]) - x->sym] = class[i];
        } else
            return x;
        memcpy(class, to, sizeof to);
        x = x->arg[0];
    }
}
static bool is_zero(const np_node *x)
{
    while (x->op == NP_EXPAND || x->op == NP_PERMUTE) x = x->arg[0];
    return x->op == NP_CONST && !x->data && x->num == 0;
}
/* Is x the number of the running step? */
static bool is_step(const np_steps *s, const np_node *x)
{
    for (int i = 0; i < s->seq; i++)
        if (s->body->param[i] == x) {
            const np_node *of = np_steps_through(s->l, s->scan->arg[i]);
            return of->op == NP_IOTA;
        }
    return false;
}
/* The class along which `mask` is true for the running step alone, or -1. */
static int row_class(const np_steps *s, const np_node *mask, const int *axis)
{
    int class[NP_RANK];
    memcpy(class, axis, sizeof class);
    const np_node *eq = core(s, mask, class);
    if (eq->op != NP_EQ) return -1;
    for (int i = 0; i < 2; i++) {
        int row[NP_RANK], step[NP_RANK];
        memcpy(row, class, sizeof row), memcpy(step, class, sizeof step);
        const np_node *a = core(s, eq->arg[i], row), *b = core(s, eq->arg[1 - i], step);
        if (a->op == NP_IOTA && is_step(s, b)) return row[0];
    }
    return -1;
}
/* Is x 0 where the state is? */
static bool scales(const np_steps *s, const np_node *x, const np_node *state)
{
    x = np_steps_through(s->l, x);
    if (x == state) return true;
    if (x->op == NP_EXPAND || x->op == NP_PERMUTE) return scales(s, x->arg[0], state);
    return x->op == NP_MUL && (scales(s, x->arg[0], state) || scales(s, x->arg[1], state));
}
void np_steps_rows(np_steps *s)
{
    for (int i = 0; i < s->nstates; i++) {
        np_row *r = &s->row[i];
        const np_node *x = np_steps_state(s, i), *y = np_steps_yielded(s, s->nouts + i);
        int axis[NP_RANK] = {0};
        r->class = -1;
        if (s->once || np_dim_is(s->scan->attr[2], 1) || y->op != NP_SELECT ||
            !is_zero(np_steps_through(s->l, s->scan->arg[s->seq + i])))
            continue;
        for (int k = 0; k < y->type->rank; k++) axis[k] = np_steps_class(s, y, k);
        int c = row_class(s, y->arg[0], axis);
        const np_node *old = np_steps_operand(s, y, 2);
        if (c < 0 || s->class[c].outside || s->class[c].n != s->scan->attr[1] || !scales(s, old, x)) continue;
        r->class = c;
        r->alone = old == x;
    }
}
/* The state with whose rows x is 0, and how many rows behind the running one it still has; -1: none. */
static int rows_of(const np_steps *s, const np_node *x, int *beyond)
{
    int r = -1;
    x = np_steps_through(s->l, x);
    for (int i = 0; i < s->nstates; i++) {
        if (s->row[i].class < 0) continue;
        if (x == np_steps_state(s, i)) *beyond = 0, r = i;
        if (x == np_steps_yielded(s, s->nouts + i)) *beyond = 1, r = i;
    }
    if (r >= 0) return r;
    if (x->op == NP_EXPAND || x->op == NP_PERMUTE) return rows_of(s, x->arg[0], beyond);
    for (int i = 0; i < 2 && r < 0 && x->op == NP_MUL; i++) r = rows_of(s, x->arg[i], beyond);
    return r;
}
int np_steps_row_end(const np_steps *s, const np_root *r, int *beyond)
{
    int i = -1;
    if (r->kind == NP_ROOT_STATE) {
        i = s->row[r->which].alone ? -1 : r->which;
        *beyond = 1;
    } else if (r->kind == NP_ROOT_SUM && np_loops_sum_op(r->x) == NP_ADD)
        for (int o = 0; o < r->x->nargs && i < 0; o++) i = rows_of(s, r->x->arg[o], beyond);
    return i < 0 ? -1 : s->row[i].class;
}
