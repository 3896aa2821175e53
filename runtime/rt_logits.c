/* The logits of a text as a safetensors file with one tensor, `logits` [T,V].
 * How many rows there are is known at the end: the header has a fixed length,
 * which its format allows to fill with blanks, and is written again then. */
#include "np_rt.h"

#include <inttypes.h>
#include <string.h>

enum { RT_LOGITS_HEADER = 192 };

static int rt_logits_header(np_rt_logits *l)
{
    char h[RT_LOGITS_HEADER + 1];
    uint64_t length = RT_LOGITS_HEADER - 8;
    for (int i = 0; i < 8; i++) h[i] = (char)(length >> 8 * i & 0xff);
    int n = snprintf(h + 8, sizeof h - 8,
                     "{\"logits\":{\"dtype\":\"F32\",\"shape\":[%" PRId64 ",%" PRId64
                     "],\"data_offsets\":[0,%" PRId64 "]}}",
                     l->rows, l->V, l->rows * l->V * (int64_t)sizeof(float));
    memset(h + 8 + n, ' ', (size_t)(RT_LOGITS_HEADER - 8 - n));
    return np_rt_file_put(&l->f, h, RT_LOGITS_HEADER);
}

int np_rt_logits_open(np_rt_logits *l, const char *path, int64_t V)
{
    int err = np_rt_file_open(&l->f, path);
    l->rows = 0;
    l->V = V;
    if (err) return err;
    err = np_rt_file_rewind(&l->f); /* a pipe cannot */
    if (!err) err = rt_logits_header(l);
    return err ? np_rt_file_close(&l->f, err) : 0;
}

int np_rt_logits_put(np_rt_logits *l, const float *x, int64_t rows)
{
    l->rows += rows;
    return np_rt_file_put(&l->f, x, (size_t)(rows * l->V) * sizeof *x);
}

int np_rt_logits_close(np_rt_logits *l, int err)
{
    if (!err) err = np_rt_file_rewind(&l->f);
    if (!err) err = rt_logits_header(l);
    return np_rt_file_close(&l->f, err);
}
