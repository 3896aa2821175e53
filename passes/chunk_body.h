/* A recurrence inside the body of the scan over chunks: shared by the files that
 * write the blocked form, and by no one else. Letters: t the step that reads, u the
 * step that has written. */
#ifndef NP_CHUNK_BODY_H
#define NP_CHUNK_BODY_H

#include "chunk.h"

typedef struct np_chunked { /* one recurrence inside the body of the scan over chunks */
    np_frames *s;
    np_label *l;
    np_affine *a;
    np_lab t, u, valid, past[2]; /* numbers of steps; [t]: is there such a step; [t,u]: u < t, u <= t */
    np_lab count;                /* how many steps there are; n is NULL: c */
    np_lab apart[NP_READS], how[NP_READS][NP_STATES],
        eye; /* reads as np_read has them; `how` where levels are mixed or the body chooses */
    np_lab read[NP_READS][NP_STATES], w[NP_WRITES], b[NP_WRITES], c[NP_WRITES][NP_READS];
    np_lab post[NP_WRITES][NP_STATES], mix[NP_STATES][NP_STATES];
    np_lab
        mix_value; /* what values decay by, if they do; BOTH: and what enters and what is read are multiplied by: */
    np_lab post_value[NP_WRITES], read_value[NP_READS];
    np_lab entry[NP_WRITES]; /* of a single state: what was multiplied into the key as the value entered */
    np_lab same[NP_READS][NP_WRITES]; /* scores within a step */
    np_lab table[2][NP_WRITES]
                [NP_STATES];            /* A(t,u) with what enters state i; [1]: with the decay of t itself */
    np_lab after[NP_WRITES][NP_STATES]; /* s(u) */
    np_lab before[2][NP_STATES][NP_STATES]; /* p(t); [1]: with the decay of t itself */
    np_lab whole[NP_STATES][NP_STATES];     /* p(C) */
    np_lab scores[NP_READS][NP_WRITES];     /* P, without `same` */
    np_guard guard;                         /* KEY: may decays be taken apart? */
    np_lab keys[NP_WRITES][NP_STATES];      /* KEY: w_f s(u) */
    np_lab late[NP_WRITES];                 /* b_f s(u), of values that are found step by step */
    np_lab state[NP_STATES], next[NP_STATES];
    np_lab start[NP_READS], out[NP_READS]; /* r0; r */
    bool solved[NP_READS];                 /* known from forward substitution */
    struct np_conv *conv;                  /* tables that serve every chunk; NULL: made in each */
    bool each;                             /* no tables at all */
} np_chunked;

/* ---- chunk_body.c: operands as they are in the chunk, and short scans over its steps. */
void np_chunk_see(np_chunked *m);
np_lab np_chunk_at_u(np_lab x);
/* Does read e see what its step leaves? Index of the tables that it wants. */
int np_chunk_ends(const np_chunked *m, int e);
bool np_chunk_any_read(const np_chunked *m, int end);
bool np_chunk_enters(const np_chunked *m, int f); /* does write f stay in any state? */
/* The letters of x, then those of y, without those of `minus`. */
void np_chunk_letters(char *out, np_lab x, np_lab y, const char *minus);
/* The sum of x y over the letters `over`, which neither may have: then it counts them. */
np_lab np_chunk_dot(np_chunked *m, np_lab x, np_lab y, const char *over, const char *out);
np_lab np_chunk_score(np_chunked *m, np_lab x, np_lab y); /* .. over the key */
/* The sum over levels of x, whose letter for them is `from`, times y. Without levels: the product. */
np_lab np_chunk_through(np_chunked *m, np_lab x, char from, np_lab y);
/* A number for a written value (a score, how it enters) times the value: the sum where there is one for each level. */
np_lab np_chunk_of(np_chunked *m, np_lab x, np_lab value);
/* x, which was or will be multiplied by `by`. Where the body chooses or mixes states, a factor of 0 says that something is not
 * taken at all, whatever it is (where(c, a, b) is a mix by 1 and 0): not even a NaN of it comes through. */
np_lab np_chunk_taken(np_chunked *m, np_lab by, np_lab x);
np_lab np_chunk_not_zero(np_chunked *m, np_lab x); /* a mask */
np_lab np_chunk_if_not_zero(np_chunked *m, np_lab by, np_lab x); /* .. whatever the body does */
/* x times `by`, and the sum of x y over letters; `zeros`: as above, factors of 0 (of x in the sum) mean nothing. */
np_lab np_chunk_product(np_chunked *m, np_lab by, np_lab x, bool zeros);
np_lab np_chunk_sum(np_chunked *m, np_lab x, np_lab y, const char *over, const char *out, bool zeros);
/* The sum over u of scores times written values. A mask stands around the products, not around the scores: what comes
 * later is not even multiplied by 0. */
np_lab np_chunk_weighed(np_chunked *m, np_lab scores, np_lab values, const np_lab *mask, const char *out);
/* x at the steps that there are, `neutral` at others. */
np_lab np_chunk_masked(np_chunked *m, np_lab x, np_lab neutral);
/* The letters of a read as it is computed here: t, what it brings, what it keeps. */
void np_chunk_read_letters(const np_chunked *m, int e, bool t, char *out);
void np_chunk_state_letters(const np_chunked *m, char *out);
/* Letters of what is kept for write f: `rows`, and `level` where it has a value for each level; `own`: room for them. */
const char *np_chunk_rows(const np_chunked *m, int f, const char *rows, char level, char *own);
void np_chunk_mix_letters(const np_chunked *m, char *out); /* of the decays, without t */

/* A short scan: what it carries and gives, as labels. */
enum {
    NP_SLOTS = 256
}; /* scores of all reads and writes, or products of all mixes with what each write becomes */
typedef struct np_short {
    np_chunked *m;
    int nstates, nouts;
    np_lab start[NP_SLOTS], now[NP_SLOTS], next[NP_SLOTS], out[NP_SLOTS], *to_last[NP_SLOTS],
        *to_out[NP_SLOTS];
    np_node *scan;
} np_short;
/* One more carried value, of these axes, starting from `start`; its last value goes to `last`. */
int np_short_carry(np_short *k, const char *axes, np_lab start, np_lab *last);
void np_short_open(np_short *k);
np_lab np_short_at(np_short *k, np_lab x);             /* a value of the chunk at the running step */
void np_short_give(np_short *k, np_lab x, np_lab *to); /* one more output */
np_lab np_short_put(np_short *k, np_lab block, np_lab x,
                    const char *axes); /* row u = t of a carried block becomes x */
void np_short_close(np_short *k);

/* ---- chunk_decay.c: scores, and decays since the start and until the end of the chunk. */
void np_chunk_decay(np_chunked *m);

/* ---- chunk_each.c: a chunk step by step, from nothing, and what the state before it adds. */
void np_each_body(np_chunked *m);

/* ---- chunk_conv.c: the convolution form. Tables are made outside of the scan over chunks. */
struct np_conv *np_conv_tables(np_chunked *m);
void np_conv_body(np_chunked *m);

#endif
