/* Entries: one function each that finds the buffers and calls the kernels, and
 * the table that tells the runtime of them. */
#include "c.h"

#include <string.h>

enum { WIDTH = 116 };

/* ---- buffers of an entry */
typedef struct pointer {
    const np_node *buf;
    const char *name;
} pointer;
typedef struct entry {
    np_cfile *c;
    const np_fn *f;
    np_arena mem;
    np_text body, head;
    pointer *p;
    int n;
    const char **var; /* by id */
    bool T, N, in, state, out, work;
    np_str scope; /* of the last call */
} entry;

static bool taken(const entry *e, const char *s)
{
    for (int i = 0; i < e->n; i++)
        if (strcmp(e->p[i].name, s) == 0) return true;
    return np_creserved(s) || strcmp(s, "in") == 0 || strcmp(s, "out") == 0 || strcmp(s, "state") == 0 ||
           strcmp(s, "work") == 0;
}
/* ---- the block of states */
/* prefill and step read what the other wrote, but one is made for more new
 * positions than the other: the axis that grows has room for the larger one. */
const np_type *np_centry_type(const np_fn *f, int state)
{
    const np_type *t = f->top.param[f->ninputs + state]->type;
    bool prefill = strcmp(f->name, "prefill") == 0, step = strcmp(f->name, "step") == 0;
    const np_fn *other = prefill || step ? np_mod_fn(f->mod, prefill ? "step" : "prefill") : NULL;
    int k = f->grow ? f->grow[state] : -1;
    if (k < 0 || !other || other->stage != NP_STAGE_PLACED || other->nstates != f->nstates) return t;
    const np_type *u = other->top.param[other->ninputs + state]->type;
    return u->dim[k]->k > t->dim[k]->k ? np_type_set(f->cx, t, k, u->dim[k]) : t;
}
int64_t np_centry_state(const np_fn *f, int state)
{
    int64_t at = 0, lo, hi;
    for (int i = 0; i < state; i++) {
        const np_type *t = np_centry_type(f, i);
        np_dim_range(np_type_count(f->cx, t), &lo, &hi);
        at += (hi * np_dtype_size(t->dtype) + 63) / 64 * 64;
    }
    return at;
}
/* A buffer's type as it lies in memory. */
const np_type *np_centry_layout(const np_fn *f, const np_node *buf)
{
    for (int i = 0; buf->op == NP_PARAM && i < f->nstates; i++)
        if (f->top.param[f->ninputs + i] == buf) return np_centry_type(f, i);
    return buf->type;
}
static const char *where(entry *e, const np_node *buf, bool cast)
{
    const np_fn *f = e->f;
    const char *type = np_ctype(buf->type->dtype);
    if (buf->op == NP_ALLOC) {
        e->work = true;
        return np_ctext(&e->mem, cast ? "(%s *)(work + %lld)" : "%s %lld", type, (long long)buf->attr[0]->k);
    }
    int i = 0;
    while (f->top.param[i] != buf) i++;
    if (i < f->ninputs) {
        e->in = true;
        return np_ctext(&e->mem, "in[%d]", i);
    }
    if (i < f->ninputs + f->nstates) {
        e->state = true;
        return np_ctext(&e->mem, "(%s *)(state + %lld)", type, (long long)np_centry_state(f, i - f->ninputs));
    }
    e->out = true;
    return np_ctext(&e->mem, "out[%d]", i - f->ninputs - f->nstates);
}
/* Buffers with the same place and type are one variable: those of layer after layer. */
static const char *pointer_to(entry *e, const np_node *buf, const char *hint)
{
    if (e->var[buf->id]) return e->var[buf->id];
    for (int i = 0; i < e->n && buf->op == NP_ALLOC; i++)
        if (e->p[i].buf->op == NP_ALLOC && e->p[i].buf->type == buf->type &&
            e->p[i].buf->attr[0] == buf->attr[0])
            return e->var[buf->id] = e->p[i].name;
    const char *want = np_cname(&e->mem, buf->name ? buf->name : hint, "x"), *s = want;
    for (int i = 2; taken(e, s); i++) s = np_cother(&e->mem, want, (int)strlen(want), "", i);
    e->p = np_arena_more(&e->mem, e->p, e->n, sizeof *e->p);
    e->p[e->n++] = (pointer){buf, s};
    bool read_only = buf->op == NP_PARAM && buf->in->param == e->f->top.param;
    int i = 0;
    while (read_only && i < e->f->ninputs && e->f->top.param[i] != buf) i++;
    read_only &= i < e->f->ninputs;
    const char *shape = np_cshape(&e->mem, e->c->cx, np_centry_layout(e->f, buf));
    np_text_add(&e->head, "    %s%s *%s = %s;%s%s%s\n", read_only ? "const " : "", np_ctype(buf->type->dtype),
                s, where(e, buf, true), *shape ? " /* " : "", shape, *shape ? " */" : "");
    return e->var[buf->id] = s;
}
static const char *group_word(const np_node *g)
{
    const char *dot = g->sym ? strrchr(g->sym, '.') : NULL;
    return g->name ? g->name : dot ? dot + 1 : g->sym;
}
static void put_scope(entry *e, np_str scope)
{
    if (scope == e->scope || !scope || !*scope) return;
    np_text_add(&e->body, "%s    /* %s */\n", e->scope ? "\n" : "", scope);
    e->scope = scope;
}
static void put_call(entry *e, const np_node *g)
{
    np_ccall call = np_ckernel_call(e->c, e->f, g);
    np_text line = {0};
    if (!call.name) return;
    put_scope(e, g->loc.scope);
    np_text_add(&line, "    %s(", call.name);
    size_t start = line.n, width = start;
    for (int i = 0; i < call.nargs + call.T + call.N; i++) {
        const char *s = i >= call.nargs + call.T ? "N" : i >= call.nargs ? "T" : NULL;
        if (i >= call.nargs && i < call.nargs + call.T) s = "T";
        if (!s) {
            const np_node *b = call.arg[i];
            s = b->op == NP_WEIGHT || b->op == NP_CONST ? np_cdata_find(e->c, b)
                                                        : pointer_to(e, b, group_word(g));
        }
        if (i && width + strlen(s) + 4 > WIDTH) {
            np_text_add(&line, ",\n%*s", (int)start, "");
            width = start;
        } else if (i) {
            np_text_add(&line, ", ");
            width += 2;
        }
        np_text_add(&line, "%s", s);
        width += strlen(s);
    }
    e->T |= call.T;
    e->N |= call.N;
    np_text_add(&e->body, "%s);\n", line.s);
    np_text_free(&line);
}
static const char *entry_name(const np_cfile *c, const np_fn *f, np_arena *mem)
{
    if (!c->p->runtime) return np_ctext(mem, "np_entry_%s", np_cname(mem, f->name, "main"));
    return np_ctext(mem, "%s_%s", c->prefix, np_cname(mem, f->name, "main"));
}
void np_centry_put(np_cfile *c, const np_fn *f)
{
    entry e = {.c = c, .f = f};
    e.var = np_arena_array(&e.mem, f->nnodes + 1, sizeof *e.var);
    for (const np_node *n = f->top.first; n; n = n->next)
        if (n->op == NP_GROUP) put_call(&e, n);
    const char *name = entry_name(c, f, &e.mem);
    np_text *o = &c->entries;
    const char *static_ = c->p->runtime ? "static " : "";
    np_text_add(o, "\n");
    if (!*static_)
        np_text_add(
            o, "void %s(int64_t T, int64_t N, void *const *in, char *state, void *const *out, char *work);\n",
            name);
    np_text_add(
        o, "%svoid %s(int64_t T, int64_t N, void *const *in, char *state, void *const *out, char *work)\n{\n",
        static_, name);
    np_text_add(o, "%s", e.head.s ? e.head.s : "");
    const struct {
        const char *name;
        bool used;
    } given[] = {{"T", e.T}, {"N", e.N}, {"in", e.in}, {"state", e.state}, {"out", e.out}, {"work", e.work}};
    bool any = false;
    for (size_t i = 0; i < NP_LEN(given); i++) {
        if (given[i].used) continue;
        np_text_add(o, "%s(void)%s", any ? ", " : "    ", given[i].name);
        any = true;
    }
    np_text_add(o, "%s%s}\n", any ? ";\n" : "", e.body.s ? e.body.s : "");
    np_text_free(&e.head), np_text_free(&e.body);
    np_arena_free(&e.mem);
}

/* ---- the table */
static const np_fn *placed(const np_cfile *c, const char *name)
{
    const np_fn *f = np_mod_fn(c->p->mod, name);
    return f && f->stage == NP_STAGE_PLACED ? f : NULL;
}
/* A dim as np_rt_port has it. */
static bool port_dim(const np_cfile *c, const np_dim *d, int64_t *out)
{
    if (np_dim_int(d, out)) return true;
    *out = d == c->T ? -1 : d == c->N ? -3 : c->T && c->N && d == np_dim_add(c->cx, c->N, c->T) ? -2 : 0;
    return *out != 0;
}
static void put_ports(np_cfile *c, const np_fn *f, const char *what, int n, np_node *const *param)
{
    if (n == 0) return;
    np_text *o = &c->entries;
    np_text_add(o, "static const np_rt_port %s_%s[] = {\n", c->prefix, what);
    for (int i = 0; i < n; i++) {
        const np_type *t = np_centry_layout(f, param[i]);
        np_text_add(o, "    {\"%s\", %d, %d, {", param[i]->name ? param[i]->name : "", (int)t->dtype,
                    t->rank);
        for (int k = 0; k < t->rank; k++) {
            int64_t v;
            if (!port_dim(c, t->dim[k], &v)) {
                np_error(c->cx, param[i]->loc,
                         "%s: the size %s is neither a number nor T, N or N+T, which is all that a program "
                         "can be given",
                         param[i]->name ? param[i]->name : what, np_dim_str(c->cx, t->dim[k]));
                c->failed = true;
            }
            np_text_add(o, "%s%lld", k ? ", " : "", (long long)v);
        }
        np_text_add(o, "%s}},\n", t->rank ? "" : "0");
    }
    np_text_add(o, "};\n");
}
static uint64_t identity(const np_cfile *c, const np_fn *f)
{
    uint64_t h = np_cdata_hash(c);
    np_text t = {0};
    np_text_add(&t, "%s", c->p->mod->name ? c->p->mod->name : "");
    for (int i = 0; i < f->ninputs + f->nstates; i++) {
        np_text_add(&t, " %s ", f->top.param[i]->name ? f->top.param[i]->name : "");
        np_type_text(&t, f->top.param[i]->type);
    }
    for (size_t i = 0; i < t.n; i++) h = (h ^ (unsigned char)t.s[i]) * 0x100000001b3u;
    np_text_free(&t);
    return h;
}
/* init as the runtime calls it: its outputs are the states. */
static void put_init(np_cfile *c, const np_fn *init, const np_fn *f)
{
    np_text *o = &c->entries;
    np_text_add(
        o, "\nstatic void %s_start(void *const *in, char *state, char *work)\n{\n    void *const out[] = {",
        c->prefix);
    for (int i = 0; i < f->nstates; i++)
        np_text_add(o, "%sstate + %lld", i ? ", " : "", (long long)np_centry_state(f, i));
    np_text_add(o, "};\n    %s_%s(0, 0, in, NULL, out, work);\n}\n", c->prefix, init->name);
}
void np_centry_table(np_cfile *c)
{
    const np_fn *prefill = placed(c, "prefill"), *step = placed(c, "step"), *whole = placed(c, "whole"),
                *init = placed(c, "init");
    const np_fn *f = prefill ? prefill : step ? step : whole, *all[] = {prefill, step, whole, init};
    np_text *o = &c->entries;
    int64_t work = 0, lo, hi;
    if (!f) return;
    for (size_t i = 0; i < NP_LEN(all); i++)
        if (all[i] && all[i]->work > work) work = all[i]->work;
    if (init && f->nstates) put_init(c, init, f);
    np_text_add(o,
                "\n/* ---- the model as the runtime sees it: dtype, rank, sizes (-1 T, -2 N + T, -3 N) */\n");
    put_ports(c, f, "inputs", f->ninputs, f->top.param);
    put_ports(c, f, "outs", f->nouts, f->top.param + f->ninputs + f->nstates);
    put_ports(c, f, "states", f->nstates, f->top.param + f->ninputs);
    if (f->nstates) {
        np_text_add(o, "static const size_t %s_state_at[] = {", c->prefix);
        for (int i = 0; i < f->nstates; i++)
            np_text_add(o, "%s%lld", i ? ", " : "", (long long)np_centry_state(f, i));
        np_text_add(o, "};\n");
    }
    np_text_add(o, "const np_rt_model np_rt_this = {\n    .name = %s,\n    .id = UINT64_C(0x%016llx),\n",
                np_cstring(&c->mem, c->p->mod->name ? c->p->mod->name : c->prefix),
                (unsigned long long)identity(c, f));
    np_text_add(o, "    .state_bytes = %lld,\n    .work_bytes = %lld,\n",
                (long long)np_centry_state(f, f->nstates), (long long)work);
    hi = 1;
    if (c->T) np_dim_range(c->T, &lo, &hi);
    np_text_add(o, "    .max_T = %lld,\n", (long long)hi);
    hi = INT32_MAX;
    if (c->N) np_dim_range(c->N, &lo, &hi);
    np_text_add(o, "    .max_N = %lld,\n", hi >= INT32_MAX - 1 ? 0LL : (long long)hi + 1);
    np_text_add(o, "    .ninputs = %d,\n    .nouts = %d,\n    .nstates = %d,\n", f->ninputs, f->nouts,
                f->nstates);
    if (f->ninputs) np_text_add(o, "    .input = %s_inputs,\n", c->prefix);
    if (f->nouts) np_text_add(o, "    .out = %s_outs,\n", c->prefix);
    if (f->nstates)
        np_text_add(o, "    .state = %s_states,\n    .state_at = %s_state_at,\n", c->prefix, c->prefix);
    if (np_cdata_packed(c)) np_text_add(o, "    .setup = %s_setup,\n", c->prefix);
    np_text_add(o, "    .weight_bytes = %lld,\n", (long long)np_cdata_bytes(c));
    if (init && f->nstates) np_text_add(o, "    .init = %s_start,\n", c->prefix);
    if (prefill) np_text_add(o, "    .prefill = %s_prefill,\n", c->prefix);
    if (step) np_text_add(o, "    .step = %s_step,\n", c->prefix);
    if (whole) np_text_add(o, "    .whole = %s_whole,\n", c->prefix);
    np_text_add(o, "};\n");
}
