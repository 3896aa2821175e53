/* Types: interned, changed axis by axis, written as text; the facts of ops. */
#include "core.h"

static np_cx *cx;
static const np_dim *T, *k4, *k8;

static void setup(void)
{
    cx = np_cx_new();
    T = np_dim_sym(cx, "T");
    k4 = np_dim_const(cx, 4);
    k8 = np_dim_const(cx, 8);
}
static void teardown(void)
{
    np_cx_free(cx);
}
static const np_type *tensor(np_dtype d, int rank, const np_dim *a, const np_dim *b, const np_dim *c)
{
    return np_type_tensor(cx, d, rank, (const np_dim *[]){a, b, c});
}

START_TEST(test_equal_is_same)
{
    const np_type *t = tensor(NP_F32, 2, T, k4, NULL), *i = np_type_scalar(cx, NP_I32);
    ck_assert_ptr_eq(t, tensor(NP_F32, 2, T, k4, k8)); /* what lies behind the rank does not count */
    ck_assert_ptr_ne(t, tensor(NP_F16, 2, T, k4, NULL));
    ck_assert_ptr_ne(t, tensor(NP_F32, 2, k4, T, NULL));
    ck_assert_ptr_ne(t, tensor(NP_F32, 1, T, NULL, NULL));
    const np_type *pair = np_type_tuple(cx, 2, (const np_type *[]){t, i});
    ck_assert_ptr_eq(pair, np_type_tuple(cx, 2, (const np_type *[]){t, i}));
    ck_assert_ptr_ne(pair, np_type_tuple(cx, 2, (const np_type *[]){i, t}));
    ck_assert_ptr_ne(i, np_type_tuple(cx, 1, &i)); /* one result in a tuple is a tuple */
    ck_assert(np_type_void(cx)->tuple && np_type_void(cx)->width == 0);
    ck_assert_ptr_eq(np_type_void(cx), np_type_tuple(cx, 0, NULL));
}
END_TEST

START_TEST(test_many)
{
    enum { N = 1000 };
    static const np_type *t[N];
    for (int i = 0; i < N; i++) t[i] = tensor((np_dtype)(i % NP_NDTYPES), 2, np_dim_const(cx, i), T, NULL);
    for (int i = 0; i < N; i++) {
        ck_assert_ptr_eq(t[i], tensor((np_dtype)(i % NP_NDTYPES), 2, np_dim_const(cx, i), T, NULL));
        ck_assert(i == 0 || t[i] != t[i - 1]);
    }
}
END_TEST

START_TEST(test_axes)
{
    const np_type *t = tensor(NP_F32, 3, T, k4, k8);
    ck_assert_ptr_eq(np_type_without(cx, t, 0), tensor(NP_F32, 2, k4, k8, NULL));
    ck_assert_ptr_eq(np_type_without(cx, t, 2), tensor(NP_F32, 2, T, k4, NULL));
    ck_assert_ptr_eq(np_type_insert(cx, np_type_without(cx, t, 1), 1, k4), t);
    ck_assert_ptr_eq(np_type_insert(cx, np_type_without(cx, t, 2), 2, k8), t);
    ck_assert_ptr_eq(np_type_set(cx, t, 0, k8), tensor(NP_F32, 3, k8, k4, k8));
    ck_assert_ptr_eq(np_type_with(cx, t, NP_BOOL), tensor(NP_BOOL, 3, T, k4, k8));
    ck_assert_ptr_eq(np_type_count(cx, t), np_dim_mul(cx, np_dim_const(cx, 32), T));
    ck_assert_ptr_eq(np_type_count(cx, np_type_scalar(cx, NP_F32)), np_dim_const(cx, 1));
}
END_TEST

START_TEST(test_text)
{
    const np_type *t = tensor(NP_F32, 2, T, np_dim_const(cx, 64), NULL),
                  *i = tensor(NP_I32, 1, k4, NULL, NULL);
    ck_assert_str_eq(np_type_str(cx, t), "f32[T,64]");
    ck_assert_str_eq(np_type_str(cx, np_type_scalar(cx, NP_BOOL)), "bool");
    ck_assert_str_eq(np_type_str(cx, np_type_tuple(cx, 2, (const np_type *[]){t, i})), "(f32[T,64], i32[4])");
    ck_assert_str_eq(np_type_str(cx, np_type_void(cx)), "()");
}
END_TEST

START_TEST(test_dtypes)
{
    static const struct {
        const char *text;
        np_dtype d;
        int size;
        char cls;
    } row[] = {{"bool", NP_BOOL, 1, 'B'}, {"i8", NP_I8, 1, 'I'},   {"u8", NP_U8, 1, 'I'},
               {"i32", NP_I32, 4, 'I'},   {"i64", NP_I64, 8, 'I'}, {"f16", NP_F16, 2, 'F'},
               {"bf16", NP_BF16, 2, 'F'}, {"f32", NP_F32, 4, 'F'}, {"f64", NP_F64, 8, 'F'}};
    ck_assert_int_eq(NP_LEN(row), NP_NDTYPES);
    for (size_t i = 0; i < NP_LEN(row); i++) {
        np_dtype d;
        ck_assert(np_dtype_find(row[i].text, &d) && d == row[i].d);
        ck_assert_str_eq(np_dtype_text(d), row[i].text);
        ck_assert_int_eq(np_dtype_size(d), row[i].size);
        ck_assert_int_eq(np_dtype_class(d), row[i].cls);
    }
    np_dtype d;
    ck_assert(!np_dtype_find("f33", &d) && !np_dtype_find("", &d));
}
END_TEST

START_TEST(test_sane)
{
    ck_assert(np_type_sane(tensor(NP_F32, 2, T, k4, NULL)));
    ck_assert(!np_type_sane(tensor(NP_F32, 1, np_dim_const(cx, -1), NULL, NULL)));
    const np_dim *big = np_dim_const(cx, (int64_t)1 << 30);
    ck_assert(!np_type_sane(tensor(NP_F32, 2, big, big, NULL)));
}
END_TEST

/* What the rest of the house reads from the rows of ops.def. */
START_TEST(test_op_rows)
{
    np_op op;
    for (int i = 0; i < NP_NOPS; i++) {
        const np_opinfo *o = np_op_info((np_op)i);
        ck_assert(np_op_find(o->text, &op) && (int)op == i);
        ck_assert(o->nattrs <= NP_MAXATTRS && o->nbodies <= 2 && *o->doc);
        ck_assert(!o->comm || o->nargs == 2);
    }
    ck_assert(!np_op_find("addd", &op) && !np_op_find("", &op));
    const np_opinfo *pad = np_op_info(NP_PAD), *scan = np_op_info(NP_SCAN), *loop = np_op_info(NP_LOOP),
                    *weight = np_op_info(NP_WEIGHT);
    ck_assert(pad->has_num && !pad->has_sym && pad->nattrs == 3 && pad->nargs == 1);
    ck_assert(strcmp(pad->attr[0], "axis") == 0 && strcmp(pad->attr[1], "before") == 0 &&
              strcmp(pad->attr[2], "after") == 0);
    ck_assert(scan->nargs == NP_ANY && scan->nbodies == 1 && !scan->fx && scan->cls == NP_TENSOR);
    ck_assert(strcmp(scan->attr[2], "back") == 0 && scan->optional[2] && scan->dflt[2] == 0 &&
              !scan->optional[0]);
    ck_assert(loop->fx && loop->nbodies == 1 && loop->optional[2] && loop->dflt[2] == 1);
    ck_assert(weight->has_sym && weight->nattrs == 0 && np_op_info(NP_COND)->nbodies == 2);
    ck_assert(np_op_info(NP_ALLOC)->dflt[0] == -1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_equal_is_same, test_many, test_axes,   test_text,
                                  test_dtypes,        test_sane, test_op_rows};
    return run_tests("type", setup, teardown, tests, NP_LEN(tests));
}
