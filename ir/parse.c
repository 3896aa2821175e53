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
static void read_weight(np_reader *r)
{
    np_parser *p = &r->p;
    np_parse_next(p);
    np_str name = np_parse_name(p, TOK_WEIGHT, "the name of a weight");
    const np_type *t = np_parse_type(p);
    if (!p->bad && np_mod_weight(p->mod, name)) np_parse_fail(p, "$%s is declared already", name);
    if (!p->bad && t->tuple) np_parse_fail(p, "a weight is one tensor");
    if (!p->bad && np_parse_take(p, '=')) {
        np_fn *by = np_parse_made(r, t);
        if (by) np_mod_make(p->mod, name, by);
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
