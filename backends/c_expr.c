/* Expressions of C from scalar operations: the table of spellings, parentheses
 * where they are needed, casts, and places in buffers. */
#include "c.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static const struct spelling {
    const char *bools, *ints, *wrap, *floats;
} spell[NP_NOPS] = {
#define NP_SPELL(id, bools, ints, wrap, floats) [NP_##id] = {bools, ints, wrap, floats},
#include "c_spell.def"
#undef NP_SPELL
};
static const char *form_of(np_op op, np_dtype d)
{
    char c = np_dtype_class(d);
    return c == 'B' ? spell[op].bools : c == 'I' ? spell[op].ints : spell[op].floats;
}
/* d: the type of the operands (of what is chosen, for select). */
bool np_cexpr_spelled(np_op op, np_dtype d)
{
    switch (np_op_info(op)->cls) {
    case NP_ELEM: return form_of(op, d) != NULL;
    case NP_LEAF: return op == NP_CONST || op == NP_WEIGHT || op == NP_SIZE || op == NP_PARAM;
    case NP_LOOPS: return true;
    case NP_CTRL: return op != NP_CALL;
    default: return op == NP_COND;
    }
}

/* ---- levels */
static np_clevel level_of(const char *form)
{
    size_t n = strlen(form);
    if (isalpha((unsigned char)form[0]) && form[n - 1] == ')') return NP_C_PRIMARY;
    if (strchr(form, '?')) return NP_C_CHOICE;
    if (strpbrk(form, "&|^") || strstr(form, "<<") || strstr(form, ">>")) return NP_C_BITS;
    if (strstr(form, "==") || strstr(form, "!=")) return NP_C_EQUAL;
    if (strchr(form, '<')) return NP_C_LESS;
    if (strpbrk(form, "+") || strstr(form, " - ")) return NP_C_ADD;
    if (strpbrk(form, "*/%")) return NP_C_MUL;
    return NP_C_UNARY;
}
/* How loose operand `which` of a form of that level may be. Compilers warn of
 * what C's grammar allows between bits and comparisons: those get parentheses. */
static np_clevel operand_level(const char *form, char which)
{
    const char *p = form; /* where the operand stands: a letter that is no part of a name */
    while (*p != which || isalpha((unsigned char)p[1]) || (p > form && isalpha((unsigned char)p[-1]))) p++;
    bool begins = p > form && (p[-1] == '(' || (p[-1] == ' ' && p[-2] == ','));
    if (begins && (p[1] == ')' || p[1] == ',')) return NP_C_CHOICE; /* an argument of its own */
    switch (level_of(form)) {
    case NP_C_UNARY: return NP_C_PRIMARY;
    case NP_C_ADD: return which == 'a' ? NP_C_ADD : NP_C_MUL;
    case NP_C_LESS:
    case NP_C_EQUAL: return NP_C_ADD;
    case NP_C_BITS: return NP_C_UNARY;
    case NP_C_CHOICE: return NP_C_EQUAL;
    default:
        return which == 'a' && p[1] == ' ' ? NP_C_MUL : which == 'a' && p[1] == '*' ? NP_C_MUL : NP_C_UNARY;
    }
}
const char *np_cexpr_in(np_ckernel *k, np_cexpr e, np_clevel most)
{
    return e.level <= most ? e.text : np_ctext(k->mem, "(%s)", e.text);
}

/* ---- sizes */
static np_cexpr expr(const char *text, np_clevel level, bool small)
{
    return (np_cexpr){.text = text, .level = level, .small = small, .plain = true};
}
static np_cexpr number(np_ckernel *k, np_dtype d, double v)
{
    const char *s = np_cnumber(k->mem, d, v);
    np_clevel level = s[0] == '-' ? NP_C_UNARY : NP_C_PRIMARY;
    return expr(s, level, np_dtype_class(d) != 'F' && fabs(v) < 0x1p31);
}
/* c*ceil(x/q) - c*j is c*floor((x + q-1 - j*q)/q): the form in which people write rounding down. */
static bool rounded_down(np_ckernel *k, const np_dim *d, np_cexpr *out)
{
    const np_dim *m = d->nargs == 1 ? d->arg[0] : NULL;
    int64_t c = m && m->kind == NP_DIM_MUL ? m->k : 1, lo, hi;
    if (m && m->kind == NP_DIM_MUL && m->nargs == 1) m = m->arg[0];
    if (!m || m->kind != NP_DIM_CEIL || d->k >= 0 || c < 1 || -d->k % c != 0) return false;
    np_cx *cx = k->file->cx;
    const np_dim *x = np_dim_add(cx, m->arg[0], np_dim_const(cx, m->k - 1 + d->k / c * m->k));
    np_dim_range(x, &lo, &hi);
    if (lo < 0) return false;
    const char *s =
        np_ctext(k->mem, "%s / %lld", np_cexpr_in(k, np_cexpr_dim(k, x), NP_C_MUL), (long long)m->k);
    *out = expr(c == 1 ? s : np_ctext(k->mem, "%s * %lld", s, (long long)c), NP_C_MUL, false);
    return true;
}
static np_cexpr chain(np_ckernel *k, const np_dim *d)
{
    bool sum = d->kind == NP_DIM_ADD;
    const char *s = NULL;
    np_cexpr down;
    if (sum && rounded_down(k, d, &down)) return down;
    if (!sum && d->k != 1) s = np_ctext(k->mem, "%lld", (long long)d->k);
    for (int i = 0; i < d->nargs; i++) {
        const char *t = np_cexpr_in(k, np_cexpr_dim(k, d->arg[i]), sum ? NP_C_MUL : NP_C_UNARY);
        if (!s)
            s = t;
        else if (sum && t[0] == '-')
            s = np_ctext(k->mem, "%s - %s", s, t + 1);
        else
            s = np_ctext(k->mem, sum ? "%s + %s" : "%s*%s", s, t);
    }
    if (sum && d->k)
        s = np_ctext(k->mem, "%s %c %lld", s, d->k < 0 ? '-' : '+', (long long)(d->k < 0 ? -d->k : d->k));
    return expr(s, sum ? NP_C_ADD : NP_C_MUL, false);
}
np_cexpr np_cexpr_dim(np_ckernel *k, const np_dim *d)
{
    switch (d->kind) {
    case NP_DIM_CONST: return number(k, NP_I64, (double)d->k);
    case NP_DIM_SYM:
        if (d == k->file->T)
            k->uses_T = true;
        else if (d == k->file->N)
            k->uses_N = true;
        else
            np_bug(k->file->cx, "the size %s is free in what is to be C", d->name);
        return expr(d->role == NP_ROLE_TIME ? "T" : "N", NP_C_PRIMARY, false);
    case NP_DIM_CEIL: {
        const char *x = np_cexpr_in(k, np_cexpr_dim(k, d->arg[0]), NP_C_ADD);
        return expr(np_ctext(k->mem, "(%s + %lld) / %lld", x, (long long)d->k - 1, (long long)d->k), NP_C_MUL,
                    false);
    }
    case NP_DIM_MIN:
    case NP_DIM_MAX: {
        const char *f = np_chelp_call(k->file, d->kind == NP_DIM_MIN ? "min" : "max", NP_I64);
        return expr(np_ctext(k->mem, "%s(%s, %s)", f, np_cexpr_dim(k, d->arg[0]).text,
                             np_cexpr_dim(k, d->arg[1]).text),
                    NP_C_PRIMARY, false);
    }
    default: return chain(k, d);
    }
}

/* ---- operations */
static bool provable(const np_ckernel *k, const np_node *n)
{
    np_dtype d = n->type->dtype;
    np_crange a = k->range[n->arg[0]->id], b = k->range[n->arg[n->nargs - 1]->id], r;
    double width = 8 * np_dtype_size(d);
    switch (n->op) {
    case NP_IDIV:
    case NP_MOD: return a.lo >= 0 && b.lo >= 1 && a.hi <= 0x1p53 && b.hi <= 0x1p53;
    case NP_SHR: return b.lo >= 0 && b.hi < width;
    case NP_SHL:
        r = (np_crange){0, ldexp(a.hi, (int)fmin(b.hi, 100))};
        return a.lo >= 0 && b.lo >= 0 && b.hi < width && np_crange_fits(r, d);
    case NP_ADD: r = (np_crange){a.lo + b.lo, a.hi + b.hi}; break;
    case NP_SUB: r = (np_crange){a.lo - b.hi, a.hi - b.lo}; break;
    case NP_MUL: {
        double m = fmax(fabs(a.lo), fabs(a.hi)) * fmax(fabs(b.lo), fabs(b.hi));
        r = (np_crange){a.lo >= 0 && b.lo >= 0 ? 0 : -m, m};
        break;
    }
    case NP_NEG: r = (np_crange){-a.hi, -a.lo}; break;
    default: return true;
    }
    return np_crange_fits(r, d);
}
static bool is_half(np_dtype d)
{
    return d == NP_F16 || d == NP_BF16;
}
static np_cexpr call(np_ckernel *k, const char *f, np_dtype d, const char *arg)
{
    return (np_cexpr){.text = np_ctext(k->mem, "%s(%s)", np_chelp_call(k->file, f, d), arg),
                      .level = NP_C_PRIMARY};
}
static np_cexpr rounded(np_ckernel *k, np_dtype d, const char *x)
{
    np_cexpr e = call(k, "round", d, x);
    e.raw = x;
    return e;
}
static np_cexpr cast(np_ckernel *k, const np_node *n)
{
    np_dtype to = n->type->dtype, from = n->arg[0]->type->dtype;
    np_cexpr x = np_cexpr_get(k, n->arg[0]);
    bool whole = np_dtype_class(from) != 'F', integer = np_dtype_class(to) == 'I';
    const char *as = np_ctext(k->mem, "(%s)%s", np_cvalue(to), np_cexpr_in(k, x, NP_C_UNARY));
    if (to == from) return x;
    if (to == NP_BOOL)
        return (np_cexpr){.text = np_ctext(k->mem, "%s != 0", np_cexpr_in(k, x, NP_C_ADD)),
                          .level = NP_C_EQUAL,
                          .small = true,
                          .plain = x.plain};
    if (whole && integer) { /* C widens by itself; int is kept as such, as vectors of it are twice as wide */
        bool fits = from == NP_BOOL || np_crange_fits(k->range[n->arg[0]->id], to);
        if (fits && (to == NP_I64 || x.small)) return x;
        return (np_cexpr){.text = as, .level = NP_C_UNARY, .small = to != NP_I64};
    }
    if (integer) {
        if (to == NP_I32 || to == NP_I64) return call(k, "to", to, x.text);
        x = call(k, "to", NP_I32, x.text);
        return (np_cexpr){
            .text = np_ctext(k->mem, "(%s)%s", np_ctype(to), x.text), .level = NP_C_UNARY, .small = true};
    }
    if (is_half(to)) {
        np_crange r = k->range[n->arg[0]->id];
        bool exact = from == NP_F32 || is_half(from) || (whole && r.lo >= -0x1p24 && r.hi <= 0x1p24);
        return rounded(
            k, to,
            exact ? whole ? as : x.text
                  : call(k, "odd", NP_F64,
                         whole ? np_ctext(k->mem, "(double)%s", np_cexpr_in(k, x, NP_C_UNARY)) : x.text)
                        .text);
    }
    if (to == NP_F32 && is_half(from)) return x;
    return (np_cexpr){.text = as, .level = NP_C_UNARY, .plain = x.plain};
}
static bool is_exact(np_op op)
{
    return op == NP_NEG || op == NP_ABS || op == NP_MIN || op == NP_MAX || op == NP_SELECT || op == NP_FLOOR;
}
/* The form with its operands, functions and ones. d: the type that is computed with. */
static const char *fill(np_ckernel *k, const np_node *n, const char *form, np_dtype d, bool widen)
{
    np_text t = {0};
    for (const char *p = form; *p;) {
        size_t len = 1;
        while (isalpha((unsigned char)*p) && (isalnum((unsigned char)p[len]))) len++;
        if (len > 1)
            np_text_add(&t, "%s", np_chelp_call(k->file, np_ctext(k->mem, "%.*s", (int)len, p), d));
        else if (*p == '1')
            np_text_add(&t, "%s", np_cnumber(k->mem, d, 1)), len = 3;
        else if (isalpha((unsigned char)*p)) {
            bool sum =
                *p == 'b' && strcmp(form, "a + b") == 0 && d == NP_I64; /* of indices: far from overflow */
            np_clevel most = sum ? NP_C_ADD : operand_level(form, *p);
            np_cexpr e = np_cexpr_get(k, n->arg[*p - 'a']);
            if (widen && *p == 'a')
                np_text_add(&t, "(int64_t)%s", np_cexpr_in(k, e, NP_C_UNARY));
            else if (*p == 'b' && e.text[0] == '-' && e.level == NP_C_UNARY && strcmp(form, "a + b") == 0) {
                t.s[t.n - 2] = '-'; /* x + -1 */
                np_text_add(&t, "%s", e.text + 1);
            } else
                np_text_add(&t, "%s", np_cexpr_in(k, e, most));
        } else
            np_text_put(&t, p, 1);
        p += len;
    }
    const char *s = np_ctext(k->mem, "%s", t.s ? t.s : "");
    np_text_free(&t);
    return s;
}
/* x + 0, x * 1: of loops that run once */
static bool nothing_done(np_ckernel *k, const np_node *n, np_cexpr *out)
{
    if ((n->op != NP_ADD && n->op != NP_MUL) || np_dtype_class(n->type->dtype) != 'I') return false;
    for (int i = 0; i < 2; i++) {
        np_cexpr e = np_cexpr_get(k, n->arg[i]);
        if (strcmp(e.text, n->op == NP_ADD ? "0" : "1") != 0) continue;
        *out = np_cexpr_get(k, n->arg[1 - i]);
        return true;
    }
    return false;
}
np_cexpr np_cexpr_make(np_ckernel *k, const np_node *n)
{
    np_cexpr same;
    if (n->op == NP_CAST) return cast(k, n);
    if (nothing_done(k, n, &same)) return same;
    np_dtype result = n->type->dtype, d = n->op == NP_SELECT ? result : n->arg[0]->type->dtype;
    const char *form = form_of(n->op, d), *wrap = spell[n->op].wrap;
    np_cexpr e = {.small = result != NP_I64, .plain = true};
    if (!form)
        np_bug(k->file->cx, "C has no spelling for %s of %s", np_op_info(n->op)->text, np_dtype_text(d));
    bool ints = np_dtype_class(d) == 'I', small = ints;
    for (int i = 0; i < n->nargs; i++) {
        np_cexpr a = np_cexpr_get(k, n->arg[i]);
        e.plain &= a.plain;
        small &= a.small;
    }
    if (ints && wrap && !provable(k, n)) {
        form = np_ctext(k->mem, n->nargs == 1 ? "%s(a)" : "%s(a, b)", wrap);
        e.plain = false;
    }
    bool infix = form[strlen(form) - 1] != ')', widen = false;
    if (ints && np_dtype_class(result) == 'I' && infix && d == NP_I64) {
        bool fits = np_crange_fits(k->range[n->id], NP_I32);
        widen = small && !fits;
        e.small = small && fits;
    }
    np_dtype in = is_half(d) ? NP_F32 : d;
    e.text = fill(k, n, form, in, widen);
    e.level = level_of(form);
    if (!infix || n->op == NP_SELECT) e.plain = false;
    if (ints && np_dtype_class(result) == 'I' && infix && np_dtype_size(d) == 1 && n->op != NP_SELECT &&
        (n->op == NP_NOT)) {
        e.text = np_ctext(k->mem, "(%s)%s", np_ctype(d), np_cexpr_in(k, e, NP_C_UNARY));
        e.level = NP_C_UNARY;
    }
    return is_half(result) && !is_exact(n->op) ? rounded(k, result, e.text) : e;
}
np_cexpr np_cexpr_get(np_ckernel *k, const np_node *n)
{
    if (k->e[n->id].text) return k->e[n->id];
    if (n->op == NP_CONST && n->type->rank == 0) return number(k, n->type->dtype, n->num);
    if (n->op == NP_SIZE) return np_cexpr_dim(k, n->attr[0]);
    if (n->op == NP_PICK)
        return (np_cexpr){
            .text = k->parts[n->arg[0]->id][n->attr[0]->k], .small = n->type->dtype != NP_I64, .plain = true};
    if (n->in == &k->f->top && np_is_elem(n))
        return k->e[n->id] = np_cexpr_make(k, n); /* arithmetic of sizes */
    np_bug(k->file->cx, "a value made by %s is used before it is written", np_op_info(n->op)->text);
}

/* ---- places: ((i*d1 + j)*d2 + k), zeros left out */
typedef struct place {
    const char *sum; /* NULL: 0 so far */
    np_clevel level;
    bool small, constant; /* constant: it is `value` */
    int64_t value;
} place;
static void set(np_ckernel *k, place *p, int64_t v)
{
    *p = (place){
        .sum = np_ctext(k->mem, "%lld", (long long)v), .small = p->small, .constant = true, .value = v};
    p->level = v < 0 ? NP_C_UNARY : NP_C_PRIMARY;
}
static void scale(np_ckernel *k, place *p, const np_dim *d)
{
    int64_t v;
    if (!p->sum) return;
    np_cexpr by = np_cexpr_dim(k, d);
    if (p->constant && np_dim_int(d, &v)) {
        set(k, p, p->value * v);
        return;
    }
    if (p->constant && p->value == 1) {
        *p = (place){.sum = by.text, .level = by.level, .small = p->small && by.small};
        return;
    }
    p->constant = false;
    np_cexpr e = {.text = p->sum, .level = p->level};
    p->sum = np_ctext(k->mem, "%s*%s", np_cexpr_in(k, e, NP_C_MUL), np_cexpr_in(k, by, NP_C_UNARY));
    p->level = NP_C_MUL;
    p->small &= by.small;
}
static void shift(np_ckernel *k, place *p, const np_node *n)
{
    np_cexpr i = np_cexpr_get(k, n);
    if (strcmp(i.text, "0") == 0) return;
    if (n->op == NP_CONST && (!p->sum || p->constant)) {
        set(k, p, p->value + (int64_t)n->num);
        return;
    }
    p->constant = false;
    bool minus = i.text[0] == '-' && i.level == NP_C_UNARY;
    if (p->sum) {
        p->sum = np_ctext(k->mem, "%s %c %s", p->sum, minus ? '-' : '+',
                          minus ? i.text + 1 : np_cexpr_in(k, i, NP_C_ADD));
        p->level = NP_C_ADD;
    } else {
        p->sum = i.text;
        p->level = i.level;
    }
    p->small &= i.small;
}
const char *np_cexpr_place(np_ckernel *k, const np_node *buf, int n, np_node *const *index)
{
    const np_type *t = np_centry_layout(k->f, buf);
    const char *name = k->var[buf->id];
    np_cx *cx = k->file->cx;
    if (n == 0) return np_ctext(k->mem, "%s[0]", name);
    int64_t lo, hi;
    np_dim_range(np_type_count(cx, t), &lo, &hi);
    place p = {.small = true};
    const np_dim
        *by[NP_RANK + 1]; /* sizes of axes since the last index that is not 0: numbers as one, the first */
    int nby = 1;
    by[0] = np_dim_const(cx, 1);
    for (int i = 0; i < n; i++) {
        if (np_dim_int(t->dim[i], &lo))
            by[0] = np_dim_mul(cx, by[0], t->dim[i]);
        else
            by[nby++] = t->dim[i];
        if (i + 1 < n && (np_dim_is(t->dim[i], 1) || strcmp(np_cexpr_get(k, index[i]).text, "0") == 0))
            continue;
        for (int m = 0; m < nby; m++)
            if (!np_dim_is(by[m], 1)) scale(k, &p, by[m]);
        shift(k, &p, index[i]);
        by[0] = np_dim_const(cx, 1);
        nby = 1;
    }
    if (!p.sum) p.sum = "0";
    if (p.small && hi > INT32_MAX) p.sum = np_ctext(k->mem, "(int64_t)%s", p.sum); /* the first factor */
    return np_ctext(k->mem, "%s[%s]", name, p.sum);
}
