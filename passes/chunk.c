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

/* ---- what pays */
static double volume(const np_affine *a, const char *letters)
{
    double v = 1;
    for (; *letters; letters++) {
        int64_t lo, hi;
        np_dim_range(a->l.dim[(int)*letters], &lo, &hi);
        v *= (double)(hi < 1 ? 1 : hi);
    }
    return v;
}
/* Multiply-adds of a step for one index of the batch: in the step form, and in chunks of c. */
static double step_work(const np_affine *a)
{
    double kv = volume(a, a->key) * volume(a, a->value) * volume(a, a->held),
           levels = volume(a, (char[]){a->level, 0});
    double mixing = a->dense                    ? levels
                    : a->decay == NP_DECAY_NONE ? 0
                    : a->decay == NP_DECAY_EACH ? a->nstates
                                                : 1;
    return kv * (a->nreads + a->nwrites + mixing) * a->nstates * levels;
}
static double chunk_work(const np_affine *a, double c)
{
    double k = volume(a, a->key), v = volume(a, a->value) * volume(a, a->held),
           pairs = a->nreads * a->nwrites, levels = volume(a, (char[]){a->level, 0});
    double table = a->decay == NP_DECAY_KEY     ? 2 * k * a->nwrites * a->nstates * a->nstates
                   : a->decay == NP_DECAY_VALUE ? v * a->nwrites
                   : a->decay == NP_DECAY_BOTH  ? (2 * k + v) * a->nwrites
                                                : a->nstates * levels * levels * volume(a, a->held);
    for (int f = 0; f < a->nwrites; f++) pairs += a->write[f].own ? a->nreads * levels * levels : 0;
    double mixing = a->level ? k * v * levels * levels / c + levels * levels * levels : 0;
    return k * v * (a->nreads + a->nwrites) * a->nstates * levels + c * (pairs * (k + v) + table) + mixing;
}
static bool fits(const np_affine *a, size_t more)
{
    bool good = strlen(a->axes) + more <= NP_RANK;
    for (int e = 0; e < a->nreads; e++) good &= strlen(a->read[e].axes) + more <= NP_RANK;
    return good;
}
static bool writes_reads(const np_affine *a)
{
    bool any = false;
    for (int f = 0; f < a->nwrites; f++) any |= a->write[f].reads;
    return any;
}
/* What both forms cost, in multiply-adds of a step whose state stays in the first-level cache; measured on a core with
 * 512-bit registers, heads of 64 x 64 and 128 x 128 (docs/bench.md). The step form keeps a tile of the state in that cache
 * and takes the next one after a block of steps; states that are LARGE cost more. A chunk reads and writes the whole state,
 * wherever it lies, and copies what is fed to it; with decays along the values it goes step by step within the chunk. */
static const double LARGE = 16384, LANES = 64; /* elements */
static double step_cost(const np_affine *a)
{
    return step_work(a) * (volume(a, a->key) * volume(a, a->value) < LARGE ? 1 : 1.25);
}
static double chunk_cost(const np_affine *a, double c)
{
    if (np_chunk_by_value(a)) return 4 * chunk_work(a, c);
    double k = volume(a, a->key) * volume(a, a->held), v = volume(a, a->value) * volume(a, a->held),
           states = a->nstates * volume(a, (char[]){a->level, 0}),
           passes = a->nreads + a->nwrites + writes_reads(a);
    return 0.92 * chunk_work(a, c) + states * (4.5 * passes * volume(a, a->key) * v / c + 10 * (k + v));
}
typedef struct
    choice { /* what is made of a recurrence: c steps a chunk (1: step by step, and why), so many side by side */
    int64_t c, side;
    bool conv, each;
    const char *why;
} choice;
/* How many chunks of c steps lie side by side. What is kept for each of them is memory: that many and no more, whatever T is.
 * One core that computes them one after the other gains nothing, so they are asked for. */
static int64_t abreast(const work *w, const np_affine *a, int64_t c)
{
    int64_t lo, hi, n = w->c->k->abreast;
    np_dim_range(w->lift.n, &lo, &hi);
    bool can = c > 1 && n > 1 && fits(a, 4) && !((np_chunk_by_value(a) || a->level) && writes_reads(a)) &&
               w->c->nsplit + w->nparts < MAXSPLIT;
    int64_t most = (hi + c - 1) / c;
    return !can || most < 2 ? 1 : n < most ? n : most;
}
enum { MATRIX = 4096, STEPS = 32 };
/* Do reads multiply the state with a matrix, the same in every step, that is larger than the state? The step form would go
 * through all of it in every step. */
static bool reads_matrix(const np_affine *a)
{
    for (int e = 0; e < a->nreads; e++) {
        char own[NP_LETTERS];
        np_label_keep(own, a->read[e].axes, a->axes, false);
        bool still = true;
        for (int i = 0; i < a->nstates; i++) still &= !np_label_has(a->read[e].a[i], "t");
        if (still && volume(a, own) * volume(a, a->key) >= MATRIX) return true;
    }
    return false;
}
/* Is it written step by step in every chunk? */
static bool by_steps(const work *w, const np_affine *a)
{
    int64_t c = w->c->k->chunk;
    if (c == 1 || writes_reads(a) || a->level) return false;
    return reads_matrix(a) || ((a->each || !a->key[0] || a->decay == NP_DECAY_VALUE) && abreast(w, a, c) > 1);
}
/* Does a convolution over chunks of CONV steps pay? Its kernel is made anew in every call. The step form slows down where a
 * tile of the states and of all their coefficients is larger than the first-level cache. */
enum { CONV = 16 };
static const double TABLES = 96 * 1024; /* bytes */
static bool conv_pays(const work *w, const np_affine *a)
{
    int64_t lo, hi;
    np_dim_range(w->lift.n, &lo, &hi);
    double beside = volume(a, a->batch) * volume(a, a->value),
           tile = volume(a, a->key) * (beside < LANES ? beside : LANES),
           bytes = 4 * tile * a->nstates * (2 + a->nreads + a->nwrites);
    return np_conv_cost(a, CONV, (double)hi) < step_work(a) * (bytes <= TABLES ? 1 : 1.6);
}
/* How many steps a chunk has; 1 and why if none pays. */
static int64_t chunk_of(const work *w, const np_affine *a, const choice *k, const char **why)
{
    int64_t c = w->c->k->chunk;
    double best = step_cost(a);
    if (c == 0 && k->conv)
        return conv_pays(w, a) ? CONV : (*why = "a convolution would not pay for so few states or steps", 1);
    if (!k->conv && !k->each) {
        if (a->each) return *why = a->each, 1;
        if (!a->key[0]) return *why = "element by element: there are no scores to block", 1;
        if (!fits(a, 2)) return *why = "it has too many axes", 1;
    }
    if (c > 0) return c;
    if (k->each) return STEPS;
    c = 1;
    for (int64_t n = 16; n <= 64; n *= 2)
        if (chunk_cost(a, (double)n) < best) best = chunk_cost(a, (double)n), c = n;
    *why = c == 1 ? "blocks would not pay for a state of this size" : "";
    return c;
}
static void choose(const work *w, np_affine *a, choice *k)
{
    int64_t lo, hi;
    np_dim_range(w->lift.n, &lo, &hi);
    k->conv = w->c->k->chunk != 1 && np_conv_take(a);
    k->each = !k->conv && by_steps(w, a);
    if (!k->conv && !k->each) np_affine_apart(a);
    k->c = chunk_of(w, a, k, &k->why);
    if (k->c > hi) k->c = hi < 1 ? 1 : hi;
    k->side = abreast(w, a, k->c);
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
static np_str form_text(np_cx *cx, const choice *k, const char *what)
{
    if (k->c == 1) return np_str_fmt(cx, "step form (chunk 1): %s; chunks of 32 would take", k->why);
    np_str side = k->side > 1 ? np_str_fmt(cx, ", %d side by side", (int)k->side) : "";
    return np_str_fmt(cx, "%sin chunks of %d steps%s, with", what, (int)k->c, side);
}
/* What was read in the body and what is made of it. */
static void note_events(const work *w, const np_affine *a, const choice *k)
{
    np_cx *cx = w->lift.rw->b->cx;
    int solved = 0;
    int64_t lo, hi, tried = k->c == 1 ? 32 : k->c;
    np_dim_range(w->lift.n, &lo, &hi);
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
    double cost = k->conv   ? np_conv_work(a, (double)tried, (double)hi)
                  : k->each ? (k->side > 1 ? 2 : 1) * step_work(a)
                            : chunk_work(a, (double)tried);
    np_note(cx, w->lift.scan->loc,
            "scan over %s in @%s, state %s: %d read%s, %d write%s%s, %s; %s %.2g times the multiply-adds of "
            "the step form",
            np_dim_str(cx, w->lift.n), w->lift.rw->b->fn->name, a->state[0]->name ? a->state[0]->name : "",
            a->nreads, a->nreads == 1 ? "" : "s", a->nwrites, a->nwrites == 1 ? "" : "s", after, decay,
            form_text(cx, k, what), cost / step_work(a));
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
static bool joins(const work *w, const np_affine *a, const choice *k)
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
    choice k = {.c = 1, .side = 1};
    bool affine = np_affine_read(a, scan, w->part[q], &w->dep, rw->live);
    if (!affine) affine = read_levels(w, &a, w->part[q]);
    if (affine) choose(w, a, &k);
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
