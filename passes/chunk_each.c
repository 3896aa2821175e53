/* Chunks of recurrences that have no scores worth having: every element of the
 * state has a decay of its own, or nothing is summed over. Where chunks lie side
 * by side, each goes step by step from nothing, and what the state at its start
 * adds is known from the product of its decays:
 *
 *   H[t] = mix H[t-1] + what is written,  H = 0 at first
 *   p[t] = mix p[t-1],                    p = 1 at first
 *   S[t] = H[t] + p[t] S,                 r_e = sum over K of a_e S[t] (or S[t-1])
 *
 * Twice the work of the step form, and all chunks at once.
 *
 * Where one chunk comes after the other and reads multiply the state with a matrix
 * that is larger than the state, each chunk goes step by step from the state before
 * it, keeps S[t], and reads all of its steps in one contraction. */
#include "chunk_body.h"

/* What state i has of itself and of others a step later. */
static np_lab mixed(np_short *k, int i, const int *slot, int stride, int j)
{
    np_chunked *m = k->m;
    np_lab sum = np_label_none;
    for (int p = 0; p < m->a->nstates; p++) {
        np_lab mix = np_short_at(k, m->mix[i][p]), x = k->now[slot[p * stride + j]];
        sum = np_label_add(m->l, sum, np_chunk_product(m, mix, x, m->a->chosen));
    }
    return sum;
}
/* Read e of these states, and of what its own step writes: at the running step of k, or (NULL) at all steps of the chunk. */
static np_lab own_read(np_chunked *m, np_short *k, int e, const np_lab *states)
{
    char out[NP_LETTERS];
    np_chunk_read_letters(m, e, !k, out);
    np_lab r = np_label_none;
    for (int i = 0; i < m->a->nstates; i++) {
        np_lab a = k ? np_short_at(k, m->read[e][i]) : m->read[e][i];
        if (!a.zero) r = np_label_add(m->l, r, np_chunk_dot(m, a, states[i], m->a->key, out));
    }
    for (int f = 0; f < m->a->nwrites; f++) {
        np_lab same = m->same[e][f], b = m->b[f];
        if (k) same = np_short_at(k, same), b = np_short_at(k, b);
        r = np_label_add(m->l, r, np_chunk_product(m, same, b, m->a->chosen));
    }
    return np_label_of(np_label_to(m->l, r, out), out);
}
static np_lab written(np_short *k, int i)
{
    np_chunked *m = k->m;
    np_lab sum = np_label_none;
    for (int f = 0; f < m->a->nwrites; f++) {
        np_lab x = np_label_mul(m->l, np_short_at(k, m->w[f]), np_short_at(k, m->b[f]));
        sum = np_label_add(m->l, sum, np_chunk_product(m, np_short_at(k, m->post[f][i]), x, m->a->chosen));
    }
    return sum;
}
static np_lab step_of(np_short *k, int i, const int *own, const char *state)
{
    np_lab next = np_label_add(k->m->l, mixed(k, i, own, 1, 0), written(k, i));
    return np_label_of(np_label_to(k->m->l, next, state), state);
}
/* All that the steps say by themselves; H at the end in `last`. */
static void steps(np_chunked *m, np_lab *last)
{
    int n = m->a->nstates, own[NP_STATES], power[NP_STATES * NP_STATES];
    char state[NP_LETTERS], mix[NP_LETTERS];
    np_short k = {.m = m};
    np_lab next[NP_STATES];
    np_chunk_state_letters(m, state);
    np_chunk_mix_letters(m, mix);
    for (int i = 0; i < n; i++) own[i] = np_short_carry(&k, state, np_label_none, &last[i]);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            power[i * n + j] =
                np_short_carry(&k, mix, i == j ? np_label_one : np_label_none, &m->whole[i][j]);
    np_short_open(&k);
    for (int i = 0; i < n; i++) next[i] = k.next[own[i]] = step_of(&k, i, own, state);
    for (int e = 0; e < m->a->nreads; e++)
        np_short_give(&k, own_read(m, &k, e, np_chunk_ends(m, e) ? next : k.now), &m->out[e]);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            np_lab p = mixed(&k, i, power, n, j);
            p = k.next[power[i * n + j]] = np_label_of(np_label_to(m->l, p, mix), mix);
            for (int end = 0; end < 2; end++)
                if (np_chunk_any_read(m, end))
                    np_short_give(&k, end ? p : k.now[power[i * n + j]], &m->before[end][i][j]);
        }
    np_short_close(&k);
}
/* One chunk after the other: the state at its start is known. */
static void in_turn(np_chunked *m)
{
    int n = m->a->nstates, own[NP_STATES];
    char state[NP_LETTERS];
    np_short k = {.m = m};
    np_lab seen[2][NP_STATES];
    np_chunk_state_letters(m, state);
    for (int i = 0; i < n; i++) own[i] = np_short_carry(&k, state, m->state[i], &m->next[i]);
    np_short_open(&k);
    for (int i = 0; i < n; i++) {
        np_lab next = k.next[own[i]] = step_of(&k, i, own, state);
        for (int end = 0; end < 2; end++)
            if (np_chunk_any_read(m, end)) np_short_give(&k, end ? next : k.now[own[i]], &seen[end][i]);
    }
    np_short_close(&k);
    for (int e = 0; e < m->a->nreads; e++) m->out[e] = own_read(m, NULL, e, seen[np_chunk_ends(m, e)]);
}
static void from_nothing(np_chunked *m)
{
    np_label *l = m->l;
    int n = m->a->nstates;
    np_lab last[NP_STATES];
    char out[NP_LETTERS];
    steps(m, last);
    for (int e = 0; e < m->a->nreads; e++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                if (m->read[e][i].zero) continue;
                np_lab s =
                    np_chunk_product(m, m->before[np_chunk_ends(m, e)][i][j], m->state[j], m->a->chosen);
                np_chunk_read_letters(m, e, true, out);
                m->out[e] = np_label_add(l, m->out[e], np_chunk_dot(m, m->read[e][i], s, m->a->key, out));
            }
    np_chunk_state_letters(m, out);
    for (int i = 0; i < n; i++) {
        np_lab s = last[i];
        for (int j = 0; j < n; j++)
            s = np_label_add(l, s, np_chunk_product(m, m->whole[i][j], m->state[j], m->a->chosen));
        m->next[i] = np_label_of(np_label_to(l, s, out), out);
    }
}
void np_each_body(np_chunked *m)
{
    np_chunk_see(m);
    m->s->abreast > 1 ? from_nothing(m) : in_turn(m);
}
