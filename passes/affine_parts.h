/* Shared by the files of `affine`, and by no one else: the reading of one body. */
#ifndef NP_AFFINE_PARTS_H
#define NP_AFFINE_PARTS_H

#include "affine.h"

typedef struct np_form {
    char at[NP_RANK + 1]; /* letters of the node's axes */
    char level;           /* the letter along which levels lie, or 0 */
    np_lab s[NP_STATES], w[NP_WRITES];
} np_form;
typedef struct np_reader {
    np_affine *a;
    np_label *l;
    const np_depend *d;
    uint32_t mask;
    const np_node *scan;
} np_reader;

/* ---- affine_form.c: values of the body. The first complaint is the one that is kept. */
void *np_affine_refuse(np_reader *r, const np_node *n, const char *why); /* NULL */
bool np_affine_free(const np_reader *r, const np_node *n);               /* does not depend on the states */
bool np_affine_state_like(const np_reader *r, const np_node *n);
void np_affine_add_letter(char *out, char c);
char np_affine_fresh(np_reader *r, const np_dim *d);
/* Letters of operand o of a contraction that sums nothing, from those of its result. */
void np_affine_before_contract(char *out, const np_node *n, int o, const char *at);
/* What does not depend on the states, with no more axes than it needs. */
np_lab np_affine_peel(np_reader *r, const np_node *n, const char *at);
np_lab np_affine_as_number(np_reader *r, np_lab c);          /* a condition as 1 or 0 */
np_form *np_affine_form(np_reader *r, const np_node *n);     /* NULL after np_affine_refuse */
np_form *np_affine_new_form(np_reader *r, const np_node *n); /* of nothing */
void np_affine_no_form(np_form *f, const char *at, char level); /* f = nothing */
/* f += how * y, y not state-like. */
void np_affine_add_write(np_reader *r, np_form *f, const np_node *y, const char *at, np_lab how);

void np_affine_add_scaled(np_reader *r, np_form *f, const np_form *x, np_lab how); /* f += how * x */

/* ---- affine_axis.c: operations along the axis of levels. */
/* Where levels lie in n, if they lie at axis `at` of its operand o; -1: nowhere; -2: n is not state-like. */
int np_affine_level(const np_node *n, int o, int at, const np_dim *levels);
bool np_affine_moves(const np_node *n); /* is n of those operations, if it is state-like? */
np_form *np_affine_moved(np_reader *r, const np_node *n);
void np_affine_level_open(np_reader *r); /* names the axis */
char np_affine_level_letter(np_reader *r, const np_dim *size);
/* The product of the factors of y that differ along the levels. */
np_lab np_affine_level_factors(np_reader *r, const np_node *y, const char *at, char level, bool invert);
/* Does y have a factor that depends on the states and differs along the levels? */
bool np_affine_level_own(np_reader *r, const np_node *y, const char *at, char level);
np_lab np_affine_level_sum(np_reader *r, np_lab by, np_lab x, char level); /* of by x, over the levels */

/* ---- affine_write.c: the key and the value of what is written, and how it depends on reads. */
bool np_affine_take_apart(np_reader *r, np_write *w);

#endif
