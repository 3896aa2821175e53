/* Checkpoints of every kind: real ones, small ones made here, hostile ones. */
#include "doors.h"

#include <sys/stat.h>

/* ---- llama2.c. A model of dim 4, hidden 6, 2 layers, 2 heads (1 for keys),
 * 3 tokens, 5 positions; the weights count up from 0, so every tensor tells
 * where in the file it lies. */
enum {
    DIM = 4,
    HIDDEN = 6,
    LAYERS = 2,
    HEADS = 2,
    KV_HEADS = 1,
    VOCAB = 3,
    POSITIONS = 5,
    KV = DIM / HEADS * KV_HEADS
};
enum {
    TIED = VOCAB * DIM + LAYERS * (2 * DIM + 2 * DIM * DIM + 2 * KV * DIM + 3 * HIDDEN * DIM) + DIM +
           POSITIONS * DIM / HEADS,
    UNTIED = TIED + VOCAB * DIM
};

static size_t tiny(unsigned char **out, bool tied)
{
    int32_t head[7] = {DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, tied ? VOCAB : -VOCAB, POSITIONS};
    size_t count = tied ? TIED : UNTIED, n = sizeof head + 4 * count;
    *out = malloc(n);
    memcpy(*out, head, sizeof head);
    for (size_t i = 0; i < count; i++) memcpy(*out + sizeof head + 4 * i, &(float){(float)i}, 4);
    return n;
}

static np_checkpoint *parse(np_cx *cx, const unsigned char *p, size_t n)
{
    np_checkpoint *c = np_arena_alloc(&cx->perm, sizeof *c);
    c->path = np_str_new(cx, "m.bin");
    return np_llama2c_parse(cx, c, p, n) == NP_OK ? c : NULL;
}

static void expect_tensor(const np_checkpoint *c, const char *name, int64_t rows, int64_t cols, int first)
{
    const np_stored *s = np_tensors_find(c->tensors, name);
    ck_assert_msg(s != NULL, "%s is missing", name);
    ck_assert(s->dtype == NP_F32 && s->rank == (rows ? 2 : 1));
    ck_assert_int_eq(s->dim[0], rows ? rows : cols);
    if (rows) ck_assert_int_eq(s->dim[1], cols);
    ck_assert_uint_eq(s->bytes, (size_t)((rows ? rows : 1) * cols * 4));
    ck_assert_msg(np_tensors_get(s, 0) == first, "%s begins at %g, not %d", name, np_tensors_get(s, 0),
                  first);
}

static double number(const np_checkpoint *c, const char *key)
{
    const np_setting *s = np_settings_find(&c->config, key);
    ck_assert_msg(s != NULL, "%s is missing", key);
    return s->num;
}

/* Where each begins: the blocks of llama2.c in their order, by hand. */
START_TEST(test_llama2c)
{
    for (int tied = 0; tied < 2; tied++) {
        np_cx *cx = np_cx_new();
        unsigned char *p;
        size_t n = tiny(&p, tied);
        np_checkpoint *c = parse(cx, p, n);
        ck_assert_ptr_nonnull(c);
        ck_assert_int_eq(c->tensors->n, 2 + 9 * LAYERS + !tied);
        expect_tensor(c, "model.embed_tokens.weight", 3, 4, 0);
        expect_tensor(c, "model.layers.0.input_layernorm.weight", 0, 4, 12);
        expect_tensor(c, "model.layers.1.input_layernorm.weight", 0, 4, 16);
        expect_tensor(c, "model.layers.0.self_attn.q_proj.weight", 4, 4, 20);
        expect_tensor(c, "model.layers.1.self_attn.q_proj.weight", 4, 4, 36);
        expect_tensor(c, "model.layers.0.self_attn.k_proj.weight", 2, 4, 52);
        expect_tensor(c, "model.layers.1.self_attn.k_proj.weight", 2, 4, 60);
        expect_tensor(c, "model.layers.1.self_attn.v_proj.weight", 2, 4, 76);
        expect_tensor(c, "model.layers.1.self_attn.o_proj.weight", 4, 4, 100);
        expect_tensor(c, "model.layers.0.post_attention_layernorm.weight", 0, 4, 116);
        expect_tensor(c, "model.layers.0.mlp.gate_proj.weight", 6, 4, 124);
        expect_tensor(c, "model.layers.1.mlp.down_proj.weight", 4, 6, 196);
        expect_tensor(c, "model.layers.0.mlp.up_proj.weight", 6, 4, 220);
        expect_tensor(c, "model.norm.weight", 0, 4, 268);
        if (!tied)
            expect_tensor(c, "lm_head.weight", 3, 4, 282); /* 272 + 5 positions of 2 */
        else
            ck_assert_ptr_null(np_tensors_find(c->tensors, "lm_head.weight"));
        ck_assert_str_eq(c->model_type, "llama");
        ck_assert_str_eq(c->format, "llama2.c");
        ck_assert(number(c, "hidden_size") == 4 && number(c, "intermediate_size") == 6);
        ck_assert(number(c, "num_hidden_layers") == 2 && number(c, "num_attention_heads") == 2);
        ck_assert(number(c, "num_key_value_heads") == 1 && number(c, "vocab_size") == 3);
        ck_assert(number(c, "max_position_embeddings") == 5 && number(c, "rms_norm_eps") == 1e-5);
        ck_assert(number(c, "rope_theta") == 10000 && number(c, "rope_interleaved") == 1);
        ck_assert(number(c, "tie_word_embeddings") == tied);
        free(p);
        np_cx_free(cx);
    }
}
END_TEST

START_TEST(test_llama2c_truncated_everywhere)
{
    unsigned char *all;
    size_t size = tiny(&all, false);
    for (size_t n = 0; n < size; n++) {
        np_cx *cx = np_cx_new();
        unsigned char *p = tight(all, n);
        ck_assert_ptr_null(parse(cx, p, n));
        expect_error(cx, n < 28 ? "its header alone has 28" : "is it cut off?");
        free(p);
        np_cx_free(cx);
    }
    free(all);
}
END_TEST

/* Each field of the header set to what breaks careless arithmetic. None of
 * these files has the size that its new header asks for. */
START_TEST(test_llama2c_hostile)
{
    static const int32_t values[] = {0,       -1,      1,         7,         65536,         1 << 20,
                                     1 << 24, 1 << 30, INT32_MAX, INT32_MIN, INT32_MIN + 1, 0x616b3432};
    for (int field = 0; field < 7; field++) {
        for (size_t k = 0; k < NP_LEN(values); k++) {
            np_cx *cx = np_cx_new();
            unsigned char *p;
            size_t n = tiny(&p, true);
            int32_t old;
            memcpy(&old, p + 4 * field, 4);
            memcpy(p + 4 * field, &values[k], 4);
            np_checkpoint *c = parse(cx, p, n);
            ck_assert_msg(old == values[k] || !c, "accepted %d in field %d", values[k], field);
            ck_assert_int_eq(c == NULL, cx->nerrors == 1);
            free(p);
            np_cx_free(cx);
        }
    }
}
END_TEST

START_TEST(test_llama2c_messages)
{
    static const struct {
        int field;
        int32_t value;
        const char *error;
    } row[] = {{0, 0x616b3432, "is version 6 of llama2.c's format; only version 0 is read"},
               {0, -4, "dim in its header is -4"},
               {2, 1 << 20, "n_layers in its header is 1048576, outside 1..4096"},
               {3, 3, "3 heads (1 for keys) do not divide dim 4"},
               {3, 4, "do not divide dim 4 into even parts"},
               {4, 3, "2 heads (3 for keys) do not divide"},
               {5, 0, "vocab_size in its header is 0"},
               {5, 4, "its header asks for"}};
    for (size_t i = 0; i < NP_LEN(row); i++) {
        np_cx *cx = np_cx_new();
        unsigned char *p;
        size_t n = tiny(&p, true);
        memcpy(p + 4 * row[i].field, &row[i].value, 4);
        ck_assert_ptr_null(parse(cx, p, n));
        expect_error(cx, row[i].error);
        ck_assert_str_eq(cx->diag[0].loc.file, "m.bin");
        free(p);
        np_cx_free(cx);
    }
}
END_TEST

START_TEST(test_stories260k)
{
    const char *path = NP_SOURCE_DIR "/../shared/data/stories260k/stories260K.bin";
    if (access(path, R_OK) != 0) {
        puts("test_checkpoint: stories260k is absent, skipped");
        return;
    }
    np_cx *cx = np_cx_new();
    np_checkpoint *c = np_checkpoint_open(cx, path);
    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(c->dir, NP_SOURCE_DIR "/../shared/data/stories260k");
    ck_assert(number(c, "hidden_size") == 64 && number(c, "num_hidden_layers") == 5); /* its README */
    ck_assert(number(c, "num_attention_heads") == 8 && number(c, "num_key_value_heads") == 4);
    ck_assert(number(c, "vocab_size") == 512 && number(c, "tie_word_embeddings") == 1);
    const np_stored *norm = np_tensors_find(c->tensors, "model.norm.weight");
    for (int i = 0; i < 64; i++) ck_assert(np_tensors_get(norm, i) > 0.1 && np_tensors_get(norm, i) < 100);
    np_cx_free(cx);
}
END_TEST

/* ---- ggmf: a matrix of 2 rows of 3 in f32 and a vector of 2 in f16, by hand. */
static size_t small(unsigned char **out)
{
    static const uint32_t head[6] = {0x67676d66, 101, 7, 3, 2, 1}, a[5] = {2, 5, 0, 3, 2},
                          b[4] = {1, 1, 1, 2};
    static const uint16_t half[2] = {0x3c00, 0xc000};
    unsigned char *p = *out = malloc(256), *at = p;
    memcpy(at, head, sizeof head), at += sizeof head;
    memcpy(at, a, sizeof a), at += sizeof a;
    memcpy(at, "a.mat", 5), at += 5;
    for (int i = 0; i < 6; i++, at += 4) memcpy(at, &(float){(float)i}, 4);
    memcpy(at, b, sizeof b), at += sizeof b;
    memcpy(at, "v", 1), at += 1;
    memcpy(at, half, sizeof half), at += sizeof half;
    return (size_t)(at - p);
}

static np_checkpoint *parse_ggmf(np_cx *cx, const unsigned char *p, size_t n)
{
    np_checkpoint *c = np_arena_alloc(&cx->perm, sizeof *c);
    c->path = np_str_new(cx, "m.bin");
    return np_ggmf_parse(cx, c, p, n) == NP_OK ? c : NULL;
}

START_TEST(test_ggmf)
{
    np_cx *cx = np_cx_new();
    unsigned char *p;
    size_t n = small(&p);
    np_checkpoint *c = parse_ggmf(cx, p, n);
    ck_assert_ptr_nonnull(c);
    ck_assert_int_eq(c->tensors->n, 2);
    const np_stored *a = np_tensors_find(c->tensors, "a.mat"), *v = np_tensors_find(c->tensors, "v");
    ck_assert(a && a->rank == 2 && a->dim[0] == 2 && a->dim[1] == 3 && a->dtype == NP_F32);
    ck_assert(np_tensors_get(a, 0) == 0 && np_tensors_get(a, 5) == 5);
    ck_assert(v && v->rank == 1 && v->dim[0] == 2 && v->dtype == NP_F16);
    ck_assert(np_tensors_get(v, 0) == 1 && np_tensors_get(v, 1) == -2);
    ck_assert_ptr_null(c->model_type);
    ck_assert_str_eq(c->format, "ggmf");
    ck_assert(number(c, "vocab_size") == 7 && number(c, "hidden_size") == 3);
    ck_assert(number(c, "num_hidden_layers") == 2);
    ck_assert_str_eq(np_settings_find(&c->config, "checkpoint_format")->str, "ggmf");
    free(p);
    np_cx_free(cx);
}
END_TEST

/* Whole only where a tensor ends: the header alone has none, one tensor is a file. */
START_TEST(test_ggmf_truncated_everywhere)
{
    unsigned char *all;
    size_t size = small(&all);
    for (size_t n = 0; n < size; n++) {
        np_cx *cx = np_cx_new();
        unsigned char *p = tight(all, n);
        bool first = n == 24 + 20 + 5 + 24;
        ck_assert_msg((parse_ggmf(cx, p, n) != NULL) == first, "%zu bytes", n);
        if (!first) expect_error(cx, n < 24 ? "its header alone has 24" : "is it cut off?");
        free(p);
        np_cx_free(cx);
    }
    free(all);
}
END_TEST

START_TEST(test_ggmf_messages)
{
    static const struct {
        size_t at;
        uint32_t value;
        const char *error;
    } row[] = {{4, 102, "is version 102 of ggmf; versions 100 and 101 are read"},
               {8, 0, "vocab_size in its header is 0, outside 1..16777216"},
               {12, 1 << 21, "hidden_size in its header is 2097152"},
               {16, UINT32_MAX, "num_hidden_layers in its header is 4294967295"},
               {20, 8, "its data is quantized (Q5_1); only f32 and f16 are read"},
               {20, 77, "its data has element type 77, which ggmf does not know"},
               {24, 0, "tensor 0 of the file: 0 axes"},
               {24, 9, "tensor 0 of the file: 9 axes; 1 to 8 are possible"},
               {24, UINT32_MAX, "axes; 1 to 8 are possible"},
               {28, 0, "its name has 0 bytes; 1 to 1024 are possible"},
               {28, 1000, "its name takes 1000 bytes and"},
               {28, UINT32_MAX, "its name has 4294967295 bytes"},
               {32, 2, "tensor a.mat is quantized (Q4_0)"},
               {32, 1000, "tensor a.mat has element type 1000"},
               {36, 0, "tensor 0 of the file: a size of 0 is not possible"},
               {36, UINT32_MAX, "a size of 4294967295 is not possible"},
               {36, INT32_MAX, "tensor 0 of the file: a.mat takes 17179869176 bytes and"},
               {44, 0x74616d07, "its name has a control character (byte 7) at 0"}};
    for (size_t i = 0; i < NP_LEN(row); i++) {
        np_cx *cx = np_cx_new();
        unsigned char *p;
        size_t n = small(&p);
        memcpy(p + row[i].at, &row[i].value, 4);
        ck_assert_ptr_null(parse_ggmf(cx, p, n));
        expect_error(cx, row[i].error);
        ck_assert_str_eq(cx->diag[0].loc.file, "m.bin");
        free(p);
        np_cx_free(cx);
    }
}
END_TEST

START_TEST(test_ggmf_twice)
{
    np_cx *cx = np_cx_new();
    unsigned char *p;
    size_t n = small(&p), one = 20 + 5 + 24;
    memcpy(p + 24 + one, p + 24, one); /* the same tensor again */
    ck_assert_ptr_null(parse_ggmf(cx, p, 24 + 2 * one > n ? 24 + 2 * one : n));
    expect_error(cx, "tensor a.mat is there twice");
    free(p);
    np_cx_free(cx);
}
END_TEST

/* ---- folders and files */

static char dir[256];

static const char *in(const char *name)
{
    return path_in(dir, name);
}

static void put(const char *name, const char *text)
{
    put_file(in(name), text, strlen(text));
}

static void put_tensors(const char *name, const char *tensor, double value)
{
    np_cx *cx = np_cx_new();
    np_tensor t = np_tensor_new(NP_F32, 0, NULL);
    np_str key = np_str_new(cx, tensor);
    t.data[0] = value;
    ck_assert_int_eq(np_tensors_write(cx, in(name), 1, &key, &t), NP_OK);
    np_tensor_free(&t);
    np_cx_free(cx);
}

static void setup(void)
{
    new_folder(dir, sizeof dir);
}

static void teardown(void)
{
    remove_folder(dir);
}

static void expect_refused(const char *path, const char *error)
{
    np_cx *cx = np_cx_new();
    ck_assert_ptr_null(np_checkpoint_open(cx, path));
    expect_error(cx, error);
    np_cx_free(cx);
}

START_TEST(test_hf_folder)
{
    np_cx *cx = np_cx_new();
    np_checkpoint *c = np_checkpoint_open(cx, NP_SOURCE_DIR "/tests/data/hf/llama");
    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(c->format, "hf");
    ck_assert_str_eq(c->model_type, "llama");
    ck_assert_str_eq(c->dir, NP_SOURCE_DIR "/tests/data/hf/llama");
    ck_assert(number(c, "hidden_size") == 48);
    const np_stored *s = np_tensors_find(c->tensors, "lm_head.weight");
    ck_assert(s && s->dim[0] == 160 && s->dim[1] == 48);
    int64_t parameters = 0;
    for (int i = 0; i < c->tensors->n; i++) parameters += (int64_t)c->tensors->t[i].bytes / 4;
    ck_assert_int_eq(parameters, 72144); /* its README */
    c = np_checkpoint_open(cx, NP_SOURCE_DIR "/tests/data/hf/llama3-rope/");
    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(np_settings_find(&c->config, "rope_parameters.rope_type")->str, "llama3");
    ck_assert_int_eq(cx->ndiags, 0);
    np_cx_free(cx);
}
END_TEST

/* The default model: config.json beside it says "architecture". */
START_TEST(test_file_with_config)
{
    np_cx *cx = np_cx_new();
    np_checkpoint *c = np_checkpoint_open(cx, NP_SOURCE_DIR "/models/gau/model.safetensors");
    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(c->format, "safetensors");
    ck_assert_str_eq(c->model_type, "gau");
    const np_setting *s = np_settings_find(&c->config, "decays");
    ck_assert(s && s->n == 4 && s->list[3] == 0.99609375);
    c = np_checkpoint_open(cx, NP_SOURCE_DIR "/tests/data/mixers/gla-mild.safetensors");
    ck_assert(c && !c->model_type && c->config.n == 0);
    np_cx_free(cx);
}
END_TEST

START_TEST(test_shards)
{
    np_cx *cx = np_cx_new();
    put("config.json", "{\"model_type\": \"x\"}");
    put_tensors("m-1.safetensors", "a", 1);
    put_tensors("m-2.safetensors", "b", 2);
    put("model.safetensors.index.json", "{\"metadata\": {\"total_size\": 8}, \"weight_map\":"
                                        " {\"a\": \"m-1.safetensors\", \"b\": \"m-2.safetensors\"}}");
    np_checkpoint *c = np_checkpoint_open(cx, dir);
    ck_assert_ptr_nonnull(c);
    ck_assert_int_eq(c->tensors->n, 2);
    ck_assert(np_tensors_get(np_tensors_find(c->tensors, "a"), 0) == 1);
    ck_assert(np_tensors_get(np_tensors_find(c->tensors, "b"), 0) == 2);
    np_cx_free(cx);
}
END_TEST

START_TEST(test_shards_refused)
{
    static const struct {
        const char *index, *error;
    } row[] = {{"{", "not valid JSON"},
               {"[]", "has no \"weight_map\""},
               {"{}", "has no \"weight_map\""},
               {"{\"weight_map\": {\"a\": 1}}", "a must name a file"},
               {"{\"weight_map\": {\"a\": \"../m-1.safetensors\"}}", "must lie in the same folder"},
               {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", "must lie in the same folder"},
               {"{\"weight_map\": {\"a\": \"..\"}}", "must lie in the same folder"},
               {"{\"weight_map\": {\"a\": \"\"}}", "must lie in the same folder"},
               {"{\"weight_map\": {\"b\": \"m-1.safetensors\"}}", "tensor b is not in"},
               {"{\"weight_map\": {\"a\": \"m-3.safetensors\"}}", "cannot open"}};
    put("config.json", "{}");
    put_tensors("m-1.safetensors", "a", 1);
    for (size_t i = 0; i < NP_LEN(row); i++) {
        put("model.safetensors.index.json", row[i].index);
        expect_refused(dir, row[i].error);
    }
}
END_TEST

START_TEST(test_folder_refused)
{
    expect_refused(in("absent"), "cannot open: No such file or directory");
    expect_refused(dir, "cannot open: No such file or directory"); /* config.json */
    put("config.json", "{\"model_type\": \"x\"}");
    expect_refused(dir, "holds neither model.safetensors nor");
    put("model.safetensors", "short");
    expect_refused(dir, "not a whole safetensors file");
    put("config.json", "{\"model_type\": ");
    expect_refused(dir, "not valid JSON");
}
END_TEST

START_TEST(test_foreign_files)
{
    static const struct {
        const char *text, *error;
    } row[] = {{"GGUF...", "is a GGUF file; weights are read from safetensors files"},
               {"PK\3\4...", "is a PyTorch archive"},
               {"\x80\2...", "is a Python pickle"},
               {"fmgg...", "not a ggmf file: 7 bytes"},
               {"{\"a\": 1}", "is JSON text"},
               {"", "not a llama2.c checkpoint: 0 bytes"},
               {"some words that are no weights at all", "not a llama2.c checkpoint: dim"}};
    for (size_t i = 0; i < NP_LEN(row); i++) {
        put("weights.bin", row[i].text);
        expect_refused(in("weights.bin"), row[i].error);
    }
}
END_TEST

/* Told by its content: a name without an ending, and paths without a slash. */
START_TEST(test_by_content)
{
    char old[4096];
    np_cx *cx = np_cx_new();
    put_tensors("weights", "a", 3);
    ck_assert_ptr_nonnull(getcwd(old, sizeof old));
    ck_assert_int_eq(chdir(dir), 0);
    np_checkpoint *c = np_checkpoint_open(cx, "weights");
    ck_assert_int_eq(chdir(old), 0);
    ck_assert_ptr_nonnull(c);
    ck_assert_str_eq(c->format, "safetensors");
    ck_assert_str_eq(c->dir, ".");
    np_cx_free(cx);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("checkpoint");
    TCase *l = tcase_create("llama2c"), *f = tcase_create("folders");
    tcase_set_timeout(l, 60);
    tcase_add_test(l, test_llama2c);
    tcase_add_test(l, test_llama2c_truncated_everywhere);
    tcase_add_test(l, test_llama2c_hostile);
    tcase_add_test(l, test_llama2c_messages);
    tcase_add_test(l, test_stories260k);
    tcase_add_test(l, test_ggmf);
    tcase_add_test(l, test_ggmf_truncated_everywhere);
    tcase_add_test(l, test_ggmf_messages);
    tcase_add_test(l, test_ggmf_twice);
    tcase_add_checked_fixture(f, setup, teardown);
    tcase_add_test(f, test_hf_folder);
    tcase_add_test(f, test_file_with_config);
    tcase_add_test(f, test_shards);
    tcase_add_test(f, test_shards_refused);
    tcase_add_test(f, test_folder_refused);
    tcase_add_test(f, test_foreign_files);
    tcase_add_test(f, test_by_content);
    suite_add_tcase(s, l);
    suite_add_tcase(s, f);
    return run_suite(s);
}
