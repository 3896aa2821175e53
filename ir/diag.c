/* The context and its diagnostics: errors (the user's fault), notes (why a pass
 * did what), bugs (ours). Each is kept once; printing shows the line of the
 * user's file that it is about. */
#include "ir.h"

#include <stdlib.h>
#include <string.h>

struct np_source {
    struct np_source *next;
    np_str file;
    const char *text;
    size_t n;
};

struct np_deferred {
    struct np_deferred *older;
    void (*fn)(void *p, size_t n);
    void *p;
    size_t n;
};

np_cx *np_cx_new(void)
{
    np_cx *cx = calloc(1, sizeof *cx);
    if (!cx) {
        fprintf(stderr, "neap: out of memory\n");
        exit(1);
    }
    return cx;
}

void np_cx_free(np_cx *cx)
{
    if (!cx) return;
    for (struct np_deferred *d = cx->deferred; d; d = d->older) d->fn(d->p, d->n);
    np_arena_free(&cx->perm);
    np_arena_free(&cx->tmp);
    free(cx->diag);
    free(cx);
}

void np_cx_defer(np_cx *cx, void (*fn)(void *p, size_t n), void *p, size_t n)
{
    struct np_deferred *d = np_arena_alloc(&cx->perm, sizeof *d);
    *d = (struct np_deferred){cx->deferred, fn, p, n};
    cx->deferred = d;
}

static void report(np_cx *cx, np_level level, np_loc loc, const char *fmt, va_list ap) NP_PRINTF(4, 0);
static void report(np_cx *cx, np_level level, np_loc loc, const char *fmt, va_list ap)
{
    enum { MOST = 1000 }; /* errors; what follows says nothing new */
    char line[2048];
    vsnprintf(line, sizeof line, fmt, ap);
    np_str text = np_str_new(cx, line);
    for (int i = 0; i < cx->ndiags; i++) {
        const np_diag *d = &cx->diag[i];
        if (d->level == level && d->text == text && d->loc.file == loc.file && d->loc.line == loc.line &&
            d->pass == cx->pass)
            return;
    }
    if (level == NP_ERROR && cx->nerrors >= MOST) return;
    if ((cx->ndiags & (cx->ndiags + 1)) == 0) { /* grow at 0, 1, 3, 7, .. */
        np_diag *d = realloc(cx->diag, (size_t)(2 * cx->ndiags + 1) * sizeof *d);
        if (!d) {
            fprintf(stderr, "neap: out of memory\n");
            exit(1);
        }
        cx->diag = d;
    }
    cx->diag[cx->ndiags++] = (np_diag){level, loc, cx->pass, text};
    cx->nerrors += level == NP_ERROR;
}

#define REPORT(name, level)                                                                                  \
    void name(np_cx *cx, np_loc loc, const char *fmt, ...)                                                   \
    {                                                                                                        \
        va_list ap;                                                                                          \
        va_start(ap, fmt);                                                                                   \
        report(cx, level, loc, fmt, ap);                                                                     \
        va_end(ap);                                                                                          \
    }
REPORT(np_error, NP_ERROR)
REPORT(np_warn, NP_WARNING)
REPORT(np_note, NP_NOTE)

void np_bug(np_cx *cx, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "neap: a mistake of the compiler itself%s%s: ", cx->pass ? " in pass " : "",
            cx->pass ? cx->pass : "");
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    if (cx->last) {
        np_text t = {0};
        np_print_fn(&t, cx->last, (np_print_opts){0});
        fprintf(stderr, "the last good function:\n%s", t.s);
        np_text_free(&t);
    }
    fflush(NULL);
    exit(3);
}

void np_diag_source(np_cx *cx, np_str file, const char *text, size_t n)
{
    struct np_source *s = np_arena_alloc(&cx->perm, sizeof *s);
    char *copy = np_arena_alloc(&cx->perm, n + 1);
    if (n) memcpy(copy, text, n);
    *s = (struct np_source){cx->sources, file, copy, n};
    cx->sources = s;
}

/* The line, without its indentation; shown only where the source is remembered. */
static void print_line(const np_cx *cx, np_loc loc, FILE *out)
{
    const struct np_source *s = cx->sources;
    while (s && s->file != loc.file) s = s->next;
    if (!s || loc.line <= 0) return;
    const char *p = s->text, *end = s->text + s->n;
    for (int line = 1; line < loc.line && p; line++) {
        p = memchr(p, '\n', (size_t)(end - p));
        p = p ? p + 1 : NULL;
    }
    if (!p || p >= end) return;
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    if (!stop) stop = end;
    while (p < stop && (*p == ' ' || *p == '\t')) p++;
    fprintf(out, "    %.*s\n", (int)(stop - p < 200 ? stop - p : 200), p);
}

void np_diag_print(np_cx *cx, np_level least, FILE *out)
{
    static const char *const word[] = {"note", "warning", "error"};
    for (int i = 0; i < cx->ndiags; i++) {
        const np_diag *d = &cx->diag[i];
        if (d->level < least) continue;
        if (d->loc.file && d->loc.line)
            fprintf(out, "%s:%d: ", d->loc.file, d->loc.line);
        else if (d->loc.file)
            fprintf(out, "%s: ", d->loc.file);
        else
            fprintf(out, "neap: ");
        fprintf(out, "%s: %s", word[d->level], d->text);
        if (d->loc.scope && *d->loc.scope) fprintf(out, " (in %s)", d->loc.scope);
        fprintf(out, "\n");
        print_line(cx, d->loc, out);
    }
}
