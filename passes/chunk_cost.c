/* Which form a recurrence takes: what steps, chunks and convolutions cost, and
 * what serves it by itself. Takes a recurrence as linear forms (affine.h) and what
 * was asked for; gives steps of a chunk and how they are written.
 *
 *   step by step    K V (reads + writes + decay)
 *   in chunks of c  K V (reads + writes) + c (K + V) reads writes + c tables
 *
 * multiply-adds a step. A chunk has more of them where the state is small, and it
 * makes them in contractions, but reads and writes the state once for c steps. */
#include "chunk.h"

#include <string.h>

static double volume(const np_affine *a, const char *letters)
{
    double v = 1;
    for (; *letters; letters++) {
        int64_t lo, hi;
        np_dim_range(a->l.dim[(int)*letters], &lo, &hi);
        v *= (double)(hi < 1 ? 1 : hi);
    }
    return v;
}
/* Multiply-adds of a step for one index of the batch: in the step form, and in chunks of c. */
static double step_work(const np_affine *a)
{
    double kv = volume(a, a->key) * volume(a, a->value) * volume(a, a->held),
           levels = volume(a, (char[]){a->level, 0});
    double mixing = a->dense                    ? levels
                    : a->decay == NP_DECAY_NONE ? 0
                    : a->decay == NP_DECAY_EACH ? a->nstates
                                                : 1;
    return kv * (a->nreads + a->nwrites + mixing) * a->nstates * levels;
}
static double chunk_work(const np_affine *a, double c)
{
    double k = volume(a, a->key), v = volume(a, a->value) * volume(a, a->held),
           pairs = a->nreads * a->nwrites, levels = volume(a, (char[]){a->level, 0});
    double table = a->decay == NP_DECAY_KEY     ? 2 * k * a->nwrites * a->nstates * a->nstates
                   : a->decay == NP_DECAY_VALUE ? v * a->nwrites
                   : a->decay == NP_DECAY_BOTH  ? (2 * k + v) * a->nwrites
                                                : a->nstates * levels * levels * volume(a, a->held);
    for (int f = 0; f < a->nwrites; f++) pairs += a->write[f].own ? a->nreads * levels * levels : 0;
    double mixing = a->level ? k * v * levels * levels / c + levels * levels * levels : 0;
    return k * v * (a->nreads + a->nwrites) * a->nstates * levels + c * (pairs * (k + v) + table) + mixing;
}
/* As a convolution: states at the chunk's end and reads of them, the kernel's products, and its tables of powers, made in
 * every call of so many steps. `weighed`: against multiply-adds of the step form. */
static double conv_work(const np_affine *a, double c, double steps, bool weighed)
{
    double k = volume(a, a->key), v = volume(a, a->value), n = a->nstates, pairs = a->nreads * a->nwrites;
    double states = v * k * n * (a->nreads + a->nwrites + n / c), kernel = v * c / 2 * pairs,
           tables = c * k * (n * n * n + n * n * (a->nreads + a->nwrites) + n * pairs) / steps;
    return weighed ? 1.2 * states + 9 * kernel + 2.7 * tables : states + kernel + tables;
}
static bool fits(const np_affine *a, size_t more)
{
    bool good = strlen(a->axes) + more <= NP_RANK;
    for (int e = 0; e < a->nreads; e++) good &= strlen(a->read[e].axes) + more <= NP_RANK;
    return good;
}
static bool writes_reads(const np_affine *a)
{
    bool any = false;
    for (int f = 0; f < a->nwrites; f++) any |= a->write[f].reads;
    return any;
}
/* What both forms cost, in multiply-adds of a step whose state stays in the first-level cache; measured on a core with
 * 512-bit registers, heads of 64 x 64 and 128 x 128 (docs/bench.md). The step form keeps a tile of the state in that cache
 * and takes the next one after a block of steps; states that are LARGE cost more. A chunk reads and writes the whole state,
 * wherever it lies, and copies what is fed to it; with decays along the values it goes step by step within the chunk. */
static const double LARGE = 16384, LANES = 64; /* elements */
static double step_cost(const np_affine *a)
{
    return step_work(a) * (volume(a, a->key) * volume(a, a->value) < LARGE ? 1 : 1.25);
}
static double chunk_cost(const np_affine *a, double c)
{
    double k = volume(a, a->key) * volume(a, a->held), v = volume(a, a->value) * volume(a, a->held),
           states = a->nstates * volume(a, (char[]){a->level, 0}),
           passes = a->nreads + a->nwrites + writes_reads(a);
    double slow = a->decay == NP_DECAY_VALUE ? 1.6 : 0.92;
    return slow * chunk_work(a, c) + states * (4.5 * passes * volume(a, a->key) * v / c + 10 * (k + v));
}
/* How many chunks of c steps lie side by side. What is kept for each of them is memory: that many and no more, whatever T is.
 * One core that computes them one after the other gains nothing, so they are asked for. */
static int64_t abreast(const np_wanted *w, const np_affine *a, int64_t c)
{
    bool can =
        c > 1 && w->abreast > 1 && fits(a, 4) && !((np_chunk_by_value(a) || a->level) && writes_reads(a));
    if (!can) return 1;
    int64_t chunks = (w->most + c - 1) / c;
    return chunks < 2 ? 1 : chunks < w->abreast ? chunks : w->abreast;
}
enum { STEPS = 32 };
static const double MATRIX = 4096; /* elements */
/* Do reads multiply the state with a matrix, the same in every step, that is larger than the state? The step form would go
 * through all of it in every step. */
static bool reads_matrix(const np_affine *a)
{
    for (int e = 0; e < a->nreads; e++) {
        char own[NP_LETTERS];
        np_label_keep(own, a->read[e].axes, a->axes, false);
        bool still = true;
        for (int i = 0; i < a->nstates; i++) still &= !np_label_has(a->read[e].a[i], "t");
        if (still && volume(a, own) * volume(a, a->key) >= MATRIX) return true;
    }
    return false;
}
/* Is it written step by step in every chunk? */
static bool by_steps(const np_wanted *w, const np_affine *a)
{
    int64_t c = w->chunk;
    if (c == 1 || writes_reads(a) || a->level) return false;
    return (reads_matrix(a) && fits(a, 2)) ||
           ((a->each || !a->key[0] || a->decay == NP_DECAY_VALUE) && abreast(w, a, c) > 1);
}
/* Does a convolution over chunks of CONV steps pay? Its kernel is made anew in every call. The step form slows down where a
 * tile of the states and of all their coefficients is larger than the first-level cache. */
enum { CONV = 16 };
static const double TABLES = 96 * 1024; /* bytes */
static bool conv_pays(const np_wanted *w, const np_affine *a)
{
    double beside = volume(a, a->batch) * volume(a, a->value),
           tile = volume(a, a->key) * (beside < LANES ? beside : LANES),
           bytes = 4 * tile * a->nstates * (2 + a->nreads + a->nwrites);
    return conv_work(a, CONV, (double)w->most, true) < step_work(a) * (bytes <= TABLES ? 1 : 1.6);
}
/* How many steps a chunk has; 1 and why if none pays. */
static int64_t chunk_of(const np_wanted *w, const np_affine *a, const np_choice *k, const char **why)
{
    int64_t c = w->chunk;
    double best = step_cost(a);
    if (c == 0 && k->conv)
        return conv_pays(w, a) ? CONV : (*why = "a convolution would not pay for so few states or steps", 1);
    if (!k->conv && !k->each) {
        if (a->each) return *why = a->each, 1;
        if (!a->key[0]) return *why = "element by element: there are no scores to block", 1;
        if (!fits(a, 2)) return *why = "it has too many axes", 1;
    }
    if (c > 0) return c;
    if (k->each) return STEPS;
    c = 1;
    for (int64_t n = 16; n <= 64; n *= 2)
        if (chunk_cost(a, (double)n) < best) best = chunk_cost(a, (double)n), c = n;
    *why = c == 1 ? "blocks would not pay for a state of this size" : "";
    return c;
}
np_choice np_chunk_choose(np_affine *a, const np_wanted *w)
{
    np_choice k = {.conv = w->chunk != 1 && np_conv_take(a)};
    k.each = !k.conv && by_steps(w, a);
    if (!k.conv && !k.each) np_affine_apart(a);
    k.c = chunk_of(w, a, &k, &k.why);
    if (k.c > w->most) k.c = w->most < 1 ? 1 : w->most;
    k.side = abreast(w, a, k.c);
    return k;
}
double np_chunk_effort(const np_affine *a, const np_choice *k, int64_t c, int64_t steps)
{
    double work = k->conv   ? conv_work(a, (double)c, (double)steps, false)
                  : k->each ? (k->side > 1 ? 2 : 1) * step_work(a)
                            : chunk_work(a, (double)c);
    return work / step_work(a);
}
