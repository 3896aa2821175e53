/* lift: what stands in the body of a scan and does not depend on its states is
 * computed for all steps at once, as operations with one more axis in front.
 * What does not depend on the step either is computed once. A node is lifted
 * when it is asked for. */
#include "lift.h"

#include <string.h>

static np_node *all_steps(np_lift *l, const np_node *x)
{
    np_node *n = l->whole[x->id];
    return l->timed[x->id] ? n : np_build_expand(l->rw->b, n, 0, l->n);
}
static char unused_letter(const char *spec)
{
    char c = 'a';
    while (strchr(spec, c)) c++;
    return c;
}
static np_node *contraction(np_lift *l, const np_node *x)
{
    char spec[64], t = unused_letter(x->sym);
    const char *comma = strchr(x->sym, ','), *arrow = strstr(x->sym, "->");
    char a[2] = {l->timed[x->arg[0]->id] ? t : 0, 0}, b[2] = {l->timed[x->arg[1]->id] ? t : 0, 0};
    snprintf(spec, sizeof spec, "%s%.*s,%s%.*s->%c%s", a, (int)(comma - x->sym), x->sym, b,
             (int)(arrow - comma) - 1, comma + 1, t, arrow + 2);
    return np_build_contract(l->rw->b, l->whole[x->arg[0]->id], l->whole[x->arg[1]->id], spec);
}
static np_node *permutation(np_lift *l, const np_node *x)
{
    char spec[64], t = unused_letter(x->sym);
    const char *arrow = strstr(x->sym, "->");
    snprintf(spec, sizeof spec, "%c%.*s->%c%s", t, (int)(arrow - x->sym), x->sym, t, arrow + 2);
    return np_build_permute(l->rw->b, all_steps(l, x->arg[0]), spec);
}
/* An op with one more axis in front: elementwise, or with an axis (or a count of shared axes) as its first attribute. */
static bool counts_axes(const np_node *x)
{
    switch (x->op) {
    case NP_REDUCE:
    case NP_EXPAND:
    case NP_SPLIT:
    case NP_MERGE:
    case NP_SLICE:
    case NP_AT:
    case NP_PAD:
    case NP_CONCAT:
    case NP_WINDOW:
    case NP_GATHER: return true;
    default: return false;
    }
}
static np_node *timed_op(np_lift *l, const np_node *x)
{
    np_build *b = l->rw->b;
    np_node *arg[16];
    if (x->nargs > (int)NP_LEN(arg) || x->body[0] || !(np_is_elem(x) || counts_axes(x))) return NULL;
    np_extra e = {.sym = x->sym, .num = x->num};
    memcpy(e.attr, x->attr, sizeof e.attr);
    if (counts_axes(x)) e.attr[0] = np_dim_add(b->cx, x->attr[0], np_dim_const(b->cx, 1));
    for (int i = 0; i < x->nargs; i++) arg[i] = all_steps(l, x->arg[i]);
    return np_build_op(b, x->op, x->nargs, arg, &e);
}
static np_node *once(np_lift *l, const np_node *x)
{
    np_node *arg[16];
    if (x->nargs > (int)NP_LEN(arg) || x->body[0]) return NULL;
    for (int i = 0; i < x->nargs; i++) arg[i] = l->whole[x->arg[i]->id];
    return np_rewrite_copy(l->rw, x, arg);
}
static np_node *make(np_lift *l, const np_node *x)
{
    if (x->op == NP_PARAM) { /* a slice; states are set from outside */
        int64_t seq = l->scan->attr[0]->k;
        for (int i = 0; i < seq; i++)
            if (l->scan->body[0]->param[i] == x) {
                l->timed[x->id] = true;
                return np_rewrite_get(l->rw, l->scan->arg[i]);
            }
        return NULL;
    }
    bool timed = false;
    for (int i = 0; i < x->nargs; i++) {
        if (!np_lift_get(l, x->arg[i])) return NULL;
        timed |= l->timed[x->arg[i]->id];
    }
    l->rw->b->loc = x->loc;
    if (!timed) return once(l, x);
    if (x->type->tuple || x->type->rank == NP_RANK) return NULL;
    l->timed[x->id] = true;
    if (x->op == NP_CONTRACT) return contraction(l, x);
    return x->op == NP_PERMUTE ? permutation(l, x) : timed_op(l, x);
}
np_node *np_lift_get(np_lift *l, const np_node *x)
{
    if (l->whole[x->id]) return l->whole[x->id];
    np_node *n = np_block_encloses(l->scan->body[0], x->in) ? make(l, x) : np_rewrite_get(l->rw, x);
    if (!n) {
        if (!l->no) l->no = x;
        return NULL;
    }
    if (!n->name) n->name = x->name;
    return l->whole[x->id] = n;
}
void np_lift_set(np_lift *l, const np_node *x, np_node *whole)
{
    l->whole[x->id] = whole;
    l->timed[x->id] = l->known[x->id] = true;
}
