/* Places: where an element of a value lies in a buffer. Index j of the buffer is a
 * number, the index of an axis of the value, or several of these as one:
 *
 *     i_j = (.. (over * d) + over') * d' + own
 *
 * So a value lies in its place before it is put together: the rows of a chunk of
 * steps are rows of the whole sequence (merge), in any order of axes (permute),
 * and where the last chunk has more rows than are left (slice), those beyond the
 * end are not there and are not stored. */
#include "loops.h"

#include <string.h>

static const np_ix *part(np_lower *l, np_node *fixed, int axis, const np_ix *const *at)
{
    return fixed ? np_loops_ix_node(l, fixed, 0) : at[axis];
}
static const np_ix *whole(np_lower *l, const np_over *o, const np_ix *low, const np_ix *const *at)
{
    return o ? np_loops_ix_pair(l, whole(l, o->over, part(l, o->fixed, o->axis, at), at), low, o->d) : low;
}
static const np_ix *index_of(np_lower *l, const np_spot *s, int j, const np_ix *const *at)
{
    if (!s->mapped) return at[j];
    return whole(l, s->over[j], part(l, s->fixed[j], s->axis[j], at), at);
}
int np_loops_spot_at(np_lower *l, const np_spot *s, const np_ix *const *at, const np_ix **out)
{
    int n = s->buf->type->rank;
    for (int j = 0; j < n; j++) {
        out[j] = index_of(l, s, j, at);
        bool block = out[j]->kind == NP_IX_PAIR && np_dim_is(out[j]->d, 1) && out[j]->hi->kind == NP_IX_NODE;
        if (s->tile && block) out[j] = out[j]->lo;
        if (s->rows && s->cut == j) out[j] = np_loops_in_block(l, s->rows, out[j]);
    }
    return n;
}
bool np_loops_same_spot(const np_spot *a, const np_spot *b)
{
    if (a->buf != b->buf || a->mapped != b->mapped) return false;
    for (int j = 0; a->mapped && j < a->buf->type->rank; j++) {
        const np_over *x = a->over[j], *y = b->over[j];
        if (a->fixed[j] != b->fixed[j] || (!a->fixed[j] && a->axis[j] != b->axis[j])) return false;
        if (a->end[j] != b->end[j]) return false;
        for (; x && y; x = x->over, y = y->over)
            if (x->fixed != y->fixed || (!x->fixed && x->axis != y->axis) || x->d != y->d) return false;
        if (x || y) return false;
    }
    return true;
}

/* ---- places of what is moved, or of a part */
typedef struct move { /* axis k of the value becomes axis[k] of another, or is one index */
    np_node *fixed[NP_RANK];
    int axis[NP_RANK];
} move;
static const np_over *moved_over(np_lower *l, const np_over *o, const move *m)
{
    if (!o) return NULL;
    np_over r = *o;
    r.over = moved_over(l, o->over, m);
    if (!o->fixed) r.fixed = m->fixed[o->axis], r.axis = m->axis[o->axis];
    return np_arena_copy(&l->mem, &r, sizeof r);
}
static np_spot moved(np_lower *l, const np_spot *s, const move *m)
{
    np_spot r = *s;
    r.mapped = true;
    for (int j = 0; j < s->buf->type->rank; j++) {
        int k = s->mapped ? s->axis[j] : j;
        r.over[j] = moved_over(l, s->over[j], m);
        if (!s->fixed[j] && k >= 0) r.fixed[j] = m->fixed[k], r.axis[j] = m->axis[k];
    }
    return r;
}
np_spot np_loops_row(np_lower *l, const np_spot *s, np_node *i)
{
    move m = {.fixed = {i}};
    for (int k = 1; k < NP_RANK; k++) m.axis[k] = k - 1;
    return moved(l, s, &m);
}
static np_spot before_permute(np_lower *l, const np_spot *s, const np_node *n)
{
    move m = {0};
    const char *out = strstr(n->sym, "->") + 2;
    for (int k = 0; k < n->type->rank; k++) m.axis[k] = (int)(strchr(n->sym, out[k]) - n->sym);
    return moved(l, s, &m);
}
/* The axis of the buffer that axis k of the value is, alone; -1: it is part of one, or has no index. */
static int alone(const np_spot *s, int k)
{
    for (int j = 0; j < s->buf->type->rank; j++)
        if (!s->fixed[j] && (s->mapped ? s->axis[j] : j) == k) return s->over[j] || s->end[j] ? -1 : j;
    return -1;
}
/* Axis k becomes k and k + 1. */
static bool before_merge(np_lower *l, const np_spot *s, const np_node *n, np_spot *out)
{
    int k = (int)n->attr[0]->k;
    const np_dim *const *dim = n->arg[0]->type->dim;
    move m = {0};
    for (int i = 0; i < n->type->rank; i++) m.axis[i] = i + (i >= k);
    for (int j = 0; j < s->buf->type->rank; j++) {
        if (s->fixed[j] || (s->mapped ? s->axis[j] : j) != k) continue;
        np_over o = {.axis = k, .d = dim[k + 1]};
        if (s->over[j]) {
            np_over high = *moved_over(l, s->over[j], &m);
            high.d = dim[k]; /* of what is above, these are dim[k] * dim[k + 1] */
            o.over = np_arena_copy(&l->mem, &high, sizeof high);
        }
        *out = moved(l, s, &m);
        out->over[j] = np_arena_copy(&l->mem, &o, sizeof o);
        return true;
    }
    return false;
}
bool np_loops_spot_before(np_lower *l, const np_spot *s, const np_node *n, np_spot *out)
{
    if (s->tile) return false;
    if (n->op == NP_PERMUTE) {
        *out = before_permute(l, s, n);
        return true;
    }
    if (n->op == NP_MERGE) return before_merge(l, s, n, out);
    if (n->op != NP_SLICE || !np_dim_is(n->attr[1], 0)) return false;
    int k = (int)n->attr[0]->k, j = alone(s, k);
    if (j < 0) return false;
    *out = *s;
    out->end[j] = n->type->dim[k];
    if (s->mapped) return true;
    out->mapped = true;
    for (int i = 0; i < s->buf->type->rank; i++) out->axis[i] = i;
    return true;
}

/* ---- what is not there */
bool np_loops_spot_ends(const np_spot *s)
{
    for (int j = 0; j < s->buf->type->rank; j++)
        if (s->end[j]) return true;
    return false;
}
uint64_t np_loops_spot_deps(np_lower *l, const np_spot *s, const np_ix *const *at)
{
    uint64_t deps = 0;
    for (int j = 0; j < s->buf->type->rank; j++)
        if (s->end[j]) deps |= index_of(l, s, j, at)->deps;
    return deps;
}
np_spot np_loops_spot_within(const np_spot *s)
{
    np_spot r = *s;
    memset(r.end, 0, sizeof r.end);
    return r;
}
/* i < end; where i is hi * d + lo: lo < end - hi * d, which may be the end of a loop. */
static np_node *is_below(np_lower *l, const np_ix *i, const np_dim *end)
{
    np_node *e = np_loops_dim(l, end);
    if (i->kind == NP_IX_PAIR) {
        e = np_loops_op2(l, NP_SUB, e, np_loops_op2(l, NP_MUL, np_loops_at(l, i->hi), np_loops_dim(l, i->d)));
        i = i->lo;
    }
    return np_loops_op2(l, NP_LT, np_loops_at(l, i), e);
}
np_node *np_loops_open_within(np_lower *l, const np_spot *s, const np_ix *const *at)
{
    np_node *c = NULL;
    for (int j = 0; j < s->buf->type->rank; j++) {
        if (!s->end[j]) continue;
        np_node *below = is_below(l, index_of(l, s, j, at), s->end[j]);
        c = c ? np_loops_op2(l, NP_AND, c, below) : below;
    }
    return c ? np_build_open(l->b, NP_COND, 1, &c, NULL) : NULL;
}
void np_loops_close_within(np_lower *l, np_node *cond)
{
    if (cond) np_loops_close_until(l, cond);
}
