/* A program in a process of its own, and the search for a smaller one. */
#ifndef NP_TESTS_ISOLATE_H
#define NP_TESTS_ISOLATE_H

#include "random.h"

typedef rn_report rn_outcome;
/* derived may be NULL: what rn_check derives. Runs all checks; an end by signal, by status or by the clock is a kind of failure, too. */
void rn_isolate(const char *text, const char *until, rn_outcome *out, np_text *derived);
/* The same for compiled code: up to RN_BATCH programs with different names, compiled together; each
 * alone where that does not go well. */
void rn_isolate_native(const char *const *text, int n, rn_outcome *out);
/* A smaller text that fails in the same phase and kind; may be as large as the old one. */
void rn_reduce(const char *text, const char *until, const rn_outcome *was, np_text *out);

#endif
