/* Perplexity against a sum over -log2 of probabilities in long double. */
#include "suite.h"

#include "rt_fake.h"

const np_rt_model np_rt_this = {.name = "none"};
const np_rt_vocab np_rt_vocab_this = {.kind = NP_RT_IDS};

/* Bits of token[at] for a model that has read token[from..at) after `start` (-1 nothing). */
static long double bits(const np_rt_model *m, int32_t start, const int32_t *token, int from, int at)
{
    int32_t read[200];
    float x[FAKE_V];
    long double sum = 0;
    int n = 0;
    if (start >= 0) read[n++] = start;
    for (int i = from; i < at; i++) read[n++] = token[i];
    fake_expect(m, read, n, x);
    for (int i = 0; i < FAKE_V; i++) sum += expl((long double)x[i]);
    return log2l(sum) - (long double)x[token[at]] / logl(2);
}

static void text(int32_t *token, int n)
{
    for (int i = 0; i < n; i++) token[i] = (int32_t)(fake_mix((uint64_t)i) % 256);
}

static void expect_bits(const np_score *got, long double want)
{
    ck_assert_msg(fabsl((long double)got->bits - want) <= 1e-12L * want, "%.17g, not %.17Lg", got->bits,
                  want);
}

START_TEST(test_one_window)
{
    int32_t token[150];
    np_score out;
    text(token, 150);
    for (int n = 0; n < 150; n = n < 20 ? n + 1 : n * 2) {
        for (int start = 0; start < 2; start++) {
            np_session *s = fake_open(&fake_fixed, start ? &fake_bytes : &fake_ids);
            long double want = 0;
            for (int i = !start; i < n; i++) want += bits(&fake_fixed, start ? 0 : -1, token, 0, i);
            ck_assert_ptr_null(np_feed(s, (const int32_t[]){200}, 1)); /* must not matter */
            ck_assert_ptr_null(np_perplexity(s, token, n, &out));
            ck_assert_int_eq(out.windows, n > 0);
            ck_assert_int_eq(out.tokens, n == 0 ? 0 : start ? n : n - 1);
            ck_assert_int_eq(out.bytes, start ? n : 0); /* ids stand for no text */
            expect_bits(&out, want);
            np_close(s);
        }
    }
}
END_TEST

/* Each window begins with the start and takes 39 tokens more. */
START_TEST(test_windows_with_start)
{
    int32_t token[100];
    np_score out;
    long double want = 0;
    text(token, 100);
    np_session *s = fake_open(&fake_growing, &fake_bytes);
    for (int i = 0; i < 100; i++) want += bits(&fake_growing, 0, token, i / 39 * 39, i);
    ck_assert_ptr_null(np_perplexity(s, token, 100, &out));
    ck_assert_int_eq(out.windows, 3);
    ck_assert_int_eq(out.tokens, 100);
    ck_assert_int_eq(out.bytes, 100);
    expect_bits(&out, want);
    np_close(s);
}
END_TEST

/* Without a start the first window takes 40, and each later one begins with a token of the one before. */
START_TEST(test_windows_without_start)
{
    int32_t token[100];
    np_score out;
    long double want = 0;
    text(token, 100);
    np_session *s = fake_open(&fake_growing, &fake_ids);
    for (int i = 1; i < 40; i++) want += bits(&fake_growing, -1, token, 0, i);
    for (int i = 40; i < 79; i++) want += bits(&fake_growing, -1, token, 39, i);
    for (int i = 79; i < 100; i++) want += bits(&fake_growing, -1, token, 78, i);
    ck_assert_ptr_null(np_perplexity(s, token, 100, &out));
    ck_assert_int_eq(out.windows, 3);
    ck_assert_int_eq(out.tokens, 99);
    expect_bits(&out, want);
    np_close(s);
}
END_TEST

/* Bytes are those of the text: a space that encoding added is none. */
START_TEST(test_bytes_of_pieces)
{
    static const char line[] = "the abcd and \xc3\xa9, z";
    char work[1000];
    int64_t n;
    np_score out;
    np_session *s = fake_open(&fake_fixed, &fake_pieces);
    const int32_t *id = np_encode(s, line, strlen(line), 1, work, &n);
    ck_assert_ptr_null(np_perplexity(s, id, n, &out));
    ck_assert_int_eq(out.tokens, n);
    ck_assert_int_eq(out.bytes, strlen(line));
    np_close(s);
}
END_TEST

/* Nor is one lost that a window happens to begin with. */
START_TEST(test_bytes_of_windows)
{
    char line[400] = "", work[20000];
    int64_t n;
    np_score out;
    while (strlen(line) < 300) strcat(line, " the z ab");
    np_session *s = fake_open(&fake_growing, &fake_pieces);
    for (size_t length = 200; length < 300; length += 7) {
        const int32_t *id = np_encode(s, line, length, 1, work, &n);
        ck_assert_ptr_null(np_perplexity(s, id, n, &out));
        ck_assert_int_gt(out.windows, 2);
        ck_assert_int_eq(out.bytes, length);
    }
    np_close(s);
}
END_TEST

START_TEST(test_refused)
{
    np_rt_model m = fake_growing;
    np_score out;
    np_session *s = fake_open(&m, &fake_bytes);
    const char *why = np_perplexity(s, (const int32_t[]){1, 2, FAKE_V}, 3, &out);
    ck_assert_ptr_nonnull(strstr(why, "there is no token 300"));
    m.max_N = 1;
    why = np_perplexity(s, (const int32_t[]){1, 2}, 2, &out);
    ck_assert_ptr_nonnull(strstr(why, "no room"));
    np_close(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_one_window,      test_windows_with_start, test_windows_without_start,
                                  test_bytes_of_pieces, test_bytes_of_windows,   test_refused};
    fake_fill_pieces();
    return run_tests("rt_perplexity", NULL, NULL, tests, LEN(tests));
}
