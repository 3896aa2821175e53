/* Attention without softmax in its quadratic form (tests/lua/quadratic) computes
 * what others computed for the recurrence, and remembers as much as that does: no
 * state has a row for each position. */
#include "doors.h"
#include "mixers.h"

#include "passes/passes.h"

#include <dirent.h>
#include <unistd.h>

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
static void must(bool ok, const char *what)
{
    if (ok) return;
    np_diag_print(cx, NP_NOTE, stderr);
    ck_abort_msg("%s", what);
}

static void states_are_constant(const np_fn *step, const char *what)
{
    int64_t k;
    ck_assert_msg(step->nstates > 0, "%s remembers nothing", what);
    for (int i = 0; i < step->nstates; i++) {
        const np_node *p = step->top.param[step->ninputs + i];
        for (int a = 0; a < p->type->rank; a++)
            ck_assert_msg(np_dim_int(p->type->dim[a], &k), "%s: state %s is %s", what, p->name, np_type_str(cx, p->type));
    }
}
static void outputs_are(const np_fn *f, const np_tensors *file, const char *what)
{
    np_tensor in[32], out[32];
    char name[64];
    for (int i = 0; i < f->ninputs; i++) {
        const np_node *p = f->top.param[i];
        in[i] = np_tensors_load(np_tensors_find(file, p->name), p->type->dtype);
    }
    must(np_eval(f, in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK, what);
    for (int i = 0; i < f->nouts; i++) {
        snprintf(name, sizeof name, "%s.f64", f->out_name[i]);
        np_tensor want = np_tensors_load(np_tensors_find(file, name), NP_F64);
        double far = np_tensor_distance(&out[i], &want);
        ck_assert_msg(far < 1e-12, "%s: %s is off by %g", what, f->out_name[i], far);
        np_tensor_free(&want);
        np_tensor_free(&out[i]);
    }
    for (int i = 0; i < f->ninputs; i++) np_tensor_free(&in[i]);
}
static void check_file(const char *lua, const char *data)
{
    np_tensors *file = NULL;
    np_model *m = mixer_load(cx, lua, data, NULL, &file);
    must(m != NULL, data);
    must(np_stream_derive(m->mod) == NP_OK, data);
    must(np_mod_fn(m->mod, "step") != NULL, data);
    states_are_constant(np_mod_fn(m->mod, "step"), data);
    outputs_are(np_mod_fn(m->mod, "whole"), file, data);
    np_mod_free(m->mod);
}

START_TEST(quadratic)
{
    char lua[512], data[1024];
    int n = 0;
    DIR *d = opendir(SOURCE "tests/data/mixers");
    ck_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        const char *dash = strchr(e->d_name, '-');
        if (!dash || !strstr(e->d_name, ".safetensors")) continue;
        snprintf(lua, sizeof lua, SOURCE "tests/lua/quadratic/%.*s.lua", (int)(dash - e->d_name), e->d_name);
        if (access(lua, R_OK) != 0) continue;
        snprintf(data, sizeof data, SOURCE "tests/data/mixers/%s", e->d_name);
        teardown();
        setup();
        check_file(lua, data);
        n++;
    }
    closedir(d);
    ck_assert_int_ge(n, 11);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reassoc");
    TCase *c = tcase_create("reassoc");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, quadratic);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
