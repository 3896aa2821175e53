/* Attention in blocks of the sizes that are chosen by themselves, at sizes that
 * no block divides, against the plain form in f64; and what is not a number
 * behind a mask. */
#include "core.h"
#include "context.h"

#include "passes/passes.h"
#include "tests/same.h"

#include <math.h>


/* Causal attention of T new positions behind N, two heads; `doc` adds a mask of documents, `squares` takes relu(s)^2. */
static const char head[] =
    "dim T in 0..300 time\n"
    "dim N in 0..300 past\n"
    "fn @f(%q f32[T,2,3], %k f32[2,3,N+T], %v f32[N+T,2,5], %dt i32[T], %dj i32[N+T]) -> (y) {\n"
    "  %s f32[T,2,N+T] = contract %q %k \"thc,hcj->thj\"\n"
    "  %j i32[N+T] = iota n=N+T\n"
    "  %t0 i32[T] = iota n=T\n"
    "  %n i32 = size n=N\n"
    "  %ne i32[T] = expand %n axis=0 n=T\n"
    "  %t i32[T] = add %t0 %ne\n"
    "  %te i32[T,N+T] = expand %t axis=1 n=N+T\n"
    "  %je i32[T,N+T] = expand %j axis=0 n=T\n"
    "  %causal bool[T,N+T] = le %je %te\n";
static const char documents[] = "  %a i32[T,N+T] = expand %dt axis=1 n=N+T\n"
                                "  %b i32[T,N+T] = expand %dj axis=0 n=T\n"
                                "  %same bool[T,N+T] = eq %a %b\n"
                                "  %see bool[T,N+T] = and %causal %same\n";
static const char window[] = "  %far i32[T,N+T] = sub %te %je\n"
                             "  %w i32[T,N+T] = const 70\n"
                             "  %near bool[T,N+T] = lt %far %w\n"
                             "  %see bool[T,N+T] = and %causal %near\n";
static const char all_causal[] = "  %yes bool[T,N+T] = const 1\n"
                                 "  %see bool[T,N+T] = and %causal %yes\n";
static const char soft[] = "  %c bool[T,2,N+T] = expand %see axis=1 n=2\n"
                           "  %none f32[T,2,N+T] = const -inf\n"
                           "  %z f32[T,2,N+T] = select %c %s %none\n"
                           "  %m f32[T,2] = reduce %z \"max\" axis=2\n"
                           "  %me f32[T,2,N+T] = expand %m axis=2 n=N+T\n"
                           "  %d f32[T,2,N+T] = sub %z %me\n"
                           "  %e f32[T,2,N+T] = exp %d\n"
                           "  %l f32[T,2] = reduce %e \"sum\" axis=2\n"
                           "  %o f32[T,2,5] = contract %e %v \"thj,jhc->thc\"\n"
                           "  %le f32[T,2,5] = expand %l axis=2 n=5\n"
                           "  %y f32[T,2,5] = div %o %le\n"
                           "  ret %y\n"
                           "}\n";
static const char squares[] = "  %c bool[T,2,N+T] = expand %see axis=1 n=2\n"
                              "  %zero f32[T,2,N+T] = const 0\n"
                              "  %r f32[T,2,N+T] = max %s %zero\n"
                              "  %r2 f32[T,2,N+T] = mul %r %r\n"
                              "  %p f32[T,2,N+T] = select %c %r2 %zero\n"
                              "  %y f32[T,2,5] = contract %p %v \"thj,jhc->thc\"\n"
                              "  ret %y\n"
                              "}\n";
static const char *const masks[] = {all_causal, window, documents}, *const ends[] = {soft, squares};

/* The function before and after the pass; false: the pass left it as it was. */
static bool made(const char *mask, const char *end, int64_t longest, np_mod **m, np_fn **now)
{
    np_text t = {0};
    np_pipeline_opts o = {.knobs = {.lanes = 64, .rows = 4, .chunk = 1}};
    np_text_add(&t, "%s%s%s", head, mask, end);
    *m = np_parse(cx, "test.np", t.s, t.n);
    np_text_free(&t);
    ck_assert_ptr_nonnull(*m);
    np_dim_declare(cx, np_dim_sym(cx, "T"), 0, longest, NP_ROLE_TIME);
    *now = np_pipeline_pass((*m)->fn[0], np_pass_find("online"), &o);
    for (int i = 0; i < cx->ndiags; i++)
        if (strstr(cx->diag[i].text, "blocks of")) return true;
    return false;
}
static np_env sizes(int64_t T, int64_t N)
{
    np_env e = {0};
    np_env_set(&e, np_dim_sym(cx, "T"), T);
    np_env_set(&e, np_dim_sym(cx, "N"), N);
    return e;
}

START_TEST(test_sizes)
{
    static const int64_t size[][2] = {{0, 5},   {1, 0},   {1, 200}, {17, 130},
                                      {64, 64}, {65, 63}, {130, 1}, {150, 77}};
    np_mod *m;
    np_fn *now;
    np_text why = {0};
    int64_t longest = _i % 2 ? 300 : 64; /* calls of many, of few positions */
    const char *mask = masks[_i / 2 % 3], *end = ends[_i / 6];
    ck_assert(made(mask, end, longest, &m, &now));
    for (size_t i = 0; i < NP_LEN(size) && size[i][0] <= longest; i++) {
        np_env e = sizes(size[i][0], size[i][1]);
        ck_assert_msg(np_same_answers(m->fn[0], now, &e, 3 + i, 1e-12, &why), "T=%d N=%d: %s",
                      (int)size[i][0], (int)size[i][1], why.s);
    }
    np_fn_free(now);
    np_mod_free(m);
}
END_TEST

/* NaN and infinities in keys that are masked: the scores are replaced, so they reach nothing, neither in a block that is
 * skipped nor in one that is computed. In values they reach what 0 * NaN reaches, which a skipped block does not compute. */
START_TEST(test_not_numbers)
{
    enum { T = 150, N = 20, FROM = 100 };
    np_mod *m;
    np_fn *now;
    np_tensor in[5], clean[1], out[1];
    ck_assert(made(all_causal, ends[_i], 300, &m, &now));
    np_env e = sizes(T, N);
    ck_assert(np_same_inputs(now, &e, 5, in));
    ck_assert_int_eq(np_eval(now, in, clean, &e, (np_eval_opts){.exact = true}), NP_OK);
    for (int64_t i = 0; i < 2 * 3; i++)
        for (int64_t j = FROM; j < N + T; j++)
            in[1].data[i * (N + T) + j] = j % 2 ? (double)NAN : (double)INFINITY;
    for (int values = 0; values < 2; values++) { /* first the keys alone */
        for (int64_t j = N + T - 20; values && j < N + T; j++) in[2].data[j * 10] = (double)NAN;
        ck_assert_int_eq(np_eval(now, in, out, &e, (np_eval_opts){.exact = true}), NP_OK);
        for (int64_t i = 0; i < (values ? 64 : FROM - N) * 10; i++)
            ck_assert_double_eq(out[0].data[i], clean[0].data[i]);
        if (!values) np_tensor_free(out);
    }
    ck_assert(isnan(out[0].data[(T - 1) * 10]));
    for (int i = 0; i < 5; i++) np_tensor_free(&in[i]);
    np_tensor_free(clean), np_tensor_free(out);
    np_fn_free(now);
    np_mod_free(m);
}
END_TEST

/* One query is a step: its form stays. */
START_TEST(test_step)
{
    np_mod *m;
    np_fn *now;
    ck_assert(!made(all_causal, soft, 1, &m, &now));
    np_fn_free(now);
    np_mod_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("online");
    TCase *c = tcase_create("online");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, test_sizes, 0, 12);
    tcase_add_loop_test(c, test_not_numbers, 0, 2);
    tcase_add_test(c, test_step);
    suite_add_tcase(s, c);
    return run_suite(s);
}
