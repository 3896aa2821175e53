/* One step of a value that was made for all steps: the ops with the axis of time
 * taken away, the inverse of what lifting does. y = op x is cut along an axis of
 * y: then y[t] = op' x[t], where x is cut along the axis that the index rule of
 * op gives, or is the same at every step. What reads other steps has no such
 * form. What is not computed in the body is fed to it, `axis` first. */
#include "fuse_peel.h"

#include <string.h>

/* ---- which axis of an operand */
static int at_letter(const char *spec, const char *end, char c)
{
    const char *p = memchr(spec, c, (size_t)(end - spec));
    return p ? (int)(p - spec) : NP_PEEL_NONE;
}
static int of_gather(const np_node *n, int i, int axis)
{
    int batch = (int)n->attr[0]->k, rest = n->arg[1]->type->rank;
    if (i == 1) return axis < rest ? axis : NP_PEEL_NONE;
    return axis < batch ? axis : axis < rest ? NP_PEEL_NONE : axis - rest + batch + 1;
}
int np_peel_operand(const np_node *n, int i, int axis)
{
    int k = n->attr[0] && n->nargs ? (int)n->attr[0]->k : 0;
    if (np_is_elem(n)) return axis;
    switch (n->op) {
    case NP_EXPAND: return axis == k ? NP_PEEL_NONE : axis - (axis > k);
    case NP_PERMUTE: {
        const char *arrow = strstr(n->sym, "->");
        return at_letter(n->sym, arrow, arrow[2 + axis]);
    }
    case NP_CONTRACT: {
        const char *comma = strchr(n->sym, ','), *arrow = strstr(n->sym, "->");
        return i ? at_letter(comma + 1, arrow, arrow[2 + axis]) : at_letter(n->sym, comma, arrow[2 + axis]);
    }
    case NP_SPLIT: return axis == k || axis == k + 1 ? NP_PEEL_FAIL : axis - (axis > k);
    case NP_MERGE: return axis == k ? NP_PEEL_FAIL : axis + (axis > k);
    case NP_SLICE:
    case NP_PAD:
    case NP_CONCAT: return axis == k ? NP_PEEL_FAIL : axis;
    case NP_AT:
    case NP_REDUCE: return axis + (axis >= k);
    case NP_GATHER: return of_gather(n, i, axis);
    default: return NP_PEEL_FAIL;
    }
}
bool np_peel_uniform(const np_node *x)
{
    return x->op == NP_CONST && !x->data;
}

/* ---- the op at one step */
static np_str without(np_cx *cx, const np_node *n, int axis)
{
    char spec[4 * NP_RANK + 8], gone = strstr(n->sym, "->")[2 + axis];
    size_t k = 0;
    for (const char *p = n->sym; *p && k + 1 < sizeof spec; p++)
        if (*p != gone) spec[k++] = *p;
    spec[k] = 0;
    return np_str_new(cx, spec);
}
/* The first attribute, an axis of the operand or (split, expand) of the result, or a number of axes: one less where
 * the axis of time stood before it. */
static int64_t moved(const np_node *n, int axis)
{
    int k = (int)n->attr[0]->k;
    bool of_operand = n->op == NP_AT || n->op == NP_REDUCE;
    return k - ((of_operand ? np_peel_operand(n, 0, axis) : axis) < k);
}
static np_node *op_at_step(np_build *b, const np_node *n, int axis, np_node *const *arg)
{
    np_extra x = {.sym = n->sym, .num = n->num};
    memcpy(x.attr, n->attr, sizeof x.attr);
    if (n->op == NP_EXPAND && (int)n->attr[0]->k == axis) return arg[0];
    if (n->op == NP_PERMUTE || n->op == NP_CONTRACT)
        x.sym = without(b->cx, n, axis);
    else if (!np_is_elem(n))
        x.attr[0] = np_dim_const(b->cx, moved(n, axis));
    return np_build_op(b, n->op, n->nargs, arg, &x);
}

/* ---- values */
/* "abc->bac" for axis 1 of three: `to` first. */
static np_node *turned(np_build *b, np_node *x, int axis, bool back)
{
    char in[NP_RANK + 1] = {0}, out[NP_RANK + 1] = {0}, spec[2 * NP_RANK + 3];
    int rank = x->type->rank, k = 1;
    for (int i = 0; i < rank; i++) in[i] = (char)('a' + i);
    out[0] = in[axis];
    for (int i = 0; i < rank; i++)
        if (i != axis) out[k++] = in[i];
    snprintf(spec, sizeof spec, "%s->%s", back ? out : in, back ? in : out);
    return np_build_permute(b, x, spec);
}
/* The new value of x, which may stand behind the place that the rewrite has reached. */
static np_node *ensure(np_rw *rw, const np_node *x)
{
    if (!rw->map[x->id]) {
        for (int i = 0; i < x->nargs; i++) ensure(rw, x->arg[i]);
        np_rewrite_node(rw, x);
    }
    return rw->map[x->id];
}
static np_node *whole(np_peel *p, const np_node *x, int turn)
{
    np_build *b = p->rw->b;
    np_block *here = b->at;
    b->at = p->scan->in;
    np_node *n = ensure(p->rw, x);
    if (turn > 0) n = turned(b, n, turn, false);
    b->at = here;
    return n;
}
np_node *np_peel_step(np_peel *p, const np_node *x, int axis)
{
    np_build *b = p->rw->b;
    if (axis == NP_PEEL_NONE) return whole(p, x, 0);
    if (x->op == NP_EXPAND && (int)x->attr[0]->k == axis) return whole(p, x->arg[0], 0);
    if (np_peel_uniform(x)) return np_build_num(b, np_type_without(b->cx, x->type, axis), x->num);
    if (p->done[x->id]) return p->done[x->id];
    if (!p->inside[x->id]) return np_build_feed(b, p->scan, whole(p, x, axis));
    np_node **arg = np_arena_array(&b->fn->mem, (size_t)x->nargs + 1, sizeof *arg);
    for (int i = 0; i < x->nargs; i++) arg[i] = np_peel_step(p, x->arg[i], np_peel_operand(x, i, axis));
    b->loc = x->loc;
    np_node *n = op_at_step(b, x, axis, arg);
    if (!n->name) n->name = x->name;
    return p->done[x->id] = n;
}
