/* The nests of one pass of a step (loops_time.c says what is in which). Values that
 * are kept come first, each with loops over its own classes; then everything
 * else, what runs over the same classes together. All values of an element are
 * computed before the first is stored.
 *
 * A sum over lanes has one accumulator a lane, folded when its lanes have run;
 * any other sum has as many accumulators as the nest has elements of it. Where
 * these are few lanes, each addition would wait for the one before: such a nest
 * adds up several indices beside one another, in chains that are added at the end. */
#include "loops_time.h"

#include <string.h>

enum { CHAINS = 4 };
typedef struct nest {
    np_steps *s;
    uint64_t set;
    int n, order[NP_MAXCLASSES]; /* outermost first; the last one has the lanes */
    int64_t width;               /* of its lanes */
    int lane;                    /* the variable that counts them */
    int var[NP_MAXCLASSES];
    np_node *loop[NP_MAXCLASSES + 2]; /* and the branch that ends the one at `until` */
    int until;                        /* class that runs to the running step only; -1: none */
    int beyond;                       /* and how much further */
    int nloops;
    np_root *root[NP_MAXROOTS];
    int nroots;
    int chains;             /* indices of the outer loop that are added up beside one another */
    np_spot *chain[CHAINS]; /* by root: the accumulators of the others than the first */
} nest;

/* ---- arrays of the tile */
static bool is_outside(const np_steps *s, int c)
{
    return s->class[c].outside && c != s->lane;
}
np_spot np_steps_local(np_steps *s, const np_node *x, const int *axis, np_str name)
{
    np_spot r = {.mapped = true, .tile = true};
    const np_dim *dim[NP_RANK];
    int n = 0;
    for (int last = 0; last < 2; last++) /* the lanes' axis is the last one */
        for (int k = 0; k < x->type->rank; k++) {
            int c = axis[k];
            if (c < 0 || is_outside(s, c) || (c == s->lane) != last) continue;
            dim[n] = s->class[c].outside ? np_dim_const(s->l->cx, s->width) : s->class[c].n;
            r.axis[n++] = k;
        }
    r.buf = np_build_alloc(s->l->b, name, np_type_tensor(s->l->cx, x->type->dtype, n, dim));
    return r;
}

/* ---- loops */
static int place(const nest *m, int c)
{
    return c == m->s->lane ? NP_RANK + 1 : m->s->class[c].place;
}
static void order_classes(nest *m)
{
    for (int c = 0; c < m->s->nclasses; c++) {
        if (!(m->set >> c & 1)) continue;
        int i = m->n++;
        for (; i > 0 && place(m, m->order[i - 1]) > place(m, c); i--) m->order[i] = m->order[i - 1];
        m->order[i] = c;
    }
}
static int64_t size(const np_class *c)
{
    int64_t n = 1;
    np_dim_int(c->n, &n);
    return n;
}
/* How many lanes: all of a block; of a whole axis as many as divide it, if they are parts of a sum. */
static void choose_lanes(nest *m)
{
    np_steps *s = m->s;
    if (m->n == 0) return;
    int c = m->order[m->n - 1];
    bool summed = false;
    for (int i = 0; i < m->nroots; i++) summed |= m->root[i]->sum >> c & 1;
    m->width = s->class[c].outside ? s->width : size(&s->class[c]);
    if (!summed) return;
    int64_t w = 1;
    while (w * 2 <= s->l->k->lanes && m->width % (w * 2) == 0) w *= 2;
    m->width = w;
}
static void open_loop(nest *m, int v)
{
    m->loop[m->nloops++] = np_loops_open(m->s->l, v);
}
static void open_class(nest *m, int i)
{
    np_steps *s = m->s;
    np_lower *l = s->l;
    np_class *k = &s->class[m->order[i]];
    int v = m->var[i] = np_loops_var(l, k->n);
    if (i == 0 && m->chains > 1) l->var[v].step = np_dim_const(l->cx, m->chains);
    if (i == m->n - 1 && k->outside) { /* a block of lanes; k->ix is where it begins */
        l->var[v].n = np_dim_const(l->cx, m->width);
        open_loop(m, m->lane = v);
        return;
    }
    if (i == m->n - 1 && m->width < size(k)) {
        l->var[v].step = np_dim_const(l->cx, m->width);
        open_loop(m, v);
        open_loop(m, m->lane = np_loops_var(l, np_dim_const(l->cx, m->width)));
        return;
    }
    m->lane = v;
    open_loop(m, v);
    if (m->order[i] != m->until) return;
    np_node *end = np_loops_op2(l, NP_ADD, l->time[s->scan->id], np_loops_int(l, m->beyond));
    m->loop[m->nloops] = np_loops_open_until(l, m->loop[m->nloops - 1], end);
    m->nloops++;
    l->item = l->b->at; /* what it loads is loaded inside */
}
static void close_loops(nest *m, int left)
{
    while (m->nloops > left) {
        np_node *n = m->loop[--m->nloops];
        if (n->op == NP_COND)
            np_loops_close_until(m->s->l, n);
        else
            np_loops_close(m->s->l, n);
    }
}
/* The index of each class, in the nest. */
static void set_indices(nest *m, const np_ix **ix)
{
    np_steps *s = m->s;
    np_lower *l = s->l;
    for (int c = 0; c < s->nclasses; c++) ix[c] = s->class[c].ix;
    for (int i = 0; i < m->n; i++) {
        int c = m->order[i], last = i == m->n - 1;
        const np_class *k = &s->class[c];
        const np_ix *block = NULL;
        if (last && k->outside)
            block = k->ix;
        else if (last && m->width < size(k))
            block = np_loops_ix(l, m->var[i]);
        ix[c] = np_loops_ix(l, last ? m->lane : m->var[i]);
        if (block) ix[c] = np_loops_ix_pair(l, block, ix[c], np_dim_const(l->cx, 1));
    }
}
static void indices_of(np_steps *s, const np_node *x, const int *axis, const np_ix *const *ix,
                       const np_ix **at)
{
    for (int k = 0; k < x->type->rank; k++)
        at[k] = axis[k] >= 0 ? ix[axis[k]] : np_loops_ix_node(s->l, np_loops_int(s->l, 0), 0);
}

/* ---- sums */
static bool is_lane_sum(const nest *m, const np_root *r)
{
    return m->n > 0 && (r->sum >> m->order[m->n - 1] & 1);
}
/* Behind how many loops the sum begins, if all of its own classes run before those that it adds up; else -1. */
static int begins(const nest *m, const np_root *r)
{
    int own = 0;
    bool adding = false;
    for (int i = 0; i < m->n; i++) {
        bool adds = r->sum >> m->order[i] & 1;
        if (!adds && adding) return -1;
        if (adds)
            adding = true;
        else
            own++;
    }
    return own;
}
/* acc = start, or acc = acc + more, for all accumulators of a sum. */
static void each_acc(np_steps *s, const np_root *r, const np_spot *acc, const np_spot *more)
{
    np_lower *l = s->l;
    np_build *b = l->b;
    np_node *loop[NP_RANK], *at[NP_RANK];
    const np_type *t = acc->buf->type;
    np_loops_begin_item(l);
    for (int k = 0; k < t->rank; k++) {
        int v = np_loops_var(l, t->dim[k]);
        loop[k] = np_loops_open(l, v);
        at[k] = l->var[v].at;
    }
    np_node *value = more ? np_build_2(b, np_loops_sum_op(r->x), np_build_load(b, acc->buf, t->rank, at),
                                       np_build_load(b, more->buf, t->rank, at))
                          : np_loops_sum_start(l, r->x);
    np_build_store(b, acc->buf, value, t->rank, at);
    for (int k = t->rank - 1; k >= 0; k--) np_loops_close(l, loop[k]);
}
static int chains_of(const nest *m)
{
    bool sums = false;
    int n = 1;
    if (m->n != 2 || m->until >= 0) return 1;
    for (int i = 0; i < m->nroots; i++) {
        const np_root *r = m->root[i];
        if (r->alone || is_lane_sum(m, r)) return 1;
        if (r->kind != NP_ROOT_SUM) continue;
        if (!(r->sum >> m->order[0] & 1)) return 1;
        sums = true;
    }
    while (sums && n < CHAINS && 2 * n * m->width <= m->s->l->k->lanes &&
           size(&m->s->class[m->order[0]]) % (2 * n) == 0)
        n *= 2;
    return n;
}
static void start_sums(nest *m)
{
    np_steps *s = m->s;
    m->chains = chains_of(m);
    for (int c = 1; c < m->chains; c++)
        m->chain[c] = np_arena_array(&s->l->mem, (size_t)m->nroots, sizeof *m->chain[c]);
    for (int i = 0; i < m->nroots; i++) {
        np_root *r = m->root[i];
        if (r->kind != NP_ROOT_SUM) continue;
        r->lane_sum = is_lane_sum(m, r) && m->width > 1 && begins(m, r) >= 0;
        r->acc = np_steps_local(s, r->x, r->axis, r->lane_sum ? "sum" : "acc");
        if (!r->lane_sum || m->until >= 0) each_acc(s, r, &r->acc, NULL);
        for (int c = 1; c < m->chains; c++) {
            m->chain[c][i] = np_steps_local(s, r->x, r->axis, "acc");
            each_acc(s, r, &m->chain[c][i], NULL);
        }
    }
}
static void join_chains(nest *m)
{
    for (int i = 0; i < m->nroots; i++)
        for (int c = 1; c < m->chains && m->root[i]->kind == NP_ROOT_SUM; c++)
            each_acc(m->s, m->root[i], &m->root[i]->acc, &m->chain[c][i]);
}
static np_node *term(nest *m, const np_root *r, const np_ix *const *ix)
{
    np_steps *s = m->s;
    const np_node *x = r->x;
    np_sum sum = {.x = x};
    char letter[NP_MAXLETTERS];
    int n = np_steps_letters(x, letter);
    const np_ix *of[NP_MAXLETTERS];
    for (int i = 0; i < n; i++) {
        int c = np_steps_letter(s, x, i);
        of[i] = c >= 0 ? ix[c] : np_loops_ix_node(s->l, np_loops_int(s->l, 0), 0);
    }
    if (x->op == NP_REDUCE) {
        int k = (int)x->attr[0]->k;
        const np_ix *at[NP_RANK];
        indices_of(s, x, r->axis, ix, at);
        for (int i = 0; i <= x->type->rank; i++) sum.a[i] = i == k ? of[0] : at[i < k ? i : i - 1];
        return np_loops_sum_term(s->l, &sum);
    }
    const char *comma = strchr(x->sym, ',');
    for (int i = 0; i < x->arg[0]->type->rank; i++)
        sum.a[i] = of[(char *)memchr(letter, x->sym[i], (size_t)n) - letter];
    for (int i = 0; i < x->arg[1]->type->rank; i++)
        sum.b[i] = of[(char *)memchr(letter, comma[1 + i], (size_t)n) - letter];
    return np_loops_sum_term(s->l, &sum);
}

/* ---- a nest */
/* Accumulators of lanes, for the sums that begin behind `depth` loops. */
static void open_lane_sums(nest *m, int depth, np_node **acc)
{
    np_steps *s = m->s;
    for (int i = 0; i < m->nroots; i++) {
        np_root *r = m->root[i];
        if (!r->lane_sum || r->kind != NP_ROOT_SUM || begins(m, r) != depth) continue;
        const np_dim *w = np_dim_const(s->l->cx, m->width);
        acc[i] = np_build_alloc(s->l->b, "acc", np_type_tensor(s->l->cx, r->x->type->dtype, 1, &w));
        int v = np_loops_var(s->l, w);
        np_node *loop = np_loops_open(s->l, v);
        np_build_store(s->l->b, acc[i], np_loops_sum_start(s->l, r->x), 1, &s->l->var[v].at);
        np_loops_close(s->l, loop);
        s->l->nvars--;
    }
}
static void close_lane_sums(nest *m, int depth, np_node *const *acc, const np_ix *const *ix)
{
    np_steps *s = m->s;
    for (int i = 0; i < m->nroots; i++) {
        np_root *r = m->root[i];
        if (!r->lane_sum || r->kind != NP_ROOT_SUM || begins(m, r) != depth) continue;
        const np_ix *at[NP_RANK];
        indices_of(s, r->x, r->axis, ix, at);
        np_loops_put(s->l, &r->acc, np_loops_fold(s->l, np_loops_sum_op(r->x), acc[i], (int)m->width), at);
    }
}
static void add_to(np_steps *s, const np_root *r, np_node *buf, int n, np_node *const *at)
{
    np_build *b = s->l->b;
    np_build_store(b, buf, np_build_2(b, np_loops_sum_op(r->x), np_build_load(b, buf, n, at), r->value), n,
                   at);
}
static void element(nest *m, np_node *const *acc, const np_ix *const *ix, int chain)
{
    np_steps *s = m->s;
    np_lower *l = s->l;
    const np_ix *at[NP_RANK], *where[NP_RANK];
    for (int i = 0; i < m->nroots; i++) {
        np_root *r = m->root[i];
        indices_of(s, r->x, r->axis, ix, at);
        r->value = r->kind == NP_ROOT_SUM ? term(m, r, ix) : np_loops_value(l, r->x, at);
    }
    for (int i = 0; i < m->nroots; i++) {
        np_root *r = m->root[i];
        indices_of(s, r->x, r->axis, ix, at);
        if (r->kind == NP_ROOT_OUT)
            np_loops_put(l, &s->out[r->which], r->value, at);
        else if (r->kind == NP_ROOT_STATE)
            np_loops_put(l, &s->state[r->which], r->value, at);
        else if (r->kind == NP_ROOT_TEMP)
            np_loops_put(l, &r->acc, r->value, at);
        else if (r->lane_sum)
            add_to(s, r, acc[i], 1, &l->var[m->lane].at);
        else {
            const np_spot *sum = chain ? &m->chain[chain][i] : &r->acc;
            np_node *to[NP_RANK];
            int n = np_loops_spot_at(l, sum, at, where);
            for (int k = 0; k < n; k++) to[k] = np_loops_at(l, where[k]);
            add_to(s, r, sum->buf, n, to);
        }
    }
}
/* Where every root of the nest ends at the running step, so does the loop, unless its lanes run there. */
static void find_until(nest *m)
{
    m->until = -1;
    for (int i = 0; i < m->nroots; i++) {
        int beyond = 0, c = np_steps_row_end(m->s, m->root[i], &beyond);
        if (c < 0 || (i > 0 && c != m->until) || !(m->set >> c & 1) || c == m->order[m->n - 1]) {
            m->until = -1;
            return;
        }
        m->until = c;
        if (beyond > m->beyond) m->beyond = beyond;
    }
}
static void keep_results(nest *m)
{
    np_steps *s = m->s;
    for (int i = 0; i < m->nroots; i++) {
        np_root *r = m->root[i];
        np_spot *slot = &s->l->slot[r->x->id];
        if (r->kind == NP_ROOT_SUM || r->kind == NP_ROOT_TEMP)
            *slot = r->acc;
        else if (r->kind == NP_ROOT_STATE && np_block_encloses(s->body, r->x->in) && r->x->op != NP_PARAM)
            *slot = s->state[r->which];
    }
}
static void write(nest *m)
{
    np_steps *s = m->s;
    np_node *acc[NP_MAXROOTS] = {0};
    const np_ix *ix[NP_MAXCLASSES];
    int behind[NP_MAXCLASSES + 1] = {0};
    m->width = 1;
    m->lane = 0;
    order_classes(m);
    choose_lanes(m);
    find_until(m);
    start_sums(m);
    for (int i = 0; i < m->nroots; i++)
        if (m->root[i]->kind == NP_ROOT_TEMP)
            m->root[i]->acc = np_steps_local(s, m->root[i]->x, m->root[i]->axis, m->root[i]->x->name);
    np_loops_begin_item(s->l);
    int shared = m->chains > 1 ? m->n - 1 : m->n; /* each chain has a loop over its lanes */
    for (int i = 0; i < shared; i++) {
        open_lane_sums(m, i, acc);
        behind[i] = m->nloops;
        open_class(m, i);
    }
    for (int c = 0; c < m->chains; c++) {
        int around = m->nloops;
        if (shared < m->n) open_class(m, shared);
        set_indices(m, ix);
        if (c > 0) ix[m->order[0]] = np_loops_ix_add(s->l, ix[m->order[0]], np_dim_const(s->l->cx, c));
        for (int i = 0; i < m->nroots; i++) /* they are in a nest of their own set */
            if (m->root[i]->alone)
                ix[m->root[i]->alone - 1] = np_loops_ix_node(s->l, s->l->time[s->scan->id], 0);
        element(m, acc, ix, c);
        close_loops(m, around);
    }
    for (int i = shared - 1; i >= 0; i--) {
        close_loops(m, behind[i]);
        close_lane_sums(m, i, acc, ix);
    }
    join_chains(m);
    keep_results(m);
}
void np_steps_pass(np_steps *s, int pass)
{
    bool done[NP_MAXROOTS] = {false};
    for (;;) { /* kept values, in the order in which they need one another */
        int next = -1;
        for (int i = 0; i < s->nroots; i++)
            if (!done[i] && s->root[i].kind == NP_ROOT_TEMP && s->root[i].pass == pass &&
                (next < 0 || s->root[i].x->id < s->root[next].x->id))
                next = i;
        if (next < 0) break;
        done[next] = true;
        nest m = {.s = s, .set = s->root[next].set, .root = {&s->root[next]}, .nroots = 1};
        write(&m);
    }
    for (int i = 0; i < s->nroots; i++) {
        if (done[i] || s->root[i].pass != pass || s->root[i].kind == NP_ROOT_TEMP) continue;
        nest m = {.s = s, .set = s->root[i].set};
        for (int j = i; j < s->nroots; j++) {
            if (done[j] || s->root[j].pass != pass || s->root[j].kind == NP_ROOT_TEMP ||
                s->root[j].set != m.set)
                continue;
            done[j] = true;
            m.root[m.nroots++] = &s->root[j];
        }
        write(&m);
    }
}

void np_steps_copy(np_steps *s, const np_node *x, const int *axis, const np_spot *from, const np_spot *to)
{
    np_lower *l = s->l;
    nest m = {.s = s, .width = 1, .until = -1};
    const np_ix *ix[NP_MAXCLASSES], *at[NP_RANK];
    for (int k = 0; k < x->type->rank; k++)
        if (axis[k] >= 0 && !is_outside(s, axis[k])) m.set |= (uint64_t)1 << axis[k];
    order_classes(&m);
    choose_lanes(&m);
    np_loops_begin_item(l);
    for (int i = 0; i < m.n; i++) open_class(&m, i);
    set_indices(&m, ix);
    indices_of(s, x, axis, ix, at);
    np_loops_put(l, to, from ? np_loops_read(l, from, at) : np_loops_value(l, x, at), at);
    close_loops(&m, 0);
}
