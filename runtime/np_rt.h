/* The model handle of a generated program, and all that a C program needs to
 * use a model as a library. C99; allocates at np_open only. The generated file
 * defines the tables declared at the end; the runtime reads nothing else. */
#ifndef NP_RT_H
#define NP_RT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- what the compiler writes */
typedef struct np_rt_port {  /* an input, a state or an output of an entry */
    const char *name;
    int dtype;               /* index in ir/dtypes.def */
    int rank;
    int64_t dim[8];          /* >= 0 a size; -1 T, -2 N + T, -3 N, -4 batch */
} np_rt_port;
/* in: inputs; state: one block, updated in place; out: outputs; all row-major */
typedef void np_rt_entry(int64_t T, int64_t N, void *const *in, char *state, void *const *out, char *work);
typedef struct np_rt_model {
    const char *name;
    uint64_t id;             /* hash of model, weights and layout: whose states belong to it */
    size_t state_bytes, work_bytes;
    int64_t max_T, max_N;    /* largest T of one prefill call; positions in all */
    int ninputs, nouts, nstates;
    const np_rt_port *input, *out, *state;
    const size_t *state_at;  /* offset of each state in the block */
    void (*setup)(char *heap);            /* unpacks weights; heap has setup_bytes */
    size_t setup_bytes;
    void (*init)(void *const *in, char *state, char *work);
    np_rt_entry *prefill, *step;          /* NULL where the model cannot stream */
    np_rt_entry *whole;                   /* may be NULL */
} np_rt_model;
extern const np_rt_model np_rt_this;

#endif
