/* Shared by the files of `fuse`, and by no one else. */
#ifndef NP_FUSE_H
#define NP_FUSE_H

#include "passes.h"

typedef struct np_fuse {
    np_cx *cx;
    const np_fn *f;
    np_arena mem;
    bool *kept;             /* by id: reaches memory: the root of a group */
    const np_node **reader; /* by id: the only group that reads it (its root), or np_fuse_many */
    int *cost;              /* by id: operations to compute an element again */
} np_fuse;
extern const np_node np_fuse_many;

/* ---- fuse.c: what is kept. */
void np_fuse_decide(np_fuse *u);
/* ---- fuse_group.c: the new function, every kept node a group. */
np_fn *np_fuse_build(np_fuse *u);

#endif
