/* Reading the text form, upper half: modules, functions, statements. Everything
 * goes through the builder, so what is read is typed, folded and shared, and
 * printing it gives its canonical form. A wrong statement is reported once, its
 * name becomes `bad`, and reading goes on behind it: one run reports several
 * independent mistakes. */
#include "parse.h"

#include <string.h>

enum { BUCKETS = 1024, MOST_BODIES = 64, MOST_OPERANDS = 4096 };
typedef struct entry { /* a name that can be used here */
    struct entry *older; /* in its bucket */
    np_str name;
    np_node *node;
    int bucket;
} entry;
typedef struct names { /* of one function: a stack of entries, found by hash */
    np_arena mem;
    entry *bucket[BUCKETS];
    entry **list;
    int n, cap;
} names;
typedef struct reader {
    np_parser p; /* first: the lower half sees only that */
    np_build *b;
    names names;
    np_str *failed; /* functions that had mistakes: a call of one says nothing more */
    int nfailed, bodies;
    bool lost;  /* the text ended inside a body */
    bool plain; /* neither fold nor share */
} reader;
typedef struct stmt { /* taken apart, before it is built */
    np_str name;
    const np_type *type; /* written, or NULL */
    np_op op;
    const np_opinfo *info;
    np_node **arg;
    int nargs, line, mark; /* mark: `!14` */
    np_extra x;
    bool poison; /* an operand is bad, or a mistake was reported */
} stmt;

/* ---- names */
static int bucket_of(np_str s)
{
    uint32_t h = 2166136261u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
    return (int)(h % BUCKETS);
}
static np_node *lookup(const names *t, np_str name)
{
    const entry *e = t->bucket[bucket_of(name)];
    while (e && e->name != name) e = e->older;
    return e ? e->node : NULL;
}
static void define(reader *r, np_str name, np_node *n)
{
    names *t = &r->names;
    if (!name) return;
    if (lookup(t, name)) {
        r->p.bad = false;
        np_parse_fail(&r->p, "%%%s is defined already", name);
        return;
    }
    if (t->n == t->cap) {
        entry **old = t->list;
        t->cap = t->cap ? 2 * t->cap : 64;
        t->list = np_arena_array(&t->mem, (size_t)t->cap, sizeof *t->list);
        if (t->n) memcpy(t->list, old, (size_t)t->n * sizeof *old);
    }
    entry *e = t->list[t->n++] = np_arena_alloc(&t->mem, sizeof *e);
    *e = (entry){.name = name, .node = n, .bucket = bucket_of(name)};
    e->older = t->bucket[e->bucket];
    t->bucket[e->bucket] = e;
}
static void forget(names *t, int n)
{
    while (t->n > n) {
        entry *e = t->list[--t->n];
        t->bucket[e->bucket] = e->older;
    }
}
static np_node *poison(reader *r)
{
    return np_build_op(r->b, NP_BAD, 0, NULL, NULL);
}
static np_str hint(np_str name) /* names that begin with a digit are numbers: no hint */
{
    return name && !(name[0] >= '0' && name[0] <= '9') ? name : NULL;
}

/* ---- the parts of a statement */
static void read_list(np_parser *p, stmt *s)
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
    if (!s->type) s->type = s->x.type = np_type_tensor(p->cx, NP_F32, 1, (const np_dim *[]){np_dim_const(p->cx, n)});
    for (int i = 0; i < s->type->rank; i++) want = np_dim_int(s->type->dim[i], &k) && k <= 1 << 28 && want <= 1 << 28 ? want * k : -1;
    if (s->type->tuple || want != n) np_parse_fail(p, "a list of %lld numbers for %s", (long long)n, np_type_str(p->cx, s->type));
    else if (s->type->rank == 0) s->x.num = v[0]; /* one number */
    else s->x.data = v;
}
static void read_operand(reader *r, stmt *s)
{
    np_parser *p = &r->p;
    if (s->nargs == MOST_OPERANDS) np_parse_fail(p, "more than %d operands", MOST_OPERANDS);
    np_str name = np_parse_name(p, TOK_VALUE, "an operand");
    if (p->bad) return;
    np_node *n = lookup(&r->names, name);
    if (!n) {
        np_parse_fail(p, "%%%s is not defined here", name);
        return;
    }
    if ((s->nargs & (s->nargs - 1)) == 0) { /* full at 0, 1, 2, 4, .. */
        np_node **old = s->arg;
        s->arg = np_arena_array(&p->cx->tmp, 2 * (size_t)s->nargs + 1, sizeof *s->arg);
        if (s->nargs) memcpy(s->arg, old, (size_t)s->nargs * sizeof *old);
    }
    s->arg[s->nargs++] = n;
    if (n->op == NP_BAD) s->poison = true;
}
static void read_attr(np_parser *p, stmt *s)
{
    np_str key = np_parse_name(p, TOK_NAME, "an attribute");
    int i = 0;
    while (i < s->info->nattrs && strcmp(s->info->attr[i], key) != 0) i++;
    if (i == s->info->nattrs) np_parse_fail(p, "%s has no attribute %s", s->info->text, key);
    else if (s->x.attr[i]) np_parse_fail(p, "%s= stands twice", key);
    np_parse_want(p, '=');
    const np_dim *d = np_parse_dim(p);
    if (!p->bad) s->x.attr[i] = d;
}
/* A number is read when its type is known: that of a const is written, that of
 * a pad is its operand's, which comes behind it. */
static void read_rest(reader *r, stmt *s)
{
    np_parser *p = &r->p, number = *p;
    if (s->op == NP_CONST) {
        if (np_parse_is(p, '[')) read_list(p, s);
        else s->x.num = np_parse_number(p, s->type && !s->type->tuple ? s->type->dtype : NP_F32);
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
    s->x.num = np_parse_number(&number, s->nargs && !s->arg[0]->type->tuple ? s->arg[0]->type->dtype : NP_F32);
    p->bad = number.bad;
}
static void read_head(np_parser *p, stmt *s)
{
    if (p->tok == TOK_VALUE) {
        s->name = np_parse_name(p, TOK_VALUE, "a name");
        if (!np_parse_is(p, '=')) s->type = np_parse_type(p);
        np_parse_want(p, '=');
    }
    np_str op = np_parse_name(p, TOK_NAME, "an operation");
    if (!p->bad && (!np_op_find(op, &s->op) || s->op == NP_BAD || s->op == NP_PARAM)) np_parse_fail(p, "there is no operation '%s'", op);
    if (p->bad) return;
    s->info = np_op_info(s->op);
    if (s->op == NP_CONST || s->op == NP_ALLOC) s->x.type = s->type;
}

/* ---- bodies */
static bool read_block(reader *r, stmt *last);
static bool read_with(reader *r, np_block *body)
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
                if (t && t != param->type) np_parse_fail(p, "%%%s is %s, not %s", name, np_type_str(p->cx, param->type), np_type_str(p->cx, t));
                param->name = hint(name);
            }
            wrong |= p->bad;
            p->bad = false; /* the others are defined all the same */
            define(r, name, param);
        } while (np_parse_take(p, ','));
        np_parse_line(p);
    }
    if (!wrong && !p->bad && n != body->nparams && (n == 0 || body->param[0]->op != NP_BAD)) np_parse_fail(p, "this body has %d parameters", body->nparams);
    wrong |= p->bad;
    if (with) np_parse_skip(p);
    p->bad = false;
    return !wrong;
}
/* From behind `{` to behind `}`. False: it has no good end, and cannot be closed. */
static bool read_body(reader *r, np_block *body, stmt *last)
{
    int scope = r->names.n;
    if (r->p.tok == TOK_LINE) np_parse_next(&r->p);
    while (r->p.tok == TOK_LINE) np_parse_next(&r->p);
    bool good = read_with(r, body);
    good &= read_block(r, last);
    forget(&r->names, scope);
    return good && last->info && last->op == NP_YIELD && !last->poison;
}
static np_node *build_body(reader *r, stmt *s)
{
    np_parser *p = &r->p;
    np_build *b = r->b;
    np_block *outer = b->at;
    np_node *n = np_build_open(b, s->op, s->nargs, s->arg, &s->x);
    stmt end[2] = {0}, *last = &end[s->info->nbodies - 1];
    np_parse_next(p);
    bool good = read_body(r, n->body[0], &end[0]);
    if (s->info->nbodies == 2 && !r->lost) {
        p->errline = p->line;
        b->at = n->body[0];
        np_build_else(b, n, good ? end[0].nargs : 0, end[0].arg);
        if (np_parse_word(p, "else")) np_parse_next(p);
        else np_parse_fail(p, "'else {' is wanted behind the first body");
        np_parse_want(p, '{');
        if (p->bad) good = false;
        else good &= read_body(r, n->body[1], &end[1]);
    }
    if (good && !p->bad) {
        b->loc = (np_loc){.file = p->file, .line = n->loc.line};
        b->name = NULL;
        np_node *made = np_build_close(b, n, last->nargs, last->arg);
        for (int i = 0; i < s->info->nbodies; i++) n->body[i]->last->loc.line = end[i].mark ? end[i].mark : end[i].line;
        return made;
    }
    b->at = outer;
    return poison(r);
}

/* ---- statements */
static np_node *build(reader *r, stmt *s)
{
    np_parser *p = &r->p;
    int line = p->errline;
    r->b->loc = np_parse_loc(p);
    r->b->name = hint(s->name);
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
static void compare_types(reader *r, const stmt *s, const np_node *n)
{
    const np_type *t = n->type;
    if (n->op == NP_BAD || r->p.bad) return;
    if (t->tuple && t->width == 0 && s->name) np_parse_fail(&r->p, "%s gives no value", s->info->text);
    else if (s->type && s->type != t) np_parse_fail(&r->p, "%%%s is %s, not %s", s->name, np_type_str(r->p.cx, t), np_type_str(r->p.cx, s->type));
}
/* One statement. A yield or a ret is only taken apart: who reads the block ends it. */
static void read_stmt(reader *r, stmt *s)
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
        define(r, s->name, n && !was ? n : poison(r));
        p->bad |= was;
    }
    np_parse_skip(p);
}
/* Statements up to and with `}`; the last one is left in `last`. */
static bool read_block(reader *r, stmt *last)
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
        *last = (stmt){0};
        read_stmt(r, last);
        ended = last->info && (last->op == NP_YIELD || last->op == NP_RET);
    }
    bool top = r->bodies == 0;
    p->errline = p->line;
    if (!ended && !last->poison) np_parse_fail(p, top ? "a function ends with ret" : "a body ends with yield");
    else if (ended && (last->op == NP_RET) != top) np_parse_fail(p, top ? "a function ends with ret, not yield" : "a body ends with yield, not ret");
    good &= !p->bad && ended;
    p->bad = false;
    np_parse_next(p);
    return good;
}

/* ---- functions */
typedef struct outs {
    int n;
    np_str name[1024];
    const np_type *type[1024];
} outs;
static void read_params(reader *r)
{
    np_parser *p = &r->p;
    np_fn *f = r->b->fn;
    int grow[256];
    np_parse_want(p, '(');
    while (!p->bad && !np_parse_is(p, ')')) {
        np_port kind = np_parse_word(p, "state") ? NP_STATE : np_parse_word(p, "out") ? NP_OUT : NP_IN;
        if (kind != NP_IN) np_parse_next(p);
        np_str name = np_parse_name(p, TOK_VALUE, "a parameter");
        const np_type *t = np_parse_type(p);
        if (!p->bad && t->tuple) np_parse_fail(p, "%%%s: a parameter is one tensor", name);
        if ((kind == NP_IN && f->nstates + f->nouts) || (kind == NP_STATE && f->nouts)) np_parse_fail(p, "inputs come first, then states, then outputs");
        if (kind == NP_STATE && f->nstates == (int)NP_LEN(grow)) np_parse_fail(p, "more than %d states", f->nstates);
        if (p->bad) return;
        r->b->loc = np_parse_loc(p);
        np_node *n = np_build_param(r->b, kind, name, t);
        n->name = hint(name);
        define(r, name, n);
        if (kind == NP_STATE) grow[f->nstates - 1] = -1;
        if (kind == NP_STATE && np_parse_word(p, "grow")) {
            np_parse_next(p);
            np_parse_want(p, '=');
            int64_t axis = np_parse_int(p);
            if (axis >= t->rank) np_parse_fail(p, "%%%s has no axis %lld", name, (long long)axis);
            else grow[f->nstates - 1] = (int)axis;
        }
        if (!np_parse_is(p, ')')) np_parse_want(p, ',');
    }
    np_parse_want(p, ')');
    f->grow = np_arena_copy(&f->mem, grow, (size_t)f->nstates * sizeof *grow);
}
static void read_outs(np_parser *p, outs *o)
{
    if (p->tok != TOK_ARROW) return;
    np_parse_next(p);
    np_parse_want(p, '(');
    while (!p->bad && !np_parse_is(p, ')')) {
        if (o->n == (int)NP_LEN(o->name)) np_parse_fail(p, "more than %d outputs", o->n);
        np_str name = np_parse_name(p, p->tok == TOK_NUMBER ? TOK_NUMBER : TOK_NAME, "the name of an output");
        const np_type *t = np_parse_is(p, ',') || np_parse_is(p, ')') ? NULL : np_parse_type(p);
        if (p->bad) return;
        o->name[o->n] = name;
        o->type[o->n++] = t;
        if (!np_parse_is(p, ')')) np_parse_want(p, ',');
    }
    np_parse_want(p, ')');
}
static void read_stage(np_parser *p, np_fn *f, const outs *o)
{
    while (!p->bad && p->tok == TOK_NAME) {
        bool stage = np_parse_word(p, "stage");
        if (!stage && !np_parse_word(p, "work")) np_parse_fail(p, "stage= or work= is wanted");
        np_parse_next(p);
        np_parse_want(p, '=');
        if (!stage) f->work = np_parse_int(p);
        else if (np_parse_word(p, "loop")) f->stage = NP_STAGE_LOOP;
        else if (np_parse_word(p, "placed")) f->stage = NP_STAGE_PLACED;
        else if (!np_parse_word(p, "tensor")) np_parse_fail(p, "a stage is tensor, loop or placed");
        if (stage) np_parse_next(p);
    }
    if (p->bad) return;
    if (f->stage == NP_STAGE_TENSOR) {
        if (f->nouts) np_parse_fail(p, "outputs are parameters from stage loop on");
        for (int i = 0; i < f->nstates; i++)
            if (f->grow[i] >= 0) np_parse_fail(p, "grow= belongs to stage loop");
        f->grow = NULL;
    } else if (o->n) np_parse_fail(p, "outputs are parameters from stage loop on");
}
/* A state that grows along time comes back longer than it went in. */
static bool grows_to(np_cx *cx, const np_type *was, const np_type *now)
{
    for (int k = 0; k < was->rank && now->rank == was->rank; k++)
        if (was->dim[k]->kind == NP_DIM_SYM && was->dim[k]->role == NP_ROLE_PAST && np_type_set(cx, was, k, now->dim[k]) == now) return true;
    return false;
}
static bool end_fn(reader *r, const stmt *ret, const outs *o)
{
    np_parser *p = &r->p;
    np_fn *f = r->b->fn;
    const char *name[1024];
    int n = ret->nargs - f->nstates;
    p->errline = ret->line;
    p->bad = false;
    if (f->stage != NP_STAGE_TENSOR) {
        if (ret->nargs) np_parse_fail(p, "ret has no operands from stage loop on");
        n = 0;
    } else if (n < 0 || n > (int)NP_LEN(name) || (o->n && o->n != n)) {
        np_parse_fail(p, "ret: %d operands for %d outputs and %d states", ret->nargs, o->n, f->nstates);
    }
    for (int i = 0; !p->bad && i < ret->nargs; i++) {
        const np_type *t = i < n ? (o->n ? o->type[i] : NULL) : f->top.param[f->ninputs + i - n]->type;
        if (ret->arg[i]->type->tuple) np_parse_fail(p, "ret: operand %d is several results, pick one", i);
        else if (t && t != ret->arg[i]->type && !(i >= n && grows_to(p->cx, t, ret->arg[i]->type)))
            np_parse_fail(p, "ret: operand %d is %s, not %s", i, np_type_str(p->cx, ret->arg[i]->type), np_type_str(p->cx, t));
    }
    if (p->bad) return false;
    for (int i = 0; i < n; i++) name[i] = o->n ? o->name[i] : np_str_fmt(p->cx, "%d", i);
    r->b->loc = np_parse_loc(p);
    if (ret->mark) r->b->loc.line = ret->mark;
    np_build_ret(r->b, n, name, ret->nargs, ret->arg);
    np_fn_sweep(f);
    np_text why = {0};
    np_loc where = np_parse_loc(p);
    bool good = np_check_at(f, f->stage, &why, &where);
    if (!good) np_error(p->cx, where, "@%s: %s", f->name, why.s ? why.s : "");
    np_text_free(&why);
    return good;
}
static void read_fn(reader *r)
{
    np_parser *p = &r->p;
    outs *o = np_arena_alloc(&p->cx->tmp, sizeof *o);
    stmt ret = {0};
    np_parse_next(p);
    np_str name = np_parse_name(p, TOK_FN, "the name of a function");
    if (!p->bad && np_mod_fn(p->mod, name)) np_parse_fail(p, "@%s is defined already", name);
    if (p->bad) {
        np_parse_skip(p);
        return;
    }
    np_fn *f = np_fn_new(p->mod, name, NP_STAGE_TENSOR);
    int before = p->cx->nerrors;
    f->loc = np_parse_loc(p);
    r->b = np_build_new(f);
    r->b->plain = r->plain;
    read_params(r);
    read_outs(p, o);
    read_stage(p, f, o);
    bool header = !p->bad;
    np_parse_want(p, '{');
    if (p->bad && header) header = false;
    if (!header) np_parse_skip(p);
    else if (read_block(r, &ret) && !ret.poison && p->cx->nerrors == before) header = end_fn(r, &ret, o);
    forget(&r->names, 0);
    r->bodies = 0;
    if (header && p->cx->nerrors == before) {
        np_mod_put(p->mod, f);
        return;
    }
    np_str *old = r->failed;
    r->failed = np_arena_array(&p->cx->tmp, (size_t)r->nfailed + 1, sizeof *old);
    if (r->nfailed) memcpy(r->failed, old, (size_t)r->nfailed * sizeof *old);
    r->failed[r->nfailed++] = name;
    np_fn_free(f);
}

/* ---- the module */
static void read_dim(reader *r)
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
    if (!p->bad && (hi < lo || hi > INT32_MAX)) np_parse_fail(p, "the range of %s is empty or beyond 2^31", name);
    np_role role = np_parse_word(p, "time") ? NP_ROLE_TIME : np_parse_word(p, "past") ? NP_ROLE_PAST : NP_ROLE_NONE;
    if (role != NP_ROLE_NONE) np_parse_next(p);
    for (int i = 0; i < p->nsyms && role != NP_ROLE_NONE; i++)
        if (p->sym[i]->role == role) np_parse_fail(p, "%s has this role already", p->sym[i]->name);
    np_parse_line(p);
    if (*name && !again && p->nsyms < (int)NP_LEN(p->sym)) { /* declared even if it is wrong: its uses are not */
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
    bool good = np_build_contract(at, np_build_weight(at, a->name), np_build_weight(at, b->name), spec)->op != NP_BAD;
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
static void read_weight(reader *r)
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
        if (w && w->type != t) np_parse_fail(p, "$%s is %s, not %s", name, np_type_str(p->cx, w->type), np_type_str(p->cx, t));
    } else if (!p->bad) {
        np_mod_declare(p->mod, np_parse_loc(p), name, t);
    }
    np_parse_line(p);
    np_parse_skip(p);
}

static np_mod *read_mod(np_cx *cx, const char *file, const char *text, size_t n, bool plain)
{
    reader *r = np_arena_alloc(&cx->tmp, sizeof *r);
    r->plain = plain;
    np_parser *p = &r->p;
    int before = cx->nerrors;
    *p = (np_parser){.cx = cx, .mod = np_mod_new(cx, file), .file = np_str_new(cx, file), .at = text, .end = text + n, .line = 1};
    np_diag_source(cx, p->file, text, n);
    for (np_parse_next(p); p->tok != TOK_END;) {
        p->errline = p->line;
        p->bad = false;
        if (np_parse_word(p, "dim")) read_dim(r);
        else if (np_parse_word(p, "weight")) read_weight(r);
        else if (np_parse_word(p, "fn")) read_fn(r);
        else if (p->tok == TOK_LINE) np_parse_next(p);
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
