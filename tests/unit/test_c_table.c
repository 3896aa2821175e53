/* A generated file as the runtime sees it: it compiles with np_rt.h in it, its
 * table says what the entries take, and prefill and step read the states that
 * the other wrote. The table is called here as the runtime would call it. */
#include "core.h"
#include "context.h"

#include "backends/backends.h"
#include "passes/passes.h"
#define np_block np_block_of_a_session /* the compiler has another */
#include "runtime/np_rt.h"
#undef np_block
#include "tests/same.h"

#include <dlfcn.h>
#include <math.h>
#include <unistd.h>

/* A decaying sum that starts at a weight, and a memory of all positions that grows along its second axis. */
static const char text[] = "dim T in 1..6 time\n"
                           "dim N in 0..15 past\n"
                           "weight $start f32[4]\n"
                           "weight $half f32[3,4]\n"
                           "weight $mix f32[4,4]\n"
                           "fn @main(%tokens i32[T]) -> (y f32[T,4], z f32[2,T]) {\n"
                           "  %table f32[3,4] = weight $half\n"
                           "  %x f32[T,4] = gather %table %tokens\n"
                           "  %s0 f32[4] = weight $start\n"
                           "  %r (f32[T,4], f32[4]) = scan %x %s0 seq=1 n=T {\n"
                           "    with %xt f32[4], %st f32[4]\n"
                           "    %g f32[4] = sigmoid %xt\n"
                           "    %m f32[4] = mul %g %st\n"
                           "    %n f32[4] = add %m %xt\n"
                           "    yield %n %n\n"
                           "  }\n"
                           "  %y0 f32[T,4] = pick %r i=0\n"
                           "  %m f32[4,4] = weight $mix\n"
                           "  %y f32[T,4] = contract %y0 %m \"tk,nk->tn\"\n"
                           "  %h f32[T,2,2] = split %x axis=1 n=2\n"
                           "  %k f32[2,T,2] = permute %h \"thk->htk\"\n"
                           "  %all f32[2,N+T,2] = append %k axis=1 n=N\n"
                           "  %p i32[N+T] = iota n=N+T\n"
                           "  %q0 i32[T] = iota n=T\n"
                           "  %n i32 = size n=N\n"
                           "  %nt i32[T] = expand %n axis=0 n=T\n"
                           "  %q i32[T] = add %q0 %nt\n"
                           "  %pj i32[T,N+T] = expand %p axis=0 n=T\n"
                           "  %qt i32[T,N+T] = expand %q axis=1 n=N+T\n"
                           "  %see bool[T,N+T] = le %pj %qt\n"
                           "  %sum f32[2,T,N+T] = contract %k %all \"htk,hjk->htj\"\n"
                           "  %see2 bool[2,T,N+T] = expand %see axis=0 n=2\n"
                           "  %zero f32[2,T,N+T] = const 0\n"
                           "  %seen f32[2,T,N+T] = select %see2 %sum %zero\n"
                           "  %z f32[2,T] = reduce %seen \"sum\" axis=2\n"
                           "  ret %y %z\n"
                           "}\n";
static const uint16_t halves[12] = {0x3c00, 0xbc00, 0x3800, 0x3555, 0x4000, 0xb000,
                                    0x0001, 0x2e66, 0xc248, 0x3a00, 0x0000, 0x3400};

typedef struct built {
    np_mod *m;
    np_fn *whole; /* not lowered */
    void *handle;
    const np_rt_model *table;
} built;
static built build(void)
{
    built b = {.m = np_parse(cx, "table.np", text, sizeof text - 1)};
    ck_assert_msg(b.m && cx->nerrors == 0, "%s", cx->ndiags ? cx->diag[0].text : "?");
    np_weight *half = np_mod_weight(b.m, "half");
    half->data = halves;
    half->stored = NP_F16;
    np_same_weights(b.m);
    ck_assert_int_eq(np_stream_derive(b.m), NP_OK);
    ck_assert_ptr_nonnull(np_mod_fn(b.m, "step"));
    b.whole = np_fn_copy(np_mod_fn(b.m, "whole"));
    np_pipeline_opts o = {.knobs = {.lanes = 32, .rows = 4, .chunk = 1}};
    for (int i = 0; i < b.m->nfns; i++)
        if (strcmp(b.m->fn[i]->name, "main") != 0) np_mod_put(b.m, np_pipeline_run(b.m->fn[i], &o));
    np_program p = {.mod = b.m,
                    .target = np_target_find(cx, "generic"),
                    .name = "table",
                    .title = "a table",
                    .runtime = "#include \"np_rt.h\"\nint rt_was_here = 1;\n",
                    .data = "int data_was_here = 1;\n"};
    np_text code = {0};
    ck_assert_int_eq(np_backend_find("c")->emit(cx, &p, &code), NP_OK);
    char dir[] = "/tmp/neap-test-table-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    np_str so = np_str_fmt(cx, "%s/t.so", dir);
    np_status st = np_cc_build(cx, NP_CC_SO, code.s, code.n, "-O1 -Wall -Wextra -pedantic -Werror", so);
    ck_assert_msg(st == NP_OK, "%s", cx->ndiags ? cx->diag[cx->ndiags - 1].text : "?");
    b.handle = dlopen(so, RTLD_NOW);
    unlink(so), rmdir(dir);
    ck_assert_ptr_nonnull(b.handle);
    ck_assert_ptr_nonnull(dlsym(b.handle, "rt_was_here"));
    ck_assert_ptr_nonnull(dlsym(b.handle, "data_was_here"));
    b.table = dlsym(b.handle, "np_rt_this");
    ck_assert_ptr_nonnull(b.table);
    ck_assert_int_eq(strncmp(strstr(code.s, "*/\n") + 3, "#define _XOPEN_SOURCE", 21), 0);
    np_text_free(&code);
    return b;
}
static void drop(built *b)
{
    dlclose(b->handle);
    np_fn_free(b->whole);
    np_mod_free(b->m);
}

START_TEST(test_fields)
{
    built b = build();
    const np_rt_model *t = b.table;
    ck_assert(t->ninputs == 1 && t->nouts == 2 && t->nstates == 2);
    ck_assert_str_eq(t->input[0].name, "tokens");
    ck_assert(t->input[0].dtype == NP_RT_I32 && t->input[0].rank == 1 && t->input[0].dim[0] == -1);
    ck_assert(t->out[0].dtype == NP_RT_F32 && t->out[0].rank == 2 && t->out[0].dim[0] == -1 &&
              t->out[0].dim[1] == 4);
    ck_assert_str_eq(t->out[1].name, "z");
    ck_assert(t->max_T == 6 && t->max_N == 16);
    ck_assert(t->prefill && t->step && t->whole && t->init && t->setup);
    size_t end = 0;
    for (int i = 0; i < t->nstates; i++) {
        size_t bytes = 4;
        for (int k = 0; k < t->state[i].rank; k++) bytes *= (size_t)t->state[i].dim[k];
        ck_assert(t->state_at[i] % 64 == 0 && t->state_at[i] >= end);
        end = t->state_at[i] + bytes;
    }
    ck_assert(t->state_bytes >= end && t->state_bytes % 64 == 0);
    ck_assert_uint_eq(t->weight_bytes, 16 + 24 + 64); /* one is kept in halves */
    ck_assert_uint_ne(t->id, 0);
    drop(&b);
}
END_TEST

/* Both outputs of all positions, fed in pieces. */
static void feed(const np_rt_model *t, const int32_t *token, int n, const int *piece, float *y, float *z)
{
    char *state = aligned_alloc(64, t->state_bytes),
         *work = aligned_alloc(64, (t->work_bytes + 63) / 64 * 64 + 64);
    memset(state, 0xff, t->state_bytes); /* NaN: init must write what it promises */
    t->init(NULL, state, work);
    for (int at = 0; at < n; piece++) {
        float part[2 * 6];
        int32_t in[6];
        int T = *piece;
        memcpy(in, token + at, (size_t)T * sizeof *in);
        (T == 1 ? t->step : t->prefill)(T, at, (void *[]){in}, state, (void *[]){y + 4 * at, part}, work);
        for (int h = 0; h < 2; h++)
            for (int i = 0; i < T; i++) z[h * n + at + i] = part[h * T + i];
        at += T;
    }
    free(state), free(work);
}
START_TEST(test_pieces)
{
    enum { LEN = 6 };
    static const int pieces[][LEN] = {{6}, {1, 1, 1, 1, 1, 1}, {3, 1, 1, 1}, {1, 5}, {2, 4}};
    built b = build();
    int32_t token[LEN] = {2, 0, 1, 1, 2, 0};
    np_tensor in = np_tensor_new(NP_I32, 1, (int64_t[]){LEN}), want[2];
    for (int i = 0; i < LEN; i++) in.data[i] = token[i];
    ck_assert_int_eq(np_eval(b.whole, &in, want, NULL, (np_eval_opts){.exact = true}), NP_OK);
    char *heap = malloc(b.table->setup_bytes + 1);
    b.table->setup(heap);
    for (size_t k = 0; k < NP_LEN(pieces); k++) {
        float y[4 * LEN], z[2 * LEN];
        feed(b.table, token, LEN, pieces[k], y, z);
        for (int i = 0; i < 4 * LEN; i++)
            ck_assert_msg(fabs((double)y[i] - want[0].data[i]) < 1e-5, "y[%d] of split %zu: %g, not %g", i, k,
                          (double)y[i], want[0].data[i]);
        for (int i = 0; i < 2 * LEN; i++)
            ck_assert_msg(fabs((double)z[i] - want[1].data[i]) < 1e-5, "z[%d] of split %zu: %g, not %g", i, k,
                          (double)z[i], want[1].data[i]);
    }
    free(heap);
    np_tensor_free(&in), np_tensor_free(&want[0]), np_tensor_free(&want[1]);
    drop(&b);
}
END_TEST
START_TEST(test_identity)
{
    built a = build(), b = build();
    ck_assert_uint_eq(a.table->id, b.table->id);
    drop(&b);
    char id[32];
    snprintf(id, sizeof id, "0x%016llx", (unsigned long long)a.table->id);
    static const char *const names[] = {"half", "start", "mix"};
    for (size_t i = 0; i < NP_LEN(names);
         i++) { /* another model if one bit of a weight differs, whatever its layout */
        np_weight *w = np_mod_weight(a.m, names[i]);
        const void *was = w->data;
        size_t bytes = (size_t)np_dtype_size(w->stored) * (i == 0 ? 12 : i == 1 ? 4 : 16);
        unsigned char *other = np_arena_copy(&cx->perm, was, bytes);
        other[bytes - 2] ^= 1;
        w->data = other;
        np_program p = {.mod = a.m,
                        .target = np_target_find(cx, "generic"),
                        .name = "table",
                        .title = "a table",
                        .runtime = ""};
        np_text code = {0};
        ck_assert_int_eq(np_backend_find("c")->emit(cx, &p, &code), NP_OK);
        ck_assert_msg(!strstr(code.s, id), "%s is not part of the model's identity", names[i]);
        np_text_free(&code);
        w->data = was;
    }
    drop(&a);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {test_fields, test_pieces, test_identity};
    return run_tests("c_table", setup, teardown, tests, NP_LEN(tests));
}
