/* The interpreter against computations that share nothing with it: sums and
 * recurrences written out in C. It is the oracle of all other tests, so each
 * kind of operation has one here. Sizes are bound from shapes; rounding to the
 * declared type is that of C's own float. */
#include "core.h"

#include <math.h>

static np_cx *cx;
static np_mod *mod;
static np_tensor in[8], out[8];
static int nin, nout;

static void setup(void)
{
    cx = np_cx_new();
    mod = NULL;
    nin = nout = 0;
}
static void teardown(void)
{
    for (int i = 0; i < nin; i++) np_tensor_free(&in[i]);
    for (int i = 0; i < nout; i++) np_tensor_free(&out[i]);
    np_mod_free(mod);
    np_cx_free(cx);
}
/* ---- inputs, the function in text, its results */
static double *give(np_dtype d, int rank, int64_t a, int64_t b, int64_t c)
{
    int64_t dim[3] = {a, b, c};
    in[nin] = np_tensor_new(d, rank, dim);
    np_tensor_random(&in[nin], 77 + (uint64_t)nin);
    return in[nin++].data;
}
static const np_fn *function(const char *text)
{
    mod = np_parse(cx, "t.np", text, strlen(text));
    if (!mod) np_diag_print(cx, NP_ERROR, stderr);
    ck_assert_ptr_nonnull(mod);
    return mod->fn[mod->nfns - 1];
}
static void run_with(const char *text, np_eval_opts o, const np_env *e)
{
    const np_fn *f = function(text);
    ck_assert_int_eq(f->ninputs + f->nstates, nin);
    ck_assert_int_eq(np_eval(f, in, out, e, o), NP_OK);
    nout = f->nouts + f->nstates;
}
static void run(const char *text)
{
    run_with(text, (np_eval_opts){.exact = true}, NULL);
}
static void same(int i, int64_t at, double want)
{
    double got = out[i].data[at];
    ck_assert_msg(fabs(got - want) <= 1e-12 * fmax(1, fabs(want)) || (isnan(got) && isnan(want)) ||
                      got == want,
                  "result %d at %lld: %.17g, not %.17g", i, (long long)at, got, want);
}

START_TEST(contract_small)
{
    double *x = give(NP_F32, 3, 2, 3, 4), *y = give(NP_F32, 3, 4, 2, 5);
    run("fn @f(%x f32[2,3,4], %y f32[4,2,5]) {\n"
        "  %a = contract %x %y \"bik,kbj->jib\"\n" /* a batch, a sum, and the result's own order */
        "  %b = contract %x %y \"bik,kcj->\"\n" /* everything is summed, some letters in one operand only */
        "  %c = contract %x %x \"bik,bik->b\"\n"
        "  ret %a %b %c\n}\n");
    double all = 0;
    for (int b = 0; b < 2; b++) {
        double square = 0;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 5; j++) {
                double s = 0;
                for (int k = 0; k < 4; k++) s += x[(b * 3 + i) * 4 + k] * y[(k * 2 + b) * 5 + j];
                same(0, (j * 3 + i) * 2 + b, s);
            }
        for (int i = 0; i < 12; i++) square += x[b * 12 + i] * x[b * 12 + i];
        same(2, b, square);
    }
    for (int k = 0; k < 4; k++) {
        double sx = 0, sy = 0;
        for (int i = 0; i < 6; i++) sx += x[i * 4 + k];
        for (int i = 0; i < 10; i++) sy += y[k * 10 + i];
        all += sx * sy;
    }
    same(1, 0, all);
}
END_TEST
/* Large enough for the other way of computing it. */
START_TEST(contract_large)
{
    enum { B = 3, M = 40, N = 50, K = 30 };
    double *x = give(NP_F32, 3, M, B, K), *y = give(NP_F32, 3, B, K, N);
    run("fn @f(%x f32[40,3,30], %y f32[3,30,50]) {\n  %a = contract %x %y \"mbk,bkn->nbm\"\n  ret %a\n}\n");
    for (int b = 0; b < B; b++)
        for (int m = 0; m < M; m++)
            for (int n = 0; n < N; n++) {
                double s = 0;
                for (int k = 0; k < K; k++) s += x[(m * B + b) * K + k] * y[(b * K + k) * N + n];
                same(0, (n * B + b) * M + m, s);
            }
}
END_TEST
START_TEST(contract_integers)
{
    double *x = give(NP_I8, 1, 9, 0, 0);
    for (int i = 0; i < 9; i++) x[i] = 100 - i;
    run("fn @f(%x i8[9]) {\n  %a = contract %x %x \"k,k->\"\n  %s = reduce %x \"sum\" axis=0\n  ret %a "
        "%s\n}\n");
    int8_t a = 0, s = 0;
    for (int i = 0; i < 9; i++) a = (int8_t)(a + (100 - i) * (100 - i)), s = (int8_t)(s + 100 - i);
    same(0, 0, a);
    same(1, 0, s);
}
END_TEST

START_TEST(softmax)
{
    double *x = give(NP_F64, 2, 4, 7, 0);
    run("fn @f(%x f64[4,7]) {\n  %m = reduce %x \"max\" axis=1\n  %me = expand %m axis=1 n=7\n  %d = sub %x "
        "%me\n"
        "  %e = exp %d\n  %s = reduce %e \"sum\" axis=1\n  %se = expand %s axis=1 n=7\n  %p = div %e %se\n  "
        "ret %p\n}\n");
    for (int i = 0; i < 4; i++) {
        double sum = 0;
        for (int k = 0; k < 7; k++) sum += exp(x[i * 7 + k]);
        for (int k = 0; k < 7; k++) same(0, i * 7 + k, exp(x[i * 7 + k]) / sum);
    }
}
END_TEST
START_TEST(reduce_axes)
{
    double *x = give(NP_F32, 3, 3, 4, 2);
    run("dim N in 0..4\nfn @f(%x f32[3,4,2]) {\n  %a = reduce %x \"max\" axis=0\n  %b = reduce %x \"min\" "
        "axis=1\n"
        "  %c = slice %x axis=1 from=2 n=0\n  %d = reduce %c \"max\" axis=1\n  %e = reduce %c \"sum\" "
        "axis=1\n"
        "  ret %a %b %d %e\n}\n");
    for (int k = 0; k < 8; k++) same(0, k, fmax(x[k], fmax(x[8 + k], x[16 + k])));
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) {
            const double *p = x + i * 8 + k;
            same(1, i * 2 + k, fmin(fmin(p[0], p[2]), fmin(p[4], p[6])));
            same(2, i * 2 + k, -INFINITY);
            same(3, i * 2 + k, 0);
        }
}
END_TEST

START_TEST(moves)
{
    double *x = give(NP_F32, 2, 6, 5, 0);
    run("fn @f(%x f32[6,5]) {\n  %s = split %x axis=0 n=2\n  %p = permute %s \"abc->bca\"\n  %m = merge %p "
        "axis=1\n"
        "  %l = slice %x axis=1 from=1 n=3\n  %at = at %x axis=0 i=4\n  %pad = pad -7 %l axis=0 before=2 "
        "after=1\n"
        "  %cat = concat %l %x axis=1\n  ret %m %l %at %pad %cat\n}\n");
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 5; j++) {
            same(0, ((i % 2) * 5 + j) * 3 + i / 2, x[i * 5 + j]);
            if (j >= 1 && j < 4)
                same(1, i * 3 + j - 1, x[i * 5 + j]), same(3, (i + 2) * 3 + j - 1, x[i * 5 + j]);
            if (i == 4) same(2, j, x[i * 5 + j]);
            if (j >= 1 && j < 4) same(4, i * 8 + j - 1, x[i * 5 + j]);
            same(4, i * 8 + 3 + j, x[i * 5 + j]);
        }
    for (int k = 0; k < 3; k++) same(3, k, -7), same(3, 3 + k, -7), same(3, 24 + k, -7);
}
END_TEST
START_TEST(windows)
{
    double *x = give(NP_F32, 2, 4, 2, 0), *past = give(NP_F32, 2, 2, 2, 0);
    run("fn @f(%x f32[4,2], %p f32[2,2]) {\n  %a = window %x axis=0 n=3\n  %b = window %x %p axis=0 n=3\n"
        "  %c = append %x %p axis=0 n=2\n  ret %a %b %c\n}\n");
    for (int t = 0; t < 4; t++)
        for (int c = 0; c < 2; c++)
            for (int w = 0; w < 3; w++) {
                int k = t + w - 2;
                same(0, (t * 2 + c) * 3 + w, k < 0 ? 0 : x[k * 2 + c]);
                same(1, (t * 2 + c) * 3 + w, k < 0 ? past[(k + 2) * 2 + c] : x[k * 2 + c]);
            }
    for (int i = 0; i < 12; i++) same(2, i, i < 4 ? past[i] : x[i - 4]);
}
END_TEST
START_TEST(gathers)
{
    double *t = give(NP_F32, 3, 2, 5, 3), *i = give(NP_I32, 2, 2, 4, 0);
    i[0] = -3, i[1] = 4, i[2] = 99; /* clamped into the axis */
    run("fn @f(%t f32[2,5,3], %i i32[2,4]) {\n  %a = gather %t %i batch=1\n  %b = at %t axis=0 i=1\n"
        "  %c = gather %b %i\n  ret %a %c\n}\n");
    for (int b = 0; b < 2; b++)
        for (int p = 0; p < 4; p++) {
            int k = (int)i[b * 4 + p];
            k = k < 0 ? 0 : k > 4 ? 4 : k;
            for (int c = 0; c < 3; c++) {
                same(0, (b * 4 + p) * 3 + c, t[(b * 5 + k) * 3 + c]);
                same(1, (b * 4 + p) * 3 + c, t[(5 + k) * 3 + c]);
            }
        }
}
END_TEST

/* A gated sum with a counter beside it, forwards and backwards. */
START_TEST(scans)
{
    double *x = give(NP_F64, 2, 6, 3, 0), *g = give(NP_F64, 1, 6, 0, 0), *s = give(NP_F64, 1, 3, 0, 0);
    double *n = give(NP_I32, 0, 0, 0, 0);
    static const char body[] =
        "    with %xt f64[3], %gt f64, %st f64[3], %nt i32\n    %ge = expand %gt axis=0 n=3\n"
        "    %d = mul %st %ge\n    %u = add %d %xt\n    %one i32 = const 1\n    %m = add %nt %one\n"
        "    yield %st %u %m\n  }\n";
    char text[2048];
    snprintf(
        text, sizeof text,
        "fn @f(%%x f64[6,3], %%g f64[6], %%s f64[3], %%n i32) {\n  %%r = scan %%x %%g %%s %%n seq=2 n=6 {\n%s"
        "  %%q = scan %%x %%g %%s %%n seq=2 n=6 back=1 {\n%s"
        "  %%a = pick %%r i=0\n  %%b = pick %%r i=1\n  %%c = pick %%r i=2\n  %%d = pick %%q i=0\n  %%e = "
        "pick %%q i=1\n"
        "  ret %%a %%b %%c %%d %%e\n}\n",
        body, body);
    run(text);
    for (int back = 0; back < 2; back++) {
        double state[3] = {s[0], s[1], s[2]};
        for (int k = 0; k < 6; k++) {
            int t = back ? 5 - k : k;
            for (int i = 0; i < 3; i++) {
                same(back ? 3 : 0, t * 3 + i, state[i]); /* read before it is written */
                state[i] = state[i] * g[t] + x[t * 3 + i];
            }
        }
        for (int i = 0; i < 3; i++) same(back ? 4 : 1, i, state[i]);
    }
    same(2, 0, n[0] + 6);
}
END_TEST
START_TEST(conds_and_calls)
{
    double *x = give(NP_F64, 1, 3, 0, 0), *c = give(NP_BOOL, 0, 0, 0, 0);
    for (int side = 0; side < 2; side++) {
        *c = side;
        run("fn @twice(%x f64[3]) {\n  %y = add %x %x\n  ret %y %x\n}\n"
            "fn @f(%x f64[3], %c bool) {\n  %r = cond %c {\n    %t = call @twice %x\n    %a = pick %t i=0\n  "
            "  %s = reduce %x "
            "\"sum\" axis=0\n    yield %a %s\n  } else {\n    %n = neg %x\n    %z f64 = const 5\n    yield "
            "%n %z\n  }\n"
            "  %a = pick %r i=0\n  %b = pick %r i=1\n  ret %a %b\n}\n");
        for (int i = 0; i < 3; i++) same(0, i, side ? 2 * x[i] : -x[i]);
        same(1, 0, side ? x[0] + x[1] + x[2] : 5);
        np_tensor_free(&out[0]), np_tensor_free(&out[1]);
        nout = 0;
        np_mod_free(mod);
        mod = NULL;
    }
}
END_TEST

/* ---- rounding: what C's float makes of the same operations in the same order */
START_TEST(single_precision)
{
    double *x = give(NP_F32, 1, 20, 0, 0), *y = give(NP_F32, 1, 20, 0, 0);
    run_with("fn @f(%x f32[20], %y f32[20]) {\n  %a = mul %x %y\n  %b = add %a %x\n  %c = div %b %y\n  %s = "
             "reduce %c \"sum\" "
             "axis=0\n  %d = contract %x %y \"k,k->\"\n  %e = cast %c \"f16\"\n  %g = cast %e \"f32\"\n  ret "
             "%c %s %d %g\n}\n",
             (np_eval_opts){0}, NULL);
    volatile float sum = 0, dot = 0;
    for (int i = 0; i < 20; i++) {
        volatile float p = (float)x[i] * (float)y[i], q = p + (float)x[i], r = q / (float)y[i];
        sum += r;
        dot += p;
        ck_assert(out[0].data[i] == (double)r);
        ck_assert(out[3].data[i] == np_round_to(NP_F16, (double)r));
    }
    ck_assert(out[1].data[0] == (double)sum);
    ck_assert(fabs(out[2].data[0] - (double)dot) < 1e-5);
}
END_TEST
/* Noise moves what was rounded, by a unit at most, and leaves whole numbers alone. */
START_TEST(noise)
{
    double *x = give(NP_F32, 1, 50, 0, 0);
    static const char text[] =
        "fn @f(%x f32[50]) {\n  %c f32[50] = const 3\n  %i = iota n=50\n  %w = cast %i \"f32\"\n"
        "  %a = mul %x %c\n  %b = mul %w %c\n  %p = neg %x\n  ret %a %b\n}\n";
    run_with(text, (np_eval_opts){.noise = 9}, NULL);
    int moved = 0;
    for (int i = 0; i < 50; i++) {
        double want = (double)((float)x[i] * 3.0f);
        ck_assert(fabs(out[0].data[i] - want) <= fabs(want) * 0x1p-23);
        moved += out[0].data[i] != want;
        ck_assert(out[1].data[i] == 3 * i);
    }
    ck_assert_int_ge(moved, 40);
}
END_TEST

/* ---- sizes */
START_TEST(sizes_are_bound)
{
    give(NP_F32, 1, 7, 0, 0), give(NP_F32, 1, 4, 0, 0);
    run("dim T in 1..8 time\ndim N in 0..8 past\nfn @f(%a f32[N+T], %x f32[T]) {\n  %t = size n=T\n  %n = "
        "size n=N\n"
        "  %i = iota n=N+T\n  %l = at %i axis=0 i=N\n  ret %t %n %l\n}\n");
    same(0, 0, 4);
    same(1, 0, 3);
    same(2, 0, 3);
}
END_TEST
START_TEST(sizes_that_no_input_has)
{
    np_env e = {0};
    np_env_set(&e, np_dim_sym(cx, "B"), 5);
    run_with("dim T in 1..8 time\ndim N in 0..8 past\ndim B in 1..8\nfn @f() {\n  %t = size n=T\n  %n = size "
             "n=N\n  %b = size n=B\n"
             "  ret %t %n %b\n}\n",
             (np_eval_opts){.exact = true}, &e);
    same(0, 0, 1);
    same(1, 0, 0);
    same(2, 0, 5);
}
END_TEST
static void refused(const char *text, const char *message)
{
    const np_fn *f = function(text);
    ck_assert_int_eq(np_eval(f, in, out, NULL, (np_eval_opts){.exact = true}), NP_FAIL);
    expect_error(cx, 1, message);
    np_mod_free(mod);
    mod = NULL;
}
START_TEST(shapes_that_disagree)
{
    give(NP_F32, 2, 3, 4, 0);
    refused("fn @f(%x f32[3,5]) {\n  ret %x\n}\n", "x is f32[3,5], and [3,4] was given");
}
END_TEST
START_TEST(another_rank)
{
    give(NP_F32, 2, 3, 4, 0);
    refused("fn @f(%x f32[3]) {\n  ret %x\n}\n", "x is f32[3], and [3,4] was given");
}
END_TEST
START_TEST(one_symbol_two_sizes)
{
    give(NP_F32, 2, 3, 4, 0);
    refused("dim T in 1..8\nfn @f(%x f32[T,T]) {\n  ret %x\n}\n", "x is f32[T,T], and [3,4] was given");
}
END_TEST
START_TEST(a_sum_that_is_too_small)
{
    give(NP_F32, 1, 3, 0, 0), give(NP_F32, 1, 4, 0, 0);
    refused("dim T in 1..8\ndim N in 0..8\nfn @f(%x f32[N+T], %y f32[T]) {\n  ret %x\n}\n",
            "x is f32[N+T], and [3] was given");
}
END_TEST
START_TEST(what_cannot_be_solved)
{
    give(NP_F32, 1, 6, 0, 0);
    refused("dim T in 1..8\nfn @f(%x f32[2*T]) {\n  ret %x\n}\n", "x is f32[2*T], and [6] was given");
}
END_TEST

/* ---- loops */
START_TEST(loops_and_memory)
{
    double *x = give(NP_F32, 2, 3, 4, 0);
    run("fn @f(%x f32[3,4], out %y f32[4], out %n i64) stage=loop {\n  group \"columns\" {\n    %zero f32 = "
        "const 0\n"
        "    loop n=4 {\n      with %j i64\n      %s = loop %zero n=3 {\n        with %i i64, %sum f32\n     "
        "   %v = load %x %i %j\n"
        "        %next = add %sum %v\n        yield %next\n      }\n      store %y %s %j\n      yield\n    "
        "}\n"
        "    %z i64 = const 0\n    %c = loop %z n=9 from=1 step=3 {\n      with %k i64, %was i64\n      %now "
        "= add %was %k\n"
        "      yield %now\n    }\n    store %n %c\n    yield\n  }\n  ret\n}\n");
    for (int j = 0; j < 4; j++) same(0, j, x[j] + x[4 + j] + x[8 + j]);
    same(1, 0, 1 + 4 + 7);
}
END_TEST
/* The rows that are valid come and go; what was never written shows. */
START_TEST(states_that_grow)
{
    double *x = give(NP_F32, 1, 2, 0, 0), *k = give(NP_F32, 1, 3, 0, 0);
    run("dim T in 1..4 time\ndim N in 0..4 past\nfn @f(%x f32[T], state %k f32[8] grow=0, out %y f32) "
        "stage=loop {\n"
        "  %n = size n=N\n  %from = cast %n \"i64\"\n  group \"g\" {\n    loop n=T {\n      with %i i64\n    "
        "  %v = load %x %i\n"
        "      %j = add %i %from\n      store %k %v %j\n      yield\n    }\n    %last i64 = const 7\n    %w "
        "= load %k %last\n"
        "    store %y %w\n    yield\n  }\n  ret\n}\n");
    same(0, 0, NAN);
    ck_assert_int_eq(out[1].dim[0], 5);
    for (int i = 0; i < 5; i++) same(1, i, i < 3 ? k[i] : x[i - 3]);
}
END_TEST
START_TEST(loads_of_nothing)
{
    give(NP_F32, 2, 0, 3, 0);
    run("dim N in 0..4\nfn @f(%x f32[N,3], out %y f32) stage=loop {\n  group \"g\" {\n    %z i64 = const 0\n "
        "   %i i64 = const 2\n"
        "    %v = load %x %z %i\n    store %y %v\n    yield\n  }\n  ret\n}\n");
    same(0, 0, NAN);
}
END_TEST

/* ---- weights */
START_TEST(stored_weights)
{
    static const float w[6] = {1, 2, 3, 4, 5, 6};
    static const uint16_t h[2] = {0x3c00, 0xc000}; /* 1 and -2 in f16 */
    const np_fn *f =
        function("weight $w f32[2,3]\nweight $w.ba f32[3,2] = {\n  %0 = weight $w\n  %1 = permute %0 \"ab->ba\"\n  ret %1\n}\nweight $h f16[2]\n"
                 "fn @f() {\n  %a = weight $w\n  %b = weight $w.ba\n  %c = weight $h\n  ret %a %b %c\n}\n");
    np_weight *a = np_mod_weight(mod, "w"), *c = np_mod_weight(mod, "h");
    a->data = w, a->stored = NP_F32;
    c->data = h, c->stored = NP_F16;
    ck_assert_int_eq(np_eval(f, in, out, NULL, (np_eval_opts){.exact = true}), NP_OK);
    nout = 3;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) same(0, i * 3 + j, w[i * 3 + j]), same(1, j * 2 + i, w[i * 3 + j]);
    same(2, 0, 1);
    same(2, 1, -2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {contract_small,
                                  contract_large,
                                  contract_integers,
                                  softmax,
                                  reduce_axes,
                                  moves,
                                  windows,
                                  gathers,
                                  scans,
                                  conds_and_calls,
                                  single_precision,
                                  noise,
                                  sizes_are_bound,
                                  sizes_that_no_input_has,
                                  shapes_that_disagree,
                                  another_rank,
                                  one_symbol_two_sizes,
                                  a_sum_that_is_too_small,
                                  what_cannot_be_solved,
                                  loops_and_memory,
                                  states_that_grow,
                                  loads_of_nothing,
                                  stored_weights};
    return run_tests("eval", setup, teardown, tests, NP_LEN(tests));
}
