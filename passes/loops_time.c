/* Scans whose steps run fast: what runs around time, and in which order a step
 * computes. Takes a scan whose body is elementwise operations and sums on its
 * states; other bodies, and those that multiply matrices, are left to loops_scan.c.
 *
 * Every value that comes from a state has its axes in *classes*: axes that must
 * have the same index wherever they meet. A class that every state has and over
 * which nothing is summed (batch, heads, columns of S[K,V], channels of h[D,N])
 * is a loop around time; one such class, if there is one, is a loop over blocks
 * of lanes. So what remains of a state is a small local array, loaded before the
 * first step and stored after the last one.
 *
 * A step is a number of *passes*. All sums that need no other sum of the step
 * are added up in the first pass, those that need only these in the second one,
 * and so on; a state is stored in the last pass that reads the old one. What
 * runs over the same classes in a pass is one nest of loops: linear attention
 * reads, decays, writes and stores its state in one; a delta rule takes two.
 *
 * Time is cut into blocks whose rows of inputs stay in cache while all tiles run
 * over them: a tile alone would read a narrow stripe through all of memory.
 *
 * States that know nothing of each other are parts, each with loops of its own.
 *
 * Sums, next states and outputs are the roots of a step; values that are kept for
 * the nests that use them are roots, too (loops_keep.c). */
#include "loops_time.h"

#include <string.h>

enum { TILE_BYTES = 32 * 1024, FEWEST = 16, PRODUCT = 4096, MANY = 256 };
enum {
    BLOCK_BYTES = 256 * 1024,
    BLOCK_STEPS = 256
}; /* of what is fed in a block of time; most steps of one */

/* ---- around time */
static bool has_class(const np_steps *s, const np_node *x, int c)
{
    for (int k = 0; k < x->type->rank; k++)
        if (np_steps_class(s, x, k) == c) return true;
    return false;
}
static int64_t count(const np_dim *d)
{
    int64_t n;
    return np_dim_int(d, &n) ? n : INT32_MAX;
}
/* Elements of the states for one index of what runs around time. */
static int64_t volume(const np_steps *s, const np_node *x)
{
    int64_t n = 1;
    for (int k = 0; k < x->type->rank && n < INT32_MAX; k++) {
        int c = np_steps_class(s, x, k);
        if (c >= 0 && !s->class[c].outside && c != s->lane) n *= count(x->type->dim[k]);
    }
    return n;
}
static const np_node *largest_state(const np_steps *s)
{
    const np_node *x = NULL;
    for (int i = 0; i < s->nstates; i++)
        if (np_steps_mine(s, i) && (!x || volume(s, np_steps_state(s, i)) > volume(s, x)))
            x = np_steps_state(s, i);
    return x;
}
/* Lanes: the last axis of the states if it runs around time or there is one step only; else the longest axis that does. */
static void choose_lane(np_steps *s, const np_node *big)
{
    for (int k = 0; k < big->type->rank; k++) {
        int c = np_steps_class(s, big, k);
        if (c >= 0) s->class[c].place = k, s->lane = c;
    }
    if (s->lane < 0 || s->once || s->class[s->lane].outside) return;
    int best = -1;
    for (int c = 0; c < s->nclasses; c++) {
        const np_class *k = &s->class[c];
        if (k->outside && count(k->n) < INT32_MAX && count(k->n) >= FEWEST / 2 &&
            (best < 0 || count(k->n) > count(s->class[best].n)))
            best = c;
    }
    if (best >= 0) s->lane = best;
}
static void choose_width(np_steps *s)
{
    int64_t bytes = 0;
    if (s->lane < 0) return;
    for (int i = 0; i < s->nstates; i++)
        if (np_steps_mine(s, i))
            bytes += volume(s, np_steps_state(s, i)) * np_dtype_size(np_steps_state(s, i)->type->dtype);
    s->width = s->l->k->lanes;
    while (s->width > FEWEST && s->width * bytes > TILE_BYTES) s->width /= 2;
    if (s->width > count(s->class[s->lane].n)) s->width = count(s->class[s->lane].n);
}
static uint64_t axes_of(const np_steps *s, const np_node *x)
{
    uint64_t set = 0;
    for (int k = 0; k < x->type->rank; k++) {
        int c = np_steps_class(s, x, k);
        if (c >= 0) set |= (uint64_t)1 << c;
    }
    return set;
}
/* All classes of the part. */
static uint64_t classes_of(const np_steps *s, const np_block *b)
{
    uint64_t set = 0;
    for (const np_node *n = b->first; n; n = n->next) {
        if (n->body[0]) set |= classes_of(s, n->body[0]);
        if (!np_steps_hot(s, n) || np_steps_part(s, n) != s->now) continue;
        set |= axes_of(s, n);
        char letter[NP_MAXLETTERS];
        for (int i = 0, m = np_is_sum(n) ? np_steps_letters(n, letter) : 0; i < m; i++) {
            int c = np_steps_letter(s, n, i);
            if (c >= 0) set |= (uint64_t)1 << c;
        }
    }
    return set;
}
static bool choose_outside(np_steps *s)
{
    int64_t n;
    uint64_t mine = classes_of(s, s->body);
    for (int i = 0; i < s->nstates; i++)
        if (np_steps_mine(s, i)) mine |= axes_of(s, np_steps_state(s, i));
    for (int c = 0; c < s->nclasses; c++) {
        np_class *k = &s->class[c];
        k->outside = !k->summed && (mine >> c & 1);
        for (int i = 0; i < s->nstates; i++)
            k->outside &= !np_steps_mine(s, i) || has_class(s, np_steps_state(s, i), c);
        for (int i = 0; i < s->nouts;
             i++) { /* what comes from no state may lack it, and is wanted even if n is 0 */
            const np_node *y = np_steps_yielded(s, i);
            k->outside &= np_steps_part(s, y) != s->now || has_class(s, y, c);
        }
        if ((mine >> c & 1) && !k->outside && !np_dim_int(k->n, &n)) return false;
    }
    const np_node *big = largest_state(s);
    choose_lane(s, big);
    if (s->lane >= 0 && !np_dim_int(s->class[s->lane].n, &n)) return false;
    choose_width(s);
    return true;
}

/* ---- products of matrices: they run better as tiles of their own (loops_tile.c) than inside a step */
/* Does operand o of a contraction have an axis of the result that the other one lacks? */
static bool has_own(const np_node *x, int o)
{
    const char *comma = strchr(x->sym, ','), *out = strstr(x->sym, "->") + 2;
    const char *mine = o ? comma + 1 : x->sym, *other = o ? x->sym : comma + 1;
    for (int k = 0; k < x->arg[o]->type->rank; k++)
        if (!np_dim_is(x->arg[o]->type->dim[k], 1) && strchr(out, mine[k]) &&
            !memchr(other, mine[k], (size_t)x->arg[1 - o]->type->rank))
            return true;
    return false;
}
static bool is_product(const np_steps *s, const np_node *x)
{
    if (!np_is_sum(x)) return false;
    if (x->op == NP_CONTRACT) return has_own(x, 0) && has_own(x, 1);
    const np_node *y =
        np_steps_operand(s, x, 0); /* products under a mask are written as sums over three axes */
    int64_t n = 1;
    int axes = 0;
    for (int k = 0; k < y->type->rank; k++) {
        int64_t d = count(y->type->dim[k]);
        axes += d > 1;
        n *= d < PRODUCT ? d : PRODUCT;
    }
    return axes >= 3 && n >= PRODUCT && !np_steps_hot(s, y);
}
static bool has_product(const np_steps *s, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next)
        if (is_product(s, n) || (n->body[0] && has_product(s, n->body[0]))) return true;
    return false;
}

/* ---- roots */
static np_root *add_root(np_steps *s, np_rootkind kind, const np_node *x, int pass)
{
    np_root *r = &s->root[s->nroots++];
    *r = (np_root){.kind = kind, .x = x, .pass = pass};
    for (int k = 0; k < x->type->rank; k++) {
        int c = r->axis[k] = np_steps_hot(s, x) ? np_steps_class(s, x, k) : -1;
        if (c >= 0) r->set |= (uint64_t)1 << c;
    }
    return r;
}
uint64_t np_steps_outside(const np_steps *s)
{
    uint64_t set = 0;
    for (int c = 0; c < s->nclasses; c++)
        if (s->class[c].outside && c != s->lane) set |= (uint64_t)1 << c;
    return set;
}
static bool add_sums(np_steps *s, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        if (n->body[0] && !add_sums(s, n->body[0])) return false;
        if (!np_steps_hot(s, n) || !np_is_sum(n) || np_steps_part(s, n) != s->now) continue;
        if (s->nroots == NP_MAXROOTS) return false;
        np_root *r = add_root(s, NP_ROOT_SUM, n, s->level[n->id] - 1);
        char letter[NP_MAXLETTERS];
        for (int i = 0, m = np_steps_letters(n, letter); i < m; i++) {
            int c = np_steps_letter(s, n, i);
            if (c >= 0 && !(r->set >> c & 1)) r->sum |= (uint64_t)1 << c;
        }
        r->set |= r->sum;
    }
    return true;
}
static bool find_roots(np_steps *s)
{
    if (!add_sums(s, s->body)) return false;
    for (int i = 0; i < s->nouts + s->nstates; i++) {
        const np_node *y = np_steps_yielded(s, i);
        bool keeps = i >= s->nouts && y == np_steps_state(s, i - s->nouts);
        if (s->nroots == NP_MAXROOTS) return false;
        if (keeps || np_steps_part(s, y) != s->now) continue;
        np_root *r = add_root(s, i < s->nouts ? NP_ROOT_OUT : NP_ROOT_STATE, y, s->level[y->id]);
        r->which = i < s->nouts ? i : i - s->nouts;
        const np_row *row = i < s->nouts ? NULL : &s->row[r->which];
        if (row && row->class >= 0 && row->class != s->lane && row->alone)
            r->set &= ~((uint64_t)1 << row->class), r->alone = row->class + 1;
    }
    uint64_t outside = np_steps_outside(s);
    for (int i = 0; i < s->nroots; i++) s->root[i].set &= ~outside, s->root[i].sum &= ~outside;
    return true;
}

/* ---- passes */
/* The latest pass that reads the old value of state i, as far as x computes it in pass p: it moves there. */
static bool read_late(np_steps *s, const np_node *x, const np_root *r, bool top)
{
    bool moved = false;
    if (!np_steps_hot(s, x) || (np_is_sum(x) && !(top && r->kind == NP_ROOT_SUM))) return false;
    for (int i = 0; i < s->nroots && !top; i++)
        if (s->root[i].kind == NP_ROOT_TEMP && s->root[i].x == x) return false;
    for (int i = 0; i < s->nstates && !top; i++) /* it can be loaded when it was stored */
        if (np_steps_yielded(s, s->nouts + i) == x && x->op != NP_PARAM && r->pass > s->store[i])
            return false;
    if (x->op == NP_PARAM) {
        for (int i = 0; i < s->nstates; i++) {
            if (np_steps_state(s, i) != x) continue;
            int need = r->pass;
            for (int j = 0; j < s->nroots; j++) { /* another nest of the pass: the state is stored after it */
                const np_root *q = &s->root[j];
                if (q->kind == NP_ROOT_STATE && q->which == i && q->set != r->set) need = r->pass + 1;
            }
            if (need > s->store[i]) s->store[i] = need, moved = true;
        }
        return moved;
    }
    for (int i = 0; i < x->nargs && np_steps_inside(s, x); i++)
        moved |= read_late(s, np_steps_operand(s, x, i), r, false);
    return moved;
}
static void find_passes(np_steps *s)
{
    for (int i = 0; i < s->nstates; i++) s->store[i] = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < s->nroots; i++) {
            np_root *r = &s->root[i];
            if (r->kind == NP_ROOT_STATE) {
                if (r->pass > s->store[r->which]) s->store[r->which] = r->pass, moved = true;
                r->pass = s->store[r->which];
            }
            moved |= read_late(s, r->x, r, true);
            if (r->pass >= s->npasses) s->npasses = r->pass + 1;
        }
    }
    for (int i = 0; i < s->nroots; i++)
        if (s->root[i].pass >= s->npasses) s->npasses = s->root[i].pass + 1;
}

/* ---- the code */
/* Is the tile all of a state that no registers hold, its lanes side by side? Then it needs no array of its own. */
static bool stays_home(const np_steps *s, const np_node *x, const int *axis)
{
    int64_t n = 1;
    bool behind = false; /* an axis with more than one element, behind that of the lanes */
    for (int k = x->type->rank - 1; k >= 0; k--) {
        const np_class *c = axis[k] < 0 ? NULL : &s->class[axis[k]];
        if (c && c->outside && (axis[k] != s->lane || s->width < count(c->n))) return false;
        if (c && axis[k] == s->lane && behind) return false;
        behind |= !np_dim_is(x->type->dim[k], 1);
        if (n <= MANY) n *= count(x->type->dim[k]);
    }
    return n > MANY;
}
/* Where state i lies while time runs: in place for one step, else in an array of the tile. */
static void load_state(np_steps *s, int i)
{
    const np_node *init = s->scan->arg[s->seq + i], *x = np_steps_state(s, i);
    np_spot *home = np_loops_slot(s->l, s->scan, s->nouts + i);
    const np_spot *from = s->steps ? home : np_loops_find(s->l, init);
    int axis[NP_RANK];
    for (int k = 0; k < x->type->rank; k++) axis[k] = np_steps_class(s, x, k);
    s->state[i] = *home;
    if (!s->once && !stays_home(s, x, axis)) s->state[i] = np_steps_local(s, x, axis, x->name);
    if (from && (s->once || np_loops_same_spot(from, &s->state[i])))
        *np_loops_slot(s->l, x, 0) = *from;
    else {
        np_steps_copy(s, s->steps ? x : init, axis, s->steps ? home : NULL, &s->state[i]);
        *np_loops_slot(s->l, x, 0) = s->state[i];
    }
}
static void store_state(np_steps *s, int i)
{
    const np_node *x = np_steps_state(s, i);
    int axis[NP_RANK];
    for (int k = 0; k < x->type->rank; k++) axis[k] = np_steps_class(s, x, k);
    bool keeps = np_steps_yielded(s, s->nouts + i) == x;
    const np_spot *now = keeps ? np_loops_slot(s->l, x, 0) : &s->state[i],
                  *home = np_loops_slot(s->l, s->scan, s->nouts + i);
    if (!np_loops_same_spot(now, home)) np_steps_copy(s, x, axis, now, home);
}
np_node *np_steps_time(const np_steps *s, np_node *r)
{
    np_lower *l = s->l;
    const np_dim *n = s->scan->attr[1];
    if (s->steps) r = np_loops_op2(l, NP_ADD, s->first, r);
    if (s->once || !np_dim_is(s->scan->attr[2], 1)) return r;
    return np_loops_op2(l, NP_SUB, np_loops_dim(l, np_dim_sub(l->cx, n, np_dim_const(l->cx, 1))), r);
}
np_node *np_steps_open_until(const np_steps *s, np_node *loop)
{
    np_lower *l = s->l;
    return np_loops_open_until(l, loop, np_loops_op2(l, NP_SUB, np_loops_dim(l, s->scan->attr[1]), s->first));
}
/* All steps for the running indices of what is outside. */
static void tile(np_steps *s)
{
    np_lower *l = s->l;
    np_node *loop = NULL, *until = NULL;
    const np_node *scan = s->scan;
    for (int i = 0; i < s->nroots; i++) s->root[i].was = l->slot[s->root[i].x->id];
    for (int i = 0; i < s->nstates; i++)
        if (np_steps_mine(s, i)) load_state(s, i);
    if (!s->once) np_steps_pass(s, -1);
    np_loops_begin_item(l);
    np_node *r = np_loops_int(l, 0);
    if (!s->once) {
        int v = np_loops_var(l, s->steps ? np_dim_const(l->cx, s->steps) : scan->attr[1]);
        loop = np_loops_open(l, v);
        r = l->var[v].at;
        if (s->steps) until = np_steps_open_until(s, loop);
    }
    np_node *t = np_steps_time(s, r);
    np_steps_early_open(s, r);
    l->time[scan->id] = t;
    for (int i = 0; i < s->nouts; i++) s->out[i] = np_loops_row(l, np_loops_slot(l, scan, i), t);
    for (int p = 0; p < s->npasses; p++) np_steps_pass(s, p);
    if (s->steps) np_loops_ahead(l, scan, t, s->steps);
    if (until) np_loops_close_until(l, until);
    if (loop) np_loops_close(l, loop);
    for (int i = 0; i < s->nstates; i++)
        if (np_steps_mine(s, i)) store_state(s, i);
    for (int i = 0; i < s->nstates; i++) *np_loops_slot(l, np_steps_state(s, i), 0) = (np_spot){0};
    for (int i = s->nroots - 1; i >= 0; i--) l->slot[s->root[i].x->id] = s->root[i].was;
    np_steps_early_close(s);
}
/* Loops over classes c.. that are outside, then over blocks of lanes. */
static void around(np_steps *s, int c)
{
    np_lower *l = s->l;
    while (c < s->nclasses && (!s->class[c].outside || c == s->lane)) c++;
    if (c < s->nclasses) {
        np_loops_begin_item(l);
        int v = np_loops_var(l, s->class[c].n);
        np_node *loop = np_loops_open(l, v);
        s->class[c].ix = np_loops_ix_node(l, l->var[v].at, 0);
        around(s, c + 1);
        np_loops_close(l, loop);
        return;
    }
    np_class *lane = s->lane >= 0 && s->class[s->lane].outside ? &s->class[s->lane] : NULL;
    int64_t n = lane ? count(lane->n) : 0, w = s->width;
    if (!lane || n == w) {
        if (lane) lane->ix = NULL;
        tile(s);
        return;
    }
    np_loops_begin_item(l);
    int v = np_loops_var(l, np_dim_const(l->cx, n / w * w));
    l->var[v].step = np_dim_const(l->cx, w);
    np_node *loop = np_loops_open(l, v);
    lane->ix = np_loops_ix_node(l, l->var[v].at, 0);
    tile(s);
    np_loops_close(l, loop);
    if (n % w == 0) return;
    s->width = n % w;
    lane->ix = np_loops_ix_node(l, np_loops_int(l, n / w * w), 0);
    tile(s);
    s->width = w;
}

/* Steps of a block of time, so that what is fed to them stays in the second-level cache; 0: no need. */
static int64_t block_steps(const np_steps *s)
{
    int64_t bytes = np_steps_early_bytes(s), lo, hi, n = BLOCK_STEPS;
    bool loops = false;
    for (int c = 0; c < s->nclasses; c++)
        loops |= s->class[c].outside && s->class[c].n != np_dim_const(s->l->cx, 1);
    for (int i = 0; i < s->seq; i++) {
        int64_t row = np_dtype_size(s->scan->arg[i]->type->dtype);
        for (int k = 1; k < s->scan->arg[i]->type->rank && row < BLOCK_BYTES; k++)
            row *= count(s->scan->arg[i]->type->dim[k]);
        bytes += row < BLOCK_BYTES ? row : BLOCK_BYTES;
    }
    while (n > FEWEST && n * bytes > BLOCK_BYTES) n /= 2;
    np_dim_range(s->scan->attr[1], &lo, &hi);
    return s->once || !loops || hi <= n ? 0 : n;
}
static void blocks(np_steps *s)
{
    np_lower *l = s->l;
    for (int i = 0; i < s->nstates; i++) { /* from block to block states lie where the scan leaves them */
        const np_spot *home = np_loops_slot(l, s->scan, s->nouts + i),
                      *from = np_loops_find(l, s->scan->arg[s->seq + i]);
        if (np_steps_mine(s, i) && !(from && np_loops_same_spot(from, home)))
            np_loops_item(l, s->scan->arg[s->seq + i], home);
    }
    np_loops_begin_item(l);
    int v = np_loops_var(l, s->scan->attr[1]);
    l->var[v].step = np_dim_const(l->cx, s->steps);
    np_node *loop = np_loops_open(l, v);
    s->first = l->var[v].at;
    np_steps_early_compute(s);
    around(s, 0);
    np_loops_close(l, loop);
}

/* One step that adds up short rows of a state: the fold of a few lanes costs more than another look at the row, and
 * compilers fold many rows at once in a loop of its own. */
static bool sums_few_lanes(const np_steps *s)
{
    if (!s->once || s->lane < 0 || count(s->class[s->lane].n) > 2 * FEWEST) return false;
    for (int i = 0; i < s->nroots; i++)
        if (s->root[i].sum >> s->lane & 1) return true;
    return false;
}
/* What the part needs, before any of its code is written. */
static bool prepare(np_steps *s)
{
    np_arena *mem = &s->l->mem;
    s->store = np_arena_array(mem, (size_t)s->nstates, sizeof *s->store);
    s->row = np_arena_array(mem, (size_t)s->nstates, sizeof *s->row);
    if (!choose_outside(s)) return false;
    np_steps_rows(s);
    if (!find_roots(s)) return false;
    if (sums_few_lanes(s)) return false;
    np_steps_keep(s);
    find_passes(s);
    return true;
}
bool np_loops_time(np_lower *l, const np_node *scan)
{
    np_steps s = {
        .l = l, .scan = scan, .body = scan->body[0], .seq = (int)scan->attr[0]->k, .lane = -1, .width = 1};
    s.nstates = scan->nargs - s.seq;
    s.nouts = s.body->last->nargs - s.nstates;
    s.once = np_dim_is(scan->attr[1], 1);
    if (s.nstates == 0) return false;
    uint32_t n = l->old->nnodes + 1;
    s.mark = np_arena_array(&l->mem, n, sizeof *s.mark);
    s.timed = np_arena_array(&l->mem, n, sizeof *s.timed);
    s.yields = np_arena_array(&l->mem, n, sizeof *s.yields);
    s.spread = np_arena_array(&l->mem, n, sizeof *s.spread);
    s.level = np_arena_array(&l->mem, n, sizeof *s.level);
    s.state = np_arena_array(&l->mem, (size_t)s.nstates, sizeof *s.state);
    s.out = np_arena_array(&l->mem, (size_t)s.nouts + 1, sizeof *s.out);
    if (!np_steps_classes(&s) || has_product(&s, s.body)) return false;
    np_steps *part = np_arena_array(&l->mem, (size_t)s.nstates, sizeof *part);
    int nparts = 0;
    for (int i = 0; i < s.nstates; i++) {
        s.now = np_steps_part(&s, np_steps_state(&s, i));
        bool known = false;
        for (int k = 0; k < nparts; k++) known |= part[k].now == s.now;
        if (known) continue;
        part[nparts] = s;
        if (!prepare(&part[nparts++])) return false;
    }
    for (int k = 0; k < nparts; k++) {
        int64_t lo, most = 1;
        if (!s.once) np_dim_range(scan->attr[1], &lo, &most);
        part[k].steps = block_steps(&part[k]);
        part[k].rows = part[k].steps ? part[k].steps : most;
        if (part[k].steps)
            blocks(&part[k]);
        else {
            np_steps_early_compute(&part[k]);
            around(&part[k], 0);
        }
    }
    return true;
}
