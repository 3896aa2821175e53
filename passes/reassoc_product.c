/* From a sum over positions to a product of factors. Goes down from the sum
 * through what multiplies (contractions, products, quotients, masks, powers) as long
 * as a value has both positions, t and j; what has one of them is a factor, whatever
 * it is made of: feature maps, norms and rotations stay where they are.
 *
 *   contract p v  = sum of the factors of p and those of v
 *   mul, div, neg = factors, under a fraction bar or not
 *   add, sub      = several products: each is looked at alone, and their sums are added
 *   select c x 0  = mask c, factors of x           cast of a bool: the mask alone
 *   exp(a + b)    = a power with the terms a and b;  exp(where(c, a, -inf)): mask c, too
 *   pow(c, a)     = the same to the base c, which has no position */
#include "reassoc.h"

#include <math.h>
#include <string.h>

static bool take(np_product *p, np_node *n, const char *whose, bool under);

bool np_product_refuse(np_product *p, np_loc loc, const char *why)
{
    if (!p->why) p->why = why, p->where = loc;
    return false;
}
int np_product_sides(const np_product *p, const char *at)
{
    return (p->t && strchr(at, p->t)) + 2 * (p->j && strchr(at, p->j));
}

/* ---- letters */
static char letter(np_product *p, const np_dim *d)
{
    if (p->nletters == NP_LETTERS) return 0;
    p->dim[p->nletters] = d;
    return (char)('a' + p->nletters++);
}
static bool is_number(const np_node *n)
{
    return n->op == NP_CONST && !n->data;
}
static bool is_zero(const np_node *n)
{
    return is_number(n) && n->num == 0;
}
static bool is_float(const np_node *n)
{
    return n->type->dtype == NP_F32 || n->type->dtype == NP_F64;
}
static bool add_factor(np_product *p, np_node *n, const char *at, bool under)
{
    if (p->nfactors == NP_FACTORS) return np_product_refuse(p, n->loc, "it has too many factors");
    if (!is_float(n)) return np_product_refuse(p, n->loc, "a factor is neither f32 nor f64");
    np_factor f = np_factor_of(n, at);
    f.under = under;
    p->factor[p->nfactors++] = f;
    return true;
}
/* What has j alone is taken as the value of that position: made of new values, over T, its letter stays j. */
static np_node *at_its_position(np_product *p, np_node *n, const char *at)
{
    if (np_product_sides(p, at) != 2 || p->local) return n;
    np_node *now = np_factor_local(p, n);
    if (!now) np_product_refuse(p, n->loc, "a factor is not made position by position");
    return now;
}
static bool linear_in(np_product *p, const np_node *n, const char *what)
{
    np_str text = np_str_fmt(p->b->cx, "%s %s", what, np_op_info(n->op)->text);
    return np_product_refuse(p, n->loc, text);
}

/* ---- exponents: num * coef.. * (a sum of terms) */
typedef struct scale {
    double num;
    int ncoefs;
    np_factor coef[NP_COEFS];
    bool whole; /* the terms are integers that are converted */
} scale;

static bool exponent(np_product *p, np_node *n, const char *at, scale s);

static bool add_term(np_product *p, np_node *n, const char *at, const scale *s)
{
    if (p->nterms == NP_TERMS) return np_product_refuse(p, n->loc, "its exponent has too many terms");
    np_term *e = &p->term[p->nterms++];
    *e = (np_term){.num = s->num, .ncoefs = s->ncoefs, .of = p->npowers - 1};
    memcpy(e->coef, s->coef, sizeof e->coef);
    if (is_number(n)) {
        e->num *= n->num;
        return true;
    }
    if (!(n = at_its_position(p, n, at))) return false;
    if (s->whole) n = np_build_cast(p->b, n, NP_F32);
    e->x = np_factor_of(n, at);
    return true;
}
static bool scaled(np_product *p, np_node *x, const char *at, np_node *c, const char *cat, scale s)
{
    if (is_number(c)) {
        s.num *= c->num;
        return exponent(p, x, at, s);
    }
    if (s.ncoefs == NP_COEFS) return np_product_refuse(p, c->loc, "its exponent has too many factors");
    if (s.whole) c = np_build_cast(p->b, c, NP_F32);
    s.coef[s.ncoefs++] = np_factor_of(c, cat);
    return exponent(p, x, at, s);
}
static bool exponent(np_product *p, np_node *n, const char *whose, scale s)
{
    char at[NP_RANK + 1], a[NP_RANK + 1], b[NP_RANK + 1];
    n = np_factor_strip(n, whose, at);
    if (n->op == NP_IOTA && n->attr[0] == p->T)
        n = np_factor_position(p); /* as written nothing came before */
    if (is_number(n) || n == np_factor_position(p)) return add_term(p, n, at, &s);
    bool joint = np_product_sides(p, at) == 3;
    np_node *x = n->nargs > 0 ? n->arg[0] : NULL, *y = n->nargs > 1 ? n->arg[1] : NULL;
    scale minus = s;
    minus.num = -s.num;
    switch (n->op) {
    case NP_ADD: return exponent(p, x, at, s) && exponent(p, y, at, s);
    case NP_SUB: return exponent(p, x, at, s) && exponent(p, y, at, minus);
    case NP_NEG: return exponent(p, x, at, minus);
    case NP_MUL:
        x = np_factor_strip(x, at, a), y = np_factor_strip(y, at, b);
        if (is_number(y) || np_product_sides(p, b) == 0) return scaled(p, x, a, y, b, s);
        if (is_number(x) || np_product_sides(p, a) == 0) return scaled(p, y, b, x, a, s);
        break;
    case NP_DIV:
        if (!is_number(y) || y->num == 0) break;
        s.num /= y->num;
        return exponent(p, x, at, s);
    case NP_CAST: /* positions: integers that f32 holds */
        if (np_dtype_class(x->type->dtype) != 'I' || n->type->dtype != NP_F32 || s.whole) break;
        s.whole = true;
        return exponent(p, x, at, s);
    case NP_SELECT: {
        np_node *other = n->arg[2];
        if (!joint || s.ncoefs || p->power[p->npowers - 1].base.n) break;
        if (is_number(other) && other->num * s.num == -INFINITY)
            return np_product_mask(p, x, at, false) && exponent(p, y, at, s);
        if (is_number(y) && y->num * s.num == -INFINITY)
            return np_product_mask(p, x, at, true) && exponent(p, other, at, s);
        break;
    }
    default: break;
    }
    return joint ? linear_in(p, n, "its exponent is no sum of values of one position each:")
                 : add_term(p, n, at, &s);
}
static bool take_power(np_product *p, np_node *n, const char *at, bool under)
{
    if (p->npowers == NP_TERMS) return np_product_refuse(p, n->loc, "it has too many powers");
    if (!is_float(n)) return np_product_refuse(p, n->loc, "a factor is neither f32 nor f64");
    np_power *w = &p->power[p->npowers++];
    *w = (np_power){0};
    if (np_product_sides(p, at) != 3) {
        w->whole = np_factor_of(n, at);
        w->whole.under = under;
    }
    if (n->op == NP_POW) {
        char base[NP_RANK + 1];
        np_node *x = np_factor_strip(n->arg[0], at, base);
        if (is_number(x)) x = np_build_num(p->b, np_type_scalar(p->b->cx, p->dtype), x->num), base[0] = 0;
        if (np_product_sides(p, base))
            return np_product_refuse(p, n->loc, "the base of a power changes with time");
        w->base = np_factor_of(x, base);
    }
    return exponent(p, n->arg[n->op == NP_POW], at, (scale){.num = under ? -1 : 1});
}

/* ---- factors */
static bool take_contract(np_product *p, np_node *n, const char *at)
{
    const char *spec = n->sym, *out = strstr(spec, "->") + 2;
    char own[128] = {0}, side[NP_RANK + 1];
    p->ncontracts++;
    for (int i = 0; out[i]; i++) own[(int)out[i]] = at[i];
    for (int i = 0, k = 0; i < 2; i++, spec++) {
        for (k = 0; *spec != ',' && *spec != '-'; spec++, k++) {
            char *c = &own[(int)*spec];
            if (!*c) {
                if (!(*c = letter(p, n->arg[i]->type->dim[k])))
                    return np_product_refuse(p, n->loc, "it has too many axes");
                p->sum[strlen(p->sum)] = *c;
            }
            side[k] = *c;
        }
        side[k] = 0;
        if (!take(p, n->arg[i], side, false)) return false;
    }
    return true;
}
static bool take_sum(np_product *p, np_node *n, const char *at)
{
    char in[NP_RANK + 2];
    int k = (int)n->attr[0]->k;
    char c = letter(p, n->arg[0]->type->dim[k]);
    p->ncontracts++;
    if (!c) return np_product_refuse(p, n->loc, "it has too many axes");
    p->sum[strlen(p->sum)] = c;
    snprintf(in, sizeof in, "%.*s%c%s", k, at, c, at + k);
    return take(p, n->arg[0], in, false);
}
static bool take_number(np_product *p, const np_node *n, bool under)
{
    if (!isfinite(n->num) || n->num == 0) return np_product_refuse(p, n->loc, "a factor is 0 or infinite");
    p->scale = under ? p->scale / n->num : p->scale * n->num;
    return true;
}
static bool take_joint(np_product *p, np_node *n, const char *at, bool under)
{
    np_node *x = n->nargs > 0 ? n->arg[0] : NULL;
    switch (n->op) {
    case NP_MUL: return take(p, x, at, under) && take(p, n->arg[1], at, under);
    case NP_DIV: return take(p, x, at, under) && take(p, n->arg[1], at, !under);
    case NP_RECIP: return take(p, x, at, !under);
    case NP_NEG: p->scale = -p->scale; return take(p, x, at, under);
    case NP_ADD:
    case NP_SUB: {
        if (under || p->nchoices == NP_CHOICES) break;
        int second = p->choice >> p->nchoices++ & 1;
        if (second && n->op == NP_SUB) p->scale = -p->scale;
        return take(p, n->arg[second], at, false);
    }
    case NP_CONTRACT: return under ? linear_in(p, n, "it divides by a sum:") : take_contract(p, n, at);
    case NP_REDUCE:
        if (!under && strcmp(n->sym, "sum") == 0) return take_sum(p, n, at);
        break;
    case NP_SELECT:
        if (under) break;
        if (is_zero(n->arg[2])) return np_product_mask(p, x, at, false) && take(p, n->arg[1], at, false);
        if (is_zero(n->arg[1])) return np_product_mask(p, x, at, true) && take(p, n->arg[2], at, false);
        break;
    case NP_CAST:
        if (x->type->dtype == NP_BOOL && !under) return np_product_mask(p, x, at, false);
        break;
    default: break;
    }
    return linear_in(p, n, "it is not linear in its scores:");
}
static bool has_power(const np_node *n, int depth)
{
    if (n->op == NP_EXP || n->op == NP_POW) return true;
    bool through = n->op == NP_MUL || n->op == NP_DIV || n->op == NP_EXPAND || n->op == NP_PERMUTE;
    for (int i = 0; through && depth < 6 && i < n->nargs; i++)
        if (has_power(n->arg[i], depth + 1)) return true;
    return false;
}
/* Of one position. Only exponentials are looked for: k exp(-c_j) belongs to q exp(c_t). */
static bool take_single(np_product *p, np_node *n, const char *at, bool under)
{
    int powers = p->npowers, terms = p->nterms;
    if ((n->op == NP_EXP || n->op == NP_POW) && take_power(p, n, at, under)) return true;
    if (p->npowers > powers) p->npowers = powers, p->nterms = terms, p->why = NULL; /* it stays as it is */
    if ((n->op == NP_MUL || n->op == NP_DIV) && has_power(n, 0))
        return take(p, n->arg[0], at, under) && take(p, n->arg[1], at, under != (n->op == NP_DIV));
    return add_factor(p, n, at, under);
}
static bool take(np_product *p, np_node *n, const char *whose, bool under)
{
    char at[NP_RANK + 1];
    n = np_factor_strip(n, whose, at);
    if (is_number(n)) return take_number(p, n, under);
    if (np_product_sides(p, at) != 3) {
        bool was = p->local;
        if (!(n = at_its_position(p, n, at))) return false;
        p->local = np_product_sides(p, at) == 2;
        char now[NP_RANK + 1];
        n = np_factor_strip(n, at, now);
        bool good = is_number(n) ? take_number(p, n, under) : take_single(p, n, now, under);
        p->local = was;
        return good;
    }
    if (n->op == NP_EXP || n->op == NP_POW) return take_power(p, n, at, under);
    return take_joint(p, n, at, under);
}

/* ---- the whole */
static bool start(np_product *p, const np_node *n, char at[2][NP_RANK + 1])
{
    int first = n->op == NP_REDUCE;
    char own[128] = {0};
    const char *spec = n->sym, *out = first ? NULL : strstr(spec, "->") + 2;
    for (int i = 0; i < n->type->rank; i++) {
        char c = letter(p, n->type->dim[i]);
        p->out[i] = c;
        if (n->type->dim[i] == p->T) p->t = c;
        if (out) own[(int)out[i]] = c;
    }
    for (int i = 0; i < n->nargs; i++) {
        const np_type *t = n->arg[i]->type;
        for (int k = 0; k < t->rank; k++) {
            bool gone = first && k == n->attr[0]->k;
            char c = gone ? 0 : first ? p->out[k - (k > n->attr[0]->k)] : own[(int)spec[k]];
            if (!c) {
                c = letter(p, t->dim[k]);
                if (!first) own[(int)spec[k]] = c;
                if (t->dim[k] == p->all && !p->j)
                    p->j = c;
                else
                    p->sum[strlen(p->sum)] = c;
            }
            at[i][k] = c;
        }
        at[i][t->rank] = 0;
        spec += t->rank + 1;
    }
    return p->t && p->j;
}
static void set_order(np_product *p)
{
    char *o = p->order;
    *o++ = p->t;
    for (int i = 0; i < p->nletters; i++)
        if ('a' + i != p->t && 'a' + i != p->j) *o++ = (char)('a' + i);
    *o++ = p->j;
    *o = 0;
}
/* Time stands once as t and once as j; every summed letter is in some factor, none in a gate; no product of factors
 * has more axes than a tensor may have, with one to spare. */
static bool well_formed(np_product *p, const np_node *n)
{
    if (p->nletters > NP_RANK) return np_product_refuse(p, n->loc, "it has too many axes");
    for (int i = 0; i < p->ngates; i++)
        if (*p->sum && strpbrk(p->gate[i].at, p->sum))
            return np_product_refuse(p, n->loc, "a mask has an axis that is summed");
    for (int i = 0; i < p->nletters; i++) {
        const np_dim *d = p->dim[i];
        bool timed = np_dim_has(d, p->T) || np_dim_has(d, p->N);
        if (timed && 'a' + i != p->t && 'a' + i != p->j)
            return np_product_refuse(p, n->loc, "time stands in it more than once");
    }
    for (const char *s = p->sum; *s; s++) {
        bool used = false;
        for (int i = 0; i < p->nfactors; i++) used |= strchr(p->factor[i].at, *s) != NULL;
        for (int i = 0; i < p->npowers; i++) used |= strchr(p->power[i].whole.at, *s) != NULL;
        for (int i = 0; i < p->nterms; i++) used |= strchr(p->term[i].x.at, *s) != NULL;
        if (!used) return np_product_refuse(p, n->loc, "it sums what does not depend on the index");
    }
    return true;
}
bool np_product_of(np_product *p, const np_node *n)
{
    char at[2][NP_RANK + 1];
    bool sum = n->op == NP_CONTRACT || (n->op == NP_REDUCE && strcmp(n->sym, "sum") == 0);
    p->scale = 1;
    p->dtype = n->type->dtype;
    if (!sum || !is_float(n) || !start(p, n, at)) return false;
    for (int i = 0; i < n->nargs; i++)
        if (!take(p, n->arg[i], at[i], false)) return false;
    set_order(p);
    return well_formed(p, n);
}
