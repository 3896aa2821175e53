/* How many bits a model needs for a text.
 *
 * Each token costs -log2 of the probability that the model gave it. A text that
 * does not fit into the context is cut into windows, each of which begins anew:
 * with the start token, or, where texts begin with nothing, with the last token
 * of the window before, so that only the very first token is not predicted. */
#include "np_rt.h"

#include <math.h>

/* Bits of token t under the logits x. */
static double rt_bits(const float *x, int64_t V, int32_t t)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < V; i++)
        if ((double)x[i] > max) max = (double)x[i];
    for (int64_t i = 0; i < V; i++) sum += exp((double)x[i] - max);
    return (log(sum) - ((double)x[t] - max)) / 0.69314718055994530942; /* ln 2 */
}

/* Reads the tokens from *at on until the context is full. */
static const char *rt_window(np_session *s, const int32_t *token, int64_t n, int64_t *at, np_score *out)
{
    int32_t start = np_start(s), before = start >= 0 ? start : *at > 0 ? token[*at - 1] : -1;
    const char *why = NULL;
    np_reset(s);
    out->windows++;
    if (before >= 0) why = np_feed(s, &before, 1);
    while (!why && *at < n && np_room(s) > 0) {
        const float *x = np_logits(s);
        int64_t T = n - *at, rows;
        if (T > np_block(s)) T = np_block(s);
        if (T > np_room(s)) T = np_room(s);
        if (x) out->bits += rt_bits(x, s->V, token[*at]); /* before it is overwritten */
        why = np_feed(s, token + *at, T);
        if (why) break;
        x = np_block_logits(s, &rows);
        for (int64_t i = 1; i < T; i++) out->bits += rt_bits(x + (i - 1) * s->V, s->V, token[*at + i]);
        for (int64_t i = 0; i < T; i++, before = token[(*at)++]) {
            int bytes;
            np_decode(s, *at > 0 ? token[*at - 1] : start, token[*at],
                      &bytes); /* in the text, not in the window */
            out->tokens += before >= 0;
            out->bytes += before >= 0 ? bytes : 0;
        }
    }
    return why;
}

const char *np_perplexity(np_session *s, const int32_t *token, int64_t n, np_score *out)
{
    const char *why = NULL;
    *out = (np_score){0};
    for (int64_t at = 0; !why && at < n;) {
        int64_t from = at;
        why = rt_window(s, token, n, &at, out);
        if (!why && at == from) why = "the context has no room for a token after the one that begins a text";
    }
    return why;
}
