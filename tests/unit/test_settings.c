/* Settings from JSON and from --set. */
#include "doors.h"

#include <math.h>

static np_cx *cx;
static np_settings s;

static void setup(void)
{
    cx = np_cx_new();
    s = (np_settings){0};
}

static void teardown(void)
{
    np_cx_free(cx);
}

static np_status json(const char *text)
{
    size_t n = strlen(text);
    unsigned char *p = tight(text, n); /* no NUL behind it */
    np_status out = np_settings_json(cx, &s, (const char *)p, n, "config.json");
    free(p);
    return out;
}

static const np_setting *get(const char *key, int kind)
{
    const np_setting *p = np_settings_find(&s, key);
    ck_assert_msg(p != NULL, "%s is missing", key);
    ck_assert_int_eq((int)p->kind, kind);
    return p;
}

START_TEST(test_json)
{
    ck_assert_int_eq(
        json("{\"n\": 3, \"x\": -1.5e-3, \"t\": true, \"f\": false, \"name\": \"gau \\u00e4\", \"none\": "
             "null,\n"
             "\"list\": [1, 2.5, -3], \"empty\": [], \"names\": [\"a\"], \"mixed\": [1, \"a\"],\n"
             "\"rope_parameters\": {\"factor\": 8, \"deep\": {\"er\": \"x\"}}, \"n2\": 9007199254740993}"),
        NP_OK);
    ck_assert(get("n", NP_SET_NUM)->num == 3);
    ck_assert(get("x", NP_SET_NUM)->num == -1.5e-3);
    ck_assert(get("t", NP_SET_BOOL)->num == 1);
    ck_assert(get("f", NP_SET_BOOL)->num == 0);
    ck_assert_str_eq(get("name", NP_SET_STR)->str, "gau \xc3\xa4");
    const np_setting *list = get("list", NP_SET_LIST);
    ck_assert(list->n == 3 && list->list[0] == 1 && list->list[1] == 2.5 && list->list[2] == -3);
    ck_assert_int_eq(get("empty", NP_SET_LIST)->n, 0);
    ck_assert(get("rope_parameters.factor", NP_SET_NUM)->num == 8);
    ck_assert_str_eq(get("rope_parameters.deep.er", NP_SET_STR)->str, "x");
    ck_assert_ptr_null(np_settings_find(&s, "none"));
    ck_assert(get("names", NP_SET_NAMES)->n == 1 && strcmp(get("names", NP_SET_NAMES)->names[0], "a") == 0);
    ck_assert_ptr_null(np_settings_find(&s, "mixed"));
    ck_assert_ptr_null(np_settings_find(&s, "rope_parameters"));
    ck_assert_str_eq(get("n", NP_SET_NUM)->from, "config.json");
    ck_assert_int_eq(cx->ndiags, 0);
}
END_TEST

/* transformers 5 writes what JSON lacks as an object. */
START_TEST(test_json_infinity)
{
    ck_assert_int_eq(json("{\"a\": [0, {\"__float__\": \"Infinity\"}], \"b\": {\"__float__\": \"-Infinity\"},"
                          " \"c\": {\"__float__\": \"NaN\"}}"),
                     NP_OK);
    ck_assert(get("a", NP_SET_LIST)->list[1] == INFINITY);
    ck_assert(get("b", NP_SET_NUM)->num == -INFINITY);
    ck_assert(isnan(get("c", NP_SET_NUM)->num));
}
END_TEST

/* Older ones write it bare. In strings it is a word like any other. */
START_TEST(test_json_bare_infinity)
{
    ck_assert_int_eq(
        json("{\"a\": [0.0, Infinity], \"b\": -Infinity, \"c\":NaN, \"d\": \"NaN \\\"Infinity\"}"), NP_OK);
    ck_assert(get("a", NP_SET_LIST)->list[1] == INFINITY);
    ck_assert(get("b", NP_SET_NUM)->num == -INFINITY);
    ck_assert(isnan(get("c", NP_SET_NUM)->num));
    ck_assert_str_eq(get("d", NP_SET_STR)->str, "NaN \"Infinity");
}
END_TEST

START_TEST(test_json_refused)
{
    static const struct {
        const char *text, *error;
        int line;
    } row[] = {{"", "not valid JSON", 1},
               {"[1]", "must be a JSON object", 0},
               {"{\"a\": 1,\n\"b\": }", "not valid JSON", 2},
               {"{\"a\": 1} x", "not valid JSON", 1},
               {"{\"a\": Inf}", "not valid JSON", 1},
               {"{\"a\": 1e999}", "not valid JSON", 1},
               {"{\"a\": \"\xff\"}", "not valid JSON", 1}};
    for (size_t i = 0; i < NP_LEN(row); i++) {
        teardown();
        setup();
        ck_assert_int_eq(json(row[i].text), NP_FAIL);
        expect_error(cx, row[i].error);
        ck_assert_str_eq(cx->diag[0].loc.file, "config.json");
        ck_assert_int_eq(cx->diag[0].loc.line, row[i].line);
    }
}
END_TEST

static char *nested(int depth)
{
    char *text = malloc((size_t)depth * 6 + 2), *p = text;
    for (int i = 0; i < depth; i++, p += 5) memcpy(p, "{\"a\":", 5);
    *p++ = '1';
    for (int i = 0; i < depth; i++) *p++ = '}';
    *p = 0;
    return text;
}

START_TEST(test_json_depth)
{
    char *text = nested(16);
    ck_assert_int_eq(json(text), NP_OK);
    free(text);
    text = nested(40);
    ck_assert_int_eq(json(text), NP_FAIL);
    expect_error(cx, "nest deeper than 16");
    free(text);
    teardown();
    setup();
    text = nested(100000);
    ck_assert_int_eq(json(text), NP_FAIL);
    expect_error(cx, "not valid JSON");
    free(text);
}
END_TEST

START_TEST(test_set)
{
    static const char *const given[] = {"layers=4",         "eps=1e-5",  "neg=-2.5",      "dot=.5",
                                        "on=true",          "off=false", "act=gelu",      "path=a=b",
                                        "list=[1, 2.5,-3]", "none=[]",   "rope.factor=8", "nan=nan",
                                        "hex=0x10",         "far=inf",   "three=3x",      "quoted=\"1\""};
    for (size_t i = 0; i < NP_LEN(given); i++) ck_assert_int_eq(np_settings_parse(cx, &s, given[i]), NP_OK);
    ck_assert(get("layers", NP_SET_NUM)->num == 4);
    ck_assert(get("eps", NP_SET_NUM)->num == 1e-5);
    ck_assert(get("neg", NP_SET_NUM)->num == -2.5);
    ck_assert(get("dot", NP_SET_NUM)->num == 0.5);
    ck_assert(get("on", NP_SET_BOOL)->num == 1);
    ck_assert(get("off", NP_SET_BOOL)->num == 0);
    ck_assert_str_eq(get("act", NP_SET_STR)->str, "gelu");
    ck_assert_str_eq(get("path", NP_SET_STR)->str, "a=b");
    const np_setting *list = get("list", NP_SET_LIST);
    ck_assert(list->n == 3 && list->list[0] == 1 && list->list[1] == 2.5 && list->list[2] == -3);
    ck_assert_int_eq(get("none", NP_SET_LIST)->n, 0);
    ck_assert(get("rope.factor", NP_SET_NUM)->num == 8);
    ck_assert_str_eq(get("nan", NP_SET_STR)->str, "nan");
    ck_assert_str_eq(get("hex", NP_SET_STR)->str, "0x10");
    ck_assert(get("far", NP_SET_NUM)->num == INFINITY);
    ck_assert_str_eq(get("three", NP_SET_STR)->str, "3x");
    ck_assert_str_eq(get("layers", NP_SET_NUM)->from, "--set");
}
END_TEST

START_TEST(test_set_refused)
{
    static const struct {
        const char *text, *error;
    } row[] = {{"", "expected key=value"},           {"layers", "expected key=value"},
               {"=4", "expected key=value"},         {"layers=", "expected key=value"},
               {"a b=4", "expected key=value"},      {"l=[1,2", "l: the list is not closed"},
               {"l=[", "l: the list is not closed"}, {"l=[1,]", "l: a list holds numbers"},
               {"l=[,]", "l: a list holds numbers"}, {"l=[1 2]", "l: a list holds numbers"},
               {"l=[a]", "l: a list holds numbers"}, {"l=[[1]]", "l: a list holds numbers"}};
    for (size_t i = 0; i < NP_LEN(row); i++) {
        teardown();
        setup();
        ck_assert_msg(np_settings_parse(cx, &s, row[i].text) == NP_FAIL, "accepted: %s", row[i].text);
        expect_error(cx, row[i].error);
        ck_assert_int_eq(s.n, 0);
    }
}
END_TEST

START_TEST(test_last_wins)
{
    char text[32];
    ck_assert_int_eq(json("{\"k\": 1}"), NP_OK);
    for (int i = 0; i < 100; i++) { /* through several growths */
        snprintf(text, sizeof text, "k%d=%d", i, i);
        ck_assert_int_eq(np_settings_parse(cx, &s, text), NP_OK);
    }
    ck_assert_int_eq(np_settings_parse(cx, &s, "k=2"), NP_OK);
    ck_assert(get("k", NP_SET_NUM)->num == 2);
    ck_assert(get("k0", NP_SET_NUM)->num == 0);
    ck_assert(get("k99", NP_SET_NUM)->num == 99);
    ck_assert_int_eq(s.n, 102);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("settings");
    TCase *c = tcase_create("settings");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, test_json);
    tcase_add_test(c, test_json_infinity);
    tcase_add_test(c, test_json_bare_infinity);
    tcase_add_test(c, test_json_refused);
    tcase_add_test(c, test_json_depth);
    tcase_add_test(c, test_set);
    tcase_add_test(c, test_set_refused);
    tcase_add_test(c, test_last_wins);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
