/* ggmf checkpoints from memory; what is accepted is read to the last element.
 * An error that is reported is fine; libFuzzer and the sanitizers see the rest. */
#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    np_cx *cx = np_cx_new();
    np_checkpoint c = {.path = np_str_new(cx, "fuzz")};
    if (np_ggmf_parse(cx, &c, p, n) == NP_OK) {
        for (int i = 0; i < c.tensors->n; i++) {
            np_tensor t = np_tensors_load(&c.tensors->t[i], NP_F32);
            np_tensor_free(&t);
        }
    }
    np_cx_free(cx);
    return 0;
}
