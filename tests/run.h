/* Shared by the files of the runner of text tests, and by no one else. */
#ifndef NP_TESTS_RUN_H
#define NP_TESTS_RUN_H

#include "passes/passes.h"
#include "same.h"

enum { PASSED = 0, FAILED = 1, SKIPPED = 77 };
typedef struct test {
    const char *path;
    char *text;
    size_t n, split; /* split: where the expected text begins; n if there is no `---` */
    char kind[32], pass[32];
    np_knobs knobs;
    bool bless;
} test;

/* ---- run.c */
int run_fail(const test *t, const char *fmt, ...) NP_PRINTF(2, 3);
/* What stands behind the key in a comment between from and end; NULL: nowhere. */
const char *run_header(const char *from, const char *end, const char *key);
bool run_setting(const char *line, const char *key, double *out); /* key=number */
np_mod *run_parse(const test *t, np_cx *cx, bool plain);
int run_expect(const test *t, const char *got); /* compares with the text behind `---`, or writes it */

/* ---- run_code.c: tests of generated code */
int run_code(const test *t);

#endif
