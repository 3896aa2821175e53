/* What expressions that the build might compute need, and what they cost in a call.
 *
 * An operation that has bodies needs, besides its operands, what stands before it and
 * is used inside. Nodes are numbered as they are printed: within a body, what has a
 * smaller number than the body's owner stands outside. */
#include "made.h"

#include <string.h>

static const double DEAR = 16, SLOW = 4; /* what is no plain instruction */

static void see_inside(const np_node *owner, const np_block *body, np_made_visit see, void *env)
{
    for (const np_node *n = body->first; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++)
            if (n->arg[i]->id < owner->id) see(env, n->arg[i]);
        for (int i = 0; i < 2; i++)
            if (n->body[i]) see_inside(owner, n->body[i], see, env);
    }
}
void np_made_needs(const np_node *n, np_made_visit see, void *env)
{
    for (int i = 0; i < n->nargs; i++) see(env, n->arg[i]);
    for (int i = 0; i < 2; i++)
        if (n->body[i]) see_inside(n, n->body[i], see, env);
}

/* ---- sizes */
static bool is_number(const np_dim *d)
{
    int64_t k;
    return !d || np_dim_int(d, &k);
}
static bool has_numbers(const np_type *t)
{
    for (int i = 0; i < t->width; i++)
        if (!has_numbers(t->part[i])) return false;
    for (int i = 0; i < t->rank; i++)
        if (!is_number(t->dim[i])) return false;
    return true;
}
static bool body_can_be_made(const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next)
        if (n->op != NP_YIELD && !np_made_can_be(n)) return false;
    return true;
}
bool np_made_can_be(const np_node *n)
{
    np_opclass c = np_op_info(n->op)->cls;
    bool leaf = n->op == NP_CONST || n->op == NP_WEIGHT || n->op == NP_IOTA;
    bool can = leaf || c == NP_ELEM || (c == NP_TENSOR && n->op != NP_APPEND) || n->op == NP_PICK;
    for (int i = 0; i < NP_MAXATTRS; i++) can &= is_number(n->attr[i]);
    for (int i = 0; i < 2 && can; i++) can = !n->body[i] || body_can_be_made(n->body[i]);
    return can && has_numbers(n->type);
}

/* ---- work */
bool np_made_moves(const np_node *n)
{
    return n->op == NP_EXPAND || n->op == NP_PERMUTE || n->op == NP_SPLIT || n->op == NP_MERGE ||
           n->op == NP_SLICE || n->op == NP_AT;
}
double np_made_count(const np_type *t)
{
    double n = 1;
    int64_t k = 0;
    for (int i = 0; i < t->rank; i++) n *= np_dim_int(t->dim[i], &k) ? (double)k : 0;
    return n;
}
static double products(const np_node *n)
{
    double all = np_made_count(n->type);
    int64_t k = 0;
    for (const char *c = n->sym; *c != '-'; c++) {
        bool first =
            *c != ',' && !memchr(n->sym, *c, (size_t)(c - n->sym)) && !strchr(strstr(n->sym, "->"), *c);
        const char *comma = strchr(n->sym, ',');
        if (!first) continue;
        int side = c > comma;
        np_dim_int(n->arg[side]->type->dim[side ? c - comma - 1 : c - n->sym], &k);
        all *= (double)k;
    }
    return all;
}
static double work_inside(const np_block *b);

static double own_work(const np_node *n)
{
    int cost = np_op_cost(n->op);
    switch (n->op) {
    case NP_CONTRACT: return products(n);
    case NP_REDUCE: return np_made_count(n->arg[0]->type);
    case NP_PICK:
    case NP_YIELD: return 0;
    default:
        if (np_is_leaf(n) || np_made_moves(n) || n->body[0]) return 0;
        return np_made_count(n->type) * (cost > 3 ? DEAR : cost > 1 ? SLOW : 1);
    }
}
double np_made_work(const np_node *n)
{
    double times = 1, work = own_work(n);
    int64_t k = 1;
    if (n->op == NP_SCAN && np_dim_int(n->attr[1], &k)) times = (double)k;
    for (int i = 0; i < 2; i++)
        if (n->body[i]) work += times * work_inside(n->body[i]);
    return work;
}
static double work_inside(const np_block *b)
{
    double work = 0;
    for (const np_node *n = b->first; n; n = n->next) work += np_made_work(n);
    return work;
}
