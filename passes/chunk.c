/* chunk: how many steps of a recurrence are computed as one block. With chunk 1
 * every scan keeps its step form, one step after the other, whatever its length;
 * that form is always right, and a note says which scans have it. */
#include "passes.h"

static void note_scan(void *env, const np_node *n)
{
    const np_fn *f = env;
    int64_t seq = 0;
    if (n->op != NP_SCAN || !np_dim_int(n->attr[0], &seq) || seq == n->nargs) return; /* a map has no order */
    np_note(f->cx, n->loc, "scan over %s in @%s: step form (chunk 1)", np_dim_str(f->cx, n->attr[1]), f->name);
}
np_fn *np_chunk_run(const np_fn *f, const np_knobs *k)
{
    (void)k;
    np_fn_walk(f, note_scan, (void *)f);
    return np_fn_copy(f);
}
