/* Inline functions of the generated file: what C's operators and libm do not
 * say. A row is a function for one or more element types; only those that are
 * called are written, in the order of the rows, so a row needs earlier ones.
 *
 * exp, sigmoid and tanh of f32 have no branch and call nothing, so that a
 * compiler turns loops over them into vector code without -ffast-math. */
#include "c.h"

#include <string.h>

#define I "i8 u8 i32 i64"
#define F "f32 f64"
/* $T the type, $U the same width unsigned, $S its suffix, $F the suffix of libm's functions. */
static const struct row {
    const char *name, *types, *needs, *text;
} rows[] = {
    {"add", I, "", "static inline $T np_add_$S($T a, $T b)\n{\n    return ($T)(($U)a + ($U)b);\n}\n"},
    {"sub", I, "", "static inline $T np_sub_$S($T a, $T b)\n{\n    return ($T)(($U)a - ($U)b);\n}\n"},
    {"mul", I, "", "static inline $T np_mul_$S($T a, $T b)\n{\n    return ($T)(($U)a * ($U)b);\n}\n"},
    {"neg", I, "", "static inline $T np_neg_$S($T a)\n{\n    return ($T)(0 - ($U)a);\n}\n"},
    {"abs", "u8", "", "static inline $T np_abs_$S($T a)\n{\n    return a;\n}\n"},
    {"abs", "i8 i32 i64", "",
     "static inline $T np_abs_$S($T a)\n{\n    return a < 0 ? ($T)(0 - ($U)a) : a;\n}\n"},
    {"min", I, "", "static inline $T np_min_$S($T a, $T b)\n{\n    return a < b ? a : b;\n}\n"},
    {"max", I, "", "static inline $T np_max_$S($T a, $T b)\n{\n    return a > b ? a : b;\n}\n"},
    {"idiv", "u8", "",
     "static inline $T np_idiv_$S($T a, $T b) /* 0 if b is 0 */\n{\n    return ($T)(b == 0 ? 0 : a / "
     "b);\n}\n"},
    {"mod", "u8", "",
     "static inline $T np_mod_$S($T a, $T b) /* 0 if b is 0 */\n{\n    return ($T)(b == 0 ? 0 : a % "
     "b);\n}\n"},
    {"idiv", "i8 i32 i64", "",
     "static inline $T np_idiv_$S($T a, $T b) /* rounded down; 0 if b is 0 */\n{\n"
     "    if (b == 0) return 0;\n"
     "    if (b == -1) return ($T)(0 - ($U)a);\n"
     "    return ($T)(a / b - (a % b != 0 && (a % b < 0) != (b < 0)));\n}\n"},
    {"mod", "i8 i32 i64", "",
     "static inline $T np_mod_$S($T a, $T b) /* has the sign of b; 0 if b is 0 */\n{\n"
     "    if (b == 0 || b == -1) return 0;\n"
     "    return ($T)(a % b != 0 && (a % b < 0) != (b < 0) ? a % b + b : a % b);\n}\n"},
    {"shl", "u8", "",
     "static inline $T np_shl_$S($T a, $T b) /* 0 if b is no place of a bit */\n{\n    return ($T)(b >= $B ? "
     "0 : a << b);\n}\n"},
    {"shr", "u8", "",
     "static inline $T np_shr_$S($T a, $T b) /* 0 if b is no place of a bit */\n{\n    return ($T)(b >= $B ? "
     "0 : a >> b);\n}\n"},
    {"shl", "i8 i32 i64", "",
     "static inline $T np_shl_$S($T a, $T b) /* 0 if b is no place of a bit */\n{\n    return ($T)(b < 0 || "
     "b >= $B ? 0 : ($U)a << b);\n}\n"},
    {"shr", "i8 i32 i64", "",
     "static inline $T np_shr_$S($T a, $T b) /* 0 if b is no place of a bit */\n{\n    return ($T)(b < 0 || "
     "b >= $B ? 0 : a >> b);\n}\n"},
    {"to", "i32", "",
     "static inline int32_t np_to_i32(double x) /* towards zero; wraps; 0 for infinities and NaN */\n{\n"
     "    if (x > -2147483649.0 && x < 2147483648.0) return (int32_t)x;\n"
     "    return (int32_t)(uint32_t)(int64_t)(x - x == 0 ? fmod(trunc(x), 4294967296.0) : 0);\n}\n"},
    {"to", "i64", "",
     "static inline int64_t np_to_i64(double x) /* towards zero, as near as a double comes; 0 for infinities "
     "and NaN */\n{\n"
     "    if (x >= -9223372036854775808.0 && x < 9223372036854775808.0) return (int64_t)x;\n"
     "    return x - x != 0 ? 0 : x < 0 ? INT64_MIN : INT64_MAX - 1023;\n}\n"},
    {"of", "bf16", "",
     "static inline float np_of_bf16(uint16_t h)\n{\n"
     "    const uint32_t bits = (uint32_t)h << 16;\n    float x;\n"
     "    memcpy(&x, &bits, sizeof x);\n    return x;\n}\n"},
    {"to", "bf16", "",
     "static inline uint16_t np_to_bf16(float x) /* to nearest, ties to even */\n{\n"
     "    uint32_t bits;\n    memcpy(&bits, &x, sizeof bits);\n"
     "    if (x != x) return 0x7fc0;\n"
     "    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);\n}\n"},
    {"of", "f16", "",
     "static inline float np_of_f16(uint16_t h)\n{\n"
     "    uint32_t bits = (uint32_t)(h & 0x7fff) << 13;\n    float x;\n"
     "    memcpy(&x, &bits, sizeof x);\n"
     "    x *= 0x1p112f; /* the exponent's other bias, denormals included */\n"
     "    memcpy(&bits, &x, sizeof bits);\n"
     "    bits |= ((h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0) | (uint32_t)(h & 0x8000) << 16;\n"
     "    memcpy(&x, &bits, sizeof x);\n    return x;\n}\n"},
    {"to", "f16", "",
     "static inline uint16_t np_to_f16(float x) /* to nearest, ties to even */\n{\n"
     "    uint32_t bits, sign;\n    memcpy(&bits, &x, sizeof bits);\n"
     "    sign = bits >> 16 & 0x8000;\n    bits &= 0x7fffffff;\n"
     "    if (x != x) return 0x7e00;\n"
     "    if (bits >= 0x477ff000) return (uint16_t)(sign | 0x7c00);\n"
     "    if (bits < 0x38800000) { /* denormal: the unit in the last place of 0.5 is theirs */\n"
     "        x = fabsf(x) + 0.5f;\n        memcpy(&bits, &x, sizeof bits);\n"
     "        return (uint16_t)(sign | (bits - 0x3f000000));\n    }\n"
     "    bits += 0xfff + (bits >> 13 & 1);\n"
     "    return (uint16_t)(sign | (bits - 0x38000000) >> 13);\n}\n"},
    {"round", "f16 bf16", "of to",
     "static inline float np_round_$S(float x)\n{\n    return np_of_$S(np_to_$S(x));\n}\n"},
    {"odd", "f64", "",
     "static inline float np_odd_f64(double x) /* if not exact, the neighbour whose last bit is set: "
     "rounding it again is right */\n{\n"
     "    float f = (float)x;\n    uint32_t bits;\n"
     "    if (f == x || x != x) return f;\n"
     "    memcpy(&bits, &f, sizeof bits);\n"
     "    bits = (bits - (fabs(f) > fabs(x))) | 1;\n"
     "    memcpy(&f, &bits, sizeof f);\n    return f;\n}\n"},
    {"min", F, "",
     "static inline $T np_min_$S($T a, $T b) /* NaN if either is */\n{\n    const $T m = a < b ? a : b;\n"
     "    return a != a ? a : m;\n}\n"},
    {"max", F, "",
     "static inline $T np_max_$S($T a, $T b) /* NaN if either is */\n{\n    const $T m = a > b ? a : b;\n"
     "    return a != a ? a : m;\n}\n"},
    {"mod", F, "",
     "static inline $T np_mod_$S($T a, $T b) /* has the sign of b */\n{\n"
     "    const $T r = fmod$F(a, b);\n    return r != 0 && (r < 0) != (b < 0) ? r + b : r;\n}\n"},
    {"exp", "f32", "",
     "static inline float np_exp_f32(float x)\n{\n"
     "    const float in = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x; /* 0 and infinity beyond */\n"
     "    const float z = in * 1.44269504f + 12582912.0f; /* its last bits are k = in / log 2, rounded */\n"
     "    const float k = z - 12582912.0f, r = in - k * 0.693359375f + k * 2.12194440e-4f; /* |r| < 0.35 */\n"
     "    const float q = (((0.00138145402f * r + 0.00836874511f) * r + 0.0416683908f) * r + 0.166665204f) * r;\n"
     "    const float p = (q + 0.499999934f) * (r * r) + r + 1.0f; /* e^r; then e^x = p 2^k */\n"
     "    uint32_t bits, half, rest;\n    float a, b;\n"
     "    memcpy(&bits, &z, sizeof bits);\n"
     "    bits -= 0x4b400000; /* k as an integer; 2^k is made in two steps, as it may be out of range */\n"
     "    half = (uint32_t)((int32_t)bits >> 1);\n"
     "    rest = (bits - half + 127) << 23;\n"
     "    half = (half + 127) << 23;\n"
     "    memcpy(&a, &half, sizeof a);\n"
     "    memcpy(&b, &rest, sizeof b);\n"
     "    return p * a * b;\n}\n"},
    {"sigmoid", "f32", "exp",
     "static inline float np_sigmoid_f32(float x)\n{\n    return 1.0f / (1.0f + np_exp_f32(-x));\n}\n"},
    {"sigmoid", "f64", "",
     "static inline double np_sigmoid_f64(double x)\n{\n    const double e = exp(-fabs(x));\n    return (x < "
     "0 ? e : 1.0) / (1.0 + e);\n}\n"},
    {"tanh", "f32", "exp",
     "static inline float np_tanh_f32(float x)\n{\n"
     "    const float a = fabsf(x), s = x * x;\n"
     "    const float p = (((-0.00571704508f * s + 0.0206505873f) * s - 0.0537434981f) * s + 0.133314913f) * s;\n"
     "    const float small = (p - 0.333332839f) * s * x + x;\n"
     "    const float large = 1.0f - 2.0f / (np_exp_f32(a + a) + 1.0f);\n"
     "    return a < 0.625f ? small : x < 0.0f ? -large : large;\n}\n"},
    {"softplus", "f32", "exp",
     "static inline float np_softplus_f32(float x)\n{\n    return (x > 0.0f ? x : 0.0f) + "
     "log1pf(np_exp_f32(-fabsf(x)));\n}\n"},
    {"softplus", "f64", "",
     "static inline double np_softplus_f64(double x)\n{\n    return (x > 0.0 ? x : 0.0) + "
     "log1p(exp(-fabs(x)));\n}\n"},
};
_Static_assert(NP_LEN(rows) <= NP_CHELPERS, "one word a row");

static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; *p; p += strcspn(p, " "), p += *p == ' ')
        if (strncmp(p, word, n) == 0 && (p[n] == ' ' || !p[n])) return true;
    return false;
}
static int find(const char *name, np_dtype d)
{
    for (size_t i = 0; i < NP_LEN(rows); i++)
        if (strcmp(rows[i].name, name) == 0 && listed(rows[i].types, np_csuffix(d))) return (int)i;
    return -1;
}
const char *np_chelp_call(np_cfile *c, const char *f, np_dtype d)
{
    int i = find(f, d);
    if (i < 0) return np_ctext(&c->mem, "%s%s", f, d == NP_F64 ? "" : "f");
    c->helper[i] |= 1u << d;
    char word[32];
    for (const char *p = rows[i].needs; *p; p += strcspn(p, " "), p += *p == ' ') {
        snprintf(word, sizeof word, "%.*s", (int)strcspn(p, " "), p);
        np_chelp_call(c, word, d);
    }
    return np_ctext(&c->mem, "np_%s_%s", f, np_csuffix(d));
}

static void put(np_text *out, const char *text, np_dtype d)
{
    for (; *text; text++) {
        if (*text != '$') {
            np_text_put(out, text, 1);
            continue;
        }
        switch (*++text) {
        case 'T': np_text_add(out, "%s", np_ctype(d)); break;
        case 'U': np_text_add(out, "uint%d_t", 8 * np_dtype_size(d)); break;
        case 'B': np_text_add(out, "%d", 8 * np_dtype_size(d)); break;
        case 'S': np_text_add(out, "%s", np_csuffix(d)); break;
        default: np_text_add(out, "%s", d == NP_F32 ? "f" : ""); break;
        }
    }
}
void np_chelp_put(const np_cfile *c, np_text *out)
{
    bool any = false;
    for (size_t i = 0; i < NP_LEN(rows); i++)
        for (int d = 0; d < NP_NDTYPES; d++) {
            if (!(c->helper[i] >> d & 1)) continue;
            if (!any) np_text_add(out, "\n/* ---- what C's operators do not say */\n");
            any = true;
            put(out, rows[i].text, (np_dtype)d);
        }
}
