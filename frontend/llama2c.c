/* llama2.c's checkpoint files, version 0: seven int32 (dim, hidden, layers,
 * heads, key/value heads, vocabulary, positions), then f32 weights. The tensors
 * of one kind lie layer after layer in one block; each layer of a block is
 * given here as a tensor of its own under its Hugging Face name, so the llama
 * model reads such a file as it reads any other.
 *
 * The header decides every size, so it is checked first: each number positive
 * and below a limit under which no product of sizes can overflow, and the sum
 * of all sizes equal to what the file has. */
#include "frontend.h"

#include <inttypes.h>
#include <string.h>

enum { MAGIC = 0x616b3432, HEADER = 28, WIDTH_MAX = 1 << 20, LAYERS_MAX = 1 << 12, COUNT_MAX = 1 << 24 };

typedef struct header {
    int64_t dim, hidden, layers, heads, kv_heads, vocab, positions;
    bool tied;
} header;

typedef struct reader {
    np_cx *cx;
    np_tensors *f;
    const unsigned char *data; /* first weight; NULL: only count */
    int64_t bytes;             /* of all weights so far */
} reader;

static void take_one(reader *r, np_str name, int64_t rows, int64_t cols)
{
    int64_t bytes = (rows ? rows : 1) * cols * 4;
    if (r->data) {
        np_stored *s = &r->f->t[r->f->n++];
        s->name = name;
        s->dtype = NP_F32;
        s->rank = rows ? 2 : 1;
        s->dim[0] = rows ? rows : cols;
        s->dim[1] = rows ? cols : 0;
        s->data = r->data + r->bytes;
        s->bytes = (size_t)bytes;
    }
    r->bytes += bytes;
}

static void take(reader *r, const char *name, int64_t rows, int64_t cols)
{
    take_one(r, np_str_new(r->cx, name), rows, cols);
}

/* A block: one tensor a layer. rows 0: vectors. */
static void take_layers(reader *r, const header *h, const char *name, int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < h->layers; i++)
        take_one(r, r->data ? np_str_fmt(r->cx, "model.layers.%" PRId64 ".%s", i, name) : NULL, rows, cols);
}

/* In the order of the file. */
static void take_all(reader *r, const header *h)
{
    int64_t head = h->dim / h->heads, kv = head * h->kv_heads;
    take(r, "model.embed_tokens.weight", h->vocab, h->dim);
    take_layers(r, h, "input_layernorm.weight", 0, h->dim);
    take_layers(r, h, "self_attn.q_proj.weight", h->dim, h->dim);
    take_layers(r, h, "self_attn.k_proj.weight", kv, h->dim);
    take_layers(r, h, "self_attn.v_proj.weight", kv, h->dim);
    take_layers(r, h, "self_attn.o_proj.weight", h->dim, h->dim);
    take_layers(r, h, "post_attention_layernorm.weight", 0, h->dim);
    take_layers(r, h, "mlp.gate_proj.weight", h->hidden, h->dim);
    take_layers(r, h, "mlp.down_proj.weight", h->dim, h->hidden);
    take_layers(r, h, "mlp.up_proj.weight", h->hidden, h->dim);
    take(r, "model.norm.weight", 0, h->dim);
    r->bytes += h->positions * (head / 2) * 2 * 4; /* tables of rotations, not needed */
    if (!h->tied) take(r, "lm_head.weight", h->vocab, h->dim);
}

static bool check_header(np_cx *cx, np_loc loc, const header *h)
{
    const struct {
        const char *name;
        int64_t value, most;
    } size[] = {{"dim", h->dim, WIDTH_MAX},
                {"hidden_dim", h->hidden, WIDTH_MAX},
                {"n_layers", h->layers, LAYERS_MAX},
                {"n_heads", h->heads, WIDTH_MAX},
                {"n_kv_heads", h->kv_heads, WIDTH_MAX},
                {"vocab_size", h->vocab, COUNT_MAX},
                {"seq_len", h->positions, COUNT_MAX}};
    for (size_t i = 0; i < NP_LEN(size); i++) {
        if (size[i].value >= 1 && size[i].value <= size[i].most) continue;
        np_error(cx, loc, "not a llama2.c checkpoint: %s in its header is %" PRId64 ", outside 1..%" PRId64,
                 size[i].name, size[i].value, size[i].most);
        return false;
    }
    if (h->dim % h->heads || h->dim / h->heads % 2 || h->heads % h->kv_heads) {
        np_error(cx, loc,
                 "not a llama2.c checkpoint: %" PRId64 " heads (%" PRId64
                 " for keys) do not divide dim %" PRId64 " into even parts",
                 h->heads, h->kv_heads, h->dim);
        return false;
    }
    return true;
}

static void add_config(np_cx *cx, np_checkpoint *c, const header *h)
{
    const struct {
        const char *key;
        double value;
    } num[] = {{"hidden_size", (double)h->dim},
               {"intermediate_size", (double)h->hidden},
               {"num_hidden_layers", (double)h->layers},
               {"num_attention_heads", (double)h->heads},
               {"num_key_value_heads", (double)h->kv_heads},
               {"vocab_size", (double)h->vocab},
               {"max_position_embeddings", (double)h->positions},
               {"rms_norm_eps", 1e-5},
               {"rope_theta", 10000},
               {"rope_interleaved", 1}};
    for (size_t i = 0; i < NP_LEN(num); i++)
        np_settings_num(cx, &c->config, num[i].key, num[i].value, c->path);
    np_settings_bool(cx, &c->config, "tie_word_embeddings", h->tied, c->path);
}

np_status np_llama2c_parse(np_cx *cx, np_checkpoint *c, const unsigned char *p, size_t n)
{
    np_loc loc = {.file = c->path};
    int32_t v[7] = {0};
    if (n < HEADER) {
        np_error(cx, loc, "not a llama2.c checkpoint: %zu bytes, its header alone has %d", n, HEADER);
        return NP_FAIL;
    }
    memcpy(v, p, HEADER);
    if (v[0] == MAGIC) {
        np_error(cx, loc,
                 "is version %d of llama2.c's format; only version 0 is read: export it with --version 0",
                 v[1]);
        return NP_FAIL;
    }
    header h = {v[0], v[1], v[2], v[3], v[4], v[5] < 0 ? -(int64_t)v[5] : v[5], v[6], v[5] > 0};
    if (!check_header(cx, loc, &h)) return NP_FAIL;
    reader r = {.cx = cx};
    take_all(&r, &h);
    if ((uint64_t)r.bytes != n - HEADER) {
        np_error(cx, loc, "its header asks for %" PRId64 " bytes and the file has %zu; is it cut off?",
                 r.bytes + HEADER, n);
        return NP_FAIL;
    }
    r = (reader){.cx = cx, .f = np_arena_alloc(&cx->perm, sizeof *r.f), .data = p + HEADER};
    r.f->path = c->path;
    r.f->t = np_arena_array(&cx->perm, (size_t)(9 * h.layers + 3), sizeof *r.f->t);
    take_all(&r, &h);
    c->tensors = r.f;
    c->format = np_str_new(cx, "llama2.c");
    c->model_type = np_str_new(cx, "llama");
    add_config(cx, c, &h);
    return NP_OK;
}
