/* Factors become nodes again: values whose axes have letters are brought into one
 * order, multiplied and summed. Axes stand in the order p->order; what has fewer
 * axes than it needs is expanded, and a product in which something is summed is a
 * contraction. And values over all positions become values over the new ones: what
 * is made position by position from appended values is made from the values
 * themselves, with the same ops. */
#include "reassoc.h"

#include <string.h>

np_node *np_factor_strip(np_node *n, const char *at, char *now)
{
    char was[NP_RANK + 1];
    strcpy(now, at);
    for (; n->op == NP_EXPAND || n->op == NP_PERMUTE; n = n->arg[0]) {
        strcpy(was, now);
        if (n->op == NP_EXPAND) {
            strcpy(now + n->attr[0]->k, was + n->attr[0]->k + 1);
            continue;
        }
        const char *to = strstr(n->sym, "->") + 2;
        for (size_t i = 0; was[i]; i++) now[i] = was[strchr(to, n->sym[i]) - to];
    }
    return n;
}
np_factor np_factor_of(np_node *n, const char *at)
{
    np_factor f = {.n = n};
    strcpy(f.at, at);
    return f;
}

/* ---- axes */
static void keep_order(const np_product *p, const bool *in, char *out)
{
    int k = 0;
    for (const char *c = p->order; *c; c++)
        if (in[(int)*c]) out[k++] = *c;
    out[k] = 0;
}
void np_factor_union(const np_product *p, const char *a, const char *b, char *out)
{
    bool in[128] = {0};
    for (; *a; a++) in[(int)*a] = true;
    for (; *b; b++) in[(int)*b] = true;
    keep_order(p, in, out);
}
np_node *np_factor_as(const np_product *p, const np_factor *f, const char *at)
{
    char spec[2 * NP_RANK + 3], *s = spec;
    np_node *n = f->n;
    for (int i = 0; f->at[i]; i++)
        *s++ = (char)('a' + i); /* the same order is the same text, so it is shared */
    s = stpcpy(s, "->");
    for (const char *c = at; *c; c++)
        if (strchr(f->at, *c)) *s++ = (char)('a' + (strchr(f->at, *c) - f->at));
    *s = 0;
    n = np_build_permute(p->b, n, spec);
    for (int i = 0; at[i]; i++)
        if (!strchr(f->at, at[i])) n = np_build_expand(p->b, n, i, p->dim[at[i] - 'a']);
    return n;
}
np_factor np_factor_sum(const np_product *p, np_factor f, const char *kept)
{
    for (int i = 0; f.at[i];) {
        if (strchr(kept, f.at[i])) {
            i++;
            continue;
        }
        f.n = np_build_reduce(p->b, f.n, "sum", i);
        memmove(f.at + i, f.at + i + 1, strlen(f.at + i));
    }
    return f;
}
np_factor np_factor_times(const np_product *p, np_factor a, np_factor b, const char *kept)
{
    char all[NP_LETTERS + 1], out[NP_LETTERS + 1], spec[3 * NP_LETTERS + 4];
    bool in[128] = {0};
    np_factor_union(p, a.at, b.at, all);
    for (const char *c = all; *c; c++) in[(int)*c] = strchr(kept, *c) != NULL;
    keep_order(p, in, out);
    if (a.under && !b.under) {
        np_factor c = a;
        a = b, b = c;
    }
    if (strcmp(all, out) != 0 && !a.under && !b.under) {
        snprintf(spec, sizeof spec, "%s,%s->%s", a.at, b.at, out);
        return np_factor_of(np_build_contract(p->b, a.n, b.n, spec), out);
    }
    np_op op = b.under && !a.under ? NP_DIV : NP_MUL;
    np_factor r = np_factor_of(np_build_2(p->b, op, np_factor_as(p, &a, all), np_factor_as(p, &b, all)), all);
    r.under = a.under && b.under;
    return r;
}
np_factor np_factor_product(const np_product *p, int n, const np_factor *f, const char *kept)
{
    np_factor r = {0};
    for (int i = 0; i < n; i++) {
        bool in[128] = {0};
        char later[NP_LETTERS + 1]; /* kept, or in a factor that is still to come */
        for (const char *c = kept; *c; c++) in[(int)*c] = true;
        for (int k = i + 1; k < n; k++)
            for (const char *c = f[k].at; *c; c++) in[(int)*c] = true;
        keep_order(p, in, later);
        r = r.n ? np_factor_times(p, r, f[i], later) : f[i];
    }
    if (!r.n) return r;
    if (r.under) r.n = np_build_1(p->b, NP_RECIP, r.n), r.under = false;
    return np_factor_sum(p, r, kept);
}

/* ---- positions */
typedef struct local {
    const np_product *p;
    int n, depth;
    np_node *was[64], *now[64]; /* what was answered */
} local;

static int axis_of_all(const local *l, const np_type *t)
{
    int at = -1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] == l->p->all) {
            if (at >= 0) return -2;
            at = i;
        } else if (np_dim_has(t->dim[i], l->p->T) || np_dim_has(t->dim[i], l->p->N)) {
            return -2;
        }
    }
    return at;
}
np_node *np_factor_position(const np_product *p)
{
    np_node *past = np_build_expand(p->b, np_build_size(p->b, p->N), 0, p->T);
    return np_build_2(p->b, NP_ADD, np_build_iota(p->b, p->T), past);
}
static np_node *at_t(local *l, np_node *n);

static np_node *rebuilt(local *l, np_node *n, int axis)
{
    np_cx *cx = l->p->b->cx;
    np_node *arg[3];
    np_extra x = {.sym = n->sym, .num = n->num};
    bool moves = n->op == NP_PERMUTE || n->op == NP_CONTRACT || n->op == NP_REDUCE || n->op == NP_SPLIT ||
                 n->op == NP_MERGE || n->op == NP_SLICE || n->op == NP_AT || n->op == NP_CONCAT ||
                 n->op == NP_EXPAND;
    if (n->nargs > 3 || n->data || (!moves && !np_is_elem(n) && n->op != NP_CONST)) return NULL;
    for (int i = 0; i < n->nargs; i++)
        if (!(arg[i] = at_t(l, n->arg[i]))) return NULL;
    for (int i = 0; i < NP_MAXATTRS; i++) {
        x.attr[i] = n->op == NP_EXPAND && n->attr[i] == l->p->all ? l->p->T : n->attr[i];
        if (n->attr[i] && n->attr[i] != l->p->all && np_dim_has(n->attr[i], l->p->T)) return NULL;
    }
    if (n->op == NP_CONST) x.type = np_type_set(cx, n->type, axis, l->p->T);
    return np_build_op(l->p->b, n->op, n->nargs, arg, &x);
}
static np_node *made(local *l, np_node *n)
{
    int axis = axis_of_all(l, n->type);
    const np_product *p = l->p;
    if (axis == -1) return n;
    if (axis < 0) return NULL;
    if (n->op == NP_IOTA) return np_factor_position(p);
    if (n->op != NP_APPEND) return rebuilt(l, n, axis);
    bool plain =
        n->nargs == 1 && n->attr[0]->k == axis && n->attr[1] == p->N && n->arg[0]->type->dim[axis] == p->T;
    return plain ? n->arg[0] : NULL;
}
static np_node *at_t(local *l, np_node *n)
{
    for (int i = 0; i < l->n; i++)
        if (l->was[i] == n) return l->now[i];
    if (l->n == (int)NP_LEN(l->was) || l->depth == (int)NP_LEN(l->was)) return NULL;
    l->depth++;
    np_node *now = made(l, n);
    l->depth--;
    if (l->n < (int)NP_LEN(l->was)) l->was[l->n] = n, l->now[l->n++] = now;
    return now;
}
np_node *np_factor_local(const np_product *p, np_node *n)
{
    local l = {.p = p};
    return at_t(&l, n);
}
