/* affine, the values of a body: what does not depend on the states as labelled
 * tensors over all steps, and what is state-like as linear forms (affine.h): the
 * forms of sums, of products with what is free of states, of selections and
 * broadcasts follow from those of their operands. */
#include "affine_parts.h"

#include <string.h>

void *np_affine_refuse(np_reader *r, const np_node *n, const char *why)
{
    if (!r->a->no) r->a->no = why, r->a->where = n;
    return NULL;
}
bool np_affine_free(const np_reader *r, const np_node *n)
{
    return !(r->d->any[n->id] & r->mask);
}
bool np_affine_state_like(const np_reader *r, const np_node *n)
{
    return (r->d->form[n->id] & r->mask) != 0;
}

/* ---- letters */
void np_affine_add_letter(char *out, char c)
{
    size_t n = strlen(out);
    if (!memchr(out, c, n)) out[n] = c, out[n + 1] = 0;
}
char np_affine_fresh(np_reader *r, const np_dim *d)
{
    char c = r->a->fresh;
    if (c >= 's') return np_affine_refuse(r, r->scan, "it has too many axes"), 's';
    r->a->fresh++;
    r->l->dim[(int)c] = d;
    return c;
}
/* Letters of operand o of a contraction that sums nothing, from those of its result. */
void np_affine_before_contract(char *out, const np_node *n, int o, const char *at)
{
    const char *in = o ? strchr(n->sym, ',') + 1 : n->sym, *to = strstr(n->sym, "->") + 2;
    int rank = n->arg[o]->type->rank;
    for (int i = 0; i < rank; i++) out[i] = at[strchr(to, in[i]) - to];
    out[rank] = 0;
}

/* ---- what does not depend on the states, with no more axes than it needs */
static np_lab leaf(np_reader *r, const np_node *n, const char *at)
{
    char axes[NP_RANK + 2];
    np_node *whole = np_lift_get(r->a->lift, n);
    if (!whole) {
        np_affine_refuse(r, r->a->lift->no, "cannot be computed for all steps at once");
        return np_label_none;
    }
    snprintf(axes, sizeof axes, "%s%s", r->a->lift->timed[n->id] ? "t" : "", at);
    return np_label_of(whole, axes);
}
bool np_affine_peels(const np_node *n)
{
    if (np_is_elem(n)) return n->nargs <= 3 && n->op != NP_CAST;
    return n->op == NP_EXPAND || n->op == NP_PERMUTE || (n->op == NP_CONTRACT && !np_is_sum(n));
}
np_lab np_affine_peel(np_reader *r, const np_node *n, const char *at)
{
    char to[NP_RANK + 1];
    np_lab x[3];
    if (r->a->lift->known[n->id]) return leaf(r, n, at);
    if (np_affine_peels(n) && np_is_elem(n)) {
        for (int i = 0; i < n->nargs; i++) {
            x[i] = np_affine_peel(r, n->arg[i], at);
            if (r->a->no) return np_label_none;
        }
        if (n->op == NP_MUL) return np_label_mul(r->l, x[0], x[1]);
        for (int i = 0; i < n->nargs; i++)
            if (!x[i].n) { /* a number has the type of the operand that it stands for */
                np_dtype was = r->l->dtype;
                r->l->dtype = n->arg[i]->type->dtype;
                x[i] = np_label_of(np_label_to(r->l, x[i], ""), "");
                r->l->dtype = was;
            }
        return np_label_op(r->l, n->op, n->nargs, x);
    }
    switch (n->op) {
    case NP_CONST:
        if (n->data) return leaf(r, n, at);
        if (n->type->dtype != r->l->dtype)
            return np_label_of(np_build_num(r->l->b, np_type_scalar(r->l->b->cx, n->type->dtype), n->num),
                               "");
        return np_label_num(r->l, n->num);
    case NP_EXPAND: np_label_without(to, at, (int)n->attr[0]->k); return np_affine_peel(r, n->arg[0], to);
    case NP_PERMUTE: np_label_before_permute(to, n, at); return np_affine_peel(r, n->arg[0], to);
    case NP_CONTRACT:
        if (np_is_sum(n)) return leaf(r, n, at);
        for (int o = 0; o < 2; o++) {
            np_affine_before_contract(to, n, o, at);
            x[o] = np_affine_peel(r, n->arg[o], to);
        }
        return np_label_mul(r->l, x[0], x[1]);
    default: return leaf(r, n, at);
    }
}

/* ---- forms */
void np_affine_no_form(np_form *f, const char *at, char level)
{
    *f = (np_form){.level = level};
    memcpy(f->at, at, strlen(at) + 1);
    for (int i = 0; i < NP_STATES; i++) f->s[i] = np_label_none;
    for (int i = 0; i < NP_WRITES; i++) f->w[i] = np_label_none;
}
np_form *np_affine_new_form(np_reader *r, const np_node *n)
{
    np_form *f = np_arena_alloc(&r->l->b->fn->mem, sizeof *f);
    np_affine_no_form(f, "", 0);
    return r->a->form[n->id] = f;
}
/* f += how * (x where c, else y). A coefficient that is not taken may be anything. */
static void choose_form(np_reader *r, np_form *f, np_lab how, np_lab c, const np_form *x, const np_form *y)
{
    np_label *l = r->l;
    for (int i = 0; i < NP_STATES; i++)
        f->s[i] = np_label_add(l, f->s[i], np_label_mul(l, how, np_label_select(l, c, x->s[i], y->s[i])));
    for (int i = 0; i < NP_WRITES; i++)
        f->w[i] = np_label_add(l, f->w[i], np_label_mul(l, how, np_label_select(l, c, x->w[i], y->w[i])));
}
static np_write *write_of(np_reader *r, const np_node *y, const char *at, np_lab by)
{
    np_affine *a = r->a;
    for (int i = 0; i < a->nwrites; i++)
        if (a->write[i].y == y && a->write[i].by.n == by.n && strcmp(a->write[i].at, at) == 0)
            return &a->write[i];
    if (a->nwrites == NP_WRITES)
        return np_affine_refuse(r, y, "writes more values a step than are looked at");
    np_write *w = &a->write[a->nwrites++];
    *w = (np_write){.y = y, .by = by};
    memcpy(w->at, at, strlen(at) + 1);
    for (int i = 0; i < NP_STATES; i++)
        w->post[i] = np_label_none; /* also of states that were looked at before */
    return w;
}
/* A condition as 1 or 0. */
np_lab np_affine_as_number(np_reader *r, np_lab c)
{
    if (c.n) c.n = np_build_cast(r->l->b, c.n, r->l->dtype); /* else it was refused */
    return c;
}
/* Is y a sum, perhaps scaled? */
static bool adds(const np_node *y)
{
    switch (y->op) {
    case NP_ADD:
    case NP_SUB: return true;
    case NP_NEG:
    case NP_DIV: return adds(y->arg[0]);
    case NP_MUL: return adds(y->arg[0]) || adds(y->arg[1]);
    default: return false;
    }
}
static void add_write(np_reader *r, np_form *f, const np_node *y, const char *at, np_lab how, np_lab by)
{
    np_label *l = r->l;
    int sum = y->op == NP_MUL && adds(y->arg[1]); /* which operand */
    if (y->op == NP_CONST && !y->data && y->num == 0) return;
    if (y->op == NP_ADD || y->op == NP_SUB) {
        add_write(r, f, y->arg[0], at, how, by);
        add_write(r, f, y->arg[1], at, y->op == NP_SUB ? np_label_neg(l, how) : how, by);
    } else if (y->op == NP_NEG) {
        add_write(r, f, y->arg[0], at, np_label_neg(l, how), by);
    } else if (y->op == NP_PERMUTE) {
        char to[NP_RANK + 1];
        np_label_before_permute(to, y, at);
        add_write(r, f, y->arg[0], to, how, by);
    } else if ((y->op == NP_MUL || y->op == NP_DIV) && adds(y->arg[sum]) && np_affine_free(r, y->arg[!sum])) {
        np_lab g = np_affine_peel(r, y->arg[!sum], at);
        if (r->a->no) return;
        if (y->op == NP_DIV && g.n) g = np_label_op(l, NP_RECIP, 1, &g);
        add_write(r, f, y->arg[sum], at, how, np_label_mul(l, by, g));
    } else if (y->op == NP_SELECT && f->level && np_affine_free(r, y->arg[0])) {
        np_form part[2];
        np_lab c = np_affine_peel(r, y->arg[0], at);
        r->a->chosen = true;
        for (int o = 0; o < 2 && !r->a->no; o++) {
            np_affine_no_form(&part[o], at, f->level);
            add_write(r, &part[o], y->arg[1 + o], at, np_label_one, by);
        }
        if (!r->a->no) choose_form(r, f, how, c, &part[0], &part[1]);
    } else {
        char to[NP_RANK + 1];
        bool own = f->level && np_affine_level_own(r, y, at, f->level);
        strcpy(to, at);
        if (f->level) {
            if (np_label_has(by, (char[]){f->level, 0})) how = np_label_mul(l, how, by), by = np_label_one;
            how = np_label_mul(l, how, np_affine_level_factors(r, y, at, f->level, false));
        }
        if (own) {
            if (f->level != r->a->level) {
                np_affine_refuse(r, y, "writes some of the levels from reads of their own");
                return;
            }
            how = np_label_mul(l, how, np_label_rename(r->a->eye, NP_LEVEL_FROM, NP_LEVEL_OF));
            *strchr(to, f->level) = NP_LEVEL_OWN;
        }
        np_write *w = write_of(r, y, to, by);
        if (w) w->own = own, w->level = own ? NP_LEVEL_OWN : f->level;
        if (w) f->w[w - r->a->write] = np_label_add(l, f->w[w - r->a->write], how);
    }
}
void np_affine_add_write(np_reader *r, np_form *f, const np_node *y, const char *at, np_lab how)
{
    add_write(r, f, y, at, how, np_label_one);
}
void np_affine_add_scaled(np_reader *r, np_form *f, const np_form *x, np_lab how)
{
    for (int i = 0; i < NP_STATES; i++)
        f->s[i] = np_label_add(r->l, f->s[i], np_label_mul(r->l, how, x->s[i]));
    for (int i = 0; i < NP_WRITES; i++)
        f->w[i] = np_label_add(r->l, f->w[i], np_label_mul(r->l, how, x->w[i]));
}
/* f += how * x, whatever x is; the first state-like operand names the axes. */
static bool add_value(np_reader *r, np_form *f, const np_node *x, np_lab how)
{
    if (!np_affine_state_like(r, x)) {
        np_affine_add_write(r, f, x, f->at, how);
        return !r->a->no;
    }
    np_form *g = np_affine_form(r, x);
    if (!g) return false;
    if (strcmp(f->at, g->at) != 0)
        return np_affine_refuse(r, x, "adds a state to itself with its axes in another order");
    np_affine_add_scaled(r, f, g, how);
    return true;
}
static np_form *make_form(np_reader *r, const np_node *n)
{
    np_affine *a = r->a;
    const np_node *first = NULL;
    np_form *f = NULL, *x;
    if (n->op == NP_PARAM) {
        f = np_affine_new_form(r, n);
        for (int i = 0; i < n->type->rank; i++) f->at[i] = (char)('a' + i);
        for (int i = 0; i < a->nstates; i++)
            if (a->state[i] == n) f->s[i] = a->level ? a->eye : np_label_one;
        f->level = a->level;
        return f;
    }
    if (np_affine_moves(n) && a->level) return np_affine_moved(r, n);
    for (int i = n->nargs - 1; i >= 0; i--)
        if (np_affine_state_like(r, n->arg[i])) first = n->arg[i];
    if (!(x = np_affine_form(r, first))) return NULL;
    f = np_affine_new_form(r, n);
    memcpy(f->at, x->at, sizeof f->at);
    f->level = x->level;
    np_lab one = np_label_one;
    switch (n->op) {
    case NP_ADD:
    case NP_SUB:
        if (!add_value(r, f, n->arg[0], one)) return NULL;
        return add_value(r, f, n->arg[1], n->op == NP_SUB ? np_label_neg(r->l, one) : one) ? f : NULL;
    case NP_NEG: np_affine_add_scaled(r, f, x, np_label_neg(r->l, one)); return f;
    case NP_MUL:
    case NP_DIV: {
        const np_node *g = n->arg[0] == first ? n->arg[1] : n->arg[0];
        if (n->arg[0] != first && n->op == NP_DIV) return np_affine_refuse(r, n, "divides by a state");
        if (!np_affine_free(r, g)) return np_affine_refuse(r, n, "multiplies a state by what depends on it");
        np_lab how = np_affine_peel(r, g, x->at);
        if (n->op == NP_DIV && how.n) how = np_label_op(r->l, NP_RECIP, 1, &how);
        if (r->a->no) return NULL;
        np_affine_add_scaled(r, f, x, how);
        return f;
    }
    case NP_SELECT: {
        np_form part[2];
        a->chosen = a->among = true;
        if (!np_affine_free(r, n->arg[0]))
            return np_affine_refuse(r, n, "chooses by what depends on the state");
        np_lab c = np_affine_peel(r, n->arg[0], x->at);
        for (int o = 0; o < 2 && !a->no; o++) {
            np_affine_no_form(&part[o], f->at, f->level);
            add_value(r, &part[o], n->arg[1 + o], one);
        }
        if (a->no) return NULL;
        choose_form(r, f, one, c, &part[0], &part[1]);
        return f;
    }
    case NP_EXPAND: {
        int k = (int)n->attr[0]->k;
        memmove(f->at + k + 1, x->at + k, strlen(x->at + k) + 1);
        bool level = a->level && !x->level && np_affine_level(n, 0, -1, a->l.dim[(int)a->level]) >= 0;
        f->at[k] = level ? np_affine_level_letter(r, n->attr[1]) : np_affine_fresh(r, n->attr[1]);
        if (level) f->level = f->at[k];
        np_affine_add_scaled(r, f, x, one);
        return f;
    }
    case NP_PERMUTE: {
        const char *in = n->sym, *to = strstr(n->sym, "->") + 2;
        for (size_t i = 0; to[i]; i++) f->at[i] = x->at[strchr(in, to[i]) - in];
        np_affine_add_scaled(r, f, x, one);
        return f;
    }
    default: return np_affine_refuse(r, n, "is not affine in the state");
    }
}
np_form *np_affine_form(np_reader *r, const np_node *n)
{
    if (r->a->form[n->id]) return r->a->form[n->id];
    np_form *f = make_form(r, n);
    return f && !r->a->no ? f : NULL;
}
