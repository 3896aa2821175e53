/* The inline functions of a generated file: c_help.txt, of which only what is
 * called is written, so that no compiler complains of what is unused. */
#include "c.h"

#include <string.h>

extern const char np_embed_backends_c_help_txt[];

/* "@ name types : needs", then the text up to the next one. */
typedef struct row {
    const char *name, *types, *needs, *text; /* each up to a blank, a colon or the end of its line */
    size_t n;                                /* of the text */
} row;
static const char *next_row(const char *at, row *r)
{
    at = strncmp(at, "@ ", 2) == 0 ? at : strstr(at, "\n@ ");
    if (!at) return NULL;
    at += *at == '\n';
    size_t line = strcspn(at, "\n");
    r->name = at + 2;
    r->types = r->name + strcspn(r->name, " ") + 1;
    r->needs = memchr(at, ':', line);
    r->text = at + line + 1;
    const char *end = strstr(r->text, "\n@ ");
    r->n = end ? (size_t)(end + 1 - r->text) : strlen(r->text);
    return r->text;
}
/* Is the word in the list, which ends with its line or at a colon? */
static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; *p != '\n' && *p != ':'; p += strcspn(p, " \n"), p += *p == ' ')
        if (strncmp(p, word, n) == 0 && strchr(" \n", p[n])) return true;
    return false;
}
const char *np_chelp_call(np_cfile *c, const char *f, np_dtype d)
{
    row r;
    size_t n = strlen(f);
    int i = 0;
    const char *at = np_embed_backends_c_help_txt;
    while ((at = next_row(at, &r))) {
        if (strncmp(r.name, f, n) == 0 && r.name[n] == ' ' && listed(r.types, np_dtype_text(d))) break;
        i++;
    }
    if (!at) return np_ctext(&c->mem, "%s%s", f, d == NP_F64 ? "" : "f");
    if (i >= NP_CHELPERS) np_bug(c->cx, "more helpers than there is room for");
    c->helper[i] |= 1u << d;
    for (const char *p = r.needs ? r.needs + 2 : "\n"; *p != '\n'; p += strcspn(p, " \n"), p += *p == ' ')
        np_chelp_call(c, np_ctext(&c->mem, "%.*s", (int)strcspn(p, " \n"), p), d);
    return np_ctext(&c->mem, "np_%s_%s", f, np_dtype_text(d));
}

static void put(np_text *out, const row *r, np_dtype d)
{
    for (const char *p = r->text; p < r->text + r->n; p++) {
        if (*p != '$') {
            np_text_put(out, p, 1);
            continue;
        }
        switch (*++p) {
        case 'T': np_text_add(out, "%s", np_ctype(d)); break;
        case 'U': np_text_add(out, "uint%d_t", 8 * np_dtype_size(d)); break;
        case 'B': np_text_add(out, "%d", 8 * np_dtype_size(d)); break;
        case 'S': np_text_add(out, "%s", np_dtype_text(d)); break;
        default: np_text_add(out, "%s", d == NP_F32 ? "f" : ""); break;
        }
    }
}
void np_chelp_put(const np_cfile *c, np_text *out)
{
    row r;
    size_t i = 0, start = out->n;
    for (const char *at = np_embed_backends_c_help_txt; i < NP_CHELPERS && (at = next_row(at, &r)); i++)
        for (int d = 0; d < NP_NDTYPES; d++) {
            if (!(c->helper[i] >> d & 1)) continue;
            if (out->n == start) np_text_add(out, "\n/* ---- what C's operators do not say */\n");
            put(out, &r, (np_dtype)d);
        }
}
