/* The builder: the only maker of nodes. It types them (rule.c), folds them
 * (fold.c), shares equal ones that stand in the same or an enclosing block, and
 * appends them at the end of its block. What a user got wrong becomes `bad`, and
 * so does all that is made from it, silently. */
#include "ir.h"

#include <string.h>

typedef struct table { /* nodes that may be shared, by content */
    np_node **slot;
    size_t cap, n;
    np_node *bad;
} table;

np_build *np_build_new(np_fn *f)
{
    np_build *b = np_arena_alloc(&f->mem, sizeof *b);
    table *t = np_arena_alloc(&f->mem, sizeof *t);
    *b = (np_build){.cx = f->cx, .fn = f, .at = &f->top, .share = t};
    return b;
}

/* ---- sharing */
static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}
static uint64_t text_hash(uint64_t h, const char *s)
{
    while (s && *s) h = mix(h, (unsigned char)*s++);
    return h;
}
static uint64_t hash(const np_node *n)
{
    uint64_t h = mix((uint64_t)n->op, (uint64_t)n->nargs), bits;
    for (int i = 0; i < n->nargs; i++) h = mix(h, n->arg[i]->id);
    for (int i = 0; i < NP_MAXATTRS; i++) h = mix(h, n->attr[i] ? n->attr[i]->id + 1 : 0);
    memcpy(&bits, &n->num, sizeof bits);
    return text_hash(mix(h, bits), n->sym);
}
static bool same(const np_node *a, const np_node *b)
{
    if (a->op != b->op || a->type != b->type || a->nargs != b->nargs || a->sym != b->sym) return false;
    if (memcmp(&a->num, &b->num, sizeof a->num) != 0 || memcmp(a->attr, b->attr, sizeof a->attr) != 0)
        return false;
    if (a->nargs && memcmp(a->arg, b->arg, (size_t)a->nargs * sizeof *a->arg) != 0) return false;
    if (!a->data || !b->data) return a->data == b->data;
    np_env none = {0};
    int64_t count = 0, k;
    for (int i = 0; i < a->type->rank; i++)
        count = np_dim_eval(a->type->dim[i], &none, &k) ? (i ? count : 1) * k : 0;
    return memcmp(a->data, b->data, (size_t)count * sizeof *a->data) == 0;
}
static bool shareable(np_op op)
{
    return !np_op_info(op)->fx && np_op_info(op)->nbodies == 0 && op != NP_PARAM && op != NP_BAD;
}
static void insert(table *t, np_node *n)
{
    size_t i = hash(n);
    while (t->slot[i & (t->cap - 1)]) i++;
    t->slot[i & (t->cap - 1)] = n;
    t->n++;
}
static np_node *find(np_build *b, const np_node *n)
{
    table *t = b->share;
    if (t->n * 2 >= t->cap) {
        table old = *t;
        t->cap = old.cap ? 2 * old.cap : 256;
        t->n = 0;
        t->slot = np_arena_array(&b->fn->mem, t->cap, sizeof *t->slot);
        for (size_t i = 0; i < old.cap; i++)
            if (old.slot[i]) insert(t, old.slot[i]);
    }
    for (size_t i = hash(n); t->slot[i & (t->cap - 1)]; i++) {
        np_node *m = t->slot[i & (t->cap - 1)];
        if (same(m, n) && np_block_encloses(m->in, b->at)) return m;
    }
    return NULL;
}

/* ---- making */
static np_node *bad(np_build *b)
{
    table *t = b->share;
    if (!t->bad) {
        t->bad = np_arena_alloc(&b->fn->mem, sizeof *t->bad);
        *t->bad = (np_node){.op = NP_BAD,
                            .id = b->fn->nnodes++,
                            .type = np_type_scalar(b->cx, NP_F32),
                            .in = &b->fn->top,
                            .loc = b->loc};
    }
    return t->bad;
}
static bool any_bad(int n, np_node *const *arg)
{
    for (int i = 0; i < n; i++)
        if (arg[i]->op == NP_BAD) return true;
    return false;
}
static void append(np_block *to, np_node *n)
{
    n->in = to;
    n->prev = to->last;
    *(to->last ? &to->last->next : &to->first) = n;
    to->last = n;
}
/* A node that is not in a block yet. */
static np_node *fresh(np_build *b, np_op op, int nargs, np_node *const *arg, const np_extra *x,
                      const np_type *t)
{
    np_fn *f = b->fn;
    np_node *n = np_arena_alloc(&f->mem, sizeof *n);
    *n = (np_node){.op = op,
                   .nargs = nargs,
                   .id = f->nnodes++,
                   .type = t,
                   .sym = x->sym,
                   .num = x->num,
                   .in = b->at,
                   .loc = b->loc,
                   .name = b->name};
    n->arg = np_arena_copy(&f->mem, arg, (size_t)nargs * sizeof *arg);
    memcpy(n->attr, x->attr, sizeof n->attr);
    b->name = NULL;
    for (int i = 0; i < nargs; i++)
        if (!np_block_encloses(arg[i]->in, b->at))
            np_bug(b->cx, "operand %d (%s) of %s stands in a body that does not enclose it", i,
                   np_op_info(arg[i]->op)->text, np_op_info(op)->text);
    return n;
}
static np_extra complete(np_build *b, np_op op, const np_extra *x)
{
    const np_opinfo *info = np_op_info(op);
    np_extra r = x ? *x : (np_extra){0};
    for (int i = 0; i < info->nattrs; i++)
        if (!r.attr[i] && info->optional[i]) r.attr[i] = np_dim_const(b->cx, info->dflt[i]);
    if (r.sym) r.sym = np_str_new(b->cx, r.sym);
    return r;
}
static int64_t count_of(const np_type *t)
{
    int64_t n = 1, k;
    for (int i = 0; i < t->rank; i++) n *= np_dim_int(t->dim[i], &k) ? k : 0;
    return n;
}
/* The numbers of a constant as its type keeps them. */
static void settle(np_build *b, np_extra *x, const np_type *t)
{
    x->num = np_round_const(t->dtype, x->num);
    if (!x->data) return;
    int64_t n = count_of(t);
    double *own = np_arena_copy(&b->fn->mem, x->data, (size_t)n * sizeof *own);
    for (int64_t i = 0; i < n; i++) own[i] = np_round_const(t->dtype, own[i]);
    x->data = own;
}

np_node *np_build_op(np_build *b, np_op op, int nargs, np_node *const *arg, const np_extra *given)
{
    if (op == NP_BAD || any_bad(nargs, arg)) {
        b->name = NULL;
        return bad(b);
    }
    np_extra x = complete(b, op, given);
    const np_type *t = np_rule_type(b, op, nargs, arg, &x, NULL);
    if (!t) {
        b->name = NULL;
        return bad(b);
    }
    np_node *swapped[2];
    if (np_op_info(op)->comm && nargs == 2 && !b->plain) {
        bool turn = np_node_turned(arg[0], arg[1]);
        swapped[0] = arg[turn], swapped[1] = arg[!turn];
        arg = swapped;
    }
    if (np_op_info(op)->has_num) settle(b, &x, t);
    np_node *n = b->plain && op != NP_PICK ? NULL : np_fold_node(b, op, nargs, arg, &x, t);
    if (n) {
        b->name = NULL;
        return n;
    }
    n = fresh(b, op, nargs, arg, &x, t);
    n->data = x.data;
    if (shareable(op) && !b->plain) {
        np_node *known = find(b, n);
        if (known) {
            if (!known->name) known->name = n->name;
            b->fn->nnodes--; /* the id was not used */
            return known;
        }
    }
    append(b->at, n);
    if (shareable(op) && !b->plain) insert(b->share, n);
    return n;
}

/* ---- parameters */
static np_node *add_param(np_build *b, np_block *to, const char *name, const np_type *t)
{
    np_node *p = np_arena_alloc(&b->fn->mem, sizeof *p), **list;
    *p = (np_node){.op = NP_PARAM, .id = b->fn->nnodes++, .type = t, .in = to, .loc = b->loc};
    if (name) p->name = np_str_new(b->cx, name);
    list = np_arena_array(&b->fn->mem, (size_t)to->nparams + 1, sizeof *list);
    if (to->nparams) memcpy(list, to->param, (size_t)to->nparams * sizeof *list);
    list[to->nparams++] = p;
    to->param = list;
    return p;
}
np_node *np_build_param(np_build *b, np_port kind, const char *name, const np_type *t)
{
    np_fn *f = b->fn;
    np_node *p = add_param(b, &f->top, name, t);
    if (kind == NP_IN) f->ninputs++;
    if (kind == NP_STATE) f->nstates++;
    if (kind == NP_OUT) {
        const np_str *names = f->out_name;
        const np_type **types = f->out_type;
        f->out_name = np_arena_array(&f->mem, (size_t)f->nouts + 1, sizeof *f->out_name);
        f->out_type = np_arena_array(&f->mem, (size_t)f->nouts + 1, sizeof *f->out_type);
        if (f->nouts) {
            memcpy(f->out_name, names, (size_t)f->nouts * sizeof *names);
            memcpy(f->out_type, types, (size_t)f->nouts * sizeof *types);
        }
        f->out_name[f->nouts] = p->name;
        f->out_type[f->nouts++] = t;
    }
    return p;
}

/* ---- bodies */
static np_block *enter(np_build *b, np_node *n, int which)
{
    np_block *body = np_arena_alloc(&b->fn->mem, sizeof *body);
    body->outer = n->in;
    body->owner = n;
    n->body[which] = body;
    b->at = body;
    return body;
}
static void bad_params(np_build *b, np_block *body, int n)
{
    body->nparams = n;
    body->param = np_arena_array(&b->fn->mem, (size_t)n + 1, sizeof *body->param);
    for (int i = 0; i < n; i++) body->param[i] = bad(b);
}
np_node *np_build_open(np_build *b, np_op op, int nargs, np_node *const *arg, const np_extra *given)
{
    np_extra x = complete(b, op, given);
    bool wrong = any_bad(nargs, arg) || !np_rule_type(b, op, nargs, arg, &x, NULL);
    np_node *n = fresh(b, op, wrong ? 0 : nargs, arg, &x, np_type_void(b->cx));
    np_block *body = enter(b, n, 0);
    if (wrong) { /* the body is built and thrown away: it may hold more mistakes */
        n->op = NP_BAD;
        bad_params(b, body, nargs + (op == NP_LOOP));
        return n;
    }
    if (op == NP_LOOP) add_param(b, body, "i", np_type_scalar(b->cx, NP_I64));
    int64_t seq = 0;
    if (op == NP_SCAN) np_dim_int(x.attr[0], &seq);
    for (int i = 0; i < nargs && (op == NP_SCAN || op == NP_LOOP); i++)
        add_param(b, body, arg[i]->name, i < seq ? np_type_without(b->cx, arg[i]->type, 0) : arg[i]->type);
    return n;
}
static void end_body(np_build *b, int n, np_node *const *yield)
{
    np_extra none = {0};
    np_str name = b->name;
    b->name = NULL;
    append(b->at, fresh(b, NP_YIELD, n, yield, &none, np_type_void(b->cx)));
    b->name = name;
}
void np_build_else(np_build *b, np_node *n, int nyields, np_node *const *yield)
{
    end_body(b, nyields, yield);
    enter(b, n, 1);
}
np_node *np_build_close(np_build *b, np_node *n, int nyields, np_node *const *yield)
{
    bool wrong = n->op == NP_BAD || any_bad(nyields, yield);
    np_block *last = n->body[n->body[1] != NULL];
    if (n->op != NP_BAD && n->body[1] && any_bad(n->body[0]->last->nargs, n->body[0]->last->arg))
        wrong = true;
    if (b->at != last) np_bug(b->cx, "close of %s: another body is open", np_op_info(n->op)->text);
    end_body(b, nyields, yield);
    b->at = n->in;
    np_extra x = {.sym = n->sym, .num = n->num};
    memcpy(x.attr, n->attr, sizeof x.attr);
    const np_type *t = wrong ? NULL : np_rule_type(b, n->op, n->nargs, n->arg, &x, n);
    if (!t) return bad(b);
    n->type = t;
    append(b->at, n);
    return n;
}
np_node *np_build_feed(np_build *b, np_node *scan, np_node *x)
{
    if (scan->op == NP_BAD || x->op == NP_BAD) return bad(b);
    int64_t seq = 0;
    np_dim_int(scan->attr[0], &seq);
    for (int i = 0; i < seq; i++)
        if (scan->arg[i] == x) return scan->body[0]->param[i];
    if (!np_block_encloses(x->in, scan->in)) np_bug(b->cx, "feed: the operand stands inside the scan");
    np_extra alone = {.attr = {np_dim_const(b->cx, 1), scan->attr[1], scan->attr[2]}};
    if (!np_rule_type(b, NP_SCAN, 1, &x, &alone, NULL)) return bad(b);
    np_block *body = scan->body[0];
    np_node **arg = np_arena_array(&b->fn->mem, (size_t)scan->nargs + 1, sizeof *arg);
    memcpy(arg, scan->arg, (size_t)seq * sizeof *arg);
    memcpy(arg + seq + 1, scan->arg + seq, (size_t)(scan->nargs - seq) * sizeof *arg);
    arg[seq] = x;
    scan->arg = arg;
    scan->nargs++;
    scan->attr[0] = np_dim_const(b->cx, seq + 1);
    np_node *p = add_param(b, body, x->name, np_type_without(b->cx, x->type, 0));
    memmove(body->param + seq + 1, body->param + seq, (size_t)(body->nparams - 1 - seq) * sizeof *arg);
    body->param[seq] = p;
    return p;
}
void np_build_ret(np_build *b, int nouts, const char *const *names, int nvalues, np_node *const *value)
{
    np_fn *f = b->fn;
    np_extra none = {0};
    if (b->at != &f->top) np_bug(b->cx, "ret inside a body");
    append(&f->top, fresh(b, NP_RET, nvalues, value, &none, np_type_void(b->cx)));
    if (!b->plain) np_fn_number(f);
    if (f->stage != NP_STAGE_TENSOR) return;
    f->nouts = nouts;
    f->out_name = np_arena_array(&f->mem, (size_t)nouts + 1, sizeof *f->out_name);
    f->out_type = np_arena_array(&f->mem, (size_t)nouts + 1, sizeof *f->out_type);
    for (int i = 0; i < nouts; i++) {
        f->out_name[i] = np_str_new(b->cx, names[i]);
        f->out_type[i] = value[i]->type;
    }
}
