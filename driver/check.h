/* Inside neap check: what check.c, draw.c and prove.c share. */
#ifndef NP_CHECK_H
#define NP_CHECK_H

#include "driver.h"

enum { NP_CHECK_STEPS = 37 }; /* steps of the inputs: odd, and no chunk divides it */

typedef struct np_tally { /* of one model */
    const np_options *o;
    int good, bad;
} np_tally;

typedef struct np_subject { /* one instance of the model, with inputs */
    np_tally *c;
    np_cx *cx;
    np_job job;
    const np_fn *f; /* @whole */
    np_tensor *in;
    bool *log; /* of input i: it is the logarithm of a decay, so it is not positive */
    np_lib *lib;
    np_cx *test_cx;
    np_case *test; /* the self-test that it is, or is taken from; NULL */
} np_subject;

/* ---- check.c */
bool np_check_line(np_tally *c, bool good, const char *what, double error);
/* All results of p, whose job and code are those of s; NULL and an error if it cannot run. */
np_tensor *np_check_run(np_subject *s, np_pieces p);
np_tensor *np_check_whole(np_subject *s, np_pieces p); /* p.in in one piece through @whole */
double np_check_worst(const np_subject *s, const np_tensor *a, const np_tensor *b);
void np_check_free(np_tensor *t, int n);
/* The form of the job's chunk. quick: with few optimisations, for a sample of forms whose code runs once or twice. */
np_status np_check_compile(np_subject *s, bool quick);

/* ---- draw.c: numbers for inputs and weights, and what is done to them. */
np_status np_draw_inputs(np_subject *s);
void np_draw_weights(np_subject *s);
int64_t np_draw_numbers(const np_mod *m); /* in all its weights */
int np_draw_batch(const np_node *n);      /* the axis called B; -1: none */
/* Of a copy of the inputs. Each gives how many inputs it changed. */
int np_draw_future(const np_subject *s, np_tensor *in, int64_t from,
                   double size);                                    /* all that follows, by large numbers */
int np_draw_rows(const np_subject *s, np_tensor *in, double size);  /* all sequences of a batch but one */
int np_draw_hard(const np_subject *s, np_tensor *in);               /* decays that forget everything */
int np_draw_poison(const np_subject *s, np_tensor *in, int64_t at); /* NaN and infinities at one step */

/* ---- prove.c: the theorems, form by form. */
void np_prove(np_subject *s);

#endif
