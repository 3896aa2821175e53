/* reassoc, added maps: TENSOR to TENSOR. Linear maps of one value that are added are
 * one map, if each depends on weights alone:
 *
 *   x W + s ((x A) B)  =  x (W + s A B)
 *
 * The build makes the matrix (made.c), so a call takes one contraction; a correction
 * of low rank costs nothing. Taken where the one map takes fewer multiplications than
 * the two and is no larger than what they are made of. Summands in between stay.
 *
 * A summand is a map if behind number factors it is a contraction of some x with a
 * value that depends on weights alone, or of such a contraction again. */
#include "made.h"
#include "reassoc.h"

#include <string.h>

enum { LEVELS = 3, SUMMANDS = 16 };

typedef struct map {
    const np_node *x;
    char at[NP_RANK + 1]; /* letters of x */
    int n;
    np_factor f[LEVELS]; /* old nodes */
    double scale, cost;
    char made[NP_LETTERS + 1]; /* letters of the matrix */
} map;
typedef struct pair {
    np_product p; /* letters */
    map m[2];
    int i, j; /* which summands */
    int nsummands;
    const np_node *summand[SUMMANDS];
} pair;
typedef struct adding {
    const np_fn *f;
    const int *uses;
    bool *inner; /* by id: a sum inside of a sum */
    pair **of;   /* by id of the outermost sum */
    int found;
    np_arena mem;
} adding;

/* ---- finding */
static double size_of(const np_product *p, const char *at)
{
    double n = 1;
    int64_t k;
    for (; *at; at++) n *= np_dim_int(p->dim[*at - 'a'], &k) ? (double)k : 1; /* what varies is in all */
    return n;
}
static void add_letters(char *all, const char *more)
{
    for (size_t k = strlen(all); *more; more++)
        if (!strchr(all, *more)) all[k++] = *more, all[k] = 0;
}
/* One contraction of *n with a value of weights, as a factor; *n is what is left. */
static bool take_factor(const adding *a, np_product *p, map *m, const np_node **n)
{
    const np_node *c = *n;
    if (c->op != NP_CONTRACT || m->n == LEVELS) return false;
    int side = np_made_factor(a->f->mod, c->arg[1]) ? 1 : 0;
    if (!np_made_factor(a->f->mod, c->arg[side]) || np_made_factor(a->f->mod, c->arg[!side])) return false;
    char own[128] = {0}, at[2][NP_RANK + 1], all[2 * NP_RANK + 1] = "";
    const char *out = strstr(c->sym, "->") + 2;
    for (int i = 0; out[i]; i++) own[(int)out[i]] = m->at[i];
    for (int i = 0; i < 2; i++)
        if (!np_product_operand(p, c, i, own, at[i])) return false;
    add_letters(all, at[side]);
    if (strlen(all) != strlen(at[side])) return false; /* a diagonal */
    add_letters(all, at[!side]);
    m->cost += size_of(p, all);
    m->f[m->n++] = np_factor_of(c->arg[side], at[side]);
    strcpy(m->at, at[!side]);
    *n = c->arg[!side];
    return true;
}
static bool find_map(const adding *a, np_product *p, map *m, const np_node *n, const np_node *sum)
{
    *m = (map){0};
    for (const np_node *k = n; k->op != NP_CONTRACT; k = k->arg[0])
        if (k->nargs == 0 || a->uses[k->id] != 1 || k->in != sum->in) return false;
    n = np_product_behind(n, &m->scale);
    strcpy(m->at, p->out);
    while (n && n->in == sum->in && a->uses[n->id] == 1 && take_factor(a, p, m, &n)) {
    }
    m->x = n;
    return m->n > 0;
}
static void rename_letter(map *m, char was, char now)
{
    for (int i = 0; i < m->n; i++)
        for (char *c = m->f[i].at; *c; c++)
            if (*c == was) *c = now;
}
/* The letters of x are those of the first. */
static bool same_letters(const np_product *p, const map *first, map *m)
{
    for (int k = 0; m->at[k]; k++) {
        char was = m->at[k], now = first->at[k];
        if (was == now) continue;
        if (!strchr(p->sum, was) || !strchr(p->sum, now)) return false;
        rename_letter(m, was, now);
        m->at[k] = now;
    }
    return true;
}
static void find_made(const np_product *p, map *m)
{
    char all[NP_LETTERS + 1] = "", kept[NP_LETTERS + 1] = "";
    for (int i = 0; i < m->n; i++) add_letters(all, m->f[i].at);
    add_letters(kept, p->out), add_letters(kept, m->at);
    for (size_t i = 0, k = 0; all[i] && k < NP_LETTERS; i++)
        if (strchr(kept, all[i])) m->made[k++] = all[i];
}
static bool same_set(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && strspn(a, b) == strlen(a);
}
static bool is_cheaper(const pair *q)
{
    char all[NP_LETTERS + 1] = "";
    double room = 0, made = size_of(&q->p, q->m[0].made);
    for (int i = 0; i < 2; i++) {
        char own[NP_LETTERS + 1] = "";
        for (int k = 0; k < q->m[i].n; k++) {
            room += size_of(&q->p, q->m[i].f[k].at);
            add_letters(own, q->m[i].f[k].at);
        }
        if (size_of(&q->p, own) > NP_MADE_MOST) return false;
    }
    add_letters(all, q->p.out), add_letters(all, q->m[0].at);
    double work = size_of(&q->p, all);
    return made <= room && work < q->m[0].cost + q->m[1].cost;
}
static bool find_pair(const adding *a, pair *q, const np_node *sum)
{
    np_product *p = &q->p;
    const np_type *t = sum->type;
    *p = (np_product){0};
    for (int i = 0; i < t->rank && i < NP_RANK; i++) p->dim[i] = t->dim[i], p->out[i] = (char)('a' + i);
    p->nletters = t->rank;
    for (int i = 0; i < 2; i++)
        if (!find_map(a, p, &q->m[i], q->summand[i ? q->j : q->i], sum)) return false;
    if (q->m[0].x != q->m[1].x || !same_letters(p, &q->m[0], &q->m[1])) return false;
    for (int i = 0; i < 2; i++) find_made(p, &q->m[i]);
    np_product_order(p);
    return p->nletters <= NP_RANK && same_set(q->m[0].made, q->m[1].made) && is_cheaper(q);
}
static bool is_inner(const adding *a, const np_node *n, const np_node *sum)
{
    return n->op == NP_ADD && a->uses[n->id] == 1 && n->in == sum->in && n->type == sum->type;
}
static void list_summands(adding *a, pair *q, const np_node *n, const np_node *sum)
{
    for (int i = 0; i < 2; i++) {
        const np_node *x = n->arg[i];
        bool inner = is_inner(a, x, sum);
        if (inner) a->inner[x->id] = true;
        if (inner && q->nsummands < SUMMANDS - 2)
            list_summands(a, q, x, sum);
        else
            q->summand[q->nsummands++] = x;
    }
}
static void plan_sum(void *env, const np_node *n)
{
    adding *a = env;
    if (n->op != NP_ADD || np_dtype_class(n->type->dtype) != 'F' || n->type->rank == 0) return;
    pair *q = np_arena_alloc(&a->mem, sizeof *q);
    *q = (pair){0};
    list_summands(a, q, n, n);
    for (q->i = 0; q->i < q->nsummands; q->i++)
        for (q->j = q->i + 1; q->j < q->nsummands; q->j++)
            if (find_pair(a, q, n)) {
                a->of[n->id] = q;
                return;
            }
}
static void settle(void *env, const np_node *n)
{
    adding *a = env;
    if (a->inner[n->id]) a->of[n->id] = NULL;
    a->found += a->of[n->id] != NULL;
}

/* ---- making */
static np_node *matrix(np_rw *rw, const pair *q, const map *m)
{
    np_factor f[LEVELS];
    for (int i = 0; i < m->n; i++) f[i] = np_factor_of(np_rewrite_get(rw, m->f[i].n), m->f[i].at);
    np_factor r = np_factor_product(&q->p, m->n, f, q->m[0].made);
    np_node *n = np_factor_as(&q->p, &r, q->m[0].made);
    return m->scale == 1 ? n : np_build_2(rw->b, NP_MUL, n, np_build_num(rw->b, n->type, m->scale));
}
static np_node *maps_rule(np_rw *rw, const np_node *old, np_node *const *arg)
{
    const adding *a = rw->env;
    pair *q = a->of[old->id];
    np_node *r = NULL;
    (void)arg;
    if (!q) return NULL;
    np_product *p = &q->p;
    p->b = rw->b;
    np_node *both = np_build_2(rw->b, NP_ADD, matrix(rw, q, &q->m[0]), matrix(rw, q, &q->m[1]));
    np_factor y = np_factor_times(p, np_factor_of(np_rewrite_get(rw, q->m[0].x), q->m[0].at),
                                  np_factor_of(both, q->m[0].made), p->out);
    for (int i = 0; i < q->nsummands; i++) {
        if (i == q->j) continue;
        np_node *x = i == q->i ? np_factor_as(p, &y, p->out) : np_rewrite_get(rw, q->summand[i]);
        r = r ? np_build_2(rw->b, NP_ADD, r, x) : x;
    }
    np_note(rw->b->cx, old->loc,
            "@%s: maps of one value that are added are one map, made when the model is built: %s",
            rw->old->name, np_type_str(rw->b->cx, both->type));
    return r;
}
np_fn *np_reassoc_maps(const np_fn *f)
{
    adding a = {.f = f};
    np_fn *r = NULL;
    a.uses = np_find_uses(f, &a.mem);
    a.inner = np_arena_array(&a.mem, f->nnodes + 1, sizeof *a.inner);
    a.of = np_arena_array(&a.mem, f->nnodes + 1, sizeof *a.of);
    np_fn_walk(f, plan_sum, &a);
    np_fn_walk(f, settle, &a);
    if (a.found) r = np_rewrite(f, maps_rule, &a);
    np_arena_free(&a.mem);
    return r;
}
