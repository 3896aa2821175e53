/* What is computed element by element from outputs of a scan over blocks of steps
 * is computed before the blocks are put together. Takes whole-tensor ops; keeps
 * the meaning. With M for what puts blocks together (merge), leaves only the steps
 * that there are (slice) and orders axes (permute),
 *
 *     f(M y, M y', z)   ->   M f(y, y', z cut into the same blocks)
 *
 * and f, now elementwise on outputs at their own index, can go into the body of
 * the scan (fuse_sink.c), and there into the scans inside. Rows of the last block
 * that are not there are computed from zeros of z and left out by M as before.
 *
 * It is done for all that reads the outputs or nothing, and if fewer tensors leave
 * the scan then. */
#include "fuse.h"
#include "label.h"

#include <string.h>

enum {
    PAIR_HIGH = 'A',
    PAIR_LOW = 'B'
}; /* letters of the axes that M makes one; those of a value: 'a', 'b', .. */
typedef struct blocks { /* a value that is M of something */
    const np_node *scan;
    int axis[NP_RANK], merged, low; /* its axes there; that of the pair: its first, and the second */
    np_node *now;                   /* of the new function, before M */
} blocks;
typedef struct rows {
    const np_fn *f;
    np_arena mem;
    int *uses;
    const np_node **scan; /* by id: what is moved or computed from the outputs of this scan only */
    bool *moved;          /* by id: .. only moved */
    bool *as_it_is;       /* by id of an output */
    blocks **of;          /* by id */
    bool any;
} rows;

/* ---- which */
static bool moves_blocks(const np_node *n)
{
    return n->op == NP_PERMUTE || n->op == NP_MERGE || (n->op == NP_SLICE && np_dim_is(n->attr[1], 0));
}
/* Is n computed element by element from what is known to come from the scan, and from what can be had before it? */
static bool is_row(const rows *r, const np_node *n, const np_node *scan, const bool *from)
{
    bool any = false;
    if (!np_is_elem(n) && n->op != NP_EXPAND && n->op != NP_PERMUTE) return false;
    for (int i = 0; i < n->nargs; i++) {
        const np_node *x = n->arg[i];
        if (r->scan[x->id] == scan)
            any = true;
        else if (from[x->id] || np_is_sum(x) || np_fuse_ends_sum(r->uses, x))
            return false;
    }
    return any;
}
static int count_marked(const rows *r, const np_node *x)
{
    int n = 0;
    for (const np_node *m = x->next; m; m = m->next)
        for (int i = 0; i < m->nargs; i++) n += m->arg[i] == x && r->scan[m->id] == r->scan[x->id];
    return n;
}
static void unmark(rows *r, const np_node *scan)
{
    for (const np_node *n = scan; n; n = n->next)
        if (r->scan[n->id] == scan) r->scan[n->id] = NULL;
}
static const np_node *scan_of(const np_node *output)
{
    return output->op == NP_PICK ? output->arg[0] : output;
}
static const np_node *output_of(const np_node *n)
{
    while (!np_fuse_is_output(n)) n = n->arg[0];
    return n;
}
/* Marks what comes from the scan and its outputs that are not kept as they are. */
static void mark(rows *r, const np_node *scan)
{
    bool *from = np_arena_array(&r->mem, r->f->nnodes + 1, sizeof *from);
    from[scan->id] = true;
    for (const np_node *n = scan; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++) from[n->id] |= from[n->arg[i]->id];
        from[n->id] |= n->body[0] != NULL;
        bool output = np_fuse_is_output(n) && scan_of(n) == scan && !r->as_it_is[n->id];
        bool moved = output || (moves_blocks(n) && r->moved[n->arg[0]->id] && r->scan[n->arg[0]->id] == scan);
        if (!moved && !is_row(r, n, scan, from)) continue;
        r->scan[n->id] = scan;
        r->moved[n->id] = moved;
    }
    for (const np_node *n = scan->in->last; n != scan; n = n->prev) /* what only moves on the way out */
        if (r->scan[n->id] == scan && !r->moved[n->id] && !np_is_elem(n) &&
            count_marked(r, n) != r->uses[n->id])
            r->scan[n->id] = NULL;
}
/* Has x no more elements than something that is only moved now? */
static bool is_no_larger(const rows *r, const np_node *scan, const np_node *x)
{
    np_cx *cx = r->f->cx;
    for (const np_node *n = scan; n; n = n->next)
        if (r->scan[n->id] == scan && r->moved[n->id] &&
            np_dim_le(cx, np_type_count(cx, x->type), np_type_count(cx, n->type)))
            return true;
    return false;
}
/* Is there something to compute from blocks, and do no more and no larger tensors leave the scan then? */
static bool pays(const rows *r, const np_node *scan)
{
    int outputs = 0, exits = 0, elems = 0, merged = 0;
    for (const np_node *n = scan; n; n = n->next) {
        if (r->scan[n->id] != scan) continue;
        outputs += np_fuse_is_output(n);
        merged += n->op == NP_MERGE;
        elems += np_is_elem(n);
        if (count_marked(r, n) == r->uses[n->id]) continue;
        if (!is_no_larger(r, scan, n)) return false;
        exits++;
    }
    return merged && elems && exits <= outputs;
}
/* An output that something else wants, too: it is kept as it is. */
static bool finds_kept(rows *r, const np_node *scan)
{
    for (const np_node *n = scan; n; n = n->next)
        if (r->scan[n->id] == scan && r->moved[n->id] && count_marked(r, n) != r->uses[n->id])
            return r->as_it_is[output_of(n)->id] = true;
    return false;
}
static void look(void *env, const np_node *n)
{
    rows *r = env;
    if (n->op != NP_SCAN) return;
    mark(r, n);
    while (finds_kept(r, n)) {
        unmark(r, n);
        mark(r, n);
    }
    if (pays(r, n))
        r->any = true;
    else
        unmark(r, n);
}

/* ---- before M */
static blocks *known(rows *r, const np_node *x, const np_node *scan)
{
    return r->of[x->id] && r->of[x->id]->scan == scan ? r->of[x->id] : NULL;
}
/* What an output is, and what is moved from it. NULL: more than one pair of its axes is one, or a part of the others is left. */
static blocks *moved_blocks(rows *r, const np_node *n, np_node *now)
{
    blocks b = {.scan = r->scan[n->id], .merged = -1, .now = now};
    for (int i = 0; i < n->type->rank; i++) b.axis[i] = i;
    if (!np_fuse_is_output(n)) {
        const blocks *x = r->of[n->arg[0]->id];
        int k = n->attr[0] ? (int)n->attr[0]->k : 0;
        if (!x || (n->op == NP_MERGE && x->merged >= 0) || (n->op == NP_SLICE && x->merged != k)) return NULL;
        b = *x;
        for (int i = 0; i < n->type->rank && n->op != NP_SLICE; i++) {
            int from =
                n->op == NP_MERGE ? i + (i > k) : (int)(strchr(n->sym, strstr(n->sym, "->")[2 + i]) - n->sym);
            b.axis[i] = x->axis[from];
            if (n->op == NP_PERMUTE && from == x->merged) b.merged = i;
        }
        if (n->op == NP_MERGE) b.merged = k, b.low = x->axis[k + 1];
    }
    return np_arena_copy(&r->mem, &b, sizeof b);
}
typedef struct pull { /* f, cut into blocks */
    rows *r;
    np_rw *rw;
    np_label l;
    const np_node *scan;
    char time; /* the letter of the axis that M makes of a pair */
} pull;
static void with_pair(const pull *p, char *axes)
{
    char *at = strchr(axes, p->time);
    if (!at) return;
    memmove(at + 2, at + 1, strlen(at));
    at[0] = PAIR_HIGH, at[1] = PAIR_LOW;
}
/* x, of which each axis has its letter, as it is before M: cut, if nothing better is known. */
static np_lab cut(pull *p, const np_node *x, const char *axes)
{
    np_build *b = p->rw->b;
    np_node *n = np_rewrite_get(p->rw, x);
    char to[NP_RANK + 2];
    const char *at = strchr(axes, p->time);
    strcpy(to, axes);
    if (!at) return np_label_of(n, to);
    int k = (int)(at - axes);
    const np_dim *low = p->l.dim[PAIR_LOW], *all = np_dim_mul(b->cx, p->l.dim[PAIR_HIGH], low);
    const np_dim *missing = np_dim_sub(b->cx, all, x->type->dim[k]), *zero = np_dim_const(b->cx, 0);
    if (missing != zero)
        n = np_build_op(b, NP_PAD, 1, &n, &(np_extra){.attr = {np_dim_const(b->cx, k), zero, missing}});
    with_pair(p, to);
    return np_label_of(np_build_split(b, n, k, low), to);
}
static np_lab elementwise(pull *p, const np_node *x, const char *axes, const char *first);
static np_lab before(pull *p, const np_node *x, const char *axes)
{
    const blocks *known_as = known(p->r, x, p->scan);
    char to[NP_RANK + 2] = "";
    if (known_as && known_as->merged >= 0 && axes[known_as->merged] == p->time) {
        for (int i = 0; i < x->type->rank; i++) to[known_as->axis[i]] = axes[i];
        to[known_as->axis[known_as->merged]] = PAIR_HIGH, to[known_as->low] = PAIR_LOW;
        return np_label_of(known_as->now, to);
    }
    if (x->op == NP_CONST && !x->data)
        return np_label_of(np_build_num(p->rw->b, np_type_scalar(p->rw->b->cx, x->type->dtype), x->num), "");
    if (x->op == NP_EXPAND) {
        np_label_without(to, axes, (int)x->attr[0]->k);
        return before(p, x->arg[0], to);
    }
    if (x->op == NP_PERMUTE) {
        np_label_before_permute(to, x, axes);
        return before(p, x->arg[0], to);
    }
    bool mine =
        np_is_elem(x) && x->in == p->scan->in && p->r->uses[x->id] == 1 && !np_fuse_ends_sum(p->r->uses, x);
    return mine && strchr(axes, p->time) ? elementwise(p, x, axes, "") : cut(p, x, axes);
}
/* An elementwise op on operands before M; the axes `first` stand first, in their order. */
static np_lab elementwise(pull *p, const np_node *x, const char *axes, const char *first)
{
    np_lab arg[3], r;
    char all[NP_LETTERS], rest[NP_LETTERS];
    strcpy(all, first);
    for (int i = 0; i < x->nargs; i++) {
        arg[i] = before(p, x->arg[i], axes);
        np_label_keep(rest, arg[i].axes, all, false);
        np_label_join(all, all, rest, "");
    }
    p->rw->b->loc = x->loc;
    if (x->op == NP_CAST)
        r = np_label_of(np_build_cast(p->rw->b, np_label_to(&p->l, arg[0], all), x->type->dtype), all);
    else
        r = np_label_op_as(&p->l, x->op, x->nargs, arg, all);
    if (!r.n->name) r.n->name = x->name;
    return r;
}
/* The first of n's operands that is M of something with the most axes; which axis of n is M's. */
static const blocks *leading(rows *r, const np_node *n, char *axes, const char *mine)
{
    const blocks *best = NULL;
    for (int i = 0; i < n->nargs; i++) {
        const np_node *x = n->arg[i];
        char at[NP_RANK + 2], next[NP_RANK + 2];
        strcpy(at, mine);
        while (!known(r, x, r->scan[n->id]) && (x->op == NP_EXPAND || x->op == NP_PERMUTE)) {
            memset(next, 0, sizeof next);
            if (x->op == NP_EXPAND)
                np_label_without(next, at, (int)x->attr[0]->k);
            else
                np_label_before_permute(next, x, at);
            strcpy(at, next);
            x = x->arg[0];
        }
        const blocks *b = known(r, x, r->scan[n->id]);
        if (!b || b->merged < 0 || (best && strlen(axes) >= strlen(at))) continue;
        best = b;
        strcpy(axes, at);
    }
    return best;
}
static np_node *early(np_rw *rw, rows *r, const np_node *n)
{
    np_build *b = rw->b;
    char mine[NP_RANK + 2] = "", of[NP_RANK + 2] = "", first[NP_RANK + 2] = "", order[NP_RANK + 2],
                        rest[NP_LETTERS], spec[2 * NP_RANK + 8];
    for (int i = 0; i < n->type->rank; i++) mine[i] = (char)('a' + i);
    const blocks *lead = leading(r, n, of, mine);
    if (!lead || n->type->rank == NP_RANK) return NULL;
    pull p = {.r = r, .rw = rw, .l = {.b = b}, .scan = r->scan[n->id], .time = of[lead->merged]};
    for (int i = 0; i < n->type->rank; i++) p.l.dim[(int)mine[i]] = n->type->dim[i];
    p.l.dim[PAIR_HIGH] = lead->now->type->dim[lead->axis[lead->merged]];
    p.l.dim[PAIR_LOW] = lead->now->type->dim[lead->low];
    for (int i = 0; of[i]; i++) first[lead->axis[i]] = of[i];
    first[lead->axis[lead->merged]] = PAIR_HIGH, first[lead->low] = PAIR_LOW;
    np_lab x = elementwise(&p, n, mine, first);
    strcpy(order, mine);
    with_pair(&p, order);
    np_label_keep(rest, order, x.axes, false);
    if (rest[0]) { /* axes that all operands were expanded along */
        np_label_join(rest, x.axes, rest, "");
        x = np_label_of(np_label_to(&p.l, x, rest), rest);
    }
    blocks now = {.scan = p.scan, .merged = (int)(strchr(mine, p.time) - mine), .now = x.n};
    for (int i = 0; i < n->type->rank; i++)
        now.axis[i] = (int)(strchr(x.axes, i == now.merged ? PAIR_HIGH : mine[i]) - x.axes);
    now.low = (int)(strchr(x.axes, PAIR_LOW) - x.axes);
    r->of[n->id] = np_arena_copy(&r->mem, &now, sizeof now);
    snprintf(spec, sizeof spec, "%s->%s", x.axes, order);
    np_node *m = np_build_merge(b, np_build_permute(b, x.n, spec), now.merged);
    return np_build_slice(b, m, now.merged, np_dim_const(b->cx, 0), n->type->dim[now.merged]);
}
static np_node *rule(np_rw *rw, const np_node *n, np_node *const *arg)
{
    rows *r = rw->env;
    if (!r->scan[n->id]) return NULL;
    if (r->moved[n->id]) {
        np_node *now = np_rewrite_copy(rw, n, arg);
        r->of[n->id] = moved_blocks(r, n, now);
        return now;
    }
    return np_is_elem(n) ? early(rw, r, n) : NULL;
}

np_fn *np_fuse_rows(const np_fn *f)
{
    rows r = {.f = f};
    r.uses = np_find_uses(f, &r.mem);
    r.scan = np_arena_array(&r.mem, f->nnodes + 1, sizeof *r.scan);
    r.moved = np_arena_array(&r.mem, f->nnodes + 1, sizeof *r.moved);
    r.as_it_is = np_arena_array(&r.mem, f->nnodes + 1, sizeof *r.as_it_is);
    r.of = np_arena_array(&r.mem, f->nnodes + 1, sizeof *r.of);
    np_fn_walk(f, look, &r);
    np_fn *now = r.any ? np_rewrite(f, rule, &r) : NULL;
    np_arena_free(&r.mem);
    return now;
}
