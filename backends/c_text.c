/* Pieces of C: numbers, names, types. */
#include "c.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

char *np_ctext(np_arena *mem, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *s = np_arena_alloc(mem, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return s;
}

static const struct {
    const char *memory, *value;
} types[NP_NDTYPES] = {
    [NP_BOOL] = {"bool", "bool"},      [NP_I8] = {"int8_t", "int8_t"},    [NP_U8] = {"uint8_t", "uint8_t"},
    [NP_I32] = {"int32_t", "int32_t"}, [NP_I64] = {"int64_t", "int64_t"}, [NP_F16] = {"uint16_t", "float"},
    [NP_BF16] = {"uint16_t", "float"}, [NP_F32] = {"float", "float"},     [NP_F64] = {"double", "double"},
};
const char *np_ctype(np_dtype d)
{
    return types[d].memory;
}
const char *np_cvalue(np_dtype d)
{
    return types[d].value;
}

/* The shortest decimal that reads back as v; digits tried from `few` on. */
static void shortest(char *s, size_t n, double v, bool single)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, n, "%.*g", digits, v);
        if (single ? strtof(s, NULL) == (float)v : strtod(s, NULL) == v) break;
    }
}
const char *np_cnumber(np_arena *mem, np_dtype d, double v)
{
    char s[64];
    if (d == NP_BOOL) return v != 0 ? "true" : "false";
    if (np_dtype_class(d) == 'I') {
        if (v <= -0x1p63) return "INT64_MIN";
        if (v == -0x1p31) return "INT32_MIN";
        return np_ctext(mem, fabs(v) < 0x1p31 ? "%lld" : "INT64_C(%lld)", (long long)v);
    }
    bool single = d != NP_F64;
    if (single) v = np_round_to(d, v);
    if (isnan(v)) return "NAN";
    if (isinf(v)) return v < 0 ? "-INFINITY" : "INFINITY";
    shortest(s, sizeof s, v, single);
    return np_ctext(mem, "%s%s%s", s, strpbrk(s, ".e") ? "" : ".0", single ? "f" : "");
}

static const char *const reserved[] = {
    "auto",     "bool",       "break",
    "case",     "char",       "const",
    "continue", "default",    "do",
    "double",   "else",       "enum",
    "extern",   "false",      "float",
    "for",      "goto",       "if",
    "inline",   "int",        "long",
    "main",     "register",   "restrict",
    "return",   "short",      "signed",
    "sizeof",   "static",     "struct",
    "switch",   "true",       "typedef",
    "union",    "unsigned",   "void",
    "volatile", "while",      "T",
    "N",        "I",          "NAN",
    "INFINITY", "NULL",       "EOF",
    "abs",      "asin",       "acos",
    "atan",     "cbrt",       "ceil",
    "cos",      "cosf",       "cosh",
    "div",      "erf",        "erff",
    "exp",      "expf",       "fabs",
    "fabsf",    "floor",      "floorf",
    "fmod",     "fmodf",      "gamma",
    "index",    "j0",         "j1",
    "jn",       "log",        "log1p",
    "log1pf",   "log2",       "logf",
    "memcpy",   "memset",     "pow",
    "powf",     "rint",       "round",
    "sin",      "sinf",       "sinh",
    "sqrt",     "sqrtf",      "tan",
    "tanh",     "tanhf",      "time",
    "trunc",    "unix",       "linux",
    "y0",       "y1",         "yn",
    "signgam",  "errno",      "stdin",
    "stdout",   "stderr",     "isnan",
    "isinf",    "isfinite",   "isnormal",
    "signbit",  "assert",     "offsetof",
    "environ",  "sa_handler", "sa_sigaction",
    "st_atime", "st_mtime",   "st_ctime",
    "alloca",
};
/* Capitals are names of macros. */
static bool is_macro(const char *name)
{
    return strlen(name) > 2 && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name);
}
bool np_creserved(const char *name)
{
    for (size_t i = 0; i < NP_LEN(reserved); i++)
        if (strcmp(name, reserved[i]) == 0) return true;
    return is_macro(name) || strncmp(name, "np_", 3) == 0 || name[0] == '_';
}
const char *np_cother(np_arena *mem, const char *want, int letters, const char *between, int i)
{
    bool ours = strncmp(want, "np_", 3) == 0;
    const char *s = np_ctext(mem, "%s%.*s%s%d", ours ? "x_" : "", letters, want, between, i);
    return is_macro(s) ? np_ctext(mem, "%.*s%sv%d", letters, want, between, i) : s;
}
const char *np_cstring(np_arena *mem, const char *s)
{
    np_text t = {0};
    np_text_add(&t, "\"");
    for (; *s; s++) {
        bool plain = *s >= ' ' && *s <= '~' && !strchr("\"\\?", *s); /* `?`: no trigraphs */
        np_text_add(&t, plain ? "%c" : "\\%03o", plain ? *s : (unsigned char)*s);
    }
    np_text_add(&t, "\"");
    const char *r = np_ctext(mem, "%s", t.s);
    np_text_free(&t);
    return r;
}
const char *np_cname(np_arena *mem, const char *hint, const char *other)
{
    char s[64];
    size_t n = 0;
    for (const char *p = hint ? hint : ""; *p && n < sizeof s - 1; p++) {
        bool good = isalnum((unsigned char)*p);
        if (!good && (n == 0 || s[n - 1] == '_')) continue;
        if (n == 0 && isdigit((unsigned char)*p)) continue;
        s[n++] = good ? *p : '_';
    }
    while (n > 0 && s[n - 1] == '_') n--;
    s[n] = 0;
    return n ? np_arena_copy(mem, s, n + 1) : other;
}
const char *np_cshape(np_arena *mem, np_cx *cx, const np_type *t)
{
    const char *s = "";
    for (int i = 0; i < t->rank; i++)
        s = np_ctext(mem, "%s%s%s", s, i ? "," : "[", np_dim_str(cx, t->dim[i]));
    return t->rank ? np_ctext(mem, "%s]", s) : s;
}

/* Does digits * 10^exponent read as v? The product is off by some 2^-52, so what
 * lies 2^-50 on either side must read as v, too. */
static bool reads_as(double digits, int exponent, double v)
{
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10,
                                 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
                                 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32,
                                 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40};
    double d = exponent < 0 ? digits / ten[-exponent] : digits * ten[exponent];
    return (double)(float)(d * (1 - 0x1p-50)) == v && (double)(float)(d * (1 + 0x1p-50)) == v;
}
/* a > 0 as *digits * 10^*exponent, the fewest digits that read as a. */
static bool find_digits(double a, int64_t *digits, int *exponent)
{
    static const int64_t unit[] = {1, 10, 100, 1000};
    if (a < 1e-28 || a >= 1e9) return false;
    int e = 0; /* 10^e <= a */
    double all = a;
    while (all < 1e8) all *= 10, e--;
    for (int drop = 3; drop >= 0; drop--) { /* from 6 digits on: fewer are these, with zeros at the end */
        *digits = (int64_t)(all / (double)unit[drop] + 0.5);
        *exponent = e + drop;
        if (reads_as((double)*digits, *exponent, a)) return true;
    }
    return false;
}
int np_cfloat(char *s, float v)
{
    char d[24] = {0};
    int64_t digits;
    int e, at = 0;
    double a = fabs((double)v);
    if (v != v) return sprintf(s, "NAN");
    if (isinf(v)) return sprintf(s, v < 0 ? "-INFINITY" : "INFINITY");
    if (!find_digits(a, &digits, &e)) { /* seldom: the library's way */
        shortest(d, sizeof d, (double)v, true);
        return sprintf(s, "%s%s", d, strpbrk(d, ".e") ? "f" : ".0f");
    }
    while (digits % 10 == 0) digits /= 10, e++;
    int n = 0;
    for (int64_t k = digits; k; k /= 10) n++;
    for (int i = n - 1; i >= 0; i--, digits /= 10) d[i] = (char)('0' + digits % 10);
    int point = n + e; /* digits before the point */
    if (v < 0) s[at++] = '-';
    if (point < -4) { /* 1.234e-6 */
        s[at++] = d[0];
        if (n > 1) s[at++] = '.';
        for (int i = 1; i < n; i++) s[at++] = d[i];
        return at + sprintf(s + at, "e%df", point - 1);
    }
    if (point <= 0) s[at++] = '0';
    for (int i = 0; i < point; i++) s[at++] = i < n ? d[i] : '0';
    s[at++] = '.';
    for (int i = point; i < 0; i++) s[at++] = '0';
    for (int i = point > 0 ? point : 0; i < n; i++) s[at++] = d[i];
    if (point >= n) s[at++] = '0';
    s[at++] = 'f';
    s[at] = 0;
    return at;
}

uint16_t np_chalf(np_dtype d, double v)
{
    if (d == NP_BF16) {
        float f = (float)np_round_to(NP_BF16, v);
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        return (uint16_t)(bits >> 16);
    }
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    v = fabs(np_round_to(NP_F16, v));
    if (v != v) return 0x7e00;
    if (isinf(v)) return (uint16_t)(sign | 0x7c00);
    if (v < 0x1p-14) return (uint16_t)(sign | (int)ldexp(v, 24));
    int e;
    double m = frexp(v, &e); /* v = m * 2^e, m in [0.5,1) */
    return (uint16_t)(sign | ((e + 14) << 10) | ((int)ldexp(m, 11) & 0x3ff));
}
