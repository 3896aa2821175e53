/* The runner of text tests: --bless writes what it computed only if evaluation
 * agrees. A tolerance below zero is one that nothing meets. */
#include "suite.h"

#include <sys/wait.h>

static char path[] = "/tmp/neap-bless-XXXXXX.np";

static const char module[] = "fn @f(%x f32[2]) -> (y f32[2]) {\n"
                             "  %k f32[2] = const 1\n"
                             "  %y = mul %x %k\n"
                             "  ret %y\n"
                             "}\n";
static const char right[] = "---\n"
                            "fn @f(%x f32[2]) -> (y f32[2]) {\n"
                            "  ret %x\n"
                            "}\n";
static const char wrong[] = "---\n"
                            "fn @f(%x f32[2]) -> (y f32[2]) {\n"
                            "  %y f32[2] = exp %x\n"
                            "  ret %y\n"
                            "}\n";

static void setup(void)
{
    int fd = mkstemps(path, 3);
    ck_assert_int_ge(fd, 0);
    close(fd);
}
static void teardown(void)
{
    remove(path);
    memcpy(strrchr(path, '-') + 1, "XXXXXX", 6);
}
static void write_test(const char *head, const char *expected)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "%s%s%s", head, module, expected);
    ck_assert_int_eq(fclose(f), 0);
}
static int run(const char *flags)
{
    char command[4096];
    snprintf(command, sizeof command, "'%s' %s '%s' > /dev/null 2>&1", NP_TEXT_RUNNER, flags, path);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
static void expect_file(const char *head, const char *expected)
{
    char got[4096], want[4096];
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    got[fread(got, 1, sizeof got - 1, f)] = 0;
    fclose(f);
    snprintf(want, sizeof want, "%s%s%s", head, module, expected);
    ck_assert_str_eq(got, want);
}

START_TEST(a_wrong_text_fails_and_is_blessed)
{
    const char *head = "# test: parse\n# eval: tol=0\n";
    write_test(head, wrong);
    ck_assert_int_eq(run(""), 1);
    expect_file(head, wrong);
    ck_assert_int_eq(run("--bless"), 0);
    expect_file(head, right);
    ck_assert_int_eq(run(""), 0);
}
END_TEST

START_TEST(a_new_test_gets_its_text)
{
    const char *head = "# test: parse\n# eval: tol=0\n";
    write_test(head, "");
    ck_assert_int_eq(run("--bless"), 0);
    expect_file(head, right);
}
END_TEST

START_TEST(what_evaluates_differently_is_refused)
{
    const char *head = "# test: parse\n# eval: tol=-1\n";
    write_test(head, wrong);
    ck_assert_int_eq(run("--bless"), 1);
    expect_file(head, wrong);
    write_test(head, right); /* even where the text is as expected */
    ck_assert_int_eq(run(""), 1);
    write_test(head, "");
    ck_assert_int_eq(run("--bless"), 1);
    expect_file(head, "");
}
END_TEST

START_TEST(a_note_that_is_missing_is_refused)
{
    const char *head = "# test: pass chunk\n# eval: tol=0\n# note: scan over\n";
    write_test(head, wrong);
    ck_assert_int_eq(run("--bless"), 1);
    expect_file(head, wrong);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_wrong_text_fails_and_is_blessed, a_new_test_gets_its_text,
                                  what_evaluates_differently_is_refused, a_note_that_is_missing_is_refused};
    return run_tests("bless", setup, teardown, tests, sizeof tests / sizeof *tests);
}
