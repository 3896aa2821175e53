/* Reading the text form of a module: sizes, weights, functions (parse_fn.c),
 * whose statements are read by parse_stmt.c, tokens by parse_lex.c. */
#include "parse.h"

#include <string.h>

static void read_dim(np_reader *r)
{
    np_parser *p = &r->p;
    np_parse_next(p);
    np_str name = np_parse_name(p, TOK_NAME, "the name of a size");
    bool again = false;
    for (int i = 0; i < p->nsyms; i++) again |= p->sym[i]->name == name;
    if (!p->bad && again) np_parse_fail(p, "the size %s is declared already", name);
    if (!p->bad && p->nsyms == (int)NP_LEN(p->sym)) np_parse_fail(p, "more than %d sizes", p->nsyms);
    if (!p->bad && !np_parse_word(p, "in")) np_parse_fail(p, "'in' is wanted: dim T in 1..512");
    np_parse_next(p);
    int64_t lo = np_parse_int(p);
    if (!p->bad && p->tok != TOK_DOTS) np_parse_fail(p, "'..' is wanted: dim T in 1..512");
    np_parse_next(p);
    int64_t hi = np_parse_int(p);
    if (!p->bad && (hi < lo || hi > INT32_MAX))
        np_parse_fail(p, "the range of %s is empty or beyond 2^31", name);
    np_role role = np_parse_word(p, "time")   ? NP_ROLE_TIME
                   : np_parse_word(p, "past") ? NP_ROLE_PAST
                                              : NP_ROLE_NONE;
    if (role != NP_ROLE_NONE) np_parse_next(p);
    for (int i = 0; i < p->nsyms && role != NP_ROLE_NONE; i++)
        if (p->sym[i]->role == role) np_parse_fail(p, "%s has this role already", p->sym[i]->name);
    np_parse_line(p);
    if (*name && !again &&
        p->nsyms < (int)NP_LEN(p->sym)) { /* declared even if it is wrong: its uses are not */
        const np_dim *d = p->sym[p->nsyms++] = np_dim_sym(p->cx, name);
        np_dim_declare(p->cx, d, p->bad ? 0 : lo, p->bad ? INT32_MAX : hi, p->bad ? NP_ROLE_NONE : role);
    }
    np_parse_skip(p);
}
/* Each letter of the left once on the right: a permute of this many axes. */
static bool is_permutation(const char *spec, int rank)
{
    const char *arrow = strstr(spec, "->");
    if (!arrow || arrow - spec != rank || (int)strlen(arrow + 2) != rank) return false;
    for (int i = 0; i < rank; i++) {
        bool letter = (spec[i] >= 'a' && spec[i] <= 'z') || (spec[i] >= 'A' && spec[i] <= 'Z');
        if (!letter || memchr(spec, spec[i], (size_t)i) || !strchr(arrow + 2, spec[i])) return false;
    }
    return true;
}
static np_weight *read_stored(np_parser *p)
{
    np_str source = np_parse_name(p, TOK_WEIGHT, "a weight");
    np_weight *w = p->bad ? NULL : np_mod_weight(p->mod, source);
    if (!p->bad && (!w || w->from)) np_parse_fail(p, "there is no stored weight $%s before this one", source);
    return w;
}
/* Else an error says why. */
static bool can_contract(np_parser *p, const np_weight *a, const np_weight *b, np_str spec)
{
    np_fn *f = np_fn_new(p->mod, "product", NP_STAGE_TENSOR);
    np_build *at = np_build_new(f);
    at->loc = np_parse_loc(p);
    bool good =
        np_build_contract(at, np_build_weight(at, a->name), np_build_weight(at, b->name), spec)->op != NP_BAD;
    np_fn_free(f);
    return good;
}
/* $source "ab->ba", or $source $other "ab,bc->ac" */
static np_weight *read_made(np_parser *p)
{
    np_weight *from = read_stored(p), *times = !p->bad && p->tok == TOK_WEIGHT ? read_stored(p) : NULL;
    np_str spec = np_parse_name(p, TOK_STRING, "an order of axes");
    if (p->bad) return NULL;
    if (times) {
        if (can_contract(p, from, times, spec)) return np_mod_product(p->mod, from, times, spec);
        p->bad = true;
    } else if (is_permutation(spec, from->type->rank)) {
        return np_mod_derive(p->mod, from, spec);
    } else {
        np_parse_fail(p, "\"%s\" is no order of the axes of %s", spec, np_type_str(p->cx, from->type));
    }
    return NULL;
}
static void read_weight(np_reader *r)
{
    np_parser *p = &r->p;
    np_parse_next(p);
    np_str name = np_parse_name(p, TOK_WEIGHT, "the name of a weight");
    const np_type *t = np_parse_type(p);
    if (!p->bad && np_mod_weight(p->mod, name)) np_parse_fail(p, "$%s is declared already", name);
    if (!p->bad && t->tuple) np_parse_fail(p, "a weight is one tensor");
    if (np_parse_take(p, '=')) {
        np_weight *w = read_made(p);
        if (w && w->name != name) np_parse_fail(p, "this weight is called $%s", w->name);
        if (w && w->type != t)
            np_parse_fail(p, "$%s is %s, not %s", name, np_type_str(p->cx, w->type), np_type_str(p->cx, t));
    } else if (!p->bad) {
        np_mod_declare(p->mod, np_parse_loc(p), name, t);
    }
    np_parse_line(p);
    np_parse_skip(p);
}

static np_mod *read_mod(np_cx *cx, const char *file, const char *text, size_t n, bool plain)
{
    np_reader *r = np_arena_alloc(&cx->tmp, sizeof *r);
    r->plain = plain;
    np_parser *p = &r->p;
    int before = cx->nerrors;
    *p = (np_parser){.cx = cx,
                     .mod = np_mod_new(cx, file),
                     .file = np_str_new(cx, file),
                     .at = text,
                     .end = text + n,
                     .line = 1};
    np_diag_source(cx, p->file, text, n);
    for (np_parse_next(p); p->tok != TOK_END;) {
        p->errline = p->line;
        p->bad = false;
        if (np_parse_word(p, "dim"))
            read_dim(r);
        else if (np_parse_word(p, "weight"))
            read_weight(r);
        else if (np_parse_word(p, "fn"))
            np_parse_fn(r);
        else if (p->tok == TOK_LINE)
            np_parse_next(p);
        else {
            np_parse_fail(p, "dim, weight or fn is wanted");
            if (np_parse_is(p, '}')) np_parse_next(p);
            np_parse_skip(p);
        }
    }
    np_arena_free(&r->names.mem);
    if (cx->nerrors == before) return p->mod;
    np_mod_free(p->mod);
    return NULL;
}
np_mod *np_parse(np_cx *cx, const char *file, const char *text, size_t n)
{
    return read_mod(cx, file, text, n, false);
}
np_mod *np_parse_plain(np_cx *cx, const char *file, const char *text, size_t n)
{
    return read_mod(cx, file, text, n, true);
}
