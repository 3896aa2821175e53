/* Safetensors from memory; what is accepted is read to the last element.
 * An error that is reported is fine; libFuzzer and the sanitizers see the rest. */
#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    np_cx *cx = np_cx_new();
    np_tensors *f = np_tensors_parse(cx, "fuzz", p, n);
    for (int i = 0; f && i < f->n; i++) {
        np_tensor t = np_tensors_load(&f->t[i], NP_F32);
        np_tensor_free(&t);
    }
    np_cx_free(cx);
    return 0;
}
