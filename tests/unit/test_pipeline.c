/* The loop over the passes: what it prints, what it times, and that it names the
 * first pass that changes an answer or breaks a promise. */
#include "core.h"

#include "passes/passes.h"

#include <unistd.h>

static np_cx *cx;
static np_mod *m;
static FILE *kept; /* stderr meanwhile */
static int old_stderr;

static const char source[] = "dim T in 1..8 time\n"
                             "weight $w f32[2,3]\n"
                             "fn @f(%x f32[T,2], state %s f32[3]) -> (y f32[T,3]) {\n"
                             "  %w = weight $w\n"
                             "  %a = contract %x %w \"ti,ij->tj\"\n"
                             "  %b = exp %a\n"
                             "  %r = scan %b %s seq=1 n=T {\n"
                             "    with %bt f32[3], %st f32[3]\n"
                             "    %n = add %bt %st\n"
                             "    yield %n %n\n"
                             "  }\n"
                             "  %y = pick %r i=0\n"
                             "  %last = pick %r i=1\n"
                             "  ret %y %last\n"
                             "}\n";

static void setup(void)
{
    cx = np_cx_new();
    m = np_parse(cx, "test.np", source, strlen(source));
    ck_assert_ptr_nonnull(m);
}
static void teardown(void)
{
    np_mod_free(m);
    np_cx_free(cx);
}
static np_pipeline_opts usual(void)
{
    return (np_pipeline_opts){.knobs = {.lanes = 8, .rows = 2, .chunk = 1}};
}

static void keep_stderr(void)
{
    kept = tmpfile();
    fflush(stderr);
    old_stderr = dup(STDERR_FILENO);
    dup2(fileno(kept), STDERR_FILENO);
}
/* What was written meanwhile; freed by the caller. */
static char *kept_stderr(void)
{
    char *s = calloc(1, 1 << 20);
    fflush(stderr);
    dup2(old_stderr, STDERR_FILENO);
    close(old_stderr);
    rewind(kept);
    size_t n = fread(s, 1, (1 << 20) - 1, kept);
    s[n] = 0;
    fclose(kept);
    return s;
}
static char *run_kept(const np_pipeline_opts *o)
{
    keep_stderr();
    np_fn *g = np_pipeline_run(np_mod_fn(m, "f"), o);
    char *s = kept_stderr();
    ck_assert_int_eq(g->stage, NP_STAGE_PLACED);
    np_fn_free(g);
    return s;
}
static int count(const char *s, const char *word)
{
    int n = 0;
    for (; (s = strstr(s, word)) != NULL; s += strlen(word)) n++;
    return n;
}

START_TEST(prints_one_pass)
{
    np_pipeline_opts o = usual();
    o.print_after = "chunk";
    char *s = run_kept(&o);
    ck_assert_int_eq(strncmp(s, "# after chunk\nfn @f(%x f32[T,2], state %s f32[3])", 49), 0);
    ck_assert_int_eq(count(s, "# "), 1);
    free(s);
    o = usual();
    o.print_before = "loops";
    s = run_kept(&o);
    ck_assert_int_eq(strncmp(s, "# before loops\nfn @f(", 21), 0);
    ck_assert_int_eq(count(s, "stage=loop"), 0);
    ck_assert_int_gt(count(s, "= group"), 0);
    free(s);
}
END_TEST

START_TEST(prints_all)
{
    np_pipeline_opts o = usual();
    o.print_before = o.print_after = "all";
    char *s = run_kept(&o);
    int passes = 0;
    for (const np_pass *p = np_passes; p->name; p++) passes++;
    ck_assert_int_eq(count(s, "# before "), passes);
    ck_assert_int_eq(count(s, "# after "), passes);
    ck_assert(strstr(s, "stage=placed") != NULL);
    free(s);
}
END_TEST

START_TEST(times_every_pass)
{
    np_pipeline_opts o = usual();
    o.time = true;
    char *s = run_kept(&o);
    for (const np_pass *p = np_passes; p->name; p++) ck_assert_int_eq(count(s, p->name), 1);
    ck_assert_int_eq(count(s, " ms\n"), count(s, "\n"));
    free(s);
}
END_TEST

START_TEST(only_one)
{
    np_pipeline_opts o = usual();
    o.only = "chunk";
    np_fn *g = np_pipeline_run(np_mod_fn(m, "f"), &o);
    ck_assert_int_eq(g->stage, NP_STAGE_TENSOR);
    np_fn_free(g);
    ck_assert_ptr_null(np_pass_find("nothing"));
    ck_assert_str_eq(np_pass_find("place")->name, "place");
}
END_TEST

START_TEST(all_passes_keep_the_answer)
{
    np_pipeline_opts o = usual();
    o.eval = true;
    np_fn_free(np_pipeline_run(np_mod_fn(m, "f"), &o));
    expect_error(cx, 0, "");
    ck_assert_ptr_null(m->weight[0]->data); /* the numbers were lent */
}
END_TEST

/* ---- passes that go wrong */
static np_node *minus(np_rw *rw, const np_node *old, np_node *const *arg)
{
    return old->op == NP_ADD ? np_build_2(rw->b, NP_SUB, arg[0], arg[1]) : NULL;
}
static np_fn *run_minus(const np_fn *f, const np_knobs *k)
{
    (void)k;
    return np_rewrite(f, minus, NULL);
}
static np_node *doubled(np_rw *rw, const np_node *old, np_node *const *arg)
{
    return old->op == NP_EXP ? np_build_2(rw->b, NP_ADD, np_rewrite_copy(rw, old, arg), arg[0]) : NULL;
}
static np_fn *run_doubled(const np_fn *f, const np_knobs *k)
{
    (void)k;
    return np_rewrite(f, doubled, NULL);
}
static np_fn *volatile copied; /* within reach: what a bug leaves behind is no leak */
static np_fn *run_copy(const np_fn *f, const np_knobs *k)
{
    (void)k;
    return copied = np_fn_copy(f);
}

START_TEST(the_first_wrong_pass_is_named)
{
    const np_pass row[] = {{"copy", NP_STAGE_TENSOR, NP_STAGE_TENSOR, run_copy, ""},
                           {"minus", NP_STAGE_TENSOR, NP_STAGE_TENSOR, run_minus, ""},
                           {"doubled", NP_STAGE_TENSOR, NP_STAGE_TENSOR, run_doubled, ""}};
    np_pipeline_opts o = usual();
    o.eval = true;
    np_fn *f = np_fn_copy(np_mod_fn(m, "f"));
    for (int i = 0; i < 3; i++) {
        np_fn *g = np_pipeline_pass(f, &row[i], &o);
        np_fn_free(f);
        f = g;
        ck_assert_int_eq(cx->nerrors, i > 0);
    }
    expect_error(cx, 1, "minus changes the answer of @f: output y differs by ");
    np_fn_free(f);
}
END_TEST

START_TEST(a_state_counts_as_an_answer)
{
    static const char text[] = "fn @g(%x f32[2], state %s f32[2]) -> (y f32[2]) {\n"
                               "  %y = exp %x\n"
                               "  %n = add %x %s\n"
                               "  ret %y %n\n"
                               "}\n";
    np_mod *other = np_parse(cx, "state.np", text, strlen(text));
    const np_pass row = {"minus", NP_STAGE_TENSOR, NP_STAGE_TENSOR, run_minus, ""};
    np_pipeline_opts o = usual();
    np_fn_free(np_pipeline_pass(np_mod_fn(other, "g"), &row, &o));
    expect_error(cx, 0, ""); /* nothing is compared unless it is asked for */
    o.eval = true;
    np_fn_free(np_pipeline_pass(np_mod_fn(other, "g"), &row, &o));
    expect_error(cx, 1, "minus changes the answer of @g: state s differs by ");
    np_mod_free(other);
}
END_TEST

/* A pass that promises a stage and does not deliver is our bug: status 3. */
START_TEST(a_broken_promise_is_a_bug)
{
    const np_pass row = {"lazy", NP_STAGE_TENSOR, NP_STAGE_LOOP, run_copy, ""};
    np_pipeline_opts o = usual();
    keep_stderr();
    np_pipeline_pass(np_mod_fn(m, "f"), &row, &o);
}
END_TEST
START_TEST(another_stage_is_a_bug)
{
    np_pipeline_opts o = usual();
    keep_stderr();
    np_pipeline_pass(np_mod_fn(m, "f"), np_pass_find("place"), &o);
}
END_TEST

int main(void)
{
    const TTest *const bugs[] = {a_broken_promise_is_a_bug, another_stage_is_a_bug};
    const TTest *const tests[] = {prints_one_pass,
                                  prints_all,
                                  times_every_pass,
                                  only_one,
                                  all_passes_keep_the_answer,
                                  the_first_wrong_pass_is_named,
                                  a_state_counts_as_an_answer};
    Suite *s = suite_create("bugs");
    TCase *c = tcase_create("bugs");
    tcase_add_checked_fixture(c, setup, teardown);
    for (size_t i = 0; i < NP_LEN(bugs); i++) tcase_add_exit_test(c, bugs[i], 3);
    suite_add_tcase(s, c);
    return run_suite(s) != 0 || run_tests("pipeline", setup, teardown, tests, NP_LEN(tests));
}
