/* neap targets: the machines that code is made for. */
#include "driver.h"

static void print_cache(const char *name, int kib)
{
    if (kib) printf("  %s %d KiB", name, kib);
}

int np_targets_main(np_cx *cx, const np_options *o)
{
    static const char *const names[] = {
#define NP_TARGET(name, lanes, rows, l1, l2, l3, threads, flags) #name,
#include "../backends/targets.def"
#undef NP_TARGET
    };
    (void)o;
    for (size_t i = 0; i < NP_LEN(names); i++) {
        const np_target *t = np_target_find(cx, names[i]);
        if (!t) return NP_EXIT_INPUT;
        printf("%-14s %d lanes  %d rows", t->name, t->lanes, t->rows);
        print_cache("L1", t->l1);
        print_cache("L2", t->l2);
        print_cache("L3", t->l3);
        printf("  %d thread%s  %s\n", t->threads, t->threads == 1 ? "" : "s", t->cflags);
    }
    return NP_EXIT_DONE;
}
