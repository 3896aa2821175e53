/* Saved states: as they come, then with a checksum that fits, which is what
 * keeps nearly all others out. One that is accepted is gone on with. */
#include "../unit/rt_fake.h"

const np_rt_model np_rt_this = {.name = "none"};
const np_rt_vocab np_rt_vocab_this = {.kind = NP_RT_IDS};

static void load(np_session *s, const uint8_t *p, size_t n)
{
    np_sampler sampler;
    FILE *f = fmemopen((void *)p, n, "rb");
    if (!f) return;
    const char *why = np_load_stream(s, f);
    fclose(f);
    fake_need(!why || np_position(s) == 1, "what is refused changes nothing");
    np_sampler_init(&sampler, n);
    int32_t t = why ? 0 : np_sample(s, &sampler);
    fake_need(t >= 0 || !np_logits(s) || isnan(*np_logits(s)), "a token");
    if (t >= 0 && np_room(s) > 0) fake_need(!np_feed(s, &t, 1), "room for one more");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 8) return 0;
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    uint8_t *q = fake_tight(p, n);
    for (size_t i = 0; i < n - 8; i++) h = (h ^ p[i]) * 0x100000001b3u;
    memcpy(q + n - 8, &h, 8);
    for (int k = 0; k < 2; k++) {
        np_session *s = np_open_model(&fake_growing, &fake_ids, NULL);
        const char *why = np_feed(s, (const int32_t[]){7}, 1);
        fake_need(!why, "one token");
        load(s, k ? q : p, n);
        np_close(s);
    }
    free(q);
    return 0;
}
