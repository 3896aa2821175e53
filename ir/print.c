/* The text form, written. One statement a line; what the parser reads back
 * gives the same text again. Values without a name are numbered in order of
 * appearance, equal names get .2, .3; so an edit does not move what it does not
 * touch. Optional attributes that have their default are left out. */
#include "ir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };
typedef struct used { /* a name that was given */
    struct used *older; /* in its bucket */
    np_str name;
    int n; /* how many wanted it */
} used;
typedef struct printer {
    np_text *o;
    np_print_opts opts;
    np_arena mem;
    np_str *name; /* by id; NULL: not named yet */
    used *bucket[BUCKETS];
    int next;
} printer;

static np_str unique(printer *p, np_str want)
{
    used **bucket = &p->bucket[np_str_hash(want, strlen(want)) % BUCKETS], *e = *bucket;
    while (e && strcmp(e->name, want) != 0) e = e->older;
    if (e) {
        size_t room = strlen(want) + 16;
        char *s = np_arena_alloc(&p->mem, room);
        snprintf(s, room, "%s.%d", want, ++e->n);
        return unique(p, s);
    }
    e = np_arena_alloc(&p->mem, sizeof *e);
    *e = (used){.older = *bucket, .name = want, .n = 1};
    *bucket = e;
    return want;
}
/* Letters that a name in the text may hold; others become _. */
static np_str clean(printer *p, np_str s)
{
    char *c = np_arena_copy(&p->mem, s, strlen(s) + 1);
    for (char *q = c; *q; q++)
        if (!((*q >= 'a' && *q <= 'z') || (*q >= 'A' && *q <= 'Z') || (*q >= '0' && *q <= '9') || strchr("_.", *q))) *q = '_';
    return c;
}
static np_str name_of(printer *p, const np_node *n)
{
    if (n->op == NP_BAD) return "bad";
    if (p->name[n->id]) return p->name[n->id];
    bool number = !n->name || !*n->name || (n->name[0] >= '0' && n->name[0] <= '9');
    if (!number) return p->name[n->id] = unique(p, clean(p, n->name));
    char s[16]; /* no other name begins with a digit */
    int len = snprintf(s, sizeof s, "%d", p->next++);
    return p->name[n->id] = np_arena_copy(&p->mem, s, (size_t)len + 1);
}

/* The shortest decimal that reads back as v, given that it is read as a d. */
static void put_number(np_text *o, np_dtype d, double v)
{
    char s[400];
    if (isnan(v)) np_text_add(o, "nan");
    else if (isinf(v)) np_text_add(o, v < 0 ? "-inf" : "inf");
    else if (v == trunc(v) && (fabs(v) < 1e15 || np_dtype_class(d) != 'F')) np_text_add(o, "%.0f", v);
    else {
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(s, sizeof s, "%.*g", digits, v);
            if (np_round_const(d, strtod(s, NULL)) == v) break;
        }
        np_text_add(o, "%s", s);
    }
}
/* A text in quotes: what would end it or its line becomes _. */
static void put_string(np_text *o, np_str s)
{
    np_text_add(o, " \"");
    for (; *s; s++) np_text_add(o, "%c", *s == '"' || (*s >= 0 && *s < ' ') ? '_' : *s);
    np_text_add(o, "\"");
}
static void put_list(np_text *o, const np_node *n)
{
    int64_t count = 1, k;
    for (int i = 0; i < n->type->rank; i++) count *= np_dim_int(n->type->dim[i], &k) ? k : 0;
    np_text_add(o, " [");
    for (int64_t i = 0; i < count; i++) {
        if (i) np_text_add(o, ",");
        put_number(o, n->type->dtype, n->data[i]);
    }
    np_text_add(o, "]");
}

static void put_block(printer *p, const np_block *b, int depth);
static void put_params(printer *p, const np_block *b)
{
    for (int i = 0; i < b->nparams; i++) {
        np_text_add(p->o, "%s%%%s ", i ? ", " : "", name_of(p, b->param[i]));
        np_type_text(p->o, b->param[i]->type);
    }
}
static void put_body(printer *p, const np_block *b, int depth)
{
    np_text_add(p->o, " {\n");
    if (b->nparams) {
        np_text_add(p->o, "%*swith ", 2 * depth + 2, "");
        put_params(p, b);
        np_text_add(p->o, "\n");
    }
    put_block(p, b, depth + 1);
    np_text_add(p->o, "%*s}", 2 * depth, "");
}
static void put_node(printer *p, const np_node *n, int depth)
{
    const np_opinfo *info = np_op_info(n->op);
    np_text *o = p->o;
    np_text_add(o, "%*s", 2 * depth, "");
    bool has_value = !n->type->tuple || n->type->width > 0;
    if (has_value) {
        np_text_add(o, "%%%s ", name_of(p, n));
        np_type_text(o, n->type);
        np_text_add(o, " = ");
    }
    np_text_add(o, "%s", info->text);
    if (info->has_num && n->data) put_list(o, n);
    else if (info->has_num) {
        np_text_add(o, " ");
        put_number(o, n->type->dtype, n->num);
    }
    if (n->op == NP_WEIGHT) np_text_add(o, " $%s", n->sym);
    if (n->op == NP_CALL) np_text_add(o, " @%s", n->sym);
    for (int i = 0; i < n->nargs; i++) np_text_add(o, " %%%s", name_of(p, n->arg[i]));
    if (info->has_sym && n->sym && n->op != NP_WEIGHT && n->op != NP_CALL) put_string(o, n->sym);
    for (int i = 0; i < info->nattrs; i++) {
        if (!n->attr[i] || (info->optional[i] && np_dim_is(n->attr[i], info->dflt[i]))) continue;
        np_text_add(o, " %s=", info->attr[i]);
        np_dim_text(o, n->attr[i]);
    }
    if (p->opts.loc && n->loc.line) np_text_add(o, " !%d", n->loc.line);
    if (n->body[0]) put_body(p, n->body[0], depth);
    if (n->body[1]) {
        np_text_add(o, " else");
        put_body(p, n->body[1], depth);
    }
    np_text_add(o, "\n");
}
static void put_block(printer *p, const np_block *b, int depth)
{
    for (const np_node *n = b->first; n; n = n->next) put_node(p, n, depth);
}

static void put_top(printer *p, const np_fn *f)
{
    np_text_add(p->o, " {\n");
    put_block(p, &f->top, 1);
    np_text_add(p->o, "}\n");
}
static void put_fn_body(np_text *out, const np_fn *f, np_print_opts opts)
{
    printer p = {.o = out, .opts = opts};
    p.name = np_arena_array(&p.mem, f->nnodes + 1, sizeof *p.name);
    put_top(&p, f);
    np_arena_free(&p.mem);
}

void np_print_fn(np_text *out, const np_fn *f, np_print_opts opts)
{
    printer p = {.o = out, .opts = opts};
    p.name = np_arena_array(&p.mem, f->nnodes + 1, sizeof *p.name);
    np_text_add(out, "fn @%s(", f->name);
    for (int i = 0; i < f->top.nparams; i++) {
        int state = i - f->ninputs;
        bool is_state = state >= 0 && state < f->nstates;
        np_text_add(out, "%s%s%%%s ", i ? ", " : "", is_state ? "state " : state >= f->nstates ? "out " : "", name_of(&p, f->top.param[i]));
        np_type_text(out, f->top.param[i]->type);
        if (is_state && f->grow && f->grow[state] >= 0) np_text_add(out, " grow=%d", f->grow[state]);
    }
    np_text_add(out, ")");
    if (f->stage == NP_STAGE_TENSOR) {
        np_text_add(out, " -> (");
        for (int i = 0; i < f->nouts; i++) {
            np_text_add(out, "%s%s ", i ? ", " : "", f->out_name[i]);
            np_type_text(out, f->out_type[i]);
        }
        np_text_add(out, ")");
    } else {
        np_text_add(out, f->stage == NP_STAGE_LOOP ? " stage=loop" : " stage=placed work=%lld", (long long)f->work);
    }
    put_top(&p, f);
    np_arena_free(&p.mem);
}

void np_print_node(np_text *out, const np_node *n)
{
    np_text_add(out, "%s", n->name ? n->name : "");
    np_text_add(out, "%s%s", n->name ? " = " : "", np_op_info(n->op)->text);
    if (n->sym) np_text_add(out, " \"%s\"", n->sym);
    for (int i = 0; i < n->nargs; i++) {
        np_text_add(out, " %s:", n->arg[i]->name ? n->arg[i]->name : np_op_info(n->arg[i]->op)->text);
        np_type_text(out, n->arg[i]->type);
    }
    np_text_add(out, " : ");
    np_type_text(out, n->type);
}

/* ---- which symbols and weights a module mentions */
typedef struct mentioned {
    const np_dim **sym;
    bool *seen;
    int n;
} mentioned;
static void see_dim(mentioned *m, const np_dim *d)
{
    for (int i = 0; d && i < m->n; i++)
        if (!m->seen[i] && np_dim_has(d, m->sym[i])) m->seen[i] = true;
}
static void see_type(mentioned *m, const np_type *t)
{
    for (int i = 0; i < t->rank; i++) see_dim(m, t->dim[i]);
    for (int i = 0; i < t->width; i++) see_type(m, t->part[i]);
}
static void see_roles(mentioned *m)
{
    for (int i = 0; i < m->n; i++)
        if (m->sym[i]->role != NP_ROLE_NONE) m->seen[i] = true;
}
static void see_node(void *env, const np_node *n)
{
    see_type(env, n->type);
    for (int i = 0; i < NP_MAXATTRS; i++) see_dim(env, n->attr[i]);
}

void np_print_mod(np_text *out, const np_mod *m, np_print_opts o)
{
    mentioned all = {0};
    np_arena mem = {0};
    all.n = np_dim_syms(m->cx, &all.sym);
    all.seen = np_arena_array(&mem, (size_t)all.n + 1, sizeof *all.seen);
    for (int i = 0; i < m->nfns; i++) {
        const np_fn *f = m->fn[i];
        for (int k = 0; k < f->top.nparams; k++) see_type(&all, f->top.param[k]->type);
        for (int k = 0; k < f->nstates && f->grow; k++)
            if (f->grow[k] >= 0) see_roles(&all); /* the rows that are valid before and after */
        np_fn_walk(f, see_node, &all);
    }
    for (int i = 0; i < all.n; i++) {
        const np_dim *d = all.sym[i];
        if (!all.seen[i]) continue;
        np_text_add(out, "dim %s in %lld..%lld%s\n", d->name, (long long)d->lo, (long long)d->hi,
                    d->role == NP_ROLE_TIME ? " time" : d->role == NP_ROLE_PAST ? " past" : "");
    }
    for (int i = 0; i < m->nweights; i++) {
        const np_weight *w = m->weight[i];
        np_text_add(out, "weight $%s ", w->name);
        np_type_text(out, w->type);
        if (w->by) np_text_add(out, " =");
        if (w->by) put_fn_body(out, w->by, o);
        else np_text_add(out, "\n");
    }
    for (int i = 0; i < m->nfns; i++) np_print_fn(out, m->fn[i], o);
    np_arena_free(&mem);
}
