/* Text to ids and back, against a slow reading of what llama2.c does: strings
 * that are put together and looked for from the first piece on. */
#include "suite.h"

#include "rt_fake.h"

const np_rt_model np_rt_this = {.name = "none"};
const np_rt_vocab np_rt_vocab_this = {.kind = NP_RT_IDS};

/* ---- the slow reading */
static int slow_lookup(const np_rt_vocab *v, const char *text, int len)
{
    for (int i = 0; i < v->n; i++)
        if (v->piece[i].len == len && memcmp(v->piece[i].text, text, (size_t)len) == 0) return i;
    return -1;
}

static int slow_symbol(const np_rt_vocab *v, const char *text, int len, int32_t *id)
{
    id[0] = slow_lookup(v, text, len);
    if (id[0] >= 0) return 1;
    for (int i = 0; i < len; i++) id[i] = (unsigned char)text[i] + 3;
    return len;
}

static int slow_join(const np_rt_vocab *v, int32_t *id, int n)
{
    char text[512];
    float best_score = -1e10f;
    int best = -1, best_id = -1;
    for (int i = 0; i + 1 < n; i++) {
        const np_rt_piece *a = &v->piece[id[i]], *b = &v->piece[id[i + 1]];
        memcpy(text, a->text, (size_t)a->len);
        memcpy(text + a->len, b->text, (size_t)b->len);
        int joint = slow_lookup(v, text, a->len + b->len);
        if (joint < 0 || v->piece[joint].score <= best_score) continue;
        best_score = v->piece[joint].score;
        best = i;
        best_id = joint;
    }
    if (best < 0) return n;
    id[best] = best_id;
    memmove(id + best + 1, id + best + 2, (size_t)(n - best - 2) * sizeof *id);
    return n - 1;
}

static int slow_encode(const np_rt_vocab *v, const char *text, int n, int begins, int32_t *id)
{
    int count = 0, before;
    if (n > 0 && begins) count = slow_symbol(v, " ", 1, id);
    for (int i = 0, len; i < n; i += len) {
        for (len = 1; len < 4 && i + len < n && (text[i + len] & 0xc0) == 0x80;) len++;
        count += slow_symbol(v, text + i, len, id + count);
    }
    do {
        before = count;
        count = slow_join(v, id, count);
    } while (count < before);
    return count;
}

static void expect_same(const np_session *s, const char *text, int n, int begins)
{
    int32_t *want = malloc(((size_t)n + 1) * sizeof *want);
    void *work = malloc(np_encode_bytes((size_t)n));
    char *tight_text = fake_tight(text, (size_t)n);
    int64_t count = -1;
    int wanted = slow_encode(s->vocab, text, n, begins, want);
    const int32_t *got = np_encode(s, tight_text, (size_t)n, begins, work, &count);
    ck_assert_ptr_nonnull(got);
    ck_assert_int_eq(count, wanted);
    for (int i = 0; i < wanted; i++)
        ck_assert_msg(got[i] == want[i], "'%.*s' token %d: %d, not %d", n, text, i, got[i], want[i]);
    free(want);
    free(work);
    free(tight_text);
}

START_TEST(test_pieces)
{
    static const char *const text[] = {
        "",         "a",         "ab",       "abc",    "abcd",
        "abcdabcd", "aaaaaaaaa", "the the",  "é",      "eé日",
        "日日日",   "x\n\n.",    "    a  b", "\xc3",   "\xa9\xa9\xa9\xa9\xa9\xa9\xa9",
        "ba",       "a.a.",      ".......",  "ddd dd", "\xe6\x97 \xf0\x9f\x98\x80!"};
    np_session *s = fake_open(&fake_fixed, &fake_pieces);
    for (size_t i = 0; i < LEN(text); i++)
        for (int begins = 0; begins < 2; begins++) expect_same(s, text[i], (int)strlen(text[i]), begins);
    expect_same(s, "a\0b", 3, 1);
    np_close(s);
}
END_TEST

/* Short texts from few letters join in every order there is; longer ones of any bytes. */
START_TEST(test_pieces_random)
{
    static const char few[] = "aabbccd the..\n\xc3\xa9\xe6\x97\xa5";
    char text[64];
    uint64_t r = 1;
    np_session *s = fake_open(&fake_fixed, &fake_pieces);
    for (int round = 0; round < 4000; round++) {
        int n = (int)((r = fake_mix(r)) % (round % 2 ? 8 : sizeof text));
        for (int i = 0; i < n; i++) {
            r = fake_mix(r);
            text[i] = round % 5 ? few[r % (sizeof few - 1)] : (char)r;
        }
        expect_same(s, text, n, round % 3 != 0);
    }
    np_close(s);
}
END_TEST

/* Appends what the ids stand for to out; its length. */
static size_t decode_all(const np_session *s, int32_t before, const int32_t *id, int64_t n, char *out)
{
    size_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        int len = -1;
        const char *p = np_decode(s, i ? id[i - 1] : before, id[i], &len);
        ck_assert_int_ge(len, 0);
        memcpy(out + used, p, (size_t)len);
        used += (size_t)len;
    }
    return used;
}

/* What was encoded after the start is decoded to itself. */
START_TEST(test_pieces_round_trip)
{
    char text[200];
    np_session *s = fake_open(&fake_fixed, &fake_pieces);
    uint64_t r = 7;
    for (int round = 0; round < 300; round++) {
        int n = (int)((r = fake_mix(r)) % sizeof text);
        for (int i = 0; i < n; i++) text[i] = (char)(r = fake_mix(r));
        void *work = malloc(np_encode_bytes((size_t)n));
        int64_t count;
        char out[1000];
        const int32_t *id = np_encode(s, text, (size_t)n, 1, work, &count);
        ck_assert_uint_eq(decode_all(s, np_start(s), id, count, out), n);
        ck_assert_mem_eq(out, text, n);
        free(work);
    }
    np_close(s);
}
END_TEST

static void expect_decoded(const np_session *s, int32_t before, int32_t token, const char *want, int n)
{
    int len = -1;
    const char *p = np_decode(s, before, token, &len);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(len, n);
    if (n) ck_assert_mem_eq(p, want, n);
}

START_TEST(test_decode)
{
    np_session *s = fake_open(&fake_fixed, &fake_pieces);
    int32_t the = FAKE_TEXT_0 + 23;
    expect_decoded(s, 5, the, " the", 4);
    expect_decoded(s, -1, the, " the", 4);
    expect_decoded(s, 1, the, "the", 3);
    expect_decoded(s, 1, FAKE_TEXT_0, "", 0); /* " " */
    expect_decoded(s, 1, FAKE_TEXT_0 + 1, "a", 1);
    expect_decoded(s, 1, FAKE_BYTE_0, "\0", 1);
    expect_decoded(s, 9, FAKE_BYTE_0 + 255, "\xff", 1);
    expect_decoded(s, 9, FAKE_V - 1, "", 0);
    expect_decoded(s, 9, FAKE_V, "", 0);
    expect_decoded(s, 9, -1, "", 0);
    ck_assert_int_eq(np_start(s), 1);
    ck_assert(np_stops(s, 1) && np_stops(s, 2) && !np_stops(s, 3) && !np_stops(s, -1));
    np_close(s);
    s = fake_open(&fake_fixed, &fake_bytes);
    expect_decoded(s, -1, 0, "\n", 1);
    expect_decoded(s, 0, ' ', " ", 1);
    expect_decoded(s, 0, 255, "\xff", 1);
    expect_decoded(s, 0, 256, "", 0);
    ck_assert(!np_stops(s, 0) && !np_stops(s, -1));
    np_close(s);
    s = fake_open(&fake_fixed, &fake_ids);
    expect_decoded(s, -1, 5, "", 0);
    ck_assert_int_eq(np_start(s), -1);
    np_close(s);
}
END_TEST

static void expect_ids(const np_session *s, const char *text, size_t n, const int32_t *want, int64_t wanted)
{
    void *work = malloc(np_encode_bytes(n));
    int64_t count = -5;
    const int32_t *got = np_encode(s, text, n, 1, work, &count);
    ck_assert_int_eq(got == NULL, wanted < 0);
    ck_assert_int_eq(count, wanted < 0 ? 0 : wanted);
    for (int64_t i = 0; i < wanted; i++) ck_assert_int_eq(got[i], want[i]);
    free(work);
}

START_TEST(test_bytes_and_ids)
{
    np_session *s = fake_open(&fake_fixed, &fake_bytes);
    expect_ids(s, "a\xff\0\n", 4, (const int32_t[]){'a', 255, 0, '\n'}, 4);
    expect_ids(s, "", 0, NULL, 0);
    np_close(s);
    s = fake_open(&fake_fixed, &fake_ids);
    expect_ids(s, " 1 22\n2147483647\t0", 18, (const int32_t[]){1, 22, INT32_MAX, 0}, 4);
    expect_ids(s, "", 0, NULL, 0);
    expect_ids(s, "5", 1, (const int32_t[]){5}, 1);
    expect_ids(s, "1 2147483648", 12, NULL, -1);
    expect_ids(s, "1 99999999999999999999", 22, NULL, -1);
    expect_ids(s, "1 -2", 4, NULL, -1);
    expect_ids(s, "1,2", 3, NULL, -1);
    expect_ids(s, "1\0002", 3, NULL, -1);
    np_close(s);
}
END_TEST

/* A vocabulary that has neither the character nor its bytes cannot write it. */
START_TEST(test_no_bytes)
{
    np_rt_vocab v = fake_pieces;
    v.byte = NULL;
    np_session *s = fake_open(&fake_fixed, &v);
    expect_ids(s, "abcd", 4, (const int32_t[]){FAKE_TEXT_0 + 19, FAKE_TEXT_0 + 14}, 2);
    expect_ids(s, "z", 1, NULL, -1);
    np_close(s);
}
END_TEST

START_TEST(test_too_long)
{
    ck_assert_uint_eq(np_encode_bytes(SIZE_MAX), 0);
    ck_assert_uint_eq(np_encode_bytes(INT32_MAX), 0);
    ck_assert_uint_gt(np_encode_bytes(1 << 29), 1 << 29);
    ck_assert_uint_gt(np_encode_bytes(0), 0);
}
END_TEST

/* ---- the vocabulary of a real checkpoint */
static char *read_file(const char *name, size_t *n)
{
    char path[4096];
    snprintf(path, sizeof path, NP_SOURCE_DIR "/../shared/data/stories260k/%s", name);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *text = malloc(1 << 16);
    *n = fread(text, 1, 1 << 16, f);
    fclose(f);
    return text;
}

START_TEST(test_real)
{
    static const char *const file[] = {"expected.txt", "expected-prompt.txt", "README.md"};
    static np_rt_piece piece[512];
    static int32_t sorted[512], byte[256];
    size_t n, at = 4;
    char *tokens = read_file("tok512.bin", &n);
    if (!tokens) {
        puts("test_rt_token: stories260k is absent, skipped");
        return;
    }
    for (int i = 0; i < 512; at += 8 + (size_t)piece[i++].len) {
        memcpy(&piece[i].score, tokens + at, 4);
        memcpy(&piece[i].len, tokens + at + 4, 4);
        piece[i].text = tokens + at + 8;
    }
    ck_assert_uint_eq(at, n);
    for (int i = 0; i < 256; i++) byte[i] = i + 3;
    fake_sort(piece, 512, sorted);
    np_rt_vocab v = {NP_RT_PIECES, 1, -1, {1, -1}, 512, piece, sorted, byte, "real"};
    np_session *s = fake_open(&fake_fixed, &v);
    for (size_t i = 0; i < LEN(file); i++) {
        char *text = read_file(file[i], &n);
        ck_assert_ptr_nonnull(text);
        expect_same(s, text, (int)n, 1);
        expect_same(s, text, (int)n, 0);
        free(text);
    }
    np_close(s);
    free(tokens);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_pieces,        test_pieces_random, test_pieces_round_trip, test_decode,
                                  test_bytes_and_ids, test_no_bytes,      test_too_long,          test_real};
    fake_fill_pieces();
    return run_tests("rt_token", NULL, NULL, tests, LEN(tests));
}
