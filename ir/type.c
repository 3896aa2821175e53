/* Types: an element type and dims, or a tuple of types, interned so that
 * equality is pointer equality. There are no strides and no layouts here: how
 * bytes lie is stated by ops. */
#include "ir.h"

#include <string.h>

struct np_typetab {
    np_type **slot;
    size_t cap, n;
};

static const struct {
    const char *text;
    int size;
    char cls;
} dtypes[NP_NDTYPES] = {
#define NP_DTYPE(id, text, size, cls) {text, size, cls},
#include "dtypes.def"
#undef NP_DTYPE
};

const char *np_dtype_text(np_dtype d)
{
    return dtypes[d].text;
}
bool np_dtype_find(const char *text, np_dtype *out)
{
    for (int i = 0; i < NP_NDTYPES; i++)
        if (strcmp(text, dtypes[i].text) == 0) {
            *out = (np_dtype)i;
            return true;
        }
    return false;
}
int np_dtype_size(np_dtype d)
{
    return dtypes[d].size;
}
char np_dtype_class(np_dtype d)
{
    return dtypes[d].cls;
}

static uint64_t hash(const np_type *t)
{
    uint64_t h = (uint64_t)t->tuple * 31 + (uint64_t)t->dtype * 7 + (uint64_t)t->rank;
    for (int i = 0; i < t->rank; i++) h = (h ^ t->dim[i]->id) * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < t->width; i++) h = (h ^ (hash(t->part[i]) + 1)) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 30);
}
static bool same(const np_type *a, const np_type *b)
{
    return a->tuple == b->tuple && a->dtype == b->dtype && a->rank == b->rank && a->width == b->width &&
           (a->rank == 0 || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0) &&
           (a->width == 0 || memcmp(a->part, b->part, (size_t)a->width * sizeof *a->part) == 0);
}
static np_type **slot_of(struct np_typetab *t, const np_type *x)
{
    for (size_t i = hash(x);; i++) {
        np_type **s = &t->slot[i & (t->cap - 1)];
        if (!*s || same(*s, x)) return s;
    }
}
static const np_type *intern(np_cx *cx, const np_type *x)
{
    struct np_typetab *t = cx->types;
    if (!t) t = cx->types = np_arena_alloc(&cx->perm, sizeof *t);
    if (t->n * 2 >= t->cap) {
        struct np_typetab old = *t;
        t->cap = old.cap ? old.cap * 2 : 256;
        t->slot = np_arena_array(&cx->perm, t->cap, sizeof *t->slot);
        for (size_t i = 0; i < old.cap; i++)
            if (old.slot[i]) *slot_of(t, old.slot[i]) = old.slot[i];
    }
    np_type **s = slot_of(t, x);
    if (!*s) {
        np_type *copy = *s = np_arena_copy(&cx->perm, x, sizeof *x);
        if (x->width) copy->part = np_arena_copy(&cx->perm, x->part, (size_t)x->width * sizeof *x->part);
        t->n++;
    }
    return *s;
}

const np_type *np_type_tensor(np_cx *cx, np_dtype d, int rank, const np_dim *const *dim)
{
    np_type t = {.dtype = d, .rank = rank};
    if (rank > NP_RANK) np_bug(cx, "a tensor of rank %d", rank);
    for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
    return intern(cx, &t);
}
const np_type *np_type_scalar(np_cx *cx, np_dtype d)
{
    return np_type_tensor(cx, d, 0, NULL);
}
const np_type *np_type_tuple(np_cx *cx, int width, const np_type *const *part)
{
    np_type t = {.tuple = true, .width = width, .part = (const np_type **)(uintptr_t)part};
    return intern(cx, &t);
}
const np_type *np_type_void(np_cx *cx)
{
    return np_type_tuple(cx, 0, NULL);
}
const np_type *np_type_with(np_cx *cx, const np_type *t, np_dtype d)
{
    return np_type_tensor(cx, d, t->rank, t->dim);
}
const np_type *np_type_without(np_cx *cx, const np_type *t, int axis)
{
    np_type r = *t;
    r.rank--;
    for (int i = axis; i < r.rank; i++) r.dim[i] = r.dim[i + 1];
    r.dim[r.rank] = NULL;
    return intern(cx, &r);
}
const np_type *np_type_insert(np_cx *cx, const np_type *t, int axis, const np_dim *d)
{
    np_type r = *t;
    if (t->rank == NP_RANK) np_bug(cx, "a tensor of rank %d", t->rank + 1);
    for (int i = t->rank; i > axis; i--) r.dim[i] = r.dim[i - 1];
    r.dim[axis] = d;
    r.rank++;
    return intern(cx, &r);
}
const np_type *np_type_set(np_cx *cx, const np_type *t, int axis, const np_dim *d)
{
    np_type r = *t;
    r.dim[axis] = d;
    return intern(cx, &r);
}
bool np_type_sane(const np_type *t)
{
    int64_t n = 1, lo, hi, most = (int64_t)1 << 48;
    for (int i = 0; i < t->rank; i++) {
        np_dim_range(t->dim[i], &lo, &hi);
        if (hi < 0) return false;
        if (np_dim_int(t->dim[i], &lo) && lo > 0) n = n > most / lo ? most + 1 : n * lo;
    }
    for (int i = 0; i < t->width; i++)
        if (!np_type_sane(t->part[i])) return false;
    return n <= most;
}
const np_dim *np_type_count(np_cx *cx, const np_type *t)
{
    const np_dim *n = np_dim_const(cx, 1);
    for (int i = 0; i < t->rank; i++) n = np_dim_mul(cx, n, t->dim[i]);
    return n;
}

void np_type_text(np_text *out, const np_type *t)
{
    if (t->tuple) {
        np_text_add(out, "(");
        for (int i = 0; i < t->width; i++) {
            if (i) np_text_add(out, ", ");
            np_type_text(out, t->part[i]);
        }
        np_text_add(out, ")");
        return;
    }
    np_text_add(out, "%s", np_dtype_text(t->dtype));
    for (int i = 0; i < t->rank; i++) {
        np_text_add(out, i ? "," : "[");
        np_dim_text(out, t->dim[i]);
    }
    if (t->rank) np_text_add(out, "]");
}
np_str np_type_str(np_cx *cx, const np_type *t)
{
    np_text x = {0};
    np_type_text(&x, t);
    np_str s = np_str_len(cx, x.s, x.n);
    np_text_free(&x);
    return s;
}
