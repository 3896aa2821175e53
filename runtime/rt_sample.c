/* Choosing the next token, in this order: the repeat penalty, temperature,
 * top-k, top-p, min-p, then one draw.
 *
 * Probabilities are whole numbers that add up to at most 2^62, so sums are
 * exact and do not depend on the order, and the same seed gives the same text.
 * The likeliest tokens come from a heap: nothing is sorted that is not kept,
 * and no memory is taken. A logit that is not a number is never chosen. */
#include "np_rt.h"

#include <math.h>
#include <string.h>

/* splitmix64, which its authors recommend to seed xoshiro with */
void np_sampler_init(np_sampler *p, uint64_t seed)
{
    *p = (np_sampler){.temp = 0.8f, .top_p = 0.95f, .repeat_penalty = 1};
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        p->rng[i] = z ^ z >> 31;
    }
}

static uint64_t rt_rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

/* xoshiro256** */
static uint64_t rt_random(uint64_t *r)
{
    uint64_t result = rt_rotate(r[1] * 5, 7) * 9, t = r[1] << 17;
    r[2] ^= r[0];
    r[3] ^= r[1];
    r[1] ^= r[2];
    r[0] ^= r[3];
    r[2] ^= t;
    r[3] = rt_rotate(r[3], 45);
    return result;
}

/* Every number below n equally often. */
static uint64_t rt_random_below(uint64_t *r, uint64_t n)
{
    uint64_t end = UINT64_MAX - UINT64_MAX % n, x;
    do x = rt_random(r);
    while (x >= end);
    return x % n;
}

static void rt_penalise(np_session *s, float penalty)
{
    int n = s->pos < NP_RT_RECENT ? (int)s->pos : NP_RT_RECENT;
    for (int i = 0; i < n; i++) {
        int first = 0;
        while (s->recent[first] != s->recent[i]) first++;
        if (first < i) continue; /* each token once */
        float *x = &s->scores[s->recent[i]];
        *x = *x > 0 ? *x / penalty : *x * penalty;
    }
}

/* The first of the largest; -1 if none is a number. */
static int32_t rt_largest(const float *x, int64_t n)
{
    int32_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if (best < 0 ? !isnan(x[i]) : x[i] > x[best]) best = (int32_t)i;
    return best;
}

/* Fills `order` with the tokens that have a weight; how many. */
static int64_t rt_weigh(np_session *s, float temp, float max, uint64_t *total)
{
    double unit = 0x1p62 / (double)s->V;
    int64_t n = 0;
    *total = 0;
    for (int64_t i = 0; i < s->V; i++) {
        float x = s->scores[i];
        double e = isnan(x) ? 0 : x >= max ? 1 : exp(((double)x - (double)max) / (double)temp);
        s->weights[i] = e > 0 ? (uint64_t)(e * unit) : 0;
        *total += s->weights[i];
        if (s->weights[i] > 0) s->order[n++] = (int32_t)i;
    }
    return n;
}

static int rt_likelier(const np_session *s, int32_t a, int32_t b)
{
    return s->weights[a] != s->weights[b] ? s->weights[a] > s->weights[b] : a < b;
}

/* Restores the heap order[n], whose top is the likeliest, below i. */
static void rt_sift(np_session *s, int64_t i, int64_t n)
{
    int32_t *h = s->order, moved = h[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && rt_likelier(s, h[child + 1], h[child])) child++;
        if (!rt_likelier(s, h[child], moved)) break;
        h[i] = h[child];
    }
    h[i] = moved;
}

/* Moves the likeliest to the end of order[n], until there are k or their sum
 * reaches enough. How many; *sum: what they weigh. */
static int64_t rt_select(np_session *s, int64_t n, int64_t k, double enough, uint64_t *sum)
{
    int64_t kept = 0;
    for (int64_t i = n / 2; i-- > 0;) rt_sift(s, i, n);
    *sum = 0;
    while (kept < k && (kept == 0 || (double)*sum < enough)) {
        int32_t top = s->order[0];
        kept++;
        s->order[0] = s->order[n - kept];
        s->order[n - kept] = top;
        rt_sift(s, 0, n - kept);
        *sum += s->weights[top];
    }
    return kept;
}

int32_t np_sample(np_session *s, np_sampler *p)
{
    uint64_t total, sum = 0;
    if (!s->last) return -1;
    memcpy(s->scores, s->last, (size_t)s->V * sizeof *s->scores);
    if (p->repeat_penalty > 0 && p->repeat_penalty != 1) rt_penalise(s, p->repeat_penalty);
    int32_t best = rt_largest(s->scores, s->V);
    if (best < 0 || !(p->temp > 0)) return best;
    int64_t n = rt_weigh(s, p->temp, s->scores[best], &total), kept = n;
    if (p->top_k > 0 && p->top_k < n) kept = rt_select(s, n, p->top_k, INFINITY, &total);
    if (p->top_p < 1) {
        double enough = (double)p->top_p * (double)total;
        if (kept == n) {
            kept = rt_select(s, n, n, enough, &sum);
        } else {
            int64_t all = kept;
            for (kept = 0; kept < all && (kept == 0 || (double)sum < enough); kept++)
                sum += s->weights[s->order[n - 1 - kept]];
        }
    }
    double least = (double)p->min_p * (double)s->weights[best];
    total = 0;
    for (int64_t i = n - kept; i < n; i++)
        if ((double)s->weights[s->order[i]] >= least) total += s->weights[s->order[i]];
    if (total == 0) return best; /* min_p above 1 */
    uint64_t at = rt_random_below(p->rng, total);
    for (int64_t i = n - 1; i >= n - kept; i--) {
        uint64_t w = s->weights[s->order[i]];
        if ((double)w < least) continue;
        if (at < w) return s->order[i];
        at -= w;
    }
    return best;
}
