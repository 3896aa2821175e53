/* The text form: anything may come in; what is accepted prints as a text that
 * reads back, in a fresh context, and prints as itself. */
#include "ir/ir.h"

#include <stdlib.h>
#include <string.h>

static np_mod *read(np_cx *cx, const char *s, size_t n, np_text *out, bool loc)
{
    np_mod *m = np_parse(cx, "fuzz", s, n);
    if (m) np_print_mod(out, m, (np_print_opts){.loc = loc});
    return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1 << 14) return 0;
    np_cx *cx = np_cx_new(), *again = np_cx_new();
    np_text a = {0}, b = {0};
    np_mod *m = read(cx, (const char *)data, size, &a, size % 2), *n = NULL;
    if (!m != (cx->nerrors > 0)) abort();
    if (m && a.n < 1 << 20) {
        n = read(again, a.s ? a.s : "", a.n, &b, size % 2);
        if (!n || strcmp(a.s ? a.s : "", b.s ? b.s : "") != 0) {
            fprintf(stderr, "%s----\n%s", a.s, b.s ? b.s : "");
            np_diag_print(again, NP_NOTE, stderr);
            abort();
        }
    }
    np_mod_free(m), np_mod_free(n);
    np_text_free(&a), np_text_free(&b);
    np_cx_free(cx), np_cx_free(again);
    return 0;
}
