/* Reading the text form, lower half: tokens, sizes and types. Nothing in the
 * text is trusted: numbers have bounds, nesting has a depth, and the first thing
 * that is wrong in a statement is reported at its line while the rest of that
 * statement is skipped. */
#include "parse.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_INT ((int64_t)1 << 61) /* as sizes: dim.c */
enum { MOST_DEPTH = 16, MOST_ATOMS = 64 };

np_loc np_parse_loc(const np_parser *p)
{
    return (np_loc){.file = p->file, .line = p->errline};
}
void np_parse_fail(np_parser *p, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (p->bad) return;
    p->bad = true;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    np_error(p->cx, np_parse_loc(p), "%s", text);
}

/* ---- tokens */
static bool in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static char peek(const np_parser *p, size_t k)
{
    return k < (size_t)(p->end - p->at) ? p->at[k] : 0;
}
/* A dot belongs to a name if a letter or digit follows: T..5 is three tokens. */
static size_t name_length(const np_parser *p, size_t from, const char *also)
{
    size_t n = from;
    for (;; n++) {
        char c = peek(p, n);
        if (in_name(c) || (c && strchr(also, c))) continue;
        if (c == '.' && n > from && in_name(peek(p, n + 1))) continue;
        return n - from;
    }
}
static size_t number_length(const np_parser *p)
{
    size_t n = 0;
    while (is_digit(peek(p, n))) n++;
    if (peek(p, n) == '.' && is_digit(peek(p, n + 1)))
        for (n++; is_digit(peek(p, n));) n++;
    if (peek(p, n) == 'e' || peek(p, n) == 'E') {
        size_t m = n + 1;
        if (peek(p, m) == '+' || peek(p, m) == '-') m++;
        if (is_digit(peek(p, m)))
            for (n = m; is_digit(peek(p, n));) n++;
    }
    return n;
}
static void token(np_parser *p, np_tok tok, size_t skip, size_t len, size_t more)
{
    p->tok = tok;
    p->text = p->at + skip;
    p->len = len;
    p->at += skip + len + more;
}
void np_parse_next(np_parser *p)
{
    if (p->tok == TOK_LINE) p->line++;
    while (peek(p, 0) == ' ' || peek(p, 0) == '\t' || peek(p, 0) == '\r') p->at++;
    if (peek(p, 0) == '#')
        while (p->at < p->end && *p->at != '\n') p->at++;
    char c = peek(p, 0);
    if (p->at == p->end) token(p, TOK_END, 0, 0, 0);
    else if (c == '\n') token(p, TOK_LINE, 0, 1, 0);
    else if (is_digit(c)) token(p, TOK_NUMBER, 0, number_length(p), 0);
    else if (in_name(c)) token(p, TOK_NAME, 0, name_length(p, 0, ""), 0);
    else if (c == '%') token(p, TOK_VALUE, 1, name_length(p, 1, ""), 0);
    else if (c == '@') token(p, TOK_FN, 1, name_length(p, 1, ""), 0);
    else if (c == '$') token(p, TOK_WEIGHT, 1, name_length(p, 1, "-/:"), 0);
    else if (c == '.' && peek(p, 1) == '.') token(p, TOK_DOTS, 0, 2, 0);
    else if (c == '-' && peek(p, 1) == '>') token(p, TOK_ARROW, 0, 2, 0);
    else if (c == '"') {
        size_t n = 0;
        while (peek(p, 1 + n) != '"' && peek(p, 1 + n) != '\n' && p->at + 1 + n < p->end) n++;
        if (peek(p, 1 + n) == '"') token(p, TOK_STRING, 1, n, 1);
        else token(p, TOK_CHAR, 0, 1, 0);
    } else token(p, TOK_CHAR, 0, 1, 0);
}

/* The current token as messages show it. */
static const char *found(const np_parser *p)
{
    if (p->tok == TOK_END) return "the end of the text";
    if (p->tok == TOK_LINE) return "the end of the line";
    if (p->tok == TOK_CHAR && !isprint((unsigned char)*p->text)) return np_str_fmt(p->cx, "the character 0x%02x", (unsigned char)*p->text);
    const char *sigil = p->tok == TOK_VALUE ? "%" : p->tok == TOK_WEIGHT ? "$" : p->tok == TOK_FN ? "@" : "";
    return np_str_fmt(p->cx, "'%s%.*s'", sigil, (int)(p->len < 60 ? p->len : 60), p->text);
}
bool np_parse_is(const np_parser *p, char c)
{
    return p->tok == TOK_CHAR && p->text[0] == c;
}
bool np_parse_word(const np_parser *p, const char *word)
{
    return p->tok == TOK_NAME && strlen(word) == p->len && memcmp(p->text, word, p->len) == 0;
}
bool np_parse_take(np_parser *p, char c)
{
    if (p->bad || !np_parse_is(p, c)) return false;
    np_parse_next(p);
    return true;
}
void np_parse_want(np_parser *p, char c)
{
    if (!np_parse_take(p, c)) np_parse_fail(p, "'%c' is wanted before %s", c, found(p));
}
np_str np_parse_name(np_parser *p, np_tok kind, const char *what)
{
    if (p->tok != kind || (p->len == 0 && kind != TOK_STRING)) np_parse_fail(p, "%s is wanted, not %s", what, found(p));
    if (!p->bad && p->len > 200) np_parse_fail(p, "a name of %zu letters", p->len);
    if (p->bad) return "";
    np_str s = np_str_len(p->cx, p->text, p->len);
    np_parse_next(p);
    return s;
}
void np_parse_line(np_parser *p)
{
    if (p->tok != TOK_LINE && p->tok != TOK_END) np_parse_fail(p, "the end of the line is wanted, not %s", found(p));
}
void np_parse_skip(np_parser *p)
{
    int open = 0;
    for (; p->tok != TOK_END; np_parse_next(p)) {
        if (np_parse_is(p, '{')) open++;
        if (np_parse_is(p, '}') && open-- == 0) break; /* it closes what is around */
        if (p->tok == TOK_LINE && open == 0) break;
    }
    p->bad = false;
}

/* ---- numbers */
int64_t np_parse_int(np_parser *p)
{
    int64_t v = 0;
    if (p->tok != TOK_NUMBER) np_parse_fail(p, "a whole number is wanted, not %s", found(p));
    for (size_t i = 0; i < p->len && !p->bad; i++) {
        if (!is_digit(p->text[i])) np_parse_fail(p, "a whole number is wanted, not %s", found(p));
        else if (v > (MOST_INT - (p->text[i] - '0')) / 10) np_parse_fail(p, "%s is too large", found(p));
        else v = 10 * v + (p->text[i] - '0');
    }
    if (p->bad) return 0;
    np_parse_next(p);
    return v;
}
double np_parse_number(np_parser *p, np_dtype d)
{
    bool minus = np_parse_take(p, '-'), integer = np_dtype_class(d) != 'F';
    bool word = np_parse_word(p, "inf") || np_parse_word(p, "nan");
    double v = 0;
    char s[320];
    if (word) v = p->text[0] == 'i' ? INFINITY : NAN;
    else if (p->tok != TOK_NUMBER || p->len >= sizeof s) np_parse_fail(p, "a number is wanted, not %s", found(p));
    else {
        memcpy(s, p->text, p->len);
        s[p->len] = 0;
        v = strtod(s, NULL);
    }
    double r = np_round_const(d, minus ? -v : v);
    bool fits = integer ? !word && r == (minus ? -v : v) : word || isfinite(r);
    if (!p->bad && !fits) np_parse_fail(p, "%s%s is no value of type %s", minus ? "-" : "", found(p), np_dtype_text(d));
    if (p->bad) return 0;
    np_parse_next(p);
    return integer && r == 0 ? 0 : r; /* integers have one zero */
}

/* ---- sizes */
static const np_dim *sum(np_parser *p);
static const np_dim *symbol(np_parser *p)
{
    for (int i = 0; i < p->nsyms; i++)
        if (np_parse_word(p, p->sym[i]->name)) {
            np_parse_next(p);
            return p->sym[i];
        }
    np_parse_fail(p, p->tok == TOK_NAME ? "the size %s is not declared" : "a size is wanted, not %s", found(p));
    return np_dim_const(p->cx, 0);
}
static const np_dim *divided(np_parser *p, bool up)
{
    np_parse_next(p);
    np_parse_want(p, '(');
    const np_dim *x = sum(p);
    np_parse_want(p, '/');
    int64_t k = p->bad ? 1 : np_parse_int(p);
    if (!p->bad && k < 1) np_parse_fail(p, "a division by %lld", (long long)k);
    np_parse_want(p, ')');
    if (p->bad) return x;
    return up ? np_dim_ceil(p->cx, x, k) : np_dim_floor(p->cx, x, k);
}
static const np_dim *one_of(np_parser *p, bool least)
{
    np_parse_next(p);
    np_parse_want(p, '(');
    const np_dim *x = sum(p);
    np_parse_want(p, ',');
    const np_dim *y = sum(p);
    np_parse_want(p, ')');
    if (p->bad) return x;
    return least ? np_dim_min(p->cx, x, y) : np_dim_max(p->cx, x, y);
}
static bool calls(const np_parser *p, const char *word)
{
    const char *q = p->at;
    while (q < p->end && *q == ' ') q++;
    return np_parse_word(p, word) && q < p->end && *q == '(';
}
static const np_dim *atom(np_parser *p)
{
    if (++p->atoms > MOST_ATOMS) np_parse_fail(p, "a size of more than %d parts", MOST_ATOMS);
    if (p->bad) return np_dim_const(p->cx, 0);
    if (np_parse_take(p, '-')) return np_dim_mul(p->cx, np_dim_const(p->cx, -1), atom(p));
    if (p->tok == TOK_NUMBER) return np_dim_const(p->cx, np_parse_int(p));
    if (calls(p, "ceil")) return divided(p, true);
    if (calls(p, "floor")) return divided(p, false);
    if (calls(p, "min")) return one_of(p, true);
    if (calls(p, "max")) return one_of(p, false);
    if (!np_parse_take(p, '(')) return symbol(p);
    const np_dim *d = sum(p);
    np_parse_want(p, ')');
    return d;
}
static const np_dim *product(np_parser *p)
{
    const np_dim *d = atom(p);
    while (np_parse_take(p, '*')) d = np_dim_mul(p->cx, d, atom(p));
    return d;
}
static const np_dim *sum(np_parser *p)
{
    if (p->bad || ++p->depth > MOST_DEPTH) {
        np_parse_fail(p, "a size is nested too deep");
        return np_dim_const(p->cx, 0);
    }
    const np_dim *d = product(p);
    while (!p->bad && (np_parse_is(p, '+') || np_parse_is(p, '-'))) {
        bool minus = np_parse_is(p, '-');
        np_parse_next(p);
        const np_dim *e = product(p);
        d = minus ? np_dim_sub(p->cx, d, e) : np_dim_add(p->cx, d, e);
    }
    p->depth--;
    return d;
}
const np_dim *np_parse_dim(np_parser *p)
{
    p->depth = p->atoms = 0;
    return sum(p);
}

/* ---- types */
static const np_type *tensor(np_parser *p)
{
    const np_dim *dim[NP_RANK];
    np_dtype d = NP_F32;
    int rank = 0;
    char word[8];
    snprintf(word, sizeof word, "%.*s", p->len < sizeof word ? (int)p->len : 0, p->text);
    if (p->tok != TOK_NAME || !np_dtype_find(word, &d)) np_parse_fail(p, "a type is wanted, not %s", found(p));
    if (!p->bad) np_parse_next(p);
    if (np_parse_take(p, '[')) {
        do {
            if (rank == NP_RANK) np_parse_fail(p, "a tensor may have %d axes at most", NP_RANK);
            else dim[rank++] = np_parse_dim(p);
        } while (np_parse_take(p, ','));
        np_parse_want(p, ']');
    }
    if (p->bad) return np_type_scalar(p->cx, NP_F32);
    const np_type *t = np_type_tensor(p->cx, d, rank, dim);
    if (!np_type_sane(t)) np_parse_fail(p, "a tensor of type %s is too large or has a negative size", np_type_str(p->cx, t));
    return t;
}
const np_type *np_parse_type(np_parser *p)
{
    enum { MOST = 1024 };
    const np_type *part[MOST];
    int n = 0;
    if (!np_parse_take(p, '(')) return tensor(p);
    if (!np_parse_is(p, ')')) {
        do {
            if (n == MOST) np_parse_fail(p, "a tuple of more than %d parts", MOST);
            else part[n++] = tensor(p);
        } while (np_parse_take(p, ','));
    }
    np_parse_want(p, ')');
    return np_type_tuple(p->cx, n, part);
}
