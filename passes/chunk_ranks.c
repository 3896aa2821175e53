/* chunk_ranks: before scans are cut into chunks, a write of low rank becomes so
 * many writes of rank one:
 *
 *   sum over r of b_r x_r'   ->   b_0 x_0' + b_1 x_1' + ..
 *
 * for an axis r of at most RANKS indices in the body of a scan, where b and x each
 * have axes that the other has not. If x is a read of the state, x_r is a read of
 * its own: the index goes in through what x is made from. */
#include "chunk.h"

#include <string.h>

enum { RANKS = 8 };
typedef struct body { /* a scan's, and what depends on its states */
    const np_block *at;
    np_depend dep;
    struct body *next;
} body;
typedef struct ranks {
    np_arena mem;
    body *list;
    bool found;
} ranks;

static const body *body_of(const ranks *k, const np_node *n)
{
    const body *b = k->list;
    while (b && b->at != n->in) b = b->next;
    return b;
}
/* The letters of a contraction's operand, without the one that is taken at an index. */
static size_t letters_but(char *out, const char *from, size_t n, char gone)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (from[i] != gone) out[k++] = from[i];
    return k;
}
static np_node *index_of(np_rw *rw, const body *in, const np_node *x, int axis, const np_dim *i);
static np_node *of_contraction(np_rw *rw, const body *in, const np_node *x, char gone, const np_dim *i)
{
    const char *comma = strchr(x->sym, ','), *arrow = strstr(x->sym, "->");
    const char *from[2] = {x->sym, comma + 1};
    size_t n[2] = {(size_t)(comma - x->sym), (size_t)(arrow - comma) - 1}, k = 0;
    char spec[4 * NP_RANK];
    np_node *arg[2];
    for (int o = 0; o < 2; o++) {
        const char *at = memchr(from[o], gone, n[o]);
        arg[o] = at ? index_of(rw, in, x->arg[o], (int)(at - from[o]), i) : np_rewrite_get(rw, x->arg[o]);
        k += letters_but(spec + k, from[o], n[o], gone);
        spec[k++] = o ? '-' : ',';
    }
    spec[k++] = '>';
    k += letters_but(spec + k, arrow + 2, strlen(arrow + 2), gone);
    spec[k] = 0;
    return np_build_contract(rw->b, arg[0], arg[1], spec);
}
/* x at index i of an axis: the new value. */
static np_node *index_of(np_rw *rw, const body *in, const np_node *x, int axis, const np_dim *i)
{
    np_node *arg[3];
    if (x->in != in->at || !in->dep.any[x->id] || (in->dep.form[x->id] && x->op == NP_PARAM))
        return np_build_at(rw->b, np_rewrite_get(rw, x), axis, i);
    if (np_is_elem(x) && x->nargs <= 3 && x->op != NP_CAST) {
        for (int o = 0; o < x->nargs; o++) arg[o] = index_of(rw, in, x->arg[o], axis, i);
        return np_build_op(rw->b, x->op, x->nargs, arg, NULL);
    }
    if (x->op == NP_EXPAND) {
        int k = (int)x->attr[0]->k;
        if (k == axis) return np_rewrite_get(rw, x->arg[0]);
        np_node *inner = index_of(rw, in, x->arg[0], axis - (k < axis), i);
        return np_build_expand(rw->b, inner, k - (axis < k), x->attr[1]);
    }
    if (x->op == NP_CONTRACT) return of_contraction(rw, in, x, strstr(x->sym, "->")[2 + axis], i);
    return np_build_at(rw->b, np_rewrite_get(rw, x), axis, i);
}

/* The letter that a write of low rank sums over, and how many indices it has. */
static char rank_letter(const body *in, const np_node *n, int64_t *size)
{
    const char *comma = strchr(n->sym, ','), *out = strstr(n->sym, "->") + 2;
    char letter = 0;
    bool own[2] = {false, false};
    for (int o = 0; o < 2; o++) {
        if (in->dep.form[n->arg[o]->id]) return 0; /* a read */
        const char *mine = o ? comma + 1 : n->sym;
        for (int k = 0; k < n->arg[o]->type->rank; k++) {
            bool shared = o ? memchr(n->sym, mine[k], (size_t)(comma - n->sym)) != NULL
                            : memchr(comma + 1, mine[k], (size_t)(out - comma) - 3) != NULL;
            own[o] |= !shared;
            if (strchr(out, mine[k])) continue;
            if (letter && letter != mine[k]) return 0;
            letter = mine[k];
            if (!np_dim_int(n->arg[o]->type->dim[k], size)) return 0;
        }
    }
    return own[0] && own[1] && letter && *size <= RANKS ? letter : 0;
}
static np_node *rule(np_rw *rw, const np_node *n, np_node *const *arg)
{
    ranks *k = rw->env;
    int64_t size = 0, lo, hi;
    (void)arg;
    if (n->op == NP_SCAN && n->nargs > n->attr[0]->k) {
        np_dim_range(n->attr[1], &lo, &hi);
        body *b = np_arena_alloc(&k->mem, sizeof *b);
        *b = (body){.at = n->body[0], .next = k->list};
        np_affine_depend(rw->old, n, -1, &b->dep, &k->mem);
        if (hi > 1) k->list = b;
        return NULL;
    }
    const body *in = n->op == NP_CONTRACT && np_is_sum(n) ? body_of(k, n) : NULL;
    char letter = in ? rank_letter(in, n, &size) : 0;
    if (!letter) return NULL;
    np_node *sum = NULL;
    for (int64_t i = 0; i < size; i++) {
        np_node *term = of_contraction(rw, in, n, letter, np_dim_const(rw->b->cx, i));
        sum = sum ? np_build_2(rw->b, NP_ADD, sum, term) : term;
    }
    if (sum) k->found = true;
    return sum;
}
np_fn *np_chunk_ranks(const np_fn *f)
{
    ranks k = {0};
    np_fn *now = np_rewrite(f, rule, &k);
    np_arena_free(&k.mem);
    if (k.found) return now;
    np_fn_free(now);
    return NULL;
}
