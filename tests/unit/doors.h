/* For tests of the doors: a context with its messages, buffers without slack
 * (so that a sanitizer sees a read behind their end), files of a test. */
#ifndef TEST_DOORS_H
#define TEST_DOORS_H

#include "frontend/frontend.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A fresh folder in the build folder's temporary place; remove with its files. */
static inline char *new_folder(char *path, size_t n)
{
    const char *base = getenv("TMPDIR");
    snprintf(path, n, "%s/neap-test-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

static inline void put_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* Runs the suite; the exit status of main. */
static inline int run_suite(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

#endif
