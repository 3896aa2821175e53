/* The math that generated code brings along: exp, sigmoid and tanh of f32 over
 * a sample of all floats against libm in f64, and that loops over them become
 * vector code with nothing but -O3. */
#include "core.h"
#include "context.h"

#include "backends/backends.h"
#include "passes/passes.h"

#include <math.h>
#include <unistd.h>


enum { BLOCK = 65536, STRIDE = 4099 }; /* a prime: all mantissas and exponents come by */
static const char text[] = "dim T in 1..65536 time\n"
                           "fn @f(%x f32[T]) -> (e f32[T], s f32[T], t f32[T]) {\n"
                           "  %e f32[T] = exp %x\n"
                           "  %s f32[T] = sigmoid %x\n"
                           "  %t f32[T] = tanh %x\n"
                           "  ret %e %s %t\n"
                           "}\n";
static np_mod *placed(void)
{
    np_pipeline_opts o = {.knobs = {.lanes = 32, .rows = 4, .chunk = 1}};
    np_mod *m = np_parse(cx, "math.np", text, strlen(text));
    ck_assert_ptr_nonnull(m);
    np_mod_put(m, np_pipeline_run(m->fn[0], &o));
    return m;
}
static np_program program(np_mod *m, const char *target)
{
    return (np_program){.mod = m, .target = np_target_find(cx, target), .name = "math", .title = "math"};
}

/* In units in the last place of what is right; below the normal numbers 0 is right, too. */
static double ulps(double got, double want)
{
    int e;
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (fabs(want) > 0x1.ffffffp127)
        return got == (want > 0 ? (double)INFINITY : -(double)INFINITY) || fabs(got) == 0x1.fffffep127
                   ? 0
                   : INFINITY;
    if (fabs(want) < 0x1p-126) return got == 0 ? 0 : fabs(got - want) / 0x1p-149;
    frexp(want, &e);
    return fabs(got - want) / ldexp(1, e - 24);
}
static void sweep(const char *target)
{
    np_mod *m = placed();
    np_program p = program(m, target);
    np_lib *l = np_backend_find("c")->load(cx, &p);
    ck_assert_ptr_nonnull(l);
    double most[3] = {0};
    float at[3] = {0};
    uint32_t bits = 0;
    bool more = true;
    while (more) {
        np_tensor in = np_tensor_new(NP_F32, 1, (int64_t[]){BLOCK}), out[3];
        for (int i = 0; i < BLOCK; i++) {
            float x;
            memcpy(&x, &bits, sizeof x);
            in.data[i] = (double)x;
            if (bits > UINT32_MAX - STRIDE)
                more = false;
            else
                bits += STRIDE;
        }
        in.data[0] = INFINITY, in.data[1] = -INFINITY, in.data[2] = NAN, in.data[3] = -0.0;
        ck_assert_int_eq(np_lib_run(l, m->fn[0], &in, out, NULL, NULL), NP_OK);
        for (int i = 0; i < BLOCK; i++) {
            double x = in.data[i],
                   want[3] = {exp(x), x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)), tanh(x)};
            for (int k = 0; k < 3; k++) {
                double u = ulps(out[k].data[i], want[k]);
                if (u > most[k]) most[k] = u, at[k] = (float)x;
            }
        }
        ck_assert(signbit(out[2].data[3]));
        for (int k = 0; k < 3; k++) np_tensor_free(&out[k]);
        np_tensor_free(&in);
    }
    ck_assert_msg(most[0] <= 1.1, "exp is off by %g ulp at %g", most[0], (double)at[0]);
    ck_assert_msg(most[1] <= 3, "sigmoid is off by %g ulp at %g", most[1], (double)at[1]);
    ck_assert_msg(most[2] <= 2, "tanh is off by %g ulp at %g", most[2], (double)at[2]);
    np_lib_free(l);
    np_mod_free(m);
}
START_TEST(test_generic)
{
    sweep("generic");
}
END_TEST
START_TEST(test_native)
{
    sweep("native"); /* multiply-adds fused */
}
END_TEST
START_TEST(test_vector_code)
{
#if defined(__x86_64__)
    static const char *const compilers[] = {"gcc", "clang", "clang-19"};
    np_mod *m = placed();
    np_program p = program(m, "generic");
    np_text code = {0};
    ck_assert_int_eq(np_backend_find("c")->emit(cx, &p, &code), NP_OK);
    for (size_t i = 0; i < NP_LEN(compilers); i++) {
        char path[] = "/tmp/neap-test-math-XXXXXX", line[512];
        close(mkstemp(path));
        setenv("CC", compilers[i], 1);
        int packed = 0, called = 0;
        if (np_cc_find(cx)) {
            ck_assert_int_eq(np_cc_build(cx, NP_CC_ASM, code.s, code.n, "-O3", path), NP_OK);
            FILE *f = fopen(path, "r");
            while (fgets(line, sizeof line, f)) {
                packed += strstr(line, "mulps") != NULL;
                called += strstr(line, "call") && (strstr(line, "exp") || strstr(line, "tanh"));
            }
            fclose(f);
            ck_assert_msg(packed > 20 && called == 0, "%s -O3: %d mulps, %d calls", compilers[i], packed,
                          called);
        }
        unlink(path);
    }
    unsetenv("CC");
    np_text_free(&code);
    np_mod_free(m);
#endif
}
END_TEST

int main(void)
{
    const TTest *tests[] = {test_generic, test_native, test_vector_code};
    return run_tests("c_math", setup, teardown, tests, NP_LEN(tests));
}
