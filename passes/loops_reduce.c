/* One element of a contraction or a reduction: loops over what is summed, the
 * sum carried from step to step. The general way, right for any index. */
#include "loops.h"

#include <math.h>
#include <string.h>

np_node *np_loops_open(np_lower *l, int var)
{
    np_var *v = &l->var[var];
    np_node *loop = np_build_open(l->b, NP_LOOP, 0, NULL, &(np_extra){.attr = {v->n}});
    v->at = loop->body[0]->param[0];
    return loop;
}
void np_loops_close(np_lower *l, np_node *loop)
{
    np_build_close(l->b, loop, 0, NULL);
}

typedef struct sum {
    np_lower *l;
    const np_node *x;
    const np_ix *a[NP_RANK], *b[NP_RANK]; /* indices of the operands */
    int var[2 * NP_RANK], n;              /* what is summed */
    np_op op;
} sum;

static np_node *term(const sum *s)
{
    np_node *v = np_loops_value(s->l, s->x->arg[0], s->a);
    return s->x->op == NP_REDUCE ? v : np_loops_op2(s->l, NP_MUL, v, np_loops_value(s->l, s->x->arg[1], s->b));
}
/* The loops from level i on, starting with acc. */
static np_node *nest(const sum *s, int i, np_node *acc)
{
    np_lower *l = s->l;
    if (i == s->n) return np_build_2(l->b, s->op, acc, term(s));
    np_var *v = &l->var[s->var[i]];
    np_node *loop = np_build_open(l->b, NP_LOOP, 1, &acc, &(np_extra){.attr = {v->n}});
    v->at = loop->body[0]->param[0];
    np_node *next = nest(s, i + 1, loop->body[0]->param[1]);
    return np_build_close(l->b, loop, 1, &next);
}
static double start(const np_node *x)
{
    if (x->op == NP_CONTRACT || x->sym[0] == 's') return 0;
    return strcmp(x->sym, "max") == 0 ? -(double)INFINITY : (double)INFINITY;
}

np_node *np_loops_sum(np_lower *l, const np_node *x, const np_ix *const *at)
{
    sum s = {.l = l, .x = x, .op = NP_ADD};
    int from = l->nvars;
    if (x->op == NP_REDUCE) {
        int k = (int)x->attr[0]->k;
        if (x->sym[0] != 's') s.op = strcmp(x->sym, "max") == 0 ? NP_MAX : NP_MIN;
        s.var[s.n++] = np_loops_var(l, x->arg[0]->type->dim[k]);
        for (int i = 0; i < x->arg[0]->type->rank; i++) s.a[i] = i == k ? np_loops_ix(l, s.var[0]) : at[i < k ? i : i - 1];
    } else {
        const char *in = x->sym, *comma = strchr(in, ','), *out = strstr(in, "->") + 2;
        const np_ix *letter[128] = {0};
        for (int i = 0; out[i]; i++) letter[(int)out[i]] = at[i];
        for (int o = 0; o < 2; o++)
            for (int i = 0; i < x->arg[o]->type->rank; i++) {
                int c = o ? comma[1 + i] : in[i];
                if (!letter[c]) letter[c] = np_loops_ix(l, s.var[s.n++] = np_loops_var(l, x->arg[o]->type->dim[i]));
                (o ? s.b : s.a)[i] = letter[c];
            }
    }
    np_node *r = s.n == 0 ? term(&s) : nest(&s, 0, np_loops_num(l, x->type->dtype, start(x)));
    l->nvars = from;
    return r;
}
