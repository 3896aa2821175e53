/* Writes safetensors. Every value is rounded to the element type of its
 * tensor. Tensors with wide elements come first, so that with the header
 * padded to a multiple of 8 every tensor in the file is aligned to its element
 * size. Names go through the JSON library, which escapes them and refuses what
 * is not UTF-8. */
#include "frontend.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *dtype_name(np_dtype d)
{
    switch (d) {
    case NP_F64: return "F64";
    case NP_F32: return "F32";
    case NP_F16: return "F16";
    case NP_BF16: return "BF16";
    case NP_I64: return "I64";
    case NP_I32: return "I32";
    case NP_I8: return "I8";
    case NP_U8: return "U8";
    default: return "BOOL";
    }
}

/* v is a half float already. */
static uint16_t to_f16(double v)
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    double a = fabs(v);
    if (isnan(v)) return 0x7e00;
    if (a > 65504) return sign | 0x7c00;
    if (a < 0x1p-14) return (uint16_t)(sign | (uint16_t)(a * 0x1p24));
    int e;
    double m = frexp(a, &e); /* a = m * 2^e, m in [0.5, 1) */
    return (uint16_t)(sign | (e + 14) << 10 | ((int)(m * 2048) - 1024));
}

static uint16_t to_bf16(double v)
{
    float f = (float)v;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return isnan(v) ? 0x7fc0 : (uint16_t)(bits >> 16);
}

/* Whole numbers saturate; NaN is 0. */
static int64_t to_int(double v, double lo, double hi)
{
    if (isnan(v)) return 0;
    if (v >= hi) return hi >= 0x1p63 ? INT64_MAX : (int64_t)hi;
    return v <= lo ? (int64_t)lo : (int64_t)v;
}

static void put_element(unsigned char *p, np_dtype d, double v)
{
    float f32;
    uint16_t u16;
    int64_t i;
    int32_t i32;
    v = np_round_to(d, v);
    switch (d) {
    case NP_F64: memcpy(p, &v, 8); break;
    case NP_F32:
        f32 = (float)v;
        memcpy(p, &f32, 4);
        break;
    case NP_F16:
    case NP_BF16:
        u16 = d == NP_F16 ? to_f16(v) : to_bf16(v);
        memcpy(p, &u16, 2);
        break;
    case NP_I64:
        i = to_int(v, -0x1p63, 0x1p63);
        memcpy(p, &i, 8);
        break;
    case NP_I32:
        i32 = (int32_t)to_int(v, INT32_MIN, INT32_MAX);
        memcpy(p, &i32, 4);
        break;
    case NP_I8: *p = (unsigned char)(int8_t)to_int(v, INT8_MIN, INT8_MAX); break;
    case NP_U8: *p = (unsigned char)to_int(v, 0, UINT8_MAX); break;
    default: *p = v != 0; break;
    }
}

static json_t *shape_json(const np_tensor *t)
{
    json_t *a = json_array();
    for (int i = 0; i < t->rank; i++) json_array_append_new(a, json_integer(t->dim[i]));
    return a;
}

/* Adds header and data of every tensor whose elements have `size` bytes. */
static bool add_size(json_t *header, np_text *data, int size, int n, const np_str *name, const np_tensor *t,
                     int *bad)
{
    for (int i = 0; i < n; i++) {
        if (np_dtype_size(t[i].dtype) != size) continue;
        size_t begin = data->n;
        int64_t count = np_tensor_count(&t[i]);
        unsigned char element[8];
        for (int64_t k = 0; k < count; k++) {
            put_element(element, t[i].dtype, t[i].data[k]);
            np_text_put(data, (const char *)element, (size_t)size);
        }
        *bad = i;
        json_t *entry = json_pack("{s:s, s:o, s:[I,I]}", "dtype", dtype_name(t[i].dtype), "shape",
                                  shape_json(&t[i]), "data_offsets", (json_int_t)begin, (json_int_t)data->n);
        if (json_object_get(header, name[i])) {
            json_decref(entry);
            return false;
        }
        if (json_object_set_new(header, name[i], entry) != 0) return false; /* takes entry in any case */
    }
    return true;
}

np_status np_tensors_write(np_cx *cx, const char *path, int n, const np_str *name, const np_tensor *t)
{
    static const int sizes[] = {8, 4, 2, 1};
    json_t *header = json_object();
    np_text data = {0}, out = {0};
    np_status status = NP_FAIL;
    int bad = -1;
    bool ok = header != NULL;
    for (size_t k = 0; ok && k < NP_LEN(sizes); k++) ok = add_size(header, &data, sizes[k], n, name, t, &bad);
    char *text = ok ? json_dumps(header, JSON_COMPACT) : NULL;
    if (!text) {
        np_error(cx, (np_loc){.file = np_str_new(cx, path)},
                 "cannot write tensor %s: the name is not UTF-8 or another tensor has it",
                 bad < 0 ? "?" : name[bad]);
    } else {
        size_t len = strlen(text), padded = (len + 7) & ~(size_t)7;
        uint64_t le = padded;
        np_text_put(&out, (const char *)&le, 8);
        np_text_put(&out, text, len);
        np_text_put(&out, "       ", padded - len);
        if (data.n) np_text_put(&out, data.s, data.n);
        status = np_file_write(cx, path, out.s, out.n);
    }
    free(text);
    json_decref(header);
    np_text_free(&data);
    np_text_free(&out);
    return status;
}
