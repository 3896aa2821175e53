/* The law of the text form, over everything that there is: every function of
 * every model, mixer and test of the language, its entries for streams, and each
 * of them after each pass, prints as a text that reads back as itself. */
#include "doors.h"
#include "mixers.h"

#include "passes/passes.h"

#include <dirent.h>

#define SOURCE NP_SOURCE_DIR "/"
static np_cx *cx;

static void setup(void)
{
    cx = np_cx_new();
}
static void teardown(void)
{
    np_cx_free(cx);
}
static void law(const np_mod *m, const char *what, const char *stage)
{
    np_cx *other = np_cx_new();
    np_text a = {0}, b = {0};
    np_print_mod(&a, m, (np_print_opts){.loc = false});
    np_mod *again = np_parse(other, "again", a.s, a.n);
    if (!again) np_diag_print(other, NP_ERROR, stderr);
    ck_assert_msg(again != NULL, "%s after %s does not read back", what, stage);
    np_print_mod(&b, again, (np_print_opts){.loc = false});
    if (strcmp(a.s, b.s) != 0) {
        size_t i = 0;
        while (a.s[i] == b.s[i]) i++;
        while (i && a.s[i - 1] != '\n') i--;
        ck_abort_msg("%s after %s reads back differently: %.*s", what, stage, (int)strcspn(b.s + i, "\n"),
                     b.s + i);
    }
    np_text_free(&a), np_text_free(&b);
    np_mod_free(again);
    np_cx_free(other);
}
static void everything(np_mod *m, const char *what)
{
    np_pipeline_opts o = {.knobs = {.lanes = 32, .rows = 4, .chunk = 1}};
    law(m, what, "reading");
    ck_assert_msg(np_stream_derive(m) == NP_OK, "%s", what);
    law(m, what, "stream");
    np_mod_drop(m, "main");
    for (const np_pass *p = np_passes; p->name; p++) {
        for (int i = 0; i < m->nfns; i++)
            if (m->fn[i]->stage == p->in) np_mod_put(m, np_pipeline_pass(m->fn[i], p, &o));
        if (p->in == NP_STAGE_TENSOR) /* functions that were called are part of the entries now */
            for (int i = 0; i < m->nfns; i++)
                if (!strstr("init prefill step whole", m->fn[i]->name)) np_mod_drop(m, m->fn[i--]->name);
        law(m, what, p->name);
    }
}
static void again(void)
{
    teardown();
    setup();
}
/* As it is built when nothing is given, where that goes, and as its self-tests build it. */
static bool model(const char *path)
{
    np_str *test;
    np_model *m = np_load(cx, &(np_load_opts){.path = path, .context = 512});
    bool any = m != NULL || said(cx, NP_ERROR, "has no build function"); /* a file that others require */
    if (m) everything(m->mod, path);
    if (m) np_mod_free(m->mod);
    again();
    int n = np_load_tests(cx, path, &test);
    for (int i = 0; i < n; i++) {
        np_case *c = np_load_test(cx, &(np_load_opts){.path = path, .context = 512}, test[i]);
        ck_assert_msg(c != NULL, "%s: test %s", path, test[i]);
        everything(c->model->mod, path);
        any = true;
        for (int k = 0; k < c->nin; k++) np_tensor_free(&c->in[k]);
        for (int k = 0; k < c->nout; k++) np_tensor_free(&c->out[k]);
        np_mod_free(c->model->mod);
    }
    again();
    return any;
}
static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), k = strlen(with);
    return n > k && strcmp(name + n - k, with) == 0;
}
/* Every description of a folder; how many. */
static int folder(const char *dir)
{
    char path[1024];
    int n = 0;
    DIR *d = opendir(dir);
    ck_assert_msg(d != NULL, "%s", dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!ends(e->d_name, ".lua")) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        ck_assert_msg(model(path), "%s: neither builds alone nor has a test", path);
        n++;
    }
    closedir(d);
    return n;
}

START_TEST(models)
{
    ck_assert_int_ge(folder(SOURCE "models"), 3);
}
END_TEST
START_TEST(language)
{
    ck_assert_int_ge(folder(SOURCE "tests/lua"), 10);
}
END_TEST
START_TEST(mixers)
{
    char lua[1024], data[1024];
    int n = 0;
    DIR *d = opendir(SOURCE "tests/data/mixers");
    ck_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        np_tensors *file;
        if (!ends(e->d_name, ".safetensors")) continue;
        snprintf(lua, sizeof lua, SOURCE "models/mixers/%.*s.lua", (int)strcspn(e->d_name, "-"), e->d_name);
        snprintf(data, sizeof data, SOURCE "tests/data/mixers/%s", e->d_name);
        np_model *m = mixer_load(cx, lua, data, NULL, &file);
        ck_assert_msg(m != NULL, "%s", data);
        everything(m->mod, data);
        np_mod_free(m->mod);
        again();
        n++;
    }
    closedir(d);
    ck_assert_int_ge(n, 40);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("round trip");
    TCase *c = tcase_create("round trip");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 300);
    tcase_add_test(c, models);
    tcase_add_test(c, mixers);
    tcase_add_test(c, language);
    suite_add_tcase(s, c);
    return run_suite(s);
}
