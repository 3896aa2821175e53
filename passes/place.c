/* place: LOOP to PLACED. Takes loops over buffers; gives every buffer an offset
 * in one work memory, or makes it a local array. Keeps the code.
 *
 * A buffer is alive from the first top-level statement that mentions it to the
 * last; buffers whose lives overlap lie apart. They are placed by decreasing
 * size, each into the smallest gap between those placed that are alive with it.
 * Sizes with symbols count with their upper bound, so the peak is known when
 * the function is compiled. */
#include "passes.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, LOCAL_BYTES = 32 * 1024, SMALL_BYTES = 512 }; /* small ones may be registers: always local */
static const int64_t MOST_BYTES = (int64_t)1 << 46; /* what a process can address, about */
typedef struct span {
    const np_node *buf;
    int64_t bytes, at;
    int first, last; /* top-level statements */
    bool local;
} span;
typedef struct plan {
    np_cx *cx;
    span *s;
    int n, cap;
    int *of; /* by id: its span, or -1 */
    int now;        /* the top-level statement being walked */
    int64_t locals; /* bytes of local arrays in the blocks around */
    int64_t peak;
} plan;

static int64_t bytes_of(np_cx *cx, const np_type *t)
{
    int64_t lo, hi;
    np_dim_range(np_type_count(cx, t), &lo, &hi);
    if (hi > MOST_BYTES / np_dtype_size(t->dtype)) return MOST_BYTES;
    return (hi * np_dtype_size(t->dtype) + ALIGN - 1) / ALIGN * ALIGN;
}
static bool is_constant(const np_type *t)
{
    int64_t k;
    for (int i = 0; i < t->rank; i++)
        if (!np_dim_int(t->dim[i], &k)) return false;
    return true;
}
/* A buffer that stands at top is alive from its first use, not from where it is declared. */
static void found(plan *p, const np_node *n, bool inside)
{
    int64_t bytes = bytes_of(p->cx, n->type);
    span s = {.buf = n, .bytes = bytes, .at = -1, .first = inside ? p->now : -1, .last = inside ? p->now : -1};
    if (inside && is_constant(n->type) && (bytes <= SMALL_BYTES || p->locals + bytes <= LOCAL_BYTES)) s.local = true, s.at = -2, p->locals += bytes;
    p->of[n->id] = p->n;
    p->s[p->n++] = s;
}
static void walk(plan *p, const np_block *b)
{
    int64_t outside = p->locals;
    for (const np_node *n = b->first; n; n = n->next) {
        if (!b->outer) p->now++;
        if (n->op == NP_ALLOC) found(p, n, b->outer != NULL);
        for (int i = 0; i < n->nargs; i++) {
            int k = n->arg[i]->op == NP_ALLOC ? p->of[n->arg[i]->id] : -1;
            if (k < 0) continue;
            span *s = &p->s[k];
            if (s->first < 0) s->first = p->now;
            s->last = p->now;
        }
        for (int i = 0; i < 2; i++)
            if (n->body[i]) walk(p, n->body[i]);
    }
    p->locals = outside;
}
static void count_alloc(void *env, const np_node *n)
{
    *(int *)env += n->op == NP_ALLOC;
}

static int by_size(const void *a, const void *b)
{
    const span *x = *(const span *const *)a, *y = *(const span *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y;
}
static int by_offset(const void *a, const void *b)
{
    const span *x = *(const span *const *)a, *y = *(const span *const *)b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    return x < y ? -1 : x > y;
}
/* The smallest gap that holds s between those in `near`, sorted by offset. */
static int64_t best_gap(const span *s, span **near, int n)
{
    int64_t end = 0, best = -1, room = INT64_MAX;
    for (int i = 0; i < n; i++) {
        int64_t gap = near[i]->at - end;
        if (gap >= s->bytes && gap < room) best = end, room = gap;
        if (near[i]->at + near[i]->bytes > end) end = near[i]->at + near[i]->bytes;
    }
    return best >= 0 ? best : end;
}
static void assign(plan *p, np_arena *mem)
{
    span **order = np_arena_array(mem, (size_t)p->n + 1, sizeof *order), **near = np_arena_array(mem, (size_t)p->n + 1, sizeof *near);
    int n = 0;
    for (int i = 0; i < p->n; i++)
        if (!p->s[i].local) order[n++] = &p->s[i];
    qsort(order, (size_t)n, sizeof *order, by_size);
    for (int i = 0; i < n; i++) {
        int k = 0;
        for (int j = 0; j < i; j++)
            if (order[j]->first <= order[i]->last && order[i]->first <= order[j]->last) near[k++] = order[j];
        qsort(near, (size_t)k, sizeof *near, by_offset);
        order[i]->at = best_gap(order[i], near, k);
        if (order[i]->at + order[i]->bytes > p->peak) p->peak = order[i]->at + order[i]->bytes;
    }
}
static plan find_spans(const np_fn *f, np_arena *mem)
{
    plan p = {.cx = f->cx};
    np_fn_walk(f, count_alloc, &p.cap);
    p.s = np_arena_array(mem, (size_t)p.cap + 1, sizeof *p.s);
    p.of = np_arena_array(mem, f->nnodes + 1, sizeof *p.of);
    p.now = -1;
    memset(p.of, -1, (f->nnodes + 1) * sizeof *p.of);
    walk(&p, &f->top);
    return p;
}

static np_node *place(np_rw *rw, const np_node *old, np_node *const *arg)
{
    const plan *p = rw->env;
    (void)arg;
    if (old->op != NP_ALLOC) return NULL;
    int64_t at = p->s[p->of[old->id]].at;
    return np_build_op(rw->b, NP_ALLOC, 0, NULL, &(np_extra){.type = old->type, .attr = {np_dim_const(rw->b->cx, at)}});
}

np_fn *np_place_run(const np_fn *f, const np_knobs *k)
{
    np_arena mem = {0};
    (void)k;
    plan p = find_spans(f, &mem);
    assign(&p, &mem);
    if (p.peak >= MOST_BYTES)
        np_error(f->cx, f->loc, "@%s needs more memory than there can be, because its sizes are not limited: "
                                "set the most positions with --context", f->name);
    np_fn *now = np_rewrite(f, place, &p);
    now->stage = NP_STAGE_PLACED;
    now->work = p.peak;
    np_arena_free(&mem);
    return now;
}

/* ---- the plan as text */
static int64_t most_alive(const plan *p)
{
    int64_t most = 0;
    for (int i = 0; i < p->n; i++) { /* the most are alive where some life begins */
        int64_t sum = 0;
        for (int j = 0; j < p->n; j++)
            if (!p->s[j].local && p->s[j].first <= p->s[i].first && p->s[i].first <= p->s[j].last) sum += p->s[j].bytes;
        if (sum > most) most = sum;
    }
    return most;
}
void np_place_report(const np_fn *f, np_text *out)
{
    np_arena mem = {0};
    plan p = find_spans(f, &mem);
    int64_t total = 0;
    np_text_add(out, "memory of @%s\n  %-24s %-20s %10s %10s  alive\n", f->name, "buffer", "type", "bytes", "offset");
    for (int i = 0; i < p.n; i++) {
        const span *s = &p.s[i];
        int64_t at = s->buf->attr[0]->k;
        const char *name = s->buf->name ? s->buf->name : "-";
        if (at == -2) np_text_add(out, "  %-24s %-20s %10lld %10s  %d\n", name, np_type_str(f->cx, s->buf->type), (long long)s->bytes, "local", s->first);
        else np_text_add(out, "  %-24s %-20s %10lld %10lld  %d..%d\n", name, np_type_str(f->cx, s->buf->type), (long long)s->bytes, (long long)at, s->first, s->last);
        if (at != -2) total += s->bytes;
        p.s[i].local = at == -2;
    }
    np_text_add(out, "  %lld bytes in buffers, %lld in memory, %lld alive at once\n", (long long)total, (long long)f->work, (long long)most_alive(&p));
    np_arena_free(&mem);
}
