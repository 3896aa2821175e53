/* Programs as compiled code. */
#ifndef NP_TESTS_NATIVE_H
#define NP_TESTS_NATIVE_H

#include "random.h"

#define RN_NATIVE "native code"
enum { RN_BATCH = 25 };
#define RN_NOT_COMPILED "cannot be compiled"
/* Compiles n programs together and runs each; a report for each in r. *at: which
 * one is being worked on, -1 for all together, n at the end: what a process that
 * died was doing. */
void rn_native(rn_report *r, const char *const *text, int n, int *at);

#endif
