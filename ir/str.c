/* Strings: interned, so that equal ones are equal pointers, and growing texts
 * for printers. The table is open addressing over FNV-1a hashes. */
#include "base.h"

#include <stdlib.h>
#include <string.h>

struct np_strtab {
    np_str *slot;
    size_t cap, n; /* cap is a power of two */
};

uint64_t np_str_hash(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h ^ (h >> 29);
}

static np_str *find(struct np_strtab *t, const char *s, size_t n)
{
    for (size_t i = np_str_hash(s, n);; i++) {
        np_str *slot = &t->slot[i & (t->cap - 1)];
        if (!*slot || (strncmp(*slot, s, n) == 0 && (*slot)[n] == 0)) return slot;
    }
}

static void grow(np_cx *cx, struct np_strtab *t)
{
    struct np_strtab old = *t;
    t->cap = old.cap ? old.cap * 2 : 1024;
    t->slot = np_arena_array(&cx->perm, t->cap, sizeof *t->slot);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slot[i]) *find(t, old.slot[i], strlen(old.slot[i])) = old.slot[i];
}

np_str np_str_len(np_cx *cx, const char *s, size_t n)
{
    struct np_strtab *t = cx->strs;
    if (!t) t = cx->strs = np_arena_alloc(&cx->perm, sizeof *t);
    if (n == 0) s = "";
    const char *end = memchr(s, 0, n); /* a NUL inside would make two strings equal that are not */
    if (end) n = (size_t)(end - s);
    if (t->n * 2 >= t->cap) grow(cx, t);
    np_str *slot = find(t, s, n);
    if (!*slot) {
        char *copy = np_arena_alloc(&cx->perm, n + 1);
        if (n) memcpy(copy, s, n);
        *slot = copy;
        t->n++;
    }
    return *slot;
}

np_str np_str_new(np_cx *cx, const char *s)
{
    return np_str_len(cx, s, strlen(s));
}

static void add(np_text *t, const char *fmt, va_list ap) NP_PRINTF(2, 0);
static void room(np_text *t, size_t more)
{
    if (t->n + more + 1 <= t->cap) return;
    size_t cap = t->cap ? t->cap * 2 : 256;
    while (cap < t->n + more + 1) cap *= 2;
    char *s = realloc(t->s, cap);
    if (!s) {
        fprintf(stderr, "neap: out of memory (a text of %zu bytes)\n", cap);
        exit(1);
    }
    t->s = s;
    t->cap = cap;
}

static void add(np_text *t, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    room(t, 80);
    int n = vsnprintf(t->s + t->n, t->cap - t->n, fmt, ap);
    if (n > 0 && (size_t)n >= t->cap - t->n) {
        room(t, (size_t)n);
        vsnprintf(t->s + t->n, t->cap - t->n, fmt, again);
    }
    va_end(again);
    if (n > 0) t->n += (size_t)n;
}

np_str np_str_fmt(np_cx *cx, const char *fmt, ...)
{
    np_text t = {0};
    va_list ap;
    va_start(ap, fmt);
    add(&t, fmt, ap);
    va_end(ap);
    np_str s = np_str_len(cx, t.s, t.n);
    np_text_free(&t);
    return s;
}

void np_text_add(np_text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(t, fmt, ap);
    va_end(ap);
}

void np_text_put(np_text *t, const char *s, size_t n)
{
    room(t, n);
    if (n) memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = 0;
}

void np_text_free(np_text *t)
{
    free(t->s);
    *t = (np_text){0};
}

/* ---- what was meant: letters left out, added, changed, or exchanged with the next */
int np_str_distance(const char *a, const char *b, int most)
{
    enum { LONGEST = 256 };
    int row[3][LONGEST], n = (int)strlen(a), m = (int)strlen(b);
    if (n >= LONGEST || m >= LONGEST || abs(n - m) > most) return most + 1;
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *above = row[(i + 2) % 3], *before = row[(i + 1) % 3], least = now[0] = i;
        for (int j = 1; j <= m; j++) {
            int d = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < d) d = above[j] + 1;
            if (now[j - 1] + 1 < d) d = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            now[j] = d;
            if (d < least) least = d;
        }
        if (least > most) return most + 1;
    }
    return row[n % 3][m];
}

const char *np_str_near(const char *name, int n, const char *const *among)
{
    int len = (int)strlen(name),
        best = len < 5 ? 2 : 3; /* must be less: two slips in a long name, one in a short */
    const char *found = NULL;
    for (int i = 0; i < n; i++) {
        int d = np_str_distance(name, among[i], best);
        bool first = d < best || (found && d == best && strcmp(among[i], found) < 0);
        if (d > 0 && d < len && first) best = d, found = among[i];
    }
    return found;
}
