/* The law of the text form, over everything that there is: every function of
 * every model, mixer and test of the language, its entries for streams, and each
 * of them after each pass, prints as a text that reads back as itself. */
#include "doors.h"
#include "mixers.h"

#include "passes/passes.h"

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
/* As it is built when nothing is given, where that goes, and as its self-tests build it. */
static void model(const char *path)
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
    ck_assert_msg(any, "%s: neither builds alone nor has a test", path);
}
START_TEST(models)
{
    ck_assert_int_ge(each_file(SOURCE "models", ".lua", model), 3);
}
END_TEST
START_TEST(language)
{
    ck_assert_int_ge(each_file(SOURCE "tests/lua", ".lua", model), 10);
}
END_TEST
static void mixer(const char *lua, const char *data)
{
    np_tensors *file;
    np_model *m = mixer_load(lua, data, NULL, &file);
    must(m != NULL, data);
    everything(m->mod, data);
    np_mod_free(m->mod);
}
START_TEST(mixers)
{
    ck_assert_int_ge(each_mixer("models/mixers", NULL, mixer), 40);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {models, mixers, language};
    return run_tests_for("round trip", 300, setup, teardown, tests, NP_LEN(tests));
}
