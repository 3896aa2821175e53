/* What the user writes and hands over: Lua descriptions, checkpoints,
 * tokenizer files, named tensors. Every function here is a door: it checks
 * before it trusts, reports with np_error, and returns NULL or NP_FAIL. */
#ifndef NP_FRONTEND_H
#define NP_FRONTEND_H

#include "../ir/ir.h"

/* ---- file.c: bytes in and out. */
/* Maps or reads a whole file; NULL and an error if it cannot. Freed with cx. */
const unsigned char *np_file_read(np_cx *cx, const char *path, size_t *n);
/* Writes aside, then renames: no half-written output is ever left. */
np_status np_file_write(np_cx *cx, const char *path, const void *data, size_t n);

/* ---- tensors.c, tensors_write.c: safetensors files, in and out. */
typedef struct np_stored {
    np_str name;
    np_dtype dtype;
    int rank;
    int64_t dim[NP_RANK];
    const void *data; /* in the mapped file, maybe unaligned */
    size_t bytes;
} np_stored;
typedef struct np_tensors {
    np_str path;
    int n;
    np_stored *t;
    int nmeta; /* __metadata__ */
    np_str *meta_key, *meta_value;
} np_tensors;
np_tensors *np_tensors_read(np_cx *cx, const char *path);
np_tensors *np_tensors_parse(np_cx *cx, const char *path, const unsigned char *p, size_t n); /* p stays in use */
const np_stored *np_tensors_find(const np_tensors *f, const char *name);
np_str np_tensors_meta(const np_tensors *f, const char *key); /* NULL if absent */
double np_tensors_get(const np_stored *s, int64_t i);         /* element i, row-major */
np_tensor np_tensors_load(const np_stored *s, np_dtype as);    /* to doubles */
np_status np_tensors_write(np_cx *cx, const char *path, int n, const np_str *name, const np_tensor *t);

/* ---- settings.c: keys and values of a config. */
typedef struct np_setting { /* one value of a config */
    np_str key;
    enum { NP_SET_NUM, NP_SET_STR, NP_SET_BOOL, NP_SET_LIST, NP_SET_NAMES } kind; /* LIST: numbers */
    double num;
    np_str str;
    int n;
    double *list;
    np_str *names; /* of NAMES */
    np_str from; /* "config.json", "--set", "params", for messages */
} np_setting;
typedef struct np_settings {
    int n;
    np_setting *s; /* in the context's memory */
} np_settings;
/* "key=value" of --set. Nested keys of JSON are joined by dots: rope_parameters.factor */
np_status np_settings_parse(np_cx *cx, np_settings *s, const char *key_value);
np_status np_settings_json(np_cx *cx, np_settings *s, const char *json, size_t n, const char *from); /* an object */
const np_setting *np_settings_find(const np_settings *s, const char *key); /* the last one wins */
void np_settings_add(np_cx *cx, np_settings *s, const np_setting *v); /* a copy, last */
void np_settings_num(np_cx *cx, np_settings *s, const char *key, double v, const char *from);
void np_settings_bool(np_cx *cx, np_settings *s, const char *key, bool v, const char *from);
void np_settings_str(np_cx *cx, np_settings *s, const char *key, const char *v, const char *from);

/* ---- checkpoint.c, llama2c.c, ggmf.c: weights and config of any supported
 * kind: a safetensors file, a Hugging Face folder (config.json,
 * model.safetensors, or its shards and their index), llama2.c .bin, ggmf .bin. */
typedef struct np_checkpoint {
    np_str path, format; /* "safetensors", "hf", "llama2.c", "ggmf" */
    np_tensors *tensors; /* llama2.c tensors bear the Hugging Face names */
    np_settings config;  /* from config.json or the header, in Hugging Face's keys; llama2.c adds rope_interleaved=1 */
    np_str model_type;   /* chooses the model: config.json's model_type or architecture; NULL: told by its tensors */
    np_str dir;          /* folder, to look for a tokenizer in */
} np_checkpoint;
np_checkpoint *np_checkpoint_open(np_cx *cx, const char *path);
/* The llama2.c file p[n] into c (tensors, config, model_type, format); p stays in use. */
np_status np_llama2c_parse(np_cx *cx, np_checkpoint *c, const unsigned char *p, size_t n);
/* The ggmf file p[n] likewise; no model_type, and the config says checkpoint_format=ggmf. */
np_status np_ggmf_parse(np_cx *cx, np_checkpoint *c, const unsigned char *p, size_t n);

/* ---- load.c (with lua.c, bind*.c, neap.lua): a description becomes a module
 * with the function main. */
typedef struct np_shape { /* an input whose shape is known before the model is built */
    np_str name;
    np_dtype dtype;
    int rank;
    int64_t dim[NP_RANK];
} np_shape;
typedef struct np_load_opts {
    const char *path;               /* the .lua file */
    const np_checkpoint *checkpoint;/* may be NULL: config and names of weights present */
    const np_settings *set;         /* --set and params: win over the checkpoint, which wins over defaults */
    int nshapes;                    /* inputs that are given (eval): optional inputs not among them take their default */
    const np_shape *shape;
    bool shapes_known;              /* false (build): optional inputs take their default, sizes come from config */
    const char *test;               /* np_load_tests: build test `test` */
    int64_t context;                /* positions in all; 0: as the model says */
    int64_t block;                  /* the most positions of one call; 0: as many as there are */
    bool empty;                     /* a call may have no position at all */
    const int64_t *pick;            /* check: sizes for the axes that nothing sizes, in the order in which inputs
                                       have them, then from the first again; ends with 0. NULL: an error */
} np_load_opts;
typedef struct np_serves { /* checkpoints that a description is for */
    np_str type;           /* their model_type; NULL: they name none, and have and lack these tensors */
    int nhas, nlacks;
    np_str *has, *lacks;
} np_serves;
typedef struct np_model {
    np_mod *mod;                    /* function main; weights declared, not loaded */
    np_str name, path, source;      /* of the model; text of the file */
    np_settings config;             /* effective values of all keys asked for or defaulted, in order */
    int nnames;                     /* names = {["model.layers.#.x"] = "layers.#.y"}: checkpoint name -> model name */
    np_str *name_from, *name_to;
    np_str tokenizer;               /* "bytes", "file" or NULL: from the model's `tokenizer` table */
    int start;                      /* token that begins a sequence; -1 none */
    int separator;                  /* byte tokenizers: id shown as a newline; -1 none */
    int64_t context;                /* positions, 0 unlimited */
    int64_t rows;                   /* given inputs had a leading axis of that size that the description lacks: so many runs; 0: none */
    np_str weights;                 /* default weights beside the model, or NULL */
    int nserves;                    /* serves = {"mistral", {has = {..}, lacks = {..}}} */
    np_serves *serves;
    int ntests;                     /* names of the self-tests */
    np_str *test;
} np_model;
np_model *np_load(np_cx *cx, const np_load_opts *o);
/* Self-test `i`: builds the model with the test's settings and inputs, and
 * gives inputs and expected outputs (from equations in plain Lua or numbers). */
typedef struct np_case {
    np_model *model;
    int nin, nout;
    np_str *in_name, *out_name;
    np_tensor *in, *out;
    double tol;
} np_case;
/* What a model file says of itself (name, weights, serves, self-tests), without building anything. */
np_model *np_load_head(np_cx *cx, const char *path);
/* Is the description for this checkpoint (by model_type, which may be the file's name, or by tensors)? */
bool np_load_serves(const np_model *head, const np_checkpoint *c);
/* Names of its self-tests; -1 and an error if it cannot be read. */
int np_load_tests(np_cx *cx, const char *path, np_str **out);
np_case *np_load_test(np_cx *cx, const np_load_opts *o, const char *test);

/* ---- weights.c
 * Attaches data to every declared weight: names through model->names (`#`
 * matches a number), shapes checked. One error per missing or misshaped weight;
 * a stored tensor that no one maps: a warning; NaN inside: a warning. */
np_status np_weights_attach(np_cx *cx, np_model *m, const np_checkpoint *c);
/* The stored tensor that would serve the weight of that name; NULL: none. */
const np_stored *np_weights_find(const np_checkpoint *c, const np_model *m, const char *name);

/* ---- vocab.c: tokenizer files -> the tables that the runtime embeds. */
typedef struct np_vocab {
    np_str kind; /* "bytes", "llama2.c" */
    int n;       /* ids */
    int max_len; /* longest token in bytes */
    const unsigned char **text;
    int *len;
    float *score;
} np_vocab;
/* expected: ids that the model has; -1: as many as the file has. */
np_vocab *np_vocab_read(np_cx *cx, const char *path, int64_t expected);
np_vocab *np_vocab_parse(np_cx *cx, const char *path, const unsigned char *p, size_t n, int64_t expected);

#endif
