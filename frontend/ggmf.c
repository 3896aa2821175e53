/* Checkpoints in the container ggmf (magic 0x67676d66), as RWKV models of the
 * ggml family are kept: six uint32 (magic, version 100 or 101, vocabulary,
 * width, layers, element type), then tensors up to the end of the file, each
 * with three uint32 (number of axes, bytes of its name, element type), the
 * sizes of its axes (fastest first), its name and its numbers.
 *
 * The container says how many layers there are and how wide they are, but not
 * which model it is: that is told by the names of its tensors. So the config
 * gets what the header has, and every tensor keeps its name; its axes are
 * turned round, slowest first, as everywhere else.
 *
 * Nothing is believed before it is checked: every length against what is left
 * of the file, every product for overflow. Then each tensor lies inside the
 * file with exactly the bytes that its shape asks for, and no name is there
 * twice. Numbers stay where they are, maybe unaligned. */
#include "frontend.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER = 24,
    TENSOR = 12,
    NAME_MAX_BYTES = 1024,
    WIDTH_MAX = 1 << 20,
    LAYERS_MAX = 1 << 12,
    COUNT_MAX = 1 << 24
};

/* Element types by their number in the file; those without a size of ours are quantized. */
static const struct {
    const char *name;
    np_dtype dtype;
    bool plain;
} types[] = {{"f32", NP_F32, true},   {"f16", NP_F16, true},     {"Q4_0", NP_F32, false},
             {"Q4_1", NP_F32, false}, {"Q4_1_O", NP_F32, false}, {"Q4_2", NP_F32, false},
             {"Q4_3", NP_F32, false}, {"Q5_0", NP_F32, false},   {"Q5_1", NP_F32, false},
             {"Q8_0", NP_F32, false}};

typedef struct reader {
    np_cx *cx;
    np_loc loc;
    const unsigned char *p, *end; /* what is left of the file */
} reader;

static size_t left(const reader *r)
{
    return (size_t)(r->end - r->p);
}

static uint32_t take_u32(reader *r)
{
    uint32_t v;
    memcpy(&v, r->p, 4);
    r->p += 4;
    return v;
}

static bool check_type(reader *r, const char *what, uint32_t type)
{
    if (type < NP_LEN(types) && types[type].plain) return true;
    if (type < NP_LEN(types))
        np_error(r->cx, r->loc, "%s is quantized (%s); only f32 and f16 are read: convert the original again",
                 what, types[type].name);
    else
        np_error(r->cx, r->loc, "%s has element type %" PRIu32 ", which ggmf does not know", what, type);
    return false;
}

static bool cut_off(reader *r, int index, const char *what, uint64_t wanted)
{
    np_error(r->cx, r->loc,
             "tensor %d of the file: %s takes %" PRIu64 " bytes and %zu are left; is it cut off?", index,
             what, wanted, left(r));
    return false;
}

static bool take_name(reader *r, int index, uint32_t len, np_stored *s)
{
    if (len == 0 || len > NAME_MAX_BYTES) {
        np_error(r->cx, r->loc, "tensor %d of the file: its name has %" PRIu32 " bytes; 1 to %d are possible",
                 index, len, NAME_MAX_BYTES);
        return false;
    }
    if (len > left(r)) return cut_off(r, index, "its name", len);
    for (uint32_t i = 0; i < len; i++)
        if (r->p[i] < ' ' || r->p[i] == 127) {
            np_error(r->cx, r->loc,
                     "tensor %d of the file: its name has a control character (byte %d) at %" PRIu32, index,
                     r->p[i], i);
            return false;
        }
    s->name = np_str_len(r->cx, (const char *)r->p, len);
    r->p += len;
    return true;
}

/* The axes into s, turned round, and the bytes that they ask for. */
static bool take_shape(reader *r, int index, uint32_t rank, uint32_t type, np_stored *s)
{
    uint64_t bytes = type < NP_LEN(types) ? (uint64_t)np_dtype_size(types[type].dtype) : 4;
    if (rank == 0 || rank > NP_RANK) {
        np_error(r->cx, r->loc, "tensor %d of the file: %" PRIu32 " axes; 1 to %d are possible", index, rank,
                 NP_RANK);
        return false;
    }
    if (4 * (uint64_t)rank > left(r)) return cut_off(r, index, "its shape", 4 * (uint64_t)rank);
    s->rank = (int)rank;
    for (int i = s->rank - 1; i >= 0; i--) {
        s->dim[i] = take_u32(r);
        if (s->dim[i] == 0 || s->dim[i] > INT32_MAX ||
            __builtin_mul_overflow(bytes, (uint64_t)s->dim[i], &bytes)) {
            np_error(r->cx, r->loc, "tensor %d of the file: a size of %" PRId64 " is not possible", index,
                     s->dim[i]);
            return false;
        }
    }
    s->bytes = (size_t)bytes;
    return true;
}

static bool take_tensor(reader *r, int index, np_stored *s)
{
    if (left(r) < TENSOR) return cut_off(r, index, "its head", TENSOR);
    uint32_t rank = take_u32(r), len = take_u32(r), type = take_u32(r);
    if (!take_shape(r, index, rank, type, s) || !take_name(r, index, len, s) ||
        !check_type(r, np_str_fmt(r->cx, "tensor %s", s->name), type))
        return false;
    s->dtype = types[type].dtype;
    if (s->bytes > left(r)) return cut_off(r, index, s->name, s->bytes);
    s->data = r->p;
    r->p += s->bytes;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const np_str *)a, *(const np_str *)b);
}

static bool check_twice(reader *r, const np_tensors *f)
{
    np_str *name = np_arena_array(&r->cx->tmp, (size_t)f->n, sizeof *name);
    for (int i = 0; i < f->n; i++) name[i] = f->t[i].name;
    qsort(name, (size_t)f->n, sizeof *name, by_name);
    for (int i = 1; i < f->n; i++)
        if (strcmp(name[i - 1], name[i]) == 0) {
            np_error(r->cx, r->loc, "tensor %s is there twice", name[i]);
            return false;
        }
    return true;
}

static np_tensors *take_all(reader *r)
{
    const unsigned char *first = r->p;
    np_tensors *f = np_arena_alloc(&r->cx->perm, sizeof *f);
    f->path = r->loc.file;
    for (int n = 0; r->p < r->end; n++) { /* checked and counted, then kept */
        np_stored s = {0};
        if (n == COUNT_MAX || !take_tensor(r, n, &s)) return NULL;
        f->n++;
    }
    if (f->n == 0) {
        np_error(r->cx, r->loc, "holds no tensors behind its header; is it cut off?");
        return NULL;
    }
    f->t = np_arena_array(&r->cx->perm, (size_t)f->n, sizeof *f->t);
    r->p = first;
    for (int i = 0; i < f->n; i++) take_tensor(r, i, &f->t[i]);
    return check_twice(r, f) ? f : NULL;
}

np_status np_ggmf_parse(np_cx *cx, np_checkpoint *c, const unsigned char *p, size_t n)
{
    reader r = {.cx = cx, .loc = {.file = c->path}, .p = p + 4, .end = p + n};
    if (n < HEADER) {
        np_error(cx, r.loc, "not a ggmf file: %zu bytes, its header alone has %d", n, HEADER);
        return NP_FAIL;
    }
    uint32_t version = take_u32(&r);
    if (version != 100 && version != 101) {
        np_error(cx, r.loc, "is version %" PRIu32 " of ggmf; versions 100 and 101 are read", version);
        return NP_FAIL;
    }
    struct {
        const char *key;
        uint32_t most, value;
    } size[] = {
        {"vocab_size", COUNT_MAX, 0}, {"hidden_size", WIDTH_MAX, 0}, {"num_hidden_layers", LAYERS_MAX, 0}};
    for (size_t i = 0; i < NP_LEN(size); i++) {
        size[i].value = take_u32(&r);
        if (size[i].value >= 1 && size[i].value <= size[i].most) continue;
        np_error(cx, r.loc, "%s in its header is %" PRIu32 ", outside 1..%" PRIu32, size[i].key,
                 size[i].value, size[i].most);
        return NP_FAIL;
    }
    if (!check_type(&r, "its data", take_u32(&r)) || !(c->tensors = take_all(&r))) return NP_FAIL;
    c->format = np_str_new(cx, "ggmf");
    for (size_t i = 0; i < NP_LEN(size); i++)
        np_settings_num(cx, &c->config, size[i].key, (double)size[i].value, c->path);
    np_settings_str(cx, &c->config, "checkpoint_format", "ggmf", c->path);
    return NP_OK;
}
