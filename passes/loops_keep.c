/* Values that are kept for the nests that use them. A step of a fast scan
 * (loops_time.c) is some nests of loops, a root each. What does not come from a
 * state is computed where it is used, but not again and again: if it does not
 * change in time it is computed once, before the first step; if it is dear, or has
 * the lanes but not all loops of its nest, once a step. Then it is a root itself,
 * of kind TEMP, with the loops that its own axes need, and what it reads is asked
 * in turn. A value that is read in more than one way (two orders of axes) is not
 * kept, for no part of it could stand for it.
 *
 * Takes the roots of a step and their passes, adds those of kind TEMP. */
#include "loops_time.h"

#include <string.h>

static bool is_dear(const np_node *x)
{
    return np_op_cost(x->op) > 1 || np_is_sum(x);
}
static bool computes(np_steps *s, const np_node *x, bool dear)
{
    if (!np_steps_inside(s, x) || np_loops_find(s->l, x) || x->op == NP_PARAM) return false;
    if (dear ? is_dear(x) : np_is_elem(x) || np_is_sum(x)) return true;
    for (int i = 0; i < x->nargs; i++)
        if (computes(s, np_steps_operand(s, x, i), dear)) return true;
    return false;
}
static bool moves_only(const np_node *x)
{
    return x->op == NP_EXPAND || x->op == NP_PERMUTE;
}
/* Is x, read with these classes in a nest over `set`, better kept? *pass: when. */
static bool is_kept(np_steps *s, const np_node *x, const int *axis, uint64_t set, int *pass)
{
    uint64_t own = 0;
    if (moves_only(x) || x->op == NP_CONST || x->op == NP_IOTA) return false;
    for (int k = 0; k < x->type->rank; k++)
        if (axis[k] >= 0) own |= (uint64_t)1 << axis[k];
    own &= ~np_steps_outside(s);
    bool lanes = s->lane >= 0 && (own >> s->lane & 1);
    *pass = s->level[x->id];
    if (np_steps_hot(s, x)) return np_is_elem(x) && own != set && lanes;
    if (!s->timed[x->id] && !s->once) {
        *pass = -1;
        int last = x->type->rank - 1;
        while (last >= 0 && axis[last] < 0) last--;
        return computes(s, x, false) || (lanes && axis[last] != s->lane && own != (uint64_t)1 << s->lane);
    }
    if (!computes(s, x, false)) return false;
    if (np_is_sum(x)) return true;
    if (np_dtype_class(x->type->dtype) == 'B' && !computes(s, x, true))
        return false; /* a mask of lanes is no memory */
    return own != set && (lanes || computes(s, x, true));
}
static bool add_temp(np_steps *s, const np_node *x, const int *axis, int pass)
{
    for (int i = 0; i < s->nroots; i++) {
        np_root *r = &s->root[i];
        if (r->x != x || r->kind != NP_ROOT_TEMP) continue;
        bool same = memcmp(r->axis, axis, (size_t)x->type->rank * sizeof *axis) == 0;
        if (!same) s->spread[x->id] = true;
        return same;
    }
    if (s->nroots == NP_MAXROOTS) return false;
    np_root *r = &s->root[s->nroots++];
    *r = (np_root){.kind = NP_ROOT_TEMP, .x = x, .pass = pass};
    for (int k = 0; k < x->type->rank; k++) {
        r->axis[k] = axis[k];
        if (axis[k] >= 0) r->set |= (uint64_t)1 << axis[k];
    }
    r->set &= ~np_steps_outside(s);
    return true;
}
/* What x is made of, read through indices that are not looked at. */
static void spread_below(np_steps *s, const np_node *x)
{
    if (s->spread[x->id] || np_steps_hot(s, x)) return;
    s->spread[x->id] = true;
    for (int i = 0; i < x->nargs && np_steps_inside(s, x); i++) spread_below(s, np_steps_operand(s, x, i));
}
static void keep_below(np_steps *s, const np_node *x, const int *axis, uint64_t set, bool root);
static void keep_operands(np_steps *s, const np_node *x, const int *axis, uint64_t set)
{
    int to[NP_RANK], k = x->attr[0] && x->nargs ? (int)x->attr[0]->k : 0;
    if (!np_steps_hot(s, x) && !np_is_elem(x) && !moves_only(x))
        for (int i = 0; i < x->nargs; i++) spread_below(s, np_steps_operand(s, x, i));
    if (np_is_elem(x))
        for (int i = 0; i < x->nargs; i++) keep_below(s, np_steps_operand(s, x, i), axis, set, false);
    if (x->op == NP_EXPAND) {
        for (int i = 0, n = 0; i < x->type->rank; i++)
            if (i != k) to[n++] = axis[i];
        keep_below(s, np_steps_operand(s, x, 0), to, set, false);
    }
    if (x->op == NP_PERMUTE) {
        const char *out = strstr(x->sym, "->") + 2;
        for (int i = 0; i < x->type->rank; i++) to[strchr(x->sym, out[i]) - x->sym] = axis[i];
        keep_below(s, np_steps_operand(s, x, 0), to, set, false);
    }
    if (x->op == NP_REDUCE && np_steps_hot(s, x)) {
        for (int i = 0; i <= x->type->rank; i++)
            to[i] = i == k ? np_steps_letter(s, x, 0) : axis[i < k ? i : i - 1];
        keep_below(s, np_steps_operand(s, x, 0), to, set, false);
    }
    if (x->op == NP_CONTRACT && np_steps_hot(s, x)) {
        const char *comma = strchr(x->sym, ',');
        char letter[NP_MAXLETTERS];
        int n = np_steps_letters(x, letter);
        for (int o = 0; o < 2; o++) {
            for (int i = 0; i < x->arg[o]->type->rank; i++) {
                const char *p = memchr(letter, o ? comma[1 + i] : x->sym[i], (size_t)n);
                to[i] = np_steps_letter(s, x, (int)(p - letter));
            }
            keep_below(s, np_steps_operand(s, x, o), to, set, false);
        }
    }
}
static void keep_below(np_steps *s, const np_node *x, const int *axis, uint64_t set, bool root)
{
    int pass;
    if (!root && np_steps_hot(s, x) && (np_is_sum(x) || x->op == NP_PARAM)) return;
    if (!root && computes(s, x, true) && np_steps_is_early(s, x, axis)) return;
    if (!root && is_kept(s, x, axis, set, &pass) && add_temp(s, x, axis, pass))
        return; /* its own nest asks again */
    if (np_steps_inside(s, x) && !np_loops_find(s->l, x)) keep_operands(s, x, axis, set);
}
void np_steps_keep(np_steps *s)
{
    for (int i = 0; i < s->nroots; i++) { /* it grows: what is kept is a root, too */
        np_root r = s->root[i];
        bool known =
            r.kind != NP_ROOT_SUM && np_steps_hot(s, r.x) && np_is_sum(r.x); /* it was added up before */
        if (!known) keep_below(s, r.x, r.axis, r.set, true);
    }
    int n = 0;
    for (int i = 0; i < s->nroots; i++)
        if (s->root[i].kind != NP_ROOT_TEMP || !s->spread[s->root[i].x->id]) s->root[n++] = s->root[i];
    s->nroots = n;
}
