/* Operands of contractions that are weights, for lanes across the result: one that
 * lies the wrong way round is read from a copy that the build permutes, and one whose
 * lanes fill whole blocks from panels, a block each (np_mod_derive). Other operands
 * are copied when the program runs (loops_pack.c). */
#include "loops.h"

#include <string.h>

/* A node that stands for the old one x: same id, of another op. */
static np_node *instead(np_lower *l, const np_node *x, np_op op, const np_node *arg, const np_type *type)
{
    np_node *n = np_arena_alloc(&l->mem, sizeof *n);
    *n = *x;
    n->op = op, n->type = type;
    if (!arg) return n;
    n->nargs = 1;
    n->arg = np_arena_array(&l->mem, 1, sizeof *n->arg);
    n->arg[0] = (np_node *)arg;
    return n;
}
/* Panels [N/lanes,K..,lanes] as [K..,N]. */
static const np_node *unpacked(np_lower *l, const np_node *panels)
{
    np_cx *cx = l->cx;
    const np_type *t = panels->type, *apart = t; /* K.., N/lanes, lanes */
    int rank = t->rank - 1;
    for (int i = 0; i < rank; i++) apart = np_type_set(cx, apart, i, t->dim[i + 1 < rank ? i + 1 : 0]);
    const np_type *whole = np_type_without(cx, apart, rank);
    whole = np_type_set(cx, whole, rank - 1, np_dim_mul(cx, apart->dim[rank - 1], apart->dim[rank]));
    np_node *order = instead(l, panels, NP_PERMUTE, panels, apart),
            *merged = instead(l, panels, NP_MERGE, order, whole);
    order->sym = np_str_fmt(cx, "%.*s->%.*sa%c", rank + 1, "abcdefgh", rank - 1, "bcdefgh", 'a' + rank);
    merged->attr[0] = np_dim_const(cx, rank - 1);
    return merged;
}
bool np_loops_panels(const np_node *x, int o)
{
    if (x->op != NP_CONTRACT || np_loops_lane_axis(x, o) < 0) return false;
    const np_node *y = x->arg[o];
    return y->op == NP_WEIGHT && y->type->rank > 1 && y->type->rank < NP_RANK;
}
/* Operand o of x with the axis of the lanes in the last place; letters: how the spec calls its axes, reordered. */
static const np_node *turned(np_lower *l, const np_node *x, int o, char *letters, int lanes)
{
    const np_node *y = x->arg[o];
    int axis = np_loops_lane_axis(x, o), n = y->type->rank, k = 0;
    char order[NP_RANK + 1] = {0};
    if (!np_loops_panels(x, o)) lanes = 0;
    if (y->op != NP_WEIGHT || axis < 0 || (axis == n - 1 && !lanes)) return y;
    for (int i = 0; i < n; i++)
        if (i != axis) order[k++] = letters[i];
    order[k] = letters[axis];
    np_str spec = np_str_fmt(l->cx, "%s->%s", letters, order);
    memcpy(letters, order, (size_t)n);
    const np_weight *w = np_mod_derive(l->old->mod, np_mod_weight(l->old->mod, y->sym), spec, lanes);
    np_node *now = instead(l, y, NP_WEIGHT, NULL, w->type);
    now->sym = w->name;
    return lanes ? unpacked(l, now) : now;
}
const np_node *np_loops_turn(np_lower *l, const np_node *x, int lanes)
{
    if (x->op != NP_CONTRACT) return x;
    const char *comma = strchr(x->sym, ','), *out = strstr(x->sym, "->") + 2;
    char a[NP_RANK + 1] = {0}, b[NP_RANK + 1] = {0};
    memcpy(a, x->sym, (size_t)(comma - x->sym));
    memcpy(b, comma + 1, (size_t)(out - 2 - comma - 1));
    const np_node *p = turned(l, x, 0, a, lanes), *q = turned(l, x, 1, b, lanes);
    if (p == x->arg[0] && q == x->arg[1]) return x;
    np_node *now = np_arena_alloc(&l->mem, sizeof *now);
    *now = *x;
    now->arg = np_arena_array(&l->mem, 2, sizeof *now->arg);
    now->arg[0] = (np_node *)p, now->arg[1] = (np_node *)q;
    now->sym = np_str_fmt(l->cx, "%s,%s->%s", a, b, out);
    return now;
}
