/* stream: from @main over a whole sequence to the entries that run. Takes the
 * module with @main; gives @whole (nothing came before) and, if np_stream_check
 * finds that no position depends on later ones, @init, @prefill and @step.
 *
 * What an op of @main needs from earlier positions becomes a state: the last
 * inputs of a window, all inputs of an append, the states of a scan over time.
 * Everything else has the same meaning in every piece, because positions are
 * counted from N: `iota T` stands for iota + N, and the size of the sequence so
 * far is that of all positions. What depends on no position is computed again
 * in every call, except the start of a state, which is computed once by @init. */
#include "stream.h"

#include <ctype.h>
#include <string.h>

typedef struct memory { /* one state */
    const np_node *of;  /* the window, append or scan of @main */
    int which;          /* state of a scan */
    int grows;          /* axis with a row for each position; -1: none */
    np_str name;
    const np_type *type;
    const np_node *start; /* of @main: before anything came; NULL: zeros, or nothing */
    np_node *param, *next;
} memory;
typedef struct streamer {
    np_cx *cx;
    const np_fn *f;
    np_streamed s;
    np_arena mem;
    memory *m;
    int n;
} streamer;

static int scan_seq(const np_node *n)
{
    return (int)n->attr[0]->k;
}
static const np_dim *one(np_cx *cx)
{
    return np_dim_const(cx, 1);
}

/* ---- names: scope and value as the model has them, layers[3].mix and S: layers.3.mix.S */
static void add_words(np_text *to, const char *s)
{
    for (; s && *s; s++) {
        bool dot = *s == '.' || *s == '[';
        if (*s == ']') continue;
        if (dot && to->n && to->s[to->n - 1] != '.' && s[1])
            np_text_put(to, ".", 1);
        else if (!dot)
            np_text_add(to, "%c", isalnum((unsigned char)*s) || *s == '_' ? *s : '_');
    }
}
static bool is_input(const streamer *w, np_str name)
{
    for (int i = 0; i < w->f->top.nparams; i++)
        if (w->f->top.param[i]->name == name) return true;
    return false;
}
static bool taken(const streamer *w, np_str name)
{
    for (int i = 0; i < w->n; i++)
        if (w->m[i].name == name) return true;
    return is_input(w, name);
}
static np_str state_name(const streamer *w, np_loc loc, const char *what)
{
    np_text t = {0};
    add_words(&t, loc.scope);
    if (t.n && t.s[t.n - 1] != '.') np_text_put(&t, ".", 1);
    add_words(&t, what);
    np_str base = np_str_new(w->cx, t.s), name = base;
    np_text_free(&t);
    if (is_input(w, name)) name = base = np_str_fmt(w->cx, "%s.past", base);
    for (int k = 2; taken(w, name); k++) name = np_str_fmt(w->cx, "%s.%d", base, k);
    return name;
}

/* ---- which states there are */
static void remember(streamer *w, const np_node *n, const char *what, memory m)
{
    w->m = np_arena_more(&w->mem, w->m, w->n, sizeof *w->m);
    m.of = n;
    m.name = state_name(w, n->loc, what);
    w->m[w->n++] = m;
    np_note(w->cx, n->loc, "kept between calls: %s %s", m.name, np_type_str(w->cx, m.type));
}
static void find_states(streamer *w, const np_node *n)
{
    const np_node *x = n->nargs ? n->arg[0] : NULL;
    int axis = n->op == NP_WINDOW || n->op == NP_APPEND ? (int)n->attr[0]->k : 0;
    bool along = x && axis < x->type->rank && x->type->dim[axis] == w->s.T;
    const char *what = x && x->name ? x->name : n->name ? n->name : np_op_info(n->op)->text;
    if (n->op == NP_WINDOW && along) {
        const np_dim *back = np_dim_sub(w->cx, n->attr[1], one(w->cx));
        const np_type *t = np_type_set(w->cx, x->type, axis, back);
        remember(w, n, what, (memory){.grows = -1, .type = t, .start = n->nargs == 2 ? n->arg[1] : NULL});
    } else if (n->op == NP_APPEND && along) {
        remember(w, n, what, (memory){.grows = axis, .type = np_type_set(w->cx, x->type, axis, w->s.N)});
    } else if (n->op == NP_SCAN && n->attr[1] == w->s.T) {
        for (int i = scan_seq(n); i < n->nargs; i++) {
            const np_node *p = n->body[0]->param[i];
            int rows = np_stream_axis(p->type, w->s.all);
            const np_type *t = rows < 0 ? p->type : np_type_set(w->cx, p->type, rows, w->s.N);
            remember(w, n, p->name ? p->name : "state",
                     (memory){.which = i - scan_seq(n), .grows = rows, .type = t, .start = n->arg[i]});
        }
    }
}
static memory *state_of(streamer *w, const np_node *n, int which)
{
    for (int i = 0; i < w->n; i++)
        if (w->m[i].of == n && w->m[i].which == which) return &w->m[i];
    return NULL;
}

/* ---- @prefill */
/* A size as @main writes it (nothing came before), for N positions before T. */
static const np_dim *so_far(streamer *w, const np_dim *d)
{
    d = np_dim_subst(w->cx, d, w->s.N, np_dim_const(w->cx, 0));
    return np_dim_subst(w->cx, d, w->s.T, w->s.all);
}
static np_node *stream_window(np_build *b, streamer *w, const np_node *old, np_node *x)
{
    memory *m = state_of(w, old, 0);
    np_node *both[2] = {m->param, x}, *arg[2] = {x, m->param};
    np_extra axis = {.attr = {old->attr[0]}}, attrs = {.attr = {old->attr[0], old->attr[1]}};
    np_node *y = np_build_op(b, NP_WINDOW, 2, arg, &attrs);
    np_node *long_one =
        np_build_op(b, NP_CONCAT, 2, both, &axis); /* the past first; T may be less than what is kept */
    int k = (int)old->attr[0]->k;
    m->next = np_build_slice(b, long_one, k, w->s.T, m->type->dim[k]);
    return y;
}
static np_node *stream_append(np_build *b, streamer *w, const np_node *old, np_node *x)
{
    memory *m = state_of(w, old, 0);
    np_node *arg[2] = {x, m->param};
    np_extra attrs = {.attr = {old->attr[0], w->s.N}};
    return m->next = np_build_op(b, NP_APPEND, 2, arg, &attrs);
}
/* Where a scan starts: the state; rows of new positions are what they were before anything came. */
static np_node *scan_start(np_build *b, streamer *w, const memory *m, np_node *start)
{
    if (m->grows < 0) return m->param;
    np_node *arg[2] = {np_build_slice(b, start, m->grows, w->s.N, w->s.T), m->param};
    np_extra attrs = {.attr = {np_dim_const(w->cx, m->grows), w->s.N}};
    return np_build_op(b, NP_APPEND, 2, arg, &attrs);
}
static np_node *stream_scan(np_rw *rw, streamer *w, const np_node *old, np_node *const *arg)
{
    np_build *b = rw->b;
    int seq = scan_seq(old), nstates = old->nargs - seq, nouts = old->body[0]->last->nargs - nstates;
    np_node **from = np_arena_copy(&b->fn->mem, arg, (size_t)old->nargs * sizeof *arg);
    for (int i = 0; i < nstates; i++) from[seq + i] = scan_start(b, w, state_of(w, old, i), arg[seq + i]);
    np_node *now = np_rewrite_copy(rw, old, from);
    for (int i = 0; i < nstates; i++) state_of(w, old, i)->next = np_build_result(b, now, nouts + i);
    return now;
}
static np_node *stream_rule(np_rw *rw, const np_node *old, np_node *const *arg)
{
    streamer *w = rw->env;
    np_build *b = rw->b;
    if (old->op == NP_IOTA && old->attr[0] == w->s.T) {
        np_node *i = np_build_iota(b, w->s.T),
                *past = np_build_expand(b, np_build_size(b, w->s.N), 0, w->s.T);
        return np_build_2(b, NP_ADD, i, past);
    }
    if (old->op == NP_SIZE) return np_build_size(b, so_far(w, old->attr[0]));
    if (old->op == NP_AT && old->arg[0]->type->dim[old->attr[0]->k] == w->s.all)
        return np_build_at(b, arg[0], (int)old->attr[0]->k, so_far(w, old->attr[1]));
    if (old->op == NP_SCAN && old->attr[1] == w->s.T) return stream_scan(rw, w, old, arg);
    if (old->op != NP_WINDOW && old->op != NP_APPEND) return NULL;
    if (!state_of(w, old, 0)) return NULL; /* along another axis */
    return old->op == NP_WINDOW ? stream_window(b, w, old, arg[0]) : stream_append(b, w, old, arg[0]);
}
static np_fn *make_prefill(streamer *w)
{
    const np_fn *f = w->f;
    np_fn *g = np_fn_new(f->mod, "prefill", NP_STAGE_TENSOR);
    np_build *b = np_build_new(g);
    np_rw *rw = np_rewrite_new(b, f, stream_rule, w);
    g->loc = f->loc;
    for (int i = 0; i < f->ninputs; i++) {
        const np_node *p = f->top.param[i];
        b->loc = p->loc;
        np_node *now = np_build_param(b, NP_IN, p->name, p->type);
        now->axes = p->axes;
        np_rewrite_set(rw, p, now);
    }
    for (int i = 0; i < w->n; i++) {
        b->loc = w->m[i].of->loc;
        w->m[i].param = np_build_param(b, NP_STATE, w->m[i].name, w->m[i].type);
    }
    np_rewrite_block(rw, &f->top);
    np_node **value = np_arena_array(&w->mem, (size_t)(f->nouts + w->n) + 1, sizeof(np_node *));
    for (int i = 0; i < f->nouts; i++) value[i] = np_rewrite_get(rw, f->top.last->arg[i]);
    for (int i = 0; i < w->n; i++) value[f->nouts + i] = w->m[i].next;
    b->loc = f->top.last->loc;
    np_build_ret(b, f->nouts, f->out_name, f->nouts + w->n, value);
    np_fn_sweep(g);
    return g;
}

/* ---- @init: the starts of the states, and what they are computed from */
static void need(const np_node *n, bool *needed)
{
    for (int i = 0; i < n->nargs; i++) needed[n->arg[i]->id] = true;
    for (int k = 0; k < 2; k++)
        for (const np_node *m = n->body[k] ? n->body[k]->first : NULL; m; m = m->next) need(m, needed);
}
static void copy_starts(streamer *w, np_rw *rw)
{
    const np_fn *f = w->f;
    bool *needed = np_arena_array(&w->mem, f->nnodes + 1, sizeof *needed);
    for (int i = 0; i < w->n; i++)
        if (w->m[i].start && w->m[i].grows < 0) needed[w->m[i].start->id] = true;
    for (const np_node *n = f->top.last; n; n = n->prev)
        if (needed[n->id]) need(n, needed);
    for (const np_node *n = f->top.first; n; n = n->next)
        if (needed[n->id]) np_rewrite_node(rw, n);
}
static np_fn *make_init(streamer *w)
{
    const np_fn *f = w->f;
    np_fn *g = np_fn_new(f->mod, "init", NP_STAGE_TENSOR);
    np_build *b = np_build_new(g);
    np_rw *rw = np_rewrite_new(b, f, NULL, NULL);
    np_node **value = np_arena_array(&w->mem, (size_t)w->n + 1, sizeof(np_node *));
    np_str *name = np_arena_array(&w->mem, (size_t)w->n + 1, sizeof *name);
    g->loc = f->loc;
    for (int i = 0; i < f->ninputs; i++) {
        const np_node *p = f->top.param[i];
        if (!w->s.plain[p->id]) continue;
        b->loc = p->loc;
        np_node *now = np_build_param(b, NP_IN, p->name, p->type);
        now->axes = p->axes;
        np_rewrite_set(rw, p, now);
    }
    copy_starts(w, rw);
    for (int i = 0; i < w->n; i++) {
        memory *m = &w->m[i];
        const np_type *t =
            m->grows < 0 ? m->type : np_type_set(w->cx, m->type, m->grows, np_dim_const(w->cx, 0));
        b->loc = m->of->loc;
        value[i] = m->start && m->grows < 0 ? np_rewrite_get(rw, m->start) : np_build_num(b, t, 0);
        name[i] = m->name;
    }
    b->loc = f->top.last->loc;
    np_build_ret(b, w->n, name, w->n, value);
    np_fn_sweep(g);
    return g;
}

static void derive(np_mod *m, np_fn *main)
{
    np_cx *cx = m->cx;
    streamer w = {.cx = cx, .f = main};
    w.s = np_stream_check(main, &w.mem);
    np_mod_put(m,
               np_fn_subst(main, "whole", w.s.N, np_dim_const(cx, 0))); /* without time N is NULL: a copy */
    if (w.s.ok) {
        for (const np_node *n = main->top.first; n; n = n->next) find_states(&w, n);
        np_fn *prefill = make_prefill(&w);
        np_mod_put(m, make_init(&w));
        np_mod_put(m, prefill);
        np_mod_put(m, np_fn_subst(prefill, "step", w.s.T, one(cx)));
    }
    np_arena_free(&w.mem);
}
np_status np_stream_derive(np_mod *m)
{
    np_fn *main = np_mod_fn(m, "main");
    np_str outer = m->cx->pass;
    if (!main || main->stage != NP_STAGE_TENSOR || m->cx->nerrors) return NP_FAIL;
    m->cx->pass = np_str_new(m->cx, "reassoc");
    np_fn *flat = np_inline_run(main, NULL), *ordered = np_reassoc_causal(flat);
    m->cx->pass = np_str_new(m->cx, "stream");
    np_fn *laid = np_layout_run(ordered);
    np_fn_free(flat);
    np_fn_free(ordered);
    derive(m, laid);
    np_fn_free(laid);
    m->cx->pass = outer;
    return NP_OK;
}
