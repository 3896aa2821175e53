/* fuse: TENSOR to TENSOR. Takes whole-tensor ops; gives groups, each a unit
 * that is computed without touching memory except for what it yields. Keeps
 * the meaning of every result.
 *
 * The question is which nodes reach memory ("kept"); all others are computed
 * where they are used. Kept are scans, conds and appends, what is returned, and
 * elementwise nodes that would be computed many times over otherwise: beneath an
 * operand that a contraction reads again and again, for each index of an
 * expanded axis, or for several groups when that costs more than memory. An
 * output of a scan that is only wanted with its axes in another order is stored so. A
 * contraction or reduction is not kept if all that reads it is elementwise code
 * of one group, at the same index: that code is its epilogue. */
#include "fuse.h"
#include "fuse_peel.h"

#include <string.h>

const np_node np_fuse_many = {0};

typedef struct use { /* how a node is used, from all that use it */
    bool any;
    bool again; /* an element is wanted many times */
    bool moved; /* not only by elementwise code whose element has the same index */
} use;
typedef struct decide {
    np_fuse *u;
    use *use;
    int *uses; /* by id: how many operands mention it */
} decide;

/* ---- cost */
static int own_cost(const np_node *n)
{
    switch (n->op) {
    case NP_CONTRACT: return 1;
    case NP_PAD:
    case NP_CONCAT:
    case NP_GATHER: return 2;
    default: return np_op_cost(n->op);
    }
}
static bool always_kept(const np_node *n)
{
    return n->op == NP_SCAN || n->op == NP_COND || n->op == NP_APPEND || n->op == NP_GROUP;
}
static void add_cost(void *env, const np_node *n)
{
    np_fuse *u = env;
    int64_t c = own_cost(n);
    bool stored = always_kept(n) || np_is_sum(n);
    for (int i = 0; i < n->nargs && !stored; i++) c += u->cost[n->arg[i]->id];
    u->cost[n->id] = stored ? 0 : c > 1000 ? 1000 : (int)c;
}

/* Does the contraction n want an element of its operand x for several elements of its result? */
static bool repeats(const np_node *n, const np_node *x)
{
    if (n->op != NP_CONTRACT) return false;
    const char *comma = strchr(n->sym, ','), *out = strstr(n->sym, "->") + 2;
    for (int o = 0; o < 2; o++) {
        const char *from = o ? comma + 1 : n->sym, *end = o ? out - 2 : comma;
        for (int i = 0; n->arg[o] == x && out[i]; i++)
            if (!memchr(from, out[i], (size_t)(end - from)) && !np_dim_is(n->type->dim[i], 1)) return true;
    }
    return false;
}

/* Only moved from memory, padded or looked up on the way: as good to read as a copy of it, if it is read about once. */
static bool moves(const np_fuse *u, const np_node *x)
{
    while (!np_is_leaf(x) && !u->kept[x->id]) {
        if (x->op == NP_GATHER && !moves(u, x->arg[1])) return false;
        if (x->op == NP_GATHER && np_is_leaf(x->arg[0])) return true;
        bool one = x->nargs == 1 && !np_is_elem(x) && !np_is_sum(x) && !x->body[0];
        if (!one) return x->op == NP_PICK;
        x = x->arg[0];
    }
    return true;
}
/* The number of the running step: a parameter to which a scan feeds 0, 1, .. */
static bool is_step(const np_node *x)
{
    const np_node *scan = x->in->owner;
    for (int i = 0; scan && scan->op == NP_SCAN && i < (int)scan->attr[0]->k; i++)
        if (x->in->param[i] == x) return scan->arg[i]->op == NP_IOTA;
    return false;
}
/* Computed from positions alone, by a few operations. */
static bool of_positions(const np_fuse *u, const np_node *x)
{
    if (x->op == NP_PARAM) return is_step(x);
    if (np_is_leaf(x)) return x->op != NP_WEIGHT && !x->data;
    if (u->cost[x->id] > NP_FUSE_DEAR || np_is_sum(x) || x->body[0] || x->op == NP_GATHER) return false;
    for (int i = 0; i < x->nargs; i++)
        if (!of_positions(u, x->arg[i])) return false;
    return true;
}

/* ---- uses, from the last node to the first */
static void read_by(decide *d, const np_node *x, const np_node *n)
{
    np_fuse *u = d->u;
    use *to = &d->use[x->id], *of = &d->use[n->id];
    bool own = u->kept[n->id] || n->op == NP_YIELD || n->op == NP_RET;
    const np_node *group = own ? n : u->reader[n->id];
    bool fed = n->op == NP_SCAN && !moves(u, x);
    if (fed || x->in != n->in || n->op == NP_WINDOW || repeats(n, x)) to->again = true;
    to->moved |= !np_is_elem(n) || (!own && of->moved);
    if (n->op == NP_EXPAND && !np_dim_is(n->attr[1], 1)) to->again |= u->cost[x->id] >= 3;
    if (!own && of->again) to->again = true;
    u->reader[x->id] = !to->any || u->reader[x->id] == group ? group : &np_fuse_many;
    to->any = true;
}
static void result(decide *d, const np_node *x)
{
    d->use[x->id].any = true;
    d->u->reader[x->id] = &np_fuse_many;
    if (!np_is_leaf(x) && x->op != NP_PICK) d->u->kept[x->id] = true;
}
bool np_fuse_ends_sum(const int *uses, const np_node *n)
{
    for (int i = 0; i < n->nargs && np_is_elem(n); i++) {
        const np_node *x = n->arg[i];
        if (uses[x->id] == 1 && x->in == n->in && (np_is_sum(x) || np_fuse_ends_sum(uses, x))) return true;
    }
    return false;
}
bool np_fuse_is_output(const np_node *n)
{
    const np_node *scan = n->op == NP_PICK ? n->arg[0] : n;
    int i = n->op == NP_PICK ? (int)n->attr[0]->k : 0;
    return scan->op == NP_SCAN && scan->in == n->in && !n->type->tuple &&
           i < np_result_count(scan) - (scan->nargs - scan->attr[0]->k);
}
/* The output of a scan that is read only as n, in which its values are moved: its axes are in another order, or several of them
 * one, of which there is only the beginning. NULL: there is none. */
static const np_node *moved_output(const decide *d, const np_node *n, bool *merged)
{
    unsigned parts = 0; /* axes of n that are a part of one: of such a part there is all */
    for (*merged = false; !np_fuse_is_output(n); n = n->arg[0]) {
        int k = n->attr[0] ? (int)n->attr[0]->k : 0;
        unsigned now = 0;
        switch (n->op) {
        case NP_PERMUTE:
            for (int i = 0; i < n->type->rank; i++)
                if (parts >> i & 1) now |= 1u << np_peel_operand(n, 0, i);
            parts = now;
            break;
        case NP_MERGE:
            if (parts >> k & 1) return NULL;
            for (int i = 0; i < n->type->rank; i++)
                if (parts >> i & 1) now |= 1u << (i + (i > k));
            parts = now | 3u << k;
            *merged = true;
            break;
        case NP_SLICE:
            if (!np_dim_is(n->attr[1], 0) || parts >> k & 1) return NULL;
            break;
        default: return NULL;
        }
        if (d->uses[n->arg[0]->id] != 1 || n->arg[0]->in != n->in) return NULL;
    }
    const np_node *scan = n->op == NP_PICK ? n->arg[0] : n;
    return np_find_result_uses(d->u->f, scan, n->op == NP_PICK ? (int)n->attr[0]->k : 0) == 1 ? n : NULL;
}
static bool ends_as_before(const np_node *n)
{
    for (; !np_fuse_is_output(n); n = n->arg[0])
        if (n->op == NP_PERMUTE && np_peel_operand(n, 0, n->type->rank - 1) != n->type->rank - 1)
            return false;
    return true;
}
/* .. which the scan stores as n: where n is stored anyway, or else a part of a merged axis would have to be found at every read. */
static const np_node *stored_as(const decide *d, const np_node *n)
{
    bool merged;
    const np_node *y = np_fuse_is_output(n) ? NULL : moved_output(d, n, &merged);
    if (!y || d->u->as[y->id]) return NULL;
    return d->u->kept[n->id] || (merged && ends_as_before(n)) ? y : NULL;
}
static void decide_block(decide *d, const np_block *b)
{
    np_fuse *u = d->u;
    for (const np_node *n = b->last; n; n = n->prev) {
        bool end = n->op == NP_YIELD || n->op == NP_RET;
        if (!end && !d->use[n->id].any) continue;
        const np_node *output = end ? NULL : stored_as(d, n);
        if (always_kept(n))
            u->kept[n->id] = true;
        else if (output) {
            u->kept[n->id] = false;
            u->as[output->id] = n;
        } else if (np_is_sum(n)) {
            const use *by = &d->use[n->id];
            if (by->again || by->moved || u->reader[n->id] == &np_fuse_many) u->kept[n->id] = true;
        } else if (!np_is_leaf(n) && own_cost(n) > 0 && n->op != NP_PAD &&
                   !of_positions(u, n)) { /* what is padded is stored without that */
            bool many = u->reader[n->id] == &np_fuse_many;
            bool dear = u->cost[n->id] > NP_FUSE_DEAR || np_fuse_ends_sum(d->uses, n);
            if ((d->use[n->id].again && u->cost[n->id] > 0) || (many && dear)) u->kept[n->id] = true;
        }
        for (int i = 0; i < 2; i++)
            if (n->body[i]) decide_block(d, n->body[i]);
        for (int i = 0; i < n->nargs; i++) {
            if (end)
                result(d, n->arg[i]);
            else
                read_by(d, n->arg[i], n);
        }
    }
}

static void find_costs(np_fuse *u)
{
    u->cost = np_arena_array(&u->mem, u->f->nnodes + 1, sizeof *u->cost);
    np_fn_walk(u->f, add_cost, u);
}
static void decide_all(np_fuse *u)
{
    decide d = {u, np_arena_array(&u->mem, u->f->nnodes + 1, sizeof(use)), np_find_uses(u->f, &u->mem)};
    decide_block(&d, &u->f->top);
}

static bool replace(np_fuse *u, np_fn **was, np_fn *now)
{
    if (now) {
        np_fn_free(*was);
        u->f = *was = now;
    }
    return now != NULL;
}
/* What stands around scans, in its place. What goes into the body of a scan over blocks goes on into the scans inside. */
static np_fn *around_scans(np_fuse *u)
{
    np_fn *f = NULL;
    replace(u, &f, np_fuse_trim(u->f));
    int depth = replace(u, &f, np_fuse_rows(u->f)) ? NP_RANK : 1;
    find_costs(u);
    while (depth-- > 0 && replace(u, &f, np_fuse_sink(u))) find_costs(u);
    return f;
}

np_fn *np_fuse_run(const np_fn *f, const np_knobs *k)
{
    np_fuse u = {.cx = f->cx, .f = f};
    (void)k;
    np_fn *tidy = around_scans(&u);
    u.kept = np_arena_array(&u.mem, u.f->nnodes + 1, sizeof *u.kept);
    u.reader = np_arena_array(&u.mem, u.f->nnodes + 1, sizeof *u.reader);
    u.as = np_arena_array(&u.mem, u.f->nnodes + 1, sizeof *u.as);
    decide_all(&u);
    np_fuse_merge(&u);
    np_fn *now = np_fuse_build(&u);
    np_fn_free(tidy);
    np_arena_free(&u.mem);
    return now;
}
