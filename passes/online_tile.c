/* online, third part: values as blocks have them. An axis of a value is done by a
 * map around the block, or cut into blocks, or the block has all of it; blocks
 * have one order of axes, lanes last, so nothing is permuted in them. A leaf is
 * cut where it stands: split and permuted, which moves nothing, so that the maps
 * and the scan are fed with its pieces; only what scores would read with jumps
 * is turned in memory, once. Lanes run through the queries where these come in
 * blocks: the largest score and the sum of a row need no sum across lanes then,
 * and heads may be narrow. */
#include "online.h"

#include <string.h>

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
/* Is it an axis that blocks lack? */
static bool is_outer(const np_maker *m, int id)
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
static int tile_axes(const np_maker *m, int n, const int *id, int *axis)
{
    int k = 0, place[NP_RANK];
    for (int i = 0; i < n; i++) {
        if (is_outer(m, id[i])) continue;
        int at = k++, here = id[i] < 0                ? NP_RANK + 1
                             : id[i] == m->r->queries ? NP_RANK + 2
                             : id[i] == m->r->keys    ? NP_RANK
                                                      : id[i];
        for (; at > 0 && here < place[at - 1]; at--) place[at] = place[at - 1], axis[at] = axis[at - 1];
        place[at] = here, axis[at] = i;
    }
    return k;
}
int np_online_inner(const np_maker *m, int n, const int *id, int *to)
{
    int axis[NP_RANK], k = tile_axes(m, n, id, axis);
    for (int i = 0; i < k; i++) to[i] = id[axis[i]];
    return k;
}
/* The type of a block of a value like n (its element type and axes that it alone has). */
const np_type *np_online_type(const np_maker *m, const np_node *n, int rank, const int *id)
{
    const np_dim *dim[NP_RANK];
    int axis[NP_RANK], k = tile_axes(m, rank, id, axis);
    for (int i = 0; i < k; i++) dim[i] = id[axis[i]] >= 0 ? m->size[id[axis[i]]] : n->type->dim[axis[i]];
    return np_type_tensor(m->b->cx, n->type->dtype, k, dim);
}

/* ---- leaves, cut: axes that are done one after the other first, then blocks of queries, of keys, then the rest */
static np_node *pieces(np_maker *m, int part, bool whole, np_node *x, int *lead)
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
            if (p->id[i] == id && is_outer(m, id)) order[n++] = at[i];
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
static np_node *turned(np_maker *m, int part, int lead, np_node *x)
{
    np_build *b = m->b;
    const np_part *p = &m->r->part[part];
    int id[NP_RANK], n = np_online_inner(m, p->n->type->rank, p->id, id), k = 0;
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

np_node *np_online_cut(np_maker *m, int part, bool whole, np_node *x)
{
    int lead;
    x = pieces(m, part, whole, x, &lead);
    return jumps(m->r, part) ? turned(m, part, lead, x) : x;
}

/* ---- values of a block */
np_node *np_online_keep(np_maker *m, int part, np_node *x)
{
    return m->tile[part] = x;
}
static char *letters(const np_maker *m, char *to, const char *from, int n, const int *id)
{
    int axis[NP_RANK], k = tile_axes(m, n, id, axis);
    for (int i = 0; i < k; i++) *to++ = from[axis[i]];
    return to;
}
/* The contraction n in a block; id: the axes of its result. */
np_node *np_online_contract(np_maker *m, const np_node *n, int x, int y, np_node *vx, np_node *vy,
                            const int *id)
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
static np_node *expanded(np_maker *m, const np_part *p)
{
    np_node *x = np_online_value(m, p->arg[0]);
    int k = (int)p->n->attr[0]->k, axis[NP_RANK], at = 0;
    if (is_outer(m, p->id[k])) return x;
    tile_axes(m, p->n->type->rank, p->id, axis);
    while (axis[at] != k) at++;
    return np_build_expand(m->b, x, at, m->size[p->id[k]]);
}
np_node *np_online_value(np_maker *m, int part)
{
    const np_part *p = &m->r->part[part];
    np_node *arg[3];
    if (p->kind == NP_PART_LEAF) return m->leaf[part];
    if (m->tile[part]) return m->tile[part];
    m->b->loc = p->n->loc;
    if (p->kind == NP_PART_SCORE)
        return np_online_keep(
            m, part,
            np_online_contract(m, p->n, p->arg[0], p->arg[1], m->leaf[p->arg[0]], m->leaf[p->arg[1]], p->id));
    if (p->n->op == NP_CONST)
        return np_online_keep(
            m, part, np_build_num(m->b, np_online_type(m, p->n, p->n->type->rank, p->id), p->n->num));
    if (p->n->op == NP_EXPAND) return np_online_keep(m, part, expanded(m, p));
    if (p->n->op == NP_PERMUTE)
        return np_online_keep(m, part, np_online_value(m, p->arg[0])); /* blocks have one order */
    for (int i = 0; i < p->n->nargs; i++) arg[i] = np_online_value(m, p->arg[i]);
    m->b->name = p->n->name;
    return np_online_keep(m, part,
                          np_build_op(m->b, p->n->op, p->n->nargs, arg, &(np_extra){.sym = p->n->sym}));
}
/* ---- results in the order of axes that the old ones have */
np_node *np_online_arrange(np_maker *m, np_node *x, int rank, const int *id)
{
    const np_region *r = m->r;
    np_build *b = m->b;
    char spec[2 * NP_RANK + 8] = {0}, *s = spec;
    int at[NP_RANK] = {0}, axis[NP_RANK], lead = 0, q = -1, merged = -1, n = 0;
    for (int k = 0; k < r->rank; k++) lead += r->batch[k];
    if (r->queries >= 0) q = lead++;
    for (int i = 0; i < rank; i++)
        for (int k = 0; is_outer(m, id[i]) && k < id[i]; k++) at[i] += r->batch[k];
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
