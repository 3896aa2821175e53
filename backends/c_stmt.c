/* Statements of a group: names, values in variables, stores. A value that is used
 * once is part of the expression that uses it; others get a variable.
 *
 * A value waits until its one use is written. What it loads must not change
 * meanwhile, so before a statement stores into a buffer, values that wait and
 * read the buffer are written down. */
#include "c.h"

#include <string.h>

/* Letters of an expression that is part of another. */
enum { LONGEST = 64 };
enum { MANY = 256 }; /* elements that no registers hold */

/* ---- names */
bool np_cstmt_taken(const np_ckernel *k, const char *s)
{
    for (int i = 0; i < k->nscope; i++)
        if (strcmp(k->scope[i], s) == 0) return true;
    return np_creserved(s);
}
const char *np_cstmt_name(np_ckernel *k, const char *hint, const char *other)
{
    const char *want = k->neutral ? np_ctext(k->mem, "v%d", k->next++) : np_cname(k->mem, hint, other),
               *s = want;
    int letters = (int)strlen(want);
    while (letters > 1 && want[letters - 1] >= '0' && want[letters - 1] <= '9') letters--;
    for (int i = 2; np_cstmt_taken(k, s); i++) s = np_cother(k->mem, want, letters, "", i);
    k->scope = np_arena_more(k->mem, k->scope, k->nscope, sizeof *k->scope);
    return k->scope[k->nscope++] = s;
}
bool np_cstmt_is_local(const np_node *buf)
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
    case NP_LOAD:
        return n->arg[0]->op == NP_WEIGHT ? "w" : np_cstmt_is_local(n->arg[0]) ? "v" : k->var[n->arg[0]->id];
    default: return "v";
    }
}

/* ---- lines */
void np_cstmt_line(np_ckernel *k, const char *fmt, ...)
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
    k->waiting = np_arena_more(k->mem, k->waiting, k->nwaiting, sizeof *k->waiting);
    k->waiting[k->nwaiting++] = n;
}
void np_cstmt_done(np_ckernel *k, const np_node *n)
{
    for (int i = k->nwaiting - 1; i >= 0; i--) {
        if (k->waiting[i] != n) continue;
        memmove(k->waiting + i, k->waiting + i + 1, (size_t)(--k->nwaiting - i) * sizeof *k->waiting);
        return;
    }
}
/* The expression for an operand of the statement that is being written. */
np_cexpr np_cstmt_take(np_ckernel *k, const np_node *n)
{
    np_cstmt_done(k, n);
    return np_cexpr_get(k, n);
}
static void write_down(np_ckernel *k, const np_node *n)
{
    np_cexpr e = k->e[n->id];
    const char *s = np_cstmt_name(k, n->name, usual_name(k, n));
    np_cstmt_line(k, "const %s %s = %s;",
                  np_dtype_class(n->type->dtype) == 'I' && n->type->dtype == NP_I64 && e.small
                      ? "int"
                      : np_cvalue(n->type->dtype),
                  s, e.text);
    k->var[n->id] = s;
    k->e[n->id] = (np_cexpr){.text = s, .level = NP_C_PRIMARY, .small = e.small, .plain = true};
}
bool np_cstmt_stores_into(const np_node *n, const np_node *buf)
{
    if (n->op == NP_STORE && n->arg[0] == buf) return true;
    for (int i = 0; i < 2; i++)
        for (const np_node *s = n->body[i] ? n->body[i]->first : NULL; s; s = s->next)
            if (np_cstmt_stores_into(s, buf)) return true;
    return false;
}
/* Does the expression of n, as far as it is not in a variable, read what s stores into? */
static bool disturbed(const np_ckernel *k, const np_node *n, const np_node *s)
{
    if (k->var[n->id] || !(np_is_elem(n) || n->op == NP_LOAD)) return false;
    if (n->op == NP_LOAD && np_cstmt_stores_into(s, n->arg[0])) return true;
    for (int i = n->op == NP_LOAD; i < n->nargs; i++)
        if (disturbed(k, n->arg[i], s)) return true;
    return false;
}
void np_cstmt_settle(np_ckernel *k, const np_node *statement)
{
    for (int i = 0; i < k->nwaiting; i++) {
        const np_node *n = k->waiting[i];
        if (!disturbed(k, n, statement)) continue;
        np_cstmt_done(k, n);
        write_down(k, n);
        i--;
    }
}

/* ---- statements */
/* Does the expression of n, as far as it is not in a variable, read memory? */
static bool reads(const np_ckernel *k, const np_node *n)
{
    if (k->var[n->id] || n->op == NP_LOAD) return !k->var[n->id];
    for (int i = 0; i < n->nargs && np_is_elem(n); i++)
        if (reads(k, n->arg[i])) return true;
    return false;
}
void np_cstmt_value(np_ckernel *k, const np_node *n)
{
    if (k->uses[n->id] == 0) return;
    np_cexpr e;
    for (int i = 1; i < n->nargs && n->op == NP_SELECT;
         i++) { /* what is read whatever is chosen keeps loops straight */
        if (!reads(k, n->arg[i])) continue;
        np_cstmt_done(k, n->arg[i]);
        write_down(k, n->arg[i]);
    }
    for (int i = 0; i < n->nargs; i++)
        if (!(n->op == NP_LOAD && i == 0)) np_cstmt_done(k, n->arg[i]);
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
    size_t most = user->op == NP_STORE || user->op == NP_YIELD ? NP_CWIDTH - 10 : LONGEST;
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
void np_cstmt_store(np_ckernel *k, const np_node *n)
{
    const np_node *buf = n->arg[0];
    for (int i = 2; i < n->nargs; i++) np_cstmt_take(k, n->arg[i]);
    const char *to = np_cexpr_place(k, buf, n->nargs - 2, n->arg + 2);
    np_cexpr e = np_cstmt_take(k, n->arg[1]);
    const char *v = e.text;
    np_dtype d = buf->type->dtype;
    if (d == NP_F16 || d == NP_BF16)
        v = np_ctext(k->mem, "%s(%s)", np_chelp_call(k->file, "to", d), e.raw ? e.raw : v);
    np_cstmt_settle(k, n);
    const char *op, *more = added(k, n, to, &op);
    if (more)
        np_cstmt_line(k, "%s %s %s;", to, op, more);
    else
        np_cstmt_line(k, "%s = %s;", to, v);
}
void np_cstmt_prefetch(np_ckernel *k, const np_node *n)
{
    for (int i = 1; i < n->nargs; i++) np_cstmt_take(k, n->arg[i]);
    np_cstmt_line(k, "np_prefetch(&%s);", np_cexpr_place(k, n->arg[0], n->nargs - 1, n->arg + 1));
}
/* An array that no registers hold is reached through a pointer of its own: gcc keeps sums in registers beside it then. */
void np_cstmt_array(np_ckernel *k, const np_node *n)
{
    int64_t count = 1, d;
    for (int i = 0; i < n->type->rank; i++) count *= np_dim_int(n->type->dim[i], &d) ? d : 0;
    k->var[n->id] = np_cstmt_name(k, n->name, "acc");
    const char *shape = np_cshape(k->mem, k->file->cx, n->type);
    const char *type = np_ctype(n->type->dtype), *array = k->var[n->id];
    if (count > MANY) array = np_cstmt_name(k, np_ctext(k->mem, "%s_", array), "tile");
    np_cstmt_line(k, "%s %s[%lld];%s%s%s", type, array, (long long)(count ? count : 1),
                  n->type->rank > 1 ? " /* " : "", n->type->rank > 1 ? shape : "",
                  n->type->rank > 1 ? " */" : "");
    if (count > MANY) np_cstmt_line(k, "%s *restrict %s = %s;", type, k->var[n->id], array);
}
