/* The search for a small program that fails like a large one: in the same phase
 * with the same kind of failure. Greedy: an edit that keeps the failure is kept,
 * and edits are tried until none helps. An edit is made on the function as
 * written (a copy with something replaced) or on the text (a size); one that
 * gives nonsense is refused when it is read. */
#include "isolate.h"
#include "native.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TRIES = 4000, DEAR = 9, LONGEST = 300 };
typedef enum {             /* what becomes of node k */
               BY_OPERAND, /* the first, second or third one of its type */
               BY_OPERAND2,
               BY_OPERAND3,
               BY_ZERO,
               BY_INPUT, /* a new input of its type */
               BY_BODY,  /* a cond becomes its first body */
               BY_BODY2,
               NKINDS
} edit_kind;
typedef struct edit {
    edit_kind kind;
    uint32_t at;       /* id of the node */
    int output, param; /* an output of the function, or a parameter, that goes; -1 */
    bool was_made;
    np_node **body_value; /* BY_BODY: what the body yields, by result */
    np_node *input;
} edit;
typedef struct search {
    const rn_outcome *want;
    const char *until;
    np_text best;
    int tries;
} search;

static bool keeps(search *s, const char *text)
{
    rn_outcome got;
    if (s->tries++ > MOST_TRIES) return false;
    if (strcmp(s->want->phase, RN_NATIVE) == 0) {
        s->tries += DEAR;
        rn_isolate_native(&text, 1, &got);
    } else {
        rn_isolate(text, s->until, &got, NULL);
    }
    if (strcmp(got.phase, s->want->phase) != 0 || strcmp(got.kind, s->want->kind) != 0) return false;
    np_text_free(&s->best);
    np_text_add(&s->best, "%s", text);
    return true;
}

/* ---- edits of the function */
static np_node *replace(np_rw *rw, const np_node *old, np_node *const *arg)
{
    edit *e = rw->env;
    np_build *b = rw->b;
    if (e->body_value && old->op == NP_PICK && old->arg[0]->id == e->at)
        return e->body_value[old->attr[0]->k];
    if (old->id != e->at) return NULL;
    if (e->kind <= BY_OPERAND3) {
        int skip = (int)e->kind;
        for (int i = 0; i < old->nargs; i++)
            if (arg[i]->type == old->type && skip-- == 0) {
                e->was_made = true;
                return arg[i];
            }
    }
    if (e->kind == BY_ZERO && !old->type->tuple && old->op != NP_CONST) {
        e->was_made = true;
        return np_build_num(b, old->type, 0);
    }
    if (e->kind == BY_INPUT && e->input) {
        e->was_made = true;
        return e->input;
    }
    bool second = e->kind == BY_BODY2;
    if ((e->kind == BY_BODY || second) && old->op == NP_COND) {
        const np_block *body = old->body[second];
        np_rewrite_block(rw, body);
        e->body_value = np_arena_array(&b->fn->mem, (size_t)body->last->nargs + 1, sizeof *e->body_value);
        for (int i = 0; i < body->last->nargs; i++) e->body_value[i] = np_rewrite_get(rw, body->last->arg[i]);
        e->was_made = true;
        return e->body_value[0];
    }
    return NULL;
}
static void find_node(void *env, const np_node *n)
{
    const np_node **found = env;
    if (n->id == found[0]->id) found[1] = n;
}
/* A copy of f with the edit applied, or NULL if that says nothing. */
static np_fn *edited(np_mod *m, const np_fn *f, edit *e)
{
    np_fn *now = np_fn_new(m, f->name, NP_STAGE_TENSOR);
    np_build *b = np_build_new(now);
    b->plain = true;
    np_rw *rw = np_rewrite_new(b, f, replace, e);
    np_node key = {.id = e->at};
    const np_node *found[2] = {&key, NULL};
    np_fn_walk(f, find_node, found);
    for (int i = 0; i < f->top.nparams; i++) {
        const np_node *p = f->top.param[i];
        if (i == f->ninputs && e->kind == BY_INPUT && found[1] && !found[1]->type->tuple)
            e->input = np_build_param(b, NP_IN, "x", found[1]->type);
        if (i == e->param) {
            e->was_made = true;
            continue; /* asked for all the same, it would be a bug: the caller looked */
        }
        np_rewrite_set(rw, p, np_build_param(b, i < f->ninputs ? NP_IN : NP_STATE, p->name, p->type));
    }
    if (f->nstates == 0 && e->kind == BY_INPUT && found[1] && !found[1]->type->tuple)
        e->input = np_build_param(b, NP_IN, "x", found[1]->type);
    np_rewrite_block(rw, &f->top);
    np_node **v = np_arena_array(&now->mem, (size_t)f->top.last->nargs + 1, sizeof *v);
    const char **names = np_arena_array(&now->mem, (size_t)f->nouts + 1, sizeof *names);
    int n = 0, nouts = 0;
    for (int i = 0; i < f->top.last->nargs; i++) {
        if (i == e->output || (e->param >= f->ninputs && i == f->nouts + e->param - f->ninputs)) {
            e->was_made = true;
            continue;
        }
        if (i < f->nouts) names[nouts++] = f->out_name[i];
        v[n++] = np_rewrite_get(rw, f->top.last->arg[i]);
    }
    np_build_ret(b, nouts, names, n, v);
    np_fn_sweep(now);
    if (!e->was_made) np_fn_free(now);
    return e->was_made ? now : NULL;
}
static const char *header_end(const char *text)
{
    const char *p = text;
    while (*p == '#') p += strcspn(p, "\n") + 1;
    return p;
}
/* Tries one edit of function k; true: it was kept. */
static bool try_edit(search *s, int k, edit e)
{
    np_cx *cx = np_cx_new();
    np_text t = {0};
    bool good = false;
    np_mod *m = np_parse_plain(cx, "reduce", s->best.s, s->best.n);
    const np_fn *f = m && k < m->nfns ? m->fn[k] : NULL;
    np_fn *now = f ? edited(m, f, &e) : NULL;
    if (now) {
        np_mod_put(m, now);
        np_text_put(&t, s->best.s, (size_t)(header_end(s->best.s) - s->best.s));
        np_print_mod(&t, m, (np_print_opts){0});
        good = cx->nerrors == 0 && strcmp(t.s, s->best.s) != 0 && keeps(s, t.s);
    }
    np_text_free(&t);
    np_mod_free(m);
    np_cx_free(cx);
    return good;
}
typedef struct counts {
    int nfns, nodes, nouts, ninputs, nparams, uses[LONGEST]; /* uses: of the parameters */
} counts;
static void count_uses(void *env, const np_node *n)
{
    counts *c = env;
    for (int i = 0; i < n->nargs; i++)
        for (int k = 0; k < c->nparams && n->op != NP_RET; k++) c->uses[k] += n->arg[i]->id == (uint32_t)k;
}
static counts look(const search *s, int k)
{
    counts c = {0};
    np_cx *cx = np_cx_new();
    np_mod *m = np_parse_plain(cx, "reduce", s->best.s, s->best.n);
    if (m) {
        const np_fn *f = m->fn[k < m->nfns ? k : 0];
        np_fn_number(m->fn[k < m->nfns ? k : 0]);
        c = (counts){.nfns = m->nfns,
                     .nodes = (int)f->nnodes,
                     .nouts = f->nouts,
                     .ninputs = f->ninputs,
                     .nparams = f->top.nparams < LONGEST ? f->top.nparams : LONGEST};
        np_fn_walk(f, count_uses, &c);
        const np_node *ret =
            f->top.last; /* a result that is a parameter keeps it, unless it is its own next value */
        for (int i = 0; i < ret->nargs; i++)
            for (int p = 0; p < c.nparams; p++)
                c.uses[p] +=
                    ret->arg[i] == f->top.param[p] && !(i >= f->nouts && p == f->ninputs + i - f->nouts);
    }
    np_mod_free(m);
    np_cx_free(cx);
    return c;
}
static bool shrink_function(search *s, int k)
{
    const edit none = {.kind = BY_OPERAND, .at = UINT32_MAX, .output = -1, .param = -1};
    bool any = false;
    edit e = none;
    for (int i = look(s, k).nouts - 1;
         i >= 0 && look(s, k).nouts + look(s, k).nparams - look(s, k).ninputs > 1; i--) {
        e.output = i;
        any |= try_edit(s, k, e);
    }
    for (int at = look(s, k).nodes - 1; at >= 0; at--)
        for (int kind = 0; kind < NKINDS; kind++) {
            e = none;
            e.at = (uint32_t)at, e.kind = (edit_kind)kind;
            if (!try_edit(s, k, e)) continue;
            any = true;
            break;
        }
    counts c = look(s, k);
    for (int i = c.nparams - 1; i >= 0; i--) {
        e = none;
        e.param = i;
        if (c.uses[i] == 0) any |= try_edit(s, k, e);
    }
    return any;
}

/* ---- edits of the text */
static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '%' || c == '$' || c == '.';
}
/* `word` everywhere, where it stands alone. */
static void substituted(np_text *out, const char *text, const char *word, const char *by)
{
    size_t n = strlen(word);
    const char *body = header_end(text);
    np_text_put(out, text, (size_t)(body - text));
    for (const char *p = body; *p;) {
        bool here = strncmp(p, word, n) == 0 && !letter(p[n]) && (p == text || !letter(p[-1]));
        if (here && strncmp(p - 4, "dim ", 4) != 0)
            np_text_add(out, "%s", by), p += n;
        else
            np_text_put(out, p++, 1);
    }
}
static bool shrink_sizes(search *s)
{
    static const char *const by[] = {"1", "2", "3"};
    char word[16];
    bool any = false;
    for (int k = 66; k >= -3; k--) {
        if (k == 0 || k == 1) continue;
        snprintf(word, sizeof word, "%d", k);
        if (k < 0) snprintf(word, sizeof word, "%s", k == -1 ? "T" : k == -2 ? "B" : "N");
        for (int i = 0; i < (int)NP_LEN(by) && (k < 0 || i + 1 < k); i++) {
            np_text t = {0};
            substituted(&t, s->best.s, word, by[i]);
            bool good = strcmp(t.s, s->best.s) != 0 && keeps(s, t.s);
            np_text_free(&t);
            any |= good;
            if (good) break;
        }
    }
    return any;
}
/* Lines that declare what nothing mentions any more, and functions that nothing calls. */
static bool drop_lines(search *s)
{
    bool any = false;
    for (const char *p = header_end(s->best.s); *p && p - s->best.s < (long)s->best.n;) {
        size_t n = strcspn(p, "\n") + 1, from = (size_t)(p - s->best.s);
        if (strncmp(p, "fn ", 3) == 0) {
            const char *end = strstr(p, "\n}\n");
            if (!end || !end[3]) break; /* the last one is the entry */
            n = (size_t)(end + 3 - p);
        }
        np_text t = {0};
        np_text_put(&t, s->best.s, from);
        np_text_add(&t, "%s", p + n);
        bool good = keeps(s, t.s);
        np_text_free(&t);
        any |= good;
        p = s->best.s + from + (good ? 0 : n);
    }
    return any;
}
void rn_reduce(const char *text, const char *until, const rn_outcome *was, np_text *out)
{
    search s = {.want = was, .until = until};
    np_text_add(&s.best, "%s", text);
    for (bool any = true; any && s.tries < MOST_TRIES;) {
        any = drop_lines(&s);
        for (int k = look(&s, 0).nfns - 1; k >= 0; k--) any |= shrink_function(&s, k);
        any |= shrink_sizes(&s);
    }
    *out = s.best;
}
