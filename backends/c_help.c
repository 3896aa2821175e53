/* The inline functions of a generated file: c_help.txt, of which only what is
 * called is written, so that no compiler complains of what is unused. */
#include "c.h"

#include <string.h>

extern const char np_embed_backends_c_help_txt[];

/* "@ name types", then the text up to the next one. */
typedef struct row {
    const char *name, *types, *text; /* each up to a blank or the end of its line */
    size_t n;                        /* of the text */
} row;
static const char *next_row(const char *at, row *r)
{
    at = strstr(at, "\n@ ");
    if (!at) return NULL;
    r->name = at + 3;
    r->types = r->name + strcspn(r->name, " ") + 1;
    r->text = r->types + strcspn(r->types, "\n") + 1;
    const char *end = strstr(r->text, "\n@ ");
    r->n = end ? (size_t)(end + 1 - r->text) : strlen(r->text);
    return r->text - 1;
}
static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; *p != '\n'; p += strcspn(p, " \n"), p += *p == ' ')
        if (strncmp(p, word, n) == 0 && strchr(" \n", p[n])) return true;
    return false;
}
const char *np_chelp_call(np_cfile *c, const char *f, np_dtype d)
{
    row r;
    size_t n = strlen(f);
    for (const char *at = np_embed_backends_c_help_txt; (at = next_row(at, &r));)
        if (strncmp(r.name, f, n) == 0 && r.name[n] == ' ' && listed(r.types, np_dtype_text(d)))
            return np_ctext(&c->mem, "np_%s_%s", f, np_dtype_text(d));
    return np_ctext(&c->mem, "%s%s", f, d == NP_F64 ? "" : "f");
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
/* Those from row r on; what comes later may call what comes earlier. */
static void put_from(const char *at, const char *const *calls, np_text *out)
{
    row r;
    if (!(at = next_row(at, &r))) return;
    np_text later = {0}, mine = {0};
    put_from(at, calls, &later);
    for (int d = 0; d < NP_NDTYPES; d++) {
        char name[64];
        if (!listed(r.types, np_dtype_text((np_dtype)d))) continue;
        snprintf(name, sizeof name, "np_%.*s_%s(", (int)strcspn(r.name, " "), r.name,
                 np_dtype_text((np_dtype)d));
        bool called = later.s && strstr(later.s, name);
        for (int i = 0; calls[i]; i++) called |= strstr(calls[i], name) != NULL;
        if (called) put(&mine, &r, (np_dtype)d);
    }
    if (mine.n) np_text_put(out, mine.s, mine.n);
    if (later.n) np_text_put(out, later.s, later.n);
    np_text_free(&later), np_text_free(&mine);
}
void np_chelp_put(const char *const *calls, np_text *out)
{
    np_text all = {0};
    put_from(np_embed_backends_c_help_txt, calls, &all);
    if (all.n) np_text_add(out, "\n/* ---- what C's operators do not say */\n%s", all.s);
    np_text_free(&all);
}
