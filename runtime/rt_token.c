/* Text to ids and back.
 *
 * Pieces are joined as llama2.c joins them: the text begins with a space that
 * is not in it, its UTF-8 characters are looked up (an unknown one becomes the
 * pieces of its bytes), then again and again the neighbours whose joint piece
 * has the best score become that piece, the leftmost of equals first. A
 * tournament over the positions finds the best in log n, so that a long text
 * takes n log n and not n^2.
 *
 * A piece's text is what stands in the tokenizer's file, "<0x0A>" for a byte. */
#include "np_rt.h"

#include <string.h>

static const float RT_SCORE_MIN = -1e10f; /* llama2.c joins nothing below */
enum { RT_CHAR_MAX = 4, RT_ARRAYS = 6 };

int32_t np_start(const np_session *s)
{
    return s->vocab->start;
}

int np_stops(const np_session *s, int32_t token)
{
    return token >= 0 && (token == s->vocab->stop[0] || token == s->vocab->stop[1]);
}

/* ab against a piece, as unsigned bytes. */
static int rt_compare(const char *a, int na, const char *b, int nb, const np_rt_piece *p)
{
    int c = memcmp(a, p->text, (size_t)(na < p->len ? na : p->len));
    if (c != 0) return c;
    int rest = p->len - na;
    if (rest <= 0) return nb - rest;
    c = memcmp(b, p->text + na, (size_t)(nb < rest ? nb : rest));
    return c != 0 ? c : nb - rest;
}

/* The first piece whose text is ab; -1 none. */
static int32_t rt_lookup(const np_rt_vocab *v, const char *a, int na, const char *b, int nb)
{
    int32_t lo = 0, hi = v->n;
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        if (rt_compare(a, na, b, nb, &v->piece[v->sorted[mid]]) > 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->n && rt_compare(a, na, b, nb, &v->piece[v->sorted[lo]]) == 0 ? v->sorted[lo] : -1;
}

/* Symbols of a text, a list through `next` (n: the end) and `prev` (-1). */
typedef struct rt_symbols {
    const np_rt_vocab *v;
    int32_t n;
    int32_t *id, *prev, *next;
    int32_t *joint; /* piece that a symbol and the next one make; -1 none */
    int32_t *best;  /* [2n], leaves from n on: which of the symbols below is to be joined first */
} rt_symbols;

static int rt_put(rt_symbols *y, const char *c, int len)
{
    int32_t id = rt_lookup(y->v, c, len, "", 0);
    if (id >= 0) {
        y->id[y->n++] = id;
        return 1;
    }
    for (int i = 0; i < len; i++) {
        id = y->v->byte ? y->v->byte[(unsigned char)c[i]] : -1;
        if (id < 0) return 0;
        y->id[y->n++] = id;
    }
    return 1;
}

static int32_t rt_better(const rt_symbols *y, int32_t a, int32_t b)
{
    int32_t ja = y->joint[a], jb = y->joint[b];
    if (ja < 0 || jb < 0) return ja < 0 ? b : a;
    float sa = y->v->piece[ja].score, sb = y->v->piece[jb].score;
    return sa > sb || (!(sa < sb) && a < b) ? a : b;
}

static void rt_pair(rt_symbols *y, int32_t i)
{
    y->joint[i] = -1;
    if (y->next[i] >= y->n) return;
    const np_rt_piece *a = &y->v->piece[y->id[i]], *b = &y->v->piece[y->id[y->next[i]]];
    int32_t id = rt_lookup(y->v, a->text, a->len, b->text, b->len);
    if (id >= 0 && y->v->piece[id].score > RT_SCORE_MIN) y->joint[i] = id;
}

static void rt_climb(rt_symbols *y, int32_t i)
{
    for (int32_t k = (y->n + i) / 2; k > 0; k /= 2)
        y->best[k] = rt_better(y, y->best[2 * k], y->best[2 * k + 1]);
}

static void rt_join_all(rt_symbols *y)
{
    for (int32_t i = 0; i < y->n; i++) {
        y->prev[i] = i - 1;
        y->next[i] = i + 1;
        y->best[y->n + i] = i;
    }
    for (int32_t i = 0; i < y->n; i++) rt_pair(y, i);
    for (int32_t k = y->n - 1; k > 0; k--) y->best[k] = rt_better(y, y->best[2 * k], y->best[2 * k + 1]);
    for (;;) {
        int32_t i = y->best[1], j = y->next[i], before = y->prev[i];
        if (y->joint[i] < 0) return;
        y->id[i] = y->joint[i];
        y->next[i] = y->next[j];
        if (y->next[i] < y->n) y->prev[y->next[i]] = i;
        y->joint[j] = -1;
        rt_climb(y, j);
        rt_pair(y, i);
        rt_climb(y, i);
        if (before < 0) continue;
        rt_pair(y, before);
        rt_climb(y, before);
    }
}

static int64_t rt_encode_pieces(const np_rt_vocab *v, const char *text, size_t n, int begins, int32_t *work)
{
    size_t cap = n + 1;
    rt_symbols y = {v, 0, work, work + cap, work + 2 * cap, work + 3 * cap, work + 4 * cap};
    if (n == 0) return 0;
    if (begins && !rt_put(&y, " ", 1)) return -1;
    for (size_t i = 0; i < n;) {
        int len = 1;
        while (len < RT_CHAR_MAX && i + (size_t)len < n &&
               ((unsigned char)text[i + (size_t)len] & 0xc0) == 0x80)
            len++;
        if (!rt_put(&y, text + i, len)) return -1;
        i += (size_t)len;
    }
    rt_join_all(&y);
    int64_t count = 0;
    for (int32_t i = 0; i < y.n; i = y.next[i]) y.id[count++] = y.id[i];
    return count;
}

/* Numbers between blanks. */
static int64_t rt_encode_numbers(const char *text, size_t n, int32_t *id)
{
    int64_t count = 0;
    for (size_t i = 0; i < n;) {
        int64_t value = 0;
        size_t first = i;
        for (; i < n && text[i] >= '0' && text[i] <= '9' && value <= INT32_MAX; i++)
            value = value * 10 + text[i] - '0';
        if (i > first) {
            if (value > INT32_MAX) return -1;
            id[count++] = (int32_t)value;
        }
        if (i < n && (text[i] == 0 || !strchr(" \t\r\n", text[i]))) return -1;
        i++;
    }
    return count;
}

size_t np_encode_bytes(size_t n)
{
    size_t one = RT_ARRAYS * sizeof(int32_t);
    return n >= INT32_MAX / 2 || n + 1 > SIZE_MAX / one ? 0 : (n + 1) * one;
}

const int32_t *np_encode(const np_session *s, const char *text, size_t n, int begins, void *work,
                         int64_t *count)
{
    int32_t *id = work;
    if (s->vocab->kind == NP_RT_BYTES) {
        for (size_t i = 0; i < n; i++) id[i] = (unsigned char)text[i];
        *count = (int64_t)n;
    } else if (s->vocab->kind == NP_RT_PIECES) {
        *count = rt_encode_pieces(s->vocab, text, n, begins, id);
    } else {
        *count = rt_encode_numbers(text, n, id);
    }
    if (*count >= 0) return id;
    *count = 0;
    return NULL;
}

const char *np_decode(const np_session *s, int32_t before, int32_t token, int *n)
{
    const np_rt_vocab *v = s->vocab;
    *n = 1;
    if (token >= 0 && token == v->separator) return "\n";
    if (v->kind == NP_RT_BYTES && token >= 0 && token < 256) return &s->byte[token];
    *n = 0;
    if (v->kind != NP_RT_PIECES || token < 0 || token >= v->n) return "";
    for (int i = 0; v->byte && i < 256; i++) {
        if (v->byte[i] != token) continue;
        *n = 1;
        return &s->byte[i];
    }
    const np_rt_piece *p = &v->piece[token];
    int skip = before >= 0 && before == v->start && p->len > 0 &&
               p->text[0] == ' '; /* the space that encoding added */
    *n = p->len - skip;
    return p->text + skip;
}
