/* Arrays of numbers in the generated file: weights and constant lists. Each is
 * written once, as it is used: a weight that is only used permuted, or as what the
 * build makes of it, is stored only so. What a checkpoint keeps in half precision
 * and the model uses as f32 stays half in the file and is unpacked at start. */
#include "c.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct np_carray {
    const np_node *node; /* the first that asked */
    const np_weight *w;  /* NULL: a constant list */
    const char *name;
    int64_t count;
    bool packed;     /* stored as halves, used as f32 */
    np_dtype stored; /* of a packed one */
} array;

static int64_t count_of(const np_type *t)
{
    int64_t n = 1, d;
    for (int i = 0; i < t->rank; i++) n *= np_dim_int(t->dim[i], &d) ? d : 0;
    return n;
}
/* The stored weight whose numbers w has, in another order at most; NULL: they are computed. */
static void see_moved(void *env, const np_node *n)
{
    bool moves =
        n->op == NP_PERMUTE || n->op == NP_SPLIT || n->op == NP_MERGE || n->op == NP_SLICE || n->op == NP_AT;
    *(bool *)env &= moves || n->op == NP_WEIGHT || n->op == NP_RET;
}
static const np_weight *source_of(const np_cfile *c, const np_weight *w)
{
    bool moved = true;
    while (w->by) {
        np_fn_walk(w->by, see_moved, &moved);
        if (!moved) return NULL;
        w = np_mod_weight(c->p->mod, w->by->top.first->sym);
    }
    return w;
}
static bool same(const array *a, const np_node *n)
{
    if (n->op == NP_WEIGHT) return a->w && a->w->name == n->sym;
    return !a->w && a->node->type == n->type &&
           memcmp(a->node->data, n->data, (size_t)a->count * sizeof *n->data) == 0;
}
const char *np_cdata_find(np_cfile *c, const np_node *n)
{
    for (int i = 0; i < c->narrays; i++)
        if (same(&c->array[i], n)) return c->array[i].name;
    c->array = np_arena_more(&c->mem, c->array, c->narrays, sizeof *c->array);
    array a = {.node = n, .count = count_of(n->type)};
    if (n->op == NP_WEIGHT) {
        a.w = np_mod_weight(c->p->mod, n->sym);
        const np_weight *src = source_of(c, a.w);
        if (src && !src->data) np_bug(c->cx, "weight %s is not loaded", src->name);
        a.packed = src && n->type->dtype == NP_F32 && (src->stored == NP_F16 || src->stored == NP_BF16);
        if (a.packed) a.stored = src->stored;
    }
    const char *hint = n->op == NP_WEIGHT ? n->sym : n->name ? n->name : "table";
    a.name = np_cfile_name(c, np_ctext(&c->mem, "%s_%s", a.w ? "w" : "c", np_cname(&c->mem, hint, "x")));
    c->array[c->narrays++] = a;
    return a.name;
}

/* ---- elements, in the order of the array */
/* Numbers that the build computes from good ones: what is not finite is worth a word. */
static void warn_not_finite(const np_cfile *c, const np_weight *w, const np_tensor *t)
{
    int64_t n = np_tensor_count(t), bad = 0, first = 0;
    if (np_dtype_class(w->type->dtype) != 'F' || np_weight_origin(c->p->mod, w) == w)
        return; /* constants are as they were written */
    for (int64_t i = n - 1; i >= 0; i--)
        if (!isfinite(np_round_to(w->type->dtype, t->data[i]))) bad++, first = i;
    if (bad)
        np_warn(c->cx, w->loc,
                "weight %s, which is made when the model is built, holds %g; %lld of its %lld numbers are "
                "not finite",
                w->name, np_round_to(w->type->dtype, t->data[first]), (long long)bad, (long long)n);
}
static int put_element(char *s, const array *a, np_dtype d, double v)
{
    if (a->packed || d == NP_F16 || d == NP_BF16)
        return sprintf(s, "0x%04x", np_chalf(a->packed ? a->stored : d, v));
    if (d == NP_F32) return np_cfloat(s, (float)v);
    np_arena mem = {0};
    int n = sprintf(s, "%s", np_cnumber(&mem, d, np_dtype_class(d) == 'F' ? v : np_round_to(d, v)));
    np_arena_free(&mem);
    return n;
}
static void put_array(np_cfile *c, const array *a, np_text *out)
{
    np_dtype d = a->node->type->dtype;
    np_arena mem = {0};
    const char *shape = np_cshape(&mem, c->cx, a->node->type);
    if (a->packed)
        np_text_add(out, "static float %s[%lld]; /* %s, from %s_packed */\n", a->name,
                    (long long)(a->count ? a->count : 1), shape, a->name);
    np_text_add(out, "static const %s %s%s[%lld] = { /* %s */", a->packed ? "uint16_t" : np_ctype(d), a->name,
                a->packed ? "_packed" : "", (long long)(a->count ? a->count : 1),
                a->packed ? np_dtype_text(a->stored) : shape);
    np_arena_free(&mem);
    np_tensor made = a->w && a->w->by ? np_eval_weight(c->p->mod, a->w, true) : (np_tensor){0};
    if (made.data) warn_not_finite(c, a->w, &made);
    char s[80];
    int width = 120;
    for (int64_t i = 0; i < a->count; i++) {
        double v = made.data ? made.data[i]
                   : a->w    ? np_element(a->w->data, a->w->stored, i)
                             : a->node->data[i];
        int n = put_element(s, a, d, v);
        if (width + n + 2 > 116) np_text_put(out, "\n   ", 4), width = 3;
        np_text_put(out, " ", 1);
        np_text_put(out, s, (size_t)n);
        np_text_put(out, ",", 1);
        width += n + 2;
    }
    np_tensor_free(&made);
    if (a->count == 0) np_text_add(out, "0");
    np_text_add(out, "\n};\n");
}
void np_cdata_put(np_cfile *c, np_text *out)
{
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < c->narrays; i++) {
            if ((c->array[i].w != NULL) != pass) continue;
            put_array(c, &c->array[i], out);
        }
}
bool np_cdata_packed(const np_cfile *c)
{
    for (int i = 0; i < c->narrays; i++)
        if (c->array[i].packed) return true;
    return false;
}
void np_cdata_setup(np_cfile *c, np_text *out)
{
    if (!np_cdata_packed(c)) return;
    np_text_add(out,
                "\n/* Weights that are kept in half precision, as the numbers that are computed with. */\n"
                "%s%s_setup(char *heap)\n{\n    (void)heap;\n",
                c->p->runtime ? "static void " : "void np_setup(char *heap);\nvoid ",
                c->p->runtime ? c->prefix : "np");
    for (int i = 0; i < c->narrays; i++) {
        const array *a = &c->array[i];
        if (!a->packed) continue;
        np_text_add(out, "    for (int64_t i = 0; i < %lld; i++) %s[i] = %s(%s_packed[i]);\n",
                    (long long)a->count, a->name, np_chelp_call(c, "of", a->stored), a->name);
    }
    np_text_add(out, "}\n");
}
int64_t np_cdata_bytes(const np_cfile *c)
{
    int64_t n = 0;
    for (int i = 0; i < c->narrays; i++)
        if (c->array[i].w)
            n += c->array[i].count * (c->array[i].packed ? 2 : np_dtype_size(c->array[i].node->type->dtype));
    return n;
}
static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    const unsigned char *s = p;
    for (; n >= 8; s += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, s, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    for (; n; s++, n--) h = (h ^ *s) * 0x100000001b3u;
    return h;
}
/* Are the numbers of `stored` in it? */
typedef struct search {
    const np_mod *mod;
    const np_weight *stored;
    bool found;
} search;
static void see_weight(void *env, const np_node *n)
{
    search *s = env;
    if (n->op != NP_WEIGHT || s->found) return;
    const np_weight *w = np_mod_weight(s->mod, n->sym);
    s->found = w == s->stored;
    if (w->by) np_fn_walk(w->by, see_weight, s);
}
static bool holds(const np_cfile *c, const np_weight *w, const np_weight *stored)
{
    search s = {.mod = c->p->mod, .stored = stored, .found = w == stored};
    if (w->by) np_fn_walk(w->by, see_weight, &s);
    return s.found;
}
uint64_t np_cdata_hash(const np_cfile *c)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int i = 0; i < c->p->mod->nweights; i++) {
        const np_weight *w = c->p->mod->weight[i];
        bool used = false;
        for (int k = 0; k < c->narrays && !used; k++) used = c->array[k].w && holds(c, c->array[k].w, w);
        if (!used || w->by) continue;
        h = mix(h, w->name, strlen(w->name));
        h = mix(h, w->data, (size_t)(count_of(w->type) * np_dtype_size(w->stored)));
    }
    return h;
}
