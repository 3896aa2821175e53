/* Descriptions: models against independent data, self-tests, messages, the
 * sandbox. Every .lua file under tests/bad says in its comments what must be
 * reported and on which line. */
#include "../../frontend/frontend.h"

#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOURCE NP_SOURCE_DIR "/"

static void must(np_cx *cx, bool ok, const char *what)
{
    if (ok) return;
    np_diag_print(cx, NP_WARNING, stderr);
    ck_abort_msg("%s", what);
}

/* ---- mixers: every case of the data, in f64 */
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)) != NULL; p++)
        if ((p == list || p[-1] == ' ') && (p[n] == 0 || p[n] == ' ')) return true;
    return false;
}

static int inputs_of(const np_tensors *f, np_shape *shape)
{
    const char *list = np_tensors_meta(f, "inputs");
    int n = 0;
    for (int i = 0; i < f->n; i++) {
        const np_stored *t = &f->t[i];
        if (!has_word(list, t->name)) continue;
        shape[n] = (np_shape){.name = t->name, .dtype = t->dtype, .rank = t->rank};
        memcpy(shape[n++].dim, t->dim, sizeof t->dim);
    }
    return n;
}

/* The largest distance of the outputs that the file has expectations for. */
static double worst_output(np_cx *cx, const np_fn *f, const np_tensor *out, const np_tensors *file)
{
    double worst = 0;
    int seen = 0;
    for (int i = 0; i < f->nouts; i++) {
        const np_stored *s = np_tensors_find(file, np_str_fmt(cx, "%s.f64", f->out_name[i]));
        if (!s) s = np_tensors_find(file, f->out_name[i]);
        if (!s) continue;
        np_tensor want = np_tensors_load(s, NP_F64);
        double d = np_tensor_distance(&out[i], &want);
        if (!(d <= worst)) worst = d;
        seen++;
        np_tensor_free(&want);
    }
    ck_assert_int_gt(seen, 0);
    return worst;
}

static void run_case(const char *lua, const char *data)
{
    np_cx *cx = np_cx_new();
    np_settings set = {0};
    np_shape shape[32];
    np_tensors *file = np_tensors_read(cx, data);
    must(cx, file != NULL, data);
    const char *params = np_tensors_meta(file, "params");
    if (params) must(cx, np_settings_json(cx, &set, params, strlen(params), "params") == NP_OK, "params");
    np_load_opts o = {.path = lua, .set = &set, .shape = shape, .shapes_known = true};
    o.nshapes = inputs_of(file, shape);
    np_model *m = np_load(cx, &o);
    must(cx, m != NULL, data);
    np_fn *f = np_mod_fn(m->mod, "main");
    np_tensor *in = calloc((size_t)f->ninputs + 1, sizeof *in),
              *out = calloc((size_t)f->nouts + 1, sizeof *out);
    for (int i = 0; i < f->ninputs; i++) {
        const np_node *p = f->top.param[i];
        in[i] = np_tensors_load(np_tensors_find(file, p->name), p->type->dtype);
    }
    must(cx, np_eval(f, in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK, data);
    double d = worst_output(cx, f, out, file);
    ck_assert_msg(d <= 1e-10, "%s: %g", data, d);
    for (int i = 0; i < f->ninputs; i++) np_tensor_free(&in[i]);
    for (int i = 0; i < f->nouts; i++) np_tensor_free(&out[i]);
    free(in);
    free(out);
    np_mod_free(m->mod);
    np_cx_free(cx);
}

START_TEST(mixers)
{
    char lua[512], data[1024];
    int n = 0;
    DIR *d = opendir(SOURCE "tests/data/mixers");
    ck_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        const char *dash = strchr(e->d_name, '-');
        if (!dash || !strstr(e->d_name, ".safetensors")) continue;
        snprintf(lua, sizeof lua, SOURCE "models/mixers/%.*s.lua", (int)(dash - e->d_name), e->d_name);
        snprintf(data, sizeof data, SOURCE "tests/data/mixers/%s", e->d_name);
        FILE *f = fopen(lua, "r");
        if (!f) continue;
        fclose(f);
        run_case(lua, data);
        n++;
    }
    closedir(d);
    ck_assert_int_ge(n, 40);
}
END_TEST

/* ---- whole models with real weights */
static void run_model(const char *lua, const char *weights, const char *data, const char *tokens,
                      const char *want, double tol)
{
    np_cx *cx = np_cx_new();
    np_checkpoint *c = np_checkpoint_open(cx, weights);
    must(cx, c != NULL, weights);
    np_tensors *file = np_tensors_read(cx, data);
    must(cx, file != NULL, data);
    const np_stored *t = np_tensors_find(file, tokens);
    np_shape shape = {.name = np_str_new(cx, "tokens"), .dtype = NP_I32, .rank = 1, .dim = {t->dim[0]}};
    np_load_opts o = {.path = lua, .checkpoint = c, .nshapes = 1, .shape = &shape, .shapes_known = true};
    np_model *m = np_load(cx, &o);
    must(cx, m != NULL, lua);
    must(cx, np_weights_attach(cx, m, c) == NP_OK, weights);
    np_fn *f = np_mod_fn(m->mod, "main");
    np_tensor in[1] = {np_tensors_load(t, NP_I32)}, out[4],
              expected = np_tensors_load(np_tensors_find(file, want), NP_F64);
    must(cx, f->ninputs == 1 && f->nouts <= 4, lua);
    must(cx, np_eval(f, in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK, lua);
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
    np_cx_free(cx);
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
    np_cx *cx = np_cx_new();
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
    np_cx_free(cx);
}
END_TEST

/* ---- self-tests of models */
static int self_tests(const char *path)
{
    np_cx *cx = np_cx_new();
    np_str *name;
    int n = np_load_tests(cx, path, &name);
    must(cx, n >= 0, path);
    for (int i = 0; i < n; i++) {
        np_case *c = np_load_test(cx, &(np_load_opts){.path = path}, name[i]);
        must(cx, c != NULL, path);
        np_fn *f = np_mod_fn(c->model->mod, "main");
        np_tensor out[64];
        must(cx, np_eval(f, c->in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK, path);
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
    np_cx_free(cx);
    return n;
}

static int all_self_tests(const char *dir)
{
    char path[1024];
    int n = 0;
    DIR *d = opendir(dir);
    ck_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 4, ".lua") != 0) continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        n += self_tests(path);
    }
    closedir(d);
    return n;
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
            int tests = self_tests(path);
            ck_assert_int_ge(tests, 1);
            n += tests;
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
    np_cx *cx = np_cx_new();
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
    np_cx_free(cx);
}

START_TEST(bad)
{
    char path[1024];
    int n = 0;
    DIR *d = opendir(SOURCE "tests/bad");
    ck_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 4, ".lua") != 0) continue;
        snprintf(path, sizeof path, SOURCE "tests/bad/%s", e->d_name);
        bad_file(path);
        n++;
    }
    closedir(d);
    ck_assert_int_ge(n, 25);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lua");
    TCase *t = tcase_create("lua");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, mixers);
    tcase_add_test(t, gau);
    tcase_add_loop_test(t, hf, 0, 12);
    tcase_add_loop_test(t, ggmf, 0, 3);
    tcase_add_test(t, selftests);
    tcase_add_test(t, manual);
    tcase_add_test(t, bad);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
