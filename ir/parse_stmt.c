/* Statements and bodies. Everything goes through the builder, so what is read is
 * typed, folded and shared, and printing it gives its canonical form. A wrong
 * statement is reported once, its name becomes `bad`, and reading goes on behind
 * it: one run reports several independent mistakes. */
#include "parse.h"

#include <string.h>

enum { MOST_BODIES = 64, MOST_OPERANDS = 4096 };

static np_node *poison(np_reader *r)
{
    return np_build_op(r->b, NP_BAD, 0, NULL, NULL);
}

/* ---- the parts of a statement */
static void read_list(np_parser *p, np_stmt *s)
{
    np_dtype d = s->type && !s->type->tuple ? s->type->dtype : NP_F32;
    int64_t n = 0, cap = 64, want = 1, k;
    double *v = np_arena_array(&p->cx->tmp, (size_t)cap, sizeof *v);
    np_parse_want(p, '[');
    while (!p->bad && !np_parse_is(p, ']')) {
        if (n == cap) {
            double *old = v;
            v = np_arena_array(&p->cx->tmp, (size_t)(2 * cap), sizeof *v);
            memcpy(v, old, (size_t)cap * sizeof *v);
            cap *= 2;
        }
        v[n++] = np_parse_number(p, d);
        if (!np_parse_is(p, ']')) np_parse_want(p, ',');
    }
    np_parse_want(p, ']');
    if (p->bad) return;
    if (!s->type)
        s->type = s->x.type = np_type_tensor(p->cx, NP_F32, 1, (const np_dim *[]){np_dim_const(p->cx, n)});
    for (int i = 0; i < s->type->rank; i++)
        want = np_dim_int(s->type->dim[i], &k) && k <= 1 << 28 && want <= 1 << 28 ? want * k : -1;
    if (s->type->tuple || want != n)
        np_parse_fail(p, "a list of %lld numbers for %s", (long long)n, np_type_str(p->cx, s->type));
    else if (s->type->rank == 0)
        s->x.num = v[0]; /* one number */
    else
        s->x.data = v;
}
static void read_operand(np_reader *r, np_stmt *s)
{
    np_parser *p = &r->p;
    if (s->nargs == MOST_OPERANDS) np_parse_fail(p, "more than %d operands", MOST_OPERANDS);
    np_str name = np_parse_name(p, TOK_VALUE, "an operand");
    if (p->bad) return;
    np_node *n = np_parse_lookup(&r->names, name);
    if (!n) {
        np_parse_fail(p, "%%%s is not defined here", name);
        return;
    }
    s->arg = np_arena_more(&p->cx->tmp, s->arg, s->nargs, sizeof *s->arg);
    s->arg[s->nargs++] = n;
    if (n->op == NP_BAD) s->poison = true;
}
static void read_attr(np_parser *p, np_stmt *s)
{
    np_str key = np_parse_name(p, TOK_NAME, "an attribute");
    int i = 0;
    while (i < s->info->nattrs && strcmp(s->info->attr[i], key) != 0) i++;
    if (i == s->info->nattrs)
        np_parse_fail(p, "%s has no attribute %s", s->info->text, key);
    else if (s->x.attr[i])
        np_parse_fail(p, "%s= stands twice", key);
    np_parse_want(p, '=');
    const np_dim *d = np_parse_dim(p);
    if (!p->bad) s->x.attr[i] = d;
}
/* A number is read when its type is known: that of a const is written, that of
 * a pad is its operand's, which comes behind it. */
static void read_rest(np_reader *r, np_stmt *s)
{
    np_parser *p = &r->p, number = *p;
    if (s->op == NP_CONST) {
        if (np_parse_is(p, '['))
            read_list(p, s);
        else
            s->x.num = np_parse_number(p, s->type && !s->type->tuple ? s->type->dtype : NP_F32);
    } else if (s->info->has_num) {
        np_parse_take(p, '-');
        np_parse_next(p);
    }
    if (s->op == NP_WEIGHT) s->x.sym = np_parse_name(p, TOK_WEIGHT, "a weight");
    if (s->op == NP_CALL) s->x.sym = np_parse_name(p, TOK_FN, "a function");
    while (!p->bad && p->tok == TOK_VALUE) read_operand(r, s);
    if (s->info->has_sym && !s->x.sym) s->x.sym = np_parse_name(p, TOK_STRING, "a text in quotes");
    while (!p->bad && p->tok == TOK_NAME) read_attr(p, s);
    if (np_parse_take(p, '!')) s->mark = (int)(np_parse_int(p) & 0x3fffffff);
    if (p->bad || s->op == NP_CONST || !s->info->has_num) return;
    s->x.num =
        np_parse_number(&number, s->nargs && !s->arg[0]->type->tuple ? s->arg[0]->type->dtype : NP_F32);
    p->bad = number.bad;
}
static void read_head(np_parser *p, np_stmt *s)
{
    if (p->tok == TOK_VALUE) {
        s->name = np_parse_name(p, TOK_VALUE, "a name");
        if (!np_parse_is(p, '=')) s->type = np_parse_type(p);
        np_parse_want(p, '=');
    }
    np_str op = np_parse_name(p, TOK_NAME, "an operation");
    if (!p->bad && (!np_op_find(op, &s->op) || s->op == NP_BAD || s->op == NP_PARAM))
        np_parse_fail(p, "there is no operation '%s'", op);
    if (p->bad) return;
    s->info = np_op_info(s->op);
    if (s->op == NP_CONST || s->op == NP_ALLOC) s->x.type = s->type;
}

/* ---- bodies */
static bool read_with(np_reader *r, np_block *body)
{
    np_parser *p = &r->p;
    int n = 0;
    bool with = np_parse_word(p, "with"), wrong = false;
    p->errline = p->line;
    if (with) {
        np_parse_next(p);
        do {
            np_str name = np_parse_name(p, TOK_VALUE, "a parameter");
            const np_type *t = np_parse_is(p, ',') || p->tok == TOK_LINE || p->bad ? NULL : np_parse_type(p);
            if (p->bad) break;
            if (n >= body->nparams) {
                np_parse_fail(p, "this body has %d parameters", body->nparams);
                break;
            }
            np_node *param = body->param[n++];
            if (param->op != NP_BAD) {
                if (t && t != param->type)
                    np_parse_fail(p, "%%%s is %s, not %s", name, np_type_str(p->cx, param->type),
                                  np_type_str(p->cx, t));
                param->name = np_parse_hint(name);
            }
            wrong |= p->bad;
            p->bad = false; /* the others are defined all the same */
            np_parse_define(r, name, param);
        } while (np_parse_take(p, ','));
        np_parse_line(p);
    }
    if (!wrong && !p->bad && n != body->nparams && (n == 0 || body->param[0]->op != NP_BAD))
        np_parse_fail(p, "this body has %d parameters", body->nparams);
    wrong |= p->bad;
    if (with) np_parse_skip(p);
    p->bad = false;
    return !wrong;
}
/* From behind `{` to behind `}`. False: it has no good end, and cannot be closed. */
static bool read_body(np_reader *r, np_block *body, np_stmt *last)
{
    int scope = r->names.n;
    if (r->p.tok == TOK_LINE) np_parse_next(&r->p);
    while (r->p.tok == TOK_LINE) np_parse_next(&r->p);
    bool good = read_with(r, body);
    good &= np_parse_block(r, last);
    np_parse_forget(&r->names, scope);
    return good && last->info && last->op == NP_YIELD && !last->poison;
}
static np_node *build_body(np_reader *r, np_stmt *s)
{
    np_parser *p = &r->p;
    np_build *b = r->b;
    np_block *outer = b->at;
    np_node *n = np_build_open(b, s->op, s->nargs, s->arg, &s->x);
    np_stmt end[2] = {0}, *last = &end[s->info->nbodies - 1];
    np_parse_next(p);
    bool good = read_body(r, n->body[0], &end[0]);
    if (s->info->nbodies == 2 && !r->lost) {
        p->errline = p->line;
        b->at = n->body[0];
        np_build_else(b, n, good ? end[0].nargs : 0, end[0].arg);
        if (np_parse_word(p, "else"))
            np_parse_next(p);
        else
            np_parse_fail(p, "'else {' is wanted behind the first body");
        np_parse_want(p, '{');
        if (p->bad)
            good = false;
        else
            good &= read_body(r, n->body[1], &end[1]);
    }
    if (good && !p->bad) {
        b->loc = (np_loc){.file = p->file, .line = n->loc.line};
        b->name = NULL;
        np_node *made = np_build_close(b, n, last->nargs, last->arg);
        for (int i = 0; i < s->info->nbodies; i++)
            n->body[i]->last->loc.line = end[i].mark ? end[i].mark : end[i].line;
        return made;
    }
    b->at = outer;
    return poison(r);
}

/* ---- statements */
static np_node *build(np_reader *r, np_stmt *s)
{
    np_parser *p = &r->p;
    int line = p->errline;
    r->b->loc = np_parse_loc(p);
    r->b->name = np_parse_hint(s->name);
    if (s->info->nbodies) {
        if (!np_parse_is(p, '{')) {
            np_parse_fail(p, "%s wants a body", s->info->text);
            return poison(r);
        }
        if (r->bodies == MOST_BODIES) {
            np_parse_fail(p, "bodies are nested too deep");
            return poison(r);
        }
        r->bodies++;
        np_node *n = build_body(r, s);
        r->bodies--;
        p->errline = line;
        if (!r->lost) np_parse_line(p);
        return n;
    }
    np_parse_line(p);
    for (int i = 0; i < r->nfailed && s->op == NP_CALL; i++)
        if (r->failed[i] == s->x.sym) return poison(r);
    return p->bad ? poison(r) : np_build_op(r->b, s->op, s->nargs, s->arg, &s->x);
}
static void compare_types(np_reader *r, const np_stmt *s, const np_node *n)
{
    const np_type *t = n->type;
    if (n->op == NP_BAD || r->p.bad) return;
    if (t->tuple && t->width == 0 && s->name)
        np_parse_fail(&r->p, "%s gives no value", s->info->text);
    else if (s->type && s->type != t)
        np_parse_fail(&r->p, "%%%s is %s, not %s", s->name, np_type_str(r->p.cx, t),
                      np_type_str(r->p.cx, s->type));
}
/* One statement. A yield or a ret is only taken apart: who reads the block ends it. */
static void read_stmt(np_reader *r, np_stmt *s)
{
    np_parser *p = &r->p;
    np_node *n = NULL;
    p->errline = s->line = p->line;
    p->bad = false;
    uint32_t before = r->b->fn->nnodes;
    read_head(p, s);
    if (!p->bad) read_rest(r, s);
    bool end = !p->bad && (s->op == NP_YIELD || s->op == NP_RET);
    if (end && s->name) np_parse_fail(p, "%s gives no value", s->info->text);
    if (end) np_parse_line(p);
    if (!end && !p->bad) n = build(r, s);
    if (n) compare_types(r, s, n);
    if (n && s->mark && n->id >= before && n->op != NP_BAD) n->loc.line = s->mark;
    s->poison |= p->bad;
    if (s->name && *s->name && !end) {
        bool was = p->bad;
        np_parse_define(r, s->name, n && !was ? n : poison(r));
        p->bad |= was;
    }
    np_parse_skip(p);
}
/* Statements up to and with `}`; the last one is left in `last`. */
bool np_parse_block(np_reader *r, np_stmt *last)
{
    np_parser *p = &r->p;
    bool ended = false, good = true;
    while (!np_parse_is(p, '}')) {
        if (p->tok == TOK_END) {
            p->errline = r->b->fn->loc.line;
            if (!r->lost) np_parse_fail(p, "@%s: a '}' is missing", r->b->fn->name);
            r->lost = true;
            return false;
        }
        if (p->tok == TOK_LINE) {
            np_parse_next(p);
            continue;
        }
        if (ended) {
            p->errline = p->line;
            np_parse_fail(p, "a statement behind the end of the body");
            np_parse_skip(p);
            good = false;
            continue;
        }
        *last = (np_stmt){0};
        read_stmt(r, last);
        ended = last->info && (last->op == NP_YIELD || last->op == NP_RET);
    }
    bool top = r->bodies == 0;
    p->errline = p->line;
    if (!ended && !last->poison)
        np_parse_fail(p, top ? "a function ends with ret" : "a body ends with yield");
    else if (ended && (last->op == NP_RET) != top)
        np_parse_fail(p, top ? "a function ends with ret, not yield" : "a body ends with yield, not ret");
    good &= !p->bad && ended;
    p->bad = false;
    np_parse_next(p);
    return good;
}
