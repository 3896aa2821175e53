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

enum { DEAR = 16, SLOW = 4, SMALL = 256 * 1024, VISITS = 256 };
static const double MOST = 1e11; /* operations: what takes longer is not for the build */

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
    uint32_t *seen, visit;  /* by id */
    source *source;
    int nsources;
    np_arena mem;
} plan;
typedef struct expr {      /* what was found out about one */
    double work, own, all; /* own: bytes of weights, as far as it alone reads them; all: of all */
    bool weights;
} expr;

/* ---- what is the same in every call */
static bool constant_sizes(const np_node *n)
{
    int64_t k;
    for (int i = 0; i < n->type->rank; i++)
        if (!np_dim_int(n->type->dim[i], &k)) return false;
    for (int i = 0; i < NP_MAXATTRS; i++)
        if (n->attr[i] && !np_dim_int(n->attr[i], &k)) return false;
    return true;
}
static bool can_be_fixed(const np_node *n)
{
    np_opclass c = np_op_info(n->op)->cls;
    bool works = c == NP_ELEM || (c == NP_TENSOR && n->op != NP_APPEND && !np_op_info(n->op)->nbodies);
    bool leaf = n->op == NP_CONST || n->op == NP_WEIGHT || n->op == NP_IOTA;
    return (works || leaf) && !n->type->tuple && constant_sizes(n);
}
static void mark_fixed(void *env, const np_node *n)
{
    plan *p = env;
    bool all = can_be_fixed(n);
    for (int i = 0; all && i < n->nargs; i++) all = p->fixed[n->arg[i]->id];
    p->fixed[n->id] = all;
}
/* Without a plan, of few nodes: *left says how many may still be visited. */
static bool is_fixed(const np_node *n, int *left)
{
    if (--*left < 0 || !can_be_fixed(n)) return false;
    for (int i = 0; i < n->nargs; i++)
        if (!is_fixed(n->arg[i], left)) return false;
    return true;
}
static bool moves(const np_node *n)
{
    return n->op == NP_EXPAND || n->op == NP_PERMUTE || n->op == NP_SPLIT || n->op == NP_MERGE ||
           n->op == NP_SLICE || n->op == NP_AT;
}
static const np_node *behind_moves(const np_node *n)
{
    while (moves(n)) n = n->arg[0];
    return n;
}

/* ---- what it costs */
static double count(const np_type *t)
{
    double n = 1;
    int64_t k = 0;
    for (int i = 0; i < t->rank; i++) n *= np_dim_int(t->dim[i], &k) ? (double)k : 0;
    return n;
}
static double products(const np_node *n)
{
    double all = count(n->type);
    int64_t k = 0;
    for (const char *c = n->sym; *c != '-'; c++) {
        bool first =
            *c != ',' && !memchr(n->sym, *c, (size_t)(c - n->sym)) && !strchr(strstr(n->sym, "->"), *c);
        const char *comma = strchr(n->sym, ',');
        if (!first) continue;
        int side = c > comma;
        np_dim_int(n->arg[side]->type->dim[side ? c - comma - 1 : c - n->sym], &k);
        all *= (double)k;
    }
    return all;
}
static double work_of(const np_node *n)
{
    switch (n->op) {
    case NP_EXP:
    case NP_LOG:
    case NP_LOG1P:
    case NP_SIN:
    case NP_COS:
    case NP_TANH:
    case NP_SIGMOID:
    case NP_SOFTPLUS:
    case NP_ERF:
    case NP_POW: return DEAR * count(n->type);
    case NP_SQRT:
    case NP_RSQRT:
    case NP_RECIP:
    case NP_DIV:
    case NP_MOD:
    case NP_IDIV: return SLOW * count(n->type);
    case NP_CONTRACT: return products(n);
    case NP_REDUCE: return count(n->arg[0]->type);
    default: return np_is_leaf(n) || moves(n) ? 0 : count(n->type);
    }
}
static double stored_bytes(const np_weight *w)
{
    return count(w->type) * np_dtype_size(w->data ? w->stored : w->type->dtype);
}

/* ---- who reads which weight */
static source *source_of(plan *p, const np_node *n)
{
    for (int i = 0; i < p->nsources; i++)
        if (p->source[i].w->name == n->sym) return &p->source[i];
    p->source[p->nsources] = (source){.w = np_mod_weight(p->f->mod, n->sym)};
    return &p->source[p->nsources++];
}
static void look_for_weights(plan *p, const np_node *n)
{
    if (p->seen[n->id] == p->visit) return;
    p->seen[n->id] = p->visit;
    if (n->op == NP_WEIGHT) source_of(p, n)->readers++;
    for (int i = 0; i < n->nargs; i++) look_for_weights(p, n->arg[i]);
}
/* A value that something else reads: whose weights does it read? */
static void see_reader(void *env, const np_node *n)
{
    plan *p = env;
    for (int i = 0; i < n->nargs && !p->fixed[n->id]; i++) {
        const np_node *x = p->fixed[n->arg[i]->id] ? behind_moves(n->arg[i]) : NULL;
        if (!x || p->looked[x->id]) continue;
        p->looked[x->id] = true;
        p->visit++;
        if (x->op == NP_WEIGHT)
            source_of(p, x)->raw = true;
        else
            look_for_weights(p, x);
    }
}
static void weigh(plan *p, const np_node *n, expr *e)
{
    if (p->seen[n->id] == p->visit) return;
    p->seen[n->id] = p->visit;
    e->work += work_of(n);
    for (int i = 0; i < n->nargs; i++) weigh(p, n->arg[i], e);
    if (n->op == NP_CONST && n->data) e->own += count(n->type) * np_dtype_size(n->type->dtype);
    if (n->op != NP_WEIGHT) return;
    source *s = source_of(p, n);
    e->weights = true;
    if (s->seen == p->visit) return; /* stands in several blocks */
    s->seen = p->visit;
    e->all += stored_bytes(s->w);
    if (!s->raw) e->own += stored_bytes(s->w) / s->readers;
}

/* ---- deciding */
static bool is_float(const np_node *n)
{
    return np_dtype_class(n->type->dtype) == 'F';
}
static bool is_mask(plan *p, const np_node *n)
{
    expr e = {0};
    p->visit++;
    if (n->op == NP_SELECT) weigh(p, n->arg[0], &e);
    return n->op == NP_SELECT && !e.weights;
}
/* rows: only some are read. */
static bool is_worth_it(plan *p, const np_node *n, bool rows)
{
    expr e = {0};
    if (!is_float(n) || is_mask(p, n)) return false;
    p->visit++;
    weigh(p, n, &e);
    double grown = count(n->type) * np_dtype_size(n->type->dtype) - e.own,
           room = e.all > SMALL ? e.all : SMALL;
    if (e.work <= 0 || e.work > MOST) return false;
    return grown <= 0 || (!rows && grown <= room && e.work >= (e.weights ? grown / 4 : grown));
}
/* n and what it needs, into another function. */
static np_node *copy(plan *p, np_build *b, const np_node *n, np_node **now)
{
    if (now[n->id]) return now[n->id];
    np_node **arg = np_arena_array(&p->mem, (size_t)n->nargs + 1, sizeof *arg);
    np_extra x = {.sym = n->sym, .num = n->num, .data = n->data, .type = n->type};
    for (int i = 0; i < n->nargs; i++) arg[i] = copy(p, b, n->arg[i], now);
    memcpy(x.attr, n->attr, sizeof x.attr);
    b->loc = n->loc;
    return now[n->id] = np_build_op(b, n->op, n->nargs, arg, &x);
}
static void forget(const np_node *n, np_node **now)
{
    if (!now[n->id]) return;
    now[n->id] = NULL;
    for (int i = 0; i < n->nargs; i++) forget(n->arg[i], now);
}
typedef struct told { /* what a note says about an expression */
    np_text ops, weights;
    int nops, nweights;
} told;
enum { TOLD = 5 };
static void tell(void *env, const np_node *n)
{
    told *t = env;
    if (n->op == NP_WEIGHT) {
        if (t->nweights++ < TOLD) np_text_add(&t->weights, "%s$%s", t->weights.n ? ", " : "", n->sym);
    } else if (!np_is_leaf(n) && n->op != NP_RET && !moves(n)) {
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
static const np_weight *make(plan *p, const np_node *n, np_node **now)
{
    np_mod *m = p->f->mod;
    np_fn *by = np_fn_new(m, "made", NP_STAGE_TENSOR);
    np_build *b = np_build_new(by);
    int before = m->nweights;
    np_node *x = copy(p, b, n, now);
    forget(n, now);
    np_build_ret(b, 1, (const char *[]){"w"}, 1, &x);
    np_fn_sweep(by);
    const np_weight *w = np_mod_made(m, by);
    if (m->nweights > before) note(p, w, n);
    return w;
}
static void decide(plan *p, const np_node *n, bool rows, np_node **now)
{
    n = behind_moves(n);
    if (p->looked[n->id] || np_is_leaf(n)) return;
    p->looked[n->id] = true;
    if (is_worth_it(p, n, rows)) {
        p->made[n->id] = make(p, n, now);
        return;
    }
    for (int i = 0; i < n->nargs; i++) decide(p, n->arg[i], rows, now);
}
typedef struct walk {
    plan *p;
    np_node **now;
} walk;
static void decide_operands(void *env, const np_node *n)
{
    walk *w = env;
    for (int i = 0; i < n->nargs && !w->p->fixed[n->id]; i++)
        if (w->p->fixed[n->arg[i]->id]) decide(w->p, n->arg[i], n->op == NP_GATHER && i == 0, w->now);
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
    walk w = {.p = &p, .now = np_arena_array(&p.mem, ids, sizeof *w.now)};
    np_fn_walk(f, mark_fixed, &p);
    np_fn_walk(f, see_reader, &p);
    memset(p.looked, 0, ids * sizeof *p.looked);
    np_fn_walk(f, decide_operands, &w);
    np_fn *r = np_rewrite(f, made_rule, &p);
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
bool np_made_product(const np_mod *m, const np_node *a, const np_node *b, double work)
{
    int left = VISITS;
    if (!is_fixed(a, &left) || !is_fixed(b, &left) || work > MOST) return false;
    return is_float(a) && is_float(b) && !has_halves(m, a) &&
           !has_halves(m, b); /* of halves it would be twice as large a file */
}
