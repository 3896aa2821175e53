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
#include "chunk_body.h"

#include <string.h>

bool np_chunk_by_value(const np_affine *a)
{
    return a->decay == NP_DECAY_VALUE || a->decay == NP_DECAY_BOTH;
}

/* ---- what the chunk starts with */
static np_lab level_at(np_chunked *m, np_lab x, const char *level, int64_t i)
{
    char rest[NP_LETTERS];
    int k = (int)strcspn(x.axes, level);
    np_label_keep(rest, x.axes, level, false);
    return np_label_of(np_build_at(m->l->b, x.n, k, np_dim_const(m->l->b->cx, i)), rest);
}
/* The sum over key and levels of by * how times state j as the chunk starts with it. What is chosen goes level by level. */
static np_lab see_levels(np_chunked *m, np_lab by, np_lab how, int j, const char *out)
{
    np_label *l = m->l;
    np_lab state = np_label_rename(m->state[j], m->a->level, NP_LEVEL_FROM), sum = np_label_none;
    char from[] = {NP_LEVEL_FROM, 0};
    int64_t n = 0;
    if (how.zero) return how;
    if (!m->a->among || !strchr(how.axes, NP_LEVEL_FROM))
        return np_label_dot(l, np_label_mul(l, by, how), state, out);
    np_dim_int(l->dim[NP_LEVEL_FROM], &n);
    for (int64_t i = 0; i < n; i++) {
        np_lab h = level_at(m, how, from, i), s = level_at(m, state, from, i);
        sum = np_label_add(l, sum, np_chunk_taken(m, h, np_label_dot(l, np_label_mul(l, by, h), s, out)));
    }
    return sum;
}
/* What read e has of state i at the start: where the body has not taken the state, the sum of what it multiplies zeros by. */
static np_lab or_nothing(np_chunked *m, int e, int i, np_lab seen, const char *out)
{
    np_lab how = m->how[e][i];
    if (!m->a->chosen || !how.n || !seen.n) return seen;
    np_lab zeros = np_chunk_dot(m, m->read[e][i], np_label_one, m->a->key, out);
    return np_label_select(m->l, np_chunk_not_zero(m, how), seen, zeros);
}
static void starts(np_chunked *m)
{
    int n = m->a->nstates;
    bool value = m->a->decay == NP_DECAY_VALUE;
    for (int e = 0; e < m->a->nreads; e++) {
        char out[NP_LETTERS];
        np_chunk_read_letters(m, e, true, out);
        m->start[e] = np_label_none;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                if (m->a->level) {
                    np_lab seen = see_levels(
                        m, m->apart[e], np_chunk_through(m, m->how[e][i], m->a->level, m->before[0][i][j]), j,
                        out);
                    m->start[e] = np_label_add(m->l, m->start[e], seen);
                    continue;
                }
                np_lab by = value ? np_label_one : m->before[np_chunk_ends(m, e)][i][j];
                np_lab a = np_label_mul(m->l, m->read[e][i], by);
                np_lab seen = np_chunk_taken(m, by, np_label_dot(m->l, a, m->state[j], out));
                if (i == j)
                    seen = or_nothing(m, e, i, seen, out);
                else
                    seen = np_chunk_taken(m, m->how[e][i], seen);
                m->start[e] = np_label_add(m->l, m->start[e], seen);
            }
    }
}

/* ---- values that depend on reads, and decays along the values: step after step.
 * What is found has parts: part 0, and where chunks lie side by side, so that the state at the start is not known yet, for each
 * state j what is to be multiplied with it, part 1 + j. */
typedef struct solver {
    np_short k;
    int nparts;
    np_lab start[1 + NP_STATES][NP_READS]; /* what a read has of the chunk's start, for all steps */
    np_lab known[1 + NP_STATES][NP_READS], read[1 + NP_STATES][NP_READS], value[1 + NP_STATES][NP_WRITES];
    bool has_read[1 + NP_STATES][NP_READS], has_value[1 + NP_STATES][NP_WRITES];
    np_lab late[1 + NP_STATES][NP_WRITES];
} solver;
static np_lab value_at(solver *t, int p, int f);
static np_lab read_at(solver *t, int p, int e)
{
    np_chunked *m = t->k.m;
    if (t->has_read[p][e]) return t->read[p][e];
    np_lab r = t->known[p][e];
    for (int f = 0; f < m->a->nwrites; f++)
        if (!m->same[e][f].zero) {
            np_lab same = np_short_at(&t->k, m->same[e][f]);
            r = np_label_add(m->l, r, np_chunk_of(m, same, value_at(t, p, f)));
        }
    char out[NP_LETTERS];
    np_chunk_read_letters(m, e, false, out);
    t->has_read[p][e] = true;
    return t->read[p][e] = p ? r : np_label_of(np_label_to(m->l, r, out), out);
}
static np_lab value_at(solver *t, int p, int f)
{
    np_chunked *m = t->k.m;
    if (t->has_value[p][f]) return t->value[p][f];
    np_lab v = p ? np_label_none : np_short_at(&t->k, m->b[f]);
    for (int e = 0; e < m->a->nreads; e++)
        if (!m->c[f][e].zero)
            v = np_label_add(m->l, v, np_label_mul(m->l, np_short_at(&t->k, m->c[f][e]), read_at(t, p, e)));
    t->has_value[p][f] = true;
    return t->value[p][f] = v;
}
static bool wanted_by_writes(const np_chunked *m, int e)
{
    for (int f = 0; f < m->a->nwrites; f++)
        if (!m->c[f][e].zero) return true;
    return false;
}
/* What multiplies state j at the chunk's start in read e. */
static np_lab seen_at_start(np_chunked *m, int e, int j)
{
    np_lab sum = np_label_none;
    for (int i = 0; i < m->a->nstates; i++)
        sum =
            np_label_add(m->l, sum, np_label_mul(m->l, m->read[e][i], m->before[np_chunk_ends(m, e)][i][j]));
    return sum;
}
/* What read e sees of the state at the chunk's start, times `by`, and of the written values in the blocks. */
static np_lab read_so_far(solver *t, int p, int e, const int *block, np_lab by, const np_lab *blocks)
{
    np_chunked *m = t->k.m;
    char out[NP_LETTERS];
    np_lab r = np_label_mul(m->l, np_short_at(&t->k, t->start[p][e]), by);
    for (int f = 0; f < m->a->nwrites; f++) {
        np_lab scores = np_short_at(&t->k, m->scores[e][f]), rows = blocks[block[f]];
        np_chunk_read_letters(m, e, false, out);
        if (p) np_chunk_letters(out, scores, rows, "u");
        r = np_label_add(m->l, r, np_chunk_weighed(m, scores, rows, NULL, out));
    }
    return m->a->decay == NP_DECAY_BOTH ? np_label_mul(m->l, r, np_short_at(&t->k, m->read_value[e])) : r;
}
/* The letters of a block of part p of the written values. */
static void row_letters(const np_chunked *m, int p, char *out)
{
    const np_affine *a = m->a;
    bool by_value = p == 0;
    for (int f = 0; f < a->nwrites; f++)
        for (int e = 0; e < a->nreads; e++) by_value |= np_label_has(m->c[f][e], a->value);
    np_label_join(out, "u", p ? a->key : "", a->held);
    np_label_join(out, out, by_value ? a->value : "", "");
}
static void open_part(solver *t, int p, int *block)
{
    np_chunked *m = t->k.m;
    char rows[NP_LETTERS], own[NP_LETTERS];
    for (int e = 0; e < m->a->nreads; e++)
        t->start[p][e] = p ? seen_at_start(m, e, p - 1) : t->nparts == 1 ? m->start[e] : np_label_none;
    row_letters(m, p, rows);
    for (int f = 0; f < m->a->nwrites; f++)
        block[f] = np_short_carry(&t->k, np_chunk_rows(m, f, rows, NP_LEVEL_OWN, own), np_label_none,
                                  &t->late[p][f]);
}
static void substitute(np_chunked *m)
{
    solver *t = np_arena_alloc(&m->l->b->fn->mem, sizeof *t);
    *t = (solver){.k = {.m = m}, .nparts = m->s->abreast > 1 ? 1 + m->a->nstates : 1};
    np_short *k = &t->k;
    np_label *l = m->l;
    bool value = np_chunk_by_value(m->a), both = m->a->decay == NP_DECAY_BOTH;
    np_lab whole = np_label_one;
    int block[1 + NP_STATES][NP_WRITES], power = -1;
    char rows[NP_LETTERS], axes[NP_LETTERS], own[NP_LETTERS];
    for (int p = 0; p < t->nparts; p++) open_part(t, p, block[p]);
    np_chunk_letters(axes, m->mix_value, np_label_one, "t");
    if (value) power = np_short_carry(k, axes, np_label_one, &whole);
    np_short_open(k);
    np_lab g = value ? np_short_at(k, m->mix_value) : np_label_one;
    for (int p = 0; p < t->nparts; p++) {
        for (int e = 0; e < m->a->nreads; e++)
            if ((value || wanted_by_writes(m, e)) && !np_chunk_ends(m, e))
                t->known[p][e] = read_so_far(t, p, e, block[p], value ? k->now[power] : np_label_one, k->now);
        row_letters(m, p, rows);
        for (int f = 0; f < m->a->nwrites; f++) {
            np_lab x = value_at(t, p, f);
            if (value) x = np_label_mul(l, x, np_short_at(k, both ? m->post_value[f] : m->post[f][0]));
            k->next[block[p][f]] = np_short_put(k, np_label_mul(l, k->now[block[p][f]], g), x,
                                                np_chunk_rows(m, f, rows, NP_LEVEL_OWN, own));
        }
    }
    if (value) k->next[power] = np_label_mul(l, k->now[power], g);
    for (int e = 0; e < m->a->nreads; e++) {
        m->solved[e] = t->nparts == 1 && (value || wanted_by_writes(m, e));
        if (!m->solved[e]) continue;
        if (np_chunk_ends(m, e))
            t->known[0][e] = read_so_far(t, 0, e, block[0], value ? k->next[power] : np_label_one, k->next);
        np_short_give(k, read_at(t, 0, e), &m->out[e]);
    }
    np_short_close(k);
    if (value) m->whole[0][0] = both ? np_label_mul(l, m->whole[0][0], whole) : whole;
    row_letters(m, 0, rows);
    for (int f = 0; f < m->a->nwrites; f++) {
        m->b[f] = t->late[0][f];
        for (int p = 1; p < t->nparts; p++)
            m->b[f] = np_label_add(
                l, m->b[f], np_chunk_sum(m, t->late[p][f], m->state[p - 1], m->a->key, rows, m->a->chosen));
    }
}
/* Reads when all values that are written are known. The mask stands around the
 * products, not around the scores: what comes later is not even multiplied by 0. */
static void contract_reads(np_chunked *m)
{
    np_label *l = m->l;
    for (int e = 0; e < m->a->nreads; e++) {
        if (m->solved[e]) continue;
        char out[NP_LETTERS];
        np_chunk_read_letters(m, e, true, out);
        np_lab r = m->start[e];
        for (int f = 0; f < m->a->nwrites; f++) {
            const np_lab *past = &m->past[np_chunk_ends(m, e)];
            r = np_label_add(l, r, np_chunk_weighed(m, m->scores[e][f], np_chunk_at_u(m->b[f]), past, out));
            r = np_label_add(l, r, np_chunk_of(m, m->same[e][f], np_label_rename(m->b[f], 'u', 't')));
        }
        m->out[e] = r;
    }
}
/* The key of a write, for each level that has something of what any level got of it. */
static np_lab where_it_stays(np_chunked *m, np_lab after, np_lab key)
{
    char levels[NP_LETTERS];
    if (!m->a->chosen) return key;
    np_lab any =
        np_chunk_if_not_zero(m, after, np_label_of(np_label_to(m->l, np_label_one, after.axes), after.axes));
    np_label_keep(levels, after.axes, (char[]){NP_LEVEL_OF, 0}, false);
    return np_chunk_if_not_zero(m, np_label_dot(m->l, any, np_label_one, levels), key);
}
static void next_states(np_chunked *m)
{
    int n = m->a->nstates;
    char out[NP_LETTERS];
    bool key = m->a->decay == NP_DECAY_KEY || m->a->decay == NP_DECAY_BOTH;
    np_chunk_state_letters(m, out);
    for (int i = 0; i < n; i++) {
        np_lab s = np_label_none;
        for (int j = 0; j < n && m->a->level; j++)
            s = np_label_add(m->l, s, see_levels(m, np_label_one, m->whole[i][j], j, out));
        for (int j = 0; j < n && !m->a->level; j++)
            s = np_label_add(
                m->l, s, np_chunk_taken(m, m->whole[i][j], np_label_mul(m->l, m->whole[i][j], m->state[j])));
        for (int f = 0; f < m->a->nwrites; f++) {
            if (!np_chunk_enters(m, f) || m->after[f][i].zero) continue;
            np_lab after = m->after[f][i], w = m->keys[f][i];
            if (m->a->write[f].own) { /* first what each level gets of the values */
                np_lab b = np_chunk_of(m, after, np_chunk_at_u(m->b[f]));
                w = where_it_stays(m, after, np_chunk_at_u(m->w[f]));
                s = np_label_add(m->l, s, np_chunk_dot(m, w, b, "u", out));
                continue;
            }
            if (!key) w = np_chunk_taken(m, after, np_label_mul(m->l, np_chunk_at_u(m->w[f]), after));
            np_lab b = np_chunk_taken(m, after,
                                      np_chunk_taken(m, np_chunk_at_u(m->entry[f]), np_chunk_at_u(m->b[f])));
            s = np_label_add(m->l, s, np_chunk_dot(m, w, b, "u", out));
        }
        m->next[i] = np_label_of(np_label_to(m->l, s, out), out);
    }
}

static bool needs_steps(const np_affine *a)
{
    for (int f = 0; f < a->nwrites; f++)
        if (a->write[f].reads) return true;
    return np_chunk_by_value(a);
}
static void write_body(np_chunked *m)
{
    np_affine *a = m->a;
    if (m->conv || m->each) {
        m->conv ? np_conv_body(m) : np_each_body(m);
        return;
    }
    np_chunk_see(m);
    np_chunk_decay(m);
    starts(m);
    if (needs_steps(a)) substitute(m);
    contract_reads(m);
    next_states(m);
}

/* ---- the whole of it */
static np_node *whole_time(np_frames *s, np_node *n, int k)
{
    n = np_build_merge(s->b, n, k);
    return np_build_slice(s->b, n, k, np_dim_const(s->b->cx, 0), s->T);
}
np_node *np_chunk_block(np_frames *s, np_blocked *r, int n)
{
    np_build *b = s->b;
    np_cx *cx = b->cx;
    const char *batch = r[0].a->batch;
    int nbatch = (int)strlen(batch), nstates = 0, nouts = 0;
    np_node *state[NP_SLOTS], *yield[2 * NP_SLOTS];
    const np_dim *c = np_dim_const(cx, s->c);
    np_chunked *m = np_arena_array(&b->fn->mem, (size_t)n, sizeof *m);
    s->home = b->at;
    s->l = &r[0].a->l;
    for (int k = 0; k < nbatch; k++) np_frame_open(s, NP_FRAME_MAP, batch[k], 0, NULL);
    for (int q = 0; q < n; q++) {
        np_affine *a = r[q].a;
        char axes[NP_LETTERS];
        m[q] = (np_chunked){.s = s, .l = &a->l, .a = a};
        a->l.dim['t'] = a->l.dim['u'] = c;
        np_chunk_state_letters(&m[q], axes);
        for (int i = 0; i < a->nstates; i++) {
            np_lab start = np_frame_see(s, np_label_of(r[q].start[i], a->axes), false);
            state[nstates++] = np_label_to(&a->l, start, axes);
        }
        s->l = &a->l;
        m[q].each = r[q].each;
        if (r[q].conv) m[q].conv = np_conv_tables(&m[q]);
    }
    if (s->abreast > 1) {
        np_node *segments = np_frame_open(s, NP_FRAME_SEGMENTS, '/', nstates, state);
        for (int i = 0; i < nstates; i++) state[i] = segments->body[0]->param[i];
    }
    np_node *chunks = np_frame_open(s, NP_FRAME_CHUNKS, 't', nstates, state);
    const np_node *const *param = (const np_node *const *)chunks->body[0]->param;
    b->plain = true; /* an iota of the model that has the same size is another axis, and may be fed */
    np_node *steps = np_build_iota(b, c);
    b->plain = false;
    np_lab t = np_label_of(steps, "t"), u = np_label_of(steps, "u"), valid = {0}, count = {0};
    for (int q = 0, k = 0; q < n; q++) {
        char axes[NP_LETTERS];
        np_chunk_state_letters(&m[q], axes);
        for (int i = 0; i < m[q].a->nstates; i++) m[q].state[i] = np_label_of((np_node *)param[k++], axes);
    }
    if (np_frame_ragged(s)) {
        s->l = m[0].l;
        np_frame_last(s, t, &valid, &count);
    }
    for (int q = 0; q < n; q++) {
        s->l = m[q].l;
        m[q].valid = valid;
        m[q].count = count;
        m[q].guard = r[q].guard;
        m[q].t = t, m[q].u = u;
        for (int end = 0; end < 2; end++)
            m[q].past[end] = np_label_op_as(s->l, end ? NP_LE : NP_LT, 2,
                                            s->back ? (np_lab[]){t, u} : (np_lab[]){u, t}, "tu");
        write_body(&m[q]);
        for (int e = 0; e < m[q].a->nreads; e++) {
            char out[NP_LETTERS];
            np_chunk_read_letters(&m[q], e, true, out);
            yield[nouts++] = np_label_to(s->l, m[q].out[e], out);
        }
    }
    int k = nouts;
    for (int q = 0; q < n; q++)
        for (int i = 0; i < m[q].a->nstates; i++) yield[k++] = m[q].next[i].n;
    np_node *now = np_frame_close(s, k, yield), *over_chunks = now;
    while (s->n) {
        bool segments = s->frame[s->n - 1].kind == NP_FRAME_SEGMENTS; /* gives its steps in a row */
        for (int i = 0; i < k; i++) {
            yield[i] = np_build_result(b, now, i);
            if (segments && i < nouts) yield[i] = np_build_merge(b, yield[i], 0);
        }
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
        np_chunk_state_letters(&m[q], rest);
        np_label_join(axes, batch, rest, "");
        for (int i = 0; i < a->nstates; i++)
            r[q].final[i] = np_label_to(&a->l, np_label_of(np_build_result(b, now, k++), axes), a->axes);
    }
    return over_chunks;
}
