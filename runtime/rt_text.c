/* Text of the main program, in and out.
 *
 * Tokens come to standard output as they are made, but never a part of a
 * character, unless the next byte shows that it is none or the text ends. The
 * stream is flushed at most every few milliseconds: a fast model does not wait
 * for the terminal, a slow one shows each token at once. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "np_rt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double RT_FLUSH_SECONDS = 0.01;

double np_rt_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void rt_text_check(np_rt_text *t, int failed)
{
    if (failed && !t->err) t->err = errno ? errno : EIO;
}

static void rt_text_flush(np_rt_text *t)
{
    errno = 0;
    rt_text_check(t, fflush(stdout) != 0 || ferror(stdout));
    t->flushed = np_rt_seconds();
}

static void rt_text_release(np_rt_text *t)
{
    errno = 0;
    rt_text_check(t, fwrite(t->part, 1, (size_t)t->n, stdout) != (size_t)t->n);
    t->n = 0;
}

static void rt_text_byte(np_rt_text *t, char byte)
{
    if (t->n > 0 && ((unsigned char)byte & 0xc0) != 0x80) rt_text_release(t); /* it was no character */
    t->part[t->n++] = byte;
    unsigned char first = (unsigned char)t->part[0];
    int length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 1;
    if (t->n >= length) rt_text_release(t);
}

void np_rt_text_put(np_rt_text *t, const np_session *s, int32_t before, int32_t token)
{
    if (t->ids) {
        errno = 0;
        rt_text_check(t, printf(t->any ? " %" PRId32 : "%" PRId32, token) < 0);
    } else {
        int n;
        const char *p = np_decode(s, before, token, &n);
        for (int i = 0; i < n; i++) rt_text_byte(t, p[i]);
    }
    t->any = 1;
    if (np_rt_seconds() - t->flushed >= RT_FLUSH_SECONDS) rt_text_flush(t);
}

void np_rt_text_end(np_rt_text *t)
{
    rt_text_release(t);
    errno = 0;
    rt_text_check(t, putchar('\n') == EOF);
    rt_text_flush(t);
}

char *np_rt_text_read(const char *path, size_t *n, int *err)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t cap = 1 << 16;
    char *text = f ? malloc(cap) : NULL;
    *err = 0;
    *n = 0;
    while (text) {
        errno = 0;
        *n += fread(text + *n, 1, cap - *n, f);
        if (*n < cap) break;
        char *more = np_encode_bytes(cap * 2) ? realloc(text, cap * 2) : NULL;
        if (!more) {
            free(text);
            errno = np_encode_bytes(cap * 2) ? ENOMEM : EFBIG;
        }
        text = more;
        cap *= 2;
    }
    if (!text || ferror(f)) {
        *err = errno ? errno : EIO;
        free(text);
        text = NULL;
    }
    if (f && f != stdin) fclose(f);
    return text;
}
