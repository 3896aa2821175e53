/* Blocks, loops and branches of a group. What a loop carries and what a branch
 * gives are variables: declared before it, set where a body ends, `sum += x` where
 * the next value says so. A loop that runs once is no loop, one over a single short
 * statement is one line, and a branch that is all of a loop's body and true up to a
 * value is the loop's end. */
#include "c.h"

#include <string.h>

static const char *carried_name(const np_node *loop, int i)
{
    const np_node *p = loop->body[0]->param[1 + i], *y = loop->body[0]->last->arg[i];
    if (p->name) return p->name;
    if (loop->name && loop->nargs == 1) return loop->name;
    return y->op == NP_ADD   ? "sum"
           : y->op == NP_MAX ? "most"
           : y->op == NP_MIN ? "least"
           : y->op == NP_MUL ? "product"
                             : "acc";
}
/* Does the expression of n, as far as it is not in a variable, mention p? */
static bool mentions(const np_ckernel *k, const np_node *n, const np_node *p)
{
    if (n == p) return true;
    if (k->var[n->id] || !(np_is_elem(n) || n->op == NP_LOAD)) return false;
    for (int i = 0; i < n->nargs; i++)
        if (mentions(k, n->arg[i], p)) return true;
    return false;
}
/* sum += x where that is what the next value says */
static bool step_by(np_ckernel *k, const np_node *y, const np_node *p, const char *v)
{
    np_dtype d = y->type->dtype;
    const char *op = y->op == NP_ADD ? "+" : y->op == NP_SUB ? "-" : y->op == NP_MUL ? "*" : NULL;
    if (!op || k->var[y->id] || (d != NP_F32 && d != NP_F64)) return false;
    int other = y->arg[0] == p ? 1 : y->arg[1] == p && y->op != NP_SUB ? 0 : -1;
    if (other < 0 || mentions(k, y->arg[other], p)) return false;
    np_cstmt_line(k, "%s %s= %s;", v, op, np_cexpr_get(k, y->arg[other]).text);
    return true;
}
static void next_values(np_ckernel *k, const np_node *loop, const char *const *var)
{
    const np_block *b = loop->body[0];
    const char **later = np_arena_array(k->mem, (size_t)loop->nargs + 1, sizeof *later);
    for (int i = 0; i < loop->nargs; i++) np_cstmt_take(k, b->last->arg[i]);
    for (int i = 0; i < loop->nargs; i++) { /* read by a later one after it changed: kept aside */
        bool read = false;
        for (int j = i + 1; j < loop->nargs; j++) read |= mentions(k, b->last->arg[j], b->param[1 + i]);
        if (!read) continue;
        later[i] = np_cstmt_name(k, NULL, "next");
        np_cstmt_line(k, "const %s %s = %s;", np_cvalue(b->last->arg[i]->type->dtype), later[i],
                      np_cexpr_get(k, b->last->arg[i]).text);
    }
    for (int i = 0; i < loop->nargs; i++) {
        const np_node *y = b->last->arg[i];
        if (later[i] || y == b->param[1 + i] || step_by(k, y, b->param[1 + i], var[i])) continue;
        np_cstmt_line(k, "%s = %s;", var[i], np_cexpr_get(k, y).text);
    }
    for (int i = 0; i < loop->nargs; i++)
        if (later[i]) np_cstmt_line(k, "%s = %s;", var[i], later[i]);
}
bool np_cloop_never(const np_node *loop)
{
    int64_t n, from;
    return np_dim_int(loop->attr[0], &n) && np_dim_int(loop->attr[1], &from) && n <= from;
}
static bool once(const np_node *loop)
{
    int64_t n, from, step;
    return np_dim_int(loop->attr[0], &n) && np_dim_int(loop->attr[1], &from) &&
           np_dim_int(loop->attr[2], &step) && from < n && from + step >= n;
}
static void variables(np_ckernel *k, const np_node *n, int count, const char **var)
{
    for (int i = 0; i < count; i++) {
        const np_type *t = np_result_type(n, i);
        if (n->op == NP_LOOP) {
            const char *init = np_cstmt_take(k, n->arg[i]).text;
            var[i] = np_cstmt_name(k, carried_name(n, i), "acc");
            np_cstmt_line(k, "%s %s = %s;", np_cvalue(t->dtype), var[i], init);
        } else {
            var[i] = np_cstmt_name(k, n->name, "v");
            np_cstmt_line(k, "%s %s;", np_cvalue(t->dtype), var[i]);
        }
    }
    if (count == 1 && !n->type->tuple) {
        k->var[n->id] = var[0];
        k->e[n->id] = (np_cexpr){.text = var[0], .small = n->type->dtype != NP_I64, .plain = true};
    }
    k->parts[n->id] = var;
}
/* A loop over one short statement needs no braces: what was written from `head` on becomes one line. */
static bool on_one_line(np_ckernel *k, size_t head, size_t inside)
{
    const char *s = k->out->s + inside;
    size_t n = strcspn(s, "\n");
    if (n == 0 || s[n + 1]) return false;
    size_t blanks = strspn(s, " ");
    if (strncmp(s + blanks, "const ", 6) == 0) return false; /* no declaration stands alone */
    if (inside - head - 2 + n - blanks > NP_CWIDTH) return false;
    memmove(k->out->s + inside - 2, s + blanks, n - blanks + 2); /* over the brace and the end of its line */
    k->out->n -= blanks + 2;
    return true;
}
/* The branch that is all of a loop but what is computed for it, if it says while the index is below a value that
 * stands outside: that value is an end of the loop. */
static const np_node *runs_while(const np_node *loop)
{
    const np_block *b = loop->body[0];
    const np_node *c = NULL;
    for (const np_node *n = b->first; n && loop->nargs == 0; n = n->next) {
        if (n->op == NP_COND && !c)
            c = n;
        else if (n->op != NP_YIELD && !np_is_elem(n))
            return NULL;
    }
    if (!c || c->body[0]->last->nargs || c->body[1]->first != c->body[1]->last) return NULL;
    const np_node *is = c->arg[0];
    return is->op == NP_LT && is->in == b && is->arg[0] == b->param[0] && is->arg[1]->in != b ? c : NULL;
}
/* A short loop of constant length that holds no other: gcc makes single statements of it before it looks for vectors,
 * unless it is told not to. */
static bool is_lanes(const np_node *n)
{
    int64_t from, to;
    if (!np_dim_int(n->attr[1], &from) || !np_dim_int(n->attr[0], &to) || !np_dim_is(n->attr[2], 1))
        return false;
    for (const np_node *x = n->body[0]->first; x; x = x->next)
        if (x->body[0]) return false;
    return to - from >= 8 && to - from <= 16;
}
static void loop(np_ckernel *k, const np_node *n)
{
    const np_block *b = n->body[0];
    const char **var = np_arena_array(k->mem, (size_t)n->nargs + 1, sizeof *var);
    for (int i = 0; i < n->nargs; i++) np_cstmt_done(k, n->arg[i]);
    np_cstmt_settle(k, n);
    variables(k, n, n->nargs, var);
    if (np_cloop_never(n)) return;
    for (int i = 0; i < n->nargs; i++) {
        const np_node *p = b->param[1 + i];
        k->e[p->id] = (np_cexpr){.text = var[i], .small = p->type->dtype != NP_I64};
        k->var[p->id] = NULL; /* it changes: not a name that stays */
    }
    int scope = k->nscope;
    const np_node *count = b->param[0];
    if (once(n)) {
        k->e[count->id] = (np_cexpr){
            .text = np_cnumber(k->mem, NP_I64, (double)n->attr[1]->k), .small = true, .plain = true};
        np_cloop_block(k, b);
        next_values(k, n, var);
        return; /* its names stay taken: it is no block of C */
    }
    static const char *const usual[] = {"i", "j", "k", "l", "m", "p", "q", "r"};
    const np_dim *T = k->file->T;
    bool time = T && np_dim_has(n->attr[0], T),
         small =
             np_crange_fits((np_crange){k->range[count->id].lo, k->range[count->id].hi + 1}, NP_I32) && !time;
    const char *i = NULL;
    const char *clock = time && k->file->N && np_dim_has(n->attr[0], k->file->N)
                            ? "s"
                            : "t"; /* s: any position, t: a new one */
    if (time && !np_cstmt_taken(k, clock)) i = clock;
    for (size_t j = 0; j < NP_LEN(usual) && !i; j++)
        if (!np_cstmt_taken(k, usual[j])) i = usual[j];
    i = np_cstmt_name(k, i ? i : "i", "i");
    const np_node *end = runs_while(n);
    const char *from = np_cexpr_dim(k, n->attr[1]).text, *to;
    if (end) { /* never beyond the loop's own end */
        np_cexpr e = np_cexpr_get(k, end->arg[0]->arg[1]);
        int64_t most;
        bool inside = np_dim_int(n->attr[0], &most) && k->range[end->arg[0]->arg[1]->id].hi <= (double)most;
        to = inside ? np_cexpr_in(k, e, NP_C_ADD)
                    : np_ctext(k->mem, "%s(%s, %s)", np_chelp_call(k->file, "min", NP_I64), e.text,
                               np_cexpr_dim(k, n->attr[0]).text);
    } else
        to = np_cexpr_in(k, np_cexpr_dim(k, n->attr[0]), NP_C_ADD);
    const char *by = np_dim_is(n->attr[2], 1)
                         ? np_ctext(k->mem, "%s++", i)
                         : np_ctext(k->mem, "%s += %s", i, np_cexpr_dim(k, n->attr[2]).text);
    size_t head = k->out->n;
    np_cstmt_line(k, "%sfor (%s %s = %s; %s < %s; %s) {", is_lanes(n) ? "np_lanes " : "",
                  small ? "int" : "int64_t", i, from, i, to, by);
    size_t inside = k->out->n;
    k->e[count->id] = (np_cexpr){.text = i, .small = small, .plain = true};
    k->depth++;
    if (end) {
        for (const np_node *x = b->first; x->op != NP_YIELD; x = x->next)
            if (x != end && x != end->arg[0] && x->op != NP_CONST) np_cstmt_value(k, x);
        np_cloop_block(k, end->body[0]);
    } else
        np_cloop_block(k, b);
    next_values(k, n, var);
    k->depth--;
    if (!on_one_line(k, head, inside)) np_cstmt_line(k, "}");
    k->nscope = scope;
}
static void branch(np_ckernel *k, const np_block *b, const char *const *var)
{
    int scope = k->nscope;
    k->depth++;
    np_cloop_block(k, b);
    for (int i = 0; i < b->last->nargs; i++)
        np_cstmt_line(k, "%s = %s;", var[i], np_cstmt_take(k, b->last->arg[i]).text);
    k->depth--;
    k->nscope = scope;
}
static void cond(np_ckernel *k, const np_node *n)
{
    int count = n->body[0]->last->nargs;
    const char **var = np_arena_array(k->mem, (size_t)count + 1, sizeof *var);
    np_cexpr c = np_cstmt_take(k, n->arg[0]);
    np_cstmt_settle(k, n);
    variables(k, n, count, var);
    bool no_then = n->body[0]->first == n->body[0]->last && count == 0,
         no_else = n->body[1]->first == n->body[1]->last && count == 0;
    if (no_then && no_else) return;
    np_cstmt_line(k, no_then ? "if (!%s) {" : "if (%s) {",
                  no_then ? np_cexpr_in(k, c, NP_C_PRIMARY) : c.text);
    branch(k, n->body[no_then], var);
    if (!no_then && !no_else) {
        np_cstmt_line(k, "} else {");
        branch(k, n->body[1], var);
    }
    np_cstmt_line(k, "}");
}
void np_cloop_block(np_ckernel *k, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        switch (n->op) {
        case NP_CONST:
        case NP_SIZE:
        case NP_PICK:
        case NP_WEIGHT:
        case NP_YIELD: break;
        case NP_ALLOC:
            if (np_dim_is(n->attr[0], -2)) np_cstmt_array(k, n);
            break;
        case NP_STORE: np_cstmt_store(k, n); break;
        case NP_PREFETCH: np_cstmt_prefetch(k, n); break;
        case NP_LOOP: loop(k, n); break;
        case NP_COND: cond(k, n); break;
        default: np_cstmt_value(k, n);
        }
    }
}
