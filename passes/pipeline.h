/* Shared by pipeline.c and pipeline_eval.c. */
#ifndef NP_PIPELINE_H
#define NP_PIPELINE_H

#include "passes.h"

/* Do f and g give the same results? If not: false, and an error that names the pass. */
bool np_pipeline_compare(const np_fn *f, const np_fn *g, const char *pass);

#endif
