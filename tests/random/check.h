/* Shared by the files that check programs, and by no one else. */
#ifndef NP_TESTS_CHECK_H
#define NP_TESTS_CHECK_H

#include "random.h"

typedef struct subject {
    rn_report *r;
    np_cx *cx;
    np_mod *plain, *m; /* as written; folded and shared */
    np_knobs knobs;
    const char *until;
    char *derived; /* RN_LONG bytes for the text of an entry that was derived, or NULL */
    rn_answers want;
} subject;
/* What is asked of everything that comes: what f gives, if it can be evaluated. */
bool rn_subject_answers(subject *s, const np_fn *f, bool from_start);
/* That function of s->m through the passes; each must give s->want. */
bool rn_subject_passes(subject *s, np_str name);
/* ---- check_stream.c: s->m has @main as a model writes it. Given in pieces it must
 * give what it gives as a whole; then each entry goes through the passes. */
bool rn_subject_stream(subject *s);

#endif
