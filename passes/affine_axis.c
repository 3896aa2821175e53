/* affine, an axis of the state along which the body mixes: levels. What moves, cuts,
 * joins or sums along it, and a contraction over it with what depends on no state, is
 * state-like, too:
 *
 *   x_l = sum over m of c[l, m] S_m + sum over f of p_f[l] w_f b_f
 *
 * where c is the identity for the state itself; each such operation on x is the same
 * operation on c and p, along l. The letter of l is that of the state's axis where it
 * has its size, else one for each size; that of m is NP_LEVEL_FROM. */
#include "affine_parts.h"

#include <string.h>

enum { GONE = -1, BREAKS = -2 };

/* ---- where levels lie */
bool np_affine_moves(const np_node *n)
{
    switch (n->op) {
    case NP_SLICE:
    case NP_AT:
    case NP_CONCAT: return true;
    case NP_PAD: return n->num == 0;
    case NP_REDUCE: return strcmp(n->sym, "sum") == 0;
    case NP_CONTRACT: return np_is_sum(n);
    default: return false;
    }
}
/* The levels are summed, and nothing else is; at most one axis of the other operand comes in their place. */
static int contracted(const np_node *n, int o, int at)
{
    const char *comma = strchr(n->sym, ','), *out = strstr(n->sym, "->") + 2;
    const char *mine = o ? comma + 1 : n->sym, *other = o ? n->sym : comma + 1;
    int rank = n->arg[!o]->type->rank, to = GONE;
    size_t mines = (size_t)n->arg[o]->type->rank;
    if (strchr(out, mine[at])) return BREAKS;
    for (size_t k = 0; k < mines; k++)
        if ((int)k != at && !strchr(out, mine[k])) return BREAKS;
    for (int k = 0; k < rank; k++) {
        const char *p = strchr(out, other[k]);
        if (memchr(mine, other[k], mines)) continue;
        if (!p || to != GONE) return BREAKS;
        to = (int)(p - out);
    }
    return to;
}
int np_affine_level(const np_node *n, int o, int at, const np_dim *levels)
{
    int k = (int)(n->attr[0] ? n->attr[0]->k : 0);
    if (np_is_elem(n)) return at;
    if (n->op == NP_PERMUTE)
        return at < 0 ? at : (int)(strchr(strstr(n->sym, "->") + 2, n->sym[at]) - strstr(n->sym, "->") - 2);
    if (n->op == NP_EXPAND) {
        if (at >= 0) return at + (k <= at);
        return np_dim_is(n->attr[1], 1) || n->attr[1] == levels ? k : GONE;
    }
    if (!np_affine_moves(n) || at < 0) return BREAKS;
    if (n->op == NP_CONTRACT) return contracted(n, o, at);
    if (k != at) return BREAKS;
    return n->op == NP_REDUCE || n->op == NP_AT ? GONE : at;
}

/* ---- letters */
char np_affine_level_letter(np_reader *r, const np_dim *size)
{
    int64_t n;
    if (size == r->l->dim[(int)r->a->level]) return r->a->level;
    if (!np_dim_int(size, &n) || n < 1 || n > NP_LEVELS)
        return np_affine_refuse(r, r->scan, "levels are joined to more than are looked at"), 'A';
    r->l->dim[(int)('A' + n - 1)] = size;
    return (char)('A' + n - 1);
}
void np_affine_level_open(np_reader *r)
{
    np_affine *a = r->a;
    np_label *l = r->l;
    a->level = a->axes[r->d->level[a->state[0]->id]];
    const np_dim *n = l->dim[(int)a->level];
    char to[] = {a->level, 0}, from[] = {NP_LEVEL_FROM, 0};
    for (int c = NP_LEVEL_OWN; c <= NP_LEVEL_OVER; c++) l->dim[c] = n;
    np_node *i = np_build_iota(l->b, n);
    a->eye = np_label_op(l, NP_EQ, 2, (np_lab[]){np_label_of(i, to), np_label_of(i, from)});
    a->eye = np_affine_as_number(r, a->eye);
}

/* ---- coefficients */
static np_lab with_level(np_reader *r, np_lab x, char level)
{
    char axes[NP_LETTERS];
    if (x.zero || strchr(x.axes, level)) return x;
    np_label_join(axes, x.axes, (char[]){level, 0}, "");
    return np_label_of(np_label_to(r->l, x, axes), axes);
}
np_lab np_affine_level_sum(np_reader *r, np_lab by, np_lab x, char level)
{
    char all[NP_LETTERS], rest[NP_LETTERS];
    if (x.zero || by.zero) return np_label_none;
    if (by.n && x.n == r->a->eye.n) return np_label_rename(by, level, NP_LEVEL_FROM);
    x = with_level(r, x, level);
    np_label_keep(rest, x.axes, by.axes, false);
    np_label_join(all, by.axes, rest, "");
    np_label_keep(all, all, (char[]){level, 0}, false);
    return np_label_dot(r->l, by, x, all);
}
/* The operation n along the levels of a coefficient; part, from: of a concatenation, where it lies. */
static np_lab moved(np_reader *r, const np_node *n, np_lab x, char level, char to)
{
    np_build *b = r->l->b;
    if (x.zero) return x;
    x = with_level(r, x, level);
    int k = (int)(strchr(x.axes, level) - x.axes);
    np_extra e = {.sym = n->sym, .num = n->num};
    memcpy(e.attr, n->attr, sizeof e.attr);
    e.attr[0] = np_dim_const(b->cx, k);
    x.n = np_build_op(b, n->op, 1, &x.n, &e);
    if (to)
        x.axes[k] = to;
    else
        np_label_without(x.axes, np_label_of(NULL, x.axes).axes, k);
    return x;
}
static np_lab padded(np_reader *r, np_lab x, char level, const np_dim *before, const np_dim *after)
{
    np_build *b = r->l->b;
    if (x.zero) return x;
    x = with_level(r, x, level);
    int k = (int)(strchr(x.axes, level) - x.axes);
    np_extra e = {.attr = {np_dim_const(b->cx, k), before, after}};
    x.n = np_build_op(b, NP_PAD, 1, &x.n, &e);
    return x;
}

/* ---- forms */
static bool join_levels(np_reader *r, np_form *f, const np_node *n)
{
    np_cx *cx = r->l->b->cx;
    int k = (int)n->attr[0]->k;
    const np_dim *before = np_dim_const(cx, 0);
    for (int i = 0; i < n->nargs; i++) {
        const np_dim *size = n->arg[i]->type->dim[k];
        np_form part, *g = &part;
        char at[NP_RANK + 1], level = np_affine_level_letter(r, size);
        const np_dim *after = np_dim_sub(cx, np_dim_sub(cx, n->type->dim[k], before), size);
        if (r->a->no) return false;
        memcpy(at, f->at, sizeof at);
        at[k] = level;
        np_affine_no_form(&part, at, level);
        if (np_affine_state_like(r, n->arg[i])) {
            g = np_affine_form(r, n->arg[i]);
            if (!g) return false;
            if (g->level != part.level || strcmp(g->at, part.at) != 0)
                return np_affine_refuse(r, n, "joins states with their axes in another order");
        } else {
            np_affine_add_write(r, g, n->arg[i], g->at, np_label_one);
        }
        for (int j = 0; j < NP_STATES; j++)
            f->s[j] = np_label_add(
                r->l, f->s[j],
                np_label_rename(padded(r, g->s[j], g->level, before, after), g->level, f->level));
        for (int j = 0; j < NP_WRITES; j++)
            f->w[j] = np_label_add(
                r->l, f->w[j],
                np_label_rename(padded(r, g->w[j], g->level, before, after), g->level, f->level));
        before = np_dim_add(cx, before, size);
    }
    return !r->a->no;
}
static bool contract_levels(np_reader *r, np_form *f, const np_form *x, const np_node *n, int o)
{
    const char *comma = strchr(n->sym, ','), *out = strstr(n->sym, "->") + 2;
    const char *mine = o ? comma + 1 : n->sym, *other = o ? n->sym : comma + 1;
    char to[NP_LETTERS] = "", with[NP_RANK + 1] = "";
    int at = contracted(n, o, (int)(strchr(x->at, x->level) - x->at));
    char over = x->level == r->a->level ? (char)NP_LEVEL_OVER
                                        : x->level; /* what takes the levels' place may have their letter */
    if (!np_affine_free(r, n->arg[!o]))
        return np_affine_refuse(r, n, "multiplies two values that depend on the state");
    for (int i = 0; x->at[i]; i++) to[(int)mine[i]] = x->at[i] == x->level ? over : x->at[i];
    r->a->dense |= at >= 0;
    if (at >= 0) f->level = to[(int)out[at]] = np_affine_level_letter(r, n->type->dim[at]);
    for (int i = 0; i < n->arg[!o]->type->rank; i++) with[i] = to[(int)other[i]];
    for (int i = 0; out[i]; i++) f->at[i] = to[(int)out[i]];
    np_lab by = np_affine_peel(r, n->arg[!o], with);
    if (r->a->no) return false;
    for (int i = 0; i < NP_STATES; i++)
        f->s[i] = np_affine_level_sum(r, by, np_label_rename(x->s[i], x->level, over), over);
    for (int i = 0; i < NP_WRITES; i++)
        f->w[i] = np_affine_level_sum(r, by, np_label_rename(x->w[i], x->level, over), over);
    return true;
}
np_form *np_affine_moved(np_reader *r, const np_node *n)
{
    int o = 0;
    while (!np_affine_state_like(r, n->arg[o])) o++;
    np_form *x = np_affine_form(r, n->arg[o]);
    if (!x) return NULL;
    if (!x->level) return np_affine_refuse(r, n, "is not affine in the state");
    int at = np_affine_level(n, o, (int)(strchr(x->at, x->level) - x->at), r->l->dim[(int)r->a->level]);
    if (at == BREAKS) return np_affine_refuse(r, n, "is not affine in the state");
    np_form *f = np_affine_new_form(r, n);
    if (n->op == NP_CONTRACT) return contract_levels(r, f, x, n, o) ? f : NULL;
    memcpy(f->at, x->at, sizeof f->at);
    if (at == GONE) {
        np_label_without(f->at, x->at, (int)n->attr[0]->k);
    } else {
        f->level = f->at[at] = np_affine_level_letter(r, n->type->dim[at]);
        if (n->op == NP_CONCAT) return join_levels(r, f, n) ? f : NULL;
    }
    for (int i = 0; i < NP_STATES; i++) f->s[i] = moved(r, n, x->s[i], x->level, f->level);
    for (int i = 0; i < NP_WRITES; i++) f->w[i] = moved(r, n, x->w[i], x->level, f->level);
    return r->a->no ? NULL : f;
}

/* ---- writes: taken apart as affine_write.c does it */
np_lab np_affine_level_factors(np_reader *r, const np_node *y, const char *at, char level, bool invert)
{
    char to[NP_RANK + 1];
    np_lab x[2];
    bool outer = y->op == NP_CONTRACT && !np_is_sum(y);
    if (!strchr(at, level)) return np_label_one;
    if (y->op == NP_MUL || outer || (y->op == NP_DIV && !invert)) {
        for (int o = 0; o < 2; o++) {
            strcpy(to, at);
            if (outer) np_affine_before_contract(to, y, o, at);
            x[o] = np_affine_level_factors(r, y->arg[o], to, level, invert ^ (y->op == NP_DIV && o == 1));
        }
        return np_label_mul(r->l, x[0], x[1]);
    }
    if (y->op == NP_NEG)
        return np_affine_level_factors(r, y->arg[0], at, level, invert); /* the sign is the value's */
    if (y->op == NP_EXPAND) {
        np_label_without(to, at, (int)y->attr[0]->k);
        return np_affine_level_factors(r, y->arg[0], to, level, invert);
    }
    if (y->op == NP_PERMUTE) {
        np_label_before_permute(to, y, at);
        return np_affine_level_factors(r, y->arg[0], to, level, invert);
    }
    if (!np_affine_free(r, y)) return np_label_one;
    x[0] = np_affine_peel(r, y, at);
    if (!np_label_has(x[0], (char[]){level, 0})) return np_label_one;
    return invert ? np_label_op(r->l, NP_RECIP, 1, x) : x[0];
}
bool np_affine_level_own(np_reader *r, const np_node *y, const char *at, char level)
{
    char to[NP_RANK + 1];
    bool outer = y->op == NP_CONTRACT && !np_is_sum(y);
    if (!strchr(at, level) || np_affine_free(r, y)) return false;
    strcpy(to, at);
    switch (y->op) {
    case NP_MUL:
    case NP_DIV:
    case NP_CONTRACT:
        if (y->op == NP_CONTRACT && !outer) return true;
        for (int o = 0; o < 2; o++) {
            if (outer) np_affine_before_contract(to, y, o, at);
            if (np_affine_level_own(r, y->arg[o], to, level)) return true;
        }
        return false;
    case NP_NEG: return np_affine_level_own(r, y->arg[0], at, level);
    case NP_EXPAND:
        np_label_without(to, at, (int)y->attr[0]->k);
        return np_affine_level_own(r, y->arg[0], to, level);
    case NP_PERMUTE: np_label_before_permute(to, y, at); return np_affine_level_own(r, y->arg[0], to, level);
    default: return true;
    }
}
