/* For tests of the IR's core: what was reported. */
#ifndef TEST_CORE_H
#define TEST_CORE_H

#include "ir/ir.h"
#include "suite.h"

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
