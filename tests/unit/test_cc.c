/* The C compiler: all kinds of output, what is said when it fails, and that
 * nothing is left behind, neither half an output nor a temporary file. */
#include "core.h"

#include "backends/backends.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static np_cx *cx;
static char dir[] = "/tmp/neap-test-cc-XXXXXX", tmp[64];
static const char good[] =
    "int add(int a, int b);\nint add(int a, int b) { return a + b; }\nint main(void) { return add(2, 1); }\n";

static void setup(void)
{
    cx = np_cx_new();
    memcpy(strrchr(dir, '-') + 1, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(tmp, sizeof tmp, "%s/tmp", dir);
    ck_assert_int_eq(mkdir(tmp, 0700), 0);
    setenv("TMPDIR", tmp, 1);
    unsetenv("CC");
}
static int files_in(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}
static void teardown(void)
{
    ck_assert_int_eq(files_in(tmp), 0);
    rmdir(tmp);
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') unlink(np_str_fmt(cx, "%s/%s", dir, e->d_name));
    closedir(d);
    ck_assert_int_eq(rmdir(dir), 0);
    np_cx_free(cx);
}
static np_str out(const char *name)
{
    return np_str_fmt(cx, "%s/%s", dir, name);
}
static np_status build(np_cckind kind, const char *text, const char *flags, const char *to)
{
    return np_cc_build(cx, kind, text, strlen(text), flags, to);
}
static long size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

START_TEST(test_kinds)
{
    np_str bin = out("bin"), so = out("x.so"), s = out("x.s"), o = out("x.o"), a = out("x.a");
    ck_assert_int_eq(build(NP_CC_BIN, good, "-O1 -Wall", bin), NP_OK);
    ck_assert_int_eq(build(NP_CC_SO, good, "-O1", so), NP_OK);
    ck_assert_int_eq(build(NP_CC_ASM, good, "-O1", s), NP_OK);
    ck_assert_int_eq(build(NP_CC_OBJ, good, "-O1", o), NP_OK);
    ck_assert_int_eq(build(NP_CC_LIB, good, "-O1", a), NP_OK);
    int status = system(bin);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    void *h = dlopen(so, RTLD_NOW);
    ck_assert_ptr_nonnull(h);
    ck_assert_ptr_nonnull(dlsym(h, "add"));
    dlclose(h);
    ck_assert(size_of(s) > 0 && size_of(o) > 0 && size_of(a) > size_of(o));
    ck_assert_int_eq(cx->nerrors, 0);
    ck_assert_int_eq(files_in(dir), 6);
}
END_TEST
START_TEST(test_same_bytes)
{
    char one[1 << 16], two[1 << 16];
    np_str o = out("x.a"), p = out("y.a");
    ck_assert_int_eq(build(NP_CC_LIB, good, "-O1", o), NP_OK);
    ck_assert_int_eq(build(NP_CC_LIB, good, "-O1", p), NP_OK);
    FILE *f = fopen(o, "r"), *g = fopen(p, "r");
    size_t n = fread(one, 1, sizeof one, f), m = fread(two, 1, sizeof two, g);
    fclose(f), fclose(g);
    ck_assert(n == m && n > 0 && memcmp(one, two, n) == 0);
}
END_TEST
START_TEST(test_replaces)
{
    np_str o = out("x.o");
    FILE *f = fopen(o, "w");
    fputs("old", f);
    fclose(f);
    ck_assert_int_eq(build(NP_CC_OBJ, "int main(void) { return x; }\n", "-O1", o), NP_FAIL);
    ck_assert_int_eq(size_of(o), 3); /* as it was */
    ck_assert_int_eq(build(NP_CC_OBJ, good, "-O1", o), NP_OK);
    ck_assert(size_of(o) > 3);
    ck_assert_int_eq(files_in(dir), 2);
}
END_TEST
START_TEST(test_bad_text)
{
    np_str o = out("x.o");
    ck_assert_int_eq(build(NP_CC_OBJ, "int f(void)\n{\n    return nonsense;\n}\n", "-O1", o), NP_FAIL);
    expect_error(cx, 1, "nonsense");
    ck_assert_ptr_nonnull(strstr(cx->diag[cx->ndiags - 1].text, "model.c:3"));
    ck_assert_int_eq(size_of(o), -1);
}
END_TEST
START_TEST(test_no_place)
{
    ck_assert_int_eq(build(NP_CC_OBJ, good, "-O1", out("nowhere/x.o")), NP_FAIL);
    ck_assert_int_eq(cx->nerrors, 1);
    setenv("TMPDIR", out("nowhere"), 1);
    ck_assert_int_eq(build(NP_CC_OBJ, good, "-O1", out("x.o")), NP_FAIL);
    expect_error(cx, 2, "cannot be made");
}
END_TEST
START_TEST(test_named_compiler)
{
    np_str o = out("x.o");
    setenv("CC", "no-such-compiler -m32", 1);
    ck_assert_ptr_null(np_cc_find(cx));
    expect_error(cx, 1, "no-such-compiler");
    ck_assert_int_eq(build(NP_CC_OBJ, good, "-O1", o), NP_FAIL);
    ck_assert_int_eq(size_of(o), -1);
    setenv("CC", "cc  -DEXTRA=1", 1); /* with an option, and a blank too many */
    ck_assert_int_eq(build(NP_CC_OBJ, "int x = EXTRA;\n", "-O1", o), NP_OK);
    setenv("CC", "", 1);
    ck_assert_ptr_nonnull(np_cc_find(cx));
}
END_TEST
START_TEST(test_no_compiler)
{
    np_str path = np_str_new(cx, getenv("PATH"));
    setenv("PATH", dir, 1);
    ck_assert_int_eq(build(NP_CC_OBJ, good, "-O1", out("x.o")), NP_FAIL);
    setenv("PATH", path, 1);
    expect_error(cx, 1, "install gcc or clang");
}
END_TEST
START_TEST(test_compiler_that_dies)
{
    np_str script = out("killed");
    FILE *f = fopen(script, "w");
    fputs("#!/bin/sh\nkill -9 $$\n", f);
    fclose(f);
    chmod(script, 0700);
    setenv("CC", script, 1);
    ck_assert_int_eq(build(NP_CC_OBJ, good, "-O1", out("x.o")), NP_FAIL);
    expect_error(cx, 1, "137");
    f = fopen(script, "w");
    fputs("#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\necho half > $2\nexit 1\n", f);
    fclose(f);
    ck_assert_int_eq(build(NP_CC_OBJ, good, "-O1", out("x.o")), NP_FAIL);
    ck_assert_int_eq(files_in(dir), 2); /* nothing but the script and tmp */
}
END_TEST

int main(void)
{
    const TTest *tests[] = {test_kinds,    test_same_bytes,     test_replaces,    test_bad_text,
                            test_no_place, test_named_compiler, test_no_compiler, test_compiler_that_dies};
    return run_tests("cc", setup, teardown, tests, NP_LEN(tests));
}
