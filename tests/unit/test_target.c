/* Targets: the rows, and what this machine says of itself. */
#include "core.h"
#include "context.h"

#include "backends/backends.h"


START_TEST(test_rows)
{
    const np_target *t = np_target_find(cx, "generic");
    ck_assert_ptr_nonnull(t);
    ck_assert_str_eq(t->name, "generic");
    ck_assert_int_eq(t->lanes, 32);
    ck_assert_int_eq(t->threads, 1);
    ck_assert_ptr_null(np_target_find(cx, "pdp11"));
    ck_assert_ptr_null(np_target_find(cx, ""));
}
END_TEST
START_TEST(test_native)
{
    const np_target *t = np_target_find(cx, "native"), *again = np_target_find(cx, "native");
    ck_assert_ptr_nonnull(t);
    ck_assert(t->lanes == 32 || t->lanes == 64);
    ck_assert(t->rows > 0 && t->threads > 0);
    ck_assert(t->l1 >= 0 && t->l2 >= 0 && t->l3 >= 0);
    ck_assert(t->l1 == 0 || t->l2 == 0 || t->l1 < t->l2);
    ck_assert(t->lanes == again->lanes && t->l1 == again->l1 && t->threads == again->threads);
#if defined(__AVX512F__) && defined(__AVX512VL__)
    ck_assert_int_eq(t->lanes, 64);
#endif
    ck_assert_ptr_nonnull(strstr(t->cflags, "-march=native"));
}
END_TEST
START_TEST(test_floats_stay_floats)
{
    static const char *const names[] = {
#define NP_TARGET(name, lanes, rows, l1, l2, l3, threads, flags) #name,
#include "backends/targets.def"
#undef NP_TARGET
    };
    for (size_t i = 0; i < NP_LEN(names); i++) {
        const char *flags = np_target_find(cx, names[i])->cflags;
        ck_assert_ptr_null(strstr(flags, "fast-math"));
        ck_assert_ptr_null(strstr(flags, "-Ofast"));
        ck_assert_ptr_null(strstr(flags, "finite"));
        ck_assert_ptr_null(strstr(flags, "associative"));
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {test_rows, test_native, test_floats_stay_floats};
    return run_tests("target", setup, teardown, tests, NP_LEN(tests));
}
