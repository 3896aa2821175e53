/* The meaning of every elementwise operation on plain numbers, for constants
 * and for the interpreter alike: f64 arithmetic on values as the element type
 * holds them. Integers wrap at their width; what C leaves undefined has a value
 * here (division by zero gives 0, shifts outside the width give 0). */
#include "ir.h"

#include <math.h>
#include <string.h>

/* To `mantissa` bits and exponents from `least`, ties to even; beyond `most`: infinity. */
static double narrow(double v, int mantissa, int least, double most)
{
    int e;
    if (v == 0 || !isfinite(v)) return v;
    frexp(v, &e);
    int unit =
        e - mantissa > least ? e - mantissa : least; /* exponent of the last bit: larger for denormals */
    double r = ldexp(nearbyint(ldexp(v, -unit)), unit);
    return fabs(r) > most ? copysign(INFINITY, v) : r;
}
static double wrap(double v, int bits, bool is_signed)
{
    double span = ldexp(1, bits), r;
    if (!isfinite(v)) return 0;
    v = trunc(v) + 0; /* there is no -0 */
    if (bits == 64)
        return v >= 0x1p63    ? 0x1p63 - 1024
               : v <= -0x1p63 ? -0x1p63
                              : v; /* a double holds 53 bits: near is all there is */
    r = v - floor(v / span) * span;
    return is_signed && r >= span / 2 ? r - span : r;
}
double np_round_to(np_dtype d, double v)
{
    if (v != v && np_dtype_class(d) == 'F') return NAN; /* one NaN, whatever made it */
    switch (d) {
    case NP_BOOL: return v != 0;
    case NP_I8: return wrap(v, 8, true);
    case NP_U8: return wrap(v, 8, false);
    case NP_I32: return wrap(v, 32, true);
    case NP_I64: return wrap(v, 64, true);
    case NP_F16: return narrow(v, 11, -24, 65504);
    case NP_BF16: return narrow(v, 8, -133, 0x1.fep127);
    case NP_F32: return (double)(float)v;
    default: return v;
    }
}

double np_round_const(np_dtype d, double v)
{
    double r = np_round_to(d, v);
    return np_dtype_class(d) == 'F' && isfinite(r) && r != 0 ? v : r;
}

double np_half_to_double(np_dtype d, uint16_t h)
{
    int sign = h >> 15, bits = d == NP_F16 ? 10 : 7, e = (h & 0x7fff) >> bits, most = d == NP_F16 ? 31 : 255,
        bias = d == NP_F16 ? 15 : 127;
    double m = h & ((1 << bits) - 1), one = ldexp(1, bits), v;
    if (e == most)
        v = m != 0 ? NAN : INFINITY;
    else
        v = e == 0 ? ldexp(m / one, 1 - bias) : ldexp(1 + m / one, e - bias);
    return sign ? -v : v;
}

static double sigmoid(double x)
{
    if (x >= 0) return 1 / (1 + exp(-x));
    double e = exp(x); /* exp(-x) would overflow, and 1/inf lose what is left */
    return e / (1 + e);
}
static double floor_mod(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static double bits_of(np_op op, np_dtype d, double a, double b)
{
    int64_t x = (int64_t)a, y = (int64_t)b;
    int width = 8 * np_dtype_size(d);
    if (d == NP_BOOL) x = a != 0, y = b != 0;
    switch (op) {
    case NP_AND: return (double)(x & y);
    case NP_OR: return (double)(x | y);
    case NP_XOR: return (double)(x ^ y);
    case NP_SHL: return y < 0 || y >= width ? 0 : (double)(int64_t)((uint64_t)x << y);
    default: return y < 0 || y >= width ? 0 : (double)(x >> y);
    }
}
static double extreme(double a, double b, bool largest)
{
    if (a != a || b != b) return NAN;
    return (a > b) == largest ? a : b;
}

/* Rounded down, in integers: a / b in floats may reach an integer that it is below. */
static double quotient(np_op op, int64_t a, int64_t b)
{
    if (b == 0) return 0;
    if (b == -1) return op == NP_MOD ? 0 : -(double)a; /* of the smallest there is no int64 */
    int64_t q = a / b, r = a % b;
    bool down = r != 0 && (r < 0) != (b < 0);
    return op == NP_MOD ? (double)(down ? r + b : r) : (double)(down ? q - 1 : q);
}

double np_fold_neutral(np_op op, np_dtype d)
{
    int bits = 8 * np_dtype_size(d);
    if (op == NP_ADD) return 0;
    if (np_dtype_class(d) == 'F') return op == NP_MAX ? -(double)INFINITY : (double)INFINITY;
    if (d == NP_U8) return op == NP_MAX ? 0 : 255;
    /* of 64 bits the largest that a double holds */
    return op == NP_MAX ? -ldexp(1, bits - 1) : ldexp(1, bits - 1) - (bits == 64 ? 1024 : 1);
}

/* The last bits of a product, of which a double may hold only the first. */
static double product(np_dtype d, double a, double b)
{
    if (d == NP_I64) return np_round_to(d, a * b);
    return np_round_to(d, (int32_t)(uint32_t)(uint64_t)((int64_t)a * (int64_t)b));
}

double np_fold_number(np_op op, np_dtype d, const double *v)
{
    double a = v[0], b = np_op_info(op)->nargs > 1 ? v[1] : 0;
    bool integer = np_dtype_class(d) != 'F';
    switch (op) {
    case NP_NEG: return integer ? np_round_to(d, -a) : -a;
    case NP_NOT: return d == NP_BOOL ? a == 0 : np_round_to(d, (double)~(int64_t)a);
    case NP_ABS: return integer ? np_round_to(d, fabs(a)) : fabs(a);
    case NP_FLOOR: return floor(a);
    case NP_EXP: return exp(a);
    case NP_LOG: return log(a);
    case NP_LOG1P: return log1p(a);
    case NP_SQRT: return sqrt(a);
    case NP_RSQRT: return 1 / sqrt(a);
    case NP_RECIP: return 1 / a;
    case NP_SIN: return sin(a);
    case NP_COS: return cos(a);
    case NP_TANH: return tanh(a);
    case NP_SIGMOID: return sigmoid(a);
    case NP_SOFTPLUS: return (a != a ? a : a > 0 ? a : 0) + log1p(exp(-fabs(a)));
    case NP_ERF: return erf(a);
    case NP_CAST: return d == NP_F32 ? a : np_round_to(d, a);
    case NP_ADD: return integer ? np_round_to(d, a + b) : a + b;
    case NP_SUB: return integer ? np_round_to(d, a - b) : a - b;
    case NP_MUL: return integer ? product(d, a, b) : a * b;
    case NP_DIV: return a / b;
    case NP_POW: return pow(a, b);
    case NP_MOD: return integer ? quotient(op, (int64_t)a, (int64_t)b) : floor_mod(a, b);
    case NP_IDIV: return integer ? np_round_to(d, quotient(op, (int64_t)a, (int64_t)b)) : floor(a / b);
    case NP_MIN: return extreme(a, b, false);
    case NP_MAX: return extreme(a, b, true);
    case NP_LT: return a < b;
    case NP_LE: return a <= b;
    case NP_EQ: return a == b;
    case NP_NE: return a != b;
    case NP_AND:
    case NP_OR:
    case NP_XOR:
    case NP_SHL:
    case NP_SHR: return np_round_to(d, bits_of(op, d, a, b));
    case NP_SELECT: return a != 0 ? v[1] : v[2];
    default: return NAN;
    }
}
