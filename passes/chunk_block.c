/* The blocked form of recurrences (affine.h) over chunks of C steps.
 *
 * Let A(t,u) be the product of all decays strictly between the steps u < t of a
 * chunk, p(t) that of the decays before t, and s(u) that of those after u. With
 * letters t for the step that reads and u for the one that has written,
 *
 *   P_ef[t,u] = sum over K of a_e[t] A(t,u) w_f[u]   for u < t,  same_ef[t] for u = t
 *   r_e[t]    = (a_e[t] p(t))' S  +  sum over f, u of P_ef[t,u] b_f[u]
 *   S'        = p(C) S + sum over f, u of (w_f[u] s(u)) b_f[u]'
 *
 * Every A, p, s is a product of decays, made step by step in a short scan, never a
 * quotient or a difference of sums: what the step form does not overflow this
 * form does not either, and decays of zero or of negative sign are exact. A
 * decay that is the same for a whole head makes a table A[t,u]; one along the
 * key is carried on the written keys (U[u,K] = w_f[u] times the decays since),
 * one along the values on the written values (Z[u,V]). Values that depend on
 * reads of their own step are found one step after the other, in the same kind
 * of short scan (forward substitution of a unit lower triangular system).
 * Yang et al. 2023 (GLA), section 4; Yang et al. 2024 (delta rule), section 3. */
#include "chunk.h"

#include <string.h>

typedef struct body { /* one recurrence inside the body of the scan over chunks */
    np_frames *s;
    np_label *l;
    np_affine *a;
    np_lab t, u, valid, past[2]; /* numbers of steps; [t]: is there such a step; [t,u]: u < t, u <= t */
    np_lab read[NP_READS][NP_STATES], w[NP_WRITES], b[NP_WRITES], c[NP_WRITES][NP_READS];
    np_lab post[NP_WRITES][NP_STATES], mix[NP_STATES][NP_STATES];
    np_lab same[NP_READS][NP_WRITES]; /* scores within a step */
    np_lab table[2][NP_WRITES]
                [NP_STATES];            /* A(t,u) with what enters state i; [1]: with the decay of t itself */
    np_lab after[NP_WRITES][NP_STATES]; /* s(u) */
    np_lab before[2][NP_STATES][NP_STATES]; /* p(t); [1]: with the decay of t itself */
    np_lab whole[NP_STATES][NP_STATES];     /* p(C) */
    np_lab scores[NP_READS][NP_WRITES];     /* P, without `same` */
    np_lab late[NP_WRITES];                 /* KEY: w_f s(u); VALUE: b_f s(u) */
    np_lab state[NP_STATES], next[NP_STATES];
    np_lab start[NP_READS], out[NP_READS]; /* r0; r */
    bool solved[NP_READS];                 /* known from forward substitution */
} body;

static np_lab at_u(np_lab x)
{
    return np_label_rename(x, 't', 'u');
}
static int ends(const body *m,
                int e) /* does read e see what its step leaves? Index of the tables that it wants */
{
    return m->a->read[e].end >= 0;
}
static bool any_read(const body *m, int end)
{
    for (int e = 0; e < m->a->nreads; e++)
        if (ends(m, e) == end) return true;
    return false;
}
static bool enters(const body *m, int f) /* does write f stay in any state? */
{
    for (int i = 0; i < m->a->nstates; i++)
        if (!m->post[f][i].zero) return true;
    return false;
}
static np_lab masked(body *m, np_lab x, np_lab neutral)
{
    char with_t[NP_LETTERS];
    if (!m->valid.n || (!x.n && x.zero == neutral.zero)) return x;
    np_label_join(with_t, "t", x.axes, "");
    return np_label_op_as(m->l, NP_SELECT, 3, (np_lab[]){m->valid, x, neutral},
                          x.n && strchr(x.axes, 't') ? x.axes : with_t);
}
static void letters_of(char *out, np_lab x, np_lab y, const char *minus)
{
    char all[NP_LETTERS];
    np_label_join(all, x.axes, y.axes, "");
    size_t n = 0;
    for (const char *p = all; *p; p++)
        if (!strchr(minus, *p) && !memchr(out, *p, n)) out[n++] = *p;
    out[n] = 0;
}
/* The sum of x y over the letters `over`, which neither may have: then it counts them. */
static np_lab dot(body *m, np_lab x, np_lab y, const char *over, const char *out)
{
    if (x.zero || y.zero) return np_label_none;
    for (; *over; over++) {
        char axes[NP_LETTERS];
        if (strchr(x.axes, *over) || strchr(y.axes, *over)) continue;
        np_label_join(axes, x.axes, (char[]){*over, 0}, "");
        x = np_label_of(np_label_to(m->l, x, axes), axes);
    }
    return np_label_dot(m->l, x, y, out);
}
/* The sum over the key of x y. */
static np_lab score(body *m, np_lab x, np_lab y)
{
    char out[NP_LETTERS];
    letters_of(out, x, y, m->a->key);
    return dot(m, x, y, m->a->key, out);
}
/* The letters of a read as it is computed here: t, what it brings, what it keeps. */
static void read_letters(const body *m, int e, bool t, char *out)
{
    char rest[NP_LETTERS];
    np_label_keep(rest, m->a->read[e].axes, m->a->batch, false);
    np_label_join(out, t ? "t" : "", rest, "");
}
static void state_letters(const body *m, char *out)
{
    np_label_keep(out, m->a->axes, m->a->batch, false);
}

/* ---- operands, as they are in the chunk */
static void see_all(body *m)
{
    np_affine *a = m->a;
    np_frames *s = m->s;
    for (int f = 0; f < a->nwrites; f++) {
        const np_write *w = &a->write[f];
        m->w[f] = masked(m, np_frame_see(s, w->w, true), np_label_none);
        m->b[f] = masked(m, np_frame_see(s, w->b, false), np_label_none);
        for (int e = 0; e < a->nreads; e++)
            m->c[f][e] = masked(m, np_frame_see(s, w->c[e], false), np_label_none);
        for (int i = 0; i < a->nstates; i++) m->post[f][i] = np_frame_see(s, w->post[i], false);
        bool fold = a->nstates == 1 && a->decay != NP_DECAY_VALUE; /* into the key */
        if (!fold) continue;
        m->late[f] = np_label_mul(m->l, m->w[f], m->post[f][0]);
        if (!m->post[f][0].zero) m->post[f][0] = np_label_one;
    }
    for (int e = 0; e < a->nreads; e++)
        for (int i = 0; i < a->nstates; i++) {
            np_lab x = !ends(m, e) ? a->read[e].a[i] : a->read[e].end == i ? a->read[e].by : np_label_none;
            m->read[e][i] = np_frame_see(s, x, false);
        }
    for (int e = 0; e < a->nreads; e++)
        for (int f = 0; f < a->nwrites; f++)
            m->same[e][f] =
                ends(m, e) ? np_label_none : score(m, np_frame_see(s, a->read[e].same[f], false), m->w[f]);
    for (int f = 0; f < a->nwrites; f++)
        if (m->late[f].n || m->late[f].zero) m->w[f] = m->late[f];
    for (int i = 0; i < a->nstates; i++)
        for (int j = 0; j < a->nstates; j++)
            m->mix[i][j] =
                masked(m, np_frame_see(s, a->mix[i][j], false), i == j ? np_label_one : np_label_none);
}

/* ---- a short scan over the steps of the chunk. Slots: what it carries and gives, as labels. */
enum { SLOTS = 64 };
typedef struct shorts {
    body *m;
    int nstates, nouts;
    np_lab start[SLOTS], now[SLOTS], next[SLOTS], out[SLOTS], *to_last[SLOTS], *to_out[SLOTS];
    np_node *scan;
} shorts;
/* One more carried value, of these axes, starting from 0 or 1; its last value goes to `last`. */
static int carry(shorts *k, const char *axes, bool one, np_lab *last)
{
    if (k->nstates == SLOTS) np_bug(k->m->s->b->cx, "a chunk carries more than %d values", SLOTS);
    np_lab start = one ? np_label_one : np_label_none;
    k->start[k->nstates] = np_label_of(np_label_to(k->m->l, start, axes), axes);
    k->to_last[k->nstates] = last;
    return k->nstates++;
}
static void give(shorts *k, np_lab x, np_lab *to)
{
    if (k->nouts == SLOTS) np_bug(k->m->s->b->cx, "a chunk gives more than %d values", SLOTS);
    k->out[k->nouts] = x;
    k->to_out[k->nouts++] = to;
}
static void open_steps(shorts *k)
{
    np_node *state[SLOTS];
    for (int i = 0; i < k->nstates; i++) state[i] = k->start[i].n;
    k->scan = np_frame_open(k->m->s, NP_FRAME_STEPS, 't', k->nstates, state);
    for (int i = 0; i < k->nstates; i++)
        k->now[i] = np_label_of(k->scan->body[0]->param[i], k->start[i].axes);
}
static void close_steps(shorts *k)
{
    np_label *l = k->m->l;
    np_node *yield[2 * SLOTS];
    for (int i = 0; i < k->nouts; i++) yield[i] = np_label_to(l, k->out[i], k->out[i].axes);
    for (int i = 0; i < k->nstates; i++) yield[k->nouts + i] = np_label_to(l, k->next[i], k->start[i].axes);
    np_node *r = np_frame_close(k->m->s, k->nouts + k->nstates, yield);
    for (int i = 0; i < k->nouts; i++) {
        char axes[NP_LETTERS];
        np_label_join(axes, "t", k->out[i].axes, "");
        *k->to_out[i] = np_label_of(np_build_result(l->b, r, i), axes);
    }
    for (int i = 0; i < k->nstates; i++)
        if (k->to_last[i])
            *k->to_last[i] = np_label_of(np_build_result(l->b, r, k->nouts + i), k->start[i].axes);
}
/* A value of the chunk at the running step. */
static np_lab at_step(shorts *k, np_lab x)
{
    return np_frame_see(k->m->s, x, false);
}
/* Row t of a carried block becomes x. */
static np_lab put_row(shorts *k, np_lab block, np_lab x, const char *axes)
{
    np_label *l = k->m->l;
    np_lab here = np_label_op(l, NP_EQ, 2, (np_lab[]){k->m->u, at_step(k, k->m->t)});
    return np_label_op_as(l, NP_SELECT, 3, (np_lab[]){here, x, block}, axes);
}

/* ---- decays that are the same for a whole head */
static bool same_entry(const body *m, int f, int g)
{
    for (int i = 0; i < m->a->nstates; i++) {
        np_lab x = m->post[f][i], y = m->post[g][i];
        if (x.n != y.n || x.zero != y.zero || strcmp(x.axes, y.axes) != 0) return false;
    }
    return true;
}
static void mix_letters(const body *m, char *out)
{
    char all[NP_LETTERS] = "";
    for (int i = 0; i < m->a->nstates; i++)
        for (int j = 0; j < m->a->nstates; j++) {
            char now[NP_LETTERS];
            letters_of(now, m->mix[i][j], np_label_of(NULL, all), "tu");
            strcpy(all, now);
        }
    strcpy(out, all);
}
static void no_decay(body *m)
{
    for (int f = 0; f < m->a->nwrites; f++)
        m->table[0][f][0] = m->table[1][f][0] = m->after[f][0] = m->post[f][0];
    m->before[0][0][0] = m->before[1][0][0] = m->whole[0][0] = np_label_one;
}
static void tables(body *m)
{
    int n = m->a->nstates, row[NP_WRITES][NP_STATES], power[NP_STATES][NP_STATES], entry[NP_WRITES];
    char axes[NP_LETTERS], rows[NP_LETTERS];
    shorts k = {.m = m};
    np_label *l = m->l;
    mix_letters(m, axes);
    np_label_join(rows, axes, "u", "");
    for (int f = 0; f < m->a->nwrites; f++) {
        for (entry[f] = 0; entry[f] < f && !same_entry(m, entry[f], f);) entry[f]++;
        for (int i = 0; i < n && entry[f] == f && enters(m, f); i++)
            row[f][i] = carry(&k, rows, false, &m->after[f][i]);
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) power[i][j] = carry(&k, axes, i == j, &m->whole[i][j]);
    open_steps(&k);
    np_lab mix[NP_STATES][NP_STATES];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) mix[i][j] = at_step(&k, m->mix[i][j]);
    for (int f = 0; f < m->a->nwrites; f++)
        for (int i = 0; i < n && entry[f] == f && enters(m, f); i++) {
            np_lab sum = np_label_none;
            for (int j = 0; j < n; j++)
                sum = np_label_add(l, sum, np_label_mul(l, mix[i][j], k.now[row[f][j]]));
            sum = put_row(&k, sum, at_step(&k, m->post[f][i]), rows);
            for (int end = 0; end < 2; end++)
                if (any_read(m, end)) give(&k, end ? sum : k.now[row[f][i]], &m->table[end][f][i]);
            k.next[row[f][i]] = sum;
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            np_lab sum = np_label_none;
            for (int p = 0; p < n; p++)
                sum = np_label_add(l, sum, np_label_mul(l, mix[i][p], k.now[power[p][j]]));
            sum = np_label_of(np_label_to(l, sum, axes), axes);
            for (int end = 0; end < 2; end++)
                if (any_read(m, end)) give(&k, end ? sum : k.now[power[i][j]], &m->before[end][i][j]);
            k.next[power[i][j]] = sum;
        }
    close_steps(&k);
    for (int f = 0; f < m->a->nwrites; f++)
        for (int i = 0; i < n; i++)
            if (enters(m, f)) {
                for (int end = 0; end < 2; end++) m->table[end][f][i] = m->table[end][entry[f]][i];
                m->after[f][i] = m->after[entry[f]][i];
            }
}
/* Scores of steps that read e has behind it; u, over which reads sum, is the last axis. */
static np_lab in_past(body *m, int e, np_lab x)
{
    char rest[NP_LETTERS], axes[NP_LETTERS];
    if (x.zero) return x;
    np_label_keep(rest, x.axes, "tu", false);
    np_label_join(axes, "t", rest, "u");
    return np_label_op_as(m->l, NP_SELECT, 3, (np_lab[]){m->past[ends(m, e)], x, np_label_none}, axes);
}
static void table_scores(body *m)
{
    bool plain = m->a->decay == NP_DECAY_NONE;
    for (int e = 0; e < m->a->nreads; e++)
        for (int f = 0; f < m->a->nwrites; f++) {
            np_lab sum = np_label_none;
            for (int i = 0; i < m->a->nstates && enters(m, f); i++) {
                np_lab table = m->table[ends(m, e)][f][i];
                if (table.zero) continue;
                np_lab p = score(m, m->read[e][i], at_u(m->w[f]));
                sum = np_label_add(m->l, sum, plain ? p : np_label_mul(m->l, p, table));
            }
            m->scores[e][f] = in_past(m, e, sum);
        }
    for (int f = 0; f < m->a->nwrites; f++)
        if (!enters(m, f)) m->after[f][0] = np_label_none;
}

/* ---- decays along the key */
static void key_scores(body *m)
{
    shorts k = {.m = m};
    np_label *l = m->l;
    int block[NP_WRITES], power;
    char rows[NP_LETTERS];
    np_label_join(rows, m->a->key, "u", "");
    for (int f = 0; f < m->a->nwrites; f++)
        if (enters(m, f)) block[f] = carry(&k, rows, false, &m->late[f]);
    power = carry(&k, m->a->key, true, &m->whole[0][0]);
    open_steps(&k);
    np_lab g = at_step(&k, m->mix[0][0]);
    for (int f = 0; f < m->a->nwrites; f++) {
        if (!enters(m, f)) continue;
        np_lab next = put_row(&k, np_label_mul(l, k.now[block[f]], g), at_step(&k, m->w[f]), rows);
        for (int e = 0; e < m->a->nreads; e++)
            if (!m->read[e][0].zero)
                give(&k, score(m, at_step(&k, m->read[e][0]), ends(m, e) ? next : k.now[block[f]]),
                     &m->scores[e][f]);
        k.next[block[f]] = next;
    }
    k.next[power] = np_label_mul(l, k.now[power], g);
    for (int end = 0; end < 2; end++)
        if (any_read(m, end)) give(&k, end ? k.next[power] : k.now[power], &m->before[end][0][0]);
    close_steps(&k);
    for (int f = 0; f < m->a->nwrites; f++) m->after[f][0] = enters(m, f) ? np_label_one : np_label_none;
}

/* ---- what the chunk starts with */
static void starts(body *m)
{
    int n = m->a->nstates;
    bool value = m->a->decay == NP_DECAY_VALUE;
    for (int e = 0; e < m->a->nreads; e++) {
        char out[NP_LETTERS];
        read_letters(m, e, true, out);
        m->start[e] = np_label_none;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                np_lab by = value ? np_label_one : m->before[ends(m, e)][i][j];
                np_lab a = np_label_mul(m->l, m->read[e][i], by);
                m->start[e] = np_label_add(m->l, m->start[e], np_label_dot(m->l, a, m->state[j], out));
            }
    }
}

/* ---- values that depend on reads, and decays along the values: step after step */
typedef struct solver {
    shorts k;
    np_lab known[NP_READS], read[NP_READS], value[NP_WRITES];
    bool has_read[NP_READS], has_value[NP_WRITES];
} solver;
static np_lab value_at(solver *t, int f);
static np_lab read_at(solver *t, int e)
{
    body *m = t->k.m;
    if (t->has_read[e]) return t->read[e];
    np_lab r = t->known[e];
    for (int f = 0; f < m->a->nwrites; f++)
        if (!m->same[e][f].zero)
            r = np_label_add(m->l, r, np_label_mul(m->l, at_step(&t->k, m->same[e][f]), value_at(t, f)));
    char out[NP_LETTERS];
    read_letters(m, e, false, out);
    t->has_read[e] = true;
    return t->read[e] = np_label_of(np_label_to(m->l, r, out), out);
}
static np_lab value_at(solver *t, int f)
{
    body *m = t->k.m;
    if (t->has_value[f]) return t->value[f];
    np_lab v = at_step(&t->k, m->b[f]);
    for (int e = 0; e < m->a->nreads; e++)
        if (!m->c[f][e].zero)
            v = np_label_add(m->l, v, np_label_mul(m->l, at_step(&t->k, m->c[f][e]), read_at(t, e)));
    t->has_value[f] = true;
    return t->value[f] = v;
}
static bool wanted_by_writes(const body *m, int e)
{
    for (int f = 0; f < m->a->nwrites; f++)
        if (!m->c[f][e].zero) return true;
    return false;
}
/* What read e sees of the state at the chunk's start, times p, and of the written values in the blocks. */
static np_lab read_so_far(solver *t, int e, const int *block, np_lab p, const np_lab *blocks)
{
    body *m = t->k.m;
    char out[NP_LETTERS];
    read_letters(m, e, false, out);
    np_lab r = np_label_mul(m->l, at_step(&t->k, m->start[e]), p);
    for (int f = 0; f < m->a->nwrites; f++)
        r = np_label_add(m->l, r, np_label_dot(m->l, at_step(&t->k, m->scores[e][f]), blocks[block[f]], out));
    return r;
}
static void substitute(body *m)
{
    solver t = {.k = {.m = m}};
    shorts *k = &t.k;
    np_label *l = m->l;
    bool value = m->a->decay == NP_DECAY_VALUE;
    int block[NP_WRITES], power = -1;
    char rows[NP_LETTERS], axes[NP_LETTERS];
    np_label_join(rows, "u", m->a->held, m->a->value);
    for (int f = 0; f < m->a->nwrites; f++) block[f] = carry(k, rows, false, &m->late[f]);
    mix_letters(m, axes);
    if (value) power = carry(k, axes, true, &m->whole[0][0]);
    open_steps(k);
    np_lab g = value ? at_step(k, m->mix[0][0]) : np_label_one;
    for (int e = 0; e < m->a->nreads; e++) {
        m->solved[e] = value || wanted_by_writes(m, e);
        if (m->solved[e] && !ends(m, e))
            t.known[e] = read_so_far(&t, e, block, value ? k->now[power] : np_label_one, k->now);
    }
    for (int f = 0; f < m->a->nwrites; f++) {
        np_lab x = value_at(&t, f);
        if (value) x = np_label_mul(l, x, at_step(k, m->post[f][0]));
        k->next[block[f]] = put_row(k, np_label_mul(l, k->now[block[f]], g), x, rows);
    }
    if (value) k->next[power] = np_label_mul(l, k->now[power], g);
    for (int e = 0; e < m->a->nreads; e++) {
        if (!m->solved[e]) continue;
        if (ends(m, e))
            t.known[e] = read_so_far(&t, e, block, value ? k->next[power] : np_label_one, k->next);
        give(k, read_at(&t, e), &m->out[e]);
    }
    close_steps(k);
}
/* Reads when all values that are written are known. The mask stands around the
 * products, not around the scores: what comes later is not even multiplied by 0. */
static void contract_reads(body *m)
{
    np_label *l = m->l;
    for (int e = 0; e < m->a->nreads; e++) {
        if (m->solved[e]) continue;
        char out[NP_LETTERS], pairs[NP_LETTERS];
        read_letters(m, e, true, out);
        np_label_join(pairs, out, "u", "");
        np_lab r = m->start[e];
        for (int f = 0; f < m->a->nwrites; f++) {
            np_lab x = np_label_mul(l, m->scores[e][f], at_u(m->b[f]));
            if (!x.zero) {
                x = np_label_select(l, m->past[ends(m, e)], x, np_label_none);
                r = np_label_add(
                    l, r, np_label_dot(l, np_label_of(np_label_to(l, x, pairs), pairs), np_label_one, out));
            }
            r = np_label_add(l, r, np_label_mul(l, m->same[e][f], np_label_rename(m->b[f], 'u', 't')));
        }
        m->out[e] = r;
    }
}
static void next_states(body *m)
{
    int n = m->a->nstates;
    char out[NP_LETTERS];
    bool key = m->a->decay == NP_DECAY_KEY;
    state_letters(m, out);
    for (int i = 0; i < n; i++) {
        np_lab s = np_label_none;
        for (int j = 0; j < n; j++)
            s = np_label_add(m->l, s, np_label_mul(m->l, m->whole[i][j], m->state[j]));
        for (int f = 0; f < m->a->nwrites; f++) {
            if (!enters(m, f) || m->after[f][i].zero) continue;
            np_lab w = key ? m->late[f] : np_label_mul(m->l, at_u(m->w[f]), m->after[f][i]);
            s = np_label_add(m->l, s, dot(m, w, at_u(m->b[f]), "u", out));
        }
        m->next[i] = np_label_of(np_label_to(m->l, s, out), out);
    }
}

static bool needs_steps(const np_affine *a)
{
    for (int f = 0; f < a->nwrites; f++)
        if (a->write[f].reads) return true;
    return a->decay == NP_DECAY_VALUE;
}
static void write_body(body *m)
{
    np_affine *a = m->a;
    for (int e = 0; e < a->nreads; e++)
        for (int f = 0; f < a->nwrites; f++) m->scores[e][f] = np_label_none;
    see_all(m);
    np_lab late[NP_WRITES]; /* of the key, before values take the name */
    switch (a->decay) {
    case NP_DECAY_NONE:
        no_decay(m);
        table_scores(m);
        break;
    case NP_DECAY_SCALAR:
    case NP_DECAY_MIX:
        tables(m);
        table_scores(m);
        break;
    case NP_DECAY_KEY: key_scores(m); break;
    case NP_DECAY_VALUE:
        for (int e = 0; e < a->nreads; e++)
            for (int f = 0; f < a->nwrites; f++) {
                if (enters(m, f)) m->scores[e][f] = in_past(m, e, score(m, m->read[e][0], at_u(m->w[f])));
                m->after[f][0] = enters(m, f) ? np_label_one : np_label_none;
            }
        break;
    }
    starts(m);
    memcpy(late, m->late, sizeof late);
    if (needs_steps(a)) {
        substitute(m);
        for (int f = 0; f < a->nwrites; f++) {
            m->b[f] = m->late[f]; /* [u,V] */
            m->late[f] = late[f];
        }
    }
    contract_reads(m);
    next_states(m);
}

/* ---- the whole of it */
static np_node *whole_time(np_frames *s, np_node *n, int k)
{
    n = np_build_merge(s->b, n, k);
    return np_build_slice(s->b, n, k, np_dim_const(s->b->cx, 0), s->T);
}
void np_chunk_block(np_frames *s, np_blocked *r, int n)
{
    np_build *b = s->b;
    np_cx *cx = b->cx;
    const char *batch = r[0].a->batch;
    int nbatch = (int)strlen(batch), nstates = 0, nouts = 0;
    np_node *state[SLOTS], *yield[2 * SLOTS];
    body *m = np_arena_array(&b->fn->mem, (size_t)n, sizeof *m);
    s->home = b->at;
    s->l = &r[0].a->l;
    for (int k = 0; k < nbatch; k++) np_frame_open(s, NP_FRAME_MAP, batch[k], 0, NULL);
    for (int q = 0; q < n; q++) {
        np_affine *a = r[q].a;
        char axes[NP_LETTERS];
        m[q] = (body){.s = s, .l = &a->l, .a = a};
        state_letters(&m[q], axes);
        for (int i = 0; i < a->nstates; i++) {
            np_lab start = np_frame_see(s, np_label_of(r[q].start[i], a->axes), false);
            state[nstates++] = np_label_to(&a->l, start, axes);
        }
    }
    np_node *chunks = np_frame_open(s, NP_FRAME_CHUNKS, 't', nstates, state);
    const np_node *const *param = (const np_node *const *)chunks->body[0]->param;
    const np_dim *c = np_dim_const(cx, s->c);
    np_node *steps = np_build_iota(b, c);
    np_lab t = np_label_of(steps, "t"), u = np_label_of(steps, "u"), valid = {0};
    for (int q = 0, k = 0; q < n; q++) {
        char axes[NP_LETTERS];
        state_letters(&m[q], axes);
        m[q].l->dim['t'] = m[q].l->dim['u'] = c;
        for (int i = 0; i < m[q].a->nstates; i++) m[q].state[i] = np_label_of((np_node *)param[k++], axes);
    }
    if (np_frame_ragged(s)) {
        np_frame *frame = &s->frame[s->n - 1];
        s->l = m[0].l;
        b->at = frame->outside;
        np_node *index = np_build_iota(b, s->chunks);
        b->at = chunks->body[0];
        np_node *first = np_build_2(b, NP_MUL, np_build_feed(b, chunks, index),
                                    np_build_num(b, np_type_scalar(cx, NP_I32), (double)s->c));
        np_lab pos = np_label_op(s->l, NP_ADD, 2, (np_lab[]){t, np_label_of(first, "")});
        frame->pos = pos.n;
        valid = np_label_op(s->l, NP_LT, 2, (np_lab[]){pos, np_label_of(np_build_size(b, s->T), "")});
    }
    for (int q = 0; q < n; q++) {
        s->l = m[q].l;
        m[q].valid = valid;
        m[q].t = t, m[q].u = u;
        for (int end = 0; end < 2; end++)
            m[q].past[end] = np_label_op_as(s->l, end ? NP_LE : NP_LT, 2,
                                            s->back ? (np_lab[]){t, u} : (np_lab[]){u, t}, "tu");
        write_body(&m[q]);
        for (int e = 0; e < m[q].a->nreads; e++) {
            char out[NP_LETTERS];
            read_letters(&m[q], e, true, out);
            yield[nouts++] = np_label_to(s->l, m[q].out[e], out);
        }
    }
    int k = nouts;
    for (int q = 0; q < n; q++)
        for (int i = 0; i < m[q].a->nstates; i++) yield[k++] = m[q].next[i].n;
    np_node *now = np_frame_close(s, k, yield);
    while (s->n) {
        for (int i = 0; i < k; i++) yield[i] = np_build_result(b, now, i);
        now = np_frame_close(s, k, yield);
    }
    int o = 0;
    k = nouts;
    for (int q = 0; q < n; q++) {
        np_affine *a = m[q].a;
        char axes[NP_LETTERS], rest[NP_LETTERS], to[NP_LETTERS];
        a->l.dim['t'] = s->T;
        for (int e = 0; e < a->nreads; e++) {
            np_node *all = whole_time(s, np_build_result(b, now, o++), nbatch);
            np_label_keep(rest, a->read[e].axes, a->batch, false);
            np_label_join(axes, batch, "t", rest);
            np_label_join(to, "t", a->read[e].axes, "");
            np_lift_set(a->lift, a->read[e].at, np_label_to(&a->l, np_label_of(all, axes), to));
        }
        state_letters(&m[q], rest);
        np_label_join(axes, batch, rest, "");
        for (int i = 0; i < a->nstates; i++)
            r[q].final[i] = np_label_to(&a->l, np_label_of(np_build_result(b, now, k++), axes), a->axes);
    }
}
