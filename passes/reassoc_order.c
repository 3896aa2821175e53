/* reassoc: TENSOR to TENSOR, over every entry. Three factors of which two are
 * contracted first, x = a b and then c with x, give the same sums in three orders:
 *
 *   (q k') v  =  q (k' v)        (x A) B  =  x (A B)        sum over j of q k'  =  q (sum over j of k')
 *
 * The order that takes the fewest multiplications wins. Where that depends on a size
 * which is known only at run time both are kept, in a `cond` on that size: the
 * threshold is the first size at which the other order takes less. Number factors
 * between the two sums go behind them. The product of two maps that depend on weights
 * alone costs nothing: the build makes it (made.c).
 *
 * A plan is made over the old function first: x itself is only left out if whoever
 * reads it is done in another order, at least sometimes, and then computes it itself. */
#include "made.h"
#include "reassoc.h"

#include <math.h>
#include <string.h>

static const double FEW = 4096; /* multiplications that are not worth two forms */
enum { MOST = 1 << 22 };        /* a size that no bound limits */

typedef struct chain {
    np_product p;   /* letters and their order */
    int n;          /* factors: 2 under a reduction */
    np_factor f[3]; /* a and b of x, then what x meets; old nodes */
    const np_node *x;
    np_mod *mod;
    double scale;
    const np_dim *size; /* the symbol that its sizes depend on, or NULL */
    int low, high;      /* orders that win below and from `from` on; 0: as it is */
    int64_t from;
} chain;
typedef struct plans {
    const np_fn *f;
    chain **of; /* by old id: the sum that is done in another order */
    bool *sunk; /* by old id: left out, who needs it makes it */
    bool both;  /* may a size decide at run time? */
    int found;
    np_arena mem;
} plans;

/* ---- finding */
static char letter(np_product *p, const np_dim *d)
{
    if (p->nletters == NP_LETTERS) return 0;
    p->dim[p->nletters] = d;
    return (char)('a' + p->nletters++);
}
static bool is_number(const np_node *n)
{
    return n->op == NP_CONST && !n->data && isfinite(n->num) && n->num != 0;
}
static bool is_float(const np_node *n)
{
    return n->type->dtype == NP_F32 || n->type->dtype == NP_F64;
}
/* The contraction behind number factors. */
const np_node *np_product_behind(const np_node *n, double *scale)
{
    *scale = 1;
    for (;; n = n->arg[0]) {
        if (n->op == NP_MUL && is_number(n->arg[1]))
            *scale *= n->arg[1]->num;
        else if (n->op == NP_DIV && is_number(n->arg[1]))
            *scale /= n->arg[1]->num;
        else if (n->op == NP_NEG)
            *scale = -*scale;
        else
            return n->op == NP_CONTRACT && is_float(n) ? n : NULL;
    }
}
/* Letters for the axes of operand i of a contraction; own: by letter of its spec. */
bool np_product_operand(np_product *p, const np_node *n, int i, char *own, char *at)
{
    const char *spec = i ? strchr(n->sym, ',') + 1 : n->sym;
    int k = 0;
    for (; spec[k] != ',' && spec[k] != '-'; k++) {
        char *c = &own[(int)spec[k]];
        if (!*c) {
            if (!(*c = letter(p, n->arg[i]->type->dim[k]))) return false;
            p->sum[strlen(p->sum)] = *c;
        }
        at[k] = *c;
    }
    at[k] = 0;
    return true;
}
void np_product_order(np_product *p) /* sums before the last axis, along which lanes run */
{
    char *o = p->order;
    size_t n = strlen(p->out);
    for (size_t i = 0; i + 1 < n; i++) *o++ = p->out[i];
    o = stpcpy(o, p->sum);
    if (n) *o++ = p->out[n - 1];
    *o = 0;
}
/* side: which operand of n is the inner sum. */
static bool find_chain(chain *c, const np_node *n, int side)
{
    np_product *p = &c->p;
    char own[128] = {0}, inner[128] = {0}, at[2][NP_RANK + 1];
    const np_node *x = np_product_behind(n->arg[side], &c->scale);
    p->dtype = n->type->dtype;
    if (!x || !np_is_sum(x) || !np_is_sum(n) || !is_float(n) || x->in != n->in)
        return false; /* in a body x may be made once for all steps */
    for (int i = 0; i < n->type->rank; i++) p->out[i] = letter(p, n->type->dim[i]);
    if (n->op == NP_REDUCE) {
        int k = (int)n->attr[0]->k;
        p->sum[0] = letter(p, n->arg[0]->type->dim[k]);
        snprintf(at[0], sizeof at[0], "%.*s%c%s", k, p->out, p->sum[0], p->out + k);
    } else {
        const char *out = strstr(n->sym, "->") + 2;
        for (int i = 0; out[i]; i++) own[(int)out[i]] = p->out[i];
        if (!np_product_operand(p, n, 0, own, at[0]) || !np_product_operand(p, n, 1, own, at[1])) return false;
    }
    const char *out = strstr(x->sym, "->") + 2;
    for (int i = 0; out[i]; i++) inner[(int)out[i]] = at[side][i];
    for (int i = 0; i < 2; i++) {
        char is[NP_RANK + 1];
        if (!np_product_operand(p, x, i, inner, is)) return false;
        c->f[i] = np_factor_of(x->arg[i], is);
    }
    c->n = 2;
    if (n->op == NP_CONTRACT) c->f[c->n++] = np_factor_of(n->arg[!side], at[!side]);
    c->x = x;
    np_product_order(p);
    return p->nletters <= NP_RANK;
}

/* ---- counting */
static const int first[3][3] = {{0, 1, 2}, {0, 2, 1}, {1, 2, 0}}; /* which two, and the one that is left */
static void join(const char *a, const char *b, const char *kept, char *out) /* kept NULL: all */
{
    int k = 0;
    for (; *a; a++)
        if (!kept || strchr(kept, *a)) out[k++] = *a;
    out[k] = 0;
    for (; *b; b++)
        if ((!kept || strchr(kept, *b)) && !strchr(out, *b)) out[k++] = *b, out[k] = 0;
}
static double count(const chain *c, const char *at, int64_t size)
{
    np_env e = {0};
    double n = 1;
    int64_t v = 1;
    if (c->size) np_env_set(&e, c->size, size);
    for (; *at; at++) n *= np_dim_eval(c->p.dim[*at - 'a'], &e, &v) ? (double)v : INFINITY;
    return n;
}

static double cost(const chain *c, int order, int64_t size)
{
    char all[2 * NP_RANK + 1], kept[3 * NP_RANK + 1], made[2 * NP_RANK + 1];
    const char *out = c->p.out;
    if (c->n == 3) {
        const np_factor *a = &c->f[first[order][0]], *b = &c->f[first[order][1]], *d = &c->f[first[order][2]];
        join(a->at, b->at, NULL, all);
        join(out, d->at, NULL, kept);
        join(a->at, b->at, kept, made);
        double n = count(c, all, size);
        if (np_made_product(c->mod, a->n, b->n, n)) n = 0;
        join(made, d->at, NULL, all);
        return n + count(c, all, size);
    }
    join(c->f[0].at, c->f[1].at, NULL, all);
    if (order == 0) {
        snprintf(kept, sizeof kept, "%s%c", out, c->p.sum[0]);
        return count(c, all, size) + count(c, kept, size);
    }
    for (char *q = all, *r = all;; r++)
        if (*r != c->p.sum[0] && !(*q++ = *r)) break;
    return count(c, c->f[order - 1].at, size) + count(c, all, size);
}
/* Does the first of its two sums sum anything? Of a reduction: is the letter in one factor alone? */
static bool possible(const chain *c, int order)
{
    if (order == 0) return true;
    if (c->n == 2) return strchr(c->f[order - 1].at, c->p.sum[0]) && !strchr(c->f[2 - order].at, c->p.sum[0]);
    const np_factor *a = &c->f[first[order][0]], *b = &c->f[first[order][1]], *d = &c->f[first[order][2]];
    for (const char *s = c->p.sum; *s; s++)
        if ((strchr(a->at, *s) || strchr(b->at, *s)) && !strchr(d->at, *s)) return true;
    return false;
}
static bool find_size(chain *c, np_cx *cx)
{
    const np_dim **sym;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++)
        for (int k = 0; k < c->p.nletters; k++) {
            if (!np_dim_has(c->p.dim[k], sym[i]) || c->size == sym[i]) continue;
            if (c->size) return false;
            c->size = sym[i];
        }
    return true;
}
/* The first size at which `high` takes less than `low`. */
static int64_t threshold(const chain *c, int64_t lo, int64_t hi)
{
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (cost(c, c->high, mid) < cost(c, c->low, mid))
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}
static int best(const chain *c, int64_t size)
{
    int order = 0;
    for (int i = 1; i < 3; i++)
        if (possible(c, i) && cost(c, i, size) < cost(c, order, size)) order = i;
    return order;
}
static double regret(const chain *c, int64_t lo) /* of taking `high` below `from` */
{
    double most = 0;
    for (int64_t i = 0; i < 8; i++) {
        int64_t v = lo + (c->from - lo) * i / 8;
        most = fmax(most, cost(c, c->high, v) - cost(c, c->low, v));
    }
    return most;
}
/* False: as it stands is best. */
static bool decide(chain *c, np_cx *cx)
{
    if (!find_size(c, cx)) return false;
    int64_t lo = c->size && c->size->lo > 1 ? c->size->lo : 1,
            hi = c->size && c->size->hi < MOST ? c->size->hi : MOST;
    if (hi < lo) return false;
    c->low = best(c, lo), c->high = best(c, hi);
    c->from = threshold(c, lo, hi);
    if (regret(c, lo) <= (double)FEW) c->low = c->high;
    return c->low || c->high;
}

/* ---- planning */
typedef struct readers { /* of one node, all of them planned? */
    const plans *w;
    const np_node *of, *x;
    bool planned;
} readers;

static bool all_planned(const plans *w, const np_node *n, const np_node *x);

static void judge(void *env, const np_node *n)
{
    readers *r = env;
    bool reads = false;
    for (int i = 0; i < n->nargs; i++) reads |= n->arg[i] == r->of;
    if (!reads || !r->planned) return;
    const chain *c = r->w->of[n->id];
    bool passes_on = n->op == NP_NEG || ((n->op == NP_MUL || n->op == NP_DIV) && is_number(n->arg[1]));
    r->planned = c ? c->x == r->x : passes_on && all_planned(r->w, n, r->x);
}
static bool all_planned(const plans *w, const np_node *n, const np_node *x)
{
    readers r = {.w = w, .of = n, .x = x, .planned = true};
    np_fn_walk(w->f, judge, &r);
    return r.planned;
}
static bool sums(const np_node *n)
{
    return n->op == NP_CONTRACT || (n->op == NP_REDUCE && strcmp(n->sym, "sum") == 0);
}
static const char *called(const np_node *n)
{
    return n->op == NP_WEIGHT ? n->sym : n->name ? n->name : np_op_info(n->op)->text;
}
/* x A B, which is cheaper than x (A B). */
static void note_apart(const chain *c, const np_node *n, const np_fn *f)
{
    for (int i = 1; c->n == 3 && i < 3; i++) {
        const np_node *a = c->f[first[i][0]].n, *b = c->f[first[i][1]].n;
        if (np_made_product(c->mod, a, b, 0) && possible(c, i))
            np_note(f->cx, n->loc, "the maps %s and %s stay two: their product would take more",
                    called(a), called(b));
    }
}
static void plan_node(void *env, const np_node *n)
{
    plans *w = env;
    double scale;
    for (int side = 0; sums(n) && side < n->nargs && !w->of[n->id]; side++) {
        chain *c = np_arena_alloc(&w->mem, sizeof *c);
        c->mod = w->f->mod;
        if (!find_chain(c, n, side) || w->of[c->x->id]) continue; /* x is in another order itself */
        if (n->nargs == 2 && np_product_behind(n->arg[!side], &scale) == c->x) continue;
        bool other = decide(c, w->f->cx);
        if (!other) note_apart(c, n, w->f);
        if (other && (w->both || c->low == c->high)) w->of[n->id] = c;
    }
}
/* Where someone else needs x as well, nothing is gained. */
static void settle(void *env, const np_node *n)
{
    plans *w = env;
    if (w->of[n->id] && !all_planned(w, w->of[n->id]->x, w->of[n->id]->x)) w->of[n->id] = NULL;
}
static void mark_sunk(void *env, const np_node *n)
{
    plans *w = env;
    const chain *c = w->of[n->id];
    double scale;
    w->found += c != NULL;
    for (int i = 0; c && i < n->nargs; i++) {
        const np_node *m = n->arg[i];
        if (np_product_behind(m, &scale) != c->x) continue;
        for (; m != c->x; m = m->arg[0]) w->sunk[m->id] = true;
        w->sunk[m->id] = true;
    }
}

/* ---- making */
/* What has the first axis of the result stands first. */
static np_factor pair(const np_product *p, np_factor a, np_factor b, const char *kept)
{
    bool turn = *p->out && strchr(b.at, *p->out) && !strchr(a.at, *p->out);
    return turn ? np_factor_times(p, b, a, kept) : np_factor_times(p, a, b, kept);
}
static np_node *make(chain *c, int order)
{
    np_product *p = &c->p;
    np_factor r, x;
    char kept[NP_LETTERS + 1];
    if (c->n == 3) {
        const np_factor *a = &c->f[first[order][0]], *b = &c->f[first[order][1]], *d = &c->f[first[order][2]];
        np_factor_union(p, p->out, d->at, kept);
        x = pair(p, *a, *b, kept);
        r = pair(p, x, *d, p->out);
    } else if (order == 0) {
        snprintf(kept, sizeof kept, "%s%c", p->out, p->sum[0]);
        r = np_factor_sum(p, np_factor_times(p, c->f[0], c->f[1], kept), p->out);
    } else {
        np_factor one = c->f[order - 1], other = c->f[2 - order];
        np_factor_union(p, p->out, other.at, kept);
        r = pair(p, np_factor_sum(p, one, kept), other, p->out);
    }
    r = np_factor_sum(p, r, p->out);
    if (c->scale != 1) r.n = np_build_2(p->b, NP_MUL, r.n, np_build_num(p->b, r.n->type, c->scale));
    return np_factor_as(p, &r, p->out);
}
static np_node *either(chain *c)
{
    np_build *b = c->p.b;
    np_loc loc = b->loc;
    np_node *size = np_build_size(b, c->size);
    np_node *large = np_build_2(b, NP_LT, np_build_num(b, size->type, (double)(c->from - 1)), size);
    np_node *r = np_build_open(b, NP_COND, 1, &large, NULL), *y;
    y = make(c, c->high);
    np_build_else(b, r, 1, &y);
    y = make(c, c->low);
    r = np_build_close(b, r, 1, &y);
    b->loc = loc;
    return r;
}
static void note(const chain *c, const np_node *n, const np_fn *f)
{
    np_cx *cx = f->cx;
    int64_t size = c->size && c->size->hi < MOST ? c->size->hi : MOST;
    np_str at =
        c->size ? np_str_fmt(cx, " where %s is %lld", c->size->name, (long long)size) : np_str_new(cx, "");
    double now = cost(c, c->high, size), was = cost(c, 0, size);
    if (c->low != c->high)
        np_note(cx, n->loc, "@%s: contracted in one order where %s is below %lld, in another from there on",
                f->name, c->size->name, (long long)c->from);
    else
        np_note(cx, n->loc, "@%s: contracted in another order: %.3g multiplications and not %.3g%s", f->name,
                now, was, at);
}
static np_node *order_rule(np_rw *rw, const np_node *old, np_node *const *arg)
{
    plans *w = rw->env;
    chain *c = w->of[old->id];
    (void)arg;
    if (w->sunk[old->id])
        return np_build_num(rw->b, np_type_scalar(rw->b->cx, NP_F32), NAN); /* read by nobody */
    if (!c) return NULL;
    c->p.b = rw->b;
    for (int i = 0; i < c->n; i++) c->f[i].n = np_rewrite_get(rw, c->f[i].n);
    note(c, old, rw->old);
    return c->low == c->high ? make(c, c->high) : either(c);
}
/* One round; NULL: nothing was found. */
static np_fn *reorder(const np_fn *f, bool both)
{
    plans w = {.f = f, .both = both};
    np_fn *r = NULL;
    w.of = np_arena_array(&w.mem, f->nnodes + 1, sizeof *w.of);
    w.sunk = np_arena_array(&w.mem, f->nnodes + 1, sizeof *w.sunk);
    np_fn_walk(f, plan_node, &w);
    np_fn_walk(f, settle, &w);
    np_fn_walk(f, mark_sunk, &w);
    if (w.found) r = np_rewrite(f, order_rule, &w);
    np_arena_free(&w.mem);
    return r;
}
/* Each round takes less than the one before it, so they end; what a size decides comes last, once. */
np_fn *np_reassoc_run(const np_fn *f, const np_knobs *k)
{
    np_fn *r = np_reassoc_matrices(f), *next;
    (void)k;
    while ((next = np_reassoc_maps(r ? r : f))) {
        np_fn_free(r);
        r = next;
    }
    for (int both = 0; both < 2; both++)
        while ((next = reorder(r ? r : f, both))) {
            np_fn_free(r);
            r = next;
            if (both) break;
        }
    return r ? r : np_fn_copy(f);
}
