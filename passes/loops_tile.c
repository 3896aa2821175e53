/* A tensor in whose elements sums are computed: contractions and reductions with
 * the elementwise code around them as their epilogue.
 *
 * Two ways to use the lanes of a machine, chosen by how the operands lie in
 * memory. *Across*: a block of lanes holds neighbouring elements of the result's
 * last axis, the sums of several rows side by side, so that what is loaded for
 * the lanes serves every row. *Along*: the lanes hold parts of one sum, added
 * together at the end. Either way the accumulators are small local arrays and
 * every innermost loop has a constant count, which C compilers turn into vector
 * code without being told.
 *
 * Operands that are weights are read from copies that the build makes for the
 * lanes (loops_turn.c). The order of additions depends on sizes and
 * knobs only, never on the data. */
#include "loops.h"

#include <string.h>

enum { SUMS = 8, ROWS = 8, WIDE = 32, MIDDLE = 16, NARROW = 4 }; /* lanes where a size is not constant */
typedef struct tile {
    np_lower *l;
    const np_node *root;
    const np_spot *to;
    const np_rows *some; /* rows; NULL: all */
    int rank, nsums;
    np_sum sum[SUMS];
    const np_ix *at[NP_RANK]; /* of the running row */
    int lanes;                /* of the running block */
    int lane;                 /* variable that counts them */
    int nrows;
    int64_t
        rows[NP_RANK]; /* across: how many indices of an axis a block of rows holds; 1: a loop of its own */
    const np_ix *row[ROWS][NP_RANK];
    bool packs[SUMS][2]; /* operands to be copied first */
    int npacks;
    int panel; /* lanes of a panel of weights; 0: they lie row by row */
} tile;

/* ---- the sums inside */
static void find(tile *t, const np_node *x, bool *seen)
{
    if (seen[x->id] || np_loops_find(t->l, x)) return;
    seen[x->id] = true;
    if (np_is_sum(x)) {
        if (t->nsums < SUMS) t->sum[t->nsums++].x = x;
    } else if (np_is_elem(x)) {
        for (int i = 0; i < x->nargs; i++) find(t, x->arg[i], seen);
    }
}

/* ---- which way */
static bool is_weight(const np_node *x)
{
    return x->op == NP_WEIGHT;
}
static bool at_least(const np_dim *d, int64_t n)
{
    int64_t k;
    return !np_dim_int(d, &k) || k >= n;
}
/* Operands that a loop over var would read with jumps. */
static int jumps(tile *t, int var, bool across)
{
    int n = 0;
    for (int i = 0; i < t->nsums; i++) {
        np_sum *s = &t->sum[i];
        int last = across ? var : s->var[s->n - 1];
        for (int o = 0; o < s->x->nargs; o++) {
            if (across && is_weight(s->x->arg[o])) continue; /* it will be turned */
            n += np_loops_stride(t->l, s->x->arg[o], o ? s->b : s->a, last) == NP_STRIDE_FAR;
        }
    }
    return n;
}
/* May all operands that lanes across the result would read with jumps be copied? */
static bool find_packs(tile *t, int var)
{
    t->npacks = 0;
    for (int i = 0; i < t->nsums; i++) {
        const np_sum *s = &t->sum[i];
        for (int o = 0; o < s->x->nargs; o++) {
            bool far = !is_weight(s->x->arg[o]) && np_loops_stride(t->l, s->x->arg[o], o ? s->b : s->a, var) == NP_STRIDE_FAR;
            if (far && !np_loops_packable(s->x, o)) return false;
            t->packs[i][o] = far;
            t->npacks += far;
        }
    }
    return true;
}
static bool all_wide(const tile *t)
{
    for (int i = 0; i < t->nsums; i++)
        if (!at_least(t->l->var[t->sum[i].var[t->sum[i].n - 1]].n, 4)) return false;
    return true;
}
static bool choose_across(tile *t)
{
    const np_type *type = t->root->type;
    if (t->rank == 0 || np_loops_cuts(t->some, t->rank - 1)) return false;
    int var[NP_RANK], from = t->l->nvars;
    for (int k = 0; k < t->rank; k++)
        var[k] = np_loops_var(t->l, type->dim[k]), t->at[k] = np_loops_ix(t->l, var[k]);
    for (int i = 0; i < t->nsums; i++) {
        np_loops_sum_vars(t->l, t->sum[i].x, &t->sum[i]);
        np_loops_sum_at(t->l, &t->sum[i], t->at);
    }
    int across = at_least(type->dim[t->rank - 1], 4) ? jumps(t, var[t->rank - 1], true) : 99;
    int along = all_wide(t) ? jumps(t, 0, false) : 99;
    if (across < 99 && across > 0 && !find_packs(t, var[t->rank - 1])) t->npacks = 0;
    t->l->nvars = from;
    return (across <= along && across < 99) || t->npacks > 0;
}

/* ---- accumulators */
static np_node *local(np_lower *l, const np_node *x, int lanes)
{
    const np_type *t =
        np_type_tensor(l->cx, x->type->dtype, 1, (const np_dim *[]){np_dim_const(l->cx, lanes)});
    return np_build_alloc(l->b, "acc", t);
}
static np_node *lane_loop(np_lower *l, int n, np_node **loop)
{
    *loop = np_build_open(l->b, NP_LOOP, 0, NULL, &(np_extra){.attr = {np_dim_const(l->cx, n)}});
    return (*loop)->body[0]->param[0];
}
static void fill(np_lower *l, np_node *acc, int lanes, np_node *v)
{
    np_node *loop, *i = lane_loop(l, lanes, &loop);
    np_build_store(l->b, acc, v, 1, &i);
    np_loops_close(l, loop);
}
static void add(np_lower *l, np_op op, np_node *acc, np_node *i, np_node *term)
{
    np_build_store(l->b, acc, np_build_2(l->b, op, np_build_load(l->b, acc, 1, &i), term), 1, &i);
}

/* ---- across */
/* Do b's sums run over the same sizes as a's? Then over the same variables. */
static bool same_loops(np_lower *l, const np_sum *a, np_sum *b)
{
    if (a->n != b->n) return false;
    for (int i = 0; i < a->n; i++)
        if (l->var[a->var[i]].n != l->var[b->var[i]].n) return false;
    memcpy(b->var, a->var, sizeof a->var);
    return true;
}
/* The terms of one sum for the rows that have them: those that end beyond the first one's end by more than `skip`. */
static void add_rows(tile *t, np_sum *s, np_node **acc, const int64_t *more, int64_t skip)
{
    np_lower *l = t->l;
    np_node *lanes;
    l->var[t->lane].at = lane_loop(l, t->lanes, &lanes);
    for (int r = 0; r < t->nrows; r++) {
        if (more[r] <= skip) continue;
        np_loops_sum_at(l, s, t->row[r]);
        add(l, np_loops_sum_op(s->x), acc[r], l->var[t->lane].at, np_loops_sum_term(l, s));
    }
    np_loops_close(l, lanes);
}
/* A triangular sum: what all rows of the block have, then the ragged rest. False: it is none. */
static bool accumulate_until(tile *t, np_sum *s, np_node **acc)
{
    np_lower *l = t->l;
    np_until end[ROWS];
    int64_t more[ROWS], most = 0;
    for (int r = 0; r < t->nrows; r++) {
        np_loops_sum_at(l, s, t->row[r]);
        if (!np_loops_until(l, s, &end[r]) || !np_loops_until_more(l, &end[r], &end[0], &more[r])) return false;
        if (end[r].ix->deps >> t->lane & 1) return false; /* every lane would end elsewhere */
        if (more[r] < 0 || more[r] > ROWS || end[r].mask != end[0].mask) return false;
        if (more[r] > most) most = more[r];
    }
    np_node *first = np_loops_until_at(l, &end[0]), *loop = np_loops_open(l, s->var[0]);
    np_node *while_below = np_loops_open_until(l, loop, first);
    np_block *item = l->item;
    l->item = l->b->at; /* nothing is read for an index beyond the end */
    l->sure = end[0].mask;
    add_rows(t, s, acc, more, -1);
    l->item = item;
    np_loops_close_until(l, while_below);
    np_loops_close(l, loop);
    for (int64_t i = 0; i < most; i++) {
        l->var[s->var[0]].at = np_loops_op2(l, NP_ADD, first, np_loops_int(l, i));
        add_rows(t, s, acc, more, i);
    }
    l->sure = NULL;
    return true;
}
/* Adds up n sums in one nest of loops. */
static void accumulate(tile *t, np_sum *s, np_node *(*acc)[ROWS], int n)
{
    np_lower *l = t->l;
    np_node *loop[NP_MAXLOOPS], *lanes;
    int leaf[NP_MAXLOOPS], nloops = 0;
    if (n == 1 && accumulate_until(t, s, acc[0])) return;
    for (int i = 0; i < s->n; i++) nloops += np_loops_leaves(l, s->var[i], leaf + nloops);
    for (int i = 0; i < nloops; i++) loop[i] = np_loops_open(l, leaf[i]);
    l->var[t->lane].at = lane_loop(l, t->lanes, &lanes);
    for (int i = 0; i < n; i++)
        for (int r = 0; r < t->nrows; r++) {
            np_loops_sum_at(l, &s[i], t->row[r]);
            add(l, np_loops_sum_op(s[i].x), acc[i][r], l->var[t->lane].at, np_loops_sum_term(l, &s[i]));
        }
    np_loops_close(l, lanes);
    for (int i = nloops - 1; i >= 0; i--) np_loops_close(l, loop[i]);
}
/* One block: lanes of the last axis, for a few rows. Sums share loops where the
 * registers hold all their accumulators. */
static void block(tile *t)
{
    np_lower *l = t->l;
    np_node *acc[SUMS][ROWS], *loop;
    np_sum sum[SUMS];
    int kept = l->nvars;
    bool fit =
        2 * t->nsums * t->nrows * t->lanes <= l->k->lanes * l->k->rows; /* C compilers want some to spare */
    for (int i = 0; i < t->nsums; i++) {
        const np_node *x = t->sum[i].x;
        np_loops_sum_vars(l, np_loops_turn(l, x, t->panel), &sum[i]);
        np_loops_sum_plan(l, &sum[i], t->row[0]);
        for (int r = 0; r < t->nrows; r++) {
            acc[i][r] = local(l, x, t->lanes);
            fill(l, acc[i][r], t->lanes, np_loops_sum_start(l, x));
        }
    }
    for (int i = 0, n; i < t->nsums; i += n) {
        for (n = 1; fit && i + n < t->nsums && same_loops(l, &sum[i], &sum[i + n]);) n++;
        accumulate(t, &sum[i], &acc[i], n);
    }
    l->nvars = kept;
    for (int r = 0; r < t->nrows; r++) {
        np_done done[SUMS];
        np_spot there = np_loops_spot_within(t->to);
        bool lanes_end = np_loops_spot_deps(l, t->to, t->row[r]) >> t->lane & 1;
        np_node *within = lanes_end ? NULL : np_loops_open_within(l, t->to, t->row[r]);
        np_node *i = l->var[t->lane].at = lane_loop(l, t->lanes, &loop);
        for (int k = 0; k < t->nsums; k++)
            done[k] = (np_done){t->sum[k].x, np_build_load(l->b, acc[k][r], 1, &i)};
        l->done = done, l->ndone = t->nsums;
        np_loops_put(l, within ? &there : t->to, np_loops_value(l, t->root, t->row[r]), t->row[r]);
        l->done = NULL, l->ndone = 0;
        np_loops_close(l, loop);
        np_loops_close_within(l, within);
    }
}
/* The rows of a block: every combination of the axes that it holds whole, or `from`.. of the one that it cuts. */
static void rows_of(tile *t, int axis)
{
    if (axis == t->rank - 1) {
        memcpy(t->row[t->nrows++], t->at, (size_t)t->rank * sizeof *t->at);
        return;
    }
    if (t->rows[axis] == 1) {
        rows_of(t, axis + 1);
        return;
    }
    const np_ix *first = t->at[axis];
    for (int64_t i = 0; i < t->rows[axis]; i++) {
        t->at[axis] = first ? np_loops_ix_add(t->l, first, np_dim_const(t->l->cx, i))
                            : np_loops_ix_node(t->l, np_loops_int(t->l, i), 0);
        rows_of(t, axis + 1);
    }
    t->at[axis] = first;
}
static void row_loops(tile *t, int axis);
/* Axis in steps of `rows` from `from` to `to`. */
static void row_steps(tile *t, int axis, const np_dim *from, const np_dim *to, int64_t rows)
{
    np_lower *l = t->l;
    int v = np_loops_var(l, to);
    l->var[v].from = from;
    l->var[v].step = np_dim_const(l->cx, rows);
    np_node *loop = np_loops_open(l, v);
    t->at[axis] = np_loops_axis_ix(l, t->some, axis, v);
    t->rows[axis] = rows;
    row_loops(t, axis + 1);
    np_loops_close(l, loop);
}
/* Where whole steps of n from `from` on end. */
static const np_dim *in_steps(np_lower *l, const np_dim *from, const np_dim *to, int64_t n)
{
    const np_dim *steps = np_dim_floor(l->cx, np_dim_sub(l->cx, to, from), n);
    return np_dim_add(l->cx, from, np_dim_mul(l->cx, steps, np_dim_const(l->cx, n)));
}
static void row_loops(tile *t, int axis)
{
    np_lower *l = t->l;
    int64_t rows = axis < t->rank - 1 ? t->rows[axis] : 0, n;
    if (axis == t->rank - 1) {
        t->nrows = 0;
        rows_of(t, 0);
        block(t);
        return;
    }
    const np_dim *d = t->root->type->dim[axis], *first = np_dim_const(l->cx, 0);
    bool some = np_loops_cuts(t->some, axis);
    if (some) d = t->some->end;
    if (some && t->some->from) first = t->some->from;
    if (!some && np_dim_int(d, &n) && n == rows) { /* held whole */
        t->at[axis] = NULL;
        if (rows == 1) t->at[axis] = np_loops_ix_node(l, np_loops_int(l, 0), 0);
        row_loops(t, axis + 1);
        return;
    }
    const np_dim *whole = in_steps(l, first, d, rows);
    row_steps(t, axis, first, whole, rows);
    for (int64_t left = rows; whole != d && left > 1;) { /* those that are left over: at once if they can be counted */
        int64_t least = left > 2 ? 2 : 1, done;
        left = np_dim_int(d, &n) && np_dim_int(whole, &done) ? n - done : least;
        const np_dim *end = np_dim_int(d, &n) ? d : in_steps(l, first, d, left);
        row_steps(t, axis, whole, end, left);
        whole = end;
    }
    t->rows[axis] = rows;
}
/* How many rows share a block: small axes next to the lanes are held whole, and one more is cut. */
static void choose_rows(tile *t)
{
    int64_t room = (int64_t)t->l->k->lanes * t->l->k->rows / t->lanes, n;
    if (room > ROWS) room = ROWS;
    for (int k = t->rank - 2; k >= 0; k--) {
        const np_dim *d = np_loops_cuts(t->some, k) ? t->some->end : t->root->type->dim[k];
        t->rows[k] = 1;
        if (room <= 1) continue;
        if (np_dim_int(d, &n) && n <= room) {
            t->rows[k] = n;
            room /= n ? n : 1;
            if (n == 0) t->rows[k] = 1;
            continue;
        }
        int64_t most = room < t->l->k->rows ? room : t->l->k->rows;
        if (np_dim_int(d, &n)) most = (n + (n + most - 1) / most - 1) / ((n + most - 1) / most); /* alike */
        t->rows[k] = most;
        room = 1;
    }
}
static void across_lanes(tile *t, const np_ix *at, int width)
{
    t->lanes = width;
    t->at[t->rank - 1] = at;
    choose_rows(t);
    row_loops(t, 0);
}
/* From `from` on in blocks of w lanes; where they end. */
static const np_dim *across_blocks(tile *t, const np_dim *from, int64_t w)
{
    np_lower *l = t->l;
    int kept = l->nvars;
    const np_dim *d = t->root->type->dim[t->rank - 1], *width = np_dim_const(l->cx, w),
                 *zero = np_dim_const(l->cx, 0);
    int64_t n, first;
    const np_dim *end =
        np_dim_mul(l->cx, np_dim_floor(l->cx, d, w), width); /* where sizes vary, from is a multiple of w */
    if (np_dim_int(d, &n) && np_dim_int(from, &first)) end = np_dim_const(l->cx, first + (n - first) / w * w);
    int b = np_loops_var(l, end), i = t->lane = np_loops_var(l, width), v = np_loops_var(l, d);
    if (end == from) return end;
    if (end == np_dim_add(l->cx, from, width)) { /* a single one */
        across_lanes(t, np_loops_ix_add(l, np_loops_ix(l, i), from), (int)w);
    } else {
        if (t->panel) /* blocks are counted, as panels are */
            l->var[b].n = np_dim_floor(l->cx, end, w);
        else
            l->var[b].from = from == zero ? NULL : from, l->var[b].step = width;
        l->var[v].hi = b, l->var[v].lo = i, l->var[v].p = t->panel ? width : np_dim_const(l->cx, 1);
        np_node *loop = np_loops_open(l, b);
        across_lanes(t, np_loops_ix(l, v), (int)w);
        np_loops_close(l, loop);
    }
    l->nvars = kept;
    return end;
}
/* Does x, as far as it is computed here, read buf? */
static bool reads(np_lower *l, const np_node *x, const np_node *buf, int depth)
{
    const np_spot *s = np_loops_find(l, x);
    if (s) return s->buf == buf;
    if (depth > 32 || x->op == NP_PARAM) return true; /* not looked into */
    for (int i = 0; i < x->nargs; i++)
        if (reads(l, x->arg[i], buf, depth + 1)) return true;
    return false;
}
/* Does a sum read a weight along the lanes, in whole blocks of them? */
static bool has_panels(const tile *t, int64_t n)
{
    if (n % t->l->k->lanes != 0 || n == t->l->k->lanes) return false;
    for (int i = 0; i < t->nsums; i++)
        for (int o = 0; o < t->sum[i].x->nargs; o++)
            if (np_loops_panels(t->sum[i].x, o)) return true;
    return false;
}
static void across(tile *t)
{
    np_lower *l = t->l;
    const np_dim *d = t->root->type->dim[t->rank - 1], *end = np_dim_const(l->cx, 0);
    int64_t n, done, w = l->k->lanes;
    if (np_dim_int(
            d, &n)) { /* wide blocks; the last one overlaps the one before it, or ever narrower ones follow */
        bool twice = !reads(t->l, t->root, t->to->buf, 0); /* may an element be stored twice? */
        if (has_panels(t, n)) t->panel = (int)w;
        for (done = 0; done < n; np_dim_int(end, &done)) {
            if (twice && done && n - done < w && n >= w) end = np_dim_const(l->cx, n - w);
            while (w > n - done && w > NARROW && (done == 0 || !twice)) w /= 2;
            end = across_blocks(t, end, w < n - done || (twice && done) ? w : n - done);
        }
        return;
    }
    for (w = w < MIDDLE ? w : MIDDLE; w >= NARROW; w = w == NARROW ? 1 : NARROW)
        end = across_blocks(t, end, w);
    np_node *loop[NP_RANK]; /* one by one */
    int from = l->nvars;
    for (int k = 0; k < t->rank; k++) {
        int one = np_loops_axis(l, t->some, k, t->root->type->dim[k]);
        if (k == t->rank - 1) l->var[one].from = end;
        loop[k] = np_loops_open(l, one);
        t->at[k] = np_loops_axis_ix(l, t->some, k, one);
    }
    np_loops_put(l, t->to, np_loops_value(l, t->root, t->at), t->at);
    for (int k = t->rank - 1; k >= 0; k--) np_loops_close(l, loop[k]);
    l->nvars = from;
}

/* ---- along */
/* Halves of acc added to halves until `left` lanes are. */
static void halve(np_lower *l, np_op op, np_node *acc, int lanes, int left)
{
    for (int half = lanes / 2; half >= left; half /= 2) {
        np_node *loop, *i = lane_loop(l, half, &loop),
                       *j = np_build_2(l->b, NP_ADD, i, np_build_int(l->b, half));
        add(l, op, acc, i, np_build_load(l->b, acc, 1, &j));
        np_loops_close(l, loop);
    }
}
np_node *np_loops_fold(np_lower *l, np_op op, np_node *acc, int lanes)
{
    halve(l, op, acc, lanes, 2);
    np_node *at[2] = {np_build_int(l->b, 0), np_build_int(l->b, 1)};
    return np_build_2(l->b, op, np_build_load(l->b, acc, 1, &at[0]), np_build_load(l->b, acc, 1, &at[1]));
}
/* The terms from `from` on, in blocks of w lanes into acc; where they end. */
static const np_dim *along_lanes(tile *t, np_sum *s, np_node *acc, const np_dim *from, int64_t w)
{
    np_lower *l = t->l;
    int last = s->var[s->n - 1], kept = l->nvars;
    np_var *v = &l->var[last];
    const np_dim *width = np_dim_const(l->cx, w);
    const np_dim *end = np_dim_mul(l->cx, np_dim_floor(l->cx, v->n, w), width); /* from is a multiple of w */
    int b = np_loops_var(l, end), i = np_loops_var(l, width);
    l->var[b].from = from, l->var[b].step = width;
    v->hi = b, v->lo = i, v->p = np_dim_const(l->cx, 1);
    np_loops_sum_at(l, s, t->at);
    np_node *loop[2 * NP_RANK], *in;
    for (int k = 0; k < s->n; k++) loop[k] = np_loops_open(l, k == s->n - 1 ? b : s->var[k]);
    l->var[i].at = lane_loop(l, (int)w, &in);
    add(l, np_loops_sum_op(s->x), acc, l->var[i].at, np_loops_sum_term(l, s));
    np_loops_close(l, in);
    for (int k = s->n - 1; k >= 0; k--) np_loops_close(l, loop[k]);
    v->hi = v->lo = -1;
    l->nvars = kept;
    return end;
}
/* Wide blocks first, then narrow ones into the first lanes, then one by one. */
static np_node *sum_along(tile *t, np_sum *s)
{
    np_lower *l = t->l;
    int kept = l->nvars;
    np_loops_sum_vars(l, s->x, s);
    np_var *v = &l->var[s->var[s->n - 1]];
    int64_t n, w = l->k->lanes;
    bool fixed = np_dim_int(v->n, &n);
    np_op op = np_loops_sum_op(s->x);
    if (!fixed && w > WIDE) w = WIDE;
    while (fixed && w > n) w /= 2;
    np_node *r = np_loops_sum_start(l, s->x);
    const np_dim *end = np_dim_const(l->cx, 0);
    if (w >= NARROW) {
        np_node *acc = local(l, s->x, (int)w);
        fill(l, acc, (int)w, r);
        end = along_lanes(t, s, acc, end, w);
        if (end != v->n && w > NARROW) {
            halve(l, op, acc, (int)w, NARROW);
            end = along_lanes(t, s, acc, end, w = NARROW);
        }
        r = np_loops_fold(l, op, acc, (int)w);
    }
    if (end != v->n) {
        v->from = end;
        np_loops_sum_at(l, s, t->at);
        r = np_loops_sum_carry(l, s, r);
    }
    l->nvars = kept;
    return r;
}
static void along(tile *t)
{
    np_lower *l = t->l;
    np_node *loop[NP_RANK];
    np_done done[SUMS];
    for (int k = 0; k < t->rank; k++) {
        int v = np_loops_axis(l, t->some, k, t->root->type->dim[k]);
        loop[k] = np_loops_open(l, v);
        t->at[k] = np_loops_axis_ix(l, t->some, k, v);
    }
    for (int i = 0; i < t->nsums; i++) {
        np_sum s = {.x = t->sum[i].x};
        done[i] = (np_done){s.x, sum_along(t, &s)};
    }
    l->done = done, l->ndone = t->nsums;
    np_loops_put(l, t->to, np_loops_value(l, t->root, t->at), t->at);
    l->done = NULL, l->ndone = 0;
    for (int k = t->rank - 1; k >= 0; k--) np_loops_close(l, loop[k]);
}

bool np_loops_tile(np_lower *l, const np_node *root, const np_spot *to, const np_rows *rows)
{
    tile t = {.l = l, .root = root, .to = to, .some = rows, .rank = root->type->rank};
    bool *seen = np_arena_array(&l->mem, l->old->nnodes + 1, sizeof *seen);
    find(&t, root, seen);
    if (t.nsums == 0) return false;
    np_loops_begin_item(l);
    if (!choose_across(&t)) {
        along(&t);
        return true;
    }
    np_packed packed[SUMS * 2];
    int n = 0;
    for (int i = 0; i < t.nsums && t.npacks; i++)
        for (int o = 0; o < t.sum[i].x->nargs; o++)
            if (t.packs[i][o]) packed[n++] = np_loops_pack(l, t.sum[i].x, o);
    np_loops_begin_item(l);
    across(&t);
    while (n > 0) n--, *packed[n].slot = packed[n].was;
    return true;
}
