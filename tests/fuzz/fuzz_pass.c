/* The bytes are the choices of the generator of random programs (tests/random):
 * each program goes through folding, streaming and every pass, and must keep its
 * answers. A report of the checks is a crash here. */
#include "tests/random/random.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    rn_draw d = {.bytes = p, .n = n};
    rn_report r = {0};
    np_cx *cx = np_cx_new();
    np_mod *m = np_mod_new(cx, "random");
    np_text t = {0};
    bool main_form = rn_pick(&d, 2);
    if (main_form) np_text_add(&t, RN_MAIN_FORM);
    np_text_add(&t, "# knobs: lanes=%d rows=%d\n", 4 << rn_pick(&d, 4), 1 << rn_pick(&d, 3));
    rn_generate(m, &d, &(rn_gen_opts){.statements = 12, .prefix = "", .main_form = main_form});
    np_print_mod(&t, m, (np_print_opts){0});
    np_mod_free(m);
    np_cx_free(cx);
    if (!rn_check(&r, t.s, t.n, NULL, NULL)) {
        fprintf(stderr, "%s: %s: %s\n%s", r.phase, r.kind, r.why, t.s);
        abort();
    }
    np_text_free(&t);
    return 0;
}
