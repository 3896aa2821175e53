/* For tests of the IR's core: one main for all, and what was reported. */
#ifndef TEST_CORE_H
#define TEST_CORE_H

#include "ir/ir.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Runs each test between setup and teardown; the exit status of main. */
static inline int run_tests(const char *name, void (*setup)(void), void (*teardown)(void),
                            const TTest *const *tests, size_t n)
{
    Suite *s = suite_create(name);
    TCase *c = tcase_create(name);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    for (size_t i = 0; i < n; i++) tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* The last message is an error that contains `text`, and it is the n-th. */
static inline void expect_error(const np_cx *cx, int n, const char *text)
{
    ck_assert_msg(cx->nerrors == n, "%d errors, not %d; wanted '%s', last is '%s'", cx->nerrors, n, text,
                  cx->ndiags ? cx->diag[cx->ndiags - 1].text : "");
    if (n == 0) return;
    const np_diag *d = &cx->diag[cx->ndiags - 1];
    ck_assert_int_eq(d->level, NP_ERROR);
    ck_assert_msg(strstr(d->text, text), "wanted '%s', got '%s'", text, d->text);
}

#endif
