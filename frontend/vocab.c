/* llama2.c's tokenizer files: int32 length of the longest token, then for each
 * token a f32 score, an int32 length, and its bytes. The file does not say how
 * many there are: it ends after the last one, and the model's vocabulary must
 * be as large. Texts are kept as they are stored (a byte token is "<0x0A>");
 * what they mean is the tokenizer's affair. */
#include "frontend.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { TOKEN_MAX = 1 << 16, ENTRY = 8 };

/* How many tokens p[n] holds, all lengths checked; -1 and an error. */
static int count(np_cx *cx, np_loc loc, const unsigned char *p, size_t n, int32_t max_len)
{
    int ids = 0;
    for (size_t at = 4; at < n; ids++) {
        float score;
        int32_t len;
        if (n - at < ENTRY) {
            np_error(cx, loc, "cut off within token %d", ids);
            return -1;
        }
        memcpy(&score, p + at, 4);
        memcpy(&len, p + at + 4, 4);
        at += ENTRY;
        if (len < 0 || len > max_len) {
            np_error(cx, loc, "not a tokenizer: token %d has %" PRId32 " bytes, outside 0..%" PRId32, ids,
                     len, max_len);
            return -1;
        }
        if ((size_t)len > n - at) {
            np_error(cx, loc, "cut off within token %d", ids);
            return -1;
        }
        if (isnan(score)) {
            np_error(cx, loc, "the score of token %d is not a number", ids);
            return -1;
        }
        at += (size_t)len;
    }
    return ids;
}

static void fill(np_vocab *v, const unsigned char *p)
{
    for (int i = 0; i < v->n; i++) {
        int32_t len;
        memcpy(&v->score[i], p, 4);
        memcpy(&len, p + 4, 4);
        v->text[i] = p + ENTRY;
        v->len[i] = len;
        if (len > v->max_len) v->max_len = len;
        p += ENTRY + len;
    }
}

np_vocab *np_vocab_parse(np_cx *cx, const char *path, const unsigned char *p, size_t n, int64_t expected)
{
    np_loc loc = {.file = np_str_new(cx, path)};
    int32_t max_len = 0;
    if (n >= 4) memcpy(&max_len, p, 4);
    if (n < 4 || max_len < 1 || max_len > TOKEN_MAX) {
        np_error(cx, loc,
                 "not a llama2.c tokenizer: it must begin with the length of its longest token, 1..%d%s",
                 TOKEN_MAX,
                 n > 0 && p[0] == '{' ? " (this is JSON: convert it with llama2.c's tokenizer.py)" : "");
        return NULL;
    }
    int ids = n > INT32_MAX ? -1 : count(cx, loc, p, n, max_len);
    if (n > INT32_MAX) np_error(cx, loc, "%zu bytes; a tokenizer has fewer than 2^31", n);
    if (ids < 0) return NULL;
    if (ids == 0 || (expected >= 0 && ids != expected)) {
        if (expected < 0)
            np_error(cx, loc, "holds no tokens");
        else
            np_error(cx, loc, "holds %d tokens and the model has %" PRId64 "; is it this model's tokenizer?",
                     ids, expected);
        return NULL;
    }
    np_vocab *v = np_arena_alloc(&cx->perm, sizeof *v);
    v->kind = np_str_new(cx, "llama2.c");
    v->n = ids;
    v->text = np_arena_array(&cx->perm, (size_t)ids, sizeof *v->text);
    v->len = np_arena_array(&cx->perm, (size_t)ids, sizeof *v->len);
    v->score = np_arena_array(&cx->perm, (size_t)ids, sizeof *v->score);
    fill(v, p + 4);
    return v;
}

np_vocab *np_vocab_read(np_cx *cx, const char *path, int64_t expected)
{
    size_t n;
    const unsigned char *p = np_file_read(cx, path, &n);
    return p ? np_vocab_parse(cx, path, p, n, expected) : NULL;
}
