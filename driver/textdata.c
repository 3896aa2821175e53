/* The tokenizer as C text for the runtime: np_rt_vocab_this and its tables.
 * What costs time at every start is done here: the pieces in the order of their
 * bytes, and which piece stands for which byte. */
#include "driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LITERAL_MAX = 4000 }; /* C99 promises 4095 characters */

/* What ends a text besides what begins one: config.json knows. */
static int config_id(const np_job *j, const char *key)
{
    const np_setting *s = j->checkpoint ? np_settings_find(&j->checkpoint->config, key) : NULL;
    return s && s->kind == NP_SET_NUM && s->num >= 0 && s->num < INT32_MAX ? (int)s->num : -1;
}

/* Octal escapes have three digits, so that no digit behind them joins; `?` could begin a trigraph. */
static void put_literal(np_text *t, const unsigned char *s, int n)
{
    np_text_add(t, "\"");
    for (int i = 0; i < n; i++)
        np_text_add(t, s[i] < 32 || s[i] > 126 ? "\\%03o" : strchr("\"\\?", s[i]) ? "\\%c" : "%c", s[i]);
    np_text_add(t, "\"");
}

static void put_score(np_text *t, float v)
{
    char s[32];
    if (!isfinite(v)) v = v < 0 ? -3e38f : 3e38f; /* C99 has no constant for an infinity */
    snprintf(s, sizeof s, "%.9g", (double)v);
    np_text_add(t, strpbrk(s, ".e") ? "%sf" : "%s.0f", s);
}

/* ---- the order of the pieces: by bytes, equal ones by id */
typedef struct piece {
    const unsigned char *text;
    int len, id;
} piece;

static int by_bytes(const void *x, const void *y)
{
    const piece *a = x, *b = y;
    int c = memcmp(a->text, b->text, (size_t)(a->len < b->len ? a->len : b->len));
    if (c) return c;
    return a->len != b->len ? a->len - b->len : a->id - b->id;
}

static void put_sorted(np_cx *cx, np_text *t, const np_vocab *v)
{
    piece *p = np_arena_array(&cx->tmp, (size_t)v->n, sizeof *p);
    for (int i = 0; i < v->n; i++) p[i] = (piece){v->text[i], v->len[i], i};
    qsort(p, (size_t)v->n, sizeof *p, by_bytes);
    np_text_add(t, "/* ids in the order of their bytes */\nstatic const int32_t rt_vocab_sorted[%d] = {",
                v->n);
    for (int i = 0; i < v->n; i++) np_text_add(t, i % 16 ? ", %d" : i ? ",\n    %d" : "\n    %d", p[i].id);
    np_text_add(t, "\n};\n");
}

/* A piece <0x0A> stands for that byte. */
static int byte_of(const unsigned char *s, int n)
{
    char hex[3] = {0}, *end;
    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
    memcpy(hex, s + 3, 2);
    long b = strtol(hex, &end, 16);
    return end == hex + 2 && b >= 0 ? (int)b : -1;
}

static void put_bytes(np_text *t, const np_vocab *v)
{
    int id[256];
    for (int b = 0; b < 256; b++) id[b] = -1;
    for (int i = v->n - 1; i >= 0; i--) {
        int b = byte_of(v->text[i], v->len[i]);
        if (b >= 0) id[b] = i;
    }
    np_text_add(t, "/* the piece that stands for a byte */\nstatic const int32_t rt_vocab_byte[256] = {");
    for (int b = 0; b < 256; b++) np_text_add(t, b % 16 ? ", %d" : b ? ",\n    %d" : "\n    %d", id[b]);
    np_text_add(t, "\n};\n");
}

static void put_pieces(np_text *t, const np_vocab *v)
{
    np_text_add(t, "static const np_rt_piece rt_vocab_piece[%d] = {\n", v->n);
    for (int i = 0; i < v->n; i++) {
        np_text_add(t, "    {");
        put_score(t, v->score[i]);
        np_text_add(t, ", %d, ", v->len[i]);
        put_literal(t, v->text[i], v->len[i]);
        np_text_add(t, "},\n");
    }
    np_text_add(t, "};\n");
}

np_status np_textdata_put(const np_job *j, np_text *out)
{
    static const char *const kind[] = {"NP_RT_IDS", "NP_RT_BYTES", "NP_RT_PIECES"};
    const np_model *m = j->model;
    const np_vocab *v = j->vocab;
    bool bytes = m->tokenizer && strcmp(m->tokenizer, "bytes") == 0;
    int start = m->start, stop = config_id(j, "eos_token_id");
    if (start >= 0 && config_id(j, "bos_token_id") >= 0) start = config_id(j, "bos_token_id");
    for (int i = 0; v && i < v->n; i++) {
        if (v->len[i] <= LITERAL_MAX) continue;
        np_error(j->cx, (np_loc){.file = j->vocab_path},
                 "token %d has %d bytes; a program holds at most %d of one", i, v->len[i], LITERAL_MAX);
        return NP_FAIL;
    }
    if (v) {
        put_pieces(out, v);
        put_sorted(j->cx, out, v);
        put_bytes(out, v);
    }
    /* A token that begins a text ends the one before it, unless it is shown as a separator of texts. */
    np_text_add(out,
                "const np_rt_vocab np_rt_vocab_this = {\n    %s, /* start */ %d, /* separator */ %d, /* "
                "stops */ {%d, %d},\n",
                kind[v ? 2 : bytes], start, m->separator, m->separator < 0 ? start : -1, stop);
    if (v)
        np_text_add(out, "    %d, rt_vocab_piece, rt_vocab_sorted, rt_vocab_byte, \"%d pieces\",\n};\n", v->n,
                    v->n);
    else
        np_text_add(out, "    0, NULL, NULL, NULL, \"%s\",\n};\n", bytes ? "bytes" : "ids, no tokenizer");
    return NP_OK;
}
