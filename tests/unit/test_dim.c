/* Dims: the canonical form is one for all ways of writing an expression, and
 * neither it nor a proven bound ever disagrees with plain arithmetic. */
#include "core.h"

static np_cx *cx;
static const np_dim *T, *N, *B;

static void setup(void)
{
    cx = np_cx_new();
    T = np_dim_sym(cx, "T");
    N = np_dim_sym(cx, "N");
    B = np_dim_sym(cx, "B");
    np_dim_declare(cx, T, 1, 512, NP_ROLE_TIME);
    np_dim_declare(cx, N, 0, 511, NP_ROLE_PAST);
    np_dim_declare(cx, B, 1, 8, NP_ROLE_NONE);
}
static void teardown(void)
{
    np_cx_free(cx);
}
static const np_dim *num(int64_t k)
{
    return np_dim_const(cx, k);
}
static const np_dim *add(const np_dim *a, const np_dim *b)
{
    return np_dim_add(cx, a, b);
}
static const np_dim *mul(const np_dim *a, const np_dim *b)
{
    return np_dim_mul(cx, a, b);
}
static void expect_text(const np_dim *d, const char *text)
{
    ck_assert_str_eq(np_dim_str(cx, d), text);
}
static void expect_range(const np_dim *d, int64_t lo, int64_t hi)
{
    int64_t l, h;
    np_dim_range(d, &l, &h);
    ck_assert_int_eq(l, lo);
    ck_assert_int_eq(h, hi);
}

START_TEST(test_equal_is_same)
{
    ck_assert_ptr_eq(add(T, N), add(N, T));
    ck_assert_ptr_eq(add(T, T), mul(num(2), T));
    ck_assert_ptr_eq(mul(add(T, num(1)), N), add(mul(N, T), N));
    ck_assert_ptr_eq(np_dim_sub(cx, add(T, N), N), T);
    ck_assert_ptr_eq(np_dim_sub(cx, T, T), num(0));
    ck_assert_ptr_eq(mul(add(T, N), np_dim_sub(cx, T, N)), np_dim_sub(cx, mul(T, T), mul(N, N)));
    ck_assert_ptr_eq(mul(T, num(0)), num(0));
    ck_assert_ptr_eq(np_dim_sym(cx, "T"), T);
    ck_assert_ptr_ne(T, N);
}
END_TEST

START_TEST(test_ceil)
{
    ck_assert_ptr_eq(np_dim_ceil(cx, num(17), 16), num(2));
    ck_assert_ptr_eq(np_dim_ceil(cx, num(-17), 16), num(-1));
    ck_assert_ptr_eq(np_dim_floor(cx, num(-17), 16), num(-2));
    ck_assert_ptr_eq(np_dim_ceil(cx, mul(num(32), T), 16), mul(num(2), T));
    ck_assert_ptr_eq(np_dim_ceil(cx, add(mul(num(16), T), N), 16), add(T, np_dim_ceil(cx, N, 16)));
    ck_assert_ptr_eq(np_dim_ceil(cx, mul(num(4), T), 16), np_dim_ceil(cx, T, 4));
    ck_assert_ptr_eq(np_dim_ceil(cx, add(mul(num(2), T), num(1)), 4), add(np_dim_ceil(cx, add(T, num(1)), 2), num(0)));
    ck_assert_ptr_eq(np_dim_ceil(cx, add(mul(num(2), T), num(3)), 4), add(np_dim_ceil(cx, T, 2), num(1))); /* made smaller, it divides more */
    ck_assert_ptr_eq(np_dim_ceil(cx, np_dim_ceil(cx, T, 4), 4), np_dim_ceil(cx, T, 16));
    ck_assert_ptr_eq(np_dim_floor(cx, np_dim_floor(cx, T, 4), 8), np_dim_floor(cx, T, 32));
    ck_assert_ptr_eq(np_dim_ceil(cx, T, 1), T);
    expect_range(np_dim_ceil(cx, T, 16), 1, 32);
    expect_range(np_dim_floor(cx, T, 16), 0, 32);
    const np_dim *all = add(mul(num(2), T), N), *blocks = mul(num(16), np_dim_floor(cx, all, 16));
    expect_range(np_dim_sub(cx, all, blocks), 0, 15); /* what is left over behind whole blocks */
    expect_range(np_dim_sub(cx, mul(num(16), np_dim_ceil(cx, all, 16)), all), 0, 15);
    expect_range(np_dim_sub(cx, mul(num(8), np_dim_ceil(cx, T, 16)), T), -504, 255); /* 8 of 16: T does not cancel */
    ck_assert(np_dim_le(cx, blocks, all) && !np_dim_le(cx, all, blocks));
}
END_TEST

START_TEST(test_min_max)
{
    ck_assert_ptr_eq(np_dim_min(cx, T, num(512)), T);
    ck_assert_ptr_eq(np_dim_min(cx, T, num(1)), num(1));
    ck_assert_ptr_eq(np_dim_max(cx, T, add(T, N)), add(T, N));
    ck_assert_ptr_eq(np_dim_min(cx, num(16), T), np_dim_min(cx, T, num(16)));
    expect_text(np_dim_min(cx, num(16), T), "min(T,16)");
    expect_range(np_dim_min(cx, T, num(16)), 1, 16);
    expect_range(np_dim_max(cx, T, num(16)), 16, 512);
}
END_TEST

START_TEST(test_order_proofs)
{
    ck_assert(np_dim_le(cx, T, add(T, N)));
    ck_assert(np_dim_le(cx, num(1), T));
    ck_assert(!np_dim_le(cx, T, N)); /* 512 and 0 are possible */
    ck_assert(!np_dim_le(cx, N, T));
    ck_assert(np_dim_le(cx, T, num(512)) && !np_dim_le(cx, T, num(511)));
    np_dim_declare(cx, T, 1, 4, NP_ROLE_TIME); /* ranges count as they are when the question is asked */
    ck_assert(np_dim_le(cx, T, num(4)));
    ck_assert(np_dim_has(mul(T, B), T) && !np_dim_has(mul(N, B), T));
}
END_TEST

START_TEST(test_quot)
{
    ck_assert_ptr_eq(np_dim_quot(cx, mul(num(6), T), num(3)), mul(num(2), T));
    ck_assert_ptr_eq(np_dim_quot(cx, mul(mul(T, B), num(8)), mul(B, num(4))), mul(num(2), T));
    ck_assert_ptr_eq(np_dim_quot(cx, add(mul(T, B), B), B), add(T, num(1)));
    ck_assert_ptr_eq(np_dim_quot(cx, mul(add(T, N), num(4)), add(T, N)), num(4));
    ck_assert_ptr_eq(np_dim_quot(cx, mul(add(T, N), B), add(T, N)), B);
    ck_assert_ptr_eq(np_dim_quot(cx, num(0), T), num(0));
    ck_assert_ptr_null(np_dim_quot(cx, T, num(2)));
    ck_assert_ptr_null(np_dim_quot(cx, add(T, num(1)), T));
    ck_assert_ptr_null(np_dim_quot(cx, T, num(0)));
    ck_assert_ptr_null(np_dim_quot(cx, num(0), num(0)));
    ck_assert_ptr_null(np_dim_quot(cx, mul(T, T), add(T, num(1))));
}
END_TEST

START_TEST(test_text)
{
    expect_text(add(mul(num(2), T), num(1)), "2*T+1");
    expect_text(add(T, N), "N+T");
    expect_text(np_dim_sub(cx, N, T), "N-1*T");
    expect_text(np_dim_sub(cx, T, num(3)), "T-3");
    expect_text(np_dim_ceil(cx, add(T, N), 16), "ceil((N+T)/16)");
    expect_text(np_dim_ceil(cx, T, 16), "ceil(T/16)");
    expect_text(mul(mul(B, T), num(-4)), "-4*B*T");
}
END_TEST

/* The text of a dim tells nothing of what was made before it. */
START_TEST(test_text_has_no_history)
{
    np_cx *other = np_cx_new();
    const np_dim *n = np_dim_sym(other, "N"), *b = np_dim_sym(other, "B"), *t = np_dim_sym(other, "T");
    np_dim_declare(other, t, 1, 512, NP_ROLE_TIME);
    np_dim_declare(other, n, 0, 511, NP_ROLE_PAST);
    const np_dim *x = np_dim_add(other, np_dim_mul(other, n, b), np_dim_ceil(other, t, 16));
    x = np_dim_add(other, np_dim_min(other, np_dim_const(other, 7), t), x);
    const np_dim *y = add(np_dim_ceil(cx, T, 16), np_dim_min(cx, T, num(7)));
    ck_assert_str_eq(np_dim_str(other, x), np_dim_str(cx, add(y, mul(B, N))));
    np_cx_free(other);
}
END_TEST

START_TEST(test_saturates)
{
    int64_t most = INT64_MAX / 4;
    ck_assert_ptr_eq(num(INT64_MAX), num(most));
    ck_assert_ptr_eq(num(INT64_MIN), num(-most));
    ck_assert_ptr_eq(mul(num(INT64_MAX), num(INT64_MIN)), num(-most));
    ck_assert_ptr_eq(add(num(most), num(most)), num(most));
    ck_assert_ptr_eq(np_dim_ceil(cx, num(most), INT64_MAX), num(1));
    ck_assert_ptr_eq(np_dim_ceil(cx, num(-most), INT64_MAX), num(0));
    const np_dim *wide = np_dim_sym(cx, "wide"); /* 0..2^31-1; its cube is beyond any int64 */
    const np_dim *cube = mul(wide, mul(wide, wide));
    expect_range(cube, 0, most);
    expect_range(np_dim_sub(cx, cube, num(5)), -5, most);
    ck_assert(!np_dim_le(cx, cube, num(most))); /* out of reach is not a proof */
    expect_range(np_dim_ceil(cx, np_dim_add(cx, cube, num(1)), 1000), 1, most);
}
END_TEST

/* However it is nested, a dim stays small enough to be walked. */
START_TEST(test_bounded)
{
    const np_dim *d = T;
    for (int i = 0; i < 5000; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        const np_dim *s = np_dim_sym(cx, name);
        d = i % 3 == 0   ? np_dim_min(cx, add(d, s), mul(s, num(3)))
            : i % 3 == 1 ? mul(d, add(s, d))
                         : np_dim_ceil(cx, add(d, s), 7);
        ck_assert_int_le(d->size, 256);
    }
    for (int i = 0; i < 5000; i++) {
        d = mul(d, T);
        ck_assert_int_le(d->size, 256);
    }
}
END_TEST

/* Questions about what exists take no memory, however often they are asked. */
START_TEST(test_questions_are_free)
{
    const np_dim *a = add(T, N), *d = add(mul(num(3), T), N);
    ck_assert(np_dim_le(cx, a, d));
    size_t used = cx->perm.used;
    for (int i = 0; i < 1000; i++) ck_assert(np_dim_le(cx, a, d) && add(T, N) == a);
    ck_assert_uint_eq(cx->perm.used, used);
}
END_TEST

START_TEST(test_subst_and_symbols)
{
    const np_dim *d = add(np_dim_ceil(cx, add(N, T), 16), np_dim_min(cx, mul(T, B), num(9))), **all;
    ck_assert_ptr_eq(np_dim_subst(cx, d, T, num(1)),
                     add(np_dim_ceil(cx, add(N, num(1)), 16), B)); /* B is at most 8 */
    ck_assert_ptr_eq(np_dim_subst(cx, d, np_dim_sym(cx, "other"), num(1)), d);
    ck_assert_ptr_eq(np_dim_subst(cx, add(T, N), T, np_dim_sub(cx, B, N)), B);
    ck_assert_int_eq(np_dim_syms(cx, &all), 4);
    ck_assert(all[0] == T && all[1] == N && all[2] == B && strcmp(all[3]->name, "other") == 0);
    ck_assert_int_eq(T->role, NP_ROLE_TIME);
}
END_TEST

START_TEST(test_env)
{
    np_env e = {0};
    int64_t v;
    ck_assert(!np_dim_eval(T, &e, &v));
    np_env_set(&e, T, 5);
    np_env_set(&e, N, 3);
    np_env_set(&e, T, 6);
    ck_assert_int_eq(e.n, 2);
    ck_assert(np_dim_eval(add(mul(T, N), num(2)), &e, &v) && v == 20);
    ck_assert(!np_dim_eval(mul(T, B), &e, &v));
    ck_assert(np_env_get(&e, N, &v) && v == 3 && !np_env_get(&e, B, &v));
}
END_TEST

/* ---- random expressions, with their value by plain arithmetic beside them */
enum { SYMS = 4, ENVS = 6 };
typedef struct world {
    const np_dim *sym[SYMS];
    np_env env[ENVS];
    uint64_t seed;
} world;
typedef struct pair {
    const np_dim *d;
    int64_t v[ENVS];
} pair;

static uint32_t roll(world *w, uint32_t n)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->seed >> 33) % n;
}
static int64_t plain_floor(int64_t a, int64_t k)
{
    int64_t q = a / k;
    while (q * k > a) q--;
    while ((q + 1) * k <= a) q++;
    return q;
}
static pair make(world *w, int depth)
{
    pair r = {0};
    uint32_t what = depth == 0 ? roll(w, 2) : roll(w, 9);
    if (what == 0) {
        int64_t k = (int64_t)roll(w, 21) - 8;
        r.d = num(k);
        for (int e = 0; e < ENVS; e++) r.v[e] = k;
        return r;
    }
    if (what == 1) {
        r.d = w->sym[roll(w, SYMS)];
        for (int e = 0; e < ENVS; e++) ck_assert(np_env_get(&w->env[e], r.d, &r.v[e]));
        return r;
    }
    pair a = make(w, depth - 1), b = what < 7 ? make(w, depth - 1) : a;
    int64_t k = 1 + roll(w, 12);
    switch (what) {
    case 2: r.d = np_dim_add(cx, a.d, b.d); break;
    case 3: r.d = np_dim_sub(cx, a.d, b.d); break;
    case 4: r.d = np_dim_mul(cx, a.d, b.d); break;
    case 5: r.d = np_dim_min(cx, a.d, b.d); break;
    case 6: r.d = np_dim_max(cx, a.d, b.d); break;
    case 7: r.d = np_dim_ceil(cx, a.d, k); break;
    default: r.d = np_dim_floor(cx, a.d, k); break;
    }
    for (int e = 0; e < ENVS; e++) {
        int64_t x = a.v[e], y = b.v[e];
        r.v[e] = what == 2   ? x + y
                 : what == 3 ? x - y
                 : what == 4 ? x * y
                 : what == 5 ? (x < y ? x : y)
                 : what == 6 ? (x > y ? x : y)
                 : what == 7 ? -plain_floor(-x, k)
                             : plain_floor(x, k);
    }
    return r;
}
static void check_pair(world *w, pair p)
{
    int64_t lo, hi, v;
    if (np_dim_is(p.d, INT64_MAX / 4)) return; /* grew too big */
    np_dim_range(p.d, &lo, &hi);
    for (int e = 0; e < ENVS; e++) {
        ck_assert(np_dim_eval(p.d, &w->env[e], &v));
        ck_assert_msg(v == p.v[e], "%s is %lld, not %lld", np_dim_str(cx, p.d), (long long)v,
                      (long long)p.v[e]);
        ck_assert_msg(lo <= v && v <= hi, "%s: %lld is outside %lld..%lld", np_dim_str(cx, p.d), (long long)v,
                      (long long)lo, (long long)hi);
    }
}
static void fresh_world(world *w)
{
    static const char *const name[SYMS] = {"a", "b", "c", "d"};
    memset(w->env, 0, sizeof w->env);
    for (int i = 0; i < SYMS; i++) {
        int64_t lo = (int64_t)roll(w, 8) - 3, hi = lo + roll(w, 30);
        w->sym[i] = np_dim_sym(cx, name[i]);
        np_dim_declare(cx, w->sym[i], lo, hi, NP_ROLE_NONE);
        for (int e = 0; e < ENVS; e++)
            np_env_set(&w->env[e], w->sym[i],
                       e == 0   ? lo
                       : e == 1 ? hi
                                : lo + roll(w, (uint32_t)(hi - lo + 1)));
    }
}

START_TEST(test_random_against_arithmetic)
{
    world w = {.seed = 1};
    int proofs = 0;
    for (int i = 0; i < 4000; i++) {
        if (i % 200 == 0) { /* min and max are folded by ranges, so other ranges want another context */
            teardown();
            setup();
            fresh_world(&w);
        }
        pair p = make(&w, 1 + i % 4), q = make(&w, 1 + i % 3);
        check_pair(&w, p);
        if (np_dim_le(cx, p.d, q.d) && ++proofs)
            for (int e = 0; e < ENVS; e++) ck_assert_int_le(p.v[e], q.v[e]);
        const np_dim *back = np_dim_quot(cx, p.d, q.d);
        if (back && !np_dim_is(p.d, INT64_MAX / 4) && !np_dim_is(q.d, INT64_MAX / 4))
            ck_assert_ptr_eq(np_dim_mul(cx, back, q.d), p.d);
        const np_dim *gone = np_dim_subst(cx, p.d, w.sym[0], w.sym[1]);
        ck_assert(!np_dim_has(gone, w.sym[0]));
    }
    ck_assert_int_gt(proofs, 100); /* the question was not idle */
}
END_TEST

/* A sum or product in another order is the same dim. */
START_TEST(test_random_orders)
{
    world w = {.seed = 7};
    fresh_world(&w);
    for (int i = 0; i < 500; i++) {
        const np_dim *x = make(&w, 2).d, *y = make(&w, 2).d, *z = make(&w, 2).d;
        ck_assert_ptr_eq(add(add(x, y), z), add(z, add(y, x)));
        ck_assert_ptr_eq(mul(x, add(y, z)), add(mul(z, x), mul(y, x)));
        ck_assert_ptr_eq(np_dim_sub(cx, add(x, y), y), x);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_equal_is_same,
                                  test_ceil,
                                  test_min_max,
                                  test_order_proofs,
                                  test_quot,
                                  test_text,
                                  test_text_has_no_history,
                                  test_saturates,
                                  test_bounded,
                                  test_questions_are_free,
                                  test_subst_and_symbols,
                                  test_env,
                                  test_random_against_arithmetic,
                                  test_random_orders};
    return run_tests("dim", setup, teardown, tests, NP_LEN(tests));
}
