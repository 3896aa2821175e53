/* Interned strings, growing texts, and messages. */
#include "core.h"
#include "context.h"


START_TEST(test_equal_is_same)
{
    char buf[] = "layers";
    np_str s = np_str_new(cx, buf);
    ck_assert_ptr_eq(s, np_str_new(cx, "layers"));
    ck_assert_ptr_eq(s, np_str_len(cx, "layers[3]", 6));
    ck_assert_ptr_eq(s, np_str_fmt(cx, "%s%c", "layer", 's'));
    buf[0] = 'x';
    ck_assert_str_eq(s, "layers");
    ck_assert_ptr_ne(s, np_str_new(cx, "layer"));
    ck_assert_ptr_ne(s, np_str_new(cx, "layers3"));
    ck_assert_ptr_eq(np_str_new(cx, ""), np_str_len(cx, NULL, 0));
    ck_assert_ptr_eq(np_str_len(cx, "a\0b", 3), np_str_new(cx, "a")); /* a NUL ends it */
}
END_TEST

START_TEST(test_many)
{
    enum { N = 20000 };
    static np_str s[N];
    for (int i = 0; i < N; i++) s[i] = np_str_fmt(cx, "name.%d", i);
    for (int i = 0; i < N; i++) {
        char want[32];
        snprintf(want, sizeof want, "name.%d", i);
        ck_assert_str_eq(s[i], want);
        ck_assert_ptr_eq(s[i], np_str_new(cx, want));
    }
}
END_TEST

START_TEST(test_text)
{
    np_text t = {0};
    ck_assert_ptr_null(t.s);
    np_text_put(&t, NULL, 0);
    ck_assert_str_eq(t.s, "");
    size_t n = 0;
    for (int i = 0; i < 1000; i++) {
        np_text_add(&t, "%d,", i);
        n += i < 10 ? 2 : i < 100 ? 3 : 4;
        ck_assert_uint_eq(t.n, n);
        ck_assert_uint_eq(strlen(t.s), n);
    }
    ck_assert(strncmp(t.s, "0,1,2,", 6) == 0 && strcmp(t.s + t.n - 4, "999,") == 0);
    np_text_put(&t, "a\0b", 3);
    ck_assert(t.n == n + 3 && t.s[n] == 'a' && t.s[n + 1] == 0 && t.s[n + 2] == 'b' && t.s[n + 3] == 0);
    np_text_free(&t);
    ck_assert(t.s == NULL && t.n == 0 && t.cap == 0);
    np_text_add(&t, "%0500d", 7); /* longer than the room that is made first */
    ck_assert(t.n == 500 && t.s[499] == '7');
    np_text_free(&t);
    ck_assert_uint_eq(strlen(np_str_fmt(cx, "%0700d", 1)), 700);
}
END_TEST

static char *printed(np_level least)
{
    static char text[4096];
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    np_diag_print(cx, least, f);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}
START_TEST(test_near)
{
    static const char *const names[] = {"weights", "tokenizer", "out", "set"};
    ck_assert_int_eq(np_str_distance("kitten", "sitting", 9), 3);
    ck_assert_int_eq(np_str_distance("kitten", "sitting", 2), 3); /* one more than was asked for */
    ck_assert_int_eq(np_str_distance("", "abc", 3), 3);
    ck_assert_int_eq(np_str_distance("gua", "gau", 3), 1); /* exchanged */
    ck_assert_int_eq(np_str_distance("abcd", "badc", 3), 2);
    ck_assert_str_eq(np_str_near("wieghts", 4, names), "weights");
    ck_assert_str_eq(np_str_near("tokeniser", 4, names), "tokenizer");
    ck_assert_str_eq(np_str_near("ot", 4, names), "out");
    ck_assert_ptr_null(np_str_near("weights", 1, names)); /* itself is no slip */
    ck_assert_ptr_null(np_str_near("sat_out", 4, names));
    ck_assert_ptr_null(np_str_near("", 4, names));
    ck_assert_str_eq(np_str_near("os", 3, (const char *[]){"pos", "cos", "most"}), "cos");
}
END_TEST

START_TEST(test_messages)
{
    np_loc at = {np_str_new(cx, "m.lua"), 2, np_str_new(cx, "layers[3].mix")};
    static const char source[] = "return {\n   bad(line)\r\n}";
    np_diag_source(cx, at.file, source, sizeof source - 1);
    np_diag_source(cx, np_str_new(cx, "empty.lua"), NULL, 0);
    np_error(cx, at, "'%c' is %d", 'k', 64);
    np_error(cx, at, "'k' is %s", "64"); /* the same: kept once */
    np_warn(cx, (np_loc){np_str_new(cx, "empty.lua"), 1, NULL}, "hm");
    np_note(cx, (np_loc){.file = np_str_new(cx, "w.bin")}, "mapped");
    np_error(cx, (np_loc){0}, "no place");
    ck_assert(cx->nerrors == 2 && cx->ndiags == 4);
    ck_assert_str_eq(
        printed(NP_ERROR),
        "m.lua:2: error: 'k' is 64 (in layers[3].mix)\n    bad(line)\r\nneap: error: no place\n");
    ck_assert_str_eq(printed(NP_NOTE),
                     "m.lua:2: error: 'k' is 64 (in layers[3].mix)\n    bad(line)\r\nempty.lua:1: warning: "
                     "hm\nw.bin: note: mapped\nneap: error: no place\n");
    at.line = 99; /* behind the end of the file: no line to show */
    np_error(cx, at, "far");
    ck_assert_ptr_nonnull(strstr(printed(NP_ERROR), "m.lua:99: error: far (in layers[3].mix)\n"));
}
END_TEST

START_TEST(test_messages_end)
{
    for (int i = 0; i < 3000; i++) np_error(cx, (np_loc){NULL, i, NULL}, "mistake %d", i);
    ck_assert_int_eq(cx->nerrors, 1000); /* what follows so many says nothing new */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_equal_is_same, test_many, test_text, test_near, test_messages, test_messages_end};
    return run_tests("str", setup, teardown, tests, NP_LEN(tests));
}
