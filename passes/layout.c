/* layout: TENSOR to TENSOR, over @main before streaming, so that every entry
 * agrees. Gives what grows along time the order of axes in which it is read.
 *
 * A history whose positions stay (scores: q . k for every position) is read
 * position after position, so its positions lie side by side: the last axis. One
 * whose positions are summed (values weighted by p) is read row after row, and
 * stays. Permutes go into the contractions that read it (fold.c), so none is
 * left; a history with any other reader is not touched. */
#include "passes.h"

#include <string.h>

typedef struct readers { /* of one append */
    const np_node *of;
    int contractions, others;
    bool summed; /* some contraction sums its positions */
} readers;

static void count(void *env, const np_node *n)
{
    readers *r = env;
    for (int i = 0; i < n->nargs; i++) {
        if (n->arg[i] != r->of) continue;
        if (n->op != NP_CONTRACT) {
            r->others++;
            continue;
        }
        const char *comma = strchr(n->sym, ','), *side = i ? comma + 1 : n->sym, *out = strstr(n->sym, "->") + 2;
        r->contractions++;
        r->summed |= !strchr(out, side[r->of->attr[0]->k]);
    }
}

static np_node *turn(np_rw *rw, const np_node *old, np_node *const *arg)
{
    int k = old->op == NP_APPEND ? (int)old->attr[0]->k : 0, rank = old->type->rank;
    if (old->op != NP_APPEND || old->nargs != 1 || k == rank - 1) return NULL;
    readers r = {.of = old};
    np_fn_walk(rw->old, count, &r);
    if (!r.contractions || r.others || r.summed) return NULL;
    char there[2 * NP_RANK + 3] = {0}, back[2 * NP_RANK + 3] = {0}, *p = there, *q = back;
    for (int i = 0; i < rank; i++) *p++ = (char)('a' + i);
    *p++ = '-', *p++ = '>';
    for (int i = 0; i < rank; i++)
        if (i != k) *p++ = *q++ = (char)('a' + i);
    *p = *q++ = (char)('a' + k);
    *q++ = '-', *q++ = '>';
    memcpy(q, there, (size_t)rank);
    np_node *x = np_build_permute(rw->b, arg[0], there);
    if (!x->name) x->name = arg[0]->name;
    np_extra how = {.attr = {np_dim_const(rw->b->cx, rank - 1), old->attr[1]}};
    rw->b->name = old->name;
    x = np_build_op(rw->b, NP_APPEND, 1, &x, &how);
    np_note(rw->b->cx, old->loc, "the history of %s lies position by position: %s", old->name ? old->name : "a tensor",
            np_type_str(rw->b->cx, x->type));
    return np_build_permute(rw->b, x, back);
}

np_fn *np_layout_run(const np_fn *main)
{
    return np_rewrite(main, turn, NULL);
}
