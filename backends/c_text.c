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
const char *np_csuffix(np_dtype d)
{
    return np_dtype_text(d);
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
    "auto",     "bool",   "break",  "case",   "char",     "const",    "continue", "default",  "do",
    "double",   "else",   "enum",   "extern", "false",    "float",    "for",      "goto",     "if",
    "inline",   "int",    "long",   "main",   "register", "restrict", "return",   "short",    "signed",
    "sizeof",   "static", "struct", "switch", "true",     "typedef",  "union",    "unsigned", "void",
    "volatile", "while",  "T",      "N",      "I",        "NAN",      "INFINITY", "NULL",     "EOF",
    "abs",      "asin",   "acos",   "atan",   "cbrt",     "ceil",     "cos",      "cosf",     "cosh",
    "div",      "erf",    "erff",   "exp",    "expf",     "fabs",     "fabsf",    "floor",    "floorf",
    "fmod",     "fmodf",  "gamma",  "index",  "j0",       "j1",       "jn",       "log",      "log1p",
    "log1pf",   "log2",   "logf",   "memcpy", "memset",   "pow",      "powf",     "rint",     "round",
    "sin",      "sinf",   "sinh",   "sqrt",   "sqrtf",    "tan",      "tanh",     "tanhf",    "time",
    "trunc",    "unix",   "linux",  "y0",     "y1",       "yn",       "signgam",  "errno",
};
bool np_creserved(const char *name)
{
    for (size_t i = 0; i < NP_LEN(reserved); i++)
        if (strcmp(name, reserved[i]) == 0) return true;
    return strncmp(name, "np_", 3) == 0 || name[0] == '_';
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
