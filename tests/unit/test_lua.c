/* Descriptions: models against independent data, self-tests, messages, the
 * sandbox. Every .lua file under tests/bad says in its comments what must be
 * reported and on which line. */
#include "mixers.h"

/* ---- mixers: every case of the data, in f64 */
static void run_case(const char *lua, const char *data)
{
    np_tensors *file;
    np_tensor in[64], out[64];
    np_model *m = mixer_load(lua, data, NULL, &file);
    must(m != NULL, data);
    np_fn *f = np_mod_fn(m->mod, "main");
    mixer_inputs(f, file, in);
    must(np_eval(f, in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK, data);
    double d = mixer_distance(f, out, file);
    ck_assert_msg(d <= 1e-10, "%s: %g", data, d);
    for (int i = 0; i < f->ninputs; i++) np_tensor_free(&in[i]);
    for (int i = 0; i < f->nouts; i++) np_tensor_free(&out[i]);
    np_mod_free(m->mod);
}
START_TEST(mixers)
{
    ck_assert_int_ge(each_mixer("models/mixers", NULL, run_case), 40);
}
END_TEST

/* ---- whole models with real weights */
static void run_model(const char *lua, const char *weights, const char *data, const char *tokens,
                      const char *want, double tol)
{
    np_checkpoint *c = np_checkpoint_open(cx, weights);
    must(c != NULL, weights);
    np_tensors *file = np_tensors_read(cx, data);
    must(file != NULL, data);
    const np_stored *t = np_tensors_find(file, tokens);
    np_shape shape = {.name = np_str_new(cx, "tokens"), .dtype = NP_I32, .rank = 1, .dim = {t->dim[0]}};
    np_load_opts o = {.path = lua, .checkpoint = c, .nshapes = 1, .shape = &shape, .shapes_known = true};
    np_model *m = np_load(cx, &o);
    must(m != NULL, lua);
    must(np_weights_attach(cx, m, c) == NP_OK, weights);
    np_fn *f = np_mod_fn(m->mod, "main");
    np_tensor in[1] = {np_tensors_load(t, NP_I32)}, out[4],
              expected = np_tensors_load(np_tensors_find(file, want), NP_F64);
    must(f->ninputs == 1 && f->nouts <= 4, lua);
    must(np_eval(f, in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK, lua);
    np_tensor last = out[f->nouts - 1]; /* logits; hidden stands before it */
    int64_t rest = np_tensor_count(&last) - np_tensor_count(&expected);
    if (rest > 0 && expected.rank == 1) { /* only the last position is known */
        last.rank = 1;
        last.dim[0] = expected.dim[0];
        last.data += rest;
    }
    double d = np_tensor_distance(&last, &expected);
    ck_assert_msg(d <= tol, "%s %s: %g > %g", lua, want, d, tol);
    np_tensor_free(&in[0]);
    for (int i = 0; i < f->nouts; i++) np_tensor_free(&out[i]);
    np_tensor_free(&expected);
    np_mod_free(m->mod);
}

START_TEST(gau)
{
    const char *data = SOURCE "tests/data/default/expected.safetensors";
    run_model(SOURCE "models/gau.lua", SOURCE "models/gau/model.safetensors", data, "prompt", "prompt_logits",
              1e-9);
}
END_TEST

START_TEST(hf)
{
    static const char *const name[] = {"llama",    "llama3-rope", "gpt2",   "mistral", "qwen3", "mixtral",
                                       "gpt_neox", "mamba",       "mamba2", "rwkv",    "bert",  "distilbert"};
    static const char *const lua[] = {"llama",    "llama", "gpt2",   "llama", "llama", "mixtral",
                                      "gpt_neox", "mamba", "mamba2", "rwkv4", "bert",  "bert"};
    char dir[512], model[512], data[600];
    snprintf(dir, sizeof dir, SOURCE "tests/data/hf/%s", name[_i]);
    snprintf(model, sizeof model, SOURCE "models/%s.lua", lua[_i]);
    snprintf(data, sizeof data, "%s/expected.safetensors", dir);
    run_model(model, dir, data, "tokens_0", "logits_0", 4e-6); /* the reference takes some steps in f32 */
    run_model(model, dir, data, "tokens_1", "logits_1", 4e-6);
}
END_TEST

/* Real ones of the ggmf family: the logits after three bytes. */
START_TEST(ggmf)
{
    static const char *const name[] = {"4v0-660K", "5v2-730K", "7v0-834K"};
    static const char *const lua[] = {"rwkv4", "rwkv5", "rwkv7"};
    char model[512], weights[600], want[600], data[] = "/tmp/neap-ggmf-XXXXXX";
    float logits[256] = {0};
    snprintf(model, sizeof model, SOURCE "models/%s.lua", lua[_i]);
    snprintf(weights, sizeof weights, SOURCE "../shared/data/rwkv/tiny-rwkv-%s-FP32.bin", name[_i]);
    snprintf(want, sizeof want, SOURCE "../shared/data/rwkv/expected-logits-%s.bin", name[_i]);
    FILE *f = fopen(want, "rb");
    if (!f) {
        puts("test_lua: the ggmf files are absent, skipped");
        return;
    }
    ck_assert_uint_eq(fread(logits, sizeof *logits, 256, f), 256);
    fclose(f);
    np_str key[2] = {np_str_new(cx, "tokens"), np_str_new(cx, "last")};
    np_tensor t[2] = {np_tensor_new(NP_I32, 1, (int64_t[]){3}), np_tensor_new(NP_F64, 1, (int64_t[]){256})};
    for (int i = 0; i < 3; i++) t[0].data[i] = (double[]){34, 105, 110}[i];
    for (int i = 0; i < 256; i++) t[1].data[i] = (double)logits[i];
    int fd = mkstemp(data);
    ck_assert(fd >= 0);
    close(fd);
    ck_assert_int_eq(np_tensors_write(cx, data, 2, key, t), NP_OK);
    run_model(model, weights, data, "tokens", "last", 1e-5);
    remove(data);
    for (int i = 0; i < 2; i++) np_tensor_free(&t[i]);
}
END_TEST

/* ---- self-tests of models */
static int ntests;
static void self_tests(const char *path)
{
    np_str *name;
    again();
    int n = np_load_tests(cx, path, &name);
    must(n >= 0, path);
    for (int i = 0; i < n; i++) {
        np_case *c = np_load_test(cx, &(np_load_opts){.path = path}, name[i]);
        must(c != NULL, path);
        np_fn *f = np_mod_fn(c->model->mod, "main");
        np_tensor out[64];
        must(np_eval(f, c->in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK, path);
        for (int k = 0; k < f->nouts; k++) {
            for (int j = 0; j < c->nout; j++) {
                if (strcmp(c->out_name[j], f->out_name[k]) != 0) continue;
                double d = np_tensor_distance(&out[k], &c->out[j]);
                ck_assert_msg(d <= c->tol, "%s, test %s: %s is off by %g", path, name[i], c->out_name[j], d);
            }
            np_tensor_free(&out[k]);
        }
        for (int k = 0; k < c->nin; k++) np_tensor_free(&c->in[k]);
        for (int k = 0; k < c->nout; k++) np_tensor_free(&c->out[k]);
        np_mod_free(c->model->mod);
    }
    ntests += n;
}

static int all_self_tests(const char *folder)
{
    ntests = 0;
    each_file(folder, ".lua", self_tests);
    return ntests;
}

START_TEST(selftests)
{
    ck_assert_int_ge(all_self_tests(SOURCE "models"), 3);
    ck_assert_int_ge(all_self_tests(SOURCE "models/mixers"), 4);
    ck_assert_int_ge(all_self_tests(SOURCE "tests/lua"), 11);
}
END_TEST

/* ---- docs/language.md: every block that returns a model holds its own tests */
START_TEST(manual)
{
    char line[1024], path[] = "/tmp/neap-manual-XXXXXX.lua";
    int n = 0, fd = mkstemps(path, 4);
    bool inside = false;
    FILE *doc = fopen(SOURCE "docs/language.md", "r"), *out = NULL;
    ck_assert(fd >= 0 && doc != NULL);
    close(fd);
    while (fgets(line, sizeof line, doc)) {
        if (strncmp(line, "```", 3) != 0) {
            if (inside) fputs(line, out);
            continue;
        }
        inside = !inside && strcmp(line, "```lua\n") == 0;
        if (inside) {
            out = fopen(path, "w");
            ck_assert(out != NULL);
        } else if (out) {
            fclose(out);
            out = NULL;
            ntests = 0;
            self_tests(path);
            ck_assert_int_ge(ntests, 1);
            n += ntests;
        }
    }
    fclose(doc);
    remove(path);
    ck_assert_int_ge(n, 4);
}
END_TEST

/* ---- tests/bad: `--! text` says that an error with that text is reported for
 * this line, `--!! text` for the file; nothing else may be reported. */
typedef struct wanted {
    int line;
    char text[200];
    bool seen;
} wanted;

static int read_wanted(const char *path, wanted *w, int most)
{
    char line[1024];
    int n = 0, at = 0;
    FILE *f = fopen(path, "r");
    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f)) {
        at++;
        line[strcspn(line, "\n")] = 0;
        for (char *p = line; (p = strstr(p, "--!")) != NULL && n < most; n++) {
            bool any = p[3] == '!';
            p += any ? 5 : 4;
            char *end = strstr(p, " --!");
            w[n] = (wanted){.line = any ? 0 : at};
            snprintf(w[n].text, sizeof w[n].text, "%.*s", end ? (int)(end - p) : (int)strlen(p), p);
        }
    }
    fclose(f);
    return n;
}

static bool matches(const wanted *w, const np_diag *d)
{
    char text[2048];
    bool scoped = d->loc.scope && *d->loc.scope;
    snprintf(text, sizeof text, "%s%s%s%s", d->text, scoped ? " (in " : "", scoped ? d->loc.scope : "",
             scoped ? ")" : "");
    return !w->seen && (w->line == 0 || w->line == d->loc.line) && strstr(text, w->text);
}

static void bad_file(const char *path)
{
    wanted w[16];
    int n = read_wanted(path, w, 16);
    again();
    ck_assert_msg(n > 0, "%s expects nothing", path);
    np_model *m = np_load(cx, &(np_load_opts){.path = path});
    for (int i = 0; i < cx->ndiags; i++) {
        int k = 0;
        if (cx->diag[i].level != NP_ERROR) continue;
        while (k < n && !matches(&w[k], &cx->diag[i])) k++;
        ck_assert_msg(k < n, "%s:%d: not expected: %s", path, cx->diag[i].loc.line, cx->diag[i].text);
        w[k].seen = true;
    }
    for (int k = 0; k < n; k++)
        ck_assert_msg(w[k].seen, "%s:%d: not reported: %s", path, w[k].line, w[k].text);
    ck_assert(m == NULL);
}

START_TEST(bad)
{
    ck_assert_int_ge(each_file(SOURCE "tests/bad", ".lua", bad_file), 25);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lua");
    TCase *t = tcase_create("lua");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, mixers);
    tcase_add_test(t, gau);
    tcase_add_loop_test(t, hf, 0, 12);
    tcase_add_loop_test(t, ggmf, 0, 3);
    tcase_add_test(t, selftests);
    tcase_add_test(t, manual);
    tcase_add_test(t, bad);
    suite_add_tcase(s, t);
    return run_suite(s);
}
