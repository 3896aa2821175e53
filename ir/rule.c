/* Type rules: what an operation gives, or what is wrong with it in the user's
 * words. Two dims are equal if they are the same pointer, nothing else. */
#include "ir.h"

#include <string.h>

typedef struct req { /* what is to be typed */
    np_build *b;
    np_cx *cx;
    np_op op;
    int n;
    np_node *const *arg;
    const np_extra *x;
    const np_node *node;
} req;
typedef const np_type *result;

static const char *name_of(np_cx *cx, const np_node *n)
{
    return n->name ? np_str_fmt(cx, "%%%s", n->name)
                   : np_str_fmt(cx, "a value made by %s", np_op_info(n->op)->text);
}
static const char *show(np_cx *cx, const np_node *n) /* "%q f32[64,32]" */
{
    return np_str_fmt(cx, "%s %s", name_of(cx, n), np_type_str(cx, n->type));
}
static result fail(const req *r, const char *fmt, ...) NP_PRINTF(2, 3);
static result fail(const req *r, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    np_error(r->cx, r->b->loc, "%s", text);
    return NULL;
}
#define TEXT(r) np_op_info((r)->op)->text
static char cls(const np_type *t)
{
    return np_dtype_class(t->dtype);
}
static bool axis_of(const req *r, const np_dim *d, int most, int *out)
{
    int64_t v;
    if (!d || !np_dim_int(d, &v) || v < 0 || v > most) {
        fail(r, "%s: axis=%s does not fit %s", TEXT(r), d ? np_dim_str(r->cx, d) : "?",
             r->n ? show(r->cx, r->arg[0]) : "nothing");
        return false;
    }
    *out = (int)v;
    return true;
}
static bool room_for(const req *r, int rank)
{
    if (rank <= NP_RANK) return true;
    fail(r, "%s: a tensor may have %d axes at most", TEXT(r), NP_RANK);
    return false;
}

/* ---- leaves */
static result rule_bad(const req *r)
{
    return np_type_scalar(r->cx, NP_F32);
}
static result rule_param(const req *r)
{
    return r->x->type;
}
static result rule_given(const req *r)
{
    if (r->x->type && r->x->type->tuple)
        return fail(r, "%s: one tensor, not %s", TEXT(r), np_type_str(r->cx, r->x->type));
    if (!r->x->type)
        return r->op == NP_CONST ? np_type_scalar(r->cx, NP_F32)
                                 : fail(r, "%s: the type must be written", TEXT(r));
    int64_t k;
    for (int i = 0; r->x->data && i < r->x->type->rank; i++)
        if (!np_dim_int(r->x->type->dim[i], &k))
            return fail(r, "const: a list for %s, whose size is not a number",
                        np_type_str(r->cx, r->x->type));
    return r->x->type;
}
static result rule_weight(const req *r)
{
    const np_weight *w = r->x->sym ? np_mod_weight(r->b->fn->mod, r->x->sym) : NULL;
    return w ? w->type : fail(r, "weight $%s is not declared", r->x->sym ? r->x->sym : "");
}
static result rule_iota(const req *r)
{
    return np_type_tensor(r->cx, NP_I32, 1, &r->x->attr[0]);
}
static result rule_size(const req *r)
{
    return np_type_scalar(r->cx, NP_I32);
}
static result rule_none(const req *r)
{
    return np_type_void(r->cx);
}

/* ---- elementwise */
static result alike(const req *r, int from)
{
    for (int i = from + 1; i < r->n; i++)
        if (r->arg[i]->type != r->arg[from]->type)
            return fail(r, "%s: %s and %s differ", TEXT(r), show(r->cx, r->arg[from]),
                        show(r->cx, r->arg[i]));
    return r->arg[from]->type;
}
static result of_class(const req *r, const char *classes, const char *wanted)
{
    result t = alike(r, 0);
    if (!t || (!t->tuple && strchr(classes, cls(t)))) return t;
    return fail(r, "%s wants %s, not %s", TEXT(r), wanted, show(r->cx, r->arg[0]));
}
static result rule_same(const req *r)
{
    return r->op == NP_NOT ? of_class(r, "BI", "bools or integers") : of_class(r, "IF", "numbers");
}
static result rule_fsame(const req *r)
{
    return of_class(r, "F", "floats");
}
static result rule_float2(const req *r)
{
    return of_class(r, "F", "floats");
}
static result rule_num2(const req *r)
{
    return of_class(r, "IF", "numbers");
}
static result rule_bits2(const req *r)
{
    bool shift = r->op == NP_SHL || r->op == NP_SHR;
    return shift ? of_class(r, "I", "integers") : of_class(r, "BI", "bools or integers");
}
static result rule_compare(const req *r)
{
    result t = of_class(r, "BIF", "numbers");
    return t ? np_type_with(r->cx, t, NP_BOOL) : NULL;
}
static result rule_cast(const req *r)
{
    np_dtype d;
    if (!r->x->sym || !np_dtype_find(r->x->sym, &d))
        return fail(r, "cast: there is no element type \"%s\"", r->x->sym ? r->x->sym : "");
    if (r->arg[0]->type->tuple) return fail(r, "cast wants a tensor, not %s", show(r->cx, r->arg[0]));
    return np_type_with(r->cx, r->arg[0]->type, d);
}
static result rule_select(const req *r)
{
    result t = alike(r, 1);
    if (t && (t->tuple || r->arg[0]->type != np_type_with(r->cx, t, NP_BOOL)))
        return fail(r, "select: the condition %s does not fit %s", show(r->cx, r->arg[0]),
                    show(r->cx, r->arg[1]));
    return t;
}

/* ---- einsum */
static const np_dim *letter_dim(char c, const char *s, const np_type *t)
{
    const char *p = strchr(s, c);
    return p ? t->dim[p - s] : NULL;
}
/* Letters only, none twice, as many as the operand has axes. */
static bool letters(const req *r, const char *spec, const char *s, const np_node *n)
{
    size_t len = strlen(s);
    for (size_t i = 0; i < len; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z');
        if (!letter || strchr(s + i + 1, s[i])) {
            fail(r, "%s \"%s\": '%c' %s", TEXT(r), spec, s[i],
                 letter ? "stands twice in one place" : "is not a letter");
            return false;
        }
    }
    if (n && (n->type->tuple || (int)len != n->type->rank)) {
        fail(r, "%s \"%s\": %zu letter%s for %s", TEXT(r), spec, len, len == 1 ? "" : "s", show(r->cx, n));
        return false;
    }
    return true;
}
static result rule_contract(const req *r)
{
    const char *spec = r->x->sym ? r->x->sym : "", *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
    char a[64], c[64], o[64];
    if (!comma || !arrow || arrow < comma || strlen(spec) > 60)
        return fail(r, "contract \"%s\": wanted is \"ab,bc->ac\"", spec);
    snprintf(a, sizeof a, "%.*s", (int)(comma - spec), spec);
    snprintf(c, sizeof c, "%.*s", (int)(arrow - comma) - 1, comma + 1);
    snprintf(o, sizeof o, "%s", arrow + 2);
    np_node *x = r->arg[0], *y = r->arg[1];
    if (!letters(r, spec, a, x) || !letters(r, spec, c, y) || !letters(r, spec, o, NULL) ||
        !room_for(r, (int)strlen(o)))
        return NULL;
    if (x->type->dtype != y->type->dtype || cls(x->type) == 'B')
        return fail(r, "contract \"%s\": %s and %s", spec, show(r->cx, x), show(r->cx, y));
    for (const char *p = a; *p; p++) {
        const np_dim *d = letter_dim(*p, a, x->type), *e = letter_dim(*p, c, y->type);
        if (e && d != e)
            return fail(r, "contract \"%s\": '%c' is %s in %s and %s in %s", spec, *p, np_dim_str(r->cx, d),
                        show(r->cx, x), np_dim_str(r->cx, e), show(r->cx, y));
    }
    const np_dim *dim[NP_RANK];
    int n = 0;
    for (const char *p = o; *p; p++) {
        const np_dim *d = letter_dim(*p, a, x->type);
        if (!d) d = letter_dim(*p, c, y->type);
        if (!d) return fail(r, "contract \"%s\": '%c' of the result is in no operand", spec, *p);
        dim[n++] = d;
    }
    return np_type_tensor(r->cx, x->type->dtype, n, dim);
}
static result rule_permute(const req *r)
{
    const char *spec = r->x->sym ? r->x->sym : "", *arrow = strstr(spec, "->");
    char a[64], o[64];
    if (!arrow || strlen(spec) > 60) return fail(r, "permute \"%s\": wanted is \"ab->ba\"", spec);
    snprintf(a, sizeof a, "%.*s", (int)(arrow - spec), spec);
    snprintf(o, sizeof o, "%s", arrow + 2);
    if (!letters(r, spec, a, r->arg[0]) || !letters(r, spec, o, r->arg[0])) return NULL;
    const np_dim *dim[NP_RANK];
    for (int i = 0; o[i]; i++)
        if (!(dim[i] = letter_dim(o[i], a, r->arg[0]->type)))
            return fail(r, "permute \"%s\": '%c' is not on the left", spec, o[i]);
    return np_type_tensor(r->cx, r->arg[0]->type->dtype, r->arg[0]->type->rank, dim);
}

/* ---- shapes */
static result rule_reduce(const req *r)
{
    int k;
    const np_type *t = r->arg[0]->type;
    const char *s = r->x->sym ? r->x->sym : "";
    if (strcmp(s, "sum") != 0 && strcmp(s, "max") != 0 && strcmp(s, "min") != 0)
        return fail(r, "reduce \"%s\": sum, max or min", s);
    if (t->tuple || cls(t) == 'B') return fail(r, "reduce wants numbers, not %s", show(r->cx, r->arg[0]));
    return axis_of(r, r->x->attr[0], t->rank - 1, &k) ? np_type_without(r->cx, t, k) : NULL;
}
static result rule_expand(const req *r)
{
    int k;
    const np_type *t = r->arg[0]->type;
    return axis_of(r, r->x->attr[0], t->rank, &k) && room_for(r, t->rank + 1)
               ? np_type_insert(r->cx, t, k, r->x->attr[1])
               : NULL;
}
static result rule_split(const req *r)
{
    int k;
    const np_type *t = r->arg[0]->type;
    if (!axis_of(r, r->x->attr[0], t->rank - 1, &k) || !room_for(r, t->rank + 1)) return NULL;
    const np_dim *outer = np_dim_quot(r->cx, t->dim[k], r->x->attr[1]);
    if (!outer)
        return fail(r, "split: axis %d of %s is not a multiple of %s", k, show(r->cx, r->arg[0]),
                    np_dim_str(r->cx, r->x->attr[1]));
    return np_type_insert(r->cx, np_type_set(r->cx, t, k, r->x->attr[1]), k, outer);
}
static result rule_merge(const req *r)
{
    int k;
    const np_type *t = r->arg[0]->type;
    if (!axis_of(r, r->x->attr[0], t->rank - 2, &k)) return NULL;
    return np_type_set(r->cx, np_type_without(r->cx, t, k + 1), k,
                       np_dim_mul(r->cx, t->dim[k], t->dim[k + 1]));
}
static result inside(const req *r, int k, const np_dim *from, const np_dim *n)
{
    const np_type *t = r->arg[0]->type;
    const np_dim *zero = np_dim_const(r->cx, 0);
    if (np_dim_le(r->cx, zero, from) && np_dim_le(r->cx, zero, n) &&
        np_dim_le(r->cx, np_dim_add(r->cx, from, n), t->dim[k]))
        return t;
    if (r->op == NP_AT)
        return fail(r, "at: index %s is outside axis %d of %s", np_dim_str(r->cx, from), k,
                    show(r->cx, r->arg[0]));
    return fail(r, "slice: %s values from %s do not lie in axis %d of %s", np_dim_str(r->cx, n),
                np_dim_str(r->cx, from), k, show(r->cx, r->arg[0]));
}
static result rule_slice(const req *r)
{
    int k;
    if (!axis_of(r, r->x->attr[0], r->arg[0]->type->rank - 1, &k)) return NULL;
    result t = inside(r, k, r->x->attr[1], r->x->attr[2]);
    return t ? np_type_set(r->cx, t, k, r->x->attr[2]) : NULL;
}
static result rule_at(const req *r)
{
    int k;
    if (!axis_of(r, r->x->attr[0], r->arg[0]->type->rank - 1, &k)) return NULL;
    result t = inside(r, k, r->x->attr[1], np_dim_const(r->cx, 1));
    return t ? np_type_without(r->cx, t, k) : NULL;
}
static result rule_pad(const req *r)
{
    int k;
    const np_type *t = r->arg[0]->type;
    if (!axis_of(r, r->x->attr[0], t->rank - 1, &k)) return NULL;
    for (int i = 1; i < 3; i++)
        if (!np_dim_le(r->cx, np_dim_const(r->cx, 0), r->x->attr[i]))
            return fail(r, "pad by %s", np_dim_str(r->cx, r->x->attr[i]));
    return np_type_set(r->cx, t, k,
                       np_dim_add(r->cx, t->dim[k], np_dim_add(r->cx, r->x->attr[1], r->x->attr[2])));
}
static result rule_concat(const req *r)
{
    int k;
    if (r->n == 0) return fail(r, "concat of nothing");
    const np_type *t = r->arg[0]->type;
    if (!axis_of(r, r->x->attr[0], t->rank - 1, &k)) return NULL;
    const np_dim *n = t->dim[k];
    for (int i = 1; i < r->n; i++) {
        const np_type *u = r->arg[i]->type;
        if (u->tuple || u->rank != t->rank || np_type_set(r->cx, u, k, t->dim[k]) != t)
            return fail(r, "concat along axis %d: %s and %s", k, show(r->cx, r->arg[0]),
                        show(r->cx, r->arg[i]));
        n = np_dim_add(r->cx, n, u->dim[k]);
    }
    return np_type_set(r->cx, t, k, n);
}
static result rule_window(const req *r)
{
    int k;
    int64_t n;
    if (r->n < 1 || r->n > 2) return fail(r, "window wants one operand or two");
    const np_type *t = r->arg[0]->type;
    if (!axis_of(r, r->x->attr[0], t->rank - 1, &k) || !room_for(r, t->rank + 1)) return NULL;
    if (!np_dim_int(r->x->attr[1], &n) || n < 1)
        return fail(r, "window of %s steps", np_dim_str(r->cx, r->x->attr[1]));
    if (r->n == 2 && r->arg[1]->type != np_type_set(r->cx, t, k, np_dim_const(r->cx, n - 1)))
        return fail(r, "window: %s cannot stand before %s", show(r->cx, r->arg[1]), show(r->cx, r->arg[0]));
    return np_type_insert(r->cx, t, t->rank, r->x->attr[1]);
}
static result rule_append(const req *r)
{
    int k;
    if (r->n < 1 || r->n > 2) return fail(r, "append wants one operand or two");
    const np_type *t = r->arg[0]->type;
    if (!axis_of(r, r->x->attr[0], t->rank - 1, &k)) return NULL;
    if (r->n == 2 && r->arg[1]->type != np_type_set(r->cx, t, k, r->x->attr[1]))
        return fail(r, "append: %s cannot stand before %s", show(r->cx, r->arg[1]), show(r->cx, r->arg[0]));
    return np_type_set(r->cx, t, k, np_dim_add(r->cx, r->x->attr[1], t->dim[k]));
}
static result rule_gather(const req *r)
{
    int k;
    const np_type *t = r->arg[0]->type, *i = r->arg[1]->type;
    if (i->tuple || cls(i) != 'I')
        return fail(r, "gather: the indices %s are not integers", show(r->cx, r->arg[1]));
    if (!axis_of(r, r->x->attr[0], t->rank - 1 < i->rank ? t->rank - 1 : i->rank, &k) ||
        !room_for(r, i->rank + t->rank - k - 1))
        return NULL;
    const np_dim *dim[2 * NP_RANK];
    int n = 0;
    for (int a = 0; a < i->rank; a++) {
        if (a < k && i->dim[a] != t->dim[a])
            return fail(r, "gather: axis %d of %s and %s", a, show(r->cx, r->arg[0]), show(r->cx, r->arg[1]));
        dim[n++] = i->dim[a];
    }
    for (int a = k + 1; a < t->rank; a++) dim[n++] = t->dim[a];
    return np_type_tensor(r->cx, t->dtype, n, dim);
}

/* ---- bodies */
static result results(const req *r, const np_node *yield, int from, int to, const np_dim *stacked)
{
    const np_type **part = np_arena_array(&r->cx->tmp, (size_t)yield->nargs + 1, sizeof *part);
    for (int i = 0; i < yield->nargs; i++) {
        part[i] = yield->arg[i]->type;
        if (stacked && i >= from && i < to) {
            if (!room_for(r, part[i]->rank + 1)) return NULL;
            part[i] = np_type_insert(r->cx, part[i], 0, stacked);
        }
    }
    return yield->nargs == 1 ? part[0] : np_type_tuple(r->cx, yield->nargs, part);
}
/* The last `n` yields must have the types of the carried operands. */
static bool carried(const req *r, const np_node *yield, int first, int n)
{
    if (yield->nargs < n) {
        fail(r, "%s: %d values are carried and the body yields %d", TEXT(r), n, yield->nargs);
        return false;
    }
    for (int i = 0; i < n; i++) {
        const np_node *now = yield->arg[yield->nargs - n + i], *was = r->arg[first + i];
        if (now->type == was->type) continue;
        fail(r, "%s: the state %s becomes %s", TEXT(r), show(r->cx, was), show(r->cx, now));
        return false;
    }
    return true;
}
static result rule_scan(const req *r)
{
    int64_t seq;
    if (!np_dim_is(r->x->attr[2], 0) && !np_dim_is(r->x->attr[2], 1))
        return fail(r, "scan: back=%s, not 0 or 1", np_dim_str(r->cx, r->x->attr[2]));
    if (!np_dim_int(r->x->attr[0], &seq) || seq < 0 || seq > r->n)
        return fail(r, "scan: seq=%s of %d operands", np_dim_str(r->cx, r->x->attr[0]), r->n);
    for (int i = 0; i < seq; i++)
        if (r->arg[i]->type->tuple || r->arg[i]->type->rank == 0 || r->arg[i]->type->dim[0] != r->x->attr[1])
            return fail(r, "scan over %s steps: axis 0 of %s has another size",
                        np_dim_str(r->cx, r->x->attr[1]), show(r->cx, r->arg[i]));
    if (!r->node) return np_type_void(r->cx); /* about to be opened: the operands are right */
    const np_node *yield = r->node->body[0]->last;
    int nstates = r->n - (int)seq;
    if (!carried(r, yield, (int)seq, nstates)) return NULL;
    return results(r, yield, 0, yield->nargs - nstates, r->x->attr[1]);
}
static result rule_loop(const req *r)
{
    if (!np_dim_le(r->cx, np_dim_const(r->cx, 1), r->x->attr[2]))
        return fail(r, "loop: step=%s may stand still", np_dim_str(r->cx, r->x->attr[2]));
    if (!r->node) return np_type_void(r->cx);
    const np_node *yield = r->node->body[0]->last;
    return carried(r, yield, 0, r->n) ? results(r, yield, 0, 0, NULL) : NULL;
}
static result rule_cond(const req *r)
{
    if (r->arg[0]->type != np_type_scalar(r->cx, NP_BOOL))
        return fail(r, "cond: %s is not a bool", show(r->cx, r->arg[0]));
    if (!r->node) return np_type_void(r->cx);
    const np_node *y = r->node->body[0]->last, *z = r->node->body[1]->last;
    if (y->nargs != z->nargs)
        return fail(r, "cond: one side gives %d results, the other %d", y->nargs, z->nargs);
    for (int i = 0; i < y->nargs; i++)
        if (y->arg[i]->type != z->arg[i]->type)
            return fail(r, "cond: %s on one side, %s on the other", show(r->cx, y->arg[i]),
                        show(r->cx, z->arg[i]));
    return results(r, y, 0, 0, NULL);
}
static result rule_group(const req *r)
{
    return r->node ? results(r, r->node->body[0]->last, 0, 0, NULL) : np_type_void(r->cx);
}

/* ---- memory */
static bool indexed(const req *r, int from)
{
    const np_type *t = r->n ? r->arg[0]->type : NULL;
    if (!t || t->tuple || r->n - from != t->rank) {
        fail(r, "%s: %d indices for %s", TEXT(r), r->n - from, t ? show(r->cx, r->arg[0]) : "nothing");
        return false;
    }
    for (int i = from; i < r->n; i++)
        if (r->arg[i]->type != np_type_scalar(r->cx, NP_I64)) {
            fail(r, "%s: index %s is not an i64", TEXT(r), show(r->cx, r->arg[i]));
            return false;
        }
    return true;
}
static result rule_load(const req *r)
{
    return indexed(r, 1) ? np_type_scalar(r->cx, r->arg[0]->type->dtype) : NULL;
}
static result rule_store(const req *r)
{
    if (r->n < 2) return fail(r, "store wants a buffer and a value");
    if (!indexed(r, 2)) return NULL;
    if (r->arg[1]->type != np_type_scalar(r->cx, r->arg[0]->type->dtype))
        return fail(r, "store: %s into %s", show(r->cx, r->arg[1]), show(r->cx, r->arg[0]));
    return np_type_void(r->cx);
}
static result rule_prefetch(const req *r)
{
    return indexed(r, 1) ? np_type_void(r->cx) : NULL;
}

static result rule_pick(const req *r)
{
    int64_t i;
    const np_type *t = r->arg[0]->type;
    if (!np_dim_int(r->x->attr[0], &i) || i < 0 || i >= (t->tuple ? t->width : 1))
        return fail(r, "pick: result %s of %s", np_dim_str(r->cx, r->x->attr[0]), show(r->cx, r->arg[0]));
    return t->tuple ? t->part[i] : t;
}
static result rule_call(const req *r)
{
    const np_fn *f = np_mod_fn(r->b->fn->mod, r->x->sym ? r->x->sym : "");
    if (!f) return fail(r, "call: there is no function @%s before this one", r->x->sym ? r->x->sym : "");
    if (r->n != f->top.nparams)
        return fail(r, "call @%s: %d operand%s, wanted: %d", f->name, r->n, r->n == 1 ? "" : "s",
                    f->top.nparams);
    for (int i = 0; i < r->n; i++)
        if (r->arg[i]->type != f->top.param[i]->type)
            return fail(r, "call @%s: %s is not %s", f->name, show(r->cx, r->arg[i]),
                        np_type_str(r->cx, f->top.param[i]->type));
    return f->top.last ? results(r, f->top.last, 0, 0, NULL) : fail(r, "call @%s: it calls itself", f->name);
}

const np_type *np_rule_type(np_build *b, np_op op, int nargs, np_node *const *arg, const np_extra *x,
                            const np_node *n)
{
    static result (*const rule[])(const req *) = {
#define NP_OP(id, text, args, attrs, cls, traits, rule, doc) rule_##rule,
#include "ops.def"
#undef NP_OP
    };
    req r = {b, b->cx, op, nargs, arg, x, n};
    const np_opinfo *info = np_op_info(op);
    if (info->nargs != NP_ANY && nargs != info->nargs)
        return fail(&r, "%s wants %d operand%s, not %d", info->text, info->nargs, info->nargs == 1 ? "" : "s",
                    nargs);
    for (int i = 0; i < nargs; i++)
        if (arg[i]->type->tuple && op != NP_PICK)
            return fail(&r, "%s: %s is several results, pick one", info->text, show(b->cx, arg[i]));
    for (int i = 0; i < info->nattrs; i++)
        if (!x->attr[i]) return fail(&r, "%s: %s= is missing", info->text, info->attr[i]);
    result t = rule[op](&r);
    if (t && !np_type_sane(t))
        return fail(&r, "%s gives %s: too large, or a negative size", info->text, np_type_str(b->cx, t));
    return t;
}
