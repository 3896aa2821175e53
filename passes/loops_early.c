/* Values that are computed for a block of steps before any tile runs. A gate of
 * each head, sigmoid(g_t) or exp(g_t), comes from no state and is one number for
 * a tile: inside it would be computed by itself, and again in each tile that lacks
 * an axis which runs around time. So what is dear, has no lanes or not all of these
 * axes, and is small is computed for the steps of a block first (for all steps if
 * they are few), all its elements side by side:
 *
 *   for each block of steps:  e[r, h] = exp(g[first + r, h]);  for each tile: steps that read e[r, h]
 *
 * That is a block's worth of memory, and no pass over all steps of its own. */
#include "loops_time.h"

int64_t np_steps_early_size(const np_node *x)
{
    int64_t n, all = 1;
    for (int k = 0; k < x->type->rank; k++) {
        if (!np_dim_int(x->type->dim[k], &n) || n > NP_EARLY_MOST) return 0;
        all *= n;
        if (all > NP_EARLY_MOST) return 0;
    }
    return all;
}
/* Would tiles compute x, read with these classes, again and again or one by one? */
static bool is_repeated(const np_steps *s, const np_node *x, const int *axis)
{
    uint64_t own = 0;
    bool around = false, scalar = true;
    for (int k = 0; k < x->type->rank; k++)
        if (axis[k] >= 0) own |= (uint64_t)1 << axis[k];
    for (int c = 0; c < s->nclasses; c++) {
        bool has = own >> c & 1, loop = s->class[c].outside && !np_dim_is(s->class[c].n, 1);
        if (loop && c == s->lane) loop = !np_dim_is(s->class[c].n, s->width);
        if (loop && !has) return true;
        around |= loop;
        scalar &= !has || (s->class[c].outside && c != s->lane);
    }
    return around && scalar;
}
bool np_steps_is_early(np_steps *s, const np_node *x, const int *axis)
{
    for (int i = 0; i < s->nearly; i++)
        if (s->early[i].x == x) return true;
    if (np_steps_hot(s, x) || !np_is_elem(x) || !(s->timed[x->id] || s->once) || s->nearly == NP_MAXEARLY)
        return false;
    if (np_steps_early_size(x) == 0 || !is_repeated(s, x, axis)) return false;
    s->early[s->nearly++] = (np_early){.x = x};
    return true;
}
int64_t np_steps_early_bytes(const np_steps *s)
{
    int64_t bytes = 0;
    for (int i = 0; i < s->nearly; i++)
        bytes += np_steps_early_size(s->early[i].x) * np_dtype_size(s->early[i].x->type->dtype);
    return bytes;
}
/* One value, for all steps of the block that begins at s->first. */
static void compute(np_steps *s, np_early *e)
{
    np_lower *l = s->l;
    const np_type *t = e->x->type;
    const np_dim *dim[NP_RANK] = {np_dim_const(l->cx, s->rows)};
    for (int k = 0; k < t->rank; k++) dim[k + 1] = t->dim[k];
    e->all = (np_spot){.buf = np_build_alloc(l->b, e->x->name ? e->x->name : "early",
                                             np_type_tensor(l->cx, t->dtype, t->rank + 1, dim))};
    np_loops_begin_item(l);
    np_node *loop = NULL, *until = NULL, *r = np_loops_int(l, 0);
    if (!s->once) {
        int v = np_loops_var(l, s->steps ? dim[0] : s->scan->attr[1]);
        loop = np_loops_open(l, v);
        r = l->var[v].at;
        if (s->steps) until = np_steps_open_until(s, loop);
    }
    l->time[s->scan->id] = np_steps_time(s, r);
    np_spot row = np_loops_row(l, &e->all, r);
    np_loops_item(l, e->x, &row);
    if (until) np_loops_close_until(l, until);
    if (loop) np_loops_close(l, loop);
}
void np_steps_early_compute(np_steps *s)
{
    for (int i = 0; i < s->nearly; i++) compute(s, &s->early[i]);
}
void np_steps_early_open(np_steps *s, np_node *r)
{
    for (int i = 0; i < s->nearly; i++) {
        np_spot *slot = &s->l->slot[s->early[i].x->id];
        s->early[i].was = *slot;
        *slot = np_loops_row(s->l, &s->early[i].all, r);
    }
}
void np_steps_early_close(np_steps *s)
{
    for (int i = 0; i < s->nearly; i++) s->l->slot[s->early[i].x->id] = s->early[i].was;
}
