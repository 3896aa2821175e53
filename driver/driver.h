/* The command line: one file a command, and what they share. The only room
 * that may include every other. A command reports with np_error and returns
 * its exit status; main.c prints what was reported. */
#ifndef NP_DRIVER_H
#define NP_DRIVER_H

#include "../backends/backends.h"
#include "../frontend/frontend.h"
#include "../passes/passes.h"

enum { NP_EXIT_DONE, NP_EXIT_INPUT, NP_EXIT_USAGE, NP_EXIT_BUG }; /* the user's input, wrong usage, our bug */

/* ---- options.c: one table of options for all commands. */
enum { NP_OPTIONS_ARGS = 64, NP_UNSAID = -1 };
typedef struct np_options {
    int nargs; /* what stands there besides options */
    const char *arg[NP_OPTIONS_ARGS];
    int nrest; /* behind -- */
    char *const *rest;
    const char *out, *weights, *tokenizer, *in, *print_before, *print_after, *html;
    const char *emit, *via, *target, *backend; /* one of a list, or NULL */
    int64_t chunk, split;                      /* NP_UNSAID: not given */
    int64_t abreast;                           /* chunks side by side; 0: not said */
    int64_t context, batch, repeat;            /* 0: not given */
    bool time, eval, rounded, help;
    np_settings set;
} np_options;

typedef struct np_command {
    const char *name, *args, *options; /* options: names in the table, separated by spaces */
    int least, most;                   /* arguments */
    int (*run)(np_cx *cx, const np_options *o);
    const char *what, *more; /* a line, and a page for help NAME */
} np_command;
extern const np_command np_commands[]; /* main.c; ends with name NULL */

/* Reads argv[from..]. Not NP_OK: a message was printed, the usage was wrong. */
np_status np_options_read(np_cx *cx, const np_command *c, int argc, char **argv, int from, np_options *out);
void np_options_help(const np_command *c, FILE *out); /* a line for each of its options */
/* Prints "neap NAME: .." and where help is; returns NP_EXIT_USAGE. */
int np_options_wrong(const char *command, const char *fmt, ...) NP_PRINTF(2, 3);

/* ---- model.c: from what was said on the command line to a module. */
typedef struct np_job {
    np_cx *cx;
    const np_options *o;
    np_str path;               /* the description */
    np_checkpoint *checkpoint; /* NULL: none was given and none lies beside the description */
    np_settings set;           /* params of an input file may be put before; then --batch and --set */
    np_model *model;
    const np_vocab *vocab; /* NULL: bytes, or no tokenizer */
    np_str vocab_path;
    const np_target *target;
    int chunk;  /* what passes are told: --chunk, or what the command sets; 0 automatic */
    int abreast; /* chunks side by side, as --chunk says or the command sets; 0 automatic */
    int nplain; /* entries at TENSOR, for the interpreter */
    np_fn *plain[4];
    np_fn *form[4]; /* the same after np_job_form; else NULL */
    void (*see)(void *env, const np_pass *p, const np_fn *f); /* NULL, or shown what every pass makes */
    void *env;
    bool lowered;   /* the module holds the same entries PLACED, and no other function */
} np_job;
/* Which description and which checkpoint MODEL (argument 0) means. */
np_status np_job_find(np_job *j);
/* What np_load is told; --batch and --set are added to j->set. */
np_load_opts np_job_opts(np_job *j);
/* Builds @main. shape NULL: sizes come from the config (build); else inputs are as given (eval). */
np_status np_job_load(np_job *j, int nshapes, const np_shape *shape);
/* Attaches the weights; an error that says what to give if there are none. */
np_status np_job_weights(np_job *j);
void np_job_free(np_job *j);

/* ---- program.c: from a module to what a backend takes. */
enum { NP_INIT = 1, NP_PREFILL = 2, NP_STEP = 4, NP_WHOLE = 8 };
/* Derives the entries named in `wanted`, as far as the model has them: one that
 * cannot stream has NP_WHOLE alone. */
np_status np_job_derive(np_job *j, int wanted);
np_fn *np_job_plain(const np_job *j, const char *entry); /* NULL if it was not derived */
const np_dim *np_job_symbol(np_cx *cx, np_role role);    /* of time or past; NULL: there is none */
/* Why it has no step, for a message. */
np_str np_job_why_whole(const np_job *j);
bool np_job_scans(const np_job *j); /* has it a scan with a state, so that a chunk means something */
/* The entries after the passes that keep tensors: the form that a chunk gives, as the interpreter runs it. */
np_status np_job_form(np_job *j);
/* All passes over all entries; --print-before and the like hold here. May be called again with another chunk. */
np_status np_job_lower(np_job *j);
bool np_job_speaks(const np_job *j);           /* is it one from tokens to logits, and has it a step */
np_status np_job_need_speech(const np_job *j); /* an error if not */
/* Reads the tokenizer, given or beside the checkpoint, for a model that speaks. */
np_status np_job_tokenizer(np_job *j, bool speaks);
/* main: with the main program of the runtime. */
np_status np_job_program(np_job *j, bool main, np_program *out);

/* ---- textdata.c: np_rt_vocab_this as C text. */
np_status np_textdata_put(const np_job *j, np_text *out);

/* ---- pieces.c: running a model over a sequence that is cut into pieces. */
typedef struct np_pieces {
    np_job *job;
    np_lib *lib;         /* NULL: the interpreter */
    bool exact, form;    /* of the interpreter: all in f64; the entries of np_job_form */
    const np_tensor *in; /* of @main */
    const char *
        entry; /* "whole" (derived in any case) in one piece, else "prefill" (derived in any case) or "step" */
    int n;
    const int64_t *len;
    const char *keep; /* a file that the states go through between two pieces; NULL: they stay */
    np_tensor *out;   /* of @main, made here: along time all pieces, else of the last one */
    double ms;        /* of all calls */
} np_pieces;
np_status np_pieces_run(np_pieces *p);
int np_pieces_axis(const np_type *t, const np_dim *T); /* the axis of that size; -1: none */
/* A copy of n of its rows along an axis; -1: of all. */
np_tensor np_pieces_rows(const np_tensor *t, int axis, int64_t from, int64_t n);
int64_t np_pieces_time(const np_job *j, const np_tensor *in); /* steps of the inputs; -1: none has time */
np_str np_job_models(np_cx *cx);                              /* the folder of models, or NULL */
/* Names of the files DIR/NAME.lua, sorted, without .lua; -1: there is no such folder. */
int np_job_list(np_cx *cx, np_str dir, np_str **out);

/* ---- the commands */
int np_build_main(np_cx *cx, const np_options *o);
int np_check_main(np_cx *cx, const np_options *o);
int np_eval_main(np_cx *cx, const np_options *o);
int np_explain_main(np_cx *cx, const np_options *o);
int np_help_main(np_cx *cx, const np_options *o);
int np_info_main(np_cx *cx, const np_options *o);
int np_models_main(np_cx *cx, const np_options *o);
int np_ops_main(np_cx *cx, const np_options *o);
int np_run_main(np_cx *cx, const np_options *o);
int np_targets_main(np_cx *cx, const np_options *o);
int np_version_main(np_cx *cx, const np_options *o);

#endif
