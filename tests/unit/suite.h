/* For all tests: how a suite runs, folders and files of a test. Knows nothing of
 * the compiler, for tests of the runtime use it, too. */
#ifndef TEST_SUITE_H
#define TEST_SUITE_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The exit status of main. */
static inline int run_suite(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* Each test between setup and teardown (NULL: none), which may take so many seconds; the exit status of main. */
static inline int run_tests_for(const char *name, double seconds, void (*setup)(void), void (*teardown)(void),
                                const TTest *const *tests, size_t n)
{
    Suite *s = suite_create(name);
    TCase *c = tcase_create(name);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, seconds);
    for (size_t i = 0; i < n; i++) tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    return run_suite(s);
}
static inline int run_tests(const char *name, void (*setup)(void), void (*teardown)(void),
                            const TTest *const *tests, size_t n)
{
    return run_tests_for(name, 60, setup, teardown, tests, n);
}

/* ---- folders and files */
/* A fresh folder in the place for temporary ones; returns its path. */
static inline char *new_folder(char *path, size_t n)
{
    const char *base = getenv("TMPDIR");
    snprintf(path, n, "%s/neap-test-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

/* The path of a file in it; the last two stay as they are. */
static inline const char *path_in(const char *folder, const char *name)
{
    static char path[2][512];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static inline void put_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* What is in a file of less than `most` bytes, with a 0 behind it; how many bytes. */
static inline size_t get_file(const char *path, char *to, size_t most)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    size_t n = fread(to, 1, most - 1, f);
    to[n] = 0;
    fclose(f);
    return n;
}

/* Calls check(path) for every file of a folder whose name ends so; how many there are. */
static inline int each_file(const char *folder, const char *end, void (*check)(const char *path))
{
    char path[1024];
    int n = 0;
    DIR *d = opendir(folder);
    ck_assert_msg(d != NULL, "%s", folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t k = strlen(e->d_name), m = strlen(end);
        if (k <= m || strcmp(e->d_name + k - m, end) != 0) continue;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        check(path);
        n++;
    }
    closedir(d);
    return n;
}

static inline void remove_file(const char *path)
{
    ck_assert_int_eq(remove(path), 0);
}

/* With the files in it. */
static inline void remove_folder(const char *folder)
{
    each_file(folder, "", remove_file);
    ck_assert_int_eq(rmdir(folder), 0);
}

#endif
