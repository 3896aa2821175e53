/* Scores between the steps of a chunk, and how the decays enter them.
 *
 * A decay that is the same for a whole head makes a table A[t,u], row after row in
 * a short scan; so do numbers that mix several states. A decay along the key is
 * carried on the written keys: U[K,u] = w_f[u] times the decays since, and the
 * scores of step t are a_t' U; where guard.c proves that nothing overflows, keys
 * and reads are scaled instead and the scores are one contraction. Decays along the
 * values do not touch the scores: they are carried on the written values
 * (chunk_block.c). */
#include "chunk_body.h"

#include <string.h>

/* ---- decays that are the same for a whole head */
static bool same_entry(const np_chunked *m, int f, int g)
{
    for (int i = 0; i < m->a->nstates; i++) {
        np_lab x = m->post[f][i], y = m->post[g][i];
        if (x.n != y.n || x.zero != y.zero || strcmp(x.axes, y.axes) != 0) return false;
    }
    return true;
}
static void no_decay(np_chunked *m)
{
    for (int f = 0; f < m->a->nwrites; f++)
        m->table[0][f][0] = m->table[1][f][0] = m->after[f][0] = m->post[f][0];
    m->before[0][0][0] = m->before[1][0][0] = m->whole[0][0] = np_label_one;
}
static void tables(np_chunked *m)
{
    int n = m->a->nstates, row[NP_WRITES][NP_STATES], power[NP_STATES][NP_STATES], entry[NP_WRITES];
    char axes[NP_LETTERS], rows[NP_LETTERS], own[NP_LETTERS];
    np_short k = {.m = m};
    np_label *l = m->l;
    np_chunk_mix_letters(m, axes);
    np_label_join(rows, axes, "u", "");
    if (m->a->level) np_label_keep(rows, rows, (char[]){NP_LEVEL_FROM, 0}, false);
    for (int f = 0; f < m->a->nwrites; f++) {
        for (entry[f] = 0; entry[f] < f && !same_entry(m, entry[f], f);) entry[f]++;
        for (int i = 0; i < n && entry[f] == f && np_chunk_enters(m, f); i++)
            row[f][i] = np_short_carry(&k, np_chunk_rows(m, f, rows, NP_LEVEL_OF, own), np_label_none,
                                       &m->after[f][i]);
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            power[i][j] = np_short_carry(&k, axes,
                                         i != j        ? np_label_none
                                         : m->a->level ? m->eye
                                                       : np_label_one,
                                         &m->whole[i][j]);
    np_short_open(&k);
    np_lab mix[NP_STATES][NP_STATES];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) mix[i][j] = np_short_at(&k, m->mix[i][j]);
    for (int f = 0; f < m->a->nwrites; f++)
        for (int i = 0; i < n && entry[f] == f && np_chunk_enters(m, f); i++) {
            np_lab sum = np_label_none;
            for (int j = 0; j < n; j++)
                sum = np_label_add(l, sum, np_chunk_through(m, mix[i][j], NP_LEVEL_FROM, k.now[row[f][j]]));
            sum = np_short_put(&k, sum, np_short_at(&k, m->post[f][i]),
                               np_chunk_rows(m, f, rows, NP_LEVEL_OF, own));
            for (int end = 0; end < 2; end++)
                if (np_chunk_any_read(m, end))
                    np_short_give(&k, end ? sum : k.now[row[f][i]], &m->table[end][f][i]);
            k.next[row[f][i]] = sum;
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            np_lab sum = np_label_none;
            for (int p = 0; p < n; p++)
                sum = np_label_add(l, sum, np_chunk_through(m, mix[i][p], NP_LEVEL_FROM, k.now[power[p][j]]));
            sum = np_label_of(np_label_to(l, sum, axes), axes);
            for (int end = 0; end < 2; end++)
                if (np_chunk_any_read(m, end))
                    np_short_give(&k, end ? sum : k.now[power[i][j]], &m->before[end][i][j]);
            k.next[power[i][j]] = sum;
        }
    np_short_close(&k);
    for (int f = 0; f < m->a->nwrites; f++)
        for (int i = 0; i < n; i++)
            if (np_chunk_enters(m, f)) {
                for (int end = 0; end < 2; end++) m->table[end][f][i] = m->table[end][entry[f]][i];
                m->after[f][i] = m->after[entry[f]][i];
            }
}
/* Scores of steps that read e has behind it; u, over which reads sum, is the last axis. */
/* Scores of steps that read e has behind it; u, over which reads sum, is the last axis. */
static np_lab in_past(np_chunked *m, int e, np_lab x)
{
    char rest[NP_LETTERS], axes[NP_LETTERS];
    if (x.zero) return x;
    np_label_keep(rest, x.axes, "tu", false);
    np_label_join(axes, "t", rest, "u");
    return np_label_op_as(m->l, NP_SELECT, 3, (np_lab[]){m->past[np_chunk_ends(m, e)], x, np_label_none},
                          axes);
}
/* Of all states and levels. */
static np_lab level_score(np_chunked *m, int e, int f)
{
    np_lab sum = np_label_none;
    for (int i = 0; i < m->a->nstates; i++)
        sum = np_label_add(m->l, sum, np_chunk_through(m, m->how[e][i], m->a->level, m->table[0][f][i]));
    np_lab p = np_chunk_score(m, m->apart[e], np_chunk_at_u(m->w[f]));
    return np_chunk_taken(m, sum, np_label_mul(m->l, p, sum));
}
static void table_scores(np_chunked *m)
{
    bool plain = m->a->decay == NP_DECAY_NONE;
    for (int e = 0; e < m->a->nreads; e++)
        for (int f = 0; f < m->a->nwrites; f++) {
            np_lab sum = np_label_none;
            if (m->a->level && np_chunk_enters(m, f)) sum = level_score(m, e, f);
            for (int i = 0; i < m->a->nstates && !m->a->level && np_chunk_enters(m, f); i++) {
                np_lab table = m->table[np_chunk_ends(m, e)][f][i];
                if (table.zero) continue;
                np_lab p = np_chunk_score(m, m->read[e][i], np_chunk_at_u(m->w[f]));
                if (!plain) p = np_chunk_taken(m, table, np_label_mul(m->l, p, table));
                sum = np_label_add(m->l, sum, np_chunk_taken(m, m->how[e][i], p));
            }
            m->scores[e][f] = in_past(m, e, sum);
        }
    for (int f = 0; f < m->a->nwrites; f++)
        if (!np_chunk_enters(m, f)) m->after[f][0] = np_label_none;
}

/* ---- decays along the key; several states: a matrix for each of its channels */
static void key_scores(np_chunked *m)
{
    np_short k = {.m = m};
    np_label *l = m->l;
    int n = m->a->nstates, block[NP_WRITES][NP_STATES], power[NP_STATES][NP_STATES];
    char rows[NP_LETTERS];
    np_label_join(rows, m->a->key, "u", "");
    for (int f = 0; f < m->a->nwrites; f++)
        for (int i = 0; i < n && np_chunk_enters(m, f); i++)
            block[f][i] = np_short_carry(&k, rows, np_label_none, &m->keys[f][i]);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            power[i][j] =
                np_short_carry(&k, m->a->key, i == j ? np_label_one : np_label_none, &m->whole[i][j]);
    np_short_open(&k);
    np_lab g[NP_STATES][NP_STATES];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) g[i][j] = np_short_at(&k, m->mix[i][j]);
    for (int f = 0; f < m->a->nwrites; f++) {
        if (!np_chunk_enters(m, f)) continue;
        for (int i = 0; i < n; i++) {
            np_lab sum = np_label_none;
            for (int j = 0; j < n; j++)
                sum = np_label_add(l, sum, np_label_mul(l, k.now[block[f][j]], g[i][j]));
            np_lab w = np_label_mul(l, np_short_at(&k, m->w[f]), np_short_at(&k, m->post[f][i]));
            k.next[block[f][i]] = np_short_put(&k, sum, w, rows);
        }
        for (int e = 0; e < m->a->nreads; e++) {
            np_lab sum = np_label_none;
            for (int i = 0; i < n; i++)
                sum = np_label_add(l, sum,
                                   np_chunk_score(m, np_short_at(&k, m->read[e][i]),
                                                  (np_chunk_ends(m, e) ? k.next : k.now)[block[f][i]]));
            if (!sum.zero) np_short_give(&k, sum, &m->scores[e][f]);
        }
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            np_lab sum = np_label_none;
            for (int p = 0; p < n; p++)
                sum = np_label_add(l, sum, np_label_mul(l, k.now[power[p][j]], g[i][p]));
            k.next[power[i][j]] = np_label_of(np_label_to(l, sum, m->a->key), m->a->key);
        }
    for (int end = 0; end < 2; end++)
        for (int i = 0; i < n && np_chunk_any_read(m, end); i++)
            for (int j = 0; j < n; j++)
                np_short_give(&k, end ? k.next[power[i][j]] : k.now[power[i][j]], &m->before[end][i][j]);
    np_short_close(&k);
    for (int f = 0; f < m->a->nwrites; f++)
        for (int i = 0; i < n; i++) m->after[f][i] = np_chunk_enters(m, f) ? np_label_one : np_label_none;
}
/* The same where p may be divided by p: (a p(t)) . (w / p(u)). */
static void key_factors(np_chunked *m)
{
    np_short k = {.m = m};
    np_label *l = m->l;
    int power = np_short_carry(&k, m->a->key, np_label_one, &m->whole[0][0]);
    np_short_open(&k);
    k.next[power] = np_label_mul(l, k.now[power], np_short_at(&k, m->mix[0][0]));
    np_short_give(&k, k.now[power], &m->before[0][0][0]);
    np_short_give(&k, k.next[power], &m->before[1][0][0]);
    np_short_close(&k);
    for (int f = 0; f < m->a->nwrites; f++) {
        m->after[f][0] = m->keys[f][0] = np_label_none;
        if (!np_chunk_enters(m, f)) continue;
        char axes[NP_LETTERS];
        np_label_join(axes, m->a->key, "t", "");
        np_lab w = np_label_op_as(l, NP_DIV, 2, (np_lab[]){m->w[f], m->before[1][0][0]}, axes);
        for (int e = 0; e < m->a->nreads; e++) {
            np_lab a = np_label_mul(l, m->read[e][0], m->before[np_chunk_ends(m, e)][0][0]);
            m->scores[e][f] = in_past(m, e, np_chunk_score(m, a, np_chunk_at_u(w)));
        }
        m->after[f][0] = np_label_one;
        m->keys[f][0] = np_label_mul(l, np_chunk_at_u(w), m->whole[0][0]);
    }
}
static void value_scores(np_chunked *m)
{
    for (int f = 0; f < m->a->nwrites; f++) {
        m->after[f][0] = np_chunk_enters(m, f) ? np_label_one : np_label_none;
        for (int e = 0; e < m->a->nreads; e++)
            if (np_chunk_enters(m, f))
                m->scores[e][f] = in_past(m, e, np_chunk_score(m, m->read[e][0], np_chunk_at_u(m->w[f])));
    }
}

void np_chunk_decay(np_chunked *m)
{
    for (int e = 0; e < m->a->nreads; e++)
        for (int f = 0; f < m->a->nwrites; f++) m->scores[e][f] = np_label_none;
    switch (m->a->decay) {
    case NP_DECAY_NONE:
        no_decay(m);
        table_scores(m);
        break;
    case NP_DECAY_SCALAR:
    case NP_DECAY_MIX:
        tables(m);
        table_scores(m);
        break;
    case NP_DECAY_KEY:
    case NP_DECAY_BOTH: m->guard.factored && m->a->nstates == 1 ? key_factors(m) : key_scores(m); break;
    case NP_DECAY_VALUE: value_scores(m); break;
    case NP_DECAY_EACH: break; /* has no scores: chunk_conv.c */
    }
}
