/* Functions that a pass could make by mistake and no text can say: each is made
 * right, broken by hand, and must be found. */
#include "core.h"

#include "passes/passes.h"

static np_cx *cx;
static np_mod *mod;

static void setup(void)
{
    cx = np_cx_new();
    mod = NULL;
}
static void teardown(void)
{
    np_mod_free(mod);
    np_cx_free(cx);
}
static np_fn *function(const char *text)
{
    mod = np_parse(cx, "t.np", text, strlen(text));
    if (!mod) np_diag_print(cx, NP_ERROR, stderr);
    ck_assert_ptr_nonnull(mod);
    return mod->fn[mod->nfns - 1];
}
static np_fn *good(void)
{
    return function(
        "fn @f(%x f32[3], %b bool, state %s f32[3]) -> (y f32[3]) {\n"
        "  %e = exp %x\n"
        "  %n = neg %e\n"
        "  %r = cond %b {\n    %t = tanh %n\n    yield %t\n  } else {\n    %u = sin %e\n    yield %u\n  }\n"
        "  ret %r %n\n}\n");
}
static np_node *find(np_block *b, np_op op)
{
    for (np_node *n = b->first; n; n = n->next) {
        if (n->op == op) return n;
        for (int i = 0; i < 2; i++) {
            np_node *m = n->body[i] ? find(n->body[i], op) : NULL;
            if (m) return m;
        }
    }
    return NULL;
}
static void unlink_node(np_block *b, np_node *n)
{
    *(n->prev ? &n->prev->next : &b->first) = n->next;
    *(n->next ? &n->next->prev : &b->last) = n->prev;
}
static void put_first(np_block *b, np_node *n)
{
    n->prev = NULL;
    n->next = b->first;
    b->first->prev = n;
    b->first = n;
}
static void refused(const np_fn *f, const char *message)
{
    np_text why = {0};
    ck_assert_msg(!np_check(f, NP_STAGE_TENSOR, &why), "accepted, wanted: %s", message);
    ck_assert_msg(why.s && strstr(why.s, message), "wanted '%s', got '%s'", message, why.s ? why.s : "");
    np_text_free(&why);
}

START_TEST(nothing_is_wrong)
{
    np_text why = {0};
    ck_assert_msg(np_check(good(), NP_STAGE_TENSOR, &why), "%s", why.s);
}
END_TEST
START_TEST(an_operand_behind_its_use)
{
    np_fn *f = good();
    np_node *neg = find(&f->top, NP_NEG);
    unlink_node(&f->top, neg);
    put_first(&f->top, neg);
    refused(f, "an operand stands after its use, or nowhere: n = neg");
}
END_TEST
START_TEST(an_operand_of_another_function)
{
    np_fn *f = good();
    find(&f->top, NP_NEG)->arg[0] =
        &(np_node){.op = NP_EXP, .id = 1000, .type = f->out_type[0], .in = &f->top};
    refused(f, "an operand stands after its use, or nowhere");
}
END_TEST
START_TEST(an_operand_in_another_body)
{
    np_fn *f = good();
    find(&f->top, NP_SIN)->arg[0] = find(&f->top, NP_TANH);
    refused(f, "an operand stands in another body: u = sin");
}
END_TEST
START_TEST(an_end_in_the_middle)
{
    np_fn *f = good();
    np_block *body = find(&f->top, NP_COND)->body[0];
    np_node *yield = body->last;
    unlink_node(body, yield);
    put_first(body, yield);
    yield->nargs = 0;
    refused(f, "an end in the middle");
}
END_TEST
START_TEST(a_body_without_an_end)
{
    np_fn *f = good();
    np_block *body = find(&f->top, NP_COND)->body[1];
    unlink_node(body, body->last);
    refused(f, "a body without an end: u = sin");
}
END_TEST
START_TEST(an_empty_body)
{
    np_fn *f = good();
    np_block *body = find(&f->top, NP_COND)->body[1];
    body->first = body->last = NULL;
    refused(f, "an empty body");
}
END_TEST
START_TEST(the_wrong_kind_of_end)
{
    np_fn *f = good();
    find(&f->top, NP_COND)->body[0]->last->op = NP_RET;
    refused(f, "the wrong kind of end");
}
END_TEST
START_TEST(fewer_results_than_states)
{
    np_fn *f = good();
    f->top.last->nargs = 1;
    refused(f, "as many results as outputs and states");
}
END_TEST
START_TEST(no_type)
{
    np_fn *f = good();
    find(&f->top, NP_EXP)->type = NULL;
    np_text why = {0};
    ck_assert(!np_check(f, NP_STAGE_TENSOR, &why));
    ck_assert_ptr_nonnull(strstr(why.s, "no type or a wild id"));
    np_text_free(&why);
}
END_TEST
START_TEST(poison)
{
    np_fn *f = good();
    find(&f->top, NP_EXP)->op = NP_BAD;
    refused(f, "this op does not belong to the stage");
}
END_TEST

/* Sizes without a limit would take all memory: that is the user's to say. */
START_TEST(memory_without_a_limit)
{
    np_fn *f = function("dim T in 1..2147483647 time\nfn @f(%x f32[T,4], %y f32[T,4]) -> (z f32[T]) {\n"
                        "  %o = contract %x %y \"ak,bk->ab\"\n  %e = exp %o\n  %s = reduce %e \"sum\" axis=1\n"
                        "  %m = reduce %e \"max\" axis=0\n  %z = add %s %m\n  ret %z\n}\n");
    np_pipeline_opts o = {.knobs = {.lanes = 32, .rows = 4, .chunk = 1}};
    np_fn *placed = np_pipeline_run(f, &o);
    expect_error(cx, 1, "@f needs more memory than there can be");
    np_fn_free(placed);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {nothing_is_wrong,
                                  an_operand_behind_its_use,
                                  an_operand_of_another_function,
                                  an_operand_in_another_body,
                                  an_end_in_the_middle,
                                  a_body_without_an_end,
                                  an_empty_body,
                                  the_wrong_kind_of_end,
                                  fewer_results_than_states,
                                  no_type,
                                  poison,
                                  memory_without_a_limit};
    return run_tests("check", setup, teardown, tests, NP_LEN(tests));
}
