/* Arenas: aligned, zeroed, kept until all is freed. */
#include "core.h"

#include <sys/wait.h>
#include <unistd.h>

static np_arena a;

static void setup(void)
{
    a = (np_arena){0};
}
static void teardown(void)
{
    np_arena_free(&a);
}

/* A list that grows one by one keeps what it has, also after it was shorter for a while. */
START_TEST(test_more)
{
    int *list = NULL, n = 0;
    for (int round = 0; round < 3; round++) {
        for (; n < 100 * (round + 1); n++) {
            list = np_arena_more(&a, list, n, sizeof *list);
            list[n] = n;
        }
        for (int i = 0; i < n; i++) ck_assert_int_eq(list[i], i);
        n = round == 1 ? 3 : n;
    }
}
END_TEST

static bool all(const unsigned char *p, size_t n, int v)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != v) return false;
    return true;
}

/* Pieces of all sizes are zeroed, aligned, apart, and hold what was put there. */
START_TEST(test_pieces)
{
    enum { N = 3000 };
    static unsigned char *piece[N];
    size_t total = 0;
    for (size_t i = 0; i < N; i++) {
        size_t n = (i * 37) % 700 + (i % 500 == 0) * 300000;
        piece[i] = np_arena_alloc(&a, n);
        ck_assert_uint_eq((uintptr_t)piece[i] % 16, 0);
        ck_assert(all(piece[i], n, 0));
        if (n) memset(piece[i], (int)(i % 251) + 1, n);
        total += n;
    }
    for (size_t i = 0; i < N; i++) {
        size_t n = (i * 37) % 700 + (i % 500 == 0) * 300000;
        ck_assert(all(piece[i], n, (int)(i % 251) + 1));
    }
    ck_assert_uint_ge(a.used, total);
    ck_assert_uint_le(a.used, total + 16 * N);
}
END_TEST

START_TEST(test_free_and_use_again)
{
    memset(np_arena_alloc(&a, 1000), 7, 1000);
    np_arena_free(&a);
    ck_assert_uint_eq(a.used, 0);
    ck_assert_ptr_null(a.chunk);
    np_arena_free(&a); /* nothing is there: nothing happens */
    unsigned char *p = np_arena_alloc(&a, 1000);
    for (int i = 0; i < 1000; i++) ck_assert_uint_eq(p[i], 0);
}
END_TEST

START_TEST(test_copy)
{
    int v[] = {3, 1, 4};
    int *p = np_arena_copy(&a, v, sizeof v);
    v[0] = 0;
    ck_assert(p[0] == 3 && p[1] == 1 && p[2] == 4);
    np_arena_copy(&a, NULL, 0);
    ck_assert_ptr_nonnull(np_arena_array(&a, 10, sizeof(double)));
}
END_TEST

/* A product that overflows, or more than there is, ends the process with 1. */
static int status_of(void (*fn)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
        fn();
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
static void overflow(void)
{
    np_arena_array(&a, SIZE_MAX / 4, 8);
}
static void huge(void)
{
    np_arena_alloc(&a, SIZE_MAX - 5);
}
START_TEST(test_out_of_memory)
{
    ck_assert_int_eq(status_of(overflow), 1);
    ck_assert_int_eq(status_of(huge), 1);
}
END_TEST

static int order[4], norder;
static void note(void *p, size_t n)
{
    order[norder++] = *(int *)p * 10 + (int)n;
}
START_TEST(test_deferred)
{
    static int one = 1, two = 2;
    np_cx *cx = np_cx_new();
    np_cx_defer(cx, note, &one, 5);
    np_cx_defer(cx, note, &two, 6);
    ck_assert_int_eq(norder, 0);
    np_cx_free(cx);
    ck_assert(norder == 2 && order[0] == 26 && order[1] == 15); /* latest first */
    np_cx_free(NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_pieces, test_more, test_free_and_use_again, test_copy, test_out_of_memory,
                                  test_deferred};
    return run_tests("arena", setup, teardown, tests, NP_LEN(tests));
}
