/* Compiled models for test_rt_main.c: main comes from the runtime. PROGRAM
 * chooses which: 1 bytes, 2 pieces and a context, 3 ids, 4 one without a step,
 * 5 one whose logits are no numbers. */
#include "rt_fake.h"

#if PROGRAM == 5
static void nan_step(int64_t T, int64_t N, void *const *in, char *state, void *const *out, char *work)
{
    float *x = out[0];
    fake_fixed_prefill(T, N, in, state, out, work);
    for (int64_t i = 0; i < T * FAKE_V; i++) x[i] = NAN;
}
#endif

#if PROGRAM == 1 || PROGRAM == 3
const np_rt_model np_rt_this = FAKE_FIXED;
#elif PROGRAM == 2
const np_rt_model np_rt_this = FAKE_GROWING;
#else
const np_rt_model np_rt_this = {.name = "odd",
                                .state_bytes = 64,
                                .work_bytes = 256,
                                .max_T = FAKE_BLOCK,
                                .ninputs = 1,
                                .nouts = 1,
                                .input = fake_fixed_in,
                                .out = fake_fixed_out,
                                .init = fake_fixed_init,
#if PROGRAM == 5
                                .step = nan_step,
#endif
                                .prefill = fake_fixed_prefill};
#endif

#if PROGRAM == 1
const np_rt_vocab np_rt_vocab_this = FAKE_BYTES;
#elif PROGRAM == 2
const np_rt_vocab np_rt_vocab_this = FAKE_PIECES;
__attribute__((constructor)) static void fill(void)
{
    fake_fill_pieces();
}
#else
const np_rt_vocab np_rt_vocab_this = FAKE_IDS;
#endif
