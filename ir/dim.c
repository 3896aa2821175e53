/* Symbolic integers in canonical form, interned: equality is pointer equality.
 *
 * A dim is a sum of products over atoms; an atom is a symbol, ceil(d/k),
 * min(a,b) or max(a,b). ADD holds a constant and at least one term (two, or one
 * with a constant that is not 0); MUL holds a coefficient and at least one atom
 * (two, or one with a coefficient that is not 1). Terms and atoms stand in an
 * order that only their structure decides, so the form and its text depend on
 * nothing that was made before. All arithmetic saturates at +-LIMIT: a value
 * there means "at least so far out". A form of more than MOST_SIZE parts becomes
 * LIMIT, too, so that walking a dim is always short. */
#include "ir.h"

#include <string.h>

#define LIMIT (INT64_MAX / 4)
enum { MOST_TERMS = 64, MOST_SIZE = 256, MOST_EASED = 32 };

struct np_dimtab {
    np_dim **slot;
    size_t cap, n;
    const np_dim **sym;
    int nsyms;
};

static int64_t clamp(int64_t v)
{
    return v > LIMIT ? LIMIT : v < -LIMIT ? -LIMIT : v;
}
static int64_t plus(int64_t a, int64_t b)
{
    return clamp(a + b); /* neither is beyond LIMIT, so the sum fits */
}
/* Of bounds: one that is out of reach stays there whatever is added. */
static int64_t bound_plus(int64_t a, int64_t b, int64_t beyond)
{
    return a == beyond || b == beyond ? beyond : plus(a, b);
}
static int64_t times(int64_t a, int64_t b)
{
    int64_t r;
    if (!__builtin_mul_overflow(a, b, &r)) return clamp(r);
    return (a < 0) == (b < 0) ? LIMIT : -LIMIT;
}
static int64_t ceil_div(int64_t a, int64_t k)
{
    return a / k + (a % k > 0);
}
static int64_t floor_div(int64_t a, int64_t k)
{
    return a / k - (a % k < 0);
}

/* ---- interning */
static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 31);
}
static uint64_t hash(const np_dim *d)
{
    uint64_t h = mix(mix(0, (uint64_t)d->kind), (uint64_t)d->k);
    for (const char *s = d->name; s && *s; s++) h = mix(h, (unsigned char)*s);
    for (int i = 0; i < d->nargs; i++) h = mix(h, d->arg[i]->id);
    return h;
}
static bool same(const np_dim *a, const np_dim *b)
{
    return a->kind == b->kind && a->k == b->k && a->name == b->name && a->nargs == b->nargs &&
           (a->nargs == 0 || memcmp(a->arg, b->arg, (size_t)a->nargs * sizeof *a->arg) == 0);
}
static np_dim **slot_of(struct np_dimtab *t, const np_dim *d)
{
    for (size_t i = hash(d);; i++) {
        np_dim **s = &t->slot[i & (t->cap - 1)];
        if (!*s || same(*s, d)) return s;
    }
}
static const np_dim *intern(np_cx *cx, np_dim d)
{
    struct np_dimtab *t = cx->dims;
    if (!t) t = cx->dims = np_arena_alloc(&cx->perm, sizeof *t);
    if (t->n * 2 >= t->cap) {
        struct np_dimtab old = *t;
        t->cap = old.cap ? old.cap * 2 : 256;
        t->slot = np_arena_array(&cx->perm, t->cap, sizeof *t->slot);
        for (size_t i = 0; i < old.cap; i++)
            if (old.slot[i]) *slot_of(t, old.slot[i]) = old.slot[i];
    }
    np_dim **s = slot_of(t, &d);
    if (*s) return *s;
    d.id = (uint32_t)t->n++;
    d.size = 1;
    for (int i = 0; i < d.nargs; i++) d.size += d.arg[i]->size;
    if (d.nargs) d.arg = np_arena_copy(&cx->perm, d.arg, (size_t)d.nargs * sizeof *d.arg);
    *s = np_arena_copy(&cx->perm, &d, sizeof d);
    if (d.kind == NP_DIM_SYM) {
        t->sym = np_arena_more(&cx->perm, t->sym, t->nsyms, sizeof *t->sym);
        t->sym[t->nsyms++] = *s;
    }
    return *s;
}

const np_dim *np_dim_const(np_cx *cx, int64_t k)
{
    return intern(cx, (np_dim){.kind = NP_DIM_CONST, .k = clamp(k)});
}
const np_dim *np_dim_sym(np_cx *cx, const char *name)
{
    return intern(cx, (np_dim){.kind = NP_DIM_SYM, .name = np_str_new(cx, name), .hi = INT32_MAX});
}
void np_dim_declare(np_cx *cx, const np_dim *sym, int64_t lo, int64_t hi, np_role role)
{
    np_dim *d = *slot_of(cx->dims, sym);
    d->lo = clamp(lo), d->hi = clamp(hi), d->role = role;
}
int np_dim_syms(np_cx *cx, const np_dim ***out)
{
    *out = cx->dims ? cx->dims->sym : NULL;
    return cx->dims ? cx->dims->nsyms : 0;
}

/* The canonical order of atoms and products. */
static int compare(const np_dim *a, const np_dim *b)
{
    if (a == b) return 0;
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a->kind == NP_DIM_SYM) return strcmp(a->name, b->name);
    if (a->nargs != b->nargs) return a->nargs < b->nargs ? -1 : 1;
    for (int i = 0; i < a->nargs; i++) {
        int c = compare(a->arg[i], b->arg[i]);
        if (c) return c;
    }
    return a->k < b->k ? -1 : 1;
}

/* ---- sums and products: a sum taken apart, worked on, put together again */
typedef struct term {
    int64_t k;
    int n;                     /* atoms */
    const np_dim *const *atom; /* where n > 1 */
    const np_dim *self;        /* the product with coefficient 1, or the atom; NULL for the constant */
} term;
typedef struct sum {
    int n;
    term t[MOST_TERMS];
    bool full; /* more terms than a dim may have */
} sum;

static term term_of(np_cx *cx, const np_dim *d)
{
    if (d->kind == NP_DIM_CONST) return (term){.k = d->k};
    if (d->kind != NP_DIM_MUL) return (term){.k = 1, .n = 1, .self = d};
    const np_dim *self =
        d->nargs == 1 ? d->arg[0]
                      : intern(cx, (np_dim){.kind = NP_DIM_MUL, .k = 1, .nargs = d->nargs, .arg = d->arg});
    return (term){.k = d->k, .n = d->nargs, .atom = d->arg, .self = self};
}

static void sum_add(sum *s, term t)
{
    if (t.k == 0) return;
    int i = 0;
    while (i < s->n && s->t[i].self != t.self) i++;
    if (i < s->n) {
        s->t[i].k = plus(s->t[i].k, t.k);
        if (s->t[i].k == 0) s->t[i] = s->t[--s->n];
    } else if (s->n < MOST_TERMS) {
        s->t[s->n++] = t;
    } else {
        s->full = true;
    }
}
static void sum_of(np_cx *cx, sum *s, const np_dim *d, int64_t by)
{
    if (d->kind != NP_DIM_ADD) {
        term t = term_of(cx, d);
        t.k = times(t.k, by);
        sum_add(s, t);
        return;
    }
    sum_add(s, (term){.k = times(d->k, by)});
    for (int i = 0; i < d->nargs; i++) sum_of(cx, s, d->arg[i], by);
}

static const np_dim *const *atoms(const term *t)
{
    return t->n == 1 ? &t->self : t->atom;
}
static const np_dim *product(np_cx *cx, int64_t k, int n, const np_dim *const *atom)
{
    if (n == 0) return np_dim_const(cx, k);
    if (n == 1 && k == 1) return atom[0];
    return intern(cx,
                  (np_dim){.kind = NP_DIM_MUL, .k = k, .nargs = n, .arg = (const np_dim **)(uintptr_t)atom});
}

static const np_dim *sum_make(np_cx *cx, sum *s)
{
    int size = 1;
    for (int i = 0; i < s->n; i++) size += s->t[i].self ? s->t[i].self->size + 1 : 0;
    if (s->full || size > MOST_SIZE) return np_dim_const(cx, LIMIT);
    const np_dim *arg[MOST_TERMS], *self[MOST_TERMS];
    int64_t k = 0;
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        if (!s->t[i].self) {
            k = s->t[i].k;
            continue;
        }
        int at = n++; /* by the product without its coefficient, so that 2*T and 3*T sort alike */
        for (; at > 0 && compare(s->t[i].self, self[at - 1]) < 0; at--) {
            arg[at] = arg[at - 1];
            self[at] = self[at - 1];
        }
        arg[at] = product(cx, s->t[i].k, s->t[i].n, atoms(&s->t[i]));
        self[at] = s->t[i].self;
    }
    if (n == 0) return np_dim_const(cx, k);
    if (n == 1 && k == 0) return arg[0];
    return intern(cx, (np_dim){.kind = NP_DIM_ADD, .k = k, .nargs = n, .arg = arg});
}

static const np_dim *linear(np_cx *cx, const np_dim *a, const np_dim *b, int64_t by)
{
    sum s = {0};
    sum_of(cx, &s, a, 1);
    sum_of(cx, &s, b, by);
    return sum_make(cx, &s);
}
const np_dim *np_dim_add(np_cx *cx, const np_dim *a, const np_dim *b)
{
    return linear(cx, a, b, 1);
}
const np_dim *np_dim_sub(np_cx *cx, const np_dim *a, const np_dim *b)
{
    return linear(cx, a, b, -1);
}

static term term_mul(np_cx *cx, term a, term b)
{
    term r = {.k = times(a.k, b.k), .n = a.n + b.n};
    if (r.n == 0 || r.k == 0) return (term){.k = r.k};
    const np_dim *const *x = atoms(&a), *const *y = atoms(&b);
    const np_dim **atom = np_arena_array(&cx->perm, (size_t)r.n, sizeof *atom);
    for (int i = 0, j = 0, o = 0; o < r.n; o++)
        atom[o] = j == b.n || (i < a.n && compare(x[i], y[j]) <= 0) ? x[i++] : y[j++];
    r.atom = atom;
    r.self = product(cx, 1, r.n, atom);
    return r;
}
const np_dim *np_dim_mul(np_cx *cx, const np_dim *a, const np_dim *b)
{
    sum x = {0}, y = {0}, s = {0};
    sum_of(cx, &x, a, 1);
    sum_of(cx, &y, b, 1);
    for (int i = 0; i < x.n; i++)
        for (int j = 0; j < y.n && !s.full; j++) sum_add(&s, term_mul(cx, x.t[i], y.t[j]));
    return sum_make(cx, &s);
}

/* ---- atoms */
/* ceil((g*x + c) / (g*k)) = ceil((x + ceil(c/g)) / k): divides the sum by the g it has in common with k. */
static int64_t reduce(sum *s, int64_t k)
{
    int64_t g = k;
    for (int i = 0; i < s->n; i++)
        for (int64_t v = s->t[i].self ? s->t[i].k : 0; v != 0;) {
            int64_t r = g % v;
            g = v, v = r;
        }
    if (g < 0) g = -g;
    for (int i = 0; i < s->n; i++) s->t[i].k = ceil_div(s->t[i].k, g); /* exact but for the constant */
    return k / g;
}
const np_dim *np_dim_ceil(np_cx *cx, const np_dim *a, int64_t k)
{
    if (k <= 1) return a;
    /* what k divides comes out: ceil((k*x + y)/k) = x + ceil(y/k) */
    sum s = {0}, out = {0}, in = {0};
    sum_of(cx, &s, a, 1);
    if (s.full) return np_dim_const(cx, LIMIT);
    for (int i = 0; i < s.n; i++) {
        term t = s.t[i], rest = t;
        t.k = t.self ? t.k / k : floor_div(t.k, k);
        rest.k -= t.k * k;
        sum_add(&out, t);
        sum_add(&in, rest);
    }
    const np_dim *whole = sum_make(cx, &out), *rest = sum_make(cx, &in);
    if (rest->kind == NP_DIM_CONST) return np_dim_add(cx, whole, np_dim_const(cx, ceil_div(rest->k, k)));
    int64_t less = reduce(&in, k);
    rest = sum_make(cx, &in);
    if (less != k) return np_dim_add(cx, whole, np_dim_ceil(cx, rest, less)); /* which may divide more */
    /* ceil((ceil(x/a) + c) / k) = ceil((x + a*c) / (a*k)) */
    const np_dim *inner = rest->kind == NP_DIM_ADD && rest->nargs == 1 ? rest->arg[0] : rest;
    int64_t c = rest == inner ? 0 : rest->k;
    if (inner->kind == NP_DIM_CEIL && times(inner->k, k) < LIMIT) {
        const np_dim *x = np_dim_add(cx, inner->arg[0], np_dim_const(cx, times(inner->k, c)));
        return np_dim_add(cx, whole, np_dim_ceil(cx, x, inner->k * k));
    }
    return np_dim_add(cx, whole, intern(cx, (np_dim){.kind = NP_DIM_CEIL, .k = k, .nargs = 1, .arg = &rest}));
}
const np_dim *np_dim_floor(np_cx *cx, const np_dim *a, int64_t k)
{
    return np_dim_ceil(cx, np_dim_sub(cx, a, np_dim_const(cx, k - 1)), k);
}

static const np_dim *extreme(np_cx *cx, const np_dim *a, const np_dim *b, np_dimkind kind)
{
    if (np_dim_le(cx, a, b)) return kind == NP_DIM_MIN ? a : b;
    if (np_dim_le(cx, b, a)) return kind == NP_DIM_MIN ? b : a;
    if (a->size + b->size >= MOST_SIZE) return np_dim_const(cx, LIMIT);
    bool turn = a->kind == NP_DIM_CONST || (b->kind != NP_DIM_CONST && compare(b, a) < 0); /* numbers last */
    const np_dim *arg[2] = {turn ? b : a, turn ? a : b};
    return intern(cx, (np_dim){.kind = kind, .nargs = 2, .arg = arg});
}
const np_dim *np_dim_min(np_cx *cx, const np_dim *a, const np_dim *b)
{
    return extreme(cx, a, b, NP_DIM_MIN);
}
const np_dim *np_dim_max(np_cx *cx, const np_dim *a, const np_dim *b)
{
    return extreme(cx, a, b, NP_DIM_MAX);
}

/* ---- questions */
bool np_dim_int(const np_dim *d, int64_t *out)
{
    if (d->kind != NP_DIM_CONST) return false;
    *out = d->k;
    return true;
}
bool np_dim_is(const np_dim *d, int64_t k)
{
    return d->kind == NP_DIM_CONST && d->k == k;
}

static void range_mul(int64_t *lo, int64_t *hi, int64_t l, int64_t h)
{
    int64_t v[4] = {times(*lo, l), times(*lo, h), times(*hi, l), times(*hi, h)};
    *lo = *hi = v[0];
    for (int i = 1; i < 4; i++) {
        if (v[i] < *lo) *lo = v[i];
        if (v[i] > *hi) *hi = v[i];
    }
}
/* A sum whose ceils give way to what they round: T - 8*floor(T/8), what is left
 * over behind whole blocks of 8, is T - 8*(T/8) and at most 7 more, so T cancels.
 * Only for small forms: their atoms are looked at twice at every depth. */
typedef struct flat {
    int n;
    int64_t lo, hi; /* the constant */
    struct {
        int64_t k;
        const np_dim *of; /* a symbol or another atom; a product, whose coefficient does not count */
    } t[MOST_TERMS];
    bool ok, eased; /* it fits; a ceil gave way */
} flat;
static bool same_atoms(const np_dim *a, const np_dim *b)
{
    return a == b || (a->kind == NP_DIM_MUL && b->kind == NP_DIM_MUL && a->nargs == b->nargs &&
                      memcmp(a->arg, b->arg, (size_t)a->nargs * sizeof *a->arg) == 0);
}
static void flatten(flat *f, const np_dim *d, int64_t by)
{
    const np_dim *one = d->kind == NP_DIM_MUL && d->nargs == 1 ? d->arg[0] : d;
    int64_t k = d->kind == NP_DIM_MUL ? times(by, d->k) : by;
    if (one->kind == NP_DIM_CONST || one->kind == NP_DIM_ADD) {
        f->lo = bound_plus(f->lo, times(k, one->k), -LIMIT),
        f->hi = bound_plus(f->hi, times(k, one->k), LIMIT);
        for (int i = 0; i < one->nargs; i++) flatten(f, one->arg[i], k);
        return;
    }
    if (one->kind == NP_DIM_CEIL && k % one->k == 0) { /* e/k <= ceil(e/k) <= (e + k-1) / k */
        int64_t part = k / one->k, most = times(part, one->k - 1);
        f->lo = bound_plus(f->lo, most < 0 ? most : 0, -LIMIT),
        f->hi = bound_plus(f->hi, most > 0 ? most : 0, LIMIT);
        f->eased = true;
        flatten(f, one->arg[0], part);
        return;
    }
    int i = 0;
    while (i < f->n && !same_atoms(f->t[i].of, one)) i++;
    if (i == MOST_TERMS) {
        f->ok = false;
        return;
    }
    if (i == f->n) f->n++, f->t[i].k = 0, f->t[i].of = one;
    f->t[i].k = plus(f->t[i].k, k);
}
static void range_eased(const np_dim *d, int64_t *lo, int64_t *hi)
{
    flat f = {.ok = true};
    flatten(&f, d, 1);
    if (!f.ok || !f.eased) return;
    for (int i = 0; i < f.n; i++) {
        const np_dim *x = f.t[i].of;
        int64_t l = f.t[i].k, h = l, a, b;
        for (int j = 0; j < (x->kind == NP_DIM_MUL ? x->nargs : 1); j++) {
            np_dim_range(x->kind == NP_DIM_MUL ? x->arg[j] : x, &a, &b);
            range_mul(&l, &h, a, b);
        }
        if (f.t[i].k == 0) l = h = 0;
        f.lo = bound_plus(f.lo, l, -LIMIT), f.hi = bound_plus(f.hi, h, LIMIT);
    }
    if (f.lo > *lo) *lo = f.lo;
    if (f.hi < *hi) *hi = f.hi;
}
void np_dim_range(const np_dim *d, int64_t *lo, int64_t *hi)
{
    int64_t l, h;
    *lo = *hi = d->k;
    if (d->kind == NP_DIM_SYM)
        *lo = d->lo, *hi = d->hi;
    else if (d->kind == NP_DIM_CEIL) {
        np_dim_range(d->arg[0], &l, &h);
        *lo = l == -LIMIT ? l : ceil_div(l, d->k);
        *hi = h == LIMIT ? h : ceil_div(h, d->k);
    } else if (d->kind == NP_DIM_MIN || d->kind == NP_DIM_MAX) {
        np_dim_range(d->arg[0], lo, hi);
        np_dim_range(d->arg[1], &l, &h);
        bool least = d->kind == NP_DIM_MIN;
        if ((l < *lo) == least) *lo = l;
        if ((h < *hi) == least) *hi = h;
    } else {
        for (int i = 0; i < d->nargs; i++) {
            np_dim_range(d->arg[i], &l, &h);
            if (d->kind == NP_DIM_MUL)
                range_mul(lo, hi, l, h);
            else
                *lo = bound_plus(*lo, l, -LIMIT), *hi = bound_plus(*hi, h, LIMIT);
        }
        if (d->kind == NP_DIM_ADD && d->size <= MOST_EASED) range_eased(d, lo, hi);
    }
}
bool np_dim_le(np_cx *cx, const np_dim *a, const np_dim *b)
{
    int64_t lo, hi;
    if (a == b) return true;
    np_dim_range(np_dim_sub(cx, a, b), &lo, &hi);
    return hi <= 0;
}
bool np_dim_has(const np_dim *d, const np_dim *sym)
{
    for (int i = 0; i < d->nargs; i++)
        if (np_dim_has(d->arg[i], sym)) return true;
    return d == sym;
}

/* The term without the atoms of `by`; false if one is missing. */
static bool term_quot(np_cx *cx, term t, term by, term *out)
{
    if (by.k == 0 || t.k % by.k != 0) return false;
    const np_dim *const *x = atoms(&t), *const *y = atoms(&by);
    const np_dim **rest = np_arena_array(&cx->perm, (size_t)t.n + 1, sizeof *rest);
    int n = 0, j = 0;
    for (int i = 0; i < t.n; i++) {
        if (j < by.n && x[i] == y[j])
            j++;
        else
            rest[n++] = x[i];
    }
    *out = (term){.k = t.k / by.k, .n = n, .atom = rest};
    out->self = n ? product(cx, 1, n, rest) : NULL;
    return j == by.n;
}
const np_dim *np_dim_quot(np_cx *cx, const np_dim *d, const np_dim *by)
{
    sum s = {0}, den = {0}, q = {0};
    term one;
    sum_of(cx, &s, d, 1);
    sum_of(cx, &den, by, 1);
    if (den.n == 0 || s.full || den.full) return NULL;
    if (s.n == 0) return d;
    for (int i = 0; den.n > 1 && i < s.n; i++) { /* by a sum: one term times all of it, as merge makes it */
        if (!term_quot(cx, s.t[i], den.t[0], &one)) continue;
        const np_dim *r = product(cx, one.k, one.n, atoms(&one));
        if (np_dim_mul(cx, r, by) == d) return r;
    }
    if (den.n > 1) return NULL;
    for (int i = 0; i < s.n; i++) {
        if (!term_quot(cx, s.t[i], den.t[0], &one)) return NULL;
        sum_add(&q, one);
    }
    return sum_make(cx, &q);
}

const np_dim *np_dim_subst(np_cx *cx, const np_dim *d, const np_dim *sym, const np_dim *by)
{
    if (d == sym) return by;
    if (!np_dim_has(d, sym)) return d;
    const np_dim *x = np_dim_subst(cx, d->arg[0], sym, by);
    if (d->kind == NP_DIM_CEIL) return np_dim_ceil(cx, x, d->k);
    if (d->kind == NP_DIM_MIN) return np_dim_min(cx, x, np_dim_subst(cx, d->arg[1], sym, by));
    if (d->kind == NP_DIM_MAX) return np_dim_max(cx, x, np_dim_subst(cx, d->arg[1], sym, by));
    const np_dim *k = np_dim_const(cx, d->k);
    x = d->kind == NP_DIM_MUL ? np_dim_mul(cx, k, x) : np_dim_add(cx, k, x);
    for (int i = 1; i < d->nargs; i++) {
        const np_dim *y = np_dim_subst(cx, d->arg[i], sym, by);
        x = d->kind == NP_DIM_MUL ? np_dim_mul(cx, x, y) : np_dim_add(cx, x, y);
    }
    return x;
}

void np_env_set(np_env *e, const np_dim *sym, int64_t value)
{
    int i = 0;
    while (i < e->n && e->sym[i] != sym) i++;
    if (i == (int)NP_LEN(e->sym)) return;
    e->sym[i] = sym, e->value[i] = value;
    if (i == e->n) e->n++;
}
bool np_env_get(const np_env *e, const np_dim *sym, int64_t *out)
{
    for (int i = 0; i < e->n; i++)
        if (e->sym[i] == sym) {
            *out = e->value[i];
            return true;
        }
    return false;
}
bool np_dim_eval(const np_dim *d, const np_env *e, int64_t *out)
{
    int64_t v, r = d->k;
    if (d->kind == NP_DIM_SYM) return np_env_get(e, d, out);
    for (int i = 0; i < d->nargs; i++) {
        if (!np_dim_eval(d->arg[i], e, &v)) return false;
        if (d->kind == NP_DIM_CEIL)
            r = ceil_div(v, d->k);
        else if (d->kind == NP_DIM_MUL)
            r = times(r, v);
        else if (d->kind == NP_DIM_ADD)
            r = plus(r, v);
        else if (i == 0)
            r = v;
        else
            r = (d->kind == NP_DIM_MIN) == (v < r) ? v : r;
    }
    *out = r;
    return true;
}

/* ---- text */
static void put(np_text *o, const np_dim *d)
{
    if (d->kind == NP_DIM_CONST)
        np_text_add(o, "%lld", (long long)d->k);
    else if (d->kind == NP_DIM_SYM)
        np_text_add(o, "%s", d->name);
    else if (d->kind == NP_DIM_CEIL) {
        bool wrap = d->arg[0]->kind == NP_DIM_ADD;
        np_text_add(o, wrap ? "ceil((" : "ceil(");
        put(o, d->arg[0]);
        np_text_add(o, "%s/%lld)", wrap ? ")" : "", (long long)d->k);
    } else if (d->kind == NP_DIM_MIN || d->kind == NP_DIM_MAX) {
        np_text_add(o, d->kind == NP_DIM_MIN ? "min(" : "max(");
        put(o, d->arg[0]);
        np_text_add(o, ",");
        put(o, d->arg[1]);
        np_text_add(o, ")");
    } else if (d->kind == NP_DIM_MUL) {
        if (d->k != 1) np_text_add(o, "%lld*", (long long)d->k);
        for (int i = 0; i < d->nargs; i++) {
            if (i) np_text_add(o, "*");
            put(o, d->arg[i]);
        }
    } else {
        for (int i = 0; i < d->nargs; i++) {
            bool minus = d->arg[i]->kind == NP_DIM_MUL && d->arg[i]->k < 0;
            if (i && !minus) np_text_add(o, "+");
            put(o, d->arg[i]);
        }
        if (d->k) np_text_add(o, "%+lld", (long long)d->k);
    }
}
void np_dim_text(np_text *out, const np_dim *d)
{
    put(out, d);
}
np_str np_dim_str(np_cx *cx, const np_dim *d)
{
    np_text t = {0};
    np_dim_text(&t, d);
    np_str s = np_str_len(cx, t.s, t.n);
    np_text_free(&t);
    return s;
}
