/* online, fourth part: the new code. Around everything stand maps over the axes
 * that all operands share (batch, heads) and over blocks of queries; inside them
 * a scan over blocks of keys carries, for each row,
 *
 *     m  the largest score so far          m' = max(m, max_j s_j)
 *     a  a sum of exp(s_j - m) v_j         a' = a exp(m - m') + sum_j exp(s_j - m') v_j
 *
 * or only a' = a + sum_j f(s_j) v_j where there is no exponential. While m is
 * -inf nothing was seen, and 0 stands in its place, so that no -inf is taken
 * from -inf. Keys behind the last whole block are one block more. What is left
 * over of queries is filled up with rows that nobody reads. */
#include "online.h"

#include <math.h>
#include <string.h>

enum { STATES = NP_ONLINE_ROOTS + 1 };

static bool largest(const np_root *root)
{
    return root->n->op == NP_REDUCE && strcmp(root->n->sym, "max") == 0;
}
static np_node *tile_of(np_place *at, int part)
{
    return np_online_value(at->env, part);
}

/* ---- one block of keys */
/* What was computed in a body is no value outside of it; the builder shares what may be shared. */
static void forget(np_maker *m)
{
    memset(m->tile, 0, sizeof m->tile);
}
static void know(np_maker *m, bool on)
{
    forget(m);
    for (int i = 0; i < m->mask.n && on; i++) {
        const np_part *c = &m->r->part[m->mask.part[i]];
        np_online_keep(m, m->mask.part[i],
                       np_build_num(m->b, np_online_type(m, c->n, c->n->type->rank, c->id), !m->mask.off[i]));
    }
}
static np_node *exponentials(np_maker *m, np_node *const *was, np_node **next, np_node **fade)
{
    const np_region *r = m->r;
    np_build *b = m->b;
    const np_part *s = &r->part[r->part[r->exp].arg[0]];
    int id[NP_RANK], n = np_online_inner(m, s->n->type->rank, s->id, id), k = 0;
    np_node *x = np_online_value(m, r->part[r->exp].arg[0]);
    b->loc = r->part[r->exp].n->loc;
    while (k < n && id[k] != r->keys) k++;
    next[0] = np_build_2(b, NP_MAX, was[0], np_build_reduce(b, x, "max", k));
    const np_type *t = next[0]->type;
    np_node *none = np_build_2(b, NP_EQ, next[0], np_build_num(b, t, -INFINITY));
    np_node *top = np_build_3(b, NP_SELECT, none, np_build_num(b, t, 0), next[0]);
    *fade = np_build_1(b, NP_EXP, np_build_2(b, NP_SUB, was[0], top));
    return np_build_1(b, NP_EXP, np_build_2(b, NP_SUB, x, np_build_expand(b, top, k, m->size[r->keys])));
}
static void compute(np_maker *m, bool on, np_node *const *was, np_node **next)
{
    const np_region *r = m->r;
    np_build *b = m->b;
    np_node *fade = NULL;
    int fade_id[NP_RANK], n = 0;
    know(m, on);
    if (r->exp >= 0) {
        const np_part *s = &r->part[r->part[r->exp].arg[0]];
        int id[NP_RANK], k = np_online_inner(m, s->n->type->rank, s->id, id);
        np_online_keep(m, r->exp, exponentials(m, was, next, &fade));
        for (int i = 0; i < k; i++)
            if (id[i] != r->keys) fade_id[n++] = id[i];
    }
    for (int i = 0; i < r->nroots; i++) {
        const np_root *root = &r->root[i];
        const np_part *p = &r->part[root->part];
        if (m->state[i] == 0 && r->exp >= 0) continue;
        np_node *x = np_online_value(m, root->part), *a = was[m->state[i]], *term;
        int id[NP_RANK], all[NP_RANK], k = 0, rank = np_online_ids(r, root, all);
        b->loc = root->n->loc;
        if (root->n->op == NP_CONTRACT) {
            int y = root->other;
            term = root->side ? np_online_contract(m, root->n, y, root->part, m->leaf[y], x, all)
                              : np_online_contract(m, root->n, root->part, y, x, m->leaf[y], all);
        } else {
            np_online_inner(m, p->n->type->rank, p->id, id);
            while (id[k] != r->keys) k++;
            term = np_build_reduce(b, x, root->n->sym, k);
        }
        np_online_inner(m, rank, all, id);
        if (p->bulk) {
            np_node *by = np_build_cast(b, fade, a->type->dtype);
            a = np_build_2(b, NP_MUL, a, np_online_spread(b, by, fade_id, a->type, id));
        }
        next[m->state[i]] = np_build_2(b, largest(root) ? NP_MAX : NP_ADD, a, term);
    }
    forget(m);
}
static bool is(const np_node *x, bool v)
{
    return x && x->op == NP_CONST && (x->num != 0) == v;
}
static void results(np_maker *m, np_node *n, np_node **next)
{
    for (int i = 0; i < m->nstates; i++) next[i] = np_build_result(m->b, n, i);
}
static void open_or_masked(np_maker *m, np_node *open, np_node *const *was, np_node **next)
{
    np_build *b = m->b;
    if (!open || open->op == NP_CONST) {
        compute(m, is(open, true), was, next);
        return;
    }
    np_node *n = np_build_open(b, NP_COND, 1, &open, NULL);
    compute(m, true, was, next);
    np_build_else(b, n, m->nstates, next);
    compute(m, false, was, next);
    results(m, np_build_close(b, n, m->nstates, next), next);
}
static void block(np_maker *m, np_node *const *was, np_node **next)
{
    np_build *b = m->b;
    forget(m);
    np_node *dead = np_online_dead(&m->place, &m->mask), *open = np_online_open(&m->place, &m->mask);
    if (is(dead, true)) {
        memcpy(next, was, (size_t)m->nstates * sizeof *next);
        return;
    }
    if (!dead || dead->op == NP_CONST) {
        open_or_masked(m, open, was, next);
        return;
    }
    np_node *n = np_build_open(b, NP_COND, 1, &dead, NULL);
    np_build_else(b, n, m->nstates, was);
    open_or_masked(m, open, was, next);
    results(m, np_build_close(b, n, m->nstates, next), next);
}

/* ---- the maps around */
static bool has_iota(const np_region *r, int id)
{
    for (int i = 0; i < r->nparts; i++)
        if (r->part[i].kind == NP_PART_LEAF && r->part[i].n->op == NP_IOTA && r->part[i].id[0] == id)
            return true;
    return false;
}
static void at_size(np_maker *m, int id, const np_dim *from, const np_dim *to)
{
    np_cx *cx = m->b->cx;
    m->place.first[id] = np_build_size(m->b, from);
    m->place.last[id] = np_build_size(m->b, np_dim_sub(cx, to, np_dim_const(cx, 1)));
}
/* The running index along an axis, in blocks of `by`. */
static void at_step(np_maker *m, np_node *scan, int id, int by)
{
    np_build *b = m->b;
    if (!has_iota(m->r, id)) return;
    b->at = scan->in;
    np_node *count = np_build_iota(b, scan->attr[1]);
    b->at = scan->body[0];
    np_node *i = np_build_feed(b, scan, count);
    np_node *k = np_build_num(b, i->type, by), *last = np_build_num(b, i->type, by - 1);
    m->place.first[id] = np_build_2(b, NP_MUL, i, k);
    m->place.last[id] = np_build_2(b, NP_ADD, m->place.first[id], last);
}
static np_node *open_scan(np_maker *m, const np_dim *n, int nstates, np_node *const *state)
{
    return np_build_open(m->b, NP_SCAN, nstates, state, &(np_extra){.attr = {np_dim_const(m->b->cx, 0), n}});
}
static np_node *open_map(np_maker *m, const np_dim *n, int id, int by)
{
    np_build *b = m->b;
    np_node *scan = open_scan(m, n, 0, NULL);
    for (int i = 0; i < m->r->nparts; i++) {
        const np_part *p = &m->r->part[i];
        if (p->kind != NP_PART_LEAF || np_online_axis(p, id) < 0) continue;
        if (m->whole[i]) m->whole[i] = np_build_feed(b, scan, m->whole[i]);
        if (m->rest[i]) m->rest[i] = np_build_feed(b, scan, m->rest[i]);
    }
    at_step(m, scan, id, by);
    return scan;
}
static int ids_of_most(const np_region *r, int *id)
{
    const np_part *s = &r->part[r->part[r->exp].arg[0]];
    int n = 0;
    for (int k = 0; k < s->n->type->rank; k++)
        if (s->id[k] != r->keys) id[n++] = s->id[k];
    return n;
}
static void start(np_maker *m, np_node **state)
{
    const np_region *r = m->r;
    int id[NP_RANK];
    if (r->exp >= 0) {
        const np_node *s = r->part[r->part[r->exp].arg[0]].n;
        state[m->nstates++] = np_build_num(m->b, np_online_type(m, s, ids_of_most(r, id), id), -INFINITY);
    }
    for (int i = 0; i < r->nroots; i++) {
        const np_root *root = &r->root[i];
        int rank = np_online_ids(r, root, id);
        if (r->exp >= 0 && largest(root) && root->part == r->part[r->exp].arg[0]) continue; /* is m */
        state[m->state[i] = m->nstates++] =
            np_build_num(m->b, np_online_type(m, root->n, rank, id), largest(root) ? -INFINITY : 0);
    }
}
static void blocks_of_keys(np_maker *m, np_node **state)
{
    const np_region *r = m->r;
    np_build *b = m->b;
    const np_dim *all = np_dim_mul(r->cx, m->nkeys, np_dim_const(r->cx, r->nk));
    np_node *was[STATES], *next[STATES];
    if (!np_dim_is(m->nkeys, 0)) {
        np_node *scan = open_scan(m, m->nkeys, m->nstates, state);
        for (int i = 0; i < r->nparts; i++) {
            const np_part *p = &r->part[i];
            if (p->kind != NP_PART_LEAF) continue;
            m->leaf[i] = np_online_axis(p, r->keys) < 0 ? m->whole[i] : np_build_feed(b, scan, m->whole[i]);
        }
        at_step(m, scan, r->keys, r->nk);
        int64_t seq = scan->attr[0]->k;
        m->size[r->keys] = np_dim_const(r->cx, r->nk);
        memcpy(was, scan->body[0]->param + seq, (size_t)m->nstates * sizeof *was);
        block(m, was, next);
        results(m, np_build_close(b, scan, m->nstates, next), state);
    }
    if (all == r->dim[r->keys]) return;
    for (int i = 0; i < r->nparts; i++) m->leaf[i] = m->rest[i] ? m->rest[i] : m->whole[i];
    at_size(m, r->keys, all, r->dim[r->keys]);
    m->size[r->keys] = np_dim_sub(r->cx, r->dim[r->keys], all);
    memcpy(was, state, sizeof was);
    block(m, was, state);
}

/* One form: maps around a scan, or, with blocks of 0 keys, all at once. Gives the
 * states at the end, each with the axes that the old values have. */
static void form(np_maker *m, const np_region *r, np_node *(*leaf)(void *env, const np_node *n), void *env,
                 np_node **out)
{
    np_build *b = m->b;
    np_node *scan[NP_RANK + 1];
    int nscans = 0, id[NP_RANK];
    *m = (np_maker){.r = r, .b = b, .place = {.b = b, .r = r, .tile = tile_of, .env = m}};
    if (r->nk) np_online_masks(r, &m->mask);
    m->nkeys = r->nk ? np_dim_floor(r->cx, r->dim[r->keys], r->nk) : np_dim_const(r->cx, 0);
    for (int i = 0; i < r->rank; i++) {
        m->size[i] = r->dim[i];
        if (!r->batch[i] && i != r->keys && has_iota(r, i)) at_size(m, i, np_dim_const(r->cx, 0), r->dim[i]);
    }
    if (r->queries >= 0) {
        m->nqueries = np_dim_ceil(r->cx, r->dim[r->queries], r->nq);
        m->size[r->queries] = np_dim_const(r->cx, r->nq);
    }
    for (int i = 0; i < r->nparts; i++) {
        const np_part *p = &r->part[i];
        if (p->kind != NP_PART_LEAF) continue;
        np_node *x = leaf(env, p->n);
        bool keys = np_online_axis(p, r->keys) >= 0;
        if (!keys || !np_dim_is(m->nkeys, 0)) m->whole[i] = np_online_cut(m, i, true, x);
        if (keys) m->rest[i] = np_online_cut(m, i, false, x);
    }
    for (int i = 0; i < r->rank; i++)
        if (r->batch[i]) scan[nscans++] = open_map(m, r->dim[i], i, 1);
    if (r->queries >= 0) scan[nscans++] = open_map(m, m->nqueries, r->queries, r->nq);
    start(m, out);
    blocks_of_keys(m, out);
    while (nscans > 0) results(m, np_build_close(b, scan[--nscans], m->nstates, out), out);
    if (r->exp >= 0) out[0] = np_online_arrange(m, out[0], ids_of_most(r, id), id);
    for (int i = 0; i < r->nroots; i++) {
        int n = np_online_ids(r, &r->root[i], id), at = m->state[i];
        if (at > 0 || r->exp < 0) out[at] = np_online_arrange(m, out[at], n, id);
    }
}
void np_online_build(np_region *r, np_build *b, np_node *(*leaf)(void *env, const np_node *n), void *env)
{
    np_node *out[STATES];
    np_maker m = {.b = b};
    for (int i = 0; i < r->nparts; i++)
        if (r->part[i].kind == NP_PART_LEAF) leaf(env, r->part[i].n);
    if (r->spare) {
        np_region once = *r;
        memset(once.batch, 0, sizeof once.batch);
        once.queries = -1, once.nk = 0;
        const np_dim *all = r->dim[r->queries], *blocks = np_dim_ceil(r->cx, all, r->nq);
        np_node *work = np_build_size(b, np_dim_mul(r->cx, blocks, np_dim_const(r->cx, 4 * (int64_t)r->nq)));
        np_node *most = np_build_size(b, np_dim_mul(r->cx, all, np_dim_const(r->cx, r->spare)));
        np_node *many = np_build_2(b, NP_LE, work, most);
        np_node *cond = np_build_open(b, NP_COND, 1, &many, NULL);
        form(&m, r, leaf, env, out);
        np_build_else(b, cond, m.nstates, out);
        form(&m, &once, leaf, env, out);
        results(&m, np_build_close(b, cond, m.nstates, out), out);
    } else {
        form(&m, r, leaf, env, out);
    }
    if (r->exp >= 0) r->most = out[0], ids_of_most(r, r->most_id);
    for (int i = 0; i < r->nroots; i++) r->root[i].raw = out[m.state[i]];
    r->built = true;
}
