/* Choices. With a seed they never end; the bytes of a fuzzer do, and then the
 * first choice, which is always the one that adds nothing, is taken. */
#include "random.h"

bool rn_done(const rn_draw *d)
{
    return d->bytes && d->at >= d->n;
}
int rn_pick(rn_draw *d, int n)
{
    if (n <= 1) return 0;
    if (d->bytes) {
        if (d->at >= d->n) return 0;
        unsigned v = d->bytes[d->at++];
        if (n > 256 && d->at < d->n) v = v << 8 | d->bytes[d->at++];
        return (int)(v % (unsigned)n);
    }
    uint64_t x = d->seed += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (int)((x ^ (x >> 31)) % (uint64_t)n);
}
bool rn_chance(rn_draw *d, int of_hundred)
{
    return rn_pick(d, 100) >= 100 - of_hundred;
}
