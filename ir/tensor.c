/* Tensors of the interpreter: doubles in row-major order, whatever the type. */
#include "ir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t np_tensor_count(const np_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    return n;
}
np_tensor np_tensor_new(np_dtype d, int rank, const int64_t *dim)
{
    np_tensor t = {.dtype = d, .rank = rank};
    for (int i = 0; i < rank; i++) t.dim[i] = dim[i];
    int64_t n = np_tensor_count(&t);
    t.data = n < 0 || n > INT64_MAX / 16 ? NULL : calloc((size_t)n + 1, sizeof *t.data);
    if (!t.data) {
        fprintf(stderr, "neap: out of memory (a tensor of %lld values)\n", (long long)n);
        exit(1);
    }
    return t;
}
void np_tensor_free(np_tensor *t)
{
    free(t->data);
    *t = (np_tensor){0};
}
np_tensor np_tensor_copy(const np_tensor *t)
{
    np_tensor c = np_tensor_new(t->dtype, t->rank, t->dim);
    memcpy(c.data, t->data, (size_t)np_tensor_count(t) * sizeof *c.data);
    return c;
}
double np_tensor_distance(const np_tensor *a, const np_tensor *b)
{
    if (a->rank != b->rank || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) != 0) return INFINITY;
    double most = 0, size = 1e-30;
    for (int64_t i = 0, n = np_tensor_count(a); i < n; i++) {
        double x = a->data[i], y = b->data[i];
        if (isfinite(y)) size = fmax(size, fabs(y));
        if (x == y || (isnan(x) && isnan(y))) continue;
        if (!isfinite(x) || !isfinite(y)) return INFINITY;
        most = fmax(most, fabs(x - y));
    }
    return most / size;
}
static uint64_t splitmix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}
void np_tensor_random(np_tensor *t, uint64_t seed)
{
    char c = np_dtype_class(t->dtype);
    for (int64_t i = 0, n = np_tensor_count(t); i < n; i++) {
        uint64_t u = splitmix(seed * 0x9e3779b97f4a7c15u + (uint64_t)i);
        t->data[i] = c == 'B' ? (double)(u & 1) : c == 'I' ? (double)(u & 7) : np_round_to(t->dtype, (double)(u >> 40) / 0x1p23 - 1);
    }
}
