/* The proof that masks hide later positions, against brute force: random
 * predicates of positions and random arithmetic behind them. Whenever a step is
 * derived the pieces must give the whole, and no later key may matter; and most
 * of what brute force finds causal should be found by the proof, too. */
#include "core.h"

#include "passes/passes.h"
#include "tests/same.h"

#include <math.h>

enum { LEN = 9, PROGRAMS = 1500 };

static np_cx *cx;
static np_mod *m;
static uint64_t state;

static void setup(void)
{
    cx = np_cx_new();
    m = np_mod_new(cx, "random");
    state = 88172645463325252u;
}
static void teardown(void)
{
    np_mod_free(m);
    np_cx_free(cx);
}
static int below(int n)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (int)(state % (uint64_t)n);
}

typedef struct maker {
    np_build *b;
    const np_type *ints, *floats, *bools; /* [T, N+T] */
    np_node *t, *j;                       /* positions */
    np_node *score;
} maker;

static np_node *integer(maker *w, int depth)
{
    static const np_op op[] = {NP_ADD, NP_SUB, NP_SUB, NP_MUL, NP_IDIV, NP_MOD, NP_MIN, NP_MAX};
    if (depth == 0 || below(4) == 0) {
        int k = below(5);
        return k < 2 ? w->t : k < 4 ? w->j : np_build_num(w->b, w->ints, below(7) - 2);
    }
    np_op o = op[below((int)NP_LEN(op))];
    np_node *x = integer(w, depth - 1);
    np_node *y = o == NP_ADD || o == NP_SUB || o == NP_MIN || o == NP_MAX
                     ? integer(w, depth - 1)
                     : np_build_num(w->b, w->ints, 1 + below(4));
    return np_build_2(w->b, o, x, y);
}
static np_node *predicate(maker *w, int depth)
{
    static const np_op op[] = {NP_LT, NP_LE, NP_LT, NP_LE, NP_EQ, NP_NE};
    int k = depth == 0 ? 0 : below(6);
    if (k < 2) {
        bool plain = below(3) == 0; /* what people write */
        np_node *x = plain ? w->j : integer(w, 2), *y = plain ? w->t : integer(w, 2);
        return np_build_2(w->b, op[below((int)NP_LEN(op))], x, y);
    }
    np_node *x = predicate(w, depth - 1);
    if (k == 2) return np_build_1(w->b, NP_NOT, x);
    np_node *y = predicate(w, depth - 1);
    if (k == 3) return np_build_2(w->b, NP_OR, x, y);
    if (k == 4) return np_build_2(w->b, NP_AND, x, y);
    return np_build_3(w->b, NP_SELECT, predicate(w, 0), x, y);
}
/* Numbers behind a mask. */
static np_node *number(maker *w, np_node *mask, int depth)
{
    static const double put[] = {0, 0, 0, -INFINITY, -INFINITY, 1, -3};
    static const np_op one[] = {NP_EXP, NP_ABS, NP_TANH, NP_SIGMOID, NP_NEG},
                       two[] = {NP_ADD, NP_SUB, NP_MUL, NP_MAX, NP_MIN};
    if (depth == 0)
        return np_build_3(w->b, NP_SELECT, mask, w->score,
                          np_build_num(w->b, w->floats, put[below((int)NP_LEN(put))]));
    int k = below(7);
    np_node *x = number(w, mask, depth - 1);
    if (k < 3) return np_build_1(w->b, one[below((int)NP_LEN(one))], x);
    if (k == 3) return np_build_3(w->b, NP_SELECT, predicate(w, 0), x, number(w, mask, 0));
    if (k == 4) return np_build_2(w->b, NP_MUL, x, np_build_cast(w->b, mask, NP_F32));
    np_node *y = below(2) ? w->score : number(w, mask, depth - 1);
    return np_build_2(w->b, two[below((int)NP_LEN(two))], x, y);
}

/* main(q, k, v) = sum over j of p v; the mask and p come out as well where `open`. */
static np_fn *make(const char *name, bool open)
{
    const np_dim *T = np_dim_sym(cx, "T"), *N = np_dim_sym(cx, "N"), *all = np_dim_add(cx, N, T);
    const np_dim *row[] = {T, all}, *in[] = {T, np_dim_const(cx, 2)};
    np_fn *f = np_fn_new(m, name, NP_STAGE_TENSOR);
    np_build *b = np_build_new(f);
    maker w = {.b = b};
    np_node *x[3];
    for (int i = 0; i < 3; i++)
        x[i] =
            np_build_param(b, NP_IN, (const char *[]){"q", "k", "v"}[i], np_type_tensor(cx, NP_F32, 2, in));
    w.floats = np_type_tensor(cx, NP_F32, 2, row);
    w.ints = np_type_with(cx, w.floats, NP_I32);
    np_extra past = {.attr = {np_dim_const(cx, 0), N}};
    np_node *k = np_build_op(b, NP_APPEND, 1, &x[1], &past), *v = np_build_op(b, NP_APPEND, 1, &x[2], &past);
    np_node *t = np_build_2(b, NP_ADD, np_build_iota(b, T), np_build_expand(b, np_build_size(b, N), 0, T));
    w.t = np_build_expand(b, t, 1, all);
    w.j = np_build_expand(b, np_build_iota(b, all), 0, T);
    w.score = np_build_contract(b, x[0], k, "ta,ja->tj");
    np_node *mask = predicate(&w, 2), *p = number(&w, mask, below(3));
    np_node *out[] = {np_build_contract(b, p, v, "tj,jv->tv"), mask, p};
    np_build_ret(b, open ? 3 : 1, (const char *[]){"o", "mask", "p"}, open ? 3 : 1, out);
    np_fn_sweep(f);
    return f;
}
static bool all_finite(const np_tensor *x)
{
    for (int64_t i = 0; i < np_tensor_count(x); i++)
        if (!(x->data[i] - x->data[i] == 0)) return false;
    return true;
}
/* Is p 0 wherever j > t, whatever the keys are? Of two sets of keys and queries. */
static bool blind(const np_tensor *p)
{
    for (int64_t t = 0; t < LEN; t++)
        for (int64_t j = t + 1; j < LEN; j++)
            if (p->data[t * LEN + j] != 0) return false;
    return true;
}

START_TEST(random_masks)
{
    np_dim_declare(cx, np_dim_sym(cx, "T"), 1, 64, NP_ROLE_TIME);
    np_dim_declare(cx, np_dim_sym(cx, "N"), 0, 63, NP_ROLE_PAST);
    int proved = 0, causal = 0;
    for (int i = 0; i < PROGRAMS; i++) {
        np_tensor in[3], out[3];
        np_text why = {0};
        uint64_t before = state;
        np_fn *open = make("open", true);
        state = before;
        np_mod_put(m, make("main", false));
        for (int k = 0; k < 3; k++) {
            in[k] = np_tensor_new(NP_F32, 2, (int64_t[]){LEN, 2});
            np_tensor_random(&in[k], (uint64_t)(3 * i + k));
        }
        ck_assert(np_eval(open, in, out, NULL, (np_eval_opts){.exact = true}) == NP_OK);
        bool zero = all_finite(&out[2]) && blind(&out[2]);
        ck_assert(np_stream_derive(m) == NP_OK);
        bool step = np_mod_fn(m, "step") != NULL;
        causal += zero, proved += step && zero;
        if (step && !(zero || !all_finite(&out[2]))) {
            np_print_fn(&why, open, (np_print_opts){0});
            ck_abort_msg("program %d looks ahead and has a step:\n%s", i, why.s);
        }
        if (step && all_finite(&out[2]))
            ck_assert_msg(np_same_pieces(m, in, 3, (int64_t[]){1, 3, 2}, 1e-12, &why), "program %d: %s", i,
                          why.s);
        for (int k = 0; k < 3; k++) np_tensor_free(&in[k]), np_tensor_free(&out[k]);
        np_fn_free(open);
        for (int k = 0; k < 4; k++) np_mod_drop(m, (const char *[]){"step", "prefill", "init", "whole"}[k]);
        np_arena_free(&cx->tmp);
    }
    ck_assert_msg(causal > PROGRAMS / 20 && proved * 10 > causal * 7, "%d of %d causal programs were proved",
                  proved, causal);
    if (getenv("NP_VERBOSE")) printf("%d of %d causal programs were proved\n", proved, causal);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {random_masks};
    return run_tests("causal", setup, teardown, tests, NP_LEN(tests));
}
