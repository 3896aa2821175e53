/* Operands of contractions that lie the wrong way round for lanes across the
 * result, and are no weights (loops_turn.c): they
 * are copied into a small array whose last axis is that of the lanes, once for
 * all rows that read them. Worth it where the copy is read several times. */
#include "loops.h"

#include <string.h>

enum { MOST_BYTES = 64 * 1024, LEAST_READS = 8 };

static int64_t size(const np_dim *d)
{
    int64_t n;
    return np_dim_int(d, &n) ? n : MOST_BYTES;
}
int np_loops_lane_axis(const np_node *x, int o)
{
    const char *comma = strchr(x->sym, ','), *out = strstr(x->sym, "->") + 2, *from = o ? comma + 1 : x->sym;
    const char *p = *out ? memchr(from, out[strlen(out) - 1], (size_t)x->arg[o]->type->rank) : NULL;
    return p ? (int)(p - from) : -1;
}
bool np_loops_packable(const np_node *x, int o)
{
    if (x->op != NP_CONTRACT || np_loops_lane_axis(x, o) < 0) return false;
    const np_type *t = x->arg[o]->type;
    const char *comma = strchr(x->sym, ','), *out = strstr(x->sym, "->") + 2, *from = o ? comma + 1 : x->sym;
    int64_t bytes = np_dtype_size(t->dtype), reads = 1;
    for (int k = 0; k < t->rank && bytes <= MOST_BYTES; k++) bytes *= size(t->dim[k]);
    for (int k = 0; out[k] && reads < LEAST_READS; k++)
        if (!memchr(from, out[k], (size_t)t->rank)) reads *= size(x->type->dim[k]);
    return bytes <= MOST_BYTES && reads >= LEAST_READS;
}
np_packed np_loops_pack(np_lower *l, const np_node *x, int o)
{
    const np_node *y = x->arg[o];
    np_packed r = {.slot =
                       y->op == NP_PICK ? np_loops_slot(l, y->arg[0], (int)y->attr[0]->k) : &l->slot[y->id]};
    np_spot to = {.mapped = true};
    const np_dim *dim[NP_RANK];
    int last = np_loops_lane_axis(x, o), n = 0;
    for (int k = 0; k < y->type->rank; k++)
        if (k != last) dim[n] = y->type->dim[k], to.axis[n++] = k;
    dim[n] = y->type->dim[last], to.axis[n] = last;
    to.buf = np_build_alloc(l->b, "turned", np_type_tensor(l->cx, y->type->dtype, y->type->rank, dim));
    np_loops_item(l, y, &to);
    r.was = *r.slot;
    *r.slot = to;
    return r;
}
