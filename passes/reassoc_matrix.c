/* The part of reassoc that takes a matrix apart which a scan applies to what depends on
 * its state. TENSOR to TENSOR, over every entry, before orders are chosen:
 *
 *   (diag(d) + u w' + ..) X   =   d X + u (w' X) + ..        (A B) X  =  A (B X)
 *
 * so a step takes K V multiplications instead of K K V, the matrix itself is never made,
 * and `chunk` finds decays, reads and writes. A matrix is looked at wherever it is made,
 * inside the body or for all steps before it: as a sum of terms, each of which is a
 * product of factors that have the rows only, the columns only, or neither; of a
 * diagonal, told by a comparison of row and column; or of two such matrices. If any term
 * is none of these (a matrix of inputs or weights) the whole stays as it is. */
#include "affine.h"

#include <string.h>

enum { LOOKS = 4096, TERMS = 16 };
typedef struct body { /* a scan's, and what depends on its states */
    const np_node *scan;
    np_depend dep;
    struct body *next;
} body;
typedef struct matrices {
    np_arena mem;
    body *list;
    int found;
} matrices;
typedef struct applied { /* a matrix that is applied */
    np_rw *rw;
    np_label l;
    const body *in;
    char rows[NP_LETTERS]; /* letters that only matrices have */
    char fresh;
    int looks, terms;
    bool makes; /* else: is it possible? */
} applied;

/* ---- values of the body, or of all steps: those have the letter t in front */
static const np_node *whole_of(const applied *m, const np_node *n)
{
    const np_node *scan = m->in->scan;
    int64_t seq = scan->attr[0]->k;
    for (int i = 0; i < seq; i++)
        if (scan->body[0]->param[i] == n) return scan->arg[i];
    return NULL;
}
static void with_time(char *out, const char *at)
{
    size_t n = strlen(at);
    memmove(out + 1, at, n + 1);
    out[0] = 't';
}
static void operand_letters(char *out, const np_node *n, int o, const char *to)
{
    const char *spec = o ? strchr(n->sym, ',') + 1 : n->sym;
    int rank = n->arg[o]->type->rank;
    for (int i = 0; i < rank; i++) out[i] = to[(int)spec[i]];
    out[rank] = 0;
}
/* The letters of operand i, if n computes each element from those of the operands at the same place. */
static bool moves(const np_node *n, int i, const char *at, char *out)
{
    if (np_is_elem(n)) {
        strcpy(out, at);
    } else if (n->op == NP_EXPAND) {
        np_label_without(out, at, (int)n->attr[0]->k);
    } else if (n->op == NP_PERMUTE) {
        np_label_before_permute(out, n, at);
    } else if (n->op == NP_CONTRACT && !np_is_sum(n)) {
        char to[NP_LETTERS] = "";
        const char *spec = strstr(n->sym, "->") + 2;
        for (int k = 0; spec[k]; k++) to[(int)spec[k]] = at[k];
        operand_letters(out, n, i, to);
    } else {
        return false;
    }
    return true;
}
/* May n differ along any of the letters? */
static bool varies(applied *m, const np_node *n, const char *at, const char *letters)
{
    char to[NP_LETTERS];
    const np_node *whole = whole_of(m, n);
    if (!strpbrk(at, letters) || (n->op == NP_CONST && !n->data)) return false;
    if (m->looks++ > LOOKS) return true;
    if (whole) {
        with_time(to, at);
        return varies(m, whole, to, letters);
    }
    if (!moves(n, 0, at, to)) return true;
    for (int i = 0; i < n->nargs; i++) {
        moves(n, i, at, to);
        if (varies(m, n->arg[i], to, letters)) return true;
    }
    return false;
}
static np_lab leaf(applied *m, const np_node *n, const char *at)
{
    np_rw *rw = m->rw;
    if (!m->makes) return np_label_of(NULL, at);
    np_lab x = np_label_of(np_rewrite_get(rw, n), at);
    if (!strchr(at, 't')) return x;
    np_block *here = rw->b->at;
    char rest[NP_LETTERS], to[NP_LETTERS];
    np_label_keep(rest, at, "t", false);
    np_label_join(to, "t", rest, "");
    rw->b->at = here->owner->in;
    np_node *first = np_label_to(&m->l, x, to);
    rw->b->at = here;
    return np_label_of(np_build_feed(rw->b, here->owner, first), rest);
}
/* n with no more axes than it needs. */
static np_lab value(applied *m, const np_node *n, const char *at)
{
    char to[NP_LETTERS], own[2] = "";
    bool less = false;
    np_lab x[3];
    const np_node *whole = whole_of(m, n);
    if (n->op == NP_CONST && !n->data && m->makes)
        return np_label_of(np_build_num(m->l.b, np_type_scalar(m->l.b->cx, n->type->dtype), n->num), "");
    for (const char *p = at; *p; p++) {
        own[0] = *p;
        less |= !varies(m, n, at, own);
    }
    if (!less || !m->makes || n->nargs > 3) return leaf(m, n, at);
    if (whole) {
        with_time(to, at);
        return value(m, whole, to);
    }
    if (!moves(n, 0, at, to)) return leaf(m, n, at);
    for (int i = 0; i < n->nargs; i++) {
        moves(n, i, at, to);
        x[i] = value(m, n->arg[i], to);
    }
    if (n->op == NP_CONTRACT) return np_label_mul(&m->l, x[0], x[1]);
    if (n->op == NP_EXPAND || n->op == NP_PERMUTE) return x[0];
    char all[NP_LETTERS] = "";
    for (int i = 0; i < n->nargs; i++)
        for (const char *p = x[i].axes; *p; p++)
            if (!strchr(all, *p)) np_label_join(all, all, (char[]){*p, 0}, "");
    np_node *arg[3];
    for (int i = 0; i < n->nargs; i++) arg[i] = np_label_to(&m->l, x[i], all);
    return np_label_of(np_build_op(m->l.b, n->op, n->nargs, arg, &(np_extra){.sym = n->sym, .num = n->num}),
                       all);
}

/* ---- diagonals */
static bool counts_along(applied *m, const np_node *n, const char *at, char letter)
{
    char to[NP_LETTERS];
    const np_node *whole = whole_of(m, n);
    if (whole) {
        with_time(to, at);
        return counts_along(m, whole, to, letter);
    }
    if (n->op == NP_IOTA) return at[0] == letter && !at[1];
    if (n->op != NP_CAST && n->op != NP_EXPAND && n->op != NP_PERMUTE) return false;
    moves(n, 0, at, to);
    return counts_along(m, n->arg[0], to, letter);
}
/* The row of which n asks whether it is the column; *unlike: whether it is another. 0: n asks something else. */
static char row_of(applied *m, const np_node *n, const char *at, char col, bool *unlike)
{
    char to[2][NP_LETTERS];
    const np_node *whole = whole_of(m, n);
    if (whole) {
        with_time(to[0], at);
        return row_of(m, whole, to[0], col, unlike);
    }
    if (n->op == NP_EXPAND || n->op == NP_PERMUTE || n->op == NP_NOT) {
        moves(n, 0, at, to[0]);
        char row = row_of(m, n->arg[0], to[0], col, unlike);
        *unlike ^= n->op == NP_NOT;
        return row;
    }
    if (n->op != NP_EQ && n->op != NP_NE) return 0;
    *unlike = n->op == NP_NE;
    for (int i = 0; i < 2; i++) moves(n, i, at, to[i]);
    for (const char *p = m->rows; *p; p++)
        for (int i = 0; i < 2; i++)
            if (m->l.dim[(int)*p] == m->l.dim[(int)col] && counts_along(m, n->arg[i], to[i], *p) &&
                counts_along(m, n->arg[!i], to[!i], col))
                return *p;
    return 0;
}
static bool is_zero(const np_node *n)
{
    while (n->op == NP_EXPAND || n->op == NP_PERMUTE) n = n->arg[0];
    return n->op == NP_CONST && !n->data && n->num == 0;
}
typedef struct diagonal { /* a matrix of `n` (NULL: 1) where row and column are the same, else 0 */
    char row;
    const np_node *n;
    char at[NP_LETTERS];
} diagonal;
static bool diagonal_of(applied *m, const np_node *n, const char *at, char col, diagonal *d)
{
    char to[NP_LETTERS];
    bool unlike = false;
    const np_node *whole = whole_of(m, n);
    if (whole) {
        with_time(to, at);
        return diagonal_of(m, whole, to, col, d);
    }
    if (n->op == NP_EXPAND || n->op == NP_PERMUTE || n->op == NP_CAST) {
        moves(n, 0, at, to);
        return diagonal_of(m, n->arg[0], to, col, d);
    }
    d->n = NULL;
    if (n->op != NP_SELECT) return (d->row = row_of(m, n, at, col, &unlike)) && !unlike;
    d->row = row_of(m, n->arg[0], at, col, &unlike);
    if (!d->row || !is_zero(n->arg[unlike ? 1 : 2])) return false;
    d->n = n->arg[unlike ? 2 : 1];
    strcpy(d->at, at);
    return true;
}
/* The diagonal of n as values of the row. False: they are not told apart from the rest of n. */
static bool along(applied *m, const np_node *n, const char *at, char row, char col, np_lab *v)
{
    char own[] = {row, 0}, other[] = {col, 0}, rest[NP_LETTERS];
    np_label_keep(rest, m->rows, own, false);
    if ((varies(m, n, at, own) && varies(m, n, at, other)) || varies(m, n, at, rest)) return false;
    if (!m->makes) return true;
    *v = np_label_rename(value(m, n, at), col, row);
    v->n = np_build_cast(m->l.b, v->n, m->l.dtype);
    return true;
}
/* x, scaled by the diagonal d. */
static bool scale(applied *m, const diagonal *d, char col, np_lab x, np_lab *y)
{
    np_lab v = np_label_one;
    if (d->n && !along(m, d->n, d->at, d->row, col, &v)) return false;
    *y = np_label_rename(x, col, d->row);
    if (m->makes) *y = np_label_mul(&m->l, v, *y);
    return true;
}

/* ---- what it does to x: sum over `col` of n x. False: n is a full matrix. */
static bool apply(applied *m, const np_node *n, const char *at, char col, np_lab x, np_lab *y);

static np_lab times(applied *m, np_lab a, np_lab b)
{
    return m->makes ? np_label_mul(&m->l, a, b) : b;
}
static np_lab over(applied *m, np_op op, np_lab a, np_lab b)
{
    return m->makes ? np_label_op(&m->l, op, 2, (np_lab[]){a, b}) : a;
}
/* The sum over col of n x; n NULL: of x. */
static bool sum(applied *m, const np_node *n, const char *at, char col, np_lab x, np_lab *y)
{
    char axes[NP_LETTERS], out[NP_LETTERS];
    m->terms++;
    if (!m->makes) return *y = x, true;
    np_lab w = n ? value(m, n, at) : np_label_one;
    if (!strchr(w.axes, col) && !strchr(x.axes, col)) {
        np_label_join(axes, x.axes, (char[]){col, 0}, "");
        x = np_label_of(np_label_to(&m->l, x, axes), axes);
    }
    np_label_keep(axes, w.axes, x.axes, false);
    np_label_join(axes, axes, x.axes, "");
    np_label_keep(out, axes, (char[]){col, 0}, false);
    *y = np_label_dot(&m->l, w, x, out);
    return true;
}
static bool apply_sum(applied *m, const np_node *n, const char *at, char col, np_lab x, np_lab *y)
{
    np_lab a, b;
    if (!apply(m, n->arg[0], at, col, x, &a) || !apply(m, n->arg[1], at, col, x, &b)) return false;
    *y = over(m, n->op, a, b);
    return true;
}
static bool apply_product(applied *m, const np_node *n, const char *at, char col, np_lab x, np_lab *y)
{
    char to[2][NP_LETTERS], column[] = {col, 0};
    bool div = n->op == NP_DIV;
    for (int i = 0; i < 2; i++) moves(n, i, at, to[i]);
    for (int i = div; i < 2; i++) { /* a factor of the rows: behind the sum */
        if (varies(m, n->arg[i], to[i], column)) continue;
        if (!apply(m, n->arg[!i], to[!i], col, x, y)) return false;
        np_lab by = value(m, n->arg[i], to[i]);
        *y = div ? over(m, NP_DIV, *y, by) : times(m, by, *y);
        return true;
    }
    for (int i = div; i < 2; i++) { /* of the columns: before it */
        if (varies(m, n->arg[i], to[i], m->rows)) continue;
        np_lab by = value(m, n->arg[i], to[i]);
        return apply(m, n->arg[!i], to[!i], col, div ? over(m, NP_DIV, x, by) : times(m, by, x), y);
    }
    for (int i = 0; i < 2 && !div; i++) { /* only its diagonal counts */
        diagonal d;
        np_lab by = np_label_one;
        if (!diagonal_of(m, n->arg[i], to[i], col, &d)) continue;
        if (!along(m, n->arg[!i], to[!i], d.row, col, &by) || !scale(m, &d, col, x, y)) return false;
        *y = times(m, by, *y);
        return true;
    }
    return false;
}
static bool apply_select(applied *m, const np_node *n, const char *at, char col, np_lab x, np_lab *y)
{
    np_lab a, b;
    char both[NP_LETTERS];
    np_label_join(both, m->rows, (char[]){col, 0}, "");
    if (varies(m, n->arg[0], at, both)) return false;
    if (!apply(m, n->arg[1], at, col, x, &a) || !apply(m, n->arg[2], at, col, x, &b)) return false;
    *y = a;
    if (m->makes) *y = np_label_select(&m->l, value(m, n->arg[0], at), a, b);
    return true;
}
/* Of a matrix that is thin, or of one that is not looked into: as it stands, if that is no larger than what it meets. */
static bool thin(const applied *m, const char *at, char col)
{
    double own = 1;
    int64_t lo, hi, n;
    for (; *at; at++)
        if (strchr(m->rows, *at)) {
            np_dim_range(m->l.dim[(int)*at], &lo, &hi);
            own *= (double)hi;
        }
    return np_dim_int(m->l.dim[(int)col], &n) && own != (double)n;
}
static bool apply_matrices(applied *m, const np_node *n, const char *at, char col, np_lab x, np_lab *y)
{
    char to[NP_LETTERS] = "", side[2][NP_LETTERS], between = 0;
    const char *spec = strstr(n->sym, "->") + 2;
    for (int k = 0; spec[k]; k++) to[(int)spec[k]] = at[k];
    for (const char *p = n->sym; *p != ','; p++) {
        if (to[(int)*p]) continue;
        if (between || !strchr(strchr(n->sym, ','), *p) || m->fresh == 't') return false;
        to[(int)*p] = between = m->fresh++;
        m->l.dim[(int)between] = n->arg[0]->type->dim[p - n->sym];
    }
    for (int o = 0; o < 2; o++) operand_letters(side[o], n, o, to);
    int right = strchr(side[1], col) != NULL; /* the operand that meets x first */
    if (!between || strchr(side[!right], col) || strpbrk(side[right], m->rows)) return false;
    char was[NP_LETTERS];
    strcpy(was, m->rows);
    snprintf(m->rows, sizeof m->rows, "%c", between);
    bool good = apply(m, n->arg[right], side[right], col, x, &x);
    strcpy(m->rows, was);
    return good && apply(m, n->arg[!right], side[!right], between, x, y);
}
static bool apply(applied *m, const np_node *n, const char *at, char col, np_lab x, np_lab *y)
{
    char to[NP_LETTERS], column[] = {col, 0};
    diagonal d;
    const np_node *whole = whole_of(m, n);
    if (m->looks++ > LOOKS || m->terms > TERMS) return false;
    if (!varies(m, n, at, column)) {
        if (!sum(m, NULL, "", col, x, y)) return false;
        if (m->makes) *y = np_label_mul(&m->l, value(m, n, at), *y);
        return true;
    }
    if (!varies(m, n, at, m->rows)) return sum(m, n, at, col, x, y);
    if (diagonal_of(m, n, at, col, &d)) return scale(m, &d, col, x, y);
    if (whole) {
        with_time(to, at);
        return apply(m, whole, to, col, x, y);
    }
    switch (n->op) {
    case NP_ADD:
    case NP_SUB: return apply_sum(m, n, at, col, x, y);
    case NP_NEG:
        if (!apply(m, n->arg[0], at, col, x, y)) return false;
        if (m->makes) *y = np_label_neg(&m->l, *y);
        return true;
    case NP_MUL:
    case NP_DIV: return apply_product(m, n, at, col, x, y);
    case NP_SELECT: return apply_select(m, n, at, col, x, y);
    case NP_EXPAND:
    case NP_PERMUTE: moves(n, 0, at, to); return apply(m, n->arg[0], to, col, x, y);
    case NP_CONTRACT:
        if (!np_is_sum(n)) return apply_product(m, n, at, col, x, y);
        if (apply_matrices(m, n, at, col, x, y)) return true;
        break;
    default: break;
    }
    return thin(m, at, col) && sum(m, n, at, col, x, y);
}

/* ---- where */
static const body *body_of(const matrices *k, const np_node *n)
{
    const body *b = k->list;
    while (b && b->scan->body[0] != n->in) b = b->next;
    return b;
}
/* A X in the body: sum over one letter of two factors, of which only the second depends on a state. */
typedef struct application {
    const np_node *a, *x;
    char a_at[NP_LETTERS], x_at[NP_LETTERS], out[NP_LETTERS];
} application;
static bool application_of(applied *m, const np_node *n, application *p)
{
    const bool contracts = n->op == NP_CONTRACT;
    const np_node *by = contracts ? n : n->arg[0];
    char at[2][NP_LETTERS], to[NP_LETTERS] = "";
    for (int k = 0; k < n->type->rank; k++) {
        char c = p->out[k] = m->fresh++;
        m->l.dim[(int)c] = n->type->dim[k];
        if (contracts) to[(int)strstr(n->sym, "->")[2 + k]] = c;
    }
    p->out[n->type->rank] = 0;
    if (!contracts) {
        char c = m->fresh++;
        int k = (int)n->attr[0]->k;
        m->l.dim[(int)c] = by->type->dim[k];
        for (int o = 0; o < 2; o++) snprintf(at[o], sizeof at[o], "%.*s%c%s", k, p->out, c, p->out + k);
    }
    for (int o = 0; o < 2 && contracts; o++) {
        const char *spec = o ? strchr(n->sym, ',') + 1 : n->sym;
        for (int k = 0; k < n->arg[o]->type->rank; k++) {
            if (!to[(int)spec[k]]) to[(int)spec[k]] = m->fresh++;
            m->l.dim[(int)to[(int)spec[k]]] = n->arg[o]->type->dim[k];
        }
        operand_letters(at[o], n, o, to);
    }
    const uint32_t *any = m->in->dep.any;
    int o = any[by->arg[0]->id] != 0; /* which is the matrix */
    if (any[by->arg[o]->id] || !any[by->arg[!o]->id]) return false;
    p->a = by->arg[o], p->x = by->arg[!o];
    strcpy(p->a_at, at[o]), strcpy(p->x_at, at[!o]);
    for (; (p->x->op == NP_EXPAND || p->x->op == NP_PERMUTE) && p->x->in == n->in; p->x = p->x->arg[0])
        moves(p->x, 0, strcpy(to, p->x_at), p->x_at);
    return true;
}
static np_node *in_parts(np_rw *rw, const body *in, const np_node *n)
{
    char sums[NP_LETTERS], cols[NP_LETTERS];
    applied m = {.rw = rw, .in = in, .fresh = 'a', .l = {.b = rw->b, .dtype = n->type->dtype}};
    application p;
    np_lab y;
    if (!application_of(&m, n, &p)) return NULL;
    np_label_join(sums, p.a_at, p.x_at, "");
    np_label_keep(sums, sums, p.out, false);
    np_label_keep(cols, p.a_at, p.out, false);
    for (const char *c = sums; *c; c++)
        if (*c != *cols) return NULL;
    if (strlen(cols) != 1 || !strchr(p.x_at, *cols)) return NULL;
    for (const char *c = p.a_at; *c; c++)
        if (!strchr(p.x_at, *c) && varies(&m, p.a, p.a_at, (char[]){*c, 0}))
            np_label_join(m.rows, m.rows, (char[]){*c, 0}, "");
    if (!*m.rows || !varies(&m, p.a, p.a_at, cols) || thin(&m, p.a_at, *cols)) return NULL;
    np_lab x = np_label_of(np_rewrite_get(rw, p.x), p.x_at);
    char first = m.fresh;
    if (!apply(&m, p.a, p.a_at, *cols, x, &y)) return NULL;
    m.makes = true;
    m.looks = m.terms = 0;
    m.fresh = first;
    if (!apply(&m, p.a, p.a_at, *cols, x, &y)) np_bug(rw->b->cx, "a matrix comes apart once and not twice");
    np_note(rw->b->cx, n->loc, "@%s: a matrix is applied in parts, diagonal or of low rank, and not made",
            rw->b->fn->name);
    return np_label_to(&m.l, y, p.out);
}
static bool sums_products(const np_node *n)
{
    if (n->type->tuple || np_dtype_class(n->type->dtype) != 'F') return false;
    if (n->op == NP_CONTRACT) return np_is_sum(n);
    return n->op == NP_REDUCE && strcmp(n->sym, "sum") == 0 && n->arg[0]->op == NP_MUL &&
           n->arg[0]->in == n->in;
}
static np_node *rule(np_rw *rw, const np_node *n, np_node *const *arg)
{
    matrices *k = rw->env;
    (void)arg;
    if (n->op == NP_SCAN && n->nargs > n->attr[0]->k) {
        body *b = np_arena_alloc(&k->mem, sizeof *b);
        *b = (body){.scan = n, .next = k->list};
        np_affine_depend(rw->old, n, -1, &b->dep, &k->mem);
        k->list = b;
        return NULL;
    }
    const body *in = sums_products(n) ? body_of(k, n) : NULL;
    np_node *now = in ? in_parts(rw, in, n) : NULL;
    k->found += now != NULL;
    return now;
}

/* ---- what scans no longer read */
static void drop_unread(np_cx *cx, np_block *b, const int *uses)
{
    for (np_node *n = b->first; n; n = n->next) {
        for (int i = 0; i < 2; i++)
            if (n->body[i]) drop_unread(cx, n->body[i], uses);
        if (n->op != NP_SCAN) continue;
        int seq = (int)n->attr[0]->k, k = 0;
        for (int i = 0; i < n->nargs; i++) {
            np_node *p = n->body[0]->param[i];
            if (i < seq && !uses[p->id]) continue;
            n->arg[k] = n->arg[i], n->body[0]->param[k++] = p;
        }
        n->attr[0] = np_dim_const(cx, seq - (n->nargs - k));
        n->nargs = n->body[0]->nparams = k;
    }
}
np_fn *np_reassoc_matrices(const np_fn *f)
{
    matrices k = {0};
    np_fn *now = np_rewrite(f, rule, &k);
    if (k.found) {
        drop_unread(f->cx, &now->top, np_find_uses(now, &k.mem));
        np_fn_sweep(now);
    }
    np_arena_free(&k.mem);
    if (k.found) return now;
    np_fn_free(now);
    return NULL;
}
