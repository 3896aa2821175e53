/* Powers in a product: exp(c_t - c_j) is what every step between j and t has forgotten,
 * so it becomes a decay of one step, exp(c_t - c_(t-1)), and c never stands alone in an
 * exponent: exp(-c_j) of a sum that runs long would overflow.
 *
 *   c a sum that runs along time    its summand     exp(cumsum(g))      -> exp(g_t)
 *   c the position                  1               gamma^(t - j)       -> gamma
 *   c anything else                 c_t - c_(t-1)
 *   f(t) / f(j), f a product that runs along time: its factor
 *
 * Where only positions before t are seen, the decay of t itself may be left out:
 * exp(c_(t-1) - c_j) is read before the state decays.
 *
 * Terms of t and of j that cancel at t = j are such a pair. A term that has no partner
 * is a factor of its own position, unless it runs along time. */
#include "reassoc.h"

#include <string.h>

/* ---- what runs along time */
/* A value of the body as one over time, if no state is in it. */
static np_node *over_time(const np_product *p, const np_node *scan, np_node *n, int depth)
{
    const np_block *body = scan->body[0];
    np_build *b = p->b;
    np_node *arg[3];
    np_extra x = {.sym = n->sym, .num = n->num};
    if (n->in != body) return np_build_expand(b, n, 0, p->T);
    for (int i = 0; i < body->nparams; i++)
        if (body->param[i] == n) return i < scan->attr[0]->k ? scan->arg[i] : NULL;
    if (depth > 8 || n->nargs > 3 || n->data) return NULL;
    if (!np_is_elem(n) && n->op != NP_CONST && n->op != NP_EXPAND) return NULL;
    for (int i = 0; i < n->nargs; i++)
        if (!(arg[i] = over_time(p, scan, n->arg[i], depth + 1))) return NULL;
    if (n->op == NP_CONST) x.type = np_type_insert(b->cx, n->type, 0, p->T);
    if (n->op == NP_EXPAND) x.attr[0] = np_dim_const(b->cx, n->attr[0]->k + 1), x.attr[1] = n->attr[1];
    return np_build_op(b, n->op, n->nargs, arg, &x);
}
/* The scan over time whose output this is, as a running op: x = operand that each step adds or multiplies. */
static np_node *running(const np_product *p, np_node *n, np_op op)
{
    np_node *s = n->op == NP_PICK ? n->arg[0] : NULL;
    if (!s || s->op != NP_SCAN || s->attr[1] != p->T || !np_dim_is(s->attr[2], 0)) return NULL;
    int seq = (int)s->attr[0]->k, nstates = s->nargs - seq;
    const np_node *y = s->body[0]->last;
    int nouts = y->nargs - nstates, out = (int)n->attr[0]->k;
    if (out >= nouts) return NULL;
    const np_node *v = y->arg[out];
    for (int i = 0; i < nstates; i++) {
        const np_node *state = s->body[0]->param[seq + i];
        if (y->arg[nouts + i] != v || v->op != op || (v->arg[0] != state && v->arg[1] != state)) continue;
        return over_time(p, s, v->arg[v->arg[0] == state], 0);
    }
    return NULL;
}
/* Does it depend on a running value or a position by elementwise ops alone, so that it may grow with time?
 * Looks at no more than `left` nodes. */
static bool runs(const np_product *p, const np_node *n, int *left)
{
    if (--*left < 0 || (n->op == NP_PICK && n->arg[0]->op == NP_SCAN)) return true;
    if (n->op == NP_IOTA) return n->attr[0] == p->T || n->attr[0] == p->all;
    bool through = np_is_elem(n) || n->op == NP_EXPAND || n->op == NP_PERMUTE || n->op == NP_APPEND;
    for (int i = 0; through && i < n->nargs; i++)
        if (runs(p, n->arg[i], left)) return true;
    return false;
}
static bool may_grow(const np_product *p, const np_node *n)
{
    int left = 1000;
    return runs(p, n, &left);
}

/* ---- one step of a value */
static bool is_position(const np_product *p, const np_node *n)
{
    if (n->op == NP_CAST) n = n->arg[0];
    return n->op == NP_IOTA ? n->attr[0] == p->T : n == np_factor_position(p);
}
/* c_t - c_(t-1). Before the first position nothing is kept, so any finite number serves there. */
static np_factor step_of(const np_product *p, const np_factor *c)
{
    np_build *b = p->b;
    np_node *x = running(p, c->n, NP_ADD);
    if (x) return np_factor_of(x, c->at);
    int axis = (int)(strchr(c->at, p->t) - c->at), last = c->n->type->rank;
    np_extra two = {.attr = {np_dim_const(b->cx, axis), np_dim_const(b->cx, 2)}};
    np_node *w = np_build_op(b, NP_WINDOW, 1, &c->n, &two);
    np_node *now = np_build_at(b, w, last, np_dim_const(b->cx, 1)),
            *was = np_build_at(b, w, last, np_dim_const(b->cx, 0));
    np_node *pos = np_factor_position(p);
    np_factor later =
        np_factor_of(np_build_2(b, NP_LT, np_build_num(b, pos->type, 0), pos), (char[]){p->t, 0});
    np_node *far = np_build_2(b, NP_SUB, now, was);
    return np_factor_of(
        np_build_3(b, NP_SELECT, np_factor_as(p, &later, c->at), far, np_build_num(b, far->type, 0)), c->at);
}

/* ---- terms */
static np_factor number(const np_product *p, double v)
{
    return np_factor_of(np_build_num(p->b, np_type_scalar(p->b->cx, p->dtype), v), "");
}
/* num * coef.. of a term, times x if there is one. */
static np_factor weighted(const np_product *p, const np_term *e, const np_factor *x)
{
    np_factor f[NP_COEFS + 1], r;
    int n = 0;
    if (x) f[n++] = *x;
    for (int i = 0; i < e->ncoefs; i++) f[n++] = e->coef[i];
    if (n == 0) return number(p, e->num);
    r = np_factor_product(p, n, f, p->order);
    if (e->num != 1) r.n = np_build_2(p->b, NP_MUL, r.n, np_build_num(p->b, r.n->type, e->num));
    return r;
}
static void add_to(const np_product *p, np_factor *sum, np_factor x)
{
    char all[NP_LETTERS + 1];
    if (!sum->n) {
        *sum = x;
        return;
    }
    np_factor_union(p, sum->at, x.at, all);
    *sum = np_factor_of(np_build_2(p->b, NP_ADD, np_factor_as(p, sum, all), np_factor_as(p, &x, all)), all);
}
/* exp of x, or the base to that. */
static np_factor raised(const np_product *p, const np_factor *base, np_factor x)
{
    char all[NP_LETTERS + 1];
    if (!base->n) {
        x.n = np_build_1(p->b, NP_EXP, x.n);
        return x;
    }
    if (x.n->op == NP_CONST && !x.n->data && x.n->num == 1) return *base;
    np_factor_union(p, base->at, x.at, all);
    return np_factor_of(np_build_2(p->b, NP_POW, np_factor_as(p, base, all), np_factor_as(p, &x, all)), all);
}
static bool same_base(const np_product *p, int i, int k)
{
    const np_factor *a = &p->power[i].base, *b = &p->power[k].base;
    return a->n == b->n && (!a->n || strcmp(a->at, b->at) == 0);
}
/* Is y, a value of j, what x is of t? */
static bool same_at_j(const np_product *p, const np_factor *x, const np_factor *y)
{
    np_factor now = *y;
    char *j = strchr(now.at, p->j);
    *j = p->t;
    for (const char *c = now.at; *c; c++)
        if (!strchr(x->at, *c)) return false;
    return strlen(now.at) == strlen(x->at) && np_factor_as(p, &now, x->at) == x->n;
}
/* Opposite multiples in the exponent of the same base. */
static bool same_factors(const np_product *p, const np_term *a, const np_term *b)
{
    if (a->num != -b->num || a->ncoefs != b->ncoefs || !same_base(p, a->of, b->of)) return false;
    for (int i = 0; i < a->ncoefs; i++)
        if (a->coef[i].n != b->coef[i].n || strcmp(a->coef[i].at, b->coef[i].at) != 0) return false;
    return true;
}
static bool cancels(const np_product *p, const np_term *a, const np_term *b)
{
    return same_factors(p, a, b) && same_at_j(p, &a->x, &b->x);
}
static int side(const np_product *p, const np_term *e)
{
    return e->x.n ? np_product_sides(p, e->x.at) : 0;
}

/* ---- pairs */
typedef struct couple { /* terms a of t and b of j that cancel at t = j, or at t = j + 1: late */
    int a, b, less;     /* less: a term that takes a step back from a, or -1 */
    bool late, unit;
    np_factor step; /* of one step, if that is not 1 */
} couple;

static void add_decay(np_product *p, np_factor f)
{
    p->decay[p->ndecays++] = f;
}
/* shift(c, 1): c. */
static bool earlier(const np_product *p, const np_factor *x, np_factor *c)
{
    np_node *w = x->n->op == NP_AT && np_dim_is(x->n->attr[1], 0) ? x->n->arg[0] : NULL;
    if (!w || w->op != NP_WINDOW || w->nargs != 1 || !np_dim_is(w->attr[1], 2)) return false;
    if (x->n->attr[0]->k != w->type->rank - 1 || x->at[w->attr[0]->k] != p->t) return false;
    *c = np_factor_of(w->arg[0], x->at);
    return true;
}
static bool make_couple(np_product *p, int i, int k, couple *c)
{
    np_term a = p->term[i];
    *c = (couple){.a = i, .b = k, .less = -1};
    if (!cancels(p, &a, &p->term[k])) {
        if (!earlier(p, &p->term[i].x, &a.x) || !cancels(p, &a, &p->term[k])) return false;
        c->late = true;
    }
    c->unit = is_position(p, a.x.n);
    if (!c->unit) c->step = step_of(p, &a.x);
    return true;
}
/* Is e what a step of the couple adds, taken away again: c_t - g_t is c_(t-1)? */
static bool steps_back(const np_product *p, const couple *c, const np_term *e)
{
    const np_term *a = &p->term[c->a];
    if (!same_factors(p, a, e)) return false;
    if (c->unit) return !e->x.n;
    return e->x.n && strlen(e->x.at) == strlen(c->step.at) &&
           strspn(e->x.at, c->step.at) == strlen(e->x.at) && np_factor_as(p, &e->x, c->step.at) == c->step.n;
}
static int find_couples(np_product *p, bool *used, couple *list)
{
    int n = 0;
    for (int i = 0; i < p->nterms; i++)
        for (int k = 0; k < p->nterms && !used[i] && side(p, &p->term[i]) == 1; k++) {
            if (used[k] || side(p, &p->term[k]) != 2 || !make_couple(p, i, k, &list[n])) continue;
            used[i] = used[k] = true;
            n++;
        }
    return n;
}
/* Before t decays: only if that is so of all couples, and position t itself is not seen. */
static bool settle_late(np_product *p, bool *used, couple *list, int n)
{
    int late = 0, back = 0;
    for (int i = 0; i < n; i++) {
        for (int k = 0; p->strict && !list[i].late && list[i].less < 0 && k < p->nterms; k++)
            if (!used[k] && steps_back(p, &list[i], &p->term[k])) list[i].less = k, used[k] = true;
        late += list[i].late, back += list[i].less >= 0;
    }
    p->late = n > 0 && late + back == n;
    if (p->late && p->strict) return true;
    if (late)
        return np_product_refuse(p, p->term[list[0].a].x.n->loc,
                                 "its decays are those up to the step before");
    p->late = false;
    for (int i = 0; i < n; i++)
        if (list[i].less >= 0) used[list[i].less] = false;
    return true;
}
/* All couples to one base are one decay. */
static bool pair_terms(np_product *p, bool *used, bool *touched)
{
    np_factor step[NP_TERMS] = {0}; /* by the first power with that base */
    couple list[NP_TERMS];
    int n = find_couples(p, used, list);
    if (!settle_late(p, used, list, n)) return false;
    for (int i = 0; i < n; i++) {
        const np_term *a = &p->term[list[i].a];
        int first = 0;
        while (!same_base(p, first, a->of)) first++;
        touched[a->of] = touched[p->term[list[i].b].of] = true;
        if (p->late && list[i].less >= 0) touched[p->term[list[i].less].of] = true;
        add_to(p, &step[first], weighted(p, a, list[i].unit ? NULL : &list[i].step));
    }
    for (int i = 0; i < p->npowers; i++)
        if (step[i].n) add_decay(p, raised(p, &p->power[i].base, step[i]));
    return true;
}
static bool pair_factors(np_product *p)
{
    for (int i = 0; i < p->nfactors; i++)
        for (int k = 0; k < p->nfactors; k++) {
            np_factor *a = &p->factor[i], *b = &p->factor[k];
            if (a->under == b->under || np_product_sides(p, a->at) != 1 || np_product_sides(p, b->at) != 2)
                continue;
            if (!same_at_j(p, a, b)) continue;
            np_node *x = running(p, a->n, NP_MUL);
            if (!x || a->under) {
                if (may_grow(p, a->n))
                    return np_product_refuse(p, a->n->loc, "it divides by what may vanish with time");
                continue;
            }
            if (p->late) return np_product_refuse(p, a->n->loc, "its decays are of different steps");
            add_decay(p, np_factor_of(x, a->at));
            int last = i > k ? i : k, other = i > k ? k : i; /* both go */
            *(&p->factor[last]) = p->factor[--p->nfactors];
            if (other < p->nfactors) p->factor[other] = p->factor[--p->nfactors];
            i = -1;
            break;
        }
    return true;
}

/* ---- what is left */
static bool keep_power(np_product *p, int w, const bool *used, bool touched)
{
    const np_power *power = &p->power[w];
    np_factor sum[3] = {0};
    if (!touched && power->whole.n) {
        p->factor[p->nfactors++] = power->whole;
        return true;
    }
    for (int i = 0; i < p->nterms; i++) {
        np_term *e = &p->term[i];
        if (e->of != w || used[i]) continue;
        if (!power->whole.n && side(p, e) && may_grow(p, e->x.n))
            return np_product_refuse(p, e->x.n->loc, "an exponent grows with time and nothing takes it back");
        add_to(p, &sum[side(p, e)], weighted(p, e, e->x.n ? &e->x : NULL));
    }
    for (int i = 0; i < 3; i++)
        if (sum[i].n) p->factor[p->nfactors++] = raised(p, &power->base, sum[i]);
    return true;
}
bool np_product_decays(np_product *p)
{
    bool used[NP_TERMS] = {0}, touched[NP_TERMS] = {0};
    if (!pair_terms(p, used, touched)) return false;
    for (int i = 0; i < p->npowers; i++) {
        if (p->nfactors + 3 > NP_FACTORS) return np_product_refuse(p, p->where, "it has too many factors");
        if (!keep_power(p, i, used, touched[i])) return false;
    }
    return pair_factors(p);
}
