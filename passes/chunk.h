/* Shared by the files of `chunk`, and by no one else. */
#ifndef NP_CHUNK_H
#define NP_CHUNK_H

#include "affine.h"
#include "guard.h"

/* ---- chunk_frame.c: scans that are being written one inside the other, and how
 * a labelled tensor from outside is seen inside. */
typedef enum { NP_FRAME_MAP, NP_FRAME_SEGMENTS, NP_FRAME_CHUNKS, NP_FRAME_STEPS } np_framekind;
typedef struct np_frame {
    np_framekind kind;
    np_node *scan;
    np_block *outside;
    char letter;  /* what it runs over; CHUNKS: t is cut; SEGMENTS: none */
    np_node *pos; /* CHUNKS: the steps of the running chunk, counted over all; NULL: every chunk is whole */
} np_frame;
enum { NP_FRAMES = NP_RANK + 4 };
typedef struct np_frames {
    np_build *b;
    np_label *l; /* of the recurrence that is being written */
    np_frame frame[NP_FRAMES];
    int n;
    np_block *home;           /* where the scan stood */
    const np_dim *T, *chunks; /* steps, and how many chunks of them; abreast > 1: how many segments */
    int64_t c, abreast;       /* steps of a chunk; chunks of a segment, side by side */
    bool back, turned;
    struct np_seen *seen;
} np_frames;
/* Opens a scan over a letter; state: operands that are carried, in the block outside. */
np_node *np_frame_open(np_frames *s, np_framekind kind, char letter, int nstates, np_node *const *state);
np_node *np_frame_close(np_frames *s, int nyields, np_node *const *yield);
/* x inside of all that is open; with the steps of a chunk as the first axis, or (turned) as the last. */
np_lab np_frame_see(np_frames *s, np_lab x, bool turned);
bool np_frame_ragged(const np_frames *s); /* may the last chunk have fewer steps? */
/* Where it may, in the body of the scan over chunks: is there such a step, and how many are there? t: the steps of a chunk. */
void np_frame_last(np_frames *s, np_lab t, np_lab *valid, np_lab *count);

/* ---- chunk_block.c: the blocked form of recurrences that do not need one another. */
typedef struct np_blocked {
    np_affine *a;
    np_guard guard;
    bool conv;                                    /* as a convolution: chunk_conv.c */
    bool each;                                    /* step by step in every chunk: chunk_each.c */
    np_node *start[NP_STATES], *final[NP_STATES]; /* of the new function */
} np_blocked;
/* Returns the scan over chunks. */
np_node *np_chunk_block(np_frames *s, np_blocked *r, int n);

/* ---- chunk_abreast.c: f with each of these scans as three: for all indices at once what needs no state, one index after the
 * other the states, for all at once what nothing later needs. */
np_fn *np_chunk_abreast(const np_fn *f, np_node *const *scan, int n);

bool np_chunk_by_value(const np_affine *a); /* are decays carried on the written values? */

/* ---- chunk_cost.c: which form a recurrence takes. */
typedef struct np_wanted {
    int64_t chunk, abreast; /* 0: what pays; 1: step by step. Chunks side by side, if it can be */
    int64_t most;           /* steps there may be */
} np_wanted;
typedef struct np_choice { /* c steps a chunk (1: step by step, and why), so many chunks side by side */
    int64_t c, side;
    bool conv, each;
    const char *why;
} np_choice;
/* May rewrite a: batch and value for a convolution, decays along key and value taken apart. */
np_choice np_chunk_choose(np_affine *a, const np_wanted *w);
/* Multiply-adds of that form in chunks of c, of so many steps in all, relative to the step form. */
double np_chunk_effort(const np_affine *a, const np_choice *k, int64_t c, int64_t steps);

/* ---- chunk_conv.c: can a be written as a convolution, and with which axes around it? Then they are its batch. */
bool np_conv_take(np_affine *a);

/* ---- chunk_step.c: the part of a scan that belongs to the states in `mask` as a
 * scan of its own; `done`: states whose reads are lifted already. Gives the final
 * states (by index) and lifts what others need. False: something could not be lifted. */
bool np_chunk_steps(np_lift *l, const np_depend *d, uint32_t mask, uint32_t done, np_node **final);

/* ---- chunk_ranks.c: f with its writes of low rank as several of rank one; NULL: it has none. */
np_fn *np_chunk_ranks(const np_fn *f);

#endif
