/* made: TENSOR to TENSOR. What depends on weights and constants alone has the same
 * value in every call; the build computes it (in f64, rounded once) and stores it as
 * a weight of its own: A = -exp(A_log), a norm of a matrix, a product of two maps.
 *
 * Takes the largest such expressions, those that something else reads, and gives
 * each as `weight $made`. Kept: their values, up to rounding.
 *
 * An expression ends before what only moves numbers (an expand, a slice of it):
 * that costs nothing where it is read. It is made if that is worth its room,
 *
 *   grown = bytes of the result - bytes of the weights that nobody else reads
 *   grown <= 0, or at most the room of its weights (or SMALL), and an operation for each four bytes of it
 *
 * where those that are no plain instruction count DEAR times; four times as many are asked of what is
 * made of constants alone, as positions are counted without memory. A table of which only some rows
 * are looked up must not grow. What is not worth it stays, and its operands are looked at by themselves. Masks stay too:
 * who sums behind one reads no further than it says, as long as it is seen. */
#include "made.h"
#include "passes.h"

#include <string.h>

enum { VISITS = 256 };
static const double SMALL = 256 * 1024;

typedef struct source {
    const np_weight *w;
    int readers;   /* expressions that might be made, and whoever wants it as it is */
    bool raw;      /* wanted as it is */
    uint32_t seen; /* by the expression that is looked at */
} source;
typedef struct plan {
    const np_fn *f;
    bool *fixed;            /* by id: the same in every call */
    bool *looked;           /* by id: decided */
    const np_weight **made; /* by id */
    np_rw *rw;              /* into the function that makes a weight */
    uint32_t *seen, visit;  /* by id */
    source *source;
    int nsources;
    np_arena mem;
} plan;
typedef struct expr {
    plan *p;               /* what was found out about one */
    double work, own, all; /* own: bytes of weights, as far as it alone reads them; all: of all */
    bool weights;
} expr;

/* ---- what is the same in every call */
typedef struct fixed {
    const plan *p;
    bool all;
} fixed;
static void see_need(void *env, const np_node *n)
{
    fixed *e = env;
    e->all &= e->p->fixed[n->id];
}
static void mark_fixed(void *env, const np_node *n)
{
    plan *p = env;
    fixed e = {.p = p, .all = np_made_can_be(n)};
    if (e.all) np_made_needs(n, see_need, &e);
    p->fixed[n->id] = e.all;
}
/* Without a plan, of few nodes: *left says how many may still be visited. */
static bool is_fixed(const np_node *n, int *left)
{
    if (--*left < 0 || !np_made_can_be(n) || n->body[0]) return false;
    for (int i = 0; i < n->nargs; i++)
        if (!is_fixed(n->arg[i], left)) return false;
    return true;
}
static const np_node *behind_moves(const np_node *n)
{
    while (np_made_moves(n)) n = n->arg[0];
    return n;
}

/* ---- who reads which weight */
static double stored_bytes(const np_weight *w)
{
    return np_made_count(w->type) * np_dtype_size(w->data ? w->stored : w->type->dtype);
}

static source *source_of(plan *p, const np_node *n)
{
    for (int i = 0; i < p->nsources; i++)
        if (p->source[i].w->name == n->sym) return &p->source[i];
    p->source[p->nsources] = (source){.w = np_mod_weight(p->f->mod, n->sym)};
    return &p->source[p->nsources++];
}
static void look_for_weights(void *env, const np_node *n)
{
    plan *p = env;
    if (p->seen[n->id] == p->visit) return;
    p->seen[n->id] = p->visit;
    if (n->op == NP_WEIGHT) source_of(p, n)->readers++;
    np_made_needs(n, look_for_weights, p);
}
/* A value that something else reads: whose weights does it read? */
static void see_value(plan *p, const np_node *x, bool rows)
{
    (void)rows;
    x = behind_moves(x);
    if (p->looked[x->id]) return;
    p->looked[x->id] = true;
    p->visit++;
    if (x->op == NP_WEIGHT)
        source_of(p, x)->raw = true;
    else
        look_for_weights(p, x);
}
/* Every value that does not vary and that something which varies reads; rows: only some of them. */
static void each_value(plan *p, const np_block *b, void (*see)(plan *p, const np_node *x, bool rows))
{
    for (const np_node *n = b->first; n; n = n->next) {
        if (p->fixed[n->id]) continue;
        for (int i = 0; i < n->nargs; i++)
            if (p->fixed[n->arg[i]->id]) see(p, n->arg[i], n->op == NP_GATHER && i == 0);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) each_value(p, n->body[i], see);
    }
}

static void add_source(plan *p, source *s, expr *e)
{
    e->weights = true;
    if (s->seen == p->visit) return; /* stands in several blocks */
    s->seen = p->visit;
    e->all += stored_bytes(s->w);
    if (!s->raw) e->own += stored_bytes(s->w) / s->readers;
}
static void weigh(void *env, const np_node *n)
{
    expr *e = env;
    plan *p = e->p;
    if (p->seen[n->id] == p->visit) return;
    p->seen[n->id] = p->visit;
    e->work += np_made_work(n);
    if (n->op == NP_WEIGHT) add_source(p, source_of(p, n), e);
    if (n->op == NP_CONST && n->data) e->own += np_made_count(n->type) * np_dtype_size(n->type->dtype);
    np_made_needs(n, weigh, e);
}

/* ---- deciding */
static bool is_float(const np_node *n)
{
    return np_dtype_class(n->type->dtype) == 'F';
}
static bool is_mask(plan *p, const np_node *n)
{
    expr e = {.p = p};
    p->visit++;
    if (n->op == NP_SELECT) weigh(&e, n->arg[0]);
    return n->op == NP_SELECT && !e.weights;
}
/* rows: only some are read. */
static bool is_worth_it(plan *p, const np_node *n, bool rows)
{
    expr e = {.p = p};
    if (!is_float(n) || is_mask(p, n)) return false;
    p->visit++;
    weigh(&e, n);
    double grown = np_made_count(n->type) * np_dtype_size(n->type->dtype) - e.own,
           room = e.all > SMALL ? e.all : SMALL;
    if (e.work <= 0 || e.work > NP_MADE_MOST) return false;
    return grown <= 0 || (!rows && grown <= room && e.work >= (e.weights ? grown / 4 : grown));
}
/* n and what it needs, at the place of the rewriter's builder. */
static void copy(void *env, const np_node *n)
{
    np_rw *rw = env;
    if (rw->map[n->id]) return;
    np_made_needs(n, copy, rw);
    np_node **arg = np_arena_array(&rw->b->fn->mem, (size_t)n->nargs + 1, sizeof *arg);
    for (int i = 0; i < n->nargs; i++) arg[i] = rw->map[n->arg[i]->id];
    rw->map[n->id] = np_rewrite_copy(rw, n, arg);
}
typedef struct told { /* what a note says about an expression */
    np_text ops, weights;
    int nops, nweights;
    bool said[NP_NOPS];
} told;
enum { TOLD = 5 };
static void tell(void *env, const np_node *n)
{
    told *t = env;
    if (n->op == NP_WEIGHT) {
        if (t->nweights++ < TOLD) np_text_add(&t->weights, "%s$%s", t->weights.n ? ", " : "", n->sym);
    } else if (!np_is_leaf(n) && n->op != NP_RET && !np_made_moves(n) && !t->said[n->op]) {
        t->said[n->op] = true;
        if (t->nops++ < TOLD) np_text_add(&t->ops, "%s%s", t->ops.n ? ", " : "", np_op_info(n->op)->text);
    }
}
static void note(const plan *p, const np_weight *w, const np_node *n)
{
    told t = {0};
    np_fn_walk(w->by, tell, &t);
    np_note(p->f->cx, n->loc, "$%s %s is made when the model is built, from %s%s: %s%s", w->name,
            np_type_str(p->f->cx, w->type), t.weights.n ? t.weights.s : "constants",
            t.nweights > TOLD ? ", .." : "", t.ops.s, t.nops > TOLD ? ", .." : "");
    np_text_free(&t.ops);
    np_text_free(&t.weights);
}
static const np_weight *make(plan *p, const np_node *n)
{
    np_mod *m = p->f->mod;
    np_fn *by = np_fn_new(m, "made", NP_STAGE_TENSOR);
    int before = m->nweights;
    p->rw->b = np_build_new(by);
    memset(p->rw->map, 0, p->f->nnodes * sizeof(np_node *));
    copy(p->rw, n);
    np_build_ret(p->rw->b, 1, (const char *[]){"w"}, 1, &p->rw->map[n->id]);
    np_fn_sweep(by);
    const np_weight *w = np_mod_made(m, by);
    if (m->nweights > before) note(p, w, n);
    return w;
}
typedef struct operands {
    plan *p;
    bool rows;
} operands;
static void decide(plan *p, const np_node *n, bool rows);

static void decide_operand(void *env, const np_node *n)
{
    operands *o = env;
    decide(o->p, n, o->rows);
}
static void decide(plan *p, const np_node *n, bool rows)
{
    n = behind_moves(n);
    if (p->looked[n->id] || np_is_leaf(n)) return;
    p->looked[n->id] = true;
    if (!n->type->tuple && is_worth_it(p, n, rows))
        p->made[n->id] = make(p, n);
    else
        np_made_needs(n, decide_operand, &(operands){p, rows});
}
static void count_weights(void *env, const np_node *n)
{
    *(size_t *)env += n->op == NP_WEIGHT;
}

/* ---- acting */
static np_node *made_rule(np_rw *rw, const np_node *old, np_node *const *arg)
{
    const plan *p = rw->env;
    (void)arg;
    return p->made[old->id] ? np_build_weight(rw->b, p->made[old->id]->name) : NULL;
}
np_fn *np_made_run(const np_fn *f, const np_knobs *k)
{
    plan p = {.f = f};
    size_t ids = f->nnodes + 1, weights = 1;
    (void)k;
    np_fn_walk(f, count_weights, &weights);
    p.fixed = np_arena_array(&p.mem, ids, sizeof *p.fixed);
    p.looked = np_arena_array(&p.mem, ids, sizeof *p.looked);
    p.made = np_arena_array(&p.mem, ids, sizeof *p.made);
    p.seen = np_arena_array(&p.mem, ids, sizeof *p.seen);
    p.source = np_arena_array(&p.mem, weights, sizeof *p.source);
    np_fn *tables = np_fn_new(f->mod, "made", NP_STAGE_TENSOR); /* the rewriter's live as long as it */
    p.rw = np_rewrite_new(np_build_new(tables), f, NULL, NULL);
    np_fn_walk(f, mark_fixed, &p);
    each_value(&p, &f->top, see_value);
    memset(p.looked, 0, ids * sizeof *p.looked);
    each_value(&p, &f->top, decide);
    np_fn *r = np_rewrite(f, made_rule, &p);
    np_fn_free(tables);
    np_arena_free(&p.mem);
    return r;
}

/* ---- for whoever decides on the order of products */
static bool has_halves(const np_mod *m, const np_node *n)
{
    const np_weight *w = n->op == NP_WEIGHT ? np_mod_weight(m, n->sym) : NULL;
    bool halves = w && (w->stored == NP_F16 || w->stored == NP_BF16);
    for (int i = 0; i < n->nargs && !halves; i++) halves = has_halves(m, n->arg[i]);
    return halves;
}
bool np_made_factor(const np_mod *m, const np_node *n)
{
    int left = VISITS;
    return is_float(n) && is_fixed(n, &left) &&
           !has_halves(m, n); /* of halves it would be twice as large a file */
}
bool np_made_product(const np_mod *m, const np_node *a, const np_node *b, double work)
{
    return work <= NP_MADE_MOST && np_made_factor(m, a) && np_made_factor(m, b);
}
