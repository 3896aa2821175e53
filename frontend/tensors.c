/* Safetensors files: eight bytes of header length, a JSON header that names
 * element type, shape and place of every tensor, then the data.
 *
 * Nothing in the header is believed before it is checked: its length against
 * the file, every product for overflow, every place against the file and
 * against its neighbours. After np_tensors_parse, each np_stored lies inside
 * the file, has exactly the bytes that its shape asks for, and shares none.
 * Like the format's own reader we refuse gaps, so that two readers never see
 * different contents. Data stays where it is in the file, maybe unaligned.
 *
 * The format is little-endian, and so is every machine that neap runs on. */
#include "frontend.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors.c reads little-endian data in place"
#endif

enum { HEADER_MAX = 100000000 /* the limit of the format's own reader */, NAME_MAX_BYTES = 1024 };

static const struct {
    const char *text;
    np_dtype dtype;
} dtypes[] = {{"F64", NP_F64}, {"F32", NP_F32}, {"F16", NP_F16}, {"BF16", NP_BF16}, {"I64", NP_I64},
              {"I32", NP_I32}, {"I8", NP_I8},   {"U8", NP_U8},   {"BOOL", NP_BOOL}};

typedef struct reader {
    np_cx *cx;
    np_tensors *f;
    np_loc loc;
    const unsigned char *data; /* behind the header */
    size_t bytes;
} reader;

/* A whole number that is a size: not negative, not a fraction. */
static bool size_from(const json_t *j, int64_t *out)
{
    if (!json_is_integer(j) || json_integer_value(j) < 0) return false;
    *out = (int64_t)json_integer_value(j);
    return true;
}

static bool read_dtype(reader *r, const char *name, const json_t *j, np_dtype *out)
{
    const char *text = json_string_value(j);
    for (size_t i = 0; text && i < NP_LEN(dtypes); i++) {
        if (strcmp(text, dtypes[i].text) == 0) {
            *out = dtypes[i].dtype;
            return true;
        }
    }
    if (text) {
        np_error(r->cx, r->loc,
                 "tensor %s: element type %s is not supported; "
                 "convert it to one of F64 F32 F16 BF16 I64 I32 I8 U8 BOOL",
                 name, text);
    } else {
        np_error(r->cx, r->loc, "tensor %s: no element type in the header (\"dtype\")", name);
    }
    return false;
}

/* Names are printed in messages and compared again and again. */
static bool check_name(reader *r, const char *name)
{
    size_t n = strlen(name);
    if (n > NAME_MAX_BYTES) {
        np_error(r->cx, r->loc, "the name of a tensor has %zu bytes; at most %d are allowed", n,
                 NAME_MAX_BYTES);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 127) {
            np_error(r->cx, r->loc, "the name of a tensor has a control character (byte %d) at %zu", name[i],
                     i);
            return false;
        }
    }
    return true;
}

/* Shape and bytes; false if either cannot be. */
static bool read_shape(reader *r, const json_t *j, np_stored *s)
{
    int64_t bytes = np_dtype_size(s->dtype);
    bool empty = false;
    if (!json_is_array(j)) {
        np_error(r->cx, r->loc, "tensor %s: no shape in the header (\"shape\")", s->name);
        return false;
    }
    if (json_array_size(j) > NP_RANK) {
        np_error(r->cx, r->loc, "tensor %s: %zu axes; at most %d are supported", s->name, json_array_size(j),
                 NP_RANK);
        return false;
    }
    s->rank = (int)json_array_size(j);
    for (int i = 0; i < s->rank; i++) {
        if (!size_from(json_array_get(j, (size_t)i), &s->dim[i])) {
            np_error(r->cx, r->loc, "tensor %s: axis %d of its shape is not a size", s->name, i);
            return false;
        }
        if (s->dim[i] == 0) {
            empty = true;
        } else if (__builtin_mul_overflow(bytes, s->dim[i], &bytes)) { /* of an empty one as well */
            np_error(r->cx, r->loc, "tensor %s: its shape asks for more than 2^63 bytes", s->name);
            return false;
        }
    }
    s->bytes = empty ? 0 : (size_t)bytes;
    return true;
}

static bool read_place(reader *r, const json_t *j, np_stored *s)
{
    int64_t begin, end;
    if (json_array_size(j) != 2 || !size_from(json_array_get(j, 0), &begin) ||
        !size_from(json_array_get(j, 1), &end) || end < begin) {
        np_error(r->cx, r->loc, "tensor %s: \"data_offsets\" must be [begin, end]", s->name);
        return false;
    }
    if ((uint64_t)end > r->bytes) {
        np_error(r->cx, r->loc,
                 "tensor %s: ends at byte %" PRId64 " of the data, which has %zu; is the file cut off?",
                 s->name, end, r->bytes);
        return false;
    }
    if ((uint64_t)(end - begin) != s->bytes) {
        np_error(r->cx, r->loc, "tensor %s: its shape asks for %zu bytes and the header gives it %" PRId64,
                 s->name, s->bytes, end - begin);
        return false;
    }
    s->data = r->data + begin;
    return true;
}

static bool read_tensor(reader *r, const char *name, const json_t *j)
{
    np_stored *s = &r->f->t[r->f->n];
    if (!check_name(r, name)) return false;
    s->name = np_str_new(r->cx, name);
    if (!json_is_object(j)) {
        np_error(r->cx, r->loc, "tensor %s: the header must hold an object for it", name);
        return false;
    }
    if (!read_dtype(r, name, json_object_get(j, "dtype"), &s->dtype) ||
        !read_shape(r, json_object_get(j, "shape"), s) ||
        !read_place(r, json_object_get(j, "data_offsets"), s))
        return false;
    r->f->n++;
    return true;
}

static bool read_meta(reader *r, json_t *j)
{
    const char *key;
    json_t *value;
    if (!json_is_object(j)) {
        np_error(r->cx, r->loc, "__metadata__ in the header must be an object of strings");
        return false;
    }
    r->f->meta_key = np_arena_array(&r->cx->perm, json_object_size(j), sizeof(np_str));
    r->f->meta_value = np_arena_array(&r->cx->perm, json_object_size(j), sizeof(np_str));
    json_object_foreach(j, key, value)
    {
        if (!json_is_string(value)) {
            np_error(r->cx, r->loc, "__metadata__ in the header: %s must be a string", key);
            return false;
        }
        r->f->meta_key[r->f->nmeta] = np_str_new(r->cx, key);
        r->f->meta_value[r->f->nmeta++] = np_str_new(r->cx, json_string_value(value));
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const np_stored *s = *(const np_stored *const *)a, *t = *(const np_stored *const *)b;
    if (s->data != t->data) return (const char *)s->data < (const char *)t->data ? -1 : 1;
    if (s->bytes != t->bytes) return s->bytes < t->bytes ? -1 : 1;
    return s < t ? -1 : s > t; /* two empty ones: as the header has them */
}

/* Side by side from the first byte of the data to the last. */
static bool check_places(reader *r)
{
    np_tensors *f = r->f;
    const np_stored **by = np_arena_array(&r->cx->tmp, (size_t)f->n, sizeof *by);
    const unsigned char *at = r->data;
    for (int i = 0; i < f->n; i++) by[i] = &f->t[i];
    if (f->n) qsort(by, (size_t)f->n, sizeof *by, by_place);
    for (int i = 0; i < f->n; i++) {
        const unsigned char *p = by[i]->data;
        if (p < at) {
            np_error(r->cx, r->loc, "tensors %s and %s share bytes", by[i - 1]->name, by[i]->name);
            return false;
        }
        if (p > at) {
            np_error(r->cx, r->loc, "%zu bytes before tensor %s belong to no tensor", (size_t)(p - at),
                     by[i]->name);
            return false;
        }
        at = p + by[i]->bytes;
    }
    if (at != r->data + r->bytes) {
        np_error(r->cx, r->loc, "%zu bytes behind the last tensor belong to no tensor",
                 (size_t)(r->data + r->bytes - at));
        return false;
    }
    return true;
}

static bool read_header(reader *r, json_t *header)
{
    const char *name;
    json_t *value;
    if (!json_is_object(header)) {
        np_error(r->cx, r->loc, "the header is not a JSON object");
        return false;
    }
    r->f->t = np_arena_array(&r->cx->perm, json_object_size(header), sizeof *r->f->t);
    json_object_foreach(header, name, value)
    {
        bool ok = strcmp(name, "__metadata__") == 0 ? read_meta(r, value) : read_tensor(r, name, value);
        if (!ok) return false;
    }
    return check_places(r);
}

np_tensors *np_tensors_parse(np_cx *cx, const char *path, const unsigned char *p, size_t n)
{
    reader r = {
        .cx = cx, .f = np_arena_alloc(&cx->perm, sizeof(np_tensors)), .loc = {.file = np_str_new(cx, path)}};
    uint64_t len = 0;
    json_error_t err;
    if (n >= 8) memcpy(&len, p, 8);
    if (n < 8 || len > n - 8) {
        np_error(cx, r.loc,
                 "not a whole safetensors file: %" PRIu64 " bytes of header expected, the file has %zu", len,
                 n);
        return NULL;
    }
    if (len > HEADER_MAX) {
        np_error(cx, r.loc, "the header has %" PRIu64 " bytes; at most %d are allowed", len, HEADER_MAX);
        return NULL;
    }
    json_t *header = json_loadb((const char *)p + 8, (size_t)len, JSON_REJECT_DUPLICATES, &err);
    if (!header) {
        np_error(cx, r.loc, "the header is not valid JSON: %s (byte %d of it)", err.text, err.position);
        return NULL;
    }
    r.f->path = r.loc.file;
    r.data = p + 8 + len;
    r.bytes = n - 8 - (size_t)len;
    bool ok = read_header(&r, header);
    json_decref(header);
    return ok ? r.f : NULL;
}

np_tensors *np_tensors_read(np_cx *cx, const char *path)
{
    size_t n;
    const unsigned char *p = np_file_read(cx, path, &n);
    return p ? np_tensors_parse(cx, path, p, n) : NULL;
}

const np_stored *np_tensors_find(const np_tensors *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->t[i].name, name) == 0) return &f->t[i];
    return NULL;
}

np_str np_tensors_meta(const np_tensors *f, const char *key)
{
    for (int i = 0; i < f->nmeta; i++)
        if (strcmp(f->meta_key[i], key) == 0) return f->meta_value[i];
    return NULL;
}

static double from_f16(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 31 ? (m ? (double)NAN : (double)INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h >> 15 ? -v : v;
}

static double from_bf16(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float v;
    memcpy(&v, &bits, 4);
    return (double)v;
}

double np_tensors_get(const np_stored *s, int64_t i)
{
    const unsigned char *p = (const unsigned char *)s->data + i * np_dtype_size(s->dtype);
    union {
        double f64;
        float f32;
        int64_t i64;
        int32_t i32;
        uint16_t u16;
        int8_t i8;
        uint8_t u8;
    } u;
    memcpy(&u, p, (size_t)np_dtype_size(s->dtype));
    switch (s->dtype) {
    case NP_F64: return u.f64;
    case NP_F32: return (double)u.f32;
    case NP_F16: return from_f16(u.u16);
    case NP_BF16: return from_bf16(u.u16);
    case NP_I64: return (double)u.i64;
    case NP_I32: return u.i32;
    case NP_I8: return u.i8;
    case NP_BOOL: return u.u8 != 0;
    default: return u.u8;
    }
}

np_tensor np_tensors_load(const np_stored *s, np_dtype as)
{
    np_tensor t = np_tensor_new(as, s->rank, s->dim);
    int64_t n = np_tensor_count(&t);
    for (int64_t i = 0; i < n; i++) {
        double v = np_tensors_get(s, i);
        t.data[i] = as == s->dtype ? v : np_round_to(as, v);
    }
    return t;
}
