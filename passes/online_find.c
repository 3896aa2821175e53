/* online, first part: what stands around a contraction that sums over keys.
 *
 * From the weights (one operand of the contraction) the values they are made of
 * are followed downwards, each axis with the number that it has in the weights:
 * elementwise code, expand and permute are computed for each block; contractions
 * that have keys are the scores; whatever else is met is a leaf, which lies in
 * memory. exp(s - m) with m from the largest s is an EXP: the weights may be
 * anything linear in it. Then upwards: every other sum over the same keys joins
 * (the sum of the weights, the maximum), and nothing else may want the values in
 * between, for they are never stored. */
#include "online.h"

#include <string.h>

enum { BUDGET = 64, INNER = 32 };
typedef struct finder {
    np_region *r;
    const int *uses;
    int ninner;
    struct { /* nodes that are not parts but belong: s - m, and where factors were taken out */
        const np_node *n;
        int id[NP_RANK];
    } inner[INNER];
} finder;

int np_online_axis(const np_part *p, int id)
{
    for (int k = 0; k < p->n->type->rank; k++)
        if (p->id[k] == id) return k;
    return -1;
}
static int fail(np_region *r, const np_node *why, const char *reason)
{
    if (!r->reason) r->why = why, r->reason = reason;
    return -1;
}
static bool belongs(finder *f, const np_node *x, const int *id)
{
    if (f->ninner == INNER) return fail(f->r, x, "has too much before it") >= 0;
    f->inner[f->ninner].n = x;
    memcpy(f->inner[f->ninner++].id, id, (size_t)x->type->rank * sizeof *id);
    return true;
}
static bool has(const np_node *x, const int *id, int axis)
{
    for (int k = 0; k < x->type->rank; k++)
        if (id[k] == axis) return true;
    return false;
}
static bool is_float(const np_node *x)
{
    return np_dtype_class(x->type->dtype) == 'F';
}
static bool is_num(const np_node *x, double v)
{
    return x->op == NP_CONST && !x->data && x->num == v;
}

/* ---- axes on the way down */
static void ids_of_expand(const np_node *x, const int *id, int *to)
{
    int k = (int)x->attr[0]->k;
    for (int i = 0, n = 0; i < x->type->rank; i++)
        if (i != k) to[n++] = id[i];
}
static void ids_of_permute(const np_node *x, const int *id, int *to)
{
    const char *in = x->sym, *out = strstr(in, "->") + 2;
    for (int i = 0; out[i]; i++) to[strchr(in, out[i]) - in] = id[i];
}
/* x without what only repeats it for every key: a value that is the same for all keys, or NULL. */
static const np_node *without_keys(const np_region *r, const np_node *x, const int *id, int *to)
{
    int now[NP_RANK];
    memcpy(to, id, sizeof now);
    while (has(x, to, r->keys)) {
        memcpy(now, to, sizeof now);
        if (x->op == NP_EXPAND)
            ids_of_expand(x, now, to);
        else if (x->op == NP_PERMUTE)
            ids_of_permute(x, now, to);
        else
            return NULL;
        x = x->arg[0];
    }
    return x;
}
/* Is m made from the largest of s? */
static bool from_max(const np_node *m, const np_node *s, int *budget)
{
    if (--*budget < 0) return false;
    if (m->op == NP_REDUCE) return m->arg[0] == s && strcmp(m->sym, "max") == 0;
    if (!np_is_elem(m) && m->op != NP_EXPAND && m->op != NP_PERMUTE) return false;
    for (int i = 0; i < m->nargs; i++)
        if (from_max(m->arg[i], s, budget)) return true;
    return false;
}

/* ---- downwards */
static int add(finder *f, np_partkind kind, const np_node *x, const int *id)
{
    np_region *r = f->r;
    if (r->nparts == NP_ONLINE_PARTS) return fail(r, x, "has too much before it");
    np_part *p = &r->part[r->nparts];
    *p = (np_part){.kind = kind, .n = x};
    memcpy(p->id, id, sizeof p->id);
    return r->nparts++;
}
static int explore(finder *f, const np_node *x, const int *id);

static int exponential(finder *f, const np_node *x, const int *id)
{
    np_region *r = f->r;
    const np_node *s = x->arg[0]->arg[0];
    int top_id[NP_RANK], a = explore(f, s, id);
    const np_node *top = without_keys(r, x->arg[0]->arg[1], id, top_id);
    if (a < 0) return -1;
    if (r->exp >= 0) return fail(r, x, "is a second exponential of scores");
    int p = add(f, NP_PART_EXP, x, id);
    if (p < 0) return -1;
    r->part[p].arg[0] = a;
    r->part[p].scored = r->part[p].bulk = true;
    r->exp = p;
    r->top = top;
    memcpy(r->top_id, top_id, sizeof top_id);
    return belongs(f, x->arg[0], id) ? p : -1;
}
static bool is_exponential(const finder *f, const np_node *x, const int *id)
{
    int to[NP_RANK], budget = BUDGET;
    if (x->op != NP_EXP || x->arg[0]->op != NP_SUB || !has(x, id, f->r->keys)) return false;
    const np_node *s = x->arg[0]->arg[0], *m = without_keys(f->r, x->arg[0]->arg[1], id, to);
    return m && from_max(m, s, &budget);
}
/* May an elementwise op have weights as operands? Only if it is linear in them. */
static bool linear(const np_region *r, const np_node *x, const int *arg)
{
    int n = 0, at = 0;
    for (int i = 0; i < x->nargs; i++)
        if (r->part[arg[i]].bulk) n++, at = i;
    if (n != 1) return n == 0;
    switch (x->op) {
    case NP_NEG: return true;
    case NP_CAST: return is_float(x);
    case NP_MUL: return true;
    case NP_DIV: return at == 0;
    case NP_SELECT: return at > 0 && is_num(x->arg[3 - at], 0);
    default: return false;
    }
}
static int elementwise(finder *f, const np_node *x, const int *id)
{
    np_region *r = f->r;
    int arg[3];
    bool scored = false, bulk = false;
    if (is_exponential(f, x, id)) return exponential(f, x, id);
    for (int i = 0; i < x->nargs; i++) {
        arg[i] = explore(f, x->arg[i], id);
        if (arg[i] < 0) return -1;
        scored |= r->part[arg[i]].scored, bulk |= r->part[arg[i]].bulk;
    }
    if (!linear(r, x, arg)) return fail(r, x, "is not linear in the exponentials of scores");
    int p = add(f, NP_PART_NODE, x, id);
    if (p < 0) return -1;
    memcpy(r->part[p].arg, arg, sizeof arg);
    r->part[p].scored = scored, r->part[p].bulk = bulk;
    return p;
}
static int score(finder *f, const np_node *x, const int *id)
{
    const char *comma = strchr(x->sym, ','), *out = strstr(x->sym, "->") + 2;
    int arg[2];
    for (int o = 0; o < 2; o++) {
        const char *s = o ? comma + 1 : x->sym;
        int to[NP_RANK];
        for (int k = 0; k < x->arg[o]->type->rank; k++) {
            const char *at = strchr(out, s[k]);
            to[k] = at ? id[at - out] : NP_ONLINE_ALONE;
        }
        arg[o] = add(f, NP_PART_LEAF, x->arg[o], to);
        if (arg[o] < 0) return -1;
    }
    int p = add(f, NP_PART_SCORE, x, id);
    if (p < 0) return -1;
    memcpy(f->r->part[p].arg, arg, sizeof arg);
    f->r->part[p].scored = true;
    return p;
}
static int explore(finder *f, const np_node *x, const int *id)
{
    np_region *r = f->r;
    int to[NP_RANK], rank = x->type->rank;
    for (int i = 0; i < r->nparts; i++)
        if (r->part[i].n == x && memcmp(r->part[i].id, id, (size_t)rank * sizeof *id) == 0) return i;
    bool outside = (is_float(x) && !has(x, id, r->keys) && rank > 0) || x->in != &r->f->top;
    if (!outside && np_is_elem(x)) return elementwise(f, x, id);
    if (!outside && x->op == NP_CONST && !x->data) return add(f, NP_PART_NODE, x, id);
    if (!outside && (x->op == NP_EXPAND || x->op == NP_PERMUTE)) {
        (x->op == NP_EXPAND ? ids_of_expand : ids_of_permute)(x, id, to);
        int a = explore(f, x->arg[0], to), p = a < 0 ? -1 : add(f, NP_PART_NODE, x, id);
        if (p < 0) return -1;
        r->part[p].arg[0] = a;
        r->part[p].scored = r->part[a].scored, r->part[p].bulk = r->part[a].bulk;
        return p;
    }
    if (!outside && is_float(x) && x->op == NP_CONTRACT) return score(f, x, id);
    return add(f, NP_PART_LEAF, x, id);
}

/* ---- sums over the keys */
static bool known(const finder *f, const np_node *n)
{
    for (int i = 0; i < f->r->nparts; i++)
        if (f->r->part[i].n == n && f->r->part[i].kind != NP_PART_LEAF) return true;
    for (int i = 0; i < f->r->nroots; i++)
        if (f->r->root[i].n == n) return true;
    for (int i = 0; i < f->ninner; i++)
        if (f->inner[i].n == n) return true;
    return false;
}
/* What is the same for all keys goes out of the sum; the rest is explored. */
static int weights(finder *f, const np_node *x, const int *id, np_root *root)
{
    np_region *r = f->r;
    for (bool more = true; more && (x->op == NP_MUL || x->op == NP_DIV);) {
        more = false;
        for (int o = 1; o >= 0 && !more && root->nfactors < (int)NP_LEN(root->factor); o--) {
            np_factor *at = &root->factor[root->nfactors];
            const np_node *y = x->op == NP_DIV && o == 0 ? NULL : without_keys(r, x->arg[o], id, at->id);
            if (!y || y->op == NP_CONST) continue;
            at->op = x->op, at->n = y;
            root->nfactors++;
            if (!known(f, x) && !belongs(f, x, id)) return -1;
            x = x->arg[1 - o];
            more = true;
        }
    }
    return explore(f, x, id);
}
/* The numbers of the other operand's axes. False: more than the keys is summed. */
static bool ids_of_other(const np_region *r, const np_node *x, int side, const int *id, int *to)
{
    const char *comma = strchr(x->sym, ','), *out = strstr(x->sym, "->") + 2;
    const char *mine = side ? comma + 1 : x->sym, *its = side ? x->sym : comma + 1;
    int n = x->arg[side]->type->rank, m = x->arg[!side]->type->rank;
    for (int k = 0; k < n; k++)
        if ((strchr(out, mine[k]) == NULL) != (id[k] == r->keys)) return false;
    for (int k = 0; k < m; k++) {
        const char *at = memchr(mine, its[k], (size_t)n);
        to[k] = at ? id[at - mine] : NP_ONLINE_ALONE;
        if (!at && !strchr(out, its[k])) return false;
    }
    return has(x->arg[!side], to, r->keys);
}
static bool add_root(finder *f, const np_node *n, int side, const int *id)
{
    np_region *r = f->r;
    np_root root = {.n = n, .side = side, .other = -1};
    int to[NP_RANK];
    if (r->nroots == NP_ONLINE_ROOTS) return fail(r, n, "is one sum too many") >= 0;
    if (n->op == NP_CONTRACT && !ids_of_other(r, n, side, id, to))
        return fail(r, n, "sums over more than the keys") >= 0;
    if (n->op == NP_CONTRACT && (root.other = add(f, NP_PART_LEAF, n->arg[!side], to)) < 0) return false;
    bool largest = n->op == NP_REDUCE && strcmp(n->sym, "max") == 0;
    root.part = largest ? explore(f, n->arg[0], id) : weights(f, n->arg[side], id, &root);
    if (root.part < 0) return false;
    if (largest && r->part[root.part].bulk) return fail(r, n, "is the largest of exponentials") >= 0;
    r->root[r->nroots++] = root;
    return true;
}
static bool is_root(const np_region *r, const np_node *n, const int *id)
{
    if (n->op == NP_CONTRACT) return true;
    return n->op == NP_REDUCE && id[n->attr[0]->k] == r->keys && strcmp(n->sym, "min") != 0 && is_float(n);
}
/* Whoever reads a value of the region joins it. */
static bool join(finder *f, const np_node *x, const int *id)
{
    np_region *r = f->r;
    int n = 0, mine[NP_RANK];
    memcpy(mine, id, sizeof mine); /* parts move no more, but their array is written */
    for (const np_node *u = x->next; u; u = u->next)
        for (int i = 0; i < u->nargs; i++) {
            if (u->arg[i] != x) continue;
            n++;
            if (known(f, u)) continue;
            if (is_root(r, u, mine)) {
                if (!add_root(f, u, i, mine)) return false;
            } else if (!np_is_elem(u) || explore(f, u, mine) < 0) {
                return fail(r, u, "wants all scores at once") >= 0;
            }
        }
    return n == f->uses[x->id] || fail(r, x, "is wanted elsewhere") >= 0;
}
static bool join_all(finder *f)
{
    np_region *r = f->r;
    for (int i = 0; i < r->nparts; i++)
        if (r->part[i].scored && has(r->part[i].n, r->part[i].id, r->keys) &&
            !join(f, r->part[i].n, r->part[i].id))
            return false;
    for (int i = 0; i < f->ninner; i++)
        if (!join(f, f->inner[i].n, f->inner[i].id)) return false;
    return true;
}

/* ---- conditions on the whole */
static bool captures(const np_node *n, const bool *mark)
{
    for (int i = 0; i < n->nargs; i++)
        if (mark[n->arg[i]->id]) return true;
    for (int i = 0; i < 2; i++)
        for (const np_node *m = n->body[i] ? n->body[i]->first : NULL; m; m = m->next)
            if (captures(m, mark)) return true;
    return false;
}
/* No leaf may depend on scores. */
static bool leaves_first(np_region *r)
{
    np_arena mem = {0};
    bool *late = np_arena_array(&mem, r->f->nnodes + 1, sizeof *late), ok = true;
    for (int i = 0; i < r->nparts; i++)
        if (r->part[i].kind == NP_PART_SCORE) late[r->part[i].n->id] = true;
    for (const np_node *n = r->f->top.first; n; n = n->next)
        if (!late[n->id]) late[n->id] = captures(n, late);
    for (int i = 0; i < r->nparts && ok; i++)
        if (r->part[i].kind == NP_PART_LEAF && late[r->part[i].n->id])
            ok = fail(r, r->part[i].n, "depends on all scores") >= 0;
    np_arena_free(&mem);
    return ok;
}
/* Is it computed from what is given to the function, and not stored with it? */
static bool varies(const np_node *x, int *budget)
{
    if (--*budget < 0 || x->op == NP_PARAM || x->body[0]) return true;
    for (int i = 0; i < x->nargs; i++)
        if (varies(x->arg[i], budget)) return true;
    return false;
}
static bool leaf_varies(const np_region *r, int part)
{
    int budget = BUDGET;
    return varies(r->part[part].n, &budget);
}
static bool attends(const np_region *r)
{
    bool any = false, values = true;
    for (int i = 0; i < r->nparts; i++)
        if (r->part[i].kind == NP_PART_SCORE)
            any |= leaf_varies(r, r->part[i].arg[0]) && leaf_varies(r, r->part[i].arg[1]);
    for (int i = 0; i < r->nroots; i++)
        if (r->root[i].other >= 0) values &= leaf_varies(r, r->root[i].other);
    return any && values;
}
/* Axes that every operand of every contraction has. */
static void find_batch(np_region *r)
{
    for (int id = 0; id < r->rank; id++) r->batch[id] = id != r->keys && !np_dim_is(r->dim[id], 1);
    for (int id = 0; id < r->rank; id++) {
        for (int i = 0; i < r->nparts; i++)
            for (int o = 0; o < 2 && r->part[i].kind == NP_PART_SCORE; o++)
                r->batch[id] &= np_online_axis(&r->part[r->part[i].arg[o]], id) >= 0;
        for (int i = 0; i < r->nroots; i++)
            if (r->root[i].other >= 0) r->batch[id] &= np_online_axis(&r->part[r->root[i].other], id) >= 0;
    }
}

/* Weights that a scan made of scores: it may well want them all. */
static void find_scan(np_region *r)
{
    for (int i = 0; i < r->nparts; i++) {
        const np_part *p = &r->part[i];
        const np_node *x = p->n->op == NP_PICK ? p->n->arg[0] : p->n;
        int64_t k;
        bool both = x->op == NP_SCAN && p->n->type->rank > 1 && np_online_axis(p, r->keys) >= 0;
        if (both && p->kind == NP_PART_LEAF && !np_dim_int(r->dim[r->keys], &k) &&
            leaf_varies(r, r->root[0].other))
            fail(r, x, "runs over weights");
    }
}
static bool try_side(finder *f, const np_node *n, int side)
{
    np_region *r = f->r;
    const np_node *x = n->arg[side];
    const char *mine = side ? strchr(n->sym, ',') + 1 : n->sym, *out = strstr(n->sym, "->") + 2;
    int id[NP_RANK] = {0};
    r->keys = -1;
    r->rank = x->type->rank;
    for (int k = 0; k < r->rank; k++) {
        id[k] = k;
        r->dim[k] = x->type->dim[k];
        if (strchr(out, mine[k])) continue;
        if (r->keys >= 0) return false;
        r->keys = k;
    }
    if (r->keys < 0 || !add_root(f, n, side, id)) return false;
    if (!r->part[r->root[0].part].scored) return find_scan(r), false;
    if (!attends(r)) return false;
    if (!join_all(f) || !leaves_first(r)) return false;
    find_batch(r);
    return true;
}
bool np_online_find(np_region *r, const np_fn *f, const np_node *contract, const int *uses)
{
    for (int side = 0; side < 2; side++) {
        finder find = {.r = r, .uses = uses};
        *r = (np_region){.cx = f->cx, .f = f, .exp = -1, .queries = -1};
        if (try_side(&find, contract, side)) return true;
        bool scored = r->nroots > 0 && !r->part[r->root[0].part].scored; /* then the reason is a scan */
        for (int i = 0; i < r->nparts; i++) scored |= r->part[i].kind == NP_PART_SCORE && attends(r);
        int budget = BUDGET; /* a reason is given only where values are summed, not rows of a weight */
        if (r->reason && scored && varies(contract->arg[1 - side], &budget)) return false;
        r->reason = NULL;
    }
    return false;
}
