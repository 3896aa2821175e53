/* A group becomes a function of C: its parameters are the buffers that come from
 * outside, its body is written by c_loop.c and c_stmt.c. Groups whose functions are
 * equal up to the buffers that they are given share one: a function is written with
 * names that say nothing first, and only if that text is new once more with names
 * from the model. */
#include "c.h"

#include <string.h>

/* ---- parameters */
static np_cparam *param_of(np_ckernel *k, const np_node *buf)
{
    for (int i = 0; i < k->nparams; i++)
        if (k->param[i].buf == buf) return &k->param[i];
    k->param = np_arena_more(k->mem, k->param, k->nparams, sizeof *k->param);
    k->param[k->nparams] = (np_cparam){.buf = buf};
    return &k->param[k->nparams++];
}
static void find_params(np_ckernel *k, const np_block *b)
{
    for (const np_node *n = b->first; n; n = n->next) {
        if (n->op == NP_PREFETCH) param_of(k, n->arg[0]);
        if ((n->op == NP_LOAD || n->op == NP_STORE) && !np_cstmt_is_local(n->arg[0]) &&
            (n->op == NP_STORE || k->uses[n->id])) {
            np_cparam *p = param_of(k, n->arg[0]);
            *(n->op == NP_LOAD ? &p->read : &p->written) = true;
        }
        for (int i = 0; i < 2; i++)
            if (n->body[i] && !(n->op == NP_LOOP && np_cloop_never(n))) find_params(k, n->body[i]);
    }
}
/* The last words of a dotted name, without numbers: 2 of "layers.0.u.weight" are u.weight. */
static const char *last_words(np_arena *mem, const char *s, int words)
{
    const char *from = s;
    for (const char *p = s + strlen(s); p > s; p--)
        if (p[-1] == '.' && --words == 0) {
            from = p;
            break;
        }
    while (*from >= '0' && *from <= '9' && strchr(from, '.')) from = strchr(from, '.') + 1;
    return np_ctext(mem, "%s", from);
}
/* What a group made is called like it, unless that says only what every second group does. */
static const char *made_by(np_ckernel *k, const np_node *g)
{
    static const char *const plain[] = {"add",    "sub",   "mul",    "div",      "max",    "min",
                                        "neg",    "cast",  "select", "contract", "reduce", "concat",
                                        "append", "const", "scan",   "gather",   "pad",    "cond"};
    const char *s = g->name ? g->name : g->sym ? last_words(k->mem, g->sym, 1) : "";
    for (size_t i = 0; i < NP_LEN(plain); i++)
        if (strcmp(s, plain[i]) == 0) return NULL;
    return s;
}
static const char *hint_of(np_ckernel *k, const np_cparam *p, const np_node *group)
{
    const np_node *n = p->buf, *maker = NULL;
    if (n->op == NP_WEIGHT) {
        const np_weight *w = np_mod_weight(k->f->mod, n->sym);
        return last_words(k->mem, np_weight_origin(k->f->mod, w)->name, 2);
    }
    if (n->name) return last_words(k->mem, n->name, 1);
    if (n->op == NP_CONST) return "table";
    for (const np_node *g = k->f->top.first; g && !maker && n->op == NP_ALLOC; g = g->next)
        if (g->op == NP_GROUP && np_cstmt_stores_into(g, n)) maker = g;
    const char *s = made_by(k, maker ? maker : group);
    return s ? s : p->written ? "y" : "x";
}
static const char *signature(np_ckernel *k, const char *fn)
{
    const char *s = np_ctext(k->mem, "static void %s(", fn);
    int width = (int)strlen(s), i;
    for (i = 0; i < k->nparams; i++) {
        const np_cparam *p = &k->param[i];
        bool more = i + 1 < k->nparams || k->uses_T || k->uses_N;
        const char *shape = np_cshape(k->mem, k->file->cx, np_centry_layout(k->f, p->buf));
        s = np_ctext(k->mem, "%s%*s%s%s *restrict %s%s%s%s%s", s, i ? width : 0, "",
                     p->written ? "" : "const ", np_ctype(p->buf->type->dtype), p->name, more ? "," : ")",
                     *shape ? " /* " : "", shape, *shape ? " */\n" : "\n");
    }
    if (k->uses_T || k->uses_N)
        s = np_ctext(k->mem, "%s%*s%s%s%s)\n", s, i ? width : 0, "", k->uses_T ? "int64_t T" : "",
                     k->uses_T && k->uses_N ? ", " : "", k->uses_N ? "int64_t N" : "");
    else if (!k->nparams)
        s = np_ctext(k->mem, "%svoid)\n", s);
    return s;
}
static void write_body(np_ckernel *k, const np_node *g)
{
    const np_fn *f = k->f;
    k->e = np_arena_array(k->mem, f->nnodes + 1, sizeof *k->e);
    k->var = np_arena_array(k->mem, f->nnodes + 1, sizeof *k->var);
    k->parts = np_arena_array(k->mem, f->nnodes + 1, sizeof *k->parts);
    k->nparams = k->nscope = k->nwaiting = k->next = 0;
    k->uses_T = k->uses_N = false;
    find_params(k, g->body[0]);
    for (int i = 0; i < k->nparams; i++)
        k->param[i].name = k->var[k->param[i].buf->id] = np_cstmt_name(k, hint_of(k, &k->param[i], g), "x");
    k->depth = 1;
    np_cloop_block(k, g->body[0]);
}

/* ---- functions that exist */
struct np_cmade {
    const char *key, *name;
};
/* The last two words that are no numbers: self_attn_score of "layers.0.self_attn.score". */
static const char *kernel_name(np_cfile *c, const np_node *g)
{
    const char *word[2] = {"", "group"};
    for (const char *p = g->sym ? g->sym : ""; *p;) {
        size_t n = strcspn(p, ".");
        if (strspn(p, "0123456789") < n) word[0] = word[1], word[1] = np_ctext(&c->mem, "%.*s", (int)n, p);
        p += n + (p[n] == '.');
    }
    if (strcmp(word[0], "group") == 0) word[0] = "";
    const char *s = np_ctext(&c->mem, "%s_%s%s%s", c->prefix, word[0], *word[0] ? "_" : "", word[1]);
    return np_cfile_name(c, np_cname(&c->mem, s, "group"));
}
static const char *source_line(const np_program *p, int n, size_t *len)
{
    const char *s = p->source;
    for (int i = 1; s && i < n; i++) {
        s = strchr(s, '\n');
        if (s) s++;
    }
    if (!s || n < 1) return NULL;
    s += strspn(s, " \t");
    *len = strcspn(s, "\n");
    return s;
}
static void came_from(np_cfile *c, np_loc loc)
{
    const char *base = loc.file ? strrchr(loc.file, '/') : NULL, *s;
    size_t len = 0;
    if (!loc.file || !loc.line) return;
    np_text_add(&c->kernels, "/* %s:%d", base ? base + 1 : loc.file, loc.line);
    if (loc.scope && *loc.scope) np_text_add(&c->kernels, " in %s", loc.scope);
    s = source_line(c->p, loc.line, &len);
    if (s && len) {
        np_text_add(&c->kernels, ": ");
        for (size_t i = 0; i < len && i < 120; i++) { /* no end of the comment inside, and no beginning */
            bool mark = i + 1 < len && ((s[i] == '*' && s[i + 1] == '/') || (s[i] == '/' && s[i + 1] == '*'));
            np_text_put(&c->kernels, s + i, 1);
            if (mark) np_text_add(&c->kernels, " ");
        }
        if (len > 120) np_text_add(&c->kernels, "..");
    }
    np_text_add(&c->kernels, " */\n");
}
static const char *made_before(const np_cfile *c, const char *key)
{
    for (int i = 0; i < c->nmade; i++)
        if (strcmp(c->made[i].key, key) == 0) return c->made[i].name;
    return NULL;
}
static void remember(np_cfile *c, const char *key, const char *name)
{
    c->made = np_arena_more(&c->mem, c->made, c->nmade, sizeof *c->made);
    c->made[c->nmade++] = (struct np_cmade){np_ctext(&c->mem, "%s", key), name};
}

np_ccall np_ckernel_call(np_cfile *c, const np_fn *f, const np_node *g)
{
    np_arena mem = {0};
    np_text body = {0};
    np_ckernel k = {.file = c,
                    .mem = &mem,
                    .f = f,
                    .out = &body,
                    .neutral = true,
                    .uses = c->uses,
                    .user = c->user,
                    .range = c->range};
    write_body(&k, g);
    np_ccall r = {.nargs = k.nparams,
                  .arg = np_arena_array(&c->mem, (size_t)k.nparams + 1, sizeof *r.arg),
                  .T = k.uses_T,
                  .N = k.uses_N};
    for (int i = 0; i < k.nparams; i++) r.arg[i] = k.param[i].buf;
    const char *key = np_ctext(&mem, "%s%s", signature(&k, ""), body.s ? body.s : "");
    r.name = made_before(c, key);
    if (!r.name && body.n) {
        r.name = kernel_name(c, g);
        remember(c, key, r.name);
        body.n = 0;
        if (body.s) body.s[0] = 0;
        k.neutral = false;
        write_body(&k, g);
        np_text_add(&c->kernels, "\n");
        came_from(c, g->loc);
        np_text_add(&c->kernels, "%s{\n%s}\n", signature(&k, r.name), body.s ? body.s : "");
    }
    np_text_free(&body);
    np_arena_free(&mem);
    return r;
}
