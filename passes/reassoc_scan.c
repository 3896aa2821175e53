/* A causal product becomes a scan over time: the form that a recurrence is written in.
 *
 *   o_t = q_t . sum over j <= t of d(t, j) k_j v_j'
 *       = q_t . S_t,   S_t = d_t S_(t-1) + k_t v_t'        (j < t: q_t . d_t S_(t-1))
 *
 * k: the factors of j that have a summed axis, v: those that have none, q: those of t
 * that have one. Factors of t without a summed axis multiply what was read. */
#include "reassoc.h"

#include <string.h>

typedef struct np_parts {
    np_factor q, k, v, decay, after[NP_FACTORS];
    int nafter;
    bool counts; /* nothing is summed but the mask */
    char state[NP_LETTERS + 1], read[NP_LETTERS + 1];
    np_node *param[2]; /* the state in the body, and what is shown of it to a group */
    np_factor seen;    /* what was read, over time */
} parts;

static bool touches(const char *at, const char *letters)
{
    return strpbrk(at, letters) != NULL;
}
/* Letters in order: t, what both sides have, what only t's side has, what is summed, the rest. */
static void find_order(np_product *p)
{
    char *o = p->order, seen[2][128] = {{0}};
    for (int i = 0; i < p->nfactors; i++)
        for (const char *c = p->factor[i].at; *c; c++)
            seen[np_product_sides(p, p->factor[i].at) >> 1][(int)*c] = 1;
    for (int i = 0; i < p->ndecays; i++)
        for (const char *c = p->decay[i].at; *c; c++) seen[1][(int)*c] = 1;
    *o++ = p->t;
    for (const char *c = p->out; *c; c++)
        if (*c != p->t && (seen[0][(int)*c] || !seen[1][(int)*c])) *o++ = *c;
    o = stpcpy(o, p->sum);
    for (const char *c = p->out; *c; c++)
        if (*c != p->t && !seen[0][(int)*c] && seen[1][(int)*c]) *o++ = *c;
    *o++ = p->j;
    *o = 0;
}
/* Summed letters that only one side has are summed there, before the state is made. */
static void gather_parts(np_product *p, parts *s)
{
    np_factor q[NP_FACTORS], k[NP_FACTORS], v[NP_FACTORS];
    int nq = 0, nk = 0, nv = 0;
    char kept[NP_LETTERS + 1] = "", *to = kept;
    for (int i = 0; i < p->nfactors; i++) {
        np_factor f = p->factor[i];
        bool summed = *p->sum && touches(f.at, p->sum);
        if (np_product_sides(p, f.at) == 2) {
            *strchr(f.at, p->j) = p->t;
            if (summed)
                k[nk++] = f;
            else
                v[nv++] = f;
        } else if (summed) {
            q[nq++] = f;
        } else {
            s->after[s->nafter++] = f;
        }
    }
    bool in[2][128] = {{0}};
    for (int i = 0; i < nq; i++)
        for (const char *c = q[i].at; *c; c++) in[0][(int)*c] = true;
    for (int i = 0; i < nk; i++)
        for (const char *c = k[i].at; *c; c++) in[1][(int)*c] = true;
    for (int i = 0; i < p->ndecays; i++)
        for (const char *c = p->decay[i].at; *c; c++) in[1][(int)*c] = true;
    for (const char *c = p->order; *c; c++)
        if (!strchr(p->sum, *c) || (in[0][(int)*c] && in[1][(int)*c])) *to++ = *c;
    *to = 0;
    s->q = np_factor_product(p, nq, q, kept);
    s->k = np_factor_product(p, nk, k, kept);
    s->v = np_factor_product(p, nv, v, kept);
    s->decay = np_factor_product(p, p->ndecays, p->decay, p->order);
}
static bool decay_fits(const np_product *p, const parts *s)
{
    for (const char *c = p->sum; s->decay.n && *c; c++)
        if (strchr(s->decay.at, *c) && (!s->q.n || !strchr(s->q.at, *c) || !(s->k.n || s->v.n))) return false;
    return true;
}

/* ---- gates: where a bool of one position is false, nothing is written there, or nothing read */
static np_factor gated(const np_product *p, np_factor x, np_factor g)
{
    char all[NP_LETTERS + 1];
    np_factor_union(p, x.at, g.at, all);
    np_node *v = np_factor_as(p, &x, all);
    return np_factor_of(
        np_build_3(p->b, NP_SELECT, np_factor_as(p, &g, all), v, np_build_num(p->b, v->type, 0)), all);
}
static bool gate_writes(np_product *p, parts *s)
{
    for (int i = 0; i < p->ngates; i++) {
        np_factor g = p->gate[i];
        if (np_product_sides(p, g.at) != 2) continue;
        if (!(g.n = np_factor_local(p, g.n))) return false;
        *strchr(g.at, p->j) = p->t;
        if (s->k.n) s->k = gated(p, s->k, g);
        if (s->v.n || !s->k.n) s->v = gated(p, s->v, g);
    }
    return true;
}
static np_factor gate_reads(const np_product *p, np_factor o)
{
    for (int i = 0; i < p->ngates; i++)
        if (np_product_sides(p, p->gate[i].at) < 2) o = gated(p, o, p->gate[i]);
    return o;
}

/* ---- the scan */
static np_factor ordered(const np_product *p, np_factor f) /* t first */
{
    char at[NP_LETTERS + 1];
    if (!f.n) return f;
    np_factor_union(p, f.at, "", at);
    np_node *n = np_factor_as(p, &f, at);
    if (!n->name) n->name = f.n->name;
    return np_factor_of(n, at);
}
static const np_type *state_type(const np_product *p, const char *at)
{
    const np_dim *dim[NP_RANK];
    int n = 0;
    for (; *at; at++) dim[n++] = p->dim[*at - 'a'];
    return np_type_tensor(p->b->cx, p->dtype, n, dim);
}
static void find_state(const np_product *p, parts *s)
{
    char a[NP_LETTERS + 1], all[NP_LETTERS + 1], *to = s->read;
    np_factor_union(p, s->k.n ? s->k.at : "", s->v.n ? s->v.at : "", a);
    np_factor_union(p, a, s->decay.n ? s->decay.at : "", all);
    strcpy(s->state, all + (all[0] == p->t));
    np_factor_union(p, s->state, s->q.n ? s->q.at : "", all);
    for (const char *c = all; *c; c++)
        if (*c != p->t && !strchr(p->sum, *c)) *to++ = *c;
    *to = 0;
}
/* What is fed of a factor inside of the body: its slice, or what it is where it has no time. */
static np_factor fed(const np_product *p, np_node *scan, np_factor f)
{
    if (!f.n || f.at[0] != p->t) return f;
    return np_factor_of(np_build_feed(p->b, scan, f.n), f.at + 1);
}
static np_node *write_of(const np_product *p, const parts *s, np_factor k, np_factor v)
{
    if (!k.n) return np_factor_as(p, &v, s->state);
    if (!v.n) return np_factor_as(p, &k, s->state);
    return np_build_2(p->b, NP_MUL, np_factor_as(p, &k, s->state), np_factor_as(p, &v, s->state));
}
/* Of groups: what is shown is what there was when the group began, and decays from there on. `all` is the state
 * before this step writes. */
static np_node *shown(const np_product *p, const parts *s, np_node *scan, const np_factor *d, np_node *all,
                      np_node **next)
{
    np_build *b = p->b;
    np_node *was = s->param[1], *kept = was;
    np_factor pos = fed(p, scan, np_factor_of(np_factor_position(p), (char[]){p->t, 0}));
    np_node *in = np_build_2(b, NP_MOD, pos.n, np_build_num(b, pos.n->type, (double)p->group));
    pos.n = np_build_2(b, NP_EQ, in, np_build_num(b, in->type, 0));
    was->name = np_str_new(b->cx, "shown");
    if (d->n && !p->late) kept = np_build_2(b, NP_MUL, was, np_factor_as(p, d, s->state));
    np_node *now = np_build_3(b, NP_SELECT, np_factor_as(p, &pos, s->state), all, kept);
    *next = d->n && p->late ? np_build_2(b, NP_MUL, now, np_factor_as(p, d, s->state)) : now;
    return now;
}
static np_node *body(const np_product *p, const parts *s, np_node *scan, np_node **next)
{
    np_build *b = p->b;
    np_factor d = fed(p, scan, s->decay), k = fed(p, scan, s->k), v = fed(p, scan, s->v),
              q = fed(p, scan, s->q);
    np_node *state = s->param[0];
    state->name = np_str_new(b->cx, s->q.n && s->v.n ? "S" : "z");
    np_node *kept = d.n ? np_build_2(b, NP_MUL, state, np_factor_as(p, &d, s->state)) : state;
    next[0] = np_build_2(b, NP_ADD, kept, write_of(p, s, k, v));
    np_node *seen = !p->strict ? next[0] : p->late ? state : kept;
    if (p->group) seen = shown(p, s, scan, &d, seen, &next[1]);
    np_factor read = np_factor_of(seen, s->state);
    if (q.n) read = np_factor_times(p, q, read, s->read);
    return np_factor_as(p, &read, s->read);
}
static double numbers(const np_product *p, const char *at)
{
    double n = 1;
    int64_t lo, hi;
    for (; *at; at++) {
        if (*at == p->j) continue;
        np_dim_range(p->dim[*at - 'a'], &lo, &hi);
        n *= (double)hi;
    }
    return n;
}
/* Powers of scores need a state over pairs of channels: only where the history takes more. */
static bool worth_it(const np_product *p, const parts *s)
{
    double history = 0;
    int64_t lo, hi;
    np_dim_range(p->all, &lo, &hi);
    for (int i = 0; i < p->nfactors; i++)
        if (np_product_sides(p, p->factor[i].at) == 2) history += numbers(p, p->factor[i].at);
    return p->ncontracts < 2 || numbers(p, s->state) <= history * (double)hi;
}
/* How many positions are seen. */
static np_factor seen_by(const np_product *p)
{
    np_build *b = p->b;
    np_node *n = np_factor_position(p);
    if (p->group)
        n = np_build_2(b, NP_SUB, n, np_build_2(b, NP_MOD, n, np_build_num(b, n->type, (double)p->group)));
    if (!p->strict) n = np_build_2(b, NP_ADD, n, np_build_num(b, n->type, 1));
    return np_factor_of(np_build_cast(b, n, p->dtype), (char[]){p->t, 0});
}
static np_str said(const np_product *p, const parts *s)
{
    np_cx *cx = p->b->cx;
    np_str d = !s->decay.n              ? "no decay"
               : s->decay.at[0] != p->t ? "a decay that is constant in time"
                                        : "a decay for each step";
    np_str when = p->group
                      ? np_str_fmt(cx, "as it was when a group of %lld positions began", (long long)p->group)
                      : np_str_fmt(cx, "read %s a step writes", p->strict ? "before" : "after");
    return np_str_fmt(cx, "a sum over earlier positions is kept as a state %s, with %s, %s",
                      np_type_str(cx, state_type(p, s->state)), d, when);
}
bool np_product_ready(np_product *p, const np_node *n)
{
    np_build *b = p->b;
    parts *s = p->parts = np_arena_alloc(&b->fn->mem, sizeof *s);
    find_order(p);
    gather_parts(p, s);
    s->counts = !s->k.n && !s->v.n;
    if (s->counts) s->v = np_factor_of(np_build_num(b, np_type_scalar(b->cx, p->dtype), 1), "");
    if (!decay_fits(p, s))
        return np_product_refuse(p, n->loc, "its decay has an axis that queries or keys lack");
    if (!gate_writes(p, s)) return np_product_refuse(p, n->loc, "a mask is not made position by position");
    s->q = ordered(p, s->q), s->k = ordered(p, s->k), s->v = ordered(p, s->v),
    s->decay = ordered(p, s->decay);
    find_state(p, s);
    if (!worth_it(p, s))
        return np_product_refuse(p, n->loc, "a power of its scores would need a state that is larger");
    s->counts &= !s->decay.n && !*s->v.at;
    p->said = s->counts ? np_str_new(b->cx, "a sum over earlier positions counts them") : said(p, s);
    return true;
}
void np_product_scan(int n, np_product *const *list)
{
    const np_product *p = list[0];
    np_build *b = p->b;
    np_loc loc = b->loc;
    np_node *zero[2 * NP_PRODUCTS], *out[NP_PRODUCTS], *yield[3 * NP_PRODUCTS], *next[2 * NP_PRODUCTS];
    int states = 0, outs = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 1 + (list[i]->group != 0) && !list[i]->parts->counts; k++)
            zero[states++] = np_build_num(b, state_type(list[i], list[i]->parts->state), 0);
    if (!states) return;
    np_node *scan =
        np_build_open(b, NP_SCAN, states, zero, &(np_extra){.attr = {np_dim_const(b->cx, 0), p->T}});
    for (int i = 0, k = 0; i < n; i++)
        for (int g = 0; g < 1 + (list[i]->group != 0) && !list[i]->parts->counts; g++)
            list[i]->parts->param[g] = scan->body[0]->param[k++];
    for (int i = 0, k = 0; i < n; i++) {
        if (list[i]->parts->counts) continue;
        out[outs++] = body(list[i], list[i]->parts, scan, &next[k]);
        k += 1 + (list[i]->group != 0);
    }
    memcpy(yield, out, (size_t)outs * sizeof(np_node *));
    memcpy(yield + outs, next, (size_t)states * sizeof(np_node *));
    scan = np_build_close(b, scan, outs + states, yield);
    b->loc = loc;
    for (int i = 0, k = 0; i < n; i++) {
        char at[NP_LETTERS + 2] = {list[i]->t, 0};
        parts *s = list[i]->parts;
        if (!s->counts) s->seen = np_factor_of(np_build_pick(b, scan, k++), strcat(at, s->read));
    }
}
np_node *np_product_result(const np_product *p)
{
    const parts *s = p->parts;
    np_factor o = s->counts ? seen_by(p) : s->seen;
    if (p->scale != 1) o.n = np_build_2(p->b, NP_MUL, o.n, np_build_num(p->b, o.n->type, p->scale));
    for (int i = 0; i < s->nafter; i++) o = np_factor_times(p, o, s->after[i], p->order);
    o = gate_reads(p, o);
    return np_factor_as(p, &o, p->out);
}
