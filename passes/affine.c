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
#include "affine_parts.h"

#include <string.h>

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
/* Do levels, if there are any, still lie along one axis of n, or have gone? */
static bool keeps_level(np_depend *d, const np_node *n, int i, const np_dim *levels)
{
    if (!d->level || !d->form[n->arg[i]->id]) return !np_affine_moves(n);
    int at = np_affine_level(n, i, d->level[n->arg[i]->id], levels);
    if (at < -1) return false;
    d->level[n->id] = (int8_t)at;
    d->mixes |= np_affine_moves(n);
    return true;
}
static void depend_block(np_depend *d, const np_block *b, const np_dim *levels, uint32_t *inside)
{
    for (const np_node *n = b->first; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++) {
            d->any[n->id] |= d->any[n->arg[i]->id];
            bool state_like = (passes_form(n->op) || (d->level && np_affine_moves(n))) &&
                              !(n->op == NP_DIV && i == 1) && !(n->op == NP_SELECT && i == 0);
            if (state_like && keeps_level(d, n, i, levels)) d->form[n->id] |= d->form[n->arg[i]->id];
        }
        for (int i = 0; i < 2; i++)
            if (n->body[i]) depend_block(d, n->body[i], levels, &d->any[n->id]);
        if (inside) *inside |= d->any[n->id];
    }
}
void np_affine_depend(const np_fn *f, const np_node *scan, int axis, np_depend *d, np_arena *mem)
{
    const np_block *b = scan->body[0];
    int seq = (int)scan->attr[0]->k;
    const np_dim *levels = NULL;
    *d = (np_depend){.level = axis < 0 ? NULL : np_arena_array(mem, f->nnodes + 1, sizeof *d->level)};
    d->any = np_arena_array(mem, f->nnodes + 1, sizeof *d->any);
    d->form = np_arena_array(mem, f->nnodes + 1, sizeof *d->form);
    for (int i = seq; i < b->nparams && i - seq < 32; i++)
        d->any[b->param[i]->id] = d->form[b->param[i]->id] = (uint32_t)1 << (i - seq);
    for (int i = seq; i < b->nparams && d->level; i++) {
        const np_type *t = b->param[i]->type;
        d->level[b->param[i]->id] = (int8_t)(axis < t->rank ? axis : -1);
        if (axis < t->rank) levels = t->dim[axis];
    }
    depend_block(d, b, levels, NULL);
}

/* ---- reads */
/* A read sums over levels, or keeps them as an axis of its own. */
static void read_levels(np_reader *r, np_read *e, char level)
{
    char *at = strchr(e->axes, level), is[] = {level, 0};
    char kept = at ? NP_LEVEL_OWN : 0;
    if (at && level != r->a->level) np_affine_refuse(r, e->at, "reads some of the levels, one by one");
    np_lab by = np_label_has(e->apart, is) ? e->apart : np_label_one;
    if (at) *at = kept;
    if (by.n) e->apart = kept ? np_label_rename(by, level, kept) : np_label_one;
    for (int i = 0; i < NP_STATES; i++)
        e->how[i] =
            kept ? np_label_rename(e->how[i], level, kept) : np_affine_level_sum(r, by, e->how[i], level);
    for (int i = 0; i < NP_WRITES; i++)
        e->same[i] =
            kept ? np_label_rename(e->same[i], level, kept) : np_affine_level_sum(r, by, e->same[i], level);
}
static np_read *add_read(np_reader *r, const np_node *at, const np_node *of, const np_form *f, np_lab by,
                         const char *axes)
{
    np_affine *a = r->a;
    for (int i = 0; i < a->nreads; i++)
        if (a->read[i].at == at) return &a->read[i];
    if (a->nreads == NP_READS) return np_affine_refuse(r, at, "reads more values a step than are looked at");
    np_read *e = &a->read[a->nreads++];
    *e = (np_read){.at = at, .of = of, .by = by, .apart = by, .end = -1};
    memcpy(e->axes, axes, strlen(axes) + 1);
    memcpy(e->how, f->s, sizeof e->how);
    memcpy(e->same, f->w, sizeof e->same);
    if (f->level) read_levels(r, e, f->level);
    for (int i = 0; i < NP_STATES; i++) {
        if (a->level) e->how[i] = np_label_rename(e->how[i], NP_LEVEL_FROM, a->level);
        e->a[i] = np_label_mul(r->l, e->apart, e->how[i]);
    }
    for (int i = 0; i < NP_WRITES; i++) e->same[i] = np_label_mul(r->l, e->apart, e->same[i]);
    return e;
}
static void read_whole(np_reader *r, const np_node *x)
{
    np_form *f = np_affine_form(r, x);
    if (f) add_read(r, x, x, f, np_label_one, f->at);
}
static void read_contract(np_reader *r, const np_node *n)
{
    int o = np_affine_state_like(r, n->arg[1]); /* which operand is the state */
    if (!np_affine_free(r, n->arg[!o])) {
        np_affine_refuse(r, n, "multiplies two values that depend on the state");
        return;
    }
    np_form *f = np_affine_form(r, n->arg[o]);
    if (!f) return;
    const char *comma = strchr(n->sym, ','), *out = strstr(n->sym, "->") + 2;
    const char *mine = o ? comma + 1 : n->sym, *other = o ? n->sym : comma + 1;
    char to[NP_LETTERS] = "", axes[NP_RANK + 1] = "", with[NP_RANK + 1] = ""; /* spec letter -> ours */
    for (int i = 0; f->at[i]; i++) to[(int)mine[i]] = f->at[i];
    int rank = n->arg[!o]->type->rank;
    for (int i = 0; i < rank; i++) {
        if (!to[(int)other[i]]) to[(int)other[i]] = np_affine_fresh(r, n->arg[!o]->type->dim[i]);
        with[i] = to[(int)other[i]];
    }
    for (int i = 0; out[i]; i++) axes[i] = to[(int)out[i]];
    np_lab by = np_affine_peel(r, n->arg[!o], with);
    if (!r->a->no) add_read(r, n, n->arg[o], f, by, axes);
}
static void read_sum(np_reader *r, const np_node *n)
{
    char axes[NP_RANK + 1];
    np_form *f = np_affine_form(r, n->arg[0]);
    if (!f) return;
    np_label_without(axes, f->at, (int)n->attr[0]->k);
    add_read(r, n, n->arg[0], f, np_label_one, axes);
}
static bool reads_sum(const np_reader *r, const np_node *n)
{
    if (n->op == NP_REDUCE) return strcmp(n->sym, "sum") == 0;
    return n->op == NP_CONTRACT && np_is_sum(n) &&
           !(np_affine_state_like(r, n->arg[0]) && np_affine_state_like(r, n->arg[1]));
}
static void find_reads(np_reader *r, const bool *live)
{
    const np_block *b = r->scan->body[0];
    int nouts = b->last->nargs - (r->scan->nargs - (int)r->scan->attr[0]->k);
    for (const np_node *n = b->first; n && !r->a->no; n = n->next) {
        if (!live[n->id] || np_affine_state_like(r, n)) continue;
        for (int i = 0; i < n->nargs; i++) {
            if (!np_affine_state_like(r, n->arg[i]) || (n->op == NP_YIELD && i >= nouts)) continue;
            if (n->op == NP_CONTRACT && reads_sum(r, n))
                read_contract(r, n);
            else if (n->op == NP_REDUCE && reads_sum(r, n))
                read_sum(r, n);
            else
                read_whole(r, n->arg[i]);
        }
    }
}
static void find_next(np_reader *r)
{
    np_affine *a = r->a;
    for (int i = 0; i < a->nstates && !a->no; i++) {
        np_form *f = NULL;
        if (np_affine_state_like(r, a->next[i]))
            f = np_affine_form(r, a->next[i]);
        else if (np_affine_free(r, a->next[i]) || r->d->any[a->next[i]->id]) {
            f = np_affine_new_form(r, a->next[i]); /* forgets everything */
            a->chosen = a->among = true;
            memcpy(f->at, a->axes, sizeof f->at);
            f->level = a->level;
            np_affine_add_write(r, f, a->next[i], f->at, np_label_one);
        }
        if (!f || a->no) return;
        if (strcmp(f->at, a->axes) != 0) {
            np_affine_refuse(r, a->next[i], "gives the next state with its axes in another order");
            return;
        }
        for (int j = 0; j < a->nstates; j++) a->mix[i][j] = f->s[j];
        for (int w = 0; w < a->nwrites; w++) a->write[w].post[i] = f->w[w];
        for (int e = 0; e < a->nreads; e++)
            if (a->read[e].of == a->next[i] && !a->level) a->read[e].end = i;
    }
}

/* ---- which axis is which */
static bool summed_by(const np_affine *a, char *out)
{
    for (int e = 0; e < a->nreads; e++) {
        char sums[NP_LETTERS];
        np_label_keep(sums, a->axes, a->read[e].axes, false);
        if (a->level) np_label_keep(sums, sums, (char[]){a->level, 0}, false);
        if (e && strcmp(sums, out) != 0) return false;
        strcpy(out, sums);
    }
    return true;
}
/* Does y, a product, have factors along both kinds of axes? Letters of its factors that touch the key. */
static void key_letters(np_reader *r, const np_node *y, const char *at, char *out)
{
    char to[NP_RANK + 1];
    if (y->op == NP_MUL || y->op == NP_NEG || y->op == NP_DIV) {
        for (int i = 0; i < y->nargs; i++) key_letters(r, y->arg[i], at, out);
    } else if (y->op == NP_EXPAND) {
        np_label_without(to, at, (int)y->attr[0]->k);
        key_letters(r, y->arg[0], to, out);
    } else if (y->op == NP_PERMUTE) {
        np_label_before_permute(to, y, at);
        key_letters(r, y->arg[0], to, out);
    } else if (y->op == NP_CONTRACT && !np_is_sum(y)) {
        for (int o = 0; o < 2; o++) {
            np_affine_before_contract(to, y, o, at);
            key_letters(r, y->arg[o], to, out);
        }
    } else if (strpbrk(at, r->a->key)) {
        for (; *at; at++) np_affine_add_letter(out, *at);
    }
}
static void add_letters(char *out, np_lab x)
{
    for (const char *p = x.axes; *p; p++) np_affine_add_letter(out, *p);
}
static bool sort_axes(np_reader *r)
{
    np_affine *a = r->a;
    char shared[NP_LETTERS] = "", rest[NP_LETTERS], mixed[NP_LETTERS] = "";
    if (!summed_by(a, a->key))
        return np_affine_refuse(r, r->scan, "reads that sum over different axes"), false;
    for (int f = 0; f < a->nwrites; f++) {
        key_letters(r, a->write[f].y, a->write[f].at, shared);
        if (np_label_has(a->write[f].by, a->key)) add_letters(shared, a->write[f].by);
    }
    for (int i = 0; i < a->nstates; i++)
        for (int j = 0; j < a->nstates; j++) add_letters(mixed, a->mix[i][j]);
    for (int e = 0; e < a->nreads; e++)
        for (int i = 0; i < a->nstates; i++) { /* what the read brings with it, beside the decay */
            char alone[NP_LETTERS] = "";
            add_letters(alone, a->read[e].a[i]);
            for (char *p = alone; *p; p++)
                if (!strchr(mixed, *p)) np_affine_add_letter(shared, *p);
        }
    np_label_keep(rest, a->axes, a->key, false);
    if (a->level) np_label_keep(rest, rest, (char[]){a->level, 0}, false);
    np_label_keep(a->batch, rest, shared, true);
    np_label_keep(rest, rest, shared, false);
    np_label_keep(a->held, rest, mixed, true);
    np_label_keep(a->value, rest, mixed, false);
    if (!a->value[0])
        strcpy(a->value, a->held), a->held[0] = 0; /* the decay runs along all that reads keep */
    bool key = strpbrk(mixed, a->key) != NULL, value = strpbrk(mixed, a->value) != NULL;
    bool mix = a->nstates > 1 || a->level;
    int64_t n;
    bool few = a->level && np_dim_int(a->l.dim[(int)a->level], &n) && n <= NP_STATES;
    a->picks = a->chosen;
    a->each = key && value ? "every element of the state has its own decay"
              : key && few ? "an axis is mixed by numbers for each channel of the key (with "
                             "a state for each of its indices it would go in chunks)"
              : mix && (value || (key && a->level)) ? "states are mixed channel by channel"
                                                    : NULL;
    if (a->each && (a->picks || a->level)) return np_affine_refuse(r, r->scan, a->each), false;
    bool one = a->nstates == 1 && np_label_is_one(a->mix[0][0]);
    a->decay = a->each ? NP_DECAY_EACH
               : key   ? NP_DECAY_KEY
               : mix   ? NP_DECAY_MIX
               : one   ? NP_DECAY_NONE
               : value ? NP_DECAY_VALUE
                       : NP_DECAY_SCALAR;
    if (a->chosen && (key || value))
        return np_affine_refuse(r, r->scan, "what is chosen differs from channel to channel"), false;
    a->chosen |= a->nstates > 1 && !key;
    return true;
}

/* Of several states or levels: does the write enter each with the same numbers for all channels? */
static bool enters_whole(const np_affine *a, const np_write *w)
{
    bool whole = true;
    for (int i = 0; i < a->nstates && (a->nstates > 1 || a->level); i++)
        whole &= !np_label_has(w->post[i], a->value) && !np_label_has(w->post[i], a->held) &&
                 (a->decay == NP_DECAY_KEY || !np_label_has(w->post[i], a->key));
    return whole;
}
bool np_affine_read(np_affine *a, const np_node *scan, uint32_t mask, const np_depend *d, const bool *live)
{
    np_reader r = {a, &a->l, d, mask, scan};
    const np_block *body = scan->body[0];
    int seq = (int)scan->attr[0]->k, n = scan->nargs - seq, nouts = body->last->nargs - n;
    a->fresh = 'i';
    a->l.b = a->lift->rw->b;
    for (int i = 0; i < n; i++) {
        if (!(mask >> i & 1)) continue;
        if (a->nstates == NP_STATES)
            return np_affine_refuse(&r, scan, "too many states that need one another"), false;
        a->state[a->nstates] = body->param[seq + i];
        a->next[a->nstates++] = body->last->arg[nouts + i];
    }
    const np_type *t = a->state[0]->type;
    a->l.dtype = t->dtype;
    a->l.dim['t'] = a->lift->n;
    for (int i = 0; i < a->nstates; i++)
        if (a->state[i]->type != t)
            return np_affine_refuse(&r, a->state[i], "states of different shapes need one another"), false;
    if (np_dtype_class(t->dtype) != 'F')
        return np_affine_refuse(&r, a->state[0], "a state of whole numbers"), false;
    for (int k = 0; k < t->rank && k < NP_RANK; k++) {
        a->axes[k] = (char)('a' + k);
        a->l.dim[(int)a->axes[k]] = t->dim[k];
    }
    if (d->level) np_affine_level_open(&r);
    find_reads(&r, live);
    if (!a->no) find_next(&r);
    if (a->no || !sort_axes(&r)) return false;
    for (int f = 0; f < a->nwrites; f++) {
        if (!np_affine_take_apart(&r, &a->write[f])) return false;
        if (!enters_whole(a, &a->write[f]))
            return np_affine_refuse(&r, a->write[f].y, "writes other channels into other states"), false;
    }
    for (int f = 0; f < a->nwrites; f++)
        for (int e = 0; e < a->nreads; e++)
            if (!a->write[f].c[e].zero) a->read[e].end = -1; /* it is known before the step ends */
    return !a->no;
}
