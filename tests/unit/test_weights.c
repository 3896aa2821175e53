/* Weights of a checkpoint meet the weights of a model: by name, through the
 * model's patterns, with every mistake reported. */
#include "doors.h"

#include <math.h>

static np_cx *cx;
static np_model m;
static np_checkpoint c;
static np_tensors f;
static np_stored stored[16];
static np_str from[8], to[8];

static void setup(void)
{
    cx = np_cx_new();
    m = (np_model){.mod = np_mod_new(cx, "m"), .name_from = from, .name_to = to};
    f = (np_tensors){.path = np_str_new(cx, "w.safetensors"), .t = stored};
    c = (np_checkpoint){.path = f.path, .tensors = &f};
}

static void teardown(void)
{
    np_mod_free(m.mod);
    np_cx_free(cx);
}

static void again(void)
{
    teardown();
    setup();
}

/* rows 0: a vector */
static void declare(const char *name, int64_t rows, int64_t cols)
{
    const np_dim *dim[2] = {np_dim_const(cx, rows ? rows : cols), np_dim_const(cx, cols)};
    np_loc loc = {.file = np_str_new(cx, "m.lua"), .line = 7};
    ck_assert_ptr_nonnull(np_mod_declare(m.mod, loc, name, np_type_tensor(cx, NP_F32, rows ? 2 : 1, dim)));
}

static void store_bytes(const char *name, np_dtype d, int64_t rows, int64_t cols, const void *data)
{
    np_stored *s = &stored[f.n++];
    *s = (np_stored){
        .name = np_str_new(cx, name), .dtype = d, .rank = rows ? 2 : 1, .dim = {rows ? rows : cols, cols}};
    s->bytes = (size_t)((rows ? rows : 1) * cols * np_dtype_size(d));
    s->data = data;
}

static const float numbers[64] = {1, 2, 3, 4, 5, 6, 7, 8};

static void store(const char *name, int64_t rows, int64_t cols)
{
    store_bytes(name, NP_F32, rows, cols, numbers);
}

static void name(const char *a, const char *b)
{
    from[m.nnames] = np_str_new(cx, a);
    to[m.nnames++] = np_str_new(cx, b);
}

static np_status attach(void)
{
    return np_weights_attach(cx, &m, &c);
}

static void expect_ok(void)
{
    np_status status = attach();
    if (cx->ndiags) ck_abort_msg("unexpected: %s", cx->diag[0].text);
    ck_assert_int_eq(status, NP_OK);
}

START_TEST(test_exact)
{
    declare("a", 2, 3);
    declare("b", 0, 4);
    store("b", 0, 4);
    store("a", 2, 3);
    expect_ok();
    np_weight *w = np_mod_weight(m.mod, "a");
    ck_assert(w->data == numbers && w->stored == NP_F32);
    ck_assert_ptr_nonnull(np_mod_weight(m.mod, "b")->data);
}
END_TEST

START_TEST(test_stored_types)
{
    static const uint16_t half[2] = {0x3c00, 0x4000};
    static const double wide[2] = {1, 2};
    declare("h", 0, 2);
    declare("b", 0, 2);
    declare("d", 0, 2);
    store_bytes("h", NP_F16, 0, 2, half);
    store_bytes("b", NP_BF16, 0, 2, half);
    store_bytes("d", NP_F64, 0, 2, wide);
    expect_ok();
    ck_assert(np_mod_weight(m.mod, "h")->stored == NP_F16);
    ck_assert(np_mod_weight(m.mod, "b")->stored == NP_BF16);
    ck_assert(np_mod_weight(m.mod, "d")->stored == NP_F64);
    ck_assert(np_mod_weight(m.mod, "d")->data == wide);
}
END_TEST

/* Later stages read weights through pointers of their type. */
START_TEST(test_unaligned)
{
    unsigned char *p = malloc(4 * sizeof(float) + 1);
    memcpy(p + 1, numbers, 4 * sizeof(float));
    declare("a", 0, 4);
    store_bytes("a", NP_F32, 0, 4, p + 1);
    expect_ok();
    const np_weight *w = np_mod_weight(m.mod, "a");
    ck_assert_uint_eq((uintptr_t)w->data % sizeof(float), 0);
    ck_assert_mem_eq(w->data, numbers, 4 * sizeof(float));
    free(p);
}
END_TEST

START_TEST(test_patterns)
{
    name("model.layers.#.mixer.u_proj.weight", "layers.#.u.weight");
    name("model.embed", "embed");
    name("h.#.e.#.w", "b.#.x.#");
    declare("embed", 2, 2);
    declare("layers.0.u.weight", 0, 3);
    declare("layers.11.u.weight", 0, 4);
    declare("b.3.x.27", 0, 5);
    store("model.embed", 2, 2);
    store("model.layers.0.mixer.u_proj.weight", 0, 3);
    store("model.layers.11.mixer.u_proj.weight", 0, 4);
    store("h.3.e.27.w", 0, 5);
    expect_ok();
    for (int i = 0; i < m.mod->nweights; i++) ck_assert_ptr_nonnull(m.mod->weight[i]->data);
}
END_TEST

/* `#` is one whole number: not nothing, not letters, not two numbers. */
START_TEST(test_patterns_that_do_not_match)
{
    static const char *const names[] = {
        "l..w", "l.x.w", "l.1.2.w", "l.1.wx", "x.l.1.w", "l.1", "l.1.", "l.-1.w", "l.99999999999999999999.w"};
    for (size_t i = 0; i < NP_LEN(names); i++) {
        again();
        name("l.#.w", "m.#");
        declare("m.1", 0, 4);
        store(names[i], 0, 4);
        ck_assert_int_eq(attach(), NP_FAIL);
        expect_error(cx, "weight m.1 is not in w.safetensors");
        expect_said(cx, NP_WARNING, "1 tensor is not used by the model");
    }
}
END_TEST

START_TEST(test_exact_wins)
{
    static const float other[4] = {9, 9, 9, 9};
    for (int order = 0; order < 2; order++) {
        again();
        name("old", "a");
        declare("a", 0, 4);
        if (order) store("a", 0, 4);
        store_bytes("old", NP_F32, 0, 4, other);
        if (!order) store("a", 0, 4);
        expect_ok();
        ck_assert(np_mod_weight(m.mod, "a")->data == numbers);
    }
}
END_TEST

START_TEST(test_two_for_one)
{
    name("x", "a");
    name("y", "a");
    declare("a", 0, 4);
    store("x", 0, 4);
    store("y", 0, 4);
    ck_assert_int_eq(attach(), NP_FAIL);
    expect_error(cx, "x and y are both the model's weight a");
}
END_TEST

START_TEST(test_missing)
{
    declare("layers.0.u.weight", 2, 2);
    declare("layers.0.norm.weight", 0, 2);
    declare("zzz", 0, 2);
    store("layers.0.u_weight", 2, 2);
    ck_assert_int_eq(attach(), NP_FAIL);
    ck_assert_int_eq(cx->nerrors, 3);
    expect_said(
        cx, NP_ERROR,
        "weight layers.0.u.weight is not in w.safetensors (the nearest name there is layers.0.u_weight)");
    expect_said(cx, NP_ERROR, "weight zzz is not in w.safetensors");
    ck_assert(!said(cx, NP_ERROR, "zzz is not in w.safetensors ("));
    ck_assert_str_eq(cx->diag[0].loc.file, "m.lua");
    ck_assert_int_eq(cx->diag[0].loc.line, 7);
    expect_said(cx, NP_WARNING, "1 tensor is not used by the model: layers.0.u_weight");
}
END_TEST

START_TEST(test_shapes)
{
    name("p.#", "c.#");
    declare("a", 2, 3);
    declare("b", 0, 4);
    declare("c.0", 1, 2);
    declare("ok", 0, 1);
    declare("row", 1, 4);
    declare("column", 0, 4);
    store("a", 3, 2);
    store("b", 5, 1);
    store("p.0", 0, 3);
    store("ok", 0, 1);
    store("row", 4, 1); /* axes of one element change no place */
    store("column", 4, 1);
    ck_assert_int_eq(attach(), NP_FAIL);
    ck_assert_int_eq(cx->nerrors, 3);
    expect_said(cx, NP_ERROR, "weight a is [2,3] in the model and [3,2] in w.safetensors");
    expect_said(cx, NP_ERROR, "weight b is [4] in the model and [5,1] in w.safetensors");
    expect_said(cx, NP_ERROR, "weight c.0 is [1,2] in the model and [3] in w.safetensors as p.0");
    ck_assert_ptr_null(np_mod_weight(m.mod, "a")->data);
    ck_assert_ptr_nonnull(np_mod_weight(m.mod, "ok")->data);
    ck_assert_ptr_nonnull(np_mod_weight(m.mod, "row")->data);
    ck_assert_ptr_nonnull(np_mod_weight(m.mod, "column")->data);
}
END_TEST

START_TEST(test_types)
{
    static const int32_t ints[2] = {1, 2};
    declare("a", 0, 2);
    store_bytes("a", NP_I32, 0, 2, ints);
    ck_assert_int_eq(attach(), NP_FAIL);
    expect_error(cx, "weight a is f32 in the model and i32 in w.safetensors");
}
END_TEST

START_TEST(test_unused)
{
    static const char *const names[] = {"u", "v", "w", "x", "y", "z"};
    declare("a", 0, 2);
    store("a", 0, 2);
    for (size_t i = 0; i < NP_LEN(names); i++) store(names[i], 0, 2);
    ck_assert_int_eq(attach(), NP_OK);
    ck_assert_int_eq(cx->ndiags, 1);
    expect_said(cx, NP_WARNING, "6 tensors are not used by the model: u, v, w, x, ..");
}
END_TEST

START_TEST(test_not_finite)
{
    static const uint16_t half[6] = {0, 0x7bff, 0xfbff, 1, 0xfc00, 0x7e00}; /* the last two: -inf, nan */
    static const uint16_t brain[2] = {0x7f80, 0x7f7f};                      /* inf, the largest */
    const float single[3] = {0, -3e38f, NAN};
    const double wide[2] = {1e308, -INFINITY};
    declare("h", 2, 3);
    declare("b", 0, 2);
    declare("s", 0, 3);
    declare("d", 0, 2);
    store_bytes("h", NP_F16, 2, 3, half);
    store_bytes("b", NP_BF16, 0, 2, brain);
    store_bytes("s", NP_F32, 0, 3, single);
    store_bytes("d", NP_F64, 0, 2, wide);
    ck_assert_int_eq(attach(), NP_OK);
    ck_assert_int_eq(cx->ndiags, 4);
    expect_said(cx, NP_WARNING, "tensor h (weight h) holds -inf at [1,1]; 2 of its 6 numbers are not finite");
    expect_said(cx, NP_WARNING, "tensor b (weight b) holds inf at [0]; 1 of its 2");
    expect_said(cx, NP_WARNING, "tensor s (weight s) holds nan at [2]; 1 of its 3");
    expect_said(cx, NP_WARNING, "tensor d (weight d) holds -inf at [1]; 1 of its 2");
    ck_assert_ptr_nonnull(np_mod_weight(m.mod, "h")->data);
}
END_TEST

/* Made at build time from another: not looked for. */
START_TEST(test_derived)
{
    declare("a", 2, 3);
    store("a", 2, 3);
    ck_assert_ptr_nonnull(np_mod_derive(m.mod, np_mod_weight(m.mod, "a"), "ab->ba", 0));
    expect_ok();
}
END_TEST

START_TEST(test_long_names)
{
    char *text = calloc(1, 1001);
    memset(text, '1', 1000);
    name("#", "#"); /* the longest name that a pattern can make is bounded */
    declare("a", 0, 2);
    store("a", 0, 2);
    store(text, 0, 2);
    memset(text, 'x', 1000);
    store(text, 0, 2);
    declare(text, 0, 2);
    text[0] = 'y';
    declare(text, 0, 2);
    ck_assert_int_eq(attach(), NP_FAIL);
    expect_error(cx, "is not in w.safetensors");
    expect_said(cx, NP_WARNING, "1 tensor is not used");
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("weights");
    TCase *t = tcase_create("weights");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_exact);
    tcase_add_test(t, test_stored_types);
    tcase_add_test(t, test_unaligned);
    tcase_add_test(t, test_patterns);
    tcase_add_test(t, test_patterns_that_do_not_match);
    tcase_add_test(t, test_exact_wins);
    tcase_add_test(t, test_two_for_one);
    tcase_add_test(t, test_missing);
    tcase_add_test(t, test_shapes);
    tcase_add_test(t, test_types);
    tcase_add_test(t, test_unused);
    tcase_add_test(t, test_not_finite);
    tcase_add_test(t, test_derived);
    tcase_add_test(t, test_long_names);
    suite_add_tcase(s, t);
    return run_suite(s);
}
