/* The context of the running test, and the fixture that makes it. */
#ifndef TEST_CONTEXT_H
#define TEST_CONTEXT_H

#include "ir/ir.h"
#include "suite.h"

static np_cx *cx;

static inline void setup(void)
{
    cx = np_cx_new();
}
static inline void teardown(void)
{
    np_cx_free(cx);
}
/* A new one in place of that which was. */
static inline void again(void)
{
    teardown();
    setup();
}

/* Else the test fails, with what was reported. */
static inline void must(bool ok, const char *what)
{
    if (ok) return;
    np_diag_print(cx, NP_NOTE, stderr);
    ck_abort_msg("%s", what);
}

#endif
