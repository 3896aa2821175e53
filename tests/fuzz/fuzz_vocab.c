/* Tokenizer files from memory; every byte of every token is read.
 * An error that is reported is fine; libFuzzer and the sanitizers see the rest. */
#include "frontend/frontend.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    np_cx *cx = np_cx_new();
    np_vocab *v = np_vocab_parse(cx, "fuzz", p, n, -1);
    unsigned sum = 0;
    for (int i = 0; v && i < v->n; i++)
        for (int k = 0; k < v->len[i]; k++) sum += v->text[i][k];
    if (sum == UINT32_MAX) abort(); /* unreachable with so little input; keeps the reads alive */
    np_cx_free(cx);
    return 0;
}
