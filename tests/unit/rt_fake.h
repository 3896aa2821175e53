/* Small models for the tests of the runtime, written by hand as the compiler
 * would write them. What they say is a hash of all tokens so far, so that any
 * token that is lost, doubled or out of place changes every logit after it.
 *
 *   fake_fixed    a state of fixed size, no limit, blocks of 8
 *   fake_growing  keeps all tokens, 40 positions; i64 tokens, a second output,
 *                 weights that are unpacked
 * Both check what the runtime owes them: alignment, N, and the size of T. */
#ifndef TEST_RT_FAKE_H
#define TEST_RT_FAKE_H

#include "runtime/np_rt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAKE_V = 300, FAKE_BLOCK = 8, FAKE_CONTEXT = 40, FAKE_HEAP = 128 };

static inline uint64_t fake_mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* -8..8 */
static inline float fake_logit(uint64_t h, int v)
{
    return (float)(fake_mix(h + (uint64_t)v) >> 40) / 1048576.0f - 8;
}

static inline uint64_t fake_hash(uint64_t h, int64_t token)
{
    return fake_mix(h ^ (uint64_t)(token + 1));
}

static inline void fake_need(int ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "the runtime broke its promise: %s\n", what);
    abort();
}

static inline void fake_check(int64_t T, void *const *in, char *state, void *const *out, char *work)
{
    fake_need(T >= 1 && T <= FAKE_BLOCK, "T");
    fake_need((uintptr_t)in[0] % 64 == 0 && (uintptr_t)state % 64 == 0 && (uintptr_t)out[0] % 64 == 0 &&
                  (uintptr_t)work % 64 == 0,
              "alignment");
    memset(work, 0x5a, 256);
}

/* ---- fixed: state {hash, N} */
static inline void fake_fixed_init(void *const *in, char *state, char *work)
{
    uint64_t now[2] = {42, 0};
    fake_check(1, in, state, in, work);
    fake_need(((uint64_t *)(void *)state)[0] == 0, "a state of zeros");
    memcpy(state, now, sizeof now);
}

static inline void fake_fixed_prefill(int64_t T, int64_t N, void *const *in, char *state, void *const *out,
                                      char *work)
{
    uint64_t now[2];
    const int32_t *token = in[0];
    float *logits = out[0];
    fake_check(T, in, state, out, work);
    memcpy(now, state, sizeof now);
    fake_need(now[1] == (uint64_t)N, "N");
    for (int64_t t = 0; t < T; t++) {
        now[0] = fake_hash(now[0], token[t]);
        for (int v = 0; v < FAKE_V; v++) logits[t * FAKE_V + v] = fake_logit(now[0], v);
    }
    now[1] += (uint64_t)T;
    memcpy(state, now, sizeof now);
}

static inline void fake_fixed_step(int64_t T, int64_t N, void *const *in, char *state, void *const *out,
                                   char *work)
{
    fake_need(T == 1, "a step of one");
    fake_fixed_prefill(T, N, in, state, out, work);
}

static const np_rt_port fake_fixed_in[] = {{"tokens", NP_RT_I32, 1, {-1}}};
static const np_rt_port fake_fixed_out[] = {{"logits", NP_RT_F32, 2, {-1, FAKE_V}}};
static const np_rt_port fake_fixed_state[] = {{"hash", NP_RT_I64, 1, {2}}};
static const size_t fake_fixed_at[] = {0};
#define FAKE_FIXED                                                                                           \
    {.name = "fixed",                                                                                        \
     .id = 0x1111,                                                                                           \
     .state_bytes = 64,                                                                                      \
     .work_bytes = 256,                                                                                      \
     .max_T = FAKE_BLOCK,                                                                                    \
     .ninputs = 1,                                                                                           \
     .nouts = 1,                                                                                             \
     .nstates = 1,                                                                                           \
     .input = fake_fixed_in,                                                                                 \
     .out = fake_fixed_out,                                                                                  \
     .state = fake_fixed_state,                                                                              \
     .state_at = fake_fixed_at,                                                                              \
     .weight_bytes = 1000,                                                                                   \
     .init = fake_fixed_init,                                                                                \
     .prefill = fake_fixed_prefill,                                                                          \
     .step = fake_fixed_step}
static const np_rt_model fake_fixed = FAKE_FIXED;

/* ---- growing: state {i64 token[FAKE_CONTEXT]} */
static char *fake_heap; /* where the weights were unpacked to */
static int fake_setups;

static inline void fake_growing_setup(char *heap)
{
    fake_need((uintptr_t)heap % 64 == 0, "alignment of the heap");
    fake_heap = heap;
    fake_setups++;
    for (int i = 0; i < FAKE_HEAP; i++) heap[i] = (char)i;
}

static inline void fake_growing_prefill(int64_t T, int64_t N, void *const *in, char *state, void *const *out,
                                        char *work)
{
    int64_t *token = (int64_t *)(void *)state;
    float *logits = out[1];
    fake_check(T, in, state, out, work);
    fake_need(N + T <= FAKE_CONTEXT, "no position beyond the context");
    memcpy(token + N, in[0], (size_t)T * sizeof *token);
    memset(out[0], 0x3c, (size_t)(N + T)); /* u8[N+T] */
    for (int64_t t = 0; t < T; t++) {
        uint64_t h = (unsigned char)fake_heap[7];
        for (int64_t i = 0; i <= N + t; i++) h = fake_hash(h, token[i]);
        for (int v = 0; v < FAKE_V; v++) logits[t * FAKE_V + v] = fake_logit(h, v);
    }
}

static inline void fake_growing_step(int64_t T, int64_t N, void *const *in, char *state, void *const *out,
                                     char *work)
{
    fake_need(T == 1, "a step of one");
    fake_growing_prefill(T, N, in, state, out, work);
}

static const np_rt_port fake_growing_in[] = {{"tokens", NP_RT_I64, 1, {-1}}};
static const np_rt_port fake_growing_out[] = {{"seen", 2, 1, {-2}}, {"logits", NP_RT_F32, 2, {-1, FAKE_V}}};
static const np_rt_port fake_growing_state[] = {{"past", NP_RT_I64, 1, {-3}}};
#define FAKE_GROWING                                                                                         \
    {.name = "growing",                                                                                      \
     .id = 0x2222,                                                                                           \
     .state_bytes = FAKE_CONTEXT * 8,                                                                        \
     .work_bytes = 256,                                                                                      \
     .max_T = FAKE_BLOCK,                                                                                    \
     .max_N = FAKE_CONTEXT,                                                                                  \
     .ninputs = 1,                                                                                           \
     .nouts = 2,                                                                                             \
     .nstates = 1,                                                                                           \
     .input = fake_growing_in,                                                                               \
     .out = fake_growing_out,                                                                                \
     .state = fake_growing_state,                                                                            \
     .state_at = fake_fixed_at,                                                                              \
     .setup = fake_growing_setup,                                                                            \
     .setup_bytes = FAKE_HEAP,                                                                               \
     .weight_bytes = FAKE_HEAP,                                                                              \
     .prefill = fake_growing_prefill,                                                                        \
     .step = fake_growing_step}
static const np_rt_model fake_growing = FAKE_GROWING;

/* What either says after token[n], computed apart from the runtime. */
static inline void fake_expect(const np_rt_model *m, const int32_t *token, int64_t n, float *logits)
{
    uint64_t h = m->id == fake_fixed.id ? 42 : 7;
    for (int64_t i = 0; i < n; i++) h = fake_hash(h, token[i]);
    for (int v = 0; v < FAKE_V; v++) logits[v] = fake_logit(h, v);
}

/* ---- texts */
#define FAKE_BYTES {.kind = NP_RT_BYTES, .start = 0, .separator = 0, .stop = {-1, -1}, .about = "bytes"}
static const np_rt_vocab fake_bytes = FAKE_BYTES;
#define FAKE_IDS {.kind = NP_RT_IDS, .start = -1, .separator = -1, .stop = {-1, -1}, .about = "ids"}
static const np_rt_vocab fake_ids = FAKE_IDS;

/* Pieces as llama2.c has them: three marks, 256 bytes, then texts with scores
 * of which some are equal, so that the order of joining shows. */
enum { FAKE_BYTE_0 = 3, FAKE_TEXT_0 = 259 };
static const struct {
    const char *text;
    float score;
} fake_text[FAKE_V - FAKE_TEXT_0] = {{" ", -9},
                                     {"a", -10},
                                     {"b", -11},
                                     {"c", -12},
                                     {"d", -13},
                                     {"e", -14},
                                     {"h", -15},
                                     {"t", -16},
                                     {"\n", -17},
                                     {".", -18},
                                     {"\xc3\xa9", -19},
                                     {"\xe6\x97\xa5", -20},
                                     {"ab", -1},
                                     {"bc", -1},
                                     {"cd", -1},
                                     {"abc", -3},
                                     {"bcd", -2},
                                     {"abcd", -8},
                                     {" a", -2},
                                     {" ab", -0.5f},
                                     {"th", -4},
                                     {"he", -4},
                                     {"the", -3},
                                     {" the", -2},
                                     {" t", -4},
                                     {"aa", -1},
                                     {"aaa", -5},
                                     {"aaaa", -1},
                                     {"  ", -6},
                                     {"    ", -5},
                                     {"\n\n", -7},
                                     {"e\xc3\xa9", -3},
                                     {"\xe6\x97\xa5\xe6\x97\xa5", -2},
                                     {"aab", -2},
                                     {"ba", -2e10f},
                                     {"a.", 0},
                                     {"..", -1},
                                     {"...", -1},
                                     {"....", -1},
                                     {"ddd", -30},
                                     {"", 5}};
static np_rt_piece fake_piece[FAKE_V];
static int32_t fake_sorted[FAKE_V], fake_byte[256];
#define FAKE_PIECES                                                                                          \
    {.kind = NP_RT_PIECES,                                                                                   \
     .start = 1,                                                                                             \
     .separator = -1,                                                                                        \
     .stop = {1, 2},                                                                                         \
     .n = FAKE_V,                                                                                            \
     .piece = fake_piece,                                                                                    \
     .sorted = fake_sorted,                                                                                  \
     .byte = fake_byte,                                                                                      \
     .about = "pieces"}
static const np_rt_vocab fake_pieces = FAKE_PIECES;

/* ids by text, equal ones by id */
static inline void fake_sort(const np_rt_piece *piece, int n, int32_t *sorted)
{
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0; at--) {
            const np_rt_piece *a = &piece[sorted[at - 1]], *b = &piece[i];
            int c = memcmp(a->text, b->text, (size_t)(a->len < b->len ? a->len : b->len));
            if (c < 0 || (c == 0 && a->len <= b->len)) break;
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = i;
    }
}

/* Before fake_pieces is used. */
static inline void fake_fill_pieces(void)
{
    static char byte[256][8];
    static const char *mark[] = {"<unk>", "\n<s>\n", "\n</s>\n"};
    for (int i = 0; i < FAKE_BYTE_0; i++) fake_piece[i] = (np_rt_piece){0, (int)strlen(mark[i]), mark[i]};
    for (int i = 0; i < 256; i++) {
        snprintf(byte[i], sizeof byte[i], "<0x%02X>", (unsigned)i);
        fake_piece[FAKE_BYTE_0 + i] = (np_rt_piece){0, 6, byte[i]};
        fake_byte[i] = FAKE_BYTE_0 + i;
    }
    for (int i = 0; i < FAKE_V - FAKE_TEXT_0; i++)
        fake_piece[FAKE_TEXT_0 + i] =
            (np_rt_piece){fake_text[i].score, (int)strlen(fake_text[i].text), fake_text[i].text};
    fake_sort(fake_piece, FAKE_V, fake_sorted);
}

/* ---- what every test needs */
#define LEN(a) (sizeof(a) / sizeof *(a))

/* A copy without slack, so that a sanitizer sees a read behind its end. */
static inline void *fake_tight(const void *p, size_t n)
{
    void *out = malloc(n ? n : 1);
    fake_need(out != NULL, "memory");
    if (n) memcpy(out, p, n);
    return out;
}

#ifdef CHECK_H
static inline np_session *fake_open(const np_rt_model *m, const np_rt_vocab *v)
{
    const char *why = "unset";
    np_session *s = np_open_model(m, v, &why);
    ck_assert_msg(s != NULL && why == NULL, "%s", why);
    return s;
}

/* The session has read just these tokens. */
static inline void fake_expect_read(const np_session *s, const int32_t *token, int64_t n)
{
    float want[FAKE_V];
    ck_assert_int_eq(np_position(s), n);
    if (n == 0) {
        ck_assert_ptr_null(np_logits(s));
        return;
    }
    fake_expect(s->model, token, n, want);
    ck_assert_ptr_nonnull(np_logits(s));
    ck_assert_mem_eq(np_logits(s), want, sizeof want);
}
#endif

#endif
