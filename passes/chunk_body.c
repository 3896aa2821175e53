/* A recurrence inside the body of the scan over chunks: its operands as they are
 * for the steps of one chunk, with what is missing in the last chunk made to do
 * nothing (decay 1, writes 0), and short scans over the steps of a chunk. */
#include "chunk_body.h"

#include <string.h>

np_lab np_chunk_at_u(np_lab x)
{
    return np_label_rename(x, 't', 'u');
}
int np_chunk_ends(const np_chunked *m,
                  int e) /* does read e see what its step leaves? Index of the tables that it wants */
{
    return m->a->read[e].end >= 0;
}
bool np_chunk_any_read(const np_chunked *m, int end)
{
    for (int e = 0; e < m->a->nreads; e++)
        if (np_chunk_ends(m, e) == end) return true;
    return false;
}
bool np_chunk_enters(const np_chunked *m, int f) /* does write f stay in any state? */
{
    for (int i = 0; i < m->a->nstates; i++)
        if (!m->post[f][i].zero) return true;
    return false;
}
np_lab np_chunk_masked(np_chunked *m, np_lab x, np_lab neutral)
{
    char with_t[NP_LETTERS];
    if (!m->valid.n || (!x.n && x.zero == neutral.zero)) return x;
    np_label_join(with_t, "t", x.axes, "");
    return np_label_op_as(m->l, NP_SELECT, 3, (np_lab[]){m->valid, x, neutral},
                          x.n && strchr(x.axes, 't') ? x.axes : with_t);
}
void np_chunk_letters(char *out, np_lab x, np_lab y, const char *minus)
{
    char all[NP_LETTERS];
    np_label_join(all, x.axes, y.axes, "");
    size_t n = 0;
    for (const char *p = all; *p; p++)
        if (!strchr(minus, *p) && !memchr(out, *p, n)) out[n++] = *p;
    out[n] = 0;
}
/* The sum of x y over the letters `over`, which neither may have: then it counts them. */
np_lab np_chunk_dot(np_chunked *m, np_lab x, np_lab y, const char *over, const char *out)
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
np_lab np_chunk_not_zero(np_chunked *m, np_lab x)
{
    np_lab zero = np_label_of(np_label_to(m->l, np_label_none, ""), "");
    return np_label_op(m->l, NP_NE, 2, (np_lab[]){x, zero});
}
np_lab np_chunk_taken(np_chunked *m, np_lab by, np_lab x)
{
    return m->a->chosen ? np_chunk_if_not_zero(m, by, x) : x;
}
np_lab np_chunk_if_not_zero(np_chunked *m, np_lab by, np_lab x)
{
    if (!by.n || !x.n) return x;
    np_lab arg[3] = {np_chunk_not_zero(m, by), x, np_label_none};
    return np_label_within(by, x.axes) ? np_label_op_as(m->l, NP_SELECT, 3, arg, x.axes)
                                       : np_label_op(m->l, NP_SELECT, 3, arg);
}
np_lab np_chunk_product(np_chunked *m, np_lab by, np_lab x, bool zeros)
{
    np_lab y = np_label_mul(m->l, by, x);
    return zeros ? np_chunk_if_not_zero(m, by, y) : y;
}
np_lab np_chunk_sum(np_chunked *m, np_lab x, np_lab y, const char *over, const char *out, bool zeros)
{
    char all[NP_LETTERS];
    if (!zeros || x.zero || y.zero) return np_chunk_dot(m, x, y, over, out);
    np_label_join(all, out, over, "");
    np_lab z = np_label_of(np_label_to(m->l, np_chunk_product(m, x, y, true), all), all);
    return np_label_dot(m->l, z, np_label_one, out);
}
np_lab np_chunk_weighed(np_chunked *m, np_lab scores, np_lab values, const np_lab *mask, const char *out)
{
    char pairs[NP_LETTERS], over[] = {'u', NP_LEVEL_OF, 0};
    bool own = np_label_has(scores, over + 1);
    if (own)
        values = np_label_rename(values, NP_LEVEL_OWN, NP_LEVEL_OF);
    else
        over[1] = 0;
    if (!mask && !m->a->chosen) return np_chunk_dot(m, scores, values, over, out);
    np_lab x = np_chunk_taken(m, scores, np_label_mul(m->l, scores, values));
    if (x.zero) return x;
    if (mask) x = np_label_select(m->l, *mask, x, np_label_none);
    np_label_join(pairs, out, over, "");
    return np_label_dot(m->l, np_label_of(np_label_to(m->l, x, pairs), pairs), np_label_one, out);
}
np_lab np_chunk_through(np_chunked *m, np_lab x, char from, np_lab y)
{
    char out[NP_LETTERS] = "", over[] = {NP_LEVEL_OVER, 0};
    if (m->a->level) {
        x = np_label_rename(x, from, NP_LEVEL_OVER);
        y = np_label_rename(y, m->a->level, NP_LEVEL_OVER);
        np_chunk_letters(out, x, y, over);
        if (!m->a->among) return np_chunk_dot(m, x, y, over, out);
    }
    y = np_label_mul(m->l, x, y);
    if (m->a->among) y = np_chunk_taken(m, x, y);
    return m->a->level ? np_chunk_dot(m, y, np_label_one, over, out) : y;
}
np_lab np_chunk_of(np_chunked *m, np_lab x, np_lab value)
{
    char out[NP_LETTERS] = "", of[] = {NP_LEVEL_OF, 0};
    if (!np_label_has(x, of)) return np_chunk_taken(m, x, np_label_mul(m->l, x, value));
    value = np_label_rename(value, NP_LEVEL_OWN, NP_LEVEL_OF);
    np_chunk_letters(out, x, value, of);
    if (!m->a->chosen) return np_label_dot(m->l, x, value, out);
    return np_label_dot(m->l, np_chunk_taken(m, x, np_label_mul(m->l, x, value)), np_label_one, out);
}
/* The sum over the key of x y. */
np_lab np_chunk_score(np_chunked *m, np_lab x, np_lab y)
{
    char out[NP_LETTERS];
    np_chunk_letters(out, x, y, m->a->key);
    return np_chunk_dot(m, x, y, m->a->key, out);
}
/* The letters of a read as it is computed here: t, what it brings, what it keeps. */
void np_chunk_read_letters(const np_chunked *m, int e, bool t, char *out)
{
    char rest[NP_LETTERS];
    np_label_keep(rest, m->a->read[e].axes, m->a->batch, false);
    np_label_join(out, t ? "t" : "", rest, "");
}
void np_chunk_state_letters(const np_chunked *m, char *out)
{
    np_label_keep(out, m->a->axes, m->a->batch, false);
}

const char *np_chunk_rows(const np_chunked *m, int f, const char *rows, char level, char *own)
{
    if (!m->a->write[f].own) return rows;
    np_label_join(own, rows, (char[]){level, 0}, "");
    return own;
}
void np_chunk_mix_letters(const np_chunked *m, char *out)
{
    char all[NP_LETTERS] = "";
    for (int i = 0; i < m->a->nstates; i++)
        for (int j = 0; j < m->a->nstates; j++) {
            char now[NP_LETTERS];
            np_chunk_letters(now, m->mix[i][j], np_label_of(NULL, all), "tu");
            strcpy(all, now);
        }
    strcpy(out, all);
    if (!m->a->level) return;
    char levels[] = {m->a->level, NP_LEVEL_FROM, 0};
    np_label_keep(out, out, levels, false);
    np_label_join(out, out, levels, "");
}

/* ---- operands, as they are in the chunk */
void np_chunk_see(np_chunked *m)
{
    np_affine *a = m->a;
    np_frames *s = m->s;
    for (int f = 0; f < a->nwrites; f++) {
        const np_write *w = &a->write[f];
        m->w[f] = np_chunk_masked(m, np_frame_see(s, w->w, true), np_label_none);
        m->b[f] = np_chunk_masked(m, np_frame_see(s, w->b, false), np_label_none);
        for (int e = 0; e < a->nreads; e++)
            m->c[f][e] = np_chunk_masked(m, np_frame_see(s, w->c[e], false), np_label_none);
        for (int i = 0; i < a->nstates; i++) m->post[f][i] = np_frame_see(s, w->post[i], false);
        if (a->decay == NP_DECAY_BOTH) m->post_value[f] = np_frame_see(s, w->post_value, false);
        bool fold = a->nstates == 1 && !a->level && a->decay != NP_DECAY_VALUE; /* into the key */
        if (!fold) continue;
        m->entry[f] = m->post[f][0];
        m->late[f] = np_chunk_taken(m, m->post[f][0], np_label_mul(m->l, m->w[f], m->post[f][0]));
        if (!m->post[f][0].zero) m->post[f][0] = np_label_one;
    }
    if (a->level) m->eye = np_frame_see(s, a->eye, false);
    for (int e = 0; e < a->nreads; e++)
        for (int i = 0; i < a->nstates; i++) {
            if (a->level) {
                m->apart[e] = np_frame_see(s, a->read[e].apart, false);
                m->how[e][i] = np_frame_see(s, a->read[e].how[i], false);
                continue;
            }
            np_lab x = !np_chunk_ends(m, e)  ? a->read[e].a[i]
                       : a->read[e].end == i ? a->read[e].by
                                             : np_label_none;
            m->read[e][i] = np_frame_see(s, x, false);
            m->how[e][i] =
                np_chunk_ends(m, e) || !a->chosen ? np_label_one : np_frame_see(s, a->read[e].how[i], false);
        }
    for (int e = 0; e < a->nreads; e++)
        for (int f = 0; f < a->nwrites; f++)
            m->same[e][f] = np_chunk_ends(m, e)
                                ? np_label_none
                                : np_chunk_score(m, np_frame_see(s, a->read[e].same[f], false), m->w[f]);
    for (int e = 0; e < a->nreads && a->decay == NP_DECAY_BOTH; e++)
        m->read_value[e] = np_frame_see(s, a->read[e].value, false);
    for (int f = 0; f < a->nwrites; f++)
        if (m->late[f].n || m->late[f].zero) m->w[f] = m->late[f];
    for (int i = 0; i < a->nstates; i++)
        for (int j = 0; j < a->nstates; j++)
            m->mix[i][j] = np_chunk_masked(m, np_frame_see(s, a->mix[i][j], false),
                                           i != j     ? np_label_none
                                           : a->level ? m->eye
                                                      : np_label_one);
    m->mix_value = a->decay == NP_DECAY_BOTH
                       ? np_chunk_masked(m, np_frame_see(s, a->mix_value, false), np_label_one)
                       : m->mix[0][0];
}

/* ---- a short scan over the steps of the chunk. Slots: what it carries and gives, as labels. */
int np_short_carry(np_short *k, const char *axes, np_lab start, np_lab *last)
{
    if (k->nstates == NP_SLOTS) np_bug(k->m->s->b->cx, "a chunk carries more than %d values", NP_SLOTS);
    k->start[k->nstates] = np_label_of(np_label_to(k->m->l, start, axes), axes);
    k->to_last[k->nstates] = last;
    return k->nstates++;
}
void np_short_give(np_short *k, np_lab x, np_lab *to)
{
    if (k->nouts == NP_SLOTS) np_bug(k->m->s->b->cx, "a chunk gives more than %d values", NP_SLOTS);
    k->out[k->nouts] = x;
    k->to_out[k->nouts++] = to;
}
void np_short_open(np_short *k)
{
    np_node *state[NP_SLOTS];
    for (int i = 0; i < k->nstates; i++) state[i] = k->start[i].n;
    k->scan = np_frame_open(k->m->s, NP_FRAME_STEPS, 't', k->nstates, state);
    for (int i = 0; i < k->nstates; i++)
        k->now[i] = np_label_of(k->scan->body[0]->param[i], k->start[i].axes);
}
void np_short_close(np_short *k)
{
    np_label *l = k->m->l;
    np_node *yield[2 * NP_SLOTS];
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
np_lab np_short_at(np_short *k, np_lab x)
{
    return np_frame_see(k->m->s, x, false);
}
/* Row t of a carried block becomes x. */
np_lab np_short_put(np_short *k, np_lab block, np_lab x, const char *axes)
{
    np_label *l = k->m->l;
    np_lab here = np_label_op(l, NP_EQ, 2, (np_lab[]){k->m->u, np_short_at(k, k->m->t)});
    return np_label_op_as(l, NP_SELECT, 3, (np_lab[]){here, x, block}, axes);
}
