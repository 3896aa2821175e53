/* A group becomes a function of C: statements for loops, stores and values that
 * are used more than once; everything else is part of the expression that uses
 * it. Groups whose functions are equal up to the buffers that they are given
 * share one: a function is written with names that say nothing first, and only
 * if that text is new once more with names from the model.
 *
 * A value waits until its one use is written. What it loads must not change
 * meanwhile, so before a statement stores into a buffer, values that wait and
 * read the buffer are written down. */
#include "c.h"

#include <string.h>

/* Letters of an expression that is part of another, and of one that is all of a statement but its target. */
enum { LONGEST = 64, WIDTH = 110 };
enum { MANY = 256 }; /* elements that no registers hold */

/* ---- names */
static bool in_scope(const np_ckernel *k, const char *s)
{
    for (int i = 0; i < k->nscope; i++)
        if (strcmp(k->scope[i], s) == 0) return true;
    return np_creserved(s);
}
static const char *name(np_ckernel *k, const char *hint, const char *other)
{
    const char *want = k->neutral ? np_ctext(k->mem, "v%d", k->next++) : np_cname(k->mem, hint, other),
               *s = want;
    int letters = (int)strlen(want);
    while (letters > 1 && want[letters - 1] >= '0' && want[letters - 1] <= '9') letters--;
    for (int i = 2; in_scope(k, s); i++) s = np_cother(k->mem, want, letters, "", i);
    if (k->nscope == k->scope_cap) {
        const char **old = k->scope;
        k->scope_cap = k->scope_cap ? 2 * k->scope_cap : 64;
        k->scope = np_arena_array(k->mem, (size_t)k->scope_cap, sizeof *k->scope);
        if (old) memcpy(k->scope, old, (size_t)k->nscope * sizeof *old);
    }
    return k->scope[k->nscope++] = s;
}
static bool is_local(const np_node *buf)
{
    return buf->op == NP_ALLOC && np_dim_is(buf->attr[0], -2);
}
static const char *usual_name(const np_ckernel *k, const np_node *n)
{
    if (n->type->dtype == NP_I64 && n->op != NP_LOAD) return "at";
    if (np_dtype_class(n->type->dtype) == 'B') return "is";
    switch (n->op) {
    case NP_EXP: return "e";
    case NP_SIGMOID: return "gate";
    case NP_SQRT: return "root";
    case NP_RSQRT:
    case NP_RECIP: return "scale";
    case NP_SIN: return "s";
    case NP_COS: return "c";
    case NP_LOAD: return n->arg[0]->op == NP_WEIGHT ? "w" : is_local(n->arg[0]) ? "v" : k->var[n->arg[0]->id];
    default: return "v";
    }
}

/* ---- lines */
static void line(np_ckernel *k, const char *fmt, ...) NP_PRINTF(2, 3);
static void line(np_ckernel *k, const char *fmt, ...)
{
    va_list ap;
    np_text_add(k->out, "%*s", 4 * k->depth, "");
    va_start(ap, fmt);
    char small[1024];
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < (int)sizeof small)
        np_text_put(k->out, small, (size_t)n);
    else {
        np_arena mem = {0};
        char *big = np_arena_alloc(&mem, (size_t)n + 1);
        va_start(ap, fmt);
        vsnprintf(big, (size_t)n + 1, fmt, ap);
        va_end(ap);
        np_text_put(k->out, big, (size_t)n);
        np_arena_free(&mem);
    }
    np_text_add(k->out, "\n");
}

/* ---- values that wait */
static void wait_for(np_ckernel *k, const np_node *n)
{
    if (k->nwaiting == k->waiting_cap) {
        const np_node **old = k->waiting;
        k->waiting_cap = k->waiting_cap ? 2 * k->waiting_cap : 64;
        k->waiting = np_arena_array(k->mem, (size_t)k->waiting_cap, sizeof *k->waiting);
        if (old) memcpy(k->waiting, old, (size_t)k->nwaiting * sizeof *old);
    }
    k->waiting[k->nwaiting++] = n;
}
static void waits_no_more(np_ckernel *k, const np_node *n)
{
    for (int i = k->nwaiting - 1; i >= 0; i--) {
        if (k->waiting[i] != n) continue;
        memmove(k->waiting + i, k->waiting + i + 1, (size_t)(--k->nwaiting - i) * sizeof *k->waiting);
        return;
    }
}
/* The expression for an operand of the statement that is being written. */
static np_cexpr take(np_ckernel *k, const np_node *n)
{
    waits_no_more(k, n);
    return np_cexpr_get(k, n);
}
static void write_down(np_ckernel *k, const np_node *n)
{
    np_cexpr e = k->e[n->id];
    const char *s = name(k, n->name, usual_name(k, n));
    line(k, "const %s %s = %s;",
         np_dtype_class(n->type->dtype) == 'I' && n->type->dtype == NP_I64 && e.small
             ? "int"
             : np_cvalue(n->type->dtype),
         s, e.text);
    k->var[n->id] = s;
    k->e[n->id] = (np_cexpr){.text = s, .level = NP_C_PRIMARY, .small = e.small, .plain = true};
}
static bool stores_into(const np_node *n, const np_node *buf)
{
    if (n->op == NP_STORE && n->arg[0] == buf) return true;
    for (int i = 0; i < 2; i++)
        for (const np_node *s = n->body[i] ? n->body[i]->first : NULL; s; s = s->next)
            if (stores_into(s, buf)) return true;
    return false;
}
/* Does the expression of n, as far as it is not in a variable, read what s stores into? */
static bool disturbed(const np_ckernel *k, const np_node *n, const np_node *s)
{
    if (k->var[n->id] || !(np_is_elem(n) || n->op == NP_LOAD)) return false;
    if (n->op == NP_LOAD && stores_into(s, n->arg[0])) return true;
    for (int i = n->op == NP_LOAD; i < n->nargs; i++)
        if (disturbed(k, n->arg[i], s)) return true;
    return false;
}
static void settle(np_ckernel *k, const np_node *statement)
{
    for (int i = 0; i < k->nwaiting; i++) {
        const np_node *n = k->waiting[i];
        if (!disturbed(k, n, statement)) continue;
        waits_no_more(k, n);
        write_down(k, n);
        i--;
    }
}

/* ---- statements */
static void block(np_ckernel *k, const np_block *b);

/* Does the expression of n, as far as it is not in a variable, read memory? */
static bool reads(const np_ckernel *k, const np_node *n)
{
    if (k->var[n->id] || n->op == NP_LOAD) return !k->var[n->id];
    for (int i = 0; i < n->nargs && np_is_elem(n); i++)
        if (reads(k, n->arg[i])) return true;
    return false;
}
static void value(np_ckernel *k, const np_node *n)
{
    if (k->uses[n->id] == 0) return;
    np_cexpr e;
    for (int i = 1; i < n->nargs && n->op == NP_SELECT;
         i++) { /* what is read whatever is chosen keeps loops straight */
        if (!reads(k, n->arg[i])) continue;
        waits_no_more(k, n->arg[i]);
        write_down(k, n->arg[i]);
    }
    for (int i = 0; i < n->nargs; i++)
        if (!(n->op == NP_LOAD && i == 0)) waits_no_more(k, n->arg[i]);
    if (n->op == NP_LOAD) {
        np_dtype d = n->type->dtype;
        e = (np_cexpr){.text = np_cexpr_place(k, n->arg[0], n->nargs - 1, n->arg + 1), .small = d != NP_I64};
        if (d == NP_F16 || d == NP_BF16)
            e.text = np_ctext(k->mem, "%s(%s)", np_chelp_call(k->file, "of", d), e.text);
    } else
        e = np_cexpr_make(k, n);
    k->e[n->id] = e;
    size_t len = strlen(e.text);
    if (e.plain && len <= 24) return;
    const np_node *user = k->user[n->id];
    size_t most = user->op == NP_STORE || user->op == NP_YIELD ? WIDTH - 10 : LONGEST;
    if (k->uses[n->id] > 1 || user->in != n->in || len > most)
        write_down(k, n);
    else
        wait_for(k, n);
}
/* x[i] += y where that is what the stored value says */
static const char *added(np_ckernel *k, const np_node *n, const char *to, const char **op)
{
    const np_node *v = n->arg[1];
    np_dtype d = v->type->dtype;
    *op = v->op == NP_ADD ? "+=" : v->op == NP_SUB ? "-=" : v->op == NP_MUL ? "*=" : NULL;
    if (!*op || k->var[v->id] || (d != NP_F32 && d != NP_F64)) return NULL;
    for (int i = 0; i < (v->op == NP_SUB ? 1 : 2); i++) {
        const np_node *x = v->arg[i];
        if (x->op == NP_LOAD && x->arg[0] == n->arg[0] && !k->var[x->id] && strcmp(k->e[x->id].text, to) == 0)
            return np_cexpr_get(k, v->arg[1 - i]).text;
    }
    return NULL;
}
static void store(np_ckernel *k, const np_node *n)
{
    const np_node *buf = n->arg[0];
    for (int i = 2; i < n->nargs; i++) take(k, n->arg[i]);
    const char *to = np_cexpr_place(k, buf, n->nargs - 2, n->arg + 2);
    np_cexpr e = take(k, n->arg[1]);
    const char *v = e.text;
    np_dtype d = buf->type->dtype;
    if (d == NP_F16 || d == NP_BF16)
        v = np_ctext(k->mem, "%s(%s)", np_chelp_call(k->file, "to", d), e.raw ? e.raw : v);
    settle(k, n);
    const char *op, *more = added(k, n, to, &op);
    if (more)
        line(k, "%s %s %s;", to, op, more);
    else
        line(k, "%s = %s;", to, v);
}
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
    line(k, "%s %s= %s;", v, op, np_cexpr_get(k, y->arg[other]).text);
    return true;
}
static void next_values(np_ckernel *k, const np_node *loop, const char *const *var)
{
    const np_block *b = loop->body[0];
    const char **later = np_arena_array(k->mem, (size_t)loop->nargs + 1, sizeof *later);
    for (int i = 0; i < loop->nargs; i++) take(k, b->last->arg[i]);
    for (int i = 0; i < loop->nargs; i++) { /* read by a later one after it changed: kept aside */
        bool read = false;
        for (int j = i + 1; j < loop->nargs; j++) read |= mentions(k, b->last->arg[j], b->param[1 + i]);
        if (!read) continue;
        later[i] = name(k, NULL, "next");
        line(k, "const %s %s = %s;", np_cvalue(b->last->arg[i]->type->dtype), later[i],
             np_cexpr_get(k, b->last->arg[i]).text);
    }
    for (int i = 0; i < loop->nargs; i++) {
        const np_node *y = b->last->arg[i];
        if (later[i] || y == b->param[1 + i] || step_by(k, y, b->param[1 + i], var[i])) continue;
        line(k, "%s = %s;", var[i], np_cexpr_get(k, y).text);
    }
    for (int i = 0; i < loop->nargs; i++)
        if (later[i]) line(k, "%s = %s;", var[i], later[i]);
}
static bool never(const np_node *loop)
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
            const char *init = take(k, n->arg[i]).text;
            var[i] = name(k, carried_name(n, i), "acc");
            line(k, "%s %s = %s;", np_cvalue(t->dtype), var[i], init);
        } else {
            var[i] = name(k, n->name, "v");
            line(k, "%s %s;", np_cvalue(t->dtype), var[i]);
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
    if (inside - head - 2 + n - blanks > WIDTH) return false;
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
    for (int i = 0; i < n->nargs; i++) waits_no_more(k, n->arg[i]);
    settle(k, n);
    variables(k, n, n->nargs, var);
    if (never(n)) return;
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
        block(k, b);
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
    if (time && !in_scope(k, clock)) i = clock;
    for (size_t j = 0; j < NP_LEN(usual) && !i; j++)
        if (!in_scope(k, usual[j])) i = usual[j];
    i = name(k, i ? i : "i", "i");
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
    line(k, "%sfor (%s %s = %s; %s < %s; %s) {", is_lanes(n) ? "np_lanes " : "", small ? "int" : "int64_t", i,
         from, i, to, by);
    size_t inside = k->out->n;
    k->e[count->id] = (np_cexpr){.text = i, .small = small, .plain = true};
    k->depth++;
    if (end) {
        for (const np_node *x = b->first; x->op != NP_YIELD; x = x->next)
            if (x != end && x != end->arg[0] && x->op != NP_CONST) value(k, x);
        block(k, end->body[0]);
    } else
        block(k, b);
    next_values(k, n, var);
    k->depth--;
    if (!on_one_line(k, head, inside)) line(k, "}");
    k->nscope = scope;
}
static void branch(np_ckernel *k, const np_block *b, const char *const *var)
{
    int scope = k->nscope;
    k->depth++;
    block(k, b);
    for (int i = 0; i < b->last->nargs; i++) line(k, "%s = %s;", var[i], take(k, b->last->arg[i]).text);
    k->depth--;
    k->nscope = scope;
}
static void cond(np_ckernel *k, const np_node *n)
{
    int count = n->body[0]->last->nargs;
    const char **var = np_arena_array(k->mem, (size_t)count + 1, sizeof *var);
    np_cexpr c = take(k, n->arg[0]);
    settle(k, n);
    variables(k, n, count, var);
    bool no_then = n->body[0]->first == n->body[0]->last && count == 0,
         no_else = n->body[1]->first == n->body[1]->last && count == 0;
    if (no_then && no_else) return;
    line(k, no_then ? "if (!%s) {" : "if (%s) {", no_then ? np_cexpr_in(k, c, NP_C_PRIMARY) : c.text);
    branch(k, n->body[no_then], var);
    if (!no_then && !no_else) {
        line(k, "} else {");
        branch(k, n->body[1], var);
    }
    line(k, "}");
}
/* An array that no registers hold is reached through a pointer of its own: gcc keeps sums in registers beside it then. */
static void local_array(np_ckernel *k, const np_node *n)
{
    int64_t count = 1, d;
    for (int i = 0; i < n->type->rank; i++) count *= np_dim_int(n->type->dim[i], &d) ? d : 0;
    k->var[n->id] = name(k, n->name, "acc");
    const char *shape = np_cshape(k->mem, k->file->cx, n->type);
    const char *type = np_ctype(n->type->dtype), *array = k->var[n->id];
    if (count > MANY) array = name(k, np_ctext(k->mem, "%s_", array), "tile");
    line(k, "%s %s[%lld];%s%s%s", type, array, (long long)(count ? count : 1),
         n->type->rank > 1 ? " /* " : "", n->type->rank > 1 ? shape : "", n->type->rank > 1 ? " */" : "");
    if (count > MANY) line(k, "%s *restrict %s = %s;", type, k->var[n->id], array);
}
static void block(np_ckernel *k, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        switch (n->op) {
        case NP_CONST:
        case NP_SIZE:
        case NP_PICK:
        case NP_WEIGHT:
        case NP_YIELD: break;
        case NP_ALLOC:
            if (np_dim_is(n->attr[0], -2)) local_array(k, n);
            break;
        case NP_STORE: store(k, n); break;
        case NP_LOOP: loop(k, n); break;
        case NP_COND: cond(k, n); break;
        default: value(k, n);
        }
    }
}

/* ---- parameters */
static np_cparam *param_of(np_ckernel *k, const np_node *buf)
{
    for (int i = 0; i < k->nparams; i++)
        if (k->param[i].buf == buf) return &k->param[i];
    if (k->nparams == k->cap) {
        np_cparam *old = k->param;
        k->cap = k->cap ? 2 * k->cap : 16;
        k->param = np_arena_array(k->mem, (size_t)k->cap, sizeof *k->param);
        if (old) memcpy(k->param, old, (size_t)k->nparams * sizeof *old);
    }
    k->param[k->nparams] = (np_cparam){.buf = buf};
    return &k->param[k->nparams++];
}
static void find_params(np_ckernel *k, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        if ((n->op == NP_LOAD || n->op == NP_STORE) && !is_local(n->arg[0]) &&
            (n->op == NP_STORE || k->uses[n->id])) {
            np_cparam *p = param_of(k, n->arg[0]);
            *(n->op == NP_LOAD ? &p->read : &p->written) = true;
        }
        for (int i = 0; i < 2; i++)
            if (n->body[i] && !(n->op == NP_LOOP && never(n))) find_params(k, n->body[i]);
    }
}
/* The last words of a dotted name, without numbers: 2 of "layers.0.u.weight" are u.weight. */
static const char *last_words(np_arena *mem, const char *s, int words)
{
    const char *from = s;
    for (const char *p = s + strlen(s); p > s; p--)
        if (p[-1] == '.' && --words == 0) {
            from = p;
            break;
        }
    while (*from >= '0' && *from <= '9' && strchr(from, '.')) from = strchr(from, '.') + 1;
    return np_ctext(mem, "%s", from);
}
/* What a group made is called like it, unless that says only what every second group does. */
static const char *made_by(np_ckernel *k, const np_node *g)
{
    static const char *const plain[] = {"add",    "sub",   "mul",    "div",      "max",    "min",
                                        "neg",    "cast",  "select", "contract", "reduce", "concat",
                                        "append", "const", "scan",   "gather",   "pad",    "cond"};
    const char *s = g->name ? g->name : g->sym ? last_words(k->mem, g->sym, 1) : "";
    for (size_t i = 0; i < NP_LEN(plain); i++)
        if (strcmp(s, plain[i]) == 0) return NULL;
    return s;
}
static const char *hint_of(np_ckernel *k, const np_cparam *p, const np_node *group)
{
    const np_node *n = p->buf, *maker = NULL;
    if (n->op == NP_WEIGHT) {
        const np_weight *w = np_mod_weight(k->f->mod, n->sym);
        return last_words(k->mem, w->from ? w->from : w->name, 2);
    }
    if (n->name) return last_words(k->mem, n->name, 1);
    if (n->op == NP_CONST) return "table";
    for (const np_node *g = k->f->top.first; g && !maker && n->op == NP_ALLOC; g = g->next)
        if (g->op == NP_GROUP && stores_into(g, n)) maker = g;
    const char *s = made_by(k, maker ? maker : group);
    return s ? s : p->written ? "y" : "x";
}
static const char *signature(np_ckernel *k, const char *fn)
{
    const char *s = np_ctext(k->mem, "static void %s(", fn);
    int width = (int)strlen(s), i;
    for (i = 0; i < k->nparams; i++) {
        const np_cparam *p = &k->param[i];
        bool more = i + 1 < k->nparams || k->uses_T || k->uses_N;
        const char *shape = np_cshape(k->mem, k->file->cx, np_centry_layout(k->f, p->buf));
        s = np_ctext(k->mem, "%s%*s%s%s *restrict %s%s%s%s%s", s, i ? width : 0, "",
                     p->written ? "" : "const ", np_ctype(p->buf->type->dtype), p->name, more ? "," : ")",
                     *shape ? " /* " : "", shape, *shape ? " */\n" : "\n");
    }
    if (k->uses_T || k->uses_N)
        s = np_ctext(k->mem, "%s%*s%s%s%s)\n", s, i ? width : 0, "", k->uses_T ? "int64_t T" : "",
                     k->uses_T && k->uses_N ? ", " : "", k->uses_N ? "int64_t N" : "");
    else if (!k->nparams)
        s = np_ctext(k->mem, "%svoid)\n", s);
    return s;
}
static void write_body(np_ckernel *k, const np_node *g)
{
    const np_fn *f = k->f;
    k->e = np_arena_array(k->mem, f->nnodes + 1, sizeof *k->e);
    k->var = np_arena_array(k->mem, f->nnodes + 1, sizeof *k->var);
    k->parts = np_arena_array(k->mem, f->nnodes + 1, sizeof *k->parts);
    k->nparams = k->nscope = k->nwaiting = k->next = 0;
    k->uses_T = k->uses_N = false;
    find_params(k, g->body[0]);
    for (int i = 0; i < k->nparams; i++)
        k->param[i].name = k->var[k->param[i].buf->id] = name(k, hint_of(k, &k->param[i], g), "x");
    k->depth = 1;
    block(k, g->body[0]);
}

/* ---- functions that exist */
struct np_cmade {
    const char *key, *name;
};
/* The last two words that are no numbers: self_attn_score of "layers.0.self_attn.score". */
static const char *kernel_name(np_cfile *c, const np_node *g)
{
    const char *word[2] = {"", "group"};
    for (const char *p = g->sym ? g->sym : ""; *p;) {
        size_t n = strcspn(p, ".");
        if (strspn(p, "0123456789") < n) word[0] = word[1], word[1] = np_ctext(&c->mem, "%.*s", (int)n, p);
        p += n + (p[n] == '.');
    }
    if (strcmp(word[0], "group") == 0) word[0] = "";
    const char *s = np_ctext(&c->mem, "%s_%s%s%s", c->prefix, word[0], *word[0] ? "_" : "", word[1]);
    return np_cfile_name(c, np_cname(&c->mem, s, "group"));
}
static const char *source_line(const np_program *p, int n, size_t *len)
{
    const char *s = p->source;
    for (int i = 1; s && i < n; i++) {
        s = strchr(s, '\n');
        if (s) s++;
    }
    if (!s || n < 1) return NULL;
    s += strspn(s, " \t");
    *len = strcspn(s, "\n");
    return s;
}
static void came_from(np_cfile *c, np_loc loc)
{
    const char *base = loc.file ? strrchr(loc.file, '/') : NULL, *s;
    size_t len = 0;
    if (!loc.file || !loc.line) return;
    np_text_add(&c->kernels, "/* %s:%d", base ? base + 1 : loc.file, loc.line);
    if (loc.scope && *loc.scope) np_text_add(&c->kernels, " in %s", loc.scope);
    s = source_line(c->p, loc.line, &len);
    if (s && len) {
        np_text_add(&c->kernels, ": ");
        for (size_t i = 0; i < len && i < 120; i++) { /* no end of the comment inside, and no beginning */
            bool mark = i + 1 < len && ((s[i] == '*' && s[i + 1] == '/') || (s[i] == '/' && s[i + 1] == '*'));
            np_text_put(&c->kernels, s + i, 1);
            if (mark) np_text_add(&c->kernels, " ");
        }
        if (len > 120) np_text_add(&c->kernels, "..");
    }
    np_text_add(&c->kernels, " */\n");
}
static const char *made_before(const np_cfile *c, const char *key)
{
    for (int i = 0; i < c->nmade; i++)
        if (strcmp(c->made[i].key, key) == 0) return c->made[i].name;
    return NULL;
}
static void remember(np_cfile *c, const char *key, const char *name)
{
    if (c->nmade == c->made_cap) {
        struct np_cmade *old = c->made;
        c->made_cap = c->made_cap ? 2 * c->made_cap : 64;
        c->made = np_arena_array(&c->mem, (size_t)c->made_cap, sizeof *c->made);
        if (old) memcpy(c->made, old, (size_t)c->nmade * sizeof *old);
    }
    c->made[c->nmade++] = (struct np_cmade){np_ctext(&c->mem, "%s", key), name};
}

np_ccall np_ckernel_call(np_cfile *c, const np_fn *f, const np_node *g)
{
    np_arena mem = {0};
    np_text body = {0};
    np_ckernel k = {.file = c,
                    .mem = &mem,
                    .f = f,
                    .out = &body,
                    .neutral = true,
                    .uses = c->uses,
                    .user = c->user,
                    .range = c->range};
    write_body(&k, g);
    np_ccall r = {.nargs = k.nparams,
                  .arg = np_arena_array(&c->mem, (size_t)k.nparams + 1, sizeof *r.arg),
                  .T = k.uses_T,
                  .N = k.uses_N};
    for (int i = 0; i < k.nparams; i++) r.arg[i] = k.param[i].buf;
    const char *key = np_ctext(&mem, "%s%s", signature(&k, ""), body.s ? body.s : "");
    r.name = made_before(c, key);
    if (!r.name && body.n) {
        r.name = kernel_name(c, g);
        remember(c, key, r.name);
        body.n = 0;
        if (body.s) body.s[0] = 0;
        k.neutral = false;
        write_body(&k, g);
        np_text_add(&c->kernels, "\n");
        came_from(c, g->loc);
        np_text_add(&c->kernels, "%s{\n%s}\n", signature(&k, r.name), body.s ? body.s : "");
    }
    np_text_free(&body);
    np_arena_free(&mem);
    return r;
}
