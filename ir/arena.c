/* Arenas: memory that is given out piece by piece and taken back at once. A
 * chunk is at least 64 KiB and doubles up to 4 MiB, so a compilation needs a few
 * dozen calls of malloc. Memory comes zeroed and 16-aligned. Running out ends
 * the process: the compiler has nothing useful left to do then. */
#include "base.h"

#include <stdlib.h>
#include <string.h>

struct np_chunk {
    struct np_chunk *older;
    size_t size, used; /* of bytes behind the header */
    size_t pad;        /* keeps what follows 16-aligned */
};

static NP_NORETURN void out_of_memory(size_t size)
{
    fprintf(stderr, "neap: out of memory (%zu bytes were asked for)\n", size);
    exit(1);
}

void *np_arena_alloc(np_arena *a, size_t size)
{
    enum { LEAST = 64 * 1024, MOST = 4 * 1024 * 1024 };
    if (size > SIZE_MAX / 2) out_of_memory(size);
    size = (size + 15) & ~(size_t)15;
    struct np_chunk *c = a->chunk;
    if (!c || c->size - c->used < size) {
        size_t n = !c ? LEAST : c->size >= MOST / 2 ? MOST : c->size * 2;
        if (n < size) n = size;
        struct np_chunk *fresh = calloc(1, sizeof *fresh + n);
        if (!fresh) out_of_memory(n);
        fresh->size = n;
        fresh->older = c;
        a->chunk = c = fresh;
    }
    void *p = (char *)(c + 1) + c->used;
    c->used += size;
    a->used += size;
    return p;
}

void *np_arena_array(np_arena *a, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / 2 / size) out_of_memory(SIZE_MAX);
    return np_arena_alloc(a, n * size);
}

void *np_arena_copy(np_arena *a, const void *src, size_t size)
{
    void *p = np_arena_alloc(a, size);
    if (size) memcpy(p, src, size);
    return p;
}

void *np_arena_more(np_arena *a, void *list, int n, size_t size)
{
    if (n & (n - 1)) return list;
    void *p = np_arena_array(a, n ? 2 * (size_t)n : 1, size);
    if (n) memcpy(p, list, (size_t)n * size);
    return p;
}

void np_arena_free(np_arena *a)
{
    for (struct np_chunk *c = a->chunk, *older; c; c = older) {
        older = c->older;
        free(c);
    }
    *a = (np_arena){0};
}
