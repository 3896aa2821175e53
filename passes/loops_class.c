/* Which axes of the values in the body of a scan have the same index: classes.
 *
 * Whatever comes from a state is looked at: elementwise operations join the axes of
 * their operands, a letter of a contraction joins the axes that it names, the
 * next state has the axes of the state. What does not come from a state may be read
 * at any index and joins nothing. No value may have two axes of one class: then
 * an element would need others of the same tile than its own. */
#include "loops_time.h"

#include <string.h>

enum { UNSEEN, COLD, HOT, SLOTS = NP_RANK + NP_MAXLETTERS };

/* ---- through groups */
const np_node *np_steps_through(np_lower *l, const np_node *x)
{
    while (!np_loops_find(l, x)) {
        const np_node *g = x->op == NP_PICK ? x->arg[0] : x;
        if (g->op != NP_GROUP) break;
        x = g->body[0]->last->arg[x->op == NP_PICK ? x->attr[0]->k : 0];
    }
    return x;
}
const np_node *np_steps_operand(const np_steps *s, const np_node *x, int i)
{
    return np_steps_through(s->l, x->arg[i]);
}
bool np_steps_inside(const np_steps *s, const np_node *x)
{
    return np_block_encloses(s->body, x->in);
}
bool np_steps_hot(const np_steps *s, const np_node *x)
{
    return s->mark[x->id] == HOT;
}
int np_steps_letters(const np_node *x, char *letter)
{
    int n = 0;
    if (x->op == NP_REDUCE) {
        letter[0] = 0;
        return 1;
    }
    for (const char *p = x->sym; *p != '-'; p++)
        if (*p != ',' && !memchr(letter, *p, (size_t)n) && n < NP_MAXLETTERS) letter[n++] = *p;
    return n;
}

const np_node *np_steps_state(const np_steps *s, int i)
{
    return s->body->param[s->seq + i];
}
const np_node *np_steps_yielded(const np_steps *s, int i)
{
    return np_steps_through(s->l, s->body->last->arg[i]);
}
/* ---- classes: which axes have one index */
static int *link_of(const np_steps *s, const np_node *x, int axis)
{
    return &s->link[(size_t)x->id * SLOTS + (size_t)axis];
}
static int find(const np_steps *s, int i)
{
    while (s->link[i] != i) i = s->link[i] = s->link[s->link[i]];
    return i;
}
static void join(np_steps *s, const np_node *x, int i, const np_node *y, int j)
{
    int a = find(s, (int)(link_of(s, x, i) - s->link)), b = find(s, (int)(link_of(s, y, j) - s->link));
    s->link[a] = b;
}
static void join_contraction(np_steps *s, const np_node *x)
{
    const char *comma = strchr(x->sym, ','), *out = strstr(x->sym, "->") + 2;
    char letter[NP_MAXLETTERS];
    int n = np_steps_letters(x, letter);
    for (int i = 0; i < n; i++) {
        const char *p = strchr(out, letter[i]);
        if (p) join(s, x, NP_RANK + i, x, (int)(p - out));
        for (int o = 0; o < 2; o++) {
            const np_node *y = np_steps_operand(s, x, o);
            p = memchr(o ? comma + 1 : x->sym, letter[i], (size_t)y->type->rank);
            if (p && np_steps_hot(s, y)) join(s, x, NP_RANK + i, y, (int)(p - (o ? comma + 1 : x->sym)));
        }
    }
}
/* Joins the axes of x with those of its operands; false: indices are not the same element for element. */
static bool join_operands(np_steps *s, const np_node *x)
{
    int rank = x->type->rank, k = x->attr[0] ? (int)x->attr[0]->k : 0;
    bool any = false;
    for (int o = 0; o < x->nargs; o++) any |= np_steps_hot(s, np_steps_operand(s, x, o));
    if (!any) return true;
    if (x->op == NP_CONTRACT) {
        join_contraction(s, x);
        return true;
    }
    const np_node *y = np_steps_operand(s, x, 0);
    const char *out = x->op == NP_PERMUTE ? strstr(x->sym, "->") + 2 : NULL;
    switch (x->op) {
    case NP_EXPAND:
        for (int i = 0; i < rank; i++)
            if (i != k) join(s, x, i, y, i < k ? i : i - 1);
        return true;
    case NP_PERMUTE:
        for (int i = 0; i < rank; i++) join(s, x, i, y, (int)(strchr(x->sym, out[i]) - x->sym));
        return true;
    case NP_REDUCE:
        for (int i = 0; i <= rank; i++) join(s, y, i, x, i == k ? NP_RANK : i < k ? i : i - 1);
        return true;
    default: break;
    }
    if (!np_is_elem(x)) return false;
    for (int o = 0; o < x->nargs; o++)
        for (int i = 0; i < rank && np_steps_hot(s, np_steps_operand(s, x, o)); i++)
            join(s, x, i, np_steps_operand(s, x, o), i);
    return true;
}
int np_steps_part(const np_steps *s, const np_node *x)
{
    int i = (int)x->id;
    while (s->part[i] != i) i = s->part[i] = s->part[s->part[i]];
    return i;
}
bool np_steps_mine(const np_steps *s, int i)
{
    return np_steps_part(s, np_steps_state(s, i)) == s->now;
}
static void meet(np_steps *s, const np_node *x, const np_node *y)
{
    s->part[np_steps_part(s, x)] = np_steps_part(s, y);
}
/* Walks what a value is made of. False: not for us. */
static bool visit(np_steps *s, const np_node *x)
{
    if (s->mark[x->id]) return true;
    bool hot = s->yields[x->id], timed = false;
    int level = 0;
    if ((x->op == NP_SCAN || x->op == NP_COND || x->op == NP_PICK) && np_steps_inside(s, x)) return false;
    if (x->op == NP_PARAM && x->in == s->body) {
        int i = 0;
        while (s->body->param[i] != x) i++;
        hot |= i >= s->seq;
        timed = true;
    } else if (np_steps_inside(s, x)) {
        for (int i = 0; i < x->nargs; i++) {
            const np_node *y = np_steps_operand(s, x, i);
            if (!visit(s, y)) return false;
            hot |= np_steps_hot(s, y);
            timed |= s->timed[y->id];
            int after = s->level[y->id];
            if (after > level) level = after;
        }
        level += hot && np_is_sum(x);
    }
    for (int i = 0; i < x->nargs && hot && np_steps_inside(s, x); i++)
        if (np_steps_hot(s, np_steps_operand(s, x, i))) meet(s, x, np_steps_operand(s, x, i));
    s->mark[x->id] = hot ? HOT : COLD;
    s->timed[x->id] = timed;
    s->level[x->id] = level;
    return !hot || !np_steps_inside(s, x) || join_operands(s, x);
}
static int class_at(const np_steps *s, const np_node *x, int axis, const np_dim *n)
{
    if (np_dim_is(n, 1)) return -1;
    int root = find(s, (int)(link_of(s, x, axis) - s->link));
    for (int c = 0; c < s->nclasses; c++)
        if (s->slot[c] == root) return c;
    return -2;
}
static int class_made(np_steps *s, const np_node *x, int axis, const np_dim *n)
{
    int c = class_at(s, x, axis, n);
    if (c != -2 || s->nclasses == NP_MAXCLASSES) return c;
    s->slot[s->nclasses] = find(s, (int)(link_of(s, x, axis) - s->link));
    s->class[s->nclasses] = (np_class){.n = n, .place = NP_RANK};
    return s->nclasses++;
}
int np_steps_class(const np_steps *s, const np_node *x, int axis)
{
    return class_at(s, x, axis, x->type->dim[axis]);
}
static const np_dim *letter_dim(const np_node *x, int i)
{
    if (x->op == NP_REDUCE) return x->arg[0]->type->dim[x->attr[0]->k];
    char letter[NP_MAXLETTERS];
    np_steps_letters(x, letter);
    const char *comma = strchr(x->sym, ','), *p = memchr(x->sym, letter[i], (size_t)(comma - x->sym));
    return p ? x->arg[0]->type->dim[p - x->sym] : x->arg[1]->type->dim[strchr(comma, letter[i]) - comma - 1];
}
int np_steps_letter(const np_steps *s, const np_node *x, int i)
{
    return class_at(s, x, NP_RANK + i, letter_dim(x, i));
}
/* Gives every axis of x its class; false: two axes would have the same index. */
static bool classify(np_steps *s, const np_node *x)
{
    uint64_t set = 0;
    for (int k = 0; k < x->type->rank; k++) {
        int c = class_made(s, x, k, x->type->dim[k]);
        if (c == -2 || (c >= 0 && (set >> c & 1))) return false;
        if (c >= 0) set |= (uint64_t)1 << c;
    }
    if (!np_is_sum(x)) return true;
    char letter[NP_MAXLETTERS];
    for (int i = 0, n = np_steps_letters(x, letter); i < n; i++) {
        if (x->op == NP_CONTRACT && strchr(strchr(x->sym, '>'), letter[i])) continue;
        int c = class_made(s, x, NP_RANK + i, letter_dim(x, i));
        if (c == -2 || (c >= 0 && (set >> c & 1))) return false;
        if (c < 0) continue;
        set |= (uint64_t)1 << c;
        s->class[c].summed = true;
    }
    return true;
}
static bool classify_all(np_steps *s, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        if (np_steps_hot(s, n) && !classify(s, n)) return false;
        if (n->body[0] && !classify_all(s, n->body[0])) return false;
    }
    return true;
}
bool np_steps_classes(np_steps *s)
{
    uint32_t n = s->l->old->nnodes + 1;
    s->link = np_arena_array(&s->l->mem, (size_t)n * SLOTS, sizeof *s->link);
    for (int i = 0; i < (int)(n * SLOTS); i++) s->link[i] = i;
    s->part = np_arena_array(&s->l->mem, n, sizeof *s->part);
    for (int i = 0; i < (int)n; i++) s->part[i] = i;
    for (int i = 0; i < s->nouts + s->nstates; i++) s->yields[np_steps_yielded(s, i)->id] = true;
    for (int i = 0; i < s->nstates; i++)
        if (!visit(s, np_steps_state(s, i))) return false;
    for (int i = 0; i < s->nouts + s->nstates; i++)
        if (!visit(s, np_steps_yielded(s, i))) return false;
    for (int i = 0; i < s->nstates; i++) meet(s, np_steps_state(s, i), np_steps_yielded(s, s->nouts + i));
    for (int i = 0; i < s->nouts; i++) { /* an output that comes from no state goes with the first one */
        bool known = false;
        for (int k = 0; k < s->nstates; k++)
            known |= np_steps_part(s, np_steps_state(s, k)) == np_steps_part(s, np_steps_yielded(s, i));
        if (!known) meet(s, np_steps_yielded(s, i), np_steps_state(s, 0));
    }
    for (int i = 0; i < s->nstates; i++)
        for (int k = 0; k < np_steps_state(s, i)->type->rank; k++)
            join(s, np_steps_state(s, i), k, np_steps_yielded(s, s->nouts + i), k);
    for (int i = 0; i < s->nstates; i++)
        if (!classify(s, np_steps_state(s, i))) return false;
    for (int i = 0; i < s->nouts + s->nstates; i++)
        if (!classify(s, np_steps_yielded(s, i))) return false;
    return classify_all(s, s->body);
}
