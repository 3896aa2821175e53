/* online, third part: the new code. Around everything stand maps over the axes
 * that all operands share (batch, heads) and over blocks of queries; inside them
 * a scan over blocks of keys carries, for each row,
 *
 *     m  the largest score so far          m' = max(m, max_j s_j)
 *     a  a sum of exp(s_j - m) v_j         a' = a exp(m - m') + sum_j exp(s_j - m') v_j
 *
 * or only a' = a + sum_j f(s_j) v_j where there is no exponential. While m is
 * -inf nothing was seen, and 0 stands in its place, so that no -inf is taken
 * from -inf. Keys behind the last whole block are one block more. What is left
 * over of queries is filled up with rows that nobody reads.
 *
 * Lanes run through the queries where these come in blocks: then the largest
 * score and the sum of a row need no sum across lanes, and heads may be narrow. */
#include "online.h"

#include <math.h>
#include <string.h>

enum { STATES = NP_ONLINE_ROOTS + 1 };
typedef struct maker {
    const np_region *r;
    np_build *b;
    np_mask mask;
    const np_dim *size[NP_RANK];     /* of a block, by axis */
    const np_dim *nqueries, *nkeys;  /* whole blocks */
    np_node *whole[NP_ONLINE_PARTS]; /* leaves cut for blocks of keys, if they have keys */
    np_node *rest[NP_ONLINE_PARTS];  /* leaves behind the last block of keys */
    np_node *leaf[NP_ONLINE_PARTS];  /* what the open body has of them */
    np_node *tile[NP_ONLINE_PARTS];  /* computed in the open body */
    np_place place;
    int nstates, state[NP_ONLINE_ROOTS]; /* by root; state 0 is m if there is an EXP */
} maker;

static bool largest(const np_root *root)
{
    return root->n->op == NP_REDUCE && strcmp(root->n->sym, "max") == 0;
}
/* ---- axes */
int np_online_ids(const np_region *r, const np_root *root, int *id)
{
    const np_part *p = &r->part[root->part];
    int n = 0;
    if (root->n->op == NP_REDUCE) {
        for (int k = 0; k < p->n->type->rank; k++)
            if (p->id[k] != r->keys) id[n++] = p->id[k];
        return n;
    }
    const char *comma = strchr(root->n->sym, ','), *out = strstr(root->n->sym, "->") + 2;
    const char *mine = root->side ? comma + 1 : root->n->sym;
    for (; out[n]; n++) {
        const char *at = memchr(mine, out[n], (size_t)p->n->type->rank);
        id[n] = at ? p->id[at - mine] : NP_ONLINE_ALONE;
    }
    return n;
}
np_node *np_online_spread(np_build *b, np_node *x, const int *id, const np_type *t, const int *to)
{
    char spec[2 * NP_RANK + 3] = {0}, *p = spec;
    int rank = x->type->rank;
    for (int k = 0; k < rank; k++) *p++ = (char)('a' + k);
    *p++ = '-', *p++ = '>';
    for (int i = 0; i < t->rank; i++)
        for (int k = 0; k < rank && to[i] >= 0; k++)
            if (id[k] == to[i]) *p++ = (char)('a' + k);
    if (rank > 1) x = np_build_permute(b, x, spec);
    for (int i = 0; i < t->rank; i++) {
        bool there = false;
        for (int k = 0; k < rank; k++) there |= to[i] >= 0 && id[k] == to[i];
        if (!there) x = np_build_expand(b, x, i, t->dim[i]);
    }
    return x;
}
static bool outer(const maker *m, int id)
{
    return id >= 0 && m->r->batch[id];
}
/* The axis that lanes run through: the queries if there are many of them, else the keys. */
static int lane(const np_region *r)
{
    return r->queries >= 0 ? r->queries : r->keys;
}
/* The axes that a value of n axes has in a block, in the order in which blocks have them: lanes last, before them what
 * is summed over with them. */
static int tile_axes(const maker *m, int n, const int *id, int *axis)
{
    int k = 0, place[NP_RANK];
    for (int i = 0; i < n; i++) {
        if (outer(m, id[i])) continue;
        int at = k++, here = id[i] < 0                ? NP_RANK + 1
                             : id[i] == m->r->queries ? NP_RANK + 2
                             : id[i] == m->r->keys    ? NP_RANK
                                                      : id[i];
        for (; at > 0 && here < place[at - 1]; at--) place[at] = place[at - 1], axis[at] = axis[at - 1];
        place[at] = here, axis[at] = i;
    }
    return k;
}
static int inner_ids(const maker *m, int n, const int *id, int *to)
{
    int axis[NP_RANK], k = tile_axes(m, n, id, axis);
    for (int i = 0; i < k; i++) to[i] = id[axis[i]];
    return k;
}
/* The type of a block of a value like n (its element type and axes that it alone has). */
static const np_type *tile_type(const maker *m, const np_node *n, int rank, const int *id)
{
    const np_dim *dim[NP_RANK];
    int axis[NP_RANK], k = tile_axes(m, rank, id, axis);
    for (int i = 0; i < k; i++) dim[i] = id[axis[i]] >= 0 ? m->size[id[axis[i]]] : n->type->dim[axis[i]];
    return np_type_tensor(m->b->cx, n->type->dtype, k, dim);
}

/* ---- leaves, cut: axes that are done one after the other first, then blocks of queries, of keys, then the rest */
static np_node *cut(maker *m, int part, bool whole, np_node *x, int *lead)
{
    const np_region *r = m->r;
    np_build *b = m->b;
    const np_part *p = &r->part[part];
    int rank = p->n->type->rank, q = -1, k = -1, order[NP_RANK + 2], n = 0, at[NP_RANK], shift = 0;
    for (int i = 0; i < rank; i++) {
        at[i] = i + shift; /* where axis i is now */
        if (p->id[i] == r->queries && r->queries >= 0) {
            const np_dim *all = np_dim_mul(b->cx, m->nqueries, np_dim_const(b->cx, r->nq));
            const np_dim *after = np_dim_sub(b->cx, all, r->dim[r->queries]);
            if (x->op == NP_IOTA)
                x = np_build_iota(b, all); /* positions go on */
            else
                x = np_build_op(
                    b, NP_PAD, 1, &x,
                    &(np_extra){.attr = {np_dim_const(b->cx, at[i]), np_dim_const(b->cx, 0), after}});
            x = np_build_split(b, x, q = at[i], np_dim_const(b->cx, r->nq));
            at[i]++, shift++;
        } else if (p->id[i] == r->keys) {
            const np_dim *all = np_dim_mul(b->cx, m->nkeys, np_dim_const(b->cx, r->nk)),
                         *zero = np_dim_const(b->cx, 0);
            x = np_build_slice(b, x, at[i], whole ? zero : all,
                               whole ? all : np_dim_sub(b->cx, r->dim[r->keys], all));
            if (!whole) continue;
            x = np_build_split(b, x, k = at[i], np_dim_const(b->cx, r->nk));
            at[i]++, shift++;
        }
    }
    for (int id = 0; id < r->rank; id++)
        for (int i = 0; i < rank; i++)
            if (p->id[i] == id && outer(m, id)) order[n++] = at[i];
    if (q >= 0) order[n++] = q;
    if (k >= 0) order[n++] = k;
    *lead = n;
    int axis[NP_RANK], inner = tile_axes(m, rank, p->id, axis);
    for (int i = 0; i < inner; i++) order[n++] = at[axis[i]];
    char spec[2 * NP_RANK + 8] = {0}, *s = spec;
    for (int i = 0; i < n; i++) *s++ = (char)('a' + i);
    *s++ = '-', *s++ = '>';
    for (int i = 0; i < n; i++) *s++ = (char)('a' + order[i]);
    return np_build_permute(b, x, spec);
}

/* Do the scores of neighbouring lanes read x with jumps? Then its blocks are turned once, before they are used. */
static bool jumps(const np_region *r, int part)
{
    const np_part *p = &r->part[part];
    const np_node *x = p->n;
    bool of_score = false;
    int last = x->type->rank - 1;
    for (int i = 0; i < r->nparts; i++) {
        const np_part *q = &r->part[i];
        of_score |= q->kind == NP_PART_SCORE && (q->arg[0] == part || q->arg[1] == part);
    }
    if (x->op == NP_PERMUTE) { /* the axis that is last in memory */
        const char *in = x->sym, *out = strstr(in, "->") + 2;
        last = (int)(strchr(out, in[last]) - out);
    }
    return of_score && np_online_axis(p, lane(r)) >= 0 && p->id[last] != lane(r);
}
/* x, of which `lead` axes come first, in memory with lanes last; a map is what stores it. */
static np_node *turned(maker *m, int part, int lead, np_node *x)
{
    np_build *b = m->b;
    const np_part *p = &m->r->part[part];
    int id[NP_RANK], n = inner_ids(m, p->n->type->rank, p->id, id), k = 0;
    while (id[k] != lane(m->r)) k++;
    if (lead == 0) x = np_build_expand(b, x, 0, np_dim_const(b->cx, 1));
    np_node *scan =
        np_build_open(b, NP_SCAN, 0, NULL, &(np_extra){.attr = {np_dim_const(b->cx, 0), x->type->dim[0]}});
    np_node *y = np_build_feed(b, scan, x);
    int rank = y->type->rank, own = rank - n;
    char spec[2 * NP_RANK + 8] = {0}, *s = spec;
    for (int i = 0; i < rank; i++) *s++ = (char)('a' + i);
    *s++ = '-', *s++ = '>';
    for (int i = 0; i < rank; i++)
        if (i != own + k) *s++ = (char)('a' + i);
    *s++ = (char)('a' + own + k);
    y = np_build_permute(b, y, spec);
    x = np_build_close(b, scan, 1, &y);
    s = spec; /* and in the order of axes that it had */
    memset(spec, 0, sizeof spec);
    rank++, own++;
    for (int i = 0; i < rank; i++) *s++ = (char)('a' + i);
    *s++ = '-', *s++ = '>';
    for (int i = 0; i < rank; i++) *s++ = (char)('a' + (i < own + k ? i : i == own + k ? rank - 1 : i - 1));
    x = np_build_permute(b, x, spec);
    return lead == 0 ? np_build_at(b, x, 0, np_dim_const(b->cx, 0)) : x;
}

/* ---- values of a block */
static np_node *value(maker *m, int part);
static np_node *keep(maker *m, int part, np_node *x)
{
    return m->tile[part] = x;
}
static char *letters(const maker *m, char *to, const char *from, int n, const int *id)
{
    int axis[NP_RANK], k = tile_axes(m, n, id, axis);
    for (int i = 0; i < k; i++) *to++ = from[axis[i]];
    return to;
}
/* The contraction n in a block; id: the axes of its result. */
static np_node *contract(maker *m, const np_node *n, int x, int y, np_node *vx, np_node *vy, const int *id)
{
    const np_part *p = &m->r->part[x], *q = &m->r->part[y];
    char spec[4 * NP_RANK], *s = spec;
    s = letters(m, s, n->sym, p->n->type->rank, p->id);
    *s++ = ',';
    s = letters(m, s, strchr(n->sym, ',') + 1, q->n->type->rank, q->id);
    *s++ = '-', *s++ = '>';
    s = letters(m, s, strstr(n->sym, "->") + 2, n->type->rank, id);
    *s = 0;
    return np_build_contract(m->b, vx, vy, spec);
}
static np_node *expanded(maker *m, const np_part *p)
{
    np_node *x = value(m, p->arg[0]);
    int k = (int)p->n->attr[0]->k, axis[NP_RANK], at = 0;
    if (outer(m, p->id[k])) return x;
    tile_axes(m, p->n->type->rank, p->id, axis);
    while (axis[at] != k) at++;
    return np_build_expand(m->b, x, at, m->size[p->id[k]]);
}
static np_node *value(maker *m, int part)
{
    const np_part *p = &m->r->part[part];
    np_node *arg[3];
    if (p->kind == NP_PART_LEAF) return m->leaf[part];
    if (m->tile[part]) return m->tile[part];
    m->b->loc = p->n->loc;
    if (p->kind == NP_PART_SCORE)
        return keep(m, part,
                    contract(m, p->n, p->arg[0], p->arg[1], m->leaf[p->arg[0]], m->leaf[p->arg[1]], p->id));
    if (p->n->op == NP_CONST)
        return keep(m, part, np_build_num(m->b, tile_type(m, p->n, p->n->type->rank, p->id), p->n->num));
    if (p->n->op == NP_EXPAND) return keep(m, part, expanded(m, p));
    if (p->n->op == NP_PERMUTE) return keep(m, part, value(m, p->arg[0])); /* blocks have one order */
    for (int i = 0; i < p->n->nargs; i++) arg[i] = value(m, p->arg[i]);
    m->b->name = p->n->name;
    return keep(m, part, np_build_op(m->b, p->n->op, p->n->nargs, arg, &(np_extra){.sym = p->n->sym}));
}
static np_node *tile_of(np_place *at, int part)
{
    return value(at->env, part);
}

/* ---- one block of keys */
/* What was computed in a body is no value outside of it; the builder shares what may be shared. */
static void forget(maker *m)
{
    memset(m->tile, 0, sizeof m->tile);
}
static void know(maker *m, bool on)
{
    forget(m);
    for (int i = 0; i < m->mask.n && on; i++) {
        const np_part *c = &m->r->part[m->mask.part[i]];
        keep(m, m->mask.part[i],
             np_build_num(m->b, tile_type(m, c->n, c->n->type->rank, c->id), !m->mask.off[i]));
    }
}
static np_node *exponentials(maker *m, np_node *const *was, np_node **next, np_node **fade)
{
    const np_region *r = m->r;
    np_build *b = m->b;
    const np_part *s = &r->part[r->part[r->exp].arg[0]];
    int id[NP_RANK], n = inner_ids(m, s->n->type->rank, s->id, id), k = 0;
    np_node *x = value(m, r->part[r->exp].arg[0]);
    b->loc = r->part[r->exp].n->loc;
    while (k < n && id[k] != r->keys) k++;
    next[0] = np_build_2(b, NP_MAX, was[0], np_build_reduce(b, x, "max", k));
    const np_type *t = next[0]->type;
    np_node *none = np_build_2(b, NP_EQ, next[0], np_build_num(b, t, -INFINITY));
    np_node *top = np_build_3(b, NP_SELECT, none, np_build_num(b, t, 0), next[0]);
    *fade = np_build_1(b, NP_EXP, np_build_2(b, NP_SUB, was[0], top));
    return np_build_1(b, NP_EXP, np_build_2(b, NP_SUB, x, np_build_expand(b, top, k, m->size[r->keys])));
}
static void compute(maker *m, bool on, np_node *const *was, np_node **next)
{
    const np_region *r = m->r;
    np_build *b = m->b;
    np_node *fade = NULL;
    int fade_id[NP_RANK], n = 0;
    know(m, on);
    if (r->exp >= 0) {
        const np_part *s = &r->part[r->part[r->exp].arg[0]];
        int id[NP_RANK], k = inner_ids(m, s->n->type->rank, s->id, id);
        keep(m, r->exp, exponentials(m, was, next, &fade));
        for (int i = 0; i < k; i++)
            if (id[i] != r->keys) fade_id[n++] = id[i];
    }
    for (int i = 0; i < r->nroots; i++) {
        const np_root *root = &r->root[i];
        const np_part *p = &r->part[root->part];
        if (m->state[i] == 0 && r->exp >= 0) continue;
        np_node *x = value(m, root->part), *a = was[m->state[i]], *term;
        int id[NP_RANK], all[NP_RANK], k = 0, rank = np_online_ids(r, root, all);
        b->loc = root->n->loc;
        if (root->n->op == NP_CONTRACT) {
            int y = root->other;
            term = root->side ? contract(m, root->n, y, root->part, m->leaf[y], x, all)
                              : contract(m, root->n, root->part, y, x, m->leaf[y], all);
        } else {
            inner_ids(m, p->n->type->rank, p->id, id);
            while (id[k] != r->keys) k++;
            term = np_build_reduce(b, x, root->n->sym, k);
        }
        inner_ids(m, rank, all, id);
        if (p->bulk) a = np_build_2(b, NP_MUL, a, np_online_spread(b, fade, fade_id, a->type, id));
        next[m->state[i]] = np_build_2(b, largest(root) ? NP_MAX : NP_ADD, a, term);
    }
    forget(m);
}
static bool is(const np_node *x, bool v)
{
    return x && x->op == NP_CONST && (x->num != 0) == v;
}
static void results(maker *m, np_node *n, np_node **next)
{
    for (int i = 0; i < m->nstates; i++) next[i] = np_build_result(m->b, n, i);
}
static void open_or_masked(maker *m, np_node *open, np_node *const *was, np_node **next)
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
static void block(maker *m, np_node *const *was, np_node **next)
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
static void at_size(maker *m, int id, const np_dim *from, const np_dim *to)
{
    np_cx *cx = m->b->cx;
    m->place.first[id] = np_build_size(m->b, from);
    m->place.last[id] = np_build_size(m->b, np_dim_sub(cx, to, np_dim_const(cx, 1)));
}
/* The running index along an axis, in blocks of `by`. */
static void at_step(maker *m, np_node *scan, int id, int by)
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
static np_node *open_scan(maker *m, const np_dim *n, int nstates, np_node *const *state)
{
    return np_build_open(m->b, NP_SCAN, nstates, state, &(np_extra){.attr = {np_dim_const(m->b->cx, 0), n}});
}
static np_node *open_map(maker *m, const np_dim *n, int id, int by)
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
static void start(maker *m, np_node **state)
{
    const np_region *r = m->r;
    int id[NP_RANK];
    if (r->exp >= 0) {
        const np_node *s = r->part[r->part[r->exp].arg[0]].n;
        state[m->nstates++] = np_build_num(m->b, tile_type(m, s, ids_of_most(r, id), id), -INFINITY);
    }
    for (int i = 0; i < r->nroots; i++) {
        const np_root *root = &r->root[i];
        int rank = np_online_ids(r, root, id);
        if (r->exp >= 0 && largest(root) && root->part == r->part[r->exp].arg[0]) continue; /* is m */
        state[m->state[i] = m->nstates++] =
            np_build_num(m->b, tile_type(m, root->n, rank, id), largest(root) ? -INFINITY : 0);
    }
}
static void blocks_of_keys(maker *m, np_node **state)
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

/* ---- results in the order of axes that the old ones have */
static np_node *arrange(maker *m, np_node *x, int rank, const int *id)
{
    const np_region *r = m->r;
    np_build *b = m->b;
    char spec[2 * NP_RANK + 8] = {0}, *s = spec;
    int at[NP_RANK] = {0}, axis[NP_RANK], lead = 0, q = -1, merged = -1, n = 0;
    for (int k = 0; k < r->rank; k++) lead += r->batch[k];
    if (r->queries >= 0) q = lead++;
    for (int i = 0; i < rank; i++)
        for (int k = 0; outer(m, id[i]) && k < id[i]; k++) at[i] += r->batch[k];
    int inner = tile_axes(m, rank, id, axis);
    for (int i = 0; i < inner; i++) at[axis[i]] = lead++;
    for (int i = 0; i < lead; i++) *s++ = (char)('a' + i);
    *s++ = '-', *s++ = '>';
    for (int i = 0; i < rank; i++) {
        if (q >= 0 && id[i] == r->queries) *s++ = (char)('a' + q), merged = n++;
        *s++ = (char)('a' + at[i]), n++;
    }
    x = np_build_permute(b, x, spec);
    if (merged < 0) return x;
    x = np_build_merge(b, x, merged);
    return np_build_slice(b, x, merged, np_dim_const(r->cx, 0), r->dim[r->queries]);
}
/* One form: maps around a scan, or, with blocks of 0 keys, all at once. Gives the
 * states at the end, each with the axes that the old values have. */
static void form(maker *m, const np_region *r, np_node *(*leaf)(void *env, const np_node *n), void *env,
                 np_node **out)
{
    np_build *b = m->b;
    np_node *scan[NP_RANK + 1];
    int nscans = 0, lead, id[NP_RANK];
    *m = (maker){.r = r, .b = b, .place = {.b = b, .r = r, .tile = tile_of, .env = m}};
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
        bool turn = jumps(r, i), keys = np_online_axis(p, r->keys) >= 0;
        if (!keys || !np_dim_is(m->nkeys, 0)) {
            m->whole[i] = cut(m, i, true, x, &lead);
            if (turn) m->whole[i] = turned(m, i, lead, m->whole[i]);
        }
        if (!keys) continue;
        m->rest[i] = cut(m, i, false, x, &lead);
        if (turn) m->rest[i] = turned(m, i, lead, m->rest[i]);
    }
    for (int i = 0; i < r->rank; i++)
        if (r->batch[i]) scan[nscans++] = open_map(m, r->dim[i], i, 1);
    if (r->queries >= 0) scan[nscans++] = open_map(m, m->nqueries, r->queries, r->nq);
    start(m, out);
    blocks_of_keys(m, out);
    while (nscans > 0) results(m, np_build_close(b, scan[--nscans], m->nstates, out), out);
    if (r->exp >= 0) out[0] = arrange(m, out[0], ids_of_most(r, id), id);
    for (int i = 0; i < r->nroots; i++) {
        int n = np_online_ids(r, &r->root[i], id), at = m->state[i];
        if (at > 0 || r->exp < 0) out[at] = arrange(m, out[at], n, id);
    }
}
void np_online_build(np_region *r, np_build *b, np_node *(*leaf)(void *env, const np_node *n), void *env)
{
    np_node *out[STATES];
    maker m = {.b = b};
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
