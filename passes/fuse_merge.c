/* Groups that go through the same rows become one. Takes the roots that fuse.c
 * has chosen (what reaches memory, with the code that belongs to each); gives
 * sets of them. Keeps which values there are and how each is computed.
 *
 * A row is what a value has at one index of an axis (of time, mostly). Two roots
 * may be computed row by row together where
 *
 *   every read between them is of the same row,        q[t] = n[t] W, n[t] = x[t] s[t]
 *   no way from one to the other leads through a third that stays outside, and
 *   at most one wide contraction stands on every way inside: the columns of one
 *   can be shared out (to panels of lanes, to threads), those of the next not before
 *   all are known. One that is thin (low rank) is so cheap that it does not count.
 *
 * They are put together where that saves reading or writing something: contractions
 * of one input; then what is made for one set alone (norms, mixes: its prologue);
 * sets that read the same rows; what follows (rotations, histories, norms of heads). */
#include "fuse.h"
#include "fuse_peel.h"

#include <string.h>

enum {
    THIN = 8, /* a contraction is thin that gives this many times fewer numbers than it sums */
    TRIES = 4 /* the nearest readers of a value that are tried */
};

typedef struct reading { /* a value from memory, and which of its axes runs with the rows */
    const np_node *x;
    int axis;
} reading;
typedef struct root {
    const np_node *n;
    bool joins; /* may be computed with others */
    bool wide;
    bool returned;
    int set, next; /* the first root of its set, and another one of it, in a ring */
    int axis;      /* of its rows; -1: not yet known */
    int *pred, npreds, *succ, nsuccs;
    reading *reads[NP_RANK]; /* by axis; NULL: not yet looked at */
    int nreads[NP_RANK];
} root;
typedef struct merge {
    np_fuse *u;
    root *r;
    int n;
    int *of;        /* by id of what is kept: its number; -1 */
    reading *found; /* while a root is looked at */
    int nfound;
    int *stamp, now; /* by number: seen in the running search */
} merge;

/* ---- what a root reads */
static int root_of(const merge *m, const np_node *x)
{
    return m->of[(x->op == NP_PICK ? x->arg[0] : x)->id];
}
static void found(merge *m, const np_node *x, int axis)
{
    for (int i = 0; i < m->nfound; i++)
        if (m->found[i].x == x && m->found[i].axis == axis) return;
    m->found = np_arena_more(&m->u->mem, m->found, m->nfound, sizeof *m->found);
    m->found[m->nfound++] = (reading){x, axis};
}
static void read_operands(merge *m, const np_node *n, int axis);
static void read_value(merge *m, const np_node *x, int axis)
{
    int from = m->nfound;
    found(m, x, axis); /* also what is computed on the way, so that nothing is looked at twice */
    if (m->nfound == from || np_is_leaf(x) || root_of(m, x) >= 0) return;
    read_operands(m, x, axis);
}
static void read_operands(merge *m, const np_node *n, int axis)
{
    for (int i = 0; i < n->nargs; i++) {
        int a = axis >= 0 ? np_peel_operand(n, i, axis) : axis;
        if (n->op == NP_APPEND) a = i == 0 ? axis : NP_PEEL_FAIL;
        read_value(m, n->arg[i], a);
    }
}
static void read_body(merge *m, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++)
            if (!n->arg[i]->in->outer) read_value(m, n->arg[i], NP_PEEL_FAIL);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) read_body(m, n->body[i]);
    }
}
/* What root i reads where its rows lie along the axis. */
static int reads(merge *m, int i, int axis, const reading **out)
{
    root *r = &m->r[i];
    if (!r->reads[axis]) {
        m->nfound = 0;
        read_operands(m, r->n, axis);
        r->reads[axis] = np_arena_array(&m->u->mem, (size_t)m->nfound + 1, sizeof(reading));
        for (int k = 0; k < m->nfound; k++) {
            const np_node *x = m->found[k].x;
            if (root_of(m, x) >= 0 || (x->op == NP_PARAM && x->type->rank) || x->op == NP_IOTA)
                r->reads[axis][r->nreads[axis]++] = m->found[k];
        }
    }
    *out = r->reads[axis];
    return r->nreads[axis];
}

/* ---- roots */
/* Does n, computed for a row, give many numbers, each from many others? What both operands have and n keeps (heads,
 * channels of a convolution) is not counted. */
static bool is_wide(const np_node *n)
{
    int64_t made = 1, summed = 1, k;
    if (n->op != NP_CONTRACT || !np_is_sum(n)) return false;
    if (n->arg[0]->op != NP_WEIGHT && n->arg[1]->op != NP_WEIGHT) return true;
    const char *comma = strchr(n->sym, ','), *out = strstr(n->sym, "->") + 2;
    for (int o = 0; o < 2; o++)
        for (int i = 0; i < n->arg[o]->type->rank; i++) {
            char c = o ? comma[1 + i] : n->sym[i];
            bool kept = strchr(out, c) != NULL, weights = n->arg[o]->op == NP_WEIGHT;
            bool both = memchr(o ? n->sym : comma + 1, c, (size_t)n->arg[!o]->type->rank) != NULL;
            if (kept ? both || !weights : both && o == 1) continue;
            if (!np_dim_int(n->arg[o]->type->dim[i], &k)) return true;
            if (kept)
                made *= k;
            else
                summed *= k;
        }
    return made > 1 && made * THIN > summed; /* 1: every channel by itself, as in a reduction */
}
static void add_root(merge *m, const np_node *n)
{
    bool joins = !n->type->tuple && n->type->rank > 0 && !n->body[0] && n->op != NP_WINDOW;
    int axis = n->op == NP_APPEND ? (int)n->attr[0]->k : NP_PEEL_NONE;
    m->of[n->id] = m->n;
    m->r[m->n] = (root){.n = n, .joins = joins, .set = m->n, .next = m->n, .axis = axis};
    m->n++;
}
static void link_root(merge *m, int i)
{
    root *r = &m->r[i];
    m->nfound = 0;
    read_operands(m, r->n, NP_PEEL_FAIL);
    for (int k = 0; k < 2; k++)
        if (r->n->body[k]) read_body(m, r->n->body[k]);
    r->pred = np_arena_array(&m->u->mem, (size_t)m->nfound + 1, sizeof *r->pred);
    r->wide = is_wide(r->n);
    for (int k = 0; k < m->nfound; k++) {
        int p = root_of(m, m->found[k].x);
        if (p >= 0)
            r->pred[r->npreds++] = p;
        else
            r->wide |= is_wide(m->found[k].x);
    }
    for (int k = 0; k < r->npreds; k++) m->r[r->pred[k]].nsuccs++;
}
static void find_roots(merge *m)
{
    const np_block *top = &m->u->f->top;
    for (const np_node *n = top->first; n; n = n->next)
        if (m->u->kept[n->id]) add_root(m, n);
    for (const np_node *n = top->first; n; n = n->next) /* stored as it is wanted */
        if (m->u->as[n->id]) m->of[m->u->as[n->id]->id] = m->of[n->arg[0]->id];
    for (int i = 0; i < m->n; i++) link_root(m, i);
    for (int i = 0; i < m->n; i++) {
        m->r[i].succ = np_arena_array(&m->u->mem, (size_t)m->r[i].nsuccs + 1, sizeof(int));
        m->r[i].nsuccs = 0;
    }
    for (int i = 0; i < m->n; i++)
        for (int k = 0; k < m->r[i].npreds; k++) {
            root *p = &m->r[m->r[i].pred[k]];
            p->succ[p->nsuccs++] = i;
        }
    for (int i = 0; i < top->last->nargs; i++) {
        int r = root_of(m, top->last->arg[i]);
        if (r >= 0) m->r[r].returned = true;
    }
}

/* ---- may two sets be one? */
static bool in_either(const merge *m, int i, int a, int b)
{
    return m->r[i].set == a || m->r[i].set == b;
}
static bool leads_into(merge *m, int i, int a, int b);
/* Does a way lead from the set of root i, whose members are all computed at once, into a or b? */
static bool set_leads_into(merge *m, int i, int a, int b)
{
    if (m->stamp[m->r[i].set] == m->now) return false;
    m->stamp[m->r[i].set] = m->now;
    int k = i;
    do {
        if (leads_into(m, k, a, b)) return true;
        k = m->r[k].next;
    } while (k != i);
    return false;
}
static bool leads_into(merge *m, int i, int a, int b)
{
    for (int k = 0; k < m->r[i].nsuccs; k++) {
        int s = m->r[i].succ[k];
        if (in_either(m, s, a, b) || set_leads_into(m, s, a, b)) return true;
    }
    return false;
}
static bool way_outside(merge *m, int a, int b)
{
    m->now++;
    for (int i = 0; i < m->n; i++)
        for (int k = 0; in_either(m, i, a, b) && k < m->r[i].nsuccs; k++) {
            int s = m->r[i].succ[k];
            if (!in_either(m, s, a, b) && set_leads_into(m, s, a, b)) return true;
        }
    return false;
}
static bool row_by_row(merge *m, int a, int b)
{
    const reading *x;
    for (int i = 0; i < m->n; i++) {
        if (!in_either(m, i, a, b)) continue;
        for (int k = 0, n = reads(m, i, m->r[i].axis, &x); k < n; k++) {
            int p = root_of(m, x[k].x);
            if (p >= 0 && in_either(m, p, a, b) && m->r[p].axis != x[k].axis) return false;
        }
    }
    return true;
}
/* At most one wide contraction on every way, and not too many members. */
static bool few_wide(const merge *m, int a, int b)
{
    int size = 0, *wide = np_arena_array(&m->u->mem, (size_t)m->n + 1, sizeof *wide);
    for (int i = 0; i < m->n; i++) {
        const root *r = &m->r[i];
        if (!in_either(m, i, a, b)) continue;
        for (int k = 0; k < r->npreds; k++)
            if (in_either(m, r->pred[k], a, b) && wide[r->pred[k]] > wide[i]) wide[i] = wide[r->pred[k]];
        wide[i] += r->wide;
        if (wide[i] > 1 || ++size > NP_FUSE_MEMBERS) return false;
    }
    return true;
}
static bool join(merge *m, int i, int j)
{
    int a = m->r[i].set, b = m->r[j].set, next = m->r[i].next;
    if (a == b || !few_wide(m, a, b) || !row_by_row(m, a, b) || way_outside(m, a, b)) return false;
    m->r[i].next = m->r[j].next, m->r[j].next = next; /* two rings become one */
    for (int k = 0; k < m->n; k++)
        if (in_either(m, k, a, b)) m->r[k].set = a < b ? a : b;
    return true;
}

/* ---- along which axes */
/* The axis of x that runs with the rows of root i along `axis`; below 0: it does not, or several do. */
static int axis_of(merge *m, int i, int axis, const np_node *x)
{
    const reading *r;
    int found = NP_PEEL_NONE;
    for (int k = 0, n = reads(m, i, axis, &r); k < n; k++) {
        if (r[k].x != x) continue;
        if (r[k].axis < 0 || (found >= 0 && found != r[k].axis)) return NP_PEEL_FAIL;
        found = r[k].axis;
    }
    return found;
}
static bool is_time(const np_dim *d)
{
    return d->kind == NP_DIM_SYM && d->role == NP_ROLE_TIME;
}
/* The axes that the rows of root i may have, those of time first; how many. */
static int axes(const merge *m, int i, int *out)
{
    const root *r = &m->r[i];
    int n = 0;
    if (r->axis >= 0) {
        out[0] = r->axis;
        return 1;
    }
    for (int time = 1; time >= 0; time--)
        for (int k = 0; k < r->n->type->rank; k++)
            if (is_time(r->n->type->dim[k]) == time) out[n++] = k;
    return n;
}
static bool join_along(merge *m, int i, int ai, int j, int aj)
{
    int was_i = m->r[i].axis, was_j = m->r[j].axis;
    m->r[i].axis = ai, m->r[j].axis = aj;
    if (join(m, i, j)) return true;
    m->r[i].axis = was_i, m->r[j].axis = was_j;
    return false;
}
/* Both read x: joins them if it is the same row of it. */
static bool join_readers(merge *m, const np_node *x, int i, int j)
{
    int a[NP_RANK], b[NP_RANK], n = axes(m, i, a), k = axes(m, j, b);
    if (m->r[i].set == m->r[j].set) return false;
    for (int p = 0; p < n; p++)
        for (int q = 0, at = axis_of(m, i, a[p], x); q < k && at >= 0; q++)
            if (axis_of(m, j, b[q], x) == at && join_along(m, i, a[p], j, b[q])) return true;
    return false;
}
static bool join_reader(merge *m, int p, int i)
{
    int a[NP_RANK], n = axes(m, i, a);
    if (!m->r[p].joins || !m->r[i].joins || m->r[p].set == m->r[i].set) return false;
    for (int k = 0; k < n; k++) {
        int at = axis_of(m, i, a[k], m->r[p].n);
        if (at >= 0 && (m->r[p].axis < 0 || m->r[p].axis == at) && join_along(m, p, at, i, a[k])) return true;
    }
    return false;
}

/* ---- which are put together */
typedef struct by_value { /* the roots that read a value */
    int *reader, n;
} by_value;
static void note_reader(merge *m, by_value *v, int i)
{
    if (v->n && v->reader[v->n - 1] == i) return;
    v->reader = np_arena_more(&m->u->mem, v->reader, v->n, sizeof *v->reader);
    v->reader[v->n++] = i;
}
static by_value *readers(merge *m)
{
    by_value *v = np_arena_array(&m->u->mem, m->u->f->nnodes + 1, sizeof *v);
    const reading *x;
    for (int i = 0; i < m->n; i++)
        for (int k = 0, n = m->r[i].joins ? reads(m, i, 0, &x) : 0; k < n; k++)
            note_reader(m, &v[x[k].x->id], i);
    return v;
}
/* Sets that read the same rows; `wide`: of which both contract something. */
static bool join_all_readers(merge *m, const by_value *v, bool wide)
{
    bool any = false;
    const reading *x;
    for (int i = 0; i < m->n; i++)
        for (int k = 0, n = m->r[i].joins && (m->r[i].wide || !wide) ? reads(m, i, 0, &x) : 0; k < n; k++) {
            const by_value *w = &v[x[k].x->id];
            for (int j = w->n - 1, tries = 0; j >= 0 && tries < TRIES; j--) {
                if (w->reader[j] >= i || (wide && !m->r[w->reader[j]].wide)) continue;
                tries++;
                if (!join_readers(m, x[k].x, w->reader[j], i)) continue;
                any = true;
                break;
            }
        }
    return any;
}
/* What is made for one set alone: norms, mixes of rows. */
static bool join_prologues(merge *m)
{
    bool any = false;
    for (int i = m->n - 1; i >= 0; i--) {
        const root *r = &m->r[i];
        bool alone = !r->wide && !r->returned && r->nsuccs > 0;
        for (int k = 1; k < r->nsuccs; k++) alone &= m->r[r->succ[k]].set == m->r[r->succ[0]].set;
        if (alone) any |= join_reader(m, i, r->succ[0]);
    }
    return any;
}
static bool join_epilogues(merge *m)
{
    bool any = false;
    for (int i = 0; i < m->n; i++)
        for (int k = 0; k < m->r[i].npreds; k++) any |= join_reader(m, m->r[i].pred[k], i);
    return any;
}
static void join_all(merge *m)
{
    const by_value *v = readers(m);
    join_all_readers(m, v, true);
    while (join_prologues(m) || join_all_readers(m, v, false)) {
    }
    while (join_epilogues(m) || join_all_readers(m, v, false)) {
    }
}

/* ---- the result */
static void set_of(merge *m, int first)
{
    np_arena *mem = &m->u->mem;
    np_fuse_set *s = np_arena_alloc(mem, sizeof *s);
    int npreds = 0;
    *s = (np_fuse_set){.member = np_arena_array(mem, NP_FUSE_MEMBERS, sizeof *s->member),
                       .leaves = np_arena_array(mem, NP_FUSE_MEMBERS, sizeof *s->leaves)};
    for (int i = first; i < m->n; i++) {
        const root *r = &m->r[i];
        if (r->set != first) continue;
        for (int k = 0; k < r->nsuccs; k++) s->leaves[s->n] |= m->r[r->succ[k]].set != first;
        s->leaves[s->n] |= r->returned;
        s->member[s->n++] = r->n;
        npreds += r->npreds;
        if (r->wide && !s->name) s->name = r->n;
        m->u->set[r->n->id] = s;
        m->u->rows[r->n->id] = r->axis;
    }
    if (!s->name) s->name = s->member[s->n - 1];
    s->pred = np_arena_array(mem, (size_t)npreds + 1, sizeof *s->pred);
    for (int i = first; i < m->n; i++)
        for (int k = 0; m->r[i].set == first && k < m->r[i].npreds; k++)
            if (m->r[m->r[i].pred[k]].set != first) s->pred[s->npreds++] = m->r[m->r[i].pred[k]].n;
}
void np_fuse_merge(np_fuse *u)
{
    merge m = {.u = u};
    size_t n = u->f->nnodes + 1;
    m.r = np_arena_array(&u->mem, n, sizeof *m.r);
    m.of = np_arena_array(&u->mem, n, sizeof *m.of);
    m.stamp = np_arena_array(&u->mem, n, sizeof *m.stamp);
    memset(m.of, -1, n * sizeof *m.of);
    u->set = np_arena_array(&u->mem, n, sizeof *u->set);
    u->rows = np_arena_array(&u->mem, n, sizeof *u->rows);
    find_roots(&m);
    join_all(&m);
    for (int i = 0; i < m.n; i++)
        if (m.r[i].set == i) set_of(&m, i);
}
