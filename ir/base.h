/* What every room needs before it can say anything: arenas, interned strings,
 * places in the user's files, and the three ways of reporting (error, note,
 * bug). np_cx owns all of it; there are no globals, so two compilations may
 * run in two threads. */
#ifndef NP_BASE_H
#define NP_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define NP_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define NP_NORETURN __attribute__((noreturn))
#else
#define NP_PRINTF(f, a)
#define NP_NORETURN
#endif

#define NP_LEN(a) (sizeof(a) / sizeof *(a))

typedef struct np_cx np_cx;

/* ---- arena.c: memory with three lifetimes (context, function, scratch).
 * Nothing is freed one by one. Memory comes zeroed and 16-aligned; running out
 * of it ends the process with a message. */
typedef struct np_arena np_arena;
struct np_arena {
    struct np_chunk *chunk; /* newest first */
    size_t used;            /* bytes handed out since the last reset */
};
void *np_arena_alloc(np_arena *a, size_t size);
void *np_arena_array(np_arena *a, size_t n, size_t size); /* n*size checked */
void *np_arena_copy(np_arena *a, const void *src, size_t size);
/* A list of n elements that gets one more: itself, or a copy of twice the room (it is full at 0, 1, 2, 4, ..). */
void *np_arena_more(np_arena *a, void *list, int n, size_t size);
void np_arena_free(np_arena *a); /* everything at once; reusable afterwards */

/* ---- str.c: equal strings are equal pointers. */
typedef const char *np_str;
np_str np_str_new(np_cx *cx, const char *s);
np_str np_str_len(np_cx *cx, const char *s, size_t n);
uint64_t np_str_hash(const char *s, size_t n); /* of n characters */
np_str np_str_fmt(np_cx *cx, const char *fmt, ...) NP_PRINTF(2, 3);
/* Edit distance, for messages that say what was meant; above `most`: most + 1. */
int np_str_distance(const char *a, const char *b, int most);
/* The nearest other name among n (of several the first in the alphabet), or NULL if none looks like a slip of it. */
const char *np_str_near(const char *name, int n, const char *const *among);
/* A growing text on the heap, for printers. Zero-initialise, free with
 * np_text_free. */
typedef struct np_text {
    char *s; /* NUL-terminated once anything was added; NULL before */
    size_t n, cap;
} np_text;
void np_text_add(np_text *t, const char *fmt, ...) NP_PRINTF(2, 3);
void np_text_put(np_text *t, const char *s, size_t n);
void np_text_free(np_text *t);

/* ---- diag.c */
typedef enum { NP_OK = 0, NP_FAIL = 1 } np_status;

typedef struct np_loc { /* gla.lua:14 in layers[3].mix */
    np_str file;        /* NULL: unknown */
    int line;           /* 0: unknown */
    np_str scope;       /* NULL or "": top */
} np_loc;

typedef enum { NP_NOTE, NP_WARNING, NP_ERROR } np_level;
typedef struct np_diag {
    np_level level;
    np_loc loc;
    np_str pass; /* notes of passes: which; else NULL */
    np_str text;
} np_diag;

/* The user's fault. Recorded once per (loc, text), with the place; processing
 * goes on with a poison value so that one run reports several mistakes. */
void np_error(np_cx *cx, np_loc loc, const char *fmt, ...) NP_PRINTF(3, 4);
void np_warn(np_cx *cx, np_loc loc, const char *fmt, ...) NP_PRINTF(3, 4);
/* Why a pass chose or refused something; `neap explain` prints these. */
void np_note(np_cx *cx, np_loc loc, const char *fmt, ...) NP_PRINTF(3, 4);
/* Our fault: prints pass and last good function (cx->pass, cx->last), then
 * leaves with status 3. */
void np_bug(np_cx *cx, const char *fmt, ...) NP_PRINTF(2, 3) NP_NORETURN;
/* Prints recorded diagnostics of at least `least` to `out`:
 *   FILE:LINE: error: TEXT (in SCOPE)
 *       the source line, if np_diag_source was given the file
 * and forgets nothing. */
void np_diag_print(np_cx *cx, np_level least, FILE *out);
/* Keeps a source text so that messages can show lines of it. */
void np_diag_source(np_cx *cx, np_str file, const char *text, size_t n);

struct np_cx {
    np_arena perm;       /* lives as long as the context */
    np_arena tmp;        /* side tables; reset by the pipeline after a pass */
    struct np_strtab *strs;
    struct np_dimtab *dims;
    struct np_typetab *types;
    np_diag *diag;       /* heap array */
    int ndiags, nerrors;
    struct np_source *sources;
    struct np_deferred *deferred; /* newest first, in perm */
    np_str pass;         /* running pass, for notes and bugs; NULL outside */
    const struct np_fn *last; /* last function that passed its check */
};
np_cx *np_cx_new(void);
void np_cx_free(np_cx *cx);
/* np_cx_free calls fn(p, n), latest first, before it frees the arenas: for what
 * is not memory of an arena (mapped files). */
void np_cx_defer(np_cx *cx, void (*fn)(void *p, size_t n), void *p, size_t n);

#endif
