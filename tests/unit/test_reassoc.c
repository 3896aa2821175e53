/* Attention without softmax in its quadratic form (tests/lua/quadratic) computes
 * what others computed for the recurrence, and remembers as much as that does: no
 * state has a row for each position. */
#include "doors.h"
#include "mixers.h"

#include "passes/passes.h"

static void states_are_constant(const np_fn *step, const char *what)
{
    int64_t k;
    ck_assert_msg(step->nstates > 0, "%s remembers nothing", what);
    for (int i = 0; i < step->nstates; i++) {
        const np_node *p = step->top.param[step->ninputs + i];
        for (int a = 0; a < p->type->rank; a++)
            ck_assert_msg(np_dim_int(p->type->dim[a], &k), "%s: state %s is %s", what, p->name,
                          np_type_str(cx, p->type));
    }
}
static void outputs_are(const np_fn *f, const np_tensors *file, const char *what)
{
    np_tensor in[32], out[32];
    mixer_inputs(f, file, in);
    must(np_eval(f, in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK, what);
    double far = mixer_distance(f, out, file);
    ck_assert_msg(far < 1e-12, "%s is off by %g", what, far);
    for (int i = 0; i < f->nouts; i++) np_tensor_free(&out[i]);
    for (int i = 0; i < f->ninputs; i++) np_tensor_free(&in[i]);
}
static void check_file(const char *lua, const char *data)
{
    np_tensors *file = NULL;
    np_model *m = mixer_load(lua, data, NULL, &file);
    must(m != NULL, data);
    must(np_stream_derive(m->mod) == NP_OK, data);
    must(np_mod_fn(m->mod, "step") != NULL, data);
    states_are_constant(np_mod_fn(m->mod, "step"), data);
    outputs_are(np_mod_fn(m->mod, "whole"), file, data);
    np_mod_free(m->mod);
}

START_TEST(quadratic)
{
    ck_assert_int_ge(each_mixer("tests/lua/quadratic", NULL, check_file), 11);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {quadratic};
    return run_tests_for("reassoc", 120, setup, teardown, tests, NP_LEN(tests));
}
