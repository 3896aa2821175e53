/* The C backend: every operation that can reach it is spelled, and what it
 * writes is the same from run to run and computes what the interpreter says. */
#include "core.h"
#include "context.h"

#include "backends/backends.h"
#include "passes/passes.h"
#include "tests/same.h"

static np_mod *placed(const char *text)
{
    np_pipeline_opts o = {.knobs = {.lanes = 32, .rows = 4, .chunk = 1}};
    np_mod *m = np_parse(cx, "t.np", text, strlen(text));
    ck_assert_msg(m && cx->nerrors == 0, "%s", cx->ndiags ? cx->diag[0].text : "?");
    for (int i = 0; i < m->nfns; i++) np_mod_put(m, np_pipeline_run(m->fn[i], &o));
    return m;
}
static np_program program(np_mod *m)
{
    return (np_program){.mod = m, .target = np_target_find(cx, "generic"), .name = "t", .title = "a test"};
}

static const char text[] =
    "dim T in 1..16 time\n"
    "dim N in 0..15 past\n"
    "fn @f(%x f32[T,4], %w f32[4,3], state %s f32[4], state %p f32[N,4]) -> (y f32[T,3]) {\n"
    "  %r (f32[T,4], f32[4]) = scan %x %s seq=1 n=T {\n"
    "    with %xt f32[4], %st f32[4]\n"
    "    %m f32[4] = add %st %xt\n"
    "    %e f32[4] = sigmoid %m\n"
    "    yield %e %m\n"
    "  }\n"
    "  %o f32[T,4] = pick %r i=0\n"
    "  %l f32[4] = pick %r i=1\n"
    "  %y f32[T,3] = contract %o %w \"tk,kn->tn\"\n"
    "  %a f32[N+T,4] = append %x %p axis=0 n=N\n"
    "  ret %y %l %a\n"
    "}\n";

START_TEST(every_op_is_spelled)
{
    const np_backend *c = np_backend_find("c");
    const np_target *t = np_target_find(cx, "generic");
    for (int op = 0; op < NP_NOPS; op++) {
        const np_opinfo *info = np_op_info((np_op)op);
        bool can = info->cls == NP_ELEM || info->cls == NP_LOOPS || op == NP_CONST || op == NP_WEIGHT ||
                   op == NP_SIZE || op == NP_COND || op == NP_GROUP || op == NP_PICK || op == NP_YIELD ||
                   op == NP_RET;
        bool any = false;
        for (int d = 0; d < NP_NDTYPES; d++) any |= c->has(t, (np_op)op, np_type_scalar(cx, (np_dtype)d));
        ck_assert_msg(any || !can, "%s is not spelled", info->text);
        ck_assert_msg(!any || can || op == NP_PARAM, "%s is spelled, and never comes", info->text);
    }
}
END_TEST
START_TEST(same_bytes)
{
    np_text a = {0}, b = {0};
    np_mod *m = placed(text);
    np_program p = program(m);
    ck_assert_int_eq(np_backend_find("c")->emit(cx, &p, &a), NP_OK);
    np_cx *first = cx;
    np_mod *again = (cx = np_cx_new(), placed(text));
    p = program(again);
    ck_assert_int_eq(np_backend_find("c")->emit(cx, &p, &b), NP_OK);
    ck_assert_str_eq(a.s, b.s);
    np_mod_free(m), np_mod_free(again);
    np_text_free(&a), np_text_free(&b);
    np_cx_free(first);
}
END_TEST
START_TEST(loads_and_runs)
{
    np_mod *m = placed(text);
    np_program p = program(m);
    np_lib *l = np_backend_find("c")->load(cx, &p);
    ck_assert_msg(l != NULL, "%s", cx->ndiags ? cx->diag[cx->ndiags - 1].text : "?");
    np_tensor in[] = {np_tensor_new(NP_F32, 2, (int64_t[]){5, 4}),
                      np_tensor_new(NP_F32, 2, (int64_t[]){4, 3}), np_tensor_new(NP_F32, 1, (int64_t[]){4}),
                      np_tensor_new(NP_F32, 2, (int64_t[]){3, 4})};
    np_tensor got[3], want[3];
    double ms = -1;
    for (size_t i = 0; i < NP_LEN(in); i++) np_tensor_random(&in[i], i);
    ck_assert_int_eq(np_lib_run(l, m->fn[0], in, got, NULL, &ms), NP_OK);
    ck_assert_int_eq(np_eval(m->fn[0], in, want, NULL, (np_eval_opts){.exact = true}), NP_OK);
    ck_assert(got[2].dim[0] == 8 && ms >= 0);
    for (int i = 0; i < 3; i++) {
        ck_assert(np_tensor_distance(&got[i], &want[i]) < 1e-6);
        np_tensor_free(&got[i]), np_tensor_free(&want[i]);
    }
    for (size_t i = 0; i < NP_LEN(in); i++) np_tensor_free(&in[i]);
    np_lib_free(l);
    np_mod_free(m);
}
END_TEST

/* ---- what cannot be compiled or run */
START_TEST(free_sizes)
{
    np_mod *m =
        placed("dim M in 1..8\nfn @f(%x f32[M]) -> (y f32[M]) {\n  %y f32[M] = neg %x\n  ret %y\n}\n");
    np_program p = program(m);
    np_text out = {0};
    ck_assert_int_eq(np_backend_find("c")->emit(cx, &p, &out), NP_FAIL);
    expect_error(cx, 1, "the size M must be a number");
    ck_assert_ptr_null(np_backend_find("c")->load(cx, &p));
    np_text_free(&out);
    np_mod_free(m);
}
END_TEST
START_TEST(sizes_of_runs)
{
    np_mod *m = placed(text);
    np_program p = program(m);
    np_lib *l = np_backend_find("c")->load(cx, &p);
    ck_assert_ptr_nonnull(l);
    const int64_t T[] = {17, 16, 3}, N[] = {0, 16, 15};
    const char *const why[] = {"T is 17", "N is 16", NULL};
    for (size_t i = 0; i < NP_LEN(T); i++) {
        np_tensor in[] = {
            np_tensor_new(NP_F32, 2, (int64_t[]){T[i], 4}), np_tensor_new(NP_F32, 2, (int64_t[]){4, 3}),
            np_tensor_new(NP_F32, 1, (int64_t[]){4}), np_tensor_new(NP_F32, 2, (int64_t[]){N[i], 4})};
        np_tensor got[3];
        np_status st = np_lib_run(l, m->fn[0], in, got, NULL, NULL);
        ck_assert_int_eq(st, why[i] ? NP_FAIL : NP_OK);
        if (why[i]) expect_error(cx, (int)i + 1, why[i]);
        for (int k = 0; k < 3 && st == NP_OK; k++) np_tensor_free(&got[k]);
        for (size_t k = 0; k < NP_LEN(in); k++) np_tensor_free(&in[k]);
    }
    np_tensor in[] = {np_tensor_new(NP_F32, 2, (int64_t[]){2, 5}),
                      np_tensor_new(NP_F32, 2, (int64_t[]){4, 3}), np_tensor_new(NP_F32, 1, (int64_t[]){4}),
                      np_tensor_new(NP_F32, 2, (int64_t[]){0, 4})};
    np_tensor got[3];
    ck_assert_int_eq(np_lib_run(l, m->fn[0], in, got, NULL, NULL), NP_FAIL);
    expect_error(cx, 3, "x is f32[T,4]");
    for (size_t k = 0; k < NP_LEN(in); k++) np_tensor_free(&in[k]);
    np_lib_free(l);
    np_lib_free(NULL);
    np_mod_free(m);
}
END_TEST
/* Names that mean something to C or to the runtime, and sources that would end a comment. */
START_TEST(odd_names)
{
    np_mod *m = placed("dim T in 1..4 time\nweight $exp f32[2]\nweight $1.2 f32[2]\n"
                       "fn @main(%int f32[T,2], %exp f32[T,2], %T f32[T,2], %out f32[T,2]) -> (float "
                       "f32[T,2], state f32[T,2], y1 f32[T]) {\n"
                       "  %w f32[2] = weight $exp\n  %v f32[2] = weight $1.2\n"
                       "  %a f32[T,2] = expand %w axis=0 n=T\n  %b f32[T,2] = expand %v axis=0 n=T\n"
                       "  %main f32[T,2] = exp %int\n  %double f32[T,2] = mul %main %exp\n  %float f32[T,2] "
                       "= add %double %a\n"
                       "  %np_exp_f32 f32[T,2] = mul %T %b\n  %state f32[T,2] = add %np_exp_f32 %out\n"
                       "  %y1 f32[T] = reduce %state \"max\" axis=1\n"
                       "  ret %float %state %y1\n}\n");
    static const char *const names[] = {"np", "rt", "main", "42", "a b/c", ""};
    np_same_weights(m);
    for (size_t i = 0; i < NP_LEN(names); i++) {
        np_program p = program(m);
        p.name = names[i];
        p.title = "ends */ and begins /* comments\nin two lines";
        p.source = "one\ntwo */ int x; /*\nthree\nfour\nfive\nsix */\nseven /* 7\n";
        np_lib *l = np_backend_find("c")->load(cx, &p);
        ck_assert_msg(l != NULL, "%s", cx->ndiags ? cx->diag[cx->ndiags - 1].text : "?");
        np_lib_free(l);
    }
    np_mod_free(m);
}
END_TEST
START_TEST(nothing_from_null)
{
    np_mod *m = placed(text);
    np_program p = program(m);
    np_text out = {0};
    const np_backend *b = np_backend_find("null");
    ck_assert(b && !b->load && b->has(p.target, NP_EXP, np_type_scalar(cx, NP_F32)));
    ck_assert_int_eq(b->emit(cx, &p, &out), NP_OK);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_ptr_null(np_backend_find("fortran"));
    np_mod_free(m);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {every_op_is_spelled, same_bytes, loads_and_runs,   free_sizes,
                            sizes_of_runs,       odd_names,  nothing_from_null};
    return run_tests("c", setup, teardown, tests, NP_LEN(tests));
}
