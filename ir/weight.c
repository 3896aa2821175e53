/* The weights of a module: stored ones, whose numbers come from outside, and those
 * that the build makes. How one is made is a function without parameters that gives
 * its value from constants and from weights that stand before it; nothing in it has a
 * size that is known only at run time. Made weights that say the same are one. */
#include "ir.h"

#include <string.h>

np_weight *np_mod_weight(const np_mod *m, const char *name)
{
    for (int i = 0; i < m->nweights; i++)
        if (m->weight[i]->name == name || strcmp(m->weight[i]->name, name) == 0) return m->weight[i];
    return NULL;
}
static np_weight *add(np_mod *m, np_weight w)
{
    m->weight = np_arena_more(&m->cx->perm, m->weight, m->nweights, sizeof *m->weight);
    return m->weight[m->nweights++] = np_arena_copy(&m->cx->perm, &w, sizeof w);
}
np_weight *np_mod_declare(np_mod *m, np_loc loc, const char *name, const np_type *t)
{
    np_weight *w = np_mod_weight(m, name);
    int64_t k;
    for (int i = 0; i < t->rank; i++)
        if (!np_dim_int(t->dim[i], &k)) {
            np_error(m->cx, loc, "weight %s %s: the sizes of a weight are numbers", name,
                     np_type_str(m->cx, t));
            return NULL;
        }
    if (!w)
        return add(m,
                   (np_weight){.name = np_str_new(m->cx, name), .type = t, .stored = t->dtype, .loc = loc});
    if (w->type == t) return w;
    np_error(m->cx, loc, "weight %s is %s here and %s at line %d", name, np_type_str(m->cx, t),
             np_type_str(m->cx, w->type), w->loc.line);
    return NULL;
}

/* ---- made at build time */
static void drop_name(void *env, const np_node *n)
{
    (void)env;
    ((np_node *)n)->name = NULL; /* the function is ours: what is made, not how it was called, decides */
    for (int i = 0; i < 2 && n->body[i]; i++)
        for (int k = 0; k < n->body[i]->nparams; k++) n->body[i]->param[k]->name = NULL;
}
static np_str text_of(const np_fn *by)
{
    np_text t = {0};
    np_print_fn(&t, by, (np_print_opts){0});
    np_str s = np_str_new(by->cx, t.s);
    np_text_free(&t);
    return s;
}
np_weight *np_mod_make(np_mod *m, const char *name, np_fn *by)
{
    np_fn_walk(by, drop_name, NULL);
    return add(m, (np_weight){.name = np_str_new(m->cx, name),
                              .type = by->out_type[0],
                              .stored = by->out_type[0]->dtype,
                              .by = by,
                              .how = text_of(by),
                              .loc = by->top.last->arg[0]->loc});
}
static void see_origin(void *env, const np_node *n)
{
    const np_node **first = env;
    if (n->op == NP_WEIGHT && !*first) *first = n;
}
const np_weight *np_weight_origin(const np_mod *m, const np_weight *w)
{
    while (w->by) {
        const np_node *first = NULL;
        np_fn_walk(w->by, see_origin, &first);
        if (!first) break;
        w = np_mod_weight(m, first->sym);
    }
    return w;
}
/* Called like the first weight in it and the last thing that is done to that: "A_log.neg", "embed.ba". */
static np_str name_for(np_mod *m, const np_fn *by)
{
    const np_node *r = by->top.last->arg[0], *first = NULL;
    const char *does = np_op_info(r->op)->text;
    np_fn_walk(by, see_origin, &first);
    if (r->op == NP_CONTRACT && r->arg[0]->op == NP_WEIGHT && r->arg[1]->op == NP_WEIGHT)
        return np_str_fmt(m->cx, "%s.by.%s", r->arg[0]->sym, r->arg[1]->sym);
    if (r->op == NP_PERMUTE) does = strstr(r->sym, "->") + 2;
    return np_str_fmt(m->cx, "%s.%s", first ? first->sym : "table", does);
}
np_weight *np_mod_made(np_mod *m, np_fn *by)
{
    np_fn_walk(by, drop_name, NULL);
    np_str name = name_for(m, by), how = text_of(by), first = name;
    np_weight *w;
    for (int i = 2; (w = np_mod_weight(m, name)); name = np_str_fmt(m->cx, "%s.%d", first, i++)) {
        if (!w->by || w->how != how) continue;
        np_fn_free(by);
        return w;
    }
    return np_mod_make(m, name, by);
}
np_weight *np_mod_derive(np_mod *m, const np_weight *from, const char *spec, int lanes)
{
    static const char abc[] = "abcdefgh";
    char order[NP_RANK + 1] =
        ""; /* the axes as a, b, c, ..: equal orders are one, whatever letters were used */
    int rank = from->type->rank;
    for (int i = 0; i < rank; i++) order[i] = (char)('a' + (strchr(spec, spec[rank + 2 + i]) - spec));
    np_fn *f = np_fn_new(m, "made", NP_STAGE_TENSOR);
    np_build *b = np_build_new(f);
    b->loc = from->loc;
    np_node *x = np_build_permute(b, np_build_weight(b, from->name), np_str_fmt(m->cx, "%.*s->%s", rank, abc, order));
    if (lanes) {
        x = np_build_split(b, x, rank - 1, np_dim_const(m->cx, lanes));
        x = np_build_permute(b, x, np_str_fmt(m->cx, "%.*s->%c%.*s%c", rank + 1, abc, abc[rank - 1], rank - 1, abc, abc[rank]));
    }
    np_build_ret(b, 1, (const char *[]){"w"}, 1, &x);
    np_fn_sweep(f);
    return np_mod_made(m, f);
}

/* ---- numbers */
double np_element(const void *data, np_dtype d, int64_t i)
{
    uint16_t half;
    switch (d) {
    case NP_F32: return (double)((const float *)data)[i];
    case NP_F64: return ((const double *)data)[i];
    case NP_I32: return ((const int32_t *)data)[i];
    case NP_I64: return (double)((const int64_t *)data)[i];
    case NP_I8: return ((const int8_t *)data)[i];
    case NP_F16:
    case NP_BF16: memcpy(&half, (const char *)data + 2 * i, sizeof half); return np_half_to_double(d, half);
    default: return ((const uint8_t *)data)[i];
    }
}
