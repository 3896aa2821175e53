/* Safetensors in and out. Good files are built here byte by byte, hostile ones
 * from a table, and every prefix and every changed byte of a small file. */
#include "doors.h"

#include <inttypes.h>
#include <math.h>

typedef struct bytes {
    unsigned char *p;
    size_t n;
} bytes;

/* The file with this header and `n` bytes 0, 1, 2, .. of data. */
static bytes file_of(const char *header, size_t n)
{
    uint64_t len = strlen(header);
    bytes b = {malloc(8 + len + n), 8 + len + n};
    memcpy(b.p, &len, 8);
    memcpy(b.p + 8, header, len);
    for (size_t i = 0; i < n; i++) b.p[8 + len + i] = (unsigned char)i;
    return b;
}

static np_tensors *parse(np_cx *cx, bytes b)
{
    return np_tensors_parse(cx, "t.safetensors", b.p, b.n);
}

#define T(name, dtype, shape, begin, end)                                                                    \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static const char good[] =
    "{\"__metadata__\":{\"op\":\"gla\",\"x\":\"\"}," T("a", "F32", "[2,3]", 0, 24) "," T(
        "b", "U8", "[5]", 24, 29) "," T("s", "I8", "[]", 29, 30) "," T("e", "F64", "[0,7]", 30, 30) "}";

START_TEST(test_good)
{
    np_cx *cx = np_cx_new();
    bytes b = file_of(good, 30);
    np_tensors *f = parse(cx, b);
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(f->n, 4);
    ck_assert_str_eq(f->path, "t.safetensors");
    const np_stored *a = np_tensors_find(f, "a"), *e = np_tensors_find(f, "e"), *s = np_tensors_find(f, "s");
    ck_assert(a && e && s && !np_tensors_find(f, "c") && !np_tensors_find(f, "__metadata__"));
    ck_assert(a->dtype == NP_F32 && a->rank == 2 && a->dim[0] == 2 && a->dim[1] == 3 && a->bytes == 24);
    ck_assert(e->rank == 2 && e->dim[0] == 0 && e->dim[1] == 7 && e->bytes == 0);
    ck_assert(s->rank == 0 && s->bytes == 1);
    ck_assert(np_tensors_get(s, 0) == 29);
    ck_assert_str_eq(np_tensors_meta(f, "op"), "gla");
    ck_assert_str_eq(np_tensors_meta(f, "x"), "");
    ck_assert_ptr_null(np_tensors_meta(f, "y"));
    np_tensor t = np_tensors_load(np_tensors_find(f, "b"), NP_F32);
    ck_assert(t.dtype == NP_F32 && t.rank == 1 && t.dim[0] == 5 && t.data[4] == 28);
    np_tensor_free(&t);
    t = np_tensors_load(e, NP_F64);
    ck_assert_int_eq(np_tensor_count(&t), 0);
    np_tensor_free(&t);
    ck_assert_int_eq(cx->ndiags, 0);
    free(b.p);
    np_cx_free(cx);
}
END_TEST

/* One element of each type, at odd addresses. */
START_TEST(test_types)
{
    static const struct {
        const char *dtype;
        unsigned char bits[8];
        int size;
        double value;
    } row[] = {{"F64", {0, 0, 0, 0, 0, 0, 0xf8, 0xbf}, 8, -1.5},
               {"F32", {0, 0, 0xc0, 0x3f}, 4, 1.5},
               {"F16", {0, 0x3c}, 2, 1},
               {"F16", {0xff, 0x7b}, 2, 65504},
               {"F16", {1, 0x80}, 2, -0x1p-24},
               {"F16", {0xff, 0x03}, 2, 1023 * 0x1p-24},
               {"F16", {0, 4}, 2, 0x1p-14},
               {"F16", {0, 0xfc}, 2, -INFINITY},
               {"BF16", {0x80, 0x3f}, 2, 1},
               {"BF16", {0xc0, 0xc0}, 2, -6},
               {"I64", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, -1},
               {"I64", {0, 0, 0, 0, 0, 1}, 8, 0x1p40},
               {"I32", {0, 0, 0, 0x80}, 4, -0x1p31},
               {"I8", {0x80}, 1, -128},
               {"U8", {0x80}, 1, 128},
               {"BOOL", {1}, 1, 1},
               {"BOOL", {7}, 1, 1}};
    for (size_t i = 0; i < NP_LEN(row); i++) {
        np_cx *cx = np_cx_new();
        char header[256];
        snprintf(header, sizeof header,
                 "{\"p\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                 "\"x\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[1,%d]}}",
                 row[i].dtype, 1 + row[i].size);
        bytes b = file_of(header, 1 + (size_t)row[i].size);
        memcpy(b.p + b.n - row[i].size, row[i].bits, (size_t)row[i].size);
        np_tensors *f = parse(cx, b);
        ck_assert_ptr_nonnull(f);
        ck_assert_double_eq(np_tensors_get(np_tensors_find(f, "x"), 0), row[i].value);
        free(b.p);
        np_cx_free(cx);
    }
}
END_TEST

/* Half floats from their definition: 10 bits of mantissa, 5 of exponent. */
START_TEST(test_half_all)
{
    uint16_t bits;
    np_stored s = {.dtype = NP_F16, .data = &bits};
    double last = -1;
    for (int i = 0; i < 0x7c00; i++) {
        bits = (uint16_t)i;
        int e = i / 1024, m = i % 1024;
        double want = e ? (1 + m / 1024.0) * pow(2, e - 15) : m / 1024.0 * pow(2, -14),
               got = np_tensors_get(&s, 0);
        ck_assert(got == want && got > last);
        last = got;
        bits |= 0x8000;
        ck_assert(np_tensors_get(&s, 0) == -want);
    }
    for (int i = 0x7c01; i < 0x8000; i++) {
        bits = (uint16_t)i;
        ck_assert(isnan(np_tensors_get(&s, 0)));
    }
}
END_TEST

static const struct {
    const char *header;
    size_t n; /* bytes of data */
    const char *error;
} hostile[] = {
    {"", 0, "not valid JSON"},
    {"{", 0, "not valid JSON"},
    {"[]", 0, "not a JSON object"},
    {"7", 0, "not valid JSON"},
    {"{}x", 0, "not valid JSON"},
    {"{}", 1, "1 bytes behind the last tensor"},
    {"{\"a\":1}", 0, "tensor a: the header must hold an object"},
    {"{\"__metadata__\":[]}", 0, "__metadata__ in the header must be an object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "k must be a string"},
    {"{\"a\":{}}", 0, "tensor a: no element type"},
    {"{\"a\":{\"dtype\":3}}", 0, "tensor a: no element type"},
    {"{" T("a", "F8_E4M3", "[1]", 0, 1) "}", 1, "tensor a: element type F8_E4M3 is not supported"},
    {"{" T("a", "f32", "[1]", 0, 4) "}", 4, "tensor a: element type f32"},
    {"{\"a\":{\"dtype\":\"F32\"}}", 0, "tensor a: no shape"},
    {"{" T("a", "F32", "7", 0, 4) "}", 4, "tensor a: no shape"},
    {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "tensor a: 9 axes; at most 8"},
    {"{" T("a", "F32", "[-1]", 0, 4) "}", 4, "tensor a: axis 0 of its shape is not a size"},
    {"{" T("a", "F32", "[1,1.0]", 0, 4) "}", 4, "tensor a: axis 1 of its shape is not a size"},
    {"{" T("a", "F32", "[\"1\"]", 0, 4) "}", 4, "tensor a: axis 0"},
    {"{" T("a", "F32", "[1e99]", 0, 4) "}", 4, "tensor a: axis 0"},
    {"{" T("a", "F32", "[99999999999999999999]", 0, 4) "}", 4, "not valid JSON"},
    {"{" T("a", "F32", "[1152921504606846976,4]", 0, 0) "}", 0,
     "tensor a: its shape asks for more than 2^63 bytes"},
    {"{" T("a", "U8", "[4294967296,4294967296]", 0, 0) "}", 0, "more than 2^63 bytes"},
    {"{" T("a", "U8", "[0,4294967296,4294967296]", 0, 0) "}", 0, "more than 2^63 bytes"},
    {"{" T("a", "F32", "[1152921504606846976]", 0, 4611686018427387904) "}", 4, "the data, which has 4"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor a: \"data_offsets\" must be"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "tensor a: \"data_offsets\""},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "tensor a: \"data_offsets\""},
    {"{" T("a", "F32", "[1]", -4, 0) "}", 4, "tensor a: \"data_offsets\""},
    {"{" T("a", "F32", "[1]", 4, 0) "}", 4, "tensor a: \"data_offsets\""},
    {"{" T("a", "F32", "[1]", 0, 4) "}", 3, "tensor a: ends at byte 4 of the data, which has 3"},
    {"{" T("a", "F32", "[1]", 0, 3) "}", 3, "tensor a: its shape asks for 4 bytes and the header gives it 3"},
    {"{" T("a", "F32", "[]", 0, 0) "}", 0, "tensor a: its shape asks for 4 bytes and the header gives it 0"},
    {"{" T("a", "U8", "[2]", 0, 2) "," T("a", "U8", "[2]", 2, 4) "}", 4, "duplicate"},
    {"{" T("a", "U8", "[2]", 0, 2) "," T("b", "U8", "[2]", 1, 3) "}", 3, "tensors a and b share bytes"},
    {"{" T("a", "U8", "[2]", 0, 2) "," T("b", "U8", "[2]", 0, 2) "}", 2, "tensors a and b share bytes"},
    {"{" T("b", "U8", "[2]", 3, 5) "," T("a", "U8", "[2]", 0, 2) "}", 5,
     "1 bytes before tensor b belong to no tensor"},
    {"{" T("a", "U8", "[2]", 0, 2) "}", 9, "7 bytes behind the last tensor belong to no tensor"},
    {"{" T("a\\u0000b", "U8", "[2]", 0, 2) "}", 2, "not valid JSON"},
    {"{" T("a\\u001b[31m", "U8", "[2]", 0, 2) "}", 2, "control character"},
    {"{" T("a\xff", "U8", "[2]", 0, 2) "}", 2, "not valid JSON"},
};

START_TEST(test_hostile)
{
    for (size_t i = 0; i < NP_LEN(hostile); i++) {
        np_cx *cx = np_cx_new();
        bytes b = file_of(hostile[i].header, hostile[i].n);
        ck_assert_msg(!parse(cx, b), "accepted: %s", hostile[i].header);
        expect_error(cx, hostile[i].error);
        ck_assert_str_eq(cx->diag[0].loc.file, "t.safetensors");
        free(b.p);
        np_cx_free(cx);
    }
}
END_TEST

START_TEST(test_header_length)
{
    static const uint64_t lens[] = {1, 1000, 1u << 31, (uint64_t)1 << 60, UINT64_MAX - 7, UINT64_MAX};
    for (size_t i = 0; i < NP_LEN(lens); i++) {
        np_cx *cx = np_cx_new();
        bytes b = file_of("{}", 0);
        memcpy(b.p, &lens[i], 8);
        ck_assert_ptr_null(parse(cx, b));
        expect_error(cx, lens[i] == 1 ? "not valid JSON" : "not a whole safetensors file");
        free(b.p);
        np_cx_free(cx);
    }
}
END_TEST

START_TEST(test_deep_json)
{
    np_cx *cx = np_cx_new();
    char *text = malloc(100001);
    memset(text, '[', 100000);
    text[100000] = 0;
    bytes b = file_of(text, 0);
    ck_assert_ptr_null(parse(cx, b));
    expect_error(cx, "not valid JSON");
    free(b.p);
    free(text);
    np_cx_free(cx);
}
END_TEST

START_TEST(test_long_name)
{
    np_cx *cx = np_cx_new();
    char *header = calloc(1, 3000);
    memcpy(header, "{\"", 2);
    memset(header + 2, 'n', 2000);
    strcat(header, "\":{}}");
    bytes b = file_of(header, 0);
    ck_assert_ptr_null(parse(cx, b));
    expect_error(cx, "the name of a tensor has 2000 bytes");
    free(b.p);
    free(header);
    np_cx_free(cx);
}
END_TEST

START_TEST(test_truncated_everywhere)
{
    bytes b = file_of(good, 30);
    for (size_t n = 0; n < b.n; n++) {
        np_cx *cx = np_cx_new();
        unsigned char *p = tight(b.p, n);
        ck_assert_ptr_null(np_tensors_parse(cx, "t", p, n));
        expect_error(cx, n < b.n - 30 ? "not a whole safetensors file" : "is the file cut off?");
        free(p);
        np_cx_free(cx);
    }
    free(b.p);
}
END_TEST

/* What is accepted must be what the header of np_stored promises. */
static void check_promise(const np_tensors *f, bytes b)
{
    for (int i = 0; i < f->n; i++) {
        const np_stored *s = &f->t[i];
        size_t size = (size_t)np_dtype_size(s->dtype);
        for (int k = 0; k < s->rank; k++) size *= (size_t)s->dim[k];
        ck_assert_uint_eq(s->bytes, size);
        const unsigned char *p = s->data;
        ck_assert(p >= b.p + 8 && p + size <= b.p + b.n);
        np_tensor t = np_tensors_load(s, NP_F64);
        np_tensor_free(&t);
    }
}

START_TEST(test_every_byte_changed)
{
    static const unsigned char values[] = {0, '"', '0', '9', '-', '}', ']', ',', 0xff};
    bytes b = file_of(good, 30);
    size_t header = b.n - 30;
    for (size_t at = 0; at < header; at++) {
        for (size_t k = 0; k < NP_LEN(values); k++) {
            np_cx *cx = np_cx_new();
            unsigned char *p = tight(b.p, b.n);
            p[at] = values[k];
            np_tensors *f = np_tensors_parse(cx, "t", p, b.n);
            ck_assert_int_eq(f == NULL, cx->nerrors == 1);
            if (f) check_promise(f, (bytes){p, b.n});
            free(p);
            np_cx_free(cx);
        }
    }
    free(b.p);
}
END_TEST

/* ---- real files */

START_TEST(test_default_model)
{
    np_cx *cx = np_cx_new();
    np_tensors *f = np_tensors_read(cx, NP_SOURCE_DIR "/models/gau/model.safetensors");
    ck_assert_ptr_nonnull(f);
    int64_t parameters = 0;
    for (int i = 0; i < f->n; i++) parameters += (int64_t)f->t[i].bytes / 2;
    ck_assert_int_eq(parameters, 569856); /* its README */
    const np_stored *s = np_tensors_find(f, "layers.4.conv.weight");
    ck_assert(s && s->dtype == NP_F16 && s->rank == 2 && s->dim[0] == 64 && s->dim[1] == 4);
    np_cx_free(cx);
}
END_TEST

/* The mixers' files hold each output twice: F64, and rounded once to F32. */
START_TEST(test_rounding_of_data)
{
    np_cx *cx = np_cx_new();
    np_tensors *f = np_tensors_read(cx, NP_SOURCE_DIR "/tests/data/mixers/gla-hard.safetensors");
    ck_assert_ptr_nonnull(f);
    ck_assert_str_eq(np_tensors_meta(f, "op"), "gla");
    np_tensor a = np_tensors_load(np_tensors_find(f, "o.f64"), NP_F32);
    np_tensor b = np_tensors_load(np_tensors_find(f, "o"), NP_F32);
    ck_assert_int_eq(a.rank, 4);
    ck_assert_int_eq(np_tensor_count(&a), np_tensor_count(&b));
    for (int64_t i = 0; i < np_tensor_count(&a); i++) ck_assert(a.data[i] == b.data[i]);
    np_tensor_free(&a);
    np_tensor_free(&b);
    np_cx_free(cx);
}
END_TEST

/* ---- writing */

static char dir[256], path[512];

static void setup(void)
{
    new_folder(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/t.safetensors", dir);
}

static void teardown(void)
{
    remove(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(test_write_read)
{
    static const double v[] = {0, -0.0, 1, -2, 100, 0.5, 65504, 0x1p-24, -1e-30, 1e30, INFINITY, -INFINITY};
    static const np_dtype all[] = {NP_BOOL, NP_U8, NP_F64, NP_I8, NP_F16, NP_I32, NP_BF16, NP_F32, NP_I64};
    enum { N = NP_LEN(all), V = NP_LEN(v) };
    np_cx *cx = np_cx_new();
    np_tensor t[N];
    np_str name[N];
    for (int i = 0; i < (int)N; i++) {
        t[i] = np_tensor_new(all[i], 3, (int64_t[]){2, V / 2, 1});
        int floats = np_dtype_class(all[i]) == 'F';
        for (int k = 0; k < (int)V; k++)
            t[i].data[k] = all[i] == NP_BOOL ? k % 3 == 0
                           : floats          ? np_round_to(all[i], v[k])
                                             : k * 10 - (all[i] != NP_U8) * 40;
        name[i] = np_str_fmt(cx, "t \"%d\" \\ \xc3\xa4", i);
    }
    ck_assert_int_eq(np_tensors_write(cx, path, N, name, t), NP_OK);
    np_tensors *f = np_tensors_read(cx, path);
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(f->n, N);
    for (int i = 0; i < (int)N; i++) {
        const np_stored *s = np_tensors_find(f, name[i]);
        ck_assert(s && s->dtype == all[i] && s->rank == 3 && s->dim[1] == V / 2);
        ck_assert_uint_eq((uintptr_t)s->data % (size_t)np_dtype_size(all[i]), 0);
        for (int k = 0; k < (int)V; k++) {
            double got = np_tensors_get(s, k);
            ck_assert(got == t[i].data[k] && signbit(got) == signbit(t[i].data[k]));
        }
        np_tensor_free(&t[i]);
    }
    ck_assert_int_eq(cx->ndiags, 0);
    np_cx_free(cx);
}
END_TEST

/* Numbers that the type does not have. 1 + 2^-11 lies between two halves: to even. */
START_TEST(test_write_rounds)
{
    static const struct {
        np_dtype d;
        double v, want;
    } row[] = {{NP_F16, 1 + 0x1p-11, 1}, {NP_F16, 1 + 3 * 0x1p-11, 1 + 0x1p-9},
               {NP_F16, 65519, 65504},   {NP_F16, 65520, INFINITY},
               {NP_F16, 0x1p-25, 0},     {NP_F16, 1.5 * 0x1p-24, 0x1p-23},
               {NP_BF16, 1 + 0x1p-8, 1}, {NP_F32, 1 + 0x1p-24, 1},
               {NP_F32, 1e300, INFINITY}};
    for (size_t i = 0; i < NP_LEN(row); i++) {
        np_cx *cx = np_cx_new();
        np_tensor t = np_tensor_new(row[i].d, 0, NULL);
        np_str name = np_str_new(cx, "x");
        t.data[0] = row[i].v;
        ck_assert_int_eq(np_tensors_write(cx, path, 1, &name, &t), NP_OK);
        np_tensors *f = np_tensors_read(cx, path);
        ck_assert_ptr_nonnull(f);
        ck_assert_double_eq(np_tensors_get(&f->t[0], 0), row[i].want);
        np_tensor_free(&t);
        np_cx_free(cx);
    }
}
END_TEST

START_TEST(test_write_none)
{
    np_cx *cx = np_cx_new();
    ck_assert_int_eq(np_tensors_write(cx, path, 0, NULL, NULL), NP_OK);
    np_tensors *f = np_tensors_read(cx, path);
    ck_assert(f && f->n == 0);
    np_cx_free(cx);
}
END_TEST

START_TEST(test_write_refused)
{
    static const char *const names[][2] = {{"same", "same"}, {"ok", "not utf-8 \xff"}};
    for (size_t i = 0; i < NP_LEN(names); i++) {
        np_cx *cx = np_cx_new();
        np_tensor t[2] = {np_tensor_new(NP_F32, 0, NULL), np_tensor_new(NP_F32, 0, NULL)};
        np_str name[2] = {np_str_new(cx, names[i][0]), np_str_new(cx, names[i][1])};
        ck_assert_int_eq(np_tensors_write(cx, path, 2, name, t), NP_FAIL);
        expect_error(cx, "the name is not UTF-8 or another tensor has it");
        ck_assert_int_ne(access(path, F_OK), 0);
        np_tensor_free(&t[0]);
        np_tensor_free(&t[1]);
        np_cx_free(cx);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tensors");
    TCase *r = tcase_create("read"), *w = tcase_create("write");
    tcase_set_timeout(r, 60);
    tcase_add_test(r, test_good);
    tcase_add_test(r, test_types);
    tcase_add_test(r, test_half_all);
    tcase_add_test(r, test_hostile);
    tcase_add_test(r, test_header_length);
    tcase_add_test(r, test_deep_json);
    tcase_add_test(r, test_long_name);
    tcase_add_test(r, test_truncated_everywhere);
    tcase_add_test(r, test_every_byte_changed);
    tcase_add_test(r, test_default_model);
    tcase_add_test(r, test_rounding_of_data);
    tcase_add_checked_fixture(w, setup, teardown);
    tcase_add_test(w, test_write_read);
    tcase_add_test(w, test_write_rounds);
    tcase_add_test(w, test_write_none);
    tcase_add_test(w, test_write_refused);
    suite_add_tcase(s, r);
    suite_add_tcase(s, w);
    return run_suite(s);
}
