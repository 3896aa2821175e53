/* Reading of whatever a path may name, and writing that never leaves half a
 * file, whatever goes wrong. */
#include "doors.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char dir[256];

static const char *in(const char *name)
{
    return path_in(dir, name);
}

static int files_in_dir(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void setup(void)
{
    new_folder(dir, sizeof dir);
}

static void teardown(void)
{
    remove_folder(dir);
}

static void expect_content(const char *path, const char *text)
{
    np_cx *cx = np_cx_new();
    size_t n;
    const unsigned char *p = np_file_read(cx, path, &n);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(n, strlen(text));
    ck_assert_mem_eq(p, text, n);
    np_cx_free(cx);
}

START_TEST(test_read_sizes)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 65535, 65536, 65537, 1000000};
    for (size_t i = 0; i < NP_LEN(sizes); i++) {
        np_cx *cx = np_cx_new();
        unsigned char *want = malloc(sizes[i] + 1);
        size_t n = 99;
        for (size_t k = 0; k < sizes[i]; k++) want[k] = (unsigned char)(k * 7 + k / 251);
        put_file(in("f"), want, sizes[i]);
        const unsigned char *p = np_file_read(cx, in("f"), &n);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq(n, sizes[i]);
        ck_assert_int_eq(memcmp(p, want, n), 0);
        free(want);
        np_cx_free(cx);
    }
}
END_TEST

START_TEST(test_read_stays_after_removal)
{
    np_cx *cx = np_cx_new();
    size_t n;
    unsigned char *want = calloc(1, 200000);
    want[199999] = 42;
    put_file(in("f"), want, 200000);
    const unsigned char *p = np_file_read(cx, in("f"), &n);
    remove(in("f"));
    ck_assert_int_eq(p[199999], 42);
    free(want);
    np_cx_free(cx);
}
END_TEST

START_TEST(test_read_pipe)
{
    np_cx *cx = np_cx_new();
    int fd[2];
    char path[64];
    size_t n;
    ck_assert_int_eq(pipe(fd), 0);
    ck_assert_int_eq(write(fd[1], "from a pipe", 11), 11);
    close(fd[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", fd[0]);
    const unsigned char *p = np_file_read(cx, path, &n);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(n, 11);
    ck_assert_mem_eq(p, "from a pipe", 11);
    close(fd[0]);
    np_cx_free(cx);
}
END_TEST

START_TEST(test_read_refused)
{
    size_t n = 5;
    np_cx *cx = np_cx_new();
    ck_assert_ptr_null(np_file_read(cx, in("absent"), &n));
    ck_assert_uint_eq(n, 0);
    expect_error(cx, "cannot open: No such file or directory");
    ck_assert_str_eq(cx->diag[0].loc.file, in("absent"));
    np_cx_free(cx);

    cx = np_cx_new();
    ck_assert_ptr_null(np_file_read(cx, dir, &n));
    expect_error(cx, "cannot read: Is a directory");
    np_cx_free(cx);
}
END_TEST

START_TEST(test_write_new_and_again)
{
    np_cx *cx = np_cx_new();
    struct stat st;
    ck_assert_int_eq(np_file_write(cx, in("f"), "first", 5), NP_OK);
    expect_content(in("f"), "first");
    ck_assert_int_eq(np_file_write(cx, in("f"), "", 0), NP_OK);
    expect_content(in("f"), "");
    ck_assert_int_eq(stat(in("f"), &st), 0);
    ck_assert_int_eq(st.st_mode & 0111, 0);
    ck_assert_int_eq(np_file_write(cx, in("f"), "second", 6), NP_OK);
    expect_content(in("f"), "second");
    ck_assert_int_eq(files_in_dir(), 1);
    ck_assert_int_eq(cx->ndiags, 0);
    np_cx_free(cx);
}
END_TEST

START_TEST(test_write_refused)
{
    np_cx *cx = np_cx_new();
    ck_assert_int_eq(np_file_write(cx, in("no/such/folder"), "x", 1), NP_FAIL);
    expect_error(cx, "cannot write: No such file or directory");
    np_cx_free(cx);

    cx = np_cx_new();
    ck_assert_int_eq(np_file_write(cx, dir, "x", 1), NP_FAIL);
    expect_error(cx, "cannot write: Is a directory");
    np_cx_free(cx);
    ck_assert_int_eq(files_in_dir(), 0);
}
END_TEST

/* A write that fails half-way: what stood there stays, the temporary goes. */
START_TEST(test_write_disk_full)
{
    np_cx *cx = np_cx_new();
    struct rlimit old, small;
    char *big = calloc(1, 100000);
    ck_assert_int_eq(np_file_write(cx, in("f"), "old", 3), NP_OK);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 50000;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    np_status status = np_file_write(cx, in("f"), big, 100000);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, before);
    ck_assert_int_eq(status, NP_FAIL);
    expect_error(cx, "cannot write: File too large");
    expect_content(in("f"), "old");
    ck_assert_int_eq(files_in_dir(), 1);
    free(big);
    np_cx_free(cx);
}
END_TEST

START_TEST(test_write_devices)
{
    np_cx *cx = np_cx_new();
    struct stat st;
    ck_assert_int_eq(np_file_write(cx, "/dev/null", "gone", 4), NP_OK);
    ck_assert_int_eq(stat("/dev/null", &st), 0);
    ck_assert(S_ISCHR(st.st_mode));
    if (access("/dev/full", W_OK) == 0) {
        ck_assert_int_eq(np_file_write(cx, "/dev/full", "x", 1), NP_FAIL);
        expect_error(cx, "cannot write: No space left on device");
    }
    np_cx_free(cx);
}
END_TEST

START_TEST(test_write_through_link)
{
    np_cx *cx = np_cx_new();
    struct stat st;
    put_file(in("real"), "old", 3);
    ck_assert_int_eq(symlink("real", in("link")), 0);
    ck_assert_int_eq(np_file_write(cx, in("link"), "new", 3), NP_OK);
    expect_content(in("real"), "new");
    ck_assert_int_eq(lstat(in("link"), &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
    np_cx_free(cx);
}
END_TEST

/* A process that died while writing may have had our number. */
START_TEST(test_write_over_stale_temporary)
{
    np_cx *cx = np_cx_new();
    char name[64];
    snprintf(name, sizeof name, "f.tmp-%ld", (long)getpid());
    put_file(in(name), "stale", 5);
    ck_assert_int_eq(np_file_write(cx, in("f"), "fresh", 5), NP_OK);
    expect_content(in("f"), "fresh");
    ck_assert_int_eq(files_in_dir(), 1);
    np_cx_free(cx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("file");
    TCase *c = tcase_create("file");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_read_sizes);
    tcase_add_test(c, test_read_stays_after_removal);
    tcase_add_test(c, test_read_pipe);
    tcase_add_test(c, test_read_refused);
    tcase_add_test(c, test_write_new_and_again);
    tcase_add_test(c, test_write_refused);
    tcase_add_test(c, test_write_disk_full);
    tcase_add_test(c, test_write_devices);
    tcase_add_test(c, test_write_through_link);
    tcase_add_test(c, test_write_over_stale_temporary);
    suite_add_tcase(s, c);
    return run_suite(s);
}
