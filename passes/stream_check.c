/* May a function be computed piece by piece? One walk in order. For every value
 * it is known whether it
 *   - is plain: depends on no position at all, so that it holds before any came,
 *   - is an end: stands for all that was seen up to the end of the call (the last
 *     state of a scan). An end may leave the function but not flow back into
 *     what has a position of its own,
 * and its fact (causal.c). A sum over all positions must be blind to later ones:
 * either they are masked, or the sum is an end.
 *
 * A state whose every step keeps a fact is assumed to have it until a step
 * breaks it; the body is walked again until nothing breaks. */
#include "stream.h"

#include <math.h>
#include <string.h>

typedef struct part {
    np_fact fact;
    bool end;
    const char *no; /* why it must not be used */
} part;
typedef struct checker {
    np_streamed *s;
    np_cx *cx;
    np_arena *mem;
    part **part;  /* by id: one for each result */
    bool in_time; /* in the body of a scan over T: the position is the step */
    bool in_all;  /* in the body of a scan over N + T: every value has an index there */
} checker;

int np_stream_axis(const np_type *t, const np_dim *size)
{
    for (int i = 0; i < t->rank && !t->tuple; i++)
        if (t->dim[i] == size) return i;
    return -1;
}
static bool has_time(const checker *c, const np_type *t)
{
    return np_stream_axis(t, c->s->T) >= 0;
}
static bool has_all(const checker *c, const np_type *t)
{
    return np_stream_axis(t, c->s->all) >= 0;
}
static bool timed(const checker *c, const np_dim *d)
{
    return np_dim_has(d, c->s->T) || np_dim_has(d, c->s->N);
}

/* ---- refusals: the first one is what the user reads */
static void refuse(checker *c, const np_node *n, const char *fmt, ...) NP_PRINTF(3, 4);
static void refuse(checker *c, const np_node *n, const char *fmt, ...)
{
    char why[512];
    va_list ap;
    if (!c->s->ok) return;
    c->s->ok = false;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    np_note(c->cx, n->loc, "no step: %s", why);
}
static const char *show(checker *c, const np_node *n)
{
    np_str t = np_type_str(c->cx, n->type);
    return n->name ? np_str_fmt(c->cx, "%s %s", n->name, t) : t;
}

static part *of(checker *c, const np_node *n)
{
    if (!c->part[n->id])
        c->part[n->id] = np_arena_array(c->mem, (size_t)np_result_count(n) + 1, sizeof(part));
    return c->part[n->id];
}
static part usual(const np_node *n)
{
    return (part){.fact = np_causal_same(n)};
}
static bool is_end(checker *c, const np_node *n)
{
    for (int i = 0; i < np_result_count(n); i++)
        if (of(c, n)[i].end) return true;
    return false;
}

/* ---- axes: T and N + T once each, and nothing else that is made of them */
static void check_type(checker *c, const np_node *n, const np_type *t)
{
    int now = 0, all = 0;
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] == c->s->T)
            now++;
        else if (t->dim[i] == c->s->all)
            all++;
        else if (timed(c, t->dim[i]))
            refuse(c, n, "time is cut or joined with something else: %s is %s", np_op_info(n->op)->text,
                   show(c, n));
    }
    if (now + c->in_time > 1 || all + c->in_all > 1)
        refuse(c, n, "time stands twice in %s %s%s", np_op_info(n->op)->text, show(c, n),
               now + c->in_time > 1 && !c->in_time ? ": see the past through T:other()" : "");
}
static void check_types(checker *c, const np_node *n)
{
    if (!n->type->tuple) check_type(c, n, n->type);
    for (int i = 0; i < n->nargs && (c->in_time || c->in_all); i++)
        if (!n->arg[i]->type->tuple) check_type(c, n->arg[i], n->arg[i]->type);
}

/* A sum over all positions, which later ones may change unless `masked`. */
static void over_all(checker *c, const np_node *n, bool masked, const char *what, const char *mask)
{
    if (masked) return;
    bool positioned = c->in_time;
    for (int i = 0; i < n->nargs; i++) positioned |= has_time(c, n->arg[i]->type);
    if (!positioned)
        of(c, n)->end = true;
    else
        refuse(c, n,
               "%s over all positions sees those that come later; mask them first: where(le(pos(J), pos(T)), "
               ".., %s)",
               what, mask);
}
static void check_reduce(checker *c, const np_node *n)
{
    const np_node *x = n->arg[0];
    const np_dim *d = x->type->dim[n->attr[0]->k];
    bool sum = strcmp(n->sym, "sum") == 0, max = strcmp(n->sym, "max") == 0;
    double neutral = sum ? 0 : max ? -INFINITY : INFINITY;
    if (d == c->s->T) refuse(c, n, "%s over time needs the whole sequence: %s", n->sym, show(c, x));
    if (d == c->s->all)
        over_all(c, n, np_causal_is(&of(c, x)->fact, neutral), n->sym, sum ? "0" : max ? "-inf" : "inf");
    else if (sum && np_causal_is(&of(c, x)->fact, 0))
        of(c, n)->fact = np_causal_num(0); /* what is masked stays so, whatever else is summed */
}
static void check_contract(checker *c, const np_node *n)
{
    const char *arrow = strstr(n->sym, "->") + 2, *side = n->sym;
    bool all = false, masked = false;
    for (int i = 0; i < 2; i++) {
        const np_node *x = n->arg[i];
        for (int k = 0; k < x->type->rank; k++) {
            if (strchr(arrow, side[k])) continue;
            if (x->type->dim[k] == c->s->T)
                refuse(c, n, "a sum over time needs the whole sequence: %s", show(c, x));
            if (x->type->dim[k] != c->s->all) continue;
            all = true;
            masked |= np_causal_is(&of(c, x)->fact, 0);
        }
        side += x->type->rank + 1;
    }
    if (all) over_all(c, n, masked, "a sum", "0");
}
static void check_gather(checker *c, const np_node *n)
{
    int k = (int)n->attr[0]->k;
    const np_node *table = n->arg[0], *index = n->arg[1];
    if (table->type->dim[k] == c->s->T)
        refuse(c, n, "gather picks positions of %s, which has only new ones; look along T:other()",
               show(c, table));
    if (table->type->dim[k] == c->s->all && (has_all(c, index->type) || !np_causal_past(&of(c, index)->fact)))
        refuse(c, n, "gather may pick a later position of %s", show(c, table));
    if (table->type->dim[k] != c->s->all && of(c, table)->fact.kind == NP_FACT_NUM && has_all(c, table->type))
        of(c, n)->fact = of(c, table)->fact;
}
static void check_at(checker *c, const np_node *n)
{
    const np_dim *d = n->arg[0]->type->dim[n->attr[0]->k], *i = n->attr[1];
    const np_dim *last = np_dim_sub(c->cx, c->s->T, np_dim_const(c->cx, 1));
    bool end = i == last || i == np_dim_sub(c->cx, c->s->all, np_dim_const(c->cx, 1));
    if (d != c->s->T && d != c->s->all) {
        if (timed(c, i))
            refuse(c, n, "an index of %s depends on the length of the sequence", show(c, n->arg[0]));
        of(c, n)->fact =
            of(c, n->arg[0])->fact.kind == NP_FACT_SAME ? np_causal_same(n) : of(c, n->arg[0])->fact;
    } else if (end && !c->in_time && !c->in_all && !(d == c->s->all && has_time(c, n->type))) {
        of(c, n)->end = true;
    } else if (!(d == c->s->all && np_dim_is(i, 0))) {
        refuse(c, n, "position %s of %s is not there in every piece", np_dim_str(c->cx, i),
               show(c, n->arg[0]));
    }
}
/* Ops that look back, and have to keep something between calls. */
static void check_memory(checker *c, const np_node *n)
{
    const np_node *x = n->arg[0];
    if (x->type->dim[n->attr[0]->k] != c->s->T) return;
    if (n->op == NP_WINDOW && np_dim_is(n->attr[1], 1)) return;
    const char *what = n->op == NP_WINDOW ? "looking back along time" : "all positions of a value";
    if (n->in != &c->s->f->top) refuse(c, n, "%s inside the body of a scan over another axis", what);
    if (has_all(c, x->type)) refuse(c, n, "%s: %s has an axis of all positions", what, show(c, x));
    if (n->nargs == 2 && (n->op == NP_APPEND || !c->s->plain[n->arg[1]->id]))
        refuse(c, n, "what stands before the first position depends on the sequence");
}
static void check_size(checker *c, const np_node *n)
{
    if (n->attr[0] == c->s->N)
        of(c, n)->fact = np_causal_num(0); /* as written nothing came before */
    else if (timed(c, n->attr[0]))
        of(c, n)->end = true;
}
static void check_iota(checker *c, const np_node *n)
{
    bool all = n->attr[0] == c->s->all;
    if (all || n->attr[0] == c->s->T) of(c, n)->fact = (np_fact){.kind = NP_FACT_LINE, .j = all, .t = !all};
}
/* Ops that move values about: what is known of all of them stays known. */
static void check_moved(checker *c, const np_node *n)
{
    const np_fact *f = &of(c, n->arg[0])->fact;
    int64_t axis = n->attr[0] ? n->attr[0]->k : 0;
    bool along =
        (n->op == NP_SLICE || n->op == NP_PAD || n->op == NP_CONCAT) && timed(c, n->arg[0]->type->dim[axis]);
    if (along) refuse(c, n, "%s along time: %s", np_op_info(n->op)->text, show(c, n->arg[0]));
    for (int i = 1; i < NP_MAXATTRS && n->op == NP_SLICE && n->attr[i]; i++)
        if (timed(c, n->attr[i]))
            refuse(c, n, "a slice depends on the length of the sequence: %s", show(c, n));
    if (f->kind == NP_FACT_SAME) return;
    for (int i = 1; i < n->nargs; i++)
        if (!np_causal_equal(f, &of(c, n->arg[i])->fact)) return;
    if (n->op == NP_PAD && !np_causal_is(f, n->num)) return;
    of(c, n)->fact = *f;
}

/* ---- bodies */
static void check_block(checker *c, const np_block *b);

static bool body_end(checker *c, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next)
        for (int i = 0; i < n->nargs; i++)
            if (is_end(c, n->arg[i])) return true;
    return false;
}
static bool body_plain(checker *c, const np_node *n)
{
    bool plain = true;
    for (int i = 0; i < n->nargs; i++) plain &= c->s->plain[n->arg[i]->id];
    for (int k = 0; k < 2; k++)
        for (const np_node *m = n->body[k] ? n->body[k]->first : NULL; m; m = m->next)
            for (int i = 0; i < m->nargs; i++) plain &= c->s->plain[m->arg[i]->id];
    return plain;
}
static void check_cond(checker *c, const np_node *n)
{
    bool end = is_end(c, n->arg[0]);
    for (int k = 0; k < 2; k++) {
        check_block(c, n->body[k]);
        end |= body_end(c, n->body[k]);
    }
    for (int i = 0; i < np_result_count(n); i++) {
        const np_fact *x = &of(c, n->body[0]->last->arg[i])->fact,
                      *y = &of(c, n->body[1]->last->arg[i])->fact;
        of(c, n)[i] = (part){.fact = np_causal_equal(x, y) ? *x : np_causal_same(n), .end = end};
    }
    c->s->plain[n->id] = body_plain(c, n);
}

typedef struct scan {
    const np_node *n;
    const np_block *body;
    int seq, nstates, nouts;
    bool time, all, back;
    bool *known; /* states of which the fact of their start is assumed in every step */
} scan;

static void enter(checker *c, const scan *s)
{
    for (int i = 0; i < s->n->nargs; i++) {
        const np_node *p = s->body->param[i], *x = s->n->arg[i];
        const np_fact *f = &of(c, x)->fact;
        bool known = i < s->seq ? f->kind != NP_FACT_SAME : s->known[i - s->seq];
        *of(c, p) = (part){.fact = known ? *f : np_causal_same(p), .end = is_end(c, x)};
        c->s->plain[p->id] = c->s->plain[x->id] && !s->time;
    }
}
/* Does a step leave the state i as it was, as far as is known of it? */
static bool kept(checker *c, const scan *s, int i)
{
    return np_causal_equal(&of(c, s->body->last->arg[s->nouts + i])->fact,
                           &of(c, s->body->param[s->seq + i])->fact);
}
static void walk_body(checker *c, const scan *s)
{
    bool time = c->in_time, all = c->in_all;
    c->in_time |= s->time, c->in_all |= s->all;
    for (bool again = true; again && c->s->ok;) {
        again = false;
        enter(c, s);
        check_block(c, s->body);
        for (int i = 0; i < s->nstates && c->s->ok; i++)
            if (s->known[i] && !kept(c, s, i)) s->known[i] = false, again = true;
    }
    c->in_time = time, c->in_all = all;
}
/* The state after the last step. */
static part last_state(checker *c, const scan *s, int i)
{
    const np_node *start = s->n->arg[s->seq + i];
    part p = usual(s->n);
    if (s->time) p.end = true;
    if (s->all && !kept(c, s, i)) { /* steps of later positions change it */
        bool positioned = c->in_time || has_time(c, start->type);
        if (s->back)
            refuse(c, s->n,
                   "a scan from the end over all positions begins with later ones; mask what it reads so "
                   "that they change no state");
        else if (positioned)
            p.no = "a scan over all positions ends with later ones; mask what it reads so that they change "
                   "no state";
        else
            p.end = true;
    }
    if (s->known[i] && !s->time && !s->all) p.fact = of(c, start)->fact;
    return p;
}
static void check_start(checker *c, const scan *s, int i)
{
    const np_node *start = s->n->arg[s->seq + i];
    if (!s->time) return;
    if (s->back) refuse(c, s->n, "a scan from the end of time needs the whole sequence");
    if (s->n->in != &c->s->f->top)
        refuse(c, s->n, "a scan over time inside the body of a scan over another axis");
    if (!c->s->plain[start->id])
        refuse(c, s->n, "the start of state %s depends on the sequence", show(c, s->body->param[s->seq + i]));
}
static void check_scan(checker *c, const np_node *n)
{
    scan s = {.n = n, .body = n->body[0], .seq = (int)n->attr[0]->k, .back = np_dim_is(n->attr[2], 1)};
    s.nstates = n->nargs - s.seq;
    s.nouts = s.body->last->nargs - s.nstates;
    s.time = n->attr[1] == c->s->T, s.all = n->attr[1] == c->s->all;
    s.known = np_arena_array(c->mem, (size_t)s.nstates + 1, sizeof *s.known);
    if (!s.time && !s.all && timed(c, n->attr[1]))
        refuse(c, n, "a scan over %s steps", np_dim_str(c->cx, n->attr[1]));
    if ((s.time && c->in_time) || (s.all && c->in_all)) refuse(c, n, "a scan over time inside another");
    for (int i = 0; i < s.nstates; i++) {
        check_start(c, &s, i);
        /* forwards the steps of later positions come after others */
        s.known[i] = of(c, n->arg[s.seq + i])->fact.kind == NP_FACT_NUM && !(s.all && !s.back);
    }
    walk_body(c, &s);
    if (!c->s->ok) return;
    bool end = body_end(c, s.body);
    for (int i = 0; i < n->nargs; i++) end |= is_end(c, n->arg[i]);
    for (int i = 0; i < s.nouts; i++) {
        const np_fact *f = &of(c, s.body->last->arg[i])->fact;
        of(c, n)[i] = (part){.fact = f->kind == NP_FACT_SAME ? np_causal_same(n) : *f, .end = end};
    }
    for (int i = 0; i < s.nstates; i++) {
        part p = last_state(c, &s, i);
        p.end |= end;
        if (s.time && has_all(c, n->arg[s.seq + i]->type) && !kept(c, &s, i))
            refuse(c, n,
                   "state %s has a row for each position, and rows of later ones may be written; write one "
                   "with where(eq(pos(J), pos(T)), new, old)",
                   show(c, s.body->param[s.seq + i]));
        of(c, n)[s.nouts + i] = p;
    }
    c->s->plain[n->id] = body_plain(c, n) && !s.time && !s.all;
}

/* ---- the walk */
static void check_node(checker *c, const np_node *n)
{
    part *p = of(c, n);
    np_fact arg[3];
    bool end = false, plain = true;
    for (int i = 0; i < n->nargs; i++) {
        plain &= c->s->plain[n->arg[i]->id];
        if (n->op != NP_PICK) end |= is_end(c, n->arg[i]);
    }
    p[0] = usual(n);
    c->s->plain[n->id] = plain && !has_time(c, n->type);
    check_types(c, n);
    if (np_is_elem(n)) {
        for (int i = 0; i < n->nargs; i++) arg[i] = of(c, n->arg[i])->fact;
        p->fact = np_causal_elem(n, arg);
    }
    switch (n->op) {
    case NP_CONST:
        if (!n->data) p->fact = np_causal_num(n->num);
        break;
    case NP_IOTA: check_iota(c, n); break;
    case NP_SIZE: check_size(c, n); break;
    case NP_REDUCE: check_reduce(c, n); break;
    case NP_CONTRACT: check_contract(c, n); break;
    case NP_GATHER: check_gather(c, n); break;
    case NP_AT: check_at(c, n); break;
    case NP_WINDOW:
    case NP_APPEND: check_memory(c, n); break;
    case NP_EXPAND:
    case NP_PERMUTE:
    case NP_SPLIT:
    case NP_MERGE:
    case NP_SLICE:
    case NP_PAD:
    case NP_CONCAT: check_moved(c, n); break;
    case NP_PICK:
        *p = of(c, n->arg[0])[n->attr[0]->k];
        if (p->fact.kind == NP_FACT_SAME) p->fact = np_causal_same(n);
        if (p->no) refuse(c, n, "%s", p->no);
        break;
    case NP_SCAN: check_scan(c, n); break;
    case NP_COND: check_cond(c, n); break;
    default: break;
    }
    for (int i = 0; i < np_result_count(n) && c->s->ok; i++) {
        p[i].end |= end;
        if (!p[i].end) continue;
        c->s->plain[n->id] = false;
        const np_type *t = np_result_type(n, i);
        bool used = !n->type->tuple; /* of several results each pick is judged */
        if (used && (c->in_time || c->in_all || has_time(c, t) || has_all(c, t)))
            refuse(c, n, "%s at every position would depend on the end of the sequence", show(c, n));
        if (used && p[i].no) refuse(c, n, "%s", p[i].no);
    }
}
static void check_block(checker *c, const np_block *b)
{
    for (const np_node *n = b->first; n && c->s->ok; n = n->next)
        if (n->op != NP_YIELD && n->op != NP_RET) check_node(c, n);
}

static void find_symbols(np_streamed *s, np_cx *cx)
{
    const np_dim **sym;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++) {
        if (sym[i]->role == NP_ROLE_TIME) s->T = sym[i];
        if (sym[i]->role == NP_ROLE_PAST) s->N = sym[i];
    }
    if (!s->T) return;
    if (!s->N) {
        s->N = np_dim_sym(cx, "N");
        np_dim_declare(cx, s->N, 0, s->T->hi - (s->T->lo > 0 ? 1 : 0), NP_ROLE_PAST);
    }
    s->all = np_dim_add(cx, s->N, s->T);
}
np_streamed np_stream_check(const np_fn *f, np_arena *mem)
{
    np_streamed s = {.f = f, .ok = true};
    find_symbols(&s, f->cx);
    s.plain = np_arena_array(mem, f->nnodes + 1, sizeof *s.plain);
    checker c = {.s = &s, .cx = f->cx, .mem = mem};
    c.part = np_arena_array(mem, f->nnodes + 1, sizeof *c.part);
    bool any = false;
    for (int i = 0; i < f->top.nparams; i++) {
        const np_node *p = f->top.param[i];
        *of(&c, p) = usual(p);
        bool time = false;
        for (int k = 0; s.T && k < p->type->rank; k++) time |= timed(&c, p->type->dim[k]);
        s.plain[p->id] = !time;
        any |= time;
        if (time) check_type(&c, p, p->type);
    }
    if (!any) {
        np_note(f->cx, f->loc, "no step: no input has an axis of time");
        s.ok = false;
    }
    if (s.ok && f->nstates) {
        np_note(f->cx, f->loc, "no step: @%s has states of its own", f->name);
        s.ok = false;
    }
    if (s.ok) check_block(&c, &f->top);
    for (int i = 0; s.ok && i < f->nouts; i++) {
        const np_node *x = f->top.last->arg[i];
        if (has_all(&c, x->type)) refuse(&c, x, "output %s has an axis of all positions", f->out_name[i]);
    }
    return s;
}
