/* What each stage promises, as a predicate. A pass that breaks a promise is a
 * bug of ours and is found here, right after it, not three passes later. */
#include "ir.h"

#include <string.h>

typedef struct checker {
    const np_fn *f;
    np_stage stage;
    np_text *why;
    bool ok;
    np_loc where; /* of the fault */
    bool *seen; /* by id: defined so far */
    np_arena mem;
} checker;

static void fault(checker *c, const np_node *n, const char *what)
{
    if (!c->ok) return;
    c->ok = false;
    c->where = n ? n->loc : c->f->loc;
    np_text_add(c->why, "%s: ", what);
    if (n && n->type) np_print_node(c->why, n);
}
static bool allowed(const checker *c, const np_node *n)
{
    np_opclass cls = np_op_info(n->op)->cls;
    if (n->op == NP_BAD || n->op == NP_PARAM) return false;
    if (c->stage == NP_STAGE_TENSOR) return cls != NP_LOOPS;
    if (n->op == NP_CALL || n->op == NP_IOTA) return false;
    return cls != NP_TENSOR || n->op == NP_COND;
}
static void check_operands(checker *c, const np_node *n)
{
    for (int i = 0; i < n->nargs; i++) {
        const np_node *a = n->arg[i];
        if (a->id >= c->f->nnodes || !c->seen[a->id]) fault(c, n, "an operand stands after its use, or nowhere");
        else if (!np_block_encloses(a->in, n->in)) fault(c, n, "an operand stands in another body");
    }
}
/* From LOOP on, what is not a buffer is a scalar. */
static void check_loop_node(checker *c, const np_node *n)
{
    bool buffer = n->op == NP_ALLOC || n->op == NP_WEIGHT || (n->op == NP_CONST && n->data);
    if (!buffer && !n->type->tuple && n->type->rank != 0) fault(c, n, "a whole tensor after loops");
    if ((n->op == NP_LOAD || n->op == NP_STORE || n->op == NP_PREFETCH) && n->nargs > 0) {
        const np_op from = n->arg[0]->op;
        if (from != NP_ALLOC && from != NP_WEIGHT && from != NP_PARAM && !(from == NP_CONST && n->op != NP_STORE)) fault(c, n, "not a buffer");
        if (n->op == NP_STORE && from != NP_ALLOC && from != NP_PARAM) fault(c, n, "a store into what is read-only");
    }
    if (n->op == NP_GROUP && n->in != &c->f->top) fault(c, n, "a group inside a body after loops");
    if (n->in == &c->f->top && (n->op == NP_LOOP || n->op == NP_STORE || n->op == NP_LOAD || n->op == NP_PREFETCH || n->op == NP_COND)) fault(c, n, "outside of a group");
    int64_t at;
    if (c->stage == NP_STAGE_PLACED && n->op == NP_ALLOC && (!np_dim_int(n->attr[0], &at) || at == -1)) fault(c, n, "not placed");
}
static void check_block(checker *c, const np_block *b)
{
    for (int i = 0; i < b->nparams; i++) c->seen[b->param[i]->id] = true;
    for (const np_node *n = b->first; n && c->ok; n = n->next) {
        if (!n->type || n->id >= c->f->nnodes) {
            fault(c, n, "no type or a wild id");
            return;
        }
        if (!allowed(c, n)) fault(c, n, "this op does not belong to the stage");
        check_operands(c, n);
        bool end = n->op == NP_YIELD || n->op == NP_RET;
        if (end != (n == b->last)) fault(c, n, end ? "an end in the middle" : "a body without an end");
        if (end && (n->op == NP_RET) != (b == &c->f->top)) fault(c, n, "the wrong kind of end");
        for (int i = 0; i < 2; i++)
            if (n->body[i]) check_block(c, n->body[i]);
        if (c->stage != NP_STAGE_TENSOR && c->ok) check_loop_node(c, n);
        c->seen[n->id] = true;
    }
    if (!b->last) fault(c, NULL, "an empty body");
}

/* ---- PLACED: buffers that are in use at the same time lie apart. A buffer is
 * in use from the first top-level statement that mentions it to the last. */
typedef struct span {
    int64_t from, to; /* bytes */
    int first, last;
} span;
static void mention(const np_block *b, const np_node *buf, int at, span *s)
{
    for (const np_node *n = b->first; n; n = n->next) {
        for (int i = 0; i < n->nargs; i++)
            if (n->arg[i] == buf) {
                if (s->first < 0) s->first = at;
                s->last = at;
            }
        for (int i = 0; i < 2; i++)
            if (n->body[i]) mention(n->body[i], buf, at, s);
    }
}
static void check_places(checker *c)
{
    span list[4096];
    int n = 0;
    for (const np_node *a = c->f->top.first; a && c->ok; a = a->next) {
        if (a->op != NP_ALLOC) continue;
        int64_t at = a->attr[0]->k, lo, bytes;
        np_dim_range(np_type_count(c->f->cx, a->type), &lo, &bytes);
        if (__builtin_mul_overflow(bytes, np_dtype_size(a->type->dtype), &bytes)) fault(c, a, "beyond all memory"), bytes = 0;
        if (at < 0 || at % 64 != 0 || at + bytes > c->f->work) fault(c, a, "outside of the work memory");
        span s = {at, at + bytes, -1, -1};
        int order = 0;
        for (const np_node *t = c->f->top.first; t; t = t->next, order++)
            for (int i = 0; i < 2; i++)
                if (t->body[i]) mention(t->body[i], a, order, &s);
        for (int i = 0; i < n; i++)
            if (s.first <= list[i].last && list[i].first <= s.last && s.from < list[i].to && list[i].from < s.to) fault(c, a, "shares bytes with a buffer that is still in use");
        if (n < (int)NP_LEN(list)) list[n++] = s;
    }
}

bool np_check_at(const np_fn *f, np_stage stage, np_text *why, np_loc *where)
{
    checker c = {.f = f, .stage = stage, .why = why, .ok = true};
    c.seen = np_arena_array(&c.mem, f->nnodes + 1, sizeof *c.seen);
    check_block(&c, &f->top);
    if (stage == NP_STAGE_TENSOR && c.ok && f->top.last->nargs != f->nouts + f->nstates) fault(&c, f->top.last, "as many results as outputs and states");
    if (stage == NP_STAGE_PLACED && c.ok) check_places(&c);
    np_arena_free(&c.mem);
    *where = c.where;
    return c.ok;
}
bool np_check(const np_fn *f, np_stage stage, np_text *why)
{
    np_loc where;
    return np_check_at(f, stage, why, &where);
}
