/* affine: reads the body of a scan as linear forms of its states (affine.h).
 *
 * A value of the body is *state-like* if it is a state, scaled, moved, added to:
 * it has a coefficient for each state and for each written value, and the forms
 * of sums, products with what does not depend on a state, selections and
 * broadcasts follow from those of their operands. A sum over axes of a
 * state-like value is a *read*. What is added to a state-like value is a
 * *write*: a product of factors, those with axes that reads sum over make w,
 * the others b, one of which may be affine in reads of the same step.
 *
 * So the order in which a body decays, reads and writes needs no thought: a
 * read before a write has no coefficient for it. What is not affine is refused
 * with the node that is to blame. */
#include "affine.h"

#include <string.h>

typedef struct np_form {
    char at[NP_RANK + 1]; /* letters of the node's axes */
    np_lab s[NP_STATES], w[NP_WRITES];
} form;

/* ---- who depends on what */
static bool passes_form(np_op op)
{
    switch (op) {
    case NP_ADD:
    case NP_SUB:
    case NP_NEG:
    case NP_MUL:
    case NP_DIV:
    case NP_SELECT:
    case NP_EXPAND:
    case NP_PERMUTE: return true;
    default: return false;
    }
}
static void depend_block(np_depend *d, const np_block *b, uint32_t *inside)
{
    for (const np_node *n = b->first; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++) {
            d->any[n->id] |= d->any[n->arg[i]->id];
            bool state_like =
                passes_form(n->op) && !(n->op == NP_DIV && i == 1) && !(n->op == NP_SELECT && i == 0);
            if (state_like) d->form[n->id] |= d->form[n->arg[i]->id];
        }
        for (int i = 0; i < 2; i++)
            if (n->body[i]) depend_block(d, n->body[i], &d->any[n->id]);
        if (inside) *inside |= d->any[n->id];
    }
}
void np_affine_depend(const np_fn *f, const np_node *scan, np_depend *d, np_arena *mem)
{
    const np_block *b = scan->body[0];
    int seq = (int)scan->attr[0]->k;
    d->any = np_arena_array(mem, f->nnodes + 1, sizeof *d->any);
    d->form = np_arena_array(mem, f->nnodes + 1, sizeof *d->form);
    for (int i = seq; i < b->nparams && i - seq < 32; i++)
        d->any[b->param[i]->id] = d->form[b->param[i]->id] = (uint32_t)1 << (i - seq);
    depend_block(d, b, NULL);
}

typedef struct reader {
    np_affine *a;
    np_label *l;
    const np_depend *d;
    uint32_t mask;
    const np_node *scan;
} reader;

static void *refuse(reader *r, const np_node *n, const char *why)
{
    if (!r->a->no) r->a->no = why, r->a->where = n;
    return NULL;
}
static bool is_free(const reader *r, const np_node *n)
{
    return !(r->d->any[n->id] & r->mask);
}
static bool is_form(const reader *r, const np_node *n)
{
    return (r->d->form[n->id] & r->mask) != 0;
}

/* ---- letters */
static void add_letter(char *out, char c)
{
    size_t n = strlen(out);
    if (!memchr(out, c, n)) out[n] = c, out[n + 1] = 0;
}
static char fresh(reader *r, const np_dim *d)
{
    char c = r->a->fresh;
    if (c >= 's') return refuse(r, r->scan, "it has too many axes"), 's';
    r->a->fresh++;
    r->l->dim[(int)c] = d;
    return c;
}
static void without(char *out, const char *at, int k)
{
    size_t n = strlen(at);
    memmove(out, at, (size_t)k);
    memmove(out + k, at + k + 1, n - (size_t)k);
}
/* Letters of the operand of a permute whose result has `at`. */
static void before_permute(char *out, const np_node *n, const char *at)
{
    const char *in = n->sym, *to = strstr(n->sym, "->") + 2;
    size_t rank = strlen(at);
    for (size_t i = 0; i < rank; i++) out[i] = at[strchr(to, in[i]) - to];
    out[rank] = 0;
}
/* Letters of operand o of a contraction that sums nothing, from those of its result. */
static void before_contract(char *out, const np_node *n, int o, const char *at)
{
    const char *in = o ? strchr(n->sym, ',') + 1 : n->sym, *to = strstr(n->sym, "->") + 2;
    int rank = n->arg[o]->type->rank;
    for (int i = 0; i < rank; i++) out[i] = at[strchr(to, in[i]) - to];
    out[rank] = 0;
}

/* ---- what does not depend on the states, with no more axes than it needs */
static np_lab leaf(reader *r, const np_node *n, const char *at)
{
    char axes[NP_RANK + 2];
    np_node *whole = np_lift_get(r->a->lift, n);
    if (!whole) {
        refuse(r, r->a->lift->no, "cannot be computed for all steps at once");
        return np_label_none;
    }
    snprintf(axes, sizeof axes, "%s%s", r->a->lift->timed[n->id] ? "t" : "", at);
    return np_label_of(whole, axes);
}
bool np_affine_peels(const np_node *n)
{
    if (np_is_elem(n)) return n->nargs <= 3 && n->op != NP_CAST;
    return n->op == NP_EXPAND || n->op == NP_PERMUTE || (n->op == NP_CONTRACT && !np_is_sum(n));
}
static np_lab peel(reader *r, const np_node *n, const char *at)
{
    char to[NP_RANK + 1];
    np_lab x[3];
    if (r->a->lift->known[n->id]) return leaf(r, n, at);
    if (np_affine_peels(n) && np_is_elem(n)) {
        for (int i = 0; i < n->nargs; i++) {
            x[i] = peel(r, n->arg[i], at);
            if (r->a->no) return np_label_none;
        }
        if (n->op == NP_MUL) return np_label_mul(r->l, x[0], x[1]);
        for (int i = 0; i < n->nargs; i++)
            if (!x[i].n) { /* a number has the type of the operand that it stands for */
                np_dtype was = r->l->dtype;
                r->l->dtype = n->arg[i]->type->dtype;
                x[i] = np_label_of(np_label_to(r->l, x[i], ""), "");
                r->l->dtype = was;
            }
        return np_label_op(r->l, n->op, n->nargs, x);
    }
    switch (n->op) {
    case NP_CONST:
        if (n->data) return leaf(r, n, at);
        if (n->type->dtype != r->l->dtype)
            return np_label_of(np_build_num(r->l->b, np_type_scalar(r->l->b->cx, n->type->dtype), n->num),
                               "");
        return np_label_num(r->l, n->num);
    case NP_EXPAND: without(to, at, (int)n->attr[0]->k); return peel(r, n->arg[0], to);
    case NP_PERMUTE: before_permute(to, n, at); return peel(r, n->arg[0], to);
    case NP_CONTRACT:
        if (np_is_sum(n)) return leaf(r, n, at);
        for (int o = 0; o < 2; o++) {
            before_contract(to, n, o, at);
            x[o] = peel(r, n->arg[o], to);
        }
        return np_label_mul(r->l, x[0], x[1]);
    default: return leaf(r, n, at);
    }
}

/* ---- forms */
static form *form_of(reader *r, const np_node *n);
static form *new_form(reader *r, const np_node *n)
{
    form *f = np_arena_alloc(&r->l->b->fn->mem, sizeof *f);
    for (int i = 0; i < NP_STATES; i++) f->s[i] = np_label_none;
    for (int i = 0; i < NP_WRITES; i++) f->w[i] = np_label_none;
    return r->a->form[n->id] = f;
}
static np_write *write_of(reader *r, const np_node *y, const char *at)
{
    np_affine *a = r->a;
    for (int i = 0; i < a->nwrites; i++)
        if (a->write[i].y == y && strcmp(a->write[i].at, at) == 0) return &a->write[i];
    if (a->nwrites == NP_WRITES) return refuse(r, y, "writes more values a step than are looked at");
    np_write *w = &a->write[a->nwrites++];
    *w = (np_write){.y = y};
    memcpy(w->at, at, strlen(at) + 1);
    return w;
}
/* A condition as 1 or 0. */
static np_lab as_number(reader *r, np_lab c)
{
    c.n = np_build_cast(r->l->b, c.n, r->l->dtype);
    return c;
}
/* f += how * y, y not state-like. */
static void add_write(reader *r, form *f, const np_node *y, const char *at, np_lab how)
{
    if (y->op == NP_CONST && !y->data && y->num == 0) return;
    if (y->op == NP_ADD || y->op == NP_SUB) {
        add_write(r, f, y->arg[0], at, how);
        add_write(r, f, y->arg[1], at, y->op == NP_SUB ? np_label_neg(r->l, how) : how);
    } else if (y->op == NP_NEG) {
        add_write(r, f, y->arg[0], at, np_label_neg(r->l, how));
    } else if (y->op == NP_PERMUTE) {
        char to[NP_RANK + 1];
        before_permute(to, y, at);
        add_write(r, f, y->arg[0], to, how);
    } else {
        np_write *w = write_of(r, y, at);
        if (w) f->w[w - r->a->write] = np_label_add(r->l, f->w[w - r->a->write], how);
    }
}
static void add_scaled(reader *r, form *f, const form *x, np_lab how)
{
    for (int i = 0; i < NP_STATES; i++)
        f->s[i] = np_label_add(r->l, f->s[i], np_label_mul(r->l, how, x->s[i]));
    for (int i = 0; i < NP_WRITES; i++)
        f->w[i] = np_label_add(r->l, f->w[i], np_label_mul(r->l, how, x->w[i]));
}
/* f += how * x, whatever x is; the first state-like operand names the axes. */
static bool add_value(reader *r, form *f, const np_node *x, np_lab how)
{
    if (!is_form(r, x)) {
        add_write(r, f, x, f->at, how);
        return !r->a->no;
    }
    form *g = form_of(r, x);
    if (!g) return false;
    if (strcmp(f->at, g->at) != 0)
        return refuse(r, x, "adds a state to itself with its axes in another order");
    add_scaled(r, f, g, how);
    return true;
}
static form *make_form(reader *r, const np_node *n)
{
    np_affine *a = r->a;
    const np_node *first = NULL;
    form *f = NULL, *x;
    if (n->op == NP_PARAM) {
        f = new_form(r, n);
        for (int i = 0; i < n->type->rank; i++) f->at[i] = (char)('a' + i);
        for (int i = 0; i < a->nstates; i++)
            if (a->state[i] == n) f->s[i] = np_label_one;
        return f;
    }
    for (int i = n->nargs - 1; i >= 0; i--)
        if (is_form(r, n->arg[i])) first = n->arg[i];
    if (!(x = form_of(r, first))) return NULL;
    f = new_form(r, n);
    memcpy(f->at, x->at, sizeof f->at);
    np_lab one = np_label_one;
    switch (n->op) {
    case NP_ADD:
    case NP_SUB:
        if (!add_value(r, f, n->arg[0], one)) return NULL;
        return add_value(r, f, n->arg[1], n->op == NP_SUB ? np_label_neg(r->l, one) : one) ? f : NULL;
    case NP_NEG: add_scaled(r, f, x, np_label_neg(r->l, one)); return f;
    case NP_MUL:
    case NP_DIV: {
        const np_node *g = n->arg[0] == first ? n->arg[1] : n->arg[0];
        if (n->arg[0] != first && n->op == NP_DIV) return refuse(r, n, "divides by a state");
        if (!is_free(r, g)) return refuse(r, n, "multiplies a state by what depends on it");
        np_lab how = peel(r, g, x->at);
        if (n->op == NP_DIV && how.n) how = np_label_op(r->l, NP_RECIP, 1, &how);
        if (r->a->no) return NULL;
        add_scaled(r, f, x, how);
        return f;
    }
    case NP_SELECT: {
        if (!is_free(r, n->arg[0])) return refuse(r, n, "chooses by what depends on the state");
        np_lab c = as_number(r, peel(r, n->arg[0], x->at));
        if (r->a->no || !add_value(r, f, n->arg[1], c)) return NULL;
        return add_value(r, f, n->arg[2], np_label_add(r->l, one, np_label_neg(r->l, c))) ? f : NULL;
    }
    case NP_EXPAND: {
        int k = (int)n->attr[0]->k;
        memmove(f->at + k + 1, x->at + k, strlen(x->at + k) + 1);
        f->at[k] = fresh(r, n->attr[1]);
        add_scaled(r, f, x, one);
        return f;
    }
    case NP_PERMUTE: {
        const char *in = n->sym, *to = strstr(n->sym, "->") + 2;
        for (size_t i = 0; to[i]; i++) f->at[i] = x->at[strchr(in, to[i]) - in];
        add_scaled(r, f, x, one);
        return f;
    }
    default: return refuse(r, n, "is not affine in the state");
    }
}
static form *form_of(reader *r, const np_node *n)
{
    if (r->a->form[n->id]) return r->a->form[n->id];
    form *f = make_form(r, n);
    return f && !r->a->no ? f : NULL;
}

/* ---- reads */
static np_read *add_read(reader *r, const np_node *at, const np_node *of, const form *f, np_lab by,
                         const char *axes)
{
    np_affine *a = r->a;
    for (int i = 0; i < a->nreads; i++)
        if (a->read[i].at == at) return &a->read[i];
    if (a->nreads == NP_READS) return refuse(r, at, "reads more values a step than are looked at");
    np_read *e = &a->read[a->nreads++];
    *e = (np_read){.at = at, .of = of, .by = by, .end = -1};
    memcpy(e->axes, axes, strlen(axes) + 1);
    for (int i = 0; i < NP_STATES; i++) e->a[i] = np_label_mul(r->l, by, f->s[i]);
    for (int i = 0; i < NP_WRITES; i++) e->same[i] = np_label_mul(r->l, by, f->w[i]);
    return e;
}
static void read_whole(reader *r, const np_node *x)
{
    form *f = form_of(r, x);
    if (f) add_read(r, x, x, f, np_label_one, f->at);
}
static void read_contract(reader *r, const np_node *n)
{
    int o = is_form(r, n->arg[1]); /* which operand is the state */
    if (!is_free(r, n->arg[!o])) {
        refuse(r, n, "multiplies two values that depend on the state");
        return;
    }
    form *f = form_of(r, n->arg[o]);
    if (!f) return;
    const char *comma = strchr(n->sym, ','), *out = strstr(n->sym, "->") + 2;
    const char *mine = o ? comma + 1 : n->sym, *other = o ? n->sym : comma + 1;
    char to[NP_LETTERS] = "", axes[NP_RANK + 1] = "", with[NP_RANK + 1] = ""; /* spec letter -> ours */
    for (int i = 0; f->at[i]; i++) to[(int)mine[i]] = f->at[i];
    int rank = n->arg[!o]->type->rank;
    for (int i = 0; i < rank; i++) {
        if (!to[(int)other[i]]) to[(int)other[i]] = fresh(r, n->arg[!o]->type->dim[i]);
        with[i] = to[(int)other[i]];
    }
    for (int i = 0; out[i]; i++) axes[i] = to[(int)out[i]];
    np_lab by = peel(r, n->arg[!o], with);
    if (!r->a->no) add_read(r, n, n->arg[o], f, by, axes);
}
static void read_sum(reader *r, const np_node *n)
{
    char axes[NP_RANK + 1];
    form *f = form_of(r, n->arg[0]);
    if (!f) return;
    without(axes, f->at, (int)n->attr[0]->k);
    add_read(r, n, n->arg[0], f, np_label_one, axes);
}
static bool reads_sum(const reader *r, const np_node *n)
{
    if (n->op == NP_REDUCE) return strcmp(n->sym, "sum") == 0;
    return n->op == NP_CONTRACT && np_is_sum(n) && !(is_form(r, n->arg[0]) && is_form(r, n->arg[1]));
}
static void find_reads(reader *r, const bool *live)
{
    const np_block *b = r->scan->body[0];
    int nouts = b->last->nargs - (r->scan->nargs - (int)r->scan->attr[0]->k);
    for (const np_node *n = b->first; n && !r->a->no; n = n->next) {
        if (!live[n->id] || is_form(r, n)) continue;
        for (int i = 0; i < n->nargs; i++) {
            if (!is_form(r, n->arg[i]) || (n->op == NP_YIELD && i >= nouts)) continue;
            if (n->op == NP_CONTRACT && reads_sum(r, n))
                read_contract(r, n);
            else if (n->op == NP_REDUCE && reads_sum(r, n))
                read_sum(r, n);
            else
                read_whole(r, n->arg[i]);
        }
    }
}
static void find_next(reader *r)
{
    np_affine *a = r->a;
    for (int i = 0; i < a->nstates && !a->no; i++) {
        form *f = NULL;
        if (is_form(r, a->next[i]))
            f = form_of(r, a->next[i]);
        else if (is_free(r, a->next[i]) || r->d->any[a->next[i]->id]) {
            f = new_form(r, a->next[i]); /* forgets everything */
            memcpy(f->at, a->axes, sizeof f->at);
            add_write(r, f, a->next[i], f->at, np_label_one);
        }
        if (!f || a->no) return;
        if (strcmp(f->at, a->axes) != 0) {
            refuse(r, a->next[i], "gives the next state with its axes in another order");
            return;
        }
        for (int j = 0; j < a->nstates; j++) a->mix[i][j] = f->s[j];
        for (int w = 0; w < a->nwrites; w++) a->write[w].post[i] = f->w[w];
        for (int e = 0; e < a->nreads; e++)
            if (a->read[e].of == a->next[i]) a->read[e].end = i;
    }
}

/* ---- which axis is which */
static bool summed_by(const np_affine *a, char *out)
{
    for (int e = 0; e < a->nreads; e++) {
        char sums[NP_LETTERS];
        np_label_keep(sums, a->axes, a->read[e].axes, false);
        if (e && strcmp(sums, out) != 0) return false;
        strcpy(out, sums);
    }
    return true;
}
/* Does y, a product, have factors along both kinds of axes? Letters of its factors that touch the key. */
static void key_letters(reader *r, const np_node *y, const char *at, char *out)
{
    char to[NP_RANK + 1];
    if (y->op == NP_MUL || y->op == NP_NEG || y->op == NP_DIV) {
        for (int i = 0; i < y->nargs; i++) key_letters(r, y->arg[i], at, out);
    } else if (y->op == NP_EXPAND) {
        without(to, at, (int)y->attr[0]->k);
        key_letters(r, y->arg[0], to, out);
    } else if (y->op == NP_PERMUTE) {
        before_permute(to, y, at);
        key_letters(r, y->arg[0], to, out);
    } else if (y->op == NP_CONTRACT && !np_is_sum(y)) {
        for (int o = 0; o < 2; o++) {
            before_contract(to, y, o, at);
            key_letters(r, y->arg[o], to, out);
        }
    } else if (strpbrk(at, r->a->key)) {
        for (; *at; at++) add_letter(out, *at);
    }
}
static void add_letters(char *out, np_lab x)
{
    for (const char *p = x.axes; *p; p++) add_letter(out, *p);
}
static bool sort_axes(reader *r)
{
    np_affine *a = r->a;
    char shared[NP_LETTERS] = "", rest[NP_LETTERS], mixed[NP_LETTERS] = "";
    if (!summed_by(a, a->key)) return refuse(r, r->scan, "reads that sum over different axes"), false;
    for (int f = 0; f < a->nwrites; f++) key_letters(r, a->write[f].y, a->write[f].at, shared);
    for (int i = 0; i < a->nstates; i++)
        for (int j = 0; j < a->nstates; j++) add_letters(mixed, a->mix[i][j]);
    for (int e = 0; e < a->nreads; e++)
        for (int i = 0; i < a->nstates; i++) { /* what the read brings with it, beside the decay */
            char alone[NP_LETTERS] = "";
            add_letters(alone, a->read[e].a[i]);
            for (char *p = alone; *p; p++)
                if (!strchr(mixed, *p)) add_letter(shared, *p);
        }
    np_label_keep(rest, a->axes, a->key, false);
    np_label_keep(a->batch, rest, shared, true);
    np_label_keep(rest, rest, shared, false);
    np_label_keep(a->held, rest, mixed, true);
    np_label_keep(a->value, rest, mixed, false);
    if (!a->value[0])
        strcpy(a->value, a->held), a->held[0] = 0; /* the decay runs along all that reads keep */
    bool key = strpbrk(mixed, a->key) != NULL, value = strpbrk(mixed, a->value) != NULL;
    if (key && value) return refuse(r, r->scan, "every element of the state has its own decay"), false;
    if (a->nstates > 1 && (key || value))
        return refuse(r, r->scan, "states are mixed channel by channel"), false;
    bool one = a->nstates == 1 && np_label_is_one(a->mix[0][0]);
    a->decay = a->nstates > 1 ? NP_DECAY_MIX
               : one          ? NP_DECAY_NONE
               : key          ? NP_DECAY_KEY
               : value        ? NP_DECAY_VALUE
                              : NP_DECAY_SCALAR;
    return true;
}

/* ---- written values: factors */
typedef struct factors {
    np_lab w, scale;
    const np_node *value; /* the factor that depends on reads, or NULL */
    char at[NP_RANK + 1];
} factors;
static bool factor(reader *r, factors *f, const np_node *y, const char *at, bool invert)
{
    np_affine *a = r->a;
    char to[NP_RANK + 1];
    if (y->op == NP_MUL) return factor(r, f, y->arg[0], at, invert) && factor(r, f, y->arg[1], at, invert);
    if (y->op == NP_DIV && !invert)
        return factor(r, f, y->arg[0], at, false) && factor(r, f, y->arg[1], at, true);
    if (y->op == NP_NEG) {
        f->scale = np_label_neg(r->l, f->scale);
        return factor(r, f, y->arg[0], at, invert);
    }
    if (y->op == NP_EXPAND) {
        without(to, at, (int)y->attr[0]->k);
        return factor(r, f, y->arg[0], to, invert);
    }
    if (y->op == NP_PERMUTE) {
        before_permute(to, y, at);
        return factor(r, f, y->arg[0], to, invert);
    }
    if (y->op == NP_CONTRACT && !np_is_sum(y)) {
        for (int o = 0; o < 2; o++) {
            before_contract(to, y, o, at);
            if (!factor(r, f, y->arg[o], to, invert)) return false;
        }
        return true;
    }
    if (!is_free(r, y)) {
        if (f->value || invert) return refuse(r, y, "writes a product of reads"), false;
        f->value = y;
        memcpy(f->at, at, strlen(at) + 1);
        return true;
    }
    np_lab x = peel(r, y, at);
    if (a->no) return false;
    if (invert && x.n) x = np_label_op(r->l, NP_RECIP, 1, &x);
    if (np_label_has(x, a->key)) {
        if (np_label_has(x, a->value) || np_label_has(x, a->held))
            return refuse(r, y, "writes what is not a product of a key and a value"), false;
        f->w = np_label_mul(r->l, f->w, x);
    } else {
        f->scale = np_label_mul(r->l, f->scale, x);
    }
    return true;
}
/* write += how * x, where x is affine in reads of the step. */
static bool affine_value(reader *r, np_write *w, const np_node *x, const char *at, np_lab how)
{
    np_affine *a = r->a;
    char to[NP_RANK + 1];
    for (int e = 0; e < a->nreads; e++) {
        if (a->read[e].at != x) continue;
        if (strcmp(a->read[e].axes, at) != 0) return refuse(r, x, "writes a read along another axis"), false;
        w->c[e] = np_label_add(r->l, w->c[e], how);
        w->reads = true;
        return true;
    }
    if (is_free(r, x)) {
        w->b = np_label_add(r->l, w->b, np_label_mul(r->l, how, peel(r, x, at)));
        return !a->no;
    }
    switch (x->op) {
    case NP_ADD:
    case NP_SUB:
        return affine_value(r, w, x->arg[0], at, how) &&
               affine_value(r, w, x->arg[1], at, x->op == NP_SUB ? np_label_neg(r->l, how) : how);
    case NP_NEG: return affine_value(r, w, x->arg[0], at, np_label_neg(r->l, how));
    case NP_MUL: {
        int o = is_free(r, x->arg[0]); /* which operand depends on reads */
        if (!is_free(r, x->arg[!o])) return refuse(r, x, "writes a product of reads"), false;
        how = np_label_mul(r->l, how, peel(r, x->arg[!o], at));
        return !a->no && affine_value(r, w, x->arg[o], at, how);
    }
    case NP_DIV: {
        if (!is_free(r, x->arg[1])) return refuse(r, x, "divides by a read and writes the result"), false;
        np_lab by = peel(r, x->arg[1], at);
        if (by.n) by = np_label_op(r->l, NP_RECIP, 1, &by);
        return !a->no && affine_value(r, w, x->arg[0], at, np_label_mul(r->l, how, by));
    }
    case NP_SELECT: {
        if (!is_free(r, x->arg[0]))
            return refuse(r, x, "chooses by what was read and writes the result"), false;
        np_lab c = as_number(r, peel(r, x->arg[0], at));
        np_lab rest = np_label_add(r->l, np_label_one, np_label_neg(r->l, c));
        return !a->no && affine_value(r, w, x->arg[1], at, np_label_mul(r->l, how, c)) &&
               affine_value(r, w, x->arg[2], at, np_label_mul(r->l, how, rest));
    }
    case NP_EXPAND: without(to, at, (int)x->attr[0]->k); return affine_value(r, w, x->arg[0], to, how);
    case NP_PERMUTE: before_permute(to, x, at); return affine_value(r, w, x->arg[0], to, how);
    default: return refuse(r, x, "is written back and is not affine in what was read"), false;
    }
}
static bool take_apart(reader *r, np_write *w)
{
    np_affine *a = r->a;
    factors f = {.w = np_label_one, .scale = np_label_one};
    if (!factor(r, &f, w->y, w->at, false)) return false;
    w->w = f.w;
    w->b = np_label_none;
    for (int e = 0; e < NP_READS; e++) w->c[e] = np_label_none;
    if (!f.value)
        w->b = f.scale;
    else if (!affine_value(r, w, f.value, f.at, f.scale))
        return false;
    char outer[NP_LETTERS];
    np_label_join(outer, "t", a->batch, a->held);
    np_label_join(outer, outer, a->value, "");
    bool good = np_label_within(w->b, outer);
    for (int e = 0; e < a->nreads; e++) good &= np_label_within(w->c[e], outer);
    if (!good) return refuse(r, w->y, "writes what is not a product of a key and a value"), false;
    return true;
}

bool np_affine_read(np_affine *a, const np_node *scan, uint32_t mask, const np_depend *d, const bool *live)
{
    reader r = {a, &a->l, d, mask, scan};
    const np_block *body = scan->body[0];
    int seq = (int)scan->attr[0]->k, n = scan->nargs - seq, nouts = body->last->nargs - n;
    a->fresh = 'i';
    a->l.b = a->lift->rw->b;
    for (int i = 0; i < n; i++) {
        if (!(mask >> i & 1)) continue;
        if (a->nstates == NP_STATES) return refuse(&r, scan, "too many states that need one another"), false;
        a->state[a->nstates] = body->param[seq + i];
        a->next[a->nstates++] = body->last->arg[nouts + i];
    }
    const np_type *t = a->state[0]->type;
    a->l.dtype = t->dtype;
    a->l.dim['t'] = a->lift->n;
    for (int i = 0; i < a->nstates; i++)
        if (a->state[i]->type != t)
            return refuse(&r, a->state[i], "states of different shapes need one another"), false;
    if (np_dtype_class(t->dtype) != 'F') return refuse(&r, a->state[0], "a state of whole numbers"), false;
    for (int k = 0; k < t->rank && k < NP_RANK; k++) {
        a->axes[k] = (char)('a' + k);
        a->l.dim[(int)a->axes[k]] = t->dim[k];
    }
    find_reads(&r, live);
    if (!a->no) find_next(&r);
    if (a->no || !sort_axes(&r)) return false;
    for (int f = 0; f < a->nwrites; f++)
        if (!take_apart(&r, &a->write[f])) return false;
    return !a->no;
}
