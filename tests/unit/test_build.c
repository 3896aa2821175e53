/* The builder: what is shared and what is not, how bodies are opened, fed and
 * closed, and what a wrong operand leads to. */
#include "core.h"

#include <sys/wait.h>
#include <unistd.h>

static np_cx *cx;
static np_mod *m;
static np_fn *f;
static np_build *b;
static np_node *x, *y, *v; /* f32[T,4], f32[T,4], f32[4] */
static const np_dim *T, *k4;

static const np_type *tensor(np_dtype d, int rank, const np_dim *p, const np_dim *q)
{
    return np_type_tensor(cx, d, rank, (const np_dim *[]){p, q});
}
static void setup(void)
{
    cx = np_cx_new();
    m = np_mod_new(cx, "m");
    f = np_fn_new(m, "main", NP_STAGE_TENSOR);
    np_mod_put(m, f);
    b = np_build_new(f);
    b->loc = (np_loc){np_str_new(cx, "m.lua"), 7, NULL};
    T = np_dim_sym(cx, "T");
    np_dim_declare(cx, T, 1, 512, NP_ROLE_TIME);
    k4 = np_dim_const(cx, 4);
    x = np_build_param(b, NP_IN, "x", tensor(NP_F32, 2, T, k4));
    y = np_build_param(b, NP_IN, "y", tensor(NP_F32, 2, T, k4));
    v = np_build_param(b, NP_STATE, "v", tensor(NP_F32, 1, k4, NULL));
}
static void teardown(void)
{
    np_mod_free(m);
    np_cx_free(cx);
}
static int count(const np_block *at)
{
    int n = 0;
    for (const np_node *i = at->first; i; i = i->next) n++;
    return n;
}

START_TEST(test_shares)
{
    np_node *e = np_build_1(b, NP_EXP, x);
    ck_assert_ptr_eq(np_build_1(b, NP_EXP, x), e);
    ck_assert_ptr_ne(np_build_1(b, NP_EXP, y), e);
    ck_assert_ptr_ne(np_build_1(b, NP_SIN, x), e);
    ck_assert_int_eq(count(&f->top), 3);
    ck_assert_ptr_eq(np_build_2(b, NP_ADD, x, y), np_build_2(b, NP_ADD, y, x));
    ck_assert_ptr_ne(np_build_2(b, NP_SUB, x, y), np_build_2(b, NP_SUB, y, x));
    ck_assert_ptr_eq(np_build_reduce(b, x, "sum", 1), np_build_reduce(b, x, "sum", 1));
    ck_assert_ptr_ne(np_build_reduce(b, x, "sum", 1), np_build_reduce(b, x, "max", 1));
    ck_assert_ptr_ne(np_build_reduce(b, x, "sum", 1), np_build_reduce(b, x, "sum", 0));
    ck_assert_ptr_eq(np_build_iota(b, T), np_build_iota(b, T));
    ck_assert_ptr_ne(np_build_iota(b, T), np_build_iota(b, k4));
    const np_type *t = tensor(NP_F32, 1, k4, NULL), *i = np_type_scalar(cx, NP_I32);
    ck_assert_ptr_eq(np_build_num(b, t, 0.5), np_build_num(b, t, 0.5));
    ck_assert_ptr_ne(np_build_num(b, t, 0.5), np_build_num(b, t, 0.25));
    ck_assert_ptr_ne(np_build_num(b, t, 0.0), np_build_num(b, t, -0.0));
    ck_assert_ptr_ne(np_build_num(b, i, 1), np_build_num(b, np_type_scalar(cx, NP_I64), 1));
    double p[] = {1, 2, 3, 4}, q[] = {1, 2, 3, 5};
    np_node *list = np_build_list(b, t, p);
    ck_assert_ptr_eq(np_build_list(b, t, p), list);
    ck_assert_ptr_ne(np_build_list(b, t, q), list);
    p[0] = 9; /* the list was copied */
    ck_assert(list->data[0] == 1);
}
END_TEST

/* Many nodes: the table of what may be shared grows without losing any. */
START_TEST(test_shares_many)
{
    enum { N = 2000 };
    static np_node *n[N];
    const np_type *t = np_type_scalar(cx, NP_F32);
    for (int i = 0; i < N; i++) n[i] = np_build_num(b, t, i);
    for (int i = 0; i < N; i++) ck_assert_ptr_eq(np_build_num(b, t, i), n[i]);
    ck_assert_int_eq(count(&f->top), N);
    for (uint32_t id = 3; id < f->nnodes; id++)
        ck_assert_uint_eq(n[id - 3]->id, id); /* dense: asking again used none */
}
END_TEST

START_TEST(test_constants_stand_last)
{
    np_node *half = np_build_num(b, x->type, 0.5), *e = np_build_1(b, NP_EXP, x);
    np_node *a = np_build_2(b, NP_MUL, half, e);
    ck_assert(a->arg[0] == e && a->arg[1] == half);
    ck_assert_ptr_eq(np_build_2(b, NP_MUL, e, half), a);
    np_node *s = np_build_2(b, NP_MAX, e, x);
    ck_assert(s->arg[0] == x && s->arg[1] == e); /* the older one first */
}
END_TEST

START_TEST(test_hints_and_places)
{
    b->name = np_str_new(cx, "gate");
    np_node *e = np_build_1(b, NP_EXP, x);
    ck_assert_str_eq(e->name, "gate");
    ck_assert_ptr_null(b->name); /* used */
    ck_assert_int_eq(e->loc.line, 7);
    np_node *s = np_build_1(b, NP_SIN, x);
    ck_assert_ptr_null(s->name);
    b->name = np_str_new(cx, "wave");
    ck_assert_ptr_eq(np_build_1(b, NP_SIN, x), s);
    ck_assert_str_eq(s->name, "wave"); /* the first name that anyone gives */
    b->name = np_str_new(cx, "other");
    ck_assert_ptr_eq(np_build_1(b, NP_SIN, x), s);
    ck_assert_str_eq(s->name, "wave");
    ck_assert_ptr_null(b->name);
}
END_TEST

START_TEST(test_bad_is_silent)
{
    np_node *bad = np_build_2(b, NP_ADD, x, v);
    ck_assert_int_eq(bad->op, NP_BAD);
    expect_error(cx, 1, "add: %x f32[T,4] and %v f32[4] differ");
    ck_assert_int_eq(cx->diag[0].loc.line, 7);
    ck_assert_int_eq(np_build_1(b, NP_EXP, bad)->op, NP_BAD);
    ck_assert_int_eq(np_build_2(b, NP_MUL, x, bad)->op, NP_BAD);
    ck_assert_int_eq(np_build_pick(b, bad, 3)->op, NP_BAD);
    ck_assert_int_eq(np_build_result(b, bad, 1)->op, NP_BAD);
    np_node *s =
        np_build_open(b, NP_SCAN, 2, (np_node *[]){x, bad}, &(np_extra){.attr = {np_dim_const(cx, 1), T}});
    np_node *inside = np_build_2(b, NP_ADD, s->body[0]->param[0], s->body[0]->param[1]);
    ck_assert_int_eq(inside->op, NP_BAD);
    ck_assert_int_eq(np_build_feed(b, s, y)->op, NP_BAD);
    ck_assert_int_eq(np_build_close(b, s, 1, &inside)->op, NP_BAD);
    ck_assert_ptr_eq(b->at, &f->top);
    expect_error(cx, 1, "add:");
    b->loc.line = 9; /* another mistake is reported in the same run */
    np_build_2(b, NP_ADD, y, v);
    expect_error(cx, 2, "add: %y f32[T,4] and %v f32[4] differ");
}
END_TEST

static np_node *open_scan(int n, np_node *const *arg, int seq)
{
    return np_build_open(b, NP_SCAN, n, arg, &(np_extra){.attr = {np_dim_const(cx, seq), T}});
}
START_TEST(test_scan)
{
    np_node *s = open_scan(2, (np_node *[]){x, v}, 1);
    np_block *body = s->body[0];
    ck_assert_ptr_eq(b->at, body);
    ck_assert(body->nparams == 2 && body->owner == s && body->outer == &f->top);
    ck_assert_ptr_eq(body->param[0]->type, v->type); /* a slice of x */
    ck_assert_str_eq(body->param[1]->name, "v");
    np_node *next = np_build_2(b, NP_ADD, body->param[1], body->param[0]);
    np_node *out = np_build_reduce(b, next, "sum", 0);
    s = np_build_close(b, s, 2, (np_node *[]){out, next});
    ck_assert_str_eq(np_type_str(cx, s->type), "(f32[T], f32[4])");
    ck_assert(body->last->op == NP_YIELD && body->last->nargs == 2);
    ck_assert(f->top.last == s && b->at == &f->top);
    ck_assert_str_eq(np_type_str(cx, np_build_pick(b, s, 0)->type), "f32[T]");
    ck_assert_ptr_eq(np_build_result(b, s, 1), np_build_pick(b, s, 1));
    ck_assert_int_eq(np_result_count(s), 2);
    ck_assert_ptr_eq(np_result_type(s, 1), v->type);
}
END_TEST

/* Fed operands stand behind the other sequences and before the states, everywhere. */
START_TEST(test_feed)
{
    np_node *e = np_build_1(b, NP_EXP, y), *s = open_scan(2, (np_node *[]){x, v}, 1);
    np_block *body = s->body[0];
    np_node *px = body->param[0], *pv = body->param[1];
    np_node *py = np_build_feed(b, s, y), *pe = np_build_feed(b, s, e);
    ck_assert_ptr_eq(np_build_feed(b, s, y), py);
    ck_assert_ptr_eq(np_build_feed(b, s, x), px);
    ck_assert(s->nargs == 4 && np_dim_is(s->attr[0], 3));
    ck_assert(s->arg[0] == x && s->arg[1] == y && s->arg[2] == e && s->arg[3] == v);
    ck_assert_int_eq(body->nparams, 4);
    ck_assert(body->param[0] == px && body->param[1] == py && body->param[2] == pe && body->param[3] == pv);
    ck_assert_ptr_eq(py->type, v->type);
    ck_assert_str_eq(py->name, "y");
    np_node *next = np_build_2(b, NP_ADD, np_build_2(b, NP_ADD, px, py), np_build_2(b, NP_ADD, pe, pv));
    s = np_build_close(b, s, 1, &next);
    ck_assert_ptr_eq(s->type, v->type); /* one result is no tuple */
    ck_assert_ptr_eq(np_build_result(b, s, 0), s);
    expect_error(cx, 0, "");
}
END_TEST

/* From inside a nested body the outer scan can still be fed. */
START_TEST(test_feed_from_inside)
{
    np_node *s = open_scan(1, &x, 1);
    np_node *c =
        np_build_open(b, NP_COND, 1, (np_node *[]){np_build_num(b, np_type_scalar(cx, NP_BOOL), 1)}, NULL);
    np_node *py = np_build_feed(b, s, y);
    ck_assert_ptr_eq(py->in, s->body[0]);
    np_node *sum = np_build_2(b, NP_ADD, py, s->body[0]->param[0]);
    np_build_else(b, c, 1, &sum);
    np_node *px = s->body[0]->param[0];
    c = np_build_close(b, c, 1, &px);
    ck_assert_ptr_eq(c->type, v->type);
    s = np_build_close(b, s, 1, &c);
    ck_assert_ptr_eq(s->type, x->type);
    expect_error(cx, 0, "");
}
END_TEST

START_TEST(test_feed_wrong_time)
{
    np_node *s = open_scan(1, &x, 1);
    ck_assert_int_eq(np_build_feed(b, s, v)->op, NP_BAD);
    expect_error(cx, 1, "scan over T steps: axis 0 of %v f32[4] has another size");
    ck_assert(s->nargs == 1 && np_dim_is(s->attr[0], 1));
}
END_TEST

START_TEST(test_bodies_share_outwards_only)
{
    np_node *outer = np_build_1(b, NP_EXP, v), *s = open_scan(1, &x, 1);
    ck_assert_ptr_eq(np_build_1(b, NP_EXP, v), outer);
    np_node *in = np_build_1(b, NP_SIN, v);
    ck_assert_ptr_eq(in->in, s->body[0]);
    np_build_close(b, s, 1, &in);
    np_node *after = np_build_1(b, NP_SIN, v);
    ck_assert_ptr_ne(after, in);
    ck_assert_ptr_eq(after->in, &f->top);
    np_node *t = open_scan(1, &x, 1);
    ck_assert_ptr_eq(np_build_1(b, NP_SIN, v), after);
    np_build_close(b, t, 1, &after);
}
END_TEST

START_TEST(test_cond)
{
    np_node *yes = np_build_num(b, np_type_scalar(cx, NP_BOOL), 1), *e = np_build_1(b, NP_EXP, v);
    np_node *c = np_build_open(b, NP_COND, 1, &yes, NULL);
    np_build_else(b, c, 2, (np_node *[]){v, x});
    ck_assert_ptr_eq(b->at, c->body[1]);
    c = np_build_close(b, c, 2, (np_node *[]){e, y});
    ck_assert_str_eq(np_type_str(cx, c->type), "(f32[4], f32[T,4])");
    c = np_build_open(b, NP_COND, 1, &yes, NULL);
    np_build_else(b, c, 1, &v);
    ck_assert_int_eq(np_build_close(b, c, 1, &x)->op, NP_BAD);
    expect_error(cx, 1, "cond: %v f32[4] on one side, %x f32[T,4] on the other");
    c = np_build_open(b, NP_COND, 1, &yes, NULL);
    np_build_else(b, c, 1, (np_node *[]){np_build_2(b, NP_ADD, x, v)});
    ck_assert_int_eq(np_build_close(b, c, 1, &v)->op, NP_BAD); /* what is bad in the first half is not lost */
}
END_TEST

START_TEST(test_states_must_stay)
{
    np_node *s = open_scan(2, (np_node *[]){x, v}, 1), *h = np_build_reduce(b, v, "sum", 0);
    ck_assert_int_eq(np_build_close(b, s, 1, &h)->op, NP_BAD);
    expect_error(cx, 1, "scan: the state %v f32[4] becomes a value made by reduce f32");
    s = open_scan(2, (np_node *[]){x, v}, 1);
    ck_assert_int_eq(np_build_close(b, s, 0, NULL)->op, NP_BAD);
    expect_error(cx, 2, "scan: 1 values are carried and the body yields 0");
    s = np_build_open(b, NP_SCAN, 1, &v, &(np_extra){.attr = {np_dim_const(cx, 1), T}});
    ck_assert_int_eq(s->op, NP_BAD);
    expect_error(cx, 3, "scan over T steps: axis 0 of %v f32[4] has another size");
}
END_TEST

START_TEST(test_loops_and_memory)
{
    np_fn *g = np_fn_new(m, "loops", NP_STAGE_LOOP);
    np_mod_put(m, g);
    b = np_build_new(g);
    np_node *in = np_build_param(b, NP_IN, "in", tensor(NP_F32, 1, T, NULL)),
            *out = np_build_param(b, NP_OUT, "out", in->type);
    ck_assert(g->ninputs == 1 && g->nouts == 1 && g->out_type[0] == in->type &&
              strcmp(g->out_name[0], "out") == 0);
    np_node *sum = np_build_num(b, np_type_scalar(cx, NP_F32), 1);
    np_node *l = np_build_open(b, NP_LOOP, 1, &sum, &(np_extra){.attr = {T}});
    np_block *body = l->body[0];
    ck_assert(np_dim_is(l->attr[1], 0) && np_dim_is(l->attr[2], 1));
    ck_assert(body->nparams == 2 && body->param[0]->type == np_type_scalar(cx, NP_I64) &&
              body->param[1]->type == sum->type);
    np_node *i = body->param[0], *a = np_build_load(b, in, 1, &i);
    ck_assert_ptr_ne(np_build_load(b, in, 1, &i), a); /* a store may stand between two loads */
    np_node *next = np_build_2(b, NP_ADD, body->param[1], a);
    np_build_store(b, out, next, 1, &i);
    ck_assert(np_has_effect(body->last) && !np_has_effect(a));
    l = np_build_close(b, l, 1, &next);
    ck_assert(l->type == sum->type && np_has_effect(l));
    np_node *p = np_build_alloc(b, "p", in->type), *q = np_build_alloc(b, "q", in->type);
    ck_assert(p != q && np_dim_is(p->attr[0], -1) && strcmp(p->name, "p") == 0);
    np_build_load(b, in, 1, &sum);
    expect_error(cx, 1, "load: index a value made by const f32 is not an i64");
    np_build_load(b, in, 0, NULL);
    expect_error(cx, 2, "load: 0 indices for %in f32[T]");
    np_build_ret(b, 0, NULL, 0, NULL);
    ck_assert_int_eq(g->nouts, 1); /* told by the parameters */
}
END_TEST

START_TEST(test_ret)
{
    np_node *e = np_build_1(b, NP_EXP, x);
    np_build_ret(b, 2, (const char *[]){"y", "z"}, 3, (np_node *[]){e, x, v});
    ck_assert(f->nouts == 2 && f->nstates == 1 && f->ninputs == 2);
    ck_assert(strcmp(f->out_name[1], "z") == 0 && f->out_type[0] == e->type);
    ck_assert(f->top.last->op == NP_RET && f->top.last->nargs == 3);
}
END_TEST

/* ---- our own mistakes end the process with 3 */
static int status_of(void (*fn)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
        fn();
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
static void use_from_another_body(void)
{
    np_node *s = open_scan(1, &x, 1), *in = np_build_1(b, NP_EXP, s->body[0]->param[0]);
    np_build_close(b, s, 1, &in);
    np_build_1(b, NP_SIN, in);
}
static void feed_from_inside_itself(void)
{
    np_node *s = open_scan(1, &x, 1);
    np_build_feed(b, s, np_build_iota(b, T)); /* made in the body */
}
static void close_the_outer_one(void)
{
    np_node *s = open_scan(1, &x, 1);
    open_scan(1, &y, 1);
    np_build_close(b, s, 0, NULL);
}
static void ret_in_a_body(void)
{
    open_scan(1, &x, 1);
    np_build_ret(b, 0, NULL, 0, NULL);
}
static void nothing(void) {}
START_TEST(test_bugs)
{
    ck_assert_int_eq(status_of(nothing), 0);
    ck_assert_int_eq(status_of(use_from_another_body), 3);
    ck_assert_int_eq(status_of(feed_from_inside_itself), 3);
    ck_assert_int_eq(status_of(close_the_outer_one), 3);
    ck_assert_int_eq(status_of(ret_in_a_body), 3);
}
END_TEST

START_TEST(test_module)
{
    np_fn *g = np_fn_new(m, "g", NP_STAGE_TENSOR), *g2 = np_fn_new(m, "g", NP_STAGE_TENSOR);
    np_mod_put(m, g);
    ck_assert(m->nfns == 2 && np_mod_fn(m, "g") == g && np_mod_fn(m, "main") == f && !np_mod_fn(m, "h"));
    np_mod_put(m, g2); /* frees g */
    ck_assert(m->nfns == 2 && np_mod_fn(m, "g") == g2);
    np_mod_drop(m, "g");
    np_mod_drop(m, "g");
    ck_assert(m->nfns == 1 && !np_mod_fn(m, "g"));
}
END_TEST

static np_weight *product(const np_weight *one, const np_weight *two, const char *spec)
{
    np_fn *by = np_fn_new(m, "made", NP_STAGE_TENSOR);
    np_build *in = np_build_new(by);
    np_node *both = np_build_contract(in, np_build_weight(in, one->name), np_build_weight(in, two->name), spec);
    np_build_ret(in, 1, (const char *[]){"w"}, 1, &both);
    np_fn_sweep(by);
    return np_mod_made(m, by);
}
START_TEST(test_weights)
{
    const np_type *t = tensor(NP_F32, 2, np_dim_const(cx, 3), k4);
    np_loc at = {np_str_new(cx, "m.lua"), 3, NULL};
    np_weight *w = np_mod_declare(m, at, "embed", t);
    ck_assert(w && np_mod_declare(m, at, "embed", t) == w && np_mod_weight(m, "embed") == w);
    ck_assert_ptr_null(np_mod_declare(m, at, "embed", tensor(NP_F32, 1, k4, NULL)));
    expect_error(cx, 1, "weight embed is f32[4] here and f32[3,4] at line 3");
    ck_assert_ptr_null(np_mod_declare(m, at, "t", x->type));
    expect_error(cx, 2, "weight t f32[T,4]: the sizes of a weight are numbers");
    np_weight *d = np_mod_derive(m, w, "ab->ba", 0);
    ck_assert_str_eq(d->name, "embed.ba");
    ck_assert_str_eq(np_type_str(cx, d->type), "f32[4,3]");
    ck_assert_ptr_eq(np_weight_origin(m, d), w);
    ck_assert_ptr_eq(np_mod_derive(m, w, "xy->yx", 0), d); /* the same order in other letters */
    np_weight *c = np_mod_declare(m, at, "cube", np_type_insert(cx, t, 0, np_dim_const(cx, 2)));
    np_mod_declare(m, at, "cube.bca", t); /* a stored weight that happens to be called so */
    np_weight *p = np_mod_derive(m, c, "abc->bca", 0), *q = np_mod_derive(m, c, "cab->bca", 0);
    ck_assert(p != q && !np_mod_weight(m, "cube.bca")->by);
    ck_assert_str_eq(np_type_str(cx, p->type), "f32[3,4,2]");
    ck_assert_str_eq(np_type_str(cx, q->type), "f32[4,2,3]");
    ck_assert_ptr_eq(np_mod_derive(m, c, "abc->bca", 0), p);
    np_weight *other = np_mod_declare(m, at, "v", t), *r = product(w, other, "xi,yi->xy");
    ck_assert_str_eq(r->name, "embed.by.v");
    ck_assert_str_eq(np_type_str(cx, r->type), "f32[3,3]");
    ck_assert_ptr_eq(product(w, other, "xi,yi->xy"), r);
    ck_assert_str_eq(np_type_str(cx, product(w, other, "ix,iy->yx")->type), "f32[4,4]");
    ck_assert_ptr_eq(np_build_weight(b, "embed")->type, t);
    ck_assert_int_eq(np_build_weight(b, "embedd")->op, NP_BAD);
    expect_error(cx, 3, "weight $embedd is not declared");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_shares,
                                  test_shares_many,
                                  test_constants_stand_last,
                                  test_hints_and_places,
                                  test_bad_is_silent,
                                  test_scan,
                                  test_feed,
                                  test_feed_from_inside,
                                  test_feed_wrong_time,
                                  test_bodies_share_outwards_only,
                                  test_cond,
                                  test_states_must_stay,
                                  test_loops_and_memory,
                                  test_ret,
                                  test_bugs,
                                  test_module,
                                  test_weights};
    return run_tests("build", setup, teardown, tests, NP_LEN(tests));
}
