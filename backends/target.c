/* Targets: rows of targets.def, and this machine, which is asked: hwloc for
 * caches and cores, the processor for the width of its registers. */
#include "backends.h"

#include <hwloc.h>
#include <string.h>

static const np_target rows[] = {
#define NP_TARGET(name, lanes, rows, l1, l2, l3, threads, flags)                                             \
    {#name, lanes, rows, l1, l2, l3, threads, flags},
#include "targets.def"
#undef NP_TARGET
};

static int cache_kib(hwloc_topology_t t, hwloc_obj_type_t type)
{
    hwloc_obj_t o = hwloc_get_obj_by_type(t, type, 0);
    return o ? (int)(o->attr->cache.size / 1024) : 0;
}
static void probe(np_target *t)
{
    hwloc_topology_t topo;
    t->threads = 1;
    if (hwloc_topology_init(&topo) == 0) {
        if (hwloc_topology_load(topo) == 0) {
            int cores = hwloc_get_nbobjs_by_type(topo, HWLOC_OBJ_CORE);
            t->l1 = cache_kib(topo, HWLOC_OBJ_L1CACHE);
            t->l2 = cache_kib(topo, HWLOC_OBJ_L2CACHE);
            t->l3 = cache_kib(topo, HWLOC_OBJ_L3CACHE);
            if (cores > 0) t->threads = cores;
        }
        hwloc_topology_destroy(topo);
    }
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) t->lanes = 64, t->rows = 6;
#endif
}
const np_target *np_target_find(np_cx *cx, const char *name)
{
    for (size_t i = 0; i < NP_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        np_target *t = np_arena_copy(&cx->perm, &rows[i], sizeof *t);
        if (t->threads == 0) probe(t);
        return t;
    }
    return NULL;
}
