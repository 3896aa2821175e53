/* What operations mean on plain numbers: small integers against C's own, all of
 * them; floats where a careless formula loses them; narrow floats bit by bit. */
#include "core.h"

#include <math.h>

static void setup(void) {}
static void teardown(void) {}
static double op2(np_op op, np_dtype d, double a, double b)
{
    return np_fold_number(op, d, (double[]){a, b});
}
static double op1(np_op op, double a)
{
    return np_fold_number(op, NP_F64, &a);
}

/* ---- every pair of 8-bit integers */
static int wrap8(int v, bool is_signed)
{
    v &= 255;
    return is_signed && v > 127 ? v - 256 : v;
}
static int down(int a, int b) /* floor(a/b) without dividing negatives */
{
    int q = 0;
    bool minus = (a < 0) != (b < 0);
    int x = abs(a), y = abs(b);
    while ((q + 1) * y <= x) q++;
    return !minus ? q : q * y == x ? -q : -q - 1;
}
static int c_result(np_op op, int a, int b, int (*quotient)[512])
{
    int q = b ? quotient[a + 256][b + 256] : 0;
    switch (op) {
    case NP_ADD: return a + b;
    case NP_SUB: return a - b;
    case NP_MUL: return a * b;
    case NP_IDIV: return q;
    case NP_MOD: return b ? a - q * b : 0;
    case NP_MIN: return a < b ? a : b;
    case NP_MAX: return a > b ? a : b;
    case NP_AND: return a & b;
    case NP_OR: return a | b;
    case NP_XOR: return a ^ b;
    case NP_SHL: return b < 0 || b > 7 ? 0 : a * (1 << b);
    case NP_SHR: return b < 0 || b > 7 ? 0 : down(a, 1 << b);
    case NP_LT: return a < b;
    case NP_LE: return a <= b;
    case NP_EQ: return a == b;
    default: return a != b;
    }
}
START_TEST(test_small_integers)
{
    static const np_op ops[] = {NP_ADD, NP_SUB, NP_MUL, NP_IDIV, NP_MOD, NP_MIN, NP_MAX, NP_AND,
                                NP_OR,  NP_XOR, NP_SHL, NP_SHR,  NP_LT,  NP_LE,  NP_EQ,  NP_NE};
    static int quotient[512][512];
    for (int a = -256; a < 256; a++)
        for (int b = -256; b < 256; b++) quotient[a + 256][b + 256] = b ? down(a, b) : 0;
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        np_dtype d = is_signed ? NP_I8 : NP_U8;
        int lo = is_signed ? -128 : 0;
        for (size_t i = 0; i < NP_LEN(ops); i++)
            for (int a = lo; a < lo + 256; a++)
                for (int b = lo; b < lo + 256; b++) {
                    double want = wrap8(c_result(ops[i], a, b, quotient), is_signed),
                           got = op2(ops[i], d, a, b);
                    if (got != want)
                        ck_abort_msg("%s of %d and %d (%s): %g, not %g", np_op_info(ops[i])->text, a, b,
                                     np_dtype_text(d), got, want);
                }
        for (int a = lo; a < lo + 256; a++) {
            double x = a;
            ck_assert_double_eq(np_fold_number(NP_NEG, d, &x), wrap8(-a, is_signed));
            ck_assert_double_eq(np_fold_number(NP_ABS, d, &x), wrap8(abs(a), is_signed));
            ck_assert_double_eq(np_fold_number(NP_NOT, d, &x), wrap8(~a, is_signed));
        }
    }
}
END_TEST

START_TEST(test_wide_integers)
{
    ck_assert_double_eq(op2(NP_ADD, NP_I32, INT32_MAX, 1), INT32_MIN);
    ck_assert_double_eq(op2(NP_MUL, NP_I32, 65536, 65536), 0);
    ck_assert_double_eq(op2(NP_MUL, NP_I32, 50000, 50000), 50000.0 * 50000 - 0x1p32);
    ck_assert_double_eq(op2(NP_MUL, NP_I32, 0x1p31 - 1, 0x1p31 - 1), 1); /* needs 62 bits */
    ck_assert_double_eq(op2(NP_IDIV, NP_I32, INT32_MIN, -1), INT32_MIN);
    ck_assert_double_eq(op2(NP_IDIV, NP_I64, -0x1p53 + 1, 2), -0x1p52);
    ck_assert_double_eq(op2(NP_IDIV, NP_I64, 0x1p53 - 1, 0x1p53 - 2), 1);
    ck_assert_double_eq(op2(NP_IDIV, NP_I64, -0x1p63, -1), 0x1p63 - 1024); /* as near as a double comes */
    ck_assert_double_eq(op2(NP_MOD, NP_I64, 0x1p53 - 1, 10), 1);           /* 9007199254740991 */
    ck_assert_double_eq(op2(NP_SHL, NP_I32, 1, 31), INT32_MIN);
    ck_assert_double_eq(op2(NP_SHR, NP_I32, -1, 31), -1);
    ck_assert_double_eq(op2(NP_SHR, NP_I32, -1, 32), 0);
}
END_TEST

START_TEST(test_bools)
{
    for (int a = 0; a < 2; a++) {
        double x = a;
        ck_assert_double_eq(np_fold_number(NP_NOT, NP_BOOL, &x), !a);
        for (int b = 0; b < 2; b++) {
            ck_assert_double_eq(op2(NP_AND, NP_BOOL, a, b), a && b);
            ck_assert_double_eq(op2(NP_OR, NP_BOOL, a, b), a || b);
            ck_assert_double_eq(op2(NP_XOR, NP_BOOL, a, b), a != b);
        }
        ck_assert_double_eq(np_fold_number(NP_SELECT, NP_F32, (double[]){a, 5, 7}), a ? 5 : 7);
    }
}
END_TEST

/* ---- floats, against known digits of e^-40, log 2, erf 1 and tanh 1/2 */
static void near(double got, double want)
{
    ck_assert_msg(fabs(got - want) <= 4e-16 * fabs(want), "%.17g, not %.17g", got, want);
}
START_TEST(test_floats_keep_their_digits)
{
    const double tiny = 4.248354255291588995329235e-18; /* e^-40 */
    near(op1(NP_SIGMOID, -40), tiny);
    near(op1(NP_SOFTPLUS, -40), tiny);
    near(op1(NP_SIGMOID, 0), 0.5);
    near(op1(NP_SOFTPLUS, 0), 0.69314718055994530942);
    near(op1(NP_LOG1P, 1e-20), 1e-20);
    near(op1(NP_SOFTPLUS, 800), 800);
    near(op1(NP_SIGMOID, 800), 1);
    ck_assert_double_eq(op1(NP_SIGMOID, -800), 0);
    ck_assert_double_eq(op1(NP_SOFTPLUS, -800), 0);
    for (double x = -30; x < 30; x += 0.37) {
        ck_assert_double_le(fabs(op1(NP_SOFTPLUS, x) - op1(NP_SOFTPLUS, -x) - x), 1e-14 * (1 + fabs(x)));
        ck_assert_double_le(fabs(op1(NP_SIGMOID, x) + op1(NP_SIGMOID, -x) - 1), 1e-15);
    }
    near(op1(NP_ERF, 1), 0.84270079294971486934);
    near(op1(NP_RSQRT, 4), 0.5);
    near(op1(NP_TANH, 0.5), 0.46211715726000975850);
    near(op2(NP_POW, NP_F64, 2, -10), 0x1p-10);
}
END_TEST

START_TEST(test_floats_at_the_edges)
{
    static const np_op unary[] = {NP_NEG,   NP_ABS,  NP_FLOOR,   NP_EXP,      NP_LOG,
                                  NP_LOG1P, NP_SQRT, NP_RSQRT,   NP_RECIP,    NP_SIN,
                                  NP_COS,   NP_TANH, NP_SIGMOID, NP_SOFTPLUS, NP_ERF};
    for (size_t i = 0; i < NP_LEN(unary); i++)
        ck_assert_msg(isnan(op1(unary[i], NAN)), "%s of nan", np_op_info(unary[i])->text);
    static const np_op binary[] = {NP_ADD, NP_SUB, NP_MUL, NP_DIV, NP_MIN, NP_MAX, NP_MOD, NP_IDIV};
    for (size_t i = 0; i < NP_LEN(binary); i++) {
        ck_assert(isnan(op2(binary[i], NP_F32, NAN, 1)));
        ck_assert(isnan(op2(binary[i], NP_F32, 1, NAN)));
    }
    ck_assert(op1(NP_RSQRT, 0) == INFINITY && op1(NP_RECIP, -0.0) == -INFINITY && isnan(op1(NP_SQRT, -1)));
    ck_assert(op1(NP_SIGMOID, INFINITY) == 1 && op1(NP_SIGMOID, -INFINITY) == 0);
    ck_assert(op1(NP_SOFTPLUS, INFINITY) == INFINITY && op1(NP_SOFTPLUS, -INFINITY) == 0);
    ck_assert(op1(NP_FLOOR, -0.5) == -1 && op1(NP_EXP, -INFINITY) == 0);
    ck_assert_double_eq(op2(NP_MOD, NP_F64, -1, 3), 2);
    ck_assert_double_eq(op2(NP_MOD, NP_F64, 1, -3), -2);
    ck_assert_double_eq(op2(NP_MOD, NP_F64, 5.5, -2), -0.5);
    ck_assert_double_eq(op2(NP_IDIV, NP_F64, -7, 2), -4);
    ck_assert(isnan(op2(NP_MOD, NP_F64, 1, 0)) && op2(NP_DIV, NP_F64, 1, 0) == INFINITY);
    ck_assert(op2(NP_LT, NP_F64, NAN, 1) == 0 && op2(NP_EQ, NP_F64, NAN, NAN) == 0 &&
              op2(NP_NE, NP_F64, NAN, NAN) == 1);
}
END_TEST

START_TEST(test_casts)
{
    static const struct {
        np_dtype to;
        double v, want;
    } row[] = {{NP_I32, 3.9, 3},          {NP_I32, -3.9, -3},
               {NP_I32, -0.3, 0},         {NP_I64, -0.3, 0},
               {NP_I8, 130, -126},        {NP_U8, -1, 255},
               {NP_U8, 256.7, 0},         {NP_I32, 0x1p31, -0x1p31},
               {NP_I64, 1e15, 1e15},      {NP_BOOL, 0.1, 1},
               {NP_BOOL, -0.0, 0},        {NP_I32, NAN, 0},
               {NP_BF16, 1.00390625, 1}, /* a tie: to even */
               {NP_F16, 65520, INFINITY}, {NP_F16, 65519, 65504},
               {NP_F16, 0x1p-25, 0},      {NP_F16, 0x1.8p-25, 0x1p-24}};
    for (size_t i = 0; i < NP_LEN(row); i++) {
        double got = np_fold_number(NP_CAST, row[i].to, &row[i].v);
        ck_assert_msg(got == row[i].want && (got != 0 || !signbit(got)), "%g to %s: %g, not %g", row[i].v, np_dtype_text(row[i].to), got,
                      row[i].want);
    }
}
END_TEST

/* ---- narrow floats: each stands where it is, halfway goes to the even one */
static void narrow(np_dtype d, unsigned infinity)
{
    for (unsigned h = 0; h < infinity; h++) {
        double v = np_half_to_double(d, (uint16_t)h), next = np_half_to_double(d, (uint16_t)(h + 1)),
               tie = (v + next) / 2;
        if (h + 1 == infinity)
            tie = v + (v - np_half_to_double(d, (uint16_t)(h - 1))) / 2; /* where the next one would be */
        double even = h % 2 == 0 ? v : next;
        ck_assert_double_eq(np_round_to(d, v), v);
        ck_assert_double_eq(np_round_to(d, tie), even);
        ck_assert_double_eq(np_round_to(d, nextafter(tie, 0)), v);
        ck_assert_double_eq(np_round_to(d, nextafter(tie, INFINITY)), next);
        ck_assert_double_eq(np_round_to(d, -v), np_half_to_double(d, (uint16_t)(h | 0x8000)));
        ck_assert_double_eq(np_round_to(d, -tie), -even);
    }
    ck_assert_double_eq(np_half_to_double(d, (uint16_t)infinity), INFINITY);
    ck_assert(isnan(np_half_to_double(d, (uint16_t)(infinity + 1))) && isnan(np_round_to(d, NAN)));
    ck_assert_double_eq(np_round_to(d, 1e300), INFINITY);
}
START_TEST(test_narrow_floats)
{
    ck_assert_double_eq(np_half_to_double(NP_F16, 0x3c00), 1);
    ck_assert_double_eq(np_half_to_double(NP_F16, 0x0001), 0x1p-24);
    ck_assert_double_eq(np_half_to_double(NP_F16, 0x7bff), 65504);
    ck_assert_double_eq(np_half_to_double(NP_BF16, 0xbf80), -1);
    ck_assert_double_eq(np_half_to_double(NP_BF16, 0x0001), 0x1p-133);
    narrow(NP_F16, 0x7c00);
    narrow(NP_BF16, 0x7f80);
}
END_TEST

START_TEST(test_neutral)
{
    for (int d = NP_I8; d < NP_NDTYPES; d++)
        for (int op = NP_MIN; op <= NP_MAX; op++) {
            double least = np_round_to((np_dtype)d, np_fold_neutral((np_op)op, (np_dtype)d));
            for (double x = 0; x < 256; x += 51) {
                double v[2] = {least, np_round_to((np_dtype)d, x)};
                ck_assert_double_eq(np_fold_number((np_op)op, (np_dtype)d, v), v[1]);
            }
        }
    ck_assert_double_eq(np_fold_neutral(NP_MAX, NP_I8), -128);
    ck_assert_double_eq(np_fold_neutral(NP_MIN, NP_I32), 2147483647);
    ck_assert_double_eq(np_fold_neutral(NP_MAX, NP_U8), 0);
    ck_assert_double_eq(np_fold_neutral(NP_ADD, NP_F32), 0);
}
END_TEST

START_TEST(test_constants)
{
    ck_assert_double_eq(np_round_const(NP_F32, 0.1), 0.1); /* all digits, until it is used */
    ck_assert_double_eq(np_round_to(NP_F32, 0.1), (double)0.1f);
    ck_assert_double_eq(np_round_const(NP_F64, 0.1), 0.1);
    ck_assert_double_eq(np_round_const(NP_F16, 0.1), 0.1);
    ck_assert_double_eq(np_round_const(NP_BF16, 0.1), 0.1);
    ck_assert_double_eq(np_round_const(NP_F16, 1e6), INFINITY);
    ck_assert_double_eq(np_round_const(NP_F16, 1e-9), 0);
    ck_assert_double_eq(np_round_const(NP_F32, 1e39), INFINITY);
    ck_assert_double_eq(np_round_const(NP_F32, 1e-60), 0);
    ck_assert_double_eq(np_round_const(NP_I8, 200), -56);
    ck_assert(isnan(np_round_const(NP_F32, -NAN)) && !signbit(np_round_const(NP_F32, -NAN)));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_small_integers,      test_wide_integers, test_bools,         test_floats_keep_their_digits,
        test_floats_at_the_edges, test_casts,         test_narrow_floats, test_neutral,      test_constants};
    return run_tests("number", setup, teardown, tests, NP_LEN(tests));
}
