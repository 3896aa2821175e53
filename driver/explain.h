/* Shared by the two ways to print an explanation: text (explain.c) and a page (explain_html.c). */
#ifndef NP_EXPLAIN_H
#define NP_EXPLAIN_H

#include "driver.h"

enum { NP_EXPLAIN_ENTRIES = 4 };
typedef struct np_explain_note { /* what is said of many layers is said once, with how many more there are */
    const np_diag *d;
    int more;
} np_explain_note;
typedef struct np_explain {
    np_job *job;
    np_arena mem;
    int n; /* entries, as fuse left them: rows of their traffic point into the copies */
    np_fn *fused[NP_EXPLAIN_ENTRIES];
    np_traffic traffic[NP_EXPLAIN_ENTRIES];
    int nnotes; /* those of one pass stand together, in the order in which passes first spoke */
    np_explain_note *note;
    np_env shown; /* sizes for which bytes are printed as numbers */
} np_explain;

double np_explain_number(const np_explain *e, const np_dim *d);
int np_explain_passes(const np_traffic *t);                     /* over memory: rows at depth 0 */
void np_explain_add_where(np_text *t, const np_traffic_row *r); /* "gau.lua:19", or nothing */
void np_explain_add_what(const np_explain *e, np_text *t, const np_traffic_row *r); /* "x $w -> f32[T,8]" */
void np_explain_add_sizes(const np_explain *e, np_text *t, const np_traffic *of);   /* " at T=64" */
/* ---- explain_html.c: all of it as a page that needs no other file. */
np_status np_explain_html(const np_explain *e, const char *path);

#endif
