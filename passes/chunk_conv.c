/* The convolution form of recurrences whose coefficients are the same in every
 * step (S4D, a moving average): with M the matrix that mixes the states, for each
 * channel one of its own,
 *
 *   k_ef[l] = sum over K of  a_e M^l (post_f w_f)      what a write brings to the read l + 1 steps later
 *   r_e[t]  = (a_e M^t) S  +  sum over u < t of k_ef[t-1-u] b_f[u]  +  same_ef b_f[t]
 *   S'      = M^C S        +  sum over f, u of M^(C-1-u) (post_f w_f) b_f[u]'
 *
 * so in a chunk of C steps no state is expanded over time: C numbers stand for
 * what is in step form a state of K numbers in each step. The powers are made by
 * multiplying with M again and again, once for all chunks and before the first:
 * a short scan, whose rows are looked up by the number of steps that lie between.
 * A last chunk of fewer steps (R) looks up M^R and M^(R-1-u).
 * Gu et al. 2022 (S4D), section 3; the chunks are those of chunk_block.c. */
#include "chunk_body.h"

#include <string.h>

struct np_conv {
    np_block *at;                       /* where the tables are made */
    np_lab power[NP_STATES][NP_STATES]; /* M^l, l = t < C */
    np_lab last[NP_STATES][NP_STATES];  /* M^C */
    np_lab enter[NP_WRITES][NP_STATES]; /* post_f w_f; what writes the same value is one */
    np_lab see[NP_READS][NP_STATES];    /* a_e M^l */
    np_lab put[NP_WRITES][NP_STATES];   /* M^l (post_f w_f) */
    np_lab matrix[NP_READS][NP_WRITES]; /* [u,t]: what the write of u brings to the read of t */
    bool now[NP_READS][NP_WRITES];      /* .. u = t included */
    bool mixes;                         /* M has zeros that say that something is not taken */
};

/* ---- which recurrences */
static bool still(np_lab x)
{
    return !np_label_has(x, "t");
}
static void add_axes(const np_affine *a, np_lab x, char *out)
{
    char more[NP_LETTERS];
    np_label_keep(more, x.axes, a->axes, true);
    np_label_keep(more, more, a->key, false);
    np_label_keep(more, more, out, false);
    np_label_join(out, out, more, "");
}
bool np_conv_take(np_affine *a)
{
    char around[NP_LETTERS] = "";
    if (a->picks || a->level) return false;
    for (int i = 0; i < a->nstates; i++)
        for (int j = 0; j < a->nstates; j++) {
            if (!still(a->mix[i][j])) return false;
            add_axes(a, a->mix[i][j], around);
        }
    for (int e = 0; e < a->nreads; e++) {
        for (int i = 0; i < a->nstates; i++) {
            if (!still(a->read[e].a[i])) return false;
            add_axes(a, a->read[e].a[i], around);
        }
        for (int f = 0; f < a->nwrites; f++)
            if (!still(a->read[e].same[f])) return false;
    }
    for (int f = 0; f < a->nwrites; f++) {
        if (a->write[f].reads || !still(a->write[f].w)) return false;
        add_axes(a, a->write[f].w, around);
        for (int i = 0; i < a->nstates; i++) {
            if (!still(a->write[f].post[i])) return false;
            add_axes(a, a->write[f].post[i], around);
        }
    }
    for (const char *p = a->axes; *p; p++) /* no lanes along an axis of one */
        if (np_dim_is(a->l.dim[(int)*p], 1)) add_axes(a, np_label_of(NULL, (char[]){*p, 0}), around);
    np_label_keep(a->batch, a->axes, around, true);
    np_label_keep(a->value, a->axes, around, false);
    np_label_keep(a->value, a->value, a->key, false);
    a->held[0] = 0;
    return true;
}

/* ---- tables */
static np_lab looked_up(np_chunked *m, np_lab table, np_lab index)
{
    char rest[NP_LETTERS], axes[NP_LETTERS];
    if (table.zero) return table;
    np_label_keep(rest, table.axes, "t", false);
    np_label_join(axes, "t", rest, "");
    np_node *n = np_label_to(m->l, table, axes);
    np_label_join(axes, index.axes, rest, "");
    return np_label_of(np_build_op(m->l->b, NP_GATHER, 2, (np_node *[]){n, index.n}, NULL), axes);
}
static np_lab whole_number(np_chunked *m, double v)
{
    np_build *b = m->l->b;
    return np_label_of(np_build_num(b, np_type_scalar(b->cx, NP_I32), v), "");
}
static np_lab minus(np_chunked *m, np_lab x, np_lab y)
{
    return np_label_op(m->l, NP_SUB, 2, (np_lab[]){x, y});
}
static np_lab ut(np_chunked *m, np_lab x,
                 np_lab y) /* x - y for all pairs of steps, that which reads as the last axis */
{
    return np_label_op_as(m->l, NP_SUB, 2, (np_lab[]){x, y}, "ut");
}
static void powers(np_chunked *m, struct np_conv *c)
{
    int n = m->a->nstates, slot[NP_STATES][NP_STATES];
    bool back = m->s->back;
    char axes[NP_LETTERS];
    np_short k = {.m = m};
    np_chunk_mix_letters(m, axes);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            slot[i][j] = np_short_carry(&k, axes, i == j ? np_label_one : np_label_none, &c->last[i][j]);
    m->s->back = false;
    np_short_open(&k);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            np_lab sum = np_label_none;
            for (int p = 0; p < n; p++)
                sum = np_label_add(m->l, sum, np_label_mul(m->l, m->mix[i][p], k.now[slot[p][j]]));
            np_short_give(&k, k.now[slot[i][j]], &c->power[i][j]);
            k.next[slot[i][j]] = sum;
        }
    np_short_close(&k);
    m->s->back = back;
}
/* k_ef, with the same step in front where that is seen; and is it, and may factors of 0 mean nothing? */
static np_lab kernel(np_chunked *m, struct np_conv *c, int e, int f, np_lab l)
{
    np_lab k = np_label_none, same = m->same[e][f];
    for (int i = 0; i < m->a->nstates; i++)
        k = np_label_add(m->l, k, np_chunk_score(m, m->read[e][i], c->put[f][i]));
    c->now[e][f] = !same.zero;
    if (same.zero) return k;
    np_lab first = np_label_op(m->l, NP_EQ, 2, (np_lab[]){l, whole_number(m, 0)});
    return np_label_select(m->l, first, same, looked_up(m, k, minus(m, l, whole_number(m, 1))));
}
static bool full(const np_chunked *m)
{
    bool all = true;
    for (int i = 0; i < m->a->nstates; i++)
        for (int j = 0; j < m->a->nstates; j++) all &= !m->mix[i][j].zero;
    return all;
}
static np_lab steps_of(np_chunked *m, const char *letter)
{
    np_build *b = m->l->b;
    b->plain = true; /* an iota of the model that has the same size is another axis, and may be fed */
    np_node *n = np_build_iota(b, m->l->dim['t']);
    b->plain = false;
    return np_label_of(n, letter);
}
static bool same_value(const np_write *x, const np_write *y)
{
    return x->b.n == y->b.n && x->b.zero == y->b.zero && strcmp(x->b.axes, y->b.axes) == 0;
}
static void see(np_chunked *m, struct np_conv *c)
{
    np_affine *a = m->a;
    np_frames *s = m->s;
    for (int i = 0; i < a->nstates; i++)
        for (int j = 0; j < a->nstates; j++) m->mix[i][j] = np_frame_see(s, a->mix[i][j], false);
    for (int e = 0; e < a->nreads; e++) {
        for (int i = 0; i < a->nstates; i++) m->read[e][i] = np_frame_see(s, a->read[e].a[i], false);
        for (int f = 0; f < a->nwrites; f++) m->same[e][f] = np_label_none;
    }
    for (int f = 0; f < a->nwrites; f++) {
        int g = 0;
        while (!same_value(&a->write[g], &a->write[f])) g++;
        np_lab w = np_frame_see(s, a->write[f].w, false);
        for (int i = 0; i < a->nstates; i++) {
            np_lab post = np_frame_see(s, a->write[f].post[i], false);
            c->enter[f][i] = np_label_none;
            c->enter[g][i] = np_label_add(m->l, c->enter[g][i], np_label_mul(m->l, post, w));
        }
        for (int e = 0; e < a->nreads; e++) {
            np_lab same = np_chunk_score(m, np_frame_see(s, a->read[e].same[f], false), w);
            m->same[e][g] = np_label_add(m->l, m->same[e][g], same);
        }
    }
}
struct np_conv *np_conv_tables(np_chunked *m)
{
    np_label *l = m->l;
    int n = m->a->nstates;
    struct np_conv *c = np_arena_alloc(&l->b->fn->mem, sizeof *c);
    *c = (struct np_conv){.at = l->b->at};
    see(m, c);
    c->mixes = n > 1 && (m->s->abreast > 1 || !full(m)); /* a chunk that is empty takes the power 0 */
    powers(m, c);
    np_lab t = steps_of(m, "t"), u = np_label_rename(t, 't', 'u');
    for (int f = 0; f < m->a->nwrites; f++)
        for (int i = 0; i < n; i++) {
            c->put[f][i] = np_label_none;
            for (int j = 0; j < n; j++)
                c->put[f][i] = np_label_add(l, c->put[f][i], np_label_mul(l, c->power[i][j], c->enter[f][j]));
        }
    for (int e = 0; e < m->a->nreads; e++) {
        for (int j = 0; j < n; j++) {
            c->see[e][j] = np_label_none;
            for (int i = 0; i < n; i++)
                c->see[e][j] = np_label_add(l, c->see[e][j], np_label_mul(l, m->read[e][i], c->power[i][j]));
        }
        for (int f = 0; f < m->a->nwrites; f++) {
            np_lab k = kernel(m, c, e, f, t), between = m->s->back ? ut(m, u, t) : ut(m, t, u);
            if (!c->now[e][f]) between = minus(m, between, whole_number(m, 1));
            c->matrix[e][f] = looked_up(m, k, between);
        }
    }
    return c;
}

/* ---- a chunk */
/* Rows of a table, looked up outside of the chunk if that is possible. */
static np_lab rows(np_chunked *m, np_lab table, np_lab index)
{
    np_build *b = m->l->b;
    np_block *here = b->at;
    if (!np_block_encloses(here, index.n->in)) b->at = m->conv->at;
    np_lab r = looked_up(m, table, index);
    b->at = here;
    return r;
}
/* Does read e see nothing of what write f has put into the states in the step before? */
static bool unseen(const np_chunked *m, int e, int f)
{
    for (int i = 0; i < m->a->nstates; i++)
        if (!m->read[e][i].zero && !m->conv->enter[f][i].zero) return false;
    return true;
}
/* The sum over u of what each write brings. A mask stands around the products, as in other forms. */
static np_lab brought(np_chunked *m, int e, int f, const char *out)
{
    char pairs[NP_LETTERS];
    np_lab by = m->conv->matrix[e][f];
    np_lab x = np_chunk_product(m, by, np_chunk_at_u(m->b[f]), m->conv->mixes || unseen(m, e, f));
    if (x.zero) return x;
    np_label_join(pairs, "u", out, "");
    x = np_label_op_as(m->l, NP_SELECT, 3, (np_lab[]){m->past[m->conv->now[e][f]], x, np_label_none}, pairs);
    return np_label_dot(m->l, x, np_label_one, out);
}
static bool all_seen(const np_chunked *m, int e)
{
    bool all = true;
    for (int i = 0; i < m->a->nstates; i++) all &= !m->read[e][i].zero;
    return all;
}
static void reads(np_chunked *m, np_lab before)
{
    np_label *l = m->l;
    struct np_conv *c = m->conv;
    for (int e = 0; e < m->a->nreads; e++) {
        char out[NP_LETTERS];
        np_chunk_read_letters(m, e, true, out);
        np_lab r = np_label_none;
        for (int j = 0; j < m->a->nstates; j++) {
            np_lab at = before.n ? rows(m, c->see[e][j], before) : c->see[e][j];
            r = np_label_add(l, r,
                             np_chunk_sum(m, at, m->state[j], m->a->key, out, c->mixes || !all_seen(m, e)));
        }
        for (int f = 0; f < m->a->nwrites; f++) r = np_label_add(l, r, brought(m, e, f, out));
        m->out[e] = r;
    }
}
/* M to the number of steps that the chunk has. */
static np_lab whole_power(np_chunked *m, int i, int j)
{
    struct np_conv *c = m->conv;
    if (!m->count.n) return c->last[i][j];
    np_lab fewer = np_label_op(m->l, NP_LT, 2, (np_lab[]){m->count, whole_number(m, (double)m->s->c)});
    return np_label_select(m->l, fewer, rows(m, c->power[i][j], m->count), c->last[i][j]);
}
static void next_states(np_chunked *m, np_lab after)
{
    np_label *l = m->l;
    struct np_conv *c = m->conv;
    char out[NP_LETTERS];
    np_chunk_state_letters(m, out);
    for (int i = 0; i < m->a->nstates; i++) {
        np_lab s = np_label_none;
        for (int j = 0; j < m->a->nstates; j++)
            s = np_label_add(l, s, np_chunk_product(m, whole_power(m, i, j), m->state[j], c->mixes));
        for (int f = 0; f < m->a->nwrites; f++) {
            np_lab put = after.n ? rows(m, c->put[f][i], after) : np_chunk_at_u(c->put[f][i]);
            s = np_label_add(
                l, s,
                np_chunk_sum(m, put, np_chunk_at_u(m->b[f]), "u", out, c->mixes || c->enter[f][i].zero));
        }
        m->next[i] = np_label_of(np_label_to(l, s, out), out);
    }
}
void np_conv_body(np_chunked *m)
{
    np_build *b = m->l->b;
    np_block *here = b->at;
    for (int f = 0; f < m->a->nwrites; f++)
        m->b[f] = np_chunk_masked(m, np_frame_see(m->s, m->a->write[f].b, false), np_label_none);
    bool back = m->s->back;
    if (!m->count.n) b->at = m->conv->at;
    np_lab end = minus(m, m->count.n ? m->count : whole_number(m, (double)m->s->c), whole_number(m, 1));
    np_lab t = m->count.n ? m->t : steps_of(m, "t");
    np_lab behind = minus(m, end, t); /* steps of the chunk that come after t, by position */
    b->at = here;
    reads(m, back ? behind : np_label_none);
    next_states(m, back ? np_label_none : np_chunk_at_u(behind));
}
