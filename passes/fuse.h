/* Shared by the files of `fuse`, and by no one else. */
#ifndef NP_FUSE_H
#define NP_FUSE_H

#include "passes.h"

typedef struct np_fuse_set {               /* roots that are computed row by row in one group */
    const np_node **member, **pred, *name; /* pred: what they need; name: the one that it is called after */
    int n, npreds;
    bool *leaves; /* of each member: it is wanted outside */
    bool begun;
} np_fuse_set;
typedef struct np_fuse {
    np_cx *cx;
    const np_fn *f;
    np_arena mem;
    bool *kept;             /* by id: reaches memory: the root of a group */
    const np_node **reader; /* by id: the only group that reads it (its root), or np_fuse_many */
    int *cost;              /* by id: operations to compute an element again */
    const np_node **as;     /* by id of an output of a scan: what it is stored as, moved; or NULL */
    np_fuse_set **set;      /* by id of what is kept at top */
    int *rows;              /* by id: the axis of its rows, where its set has more members */
} np_fuse;
extern const np_node np_fuse_many;
enum {
    NP_FUSE_DEAR = 4,    /* operations that cost more than a store and a load */
    NP_FUSE_MEMBERS = 60 /* of a set, at most */
};

/* ---- fuse.c */
/* Is n the epilogue of a sum that nobody else reads? Then n is stored in its stead. */
bool np_fuse_ends_sum(const int *uses, const np_node *n);
bool np_fuse_is_output(const np_node *n); /* of a scan, in whose block it stands */
/* ---- fuse_trim.c: scans without what they make for nobody. NULL: there is nothing of that kind. */
np_fn *np_fuse_trim(const np_fn *f);
/* ---- fuse_rows.c: elementwise code on outputs of blocks before these are put together. NULL: there is none. */
np_fn *np_fuse_rows(const np_fn *f);
/* ---- fuse_sink.c: what stands around scans goes into their bodies. NULL: nothing does. */
np_fn *np_fuse_sink(const np_fuse *u);
/* ---- fuse_merge.c: which groups become one. */
void np_fuse_merge(np_fuse *u);
/* ---- fuse_group.c: the new function, every kept node a group. */
np_fn *np_fuse_build(np_fuse *u);

#endif
