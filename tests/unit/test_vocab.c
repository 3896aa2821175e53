/* llama2.c's tokenizer files. */
#include "doors.h"

#include <math.h>

/* Longest 4: "<s>" -1, "" 0, "abcd" 2.5, "\0" 1 */
static const unsigned char good[] = {4, 0, 0,    0,                                    /* longest */
                                     0, 0, 0x80, 0xbf, 3, 0, 0, 0, '<', 's', '>',      /* 0 */
                                     0, 0, 0,    0,    0, 0, 0, 0,                     /* 1 */
                                     0, 0, 0x20, 0x40, 4, 0, 0, 0, 'a', 'b', 'c', 'd', /* 2 */
                                     0, 0, 0x80, 0x3f, 1, 0, 0, 0, 0};                 /* 3 */

START_TEST(test_good)
{
    static const int64_t expected[] = {-1, 4};
    for (size_t i = 0; i < NP_LEN(expected); i++) {
        np_cx *cx = np_cx_new();
        unsigned char *p = tight(good, sizeof good);
        np_vocab *v = np_vocab_parse(cx, "tok.bin", p, sizeof good, expected[i]);
        ck_assert_ptr_nonnull(v);
        ck_assert_str_eq(v->kind, "llama2.c");
        ck_assert_int_eq(v->n, 4);
        ck_assert_int_eq(v->max_len, 4);
        ck_assert(v->len[0] == 3 && v->len[1] == 0 && v->len[2] == 4 && v->len[3] == 1);
        ck_assert_mem_eq(v->text[0], "<s>", 3);
        ck_assert_mem_eq(v->text[2], "abcd", 4);
        ck_assert_int_eq(v->text[3][0], 0);
        ck_assert(v->score[0] == -1 && v->score[1] == 0 && v->score[2] == 2.5f && v->score[3] == 1);
        ck_assert_int_eq(cx->ndiags, 0);
        free(p);
        np_cx_free(cx);
    }
}
END_TEST

/* A prefix is a good file only where a token ends, and then it has fewer. */
START_TEST(test_truncated_everywhere)
{
    for (size_t n = 0; n < sizeof good; n++) {
        np_cx *cx = np_cx_new();
        unsigned char *p = tight(good, n);
        ck_assert_ptr_null(np_vocab_parse(cx, "tok.bin", p, n, 4));
        ck_assert_int_eq(cx->nerrors, 1);
        np_vocab *v = np_vocab_parse(cx, "tok.bin", p, n, -1);
        ck_assert_int_eq(v ? v->n : 0, n == 15 ? 1 : n == 23 ? 2 : n == 35 ? 3 : 0);
        free(p);
        np_cx_free(cx);
    }
}
END_TEST

START_TEST(test_hostile)
{
    static const struct {
        size_t at;
        unsigned char bits[4];
        int64_t expected;
        const char *error;
    } row[] = {{0, {0, 0, 0, 0}, -1, "must begin with the length of its longest token"},
               {0, {0xff, 0xff, 0xff, 0xff}, -1, "must begin with the length"},
               {0, {0xff, 0xff, 0xff, 0x7f}, -1, "must begin with the length"},
               {0, {'{', '"', 'v', '"'}, -1, "this is JSON"},
               {0, {2, 0, 0, 0}, -1, "token 0 has 3 bytes, outside 0..2"},
               {8, {0xff, 0xff, 0xff, 0xff}, -1, "token 0 has -1 bytes"},
               {8, {0xff, 0xff, 0xff, 0x7f}, -1, "token 0 has 2147483647 bytes"},
               {27, {5, 0, 0, 0}, -1, "token 2 has 5 bytes, outside 0..4"},
               {39, {2, 0, 0, 0}, -1, "cut off within token 3"},
               {23, {0, 0, 0xc0, 0x7f}, -1, "the score of token 2 is not a number"},
               {0, {4, 0, 0, 0}, 5, "holds 4 tokens and the model has 5"},
               {0, {4, 0, 0, 0}, 3, "holds 4 tokens and the model has 3"},
               {0, {4, 0, 0, 0}, 0, "holds 4 tokens and the model has 0"}};
    for (size_t i = 0; i < NP_LEN(row); i++) {
        np_cx *cx = np_cx_new();
        unsigned char *p = tight(good, sizeof good);
        memcpy(p + row[i].at, row[i].bits, 4);
        ck_assert_ptr_null(np_vocab_parse(cx, "tok.bin", p, sizeof good, row[i].expected));
        expect_error(cx, row[i].error);
        free(p);
        np_cx_free(cx);
    }
}
END_TEST

START_TEST(test_every_byte_changed)
{
    for (size_t at = 0; at < sizeof good; at++) {
        for (int value = 0; value < 256; value += 15) {
            np_cx *cx = np_cx_new();
            unsigned char *p = tight(good, sizeof good);
            p[at] = (unsigned char)value;
            np_vocab *v = np_vocab_parse(cx, "tok.bin", p, sizeof good, -1);
            ck_assert_int_eq(v == NULL, cx->nerrors == 1);
            for (int i = 0; v && i < v->n; i++) {
                ck_assert(v->len[i] >= 0 && v->len[i] <= v->max_len);
                ck_assert(v->text[i] >= p && v->text[i] + v->len[i] <= p + sizeof good);
            }
            free(p);
            np_cx_free(cx);
        }
    }
}
END_TEST

START_TEST(test_missing)
{
    np_cx *cx = np_cx_new();
    ck_assert_ptr_null(np_vocab_read(cx, "no/such/tokenizer.bin", -1));
    expect_error(cx, "cannot open");
    np_cx_free(cx);
}
END_TEST

/* A vocabulary of SentencePiece: the first ids and the bytes are fixed by it. */
START_TEST(test_stories260k)
{
    const char *path = NP_SOURCE_DIR "/../shared/data/stories260k/tok512.bin";
    if (access(path, R_OK) != 0) {
        puts("test_vocab: stories260k is absent, skipped");
        return;
    }
    np_cx *cx = np_cx_new();
    np_vocab *v = np_vocab_read(cx, path, 512);
    ck_assert_ptr_nonnull(v);
    ck_assert_mem_eq(v->text[1], "\n<s>\n", 5);
    ck_assert_mem_eq(v->text[3], "<0x00>", 6);
    ck_assert_mem_eq(v->text[3 + 255], "<0xFF>", 6);
    np_cx_free(cx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vocab");
    TCase *c = tcase_create("vocab");
    tcase_add_test(c, test_good);
    tcase_add_test(c, test_truncated_everywhere);
    tcase_add_test(c, test_hostile);
    tcase_add_test(c, test_every_byte_changed);
    tcase_add_test(c, test_missing);
    tcase_add_test(c, test_stories260k);
    suite_add_tcase(s, c);
    return run_suite(s);
}
