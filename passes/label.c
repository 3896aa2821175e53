/* The algebra of labelled tensors: elementwise operations run over the union of
 * the axes of their operands, a product is summed over the letters that its
 * result lacks. Zero and one are kept apart from nodes, so that what is absent
 * costs nothing. */
#include "label.h"

#include <string.h>

const np_lab np_label_one = {0}, np_label_none = {.zero = true};

bool np_label_is_one(np_lab x)
{
    return !x.n && !x.zero;
}
np_lab np_label_of(np_node *n, const char *axes)
{
    np_lab x = {.n = n};
    memcpy(x.axes, axes, strlen(axes) + 1);
    return x;
}
np_lab np_label_num(np_label *l, double v)
{
    if (v == 0) return np_label_none;
    if (v == 1) return np_label_one;
    return np_label_of(np_build_num(l->b, np_type_scalar(l->b->cx, l->dtype), v), "");
}
bool np_label_has(np_lab x, const char *letters)
{
    return strpbrk(x.axes, letters) != NULL;
}
bool np_label_within(np_lab x, const char *letters)
{
    return x.axes[strspn(x.axes, letters)] == 0;
}
void np_label_keep(char *out, const char *a, const char *b, bool in)
{
    size_t n = 0;
    for (; *a; a++)
        if ((strchr(b, *a) != NULL) == in) out[n++] = *a;
    out[n] = 0;
}
void np_label_join(char *out, const char *a, const char *b, const char *c)
{
    size_t n = 0;
    for (const char *part[] = {a, b, c}, **p = part; p < part + 3; p++)
        for (const char *q = *p; *q && n < NP_LETTERS - 1; q++) out[n++] = *q;
    out[n] = 0;
}
np_lab np_label_rename(np_lab x, char from, char to)
{
    char *p = strchr(x.axes, from);
    if (p) *p = to;
    return x;
}

void np_label_without(char *out, const char *at, int k)
{
    size_t n = strlen(at);
    memmove(out, at, (size_t)k);
    memmove(out + k, at + k + 1, n - (size_t)k);
}
void np_label_before_permute(char *out, const np_node *n, const char *at)
{
    const char *in = n->sym, *to = strstr(n->sym, "->") + 2;
    size_t rank = strlen(at);
    for (size_t i = 0; i < rank; i++) out[i] = at[strchr(to, in[i]) - to];
    out[rank] = 0;
}

np_node *np_label_to(np_label *l, np_lab x, const char *axes)
{
    char order[NP_LETTERS], spec[4 * NP_LETTERS];
    np_node *n = x.n ? x.n : np_build_num(l->b, np_type_scalar(l->b->cx, l->dtype), x.zero ? 0 : 1);
    np_label_keep(order, axes, x.axes, true);
    if (strcmp(order, x.axes) != 0) {
        snprintf(spec, sizeof spec, "%s->%s", x.axes, order);
        n = np_build_permute(l->b, n, spec);
    }
    for (int k = 0; axes[k]; k++)
        if (!strchr(x.axes, axes[k])) n = np_build_expand(l->b, n, k, l->dim[(int)axes[k]]);
    return n;
}
np_lab np_label_op_as(np_label *l, np_op op, int n, const np_lab *x, const char *axes)
{
    np_node *arg[3];
    for (int i = 0; i < n; i++) arg[i] = np_label_to(l, x[i], axes);
    return np_label_of(np_build_op(l->b, op, n, arg, NULL), axes);
}
np_lab np_label_op(np_label *l, np_op op, int n, const np_lab *x)
{
    char all[NP_LETTERS] = "";
    size_t k = 0;
    for (int i = 0; i < n; i++)
        for (const char *p = x[i].axes; *p; p++)
            if (!strchr(all, *p)) all[k++] = *p, all[k] = 0;
    return np_label_op_as(l, op, n, x, all);
}
np_lab np_label_mul(np_label *l, np_lab x, np_lab y)
{
    if (x.zero || y.zero) return np_label_none;
    if (!x.n) return y;
    if (!y.n) return x;
    return np_label_op(l, NP_MUL, 2, (np_lab[]){x, y});
}
np_lab np_label_add(np_label *l, np_lab x, np_lab y)
{
    if (x.zero) return y;
    if (y.zero) return x;
    return np_label_op(l, NP_ADD, 2, (np_lab[]){x, y});
}
np_lab np_label_neg(np_label *l, np_lab x)
{
    if (x.zero) return x;
    return x.n ? np_label_op(l, NP_NEG, 1, &x) : np_label_num(l, -1);
}
np_lab np_label_select(np_label *l, np_lab c, np_lab x, np_lab y)
{
    if (!x.n && !y.n && x.zero == y.zero) return x;
    return np_label_op(l, NP_SELECT, 3, (np_lab[]){c, x, y});
}
np_lab np_label_dot(np_label *l, np_lab x, np_lab y, const char *out)
{
    char have[NP_LETTERS], spec[4 * NP_LETTERS], made[NP_LETTERS];
    if (x.zero || y.zero) return np_label_none;
    np_label_join(have, x.axes, y.axes, "");
    np_label_keep(made, out, have, true); /* what the sum itself has */
    bool sums = false;
    for (const char *p = have; *p; p++) sums |= !strchr(out, *p);
    np_lab r;
    if (!sums) {
        r = np_label_mul(l, x, y);
    } else if (x.n && y.n) {
        snprintf(spec, sizeof spec, "%s,%s->%s", x.axes, y.axes, made);
        r = np_label_of(np_build_contract(l->b, x.n, y.n, spec), made);
    } else {
        r = x.n ? x : y;
        for (int k = (int)strlen(r.axes) - 1; k >= 0; k--) {
            if (strchr(out, r.axes[k])) continue;
            r.n = np_build_reduce(l->b, r.n, "sum", k);
            memmove(r.axes + k, r.axes + k + 1, strlen(r.axes + k));
        }
    }
    return np_label_of(np_label_to(l, r, out), out);
}
