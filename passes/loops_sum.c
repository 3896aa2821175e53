/* An element of a contraction or a reduction, one after the other: loops over
 * what is summed, the sum carried from step to step. Right for any index; tiles
 * (loops_tile.c) use the same description of a sum. */
#include "loops.h"

#include <math.h>
#include <string.h>

np_node *np_loops_open(np_lower *l, int var)
{
    np_var *v = &l->var[var];
    np_node *loop = np_build_open(l->b, NP_LOOP, 0, NULL, &(np_extra){.attr = {v->n, v->from, v->step}});
    v->at = loop->body[0]->param[0];
    return loop;
}
void np_loops_close(np_lower *l, np_node *loop)
{
    np_build_close(l->b, loop, 0, NULL);
}

np_op np_loops_sum_op(const np_node *x)
{
    if (x->op == NP_CONTRACT || x->sym[0] == 's') return NP_ADD;
    return strcmp(x->sym, "max") == 0 ? NP_MAX : NP_MIN;
}
np_node *np_loops_sum_start(np_lower *l, const np_node *x)
{
    np_op op = np_loops_sum_op(x);
    double v = np_fold_neutral(op, x->type->dtype);
    return np_loops_num(l, x->type->dtype, v);
}
/* New variables for what x sums; the last one runs fastest through memory. */
void np_loops_sum_vars(np_lower *l, const np_node *x, np_sum *s)
{
    *s = (np_sum){.x = x};
    if (x->op == NP_REDUCE) {
        s->var[s->n++] = np_loops_var(l, x->arg[0]->type->dim[x->attr[0]->k]);
        return;
    }
    const char *comma = strchr(x->sym, ','), *out = strstr(x->sym, "->") + 2;
    for (int o = 0; o < 2; o++)
        for (int i = 0; i < x->arg[o]->type->rank; i++) {
            char c = o ? comma[1 + i] : x->sym[i];
            if (strchr(out, c) || memchr(s->letter, c, (size_t)s->n)) continue;
            s->letter[s->n] = c;
            s->var[s->n++] = np_loops_var(l, x->arg[o]->type->dim[i]);
        }
}
/* The operands' indices for the element `at` of the result. */
void np_loops_sum_at(np_lower *l, np_sum *s, const np_ix *const *at)
{
    const np_node *x = s->x;
    if (x->op == NP_REDUCE) {
        int k = (int)x->attr[0]->k;
        for (int i = 0; i < x->arg[0]->type->rank; i++)
            s->a[i] = i == k ? np_loops_ix(l, s->var[0]) : at[i < k ? i : i - 1];
        return;
    }
    const char *comma = strchr(x->sym, ','), *out = strstr(x->sym, "->") + 2;
    const np_ix *letter[128] = {0};
    for (int i = 0; out[i]; i++) letter[(int)out[i]] = at[i];
    for (int i = 0; i < s->n; i++) letter[(int)s->letter[i]] = np_loops_ix(l, s->var[i]);
    for (int i = 0; i < x->arg[0]->type->rank; i++) s->a[i] = letter[(int)x->sym[i]];
    for (int i = 0; i < x->arg[1]->type->rank; i++) s->b[i] = letter[(int)comma[1 + i]];
}
void np_loops_sum_plan(np_lower *l, np_sum *s, const np_ix *const *at)
{
    for (bool more = true; more;) {
        np_loops_sum_at(l, s, at);
        for (int o = 0; o < s->x->nargs; o++) np_loops_stride(l, s->x->arg[o], o ? s->b : s->a, s->var[0]);
        more = false;
        for (int i = 0; i < s->n; i++) more |= np_loops_split(l, s->var[i]);
    }
}
np_node *np_loops_sum_term(np_lower *l, const np_sum *s)
{
    np_node *v = np_loops_value(l, s->x->arg[0], s->a);
    return s->x->op == NP_REDUCE ? v : np_loops_op2(l, NP_MUL, v, np_loops_value(l, s->x->arg[1], s->b));
}

/* The loops from level i on, starting with acc. */
static np_node *nest(np_lower *l, const np_sum *s, int i, np_node *acc)
{
    if (i == s->n) return np_build_2(l->b, np_loops_sum_op(s->x), acc, np_loops_sum_term(l, s));
    np_var *v = &l->var[s->var[i]];
    np_node *loop = np_build_open(l->b, NP_LOOP, 1, &acc, &(np_extra){.attr = {v->n, v->from, v->step}});
    v->at = loop->body[0]->param[0];
    np_node *next = nest(l, s, i + 1, loop->body[0]->param[1]);
    return np_build_close(l->b, loop, 1, &next);
}
np_node *np_loops_sum_carry(np_lower *l, const np_sum *s, np_node *start)
{
    return nest(l, s, 0, start);
}
np_node *np_loops_sum(np_lower *l, const np_node *x, const np_ix *const *at)
{
    np_sum s;
    int from = l->nvars;
    np_loops_sum_vars(l, x, &s);
    np_loops_sum_at(l, &s, at);
    np_node *r = s.n == 0 ? np_loops_sum_term(l, &s) : np_loops_sum_carry(l, &s, np_loops_sum_start(l, x));
    l->nvars = from;
    return r;
}
