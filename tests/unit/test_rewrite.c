/* Copying functions: the copy is the same text, what nothing needs is gone, and
 * a rule sees every live node once with its new operands. */
#include "core.h"
#include "context.h"

static np_mod *parse(const char *text)
{
    np_mod *m = np_parse(cx, "t.np", text, strlen(text));
    ck_assert_msg(m && cx->nerrors == 0, "%s", cx->ndiags ? cx->diag[0].text : "?");
    return m;
}
static char *text_of(const np_fn *f)
{
    static np_text t;
    t.n = 0;
    np_print_fn(&t, f, (np_print_opts){.loc = true});
    return t.s;
}
static void expect_sound(const np_fn *f)
{
    np_text why = {0};
    ck_assert_msg(np_check(f, f->stage, &why), "%s", why.s);
    np_text_free(&why);
}
static void expect_text(const np_fn *f, const char *text)
{
    ck_assert_str_eq(text_of(f), text);
    expect_sound(f);
}

static const char everything[] =
    "dim T in 1..512 time\n"
    "dim N in 0..511 past\n"
    "fn @f(%x f32[T,4], %b bool, state %s f32[4], state %p f32[N,4]) -> (y f32[T], z f32[4]) {\n"
    "  %k f32[4] = const [1,2,3,4]\n"
    "  %e f32[T,4] = exp %x\n"
    "  %r (f32[T], f32[4]) = scan %e %s seq=1 n=T {\n"
    "    with %xt f32[4], %st f32[4]\n"
    "    %m f32[4] = mul %st %k\n"
    "    %n f32[4] = add %m %xt\n"
    "    %o f32 = reduce %n \"sum\" axis=0\n"
    "    yield %o %n\n"
    "  }\n"
    "  %y f32[T] = pick %r i=0\n"
    "  %t f32[4] = pick %r i=1\n"
    "  %c f32[4] = cond %b {\n"
    "    %g f32[4] = tanh %t\n"
    "    yield %g\n"
    "  } else {\n"
    "    yield %k\n"
    "  }\n"
    "  %a f32[N+T,4] = append %x %p axis=0 n=N\n"
    "  ret %y %c %t %a\n"
    "}\n";

START_TEST(test_copy_is_the_same)
{
    np_mod *m = parse(everything);
    np_fn *f = np_mod_fn(m, "f"), *g = np_fn_copy(f);
    np_text was = {0}, now = {0};
    np_print_fn(&was, f, (np_print_opts){.loc = true});
    np_print_fn(&now, g, (np_print_opts){.loc = true});
    ck_assert_str_eq(now.s, was.s);
    ck_assert(g != f && g->mod == m && g->name == f->name && g->ninputs == 2 && g->nstates == 2 &&
              g->nouts == 2);
    ck_assert_uint_eq(g->nnodes, f->nnodes);
    expect_sound(g);
    np_text_free(&was);
    np_text_free(&now);
    np_fn_free(g);
    np_mod_free(m);
}
END_TEST

START_TEST(test_dead_nodes_go)
{
    np_mod *m = np_mod_new(cx, "m");
    np_fn *f = np_fn_new(m, "f", NP_STAGE_TENSOR);
    np_mod_put(m, f);
    np_build *b = np_build_new(f);
    const np_dim *k4 = np_dim_const(cx, 4);
    const np_type *t = np_type_tensor(cx, NP_F32, 1, &k4);
    np_node *x = np_build_param(b, NP_IN, "x", t), *unused = np_build_param(b, NP_IN, "unused", t);
    np_node *dead = np_build_1(b, NP_SIN, np_build_1(b, NP_COS, x)), *e = np_build_1(b, NP_EXP, x);
    np_node *s = np_build_open(b, NP_SCAN, 1, &x, &(np_extra){.attr = {np_dim_const(cx, 1), k4}});
    np_build_2(b, NP_ADD, s->body[0]->param[0], s->body[0]->param[0]); /* not yielded */
    np_node *y = np_build_1(b, NP_TANH, s->body[0]->param[0]);
    s = np_build_close(b, s, 1, &y);
    np_node *sum = np_build_2(b, NP_ADD, e, s);
    np_build_ret(b, 1, (const char *[]){"y"}, 1, &sum);
    np_arena mem = {0};
    bool *live = np_find_live(f, &mem);
    int *uses = np_find_uses(f, &mem);
    ck_assert(live[e->id] && live[s->id] && live[y->id] && live[x->id] && !live[dead->id] &&
              !live[dead->arg[0]->id] && !live[unused->id]);
    ck_assert(uses[e->id] == 1 && uses[x->id] == 3 && uses[dead->id] == 0 && uses[sum->id] == 1);
    np_arena_free(&mem);
    np_fn *g = np_fn_copy(f);
    static const char want[] = "fn @f(%x f32[4], %unused f32[4]) -> (y f32[4]) {\n"
                               "  %0 f32[4] = exp %x\n"
                               "  %1 f32[4] = scan %x seq=1 n=4 {\n"
                               "    with %x.2 f32\n"
                               "    %2 f32 = tanh %x.2\n"
                               "    yield %2\n"
                               "  }\n"
                               "  %3 f32[4] = add %0 %1\n"
                               "  ret %3\n"
                               "}\n";
    expect_text(g, want);
    np_fn_sweep(f); /* in place: the same */
    expect_text(f, want);
    ck_assert_uint_eq(f->nnodes,
                      2 + 1 + 1 + 1 + 2 + 1 + 1); /* params, exp, scan, its param, tanh and yield, add, ret */
    np_fn_free(g);
    np_mod_free(m);
}
END_TEST

/* exp becomes 2^(x*log2 e) wherever it stands; all else is copied. */
static np_node *expand_exp(np_rw *rw, const np_node *old, np_node *const *arg)
{
    ++*(int *)rw->env;
    if (old->op != NP_EXP) return NULL;
    np_node *k = np_build_num(rw->b, arg[0]->type, 1.5), *two = np_build_num(rw->b, arg[0]->type, 2.25);
    return np_build_2(rw->b, NP_POW, two, np_build_2(rw->b, NP_MUL, arg[0], k));
}
START_TEST(test_rule)
{
    np_mod *m = parse("fn @f(%x f32[8]) -> (y f32[8]) {\n"
                      "  %c f32[8] = sin %x\n"
                      "  %s f32[8] = scan %x %c seq=2 n=8 {\n"
                      "    with %a f32, %b f32\n"
                      "    %e f32 = exp %a\n"
                      "    %m f32 = mul %e %b\n"
                      "    yield %m\n"
                      "  }\n"
                      "  ret %s\n"
                      "}\n");
    int seen = 0;
    np_fn *g = np_rewrite(np_mod_fn(m, "f"), expand_exp, &seen);
    expect_text(g, "fn @f(%x f32[8]) -> (y f32[8]) {\n"
                   "  %c f32[8] = sin %x !2\n"
                   "  %s f32[8] = scan %x %c seq=2 n=8 !3 {\n"
                   "    with %a f32, %b f32\n"
                   "    %0 f32 = const 1.5 !5\n"
                   "    %1 f32 = const 2.25 !5\n"
                   "    %2 f32 = mul %a %0 !5\n"
                   "    %e f32 = pow %1 %2 !5\n"
                   "    %m f32 = mul %b %e !6\n"
                   "    yield %m !7\n"
                   "  }\n"
                   "  ret %s !9\n"
                   "}\n");
    ck_assert_int_eq(seen, 4); /* sin, scan, exp, mul */
    np_fn_free(g);
    np_mod_free(m);
}
END_TEST

/* A rule may answer with what is there already: what only the old node needed goes. */
static np_node *drop_tanh(np_rw *rw, const np_node *old, np_node *const *arg)
{
    (void)rw;
    return old->op == NP_MUL ? arg[0] : NULL;
}
START_TEST(test_rule_orphans)
{
    np_mod *m = parse("fn @f(%x f32[8]) -> (y f32[8]) {\n"
                      "  %a f32[8] = sin %x\n"
                      "  %b f32[8] = cos %x\n"
                      "  %c f32[8] = tanh %b\n"
                      "  %m f32[8] = mul %a %c\n"
                      "  %e f32[8] = exp %m\n"
                      "  ret %e\n"
                      "}\n");
    np_fn *g = np_rewrite(np_mod_fn(m, "f"), drop_tanh, NULL);
    expect_text(g, "fn @f(%x f32[8]) -> (y f32[8]) {\n"
                   "  %a f32[8] = sin %x !2\n"
                   "  %e f32[8] = exp %a !6\n"
                   "  ret %e !7\n"
                   "}\n");
    np_fn_free(g);
    np_mod_free(m);
}
END_TEST

/* A whole body taken out of its op: the rule copies it at its own place. */
static np_node *unwrap_cond(np_rw *rw, const np_node *old, np_node *const *arg)
{
    (void)arg;
    if (old->op != NP_COND) return NULL;
    np_rewrite_block(rw, old->body[0]);
    return np_rewrite_get(rw, old->body[0]->last->arg[0]);
}
START_TEST(test_rewrite_block)
{
    np_mod *m = parse("fn @f(%x f32[8], %b bool) -> (y f32[8]) {\n"
                      "  %s f32[8] = sin %x\n"
                      "  %c f32[8] = cond %b {\n"
                      "    %g f32[8] = tanh %s\n"
                      "    %h f32[8] = sin %x\n"
                      "    %i f32[8] = add %g %h\n"
                      "    yield %i\n"
                      "  } else {\n"
                      "    yield %x\n"
                      "  }\n"
                      "  ret %c\n"
                      "}\n");
    np_fn *g = np_rewrite(np_mod_fn(m, "f"), unwrap_cond, NULL);
    expect_text(g, "fn @f(%x f32[8], %b bool) -> (y f32[8]) {\n"
                   "  %s f32[8] = sin %x !2\n"
                   "  %g f32[8] = tanh %s !4\n"
                   "  %i f32[8] = add %s %g !6\n"
                   "  ret %i !11\n"
                   "}\n");
    np_fn_free(g);
    np_mod_free(m);
}
END_TEST

/* One step: T = 1, N = 0. Types, attributes and what folds with them. */
START_TEST(test_subst)
{
    np_mod *m = parse("dim T in 1..512 time\n"
                      "dim N in 0..511 past\n"
                      "fn @f(%x f32[T,4], %p f32[N,4]) -> (y f32[N+T,4], i i32[T]) {\n"
                      "  %a f32[N+T,4] = append %x %p axis=0 n=N\n"
                      "  %i i32[T] = iota n=T\n"
                      "  %n i32 = size n=N\n"
                      "  %ne i32[T] = expand %n axis=0 n=T\n"
                      "  %j i32[T] = add %i %ne\n"
                      "  ret %a %j\n"
                      "}\n");
    np_fn *f = np_mod_fn(m, "f");
    const np_dim *one = np_dim_const(cx, 1), *zero = np_dim_const(cx, 0), *T = np_dim_sym(cx, "T"),
                 *N = np_dim_sym(cx, "N");
    np_fn *step = np_fn_subst(f, "step", T, one), *first = np_fn_subst(step, "first", N, zero);
    expect_text(step, "fn @step(%x f32[1,4], %p f32[N,4]) -> (y f32[N+1,4], i i32[1]) {\n"
                      "  %a f32[N+1,4] = append %x %p axis=0 n=N !4\n"
                      "  %n i32 = size n=N !6\n"
                      "  %ne i32[1] = expand %n axis=0 n=1 !7\n"
                      "  ret %a %ne !9\n"
                      "}\n");
    expect_text(first, "fn @first(%x f32[1,4], %p f32[0,4]) -> (y f32[1,4], i i32[1]) {\n"
                       "  %ne i32[1] = const 0 !7\n"
                       "  ret %x %ne !9\n"
                       "}\n");
    ck_assert_str_eq(f->name, "f"); /* the old one is as it was */
    ck_assert_ptr_eq(f->top.param[0]->type->dim[0], T);
    np_fn_free(step);
    np_fn_free(first);
    np_mod_free(m);
}
END_TEST

/* A fed parameter is younger than those behind it; the text knows only their order. */
START_TEST(test_text_comes_back)
{
    np_mod *m = np_mod_new(cx, "m"), *again;
    np_fn *f = np_fn_new(m, "f", NP_STAGE_TENSOR);
    np_mod_put(m, f);
    np_build *b = np_build_new(f);
    const np_dim *k4 = np_dim_const(cx, 4);
    const np_type *t = np_type_tensor(cx, NP_F32, 1, &k4);
    np_node *x = np_build_param(b, NP_IN, "x", t), *y = np_build_param(b, NP_IN, "y", t);
    np_node *v = np_build_param(b, NP_IN, "v", np_type_scalar(cx, NP_F32));
    np_node *s =
        np_build_open(b, NP_SCAN, 2, (np_node *[]){x, v}, &(np_extra){.attr = {np_dim_const(cx, 1), k4}});
    np_node *pv = s->body[0]->param[1], *py = np_build_feed(b, s, y), *n = np_build_2(b, NP_MUL, py, pv);
    ck_assert_ptr_eq(n->arg[0], pv); /* the older one, for now */
    s = np_build_close(b, s, 1, &n);
    np_build_ret(b, 1, (const char *[]){"v"}, 1, &s);
    ck_assert_ptr_eq(n->arg[0], py);
    np_text was = {0}, now = {0};
    np_print_mod(&was, m, (np_print_opts){0});
    again = np_parse(cx, "t.np", was.s, was.n);
    ck_assert_ptr_nonnull(again);
    np_print_mod(&now, again, (np_print_opts){0});
    ck_assert_str_eq(now.s, was.s);
    np_text_free(&was);
    np_text_free(&now);
    np_mod_free(again);
    np_mod_free(m);
}
END_TEST

static void count_nodes(void *env, const np_node *n)
{
    int *count = env;
    count[n->op]++;
}
START_TEST(test_walk)
{
    np_mod *m = parse(everything);
    int count[NP_NOPS] = {0};
    np_fn_walk(np_mod_fn(m, "f"), count_nodes, count);
    ck_assert(count[NP_SCAN] == 1 && count[NP_YIELD] == 3 && count[NP_RET] == 1 && count[NP_TANH] == 1 &&
              count[NP_PICK] == 2 && count[NP_PARAM] == 0);
    np_mod_free(m);
}
END_TEST

/* Loops, buffers, growth and the work memory come over as they are; a load that
 * nothing needs does not, a store that stands in a loop does. */
START_TEST(test_loop_stage)
{
    np_mod *m = parse("dim T in 1..8 time\n"
                      "fn @f(%x f32[T], state %s f32[16] grow=0, out %y f32[T]) stage=placed work=64 {\n"
                      "  %w f32[8] = alloc at=0\n"
                      "  group \"g\" {\n"
                      "    loop n=T {\n"
                      "      with %i i64\n"
                      "      %a f32 = load %x %i\n"
                      "      %dead f32 = load %s %i\n"
                      "      store %w %a %i\n"
                      "      store %y %a %i\n"
                      "      yield\n"
                      "    }\n"
                      "    yield\n"
                      "  }\n"
                      "  ret\n"
                      "}\n");
    np_fn *f = np_mod_fn(m, "f"), *g = np_fn_copy(f);
    ck_assert(g->stage == NP_STAGE_PLACED && g->work == 64 && g->grow && g->grow[0] == 0 && g->nouts == 1);
    ck_assert_ptr_nonnull(strstr(text_of(g), "store %y %a %i"));
    ck_assert_ptr_nonnull(strstr(text_of(g), "alloc at=0"));
    ck_assert_ptr_null(strstr(text_of(g), "%dead"));
    expect_sound(g);
    np_fn_free(g);
    np_mod_free(m);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_copy_is_the_same, test_dead_nodes_go, test_rule,
                                  test_rule_orphans,     test_rewrite_block, test_subst,
                                  test_text_comes_back,  test_walk,          test_loop_stage};
    return run_tests("rewrite", setup, teardown, tests, NP_LEN(tests));
}
