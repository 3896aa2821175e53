/* Streaming: of every model the whole is prefill in any two pieces is step after
 * step, and what comes later cannot change what was. Inputs are those of the
 * mixers' data, of self-tests, and tokens; everything in f64. */
#include "doors.h"
#include "mixers.h"

#include "passes/passes.h"
#include "tests/same.h"

#include <math.h>

enum { PORTS = 64 };
static const double TOL = 1e-12;

static void free_all(np_tensor *t, int n)
{
    for (int i = 0; i < n; i++) np_tensor_free(&t[i]);
}
static int time_axis(const np_type *t)
{
    return np_same_time_axis(cx, t);
}

/* ---- a model that runs */
typedef struct run {
    const char *what;
    np_mod *m;
    const np_fn *main;
    int nin, nout;
    int64_t len; /* positions of the inputs */
    np_tensor *in, whole[PORTS];
} run;

static void eval(const run *r, const np_fn *f, const np_tensor *in, np_tensor *out)
{
    must(np_eval(f, in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK, r->what);
}
static void in_pieces(run *r, int n, const int64_t *piece)
{
    np_text why = {0};
    ck_assert_msg(np_same_pieces(r->m, r->in, n, piece, TOL, &why), "%s: %s", r->what, why.s);
}
/* Positions from s on are changed by a lot: what was before stays, to the bit. */
static void future(run *r, int64_t s)
{
    np_tensor in[PORTS], out[PORTS];
    for (int i = 0; i < r->nin; i++) {
        int axis = time_axis(r->main->top.param[i]->type);
        in[i] = np_tensor_copy(&r->in[i]);
        if (axis < 0) continue;
        bool number = np_dtype_class(in[i].dtype) == 'F';
        for (int64_t k = 0, count = np_tensor_count(&in[i]), inner = 1; k < count; k++) {
            if (k == 0)
                for (int a = axis + 1; a < in[i].rank; a++) inner *= in[i].dim[a];
            if (k / inner % r->len < s) continue;
            in[i].data[k] = number ? in[i].data[k] * -37 + 5 * (double)(k % 7) : 7 - in[i].data[k];
        }
    }
    eval(r, np_mod_fn(r->m, "whole"), in, out);
    for (int i = 0; i < r->nout; i++) {
        int axis = time_axis(r->main->out_type[i]);
        if (axis < 0) continue;
        np_tensor now = np_same_positions(&out[i], axis, 0, s),
                  was = np_same_positions(&r->whole[i], axis, 0, s);
        ck_assert_msg(memcmp(now.data, was.data, (size_t)np_tensor_count(&now) * sizeof(double)) == 0,
                      "%s: output %s before %d depends on what comes later", r->what, r->main->out_name[i],
                      (int)s);
        np_tensor_free(&now);
        np_tensor_free(&was);
    }
    free_all(in, r->nin);
    free_all(out, r->nout);
}

/* Every pass over every entry keeps the answer. */
static void every_stage(const run *r)
{
    static const char *const entry[] = {"whole", "init", "prefill", "step"};
    np_pipeline_opts o = {.eval = true, .knobs = {.lanes = 32, .rows = 4, .chunk = 1}};
    for (int i = 0; i < (int)NP_LEN(entry); i++) {
        const np_fn *f = np_mod_fn(r->m, entry[i]);
        if (!f) continue;
        np_fn_free(np_pipeline_run(f, &o));
        must(cx->nerrors == 0, r->what);
    }
}

/* All of it. in: the inputs of @main, freed here. False: no step, and the notes say why. */
static bool check_model(const char *what, np_mod *m, np_tensor *in)
{
    run r = {.what = what, .m = m, .in = in};
    must(np_stream_derive(m) == NP_OK, what);
    const np_fn *whole = np_mod_fn(m, "whole");
    bool streams = np_mod_fn(m, "step") != NULL;
    r.main = np_mod_fn(m, "main");
    r.nin = r.main->ninputs;
    r.nout = r.main->nouts;
    ck_assert(whole != NULL);
    ck_assert((np_mod_fn(m, "prefill") != NULL) == streams && (np_mod_fn(m, "init") != NULL) == streams);
    for (int i = 0; i < r.nin; i++) {
        int axis = time_axis(r.main->top.param[i]->type);
        if (axis >= 0) r.len = in[i].dim[axis];
    }
    if (streams) {
        np_tensor main[PORTS];
        eval(&r, whole, in, r.whole);
        eval(&r, r.main, in, main);
        for (int i = 0; i < r.nout; i++) ck_assert(np_tensor_distance(&main[i], &r.whole[i]) <= TOL);
        free_all(main, r.nout);
        in_pieces(&r, 1, (int64_t[]){r.len});
        in_pieces(&r, 1, (int64_t[]){1});
        in_pieces(&r, 2, (int64_t[]){1, r.len - 1});
        in_pieces(&r, 2, (int64_t[]){r.len - 1, 1});
        in_pieces(&r, 2, (int64_t[]){r.len / 2, r.len});
        in_pieces(&r, 4, (int64_t[]){3, 1, 1, 2});
        future(&r, 1);
        future(&r, r.len / 2);
        future(&r, r.len - 1);
        free_all(r.whole, r.nout);
    }
    every_stage(&r);
    free_all(in, r.nin);
    return streams;
}

/* ---- mixers with the inputs of their data */
static bool mixer(const char *lua, const char *data, const char *set)
{
    np_tensor in[PORTS];
    np_tensors *file = NULL;
    np_model *m = mixer_load(lua, data, set, &file);
    must(m != NULL, data);
    np_same_weights(m->mod);
    mixer_inputs(np_mod_fn(m->mod, "main"), file, in);
    bool streams = check_model(data, m->mod, in);
    np_mod_free(m->mod);
    return streams;
}

static void streams(const char *lua, const char *data)
{
    must(mixer(lua, data, NULL), data);
}
START_TEST(mixers)
{
    ck_assert_int_ge(each_mixer("models/mixers", NULL, streams), 40);
}
END_TEST
/* Written as masked products of scores and values; exp(c_t - c_j) of a gate that is -inf is no number as it
 * stands there. */
START_TEST(quadratic)
{
    ck_assert_int_ge(each_mixer("tests/lua/quadratic", "reset", streams), 10);
}
END_TEST

START_TEST(not_causal)
{
    const char *data = SOURCE "tests/data/mixers/attn-window.safetensors";
    ck_assert(mixer(SOURCE "models/mixers/attn.lua", data, NULL));
    again();
    ck_assert(!mixer(SOURCE "models/mixers/attn.lua", SOURCE "tests/data/mixers/attn-grouped.safetensors",
                     "causal=false"));
    expect_said(cx, NP_NOTE, "no step: max over all positions sees those that come later");
}
END_TEST

/* ---- whole models */
static bool model(const char *lua, const char *weights, const char *const *set, int64_t len)
{
    np_settings s = {0};
    np_tensor in[PORTS];
    np_checkpoint *c = weights ? np_checkpoint_open(cx, weights) : NULL;
    for (int i = 0; set && set[i]; i++) must(np_settings_parse(cx, &s, set[i]) == NP_OK, set[i]);
    np_model *m = np_load(cx, &(np_load_opts){.path = lua, .checkpoint = c, .set = &s});
    must(m != NULL, lua);
    if (c) must(np_weights_attach(cx, m, c) == NP_OK, weights);
    np_same_weights(m->mod);
    in[0] = np_tensor_new(NP_I32, 1, &len);
    np_tensor_random(&in[0], 1);
    bool streams = check_model(lua, m->mod, in);
    np_mod_free(m->mod);
    return streams;
}
START_TEST(models)
{
    must(model(SOURCE "models/gau.lua", SOURCE "models/gau", NULL, 13), "gau");
    must(model(SOURCE "models/llama.lua", SOURCE "tests/data/hf/llama3-rope", NULL, 11), "llama");
    must(model(SOURCE "models/gpt2.lua", SOURCE "tests/data/hf/gpt2", NULL, 11), "gpt2");
}
END_TEST

/* ---- self-tests: each has a step, or the note that is expected */
static const struct {
    const char *file, *test, *note;
} self[] = {
    {"tests/lua/groups.lua", "small", NULL},
    {"tests/lua/attention_kinds.lua", "small", "no step: max over all positions"},
    {"tests/lua/look_back.lua", "small", "no step"},
    {"tests/lua/scans.lua", "small", "no step: a scan from the end of time"},
};
START_TEST(self_tests)
{
    char path[512];
    np_tensor in[PORTS];
    snprintf(path, sizeof path, SOURCE "%s", self[_i].file);
    np_case *c = np_load_test(cx, &(np_load_opts){.path = path}, self[_i].test);
    must(c != NULL, path);
    for (int i = 0; i < c->nin; i++) in[i] = np_tensor_copy(&c->in[i]);
    bool streams = check_model(path, c->model->mod, in);
    must(streams == !self[_i].note, path);
    if (self[_i].note) expect_said(cx, NP_NOTE, self[_i].note);
    free_all(c->in, c->nin);
    free_all(c->out, c->nout);
    np_mod_free(c->model->mod);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream");
    TCase *c = tcase_create("stream");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 300);
    tcase_add_test(c, mixers);
    tcase_add_test(c, quadratic);
    tcase_add_test(c, not_causal);
    tcase_add_test(c, models);
    tcase_add_loop_test(c, self_tests, 0, (int)NP_LEN(self));
    suite_add_tcase(s, c);
    return run_suite(s);
}
