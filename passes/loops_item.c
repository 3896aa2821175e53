/* A whole tensor into memory. Where its elements need sums, as tiles
 * (loops_tile.c); else a nest over its axes that stores one element after the
 * other. What is put together from parts (concat, append) is stored part by
 * part, so that no element has to ask where it comes from. */
#include "loops.h"

#include <string.h>

void np_loops_put(np_lower *l, const np_spot *to, np_node *v, const np_ix *const *at)
{
    np_node *i[NP_RANK], *there = np_loops_open_within(l, to, at);
    const np_ix *where[NP_RANK];
    int n = np_loops_spot_at(l, to, at, where);
    for (int k = 0; k < n; k++) i[k] = np_loops_at(l, where[k]);
    np_build_store(l->b, to->buf, v, n, i);
    np_loops_close_within(l, there);
}
/* The axis whose loop is the innermost one: the last, where stores are neighbours; but where loads would jump along it
 * and are neighbours along another axis, that one, because stores that jump cost less than such loads. */
static int innermost(np_lower *l, const np_node *x, const np_ix *const *at, const int *var)
{
    int last = x->type->rank - 1;
    if (last < 1 || np_loops_stride(l, x, at, var[last]) != NP_STRIDE_FAR) return last;
    for (int i = last - 1; i >= 0; i--)
        if (np_loops_stride(l, x, at, var[i]) == NP_STRIDE_UNIT) return i;
    return last;
}
/* The elements of x (of some rows) to where the result has them, `shift` further along axis k. */
static void nest(np_lower *l, const np_node *x, const np_spot *to, int k, const np_dim *shift,
                 const np_rows *rows)
{
    const np_ix *at[NP_RANK], *where[NP_RANK];
    np_node *loop[NP_MAXLOOPS];
    int rank = x->type->rank, leaf[NP_MAXLOOPS], nloops = 0, var[NP_RANK];
    np_loops_begin_item(l);
    for (int i = 0; i < rank; i++) var[i] = np_loops_axis(l, rows, i, x->type->dim[i]);
    for (bool more = rank > 0; more;) { /* loops that need no divisions */
        for (int i = 0; i < rank; i++) at[i] = np_loops_axis_ix(l, rows, i, var[i]);
        np_loops_stride(l, x, at, var[0]);
        more = false;
        for (int i = 0; i < rank; i++) more |= np_loops_split(l, var[i]);
    }
    int along = innermost(l, x, at, var);
    for (int i = 0; i < rank; i++)
        if (i != along) nloops += np_loops_leaves(l, var[i], leaf + nloops);
    if (rank) nloops += np_loops_leaves(l, var[along], leaf + nloops);
    for (int i = 0; i < rank; i++) where[i] = at[i];
    if (shift) where[k] = np_loops_ix_add(l, at[k], shift);
    np_spot there = np_loops_spot_within(to);
    np_node *within = NULL;
    uint64_t wait = np_loops_spot_ends(to) ? np_loops_spot_deps(l, to, where) : 0;
    int outside = 0; /* loops around the branch that leaves out what is not there */
    for (int i = 0; i < nloops; i++) {
        loop[i] = np_loops_open(l, leaf[i]);
        if (!(wait >> leaf[i] & 1)) continue;
        wait &= ~((uint64_t)1 << leaf[i]);
        if (wait) continue;
        within = np_loops_open_within(l, to, where);
        outside = i + 1;
        l->item = l->b->at;
    }
    np_loops_put(l, within ? &there : to, np_loops_value(l, x, at), where);
    for (int i = nloops - 1; i >= 0; i--) {
        if (i + 1 == outside) np_loops_close_within(l, within);
        np_loops_close(l, loop[i]);
    }
}

void np_loops_past(np_lower *l, const np_node *root, const np_spot *to)
{
    if (root->op != NP_APPEND || root->nargs < 2) return;
    const np_spot *past = np_loops_find(l, root->arg[1]);
    l->b->loc = root->loc;
    if (!(past && past->buf == to->buf)) nest(l, root->arg[1], to, (int)root->attr[0]->k, NULL, NULL);
}
void np_loops_item_rows(np_lower *l, const np_node *root, const np_spot *to, const np_rows *rows)
{
    int k = root->attr[0] ? (int)root->attr[0]->k : 0;
    l->b->loc = root->loc;
    if (root->op == NP_APPEND) {
        nest(l, root->arg[0], to, k, root->attr[1], rows);
        return;
    }
    if (root->op != NP_CONCAT || np_loops_cuts(rows, k)) {
        if (!np_loops_tile(l, root, to, rows)) nest(l, root, to, 0, NULL, rows);
        return;
    }
    const np_dim *shift = np_dim_const(l->cx, 0);
    for (int i = 0; i < root->nargs; i++) {
        nest(l, root->arg[i], to, k, shift, rows);
        shift = np_dim_add(l->cx, shift, root->arg[i]->type->dim[k]);
    }
}
void np_loops_item(np_lower *l, const np_node *root, const np_spot *to)
{
    np_loops_past(l, root, to);
    np_loops_item_rows(l, root, to, NULL);
}
