/* One step of a value that was made for all steps: the op with the axis of time
 * taken away, the inverse of what lifting does. An axis stands for time: y[t] of
 * y = op x is op' x[t], where x is cut along the axis that the index rule of op
 * gives, or is the same at every step. What reads other steps has no such form. */
#include "fuse_peel.h"

#include <string.h>

static int at_letter(const char *spec, const char *end, char c)
{
    const char *p = memchr(spec, c, (size_t)(end - spec));
    return p ? (int)(p - spec) : NP_PEEL_NONE;
}
int np_peel_operand(const np_node *n, int i, int axis)
{
    int k = n->attr[0] && n->nargs ? (int)n->attr[0]->k : 0;
    (void)i;
    if (np_is_elem(n)) return axis;
    switch (n->op) {
    case NP_EXPAND: return axis == k ? NP_PEEL_NONE : axis - (axis > k);
    case NP_PERMUTE: {
        const char *arrow = strstr(n->sym, "->");
        return at_letter(n->sym, arrow, arrow[2 + axis]);
    }
    case NP_SPLIT: return axis == k || axis == k + 1 ? NP_PEEL_FAIL : axis - (axis > k);
    case NP_MERGE: return axis == k ? NP_PEEL_FAIL : axis + (axis > k);
    case NP_SLICE: return axis == k ? NP_PEEL_FAIL : axis;
    case NP_AT: return axis + (axis >= k);
    default: return NP_PEEL_FAIL;
    }
}

static np_node *permuted(np_build *b, const np_node *n, char gone, np_node *x)
{
    char spec[4 * NP_RANK + 4];
    size_t k = 0;
    for (const char *p = n->sym; *p; p++)
        if (*p != gone) spec[k++] = *p;
    spec[k] = 0;
    return np_build_permute(b, x, spec);
}
np_node *np_peel_op(np_build *b, const np_node *n, int axis, np_node *const *arg)
{
    np_extra x = {.sym = n->sym, .num = n->num};
    memcpy(x.attr, n->attr, sizeof x.attr);
    if (n->op == NP_PERMUTE) return permuted(b, n, strstr(n->sym, "->")[2 + axis], arg[0]);
    if (n->op == NP_EXPAND && (int)n->attr[0]->k == axis) return arg[0];
    if (!np_is_elem(n)) { /* its first attribute is an axis: one less where time stood before it */
        int k = (int)n->attr[0]->k, operand = np_peel_operand(n, 0, axis);
        x.attr[0] = np_dim_const(b->cx, k - (operand >= 0 && (n->op == NP_AT ? operand < k : axis < k)));
    }
    return np_build_op(b, n->op, n->nargs, arg, &x);
}
