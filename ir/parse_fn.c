/* Functions: what stands before the body, and whether `ret` agrees with it. One
 * that has a mistake is not put into the module, and calls of it say nothing more. */
#include "parse.h"

#include <string.h>

typedef struct outs {
    int n;
    np_str name[1024];
    const np_type *type[1024];
} outs;
static void read_params(np_reader *r)
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
        if ((kind == NP_IN && f->nstates + f->nouts) || (kind == NP_STATE && f->nouts))
            np_parse_fail(p, "inputs come first, then states, then outputs");
        if (kind == NP_STATE && f->nstates == (int)NP_LEN(grow))
            np_parse_fail(p, "more than %d states", f->nstates);
        if (p->bad) return;
        r->b->loc = np_parse_loc(p);
        np_node *n = np_build_param(r->b, kind, name, t);
        n->name = np_parse_hint(name);
        np_parse_define(r, name, n);
        if (kind == NP_STATE) grow[f->nstates - 1] = -1;
        if (kind == NP_STATE && np_parse_word(p, "grow")) {
            np_parse_next(p);
            np_parse_want(p, '=');
            int64_t axis = np_parse_int(p);
            if (axis >= t->rank)
                np_parse_fail(p, "%%%s has no axis %lld", name, (long long)axis);
            else
                grow[f->nstates - 1] = (int)axis;
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
        if (!stage)
            f->work = np_parse_int(p);
        else if (np_parse_word(p, "loop"))
            f->stage = NP_STAGE_LOOP;
        else if (np_parse_word(p, "placed"))
            f->stage = NP_STAGE_PLACED;
        else if (!np_parse_word(p, "tensor"))
            np_parse_fail(p, "a stage is tensor, loop or placed");
        if (stage) np_parse_next(p);
    }
    if (p->bad) return;
    if (f->stage == NP_STAGE_TENSOR) {
        if (f->nouts) np_parse_fail(p, "outputs are parameters from stage loop on");
        for (int i = 0; i < f->nstates; i++)
            if (f->grow[i] >= 0) np_parse_fail(p, "grow= belongs to stage loop");
        f->grow = NULL;
    } else if (o->n)
        np_parse_fail(p, "outputs are parameters from stage loop on");
}
/* A state that grows along time comes back longer than it went in. */
static bool grows_to(np_cx *cx, const np_type *was, const np_type *now)
{
    for (int k = 0; k < was->rank && now->rank == was->rank; k++)
        if (was->dim[k]->kind == NP_DIM_SYM && was->dim[k]->role == NP_ROLE_PAST &&
            np_type_set(cx, was, k, now->dim[k]) == now)
            return true;
    return false;
}
static bool end_fn(np_reader *r, const np_stmt *ret, const outs *o)
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
        if (ret->arg[i]->type->tuple)
            np_parse_fail(p, "ret: operand %d is several results, pick one", i);
        else if (t && t != ret->arg[i]->type && !(i >= n && grows_to(p->cx, t, ret->arg[i]->type)))
            np_parse_fail(p, "ret: operand %d is %s, not %s", i, np_type_str(p->cx, ret->arg[i]->type),
                          np_type_str(p->cx, t));
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
/* Does n ask for what the build does not have: sizes of a call, memory, other functions? */
static void see_varying(void *env, const np_node *n)
{
    const np_node **bad = env;
    int64_t k;
    bool varies = np_op_info(n->op)->cls == NP_LOOPS || n->op == NP_CALL || n->op == NP_GROUP;
    for (int i = 0; i < n->type->rank; i++) varies |= !np_dim_int(n->type->dim[i], &k);
    for (int i = 0; i < NP_MAXATTRS; i++) varies |= n->attr[i] && !np_dim_int(n->attr[i], &k);
    if (varies && !*bad) *bad = n;
}
np_fn *np_parse_made(np_reader *r, const np_type *t)
{
    np_parser *p = &r->p;
    outs *o = np_arena_alloc(&p->cx->tmp, sizeof *o);
    np_stmt ret = {0};
    const np_node *bad = NULL;
    int before = p->cx->nerrors;
    np_fn *f = np_fn_new(p->mod, "made", NP_STAGE_TENSOR);
    f->loc = np_parse_loc(p);
    o->n = 1, o->name[0] = np_str_new(p->cx, "w"), o->type[0] = t;
    r->b = np_build_new(f);
    r->b->plain = r->plain;
    np_parse_want(p, '{');
    bool good = !p->bad && np_parse_block(r, &ret) && !ret.poison && p->cx->nerrors == before;
    if (good) good = end_fn(r, &ret, o);
    if (good) np_fn_walk(f, see_varying, &bad);
    if (bad)
        np_error(p->cx, bad->loc, "%s: a weight is made of weights and constants, and its sizes are numbers",
                 np_op_info(bad->op)->text);
    np_parse_forget(&r->names, 0);
    r->bodies = 0;
    if (good && !bad) return f;
    np_fn_free(f);
    return NULL;
}
void np_parse_fn(np_reader *r)
{
    np_parser *p = &r->p;
    outs *o = np_arena_alloc(&p->cx->tmp, sizeof *o);
    np_stmt ret = {0};
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
    if (!header)
        np_parse_skip(p);
    else if (np_parse_block(r, &ret) && !ret.poison && p->cx->nerrors == before)
        header = end_fn(r, &ret, o);
    np_parse_forget(&r->names, 0);
    r->bodies = 0;
    if (header && p->cx->nerrors == before) {
        np_mod_put(p->mod, f);
        return;
    }
    r->failed = np_arena_more(&p->cx->tmp, r->failed, r->nfailed, sizeof *r->failed);
    r->failed[r->nfailed++] = name;
    np_fn_free(f);
}
