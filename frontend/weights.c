/* Brings weights of a checkpoint to the weights that a model declares.
 *
 * A stored tensor serves a weight of its own name, or the weight that the
 * model's names lead to: in `model.layers.#.x = layers.#.y` each `#` stands for
 * one number. It serves only with exactly the declared shape, axes of one element aside,
 * which change no place of a number: a transposed matrix is a mistake that no
 * later stage could see. Every missing or misshaped
 * weight is an error of its own, so that one run shows them all; what the
 * checkpoint has and nobody asks for is one warning.
 *
 * Numbers stay as they are stored; the element type goes along. */
#include "frontend.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 256, NUMBERS = 8, LISTED = 4, NEAREST_AMONG = 4096 };

/* name against pattern; the numbers found, as texts, into at/len. -1: no match. */
static int match(const char *name, const char *pattern, const char *at[NUMBERS], int len[NUMBERS])
{
    int n = 0;
    while (*pattern) {
        if (*pattern != '#') {
            if (*pattern++ != *name++) return -1;
            continue;
        }
        int digits = 0;
        while (isdigit((unsigned char)name[digits])) digits++;
        if (digits == 0 || digits > 9 || n == NUMBERS) return -1;
        at[n] = name;
        len[n++] = digits;
        name += digits;
        pattern++;
    }
    return *name ? -1 : n;
}

/* The name that `to` gives for a stored name that `from` matches; false if none. */
static bool rename_by(const char *name, const char *from, const char *to, char out[NAME])
{
    const char *at[NUMBERS];
    int len[NUMBERS], n = match(name, from, at, len), used = 0;
    size_t k = 0;
    if (n < 0) return false;
    for (; *to; to++) {
        if (*to == '#' && used == n) return false;
        size_t add = *to == '#' ? (size_t)len[used] : 1;
        if (k + add >= NAME) return false;
        memcpy(out + k, *to == '#' ? at[used++] : to, add);
        k += add;
    }
    out[k] = 0;
    return true;
}

const np_stored *np_weights_find(const np_checkpoint *c, const np_model *m, const char *name)
{
    char own[NAME];
    const np_stored *s = np_tensors_find(c->tensors, name);
    for (int i = 0; !s && i < c->tensors->n; i++)
        for (int k = 0; k < m->nnames; k++)
            if (rename_by(c->tensors->t[i].name, m->name_from[k], m->name_to[k], own) && strcmp(own, name) == 0)
                s = &c->tensors->t[i];
    return s;
}

/* ---- side table: which stored tensor serves which weight */
typedef struct slot {
    np_weight *w;
    const np_stored *stored;
    bool exact;
} slot;
typedef struct attach {
    np_cx *cx;
    const np_model *m;
    const np_checkpoint *c;
    bool failed;
    int n;
    slot *slot; /* by name of the weight */
} attach;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const slot *)a)->w->name, ((const slot *)b)->w->name);
}

static slot *find(const attach *a, const char *name)
{
    int lo = 0, hi = a->n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2, c = strcmp(a->slot[mid].w->name, name);
        if (c == 0) return &a->slot[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* False: nobody asks for it. */
static bool offer(attach *a, const np_stored *s)
{
    char name[NAME];
    slot *own = find(a, s->name);
    bool wanted = own != NULL;
    if (own) {
        own->stored = s;
        own->exact = true;
    }
    for (int i = 0; i < a->m->nnames; i++) {
        slot *to = rename_by(s->name, a->m->name_from[i], a->m->name_to[i], name) ? find(a, name) : NULL;
        if (!to || to == own) continue;
        wanted = true;
        if (to->exact) continue;
        if (to->stored && to->stored != s) {
            a->failed = true;
            np_error(a->cx, (np_loc){.file = a->c->tensors->path}, "%s and %s are both the model's weight %s",
                     to->stored->name, s->name, name);
        }
        to->stored = s;
    }
    return wanted;
}

/* ---- messages */

static void missing(attach *a, const np_weight *w)
{
    const np_tensors *f = a->c->tensors;
    const char *best = NULL;
    int least = (int)strlen(w->name) / 2 + 1;
    for (int i = 0; i < f->n && i < NEAREST_AMONG; i++) {
        int d = np_str_distance(w->name, f->t[i].name, least - 1);
        if (d < least) {
            least = d;
            best = f->t[i].name;
        }
    }
    a->failed = true;
    np_error(a->cx, w->loc, "weight %s is not in %s%s%s%s", w->name, f->path,
             best ? " (the nearest name there is " : "", best ? best : "", best ? ")" : "");
}

static void shape_text(np_text *out, const np_stored *s)
{
    np_text_add(out, "[");
    for (int i = 0; i < s->rank; i++) np_text_add(out, i ? ",%" PRId64 : "%" PRId64, s->dim[i]);
    np_text_add(out, "]");
}

static bool same_shape(const np_type *t, const np_stored *s)
{
    int i = 0, k = 0;
    for (;;) {
        while (i < t->rank && np_dim_is(t->dim[i], 1)) i++;
        while (k < s->rank && s->dim[k] == 1) k++;
        if (i == t->rank || k == s->rank) return i == t->rank && k == s->rank;
        if (!np_dim_is(t->dim[i++], s->dim[k++])) return false;
    }
}

static bool check(attach *a, const np_weight *w, const np_stored *s)
{
    np_text have = {0}, want = {0};
    bool ok = same_shape(w->type, s);
    if (!ok) {
        shape_text(&have, s);
        for (int i = 0; i < w->type->rank; i++) {
            np_text_add(&want, i ? "," : "");
            np_dim_text(&want, w->type->dim[i]);
        }
        np_error(a->cx, w->loc, "weight %s is [%s] in the model and %s in %s%s%s", w->name,
                 want.s ? want.s : "", have.s, a->c->tensors->path, s->name == w->name ? "" : " as ",
                 s->name == w->name ? "" : s->name);
    } else if (np_dtype_class(s->dtype) != np_dtype_class(w->type->dtype) ||
               (np_dtype_class(s->dtype) != 'F' && s->dtype != w->type->dtype)) {
        ok = false;
        np_error(a->cx, w->loc, "weight %s is %s in the model and %s in %s", w->name,
                 np_dtype_text(w->type->dtype), np_dtype_text(s->dtype), a->c->tensors->path);
    }
    a->failed |= !ok;
    np_text_free(&have);
    np_text_free(&want);
    return ok;
}

/* Exponent all ones: NaN or infinity. */
static bool finite_at(const np_stored *s, size_t i)
{
    const unsigned char *p = (const unsigned char *)s->data + i * (size_t)np_dtype_size(s->dtype);
    uint64_t b = 0;
    memcpy(&b, p, (size_t)np_dtype_size(s->dtype));
    uint64_t e = s->dtype == NP_F16    ? 0x7c00
                 : s->dtype == NP_BF16 ? 0x7f80
                 : s->dtype == NP_F32  ? 0x7f800000
                                       : 0x7ff0000000000000;
    return (b & e) != e;
}

static void warn_not_finite(attach *a, const np_weight *w, const np_stored *s)
{
    size_t n = s->bytes / (size_t)np_dtype_size(s->dtype), first = n, bad = 0;
    for (size_t i = 0; i < n; i++) {
        if (finite_at(s, i)) continue;
        if (bad++ == 0) first = i;
    }
    if (bad == 0) return;
    np_stored at = {.rank = s->rank};
    size_t rest = first;
    for (int i = s->rank - 1; i >= 0; i--) {
        at.dim[i] = (int64_t)(rest % (size_t)s->dim[i]);
        rest /= (size_t)s->dim[i];
    }
    np_text index = {0};
    shape_text(&index, &at);
    np_warn(a->cx, (np_loc){.file = a->c->tensors->path},
            "tensor %s (weight %s) holds %s at %s; %zu of its %zu numbers are not finite", s->name, w->name,
            np_str_fmt(a->cx, "%g", np_tensors_get(s, (int64_t)first)), index.s, bad, n);
    np_text_free(&index);
}

static void use(attach *a, np_weight *w, const np_stored *s)
{
    if (np_dtype_class(s->dtype) == 'F') warn_not_finite(a, w, s);
    w->stored = s->dtype;
    w->data = s->data;
    if (s->bytes && (uintptr_t)s->data % (size_t)np_dtype_size(s->dtype))
        w->data = np_arena_copy(&a->cx->perm, s->data, s->bytes); /* readers of weights expect alignment */
}

static void warn_unused(attach *a, int n, const np_str *first)
{
    np_text list = {0};
    for (int i = 0; i < n && i < LISTED; i++) np_text_add(&list, "%s%s", i ? ", " : "", first[i]);
    if (n > LISTED) np_text_add(&list, ", ..");
    np_warn(a->cx, (np_loc){.file = a->c->tensors->path}, "%d tensor%s not used by the model: %s", n,
            n == 1 ? " is" : "s are", list.s);
    np_text_free(&list);
}

np_status np_weights_attach(np_cx *cx, np_model *m, const np_checkpoint *c)
{
    attach a = {.cx = cx, .m = m, .c = c};
    int unused = 0;
    np_str first[LISTED];
    a.slot = np_arena_array(&cx->tmp, (size_t)m->mod->nweights, sizeof *a.slot);
    for (int i = 0; i < m->mod->nweights; i++)
        if (!m->mod->weight[i]->by) a.slot[a.n++].w = m->mod->weight[i];
    if (a.n) qsort(a.slot, (size_t)a.n, sizeof *a.slot, by_name);
    for (int i = 0; i < c->tensors->n; i++) {
        if (offer(&a, &c->tensors->t[i])) continue;
        if (unused < LISTED) first[unused] = c->tensors->t[i].name;
        unused++;
    }
    for (int i = 0; i < m->mod->nweights; i++) { /* in the order of the model, for the messages */
        np_weight *w = m->mod->weight[i];
        const slot *s = w->by ? NULL : find(&a, w->name);
        if (!s) continue;
        if (!s->stored)
            missing(&a, w);
        else if (check(&a, w, s->stored))
            use(&a, w, s->stored);
    }
    if (unused) warn_unused(&a, unused, first);
    return a.failed ? NP_FAIL : NP_OK;
}
