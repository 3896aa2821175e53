/* Scans inside scans while a blocked form is written: maps over heads, the scan
 * over chunks, short scans over the steps of a chunk. A labelled tensor from
 * outside is seen inside as the slice that belongs to the running index of each
 * level. Elementwise values are computed inside from the slices of their
 * operands, so that they never lie in memory as a whole; each operation stands as
 * far out as its operands allow. */
#include "chunk.h"

#include <string.h>

typedef struct np_seen { /* a value that was asked for: what it is inside of the levels that are open */
    const np_node *n;
    char axes[NP_RANK + 1];
    const np_node *level;
    bool turned;
    np_lab is;
    struct np_seen *next;
} np_seen;

bool np_frame_ragged(const np_frames *s)
{
    return s->abreast > 1 || np_dim_mul(s->b->cx, s->chunks, np_dim_const(s->b->cx, s->c)) != s->T;
}
/* The running index of a scan that is open, as it is in its body. */
static np_node *index_of(np_frames *s, np_frame *v)
{
    s->b->at = v->outside;
    np_node *all = np_build_iota(s->b, v->scan->attr[1]);
    s->b->at = v->scan->body[0];
    return np_build_feed(s->b, v->scan, all);
}
void np_frame_last(np_frames *s, np_lab t, np_lab *valid, np_lab *count)
{
    np_build *b = s->b;
    np_frame *v = &s->frame[s->n - 1];
    const np_type *number = np_type_scalar(b->cx, NP_I32);
    np_node *chunk = index_of(s, v);
    if (s->abreast > 1) {
        np_node *segment = index_of(s, v - 1), *n = np_build_num(b, number, (double)s->abreast);
        segment = np_build_2(b, NP_MUL, segment, n);
        b->at = v->scan->body[0];
        chunk = np_build_2(b, NP_ADD, segment, chunk);
    }
    np_node *c = np_build_num(b, number, (double)s->c);
    np_lab first = np_label_of(np_build_2(b, NP_MUL, chunk, c), "");
    np_lab pos = np_label_op(s->l, NP_ADD, 2, (np_lab[]){t, first});
    np_lab size = np_label_of(np_build_size(b, s->T), "");
    v->pos = pos.n;
    *valid = np_label_op(s->l, NP_LT, 2, (np_lab[]){pos, size});
    *count = np_label_op(s->l, NP_SUB, 2, (np_lab[]){size, first});
    count->n = np_build_2(b, NP_MIN, count->n, c);
    if (s->abreast > 1) count->n = np_build_2(b, NP_MAX, count->n, np_build_num(b, number, 0));
}
np_node *np_frame_open(np_frames *s, np_framekind kind, char letter, int nstates, np_node *const *state)
{
    np_cx *cx = s->b->cx;
    const np_dim *n = kind == NP_FRAME_MAP                        ? s->l->dim[(int)letter]
                      : kind == NP_FRAME_STEPS                    ? np_dim_const(cx, s->c)
                      : kind == NP_FRAME_CHUNKS && s->abreast > 1 ? np_dim_const(cx, s->abreast)
                                                                  : s->chunks;
    bool back = s->back && kind != NP_FRAME_MAP;
    if (s->n == NP_FRAMES) np_bug(cx, "more than %d scans inside one another", NP_FRAMES);
    np_frame *v = &s->frame[s->n++];
    *v = (np_frame){.kind = kind, .letter = letter, .outside = s->b->at};
    v->scan = np_build_open(s->b, NP_SCAN, nstates, state,
                            &(np_extra){.attr = {np_dim_const(cx, 0), n, np_dim_const(cx, back)}});
    return v->scan;
}
np_node *np_frame_close(np_frames *s, int nyields, np_node *const *yield)
{
    return np_build_close(s->b, s->frame[--s->n].scan, nyields, yield);
}

/* x with the letter in front, and its axes then. */
static np_node *in_front(np_build *b, np_node *n, char *axes, char letter)
{
    char order[NP_RANK + 2] = {letter, 0}, spec[2 * NP_RANK + 6];
    np_label_keep(order + 1, axes, order, false);
    snprintf(spec, sizeof spec, "%s->%s", axes, order);
    strcpy(axes, order);
    return np_build_permute(b, n, spec);
}
/* The steps of the running chunk. Where the last one has fewer, what is missing is the last step again. */
static np_lab cut(np_frames *s, np_frame *v, np_lab x)
{
    char axes[NP_RANK + 2];
    strcpy(axes, x.axes);
    bool inner = v > s->frame && v[-1].kind == NP_FRAME_SEGMENTS;
    s->b->at = inner ? v[-1].outside : v->outside;
    np_node *n = in_front(s->b, x.n, axes, 't');
    if (!v->pos) {
        n = np_build_split(s->b, n, 0, np_dim_const(s->b->cx, s->c));
        n = np_build_feed(s->b, v->scan, n);
    } else {
        s->b->at = v->scan->body[0];
        n = np_build_op(s->b, NP_GATHER, 2, (np_node *[]){n, v->pos}, NULL);
    }
    if (!n->name) n->name = x.n->name;
    np_lab r = np_label_of(n, axes);
    if (!s->turned) return r;
    s->b->at = v->scan->body[0];
    memmove(axes, axes + 1, strlen(axes));
    strcat(axes, "t");
    return np_label_of(np_label_to(s->l, r, axes), axes);
}
static np_lab feed(np_frames *s, int level, np_lab x)
{
    if (level == 0) return x;
    np_frame *v = &s->frame[level - 1];
    if (np_block_encloses(v->scan->body[0], x.n->in)) return x;
    x = feed(s, level - 1, x);
    if (!strchr(x.axes, v->letter)) return x;
    char axes[NP_RANK + 2];
    np_block *here = s->b->at;
    if (v->kind == NP_FRAME_CHUNKS) {
        np_lab r = cut(s, v, x);
        s->b->at = here;
        return r;
    }
    strcpy(axes, x.axes);
    s->b->at = v->outside;
    np_node *n = in_front(s->b, x.n, axes, v->letter);
    if (!n->name) n->name = x.n->name;
    s->b->at = here;
    return np_label_of(np_build_feed(s->b, v->scan, n), axes + 1);
}

static np_block *deepest(np_block *at, int n, const np_lab *x)
{
    for (int i = 0; i < n; i++)
        if (x[i].n && np_block_depth(x[i].n->in) > np_block_depth(at)) at = x[i].n->in;
    return at;
}
static np_lab see(np_frames *s, np_lab x);
static np_lab elementwise(np_frames *s, np_lab x)
{
    np_lab arg[3], r;
    char have[NP_LETTERS] = "", rest[NP_LETTERS], all[NP_LETTERS];
    np_block *here = s->b->at;
    for (int i = 0; i < x.n->nargs; i++) {
        arg[i] = see(s, np_label_of(x.n->arg[i], x.axes));
        np_label_keep(rest, arg[i].axes, have, false);
        np_label_join(have, have, rest, "");
    }
    np_label_keep(rest, have, "t", false);
    const char *t = strchr(have, 't') ? "t" : "";
    np_label_join(all, s->turned ? "" : t, rest, s->turned ? t : "");
    s->b->at = deepest(s->home, x.n->nargs, arg);
    s->b->loc = x.n->loc;
    if (x.n->op == NP_CAST)
        r = np_label_of(np_build_cast(s->b, arg[0].n, x.n->type->dtype), arg[0].axes);
    else
        r = np_label_op_as(s->l, x.n->op, x.n->nargs, arg, all);
    if (!r.n->name) r.n->name = x.n->name;
    s->b->at = here;
    return r;
}
static np_lab look(np_frames *s, np_lab x)
{
    char to[NP_RANK + 1];
    if (!np_block_encloses(x.n->in, s->home)) return feed(s, s->n, x);
    switch (x.n->op) {
    case NP_CONST:
        if (x.n->data) return feed(s, s->n, x);
        return np_label_of(np_build_num(s->b, np_type_scalar(s->b->cx, x.n->type->dtype), x.n->num), "");
    case NP_EXPAND:
        np_label_without(to, x.axes, (int)x.n->attr[0]->k);
        return see(s, np_label_of(x.n->arg[0], to));
    case NP_PERMUTE: np_label_before_permute(to, x.n, x.axes); return see(s, np_label_of(x.n->arg[0], to));
    default: return np_is_elem(x.n) && x.n->nargs <= 3 ? elementwise(s, x) : feed(s, s->n, x);
    }
}
static np_lab see(np_frames *s, np_lab x)
{
    const np_node *level = s->frame[s->n - 1].scan;
    for (np_seen *p = s->seen; p; p = p->next)
        if (p->n == x.n && p->level == level && p->turned == s->turned && strcmp(p->axes, x.axes) == 0)
            return p->is;
    np_seen *p = np_arena_alloc(&s->b->fn->mem, sizeof *p);
    *p = (np_seen){.n = x.n, .level = level, .turned = s->turned, .is = look(s, x)};
    memcpy(p->axes, x.axes, sizeof p->axes);
    p->next = s->seen;
    return (s->seen = p)->is;
}
np_lab np_frame_see(np_frames *s, np_lab x, bool turned)
{
    s->turned = turned;
    return x.n && s->n ? see(s, x) : x;
}
