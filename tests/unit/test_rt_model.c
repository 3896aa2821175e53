/* Sessions: tokens in, logits out, whatever the blocks are; what is refused. */
#include "suite.h"

#include "rt_fake.h"

const np_rt_model np_rt_this = {.name = "none"};
const np_rt_vocab np_rt_vocab_this = {.kind = NP_RT_IDS};

static const np_rt_model *const models[] = {&fake_fixed, &fake_growing};

/* Every way of cutting 20 tokens in two or three gives the same logits. */
static void blocks(const np_rt_model *m)
{
    int32_t token[20];
    for (int i = 0; i < 20; i++) token[i] = i * i % FAKE_V;
    np_session *s = fake_open(m, &fake_ids);
    ck_assert_ptr_null(np_logits(s));
    ck_assert_int_eq(np_vocabulary(s), FAKE_V);
    ck_assert_int_eq(np_block(s), FAKE_BLOCK);
    ck_assert_int_eq(np_context(s), m->max_N);
    for (int a = 0; a <= 20; a++) {
        for (int b = a; b <= 20; b++) {
            np_reset(s);
            ck_assert_ptr_null(np_logits(s));
            ck_assert_ptr_null(np_feed(s, token, a));
            if (a) fake_expect_read(s, token, a);
            ck_assert_ptr_null(np_feed(s, token + a, b - a));
            ck_assert_ptr_null(np_feed(s, token + b, 20 - b));
            fake_expect_read(s, token, 20);
        }
    }
    np_close(s);
}

START_TEST(test_blocks)
{
    blocks(&fake_fixed);
    blocks(&fake_growing);
}
END_TEST

static void block_logits(const np_rt_model *m)
{
    int32_t token[FAKE_BLOCK + 1] = {5, 4, 3, 2, 1, 0, 299, 7, 7};
    float want[FAKE_V];
    int64_t rows = 77;
    np_session *s = fake_open(m, &fake_ids);
    ck_assert_ptr_null(np_block_logits(s, &rows));
    ck_assert_int_eq(rows, 0);
    for (int n = 1; n <= FAKE_BLOCK; n++) {
        np_reset(s);
        ck_assert_ptr_null(np_feed(s, token, n));
        const float *x = np_block_logits(s, &rows);
        ck_assert_int_eq(rows, n);
        for (int i = 0; i < n; i++) {
            fake_expect(m, token, i + 1, want);
            ck_assert_mem_eq(x + i * FAKE_V, want, sizeof want);
        }
    }
    np_close(s);
}

START_TEST(test_block_logits)
{
    block_logits(&fake_fixed);
    block_logits(&fake_growing);
}
END_TEST

/* A refused call reads nothing. */
START_TEST(test_refused_tokens)
{
    static const int32_t bad[] = {-1, FAKE_V, INT32_MIN, INT32_MAX};
    int32_t token[12] = {1, 2, 3};
    for (int k = 0; k < 2; k++) {
        np_session *s = fake_open(models[k], &fake_ids);
        ck_assert_ptr_null(np_feed(s, token, 3));
        for (size_t i = 0; i < LEN(bad); i++) {
            int32_t more[12] = {9};
            more[11] = bad[i];
            const char *why = np_feed(s, more, 12);
            ck_assert_ptr_nonnull(why);
            ck_assert_ptr_nonnull(strstr(why, "there is no token"));
            fake_expect_read(s, token, 3);
        }
        ck_assert_ptr_null(np_feed(s, NULL, 0));
        fake_expect_read(s, token, 3);
        np_close(s);
    }
}
END_TEST

START_TEST(test_context)
{
    int32_t token[FAKE_CONTEXT + 1] = {0};
    np_session *s = fake_open(&fake_growing, &fake_ids);
    ck_assert_int_eq(np_room(s), FAKE_CONTEXT);
    const char *why = np_feed(s, token, FAKE_CONTEXT + 1);
    ck_assert_str_eq(why, "41 tokens do not fit: 0 of the model's 40 positions are taken");
    ck_assert_int_eq(np_position(s), 0);
    ck_assert_ptr_null(np_feed(s, token, FAKE_CONTEXT));
    fake_expect_read(s, token, FAKE_CONTEXT);
    ck_assert_int_eq(np_room(s), 0);
    ck_assert_ptr_nonnull(np_feed(s, token, 1));
    fake_expect_read(s, token, FAKE_CONTEXT);
    np_close(s);
    s = fake_open(&fake_fixed, &fake_ids);
    ck_assert_ptr_null(np_feed(s, token, 3));
    ck_assert(np_room(s) == INT64_MAX);
    np_close(s);
}
END_TEST

/* Sessions of one model do not disturb each other; unpacked weights stay until the last one is closed. */
START_TEST(test_sessions)
{
    int32_t a[] = {1, 2, 3}, b[] = {200, 100};
    fake_setups = 0;
    np_session *s = fake_open(&fake_growing, &fake_ids), *t = fake_open(&fake_growing, &fake_ids);
    ck_assert_int_eq(fake_setups, 1);
    ck_assert_ptr_null(np_feed(s, a, 2));
    ck_assert_ptr_null(np_feed(t, b, 2));
    np_session *u = fake_open(&fake_fixed, &fake_ids);
    np_close(s);
    fake_expect_read(t, b, 2);
    s = fake_open(&fake_growing, &fake_ids);
    ck_assert_int_eq(fake_setups, 1);
    ck_assert_ptr_null(np_feed(s, a, 3));
    fake_expect_read(s, a, 3);
    np_close(t);
    np_close(u);
    np_close(s);
    s = fake_open(&fake_growing, &fake_ids);
    ck_assert_int_eq(fake_setups, 2);
    np_close(s);
    np_close(NULL);
}
END_TEST

START_TEST(test_no_prefill)
{
    np_rt_model m = fake_fixed;
    int32_t token[20] = {3, 1, 4, 1, 5, 9};
    m.prefill = NULL;
    np_session *s = fake_open(&m, &fake_ids);
    ck_assert_int_eq(np_block(s), 1);
    ck_assert_ptr_null(np_feed(s, token, 20));
    fake_expect_read(s, token, 20);
    np_close(s);
}
END_TEST

/* [1,T] and [1,T,V] are text, too. */
START_TEST(test_batch_of_one)
{
    static const np_rt_port in = {"tokens", NP_RT_I32, 2, {1, -1}},
                            out = {"logits", NP_RT_F32, 3, {1, -1, FAKE_V}};
    np_rt_model m = fake_fixed;
    int32_t token[9] = {8};
    m.input = &in;
    m.out = &out;
    np_session *s = fake_open(&m, &fake_ids);
    ck_assert_ptr_null(np_feed(s, token, 9));
    fake_expect_read(s, token, 9);
    np_close(s);
}
END_TEST

static void expect_refused(const np_rt_model *m, const char *text)
{
    const char *why = NULL;
    ck_assert_ptr_null(np_open_model(m, &fake_ids, &why));
    ck_assert_msg(why && strstr(why, text), "wanted '%s', got '%s'", text, why);
    ck_assert_ptr_null(np_open_model(m, &fake_ids, NULL));
}

START_TEST(test_refused_models)
{
    static const np_rt_port bad_in[] = {{"x", NP_RT_I32, 1, {-1}},      {"tokens", NP_RT_F32, 1, {-1}},
                                        {"tokens", NP_RT_I32, 1, {16}}, {"tokens", NP_RT_I32, 2, {2, -1}},
                                        {"tokens", NP_RT_I32, 0, {0}},  {"tokens", NP_RT_I32, 2, {-4, -1}}};
    static const np_rt_port bad_out[] = {
        {"hidden", NP_RT_F32, 2, {-1, 16}},       {"logits", 5, 2, {-1, 16}},
        {"logits", NP_RT_F32, 1, {16}},           {"logits", NP_RT_F32, 2, {-1, -2}},
        {"logits", NP_RT_F32, 2, {16, -1}},       {"logits", NP_RT_F32, 2, {-1, 0}},
        {"logits", NP_RT_F32, 2, {-1, INT64_MAX}}};
    static const np_rt_port huge[] = {{"logits", NP_RT_F32, 2, {-1, FAKE_V}},
                                      {"x", NP_RT_F32, 3, {1 << 30, 1 << 30, 1 << 30}}};
    static const np_rt_port no_limit[] = {{"logits", NP_RT_F32, 2, {-1, FAKE_V}}, {"x", NP_RT_F32, 1, {-3}}};
    static const np_rt_port no_type[] = {{"logits", NP_RT_F32, 2, {-1, FAKE_V}}, {"x", 9, 1, {3}}};
    for (size_t i = 0; i < LEN(bad_in); i++) {
        np_rt_model m = fake_fixed;
        m.input = &bad_in[i];
        expect_refused(&m, "does not read text");
    }
    for (size_t i = 0; i < LEN(bad_out); i++) {
        np_rt_model m = fake_fixed;
        m.out = &bad_out[i];
        expect_refused(&m, "does not predict text");
    }
    np_rt_model m = fake_fixed;
    m.ninputs = 0;
    expect_refused(&m, "does not read text");
    m = fake_fixed;
    m.nouts = 0;
    expect_refused(&m, "does not predict text");
    m = fake_fixed;
    m.step = NULL;
    expect_refused(&m, "has no step");
    for (int i = 0; i < 3; i++) {
        m = fake_fixed;
        m.nouts = 2;
        m.out = i == 0 ? huge : i == 1 ? no_limit : no_type;
        expect_refused(&m, "not enough memory");
    }
    m = fake_fixed;
    m.max_T = INT64_MAX;
    expect_refused(&m, "not enough memory");
    m = fake_fixed;
    m.state_bytes = SIZE_MAX - 10;
    expect_refused(&m, "not enough memory");
    m = fake_growing;
    m.setup_bytes = SIZE_MAX - 10;
    expect_refused(&m, "not enough memory");
    const char *why = NULL;
    ck_assert_ptr_null(np_open(&why));
    ck_assert_ptr_nonnull(why);
}
END_TEST

/* The runtime knows element types by their place in ir/dtypes.def. */
START_TEST(test_dtypes)
{
#define NP_DTYPE(id, text, bytes, kind) TYPE_##id,
    enum {
        NO_TYPES = -1,
#include "ir/dtypes.def"
        TYPES
    };
#undef NP_DTYPE
#define NP_DTYPE(id, text, bytes, kind) bytes,
    static const size_t size[] = {
#include "ir/dtypes.def"
    };
#undef NP_DTYPE
    ck_assert_int_eq(NP_RT_I32, TYPE_I32);
    ck_assert_int_eq(NP_RT_I64, TYPE_I64);
    ck_assert_int_eq(NP_RT_F32, TYPE_F32);
    for (int d = 0; d < TYPES; d++) {
        np_rt_port out[] = {{"logits", NP_RT_F32, 2, {-1, FAKE_V}}, {"x", d, 1, {1 << 20}}};
        np_rt_model m = fake_fixed;
        m.nouts = 2;
        m.out = out;
        np_session *s = fake_open(&m, &fake_ids);
        ck_assert_uint_eq((size_t)((char *)s->kept - (char *)s->out[1]), size[d] << 20);
        np_close(s);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_blocks,       test_block_logits,   test_refused_tokens,
                                  test_context,      test_sessions,       test_no_prefill,
                                  test_batch_of_one, test_refused_models, test_dtypes};
    return run_tests("rt_model", NULL, NULL, tests, LEN(tests));
}
