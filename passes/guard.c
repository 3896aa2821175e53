/* guard: may the decays of a chunk be taken apart into factors?
 *
 * The score of a read at step t against a write at step u wants the product of the
 * decays between the two, A(t,u) = p(t) / p(u), where p is the product from the
 * chunk's start on. Written with factors, (a_t p(t)) . (w_u / p(u)), all scores are one
 * contraction; but 1 / p(u) overflows where gates forget quickly, and models have
 * such gates. So factors are taken only where the gate's own expression proves
 * (interval.c) that p stays within 2^-64 .. 2^64 over the chunk, whatever the inputs are.
 *
 * Everywhere else the exact form is used: A(t,u) is a product of the decays
 * between u and t, made step by step, which is never larger than what the step
 * form itself would make of them, and in which a decay of zero is a zero. */
#include "guard.h"

#include <math.h>

enum { BITS = 64 }; /* f32 holds 2^-126 .. 2^127 */

np_guard np_guard_of(np_lab decay, int64_t steps)
{
    np_guard g = {.decay = {decay.zero ? 0 : 1, decay.zero ? 0 : 1}};
    if (decay.n) g.decay = np_interval_of(decay.n);
    if (g.decay.lo > 0)
        g.factored = (double)steps * fmax(fabs(log2(g.decay.lo)), fabs(log2(g.decay.hi))) <= (double)BITS;
    return g;
}
np_str np_guard_text(np_cx *cx, np_guard g)
{
    bool grow = g.decay.hi > 1 || g.decay.lo < -1;
    if (g.decay.lo == 1 && g.decay.hi == 1) return np_str_new(cx, "nothing to guard");
    if (isinf(g.decay.lo)) return np_str_new(cx, "nothing bounds the decays, they may grow");
    return np_str_fmt(cx, "decays in [%.4g, %.4g]%s", g.decay.lo, g.decay.hi, grow ? ", they may grow" : "");
}
