/* Folding: what the builder answers instead of a new node, and where it must
 * not. Only structure is looked at; that the meaning stays is for the text tests
 * and the random programs, which evaluate. */
#include "core.h"

#include <math.h>

static np_cx *cx;
static np_mod *m;
static np_build *b;
static np_node *x, *i, *p, *q; /* f32[T,6], i32[T,6], bool[T,6] twice */
static const np_dim *T, *N;
static const np_type *xt, *it;

static const np_dim *num(int64_t k)
{
    return np_dim_const(cx, k);
}
static const np_type *tensor(np_dtype d, int rank, const np_dim *r, const np_dim *s)
{
    return np_type_tensor(cx, d, rank, (const np_dim *[]){r, s});
}
static void setup(void)
{
    cx = np_cx_new();
    m = np_mod_new(cx, "m");
    np_fn *f = np_fn_new(m, "main", NP_STAGE_TENSOR);
    np_mod_put(m, f);
    b = np_build_new(f);
    T = np_dim_sym(cx, "T");
    N = np_dim_sym(cx, "N");
    np_dim_declare(cx, T, 1, 512, NP_ROLE_TIME);
    np_dim_declare(cx, N, 0, 512, NP_ROLE_PAST);
    xt = tensor(NP_F32, 2, T, num(6));
    it = np_type_with(cx, xt, NP_I32);
    x = np_build_param(b, NP_IN, "x", xt);
    i = np_build_param(b, NP_IN, "i", it);
    p = np_build_param(b, NP_IN, "p", np_type_with(cx, xt, NP_BOOL));
    q = np_build_param(b, NP_IN, "q", p->type);
}
static void teardown(void)
{
    ck_assert_int_eq(cx->nerrors, 0); /* each test builds only what is right */
    np_mod_free(m);
    np_cx_free(cx);
}
static np_node *f32(double v)
{
    return np_build_num(b, xt, v);
}
static np_node *i32(double v)
{
    return np_build_num(b, it, v);
}
static void expect_num(const np_node *n, const np_type *t, double v)
{
    ck_assert_int_eq(n->op, NP_CONST);
    ck_assert_ptr_eq(n->type, t);
    ck_assert(!n->data && n->num == v && signbit(n->num) == signbit(v));
}
static void expect_op(const np_node *n, np_op op)
{
    ck_assert_msg(n->op == op, "%s, not %s", np_op_info(n->op)->text, np_op_info(op)->text);
}

START_TEST(test_neutral)
{
    ck_assert_ptr_eq(np_build_2(b, NP_ADD, x, f32(0)), x);
    ck_assert_ptr_eq(np_build_2(b, NP_ADD, f32(0), x), x);
    ck_assert_ptr_eq(np_build_2(b, NP_SUB, x, f32(0)), x);
    ck_assert_ptr_eq(np_build_2(b, NP_MUL, x, f32(1)), x);
    ck_assert_ptr_eq(np_build_2(b, NP_MUL, f32(1), x), x);
    ck_assert_ptr_eq(np_build_2(b, NP_DIV, x, f32(1)), x);
    ck_assert_ptr_eq(np_build_2(b, NP_POW, x, f32(1)), x);
    ck_assert_ptr_eq(np_build_2(b, NP_MAX, x, x), x);
    ck_assert_ptr_eq(np_build_1(b, NP_NEG, np_build_1(b, NP_NEG, x)), x);
    ck_assert_ptr_eq(np_build_1(b, NP_NOT, np_build_1(b, NP_NOT, p)), p);
    ck_assert_ptr_eq(np_build_cast(b, x, NP_F32), x);
    ck_assert_ptr_eq(np_build_2(b, NP_IDIV, i, i32(1)), i);
    ck_assert_ptr_eq(np_build_2(b, NP_SHL, i, i32(0)), i);
    ck_assert_ptr_eq(np_build_2(b, NP_XOR, i, i32(0)), i);
    ck_assert_ptr_eq(np_build_2(b, NP_OR, i, i32(0)), i);
    ck_assert_ptr_eq(np_build_2(b, NP_AND, p, p), p);
    expect_op(np_build_2(b, NP_SUB, f32(0), x), NP_SUB);
    expect_op(np_build_2(b, NP_DIV, f32(1), x), NP_DIV);
}
END_TEST

START_TEST(test_absorbing)
{
    np_node *yes = np_build_num(b, p->type, 1), *no = np_build_num(b, p->type, 0);
    expect_num(np_build_2(b, NP_MUL, i, i32(0)), it, 0);
    expect_num(np_build_2(b, NP_SUB, i, i), it, 0);
    expect_num(np_build_2(b, NP_XOR, i, i), it, 0);
    expect_num(np_build_2(b, NP_MOD, i, i32(1)), it, 0);
    expect_num(np_build_2(b, NP_AND, i, i32(0)), it, 0);
    expect_num(np_build_2(b, NP_LE, i, i), p->type, 1);
    expect_num(np_build_2(b, NP_NE, i, i), p->type, 0);
    ck_assert_ptr_eq(np_build_2(b, NP_AND, p, yes), p);
    ck_assert_ptr_eq(np_build_2(b, NP_AND, no, p), no);
    ck_assert_ptr_eq(np_build_2(b, NP_OR, p, yes), yes);
}
END_TEST

/* x may be infinite or NaN. */
START_TEST(test_floats_that_must_stay)
{
    expect_op(np_build_2(b, NP_MUL, x, f32(0)), NP_MUL);
    expect_op(np_build_2(b, NP_SUB, x, x), NP_SUB);
    expect_op(np_build_2(b, NP_DIV, x, x), NP_DIV);
    expect_op(np_build_2(b, NP_EQ, x, x), NP_EQ);
    expect_op(np_build_2(b, NP_LE, x, x), NP_LE);
    expect_op(np_build_2(b, NP_IDIV, x, f32(1)), NP_IDIV); /* rounds down */
    expect_op(np_build_2(b, NP_MOD, x, f32(1)), NP_MOD);
    expect_op(np_build_2(b, NP_SUB, x, f32(-0.0)), NP_SUB); /* -0 - -0 is 0 */
    np_node *once = np_build_2(b, NP_ADD, x, f32(0.1));
    expect_op(np_build_2(b, NP_ADD, once, f32(0.2))->arg[0], NP_ADD); /* another rounding */
}
END_TEST

START_TEST(test_select)
{
    np_node *y = np_build_1(b, NP_EXP, x), *yes = np_build_num(b, p->type, 1),
            *no = np_build_num(b, p->type, 0);
    ck_assert_ptr_eq(np_build_3(b, NP_SELECT, p, x, x), x);
    ck_assert_ptr_eq(np_build_3(b, NP_SELECT, yes, x, y), x);
    ck_assert_ptr_eq(np_build_3(b, NP_SELECT, no, x, y), y);
    expect_op(np_build_3(b, NP_SELECT, p, x, y), NP_SELECT);
}
END_TEST

START_TEST(test_integer_chains)
{
    np_node *a = np_build_2(b, NP_ADD, np_build_2(b, NP_ADD, i, i32(3)), i32(4));
    ck_assert_ptr_eq(a->arg[0], i);
    expect_num(a->arg[1], it, 7);
    ck_assert_ptr_eq(np_build_2(b, NP_SUB, a, i32(7)), i);
    np_node *c = np_build_2(b, NP_MUL, i32(3), np_build_2(b, NP_MUL, i, i32(5)));
    ck_assert_ptr_eq(c->arg[0], i);
    expect_num(c->arg[1], it, 15);
    np_node *d =
        np_build_2(b, NP_ADD, np_build_2(b, NP_ADD, i, i32(INT32_MAX)), i32(1)); /* wraps as the sum would */
    expect_num(d->arg[1], it, INT32_MIN);
}
END_TEST

START_TEST(test_constants)
{
    const np_type *s = np_type_scalar(cx, NP_F32), *k = np_type_scalar(cx, NP_I8),
                  *t = np_type_scalar(cx, NP_BOOL);
    expect_num(np_build_2(b, NP_ADD, f32(0.5), f32(2)), xt, 2.5);
    expect_num(np_build_1(b, NP_EXP, np_build_num(b, s, 0)), s, 1);
    expect_num(np_build_2(b, NP_ADD, np_build_num(b, k, 100), np_build_num(b, k, 100)), k, -56);
    expect_num(np_build_2(b, NP_LT, np_build_num(b, k, 1), np_build_num(b, k, 2)), t, 1);
    expect_num(np_build_cast(b, i32(3), NP_F32), xt, 3);
    expect_num(np_build_cast(b, np_build_num(b, s, -2.5), NP_I8), k, -2);
    expect_num(np_build_2(b, NP_MUL, np_build_num(b, s, 0.1), np_build_num(b, s, 0.1)), s,
               0.1 * 0.1); /* f32 keeps its digits */
    double v[] = {1, 2, 3}, w[] = {4, 9, 16};
    const np_type *three = tensor(NP_F64, 1, num(3), NULL);
    np_node *sum = np_build_2(b, NP_ADD, np_build_list(b, three, v), np_build_num(b, three, 0.5));
    ck_assert(sum->op == NP_CONST && sum->data[0] == 1.5 && sum->data[2] == 3.5);
    np_node *root = np_build_1(b, NP_SQRT, np_build_list(b, three, w));
    ck_assert(root->op == NP_CONST && root->data[0] == 2 && root->data[1] == 3 && root->data[2] == 4);
}
END_TEST

/* 0.999999999 is 1 as an f32 holds it, so what jumps there waits. */
START_TEST(test_constants_that_jump)
{
    const np_type *s = np_type_scalar(cx, NP_F32);
    np_node *almost = np_build_num(b, s, 0.999999999), *one = np_build_num(b, s, 1);
    expect_op(np_build_1(b, NP_FLOOR, almost), NP_FLOOR);
    expect_op(np_build_cast(b, almost, NP_I32), NP_CAST);
    expect_op(np_build_cast(b, almost, NP_F64), NP_CAST);
    expect_op(np_build_2(b, NP_LT, almost, one), NP_LT);
    expect_op(np_build_2(b, NP_EQ, almost, one), NP_EQ);
    expect_num(np_build_1(b, NP_FLOOR, np_build_num(b, s, 1.5)), s, 1);
    expect_num(np_build_1(b, NP_FLOOR, np_build_num(b, np_type_scalar(cx, NP_F64), 0.999999999)),
               np_type_scalar(cx, NP_F64), 0);
}
END_TEST

START_TEST(test_powers)
{
    np_node *s = np_build_2(b, NP_POW, x, f32(2));
    ck_assert(s->op == NP_MUL && s->arg[0] == x && s->arg[1] == x);
    expect_op(np_build_2(b, NP_POW, x, f32(0.5)), NP_SQRT);
    expect_op(np_build_2(b, NP_POW, x, f32(-0.5)), NP_RSQRT);
    expect_op(np_build_2(b, NP_POW, x, f32(-1)), NP_RECIP);
    expect_op(np_build_2(b, NP_POW, x, f32(3)), NP_POW);
}
END_TEST

START_TEST(test_same_value_everywhere)
{
    np_node *two = f32(2);
    const np_type *wide = np_type_insert(cx, xt, 1, num(3));
    expect_num(np_build_expand(b, two, 1, num(3)), wide, 2);
    expect_num(np_build_permute(b, two, "ab->ba"), tensor(NP_F32, 2, num(6), T), 2);
    expect_num(np_build_split(b, two, 1, num(2)), np_type_insert(cx, tensor(NP_F32, 2, T, num(2)), 1, num(3)),
               2);
    expect_num(np_build_merge(b, two, 0), tensor(NP_F32, 1, np_dim_mul(cx, num(6), T), NULL), 2);
    expect_num(np_build_slice(b, two, 1, num(1), num(4)), tensor(NP_F32, 2, T, num(4)), 2);
    expect_num(np_build_at(b, two, 0, num(0)), tensor(NP_F32, 1, num(6), NULL), 2);
    expect_num(np_build_reduce(b, two, "max", 0), tensor(NP_F32, 1, num(6), NULL), 2);
    expect_op(np_build_reduce(b, two, "sum", 0), NP_REDUCE);
    np_node *empty = np_build_num(b, tensor(NP_F32, 1, N, NULL), 2);
    expect_op(np_build_reduce(b, empty, "max", 0), NP_REDUCE); /* of nothing it is -inf */
    np_extra pad = {.num = 2, .attr = {num(1), num(1), num(0)}};
    expect_num(np_build_op(b, NP_PAD, 1, &two, &pad), tensor(NP_F32, 2, T, num(7)), 2);
    pad.num = 3;
    expect_op(np_build_op(b, NP_PAD, 1, &two, &pad), NP_PAD);
}
END_TEST

START_TEST(test_permutes)
{
    np_node *c = np_build_expand(b, x, 2, num(3)), *t = np_build_permute(b, c, "abc->cab");
    ck_assert_ptr_eq(np_build_permute(b, x, "th->th"), x);
    ck_assert_ptr_eq(np_build_permute(b, t, "xyz->yzx"), c);
    np_node *u = np_build_permute(b, t, "xyz->yxz"); /* c,a,b -> a,c,b */
    ck_assert_ptr_eq(u->arg[0], c);
    ck_assert_str_eq(np_type_str(cx, u->type), "f32[T,3,6]");
    ck_assert_str_eq(u->sym, "abc->acb");
}
END_TEST

START_TEST(test_splits_and_merges)
{
    np_node *s = np_build_split(b, x, 1, num(2)), *mg = np_build_merge(b, x, 0);
    ck_assert_ptr_eq(np_build_merge(b, s, 1), x);
    expect_op(np_build_merge(b, s, 0), NP_MERGE);
    ck_assert_ptr_eq(np_build_split(b, mg, 0, num(6)), x);
    expect_op(np_build_split(b, mg, 0, num(3)), NP_SPLIT); /* other sizes than before */
}
END_TEST

START_TEST(test_slices)
{
    np_node *s = np_build_slice(b, x, 1, num(1), num(4)), *e = np_build_expand(b, x, 1, num(8));
    ck_assert_ptr_eq(np_build_slice(b, x, 1, num(0), num(6)), x);
    np_node *u = np_build_slice(b, s, 1, num(2), num(2));
    ck_assert(u->arg[0] == x && np_dim_is(u->attr[1], 3) && np_dim_is(u->attr[2], 2));
    expect_op(np_build_slice(b, s, 0, num(0), num(1))->arg[0], NP_SLICE); /* another axis */
    np_node *a = np_build_at(b, s, 1, num(3));
    ck_assert(a->arg[0] == x && np_dim_is(a->attr[1], 4));
    ck_assert_ptr_eq(np_build_at(b, e, 1, num(5)), x);
    expect_op(np_build_at(b, e, 2, num(5)), NP_AT);
    ck_assert_ptr_eq(np_build_slice(b, e, 1, num(2), num(3)), np_build_expand(b, x, 1, num(3)));
}
END_TEST

START_TEST(test_nothing_to_do)
{
    np_node *v = np_build_num(b, tensor(NP_F32, 2, num(0), num(6)), 0);
    ck_assert_ptr_eq(np_build_op(b, NP_PAD, 1, &x, &(np_extra){.num = 5, .attr = {num(1), num(0), num(0)}}),
                     x);
    ck_assert_ptr_eq(np_build_op(b, NP_CONCAT, 1, &x, &(np_extra){.attr = {num(1)}}), x);
    ck_assert_ptr_eq(np_build_op(b, NP_APPEND, 1, &x, &(np_extra){.attr = {num(0), num(0)}}), x);
    ck_assert_ptr_eq(np_build_op(b, NP_APPEND, 2, (np_node *[]){x, v}, &(np_extra){.attr = {num(0), num(0)}}),
                     x);
    expect_op(np_build_op(b, NP_APPEND, 1, &x, &(np_extra){.attr = {num(0), N}}), NP_APPEND);
    ck_assert_ptr_eq(np_build_op(b, NP_WINDOW, 1, &x, &(np_extra){.attr = {num(0), num(1)}}),
                     np_build_expand(b, x, 2, num(1)));
    np_node *one = np_build_slice(b, x, 0, num(0), num(1));
    ck_assert_ptr_eq(np_build_reduce(b, one, "sum", 0), np_build_at(b, x, 0, num(0)));
    ck_assert_ptr_eq(np_build_pick(b, x, 0), x);
}
END_TEST

START_TEST(test_sizes)
{
    const np_type *s = np_type_scalar(cx, NP_I32);
    expect_num(np_build_size(b, num(12)), s, 12);
    expect_op(np_build_size(b, T), NP_SIZE);
    expect_num(np_build_iota(b, num(1)), tensor(NP_I32, 1, num(1), NULL), 0);
    ck_assert_ptr_eq(np_build_at(b, np_build_iota(b, np_dim_add(cx, T, N)), 0, N), np_build_size(b, N));
    expect_num(np_build_at(b, np_build_iota(b, num(9)), 0, num(4)), s, 4);
}
END_TEST

/* A contraction reads a permuted operand as it lies. */
START_TEST(test_contract_of_permute)
{
    np_node *w = np_build_param(b, NP_IN, "w", tensor(NP_F32, 2, num(3), num(6)));
    np_node *c = np_build_contract(b, x, np_build_permute(b, w, "oi->io"), "tk,kn->tn");
    ck_assert(c->op == NP_CONTRACT && c->arg[0] == x && c->arg[1] == w);
    ck_assert_str_eq(c->sym, "tk,nk->tn");
    ck_assert_str_eq(np_type_str(cx, c->type), "f32[T,3]");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_neutral,
                                  test_absorbing,
                                  test_floats_that_must_stay,
                                  test_select,
                                  test_integer_chains,
                                  test_constants,
                                  test_constants_that_jump,
                                  test_powers,
                                  test_same_value_everywhere,
                                  test_permutes,
                                  test_splits_and_merges,
                                  test_slices,
                                  test_nothing_to_do,
                                  test_sizes,
                                  test_contract_of_permute};
    return run_tests("fold", setup, teardown, tests, NP_LEN(tests));
}
