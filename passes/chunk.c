/* chunk: TENSOR to TENSOR. Takes scans over time; gives, for each whose step is
 * affine in its states, a scan over blocks of steps that does the same with
 * contractions. Keeps every result.
 *
 * The states of a scan are sorted into parts that need one another (strongly
 * connected by who is computed from whom; states that are added to each other
 * belong together). Part after part is read as linear forms (affine.c) and
 * written in its blocked form (chunk_block.c), or as a scan step by step
 * (chunk_step.c); what depends on no state of a part is computed for all steps at
 * once (lift.c), before it or after it. So a scan with gates, a normaliser and a
 * matrix becomes several, each in the form that serves it.
 *
 * What no step changes is written as a convolution (chunk_conv.c). What stays step
 * by step, with a note that says why: what is not affine, states whose every
 * element has its own decay (there is no score matrix worth having), and
 * everything where blocks do not pay. */
#include "chunk.h"

#include <string.h>

enum { MAXSTATES = 32, MAXPARTS = 32, PENDING = 16, MAXSPLIT = 256 };

typedef struct done { /* a scan that was rewritten, and its results */
    const np_node *scan;
    np_node **result;
    struct done *next;
} done;
typedef struct chunker {
    const np_knobs *k;
    np_arena mem;
    done *list;
    np_node *split[MAXSPLIT]; /* scans over chunks that lie side by side */
    int nsplit;
} chunker;
typedef struct work { /* one scan */
    chunker *c;
    np_lift lift;
    np_depend dep;
    int seq, nstates, nouts, nparts;
    uint32_t part[MAXPARTS], needs[MAXPARTS]; /* states of each part; states that it needs beside them */
    np_node *final[MAXSTATES];
    np_blocked pending[PENDING];
    uint32_t pending_states, pending_steps, finished;
    int npending, nblocked;
    int64_t size, abreast; /* of the chunks of what is pending; how many lie side by side */
    bool ok;
} work;

/* ---- parts */
static void close_over(uint32_t *to, int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < n; i++)
            if (to[i] >> k & 1) to[i] |= to[k];
}
/* What a state is read with comes before it, where that is possible: then the read can be blocked. */
static void order_reads(const work *w, uint32_t *to)
{
    for (const np_node *n = w->lift.scan->body[0]->first; n; n = n->next) {
        if (n->op == NP_YIELD || !w->lift.rw->live[n->id]) continue;
        for (int o = 0; o < n->nargs; o++)
            for (int i = 0; i < w->nstates; i++) {
                uint32_t with = 0, later = 0;
                if (!(w->dep.form[n->arg[o]->id] >> i & 1)) continue;
                for (int k = 0; k < n->nargs; k++)
                    if (k != o) with |= w->dep.any[n->arg[k]->id];
                for (int j = 0; j < w->nstates; j++)
                    if (to[j] >> i & 1 || j == i) later |= (uint32_t)1 << j;
                if (!(with & ~later)) continue;
                to[i] |= with & ~later;
                close_over(to, w->nstates);
            }
    }
}
static void sort_parts(work *w)
{
    const np_node *scan = w->lift.scan;
    const np_block *body = scan->body[0];
    uint32_t to[MAXSTATES] = {0}, taken = 0;
    int n = w->nstates;
    for (int i = 0; i < n; i++) {
        const np_node *next = body->last->arg[w->nouts + i];
        to[i] |= w->dep.any[next->id];
        for (int j = 0; j < n; j++) /* added to one another */
            if (j != i && (w->dep.form[next->id] >> j & 1) &&
                scan->arg[w->seq + i]->type == scan->arg[w->seq + j]->type)
                to[i] |= (uint32_t)1 << j, to[j] |= (uint32_t)1 << i;
    }
    close_over(to, n);
    order_reads(w, to);
    while (taken != (n == 32 ? ~(uint32_t)0 : ((uint32_t)1 << n) - 1)) {
        for (int i = 0; i < n; i++) {
            uint32_t own = (uint32_t)1 << i;
            if (taken & own) continue;
            for (int j = 0; j < n; j++)
                if ((to[i] >> j & 1) && (to[j] >> i & 1)) own |= (uint32_t)1 << j;
            if (to[i] & ~own & ~taken) continue; /* something else first */
            w->part[w->nparts] = own;
            w->needs[w->nparts++] = to[i] & ~own;
            taken |= own;
        }
    }
}

static int64_t most_steps(const work *w)
{
    int64_t lo, hi;
    np_dim_range(w->lift.n, &lo, &hi);
    return hi;
}

/* ---- notes */
static const char *decay_text(const np_affine *a)
{
    static const char *const text[] = {"no decay",
                                       "a decay for each head",
                                       "a decay for each channel of the key",
                                       "a decay for each channel of the value",
                                       "a decay for each channel of the key and one for each of the value",
                                       "states that are mixed by numbers for each head"};
    return a->level ? "levels of a state that are mixed by numbers for each head" : text[a->decay];
}
static np_str form_text(np_cx *cx, const np_choice *k, const char *what)
{
    if (k->c == 1) return np_str_fmt(cx, "step form (chunk 1): %s; chunks of 32 would take", k->why);
    np_str side = k->side > 1 ? np_str_fmt(cx, ", %d side by side", (int)k->side) : "";
    return np_str_fmt(cx, "%sin chunks of %d steps%s, with", what, (int)k->c, side);
}
/* What was read in the body and what is made of it. */
static void note_events(const work *w, const np_affine *a, const np_choice *k)
{
    np_cx *cx = w->lift.rw->b->cx;
    int solved = 0;
    int64_t tried = k->c == 1 ? 32 : k->c;
    for (int f = 0; f < a->nwrites; f++) solved += a->write[f].reads;
    np_str after = solved ? np_str_fmt(cx, ", %d of them after reads of the same step", solved) : "";
    np_guard g = np_guard_of(a->mix[0][0], tried);
    const char *how = a->decay == NP_DECAY_NONE ? ""
                      : (a->decay == NP_DECAY_KEY || a->decay == NP_DECAY_BOTH) && g.factored
                          ? "; factors"
                          : "; exact products";
    np_str guard =
        np_str_fmt(cx, "guard: %s%s", a->nstates > 1 || a->level ? "none" : np_guard_text(cx, g), how);
    np_str decay = k->conv   ? "the same coefficients in every step"
                   : k->each ? (a->each ? a->each : "element by element")
                             : np_str_fmt(cx, "%s (%s)", decay_text(a), guard);
    const char *what =
        k->conv   ? "a convolution "
        : k->each ? (k->side > 1 ? "step by step from nothing " : "step by step, all reads at once, ")
                  : "";
    np_note(cx, w->lift.scan->loc,
            "scan over %s in @%s, state %s: %d read%s, %d write%s%s, %s; %s %.2g times the multiply-adds of "
            "the step form",
            np_dim_str(cx, w->lift.n), w->lift.rw->b->fn->name, a->state[0]->name ? a->state[0]->name : "",
            a->nreads, a->nreads == 1 ? "" : "s", a->nwrites, a->nwrites == 1 ? "" : "s", after, decay,
            form_text(cx, k, what), np_chunk_effort(a, k, tried, most_steps(w)));
}
static void note_step(const work *w, const np_node *state, const np_node *where, const char *why)
{
    np_cx *cx = w->lift.rw->b->cx;
    np_text t = {0};
    if (where && where->op != NP_SCAN && where->op != NP_PARAM) np_print_node(&t, where);
    np_note(cx, where ? where->loc : w->lift.scan->loc,
            "scan over %s in @%s, state %s: step form (chunk 1): %s%s%s", np_dim_str(cx, w->lift.n),
            w->lift.rw->b->fn->name, state->name ? state->name : "", why, t.s ? ": " : "", t.s ? t.s : "");
    np_text_free(&t);
}

/* ---- one scan */
static bool may_split(const work *w)
{
    return w->c->nsplit + w->nparts < MAXSPLIT;
}
static void flush(work *w)
{
    if (w->npending && w->ok) {
        const np_node *scan = w->lift.scan;
        np_cx *cx = w->lift.rw->b->cx;
        np_frames s = {.b = w->lift.rw->b, .T = w->lift.n, .c = w->size, .back = np_dim_is(scan->attr[2], 1)};
        s.abreast = w->abreast;
        s.chunks = np_dim_ceil(cx, w->lift.n, w->size * w->abreast);
        s.b->loc = scan->loc;
        np_node *chunks = np_chunk_block(&s, w->pending, w->npending);
        if (w->abreast > 1) w->c->split[w->c->nsplit++] = chunks;
        for (int q = 0; q < w->npending; q++)
            for (int i = 0, k = 0; i < w->nstates; i++)
                if (k < w->pending[q].a->nstates &&
                    scan->body[0]->param[w->seq + i] == w->pending[q].a->state[k])
                    w->final[i] = w->pending[q].final[k++];
        w->finished |= w->pending_states;
        w->nblocked += w->npending;
    }
    w->npending = 0;
    w->pending_states = 0;
    if (w->pending_steps && w->ok) {
        w->ok = np_chunk_steps(&w->lift, &w->dep, w->pending_steps, w->finished, w->final);
        w->finished |= w->pending_steps;
    }
    w->pending_steps = 0;
}
static bool joins(const work *w, const np_affine *a, const np_choice *k)
{
    if (!w->npending) return true;
    const np_affine *first = w->pending[0].a;
    if (w->npending == PENDING || k->c != w->size || k->side != w->abreast ||
        strcmp(first->batch, a->batch) != 0)
        return false;
    for (const char *p = a->batch; *p; p++)
        if (a->l.dim[(int)*p] != first->l.dim[(int)*p]) return false;
    return true;
}
static np_affine *new_affine(work *w)
{
    np_affine *a = np_arena_alloc(&w->c->mem, sizeof *a);
    *a = (np_affine){.lift = &w->lift};
    a->form = np_arena_array(&w->c->mem, w->lift.rw->old->nnodes + 1, sizeof *a->form);
    w->lift.no = NULL;
    return a;
}
/* A body that has no such form as it stands may have one that mixes an axis of its states. */
static bool read_levels(work *w, np_affine **a, uint32_t part)
{
    const np_node *scan = w->lift.scan;
    const np_type *t = (*a)->state[0]->type;
    int64_t n;
    for (int k = 0; k < t->rank; k++) {
        np_depend d;
        if (!np_dim_int(t->dim[k], &n) || n < 2 || n > NP_LEVELS) continue;
        np_affine_depend(w->lift.rw->old, scan, k, &d, &w->c->mem);
        if (!d.mixes) continue;
        np_affine *other = new_affine(w);
        if (np_affine_read(other, scan, part, &d, w->lift.rw->live) && other->key[0]) return *a = other, true;
        if (other->each && other->no) (*a)->no = other->no, (*a)->where = other->where;
    }
    return false;
}
/* Is the part a state that is made from no state: a value of the step before? */
static bool keeps_one_step(const work *w, int q)
{
    const np_node *const *next = (const np_node *const *)w->lift.scan->body[0]->last->arg + w->nouts;
    int i = 0;
    while (!(w->part[q] >> i & 1)) i++;
    return w->part[q] >> i == 1 && !w->dep.any[next[i]->id];
}
static void do_part(work *w, int q)
{
    np_rw *rw = w->lift.rw;
    const np_node *scan = w->lift.scan;
    if (w->needs[q] & (w->pending_states | w->pending_steps)) flush(w);
    if (!w->ok) return;
    np_affine *a = new_affine(w);
    np_choice k = {.c = 1, .side = 1};
    bool affine = np_affine_read(a, scan, w->part[q], &w->dep, rw->live);
    if (!affine) affine = read_levels(w, &a, w->part[q]);
    if (affine)
        k = np_chunk_choose(a,
                            &(np_wanted){w->c->k->chunk, may_split(w) ? w->c->k->abreast : 1, most_steps(w)});
    bool once = keeps_one_step(w, q);
    if (affine && (k.conv || k.each || (a->key[0] && !a->each)))
        note_events(w, a, &k);
    else
        note_step(w, a->state[0], affine || once ? NULL : a->where,
                  once     ? "it is a value of the step before, there is nothing to block"
                  : affine ? k.why
                           : a->no);
    if (k.c == 1) {
        if (w->npending && (w->needs[q] & w->pending_states)) flush(w);
        w->pending_steps |= w->part[q];
        return;
    }
    if (!joins(w, a, &k)) flush(w);
    w->size = k.c;
    w->abreast = k.side;
    np_blocked *r = &w->pending[w->npending++];
    *r = (np_blocked){.a = a, .conv = k.conv, .each = k.each, .guard = np_guard_of(a->mix[0][0], k.c)};
    for (int i = 0, n = 0; i < w->nstates; i++)
        if (w->part[q] >> i & 1) r->start[n++] = np_rewrite_get(rw, scan->arg[w->seq + i]);
    w->pending_states |= w->part[q];
}
static bool results(work *w, np_node **result)
{
    const np_node *scan = w->lift.scan, *yield = scan->body[0]->last;
    np_build *b = w->lift.rw->b;
    for (int i = 0; i < w->nouts; i++) {
        np_node *x = np_lift_get(&w->lift, yield->arg[i]);
        if (!x) {
            note_step(w, yield->arg[i], w->lift.no, "its output cannot be computed for all steps at once");
            return false;
        }
        result[i] = w->lift.timed[yield->arg[i]->id] ? x : np_build_expand(b, x, 0, w->lift.n);
    }
    for (int i = 0; i < w->nstates; i++) result[w->nouts + i] = w->final[i];
    return true;
}
static np_node *block(chunker *c, np_rw *rw, const np_node *scan)
{
    np_block *body = scan->body[0];
    work w = {.c = c, .seq = (int)scan->attr[0]->k, .ok = true};
    w.nstates = scan->nargs - w.seq;
    w.nouts = body->last->nargs - w.nstates;
    w.lift = (np_lift){.rw = rw, .scan = scan, .n = scan->attr[1]};
    w.lift.whole = np_arena_array(&c->mem, rw->old->nnodes + 1, sizeof *w.lift.whole);
    w.lift.timed = np_arena_array(&c->mem, rw->old->nnodes + 1, sizeof *w.lift.timed);
    w.lift.known = np_arena_array(&c->mem, rw->old->nnodes + 1, sizeof *w.lift.known);
    np_affine_depend(rw->old, scan, -1, &w.dep, &c->mem);
    sort_parts(&w);
    for (int q = 0; q < w.nparts; q++) do_part(&w, q);
    if (w.nblocked + w.npending == 0) return NULL;
    flush(&w);
    done *d = np_arena_alloc(&c->mem, sizeof *d);
    d->scan = scan;
    d->result = np_arena_array(&c->mem, (size_t)(w.nouts + w.nstates), sizeof *d->result);
    if (!w.ok || !results(&w, d->result)) return NULL;
    d->next = c->list;
    c->list = d;
    return d->result[0];
}

static np_node *rule(np_rw *rw, const np_node *n, np_node *const *arg)
{
    chunker *c = rw->env;
    int64_t lo, hi;
    (void)arg;
    if (n->op == NP_PICK)
        for (done *d = c->list; d; d = d->next)
            if (d->scan == n->arg[0]) return d->result[(int)n->attr[0]->k];
    if (n->op != NP_SCAN) return NULL;
    int nstates = n->nargs - (int)n->attr[0]->k;
    np_dim_range(n->attr[1], &lo, &hi);
    if (nstates == 0 || hi <= 1) return NULL; /* a map has no order */
    if (c->k->chunk == 1 || nstates > MAXSTATES) {
        np_note(rw->b->cx, n->loc, "scan over %s in @%s: step form (chunk 1)",
                np_dim_str(rw->b->cx, n->attr[1]), rw->b->fn->name);
        return NULL;
    }
    return block(c, rw, n);
}
np_fn *np_chunk_run(const np_fn *f, const np_knobs *k)
{
    chunker c = {.k = k};
    np_fn *ranks = k->chunk == 1 ? NULL : np_chunk_ranks(f);
    np_fn *now = np_rewrite(ranks ? ranks : f, rule, &c);
    np_fn_free(ranks);
    if (c.nsplit) {
        np_fn *split = np_chunk_abreast(now, c.split, c.nsplit);
        np_fn_free(now);
        now = split;
    }
    np_arena_free(&c.mem);
    return now;
}
