/* The handle of a generated program, and all that a C program needs to use a
 * model as a library. C99, libc and libm; memory is taken in np_open only. A
 * function that can fail returns NULL when it did not, else a sentence that
 * says why (it lives until the next call with the same session).
 *
 * A generated file begins, before any #include, with
 *     #define _XOPEN_SOURCE 700
 * (rt_file.c and rt_main.c use POSIX files, signals and the clock), then comes
 * this text, then kernels, np_rt_this and np_rt_vocab_this, then these files
 * in this order, without their lines #include "np_rt.h":
 *     rt_model.c rt_token.c rt_sample.c rt_file.c rt_state.c rt_perplexity.c
 *     rt_machine.c rt_args.c rt_text.c rt_logits.c rt_main.c
 * A library leaves the second line out. What is static in them begins with
 * rt_ or RT_, so it cannot meet a name of a kernel. */
#ifndef NP_RT_H
#define NP_RT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- what the compiler writes */
enum { NP_RT_I32 = 3, NP_RT_I64 = 4, NP_RT_F32 = 7 }; /* of ir/dtypes.def: what the runtime itself touches */
typedef struct np_rt_port {  /* an input, a state or an output of an entry */
    const char *name;
    int dtype;               /* index in ir/dtypes.def */
    int rank;
    int64_t dim[8];          /* >= 0 a size; -1 T, -2 N + T, -3 N, -4 batch */
} np_rt_port;
/* in: inputs; state: one block, updated in place; out: outputs; all row-major */
typedef void np_rt_entry(int64_t T, int64_t N, void *const *in, char *state, void *const *out, char *work);
typedef struct np_rt_model {
    const char *name;
    uint64_t id;             /* hash of model, weights and layout: whose states belong to it */
    size_t state_bytes, work_bytes;
    int64_t max_T, max_N;    /* largest T of one prefill call; positions in all (0: no limit) */
    int ninputs, nouts, nstates;
    const np_rt_port *input, *out, *state;
    const size_t *state_at;  /* offset of each state in the block */
    void (*setup)(char *heap);            /* unpacks weights; heap has setup_bytes */
    size_t setup_bytes;
    size_t weight_bytes;     /* as they lie in the program */
    void (*init)(void *const *in, char *state, char *work);
    np_rt_entry *prefill, *step;          /* NULL where the model cannot stream */
    np_rt_entry *whole;                   /* may be NULL */
} np_rt_model;
extern const np_rt_model np_rt_this;

/* ---- what text its ids stand for (driver/textdata.c) */
enum { NP_RT_IDS, NP_RT_BYTES, NP_RT_PIECES }; /* no tokenizer; ids are bytes; llama2.c's pieces with scores */
typedef struct np_rt_piece {
    float score;
    int len;
    const char *text; /* as the tokenizer's file has it: "<0x0A>" for a byte */
} np_rt_piece;
typedef struct np_rt_vocab {
    int kind;
    int32_t start, separator; /* token that begins a text; id shown as a newline; -1 none */
    int32_t stop[2];          /* ids that end a text; -1 none */
    int32_t n;                /* pieces */
    const np_rt_piece *piece;
    const int32_t *sorted;    /* ids by their text as unsigned bytes, equal ones by id */
    const int32_t *byte;      /* [256]: the piece that stands for a byte; -1 none */
    const char *about;        /* one line for --version */
} np_rt_vocab;
extern const np_rt_vocab np_rt_vocab_this;

/* ---- rt_model.c: a model with one stream of text in it. */
typedef struct np_session np_session;
/* The model of this program. NULL if memory runs out or it is not a model from
 * tokens to logits; then *why, if given, says so. */
np_session *np_open(const char **why);
np_session *np_open_model(const np_rt_model *m, const np_rt_vocab *v, const char **why);
void np_close(np_session *s);                /* NULL is fine. Not while another thread opens or closes one */
void np_reset(np_session *s);                /* back to the beginning */
/* Reads n tokens. Nothing was read if it fails: no such token, or no room left. */
const char *np_feed(np_session *s, const int32_t *token, int64_t n);
const float *np_logits(const np_session *s); /* [np_vocabulary]: after the last token; NULL before the first */
/* After np_feed of at most np_block tokens: the logits of each of them, [rows][np_vocabulary]. */
const float *np_block_logits(const np_session *s, int64_t *rows);
int64_t np_block(const np_session *s);
int64_t np_vocabulary(const np_session *s);
int64_t np_position(const np_session *s);    /* tokens read so far */
int64_t np_context(const np_session *s);     /* how many it can read in all; 0: no limit */
int64_t np_room(const np_session *s);        /* how many more; INT64_MAX: no limit */

/* ---- rt_token.c: text to ids and back. */
int32_t np_start(const np_session *s);       /* feed it first; -1: texts begin with nothing */
int np_stops(const np_session *s, int32_t token); /* does it end a text? */
/* Ids of text[n]; *count says how many. work: np_encode_bytes(n) bytes from
 * malloc; the result lies in it. begins: nothing was fed yet but the start.
 * NULL: the vocabulary has no way to write the text. Without a tokenizer the
 * text is ids as numbers between blanks. */
size_t np_encode_bytes(size_t n); /* 0: the text is too long (2^30) */
const int32_t *np_encode(const np_session *s, const char *text, size_t n, int begins, void *work, int64_t *count);
/* Bytes that a token stands for, given the token before it (-1 none): not a
 * string, and maybe a part of a character. *n: how many. */
const char *np_decode(const np_session *s, int32_t before, int32_t token, int *n);

/* ---- rt_sample.c: choosing the next token. */
typedef struct np_sampler {
    float temp;           /* 0: always the likeliest */
    int top_k;            /* 0: off */
    float top_p, min_p;   /* 1, 0: off */
    float repeat_penalty; /* 1: off; over the last 64 tokens */
    uint64_t rng[4];
} np_sampler;
void np_sampler_init(np_sampler *p, uint64_t seed); /* temp 0.8, top-p 0.95 */
int32_t np_sample(np_session *s, np_sampler *p);    /* from np_logits; -1 before the first token, or if all are NaN */

/* ---- rt_state.c: what was read, kept. The sampler is not part of it. */
size_t np_snapshot_bytes(const np_session *s);
void np_snapshot(const np_session *s, void *to);
void np_rollback(np_session *s, const void *from); /* of a snapshot of the same session */
const char *np_save(np_session *s, const char *path);
/* If it fails the session is as it was, or at the beginning if the file changed
 * while it was read. */
const char *np_load(np_session *s, const char *path);
const char *np_load_stream(np_session *s, FILE *f); /* one that can be rewound */

/* ---- rt_perplexity.c: how well the model predicts a text. */
typedef struct np_score {
    int64_t tokens, bytes, windows; /* windows: more than 1 if the text did not fit into the context */
    double bits;                    /* of the whole text */
} np_score;
const char *np_perplexity(np_session *s, const int32_t *token, int64_t n, np_score *out);

/* ---- rt_file.c, for the runtime's own files: a file that gets its name once it is complete. 0 or an errno. */
typedef struct np_rt_file {
    int fd;
    char path[4096], aside[4096 + 32];
} np_rt_file;
int np_rt_file_open(np_rt_file *f, const char *path);
int np_rt_file_put(np_rt_file *f, const void *data, size_t n);
int np_rt_file_rewind(np_rt_file *f);
int np_rt_file_close(np_rt_file *f, int err); /* err != 0: what was written goes away */

/* ---- the main program: rt_machine.c, rt_args.c, rt_text.c, rt_logits.c, rt_main.c */
typedef struct np_rt_args {
    const char *prompt, *file, *save, *load, *logits, *perplexity;
    int64_t n;            /* -1: not given */
    int64_t seed;         /* -1: not given */
    int64_t top_k, threads;
    double temp, top_p, min_p, repeat_penalty;
    int ids, bench, quiet, help, version;
} np_rt_args;
int np_rt_args_read(np_rt_args *a, int argc, char **argv); /* 0, or 2: wrong, and it was said why */
void np_rt_args_help(const char *program);

typedef struct np_rt_text { /* what goes to stdout */
    int ids, any;           /* numbers instead of text; something was written */
    int err;                /* an errno, once it could not be written */
    int n;                  /* bytes of a character that is not complete */
    char part[4];
    double flushed;         /* when */
} np_rt_text;
void np_rt_text_put(np_rt_text *t, const np_session *s, int32_t before, int32_t token);
void np_rt_text_end(np_rt_text *t);
/* A whole file, or what is piped in if the path is "-"; NULL: *err says why. Freed by the caller. */
char *np_rt_text_read(const char *path, size_t *n, int *err);
double np_rt_seconds(void); /* of a clock that never jumps */

typedef struct np_rt_logits { /* a safetensors file that grows */
    np_rt_file f;
    int64_t rows, V;
} np_rt_logits;
int np_rt_logits_open(np_rt_logits *l, const char *path, int64_t V); /* 0 or an errno, as the others */
int np_rt_logits_put(np_rt_logits *l, const float *x, int64_t rows);
int np_rt_logits_close(np_rt_logits *l, int err);

/* ---- rt_team.c: threads that do one job together. Not in generated files yet: their entries run on one thread. */
typedef struct np_rt_team np_rt_team; /* a thread of a team: each does the whole job, and of what is shared out its part */
struct np_rt_team {
    int me, n;                            /* 0 <= me < n */
    char *own;                            /* memory that no other thread uses, aligned to 64 */
    void (*wait)(const np_rt_team *team); /* until all n threads are here */
};
typedef struct np_rt_pool np_rt_pool;
int np_rt_cores(void); /* that this process may use */
/* The caller is thread 0 of it. pin: each stays on a core of its own. NULL: no memory or no more threads. */
np_rt_pool *np_rt_pool_new(int n, size_t own_bytes, int pin);
void np_rt_pool_run(np_rt_pool *p, void (*job)(void *env, const np_rt_team *team), void *env);
void np_rt_pool_free(np_rt_pool *p);

/* ---- the runtime's own files */
enum { NP_RT_RECENT = 64 };
struct np_session {
    const np_rt_model *model;
    const np_rt_vocab *vocab;
    int64_t V, block, pos;
    int32_t recent[NP_RT_RECENT]; /* a ring: token i lies at i % NP_RT_RECENT */
    int64_t rows;                 /* of logits in the buffer of the last call */
    const float *last;            /* logits after the last token, or NULL */
    char *state, *work;
    void *in[1], **out;           /* buffers of the entries */
    float *logits;                /* [block,V]: one of out */
    float *kept;                  /* [V]: logits that came from a saved state */
    float *scores;                /* [V]: scratch of the sampler */
    uint64_t *weights;            /* [V] */
    int32_t *order;               /* [V] */
    char byte[256];               /* every byte, for np_decode */
    char why[200];
};

#endif
