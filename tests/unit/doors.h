/* For tests of the doors: the messages of a context, and buffers without slack, so
 * that a sanitizer sees a read behind their end. */
#ifndef TEST_DOORS_H
#define TEST_DOORS_H

#include "frontend/frontend.h"
#include "suite.h"

/* Is there a message of that level whose text contains `text`? */
static inline bool said(const np_cx *cx, np_level level, const char *text)
{
    for (int i = 0; i < cx->ndiags; i++)
        if (cx->diag[i].level == level && strstr(cx->diag[i].text, text)) return true;
    return false;
}

static inline void expect_said(const np_cx *cx, np_level level, const char *text)
{
    if (said(cx, level, text)) return;
    ck_abort_msg("expected '%s', got '%s' (%d messages)", text, cx->ndiags ? cx->diag[0].text : "nothing",
                 cx->ndiags);
}

/* Exactly one error, and it contains `text`. */
static inline void expect_error(const np_cx *cx, const char *text)
{
    expect_said(cx, NP_ERROR, text);
    ck_assert_int_eq(cx->nerrors, 1);
}

static inline unsigned char *tight(const void *p, size_t n)
{
    unsigned char *out = malloc(n ? n : 1);
    ck_assert_ptr_nonnull(out);
    if (n) memcpy(out, p, n);
    return out;
}

#endif
