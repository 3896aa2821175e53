/* What a session has read, kept and brought back; every damaged file is
 * refused and changes nothing. */
#include "suite.h"

#include "rt_fake.h"

#include <sys/stat.h>
#include <unistd.h>

const np_rt_model np_rt_this = {.name = "none"};
const np_rt_vocab np_rt_vocab_this = {.kind = NP_RT_IDS};

static char dir[256];
static const int32_t text[FAKE_CONTEXT] = {5, 0, 299, 17, 17, 3, 80, 81, 82, 83, 84, 1, 2, 255, 256, 257};
static const np_rt_model *const models[] = {&fake_fixed, &fake_growing};

static const char *path_of(const char *name)
{
    return path_in(dir, name);
}

static void make_dir(void)
{
    new_folder(dir, sizeof dir);
}

/* The folder must hold nothing but what the test made: no file that was put aside. */
static void remove_dir(void)
{
    static const char *const names[] = {"a", "b", "link"};
    for (size_t i = 0; i < LEN(names); i++) remove(path_of(names[i]));
    ck_assert_msg(rmdir(dir) == 0, "something was left in %s", dir);
}

static unsigned char *contents(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    unsigned char *p = malloc(1 << 16);
    *n = fread(p, 1, 1 << 16, f);
    fclose(f);
    return p;
}

static np_session *after(const np_rt_model *m, int64_t n)
{
    np_session *s = fake_open(m, &fake_ids);
    ck_assert_ptr_null(np_feed(s, text, n));
    return s;
}

/* A text goes on from a file as if it had never stopped, whatever the session had read before. */
START_TEST(test_save_load)
{
    for (size_t k = 0; k < LEN(models); k++) {
        for (int n = 0; n <= FAKE_CONTEXT; n++) {
            np_session *s = after(models[k], n), *t = after(models[k], n * 7 % 5);
            ck_assert_ptr_null(np_save(s, path_of("a")));
            fake_expect_read(s, text, n);
            ck_assert_ptr_null(np_load(t, path_of("a")));
            fake_expect_read(t, text, n);
            int64_t rows;
            ck_assert_ptr_null(np_block_logits(t, &rows));
            ck_assert_mem_eq(t->recent, s->recent, sizeof(int32_t) * (size_t)n);
            ck_assert_ptr_null(np_save(t, path_of("b")));
            ck_assert_ptr_null(np_feed(t, text + n, FAKE_CONTEXT - n));
            fake_expect_read(t, text, FAKE_CONTEXT);
            size_t na, nb;
            unsigned char *a = contents(path_of("a"), &na), *b = contents(path_of("b"), &nb);
            ck_assert_uint_eq(na, nb);
            ck_assert_mem_eq(a, b, na);
            free(a);
            free(b);
            np_close(s);
            np_close(t);
        }
    }
}
END_TEST

/* A file has only to do with what was read: not with what was read and forgotten before. */
START_TEST(test_nothing_of_before)
{
    size_t na, nb;
    np_session *s = after(&fake_growing, 30), *t = after(&fake_growing, 3);
    np_reset(s);
    ck_assert_ptr_null(np_feed(s, text, 3));
    ck_assert_ptr_null(np_save(s, path_of("a")));
    ck_assert_ptr_null(np_save(t, path_of("b")));
    unsigned char *a = contents(path_of("a"), &na), *b = contents(path_of("b"), &nb);
    ck_assert_uint_eq(na, nb);
    ck_assert_mem_eq(a, b, na);
    free(a);
    free(b);
    np_close(s);
    np_close(t);
}
END_TEST

START_TEST(test_rollback)
{
    for (size_t k = 0; k < LEN(models); k++) {
        np_session *s = fake_open(models[k], &fake_ids);
        void *kept[FAKE_CONTEXT + 1];
        for (int i = 0; i <= FAKE_CONTEXT; i++) {
            kept[i] = malloc(np_snapshot_bytes(s) + 1);
            np_snapshot(s, (char *)kept[i] + i % 2); /* wherever it lies */
            if (i < FAKE_CONTEXT) ck_assert_ptr_null(np_feed(s, &text[i], 1));
        }
        for (int round = 0; round < 100; round++) {
            int i = round * 23 % (FAKE_CONTEXT + 1);
            np_rollback(s, (char *)kept[i] + i % 2);
            fake_expect_read(s, text, i);
            ck_assert_ptr_null(np_feed(s, text + i, FAKE_CONTEXT - i));
            fake_expect_read(s, text, FAKE_CONTEXT);
        }
        for (int i = 0; i <= FAKE_CONTEXT; i++) free(kept[i]);
        np_close(s);
    }
}
END_TEST

/* The session has read text[2] and goes on as if nothing had been asked. */
static void expect_unchanged(np_session *s, const char *why, const char *what)
{
    ck_assert_msg(why && strstr(why, what), "wanted '%s', got '%s'", what, why);
    fake_expect_read(s, text, 2);
    ck_assert_ptr_null(np_feed(s, text + 2, 1));
    fake_expect_read(s, text, 3);
}

static void expect_refused(np_session *s, const char *path, const char *what)
{
    expect_unchanged(s, np_load(s, path), what);
}

static void expect_bad(unsigned char *p, size_t n, const char *what)
{
    np_session *s = after(&fake_growing, 2);
    FILE *f = n ? fmemopen(p, n, "rb") : fopen("/dev/null", "rb");
    ck_assert_ptr_nonnull(f);
    expect_unchanged(s, np_load_stream(s, f), what);
    fclose(f);
    np_close(s);
}

START_TEST(test_cut_off)
{
    size_t n;
    np_session *s = after(&fake_growing, 20);
    ck_assert_ptr_null(np_save(s, path_of("a")));
    np_close(s);
    unsigned char *p = contents(path_of("a"), &n);
    for (size_t i = 0; i < n; i++) expect_bad(p, i, i < 8 ? "no saved state" : "cut off");
    p[n] = 0;
    expect_bad(p, n + 1, "something follows its end");
    free(p);
}
END_TEST

START_TEST(test_any_byte_changed)
{
    size_t n;
    np_session *s = after(&fake_growing, 20);
    ck_assert_ptr_null(np_save(s, path_of("a")));
    np_close(s);
    unsigned char *p = contents(path_of("a"), &n);
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; k < 3; k++) {
            unsigned char was = p[i];
            p[i] ^= k == 0 ? 1 : k == 1 ? 0x80 : 0xff;
            expect_bad(p, n,
                       i < 7    ? "no saved state"
                       : i == 7 ? "another version of neap"
                       : i < 16 ? "order of bytes"
                                : "it ");
            p[i] = was;
        }
    }
    free(p);
}
END_TEST

START_TEST(test_another_model)
{
    np_rt_model twin = fake_growing;
    twin.id++;
    np_session *s = fake_open(&twin, &fake_ids);
    ck_assert_ptr_null(np_save(s, path_of("a")));
    np_close(s);
    s = after(&fake_growing, 2);
    expect_refused(s, path_of("a"), "it was saved by another model");
    np_close(s);
}
END_TEST

START_TEST(test_no_file)
{
    np_session *s = after(&fake_growing, 2);
    expect_refused(s, path_of("none"), "cannot open");
    np_close(s);
    s = after(&fake_growing, 2);
    expect_refused(s, dir, "cannot load");
    np_close(s);
    s = after(&fake_growing, 2);
    expect_refused(s, "/dev/null", "no saved state");
    np_close(s);
}
END_TEST

START_TEST(test_pipe)
{
    size_t n;
    int end[2];
    np_session *s = after(&fake_fixed, 20), *t = after(&fake_fixed, 2);
    ck_assert_ptr_null(np_save(s, path_of("a")));
    unsigned char *p = contents(path_of("a"), &n);
    ck_assert_int_eq(pipe(end), 0);
    ck_assert_int_eq(write(end[1], p, n), n);
    close(end[1]);
    FILE *f = fdopen(end[0], "rb");
    const char *why = np_load_stream(t, f);
    ck_assert_ptr_nonnull(strstr(why, "it is no file that can be read twice"));
    fake_expect_read(t, text, 2);
    fclose(f);
    free(p);
    np_close(s);
    np_close(t);
}
END_TEST

/* A file that somebody writes while it is read. */
typedef struct changing {
    unsigned char *p;
    size_t n, at;
    int reads_from_start;
} changing;

static ssize_t changing_read(void *cookie, char *to, size_t n)
{
    changing *c = cookie;
    if (c->at == 0 && c->reads_from_start++ == 1) c->p[c->n - 20] ^= 1;
    if (n > c->n - c->at) n = c->n - c->at;
    memcpy(to, c->p + c->at, n);
    c->at += n;
    return (ssize_t)n;
}

static int changing_seek(void *cookie, off64_t *at, int whence)
{
    if (whence != SEEK_SET || *at != 0) return -1;
    ((changing *)cookie)->at = 0;
    return 0;
}

START_TEST(test_changed_meanwhile)
{
    changing c = {0};
    np_session *s = after(&fake_growing, 20), *t = after(&fake_growing, 2);
    ck_assert_ptr_null(np_save(s, path_of("a")));
    c.p = contents(path_of("a"), &c.n);
    FILE *f = fopencookie(&c, "rb", (cookie_io_functions_t){.read = changing_read, .seek = changing_seek});
    setvbuf(f, NULL, _IONBF, 0);
    const char *why = np_load_stream(t, f);
    ck_assert_msg(why && strstr(why, "checksum"), "%s", why);
    fake_expect_read(t, text, 0);
    ck_assert_ptr_null(np_feed(t, text, 9));
    fake_expect_read(t, text, 9);
    fclose(f);
    free(c.p);
    np_close(s);
    np_close(t);
}
END_TEST

static void expect_unsaved(np_session *s, const char *path, const char *what)
{
    const char *why = np_save(s, path);
    ck_assert_msg(why && strstr(why, "cannot write") && strstr(why, what), "wanted '%s', got '%s'", what,
                  why);
    fake_expect_read(s, text, 9);
}

START_TEST(test_cannot_save)
{
    static char name[5000];
    np_session *s = after(&fake_growing, 9);
    expect_unsaved(s, "/dev/full", "No space left");
    expect_unsaved(s, dir, "Is a directory");
    expect_unsaved(s, path_of("none/a"), "No such file");
    memset(name, 'x', sizeof name - 1);
    expect_unsaved(s, name, "too long");
    expect_unsaved(s, "", "No such file");
    ck_assert_ptr_null(np_save(s, "/dev/null"));
    struct stat st;
    ck_assert(stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode));
    np_close(s);
}
END_TEST

/* Through a link to what it names, and over what was there. */
START_TEST(test_link)
{
    struct stat st;
    np_session *s = after(&fake_growing, 9);
    put_file(path_of("a"), "old", 3);
    ck_assert_int_eq(symlink(path_of("a"), path_of("link")), 0);
    ck_assert_ptr_null(np_save(s, path_of("link")));
    ck_assert(lstat(path_of("link"), &st) == 0 && S_ISLNK(st.st_mode));
    np_reset(s);
    ck_assert_ptr_null(np_load(s, path_of("a")));
    fake_expect_read(s, text, 9);
    np_close(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_save_load,         test_nothing_of_before, test_rollback, test_cut_off,
                                  test_any_byte_changed,  test_another_model,     test_no_file,  test_pipe,
                                  test_changed_meanwhile, test_cannot_save,       test_link};
    return run_tests_for("rt_state", 60, make_dir, remove_dir, tests, LEN(tests));
}
