/* Arrays of numbers in the generated file: weights and constant lists. Each is
 * written once, in the layout in which it is used: a weight that is only used
 * permuted is stored only permuted. What a checkpoint keeps in half precision
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
    bool packed; /* stored as halves, used as f32 */
    const double *product; /* of a weight that is the product of two: its numbers */
} array;

static int64_t count_of(const np_type *t)
{
    int64_t n = 1, d;
    for (int i = 0; i < t->rank; i++) n *= np_dim_int(t->dim[i], &d) ? d : 0;
    return n;
}
static const np_weight *source_of(const np_cfile *c, const np_weight *w)
{
    return w->from ? np_mod_weight(c->p->mod, w->from) : w;
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
    if (c->narrays == c->array_cap) {
        array *old = c->array;
        c->array_cap = c->array_cap ? 2 * c->array_cap : 64;
        c->array = np_arena_array(&c->mem, (size_t)c->array_cap, sizeof *c->array);
        if (old) memcpy(c->array, old, (size_t)c->narrays * sizeof *old);
    }
    array a = {.node = n, .count = count_of(n->type)};
    if (n->op == NP_WEIGHT) {
        a.w = np_mod_weight(c->p->mod, n->sym);
        const np_weight *src = source_of(c, a.w);
        if (!src->data) np_bug(c->cx, "weight %s is not loaded", src->name);
        if (a.w->times) {
            np_tensor t = np_eval_weight(c->p->mod, a.w);
            a.product = np_arena_copy(&c->mem, t.data, (size_t)a.count * sizeof *t.data);
            np_tensor_free(&t);
        }
        a.packed = !a.w->times && n->type->dtype == NP_F32 && (src->stored == NP_F16 || src->stored == NP_BF16);
    }
    const char *hint = n->op == NP_WEIGHT ? n->sym : n->name ? n->name : "table";
    a.name = np_cfile_name(c, np_ctext(&c->mem, "%s_%s", a.w ? "w" : "c", np_cname(&c->mem, hint, "x")));
    c->array[c->narrays++] = a;
    return a.name;
}

/* ---- elements, in the order of the array */
static double element(const void *data, np_dtype d, int64_t i)
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
/* Where element i of a permuted array lies in its source. */
typedef struct order {
    int rank;
    int64_t dim[NP_RANK], step[NP_RANK];
} order;
static order order_of(const np_cfile *c, const array *a)
{
    order o = {0};
    const np_weight *src = source_of(c, a->w);
    const np_type *t = src->type;
    int64_t step[NP_RANK] = {0}, dim[NP_RANK] = {0}, n = 1;
    for (int k = t->rank - 1; k >= 0; k--) {
        np_dim_int(t->dim[k], &dim[k]);
        step[k] = n;
        n *= dim[k];
    }
    o.rank = t->rank;
    const char *to = a->w->from ? strstr(a->w->spec, "->") + 2 : NULL;
    for (int k = 0; k < t->rank; k++) {
        int axis = to ? (int)(strchr(a->w->spec, to[k]) - a->w->spec) : k;
        o.dim[k] = dim[axis];
        o.step[k] = step[axis];
    }
    return o;
}
static int64_t source_index(const order *o, int64_t i)
{
    int64_t at = 0;
    for (int k = o->rank - 1; k >= 0; k--) {
        at += i % o->dim[k] * o->step[k];
        i /= o->dim[k];
    }
    return at;
}
static int put_element(np_cfile *c, char *s, const array *a, np_dtype d, double v)
{
    if (a->packed || d == NP_F16 || d == NP_BF16)
        return sprintf(s, "0x%04x", np_chalf(a->packed ? source_of(c, a->w)->stored : d, v));
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
                a->packed ? np_dtype_text(source_of(c, a->w)->stored) : shape);
    np_arena_free(&mem);
    const np_weight *src = a->w ? source_of(c, a->w) : NULL;
    order o = a->w && !a->product ? order_of(c, a) : (order){0};
    char s[80];
    int width = 120;
    for (int64_t i = 0; i < a->count; i++) {
        double v = a->product ? a->product[i]
                   : a->w          ? element(src->data, src->stored, a->w->from ? source_index(&o, i) : i)
                                   : a->node->data[i];
        int n = put_element(c, s, a, d, v);
        if (width + n + 2 > 116) np_text_put(out, "\n   ", 4), width = 3;
        np_text_put(out, " ", 1);
        np_text_put(out, s, (size_t)n);
        np_text_put(out, ",", 1);
        width += n + 2;
    }
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
        np_dtype d = source_of(c, a->w)->stored;
        np_text_add(out, "    for (int64_t i = 0; i < %lld; i++) %s[i] = %s(%s_packed[i]);\n",
                    (long long)a->count, a->name, np_chelp_call(c, "of", d), a->name);
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
uint64_t np_cdata_hash(const np_cfile *c)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int i = 0; i < c->p->mod->nweights; i++) {
        const np_weight *w = c->p->mod->weight[i];
        bool used = false;
        for (int k = 0; k < c->narrays && !used; k++)
            used = c->array[k].w && (source_of(c, c->array[k].w) == w || c->array[k].w->times == w->name);
        if (!used) continue;
        h = mix(h, w->name, strlen(w->name));
        h = mix(h, w->data, (size_t)(count_of(w->type) * np_dtype_size(w->stored)));
    }
    return h;
}
